"""Steps by a plan are those of the formulas, to the last bit, and a plan is used only where it is theirs."""

import copy
import pickle
import sys
import warnings
from types import MethodType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn.layers import ACTIVATION_LAYERS
from numpy_nn.parameter import structure
from numpy_nn.training import planned as planning
from numpy_nn.training.plan import Plan
from numpy_nn.training.planned import BEFORE, OfLoss, _by_formulas, loss_and_gradients, plans
from numpy_nn.training.recording import Recorded

# A plan is in use from the batch after the one at which it was tried.
UNTIL_IN_USE = BEFORE + 1


@pytest.fixture(autouse=True)
def _not_debugged(monkeypatch):
    """Coverage looks as a debugger does, and formulas would be all that is tested."""
    monkeypatch.setattr(sys, "gettrace", lambda: None)
    monkeypatch.setattr(planning, "MONITORING", None)


def batches(rng, n, width, classes, dtype=np.float32):
    while True:
        yield rng.standard_normal((n, width)).astype(dtype), rng.integers(0, classes, n)


def planned(activation="relu", loss=None, n=8, dtype=np.float32):
    """A network with a plan in use, its loss, and further batches."""
    net, loss = nn.MLP([5, 7, 3], activation, rng=0, dtype=dtype), loss or nn.CrossEntropyLoss()
    more = batches(np.random.default_rng(0), n, 5, 3, dtype)
    for _ in range(UNTIL_IN_USE):
        loss_and_gradients(net, loss, *next(more))
    assert len(plans(net)) == 1
    return net, loss, more


def state(net, loss):
    """What a step leaves: gradients, and what a backward call would read."""
    gradients = [p.grad.tobytes() for p in net.parameters()]
    return gradients, net.backward(np.ones(net._output[0], net.parameters().dtype)).tobytes(), loss.backward().tobytes()


@our.fewer(2.0)
@given(data=st.data(), dtype=our.dtypes, n=st.integers(1, 12))
def test_training_is_that_by_the_formulas_to_the_last_bit(data, dtype, n):
    net = data.draw(our.networks(dtype, n, max_width=8))
    width, rng = our.in_features(net), np.random.default_rng(data.draw(our.seeds))
    shapes = {rows: (rows, net.output_shape((width,))[0]) for rows in (n, n + 1)}
    loss, _ = data.draw(our.losses_with_targets(shapes[n], dtype))
    if loss.reduction == "none":
        return
    y: Any
    optimizer = data.draw(our.optimizers(net.parameters()))
    twin, twin_loss, twin_optimizer = copy.deepcopy((net, loss, optimizer))
    targets: dict[int, Any] = {rows: rng.integers(0, 2, shape).astype(dtype) for rows, shape in shapes.items()}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        more = 0 if isinstance(loss, nn.BCEWithLogitsLoss) else 1  # its weights may have a row for each of the batch
        for rows in (n, n, n + more, n, n, n + more, n, n + more, n + more):
            x, y = rng.standard_normal((rows, width)).astype(dtype), targets[rows]
            if isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)):
                y = rng.integers(0, shapes[rows][1], rows)
            elif isinstance(loss, nn.PerceptronLoss):
                y = 2 * y - 1
            value = nn.train_step(net, loss, optimizer, x, y)
            expected = _by_formulas(twin, twin_loss, x, y)
            twin_optimizer.step()
            np.testing.assert_array_equal(value, expected)
            np.testing.assert_array_equal(net.parameters().data, twin.parameters().data)


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(), nn.MSELoss(), nn.L1Loss(), nn.HuberLoss(), nn.BCEWithLogitsLoss()]
)
@pytest.mark.parametrize("activation", ACTIVATION_LAYERS)
def test_every_activation_and_these_losses_have_a_plan(activation, loss):
    net, rng = nn.MLP([5, 7, 3], activation, rng=0), np.random.default_rng(0)
    twin, twin_loss = copy.deepcopy((net, loss))
    for step in range(UNTIL_IN_USE + 2):
        x, y = rng.standard_normal((6, 5)).astype(np.float32), rng.integers(0, 2, (6, 3))
        y = rng.integers(0, 3, 6) if isinstance(loss, nn.CrossEntropyLoss) else y.astype(np.float32)
        assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, twin_loss, x, y)
        assert len(plans(net)) == (step >= BEFORE)
    assert state(net, loss) == state(twin, twin_loss)


def test_a_layer_norm_and_images_have_one():
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 4, rng=0), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 3, rng=1))
    loss, rng = nn.CrossEntropyLoss(), np.random.default_rng(0)
    twin, twin_loss = copy.deepcopy((net, loss))
    for _ in range(UNTIL_IN_USE + 2):
        x, y = rng.standard_normal((4, 2, 3)).astype(np.float32), rng.integers(0, 3, 4)
        assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, twin_loss, x, y)
    assert len(plans(net)) == 1
    assert state(net, loss) == state(twin, twin_loss)


def test_a_plan_says_what_it_does():
    net, _, _ = planned()
    words = str(plans(net)[0]).splitlines()
    assert words[:4] == [
        "forward",
        "  matmul(x, 0.weight) -> 0.y",
        "  add(0.y, 0.bias) -> 0.y",
        "  maximum(0.y, 0) -> 1.y",
    ]
    assert words[-2] == "  matmul(x.T, 1.dx) -> 0.weight.grad"
    assert "  greater_equal is False" in words


def test_a_copy_and_a_pickle_have_plans_and_arrays_of_their_own():
    net, loss, more = planned()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert plans(other) == []
        before = net.parameters().grad.copy()
        for _ in range(UNTIL_IN_USE + 1):
            loss_and_gradients(other, loss, *next(more))
        np.testing.assert_array_equal(net.parameters().grad, before)


def replaced_layer(net, _loss):
    net[1] = nn.Tanh()


def replaced_array(net, _loss):
    net[0].weight.move_to(net[0].weight.data.copy(), net[0].weight.grad.copy())


def replaced_formula(net, _loss):
    net[1].backward = lambda grad_output: 2.0 * grad_output


def weighted_loss(_net, loss):
    loss.weight = np.array([1.0, 2.0, 3.0], np.float32)


def smoothed_loss(_net, loss):
    loss.label_smoothing = 0.2


def summed_loss(_net, loss):
    loss.reduction = "sum"


def replaced_terms(_net, loss):
    loss.terms = MethodType(lambda self, z, y: 2.0 * nn.CrossEntropyLoss.terms(self, z, y), loss)


@pytest.mark.parametrize(
    "change",
    [replaced_layer, replaced_array, replaced_formula, weighted_loss, smoothed_loss, summed_loss, replaced_terms],
)
def test_what_is_changed_counts_at_the_next_batch(change):
    net, loss, more = planned()
    change(net, loss)
    twin, twin_loss = copy.deepcopy((net, loss))
    for _ in range(UNTIL_IN_USE + 1):
        x, y = next(more)
        assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, twin_loss, x, y)
        assert [p.grad.tobytes() for p in net.parameters()] == [p.grad.tobytes() for p in twin.parameters()]


def test_a_setting_of_an_activation_counts_at_the_next_batch():
    net, loss, more = planned("leaky_relu")
    net[1].options["negative_slope"] = 0.5
    twin, twin_loss, (x, y) = copy.deepcopy(net), nn.CrossEntropyLoss(), next(more)
    assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, twin_loss, x, y)


def test_another_dtype_counts_at_the_next_batch():
    net, loss, more = planned()
    net.to(np.float64)
    x, y = next(more)
    x = x.astype(np.float64)
    twin = copy.deepcopy(net)
    assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, nn.CrossEntropyLoss(), x, y)
    with pytest.raises(TypeError, match="layer 0, Linear"):
        loss_and_gradients(net, loss, *next(more))


class Doubled(nn.ReLU):
    """A layer of somebody's own."""

    def forward(self, x):
        return 2.0 * super().forward(x)


class OwnLoss(nn.MSELoss):
    """A loss of somebody's own."""


@pytest.mark.parametrize(
    ("net", "loss"),
    [
        (nn.Sequential(nn.Linear(5, 3, rng=0), Doubled()), nn.CrossEntropyLoss()),
        (nn.Sequential(nn.Linear(5, 3, rng=0), nn.Dropout(0.5, rng=0)), nn.CrossEntropyLoss()),
        (nn.Sequential(nn.Linear(5, 3, rng=0), nn.BatchNorm1d(3)), nn.CrossEntropyLoss()),
        (nn.Sequential(nn.Sequential(nn.Linear(5, 3, rng=0))), nn.CrossEntropyLoss()),
        (nn.Linear(5, 3, rng=0), nn.CrossEntropyLoss()),
        (nn.Sequential(nn.Linear(5, 3, rng=0)), nn.CrossEntropyLoss(weight=np.ones(3, np.float32))),
        (nn.Sequential(nn.Linear(5, 3, rng=0)), nn.NLLLoss()),
    ],
)
def test_these_are_computed_by_the_formulas(net, loss):
    more = batches(np.random.default_rng(0), 4, 5, 3)
    for _ in range(UNTIL_IN_USE + 1):
        loss_and_gradients(net, loss, *next(more))
    assert plans(net) == []
    assert all(type(p.data) is np.ndarray and type(p.grad) is np.ndarray for p in net.parameters())
    assert all(type(layer.saved) is not Recorded for layer in net.leaves())


def test_a_class_that_was_asked_for_its_annotations_is_as_it_was_defined():
    for cls in (nn.ReLU, nn.Sequential):
        assert cls.__annotations__ == {}  # before 3.14, that puts them into the class
    planned("relu")


def test_a_loss_of_ones_own_is_computed_by_the_formulas():
    net, loss, rng = nn.MLP([5, 3], rng=0), OwnLoss(), np.random.default_rng(0)
    for _ in range(UNTIL_IN_USE + 1):
        loss_and_gradients(net, loss, *(rng.standard_normal((4, k)).astype(np.float32) for k in (5, 3)))
    assert plans(net) == []


def test_a_label_that_is_no_class_is_told_as_by_the_formulas():
    net, loss, more = planned()
    x, y = next(more)
    y[3] = 7
    with pytest.raises(ValueError, match=r"expected labels in 0 \.\. 2, or ignore_index=-100 .*, got 7 in row 3"):
        loss_and_gradients(net, loss, x, y)


def test_a_row_to_leave_out_is_left_out_and_the_plan_goes_on():
    net, loss, more = planned()
    x, y = next(more)
    y[3] = -100
    twin = copy.deepcopy(net)
    assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, nn.CrossEntropyLoss(), x, y)
    assert loss.left_out is not None
    x, y = next(more)
    assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, nn.CrossEntropyLoss(), x, y)
    assert loss.left_out is None
    assert len(plans(net)) == 1


def test_a_choice_that_comes_out_otherwise_while_a_plan_is_tried_puts_it_off():
    net, loss = nn.MLP([5, 3], rng=0), nn.CrossEntropyLoss()
    more = batches(np.random.default_rng(0), 4, 5, 3)
    for step in range(UNTIL_IN_USE + 2):
        x, y = next(more)
        if step == BEFORE:
            y[0] = -100
        loss_and_gradients(net, loss, x, y)
        assert len(plans(net)) == (step > BEFORE)


def test_a_plan_that_gives_other_numbers_is_not_used(monkeypatch):
    run = Plan.run
    monkeypatch.setattr(Plan, "run", lambda self, x, y: run(self, x, y) * (1.0 + 2**-50))
    net, loss = nn.MLP([5, 3], rng=0), nn.CrossEntropyLoss()
    more = batches(np.random.default_rng(0), 4, 5, 3)
    for _ in range(UNTIL_IN_USE + 2):
        loss_and_gradients(net, loss, *next(more))
    assert plans(net) == []


def test_what_the_formulas_keep_quiet_about_is_not_told_by_a_plan_either():
    net = nn.Sequential(nn.Linear(2, 2, bias=False, rng=0), nn.Softmax())
    net[0].weight.data = np.eye(2, dtype=np.float32)
    x, y = np.array([[3e38, -3e38]], np.float32), np.zeros((1, 2), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(UNTIL_IN_USE + 1):
            loss_and_gradients(net, nn.MSELoss(), x, y)


@pytest.mark.parametrize("traced", [True, False])
def test_under_a_debugger_the_formulas_compute(monkeypatch, traced):
    net, loss, more = planned()
    runs: list[int] = []
    run = Plan.run

    def counted(*given):
        runs.append(1)
        return run(*given)

    monkeypatch.setattr(Plan, "run", counted)
    tools: dict[int, str | None] = {0: None}
    monkeypatch.setattr(planning, "MONITORING", SimpleNamespace(DEBUGGER_ID=0, get_tool=tools.get))
    loss_and_gradients(net, loss, *next(more))
    assert runs == [1]
    if traced:
        monkeypatch.setattr(sys, "gettrace", lambda: print)
    else:
        tools[0] = "a debugger that watches without tracing"
    loss_and_gradients(net, loss, *next(more))
    assert runs == [1]


def test_a_network_without_parameters_has_a_plan_too():
    net, loss, more = (
        nn.Sequential(nn.ReLU(), nn.Tanh()),
        nn.CrossEntropyLoss(),
        batches(np.random.default_rng(0), 4, 3, 3),
    )
    twin = copy.deepcopy(net)
    for _ in range(UNTIL_IN_USE + 1):
        x, y = next(more)
        assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, nn.CrossEntropyLoss(), x, y)
    assert len(plans(net)) == 1


def test_no_more_plans_are_kept_than_there_are_shapes_of_batches_in_a_run():
    net, loss, rng = nn.MLP([5, 3], rng=0), nn.CrossEntropyLoss(), np.random.default_rng(0)
    for _ in range(UNTIL_IN_USE + 1):
        for n in range(1, planning.MOST + 3):
            loss_and_gradients(net, loss, *next(batches(rng, n, 5, 3)))
    assert len(plans(net)) == planning.MOST


def test_two_losses_in_turn_have_a_plan_each():
    net, losses = nn.MLP([5, 3], rng=0), (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum"))
    more = batches(np.random.default_rng(0), 4, 5, 3)
    twin = copy.deepcopy(net)
    for _ in range(UNTIL_IN_USE + 1):
        for loss in losses:
            x, y = next(more)
            twin_loss = copy.deepcopy(loss)
            assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, twin_loss, x, y)
            assert state(net, loss) == state(twin, twin_loss)
    assert len(plans(net)) == 2


@pytest.mark.parametrize("what", ["a loss", "a setting"])
def test_who_makes_or_sets_something_at_each_step_does_not_wait_for_plans(monkeypatch, what):
    net, loss, more = nn.MLP([5, 3], rng=0), nn.CrossEntropyLoss(), batches(np.random.default_rng(0), 4, 5, 3)
    begun: list[int] = []

    def counted(*given):
        begun.append(1)
        return OfLoss(*given)

    monkeypatch.setattr(planning, "OfLoss", counted)
    for step in range(2 * planning.MOST_BEGUN):
        if what == "a loss":
            loss = nn.CrossEntropyLoss()
        else:
            net.label_of_this_step = [step]
        loss_and_gradients(net, loss, *next(more))
    assert len(begun) == (planning.MOST if what == "a loss" else planning.MOST_BEGUN)


def test_what_a_user_computes_in_between_does_not_show():
    net, loss, more = planned()
    twin, twin_loss = copy.deepcopy((net, loss))
    for other in (lambda net: net.predict(np.zeros((50, 5), np.float32)), lambda net: net(np.ones((8, 5), np.float32))):
        other(net)
        x, y = next(more)
        assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, twin_loss, x, y)
        assert state(net, loss) == state(twin, twin_loss)


@given(data=st.data(), dtype=our.dtypes)
def test_a_pass_sets_nothing_for_which_other_networks_would_look_again(data, dtype):
    net = data.draw(our.networks(dtype, 4)).train()
    x = np.ones((4, our.in_features(net)), dtype)
    with np.errstate(all="ignore"):
        net.backward_parameters(np.ones_like(net(x)))  # which may make arrays
        before = structure.counts()
        net.backward_parameters(np.ones_like(net(x)))
    assert structure.counts() == before
