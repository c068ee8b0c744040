"""A step's two passes as the list of array operations that they are, recorded while the formulas compute a batch.

At every batch of one shape a network does the same operations on the same arrays; only the numbers are others. In a
small network the Python that finds those arrays, checks them and chooses takes as long as a part of the operations; a
:class:`Plan` is run without it. When one is recorded and when it is used, says :mod:`numpy_nn.training.planned`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers import Layer
from numpy_nn.losses import Loss
from numpy_nn.network import Sequential
from numpy_nn.parameter import Parameter
from numpy_nn.training.recording import (
    Batch,
    Choice,
    NotRecordable,
    OfBatch,
    Operation,
    Recording,
    of_plan,
    plain,
    untold,
)


class Plan:
    """The operations of both passes for batches of one shape and type.

    ``forward`` ends with the terms of the loss, ``backward`` with the gradient of the first layer that learns.
    """

    def __init__(self, net: Sequential, loss: Loss, x: FloatArray, y: NDArray[Any]) -> None:
        """Record them; :class:`NotRecordable` if they cannot be run from a list."""
        self.loss = loss
        self._target = np.array(y)
        self._shapes, self._dtype = (x.shape, y.shape), x.dtype
        self._batch = Batch()
        self.forward: list[Operation | Choice] = []
        self.backward: list[Operation | Choice] = []
        before = [(vars(module), dict(vars(module))) for module in (net, *net.layers, loss)]
        try:
            self._record(net, x)
            self._keep_what_is_left(before, x)
        except BaseException:
            for state, old in before:  # of the formulas, which have computed this batch
                state.clear()
                state.update(old)
            raise
        self._calls = [[one.bound(self._batch) for one in part] for part in (self.forward, self.backward)]

    def _keep_what_is_left(self, before: list[tuple[dict[str, Any], dict[str, Any]]], x: FloatArray) -> None:
        # What the passes leave in layers and loss for whoever looks: alike at each batch, or a view of it.
        self._left: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._left_of_batch: list[tuple[dict[str, Any], str, Any]] = []
        for state, old in before:
            left = {name: of_plan(value) for name, value in state.items() if value is not old.get(name)}
            if "_left_by" in left:  # the workspace may be another forward pass's by then
                left["_left_by"] = None
            of_batch = {name for name, value in left.items() if _is_of_batch(value)}
            self._left.append((state, {name: value for name, value in left.items() if name not in of_batch}))
            self._left_of_batch += [(state, name, left[name]) for name in sorted(of_batch)]
        self._leave(x)

    def _record(self, net: Sequential, x: FloatArray) -> None:
        with untold(), _recorded_arrays(net, self.loss) as recording:
            self._terms = self._record_forward(net, recording, x)
            self.forward, recording.operations = recording.operations, []
            self._record_backward(net, recording)
            self.backward = recording.operations

    def _record_forward(self, net: Sequential, recording: Recording, x: FloatArray) -> FloatArray:
        activation: Any = recording.array(x, "x", OfBatch())
        state = vars(net)
        state["saved"] = activation
        for layer in net.layers:
            state = vars(layer)
            state["saved"] = activation
            activation = _formula(layer, "forward")(layer, activation)
            state["_output"] = activation.shape, activation.dtype
        vars(net)["_output"] = activation.shape, activation.dtype
        loss = self.loss
        loss.row_weights = loss.left_out = None
        terms = loss.terms(activation, recording.array(self._target, "y"))
        if loss.row_weights is not None or loss.left_out is not None:
            raise NotRecordable("weights of rows, which follow from the labels")
        loss._reduced(plain(terms))
        return plain(terms)

    def _record_backward(self, net: Sequential, recording: Recording) -> None:
        gradient = self.loss.gradient()
        grad_output: Any = recording.array(np.empty(gradient.shape, gradient.dtype), "dL/d(output)")
        self.loss._reduce_gradient(gradient, grad_output)
        first = net._first_that_learns()
        for layer in reversed(net.layers[first + 1 :]):
            grad_output = _formula(layer, "backward")(layer, grad_output)
        if first < len(net.layers):
            layer = net.layers[first]
            part = "backward_parameters" if "backward_parameters" in vars(type(layer)) else "backward"
            _formula(layer, part)(layer, grad_output)

    def fits(self, x: FloatArray, y: NDArray[Any]) -> bool:
        """Whether the batch has the shapes and types of that which was recorded."""
        return (x.shape, y.shape) == self._shapes and x.dtype is self._dtype and y.dtype is self._target.dtype

    def run(self, x: FloatArray, y: NDArray[Any]) -> float:
        """The loss of the batch; leaves gradients, layers and loss as the formulas do.

        Deviation, with the gradients undefined, if a choice comes out otherwise than when it was recorded. Then, and
        where NumPy or the user breaks it off, a backward call needs a forward call before it.
        """
        self._batch.x = x
        try:
            np.copyto(self._target, y)
            forward, backward = self._calls
            for call in forward:
                call()
            loss = self.loss
            loss.row_weights = loss.left_out = None  # which the batch before may have had
            value: float = loss._reduced(self._terms)
            for call in backward:
                call()
        except BaseException:
            for state, _ in self._left[:-1]:
                state["_output"] = None
            self.loss._terms_shape = None
            raise
        finally:
            del self._batch.x  # it is the caller's, who may forget it
        self._leave(x)
        return value

    def _leave(self, x: FloatArray) -> None:
        for state, left in self._left:
            state.update(left)
        for state, name, value in self._left_of_batch:
            state[name] = _for_batch(value, x)

    def __str__(self) -> str:
        """The operations, a line each."""
        parts = (("forward", self.forward), ("backward", self.backward))
        return "\n".join(f"{name}\n" + "\n".join(f"  {one.words}" for one in part) for name, part in parts)


def _formula(layer: Layer, name: str) -> Callable[..., Any]:
    """The class's own function, without the checks around it."""
    formula: Callable[..., Any] = getattr(type(layer), name).__wrapped__
    return formula


@contextmanager
def _recorded_arrays(net: Sequential, loss: Loss) -> Iterator[Recording]:
    """Have every array of the network and the loss recorded; they are the plain ones again afterwards."""
    recording = Recording()
    kept: list[tuple[Callable[[Any], object], Any]] = []

    def record(array: Any, name: str, put: Callable[[Any], object]) -> None:
        if type(array) is np.ndarray:
            kept.append((put, array))
            put(recording.array(array, name))

    def put_back() -> None:
        for put, array in kept:
            put(array)

    try:
        for one, name in (*((layer, layer.name) for layer in net.layers), (loss, "loss")):
            for own, p in list(vars(one).items()):
                if isinstance(p, Parameter):
                    record(p.data, f"{name}.{own}", partial(setattr, p, "_data"))
                    record(p.grad, f"{name}.{own}.grad", partial(setattr, p, "_grad"))
            work = vars(one)["_work"]
            for arrays in (work._arrays, vars(work._group) if work._group is not None else {}):
                for own, array in list(arrays.items()):
                    record(array, f"{name}.{own}", partial(arrays.__setitem__, own))
        yield recording
    finally:
        try:
            put_back()
        except BaseException:  # the user's Ctrl-C, which may come here too
            put_back()
            raise


def _is_of_batch(value: Any) -> bool:
    return isinstance(value, OfBatch) or (type(value) is tuple and any(map(_is_of_batch, value)))


def _for_batch(value: Any, x: FloatArray) -> Any:
    """What was left at the batch that was recorded, at this one."""
    if type(value) is tuple:
        return tuple(_for_batch(one, x) for one in value)
    return value.of(x) if isinstance(value, OfBatch) else value
