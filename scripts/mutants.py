"""Change the numerical core in small ways, one at a time, and see whether the tests notice.

Takes a random sample of the changes by default. Prints those that no test noticed, as patches, and a table by file.
What was tried is kept in runs/mutants until a source or a test changes: a run that was interrupted goes on.
Changes that make no difference to anybody are listed in tests/equivalent_mutants.toml with the reason, and not tried.
Exits with 1 if fewer than 95% of the others were noticed, or if one that is listed there cannot be made any more.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from numpy_nn.commands.command_line import Parser, in_a_line, number
from numpy_nn.commands.machine.processors import usable_cores
from scripts.mutation.mutants import CORE, ROOT, Mutant, mutants_of
from scripts.mutation.reach import Outcomes, Reach, missing
from scripts.mutation.trials import KILLED, SURVIVED, TIMED_OUT, Trial, import_libraries, results, run_tests

# Modules whose tests are left out where this is not installed: no mutant of theirs would be noticed.
OPTIONAL = {"numpy_nn/subjects/libraries/jax_functions.py": "jax"}
LISTED = ROOT / "tests" / "equivalent_mutants.toml"
GOAL = 0.95
# So many are tried out to the end before the next, so that what is known of them is not lost with the rest.
AT_A_TIME = 20

Item = TypeVar("Item")


def listed() -> dict[str, str]:
    """The mutants that make no difference to anybody: their patches, and the reason for each."""
    entries = tomllib.loads(LISTED.read_text(encoding="utf-8"))["equivalent"]
    return {patch.strip(): entry["reason"] for entry in entries for patch in entry["mutants"]}


def testable(files: Sequence[str]) -> list[str]:
    """The files that have tests here; says which are left out, and for the want of what."""
    lacking = {file: name for file, name in OPTIONAL.items() if file in files and find_spec(name) is None}
    for file, name in lacking.items():
        print(f"mutants: {file} is left out: {name}, which its tests need, is not installed", file=sys.stderr)
    return [file for file in files if file not in lacking]


def measure(jobs: int, folder: Path) -> Reach:
    """Which tests reach which line, measured where that is not known."""
    trials = list(missing(folder))
    if trials:
        print(f"first {len(trials)} files of tests without a change: which lines each test reaches", flush=True)
    for _ in shown(results(trials, jobs), len(trials), "files of tests"):
        pass
    return Reach()


def try_out(mutants: Sequence[Mutant], reach: Reach, jobs: int, folder: Path) -> Iterator[tuple[Mutant, str]]:
    """How each mutant ended: after a few tests that are near, or, where none of those noticed it, after all others."""
    for start in range(0, len(mutants), AT_A_TIME):
        yield from _try_out(mutants[start : start + AT_A_TIME], reach, jobs, folder)


def _try_out(mutants: Sequence[Mutant], reach: Reach, jobs: int, folder: Path) -> Iterator[tuple[Mutant, str]]:
    left = {mutant: reach.batches(mutant) for mutant in mutants}
    for part in (0, 1):
        trials = []
        for index, (mutant, batches) in enumerate(left.items()):
            run = partial(run_tests, batches[part], mutant, folder / f"{part}-{index}")
            # By the clock on the wall only what waits is ended: a test that takes long has a limit to its own time.
            trials.append(Trial(run, 600 + 100 * sum(batches[part].values()), mutant))
        for mutant, outcome in results(trials, jobs):
            if part == 1 or outcome != SURVIVED:
                del left[mutant]
                yield mutant, outcome


def shown(items: Iterable[Item], total: int, title: str) -> Iterator[Item]:
    """The items, with a progress bar at a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        yield from progress.track(items, total, description=title)


def share(counts: Counter[str]) -> float:
    """The part of the mutants that were tried which the tests noticed."""
    return 1 - counts[SURVIVED] / counts.total() if counts else 1.0


def table(mutants: Sequence[Mutant], equivalent: Sequence[Mutant], tried: dict[str, Counter[str]]) -> Table:
    """By file: how many mutants there are, how many of them are listed, and how those that were tried ended."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("file", "mutants", "listed", "tried", KILLED, TIMED_OUT, SURVIVED, "share"):
        made.add_column(column, justify="left" if column == "file" else "right", no_wrap=True)
    all_of, listed_of = (Counter(mutant.file for mutant in some) for some in (mutants, equivalent))
    rows = [(file, all_of[file], listed_of[file], tried[file]) for file in sorted(all_of)]
    rows.append(("all", len(mutants), len(equivalent), sum(tried.values(), Counter())))
    for file, total, left_out, counts in rows:
        if file == "all":
            made.add_section()
        ends = [str(counts[outcome] or "") for outcome in (KILLED, TIMED_OUT, SURVIVED)]
        noticed = f"{share(counts):.1%}" if counts else ""
        made.add_row(file, str(total), str(left_out or ""), str(counts.total() or ""), *ends, noticed)
    return made


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser("mutants", __doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="of the core; all of them if none is named")
    parser.add_argument("--sample", type=number(int, 0), default=200, metavar="N", help="mutants to try, 0 for all")
    parser.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="of the sample")
    parser.add_argument("--jobs", type=number(int, 1), default=usable_cores(), metavar="N", help="processes at a time")
    parser.add_argument("--listed", action="store_true", help="try those that are listed: none should be noticed")
    args = parser.parse_args(arguments)
    for file in args.files:
        if file not in CORE:
            parser.error(f"{file} is not of the core: numpy_nn, and bounds, parity, rounding and twin of torch_ref")
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    args = parse(arguments)
    if not hasattr(os, "fork"):
        print("mutants: needs a system that can fork a process: Linux or macOS", file=sys.stderr)
        return 2
    os.chdir(ROOT)
    try:
        import_libraries()
        outcomes = Outcomes()  # before hours have gone into what could not be written down
    except ModuleNotFoundError as error:
        print(f"mutants: {error.name} is not installed, and half of the tests compare with it", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"mutants: {in_a_line(error)}", file=sys.stderr)
        return 2
    reasons = listed()
    files = testable(args.files or CORE)
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    equivalent = [mutant for mutant in mutants if mutant.patch in reasons]
    here = {patch for patch in reasons if patch.split()[0] in files}
    gone = here - {mutant.patch for mutant in equivalent}
    chosen = equivalent if args.listed else [mutant for mutant in mutants if mutant.patch not in reasons]
    if 0 < args.sample < len(chosen):
        chosen = random.Random(args.seed).sample(chosen, args.sample)
    tried: dict[str, Counter[str]] = {mutant.file: Counter() for mutant in mutants}
    try:
        with tempfile.TemporaryDirectory() as folder:
            reach = measure(args.jobs, Path(folder))
            if reach.failed:
                print(f"mutants: left out, failing without a change, too: {', '.join(reach.failed)}", file=sys.stderr)
            before = [(mutant, outcomes.known[mutant.patch]) for mutant in chosen if mutant.patch in outcomes.known]
            left = [mutant for mutant in chosen if mutant.patch not in outcomes.known]
            ends = chain(before, outcomes.kept(try_out(left, reach, args.jobs, Path(folder))))
            for mutant, outcome in shown(ends, len(chosen), "mutants"):
                tried[mutant.file][outcome] += 1
                if (outcome == SURVIVED) != args.listed:
                    print(f"{outcome}, line {mutant.line}:\n{mutant.patch}\n", flush=True)
    except KeyboardInterrupt:
        print("mutants: interrupted", file=sys.stderr)
    Console(width=None if sys.stdout.isatty() else 140).print(table(mutants, equivalent, tried))
    for patch in sorted(gone):
        print(f"\nlisted, but not a mutant (any more):\n{patch}")
    counts = sum(tried.values(), Counter())
    if counts.total() < len(chosen):
        return 130
    if args.listed:
        return 1 if gone or counts[SURVIVED] < len(chosen) else 0
    return 1 if gone or share(counts) < GOAL else 0


if __name__ == "__main__":
    sys.exit(main())
