"""The runs behind ``gradcheck_proof``: the checker on random networks, on the bank, and beside the others."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from numpy_nn.commands.parity.random_networks import random_network
from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure.kinds import Reason
from scripts.proof.forms import FORMS, Draws
from scripts.proof.gradient_cases import GradientCase
from scripts.proof.kinks import kinks
from scripts.proof.planted_bugs import CORRECT, PLANTED, VARIANTS, Case, PlantedBug
from scripts.proof.rivals import RIVALS
from scripts.proof.saturated import saturated
from scripts.proof.styles import STYLES
from scripts.proof.styles import WRONG as STYLES_WRONG

RIGHT, CLOSE, WRONG, UNDECIDED, CRASHED = "right", "close", "wrong", "undecided", "crashed"
UNSEEN = "unseen"
"""Undecided, and rightly: nothing depends on the array, as on the score of a single class."""
# What comes of one wrong gradient among right ones: it is called wrong, and it alone; it is called right; another is
# called wrong, or close.
FOUND, MISSED, ALARM = "found", "missed", "false alarms"

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Named:
    """A diagnosis."""

    cause: str
    confident: bool
    alternatives: tuple[str, ...]


@dataclass
class Outcome:
    """What the checker said of one target: its verdict, that on each entry, reasons, and diagnoses by entry.

    ``coarse`` are the entries of which it was said that no more than a few digits could be told; ``unseen`` says that
    nothing was undecided but arrays on which the output was never seen to depend.
    """

    verdict: str
    entries: dict[str, str] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    diagnoses: dict[str, Named] = field(default_factory=dict)
    coarse: set[str] = field(default_factory=set)
    unseen: bool = False

    @property
    def of_right_code(self) -> str:
        """The verdict, where the code is right."""
        return UNSEEN if self.unseen else self.verdict


def check(target: Any, x: Any = None, targets: NDArray[Any] | None = None, /, **named: Any) -> Outcome:
    """Run the checker; what it raises is an outcome too, since these targets are all in order but for a gradient."""
    try:
        report = check_gradients(target, x, targets, **named)
    except Exception as error:
        return Outcome(CRASHED, reasons=[f"{type(error).__name__}: {error}"])
    outcome = Outcome(report.verdict, reasons=list(report.problems))
    for entry in report.entries:
        # The checker calls what is differentiated by the name of its argument, and a parameter by its path; the bank
        # calls the one input, and the other by its key in params.
        name = "input" if entry.name == report.input else re.sub(r"^params\['(.+)'\]$", r"\1", entry.name)
        outcome.entries[name] = entry.verdict
        if entry.verdict == RIGHT and entry.digits is not None:
            outcome.coarse.add(name)
        if entry.verdict in (CLOSE, UNDECIDED):
            outcome.reasons.append(entry.reason)
        if (found := entry.diagnosis) is not None:
            outcome.diagnoses[name] = Named(found.cause, found.confident, tuple(found.alternatives))
    undecided = [entry.reason for entry in report.entries if entry.verdict == UNDECIDED]
    outcome.unseen = bool(undecided) and not report.problems and set(undecided) == {str(Reason.UNSEEN)}
    return outcome


@dataclass
class FormOutcome:
    """What the checker said of right code in some form, and in how many seconds."""

    form: str
    dtype: str
    outcome: Outcome
    seconds: float


def check_form(task: tuple[int, int]) -> FormOutcome:
    """Right code in one of the forms, all in turn, with random shapes and numbers; every other round in float32."""
    round_, index = divmod(task[1], len(FORMS))
    name, dtype = list(FORMS)[index], ("float64", "float32")[round_ % 2]
    arguments, named, _ = FORMS[name](Draws(np.random.default_rng(task), dtype), 1.0)
    start = time.perf_counter()
    outcome = check(*arguments, **named)
    return FormOutcome(name, dtype, outcome, time.perf_counter() - start)


def check_network(task: tuple[int, int]) -> Outcome:
    """The random network of a seed and an index, and its loss: the worse outcome of the two."""
    network = random_network(np.random.default_rng(task))
    outcomes = check(network.net, network.x), check(network.loss, network.output, network.targets)
    severity = (RIGHT, UNSEEN, CLOSE, UNDECIDED, WRONG, CRASHED)
    worst = max(outcomes, key=lambda outcome: severity.index(outcome.of_right_code))
    # Numbers and names of layers differ from network to network; the kind of reason is what is counted.
    worst.reasons = [re.sub(r"\d[\d.,e+-]*", "#", reason.rsplit("): ", 1)[-1]) for reason in worst.reasons]
    return worst


def check_saturated(task: tuple[int, int, float]) -> tuple[str, Outcome]:
    """A function of few digits where it saturates, and its gradient times a factor."""
    name, pair, x = saturated(*task)
    return name, check(pair, x)


def check_style(task: tuple[int, int, int]) -> Outcome:
    """The style of that index, with that place in ``styles.WRONG``."""
    _, index, place = task
    return check(*STYLES[index].make(np.random.default_rng(task), *STYLES_WRONG[place]))


def style_came_out(outcome: Outcome, wrong: bool) -> str:
    """Whether a network was called right, or wrong in one gradient if it is; else what instead."""
    called = [verdict for verdict in outcome.entries.values() if verdict in (WRONG, CLOSE)]
    if outcome.verdict in (CRASHED, UNDECIDED):
        return outcome.verdict
    if not wrong:
        return ALARM if called else RIGHT
    return (MISSED, FOUND, ALARM)[min(2, len(called))]


def case(make: Callable[[np.random.Generator], Case], seed: int, repeat: int) -> Case:
    """The same case whenever it is asked for, since a check may leave its mark on the target."""
    return make(np.random.default_rng((seed, repeat)))


def check_bug(task: tuple[int, int, int, str]) -> Outcome:
    """The bug of that index in the bank, with the shapes and data of a seed and a repeat, as one of the variants."""
    index, seed, repeat, variant = task
    return check(*VARIANTS[variant](case(PLANTED[index].make, seed, repeat)))


def check_control(task: tuple[int, int, int, str]) -> Outcome:
    """The right layer or loss of that index."""
    index, seed, repeat, variant = task
    return check(*VARIANTS[variant](case(CORRECT[index][1], seed, repeat)))


def run(function: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Iterator[Result]:
    """``function`` of each task, in order, in this process or in several."""
    if jobs == 1:
        yield from map(function, tasks)
        return
    with ProcessPoolExecutor(jobs, initializer=_quiet_worker) as pool:
        yield from pool.map(function, tasks, chunksize=max(1, min(25, len(tasks) // (4 * jobs))))


def _quiet_worker() -> None:
    """One thread each, and no warnings of an overflow that a check looks for on purpose."""
    threadpool_limits(1)
    warnings.simplefilter("ignore")


def is_found(bug: PlantedBug, outcome: Outcome) -> bool:
    """Whether every entry that is wrong is called so; or close, with the digits that agree, where it is off by 1e-6."""
    return all(outcome.entries.get(name) in (WRONG, CLOSE) for name in bug.wrong)


def is_hidden(bug: PlantedBug, outcome: Outcome) -> bool:
    """Whether what is wrong was called right to a few digits, where float32 has no more."""
    return all(outcome.entries.get(name) in (WRONG, CLOSE) or name in outcome.coarse for name in bug.wrong)


@dataclass
class Score:
    """How one checker did. ``alarms`` and ``cases`` are by kind of right gradient, ``missed`` by name of the bug."""

    found: int = 0
    undecided: int = 0
    missed: dict[str, int] = field(default_factory=dict)
    alarms: dict[str, int] = field(default_factory=dict)
    unsettled: dict[str, int] = field(default_factory=dict)
    cases: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


OURS = "ours"
KINDS = ("at random points", "of random networks", "at kinks")


def right_cases(seed: int, repeats: int, networks: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Right gradients by kind: functions that make the target, its input and its targets."""
    for repeat in range(repeats):
        for _, make in CORRECT:
            yield KINDS[0], partial(case, make, seed, repeat)
        for index in range(len(list(kinks(np.random.default_rng(0))))):
            yield KINDS[2], partial(_kink, index, seed, repeat)
    for index in range(networks):
        yield KINDS[1], partial(_network, seed, index)


def _kink(index: int, seed: int, repeat: int) -> Case:
    return list(kinks(np.random.default_rng((seed, repeat))))[index][1:]


def _network(seed: int, index: int) -> Case:
    network = random_network(np.random.default_rng((seed, index)), "float64")
    return network.net, network.x, None


def verdict_of(checker: str, target: Any, x: NDArray[Any], targets: NDArray[Any] | None) -> str:
    """What a checker, ours or a rival, says of a target."""
    if checker == OURS:
        return check(target, x, targets).verdict
    return WRONG if RIVALS[checker](GradientCase(target, x, targets), np.random.default_rng(0)) else RIGHT


def compare(seed: int, repeats: int, networks: int) -> Iterator[dict[str, Score]]:
    """Every checker on the bank and on right gradients; yields the scores so far after each case."""
    scores = {checker: Score() for checker in (OURS, *RIVALS)}
    for repeat in range(repeats):
        for bug in PLANTED:
            for checker, score in scores.items():
                target = case(bug.make, seed, repeat)
                start = time.perf_counter()
                verdict = verdict_of(checker, *target)
                score.seconds += time.perf_counter() - start
                score.found += verdict in (CLOSE, WRONG)
                score.undecided += verdict == UNDECIDED
                if verdict not in (CLOSE, WRONG, UNDECIDED):
                    score.missed[bug.name] = score.missed.get(bug.name, 0) + 1
            yield scores
    for kind, make in right_cases(seed, repeats, networks):
        for checker, score in scores.items():
            target = make()
            start = time.perf_counter()
            verdict = verdict_of(checker, *target)
            score.seconds += time.perf_counter() - start
            score.cases[kind] = score.cases.get(kind, 0) + 1
            score.alarms[kind] = score.alarms.get(kind, 0) + (verdict in (CLOSE, WRONG, CRASHED))
            score.unsettled[kind] = score.unsettled.get(kind, 0) + (verdict == UNDECIDED)
        yield scores
