"""Paths as they are written and read, places in every kind of container, and what counts as an array there."""

from collections import namedtuple
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients
from numpy_nn.parameter import Parameter
from numpy_nn.subjects.arrays.places import Place, Step, class_values, follow, last_name, parsed, places, written


class Slotted:
    __slots__ = ("unset", "w")


class WithClassArray:
    shared = np.arange(3.0)
    label = "a"


class Derived(WithClassArray):
    own = np.arange(2.0)


Pair = namedtuple("Pair", "first second")


def holder():
    """An object with an array or float in every kind of place."""
    thing: SimpleNamespace = SimpleNamespace(
        a=np.ones(2), params={"W": np.ones((2, 2)), "b.c": np.ones(1), 3: np.ones(3)}, layers=[SimpleNamespace(W=0.5)]
    )
    thing.slotted = Slotted()
    thing.slotted.w = np.ones(4)
    thing.pair, thing.derived, thing.parameter = Pair(np.ones(5), 2.0), Derived(), Parameter(np.ones(6))
    return thing


WRITTEN = [
    "a", "params['W']", "params['b.c']", "params[3]", "layers[0].W", "slotted.w", "pair.first", "pair.second",
    "derived.shared", "derived.own", "parameter",
]  # fmt: skip


def test_every_array_and_float_is_a_place_by_its_path_in_the_order_in_which_it_was_set():
    assert [str(place) for place in places(holder())] == WRITTEN


@pytest.mark.parametrize("index", range(len(WRITTEN)))
def test_a_path_that_is_written_and_read_leads_to_the_same_place(index):
    thing = holder()
    place = list(places(thing))[index]
    assert written(parsed(written(place.path))) == written(place.path)
    assert follow(thing, parsed(written(place.path))) is place.read()


@pytest.mark.parametrize("index", range(len(WRITTEN)))
def test_what_is_put_in_a_place_is_there_and_nowhere_else(index):
    thing = holder()
    others = list(places(thing))
    place = others.pop(index)
    before = [np.array(other.read()) for other in others]
    if isinstance(place.read(), float) and isinstance(place.owner, tuple):
        with pytest.raises(TypeError):
            place.put(7.0)
        return
    place.put(7.0 + np.zeros_like(place.read()))
    assert np.all(np.asarray(place.read()) == 7.0)
    assert np.shape(place.read()) == np.shape(list(places(holder()))[index].read())
    assert all(np.array_equal(other.read(), value) for other, value in zip(others, before, strict=True))


def test_an_array_of_the_class_is_covered_by_one_of_the_object():
    thing = Derived()
    Place(thing, parsed("shared")).put(np.zeros(3))
    assert not thing.shared.any()
    assert WithClassArray.shared.tolist() == [0.0, 1.0, 2.0]


def test_arrays_and_floats_of_the_class_are_those_of_its_bases_too_and_nothing_else_is():
    assert list(class_values(Derived())) == ["shared", "own"]


def test_what_cannot_be_put_anywhere_is_refused():
    with pytest.raises((TypeError, AttributeError)):
        Place(MappingProxyType({"W": np.ones(2)}), (Step("W", True),)).put(np.zeros(2))


@pytest.mark.parametrize("key", ["W", "a.b", "x[0]", "it's", 'say "W"', 0, 12, -1])
def test_keys_of_dicts_survive_being_written(key):
    path = (Step("params", False), Step(key, True))
    assert parsed(written(path)) == path


def test_after_a_dot_may_stand_the_key_of_a_dict_but_an_attribute_comes_first():
    class Mapped(dict[str, str]):
        W = "the attribute"

    assert follow({"grads": {"W": 1}}, parsed("grads.W")) == 1
    assert follow(SimpleNamespace(grads=Mapped(W="the item")), parsed("grads.W")) == "the attribute"
    assert follow(SimpleNamespace(grads=Mapped(W="the item")), parsed("grads['W']")) == "the item"


def test_what_is_put_goes_where_it_is_read():
    class Mapped(dict[str, float]):
        W = 1.0

    for owner, path in (
        ({"W": 1.0}, "['W']"),
        ({"items": 1.0}, "['items']"),
        ({"W": 1.0}, "W"),
        (Mapped(W=2.0), "['W']"),
        (Mapped(W=2.0), "W"),
        ([0.0, 1.0], "[1]"),
        (SimpleNamespace(W=1.0), "W"),
    ):
        # Within another, as every place is.
        place = Place(SimpleNamespace(own=owner), (Step("own", False), *parsed(path)))
        place.put(7.0)
        assert place.read() == 7.0, path
        if isinstance(owner, Mapped):
            assert (owner["W"], owner.W) == ((2.0, 7.0) if path == "W" else (7.0, 1.0))
        elif isinstance(owner, dict):
            assert list(owner.values()) == [7.0]


@pytest.mark.parametrize("path", ["none", "params['none']", "params.none", "layers[1]", "a.none"])
def test_a_path_that_leads_nowhere_is_a_lookup_error(path):
    with pytest.raises(LookupError):
        follow(holder(), parsed(path))


def test_a_place_exists_as_long_as_its_path_leads_somewhere():
    thing: SimpleNamespace = SimpleNamespace(
        params={"W": np.ones(2)}, layers=[np.ones(2)], inner=SimpleNamespace(W=0.5)
    )
    found = list(places(thing))
    held = [place.read() for place in found]
    assert [place.exists() for place in found] == [True] * 3
    assert not any(place.has_another(value) for place, value in zip(found, held, strict=True))
    assert [place.has_another(1.0) for place in found] == [True] * 3
    del thing.params["W"], thing.layers[0]
    thing.inner = None
    assert [place.exists() for place in found] == [False] * 3
    assert [place.has_another(1.0) for place in found] == [False] * 3


def test_an_object_s_parameter_goes_by_the_object_s_name():
    thing = SimpleNamespace(
        W=SimpleNamespace(value=np.ones(2), other=np.ones(2)), value=np.ones(1), d={"data": np.ones(1)}
    )
    assert [str(place) for place in places(thing)] == ["W", "W.other", "value", "d['data']"]


def test_no_place_is_what_holds_no_floats_or_was_met_before():
    array = np.ones(2)
    thing = SimpleNamespace(
        first=array, again=array, empty=np.ones(0), words=np.array(["a"]), flags=np.array([True]), text="a", number=3,
        rng=np.random.default_rng(0), kind=Slotted, whole=np.arange(3),
    )  # fmt: skip
    thing.itself, thing.fn = thing, lambda: array
    assert [str(place) for place in places(thing)] == ["first", "whole"]


@pytest.mark.parametrize(
    ("path", "name"),
    [("W", "W"), ("W.data", "W"), ("layers[0].W.value", "W"), ("params['W']", "W"), ("data", "data"), ("W[1]", 1)],
)
def test_what_is_in_a_parameter_object_is_called_as_that(path, name):
    assert last_name(parsed(path)) == name


class WithALayerOfOurs:
    def __init__(self, factor=1.0):
        self.dense, self.gain = nn.Linear(4, 3, rng=0, dtype=np.float64), np.array([1.0, 2.0, 0.5])
        self.factor = factor

    def forward(self, x):
        self.y = self.dense.forward(x)
        return self.y * self.gain

    def backward(self, grad_output):
        self.dgain = (grad_output * self.y).sum(axis=0)
        return self.dense.backward(self.factor * grad_output * self.gain)


@pytest.mark.numerical
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_the_parameters_of_a_layer_of_ours_in_an_object_of_the_users_have_their_gradients_beside_them(factor, verdict):
    report = check_gradients(WithALayerOfOurs(factor), np.random.default_rng(1).standard_normal((5, 4)))
    assert {entry.name: entry.verdict for entry in report.entries} == {
        "x": verdict, "dense.weight": verdict, "dense.bias": verdict, "gain": "right"
    }  # fmt: skip
    assert report.problems == []
