"""The optimizer contract; optimizers are spelled and defined as in torch.optim.

An optimizer takes ``net.parameters()`` or any list of parameters. ``step()`` reads every ``grad`` and updates every
``data`` in place. A backward pass overwrites gradients, it does not add to them, so there is no ``zero_grad``.
Settings are plain attributes (``optimizer.lr = 0.01``), which schedules change between steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray, aligned_empty, aligned_zeros
from numpy_nn.parameter import Parameter, ParameterVector

# A step makes several passes over its arrays. In blocks of this many numbers, all passes but the first find their
# operands in the level-2 cache; shorter blocks would cost more in calls than they save.
BLOCK = 32768


class Optimizer:
    """The base class: walks the parameters in blocks; a subclass updates one block."""

    def __init__(
        self,
        parameters: Iterable[Parameter] | ParameterVector,
        lr: float,
        weight_decay: float,
        states: Sequence[str] = (),
    ) -> None:
        """``states`` names the arrays of the parameters' size that the method keeps; they begin at 0."""
        self.lr = number(lr, "lr", low=0.0)
        self.weight_decay = number(weight_decay, "weight_decay", low=0.0)
        self.steps = 0
        holders: list[Parameter | ParameterVector]
        holders = [parameters] if isinstance(parameters, ParameterVector) else list(parameters)
        for holder in holders:
            if not isinstance(holder, (Parameter, ParameterVector)):
                raise TypeError(f"parameters: expected Parameter objects, got {type(holder).__name__}")
        if sum(holder.size for holder in holders) == 0:
            raise ValueError("parameters: expected at least one, got none")
        self.state: list[dict[str, FloatArray]] = [
            {name: aligned_zeros(holder.data.shape, holder.dtype) for name in states} for holder in holders
        ]
        self._holders = holders
        self._lay_out()

    def _lay_out(self) -> None:
        """Cut every parameter, its gradient and its states into blocks."""
        self._data = [holder.data for holder in self._holders]
        self._blocks: list[tuple[FloatArray, ...]] = []
        for holder, state in zip(self._holders, self.state, strict=True):
            scratch = aligned_empty((2, min(BLOCK, holder.size)), holder.dtype)
            flat = [array.reshape(-1) for array in (holder.data, holder.grad, *state.values())]
            for start in range(0, holder.size, BLOCK):
                views = [array[start : start + BLOCK] for array in flat]
                self._blocks.append((*views, *scratch[:, : views[0].size]))

    def step(self) -> None:
        """Update every parameter from its gradient."""
        for holder, data in zip(self._holders, self._data, strict=True):
            if holder.data is not data:
                self._lay_out()  # a network that was put into another one lives in that one's vector
                break
        self.steps += 1
        self._prepare()
        for block in self._blocks:
            self._update(*block)

    def _prepare(self) -> None:
        """Compute what is the same for every block of a step."""

    def _update(self, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> None:
        """Update one block: views of data, grad and each state, and two scratch rows of their length."""
        raise NotImplementedError
