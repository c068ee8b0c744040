"""Inputs from words on the command line: ``5x4``, ``w=4x3``, ``ids=6:int10``, ``p=5x3:probabilities``.

And ``x=4x3:Tensor``, what a class of the user's own file makes of such an array; ``parameters=initialize(2,4,1)``, what
a function of it returns; and values as Python has them, ``dropout=0.5``, ``mode='max'``, ``options={'stride': 1}``. A
whole number is ``size=int(2)``, as ``size=2`` is a shape. A tuple of arrays is ``state=2x3,2x3``, a list ``[2x3,2x3]``.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Drawn:
    """An array to draw: its name, if it has one, its shape, and the kind of its entries; or ``code`` that makes one.

    ``maker`` is what is called with it in the user's file, the class of his own tensors. Of several arrays in one
    argument, a tuple or with ``is_list`` a list, there are ``parts``, and the shape is that of the first.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    code: str = ""
    maker: str = ""
    parts: tuple[Drawn, ...] = ()
    is_list: bool = False

    def _together(self, values: Iterable[Any]) -> Any:
        return list(values) if self.is_list else tuple(values)

    def made(self, drawn: Any, module: Mapping[str, Any]) -> Any:
        """What was drawn, or is made of it or of the code, by this module's function. ValueError if it has none."""
        if self.parts:
            return self._together(part.made(one, module) for part, one in zip(self.parts, drawn, strict=True))
        if self.maker:
            maker = self._found(self.maker, module)
            return maker(drawn, **dict.fromkeys(_flags_of_gradients(maker), True))
        if not self.code:
            return drawn
        call = ast.parse(self.code, mode="eval").body
        if not isinstance(call, ast.Call):
            return ast.literal_eval(call)
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
        return self._found(ast.unparse(call.func), module)(*positional, **named)

    def _found(self, name: str, module: Mapping[str, Any]) -> Callable[..., Any]:
        function = module.get(name, {"int": int, "float": float, "dict": dict}.get(name))
        if not callable(function):
            raise ValueError(f"--input {self.code or self.maker}: there is no function {name} in the file")
        return function

    def draw(self, rng: np.random.Generator, scale: float = 1.0) -> Any:
        """The array, or all its parts."""
        if self.parts:
            return self._together(part.draw(rng, scale) for part in self.parts)
        if match := _INTEGERS.fullmatch(self.kind):
            return _with_one_twice(classes(rng, int(match[1]), self.shape))
        return scale * KINDS[self.kind][1](rng, self.shape)


def _flags_of_gradients(maker: Callable[..., Any]) -> list[str]:
    """By which of its arguments a class of tensors is told that one is differentiated, where it would not be."""
    try:
        own = inspect.signature(maker).parameters
    except (TypeError, ValueError):
        return []
    return [name for name, one in own.items() if one.default is False and _OF_GRADIENTS.fullmatch(name)]


_OF_GRADIENTS = re.compile(r"_?((requires?|needs?|tracks?|with|has|keep|store)_?)(auto)?grad\w*|autograd")

_INTEGERS = re.compile(r"int(\d+)")

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]


def _with_one_twice(integers: Any) -> Any:
    """The same integers, of which one comes twice: an index does in use, and there a gradient must be added up.

    Of two alone none does: labels that are all the same hide what is wrong where they differ.
    """
    if 2 < integers.size == np.unique(integers).size:
        integers.flat[-1] = integers.flat[0]
    return integers


def classes(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> Any:
    """Random integers 0 .. ``count`` - 1, each of them once at least where there are places for all.

    A loss that is wrong for one class alone would else be right by chance.
    """
    drawn = rng.integers(0, count, shape)
    for missing in np.setdiff1d(np.arange(count), drawn) if drawn.size >= count else ():
        numbers = np.bincount(drawn.ravel(), minlength=count)
        drawn.flat[np.flatnonzero(numbers[drawn.ravel()] > 1)[-1]] = missing
    return drawn


def _probabilities(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.dirichlet(np.ones(shape[-1]), shape[:-1])


def _one_hot(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return np.eye(shape[-1])[classes(rng, shape[-1], shape[:-1])]


def _positive_definite(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    root = rng.standard_normal(shape)
    return root @ np.swapaxes(root, -1, -2) + np.eye(shape[-1])


KINDS: dict[str, tuple[str, Draw]] = {
    "normal": ("from N(0, 1)", lambda rng, shape: rng.standard_normal(shape)),
    "positive": ("their absolute values", lambda rng, shape: np.abs(rng.standard_normal(shape))),
    "unit": ("uniform in [0, 1]", lambda rng, shape: rng.random(shape)),
    "probabilities": ("rows that sum to 1", _probabilities),
    "onehot": ("rows with one 1", _one_hot),
    "binary": ("0 or 1", lambda rng, shape: classes(rng, 2, shape).astype(np.float64)),
    "definite": ("symmetric, positive definite", _positive_definite),
}


_ONE = r"\s*\d+(?:x\d+)*(?::\w+)?\s*"
_SEVERAL = re.compile(rf"([(\[]?)({_ONE}(?:,{_ONE})+,?)[)\]]?")


def drawn(text: str) -> Drawn:
    """The array that a word asks for. ValueError, with the forms there are, if it asks for none."""
    if (own := re.fullmatch(r"(?:([^\W\d]\w*)=)?(.+)", text.strip())) and _is_code(own[2]):
        return Drawn(own[1] or "", (), "normal", own[2])
    if own and (parts := _SEVERAL.fullmatch(own[2])):
        each = tuple(drawn(part) for part in parts[2].split(",") if part.strip())
        return Drawn(own[1] or "", each[0].shape, "normal", parts=each, is_list=parts[1] == "[")
    match = re.fullmatch(r"(?:([^\W\d]\w*)=)?(\d+(?:x\d+)*),?(?::(\w+))?", text.strip())
    kind = (match[3] or "normal") if match else ""
    maker = kind if kind[:1].isupper() else ""
    kind = "normal" if maker else kind
    shape = tuple(int(part) for part in match[2].split("x")) if match else ()
    known = kind in KINDS or (_INTEGERS.fullmatch(kind) is not None and int(kind[3:]) > 0)
    if match is None or min(shape) < 1 or not known:
        kinds = ", ".join([*KINDS, "int10"])
        raise ValueError(
            f"expected a shape such as 5x4, w=4x3, ids=6:int10 or p=5x3:probabilities ({kinds}), several in a tuple as "
            "state=2x3,2x3, a class of the file as in x=5x4:Tensor, a value such as rate=0.5, or a call such as "
            f"parameters=initialize(2,4,1), got {text!r}"
        )
    return Drawn(match[1] or "", shape, kind, maker=maker)


def _is_code(text: str) -> bool:
    """Whether it is a value that is no shape, or a call of a function by its name with values."""
    if re.fullmatch(r"\d+(x\d+)*,?(:\w+)?", text):
        return False
    try:
        parsed = ast.parse(text, mode="eval").body
        call = isinstance(parsed, ast.Call) and isinstance(parsed.func, ast.Name)
        values = (
            (*parsed.args, *(word.value for word in parsed.keywords)) if isinstance(parsed, ast.Call) else (parsed,)
        )
        for value in values:
            ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return False
    return call or not isinstance(parsed, ast.Call)
