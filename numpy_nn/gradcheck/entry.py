"""The check of one subject: every coordinate of every array is right, wrong, or undecided with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from numpy_nn.gradcheck.judging import WEAKER, computes_in, diagnosis, judge, name_worst
from numpy_nn.gradcheck.measure.derivatives import REORDERED_IN_FLOAT32, Array
from numpy_nn.gradcheck.measure.differences import REORDERED, Differences
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.iterations import is_of_a_tolerance
from numpy_nn.gradcheck.measure.kinds import COARSE, INDEPENDENT, OFF, Reason
from numpy_nn.gradcheck.measure.slopes import Mask
from numpy_nn.gradcheck.measure.verdicts import examine, off_by, sizes
from numpy_nn.gradcheck.progress import Progress
from numpy_nn.gradcheck.report import RIGHT, UNDECIDED, WRONG, Entry, GradientReport, of_another_shape
from numpy_nn.gradcheck.visits import tell_of_settings, visit_other_points
from numpy_nn.subjects.agreement import digits
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import Subject, SubjectError

# Up to so many evaluations' worth of coordinates all are checked by default, beyond so many of them, drawn by chance.
ALL_UP_TO, SAMPLES = 200_000, 2_000

# Each evaluation reads all arrays. Where they would be more numbers than this in all, so many coordinates, or groups of
# them, are checked as fit, and no fewer than these: as many on every machine, which none by the clock would be.
NUMBERS, FEW = 150_000_000, 20


def check(subject: Subject, prefix: str, report: GradientReport, rng: np.random.Generator, samples: Any) -> None:
    """Add the subject's entries to the report."""
    first = not report.entries
    if first:
        report.input = f"{prefix}.{subject.input}" if prefix and subject.input != "input" else subject.input
    if subject.make_repeatable():
        output = subject.output()
        if np.isfinite(output).all():
            found = _entries(subject, prefix, first, output, rng, samples)
            report.entries += found
            if not (found or subject.problems):
                subject.problems.append(
                    "nothing was checked: no gradient was found of anything that the output depends on; return the "
                    "gradients in the order of the arguments, or give the arrays by name, "
                    "check_gradients(run, grads, W=net.W)"
                )
        else:
            where = np.argwhere(~np.isfinite(output))[0].tolist()
            subject.problems.append(f"the output is not finite: {output[tuple(where)]} at {where}")
    label = f"{subject.label}: " if prefix else ""
    report.problems += [label + text for text in subject.problems]
    report.warnings += [label + text for text in subject.warnings]
    report.notes += [label + text for text in subject.notes]
    _count_unchecked(subject, label, report)


def _count_unchecked(subject: Subject, label: str, report: GradientReport) -> None:
    """Say which arrays the output depends on and were not checked: then the gradients are not all right."""
    lost = [name for name, kind, _ in subject.unchecked if kind == "unchecked"]
    if lost:
        total = len(subject.arrays) + len(lost)
        report.problems.append(
            f"{label}{len(subject.arrays)} of {total} arrays that the output depends on were checked: no gradient was "
            f"found of {', '.join(lost)}; {_ways_out(lost)}"
        )
    if buffers := [name for name, kind, _ in subject.unchecked if kind == "buffer"]:
        report.notes.append(f"{label}not learned, and not checked: {', '.join(buffers)}")
    if numbers := [name for name, kind, _ in subject.unchecked if kind == "setting"]:
        report.notes.append(f"{label}numbers without a gradient, taken for settings: {', '.join(numbers)}")
    if granted := [name for name, kind, _ in subject.unchecked if kind == "granted"]:
        report.notes.append(
            f"{label}used by the functions, and no gradient is claimed of {', '.join(granted)}: not checked"
        )
    if data := [name for name, kind, _ in subject.unchecked if kind == "data"]:
        report.notes.append(f"{label}no gradient is returned of {', '.join(data)}: taken for data, and not checked")
    if refused := [name for name, kind, _ in subject.unchecked if kind == "unclaimed"]:
        report.notes.append(f"{label}backward returns None for {', '.join(refused)}: not checked")


def _ways_out(lost: Sequence[str]) -> str:
    """What may be written where no gradient is found of these: as arguments, and on the command line."""
    listed = ", ".join(f'"{name}"' for name in lost)
    words = " ".join(f"--constant {name}" if name.isidentifier() else f'--constant "{name}"' for name in lost)
    it = "it is" if len(lost) == 1 else "they are"
    return f"if {it} not learned, constants=[{listed}] or {words}; if learned, name the gradient in parameters="


def _entries(
    subject: Subject, prefix: str, first: bool, output: Array, rng: np.random.Generator, samples: Any
) -> list[Entry]:
    if not subject.arrays:
        return []
    x = subject.arrays[subject.input]
    home = x.copy()
    previous_grad_output = subject.random_grad_output(rng, output.shape)
    previous_x, previous = _call_before(subject, previous_grad_output)
    grad_output = subject.random_grad_output(rng, output.shape)
    claimed = subject.gradients(grad_output)
    again, redrawn = subject.gradients(grad_output), subject.gradients(grad_output, other_draws=True)
    judged: list[tuple[Entry, Evidence]] = []
    others = _by_chance(subject, claimed, grad_output)
    for name, gradient in claimed.items():
        shown = name if not prefix else f"{prefix}.{name}" if name != subject.input or not first else name
        if gradient is None and name == subject.input:
            subject.notes.append("backward returns no gradient of the input: it is not checked")
            continue
        evidence = Evidence(
            subject, name, gradient, grad_output, output, previous, previous_x, previous_grad_output, rng
        )
        if name in others:
            evidence.gradient = _least_right(subject, name, others[name], grad_output)
            judged.append((_entry(evidence, shown, samples), evidence))
            continue
        if _equal(gradient, again[name]) and not _equal_but_for_rounding(gradient, redrawn[name]):
            subject.problems.append(
                f"{shown}: two backward passes on the same input give different gradients: backward draws random "
                "numbers of its own; keep what forward drew"
            )
            continue
        if gradient is not None and not _equal_but_for_rounding(gradient, again[name]):
            # A gradient that hangs on the calls before is wrong, one that varies by itself cannot be judged.
            x[...] = previous_x
            subject.gradients(previous_grad_output)
            x[...] = home
            if not _equal(subject.gradients(grad_output)[name], gradient) and not _adds_up(
                gradient, again[name], previous[name]
            ):
                text = "two backward passes on the same input give different gradients"
                if subject.is_known_by_steps(name):
                    text = (
                        "backward changes it by another step each time, as with momentum or Adam, which does not tell "
                        f"the gradient; keep that in an attribute as well, such as self.d{name}"
                    )
                subject.problems.append(f"{shown}: {text}")
                continue
        judged.append((_entry(evidence, shown, samples), evidence))
    judged = [_with_steps_of_others(entry, evidence, judged, samples) for entry, evidence in judged]
    _with_iteration_of_others(judged)
    subject.watch = None
    visit_other_points(subject, judged, output, rng)
    tell_of_settings(subject, judged)
    return [entry for entry, _ in judged]


def _by_chance(subject: Subject, claimed: Mapping[str, Any], grad_output: Array) -> dict[str, list[Array]]:
    """The gradients of several runs, of arrays of which they differ by more than rounding: not all are right."""
    runs = [claimed, *subject.gradients_by_chance(grad_output)]
    every = {name: [run[name] for run in runs if run[name] is not None] for name in claimed}
    apart = {n: each for n, each in every.items() if not all(_equal_but_for_rounding(each[0], one) for one in each)}
    if apart:
        subject.warn(
            f"two backward passes on the same input give different gradients of {', '.join(apart)}: they hang on the "
            "order in which nodes are run, as where the gradient of one that is used twice is set (=) and not added up "
            "(+=), or where one is run before all that use it; judged is the one that is off"
        )
    return apart


def _least_right(subject: Subject, name: str, gradients: Sequence[Array], grad_output: Array) -> Array:
    return min(gradients, key=lambda gradient: digits(subject, name, gradient, grad_output))


def _with_steps_of_others(
    entry: Entry, evidence: Evidence, judged: list[tuple[Entry, Evidence]], samples: Any
) -> tuple[Entry, Evidence]:
    """Judge an array anew that seems wrong, if steps in the output are seen with another array and not with this one.

    One output is rounded for all; how well its steps are seen depends on where they happen to lie.
    """
    share = max((e.differences.seen_coarseness for _, e in judged), default=0.0)
    if entry.verdict not in (WRONG, UNDECIDED) or not share or not entry.checked:
        return entry, evidence
    if evidence.differences.coarseness >= share or _stays_wrong(evidence, share):
        return entry, evidence
    again = evidence.anew()
    again.differences.assume(share)
    return _entry(again, entry.name, samples), again


def _with_iteration_of_others(judged: list[tuple[Entry, Evidence]]) -> None:
    """Leave undecided what is off by as little as an iteration is that is seen with another array: it is one output."""
    if not any(evidence.reason is Reason.ITERATION for _, evidence in judged):
        return
    for entry, e in judged:
        if entry.verdict != WRONG or e.gradient is None or e.slopes is None or e.status is None:
            continue
        if is_of_a_tolerance(e.gradient, e.slopes, e.status == OFF, sizes(e.slopes)):
            entry.verdict, entry.undecided, entry.wrong = UNDECIDED, entry.undecided + entry.wrong, 0
            entry.reason, entry.diagnosis = str(Reason.ITERATION), None


def _stays_wrong(evidence: Evidence, share: float) -> bool:
    """Whether a coordinate is off by more than its bound is with steps of this share: bounds grow as steps do."""
    slopes, own = evidence.slopes, evidence.differences.coarseness
    if slopes is None or evidence.gradient is None or not own:
        return False
    with np.errstate(invalid="ignore"):
        off = off_by(evidence.gradient, slopes)[0] > (share / own) * np.maximum(slopes.bound, slopes.side_bound)
    return bool(np.any(off & (evidence.status == OFF)))


def _call_before(subject: Subject, grad_output: Array) -> tuple[Array, dict[str, Array | None]]:
    """A batch before the one that counts, as what is kept or added up from call to call then shows; and its gradients.

    It is another than the one that counts, if the target takes one of those tried.
    """
    home = subject.arrays[subject.input].copy()
    rolled = np.roll(home, 1, axis=0) if home.ndim else home
    for moved in (0.75 * rolled, rolled, 0.75 * home):
        with subject.at({subject.input: moved}):
            try:
                return moved, subject.gradients(grad_output)
            except SubjectError:
                continue
    return home, subject.gradients(grad_output)


def _equal(first: Array | None, second: Array | None) -> bool:
    return first is not None and second is not None and equal(first, second)


def _equal_but_for_rounding(first: Array | None, second: Array | None) -> bool:
    """Whether they differ by no more than sums do that are added up in another order, as that of a set."""
    if first is None or second is None or first.shape != second.shape:
        return False
    if equal(first, second):
        return True
    narrow = all(equal(numbers, numbers.astype(np.float32).astype(np.float64)) for numbers in (first, second))
    room = REORDERED_IN_FLOAT32 if narrow else REORDERED
    with np.errstate(invalid="ignore"):
        return bool(np.abs(first - second).max(initial=0.0) <= room * np.abs(first).max(initial=0.0))


def _adds_up(first: Array, second: Array | None, previous: Array | None) -> bool:
    """Whether each call adds its gradient to that of the call before."""
    if second is None or previous is None or not first.shape == second.shape == previous.shape:
        return False
    return bool(np.allclose(second - first, first - previous, rtol=1e-6, atol=1e-9 * np.abs(second).max()))


def _entry(evidence: Evidence, name: str, samples: Any) -> Entry:
    """Check one array."""
    array = evidence.subject.arrays[evidence.name]
    entry = Entry(name, RIGHT, array.shape, array.size, 0, 0, 0, 0, 0.0, None, np.nan, np.nan, np.nan)
    if not _has_shape_of(array, evidence):
        shape = None if evidence.gradient is None else evidence.gradient.shape
        entry.verdict = WRONG
        entry.reason = of_another_shape(array.shape, shape)
        entry.diagnosis = diagnosis(evidence)
        return entry
    mask = _sample(evidence.differences, samples, evidence.rng)
    progress = Progress(f"{evidence.subject.label}, {name}", 6 * evidence.differences.groups)
    evidence.subject.watch = progress.advance
    slopes, status = examine(evidence, mask)
    progress.close()
    judge(entry, evidence, slopes, status)
    evidence.independent = bool((status == INDEPENDENT).any())
    if entry.verdict == RIGHT and (status == COARSE).any() and evidence.differences.coarseness:
        with np.errstate(divide="ignore", invalid="ignore"):
            entry.digits = float(-np.log10((slopes.bound / sizes(slopes))[status == COARSE].max()))
    for kind, text in WEAKER.items():
        if number := int((status == kind).sum()):
            computes = computes_in(evidence.differences.coarseness) if kind == COARSE else ""
            text = f"{text}: the forward pass {computes}" if computes else text
            evidence.subject.notes.append(f"{name}, {number:,} coordinates: {text}")
    name_worst(entry, evidence, slopes, status)
    return entry


def _has_shape_of(array: Array, evidence: Evidence) -> bool:
    """Whether the gradient has the array's shape, which one that differs by axes of length 1 is given."""
    gradient = evidence.gradient
    if gradient is None or gradient.shape == array.shape:
        return gradient is not None
    if _squeezed(gradient.shape) != _squeezed(array.shape):
        return False
    evidence.gradient = gradient.reshape(array.shape)
    return True


def _squeezed(shape: Iterable[int]) -> tuple[int, ...]:
    return tuple(length for length in shape if length != 1)


def _sample(differences: Differences, samples: Any, rng: np.random.Generator) -> Mask:
    """Which coordinates to check."""
    size, numbers = differences.array.size, differences.numbers
    if samples is None:
        evaluations, fit = 6 * differences.groups, max(FEW, NUMBERS // (6 * numbers))
        if evaluations <= ALL_UP_TO and evaluations * numbers > NUMBERS:
            return differences.some_groups(fit)
        samples = "all" if evaluations <= ALL_UP_TO else min(SAMPLES, fit)
    mask = np.full(size, samples == "all")
    if not mask.all():
        mask[rng.choice(size, min(samples, size), replace=False)] = True
    return mask.reshape(differences.array.shape)
