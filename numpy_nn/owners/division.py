"""How a network is divided: each process owns some of the units of every hidden layer, and what belongs to them.

Of the first Linear layer a process owns the columns of its units; of every later one the rows that multiply its units,
and a share of the bias. The layers between, which treat each unit by itself, it owns for its units.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers import BatchNorm1d, Dropout, Layer, Linear, LogSoftmax, PReLU, Softmax
from numpy_nn.layers.activation import ActivationLayer
from numpy_nn.losses import Loss
from numpy_nn.network import Sequential
from numpy_nn.optim import Optimizer
from numpy_nn.optim.base import Group
from numpy_nn.owners.exchange import Exchange
from numpy_nn.owners.meeting import Meetings
from numpy_nn.parameter import Parameter, holders
from numpy_nn.training.planned import admit, settings_of

# The attribute that says how many units there are.
COUNTS: dict[type, str] = {Linear: "out_features", BatchNorm1d: "num_features", PReLU: "num_parameters"}

# How many units of the first hidden layer take as long as what process 0 alone does at each step: it gathers the batch
# and gives the orders. Both grow with the rows and columns of a batch.
LEAD = 32

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
        self.units, self.last = units, last

    def attach(self, meetings: Meetings, rank: int, products: FloatArray, whole: FloatArray) -> None:
        """Where the products and the whole G lie, and where this process meets the others (:class:`Exchange`)."""
        self.exchange = Exchange(meetings, rank, products, whole, self.units, self.last)

    def __getstate__(self) -> dict[str, Any]:
        # What was attached is this process's.
        return {name: value for name, value in super().__getstate__().items() if name != "exchange"}

    def check_input(self, x: FloatArray) -> FloatArray:
        """``x``, which the layer before has made of these units."""
        return x

    def forward(self, x: FloatArray) -> FloatArray:
        """The sum of the products, with what belongs to each."""
        rows, own_columns = x.shape[0], self.units.stop - self.units.start
        own = np.matmul(x, self.weight.data, out=self._work("own", (rows, self.out_features), x.dtype))
        if self.bias is not None:
            share = own[:, self.units]
            share += self.bias.data
        columns = self.out_features if self.last else own_columns
        y: FloatArray = self.exchange.summed(own, out=self._work("y", (rows, columns), x.dtype))
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """G W_r^T, after x_r^T G and the column sums of G that belong to the own share of b."""
        x = self.saved
        if not self.last:
            grad_output = self.exchange.gathered(grad_output, out=self.exchange.whole[: x.shape[0]])
        np.matmul(x.T, grad_output, out=self.weight.grad)
        if self.bias is not None:
            np.matmul(self._ones(x.shape[0], x.dtype), grad_output[:, self.units], out=self.bias.grad)
        return np.matmul(grad_output, self.weight.data.T, out=self._work.like("dx", x))


admit(DividedLinear)


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


def share(n: int, rank: int, size: int, lead: int = 0) -> slice:
    """The units, out of ``n``, of process ``rank`` of ``size``.

    Process 0 has ``lead`` units fewer than each of the others, but at least half of what an equal share would be.
    """
    first = max((n + lead) // size - lead, -(-n // (2 * size)))
    if rank == 0:
        return slice(0, first)
    start, stop = ((n - first) * others // (size - 1) for others in (rank - 1, rank))
    return slice(first + start, first + stop)


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
            units = share(width, rank, size, LEAD if first else 0)
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
    for theirs, ours in _kept(net.leaves(), optimizer, part, own, pieces):
        ours[...] = theirs
    return own


def join(part: Part, leaves: Sequence[Layer], optimizer: Optimizer) -> None:
    """Put what a process owns, and what all of them have alike, into the layers that were divided and the optimizer."""
    for theirs, ours in _arrays(part, leaves, optimizer):
        theirs[...] = ours
    for layer, other in _dropouts(part, leaves):
        layer.rng.bit_generator.state = other.rng.bit_generator.state
    optimizer.steps = part.optimizer.steps
    for group, own_group in zip(optimizer.param_groups, part.optimizer.param_groups, strict=True):
        group.update(_of_optimizer(own_group, optimizer))


def agrees(part: Part, leaves: Sequence[Layer], optimizer: Optimizer) -> bool:
    """Whether :func:`join` would change no bit of the layers and the optimizer."""
    if (optimizer.steps, _names_kept(optimizer)) != (part.optimizer.steps, _names_kept(part.optimizer)):
        return False
    for group, own_group in zip(optimizer.param_groups, part.optimizer.param_groups, strict=True):
        if _of_optimizer(group, optimizer) != _of_optimizer(own_group, optimizer):
            return False
    for layer, other in _dropouts(part, leaves):
        if pickle.dumps(layer.rng.bit_generator.state) != pickle.dumps(other.rng.bit_generator.state):
            return False
    return all(_same_bits(theirs, ours) for theirs, ours in _arrays(part, leaves, optimizer))


def _names_kept(optimizer: Optimizer) -> set[str]:
    return {name for state in optimizer.state for name in state}


def _same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    bits = f"u{a.itemsize}"
    return a.dtype == b.dtype and np.array_equal(a.view(bits), b.view(bits))


def _arrays(part: Part, leaves: Sequence[Layer], optimizer: Optimizer) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Of each array of the layers and the optimizer what belongs to the part, as a view, and the part's own."""
    own = part.net.leaves()
    for leaf, name, index in part.pieces:
        whole, ours = getattr(leaves[leaf], name), getattr(own[leaf], name)
        if isinstance(whole, Parameter):
            yield whole.data[index], ours.data
            yield whole.grad[index], ours.grad
        else:
            yield whole[index], ours
    yield from _kept(leaves, optimizer, part.net, part.optimizer, part.pieces)
    for layer, other in zip(leaves, own, strict=True):
        yield from ((buffer, getattr(other, name)) for name, buffer in layer.own_buffers() if buffer.ndim == 0)


def _dropouts(part: Part, leaves: Sequence[Layer]) -> Iterator[tuple[Dropout, Dropout]]:
    for layer, other in zip(leaves, part.net.leaves(), strict=True):
        if isinstance(layer, Dropout) and isinstance(other, Dropout):
            yield layer, other


def _of_optimizer(group: Group, optimizer: Optimizer) -> dict[str, Any]:
    """What the optimizer keeps in a group for itself; the rest is set by whoever trains."""
    return {n: value for n, value in group.items() if n not in SET and not hasattr(type(optimizer), n)}


def form(net: Sequential) -> list[Any]:
    """What parts are made by, but for numbers: while each of these is the same object, so would be the parts of now.

    No parameter is asked for its numbers, which may be elsewhere.
    """
    leaves = net.leaves()
    held = [value for leaf in leaves for value in settings_of(leaf).values()]
    options = (value for leaf in leaves for value in vars(leaf).get("options", {}).values())
    return [*leaves, *map(type, leaves), *held, *options, *(p.requires_grad for p in held if isinstance(p, Parameter))]


def settings_in(loss: Loss) -> dict[str, Any]:
    """What a loss is set to, and the bits of its arrays."""
    return {n: v.tobytes() if isinstance(v, np.ndarray) else v for n, v in settings_of(loss).items()}


def _kept(
    leaves: Sequence[Layer], optimizer: Optimizer, part: Sequential, own: Optimizer, pieces: list[Piece]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Of each array that the optimizer keeps what belongs to the part, and the same of the part's optimizer."""
    mine = part.leaves()
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
