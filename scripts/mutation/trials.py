"""Trials: tests run in a process of their own, in which one module may be a mutant.

Each trial is forked from a process that has imported the libraries but none of this project, or has forgotten it, so
that it begins at once; the mutant's source exists in its memory only. A trial ends at the first test that fails. A test
that takes far more processor time than it does without a change, and a trial that waits for ever, are ended.
"""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.machinery
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from scripts.mutation.mutants import ROOT, Mutant

if sys.platform != "win32":
    import resource

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

# No words that nobody reads, and no files in the repository.
PYTEST = ("-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider")
KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"
GIBIBYTE = 2**30


def import_libraries() -> None:
    """Import what all trials need, with one thread each: it is the trials that share the processors."""
    os.environ |= dict.fromkeys(THREADS, "1") | {"HYPOTHESIS_PROFILE": "mutants"}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for library in ("hypothesis.extra.numpy", "mpmath", "torch"):
        importlib.import_module(library)
    gc.freeze()
    # What the command line needs of this project is forgotten: a trial imports it anew, and sees its mutant.
    for name in [name for name in sys.modules if name.partition(".")[0] in ("numpy_nn", "torch_ref")]:
        del sys.modules[name]


@dataclass(frozen=True)
class Trial:
    """A function to call in a process of its own, and the seconds that it may take by the clock on the wall."""

    run: Callable[[], int]
    limit: float
    about: Any


def results(trials: Iterable[Trial], jobs: int) -> Iterator[tuple[Any, str]]:
    """Run the trials, ``jobs`` at a time; yields what each was about and how it ended, as they end."""
    waiting = iter(trials)
    running: dict[int, tuple[Trial, ForkProcess, float]] = {}
    try:
        while True:
            while len(running) < jobs and (trial := next(waiting, None)):
                process = multiprocessing.get_context("fork").Process(target=_in_child, args=(trial.run,))
                process.start()
                running[process.sentinel] = trial, process, time.monotonic() + trial.limit
            if not running:
                return
            connection.wait(list(running), timeout=1.0)
            for sentinel, (trial, process, deadline) in list(running.items()):
                if process.exitcode is None and time.monotonic() < deadline:
                    continue
                outcome = _outcome(process)
                del running[sentinel]
                yield trial.about, outcome
    finally:
        for _, process, _ in running.values():
            process.kill()


def _outcome(process: ForkProcess) -> str:
    if process.exitcode is None:
        process.kill()
        process.join()
        return TIMED_OUT
    if process.exitcode == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise RuntimeError("a trial found none of its tests")
    return {0: SURVIVED, -signal.SIGXCPU: TIMED_OUT}.get(process.exitcode, KILLED)


def _in_child(run: Callable[[], int]) -> None:
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    # An array that a mutant made a million times larger must not take the machine's memory, nor an end leave a core.
    resource.setrlimit(resource.RLIMIT_DATA, (8 * GIBIBYTE, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os._exit(run())


def run_tests(tests: Mapping[str, float], mutant: Mutant | None, folder: Path) -> int:
    """Run these tests, whose times are known, the quickest first; the exit status of pytest."""
    if not tests:
        return 0
    if mutant is not None:
        sys.meta_path.insert(0, _MutantFinder(mutant))
    files = sorted({name.partition("::")[0] for name in tests})
    return pytest.main([*PYTEST, f"--basetemp={folder}", *files], plugins=[_Chosen(tests)])


class _MutantFinder(importlib.abc.MetaPathFinder):
    """Gives the mutant's source in place of the file's, to the import of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self.name = mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self.mutant = mutant

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target) if fullname == self.name else None
        if spec is not None and spec.origin == str(ROOT / self.mutant.file):
            spec.loader = _MutantLoader(fullname, spec.origin, self.mutant.source)
        return spec


class _MutantLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, source: str) -> None:
        super().__init__(fullname, path)
        self.source = source

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002, the import system passes it
        return compile(self.source, self.path, "exec", dont_inherit=True)


class _Chosen:
    """A plugin of pytest: only these tests, the quickest first, each with a limit to its processor time."""

    def __init__(self, tests: Mapping[str, float]) -> None:
        self.tests = tests

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self.tests), key=lambda i: self.tests[i.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        limit = time.process_time() + 10 * self.tests[item.nodeid] + 10
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit), resource.RLIM_INFINITY))
        return (yield)
