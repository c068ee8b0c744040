"""Mistakes in pooling and convolution: each prediction against loops over the windows."""

import numpy as np
import pytest
from claims import evidence, predicted

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain.windows import windows

SIZE = 2
# Two rows of three windows: height and width must not be taken for each other.
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 4, 6))


def places(size, stride, x):
    """The windows, as (row, column, place in the images), in the order of reading."""
    rows, columns = ((length - size) // stride + 1 for length in x.shape[2:])
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride, column * stride
            yield row, column, (..., slice(top, top + size), slice(left, left + size))


def pool(kind, size, stride):
    """Pooling of images with channels first."""

    def f(x):
        y = np.empty((*x.shape[:2], *((length - size) // stride + 1 for length in x.shape[2:])))
        for row, column, place in places(size, stride, x):
            y[:, :, row, column] = getattr(x[place], kind)(axis=(2, 3))
        return y

    return f


def share(kind, window):
    """What each number of a window has of the gradient of its output."""
    return (
        window == window.max((2, 3), keepdims=True) if kind == "max" else np.full(window.shape, 1.0 / window[0, 0].size)
    )


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_height_for_width_in_pooling(kind):
    e = evidence(pool(kind, SIZE, SIZE), np.cos(IMAGES), IMAGES)
    g, (n, c, height, width) = e.grad_output, IMAGES.shape
    rows, columns = height // SIZE, width // SIZE
    found = list(places(SIZE, SIZE, IMAGES))
    # The gradient of each window, in the order of reading.
    parts = [share(kind, IMAGES[place]) * g[:, :, row, column, None, None] for row, column, place in found]

    def laid(order, rows, columns):
        """Each window at its place of this order in an image of so many rows and columns of windows."""
        image = np.zeros((n, c, rows * SIZE, columns * SIZE))
        for part, (row, column) in zip(parts, order, strict=True):
            image[..., row * SIZE : (row + 1) * SIZE, column * SIZE : (column + 1) * SIZE] = part
        return image

    of_reading = [divmod(k, columns) for k in range(rows * columns)]
    right = laid(of_reading, rows, columns)
    np.testing.assert_allclose(right, e.truth, atol=1e-9)
    read_turned = np.empty_like(g)
    for k, value in enumerate(np.moveaxis(g.reshape(n, c, -1), 2, 0)):
        read_turned[:, :, k % rows, k // rows] = value
    grads = [share(kind, IMAGES[place]) * read_turned[:, :, row, column, None, None] for row, column, place in found]
    one_by_one = np.moveaxis(right.reshape(n, c, -1), 2, 0)
    made_turned, turned = np.empty_like(right), np.empty((height * width, n, c))
    for k, value in enumerate(one_by_one):
        made_turned[:, :, k % height, k // height] = value
        row, column = divmod(k, width)
        turned[column * height + row] = value
    name = f"that for {kind} pooling with windows of 2 x 2 and stride 2"
    expected = {
        f"{name}, made as width times height": made_turned,
        f"{name}, turned and then made height times width": np.moveaxis(turned, 0, 2).reshape(right.shape),
        f"{name}, the windows laid out as width times height": laid(
            [divmod(k, rows) for k in range(rows * columns)], columns, rows
        ).reshape(right.shape),
        f"{name}, the windows laid out down the columns": laid(
            [(k % rows, k // rows) for k in range(rows * columns)], rows, columns
        ),
    }
    parts = [part.swapaxes(2, 3) for part in parts]
    expected[f"{name}, each window turned"] = laid(of_reading, rows, columns)
    parts = grads
    expected[f"{name} with grad_output read as width times height"] = laid(of_reading, rows, columns)
    guesses = {formula: guess for formula, guess in predicted(windows, e).items() if guess.cause == "axes_exchanged"}
    assert guesses.keys() == expected.keys()
    for formula, values in expected.items():
        np.testing.assert_allclose(guesses[formula].values, values, rtol=1e-12, atol=1e-12, err_msg=formula)


@pytest.mark.parametrize(("shape", "size", "stride", "laid_out"), [
    ((4, 6), 2, 2, True), ((5, 7), 2, 2, False), ((4, 6), 2, 1, False), ((3, 3), 3, 3, True),
])  # fmt: skip
def test_windows_are_laid_out_otherwise_only_where_they_fill_the_image(shape, size, stride, laid_out):
    images = np.random.default_rng(0).standard_normal((2, 1, *shape))
    guesses = predicted(windows, evidence(pool("mean", size, stride), np.cos(images), images))
    name = f"mean pooling with windows of {size} x {size} and stride {stride}"
    assert any(name in formula for formula in guesses)
    laid = [formula for formula in guesses if "laid out" in formula or "each window turned" in formula]
    assert len(laid) == (3 if laid_out else 0)
    assert all(name in formula for formula in laid)


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("kind", ["max", "mean"])
def test_windows_that_overlap_and_a_stride_that_backward_forgets(kind, last):
    size, stride, images = 3, 2, np.random.default_rng(1).standard_normal((2, 1, 7, 5))
    axes = (0, 2, 3, 1) if last else (0, 1, 2, 3)
    own = pool(kind, size, stride)
    back = tuple(np.argsort(axes))
    e = evidence(
        lambda x: own(x.transpose(back)).transpose(axes), np.cos(images.transpose(axes)), images.transpose(axes)
    )
    g = e.grad_output.transpose(back)
    written, forgotten = np.zeros_like(images), np.zeros_like(images)
    for row, column, place in places(size, stride, images):
        written[place] = share(kind, images[place]) * g[:, :, row, column, None, None]
        near = (..., slice(row, row + size), slice(column, column + size))
        forgotten[near] += share(kind, images[near]) * g[:, :, row, column, None, None]
    name = f"that for {kind} pooling with windows of 3 x 3 and stride 2"
    guesses = predicted(windows, e)
    for formula, cause, values in (
        (f"{name} with = where windows overlap", "overwritten_windows", written),
        (f"{name} taken with stride 1", "stride_missing", forgotten),
    ):
        assert guesses[formula].cause == cause
        np.testing.assert_allclose(guesses[formula].values, values.transpose(axes), rtol=1e-12, atol=1e-12)


def convolve(stride, padding):
    """The convolution of images with kernels (out, in, size, size), channels first."""

    def f(x, weight):
        padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        found = list(places(weight.shape[2], stride, padded))
        y = np.empty((len(x), len(weight), found[-1][0] + 1, found[-1][1] + 1))
        for row, column, place in found:
            y[:, :, row, column] = np.einsum("ncij,ocij->no", padded[place], weight)
        return y

    return f


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 0), (2, 1)])
def test_a_convolution_with_its_kernel_flipped_its_windows_overwritten_or_its_stride_forgotten(stride, padding):
    rng = np.random.default_rng(2)
    images, kernel = rng.standard_normal((2, 2, 5, 7)), rng.standard_normal((3, 2, 3, 3))
    e = evidence(convolve(stride, padding), np.cos(images), images, others=(kernel,))
    g = e.grad_output
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    flipped, written, forgotten = np.zeros((3, *padded.shape))
    for row, column, place in places(3, stride, padded):
        part = np.einsum("no,ocij->ncij", g[:, :, row, column], kernel)
        flipped[place] += np.einsum("no,ocij->ncij", g[:, :, row, column], kernel[:, :, ::-1, ::-1])
        written[place] = part
        forgotten[..., row : row + 3, column : column + 3] += part
    name = f"that for the convolution with windows of 3 x 3 and stride {stride}"
    expected = {
        f"{name} with the kernel flipped": ("kernel_flipped", flipped),
        f"{name} with = where windows overlap": ("overwritten_windows", written),
    }
    if stride > 1:
        expected[f"{name} taken with stride 1"] = "stride_missing", forgotten
    guesses = predicted(windows, e)
    assert expected.keys() <= guesses.keys()
    inside = slice(padding, None if padding == 0 else -padding)
    for formula, (cause, values) in expected.items():
        assert guesses[formula].cause == cause
        np.testing.assert_allclose(guesses[formula].values, values[..., inside, inside], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (2, 1)])
def test_a_kernel_s_gradient_may_be_that_of_stride_1_if_its_stride_is_another(stride, padding, last):
    rng = np.random.default_rng(2)
    images, kernel = rng.standard_normal((2, 2, 5, 7)), rng.standard_normal((3, 2, 3, 3))
    convolved = convolve(stride, padding)

    def channels_last(x, weight):
        return convolved(x.transpose(0, 3, 1, 2), weight.transpose(3, 2, 0, 1)).transpose(0, 2, 3, 1)

    f = channels_last if last else convolved
    x, weight = (images.transpose(0, 2, 3, 1), kernel.transpose(2, 3, 1, 0)) if last else (images, kernel)
    e = evidence(f, np.cos(x), x, others=(weight,))
    e = type(e)(e.subject, "weight", weight, e.grad_output, e.output, {}, x, e.grad_output, e.rng)
    guesses = predicted(windows, e)
    if stride == 1:
        assert guesses == {}
        return
    g = e.grad_output.transpose(0, 3, 1, 2) if last else e.grad_output
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    made = np.zeros_like(kernel)
    for row in range(g.shape[2]):
        for column in range(g.shape[3]):
            near = padded[..., row : row + 3, column : column + 3]
            made += np.einsum("no,ncij->ocij", g[:, :, row, column], near)
    ((formula, guess),) = guesses.items()
    words = "that for the convolution with windows of 3 x 3 and stride 2 taken with stride 1"
    assert (guess.cause, formula) == ("stride_missing", words)
    np.testing.assert_allclose(guess.values, made.transpose(2, 3, 1, 0) if last else made, rtol=1e-12, atol=1e-12)


def test_an_array_of_four_axes_that_is_no_kernel_hides_none():
    rng = np.random.default_rng(2)
    images, kernel = rng.standard_normal((2, 2, 5, 7)), rng.standard_normal((3, 2, 3, 3))
    convolved = convolve(1, 0)

    def f(x, other, weight):
        return convolved(x, weight) * other.size

    e = evidence(f, np.cos(images), images, others=(np.ones((1, 1, 1, 1)), kernel))
    assert "kernel_flipped" in {guess.cause for guess in predicted(windows, e).values()}


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(
    ("added", "is_bias"),
    [
        (0.0, True),
        (0.7, True),
        (np.array([1.0, -2.0, 0.5]).reshape(3, 1, 1), True),
        (np.array([1.0, 1.5, 1.2]).reshape(3, 1, 1, 1), False),
        (np.array([1.0, 1.5, 1.2]).reshape(3, 1), False),
    ],
    ids=["none", "one number", "for each channel", "for each image", "for each row"],
)
def test_a_bias_is_the_same_for_all_images_and_places_at_every_size_of_the_output(size, added, is_bias):
    rng = np.random.default_rng(2)
    images, kernel = rng.standard_normal((3, 2, 5, 7)), size * rng.standard_normal((3, 2, 3, 3))
    convolved = convolve(1, 0)
    e = evidence(lambda x, weight: convolved(x, weight) + size * added, np.cos(images), images, others=(kernel,))
    assert ("kernel_flipped" in {guess.cause for guess in predicted(windows, e).values()}) == is_bias


def test_of_all_steps_and_frames_with_which_the_windows_are_as_many_each_is_tried():
    rng = np.random.default_rng(2)
    images, kernel = rng.standard_normal((2, 2, 4, 4)), rng.standard_normal((3, 2, 3, 3))
    # As many as with stride 1 and no frame.
    e = evidence(convolve(2, 1), np.cos(images), images, others=(kernel,))
    assert "that for the convolution with windows of 3 x 3 and stride 2 with the kernel flipped" in predicted(
        windows, e
    )


def test_what_is_no_square_kernel_is_none_and_hides_none():
    rng = np.random.default_rng(2)
    images, wide = rng.standard_normal((2, 2, 3, 3)), rng.standard_normal((3, 2, 3, 2))

    def with_wide(x, weight):
        return np.einsum("ncij,ocij->no", x[..., :2], weight)[:, :, None, None]

    assert predicted(windows, evidence(with_wide, np.cos(images), images, others=(wide,))) == {}
    kernel, bias = rng.standard_normal((3, 2, 2, 2)), np.array([0.3, -0.2, 0.1])
    convolved = convolve(1, 0)

    def with_bias(x, bias, weight):
        return convolved(x, weight) + bias[:, None, None]

    e = evidence(with_bias, np.cos(images), images, others=(bias, kernel))
    assert "kernel_flipped" in {guess.cause for guess in predicted(windows, e).values()}


def test_images_are_no_kernel_of_their_own():
    images = np.random.default_rng(2).standard_normal((2, 2, 2, 2))
    convolved = convolve(1, 0)
    assert predicted(windows, evidence(lambda x: convolved(x, x), np.cos(images), images)) == {}


def signals(x, w):
    """A convolution along one axis, of kernels (out, in, size)."""
    length = x.shape[2] - w.shape[2] + 1
    return np.stack([np.einsum("nct,oct->no", x[:, :, t : t + w.shape[2]], w) for t in range(length)], axis=2)


def signals_backward(x, w, grad, add):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for t in range(grad.shape[2]):
        place = (..., slice(t, t + w.shape[2]))
        dw += np.einsum("no,nct->oct", grad[:, :, t], x[place])
        dx[place] = add * dx[place] + np.einsum("no,oct->nct", grad[:, :, t], w)
    return dx, dw


@pytest.mark.parametrize(("add", "cause"), [(1, ""), (0, "overwritten_windows")])
def test_windows_along_one_axis_that_overwrite_one_another_are_told(add, cause):
    rng = np.random.default_rng(0)
    given = rng.standard_normal((2, 2, 6)), rng.standard_normal((3, 2, 3))
    report = check_gradients((signals, lambda x, w, grad: signals_backward(x, w, grad, add)), given)
    assert {entry.name: entry.cause for entry in report.entries} == {"x": cause, "w": ""}


@pytest.mark.parametrize(("axis", "cause"), [(0, ""), (1, "wrong_axis_sum")])
def test_a_bias_within_a_function_is_told_that_is_summed_over_the_wrong_axis(axis, cause):
    def backward(x, b, grad):
        d = grad * np.cos(x + b)
        return d, d.sum(axis)

    given = np.random.default_rng(0).standard_normal((4, 4)), np.array([0.1, 0.2, -0.3, 1.0])
    report = check_gradients((lambda x, b: np.sin(x + b), backward), given)
    assert report["b"].cause == cause


@pytest.mark.parametrize(("slope", "cause"), [(lambda y: 1.0 - y**2, ""), (lambda y: 1.0 - y, "derivative_in_part")])
def test_a_layer_with_a_single_unit_is_a_layer(slope, cause):
    def backward(x, w, grad):
        d = grad * slope(np.tanh(x @ w))
        return d @ w.T, x.T @ d

    rng = np.random.default_rng(0)
    report = check_gradients(
        (lambda x, w: np.tanh(x @ w), backward), (rng.standard_normal((4, 3)), rng.standard_normal((3, 1)))
    )
    assert {entry.cause for entry in report.entries} == {cause}


def strided(x, kernel, stride):
    """The convolution of images with channels first, and its gradients for windows so far apart in backward."""
    found = list(places(kernel.shape[2], 2, x))
    y = np.empty((len(x), len(kernel), *(1 + found[-1][i] for i in (0, 1))))
    for row, column, place in found:
        y[:, :, row, column] = np.einsum("ncij,ocij->no", x[place], kernel)

    def gradients(g):
        dx, dkernel, size = np.zeros_like(x), np.zeros_like(kernel), kernel.shape[2]
        for row, column, _ in found:
            top, left = row * stride, column * stride
            place = (..., slice(top, top + size), slice(left, left + size))
            dx[place] += np.einsum("no,ocij->ncij", g[:, :, row, column], kernel)
            dkernel += np.einsum("no,ncij->ocij", g[:, :, row, column], x[place])
        return dx, dkernel

    return y, gradients


# How images and kernels of one shape become those of another, and the images of the result.
LAYOUTS = {
    "one image with channels first": (lambda x: x[0], lambda k: k, lambda x: x[None], lambda k: k),
    "one image with channels last": (
        lambda x: x[0].transpose(1, 2, 0),
        lambda k: k.transpose(2, 3, 1, 0),
        lambda x: x.transpose(2, 0, 1)[None],
        lambda k: k.transpose(3, 2, 0, 1),
    ),
    "images with one channel": (lambda x: x[:, 0], lambda k: k[0, 0], lambda x: x[:, None], lambda k: k[None, None]),
    "one such image": (lambda x: x[0, 0], lambda k: k[0, 0], lambda x: x[None, None], lambda k: k[None, None]),
}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_stride_left_out_is_told_of_images_in_every_layout(layout):
    of_images, of_kernels, as_images, as_kernels = LAYOUTS[layout]
    channels, out = (2, 3) if "channels" in layout else (1, 1)
    rng = np.random.default_rng(1)
    x, kernel = rng.standard_normal((2, channels, 5, 7)), rng.standard_normal((out, channels, 3, 3))

    def forward(x, w):
        return of_images(strided(as_images(x), as_kernels(w), 2)[0])

    def backward(x, w, g, stride=1):
        dx, dw = strided(as_images(x), as_kernels(w), stride)[1](as_images(g))
        return of_images(dx), of_kernels(dw)

    given = of_images(x), of_kernels(kernel)
    assert check_gradients((forward, lambda x, w, g: backward(x, w, g, 2)), given)
    report = check_gradients((forward, backward), given)
    assert [entry.cause for entry in report.entries] == ["stride_missing"] * 2


def test_a_mean_that_backward_does_not_divide_is_no_batch_that_happens_to_be_as_large():
    x = np.random.default_rng(2).standard_normal((4, 1, 4, 6))
    report = check_gradients((pool("mean", 2, 2), lambda g: g.repeat(2, axis=2).repeat(2, axis=3)), x)
    assert report["x"].cause == "factor"
    assert "not divided by the 4 entries of a window" in str(report)
