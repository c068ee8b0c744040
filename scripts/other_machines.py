"""Run the numerical tests as they would run on other machines, and show that they did.

A setting makes NumPy, OpenBLAS, MKL, oneDNN, torch or hypothesis behave as elsewhere: older kernels, no vector
instructions, more threads, subnormals flushed, other versions. Every process that runs tests says what is in force
before its first and after its last one; a setting that is not, because this processor or its libraries do not have it,
is said so and proves nothing. Without torch, its part of a setting is left out. Exits with 0 if all tests passed under
every setting that is in force, with 1 if one failed, with 2 if nothing could be tried.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from numpy_nn.commands.command_line import Parser, positive
from scripts.machines import settings, versions
from scripts.machines.settings import Setting
from scripts.machines.witness import FOLDER, Facts

ROOT = Path(__file__).resolve().parent.parent
# What does not hang on the processor: what files and commands say, how anybody's code is called.
ASIDE = ("project", "scripts", "commands", "exercises", "lessons", "subjects", "support")
# And what hangs on it little: in which words a wrong gradient is explained, on which device a tensor lies.
LITTLE = (
    *(f"gradcheck/test_{name}.py" for name in ("causes", "hypotheses", "diagnosis", "thresholds", "penalties", "page")),
    *("torch_ref/test_fake_cuda.py", "torch_ref/test_foreign_parity.py", "data"),
)
TESTS = [
    path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "tests").iterdir())
    if path.name not in ASIDE and (path.name.startswith("test_") or any(path.glob("test_*.py")))
]
NUMERICAL = ("-m", "not slow or numerical")
QUICK = ("-m", "not slow", *(f"--ignore=tests/{path}" for path in LITTLE))
# What a user, or the machine, may have set: none of it is part of a setting.
OURS = re.compile(r"OPENBLAS_|OMP_|MKL_|ONEDNN_|ATEN_|NPY_|VECLIB_|HYPOTHESIS_|FLUSH_SUBNORMALS|PYTEST_")


@dataclass(frozen=True)
class Row:
    """What came of a setting: the evidence, or why it is not in force; the tests; the seconds."""

    setting: Setting
    said: str
    in_force: bool
    passed: int = 0
    failed: tuple[str, ...] = ()
    seconds: float = 0.0


class NotRun(Exception):
    """Processes that ended without having told what is in force; the message says how."""


class Runner:
    """Runs pytest under settings, and keeps its output in a folder."""

    def __init__(self, tests: Sequence[str], workers: int, logs: Path) -> None:
        self.tests, self.workers, self.logs = tests, workers, logs
        logs.mkdir(parents=True, exist_ok=True)
        self.default = self.ask(Setting("none"), {})

    def ask(self, setting: Setting, environment: Mapping[str, str]) -> Facts:
        """What is in force in a process that runs no tests. NotRun if it says nothing."""
        with tempfile.TemporaryDirectory() as folder:
            options = ["--collect-only", "-q", "tests/support/test_atomic.py", *_seed(setting.options)]
            status = self._pytest(setting, environment, Path(folder), options, self.logs / "ask.log")
            told = _told(Path(folder))
        if status or not told:
            raise NotRun(f"{Path(setting.python).name} {_ended(status)}")
        return told[0]

    def run(self, setting: Setting) -> Row:
        """Run the tests under the setting, if it can be in force."""
        environment = setting.environment(self.default)
        try:
            facts = self.ask(setting, environment)
        except NotRun as error:
            return Row(setting, f"not here: {error}", in_force=False)
        if missing := setting.missing(facts):
            return Row(setting, f"not here: {'; '.join(missing)}", in_force=False)
        name = re.sub(r"\W+", "-", setting.name)
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder) / "results.xml"
            workers = ["-n", str(setting.workers or self.workers)]
            options = [*workers, "-q", f"--junitxml={results}", *(setting.options or NUMERICAL), *self.tests]
            status = self._pytest(setting, environment, Path(folder), options, self.logs / f"{name}.log")
            told = _told(Path(folder))
            passed, failed = _counts(results)
        seconds = time.perf_counter() - began
        if status > 1 or not passed:
            failed += (f"pytest {_ended(status)}, see {self.logs / name}.log",)
        # Each process tells twice, and all must have run under what was asked for.
        expected = 2 * (setting.workers or self.workers)
        if len(told) != expected or any(setting.missing(facts) for facts in told):
            failed += ("the processes that ran the tests did not say that it was in force to the end",)
        return Row(setting, setting.evidence(facts, self.default), True, passed, failed, seconds)

    def _pytest(
        self, setting: Setting, environment: Mapping[str, str], told: Path, options: Sequence[str], log: Path
    ) -> int:
        clean = {name: value for name, value in os.environ.items() if not OURS.match(name)}
        command = [setting.python, "-m", "pytest", "-p", "scripts.machines.witness", "-p", "no:cacheprovider"]
        with log.open("w", encoding="utf-8") as output:
            return subprocess.run(
                [*command, *options],
                cwd=ROOT,
                env=clean | dict(environment) | {FOLDER: str(told)},
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode


def _seed(options: Sequence[str]) -> list[str]:
    return [option for option in options if option.startswith("--hypothesis-seed")]


def _told(folder: Path) -> list[Facts]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def _counts(results: Path) -> tuple[int, tuple[str, ...]]:
    """How many tests passed, and which did not."""
    if not results.exists():
        return 0, ()
    passed, failed = 0, []
    for case in ElementTree.parse(results).iter("testcase"):
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif "skipped" not in outcomes:
            passed += 1
    return passed, tuple(failed)


def _ended(status: int) -> str:
    if status < 0:
        return f"was killed by signal {-status}" + " (an instruction that it does not have)" * (status == -4)
    return f"ended with status {status}"


def other_versions(args: argparse.Namespace, default: Facts) -> list[Setting]:
    """NumPy's oldest and newest version, and the Pythons that were asked for. VersionError if one cannot be made."""
    found = []
    if args.versions:
        for requirement in (f"numpy=={versions.oldest_numpy()}", "numpy"):
            folder = args.environments / re.sub(r"\W+", "-", requirement)
            python = versions.with_numpy(requirement, folder)
            number = versions.version_of("numpy", python)
            if number != default["numpy"]:
                found.append(settings.version("numpy", number, str(python)))
    for base in args.python:
        python = versions.with_python(base, args.environments / re.sub(r"\W+", "-", base).strip("-"))
        found.append(settings.version("python", versions.version_of("python", python), str(python)))
    return found


def chosen(args: argparse.Namespace, default: Facts) -> list[Setting]:
    """The settings that the options ask for."""
    if args.quick:
        found = [settings.seeded(replace(settings.OLD, options=QUICK), args.seeds[0], "quick")]
    else:
        found = [*settings.all_settings(args.seeds), *other_versions(args, default)]
        found = [setting for setting in found if not args.only or re.search(args.only, setting.name)]
    return [setting.for_installed(default) for setting in found]


def show(rows: Sequence[Row], console: Console, markdown: Path | None) -> None:
    """The table, at the terminal and as Markdown."""
    columns = ("setting", "in force", "passed", "failed", "seconds")
    table = Table(*columns, title="The tests as on other machines", title_justify="left")
    lines = [" | ".join(("", *columns, "")).strip(), "|---|---|---|---|---|"]
    for row in rows:
        numbers = [str(row.passed), str(len(row.failed)), f"{row.seconds:.0f}"] if row.in_force else ["", "", ""]
        cells = [row.setting.name, row.said, *numbers]
        table.add_row(*cells)
        lines.append(" | ".join(("", *cells, "")).strip())
    console.print(table)
    for row in rows:
        for name in row.failed:
            console.print(f"failed, {row.setting.name}: {name}", soft_wrap=True)
    if markdown is not None:
        markdown.parent.mkdir(parents=True, exist_ok=True)
        markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser("other_machines", __doc__)
    parser.add_argument("tests", nargs="*", help="what pytest is given to run, if not all that are about numbers")
    parser.add_argument("--quick", action="store_true", help="only the setting that tells most, in a minute or two")
    parser.add_argument("--only", metavar="PATTERN", help="only settings whose names match this regular expression")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="N", help="hypothesis's seeds")
    parser.add_argument("--workers", type=positive(int), default=2, metavar="N", help="processes that run tests")
    parser.add_argument("--versions", action="store_true", help="also NumPy's oldest and newest version (some 70 MB)")
    parser.add_argument("--python", nargs="+", default=[], metavar="PYTHON", help="also these (2 GB each)")
    runs = ROOT / "runs" / "machines"
    parser.add_argument("--environments", type=Path, default=runs / "environments", metavar="DIR", help="for versions")
    parser.add_argument("--logs", type=Path, default=runs, metavar="DIR", help="for the output of pytest")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments``; return the exit status."""
    args = parse(arguments)
    console = Console(highlight=False)
    rows: list[Row] = []
    try:
        runner = Runner(args.tests or TESTS, args.workers, args.logs)
        for setting in chosen(args, runner.default):
            console.print(f"{setting.name} ...", end="")
            rows.append(runner.run(setting))
            row = rows[-1]
            console.print(f" {row.passed} passed, {len(row.failed)} failed" if row.in_force else f" {row.said}")
    except (NotRun, OSError, versions.VersionError) as error:
        print(f"other_machines: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        console.print("\ninterrupted; what there is:")
        show(rows, console, args.markdown)
        return 130
    show(rows, console, args.markdown)
    if not any(row.in_force for row in rows):
        print("other_machines: no setting is in force here, nothing was tried", file=sys.stderr)
        return 2
    return 1 if any(row.failed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
