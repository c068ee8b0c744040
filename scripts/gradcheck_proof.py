"""Prove the gradient checker: no false alarm, nothing missed, the cause named; beside other checkers; how fast.

Part by part: random correct networks of numpy_nn, each with a loss (false-alarms); right code in the forms in which
people write it, with random shapes, numbers and activations, in float64 and with float32 inside (forms); functions of
few digits at inputs that saturate, right and with the gradient doubled (saturated); one network in all ways in which
people keep its parameters and gradients and call it, right and with one gradient wrong (styles); the bank of planted
bugs, found or missed (bank), and the causes that were named for them (diagnosis); the same bank and right gradients
through other checkers at their default settings (comparison); every parameter of a 784-64-10 network (speed). torch's
and JAX's checkers are left out where these are not installed. Exits with 1 unless

- false-alarms, forms, comparison: no right gradient was called wrong, or, in float64, close only, and at most 0.5% of
  the cases, or one, left undecided, 5% of those with float32 inside; and of at most 5%, 15% of networks, was it said
  that nothing depends on an array, as on the score of a single class;
- saturated: no right gradient was called wrong, and at most 0.5% of the doubled ones, or one, right;
- styles: each verdict was that of the gradient meant, none of another, and at most 0.5%, or one, undecided;
- bank, comparison: every bug was found; bank: no right entry or layer beside them was called anything but right; with
  float32 inside a bug that is smaller than the digits that were told may hide, and 5% of the rest be undecided;
- diagnosis: no wrong cause was named with confidence; the right one came first in 90% of the runs, with confidence in
  80%, and for each cause by itself in 90% or in all but one, where the bank says that it is known;
- speed: the network's gradients were called right.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Console
from threadpoolctl import threadpool_limits

from numpy_nn.commands.command_line import Parser, number
from scripts.proof import speed as gradcheck_speed
from scripts.proof import trials as gradcheck_trials
from scripts.proof.kinks import kinks
from scripts.proof.planted_bugs import CORRECT, OTHER, PLANTED, VARIANTS, PlantedBug
from scripts.proof.right_code import false_alarms, forms, saturated, styles
from scripts.proof.rivals import HAS_AUTOGRAD, HAS_JAX, HAS_TORCH, lines_of_set_up
from scripts.proof.tables import COARSE_LIMIT, UNDECIDED_LIMIT, few, shown, table
from scripts.proof.trials import CLOSE, KINDS, OURS, RIGHT, UNDECIDED, WRONG, Outcome, is_found, is_hidden

PARTS = ("false-alarms", "forms", "saturated", "styles", "bank", "diagnosis", "comparison", "speed")
RIGHT_FIRST_LIMIT, CONFIDENT_LIMIT, MISSED_LIMIT = 0.9, 0.8, 0.1

BANK_KINDS = ("found", "hidden", UNDECIDED, "missed", "alarms")


def bank_outcomes(args: argparse.Namespace) -> list[list[Outcome]]:
    """For every bug its outcomes."""
    tasks = [
        (index, args.seed, repeat, args.variant) for index in range(len(PLANTED)) for repeat in range(args.repeats)
    ]
    runs = gradcheck_trials.run(gradcheck_trials.check_bug, tasks, args.jobs)
    outcomes = list(shown(runs, len(tasks), "planted bugs"))
    return [outcomes[start : start + args.repeats] for start in range(0, len(outcomes), args.repeats)]


def found_as(bug: PlantedBug, run: Outcome) -> Iterator[tuple[str, bool]]:
    """What may have become of a bug, and whether it has, the best first."""
    yield "found", is_found(bug, run)
    yield "hidden", is_hidden(bug, run)
    yield UNDECIDED, run.verdict == UNDECIDED
    yield "missed", True


def bank(console: Console, args: argparse.Namespace, outcomes: list[list[Outcome]]) -> bool:
    """Every bug found or missed, and the right layers and losses as controls."""
    start = time.perf_counter()
    title = f"Nothing missed: {len(PLANTED)} planted bugs, each on {args.repeats} random shapes and data"
    made = table(console, title, "bug", "cause", "found", "hidden", "undecided", "missed", "right entries called wrong")
    totals: Counter[str] = Counter()
    for bug, runs in zip(PLANTED, outcomes, strict=True):
        counts = Counter(next(kind for kind, holds in found_as(bug, run) if holds) for run in runs)
        counts["alarms"] = sum(v == WRONG and name not in bug.wrong for run in runs for name, v in run.entries.items())
        totals += counts
        made.add_row(bug.name, bug.cause, *(str(counts[k] or "") for k in BANK_KINDS))
    made.add_section()
    made.add_row("all", "", *(str(totals[kind]) for kind in BANK_KINDS))
    console.print(made)
    tasks = [
        (index, args.seed, repeat, args.variant) for index in range(len(CORRECT)) for repeat in range(args.repeats)
    ]
    controls = Counter(run.verdict for run in gradcheck_trials.run(gradcheck_trials.check_control, tasks, args.jobs))
    said = ", ".join(f"{times} {verdict}" for verdict, times in controls.items())
    console.print(f"{len(CORRECT)} right layers and losses as often: {said}")
    console.print(f"{time.perf_counter() - start + args.bank_seconds:.1f} s\n")
    if totals["alarms"] or totals["missed"]:
        return False
    if args.variant == "float64":
        return totals["found"] == len(PLANTED) * args.repeats and set(controls) <= {RIGHT}
    undecided = totals[UNDECIDED] + controls[UNDECIDED]
    return set(controls) <= {RIGHT, CLOSE, UNDECIDED} and few(
        undecided, COARSE_LIMIT, totals.total() + controls.total()
    )


def diagnosis(console: Console, args: argparse.Namespace, outcomes: list[list[Outcome]]) -> bool:
    """Cause by cause, what was named first: the confusion table, without its empty cells."""
    title = f"The diagnosis: the cause that is named first, {args.repeats} times for each bug"
    kinds = {
        "runs": "runs",
        "first": "right first",
        "sure": "with confidence",
        "others": "among the others",
        "unknown": "not known",
        "confident": "confident and wrong",
    }
    made = table(console, title, "cause", *kinds.values(), "named instead")
    made.columns[-1].justify = "left"
    rows: dict[str, Counter[str]] = {}
    instead: dict[str, Counter[str]] = {}
    for bug, runs in zip(PLANTED, outcomes, strict=True):
        row, others = rows.setdefault(bug.cause, Counter()), instead.setdefault(bug.cause, Counter())
        true = {bug.cause, *bug.also}
        for run in runs:
            if run.verdict == CLOSE or (not run.diagnoses and is_hidden(bug, run)):
                continue  # it agrees to five digits or more, or to all that float32 has: there is no cause to name
            row["runs"] += 1
            row["confident"] += any(
                found.confident and found.cause not in true
                for name, found in run.diagnoses.items()
                if name in bug.wrong
            )
            first = run.diagnoses.get(bug.wrong[0])
            if first is not None and first.cause in true:
                row["first"] += 1
                row["sure"] += first.confident
            else:
                row["others"] += first is not None and not true.isdisjoint(first.alternatives)
                row["unknown"] += not bug.known
                others[first.cause if first is not None else run.verdict] += 1
    named = sum((counts for cause, counts in rows.items() if cause != OTHER), Counter[str]())
    for cause, counts in sorted(rows.items(), key=lambda item: (item[0] == OTHER, item[0])):
        cells = [str(counts["runs"]), *(str(counts[key] or "") for key in list(kinds)[1:])]
        made.add_row(cause, *cells, ", ".join(f"{name} {times}" for name, times in instead[cause].most_common()))
    made.add_section()
    wrong = sum(counts["confident"] for counts in rows.values())
    made.add_row(f"all but {OTHER}", *(str(named[key]) for key in kinds), "")
    console.print(made)
    share, sure = (named[key] / max(1, named["runs"]) for key in ("first", "sure"))
    console.print(
        f"right first: {share:.1%}, with confidence: {sure:.1%}; "
        f"confident and wrong: {wrong} of {sum(r['runs'] for r in rows.values())}"
    )
    missed = {cause: counts["runs"] - counts["first"] - counts["unknown"] for cause, counts in rows.items()}
    often = [c for c, n in missed.items() if c != OTHER and not few(n, MISSED_LIMIT, rows[c]["runs"])]
    if often:
        console.print(f"missed more than once, and too often: {', '.join(sorted(often))}", soft_wrap=True)
    console.print()
    return wrong == 0 and share >= RIGHT_FIRST_LIMIT and sure >= CONFIDENT_LIMIT and not often


def set_up(checker: str) -> str:
    """How many lines had to be written for it; none for ours, and a recipe is all its own code."""
    return "0" if checker == OURS else "" if "recipe" in checker else str(lines_of_set_up(checker))


def comparison(console: Console, args: argparse.Namespace) -> bool:
    """The same bank and the same right gradients through the other checkers; whether ours made no mistake."""
    networks = args.networks // 50
    bugs, points = (
        len(PLANTED) * args.repeats,
        (len(CORRECT) + len(list(kinks(np.random.default_rng(0))))) * args.repeats,
    )
    scores: dict[str, gradcheck_trials.Score] = {}
    runs = gradcheck_trials.compare(args.seed, args.repeats, networks)
    for latest in shown(runs, bugs + points + networks, "beside the others"):
        scores = latest
    title = f"Beside the others, at their default settings: {bugs:,} wrong gradients, and right ones"
    made = table(
        console,
        title,
        "checker",
        "found",
        "undecided",
        "missed",
        *(f"false alarms {kind}" for kind in KINDS),
        "seconds",
        "set-up",
    )
    for checker, score in scores.items():
        cells = []
        for kind in KINDS:
            unsettled = f" ({score.unsettled[kind]} undecided)" if score.unsettled.get(kind) else ""
            cells.append(f"{score.alarms.get(kind, 0)} of {score.cases.get(kind, 0)}{unsettled}")
        missed = sum(score.missed.values())
        made.add_row(
            checker,
            str(score.found),
            str(score.undecided),
            str(missed),
            *cells,
            f"{score.seconds:.1f}",
            set_up(checker),
        )
    console.print(made)
    for checker, score in scores.items():
        if score.missed:
            names = ", ".join(f"{name} {times}" for name, times in sorted(score.missed.items(), key=lambda i: -i[1]))
            console.print(f"missed by {checker}, of {args.repeats} each: {names}", soft_wrap=True)
    called = "torch is called; " * HAS_TORCH + "JAX is called; " * HAS_JAX + "autograd is called; " * HAS_AUTOGRAD
    console.print(f"{called}the recipes of HIPS autograd and of CS231n are stated anew from their sources")
    console.print("set-up: lines of code that had to be written around the same layers and losses; recipes are code\n")
    ours = scores[OURS]
    decided = few(sum(ours.unsettled.values()), UNDECIDED_LIMIT, points + networks)
    return ours.found == bugs and not any(ours.alarms.values()) and decided


def speed(console: Console, args: argparse.Namespace) -> bool:
    """Every parameter and the input of a 784-64-10 network; whether ours called them right."""
    measured = gradcheck_speed.compare(args.rounds, args.seed)
    sizes = "-".join(map(str, gradcheck_speed.SIZES))
    title = f"Every parameter of {sizes}, batch {gradcheck_speed.BATCH}, float64: medians of {args.rounds} rounds"
    made = table(console, title, "checker", "seconds", "times ours", "peak memory grows by", "verdict")
    for checker, m in measured.items():
        times = f"{m.seconds / measured[OURS].seconds:.2f}"
        made.add_row(checker, f"{m.seconds:.2f}", times, f"{m.mebibytes:.0f} MiB", RIGHT if m.right else "not right")
    console.print(made)
    console.print()
    return measured[OURS].right


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser("gradcheck_proof", __doc__)
    parser.add_argument("--part", choices=(*PARTS, "all"), default="all", help="what to run")
    parser.add_argument("--networks", type=number(int, 1), default=10_000, metavar="N", help="random correct networks")
    parser.add_argument(
        "--cases", type=number(int, 1), default=5_000, metavar="N", help="of forms and of styles; a tenth saturates"
    )
    parser.add_argument("--repeats", type=number(int, 1), default=20, metavar="N", help="draws of each bug")
    parser.add_argument("--rounds", type=number(int, 1), default=3, metavar="N", help="of the measurement of speed")
    parser.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="of everything random")
    parser.add_argument("--variant", choices=tuple(VARIANTS), default="float64", help="of the bank: its numbers inside")
    parser.add_argument(
        "--jobs", type=number(int, 1), default=1, metavar="N", help="processes; speed takes one at a time"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    args = parse(arguments)
    parts = PARTS if args.part == "all" else (args.part,)
    console = Console(width=None if sys.stdout.isatty() else 140)
    passed = []
    if not HAS_TORCH and {"comparison", "speed"}.intersection(parts):
        console.print("torch is not installed: its checkers are left out")
    try:
        # Matrices of a few rows are multiplied fastest by one thread; the part on speed sets its own.
        with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if "false-alarms" in parts:
                passed.append(false_alarms(console, args))
            if "forms" in parts:
                passed.append(forms(console, args))
            if "saturated" in parts:
                passed.append(saturated(console, args))
            if "styles" in parts:
                passed.append(styles(console, args))
            if "bank" in parts or "diagnosis" in parts:
                start = time.perf_counter()
                outcomes = bank_outcomes(args)
                args.bank_seconds = time.perf_counter() - start
                if "bank" in parts:
                    passed.append(bank(console, args, outcomes))
                if "diagnosis" in parts:
                    passed.append(diagnosis(console, args, outcomes))
            if "comparison" in parts:
                passed.append(comparison(console, args))
            if "speed" in parts:
                passed.append(speed(console, args))
    except KeyboardInterrupt:
        print("gradcheck_proof: interrupted", file=sys.stderr)
        return 130
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
