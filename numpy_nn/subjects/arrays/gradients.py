"""Which of the arrays that a backward pass returns or leaves behind is the gradient of which parameter."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numpy_nn.parameter import Parameter
from numpy_nn.subjects.arrays.places import (
    PARAMETER_VALUES,
    Path,
    Step,
    follow,
    in_order,
    last_name,
    parsed,
    parts_of_array,
    places_of_gradients,
    written,
)
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.names import (
    CACHE,
    GRADIENT_CONTAINERS,
    INPUT_GRADIENTS,
    PARAMETER_GRADIENTS,
    is_gradient_of,
    plain,
    role,
)
from numpy_nn.subjects.state import equal, of_a_library, reachable

# Below it a match rests on a shape, or on a name that may mean something else: numbers must speak for it.
SURE = 0.8
# What is returned in the place of an argument: surely its gradient, or, where there are fewer gradients than arguments
# or several places for them, so likely that the numbers must speak.
IN_ORDER, PERHAPS = 0.9, 0.7
# How much less likely the same name is where it stands in something of another name.
OF_ANOTHER = 0.99
# How surely what is called as the gradients of weights has those of all: less than what has the name of a parameter.
OF_WEIGHTS = 0.84

# What an inverse FFT leaves of an imaginary part, by rounding, is a smaller share of a gradient than this.
IMAGINARY = 1e-6


class Leaf(NamedTuple):
    """One array that a backward pass returns (``returned``) or leaves in its object, by its path."""

    returned: bool
    path: Path
    value: NDArray[Any]
    is_new: bool

    def __str__(self) -> str:
        return f"the returned {written(self.path)}".rstrip() if self.returned else written(self.path)

    def read(self, returned: Any, owner: Any) -> Any:
        """The array of the last backward pass, whose result is ``returned``; None if there is none."""
        try:
            found = follow(returned if self.returned else owner, self.path)
        except (LookupError, AttributeError, TypeError):
            return None
        if type(found) is np.ndarray and found.dtype.kind == "f":  # as most are: of the rest more is asked
            return found
        return without_imaginary_part(without_mask(found))


class ParameterGradient(NamedTuple):
    """The gradient of a parameter of numpy_nn, which the parameter itself keeps."""

    parameter: Parameter

    def read(self, *_: Any) -> Any:
        """The array of the last backward pass, whatever it has returned."""
        return self.parameter.grad


class SumOfUses(NamedTuple):
    """The gradient of an array that is used in several places, of which each keeps that of its own use."""

    parts: tuple[Leaf, ...]

    def __str__(self) -> str:
        return " + ".join(map(str, self.parts))

    def read(self, returned: Any, owner: Any) -> Any:
        """The sum of the arrays of the last backward pass; None if one is not there."""
        values = [part.read(returned, owner) for part in self.parts]
        return None if any(value is None for value in values) else sum(map(np.asarray, values))


def leaves(returned: Any, owner: Any, before: Mapping[str, tuple[Any, NDArray[Any]]]) -> list[Leaf]:
    """Every array after a backward pass; ``before`` has those of the object by path as they were: ``values_of``."""
    own = {id(thing) for thing in reachable(owner)}
    found = [Leaf(True, path, value, True) for path, value in _flat(returned, (), own)]
    # By every name that it has: that of a list of layers says nothing to a parameter that was found in a dict.
    for place in places_of_gradients(owner):
        value = np.asarray(place.read())
        if value.dtype.kind == "f" or value.ndim:
            old = before.get(written(place.path))
            is_new = old is None or old[0] is not place.read() or not equal(old[1], value)
            found.append(Leaf(False, place.path, value, is_new))
    return found


def values_of(owner: Any) -> dict[str, tuple[Any, NDArray[Any]]]:
    """Every array in an object, by path, and a copy of it."""
    return {written(place.path): (held := place.read(), np.array(held)) for place in places_of_gradients(owner)}


def _flat(returned: Any, path: Path, own: set[int]) -> Iterator[tuple[Path, NDArray[Any]]]:
    """The arrays in what was returned, by their paths; of an object its attributes, unless it is one of the ``own``."""
    if isinstance(returned, Mapping):
        for key, value in returned.items():
            yield from _flat(value, (*path, Step(key, True)), own)
    elif isinstance(returned, (list, tuple, deque)) and not is_numbers(returned):
        for index, value in in_order(returned):
            yield from _flat(value, (*path, Step(index, True)), own)
    elif isinstance(returned, np.ndarray) and (returned.dtype == object or returned.dtype.names):
        for key, value in parts_of_array(returned):
            yield from _flat(value, (*path, Step(key, True)), own)
    elif isinstance(returned, (np.ndarray, np.generic, float, int)) and not isinstance(returned, bool):
        yield path, np.asarray(without_mask(returned))
    elif isinstance(returned, (list, tuple)):
        yield path, np.asarray(returned, np.float64)
    elif id(returned) not in own and not of_a_library(returned):
        for name, value in attributes(returned).items():
            yield from _flat(value, (*path, Step(name, False)), {*own, id(returned)})


def without_mask(value: Any) -> Any:
    """What is masked in an array of such is no number, and a gradient that has none is 0."""
    return value.filled(0.0) if isinstance(value, np.ma.MaskedArray) and value.dtype.kind == "f" else value


def without_imaginary_part(value: Any) -> Any:
    """What an inverse FFT leaves complex, as real numbers; TypeError if it has more than rounding beside them."""
    if not np.iscomplexobj(value):
        return value
    if np.abs(np.imag(value)).max(initial=0.0) > IMAGINARY * np.abs(value).max(initial=0.0):
        raise TypeError("expected a gradient of real numbers, got complex ones: check by the real and imaginary parts")
    return np.real(value)


def listed(returned: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """A tuple of as many numbers as the one array has that there is, as the list of them, which is its gradient."""
    alone = len(arrays) == 1 and isinstance(returned, tuple) and len(returned) > 1
    if alone and [(len(returned),)] == [array.shape for array in arrays.values()]:
        return list(returned) if all(np.ndim(number) == 0 for number in returned) else returned
    return returned


def is_numbers(returned: Sequence[Any]) -> bool:
    """Whether a list is an array written as nested lists of numbers."""
    if not isinstance(returned, list) or not returned:
        return False
    return all(
        (isinstance(value, (float, int)) and not isinstance(value, bool))
        or (isinstance(value, list) and is_numbers(value))
        for value in returned
    )


def likeness(parameter: Path, leaf: Leaf, shape: tuple[int, ...]) -> float:
    """How likely a leaf is the gradient of the parameter: from its name and place, 1 for the usual ones, else less."""
    likely = _returned(parameter, leaf.path) if leaf.returned else _beside(parameter, leaf.path)
    # One number that is kept may be anything: an epsilon's gradient is none of those that happen to be one number.
    may_be_by_shape = leaf.is_new and (leaf.returned or shape != ())
    if likely == 0.0 and leaf.is_new and not leaf.returned and leaf.path[:-1]:
        *home, cache, name = leaf.path
        if home == [*parameter[:-1]] and isinstance(cache.key, str) and role(cache.key) == CACHE:  # W and cache["dW"]
            likely = 0.95 * is_gradient_of(name.key, parameter[-1].key)
    if likely == 0.0 and may_be_by_shape and same_but_ones(leaf.value.shape, shape):
        return 0.2 + 0.1 * leaf.returned
    return likely


def likeness_of(paths: Sequence[Path], shape: tuple[int, ...], *, is_setting: bool) -> Callable[[Leaf], float]:
    """The same for a parameter by each of its paths; of a number ``is_setting`` says that only a name tells."""
    least = SURE if is_setting and shape == () else 0.0

    def like(leaf: Leaf) -> float:
        likely = max(likeness(path, leaf, shape) for path in paths)
        return likely if likely >= least else 0.0

    return like


def _returned(parameter: Path, path: Path) -> float:
    """For a dict that was returned, by its keys."""
    if not path or not isinstance(path[-1].key, (str, tuple)):
        return 0.0
    key = path[-1].key
    names = [step.key for step in parameter if step.key not in PARAMETER_VALUES] or [parameter[-1].key]
    if key == written(parameter):
        return 1.0
    likely = 1.0 if key == names[-1] else is_gradient_of(key, names[-1])
    if len(path) == 1 or len(names) == 1:
        return likely
    # grads["layer1"]["W"] is that of params["layer1"]["W"] rather than of another layer's W, in whatever order.
    inside = path[-2].key == names[-2]
    return min(1.0, likely + 0.01) if inside else likely * (OF_ANOTHER if isinstance(path[-2].key, str) else 1.0)


def _beside(parameter: Path, path: Path) -> float:
    """For an array that is kept in the object itself."""
    (*home, last), (*place, name) = parameter, path
    if place == [*parameter] and not name.is_item and plain(name.key) in PARAMETER_GRADIENTS:
        return 1.0  # W.grad of an array W
    if home == place:
        if last.key in PARAMETER_VALUES and plain(name.key) in PARAMETER_GRADIENTS:
            return 1.0
        return is_gradient_of(name.key, last.key)
    if len(path) == len(parameter):
        differ = [i for i, (a, b) in enumerate(zip(parameter, path, strict=True)) if a.key != b.key]
        if len(differ) == 1:  # W[0] and dW[0], params["W"] and grads["W"]
            a, b = parameter[differ[0]].key, path[differ[0]].key
            return max(is_gradient_of(b, a), _of_whatever(b))
        if len(differ) == 2 and differ[1] == len(path) - 1:  # params["W"] and grads["dW"]
            a, b = parameter[differ[0]].key, path[differ[0]].key
            if plain(b) in GRADIENT_CONTAINERS or is_gradient_of(b, a):
                return 0.95 * is_gradient_of(name.key, last.key)
    if len(path) == len(parameter) + 1 and home == place[:-1] and plain(place[-1].key) in GRADIENT_CONTAINERS:
        return 0.9 * (1.0 if name.key == last.key else is_gradient_of(name.key, last.key))  # W and grads["W"]
    if len(path) == len(parameter) + 1 and home == place[:-1] and name == Step(0, True):
        return 0.9 * is_gradient_of(place[-1].key, last.key)  # W and W_gradients[0], to which backward appends
    if len(path) == len(parameter) - 1 and home[:-1] == place:
        return 0.9 * is_gradient_of(name.key, last.key)  # params["W"] and dW
    return 0.0


def _of_whatever(container: Any) -> float:
    """How surely what is called so has the gradients of whatever there is; less so if it may be those of weights."""
    if plain(container) not in GRADIENT_CONTAINERS:
        return 0.0
    return OF_WEIGHTS if is_gradient_of(container, "weights") else 0.95


def input_likeness(name: str, leaf: Leaf, shape: tuple[int, ...], alone: bool) -> float:
    """The same for the gradient of an argument called ``name``; ``alone`` says that it is the only thing returned."""
    key = leaf.path[-1].key if leaf.path else None
    if leaf.returned:
        if not leaf.path:
            return 1.0
        if isinstance(key, str) and (key == name or is_gradient_of(key, name) or plain(key) in INPUT_GRADIENTS):
            return 1.0
        first = all(step.key == 0 for step in leaf.path)
        return 0.9 if first and same_but_ones(leaf.value.shape, shape) and not alone else 0.0
    if len(leaf.path) != 1:
        return 0.0
    if is_gradient_of(key, name) or plain(key) in INPUT_GRADIENTS:
        return 0.7 if leaf.is_new and leaf.value.shape == shape else 0.0
    return 0.1 if leaf.is_new and leaf.value.shape == shape else 0.0


def at_most_perhaps(like: Callable[[Leaf], float], shape: tuple[int, ...]) -> Callable[[Leaf], float]:
    """The same likeness where a place among others says little: any of the shape may be meant, and none is likelier."""

    def weaker(leaf: Leaf) -> float:
        in_place = leaf.returned and bool(leaf.path) and not isinstance(leaf.path[-1].key, str)
        least = 0.3 if leaf.value.shape == shape else 0.0
        return max(min(like(leaf), PERHAPS), least) if in_place else like(leaf)

    return weaker


class Order(NamedTuple):
    """In which order a backward pass returns the gradients of its arguments: their places by name, and how surely."""

    places: Mapping[str, int]
    likely: float
    is_usual: bool

    @property
    def in_order(self) -> list[str]:
        """The arguments as their gradients are returned."""
        return sorted(self.places, key=self.places.__getitem__)


def order_of(wanted: Mapping[str, tuple[int, ...] | None], returned: Any, told: Sequence[str]) -> Order:
    """The order of the arguments, unless names or shapes tell another.

    ``wanted`` has the shapes of the arguments in their order, None for one that is no array; ``told`` what the source
    calls the things that it returns. An order is not sure where several have the shapes, or fewer are returned.
    """
    usual = {name: i for i, name in enumerate(wanted)}
    if not isinstance(returned, (list, tuple)) or len(wanted) < 2:
        return Order(usual, IN_ORDER, True)
    named = {of: i for i, name in enumerate(told) for of in wanted if is_gradient_of(name, of) >= SURE}
    if len(named) == len(told) == len(returned):
        return Order(named, IN_ORDER, all(usual[name] == i for name, i in named.items()))
    shapes = [np.shape(part) if isinstance(part, np.ndarray) else None for part in returned]

    def fits(order: Mapping[str, int]) -> bool:
        pairs = [(wanted[name], shapes[i]) for name, i in order.items() if i < len(shapes)]
        return all(of is None or shape is None or same_but_ones(of, shape) for of, shape in pairs)

    fewer = len(returned) < len(wanted)
    if fits(usual) or None in wanted.values() or None in shapes or len(returned) > len(wanted) or len(wanted) > 6:
        return Order(usual, PERHAPS if fewer else IN_ORDER, True)
    others = [dict(zip(names, range(len(returned)), strict=True)) for names in permutations(wanted, len(returned))]
    others = [order for order in others if fits(order)]
    if not others:
        return Order(usual, IN_ORDER, True)
    return Order(others[0], IN_ORDER if len(others) == 1 else PERHAPS, False)


def matched(
    wanted: Mapping[str, tuple[tuple[int, ...], Callable[[Leaf], float]]],
    found: Sequence[Leaf],
    agrees: Callable[[str, Leaf], bool],
) -> dict[str, Leaf]:
    """For each wanted gradient the leaf that is it: by name where that is sure, else by order and by its numbers.

    ``wanted`` has the shape of each array and how likely a leaf is its gradient. Names come first. Among what is left
    a leaf must have the shape; if the numbers of one agree with the function, it is that one, whatever the order; else
    the first of the right shape among those that were returned.
    """
    chosen: dict[str, Leaf] = {}
    free = list(found)
    # Of two whose name tells as much, the one of its shape: ``grads`` may be those of biases, beside ``wgrads``.
    ranked = sorted(
        (-like(leaf), not same_but_ones(leaf.value.shape, shape), i, j)
        for i, (shape, like) in enumerate(wanted.values())
        for j, leaf in enumerate(found)
    )
    names = list(wanted)
    for minus, _, i, j in ranked:
        if -minus >= SURE and names[i] not in chosen and any(leaf is found[j] for leaf in free):
            chosen[names[i]] = found[j]
            free = [leaf for leaf in free if leaf is not found[j]]
    for by_numbers in (True, False):
        for name in (name for name in names if name not in chosen):
            shape, like = wanted[name]
            candidates = [leaf for leaf in free if like(leaf) > 0.0 and same_but_ones(leaf.value.shape, shape)]
            candidates.sort(key=like, reverse=True)
            if by_numbers:
                named = [leaf for leaf in candidates if _is_called_after(leaf, name)]
                best = next((leaf for leaf in named or candidates if agrees(name, leaf)), None)
                if best is None and named:
                    # What agrees may be on the way to what is called after the parameter, and is wrong.
                    best = next((leaf for leaf in candidates if leaf.returned and agrees(name, leaf)), None)
            else:
                best = next((leaf for leaf in candidates if leaf.returned or like(leaf) >= 0.5), None)
            if best is not None:
                chosen[name] = best
                free = [leaf for leaf in free if leaf is not best]
    return chosen


def _is_called_after(leaf: Leaf, name: str) -> bool:
    """Whether the name of a parameter is a part of a leaf's, as in ``peso_cambio`` or ``cambioPeso``."""
    key = leaf.path[-1].key if leaf.path else None
    if not isinstance(key, str):
        return False
    parts, of = (re.sub("(?<=[a-z])(?=[A-Z])", "_", str(text)).lower() for text in (key, last_name(parsed(name))))
    return f"_{of}_" in f"_{parts}_"


def same_but_ones(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether two shapes are the same but for axes of length 1."""
    return [n for n in first if n != 1] == [n for n in second if n != 1]


def is_shape_of_jacobian(shape: tuple[int, ...], output: tuple[int, ...], array: tuple[int, ...]) -> bool:
    """Whether a Jacobian has this shape: the output's, then the array's, without axes of length 1 or each as one."""
    squeezed = [length for length in (*output, *array) if length != 1]
    return [length for length in shape if length != 1] == squeezed or shape == (math.prod(output), math.prod(array))


def is_jacobian(shape: tuple[int, ...], output: tuple[int, ...], array: tuple[int, ...]) -> bool:
    """Whether it is the shape of a Jacobian, or of one for each of the rows, which do not depend on each other."""
    return is_shape_of_jacobian(shape, output, array) or _is_of_rows(shape, output, array)


def _is_of_rows(shape: tuple[int, ...], output: tuple[int, ...], array: tuple[int, ...]) -> bool:
    return len(output) > 1 < len(array) and output[0] == array[0] and shape == (*output, *array[1:])


def times_jacobian(value: NDArray[Any], grad_output: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The gradient of the output times the Jacobian by an array of this shape; what is none as it is."""
    if grad_output.ndim == 0:
        return np.asarray(value * grad_output)  # whatever axes of length 1 it has lost
    if is_shape_of_jacobian(value.shape, grad_output.shape, shape):
        return np.asarray(grad_output.reshape(-1) @ value.reshape(grad_output.size, -1)).reshape(shape)
    if _is_of_rows(value.shape, grad_output.shape, shape):
        rows = grad_output.reshape(len(grad_output), -1)
        return np.asarray(np.einsum("nk,nkd->nd", rows, value.reshape(*rows.shape, -1))).reshape(shape)
    return value
