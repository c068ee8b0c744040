"""What code keeps between calls: generators wherever they hide, snapshots of everything, copies in float64."""

import random
import threading
from collections import namedtuple
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.state import Snapshot, equal, find_generators, in_float64, reachable, restorer

MODULE_RNG = np.random.default_rng(0)
Pair = namedtuple("Pair", "first second")


class Slotted:
    __slots__ = ("unset", "w")


def in_globals():
    return MODULE_RNG.random()


def in_a_comprehension():
    return [MODULE_RNG.random() for _ in range(2)]


def in_an_inner_function():
    def inner():
        return MODULE_RNG.random()

    return inner()


def through_another_function():
    return in_globals()


def as_a_default(rng=MODULE_RNG):
    return rng.random()


def as_a_keyword_s_default(*, rng=MODULE_RNG):
    return rng.random()


def closure():
    rng = MODULE_RNG
    return lambda: rng.random()


class WithOneAround:
    def dropped(self, x):
        return x * (MODULE_RNG.random(x.shape) < 0.7)

    def forward(self, x):
        self.x = x
        self.out = self.dropped(x) * x
        return self.out

    def backward(self, grad_output):
        return 2.0 * grad_output * np.divide(self.out, self.x)


class Drawing:
    def __init__(self, rng):
        self.rng = rng

    def draw(self):
        return self.rng.random()


class WithOneOfItsClass:
    rng = MODULE_RNG

    def forward(self, x):
        self.kept = self.rng.random(x.shape) < 0.7
        return x * self.kept

    def backward(self, grad_output):
        return grad_output * self.kept


@pytest.mark.parametrize(
    "thing",
    [
        in_globals,
        in_a_comprehension,
        in_an_inner_function,
        through_another_function,
        as_a_default,
        as_a_keyword_s_default,
        closure(),
        partial(print, MODULE_RNG),
        partial(print, file=MODULE_RNG),
        partial(in_globals),
        {"a": [(SimpleNamespace(rng=MODULE_RNG),)]},
        Drawing(MODULE_RNG).draw,
    ],
    ids=lambda thing: getattr(thing, "__name__", type(thing).__name__),
)
def test_a_generator_is_found_wherever_code_can_reach_it(thing):
    found = find_generators(thing)
    assert [g is MODULE_RNG for g in found] == [True]


@pytest.mark.parametrize("kind", [WithOneAround, WithOneOfItsClass])
def test_a_generator_of_the_methods_of_an_object_draws_the_same_at_each_evaluation_and_goes_on_as_it_would(kind):
    before = MODULE_RNG.bit_generator.state
    report = check_gradients(kind(), np.linspace(0.5, 1.5, 12).reshape(4, 3))
    assert report.verdict == "right", str(report)
    assert MODULE_RNG.bit_generator.state == before


def test_a_name_that_has_no_value_yet_is_passed_over():
    def inner():
        return later, MODULE_RNG

    assert find_generators(inner) == [MODULE_RNG]
    later: int = 1
    assert inner()[0] == 1


def test_no_generator_is_found_where_there_is_none():
    assert find_generators(lambda x: x, np.tanh, {"a": 1.0}, Slotted(), attributes) == []


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState, random.Random])
def test_a_restored_generator_draws_again_what_it_drew(make):
    generator = make(0)
    generator.random()
    restore = restorer(generator)
    first = [generator.random() for _ in range(3)]
    for _ in range(2):
        restore()
        assert [generator.random() for _ in range(3)] == first


def everything():
    thing = SimpleNamespace(number=1, array=np.ones(2), items=[1, [2]], table={"a": np.ones(1)}, rng=random.Random(0))
    thing.slotted = Slotted()
    thing.slotted.w = 1
    thing.inner = SimpleNamespace(number=1)
    return thing


def rebind(thing):
    thing.number = 2


def write(thing):
    thing.array[0] = 5.0


def replace_array(thing):
    thing.array = np.zeros(3)


def append(thing):
    thing.items.append(3)


def change_inner_list(thing):
    thing.items[1][0] = 9


def add_key(thing):
    thing.table["b"] = 2


def delete_key(thing):
    del thing.table["a"]


def write_in_dict(thing):
    thing.table["a"][:] = 7.0


def add_attribute(thing):
    thing.new = 1


def delete_attribute(thing):
    del thing.number


def rebind_slot(thing):
    thing.slotted.w = 2


def fill_slot(thing):
    thing.slotted.unset = 2


def empty_slot(thing):
    del thing.slotted.w


def replace_inner(thing):
    thing.inner.number = 3
    thing.inner = None


def draw(thing):
    thing.rng.random()


CHANGES = [
    rebind, write, replace_array, append, change_inner_list, add_key, delete_key, write_in_dict, add_attribute,
    delete_attribute, rebind_slot, fill_slot, empty_slot, replace_inner, draw,
]  # fmt: skip


def shown(thing):
    """All that a thing holds, in a form that compares."""
    if isinstance(thing, np.ndarray):
        return thing.tolist()
    if isinstance(thing, dict):
        return {key: shown(value) for key, value in thing.items()}
    if isinstance(thing, list):
        return list(map(shown, thing))
    if isinstance(thing, random.Random):
        return thing.getstate()
    return shown(attributes(thing)) if isinstance(thing, (SimpleNamespace, Slotted)) else thing


@pytest.mark.parametrize("change", CHANGES)
def test_a_snapshot_puts_back_everything(change):
    thing = everything()
    before, array = shown(thing), thing.array
    snapshot = Snapshot(thing)
    for _ in range(2):
        change(thing)
        assert shown(thing) != before
        snapshot.restore()
        assert shown(thing) == before
        assert thing.array is array


def test_a_snapshot_of_a_function_has_what_it_closes_over_and_leaves_alone_what_it_may_not_write_to():
    kept, fixed = [1], np.ones(2)
    fixed.flags.writeable = False
    snapshot = Snapshot(lambda: (kept, fixed))
    kept.append(2)
    snapshot.restore()
    assert kept == [1]


def test_libraries_own_objects_are_not_entered():
    lock = threading.Lock()
    found = reachable(SimpleNamespace(lock=lock, module=np, kind=Slotted, fn=np.tanh))
    assert any(thing is lock for thing in found)
    assert not any(thing is np or thing is Slotted for thing in found)
    assert reachable(np.testing.assert_equal) == [np.testing.assert_equal]


def test_float32_becomes_float64_everywhere_and_the_original_stays():
    array = np.ones(2, np.float32)
    thing = SimpleNamespace(
        a=array, b={"c": [array, (array, 1)]}, half=np.ones(1, np.float16), whole=np.arange(2), pair=Pair(array, "x")
    )
    thing.slotted, thing.itself = Slotted(), thing
    thing.slotted.w = array
    wide = in_float64(thing)
    assert {a.dtype for a in (wide.a, wide.half, wide.b["c"][0], wide.slotted.w)} == {np.dtype(np.float64)}
    assert wide.whole.dtype == thing.whole.dtype
    assert wide.a is wide.b["c"][0] is wide.b["c"][1][0] is wide.slotted.w is wide.pair.first
    assert (type(wide.pair), wide.pair.second, wide.itself) == (Pair, "x", wide)
    assert thing.a is array
    assert array.dtype == np.float32


def test_a_tuple_in_two_places_stays_one():
    both = (np.ones(2, np.float32),)
    wide = in_float64(SimpleNamespace(a=both, b=both, same=(np.ones(2),)))
    assert wide.a is wide.b
    assert wide.a[0].dtype == wide.same[0].dtype == np.float64


def test_a_layer_of_numpy_nn_is_converted_as_it_converts_itself():
    net = SimpleNamespace(layer=nn.Linear(3, 2, rng=0, dtype=np.float32))
    wide = in_float64(net)
    assert (wide.layer.weight.data.dtype, net.layer.weight.data.dtype) == (np.float64, np.float32)


def test_what_cannot_be_copied_is_refused_with_the_way_out():
    with pytest.raises(TypeError, match=r"SimpleNamespace cannot be copied .*pass run, grads and its arrays by name"):
        in_float64(SimpleNamespace(lock=threading.Lock()))


class Attributes(dict[str, Any]):
    """A dict whose keys are its attributes, as many write one: it raises KeyError for any other."""

    def __getattr__(self, key: str) -> Any:
        return self[key]

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value


class KeepsAttributes:
    def __init__(self, wrong):
        self.p, self.g, self.wrong = Attributes(W=np.ones((3, 2), np.float32), b=np.zeros(2)), Attributes(), wrong
        self.same = self.p

    def forward(self, x):
        self.x = x
        return x @ self.p.W + self.same.b

    def backward(self, grad_output):
        self.g.W, self.g.b = self.wrong * self.x.T @ grad_output, grad_output.sum(axis=0)
        return grad_output @ self.p.W.T


@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_a_dict_whose_keys_are_attributes_is_copied_and_checked(wrong):
    layer = KeepsAttributes(wrong)
    report = check_gradients(layer, np.random.default_rng(0).standard_normal((4, 3)))
    assert {entry.name: entry.verdict for entry in report.entries} == {
        "x": "right",
        "p['W']": "right" if wrong == 1.0 else "wrong",
        "p['b']": "right",
    }
    assert layer.g == {}
    assert layer.p.W.dtype == np.float32


def test_classes_functions_and_modules_have_no_attributes_of_their_own():
    assert [attributes(thing) for thing in (Slotted, in_globals, np, everything().items)] == [{}] * 4


@pytest.mark.parametrize(
    ("first", "second", "are_equal"),
    [
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, np.nan], [1.0, np.nan], True),
        ([np.nan, 1.0], [1.0, np.nan], False),
        ([1.0, 2.0], [1.0, 3.0], False),
        ([1.0, 1.0], [1.0], False),
        ([], [[]], False),
        (0.0, -0.0, True),
        (np.array([1, 2]), np.array([1.0, 2.0]), True),
    ],
)
def test_arrays_are_equal_by_shape_and_numbers_with_nan_beside_nan(first, second, are_equal):
    assert equal(first, second) is equal(second, first) is are_equal


Numbers: Any = np.ndarray[Any, Any]  # a type as an object, whose attributes are those of its class


def test_a_type_that_code_refers_to_is_none_of_its_state():
    def double(x):
        return 2.0 * cast(Numbers, x)

    def backward(grad_output):
        return 2.0 * cast(Numbers, grad_output)

    assert all(thing is not Numbers for thing in reachable(double))
    assert check_gradients((double, backward), np.ones(3)).verdict == "right"


class KeepsItsModule:
    """One that computes with the module that it is given, and keeps sizes beside an array in its cache."""

    def __init__(self, wrong=1.0):
        self.xp: Any = np
        self.cache: Any = None
        self.w, self.b = np.ones((3, 2), np.float32), np.zeros(2)
        self.grad_w, self.grad_b, self.wrong = np.zeros_like(self.w), np.zeros(2), wrong
        self.params, self.grads = [self.w, self.b], [self.grad_w, self.grad_b]

    def forward(self, x):
        self.cache = (self.xp.array(x), *x.shape)
        return self.xp.tanh(x @ self.w + self.b)

    def backward(self, grad_output):
        x, rows, _ = self.cache
        dz = grad_output * (1 - self.xp.tanh(x @ self.w + self.b) ** 2)
        self.grad_w[...] = self.wrong * (x.T @ dz)
        self.grad_b[...] = dz.reshape(rows, 2).sum(axis=0)
        return dz @ self.w.T


@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_a_module_that_is_held_is_the_same_in_the_copy(wrong):
    layer = KeepsItsModule(wrong)
    assert in_float64(layer).xp is np
    x = np.random.default_rng(0).standard_normal((4, 3))
    for _ in range(2):  # the second time there are sizes in its cache
        verdicts = [entry.verdict for entry in check_gradients(layer, x).entries]
        assert verdicts == ["right", "right" if wrong == 1.0 else "wrong", "right"]
        layer.forward(x)
