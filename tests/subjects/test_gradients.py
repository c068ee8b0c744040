"""Which array is the gradient of which: names and places first, then the numbers, then the order."""

from types import SimpleNamespace

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.parameter import Parameter
from numpy_nn.subjects.arrays.gradients import (
    IN_ORDER,
    PERHAPS,
    SURE,
    Leaf,
    Order,
    ParameterGradient,
    at_most_perhaps,
    input_likeness,
    leaves,
    likeness,
    likeness_of,
    matched,
    order_of,
    values_of,
)
from numpy_nn.subjects.arrays.places import parsed


def leaf(path, shape=(2, 3), *, returned=False, is_new=True):
    return Leaf(returned, parsed(path), np.zeros(shape), is_new)


SURE_PLACES = [
    ("W", "dW"), ("W", "W_grad"), ("W.value", "W.grad"), ("W.data", "W.g"), ("layers[0].W", "layers[0].dW"),
    ("weights[0]", "dweights[0]"), ("params['W']", "grads['W']"), ("params['W']", "grads['dW']"), ("W", "grads['W']"),
    ("W", "grads['dW']"), ("params['W']", "dW"), ("layer.W", "layer.grads['W']"), ("params[0]", "grads[0]"),
    ("params['W']", "dparams['W']"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("parameter", "path", "sure"),
    [
        ("W.value", "W.grad", 1.0), ("W.data", "W.g", 1.0), ("W", "dW", 1.0), ("weights[0]", "dweights[0]", 1.0),
        ("params['W']", "grads['W']", 0.95), ("params['W']", "grads['dW']", 0.95), ("W", "grads['W']", 0.9),
        ("W", "grads['dW']", 0.9), ("params['W']", "dW", 0.9), ("params['W']", "dparams['W']", 1.0),
        ("params['W']", "dparams['dW']", 0.95), ("a.b.W", "a.dW", 0.9), ("a.b.W", "dW", 0.0),
        ("W", "a.grads['W']", 0.0), ("a.W", "grads['W']", 0.95), ("a.W", "cache['W']", 0.0),
        ("a.W.value", "a.V.grad", 0.0), ("a[0].W", "b[1].dW", 0.0),
        ("a[0].W", "a[1].W", 0.0), ("a.W", "a.grad", 0.0), ("a.value", "a.velocity", 0.0), ("a.b.W", "c.dW", 0.0),
        ("first['W']", "dfirst['dW']", 0.95), ("first['W']", "dsecond['dW']", 0.0), ("a.b.W", "c.d.dW", 0.0),
    ],
)  # fmt: skip
def test_how_sure_the_place_of_what_is_kept_is(parameter, path, sure):
    found = likeness(parsed(parameter), leaf(path, is_new=False), (2, 3))
    assert found == pytest.approx(sure)


NO_PLACES = [
    ("W", "db"), ("W", "velocity"), ("weights[0]", "dweights[1]"), ("params['W']", "grads['b']"), ("W", "layer.dW"),
    ("params['W']", "cache['W']"), ("layers[0].W", "layers[1].dW"), ("params['W']", "cache['dW']"), ("W", "grads['b']"),
    ("W", "cache['W']"), ("params['W']", "db"),
]  # fmt: skip


@pytest.mark.parametrize(("parameter", "path"), SURE_PLACES)
def test_a_gradient_that_is_kept_is_known_by_its_name_and_place(parameter, path):
    assert likeness(parsed(parameter), leaf(path), (2, 3)) >= SURE


@pytest.mark.parametrize(
    ("parameter", "nearest_first"),
    [
        ("W", ["dW", "grads['dW']", "velocity"]),
        ("params['W']", ["dparams['W']", "grads['W']", "dW", "cache['W']"]),
        ("params['W']", ["dparams['W']", "grads['dW']", "dW", "db"]),
        ("params[0]", ["dparams[0]", "grads[0]", "grads[1]"]),
        ("layer.W", ["layer.dW", "layer.grads['W']", "layer.cache['W']"]),
    ],
)
def test_of_two_arrays_that_may_be_the_gradient_the_nearer_is_likelier(parameter, nearest_first):
    found = [likeness(parsed(parameter), leaf(path), (2, 3)) for path in nearest_first]
    assert found == sorted(set(found), reverse=True)
    assert found[0] == 1.0
    assert found[-1] < SURE <= found[-2]


@pytest.mark.parametrize(("parameter", "path"), NO_PLACES)
def test_what_is_kept_under_another_name_is_at_best_a_guess(parameter, path):
    assert likeness(parsed(parameter), leaf(path), (2, 3)) == pytest.approx(0.2)
    assert likeness(parsed(parameter), leaf(path, is_new=False), (2, 3)) == 0.0
    assert likeness(parsed(parameter), leaf(path, (3, 2)), (2, 3)) == 0.0


@pytest.mark.parametrize(
    ("parameter", "path", "sure"),
    [
        ("W", "['W']", 1.0), ("params['W1']", "['W1']", 1.0), ("W", "['dW']", 1.0), ("W.value", "['W']", 1.0),
        ("layers[0].W", "['layers[0].W']", 1.0), ("W", "[1]['grad_W']", 1.0), ("W", "['weight_grad']", 0.85),
        ("W", "['b']", 0.3), ("W", "[1]", 0.3), ("W", "", 0.3),
        ("a.W", "['dw']", 0.95),
        ("a['W']", "['a']['dw']", 0.96), ("a['W']", "['a']['b']", 0.01), ("a['W']", "['b']['dw']", 0.9405),
        ("value", "['value']", 1.0), ("data", "['data']", 1.0), ("value", "['dvalue']", 1.0), ("W.data", "['dW']", 1.0),
    ],
)  # fmt: skip
def test_a_gradient_that_is_returned_is_known_by_its_key(parameter, path, sure):
    assert likeness(parsed(parameter), leaf(path, returned=True), (2, 3)) == pytest.approx(sure)


def test_of_several_inner_dicts_the_one_of_the_same_name_is_likelier():
    here, there = leaf("['first']['dw']", returned=True), leaf("['second']['dw']", returned=True)
    path = parsed("first['W']")
    assert likeness(path, here, (2, 3)) > likeness(path, there, (2, 3)) >= SURE
    # Under the usual name it is as likely as can be, wherever it is.
    assert likeness(path, leaf("['first']['dW']", returned=True), (2, 3)) == 1.0


@pytest.mark.parametrize(("shape", "is_setting", "guess"), [((2,), False, 0.3), ((2,), True, 0.3), ((), True, 0.0)])
def test_of_a_number_that_may_be_a_setting_only_a_name_tells_the_gradient(shape, is_setting, guess):
    like = likeness_of([parsed("eps")], shape, is_setting=is_setting)
    assert like(leaf("[0]", shape, returned=True)) == pytest.approx(guess)
    assert like(leaf("['deps']", shape, returned=True)) >= SURE


def test_a_parameter_in_a_layer_and_in_a_dict_of_all_has_its_gradient_by_either_name():
    like = likeness_of([parsed("params['W1']"), parsed("layers[0].W")], (2, 3), is_setting=False)
    assert min(like(leaf("layers[0].dW")), like(leaf("grads['W1']"))) >= SURE
    assert like(leaf("layers[1].dW", is_new=False)) == 0.0


def test_axes_of_length_one_do_not_count():
    assert likeness(parsed("b"), leaf("[1]", (1, 3), returned=True), (3,)) > 0.0
    assert likeness(parsed("b"), leaf("[1]", (3, 2), returned=True), (3,)) == 0.0


@pytest.mark.parametrize(
    ("path", "returned", "is_new", "sure"),
    [
        ("", True, True, 1.0), ("['x']", True, True, 1.0), ("['dx']", True, True, 1.0),
        ("['dinputs']", True, True, 1.0),
        ("['w']", True, True, 0.0), ("[0]", True, True, 0.9), ("[0][0]", True, True, 0.9), ("[1]", True, True, 0.0),
        ("dx", False, True, 0.7), ("dinputs", False, True, 0.7), ("dx", False, False, 0.0), ("mask", False, True, 0.1),
        ("mask", False, False, 0.0), ("layer.dx", False, True, 0.0),
    ],
)  # fmt: skip
def test_the_gradient_of_an_argument(path, returned, is_new, sure):
    assert input_likeness("x", leaf(path, returned=returned, is_new=is_new), (2, 3), False) == sure


def test_the_gradient_of_an_argument_has_its_shape_where_its_name_does_not_tell():
    assert input_likeness("x", leaf("[0]", (3, 2), returned=True), (2, 3), False) == 0.0
    assert input_likeness("x", leaf("dx", (3, 2)), (2, 3), False) == 0.0
    assert input_likeness("x", leaf("[0]", returned=True), (2, 3), True) == 0.0


def test_leaves_are_all_that_is_returned_and_kept_and_say_what_is_new():
    thing = SimpleNamespace(old=np.zeros(2), changed=np.zeros(2), n=0.5)
    before = values_of(thing)
    thing.changed[0], thing.new = 1.0, np.ones(3)
    returned = ({"a": np.ones(1)}, [[1.0, 2.0], [3.0, 4.0]], 5.0, None, True, "text", [np.ones(2)])
    found = {str(one): one for one in leaves(returned, thing, before)}
    assert list(found) == [
        "the returned [0]['a']", "the returned [1]", "the returned [2]", "the returned [6][0]", "old",
        "changed", "n", "new",
    ]  # fmt: skip
    assert found["the returned [1]"].value.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert [name for name, one in found.items() if not one.is_new] == ["old", "n"]
    assert leaves(np.ones(2), None, {})[0].path == ()
    assert values_of(None) == {}


def test_nested_lists_of_numbers_are_arrays_and_tuples_are_several_things():
    def found(returned):
        return {str(one): one.value.tolist() for one in leaves(returned, None, {})}

    assert found([1.0, 2.0]) == {"the returned": [1.0, 2.0]}
    assert found([[1, 2], [3, 4]]) == {"the returned": [[1.0, 2.0], [3.0, 4.0]]}
    assert found((1.0, 2.0)) == {"the returned [0]": 1.0, "the returned [1]": 2.0}
    assert found([1.0, (2.0,)]) == {"the returned [0]": 1.0, "the returned [1][0]": 2.0}
    assert found([True, 1.0]) == {"the returned [1]": 1.0}
    assert found([]) == found(()) == found({}) == found(None) == {}


def test_a_leaf_reads_the_last_backward_pass_and_none_where_there_is_nothing():
    thing = SimpleNamespace(dW=1)
    assert leaf("dW").read({"dW": 2}, thing) == 1
    assert leaf("['dW']", returned=True).read({"dW": 2}, thing) == 2
    assert leaf("db").read(None, thing) is None
    assert leaf("[3]", returned=True).read((1, 2), thing) is None
    assert leaf("[3]", returned=True).read(None, thing) is None
    parameter = Parameter(np.ones(2))
    assert ParameterGradient(parameter).read(None, thing) is parameter.grad


def match(wanted, found, right=()):
    """The names of what was matched; ``right`` are the pairs whose numbers agree."""
    table = {name: (shape, lambda one, like=like: like.get(str(one), 0.0)) for name, (shape, like) in wanted.items()}
    chosen = matched(table, found, lambda name, one: (name, str(one)) in right)
    return {name: str(one) for name, one in chosen.items()}


FIRST, SECOND = leaf("[0]", returned=True), leaf("[1]", returned=True)
R0, R1 = "the returned [0]", "the returned [1]"


def test_without_names_and_numbers_the_order_decides():
    both = {R0: 0.3, R1: 0.3}
    assert match({"a": ((2, 3), both), "b": ((2, 3), both)}, [FIRST, SECOND]) == {"a": R0, "b": R1}


def test_numbers_decide_against_the_order():
    both = {R0: 0.3, R1: 0.3}
    assert match({"a": ((2, 3), both), "b": ((2, 3), both)}, [FIRST, SECOND], {("a", R1)}) == {"a": R1, "b": R0}


def test_of_several_that_may_be_it_the_likelier_comes_first():
    wanted = {"a": ((2, 3), {R0: 0.3, R1: 0.5})}
    assert match(wanted, [FIRST, SECOND]) == {"a": R1}
    assert match(wanted, [FIRST, SECOND], {("a", R0), ("a", R1)}) == {"a": R1}
    assert match(wanted, [FIRST, SECOND], {("a", R0)}) == {"a": R0}


def test_names_win_over_numbers_and_order():
    wanted = {"a": ((2, 3), {R0: 0.3, R1: SURE}), "b": ((2, 3), {R0: 0.3, R1: 0.3})}
    assert match(wanted, [FIRST, SECOND], {("a", R0), ("b", R1)}) == {"a": R1, "b": R0}
    wanted["a"] = ((2, 3), {R0: 0.3, R1: SURE - 0.01})
    assert match(wanted, [FIRST, SECOND], {("a", R0), ("b", R1)}) == {"a": R0, "b": R1}


def test_the_surer_name_comes_first():
    wanted = {"a": ((2, 3), {R0: 0.85}), "b": ((2, 3), {R0: 1.0, R1: 0.3})}
    assert match(wanted, [FIRST, SECOND]) == {"b": R0}


def test_a_guess_has_to_have_the_shape_and_a_name_does_not():
    assert match({"a": ((3, 2), {R0: 0.3})}, [FIRST], {("a", R0)}) == {}
    assert match({"a": ((3, 2), {R0: 1.0})}, [FIRST]) == {"a": R0}


def test_what_is_kept_and_only_looks_like_it_is_taken_on_the_word_of_its_numbers_alone():
    kept = leaf("cache")
    assert match({"a": ((2, 3), {"cache": 0.2})}, [kept]) == {}
    assert match({"a": ((2, 3), {"cache": 0.2})}, [kept], {("a", "cache")}) == {"a": "cache"}
    assert match({"a": ((2, 3), {"cache": 0.5})}, [kept]) == {"a": "cache"}
    assert match({"a": ((2, 3), {"cache": 0.0})}, [kept], {("a", "cache")}) == {}


THREE = {"x": (5, 4), "w": (4, 3), "b": (3,)}
USUAL = {"x": 0, "w": 1, "b": 2}
SQUARE = {"x": (3, 3), "w": (3, 3)}
ALIKE = {"x": (5, 4), "b": (3,), "c": (3,)}


def of(*shapes):
    return tuple(None if shape is None else np.zeros(shape) for shape in shapes)


@pytest.mark.parametrize(
    ("wanted", "returned", "told", "order"),
    [
        pytest.param(THREE, of((5, 4), (4, 3), 3), (), Order(USUAL, IN_ORDER, True), id="as they are given"),
        pytest.param(THREE, of((4, 3), 3, (5, 4)), (), Order({"w": 0, "b": 1, "x": 2}, IN_ORDER, False), id="shapes"),
        pytest.param(THREE, of((4, 3), 3), (), Order({"w": 0, "b": 1}, IN_ORDER, False), id="fewer"),
        pytest.param(THREE, of((5, 4), (4, 3)), (), Order(USUAL, PERHAPS, True), id="the first of them"),
        pytest.param(THREE, of((4, 5), (4, 3), 3), (), Order(USUAL, IN_ORDER, True), id="a wrong shape"),
        pytest.param(THREE, of((5, 4), None, 3), (), Order(USUAL, IN_ORDER, True), id="None for one"),
        pytest.param(THREE, of((5, 4), (4, 3), 3, 3), (), Order(USUAL, IN_ORDER, True), id="more"),
        pytest.param(THREE, np.zeros((5, 4)), (), Order(USUAL, IN_ORDER, True), id="one array"),
        pytest.param(
            ALIKE, np.zeros((2, 3)), (), Order({"x": 0, "b": 1, "c": 2}, IN_ORDER, True), id="rows of one array"
        ),
        pytest.param({"a": (3,), "s": ()}, of(None, 3), (), Order({"a": 0, "s": 1}, IN_ORDER, True), id="None first"),
        pytest.param(THREE, of((4, 3), None, (5, 4)), (), Order(USUAL, IN_ORDER, True), id="None among others"),
        pytest.param(
            {"x": (5, 4), "p": None}, of(3, (5, 4)), (), Order({"x": 0, "p": 1}, IN_ORDER, True), id="no array first"
        ),
        pytest.param({"x": (5, 4)}, of(3), (), Order({"x": 0}, IN_ORDER, True), id="one argument"),
        pytest.param(SQUARE, of((3, 3), (3, 3)), ("dw", "dx"), Order({"w": 0, "x": 1}, IN_ORDER, False), id="names"),
        pytest.param(SQUARE, of((3, 3), (3, 3)), ("dx", "dw"), Order({"x": 0, "w": 1}, IN_ORDER, True), id="usual"),
        pytest.param(SQUARE, of((3, 3), (3, 3)), ("a", "dx"), Order({"x": 0, "w": 1}, IN_ORDER, True), id="one name"),
        pytest.param(ALIKE, of(3, 3, (5, 4)), (), Order({"b": 0, "c": 1, "x": 2}, PERHAPS, False), id="two of a shape"),
        pytest.param({"x": (5, 4), "p": None}, of(3, 3), (), Order({"x": 0, "p": 1}, IN_ORDER, True), id="no array"),
    ],
)
def test_gradients_are_in_the_order_that_names_or_shapes_tell(wanted, returned, told, order):
    assert order_of(wanted, returned, told) == order
    assert order.in_order == sorted(order.places, key=order.places.get)


def test_more_than_six_arguments_are_in_their_own_order():
    wanted = {f"w{i}": (i + 1,) for i in range(7)}
    assert order_of(wanted, of(*range(7, 0, -1)), ()).is_usual
    del wanted["w6"]
    assert not order_of(wanted, of(*range(6, 0, -1)), ()).is_usual


@pytest.mark.parametrize(
    ("path", "returned", "shape", "likely", "weaker"),
    [
        ("[0]", True, (2, 3), 0.9, PERHAPS),
        ("[0]", True, (2, 3), 0.5, 0.5),
        ("[0]", True, (2, 3), 0.1, 0.3),
        ("[0]", True, (2, 3), 0.0, 0.3),
        ("[0]", True, (3, 2), 0.9, PERHAPS),
        ("[0]", True, (3, 2), 0.1, 0.1),
        # Only a place among others says little.
        ("['dx']", True, (2, 3), 0.9, 0.9),
        ("", True, (2, 3), 1.0, 1.0),
        ("dx", False, (2, 3), 0.1, 0.1),
        ("grads[0]", False, (2, 3), 0.9, 0.9),
    ],
)
def test_a_place_among_others_makes_a_gradient_perhaps_and_any_of_its_shape_possible(
    path, returned, shape, likely, weaker
):
    assert at_most_perhaps(lambda _: likely, (2, 3))(leaf(path, shape, returned=returned)) == weaker


class OnTheWay:
    """What it learns from is called after its weight, and is made of what is the gradient."""

    def __init__(self, times):
        self.peso, self.times = np.array([[1.0, -2.0], [0.5, 3.0]]), times

    def forward(self, x):
        self.x = x
        return x @ self.peso

    def backward(self, grad_output):
        self.crudo = self.x.T @ grad_output
        self.peso_cambio = self.times * self.crudo
        return grad_output @ self.peso.T


@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (0.5, "undecided")])
def test_what_agrees_is_not_taken_where_something_else_is_called_after_the_parameter(times, verdict):
    x = np.random.default_rng(0).standard_normal((3, 2))
    assert check_gradients(OnTheWay(times), x).verdict == verdict


class Masked:
    """Some weights are off, and some outputs; what is there in arrays with a mask is none of their numbers."""

    def __init__(self, times):
        self.W, self.times = np.ma.array([[1.0, -2.0], [0.5, 3.0]], mask=[[False, True], [False, False]]), times

    def forward(self, x):
        self.x, self.off = x, np.arange(len(x)) == 1
        return np.ma.array(x @ self.W.filled(0.0), mask=np.repeat(self.off[:, None], 2, axis=1))

    def backward(self, grad_output):
        grad_output = np.where(self.off[:, None], 0.0, grad_output)
        self.dW = np.ma.array(self.times * self.x.T @ grad_output, mask=self.W.mask)
        return grad_output @ self.W.filled(0.0).T


@pytest.mark.parametrize("times", [1.0, 2.0])
def test_what_is_masked_in_an_array_is_none_of_its_numbers(times):
    report = check_gradients(Masked(times), np.random.default_rng(0).standard_normal((3, 2)))
    assert [entry.verdict for entry in report.entries] == ["right", "right" if times == 1.0 else "wrong"]
