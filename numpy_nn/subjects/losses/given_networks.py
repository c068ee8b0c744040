"""Functions that train a network which they are given, as ``train(net, X, y, epochs)``: methods of that network.

It may be a list of layers.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.chains import LayersInOrder, flat_layers
from numpy_nn.subjects.calls.owners import is_object_with_arrays
from numpy_nn.subjects.source.loops import loop_of_training
from numpy_nn.subjects.source.recompiled import recompiled
from numpy_nn.subjects.source.roles import is_of_validation
from numpy_nn.subjects.state import in_float64


class Trained(NamedTuple):
    """A copy of a network that has the function as a method, and the data and targets that this is given."""

    network: Any
    data: tuple[Any, ...]


def as_method_of_network(function: Any, given: Sequence[Any], *, in_a_loop: bool = True) -> Trained | None:
    """A function with a loop of training, one of whose arguments is a network, as the method ``train`` of that one.

    Or one that makes a step without a loop, if it need not be ``in_a_loop``, of a network that has no backward pass, or
    whose backward pass it calls: else that would be judged, and not the function. What it is given beside the network
    and arrays, such as an optimizer, a loss or a number of steps, are defaults of the method. None for any other
    function.
    """
    own = signatures.unwrapped(function)
    if not inspect.isfunction(own) or inspect.ismethod(function):
        return None
    if in_a_loop and loop_of_training(function) is None:
        return None
    wanted = list(inspect.signature(own).parameters)[: len(given)]
    likely = {name: _passes_of(one) for name, one in zip(wanted, given, strict=False)}
    # The function may have the backward pass of one that has none itself; a loss beside a network has both as well.
    networks = [name for name, number in likely.items() if number and number == max(likely.values())]
    data = [
        n for n, one in zip(wanted, given, strict=False) if isinstance(one, (np.ndarray, list)) and n not in networks
    ]
    if sum(not is_of_validation(name) for name in data) > 1:
        data = [name for name in data if not is_of_validation(name)]
    if len(wanted) < len(given) or len(networks) != 1 or len(data) < 2:
        return None
    called = dict(zip(wanted, given, strict=True))
    if not in_a_loop and likely[networks[0]] > 1 and not _calls_backward_of(own, called[networks[0]]):
        return None
    others = [name for name in wanted if name not in (*networks, *data)]
    copies = in_float64({name: called[name] for name in (*networks, *others)})
    network = copies.pop(networks[0])
    of_layers = isinstance(network, (list, tuple))
    if (method := _with_network_first(own, networks[0], data, copies, of_layers=of_layers)) is None:
        return None
    network = LayersInOrder(network) if of_layers else network
    # What it has to train by otherwise is not asked, but where the function calls it.
    trains = [name for name in dir(network) if names.plain(name) in (*names.TRAINS, *names.FITS)]
    unasked = dict.fromkeys(name for name in trains if name not in own.__code__.co_names)
    network.__class__ = type(own.__name__, (type(network),), {**unasked, "train": method, "__slots__": ()})
    for name, one in copies.items():
        kept = is_object_with_arrays(one) or (of_layers and names.plain(name) in names.HELD_LOSSES)
        if kept and name not in attributes(network) and hasattr(network, "__dict__"):
            setattr(network, name, one)  # where what it keeps from step to step is found, and put back; and its loss
    return Trained(network, tuple(called[name] for name in data))


def _passes_of(argument: Any) -> int:
    """How many passes an object with arrays has, of which one is a forward pass, or each layer; 0 of anything else."""
    if isinstance(argument, (list, tuple)):
        layers = flat_layers(argument)
        return 2 * (any(map(is_object_with_arrays, layers)) and all(None not in names.passes(one) for one in layers))
    forward, backward = names.passes(argument) if is_object_with_arrays(argument) else (None, None)
    return 0 if forward is None else 1 + (backward is not None)


def _calls_backward_of(function: FunctionType, network: Any) -> bool:
    backward = names.passes(network)[1]
    return getattr(backward, "__name__", "") in function.__code__.co_names


def _with_network_first(
    function: FunctionType, network: str, data: Sequence[str], others: Mapping[str, Any], *, of_layers: bool
) -> FunctionType | None:
    """The function with its arguments in this order, of which ``others`` have these defaults; None without source.

    One that wants a list ``of_layers`` takes that of the network.
    """
    own = inspect.signature(function).parameters
    defaults = {name: one.default for name, one in own.items() if one.default is not one.empty and name not in data}
    rest = {**others, **{name: value for name, value in defaults.items() if name not in others and name != network}}

    def change(tree: ast.FunctionDef) -> ast.AST:
        at = {one.arg: one for one in tree.args.args}
        tree.args.args = [at[name] for name in (network, *data, *rest)]
        tree.args.defaults = [ast.Constant(None)] * len(rest)
        tree.body = [*(ast.parse(f"{network} = {network}.layers").body if of_layers else []), *tree.body]
        return tree

    if any(one.kind is not one.POSITIONAL_OR_KEYWORD for one in own.values()) or len(own) != 1 + len(data) + len(rest):
        return None
    code = recompiled(function, change)
    if code is None:
        return None
    method = FunctionType(code, function.__globals__, "train", tuple(rest.values()), function.__closure__)
    method.__qualname__, method.__module__ = function.__qualname__, function.__module__
    return method
