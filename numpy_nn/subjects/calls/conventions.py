"""The ways in which people have a forward and a backward pass called, the likeliest first: by names, else by trying."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.calls.calling import CACHE, FILLED, GRADS, KEPT, OUTPUT, RATE, Convention, result_role
from numpy_nn.subjects.calls.costs import LossOfOutput
from numpy_nn.subjects.calls.rates import rates_in
from numpy_nn.subjects.calls.results import (
    are_alike_gradients,
    caches_among,
    holds_floats,
    is_gradient_of_one,
    names_of_results,
    place_told_by_its_gradient,
    readings,
)
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.returned import place_of_loss
from numpy_nn.subjects.source.roles import is_data

_OUTPUT_NAMES = ("out", "output", "outputs", "y", "a", "s", "activation", "h_out", "probs")


def orders_of_inputs(forward: Callable[..., Any], given: Sequence[str], target: str | None) -> tuple[str, ...]:
    """The given arguments in the order of forward's: a target goes where the names want it."""
    spec = positional(forward)
    if target is None or len(given) != 2:
        own = [] if spec is None else spec[0] + spec[1]
        return tuple(sorted(given, key=own.index)) if set(given) <= set(own) else tuple(given)
    wanted = [] if spec is None else spec[0] + spec[1]
    return ordered_by_role(wanted, given[0] if given[1] == target else given[1], target) or tuple(given)


def ordered_by_role(wanted: Sequence[str], prediction: str, target: str) -> tuple[str, ...] | None:
    """Prediction and target in the order of the first two of these arguments; None if their names do not tell."""
    roles = names.roles_in_loss(wanted)
    if roles == [names.PREDICTION, names.TARGET]:
        return (prediction, target)
    if roles == [names.TARGET, names.PREDICTION]:
        return (target, prediction)
    if roles[:1] == [names.TARGET] and plainly(wanted[0]) and names.UNKNOWN in roles[1:]:
        return (target, prediction)
    return None


def plainly(name: str) -> bool:
    """Whether a name can mean nothing but a target: ``y`` alone may be an output."""
    return names.plain(name) not in ("y", "t", "d", "y_t")


# What is called so is no array.
_NUMBERS = names.words(
    "n num n_samples num_samples batch_size lam lamb lambd lambda_ lmbda lmda reg reg_strength l1 l2 weight_decay "
    "decay momentum scale factor training train is_training first last is_first is_last first_layer last_layer "
    "is_last_layer is_output epoch iteration verbose"
)


class Arguments:
    """What backward can be given, and in which orders it may want it.

    ``returned`` has a name for each of the things that forward returned, where its source tells, if it is not one.
    """

    def __init__(
        self,
        backward: Callable[..., Any],
        inputs: Sequence[str],
        target: str | None,
        grads: int,
        has_cache: bool,
        of_network: bool,
        returned: Sequence[str] = (),
    ) -> None:
        self.inputs, self.target, self.grads, self.has_cache = tuple(inputs), target, grads, has_cache
        self.of_network = of_network  # a loss of what a network returns, which backward may be given
        self.returned = tuple(returned)
        spec = positional(backward)
        self.any_number = spec is None
        self.wanted = [] if spec is None else spec[0]
        self.label, self.is_method = getattr(backward, "__name__", type(backward).__name__), inspect.ismethod(backward)
        self.optional = [] if spec is None else spec[1]

    def by_name(self, is_scalar: bool) -> tuple[str, ...] | None:
        """The roles of all arguments, as their names tell them; None where a name does not."""
        if self.any_number:
            return None
        wanted = list(self.wanted)
        if self.optional and not is_scalar and names.role(self.optional[0]) == names.GRAD:
            wanted.append(self.optional[0])
        roles: list[str] = []
        if self.target is None and not is_scalar:
            self._refuse_missing_targets(wanted)
        for name in wanted:
            found = self._role(name)
            if found is None:
                return None
            roles.append(found)
        return self._with_grads_together(roles)

    def _refuse_missing_targets(self, wanted: Sequence[str]) -> None:
        """TypeError for a backward pass that takes targets in the place of a gradient, where none were given."""
        asked = [name for name in wanted if name not in self.inputs and names.role_in_loss(name) == names.TARGET]
        asked = [name for name in asked if plainly(name) or len(wanted) > 1]  # backward(d) may want its gradient
        # So does backward(d, cache), or backward(d, s) of what forward returned, or a function of d, x and w.
        kept = self.has_cache or self.grads > 1 or any(names.role(name) == names.CACHE for name in wanted)
        alone = [name for name in wanted if name not in rates_in(wanted)] == ["d"]  # backward(d, lr)
        if asked == ["d"] and (not self.is_method or kept or alone):
            asked = []
        if asked and not any(self._role(name) == GRADS for name in wanted):
            raise TypeError(f"{self.label} takes {asked[0]}: pass the targets too, check_gradients(net, x, targets)")

    def _role(self, name: str) -> str | None:
        # Forward's own names come first: of loss(y, t), y is the prediction in gradient(y, t) as well.
        if name in self.inputs:
            return name
        in_loss = names.UNKNOWN if self.target is None else self._role_in_loss(name)
        if in_loss == names.TARGET:
            return self.target
        found = names.role(name)
        if name in self.returned and found != names.CACHE and not self._is_only_gradient(name):
            return result_role(self.returned.index(name))
        if name in rates_in(self.wanted):
            return GRADS if self.may_be_either else RATE
        if found == names.CACHE:
            return CACHE if self.has_cache else None
        if self.grads == len(self.wanted) and are_alike_gradients(self.wanted):
            return GRADS
        if found == names.GRAD or (self.grads > 1 and is_gradient_of_one(name)):
            return FILLED if self._is_filled(name) else GRADS
        if in_loss == names.PREDICTION:
            own = [one for one in self.inputs if one != self.target]
            # backprop(x, y) of a network with feedforward(a) takes the data, though the x of a loss is an output.
            return OUTPUT if self.of_network and not (is_data(name) and len(own) == 1) else own[0]
        return OUTPUT if names.plain(name) in _OUTPUT_NAMES else None

    @property
    def may_be_either(self) -> bool:
        """Whether backward takes ``eta`` alone: a learning rate elsewhere, which leaves no gradient to begin with."""
        return self.target is None and [names.plain(name) for name in self.wanted] == ["eta"]

    def _role_in_loss(self, name: str) -> str:
        """Of backward(y, d) of a network the output is y, though alone it would be the target."""
        others = [other for other in self.wanted if names.plain(other) not in _OUTPUT_NAMES]
        has_another = any(names.role_in_loss(other) == names.TARGET for other in others)
        is_output = has_another and names.plain(name) in _OUTPUT_NAMES
        return names.PREDICTION if is_output else names.role_in_loss(name)

    def _is_only_gradient(self, name: str) -> bool:
        return [other for other in self.wanted if names.role(other) == names.GRAD] == [name]

    def _is_filled(self, name: str) -> bool:
        """Whether an argument called as all gradients are, beside that of the output, is a dict that backward fills."""
        others = [other for other in self.wanted if names.role(other) == names.GRAD and not names.is_of_all(other)]
        return self.grads == 1 and names.is_of_all(name) and len(others) == 1

    def _with_grads_together(self, roles: list[str]) -> tuple[str, ...] | None:
        """One role for the gradients of all outputs, which are given one after the other."""
        count = roles.count(GRADS)
        if count not in (0, self.grads):
            return None
        first = roles.index(GRADS) if count else 0
        if count and roles[first : first + count] != [GRADS] * count:
            return None
        return (*roles[:first], *roles[first + max(0, count - 1) :]) if count else tuple(roles)

    def by_elimination(self) -> Iterator[tuple[str, ...]]:
        """Where one or two names do not tell: what is left of the gradient and of forward's arguments, in order."""
        found = [self._role(name) for name in self.wanted]
        missing = [i for i, role in enumerate(found) if role is None]
        left = [role for role in (*[GRADS] * (self.grads == 1), *self.inputs) if role not in found]
        results = [role for role in self._results if role not in found]
        left += results if len(left) + len(results) <= 8 else []
        if self.any_number or not 0 < len(missing) <= 2 or len(left) > 8:
            return
        for roles in permutations(left, len(missing)):
            chosen = dict(zip(missing, roles, strict=True))
            order = tuple(chosen.get(i, role) for i, role in enumerate(found))
            if GRADS in order:
                yield tuple(role for role in order if role is not None)

    def untold(self) -> tuple[str, ...]:
        """Beside a gradient, or targets, one or two arguments of which names tell nothing: they may be numbers."""
        roles = {name: self._role(name) for name in self.wanted}
        missing = tuple(name for name, role in roles.items() if role is None)
        told = [role for role in roles.values() if role is not None]
        begins = told.count(GRADS) == self.grads == 1 or self.target in told
        return missing if len(missing) <= 2 and begins else ()

    def with_numbers(self) -> tuple[str, ...]:
        """The roles with a number for each of those."""
        return tuple(self._role(name) or RATE for name in self.wanted)

    def contradicts(self, order: Sequence[str]) -> bool:
        """Whether, beside a gradient, what is called as an argument of forward is given something else.

        ``d * x * (1 - x)`` is no gradient of sigmoid(x) because x could be the output. But ``backward(ctx, x)`` may
        call the gradient so, and forward a cache that it fills as backward the same cache.
        """
        if any(name in _NUMBERS and role not in (name, RATE) for name, role in zip(self.wanted, order, strict=False)):
            return True
        # g * (1 - sigmoid(x)) is no gradient because g could be the output.
        roles = zip(self.wanted, order, strict=False) if self.target is None and not self.may_be_either else ()
        if len(order) == len(self.wanted) and any(r == OUTPUT and self._role(name) == GRADS for name, r in roles):
            return True
        if self.target is not None or GRADS not in order or not len(order) == len(self.wanted) > 1:
            return False
        alone = all(role in (GRADS, CACHE, RATE) for role in order)
        allowed = (CACHE, GRADS) if alone else (CACHE,)
        pairs = zip(self.wanted, order, strict=True)
        return any(name in self.inputs and role not in (name, *allowed) for name, role in pairs)

    @property
    def is_derivative(self) -> bool:
        """Whether it is a function of one argument that keeps nothing: f'(z) is given x, not a gradient."""
        keeps = self.is_method or self.has_cache or self.any_number or names.is_backward(self.label)
        return len(self.wanted) == 1 and not keeps

    @property
    def _results(self) -> tuple[str, ...]:
        return tuple(map(result_role, range(len(self.returned))))

    def by_number(self) -> Iterator[tuple[str, ...]]:
        """The usual orders that have as many arguments."""
        grads, inputs, rates = (GRADS,), self.inputs, (RATE,)
        rate = bool(rates_in(self.wanted))
        orders: list[tuple[str, ...]] = [
            grads, (*grads, CACHE), (CACHE, *grads), (*inputs, *grads), (*grads, *inputs), inputs, (*grads, OUTPUT),
            (OUTPUT, *grads), (OUTPUT,), (CACHE,), (), (*grads, OUTPUT, *inputs), (*grads, *inputs, OUTPUT),
            (*inputs, OUTPUT, *grads), (*grads, CACHE, *inputs), (*inputs, OUTPUT),
        ]  # fmt: skip
        if self.target is not None:
            orders += [(self.target,), (OUTPUT, self.target)]
            if self.wanted and names.role(self.wanted[0]) == names.GRAD:
                # backward(dvalues, y_true), of softmax and its loss in one: the probabilities, returned or kept
                orders = [(role, self.target) for role in self._results] + orders
                orders = [(KEPT, self.target)] * self.is_method + orders
        # What forward returned, one by one: all of it, or all but the outputs.
        for results in (self._results, self._results[self.grads :]) if self.returned else ():
            for blocks in ((grads, results), (grads, results, inputs)):
                orders += [sum(order, ()) for order in permutations(blocks)]
        for order in orders:
            order = (*order, *rates) if rate else order
            length = len(order) + (self.grads - 1) * (order.count(GRADS) + order.count(OUTPUT))
            if (self.any_number or length == len(self.wanted)) and (self.has_cache or CACHE not in order):
                yield order


def may_be_gradient(backward: Callable[..., Any], arguments: Sequence[str], inputs: Sequence[str]) -> bool:
    """Whether the only argument of a backward pass, but for a rate, is called as forward's, and may be the gradient.

    So it is with ``forward(z)`` and ``backward(z)`` of a layer; a derivative takes what its function takes. Beside a
    cache, which has what forward was given, as ``forward(x, d)`` and ``backward(d, cache)``, it can hardly be another.
    """
    own = [role for role in arguments if role != RATE]
    if len(own) == 2 and own[0] in inputs and own[1] == CACHE:
        return True
    alone = len(own) == 1 and own[0] in inputs
    return alone and inspect.ismethod(backward) and names.is_backward(backward.__name__)


def is_certain(convention: Convention, target: str | None, backward: Callable[..., Any] | None = None) -> bool:
    """Whether names that tell all roles can hardly mean anything else.

    What may be an output is often something else, and what is called as a gradient in a loss is often the prediction.
    """
    arguments = convention.arguments or ()
    if backward is not None and may_be_gradient(backward, arguments, convention.inputs):
        return False
    return OUTPUT not in arguments and not (target is not None and GRADS in arguments)


def conventions(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    given: Sequence[str],
    target: str | None,
    result: Any,
) -> Iterator[tuple[Convention, bool]]:
    """Every way to call the pair that may be meant, the likeliest first, with whether the names alone say so."""
    inputs = orders_of_inputs(forward, given, target)
    if backward is None:
        yield Convention(inputs, 1, None, None), True
        return
    if isinstance(result, list) and not holds_floats(result):
        result = tuple(result)  # [probabilities, loss]
    place = place_of_loss(forward, result) if target is not None or _begins_with_a_loss(backward, inputs) else 0
    of_network = isinstance(getattr(forward, "__self__", None), LossOfOutput)
    called = names_of_results(forward, result) if isinstance(result, (tuple, list)) and not of_network else ()
    place = place or (place_told_by_its_gradient(backward, inputs, called) if target is None else 0)
    for outputs in [1] if place else readings(result, backward, inputs, called):
        has_cache = isinstance(result, (tuple, list)) and len(result) > outputs
        returned = called if has_cache else ()
        arguments = Arguments(backward, inputs, target, outputs, has_cache, of_network, returned)
        first = result[place] if isinstance(result, tuple) and result else result
        named = arguments.by_name(np.size(first) == 1)
        # What is called a gradient is one: code that takes it and leaves it out is wrong, and no derivative of f.
        takes_grads = target is None and named is not None and GRADS in named and not arguments.may_be_either
        of_samples = target is not None and np.size(first) > 1
        # What names tell of some goes before what numbers of arguments allow.
        guesses = dict.fromkeys([*arguments.by_elimination(), *arguments.by_number()])
        if named is None and inputs in guesses and arguments.is_derivative:
            guesses = dict.fromkeys([inputs, *guesses])
        if has_cache and named is None:
            # What forward returns beside its output is there to be handed on, whatever its name. So called, wrong code
            # is wrong by its own numbers, and not by those of an argument that can be unpacked as well.
            guesses = dict.fromkeys(sorted(guesses, key=lambda order: CACHE not in order))
        guesses = dict.fromkeys(order for order in guesses if not arguments.contradicts(order))
        if named is not None and may_be_gradient(backward, named, inputs):
            guesses = dict.fromkeys([tuple(GRADS if role in inputs else role for role in named)])
        orders = [] if named is None else [(named, True)]
        orders += [(order, False) for order in guesses if order != named and (GRADS in order or not takes_grads)]
        if named is not None and CACHE in named and may_be_gradient(backward, named, inputs):
            orders = [(order, False) for order, _ in reversed(orders)]  # beside a cache the gradient is likelier
        if arguments.any_number and positional(forward) is None and np.size(first) == 1:
            orders.sort(key=lambda one: GRADS in one[0])  # fun(x, *args) and jac(x, *args) of an optimizer
        caches = caches_among([*result[:place], *result[place + outputs :]]) if has_cache else [None]
        for order, by_name in orders:
            for cache in caches if CACHE in order else [None]:
                yield from _of_sum_and_mean(
                    Convention(inputs, outputs, None, order, cache, place=place), by_name, of_samples
                )
        if numbers := arguments.untold():
            order = arguments.with_numbers()
            yield Convention(inputs, outputs, None, order, place=place, numbers=numbers), False


def _begins_with_a_loss(backward: Callable[..., Any], inputs: Sequence[str]) -> bool:
    """Whether backward takes forward's own targets, by their name, and no gradient: it begins with that of the loss."""
    wanted = (positional(backward) or ([], []))[0]
    targets = [name for name in wanted if name in inputs and names.role_in_loss(name) == names.TARGET]
    return bool(targets) and not any(names.role(name) == names.GRAD and name not in inputs for name in wanted)


def _of_sum_and_mean(convention: Convention, by_name: bool, of_samples: bool) -> Iterator[tuple[Convention, bool]]:
    """The convention; and that of the mean, where forward returns the losses of samples, and backward takes none."""
    yield convention, by_name
    if of_samples and not convention.takes_grads:
        yield replace(convention, averaged=True), by_name
