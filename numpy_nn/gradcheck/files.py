"""Somebody's file, from its name to what is to be checked in it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from numpy_nn.gradcheck.inputs import drawn


class UsageError(Exception):
    """The command cannot be carried out; the message is one line."""


def load(text: str, init: list[str], rng: np.random.Generator) -> tuple[Any, list[str]]:
    """The target that ``text`` names, and notes on how it came about; a class is called with the words in ``init``.

    A function that has a gradient beside it, such as ``relu`` and ``relu_backward``, comes with that.
    """
    found, notes = find(text)
    name = text.rpartition(":")[2]
    if isinstance(found, type):
        return _made(found, init, rng), notes
    if init:
        more = "; functions get their arrays by --input, or as a class that holds them"
        raise UsageError(f"--init: {name} is no class, and takes no arguments here{more}")
    module = inspect.getmodule(found)
    if inspect.isfunction(found) and module is not None and (partner := _partner(name, module)):
        return (found, getattr(module, partner)), [*notes, f"checked with {partner}, by its name"]
    return found, notes


def find(text: str) -> tuple[Any, list[str]]:
    """What ``text`` names in its file or module, as it is there, or a tuple of it; and notes on how it came about."""
    place, _, names = text.rpartition(":") if _names_something(text) else (text, "", "")
    module, notes = _module(place, names.split(","))
    if not names:
        has = _listed(module) or "nothing to check"
        raise UsageError(f"{place} has {has}; say which: {place}:NAME, or {place}:f,g")
    found = []
    for name in names.split(","):
        if not hasattr(module, name):
            raise UsageError(f"{place} has no {name}; it has {_listed(module) or 'nothing to call'}")
        found.append(getattr(module, name))
    return tuple(found) if len(found) > 1 else found[0], notes


def _names_something(text: str) -> bool:
    """Whether there is a name after the last colon, which is not that of a drive of Windows."""
    place, colon, names = text.rpartition(":")
    if colon and not place:
        raise UsageError(f"expected file.py:Name, got {text!r}")
    return bool(colon) and re.fullmatch(r"[\w,]+", names) is not None


def _listed(module: ModuleType) -> str:
    own = (n for n, value in vars(module).items() if not n.startswith("_") and callable(value))
    return ", ".join(own)


_ENDINGS = ("_fwd", "")
_PARTNERS = (
    "{}_backward",
    "{}_bwd",
    "{}_grad",
    "{}_gradient",
    "{}_prime",
    "{}_derivative",
    "d_{}",
    "d{}",
    "{}_vjp",
    "grad_{}",
)


def _partner(name: str, module: ModuleType) -> str | None:
    """The name of the function beside it that is called as its gradient."""
    if "forward" in name and callable(getattr(module, name.replace("forward", "backward"), None)):
        return name.replace("forward", "backward")
    for ending in _ENDINGS:
        if name.endswith(ending):
            stem = name.removesuffix(ending)
            for form in _PARTNERS:
                partner = form.format(stem)
                if partner != name and callable(getattr(module, partner, None)):
                    return partner
    return None


def _made(kind: type, init: list[str], rng: np.random.Generator) -> Any:
    positional, named = arguments(init, rng)
    try:
        return kind(*positional, **named)
    except TypeError as error:
        try:
            inspect.signature(kind).bind(*positional, **named)
        except TypeError:
            wanted = f"{kind.__name__}{inspect.signature(kind)}"
            raise UsageError(f"{error}; {wanted}: give its arguments, such as --init 4 3 or --init W=4x3 b=3") from None
        raise


def arguments(init: list[str], rng: np.random.Generator) -> tuple[list[Any], dict[str, Any]]:
    """The arguments that words stand for, those without a name and those with one."""
    positional = [word for word in init if not _NAMED.match(word)]
    named = dict(word.split("=", 1) for word in init if _NAMED.match(word))
    arrays = any(_MATRIX.fullmatch(word) for word in [*positional, *named.values()])
    return (
        [_value("", word, arrays, rng) for word in positional],
        {name: _value(name, word, arrays, rng) for name, word in named.items()},
    )


_NAMED = re.compile(r"[^\W\d]\w*=")
_MATRIX = re.compile(r"\d+(x\d+)+(:\w+)?")
# Beside an array by its shape, one number for such a name is the length of another.
_VECTOR_NAMES = re.compile(r"(b|w|bias|biases|weight|weights|beta|gamma|offset)\d*", re.IGNORECASE)


def _value(name: str, word: str, arrays: bool, rng: np.random.Generator) -> Any:
    """The argument that a word stands for: an array of a shape, a literal of Python, or the word itself."""
    if _MATRIX.fullmatch(word) or (arrays and word.isdigit() and _VECTOR_NAMES.fullmatch(name)):
        return drawn(word).draw(rng)
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word


def _module(place: str, names: list[str]) -> tuple[ModuleType, list[str]]:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place), []
        except ModuleNotFoundError as error:
            raise UsageError(f"cannot import {place}: {error}") from None
    path = Path(place)
    if not path.is_file():
        raise UsageError(f"no such file: {place}")
    sys.path.insert(0, str(path.parent.resolve()))  # for what the file itself imports
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # copies of its objects look their class up there
    given, sys.argv = sys.argv, [place]
    training = _up_to_training(path, names)
    try:
        if training is None:
            spec.loader.exec_module(module)
        else:
            tree, line = training
            exec(compile(tree, path, "exec"), vars(module))
            return module, [f"{path.name} trains in its loop in line {line}: what it had defined until then is checked"]
    except SystemExit as error:
        if not _listed(module):
            raise UsageError(
                f"{place} ends the program with sys.exit({error.code}) before it defines anything"
            ) from None
        return module, [
            f"{path.name} ends the program with sys.exit({error.code}); what it had defined until then is checked"
        ]
    finally:
        sys.argv = given
    return module, []


def _up_to_training(path: Path, names: list[str]) -> tuple[ast.Module, int] | None:
    """A script up to the loop in which it trains, and that loop's line; None if it has none.

    That is a loop that nothing ends, or one that uses what is to be checked and was defined before.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None  # told by Python as it runs the file
    missing = set(names)
    for index, node in enumerate(tree.body):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            missing.discard(node.name)
        used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & set(names)
        uses = isinstance(node, (ast.For, ast.While)) and bool(used) and not missing
        if uses or (isinstance(node, ast.While) and _never_ends(node)):
            return ast.Module(tree.body[:index], tree.type_ignores), node.lineno
    return None


def _never_ends(loop: ast.While) -> bool:
    always = isinstance(loop.test, ast.Constant) and bool(loop.test.value)
    return always and not any(_leaves(part, True) for part in loop.body)


def _leaves(node: ast.AST, own: bool) -> bool:
    """Whether a part of a loop's body can end the loop, of which a break is its ``own``, or the program."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        return False
    ends = isinstance(node, ast.Raise) or (own and isinstance(node, ast.Break))
    if isinstance(node, ast.Call):
        ends = getattr(node.func, "id", getattr(node.func, "attr", "")) in ("exit", "quit", "_exit")
    own = own and not isinstance(node, (ast.For, ast.While))
    return ends or any(_leaves(child, own) for child in ast.iter_child_nodes(node))
