"""Mistakes in normalizations: each prediction is its formula, and eps is named where it stands."""

from itertools import product

import numpy as np
import pytest
from claims import evidence, found, predicted

from numpy_nn.gradcheck.explain.losses import EPSILONS
from numpy_nn.gradcheck.explain.norms import (
    Norm,
    _epsilon,
    _line,
    _norms,
    _parallel,
    in_words,
    normalisation,
    spread,
    subsets,
)

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


@pytest.mark.parametrize(
    ("gamma", "shrinks"),
    [
        (lambda var: np.sqrt(var / (var + 1e-3)), True),
        (lambda var: np.sqrt(var / (var + 1e-3 * np.array([1.0, 1.04, 1.0, 1.02]))), True),
        (lambda var: np.sqrt(var / (var + 1e-3 * np.array([1.0, 1.06, 1.0, 1.02]))), False),
        (lambda var: np.sqrt(var / (var + 0.019)), True),
        (lambda var: np.sqrt(var / (var + 0.021)), False),
        (lambda var: np.sqrt((var + 1e-3) / var), False),
        (lambda var: -np.sqrt(var / (var + 1e-3)), False),
        (lambda var: np.ones_like(var), False),
        (lambda var: np.zeros_like(var), False),
        (lambda var: np.full_like(var, 0.9), False),
    ],
)
def test_a_scale_that_one_eps_explains_is_no_gamma(gamma, shrinks):
    var = np.array([[0.01, 0.03, 0.02, 0.1]])
    assert Norm((0,), np.zeros((5, 4)), gamma(var), np.sqrt(var)).shrinks() is shrinks


def test_of_a_small_input_whose_eps_is_forgotten_gamma_is_not_said_to_be_missing():
    x = 0.1 * np.random.default_rng(1).standard_normal((ROWS, COLUMNS))

    def f(x):
        return (x - mean(x, 1)) / np.sqrt(x.var(1, keepdims=True) + 1e-3)

    e = evidence(f, np.cos(x), x)
    causes = {guess.cause for guess in predicted(normalisation, e).values()}
    assert "epsilon" in causes
    assert not causes & {"gamma_missing", "gamma_outside"}


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
    h = e.grad_output * (GAMMA if scaled else 1.0)
    expected = {}
    # Without an eps in forward, backward may have any.
    every = EPSILONS if forward == "sqrt(var)" else (eps,)
    for shown, (backward, root) in product(every, ROOTS.items()):
        centred = x - mean(x, axis)
        std = root(mean(centred**2, axis), shown)
        n = centred / std
        words = f"the usual formula with {backward}, where forward has {forward}, eps = {shown:.0e}"
        expected[words] = (h - mean(h, axis) - n * mean(h * n, axis)) / std
    assert guesses.keys() == expected.keys()
    for words, values in expected.items():
        assert guesses[words].cause == "epsilon"
        np.testing.assert_allclose(guesses[words].values, values, rtol=1e-12, atol=1e-14, err_msg=words)


@pytest.mark.parametrize(
    ("axes", "ndim", "words"),
    [
        ((0,), 2, "the batch"),
        ((1,), 2, "each row"),
        ((1,), 3, "axis 1"),
        ((0, 2), 3, "axes 0, 2"),
        ((0, 1, 2), 4, "axes 0, 1, 2"),
    ],
)
def test_axes_have_words(axes, ndim, words):
    assert in_words(axes, ndim) == words


def test_statistics_are_over_some_axes_and_what_is_shared_may_be_over_all():
    assert list(subsets(2)) == [(0,), (1,)]
    assert list(subsets(3)) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    assert list(subsets(2, most=2)) == [(0,), (1,), (0, 1)]


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ((), [()]),
        ((3, 4), [(3, 4)]),
        ((1, 4), [(1, 4)]),
        ((3, 1), [(3, 1)]),
        ((1, 1), [(1, 1)]),
        ((2, 4), []),
        ((4, 3), []),
        ((4,), [(1, 4)]),
        ((3,), [(3, 1)]),
        ((2,), []),
    ],
)
def test_a_gamma_is_spread_along_each_axis_of_its_length(shape, shown):
    made = list(spread(np.arange(float(np.prod(shape))).reshape(shape), (3, 4)))
    assert [array.shape for array in made] == shown
    for array in made:
        np.testing.assert_array_equal(array.ravel(), np.arange(array.size))
    assert [array.shape for array in spread(np.ones(3), (3, 3))] == [(3, 1), (1, 3)]
    assert list(spread(np.ones((3, 4)), (2, 3, 4))) == []


@pytest.mark.parametrize(
    ("gamma", "axes"), [((), (0, 1)), ((1, 4), (0,)), ((3, 1), (1,)), ((3, 4), ()), ((1, 1), (0, 1)), ((3,), (1,))]
)
def test_beta_is_as_constant_as_gamma(gamma, axes):
    rest = np.random.default_rng(0).standard_normal((3, 4))
    np.testing.assert_allclose(_parallel(rest, np.ones(gamma)), rest.mean(axes, keepdims=True), rtol=1e-14)


def test_a_line_is_found_by_least_squares_where_there_are_three_points_that_differ():
    n = np.random.default_rng(0).standard_normal((3, 4))
    gamma, beta = np.array([[2.0], [-1.0], [0.5]]), np.array([[1.0], [0.0], [3.0]])
    found = _line(n, gamma * n + beta, (1,))
    assert found is not None
    np.testing.assert_allclose(found[0], gamma, rtol=1e-13)
    np.testing.assert_allclose(found[1], beta, atol=1e-13)
    # Where it is not quite one, the slope is that of the least squares.
    bent = n**2
    for axis in range(3):
        slope, start = np.polyfit(n[axis], bent[axis], 1)
        found = _line(n, bent, (1,))
        assert found is not None
        np.testing.assert_allclose((found[0][axis, 0], found[1][axis, 0]), (slope, start), rtol=1e-10)
    assert _line(n, n, (0,)) is not None
    assert _line(n[:2], n[:2], (0,)) is None
    assert _line(np.ones((3, 4)), n, (1,)) is None
    assert _line(np.where(np.arange(3)[:, None] > 0, n, 1.0), n, (1,)) is None


@pytest.mark.parametrize("kind", ["each entry", "each column"])
def test_eps_is_named_beside_a_gamma_in_any_shape(kind):
    eps, x = 1e-4, np.random.default_rng(1).standard_normal((ROWS, COLUMNS))
    gamma = np.random.default_rng(2).uniform(0.5, 2.0, (ROWS, COLUMNS) if kind == "each entry" else (1, COLUMNS))

    def f(x, gamma):
        centred = x - mean(x, 0)
        return gamma * centred / np.sqrt(mean(centred**2, 0) + eps)

    e = evidence(f, np.cos(x), x, others=(gamma,))
    guesses = predicted(lambda e: (guess for norm in _norms(e) for guess in _epsilon(e, norm)), e)
    told = {formula for formula in guesses if "where forward has sqrt(var + eps), eps = 1e-04" in formula}
    # A gamma for each entry is no straight line in x^ for any axis: only statistics that it is shared along are known.
    assert len(told) == (0 if kind == "each entry" else 3)


def test_of_images_the_axes_are_named_by_their_numbers():
    x = np.random.default_rng(1).standard_normal((3, 2, 4))
    e = evidence(lambda x: (x - mean(x, (0, 2))) / x.std((0, 2), keepdims=True), np.cos(x), x)
    formulas = set(predicted(normalisation, e))
    assert "that for statistics over axes 0, 2 held fixed" in formulas
    e.gradient = (e.grad_output - mean(e.grad_output, 1)) / x.std((0, 2), keepdims=True)
    e.gradient -= normal(x, (0, 2)) * mean(e.grad_output * normal(x, (0, 2)), 1) / x.std((0, 2), keepdims=True)
    causes = found(normalisation, e)
    words = (
        "the claimed gradient is that with means over axis 1 where axes 0, 2 should be at all 24 coordinates looked at"
    )
    assert causes == [("wrong_axis_mean", words)]
    # One that is found is all that is said: eps is not looked for.
    assert not any("eps" in formula for formula in predicted(normalisation, e))


@pytest.mark.parametrize(
    "f",
    [np.sin, lambda x: normal(x, 0)[:2], lambda x: normal(x, 0).sum(axis=1), lambda x: normal(x, 0)[None]],
    ids=["entry by entry", "fewer rows", "sums", "more axes"],
)
def test_what_is_no_function_of_whole_rows_or_columns_is_no_norm(f):
    x = np.random.default_rng(1).standard_normal((ROWS, COLUMNS))
    assert list(normalisation(evidence(f, np.cos(x), x))) == []


def test_one_axis_and_five_are_no_norm_and_neither_is_a_parameter_s_gradient():
    row = np.random.default_rng(1).standard_normal(6)
    assert list(normalisation(evidence(lambda x: normal(x, 0), np.cos(row), row))) == []
    many = np.random.default_rng(1).standard_normal((4, 2, 1, 1, 1))
    assert list(normalisation(evidence(lambda x: normal(x, 0), np.cos(many), many))) == []
    four = many[..., 0]
    assert list(normalisation(evidence(lambda x: normal(x, 0), np.cos(four), four))) != []
    e = normalized(0)
    e.name = "W"
    e.subject.arrays["W"] = e.subject.arrays[e.subject.input]
    assert list(normalisation(e)) == []


def test_columns_that_do_not_vary_have_no_statistics():
    x = np.random.default_rng(1).standard_normal((ROWS, COLUMNS))
    x[:, 1] = 0.5
    e = evidence(lambda x: normal(x, 1), np.cos(x), x)
    assert [norm.axes for norm in _norms(e)] == [(1,)]
