"""What a step of the user's is made of, beside ours: products, passes over memory, Python; and what to change first.

All times are the least of several turns: what else the machine does can only make them longer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from numpy_nn.commands.benchmark.cases import Case
from numpy_nn.commands.benchmark.engine import Engine
from numpy_nn.commands.benchmark.engines import ENGINES, OURS
from numpy_nn.commands.benchmark.report import duration
from numpy_nn.commands.benchmark.watched import Operation, Watched, watching
from numpy_nn.commands.benchmark.workload import Workload

# Steps that are watched, and as many that are not, in turn.
TURNS = 31
# A change that gains less of a step is not spoken of.
LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Part:
    """A kind of work in a step: how many calls of NumPy, and their seconds; of Python there are none to count."""

    name: str
    calls: int
    seconds: float


@dataclass(frozen=True)
class Profile:
    """A step of one engine: its seconds, unwatched, and the operations that it is made of.

    ``of_the_data`` are those that make the gradient with respect to the batch itself, which nobody reads.
    """

    step: float
    operations: tuple[Operation, ...]
    of_the_data: tuple[Operation, ...] = ()

    @property
    def products(self) -> Part:
        """The matrix products."""
        return self._sum("matrix products", [one for one in self.operations if one.is_product])

    @property
    def passes(self) -> Part:
        """Everything else that NumPy does: each goes over its arrays once."""
        return self._sum("passes over memory", [one for one in self.operations if not one.is_product])

    @property
    def python(self) -> Part:
        """What is left of the step: Python, and the way from it into NumPy and back."""
        return Part("Python", 0, max(0.0, self.step - self.products.seconds - self.passes.seconds))

    @staticmethod
    def _sum(name: str, operations: Sequence[Operation]) -> Part:
        return Part(name, len(operations), sum(one.seconds for one in operations))


@dataclass(frozen=True)
class Change:
    """Something that could be done, in words, and the seconds of a step that it would save, as far as was measured."""

    words: str
    seconds: float


def profile(case: Case, name: str) -> Profile:
    """Watch the steps of an engine, and time others that are not watched.

    ValueError, in a line, where its code cannot be run on watched arrays.
    """
    plain, watched = _made(Workload(case), name), _watched(case, name)
    seconds, turns = [], []
    for _ in range(TURNS):
        turns.append(_operations(watched))
        started = time.perf_counter()
        plain.work()
        seconds.append(time.perf_counter() - started)
    length = Counter(map(len, turns)).most_common(1)[0][0]  # code may do now and then more than at other times
    same = [turn for turn in turns if len(turn) == length]
    operations = tuple(replace(at[0], seconds=min(one.seconds for one in at)) for at in zip(*same, strict=True))
    return Profile(min(seconds), operations, _of_the_data(operations, case, name))


def _made(workload: Workload, name: str) -> Engine:
    engine = ENGINES[name](workload)
    engine.prepare()
    return engine


def _watched(case: Case, name: str) -> Engine:
    """The engine on watched arrays, after its first step."""
    with watching():
        workload = Workload(case)
        workload.x = workload.x.view(Watched)
        workload.weights = [(weight.view(Watched), bias.view(Watched)) for weight, bias in workload.weights]
        engine = _made(workload, name)
        _run(engine.work, name)
    return engine


def _run(work: Callable[[], object], name: str) -> None:
    try:
        work()
    except Exception as error:  # whatever the user's code raises on a subclass of ndarray
        text = (str(error).splitlines() or [""])[0]
        raise ValueError(f"--profile: {name} cannot be watched: {type(error).__name__}: {text}") from error


def _operations(engine: Engine) -> tuple[Operation, ...]:
    with watching() as log:
        engine.work()
        return tuple(log)


def _of_the_data(operations: Sequence[Operation], case: Case, name: str) -> tuple[Operation, ...]:
    """The products whose result has the shape of the batch, seen with a number of rows that is no layer's width."""
    rows = next(n for n in range(case.batch, case.batch + len(case.sizes) + 1) if n not in case.sizes)
    again = operations if rows == case.batch else _operations(_watched(replace(case, batch=rows, rows=rows), name))
    if len(again) != len(operations):
        return ()
    batch = {(rows, case.sizes[0]), (case.sizes[0], rows)}
    return tuple(one for one, at in zip(operations, again, strict=True) if at.is_product and at.result in batch)


def changes(mine: Profile, ours: Profile, case: Case) -> list[Change]:
    """What could be changed in mine, the largest gain first; each gain is what was measured, none a promise."""
    found = [*_of_types(mine, case), *_of_loops(mine, ours, case)]
    unread = sum(one.seconds for one in mine.of_the_data)
    if mine.of_the_data:
        shape = _shape(mine.of_the_data[0].result)
        found.append(Change(f"leaving out the gradient of the data, a product of shape {shape}", unread))
    products = mine.products.seconds - unread - ours.products.seconds
    found.append(Change(f"products in the time of ours: {_slowest_product(mine)}", products))
    passes = f"fewer passes: {mine.passes.calls}, ours has {ours.passes.calls}; the longest are {_longest_passes(mine)}"
    found.append(Change(passes, mine.passes.seconds - ours.passes.seconds))
    between = "less between the calls of NumPy: Python, and new arrays for what could be written into those there are"
    found.append(Change(between, mine.python.seconds - ours.python.seconds))
    return sorted((one for one in found if one.seconds > 0.0), key=lambda one: -one.seconds)


def _of_types(mine: Profile, case: Case) -> Iterator[Change]:
    """What computes in float64 for data in float32."""
    wide = [one for one in mine.operations if one.dtype == "float64" and one.result]
    if case.dtype == "float32" and wide:
        words = f"float32 in the {len(wide)} operations that compute in float64, which takes twice the time"
        yield Change(words, sum(one.seconds for one in wide) / 2)


def _of_loops(mine: Profile, ours: Profile, case: Case) -> Iterator[Change]:
    """A loop over the rows in Python."""
    calls, least = (one.products.calls + one.passes.calls for one in (mine, ours))
    if calls > 4 * max(case.batch, least):
        words = f"whole batches in place of a loop over rows: {calls} calls of NumPy in a step, ours has {least}"
        yield Change(words, mine.step - ours.step)


def _longest_passes(mine: Profile) -> str:
    seconds: dict[str, float] = {}
    for one in mine.operations:
        if not one.is_product:
            name = f"{one.name} of {_shape(max((*one.arguments, one.result), key=np.prod))}"
            seconds[name] = seconds.get(name, 0.0) + one.seconds
    longest = sorted(seconds, key=lambda name: -seconds[name])[:3]
    return ", ".join(f"{name} ({duration(seconds[name])})" for name in longest)


def _slowest_product(mine: Profile) -> str:
    slowest = max((one for one in mine.operations if one.is_product), key=lambda one: one.seconds, default=None)
    if slowest is None:
        return "there are none that go to the BLAS"
    arguments = " @ ".join(map(_shape, slowest.arguments[:2]))
    return f"{slowest.name} {arguments} takes {duration(slowest.seconds)} in {slowest.dtype}"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"


def show(case: Case, name: str, console: Console) -> None:
    """Profile the engine of that name beside ours, and print both and what to change first."""
    mine, ours = profile(case, name), profile(case, OURS)
    table = Table(title=f"profile of a {case.label}", title_justify="left", title_style="bold")
    for heading in ("part", f"calls of {name}", name, "of its step", f"calls of {OURS}", OURS):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    # Watched operations are timed one by one, which may take longer than the same in a row.
    whole = max(mine.step, mine.products.seconds + mine.passes.seconds)
    for one, other in ((mine.products, ours.products), (mine.passes, ours.passes), (mine.python, ours.python)):
        calls = [str(part.calls) if one.calls or other.calls else "" for part in (one, other)]
        share = f"{one.seconds / whole:.0%}"
        table.add_row(one.name, calls[0], duration(one.seconds), share, calls[1], duration(other.seconds))
    table.add_row("step", "", duration(mine.step), "", "", duration(ours.step))
    console.print(table)
    told = [one for one in changes(mine, ours, case) if one.seconds >= LEAST_SHARE * mine.step][:2]
    for head, change in zip(("most would be gained by", "then by"), told, strict=False):
        share = f"{change.seconds / mine.step:.0%} of the step"
        console.print(f"{head} {change.words}: {share}, {duration(change.seconds)}")
    if not told:
        console.print(f"nothing was found that would gain {LEAST_SHARE:.0%} of the step")
