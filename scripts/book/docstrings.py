"""Docstrings as reStructuredText: their formulas set, their plain text left as it reads in the source."""

from __future__ import annotations

import re

from scripts.book.formulas import displayed, tex

MARKED = re.compile(r"(:[a-z]+:`[^`]+`|``[^`]+``|`[^`]+`)")
# Where the formula that a docstring begins with ends.
END = re.compile(r"(,? (?:with|computed|after|which|as|for|of|by|if|along)\b|(?<=\S)[;:.] |\.$|, (?=[A-Z]))")


def escaped(text: str) -> str:
    """Text in which a star, a bar or a last underscore mean themselves; what is marked up stays."""
    if re.match(r"(\w|\d+)[.)]( |$)", text):  # no list: "x." is the whole docstring of identity
        text = "\x00" + text
    parts = MARKED.split(text)
    for index in range(0, len(parts), 2):
        plain = parts[index].replace("\\", "\\\\").replace("*", "\\*").replace("|", "\\|")
        parts[index] = re.sub(r"_(?!\w)", r"\\_", plain)
    return "".join(parts).replace("\x00", "\\")


def with_formula(first: str) -> str:
    """The first line of a docstring, its formula set where it begins with one."""
    end = END.search(first)
    formula = first[: end.start()] if end else first
    if re.search(r"[-+=/(\[]", formula) and (set_formula := tex(formula, words=False)) is not None:
        return f":math:`{set_formula}`" + escaped(first[len(formula) :])
    return escaped(first)


def as_rest(lines: list[str]) -> list[str]:
    """The lines of a docstring, without their common indentation, as reStructuredText.

    A block that is indented by four blanks is formulas, if all of it can be read as such; else it is code.
    """
    found: list[str] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        if not line.startswith("    ") or (found and found[-1].strip() and not found[-1].endswith(":")):
            found.append(with_formula(line) if index == 0 else escaped(line))
            index += 1
            continue
        block: list[str] = []
        while index < len(lines) and (lines[index].startswith("    ") or not lines[index].strip()):
            block.append(lines[index][4:].rstrip())
            index += 1
        while not block[-1]:
            block.pop()
        while found and not found[-1].strip():
            found.pop()
        if found and found[-1].endswith("::"):
            found[-1] = found[-1][:-1]
        formulas = displayed(block)
        directive = ".. math::" if formulas else ".. code-block:: python"
        found += ["", directive, "", *("    " + row for row in formulas or block), ""]
    return found
