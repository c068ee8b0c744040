"""The matrix products of a step, one by one, as NumPy's BLAS and torch's multiply them.

Where a network is large its products are nearly all there is, and how a step compares with torch's is how these do.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from numpy_nn.commands.benchmark.cases import Case
from numpy_nn.commands.benchmark.numpy_engines import Floor, Product
from numpy_nn.commands.benchmark.timing import Interval, Piece, ratios, run_rounds
from numpy_nn.commands.benchmark.workload import Workload
from numpy_nn.commands.machine.description import blas
from numpy_nn.commands.machine.threads import blas_setter

OURS, THEIRS = "NumPy", "torch"
# What else NumPy multiplies with, said where it is OpenBLAS.
OTHERS = (
    'NumPy from conda-forge multiplies with MKL after conda install "libblas=*=*mkl"; its wheels for macOS 14 and '
    "newer on Apple's processors do with Accelerate"
)


class ProductTime(NamedTuple):
    """The seconds of one product in each library, and torch's over NumPy's, round by round."""

    name: str
    operations: int
    seconds: dict[str, list[float]]

    @property
    def over(self) -> Interval | None:
        """Torch's time over NumPy's; None without torch."""
        return ratios(self.seconds, OURS)[THEIRS] if THEIRS in self.seconds else None


def product_times(case: Case, threads: int, rounds: int, sample_seconds: float) -> Iterator[ProductTime]:
    """Of each product of a step, on that many threads in both libraries."""
    set_blas = blas_setter()
    if set_blas is not None:
        set_blas(threads)
    for name, product in _products(case):
        (m, k), n = product[0].shape, product[1].shape[1]
        pieces = {OURS: Piece(partial(np.matmul, product[0], product[1], out=product[2]))}
        if importlib.util.find_spec("torch") is not None:
            import torch

            torch.set_num_threads(threads)
            a, b, out = (torch.from_numpy(array) for array in product)  # the same memory
            pieces[THEIRS] = Piece(partial(torch.matmul, a, b, out=out), "openmp")
        yield ProductTime(name, 2 * m * k * n, run_rounds(pieces, rounds, sample_seconds=sample_seconds))


def _products(case: Case) -> Iterator[tuple[str, Product]]:
    """The products of a step in their order, by what they are for; W1 is the first layer's weight."""
    floor = Floor(Workload(case))
    for number, product in enumerate(floor._forward_products(case.batch), start=1):
        yield f"y{number} = x{number} W{number}", product
    number = len(case.sizes) - 1
    for index, (a, b, out) in enumerate(floor._backward_products(case.batch)):
        if index % 2 == 0:
            yield f"dW{number} = x{number}^T G{number}", (a.T, b, out)
        else:
            yield f"dx{number} = G{number} W{number}^T", (a, b, out)
            number -= 1


def show(case: Case, threads: int, rounds: int, sample_seconds: float, console: Console) -> None:
    """A table of the products, and of all of them together."""
    network = f"{'-'.join(map(str, case.sizes))}, batch {case.batch}, {case.dtype}"
    title = f"products of a step, {network}, --threads {threads}"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("product")
    for heading in ("NumPy, GFLOP/s", "torch, GFLOP/s", "torch over NumPy", "95% interval"):
        table.add_column(heading, justify="right")
    times = list(product_times(case, threads, rounds, sample_seconds))
    everything = {
        library: [sum(turn) for turn in zip(*(time.seconds[library] for time in times), strict=True)]
        for library in times[0].seconds
    }
    for time in (*times, ProductTime("all of them", sum(time.operations for time in times), everything)):
        over = time.over
        rates = [f"{time.operations / np.median(seconds) / 1e9:.0f}" for seconds in time.seconds.values()]
        told = [f"{over.median:.2f}", f"{over.low:.2f} .. {over.high:.2f}"] if over else ["", ""]
        table.add_row(time.name, *rates, *[""] * (2 - len(rates)), *told)
    console.print(table)
    if blas()["name"] == "openblas":
        console.print(OTHERS)
