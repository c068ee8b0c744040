"""From what a user hands over to a Subject: layers and losses, objects of any kind, functions, with their arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from numpy_nn.layers import Layer
from numpy_nn.losses import Loss
from numpy_nn.subjects import names
from numpy_nn.subjects.calling import Convention, as_given, is_differentiated
from numpy_nn.subjects.code import CodeSubject, output_paths
from numpy_nn.subjects.conventions import conventions, is_certain, orders_of_inputs
from numpy_nn.subjects.costs import LossOfOutput, usual_costs
from numpy_nn.subjects.dressing import in_training, value_first, with_context, with_settings
from numpy_nn.subjects.names import method, positional
from numpy_nn.subjects.places import follow
from numpy_nn.subjects.state import Snapshot, in_float64
from numpy_nn.subjects.subject import Subject, SubjectError


@dataclass(frozen=True)
class Hints:
    """What a user may say beside the target: see :func:`~numpy_nn.gradcheck.check_gradients`."""

    parameters: Mapping[str, str] | None = None
    constants: Sequence[str] = ()
    generators: Sequence[Any] = field(default_factory=tuple)
    cost: Callable[[Any, Any], Any] | None = None


def as_subject(target: Any, inputs: Sequence[Any], targets: Any, hints: Hints) -> Subject:
    """The subject for a target with the arguments of its forward pass, and the targets if it is a loss.

    TypeError, with the few lines that would make it one, for what is no form that is known.
    """
    if isinstance(targets, np.ndarray) and targets.dtype == np.float32:
        targets = targets.astype(np.float64)
    if isinstance(target, (tuple, list)):
        if len(target) != 2 or not all(map(callable, target)):
            raise TypeError(f"target: expected a pair of functions (f, vjp), got {target!r}")
        f, vjp = target
        return _of_functions(f, vjp, inputs, targets, hints)
    if isinstance(target, type):
        raise TypeError(f"target: expected an object of {target.__name__}, got the class; call it: {target.__name__}()")
    if _is_function(target):
        return _of_functions(target, None, inputs, targets, hints)
    return _of_object(in_float64(target), inputs, targets, hints)


def _is_function(target: Any) -> bool:
    """Whether a callable is a function, not an object with passes of its own."""
    return callable(target) and (
        hasattr(target, "__code__") or not (names_of_passes(target) or hasattr(target, "__dict__"))
    )


def names_of_passes(target: Any) -> bool:
    """Whether an object has something that may be a backward pass or a loss."""
    return method(target, [*names.BACKWARDS, *names.LOSSES]) is not None


def _of_functions(f: Any, vjp: Any, inputs: Sequence[Any], targets: Any, hints: Hints) -> Subject:
    label = getattr(f, "__name__", type(f).__name__)
    f = in_training(with_context(f if vjp is not None else value_first(f)))
    if targets is not None and vjp is not None and (hints.cost is not None or not _takes(f, len(inputs) + 1)):
        return _with_unsaid_cost(label, f, vjp, inputs, targets, None, hints)
    given = named_arguments(f, inputs, targets)
    target = None if targets is None else list(given)[-1]
    return _chosen(label, f, vjp, given, target, None, hints)


def named_arguments(function: Callable[..., Any], inputs: Sequence[Any], targets: Any) -> dict[str, Any]:
    """The arguments of a function by the names that it has for them, the targets last."""
    spec = positional(function)
    own = [] if spec is None else spec[0] + spec[1]
    if targets is not None and len(inputs) == 1:
        roles = [names.role_in_loss(name) for name in own[:2]]
        if roles and roles[0] == names.TARGET and (len(roles) < 2 or roles[1] != names.TARGET):
            own[:2] = own[:2][::-1]
    elif targets is not None:
        own = names.with_target_at(len(inputs), own)
    values = [*inputs, *(() if targets is None else (targets,))]
    required = [] if spec is None else spec[0]
    settings = {name: names.SETTINGS[name] for name in required[len(values) :] if name in names.SETTINGS}
    if len(values) + len(settings) < len(required):
        name = getattr(function, "__name__", type(function).__name__)
        raise TypeError(f"{name}: expected {', '.join(required)}, got {len(values)} of them; give x as a tuple of all")
    if len(own) < len(values):
        own = ["input", "targets"] if targets is not None and len(values) == 2 else ["input"]
        own += [f"input {i}" for i in range(1, len(values))]
    return dict(zip(own, values, strict=False)) | settings


def _of_object(target: Any, inputs: Sequence[Any], targets: Any, hints: Hints) -> Subject:
    label = target.label if isinstance(target, Layer) else type(target).__name__
    if isinstance(target, Loss):
        given = {"input": inputs[0], "target": targets}
        takes = () if target.reduction != "none" else ("<grads>",)
        convention = Convention(("input", "target"), 1, None, takes)
        return _made(label, target, target.backward, given, convention, "target", None, hints)
    if isinstance(target, Layer) and targets is None:
        subject = CodeSubject(
            label, target.forward, target.backward, {"input": inputs[0]}, Convention(("input",)), owner=target,
            generators=hints.generators,
        )  # fmt: skip
        subject.find_parameters(hints.parameters, hints.constants)
        return subject
    forward = in_training(with_context(method(target, names.FORWARDS)))
    if targets is not None:
        return _of_loss_object(label, target, forward, inputs, targets, hints)
    backward = method(target, names.BACKWARDS)
    if forward is None or backward is None:
        if (value := method(target, names.LOSSES)) is not None:
            raise TypeError(
                f"{label} has {value.__name__}: pass the targets too, check_gradients({label}(), x, targets)"
            )
        missing = "backward" if forward is not None else "forward"
        raise TypeError(f"target: expected forward and backward, got {label} without {missing}{_HOW}")
    return _chosen(label, forward, backward, named_arguments(forward, inputs, None), None, target, hints)


_HOW = """
it becomes checkable as a pair of functions, or with its arrays by name:
    check_gradients((f, vjp), x)                    # y = f(x), gradient = vjp(x, grad_output)
    check_gradients(run, grads, x=x, W=net.W)       # run() returns the output, grads(grad_output) the gradients"""


def _of_loss_object(
    label: str, target: Any, forward: Callable[..., Any] | None, inputs: Sequence[Any], targets: Any, hints: Hints
) -> Subject:
    """An object that is asked for a loss: by a method of such a name, by forward(x, y), or by no method at all."""
    value = in_training(method(target, names.LOSSES))
    own = value.func if isinstance(value, partial) else value
    gradient = method(target, [name for name in names.LOSS_GRADIENTS if method(target, [name]) != own])
    found: list[tuple[bool, tuple[int, int], CodeSubject]] = []
    errors: list[Exception] = []
    for function, backward in _ways_to_a_loss(forward, value, gradient, len(inputs)) if hints.cost is None else ():
        given = named_arguments(function, inputs, targets)
        try:
            subject = _chosen(label, function, backward, given, list(given)[-1], target, hints)
            agreement = subject.agreement()
        except (SubjectError, TypeError, ValueError) as error:
            errors.append(error)
            continue
        if not subject.make_repeatable() or agreement[0] == agreement[1] > 0:
            return subject
        # What reaches the object's own arrays is meant, rather than a loss of what it is given.
        found.append((subject.has_parameters, agreement, subject))
    if found:
        return max(found, key=lambda one: one[:2])[2]
    if errors and (forward is None or not _takes(forward, len(inputs))):
        raise errors[0]
    gradient = method(target, ["backprop", *names.LOSS_GRADIENTS])
    if forward is None or gradient is None:
        if errors:
            raise errors[0]
        raise TypeError(f"target: expected a loss with forward and backward, or loss and grad, got {label}{_HOW}")
    return _with_unsaid_cost(label, forward, gradient, inputs, targets, target, hints)


def _ways_to_a_loss(
    forward: Callable[..., Any] | None,
    value: Callable[..., Any] | None,
    gradient: Callable[..., Any] | None,
    number: int,
) -> Iterator[tuple[Callable[..., Any], Callable[..., Any] | None]]:
    """What computes the loss, and its gradients: loss(x, y), forward(x, y) or loss(forward(x), y)."""
    for function in (value, forward):
        if function is not None and _takes(function, number + 1):
            yield function, gradient
    if value is not None and forward is not None and _takes(value, 2) and _takes(forward, number):
        chain = LossOfOutput(forward, value, gradient)
        yield chain.loss, gradient
        if gradient is not None:
            yield chain.loss, chain.backward


def _with_unsaid_cost(
    label: str,
    forward: Callable[..., Any],
    gradient: Callable[..., Any],
    inputs: Sequence[Any],
    targets: Any,
    owner: Any,
    hints: Hints,
) -> Subject:
    """A network with gradients of a loss which it does not compute: the user's, or the usual one that fits."""
    rows = max(np.shape(inputs[0])[:1] or (1,))
    costs = list(usual_costs(rows)) if hints.cost is None else [("", hints.cost)]
    given = named_arguments(forward, inputs, None) | {"targets": targets}
    best, most = None, (0, 0)
    for formula, cost in costs:
        try:
            chain = LossOfOutput(forward, cost, None, list(given)[:-1])
            subject = _chosen(label, chain.loss, chain.given_output(gradient), given, "targets", owner, hints)
            agreement = subject.agreement()
        except (SubjectError, TypeError, ValueError):
            continue
        if formula:
            subject.notes.append(f"the loss is not written in the code; the gradients are judged as those of {formula}")
        if best is None or agreement > most:
            best, most = subject, agreement
    if best is None or (hints.cost is None and not most[0]):
        raise TypeError(
            f"target: {label} has gradients of a loss that it does not compute, and they are those of none of the "
            "usual ones; pass loss=, a function loss(output, targets) that returns a number"
        )
    return best


def _takes(function: Callable[..., Any], number: int) -> bool:
    """Whether a function can be called with so many arguments, beside settings."""
    spec = positional(function)
    if spec is None:
        return True
    required, optional = ([name for name in part if name not in names.SETTINGS] for part in spec)
    return len(required) <= number <= len(required) + len(optional)


def _made(
    label: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    given: Mapping[str, Any],
    convention: Convention,
    target: str | None,
    owner: Any,
    hints: Hints,
    fresh: Snapshot | None = None,
) -> CodeSubject:
    subject = CodeSubject(
        label, forward, backward, given, convention, owner=owner, target=target, generators=hints.generators
    )
    if fresh is not None:
        subject.start_from(fresh)
    subject.find_parameters(hints.parameters, hints.constants)
    return subject


def _made_even_once(
    label: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    given: Mapping[str, Any],
    convention: Convention,
    target: str | None,
    owner: Any,
    hints: Hints,
    before: Snapshot,
) -> CodeSubject:
    """The subject; where its code runs once and no more, one that always starts from the state at the beginning."""
    before.restore()
    try:
        return _made(label, forward, backward, given, convention, target, owner, hints)
    except SubjectError:
        before.restore()
        subject = _made(label, forward, backward, given, convention, target, owner, hints, before)
        subject.notes.append("a second step raises an error: every evaluation starts from the state before the first")
        return subject


def _chosen(
    label: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    given: Mapping[str, Any],
    target: str | None,
    owner: Any,
    hints: Hints,
) -> CodeSubject:
    """The subject by the convention that the names tell, or else by the first whose gradients agree with the function.

    Where none agrees, the first that can be run and gives gradients of the right shapes. What the code raises when it
    is called by the likeliest one comes through if none can be run.
    """
    if owner is None and not any(is_differentiated(value) for value in given.values()):
        raise TypeError(f"{label}: expected an array of floats among the arguments, got none")
    backward = with_settings(backward, given)
    before = Snapshot(owner if owner is not None else (forward, backward))
    result, paths = _first_result(label, forward, given, target, owner)
    if backward is None and not _is_value_and_gradients(result):
        raise TypeError(f"{label}: expected a backward pass, or (value, gradients) from one function{_HOW}")
    errors: list[Exception] = []
    tried: list[tuple[tuple[int, int, float], CodeSubject]] = []
    ways = list(conventions(forward, backward, list(given), target, result))
    is_mean_possible = any(convention.averaged for convention, _ in ways)
    for convention, by_name in ways:
        for path in paths:
            called = replace(convention, output_path=path)
            try:
                subject = _made_even_once(label, forward, backward, given, called, target, owner, hints, before)
                if not subject.make_repeatable():
                    return subject
                agreeing, shaped = subject.agreement()
            except (SubjectError, TypeError, ValueError) as error:
                errors.append(error)
                continue
            if convention.averaged:
                subject.notes.append("forward returns a loss for each sample; judged is the gradient of their mean")
            certain = is_certain(called, target) and not (is_mean_possible or convention.averaged)
            if by_name and shaped and certain:
                return subject  # wrong code must not be right because another order of its arguments happens to be
            if shaped and agreeing == shaped and (by_name or not tried or shaped >= max(t[0][1] for t in tried)):
                return subject
            # Of a sum and a mean that is meant of whose gradient the claimed one has the size.
            tried.append(((by_name, shaped, -subject.off_in_size() if is_mean_possible else 0.0), subject))
    if not tried:
        before.restore()
        raise _told(errors, label, backward)
    best = max(tried, key=lambda trial: trial[0])[1]
    return best


def _is_value_and_gradients(result: Any) -> bool:
    """Whether a function that has no backward pass returns a number, and its gradients after it."""
    return isinstance(result, tuple) and len(result) > 1 and np.ndim(result[0]) == 0 and np.isrealobj(result[0])


def _told(errors: Sequence[Exception], label: str, backward: Callable[..., Any] | None) -> Exception:
    """The error of the likeliest convention; the user's own, if it is one."""
    if not errors:
        return TypeError(f"{label}: expected a backward pass that takes a gradient, got {backward}{_HOW}")
    # That a cache has another length tells of a reading that was not meant.
    return next((error for error in errors if "to unpack (" not in str(error)), errors[0])


def _first_result(
    label: str, forward: Callable[..., Any], given: Mapping[str, Any], target: str | None, owner: Any
) -> tuple[Any, list[Any]]:
    """What forward returns, and where its output is if it returns nothing."""
    order = orders_of_inputs(forward, list(given), target)
    try:
        with np.errstate(all="ignore"):
            result = forward(*(_copied(as_given(given[name])) for name in order))
    except Exception as error:
        raise SubjectError(f"{label}: {type(error).__name__}: {error}") from error
    if result is not None:
        return result, [None]
    paths = output_paths(owner) if owner is not None else []
    if not paths:
        raise TypeError(f"{label}: expected forward to return its output, or to keep it as output, got nothing")
    return np.asarray(follow(owner, paths[0])), paths


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_copied, value))
    return value.copy() if isinstance(value, np.ndarray) else value


def several(x: Any) -> tuple[Any, ...]:
    """The arguments of forward in what a user gives for x: a tuple of them, or one."""
    if isinstance(x, tuple) and any(isinstance(part, (np.ndarray, dict, list)) or part is None for part in x):
        return x
    return (x,)
