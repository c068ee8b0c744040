"""Objects whose one method for training makes a step after each sample: they are judged by the first one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.arrays.nested import copied
from numpy_nn.subjects.arrays.places import places, put_random, random_parameters
from numpy_nn.subjects.calls.rates import rates_in, rates_of, times
from numpy_nn.subjects.losses.training import step_of_training
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.running import Patience, Running
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.subject import SubjectError

# By which rates steps are compared: a perceptron's first step may change where a later one errs if it is large enough.
_SHARES = (1.0, 0.5, 2.0**10)
# How many sets of random parameters are looked at, and how many numbers of samples at most.
_POINTS, _NUMBERS = 3, 16


def judged_by_one_step(
    target: Any, inputs: Sequence[Any], targets: Any, of: Callable[[Sequence[Any], Any], CodeSubject]
) -> CodeSubject:
    """The subject ``of`` these inputs and targets; or, where these make several steps, of the first that make one.

    What several steps move together is the gradient of no loss: each begins where the one before has ended.
    """
    before = Snapshot(target)
    failed: Exception | None = None
    try:
        subject = of(inputs, targets)
        if subject.updates_in_backward is None and not subject.moved:
            return subject
    except (SubjectError, TypeError, ValueError) as error:
        failed = error
    step = step_of_training(target, (*inputs, targets))
    now = Snapshot(target)
    before.restore()
    given = (*inputs, targets)
    is_one = _number_of_rows(given) == 1 and failed is not None
    several = step is not None and (is_one or moves_several_times(target, step, given))
    one = _of_one_step(target, step, given) if step is not None and several else None
    if step is not None and one is not None:
        (*few, own), words = one
        alone = of(few, own)
        if _number_of_rows(few) == _number_of_rows(given) > 1:  # one sample in the place of each, wherever it is moved
            alone.rows_alike = frozenset(name for name in alone.arrays if name not in alone.parameter_places)
        if not is_one:
            alone.notes.append(f"{step.__name__} {words}")
        return alone
    if failed is not None:
        raise failed
    now.restore()
    return subject


def of_one_of_several(target: Any, step: Callable[..., Any], given: Sequence[Any]) -> tuple[list[Any], str] | None:
    """Samples that make one step where these make several, and what to say of them; else None."""
    return _of_one_step(target, step, given) if moves_several_times(target, step, given) else None


def _of_one_step(target: Any, step: Callable[..., Any], given: Sequence[Any]) -> tuple[list[Any], str] | None:
    """Samples that make one step, and what to say of them: as many of the first as make a batch, or a single one.

    That is the first alone after which it moves; or that in the place of each sample, where this makes one step, and
    another one, as of a batch that is drawn with replacement, or of those that are not kept for validation: it shows
    what is divided by their number. None where none of them do, as where a step uses what it has moved before. Where
    none moves anything, the object has random weights afterwards.
    """
    samples = _number_of_rows(given)
    several = "moves the parameters several times, as after each {}: judged with {}"
    for number in range(samples - 1, 1, -max(1, samples // _NUMBERS)):
        few = _rows(given, 0, number)
        if _is_several(target, step, few) is False and not _leaves_rows_out(target, step, few):
            return few, several.format("batch", f"the first {number}")
    # A perceptron moves only where it errs, and may err at other weights alone.
    rng = random_parameters()
    for point in range(1 + _POINTS):
        if point:
            put_random(target, rng)
        for first in range(min(samples, _NUMBERS)):
            alone = _rows(given, first, 1)
            repeated = [np.repeat(one, samples, axis=0) if _has_rows(one) else one for one in alone]
            by_one, by_all = (_moved(target, step, rows) for rows in (alone, repeated))
            by_rows = _does_something(by_all) and not (_does_something(by_one) and _are_alike(by_one, by_all))
            if by_rows and samples > 1 and _is_several(target, step, repeated) is False:
                own = "the first sample" if first == 0 else f"sample {first + 1}"
                return repeated, f"makes a step of some of the rows: judged with {own} in the place of each"
            if not _does_something(by_one):
                continue
            if _is_several(target, step, alone) is not False:
                return None
            own = "the first alone" if first == 0 else f"sample {first + 1} alone, the first after which it moves any"
            return alone, several.format("sample", own)
    return None


def moves_several_times(target: Any, step: Callable[..., Any], given: Sequence[Any]) -> bool:
    """Whether several rows make several steps, none a multiple of the rate, or as one of each; or one of some alone."""
    if _number_of_rows(given) < 2:
        return False
    return bool(_is_several(target, step, given)) or _leaves_rows_out(target, step, given)


def _leaves_rows_out(target: Any, step: Callable[..., Any], given: Sequence[Any]) -> bool:
    """Whether a step is made with rows that are drawn: it is another one in another order, and some do nothing in it.

    By a sequence's rows it is another one in another order as well, but each does something; and what lies within a
    margin does nothing in any order.
    """
    made = _moved(target, step, given)
    if _are_alike(made, _moved(target, step, [one[::-1] if _has_rows(one) else one for one in given])):
        return False
    place = next((i for i, one in enumerate(given) if _has_rows(one) and one.dtype.kind == "f"), None)
    if place is None:
        return False
    for row in range(min(len(given[place]), _NUMBERS)):
        changed = given[place].copy()
        changed[row] = 0.75 * changed[row] + 0.0625
        moved = _moved(target, step, [*given[:place], changed, *given[place + 1 :]])
        if moved and _are_alike(made, moved):
            return True
    return False


def _is_several(target: Any, step: Callable[..., Any], given: Sequence[Any]) -> bool | None:
    """Whether these make several steps; None where nothing tells: it fails, or moves nothing.

    A step of all begins where each of its parts does: it is as long as its rate, and elsewhere than one of each row
    after the other leads to. A perceptron's are looked at where it errs, with a rate so large that it then errs
    elsewhere.
    """
    required, optional = positional(step) or ([], [])
    rates, kept = rates_in([*required, *optional]), rates_of(target, step)
    has_rate = len(rates) == 1 if rates else bool(kept)
    shares = _SHARES if has_rate else _SHARES[:1]
    before, rng = Snapshot(target), random_parameters()

    def moved(share: float, one_by_one: bool = False) -> dict[str, NDArray[Any]]:
        here, arrays = Snapshot(target), _arrays(target)
        rows = range(min(_number_of_rows(given), _NUMBERS))
        each = [_rows(given, first, 1) for first in rows] if one_by_one else [_rows(given, 0, len(rows))]
        try:
            with times(share, [] if rates else kept), Running(type(target).__name__, Patience()):
                for part in each:
                    step(*map(copied, part), **dict.fromkeys(rates, share))
            after = _arrays(target)
        finally:
            here.restore()
        same = [name for name, array in arrays.items() if name in after and after[name].shape == array.shape]
        return {name: after[name] - arrays[name] for name in same if arrays[name].ndim or rates or not has_rate}

    found: bool | None = None
    one_after_another: list[bool] = []
    for point in range(1 + _POINTS):
        try:
            if point:
                put_random(target, rng)
            steps = [moved(share) for share in shares]
            if any(not _are_in_proportion(*(one[name] for one in steps)) for name in steps[0]):
                return True
            if not any(np.any(array) for array in steps[0].values()):
                continue
            found = False
            apart = [moved(share, one_by_one=True) for share in (shares[0], shares[-1])]
            pairs = zip((steps[0], steps[-1]), apart, strict=True)
            one_after_another.append(all(_are_alike(one, other) for one, other in pairs))
        except (SubjectError, TypeError, ValueError, KeyError):
            continue
        finally:
            before.restore()
    return found if not one_after_another or _number_of_rows(given) < 2 else all(one_after_another)


def _are_in_proportion(*steps: NDArray[Any]) -> bool:
    """Whether steps are as long as their rates; or all the same, as what the pass keeps is by any rate."""
    if all(np.allclose(steps[0], one, rtol=1e-9, atol=0.0) for one in steps):
        return True
    pairs = zip(_SHARES, steps, strict=True)
    return all(np.allclose(share * steps[0], one, rtol=1e-6, atol=1e-9 * share) for share, one in pairs)


def _are_alike(steps: Mapping[str, NDArray[Any]], others: Mapping[str, NDArray[Any]]) -> bool:
    """Whether all has moved as far, but for what has as many rows as there are samples."""
    return all(
        np.allclose(steps[name], others[name], rtol=1e-10, atol=1e-13 * float(np.abs(steps[name]).max(initial=0.0)))
        for name in steps.keys() & others.keys()
    )


def _moved(target: Any, step: Callable[..., Any], given: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """How far a step moves each array, by a rate of 1 where it takes one; what is new has moved by itself."""
    before, here = Snapshot(target), _arrays(target)
    required, optional = positional(step) or ([], [])
    try:
        with Running(type(target).__name__, Patience()):
            step(*map(copied, given), **dict.fromkeys(rates_in([*required, *optional]), 1.0))
        after = _arrays(target)
        old = {name: here[name] if name in here and here[name].shape == a.shape else 0.0 for name, a in after.items()}
        return {name: array - old[name] for name, array in after.items()}
    except SubjectError:
        return {}
    finally:
        before.restore()


def _arrays(target: Any) -> dict[str, NDArray[Any]]:
    return {str(place): np.array(place.read(), np.float64) for place in places(target)}


def _does_something(moved: Mapping[str, NDArray[Any]]) -> bool:
    """Whether anything is moved, to where numbers are finite: of no rows the mean is none."""
    return any(map(np.any, moved.values())) and all(np.isfinite(array).all() for array in moved.values())


def _has_rows(one: Any) -> bool:
    return isinstance(one, np.ndarray) and one.ndim > 0


def _number_of_rows(given: Sequence[Any]) -> int:
    return max((len(one) for one in given if _has_rows(one)), default=1)


def _rows(given: Sequence[Any], first: int, number: int) -> list[Any]:
    return [one[first : first + number] if _has_rows(one) else one for one in given]
