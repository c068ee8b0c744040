"""Arrays that record what is done with them, as operations that can be done again on the same arrays.

A :class:`Recorded` array is a view of a plain one. NumPy's functions compute with it as ever, and write what they did
into its :class:`Recording`. What such a list could not repeat, a result that Python has made of an array's numbers or a
function that is not known here, is refused with :class:`NotRecordable`; a choice that Python makes by an array's number
becomes a :class:`Choice`, which has to come out alike when the list is run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial, wraps
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support import checks

Array = NDArray[Any]
# How NumPy treats errors while operations are recorded. No formula asks for it: what is otherwise, a formula asked for.
UNTOLD: Literal["call"] = "call"


def untold() -> AbstractContextManager[Any]:
    """Inside the ``with`` no error of NumPy's is told, and it shows which ones a formula keeps quiet about itself."""
    return np.errstate(all=UNTOLD, call=lambda *_: None)


class NotRecordable(Exception):
    """What was done cannot be done again as a list of operations."""


class Deviation(Exception):
    """A choice came out otherwise than when the operations were recorded: they are not those of this batch."""


class OfBatch(NamedTuple):
    """The batch, or a view of it: the methods that make it, such as ``transpose``, with their arguments."""

    views: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def of(self, batch: Array) -> Array:
        """The same view of another batch."""
        for method, arguments in self.views:
            batch = getattr(batch, method)(*arguments)
        return batch


class Operation(NamedTuple):
    """``function(*operands, **options)``, which writes into an array; ``words`` say it with the names of the arrays.

    ``errors`` is how NumPy was told to treat what overflows and the like, of each kind that this operation was told of.
    """

    function: Callable[..., Any]
    operands: tuple[Any, ...]
    options: dict[str, Any]
    words: str
    errors: dict[str, Any]

    def bound(self, batch: Batch) -> Callable[[], Any]:
        """The operation as a call without arguments."""
        operands, options = self.operands, self.options
        if isinstance(self.function, np.ufunc) and self.function not in OUT_BY_NAME and options.keys() == {"out"}:
            operands, options = (*operands, options["out"]), {}  # an argument without a name is read sooner
        function, given = self.function, list(operands)
        if self.errors:
            function = np.errstate(**self.errors)(function)
        of_batch = [(index, one) for index, one in enumerate(operands) if isinstance(one, OfBatch)]
        if not of_batch:
            return partial(function, *operands, **options)

        def call() -> None:
            for index, one in of_batch:
                given[index] = one.of(batch.x)
            function(*given, **options)
            for index, one in of_batch:
                given[index] = one  # the batch is the caller's, who may forget it

        return call


class Choice(NamedTuple):
    """What Python chose by the number in ``array``, of no axes."""

    array: Array
    outcome: bool
    words: str

    def bound(self, _batch: Batch) -> Callable[[], None]:
        """The choice as a call without arguments, which raises Deviation if it comes out otherwise."""
        array, outcome = self.array, self.outcome

        def check() -> None:
            if bool(array) is not outcome:
                raise Deviation

        return check


class Batch:
    """The rows that an operation reads where it was recorded with others."""

    x: Array


class Recording:
    """The operations so far, in their order, and the names of arrays by which they are told."""

    def __init__(self) -> None:
        self.operations: list[Operation | Choice] = []

    def array(self, array: Array, name: str, views: OfBatch | None = None) -> Recorded:
        """A view of ``array`` that is recorded here under this name; ``views`` if it is the batch."""
        recorded = array.view(Recorded)
        recorded.recording, recorded.name, recorded.views = self, name, views
        return recorded

    def add(self, function: Callable[..., Any], name: str, operands: Sequence[Any], options: dict[str, Any]) -> Any:
        """Call the function of plain arrays, and write the call down; what it returns."""
        result = function(*map(plain, operands), **{key: plain(value) for key, value in options.items()})
        given = tuple(_operand(one) for one in operands)
        kept = {key: plain(value) for key, value in options.items()}
        if "out" not in kept and isinstance(result, (np.ndarray, np.generic)):
            # The next call writes where this one has written.
            result = kept["out"] = np.asarray(result)
        shown = ", ".join(map(_word, operands))
        out = options.get("out")
        target = f" -> {_word(out)}" if out is not None else ""
        told = {kind: how for kind, how in np.geterr().items() if how != UNTOLD}
        self.operations.append(Operation(function, given, kept, f"{name}({shown}){target}", told))
        return result


class Recorded(np.ndarray[Any, Any]):
    """A view of an array, of which all that is done with it is recorded.

    ``views`` says how it is made of the batch; it is None for an array that is there at every batch.
    """

    recording: Recording
    name: str = ""
    views: OfBatch | None = None
    _known = True

    def __array_finalize__(self, source: Any) -> None:
        if isinstance(source, Recorded):
            self.recording, self.name = source.recording, f"view of {source.name}"
            # A view of the batch that no method below has made is one that nothing can make again.
            self.views, self._known = source.views, source.views is None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """A function of arrays, such as ``+``, ``@`` or ``np.exp``, and its ``reduce``."""
        if ufunc.nout != 1 or method not in ("__call__", "reduce"):
            raise NotRecordable(f"{ufunc.__name__}.{method}")
        function, name = (ufunc, ufunc.__name__) if method == "__call__" else (ufunc.reduce, f"{ufunc.__name__}.reduce")
        out = options.pop("out", None)
        if out is not None:
            options["out"] = out[0]
        if method == "__call__" and "dtype" not in options:
            inputs = _with_constants(inputs)
        result = self.recording.add(function, name, inputs, options)
        return out[0] if isinstance(out, tuple) and isinstance(out[0], Recorded) else self._made(result, name)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        """The other functions of NumPy's that write into an array."""
        if function in QUESTIONS:
            return function(*map(plain, arguments), **options)
        if function in ALSO_METHODS:
            return getattr(arguments[0], function.__name__)(*arguments[1:], **options)
        if function not in WRITING or options.keys() - {"out", "casting"}:
            raise NotRecordable(function.__name__)
        result = self.recording.add(function, function.__name__, arguments, options)
        out = options.get("out")
        return out if out is not None else self._made(result, function.__name__)

    def _made(self, result: Any, name: str) -> Any:
        return self.recording.array(result, name) if isinstance(result, np.ndarray) else result

    def _view(self, method: str, *arguments: Any) -> Recorded:
        """What a method that copies nothing returns."""
        result = getattr(plain(self), method)(*arguments)
        shown = ", ".join(map(str, arguments))
        name = f"{self.name}.{method}({shown})" if method != "transpose" or arguments else f"{self.name}.T"
        views = None
        if self.views is not None:
            views = OfBatch((*self.views.views, (method, arguments)))
        elif not np.may_share_memory(result, self):
            raise NotRecordable(f"{method}, which copies")
        return self.recording.array(result, name, views)

    @property
    def T(self) -> Recorded:
        """The transposed array."""
        return self._view("transpose")

    def transpose(self, *axes: Any) -> Recorded:
        """A view, as in NumPy."""
        return self._view("transpose", *axes)

    def reshape(self, *shape: Any, **options: Any) -> Any:
        """A view, as in NumPy, where no copy is needed."""
        if options:
            raise NotRecordable("reshape with options")
        return self._view("reshape", *shape)

    def view(self, *types: Any, **options: Any) -> Any:
        """A view of the same memory; of another type of arrays it is that, and not recorded."""
        if options:
            raise NotRecordable("view with options")
        if types and isinstance(types[0], type) and issubclass(types[0], np.ndarray):
            return super().view(*types)
        return self._view("view", *types)

    def __getitem__(self, index: Any) -> Recorded:
        parts = index if isinstance(index, tuple) else (index,)
        if not all(one is None or one is Ellipsis or isinstance(one, (int, slice)) for one in parts):
            raise NotRecordable("an index that is an array")
        return self._view("__getitem__", index)

    def __setitem__(self, index: Any, value: Any) -> None:
        self.recording.add(np.ndarray.__setitem__, "set", (self, index, value), {})

    def take(self, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise") -> Any:
        """The entries at these places, written into ``out``."""
        options = {"axis": axis, "mode": mode} | ({} if out is None else {"out": out})
        result = self.recording.add(np.ndarray.take, "take", (self, indices), options)
        return out if out is not None else self._made(result, "take")

    def copy(self, *_: Any, **__: Any) -> Any:
        """A copy, in an array that is there at every batch."""
        made = self.recording.array(np.empty(self.shape, self.dtype), f"copy of {self.name}")
        self.recording.add(np.copyto, "copyto", (made, self), {})
        return made

    def fill(self, value: Any) -> None:
        """Write a number everywhere."""
        self.recording.add(np.ndarray.fill, "fill", (self, value), {})

    def __repr__(self) -> str:
        return f"Recorded({self.name})"

    def __bool__(self) -> bool:
        outcome = bool(plain(self))
        self.recording.operations.append(Choice(plain(self), outcome, f"{self.name} is {outcome}"))
        return outcome


def operation(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function, ``f(*operands, out=array)``, that fills ``out`` and returns it, whatever else it does meanwhile.

    Of recorded arrays it is one operation, like a function of NumPy's.
    """

    @wraps(function)
    def call(*operands: Any, out: Any) -> Any:
        recorded = next((one for one in operands if isinstance(one, Recorded)), None)
        if recorded is None:
            return function(*operands, out=out)
        result = recorded.recording.add(function, function.__name__, operands, {"out": out})
        return out if isinstance(out, Recorded) else recorded._made(result, function.__name__)

    return call


# NumPy wants to be told the name of a third argument of these.
OUT_BY_NAME = frozenset({np.maximum, np.minimum})
# Functions that write into an array but are none of arrays alone, and those that only ask.
WRITING = frozenset({np.copyto, np.dot, np.clip})
QUESTIONS = frozenset({np.may_share_memory, np.shares_memory})
# Methods that call functions of arrays, which are recorded; NumPy has them as functions too.
ALSO_METHODS = frozenset({np.sum, np.mean, np.max, np.min, np.any, np.all})
MADE_OF_OTHERS = {"sum", "mean", "max", "min", "any", "all"}


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotRecordable(name)

    return refuse


for _name in {
    *(name for name, value in vars(np.ndarray).items() if callable(value) and not name.startswith("__")),
    *("__float__", "__int__", "__index__", "__complex__", "__iter__", "__contains__"),
} - MADE_OF_OTHERS:
    if _name not in vars(Recorded):
        setattr(Recorded, _name, _refusing(_name))

checks.ARRAYS.add(Recorded)


def plain(value: Any) -> Any:
    """The array that a recorded one is a view of; anything else as it is."""
    if isinstance(value, Recorded):
        return np.ndarray.view(value, np.ndarray)
    return tuple(plain(one) for one in value) if type(value) is tuple else value


def of_plan(value: Any) -> Any:
    """As :func:`plain`, but for the batch and its views what makes them."""
    if isinstance(value, Recorded) and value.views is not None:
        return _operand(value)
    return tuple(of_plan(one) for one in value) if type(value) is tuple else plain(value)


def _operand(value: Any) -> Any:
    if isinstance(value, Recorded):
        if not value._known:
            raise NotRecordable(value.name)
        return value.views if value.views is not None else plain(value)
    return value


def _with_constants(inputs: Sequence[Any]) -> tuple[Any, ...]:
    """A Python number beside an array as an array of its type, which spares NumPy converting it at every call."""
    dtypes = {one.dtype for one in inputs if isinstance(one, np.ndarray)}
    if len(dtypes) != 1:
        return tuple(inputs)
    (dtype,) = dtypes
    return tuple(np.asarray(one, dtype) if _fits(one, dtype) else one for one in inputs)


def _fits(value: Any, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "f":
        return type(value) in (float, int)
    return type(value) is int and dtype.kind in "iu" and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _word(value: Any) -> str:
    if isinstance(value, Recorded):
        return value.name
    if isinstance(value, np.ndarray):
        return f"{value:g}" if value.ndim == 0 and value.dtype.kind == "f" else f"constant of shape {value.shape}"
    return repr(value)
