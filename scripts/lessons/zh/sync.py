"""Copy the code of the English lessons into the Chinese ones, so that the two differ in their texts only.

A Chinese lesson has the cells of its English counterpart in the same order; the markdown cells are its own, every code
cell is replaced by the English one. With ``--check`` nothing is written and status 1 says that some lesson differs. A
new translation needs no code at all: an empty ``# %%`` stands for each code cell.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEXT = "# %% [markdown]\n"


def cells(lesson: Path) -> list[str]:
    """The cells of a lesson, each with the line that opens it and the empty lines that end it."""
    return re.split(r"^(?=# %%)", lesson.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]


def with_english_code(lesson: Path) -> str:
    """What the Chinese lesson should be; ValueError if its cells are not those of the English one."""
    english, chinese = cells(HERE.parent / lesson.name), cells(lesson)
    kinds = [[cell.startswith(TEXT) for cell in found] for found in (english, chinese)]
    if kinds[0] != kinds[1]:
        names = [" ".join("text" if text else "code" for text in kind) for kind in kinds]
        raise ValueError(f"{lesson.name}: expected cells {names[0]}, got {names[1]}")
    parts = []
    for ours, theirs in zip(chinese, english, strict=True):
        gap = theirs[len(theirs.rstrip("\n")) :]
        parts.append(ours.rstrip("\n") + gap if ours.startswith(TEXT) else theirs)
    return "".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if ``--check`` found a lesson that differs, 2 if cells do not match."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, say which lessons differ")
    check = parser.parse_args(arguments).check
    status = 0
    for english in sorted(HERE.parent.glob("lesson_*.py")):
        lesson = HERE / english.name
        try:
            wanted = with_english_code(lesson)
        except (OSError, ValueError) as error:
            print(f"sync: {error}", file=sys.stderr)
            return 2
        if wanted != lesson.read_text(encoding="utf-8"):
            print(f"{lesson.name}: {'differs from the English code' if check else 'updated'}")
            status = int(check)
            if not check:
                lesson.write_text(wanted, encoding="utf-8", newline="\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
