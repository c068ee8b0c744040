"""The toy sets: what lies where, how many of each, and one seed, one set."""

import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st

from numpy_nn.data import datasets


@given(dtype=our.dtypes)
def test_the_four_points_lie_on_either_side_of_the_line(dtype):
    x, y = datasets.four_points(dtype=dtype)
    assert x.dtype == dtype
    np.testing.assert_array_equal(x.sum(axis=1) < 1, y == 1)
    np.testing.assert_array_equal(x, np.array([[0.5, 0.25], [0.2, 0.5], [0.3, 1.1], [0.4, 1.1]], dtype))


def test_xor_in_both_forms():
    x, y = datasets.xor()
    np.testing.assert_array_equal(y, np.sign(x[:, 0] * x[:, 1]))
    np.testing.assert_array_equal(np.unique(x, axis=0), [[-1, -1], [-1, 1], [1, -1], [1, 1]])
    x, y = datasets.xor(signed=False)
    np.testing.assert_array_equal(y, x[:, 0] != x[:, 1])
    np.testing.assert_array_equal(np.unique(x, axis=0), [[0, 0], [0, 1], [1, 0], [1, 1]])


@given(n=st.integers(2, 99), dtype=our.dtypes)
def test_moons_without_noise_lie_on_their_half_circles(n, dtype):
    x, y = datasets.moons(n, 0.0, dtype=dtype)
    assert x.shape == (n, 2)
    assert x.dtype == dtype
    np.testing.assert_array_equal(np.bincount(y), [n - n // 2, n // 2])
    centre = np.where(y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    # Coordinates of size 1 or 2, rounded a few times.
    np.testing.assert_allclose(np.linalg.norm(x - centre, axis=1), 1.0, rtol=0, atol=4 * np.finfo(dtype).eps)
    for c in range(2):
        angle = np.linspace(0, np.pi, np.count_nonzero(y == c))
        arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        expected = arc if c == 0 else [1.0, 0.5] - arc
        np.testing.assert_allclose(x[y == c], expected, rtol=0, atol=2 * np.finfo(dtype).eps)


@given(n=st.integers(1, 99), classes=st.integers(1, 5), dtype=our.dtypes)
def test_spirals_without_noise_wind_out_as_they_say(n, classes, dtype):
    x, y = datasets.spirals(n, classes, 0.0, dtype=dtype)
    assert x.shape == (n, 2)
    np.testing.assert_array_equal(
        np.bincount(y, minlength=classes), [n // classes + (c < n % classes) for c in range(classes)]
    )
    for c in range(classes):
        arm = x[y == c].astype(np.float64)
        radius = np.linspace(0, 1, len(arm))
        angle = 4 * (c + radius)
        expected = radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
        np.testing.assert_allclose(arm, expected, rtol=0, atol=np.finfo(dtype).eps)


@given(seed=our.seeds, noise=st.floats(0.01, 1))
def test_the_noise_is_normal_added_to_coordinates_or_angles_and_the_seeds_own(seed, noise):
    still, _ = datasets.moons(40, 0.0, dtype=np.float64)
    x, _ = datasets.moons(40, noise, rng=seed, dtype=np.float64)
    np.testing.assert_array_equal(x, still + np.random.default_rng(seed).normal(0.0, noise, (40, 2)))

    x, y = datasets.spirals(40, 3, noise, rng=seed, dtype=np.float64)
    radius = np.concatenate([np.linspace(0, 1, size) for size in np.bincount(y)])
    angle = 4 * (y + radius) + np.random.default_rng(seed).normal(0.0, noise, 40)
    np.testing.assert_array_equal(x, radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1))


def test_the_sets_that_come_without_arguments():
    for default, same in (
        (datasets.moons(rng=0), datasets.moons(200, 0.1, rng=0)),
        (datasets.spirals(rng=0), datasets.spirals(300, 3, 0.2, rng=0)),
        (datasets.xor(), datasets.xor(signed=True)),
    ):
        np.testing.assert_array_equal(default[0], same[0])
        np.testing.assert_array_equal(default[1], same[1])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: datasets.moons(1), ValueError, "n: expected an integer >= 2, got 1"),
        (lambda: datasets.moons(2.5), TypeError, "n: expected an integer"),
        (lambda: datasets.moons(noise=-1.0), ValueError, "noise"),
        (lambda: datasets.moons(noise=np.nan), ValueError, "noise"),
        (lambda: datasets.moons(dtype=int), TypeError, "dtype"),
        (lambda: datasets.spirals(0), ValueError, "n: expected an integer >= 1"),
        (lambda: datasets.spirals(classes=0), ValueError, "classes"),
        (lambda: datasets.spirals(noise=np.inf), ValueError, "noise"),
        (lambda: datasets.spirals(rng=1.5), TypeError, "rng"),
        (lambda: datasets.xor(dtype="int8"), TypeError, "dtype"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
