"""The loss of what a network returns, as one function of its input: the one that stands beside it, or any other."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.calls.arguments import takes
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.calls.rates import rates_in
from numpy_nn.subjects.calls.usual_costs import Cost
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.returned import number_returned, place_of_loss, returned_names
from numpy_nn.subjects.source.roles import is_data
from numpy_nn.subjects.source.trees import source_tree


def costs_beside(function: Callable[..., Any]) -> list[tuple[str, Cost]]:
    """The losses in the module of a function, with their names; those that are called so before those of other names.

    They take an output, targets and, where they want more, what the function has under the same names.
    """
    function = getattr(function, "func", function)
    function = getattr(function, "__func__", function)
    own = getattr(function, "__globals__", {})
    given = set((positional(function) or ([], []))[0])
    found, usual = {}, {}
    for name, value in own.items():
        spec = positional(value) if inspect.isfunction(value) and value.__module__ == function.__module__ else None
        fits = spec is not None and len(spec[0]) >= 2 and set(spec[0][2:]) <= given
        if fits and names.is_loss(name) and value is not function:
            found[name] = value
        elif fits and names.is_usual_loss(name):
            usual[name] = value
    return list((found or usual).items())


def cost_beside(function: Callable[..., Any]) -> tuple[str, Cost] | None:
    """The loss in the module of a function, with its name; None if there is not one alone."""
    found = costs_beside(function)
    return found[0] if len(found) == 1 else None


def is_derived(name: str, of: str) -> bool:
    """Whether a function is called as the derivative of another, as ``mse_prime`` or ``d_mse`` of ``mse``."""
    stem = names.plain(of)
    forms = [f"{stem}_{ending}" for ending in (*names.DERIVATIVES, "vjp")] + [f"grad_{stem}", f"d_{stem}"]
    return names.plain(name).replace("_", "") in [form.replace("_", "") for form in forms]


_OF_A_GRADIENT = re.compile(r"grad|deriv|prime|jacob|backward|delta|^_*d_?\w*(loss|cost|error|mse|bce|entropy)$")


def gradient_by_output(network: Any, loss: Callable[..., Any]) -> Callable[..., Any] | None:
    """The method of a network that has its loss too which gives the gradient of that by the output, or None.

    It is called as the derivative of the loss; or else it alone is called as a gradient, of an output and targets.
    """
    passes = names.passes(network)
    found = names.derived(network, loss)
    if found is not None and found not in passes:
        return found
    both = [names.PREDICTION, names.TARGET]
    others = [
        one
        for name, one in names.callables(network)
        if _OF_A_GRADIENT.search(names.plain(name)) and one != loss and one not in passes
    ]
    others = [one for one in others if sorted(names.roles_in_loss((positional(one) or ([], []))[0])) == both]
    return others[0] if len(others) == 1 else None


def loss_of_kept_output(owner: Any) -> tuple[str, Cost] | None:
    """The one method of an object that is called as a loss and takes targets alone: of the output that it keeps."""
    found: list[tuple[str, Callable[..., Any]]] = []
    for name, value in names.callables(owner):
        wanted = (positional(value) or ([], []))[0] if names.is_loss(name) and inspect.ismethod(value) else []
        if len(wanted) == 1 and names.role_in_loss(wanted[0]) == names.TARGET:
            found.append((name, value))
    if len(found) != 1:
        return None
    name, method = found[0]
    return name, lambda *output_and_targets: method(output_and_targets[1])


def penalty_of(owner: Any) -> Callable[[], Any] | None:
    """The one method without arguments, of an object or the loss that it holds, that says what its parameters cost."""
    loss = getattr(held_loss(owner), "__self__", None)
    found = [
        value
        for thing in (owner, loss)
        for name, value in names.callables(thing)
        if _OF_A_PENALTY.search(names.plain(name)) and takes(value, 0)
    ]
    return found[0] if len(found) == 1 else None


def said_of_penalty(penalty: Callable[[], Any], *, counts: bool) -> list[str]:
    """A line on whether gradients were taken to be those of a loss with the penalty; none where it is 0."""
    if not counts:
        return [f"what {penalty.__name__}() gives is in none of these gradients, and not counted as missing"]
    return [f"to the loss is added what {penalty.__name__}() gives"] if np.any(penalty()) else []


_OF_A_PENALTY = re.compile(r"(^|_)(regulari[sz]\w+|reg|weight|l2)_(loss|cost)$|(^|_)penalty$")


class HandedOn(Dressed):
    """A network's backward pass that gets the gradient of the loss by itself."""


class LossOfOutput:
    """A loss of what a forward pass returns, as one function of its arguments, which are ``named``, and the targets.

    A loss may want arguments of the forward pass too, by their names, such as the weights that it decays. Where
    ``loss`` returns its own gradient beside its value, :meth:`handed_on` hands that to the network's.
    ``penalty`` says what the parameters cost beside it.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        loss: Callable[..., Any],
        named: Sequence[str] = (),
        *,
        takes_last: bool = False,
        penalty: Callable[[], Any] | None = None,
    ) -> None:
        self._forward, self._loss, self._named = forward, loss, tuple(named)
        self._takes_last, self.penalty = takes_last or _is_of_the_last(loss), penalty
        self._of_output: Any = None
        self._targets: Any = None
        self.output: Any = None  # what the network has returned
        self._returned: Any = None
        self.inputs: Sequence[Any] = ()  # what it was given
        self._names = returned_names(forward)
        self._asked: Callable[..., Any] | None = None
        self._wants_all = False
        self.gives_error, self.sign_of_error = False, 1.0

    def loss(self, *arguments: Any) -> Any:
        """loss(forward(x), targets), and after it what forward returned beside its output."""
        *inputs, targets = arguments
        self._targets = targets
        rest = self.run(*inputs)
        value = self.value_of(self._loss, targets)
        if isinstance(value, tuple):
            place = place_of_loss(self._loss, value)
            value, self._of_output = value[place], None if place else value[1]
        if self.penalty is not None:
            value = value + self.penalty()
        return (value, *rest) if rest else value

    def value_of(self, loss: Callable[..., Any], targets: Any) -> Any:
        """What a loss gives for the output of the latest pass."""
        return loss(*self._in_order(loss, targets, dict(zip(self._named, self.inputs, strict=False))))

    def run(self, *inputs: Any) -> Sequence[Any]:
        """The forward pass alone, which leaves ``output``; what it returned beside it."""
        self.inputs, self._returned = inputs, self._forward(*inputs)
        parts = list(self._returned) if self._is_several() else [self._returned]
        self.output = parts.pop(_last_array(parts) if self._takes_last else 0)
        return parts if isinstance(self._returned, tuple) else ()

    def _is_several(self) -> bool:
        return isinstance(self._returned, tuple) or _is_list_of_unlike_arrays(self._returned)

    @property
    def may_be_the_last(self) -> bool:
        """Whether forward returned several arrays, such as those of all layers, of which the last is the output."""
        return self._is_several() and _last_array(self._returned) > 0

    def _in_order(self, loss: Callable[..., Any], targets: Any, given: Mapping[str, Any]) -> list[Any]:
        """The arguments of a loss in the order of its names: the output, then the targets, if they do not tell."""
        if loss is not self._asked:  # every evaluation is of the same one, and its signature takes long to read
            spec = positional(loss)
            self._wanted = [] if spec is None else spec[0]
            self._targets_first = names.roles_in_loss(self._wanted) == [names.TARGET, names.PREDICTION]
            self._wants_all, self._asked = _is_of_the_last(loss), loss
        told = [name for name in self._wanted[:2] if name in self._names and names.role_in_loss(name) != names.TARGET]
        output = self._result(self._names.index(told[0])) if len(told) == 1 and self._is_several() else self.output
        if isinstance(output, list) and output and all(isinstance(one, (int, float)) for one in output):
            output = np.asarray(output, np.float64)  # as arithmetic wants it
        output = self._returned if self._wants_all and self._is_list_of_all() else output
        first_two = [targets, output] if self._targets_first else [output, targets]
        return [*first_two, *(given[name] for name in self._wanted[2:] if name in given)]

    def handed_on(self, gradient: Callable[..., Any]) -> HandedOn:
        """The network's backward pass from the gradient of the loss; with a learning rate, if it takes one beside that.

        TypeError if nothing gives that gradient. It is what the loss has returned, or else what its object or the
        function beside it gives, called as its own.
        """
        rest = (positional(gradient) or ([], []))[0][1:]
        rates = rest if rates_in(rest) == rest else []

        def backward(*given: Any) -> Any:
            of_output = self._of_output if self._of_output is not None else self._gradient_beside()
            if of_output is None:
                raise TypeError("the loss returns no gradient")
            return gradient(of_output, *given)

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return HandedOn(backward, inspect.Signature([inspect.Parameter(name, kind) for name in rates]))

    @property
    def has_gradient(self) -> bool:
        """Whether the loss has a gradient of its own: in its object, beside it, or returned with the value."""
        return self._own_gradient() is not None or number_returned(self._loss) == 2

    def _gradient_beside(self) -> Any:
        """What the loss's own gradient gives for the output and the targets; None where it has none."""
        if (found := self._own_gradient()) is None:
            return None
        if takes(found, 2):
            return found(*self._in_order(found, self._targets, {}))
        return found() if takes(found, 0) else None

    def _own_gradient(self) -> Any:
        thing, own = getattr(self._loss, "__self__", None), getattr(self._loss, "__name__", "")
        network = getattr(getattr(self._forward, "func", self._forward), "__self__", None)
        if network is not None and thing is None and getattr(network, own, None) is self._loss:
            thing = network  # a static method
        if thing is None and not inspect.isroutine(self._loss) and not isinstance(self._loss, partial):
            thing = self._loss  # an object that is called
        if thing is None:
            around = getattr(self._loss, "__globals__", {})
            found = next((around[name] for name in around if own and is_derived(name, own)), None)
        elif thing is network:
            found = gradient_by_output(network, self._loss)
        else:
            found = names.derived(thing, self._loss) or names.method(thing, names.LOSS_GRADIENTS)
            found = found or names.passes(thing)[1]
        return found if callable(found) and found != self._loss else None

    def given_output(self, gradient: Callable[..., Any]) -> Callable[..., Any]:
        """A gradient function that wants the output of the forward pass, as one that gets it by itself.

        And whatever else forward has returned, where its source has the same name for it, and the number of samples.
        Where its own source names what it returns after the arguments of forward, as dW1, they have those names.
        """
        spec = positional(gradient)
        wanted = [] if spec is None else spec[0]
        free = [name for name in wanted if name not in self._named and names.role(name) == names.UNKNOWN]
        found: dict[str, Callable[[], Any]] = {}
        for name in free:
            if name in self._names and names.role_in_loss(name) != names.TARGET:
                found[name] = partial(self._result, self._names.index(name))
            elif name in _COUNTS:
                found[name] = self._samples
            elif names.plain(name) in names.HELD_LOSSES and hasattr(self._loss, "__self__"):
                found[name] = partial(getattr, self._loss, "__self__")  # the object of which it is a method
        rest = [name for name in free if name not in found and names.role_in_loss(name) != names.TARGET]
        without_name = [place for place, name in enumerate(self._names) if not name]
        if len(rest) == len(without_name) == 1 and not is_prediction(rest[0]):
            found[rest[0]] = partial(self._result, without_name[0])  # what stands there as it is computed
        has_targets = any(names.role_in_loss(name) == names.TARGET for name in wanted)
        errors = [name for name in free if _ERROR.fullmatch(names.plain(name)) and not has_targets]
        if len(errors) == 1:
            found[errors[0]] = self._error
        predictions = [name for name in free if name not in found and is_prediction(name) and not is_data(name)]
        # What a step of training is given beside the inputs are the targets, also where it calls them outputs.
        trains = names.plain(getattr(gradient, "__name__", "")) in names.TRAINS
        is_for_targets = trains and [*self._named, *predictions] == wanted
        if len(predictions) == 1 and not is_for_targets:
            found[predictions[0]] = self._whole
        of = returned_names(gradient)
        told = len(of) > 1 and all(max(names.is_gradient_of(g, name) for name in self._named) > 0.5 for g in of)
        if not found and not told:
            return gradient
        others = [p for name, p in inspect.signature(gradient).parameters.items() if name not in found]
        left = [name for name in wanted if name not in found]

        def with_output(*arguments: Any) -> Any:
            given = dict(zip(left, arguments, strict=False)) | {name: get() for name, get in found.items()}
            gradients = gradient(*(given[name] for name in wanted), *arguments[len(left) :])
            return dict(zip(of, gradients, strict=True)) if told else gradients

        with_output.__name__ = getattr(gradient, "__name__", "gradient")
        return Dressed(with_output, inspect.signature(gradient).replace(parameters=others))

    def _result(self, place: int) -> Any:
        return self._returned[place]

    def output_for(self, loss: Callable[..., Any]) -> Any:
        """What a loss takes: the output, or the list of all activations, of which it takes the last by itself."""
        return self._returned if self._is_list_of_all() and _is_of_the_last(loss) else self.output

    def _is_list_of_all(self) -> bool:
        return isinstance(self._returned, list) and self._is_several()

    def _whole(self) -> Any:
        """The output, or the list of all activations of which it is the last."""
        return self._returned if self._takes_last and isinstance(self._returned, list) else self.output

    def _error(self) -> Any:
        """What a backward pass is given that takes no targets, but by how much the output is off."""
        self.gives_error = True
        return (self.output - np.reshape(self._targets, np.shape(self.output))) * self.sign_of_error

    def _samples(self) -> int:
        return number_of_samples(self.inputs[0], self.output)


def _is_of_the_last(loss: Any) -> bool:
    """Whether a loss takes a list of activations, and the last of one of its arguments, as ``activations[-1]``."""
    wanted = (positional(loss) or ([], []))[0][:2]
    indexed = [node for node in ast.walk(source_tree(loss)) if isinstance(node, ast.Subscript)]
    lasts = [node.value for node in indexed if ast.unparse(node.slice) == "-1"]
    found = {node.id for node in lasts if isinstance(node, ast.Name)} & set(wanted)
    return any(names.role_in_loss(name) != names.TARGET for name in found)


def is_prediction(name: str) -> bool:
    """Whether an argument is called as the output of a network is."""
    return names.role_in_loss(name) == names.PREDICTION


# What a gradient function may call the difference of output and targets.
_ERROR = re.compile(r"e|ei|errs?|errors?|diff|difference")

# What a gradient function may call the number of samples.
_COUNTS = ("m", "n", "batch_size", "n_samples", "num_samples", "n_examples", "num_examples", "m_samples")


def number_of_samples(x: Any, output: Any) -> int:
    """Those of a batch and what a network, or whoever labelled it, has made of it: in rows, or in columns."""
    a, b = np.shape(x), np.shape(output)
    in_columns = len(a) == len(b) == 2 and a[0] != b[0] and a[1] == b[1]
    return a[1] if in_columns else max(a[:1] or (1,))


def _last_array(parts: Sequence[Any]) -> int:
    """The place of the last of the matrices with which what forward returned begins."""
    others = (i for i, part in enumerate(parts) if not (isinstance(part, np.ndarray) and part.ndim > 1))
    return max(next(others, len(parts)) - 1, 0)


def _is_list_of_unlike_arrays(output: Any) -> bool:
    """Whether it is a list of an output and other things, not one of the outputs of samples."""
    return isinstance(output, list) and len({np.shape(part) for part in output}) > 1


def as_cost(loss: Any) -> Any:
    """A loss that is given as an object, ``loss=MSE()``, as the method of it that computes it; a function as it is."""
    if loss is None or inspect.isroutine(loss) or isinstance(loss, partial):
        return loss
    return names.method(loss, names.LOSSES) or names.passes(loss)[0] or loss


def held_loss(target: Any) -> Callable[..., Any] | None:
    """The loss that a network holds as an object of its own or a function, such as ``self.criterion``; None without.

    It may be that of its class, as a property or a static method.
    """
    own = getattr(target, "__dict__", {})
    of_class = {name: found for name, found in names.callables(target) if name not in own}
    for name, held in (own | of_class).items():
        if names.plain(name) not in names.HELD_LOSSES or held is None or inspect.ismethod(held):
            continue
        found = held if inspect.isfunction(held) else names.method(held, names.LOSSES) or names.passes(held)[0]
        if found is not None and len((positional(found) or ([], []))[0]) == 2:
            return found
    return None


def method_of_usual_loss(target: Any) -> Callable[..., Any] | None:
    """The one method of an object that is called as a usual loss, ``cross_entropy(X, y)``, of data and targets."""
    found = [loss for name, loss in names.callables(target) if names.is_usual_loss(name) and inspect.ismethod(loss)]
    wanted = [(loss, (positional(loss) or ([], []))[0]) for loss in found]
    found = [loss for loss, own in wanted if len(own) == 2 and is_data(own[0])]
    return found[0] if len(found) == 1 else None


def method_of_loss(target: Any, number: int = 2) -> Callable[..., Any] | None:
    """The one method of an object that is called as a loss, such as ``cross_entropy_loss``, of targets and output.

    Or of so many, as ``td_loss(states, actions, targets)``.
    """
    public = [(name, loss) for name, loss in names.callables(target) if not name.startswith("_")]
    public = [(name, loss) for name, loss in public if len((positional(loss) or ([], []))[0]) == number]
    found = [loss for name, loss in public if names.is_loss(name)]
    # What is called as a usual one may be printed alone, unless its derivative stands beside it.
    found = found or [
        loss
        for name, loss in public
        if (names.is_usual_loss(name) or names.plain(name) in names.HELD_LOSSES)
        and names.derived(target, loss) is not None
    ]
    return found[0] if len(found) == 1 else None
