"""The walk to other points: what is right or hidden at the point given, and wrong at one of these, is wrong."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from numpy_nn.gradcheck.elsewhere import Found, blame, is_beyond_logarithms, is_wrong_by_much, look
from numpy_nn.gradcheck.judging import WEAKER, diagnosis, name_worst
from numpy_nn.gradcheck.measure.beyond import counts_here, points_beyond
from numpy_nn.gradcheck.measure.crossings import crossings
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.independence import is_independent, is_seen_to_move
from numpy_nn.gradcheck.measure.kinds import INDEPENDENT, OFF, Reason
from numpy_nn.gradcheck.measure.points import Point, far_points, other_points
from numpy_nn.gradcheck.measure.poles import is_beyond_a_pole
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG, Entry
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import Subject

# A gradient that is 0 at so many other points is that of a function that does not depend on the array.
ENOUGH = 4

# Where a point lies beyond a pole, one half of the way there is looked at, and so on, to this share of the way.
NEAREST = 1.0 / 16.0


def visit_other_points(
    subject: Subject, judged: list[tuple[Entry, Evidence]], output: Array, rng: np.random.Generator
) -> None:
    """Look at what is right or hidden here at other points: wrong there is wrong; 0 everywhere here says nothing."""
    pending = {e.name: (entry, e) for entry, e in judged if entry.verdict in (RIGHT, CLOSE) or _is_hidden(entry, e)}
    if not pending:
        return
    elementwise = any(e.is_input and e.gradient is not None and e.differences.elementwise for _, e in judged)
    grad_output = next(iter(pending.values()))[1].grad_output
    pending = {name: found for name, found in pending.items() if not found[1].independent}
    vacuous = {name for name, (entry, e) in pending.items() if entry.verdict == RIGHT and not np.any(e.gradient)}
    unseen = vacuous | {name for name, (entry, e) in pending.items() if _is_hidden(entry, e)}
    seen: dict[str, list[Found]] = {name: [] for name in vacuous}
    moving: set[str] = set()  # of these, on which the output is seen to depend
    share = max(evidence.differences.seen_coarseness for _, evidence in judged)

    poles = False

    def visit(point: Point, names: Iterable[str]) -> None:
        nonlocal poles
        homes = {key: subject.arrays[key].copy() for key in point.moved}
        with subject.at_point(point.moved):
            found = {} if poles and is_beyond_a_pole(subject, homes) else look(subject, names, grad_output, share, rng)
            is_wrong = any(kind is Found.WRONG for kind, _ in found.values())
            # From where nothing shows the function may be as steep only where it is meant to be.
            if is_wrong and not unseen and is_beyond_a_pole(subject, homes):
                poles, found = True, {}
        if not found and poles and point.way > NEAREST:
            visit(point.half_way(homes), names)
            return
        for name, (kind, there) in found.items():
            entry, here = pending[name]
            if name in seen and not (point.beyond and kind is Found.UNKNOWN):
                seen[name].append(kind)
            if name in seen and point.moved.keys() == {name} and not equal(there.output, output):
                moving.add(name)
            if kind is not Found.WRONG or (point.beyond and not counts_here(here, there)):
                continue
            if _is_wrong_at(entry, here, point, grad_output, share, rng):
                del pending[name]

    def cross(sides: tuple[Point, Point], names: Iterable[str]) -> None:
        found, homes = [], {key: subject.arrays[key].copy() for key in sides[0].moved}
        for point in sides:
            with subject.at_point(point.moved):
                found.append(look(subject, names, grad_output, share, rng))
        if subject.changed_by_code & point.moved.keys():
            return  # weights that forward holds within bounds are not meant to be beyond
        for name in names:
            kinds = [there[name][0] for there in found if name in there]
            if len(kinds) < len(sides) or {*kinds} != {Found.RIGHT, Found.WRONG}:
                continue
            entry, here = pending[name]
            wrong = kinds.index(Found.WRONG)
            there = found[wrong][name][1]
            counts = counts_here(here, there) and is_wrong_by_much(there)
            with subject.at_point(sides[wrong].moved):
                counts = counts and not is_beyond_a_pole(subject, homes)
            if counts and _is_wrong_at(entry, here, sides[wrong], grad_output, share, rng):
                del pending[name]

    for point in other_points(subject, output, elementwise, rng):
        visit(point, list(pending))
    for point in points_beyond(subject, output):
        visit(point, [name for name, (entry, e) in pending.items() if not _is_hidden(entry, e)])
    warnings = [*subject.warnings]
    for sides in crossings(subject, [evidence for _, evidence in judged]):
        cross(sides, [name for name, (entry, e) in pending.items() if not _is_hidden(entry, e)])
    subject.warnings[:] = warnings  # of what the code does there it is not told
    for point in far_points(subject, rng) if unseen else ():
        visit(point, [name for name in pending if name in unseen and Found.RIGHT not in seen.get(name, ())])
    for name in vacuous.intersection(pending):
        entry, here = pending[name]
        if Found.RIGHT in seen[name]:
            subject.notes.append(f"{entry.name}: 0 at every coordinate here; judged by other inputs, where it is right")
        elif not (name in moving or _may_be_hidden(subject, here, judged) or is_seen_to_move(here)):
            entry.verdict, entry.reason = UNDECIDED, str(Reason.UNSEEN)
        elif len(seen[name]) >= ENOUGH and set(seen[name]) == {Found.NOTHING}:
            subject.notes.append(f"{entry.name}: 0 here and wherever else it was looked at, claimed and numerical")
        elif is_independent(here):
            subject.notes.append(f"{entry.name}: {WEAKER[INDEPENDENT]}")
        else:
            entry.verdict, entry.reason = UNDECIDED, str(Reason.VACUOUS)


def _may_be_hidden(subject: Subject, evidence: Evidence, judged: Iterable[tuple[Entry, Evidence]]) -> bool:
    """Whether an array may not show though all is in order: behind a drawn mask of zeros, or behind a dead unit.

    That hides its own numbers, each of them a parameter in an engine of scalars, where others show that are right.
    """
    if subject.draws:
        return True
    numbers = [(entry, e.gradient) for entry, e in judged if e.gradient is not None and e.gradient.size == 1]
    is_one = evidence.gradient is not None and evidence.gradient.size == 1
    return is_one and any(entry.verdict == RIGHT and np.any(gradient) for entry, gradient in numbers)


def _is_hidden(entry: Entry, evidence: Evidence) -> bool:
    """Whether a gradient is undecided because too little of it shows at the point given, and no steps were seen."""
    hidden = entry.verdict == UNDECIDED and evidence.reason in (Reason.ROUNDING, Reason.FLAT, Reason.STEPS)
    return hidden and not evidence.differences.seen_coarseness


def _is_wrong_at(
    entry: Entry, here: Evidence, point: Point, grad_output: Array, share: float, rng: np.random.Generator
) -> bool:
    """Whether a second look finds an entry wrong at another point as well; then it is called so."""
    subject, name = here.subject, here.name
    words, moved = blame(subject, name, point, grad_output, share, rng)
    with subject.at_point(moved):
        kind, evidence = look(subject, [name], grad_output, share, rng)[name]
        if kind is not Found.WRONG or is_beyond_logarithms(subject):
            return False
        slopes, status = evidence.slopes, evidence.status
        assert slopes is not None
        assert status is not None
        entry.reason = f"{entry.verdict_in_words} at the point given, but wrong {words}"
        entry.verdict, entry.digits, entry.wrong = WRONG, None, int((status == OFF).sum())
        entry.diagnosis = diagnosis(evidence, here.differences.home if name in moved else None)
        name_worst(entry, evidence, slopes, status)
    return True
