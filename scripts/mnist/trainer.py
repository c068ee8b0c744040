"""What the run asks of NumPy and of torch alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from numpy_nn.training import Metrics


class Trainer(Protocol):
    """An engine with a network that it trains, as the main loop sees NumPy and torch alike."""

    name: str
    # Sets how many threads it computes with; None where nobody can, or where it makes no difference.
    set_threads: Callable[[int], object] | None
    # Why one process trains, although several might have; "" otherwise.
    undivided: str

    def counts(self, threads: Sequence[int]) -> Sequence[int]:
        """On how many it may compute, of these that the user has in mind; -N stands for N processes."""

    def train_epoch(self, epoch: int, after_batch: Callable[[], None]) -> Metrics:
        """One pass over the training images, the ``epoch``-th from 1; running loss and accuracy."""

    def close(self) -> None:
        """End whatever else it runs."""

    def evaluate(self) -> Metrics:
        """Loss and accuracy on the test images."""

    def parameters(self) -> dict[str, NDArray[Any]]:
        """The present parameters by name, in numpy_nn's layout."""

    def save(self, folder: Path) -> Path:
        """Write the network into the folder."""

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next epoch depends on, as arrays by name."""

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what :meth:`state` gave; ValueError if it is not that of a trainer made alike."""
