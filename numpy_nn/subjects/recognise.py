"""From what a user hands over to a Subject: layers and losses, objects of any kind, functions, with their arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from numpy_nn.layers import Layer
from numpy_nn.losses import Loss
from numpy_nn.network import Sequential
from numpy_nn.subjects import names
from numpy_nn.subjects.agreement import Agreement, agreement
from numpy_nn.subjects.as_it_runs import called_as_it_runs
from numpy_nn.subjects.calls.arguments import takes
from numpy_nn.subjects.calls.calling import GRADS, Convention
from numpy_nn.subjects.calls.chains import chain_of, flat_layers
from numpy_nn.subjects.calls.contexts import with_context
from numpy_nn.subjects.calls.costs import as_cost
from numpy_nn.subjects.calls.dressing import (
    in_training,
    is_of_tangents,
    jacobian_of_tangents,
    with_derivative,
    with_input_kept,
    with_keywords,
)
from numpy_nn.subjects.calls.outputs_in_dicts import said_of_output, with_output_of_dict, with_outputs_of_dict
from numpy_nn.subjects.calls.own_inputs import without_gradient_of_its_own_input
from numpy_nn.subjects.calls.owners import (
    are_of_another,
    as_methods,
    is_object_with_arrays,
    keeps_arrays,
    made_ours,
    owned,
    to_be_restored,
    with_objects_kept,
)
from numpy_nn.subjects.calls.tuples import loss_of_a_pair, taken_out_of_tuples
from numpy_nn.subjects.choosing import as_unbound, made
from numpy_nn.subjects.data_around import judged_with_data_around, of_surroundings
from numpy_nn.subjects.given_code import HOW, Code, Hints
from numpy_nn.subjects.kinds_of_targets import are_recursions, is_function, is_layer
from numpy_nn.subjects.libraries.foreign_arrays import refuse_what_holds_tensors, refuse_what_torch_differentiates
from numpy_nn.subjects.libraries.primitives import is_primitive, passes_of_primitive
from numpy_nn.subjects.losses.autoencoders import compared_with_its_input, trained_by_its_input
from numpy_nn.subjects.losses.bound_fits import of_a_fit_or
from numpy_nn.subjects.losses.called_loops import of_a_call_or, of_a_trainer
from numpy_nn.subjects.losses.estimators import make_by_training, of_decisions, of_rows, prepared, said_of_rounds
from numpy_nn.subjects.losses.given_networks import as_method_of_network
from numpy_nn.subjects.losses.held_data import of_held_data, with_data_held
from numpy_nn.subjects.losses.loss_objects import has_loss, of_loss_object, of_loss_without_targets, predictor
from numpy_nn.subjects.losses.neurons import refuse_neurons
from numpy_nn.subjects.losses.new_values import of_new_values, with_gradients_of_steps
from numpy_nn.subjects.losses.objectives import judged_by_its_sign, objective_and_gradient
from numpy_nn.subjects.losses.own_names import own_names_or
from numpy_nn.subjects.losses.several_steps import judged_by_one_step, of_one_of_several
from numpy_nn.subjects.losses.training import (
    forward_of_held_network,
    step_of_training,
    steps_of_training,
    with_gradients_beside_its_loss,
)
from numpy_nn.subjects.losses.unnamed_forward import forward_by_its_result
from numpy_nn.subjects.names import method
from numpy_nn.subjects.one_sample import of_first_sample
from numpy_nn.subjects.own_methods import lines_for_methods
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.passes import is_asked_by_its_arguments, of_passes, of_steps, with_the_last_as_targets
from numpy_nn.subjects.repeated import with_each_once, with_one_for_each
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.surroundings import Surroundings
from numpy_nn.subjects.state import Snapshot, equal
from numpy_nn.subjects.subject import Subject, SubjectError


def as_subject(target: Any, inputs: Sequence[Any], targets: Any, hints: Hints) -> Subject:
    """The subject for a target with the arguments of its forward pass, and the targets if it is a loss.

    TypeError, with the few lines that would make it one, for what is no form that is known.
    """
    refuse_what_torch_differentiates(target)
    if isinstance(targets, np.ndarray) and targets.dtype == np.float32:
        targets = targets.astype(np.float64)
    hints = replace(hints, cost=as_cost(hints.cost))
    before = to_be_restored(target)
    try:
        try:
            subject = _recognised(target, inputs, targets, hints)
        except SubjectError:
            if before is not None:
                before.restore()
            if (alone := of_first_sample(_recognised, target, inputs, targets, hints)) is None:
                raise
            subject = alone
        # The weights of the classes that a loss of ours keeps are no parameters.
        if isinstance(subject, CodeSubject) and not isinstance(target, Loss) and subject.make_repeatable():
            subject.count_hidden(hints.constants)
    except BaseException as error:
        if before is not None:
            before.restore()
        if isinstance(error, Exception):
            refuse_what_holds_tensors(target)
        raise
    subject.restored_in_the_end(before)
    return subject


def _recognised(target: Any, inputs: Sequence[Any], targets: Any, hints: Hints) -> Subject:
    if isinstance(target, (tuple, list)):
        if target and all(isinstance(layer, Layer) for layer in flat_layers(target)):
            return _of_object(made_ours(Sequential(*flat_layers(target))), inputs, targets, hints)
        if target and all(map(is_layer, flat_layers(target))):
            return _of_object(made_ours(chain_of(target)), inputs, targets, hints)
        if len(target) != 2 or not all(map(callable, target)):
            kinds = ", ".join(getattr(part, "__name__", type(part).__name__) for part in target)
            raise TypeError(f"target: expected a pair of functions (f, vjp), got ({kinds}){HOW}")
        f, vjp = target
        try:
            once = with_each_once(vjp, f, hints.which)
            return with_one_for_each(
                f,
                inputs,
                hints.which,
                lambda g, xs: _of_functions(g, vjp if g is f else once, xs, targets, hints),
                to_be_restored(target),
            )
        except (SubjectError, TypeError, ValueError) as error:
            if targets is not None or isinstance(error, SubjectError):
                refuse_neurons(f, vjp, inputs, targets)
            raise
    if is_primitive(target) and targets is None:
        f, vjp, given = passes_of_primitive(target, tuple(inputs))
        code = Code(getattr(target, "__name__", "primitive"), f, vjp, given, hints)
        return made(code, Convention(tuple(given), arguments=(*given, GRADS)))
    if isinstance(target, type):
        raise TypeError(f"target: expected an object of {target.__name__}, got the class; call it: {target.__name__}()")

    def of_object(one: Any, xs: Sequence[Any], ys: Any) -> Subject:
        return _of_object(one, xs, ys, hints)

    def of_function(one: Any, xs: Sequence[Any], ys: Any = None) -> Subject:
        return _of_functions(one, None, xs, ys, hints)

    def of_data(owner: Any, given: Sequence[Any]) -> Subject:
        return _recognised(owner, given[:-1], given[-1], hints)

    if is_function(target):
        handed = (*inputs, *(() if targets is None else (targets,)))
        if (trained := as_method_of_network(target, handed)) is not None:
            return _of_object(trained.network, trained.data[:-1], trained.data[-1], hints)
        fits = partial(of_a_fit_or, target, handed, lambda: of_function(target, inputs, targets), of_data)
        return of_a_call_or(target, handed, fits, of_object, of_function)
    handed = (*inputs, targets)
    if targets is not None and (trained_by := of_a_trainer(target, handed, of_object, of_function)) is not None:
        return trained_by
    return _of_object(mine := made_ours(target), with_objects_kept(mine, inputs), targets, hints)


def _of_functions(f: Any, vjp: Any, inputs: Sequence[Any], targets: Any, hints: Hints) -> CodeSubject:
    return own_names_or(f, vjp, inputs, targets, hints, lambda: as_unbound(_of_passes, f, vjp, inputs, targets, hints))


def _of_passes(f: Any, vjp: Any, inputs: Sequence[Any], targets: Any, hints: Hints) -> CodeSubject:
    f, vjp = with_keywords(f), with_keywords(vjp)
    f = f if vjp is None else with_output_of_dict(None, f, inputs, targets)
    f, vjp = (with_outputs_of_dict(None, f, vjp, inputs) if targets is None else None) or (f, vjp)
    if is_of_tangents(vjp) and len(inputs) == 1 and targets is None:
        vjp = jacobian_of_tangents(vjp)
    if vjp is None and (stepping := of_new_values(f, inputs, targets, hints)) is not None:
        return stepping
    f, vjp, owner, entirely = owned(*as_methods(f, vjp))
    given = inputs if targets is None else (*inputs, targets)
    vjp = vjp if owner is None or entirely else without_gradient_of_its_own_input(f, vjp, given)
    if owner is None and vjp is not None:
        vjp = with_gradients_of_steps(vjp, f, inputs, targets)
    if (apart := taken_out_of_tuples(f, vjp, given)) is not None:
        return of_passes(*apart, None, owner, hints)
    if (of_pair := loss_of_a_pair(f, vjp, inputs, targets)) is not None:
        return of_passes(*of_pair, owner, hints)
    objects = owner is None and any(map(is_object_with_arrays, inputs))
    around = Surroundings(f, vjp) if owner is None and not objects else None
    if around is not None and keeps_arrays(around):
        return judged_with_data_around(
            f, vjp, around, inputs, targets, lambda g, xs: of_surroundings(g, vjp, xs, targets, around, hints)
        )
    if around is not None:
        f, vjp, owner, entirely = owned(f, vjp, is_all=True)
    try:
        subject = of_passes(f, vjp, inputs, targets, owner, hints)
    except (SubjectError, TypeError, ValueError):
        moving = None if vjp is not None or owner is None else of_steps(f, inputs, targets, owner, hints)
        if moving is None:
            raise
        subject = moving
    else:
        # What stands beside the loss, as an accuracy does, is the gradient of no parameter.
        if vjp is None and owner is not None and not subject.parameter_places:
            subject = of_steps(f, inputs, targets, owner, hints) or subject
        if targets is None and owner is not None and len(inputs) > 1:
            subject = with_the_last_as_targets(subject, f, vjp, inputs, owner, hints) or subject
    subject.notes += said_of_output(f)
    if objects:
        subject.take_arguments_for_data()
    if not (entirely or objects) or (owner is not None and is_asked_by_its_arguments(subject)):
        subject.take_for_granted()
    elif owner is not None and subject.parameter_places:
        subject.take_arguments_for_data()
    return subject


def _takes_any(function: Callable[..., Any], number: int) -> bool:
    """Whether a function can be called with so many inputs, with targets or without."""
    return takes(function, number) or takes(function, number + 1)


def _of_object(target: Any, inputs: Sequence[Any], targets: Any, hints: Hints) -> Subject:
    label = target.label if isinstance(target, Layer) else type(target).__name__
    if isinstance(target, Loss):
        given = {"input": inputs[0], "target": targets}
        convention = Convention(("input", "target"), arguments=() if target.reduction != "none" else (GRADS,))
        return made(Code(label, target, target.backward, given, hints, "target"), convention)
    if isinstance(target, Layer) and targets is None:
        code = Code(label, target.forward, target.backward, {"input": inputs[0]}, hints, owner=target)
        return made(code, Convention(("input",)))
    forward, backward = names.passes(target)
    if are_recursions(target, forward, backward):
        forward = backward = None
    if forward is not None and backward is None and (both := with_derivative(forward)) is not None:
        forward, backward = both
    if forward is None and backward is not None and targets is not None:
        forward = forward_by_its_result(target, backward, inputs, targets)
        if forward is not None:
            return _of_functions(forward, backward, inputs, targets, hints)
    handed = inputs if targets is None else (*inputs, targets)
    if (apart := taken_out_of_tuples(forward, backward, handed)) is not None:
        return called_as_it_runs(label, target, *apart, hints)
    if (of_pair := loss_of_a_pair(forward, backward, inputs, targets)) is not None:
        return of_passes(*of_pair, target, hints)
    if targets is None and (outputs := with_outputs_of_dict(target, forward, backward, inputs)) is not None:
        return called_as_it_runs(label, target, *outputs, inputs, hints)
    if targets is not None and forward is not None and not _takes_any(forward, len(inputs)):
        # What the object does when it is called may be given the rest: compute(z, y, weight) of __call__(z, y).
        own = method(target, ["__call__"])
        forward = own if own is not None and takes(own, len(inputs) + 1) else forward
    if forward is not None and backward is not None and are_of_another(target, forward, backward):
        return _of_functions(forward, backward, inputs, targets, hints)
    if (holding := of_held_data(label, target, inputs, targets, hints)) is not None:
        return holding
    number = len(inputs) + (targets is not None)
    make_by_training(target, inputs, targets)
    if (pair := objective_and_gradient(target, number)) is not None:
        objective = judged_by_its_sign(pair, lambda f, g: of_passes(f, g, inputs, targets, target, hints))
        if not objective.parameter_places:
            objective.take_for_granted()
        return objective
    step = step_of_training(target, handed) if forward is None or targets is None is backward else None
    value = method(target, names.LOSSES)
    is_held = getattr(value, "__self__", None) is not target  # as by a trainer, which asks it for that of its network
    if step is not None and (value is None or (forward is None and is_held)):
        with suppress(TypeError):  # it may return no loss
            return _of_functions(step, None, inputs, targets, hints)
    forward = forward or (forward_of_held_network(target) if step is not None and targets is not None else None)
    forward = with_data_held(target, with_input_kept(target, forward, inputs[0]), inputs[0])
    forward = in_training(with_context(forward), len(inputs))
    forward = with_output_of_dict(target, forward, inputs, targets)
    if (alone := _of_loss_of_its_data(label, target, inputs, targets, hints)) is not None:
        return alone
    by_itself = trained_by_its_input(label, target, forward, inputs, targets, hints) if backward is None else None
    if by_itself is not None:
        return by_itself
    if targets is not None:
        forward = prepared(target, of_rows(target, forward, inputs, targets), inputs, targets)
        loss = of_decisions(
            target, forward, inputs, lambda f: _of_loss_or_step(label, target, f, inputs, targets, hints)
        )
        loss.notes += [*said_of_rounds(target, loss, (*inputs, targets)), *said_of_output(forward)]
        loss.predictor = predictor(target, forward, len(inputs))
        return loss
    if forward is None or backward is None:
        value = method(target, names.LOSSES) or next(steps_of_training(target, len(inputs) + 1), None)
        if value is not None and not takes(value, 0):
            raise TypeError(
                f"{label} has {value.__name__}: pass the targets too, check_gradients({label}(), x, targets)"
            )
        if forward is not None:
            with suppress(SubjectError, TypeError, ValueError):  # as an objective of scipy's, called for both
                return _of_functions(forward, None, inputs, targets, hints)
        missing = "backward" if forward is not None else "forward"
        way = lines_for_methods(target, inputs)
        raise TypeError(f"target: expected forward and backward, got {label} without {missing}{HOW}{way}")
    before = Snapshot(target)
    subject = with_one_for_each(
        forward, inputs, hints.which, lambda g, xs: called_as_it_runs(label, target, g, backward, xs, hints), before
    )
    now = Snapshot(target)
    before.restore()
    if (of_input := compared_with_its_input(label, target, forward, backward, inputs, hints, subject)) is not None:
        return of_input
    now.restore()
    return subject


def _of_loss_of_its_data(
    label: str, target: Any, inputs: Sequence[Any], targets: Any, hints: Hints
) -> CodeSubject | None:
    """An object whose loss takes no targets, or the input as both; None if its backward pass takes a gradient."""
    is_input = len(inputs) == 1 and not isinstance(targets, dict) and equal(targets, inputs[0])
    if hints.cost is not None or (targets is not None and not is_input):
        return None
    forward, backward = names.passes(target)
    wants_gradient = backward is not None and (positional(backward) or ([""], []))[0]
    if wants_gradient and forward is not None and takes(forward, len(inputs)):
        return None  # predict(u, i) beside loss(ratings) and gradients(ratings) does not
    before = Snapshot(target)
    found = of_loss_without_targets(label, target, inputs, targets is not None, hints)
    if found is not None and is_asked_by_its_arguments(found):
        found.take_for_granted()
    if found is None or len(inputs) == 1:
        return found
    found.take_for_granted()  # weights of samples, say, stand beside the data
    if (agrees := agreement(found)).agreeing < len(found.arrays):
        now = Snapshot(target)
        before.restore()
        with suppress(SubjectError, TypeError, ValueError):
            other = _of_loss_or_step(label, target, names.passes(target)[0], inputs[:-1], inputs[-1], hints)
            if agreement(other) > agrees:
                return other
        now.restore()
    return found


def _of_loss_or_step(
    label: str, target: Any, forward: Callable[..., Any] | None, inputs: Sequence[Any], targets: Any, hints: Hints
) -> CodeSubject:
    """An object that is asked for a loss; or, where none that is usual fits, its step by the loss that this gives."""
    is_judged = hints.cost is not None or names.passes(target)[1] is not None
    step = None if is_judged else step_of_training(target, (*inputs, targets))
    before = Snapshot(target)

    def stepping(known: bool, xs: Sequence[Any] = inputs, ys: Any = targets) -> CodeSubject | None:
        before.restore()
        if step is None:
            return None
        if (told := with_gradients_beside_its_loss(step, (*xs, ys))) is not None:
            with suppress(SubjectError, TypeError, ValueError):  # it may return no loss
                return of_passes(told, None, xs, ys, target, hints)
            return None
        return of_steps(step, xs, ys, target, hints, only_by_a_known_rate=known)

    try:
        loss = judged_by_one_step(
            target, inputs, targets, lambda xs, ys: of_loss_object(label, target, forward, xs, ys, hints)
        )
    except (SubjectError, TypeError, ValueError):
        before.restore()
        *xs, ys = (*inputs, targets)
        one = None if step is None else of_one_of_several(target, step, (*xs, ys))
        if one is not None:
            (*xs, ys), _ = one
        if (alone := stepping(False, xs, ys)) is None:
            raise
        if one is not None and step is not None:
            alone.notes.append(f"{step.__name__} {one[1]}")
        return alone
    # A loss that takes what fit makes of the data, as a column of ones beside them, may be of no use to anyone else.
    step = None if has_loss(target, len(inputs)) else step
    found = agreement(loss) if step is not None else Agreement(0, 0, 0)
    is_unsaid_and_wrong = loss.chain is not None and found.agreeing < found.shaped
    if step is not None and (loss.problems or is_unsaid_and_wrong):
        now, alone = Snapshot(target), stepping(known=not is_unsaid_and_wrong)
        by_itself = Agreement(0, 0, 0) if alone is None else agreement(alone)
        if alone is not None and not alone.problems and by_itself.agreeing == by_itself.shaped > 0:
            return alone
        if alone is not None and is_unsaid_and_wrong and by_itself.agreeing > 0:
            return alone
        now.restore()
    return loss
