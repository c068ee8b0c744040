"""Predictions that decide, as ``predict`` does by a threshold or an argmax: what they compute before that."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import names
from numpy_nn.subjects.arrays.places import places, put_random
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.state import INSTALLED, Snapshot, equal

# Which of the arrays in a call is meant: the function in which it is, what it is called there, and which part it is.
Key = tuple[str, str, int]

# By how much an array is moved to see whether a decision stays the same.
_A_LITTLE = 2.0**-30

RETURNED = "what {} returns"


def decides(owner: Any, forward: Callable[..., Any], inputs: Sequence[Any]) -> bool:
    """Whether a forward pass returns classes, or what does not change where its inputs change by a little.

    Looked at is an object with random parameters, as with zeros nothing changes.
    """
    before = Snapshot(owner)
    put_random(owner)
    try:
        with Running(getattr(forward, "__name__", "forward"), Patience()):
            here, there = (np.asarray(forward(*_moved(inputs, by))) for by in (0.0, _A_LITTLE))
    except (SubjectError, ValueError):
        return False
    finally:
        before.restore()
    if here.dtype.kind in "biuU":
        return True
    return here.dtype.kind == "f" and here.size > 0 and equal(here, there)


def before_deciding(owner: Any, predict: Callable[..., Any], inputs: Sequence[Any]) -> Iterator[tuple[str, Dressed]]:
    """Forward passes that return what ``predict`` computes before it decides, the latest first, with what it is.

    These are arrays with a row or a column for each sample, which change with the inputs and with what the object has
    learned: those that the user's functions return, and those that have a name in ``predict`` itself.
    """
    before = Snapshot(owner)
    put_random(owner)
    try:
        here, there = (_computed(predict, _moved(inputs, by)) for by in (0.0, _A_LITTLE))
        for place in places(owner):
            place.put_array(np.array(place.read(), np.float64) * (1.0 + _A_LITTLE))
        elsewhere = _computed(predict, _moved(inputs, 0.0))
    except SubjectError:
        return
    finally:
        before.restore()
    lengths = np.shape(inputs[0])
    known = [np.asarray(one) for one in inputs]
    for key, value in reversed(here.items()):
        is_seen = any(equal(value, one) for one in known)
        moves = all(key in other and not equal(value, other[key]) for other in (there, elsewhere))
        if not is_seen and moves and set(value.shape) & set(lengths[:1] + lengths[-1:]):
            known.append(value)
            function, name, _ = key
            yield name or RETURNED.format(function), _observed(predict, key)


def _observed(predict: Callable[..., Any], key: Key) -> Dressed:
    def computed(*arguments: Any) -> NDArray[Any]:
        return _computed(predict, arguments)[key]

    computed.__name__ = getattr(predict, "__name__", "predict")
    return Dressed(computed, names.signature(predict))


def _moved(inputs: Sequence[Any], by: float) -> list[Any]:
    return [one * (1.0 + by) if isinstance(one, np.ndarray) and one.dtype.kind == "f" else one for one in inputs]


def _computed(predict: Callable[..., Any], arguments: Sequence[Any]) -> dict[Key, NDArray[Any]]:
    """The arrays of floats that a call computes, in the order in which they are there at last."""
    found: dict[Key, NDArray[Any]] = {}
    own = names.unwrapped(predict)
    code = getattr(own, "__code__", None)

    def note(function: str, name: str, value: Any) -> None:
        for part, one in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(one, np.ndarray) and one.dtype.kind == "f" and one.ndim:
                found.pop((function, name, part), None)
                found[function, name, part] = one.copy()

    def watch(frame: FrameType, event: str, value: Any) -> None:
        if event != "return" or frame.f_code.co_filename.startswith(INSTALLED):
            return
        if frame.f_code is not code:
            note(frame.f_code.co_name, "", value)
            return
        for name in frame.f_code.co_varnames[frame.f_code.co_argcount :]:
            note(frame.f_code.co_name, name, frame.f_locals.get(name))

    failed: list[BaseException] = []
    outer: Any = sys.getprofile()

    def run() -> None:
        try:
            with Running(getattr(predict, "__name__", "predict"), Patience()):
                sys.setprofile(watch)
                predict(*arguments)
        except BaseException as error:  # which is raised where the call was made
            failed.append(error)
        finally:
            sys.setprofile(outer if callable(outer) else None)

    if outer is None or callable(outer):
        run()
    else:  # a profiler of C, as cProfile's, cannot be put back: it stays in this thread
        thread = threading.Thread(target=run, name="what is computed before a decision")
        thread.start()
        thread.join()
    if failed:
        raise failed[0]
    return found
