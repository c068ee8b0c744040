"""Work on one thread: the libraries are limited inside and get back what they had; without threadpoolctl nothing is."""

import importlib.util
import inspect
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from numpy_nn._support import threads
from numpy_nn.gradcheck import check_gradients


def numbers():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_inside_there_is_one_thread_and_afterwards_as_many_as_before():
    with threadpool_limits(2, "blas"):
        before = numbers()
        with threads.one_thread():
            assert numbers() == {1}
        assert numbers() == before


def test_without_threadpoolctl_nothing_changes(monkeypatch):
    monkeypatch.setattr(threads, "importlib", SimpleNamespace(util=SimpleNamespace(find_spec=lambda _: None)))
    with threadpool_limits(2, "blas"):
        before = numbers()
        with threads.one_thread():
            assert numbers() == before
    assert importlib.util.find_spec("threadpoolctl") is not None


def test_a_number_is_asked_for_before_numpy_is_loaded_and_the_user_s_stays(monkeypatch):
    asked = {"OMP_NUM_THREADS": "3"}
    monkeypatch.setattr(threads.os, "environ", asked)
    threads.ask_for_one_thread()
    assert asked == {"OMP_NUM_THREADS": "3"}  # it would come too late
    monkeypatch.delitem(threads.sys.modules, "numpy")
    threads.ask_for_one_thread()
    assert asked == {**dict.fromkeys(threads.VARIABLES, "1"), "OMP_NUM_THREADS": "3"}


@pytest.mark.slow
def test_gradients_are_checked_on_one_thread():
    def f(x):
        assert numbers() == {1}  # what it raises comes through
        return x * x

    with threadpool_limits(2, "blas"):
        assert check_gradients((f, lambda x, g: 2.0 * x * g), np.array([1.0, 2.0])).ok
        with pytest.raises(AssertionError):
            f(2.0)
    assert next(iter(inspect.signature(check_gradients).parameters)) == "target"


class Libraries:
    """They compute on so many threads, as threadpoolctl sets it."""

    def __init__(self, threads_now):
        self.threads = threads_now

    def limit(self, *, limits):
        before, self.threads = self.threads, limits
        limiter: Any = ExitStack()
        limiter.callback(setattr, self, "threads", before)
        limiter.restore_original_limits = limiter.close
        return limiter


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_of_several_limits_any_may_end_first(monkeypatch, order):
    libraries = Libraries(4)
    monkeypatch.setattr(threads, "_libraries", lambda _: libraries)
    limits = [threads.one_thread() for _ in order]
    for limit in limits:
        limit.__enter__()
    for left, index in zip((2, 1, 0), order, strict=True):
        assert libraries.threads == 1
        limits[index].__exit__(None, None, None)
        assert left or libraries.threads == 4
