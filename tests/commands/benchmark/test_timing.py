"""The benchmark's statistics have known answers, and its rounds alternate. Nothing here depends on the clock."""

import numpy as np
import pytest

from numpy_nn.commands.benchmark import timing
from numpy_nn.commands.benchmark.timing import Interval


def test_the_bootstrap_of_three_values_is_known():
    # The median of three draws out of 1, 2, 3 is 1 or 3 with probability 7/27 each, else 2: the 30% quantile is 2,
    # the 25% quantile 1.
    assert timing.bootstrap_median([3.0, 1.0, 2.0], confidence=0.4) == (2.0, 2.0, 2.0)
    assert timing.bootstrap_median([3.0, 1.0, 2.0], confidence=0.5) == (2.0, 1.0, 3.0)


def test_the_bootstrap_of_equal_values_has_no_width():
    assert timing.bootstrap_median([4.0] * 5) == (4.0, 4.0, 4.0)
    assert timing.bootstrap_median([4.0]).width == 0.0


@pytest.mark.slow
def test_the_bootstrap_interval_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    samples = rng.exponential(size=(400, 25))
    intervals = [timing.bootstrap_median(sample.tolist(), resamples=1000) for sample in samples]
    share = np.mean([interval.low <= np.log(2.0) <= interval.high for interval in intervals])
    # 95% within four standard deviations of 400 trials, 0.044.
    assert share == pytest.approx(0.95, abs=0.044)


@pytest.mark.parametrize(("values", "confidence"), [([], 0.95), ([1.0], 0.0), ([1.0], 1.0)])
def test_the_bootstrap_of_nothing_is_refused(values, confidence):
    with pytest.raises(ValueError, match=r"values|confidence"):
        timing.bootstrap_median(values, confidence=confidence)


def test_medians_and_quartiles():
    assert timing.summarize([5.0, 1.0, 2.0, 4.0, 3.0]) == (3.0, 2.0, 4.0)
    assert timing.summarize([5.0, 1.0, 2.0, 4.0, 3.0]).spread == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="at least one"):
        timing.summarize([])


def test_what_slows_a_whole_round_cancels_in_the_ratios():
    load = np.array([1.0, 3.0, 1.5, 8.0, 2.0])
    seconds = {"a": (2.0 * load).tolist(), "b": (5.0 * load).tolist()}
    found = timing.ratios(seconds, "a")
    assert found["a"] == (1.0, 1.0, 1.0)
    assert found["b"] == pytest.approx((2.5, 2.5, 2.5))


def test_a_warning_where_two_engines_cannot_be_told_apart():
    found = {
        "reference": Interval(1.0, 1.0, 1.0),
        "slower": Interval(1.4, 1.1, 1.9),
        "noisy": Interval(1.2, 0.7, 1.8),
        "equal": Interval(1.0, 0.99, 1.01),
    }
    (warning,) = timing.noise_warnings(found, "reference")
    assert warning.startswith("too noisy to tell noisy from reference")


def test_the_slope_of_a_power_law_is_its_exponent():
    x = [16, 64, 256, 2048]
    assert timing.slope(x, [3.0 * v**1.7 for v in x]) == pytest.approx(1.7)
    assert timing.slope(x, [5.0] * 4) == pytest.approx(0.0)
    with pytest.raises(ValueError, match="two different"):
        timing.slope([4, 4], [1.0, 2.0])


class FakeEngine:
    """Takes a time that is known, and writes down its turns."""

    def __init__(self, name, pool, seconds, turns):
        self.name, self.pool, self.each, self.turns = name, pool, seconds, turns

    def seconds(self, n):
        self.turns.append((self.name, n))
        return n * self.each


def test_rounds_alternate_and_give_the_time_of_one_call():
    turns: list[tuple[str, int]] = []
    settled: list[int] = []
    over: list[int] = []
    made = [("a", "p", 0.001), ("b", "q", 0.5), ("c", "p", 0.003)]
    fakes = {name: FakeEngine(name, pool, seconds, turns) for name, pool, seconds in made}
    seconds = timing.run_rounds(
        fakes, 4, sample_seconds=0.02, settle=lambda: settled.append(len(turns)), after_turn=lambda: over.append(1)
    )
    for name, _, each in made:
        assert seconds[name] == pytest.approx([each] * 4)
    measured = [name for name, n in turns if n == {"a": 20, "b": 1, "c": 7}[name]][-12:]
    assert measured == [*"acb", *"bca", *"acb", *"bca"]
    # Once for each pool when the repetitions are found, and before each pool's turn in every round.
    assert len(settled) == 2 + 4 * 2
    assert len(over) == 4 * len(fakes)


def test_a_piece_of_work_is_repeated_until_it_fills_a_sample():
    assert timing.repetitions(FakeEngine("a", "p", 0.001, []), 0.02) == 20
    assert timing.repetitions(FakeEngine("a", "p", 1.0, []), 0.02) == 1


def test_a_turn_in_which_the_clock_does_not_move_is_made_longer():
    class Coarse:
        """Its clock ticks every 15 ms; it took long when the repetitions were counted, as others were at work."""

        pool, asked = "p", 0

        def seconds(self, n):
            self.asked += 1
            return 1.0 if self.asked <= 2 else n // 15 * 0.015

    assert timing.run_rounds({"a": Coarse()}, 3, settle=lambda: None) == {"a": pytest.approx([0.015 / 16] * 3)}


def test_no_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds: expected at least 1, got 0"):
        timing.run_rounds({}, 0)
