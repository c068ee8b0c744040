"""What is found in anybody's code, piece by piece: what is data, what moves the output, what is whose gradient."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from numpy_nn.subjects.calling import RATE, Convention
from numpy_nn.subjects.code import CodeSubject, output_paths
from numpy_nn.subjects.gradients import Leaf
from numpy_nn.subjects.places import Place, parsed
from numpy_nn.subjects.subject import SubjectError

ONE, TWO = np.ones(3), np.ones((2, 3))


def leaf(path="", value=TWO, *, returned=True, is_new=True):
    return Leaf(returned, parsed(path) if path else (), np.asarray(value), is_new)


class Here:
    """A place that holds a value, until it is gone."""

    def __init__(self, value, path="W", exists=True):
        self.value, self.path, self.there = value, parsed(path), exists
        self.seen = []

    def exists(self):
        return self.there

    def read(self):
        return self.value

    def put(self, value):
        self.seen.append(value)
        self.value = value

    def held(self):
        return id(self.value), np.array(self.value).tobytes()


def stand_in(**given):
    """What a method reads of its subject."""
    made = SimpleNamespace(
        arrays={}, _places={}, _leaves={}, _updates={}, _silent={}, _lost={}, _given={}, _sharing=[], unchecked=[]
    )
    vars(made).update(given)
    return made


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
    subject = stand_in(arrays={name: np.array([2.0, 0.0])}, _given={name: ONE} if given else {})
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
    subject = stand_in(unchecked=[("a", "unchecked", 3), ("b", "buffer", 4)])
    CodeSubject.take_for_granted(subject)
    assert subject.unchecked == [("a", "granted", 3), ("b", "buffer", 4)]


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


def depends(value, f, *, exists=True, home=None, put=None):
    """Whether the output f of what is in a place hangs on it; and the place, as it is afterwards."""
    place = Here(value, exists=exists)
    if put is not None:
        place.put = put
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
        seen = []
        depends(value, lambda v, seen=seen: seen.append(np.array(v, np.float64)) or 0.0)
        np.testing.assert_allclose(seen[-1], [2.25 + 0.0625, -2.25 - 0.0625 * 1.5, 0.0625 * 2.0])
    seen = []
    depends(4.0, lambda v: seen.append(v) or 0.0)
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


# Which array is the gradient of an argument.


def input_likeness(one, *, index=0, path="", shape=(2, 3), count=1, only_one=False, parameters=(), name="x"):
    subject = stand_in(_places=dict.fromkeys(map(str, range(len(parameters)))))
    subject.arrays = {str(k): np.zeros(shape) for k, shape in enumerate(parameters)}
    path = parsed(path) if path else ()
    return CodeSubject._input_likeness(subject, name, index, path, shape, count, only_one)(one)


@pytest.mark.parametrize(
    ("one", "given", "like"),
    [
        # All that is returned.
        (leaf(), {}, 1.0),
        (leaf(), {"index": 1}, 0.0),
        (leaf(), {"parameters": [(4,)]}, 0.0),
        (leaf(), {"parameters": [(4,)], "only_one": True}, 1.0),
        (leaf(value=np.ones(4)), {"parameters": [(4,)], "only_one": True}, 0.0),
        (leaf(value=np.ones(5)), {"parameters": [(4,)], "only_one": True}, 1.0),
        (leaf(), {"parameters": [(2, 3)], "only_one": True}, 1.0),
        (leaf(), {"count": 2}, 0.7),
        (leaf(), {"count": 2, "index": 1}, 0.6),
        (leaf(), {"count": 2, "parameters": [(4,)], "only_one": True}, 1.0),
        (leaf(), {"count": 2, "index": 1, "parameters": [(4,)], "only_one": True}, 0.0),
        # One of several.
        (leaf("[0]"), {}, 0.9),
        (leaf("[1]"), {}, 0.0),
        (leaf("[0]"), {"count": 2}, 0.9),
        (leaf("[1]"), {"count": 2}, 0.3),
        (leaf("[1]"), {"count": 2, "index": 1}, 0.9),
        (leaf("[0]"), {"count": 2, "index": 1}, 0.3),
        (leaf("['dx']"), {"count": 2, "index": 1}, 1.0),
        (leaf("['dw']"), {"count": 2}, 0.0),
        (leaf("[0][0]"), {"parameters": [(2, 3)]}, 0.0),
        (leaf("[0][0]"), {"parameters": [(4,)]}, 0.9),
        (leaf("[0]"), {"parameters": [(2, 3)]}, 0.9),
        # What is kept.
        (leaf("dx", returned=False), {}, 0.7),
        (leaf("dx", returned=False), {"count": 2}, 0.7),
        (leaf("mask", returned=False), {"count": 2}, 0.1),
        # An array of a list.
        (leaf("[1]"), {"path": "[1]"}, 0.9),
        (leaf("[0][1]"), {"path": "[1]"}, 0.9),
        (leaf("[1][1]"), {"path": "[1]", "index": 1}, 0.9),
        (leaf("[1][1]"), {"path": "[1]"}, 0.3),
        (leaf("[1]", returned=False), {"path": "[1]"}, 0.0),
        (leaf("[0]['dW']"), {"path": "['W']"}, 1.0),
    ],
)
def test_how_likely_an_array_is_the_gradient_of_an_argument(one, given, like):
    assert input_likeness(one, **given) == pytest.approx(like)


@pytest.mark.parametrize(
    ("owner", "found", "taken", "left"),
    [
        (None, [leaf(value=ONE)], False, True),
        (object(), [leaf(value=ONE)], False, False),
        (None, [leaf(value=ONE)], True, False),
        (None, [leaf(value=ONE, returned=False)], False, False),
        (None, [leaf("[0]"), leaf("[1]")], False, False),
        (None, [], False, False),
    ],
)
def test_a_single_array_that_is_returned_is_the_gradient_of_the_input(owner, found, taken, left):
    subject = stand_in(_owner=owner, input="x", _leaves={"w": found[0]} if taken else {})
    CodeSubject._take_whatever_is_left(subject, found)
    assert ("x" in subject._leaves) == left
    if left:
        assert subject._leaves["x"] is found[0]


@pytest.mark.parametrize(
    ("given", "returned", "name"),
    [
        ({"x": ONE, "ws": [ONE, TWO]}, [ONE, ONE, ONE], None),
        ({"x": ONE, "ws": [ONE, TWO, ONE]}, [ONE, ONE, ONE], "ws"),
        ({"x": ONE, "ws": [ONE, TWO, ONE]}, (ONE, ONE, ONE), "ws"),
        ({"x": ONE, "ws": [ONE, TWO]}, [ONE, ONE], None),
        ({"x": ONE, "ws": (ONE, TWO, ONE)}, [ONE, ONE, ONE], None),
        ({"x": ONE, "ws": [ONE, TWO, ONE]}, {"a": ONE}, None),
        ({"x": [ONE], "y": ONE, "ws": [ONE, TWO, ONE, ONE]}, [ONE] * 4, "ws"),
    ],
)
def test_the_argument_whose_arrays_are_as_many_as_the_gradients(given, returned, name):
    assert CodeSubject._container_of_gradients(stand_in(_given=given), list(given), returned) == name


def test_a_parameter_is_held_at_its_place_and_where_its_memory_is_shared():
    subject = stand_in(_places={"W": Here(ONE, "W")}, _sharing=[(Here(ONE, "V"), "W")])
    held = [path for path in ("W", "V", "U") if CodeSubject._holds_parameter(subject, parsed(path))]
    assert held == ["W", "V"]


@pytest.mark.parametrize(
    ("arguments", "owner", "rate"),
    [((RATE,), SimpleNamespace(lr=0.5), 1.0), (None, SimpleNamespace(lr=0.5), 0.5), ((), SimpleNamespace(), None)],
)
def test_a_step_over_the_rate_is_the_gradient_of_what_is_updated(arguments, owner, rate):
    subject = stand_in(convention=Convention(("x",), arguments=arguments), _owner=owner)
    subject._moved, subject._places, subject._leaves = ["W", "b", "c"], {"W": 1, "b": 1}, {"b": 1}
    CodeSubject._find_updates(subject)
    assert subject._updates == ({} if rate is None else {"W": rate})


def test_what_is_claimed_of_what_the_output_does_not_depend_on_is_checked_if_its_name_is_sure():
    place, gone = Here(TWO, "W"), Here(TWO, "V", exists=False)
    sure, unsure, flat = leaf("dW", returned=False), leaf("cache", returned=False), leaf("dW", ONE, returned=False)
    subject = stand_in(_silent={"V": gone, "W": place})
    subject._add = lambda name, where: subject._places.update({name: where})
    for found in ([], [unsure], [flat], [leaf("dV", returned=False)]):
        CodeSubject._add_silent(subject, found)
        assert subject._leaves == {}
        assert not any(CodeSubject._is_of_silent(subject, one) for one in found)
    assert CodeSubject._is_of_silent(subject, sure)
    CodeSubject._add_silent(subject, [unsure, sure, leaf("grad_W", returned=False)])
    assert subject._leaves == {"W": sure}
    assert subject._places == {"W": place}
    subject._leaves, subject._places = {"other": sure}, {}
    CodeSubject._add_silent(subject, [sure])
    assert subject._places == {}


@pytest.mark.parametrize(
    ("name", "value", "mere", "unchecked"),
    [
        ("W", ONE, False, [("W", "unchecked", 3)]),
        ("W", ONE, True, [("W", "buffer", 3)]),
        ("running_mean", ONE, False, [("running_mean", "buffer", 3)]),
        ("eps", 0.5, False, []),
    ],
)
def test_what_has_no_gradient_is_given_up_as_a_buffer_a_setting_or_unchecked(name, value, mere, unchecked):
    place, array = Here(value, name), np.asarray(value)
    subject = stand_in(_places={name: place}, arrays={name: array}, _is_mere_loss=lambda: mere)
    CodeSubject._give_up(subject, name)
    assert (subject._places, subject.arrays, subject._lost) == ({}, {}, {name: (place, array)})
    assert subject.unchecked == unchecked


@pytest.mark.parametrize(
    ("is_loss", "owner", "found", "mere"),
    [
        (True, SimpleNamespace(loss=len), True, True),
        (True, SimpleNamespace(forward=len), True, False),
        (False, SimpleNamespace(loss=len), True, False),
        (True, SimpleNamespace(loss=len), False, False),
    ],
)
def test_a_mere_loss_has_no_forward_pass_and_a_gradient_of_its_input(is_loss, owner, found, mere):
    subject = stand_in(is_loss=is_loss, _owner=owner, input="x", _leaves={"x": 1} if found else {})
    assert CodeSubject._is_mere_loss(subject) == mere


@pytest.mark.parametrize("error", [None, SubjectError("no"), ValueError("no")])
def test_backward_is_called_at_another_input_first_where_it_takes_one(error):
    subject, seen = stand_in(arrays={"x": np.array([4.0])}, input="x"), []

    @contextmanager
    def at(moved):
        before = subject.arrays["x"]
        subject.arrays["x"] = moved.get("x", before)
        try:
            yield
        finally:
            subject.arrays["x"] = before

    def claimed(grad_output):
        seen.append((float(subject.arrays["x"][0]), grad_output))
        if error is not None and len(seen) == 1:
            raise error

    subject.at, subject._claimed = at, claimed
    CodeSubject._claim_elsewhere(subject, "g")
    assert seen == [(3.0, "g")] + [(4.0, "g")] * (error is not None)
    subject.input = "y"
    seen.clear()
    error = None
    CodeSubject._claim_elsewhere(subject, "g")
    assert seen == [(4.0, "g")]


def test_an_object_may_have_left_its_output_under_its_usual_names():
    owner = SimpleNamespace(output=ONE, A_=1.5, out="text", W=ONE)
    found = [path[0].key for path in output_paths(owner)]
    assert found[0] == "output"
    assert "out" not in found
    assert "W" not in found
    assert all(len(path) == 1 for path in output_paths(owner))
    assert output_paths(SimpleNamespace()) == []
