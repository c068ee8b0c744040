"""A plugin of pytest's: under which kernels and settings the tests really run, told by the processes that run them.

Each writes what it finds to the folder that WITNESS names, before its first test and after its last. Nothing here may
load NumPy before the tests' own conftest.py has set the number of threads.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import re
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

FOLDER, FLUSH = "WITNESS", "FLUSH_SUBNORMALS"

Facts = dict[str, Any]

# The properties that run with subnormals flushed.
_flushing: list[Any] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    """Tell what is in force."""
    if _runs_tests(session.config):
        if os.environ.get(FLUSH):
            _keep_subnormals_in_draws()
        _write(session.config, "start")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Let a test run with subnormals flushed, if asked to; hypothesis itself needs them, and refuses without."""
    if not os.environ.get(FLUSH):
        return (yield)
    property_ = getattr(pyfuncitem.obj, "hypothesis", None)
    if property_ is None:
        with flushing(True):
            return (yield)
    if property_ not in _flushing:  # the tests of one function share it
        property_.inner_test = _with_flushing(True, property_.inner_test)
        _flushing.append(property_)
    return (yield)


def _with_flushing(on: bool, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        with flushing(on):
            return function(*arguments, **options)

    return call


@contextmanager
def flushing(on: bool) -> Iterator[None]:
    """Let this thread, NumPy's arithmetic in it included, take subnormals for 0, or no longer."""
    before = _flushes()
    if on != before:
        _set_flush(on)
    try:
        yield
    finally:
        if on != before:
            _set_flush(before)


def _set_flush(on: bool) -> None:
    import torch

    torch.set_flush_denormal(on)
    if _flushes() != on:
        raise RuntimeError("subnormals cannot be flushed on this processor")


def _flushes() -> bool:
    import numpy as np

    return bool(np.float32(1e-38) * np.float32(0.01) == 0)


def _keep_subnormals_in_draws() -> None:
    """What a test draws while it runs is drawn by hypothesis, too, which offers no other place to step in."""
    from hypothesis.internal.conjecture.data import ConjectureData

    # mypy refuses any method that is replaced from outside. There is no other place: this is not for what a test
    # computes, and hypothesis has no hook around what it draws.
    ConjectureData.draw = _with_flushing(False, ConjectureData.draw)  # type: ignore[method-assign]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell it again: a test may have changed it."""
    if _runs_tests(session.config):
        _write(session.config, "end")


def _runs_tests(config: pytest.Config) -> bool:
    """Whether this process runs tests, and does not only hand them out to workers."""
    return hasattr(config, "workerinput") or not config.getoption("numprocesses", None)


def _write(config: pytest.Config, when: str) -> None:
    from hypothesis import settings

    loaded = settings.default
    assert loaded is not None
    # Where the examples are to be the same at every run, hypothesis does not heed a seed.
    seed = None if loaded.derandomize else config.getoption("--hypothesis-seed")
    with flushing(bool(os.environ.get(FLUSH))):
        found = facts() | {"examples": loaded.max_examples, "seed": seed}
    name = f"{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}-{when}.json"
    (Path(os.environ[FOLDER]) / name).write_text(json.dumps(found), encoding="utf-8")


def facts() -> Facts:
    """What NumPy and, where it is installed, torch say of themselves, and the bits of some of their results."""
    import numpy as np
    from threadpoolctl import threadpool_info

    compiled: Any = import_module("numpy._core._multiarray_umath")  # no public name tells
    pools = [pool for pool in threadpool_info() if pool["internal_api"] == "openblas"]
    pools.sort(key=lambda pool: "numpy" not in pool["filepath"])  # SciPy may bring one of its own
    found: Facts = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "openblas": pools[0]["architecture"] if pools else None,
        "numpy_threads": pools[0]["num_threads"] if pools else None,
        "numpy_features": [name for name in compiled.__cpu_dispatch__ if compiled.__cpu_features__[name]],
        "numpy_flushes": _flushes(),
        "bits": _bits_of_numpy(),
    }
    try:
        import torch
    except ModuleNotFoundError:
        return found
    found["torch"] = torch.__version__
    found["torch_threads"] = torch.get_num_threads()
    found["torch_flushes"] = bool((torch.tensor(1e-38) * 0.01 == 0).item())
    found["aten"] = torch.backends.cpu.get_cpu_capability()
    found["mkl"] = _first(r" CNR:(\w+) ", _printed(_product_aloud))
    found["onednn"] = _first(r",eltwise,(\S+?),", _printed(_gelu_aloud))
    found["bits"] |= _bits_of_torch()
    return found


def _inputs(dtype: str) -> tuple[Any, Any, Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(shape).astype(dtype) for shape in ((48, 300), (300, 40)))
    return x, weight, np.linspace(-8.0, 8.0, 2001).astype(dtype)


def _bits_of_numpy() -> dict[str, str]:
    import numpy as np

    found = {}
    for dtype in ("float32", "float64"):
        x, weight, line = _inputs(dtype)
        for name, result in (("product", x @ weight), ("exp", np.exp(line)), ("tanh", np.tanh(line))):
            found[f"NumPy's {dtype} {name}"] = _digest(result)
    return found


def _bits_of_torch() -> dict[str, str]:
    import torch

    found = {}
    for dtype in ("float32", "float64"):
        x, weight, line = map(torch.from_numpy, _inputs(dtype))
        linear = torch.nn.functional.linear(x, weight.T.contiguous(), weight[0])
        gelu = torch.nn.functional.gelu
        for name, result in (("linear", linear), ("exp", line.exp()), ("sum", x.sum(dim=1)), ("gelu", gelu(line))):
            found[f"torch's {dtype} {name}"] = _digest(result.numpy())
    return found


def _digest(array: Any) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def _product_aloud() -> None:
    import torch

    with torch.backends.mkl.verbose(torch.backends.mkl.VERBOSE_ON):
        torch.mm(torch.ones(64, 64), torch.ones(64, 64))


def _gelu_aloud() -> None:
    import torch

    with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
        torch.nn.functional.gelu(torch.ones(64, 64))


def _printed(call: Callable[[], None]) -> str:
    """What a library in C prints meanwhile; empty where torch was built without it, and on Windows."""
    if os.name != "posix":
        return ""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            call()
            ctypes.CDLL(None).fflush(None)
        except RuntimeError:
            return ""
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        return file.read().decode(errors="replace")


def _first(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found[1] if found else None
