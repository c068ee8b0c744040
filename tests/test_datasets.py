"""The toy sets: what lies where, how many of each, and one seed, one set."""

import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st

from numpy_nn import datasets


@given(dtype=our.dtypes)
def test_the_four_points_lie_on_either_side_of_the_line(dtype):
    x, y = datasets.four_points(dtype=dtype)
    assert x.dtype == dtype
    np.testing.assert_array_equal(x.sum(axis=1) < 1, y == 1)
    np.testing.assert_array_equal(x, np.array([[0.5, 0.25], [0.2, 0.5], [0.3, 1.1], [0.4, 1.1]], dtype))


def test_xor_in_both_forms():
    x, y = datasets.xor()
    np.testing.assert_array_equal(y, np.sign(x[:, 0] * x[:, 1]))
    assert len(np.unique(x, axis=0)) == 4
    x, y = datasets.xor(signed=False)
    np.testing.assert_array_equal(y, x[:, 0] != x[:, 1])
    assert set(x.ravel()) == {0.0, 1.0}


@given(n=st.integers(2, 99), dtype=our.dtypes)
def test_moons_without_noise_lie_on_their_half_circles(n, dtype):
    x, y = datasets.moons(n, 0.0, dtype=dtype)
    assert x.shape == (n, 2)
    assert x.dtype == dtype
    np.testing.assert_array_equal(np.bincount(y), [n - n // 2, n // 2])
    centre = np.where(y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    # Coordinates of size 1 or 2, rounded a few times.
    np.testing.assert_allclose(np.linalg.norm(x - centre, axis=1), 1.0, rtol=0, atol=4 * np.finfo(dtype).eps)
    assert np.all((x[y == 0, 1] >= -np.finfo(dtype).eps) & (x[y == 0, 1] <= 1))
    assert np.all(x[y == 1, 1] <= 0.5 + np.finfo(dtype).eps)


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
def test_one_seed_gives_one_set_and_noise_is_its_standard_deviation(seed, noise):
    for make in (datasets.moons, datasets.spirals):
        first, second = make(400, noise=noise, rng=seed), make(400, noise=noise, rng=seed)
        np.testing.assert_array_equal(first[0], second[0])
    off = datasets.moons(400, noise, rng=seed, dtype=np.float64)[0] - datasets.moons(400, 0.0, dtype=np.float64)[0]
    # Six standard errors of a standard deviation from 800 numbers.
    assert abs(off.std() - noise) <= 6 * noise / np.sqrt(2 * 800)


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
