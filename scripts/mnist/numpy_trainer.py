"""numpy_nn as an engine of ``train_mnist.py``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.training import GradientFunction, Metrics, compute_gradients
from numpy_nn.training import Progress as TrainingProgress
from scripts.mnist import machines
from scripts.mnist.recipe import build, make_loader, numpy_distortion, one_cycle


class Ticks(nn.Callback):
    """Calls a function after each batch."""

    def __init__(self, after_batch: Callable[[], None]) -> None:
        self.after_batch = after_batch

    def on_batch_end(self, _: TrainingProgress) -> None:
        self.after_batch()


class NumpyEngine:
    """numpy_nn."""

    name = "numpy"

    def __init__(self, args: argparse.Namespace, data: nn.MNIST) -> None:
        self.loader = make_loader(args, data, numpy_distortion(args, data))
        self.test = machines.share_rows(data.x_test, data.y_test)
        self.net, self.loss, self.optimizer = build(args)
        one = args.schedule == "one-cycle"
        self.schedule = nn.OneCycleLR(self.optimizer, **one_cycle(args, data)) if one else None
        # Batch norm's running statistics belong to the weights, and are averaged with them.
        self.average = nn.AveragedModel(self.net, args.average, use_buffers=True) if args.average else None
        self.each_step: list[nn.Callback] = []
        if args.clip_norm:
            self.each_step.append(nn.ClipGradNorm(args.clip_norm))
        if args.max_norm:
            self.each_step.append(nn.MaxNorm(args.max_norm))
        if self.average:
            self.each_step.append(nn.UpdateAverage(self.average))
        self.gradients: GradientFunction = compute_gradients
        if args.adversarial:
            self.gradients = nn.AdversarialTraining(args.adversarial)
        self.training = nn.TrainingState(
            self.net, self.optimizer, self.loader, schedule=self.schedule, average=self.average
        )

    def train_epoch(self, after_batch: Callable[[], None]) -> Metrics:
        """One epoch of :func:`numpy_nn.fit`."""
        history = nn.fit(
            self.net,
            self.loss,
            self.optimizer,
            self.loader,
            len(self.training.history.epochs) + 1,
            schedule=self.schedule,
            schedule_each="batch",
            callbacks=[*machines.callbacks(self.net, self.loss, self.loader), *self.each_step, Ticks(after_batch)],
            history=self.training.history,
            gradients=self.gradients,
        )
        if self.average is not None:
            machines.share_buffers(self.average.module)
        epoch = history.epochs[-1]
        return Metrics(epoch.train_loss, epoch.train_accuracy)

    def evaluate(self) -> Metrics:
        """:func:`numpy_nn.evaluate` on the test images."""
        return machines.mean(nn.evaluate(self.judged, self.loss, *self.test), len(self.test[0]))

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
