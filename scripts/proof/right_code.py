"""The parts of the proof that take right code to the checker: random networks, forms, few digits, styles."""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np
from rich.console import Console

from scripts.proof import trials
from scripts.proof.forms import FORMS
from scripts.proof.styles import STYLES
from scripts.proof.styles import WRONG as STYLES_WRONG
from scripts.proof.tables import COARSE_LIMIT, UNDECIDED_LIMIT, UNSEEN_LIMIT, few, print_counts, shown, table
from scripts.proof.trials import ALARM, CLOSE, CRASHED, FOUND, MISSED, RIGHT, UNDECIDED, UNSEEN, WRONG


def false_alarms(console: Console, args: argparse.Namespace) -> bool:
    """Random correct networks: every verdict right, or undecided with a reason."""
    start = time.perf_counter()
    tasks = [(args.seed, index) for index in range(args.networks)]
    verdicts: Counter[str] = Counter()
    reasons: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], int] = {}
    runs = trials.run(trials.check_network, tasks, args.jobs)
    for (_, index), outcome in zip(tasks, shown(runs, len(tasks), "random networks"), strict=True):
        verdict = outcome.of_right_code
        verdicts[verdict] += 1
        if verdict != RIGHT:
            for reason in set(outcome.reasons) or {"an entry is wrong"}:
                reasons[verdict, reason] += 1
                examples.setdefault((verdict, reason), index)
    title = f"No false alarm: {args.networks:,} random correct networks and their losses"
    made = table(console, title, "verdict", "networks", "share")
    for verdict in (RIGHT, UNSEEN, CLOSE, UNDECIDED, WRONG, CRASHED):
        made.add_row(verdict, f"{verdicts[verdict]:,}", f"{verdicts[verdict] / max(1, args.networks):.2%}")
    console.print(made)
    if reasons:
        console.print(f"network N is random_networks.random_network(np.random.default_rng(({args.seed}, N)))")
    for (verdict, reason), times in reasons.most_common():
        console.print(f"{verdict}, {times}, the first N = {examples[verdict, reason]}: {reason}", soft_wrap=True)
    console.print(f"{time.perf_counter() - start:.1f} s\n")
    clean = verdicts[CLOSE] + verdicts[WRONG] + verdicts[CRASHED] == 0
    few_unseen = few(verdicts[UNSEEN], UNSEEN_LIMIT, args.networks)
    return clean and few_unseen and few(verdicts[UNDECIDED], UNDECIDED_LIMIT, args.networks)


def forms(console: Console, args: argparse.Namespace) -> bool:
    """Right code in every form in which people write it: right, or undecided with a reason, as random networks are."""
    tasks = [(args.seed, index) for index in range(args.cases)]
    verdicts: dict[str, Counter[str]] = {name: Counter() for name in FORMS}
    total: dict[str, Counter[str]] = {}
    seconds, odd = [], []
    runs = trials.run(trials.check_form, tasks, args.jobs)
    for (_, index), run in zip(tasks, shown(runs, len(tasks), "forms"), strict=True):
        verdict = run.outcome.of_right_code
        verdicts[run.form][verdict] += 1
        total.setdefault(run.dtype, Counter())[verdict] += 1
        seconds.append(run.seconds)
        if verdict != RIGHT:
            odd.append(f"{verdict}, {run.form}, {run.dtype}, N = {index}: {'; '.join(run.outcome.reasons)}")
    kinds = (RIGHT, UNSEEN, CLOSE, UNDECIDED, WRONG, CRASHED)
    title = f"Right code in {len(FORMS)} forms: {args.cases:,} cases of random shapes, numbers and activations"
    made = table(console, title, "form", *kinds)
    place = f"case N is that of trials.check_form(({args.seed}, N))"
    print_counts(console, made, kinds, (verdicts, total), [place, *odd])
    console.print(f"{sum(seconds):.1f} s; the median {np.median(seconds):.3f} s, the longest {max(seconds):.2f} s\n")
    return all(
        counts[CLOSE] * (dtype == "float64") + counts[WRONG] + counts[CRASHED] == 0
        and few(counts[UNDECIDED], UNDECIDED_LIMIT if dtype == "float64" else COARSE_LIMIT, counts.total())
        and few(counts[UNSEEN], COARSE_LIMIT, counts.total())
        for dtype, counts in total.items()
    )


def saturated(console: Console, args: argparse.Namespace) -> bool:
    """Functions that compute in few digits: a right gradient is not called wrong, nor a doubled one right."""
    start, cases = time.perf_counter(), args.cases // 10 or 1
    tasks = [(args.seed, index, factor) for index in range(cases) for factor in (1.0, 2.0)]
    verdicts: dict[str, Counter[tuple[float, str]]] = {}
    odd = []
    runs = trials.run(trials.check_saturated, tasks, args.jobs)
    for (_, index, factor), (name, outcome) in zip(tasks, shown(runs, len(tasks), "saturated"), strict=True):
        verdicts.setdefault(name, Counter())[factor, outcome.verdict] += 1
        if outcome.verdict == CRASHED or outcome.verdict == (WRONG if factor == 1.0 else RIGHT):
            odd.append(f"{outcome.verdict}, {name}, times {factor:g}, N = {index}: {'; '.join(outcome.reasons)}")
    kinds = [(factor, kind) for factor in (1.0, 2.0) for kind in (RIGHT, CLOSE, UNDECIDED, WRONG, CRASHED)]
    title = f"Few digits where they saturate: {cases:,} right gradients, and the same doubled"
    made = table(console, title, "function", *(kind if factor == 1.0 else f"2: {kind}" for factor, kind in kinds))
    total = sum(verdicts.values(), Counter[tuple[float, str]]())
    place = f"case N is that of saturated.saturated({args.seed}, N, factor)"
    print_counts(console, made, kinds, (dict(sorted(verdicts.items())), {"all": total}), [place, *odd])
    console.print(f"{time.perf_counter() - start:.1f} s\n")
    crashed = total[1.0, CRASHED] + total[2.0, CRASHED]
    return total[1.0, WRONG] + crashed == 0 and few(total[2.0, RIGHT], UNDECIDED_LIMIT, cases)


def styles(console: Console, args: argparse.Namespace) -> bool:
    """A network in all ways of keeping, claiming and calling: right where it is, and wrong in one gradient alone."""
    start = time.perf_counter()
    every = len(STYLES) * len(STYLES_WRONG)
    chosen = np.random.default_rng(args.seed).permutation(every)[: args.cases]
    tasks = [(args.seed, *divmod(int(number), len(STYLES_WRONG))) for number in chosen]
    verdicts: dict[str, Counter[str]] = {}
    odd = []
    runs = trials.run(trials.check_style, tasks, args.jobs)
    for (_, index, place), outcome in zip(tasks, shown(runs, len(tasks), "styles"), strict=True):
        wrong = STYLES_WRONG[place][0]
        came = trials.style_came_out(outcome, bool(wrong))
        verdicts.setdefault(str(STYLES[index].passes), Counter())[came] += 1
        if came not in (RIGHT, FOUND):
            odd.append(f"{came}, {STYLES[index]}; wrong: {wrong or 'none'}: {'; '.join(outcome.reasons)}")
    kinds = (RIGHT, FOUND, UNDECIDED, MISSED, ALARM, CRASHED)
    title = (
        f"One network in {len(STYLES):,} styles, right and with one gradient wrong: {len(tasks):,} of {every:,} cases"
    )
    made = table(console, title, "passes", *kinds)
    total = sum(verdicts.values(), Counter[str]())
    print_counts(console, made, kinds, (dict(sorted(verdicts.items())), {"all": total}), odd)
    console.print(f"{time.perf_counter() - start:.1f} s\n")
    return total[MISSED] + total[ALARM] + total[CRASHED] == 0 and few(total[UNDECIDED], UNDECIDED_LIMIT, len(tasks))
