"""Train a multilayer perceptron on MNIST, in NumPy, in PyTorch, or in both side by side.

With ``--engine both`` the two start from the same weights and see the same batches in the same order, epoch by epoch
in turn; the table shows how far apart they are. ``--engine numpy`` never imports torch.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from scripts.blas_kernels import choose

    choose()  # before NumPy loads its BLAS

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits

import numpy_nn as nn
from numpy_nn.training import Metrics
from numpy_nn.training import Progress as TrainingProgress
from scripts.mnist_arguments import OPTIMIZERS, parse

# A progress bar that moved at every batch would take as long as the batch.
BATCHES_PER_TICK = 50


class Engine(Protocol):
    """What the main loop asks of NumPy and of torch alike."""

    name: str

    def train_epoch(self, after_batch: Callable[[], None]) -> Metrics:
        """One pass over the training images; running loss and accuracy."""

    def evaluate(self) -> Metrics:
        """Loss and accuracy on the test images."""

    def parameters(self) -> dict[str, NDArray[Any]]:
        """The present parameters by name, in numpy_nn's layout."""

    def save(self, folder: Path) -> Path:
        """Write a checkpoint into the folder."""


def build(args: argparse.Namespace) -> tuple[nn.Sequential, nn.CrossEntropyLoss, nn.Optimizer]:
    """The network with its initial weights, the loss and the optimizer, from which either engine starts."""
    net = nn.MLP([784, *args.hidden, 10], args.activation, rng=args.seed, dtype=args.dtype)
    return net, nn.CrossEntropyLoss(args.label_smoothing), OPTIMIZERS[args.optimizer](net.parameters(), args.lr)


def one_cycle(args: argparse.Namespace, data: nn.MNIST) -> dict[str, Any]:
    """What either engine's OneCycleLR is made with: a line up, a line down, the momentum left alone."""
    return {
        "max_lr": args.lr,
        "total_steps": args.epochs * len(make_loader(args, data)),
        "pct_start": args.warm_up,
        "anneal_strategy": "linear",
        "cycle_momentum": False,
    }


def make_loader(args: argparse.Namespace, data: nn.MNIST) -> nn.DataLoader:
    """The batches: one seed gives both engines the same order."""
    return nn.DataLoader(data.x_train, data.y_train, args.batch_size, rng=args.seed)


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
        self.data, self.loader = data, make_loader(args, data)
        self.net, self.loss, self.optimizer = build(args)
        one = args.schedule == "one-cycle"
        self.schedule = nn.OneCycleLR(self.optimizer, **one_cycle(args, data)) if one else None

    def train_epoch(self, after_batch: Callable[[], None]) -> Metrics:
        """One epoch of :func:`numpy_nn.fit`."""
        history = nn.fit(
            self.net,
            self.loss,
            self.optimizer,
            self.loader,
            1,
            schedule=self.schedule,
            schedule_each="batch",
            callbacks=[Ticks(after_batch)],
        )
        epoch = history.epochs[0]
        return Metrics(epoch.train_loss, epoch.train_accuracy)

    def evaluate(self) -> Metrics:
        """:func:`numpy_nn.evaluate` on the test images."""
        return nn.evaluate(self.net, self.loss, self.data.x_test, self.data.y_test)

    def parameters(self) -> dict[str, NDArray[Any]]:
        """Views of the parameters."""
        return {name: p.data for name, p in self.net.named_parameters()}

    def save(self, folder: Path) -> Path:
        """numpy.npz."""
        self.net.save(folder / "numpy.npz")
        return folder / "numpy.npz"


class TorchEngine:
    """PyTorch, from the torch twin of the same network."""

    name = "torch"

    def __init__(self, args: argparse.Namespace, data: nn.MNIST) -> None:
        import torch

        from torch_ref import loss_to_torch, optimizer_to_torch, to_torch
        from torch_ref.data import mnist_loader
        from torch_ref.training import make_step, resident_batches, resolve_device

        torch.set_num_threads(args.threads)
        self.device = resolve_device(args.device)
        net, loss, optimizer = build(args)
        self.model, self.loss = to_torch(net, self.device), loss_to_torch(loss)
        self.optimizer = optimizer_to_torch(optimizer, self.model, fused=args.fused or args.graph)
        self.step = make_step(self.model, self.loss, self.optimizer, compile=args.compile, graph=args.graph)
        self.schedule = None
        if args.schedule == "one-cycle":
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, **one_cycle(args, data))
        loader = make_loader(args, data)
        x, y, self.x_test, self.y_test = (torch.from_numpy(array).to(self.device) for array in data)
        if args.loader == "plain":
            self.batches: Callable[[], Any] = lambda: (
                (images.reshape(-1, 784), labels)
                for images, labels in mnist_loader(args.data, batches=loader.indices())
            )
        else:
            self.batches = lambda: resident_batches(x, y, loader.indices())

    def train_epoch(self, after_batch: Callable[[], None]) -> Metrics:
        """One epoch, which is over when the device is done."""
        from torch_ref.training import synchronize, train_epoch

        def after_step() -> None:
            if self.schedule is not None:
                self.schedule.step()
            after_batch()

        metrics = train_epoch(self.model, self.loss, self.optimizer, self.batches(), after_step, step=self.step)
        synchronize(self.device)
        return metrics

    def evaluate(self) -> Metrics:
        """:func:`torch_ref.training.evaluate` on the test images."""
        from torch_ref.training import evaluate

        return evaluate(self.model, self.loss, self.x_test, self.y_test)

    def parameters(self) -> dict[str, NDArray[Any]]:
        """Copies of the parameters."""
        from torch_ref import parameters_as_numpy

        return dict(parameters_as_numpy(self.model))

    def save(self, folder: Path) -> Path:
        """torch.pt, a state_dict."""
        import torch

        torch.save(self.model.state_dict(), folder / "torch.pt")
        return folder / "torch.pt"


def train(engines: Sequence[Engine], epochs: int, steps: int, console: Console) -> Iterator[dict[str, Any]]:
    """Train the engines epoch by epoch in turn; yields a row after each epoch."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for epoch in range(1, epochs + 1):
            row: dict[str, Any] = {"epoch": epoch}
            for engine in engines:
                task = progress.add_task(f"epoch {epoch} {engine.name}", total=steps)
                ticks = 0

                def after_batch(task: Any = task) -> None:
                    nonlocal ticks
                    ticks += 1
                    if ticks % BATCHES_PER_TICK == 0:
                        progress.update(task, completed=ticks)

                started = time.perf_counter()
                train_loss, train_accuracy = engine.train_epoch(after_batch)
                seconds = time.perf_counter() - started
                progress.remove_task(task)
                test_loss, test_accuracy = engine.evaluate()
                row[engine.name] = {
                    "train_loss": train_loss,
                    "train_accuracy": train_accuracy,
                    "test_loss": test_loss,
                    "test_accuracy": test_accuracy,
                    "seconds": seconds,
                }
            if len(engines) == 2:
                row["largest_difference"] = largest_difference(*(engine.parameters() for engine in engines))
            yield row


def largest_difference(a: dict[str, NDArray[Any]], b: dict[str, NDArray[Any]]) -> float:
    """The largest distance between two parameters of the same name and index."""
    return max(float(np.abs(a[name].astype(np.float64) - b[name]).max()) for name in a)


def header(names: Sequence[str]) -> str:
    """The head of the table that :func:`format_row` fills."""
    cells = ["epoch", *(f"{n} loss" for n in names), *(f"{n} test" for n in names), *(f"{n} time" for n in names)]
    return "  ".join(f"{cell:>11}" for cell in cells) + ("   largest difference" if len(names) == 2 else "")


def format_row(row: dict[str, Any], names: Sequence[str]) -> str:
    """One epoch: loss, test accuracy and seconds of each engine, and how far their parameters are apart."""
    cells = [f"{row['epoch']}", *(f"{row[n]['train_loss']:.6f}" for n in names)]
    cells += [f"{row[n]['test_accuracy']:.2%}" for n in names] + [f"{row[n]['seconds']:.3f} s" for n in names]
    return "  ".join(f"{c:>11}" for c in cells) + (f"{row['largest_difference']:>21.2e}" if len(names) == 2 else "")


def summarize(rows: Sequence[dict[str, Any]], names: Sequence[str], device: str) -> str:
    """What came out, in a few lines."""
    seconds = {n: float(np.median([row[n]["seconds"] for row in rows])) for n in names}
    lines = []
    for n in names:
        where = f" on {device}" if n == "torch" else ""
        accuracy = rows[-1][n]["test_accuracy"]
        lines.append(f"{n}{where}: {accuracy:.2%} of the test images, {seconds[n]:.3f} s an epoch (median)")
    if len(names) == 2:
        ratio = np.median([row["torch"]["seconds"] / row["numpy"]["seconds"] for row in rows])
        difference = max(row["largest_difference"] for row in rows)
        lines.append(f"torch takes {ratio:.2f} times as long as numpy (median of the epochs' ratios)")
        lines.append(f"largest difference between two parameters in any epoch: {difference:.2e}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    args = parse(arguments, __doc__.split("\n\n")[0] if __doc__ else "")
    console = Console(highlight=False, soft_wrap=True)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        data = nn.load_mnist(args.data, dtype=args.dtype)
        if args.standardize:
            data = standardized(data)
        status, runs = 0, []
        with threadpool_limits(args.threads):
            for seed in range(args.seed, args.seed + args.seeds):
                args.seed = seed
                status, rows = run(make_engines(args, data), args, console)
                if status:
                    break
                runs.append(rows)
        if (args.seeds > 1 or args.preset == "fast") and runs:
            console.print(over_seeds(runs))
        return status
    except (OSError, ValueError) as error:
        print(f"train_mnist: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"train_mnist: {error}; --engine numpy does without torch", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train_mnist: interrupted before the first epoch", file=sys.stderr)
        return 130


def make_engines(args: argparse.Namespace, data: nn.MNIST) -> list[Engine]:
    """The engines that were asked for, at their start."""
    makers: dict[str, Callable[[argparse.Namespace, nn.MNIST], Engine]] = {"numpy": NumpyEngine, "torch": TorchEngine}
    return [make(args, data) for name, make in makers.items() if args.engine in (name, "both")]


def standardized(data: nn.MNIST) -> nn.MNIST:
    """The images with mean 0 and variance 1 over all pixels of the training images."""
    mean, std = data.x_train.mean(), data.x_train.std()
    return data._replace(x_train=(data.x_train - mean) / std, x_test=(data.x_test - mean) / std)


def over_seeds(runs: Sequence[Sequence[dict[str, Any]]]) -> str:
    """Accuracy and seconds of training of several runs."""
    lines = []
    for name in (n for n in ("numpy", "torch") if n in runs[0][0]):
        accuracy = np.array([rows[-1][name]["test_accuracy"] for rows in runs])
        seconds = [sum(row[name]["seconds"] for row in rows) for rows in runs]
        lines.append(
            f"{name}, {len(runs)} seed{'s' * (len(runs) > 1)}: {accuracy.mean():.2%} of the test images "
            f"({accuracy.min():.2%} .. {accuracy.max():.2%}, {np.sum(accuracy >= 0.98)} of {len(runs)} at 98% or more) "
            f"in {np.median(seconds):.3f} s of training (median)"
        )
    return "\n".join(lines)


def run(engines: Sequence[Engine], args: argparse.Namespace, console: Console) -> tuple[int, list[dict[str, Any]]]:
    """Train, print, and write what there is, also after Ctrl-C; returns the exit status and a row for each epoch."""
    names = [engine.name for engine in engines]
    device = describe_device(engines)
    network = "-".join(map(str, [784, *args.hidden, 10]))
    title = (
        f"MNIST, {network}, {args.activation}, batch {args.batch_size}, {args.optimizer}, lr {args.lr:g}, {args.dtype}"
    )
    console.print(f"{title}; {args.threads} threads" + (f"; torch on {device}" if "torch" in names else ""))
    console.print(header(names))
    rows: list[dict[str, Any]] = []
    status = 0
    try:
        for row in train(engines, args.epochs, -(-60_000 // args.batch_size), console):
            rows.append(row)
            console.print(format_row(row, names))
    except KeyboardInterrupt:
        console.print(f"interrupted after {len(rows)} whole epochs; writing what there is")
        status = 130
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    history = {"settings": settings, "machine": describe_machine(names, device), "epochs": rows}
    (args.out / "history.json").write_text(json.dumps(history, indent=2) + "\n", encoding="utf-8")
    written = [args.out / "history.json", *(engine.save(args.out) for engine in engines)]
    if rows:
        from scripts.curves import draw

        draw(rows, names, title, args.out / "curves.png")
        written.append(args.out / "curves.png")
        console.print(summarize(rows, names, device))
    console.print(f"written: {', '.join(map(str, written))}")
    return status, rows


def describe_device(engines: Sequence[Engine]) -> str:
    """The name of the device that torch uses; empty without torch."""
    for engine in engines:
        if isinstance(engine, TorchEngine):
            from torch_ref.training import device_name

            return device_name(engine.device)
    return ""


def describe_machine(names: Sequence[str], device: str) -> dict[str, Any]:
    """What figures depend on."""
    machine = {"python": platform.python_version(), "numpy": np.__version__, "processor": platform.machine()}
    if "torch" in names:
        import torch

        machine |= {"torch": torch.__version__, "device": device}
    return machine


if __name__ == "__main__":
    sys.exit(main())
