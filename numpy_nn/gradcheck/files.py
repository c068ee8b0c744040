"""Somebody's file, from its name to what is to be checked in it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from numpy_nn.gradcheck.builders import builds
from numpy_nn.gradcheck.inputs import drawn
from numpy_nn.gradcheck.script import run
from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.source.roles import is_data
from numpy_nn.subjects.source.surroundings import bare


class UsageError(Exception):
    """The command cannot be carried out; the message says what could be."""


def load(text: str, init: list[str], rng: np.random.Generator) -> tuple[Any, list[str]]:
    """The target that ``text`` names, and notes on how it came about; a class is called with the words in ``init``.

    A function that has a gradient beside it, such as ``relu`` and ``relu_backward``, comes with that. Methods of a
    class, ``Chain.energy,Chain.force``, are those of one object of it.
    """
    objects: dict[type, Any] = {}

    def made(kind: type) -> Any:
        if kind not in objects:
            objects[kind] = _made(kind, init, rng)
        return objects[kind]

    found, notes = find(text, made)
    name = text.rpartition(":")[2]
    if objects:
        return found, notes
    if isinstance(found, type):
        with told_beside(notes):
            return _made(found, init, rng), notes
    with told_beside(notes):
        built = builds(found, lambda function: _made(function, init, rng), words=len(init))
    if built is not None:
        return built, [*notes, f"checked is what {name} makes"]
    if init:
        more = "; functions get their arrays by --input, or as a class that holds them"
        raise UsageError(f"--init: {name} is no class, and takes no arguments here{more}")
    function = bare(found)
    module = inspect.getmodule(function)
    if inspect.isfunction(function) and module is not None:
        # Of a partial function the partner may have the name of either.
        own = (name, function.__name__) if isinstance(found, partial) else (name,)
        if partner := next((partner for one in own if (partner := _partner(one, module))), None):
            return (found, getattr(module, partner)), [*notes, f"checked with {partner}, by its name"]
        if partner := _paired(name, module):
            return (found, getattr(module, partner)), [*notes, f"checked with {partner}: a pair in the file"]
    return found, notes


def find(text: str, made: Callable[[type], Any] | None = None) -> tuple[Any, list[str]]:
    """What ``text`` names in its file or module, as it is there, or a tuple of it; and notes on how it came about.

    Of a class whose method is named, the object is ``made``.
    """
    place, _, wanted = text.rpartition(":") if _names_something(text) else (text, "", "")
    module, notes = _module(place, [name.partition(".")[0] for name in wanted.split(",")])
    told = "".join(f" ({note})" for note in notes)
    if not wanted:
        if not (has := _listed(module)) and (lines := _lines_of_a_function(module, place)):
            raise UsageError(f"{place} has nothing to check{told}; {lines}")
        raise UsageError(f"{place} has {has or 'nothing to check'}; say which: {place}:NAME, or {place}:f,g{told}")
    found = []
    for name in wanted.split(","):
        first, _, rest = name.partition(".")
        if not hasattr(module, first):
            raise UsageError(f"{place} has no {first}; it has {_listed(module) or 'nothing to call'}{told}")
        thing = getattr(module, first)
        for part in rest.split(".") if rest else ():
            if not hasattr(thing, part):
                raise UsageError(f"{name}: {first} has no {part}; it has {_listed(thing) or 'nothing to call'}{told}")
            is_own = not isinstance(inspect.getattr_static(thing, part), (staticmethod, classmethod))
            with told_beside(notes):
                thing = getattr(made(thing) if isinstance(thing, type) and is_own and made is not None else thing, part)
        found.append(thing)
    return tuple(found) if len(found) > 1 else found[0], notes


def _lines_of_a_function(module: ModuleType, place: str) -> str:
    """How a script that trains in a loop of its own, in no function, becomes checkable; nothing for any other."""
    try:
        body = ast.parse(inspect.getsource(module)).body
    except (OSError, TypeError, SyntaxError):
        return ""
    loops = [node for node in body if isinstance(node, (ast.For, ast.While))]
    if not loops:
        return ""
    used = dict.fromkeys(part.id for part in ast.walk(loops[-1]) if isinstance(part, ast.Name))
    held = [name for name in used if isinstance(getattr(module, name, None), np.ndarray)]
    targets = [name for name in held if names.role_in_loss(name) == names.TARGET] or ["y"]
    data = [name for name in held if is_data(name) and name not in targets] or ["X"]
    first = ast.unparse(loops[-1]).splitlines()[0]
    return (
        f"its loop on line {loops[-1].lineno} stands in no function: write one around it, and around what it trains,\n"
        f"    def train({', '.join([*data, *targets])}):\n        ...\n        {first}\n            ...\n"
        f"and check {place}:train, with an --input for each of its data but the targets, and --targets for these"
    )


@contextmanager
def told_beside(notes: Sequence[str]) -> Iterator[None]:
    """A block whose errors come through with the notes on the file: what it lacks may stand where it was not run."""
    try:
        yield
    except BaseException as error:
        for note in notes:
            error.add_note(note)
        raise


def _names_something(text: str) -> bool:
    """Whether there is a name after the last colon, which is not that of a drive of Windows."""
    place, colon, wanted = text.rpartition(":")
    if colon and not place:
        raise UsageError(f"expected file.py:Name, got {text!r}")
    return bool(colon) and re.fullmatch(r"[\w,.]+", wanted) is not None


def _listed(module: Any) -> str:
    own = (n for n, value in getattr(module, "__dict__", {}).items() if not n.startswith("_") and callable(value))
    return ", ".join(own)


_ENDINGS = ("_fwd", "")
_PARTNERS = names.words(
    "{}_backward {}_bwd {}_grad {}_grads {}_gradient {}_gradients {}_prime {}_derivative {}_deriv d_{} d{} {}_vjp "
    "grad_{} gradient_{} gradient_of_{} grad_of_{} {}_jac {}_jacobian jac_{} {}_backprop {}_bprop {}_back {}_pullback "
    "{}_der {}_bw {}_adjoint {}_dx"
)
# What takes the same arguments, and has a name that is that of any gradient, goes with what has that of any function.
_FUNCTIONS = names.words(
    "f fun func function objective objective_function loss cost cost_function log_likelihood loglik loglike nll "
    "residual residuals resid energy potential log_prob logp log_posterior neg_log_likelihood negative_log_likelihood"
)
_GRADIENTS = names.words("jac jacobian grad gradient fprime score")


def _partner(name: str, module: ModuleType) -> str | None:
    """The name of the function beside it that is called as its gradient."""
    own = next((partner for partner in _partners(name) if callable(getattr(module, partner, None))), None)
    if own is not None or name not in _FUNCTIONS:
        return own
    there = {one: getattr(module, one, None) for one in _GRADIENTS}
    wanted = signatures.positional(getattr(module, name))
    alike = (n for n, function in there.items() if callable(function) and signatures.positional(function) == wanted)
    return next(alike, None)


def _paired(name: str, module: ModuleType) -> str | None:
    """The name of the function with which it makes a pair in a table of the module, ``{"gelu": (gelu, slope)}``."""
    tables = [value for key, value in vars(module).items() if not key.startswith("__")]
    lists = [table for table in tables if isinstance(table, (tuple, list))]
    inner = [one for table in tables if isinstance(table, dict) for one in table.values()]
    inner += [one for table in lists for one in table]
    pairs = [*lists, *(one for one in inner if isinstance(one, (tuple, list)))]
    pairs += [[*one.values()] for one in inner if isinstance(one, dict)]
    both = [pair for pair in pairs if len(pair) == 2 and all(map(inspect.isfunction, pair))]
    found = {gradient for function, gradient in both if function is vars(module).get(name)}
    own = [key for key, value in vars(module).items() if inspect.isfunction(value) and value in found]
    return own[0] if len(own) == 1 else None


def with_which(text: str, target: Any) -> list[str]:
    """How to name the backward pass of a function that stands alone, with what its file has besides."""
    place, _, name = text.rpartition(":")
    module = inspect.getmodule(target) if inspect.isfunction(target) and _names_something(text) else None
    own = [key for key, value in vars(module).items() if inspect.isfunction(value)] if module is not None else []
    others = [key for key in own if key != name and vars(module)[key].__module__ == target.__module__]
    if not others:
        return []
    return [f"if its backward pass is one of {', '.join(others)}: {place}:{name},{others[0]}"]


def _partners(name: str) -> Iterator[str]:
    """What a function of that name may have its gradient called, the likeliest first."""
    if "forward" in name:
        yield name.replace("forward", "backward")
        yield name.replace("forward", "backward") + "_error"
    for ending in _ENDINGS:
        if name.endswith(ending):
            stem = name.removesuffix(ending)
            yield from (partner for form in _PARTNERS if (partner := form.format(stem)) != name)


def _made(kind: type, init: list[str], rng: np.random.Generator) -> Any:
    try:
        own = inspect.signature(kind)
    except ValueError:  # of a class that is written in C
        own = inspect.signature(lambda *_, **__: None)
    try:
        own.bind(*_split(init)[0], **_split(init)[1])
    except TypeError as error:
        init, left = _by_name(own, init)
        if left or not _fits(own, init):
            wanted = f"{kind.__name__}{own}: {_how_to_give(own, init, left)}"
            raise UsageError(f"{error}; {wanted}") from None
    positional, named = arguments(init, rng)
    return kind(*positional, **named)


def _fits(own: inspect.Signature, init: list[str]) -> bool:
    try:
        own.bind(*_split(init)[0], **_split(init)[1])
    except TypeError:
        return False
    return True


def _split(init: list[str]) -> tuple[list[str], dict[str, str]]:
    """The words without a name, and those with one, by it."""
    positional = [word for word in init if not _NAMED.match(word)]
    return positional, dict(word.split("=", 1) for word in init if _NAMED.match(word))


def _by_name(own: inspect.Signature, init: list[str]) -> tuple[list[str], list[str]]:
    """The words by the names of arguments, those without one in the order of those that no other is for; and the rest.

    So ``A=5x5 3 2`` is ``A=5x5 n=3 m=2`` of ``(A, n, m)``, as it is with ``--input``.
    """
    given = [word.partition("=")[0] for word in init if _NAMED.match(word)]
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = [name for name, p in own.parameters.items() if p.kind in kinds]
    any_name = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in own.parameters.values())
    free = iter([name for name in known if name not in given])
    words: list[str] = []
    left: list[str] = []
    for word in init:
        if _NAMED.match(word):
            (words if any_name or word.partition("=")[0] in known else left).append(word)
        elif name := next(free, ""):
            words.append(f"{name}={word}")
        else:
            left.append(word)
    return words, left


def _how_to_give(own: inspect.Signature, words: list[str], left: list[str]) -> str:
    """What was given and is no argument, and the words that would do, with ``...`` for what is missing."""
    if not (words or left):
        return "give its arguments, such as --init 4 3 or --init W=4x3 b=3"
    given = _split(words)[1]
    empty = inspect.Parameter.empty
    lines = [f"{n}={given.get(n, '...')}" for n, p in own.parameters.items() if n in given or p.default is empty]
    unknown = f"no argument for {', '.join(left)}; " if left else ""
    return f"{unknown}give --init {' '.join(lines)}, with a shape such as 4x3 for an array"


def arguments(init: list[str], rng: np.random.Generator) -> tuple[list[Any], dict[str, Any]]:
    """The arguments that words stand for, those without a name and those with one."""
    positional, named = _split(init)
    shapes = [word.partition(":")[0] for word in [*positional, *named.values()] if _ARRAY.fullmatch(word)]
    return (
        [_value("", word, shapes, rng) for word in positional],
        {name: _value(name, word, shapes, rng) for name, word in named.items()},
    )


_NAMED = re.compile(r"[^\W\d]\w*=")
_ARRAY = re.compile(r"\d+(x\d+)+(:\w+)?|\d+:\w+")
# Beside an array by its shape, one number for such a name is the length of another; so it is for targets, one a row.
_VECTOR_NAMES = re.compile(r"(b|w|bias|biases|weight|weights|beta|gamma|offset)\d*", re.IGNORECASE)


def _value(name: str, word: str, shapes: list[str], rng: np.random.Generator) -> Any:
    """The argument that a word stands for: an array of a shape, a literal of Python, or the word itself."""
    rows = names.role_in_loss(name) == names.TARGET and word in [shape.partition("x")[0] for shape in shapes]
    if _ARRAY.fullmatch(word) or (word.isdigit() and (rows or (shapes and _VECTOR_NAMES.fullmatch(name)))):
        return drawn(word).draw(rng)
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word


def _module(place: str, wanted: list[str]) -> tuple[ModuleType, list[str]]:
    if place in sys.modules:
        return sys.modules[place], []
    spec = _spec(place)
    path = Path(spec.origin or "")
    if path.suffix != ".py":
        return importlib.import_module(place), []
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # copies of its objects look their class up there
    given, sys.argv = sys.argv, [place]
    try:
        beside = {partner for name in wanted for partner in _partners(name)} | set(_GRADIENTS)
        return module, run(module, path.read_bytes(), [name for name in wanted if name], beside)
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


def _spec(place: str) -> ModuleSpec:
    """Where a file or a module is, by its path or its name."""
    if not place.endswith(".py"):
        try:
            spec = importlib.util.find_spec(place)
        except ModuleNotFoundError as error:
            raise UsageError(f"cannot import {place}: {error}") from None
        if spec is None:
            raise UsageError(f"cannot import {place}: no module of this name is found")
        return spec
    path = Path(place)
    if not path.is_file():
        raise UsageError(f"no such file: {place}")
    sys.path.insert(0, str(path.parent.resolve()))  # for what the file itself imports
    package = _package(path.resolve())
    if package:
        importlib.import_module(package)  # which may import the file as a part of it
    found = importlib.util.spec_from_file_location(f"{package}.{path.stem}" if package else path.stem, path)
    assert found is not None
    return found


def _package(path: Path) -> str:
    """The package of a file that imports from beside itself, by dots, which is then to be found; "" of any other."""
    with suppress(SyntaxError, ValueError):  # which comes again where the file is run
        nodes = ast.walk(ast.parse(path.read_bytes()))
        levels = max((node.level for node in nodes if isinstance(node, ast.ImportFrom)), default=0)
        folders = [*path.parents][:levels]
        while folders and (folders[-1].parent / "__init__.py").is_file():
            folders.append(folders[-1].parent)
        if folders and all(folder.name.isidentifier() for folder in folders):
            sys.path.insert(0, str(folders[-1].parent))
            return ".".join(folder.name for folder in reversed(folders))
    return ""
