"""How a network is divided: each of p processes owns a p-th of the units of every hidden layer.

Of the first Linear layer a process owns the columns of its units; of every later one the rows that multiply its units,
and of the bias a p-th. The layers between, which treat each unit by itself, it owns for its units.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers import BatchNorm1d, Dropout, Layer, Linear, LogSoftmax, PReLU, Softmax
from numpy_nn.layers.activation import ActivationLayer
from numpy_nn.network import Sequential
from numpy_nn.parameter import Parameter

# The attribute that says how many units there are.
COUNTS: dict[type, str] = {Linear: "out_features", BatchNorm1d: "num_features", PReLU: "num_parameters"}


class DividedLinear(Linear):
    """y = sum_r x_r W_r + b, with the rows W_r of W and the units x_r of x that process r owns.

    Each process adds its part of b to its own product, writes the sum into shared memory, meets the others, and adds
    up all parts of its own columns, or of all columns if this is the ``last`` Linear layer. Backward, dL/dx_r =
    G W_r^T needs the whole G = dL/dy: of the last layer everybody has it, else each writes its columns, and they meet.
    """

    def __init__(self, linear: Linear, units: slice, last: bool) -> None:
        vars(self).update(vars(linear))
        self.units, self.last, self.turn = units, last, 0
        self.columns = slice(0, linear.out_features) if last else units

    def check_input(self, x: FloatArray) -> FloatArray:
        """``x``, which has the units of the layer before, and is no caller's."""
        return x

    def attach(self, rank: int, parts: FloatArray, whole: FloatArray, meet: Callable[[], None]) -> None:
        """Where the parts and the gradient of the output lie, as ``parts[turn, process, row, column]``.

        There are two turns, as a process may begin its next product while another one still adds up this one's parts.
        """
        self.rank, self.parts, self.whole, self.meet = rank, parts, whole, meet

    def forward(self, x: FloatArray) -> FloatArray:
        """The sum of all parts, in the order of the processes: so it is the same for all of them."""
        self.turn = 1 - self.turn
        parts = self.parts[self.turn, :, : len(x)]
        np.matmul(x, self.weight.data, out=parts[self.rank])
        if self.bias is not None:
            parts[self.rank, :, self.units] += self.bias.data
        self.meet()
        first, second, *others = parts[:, :, self.columns]
        y: FloatArray = np.add(first, second, out=self._work.like("y", first))
        for other in others:
            y += other
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """G W_r^T, after x_r^T G and the column sums of the units' own columns of G."""
        if not self.last:
            whole = self.whole[: len(grad_output)]
            whole[:, self.units] = grad_output
            self.meet()
            grad_output = whole
        x = self.saved
        np.matmul(x.T, grad_output, out=self.weight.grad)
        if self.bias is not None:
            np.matmul(self._ones(len(x), x.dtype), grad_output[:, self.units], out=self.bias.grad)
        return np.matmul(grad_output, self.weight.data.T, out=self._work.like("dx", x))


class DividedDropout(Dropout):
    """Dropout of some units, by the numbers that one process would draw for all of them."""

    def __init__(self, dropout: Dropout, units: slice, of: int) -> None:
        vars(self).update(vars(dropout))
        self.units, self.of = units, of

    def _draw(self, out: FloatArray) -> None:
        whole = self._work("whole", (len(out), self.of), out.dtype)
        super()._draw(whole)
        np.copyto(out, whole[:, self.units])


class Piece(NamedTuple):
    """What a process owns of an array: that of this name in the network's ``leaf``-th layer, at this index."""

    leaf: int
    name: str
    index: Any


class Part(NamedTuple):
    """What a process owns of a network, as a network, and its pieces: first of parameters, then of buffers."""

    net: Sequential
    pieces: list[Piece]


def share(n: int, rank: int, size: int) -> slice:
    """The units, out of ``n``, of process ``rank`` of ``size``."""
    return slice(rank * n // size, (rank + 1) * n // size)


def check(net: Layer, size: int) -> None:
    """ValueError, in one line, for a network that ``size`` processes cannot divide."""
    leaves = net.leaves()
    linears = [index for index, leaf in enumerate(leaves) if type(leaf) is Linear]
    if type(net) is not Sequential or len(linears) < 2:
        raise ValueError(f"processes: expected a Sequential with a hidden layer to divide, got {net!r}")
    for index, leaf in enumerate(leaves):
        if not type(leaf).__module__.startswith("numpy_nn.layers."):
            raise ValueError(f"processes: {leaf.label} is no layer of numpy_nn, and nobody knows how to divide it")
        if linears[0] <= index < linears[-1]:
            _check_hidden(leaf, size)
        elif index != linears[-1] and (leaf.learns() or any(True for _ in leaf.own_buffers())):
            raise ValueError(f"processes: {leaf.label} is not between two Linear layers, and nobody would own it")


def _check_hidden(leaf: Layer, size: int) -> None:
    shared = isinstance(leaf, PReLU) and leaf.num_parameters == 1
    by_unit = isinstance(leaf, (ActivationLayer, BatchNorm1d, Dropout)) and not isinstance(leaf, (Softmax, LogSoftmax))
    if isinstance(leaf, Linear):
        if leaf.out_features < size:
            raise ValueError(f"processes: {leaf.label} has fewer units than the {size} processes that divide them")
    elif shared:
        raise ValueError(f"processes: {leaf.label} has one slope for all units, which nobody would own")
    elif not by_unit:
        raise ValueError(f"processes: {leaf.label} needs whole rows, of which each process has some units")


def divide(net: Layer, rank: int, size: int) -> Part:
    """A copy of what process ``rank`` of ``size`` owns."""
    leaves = copy.deepcopy(net).leaves()
    linears = [index for index, leaf in enumerate(leaves) if isinstance(leaf, Linear)]
    pieces: list[Piece] = []
    buffers: list[Piece] = []
    units, width = slice(0, 0), 0
    for index in range(linears[0], linears[-1] + 1):
        leaf, inputs = leaves[index], units
        if isinstance(leaf, Linear):
            width = leaf.out_features
            units = share(width, rank, size)
        first = index == linears[0]
        of_weight = (slice(None), units) if first else inputs if isinstance(leaf, Linear) else units
        pieces += [
            Piece(index, name, own)
            for name, own in (("weight", of_weight), ("bias", units))
            if isinstance(getattr(leaf, name, None), Parameter)
        ]
        buffers += [Piece(index, name, units) for name, array in leaf.own_buffers() if array.ndim]
        if isinstance(leaf, Dropout):
            leaves[index] = DividedDropout(leaf, units, width)
        elif isinstance(leaf, Linear) and not first:
            leaves[index] = DividedLinear(leaf, units, index == linears[-1])
        elif type(leaf) in COUNTS:
            setattr(leaf, COUNTS[type(leaf)], units.stop - units.start)
    for leaf_index, name, own in pieces + buffers:
        _keep(leaves[leaf_index], name, own)
    return Part(Sequential(*leaves), pieces + buffers)


def _keep(leaf: Layer, name: str, index: Any) -> None:
    """Of the array of this name, keep what is at the index."""
    whole = getattr(leaf, name)
    if not isinstance(whole, Parameter):
        setattr(leaf, name, whole[index].copy())
        return
    part = Parameter(whole.data[index].copy())
    part.requires_grad = whole.requires_grad
    setattr(leaf, name, part)


def by_parameter(optimizer: Any) -> Iterator[tuple[Parameter, dict[str, FloatArray]]]:
    """Each parameter of an optimizer with the arrays that it keeps for it, as views of the parameter's shape."""
    for holder, state in zip(optimizer._holders, optimizer.state, strict=True):
        start = 0
        for p in holder.members():
            part = slice(start, start + p.size)
            yield p, {name: array.reshape(-1)[part].reshape(p.shape) for name, array in state.items()}
            start += p.size
