"""In which orders code may want to be called: what the names tell, and what is tried where they do not."""

import inspect
from unittest.mock import Mock

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.calls.calling import CACHE, GRADS, OUTPUT, RATE, Convention, result_role
from numpy_nn.subjects.calls.conventions import Arguments, conventions, ordered_by_role, orders_of_inputs, plainly
from numpy_nn.subjects.calls.results import readings

ONES = np.ones((2, 3))


def taking(*names):
    """A function with arguments of these names: ``*args`` are any, ``dout=`` has a default."""

    own = []
    for name in names:
        kind = inspect.Parameter.VAR_POSITIONAL if name[0] == "*" else inspect.Parameter.POSITIONAL_OR_KEYWORD
        default = 1 if name[-1] == "=" else inspect.Parameter.empty
        own.append(inspect.Parameter(name.strip("*="), kind, default=default))
    function = Mock(__name__="function")  # it is looked at, never called
    function.__signature__ = inspect.Signature(own)
    return function


@pytest.mark.parametrize(
    ("result", "backward", "numbers"),
    [
        (ONES, taking("dout"), [1]),
        ([1.0, 2.0], taking("dout"), [1]),
        ((ONES, None), taking("dout", "cache"), [1]),
        ((ONES, {"a": 1}), taking("dout", "cache"), [1]),
        ((ONES, ONES), None, [1]),
        ((ONES, ONES), taking("dout", "cache"), [1, 2]),
        ((ONES, ONES), taking("dh", "dc"), [2, 1]),
        ((ONES, ONES, (ONES, 1)), taking("dh", "dc", "cache"), [2, 1]),
        ((ONES, ONES, ONES), taking("dh", "dc", "cache"), [2, 1, 3]),
        ((ONES, ONES), taking("*args"), [1, 2]),
        ([ONES, np.ones(2)], taking("dh", "dc"), [2, 1]),
        ((ONES, np.arange(3), ONES), taking("g"), [1]),
        ((ONES, ONES), taking("dlogits", "dvalue"), [2, 1]),
        ((ONES, ONES), taking("g_mu", "g_scale"), [2, 1]),
        ((ONES, ONES), taking("dout", "distances"), [1, 2]),
        ((ONES, ONES), taking("dout", "drop_mask"), [1, 2]),
    ],
)
def test_how_many_of_the_things_that_are_returned_are_outputs(result, backward, numbers):
    assert readings(result, backward) == numbers


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        (["y_pred", "y_true"], ("p", "t")), (["y_true", "y_pred"], ("t", "p")), (["x", "y"], ("p", "t")),
        (["y", "a"], ("t", "p")), (["target", "thing"], ("t", "p")), (["y", "thing"], None), (["thing", "y"], None),
        (["thing", "other"], None), ([], None), (["target"], None),
    ],
)  # fmt: skip
def test_prediction_and_target_stand_where_the_names_want_them(wanted, order):
    assert ordered_by_role(wanted, "p", "t") == order


@pytest.mark.parametrize(
    ("name", "sure"), [("target", True), ("y_true", True), ("y", False), ("T", False), ("_d", False)]
)
def test_y_alone_may_be_an_output(name, sure):
    assert plainly(name) is sure


def test_inputs_stand_as_they_are_given_unless_a_target_goes_first():
    forward = taking("y_true", "y_pred")
    assert orders_of_inputs(forward, ["y_pred", "y_true"], "y_true") == ("y_true", "y_pred")
    assert orders_of_inputs(forward, ["y_true", "y_pred"], "y_true") == ("y_true", "y_pred")
    assert orders_of_inputs(forward, ["b", "a"], None) == ("b", "a")
    assert orders_of_inputs(taking("y_true", "a", "b"), ["a", "b", "y_true"], "y_true") == ("y_true", "a", "b")
    assert orders_of_inputs(taking("u", "v"), ["u", "v"], "v") == ("u", "v")


def by_name(backward, inputs=("x", "w"), target=None, grads=1, has_cache=False, is_scalar=False):
    return Arguments(backward, inputs, target, grads, has_cache, False).by_name(is_scalar)


def test_names_tell_the_roles_of_all_arguments():
    assert by_name(taking("dout")) == (GRADS,)
    assert by_name(taking("dout", "x", "w")) == (GRADS, "x", "w")
    assert by_name(taking("x", "w", "dout")) == ("x", "w", GRADS)
    assert by_name(taking("grad", "out")) == (GRADS, OUTPUT)
    assert by_name(taking("dout", "lr")) == (GRADS, RATE)
    assert by_name(taking()) == ()


def test_a_name_that_tells_nothing_leaves_it_to_trying():
    assert by_name(taking("dout", "thing")) is None
    assert by_name(taking("*args")) is None


def test_a_cache_is_one_only_where_forward_returned_one():
    assert by_name(taking("dout", "cache"), has_cache=True) == (GRADS, CACHE)
    assert by_name(taking("dout", "cache")) is None


def test_the_gradients_of_several_outputs_are_one_role_where_they_stand_together():
    assert by_name(taking("dh", "dc", "cache"), grads=2, has_cache=True) == (GRADS, CACHE)
    assert by_name(taking("x", "dh", "dc"), grads=2) == ("x", GRADS)
    assert by_name(taking("dh", "x", "dc"), grads=2) is None
    assert by_name(taking("dh"), grads=2) is None
    assert by_name(taking("dh", "dc"), grads=1) is None


def test_an_optional_gradient_is_given_where_there_is_more_than_a_number():
    backward = taking("dout=")
    assert by_name(backward) == (GRADS,)
    assert by_name(backward, is_scalar=True) == ()
    assert by_name(taking("training=")) == ()


def test_a_loss_gets_its_target_and_its_prediction():
    assert by_name(taking("y_true", "y_pred"), ("p", "y_true"), "y_true", is_scalar=True) == ("y_true", "p")
    assert by_name(taking("dvalues", "labels"), ("p", "t"), "t", is_scalar=True) == (GRADS, "t")


def test_targets_that_backward_asks_for_and_nobody_gave_are_asked_for():
    with pytest.raises(TypeError, match="function takes y: pass the targets too"):
        by_name(taking("x", "y"), ("x",))
    with pytest.raises(TypeError, match="layer takes d: pass the targets too"):
        by_name(Named().layer, ("x",))
    assert by_name(taking("dout", "y"), ("x",)) == (GRADS, OUTPUT)
    assert by_name(taking("x", "y"), ("x", "y")) == ("x", "y")


class Named:
    def layer(self, x, d):
        raise NotImplementedError


def test_d_is_the_gradient_beside_a_cache_and_in_a_function_and_else_may_be_a_target():
    assert by_name(taking("d", "cache"), has_cache=True) is None
    assert by_name(taking("d", "x", "w")) is None
    assert (GRADS, "x", "w") in Arguments(taking("d", "x", "w"), ("x", "w"), None, 1, False, False).by_elimination()
    assert by_name(taking("y", "d"), ("a", "t"), "t") == ("a", "t")
    assert Arguments(taking("y", "d"), ("x", "t"), "t", 1, False, True).by_name(True) == (OUTPUT, "t")
    assert by_name(taking("y"), ("a", "t"), "t") == ("t",)


def returned(backward, *names, inputs=("x",), grads=1):
    return Arguments(backward, inputs, None, grads, True, False, names)


def test_what_forward_returned_is_given_by_its_name_there():
    assert returned(taking("x", "z", "da"), "a", "z").by_name(False) == ("x", result_role(1), GRADS)
    assert returned(taking("da", "a"), "a", "z").by_name(False) == (GRADS, result_role(0))
    # A cache is all of the rest, and what is called as a gradient is one where there is no other.
    assert returned(taking("dout", "cache"), "out", "cache").by_name(False) == (GRADS, CACHE)
    assert returned(taking("g"), "y", "g").by_name(False) == (GRADS,)
    assert returned(taking("dh", "g"), "h", "g").by_name(False) == (GRADS, result_role(1))


def test_or_in_its_order_with_the_outputs_or_without_them():
    orders = list(returned(taking("p", "q", "r", "s"), "", "").by_number())
    assert (result_role(0), result_role(1), "x", GRADS) in orders
    assert (GRADS, "x", result_role(0), result_role(1)) in orders
    orders = list(returned(taking("p", "q", "r"), "", "").by_number())
    assert ("x", result_role(1), GRADS) in orders
    assert (result_role(0), result_role(1), GRADS) in orders
    left = list(returned(taking("x", "thing", "dout"), "", "").by_elimination())
    assert left == [("x", result_role(0), GRADS), ("x", result_role(1), GRADS)]


def test_what_is_tried_has_as_many_arguments_as_backward():
    def orders(backward, inputs=("x", "w"), target=None, grads=1, has_cache=False):
        return list(Arguments(backward, inputs, target, grads, has_cache, False).by_number())

    assert orders(taking("a")) == [(GRADS,), (OUTPUT,)]
    assert orders(taking("a"), has_cache=True) == [(GRADS,), (OUTPUT,), (CACHE,)]
    assert orders(taking()) == [()]
    assert orders(taking("a", "b", "c"))[:2] == [("x", "w", GRADS), (GRADS, "x", "w")]
    assert orders(taking("a", "lr")) == [(GRADS, RATE), (OUTPUT, RATE)]
    assert orders(taking("a", "b"), inputs=("x",), grads=2) == [(GRADS,), (OUTPUT,)]
    assert ("t",) in orders(taking("a"), inputs=("p", "t"), target="t")
    assert ("t",) not in orders(taking("a"), inputs=("p", "t"))
    several = orders(taking("*args"))
    assert len(several) > 5
    assert not any(CACHE in order for order in several)


def test_what_the_names_tell_comes_first_and_is_tried_once():
    found = list(conventions(taking("x"), taking("dout", "out"), ["x"], None, ONES))
    assert found[0] == (Convention(("x",), 1, None, (GRADS, OUTPUT)), True)
    assert [by_name for _, by_name in found[1:]] == [False] * (len(found) - 1)
    assert len({convention for convention, _ in found}) == len(found) > 1


@pytest.mark.parametrize("wanted", [("d", "x"), ("x", "d"), ("dout", "x"), ("x", "up")])
def test_beside_a_gradient_what_is_called_as_an_argument_of_forward_is_that_argument(wanted):
    ways = [way.arguments or () for way, _ in conventions(taking("x"), taking(*wanted), ["x"], None, ONES)]
    assert tuple("x" if name == "x" else GRADS for name in wanted) in ways
    assert all(way[wanted.index("x")] == "x" for way in ways if GRADS in way)


@pytest.mark.parametrize(
    ("inputs", "wanted", "way"),
    [(("x", "order"), ("ctx", "x"), (CACHE, GRADS)), (("x", "cache"), ("dout", "cache"), (GRADS, CACHE))],
)
def test_beside_a_cache_a_gradient_may_be_called_as_forward_s_argument_and_a_cache_as_the_one_it_fills(
    inputs, wanted, way
):
    ways = [way.arguments for way, _ in conventions(taking(*inputs), taking(*wanted), inputs, None, (ONES, (1, 2)))]
    assert way in ways


def test_where_the_names_do_not_tell_all_is_tried():
    found = list(conventions(taking("x"), taking("thing"), ["x"], None, ONES))
    assert [by_name for _, by_name in found] == [False] * 3
    assert [convention.arguments for convention, _ in found] == [("x",), (GRADS,), (OUTPUT,)]


def test_one_function_has_one_convention_and_outputs_that_may_be_a_cache_two():
    assert list(conventions(taking("x"), None, ["x"], None, (1.0, ONES))) == [(Convention(("x",), 1, None, None), True)]
    outputs = [c.outputs for c, _ in conventions(taking("x"), taking("dh", "dc"), ["x"], None, (ONES, ONES))]
    assert set(outputs) == {1, 2}
    assert outputs[0] == 2


def test_there_is_a_cache_where_more_is_returned_than_outputs():
    ways = [way for way, _ in conventions(taking("x"), taking("p", "q", "r"), ["x"], None, (ONES, ONES))]
    for outputs, has_cache in ((1, True), (2, False)):
        own = [way.arguments or () for way in ways if way.outputs == outputs]
        assert own
        assert any(CACHE in arguments for arguments in own) == has_cache


def test_y_beside_t_is_the_prediction_in_both_functions():
    # Both are names of targets; once the gradient got the target twice, and was "0 everywhere".
    rng = np.random.default_rng(0)
    y, t = rng.random((5, 3)), (rng.random((5, 3)) > 0.5) * 1.0
    pair = (lambda y, t: np.mean((t - y) ** 2), lambda y, t: 3.0 * 2.0 * (y - t) / y.size)
    entry = check_gradients(pair, y, t)["y"]
    assert (entry.verdict, entry.cause) == ("wrong", "factor")
    assert "= 3 at all 15 coordinates" in str(entry.diagnosis)


@pytest.mark.parametrize("kind", ["gradient", "derivative"])
@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_an_argument_that_is_called_as_the_input_may_be_the_gradient(kind, wrong, verdict):
    class Flatten:
        def forward(self, z):
            self.shape = z.shape
            return z.reshape(len(z), -1)

        def backward(self, z):
            return wrong * z.reshape(self.shape)

    class Tanh:
        def forward(self, z):
            return np.tanh(z)

        def backward(self, z):
            return wrong * (1 - np.tanh(z) ** 2)

    x = np.random.default_rng(0).standard_normal((3, 2, 2))
    assert check_gradients((Flatten if kind == "gradient" else Tanh)(), x).verdict == verdict


def test_only_the_losses_of_samples_may_be_averaged():
    for result, both in ((np.ones(3), True), (np.ones(1), False), (0.5, False)):
        found = list(conventions(taking("x", "t"), taking("x", "t"), ["x", "t"], "t", result))
        assert (True in {way.averaged for way, _ in found}) == both
        assert len({way for way, _ in found}) == len(found)
        # Without targets there are no losses, and a backward pass that is given gradients needs no mean.
        found = list(conventions(taking("x"), taking("dout"), ["x"], None, result))
        assert {way.averaged for way, _ in found} == {False}
        found = list(conventions(taking("x", "t"), taking("dout"), ["x", "t"], "t", result))
        assert all(not way.averaged for way, _ in found if way.takes_grads)


@pytest.mark.parametrize(
    ("result", "place"),
    [
        ((ONES, 0.5), 1),
        ((ONES, [ONES], 0.5), 2),
        ((ONES, np.float64(0.5), [ONES]), 1),
        ((0.5, ONES), 0),
        ((ONES, 0.5, 0.25), 0),  # which of them is not known
        ((ONES, ONES), 0),
        ((), 0),
        (ONES, 0),
        ([ONES, 0.5], 1),
        ([0.5, 0.25], 0),
    ],
)
def test_a_loss_may_stand_behind_the_output(result, place):
    ways = list(conventions(taking("x", "y"), taking("x", "y"), ["x", "y"], "y", result))
    assert {way.place for way, _ in ways} == {place}
    # Without targets nothing is a loss.
    assert {way.place for way, _ in conventions(taking("x"), taking("dout", "x"), ["x"], None, result)} == {0}
