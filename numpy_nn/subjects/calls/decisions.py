"""Predictions that decide, as ``predict`` does by a threshold or an argmax: what they compute before that."""

from __future__ import annotations

import ast
import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType, FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import signatures
from numpy_nn.subjects.arrays.places import places, put_random
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.source.recompiled import recompiled, with_code
from numpy_nn.subjects.source.trees import tree_of
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
            here, there = (np.array(forward(*_moved(inputs, by))) for by in (0.0, _A_LITTLE))
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
    lengths = np.shape(inputs[0])
    for watched in ways_to_watch(predict):
        known = [np.asarray(one) for one in inputs]
        found = _that_learn(owner, watched, inputs)
        for _, value in found:
            if not any(equal(value, one) for one in known) and set(value.shape) & set(lengths[:1] + lengths[-1:]):
                known.append(value)
                alike = [key for key, one in found if equal(one, value)]
                function, name, _ = key = min(alike, key=lambda one: one[1] in watched.texts)  # its own name first
                yield name or RETURNED.format(function), watched.observed(key)


def _that_learn(owner: Any, watched: Watched, inputs: Sequence[Any]) -> list[tuple[Key, NDArray[Any]]]:
    """What changes with the inputs and with what the object has learned, the latest first."""
    before = Snapshot(owner)
    put_random(owner)
    try:
        here, there = (watched.computed(_moved(inputs, by)) for by in (0.0, _A_LITTLE))
        for place in places(owner):
            with suppress(TypeError):  # a number in a tuple is never another
                place.put_array(np.array(place.read(), np.float64) * (1.0 + _A_LITTLE))
        elsewhere = watched.computed(_moved(inputs, 0.0))
    except SubjectError:
        return []
    finally:
        before.restore()

    def moves(key: Key, value: NDArray[Any]) -> bool:
        return all(key in other and not equal(value, other[key]) for other in (there, elsewhere))

    return [(key, value) for key, value in reversed(here.items()) if moves(key, value)]


def _goes_over_rows(function: Any) -> bool:
    """Whether a function has a loop, as over the samples."""
    loops = (ast.For, ast.ListComp, ast.GeneratorExp)
    tree = tree_of(function) if inspect.isfunction(function) else None
    return tree is not None and any(isinstance(node, loops) for node in ast.walk(tree))


class _Named(ast.NodeTransformer):
    """Gives a name to what is computed on the way, its own text: np.sign(x @ w) has none for what it decides by."""

    def __init__(self) -> None:
        self.texts: list[str] = []  # in the order in which they are computed

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, (ast.Lambda, ast.JoinedStr)):
            return node
        if isinstance(node, ast.comprehension):
            return node  # where it may not be
        is_read = isinstance(getattr(node, "ctx", None), ast.Load) and isinstance(node, (ast.Subscript, ast.Attribute))
        text = ast.unparse(node) if is_read or isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Call)) else ""
        changed = self.generic_visit(node)
        if not text or not isinstance(changed, ast.expr):
            return changed
        self.texts.append(text)
        return ast.copy_location(ast.NamedExpr(ast.Name(text, ast.Store()), changed), node)


def _moved(inputs: Sequence[Any], by: float) -> list[Any]:
    return [one * (1.0 + by) if isinstance(one, np.ndarray) and one.dtype.kind == "f" else one for one in inputs]


def ways_to_watch(predict: Callable[..., Any]) -> list[Watched]:
    """A pass as it is called; and if it has a loop, as over the samples, with each sample handed to it alone."""
    each = (False, True) if _goes_over_rows(signatures.unwrapped(predict)) else (False,)
    return [Watched(predict, by_rows) for by_rows in each]


@contextmanager
def unwatched() -> Iterator[None]:
    """In the block nothing of what is computed belongs to the pass that is watched."""
    watch = sys.getprofile()
    if isinstance(watch, FunctionType):  # a profiler of C cannot be put back
        sys.setprofile(None)
    try:
        yield
    finally:
        if isinstance(watch, FunctionType):
            sys.setprofile(watch)


class Watched:
    """A pass of which it is seen what it computes, also what has no name in it: that is called by its ``texts``.

    ``by_rows`` each sample is handed to it alone, as where it goes over them itself.
    """

    def __init__(self, predict: Callable[..., Any], by_rows: bool = False) -> None:
        self._predict, self._by_rows, naming = predict, by_rows, _Named()
        self._own: Any = signatures.unwrapped(predict)
        self._named = recompiled(self._own, naming.visit) if inspect.isfunction(self._own) else None
        self.texts = naming.texts if self._named is not None else []

    def observed(self, key: Key) -> Dressed:
        """What computes the array of this key, for as many samples."""

        def computed(*arguments: Any) -> NDArray[Any]:
            return self.computed(arguments)[key]

        computed.__name__ = getattr(self._predict, "__name__", "predict")
        return Dressed(computed, signatures.signature(self._predict))

    def computed(self, arguments: Sequence[Any]) -> dict[Key, NDArray[Any]]:
        """The arrays of floats that a call computes, in the order in which they are there at last."""
        if not self._by_rows:
            return self._call(arguments)
        rows = [self._call([one[i : i + 1] for one in arguments]) for i in range(len(arguments[0]))]
        return {key: np.array([row[key] for row in rows]) for key in rows[0]}

    def _call(self, arguments: Sequence[Any]) -> dict[Key, NDArray[Any]]:
        found: dict[Key, NDArray[Any]] = {}
        code = self._named or getattr(self._own, "__code__", None)
        kinds = (np.ndarray, float) if self._by_rows else np.ndarray

        def note(function: str, name: str, value: Any) -> None:
            for part, one in enumerate(value if isinstance(value, tuple) else (value,)):
                array = np.array(one) if isinstance(one, kinds) else np.zeros(0, int)
                if array.dtype.kind == "f" and (array.ndim or self._by_rows):
                    found.pop((function, name, part), None)
                    found[function, name, part] = array

        def watch(frame: FrameType, event: str, value: Any) -> None:
            if event != "return" or frame.f_code.co_filename.startswith(INSTALLED):
                return
            if frame.f_code is not code:
                note(frame.f_code.co_name, "", value)
                return
            own = (*frame.f_code.co_varnames[frame.f_code.co_argcount :], *frame.f_code.co_cellvars)
            for name in (*(one for one in own if one not in self.texts), *self.texts):
                note(frame.f_code.co_name, name, frame.f_locals.get(name))

        failed: list[BaseException] = []
        outer: Any = sys.getprofile()

        def run() -> None:
            try:
                with Running(getattr(self._predict, "__name__", "predict"), Patience()):
                    sys.setprofile(watch)
                    with nullcontext() if self._named is None else with_code(self._own, self._named):
                        self._predict(*arguments)
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
