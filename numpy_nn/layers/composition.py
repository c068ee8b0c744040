"""What a layer is made of: its parameters and buffers, and the layers inside it, found in its attributes."""

from __future__ import annotations

import inspect
import os
import threading
from collections import UserDict, UserList, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numpy_nn._support import checkpoint
from numpy_nn._support.checks import float_dtype
from numpy_nn.parameter import Parameter, structure


class Composition:
    """A tree of layers, each of which holds parameters, buffers and further layers.

    A parameter or a layer is one that is an attribute, or that stands in a list, tuple or dict which is one. Where an
    element of such a list is replaced, ``parameters()`` sees it when it is called next; TypeError for one in a set, a
    deque or an array. Names are paths, as in torch: "weight", "fc.weight", "blocks.0.fc.weight". What stands in two
    places is found at the first.
    ``buffers`` names the attributes that are arrays of the state which are not learned.
    """

    buffers: ClassVar[tuple[str, ...]] = ()
    # Of a class, so that a layer of one's own that forgets super().__init__() has them too.
    training: bool = True
    name: str = ""  # its place in the network, such as "0" or "2.1"; the network fills it in

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__dict__.get("__slots__"):
            raise TypeError(f"{cls.__name__}: expected no __slots__, in which no parameter or layer would be found")

    def __setattr__(self, name: str, value: Any) -> None:
        old = self.__dict__.get(name)
        if isinstance(old, Parameter) and isinstance(value, np.ndarray):
            raise TypeError(f"{name}: expected a Parameter in the place of one, got an array; assign to {name}.data")
        if name == "requires_grad":
            raise AttributeError("requires_grad is a parameter's; requires_grad_(mode) sets it in all of a layer")
        if isinstance(value, HELD) or isinstance(old, HELD):
            structure.version += 1
        structure.settings += 1
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        structure.version += 1
        structure.settings += 1
        object.__delattr__(self, name)

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """The layers directly inside, with their names."""
        return self.found_in(vars(self))

    @staticmethod
    def found_in(attributes: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The layers among these, and in lists, tuples and dicts among them, with their names."""
        return _found(attributes, Composition)

    def has_lists(self) -> bool:
        """Whether the layer itself has a list or a dict of parameters or layers."""
        lists = {name: value for name, value in vars(self).items() if isinstance(value, (list, dict))}
        return any(True for kind in (Parameter, Composition) for _ in _found(lists, kind))

    def named_modules(self) -> Iterator[tuple[str, Any]]:
        """The layer itself, by the name "", and every layer in it, at any depth."""
        return self._walk("", set())

    def _walk(self, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
        if id(self) not in seen:
            seen.add(id(self))
            yield path, self
            for name, child in self.named_children():
                yield from child._walk(_joined(path, name), seen)

    def modules(self) -> Iterator[Any]:
        """The layer itself and every layer in it, at any depth."""
        yield self
        yield from self._modules_inside()

    def _modules_inside(self) -> list[Any]:
        """Every layer in it, from the last walk if nothing can have changed: a walk takes longer than a prediction."""
        walk = vars(self).get("_walk_before")
        if walk is not None and walk.version == structure.version:
            return walk.modules
        _, *modules = (module for _, module in self.named_modules())
        # In a list no layer notices another element, and a subclass may find its layers anew each time.
        if all(_finds_by_itself(module) and not module.has_lists() for module in (self, *modules)):
            self.__dict__["_walk_before"] = _Walk(structure.version, modules)
        return modules

    def _parameters_by_layer(self) -> Iterator[tuple[str, Any, dict[str, Parameter]]]:
        """Of the layer itself and every layer in it: its name, itself, and its own parameters by their names."""
        owners: dict[int, Any] = {}
        for path, module in self.named_modules():
            own: dict[str, Parameter] = {}
            for name, p in _found(vars(module), Parameter):
                if id(p) not in owners:
                    owners[id(p)], own[name] = module, p
                elif owners[id(p)] is not module:
                    raise ValueError(
                        f"{_joined(path, name)}: a parameter of {owners[id(p)].label} as well, and its gradient would "
                        "be that of one of the two; give each layer parameters of its own"
                    )
            yield path, module, own

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Pairs such as ("0.weight", p), layer by layer, in the order in which they were set.

        ValueError for a parameter that two layers share.
        """
        for path, _, own in self._parameters_by_layer():
            yield from ((_joined(path, name), p) for name, p in own.items())

    def parameters(self) -> Sequence[Parameter]:
        """The parameters, as a list that an optimizer takes."""
        return [p for _, p in self.named_parameters()]

    def zero_grad(self) -> None:
        """Set the ``grad`` of every parameter to 0, for code that was written for torch.

        Nothing here needs it: a backward pass overwrites the gradients of the one before.
        """
        for p in self.parameters():
            p.grad[...] = 0.0

    def requires_grad_(self, mode: bool = True) -> Self:
        """Have optimizers change all parameters, or none with ``False``; returns the layer."""
        for _, p in self.named_parameters():
            p.requires_grad = mode
        return self

    def learns(self) -> bool:
        """Whether there is any parameter."""
        return next(self.named_parameters(), None) is not None

    def own_buffers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """The buffers of the layer itself, those that are not None."""
        arrays = ((name, getattr(self, name)) for name in self.buffers)
        return ((name, array) for name, array in arrays if array is not None)

    def named_buffers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Pairs such as ("1.running_mean", array)."""
        for path, module in self.named_modules():
            yield from ((_joined(path, name), array) for name, array in module.own_buffers())

    def named_state(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """The arrays of parameters and buffers, not copies of them, layer by layer as in torch."""
        for path, module, own in self._parameters_by_layer():
            yield from ((_joined(path, name), p.data) for name, p in own.items())
            yield from ((_joined(path, name), array) for name, array in module.own_buffers())

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """A copy of every parameter and buffer by its name."""
        return {name: array.copy() for name, array in self.named_state()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Copy ``state`` into the layers. ValueError names every missing, unexpected or misshapen entry.

        Names, shapes and dtypes must be those of :meth:`state_dict`; nothing is changed if any is not. TypeError for
        what is no NumPy array, such as a tensor of torch's, whose weights lie the other way round.
        """
        own = dict(self.named_state())
        checkpoint.check_matches(state, own)
        for name, array in own.items():
            array[...] = state[name]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`state_dict` to an npz file, in one move: a reader finds the old file or the new one."""
        checkpoint.write(path, self.state_dict())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read what :meth:`save` wrote, into the same layers.

        ValueError if the file is damaged, was not written by :meth:`save`, or differs in a name, shape or dtype, all
        of which are listed; everything is then as it was.
        """
        state = checkpoint.read(path)
        try:
            self.load_state_dict(state)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None

    def train(self, mode: bool = True) -> Self:
        """Switch every layer to training mode; returns the layer."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Switch every layer to evaluation mode; returns the layer."""
        return self.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode inside a ``with``; on leaving, every layer gets its own mode back and forgets its input.

        One thread at a time: another one that comes here waits, also with another network, which may share layers.
        """
        with ONE_AT_A_TIME:
            modes = [(module, module.training) for module in self.modules()]
            if any(mode for _, mode in modes):
                self.eval()
            try:
                yield
            finally:
                for module, mode in modes:
                    if module.training != mode:
                        module.training = mode
                    _forget(module)

    def forget(self) -> None:
        """Have every layer drop what its last forward call left for a backward call, which then needs a new one."""
        for module in self.modules():
            _forget(module)

    def to(self, dtype: DTypeLike) -> Self:
        """Convert parameters, gradients and buffers of floats to float32 or float64; returns the layer."""
        resolved = float_dtype(dtype)
        for _, p in self.named_parameters():
            p.to(resolved)
        for module in self.modules():
            for name, buffer in module.own_buffers():
                if buffer.dtype.kind == "f":
                    setattr(module, name, buffer.astype(resolved))
            if not _computed(module, "dtype") and hasattr(module, "dtype"):
                module.dtype = resolved
        self.forget()
        return self

    def __getstate__(self) -> dict[str, Any]:
        # A copy begins before any forward call.
        return {name: value for name, value in vars(self).items() if name not in NOT_COPIED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        structure.version += 1
        structure.settings += 1


# What a forward call leaves, and what it and a copy must not both write to.
NOT_COPIED = ("saved", "_output", "_left_by", "_work", "_vector", "_plans", "_walk_before")
# What may be, or hold, a parameter or a layer.
HELD = (Parameter, Composition, list, tuple, dict)
# Not searched for them, so that what stands there is refused: not all of these have an order, or names.
NOT_SEARCHED = (set, frozenset, deque, UserList, UserDict, np.ndarray)
ONE_AT_A_TIME = threading.RLock()


class _Walk:
    """The layers that were found, at which version of the structure; no tuple, which would be searched for them."""

    def __init__(self, version: int, modules: list[Any]) -> None:
        self.version, self.modules = version, modules


def _finds_by_itself(module: Composition) -> bool:
    return module.named_children.__module__.startswith("numpy_nn.")


def _computed(module: Composition, name: str) -> bool:
    """Whether the attribute is a property without a setter, which follows from what else is converted."""
    found = inspect.getattr_static(type(module), name, None)
    return isinstance(found, property) and found.fset is None


def _forget(module: Any) -> None:
    state = vars(module)  # as the other way of setting looks for parameters
    state["saved"] = state["_output"] = None
    state.pop("_left_by", None)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _found(container: Any, kind: type) -> Iterator[tuple[str, Any]]:
    """What is of that kind among the values of a list, tuple or dict, or in lists, tuples and dicts among them."""
    for name, value in container.items() if isinstance(container, dict) else enumerate(container):
        if isinstance(value, kind):
            yield str(name), value
        elif isinstance(value, (list, tuple, dict)):
            yield from ((f"{name}.{inner}", found) for inner, found in _found(value, kind))
        elif isinstance(value, NOT_SEARCHED) and any(isinstance(item, kind) for item in _items(value)):
            held = type(value).__name__
            raise TypeError(f"{name}: expected a list, tuple or dict of parameters and layers, got a {held} of them")


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, np.ndarray):
        return value.flat if value.dtype == object else ()
    return value.values() if isinstance(value, Mapping) else value
