"""What the benchmark asks of engines before it times them: the same step, to within what rounding can do."""

import numpy as np
import pytest

from numpy_nn.commands.benchmark import engines as registry
from numpy_nn.commands.benchmark.agreement import names_of, reference
from numpy_nn.commands.benchmark.cases import Case
from numpy_nn.commands.benchmark.engine import NetworkEngine
from numpy_nn.commands.benchmark.engines import ENGINES, missing
from numpy_nn.commands.benchmark.making import make_engines
from numpy_nn.commands.benchmark.numpy_engines import ByHand, Ours
from numpy_nn.commands.benchmark.workload import Workload

CASES = [
    Case("step", (784, 64, 10)),
    Case("step", (784, 64, 10), batch=1),
    Case("step", (784, 64, 10), dtype="float64"),
    Case("step", (784, *[64] * 7, 10)),
    Case("step", (12, 7, 5, 3), batch=8),
    Case("step", (20, 3)),
]
EAGER = [name for name in ("by hand", "numpy_nn", "torch", "scikit-learn", "jax") if missing(name) is None]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_the_tolerance_is_below_a_relative_error_of_1e_4_and_above_rounding(case):
    right = reference(Workload(case))
    for tolerance, gradient in zip(right.of_gradients, right.gradients, strict=True):
        assert tolerance < 1e-4 * np.linalg.norm(gradient)
    rate = right.probe.case.learning_rate
    for tolerance, gradient in zip(right.of_after, right.gradients, strict=True):
        assert tolerance < 1e-4 * rate * np.linalg.norm(gradient)
    for name in EAGER:
        engine = ENGINES[name](right.probe)
        assert isinstance(engine, NetworkEngine)
        engine.step()
        for array, expected, tolerance in zip(engine.parameters(), right.after, right.of_after, strict=True):
            # Engines sum in better orders than one that has nothing to do with the terms.
            assert np.linalg.norm(array - expected) < tolerance / 4, name


def test_the_gradients_of_the_reference_are_those_of_numpy_nn_in_float64():
    right = reference(Workload(Case("step", (12, 7, 5, 3), batch=8, dtype="float64")))
    net, criterion, _ = right.probe.network()
    criterion(net(right.probe.x), right.probe.y)
    net.backward(criterion.backward())
    for parameter, gradient in zip(net.parameters(), right.gradients, strict=True):
        np.testing.assert_allclose(parameter.grad, gradient, rtol=0, atol=100 * 2**-53)


def test_rows_in_which_rounding_decides_a_relu_are_not_asked_about():
    workload = Workload(Case("step", (6, 4, 3), batch=4))
    # This row's first unit is at its kink but for an error of less than a rounding.
    weight, bias = workload.weights[0]
    x = workload.x.astype(np.float64)
    x[1] -= weight[:, 0] * (x[1] @ weight[:, 0] + bias[0]) / (weight[:, 0] @ weight[:, 0])
    workload.x = x.astype(np.float32)
    probe = reference(workload).probe
    np.testing.assert_array_equal(probe.x, workload.x[[0, 2, 3, 0]])
    np.testing.assert_array_equal(probe.y, workload.y[[0, 2, 3, 0]])


def wrong_engine(array, factor):
    """numpy_nn with the gradient of one array multiplied."""

    class Wrong(Ours):
        def step(self):
            self.forward()
            self.backward()
            self.net.parameters()[array].grad *= factor
            self.optimizer()

    return Wrong


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("kind", ["step", "epoch", "backward", "optimizer"])
@pytest.mark.parametrize(("array", "factor"), [(1, 1 / 64), (5, 1 / 64), (0, 1 + 1e-4), (3, 1 - 1e-4), (4, 0.0)])
def test_a_wrong_gradient_is_refused_with_the_engine_and_the_array(array, factor, kind, optimizer, monkeypatch):
    monkeypatch.setitem(registry.ENGINES, "wrong", wrong_engine(array, factor))
    workload = Workload(Case(kind, (12, 7, 5, 3), batch=8, optimizer=optimizer, rows=30))
    name = names_of(workload)[array]
    with pytest.raises(ValueError, match=rf"wrong, after a step: {name} is .* away; nothing was timed") as raised:
        make_engines(workload, ["by hand", "wrong"])
    assert "\n" not in str(raised.value)


def test_parameters_of_another_shape_are_refused(monkeypatch):
    class Flat(ByHand):
        def parameters(self):
            return [array.ravel() for array in super().parameters()]

    monkeypatch.setitem(registry.ENGINES, "flat", Flat)
    with pytest.raises(ValueError, match=r"flat, after a step: expected W1 of shape \(5, 4\), got \(20,\)"):
        make_engines(Workload(Case("step", (5, 4, 3), batch=4)), ["flat"])


def test_what_is_compared_is_closed_before_the_next_is_made(monkeypatch):
    events = []

    class Open(ByHand):
        def __init__(self, workload):
            super().__init__(workload)
            events.append("made")
            self.held.callback(events.append, "closed")

    for name in ("one", "two"):
        monkeypatch.setitem(registry.ENGINES, name, Open)
    make_engines(Workload(Case("backward", (5, 4, 3), batch=4)), ["one", "two"])
    assert events[:2] == ["made", "made"]  # those that are to be timed
    assert events[2:] == ["made", "closed"] * (len(events) // 2 - 1)
    assert len(events) == 10
