"""Objects with an objective and its gradient, no loss and no layer: a log-likelihood and its score, an energy."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from numpy_nn.subjects import names
from numpy_nn.subjects.agreement import agreement
from numpy_nn.subjects.arrays.nested import is_container, mapped
from numpy_nn.subjects.calls.arguments import takes
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.subject import SubjectError

_OBJECTIVES = names.words(
    "fun func f log_likelihood loglikelihood log_like loglike log_lik loglik ll log_posterior log_prob log_p logp "
    "log_density log_pdf logpdf elbo lower_bound evidence energy potential potential_energy utility"
)
_GRADIENTS = names.words("gradient grad grads gradients score jac jacobian fprime der derivative")
_FORMS = names.words("grad_{} gradient_{} {}_grad {}_gradient {}_prime {}_derivative {}_jac d{} d_{} score_{} {}_score")


def objective_and_gradient(thing: Any, number: int) -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """The objective of an object and its gradient, which take as many arguments; None where it has something usual.

    That is two passes, of which either may be called as this gradient is, or a loss.
    """
    if None not in names.passes(thing) or names.method(thing, names.LOSSES) is not None:
        return None
    value = names.method(thing, _OBJECTIVES)
    name = names.plain(getattr(value, "__name__", ""))
    gradient = None if value is None else names.method(thing, [form.format(name) for form in _FORMS])
    gradient = gradient or names.method(thing, _GRADIENTS)
    if value is None or gradient is None or not (takes(value, number) and takes(gradient, number)):
        return None
    return value, gradient


def judged_by_its_sign(
    pair: tuple[Callable[..., Any], Callable[..., Any]], made: Callable[[Any, Any], CodeSubject]
) -> CodeSubject:
    """The subject of the two; undecided where the gradient is that of the negative, as a descent takes it."""
    value, gradient = pair
    subject = made(value, gradient)
    if not subject.make_repeatable() or agreement(subject).agreeing:
        return subject
    try:
        negative = made(value, _negated(gradient))
        found = agreement(negative)
    except (SubjectError, TypeError, ValueError):
        return subject
    if not 0 < found.agreeing == found.shaped:
        return subject
    first, second = value.__name__, gradient.__name__
    negative.complain(
        f"{second} is minus the gradient of {first}: right if a descent takes it, and wrong if it is added; to have it "
        f"decided, give the pair that is meant, as (lambda *a: -it.{first}(*a), it.{second})"
    )
    return negative


def _negated(gradient: Callable[..., Any]) -> Callable[..., Any]:
    """The function that returns the negative, of whatever arrays it returns."""

    def negative(part: Any) -> Any:
        return mapped(part, lambda _, one: negative(one)) if is_container(part) else -part

    @wraps(gradient)
    def negated(*arguments: Any) -> Any:
        return negative(gradient(*arguments))

    return negated
