"""The losses that code leaves unsaid: networks that have a forward pass and gradients of a loss that is not written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import names
from numpy_nn.subjects.dressing import Dressed
from numpy_nn.subjects.names import positional

Cost = Callable[[NDArray[Any], NDArray[Any]], Any]


def usual_costs(samples: Sequence[int]) -> Iterator[tuple[str, Cost]]:
    """The losses of courses and books: squared errors and cross-entropies of probabilities.

    ``samples`` are the numbers that n may be: samples are in rows, or in columns.
    """
    sums: list[tuple[str, Cost]] = [
        ("sum((a - y)^2) / 2", lambda a, y: 0.5 * np.sum((a - y) ** 2)),
        ("sum((a - y)^2)", lambda a, y: np.sum((a - y) ** 2)),
        ("-sum(y log a + (1 - y) log(1 - a))", lambda a, y: -np.sum(y * np.log(a) + (1.0 - y) * np.log(1.0 - a))),
        ("-sum(y log a)", lambda a, y: -np.sum(y * np.log(a))),
        ("-sum(log a[label])", lambda a, y: -np.sum(np.log(_of_labels(a, y)))),
    ]
    yield from sums
    for n in dict.fromkeys(samples):
        for formula, cost in sums:
            yield f"{formula} / n, with n = {n}", _divided(cost, n)
    yield "mean((a - y)^2)", lambda a, y: np.mean((a - y) ** 2)


def cost_beside(function: Callable[..., Any]) -> tuple[str, Cost] | None:
    """The loss of an output and targets in the module of a function, with its name; None if there is not one alone."""
    function = getattr(function, "__func__", function)
    own = getattr(function, "__globals__", {})
    found = {}
    for name, value in own.items():
        spec = positional(value) if inspect.isfunction(value) and value.__module__ == function.__module__ else None
        if spec is not None and len(spec[0]) == 2 and names.is_loss(name) and value is not function:
            found[name] = value
    return next(iter(found.items())) if len(found) == 1 else None


def _divided(cost: Cost, by: int) -> Cost:
    return lambda a, y: cost(a, y) / by


def _of_labels(a: NDArray[Any], y: NDArray[Any]) -> Any:
    if np.ndim(y) != 1 or np.asarray(y).dtype.kind not in "iu" or len(y) != len(a):
        raise ValueError("expected a label for each row")
    return a[np.arange(len(y)), y]


class LossOfOutput:
    """A loss of what a forward pass returns, as one function of its arguments, which are ``named``, and the targets.

    A loss may want arguments of the forward pass too, by their names, such as the weights that it decays. Where
    ``loss`` returns its own gradient beside its value, :meth:`backward` hands that to the network's ``gradient``.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        loss: Callable[..., Any],
        gradient: Callable[..., Any] | None,
        named: Sequence[str] = (),
    ) -> None:
        self._forward, self._loss, self._gradient, self._named = forward, loss, gradient, tuple(named)
        self._of_output: Any = None
        self.output: Any = None  # what the network has returned

    def loss(self, *arguments: Any) -> Any:
        """loss(forward(x), targets), and after it what forward returned beside its output."""
        *inputs, targets = arguments
        output = self._forward(*inputs)
        rest = output[1:] if isinstance(output, tuple) else ()
        self.output = output[0] if isinstance(output, tuple) or _is_list_of_unlike_arrays(output) else output
        value = self._loss(*self._in_order(self.output, targets, dict(zip(self._named, inputs, strict=False))))
        if isinstance(value, tuple):
            value, self._of_output = value[0], value[1]
        return (value, *rest) if rest else value

    def _in_order(self, output: Any, targets: Any, given: Mapping[str, Any]) -> list[Any]:
        """The arguments of the loss in the order of its names: the output, then the targets, if they do not tell."""
        spec = positional(self._loss)
        wanted = [] if spec is None else spec[0]
        first_two = [output, targets]
        if [names.role_in_loss(name) for name in wanted[:2]] == [names.TARGET, names.PREDICTION]:
            first_two = [targets, output]
        return [*first_two, *(given[name] for name in wanted[2:] if name in given)]

    def backward(self) -> Any:
        """The network's backward pass from the gradient that the loss has returned. TypeError if it returned none."""
        if self._of_output is None or self._gradient is None:
            raise TypeError("the loss returns no gradient")
        return self._gradient(self._of_output)

    def given_output(self, gradient: Callable[..., Any]) -> Callable[..., Any]:
        """A gradient function that wants the output of the forward pass, as one that gets it by itself."""
        spec = positional(gradient)
        wanted = [] if spec is None else spec[0]
        free = [name for name in wanted if name not in self._named and names.role(name) == names.UNKNOWN]
        found = [n for n in free if names.role_in_loss(n) == names.PREDICTION and not names.is_data(n)]
        if len(found) != 1:
            return gradient
        place = wanted.index(found[0])

        def with_output(*arguments: Any) -> Any:
            return gradient(*arguments[:place], self.output, *arguments[place:])

        signature = inspect.signature(gradient)
        others = [p for name, p in signature.parameters.items() if name != found[0]]
        return Dressed(with_output, signature.replace(parameters=others))


def _is_list_of_unlike_arrays(output: Any) -> bool:
    """Whether it is a list of an output and other things, not one of the outputs of samples."""
    return isinstance(output, list) and len({np.shape(part) for part in output}) > 1
