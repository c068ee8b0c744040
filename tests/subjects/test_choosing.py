"""Which way to call code is meant, which error is told where none can be, and what objects are recognised by."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_ins import ONE, stand_in

from numpy_nn.subjects import choosing
from numpy_nn.subjects.agreement import CLOSELY
from numpy_nn.subjects.arrays.places import parsed
from numpy_nn.subjects.calls.calling import CACHE, GRADS, Convention
from numpy_nn.subjects.choosing import chosen
from numpy_nn.subjects.given_code import Code, Hints, first_result, is_losses_and_gradient, is_value_and_gradients
from numpy_nn.subjects.no_cache import has_no_cache, without_cache
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.subject import SubjectError

# Choosing.

WAY = Convention(("x",), 1, None, None)


@pytest.mark.parametrize(
    ("result", "arguments", "lacks"),
    [
        ((ONE, None), (GRADS, CACHE), True),
        ([ONE, None, None], (CACHE,), True),
        ((ONE, None, 3), (GRADS, CACHE), False),
        ((ONE, None), (GRADS,), False),
        ((ONE, None), None, False),
        ((ONE,), (GRADS, CACHE), False),
        (ONE, (GRADS, CACHE), False),
    ],
)
def test_a_cache_of_nothing_is_none(result, arguments, lacks):
    assert has_no_cache(Convention(("x",), arguments=arguments), result) == lacks


@pytest.mark.parametrize(
    ("result", "are"),
    [
        ((1.0, ONE), True),
        ((np.array(1.0), ONE), True),
        ((1j, ONE), False),
        ((1.0,), False),
        ([1.0, ONE], False),
        ((ONE, ONE), False),
        (1.0, False),
    ],
)
def test_a_value_and_its_gradients(result, are):
    assert is_value_and_gradients(result) == are


def test_a_forward_pass_that_returns_nothing_has_left_its_output():
    def of(forward, owner=None, **given):
        return first_result(Code("net", forward, None, given, Hints(), owner=owner))

    x = np.arange(3.0)
    result, paths = of(lambda x: x * 2.0, x=x)
    np.testing.assert_array_equal(result, 2.0 * x)
    assert paths == [None]

    def doubles(x):
        x *= 2.0

    owner = SimpleNamespace(output=ONE)
    result, paths = of(doubles, owner, x=x)
    np.testing.assert_array_equal(result, ONE)
    assert [[step.key for step in path] for path in paths] == [["output"]]
    np.testing.assert_array_equal(x, np.arange(3.0))
    for keeps in (None, SimpleNamespace()):
        with pytest.raises(TypeError, match="to return its output, or to keep it"):
            of(doubles, keeps, x=x)
    with pytest.raises(SubjectError, match="net: ZeroDivisionError"):
        of(lambda x: x[0] / (1 // 0), x=x)
    items = [x.copy()]
    of(lambda items: items.append(1) or 1.0, items=items)
    assert len(items) == 1


def test_code_without_an_array_of_floats_has_nothing_to_check():
    with pytest.raises(TypeError, match="expected an array of floats among the arguments, got none"):
        chosen(Code("net", lambda x: x, lambda g: g, {"x": np.arange(3)}, Hints()))
    with pytest.raises(TypeError, match="expected a backward pass, or"):
        chosen(Code("net", lambda x: x, None, {"x": ONE}, Hints()))


def test_a_forward_pass_that_keeps_nothing_has_nothing_to_check():
    cause, error = TypeError("no None"), SubjectError("net: TypeError: no None")
    code = Code("net", lambda x: (x, None), lambda g, cache: (g, cache), {"x": ONE}, Hints())
    for raised, words in ((error, "it (net: TypeError: no None);"), (SubjectError("outer"), "it (no None);")):
        if raised is not error:
            raised.__cause__ = cause
        subject = without_cache(code, Convention(("x",), arguments=(GRADS, CACHE)), raised)
        assert not subject.make_repeatable()
        (problem,) = subject.problems
        assert problem.startswith("x: not checked: forward returns None for its cache")
        assert words in problem


def choose(monkeypatch, *ways, certain=True, target=None, repeatable=True, lacks_cache=False):
    """Which of these ways to call code is chosen: its number, or the words of the error.

    Of each: whether names tell it, of how many gradients of the right shape how many agree and to how many digits; or
    an error. And whether it is of a mean, and how far off in size.
    """
    named = [Convention((f"x{k}",), averaged=len(way) > 4 and way[4]) for k, way in enumerate(ways)]
    found, tried, lacking = ({}, [], SimpleNamespace(waits_for_a_pass=False))
    for convention, way in zip(named, ways, strict=True):
        found[convention.inputs] = stand_in(
            way=way, notes=[], make_repeatable=lambda: repeatable, waits_for_a_pass=False, convention=WAY
        )

    def make(_, convention, before):
        assert isinstance(before, Snapshot)
        tried.append(convention)
        way = found[convention.inputs].way
        if isinstance(way[1], Exception):
            raise way[1]
        return found[convention.inputs]

    for name, value in {
        "conventions": lambda *_: [(convention, way[0]) for convention, way in zip(named, ways, strict=True)],
        "_made_even_once": make,
        "agreement": lambda subject: (subject.way[2], subject.way[1], subject.way[3]),
        "is_certain": lambda *_: certain,
        "off_in_size": lambda subject: subject.way[5],
        "has_no_cache": lambda *_: lacks_cache,
        "without_cache": lambda *_: lacking,
        "as_rewritten": lambda *_: None,
    }.items():
        monkeypatch.setattr(choosing, name, value)
    code = Code("net", lambda x: x, lambda g: g, {"x": ONE}, Hints(), target)
    try:
        subject: Any = chosen(code)
    except (TypeError, ValueError) as error:
        return str(error), len(tried)
    if subject is lacking:
        return "lacking", len(tried)
    number = next(k for k, one in enumerate(found.values()) if one is subject)
    averaged = len(ways[number]) > 4 and ways[number][4]
    assert len(subject.notes) == (1 if averaged and repeatable else 0)
    return number, len(tried)


C = CLOSELY
WRONG_SHAPE, WRONG, RIGHT, ROUGH = (False, 0, 0, 0), (False, 2, 0, 0), (False, 2, 2, C), (False, 2, 2, C - 1)
NAMED = (True, 2, 0, 0)
NO, NO_BY_NAME = (False, ValueError("tried")), (True, ValueError("named"))


@pytest.mark.parametrize(
    ("ways", "given", "number", "tried"),
    [
        # What names tell is taken, right or wrong, where they are certain.
        ([NAMED, RIGHT], {}, 0, 1),
        ([NAMED, RIGHT], {"certain": False}, 1, 2),
        ([(True, 0, 0, 0), RIGHT], {}, 1, 2),
        ([NAMED, WRONG], {"certain": False}, 0, 2),
        # Else the first that agrees to all digits, or that which agrees best.
        ([WRONG, RIGHT, RIGHT], {}, 1, 2),
        ([WRONG, ROUGH, RIGHT], {}, 2, 3),
        ([WRONG, ROUGH, WRONG], {}, 1, 3),
        ([(False, 2, 1, C), WRONG], {}, 0, 2),
        ([WRONG, (False, 3, 2, C - 1), (False, 2, 2, 2)], {}, 1, 3),
        ([WRONG_SHAPE, WRONG], {}, 1, 2),
        ([WRONG, WRONG], {}, 0, 2),
        # One that has fewer gradients than another was found to have is no better for agreeing.
        ([(False, 3, 0, 0), RIGHT], {}, 0, 2),
        ([(False, 2, 0, 0), RIGHT], {}, 1, 2),
        ([(False, 3, 0, 0), (True, 2, 2, C)], {"certain": False}, 1, 2),
        # What cannot be run is left out; if nothing can, the error of the one that names tell comes through.
        ([NO, RIGHT], {}, 1, 2),
        ([NO, NO_BY_NAME, NO], {}, "named", 3),
        ([NO], {}, "tried", 1),
        ([NO, RIGHT], {"repeatable": False}, 1, 2),
        ([WRONG, RIGHT], {"repeatable": False}, 0, 1),
        # Where the cache is None, and backward wants it.
        ([NO_BY_NAME, RIGHT], {"lacks_cache": True}, "lacking", 1),
        ([NO, RIGHT], {"lacks_cache": True}, 1, 2),
        ([NO, WRONG], {"lacks_cache": True}, "lacking", 2),
        # Of a sum and a mean that is meant of whose gradient the claimed one has the size.
        ([(True, 2, 0, 0, False, 3.0), (True, 2, 0, 0, True, 0.5)], {}, 1, 2),
        ([(True, 2, 0, 0, False, 0.25), (True, 2, 0, 0, True, 0.5)], {}, 0, 2),
        ([(True, 2, 0, 0, False, 0.25), (True, 2, 2, C, True, 0.5)], {}, 1, 2),
    ],
)
def test_the_way_to_call_code_is_the_one_that_names_tell_or_that_agrees(monkeypatch, ways, given, number, tried):
    assert choose(monkeypatch, *ways, **given) == (number, tried)


def test_each_place_where_an_output_may_have_been_left_is_tried(monkeypatch):
    places, tried = [parsed("a"), parsed("output"), parsed("y")], []
    made = stand_in(notes=[], make_repeatable=lambda: True, waits_for_a_pass=False, convention=WAY)

    def make(_, convention, __):
        tried.append(convention.output_path)
        if convention.output_path == places[0]:
            raise ValueError("no output")
        return made

    monkeypatch.setattr(choosing, "first_result", lambda _: (ONE, places))
    monkeypatch.setattr(choosing, "_made_even_once", make)
    monkeypatch.setattr(choosing, "conventions", lambda *_: [(Convention(("x",)), False)])
    monkeypatch.setattr(choosing, "agreement", lambda _: (1, 1, CLOSELY))
    monkeypatch.setattr(choosing, "as_rewritten", lambda *_: None)
    assert chosen(Code("net", lambda x: x, lambda g: g, {"x": ONE}, Hints())) is made
    assert tried == places[:2]


X, TARGET = np.zeros((5, 3)), np.zeros(5)


@pytest.mark.parametrize(
    ("label", "target", "result", "may"),
    [
        ("of_rows", "y", (np.zeros(5), X), True),
        ("of_rows", "y", (np.zeros((5, 1)), X), True),
        ("mse_loss", "y", (X, X), True),
        ("forward", "y", (X, X), False),
        ("of_rows", None, (np.zeros(5), X), False),
        ("of_rows", "y", (np.zeros(4), X), False),
        ("mse_loss", "y", (np.zeros(()), X), False),
        ("of_rows", "y", (np.zeros(5, int), X), False),
        ("of_rows", "y", (np.zeros(5), X.astype(int)), False),
        ("of_rows", "y", (np.zeros(5), TARGET), False),
        ("of_rows", "y", (np.zeros(5), X, X), False),
        ("of_rows", "y", [np.zeros(5), X], False),
    ],
)
def test_losses_of_samples_and_their_gradient_are_known_by_shapes_and_name(label, target, result, may):
    code = Code(label, len, None, {"x": X, "y": TARGET}, None, target)
    assert is_losses_and_gradient(code, result) is may
