"""What the source of a function calls what it returns, and what that tells."""

import numpy as np
import pytest

from numpy_nn.subjects.arrays.gradients import Leaf
from numpy_nn.subjects.arrays.places import Step
from numpy_nn.subjects.source.returned import as_told, names_by_place, returned_names, told_by


def path(*keys):
    return tuple(Step(key, True) for key in keys)


class Net:
    dw = 1


def flat(loss, dW, hs):
    return loss, dW, hs[len(hs)]


def listed(loss, dW, db):
    grads = [dW, db]
    return loss, grads


def nested(loss, net, db):
    return loss, (net.dw, db + 1)


def alone(dW):
    return dW


def turned(dW, loss, net):
    return loss, dW.T, net.db.T, (dW + 1).T


def in_two_orders(dx, dw, db):
    if dx is None:
        return dw, dx, db
    return dx, dw, db


def bound_twice(loss, dW):
    grads = [dW]
    grads = [grads, dW]
    return loss, grads


def gradients_first(dW, cost):
    return dW, cost


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (flat, {path(0): "loss", path(1): "dW", path(2): "hs"}),
        (listed, {path(0): "loss", path(1, 0): "dW", path(1, 1): "db"}),
        (nested, {path(0): "loss", path(1, 0): "dw"}),
        (alone, {(): "dW"}),
        (turned, {path(0): "loss", path(1): "dW", path(2): "db"}),
        (in_two_orders, {path(2): "db"}),
        (bound_twice, {path(0): "loss", path(1): "grads"}),
        (len, {}),
    ],
)
def test_names_by_the_place_in_what_is_returned(function, found):
    assert names_by_place(function) == found


@pytest.mark.parametrize(
    ("function", "number", "found"),
    [
        (flat, 3, {path(0): "dW", path(1): "hs"}),
        (listed, 2, {path(0): "dW", path(1): "db"}),
        (gradients_first, 2, {(): "dW"}),
    ],
)
def test_a_loss_has_no_place_among_its_gradients(function, number, found):
    assert told_by(None, function, number) == found


def test_of_a_backward_pass_all_counts():
    assert told_by(flat, None, 1) == names_by_place(flat)


@pytest.mark.parametrize(
    ("place", "only", "likely"),
    [
        (0, False, {"w": 0.95, "h": 0.0}),  # dW is that of w, and of nothing else
        (1, False, {"w": 0.3, "h": 0.3}),  # what is called otherwise may be either
        (1, True, {"w": 0.0, "h": 0.0}),  # or is none, where others are called so
        (2, True, {"w": 0.3, "h": 0.3}),  # without a name
    ],
)
def test_a_name_tells_whose_gradient_it_is_and_whose_it_is_not(place, only, likely):
    told = {path(0): "dW", path(1): "hs"}
    judged = as_told(told, {"w": "w", "h": "h"}, dict.fromkeys("wh", lambda _: 0.3), only=only)
    leaf = Leaf(True, path(place), np.ones(3), True)
    assert {name: like(leaf) for name, like in judged.items()} == likely


def test_what_is_kept_is_not_judged_by_what_is_returned():
    judged = as_told({path(0): "dW"}, {"w": "w"}, {"w": lambda _: 0.4}, only=True)["w"]
    assert judged(Leaf(False, path(0), np.ones(3), True)) == 0.4


@pytest.mark.parametrize(("word", "likely"), [("input_grad", 0.8), ("dx", 0.8), ("grad", 0.3), ("delta", 0.3)])
def test_the_gradient_of_the_input_may_be_called_so_whatever_the_input_is_called(word, likely):
    judged = as_told(
        {path(1): word}, {"seq": "seq", "W": "W"}, dict.fromkeys(["seq", "W"], lambda _: 0.3), only=False, data="seq"
    )
    assert judged["seq"](Leaf(True, path(1), np.ones(3), True)) == likely


def several(x):
    first, Second = x, x
    return first, Second, np.shape, x[0]


def the_same_twice(x):
    return x, x


def one(x):
    return x


def with_one_inside(x):
    if x is None:
        return x
    if x.size == 0:
        return x, None

    def inner(a, b):
        for _ in range(3):
            while a:
                return b, a
        return b, a

    class Inner:
        def method(self, c, d):
            return c, d

    dx, dw = inner(x, Inner)
    return dx, dw


def in_another_order(dx, dw):
    if dx is None:
        return dw, dx
    return dx, dw


def early(dx, dw):
    for _ in dx:
        if dw is not None:
            return dx, None
    return dx, dw


@pytest.mark.parametrize(
    ("function", "found"), [(several, ["first", "Second", "shape", ""]), (the_same_twice, []), (one, []), (len, [])]
)
def test_what_is_returned_has_the_names_that_the_source_has_for_it_if_these_differ(function, found):
    assert returned_names(function) == found


@pytest.mark.parametrize(
    ("function", "found"), [(with_one_inside, ["dx", "dw"]), (in_another_order, []), (early, ["dx", "dw"])]
)
def test_of_several_returns_the_last_of_the_function_itself_counts(function, found):
    assert returned_names(function) == found
