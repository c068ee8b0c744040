"""What ``numpy-nn benchmark`` does: it measures case by case, and prints and writes the tables."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from threadpoolctl import threadpool_limits

import numpy_nn as nn
from numpy_nn.commands.benchmark import layer_costs, memory, products, profile, report
from numpy_nn.commands.benchmark.arguments import NOT_QUICK, parse
from numpy_nn.commands.benchmark.cases import CLASSES, DTYPES, PIXELS, SUITES, Case, Suite, adapted
from numpy_nn.commands.benchmark.engines import ENGINES, MODULES, ON_CUDA, PROCESSES, does, has_cuda, missing
from numpy_nn.commands.benchmark.making import make_engines
from numpy_nn.commands.benchmark.mine import left_out, registered
from numpy_nn.commands.benchmark.threads import OnThreads
from numpy_nn.commands.benchmark.timing import run_rounds
from numpy_nn.commands.benchmark.workload import Workload
from numpy_nn.commands.command_line import not_compiled
from numpy_nn.commands.machine import blas_kernels
from numpy_nn.commands.machine import description as machine
from numpy_nn.commands.machine.threads import blas_setter, settle

# A table in a file or a pipe needs no less room than in a wide window.
TABLE_WIDTH = 150
LAYER_WIDTHS = (64, 512)
# Where products are nearly all there is.
LARGE_SIZES, LARGE_BATCH = (784, 2048, 2048, 10), 256


def measure(
    case: Case,
    names: Sequence[str],
    args: argparse.Namespace,
    mnist: nn.MNIST | None,
    after_turn: Callable[[], None] = lambda: None,
) -> report.Result:
    """Make the engines, let them agree, and time them; ``after_turn`` is called for each of them and round."""
    engines = make_engines(Workload(case, mnist), names)
    with ExitStack() as stack:
        for engine in engines.values():
            stack.enter_context(closing(engine))
        ways = {name: OnThreads(engine, args.counts) for name, engine in engines.items()}
        seconds = run_rounds(ways, args.rounds, sample_seconds=args.sample_ms / 1000, after_turn=after_turn)
        result = report.Result(case, seconds)
        result.threads = {name: sorted(way.used) for name, way in ways.items()}
        for name, engine in engines.items():
            if engine.python_memory:
                result.allocated[name] = memory.bytes_allocated(engine.work)
            if args.peak_memory:
                result.memory[name] = memory.peak_memory(name, case, args.mine_words if name == args.mine_name else ())
            result.notes += engine.notes
    return result


def peak_rate(dtype: str, counts: Sequence[int]) -> float:
    """The peak of the BLAS with one thread or with the most, whichever is higher: of a busy machine, one's."""
    set_blas = blas_setter()
    rates = []
    for count in dict.fromkeys((counts[-1], counts[0])):
        if set_blas is not None:
            set_blas(count)
        rates.append(machine.peak_rate(dtype))
    return max(rates)


def load_mnist_for(cases: Sequence[Case], root: Path) -> nn.MNIST | None:
    """MNIST, if a case works on its rows: epochs and inference of networks that fit it."""
    dtypes = {case.dtype for case in cases if uses_mnist(case)}
    if not dtypes:
        return None
    return nn.load_mnist(root, dtype=max(dtypes))  # float32 rows are made of float64 ones where both are asked for


def uses_mnist(case: Case) -> bool:
    """Whether the case runs over MNIST rather than over random rows."""
    return case.kind in ("epoch", "inference") and (case.sizes[0], case.sizes[-1]) == (PIXELS, CLASSES)


@contextmanager
def turns(
    cases: Sequence[Case], names: Sequence[str], rounds: int, console: Console
) -> Generator[Callable[[], None], None, None]:
    """A bar with the time left, in a terminal; what is given is to be called after each turn of an engine."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # It is drawn between turns only: a thread that draws would disturb what is timed.
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal, auto_refresh=False)
    with bar:
        task = bar.add_task("turns", total=rounds * sum(does(name, case) for case in cases for name in names))

        def after_turn() -> None:
            bar.update(task, advance=1, refresh=True)

        yield after_turn


def run_cases(
    suite: Suite, cases: Sequence[Case], names: Sequence[str], args: argparse.Namespace, console: Console
) -> int:
    """Measure, print as it goes, and write what was asked for; after Ctrl-C with the cases done so far.

    Returns the exit status.
    """
    mnist = load_mnist_for(cases, args.data)
    facts = machine.describe(args.counts[-1], cuda=any(name in ON_CUDA for name in names), auto=len(args.counts) > 1)
    console.print(machine.in_words(facts))
    busy = [machine.busy_cores()]
    peaks: dict[str, float] = {}
    results: list[report.Result] = []
    started, status = time.perf_counter(), 0
    try:
        with turns(cases, names, args.rounds, console) as after_turn:
            for case in cases:
                # Again for each case: what else the machine does can only make it less than it is.
                peaks[case.dtype] = max(peaks.get(case.dtype, 0.0), peak_rate(case.dtype, args.counts))
                result = measure(case, names, args, mnist if uses_mnist(case) else None, after_turn)
                results.append(result)
                report.print_result(result, peaks, console)
    except KeyboardInterrupt:
        console.print(f"interrupted after {len(results)} of {len(cases)} cases; writing what there is")
        status = 130
    seconds = time.perf_counter() - started
    settle()
    busy.append(machine.busy_cores())
    facts["busy_cores_before_and_after"] = busy
    warnings = [line for number in busy if (line := machine.busy_warning(number, args.counts[-1]))][-1:]
    warnings += [line for result in results for line in result.warnings()]
    for dtype, rate in peaks.items():
        console.print(f"measured peak of the BLAS, {dtype}: {rate / 1e9:.0f} GFLOP/s")
    report.print_slopes(report.slopes(results, suite.x), suite.x, console)
    for line in warnings:
        console.print(f"warning: {line}")
    console.print(f"cases: {len(results)}, rounds: {args.rounds}, {seconds:.0f} s")
    if results:
        content = {
            "suite": suite.name,
            "machine": facts,
            "peak": peaks,
            "rounds": args.rounds,
            "results": [report.to_json(result, peaks) for result in results],
            "slopes": report.slopes(results, suite.x),
            "warnings": warnings,
        }
        write(suite, content, results, peaks, args, console)
    return status


def write(
    suite: Suite,
    content: dict[str, Any],
    results: Sequence[report.Result],
    peaks: dict[str, float],
    args: argparse.Namespace,
    console: Console,
) -> None:
    """The files that were asked for."""
    words = machine.in_words(content["machine"])
    writers: dict[Path | None, Callable[[Path], Any]] = {
        args.json: lambda path: path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8"),
        args.markdown: lambda path: path.write_text(
            report.markdown(f"Benchmark: {suite.about}", results, peaks, words, suite.x, content["warnings"]),
            encoding="utf-8",
        ),
        args.png: lambda path: report.draw(results, suite.x, f"{suite.about}\n{words}", path),
    }
    written = []
    for path, writer in writers.items():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            writer(path)
            written.append(str(path))
    if written:
        console.print(f"written: {', '.join(written)}")


def show_blas(threads: int, console: Console) -> None:
    """The kernels that were found and chosen, and the rates of all."""
    for line in machine.explain(blas_kernels.choose()):
        console.print(line)
    kernels = machine.rates_of_kernels(threads)
    for dtype in DTYPES:
        table = Table(title=f"GFLOP/s, {dtype}, --threads {threads}", title_justify="left", title_style="bold")
        table.add_column("kernels")
        for shape in kernels[0]["rates"][dtype]:
            table.add_column(shape, justify="right")
        for row in kernels:
            name = row["asked"] or f"OpenBLAS's own choice, {row['kernels'] or 'unnamed'}"
            table.add_row(name, *(f"{rate / 1e9:.0f}" for rate in row["rates"][dtype].values()))
        console.print(table)


def show_products(args: argparse.Namespace, console: Console) -> None:
    """The products of a step, of NumPy's BLAS and of torch's."""
    sizes, batch = tuple(args.sizes or LARGE_SIZES), args.batch or (64 if args.sizes else LARGE_BATCH)
    for dtype in args.dtype or DTYPES[:1]:
        case = Case("step", sizes, batch=batch, dtype=dtype)
        products.show(case, args.counts[-1], args.rounds, args.sample_ms / 1000, console)


def show_layers(args: argparse.Namespace, console: Console) -> None:
    """What every layer costs, at each width and dtype."""
    most = args.counts[-1]
    console.print(machine.in_words(machine.describe(most)))
    with threadpool_limits(most):
        for width in dict.fromkeys(args.sizes[1:-1] if args.sizes else LAYER_WIDTHS):
            for dtype in args.dtype or DTYPES[:1]:
                layer_costs.show(args.batch or 64, width, dtype, args.rounds, args.sample_ms / 1000, console)


def choose_cases(args: argparse.Namespace) -> tuple[Suite, list[Case]]:
    """The suite, or one made of ``--sizes``, with the dtypes, optimizers and rows of the command line."""
    suite = SUITES[args.suite]
    if args.sizes is not None:
        made = tuple(Case(kind, tuple(args.sizes), batch=args.batch or 64) for kind in args.kind or ["step"])
        suite = Suite("custom", "-".join(map(str, args.sizes)), "parameters", made)
    cases = adapted(suite.cases, dtypes=args.dtype, optimizers=args.optimizer, rows=args.rows)
    return suite, cases


def choose_engines(args: argparse.Namespace) -> list[str]:
    """The engines, in the order of the tables. ValueError for one that cannot run here."""
    if args.engines is None:
        without = (() if args.gpu else ON_CUDA) + (NOT_QUICK if args.suite == "quick" and not args.sizes else ())
        without += (PROCESSES,) * (args.counts[-1] == 1)  # it would be one process, as numpy_nn is
        return [name for name in ENGINES if name not in without and missing(name) is None]
    for name in args.engines:
        if lacking := missing(name):
            raise ValueError(f"--engines: {lacking}")
    return [name for name in ENGINES if name in args.engines or name == args.mine_name]


def prepare_for_gpu(args: argparse.Namespace, suite: str) -> None:
    """With ``--gpu``: name the files after the device, or say that there is none."""
    if not has_cuda():
        print("benchmark: --gpu: torch finds no CUDA device here; the engines on the CPU run alone", file=sys.stderr)
        device = "cpu"
    else:
        import torch

        device = re.sub(r"\W+", "-", torch.cuda.get_device_name(0)).strip("-").lower()
    for kind, ending in (("json", "json"), ("markdown", "md"), ("png", "png")):
        if getattr(args, kind) is None:
            setattr(args, kind, Path("runs") / f"benchmark-{suite}-{device}.{ending}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    return run(parse(arguments))


def run(args: argparse.Namespace) -> int:
    """Measure what was asked for; return the exit status."""
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, TABLE_WIDTH)
    with ExitStack() as stack:
        return carried_out(args, console, stack)


def carried_out(args: argparse.Namespace, console: Console, stack: ExitStack) -> int:
    """Do what was asked for; return the exit status."""
    most = args.counts[-1]
    try:
        if args.blas:
            show_blas(most, console)
            show_products(args, console)
            return 0
        if args.layers:
            show_layers(args, console)
            return 0
        suite, cases = choose_cases(args)
        if args.gpu:
            prepare_for_gpu(args, suite.name)
        if args.mine:
            args.mine_name, notes = stack.enter_context(registered(args.mine, args.init))
            for line in [*notes, *left_out(args.mine_name, cases)]:
                console.print(line)
        names = choose_engines(args)
        if args.engines is None and (lacking := missing("torch")):
            console.print(f"{lacking}: its rows are left out")
        set_threads(names, most)
        with threadpool_limits(most):
            if args.profile:
                return show_profiles(cases, args.mine_name, console)
            return run_cases(suite, cases, names, args, console)
    except (OSError, ValueError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if not (why := not_compiled(error)):
            raise
        print(f"benchmark: {why}; leave torch.compile out of --engines", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmark: interrupted before the first case", file=sys.stderr)
        return 130


def show_profiles(cases: Sequence[Case], name: str, console: Console) -> int:
    """What the user's step is made of, in each case that is a step and that it agrees with the others in."""
    steps = [case for case in cases if case.kind == "step" and does(name, case)]
    if not steps:
        raise ValueError("--profile: expected --kind step, of which it tells the parts")
    for case in steps:
        make_engines(Workload(case), [name])
        profile.show(case, name, console)
    return 0


def set_threads(names: Sequence[str], threads: int) -> None:
    """Load the libraries, since threadpoolctl limits only what is there, and tell those that do not listen to it.

    ValueError for a peer that is installed and cannot be imported.
    """
    if any(MODULES.get(name) == "torch" for name in names):
        import torch

        torch.set_num_threads(threads)
    try:
        if "scikit-learn" in names:
            importlib.import_module("sklearn.neural_network")
        if "jax" in names:
            from numpy_nn.commands.benchmark.peer_engines import limit_jax_threads

            limit_jax_threads(threads)
            importlib.import_module("jax")
    except ImportError as error:
        raise ValueError(f"a peer is installed, but not to be imported: {error}; name others by --engines") from error
