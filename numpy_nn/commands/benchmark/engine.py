"""What every engine that is timed offers."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar

from numpy.typing import NDArray

from numpy_nn.commands.benchmark.workload import Workload
from numpy_nn.commands.machine.threads import blas_setter


class Engine(ABC):
    """One way to do the work of a case: it has a method of the name of each kind of work that it can do.

    Some kinds not every engine can do, such as the forward pass of scikit-learn, whose fit is one call;
    ``engines.py`` knows which those are, and leaves the engine out of such cases.

    ``pool`` names the pool of threads that it computes with; ``set_threads`` sets how many there are in it, where that
    can be done at any time, and ``adapts`` says whether an engine that was made for one number works with another.
    ``python_memory`` says whether tracemalloc sees what it allocates. All times are wall-clock times of finished work.
    """

    pool: ClassVar[str] = "numpy"
    python_memory: ClassVar[bool] = True
    adapts: bool = True
    mean_loss: Any = None  # of the last epoch's steps
    notes: Sequence[str] = ()  # what its numbers are to be read with

    def __init__(self, workload: Workload) -> None:
        self.workload, self.case = workload, workload.case
        self.held = ExitStack()
        self.set_threads = self.thread_setter()
        self.work: Callable[[], object] = getattr(self, self.case.kind)

    def thread_setter(self) -> Callable[[int], object] | None:
        """What ``set_threads`` is: for engines on NumPy, that of its BLAS."""
        return blas_setter()

    @abstractmethod
    def prepare(self) -> None:
        """What must come before the first call of the work."""

    def seconds(self, n: int) -> float:
        """Do the work ``n`` times; the seconds it took."""
        work, repeat = self.work, range(n)
        started = time.perf_counter()
        for _ in repeat:
            work()
        return time.perf_counter() - started

    def close(self) -> None:
        """Give back what it holds beside memory, once it is not needed any more."""
        self.held.close()

    @abstractmethod
    def step(self) -> None:
        """Forward, backward and update on the first batch, and its loss."""

    @abstractmethod
    def epoch(self) -> None:
        """A step on each batch, in a new order, and the mean loss."""

    @abstractmethod
    def inference(self) -> None:
        """The logits of all rows."""


class NetworkEngine(Engine):
    """An engine that trains a network, which the others' can be compared with."""

    @abstractmethod
    def loss(self) -> float:
        """The mean loss of the first batch with the present parameters."""

    @abstractmethod
    def parameters(self) -> list[NDArray[Any]]:
        """Copies of the parameters, each weight as (in, out) and then its bias."""

    def returned_gradients(self) -> list[NDArray[Any]] | None:
        """The gradients of the parameters on the first batch, in their order, where they can be seen beside a step."""
        return None


class TwoPassEngine(NetworkEngine):
    """An engine whose passes and update can be had one by one."""

    def prepare(self) -> None:
        """The passes that must come before "backward" and "optimizer"."""
        if self.case.kind in ("backward", "optimizer"):
            self.forward()
            self.backward()

    @abstractmethod
    def forward(self) -> None:
        """Logits and loss of the first batch."""

    @abstractmethod
    def backward(self) -> None:
        """The gradients of all parameters, after a forward pass."""

    @abstractmethod
    def optimizer(self) -> None:
        """One update from the gradients of the last backward pass."""


def rows_of(order: Any, batch: int) -> list[Any]:
    """The rows of each batch of an epoch in this order."""
    return [order[start : start + batch] for start in range(0, len(order), batch)]
