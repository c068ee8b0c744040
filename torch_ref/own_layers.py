"""A reader's own layer in torch: its own ``forward``, run on tensors, with the twins of the layers that it holds."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

import numpy_nn as nn
from numpy_nn.layers.composition import NOT_COPIED

# What numpy_nn's layers, tensors and arrays with bounds have in common.
WRITTEN_WITH = (
    "layers held in attributes, lists or dicts (nn.Tanh() for np.tanh), the data of parameters, "
    "+ - * / @, sum, mean, reshape, T and slices"
)


class NoCounterpartError(TypeError):
    """A formula of a layer of one's own that cannot be run on what stands for its arrays."""


def has_own_forward(layer: nn.Layer) -> bool:
    """Whether a layer's forward is the reader's own, not one of numpy_nn's that it has inherited."""
    return not inspect.unwrap(type(layer).forward).__module__.startswith("numpy_nn.")


class Stand:
    """What stands for a parameter in a formula: its ``data``, and the ``grad`` that backward writes."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.grad: Any = None

    @property
    def shape(self) -> Any:
        """The shape of the data."""
        return self.data.shape

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a parameter is no array; write p.data")


def stand_in(layer: nn.Layer, held: dict[int, Any], convert: Callable[[Any], Any]) -> Any:
    """A copy of a layer, for its formulas: with ``held`` by the id of what it stands for, the rest converted."""

    def standing(value: Any) -> Any:
        if id(value) in held:
            return held[id(value)]
        if isinstance(value, dict):
            return {key: standing(part) for key, part in value.items()}
        if type(value) in (list, tuple):
            return type(value)(standing(part) for part in value)
        return convert(value)

    made: Any = object.__new__(type(layer))
    # Not by setattr, which would look for layers and parameters.
    made.__dict__.update({name: standing(value) for name, value in vars(layer).items() if name not in NOT_COPIED})
    return made


@contextmanager
def refused(layer: nn.Layer, formula: Any, run_on: str) -> Iterator[None]:
    """NoCounterpartError, with the line of the reader's code, for what that line cannot do."""
    try:
        yield
    except NoCounterpartError:
        raise
    except (TypeError, RuntimeError, AttributeError) as error:
        file, line, step = formula.__code__.co_filename, formula.__name__, error.__traceback__
        while step is not None:
            code = inspect.getframeinfo(step).code_context if step.tb_frame.f_code.co_filename == file else None
            line, step = (code[0].strip() if code else line), step.tb_next
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        words = f"'{line}' cannot be run on {run_on}: {reason}; expected {formula.__name__} written with {WRITTEN_WITH}"
        raise NoCounterpartError(f"{layer.label}: {words}") from error


class PlainTensor(Tensor):
    """A tensor that NumPy's functions refuse: they would take some, and lose what autograd has to know of them."""

    __array_ufunc__ = None

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a tensor made an array")


class OwnLayer(torch.nn.Module):
    """The module of a layer of one's own, with parameters, buffers and modules by the names that the layer has.

    Its forward is the layer's formula, with a copy of the layer for ``self`` in which twins stand for the layers that
    it holds and tensors for its arrays. Calling it raises a TypeError for a formula that cannot be run on tensors.
    """

    def __init__(self, layer: nn.Layer, held: dict[int, Any], twin: Callable[[nn.Layer], Any], device: Any) -> None:
        """``twin`` makes the module of a layer inside; ``held`` has what stands for layers and parameters so far."""
        super().__init__()
        inside = {id(p) for _, child in layer.named_children() for _, p in child.named_parameters()}
        for name, p in layer.named_parameters():
            if id(p) not in inside:
                held[id(p)] = Stand(torch.nn.Parameter(torch.tensor(p.data, device=device)))
                _place(self, name, held[id(p)].data)
        for name, array in layer.own_buffers():
            self.register_buffer(name, torch.tensor(array, device=device))
        for name, child in layer.named_children():
            if id(child) not in held:
                held[id(child)] = twin(child)
                held[id(child)].register_forward_hook(_own_output)
                _place(self, name, held[id(child)])
        self._layer = stand_in(layer, held, lambda value: _tensor(value, device))
        self._formula = inspect.unwrap(type(layer).forward)
        self.training = layer.training

    def forward(self, x: Tensor) -> Tensor:
        """The layer's own formula."""
        state = vars(self._layer)
        x = x.as_subclass(PlainTensor)
        state.update(self.named_buffers(recurse=False), training=self.training, saved=x)
        with refused(self._layer, self._formula, "tensors"):
            output = self._formula(self._layer, x)
            if not isinstance(output, Tensor):
                raise TypeError(f"it makes {type(output).__name__} of a tensor")
        for name in [name for name, _ in self.named_buffers(recurse=False)]:
            setattr(self, name, state[name])
        return output.as_subclass(Tensor)


def _own_output(_: Any, __: Any, output: Tensor) -> Tensor:
    """What a layer returns is the caller's, to change as well, which autograd forbids of some outputs."""
    return output.clone()


def _place(module: torch.nn.Module, name: str, thing: Any) -> None:
    """Set a module or parameter by its path: that of "steps.0" in a module "steps"."""
    *path, last = name.split(".")
    for step in path:
        if step not in dict(module.named_children()):
            setattr(module, step, torch.nn.Module())
        module = getattr(module, step)
    setattr(module, last, thing)


def _tensor(value: Any, device: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.tensor(value, device=device)
    # The layer's own generator would be moved on by the twin's calls.
    return copy.deepcopy(value) if isinstance(value, np.random.Generator) else value
