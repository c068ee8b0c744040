"""Mutants: source files of the numerical core with one small change each, which the tests should notice.

The changes are those of mutmut: a number one larger, an operator exchanged (``+`` with ``-``, ``<`` with ``<=``,
``and`` with ``or``), a condition forced either way, True for False, a ``not`` taken away, ``+=`` made ``=``. Two kinds
of its changes are left out: other texts, since texts are the words of messages and the names of arrays, and None in
place of a value or an argument less, ten thousand changes of which nearly all raise at once. mutmut's own command is
not used, as it changes functions only: neither the constants of a module nor a function that has a decorator.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path

import libcst as cst
from libcst.metadata import CodeRange, WhitespaceInclusivePositionProvider
from mutmut.mutation import mutators

ROOT = Path(__file__).parent.parent.parent
# Of the reference, what the comparison of the two engines rests on.
REFERENCE = ("bounds/*.py", "parity.py", "rounding.py", "twin.py")
# What prints, times, draws and teaches.
ASIDE = ("numpy_nn/commands/", "numpy_nn/exercises/", "numpy_nn/lessons/", "numpy_nn/__main__.py")


def _core() -> Iterator[str]:
    for pattern in ("numpy_nn/**/*.py", *(f"torch_ref/{name}" for name in REFERENCE)):
        paths = sorted(ROOT.glob(pattern))
        assert paths, f"no file is called {pattern}"
        names = (path.relative_to(ROOT).as_posix() for path in paths)
        yield from (name for name in names if not name.startswith(ASIDE))


CORE = tuple(_core())

CHANGES: tuple[object, ...] = (
    mutators.operator_number,
    mutators.operator_name,
    mutators.operator_swap_op,
    mutators.operator_keywords,
    mutators.operator_remove_unary_ops,
    mutators.operator_augmented_assignment,
    mutators.operator_if_exp,
    mutators.operator_lambda,
)


@dataclass(frozen=True)
class Mutant:
    """One change: in which file and function, which lines it replaces by which, and what the whole file becomes."""

    file: str
    function: str
    line: int
    was: str
    becomes: str
    source: str

    @property
    def patch(self) -> str:
        """The change as a patch shows it, under the names of file and function: what it is known by."""
        lines = [f"-{line}" for line in self.was.split("\n")] + [f"+{line}" for line in self.becomes.split("\n")]
        return "\n".join([f"{self.file} {self.function}".rstrip(), *lines])


def mutants_of(file: str) -> list[Mutant]:
    """All mutants of a file of :data:`CORE`."""
    text = (ROOT / file).read_text(encoding="utf-8")
    wrapper = cst.MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    visitor = _Changes(wrapper.module, wrapper.resolve(WhitespaceInclusivePositionProvider))
    wrapper.module.visit(visitor)
    ends = list(accumulate(map(len, text.splitlines(keepends=True)), initial=0))
    mutants = []
    for function, place, code, replacement in visitor.found:
        start, end = (ends[at.line - 1] + at.column for at in (place.start, place.end))
        assert text[start:end] == code, f"{file}: libcst does not give back what it has read"
        source = text[:start] + replacement + text[end:]
        lines = slice(ends[place.start.line - 1], ends[place.end.line])
        old, new = text[lines], source[lines.start : lines.stop + len(replacement) - len(code)]
        first, was, becomes = _changed_lines(old.split("\n"), new.split("\n"))
        mutants.append(Mutant(file, function, place.start.line + first, was, becomes, source))
    return mutants


class _Changes(cst.CSTVisitor):
    """Collects for each change the function, the place, and the code that is there and that replaces it.

    Only what changes is written out as code: a whole module, or a class, for every change would take minutes.
    """

    def __init__(self, module: cst.Module, places: Mapping[cst.CSTNode, CodeRange]) -> None:
        super().__init__()
        self.found: list[tuple[str, CodeRange, str, str]] = []
        self._module, self._places = module, places
        self._names: list[str] = []
        self._lengths: set[cst.CSTNode] = set()
        self._indent = ""

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, (cst.Annotation, cst.Decorator)):
            return False
        # strict=True of zip makes no difference to anybody: it is there in case lengths differ that never do.
        if isinstance(node, cst.Arg) and node.keyword is not None and node.keyword.value == "strict":
            return False
        # Nor does another negative length than -1 of a reshape: NumPy takes any for the one that is left to it.
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "reshape":
            for argument in node.args:
                argument.visit(_LengthsLeft(self._lengths))
        if isinstance(node, (cst.ClassDef, cst.FunctionDef)):
            self._names.append(node.name.value)
        if isinstance(node, cst.IndentedBlock):
            self._indent += self._module.default_indent
        function = ".".join(self._names)
        for kind, change in mutators.mutation_operators:
            if change in CHANGES and isinstance(node, kind) and node not in self._lengths:
                for replacement in change(node):
                    self.found.append((function, self._places[node], self._code(node), self._code(replacement)))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, (cst.ClassDef, cst.FunctionDef)):
            self._names.pop()
        if isinstance(original_node, cst.IndentedBlock):
            self._indent = self._indent.removesuffix(self._module.default_indent)

    def _code(self, node: cst.CSTNode) -> str:
        """The node as code, its lines after the first indented as the block is in which it stands."""
        return re.sub(r"\n(?!\n)", f"\n{self._indent}", self._module.code_for_node(node))


class _LengthsLeft(cst.CSTVisitor):
    """Collects the 1 of each -1 among the lengths of a reshape, not of an index from the end."""

    def __init__(self, found: set[cst.CSTNode]) -> None:
        super().__init__()
        self.found = found

    def visit_UnaryOperation(self, node: cst.UnaryOperation) -> None:
        if isinstance(node.operator, cst.Minus) and isinstance(node.expression, cst.Integer):
            self.found.add(node.expression)

    def visit_Call(self, node: cst.Call) -> bool:  # noqa: ARG002, libcst passes it
        return False

    def visit_Subscript(self, node: cst.Subscript) -> bool:  # noqa: ARG002, libcst passes it
        return False


def _changed_lines(old: list[str], new: list[str]) -> tuple[int, str, str]:
    """Where two texts begin to differ, and the lines of each up to where they end alike."""
    first = next(i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    alike = next(i for i, (a, b) in enumerate(zip(old[::-1], new[::-1], strict=False)) if a != b)
    end = min(alike, len(old) - first - 1, len(new) - first - 1)
    was, becomes = ("\n".join(_dedented(lines[first : len(lines) - end])) for lines in (old, new))
    return first, was, becomes


def _dedented(lines: list[str]) -> Iterator[str]:
    indent = len(lines[0]) - len(lines[0].lstrip())
    return (line[indent:] if line[:indent].isspace() else line for line in lines)


def statement_lines(mutant: Mutant) -> range:
    """The lines of the smallest statement that holds the change, as far as the change goes."""
    first = max(start for start in _statements(ROOT / mutant.file) if start <= mutant.line)
    return range(first, mutant.line + mutant.was.count("\n") + 1)


@cache
def _statements(path: Path) -> list[int]:
    """The lines in which statements begin."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)]
