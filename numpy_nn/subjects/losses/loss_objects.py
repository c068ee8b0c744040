"""Objects that are asked for a loss, which they have as a method, as an object of its own, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from copy import copy
from functools import partial
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.agreement import CLOSELY, Agreement, agreement, claimed_in_shape
from numpy_nn.subjects.calls.arguments import named_arguments, strengths_wanted, takes, with_settings_given
from numpy_nn.subjects.calls.chains import backward_of_layers
from numpy_nn.subjects.calls.costs import (
    HandedOn,
    LossOfOutput,
    held_loss,
    method_of_loss,
    method_of_usual_loss,
    penalty_of,
    said_of_penalty,
)
from numpy_nn.subjects.calls.dressing import in_training, value_first, with_output_kept
from numpy_nn.subjects.choosing import chosen
from numpy_nn.subjects.given_code import HOW, Code, Hints
from numpy_nn.subjects.losses.left_losses import with_the_loss_left
from numpy_nn.subjects.losses.training import step_of_training, without_its_loss
from numpy_nn.subjects.losses.unsaid import wants_gradient, with_unsaid_cost
from numpy_nn.subjects.names import method
from numpy_nn.subjects.own_methods import lines_for_methods
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.returned import returned_names
from numpy_nn.subjects.source.roles import is_data
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.subject import SubjectError


def predictor(target: Any, forward: Callable[..., Any] | None, number: int) -> Callable[..., Any] | None:
    """What gives an object's output for the inputs alone: its loss, where that may be asked without targets."""
    value = method(target, names.LOSSES)
    required, optional = (None if value is None else positional(value)) or ([], [])
    if len(required) == number and names.role_in_loss(next(iter(optional), "")) == names.TARGET:
        return value
    return forward if forward is not None and takes(forward, number) else None


def has_loss(target: Any, number: int) -> bool:
    """Whether an object has a loss of so many inputs and targets, or of an output and targets: not of a residual."""
    value = method(target, names.LOSSES)
    return value is not None and (takes(value, number + 1) or takes(value, 2))


def of_loss_object(
    label: str, target: Any, forward: Callable[..., Any] | None, inputs: Sequence[Any], targets: Any, hints: Hints
) -> CodeSubject:
    """An object that is asked for a loss: by a method of such a name, by forward(x, y), or by no method at all.

    Where that fails it is called by ``__call__``, which may keep for backward what forward alone does not.
    """
    before = Snapshot(target)
    forward = with_the_loss_left(target, forward, inputs, targets)
    try:
        subject = _of_loss_object(label, target, forward, inputs, targets, hints)
    except (SubjectError, TypeError, ValueError):
        called = method(target, ["__call__"])
        if called is None or getattr(forward, "__name__", "__call__") == "__call__":
            raise
        before.restore()
        with suppress(SubjectError, TypeError, ValueError):
            return _of_loss_object(label, target, in_training(called), inputs, targets, hints)
        raise
    value = method(target, names.LOSSES)
    for name, strength in strengths_wanted(value, len(inputs) + 1).items():
        subject.notes.append(f"{getattr(value, '__name__', 'the loss')} takes {name} as well: it was given {strength}")
    return subject


def _of_loss_object(
    label: str, target: Any, forward: Callable[..., Any] | None, inputs: Sequence[Any], targets: Any, hints: Hints
) -> CodeSubject:
    value = method(target, names.LOSSES) or (None if _is_loss_itself(forward, len(inputs)) else held_loss(target))
    value = value or method_of_loss(target, len(inputs) + 1) or method_of_loss(target)
    network = getattr(forward, "__self__", target)  # which a trainer holds, and asks for its loss
    value = in_training(value or (method(network, names.LOSSES) if network is not target else None))
    strengths = strengths_wanted(value, len(inputs) + 1)
    value = partial(value, **strengths) if value is not None and strengths else value
    if value is None and (usual := _of_usual_loss(label, target, inputs, targets, hints)) is not None:
        return usual
    own = value.func if isinstance(value, partial) else value
    gradient = method(target, [name for name in names.LOSS_GRADIENTS if method(target, [name]) != own])
    gradient = None if _is_of_held_loss(target, own, gradient) else gradient
    gradient = gradient or names.passes(target)[1]
    if gradient is not None and strengths and strengths_wanted(gradient, len(inputs) + 1) == strengths:
        gradient = partial(gradient, **strengths)
    step = step_of_training(target, (*inputs, targets))
    both = value if gradient is None and step is not None else gradient if value is None else None
    if hints.cost is None and both is not None and (both is value or any(map(names.is_loss, returned_names(both)))):
        before = Snapshot(target)
        if (told := _of_loss_with_gradients(label, both, inputs, targets, target, hints)) is not None:
            return told
        before.restore()
    gradient = gradient or (step if value is None else without_its_loss(step))
    gradient = gradient or backward_of_layers(target, forward, inputs[0])
    derived = names.derived(target, own)
    derived = None if _is_of_held_loss(target, own, derived) else derived
    found: list[tuple[bool, Agreement, bool, bool, bool, CodeSubject]] = []
    errors: list[Exception] = []
    wanting: Callable[..., Any] | None = None
    before = Snapshot(target)  # what a way that is not meant updates, it takes for none of its parameters
    gradients = [gradient, derived or gradient, _of_data_and_targets(target, own, len(inputs) + 1)]
    each = dict.fromkeys(gradients if gradients[-1] is not None else gradients[:-1]) if hints.cost is None else ()
    penalty = penalty_of(target)

    def ways() -> Iterator[tuple[Callable[..., Any], Callable[..., Any] | None]]:
        given_output = with_output_kept(target, gradient) if _is_loss_itself(forward, len(inputs)) else None
        if forward is not None and given_output is not None:
            yield forward, given_output
        for g in each:
            yield from ways_to_a_loss(forward, value, g, penalty, len(inputs))
        # Where no gradient has the shape of its parameter, as one of W^T, the step may turn it.
        if each and step is not None and step not in each and found and not any(one[1].shaped for one in found):
            yield from ways_to_a_loss(forward, value, without_its_loss(step), penalty, len(inputs))

    for function, backward in ways():
        given = named_arguments(function, inputs, targets)
        before.restore()
        try:
            subject = chosen(Code(label, function, backward, given, hints, list(given)[-1], target))
            agrees = agreement(subject)
        except (SubjectError, TypeError, ValueError) as error:
            errors.append(error)
            continue
        chain = getattr(function, "__self__", None)
        of_chain = isinstance(chain, LossOfOutput)
        if of_chain and agrees.agreeing < agrees.shaped and wants_gradient(backward):
            wanting = backward  # that of the output, in the place of which it was given that of the loss, or the output
            continue
        counts = isinstance(chain, LossOfOutput) and chain.penalty is not None
        if penalty is not None and of_chain:
            subject.notes += said_of_penalty(penalty, counts=counts)
        if backward is None and _are_left_at_0(subject):
            continue  # nothing has run that would write them
        # To a digit or two they may agree without a small penalty as well, or with the output for its gradient.
        agree = agrees.agreeing == agrees.shaped > 0 and agrees.digits == CLOSELY
        if mean := _mean_of_held_loss(target, value, chain, targets, subject):
            subject.complain(_OF_HELD_LOSS.format(mean, getattr(value, "__name__", "the loss")))
        if agree or not subject.make_repeatable():
            if function is forward and (mean := _mean_of_samples(target, forward, given.values(), subject)):
                subject.complain(_OF_SAMPLES.format(mean))
            return subject
        # What reaches the object's own arrays is meant, rather than a loss of what it is given; and a gradient that the
        # loss returns beside its value, where nothing else tells.
        handed_on = isinstance(backward, HandedOn)
        # What a part of it does, that it holds for its own passes, is not meant; a penalty that it has is.
        is_own = getattr(getattr(function, "func", function), "__self__", None) is target
        found.append((subject.has_parameters, agrees, handed_on, is_own, counts, subject))
    before.restore()
    if not found and forward is not None and wanting is not None:
        return _of_output_alone(label, forward, wanting, inputs, target, hints)
    if found and forward is not None and gradient is not None and _may_want_a_gradient(gradient):
        with suppress(SubjectError, TypeError, ValueError):
            alone = _of_output_alone(label, forward, gradient, inputs, target, hints)
            if alone.convention.takes_grads and agreement(alone).agreeing > max(one[1].agreeing for one in found):
                return alone
        before.restore()
    if found:
        return max(found, key=lambda one: one[:5])[5]
    if errors and (forward is None or not takes(forward, len(inputs))):
        raise errors[0]
    gradient = method(target, ["backprop", *names.LOSS_GRADIENTS]) or names.passes(target)[1]
    step = step_of_training(target, (*inputs, targets))
    gradient = gradient or step or backward_of_layers(target, forward, inputs[0])
    if forward is None or gradient is None:
        if errors:
            raise errors[0]
        _refuse_more_arguments(label, value, method(target, names.LOSS_GRADIENTS), len(inputs) + 1)
        way = lines_for_methods(target, [*inputs, targets], targets=True)
        raise TypeError(f"target: expected a loss with forward and backward, or loss and grad, got {label}{HOW}{way}")
    try:
        return with_unsaid_cost(label, forward, gradient, inputs, targets, target, hints)
    except (SubjectError, TypeError, ValueError):
        if step in (None, gradient):
            raise
        before.restore()
    # A backward pass may want what the step that calls it gives it, such as sums to be added to.
    return with_unsaid_cost(label, forward, step, inputs, targets, target, hints)


def _of_output_alone(
    label: str, forward: Callable[..., Any], backward: Any, inputs: Sequence[Any], target: Any, hints: Hints
) -> CodeSubject:
    """The passes of a network without its loss."""
    subject = chosen(Code(label, forward, backward, named_arguments(forward, inputs, None), hints, None, target))
    subject.notes.append(
        "nothing gives backward the gradient of the loss: it is checked from a gradient of the output at random, "
        "and the loss not at all"
    )
    return subject


def _may_want_a_gradient(backward: Callable[..., Any]) -> bool:
    """Whether the name of the one thing that it wants tells neither an output nor targets: ``backward(J_L_O)``."""
    own = (positional(backward) or ([], []))[0]
    return len(own) == 1 and names.role(own[0]) == names.role_in_loss(own[0]) == names.UNKNOWN


_OF_SAMPLES = (
    "the gradient is that of the sum of the losses that forward returns, and {0} returns their mean: to have it "
    "decided which is meant, give a pair, (loss.{0}, loss.backward) or (loss.forward, loss.backward)"
)


_OF_HELD_LOSS = (
    "the gradient is that of the sum of the losses that {1} returns, and {0} returns their mean: they are wrong if the "
    "mean is the loss, off by the number of samples, and right if the sum is; say which with loss="
)


def _mean_of_held_loss(target: Any, value: Any, chain: Any, targets: Any, subject: CodeSubject) -> str:
    """The method of the loss that a network holds that returns the mean of what it is judged by the sum of, or ""."""
    holder = getattr(value, "__self__", None)
    if holder in (None, target) or not isinstance(chain, LossOfOutput) or not subject.make_repeatable():
        return ""
    subject.output()
    return _mean_of_samples(holder, value, (chain.output, targets), subject)


def _mean_of_samples(target: Any, forward: Callable[..., Any], given: Collection[Any], subject: CodeSubject) -> str:
    """The method that returns the mean of the losses of samples, of whose sum the gradient is; "" if there is none."""
    if subject.convention.averaged or (losses := subject.output()).size == 1:
        return ""
    for name in (*names.FORWARDS, *names.LOSSES):
        if (function := method(target, [name])) in (None, forward) or not takes(function, len(given)):
            continue
        with suppress(SubjectError), subject.running():
            value = np.asarray(function(*map(copy, given)))
            if value.ndim == 0 and np.isclose(value, losses.mean(), rtol=1e-9, atol=0.0):
                return name
    return ""


def _of_usual_loss(label: str, target: Any, inputs: Sequence[Any], targets: Any, hints: Hints) -> CodeSubject | None:
    """An object whose loss is called as a usual one, ``cross_entropy(X, y)``, where a gradient at least is that of it.

    What is only printed beside may be a multiple of the loss that is meant; a penalty may be in some gradients alone.
    """
    value, gradient = method_of_usual_loss(target), method(target, names.LOSS_GRADIENTS)
    if value is None or gradient is None or hints.cost is not None or len(inputs) != 1:
        return None
    before = Snapshot(target)
    with suppress(SubjectError, TypeError, ValueError):
        given = named_arguments(value, inputs, targets)
        subject = chosen(Code(label, value, gradient, given, hints, list(given)[-1], target))
        if subject.has_parameters and agreement(subject).agreeing:
            return subject
    before.restore()
    return None


def _of_loss_with_gradients(
    label: str, value: Any, inputs: Sequence[Any], targets: Any, target: Any, hints: Hints
) -> CodeSubject | None:
    """An object whose loss returns the gradients beside its value, or its backward pass the loss beside these, or None.

    Whatever makes steps with them: what trains may take a few samples at a time, and draw them.
    """
    if takes(value, len(inputs) + 1):
        with suppress(SubjectError, TypeError, ValueError):
            given = named_arguments(value, inputs, targets)
            subject = chosen(Code(label, value_first(value), None, given, hints, list(given)[-1], target))
            if subject.make_repeatable() and subject.returns_gradients and not _are_left_at_0(subject):
                return subject
    return None


def _is_loss_itself(forward: Callable[..., Any] | None, number: int) -> bool:
    """Whether the forward pass takes targets, by their name, after so many inputs."""
    own = ((None if forward is None else positional(forward)) or ([], []))[0]
    return len(own) == number + 1 and names.role_in_loss(own[-1]) == names.TARGET


def _are_left_at_0(subject: CodeSubject) -> bool:
    """Whether all that is claimed is 0, as arrays that are made for gradients hold before any backward pass."""
    if not subject.make_repeatable():
        return False
    return not any(np.any(gradient) for gradient in claimed_in_shape(subject)[1].values())


def _is_of_held_loss(target: Any, loss: Any, gradient: Any) -> bool:
    """Whether a network holds both a loss and its gradient as functions of the output: no gradient of its own."""
    return None not in (loss, gradient) and all(getattr(f, "__self__", None) is not target for f in (loss, gradient))


def _refuse_more_arguments(label: str, value: Any, gradient: Any, number: int) -> None:
    """TypeError, with the line that works, for a loss that takes more than data and targets, such as a ``reg``."""
    required = [] if value is None else (positional(value) or ([], []))[0]
    if len(required) <= number or gradient is None:
        return
    given = ", ".join(required[:number])

    def call(function: Any) -> str:
        own = (positional(function) or ([], []))[0]
        more = [f"{name}=..." for name in own[number:]]
        return f"lambda {given}: net.{getattr(function, '__name__', 'loss')}({', '.join([given, *more])})"

    more = " and ".join(required[number:])
    raise TypeError(
        f"{label}: its loss takes {more} as well; give it yourself:\n"
        f"    check_gradients(({call(value)}, {call(gradient)}), {given})"
    )


def of_loss_without_targets(
    label: str, target: Any, inputs: Sequence[Any], has_targets: bool, hints: Hints
) -> CodeSubject | None:
    """An object whose loss takes its inputs alone, as that of an autoencoder or of factors does; None if it has none.

    Beside a forward pass, an argument called as an output or as targets are is compared with what that has kept.
    """
    value = in_training(method(target, names.LOSSES))
    wanted = ((None if value is None else positional(value)) or ([], []))[0]
    if value is None or not wanted or not takes(value, len(inputs)) or (has_targets and takes(value, len(inputs) + 1)):
        return None
    is_of_data = is_data(wanted[0]) or names.role_in_loss(wanted[0]) == names.UNKNOWN
    if len(inputs) == 1 and not is_of_data and names.passes(target)[0] is not None:
        return None
    own = value.func if isinstance(value, partial) else value
    gradient = method(target, [name for name in names.LOSS_GRADIENTS if method(target, [name]) != own])
    gradient = gradient or without_its_loss(step_of_training(target, inputs))
    before = Snapshot(target)
    given = named_arguments(value, inputs, None)
    for function, backward in ((value_first(value), None), (value, names.derived(target, own) or gradient)):
        try:
            subject = chosen(Code(label, function, backward, given, hints, None, target))
            if agreement(subject).shaped:
                return subject
        except (SubjectError, TypeError, ValueError):
            pass  # it returns no gradients, or leaves none, or has no method that does
        before.restore()
    return None


def _of_data_and_targets(target: Any, own: Any, number: int) -> Callable[..., Any] | None:
    """A gradient that takes what the loss does, beside a backward pass that takes a gradient; None if there is none."""
    named = (getattr(target, name, None) for name in names.LOSS_GRADIENTS)
    found = (one for one in named if callable(one) and one != own and takes(one, number))
    return next((one for one in found if not _is_of_held_loss(target, own, one)), None)


def ways_to_a_loss(
    forward: Callable[..., Any] | None,
    value: Callable[..., Any] | None,
    gradient: Callable[..., Any] | None,
    penalty: Callable[[], Any] | None,
    number: int,
) -> Iterator[tuple[Callable[..., Any], Callable[..., Any] | None]]:
    """What computes the loss, and its gradients: loss(x, y), forward(x, y) or loss(forward(x), y) with any penalty."""
    for function in (value, forward):
        if function is not None and takes(function, number + 1):
            yield function if gradient is not None else value_first(function), gradient
    if value is not None and forward is not None and takes(value, 2) and takes(forward, number):
        forward = with_settings_given(forward, number)
        chain = LossOfOutput(forward, value, (positional(forward) or ([], []))[0])
        yield chain.loss, gradient
        if gradient is not None and (given := chain.given_output(gradient)) is not gradient:
            yield chain.loss, given
        if penalty is not None:
            yield LossOfOutput(forward, value, penalty=penalty).loss, gradient
        if gradient is not None:
            yield chain.loss, chain.handed_on(gradient)
