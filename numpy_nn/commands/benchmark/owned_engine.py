"""numpy_nn, trained by several processes, each of which owns some of the units."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import ClassVar

from numpy_nn.commands.benchmark.numpy_engines import Ours
from numpy_nn.commands.benchmark.workload import Workload
from numpy_nn.commands.machine.processors import usable_cores
from numpy_nn.owners import OwnedTraining


class InProcesses(Ours):
    """:class:`Ours` by :class:`~numpy_nn.owners.OwnedTraining`: a process of one thread for each thread of the others.

    On one thread it is one process, as ``numpy_nn`` is. What it adds up for an epoch is in the network at its end.
    """

    python_memory = False  # the others' is not seen
    # Threads of the BLAS that wait for more, as after numpy_nn's turn on two, would take a core from a process.
    pool: ClassVar[str] = "processes"
    adapts = False

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self.owned: OwnedTraining | None = None
        self._set_processes(usable_cores())

    def thread_setter(self) -> Callable[[int], object]:
        self._set_blas = super().thread_setter()
        return self._set_processes

    def _set_processes(self, number: int) -> None:
        if self._set_blas is not None:
            self._set_blas(1)
        if number == (self.owned.size if self.owned else 1):
            return
        self.close()
        self.owned = OwnedTraining(self.net, self.criterion, self._optimizer, number) if number > 1 else None
        if self.owned:
            self.held.callback(self.owned.close)
            weakref.finalize(self, self.held.close)

    def step(self) -> None:
        if self.owned:
            self.owned.step(self.x, self.y)
        else:
            super().step()

    def epoch(self) -> None:
        if not self.owned:
            super().epoch()
            return
        total = 0.0
        for x, y in self.owned.batches(self.loader):
            total += self.owned.step(x, y) * len(x)
        self.mean_loss = total / self.case.rows
