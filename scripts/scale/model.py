"""How long a step takes on p machines: a model with four numbers, two of the machine and two of the network.

    T(p) = fixed + operations / (p rate) + 2 (p - 1) latency + 2 (p - 1) / p  bytes / bandwidth

The last two terms are a ring all-reduce of ``bytes``, the size of the gradient: 2 (p - 1) messages one after the other,
each of bytes / p, which is the least that any algorithm can send (Patarasuk and Yuan, "Bandwidth optimal all-reduce
algorithms for clusters of workstations", 2009; for latency and bandwidth as the two numbers of a network see Thakur,
Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH", 2005). ``fixed`` is what every
machine does whatever its share: the optimizer's update of all parameters, and calls. Nothing overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Network(NamedTuple):
    """Seconds for a message of n bytes: latency + n / bandwidth."""

    name: str
    latency: float
    bandwidth: float


class Machine(NamedTuple):
    """Seconds for a step without a network: fixed + operations / rate."""

    fixed: float
    rate: float


# What is on the label of the cable, and latencies of a TCP message and of one past the kernel (RDMA): assumptions.
NETWORKS = (Network("10 Gb/s, 50 us", 50e-6, 1.25e9), Network("100 Gb/s, 5 us", 5e-6, 12.5e9))


def operations(sizes: Sequence[int], rows: float) -> float:
    """Multiplications and additions of the matrix products in a training step of a multilayer perceptron.

    A weight of m n numbers takes part in 2 m n operations a row for each of x W, x^T G and G W^T; the first layer does
    without the last.
    """
    weights = [m * n for m, n in pairwise(sizes)]
    return rows * (6 * sum(weights) - 2 * weights[0])


def parameters(sizes: Sequence[int]) -> int:
    """The number of weights and biases."""
    return sum(m * n + n for m, n in pairwise(sizes))


def bytes_sent(size: float, processes: int) -> float:
    """The bytes that each process sends, and receives, in a ring all-reduce of ``size`` bytes."""
    return 2 * (processes - 1) / processes * size


def all_reduce_seconds(size: float, processes: int, network: Network) -> float:
    """A ring all-reduce of ``size`` bytes."""
    return 2 * (processes - 1) * network.latency + bytes_sent(size, processes) / network.bandwidth


def step_seconds(
    sizes: Sequence[int], rows: float, processes: int, machine: Machine, network: Network, cores: int | None = None
) -> float:
    """T(p) for a batch of ``rows`` in all, of float32; ``cores`` is how many cores the processes share, if they do."""
    slower = 1.0 if cores is None else max(1.0, processes / cores)
    alone = machine.fixed + operations(sizes, rows / processes) / machine.rate
    return alone * slower + all_reduce_seconds(4 * parameters(sizes), processes, network)


def fit_machine(samples: Sequence[tuple[float, float]]) -> Machine:
    """From pairs of operations and seconds."""
    fixed, inverse_rate = _fit(np.array([(1.0, done) for done, _ in samples]), np.array([t for _, t in samples]))
    return Machine(fixed, 1.0 / inverse_rate)


def fit_network(name: str, samples: Sequence[tuple[int, float, float]]) -> Network:
    """From triples of processes, bytes and seconds of an all-reduce."""
    rows = [(2.0 * (p - 1), bytes_sent(size, p)) for p, size, _ in samples]
    latency, inverse_bandwidth = _fit(np.array(rows), np.array([t for *_, t in samples]))
    return Network(name, latency, 1.0 / inverse_bandwidth)


def _fit(terms: NDArray[np.float64], seconds: NDArray[np.float64]) -> tuple[float, float]:
    """The two coefficients >= 0 with the least squared relative errors.

    ValueError for fewer than two different samples, a time of 0, or times to which the second term contributes nothing.
    """
    if not seconds.all():
        raise ValueError("fit: expected times above 0, and in one of them the clock did not move; measure longer ones")
    scaled = terms / seconds[:, None]
    if len(seconds) < 2 or np.linalg.matrix_rank(scaled) < 2:
        raise ValueError(f"fit: expected at least two samples of different sizes, got {len(seconds)}")
    first, second = np.linalg.lstsq(scaled, np.ones(len(seconds)), rcond=None)[0]
    if first < 0.0:
        first, second = 0.0, float(scaled[:, 1].sum() / (scaled[:, 1] ** 2).sum())
    if second <= 0.0:
        raise ValueError("fit: the times do not grow with the size; measure again, with longer rounds")
    return float(first), float(second)
