"""Distortion against torch and torchvision on the same field, within the bound of the two engines' rounding."""

import math

import needs
import numpy as np
import pytest
import strategies as our
import torch
from distortions import SETTINGS, distance, roundoff, sampled
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn.functional import conv2d, grid_sample

import numpy_nn as nn
from numpy_nn._support.workspace import Workspace
from numpy_nn.data import augment
from numpy_nn.data.augment import Distortion, affine_coordinates, affine_matrices, gaussian_matrix, smooth

stacks = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=12)


@given(data=st.data(), dtype=our.dtypes, shape=stacks)
def test_resampling_is_torchs_grid_sample(data, dtype, shape):
    _, height, width = shape
    images = data.draw(our.float_arrays(shape, dtype))
    sizes = np.array([width, height])[:, None, None, None]
    rng = np.random.default_rng(data.draw(our.seeds))
    field = (rng.uniform(-3.0, 3.0 + sizes, (2, *shape))).astype(dtype)
    whole = rng.random((2, *shape)) < 0.2  # where the two sides of an interpolation meet
    field[whole] = np.round(field[whole])
    grid = ((2 * field.astype(np.float64) + 1) / sizes - 1).astype(dtype)
    theirs = grid_sample(
        torch.tensor(images.copy())[:, None], torch.tensor(np.moveaxis(grid, 0, -1)), align_corners=False
    )
    # Ours: adding 1. Theirs: the grid is rounded, then (g + 1) size / 2 - 1 / 2 four times.
    error = np.abs(sampled(images, field) - theirs[:, 0].numpy())
    assert error.max() <= distance(images, field, 1, 5)


@needs.torchvision
@pytest.mark.slow
@pytest.mark.numerical
@given(data=st.data(), dtype=our.dtypes, shape=stacks, alpha=st.floats(0.0, 30.0), sigma=st.floats(0.5, 6.0))
def test_elastic_distortion_is_torchvisions_on_the_same_displacements(data, dtype, shape, alpha, sigma):
    from torchvision.transforms.v2 import functional as vision

    n, height, width = shape
    images = data.draw(our.float_arrays(shape, dtype))
    noise = np.random.default_rng(data.draw(our.seeds)).uniform(-alpha, alpha, (2, *shape)).astype(dtype)
    displacements = smooth(noise, sigma, np.empty_like(noise), Workspace())
    field = affine_coordinates(identities(n), np.empty_like(noise)) + displacements
    result = sampled(images, field)
    sizes = np.array([width, height], np.float64)
    for image, moved, ours in zip(images, np.moveaxis(displacements, 0, -1), result, strict=True):
        relative = torch.tensor((2 * moved / sizes).astype(dtype))[None]
        theirs = vision.elastic(torch.tensor(image.copy())[None], relative)[0].numpy()
        # Ours: the affine map's three terms, the sum, adding 1. Theirs: the scaled displacement, three roundings in
        # the identity's grid, the sum, and grid_sample's four.
        assert np.abs(ours - theirs).max() <= distance(images, field, 5, 9)


def identities(n):
    """The affine maps that move nothing."""
    return affine_matrices(np.zeros(n), np.ones((n, 2)), np.zeros(n), np.zeros((n, 2)))


@needs.torchvision
@pytest.mark.slow
@pytest.mark.numerical
@given(
    data=st.data(),
    dtype=our.dtypes,
    shape=stacks,
    angle=st.floats(-180, 180),
    scale=st.floats(0.5, 2.0),
    shear=st.floats(-1.0, 1.0),
    shift=st.tuples(st.floats(-4, 4), st.floats(-4, 4)),
)
@example(data=None, dtype=np.float64, shape=(1, 9, 5), angle=30.0, scale=1.1, shear=0.2, shift=(1.0, 2.0))
def test_affine_distortion_is_torchvisions(data, dtype, shape, angle, scale, shear, shift):
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as vision

    n, height, width = shape
    images = np.ones(shape, dtype) if data is None else data.draw(our.float_arrays(shape, dtype))
    matrices = affine_matrices(*(np.repeat(np.array(v)[None], n, 0) for v in (angle, [scale, scale], shear, shift)))
    field = affine_coordinates(matrices, np.empty((2, *shape), dtype))
    theirs = vision.affine(
        torch.tensor(images.copy())[:, None],
        angle,
        list(shift),
        scale,
        [math.degrees(math.atan(shear)), 0.0],
        InterpolationMode.BILINEAR,
    )
    # The terms of the map are as large as its matrix says, even where their sum is small. Six roundings of each of
    # theirs in the rounded matrix, the sum and grid_sample; ours as in the elastic test.
    terms = np.abs(matrices[0]) @ [width, height, 1.0] + max(width, height)
    error = np.abs(sampled(images, field) - theirs[:, 0].numpy())
    assert error.max() <= distance(images, np.maximum(np.abs(field), terms.max()), 5, 10)


@given(data=st.data(), dtype=our.dtypes, shape=stacks, sigma=st.floats(0.2, 8.0))
def test_smoothing_is_a_convolution_with_a_gaussian_of_sum_one(data, dtype, shape, sigma):
    field = data.draw(our.float_arrays((2, *shape), dtype, laid_out=False))
    reach = math.ceil(4 * sigma)
    d = np.arange(-reach, reach + 1)
    w = np.exp(-0.5 * (d / sigma) ** 2)
    w /= w.sum()
    exact = conv2d(
        torch.tensor(field.astype(np.float64)).reshape(-1, 1, *shape[1:]),
        torch.tensor(np.outer(w, w))[None, None],
        padding=reach,
    ).reshape(field.shape)
    result = smooth(field, sigma, np.empty_like(field), Workspace())
    # Two products of inner length at most 12, with rounded weights of sum at most 1; float64 convolves with rounding
    # of its own, in sums of at most 144 terms.
    u = roundoff(dtype)
    bound = (1.01 * (12 + 12 + 4) * u + 150 * 2.0**-53) * np.abs(field).max() + np.finfo(dtype).tiny * 30
    assert np.abs(result - exact.numpy()).max() <= bound


@given(size=st.integers(1, 40), sigma=st.floats(0.2, 8.0))
def test_the_gaussian_matrix_is_symmetric_banded_and_of_row_sum_one_away_from_the_ends(size, sigma):
    matrix = gaussian_matrix(size, sigma, np.dtype(np.float64))
    np.testing.assert_array_equal(matrix, matrix.T)
    distance = abs(np.subtract.outer(np.arange(size), np.arange(size)))
    reach = math.ceil(4 * sigma)
    assert not matrix[distance > reach].any()
    assert (matrix[distance <= reach] > 0).all()
    sums = matrix.sum(axis=1)
    assert (sums <= 1 + 2 * size * 2.0**-53).all()
    inner = sums[reach : size - reach]
    assert (abs(inner - 1) <= 2 * size * 2.0**-53).all()


def drawn(distortion, images):
    """What the distortion must give, from the generator's numbers in the order in which they are drawn."""
    rng, dtype = distortion.rng, images.dtype
    n = len(images)
    spread = [getattr(distortion, name) for name in ("rotation", "scale", "scale", "shear", "shift", "shift")]
    numbers = rng.uniform(-1, 1, (n, 6)) * spread
    matrices = affine_matrices(numbers[:, 0], 1 + numbers[:, 1:3], numbers[:, 3], numbers[:, 4:])
    field = affine_coordinates(matrices, np.empty((2, *images.shape), dtype))
    if distortion.alpha:
        draws = rng.integers(0, 2**64, -(-field.size // 4), np.uint64).view(np.int16)[: field.size]
        uniform = (draws.reshape(field.shape) + 0.5) / 2**15
        assert np.abs(uniform).max() < 1
        noise = (uniform * distortion.alpha).astype(dtype)
        field += smooth(noise, distortion.sigma, np.empty_like(noise), Workspace())
    return sampled(images, field), field


@given(data=st.data(), dtype=our.dtypes, shape=stacks, seed=our.seeds)
def test_a_distortion_is_the_sum_of_its_parts(data, dtype, shape, seed):
    images = data.draw(our.float_arrays(shape, dtype))
    settings = {name: value if data.draw(st.booleans()) else 0.0 for name, value in SETTINGS.items() if name != "sigma"}
    sigma = data.draw(st.floats(0.5, 6.0))
    result = Distortion(**settings, sigma=sigma, rng=seed)(images)
    expected, field = drawn(Distortion(**settings, sigma=sigma, rng=seed), images)
    # The noise is scaled in another order: two roundings of alpha.
    scale = np.maximum(np.abs(field).max(), settings["alpha"])
    assert np.abs(result - expected).max() <= distance(images, np.full_like(field, scale), 2, 2)
    assert result.dtype == dtype


@given(data=st.data(), seed=our.seeds, side=st.integers(1, 12), n=st.integers(1, 8), dtype=our.dtypes)
def test_one_seed_gives_one_sequence_whatever_the_layout_and_the_target(data, seed, side, n, dtype):
    images = np.random.default_rng(seed).random((n, side, side)).astype(dtype)
    first, second, third = (Distortion(**SETTINGS, rng=seed) for _ in range(3))
    for _ in range(2):
        expected = first(images).copy()
        rows, out = images.reshape(n, -1), np.empty((n, side * side), dtype)
        before = rows.copy()
        assert second(rows, out) is out
        np.testing.assert_array_equal(rows, before)
        np.testing.assert_array_equal(out.reshape(images.shape), expected)
        np.testing.assert_array_equal(third(data.draw(our.layouts(images))), expected)


def test_many_images_are_distorted_some_at_a_time(monkeypatch):
    images = np.random.default_rng(0).random((9, 6, 5))
    affine = {name: value for name, value in SETTINGS.items() if name not in ("alpha", "sigma")}
    expected = Distortion(**affine, rng=0)(images)
    monkeypatch.setattr(augment, "PIXELS", 70)
    # The products may sum in another order.
    bound = distance(images, np.full(1, 12.0), 5, 5)
    np.testing.assert_allclose(Distortion(**affine, rng=0)(images), expected, rtol=0, atol=bound)
    elastic = Distortion(**SETTINGS, rng=0)(images)
    # Every image in every part is bent in its own way.
    assert len({image.tobytes() for image in elastic}) == len(images)
    same = np.broadcast_to(images[:1], images.shape)
    assert len({image.tobytes() for image in Distortion(**SETTINGS, rng=0)(same)}) == len(images)


@given(data=st.data(), dtype=our.dtypes, shape=stacks)
def test_without_settings_an_image_stays_as_it_is(data, dtype, shape):
    images = data.draw(our.float_arrays(shape, dtype))
    np.testing.assert_allclose(Distortion(rng=0)(images), images, rtol=0, atol=distance(images, np.full(1, 24.0), 5, 0))


@given(shape=stacks, fill=st.floats(-10, 10), dtype=our.dtypes, seed=our.seeds)
def test_outside_the_image_is_the_fill(shape, fill, dtype, seed):
    constant = np.full(shape, fill, dtype)
    result = Distortion(**SETTINGS, fill=fill, rng=seed)(constant)
    # Differences of equal numbers are 0: nothing rounds.
    np.testing.assert_array_equal(result, constant)
    far = Distortion(shift=1e6, fill=fill, rng=seed)
    matrices = far.draw_matrices(len(constant))
    assume(np.abs(matrices[:, 0, 2]).min() > 20)
    np.testing.assert_array_equal(Distortion(shift=1e6, fill=fill, rng=seed)(constant + dtype(1)), constant)


def test_each_setting_moves_what_it_names():
    rng = np.random.default_rng(0)
    angle, scale, shear, shift = 90.0, np.array([2.0, 1.0]), 0.5, np.array([1.0, 0.0])
    zero, one, none = np.zeros(1), np.ones((1, 2)), np.zeros((1, 2))
    image = rng.random((1, 3, 3))

    def moved(*parts):
        return sampled(image, affine_coordinates(affine_matrices(*parts), np.empty((2, 1, 3, 3))))[0]

    def assert_close(result, expected):
        # cos 90 degrees is 6e-17, not 0; all numbers are below 4.
        np.testing.assert_allclose(result, expected, rtol=0, atol=64 * 2.0**-53)

    assert_close(moved(np.array([angle]), one, zero, none), np.rot90(image[0], -1))
    assert_close(moved(zero, one, zero, shift[None])[:, 1:], image[0][:, :-1])
    assert_close(moved(zero, scale[None], zero, none)[:, 2], image[0][:, 1:].mean(axis=1))
    # Half a pixel to the left above the centre, half a pixel to the right below: x goes to x - shear y.
    below = moved(zero, one, np.array([shear]), none)[2]
    assert_close(below[:2], (image[0, 2, :-1] + image[0, 2, 1:]) / 2)


def test_draws_keep_within_the_settings_and_reach_near_them():
    distortion = Distortion(rotation=30, scale=0.2, shear=0.3, shift=2.0, rng=0)
    matrices = distortion.draw_matrices(4000)
    forward = np.linalg.inv(matrices[:, :, :2])
    shift = -(forward @ matrices[:, :, 2:])[:, :, 0]
    assert 1.9 < np.abs(shift).max() <= 2.0 + 1e-12
    # The first column of R S H is scale_x (cos, sin).
    angle, scale = np.degrees(np.arctan2(forward[:, 1, 0], forward[:, 0, 0])), np.hypot(*forward[:, :, 0].T)
    assert 29 < np.abs(angle).max() <= 30 + 1e-12
    assert 0.8 - 1e-12 <= scale.min() < 0.81
    assert 1.19 < scale.max() <= 1.2 + 1e-12
    assert abs(angle.mean()) < 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Distortion(rotation=-1), ValueError, "rotation: expected a finite number >= 0 and <= 1e.06, got -1"),
        (lambda: Distortion(scale=1.0), ValueError, "scale: .* < 1, got 1.0"),
        (lambda: Distortion(shear=np.nan), ValueError, "shear"),
        (lambda: Distortion(shift="1"), TypeError, "shift: expected a number, got str '1'"),
        (lambda: Distortion(alpha=np.inf), ValueError, "alpha"),
        (lambda: Distortion(sigma=0), ValueError, "sigma: expected a finite number <= 1e.06 and > 0"),
        (lambda: Distortion(fill=np.inf), ValueError, "fill"),
        (lambda: Distortion(rng=-1), ValueError, "rng"),
        (lambda: Distortion()(np.zeros((2, 4, 4), np.uint8)), TypeError, "images: expected an array of float32"),
        (lambda: Distortion()(np.zeros((2, 5))), ValueError, r"images: expected shape .*side\^2.*got \(2, 5\)"),
        (lambda: Distortion()(np.zeros(4)), ValueError, r"got \(4,\)"),
        (lambda: Distortion()(np.zeros((0, 4))), ValueError, "none of them 0"),
        (lambda: Distortion()(np.zeros((2, 0, 3))), ValueError, "none of them 0"),
        (lambda: Distortion()(np.zeros((2, 4)), np.zeros((2, 4), np.float32)), TypeError, "out: expected .* float64"),
        (lambda: Distortion()(np.zeros((2, 4)), np.zeros((2, 2, 2))), ValueError, r"out: expected .* shape \(2, 4\)"),
        (lambda: Distortion()(np.zeros((2, 4)), np.zeros((2, 8))[:, ::2]), ValueError, "out: .*C-contiguous"),
        (lambda: nn.Distortion().draw_matrices(0), ValueError, "n: expected an integer >= 1"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", ["rotation", "shear", "shift", "alpha", "sigma"])
def test_a_setting_may_be_a_million_and_no_more(name):
    assert getattr(Distortion(**{name: 1e6}), name) == 1e6
    with pytest.raises(ValueError, match=name):
        Distortion(**{name: np.nextafter(1e6, np.inf)})


def test_images_are_not_written_over():
    images = np.zeros((2, 4))
    with pytest.raises(ValueError, match="out: expected memory apart"):
        Distortion()(images, images)


@pytest.mark.parametrize(("size", "draws"), [(1, 1), (2, 2), (3, 5)])
def test_displacements_take_one_draw_for_four_numbers(size, draws):
    ours, theirs = np.random.default_rng(0), np.random.default_rng(0)
    Distortion(alpha=1.0, rng=ours)._displacements(np.zeros((2, 1, size, size)))
    theirs.integers(0, 2**64, draws, dtype=np.uint64)
    assert ours.bit_generator.state == theirs.bit_generator.state
