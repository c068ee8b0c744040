"""Inputs from words on the command line: ``5x4``, ``w=4x3``, ``ids=6:int10``, ``p=5x3:probabilities``.

And ``parameters=initialize(2,4,1)``, what a function of the user's own file returns.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Drawn:
    """An array to draw: its name, if it has one, its shape, and of what kind its entries are; or a ``call`` to make."""

    name: str
    shape: tuple[int, ...]
    kind: str
    call: str = ""

    def made(self, module: Mapping[str, Any]) -> Any:
        """What the call gives with this module's function. ValueError where there is none, or its words are no numbers."""
        call = ast.parse(self.call, mode="eval").body
        assert isinstance(call, ast.Call)
        function = module.get(ast.unparse(call.func))
        if not callable(function):
            raise ValueError(f"--input {self.call}: there is no function {ast.unparse(call.func)} in the file")
        positional = [ast.literal_eval(argument) for argument in call.args]
        return function(*positional, **{word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg})

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
    if call := re.fullmatch(r"(?:([A-Za-z_]\w*)=)?([A-Za-z_]\w*\(.*\))", text.strip()):
        return Drawn(call[1] or "", (), "normal", _checked_call(call[2], text))
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


def _checked_call(call: str, text: str) -> str:
    """The call, if it is one of a function by its name with numbers, words in quotes, lists and tuples of them."""
    try:
        parsed = ast.parse(call, mode="eval").body
        if not isinstance(parsed, ast.Call) or not isinstance(parsed.func, ast.Name):
            raise ValueError
        for value in (*parsed.args, *(word.value for word in parsed.keywords)):
            ast.literal_eval(value)
    except (SyntaxError, ValueError):
        raise ValueError(f"expected a call such as parameters=initialize(2,4,1), got {text!r}") from None
    return call
