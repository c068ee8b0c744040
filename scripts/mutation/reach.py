"""Which tests reach which line of the core, and the time that each takes, measured once for a state of the sources.

Each file of tests runs without a change, under coverage.py, each test in a context of its own. What was measured is
kept in ``runs/mutants`` until that file, a module of this project or what the tests share changes.
"""

from __future__ import annotations

import hashlib
import json
import time
from bisect import bisect
from collections.abc import Generator, Iterable, Iterator
from functools import cache, partial
from itertools import accumulate
from pathlib import Path

import pytest
from coverage import Coverage

from scripts.mutation.mutants import CORE, ROOT, Mutant, statement_lines
from scripts.mutation.trials import PYTEST, Trial

KEPT = ROOT / "runs" / "mutants"

# What runs scripts, browsers and processes of its own reaches the core in passing only, and takes minutes.
# fmt: off
OTHER = {
    "bench_engines", "bench_timing", "benchmark", "blas_kernels", "conftest", "distortion_figure", "distributed",
    "fetch_mnist", "gradcheck_rivals", "import", "kill_and_resume", "lessons", "lessons_zh", "links", "machines",
    "mnist_bar", "mnist_options", "mnist_resume", "mutants", "other_machines", "readme", "scaling", "setup", "sweep",
    "torch_amp", "torch_augment", "torch_captured", "torch_data", "torch_training", "trace_backprop", "trace_page",
    "trace_page_access", "trace_page_arithmetic", "train_mnist", "tutorial", "without_torch",
}
# fmt: on
# The nearest tests of files, and of folders, for modules that have no file of tests by their own name and place.
NEAR = {
    "numpy_nn": "test_network",
    "numpy_nn/testing.py": "gradcheck/test_diagnosis",
    "numpy_nn/_support": "support/test_checks",
    "numpy_nn/layers": "layers/test_layers",
    "numpy_nn/activations": "activations/test_activations",
    "numpy_nn/losses": "losses/test_losses",
    **{f"numpy_nn/losses/{name}.py": "losses/test_label_losses" for name in ("labels", "nll", "cross_entropy")},
    **{f"numpy_nn/losses/{name}.py": "losses/test_real_losses" for name in ("l1", "huber", "bce")},
    "numpy_nn/optim": "optim/test_optimizers",
    "numpy_nn/training": "training/test_training",
    **{f"numpy_nn/training/{name}.py": "training/test_plan" for name in ("plan", "planned")},
    "numpy_nn/training/recording.py": "training/test_recording",
    "numpy_nn/data": "data/test_batches",
    "numpy_nn/owners": "owners/test_owned_training",
    "numpy_nn/gradcheck": "gradcheck/test_gradcheck",
    "numpy_nn/subjects": "subjects/test_recognise",
    "numpy_nn/subjects/source/roles.py": "subjects/test_names",
    "numpy_nn/gradcheck/__main__.py": "gradcheck/test_command",
    "numpy_nn/gradcheck/progress.py": "gradcheck/test_report",
    "numpy_nn/gradcheck/measure/slopes.py": "gradcheck/test_verdicts",
    "numpy_nn/gradcheck/explain/dense.py": "gradcheck/test_elementwise",
    **{f"numpy_nn/gradcheck/explain/{name}.py": "gradcheck/test_parts" for name in ("calls", "shapes")},
    "numpy_nn/gradcheck/explain/indices.py": "gradcheck/test_sequences",
    "numpy_nn/gradcheck/explain": "gradcheck/test_thresholds",
    "torch_ref/bounds": "torch_ref/test_bounds",
}

# Files of tests that look at defaults, which are made at import, without running a line.
SIGNATURES = ("tests/project/test_signatures.py", "tests/activations/test_defaults.py")

# At most how many seconds of tests a mutant has to pass at first, and then: of those that are near, and of the others.
FIRST, REST = 3.0, 60.0

TESTS = [
    path
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
    if path.stem.removeprefix("test_") not in OTHER and ROOT / "tests" / "commands" not in path.parents
]


def nearest(file: str) -> str:
    """The file of tests that is nearest to a module: its own, or that of :data:`NEAR`."""
    path = Path(file)
    room = file.removeprefix("numpy_nn/").split("/")[0].strip("_") if path.parent.name != "numpy_nn" else ""
    own = Path("tests", room, f"test_{path.stem}.py")
    if file in NEAR or not (ROOT / own).exists():
        known = (place.as_posix() for place in (path, *path.parents))
        own = Path("tests", f"{next(NEAR[place] for place in known if place in NEAR)}.py")
    return own.as_posix()


class Reach:
    """Which tests reach which line, from all that was measured, but for those that fail without a change, too."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self._lines: dict[str, dict[int, set[str]]] = {file: {} for file in CORE}
        for path in TESTS:
            kept = json.loads(_kept(path).read_text())
            failed = set(kept["failed"])
            self.seconds |= {test: seconds for test, seconds in kept["seconds"].items() if test not in failed}
            self.failed += sorted(failed)
            for file, lines in kept["lines"].items():
                for line, tests in lines.items():
                    self._lines[file].setdefault(int(line), set()).update(set(tests) - failed)

    def batches(self, mutant: Mutant) -> tuple[dict[str, float], dict[str, float]]:
        """The tests that reach the change, with their times: a few quick ones of those that are near, then others.

        Near are those in the file :func:`nearest` to the module. The quickest come first, and what would take more than
        a minute is left out, of the near ones and of the others each. What runs at import runs before any test, or in
        the one that happens to be the first: there the tests count that reach the module, and those that look at
        signatures; for a module in which nothing else runs, all tests.
        """
        lines = self._lines[mutant.file]
        found = set().union(*(lines.get(line, ()) for line in statement_lines(mutant)))
        files = [nearest(mutant.file)]
        if "" in found:
            found = set().union(*lines.values())
            if found == {""}:
                found = set(self.seconds)
            files += SIGNATURES
            found |= {test for test in self.seconds if test.partition("::")[0] in SIGNATURES}
        near = {test for test in found if test.partition("::")[0] in files}
        first = self._quickest(near, FIRST)
        return first, self._quickest(near - {*first}, REST) | self._quickest(found - {"", *near}, REST)

    def _quickest(self, tests: Iterable[str], limit: float) -> dict[str, float]:
        order = sorted(tests, key=lambda test: self.seconds[test])
        times = [self.seconds[test] for test in order]
        return dict(zip(order[: bisect(list(accumulate(times)), limit)], times, strict=False))


class Outcomes:
    """How mutants ended that were tried with these sources and tests: a run that was interrupted goes on from there."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or KEPT / f"outcomes.{_digest((*_shared(), *TESTS))[:16]}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        text = self.path.read_text(encoding="utf-8")
        # Where a write was cut short, the last line has no end.
        whole = text[: text.rfind("\n") + 1]
        self.path.write_text(whole, encoding="utf-8")
        self.known: dict[str, str] = dict(map(json.loads, whole.splitlines()))

    def kept(self, ends: Iterable[tuple[Mutant, str]]) -> Iterator[tuple[Mutant, str]]:
        """What is handed in, as soon as it is written down."""
        for mutant, outcome in ends:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([mutant.patch, outcome]) + "\n")
            yield mutant, outcome


def missing(folder: Path) -> Iterator[Trial]:
    """The measurements still to be made before :class:`Reach` knows all."""
    for path in TESTS:
        kept = _kept(path)
        if not kept.exists():
            for old in KEPT.glob(f"{_name(path)}.*.json"):
                old.unlink()
            yield Trial(partial(_measure, path, kept, folder / _name(path)), 3600.0, path.name)


def _kept(path: Path) -> Path:
    return KEPT / f"{_name(path)}.{_digest((*_shared(), path))[:16]}.json"


def _name(path: Path) -> str:
    """A name for a file of tests that one in another folder has not."""
    return "-".join(path.relative_to(ROOT / "tests").with_suffix("").parts)


@cache
def _shared() -> tuple[Path, ...]:
    found = (path for folder in ("numpy_nn", "torch_ref", "scripts", "tests") for path in (ROOT / folder).rglob("*.py"))
    aside = {*(ROOT / "scripts" / "mutation").iterdir(), ROOT / "scripts" / "mutants.py"}
    return (ROOT / "setup.cfg", *sorted(path for path in found if path not in aside and path.name[:5] != "test_"))


def _digest(paths: Iterable[Path]) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def _measure(path: Path, kept: Path, folder: Path) -> int:
    coverage = Coverage(data_file=None, config_file=False, include=[str(ROOT / file) for file in CORE])
    plugin = _Measuring(coverage)
    coverage.start()
    status = pytest.main([*PYTEST, "--maxfail=0", f"--basetemp={folder}", str(path)], plugins=[plugin])
    coverage.stop()
    data = coverage.get_data()
    lines = {file: data.contexts_by_lineno(str(ROOT / file)) for file in CORE}
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"seconds": plugin.seconds, "failed": plugin.failed, "lines": lines}))
    return int(status)


class _Measuring:
    """A plugin of pytest: a context of coverage.py for each test, the processor time it takes, and which fail."""

    def __init__(self, coverage: Coverage) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.coverage.switch_context(item.nodeid)
        start = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - start
        self.coverage.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)
