"""Graphs of nodes, listed in an order in which each comes after those that it is made of, as in Miniflow.

A node has two passes that take nothing: forward reads the values of the nodes before it and sets its own, backward the
gradients of those after it. What is differentiated are the values of the leaves, which no forward pass sets.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.arguments import takes
from numpy_nn.subjects.libraries.live import LiveSubject
from numpy_nn.subjects.names import plain
from numpy_nn.subjects.running import Patience, Running
from numpy_nn.subjects.state import Snapshot

_VALUES = (*names.words("value val data v"), *names.OUTPUTS)


def nodes_subject(target: Any) -> LiveSubject | None:
    """The subject of a list of nodes, the last of which has the output; None of anything else.

    TypeError where the nodes keep no value, or no gradient, that is found.
    """
    if not is_graph(target):
        return None
    before = Snapshot(target)
    try:
        with Running("graph", Patience()):
            _forward(target)
            value = _common(target, lambda held: isinstance(held, (np.ndarray, float, np.floating)), _VALUES)
            leaves = [node for node in target if _is_leaf(node, value)]
            _backward(target)
            gradient = _common(leaves, lambda held: isinstance(held, (Mapping, np.ndarray, float)), _GRADIENTS)
            without = [leaf for leaf in leaves if gradient and _gradient(leaf, gradient) is None]
    finally:
        before.restore()
    if not (value and gradient and leaves):
        missing = "a value" if not value else "leaves whose value is an array of floats" if not leaves else "a gradient"
        raise TypeError(
            f"target: expected nodes with {missing}, got a list of {type(target[-1]).__name__} and the like:\n"
            "    def run():\n        for node in graph:\n            node.forward()\n        return graph[-1].value\n\n"
            "    def grads():\n        for node in reversed(graph):\n            node.backward()\n"
            "        return [W.gradients[W], b.gradients[b]]\n\n"
            '    check_gradients(run, grads, arrays={"W": (W, "value"), "b": (b, "value")})'
        )
    named = dict(zip(_names(leaves, target), leaves, strict=True))

    def run() -> Any:
        _forward(target)
        return getattr(target[-1], value)

    def grads() -> dict[str, Any]:
        _backward(target)
        return {name: _gradient(leaf, gradient) for name, leaf in named.items()}

    arrays = {name: (leaf, value) for name, leaf in named.items()}
    unchecked = [name for name, leaf in named.items() if any(leaf is one for one in without)]
    for name in unchecked if len(unchecked) < len(named) else ():
        del named[name], arrays[name]
    subject = LiveSubject(run, grads, arrays, label=type(target[-1]).__name__)
    subject.unchecked += [(name, "unchecked", 0) for name in unchecked if name not in arrays]
    return subject


_GRADIENTS = (*names.GRADIENT_CONTAINERS, *names.words("grad_value dvalue d"), *names.INPUT_GRADIENTS)


def _gradient(leaf: Any, name: str) -> Any:
    kept = getattr(leaf, name)
    return kept.get(leaf) if isinstance(kept, Mapping) else kept


def is_graph(target: Any) -> bool:
    """Whether it is a list of objects whose passes take nothing."""
    return isinstance(target, (list, tuple)) and len(target) > 1 and all(map(is_node, target))


def is_node(thing: Any) -> bool:
    """Whether it is an object with both passes, which can be called with nothing."""
    passes = (None, None) if isinstance(thing, type) else names.passes(thing)
    return all(one is not None and takes(one, 0) for one in passes)


def _forward(nodes: Sequence[Any]) -> None:
    for node in nodes:
        forward = names.passes(node)[0]
        assert forward is not None
        forward()


def _backward(nodes: Sequence[Any]) -> None:
    for node in reversed(nodes):
        backward = names.passes(node)[1]
        assert backward is not None
        backward()


def _common(nodes: Sequence[Any], fits: Any, candidates: Sequence[str]) -> str:
    """The first of these names under which every node has something that fits; empty if there is none."""
    found = [{plain(name): name for name, held in attributes(node).items() if fits(held)} for node in nodes]
    shared = [name for name in candidates if found and all(name in own for own in found)]
    return found[0][shared[0]] if shared else ""


def _is_leaf(node: Any, value: str) -> bool:
    """Whether its value is of floats and its forward pass leaves it as it is."""
    own = np.asarray(getattr(node, value)) if value else np.zeros(0, int)
    if own.dtype.kind != "f" or own.size == 0:
        return False
    moved = own + 1.0
    setattr(node, value, moved if own.ndim else float(moved))
    forward = names.passes(node)[0]
    assert forward is not None
    forward()
    stays = np.array_equal(getattr(node, value), moved)
    setattr(node, value, own)
    return stays


def _names(leaves: Sequence[Any], nodes: Sequence[Any]) -> list[str]:
    """What a module of the program calls these nodes, or their places in the list."""
    wanted = set(map(id, leaves))
    called: dict[int, str] = {}
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if id(value) in wanted and not name.startswith("_"):
                called.setdefault(id(value), name)
    places = {id(node): place for place, node in enumerate(nodes)}
    return [called.get(id(leaf), f"nodes[{places[id(leaf)]}]") for leaf in leaves]
