"""When a step's two passes are run as a :class:`~numpy_nn.training.plan.Plan`, and when by the formulas.

:func:`loss_and_gradients` computes the first two batches of a shape by the formulas, records at the second what they
did, tries that list at the third beside them, and from the fourth on runs it, if every number was the same to the last
bit. The formulas stay the only definition: there is no other one here.

``print(plans(net)[0])`` shows the list. The formulas are used instead of it for a batch of another shape or type; once
a layer, a setting or a parameter's array is another one; for a batch at which a choice comes out otherwise, as by a
label that is no class; in a network with a layer or a loss of one's own, or with a layer that draws or counts, as
dropout and batch norm do; and under a debugger, whose breakpoints stand in the formulas.

Not seen is what is written past ``setattr`` into a ``__dict__`` of a layer, and another function in a module's place.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers import ACTIVATION_LAYERS, Flatten, Layer, LayerNorm, Linear
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
from numpy_nn.training.plan import Plan
from numpy_nn.training.recording import Deviation, NotRecordable

LAYERS: set[type] = {Linear, Flatten, LayerNorm, *ACTIVATION_LAYERS.values()}
LOSSES: frozenset[type] = frozenset(
    {CrossEntropyLoss, NLLLoss, BCEWithLogitsLoss, MSELoss, L1Loss, HuberLoss, PerceptronLoss}
)
KINDS: tuple[type, ...] = (Sequential, *LAYERS, *LOSSES)


def formulas(cls: type) -> dict[str, Any]:
    """What a class computes with: not the annotations and the like that Python adds to it when they are asked for."""
    return {name: value for name, value in vars(cls).items() if callable(value) or not name.startswith("__")}


# Those of each class that computes, as it was defined: no plan passes over a formula that somebody has changed.
AS_DEFINED: dict[type, dict[str, Any]] = {
    cls: formulas(cls) for kind in KINDS for cls in kind.__mro__ if cls.__module__.startswith("numpy_nn.")
}
# What a pass leaves behind, as opposed to settings.
PASSING = frozenset(
    {"saved", "_output", "_left_by", "_in_backward", "_work", "_plans", "_first", "_vector", "_one", "_walk_before"}
    | {"row_weights", "left_out", "_terms_shape", "_denominator"}
)
# Batches of one shape that the formulas compute before a list is tried: at the first one arrays are made.
BEFORE = 2
# Losses that a network keeps plans for, and shapes of batches of each: a whole batch and an epoch's last, of two data
# sets.
MOST = 4
# How often plans of a network are begun anew before the formulas compute all that comes.
MOST_BEGUN = 32
# No plan can be made for batches of a shape.
NEVER = -1
# Since Python 3.12.
MONITORING: Any = getattr(sys, "monitoring", None)


def admit(layer: type[Layer]) -> None:
    """Plans may be made of layers of this class too: its passes are operations on arrays, and draw or count nothing."""
    LAYERS.add(layer)
    AS_DEFINED[layer] = formulas(layer)


class OfLoss:
    """The plans of a network with one loss, by the shapes and types of batches."""

    def __init__(self, net: Sequential, loss: Loss) -> None:
        self.loss = loss
        now = structure.settings, structure.formulas
        self._settings, (self._version, self._formulas) = settings((net, *net.layers)), now
        self._of_loss = settings_of(loss)
        self._known = PASSING | self._of_loss.keys()
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
            now = settings((net, *net.layers))
            if len(now) != len(self._settings) or not all(map(operator.is_, now, self._settings)):
                return False
            self._version = structure.settings
        if self._formulas != structure.formulas:
            if _may_have_a_plan(net, loss) is not self._possible:
                return False
            self._formulas = structure.formulas
        state = vars(loss)
        if not state.keys() <= self._known:  # such as a method that is put in the place of the class's
            return False
        if not all(map(operator.is_, map(state.get, self._of_loss), self._of_loss.values())):
            return False
        return not self._options or all(_same(options, before) for options, before in self._options)

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
            except (Deviation, FloatingPointError, Warning):  # of which the formulas leave the right state
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
        with np.errstate(all="ignore"):  # the formulas have told what there is to tell
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


class Plans:
    """The plans of a network, by its losses."""

    def __init__(self) -> None:
        self.by_loss: dict[int, OfLoss] = {}
        self._begun = 0

    def of(self, net: Sequential, loss: Loss) -> OfLoss | None:
        """Those with this loss; None where somebody makes or changes something at each step, and none would be used."""
        own = self.by_loss.get(id(loss))
        if own is not None and own.hold(net, loss):
            return own
        if own is not None:  # the network is another one, also with other losses
            self.by_loss.clear()
        if self._begun >= MOST_BEGUN:
            return None
        if len(self.by_loss) >= MOST:
            return None
        self._begun += 1
        own = self.by_loss[id(loss)] = OfLoss(net, loss)
        return own


def loss_and_gradients(net: Layer, loss: Loss, x: FloatArray, y: NDArray[Any]) -> float:
    """Forward and backward on one batch: the loss; the gradients are in the parameters' ``grad`` then."""
    if type(net) is not Sequential or type(loss) not in LOSSES or _debugged():
        return _by_formulas(net, loss, x, y)
    if type(x) is not np.ndarray or type(y) is not np.ndarray:
        return _by_formulas(net, loss, x, y)
    state = vars(net)
    held: Plans | None = state.get("_plans")
    if held is None:
        held = state["_plans"] = Plans()
    own = held.of(net, loss)
    return _by_formulas(net, loss, x, y) if own is None else own.loss_and_gradients(net, x, y)


def _debugged() -> bool:
    """Whether somebody steps through the code, by either of Python's ways."""
    monitoring = MONITORING
    return sys.gettrace() is not None or (
        monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None
    )


def plans(net: Layer) -> list[Plan]:
    """The plans by which the network is trained at present, one for each shape of batch."""
    held: Plans | None = vars(net).get("_plans")
    return [plan for own in held.by_loss.values() for plan in own.made()] if held else []


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
    if loss.reduction == "none" or not all(type(layer) in LAYERS for layer in net.layers):
        return False
    for one in (net, *net.layers, loss):
        if any(callable(getattr(type(one), name, None)) for name in vars(one)):  # a method of this one's own
            return False
        # Whatever else is among the options may change in its place.
        if any(type(value) not in (float, int, str) for value in vars(one).get("options", {}).values()):
            return False
    used = {cls for one in (net, *net.layers, loss) for cls in type(one).__mro__}
    return all(formulas(cls) == AS_DEFINED[cls] for cls in used & AS_DEFINED.keys())


def settings(modules: Sequence[Layer]) -> list[Any]:
    """What their operations depend on: they themselves, their settings, and the arrays of their parameters."""
    found: list[Any] = [*modules, *map(type, modules)]
    for one in modules:
        for value in settings_of(one).values():
            found += (value.data, value.grad) if isinstance(value, Parameter) else (value,)
    return found


def _same(options: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether these are the very objects: an array may be among them, which == does not compare to one truth."""
    return options.keys() == before.keys() and all(map(operator.is_, options.values(), map(before.get, options)))


def settings_of(one: Any) -> dict[str, Any]:
    """The attributes of a layer or a loss that no pass leaves there."""
    return {name: value for name, value in vars(one).items() if name not in PASSING}
