"""The subject of two passes, or of one function for both: a value with its gradients, or a step of training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.agreement import agreement, claimed_in_shape, loss_is_of_new_values
from numpy_nn.subjects.arrays.places import last_name, parsed
from numpy_nn.subjects.calls.arguments import named_arguments, takes, takes_targets
from numpy_nn.subjects.calls.calling import IT_UPDATES
from numpy_nn.subjects.calls.contexts import with_context
from numpy_nn.subjects.calls.dressing import in_training, value_first, with_data_given, with_derivative
from numpy_nn.subjects.calls.owners import with_objects_held
from numpy_nn.subjects.calls.partials import with_bound, with_gradients_asked_for
from numpy_nn.subjects.calls.rates import StepsOfArguments, StepsReturned, returned_without_rate, with_steps_returned
from numpy_nn.subjects.choosing import chosen
from numpy_nn.subjects.given_code import Code, Hints
from numpy_nn.subjects.losses.unsaid import with_unsaid_cost
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.source.roles import may_be_learned
from numpy_nn.subjects.source.surroundings import bare, with_steps
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.subject import SubjectError


def of_passes(f: Any, vjp: Any, inputs: Sequence[Any], targets: Any, owner: Any, hints: Hints) -> CodeSubject:
    """The subject of a forward and a backward pass, or of one function for both where ``vjp`` is None.

    With targets and a forward pass that takes none, the loss is one that is not said. TypeError for what is no form
    that is known; what the code raises by the likeliest way to call it comes through.
    """
    label = getattr(signatures.unwrapped(bare(f)), "__name__", type(f).__name__)
    f, vjp = with_bound(f, vjp)
    vjp = vjp if vjp is None else with_data_given(f, vjp, len(inputs))
    if vjp is None and (both := with_derivative(f)) is not None:
        f, vjp = both
    f = f if vjp is not None else value_first(with_gradients_asked_for(f))
    # A context of the user's own is one argument more.
    is_given = bool(inputs) and hasattr(inputs[0], "__dict__") and takes(f, len(inputs))
    f = in_training(f if is_given else with_context(f), len(inputs))
    if owner is None:
        inputs, owner = with_objects_held(f, inputs)
    if targets is not None and vjp is not None and (hints.cost is not None or not takes_targets(f, len(inputs))):
        return with_unsaid_cost(label, f, vjp, inputs, targets, owner, hints)
    given = named_arguments(f, inputs, targets)
    vjp = vjp if vjp is None else with_steps_returned(vjp, in_place=owner is None)
    try:
        found = chosen(Code(label, f, vjp, given, hints, None if targets is None else list(given)[-1], owner))
        if isinstance(found.latest, StepsOfArguments | StepsReturned):
            found.leave_out_decays(vjp)
        if isinstance(found.latest, StepsOfArguments):
            found.warn_of("backward changes ", found.latest, f": {IT_UPDATES}")
        if isinstance(found.latest, StepsReturned):
            moved = ", ".join(found.latest)
            found.notes.append(f"{vjp.__name__} returns {moved} moved by its rate: judged is the step over the rate")
        elif vjp is not None and (moved := returned_without_rate(vjp)) and not agreement(found).agreeing:
            found.refuse(
                f"{vjp.__name__} returns {moved}, as what moves it does: return the gradient, or give {vjp.__name__} "
                "the rate of its steps as an argument, lr"
            )
        elif found.convention.takes_grads and (wanted := _outputs_alone(vjp)) and not agreement(found).agreeing:
            found.refuse(
                f"{vjp.__name__} takes {wanted}, and neither a gradient nor targets: nothing tells the loss, which "
                "forward has to return, with these kept for backward"
            )
        return found
    except (SubjectError, TypeError, ValueError):
        if targets is None:
            raise
        as_given = _in_the_order_given(label, f, vjp, (*inputs, targets), owner, hints)
        if as_given is None:
            raise
        return as_given


_OF_OUTPUTS = re.compile(r"(^|_)(output|logit|pred|prediction|score|prob)s?$")


def _outputs_alone(backward: Any) -> str:
    """The arguments of a backward pass that it calls outputs, if there are several, and no gradients or targets.

    So has the generator's of two networks of which one judges the other, ``backward(fake_logit, fake_output, image)``.
    """
    spec = None if backward is None else signatures.positional(backward)
    own = [] if spec is None else spec[0]
    wanted = [name for name in own if _OF_OUTPUTS.search(names.plain(name)) and names.role(name) != names.GRAD]
    others = {role for name in own for role in (names.role(name), names.role_in_loss(name))}
    return ", ".join(wanted) if len(wanted) > 1 and not others & {names.GRAD, names.TARGET} else ""


def _in_the_order_given(
    label: str, f: Any, vjp: Any, inputs: Sequence[Any], owner: Any, hints: Hints
) -> CodeSubject | None:
    """A function that fails with its arguments where their names tell, such as targets at Y; None if it does so here.

    So is the cost of points Y that have affinities P, where Y is no target.
    """
    given = named_arguments(f, inputs, None)
    before = Snapshot(owner)
    with suppress(SubjectError, TypeError, ValueError):
        subject = chosen(Code(label, f, vjp, given, hints, None, owner))
        last = list(given)[-1]
        if agreement(subject).shaped and last not in claimed_in_shape(subject)[1]:
            return subject
    before.restore()
    return None


def with_the_last_as_targets(
    subject: CodeSubject, f: Any, vjp: Any, inputs: Sequence[Any], owner: Any, hints: Hints
) -> CodeSubject | None:
    """The subject whose last input are targets, where no gradient has the shape of an input, but those of parameters.

    So it is with ``score(X, y)`` of an object, the gradients of its log-likelihood by its coefficients.
    """
    if not subject.make_repeatable() or agreement(subject).shaped:
        return None
    before = Snapshot(owner)
    try:
        found = of_passes(f, vjp, inputs[:-1], inputs[-1], owner, hints)
        if found.parameter_places and found.make_repeatable() and agreement(found).shaped:
            return found
    except (SubjectError, TypeError, ValueError):
        pass  # it stays as it was given
    before.restore()
    return None


def is_asked_by_its_arguments(subject: CodeSubject) -> bool:
    """Whether it is a number with its gradient by its arguments alone, as an objective of what is looked for.

    Nothing of its object has a gradient then, which takes the same arguments to compute.
    """
    asked, own = subject.convention.arguments or (), [*subject.convention.inputs]
    if subject.convention.takes_grads or subject.parameter_places or not asked or not {*asked} <= {*own}:
        return False
    kept = [name for name, kind, _ in subject.unchecked if kind == "unchecked"]
    if any(may_be_learned(str(last_name(parsed(name)))) for name in kept):
        return False  # a scale, say, of which a gradient may be missing
    return subject.output().size == 1 and bool(subject.arrays) and subject.leaves_nothing_returned


def of_steps(
    f: Any, inputs: Sequence[Any], targets: Any, owner: Any, hints: Hints, *, only_by_a_known_rate: bool = False
) -> CodeSubject | None:
    """The subject of a function that gives its loss and moves arrays by a rate, kept or in common; else None."""
    before = Snapshot(owner)

    def stepping(rate: float) -> CodeSubject | None:
        try:
            return of_passes(with_steps(f, owner, rate), None, inputs, targets, owner, hints)
        except (SubjectError, TypeError, ValueError):
            return None
        finally:
            before.restore()

    subject = stepping(1.0)
    if subject is None or not (subject.parameter_places and subject.make_repeatable()):
        return None
    grad_output, steps = claimed_in_shape(subject)
    rate = subject.rate_of_given_steps(steps, grad_output)
    if only_by_a_known_rate and not subject.keeps_or_names(rate):
        return None
    found = stepping(rate) if rate else None
    if found is not None:
        found.leave_out_decays(f, rate)
        known = [*found.notes, *found.problems]
        found.notes += [note for note in subject.notes if note not in known]
        for problem in (one for one in subject.problems if one not in known):
            found.complain(problem)
        if loss_is_of_new_values(found, rate):
            found.refuse(
                f"{found.label} gives the loss that its step leads to, of which its gradients are not: return the one "
                "from before it"
            )
    return found
