"""In which order causes are asked for, what is said of zeros, and when two mistakes are named at once."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck.explain import hypotheses as module
from numpy_nn.gradcheck.explain.predictions import Asked, Found, Prediction

ONE = np.array([1.0, 2.0, -3.0])
PASSES = "; the function passes some entries on and blocks the others: is the mask 0 everywhere?"


# Zeros.


@pytest.mark.parametrize(
    ("slope", "given", "passes"),
    [
        ([1.0, 0.0, 1.0], {}, True),
        ([0.0, 0.0, 2.0], {}, True),
        ([1.0, 1e-9, 1.0], {}, True),
        ([1.0, 1.0, 1.0], {}, False),
        ([0.0, 0.0, 0.0], {}, False),
        ([1.0, 0.0, 2.0], {}, False),
        ([1.0, 2.0, 1.0], {}, False),
        ([1.0, 0.0, 1.0], {"is_input": False}, False),
        ([1.0, 0.0, 1.0], {"x": np.zeros((3, 1))}, False),
        ([1.0, 0.0, 1.0], {"elementwise": False}, False),
    ],
)
def test_of_a_gradient_that_is_0_it_is_said_where_the_function_passes_or_blocks(slope, given, passes):
    g = np.array([0.5, -2.0, 4.0])
    e: Any = SimpleNamespace(array=ONE, truth=g * slope, grad_output=g, output=ONE, decimals=6)
    e.is_input, e.x = given.get("is_input", True), given.get("x", ONE)
    e.differences = SimpleNamespace(elementwise=given.get("elementwise", True))
    cause, text, sure = module._zero(e)
    largest = np.abs(e.truth).max()
    assert (cause, sure) == ("zero", True)
    assert text == f"0 at all 3 coordinates; the numerical one is up to {largest:.3g}" + PASSES * passes


# The order.


def asked(monkeypatch, *, two=(), narrows=False, gradient=ONE, is_zero=True, **found):
    """What is found where these families find so much, which families were asked, and of which predictions two are."""
    families, seen = [], []
    for name in ("SPECIAL", "GENERAL", "COSTLY", "LAST"):
        monkeypatch.setattr(module, name, (name,))

    def ask(_, given):
        (name,) = given
        families.append(name)
        narrowed = narrows and e.log[-1:] == ["narrow"]
        own = found.get("narrowed" if narrowed else name, ())
        return Asked([Found(cause, "text") for cause in own], [(name, f"of {name}")])

    def narrow(*, undo=False):
        e.log.append("undo" if undo else "narrow")
        return narrows

    def two_mistakes(_, predictions):
        seen.extend(predictions)
        return [Found(cause, "two") for cause in two]

    e: Any = SimpleNamespace(gradient=gradient, narrow=narrow, log=[], partial=None, is_zero_elsewhere=lambda: is_zero)
    monkeypatch.setattr(module, "ask", ask)
    monkeypatch.setattr(module, "_two_mistakes", two_mistakes)
    monkeypatch.setattr(module, "_zero", lambda _: Found("zero", "0"))
    monkeypatch.setattr(module, "_zero_here", lambda _: [Found("branch", "0 here")])
    causes = [(cause, text) for cause, text, _ in module.hypotheses(e)]
    return causes, families, [of for of, _ in seen], e


def test_what_is_0_is_nothing_else(monkeypatch):
    causes, families, *_ = asked(monkeypatch, gradient=np.zeros(3), SPECIAL=["a"])
    assert (causes, families) == ([("zero", "0")], [])
    # What is 0 here alone may begin elsewhere.
    causes, families, *_ = asked(monkeypatch, gradient=np.zeros(3), is_zero=False, SPECIAL=["a"])
    assert (causes, families) == ([("branch", "0 here")], [])


def test_the_special_comes_before_the_general_and_that_before_what_is_costly(monkeypatch):
    order = ["SPECIAL", "GENERAL", "COSTLY"]
    for k, name in enumerate(order):
        given = dict.fromkeys(order[k:], ("a", "b"))
        causes, families, seen, _ = asked(monkeypatch, **given)
        assert causes == [("a", "text"), ("b", "text")]
        assert families == order[: k + 1]
        assert families[-1] == name
        assert seen == []


def test_then_two_mistakes_that_are_as_few_as_can_be(monkeypatch):
    causes, families, seen, _ = asked(monkeypatch, two=["a+b+c", "a+b", "d+e"], LAST=["z"])
    assert causes == [("a+b", "two"), ("d+e", "two")]
    assert families == seen == ["SPECIAL", "GENERAL", "COSTLY"]


def test_then_a_network_and_then_the_wrong_coordinates_alone(monkeypatch):
    causes, families, _, e = asked(monkeypatch, LAST=["z"], narrows=True, narrowed=["n"])
    assert (causes, families[-1], e.log, e.partial) == ([("z", "text")], "LAST", [], None)
    causes, _, _, e = asked(monkeypatch, narrowed=["n"])
    assert (causes, e.log, e.partial) == ([], ["narrow"], None)
    causes, families, _, e = asked(monkeypatch, narrows=True, narrowed=["n"])
    assert causes == [("n", "text; the others are right: what sets these apart?")]
    assert (families[3:], e.log, e.partial) == (["LAST", "GENERAL"], ["narrow", "undo"], True)
    causes, _, _, e = asked(monkeypatch, narrows=True)
    assert (causes, e.log, e.partial) == ([], ["narrow", "undo"], False)


# Two mistakes at once.


@pytest.mark.parametrize(
    ("more", "words", "sure", "told"),
    [
        ("sign", "", True, True),
        ("sign", "", False, False),
        ("factor", "", True, False),
        ("factor", "; 2 rows", True, False),
        ("factor", ", which is the batch size", True, True),
        ("factor", ", which is the batch size", False, False),
    ],
)
def test_a_second_mistake_is_sure_if_it_is_no_factor_without_a_name(monkeypatch, more, words, sure, told):
    guess = Prediction("transposed", "the formula", ONE)
    monkeypatch.setattr(module, "_ratio", lambda *_: 2.0)
    monkeypatch.setattr(module, "_at_another_batch", lambda *_: "other")
    monkeypatch.setattr(module, "factor_causes", lambda *_: [(more, words, sure), ("later", "", True)])
    e: Any = SimpleNamespace(gradient=ONE, looked_at=np.array([True, True, False]))
    text = f"the claimed gradient is 2 times the formula at all 2 coordinates{words}"
    assert list(module._two_mistakes(e, [("family", guess)] * 2)) == [(f"transposed+{more}", text, told)] * 2
    monkeypatch.setattr(module, "_ratio", lambda _, values: 2.0 if values is ONE else None)
    other = Prediction("other", "another", -ONE)
    assert len(list(module._two_mistakes(e, [("family", other), ("family", guess)]))) == 1


def test_the_factor_at_another_batch_is_that_of_the_same_prediction(monkeypatch):
    guess = Prediction("cause", "formula", ONE)
    predictions = [
        ("f", Prediction("cause", "another formula", 1.0)),
        ("f", Prediction("another cause", "formula", 2.0)),
        ("f", Prediction("cause", "formula", 3.0)),
        ("f", Prediction("cause", "formula", 4.0)),
    ]
    other = SimpleNamespace(batch=7)
    monkeypatch.setattr(module, "at_another_batch", lambda _: nullcontext(other))
    monkeypatch.setattr(module, "ask", lambda _, families: Asked([], predictions if families == ("f",) else []))
    monkeypatch.setattr(module, "_ratio", lambda e, values: 10.0 * values if e is other else None)
    e: Any = SimpleNamespace()
    family: Any = "f"
    assert module._at_another_batch(e, family, guess) == (7, 30.0)
    monkeypatch.setattr(module, "_ratio", lambda *_: None)
    assert module._at_another_batch(e, family, guess) is None
    predictions.clear()
    assert module._at_another_batch(e, family, guess) is None
    monkeypatch.setattr(module, "at_another_batch", lambda _: nullcontext(None))
    assert module._at_another_batch(e, family, guess) is None
