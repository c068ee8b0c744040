"""Early stopping: an end of training when nothing has got better for a while, with the best weights."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from numpy_nn._support.checks import choice, count, number
from numpy_nn.layers import Layer
from numpy_nn.training.loop import Callback, Progress

MONITORS = ("test_loss", "test_accuracy", "train_loss", "train_accuracy")


class EarlyStopping(Callback):
    """Ends :func:`~numpy_nn.fit` after ``patience`` epochs in a row without a better value of ``monitor``.

    A loss is better below best - ``min_delta``, an accuracy above best + ``min_delta``. With ``restore_best_weights``
    the network has the parameters and buffers of the best epoch when fit ends, at this stop or after its last epoch;
    this callback then stands behind all that change them. (Prechelt, "Early stopping - but when?", 1998.)

    To go on with a stopped run, give it to ``TrainingState(..., stopping=)``, which keeps the best value, its epoch and
    its weights; :class:`~numpy_nn.SaveTrainingState` stands behind it. Used for a second fit without, it goes on
    comparing with the best epoch of the first: make a new one for another run.

    ValueError for a ``monitor`` of another name or, in fit, of which an epoch has no value, as without a test set.
    """

    def __init__(
        self, patience: int, min_delta: float = 0.0, monitor: str = "test_loss", restore_best_weights: bool = True
    ) -> None:
        self.patience = count(patience, "patience")
        self.min_delta = number(min_delta, "min_delta", low=0.0)
        self.monitor = choice(monitor, "monitor", MONITORS)
        self.restore_best_weights = restore_best_weights
        self.best = math.inf if monitor.endswith("loss") else -math.inf
        self.best_epoch = 0
        self.best_state: dict[str, NDArray[Any]] = {}

    def watch(self, net: Layer) -> None:
        """Make room for the weights of this network, if there is none yet."""
        if self.restore_best_weights and not self.best_state:
            self.best_state = net.state_dict()

    def on_fit_begin(self, progress: Progress) -> None:
        """Stop a run again that was stopped before it was saved."""
        self.watch(progress.net)
        progress.stop = progress.stop or self._is_over(len(progress.history.epochs))

    def on_epoch_end(self, progress: Progress) -> None:
        """Look at the epoch; stop, and put the best weights back."""
        epoch = progress.history.epochs[-1]
        value = getattr(epoch, self.monitor)
        if value is None:
            raise ValueError(
                f"EarlyStopping: epoch {epoch.epoch} has no {self.monitor}; fit needs test= for a test_ one"
            )
        if self._is_better(value):
            self.best, self.best_epoch = float(value), epoch.epoch
            for name, array in self._pairs(progress.net):
                self.best_state[name][...] = array
        progress.stop = progress.stop or self._is_over(epoch.epoch)
        # Without a best epoch, as where every value is NaN, there is nothing to go back to.
        if self.best_epoch and (progress.stop or epoch.epoch == progress.epochs):
            for name, array in self._pairs(progress.net):
                array[...] = self.best_state[name]

    def _is_better(self, value: float) -> bool:
        if self.monitor.endswith("loss"):
            return value < self.best - self.min_delta
        return value > self.best + self.min_delta

    def _is_over(self, epoch: int) -> bool:
        return epoch - self.best_epoch >= self.patience

    def _pairs(self, net: Layer) -> list[tuple[str, NDArray[Any]]]:
        """The arrays of the network by their names, if they are kept."""
        return list(net.named_state()) if self.restore_best_weights else []
