"""Optimizers, spelled and defined as in torch.optim.

An optimizer takes ``net.parameters()`` or any list of parameters. ``step()`` reads every ``grad`` and updates every
``data`` in place, but for parameters with ``requires_grad = False``. A backward pass overwrites gradients, it does not
add to them, so there is no ``zero_grad``. Settings are plain attributes (``optimizer.lr = 0.01``), to be changed
between steps as one likes.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray, aligned_empty, aligned_zeros
from numpy_nn.parameter import Parameter, ParameterVector, holders

# A step makes several passes over its arrays. In blocks of this many numbers, all passes but the first find their
# operands in the level-2 cache; shorter blocks would cost more in calls than they save.
BLOCK = 32768

Holder = Parameter | ParameterVector


class Optimizer:
    """The base class: walks the parameters in blocks; a subclass updates one block.

    A network's parameters may be converted, replaced, or frozen after the optimizer was made, which follows. TypeError
    for what is no parameter; ValueError for none, for one that is given twice, and by ``step`` for a network that has
    got more or fewer numbers.
    """

    def __init__(self, parameters: Iterable[Parameter] | ParameterVector, lr: float, weight_decay: float) -> None:
        self.lr = number(lr, "lr", low=0.0)
        self.weight_decay = number(weight_decay, "weight_decay", low=0.0)
        self.steps = 0
        self._holders: list[Holder] = holders(parameters)
        for holder in self._holders:
            if not isinstance(holder, (Parameter, ParameterVector)):
                raise TypeError(f"parameters: expected Parameter objects, got {type(holder).__name__}")
        given = [p for holder in self._holders for p in holder.members()]
        if sum(p.size for p in given) == 0:
            raise ValueError("parameters: expected at least one, got none")
        if len({id(p) for p in given}) < len(given):
            raise ValueError("parameters: one of them is given twice, and would be updated twice")
        self.state: list[dict[str, FloatArray]] = [{} for _ in self._holders]
        self._lay_out()

    def _states(self) -> Sequence[str]:
        """The names of the arrays of the parameters' size that the method keeps; they begin at 0."""
        return ()

    def _lay_out(self) -> None:
        """Cut every parameter that learns, its gradient and its states into blocks."""
        self._data = [holder.data for holder in self._holders]
        self._learning = self._who_learns()
        self._blocks: list[tuple[FloatArray, ...]] = []
        for holder, state in zip(self._holders, self.state, strict=True):
            for name in self._states():
                if name not in state:
                    state[name] = aligned_zeros(holder.data.shape, holder.dtype)
            for name, array in state.items():
                if array.shape != holder.data.shape:
                    raise ValueError(
                        f"parameters: there were {array.size:,} numbers when this optimizer was made, now there are "
                        f"{holder.size:,}; make a new one"
                    )
                if array.dtype != holder.dtype:
                    state[name] = array.astype(holder.dtype)
            scratch = aligned_empty((2, min(BLOCK, holder.size)), holder.dtype)
            flat = [array.reshape(-1) for array in (holder.data, holder.grad, *state.values())]
            for first, last in _learning_runs(holder):
                for start in range(first, last, BLOCK):
                    views = [array[start : min(start + BLOCK, last)] for array in flat]
                    self._blocks.append((*views, *scratch[:, : views[0].size]))

    def _who_learns(self) -> list[bool]:
        return [p.requires_grad for holder in self._holders for p in holder.members()]

    def _laid_out(self) -> bool:
        """Whether the blocks are those of now."""
        where = [holder.data for holder in self._holders]
        return (
            len(where) == len(self._data)
            and all(map(operator.is_, where, self._data))
            and self._who_learns() == self._learning
            and all(name in self.state[0] for name in self._states())
        )

    def step(self) -> None:
        """Update every parameter from its gradient."""
        for holder in self._holders:
            if isinstance(holder, ParameterVector):
                holder.refresh()
        if not self._laid_out():
            self._lay_out()
        self.steps += 1
        self._prepare()
        for block in self._blocks:
            self._update(*block)

    def _prepare(self) -> None:
        """Compute what is the same for every block of a step."""

    def _update(self, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> None:
        """Update one block: views of data, grad and each state, and two scratch rows of their length."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        # The blocks are views, which in a copy would be arrays of their own.
        return {name: value for name, value in vars(self).items() if name != "_blocks"} | {"_data": []}


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
