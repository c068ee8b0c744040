"""Where code keeps its numbers: every array and number in an object, with the path that leads to it."""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numpy_nn.layers.composition import Composition
from numpy_nn.parameter import Parameter
from numpy_nn.subjects.attributes import attributes, set_attribute
from numpy_nn.subjects.names import OUTPUTS, plain, tells_gradients
from numpy_nn.subjects.state import GENERATORS, of_installed


class Step(NamedTuple):
    """One step of a path: to an attribute, or to an item of a container."""

    key: Any
    is_item: bool


Path = tuple[Step, ...]


class Field(int):
    """The place of a part in a tuple that has names for its parts: a number as of any other, with the name."""

    def __new__(cls, place: int, _name: str) -> Field:
        return super().__new__(cls, place)

    def __init__(self, _place: int, name: str) -> None:
        self.name = name


def in_order(values: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """The parts of a list or a tuple by their places."""
    named = getattr(values, "_fields", None) if isinstance(values, tuple) else None
    for place, value in enumerate(list(values)):
        yield place if named is None else Field(place, named[place]), value


def written(path: Path) -> str:
    """The path as one writes it in Python: ``layers[0].params['W']``."""
    text = "".join(_written(step.key, step.is_item) for step in path)
    return text.removeprefix(".")


def _written(key: Any, is_item: bool) -> str:
    if isinstance(key, Field):
        return f".{key.name}"
    return f"[{key!r}]" if is_item else f".{key}"


def parsed(text: str) -> Path:
    """The path that ``text`` is; a key after a dot may be that of a dict: ``grads.W`` as well as ``grads['W']``."""
    steps = []
    for name, key in re.findall(r"""([^.\[\]]+)|\[('[^']*'|"[^"]*"|-?\d+|\([^()]*\))\]""", text):
        steps.append(Step(name, False) if name else Step(ast.literal_eval(key), True))
    return tuple(steps)


def follow(root: Any, path: Path) -> Any:
    """What the path leads to from ``root``. LookupError if it leads nowhere."""
    thing = root
    for key, is_item in path:
        found = _NOTHING if is_item else getattr(thing, str(key), _NOTHING)
        if found is not _NOTHING:
            thing = found
        elif is_item or isinstance(thing, Mapping):
            thing = thing[key]
        else:
            raise LookupError(f"{type(thing).__name__} has no {key}")
    return thing


_NOTHING = object()


class Place:
    """One number or array that can be reached from ``root``: read it, or put another in its place."""

    def __init__(self, root: Any, path: Path) -> None:
        self.root, self.path = root, path

    def __str__(self) -> str:
        # What a parameter object holds goes by the object's name.
        path = self.path
        if len(path) > 1 and not path[-1].is_item and path[-1].key in PARAMETER_VALUES:
            path = path[:-1]
        return written(path)

    @property
    def owner(self) -> Any:
        """The object or container that holds it."""
        return follow(self.root, self.path[:-1])

    def read(self) -> Any:
        """What is there now."""
        return follow(self.root, self.path)

    def held(self) -> tuple[int, int]:
        """Which object is there, and how long the list is that holds it: one that grows at each call is a history."""
        value, owner = self.read(), self.owner
        # A field of an array is another object each time it is asked for.
        is_field = isinstance(owner, np.ndarray) and owner.dtype.names is not None
        which = value.__array_interface__["data"][0] if is_field else id(value)
        return which, len(owner) if isinstance(owner, (list, deque)) else 0

    def exists(self) -> bool:
        """Whether the path still leads somewhere."""
        try:
            self.read()
        except (LookupError, AttributeError, TypeError):
            return False
        return True

    def has_another(self, value: Any) -> bool:
        """Whether the path leads somewhere, and to another thing than this."""
        try:
            return self.read() is not value
        except (LookupError, AttributeError, TypeError):
            return False

    def put(self, value: Any) -> None:
        """Have the code find ``value`` there. TypeError where nothing can be put."""
        owner, (key, is_item) = self.owner, self.path[-1]
        if isinstance(owner, Parameter):
            owner.data[...] = value
        elif isinstance(owner, np.ndarray) and is_item:
            owner[key] = value  # an array of objects, or one with fields
        elif isinstance(owner, (MutableMapping, MutableSequence)) and (is_item or not hasattr(owner, str(key))):
            owner[key] = value
        elif isinstance(owner, tuple):
            self.read()[...] = value
        else:
            set_attribute(owner, key, value)

    def put_array(self, array: NDArray[Any]) -> None:
        """Have the code find this array there, or the number in it where a number was."""
        held = self.read()
        if held is array:
            return
        if not array.ndim and not (isinstance(held, np.ndarray) and not held.ndim):
            self.put(array.item())
        elif not isinstance(held, np.ndarray) or held.ndim != array.ndim or not _same_memory(held, array):
            self.put(array)


def _same_memory(first: NDArray[Any], second: NDArray[Any]) -> bool:
    one, other = first.__array_interface__, second.__array_interface__
    return first.dtype == second.dtype and first.shape == second.shape and one["data"] == other["data"]


# How people name what a parameter object of their own holds, beside its gradient.
PARAMETER_VALUES = ("value", "data", "val", "array", "values", "param", "v")


def last_name(path: Path) -> Any:
    """What is there is called: of a parameter object, that."""
    keys = [step.key for step in path if step.key not in PARAMETER_VALUES]
    return keys[-1] if keys else path[-1].key


def places(root: Any, *, repeated: bool = False, kinds: str = "fiu", whole: bool = False) -> Iterator[Place]:
    """Every array of numbers and every float in ``root``, in the order in which they were set.

    Each object once, an array with ``repeated`` wherever it is held. ``kinds`` are those of NumPy's dtypes; with
    ``whole`` every int comes too.
    """
    seen: set[int] = set()
    fields: list[NDArray[Any]] = []  # they are made by being asked for: kept, so that no two get one id
    found: list[Place] = []

    def walk(thing: Any, path: Path) -> None:
        if isinstance(thing, np.ndarray):
            for key, value in parts_of_array(thing):
                fields.append(value)
                walk(value, (*path, Step(key, True)))
            if thing.dtype.kind in kinds and thing.size and (repeated or id(thing) not in seen):
                seen.add(id(thing))
                found.append(Place(root, path))
            # One of a kind of its own may keep its gradient, which is often of that kind, and is entered no further.
            for name, value in () if type(thing) is np.ndarray else attributes(thing).items():
                if isinstance(value, np.ndarray):
                    fields.append(np.asarray(value))
                    walk(fields[-1], (*path, Step(name, False)))
            return
        if isinstance(thing, (float, np.floating)) or (whole and type(thing) is int):
            found.append(Place(root, path))
            return
        if isinstance(thing, _WITHOUT_NUMBERS) or id(thing) in seen:
            return
        seen.add(id(thing))
        if isinstance(thing, Parameter):
            found.append(Place(root, (*path, Step("data", False))))
        elif isinstance(thing, (dict, Mapping)):
            for key, value in list(thing.items()):
                if not _is_made_of_numbers(key):
                    walk(value, (*path, Step(key, True)))
        elif isinstance(thing, (list, tuple, deque)):
            for index, value in in_order(thing):
                walk(value, (*path, Step(index, True)))
        else:
            for name, value in (class_values(thing) | attributes(thing)).items():
                walk(value, (*path, Step(name, False)))

    walk(root, ())
    return iter(found)


_WITHOUT_NUMBERS = (str, int, type(None), bytes, type, *GENERATORS)


def places_by_own_names(root: Any) -> list[Place]:
    """Every array and float once: of an array that is held in several places, one that is none for gradients.

    Such as of a layer that keeps ``grad["x"] = W`` for its backward pass.
    """
    found: dict[Any, tuple[Any, list[Place]]] = {}  # with what is there, so that no two get one id
    for place in places(root, repeated=True):
        value = place.read()
        found.setdefault(id(value) if isinstance(value, np.ndarray) else str(place), (value, []))[1].append(place)

    def is_for_gradients(place: Place) -> bool:
        return any(isinstance(step.key, str) and tells_gradients(step.key) for step in place.path)

    return [min(held, key=is_for_gradients) for _, held in found.values()]


def random_parameters() -> np.random.Generator:
    """What draws numbers for parameters: with a small seed they could be those of the user's data."""
    return np.random.default_rng(98291)


def put_random(root: Any, rng: np.random.Generator | None = None, only: Collection[str] = ()) -> None:
    """Have the arrays of floats in ``root``, those of these names or all, be of standard normal numbers."""
    rng = random_parameters() if rng is None else rng
    for place in list(places(root, kinds="f")):
        if (shape := np.shape(place.read())) and (not only or str(place) in only):
            place.put_array(rng.standard_normal(shape))


def places_of_gradients(owner: Any) -> Iterator[Place]:
    """Where an object may keep gradients: every place, and beside a value of our own layers in it its gradient.

    Of a composition of ours those are known.
    """
    for place in places(owner, repeated=True):
        yield place
        if not isinstance(owner, Composition) and isinstance(place.owner, Parameter):
            yield Place(owner, (*place.path[:-1], Step("grad", False)))


def _is_made_of_numbers(key: Any) -> bool:
    """Whether a key is the bytes of an array, or has some: that of a result that is kept for these very numbers."""
    return isinstance(key, bytes) or (isinstance(key, tuple) and any(map(_is_made_of_numbers, key)))


def parts_of_array(array: NDArray[Any]) -> Iterator[tuple[Any, Any]]:
    """What an array of objects holds, or the fields of one that has some, each by its key; nothing of any other."""
    if array.dtype == object:
        for index, value in np.ndenumerate(array):
            yield index[0] if len(index) == 1 else index, value
    for name in array.dtype.names or ():
        yield name, array[name]


def class_values(thing: Any) -> dict[str, Any]:
    """The arrays among the attributes of an object's classes, and the floats of those that the user wrote.

    Another float is put into the object itself, where it hides that of the class.
    """
    found: dict[str, Any] = {}
    for kind in reversed(type(thing).__mro__):
        numbers = {name: value for name, value in vars(kind).items() if isinstance(value, _NUMBERS)}
        if any(not isinstance(value, np.ndarray) for value in numbers.values()) and of_installed(kind):
            numbers = {name: value for name, value in numbers.items() if isinstance(value, np.ndarray)}
        found |= numbers
    return found


_NUMBERS = (np.ndarray, float, np.floating)


def output_paths(owner: Any) -> list[Path]:
    """Where an object may have left its output: attributes by their usual names."""
    # Not by its places, of which an array that has two names has one: the identity's output is its input.
    numbers = {name for name, value in attributes(owner).items() if isinstance(value, (np.ndarray, np.number, float))}
    found: dict[str, Path] = {plain(name): (Step(name, False),) for name in attributes(owner) if name in numbers}
    return [found[name] for name in OUTPUTS if name in found]


def is_in_a_list_beside(place: Place, learned: Sequence[Place]) -> bool:
    """Whether a number is one of several in a list, where all that is learned are numbers in lists, or in a matrix.

    So does who writes without arrays; two numbers in a list beside arrays may be any setting.
    """
    if not learned:
        rows = place.path[-2:-1]
        return bool(rows) and rows[0].is_item and isinstance(rows[0].key, int) and isinstance(place.owner, list)
    lists = [other.owner for other in (place, *learned)]
    return all(
        isinstance(held, list) and len(held) > 1 and all(isinstance(number, float) for number in held) for held in lists
    )
