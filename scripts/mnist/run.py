"""One run: train the engines epoch by epoch in turn, print, and write what there is, also after Ctrl-C."""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import numpy_nn as nn
from numpy_nn._support import checked_json
from scripts.mnist import machines
from scripts.mnist.checkpoints import Checkpoints, plain_settings
from scripts.mnist.engine import Engine
from scripts.mnist.numpy_engine import NumpyEngine
from scripts.mnist.presets import PRESETS
from scripts.mnist.recipe import sizes
from scripts.mnist.table import format_row, header, images, largest_difference, summarize
from scripts.mnist.torch_engine import TorchEngine

# A progress bar that moved at every batch would take as long as the batch.
BATCHES_PER_TICK = 50


def make_engines(args: argparse.Namespace, data: nn.MNIST) -> list[Engine]:
    """The engines that were asked for, at their start."""
    makers: dict[str, Callable[[argparse.Namespace, nn.MNIST], Engine]] = {"numpy": NumpyEngine, "torch": TorchEngine}
    return [make(args, data) for name, make in makers.items() if args.engine in (name, "both")]


def train(
    engines: Sequence[Engine], first: int, epochs: int, every: int, steps: int, console: Console
) -> Generator[dict[str, Any], None, None]:
    """Train the engines epoch by epoch in turn, from the ``first`` on; yields a row after each epoch.

    The figures of a test are None but for every ``every``-th row and the last.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # The time left is that of the whole run, at the speed of the last quarter of an hour.
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal, speed_estimate_period=900.0
    ) as progress:
        ticks = (first - 1) * len(engines) * steps
        task = progress.add_task("", total=epochs * len(engines) * steps, completed=ticks)

        def after_batch() -> None:
            nonlocal ticks
            ticks += 1
            if ticks % BATCHES_PER_TICK == 0:
                progress.update(task, completed=ticks)

        for epoch in range(first, epochs + 1):
            row: dict[str, Any] = {"epoch": epoch}
            for engine in engines:
                progress.update(task, completed=ticks, description=f"epoch {epoch} of {epochs} {engine.name}")
                # A run that diverges is told by its engine, in one line, not by NumPy's warnings.
                with np.errstate(over="ignore", invalid="ignore"):
                    started = time.perf_counter()
                    try:
                        train_loss, train_accuracy = engine.train_epoch(after_batch)
                    except nn.Divergence as error:
                        where = error.epoch, error.batch, error.layer, error.gradient_norm
                        raise nn.Divergence(f"{engine.name}: {error}", *where) from None
                    seconds = time.perf_counter() - started
                    shown = is_shown(epoch, epochs, every)
                    test_loss, test_accuracy = engine.evaluate() if shown else (None, None)
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


def is_shown(epoch: int, epochs: int, every: int) -> bool:
    """Whether the epoch is one of every so many, counted from the first, or the last."""
    return (epoch - 1) % every == 0 or epoch == epochs


def run(
    engines: Sequence[Engine], args: argparse.Namespace, console: Console, trained: int
) -> tuple[int, list[dict[str, Any]]]:
    """Train, print, and write what there is, also after Ctrl-C; returns the exit status and a row for each epoch.

    ``trained`` is the number of training images, of which the bar makes its steps.

    A file that cannot be written, or training that diverges, is one line on stderr, with the last good checkpoint.
    ValueError if no checkpoint is good, or if it is that of a run with other settings.
    """
    checkpoints = Checkpoints(args)
    try:
        return _run(engines, args, console, checkpoints, trained)
    except (nn.Divergence, OSError) as error:
        last = checkpoints.last
        kept = f"the last good checkpoint is {last}" if last else "there is no checkpoint yet"
        machines.complain(f"{error}; {kept}")
        return 3 if isinstance(error, nn.Divergence) else 2, []


def _run(
    engines: Sequence[Engine], args: argparse.Namespace, console: Console, checkpoints: Checkpoints, trained: int
) -> tuple[int, list[dict[str, Any]]]:
    with tempfile.TemporaryFile(dir=args.out):
        pass  # a folder that cannot be written to is better known now than after an epoch
    if machines.is_first():
        checkpoints.clear_temporaries()
    names = [engine.name for engine in engines]
    device = describe_device(engines)
    network = "-".join(map(str, sizes(args)))
    title = f"{args.data_set.upper()}, {network}, {args.activation}, batch {args.batch_size}, {args.optimizer}"
    title = f"{title}, lr {args.lr:g}, {args.dtype}"
    console.print(f"{title}; {args.threads} threads" + (f"; torch on {device}" if "torch" in names else ""))
    rows = _rows_so_far(engines, args, console, checkpoints)
    tutorial = PRESETS[args.preset].tutorial if args.preset else {}
    console.print(header(names, tutorial))
    status = 0
    try:
        # Closed, so that the bar is gone before a line about what went wrong.
        steps = -(-trained // args.batch_size)
        with closing(train(engines, len(rows) + 1, args.epochs, args.every, steps, console)) as epochs:
            for row in epochs:
                rows.append(row)
                if not is_shown(row["epoch"], args.epochs, args.every):
                    continue
                console.print(format_row(row, names, tutorial))
                if machines.is_first():
                    checkpoints.write(engines, rows)
                else:
                    checkpoints.note(len(rows))
    except KeyboardInterrupt:
        last = f"--resume goes on from {checkpoints.last}" if checkpoints.last else "there is no checkpoint yet"
        console.print(
            f"interrupted after {len(rows)} whole epochs; writing what there is, weights between two epochs; {last}"
        )
        status = 130
    if not machines.is_first():
        return status, rows
    history = {"settings": plain_settings(args), "machine": describe_machine(names, device), "epochs": rows}
    checked_json.write(args.out / "history.json", history)
    written = [args.out / "history.json", *(engine.save(args.out) for engine in engines)]
    if rows:
        from scripts.mnist.curves import draw

        draw(rows, names, title, args.out / "curves.png", tutorial)
        written.append(args.out / "curves.png")
        console.print(summarize(rows, names, device, images(args)))
    console.print(f"written: {', '.join(map(str, written))}")
    return status, rows


def _rows_so_far(
    engines: Sequence[Engine], args: argparse.Namespace, console: Console, checkpoints: Checkpoints
) -> list[dict[str, Any]]:
    """The rows of the run that is resumed, of which the engines are then part; none for a new one."""
    if not args.resume:
        if note := checkpoints.unfinished():
            console.print(note)
        return []
    rows, notes = checkpoints.resume(engines)
    for note in notes:
        console.print(note)
    if len(rows) >= args.epochs:
        console.print(f"{checkpoints.last}: the run is finished, {len(rows)} of {args.epochs} epochs")
    elif rows:
        console.print(f"going on after epoch {len(rows)} of {args.epochs}, from {checkpoints.last}")
    return rows


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
