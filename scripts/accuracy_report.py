"""How many units in the last place every activation is off, numpy_nn's beside torch's, against mpmath.

Where torch is not installed, numpy_nn's alone.

An error is |computed - exact| / ulp, where the ulp is that of the exact result rounded to the dtype. The columns
"worst" and "median" take the points where the result and the exponential in it (exp(-|x|) as a rule) are normal
numbers; "worst" is held to the limit of its line. Next to a derivative's own zero, as GELU's and SiLU's have it, an
absolute error of 2^-23 (float64: 2^-52) counts as none. The column "tail" is the largest error at all other points,
most of them subnormal results, whose ulp is the smallest subnormal number; "inf" there is a NaN or an overflow.

The points: evenly spaced on [-10, 10]; log-spaced from 1e-3 to 1000 and from the smallest subnormal number to the
largest, on both sides of 0; zeros, kinks, and the points where a formula of either engine switches, with their
neighbours. Softmax and log-softmax get rows: [t, c] with t from those points and four c; ten normal numbers times a
scale from 1e-3 to 200; ties. Their x is the distance from the row's largest entry.

Exits with 0 if numpy_nn's errors are within their limits, with 1 if one is not.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from numpy_nn.commands.command_line import Parser, number
from scripts.accuracy.exact_activations import CASES, ActivationCase
from scripts.accuracy.ulp import Array

DTYPES = (np.float32, np.float64)
HAS_TORCH = importlib.util.find_spec("torch") is not None
ENGINES = ("ours", "torch") if HAS_TORCH else ("ours",)

# Kinks; torch's threshold; GELU's reach; the ends of exp in both dtypes and of its square; several clips.
SWITCHES = (0.5, 1.0, 2.0, 3.0, 6.0, 20.0, 40.0, 87.3, 88.7, 103.9, 354.0, 708.3, 709.7, 745.1, 1000.0, 1e4, 1e4 / 0.3)


def points(dtype: Any, n: int) -> Array:
    """About ``n`` numbers, as the module says."""
    info = np.finfo(dtype)
    special = np.array([*SWITCHES, info.eps, info.tiny, info.max, info.smallest_subnormal], dtype)
    with np.errstate(over="ignore"):
        special = np.concatenate([special, np.nextafter(special, dtype(np.inf)), np.nextafter(special, dtype(0))])
    ends = np.log(float(info.smallest_subnormal)), np.log(float(info.max))
    whole = np.exp(np.linspace(*ends, n // 8 + 2)[1:-1])
    magnitudes = np.concatenate([np.linspace(0, 10, n // 8), np.geomspace(1e-3, 1000, n // 4), whole]).astype(dtype)
    magnitudes = np.concatenate([magnitudes, special[np.isfinite(special)]])
    return np.unique(np.concatenate([-magnitudes, magnitudes]))


def rows(dtype: Any, n: int) -> list[Array]:
    """About ``n`` rows of 2 and of 10 entries, as the module says."""
    t = points(dtype, n // 2)
    pairs = np.stack([t, np.resize(np.array([0.0, 1.0, 10.0, -3.3], dtype), t.size)], axis=1)
    scales = np.geomspace(1e-3, 200, n // 8)[:, None]
    tens = (np.random.default_rng(0).standard_normal((n // 8, 10)) * scales).astype(dtype)
    tens[::5, 1] = tens[::5, 0]
    return [pairs, tens]


@dataclass(frozen=True)
class Measured:
    """One line of the table: errors in ulp at every point, by engine."""

    name: str
    dtype: Any
    limit: float
    x: Array
    held: NDArray[np.bool_]
    errors: dict[str, Array]

    def worst(self, engine: str) -> tuple[float, float]:
        """The largest error where the limit holds, and its x."""
        error = np.where(self.held, self.errors[engine], -1.0)
        return float(error.max()), float(self.x[error.argmax()])

    @property
    def ok(self) -> bool:
        """Whether numpy_nn is within the limit."""
        return self.worst("ours")[0] <= self.limit


def by_torch(case: ActivationCase, x: Array) -> tuple[Array, Array]:
    """Value and derivative, by autograd, of the torch twin."""
    import torch

    from torch_ref import to_torch

    module, leaf = to_torch(case.layer(x.dtype)), torch.tensor(np.ascontiguousarray(x), requires_grad=True)
    value = module(leaf) * 1.0  # Identity returns the leaf itself
    if case.activation.elementwise:
        (derivative,) = torch.autograd.grad(value.sum(), leaf)
    else:
        columns = [torch.autograd.grad(v.sum(), leaf, retain_graph=True)[0] for v in value.unbind(1)]
        derivative = torch.stack(columns, dim=1)
    return value.detach().numpy(), derivative.numpy()


def measure(case: ActivationCase, x: Array) -> Iterator[tuple[Array, NDArray[np.bool_], dict[str, Array]]]:
    """For value and derivative: x, where the limit holds, and the errors of both engines."""
    exact = case.truth(x)
    activation, options = case.activation, case.arguments(x.dtype)
    ours = activation.function(x, **options), activation.derivative(x, **options)
    computed = {"ours": ours} | ({"torch": by_torch(case, x)} if HAS_TORCH else {})
    errors = {engine: case.errors(x, exact, pair) for engine, pair in computed.items()}
    for i, values in enumerate(ours):
        where = x
        if not activation.elementwise:
            with np.errstate(over="ignore"):
                distance = x - x.max(axis=1, keepdims=True)
            where = np.broadcast_to(distance.reshape(values.shape[:1] + (1,) * i + distance.shape[1:]), values.shape)
        yield where.ravel(), case.held(x, exact[i]), {engine: pair[i] for engine, pair in errors.items()}


def measure_all(names: Sequence[str], n: int, console: Console) -> list[Measured]:
    """Every case in both dtypes."""
    jobs = [(name, dtype) for name in names for dtype in DTYPES]
    measured = []
    for name, dtype in track(jobs, "mpmath", console=console, transient=True, disable=not console.is_terminal):
        case = CASES[name]
        samples = [points(dtype, n)] if case.activation.elementwise else rows(dtype, n // 4)
        parts = [list(measure(case, x)) for x in samples]
        for i, mark in enumerate(("", "'")):
            x, held, errors = zip(*(part[i] for part in parts), strict=True)
            joined = {engine: np.concatenate([e[engine] for e in errors]) for engine in ENGINES}
            limit = case.limits(dtype)[i]
            measured.append(Measured(name + mark, dtype, limit, np.concatenate(x), np.concatenate(held), joined))
    return measured


HEADER = ("", "dtype", "limit", *(f"{e} {c}" for e in ENGINES for c in ("worst", "at x", "median", "tail")))


def cells(m: Measured) -> list[str]:
    """A line of the table."""
    line = [m.name, np.dtype(m.dtype).name, f"{m.limit:g}"]
    for engine in ENGINES:
        (worst, x), error = m.worst(engine), m.errors[engine]
        line += [two_decimals(worst), f"{x:.6g}" if worst else "-", two_decimals(float(np.median(error[m.held])))]
        line.append(two_decimals(float(error[~m.held].max())) if not m.held.all() else "-")
    return line


def two_decimals(value: float) -> str:
    """Two decimals, or a power of ten."""
    return f"{value:.2f}" if value < 1e4 else f"{value:.0e}"


def show(header: Sequence[str], lines: Sequence[Sequence[str]], console: Console, markdown: bool) -> None:
    """A table for the terminal, or in Markdown."""
    if markdown:
        rule = ["---"] + ["---:"] * (len(header) - 1)
        for line in (header, rule, *lines):
            print(f"| {' | '.join(line)} |")
        return
    table = Table(box=None, pad_edge=False)
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i > 1 else "left", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    console.print(table)


def draw(measured: Sequence[Measured], path: Path) -> None:
    """Error against x, torch's wide and light, ours dark.

    Shown are the activations that are ever off by more than 1 ulp, or all if none is.
    """
    from matplotlib.figure import Figure

    rough = {m.name.rstrip("'") for m in measured if max(m.worst(engine)[0] for engine in m.errors) > 1.0}
    # A row for each activation: value and derivative in float32, then in float64.
    shown = [m for m in measured if m.name.rstrip("'") in rough] or list(measured)
    figure = Figure(figsize=(9.5, 1.15 * len(shown) / 4 + 0.8), layout="constrained")
    axes = figure.subplots(len(shown) // 4, 4, sharex=True, squeeze=False).ravel()
    # torch first, so that ours lies over it.
    styles = {"torch": {"color": "0.72", "linewidth": 2.4}, "ours": {"color": "0.0", "linewidth": 0.9}}
    edges = np.concatenate([-np.geomspace(1e3, 1e-3, 60), np.geomspace(1e-3, 1e3, 60)])
    for ax, m in zip(axes, shown, strict=True):
        ax.axhline(m.limit, color="0.4", linewidth=0.7, linestyle=":")
        for engine in reversed(ENGINES):
            held = m.held & (np.abs(m.x) < 1e3)
            worst = np.full(edges.size + 1, np.nan)
            np.fmax.at(worst, np.searchsorted(edges, m.x[held]), np.clip(m.errors[engine][held], 0.05, 1e17))
            seen = np.isfinite(worst[1:-1])
            ax.plot(((edges[1:] + edges[:-1]) / 2)[seen], worst[1:-1][seen], label=engine, **styles[engine])
        ax.set_xscale("symlog", linthresh=1e-3, linscale=0.4)
        ax.set_xticks([-1e3, -1, 0, 1, 1e3])
        ax.set_yscale("log")
        ax.set_ylim(0.04, max(40.0, *(3 * m.worst(engine)[0] for engine in ENGINES)))
        ax.set_title(f"{m.name}, {np.dtype(m.dtype).name}", fontsize=8, pad=2)
        ax.tick_params(labelsize=6)
        ax.minorticks_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=8)
    figure.supylabel("largest error, ulp (dotted: the limit)", fontsize=9)
    figure.supxlabel("x", fontsize=9)
    figure.savefig(path, dpi=75)


def naive_sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), as on paper."""
    return 1.0 / (1.0 + np.exp(-x))


def naive_gelu_gate(x: Array) -> Array:
    """(1 + tanh(w / 2)) / 2, as on paper."""
    return 0.5 * (1.0 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def naive_softmax(x: Array) -> Array:
    """Without care for the rounding of x - max."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# What the textbook writes, for the time that better formulas cost. Each allocates as it goes, as textbooks do.
NAIVE: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array] | None]] = {
    "sigmoid": (naive_sigmoid, lambda x: naive_sigmoid(x) * (1.0 - naive_sigmoid(x))),
    "tanh": (np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
    "elu": (lambda x: np.where(x > 0, x, np.exp(x) - 1.0), lambda x: np.where(x > 0, 1.0, np.exp(x))),
    "gelu_tanh": (lambda x: x * naive_gelu_gate(x), None),
    "silu": (lambda x: x * naive_sigmoid(x), lambda x: naive_sigmoid(x) * (1.0 + x * (1.0 - naive_sigmoid(x)))),
    "softplus": (lambda x: np.log(1.0 + np.exp(x)), naive_sigmoid),
    "softmax": (naive_softmax, None),
    "log_softmax": (lambda x: np.log(naive_softmax(x)), None),
}


def calls_of_torch(case: ActivationCase, x: Array) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Forward and backward of the torch twin, on one thread."""
    import torch

    from torch_ref import to_torch

    torch.set_num_threads(1)
    module, leaf = to_torch(case.layer(x.dtype)), torch.tensor(x, requires_grad=True)
    value = module(leaf) * 1.0
    backward = partial(torch.autograd.grad, value, leaf, torch.ones(x.shape), retain_graph=True)
    return partial(module, leaf.detach()), backward


def speed(names: Sequence[str], rounds: int = 15) -> Iterator[list[str]]:
    """Nanoseconds an element on a float32 batch of 64 x 512, one thread: the best of the rounds, which alternate."""
    x = np.random.default_rng(0).standard_normal((64, 512)).astype(np.float32)
    for name in names:
        layer = CASES[name].layer(x.dtype)
        layer.forward(x)
        value_naive, derivative_naive = NAIVE.get(name, (None, None))
        of_torch = [[call] for call in calls_of_torch(CASES[name], x)] if HAS_TORCH else [[], []]
        runs: list[Callable[[], Any] | None] = [
            partial(layer.forward, x),
            value_naive and partial(value_naive, x),
            *of_torch[0],
            partial(layer.backward, np.ones_like(x)),
            derivative_naive and partial(derivative_naive, x),
            *of_torch[1],
        ]
        best = [np.inf] * len(runs)
        for _ in range(rounds):
            for i, run in enumerate(runs):
                if run is not None:
                    start = time.perf_counter()
                    for _ in range(10):
                        run()
                    best[i] = min(best[i], (time.perf_counter() - start) / 10 / x.size * 1e9)
        yield [name, *("-" if b == np.inf else f"{b:.2f}" for b in best)]


SPEED_HEADER = (
    "ns an element",
    *(f"{e} {c}" for c in ("forward", "backward") for e in ("ours", "naive", *["torch"] * HAS_TORCH)),
)


def picture(text: str) -> Path:
    """The name of a picture in a folder that exists."""
    path = Path(text)
    if path.suffix != ".png" or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"expected the name of a .png file in a folder that exists, got {text!r}")
    return path


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser("accuracy_report", __doc__)
    parser.add_argument(
        "--points", type=number(int, 64), default=4000, metavar="N", help="for each activation and dtype"
    )
    parser.add_argument(
        "--only", choices=tuple(CASES), nargs="+", default=tuple(CASES), metavar="NAME", help="of these"
    )
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    parser.add_argument("--out", type=picture, metavar="FILE.png", help="draw error against x into this file")
    parser.add_argument("--speed", action="store_true", help="time both engines and the textbook's formulas as well")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    args = parse(arguments)
    # Wide enough for the table also where the output is no terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    start = time.perf_counter()
    try:
        measured = measure_all(args.only, args.points, console)
        show(HEADER, [cells(m) for m in measured], console, args.markdown)
        misses = [m for m in measured if not m.ok]
        for m in misses:
            worst, x = m.worst("ours")
            print(f"{m.name} in {np.dtype(m.dtype).name}: {worst:.2f} ulp at x = {x!r}, limit {m.limit:g}")
        verdict = f"{len(misses)} beyond their limits" if misses else "all within their limits"
        seconds = time.perf_counter() - start
        print(f"{len(measured)} functions, {args.points} points each: ours {verdict}; {seconds:.1f} s")
        if not HAS_TORCH:
            print("torch is not installed: its errors are left out")
        if args.speed:
            print("float32, batches of 64 x 512, one thread; the textbook's backward is the derivative alone")
            show(SPEED_HEADER, list(speed(args.only)), console, args.markdown)
        if args.out:
            draw(measured, args.out)
            print(f"written: {args.out}")
    except OSError as error:
        print(f"accuracy_report: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("accuracy_report: interrupted", file=sys.stderr)
        return 130
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
