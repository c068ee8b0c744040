"""What ``numpy-nn trace`` does: a small network or one for MNIST, its recording, and the page."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.commands.command_line import in_a_line
from numpy_nn.commands.trace.arguments import MAX_POINTS, PIXELS, check_limits, parse
from numpy_nn.commands.trace.mine import record_mine
from numpy_nn.commands.trace.points import points
from numpy_nn.commands.trace.recording import has_torch, record, record_points
from numpy_nn.commands.trace.render import render
from numpy_nn.commands.trace.shortened import shorten
from numpy_nn.gradcheck.files import UsageError

Array = NDArray[Any]


def small_problem(args: argparse.Namespace) -> tuple[nn.Sequential, Array, Array]:
    """A network and a batch with targets for its loss; the numbers have two decimals, for products by hand."""
    check_limits(len(args.sizes) - 1, args.sizes, args.batch)  # before anything large is made
    rng, extras = np.random.default_rng(args.seed), {"batch_norm": args.batch_norm, "dropout": args.dropout}
    net = nn.MLP(args.sizes, args.activation, **extras, rng=rng, dtype=np.float64)
    for p in net.parameters():
        np.round(p.data, 2, out=p.data)
    x = rng.standard_normal((args.batch, args.sizes[0])).round(2)
    if args.loss == "cross-entropy":
        return net, x, np.resize(rng.permutation(args.sizes[-1]), args.batch)
    shape = args.batch, args.sizes[-1]
    return (
        net,
        x,
        rng.standard_normal(shape).round(2) if args.loss == "mse" else rng.integers(0, 2, shape).astype(float),
    )


def points_problem(args: argparse.Namespace) -> tuple[nn.Sequential, Array, Array]:
    """A network of two inputs, and points in the plane with their classes as targets for its loss."""
    check_limits(len(args.sizes) - 1, args.sizes, args.batch, MAX_POINTS)
    x, y = points(args.data, args.batch, args.seed)
    classes = int(y.max()) + 1
    if args.outputs_by_classes:
        args.sizes[-1] = max(classes, args.sizes[-1])
    outputs = args.sizes[-1]
    if args.loss == "cross-entropy" and classes > outputs:
        raise ValueError(f"--sizes: expected an output for each of the {classes} classes of {args.data}, got {outputs}")
    if args.loss != "cross-entropy" and (classes > 2 or outputs != 1):
        raise ValueError(f"--loss {args.loss}: expected two classes and one output, got {classes} and {outputs}")
    rng, extras = np.random.default_rng(args.seed), {"batch_norm": args.batch_norm, "dropout": args.dropout}
    net = nn.MLP(args.sizes, args.activation, **extras, rng=rng, dtype=np.float64)
    for p in net.parameters():
        np.round(p.data, 2, out=p.data)
    return net, x, y if args.loss == "cross-entropy" else y[:, None].astype(float)


def mnist_problem(args: argparse.Namespace) -> tuple[nn.Sequential, Array, Array]:
    """A network for MNIST, with the weights of a checkpoint if one is given, and the first images."""
    net = nn.MLP(args.sizes, args.activation, rng=args.seed)
    if args.checkpoint is not None:
        net.load(args.checkpoint)
    data = nn.load_mnist(args.data)
    return net, data.x_train[: args.batch], data.y_train[: args.batch]


def described(args: argparse.Namespace, recording: dict[str, Any]) -> dict[str, Any]:
    """What the line below the page's heading says of a network of ours and its step."""
    network = f"{'-'.join(map(str, args.sizes))}, {args.activation}{', BatchNorm1d' * args.batch_norm}"
    network += f", Dropout({args.dropout:g})" if args.dropout else ""
    network += f", {Path(args.data).name}" if args.on_points else ""
    return {
        "network": network,
        "optimizer": {"sgd": "SGD", "momentum": "momentum", "adam": "Adam"}[args.optimizer],
        "loss": args.loss,
        "batch": recording["arrays"]["input"]["shape"][0],
        "lr": args.lr,
        "seed": args.seed,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    return run(parse(arguments))


def run(args: argparse.Namespace) -> int:
    """Write the page; return the exit status."""
    try:
        # What overflows is refused, with its name, when it is written down.
        with np.errstate(all="ignore"):
            if args.mine is not None:
                recording, about = record_mine(args)
            elif args.sizes[0] == PIXELS:
                recording = shorten(*mnist_problem(args), args.lr)
            elif args.on_points:
                recording = record_points(*points_problem(args), args.lr, args.loss, args.optimizer)
            else:
                recording = record(*small_problem(args), args.lr, args.loss, args.optimizer)
            if args.mine is None:
                about = described(args, recording)
            if args.mistake is not None:
                recording["mistake"] = args.mistake
        html = render(recording, about, args.lang)
        args.out.write_text(html, encoding="utf-8", newline="\n")
    except (OSError, ValueError, MemoryError, UsageError) as error:
        print(f"trace: {in_a_line(error)}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(
            f"trace: --mine: {error.name} is not installed, which finds your network's twin; pip install {error.name}",
            file=sys.stderr,
        )
        return 2
    print(f"written: {args.out} ({os.path.getsize(args.out) / 1000:.0f} kB)")
    if "checks" in recording and not has_torch():
        print("torch is not installed: its gradients are left out of the page")
    return 0
