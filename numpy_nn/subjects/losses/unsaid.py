"""Networks with the gradients of a loss that they do not compute: by which of the usual ones they are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.agreement import (
    CLOSELY,
    ROUGHLY,
    Agreement,
    agreement,
    claimed_in_shape,
    digits,
    factor_of,
    is_beyond_chance,
    may_be_a_multiple,
)
from numpy_nn.subjects.arrays.nested import arrays_of
from numpy_nn.subjects.calls.arguments import named_arguments
from numpy_nn.subjects.calls.costs import (
    HandedOn,
    LossOfOutput,
    cost_beside,
    costs_beside,
    loss_of_kept_output,
    penalty_of,
    said_of_penalty,
)
from numpy_nn.subjects.calls.usual_costs import has_kinks, usual_costs
from numpy_nn.subjects.choosing import chosen
from numpy_nn.subjects.given_code import Code, Hints, is_ragged
from numpy_nn.subjects.losses.other_losses import ALIKE, factors_of_losses, said_of_the_penalty
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.subject import SubjectError

_SCALES_AT_KINKS = 4 * (0.25, 0.5, 1.0, 2.0)


def with_unsaid_cost(
    label: str,
    forward: Callable[..., Any],
    gradient: Callable[..., Any],
    inputs: Sequence[Any],
    targets: Any,
    owner: Any,
    hints: Hints,
    sign_of_error: float = 1.0,
) -> CodeSubject:
    """A network with gradients of a loss which it does not compute: the user's, the one beside it, or the usual one.

    TypeError where it wants the gradient of the output, has none, or has those of no usual loss. What its backward pass
    raises whatever the loss is comes through.
    """
    beside = (loss_of_kept_output(owner) or cost_beside(forward)) if hints.cost is None else None
    lengths = [n for one in (inputs[0], targets) for n in (() if is_ragged(one) else np.shape(one)[:2])]
    entries = [] if is_ragged(targets) else [np.size(targets)]
    costs = list(usual_costs([*lengths, *entries] or (1,))) if hints.cost is None else [("", hints.cost)]
    family = {formula: _family(formula) for formula, _ in costs if formula}
    # Of several losses in the file the one is meant of which the gradients are, if they are of none that is usual.
    several_beside = costs_beside(forward) if hints.cost is None and beside is None else []
    costs = [*([] if beside is None else [beside]), *costs, *several_beside]
    penalty = penalty_of(owner) if hints.cost is None else None
    penalties = (None,) if penalty is None else (penalty, None)
    given = named_arguments(forward, inputs, None) | {"targets": targets}
    best, words, wants_its_own, several = None, "", False, False
    most, holds = Agreement(0, 0, 0), 0
    counts, gives_error = False, False
    errors: list[Exception] = []
    turned: tuple[CodeSubject, str] | None = None
    apart: set[tuple[bool, Any, str]] = set()  # of which no multiple can be meant
    meant = ""  # the family of the loss, once it is known
    before = Snapshot(owner)
    # Of several arrays that forward returns the first is the output, or else the last.
    for takes_last in (False, True):
        for added, (formula, cost) in product(penalties, costs) if several or not takes_last else ():
            multiples_of = takes_last, added, formula.split(" / n, with n = ")[0]
            if multiples_of in apart or (meant and family.get(formula, meant) != meant):
                continue
            chain = LossOfOutput(forward, cost, list(given)[:-1], takes_last=takes_last, penalty=added)
            chain.sign_of_error = sign_of_error
            backward = chain.given_output(gradient)
            if hints.cost is not None and wants_gradient(gradient) and chain.has_gradient:
                backward = chain.handed_on(gradient)
            try:
                subject = chosen(Code(label, chain.loss, backward, given, hints, "targets", owner))
                agrees = agreement(subject)
                there = _agreeing_elsewhere(subject, formula) if agrees.agreeing and hints.cost is None else 0
                is_of_it = agrees.digits == CLOSELY and there == agrees.shaped
                # Far out a sigmoid is 1 to a few digits, there and elsewhere: as the gradient of a perceptron is.
                tells = there > (zeros := _zeros(subject)) and _agreeing_closely(subject, formula) > zeros
                if not agrees.agreeing and not may_be_of_a_multiple(subject):
                    apart.add(multiples_of)
            except (SubjectError, TypeError, ValueError) as error:
                errors.append(error)
                continue
            finally:
                several, gives_error = several or chain.may_be_the_last, gives_error or chain.gives_error
                before.restore()
            is_handed = isinstance(backward, HandedOn)
            lacks_its_own = wants_gradient(gradient) and agrees.agreeing < agrees.shaped and not is_handed
            # What names do not tell to be one, as N in backPropagate(targets, N), is a factor, where all agree by 1.
            is_factor = is_of_it and agrees.shaped > 0 and not wants_gradient(gradient)
            if (subject.convention.takes_grads and not is_factor) or lacks_its_own:
                wants_its_own = True
                continue  # it wants the gradient of a loss that does not give it
            if turned is None and not agrees.agreeing and _goes_up(subject):
                turned = subject, formula
            if has_kinks(formula) and not there:
                continue  # on one side of a kink its gradients are whatever else has these
            # At weights of 0 a perceptron's first step is that of the squared error, there alone.
            stays, stayed = there == agrees.shaped > 0, holds == most.shaped > 0
            own, others = (stays, agrees, there), (stayed, most, holds)
            if best is None or (*own, _is_as_it_stands(subject)) > (*others, _is_as_it_stands(best)):
                best, most, holds, words, counts = subject, agrees, there, formula, added is not None
            if _leaves_nothing(subject, agrees) and (is_of_it or hints.cost is not None):
                break
            if tells and formula in family and not has_kinks(formula) and _is_as_it_stands(subject):
                meant = meant or family[formula]  # no loss but a multiple has one of its gradients
        if best is not None and most.agreeing == most.shaped:
            break
    if turned is not None and not most.agreeing:
        best, words = turned
    if gives_error and sign_of_error > 0.0 and not most.agreeing:  # which it may mean the other way
        return with_unsaid_cost(label, forward, gradient, inputs, targets, owner, hints, -1.0)
    if best is not None and best.chain is not None and best.chain.gives_error:
        difference = "output - targets" if sign_of_error > 0.0 else "targets - output"
        best.notes.append(f"{getattr(gradient, '__name__', 'backward')} is given {difference} for the error")
    if best is not None and beside is not None and words == beside[0]:
        best.notes.append(f"judged as the gradients of {words}, the one loss in the same file")
    elif best is not None and words in dict(several_beside):
        best.notes.append(f"judged as the gradients of {words}, a loss in the same file")
    elif best is not None and words:
        best.notes.append(f"the loss is not written in the code; the gradients are judged as those of {words}")
        _compare_with_losses(best, forward, owner, targets, words, agrees_in_part=not _agrees_whole(most))
    if best is not None and penalty is not None:
        best.notes += said_of_penalty(penalty, counts=counts)
    shows_none = best is not None and not most.shaped and best.updates_in_backward is None
    if wants_gradient(gradient) and (shows_none or (best is None and wants_its_own)):
        raise TypeError(
            f"target: {label}'s backward pass wants the gradient of the loss by the output, which loss= does not "
            "give: pass one that has its gradient beside it, such as loss=MSE(), an object with both, or check it "
            "without targets, and the loss by itself as a pair (loss, gradient)"
        )
    if best is not None and shows_none and (best.moved or not list(arrays_of(best.latest))):
        moved = ", ".join(best.moved)
        raise TypeError(
            f"target: {label}'s backward pass leaves no gradient that is found, and changes "
            + (f"{moved} by steps of which no learning rate is found: give it one, as lr=" if moved else "no parameter")
        )
    if best is None and errors and not wants_its_own:
        texts = list(map(str, errors))
        raise max(errors, key=lambda error: texts.count(str(error)))  # a backward pass fails whatever the loss is
    # To a few digits, or at one set of weights, those of some usual loss may be of its size by chance.
    is_chance = best is not None and words in dict(costs) and not holds
    is_chance = is_chance and not (_agrees_whole(most) and best is not None and is_beyond_chance(best))
    if best is None or (hints.cost is None and turned is None and (is_chance or not most.agreeing)):
        raise TypeError(
            f"target: {label} has gradients of a loss that it does not compute, and they are those of none of the "
            "usual ones: they are wrong, or the loss is another; pass loss=, a function loss(output, targets) that "
            "returns a number, such as loss=lambda output, targets: ((output - targets) ** 2).sum() / 2"
        )
    return best


def _family(formula: str) -> str:
    """What multiples of one loss have in common, as sums, halves of them, and means."""
    return formula.removeprefix("mean").removeprefix("sum").split(" / ")[0]


def may_be_of_a_multiple(subject: CodeSubject) -> bool:
    """Whether any of the gradients may be those of a loss that is a multiple of this one."""
    grad_output, claimed = claimed_in_shape(subject)
    return not claimed or any(may_be_a_multiple(subject, n, g, grad_output) for n, g in claimed.items())


def _zeros(subject: CodeSubject) -> int:
    """How many of the claimed gradients are 0, as of arrays that nothing uses: they are those of every loss."""
    return sum(not np.any(gradient) for gradient in claimed_in_shape(subject)[1].values())


def _agrees_whole(agrees: Agreement) -> bool:
    return agrees.agreeing == agrees.shaped > 0 and agrees.digits == CLOSELY


def _goes_up(subject: CodeSubject) -> bool:
    """Whether every step of a backward pass that updates is minus that down a loss: up, where nobody wants to go."""
    if subject.updates_in_backward is None or not subject.make_repeatable():
        return False
    grad_output, claimed = claimed_in_shape(subject)
    return bool(claimed) and all(abs(factor_of(subject, n, g, grad_output) + 1.0) <= 1e-3 for n, g in claimed.items())


def _agreeing_elsewhere(subject: CodeSubject, formula: str) -> int:
    """Of how many arrays the gradients are those of the loss at other weights too.

    Those of one loss can be a multiple of another's to many digits: where weights are small, all outputs of a sigmoid
    are near 1/2, and the squared error has a quarter of the cross-entropy's gradient. Of a loss with a kink they are
    those of another on one side of it, so that many weights are looked at, and where gradients are 0 too.
    """
    rng = np.random.default_rng(1)
    agreeing = []
    for place, scale in enumerate(_SCALES_AT_KINKS if has_kinks(formula) else (1.0,)):
        side = (-1.0) ** place  # weights may be far on one side of the kink, and turned round they are on the other
        moved = {
            name: side * subject.arrays[name] + scale * rng.standard_normal(subject.arrays[name].shape)
            for name in subject.parameter_places
        }
        try:
            with subject.at(moved), np.errstate(all="ignore"):
                agreeing.append(_agreeing_closely(subject, formula))
        except (SubjectError, TypeError, ValueError):
            return 0
        if not agreeing[-1]:
            break
    return min(agreeing)


def _agreeing_closely(subject: CodeSubject, formula: str) -> int:
    if not has_kinks(formula) and (found := agreement(subject)).digits == CLOSELY:
        return found.agreeing
    grad_output, claimed = claimed_in_shape(subject)
    enough = ROUGHLY if has_kinks(formula) else CLOSELY
    return sum(digits(subject, name, g, grad_output) >= enough for name, g in claimed.items())


def _leaves_nothing(subject: CodeSubject, agrees: Agreement) -> bool:
    """Whether no other loss can do better: each array has a gradient, which is that of this one to all digits.

    But for the data that a network with parameters of its own is given.
    """
    arrays = len([name for name in subject.arrays if name != subject.input or not subject.has_parameters])
    left = [name for name, kind, _ in subject.unchecked if kind in ("unchecked", "unclaimed")]
    whole = agrees.shaped == agrees.agreeing >= arrays > 0 and agrees.digits == CLOSELY
    return whole and not left and _is_as_it_stands(subject)


def _is_as_it_stands(subject: CodeSubject) -> bool:
    """Whether nothing has to be said of how it was understood, as that its steps are by another rate than the kept."""
    return not (subject.problems or subject.is_by_another_rate)


def _compare_with_losses(
    subject: CodeSubject, forward: Callable[..., Any], owner: Any, targets: Any, words: str, *, agrees_in_part: bool
) -> None:
    """Say if the code has a loss which that by which it is judged is not: a multiple of it, or another.

    Where the gradients are in part those of neither, that other may be meant, as with a penalty: none is wrong then.
    """
    if subject.chain is None or not subject.make_repeatable() or subject.input not in subject.arrays:
        return
    if text := said_of_the_penalty(subject, words):
        subject.complain(text)
        return
    factors = factors_of_losses(subject, subject.chain, forward, owner, targets)
    apart = {name: factor for name, factor in factors.items() if not abs(factor - 1.0) <= ALIKE}
    if not apart or len(apart) < len(factors):
        return
    name, factor = min(apart.items(), key=lambda one: np.isnan(one[1]))
    if agrees_in_part and not np.isnan(factor) and abs(factor - 1.0) < 0.5:
        subject.refuse(f"{name} may be the loss, of which the gradients are in part: say which it is with loss=")
        return
    if np.isnan(factor):
        subject.complain(
            f"{name} is a loss, and these gradients are not its, but those of {words}: if it is the loss, they are "
            "wrong; say which it is with loss="
        )
    else:
        subject.complain(
            f"{name} is {factor:.6g} times {words}, of which these gradients would be: if it is the "
            "loss, they are off by that factor; say which it is with loss="
        )


def wants_gradient(function: Callable[..., Any] | None) -> bool:
    """Whether the names of its arguments say that a function takes a gradient, and no targets to make one of.

    ``eta`` alone is one, though it is a learning rate elsewhere: without a gradient there is nothing to begin with.
    """
    own = ((None if function is None else positional(function)) or ([], []))[0]
    targets = any(names.role_in_loss(name) == names.TARGET for name in own)
    is_eta = [names.plain(name) for name in own] == ["eta"]
    return not targets and (is_eta or any(names.role(name) == names.GRAD for name in own))
