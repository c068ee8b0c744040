"""Where the backward pass of a network goes wrong first."""

from __future__ import annotations

import re
from collections.abc import Sequence

from numpy_nn.gradcheck.report import WRONG, Entry


def first_wrong(entries: Sequence[Entry], inputs: Sequence[str] = ("input",)) -> str:
    """A sentence on which gradient of a network is wrong first, counted from the loss back; "" if there is none.

    ``entries`` are in the order in which forward uses the arrays; the names in ``inputs`` come before all others,
    wherever they stand. Gradients that backward computes later can be wrong as a consequence. With a single layer there
    is no order to speak of.
    """
    ordered = sorted(entries, key=lambda entry: entry.name not in inputs)
    layers = [layer_of(entry.name) for entry in ordered]
    own = {layer for layer, entry in zip(layers, ordered, strict=True) if entry.name not in inputs}
    if len(own) < 2 or all(entry.verdict != WRONG for entry in ordered):
        return ""
    wrong = [(layer, entry.name) for layer, entry in zip(layers, ordered, strict=True) if entry.verdict == WRONG]
    last = wrong[-1][0]
    names = [name for layer, name in wrong if layer == last]
    verb = "is that" if len(names) == 1 else "are those"
    sentence = f"from the loss back, the first wrong gradient{'s' * (len(names) > 1)} {verb} of {_listed(names)}"
    later = [name for layer, name in wrong if layer != last]
    if later:
        sentence += f"; what comes after {'it' if len(names) == 1 else 'them'} ({_shown(later)}) can be a consequence"
        if last != layers[-1] and layers.count(last) == len(names):
            # A layer all of whose gradients are wrong may be right itself, and be handed a wrong gradient.
            sentence += "; if its own formula is right, the gradient that reaches it from the loss is wrong"
        return sentence
    if layers[0] == last:
        return f"{sentence}; what is nearer to the loss is right"
    return f"{sentence}; what backward computes after {'it' if len(names) == 1 else 'them'} is right"


def layer_of(name: str) -> str:
    """The layer in the name of an array: what stands before the last dot, or the last number, as in params['W1']."""
    if "." in name:
        return name.rsplit(".", 1)[0]
    numbers = re.findall(r"\d+", name)
    return numbers[-1] if numbers else name if name == "input" else ""


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _shown(names: Sequence[str]) -> str:
    """The names, those of one layer together as ``layer.*``; the one nearest to the loss first."""
    shown: list[str] = []
    for name in reversed(names):
        layer = layer_of(name)
        several = "." in name and sum(layer_of(other) == layer for other in names) > 1
        shown.append(f"{layer}.*" if several else name)
    return ", ".join(dict.fromkeys(shown))
