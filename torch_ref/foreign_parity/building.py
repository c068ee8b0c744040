"""From what a user hands over to a side: a subject of numpy_nn's checker or of torch's, and the loss at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.subjects import Hints, Subject, SubjectError, as_subject
from numpy_nn.subjects.agreement import agreement
from numpy_nn.subjects.names import BACKWARDS, GRAD, LOSSES, TARGET, method, role, role_in_loss
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.signatures import positional
from torch_ref.foreign_parity.sides import Side
from torch_ref.tensor_function import TensorFunction
from torch_ref.torch_subject import TorchSubject
from torch_ref.twin import loss_to_torch

Array = NDArray[Any]


def side_of(network: Any, inputs: Sequence[Any], targets: Any, loss: Any, hints: Hints, more: Sequence[Array]) -> Side:
    """The side for a network of any kind; ``more`` are further arguments that a function of tensors may want.

    SubjectError if its own code raises, TypeError for what no form of a network is known to be.
    """
    if isinstance(network, Subject):
        return _ended(network, inputs, targets, loss, False)
    if isinstance(network, torch.nn.Module):
        return _of_torch(network, inputs, targets, loss, more)
    if callable(network) and hasattr(network, "__code__"):
        return first_that_runs(
            lambda: _of_torch(network, inputs, targets, loss, more),
            lambda: _of_numpy(network, inputs, targets, loss, hints),
        )
    return _of_numpy(network, inputs, targets, loss, hints)


def _of_numpy(network: Any, inputs: Sequence[Any], targets: Any, loss: Any, hints: Hints) -> Side:
    if isinstance(network, (nn.Layer, tuple, list)) and (loss is not None or targets is None):
        return _ended(as_subject(network, inputs, None, hints), inputs, targets, loss, False)
    value = None if isinstance(network, (tuple, list)) else method(network, LOSSES)
    if targets is not None and (loss is None or _takes_targets_too(value, len(inputs))):
        subject = as_subject(network, inputs, targets, hints)
        return _ended(subject, inputs, targets, None, False)

    def plain() -> Side:
        return _ended(as_subject(network, inputs, None, hints), inputs, targets, loss, False)

    def unsaid() -> Side:
        cost = Hints(hints.parameters, hints.constants, hints.generators, _cost(loss, inputs))
        return _ended(as_subject(network, inputs, targets, cost), inputs, targets, None, False)

    if targets is None or loss is None:
        return plain()
    return likelier(*((unsaid, plain) if _backward_takes_targets(network) else (plain, unsaid)))


def _takes_targets_too(loss: Callable[..., Any] | None, inputs: int) -> bool:
    """Whether a loss wants so many inputs and the targets, which it may do without."""
    spec = None if loss is None else positional(loss)
    if spec is None:
        return False
    required, optional = spec
    wanted = len(required) - inputs
    return wanted == 1 or (wanted == 0 and role_in_loss(next(iter(optional), "")) == TARGET)


def likelier(first: Callable[[], Side], second: Callable[[], Side]) -> Side:
    """The first way to build a side; the second where the first raises, or where its gradients agree with more."""
    side = first_that_runs(first, second)
    if (share := share_of_right(side)) < 1.0:
        with suppress(SubjectError, TypeError, ValueError):
            other = second()
            return other if share_of_right(other) > share else side
    return side


def share_of_right(side: Side) -> float:
    """How many of a side's gradients are roughly those of its output."""
    if not isinstance(side.network, CodeSubject):
        return 1.0
    found = agreement(side.network)
    return found.agreeing / found.shaped if found.shaped else 0.0


def first_that_runs(first: Callable[[], Side], second: Callable[[], Side]) -> Side:
    """The first way to build a side, or the second where that raises; what the first raised if both do."""
    try:
        return first()
    except (SubjectError, TypeError, ValueError) as error:
        raised = error
    with suppress(SubjectError, TypeError, ValueError):
        return second()
    raise raised  # not "from": a SubjectError has the user's own for its cause


def _backward_takes_targets(network: Any) -> bool:
    """Whether its backward pass is that of a loss which the code leaves unsaid: it wants targets, and no gradient."""
    function = network[1] if isinstance(network, (tuple, list)) else method(network, BACKWARDS)
    wanted = (None if function is None else positional(function)) or ([], [])
    roles = [(role(name), role_in_loss(name)) for name in wanted[0]]
    return any(r != GRAD and in_loss == TARGET for r, in_loss in roles)


def _of_torch(network: Any, inputs: Sequence[Any], targets: Any, loss: Any, more: Sequence[Array]) -> Side:
    """A module, or a function of tensors that takes the inputs, the targets if it is a loss, and further arrays."""
    spec = positional(network.forward if isinstance(network, torch.nn.Module) else network)
    required = [] if spec is None else spec[0]
    arguments = [_tensor(value) for value in inputs[: len(required) or 1]]
    target = None
    if loss is None and targets is not None and len(required) > len(arguments):
        named = [name for name in required[len(arguments) :] if role_in_loss(name) == TARGET]
        target = named[0] if named else required[len(arguments)]
    waiting = list(more)
    for name in required[len(arguments) :]:
        if name == target:
            arguments.append(_tensor(targets, False))
        elif waiting:
            arguments.append(_tensor(waiting.pop(0)))
    function = TensorFunction.of(network, len(arguments), torch.float64)
    subject = TorchSubject(function, arguments, torch.float64)
    if target is not None:
        subject.take_targets(target)
    subject.output()
    return _ended(subject, inputs, targets, loss, True)


def _ended(subject: Subject, inputs: Sequence[Any], targets: Any, loss: Any, is_torch: bool) -> Side:
    """The side with the loss at its end, if the subject is none itself."""
    if not subject.make_repeatable():
        raise ValueError(f"{subject.label}: {'; '.join(subject.problems)}")
    output = subject.output()
    if subject.is_loss or (loss is None and targets is not None and output.size == 1):
        return Side(subject, computes_loss=True)
    x = subject.arrays.get(subject.input, np.asarray(inputs[0]))
    columns = in_columns(x, output)
    if loss is None or targets is None:
        grad_output = subject.random_grad_output(np.random.default_rng(0), output.shape)
        return Side(subject, grad_output=grad_output, columns=columns)
    return Side(subject, _loss(_of_columns(loss) if columns else loss, output, targets, is_torch), columns=columns)


def in_columns(x: Array, output: Array) -> bool:
    """Whether the samples of a batch and its output stand in columns, as the shapes tell."""
    return x.ndim == output.ndim == 2 and x.shape[0] != output.shape[0] and x.shape[1] == output.shape[1]


def _of_columns(loss: Any) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The loss, which has samples in rows, of predictions and targets that have them in columns."""
    in_rows = loss_to_torch(loss) if isinstance(loss, nn.Loss) else loss

    def turned(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = in_rows(prediction.T, target.T if target.ndim == 2 else target)
        return value

    return turned


def _loss(loss: Any, output: NDArray[np.float64], targets: Any, is_torch: bool) -> Subject:
    """The loss as a subject: of our losses torch's counterpart for a network of torch's, any other as it is."""
    if isinstance(loss, nn.Loss):
        return (
            _loss_of_torch(loss_to_torch(loss), output, targets) if is_torch else _loss_of_ours(loss, output, targets)
        )
    if isinstance(loss, torch.nn.Module):
        return _loss_of_torch(loss, output, targets)
    if callable(loss) and not isinstance(loss, type) and method(loss, ["backward", "gradient", "grad"]) is None:
        return _loss_of_torch(loss, output, targets)
    return _loss_of_ours(loss, output, targets)


def _loss_of_ours(loss: Any, output: NDArray[np.float64], targets: Any) -> Subject:
    return as_subject(loss, (output,), targets, Hints())


def _loss_of_torch(loss: Callable[..., Any], output: NDArray[np.float64], targets: Any) -> Subject:
    arguments = [torch.tensor(output, requires_grad=True), _tensor(targets, False)]
    function = TensorFunction.of(loss, 2, torch.float64)
    subject = TorchSubject(function, arguments, torch.float64)
    subject.take_targets(list(function.names)[1])
    subject.output()
    return subject


def _cost(loss: Any, inputs: Sequence[Any]) -> Callable[[Any, Any], float]:
    """The loss as a function of two arrays, for the checker's ``loss=``."""
    if isinstance(loss, nn.Loss) or not callable(loss):
        return loss if callable(loss) else loss.forward

    def cost(a: Any, y: Any) -> float:
        own = _of_columns(loss) if in_columns(np.asarray(inputs[0]), np.asarray(a)) else loss
        return float(own(torch.as_tensor(np.asarray(a)), _tensor(y, False)))

    return cost


def _tensor(value: Any, differentiated: bool = True) -> Any:
    """An argument as a tensor: floats in float64, labels as the integers that torch's losses take."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return torch.tensor(array.astype(np.float64), requires_grad=differentiated)
    return torch.tensor(array.astype(np.int64)) if array.dtype.kind in "iu" else value
