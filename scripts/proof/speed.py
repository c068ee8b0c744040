"""How long checkers take for every parameter of a 784-64-10 network, and how much memory: ours beside torch's.

Each measurement runs in a process of its own, whose peak of resident memory only grows.
"""

from __future__ import annotations

import math
import multiprocessing
import statistics
import time
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

import numpy_nn as nn
from numpy_nn.commands.benchmark.memory import peak_of_this_process
from scripts.proof.rivals import HAS_TORCH

SIZES, BATCH, THREADS = (784, 64, 10), 8, 2
CHECKERS = ("ours", "torch, fast mode", "torch, slow mode") if HAS_TORCH else ("ours",)


class Measurement(NamedTuple):
    """Seconds, the growth of the peak of resident memory in MiB, and whether the verdict was "right"."""

    seconds: float
    mebibytes: float
    right: bool


def measure(checker: str, seed: int) -> Measurement:
    """Check the gradient of the outputs by every parameter and by the input, in this process."""
    rng = np.random.default_rng(seed)
    net = nn.MLP(SIZES, rng=rng, dtype=np.float64)
    x = rng.standard_normal((BATCH, SIZES[0]))
    with threadpool_limits(THREADS):
        if checker == "ours":
            from numpy_nn.gradcheck import check_gradients

            net.backward(np.ones_like(net(x)))  # the first matrix products load what later ones need
            before, start = _peak(), time.perf_counter()
            right = check_gradients(net, x, samples="all").ok
        else:
            import torch

            from torch_ref import to_torch

            torch.set_num_threads(THREADS)
            twin = to_torch(net)
            names = [name for name, _ in twin.named_parameters()]
            arrays = [torch.tensor(x, requires_grad=True), *twin.parameters()]

            def output(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
                values = dict(zip(names, parameters, strict=True))
                result: torch.Tensor = torch.func.functional_call(twin, values, (x,))
                return result

            output(*arrays).sum().backward()
            before, start = _peak(), time.perf_counter()
            right = torch.autograd.gradcheck(output, arrays, fast_mode="fast" in checker, raise_exception=False)
        return Measurement(time.perf_counter() - start, _peak() - before, bool(right))


def compare(rounds: int, seed: int) -> dict[str, Measurement]:
    """The medians over so many rounds, in each of which every checker has its turn; right if it was in all."""
    found: dict[str, list[Measurement]] = {checker: [] for checker in CHECKERS}
    context = multiprocessing.get_context("spawn")
    for index in range(rounds):
        for checker in CHECKERS:
            with context.Pool(1) as pool:
                found[checker].append(pool.apply(measure, (checker, seed + index)))
    return {
        checker: Measurement(
            statistics.median(m.seconds for m in runs),
            statistics.median(m.mebibytes for m in runs),
            all(m.right for m in runs),
        )
        for checker, runs in found.items()
    }


def _peak() -> float:
    """The peak of this process's resident memory in MiB; NaN on a system that does not tell it."""
    try:
        return peak_of_this_process() / 1024.0**2
    except OSError:
        return math.nan
