"""Losses that code has and is not judged by: the one by which it is may be a multiple of one, or another altogether."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.calls.costs import LossOfOutput, cost_beside, is_derived
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.bindings import bindings
from numpy_nn.subjects.source.surroundings import Surroundings
from numpy_nn.subjects.state import Snapshot, of_installed
from numpy_nn.subjects.subject import SubjectError

# By how much an array is scaled where losses are compared.
_SCALES = (1.0, 0.75, 1.25)
# Up to this share losses are one and the same, as gradients are that are close: log(a + 1e-8) stands for log(a).
ALIKE = 1e-5
# What a function that computes a number and no more does not do, and what it does not call.
_STORES = ("STORE_ATTR", "STORE_SUBSCR", "STORE_GLOBAL", "DELETE_ATTR", "FOR_ITER", "JUMP_BACKWARD", "IMPORT_NAME")
# What is called as a loss may keep its value, and may have a loop.
_STORES_OF_LOSSES = ("STORE_GLOBAL", "DELETE_ATTR")
_CALLS = {"fit", "train", "step", "update", "print", "open", "input", "exit", "savefig", "show", "save", "load"}


def factors_of_losses(
    subject: CodeSubject, chain: LossOfOutput, forward: Callable[..., Any], owner: Any, targets: Any
) -> dict[str, float]:
    """What gives a multiple of the loss by which code is judged, in words, and which multiple: nan of another loss.

    Looked at are what a step returns, and those functions of the object, of its methods, or beside functions, that
    compute a number of output and targets, of data and targets, or of targets alone. One that is no multiple counts
    only if it is called as a loss is.
    """
    found: dict[str, float] = {}
    before = Snapshot(owner if owner is not None else forward)
    pairs = list(_returned_by_steps(subject))
    if factor := _in_common(value / loss for value, loss in pairs):
        found["what a step returns"] = factor
    elif factor := _beside_a_penalty(pairs)[0]:
        found["what a step returns, but for what hangs on the weights alone,"] = factor
    for name, function in dict([*_beside(chain, forward, owner), *_candidates(owner)]).items():
        for order in range(4):
            ratios = list(_ratios(subject, chain, function, order, targets))
            before.restore()
            if factor := _in_common(ratios):
                found[f"{name} of the same code"] = factor
                break
            if _called_as_a_loss(name) and len(ratios) == len(_SCALES) and np.isfinite(ratios).all():
                found[f"{name} of the same code"] = np.nan
    return found


def _beside(chain: LossOfOutput, forward: Callable[..., Any], owner: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The one loss of the functions' module, and what else there only computes of two arguments, whatever its name.

    Not in the file of a class, which may be that of other classes. A function with a derivative beside it is a pair by
    itself, and one called after another function is that function's.
    """
    if owner is not None and not isinstance(owner, Surroundings):
        return
    own = signatures.unwrapped(getattr(forward, "func", forward))
    around = getattr(own, "__globals__", {})
    called, loss = cost_beside(forward) or ("", None)
    for name, function in around.items():
        if not inspect.isfunction(function) or function is own or function.__module__ != own.__module__:
            continue
        after = around.get(name.rpartition("_")[0], own)
        if (inspect.isfunction(after) and after is not own) or any(is_derived(other, name) for other in around):
            continue
        if name == called and loss is not None:
            yield name, partial(_value_of, chain, loss)
        elif len((positional(function) or ([], []))[0]) == 2 and _computes(function):
            yield name, function


def _value_of(chain: LossOfOutput, loss: Callable[..., Any], _: Any, targets: Any) -> Any:
    return chain.value_of(loss, targets)


def _called_as_a_loss(name: str) -> bool:
    """Whether it is by name; an error may be the share of what is predicted wrongly."""
    return (names.is_loss(name) or names.is_usual_loss(name)) and names.plain(name) != "error"


def _in_common(ratios: Iterable[float]) -> float:
    """What all ratios are; 0 if they are not as many as there are points, or not alike."""
    ratios = list(ratios)
    alike = len(ratios) == len(_SCALES) and 0.0 < ratios[0] < np.inf and np.ptp(ratios) <= ALIKE * ratios[0]
    return ratios[0] if alike else 0.0


def _returned_by_steps(subject: CodeSubject) -> Iterator[tuple[float, float]]:
    """The number that a step of training returns, and the loss, at several points; fewer where it returns none."""
    name = subject.input
    for scale in _SCALES:
        try:
            with subject.at({name: scale * subject.arrays[name]}):
                loss = float(subject.output())
                subject.gradients(np.ones(()))
        except SubjectError:
            return
        if not isinstance(subject.latest, (float, np.floating)) or not loss:
            return
        yield float(subject.latest), loss


def _beside_a_penalty(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The factor before the loss in what steps return, and what they add to it at any data; (0, 0) if not so."""
    if len(pairs) != len(_SCALES):
        return 0.0, 0.0
    (value, loss), (second, other), (third, last) = pairs
    factor = (second - value) / (other - loss) if other != loss else 0.0
    added = value - factor * loss
    fits = abs(third - factor * last - added) <= ALIKE * max(abs(third), abs(value - third))
    return (factor, added) if fits and 0.0 < factor < np.inf and abs(last - other) > ALIKE * abs(last) else (0.0, 0.0)


def said_of_the_penalty(subject: CodeSubject, words: str) -> str:
    """What is wrong with the weight decay in steps, by what these return: the loss with its penalty; or nothing.

    That is known where it is the loss and something that grows with the square of the weights, and with nothing else.
    """
    factor, added = _beside_a_penalty(list(_returned_by_steps(subject)))
    if abs(factor - 1.0) > ALIKE:
        return ""
    own = subject.penalty_of_decays()
    if abs(added - own) <= ALIKE * max(abs(added), abs(own)):
        return ""
    with subject.at({name: 2.0 * subject.arrays[name] for name in subject.parameter_places}):
        more = _beside_a_penalty(list(_returned_by_steps(subject)))[1]
    if not added > 0.0 or abs(more - 4.0 * added) > 1e-3 * more:
        return ""
    has = f"{own:.6g}, by the weight decay in it" if own else "none of it"
    return (
        f"what a step returns is {words} and a penalty, {added:.6g}; the gradient has that of {has}: if it is the "
        "loss, the gradients are off by that; say which it is with loss="
    )


def _ratios(
    subject: CodeSubject, chain: LossOfOutput, function: Callable[..., Any], order: int, targets: Any
) -> Iterator[float]:
    """What the function gives over the loss, at several points; fewer where it cannot be called so."""
    name = subject.input
    for scale in _SCALES:
        try:
            with subject.at({name: scale * subject.arrays[name]}):
                loss = float(subject.output())
                output = chain.output_for(function)
                given = ((output, targets), (targets, output), (*chain.inputs, targets), (targets,))[order]
                if len((positional(function) or ([], []))[0]) != len(given):
                    return
                with subject.running():
                    value = function(*given)
        except SubjectError:  # a function of the user's that is no loss fails in whatever way it happens to
            return
        if not isinstance(value, (int, float, np.number, np.ndarray)) or np.ndim(value):
            return
        if np.asarray(value).dtype.kind not in "fiu":  # a bool, a complex number, a word in an array
            return
        yield float(value) / loss if loss else np.inf


def _candidates(owner: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The object's methods that only compute, and such functions, and static ones of classes, that its methods name."""
    for name, found in names.callables(owner):
        if not name.startswith("__") and _computes(found):
            yield name, found
    kinds = [kind for kind in type(owner).__mro__ if not of_installed(kind)]
    methods = [method for kind in kinds for method in vars(kind).values() if inspect.isfunction(method)]
    around = {name: binding.read() for method in methods for name, binding in bindings(method).items()}
    for name, thing in around.items():
        if inspect.isfunction(thing) and _computes(thing):
            yield name, thing
        held = vars(thing) if isinstance(thing, type) and not isinstance(owner, thing) else {}
        for key, function in held.items():
            if isinstance(function, staticmethod) and _computes(function.__func__):
                yield f"{name}.{key}", function.__func__


def _computes(function: Any) -> bool:
    """Whether a function does nothing but compute: it keeps nothing, has no loop, and calls nothing that may."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None or code.co_flags & inspect.CO_GENERATOR or _CALLS & set(code.co_names):
        return False
    stores = _STORES_OF_LOSSES if _called_as_a_loss(code.co_name) else _STORES
    return not any(instruction.opname in stores for instruction in dis.get_instructions(code))
