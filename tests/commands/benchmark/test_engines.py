"""The benchmark's engines compute the same, its cases count the same operations, and memory is counted."""

import gc

import needs
import numpy as np
import pytest
import torch
from fake_gpu import CUDA, devices, needs_cuda_build

from numpy_nn.commands.benchmark import engines as registry
from numpy_nn.commands.benchmark import memory
from numpy_nn.commands.benchmark.cases import KINDS, LEARNING_RATES, SUITES, Case, adapted, x_value
from numpy_nn.commands.benchmark.engine import NetworkEngine
from numpy_nn.commands.benchmark.engines import ENGINES, FLOOR, OURS, PROCESSES, does, missing
from numpy_nn.commands.benchmark.making import make_engines
from numpy_nn.commands.benchmark.numpy_engines import ByHand, Floor, Ours
from numpy_nn.commands.benchmark.owned_engine import InProcesses
from numpy_nn.commands.benchmark.torch_engines import TorchEngine
from numpy_nn.commands.benchmark.workload import Workload

INSTALLED = [name for name in ENGINES if missing(name) is None]
# The compiler takes seconds for a case; tests/torch_ref/test_torch_training.py holds a compiled step to the eager one.
# Processes take a second to begin, and have a test of their own below.
QUICK = [name for name in INSTALLED if name not in ("torch.compile", PROCESSES)]


def tiny(kind="step", **settings):
    """A case that takes microseconds: batches of 8, the last one of an epoch smaller."""
    rows = 30 if kind in ("epoch", "inference") else 0
    return Case(kind, **{"sizes": (12, 7, 5, 3), "batch": 8, "dtype": "float64", "rows": rows, **settings})


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", LEARNING_RATES)
@pytest.mark.parametrize("kind", ["step", "epoch"])
def test_engines_have_the_same_parameters_after_training(kind, optimizer):
    case = tiny(kind, optimizer=optimizer)
    engines = make_engines(Workload(case), QUICK)  # which takes two steps
    for engine in engines.values():
        engine.seconds(2)
    made = {name: engine for name, engine in engines.items() if isinstance(engine, NetworkEngine)}  # all but the floor
    expected = made["by hand"].parameters()
    initial = [array for layer in Workload(case).weights for array in layer]
    assert all(np.abs(p - q).max() > 1e-6 for p, q in zip(expected, initial, strict=True))
    # Ten steps of SGD round parameters below 1 to a few u = 1.1e-16 each. Adam divides a gradient, whose error is
    # some 100 u, by its size or, if that is smaller, by eps sqrt(1 - beta2) = 3e-10, and takes 1e-5 of it.
    bound = 10 * 1e-5 * 100 * 2**-53 / 3e-10 if optimizer == "adam" else 1e-14
    for name, engine in made.items():
        if name == "scikit-learn" and (kind == "epoch" or optimizer == "adam"):
            continue  # which shuffles in an order of its own, and does not correct Adam's eps
        for p, q in zip(engine.parameters(), expected, strict=True):
            np.testing.assert_allclose(p, q, rtol=0, atol=bound, err_msg=name)
    losses = [made[name].mean_loss for name in ("by hand", OURS, "torch", "jax") if name in made and kind == "epoch"]
    np.testing.assert_allclose(losses, losses[:1] * len(losses), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "dtype"), [(1, "float32"), (8, "float64")])
@pytest.mark.parametrize("kind", KINDS)
def test_every_engine_does_every_kind_that_it_claims(kind, batch, dtype):
    made = make_engines(Workload(tiny(kind, batch=batch, dtype=dtype)), QUICK)
    assert set(made) == {name for name in QUICK if does(name, tiny(kind))}
    for engine in made.values():
        engine.seconds(2)


@pytest.mark.parametrize("optimizer", LEARNING_RATES)
@pytest.mark.parametrize("kind", ["step", "epoch"])
def test_what_the_cuda_graph_captures_is_the_same_step(kind, optimizer, monkeypatch):
    from numpy_nn.commands.benchmark import torch_engines

    # On the CPU the step itself takes the graph's place; tests/torch_ref/test_torch_captured.py has the capturing.
    graphed: list[object] = []

    def capture(step, *_):
        graphed.append(step)
        return step

    monkeypatch.setattr(torch_engines, "GraphedStep", capture)
    workload = Workload(tiny(kind, optimizer=optimizer))
    eager, graph = TorchEngine(workload), TorchEngine(workload, graph=True)
    for engine in (eager, graph):
        engine.seconds(3)
    assert graphed == [graph._step, graph._step_on_batch]
    for p, q in zip(eager.parameters(), graph.parameters(), strict=True):
        np.testing.assert_array_equal(p, q)
    if kind == "epoch":
        assert eager.mean_loss == graph.mean_loss


def test_cuda_is_timed_with_events_around_finished_work(monkeypatch):
    happened: list[str] = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            happened.append("record")

        def elapsed_time(self, _):
            return 1500.0  # in milliseconds

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: happened.append("synchronize"))
    engine = TorchEngine(Workload(tiny("forward")))
    engine.device = torch.device("cuda")
    engine.work = lambda: happened.append("work")
    assert engine.seconds(3) == 1.5
    assert happened == ["synchronize", "record", "work", "work", "work", "record", "synchronize"]


def test_backward_of_the_hand_written_loop_is_ours_times_the_rate():
    case = tiny("backward")
    ours, by_hand = Ours(Workload(case)), ByHand(Workload(case))
    ours.prepare()
    by_hand.prepare()
    gradient = ours.net.parameters().grad
    # Sums of 8 to 12 products of numbers below 1, through three layers: a hundred roundings at the most.
    np.testing.assert_allclose(by_hand.g, case.learning_rate * gradient, rtol=0, atol=1e-3 * 100 * 2**-53)


@pytest.mark.parametrize("sizes", [(5, 3), (6, 4, 3), (784, 64, 10), (9, 8, 7, 6, 5)])
@pytest.mark.parametrize("kind", ["forward", "backward", "step", "epoch", "inference"])
def test_operations_are_those_of_the_floor_s_products(kind, sizes, monkeypatch):
    case = tiny(kind, sizes=sizes)
    floor, counted = Floor(Workload(case)), []
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

    def __init__(self, workload):
        super().__init__(workload)
        self.net[0].bias.data += 0.01


class WrongRate(Ours):
    """Learns five per cent faster."""

    def __init__(self, workload):
        super().__init__(workload)
        self._optimizer.lr *= 1.05


class WrongLoss(Ours):
    """Has no loss."""

    def loss(self):
        return float("nan")


@pytest.mark.parametrize("wrong", [WrongStart, WrongRate, WrongLoss])
@pytest.mark.parametrize("optimizer", LEARNING_RATES)
def test_an_engine_that_computes_something_else_is_not_timed(wrong, optimizer, monkeypatch):
    monkeypatch.setitem(registry.ENGINES, "wrong", wrong)
    with pytest.raises(ValueError, match=r"step 12-7-5-3.*: wrong(, after a step: W1 is| has loss) .* nothing was"):
        make_engines(Workload(tiny(optimizer=optimizer)), ["by hand", "wrong"])


def test_rounding_stays_within_the_bound_of_the_loss():
    for seed in range(20):
        workload = Workload(Case("step", (50, 40, 10), batch=16), seed=seed)
        exact, rounded = ByHand(workload, dtype="float64"), ByHand(workload)
        assert 0.0 < abs(exact.loss() - rounded.loss()) <= workload.loss_bound() < 1e-3


def test_a_smaller_batch_ends_an_epoch():
    assert tiny("epoch").batches == [8, 8, 8, 6]
    assert tiny("epoch", batch=64).batches == [30]
    assert Case("epoch", (784, 64, 10)).rows == 60_000
    for name in QUICK:
        if does(name, tiny("epoch")):
            make_engines(Workload(tiny("epoch", batch=64)), ["by hand", name])[name].seconds(1)


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


def test_bytes_allocated_are_counted():
    assert 8_000 <= memory.bytes_allocated(lambda: np.empty(1000)) < 9_000
    kept = np.empty(100_000)
    assert memory.bytes_allocated(lambda: np.negative(kept, out=kept)) < 1_000


def test_a_training_step_of_ours_allocates_nothing_that_grows():
    allocated = []
    for batch, width in ((64, 512), (256, 512), (64, 2048)):
        engine = Ours(Workload(Case("step", (20, width, 10), batch=batch)))
        allocated.append(memory.bytes_allocated(engine.work))
    # NumPy's own buffers for mixed dtypes hold 8,192 numbers; the activations here are at least four times as large.
    assert max(allocated) < 8192 * 4 + 8192


@pytest.mark.slow
def test_peak_memory_is_that_of_a_process_of_its_own():
    small, large = (
        memory.peak_memory("by hand", tiny(sizes=(1000, width, 10), dtype="float32")) for width in (1, 9000)
    )
    # Initial values, the workload's copy, parameters and gradients: 36 MB each, of which at least two are held at once.
    assert large - small > 2 * 36_000_000
    with pytest.raises(OSError, match="the process of nobody failed"):
        memory.peak_memory("nobody", tiny())


@pytest.mark.slow
@needs.posix
def test_processes_train_as_one_does_on_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(registry, "usable_cores", lambda: 2)
    workload = Workload(tiny("epoch"))
    alone, together = Ours(workload), InProcesses(workload)
    assert together.pool != alone.pool  # or its threads, which wait for more, would take a core from a process
    sizes = []
    for count in (2, 1, 2):
        assert together.set_threads is not None
        together.set_threads(count)
        together.step()
        alone.step()
        together.seconds(1)
        alone.seconds(1)
        # Fifteen steps round a sum of some ten numbers below 1 in another order; u = 1.1e-16.
        for p, q in zip(together.parameters(), alone.parameters(), strict=True):
            np.testing.assert_allclose(p, q, rtol=0, atol=1e-14)
        assert together.mean_loss == pytest.approx(alone.mean_loss, rel=1e-13)
        sizes.append(together.owned.size if together.owned else 1)
    assert sizes == [2, 1, 2]
    owned = together.owned
    assert owned is not None
    workers = list(owned._workers)
    del together
    gc.collect()
    assert len(workers) == 1
    assert workers[0].returncode is not None
    assert vars(owned.optimizer).get("step") is None


def test_processes_are_timed_where_there_are_units_to_divide(monkeypatch):
    monkeypatch.setattr(registry, "usable_cores", lambda: 2)
    assert does(PROCESSES, tiny("step"))
    for kind in KINDS:
        assert does(PROCESSES, tiny(kind)) == (kind in ("step", "epoch"))
    assert not does(PROCESSES, tiny("step", sizes=(5, 3)))
    assert not does(PROCESSES, tiny("step", sizes=(5, 1, 3)))
    monkeypatch.setattr(registry, "usable_cores", lambda: 1)
    assert not does(PROCESSES, tiny("step"))
    monkeypatch.setattr(registry.os, "name", "nt")
    assert "POSIX" in (missing(PROCESSES) or "")


@needs_cuda_build
@pytest.mark.slow
@pytest.mark.parametrize("optimizer", LEARNING_RATES)
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_gpu_it_waits_for_nothing_and_copies_the_order_of_the_rows_alone(kind, optimizer, gpu):
    case = Case(kind, (6, 5, 3), batch=4, optimizer=optimizer, rows=10 * (kind in ("epoch", "inference")))
    timed = TorchEngine(Workload(case), device="cuda")
    assert devices(timed.model, timed.x, timed.y) == {CUDA}
    timed.prepare()
    gpu.waits = gpu.copies = 0
    timed.work()
    assert (gpu.waits, gpu.copies) == (0, int(kind == "epoch"))
