"""numpy_nn, as ``train_mnist.py`` trains with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.commands.machine.threads import blas_setter, settle
from numpy_nn.owners import OwnedTraining
from numpy_nn.training import GradientFunction, Metrics, Progress, compute_gradients, train_epoch
from scripts.mnist.machines import Alone
from scripts.mnist.options import Place
from scripts.mnist.recipe import Recipe, build, make_loader, numpy_distortion, one_cycle


class Ticks(nn.Callback):
    """Calls a function after each batch."""

    def __init__(self, after_batch: Callable[[], None]) -> None:
        self.after_batch = after_batch

    def on_batch_end(self, _: Progress) -> None:
        self.after_batch()


class NumpyTrainer:
    """numpy_nn."""

    name = "numpy"

    def __init__(self, recipe: Recipe, place: Place, data: nn.MNIST, process: Alone) -> None:
        self.process, self.epochs = process, recipe.epochs
        self._set_blas = self.set_threads = blas_setter()
        self.loader = process.share_batches(make_loader(recipe, data, numpy_distortion(recipe, data)))
        self.test = process.share_rows(data.x_test, data.y_test)
        self.net, self.loss, self.optimizer = build(recipe)
        one = recipe.schedule == "one-cycle"
        self.schedule = nn.OneCycleLR(self.optimizer, **one_cycle(recipe, len(self.loader))) if one else None
        # Batch norm's running statistics belong to the weights, and are averaged with them.
        self.average = nn.AveragedModel(self.net, recipe.average, use_buffers=True) if recipe.average else None
        self.each_step: list[nn.Callback] = []
        if recipe.clip_norm:
            self.each_step.append(nn.ClipGradNorm(recipe.clip_norm))
        if recipe.max_norm:
            self.each_step.append(nn.MaxNorm(recipe.max_norm))
        if self.average:
            self.each_step.append(nn.UpdateAverage(self.average))
        self.gradients: GradientFunction = compute_gradients
        if recipe.adversarial:
            self.gradients = nn.AdversarialTraining(recipe.adversarial)
        self.training = nn.TrainingState(
            self.net, self.optimizer, self.loader, schedule=self.schedule, average=self.average
        )
        # Several processes train the network, or may, if the BLAS can be told on how many threads this one computes.
        self.owned: OwnedTraining | None = None
        self.undivided = ""
        self.batches, self.alone_too = self.loader, place.auto_processes
        if place.processes > 1 and (self._set_blas is not None or not self.alone_too):
            try:
                self.owned = OwnedTraining(self.net, self.loss, self.optimizer, place.processes)
            except ValueError as error:
                if not self.alone_too:
                    raise
                self.undivided = str(error)
        if self.owned is not None:
            self.batches, self.gradients = self.owned.batches(self.loader), self.owned.gradients
            self.owned.active = False
            self.set_threads = self._set_processes

    def counts(self, threads: Sequence[int]) -> Sequence[int]:
        """These, but for a number of processes that is fixed; and that number, if there are several."""
        if self.owned is None:
            return threads
        return (*(threads if self.alone_too else ()), -self.owned.size)

    def _set_processes(self, number: int) -> None:
        """Train on so many threads; or in -number processes, which have one each."""
        assert self.owned is not None
        if number > 0 and self.owned.active:
            self.owned.pause()
        if self._set_blas is not None:
            self._set_blas(max(1, number))
        if number < 0 and not self.owned.active:
            settle()  # threads of the BLAS that wait for more would take a core from a process
            rows = slice(self.loader.batch_size)
            self.owned.start(self.loader.x[rows], self.loader.y[rows])
            self.owned.resume()

    def close(self) -> None:
        """End the other processes."""
        if self.owned is not None:
            self.owned.close()

    def train_epoch(self, epoch: int, after_batch: Callable[[], None]) -> Metrics:
        """One epoch of :func:`numpy_nn.training.train_epoch`."""
        parallel = self.process.all_reduce(self.net, self.loss, self.loader)
        callbacks = [*([] if parallel is None else [parallel]), *self.each_step, Ticks(after_batch)]
        progress = Progress(self.net, self.optimizer, nn.History(), self.epochs, len(self.loader), epoch)
        metrics = train_epoch(progress, self.loss, self.batches, self.schedule, callbacks, self.gradients)
        if parallel is None:
            return metrics
        if self.average is not None:
            self.process.share_buffers(self.average.module)
        return parallel.end_epoch(metrics)

    def evaluate(self) -> Metrics:
        """:func:`numpy_nn.evaluate` on the test images."""
        return self.process.mean(nn.evaluate(self.judged, self.loss, *self.test), len(self.test[0]))

    @property
    def judged(self) -> nn.Sequential:
        """The network that is evaluated and saved: the averaged one, if there is one."""
        return self.net if self.average is None else self.average.module

    def parameters(self) -> dict[str, NDArray[Any]]:
        """Views of the parameters."""
        return {name: p.data for name, p in self.judged.named_parameters()}

    def save(self, folder: Path) -> Path:
        """numpy.npz."""
        self.judged.save(folder / "numpy.npz")
        return folder / "numpy.npz"

    def state(self) -> dict[str, NDArray[Any]]:
        """As :class:`numpy_nn.TrainingState` has it."""
        return self.training.state_dict()

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.training.load_state_dict(state)
