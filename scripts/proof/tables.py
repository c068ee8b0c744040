"""The tables of the proof, its progress bars, and how many of its cases may come out otherwise."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

# The share of right code that may be left undecided: in float64, and with float32 inside.
UNDECIDED_LIMIT, COARSE_LIMIT = 0.005, 0.05

# Of random networks so many may have a layer or a loss of one unit on which nothing depends, as a softmax.
UNSEEN_LIMIT = 0.15

Item = TypeVar("Item")
Kind = TypeVar("Kind")


def shown(items: Iterable[Item], total: int, title: str) -> Iterator[Item]:
    """The items, with a progress bar at a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        yield from progress.track(items, total, description=title)


def table(console: Console, title: str, *columns: str) -> Table:
    """Print the title; a table whose first column is text and the others numbers."""
    console.print(title, style="bold", soft_wrap=True)
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index == 0 else "right", no_wrap=index == 0)
    return made


def print_counts(
    console: Console, made: Table, kinds: Sequence[Kind], parts: Sequence[Mapping[str, Counter[Kind]]], lines: list[str]
) -> None:
    """How often each kind was seen, row by row and in all, without zeros; and what lines say below."""
    for part in parts:
        for name, counts in part.items():
            made.add_row(name, *(f"{counts[kind]:,}" if counts[kind] else "" for kind in kinds))
        made.add_section()
    console.print(made)
    for line in lines:
        console.print(line, soft_wrap=True)


def few(number: int, share: float, total: int) -> bool:
    """Whether so many of ``total`` are at most this share of it, or just one."""
    return number <= max(1.0, share * total)
