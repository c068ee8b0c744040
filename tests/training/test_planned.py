"""A plan is left as soon as something about it is another one, and then numbers, errors and state are the formulas'."""

import copy
import itertools
import sys
import warnings
import weakref

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.training import planned as planning
from numpy_nn.training.planned import BEFORE, _by_formulas, loss_and_gradients, plans
from numpy_nn.training.recording import Recording

UNTIL_IN_USE = BEFORE + 1


@pytest.fixture(autouse=True)
def _not_debugged(monkeypatch):
    """Coverage looks as a debugger does, and formulas would be all that is tested."""
    monkeypatch.setattr(sys, "gettrace", lambda: None)
    monkeypatch.setattr(planning, "MONITORING", None)


def batch(rng, n=8, dtype=np.float32):
    return rng.standard_normal((n, 5)).astype(dtype), rng.integers(0, 3, n)


def planned(*layers):
    """A network with a plan in use, its loss, and what draws further batches."""
    net = nn.Sequential(*layers) if layers else nn.MLP([5, 7, 3], rng=0)
    net.train()
    loss, rng = nn.CrossEntropyLoss(), np.random.default_rng(0)
    for _ in range(UNTIL_IN_USE):
        loss_and_gradients(net, loss, *batch(rng))
    assert len(plans(net)) == 1
    return net, loss, rng


def test_labels_that_have_to_be_converted_are_those_of_each_batch():
    net, loss, rng = nn.MLP([5, 3], rng=0), nn.CrossEntropyLoss(), np.random.default_rng(0)
    twin = copy.deepcopy(net)
    x, y = rng.standard_normal((4, 5)).astype(np.float32), np.array([0, 1, 2, 0])
    for step in range(UNTIL_IN_USE + 2):
        labels = ((y + step // UNTIL_IN_USE) % 3).astype(">i8")  # alike until a plan would be in use
        assert loss_and_gradients(net, loss, x, labels) == _by_formulas(twin, nn.CrossEntropyLoss(), x, labels)


class Unrelated:
    """A loss that is no Loss, with all that a step asks for."""

    __slots__ = ("difference",)

    def __call__(self, output, target):
        self.difference = output - target
        return float(np.square(self.difference).sum())

    def backward(self):
        return 2.0 * self.difference


def test_a_loss_that_is_no_loss_of_this_package_trains_as_ever():
    net, loss, rng = nn.MLP([5, 3], rng=0), Unrelated(), np.random.default_rng(0)
    optimizer = nn.SGD(net.parameters(), lr=0.0)
    x, y = (rng.standard_normal((4, k)).astype(np.float32) for k in (5, 3))
    for _ in range(UNTIL_IN_USE + 1):
        value = nn.train_step(net, loss, optimizer, x, y)
        assert value == float(np.square(net(x) - y).sum())


LOSS = nn.CrossEntropyLoss


@pytest.mark.parametrize(
    ("place", "name"),
    [
        *(
            (place, name)
            for place in ("loss", LOSS, LOSS.__mro__[1])
            for name in ("forward", "backward", "_read_labels")
        ),
        (LOSS, "gradient"),
        (nn.Linear, "forward"),
        (nn.Linear, "_write_gradients"),
    ],
)
def test_a_method_that_a_loss_or_a_class_is_given_later_is_called_at_each_batch(monkeypatch, place, name):
    net, loss, rng = planned()
    calls: list[str] = []
    place = loss if place == "loss" else place
    method = getattr(place, name)

    def counted(*given):
        calls.append(name)
        return method(*given)

    monkeypatch.setattr(place, name, counted)
    for _ in range(UNTIL_IN_USE + 2):
        before = len(calls)
        loss_and_gradients(net, loss, *batch(rng))
        assert len(calls) > before


def test_a_method_that_one_layer_is_given_is_called_at_each_batch():
    net, loss, rng = planned()
    calls: list[int] = []
    write = net[0]._write_gradients

    def counted(*given):
        calls.append(1)
        write(*given)

    net[0]._write_gradients = counted
    for _ in range(UNTIL_IN_USE + 1):
        before = len(calls)
        loss_and_gradients(net, loss, *batch(rng))
        assert len(calls) > before


class Doubled(nn.ReLU):
    """A layer of somebody's own."""

    def forward(self, x):
        return 2.0 * super().forward(x)


def test_a_layer_that_gets_another_class_computes_as_that():
    net, loss, rng = planned()
    net[1].__class__ = Doubled
    twin, (x, y) = copy.deepcopy(net), batch(rng)
    assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, nn.CrossEntropyLoss(), x, y)


def test_slopes_that_are_an_array_are_those_of_now():
    slopes = np.linspace(0.0, 1.0, 7, dtype=np.float32)
    net, loss, rng = planned(nn.Linear(5, 7, rng=0), nn.LeakyReLU(), nn.Linear(7, 3, rng=1))
    twin = copy.deepcopy(net)
    for one in (net, twin):
        one[1].options["negative_slope"] = slopes
    for _ in range(UNTIL_IN_USE + 2):
        slopes *= 0.5
        x, y = batch(rng)
        assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, nn.CrossEntropyLoss(), x, y)


def told(step, net, loss, batch, how):
    """The loss, or what was raised, and what NumPy told of meanwhile."""
    heard: list[str] = []
    with np.errstate(all=how, call=lambda kind, _: heard.append(kind)), warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        try:
            value = np.float64(step(net, loss, *batch)).tobytes()
        except FloatingPointError as error:
            return str(error), [], []
    return value, heard, [str(one.message) for one in shown]


@pytest.mark.parametrize("how", ["raise", "ignore", "warn", "call"])
@pytest.mark.parametrize("while_recorded", ["ignore", "warn"])
@pytest.mark.parametrize("layer", [nn.LogSoftmax, nn.SELU])
def test_errors_are_told_as_by_the_formulas_however_it_was_while_a_plan_was_recorded(layer, while_recorded, how):
    net, loss, rng = nn.Sequential(nn.Linear(2, 2, bias=False, rng=0), layer()), nn.MSELoss(), np.random.default_rng(0)
    net[0].weight.data = np.eye(2, dtype=np.float32)
    y, twin = np.zeros((1, 2), np.float32), copy.deepcopy(net)
    with np.errstate(all=while_recorded):
        for _ in range(UNTIL_IN_USE):
            loss_and_gradients(net, loss, rng.standard_normal((1, 2)).astype(np.float32), y)
    assert len(plans(net)) == 1
    for x in ([3e38, -3e38], [np.inf, 0.0], [np.nan, 1.0], [1e-45, -1e-45]):
        both = [np.array([x], np.float32), y]
        expected = told(_by_formulas, twin, nn.MSELoss(), both, how)
        assert told(loss_and_gradients, net, loss, both, how) == expected


def test_what_the_formulas_tell_is_told_once_while_a_plan_is_recorded_and_tried():
    net, loss = nn.MLP([5, 7, 3], rng=0), nn.MSELoss()
    twin, both = copy.deepcopy(net), [np.full((4, 5), 3e38, np.float32), np.zeros((4, 3), np.float32)]
    for _ in range(UNTIL_IN_USE + 1):
        expected = told(_by_formulas, twin, nn.MSELoss(), both, "warn")
        assert told(loss_and_gradients, net, loss, both, "warn") == expected


@pytest.mark.parametrize("kind", [FloatingPointError, KeyboardInterrupt])
def test_a_step_that_is_broken_off_leaves_nothing_for_a_backward_call(kind):
    net, loss, rng = planned()
    x, y = batch(rng)
    x[0] = 3e38

    def interrupt(*_):
        raise KeyboardInterrupt

    how = "raise" if kind is FloatingPointError else "call"
    with np.errstate(all=how, call=interrupt), pytest.raises(kind):
        loss_and_gradients(net, loss, x, y)
    for backward in (lambda: net.backward(np.ones((8, 3), np.float32)), loss.backward):
        with pytest.raises(ValueError, match="backward needs a forward call before it"):
            backward()


@pytest.mark.parametrize("activation", [nn.GELU, nn.Mish])
def test_a_backward_call_after_a_step_reads_nothing_of_a_forward_pass_before_it(activation):
    net, loss, rng = planned(activation(), nn.Linear(5, 3, rng=0))
    twin, (x, y) = copy.deepcopy(net), batch(rng)
    net.predict(np.zeros((50, 5), np.float32))
    loss_and_gradients(net, loss, x, y)
    _by_formulas(twin, nn.CrossEntropyLoss(), x, y)
    ones = np.ones((8, 3), np.float32)
    np.testing.assert_allclose(net.backward(ones), twin.backward(ones), rtol=1e-6)


def test_a_batch_is_not_kept_beyond_forget():
    net, loss, rng = planned()
    x, y = batch(rng)
    loss_and_gradients(net, loss, x, y)
    kept = weakref.ref(x)
    net.forget()
    del x
    assert kept() is None


def test_ctrl_c_at_any_array_of_a_recording_leaves_plain_ones(monkeypatch):
    recorded = Recording.array
    for stop in itertools.count(1):
        net, loss, rng = nn.MLP([5, 7, 3], rng=0), nn.CrossEntropyLoss(), np.random.default_rng(0)
        calls: list[int] = []

        def interrupted(*given, calls=calls, stop=stop):
            calls.append(1)
            if len(calls) == stop:
                raise KeyboardInterrupt
            return recorded(*given)

        monkeypatch.setattr(Recording, "array", interrupted)
        loss_and_gradients(net, loss, *batch(rng))
        try:
            loss_and_gradients(net, loss, *batch(rng))
        except KeyboardInterrupt:
            pass
        else:
            break
        assert all(type(p.data) is type(p.grad) is np.ndarray for p in net.parameters())
        for one in (*net, loss):
            assert all(type(array) is np.ndarray for array in one._work._arrays.values())
    assert stop > 20


def test_plans_that_are_given_up_are_no_longer_looked_at():
    net, loss, rng = planned()
    for step in range(planning.MOST_BEGUN + 1):
        net.label_of_this_step = [step]
        loss_and_gradients(net, loss, *batch(rng))
    assert vars(net)["_plans"].by_loss == {}
