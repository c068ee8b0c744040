"""Functions dressed for a call: signatures, contexts, flags; and whose passes they are."""

import inspect
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects import Hints, as_subject
from numpy_nn.subjects.calls.chains import Chain, flat_layers
from numpy_nn.subjects.calls.contexts import Context, with_context
from numpy_nn.subjects.calls.dressing import in_training, value_first, with_derivative, with_input_kept, with_settings
from numpy_nn.subjects.calls.owners import owned
from numpy_nn.subjects.kinds_of_targets import is_layer
from numpy_nn.subjects.parameters.overlapping import is_part_or_vector
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.surrogate import SurrogateSubject

ONES = np.ones((2, 3))


def test_a_forward_pass_with_a_context_returns_it_as_its_cache_with_its_settings():
    def forward(ctx, x, w, mode="max"):
        ctx.save_for_backward(x, w)
        return x * w if mode else x

    dressed = with_context(forward)
    assert positional(dressed) == (["x", "w"], ["mode"])
    output, context = dressed(ONES, 2.0 * ONES)
    np.testing.assert_array_equal(output, 2.0 * ONES)
    assert isinstance(context, Context)
    assert [array[0, 0] for array in context.saved_tensors] == [1.0, 2.0]
    assert vars(context)["mode"] == "max"
    assert not hasattr(context, "x")
    assert dressed(ONES, ONES, "mean")[1].mode == "mean"

    def several(context, x):  # noqa: ARG001, the context is what the test is about
        return x, 2.0 * x

    assert len(with_context(several)(ONES)) == 3
    for other in (np.sin, lambda x, ctx: (x, ctx), None):
        assert with_context(other) is other


def test_a_forward_pass_is_told_to_train_if_it_would_not():
    def forward(x, training=False, train=True, other=False):
        return x, training, train, other

    assert in_training(forward)(1) == (1, True, True, False)
    assert in_training(forward, 2)(1, False) == (1, False, True, False)  # it is told already
    for other in (lambda x, training=True: (x, training), lambda x, flag=False: (x, flag), np.sin, None):
        assert in_training(other) is other


def test_a_forward_pass_is_told_to_keep_what_backward_reads_and_not_its_axes():
    def forward(x, save_inp=False, CACHE=False, keep_dims=False, keepdims=False):
        return x, save_inp, CACHE, keep_dims, keepdims

    assert in_training(forward)(1) == (1, True, True, False, False)


def test_a_function_that_gives_its_derivative_if_told_to_is_two():
    def f(x, derivative=False):
        return ("derivative" if derivative else "value"), x

    both = with_derivative(f)
    assert both is not None
    value, slope = both
    assert (value(1), slope(2)) == (("value", 1), ("derivative", 2))
    assert positional(value) == positional(slope) == (["x"], [])
    for other in (
        lambda x, derivative=True: (x, derivative),
        lambda x, deriv=False, derivative=False: (x, deriv, derivative),
        np.asarray,
        lambda x: x,
    ):
        assert with_derivative(other) is None


def test_backward_gets_the_settings_that_forward_is_given():
    def backward(g, mode="mean", size=1, w=None):
        return g, mode, size, w

    assert with_settings(backward, {"mode": "max", "size": 3, "w": None, "g": "no"})(0) == (0, "max", 3, None)
    assert with_settings(backward, {"w": None}) is backward


def test_arrays_that_forward_is_given_stand_after_those_that_backward_needs():
    def backward(g, mode="mean", w=None, ids=None):
        return g, mode, w, ids

    dressed = with_settings(backward, {"mode": "max", "w": ONES, "ids": np.arange(2)})
    assert positional(dressed) == (["g", "w"], [])
    g, mode, w, ids = dressed(0, 2.0 * ONES)
    assert (g, mode) == (0, "max")
    np.testing.assert_array_equal(w, 2.0 * ONES)
    np.testing.assert_array_equal(ids, np.arange(2))


def test_no_backward_pass_gets_no_settings():
    assert with_settings(None, {"mode": "max"}) is None


@pytest.mark.parametrize(
    ("result", "turned"),
    [
        ((ONES, 1.0), True),
        (([ONES], np.float64(1.0)), True),
        (({"a": ONES}, np.array(1.0)), True),
        ((1.0, ONES), False),
        ((ONES, 1), False),
        ((ONES, np.ones(1)), False),
        ((ONES, 1.0, 2.0), False),
        ((2.0, 1.0), False),
        ([ONES, 1.0], False),
    ],
)
def test_gradients_that_come_before_the_value_are_put_after_it(result, turned):
    found = value_first(lambda: result)()
    assert (found is not result) == turned
    if turned:
        assert found[0] is result[1]
        assert found[1] is result[0]


class Twice:
    """2 x, that keeps its output and the gradient of its input, or returns them."""

    def __init__(self, *, keeps):
        self.keeps = keeps

    def forward(self, x):
        self.output = 2.0 * x
        return None if self.keeps else self.output

    def backward(self, g):
        self.dinputs = 2.0 * g
        return None if self.keeps else (self.dinputs, "more")


def test_layers_in_lists_are_one_after_the_other():
    layers = [Twice(keeps=True), [Twice(keeps=False), (Twice(keeps=True),)]]
    assert [layer.keeps for layer in flat_layers(layers)] == [True, False, True]
    chain = Chain(layers)
    np.testing.assert_array_equal(chain.forward(ONES), 8.0 * ONES)
    np.testing.assert_array_equal(chain.backward(ONES), 8.0 * ONES)


def test_layers_of_a_chain_return_their_results_or_keep_them():
    class Returns:
        def forward(self, x):
            return x + 1.0

        def backward(self, g):
            return 2.0 * g, "of its weights"

    class Keeps:
        def forward(self, x):
            self.output = 3.0 * x

        def backward(self, g):
            self.dx = 5.0 * g

    class Both(Keeps):
        """Returns other things than it keeps."""

        def forward(self, x):
            super().forward(x)
            return -x

        def backward(self, g):
            super().backward(g)
            return -g

    one = np.ones(2)
    for layers, output, gradient in (
        ([Returns()], 2.0, 2.0),
        ([Keeps()], 3.0, 5.0),
        ([Both()], -1.0, -1.0),
        ([Returns(), [Keeps(), Returns()]], 7.0, 20.0),
        ([Keeps(), Returns(), Both()], -4.0, -10.0),
    ):
        chain = Chain(layers)
        np.testing.assert_array_equal(chain.forward(one), output * one)
        np.testing.assert_array_equal(chain.backward(one), gradient * one)


def test_a_layer_is_an_object_with_both_passes():
    class Forward:
        def forward(self, x):
            return x

    def function(x):
        return x

    for name in ("forward", "backward"):
        setattr(function, name, function)
    assert is_layer(Twice(keeps=True))
    for other in (Twice, Forward(), function, 1.0):
        assert not is_layer(other)


def test_methods_of_one_object_are_those_of_its_copy():
    class Layer:
        def __init__(self):
            self.w = ONES

        def forward(self, x):
            return x * self.w

        def backward(self, g):
            return g * self.w

        def loss(self, x):
            return x

        other = forward

    layer = Layer()
    both: Any = owned(layer.forward, layer.backward)
    assert both.owner is both.forward.__self__ is both.backward.__self__ is not layer
    assert (both.forward.__name__, both.backward.__name__, both.entirely) == ("forward", "backward", True)
    alone: Any = owned(layer.forward, None)
    assert alone.backward is None
    assert alone.owner is alone.forward.__self__ is not layer
    assert not alone.entirely
    assert owned(layer.loss, None).entirely
    assert not owned(layer.loss, Layer().backward).entirely
    assert owned(np.sin, np.cos) == (np.sin, np.cos, None, False)
    apart = owned(layer.forward, Layer().backward)
    assert apart.owner is None


@pytest.mark.parametrize(
    ("shape", "of", "counts"),
    [
        ((3,), (4,), True),
        ((6,), (2, 3), True),
        ((2, 3), (6,), True),
        ((2, 3), (2, 3), False),
        ((3, 2), (2, 3), False),
        ((1, 2, 3), (2, 3), False),
        ((2, 3), (1, 2, 3), False),
        ((6,), (6,), False),
    ],
)
def test_a_part_and_a_flat_vector_are_more_than_the_same_numbers_in_another_order(shape, of, counts):
    assert is_part_or_vector(np.zeros(shape), np.zeros(of)) == counts


def test_evaluations_of_a_surrogate_are_those_of_both():
    subject = SurrogateSubject(as_subject((np.sign, lambda x, g: g * x), (ONES,), None, Hints()), lambda x: x)
    before = subject.evaluations
    subject.output()
    assert subject.evaluations == before + 1
    subject.gradients(ONES)
    # The output of the target, to see its shape, and that before its backward pass.
    assert subject.evaluations == before + 3


def test_a_dressed_function_shows_the_signature_of_another():
    assert list(inspect.signature(with_context(lambda ctx, a, b: (ctx, a, b))).parameters) == ["a", "b"]


class Filled:
    """A layer whose input is kept by what trains it, and not by itself."""

    def __init__(self, **kept):
        self._input: Any = None
        self.W, self.factor = np.full((3, 2), 0.5), 1.0
        vars(self).update(kept)

    def forward(self, x):
        self.output = np.tanh(x @ self.W)
        return self.output

    def backward(self, grad):
        dz = grad * (1 - self.output**2)
        self.dW = self.factor * self._input.T @ dz
        return dz @ self.W.T


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (3.0, "wrong")])
def test_a_place_for_the_input_that_forward_leaves_empty_is_filled(factor, verdict):
    report = check_gradients(Filled(factor=factor), np.linspace(-1.0, 1.0, 12).reshape(4, 3))
    assert (report["W"].verdict, report["x"].verdict) == (verdict, "right"), report


def failing(x):
    raise OSError(x)


@pytest.mark.parametrize(
    "target",
    [
        SimpleNamespace(forward=len),  # none
        SimpleNamespace(forward=len, x=1.0),  # one that holds something
        SimpleNamespace(forward=len, x=None, input=None),  # two
        SimpleNamespace(forward=failing, x=None),
    ],
)
def test_any_other_forward_pass_is_called_as_it_is(target):
    assert with_input_kept(target, target.forward, ONES) is target.forward
    assert with_input_kept(target, None, ONES) is None


def test_the_trial_whether_an_input_is_kept_leaves_it_as_it_is():
    target = SimpleNamespace(x=None)

    def doubles(x):
        x *= 2.0
        return x

    given = ONES.copy()
    assert with_input_kept(target, doubles, given) is not doubles
    np.testing.assert_array_equal(given, ONES)
    # A number is no array that is copied.
    with_input_kept(target, lambda x: x, 3.0)(5.0)
    assert target.x == 5.0


def test_an_input_that_forward_keeps_is_its_own():
    target = Filled()
    assert with_input_kept(target, lambda x: setattr(target, "_input", x), ONES).__name__ == "<lambda>"
    assert target._input is None


def logistic(z, a=None, derivative=False):
    return a * (1 - a) if derivative else 1 / (1 + np.exp(-z))


def slipped(z, a=None, derivative=False):
    return a * (2 - a) if derivative else 1 / (1 + np.exp(-z))


def rectified(z, a=None, derivative=False):  # noqa: ARG001 - user code has the argument and does not use it
    """One that works in place, and needs no output."""
    if derivative:
        return z > 0
    z[z < 0] = 0
    return z


@pytest.mark.parametrize(
    ("function", "verdict"),
    [(logistic, "right"), (slipped, "wrong"), (rectified, "right")],
    ids=lambda one: str(getattr(one, "__name__", one)),
)
def test_a_derivative_by_a_flag_may_want_the_output_beside_the_input(function, verdict):
    assert check_gradients(function, np.random.default_rng(0).standard_normal((5, 4))).verdict == verdict
