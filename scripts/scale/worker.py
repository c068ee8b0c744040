"""One process of a measurement by ``scaling.py``, alone or under torchrun; rank 0 prints what it measured as JSON."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from numpy_nn.commands.machine.blas_kernels import choose

    choose()  # before NumPy loads its BLAS

import numpy as np
import torch
import torch.distributed as dist
from threadpoolctl import threadpool_limits

import numpy_nn as nn
from numpy_nn.training import Progress
from torch_ref.distributed import AllReduce, Group, ShardedLoader, join, leave


class Clock(nn.Callback):
    """The time after each step."""

    def __init__(self) -> None:
        self.times = [time.perf_counter()]

    def on_batch_end(self, _: Progress) -> None:
        self.times.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """How long each step took; the first is left out, as it makes the arrays that the others keep."""
        return np.diff(self.times)[1:].tolist()


def step_seconds(sizes: Sequence[int], batch: int, steps: int, group: Group | None) -> list[float]:
    """Seconds of each of some steps of :func:`numpy_nn.fit` on made-up data, with ``batch`` rows over all processes."""
    rng = np.random.default_rng(0)
    # At least two steps an epoch, of which the first is not timed.
    rows = max(2 * batch, min(batch * (steps + 1), 16384 // batch * batch))
    x, y = rng.random((rows, sizes[0]), dtype=np.float32), rng.integers(0, sizes[-1], rows)
    net, loss = nn.MLP(sizes, rng=0), nn.CrossEntropyLoss()
    loader = nn.DataLoader(x, y, batch, rng=0)
    sharded = None if group is None else ShardedLoader(loader, group)
    optimizer = nn.SGD(net.parameters(), lr=0.01, momentum=0.9)
    seconds: list[float] = []
    while len(seconds) < steps:
        callbacks: list[nn.Callback] = [] if sharded is None else [AllReduce(net, loss, sharded)]
        clock = Clock()
        nn.fit(net, loss, optimizer, sharded or loader, 1, callbacks=[*callbacks, clock])
        seconds += clock.seconds()
    return seconds


def all_reduce_seconds(size: int, group: Group, rounds: int) -> float:
    """The median time of an all-reduce of ``size`` bytes."""
    array, times = np.zeros(size // 4, np.float32), []
    for _ in range(rounds + 3):
        started = time.perf_counter()
        group.sum_(array)
        times.append(time.perf_counter() - started)
    return statistics.median(times[3:])


def bytes_on_loopback(size: int, group: Group, rounds: int = 20) -> float | None:
    """Bytes that an all-reduce sends through the loopback device, all processes together; None if nobody counts."""
    array = np.zeros(size // 4, np.float32)
    dist.barrier()
    before = _loopback()
    dist.barrier()
    for _ in range(rounds):
        group.sum_(array)
    dist.barrier()
    after = _loopback()
    return None if before is None or after is None else (after - before) / rounds


def _loopback() -> int | None:
    """Bytes sent so far, with the headers of TCP and IP, from Linux's /proc/net/dev."""
    try:
        lines = Path("/proc/net/dev").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split(":")[1].split()[8]) for line in lines if line.strip().startswith("lo:")), None)


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """What ``task`` asks for: steps at some batch sizes; all-reduces of some sizes, where there are processes."""
    group = None
    if "RANK" in os.environ:
        store, rank, size = next(dist.rendezvous("env://"))
        group = join(store, rank, size)
    steps = {batch: step_seconds(task["sizes"], batch, task["steps"], group) for batch in task["batches"]}
    found: dict[str, Any] = {"steps": {batch: statistics.median(seconds) for batch, seconds in steps.items()}}
    found["quartiles"] = {batch: np.percentile(seconds, [25, 75]).tolist() for batch, seconds in steps.items()}
    if group is not None:
        # The same shares without the exchange, all processes at once: what they cost each other by sharing a machine.
        apart = {}
        for batch in task["batches"]:
            dist.barrier()
            apart[batch] = statistics.median(step_seconds(task["sizes"], batch // group.size, task["steps"], None))
        found["apart"] = apart
        found["all_reduce"] = {size: all_reduce_seconds(size, group, task["rounds"]) for size in task["messages"]}
        found["bytes"] = bytes_on_loopback(task["gradient"], group)
        leave()
    return found


def main() -> None:
    """Measure what the task in the first argument, as JSON, says."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        found = measure(json.loads(sys.argv[1]))
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(found))


if __name__ == "__main__":
    main()
