"""One run: train with the engines epoch by epoch in turn, print, and write what there is, also after Ctrl-C."""

from __future__ import annotations

import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import numpy_nn as nn
from numpy_nn._support import checked_json
from numpy_nn.commands.machine.threads import Threads, counts_up_to
from numpy_nn.owners import OwnerLost
from scripts.mnist.checkpoints import Checkpoints
from scripts.mnist.machines import Alone
from scripts.mnist.numpy_trainer import NumpyTrainer
from scripts.mnist.options import Options
from scripts.mnist.presets import PRESETS
from scripts.mnist.recipe import sizes
from scripts.mnist.table import format_row, header, images, largest_difference, summarize
from scripts.mnist.torch_trainer import TorchTrainer
from scripts.mnist.trainer import Trainer

# A progress bar that moved at every batch would take as long as the batch.
BATCHES_PER_TICK = 50


def make_trainers(options: Options, data: nn.MNIST, process: Alone) -> list[Trainer]:
    """Those of the engines that were asked for, at their start."""
    makers: dict[str, Callable[[], Trainer]] = {
        "numpy": lambda: NumpyTrainer(options.recipe, options.place, data, process),
        "torch": lambda: TorchTrainer(options.recipe, options.place, data, process),
    }
    return [make() for name, make in makers.items() if options.recipe.engine in (name, "both")]


def train(
    trainers: Sequence[Trainer],
    first: int,
    epochs: int,
    every: int,
    steps: int,
    counts: Sequence[int],
    console: Console,
) -> Generator[dict[str, Any], None, None]:
    """Train epoch by epoch with each in turn, from the ``first`` on; yields a row after each epoch.

    The figures of a test are None but for every ``every``-th row and the last. Of several ``counts`` of threads the
    fastest is found for each trainer, and a row says how many steps were taken with which.
    """
    threads = [Threads(trainer.counts(counts), trainer.set_threads) for trainer in trainers]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # The time left is that of the whole run, at the speed of the last quarter of an hour.
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal, speed_estimate_period=900.0
    ) as progress:
        ticks = (first - 1) * len(trainers) * steps
        task = progress.add_task("", total=epochs * len(trainers) * steps, completed=ticks)

        def after_batch(step: Callable[[], None]) -> None:
            nonlocal ticks
            step()
            ticks += 1
            if ticks % BATCHES_PER_TICK == 0:
                progress.update(task, completed=ticks)

        for epoch in range(first, epochs + 1):
            row: dict[str, Any] = {"epoch": epoch}
            for trainer, own in zip(trainers, threads, strict=True):
                before = Counter(own.used)
                progress.update(task, completed=ticks, description=f"epoch {epoch} of {epochs} {trainer.name}")
                # A run that diverges is told by its trainer, in one line, not by NumPy's warnings.
                with np.errstate(over="ignore", invalid="ignore"):
                    started = time.perf_counter()
                    try:
                        with own.epoch():
                            train_loss, train_accuracy = trainer.train_epoch(epoch, partial(after_batch, own.step))
                    except nn.Divergence as error:
                        where = error.epoch, error.batch, error.layer, error.gradient_norm
                        raise nn.Divergence(f"{trainer.name}: {error}", *where) from None
                    seconds = time.perf_counter() - started
                    shown = is_shown(epoch, epochs, every)
                    test_loss, test_accuracy = trainer.evaluate() if shown else (None, None)
                row[trainer.name] = {
                    "train_loss": train_loss,
                    "train_accuracy": train_accuracy,
                    "test_loss": test_loss,
                    "test_accuracy": test_accuracy,
                    "seconds": seconds,
                }
                if own.chooses:
                    row[trainer.name]["threads"] = {str(n): steps for n, steps in sorted((own.used - before).items())}
            if len(trainers) == 2:
                row["largest_difference"] = largest_difference(*(trainer.parameters() for trainer in trainers))
            yield row


def is_shown(epoch: int, epochs: int, every: int) -> bool:
    """Whether the epoch is one of every so many, counted from the first, or the last."""
    return (epoch - 1) % every == 0 or epoch == epochs


def run(
    trainers: Sequence[Trainer], options: Options, console: Console, trained: int, process: Alone
) -> tuple[int, list[dict[str, Any]]]:
    """Train, print, and write what there is, also after Ctrl-C; returns the exit status and a row for each epoch.

    ``trained`` is the number of training images, of which the bar makes its steps.

    A file that cannot be written, training that diverges, or an owner that is lost is one line on stderr, with the
    last good checkpoint. ValueError if no checkpoint is good, or if it is that of a run with other settings.
    """
    checkpoints = Checkpoints(options)
    try:
        return _run(trainers, options, console, checkpoints, trained, process)
    except (nn.Divergence, OwnerLost, OSError) as error:
        last = checkpoints.last
        kept = f"the last good checkpoint is {last}" if last else "there is no checkpoint yet"
        process.complain(f"{error}; {kept}")
        return 3 if isinstance(error, nn.Divergence) else 2, []
    finally:
        for trainer in trainers:
            trainer.close()


def _run(
    trainers: Sequence[Trainer],
    options: Options,
    console: Console,
    checkpoints: Checkpoints,
    trained: int,
    process: Alone,
) -> tuple[int, list[dict[str, Any]]]:
    recipe, place = options.recipe, options.place
    with tempfile.TemporaryFile(dir=place.out):
        pass  # a folder that cannot be written to is better known now than after an epoch
    if process.is_first:
        checkpoints.clear_temporaries()
    names = [trainer.name for trainer in trainers]
    device = describe_device(trainers)
    network = "-".join(map(str, sizes(recipe)))
    title = f"{recipe.data_set.upper()}, {network}, {recipe.activation}, batch {recipe.batch_size}, {recipe.optimizer}"
    title = f"{title}, lr {recipe.lr:g}, {recipe.dtype}"
    counts = counts_up_to(place.threads) if place.auto_threads else (place.threads,)
    threads = f"{'1 to ' * place.auto_threads}{place.threads} thread{'s' * (place.threads > 1)}"
    if place.processes > 1:
        threads = (
            f"{threads} or {place.processes} processes" if place.auto_processes else f"{place.processes} processes"
        )
    console.print(f"{title}; {threads}" + (f"; torch on {device}" if "torch" in names else ""))
    for reason in filter(None, (trainer.undivided for trainer in trainers)):
        console.print(f"one process trains: {reason}")
    if any(trainer.name == "numpy" and trainer.set_threads is None for trainer in trainers):
        console.print("threadpoolctl finds no BLAS of NumPy's, or is not installed: its threads are the environment's")
    rows = _rows_so_far(trainers, options, console, checkpoints)
    tutorial = PRESETS[options.preset].tutorial if options.preset else {}
    console.print(header(names, tutorial))
    status = 0
    try:
        # Closed, so that the bar is gone before a line about what went wrong.
        steps = -(-trained // recipe.batch_size)
        with closing(train(trainers, len(rows) + 1, recipe.epochs, recipe.every, steps, counts, console)) as epochs:
            for row in epochs:
                rows.append(row)
                if not is_shown(row["epoch"], recipe.epochs, recipe.every):
                    continue
                console.print(format_row(row, names, tutorial))
                if process.is_first:
                    checkpoints.write(trainers, rows)
                else:
                    checkpoints.note(len(rows))
    except KeyboardInterrupt:
        last = f"--resume goes on from {checkpoints.last}" if checkpoints.last else "there is no checkpoint yet"
        console.print(
            f"interrupted after {len(rows)} whole epochs; writing what there is, weights between two epochs; {last}"
        )
        status = 130
    if not process.is_first:
        return status, rows
    history = {"settings": options.settings(), "machine": describe_machine(names, device), "epochs": rows}
    checked_json.write(place.out / "history.json", history)
    written = [place.out / "history.json", *(trainer.save(place.out) for trainer in trainers)]
    if rows:
        from scripts.mnist.curves import draw

        draw(rows, names, title, place.out / "curves.png", tutorial)
        written.append(place.out / "curves.png")
        console.print(summarize(rows, names, device, images(recipe)))
    console.print(f"written: {', '.join(map(str, written))}")
    return status, rows


def _rows_so_far(
    trainers: Sequence[Trainer], options: Options, console: Console, checkpoints: Checkpoints
) -> list[dict[str, Any]]:
    """The rows of the run that is resumed, of which the trainers are then part; none for a new one."""
    if not options.place.resume:
        if note := checkpoints.unfinished():
            console.print(note)
        return []
    rows, notes = checkpoints.resume(trainers)
    for note in notes:
        console.print(note)
    if len(rows) >= options.recipe.epochs:
        console.print(f"{checkpoints.last}: the run is finished, {len(rows)} of {options.recipe.epochs} epochs")
    elif rows:
        console.print(f"going on after epoch {len(rows)} of {options.recipe.epochs}, from {checkpoints.last}")
    return rows


def describe_device(trainers: Sequence[Trainer]) -> str:
    """The name of the device that torch uses; empty without torch."""
    for trainer in trainers:
        if isinstance(trainer, TorchTrainer):
            from torch_ref.training import device_name

            return device_name(trainer.device)
    return ""


def describe_machine(names: Sequence[str], device: str) -> dict[str, Any]:
    """What figures depend on."""
    machine = {"python": platform.python_version(), "numpy": np.__version__, "processor": platform.machine()}
    if "torch" in names:
        import torch

        machine |= {"torch": torch.__version__, "device": device}
    return machine
