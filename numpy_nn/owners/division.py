"""How a network is divided: each process owns some of the units of every hidden layer, and what belongs to them.

Of the first Linear layer a process owns the columns of its units; of every later one the rows that multiply its units,
and a share of the bias. The layers between, which treat each unit by itself, it owns for its units.
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
from numpy_nn.optim import Optimizer
from numpy_nn.parameter import Parameter, holders

# The attribute that says how many units there are.
COUNTS: dict[type, str] = {Linear: "out_features", BatchNorm1d: "num_features", PReLU: "num_parameters"}

# What a group has beside the optimizer's settings that is not the optimizer's own.
SET = ("params", "initial_lr")


class DividedLinear(Linear):
    """y = sum_r x_r W_r + b, with the rows W_r of W and the units x_r of x that process r owns.

    Each process adds its share of b to its own product, which it writes into shared memory, meets the others, and adds
    up all products: of its own columns, or of all columns if this is the ``last`` Linear layer. Backward, dL/dx_r =
    G W_r^T needs the whole G = dL/dy: of the last layer everybody has it, else each writes its columns, and they meet.
    """

    def __init__(self, linear: Linear, units: slice, last: bool) -> None:
        vars(self).update(vars(linear))
        self.units, self.last, self.turn = units, last, 0
        self.columns = slice(0, linear.out_features) if last else units

    def attach(self, rank: int, products: FloatArray, whole: FloatArray, meet: Callable[[], None]) -> None:
        """Where the products lie, as ``products[turn, process, row, column]``, and the whole G.

        There are two turns, as a process may begin its next product while another one still adds up the last ones.
        """
        self.rank, self.products, self.whole, self.meet = rank, products, whole, meet

    def __getstate__(self) -> dict[str, Any]:
        # What was attached is this process's.
        return {n: v for n, v in super().__getstate__().items() if n not in ("products", "whole", "meet")}

    def check_input(self, x: FloatArray) -> FloatArray:
        """``x``, which the layer before has made of these units."""
        return x

    def forward(self, x: FloatArray) -> FloatArray:
        """The sum, in the order of the processes: to the last bit the same for all of them."""
        vars(self)["turn"] = 1 - self.turn  # this is no setting, for which networks would look again
        products = self.products[self.turn, :, : len(x)]
        np.matmul(x, self.weight.data, out=products[self.rank])
        if self.bias is not None:
            products[self.rank, :, self.units] += self.bias.data
        self.meet()
        first, second, *others = products[:, :, self.columns]
        y: FloatArray = np.add(first, second, out=self._work.like("y", first))
        for other in others:
            y += other
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """G W_r^T, after x_r^T G and the column sums of G that belong to the own share of b."""
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
    """What a process owns: a network and its optimizer, and which pieces of the whole network's arrays they have."""

    net: Sequential
    optimizer: Optimizer
    pieces: list[Piece]


def share(n: int, rank: int, size: int) -> slice:
    """The units, out of ``n``, of process ``rank`` of ``size``."""
    return slice(rank * n // size, (rank + 1) * n // size)


def check(net: Layer, optimizer: Optimizer, size: int) -> None:
    """ValueError, in one line, for what ``size`` processes cannot divide."""
    leaves = net.leaves()
    linears = [index for index, leaf in enumerate(leaves) if type(leaf) is Linear]
    if type(net) is not Sequential or len(linears) < 2:
        raise ValueError("processes: expected a Sequential with a hidden layer, whose units they divide")
    for index, leaf in enumerate(leaves):
        if not type(leaf).__module__.startswith("numpy_nn.layers."):
            raise ValueError(f"processes: {leaf.label} is no layer of numpy_nn, and nobody knows how to divide it")
        if linears[0] <= index < linears[-1]:
            _check_hidden(leaf, size)
        elif index != linears[-1] and (leaf.learns() or any(True for _ in leaf.own_buffers())):
            raise ValueError(f"processes: {leaf.label} is not between two Linear layers, and nobody would own it")
    if by_parameter(optimizer).keys() - {id(p) for p in net.parameters()}:
        raise ValueError("processes: the optimizer has parameters that are not of this network")


def _check_hidden(leaf: Layer, size: int) -> None:
    if isinstance(leaf, Linear):
        if leaf.out_features < size:
            raise ValueError(f"processes: {leaf.label} has fewer units than the {size} processes that divide them")
    elif isinstance(leaf, PReLU) and leaf.num_parameters == 1:
        raise ValueError(f"processes: {leaf.label} has one slope for all units, which nobody would own")
    elif isinstance(leaf, (Softmax, LogSoftmax)) or not isinstance(leaf, (ActivationLayer, BatchNorm1d, Dropout)):
        raise ValueError(f"processes: {leaf.label} needs whole rows, of which each process has some units")


def divide(net: Sequential, optimizer: Optimizer, rank: int, size: int) -> Part:
    """A copy of what process ``rank`` of ``size`` owns."""
    # The parameters are cut out of the network's own, not of copies.
    leaves = copy.deepcopy(net, {id(p): p for p in net.parameters()}).leaves()
    linears = [index for index, leaf in enumerate(leaves) if isinstance(leaf, Linear)]
    pieces: list[Piece] = []
    units, width = slice(0, 0), 0
    for index in range(linears[0], linears[-1] + 1):
        leaf, inputs, first = leaves[index], units, index == linears[0]
        if isinstance(leaf, Linear):
            width = leaf.out_features
            units = share(width, rank, size)
        of_weight = (slice(None), units) if first else inputs  # which are the units, but for a Linear
        indices = {"weight": of_weight, "bias": units} | {name: units for name, b in leaf.own_buffers() if b.ndim}
        if isinstance(leaf, Dropout):
            leaves[index] = DividedDropout(leaf, units, width)
        elif isinstance(leaf, Linear) and not first:
            leaves[index] = DividedLinear(leaf, units, index == linears[-1])
        elif type(leaf) in COUNTS:
            setattr(leaf, COUNTS[type(leaf)], units.stop - units.start)
        for name, own in indices.items():
            whole = getattr(leaf, name, None)
            if whole is not None:
                pieces.append(Piece(index, name, own))
                setattr(leaves[index], name, _cut(whole, own))
    part = Sequential(*leaves)
    return Part(part, _divide_optimizer(optimizer, net, part, pieces), pieces)


def _cut(whole: Any, index: Any) -> Any:
    """What is at the index of a parameter or an array, with memory of its own."""
    if not isinstance(whole, Parameter):
        return whole[index].copy()
    part = Parameter(whole.data[index].copy())
    part.grad, part.requires_grad = whole.grad[index], whole.requires_grad
    return part


def _divide_optimizer(optimizer: Optimizer, net: Sequential, part: Sequential, pieces: list[Piece]) -> Optimizer:
    """The same optimizer for the parameters of the part, with their share of what it keeps."""
    own = copy.copy(optimizer)
    vars(own).pop("step", None)
    mine = {id(p): q for p, q in zip(net.parameters(), part.parameters(), strict=True)}
    own.param_groups, own._holders = [], []
    for group in optimizer.param_groups:
        members = [mine[id(p)] for holder in holders(group["params"]) for p in holder.members()]
        # All of them together are one vector, which is updated at a time.
        params: Any = part.parameters() if members == list(part.parameters()) else members
        own.param_groups.append({**group, "params": params})
        own._holders += holders(params)
    own.state = [{} for _ in own._holders]
    for theirs, ours in _kept(net, optimizer, part, own, pieces):
        ours[...] = theirs
    return own


def join(part: Part, net: Sequential, optimizer: Optimizer) -> None:
    """Put what a process owns, and what all of them have alike, into the network and the optimizer."""
    leaves, own = net.leaves(), part.net.leaves()
    for leaf, name, index in part.pieces:
        whole, ours = getattr(leaves[leaf], name), getattr(own[leaf], name)
        if isinstance(whole, Parameter):
            whole.data[index], whole.grad[index] = ours.data, ours.grad
        else:
            whole[index] = ours
    for theirs, ours in _kept(net, optimizer, part.net, part.optimizer, part.pieces):
        theirs[...] = ours
    for layer, other in zip(leaves, own, strict=True):
        if isinstance(layer, Dropout) and isinstance(other, Dropout):
            layer.rng.bit_generator.state = other.rng.bit_generator.state
        for name, buffer in layer.own_buffers():
            if buffer.ndim == 0:
                buffer[...] = getattr(other, name)
    optimizer.steps = part.optimizer.steps
    for group, own_group in zip(optimizer.param_groups, part.optimizer.param_groups, strict=True):
        # What the optimizer keeps there for itself; the rest is set by whoever trains.
        group.update({n: v for n, v in own_group.items() if n not in SET and not hasattr(type(optimizer), n)})


def _kept(
    net: Sequential, optimizer: Optimizer, part: Sequential, own: Optimizer, pieces: list[Piece]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Of each array that the optimizer keeps what belongs to the part, and the same of the part's optimizer."""
    leaves, mine = net.leaves(), part.leaves()
    theirs, ours = by_parameter(optimizer), by_parameter(own)
    for leaf, name, index in pieces:
        p, q = getattr(leaves[leaf], name), getattr(mine[leaf], name)
        before, kept = theirs.get(id(p), {}), ours.get(id(q), {})
        for state in before.keys() & kept.keys():
            yield before[state][index], kept[state]


def by_parameter(optimizer: Optimizer) -> dict[int, dict[str, FloatArray]]:
    """By the id of each parameter, the arrays that an optimizer keeps for it, as views of its shape."""
    if not optimizer._laid_out():
        optimizer._lay_out()
    found = {}
    for holder, state in zip(optimizer._holders, optimizer.state, strict=True):
        start = 0
        for p in holder.members():
            place = slice(start, start + p.size)
            found[id(p)] = {name: array.reshape(-1)[place].reshape(p.shape) for name, array in state.items()}
            start += p.size
    return found
