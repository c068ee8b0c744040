"""Layers in a list, one after the other, as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.arrays.nested import arrays_of
from numpy_nn.subjects.calls.dressing import in_training
from numpy_nn.subjects.calls.rates import rates_in
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import SubjectError


class LayersInOrder:
    """Layers one after the other, without a way back: whoever trains them has that in a loop."""

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers = layers

    def forward(self, x: Any) -> Any:
        """Through all of them; a layer whose forward pass returns nothing keeps its ``output``."""
        for layer in flat_layers(self.layers):
            forward = in_training(names.passes(layer)[0])
            result = forward(x)
            x = names.kept(layer, names.OUTPUTS) if result is None else result
        return x


class _WithAWayBack(LayersInOrder):
    def _back(self, grad_output: Any, *rate: Any) -> Any:
        gradients: list[Any] = []
        for layer in reversed(flat_layers(self.layers)):
            backward = names.passes(layer)[1]
            assert backward is not None
            result = backward(grad_output, *(rate if _takes_a_rate(layer) or _wants_two(layer) else ()))
            result = names.kept(layer, names.INPUT_GRADIENTS) if result is None else result
            grad_output, *others = result if isinstance(result, tuple) else (result,)
            gradients = [*(one for _, one in arrays_of(others)), *gradients]
        return (grad_output, gradients) if gradients else grad_output


class Chain(_WithAWayBack):
    """Layers one after the other, as one: those of a list, or of a list of pairs such as (layer, activation)."""

    def backward(self, grad_output: Any) -> Any:
        """Back through all of them; of a tuple the first is the gradient of the input, the rest those of parameters."""
        return self._back(grad_output)


class SteppingChain(_WithAWayBack):
    """The same of layers of which some want a learning rate in their backward passes."""

    def backward(self, grad_output: Any, learning_rate: Any) -> Any:
        """Back through all of them, with their steps."""
        return self._back(grad_output, learning_rate)


def chain_of(layers: Sequence[Any]) -> Chain | SteppingChain:
    """The layers as one."""
    return SteppingChain(layers) if any(map(_takes_a_rate, flat_layers(layers))) else Chain(layers)


def backward_of_layers(target: Any, forward: Callable[..., Any] | None, x: Any) -> Callable[..., Any] | None:
    """The way back through the one list of layers of an object, whose forward pass goes through these and no more.

    None if it has no such list, or goes another way; the loop is then in a step of training that cannot be called.
    """
    kept = [value for value in getattr(target, "__dict__", {}).values() if isinstance(value, (list, tuple)) and value]
    lists = [value for value in kept if all(None not in names.passes(layer) for layer in flat_layers(value))]
    if len(lists) != 1 or forward is None:
        return None
    chain = chain_of(lists[0])
    try:
        same = equal(np.asarray(forward(x)), np.asarray(chain.forward(x)))
    except (SubjectError, TypeError, ValueError, AttributeError):
        return None
    return chain.backward if same else None


def _takes_a_rate(layer: Any) -> bool:
    """Whether its backward pass takes a learning rate after the gradient, by default or not, and wants nothing else."""
    backward = names.passes(layer)[1]
    required, optional = (None if backward is None else positional(backward)) or ([], [])
    given = [*required, *optional][:2]
    return len(given) == 2 and len(required) in (1, 2) and rates_in(given) == given[1:]


def _wants_two(layer: Any) -> bool:
    """Whether its backward pass wants one thing beside the gradient: whoever goes back hands the rate to all alike."""
    return len((positional(names.passes(layer)[1] or len) or ([], []))[0]) == 2


def flat_layers(layers: Any) -> list[Any]:
    """The layers in a list of layers and of lists of them."""
    return [one for part in layers for one in (flat_layers(part) if isinstance(part, (tuple, list)) else [part])]
