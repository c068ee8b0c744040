"""Optimizers, spelled and defined as in torch.optim.

An optimizer takes ``net.parameters()`` or any list of parameters. ``step()`` reads every ``grad`` and updates every
``data`` in place, but for parameters with ``requires_grad = False``. A backward pass overwrites gradients, it does not
add to them, so that ``zero_grad()`` is never needed. Settings are attributes (``optimizer.lr = 0.01``), to be changed
between steps as one likes.

Instead of parameters it may be given groups of them, each with settings of its own::

    nn.SGD([{"params": net[0].parameters(), "lr": 0.1}, {"params": net[2].parameters()}], lr=0.01)

The groups are ``optimizer.param_groups``, dicts of "params" and the settings, as in torch. What is assigned into one
counts at the next step, but for "params", which are there to be read. An attribute reads the first group's setting;
what is assigned to it becomes that of every group.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray, aligned_empty, aligned_zeros
from numpy_nn.parameter import Parameter, ParameterVector, holders, structure

# A step makes several passes over its arrays. In blocks of this many numbers, all passes but the first find their
# operands in the level-2 cache; shorter blocks would cost more in calls than they save.
BLOCK = 65536

# What a step finds laid out, and a copy lays out anew; whose the states are, "_members", it has to know for that.
LAID_OUT = ("_blocks", "_homes", "_learning", "_named", "_seen")

Holder = Parameter | ParameterVector
Group = dict[str, Any]
Parameters = Iterable[Parameter] | Iterable[Group] | ParameterVector
T = TypeVar("T")


class Setting(Generic[T]):
    """A setting as an attribute: it reads the first group's; what is assigned becomes that of every group.

    A rate that is assigned is also what schedules made later begin with.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, optimizer: None, kind: type) -> Setting[T]: ...
    @overload
    def __get__(self, optimizer: Optimizer, kind: type) -> T: ...
    def __get__(self, optimizer: Optimizer | None, kind: type) -> Setting[T] | T:
        if optimizer is None:
            return self
        value: T = optimizer.param_groups[0][self.name]
        return value

    def __set__(self, optimizer: Optimizer, value: T) -> None:
        for group in optimizer.param_groups:
            group[self.name] = value
            if self.name == "lr" and "initial_lr" in group:
                group["initial_lr"] = value


class Optimizer(ABC):
    """The base class: walks the parameters in blocks; a subclass updates one block.

    It follows ``net.parameters()`` of a Sequential: parameters may be converted, replaced or frozen after it was made,
    and what is new begins without a past. TypeError for what is no parameter; ValueError for none, for one that is
    given twice, for a group without "params" or with a setting that this optimizer has not.

    A subclass gives its own ``settings`` to this ``__init__``, checks them in :meth:`_checked`, and names each as an
    attribute, ``momentum = Setting[float]()``.
    """

    lr = Setting[float]()
    weight_decay = Setting[float]()

    def __init__(self, parameters: Parameters, lr: float, weight_decay: float, **settings: Any) -> None:
        defaults = self._checked({"lr": lr, "weight_decay": weight_decay, **settings})
        self.steps = 0
        self.param_groups: list[Group] = [
            {"params": own.pop("params"), **self._checked(defaults | own)} for own in _groups(parameters, defaults)
        ]
        self._holders: list[Holder] = [h for group in self.param_groups for h in holders(group["params"])]
        for holder in self._holders:
            if not isinstance(holder, (Parameter, ParameterVector)):
                raise TypeError(f"parameters: expected Parameter objects, got {type(holder).__name__}")
        given = [p for holder in self._holders for p in holder.members()]
        for index, group in enumerate(self.param_groups):
            if sum(p.size for holder in holders(group["params"]) for p in holder.members()) == 0:
                which = f"group {index}: " if len(self.param_groups) > 1 else ""
                raise ValueError(f"parameters: {which}expected at least one, got none")
        if len({id(p) for p in given}) < len(given):
            raise ValueError("parameters: one of them is given twice, and would be updated twice")
        self.state: list[dict[str, FloatArray]] = [{} for _ in self._holders]
        self._lay_out()

    def _checked(self, settings: Group) -> Group:
        """The settings of a group, or TypeError or ValueError for a wrong one."""
        own = {name: number(settings[name], name, low=0.0) for name in ("lr", "weight_decay")}
        return settings | own

    @abstractmethod
    def _states(self, group: Group) -> Sequence[str]:
        """The names of the arrays of the parameters' size that the method keeps with these settings; they begin at 0.

        They reach :meth:`_update` in this order.
        """

    def _length(self, _group: Group) -> int:
        """How many numbers a block has, with these settings of its group."""
        return BLOCK

    def _lay_out(self) -> None:
        """Cut every parameter that learns, its gradient and its states into blocks."""
        before = getattr(self, "_members", None)
        self._homes: list[tuple[Holder, FloatArray]] | None = [(holder, holder.data) for holder in self._holders]
        self._members = [list(holder.members()) for holder in self._holders]
        self._learning = [p.requires_grad for members in self._members for p in members]
        self._named = [(group, self._states(group), self._length(group)) for group in self.param_groups]
        for index, (holder, state) in enumerate(zip(self._holders, self.state, strict=True)):
            _follow(state, holder, self._members[index] if before is None else before[index])
        # Each block begins with its group, so that a step passes it on as it is.
        self._blocks: list[tuple[Group, list[tuple[Any, ...]]]] = []
        states = iter(self.state)
        for group, names, length in self._named:
            cut = [self._cut(holder, next(states), names, length) for holder in holders(group["params"])]
            self._blocks.append((group, [(group, *block) for blocks in cut for block in blocks]))
        self._seen = structure.counts()

    def _cut(
        self, holder: Holder, state: dict[str, FloatArray], names: Sequence[str], length: int
    ) -> Iterator[tuple[Any, ...]]:
        """The blocks of one holder, of this length; the states of these names are made if they are not there."""
        for name in names:
            if name not in state:
                state[name] = aligned_zeros(holder.data.shape, holder.dtype)
        scratch = aligned_empty((2, min(length, holder.size)), holder.dtype)
        flat = [array.reshape(-1) for array in (holder.data, holder.grad, *(state[name] for name in names))]
        for first, last in _learning_runs(holder):
            for start in range(first, last, length):
                views = [array[start : min(start + length, last)] for array in flat]
                yield self._block(*views, *scratch[:, : views[0].size])

    def _block(self, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> tuple[Any, ...]:
        """What :meth:`_update` gets of a block, after its group."""
        return (p, g, *arrays)

    def _laid_out(self) -> bool:
        """Whether the blocks are those of now."""
        if self._homes is None:
            return False
        if len(self.param_groups) != len(self._named):
            raise ValueError("param_groups: groups are given when the optimizer is made; make a new one")
        for group, names, length in self._named:
            if self._states(group) != names or self._length(group) != length:
                return False
        # Nothing of any network was set since: the rest, which takes as long as a small update, is as it was.
        now = structure.counts()
        if self._seen == now:
            return True
        # A vector whose members change gets other arrays.
        for holder, data in self._homes:
            if holder.data is not data:
                return False
        if [p.requires_grad for members in self._members for p in members] != self._learning:
            return False
        self._seen = now  # not before all was looked at, which may raise
        return True

    def step(self) -> None:
        """Update every parameter from its gradient."""
        if not self._laid_out():
            self._lay_out()
        self.steps += 1
        for group, blocks in self._blocks:
            self._prepare(group)
            for block in blocks:
                self._update(*block)

    def zero_grad(self) -> None:
        """Set every ``grad`` to 0, for code that was written for torch.

        Nothing here needs it: a backward pass overwrites the gradients of the one before.
        """
        for holder in self._holders:
            if isinstance(holder, ParameterVector):
                holder.refresh()
            holder.grad[...] = 0.0

    @abstractmethod
    def _prepare(self, group: Group) -> None:
        """Compute what is the same for every block of a group in this step."""

    @staticmethod
    def _descent(group: Group, p: FloatArray, g: FloatArray, out: FloatArray) -> FloatArray:
        """The gradient to go down: w p + g, or w p - g to maximize; in ``out``, unless it is g itself."""
        if not group["weight_decay"]:
            return np.negative(g, out=out) if group["maximize"] else g
        np.multiply(p, group["weight_decay"], out=out)
        return np.subtract(out, g, out=out) if group["maximize"] else np.add(out, g, out=out)

    @abstractmethod
    def _update(self, group: Group, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> None:
        """Update one block of a group: views of data, grad and each state, and two scratch rows of their length."""

    def __getstate__(self) -> dict[str, Any]:
        for holder in self._holders:
            _ = holder.data  # to read it has what is elsewhere come here
        # The blocks are views, which in a copy would be arrays of their own; a step that was given to this optimizer
        # updates this one.
        own = {name: value for name, value in vars(self).items() if name not in LAID_OUT and name != "step"}
        return own | {"_homes": None}


def _groups(parameters: Parameters, defaults: Group) -> list[Group]:
    """The groups that are given, each with its "params" as a vector or a list, and its own settings."""
    if isinstance(parameters, ParameterVector):
        return [{"params": parameters}]
    given = list(parameters)
    if not given or not all(isinstance(group, dict) for group in given):
        return [{"params": given}]
    groups = []
    for index, group in enumerate(given):
        assert isinstance(group, dict)
        if unknown := group.keys() - defaults.keys() - {"params"}:
            expected = ", ".join(["params", *defaults])
            raise ValueError(f"parameters: group {index}: expected {expected}, got {', '.join(sorted(unknown))}")
        if "params" not in group:
            raise ValueError(f'parameters: group {index}: expected "params" in it, got none')
        own = group["params"]
        if not isinstance(own, ParameterVector):
            own = [own] if isinstance(own, Parameter) else list(own)
        groups.append({**group, "params": own})
    return groups


def _follow(state: dict[str, FloatArray], holder: Holder, before: Sequence[Parameter]) -> None:
    """Give the states the holder's dtype, and each parameter what it had ``before``: 0 to one that was not there."""
    members = list(holder.members())
    same = len(members) == len(before) and all(map(operator.is_, members, before))
    for name, array in state.items():
        if same:
            state[name] = array if array.dtype == holder.dtype else array.astype(holder.dtype)
            continue
        ends = np.cumsum([p.size for p in before])[:-1]
        kept = dict(zip(map(id, before), np.split(array, ends), strict=True))
        state[name] = aligned_zeros(holder.data.shape, holder.dtype)
        start = 0
        for p in members:
            state[name][start : start + p.size] = kept.get(id(p), 0.0)
            start += p.size


def _learning_runs(holder: Holder) -> Iterator[tuple[int, int]]:
    """Where, among the numbers of a holder, those begin and end that learn, without a gap between them."""
    first = position = 0
    for p in holder.members():
        if not p.requires_grad:
            if first < position:
                yield first, position
            first = position + p.size
        position += p.size
    if first < position:
        yield first, position
