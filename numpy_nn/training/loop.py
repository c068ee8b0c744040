"""Training: one step, the loop over epochs, evaluation, and the history of it all."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support import checked_json
from numpy_nn._support.checks import choice, count
from numpy_nn._support.workspace import FloatArray
from numpy_nn.data.batches import DataLoader
from numpy_nn.layers import Layer
from numpy_nn.losses import Loss, Score
from numpy_nn.optim import Optimizer, ReduceLROnPlateau, Schedule
from numpy_nn.training.divergence import check_loss, check_parameters
from numpy_nn.training.planned import loss_and_gradients

# What a loss counts, unless somebody has put another method there.
SCORE = Loss.score
# Forward and backward on a batch: returns its loss and its right answers, and leaves the gradients in the parameters'
# ``grad``.
GradientFunction = Callable[[Layer, Loss, FloatArray, NDArray[Any]], Score]


class Metrics(NamedTuple):
    """The mean loss of a row, and the share of rows classified rightly (None for a loss that does not classify)."""

    loss: float
    accuracy: float | None


@dataclass
class Epoch:
    """What one epoch of :func:`fit` gave; the training figures are running ones, taken while the weights moved."""

    epoch: int
    train_loss: float
    train_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    lr: float
    seconds: float


@dataclass
class History:
    """The epochs so far, oldest first."""

    epochs: list[Epoch] = field(default_factory=list)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the history as JSON, with a checksum, in one move."""
        checked_json.write(path, asdict(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read what :meth:`save` wrote; ValueError, naming the file, for anything else."""
        content = checked_json.read(path)
        try:
            return cls([Epoch(**epoch) for epoch in content["epochs"]])
        except (TypeError, KeyError) as error:
            raise ValueError(f"{os.fspath(path)}: not a history: {error}") from None


@dataclass
class Progress:
    """What a callback sees. Setting ``stop`` ends :func:`fit` after the callback returns."""

    net: Layer
    optimizer: Optimizer
    history: History
    epochs: int
    batches: int
    epoch: int = 0
    batch: int = 0
    loss: float = float("nan")
    stop: bool = False


class Callback:
    """The base class of callbacks: all methods do nothing. ``epoch`` and ``batch`` count from 1."""

    def on_fit_begin(self, progress: Progress, /) -> None:
        """Before the first epoch; setting ``progress.stop`` leaves no epoch to come."""

    def on_backward_end(self, progress: Progress, /) -> None:
        """Between the gradients and the update; the place to change the gradients."""

    def on_batch_end(self, progress: Progress, /) -> None:
        """After each step; ``progress.loss`` is the batch's."""

    def on_epoch_end(self, progress: Progress, /) -> None:
        """After each epoch; ``progress.history`` already holds it."""


class SaveCheckpoint(Callback):
    """Save the network to ``path`` after every epoch; the file is replaced in one move."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def on_epoch_end(self, progress: Progress) -> None:
        """Write the file."""
        progress.net.save(self.path)


def compute_gradients(net: Layer, loss: Loss, x: FloatArray, y: NDArray[Any]) -> Score:
    """Forward and backward on one batch; returns its loss, and leaves the gradients in the parameters' ``grad``."""
    if getattr(loss.score, "__func__", None) is not SCORE:
        score = loss.score(net(x), y)
        net.backward_parameters(loss.backward())
        return score
    return loss.scored(loss_and_gradients(net, loss, x, y), len(x))


def train_step(net: Layer, loss: Loss, optimizer: Optimizer, x: FloatArray, y: NDArray[Any]) -> float:
    """Forward, backward, update on one batch; returns the batch's loss."""
    value = loss_and_gradients(net, loss, x, y)
    optimizer.step()
    return value


def fit(
    net: Layer,
    loss: Loss,
    optimizer: Optimizer,
    batches: DataLoader,
    epochs: int,
    *,
    test: tuple[FloatArray, NDArray[Any]] | None = None,
    schedule: Schedule | ReduceLROnPlateau | None = None,
    schedule_each: str = "epoch",
    callbacks: Iterable[Callback] = (),
    history: History | None = None,
    gradients: GradientFunction = compute_gradients,
) -> History:
    """Train for ``epochs`` epochs and return their history.

    After each epoch the network is evaluated on ``test``, an ``(x, y)`` pair, where one is given. ``schedule`` is
    stepped after each "epoch" or each "batch"; a :class:`~numpy_nn.ReduceLROnPlateau` after each epoch, with the loss
    on ``test``, or with the training loss where none is given. A ``history`` is added to, and its epochs count:
    training goes on with the next one (:mod:`numpy_nn.training.resume`). ``gradients`` computes a batch's loss and
    gradients; the others there are, are :class:`~numpy_nn.training.adversarial.AdversarialTraining` and
    :class:`~numpy_nn.training.accumulation.GradientAccumulation`. ValueError for a loss with reduction "none" or a
    ReduceLROnPlateau at each batch; :class:`~numpy_nn.training.divergence.Divergence` for a loss or a parameter that
    is infinite or NaN.
    """
    choice(schedule_each, "schedule_each", ("epoch", "batch"))
    if schedule_each == "batch" and isinstance(schedule, ReduceLROnPlateau):
        raise ValueError('schedule_each: expected "epoch" with ReduceLROnPlateau, got "batch"')
    each_batch = schedule if isinstance(schedule, Schedule) and schedule_each == "batch" else None
    each_epoch = schedule if isinstance(schedule, Schedule) and schedule_each == "epoch" else None
    callbacks = list(callbacks)
    history = History() if history is None else history
    progress = Progress(net, optimizer, history, count(epochs, "epochs"), len(batches))
    for callback in callbacks:
        callback.on_fit_begin(progress)
    last = 0 if progress.stop else epochs
    for progress.epoch in range(len(history.epochs) + 1, last + 1):
        started, lr = time.perf_counter(), optimizer.lr
        train = train_epoch(progress, loss, batches, each_batch, callbacks, gradients)
        if each_epoch is not None:
            each_epoch.step()
        seconds = time.perf_counter() - started
        tested = evaluate(net, loss, *test) if test is not None else None
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(tested.loss if tested else train.loss)
        test_loss, test_accuracy = tested or (None, None)
        history.epochs.append(Epoch(progress.epoch, train.loss, train.accuracy, test_loss, test_accuracy, lr, seconds))
        for callback in callbacks:
            callback.on_epoch_end(progress)
        if progress.stop:
            break
    return history


def train_epoch(
    progress: Progress,
    loss: Loss,
    batches: DataLoader,
    schedule: Schedule | None = None,
    callbacks: Sequence[Callback] = (),
    gradients: GradientFunction = compute_gradients,
) -> Metrics:
    """One pass over the batches, as epoch ``progress.epoch``; running loss and accuracy, taken while the weights moved.

    It trains ``progress.net`` with ``progress.optimizer``, steps ``schedule`` after each batch, and calls what
    ``callbacks`` have for a batch; what they have for an epoch or a run is the caller's, as :func:`fit` is. ValueError
    for no batches or a loss with reduction "none"; :class:`~numpy_nn.training.divergence.Divergence` for a loss or a
    parameter that is infinite or NaN.
    """
    net, tally = progress.net, Tally(loss)
    net.train()
    progress.batch = 0
    for progress.batch, (x, y) in enumerate(batches, start=1):
        score = gradients(net, loss, x, y)
        progress.loss = score.loss
        if score.weight:
            check_loss(net, x, progress.loss, progress.epoch, progress.batch)
        for callback in callbacks:
            callback.on_backward_end(progress)
        progress.optimizer.step()
        tally.add(score)
        if schedule is not None:
            schedule.step()
        for callback in callbacks:
            callback.on_batch_end(progress)
        if progress.stop:
            break
    if progress.batch == 0:
        raise ValueError("batches: expected at least one, got none")
    check_parameters(net, progress.epoch, progress.batch)
    return tally.metrics()


def evaluate(net: Layer, loss: Loss, x: FloatArray, y: NDArray[Any], batch_size: int = 1000) -> Metrics:
    """Mean loss and accuracy on ``(x, y)`` in evaluation mode; modes are put back afterwards.

    ValueError for different numbers of rows, no rows, or a loss with reduction "none".
    """
    tally = Tally(loss)
    count(batch_size, "batch_size")
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
        raise ValueError(f"evaluate: expected x and y with equally many rows, at least one, got {x.shape}, {y.shape}")
    with net.evaluating():
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            tally.add(loss.score(net(x[rows]), y[rows]))
    return tally.metrics()


class Tally:
    """Adds up the losses and the correct answers of batches. ValueError for a loss with reduction "none"."""

    def __init__(self, loss: Loss) -> None:
        if loss.reduction == "none":
            raise ValueError(f'{loss!r}: training needs one number, expected reduction "mean" or "sum"')
        self._mean = loss.reduction == "mean"
        self._total, self._weight, self._correct, self._answers = 0.0, 0.0, 0, 0
        self._classifies = True

    def add(self, score: Score) -> None:
        """Count a batch."""
        if score.weight:  # else no row counts, and the mean is NaN
            self._total += score.loss * score.weight if self._mean else score.loss
        self._weight += score.weight
        self._answers += score.answers
        if score.correct is None:
            self._classifies = False
        else:
            self._correct += score.correct

    def metrics(self) -> Metrics:
        """The means over all rows that count."""
        accuracy = self._correct / self._answers if self._classifies and self._answers else None
        return Metrics(self._total / self._weight if self._weight else math.nan, accuracy)
