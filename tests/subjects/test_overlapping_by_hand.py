"""Parameters whose memory is shared, piece by piece: views, the vector they are parts of, and what is bound anew."""

from types import SimpleNamespace

import numpy as np
import pytest
from stand_ins import Here, leaf, stand_in

from numpy_nn.subjects.parameters.overlapping import OverlappingCode, is_part_or_vector


@pytest.mark.parametrize(
    ("array", "of", "found"),
    [
        ((6,), (2, 3), True),
        ((2, 3), (6,), True),
        ((2, 3), (3, 2), False),
        ((2,), (6,), True),
        ((6,), (6,), False),
        ((6,), (1, 6, 1), True),
        ((6, 1), (1, 6, 1), False),
        ((2, 3), (1, 2, 3), False),
    ],
)
def test_a_part_or_a_vector_of_another(array, of, found):
    assert is_part_or_vector(np.zeros(array), np.zeros(of)) == found


@pytest.mark.parametrize(
    ("found", "kind"),
    [("text", "str"), ([1.0], "list"), (np.ones(2, complex), "ndarray"), (np.array([True]), "ndarray"), (3, "int")],
)
def test_only_an_array_of_numbers_or_a_float_can_be_a_parameter(found, kind):
    with pytest.raises(TypeError, match=f"parameters: expected W to be an array of floats, got {kind}"):
        OverlappingCode._add(stand_in(label="net"), "W", Here(found))


def test_what_is_a_parameter_is_checked_in_float64_and_in_place_where_it_can_be():
    own, frozen = np.ones(2), np.ones(2)
    frozen.flags.writeable = False
    for found in (own, frozen, 0.5, np.float32(0.5), np.ones(2, np.float32), np.arange(3)):
        subject, place = stand_in(label="net"), Here(found)
        OverlappingCode._add(subject, "W", place)
        array = subject.arrays["W"]
        assert (array.dtype, array.flags.writeable) == (np.float64, True)
        np.testing.assert_array_equal(array, found)
        assert (array is own) == (found is own)
        assert subject._places == {"W": place}

    class Nowhere(Here):
        def read(self):
            raise LookupError

    with pytest.raises(ValueError, match="parameters: net has no W"):
        OverlappingCode._add(stand_in(label="net"), "W", Nowhere(None))


def test_where_memory_of_parameters_is_held_is_noted():
    flat, other = np.arange(9.0), np.zeros(3)
    owner = SimpleNamespace(W=flat[:6].reshape(2, 3), b=flat[6:], theta=flat, other=other, n=3.0)
    subject = stand_in(arrays={"W": owner.W}, _places={"W": Here(owner.W)}, _owner=owner)
    OverlappingCode._note_sharing(subject)
    assert sorted(str(place) for place, _ in subject._sharing) == ["W", "b", "theta"]
    for place, value in subject._sharing:
        assert value is place.read()
    subject._places = {}
    OverlappingCode._note_sharing(subject)
    assert subject._sharing == []


def matching(found, *, claimed=(), parts=("W", "b"), agreeing=(), parted=False, overlapping=("theta",)):
    """The gradients found of parts of a vector, or of the vector; and what is left to check."""
    flat = np.arange(9.0)
    arrays = {"W": flat[:6].reshape(2, 3), "b": flat[6:], "theta": flat, "again": flat[:6].reshape(2, 3)}
    subject = stand_in(arrays={n: arrays[n] for n in parts}, _places={n: Here(arrays[n], n) for n in parts})
    subject._leaves = {n: leaf(f"d{n}", arrays[n], returned=False) for n in claimed}
    subject._overlapping = {n: Here(arrays[n], n) for n in overlapping}
    subject._parted, subject._updated_views, steps = [1] if parted else [], [], []

    def add(name, place):
        subject._places[name], subject.arrays[name] = place, arrays[name]

    subject._add = add
    subject._views_bound_anew = lambda: ["b"]
    subject._follow_those_bound_anew = lambda: steps.append("followed")
    subject._is_part_of_checked = lambda name: name == "W" and "theta" in subject._leaves
    OverlappingCode._match_overlapping(
        subject, found, lambda name, one: (name, str(one)) in agreeing, lambda: steps.append("step")
    )
    return {name: str(one) for name, one in subject._leaves.items()}, list(subject._places), steps


VECTOR = np.zeros(9)


@pytest.mark.parametrize(
    ("found", "given", "leaves", "places"),
    [
        # Where gradients of parts are missing, that of the vector will do, under a name of its own or as "grad".
        ([leaf("dtheta", VECTOR, returned=False)], {}, {"theta": "dtheta"}, ["b", "theta"]),
        ([leaf("grad", VECTOR, returned=False)], {}, {"theta": "grad"}, ["b", "theta"]),
        ([leaf("_gradients", VECTOR, returned=False)], {}, {"theta": "_gradients"}, ["b", "theta"]),
        ([leaf("cache", VECTOR, returned=False)], {}, {}, ["W", "b"]),
        ([leaf("grad", VECTOR, returned=False, is_new=False)], {}, {}, ["W", "b"]),
        ([leaf("grad", np.zeros((3, 3)), returned=False)], {}, {}, ["W", "b"]),
        ([leaf("layer.grad", VECTOR, returned=False)], {}, {}, ["W", "b"]),
        # What looks like it does so if its numbers agree.
        (
            [leaf("cache", VECTOR, returned=False)],
            {"agreeing": [("theta", "cache")]},
            {"theta": "cache"},
            ["b", "theta"],
        ),
        # Where none is missing, only a sure name tells of another.
        (
            [leaf("dtheta", VECTOR, returned=False)],
            {"claimed": ["W", "b"]},
            {"W": "dW", "b": "db", "theta": "dtheta"},
            ["W", "b", "theta"],
        ),
        (
            [leaf("cache", VECTOR, returned=False)],
            {"claimed": ["W", "b"], "agreeing": [("theta", "cache")]},
            {"W": "dW", "b": "db"},
            ["W", "b"],
        ),
        ([leaf("grad", VECTOR, returned=False)], {"claimed": ["W", "b"]}, {"W": "dW", "b": "db"}, ["W", "b"]),
        # The same numbers once more.
        (
            [leaf("dagain", returned=False)],
            {"claimed": ["W"], "overlapping": ["again"], "agreeing": [("again", "dagain")]},
            {"W": "dW"},
            ["W", "b"],
        ),
        (
            [leaf("dagain", returned=False)],
            {"claimed": ["b"], "overlapping": ["again"]},
            {"b": "db", "again": "dagain"},
            ["W", "b", "again"],
        ),
        ([leaf("dtheta", VECTOR, returned=False)], {"overlapping": []}, {}, ["W", "b"]),
    ],
)
def test_gradients_of_a_vector_stand_for_those_of_its_parts(found, given, leaves, places):
    matched, left, steps = matching(found, **given)
    assert matched == leaves
    assert left == places
    assert steps == []


@pytest.mark.parametrize(
    ("claimed", "parted", "steps"), [([], True, ["step", "followed"]), ([], False, []), (["W", "b"], True, [])]
)
def test_where_views_are_bound_anew_a_step_more_is_taken(claimed, parted, steps):
    _, left, taken = matching([], claimed=claimed, parted=parted)
    assert taken == steps
    assert left == ["W", "b"]


def bound_anew(*parted, names=("W",), leaves=(), moved=()):
    """The places and what has moved, where code holds W in several places and has bound these anew."""
    arrays = {"W": np.zeros(3), "V": np.zeros(2)}
    places = {name: Here(arrays[name], name) for name in names}
    subject = stand_in(
        arrays=arrays, _places=dict(places), _leaves=dict.fromkeys(leaves), _moved_to=dict.fromkeys(moved)
    )
    subject._moved, found = {}, [Here(None, f"p{k}") for k in range(len(parted))]
    subject._parted = [(place, arrays[held]) for place, (held, _) in zip(found, parted, strict=True)]
    subject._parted_to = [np.array(to) for _, to in parted]
    OverlappingCode._follow_those_bound_anew(subject)
    for name, values in subject._moved.items():
        assert values is arrays[name]
    return [found.index(p) if p in found else None for p in subject._places.values()], list(subject._moved)


ONE, TWO = [1.0, 1.0, 1.0], [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("parted", "given", "places", "moved"),
    [
        ([("W", ONE)], {}, [0], ["W"]),
        ([("V", [1.0, 1.0]), ("W", ONE)], {}, [1], ["W"]),
        ([("W", ONE), ("W", ONE)], {}, [0], ["W"]),
        ([("W", ONE), ("W", TWO)], {}, [None], []),
        ([("W", [1.0])], {}, [None], []),
        ([("V", [1.0, 1.0])], {}, [None], []),
        ([], {}, [None], []),
        ([("W", ONE)], {"leaves": ["W"]}, [None], []),
        ([("W", ONE)], {"moved": ["W"]}, [None], []),
        ([("W", ONE), ("V", [1.0, 1.0])], {"names": ["W", "V"]}, [0, 1], ["W", "V"]),
    ],
)
def test_updates_are_found_in_a_place_that_was_bound_anew(parted, given, places, moved):
    assert bound_anew(*parted, **given) == (places, moved)


@pytest.mark.parametrize(
    ("moved", "overlapping", "chosen"),
    [
        ({"a": ONE}, ["a"], ["a"]),
        ({"a": ONE}, [], []),
        ({"a": ONE, "same as a": ONE}, ["a", "same as a"], ["a"]),
        ({"a": ONE, "same as a": TWO}, ["a", "same as a"], []),
        ({"a": ONE, "same as a": ONE}, ["a"], []),
        ({"a": ONE, "b": TWO}, ["a", "b"], ["a", "b"]),
        ({"a": ONE, "b": TWO}, ["a"], ["a"]),
        ({"b": TWO, "a": ONE}, ["a"], ["a"]),
    ],
)
def test_of_each_part_one_view_is_chosen_if_all_end_alike(moved, overlapping, chosen):
    flat = np.zeros(6)
    arrays = {"a": flat[:3], "same as a": flat[:3], "b": flat[3:]}
    subject = stand_in(arrays=arrays, _overlapping=dict.fromkeys(overlapping))
    subject._moved_to = {name: np.array(values) for name, values in moved.items()}
    assert OverlappingCode._views_bound_anew(subject) == chosen
