"""Mistakes in normalizations: each prediction is its formula, and eps is named where it stands."""

import numpy as np
import pytest
from claims import evidence, found, predicted

from numpy_nn.gradcheck.explain.norms import _epsilon, _norms, normalisation

ROWS, COLUMNS = 5, 4
GAMMA, BETA = np.array([0.5, -1.5, 2.0, 0.8]), np.array([1.0, 0.0, -2.0, 0.3])
WORDS = {0: "the batch", 1: "each row"}


def normal(x, axis):
    return (x - x.mean(axis, keepdims=True)) / x.std(axis, keepdims=True)


def mean(values, axis):
    return values.mean(axis, keepdims=True)


def normalized(axis, gamma=GAMMA):
    """What is known about a normalization over this axis, the claimed gradient being no mistake of the usual ones."""
    x = np.random.default_rng(1).standard_normal((ROWS, COLUMNS))
    return evidence(lambda x: gamma * normal(x, axis) + BETA, np.cos(x), x)


def mistakes(e, axis):
    """The gradients of the mistakes, by cause; wrong means have three."""
    n, g, std = normal(e.x, axis), e.grad_output, e.x.std(axis, keepdims=True)
    h, other = g * GAMMA, 1 - axis
    right, wrong = (h - mean(h, a) for a in (axis, other))
    made = {
        "batch_norm_constant_statistics": h,
        "batch_norm_variance_constant": right,
        "batch_norm_mean_constant": h - n * mean(h * n, axis),
        "gamma_missing": g - mean(g, axis) - n * mean(g * n, axis),
        "wrong_axis_mean": wrong - n * mean(h * n, other),
        "wrong_axis_mean ": wrong - n * mean(h * n, axis),
        "wrong_axis_mean  ": right - n * mean(h * n, other),
    }
    if axis == 1:  # over the batch gamma is the same for all that is averaged
        made["gamma_outside"] = GAMMA * made["gamma_missing"]
    return {cause: values / std for cause, values in made.items()}


@pytest.mark.parametrize("axis", [0, 1])
def test_what_a_mistake_would_give_is_its_formula(axis):
    e = normalized(axis)
    # A factor is looked for of what may have one: of wrong means there are too many.
    guesses = {guess.cause: guess.values for guess in predicted(normalisation, e).values()}
    expected = {cause: values for cause, values in mistakes(e, axis).items() if not cause.startswith("wrong")}
    if axis == 0:
        expected["gamma_outside"] = GAMMA * expected["gamma_missing"]
    assert guesses.keys() == expected.keys()
    for cause, values in expected.items():
        np.testing.assert_allclose(guesses[cause], values, rtol=1e-9, atol=1e-12, err_msg=cause)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_gradient_with_a_mistake_is_told_to_have_it(axis):
    e = normalized(axis)
    for cause, values in mistakes(e, axis).items():
        e.gradient = values
        ((told, text),) = found(normalisation, e)
        assert told == cause.strip()
        if told == "wrong_axis_mean":
            assert f"means over {WORDS[1 - axis]} where {WORDS[axis]} should be" in text
        elif "gamma" not in told:
            assert f"over {WORDS[axis]} held fixed" in text


@pytest.mark.parametrize(
    ("gamma", "causes"),
    [
        ([1.0, 1.0, 1.0, 1.0], set()),
        ([1.04, 1.04, 1.04, 1.04], set()),
        ([1.06, 1.06, 1.06, 1.06], {"gamma_missing"}),
        ([0.94, 0.94, 0.94, 0.94], {"gamma_missing"}),
        ([0.98, 1.02, 1.02, 1.02], set()),
        ([0.97, 1.03, 1.03, 1.03], {"gamma_outside"}),
    ],
)
def test_a_gamma_that_is_as_good_as_1_is_not_missing(gamma, causes):
    e = normalized(1, np.array(gamma))
    assert {guess.cause for guess in predicted(normalisation, e).values() if "gamma" in guess.cause} == causes


ROOTS = {
    "sqrt(var + eps)": lambda var, eps: np.sqrt(var + eps),
    "sqrt(var) + eps": lambda var, eps: np.sqrt(var) + eps,
    "sqrt(var)": lambda var, _: np.sqrt(var),
}


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("forward", ROOTS)
def test_eps_is_named_as_forward_has_it_and_backward_as_it_may_have_it(forward, scaled, axis):
    eps = 1e-4

    def f(x, gamma=1.0):
        centred = x - mean(x, axis)
        return gamma * centred / ROOTS[forward](mean(centred**2, axis), eps) + (BETA if scaled or axis == 0 else 0.7)

    x = np.random.default_rng(1).standard_normal((ROWS, COLUMNS))
    e = evidence(f, np.cos(x), x, others=(GAMMA,) if scaled else ())
    guesses = predicted(lambda e: (guess for norm in _norms(e) for guess in _epsilon(e, norm)), e)
    # Without an eps in forward any would do: the first is as good as the others.
    shown = 1e-2 if forward == "sqrt(var)" else eps
    h = e.grad_output * (GAMMA if scaled else 1.0)
    expected = {}
    for backward, root in ROOTS.items():
        centred = x - mean(x, axis)
        std = root(mean(centred**2, axis), shown)
        n = centred / std
        words = f"the usual formula with {backward}, where forward has {forward}, eps = {shown:.0e}"
        expected[words] = (h - mean(h, axis) - n * mean(h * n, axis)) / std
    assert guesses.keys() == expected.keys()
    for words, values in expected.items():
        assert guesses[words].cause == "epsilon"
        np.testing.assert_allclose(guesses[words].values, values, rtol=1e-12, atol=1e-14, err_msg=words)
