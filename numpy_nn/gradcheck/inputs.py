"""Random arrays from words on the command line: ``5x4``, ``w=4x3``, ``ids=6:int10``, ``p=5x3:probabilities``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Drawn:
    """An array to draw: its name, if it has one, its shape, and of what kind its entries are."""

    name: str
    shape: tuple[int, ...]
    kind: str

    def draw(self, rng: np.random.Generator, scale: float = 1.0) -> Any:
        """The array."""
        if match := _INTEGERS.fullmatch(self.kind):
            return rng.integers(0, int(match[1]), self.shape)
        return scale * KINDS[self.kind][1](rng, self.shape)


_INTEGERS = re.compile(r"int(\d+)")

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]


def _probabilities(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.dirichlet(np.ones(shape[-1]), shape[:-1])


def _one_hot(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]


def _positive_definite(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    root = rng.standard_normal(shape)
    return root @ np.swapaxes(root, -1, -2) + np.eye(shape[-1])


KINDS: dict[str, tuple[str, Draw]] = {
    "normal": ("from N(0, 1)", lambda rng, shape: rng.standard_normal(shape)),
    "positive": ("their absolute values", lambda rng, shape: np.abs(rng.standard_normal(shape))),
    "unit": ("uniform in [0, 1]", lambda rng, shape: rng.random(shape)),
    "probabilities": ("rows that sum to 1", _probabilities),
    "onehot": ("rows with one 1", _one_hot),
    "binary": ("0 or 1", lambda rng, shape: rng.integers(0, 2, shape).astype(np.float64)),
    "definite": ("symmetric, positive definite", _positive_definite),
}


def drawn(text: str) -> Drawn:
    """The array that a word asks for. ValueError, with the forms there are, if it asks for none."""
    match = re.fullmatch(r"(?:([A-Za-z_]\w*)=)?(\d+(?:x\d+)*),?(?::(\w+))?", text.strip())
    kind = (match[3] or "normal") if match else ""
    shape = tuple(int(part) for part in match[2].split("x")) if match else ()
    known = kind in KINDS or (_INTEGERS.fullmatch(kind) is not None and int(kind[3:]) > 0)
    if match is None or min(shape, default=0) < 1 or not known:
        kinds = ", ".join([*KINDS, "int10"])
        raise ValueError(
            f"expected a shape such as 5x4, w=4x3, ids=6:int10 or p=5x3:probabilities ({kinds}), got {text!r}"
        )
    return Drawn(match[1] or "", shape, kind)
