"""PyTorch, as ``train_mnist.py`` trains with it; torch is imported when a trainer is made, and not before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn._support.atomic import atomic_write
from numpy_nn.training import Metrics
from scripts.mnist.machines import Alone
from scripts.mnist.options import Place
from scripts.mnist.recipe import Recipe, build, distortion, make_loader, one_cycle


class TorchTrainer:
    """PyTorch, from the torch twin of the same network."""

    name = "torch"
    undivided = ""

    def __init__(self, recipe: Recipe, place: Place, data: nn.MNIST, process: Alone) -> None:
        import torch

        from torch_ref import loss_to_torch, optimizer_to_torch, to_torch
        from torch_ref.augment import Distortion
        from torch_ref.averaging import AveragedModel
        from torch_ref.resume import TrainingState
        from torch_ref.training import make_step, resident_batches, resolve_device

        self.process = process
        torch.set_num_threads(place.threads)
        torch.manual_seed(recipe.seed)  # of the masks of dropout
        self.device = resolve_device(place.device)
        # What was compiled was compiled for this number of threads.
        on_cpu = self.device.type == "cpu" and not recipe.compile
        self.set_threads: Callable[[int], object] | None = torch.set_num_threads if on_cpu else None
        net, loss, optimizer = build(recipe)
        self.model, self.loss = to_torch(net, self.device), loss_to_torch(loss)
        self.optimizer = optimizer_to_torch(
            optimizer, self.model, fused=recipe.fused or recipe.graph, tensor_lr=recipe.graph
        )
        loader = process.share_batches(make_loader(recipe, data))
        self.parallel = process.data_parallel(self.model, loader)
        trained = self.model if self.parallel is None else self.parallel.model
        options: dict[str, Any] = {
            "adversarial": recipe.adversarial or None,
            "clip_grad_norm": recipe.clip_norm or None,
        }
        options |= {"compile": recipe.compile, "amp": recipe.amp, "graph": recipe.graph}
        self.step = make_step(trained, self.loss, self.optimizer, **options)
        self.max_norm = recipe.max_norm
        # Batch norm's running statistics belong to the weights, and are averaged with them.
        self.average = AveragedModel(self.model, recipe.average, use_buffers=True) if recipe.average else None
        self.schedule = None
        if recipe.schedule == "one-cycle":
            try:
                self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, **one_cycle(recipe, len(loader)))
            except ZeroDivisionError:
                raise ValueError(
                    f"--warm-up: {recipe.warm_up:g} of the steps is exactly one, which torch's OneCycleLR cannot do; "
                    "use another"
                ) from None
        settings = distortion(recipe, data)
        self.distort: Callable[[Any], Any] = lambda x: x
        rngs: dict[str, Any] = {"loader": loader.rng}
        if settings is not None:
            self.distort = Distortion(**settings, rng=recipe.seed, device=self.device)
            rngs["distortion"] = self.distort.rng
            if self.parallel is not None:
                self.parallel.generators.append(self.distort.rng)
        self.training = TrainingState(
            self.model, self.optimizer, schedule=self.schedule, average=self.average, rngs=rngs
        )
        x, y, x_test, y_test = (torch.from_numpy(array).to(self.device) for array in data)
        self.test = process.share_rows(x_test, y_test)
        if recipe.loader == "plain":
            from torch_ref.data import mnist_loader  # which needs torchvision

            self.batches: Callable[[], Any] = lambda: (
                (images.reshape(-1, 784), labels)
                for images, labels in mnist_loader(place.data, batches=loader.indices())
            )
        else:
            self.batches = lambda: ((self.distort(a), b) for a, b in resident_batches(x, y, loader.indices()))

    def counts(self, threads: Sequence[int]) -> Sequence[int]:
        """All of these."""
        return threads

    def close(self) -> None:
        """Nothing: there is nothing else."""

    def train_epoch(self, epoch: int, after_batch: Callable[[], None]) -> Metrics:
        """One epoch, which is over when the device is done."""
        import torch

        from torch_ref.constraints import max_norm_
        from torch_ref.training import synchronize, train_epoch

        def after_step() -> None:
            if self.max_norm:
                for module in self.model.modules():
                    if isinstance(module, torch.nn.Linear):
                        max_norm_(module.weight, self.max_norm)
            if self.average is not None:
                self.average.update_parameters(self.model)
            if self.schedule is not None:
                self.schedule.step()
            after_batch()

        batches = self.batches() if self.parallel is None else self.parallel.begin_epoch(self.batches())
        metrics = train_epoch(self.model, self.loss, self.optimizer, batches, after_step, step=self.step, epoch=epoch)
        synchronize(self.device)
        if self.parallel is None:
            return metrics
        if self.average is not None:
            self.parallel.share_buffers(self.average.module)
        return self.parallel.end_epoch(metrics)

    def evaluate(self) -> Metrics:
        """:func:`torch_ref.training.evaluate` on the test images."""
        from torch_ref.training import evaluate

        return self.process.mean(evaluate(self.judged, self.loss, *self.test), len(self.test[0]))

    @property
    def judged(self) -> Any:
        """The model that is evaluated and saved: the averaged one, if there is one."""
        return self.model if self.average is None else self.average.module

    def parameters(self) -> dict[str, NDArray[Any]]:
        """Copies of the parameters."""
        from torch_ref import parameters_as_numpy

        return dict(parameters_as_numpy(self.judged))

    def save(self, folder: Path) -> Path:
        """torch.pt, a state_dict."""
        import torch

        with atomic_write(folder / "torch.pt") as file:
            torch.save(self.judged.state_dict(), file)
        return folder / "torch.pt"

    def state(self) -> dict[str, NDArray[Any]]:
        """What ``torch.save`` would write, as bytes."""
        return {"state": np.frombuffer(self.training.to_bytes(), np.uint8)}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        if "state" not in state:
            raise ValueError(f"expected state, got {', '.join(state) or 'none'}")
        self.training.load_bytes(state["state"].tobytes())
