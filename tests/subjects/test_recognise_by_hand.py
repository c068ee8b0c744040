"""From what is handed over to what is called: arguments by their names, losses, and what is tried in which order."""

from types import SimpleNamespace

import numpy as np
import pytest
from stand_ins import script, stand_in

from numpy_nn.subjects import agreement, names
from numpy_nn.subjects.arrays.places import _same_memory
from numpy_nn.subjects.calls import arguments
from numpy_nn.subjects.calls.calling import GRADS, CalledCode, Convention, _is_array_like
from numpy_nn.subjects.calls.costs import HandedOn, LossOfOutput, cost_beside, number_of_samples
from numpy_nn.subjects.calls.usual_costs import usual_costs
from numpy_nn.subjects.losses import loss_objects, unsaid

ONE = np.ones(3)


# Arguments by their names.


@pytest.mark.parametrize(
    ("function", "inputs", "targets", "found"),
    [
        (lambda x: x, (1,), None, ["x=1"]),
        (lambda x, w: x * w, (1, 2), None, ["x=1", "w=2"]),
        (lambda x, y: x * y, (1,), 9, ["x=1", "y=9"]),
        # A target is where the names want it.
        (lambda y_true, y_pred: y_true * y_pred, (1,), 9, ["y_pred=1", "y_true=9"]),
        (lambda t, y: t * y, (1,), 9, ["y=1", "t=9"]),
        (lambda y, t: t * y, (1,), 9, ["y=1", "t=9"]),
        (lambda y, a: y * a, (1,), 9, ["a=1", "y=9"]),
        (lambda y, t: y * t, (1,), 9, ["y=1", "t=9"]),
        (lambda y, a, w=0: y * a * w, (1,), 9, ["a=1", "y=9"]),
        (lambda a, y, t=0: y * a * t, (1,), 9, ["a=1", "y=9"]),
        (lambda labels: labels, (1,), 9, ["input=1", "targets=9"]),
        (lambda y, a, w: y * a * w, (1, 2), 9, ["a=1", "w=2", "y=9"]),
        (lambda a, y, w: y * a * w, (1, 2), 9, ["a=1", "w=2", "y=9"]),
        (lambda a, w, y: y * a * w, (1, 2), 9, ["a=1", "w=2", "y=9"]),
        (lambda a, b, c: a * b * c, (1, 2), 9, ["a=1", "b=2", "c=9"]),
        # Settings have their usual values, and no names are made up where there are some.
        (lambda x, training: x * training, (1,), None, ["x=1", "training=True"]),
        (lambda x, mode, w=1: x * mode * w, (1,), None, ["x=1", "mode=train"]),
        (lambda *x: x, (1, 2), None, ["input=1", "input 1=2"]),
        (lambda *x: x, (1,), 9, ["input=1", "targets=9"]),
        (lambda *x: x, (1, 2), 9, ["input=1", "input 1=2", "input 2=9"]),
    ],
)
def test_arguments_are_called_as_the_function_calls_them(function, inputs, targets, found):
    assert [f"{name}={value}" for name, value in arguments.named_arguments(function, inputs, targets).items()] == found


def test_a_function_that_wants_more_is_not_called():
    with pytest.raises(TypeError, match="expected x, w, b, got 1 of them"):
        arguments.named_arguments(lambda x, w, b: x * w * b, (1,), None)
    with pytest.raises(TypeError, match="got 2 of them"):
        arguments.named_arguments(lambda x, w, training, b: x * w * b * training, (1,), 2)


@pytest.mark.parametrize(
    ("last", "own", "found"),
    [
        (2, ["a", "w", "y"], ["a", "w", "y"]),
        (2, ["y", "a", "w"], ["a", "w", "y"]),
        (2, ["a", "y", "w"], ["a", "w", "y"]),
        (1, ["y", "a", "w"], ["a", "y", "w"]),
        (1, ["a", "w", "y"], ["a", "w", "y"]),
        (2, ["y", "t", "w"], ["y", "t", "w"]),
        (2, ["a", "b", "c"], ["a", "b", "c"]),
    ],
)
def test_a_target_that_alone_is_called_so_goes_to_its_place(last, own, found):
    assert names.with_target_at(last, own) == found


@pytest.mark.parametrize(
    ("function", "number", "takes"),
    [
        (lambda x: x, 1, True),
        (lambda x: x, 0, False),
        (lambda x: x, 2, False),
        (lambda x, w=1: x * w, 2, True),
        (lambda x, w=1: x * w, 1, True),
        (lambda x, w=1: x * w, 3, False),
        (lambda x, training: x * training, 1, True),
        (lambda x, training=True: x * training, 2, False),
        (lambda *x: x, 7, True),
    ],
)
def test_how_many_arguments_a_function_takes(function, number, takes):
    assert arguments.takes(function, number) == takes


@pytest.mark.parametrize(
    ("function", "wants"),
    [
        (lambda dout: dout, True),
        (lambda x, grad: x * grad, True),
        (lambda x, y: x * y, False),
        (lambda dout, y: dout * y, False),
        (lambda x: x, False),
        (lambda *x: x, False),
    ],
)
def test_whether_a_function_wants_a_gradient(function, wants):
    assert unsaid.wants_gradient(function) == wants


def forward(x):
    return x


@pytest.mark.parametrize(
    ("loss", "given", "number", "found"),
    [
        (lambda x, t=None: x * t, forward, 1, "loss"),
        (lambda x, w=None: x * w, forward, 1, "forward"),
        (lambda x, t: x * t, forward, 1, "forward"),
        (lambda x, t=None: x * t, forward, 2, None),
        (None, forward, 1, "forward"),
        (None, forward, 2, None),
        (None, None, 1, None),
    ],
)
def test_what_gives_the_output_for_the_inputs_alone(loss, given, number, found):
    target = SimpleNamespace() if loss is None else SimpleNamespace(loss=loss)
    expected = {"loss": loss, "forward": forward, None: None}[found]
    assert loss_objects.predictor(target, given, number) is expected


@pytest.mark.parametrize(
    ("of_forward", "value", "gradient", "ways"),
    [
        (lambda x: x, lambda x, y: x * y, True, [True, "chain", "chain"]),
        (lambda x, y: x * y, lambda a, b, c: a * b * c, True, [True]),
        (lambda x: x, None, True, []),
        (lambda x, y: x * y, None, True, [True]),
        (None, lambda x, y: x * y, True, [True]),
        (None, lambda x, y: x * y, False, [False]),
        (lambda x: x, lambda x, y: x * y, False, [False, "chain"]),
        (lambda x: x, lambda x: x, True, []),
    ],
)
def test_the_ways_to_a_loss(of_forward, value, gradient, ways):
    backward = (lambda g: g) if gradient else None
    found = list(loss_objects.ways_to_a_loss(of_forward, value, backward, None, 1))
    chains = [isinstance(getattr(function, "__self__", None), LossOfOutput) for function, _ in found]
    assert chains == [way == "chain" for way in ways]
    for (function, own), way in zip(found, ways, strict=True):
        if way is True:
            assert function in (value, of_forward)
            assert own is backward
        if way == "chain" and not gradient:
            assert own is None
    if chains.count(True) == 2:
        assert found[-2][1] is backward
        chain = getattr(found[-1][0], "__self__", None)
        assert isinstance(chain, LossOfOutput)
        assert isinstance(found[-1][1], HandedOn)


@pytest.mark.parametrize(
    ("x", "one"), [((ONE, 2.0), False), ((1.0, 2.0), True), ((), True), (ONE, True), ((None, 1.0), False)]
)
def test_what_is_one_argument(x, one):
    assert (arguments.several(x) is not x) == one
    assert len(arguments.several(x)) == (1 if one else 2)


# Losses.


@pytest.mark.parametrize(
    ("x", "output", "number"),
    [
        ((5, 3), (5, 2), 5),
        ((3, 5), (2, 5), 5),
        ((3, 5), (3, 5), 3),
        ((5, 5), (5, 5), 5),
        ((3, 5), (3, 2), 3),
        ((3, 5), (5,), 3),
        ((3, 5, 2), (2, 5, 2), 3),
        ((3, 5), (2, 4), 3),
        ((4,), (4,), 4),
        ((), (), 1),
    ],
)
def test_the_number_of_samples(x, output, number):
    assert number_of_samples(np.zeros(x), np.zeros(output)) == number


A = np.array([[0.2, 0.8], [0.7, 0.3], [0.5, 0.5]])
HOT, LABELS = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]), np.array([1, 0, 1])


def test_the_losses_of_books():
    squares = (0.2**2 + 0.2**2) + (0.3**2 + 0.3**2) + (0.5**2 + 0.5**2)
    logs = -np.log(0.8) - np.log(0.7) - np.log(0.5)
    sums = {
        "sum((a - y)^2) / 2": squares / 2.0,
        "sum((a - y)^2)": squares,
        "-sum(y log a + (1 - y) log(1 - a))": 2.0 * logs,
        "-sum(y log a)": logs,
    }
    costs = dict(usual_costs((3, 2, 3)))
    assert len(costs) == len(list(usual_costs((3, 2)))) == 6 + 2 * 6 + 1 + 8 + 2 * 8
    for formula, value in sums.items():
        assert costs[formula](A, HOT) == pytest.approx(value)
        assert costs[f"{formula} / n, with n = 3"](A, HOT) == pytest.approx(value / 3.0)
        assert costs[f"{formula} / n, with n = 2"](A, HOT) == pytest.approx(value / 2.0)
    for formula in list(sums)[:3]:
        assert costs[formula](A, LABELS) == pytest.approx(sums[formula])
    assert costs["mean((a - y)^2)"](A, HOT) == pytest.approx(squares / 6.0)
    assert costs["mean((a - y)^2)"](A, LABELS) == pytest.approx(squares / 6.0)
    assert costs["-sum(log a[label])"](A, LABELS) == pytest.approx(logs)
    for wrong in (HOT, LABELS.astype(float), LABELS[:1]):
        with pytest.raises(ValueError, match="a label for each row"):
            costs["-sum(log a[label])"](A, wrong)


def module(*losses):
    """A function in a module of its own, beside functions of these names and arguments."""
    code = "\n".join([f"def {name}({arguments}): return 0.0" for name, arguments in losses])
    space = script(f"def forward(x, w): return x\n{code}")
    return space, space["forward"]


@pytest.mark.parametrize(
    ("losses", "found"),
    [
        ([("loss", "a, y")], "loss"),
        ([("loss", "a, y, w")], "loss"),
        ([("loss", "a, y, x, w")], "loss"),
        ([("loss", "a, y, v")], None),
        ([("loss", "a")], None),
        ([("loss", "a, y"), ("cost", "a, y")], None),
        ([("loss", "a, y"), ("cost", "a")], "loss"),
        ([("distance", "a, y")], None),
        ([], None),
    ],
)
def test_the_one_loss_in_the_same_file(losses, found):
    space, function = module(*losses)
    assert cost_beside(function) == (None if found is None else (found, space[found]))
    if found is not None:
        assert cost_beside(space[found]) is None
        space[found].__module__ = "elsewhere"
        assert cost_beside(function) is None


def test_what_backward_is_given_of_a_chain():
    for returned, output, rest in (
        (ONE, ONE, ()),
        ((ONE, 2.0), ONE, [2.0]),
        ([ONE, 2.0 * ONE], [ONE, 2.0 * ONE], ()),
        ([ONE, np.ones(2)], ONE, ()),
    ):
        chain = LossOfOutput(lambda _, returned=returned: returned, lambda a, t: (np.sum(a) * t, "gradient"))
        with pytest.raises(TypeError, match="returns no gradient"):
            chain.handed_on(repr)()
        assert list(chain.run(1.0)) == list(rest)
        np.testing.assert_array_equal(chain.output, output)
        assert not chain.may_be_the_last
    value = chain.loss(1.0, 2.0)
    assert value == 6.0
    assert chain.handed_on(repr)() == "'gradient'"


@pytest.mark.parametrize(
    ("parts", "last"),
    [
        ([np.ones((2, 2)), np.ones((2, 3)), "cache"], 1),
        ([np.ones((2, 2)), "cache", np.ones((2, 3))], 0),
        (["cache", np.ones((2, 3))], 0),
        ([np.ones((2, 2)), np.ones(3)], 0),
        ([np.ones((2, 2)), np.ones((2, 3))], 1),
    ],
)
def test_of_the_matrices_of_all_layers_the_last_may_be_the_output(parts, last):
    chain = LossOfOutput(lambda _: tuple(parts), lambda a, _: a, takes_last=True)
    chain.run(1.0)
    assert chain.output is parts[last]
    assert chain.may_be_the_last == (last > 0)


@pytest.mark.parametrize(
    ("loss", "order"),
    [
        (lambda a, y: (a, y), ["out", "t"]),
        (lambda y_true, y_pred: (y_true, y_pred), ["t", "out"]),
        (lambda y_true, y_pred, w: (y_true, y_pred, w), ["t", "out", 5]),
        (lambda a, y, v, w: (a, y, v, w), ["out", "t", 5]),
        (lambda t, y: (t, y), ["t", "out"]),
        (lambda y, t: (y, t), ["out", "t"]),
        (lambda *a: a, ["out", "t"]),
    ],
)
def test_a_loss_has_its_arguments_in_the_order_of_its_names(loss, order):
    chain = LossOfOutput(lambda x, w: x * w, loss, ["x", "w"])
    chain.output, chain.inputs = "out", (3, 5)
    assert chain._in_order(loss, "t", {"x": 3, "w": 5}) == order
    assert chain.value_of(lambda *given: list(given), "t") == ["out", "t"]


# Calls.


@pytest.mark.parametrize(
    ("owner", "arguments", "runs"),
    [
        (object(), ("x", "t"), True),
        (object(), ("x", GRADS), False),
        (object(), ("t",), False),
        (object(), (), False),
        (object(), None, False),
        (None, ("x", "t"), False),
        (None, ("x", GRADS), False),
    ],
)
def test_a_method_that_is_given_inputs_and_no_gradient_runs_forward(owner, arguments, runs):
    subject = stand_in(convention=Convention(("x", "t"), arguments=arguments), _owner=owner, _targets_name="t")
    assert vars(CalledCode)["_runs_forward"].fget(subject) == runs


def test_two_arrays_are_of_the_same_memory_if_they_are_alike_and_begin_there():
    array = np.zeros((2, 3))
    assert _same_memory(array, array[:])
    for other in (array.copy(), array[:1], array.T, array.view(np.int64), array[1:]):
        assert not _same_memory(array, other)


@pytest.mark.parametrize(
    ("thing", "like"), [(ONE, True), ([1.0], True), ([1], False), ("a", False), ([ONE, [1.0]], False)]
)
def test_what_is_like_an_array_holds_floats(thing, like):
    assert _is_array_like(thing) == like
    assert not _is_array_like([thing, [1.0, 2.0]])


# Agreement.


def test_agreement_is_looked_for_at_inputs_of_other_signs_and_sizes():
    subject = SimpleNamespace(arrays={"x": np.linspace(1.0, 2.0, 400)}, input="x", targets=None)
    home = subject.arrays["x"].copy()
    found = [moved["x"] for moved in agreement._other_inputs(subject)]
    scaled = [x / home for x in found if np.ptp(x / home) < 1e-12]
    assert [float(x[0]) for x in scaled] == pytest.approx([-1.0, 4.0, -4.0])
    random = [float(np.sqrt(np.mean(x**2))) for x in found if np.ptp(x / home) > 1.0]
    np.testing.assert_allclose(random, [1.0, 1.0, 1.0, 30.0], rtol=0.15)
    subject.input = "y"
    assert list(agreement._other_inputs(subject)) == []
