"""The walk to other points: what is right or hidden at the point given, and wrong at one of these, is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from numpy_nn.gradcheck.elsewhere import Found, blame, is_beyond_logarithms, is_wrong_by_much, look
from numpy_nn.gradcheck.explain.first_values import with_first_value
from numpy_nn.gradcheck.judging import WEAKER, diagnosis, name_worst
from numpy_nn.gradcheck.measure.beyond import counts_here, points_beyond
from numpy_nn.gradcheck.measure.crossings import crossings
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.independence import is_independent, is_seen_to_move, moved_far
from numpy_nn.gradcheck.measure.kinds import INDEPENDENT, OFF, Reason
from numpy_nn.gradcheck.measure.points import Point, far_points, other_points
from numpy_nn.gradcheck.measure.poles import is_beyond_a_pole
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG, Entry
from numpy_nn.subjects.agreement import ROUGHLY, digits
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import Subject, SubjectError

# A gradient that is 0 at so many other points is that of a function that does not depend on the array.
ENOUGH = 4

# Farther from the other side of a branch by this share of the way between the two a function is as steep, but for this
# share of its slopes; and where it is flat, of what is claimed there.
FARTHER, ALIKE = 2.0**-4, 0.5

# So many settings of 1 are looked at with this number in their place.
SETTINGS, OTHER = 4, 1.25

# Where a point lies beyond a pole, one half of the way there is looked at, and so on, to this share of the way.
NEAREST = 1.0 / 16.0


def visit_other_points(
    subject: Subject, judged: list[tuple[Entry, Evidence]], output: Array, rng: np.random.Generator
) -> None:
    """Look at what is right or hidden here at other points: wrong there is wrong; 0 everywhere here says nothing."""
    if any(entry.verdict in (RIGHT, CLOSE) or _is_hidden(entry, e) for entry, e in judged):
        walk = _Walk(subject, judged, output, rng)
        walk.visit_all()
        walk.settle_vacuous()


def tell_of_settings(subject: Subject, judged: list[tuple[Entry, Evidence]]) -> None:
    """Say what is right where a setting is 1, and nowhere else: a factor of 1 hides that backward leaves it out.

    It stays right, as what is learned would not: backward may have another number that was made of it.
    """
    right = {e.name: (entry, e) for entry, e in judged if entry.verdict in (RIGHT, CLOSE) and np.any(e.gradient)}
    settings = subject.settings() if isinstance(subject, CodeSubject) and right else {}
    for setting in [name for name, value in settings.items() if type(value) is float and value == 1.0][:SETTINGS]:
        assert isinstance(subject, CodeSubject)
        grad_output = next(iter(right.values()))[1].grad_output
        before = _agreeing(subject, right, grad_output)
        with subject.with_setting(setting, OTHER):
            after = _agreeing(subject, right, grad_output)
        if off := [right[name][0].name for name, agrees in after.items() if before.get(name) and not agrees]:
            subject.notes.append(
                f"{', '.join(off)}: right where {setting} is 1, and wrong where it alone is {OTHER}: backward leaves "
                "it out, or has a number of its own for it"
            )


def _agreeing(subject: Subject, names: Iterable[str], grad_output: Array) -> dict[str, bool]:
    """Whether the gradients of these agree with the function as it is set now; nothing where it cannot be run."""
    try:
        claimed = {name: g for name, g in subject.gradients(grad_output).items() if name in names and g is not None}
        shaped = {
            name: g for name, g in claimed.items() if g.shape == subject.arrays[name].shape and np.isfinite(g).all()
        }
        return {name: digits(subject, name, g, grad_output) >= ROUGHLY for name, g in shaped.items()}
    except SubjectError:
        return {}


class _Walk:
    """What is not yet known to be wrong, and what has been seen of it at other points so far."""

    def __init__(
        self, subject: Subject, judged: list[tuple[Entry, Evidence]], output: Array, rng: np.random.Generator
    ) -> None:
        self._subject, self._judged, self._output, self._rng = subject, judged, output, rng
        found = {e.name: (entry, e) for entry, e in judged if entry.verdict in (RIGHT, CLOSE) or _is_hidden(entry, e)}
        self._grad_output = next(iter(found.values()))[1].grad_output
        self._pending = {name: one for name, one in found.items() if not one[1].independent}
        right = [(name, e) for name, (entry, e) in self._pending.items() if entry.verdict == RIGHT]
        self._vacuous = {name for name, e in right if not np.any(e.gradient)}
        self._unseen = self._vacuous | {name for name, one in self._pending.items() if _is_hidden(*one)}
        nothing = {name for name in self._unseen if not np.any(self._pending[name][1].gradient)}
        self._seen: dict[str, list[Found]] = {name: [] for name in nothing}
        self._moving: set[str] = set()  # of these, on which the output is seen to depend
        self._share = max(evidence.differences.seen_coarseness for _, evidence in judged)
        self._wrong = {e.name for entry, e in judged if entry.verdict == WRONG}  # at the point given
        self._poles = False  # whether a point was seen to lie beyond one

    def visit_all(self) -> None:
        """Go to all points, with the arrays that are not found to be wrong on the way."""
        subject, evidences = self._subject, [evidence for _, evidence in self._judged]
        elementwise = any(e.is_input and e.gradient is not None and e.differences.elementwise for e in evidences)
        for point in other_points(subject, self._output, elementwise, self._rng):
            self._visit(point, list(self._pending))
        for point in points_beyond(subject, self._output):
            self._visit(point, self._shown())
        warnings = [*subject.warnings]
        for sides in crossings(subject, evidences):
            self._cross(sides, self._shown())
        subject.warnings[:] = warnings  # of what the code does there it is not told
        for point in far_points(subject, self._rng) if self._unseen else ():
            untold = [name for name in self._unseen if Found.RIGHT not in self._seen.get(name, ())]
            self._visit(point, [name for name in self._pending if name in untold])

    def _slopes_far_away(self, here: Evidence) -> bool:
        """Whether the function, flat here, has a slope where the array is moved far: it moves in no steps alone."""
        for values in moved_far(here):
            with self._subject.at({here.name: values}):
                if self._look([here.name]).get(here.name, (Found.NOTHING, here))[0] is Found.WRONG:
                    return True
        return False

    def _shown(self) -> list[str]:
        return [name for name, one in self._pending.items() if not _is_hidden(*one)]

    def _look(self, names: Iterable[str]) -> dict[str, tuple[Found, Evidence]]:
        return look(self._subject, names, self._grad_output, self._share, self._rng)

    def _is_beyond_a_pole(self, homes: Mapping[str, Array]) -> bool:
        """Whether the claimed slopes say so: those that are known to be wrong say nothing."""
        return not self._wrong & homes.keys() and is_beyond_a_pole(self._subject, homes)

    def _visit(self, point: Point, names: Iterable[str]) -> None:
        subject = self._subject
        homes = {key: subject.arrays[key].copy() for key in point.moved}
        with subject.at_point(point.moved):
            found = {} if self._poles and self._is_beyond_a_pole(homes) else self._look(names)
            is_wrong = any(kind is Found.WRONG for kind, _ in found.values())
            # From where nothing shows the function may be as steep only where it is meant to be.
            if is_wrong and not self._unseen and self._is_beyond_a_pole(homes):
                self._poles, found = True, {}
        if not found and self._poles and point.way > NEAREST:
            self._visit(point.half_way(homes), names)
            return
        for name, (kind, there) in found.items():
            if name in self._seen and not (point.beyond and kind is Found.UNKNOWN):
                self._seen[name].append(kind)
            if name in self._seen and point.moved.keys() == {name} and not equal(there.output, self._output):
                self._moving.add(name)
            if kind is Found.WRONG and (not point.beyond or counts_here(self._pending[name][1], there)):
                self._call_wrong(name, point)

    def _cross(self, sides: tuple[Point, Point], names: Iterable[str]) -> None:
        """Two points on the two sides of a branch: one that is right on one side alone is wrong."""
        subject = self._subject
        homes = {key: subject.arrays[key].copy() for key in sides[0].moved}
        found = []
        for point in sides:
            with subject.at_point(point.moved):
                found.append(self._look(names))
        if subject.changed_by_code & homes.keys():
            return  # weights that forward holds within bounds are not meant to be beyond
        for name in names:
            kinds = [there[name][0] for there in found if name in there]
            if len(kinds) < len(sides) or {*kinds} != {Found.RIGHT, Found.WRONG}:
                continue
            wrong = kinds.index(Found.WRONG)
            there = found[wrong][name][1]
            if not counts_here(self._pending[name][1], there) or not is_wrong_by_much(there):
                continue
            with subject.at_point(sides[wrong].moved):
                beyond = self._is_beyond_a_pole(homes)
            if not beyond and self._is_as_steep_farther(name, there, sides[wrong], sides[1 - wrong]):
                self._call_wrong(name, sides[wrong])

    def _is_as_steep_farther(self, name: str, there: Evidence, point: Point, other: Point) -> bool:
        """Whether the function goes on beyond a point as it is there: where an iteration has no limit, it does not."""
        away = {key: values + FARTHER * (values - other.moved[key]) for key, values in point.moved.items()}
        with self._subject.at_point(away):
            kind, farther = self._look([name]).get(name, (Found.NOTHING, there))
        if kind is not Found.WRONG or there.slopes is None or farther.slopes is None:
            return False
        here, there_too = np.nan_to_num(there.slopes.value), np.nan_to_num(farther.slopes.value)
        claimed = np.zeros(1) if there.gradient is None else there.gradient
        size = max(float(np.linalg.norm(here)), float(np.linalg.norm(claimed)) if not here.any() else 0.0)
        return float(np.linalg.norm(there_too - here)) <= ALIKE * size

    def _call_wrong(self, name: str, point: Point) -> None:
        """If a second look finds it so as well."""
        entry, here = self._pending[name]
        if _is_wrong_at(entry, here, point, self._grad_output, self._share, self._rng):
            del self._pending[name]

    def settle_vacuous(self) -> None:
        """Decide on what is 0 at every coordinate at the point given, by what was seen elsewhere."""
        subject = self._subject
        for name in self._seen.keys() & self._pending.keys():
            (entry, here), seen = self._pending[name], self._seen[name]
            if name not in self._vacuous:
                if Found.RIGHT not in seen:
                    continue
                entry.verdict, entry.reason, entry.undecided = RIGHT, "", 0
            if Found.RIGHT in seen:
                where = "0 at every coordinate here; judged by other inputs, where it is right"
                subject.notes.append(f"{entry.name}: {where}")
            elif not (name in self._moving or _may_be_hidden(subject, here, self._judged) or is_seen_to_move(here)):
                entry.verdict, entry.reason = UNDECIDED, str(Reason.UNSEEN)
            elif len(seen) >= ENOUGH and set(seen) == {Found.NOTHING} and not self._slopes_far_away(here):
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
        found = diagnosis(evidence, here.differences.home if name in moved else None)
        # Of a point that has no words it is parameters that are moved off what they begin with.
        entry.diagnosis = found if point.words else with_first_value(found, evidence, here, sorted(moved))
        name_worst(entry, evidence, slopes, status)
    return True
