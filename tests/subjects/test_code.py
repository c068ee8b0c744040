"""What is found in anybody's code, piece by piece: what says None, what is data, and what moves the output."""

from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_ins import Here, leaf, stand_in

from numpy_nn.subjects.arrays.places import Place, parsed
from numpy_nn.subjects.calls.calling import Convention
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.subject import SubjectError

ONE, TWO = np.ones(3), np.ones((2, 3))


# None in the place of a gradient.


@pytest.mark.parametrize(
    ("returned", "name", "says"),
    [
        ({"w": None}, "w", True),
        ({"w": ONE}, "w", False),
        ({"x": ONE}, "w", False),
        ((None, ONE), "x", True),
        ((ONE, None), "w", True),
        ([ONE, None], "w", True),
        ((ONE, ONE), "w", False),
        ((None,), "w", False),
        ((None, None), "other", False),
        ((), "x", False),
        (None, "x", False),
        (ONE, "x", False),
    ],
)
def test_backward_says_none_in_the_place_of_a_gradient(returned, name, says):
    subject = stand_in(convention=Convention(("x", "w")), _returned=returned)
    assert CodeSubject._says_none(subject, name) == says


# Data.


@pytest.mark.parametrize(
    ("name", "owner", "size", "given", "is_data"),
    [
        ("x", None, 1, True, True),
        ("inputs", None, 1, True, True),
        ("y", None, 1, True, True),
        ("labels", None, 1, True, True),
        ("w", None, 1, True, False),
        ("x", object(), 1, True, False),
        ("x", None, 2, True, False),
        ("x", None, 1, False, False),
    ],
)
def test_data_is_what_a_function_of_a_number_is_given_under_such_a_name(name, owner, size, given, is_data):
    subject = stand_in(_owner=owner, _given={name: ONE} if given else {}, output=lambda: np.zeros(size))
    assert CodeSubject._is_data(subject, name) == is_data


@pytest.mark.parametrize(
    ("name", "moves", "given", "says_none", "is_data", "kind"),
    [
        ("w", True, False, False, False, "unchecked"),
        ("w", True, False, True, False, "unclaimed"),
        ("running_mean", True, False, False, False, "buffer"),
        ("x", True, False, False, True, "data"),
        ("running_mean", True, False, False, True, "buffer"),
        ("w", True, False, True, True, "unclaimed"),
        ("w", False, True, False, False, "unchecked"),
        ("w", False, False, False, False, None),
    ],
)
def test_an_argument_without_a_gradient_is_left_out_and_said_to_be_if_it_matters(
    name, moves, given, says_none, is_data, kind
):
    subject = stand_in(arrays={name: np.array([2.0, 0.0])}, _given={name: ONE} if given else {}, input="x")
    home = subject.arrays[name].copy()

    @contextmanager
    def at(moved):
        np.testing.assert_array_equal(moved[name], [2.3125, 0.0625])
        subject.arrays[name] = moved[name]
        yield
        subject.arrays[name] = home

    subject.at, subject._says_none, subject._is_data = at, lambda _: says_none, lambda _: is_data
    subject.output = lambda: 2.0 * subject.arrays[name] if moves else np.zeros(2)
    CodeSubject._leave_out(subject, name, ["b"])
    assert subject.arrays == {}
    assert subject.unchecked == ([] if kind is None else [(name, kind, 0)])
    subject.arrays, subject.unchecked = {name: home}, []
    CodeSubject._leave_out(subject, name, [name])
    assert subject.arrays == {}
    assert subject.unchecked == []


def test_what_is_not_asked_about_is_taken_for_granted():
    # But for an array of the shape of something that is returned and is the gradient of nothing else.
    subject = stand_in(
        _given={"a": ONE, "p": [np.ones(2)]},
        _not_taken=[leaf("[1]", np.zeros(2)), leaf("a", ONE, returned=False)],
        _targets_name=None,
        _constants=(),
    )
    subject.unchecked = [("a", "unchecked", 3), ("b", "buffer", 4), ("p[0]", "unchecked", 2)]
    CodeSubject.take_for_granted(subject)
    assert subject.unchecked == [("a", "granted", 3), ("b", "buffer", 4), ("p[0]", "unchecked", 2)]


def test_settings_are_numbers_among_the_arguments_and_what_has_no_gradient():
    eps, mean = np.array(0.5), np.ones(2)
    given = {"rate": 0.1, "steps": 3, "training": True, "x": ONE, "mode": "same"}
    subject = stand_in(_given=given, _lost={"eps": (None, eps), "mean": (None, mean)})
    subject.settings = lambda: CodeSubject.settings(subject)
    assert CodeSubject.settings(subject) == {"rate": 0.1, "steps": 3, "eps": 0.5}
    installed = []
    subject._install = lambda: installed.append((given["rate"], float(eps)))
    with CodeSubject.with_setting(subject, "rate", 0.7):
        assert installed == [(0.7, 0.5)]
    with CodeSubject.with_setting(subject, "eps", 0.25):
        pass
    assert installed == [(0.7, 0.5), (0.1, 0.5), (0.1, 0.25), (0.1, 0.5)]


# What moves the output.


def depends(value, f, *, exists=True, home=None):
    """Whether the output f of what is in a place hangs on it; and the place, as it is afterwards."""
    place = Here(value, exists=exists)
    subject = stand_in(_tried=None)
    subject.output = lambda: np.asarray(f(place.value))
    home = subject.output() if home is None else home
    return CodeSubject._depends(subject, place, home), place, subject


@pytest.mark.parametrize(
    ("value", "f", "moves"),
    [
        (np.array([1.0, 2.0]), lambda v: v + 1.0, True),
        (np.array([1.0, 2.0]), lambda _: 7.0, False),
        # By uneven shifts, also of zeros, away from 0.
        (np.zeros(3), lambda v: v - v.mean(), True),
        (np.ones(3), lambda v: v - v.mean(), True),
        (np.array([-1.0]), lambda v: np.maximum(v + 1.0, 0.0), False),
        (np.array([1.0]), lambda v: np.minimum(v - 1.0, 0.0), False),
        (np.array([-0.4]), lambda v: np.maximum(v + 0.4, 0.0), True),
        (np.array([[1.0, 2.0]]), lambda v: 2.0 * v[:, 0], True),
        (2.0, lambda v: 3.0 * v, True),
        (2.0, lambda v: 3.0 * np.ones(1) if isinstance(v, float) else np.zeros(1), False),
        (np.array([1, 2]), lambda v: v * 1.0, True),
        (np.array([1.0, 2.0], np.float32), lambda v: v + 1.0, True),
        # Another shape is another size of something, no value that is learned.
        (np.array([1.0, 2.0]), lambda v: np.zeros(2 if v[0] == 1.0 else 3), False),
    ],
)
def test_what_the_output_hangs_on(value, f, moves):
    kept = np.array(value)
    found, place, subject = depends(value, f)
    assert found == moves
    assert place.value is value
    np.testing.assert_array_equal(place.value, kept)
    assert subject._tried is None


def test_by_how_much_what_is_tried_is_moved():
    for value in (np.array([2.0, -2.0, 0.0]), np.array([2, -2, 0])):
        seen: list[Any] = []

        def f(v, seen=seen):
            seen.append(np.array(v, np.float64) if np.ndim(v) else v)
            return 0.0

        depends(value, f)
        np.testing.assert_allclose(seen[-1], [2.25 + 0.0625, -2.25 - 0.0625 * 1.5, 0.0625 * 2.0])
    depends(4.0, f)
    assert seen[-1] == 4.5 + 0.0625
    assert type(seen[-1]) is float


@pytest.mark.parametrize("error", [SubjectError("no"), TypeError("no"), ValueError("no"), AttributeError("no")])
@pytest.mark.parametrize(("value", "may"), [(np.array([1.0]), True), (np.array([1]), False), (1.0, False), (3, False)])
def test_of_what_cannot_be_moved_arrays_of_floats_may_be_parameters(error, value, may):
    def f(v):
        if v is not value or (np.any(np.asarray(v) != 1.0) and np.any(np.asarray(v) != 3)):
            raise error
        return 0.0

    found, place, _ = depends(value, f)
    assert found == may
    assert place.value is value


def test_an_array_that_cannot_be_written_is_replaced_and_put_back():
    value = np.array([1.0, 2.0])
    value.flags.writeable = False
    found, place, _ = depends(value, lambda v: v * 2.0)
    assert found
    assert place.value is value


class Parts:
    """What is found among the parameters of an object: what moves the output, and what is noted of the others."""

    def __init__(self, owner, moves, *, stays=(), state=False, given=(), constants=(), gone=None):
        self.tried: list[str] = []
        self.subject = subject = stand_in(_owner=owner, _given=dict(enumerate(given)), _overlapping={})
        subject._home, subject.output = ("home" if state else None), lambda: ONE
        subject._stays = subject._is_left_alone = lambda place: str(place) in stays
        subject._may_do_nothing_here = partial(CodeSubject._may_do_nothing_here, subject)
        subject._is_filled = subject._is_rewritten = subject._depends_beside_zeros = lambda _: False

        def depends(place, _):
            self.tried.append(str(place))
            if gone is not None:
                vars(owner).pop(gone, None)
            return str(place) in moves

        def add(name, place):
            subject._places[name], subject.arrays[name] = place, place.read()

        subject._depends, subject._add = depends, add
        subject.arrays = {"x": TWO}
        CodeSubject._find_dependent(subject, constants)

    @property
    def found(self):
        return {name: str(place) for name, place in self.subject._places.items()}


def test_parameters_are_what_the_output_depends_on():
    owner = SimpleNamespace(W=ONE.copy(), eps=0.5, b=TWO.copy(), n=np.arange(3), bias=0.5, other=0.5, offset=0.5)
    parts = Parts(owner, ["W", "eps"], stays=["b", "n", "bias", "other"])
    assert parts.tried == ["W", "eps", "b", "n", "bias", "other", "offset"]
    assert parts.found == {"W": "W", "eps": "eps"}
    assert list(parts.subject._silent) == ["b", "bias"]
    assert parts.subject.unchecked == []


def test_constants_and_what_is_an_argument_and_what_is_gone_are_passed_over():
    def owner():
        return SimpleNamespace(W=ONE.copy(), seen=TWO, view=TWO[0], c=ONE.copy(), made=ONE.copy(), b=ONE.copy())

    everything = ["W", "seen", "view", "c", "made", "b"]
    parts = Parts(owner(), everything, given=[TWO, 3, "text"], constants=["c"])
    assert parts.tried == ["W", "made", "b"]
    parts = Parts(owner(), everything, given=[TWO], gone="made")
    assert parts.tried == ["W", "c", "b"]
    assert list(parts.found) == ["W", "c", "b"]


def test_what_shares_memory_with_a_parameter_overlaps_if_it_is_a_part_or_the_whole_of_it():
    flat, small = np.ones(6), np.ones((2, 3), np.float32)
    owner = SimpleNamespace(W=flat[:4].reshape(2, 2), theta=flat, WT=flat[:4].reshape(2, 2).T, V=small, row=small[0])
    parts = Parts(owner, ["W", "theta", "WT", "V", "row"])
    assert parts.found == {"W": "W", "V": "V"}
    assert list(parts.subject._overlapping) == ["theta"]
    # What no parameter has found yet is one by itself.
    assert Parts(owner, ["theta"]).found == {"theta": "theta"}


def test_a_parameter_of_the_name_of_an_argument_is_called_by_its_object_too():
    assert Parts(SimpleNamespace(x=ONE.copy()), ["x"]).found == {"SimpleNamespace.x": "x"}


def test_what_is_another_array_after_each_call_is_a_state_and_not_learned():
    owner = SimpleNamespace(h=TWO.copy(), W=ONE.copy(), s=0.5)
    parts = Parts(owner, ["h", "W", "s"], stays=["W"], state=True)
    assert parts.found == {"W": "W"}
    assert parts.subject.unchecked == [("h", "buffer", 6), ("s", "buffer", 1)]
    assert Parts(owner, ["h", "W", "s"], stays=["W"]).subject.unchecked == []


@pytest.mark.parametrize(
    ("after", "exists", "stays"), [(None, True, True), (np.ones(2), True, False), (None, False, False)]
)
def test_what_forward_leaves_as_it_is_stays(after, exists, stays):
    place, homes = Here(ONE, exists=exists), []
    subject = stand_in(_home="home")

    def output():
        homes.append(subject._home)
        if after is not None:
            place.value = after

    subject.output = output
    assert CodeSubject._stays(subject, place) == stays
    assert homes == [None]
    assert subject._home == "home"


@pytest.mark.parametrize(
    ("given", "array", "changed"),
    [
        (np.array([9.0, 1.0]), np.array([1.0, 1.0]), True),
        (np.ones(2), np.ones(2), False),
        (np.ones(3), np.ones(2), False),
    ],
)
def test_what_forward_has_made_of_parameters_is_put_back(given, array, changed):
    subject = stand_in(arrays={"W": array, "b": ONE.copy()}, _forward_updates=False)
    subject._places = {"W": Place(None, parsed("W")), "b": Place(None, parsed("b"))}
    CodeSubject._undo_forward_updates(subject, {"W": (None, given)})
    assert subject._forward_updates == changed
    np.testing.assert_array_equal(subject.arrays["W"], given if changed else array)
    np.testing.assert_array_equal(subject.arrays["b"], ONE)
