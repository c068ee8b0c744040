"""A step's two passes as the list of array operations that they are: recorded once, then run without the Python around.

At every batch of one shape a network does the same operations on the same arrays; only the numbers are others. In a
small network the Python that finds those arrays, checks them and chooses takes as long as a part of the operations. So
:func:`loss_and_gradients` computes the first two batches of a shape by the formulas, records at the second what they
did, tries the list at the third beside them, and from the fourth on runs it, if every number was the same to the last
bit. The formulas stay the only definition: there is no other one here.

``print(plans(net)[0])`` shows the list. The formulas are used instead of it for a batch of another shape or type; once
a layer, a setting or a parameter's array is another one; for a batch at which a choice comes out otherwise, as by a
label that is no class; in a network with a layer or a loss of one's own, or with a layer that draws or counts, as
dropout and batch norm do; and under a debugger, whose breakpoints stand in the formulas.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers import ACTIVATION_LAYERS, Flatten, Layer, LayerNorm, Linear
from numpy_nn.layers.base import FORMULAS
from numpy_nn.losses import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    Loss,
    MSELoss,
    NLLLoss,
    PerceptronLoss,
)
from numpy_nn.network import Sequential
from numpy_nn.parameter import Parameter, structure
from numpy_nn.training.recording import (
    Batch,
    Choice,
    Deviation,
    NotRecordable,
    OfBatch,
    Operation,
    Recording,
    of_plan,
    plain,
)

LAYERS: frozenset[type] = frozenset({Linear, Flatten, LayerNorm, *ACTIVATION_LAYERS.values()})
LOSSES: frozenset[type] = frozenset(
    {CrossEntropyLoss, NLLLoss, BCEWithLogitsLoss, MSELoss, L1Loss, HuberLoss, PerceptronLoss}
)
KINDS: tuple[type, ...] = (Sequential, *LAYERS, *LOSSES)
# The whole of each class that computes, as it was defined: no plan passes over a formula that somebody has changed.
AS_DEFINED: dict[type, dict[str, Any]] = {
    cls: dict(vars(cls)) for kind in KINDS for cls in kind.__mro__ if cls.__module__.startswith("numpy_nn.")
}
# What a pass leaves behind, as opposed to settings.
PASSING = frozenset(
    {"saved", "_output", "_left_by", "_in_backward", "_work", "_plans", "_first", "_vector", "_one"}
    | {"row_weights", "left_out", "_terms_shape", "_denominator"}
)
# Batches of one shape that the formulas compute before a list is tried: at the first one arrays are made.
BEFORE = 2
# Shapes of batches that a network keeps plans for: a whole batch and the last of an epoch, of two data sets.
MOST = 4
# No plan can be made for batches of a shape.
NEVER = -1
# Since Python 3.12.
MONITORING: Any = getattr(sys, "monitoring", None)


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
        except BaseException:
            for state, old in before:  # of the formulas, which have computed this batch
                state.clear()
                state.update(old)
            raise
        # What the passes leave in layers and loss for whoever looks: alike at each batch, or a view of it.
        self._left: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._left_of_batch: list[tuple[dict[str, Any], str, Any]] = []
        for state, old in before:
            left = {name: of_plan(value) for name, value in state.items() if value is not old.get(name)}
            of_batch = {name for name, value in left.items() if _is_of_batch(value)}
            self._left.append((state, {name: value for name, value in left.items() if name not in of_batch}))
            self._left_of_batch += [(state, name, left[name]) for name in sorted(of_batch)]
        self._leave(x)
        self._calls = [[one.bound(self._batch) for one in part] for part in (self.forward, self.backward)]

    def _record(self, net: Sequential, x: FloatArray) -> None:
        with _recorded_arrays(net, self.loss) as recording:
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

        Deviation, with the gradients undefined, if a choice comes out otherwise than when it was recorded.
        """
        self._batch.x = x
        np.copyto(self._target, y)
        forward, backward = self._calls
        for call in forward:
            call()
        loss = self.loss
        loss.row_weights = loss.left_out = None  # which the batch before may have had
        value: float = loss._reduced(self._terms)
        for call in backward:
            call()
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


class Plans:
    """The plans of a network with one loss, by the shapes and types of batches."""

    def __init__(self, net: Sequential, loss: Loss) -> None:
        self.loss = loss
        self._settings, self._version, self._formulas = _settings(net), structure.settings, structure.formulas
        self._of_loss = _settings_of(loss)
        self._terms, self._gradient = type(loss).terms, type(loss).gradient
        options: list[Any] = [vars(layer).get("options") for layer in net.layers]
        self._options = [(one, dict(one)) for one in options if one]
        self._possible = _may_have_a_plan(net, loss)
        # How many batches there were, NEVER, or a plan, which is on trial until it is among those in use.
        self._by_shape: dict[Any, Plan | int] = {}
        self._in_use: dict[Any, Plan] = {}
        self._latest: Plan | None = None

    def hold(self, net: Sequential, loss: Loss) -> bool:
        """Whether network and loss are as they were when these plans were begun."""
        if self._version != structure.settings:
            now = _settings(net)
            if len(now) != len(self._settings) or not all(map(operator.is_, now, self._settings)):
                return False
            self._version = structure.settings
        if self._formulas != structure.formulas:
            if _may_have_a_plan(net, loss) is not self._possible:
                return False
            self._formulas = structure.formulas
        state, cls = vars(loss), type(loss)
        if loss is not self.loss or "terms" in state or "gradient" in state:
            return False
        if cls.terms is not self._terms or cls.gradient is not self._gradient:
            return False
        if not all(map(operator.is_, map(state.get, self._of_loss), self._of_loss.values())):
            return False
        return not self._options or all(options == before for options, before in self._options)

    def loss_and_gradients(self, net: Sequential, x: FloatArray, y: NDArray[Any]) -> float:
        """The loss, by a plan or by the formulas; the gradients are in their places then."""
        plan = self._latest
        if plan is None or not plan.fits(x, y):
            shape = x.shape, x.dtype, y.shape, y.dtype
            plan = self._in_use.get(shape)
        if plan:
            self._latest = plan
            try:
                return plan.run(x, y)
            except Deviation:
                return _by_formulas(net, self.loss, x, y)
        value = _by_formulas(net, self.loss, x, y)
        known = self._by_shape.get(shape, 0)
        if not self._possible or known == NEVER or (not known and len(self._by_shape) >= MOST):
            return value
        if isinstance(known, Plan):
            self._try(known, shape, net, (x, y), value)
        else:
            self._by_shape[shape] = known + 1 if known + 1 < BEFORE else _recorded(net, self.loss, x, y)
        return value

    def _try(self, plan: Plan, shape: Any, net: Sequential, batch: Any, value: float) -> None:
        """Run it beside the formulas, which have just computed this batch: in use from now on, or never."""
        by_formulas = _numbers(net, value)
        try:
            if _numbers(net, plan.run(*batch)) == by_formulas:
                self._in_use[shape] = plan
                return
            self._by_shape[shape] = NEVER
        except Deviation:
            pass  # the next batch may be an ordinary one
        _by_formulas(net, self.loss, *batch)

    def made(self) -> list[Plan]:
        """The plans in use."""
        return list(self._in_use.values())


def loss_and_gradients(net: Layer, loss: Loss, x: FloatArray, y: NDArray[Any]) -> float:
    """Forward and backward on one batch: the loss; the gradients are in the parameters' ``grad`` then."""
    if type(net) is not Sequential or type(x) is not np.ndarray or type(y) is not np.ndarray or _debugged():
        return _by_formulas(net, loss, x, y)
    state = vars(net)
    held: Plans | None = state.get("_plans")
    if held is None or not held.hold(net, loss):
        held = state["_plans"] = Plans(net, loss)
    return held.loss_and_gradients(net, x, y)


def _debugged() -> bool:
    """Whether somebody steps through the code, by either of Python's ways."""
    monitoring = MONITORING
    return sys.gettrace() is not None or (
        monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None
    )


def plans(net: Layer) -> list[Plan]:
    """The plans by which the network is trained at present, one for each shape of batch."""
    held: Plans | None = vars(net).get("_plans")
    return held.made() if held else []


def _by_formulas(net: Layer, loss: Loss, x: FloatArray, y: NDArray[Any]) -> float:
    value: float = loss(net(x), y)
    net.backward_parameters(loss.backward())
    return value


def _recorded(net: Sequential, loss: Loss, x: FloatArray, y: NDArray[Any]) -> Plan | int:
    """A plan, if there can be one, recorded on a batch that the formulas have just computed."""
    try:
        return Plan(net, loss, x, y)
    except NotRecordable:
        return NEVER


def _numbers(net: Sequential, value: float) -> list[bytes]:
    """The loss and the gradients, to the last bit."""
    return [np.float64(value).tobytes(), *(p.grad.tobytes() for p in net.parameters())]


def _may_have_a_plan(net: Sequential, loss: Loss) -> bool:
    """Whether all that computes is this package's own, as it was defined, and nothing draws or counts."""
    if type(loss) not in LOSSES or loss.reduction == "none" or not all(type(layer) in LAYERS for layer in net.layers):
        return False
    own = {"terms", "gradient", *FORMULAS, *(f"_{name}" for name in FORMULAS)}
    if any(own & vars(one).keys() for one in (net, *net.layers, loss)):
        return False
    used = {cls for one in (net, *net.layers, loss) for cls in type(one).__mro__}
    return all(dict(vars(cls)) == AS_DEFINED[cls] for cls in used & AS_DEFINED.keys())


def _settings(net: Sequential) -> list[Any]:
    """What the operations depend on: layers, their settings, and the arrays of their parameters."""
    found: list[Any] = list(net.layers)
    for one in (net, *net.layers):
        for value in _settings_of(one).values():
            found += (value.data, value.grad) if isinstance(value, Parameter) else (value,)
    return found


def _settings_of(one: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(one).items() if name not in PASSING}


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

    for one, name in (*((layer, layer.name) for layer in net.layers), (loss, "loss")):
        for own, p in list(vars(one).items()):
            if isinstance(p, Parameter):
                record(p.data, f"{name}.{own}", partial(setattr, p, "_data"))
                record(p.grad, f"{name}.{own}.grad", partial(setattr, p, "_grad"))
        work = vars(one)["_work"]
        for arrays in (work._arrays, vars(work._group) if work._group is not None else {}):
            for own, array in list(arrays.items()):
                record(array, f"{name}.{own}", partial(arrays.__setitem__, own))
    try:
        yield recording
    finally:
        for put, array in kept:
            put(array)


def _is_of_batch(value: Any) -> bool:
    return isinstance(value, OfBatch) or (type(value) is tuple and any(map(_is_of_batch, value)))


def _for_batch(value: Any, x: FloatArray) -> Any:
    """What was left at the batch that was recorded, at this one."""
    if type(value) is tuple:
        return tuple(_for_batch(one, x) for one in value)
    return value.of(x) if isinstance(value, OfBatch) else value
