"""What explanations are made of, by hand-made numbers: shapes of windows, names of factors, axes and targets."""

from types import SimpleNamespace

import numpy as np
import pytest
from claims import evidence, predicted

from numpy_nn.gradcheck.explain import factors, losses, matrices, norms
from numpy_nn.gradcheck.explain import windows as module
from numpy_nn.gradcheck.explain.windows import Windows, windows
from numpy_nn.gradcheck.measure.evidence import FIT

NAN = np.nan


# Windows.


@pytest.mark.parametrize(
    ("image", "output", "padded", "found"),
    [
        ((4, 6), (2, 3), False, {(2, 2, 0), (1, 2, 0)}),
        ((4, 4), (4, 4), False, {(1, 1, 0)}),
        ((4, 4), (4, 4), True, {(1, 1, 0), (3, 1, 1)}),
        ((5, 5), (2, 2), True, {(1, 4, 0), (2, 3, 0), (3, 2, 0), (4, 1, 0), (4, 3, 1), (4, 4, 2), (5, 4, 2)}),
        ((9, 9), (1, 1), False, {(size, stride, 0) for size in range(3, 8) for stride in range(10 - size, 8)}),
        ((4, 5), (2, 2), False, {(1, 3, 0), (2, 2, 0)}),
        ((3, 9), (9, 3), True, set()),
        ((7, 7), (7, 7), False, {(1, 1, 0)}),
    ],
)
def test_windows_are_of_every_shape_with_which_they_are_as_many(image, output, padded, found):
    made = module._shapes(np.zeros((1, 1, *image)), np.zeros((1, 1, *output)), padded)
    shapes = [(w.size, w.stride, w.padding) for w in made]
    assert len(shapes) == len(set(shapes))
    by_hand = {
        (size, stride, padding)
        for size in range(1, min(7, *image) + 1)
        for stride in range(1, 8)
        for padding in range(size if padded else 1)
        if all(len(range(0, n + 2 * padding - size + 1, stride)) == m for n, m in zip(image, output, strict=True))
    }
    assert set(shapes) == by_hand
    assert found <= by_hand
    if not padded:
        assert found == by_hand


def test_padded_images_have_a_frame_of_zeros_and_views_step_over_them():
    x = np.arange(1.0, 13.0).reshape(1, 1, 3, 4)
    w = Windows(x, 2, 2, 1)
    assert w.padded.shape == (1, 1, 5, 6)
    assert w.padded.sum() == x.sum()
    np.testing.assert_array_equal(w.padded[0, 0, 1:-1, 1:-1], x[0, 0])
    assert w.views().shape == (1, 1, 2, 3, 2, 2)
    np.testing.assert_array_equal(w.views()[0, 0, 1, 1], [[6.0, 7.0], [10.0, 11.0]])


def convolved(x, weight, stride=2):
    """Channels last, kernels (size, size, in, out)."""
    size = len(weight)
    rows, columns = ((length - size) // stride + 1 for length in x.shape[1:3])
    y = np.empty((len(x), rows, columns, weight.shape[3]))
    for row in range(rows):
        for column in range(columns):
            part = x[:, row * stride : row * stride + size, column * stride : column * stride + size]
            y[:, row, column] = np.einsum("nijc,ijco->no", part, weight)
    return y


IMAGES, KERNEL = (
    np.random.default_rng(0).standard_normal((2, 5, 6, 2)),
    np.random.default_rng(1).standard_normal((3, 3, 2, 4)),
)


@pytest.mark.parametrize("bias", [0.0, 1.5])
def test_a_convolution_of_images_with_channels_last(bias):
    e = evidence(lambda x, w: convolved(x, w) + bias, np.cos(IMAGES), IMAGES, others=(KERNEL,))
    g, flipped, forgotten = e.grad_output, np.zeros(IMAGES.shape), np.zeros(IMAGES.shape)
    for row in range(g.shape[1]):
        for column in range(g.shape[2]):
            here = np.einsum("no,ijco->nijc", g[:, row, column], KERNEL[::-1, ::-1])
            flipped[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += here
            forgotten[:, row : row + 3, column : column + 3] += np.einsum("no,ijco->nijc", g[:, row, column], KERNEL)
    guesses = {formula: guess for formula, guess in predicted(windows, e).items() if "stride 2" in formula}
    name = "that for the convolution with windows of 3 x 3 and stride 2"
    assert {guess.cause for guess in guesses.values()} == {"stride_missing", "overwritten_windows", "kernel_flipped"}
    np.testing.assert_allclose(guesses[f"{name} with the kernel flipped"].values, flipped, atol=1e-12)
    np.testing.assert_allclose(guesses[f"{name} taken with stride 1"].values, forgotten, atol=1e-12)


def test_a_kernel_s_gradient_with_the_stride_forgotten():
    e = evidence(convolved, np.cos(IMAGES), IMAGES, others=(KERNEL,))
    (name,) = (name for name, array in e.subject.arrays.items() if array.shape == KERNEL.shape)
    e.name, e.gradient, g = name, np.cos(KERNEL), e.grad_output
    expected = np.zeros(KERNEL.shape)
    for row in range(g.shape[1]):
        for column in range(g.shape[2]):
            part = IMAGES[:, row : row + 3, column : column + 3]
            expected += np.einsum("nijc,no->ijco", part, g[:, row, column])
    guesses = list(predicted(windows, e).values())
    assert [guess.cause for guess in guesses] == ["stride_missing"]
    np.testing.assert_allclose(guesses[0].values, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: x.mean(axis=(2, 3)), np.ones((2, 1, 4, 4))),
        (lambda x: x[:, 0], np.ones((2, 4, 4))),
        (lambda x: x[:, ::2, ::2] ** 2, np.random.default_rng(0).standard_normal((2, 4, 4, 1))),
    ],
)
def test_what_is_no_pooling_and_no_convolution_has_no_windows(f, x):
    assert predicted(windows, evidence(f, np.cos(x), x)) == {}


# Factors.


@pytest.mark.parametrize(
    ("ratio", "fit", "words"),
    [
        (2.0, FIT, ", a whole number"),
        (1.0 / 3.0, FIT, ", which is 1/3"),
        (2.5, FIT, ", which is 5/2"),
        (2.5 * (1.0 + 0.9e-7), FIT, ", which is 5/2"),
        (2.5 * (1.0 + 1.1e-7), FIT, ""),
        (2.5 * (1.0 - 1.1e-7), FIT, ""),
        (999 / 1000, FIT, ", which is 999/1000"),
        (1000.0, FIT, ", a whole number"),
        (1001.0, FIT, ""),
        (1.0 / 1000.0, FIT, ", which is 1/1000"),
        (1.0 / 1001.0, FIT, ""),
        (1e-9, FIT, ""),
        # With few digits only small numbers are more than chance: up to sqrt(0.1 / 1e-3).
        (2.5 * (1.0 + 0.9e-3), 1e-3, ", which is 5/2"),
        (2.5 * (1.0 + 1.1e-3), 1e-3, ""),
        (10.0, 1e-3, ", a whole number"),
        (11.0, 1e-3, ""),
    ],
)
def test_a_factor_is_named_as_a_fraction_of_small_numbers(ratio, fit, words):
    assert factors._named(ratio, fit) == words


@pytest.mark.parametrize(
    ("ratio", "array", "output", "x", "words"),
    [
        (6.0, (2, 3), (5,), (7,), "; 6 = 2 * 3, of the shape (2, 3) of W"),
        (3.0, (2, 3), (5,), (7,), "; 3 is of the shape (2, 3) of W"),
        (1.0 / 6.0, (2, 3), (5,), (7,), "; 6 = 2 * 3, of the shape (2, 3) of W"),
        (0.5, (2, 3), (5,), (7,), "; 2 is of the shape (2, 3) of W"),
        (5.0, (2, 3), (5,), (5,), "; 5 is of the shape (5,) of output"),
        (7.0, (2, 3), (5,), (7,), "; 7 is of the shape (7,) of input"),
        (12.0, (2, 3, 4), (5,), (7,), "; 12 = 3 * 4, of the shape (2, 3, 4) of W"),
        (24.0, (2, 3, 4), (5,), (7,), "; 24 = 2 * 3 * 4, of the shape (2, 3, 4) of W"),
        # Neighbours only, none of them 1.
        (8.0, (2, 3, 4), (5,), (7,), ""),
        (3.0, (1, 5), (1, 3), (7,), "; 3 is of the shape (1, 3) of output"),
        (1.0, (1, 1), (1,), (1,), ""),
        (3.0 * (1.0 + 0.9e-5), (2, 3), (5,), (7,), "; 3 is of the shape (2, 3) of W"),
        (3.0 * (1.0 + 1.1e-5), (2, 3), (5,), (7,), ""),
        ((1.0 + 0.9e-5) / 3.0, (2, 3), (5,), (7,), "; 3 is of the shape (2, 3) of W"),
        ((1.0 + 1.1e-5) / 3.0, (2, 3), (5,), (7,), ""),
        (2.0, (2,), (5,), (7,), "; 2 is of the shape (2,) of W"),
        (1.4, (2,), (5,), (7,), ""),
    ],
)
def test_a_factor_is_a_product_of_neighbouring_lengths(ratio, array, output, x, words):
    e = SimpleNamespace(name="W", fit=FIT, array=np.zeros(array), output=np.zeros(output), x=np.zeros(x))
    e.subject = SimpleNamespace(input="input")
    assert factors._product_of_lengths(e, ratio) == words


@pytest.mark.parametrize(
    ("ratio", "targets", "cause"),
    [
        (-1.0, None, "sign"),
        (-1.0 + 0.9e-6, None, "sign"),
        (-1.0 - 1.1e-6, None, "sign+factor"),
        (-1.0, np.ones(3), "target_minus_prediction"),
        (-3.0, np.ones(3), "target_minus_prediction+factor"),
    ],
)
def test_a_factor_of_minus_one_is_a_sign(ratio, targets, cause):
    subject = SimpleNamespace(
        targets=targets, is_loss=False, input="x", own_code=tuple, gradients=lambda _: {"x": np.ones(2)}
    )
    e = SimpleNamespace(
        subject=subject,
        fit=FIT,
        batch=7,
        x=np.zeros((7, 2)),
        output=np.zeros(2),
        array=np.zeros(2),
        name="x",
        is_input=True,
        grad_output=np.ones(2),
    )
    assert [found[0] for found in factors.factor_causes(e, ratio, None)] == [cause]


# Losses.


@pytest.mark.parametrize(
    ("targets", "shape", "scores"),
    [
        ([[0, 1], [1, 0]], (2, 2), [[0.0, 1.0], [1.0, 0.0]]),
        ([1, 0], (2, 2), [[0.0, 1.0], [1.0, 0.0]]),
        ([5, -3], (2, 2), [[0.0, 1.0], [1.0, 0.0]]),
        ([1.0, 0.0], (2, 2), None),
        ([1, 0, 1], (2, 2), None),
        ([1, 0], (2, 2, 2), None),
        ([1, 0], (2,), [1.0, 0.0]),
    ],
)
def test_targets_in_the_shape_of_scores(targets, shape, scores):
    found = losses._as_scores(np.array(targets), shape)
    assert (found is None) == (scores is None)
    if found is not None:
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, scores)


def test_epsilons_are_the_powers_of_ten_that_people_add():
    np.testing.assert_allclose(losses.EPSILONS, [10.0**-power for power in range(2, 16)])


# Matrices.


def test_axes_are_chosen_in_the_order_of_their_number_and_told_in_words():
    assert list(matrices._choices(3)) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    assert matrices._axes((2,)) == "axis 2"
    assert matrices._axes((0, 2)) == "axes 0, 2"


def test_two_axes_are_exchanged_by_a_reshape_where_their_lengths_differ():
    array = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(matrices._exchanged(array, 0, 1), [[0.0, 3.0, 1.0], [4.0, 2.0, 5.0]])
    assert matrices._transposed(array) == "transposed"
    assert matrices._transposed(array[None]) == "axes_exchanged"
    assert matrices._transposed(array[0]) == "axes_exchanged"


# Normalizations.


def test_the_axes_of_a_normalization_are_some_of_all_and_told_in_words():
    assert list(norms.subsets(2)) == [(0,), (1,)]
    assert list(norms.subsets(3)) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    assert list(norms.subsets(2, most=2)) == [(0,), (1,), (0, 1)]
    assert norms.in_words((0,), 2) == "the batch"
    assert norms.in_words((1,), 2) == "each row"
    assert norms.in_words((0,), 3) == "axis 0"
    assert norms.in_words((0, 2), 3) == "axes 0, 2"


def test_the_line_of_least_squares_has_a_slope_and_a_height_along_the_axes_that_share_them():
    normal = np.random.default_rng(0).standard_normal((5, 3))
    gamma, beta = np.array([[2.0, -1.0, 0.5]]), np.array([[0.0, 3.0, -2.0]])
    line = norms._line(normal, gamma * normal + beta, (0,))
    assert line is not None
    np.testing.assert_allclose(line[0], gamma)
    np.testing.assert_allclose(line[1], beta, atol=1e-12)
    assert norms._line(normal[:2], normal[:2], (0,)) is None
    assert norms._line(normal[:3], normal[:3], (0,)) is not None
    assert norms._line(normal[:, :1].repeat(3, 1), normal, (1,)) is None
    tiny = 1e-7 * normal
    assert norms._line(tiny, tiny, (0,)) is None
    assert norms._line(10.0 * tiny, tiny, (0,)) is not None


@pytest.mark.parametrize(
    ("array", "shape", "found"),
    [
        ((), (2, 3), [()]),
        ((3,), (2, 3), [(1, 3)]),
        ((2,), (2, 3), [(2, 1)]),
        ((3,), (3, 3), [(3, 1), (1, 3)]),
        ((4,), (2, 3), []),
        ((1, 3), (2, 3), [(1, 3)]),
        ((2, 1), (2, 3), [(2, 1)]),
        ((2, 2), (2, 3), []),
        ((2, 3), (2, 3, 4), []),
    ],
)
def test_a_scale_is_spread_along_the_axes_of_its_length(array, shape, found):
    spread = list(norms.spread(np.arange(float(np.prod(array))).reshape(array), shape))
    assert [one.shape for one in spread] == found


@pytest.mark.parametrize(("off", "roughly"), [(0.019, True), (0.021, False), (-0.021, False), (0.0, True)])
def test_a_prediction_is_roughly_right_if_a_fiftieth_of_what_is_wrong_is_left(off, roughly):
    gradient, truth = np.array([3.0, 1.0, 9.0]), np.array([2.0, 1.0, 0.0])
    e = SimpleNamespace(gradient=gradient, truth=truth, looked_at=np.array([True, True, False]))
    assert norms._roughly(e, gradient + np.array([0.0, off, 5.0])) == roughly


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
def test_eps_is_recognised_at_every_size_of_the_output(size):
    x = np.random.default_rng(0).standard_normal((6, 3))
    gamma = size * np.array([1.0, 2.0, -1.5])

    def f(x, gamma):
        return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)

    guesses = predicted(norms.normalisation, evidence(f, size * np.cos(x), x, others=(gamma,)))
    assert any("eps = 1e-05" in formula for formula in guesses)
    assert not any("eps = 1e-04" in formula for formula in guesses)
