"""How code is called: the arrays in its arguments, and what is made of what it returns."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects import Hints, SubjectError, as_subject
from numpy_nn.subjects.arrays.nested import arrays_of, as_given, is_differentiated, with_arrays, written_in
from numpy_nn.subjects.calls.calling import CACHE, GRADS, OUTPUT, RATE, CalledCode, Convention
from numpy_nn.subjects.given_code import Code, first_result, is_value_and_gradients, likeliest_error
from numpy_nn.subjects.no_cache import has_no_cache

ONES, HALF = np.ones((2, 3)), np.full(2, 0.5, np.float32)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (ONES, True),
        (HALF, True),
        (np.array(1.0), True),
        (np.arange(3), False),
        (np.ones(0), False),
        (np.array([True]), False),
        ([1.0], False),
        (1.0, False),
        (None, False),
    ],
)
def test_gradients_are_wanted_of_arrays_of_floats(value, wanted):
    assert is_differentiated(value) is wanted


class Pair(NamedTuple):
    weight: Any
    stride: int


def test_float_arrays_are_given_in_float64_wherever_they_are_and_all_else_as_it_is():
    labels, settings = np.arange(3), object()
    given: Any = as_given([HALF, {"a": HALF, "n": 3}, labels, settings, np.float32(0.5)])
    assert given[0].dtype == given[1]["a"].dtype == given[4].dtype == np.float64
    assert given[1]["n"] == 3
    assert given[2] is labels
    assert given[3] is settings
    assert as_given(ONES) is not ONES
    layers = as_given([(HALF, "tanh"), (HALF, "relu")])
    assert [type(layer) for layer in layers] == [tuple, tuple]
    assert layers[0][0].dtype == np.float64
    pair = as_given(Pair(HALF, 3))
    assert isinstance(pair, Pair)
    assert (pair.weight.dtype, pair.stride) == (np.float64, 3)


def test_arrays_in_an_argument_are_named_by_their_places():
    value: Any = {"W": ONES, "layers": [HALF, np.arange(2), {"b": ONES}], "n": 3}
    found = {written_in("p", path): array for path, array in arrays_of(value)}
    assert list(found) == ["p['W']", "p['layers'][0]", "p['layers'][2]['b']"]
    assert found["p['layers'][0]"] is HALF
    assert [written_in("x", path) for path, _ in arrays_of(ONES)] == ["x"]
    assert [written_in("x", path) for path, _ in arrays_of((3, ONES))] == ["x[1]"]

    def shown(path, array):
        return written_in("p", path), array.shape

    moved: Any = with_arrays(value, shown)
    assert moved["W"] == ("p['W']", (2, 3))
    assert moved["layers"][0] == ("p['layers'][0]", (2,))
    assert moved["layers"][1] is value["layers"][1]
    assert moved["layers"][2] == {"b": ("p['layers'][2]['b']", (2, 3))}
    assert moved["n"] == 3


class Called:
    """Keeps what backward is called with."""

    def __init__(self, result):
        self.result, self.seen = result, None

    def forward(self, x):
        self.x = x
        return self.result(x)

    def backward(self, *arguments):
        self.seen = arguments
        return self.x


@pytest.mark.parametrize(
    ("convention", "result", "expected"),
    [
        (Convention(("x",)), lambda x: 2 * x, lambda _, g: (g,)),
        (Convention(("x",), arguments=(GRADS, CACHE)), lambda x: (2 * x, "c"), lambda _, g: (g, "c")),
        (Convention(("x",), arguments=(CACHE, GRADS)), lambda x: (2 * x, "c", "d"), lambda _, g: (("c", "d"), g)),
        (Convention(("x",), arguments=(GRADS, CACHE), cache=1), lambda x: (2 * x, "c", "d"), lambda _, g: (g, "d")),
        (Convention(("x",), arguments=(GRADS, CACHE), cache=1), lambda x: (2 * x, "c"), lambda _, g: (g, "c")),
        (Convention(("x",), arguments=(OUTPUT, RATE)), lambda x: 2 * x, lambda x, _: (2 * x, 1.0)),
        (Convention(("x",), arguments=("x", GRADS)), lambda x: 2 * x, lambda x, g: (x, g)),
        (Convention(("x",), arguments=()), lambda x: 2 * x, lambda *_: ()),
    ],
)
def test_backward_is_given_what_its_convention_says(convention, result, expected):
    x, g = np.array([1.0, 2.0, 4.0]), np.array([0.5, -1.0, 3.0])
    called = Called(result)
    subject = CalledCode("code", called.forward, called.backward, {"x": x}, convention)
    subject.gradients(g)
    wanted = expected(x, g)
    assert len(called.seen) == len(wanted)
    for one, other in zip(called.seen, wanted, strict=True):
        if isinstance(other, np.ndarray):
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other


def test_the_gradient_of_one_number_is_a_number():
    called = Called(np.sum)
    subject = CalledCode("code", called.forward, called.backward, {"x": ONES}, Convention(("x",)))
    subject.gradients(np.asarray(3.0))
    assert called.seen == (3.0,)
    assert type(called.seen[0]) is float


@pytest.mark.parametrize(("averaged", "entries"), [(False, 1.0), (True, 1 / 6)])
def test_code_that_takes_no_gradient_gets_ones_or_those_of_a_mean(averaged, entries):
    convention = Convention(("x",), arguments=("x",), averaged=averaged)
    assert not convention.takes_grads
    subject = CalledCode("code", np.sin, np.cos, {"x": ONES}, convention)
    np.testing.assert_array_equal(
        subject.random_grad_output(np.random.default_rng(0), (2, 3)), np.full((2, 3), entries)
    )
    assert Convention(("x",)).takes_grads
    assert not Convention(("x",), arguments=None).takes_grads
    random = CalledCode("code", np.sin, np.cos, {"x": ONES}, Convention(("x",)))
    drawn = np.abs(random.random_grad_output(np.random.default_rng(0), (2, 3)))
    assert np.ptp(drawn) > 0.1
    assert drawn.min() >= 0.5
    assert drawn.max() <= 1.5


def test_targets_are_arguments_and_no_arrays():
    subject = CalledCode("loss", np.subtract, np.subtract, {"x": ONES, "t": HALF}, Convention(("x", "t")), target="t")
    assert list(subject.arrays) == ["x"]
    assert subject.is_loss
    np.testing.assert_array_equal(subject.targets, HALF)
    assert not CalledCode("f", np.sin, np.cos, {"x": ONES}, Convention(("x",))).is_loss


@pytest.mark.parametrize("kind", ["vjp", "derivative", "jacobian", "number"])
def test_a_derivative_and_a_jacobian_are_multiplied_with_the_gradient_of_the_output(kind):
    w = np.random.default_rng(1).standard_normal((2, 3))
    pairs = {
        "vjp": (lambda x: w @ x, lambda g: w.T @ g),
        "jacobian": (lambda x: w @ x, lambda x: w + 0.0 * x[0]),
        "derivative": (lambda x: 3.0 * x, lambda x: np.full(x.shape, 3.0)),
        "number": (lambda x: 3.0 * x, lambda x: 3.0 + 0.0 * x[0]),
    }
    x = np.array([0.5, -1.0, 2.0])
    subject = as_subject(pairs[kind], (x,), None, Hints())
    output = subject.output()
    g = subject.random_grad_output(np.random.default_rng(0), output.shape)
    expected = w.T @ g if output.size == 2 else 3.0 * np.ones(3)
    np.testing.assert_allclose(subject.gradients(g)[subject.input], expected, rtol=1e-12)


@pytest.mark.parametrize(("sign", "verdict"), [(-1.0, "right"), (1.0, "wrong")])
def test_a_jacobian_of_each_row_is_multiplied_row_by_row(sign, verdict):
    def softmax(x):
        return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

    def jacobians(x):
        s = softmax(x)
        return s[:, :, None] * np.eye(3) + sign * s[:, :, None] * s[:, None, :]

    assert check_gradients((softmax, jacobians), np.random.default_rng(0).standard_normal((4, 3))).verdict == verdict


def test_what_forward_and_backward_change_in_place_is_said():
    def forward(x, w):
        x += 1.0
        w *= 2.0
        return x * w

    subject = CalledCode("code", forward, lambda g: (g, g), {"x": ONES, "w": ONES}, Convention(("x", "w")))
    subject.output()
    subject.output()
    assert subject.warnings == [
        "forward changes its input in place: the caller's array no longer holds what it held",
        "forward changes w in place",
    ]
    np.testing.assert_array_equal(subject.arrays["x"], ONES)

    def backward(g):
        g *= 2.0
        return g

    subject = CalledCode("code", np.sin, backward, {"x": ONES}, Convention(("x",)))
    subject.gradients(np.ones((2, 3)))
    assert subject.warnings == ["backward changes the gradient that it is given in place"]

    def replaced(x, n, y):
        n[0], y[0] = 7, 7
        return x * n[1]

    given = {"x": ONES, "n": np.arange(2), "y": np.arange(2)}
    subject = CalledCode("code", replaced, lambda g: g, given, Convention(("x", "n", "y")), target="y")
    subject.output()
    assert subject.warnings == ["forward changes n in place", "forward changes y in place"]
    quiet = CalledCode("code", np.sin, lambda g: g, {"x": ONES, "n": np.arange(2)}, Convention(("x",)))
    quiet.gradients(np.ones((2, 3)))
    assert quiet.warnings == []


def test_forward_that_returns_nothing_and_keeps_nothing_is_refused():
    subject = CalledCode("code", lambda _: None, np.cos, {"x": ONES}, Convention(("x",)))
    with pytest.raises(SubjectError, match="code: forward returned nothing, and no output was found in its object"):
        subject.output()


# Which way is meant.


@pytest.mark.parametrize(
    ("arguments", "result", "lacks"),
    [
        ((GRADS, CACHE), (ONES, None), True),
        ((GRADS, CACHE), (ONES, None, None), True),
        ((GRADS, CACHE), (ONES, None, 1), False),
        ((GRADS, CACHE), (ONES,), False),
        ((GRADS, CACHE), ONES, False),
        ((GRADS,), (ONES, None), False),
        (None, (ONES, None), False),
    ],
)
def test_a_cache_that_is_none_is_none(arguments, result, lacks):
    assert has_no_cache(Convention(("x",), arguments=arguments), result) == lacks


@pytest.mark.parametrize(
    ("result", "are"),
    [
        ((1.0, ONES), True),
        ((np.float64(1.0), ONES, ONES), True),
        ((1.0,), False),
        ([1.0, ONES], False),
        ((ONES, ONES), False),
        ((1j, ONES), False),
        (1.0, False),
    ],
)
def test_a_function_returns_its_value_first_and_gradients_after_it(result, are):
    assert is_value_and_gradients(result) == are


def test_the_error_of_the_likeliest_way_is_told():
    code = Code("f", np.sin, "vjp", {}, Hints())
    tried, named = ValueError("tried"), ValueError("named")
    assert likeliest_error([(True, tried), (False, named)], code, ()) is named
    assert likeliest_error([(True, tried), (True, named)], code, ()) is tried
    told = str(likeliest_error([], code, ()))
    assert told.startswith("f: expected a backward pass that takes a gradient, got vjp\nit becomes checkable as a pair")


def test_the_first_result_is_that_of_copies_or_what_the_object_keeps():
    def spoils(x, parts):
        x += 1.0
        parts[0][...] = 7.0
        return x

    x, part = np.ones(2), np.ones(2)
    result, paths = first_result(Code("f", spoils, None, {"x": x, "parts": [part]}, Hints()))
    np.testing.assert_array_equal(result, [2.0, 2.0])
    assert paths == [None]
    assert x.tolist() == part.tolist() == [1.0, 1.0]

    class Keeps:
        def forward(self, x):
            self.output, self.a = 2.0 * x, 3.0 * x

    owner = Keeps()
    result, paths = first_result(Code("f", owner.forward, None, {"x": x}, Hints(), owner=owner))
    np.testing.assert_array_equal(result, [2.0, 2.0])
    assert [path[0].key for path in paths] == ["output", "a"]
    with pytest.raises(
        TypeError, match="f: expected forward to return its output, or to keep it as output, got nothing"
    ):
        first_result(Code("f", lambda _: None, None, {"x": x}, Hints()))
    with pytest.raises(SubjectError, match="f: ZeroDivisionError: division by zero"):
        first_result(Code("f", lambda _: 1 / 0, None, {"x": x}, Hints()))


def test_what_backward_alone_keeps_is_part_of_the_state_of_a_pair():
    calls = []

    def backward(x, g):
        calls.append(x.shape)
        return g * np.cos(x)

    subject: Any = as_subject((lambda x: np.sin(x), backward), (ONES,), None, Hints())
    before, state = list(calls), subject.snapshot()
    subject.gradients(ONES)
    assert len(calls) > len(before)
    state.restore()
    assert calls == before
