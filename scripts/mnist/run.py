"""One run: train the engines epoch by epoch in turn, print, and write what there is, also after Ctrl-C."""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import numpy_nn as nn
from scripts.mnist import machines
from scripts.mnist.engine import Engine
from scripts.mnist.numpy_engine import NumpyEngine
from scripts.mnist.table import format_row, header, largest_difference, summarize
from scripts.mnist.torch_engine import TorchEngine

# A progress bar that moved at every batch would take as long as the batch.
BATCHES_PER_TICK = 50


def make_engines(args: argparse.Namespace, data: nn.MNIST) -> list[Engine]:
    """The engines that were asked for, at their start."""
    makers: dict[str, Callable[[argparse.Namespace, nn.MNIST], Engine]] = {"numpy": NumpyEngine, "torch": TorchEngine}
    return [make(args, data) for name, make in makers.items() if args.engine in (name, "both")]


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
    if not machines.is_first():
        return status, rows
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    history = {"settings": settings, "machine": describe_machine(names, device), "epochs": rows}
    (args.out / "history.json").write_text(json.dumps(history, indent=2) + "\n", encoding="utf-8")
    written = [args.out / "history.json", *(engine.save(args.out) for engine in engines)]
    if rows:
        from scripts.mnist.curves import draw

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
