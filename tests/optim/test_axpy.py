"""y + a x in one pass: the BLAS's operation, found in NumPy, and what stands in for it."""

import sys

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.optim import axpy as room
from numpy_nn.optim.axpy import axpy, in_one_pass

# Shorter, as long and longer than what kernels take at a time, and than what OpenBLAS divides among threads.
SIZES = [0, 1, 3, 7, 31, 32, 33, 1000, 20_011]
SETTINGS = [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.01}, {"maximize": True}]


@pytest.fixture(params=["the BLAS's", "NumPy's"])
def either(request, monkeypatch):
    if request.param == "NumPy's":
        monkeypatch.setattr(room, "_of_blas", lambda _: None)


def test_numpys_own_blas_is_found():
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    if sys.platform == "linux" and "openblas" in blas:
        assert in_one_pass()


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
def test_it_adds_a_x(size, dtype):
    rng = np.random.default_rng(size)
    # One number further on, so that no kernel finds the beginning where it would like it.
    x, y, scratch = rng.standard_normal((3, size + 1)).astype(dtype)[:, 1:]
    a, before = 0.3, y.copy()
    kept = x.copy()
    axpy(x, y, scratch)(a)
    product = np.longdouble(dtype(a)) * x
    exact = before + product
    # Of the product and of the sum, each rounded once at most; longdouble may be no more than float64.
    unit = np.finfo(dtype).eps / 2 + np.finfo(np.longdouble).eps
    assert np.all(np.abs(y - exact) <= unit * (np.abs(product) + np.abs(exact) * (1 + unit)) * (1 + unit))
    np.testing.assert_array_equal(x, kept)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("a", [0.0, -0.0, 1.0])
def test_what_is_no_number_stays_none(a):
    x, y = np.array([np.nan, np.inf, 1.0]), np.ones(3)
    with np.errstate(invalid="ignore"):
        axpy(x, y, np.empty(3))(a)
    assert np.isnan(y[0])
    assert np.isnan(y[1]) if a == 0 else y[1] == np.inf
    assert y[2] == 1 + a


@pytest.mark.usefixtures("either")
def test_what_may_not_be_written_to_is_not():
    x, y = np.ones((2, 3))
    add = axpy(x, y, np.empty(3))
    y.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        add(0.5)
    np.testing.assert_array_equal(y, 1.0)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_one_pass_and_two_train_alike(monkeypatch, settings):
    # On numbers that need no rounding both are exact: eighths, a rate and a momentum that are powers of two.
    settings = {name: 0.5 if name in ("momentum", "weight_decay") else value for name, value in settings.items()}
    data, grad = np.random.default_rng(0).integers(-8, 8, (2, 70_000)) / 8

    def trained():
        p = nn.Parameter(data.copy())
        optimizer = nn.SGD([p], lr=0.25, **settings)
        for _ in range(3):
            p.grad[...] = grad
            optimizer.step()
        return p.data

    in_one = trained()
    monkeypatch.setattr(room, "_of_blas", lambda _: None)
    np.testing.assert_array_equal(in_one, trained())
    assert not np.array_equal(in_one, data)


def test_settings_change_between_steps():
    # What is one pass with one setting is several in blocks with the next; to go on is as to begin with both.
    p = nn.Parameter(np.full(70_000, 1.0))
    optimizer = nn.SGD([p], lr=0.5)
    p.grad[...] = 0.25
    optimizer.step()
    optimizer.weight_decay = 0.5
    optimizer.step()
    optimizer.weight_decay = 0.0
    optimizer.param_groups[0]["lr"] = np.float32(0.5)  # a number that a schedule of one's own may give
    optimizer.step()
    after_first = 1 - 0.5 * 0.25
    after_second = after_first - 0.5 * (0.25 + 0.5 * after_first)
    assert set(p.data) == {after_second - 0.5 * 0.25}
