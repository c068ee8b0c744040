"""What code keeps between its calls: found from its objects and closures, saved, put back, widened to float64."""

from __future__ import annotations

import copy
import inspect
import random
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from operator import is_
from types import FunctionType, GenericAlias, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.layers import Layer
from numpy_nn.subjects import names
from numpy_nn.subjects.attributes import attributes, set_attribute, slots
from numpy_nn.subjects.source.bindings import UNBOUND, Binding, Default, bindings, defaults

Restorer = Callable[[], None]

_BY_NAME = """
    def run():
        return net.forward(x)
    def grads(grad_output):
        net.backward(grad_output)
        return {"W": net.dW}
    check_gradients(run, grads, arrays={"W": (net, "W")})"""

# Arrays of no more are compared as bytes first.
FEW_BYTES = 2**14

# Where Python and packages lie. To ask for it takes longer than all else that is asked of a module.
INSTALLED = sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")


def in_float64(target: Any) -> Any:
    """A deep copy whose float32 arrays are float64. TypeError if the target cannot be copied."""
    try:
        target = copy.deepcopy(target, _dicts_copied(target, _views_kept(target) | _modules_in(target)))
    except Exception as error:
        raise TypeError(
            f"target: {type(target).__name__} cannot be copied ({error}), and the check works on a copy; "
            f"pass run, grads and its arrays by name:{_BY_NAME}"
        ) from error
    copies: dict[int, Any] = {}
    for thing in reachable(target):
        _take_from_class(thing, copies)
    widen(target)
    return target


def _modules_in(target: Any) -> dict[int, Any]:
    """For deepcopy, which takes none: modules that are held, as in ``self.xp = np``, are the same in the copy."""
    held = [part for thing in reachable(target) if not of_a_library(thing) for part in inner(thing)]
    return {id(part): part for part in held if inspect.ismodule(part)}


def _dicts_copied(target: Any, memo: dict[int, Any]) -> dict[int, Any]:
    """The memo, with copies of dicts that have no answer to whether they copy themselves, but raise KeyError.

    Their keys are attributes by ``__getattr__ = dict.__getitem__``.
    """
    dicts = [thing for thing in reachable(target) if isinstance(thing, dict) and not _can_be_asked(thing)]
    memo |= {id(thing): type(thing).__new__(type(thing)) for thing in dicts}
    for thing in dicts:
        dict.update(memo[id(thing)], copy.deepcopy(dict(thing), memo))
    return memo


def _can_be_asked(thing: Any) -> bool:
    try:
        hasattr(thing, "__deepcopy__")
    except KeyError:
        return False
    return True


def _take_from_class(thing: Any, copies: dict[int, Any]) -> None:
    """Give an object copies of its own of the lists and dicts that its class has: of arrays, or for gradients.

    Objects that share one share its copy.
    """
    if of_a_library(thing) or not hasattr(thing, "__dict__") or isinstance(thing, type) or inspect.isroutine(thing):
        return
    for kind in type(thing).__mro__:
        for name, value in vars(kind).items():
            if isinstance(value, (list, dict)) and name not in vars(thing) and not name.startswith("__"):
                held = reachable(value)
                has_floats = any(isinstance(part, np.ndarray) and part.dtype.kind == "f" for part in held)
                plain = all(isinstance(part, (np.ndarray, list, dict, tuple)) for part in held)
                if plain and (has_floats or names.tells_gradients(name)):
                    set_attribute(thing, name, copies.setdefault(id(value), copy.deepcopy(value)))


def widen(target: Any) -> None:
    """Have every float32 array that a target keeps replaced by one of float64, in place."""
    _widen(target, {})


def _views_kept(target: Any) -> dict[int, Any]:
    """For deepcopy: copies of arrays of which others in the target are views, and the same views of the copies.

    deepcopy by itself makes of a view an array of its own, which a flat vector of parameters then no longer moves.
    """
    arrays = [thing for thing in reachable(target) if isinstance(thing, np.ndarray) and type(thing) is np.ndarray]
    sharing: dict[int, list[NDArray[Any]]] = {}
    for array in arrays:
        sharing.setdefault(id(memory_of(array)), []).append(array)
    memo: dict[int, Any] = {}
    for group in sharing.values():
        root = memory_of(group[0])
        if len(group) > 1 and root.dtype.kind == "f" and all(array.dtype == root.dtype for array in group):
            memo |= _copied_together(root, group)
    return memo


def memory_of(array: NDArray[Any]) -> NDArray[Any]:
    """The array whose memory it is."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _copied_together(root: NDArray[Any], group: list[NDArray[Any]]) -> dict[int, Any]:
    """Copies of arrays that share the memory of ``root``, which share that of its copy, in float64 at least."""
    flat = root.ravel(order="K")
    if not np.shares_memory(flat, root):  # its own memory has gaps
        return {}
    wide = flat.astype(np.promote_types(root.dtype, np.float64))
    start, size = root.__array_interface__["data"][0], root.itemsize
    copies: dict[int, Any] = {}
    for array in group:
        offset = (array.__array_interface__["data"][0] - start) // size * wide.itemsize
        strides = tuple(stride // size * wide.itemsize for stride in array.strides)
        copies[id(array)] = np.ndarray(array.shape, wide.dtype, wide.data, offset, strides)
    return copies


def _widen(thing: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    """``thing`` with every float32 array in its attributes and containers replaced; one array stays one array.

    ``done`` has what was looked at, and so keeps it: another object could get the address of one that is gone.
    """
    if id(thing) in done:
        return done[id(thing)][1]
    if isinstance(thing, np.ndarray) and thing.dtype == object:
        thing[...] = _objects_in([_widen(value, done) for value in thing.flat], thing.shape)
        return _noted(thing, thing, done)
    if isinstance(thing, np.ndarray):
        return _noted(thing, thing.astype(np.float64) if thing.dtype in (np.float32, np.float16) else thing, done)
    _noted(thing, thing, done)
    if isinstance(thing, Layer):
        thing.to(np.float64)
    if isinstance(thing, dict):
        _refill(thing, {key: _widen(value, done) for key, value in thing.items()})
    elif isinstance(thing, (list, deque)):
        _fill(thing, [_widen(value, done) for value in thing])
    elif isinstance(thing, tuple):
        parts = [_widen(value, done) for value in thing]
        if any(part is not value for part, value in zip(parts, thing, strict=True)):
            # One with names for its parts takes them one by one.
            return _noted(thing, type(thing)(*parts) if hasattr(thing, "_fields") else tuple(parts), done)
    elif not isinstance(thing, Layer) or type(thing).__module__.partition(".")[0] != "numpy_nn":
        for name, value in attributes(thing).items():
            if (wide := _widen(value, done)) is not value:
                set_attribute(thing, name, wide)
    return thing


def _objects_in(values: Sequence[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of objects, which may themselves be arrays."""
    held = np.empty(len(values), object)
    for index, value in enumerate(values):
        held[index] = value
    return held.reshape(shape)


def _noted(thing: Any, wide: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    done[id(thing)], done[id(wide)] = (thing, wide), (wide, wide)
    return wide


def inner(thing: Any) -> Iterable[Any]:
    """What a thing is made of: the values of a container, the attributes of an object, what a function refers to."""
    if isinstance(thing, (dict, Mapping)):
        return thing.values()
    if isinstance(thing, (list, tuple, deque, set, frozenset)):
        return thing
    if isinstance(thing, np.ndarray):
        return thing.flat if thing.dtype == object else ()
    if inspect.ismethod(thing):
        return (thing.__self__, thing.__func__)
    if isinstance(thing, partial):
        return (thing.func, *thing.args, *thing.keywords.values())
    if inspect.isfunction(thing):
        return referred_to(thing)
    return attributes(thing).values()


def referred_to(function: Any) -> list[Any]:
    """The objects that a function's code can reach by name: in its closure, its defaults and its module."""
    named = (binding.read() for binding in bindings(function).values())
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    return [*(held for held in named if held is not UNBOUND), *defaults]


# What holds nothing of the code: numbers, texts, modules, classes, and a type such as list[int], which passes for its
# class.
ENDS = (int, float, str, type, GenericAlias, ModuleType, bytes, complex)


def reachable(*things: Any) -> list[Any]:
    """Everything that can be reached from these, each once; libraries' own objects and modules are not entered."""
    seen: dict[int, Any] = {}
    waiting = list(things)
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, ENDS) or id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, np.ndarray) or not (isinstance(thing, GENERATORS) or of_a_library(thing)):
            waiting.extend(inner(thing))  # += may be what the other makes of it
    return list(seen.values())


def of_a_library(thing: Any) -> bool:
    """Whether it is NumPy's or another library's own."""
    home = getattr(thing if inspect.isroutine(thing) else type(thing), "__module__", None)
    if not isinstance(home, str):  # compiled code may have a descriptor there
        return False
    return home.partition(".")[0] in ("numpy", "torch", "jax", "jaxlib", "scipy", "matplotlib", "threading", "logging")


def of_installed(thing: Any) -> bool:
    """Whether a class or a function is of no module of the user's."""
    return is_installed(sys.modules.get(thing.__module__ or "builtins"))


def is_installed(module: Any) -> bool:
    """Whether a module is one of Python, of an installed package, or of this one: none of the user's."""
    name, file = getattr(module, "__name__", ""), getattr(module, "__file__", None)
    if name.partition(".")[0] in ("numpy_nn", *sys.builtin_module_names):
        return True
    return file is not None and file.startswith(INSTALLED)


GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
METHODS = (FunctionType, *GENERATORS)


def methods_around(*things: Any) -> list[Any]:
    """The methods, and the generators, that the user's classes have of what can be reached from these."""
    kinds = {kind: 0 for part in reachable(*things) for kind in type(part).__mro__ if not of_installed(kind)}
    return [method for kind in kinds for method in vars(kind).values() if isinstance(method, METHODS)]


def find_generators(*things: Any) -> list[Any]:
    """Every random generator that can be reached from these."""
    return [thing for thing in reachable(*things) if isinstance(thing, GENERATORS)]


def restorer(generator: Any) -> Restorer:
    """A function that has the generator draw again what it draws from now on."""
    if isinstance(generator, np.random.Generator):
        bits, state = generator.bit_generator, copy.deepcopy(generator.bit_generator.state)
        return lambda: setattr(bits, "state", state)
    if isinstance(generator, np.random.RandomState):
        return partial(generator.set_state, generator.get_state())
    return partial(generator.setstate, generator.getstate())


def is_generator(given: Any) -> bool:
    """Whether ``restorer`` can have it draw again: one of NumPy's or the standard library's, or ``random`` itself."""
    return isinstance(given, GENERATORS) or given is random


def global_generators() -> list[Any]:
    """The generators of the modules ``numpy.random`` and ``random``."""
    return [np.random.mtrand._rand, random._inst]


def generators_from(function: Any) -> list[Any]:
    """Those from which a function may draw, by whatever it refers to or wraps, and the global ones."""
    while (inner := attributes(function).get("func")) is not None:
        function = inner
    return [*global_generators(), *find_generators(function)]


def equal(first: Any, second: Any) -> bool:
    """Whether two arrays have the same shape and the same numbers, with NaN where the other has NaN."""
    try:
        first, second = np.asarray(first), np.asarray(second)
    except ValueError:
        return False  # what is ragged is no array
    if first.shape == second.shape:
        # Of a few numbers the bytes are compared sooner than NumPy is called.
        if first.nbytes <= FEW_BYTES and first.dtype == second.dtype and first.tobytes() == second.tobytes():
            return True
        # Looking for NaN takes several times as long as comparing, and hardly ever finds any.
        if not np.count_nonzero(first != second):
            return True
    return np.array_equal(first, second, equal_nan=not {first.dtype.kind, second.dtype.kind} & set("OSU"))


class Snapshot:
    """The state of everything that can be reached from ``things``; :meth:`restore` puts it back.

    Containers and objects get back what they held, arrays and generators their values, names outside of functions, and
    their defaults, what they were bound to. An array that code has replaced by another is the old one again.
    """

    def __init__(self, *things: Any) -> None:
        self._restorers: list[Restorer] = []
        for thing in reachable(*things):
            self._save(thing)

    def restore(self) -> None:
        """Put back what was there when the snapshot was made."""
        for restore in self._restorers:
            restore()

    def _save(self, thing: Any) -> None:
        if isinstance(thing, GENERATORS):
            self._restorers.append(restorer(thing))
        elif isinstance(thing, np.ndarray):
            if thing.flags.writeable and (thing.dtype == object or not thing.dtype.hasobject):
                self._restorers.append(partial(np.copyto, thing, thing.copy()))
        elif isinstance(thing, dict):
            self._restorers.append(partial(_refill, thing, dict(thing)))
        elif isinstance(thing, (list, deque)):
            self._restorers.append(partial(_fill, thing, list(thing)))
        elif inspect.isfunction(thing):
            named: list[Binding | Default] = [*bindings(thing).values(), *defaults(thing).values()]
            self._restorers += [partial(name.bind, name.read()) for name in named]
        elif not inspect.isroutine(thing) and attributes(thing):
            self._restorers.append(_attribute_restorer(thing))


def _fill(held: list[Any] | deque[Any], parts: Sequence[Any]) -> None:
    if not _are_same(held, parts):  # what is as it was need not be written to, and one that is frozen cannot be
        held.clear()
        held.extend(parts)


def _refill(held: dict[Any, Any], kept: dict[Any, Any]) -> None:
    if not (_are_same(held, kept) and _are_same(held.values(), kept.values())):
        held.clear()
        held.update(kept)


def _are_same(now: Collection[Any], before: Collection[Any]) -> bool:
    return len(now) == len(before) and all(map(is_, now, before))


def _attribute_restorer(thing: Any) -> Restorer:
    kind: Any = type(thing)
    kept = dict(getattr(thing, "__dict__", {}))
    in_slots = {name: getattr(thing, name) for name in slots(kind) if hasattr(thing, name)}

    def restore() -> None:
        if hasattr(thing, "__dict__"):
            _refill(thing.__dict__, kept)
        for name in slots(kind):
            if name in in_slots:
                object.__setattr__(thing, name, in_slots[name])
            elif hasattr(thing, name):
                object.__delattr__(thing, name)

    return restore
