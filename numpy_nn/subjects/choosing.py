"""Which way to call somebody's code is meant: the one that its names tell, else the one that fits its numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.agreement import (
    CLOSELY,
    ROUGHLY,
    Agreement,
    agreement,
    are_equal,
    claimed_in_shape,
    digits,
    is_linear_in_the_gradient,
    off_in_size,
)
from numpy_nn.subjects.arrays.nested import arrays_of, is_differentiated
from numpy_nn.subjects.calls.calling import Convention
from numpy_nn.subjects.calls.contexts import with_cache_by_name
from numpy_nn.subjects.calls.conventions import conventions, is_certain, ordered_by_role
from numpy_nn.subjects.calls.dressing import Told, by_columns, taken_apart, with_gradients_together, with_settings
from numpy_nn.subjects.calls.given_numbers import as_learned, numbers_in, with_defaults
from numpy_nn.subjects.calls.partials import with_arrays_unbound
from numpy_nn.subjects.calls.triangles import triangles_read
from numpy_nn.subjects.doubts import unless_in_doubt
from numpy_nn.subjects.forces import BOTH_SIGNS, TURNED, are_forces, with_forces_turned
from numpy_nn.subjects.given_code import (
    HOW,
    Code,
    Hints,
    first_result,
    is_losses_and_gradient,
    is_output_and_jacobian,
    is_value_and_gradients,
    likeliest_error,
    may_be_values_and_gradient,
    may_leave_gradients,
)
from numpy_nn.subjects.no_cache import has_no_cache, without_cache
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.rewritten import as_rewritten
from numpy_nn.subjects.source import roles
from numpy_nn.subjects.state import Snapshot, is_generator
from numpy_nn.subjects.subject import SubjectError
from numpy_nn.subjects.summed_steps import of_summed_steps


def made(code: Code, convention: Convention, fresh: Snapshot | None = None) -> CodeSubject:
    """The code called by a convention; with ``fresh``, from that state at every evaluation."""
    subject = CodeSubject(
        code.label,
        code.forward,
        code.backward,
        code.given,
        convention,
        owner=code.owner,
        target=code.target,
        generators=[*code.hints.generators, *filter(is_generator, code.given.values())],
    )
    subject.patience = code.patience
    if fresh is not None:
        subject.start_from(fresh)
    subject.find_parameters(code.hints.parameters, code.hints.constants)
    if subject.doubt_of_rate and not subject.steps_grow:
        subject.complain(subject.doubt_of_rate)
    subject.triangles = triangles_read(subject, code.forward)
    return subject


def as_unbound(
    of: Callable[..., CodeSubject], f: Any, vjp: Any, inputs: Sequence[Any], targets: Any, hints: Hints
) -> CodeSubject:
    """The subject of two passes, with arrays bound in a partial function as inputs if backward has their gradients."""
    unbound = with_arrays_unbound(f, vjp, inputs)
    if unbound is not None:
        with suppress(SubjectError, TypeError, ValueError):
            subject = of(*unbound, targets, hints)
            if subject.make_repeatable() and len(claimed_in_shape(subject)[1]) > len(inputs):
                return subject
    return of(f, vjp, inputs, targets, hints)


def _made_even_once(code: Code, convention: Convention, before: Snapshot) -> CodeSubject:
    """The subject; where its code runs once and no more, one that always starts from the state at the beginning."""
    before.restore()
    try:
        subject = made(code, convention)
        return _made_of_first_steps(code, convention, before) or subject if subject.steps_grow else subject
    except SubjectError:
        before.restore()
        subject = made(code, convention, before)
        subject.notes.append("a second step raises an error: every evaluation starts from the state before the first")
        return subject


def _made_of_first_steps(code: Code, convention: Convention, before: Snapshot) -> CodeSubject | None:
    """The subject whose every step is the first: that of an optimizer whose velocity is 0 is the rate times a gradient.

    None where no step is, as that of Adam, or of a velocity that is not 0: what the gradients are cannot be told then.
    """
    now = Snapshot(code.owner if code.owner is not None else (code.forward, code.backward))
    before.restore()
    subject = made(code, convention, before)
    if subject.a_step_is_a_gradient:
        subject.notes.append("steps hang on those before: every evaluation starts from the state before the first")
        return subject
    now.restore()
    return None


def chosen(code: Code) -> CodeSubject:
    """The subject by the convention that the names tell, or else by the first whose gradients agree with the function.

    Where none agrees, the first that can be run and gives gradients of the right shapes. What the code raises when it
    is called by the likeliest one comes through if none can be run.
    """
    if code.owner is None and not any(arrays_of(value) for value in code.given.values()):
        floats = [name for name, number in numbers_in(code.given, code.target).items() if type(number) is float]
        if not floats:
            raise TypeError(f"{code.label}: expected an array of floats among the arguments, got none")
        code = replace(code, given=as_learned(code.given, floats))
    before = Snapshot(code.owner if code.owner is not None else (code.forward, code.backward))
    try:
        subject = _with_numbers(code, _chosen_of(code, code.given, before), before)
        subject = _of_forces(code, subject, before) or subject
        subject = (
            as_rewritten(code, subject, lambda other: _chosen_of(other, other.given, before))
            or of_summed_steps(code, subject, lambda other: _chosen_of(other, other.given, before))
            or _of_the_output(code, subject, before)
            or subject
        )
        subject = _of_learned_targets(code, subject, before) or _with_targets_first(code, subject, before) or subject
    finally:
        before.restore()  # a way that was not meant may have moved what it took for none of its parameters
    if subject.waits_for_a_pass:
        first_result(code)
    return subject


def _chosen(code: Code, before: Snapshot) -> CodeSubject:
    result, paths = first_result(code)
    code = replace(code, backward=with_cache_by_name(code.backward, result))
    if code.backward is None and isinstance(result, tuple) and len(result) == 2 and inspect.isroutine(result[1]):
        return _chosen(replace(code, backward=_returned_backward), before)
    if code.backward is None and (is_losses_and_gradient(code, result) or is_output_and_jacobian(code, result)):
        values, gradients = taken_apart(code.forward)
        return _chosen(replace(code, forward=values, backward=gradients), before)
    if code.backward is None and not (is_value_and_gradients(result) or may_leave_gradients(code, result)):
        if (apart := _of_values_that_agree(code, result, before)) is not None:
            return apart
        raise TypeError(f"{code.label}: expected a backward pass, or (value, gradients) from one function{HOW}")
    together = _of_gradients_together(code, result, before)
    in_one = Agreement(0, 0, 0) if together is None else agreement(together)
    if together is not None and in_one.agreeing == in_one.shaped > 0:
        return together
    errors: list[tuple[bool, Exception]] = []
    tried: list[tuple[tuple[int, int, int, float], CodeSubject]] = []
    ways = list(conventions(code.forward, code.backward, list(code.given), code.target, result))
    lacking: CodeSubject | None = None
    is_mean_possible = any(convention.averaged for convention, _ in ways)
    for convention, by_name in ways:
        for path in paths:
            called = replace(convention, output_path=path)
            try:
                subject = _made_even_once(code, called, before)
                if not subject.make_repeatable():
                    return subject
                agreeing, shaped, digits = agreement(subject)
            except (SubjectError, TypeError, ValueError) as error:
                if has_no_cache(called, result):
                    lacking = lacking or without_cache(code, called, error)
                    if by_name:
                        return lacking
                errors.append((not by_name, error))
                continue
            if convention.numbers:
                if not agreeing == shaped > 0:
                    continue
                subject.notes.append(
                    f"backward is given 1 for {' and '.join(convention.numbers)}: so its gradients agree"
                )
            if convention.averaged:
                subject.notes.append("forward returns a loss for each sample; judged is the gradient of their mean")
            certain = is_certain(called, code.target, code.backward) and not (is_mean_possible or convention.averaged)
            if by_name and shaped and certain:
                return subject  # wrong code must not be right because another order of its arguments happens to be
            agrees = shaped and agreeing == shaped
            agrees = agrees and (by_name or not tried or shaped >= max(trial[0][2] for trial in tried))
            if agrees and digits == CLOSELY:
                return subject if by_name else unless_in_doubt(code, subject, result)
            # Another way may agree better with what agrees by chance to a few digits. Of a sum and a mean that is meant
            # of whose gradient the claimed one has the size.
            off = -off_in_size(subject) if is_mean_possible else 0.0
            likely = int(by_name and shaped > 0)
            if code.target is not None and called.takes_grads and not is_linear_in_the_gradient(subject):
                likely = -1  # what is called a gradient in a loss may be its probabilities
            tried.append(((digits if agrees else 0, likely, shaped, off), subject))
    if lacking is not None:
        return lacking
    if not tried and together is not None:
        return together
    if not tried:
        raise likeliest_error(errors, code, next((way.numbers for way, _ in reversed(ways)), ()))
    (_, _, shaped, _), best = max(tried, key=lambda trial: trial[0])
    return together if together is not None and in_one.shaped > shaped else best


def _of_values_that_agree(code: Code, result: Any, before: Snapshot) -> CodeSubject | None:
    """The subject of a function that returns a value for each sample, and what agrees with their gradient; else None.

    What else it may return is an output and something that it keeps, which is no gradient that could be wrong.
    """
    if not may_be_values_and_gradient(code, result):
        return None
    values, gradients = taken_apart(code.forward)
    try:
        subject = _chosen(replace(code, forward=values, backward=gradients), before)
        found = agreement(subject)
    except (SubjectError, TypeError, ValueError):
        return None
    return subject if 0 < found.agreeing == found.shaped and found.digits == CLOSELY else None


def _of_gradients_together(code: Code, result: Any, before: Snapshot) -> CodeSubject | None:
    """The subject whose backward pass is given the gradients of all outputs in one tuple; None where it takes none."""
    backward = None if code.target is not None else with_gradients_together(code.backward, result, list(code.given))
    if backward is None:
        return None
    try:
        subject = _chosen(replace(code, backward=backward), before)
        return subject if subject.make_repeatable() else None
    except (SubjectError, TypeError, ValueError):
        return None
    finally:
        before.restore()


def _chosen_of(code: Code, given: Mapping[str, Any], before: Snapshot) -> CodeSubject:
    return _chosen(replace(code, given=given, backward=with_settings(code.backward, given, code.forward)), before)


def _with_numbers(code: Code, subject: CodeSubject, before: Snapshot) -> CodeSubject:
    """The subject, or one in which numbers among the arguments are learned, where backward returns gradients of these.

    A number of which none is returned is a setting, such as the strength of a penalty. One that the function has as the
    default of an argument may be learned too.
    """
    apart = [name for name in numbers_in(code.given, code.target) if name in code.given]
    if apart and code.backward is not None and subject.returns_columns_for(len(apart)):
        code = replace(code, backward=by_columns(code.backward, apart))
        return _chosen_of(code, as_learned(code.given, apart), before)
    for given in (code.given, with_defaults(code.forward, code.given)):
        numbers = numbers_in(given, code.target)
        if not numbers or not subject.returns_a_number_too_many:
            continue
        floats = [name for name, number in numbers.items() if type(number) is float]
        for learned in (list(numbers), floats):
            try:
                tried = _chosen_of(code, as_learned(given, learned), before) if learned else None
                if tried is not None and (claimed := _claimed_numbers(tried, learned)):
                    return _chosen_of(code, as_learned(given, claimed), before)
            except (SubjectError, TypeError, ValueError):
                continue  # whole numbers may be sizes or indices, which are no floats
    return subject


def _of_forces(code: Code, subject: CodeSubject, before: Snapshot) -> CodeSubject | None:
    """The subject of minus what is returned for the gradients of an energy and called forces; else None.

    Where it is the gradient as it stands nothing is decided: is the name wrong, or the sign?
    """
    if not are_forces(code) or subject.convention.takes_grads or not subject.make_repeatable():
        return None
    if subject.output().size != 1:
        return None
    found = agreement(subject)
    if found.agreeing == found.shaped > 0:
        subject.complain(BOTH_SIGNS)
        return None
    try:
        turned = _with_numbers(code := with_forces_turned(code), _chosen_of(code, code.given, before), before)
        turned.notes.append(TURNED)
        return turned
    except (SubjectError, TypeError, ValueError):
        return None


def _of_the_output(code: Code, subject: CodeSubject, before: Snapshot) -> CodeSubject | None:
    """The subject of ``f(x, derivative=True)`` that is right where x is the output, and undecided; else None.

    Such a function has one name for both, which tells nothing, as ``x * (1 - x)`` beside a sigmoid of x.
    """
    told = code.backward.of_output() if isinstance(code.backward, Told) else None
    if told is None or not subject.make_repeatable() or agreement(subject).agreeing:
        return None
    try:
        of_output = _chosen(replace(code, backward=told), before)
        found = agreement(of_output)
    except (SubjectError, TypeError, ValueError):
        return None
    if not 0 < found.agreeing == found.shaped:
        return None
    of_output.complain(
        f"{code.label} gives its derivative right if it is then called with its output, and a wrong one if with x: "
        "nothing tells which is meant; to have it decided, give a pair with the names apart, (f(x), f_prime(output))"
    )
    return of_output


def _of_learned_targets(code: Code, subject: CodeSubject, before: Snapshot) -> CodeSubject | None:
    """The subject with its targets as one more input, where backward has the gradient of them too; else None.

    So is the state in ``forward(x, h)``. What is called as targets are stays data; of its gradient it is said that it
    is not checked.
    """
    name = code.target
    if name is None or not is_differentiated(code.given[name]) or not subject.make_repeatable():
        return None
    of_a_loss = subject.output().size == 1
    is_data = names.role_in_loss(name) == names.TARGET or roles.is_buffer(name) or (of_a_loss and roles.is_data(name))
    is_no_loss_of_it = subject.chain is not None and not agreement(subject).agreeing  # one of the usual, as is tried
    if is_data and (subject.leaves_nothing_returned or is_no_loss_of_it):
        return None
    try:
        learned = _chosen_of(replace(code, target=None), code.given, before)
        if not (learned.make_repeatable() and learned.has_in_its_place(name)):
            return None
        if not subject.arrays.keys() <= learned.arrays.keys():
            return None  # what stands in its place is the gradient of another array
    except (SubjectError, TypeError, ValueError):
        return None
    if not is_data:
        return learned
    others = ", ".join(other for other in code.given if other != name)
    subject.notes.append(
        f"backward returns a gradient of {name} too, which is taken for the targets and not checked: to have it checked"
        f", give both as inputs, ({others}, {name})"
    )
    return None


def _with_targets_first(code: Code, subject: CodeSubject, before: Snapshot) -> CodeSubject | None:
    """The subject of a loss whose first argument is the target, where names do not tell, and gradients do; else None.

    Of one that is the same with both exchanged nothing is decided: off by its sign, or the other way round?
    """
    spec = signatures.positional(code.forward)
    own = [] if spec is None else (spec[0] + spec[1])[:2]
    if code.target is None or set(own) != set(code.given) or ordered_by_role(own, own[0], own[1]) is not None:
        return None
    if not subject.make_repeatable() or subject.output().size != 1 or agreement(subject).agreeing:
        return None
    target, prediction = own
    given = {target: code.given[code.target], prediction: next(v for n, v in code.given.items() if n != code.target)}
    try:
        exchanged = _chosen_of(replace(code, given=given, target=target), given, before)
        found = agreement(exchanged)
        if not 0 < found.agreeing == found.shaped:
            return None
        is_symmetric = are_equal(exchanged, subject)
    except (SubjectError, TypeError, ValueError):
        return None
    if not is_symmetric:
        exchanged.notes.append(f"called with the targets first, as {target}: so its gradients agree")
        return exchanged
    exchanged.complain(
        f"{code.label} is the same with {target} and {prediction} exchanged, and the gradient is that by {prediction}: "
        f"right if {prediction} is the output of the network, and wrong if {target} is; names such as y_pred and "
        "y_true tell which"
    )
    return exchanged


def _claimed_numbers(subject: CodeSubject, learned: Sequence[str]) -> list[str]:
    """Those of the numbers whose gradient is among what is returned: by its name, by its place, or by its value."""
    if not subject.make_repeatable():
        return []
    grad_output, claimed = claimed_in_shape(subject)
    return [
        name
        for name in learned
        if name in claimed
        and (subject.has_in_its_place(name) or digits(subject, name, claimed[name], grad_output) >= ROUGHLY)
    ]


def _returned_backward(grad_output: Any, cache: Callable[..., Any]) -> Any:
    """The backward pass of a forward pass that returns it beside its output."""
    return cache(grad_output)
