"""The bounds of layers that are made of others: of a Sequential, and of a layer of one's own.

Their formulas are run on :class:`Traced` arrays, which carry the bound of what is computed and remember from what. So
the reader's forward gives the bound of the output, and the reader's backward that of our gradients. torch has its
gradients from the forward, by the chain rule: they are bounded by going back through what was remembered.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import numpy_nn as nn
from torch_ref.bounds import layers
from torch_ref.bounds.layers import Gradients, Parameters
from torch_ref.own_layers import Stand, refused, stand_in
from torch_ref.rounding import Rounded
from torch_ref.twin import is_own

Pull = Callable[[Rounded], Sequence[Rounded]]


class Traced:
    """A Rounded array in a formula, with what it was made from.

    ``pull`` turns the gradient of this array into those of its ``sources``.
    """

    # NumPy's functions have no bound here: they raise a TypeError.
    __array_ufunc__ = None

    def __init__(self, rounded: Rounded, sources: Sequence[Traced] = (), pull: Pull | None = None) -> None:
        self.rounded, self.sources, self.pull = rounded, sources, pull

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.rounded.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The precision of the formula."""
        return self.rounded.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("an array with a bound made a plain one")

    def __array_function__(self, function: Any, _: Any, args: Any, options: Any) -> Any:
        if function not in (np.sum, np.mean, np.reshape):
            raise TypeError(f"np.{function.__name__} of an array with a bound")
        return getattr(args[0], function.__name__)(*args[1:], **options)

    def _lift(self, other: Any) -> Traced:
        return other if isinstance(other, Traced) else Traced(self.rounded.lift(other))

    def _with(self, other: Any, value: Callable[[Rounded, Rounded], Rounded], pulls: Any) -> Traced:
        """An operation entry by entry on two arrays, which are broadcast, with its two derivatives times g."""
        b = self._lift(other)
        result, shapes = value(self.rounded, b.rounded), (self.shape, b.shape)
        return Traced(result, (self, b), lambda g: [_summed(p, s) for p, s in zip(pulls(g, b), shapes, strict=True)])

    def __add__(self, other: Any) -> Traced:
        return self._with(other, lambda a, b: a + b, lambda g, _: (g, g))

    def __sub__(self, other: Any) -> Traced:
        return self._with(other, lambda a, b: a - b, lambda g, _: (g, -g))

    def __mul__(self, other: Any) -> Traced:
        return self._with(other, lambda a, b: a * b, lambda g, b: (g * b.rounded, g * self.rounded))

    def __truediv__(self, other: Any) -> Traced:
        def pulls(g: Rounded, b: Traced) -> tuple[Rounded, Rounded]:
            return g / b.rounded, -g * (self.rounded / b.rounded / b.rounded)

        return self._with(other, lambda a, b: a / b, pulls)

    def __radd__(self, other: Any) -> Traced:
        return self._lift(other) + self

    def __rsub__(self, other: Any) -> Traced:
        return self._lift(other) - self

    def __rmul__(self, other: Any) -> Traced:
        return self._lift(other) * self

    def __rtruediv__(self, other: Any) -> Traced:
        return self._lift(other) / self

    def __neg__(self) -> Traced:
        return Traced(-self.rounded, (self,), lambda g: [-g])

    def __matmul__(self, other: Any) -> Traced:
        b = self._lift(other)
        if self.ndim != 2 or b.ndim != 2:
            raise TypeError(f"@ of shapes {self.shape} and {b.shape}; expected matrices")
        return Traced(self.rounded @ b.rounded, (self, b), lambda g: [g @ b.rounded.T, self.rounded.T @ g])

    def __rmatmul__(self, other: Any) -> Traced:
        return self._lift(other) @ self

    def sum(self, axis: Any = None, keepdims: bool = False, **_: Any) -> Traced:
        """The sum, as NumPy's and torch's."""
        kept = self.rounded.value.sum(axis=axis, keepdims=True).shape
        total = self.rounded.sum(axis, keepdims)
        return Traced(total, (self,), lambda g: [_spread(g.reshape(*kept), self.shape)])

    def mean(self, axis: Any = None, keepdims: bool = False, **_: Any) -> Traced:
        """The mean, as NumPy's and torch's."""
        total = self.sum(axis, keepdims)
        return total / (math.prod(self.shape) / math.prod(total.shape))

    def reshape(self, *shape: Any) -> Traced:
        """The same numbers in another shape."""
        there = np.empty(self.shape).reshape(*shape).shape
        return Traced(self.rounded.reshape(*there), (self,), lambda g: [g.reshape(*self.shape)])

    @property
    def T(self) -> Traced:
        """The transpose."""
        return Traced(self.rounded.T, (self,), lambda g: [g.T])

    def __getitem__(self, index: Any) -> Traced:
        a = self.rounded

        def pull(g: Rounded) -> list[Rounded]:
            value, error = np.zeros(a.shape), np.zeros(a.shape)
            value[index], error[index] = g.value, g.error
            return [Rounded(value, error, dtype=g.dtype)]

        if not all(isinstance(part, (slice, int)) for part in (index if isinstance(index, tuple) else (index,))):
            raise TypeError(f"an index {index!r}")
        return Traced(Rounded(a.value[index], a.error[index], dtype=a.dtype), (self,), pull)

    def __setitem__(self, index: Any, value: Any) -> None:
        if (index is not Ellipsis and index != slice(None)) or self.sources:
            raise TypeError("written to in place; expected a new array")
        self.rounded = self._lift(value).rounded


def _summed(g: Rounded, shape: tuple[int, ...]) -> Rounded:
    """The gradient of an array of that shape that was broadcast: all its uses in one sum, in whatever order."""
    lead = len(g.shape) - len(shape)
    axes = [i for i, n in enumerate(g.shape) if i < lead or (shape[i - lead] == 1 and n != 1)]
    if not axes:
        return g
    order = [*axes, *(i for i in range(len(g.shape)) if i not in axes)]
    rest = [g.shape[i] for i in order[len(axes) :]]
    rows = (np.reshape(np.transpose(a, order), (-1, *rest)) for a in (g.value, g.error))
    return Rounded(*rows, dtype=g.dtype).sum(axis=0).reshape(*shape)


def _spread(g: Rounded, shape: tuple[int, ...]) -> Rounded:
    return Rounded(np.broadcast_to(g.value, shape), np.broadcast_to(g.error, shape), dtype=g.dtype)


class _Part:
    """What stands for a layer in a formula: called, and asked for ``backward``, it gives Traced arrays.

    ``x`` is the input of its last call. A built-in layer has bounds of its own; a Sequential is its parts in a chain;
    a layer of one's own has its two formulas, run with parts in the place of its layers.
    """

    def __init__(self, layer: nn.Layer, held: dict[int, Any]) -> None:
        self._layer, self._held, self._masked = layer, held, False
        self.x: Traced | None = None
        children = dict(layer.named_children())
        for child in children.values():
            if id(child) not in held:
                held[id(child)] = _Part(child, held)
        self._chain = [held[id(child)] for child in layer] if isinstance(layer, nn.Sequential) else []
        self._own = stand_in(layer, held, self._converted) if is_own(layer) else None

    def _converted(self, value: Any) -> Any:
        if isinstance(value, np.random.Generator) and self._layer.training:
            raise TypeError(f"{self._layer.label}: draws random numbers, of which torch draws others; expected eval()")
        return value.copy() if isinstance(value, np.ndarray) else value

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._layer, name)
        return self._held.get(id(value), value)

    def __iter__(self) -> Any:
        return iter(self._chain)

    def __len__(self) -> int:
        return len(self._chain)

    def __getitem__(self, index: Any) -> Any:
        return self._chain[index]

    def __call__(self, x: Traced) -> Traced:
        self.x = x
        if self._own is not None:
            vars(self._own)["saved"] = x
            return self._formula("forward", x)
        if isinstance(self._layer, nn.Sequential):
            for part in self._chain:
                x = part(x)
            return x
        if isinstance(self._layer, nn.Dropout) and self._layer.mask is not None:
            if self._masked:
                raise TypeError(f"{self._layer.label} is called twice and keeps one mask; expected a Dropout a place")
            self._masked = True
        parameters = self._parameters()
        sources = (x, *(stand.data for stand in parameters.values()))
        return Traced(layers.forward(self._layer, x.rounded, self._values()), sources, self._pull(x))

    forward = __call__

    def backward(self, grad_output: Traced) -> Traced:
        """The gradient of the input; those of the parameters are written to what stands for them."""
        if self.x is None:
            raise TypeError(f"{self._layer.label}: backward needs a forward call before it")
        if self._own is not None:
            return self._formula("backward", grad_output)
        if isinstance(self._layer, nn.Sequential):
            for part in reversed(self._chain):
                grad_output = part.backward(grad_output)
            return grad_output
        gradients = self._pull(self.x)(grad_output.rounded)
        for stand, gradient in zip(self._parameters().values(), gradients[1:], strict=True):
            stand.grad = Traced(gradient)
        return Traced(gradients[0])

    def _formula(self, name: str, x: Traced) -> Traced:
        formula = inspect.unwrap(getattr(type(self._layer), name))
        with refused(self._layer, formula, "arrays with bounds"):
            result = formula(self._own, x)
            if not isinstance(result, Traced):
                raise TypeError(f"it makes {type(result).__name__} of an array with a bound")
        return result

    def _parameters(self) -> dict[str, Stand]:
        return {name: self._held[id(p)] for name, p in self._layer.named_parameters()}

    def _values(self) -> Parameters:
        return {name: stand.data.rounded for name, stand in self._parameters().items()}

    def _pull(self, x: Traced) -> Pull:
        """The chain rule through a built-in layer: the gradients of its input and of its parameters."""

        def pull(g: Rounded) -> list[Rounded]:
            gradient, gradients = layers.backward(self._layer, x.rounded, g, self._values())
            return [gradient, *(gradients[name] for name in self._parameters())]

        return pull


def is_composed(layer: nn.Layer) -> bool:
    """Whether a layer has no formulas in :mod:`torch_ref.bounds.layers`, but those that it is written with."""
    return is_own(layer) or isinstance(layer, nn.Sequential)


def _run(layer: nn.Layer, x: Rounded, parameters: Parameters | None) -> tuple[_Part, dict[str, Stand], Traced, Traced]:
    """The layer's parts, what stands for its parameters, its input and its output."""
    exact = {name: x.lift(p.data) for name, p in layer.named_parameters()}
    stands = {name: Stand(Traced(value)) for name, value in (parameters or exact).items()}
    for stand in stands.values():
        stand.grad = Traced(Rounded(np.zeros(stand.shape), dtype=x.dtype))
    part = _Part(layer, {id(p): stands[name] for name, p in layer.named_parameters()})
    given = Traced(x)
    return part, stands, given, part(given)


def forward(layer: nn.Layer, x: Rounded, parameters: Parameters | None = None) -> Rounded:
    """The output of the layer for ``x`` (for Dropout: with the mask of its last forward call)."""
    if not is_composed(layer):
        return layers.forward(layer, x, parameters)
    return _run(layer, x, parameters)[3].rounded


def backward(layer: nn.Layer, x: Rounded, g: Rounded, parameters: Parameters | None = None) -> Gradients:
    """The gradient of the input and of each parameter, by its name, for the output's gradient ``g``.

    Of a layer of one's own the values are those of the chain rule through its forward, whatever its backward says.
    """
    if not is_composed(layer):
        return layers.backward(layer, x, g, parameters)
    part, stands, given, output = _run(layer, x, parameters)
    ours = part.backward(Traced(g))
    theirs = _chain_rule(output, g)
    found = {
        name: _either(theirs.get(id(stand.data)), stand.grad, stand.data.rounded) for name, stand in stands.items()
    }
    return _either(theirs.get(id(given)), ours, x), found


def _chain_rule(output: Traced, g: Rounded) -> dict[int, Rounded]:
    """The gradients of all that the output was made of, by their ids; several uses are summed in whatever order."""
    order: list[Traced] = []
    seen: set[int] = set()
    waiting = [(output, False)]
    while waiting:
        node, done = waiting.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting += [(node, True), *((source, False) for source in node.sources)]
    shares: dict[int, list[Rounded]] = {id(output): [g]}
    gradients: dict[int, Rounded] = {}
    for node in reversed(order):
        terms = shares.pop(id(node))
        total = terms[0] if len(terms) == 1 else _stacked(terms).sum(axis=0)
        gradients[id(node)] = total
        if node.pull is not None:
            for source, share in zip(node.sources, node.pull(total), strict=True):
                shares.setdefault(id(source), []).append(share)
    return gradients


def _stacked(terms: list[Rounded]) -> Rounded:
    return Rounded(np.stack([t.value for t in terms]), np.stack([t.error for t in terms]), dtype=terms[0].dtype)


def _either(theirs: Rounded | None, ours: Traced, like: Rounded) -> Rounded:
    """The value of the chain rule, and the larger error; what the output does not depend on has gradient 0."""
    if theirs is None:
        theirs = Rounded(np.zeros(like.shape), dtype=like.dtype)
    if ours.shape != theirs.shape:
        return theirs
    return Rounded(theirs.value, np.maximum(theirs.error, ours.rounded.error), dtype=theirs.dtype)


def running_statistics(layer: nn.Layer, x: Rounded, before: Mapping[str, Any]) -> dict[str, Rounded]:
    """The running statistics of each BatchNorm1d in the layer after a forward call in training mode, by their names.

    ``before`` has its buffers as they were, by the same names.
    """
    norms = {name: norm for name, norm in layer.named_modules() if isinstance(norm, nn.BatchNorm1d) and norm.training}
    inputs = {id(layer): x}
    if is_composed(layer) and norms:
        held = _run(layer, x, None)[0]._held
        inputs = {id(norm): held[id(norm)].x.rounded for norm in norms.values() if held[id(norm)].x is not None}
    found: dict[str, Rounded] = {}
    for path, norm in norms.items():
        if id(norm) in inputs:
            start = f"{path}." if path else ""
            old = {name: before[start + name] for name, _ in norm.named_buffers()}
            moved = layers.running_statistics(norm, inputs[id(norm)], old)
            found |= {start + name: bound for name, bound in moved.items()}
    return found
