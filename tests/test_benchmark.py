"""The benchmark: engines that compute the same, statistics with known answers, the command; nothing by the clock."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import benchmark
from scripts.bench import engines as registry
from scripts.bench import machine, memory, report, timing
from scripts.bench.cases import KINDS, LEARNING_RATES, SUITES, Case, Problem, adapted, x_value
from scripts.bench.engines import ENGINES, FLOOR, OURS, does, make_engines, missing
from scripts.bench.numpy_engines import ByHand, Floor, Ours
from scripts.bench.timing import Interval

ROOT = Path(__file__).parent.parent
INSTALLED = [name for name in ENGINES if missing(name) is None]
# The compiler takes seconds for a case; tests/test_torch_training.py holds a compiled step to the eager one.
QUICK = [name for name in INSTALLED if name != "torch.compile"]


def tiny(kind="step", **settings):
    """A case that takes microseconds: batches of 8, the last one of an epoch smaller."""
    rows = 30 if kind in ("epoch", "inference") else 0
    return Case(kind, **{"sizes": (12, 7, 5, 3), "batch": 8, "dtype": "float64", "rows": rows, **settings})


# The engines


@pytest.mark.parametrize("optimizer", LEARNING_RATES)
@pytest.mark.parametrize("kind", ["step", "epoch"])
def test_engines_have_the_same_parameters_after_training(kind, optimizer):
    case = tiny(kind, optimizer=optimizer)
    made = make_engines(Problem(case), QUICK)  # which takes two steps
    for engine in made.values():
        engine.seconds(2)
    expected = made["by hand"].parameters()
    initial = [array for layer in Problem(case).weights for array in layer]
    assert all(np.abs(p - q).max() > 1e-6 for p, q in zip(expected, initial, strict=True))
    # Ten steps of SGD round parameters below 1 to a few u = 1.1e-16 each. Adam divides a gradient, whose error is
    # some 100 u, by its size or, if that is smaller, by eps sqrt(1 - beta2) = 3e-10, and takes 1e-5 of it.
    bound = 10 * 1e-5 * 100 * 2**-53 / 3e-10 if optimizer == "adam" else 1e-14
    for name, engine in made.items():
        if name == FLOOR or (name == "scikit-learn" and (kind == "epoch" or optimizer == "adam")):
            continue  # which shuffles in an order of its own, and does not correct Adam's eps
        for p, q in zip(engine.parameters(), expected, strict=True):
            np.testing.assert_allclose(p, q, rtol=0, atol=bound, err_msg=name)
    losses = [made[name].mean_loss for name in ("by hand", OURS, "torch", "jax") if name in made and kind == "epoch"]
    np.testing.assert_allclose(losses, losses[:1] * len(losses), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_every_engine_does_every_kind_that_it_claims(kind, batch, dtype):
    made = make_engines(Problem(tiny(kind, batch=batch, dtype=dtype)), QUICK)
    assert set(made) == {name for name in QUICK if does(name, tiny(kind))}
    for engine in made.values():
        assert engine.seconds(2) > 0.0


def test_backward_of_the_hand_written_loop_is_ours_times_the_rate():
    case = tiny("backward")
    ours, by_hand = Ours(Problem(case)), ByHand(Problem(case))
    ours.prepare()
    by_hand.prepare()
    gradient = ours.net.parameters().grad
    # Sums of 8 to 12 products of numbers below 1, through three layers: a hundred roundings at the most.
    np.testing.assert_allclose(by_hand.g, case.learning_rate * gradient, rtol=0, atol=1e-3 * 100 * 2**-53)


@pytest.mark.parametrize("sizes", [(5, 3), (6, 4, 3), (784, 64, 10), (9, 8, 7, 6, 5)])
@pytest.mark.parametrize("kind", ["forward", "backward", "step", "epoch", "inference"])
def test_operations_are_those_of_the_floor_s_products(kind, sizes, monkeypatch):
    case = tiny(kind, sizes=sizes)
    floor, counted = Floor(Problem(case)), []
    matmul = np.matmul

    def count(a, b, out):
        counted.append(2 * a.shape[0] * a.shape[1] * b.shape[1])
        return matmul(a, b, out=out)

    monkeypatch.setattr(np, "matmul", count)
    floor.work()
    assert sum(counted) == case.operations


def test_the_optimizer_multiplies_no_matrices():
    assert tiny("optimizer").operations == 0
    assert not does(FLOOR, tiny("optimizer"))


def test_known_operations():
    # By hand: 784 x 64 twice (forward, weight), 64 x 10 three times, two operations each, 64 rows.
    assert Case("step", (784, 64, 10)).operations == 2 * 64 * (2 * 784 * 64 + 3 * 64 * 10)
    assert Case("step", (784, 64, 10)).parameters == 784 * 64 + 64 + 64 * 10 + 10


class WrongStart(Ours):
    """Begins with another bias."""

    def __init__(self, problem):
        super().__init__(problem)
        self.net[0].bias.data += 0.01


class WrongRate(Ours):
    """Learns five per cent faster."""

    def __init__(self, problem):
        super().__init__(problem)
        self._optimizer.lr *= 1.05


class WrongLoss(Ours):
    """Has no loss."""

    def loss(self):
        return float("nan")


@pytest.mark.parametrize("wrong", [WrongStart, WrongRate, WrongLoss])
@pytest.mark.parametrize("optimizer", LEARNING_RATES)
def test_an_engine_that_computes_something_else_is_not_timed(wrong, optimizer, monkeypatch):
    monkeypatch.setitem(registry.ENGINES, "wrong", wrong)
    with pytest.raises(ValueError, match=r"step 12-7-5-3.*: wrong has loss .* expected .* nothing was timed"):
        make_engines(Problem(tiny(optimizer=optimizer)), ["by hand", "wrong"])


def test_rounding_stays_within_the_bound_of_the_loss():
    for seed in range(20):
        problem = Problem(Case("step", (50, 40, 10), batch=16), seed=seed)
        exact, rounded = ByHand(problem, dtype="float64"), ByHand(problem)
        assert 0.0 < abs(exact.loss() - rounded.loss()) <= problem.loss_bound() < 1e-3


# Cases


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "sleep"}, "kind: expected one of forward, .*, got 'sleep'"),
        ({"sizes": (5,)}, "sizes"),
        ({"sizes": (5, 0, 3)}, "sizes"),
        ({"batch": 0}, "batch: expected at least 1, got 0"),
        ({"dtype": "float16"}, "dtype: expected one of float32, float64"),
        ({"optimizer": "lbfgs"}, "optimizer"),
        ({"rows": -1}, "rows"),
    ],
)
def test_a_case_that_does_not_exist_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Case(**{"kind": "step", "sizes": (5, 3), **settings})


def test_suites_cover_what_they_promise():
    assert {case.batch for case in SUITES["batches"].cases} >= {1, 64, 4096}
    assert {x_value(case, "width") for case in SUITES["widths"].cases} >= {16, 2048}
    assert {x_value(case, "depth") for case in SUITES["depths"].cases} == set(range(1, 9))
    assert {(784, 64, 10), (784, 512, 10), (784, 2048, 2048, 10)} <= {case.sizes for case in SUITES["mnist"].cases}
    assert all(case.kind != "epoch" for case in SUITES["quick"].cases)


def test_cases_are_adapted_without_repetitions():
    cases = (tiny(), tiny(optimizer="adam"))
    dtypes = adapted(cases, dtypes=["float32", "float64"], optimizers=["sgd"], rows=None)
    assert [(case.dtype, case.optimizer) for case in dtypes] == [("float32", "sgd"), ("float64", "sgd")]


def test_a_smaller_batch_ends_an_epoch():
    assert tiny("epoch").batches == [8, 8, 8, 6]
    assert tiny("epoch", batch=64).batches == [30]
    assert Case("epoch", (784, 64, 10)).rows == 60_000
    for name in QUICK:
        if does(name, tiny("epoch")):
            make_engines(Problem(tiny("epoch", batch=64)), ["by hand", name])[name].seconds(1)


# Statistics


def test_the_bootstrap_of_three_values_is_known():
    # The median of three draws out of 1, 2, 3 is 1 or 3 with probability 7/27 each, else 2: the 30% quantile is 2,
    # the 25% quantile 1.
    assert timing.bootstrap_median([3.0, 1.0, 2.0], confidence=0.4) == (2.0, 2.0, 2.0)
    assert timing.bootstrap_median([3.0, 1.0, 2.0], confidence=0.5) == (2.0, 1.0, 3.0)


def test_the_bootstrap_of_equal_values_has_no_width():
    assert timing.bootstrap_median([4.0] * 5) == (4.0, 4.0, 4.0)
    assert timing.bootstrap_median([4.0]).width == 0.0


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


# Rounds


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
    made = [("a", "p", 0.001), ("b", "q", 0.5), ("c", "p", 0.003)]
    fakes = {name: FakeEngine(name, pool, seconds, turns) for name, pool, seconds in made}
    seconds = timing.run_rounds(fakes, 4, sample_seconds=0.02, settle=lambda: settled.append(len(turns)))
    for name, _, each in made:
        assert seconds[name] == pytest.approx([each] * 4)
    measured = [name for name, n in turns if n == {"a": 32, "b": 1, "c": 8}[name]][-12:]
    assert measured == [*"acb", *"bca", *"acb", *"bca"]
    # Once for each pool when the repetitions are found, and before each pool's turn in every round.
    assert len(settled) == 2 + 4 * 2


def test_a_piece_of_work_is_repeated_until_it_fills_a_sample():
    assert timing.repetitions(FakeEngine("a", "p", 0.001, []), 0.02) == 32
    assert timing.repetitions(FakeEngine("a", "p", 1.0, []), 0.02) == 1


def test_no_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds: expected at least 1, got 0"):
        timing.run_rounds({}, 0)


@pytest.mark.parametrize(("busy", "slices"), [(0, 1), (7, 8), (10**9, 20)])
def test_settling_waits_until_the_threads_are_idle_or_the_limit(busy, slices):
    slept, used = [], [0.0]

    def sleep(seconds):
        slept.append(seconds)
        used[0] += seconds if len(slept) <= busy else 0.0

    timing.settle(lambda: used[0], sleep, limit=20 * timing.SETTLE_SLICE)
    assert len(slept) == slices


# Memory


def test_bytes_allocated_are_counted():
    assert 8_000 <= memory.bytes_allocated(lambda: np.empty(1000)) < 9_000
    kept = np.empty(100_000)
    assert memory.bytes_allocated(lambda: np.negative(kept, out=kept)) < 1_000


def test_a_training_step_of_ours_allocates_nothing_that_grows():
    allocated = []
    for batch, width in ((64, 512), (256, 512), (64, 2048)):
        engine = Ours(Problem(Case("step", (20, width, 10), batch=batch)))
        allocated.append(memory.bytes_allocated(engine.work))
    # NumPy's own buffers for mixed dtypes hold 8,192 numbers; the activations here are at least four times as large.
    assert max(allocated) < 8192 * 4 + 8192


def test_peak_memory_is_that_of_a_process_of_its_own():
    small, large = (
        memory.peak_memory("by hand", tiny(sizes=(1000, width, 10), dtype="float32")) for width in (1, 9000)
    )
    # Initial values, the problem's copy, parameters and gradients: 36 MB each, of which at least two are held at once.
    assert large - small > 2 * 36_000_000
    with pytest.raises(OSError, match="the process of nobody failed"):
        memory.peak_memory("nobody", tiny())


# The command

ARGUMENTS = ("--sizes", "6,4,3", "--batch", "4", "--rounds", "3", "--sample-ms", "0.1", "--threads", "1")
NUMPY = ("--engines", "floor,by hand,numpy_nn")


def test_results_are_printed_and_written(tmp_path, capsys):
    files = [f"--{kind}={tmp_path / 'new' / kind}" for kind in ("json", "markdown", "png")]
    assert benchmark.main([*ARGUMENTS, *NUMPY, "--kind", "step,optimizer", "--dtype", "float32,float64", *files]) == 0
    output = capsys.readouterr().out
    for heading in report.HEADINGS:
        assert heading in output
    content = json.loads((tmp_path / "new" / "json").read_text())
    assert [result["label"] for result in content["results"]] == [
        "step 6-4-3, batch 4, sgd, float32",
        "step 6-4-3, batch 4, sgd, float64",
        "optimizer 6-4-3, batch 4, sgd, float32",
        "optimizer 6-4-3, batch 4, sgd, float64",
    ]
    assert content["machine"]["threads"] == 1
    assert content["machine"]["versions"]["numpy"] == np.__version__
    assert content["machine"]["blas"]["threads"] == 1
    step, optimizer = content["results"][0]["engines"], content["results"][2]["engines"]
    assert list(step) == ["floor", "by hand", "numpy_nn"]
    assert list(optimizer) == ["by hand", "numpy_nn"]
    for engine in step.values():
        assert len(engine["seconds"]) == 3
        assert engine["median"] == np.median(engine["seconds"])
        assert engine["flop_per_second"] == pytest.approx(content["results"][0]["operations"] / engine["median"])
        assert engine["share_of_peak"] == pytest.approx(engine["flop_per_second"] / content["peak"]["float32"])
        assert engine["over_numpy_nn"]["low"] <= engine["over_numpy_nn"]["median"] <= engine["over_numpy_nn"]["high"]
    assert optimizer["numpy_nn"]["flop_per_second"] is None
    markdown = (tmp_path / "new" / "markdown").read_text()
    assert markdown.count("| numpy_nn |") == 4
    assert (tmp_path / "new" / "png").read_bytes().startswith(b"\x89PNG")


def fixed_result(case, **seconds):
    """A result with these times in every round."""
    return report.Result(case, {name: [value] * 3 for name, value in seconds.items()})


def test_slopes_and_plot_have_a_line_for_each_engine(tmp_path, monkeypatch):
    cases = [Case("step", (784, width, 10)) for width in (64, 16, 256)]
    results = [
        fixed_result(case, floor=1e-6 * case.sizes[1] ** 0.9, numpy_nn=2e-6 * case.sizes[1] ** 1.2) for case in cases
    ]
    found = report.slopes(results, "width")
    assert [(row["engine"], round(row["all"], 6), round(row["last"], 6)) for row in found] == [
        ("floor", 0.9, 0.9),
        ("numpy_nn", 1.2, 1.2),
    ]
    # 2 w (2 x 784 + 3 x 10) operations for each row: a power of exactly 1.
    assert found[0]["operations_last"] == pytest.approx(1.0)
    assert found[0]["operations_all"] == pytest.approx(1.0)
    import matplotlib.pyplot as plt

    figures: list[Any] = []
    monkeypatch.setattr(plt, "close", figures.append)
    report.draw(results, "width", "a title", tmp_path / "figure.png")
    (axis,) = figures[0].axes
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    assert {line.get_label(): list(line.get_xdata()) for line in axis.lines} == {
        "floor": [16, 64, 256],
        "numpy_nn": [16, 64, 256],
    }
    monkeypatch.undo()
    plt.close("all")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.34, "12.3 s"), (1234.0, "1234 s"), (0.01234, "12.3 ms"), (12.34e-6, "12.3 µs"), (999.4e-6, "999 µs")],
)
def test_durations_have_three_digits_and_a_unit(seconds, text):
    assert report.duration(seconds) == text


@pytest.mark.parametrize(
    "arguments",
    [
        ["--suite", "huge"],
        ["--sizes", "784"],
        ["--sizes", "784,0,10"],
        ["--sizes", "784,x"],
        ["--kind", "sleep"],
        ["--kind", "step"],
        ["--batch", "64"],
        ["--batch", "0", "--sizes", "3,2"],
        ["--dtype", "float16"],
        ["--optimizer", "lbfgs"],
        ["--engines", "tensorflow"],
        ["--rounds", "0"],
        ["--rounds", "1.5"],
        ["--sample-ms", "0"],
        ["--sample-ms", "nan"],
        ["--threads", "-1"],
        ["--rows", "none"],
    ],
)
def test_bad_arguments_give_one_line_that_names_them(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        benchmark.main(arguments)
    assert exit_.value.code == 2
    assert f"argument {arguments[0]}" in capsys.readouterr().err.splitlines()[-1]


def test_without_cuda_a_line_says_so_and_the_cpu_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benchmark, "has_cuda", lambda: False)
    monkeypatch.setattr(registry, "has_cuda", lambda: False)
    monkeypatch.setattr(benchmark, "ENGINES", {name: ENGINES[name] for name in ("numpy_nn", "torch cuda")})
    assert benchmark.main([*ARGUMENTS, "--gpu"]) == 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no CUDA device here; the engines on the CPU run alone" in error
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["benchmark-custom-cpu.json", "benchmark-custom-cpu.md", "benchmark-custom-cpu.png"]
    content = json.loads((tmp_path / "runs" / names[0]).read_text())
    assert list(content["results"][0]["engines"]) == ["numpy_nn"]


def test_an_engine_on_cuda_where_there_is_none_is_refused(capsys, monkeypatch):
    monkeypatch.setattr(registry, "has_cuda", lambda: False)
    assert benchmark.main([*ARGUMENTS, "--engines", "torch cuda"]) == 2
    assert capsys.readouterr().err == "benchmark: --engines: torch cuda needs CUDA, and torch finds none here\n"


def test_an_engine_that_is_not_installed_is_refused(capsys, monkeypatch):
    monkeypatch.setitem(registry.MODULES, "jax", "a_module_that_nobody_has")
    assert benchmark.main([*ARGUMENTS, "--engines", "jax"]) == 2
    assert "jax is not installed here (module a_module_that_nobody_has)" in capsys.readouterr().err


def test_missing_data_names_the_command_that_gets_it(tmp_path, capsys):
    assert benchmark.main(["--suite", "mnist", *NUMPY, "--data", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "fetch_mnist.py" in error


def test_an_epoch_runs_over_mnist(mnist):
    problem = Problem(Case("epoch", (784, 4, 10), rows=100), mnist)
    np.testing.assert_array_equal(problem.x, mnist.x_train[:100])
    np.testing.assert_array_equal(Problem(replace(problem.case, kind="inference"), mnist).y, mnist.y_test[:100])
    assert benchmark.uses_mnist(problem.case)
    assert not benchmark.uses_mnist(Case("epoch", (784, 4, 3)))
    with pytest.raises(ValueError, match="at most MNIST's"):
        Problem(Case("epoch", (784, 4, 10), rows=60_001), mnist)


def test_ctrl_c_writes_the_cases_that_are_done(tmp_path, capsys, monkeypatch):
    measure = benchmark.measure
    done: list[report.Result] = []

    def interrupted(*arguments):
        if done:
            raise KeyboardInterrupt
        done.append(measure(*arguments))
        return done[-1]

    monkeypatch.setattr(benchmark, "measure", interrupted)
    path = tmp_path / "results.json"
    assert benchmark.main([*ARGUMENTS, *NUMPY, "--kind", "step,forward", "--json", str(path)]) == 130
    assert "interrupted after 1 of 2 cases" in capsys.readouterr().out
    assert len(json.loads(path.read_text())["results"]) == 1


def test_numpy_alone_is_enough():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'sklearn', 'jax']))\n"
        "from scripts import benchmark\n"
        f"sys.exit(benchmark.main({list(ARGUMENTS)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "numpy_nn" in done.stdout
    timed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("│")]
    assert timed == ["floor", "by", "numpy_nn"]


def test_blas_shows_what_was_found_and_what_each_set_gives(capsys, monkeypatch):
    rates = {dtype: {"64x784x64": 5e9} for dtype in ("float32", "float64")}
    monkeypatch.setattr(machine, "_rates_in_a_process", lambda kernels, _: {"kernels": kernels, "rates": rates})
    monkeypatch.setattr(machine, "bundled_openblas", lambda: "libopenblas.so")
    monkeypatch.setattr(machine, "probe", lambda _, kernels: "Haswell" if kernels == "Zen" else kernels)
    assert benchmark.main(["--blas"]) == 0
    output = capsys.readouterr().out
    assert "found: not asked; chosen: nothing (NumPy was loaded already)" in output
    assert "SkylakeX" in output
    assert "Zen" not in output.split("GFLOP/s", 1)[1]


def test_rates_of_kernels_are_the_best_of_their_turns(monkeypatch):
    turns = iter(range(100))

    def rate(kernels, _):
        return {"kernels": kernels or "Haswell", "rates": {"float32": {"shape": float(next(turns))}}}

    monkeypatch.setattr(machine, "_rates_in_a_process", rate)
    monkeypatch.setattr(machine, "probe", lambda _, kernels: kernels if kernels == "Haswell" else None)
    monkeypatch.setattr(machine, "bundled_openblas", lambda: "libopenblas.so")
    found = [(row["asked"], row["rates"]["float32"]["shape"]) for row in machine.rates_of_kernels(1, rounds=3)]
    assert found == [(None, 4.0), ("Haswell", 5.0)]


def test_a_process_that_fails_to_measure_says_why():
    with pytest.raises(OSError, match=r"measuring the default kernels failed: ValueError: invalid literal"):
        machine._rates_in_a_process(None, "many")
