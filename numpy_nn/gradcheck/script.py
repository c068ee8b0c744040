"""Somebody's file as a script that is run, up to where it trains."""

from __future__ import annotations
import __future__

import ast
import dis
from collections.abc import Collection, Sequence
from pathlib import Path
from types import CodeType, ModuleType

from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.source.bindings import global_names

_LOOPS = (ast.For, ast.While)


def run(module: ModuleType, source: bytes, names: Collection[str], beside: Collection[str]) -> list[str]:
    """Run the statements of ``source`` in its module one after the other; return a note where it was not to its end.

    It is run up to a loop that nothing ends, or that uses what is to be checked, of these ``names``, and was defined
    before. Once that is there, or without names any definition, a statement may take as long as code at a point of the
    check; then it is stopped, and of the rest only what the names use is defined, and what has one ``beside`` them.

    What the statements raise comes through.
    """
    path = str(module.__file__)
    where, until_then = Path(path).name, "what it had defined until then is checked"
    body = _statements(source, path)
    flags = _flags_of_future(body)
    parts = [compile(ast.Module([node], []), path, "exec", flags, dont_inherit=True) for node in body]
    training = _trains(body, names)
    for index, (node, part) in enumerate(zip(body, parts, strict=True)):
        if index == training:
            return [f"{where} trains in its loop in line {node.lineno}: {until_then}"]
        there = vars(module).keys() >= set(names) if names else any(map(_defines, body[:index]))
        if not there:
            exec(part, vars(module))
        elif seconds := _stopped_after(part, module, where):
            _define_the_rest(module, body, parts, index, {*names, *beside})
            return [f"{where} was stopped in line {node.lineno}, which takes more than {seconds:g} s: {until_then}"]
    return []


def _stopped_after(part: CodeType, module: ModuleType, where: str) -> float:
    """Run a statement; return the seconds after which it was stopped, or 0 if it came to its end."""
    patience = Patience()
    patience.ended(0.0)
    limit = patience.limit
    try:
        with Running(where, patience, quiet=False):
            exec(part, vars(module))
    except SubjectError as error:
        if error.__cause__ is not None:
            raise error.__cause__ from None
        return limit
    return 0.0


def _define_the_rest(
    module: ModuleType, body: Sequence[ast.stmt], parts: Sequence[CodeType], stopped: int, names: Collection[str]
) -> None:
    """Run of the statements after the one that was ``stopped`` those that define what the names use, or use in turn."""
    later = [part for node, part in zip(body[stopped:], parts[stopped:], strict=True) if _only_defines(node)]
    before = [part for node, part in zip(body[:stopped], parts, strict=False) if not isinstance(node, _LOOPS)]
    needed: set[str] = set()
    new = set(names)
    while new:
        needed |= new
        defining = (part for part in (*before, *later) if new & _stored(part))
        new = {name for part in defining for name, _ in global_names(part)} - needed
    for part in later:
        if _stored(part) & needed - vars(module).keys():
            exec(part, vars(module))


def _defines(node: ast.stmt) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def _only_defines(node: ast.stmt) -> bool:
    """Whether a statement takes no time and needs nothing: a definition, an import, or a value written out."""
    is_value = isinstance(node, (ast.Assign, ast.AnnAssign)) and not any(map(_looks_up, ast.walk(node)))
    return _defines(node) or is_value or isinstance(node, (ast.Import, ast.ImportFrom))


def _looks_up(part: ast.AST) -> bool:
    return isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)


def _statements(source: bytes, path: str) -> list[ast.stmt]:
    """The statements of a file, without the strings between them. SyntaxError, as Python raises it."""
    tree = ast.parse(source, path)
    compile(tree, path, "exec", dont_inherit=True)  # which finds more, such as a return outside of a function
    return [node for index, node in enumerate(tree.body) if index == 0 or not _is_text(node)]


def _is_text(node: ast.stmt) -> bool:
    """Whether it is a string that stands alone, which would be the module's docstring where it is compiled alone."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _flags_of_future(body: Sequence[ast.stmt]) -> int:
    flags = 0
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for alias in node.names:
                flags |= getattr(__future__, alias.name).compiler_flag
    return flags


def _stored(part: CodeType) -> set[str]:
    """The names of the module that a statement binds."""
    return {step.argval for step in dis.get_instructions(part) if step.opname == "STORE_NAME"}


def _trains(body: Sequence[ast.stmt], names: Collection[str]) -> int | None:
    """Which statement is the loop in which a script trains; None if it has none.

    That is a loop that nothing ends, or one that uses what is to be checked and was defined before.
    """
    missing = set(names)
    for index, node in enumerate(body):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            missing.discard(node.name)
        used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & set(names)
        uses = isinstance(node, _LOOPS) and bool(used) and not missing
        if uses or (isinstance(node, ast.While) and _never_ends(node)):
            return index
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
