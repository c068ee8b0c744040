"""Show what ``--threads auto`` is worth: steps with every fixed number of threads and with the one that is found.

Each of them trains a network of its own on the same batches, and they take turns; without other processes, and with
one and two beside them that keep a core each busy. ``--quota`` does it in a control group that may use so many cores'
time (Linux, as root). A last column says whether training has the same bits on every number of threads.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from numpy_nn.commands.machine.blas_kernels import choose

    choose()  # before NumPy loads its BLAS

import argparse
import importlib.util
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import NamedTuple

import numpy as np

import numpy_nn as nn
from numpy_nn.commands.benchmark.report import duration, table_line
from numpy_nn.commands.command_line import Parser, listed, number, positive
from numpy_nn.commands.machine import description as machine
from numpy_nn.commands.machine.processors import quota, usable_cores
from numpy_nn.commands.machine.threads import Threads, blas_setter, counts_up_to, describe, given_back, settle

NETWORKS = {"784-64-10": 64, "784-512-10": 64, "784-1024-1024-1024-10": 256}
ENGINES = ("numpy", "torch")
# Batches in a turn's epoch, all different, so that no cache holds them.
BATCHES = 32
STEPS_FOR_BITS = 10
# Keeps a core busy for as long as the process is there that wants it, however that ends.
BUSY = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    for _ in range(1_000_000): pass
"""
GROUPS = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


class Way(NamedTuple):
    """A number of threads, or the search for one, and the network that is trained so."""

    name: str
    threads: Threads
    steps: Callable[[], Iterator[None]]
    parameters: Callable[[], bytes]


def numpy_steps(sizes: Sequence[int], batch: int) -> tuple[Callable[[], Iterator[None]], Callable[[], bytes]]:
    """An endless training in numpy_nn, a step at a time, and the bytes of its parameters."""
    net, loss = nn.MLP(sizes, rng=0), nn.CrossEntropyLoss()
    optimizer = nn.SGD(net.parameters(), 0.01)
    loader = nn.DataLoader(*_data(sizes, batch), batch, rng=0)

    def steps() -> Iterator[None]:
        while True:
            for x, y in loader:
                nn.train_step(net, loss, optimizer, x, y)
                yield

    return steps, lambda: b"".join(p.data.tobytes() for p in net.parameters())


def torch_steps(sizes: Sequence[int], batch: int) -> tuple[Callable[[], Iterator[None]], Callable[[], bytes]]:
    """The same in torch."""
    import torch

    from torch_ref import loss_to_torch, optimizer_to_torch, parameters_as_numpy, to_torch
    from torch_ref.training import make_step, resident_batches

    net = nn.MLP(sizes, rng=0)
    model, loss = to_torch(net), loss_to_torch(nn.CrossEntropyLoss())
    step = make_step(model, loss, optimizer_to_torch(nn.SGD(net.parameters(), 0.01), model))
    x, y = (torch.from_numpy(array) for array in _data(sizes, batch))
    loader = nn.DataLoader(x.numpy(), y.numpy(), batch, rng=0)

    def steps() -> Iterator[None]:
        while True:
            for rows in resident_batches(x, y, loader.indices()):
                step(*rows)
                yield

    return steps, lambda: b"".join(array.tobytes() for _, array in parameters_as_numpy(model))


def _data(sizes: Sequence[int], batch: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((BATCHES * batch, sizes[0]), np.float32), rng.integers(0, sizes[-1], BATCHES * batch)


def make(engine: str, network: str, counts: Sequence[int]) -> Way:
    """A way to train the network on one of these numbers of threads."""
    sizes, batch = [int(size) for size in network.split("-")], NETWORKS[network]
    if engine == "numpy":
        set_threads, (steps, parameters) = blas_setter(), numpy_steps(sizes, batch)
    else:
        import torch

        set_threads, (steps, parameters) = torch.set_num_threads, torch_steps(sizes, batch)
    name = "auto" if len(counts) > 1 else str(counts[0])
    return Way(name, Threads(counts, set_threads), steps, parameters)


def turn(way: Way, steps: Iterator[None], seconds: float) -> float:
    """Train for so long, one step at least, and until the clock has moved; the seconds of a step."""
    settle()  # threads of the turn before would go on waiting for work, and take a core meanwhile
    done, started = 0, time.perf_counter()
    with way.threads.epoch():
        taken = 0.0
        # Setting the threads alone may take longer than that on a busy machine.
        while not done or taken < seconds or not taken:
            next(steps)
            way.threads.step()
            done += 1
            taken = time.perf_counter() - started
    return taken / done


def same_bits(engine: str, network: str, counts: Sequence[int]) -> bool:
    """Whether a few steps of training end with the same parameters on every number of threads."""
    ends = set()
    for count in counts:
        way = make(engine, network, (count,))
        steps = way.steps()
        with way.threads.epoch():
            for _ in range(STEPS_FOR_BITS):
                next(steps)
        ends.add(way.parameters())
    return len(ends) == 1


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes keep a core busy each."""
    with ExitStack() as stack:
        for _ in range(processes):
            other = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY, str(os.getpid())]))
            stack.callback(other.kill)
        yield


@contextmanager
def limited_to(cores: float) -> Iterator[None]:
    """A control group for this process and those it starts, with so many cores' time. OSError where it is refused."""
    period = 100_000
    parent = next((group for group in GROUPS if (group / "tasks").exists() or (group / "cgroup.procs").exists()), None)
    if parent is None:
        raise OSError("--quota: no control groups are mounted here")
    group = parent / f"numpy_nn-{os.getpid()}"
    group.mkdir()
    try:
        if (group / "cpu.cfs_quota_us").exists():
            (group / "cpu.cfs_quota_us").write_text(str(int(cores * period)), encoding="ascii")
        else:
            (group / "cpu.max").write_text(f"{int(cores * period)} {period}", encoding="ascii")
        (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        (parent / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        group.rmdir()


class Use(NamedTuple):
    """What the machine's processors did so far, as Linux says it, and what this process had of them."""

    stat: str | None
    own: float
    time: float


def used_cores() -> Use:
    """So far."""
    stat = Path("/proc/stat")
    text = stat.read_text(encoding="utf-8") if stat.exists() else None
    return Use(text, time.process_time(), time.perf_counter())


def others(before: Use, after: Use) -> str:
    """How many cores other processes had in between, those that were started to be beside this one among them."""
    if before.stat is None or after.stat is None:
        return "?"
    everybody = (os.cpu_count() or 1) * machine.busy_share(before.stat, after.stat)
    return f"{max(0.0, everybody - (after.own - before.own) / (after.time - before.time)):.1f}"


def measure(engine: str, network: str, counts: Sequence[int], args: argparse.Namespace) -> Iterator[list[str]]:
    """A row for each number of processes beside this one: the step's time each way, the ratio to the best, the bits."""
    ways = [*(make(engine, network, (count,)) for count in counts), make(engine, network, counts_up_to(counts[-1]))]
    running = [(way, way.steps()) for way in ways]
    for way, steps in running:  # the first trial is a small part of a training, and would be a large one of this
        turn(way, steps, args.seconds)
        while not way.threads.settled:
            turn(way, steps, args.seconds)
    same = same_bits(engine, network, counts)
    for beside in args.beside:
        with busy(beside):
            before = used_cores()
            used = ways[-1].threads.used.copy()
            times: dict[str, list[float]] = {way.name: [] for way in ways}
            for index in range(args.rounds):
                for way, steps in running[index % len(running) :] + running[: index % len(running)]:
                    times[way.name].append(turn(way, steps, args.seconds))
            used = ways[-1].threads.used - used
            elsewhere = others(before, used_cores())
        fixed = {name: median(taken) for name, taken in times.items() if name != "auto"}
        best = min(fixed, key=lambda name: fixed[name])
        # Round by round, so that what slows a whole round down does not count.
        ratio = median(auto / one for auto, one in zip(times["auto"], times[best], strict=True))
        cells = [duration(seconds) for seconds in fixed.values()]
        yield [
            *(engine, network, str(beside), *cells, duration(median(times["auto"]))),
            *(f"{ratio:.2f}", describe(used), elsewhere, "same" if same else "differ"),
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    parser = Parser("threads_report", __doc__)
    for name, known in (("networks", tuple(NETWORKS)), ("engines", ENGINES)):
        parser.add_argument(f"--{name}", type=listed(known), default=list(known), metavar="NAMES", help="which")
    beside_help = "numbers of busy processes beside this one"
    parser.add_argument("--beside", type=_numbers, default=[0, 1, 2], metavar="N[,N...]", help=beside_help)
    parser.add_argument("--rounds", type=positive(int), default=7, metavar="N", help="turns each way")
    parser.add_argument("--seconds", type=positive(float), default=0.5, metavar="X", help="of each turn")
    most_help = "the most threads (default: as many as this process may use)"
    parser.add_argument("--most", type=positive(int), default=None, metavar="N", help=most_help)
    parser.add_argument("--quota", type=number(float, 0.01), default=None, metavar="X", help="cores' time a second")
    args = parser.parse_args(arguments)
    if "torch" in args.engines and importlib.util.find_spec("torch") is None:
        print("torch is not installed: its rows are left out")
        args.engines.remove("torch")
    try:
        with limited_to(args.quota) if args.quota else ExitStack():
            return report(args)
    except OSError as error:
        print(f"threads_report: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def report(args: argparse.Namespace) -> int:
    """Measure and print, row by row."""
    cores = usable_cores()
    counts = counts_up_to(args.most or max(2, cores))
    print(f"{machine.in_words(machine.describe(counts[-1]))}; quota {quota():g}, {cores} usable", flush=True)
    names = [f"{count} thread{'s' * (count > 1)}" for count in counts]
    heads = [
        "engine",
        "network",
        "busy beside",
        *names,
        "auto",
        "auto / best",
        "threads of auto",
        "cores of others",
        "bits",
    ]
    print(table_line(heads), table_line(["---"] * len(heads)), sep="\n", flush=True)
    with given_back():
        for engine in args.engines:
            for network in args.networks:
                for row in measure(engine, network, counts, args):
                    print(table_line(row), flush=True)
    return 0


def _numbers(text: str) -> list[int]:
    parse = number(int, 0)
    return [parse(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
