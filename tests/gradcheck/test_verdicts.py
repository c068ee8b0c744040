"""From numbers to verdicts: thresholds, words and shares, by hand-made slopes."""

from types import SimpleNamespace

import numpy as np
import pytest
from known_slopes import known

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients, judging
from numpy_nn.gradcheck.measure import slopes, verdicts
from numpy_nn.gradcheck.measure.kinds import AGREES, COARSE, DOUBTFUL, KINK, LOST, NEARLY, OFF, UNRESOLVED, Reason
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG, Entry
from numpy_nn.subjects import SubjectError

ONE = np.array([1.0, 2.0, -2.0, 0.5])
INF, NAN = np.inf, np.nan


# Sizes and shares.


def test_an_error_is_a_share_of_the_slope_and_at_least_of_the_root_mean_square():
    np.testing.assert_allclose(verdicts.sizes(known([3.0, 4.0, NAN])), [np.sqrt(12.5), 4.0, NAN])
    assert verdicts.sizes(known([NAN, NAN])).size == 2
    np.testing.assert_array_equal(verdicts.sizes(known([0.0, -0.0])), [0.0, 0.0])


@pytest.mark.parametrize(("bound", "told"), [(1.0, True), (1.001, False), (NAN, False)])
def test_a_bound_tells_up_to_a_share_of_the_size(bound, told):
    found = verdicts._told(known([4.0, 0.0, 0.0, 0.0], 1e-3 * bound * np.array([4.0, 2.0, 2.0, 2.0])), 1e-3)
    np.testing.assert_array_equal(found, [told] * 4)


@pytest.mark.parametrize(
    ("gradient", "bound", "flat", "agrees"),
    [
        (1.0, 1e-7, False, True),
        (1.0 + 0.9e-7, 1e-7, False, True),
        (1.0 + 1.1e-7, 1e-7, False, False),
        (1.0, 3.9e-7, False, True),
        (1.0, 4.1e-7, False, False),
        (0.0, 1.0, True, True),
        (0.0, 1.0, False, False),
        (1e-300, 1.0, True, False),
        (NAN, 1e-7, True, False),
    ],
)
def test_a_gradient_agrees_within_a_bound_that_tells_or_where_all_is_0(gradient, bound, flat, agrees):
    found = verdicts._agrees(np.array([gradient]), known([1.0], bound, flat=flat), verdicts.RESOLUTION)
    np.testing.assert_array_equal(found, [agrees])
    assert verdicts.RESOLUTION == 4e-7
    assert verdicts.COARSE_RESOLUTION == 1e-2


def test_next_to_a_kink_what_counts_is_how_far_a_gradient_lies_outside_the_one_sided_slopes():
    gradient = np.array([0.5, -1.5, 4.0, 1.0, 9.0, 9.0])
    found = known(
        np.ones(6),
        kink=[True, True, True, True, False, True],
        low=-np.ones(6),
        high=3.0 * np.ones(6),
        side_bound=[0.1, 0.1, 0.1, 0.1, 0.1, INF],
    )
    error, size = verdicts.off_by(gradient, found)
    np.testing.assert_array_equal(error, [0.0, 0.5, 1.0, 0.0, 8.0, 8.0])
    np.testing.assert_array_equal(size, [3.0, 3.0, 3.0, 3.0, 1.0, 1.0])
    lower = known([1.0], kink=True, low=-5.0, high=3.0, side_bound=0.1)
    np.testing.assert_array_equal(verdicts.off_by(np.array([0.0]), lower), [[0.0], [5.0]])


def test_slopes_are_replaced_where_they_are_asked_for():
    first, second = known([1.0, 2.0], 0.1, side_bound=0.3), known([3.0, 4.0], 0.2, flat=True, kink=True, side_bound=0.4)
    first.replace(np.array([False, True]), second)
    np.testing.assert_array_equal(first.value, [1.0, 4.0])
    np.testing.assert_array_equal(first.bound, [0.1, 0.2])
    np.testing.assert_array_equal(first.flat, [False, True])
    np.testing.assert_array_equal(first.kink, [False, True])
    np.testing.assert_array_equal(first.low, [1.0, 4.0])
    np.testing.assert_array_equal(first.high, [1.0, 4.0])
    np.testing.assert_array_equal(first.side_bound, [0.3, 0.4])


@pytest.mark.parametrize(("bound", "small"), [(0.9e-3, True), (1.1e-3, True), (1.9e-3, True), (2.1e-3, False)])
def test_a_slope_is_resolved_by_its_own_size_or_the_largest_that_is_asked_for(bound, small):
    made = known([5.0, 1.0, 2.0], bound)
    np.testing.assert_array_equal(slopes.resolved(made, np.array([False, True, True]), 1e-3), [True, small, small])
    np.testing.assert_array_equal(
        slopes.resolved(made, np.array([False, True, False]), 1e-3), [True, bound < 1e-3, small]
    )
    assert slopes.resolved(known([NAN, 1.0], bound), np.array([True, False]), 1e-3).tolist() == [False, bound < 1e-3]


# From statuses to the verdict on an array.


@pytest.mark.parametrize(
    ("coarseness", "words"),
    [
        (0.0, ""),
        (2.0**-40, ""),
        (2.0**-39.9, "rounds to fewer digits than float64 has"),
        (2.0**-29, "rounds to fewer digits than float64 has"),
        (2.0**-28.9, "computes in float32"),
        (2.0**-18.1, "computes in float32"),
        (2.0**-18, "rounds to float16 or to a few decimals"),
        (0.1, "rounds to float16 or to a few decimals"),
    ],
)
def test_how_coarse_an_output_is_says_what_it_is_computed_in(coarseness, words):
    assert judging.computes_in(coarseness) == words


class Claimed:
    """A claimed gradient for :func:`judging.judge`; ``along`` are the slopes along random directions."""

    def __init__(self, gradient, *, coarseness=0.0, in_float32=False, along=None, reason=Reason.ROUNDING):
        self.gradient, self.in_float32, self.reason = np.asarray(gradient, np.float64), in_float32, reason
        self.asked, self.rng = 0, np.random.default_rng(0)
        scales = {"wide": np.full(self.gradient.shape, 2.0)}
        self.differences = SimpleNamespace(coarseness=coarseness, scales=scales, along=self.along)
        self.slope, self.grad_output = along, None

    def along(self, direction, grad_output):
        assert grad_output is None
        assert np.abs(direction).max() <= 2.0
        self.asked += 1
        return self.slope(float(np.sum(self.gradient * direction)), self.asked)


def judged(claimed, value, status, *, size=None):
    status = np.array(status)
    made = Entry("x", RIGHT, status.shape, size or status.size, 0, 0, 0, 0, 0.0, None, NAN, NAN, NAN)
    judging.judge(made, claimed, known(value), status)
    return made


def test_coordinates_are_counted_by_what_they_are():
    made = judged(Claimed(ONE), ONE, [AGREES, KINK, KINK, ""], size=3)
    assert (made.checked, made.wrong, made.undecided, made.kinks, made.verdict) == (3, 0, 0, 2, RIGHT)


@pytest.mark.parametrize(("coarseness", "words"), [(0.0, ""), (2.0**-24, "; the forward pass computes in float32")])
def test_what_is_undecided_has_its_reason(coarseness, words):
    made = judged(Claimed(ONE, coarseness=coarseness), ONE, [AGREES, UNRESOLVED, NEARLY, AGREES])
    assert (made.verdict, made.undecided, made.reason) == (UNDECIDED, 1, f"{Reason.ROUNDING}{words}")


def test_what_is_wrong_says_at_how_many(monkeypatch):
    monkeypatch.setattr(judging, "diagnose", lambda evidence: evidence.gradient)
    monkeypatch.setattr(judging, "with_branch", lambda found, *_: found)
    made = judged(claimed := Claimed(ONE), ONE, [OFF, UNRESOLVED, NEARLY, ""])
    assert (made.verdict, made.wrong, made.reason) == (WRONG, 1, "wrong at 1 of 3 coordinates")
    assert made.diagnosis is claimed.gradient
    assert vars(claimed)["status"][0] == OFF
    assert judged(Claimed(ONE), ONE, [OFF] * 4).reason == ""


@pytest.mark.parametrize(
    ("errors", "digits"),
    [
        ([1e-6, 0.0, 0.0, 0.0], 6.0),
        ([1e-6, 5e-6, 0.0, 0.0], -np.log10(5e-6)),
        # What is off by more of itself is so by less of the array, whose terms cancel there.
        ([0.0, 0.0, 0.0, 2e-5], -np.log10(1e-5 / np.sqrt(9.25 / 4))),
    ],
)
def test_what_is_close_says_to_how_many_digits(errors, digits):
    made = judged(Claimed(ONE * (1.0 + np.array(errors))), ONE, [NEARLY if e else AGREES for e in errors])
    assert made.verdict == CLOSE
    assert made.digits == pytest.approx(digits, abs=1e-3)
    assert made.reason.startswith(f"claimed and numerical differ by up to {10.0**-digits:.1e} of a coordinate")


@pytest.mark.parametrize(
    ("given", "factors", "words"),
    [
        ({"coarseness": 2.0**-24}, [1, 1, 1, 1], ": the forward pass computes in float32"),
        ({"in_float32": True}, [1, 2, 3, 4], ": backward computes in float32"),
        ({}, [1, 1, 1, 1], ", all by the factor 1.000001: a constant with few digits, or a small term in a divisor"),
        (
            {},
            [1, 1, 1, 1.009],
            ", all by the factor 1.000001: a constant with few digits, or a small term in a divisor",
        ),
        ({}, [1, 1, 1, 1.02], ": an epsilon, or a constant with few digits, that one pass has and the other has not"),
        ({}, [1, 1, 0, 0], ", all by the factor 1.000001: a constant with few digits, or a small term in a divisor"),
        ({}, [1, 0, 0, 0], ": an epsilon, or a constant with few digits, that one pass has and the other has not"),
    ],
)
def test_what_is_close_says_what_differs(given, factors, words):
    claimed = Claimed(ONE * (1.0 + 1e-6 * np.array(factors)), **given)
    made = judged(claimed, ONE, [NEARLY if factor else AGREES for factor in factors])
    assert made.reason == f"claimed and numerical differ by up to {1e-6 * max(factors):.1e} of a coordinate{words}"


@pytest.mark.parametrize(("more", "factor"), [(3e-10, "1 + 3.0e-10"), (-2e-9, "1 - 2.0e-09"), (2e-7, "1.0000002")])
def test_a_factor_of_all_but_1_is_told_by_what_it_has_more(more, factor):
    assert f"by the factor {factor}:" in judged(Claimed(ONE * (1.0 + more)), ONE, [NEARLY] * 4).reason


@pytest.mark.parametrize(
    ("along", "right", "asked"),
    [
        (lambda slope, _: (slope, 0.0, False), True, 3),
        (lambda slope, _: (slope + 1.0, 1.1, False), True, 3),
        (lambda slope, _: (slope + 1.0, 0.9, False), False, 1),
        (lambda slope, _: (slope + 1.0, 0.9, True), True, 3),
        (lambda slope, n: (slope + 1.0 * (n == 3), 0.9, False), False, 3),
    ],
)
def test_what_a_sample_leaves_out_is_looked_at_along_three_directions(along, right, asked):
    claimed = Claimed(ONE, along=along)
    made = judged(claimed, ONE, [AGREES] * 4, size=10)
    assert made.verdict == (RIGHT if right else WRONG)
    words = "right where it was looked at, but not along a random direction: look at more samples"
    assert made.reason == ("" if right else words)
    assert claimed.asked == asked
    whole = Claimed(ONE, along=along)
    assert judged(whole, ONE, [AGREES] * 4).verdict == RIGHT
    assert whole.asked == 0


@pytest.mark.parametrize(("units", "right"), [(0.9, True), (1.1, False)])
def test_the_slope_along_a_direction_may_be_off_by_the_rounding_of_a_sum(units, right):
    gradient = 1e6 * np.ones(100)

    def along(direction, _):
        terms = gradient * direction
        off = units * 100 * 2.0**-53 * np.abs(terms).sum()
        return float(terms.sum()) - off, 0.0, False

    claimed = Claimed(gradient)
    claimed.differences.along = along
    assert judging._right_along(claimed) == right


def test_a_diagnosis_that_the_target_does_not_let_us_ask_for_is_unknown(monkeypatch):
    def refuses(_):
        raise SubjectError("no")

    monkeypatch.setattr(judging, "diagnose", refuses)
    found = judging.diagnosis(None)
    assert (found.cause, found.confident, found.alternatives) == ("unknown", False, [])
    assert found.evidence == "the target's own code raised at an input made up to find the cause: no"


def test_a_status_that_is_on_the_way_is_none_of_those_at_the_end():
    assert len({AGREES, COARSE, DOUBTFUL, KINK, LOST, NEARLY, OFF, UNRESOLVED, ""}) == 9


def test_what_is_not_asked_about_has_no_slope_and_no_kink():
    steps = np.array([0.25, 0.0625, 0.015625])
    t = steps.reshape(-1, 1, 1, 1)
    center, noise = np.zeros((1, 1)), np.zeros((1, 1))
    outputs = np.stack([np.abs(t), 3.0 * np.abs(t)])  # a kink at 0
    for g, kink in ((1.0, True), (0.0, False)):
        found = slopes.summarise(outputs, center, steps, np.full((1, 1), g), noise, sides=True)
        assert found["kink"].ravel().tolist() == [kink]
        assert (found["low"].item(), found["high"].item()) == pytest.approx((-3.0 * g, g))


def test_an_even_bend_far_narrower_than_the_array_is_not_measured_across():
    # log(1 + exp(x)) - x / 2 is even: at 0 every central difference is 1/2, and next to it those across the whole bend
    # are, too, to all their digits. The finer ones, which have fewer, know better.
    small = [-1.01520243e-05, 1.33658825e-05, -6.64743057e-06, 1.53518131e-06, -6.56354196e-05]
    x = np.array([small, [-4.69066497e05, 2.23884624e05, 8.42323210e04, 8.65385175e05, -9.52611531e05]])
    report = check_gradients(nn.Softplus(0.25), x)
    assert report.verdict == "right", report
