"""Networks written as lists of layers, lists of neurons, each a dict in which the passes leave what they compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from numpy_nn.subjects import signatures
from numpy_nn.subjects.running import Patience, Running, SubjectError


def refuse_neurons(forward: Any, backward: Any, inputs: Sequence[Any], targets: Any) -> None:
    """TypeError, with the lines that check it, for two passes that hand things on in the dicts of such a network."""
    network = next((one for one in inputs if _is_of_neurons(one)), None)
    if network is None or backward is None:
        return
    mine = deepcopy(network)
    own = [one if one is not network else mine for one in inputs]
    before = _keys(mine)
    outputs = _new_key(mine, before, lambda: forward(*own))
    if not outputs:
        return
    given, expected = ((signatures.positional(f) or ([], []))[0] for f in (forward, backward))
    first = expected[0] if expected else "network"
    deltas = _new_key(mine, before | {outputs}, lambda: backward(mine, targets)) if len(expected) == 2 else ""
    label, other = (getattr(f, "__name__", "f") for f in (forward, backward))
    weights = next(key for key, value in network[0][0].items() if _is_of_floats(value))
    arrays = f"""arrays={{
        f"{first}[{{i}}][{{j}}]": ({first}, f"[{{i}}][{{j}}]['{weights}']")
        for i, layer in enumerate({first}) for j in range(len(layer))
    }}"""
    if deltas and len(given) == 2 and given[0] == first:
        row, target = given[1], expected[1]
        lines = _WITH_DELTAS.format_map(
            {"f": label, "g": other, "net": first, "row": row, "target": target, "weights": weights}
            | {"output": outputs, "delta": deltas, "arrays": arrays}
        )
    else:
        lines = _OTHERWISE.format_map({"f": label, "g": other, "net": first, "arrays": arrays})
    raise TypeError(
        f"{label}: it keeps its {outputs!r} in {first}, where {other} looks for it: give the arrays by name:\n{lines}"
    )


_WITH_DELTAS = """
    def run():  # the loss that {g} is meant for
        return 0.5 * sum((o - e) ** 2 for o, e in zip({f}({net}, {row}), {target}))

    def grads():  # of the weights of each neuron, its bias last; with a minus if the code adds its steps
        {f}({net}, {row})
        {g}({net}, {target})
        inputs = [list({row}), *([n["{output}"] for n in layer] for layer in {net})]
        return [
            n["{delta}"] * np.append(x[: len(n["{weights}"]) - 1], 1.0)
            for x, layer in zip(inputs, {net}) for n in layer
        ]

    check_gradients(run, grads, {arrays})"""
_OTHERWISE = """
    def run():  # the loss, of {f}({net}, ...)
        return ...

    def grads():  # a list of the gradients of these arrays, after {f} and {g}
        return ...

    check_gradients(run, grads, {arrays})"""


def _is_of_neurons(value: Any) -> bool:
    """Whether it is a list of lists of dicts, of which the first holds a list or an array of floats."""
    listed = isinstance(value, list) and bool(value) and all(isinstance(layer, list) and layer for layer in value)
    if not listed or not all(isinstance(neuron, dict) for layer in value for neuron in layer):
        return False
    return any(map(_is_of_floats, value[0][0].values()))


def _is_of_floats(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f"
    return isinstance(value, list) and bool(value) and all(isinstance(one, float) for one in value)


def _keys(network: Sequence[Sequence[dict[Any, Any]]]) -> set[Any]:
    return {key for layer in network for neuron in layer for key in neuron}


def _new_key(network: Any, before: set[Any], call: Callable[[], Any]) -> str:
    """The one key that a call adds to the neurons; empty where it adds none or several, or fails."""
    try:
        with Running("neurons", Patience()):
            call()
    except SubjectError:
        return ""
    found = _keys(network) - before
    return str(next(iter(found))) if len(found) == 1 else ""
