"""The styles of the proof: each can be run, says what it is, and has the gradients of the one network."""

import inspect

import numpy as np
import pytest

from scripts.proof.styles import CLAIMED, FUNCTIONS, GIVEN, KEPT, METHODS, NAMES, RETURNED, STYLES, WRONG, Style
from scripts.proof.trials import ALARM, CRASHED, FOUND, MISSED, RIGHT, UNDECIDED, Outcome, style_came_out


def test_styles_are_all_that_fit_together_each_once():
    returns = len(RETURNED)
    of_classes = len(KEPT) * ((len(METHODS) - 2) * len(CLAIMED) + returns + len(CLAIMED) - returns - 1)
    assert len(STYLES) == len({str(style) for style in STYLES}) == of_classes + len(FUNCTIONS) * len(GIVEN) * returns


@pytest.mark.parametrize("kept", KEPT)
def test_a_class_keeps_the_parameters_that_it_is_given(kept):
    net, x, _ = Style("forward, backward", kept, "dW1").make(np.random.default_rng(0))
    W1, b1, W2, b2 = eval(", ".join(KEPT[kept][1].split()), {"self": net})
    assert np.allclose(net.forward(x), np.tanh(x @ W1 + b1) @ W2 + b2, rtol=1e-14, atol=0)


@pytest.mark.parametrize(("wrong", "factor"), WRONG)
def test_gradients_are_right_but_for_the_one_that_is_meant(wrong, factor):
    (loss, gradient), (*params, x, y), _ = Style("loss, gradient", "one by one", "in order").make(
        np.random.default_rng(0), wrong, factor
    )
    for name, parameter, claimed in zip(NAMES, params, gradient(*params, x, y), strict=True):
        direction = np.random.default_rng(1).standard_normal(parameter.shape)

        def at(t, parameter=parameter, direction=direction):
            return loss(*(p + t * direction if p is parameter else p for p in params), x, y)

        # The third derivative, some 1, times 1e-8 and rounding, 1e-16 over 1e-4, are far below 1e-6.
        numerical = (at(1e-4) - at(-1e-4)) / 2e-4
        expected = numerical * (factor if name == wrong else 1.0)
        assert np.sum(claimed * direction) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("passes", [*METHODS, *FUNCTIONS])
def test_the_source_of_a_style_can_be_read(passes):
    style = next(style for style in STYLES if style.passes == passes)
    target, *_ = style.make(np.random.default_rng(0))
    function = target[0] if isinstance(target, tuple) else getattr(type(target), "__init__", target)
    assert inspect.getsource(function).strip().startswith("def ")
    assert str(style).startswith("class " if style.is_class else "functions ")


@pytest.mark.parametrize(
    ("verdict", "entries", "of_right", "of_wrong"),
    [
        ("right", "right right", RIGHT, MISSED),
        ("wrong", "right wrong", ALARM, FOUND),
        ("close", "right close", ALARM, FOUND),
        ("wrong", "wrong wrong", ALARM, ALARM),
        ("undecided", "right", UNDECIDED, UNDECIDED),
        ("crashed", "", CRASHED, CRASHED),
    ],
)
def test_what_came_of_a_style_is_counted_by_what_it_should_have_been(verdict, entries, of_right, of_wrong):
    outcome = Outcome(verdict, dict(enumerate(entries.split())))
    assert style_came_out(outcome, wrong=False) == of_right
    assert style_came_out(outcome, wrong=True) == of_wrong
