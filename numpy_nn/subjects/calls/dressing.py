"""Functions dressed so that they can be called as others are: those that want a flag, a setting."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial, wraps
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.arrays.nested import copied
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.rates import rates_in
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.returned import outputs_before_loss, returned_names
from numpy_nn.subjects.source.roles import is_learned
from numpy_nn.subjects.state import Snapshot


class Dressed:
    """A function that shows the signature of another: ``inspect.signature`` looks up ``__signature__``."""

    func: Any
    steps_of: Any  # of one that tells the steps of another: that

    def __init__(self, function: Callable[..., Any], signature: inspect.Signature) -> None:
        self._function, self.__signature__ = function, signature
        self.__name__ = getattr(function, "__name__", "")

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._function(*arguments, **named)


class Told(Dressed):
    """The derivative that a function gives if told to, of an argument that has one name for both."""

    def of_output(self) -> Dressed | None:
        """The same as a function of the output, as one that calls it ``f(f(x), True)`` means it; None of several.

        What it takes beside that by default stays at its default.
        """
        own = [one for one in self.__signature__.parameters.values() if one.default is one.empty]
        if len(own) != 1:
            return None
        return Dressed(self._function, self.__signature__.replace(parameters=[own[0].replace(name="output")]))


def with_input_kept(target: Any, forward: Any, x: Any) -> Any:
    """A forward pass of an object that has a place for its input, and has it filled by what calls it, as ``fit`` does.

    Its backward pass would not find it otherwise. Any other as it is.
    """
    empty = [name for name, value in attributes(target).items() if value is None and names.plain(name) in _INPUTS]
    if forward is None or len(empty) != 1:
        return forward
    before = Snapshot(target)
    try:
        with Running(type(target).__name__, Patience()):
            forward(x.copy() if isinstance(x, np.ndarray) else x)
        stays_empty = getattr(target, empty[0]) is None
    except SubjectError:
        # It may want the very thing that is asked here. It is then taken as it is, and called again at once, where what
        # it raises is told.
        stays_empty = False
    before.restore()

    def keeping(*arguments: Any) -> Any:
        setattr(target, empty[0], arguments[0])
        return forward(*arguments)

    return Dressed(keeping, inspect.signature(forward)) if stays_empty else forward


_INPUTS = ("input", "inputs", "x", "input_data")


def in_training(forward: Any, number: int = 1) -> Any:
    """A forward pass that would not be that of training unless it is told: told so; any other as it is.

    A backward pass is that of training, and of dropout and batch norm as they are there. What is among the ``number``
    of arguments that are given is told already.
    """
    spec = None if forward is None else positional(forward)
    optional = [] if spec is None else spec[1][max(0, number - len(spec[0])) :]
    called = {name: names.plain(name) for name in optional}
    flags: dict[str, Any] = {name: True for name in optional if _KEEPS.fullmatch(called[name])}
    flags |= {name: names.SETTINGS[called[name]] for name in optional if called[name] in names.SETTINGS}
    defaults = signatures.signature(forward).parameters if flags else {}
    flags = {name: value for name, value in flags.items() if defaults[name].default is False}
    return partial(forward, **flags) if flags else forward


# Arguments by which a pass is told to keep what its backward pass reads; axes of length 1 are none of that.
_KEEPS = re.compile(r"(?!keep_dims?$)(save|keep|store|cache|retain|remember)(_\w+)?")


def with_derivative(function: Any) -> tuple[Any, Any] | None:
    """Of a function that gives its derivative if told to, as ``f(x, derivative=True)``: both, as two functions."""
    spec = positional(function)
    flags = [] if spec is None else [name for name in spec[1] if names.plain(name) in names.DERIVATIVE_FLAGS]
    own = signatures.signature(function) if len(flags) == 1 else inspect.Signature()
    if len(flags) != 1 or own.parameters[flags[0]].default is not False:
        return None
    # What is called as an output is, and None by default, is for the derivative: f(z, a=None, deriv=False).
    outputs = [n for n, p in own.parameters.items() if p.default is None and names.plain(n) in names.OUTPUTS]
    rest = own.replace(parameters=[p for p in own.parameters.values() if p.name not in (flags[0], *outputs)])
    forward, told = (partial(function, **{flags[0]: flag}) for flag in (False, True))
    if len(outputs) != 1:
        return Dressed(forward, rest), Told(told, rest)

    def of_both(*arguments: Any) -> Any:
        return told(*arguments, **{outputs[0]: forward(*map(copied, arguments))})

    return Dressed(forward, rest), Told(of_both, rest)


def with_gradients_together(backward: Any, result: Any, inputs: Sequence[str]) -> Any:
    """A backward pass that may take the gradients of several outputs in one tuple, as one that takes each; else None.

    The tuple is of the kind that forward returned. ``backward(dout)`` may as well be that of the first output alone.
    Of several arguments it is the only one that is no input of forward, or else the only one called a gradient.
    """
    spec = None if backward is None else positional(backward)
    if spec is None or not isinstance(result, tuple) or len(result) < 2:
        return None
    others = [name for name in spec[0] if name not in inputs]
    named = [name for name in others if names.role(name) == names.GRAD]
    if len(one := others if len(others) == 1 else named) != 1:
        return None
    if not all(isinstance(part, np.ndarray) and part.dtype.kind == "f" for part in result):
        return None
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    each = [f"d_{place}" for place in range(1, len(result) + 1)]
    at = spec[0].index(one[0])
    wanted = [*spec[0][:at], *each, *spec[0][at + 1 :]]

    def together(*arguments: Any) -> Any:
        gradients = arguments[at : at + len(each)]
        gradients = type(result)(*gradients) if hasattr(result, "_fields") else gradients
        return backward(*arguments[:at], gradients, *arguments[at + len(each) :])

    return Dressed(together, inspect.Signature([inspect.Parameter(name, kind) for name in wanted]))


def with_settings(backward: Any, given: Mapping[str, Any], forward: Callable[..., Any] | None = None) -> Any:
    """A backward pass with the settings that forward is given and it has under the same names, with defaults.

    A ``mode="max"`` would otherwise be its default, whatever forward was told. What forward has by default and backward
    must be given, as in ``elu(x, alpha=1.0)`` and ``elu_backward(dout, x, alpha)``, is forward's default.
    """
    backward = _with_own_defaults(backward, forward, given)
    spec = None if backward is None else positional(backward)
    own = {} if spec is None else {name: given[name] for name in spec[1] if name in given}
    shared = {name: value for name, value in own.items() if _is_setting(value) and not _is_learned(value)}
    learned = [name for name, value in own.items() if _is_learned(value)]
    if learned and inspect.isroutine(backward) and not inspect.ismethod(backward):
        backward = _with_required(backward, learned)
    return partial(backward, **shared) if shared else backward


def given_by_name(function: Callable[..., Any], values: Mapping[str, Any]) -> Dressed:
    """A function of the other arguments, wherever those with these values stand among them."""
    own = signatures.signature(function)
    rest = own.replace(parameters=[one for name, one in own.parameters.items() if name not in values])

    def given(*arguments: Any, **named: Any) -> Any:
        return function(**rest.bind(*arguments, **named).arguments, **values)

    given.__name__ = getattr(function, "__name__", "given")
    dressed = Dressed(given, rest)
    dressed.func = function  # whose source tells what it returns
    return dressed


def with_output_kept(target: Any, backward: Any) -> Dressed | None:
    """The backward pass of a loss of scores, given the output that its object keeps where it asks for a gradient.

    So is that of a softmax and a cross-entropy in one called, ``backward(loss.output, y)``. None if it asks for none.
    """
    spec = None if backward is None else positional(backward)
    if spec is None or len(spec[0]) < 2 or names.role(spec[0][0]) != names.GRAD:
        return None
    parameters = list(signatures.signature(backward).parameters.values())

    def of_output(*arguments: Any, **named: Any) -> Any:
        return backward(names.kept(target, names.OUTPUTS), *arguments, **named)

    of_output.__name__ = getattr(backward, "__name__", "backward")
    dressed = Dressed(of_output, inspect.Signature(parameters[1:]))
    dressed.func = backward
    return dressed


def with_data_given(forward: Any, backward: Any, number: int) -> Any:
    """A backward pass that has data of a script by default, ``backward(X=X, y=y)``, as one that wants them.

    What is checked is that of the data given, which are so many first arguments of forward, and not of those.
    """
    spec, own = positional(forward), positional(backward)
    if spec is None or own is None or not own[1]:
        return backward
    parameters = signatures.signature(backward).parameters
    wanted = [
        name
        for name in own[1]
        if isinstance(parameters[name].default, np.ndarray)
        and (name in [*spec[0], *spec[1]][:number] or names.role_in_loss(name) == names.TARGET)
    ]
    if wanted != own[1][: len(wanted)] or not wanted:
        return backward
    changed = [one.replace(default=one.empty) if name in wanted else one for name, one in parameters.items()]
    dressed = Dressed(backward, signatures.signature(backward).replace(parameters=changed))
    dressed.func = backward  # whose source tells what it returns
    return dressed


def _with_own_defaults(backward: Any, forward: Callable[..., Any] | None, given: Collection[str]) -> Any:
    """A backward pass that has the settings which forward has by default: forward's, or its own if it has one.

    A number called ``delta`` or ``g`` is no gradient where forward has one by default under that name, if backward has
    one too or takes it last.
    """
    spec, own = (None if f is None else positional(f) for f in (forward, backward))
    if forward is None or spec is None or own is None:
        return backward
    of_forward, of_backward = signatures.signature(forward).parameters, signatures.signature(backward).parameters
    defaults = {name: of_forward[name].default for name in spec[1] if name not in given}
    settings = {name: value for name, value in defaults.items() if isinstance(value, _SETTINGS)}
    numbers = {n for n, v in settings.items() if type(v) in (int, float) and names.role(n) == names.GRAD}
    required = [n for n in own[0] if n in settings and (names.role(n) != names.GRAD or n == own[0][-1])]
    settled = {n: settings[n] for n in required} | {n: of_backward[n].default for n in own[1] if n in numbers}
    return given_by_name(backward, settled) if settled else backward


def _is_learned(value: Any) -> bool:
    """Whether it is an array of the check, or a number as one: moved in forward, it has to move in backward too."""
    return isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"


def _with_required(function: Any, required: Sequence[str]) -> Any:
    """A function to which these arguments, which have defaults, are given as those without are, after them."""
    signature = signatures.signature(function)
    before = (positional(function) or ([], []))[0]
    parameters = [p.replace(default=p.empty) if p.name in required else p for p in signature.parameters.values()]

    def given(*arguments: Any, **named: Any) -> Any:
        rest = dict(zip(required, arguments[len(before) :], strict=False))
        return function(*arguments[: len(before)], **rest, **named)

    order = [*before, *required]
    ordered = sorted(parameters, key=lambda p: order.index(p.name) if p.name in order else len(order) + (p.kind > 1))
    dressed = Dressed(given, signature.replace(parameters=ordered))
    dressed.func = function  # whose source tells what it returns
    return dressed


def _is_setting(value: Any) -> bool:
    """Whether it is none that is differentiated: also indices, labels and masks."""
    return isinstance(value, _SETTINGS) or (isinstance(value, np.ndarray) and value.dtype.kind in "iub")


_SETTINGS = (bool, int, float, str, dict, tuple)


def with_keywords(function: Any) -> Any:
    """A function whose arguments after a star, without defaults, are given as those before it; any other as it is."""
    try:
        signature = inspect.signature(function) if inspect.isfunction(function) else inspect.Signature()
    except (TypeError, ValueError):
        return function
    own = list(signature.parameters.values())
    after = [p.name for p in own if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if not after or any(p.kind is p.VAR_POSITIONAL for p in own):
        return function
    before = [p for p in own if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]

    @wraps(function)
    def given(*arguments: Any, **named: Any) -> Any:
        return function(*arguments[: len(before)], **dict(zip(after, arguments[len(before) :], strict=False)), **named)

    moved = [p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in own if p.name in after]
    # It stays a function, with a name and a module: not Dressed. mypy does not know of the attribute.
    given.__signature__ = signature.replace(parameters=[*before, *moved])  # type: ignore[attr-defined]
    return given


def with_steps_undone(function: Any, given: Mapping[str, Any]) -> Any:
    """A function that returns (loss, w - rate * gradient) as one that returns the gradient; None if it has no rate."""
    spec = positional(function) or ([], [])
    rates = rates_in((*spec[0], *spec[1]))
    rate = given.get(rates[0], signatures.signature(function).parameters[rates[0]].default) if len(rates) == 1 else None
    if not isinstance(rate, (int, float)) or rate == 0:
        return None  # an array called alpha is no rate

    @wraps(function)
    def gradients(*arguments: Any) -> Any:
        left = [np.array(one) for one in arguments if isinstance(one, (np.ndarray, np.floating))]
        value, *new = function(*arguments)
        found = []
        for part in new:
            index = next((i for i, old in enumerate(left) if old.shape == np.shape(part)), None)
            if index is None:
                raise TypeError("returned is no new value of an argument")
            found.append((left.pop(index) - part) / rate)
        return (value, *found)

    return gradients


def by_columns(function: Any, numbers: Sequence[str]) -> Any:
    """A Jacobian with a column for each of these numbers, as the derivatives by each, by their names."""

    @wraps(function)
    def derivatives(*arguments: Any) -> Any:
        columns = np.moveaxis(np.asarray(function(*arguments)), -1, 0)
        return {f"d{name}": column for name, column in zip(numbers, columns, strict=True)}

    return derivatives


def is_of_tangents(function: Any) -> bool:
    """Whether a function is called as one that takes a point and a tangent, ``f_jvp(x, v)``, and does so."""
    word = getattr(function, "__name__", "")
    spec = positional(function) if "jvp" in word or "tangent" in word or "pushforward" in word else None
    return spec is not None and len(spec[0]) == 2


def jacobian_of_tangents(function: Any) -> Any:
    """The Jacobian, of which a function gives the product with any tangent: column by column."""

    def jacobian(x: Any) -> Any:
        basis = np.eye(np.size(x)).reshape(-1, *np.shape(x))
        columns = np.stack([np.asarray(function(x, tangent)) for tangent in basis], axis=-1)
        return columns.reshape(*columns.shape[:-1], *np.shape(x))

    return jacobian


def value_first(function: Any) -> Any:
    """A function that may return (gradients, value): as one that returns the value first, as most do.

    Or one that returns an output before what it calls a cost and gradients, which is left out. What it calls as weights
    are, as in ``return w, b``, are no gradients.
    """
    before, own = outputs_before_loss(function), returned_names(function)
    has_weights = bool(own) and is_learned(own[0]) and is_learned(own[-1])

    @wraps(function)
    def returning(*arguments: Any) -> Any:
        result = function(*arguments)
        if before and isinstance(result, tuple):
            return result[before:]
        is_pair = isinstance(result, tuple) and len(result) == 2 and not has_weights
        if is_pair and isinstance(result[0], tuple) and result[0] and _is_number(result[0][0]):
            return result[0][0], result[1]  # ((loss, aux), gradients)
        if is_pair and _is_number(result[1]) and _is_of_arrays(result[0]):
            return result[1], result[0]
        return result

    return returning


def taken_apart(function: Any) -> tuple[Any, Any]:
    """Of a function that returns (values, gradients) two that return either, of the same arguments."""

    @wraps(function)
    def values(*arguments: Any) -> Any:
        return function(*arguments)[0]

    @wraps(function)
    def gradients(*arguments: Any) -> Any:
        return function(*arguments)[1]

    return values, gradients


def _is_number(thing: Any) -> bool:
    return isinstance(thing, (float, np.floating)) or (isinstance(thing, np.ndarray) and thing.ndim == 0)


def _is_of_arrays(thing: Any) -> bool:
    return isinstance(thing, (Mapping, list, tuple)) or (isinstance(thing, np.ndarray) and thing.ndim > 0)
