"""What a run is made of, from its options: data, network, loss, optimizer, schedule and batches, for either engine."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.data.augment import Distortion
from numpy_nn.data.mnist_family import CLASSES
from scripts.mnist import machines

SIDE = 28

OPTIMIZERS: dict[str, Callable[..., nn.Optimizer]] = {
    "sgd": lambda parameters, lr, **settings: nn.SGD(parameters, lr, **settings),
    "momentum": lambda parameters, lr, **settings: nn.SGD(parameters, lr, momentum=0.9, **settings),
    "nesterov": lambda parameters, lr, **settings: nn.SGD(parameters, lr, momentum=0.9, nesterov=True, **settings),
    "adam": nn.Adam,
    "adamw": nn.AdamW,
}

# The options of a distortion; where all are 0 there is none.
DISTORTIONS = ("rotation", "scale", "shear", "shift", "alpha")


def prepare(data: nn.MNIST, args: argparse.Namespace) -> nn.MNIST:
    """The images that both engines see, and those that they are judged by: the test images, or held-out ones."""
    if args.held_out >= len(data.x_train):
        raise ValueError(f"--held-out: {args.held_out} of {len(data.x_train)} training images leave none to train on")
    if args.held_out:
        x, y, n = data.x_train, data.y_train, args.held_out
        data = nn.MNIST(x[:-n], y[:-n], x[-n:], y[-n:])
    if args.images:
        data = data._replace(x_train=data.x_train[: args.images], y_train=data.y_train[: args.images])
    if args.standardize:
        mean, std = data.x_train.mean(), data.x_train.std()
        data = data._replace(x_train=(data.x_train - mean) / std, x_test=(data.x_test - mean) / std)
    if args.crop:
        data = data._replace(x_train=_cropped(data.x_train, args.crop), x_test=_cropped(data.x_test, args.crop))
    return data


def _cropped(images: NDArray[Any], border: int) -> NDArray[Any]:
    """The images without ``border`` pixels on every side."""
    inside = slice(border, SIDE - border)
    return np.ascontiguousarray(images.reshape(-1, SIDE, SIDE)[:, inside, inside]).reshape(len(images), -1)


def sizes(args: argparse.Namespace) -> list[int]:
    """The widths of the network, from pixels to classes."""
    return [(SIDE - 2 * args.crop) ** 2, *args.hidden, CLASSES[args.data_set]]


def build(args: argparse.Namespace) -> tuple[nn.Sequential, nn.CrossEntropyLoss, nn.Optimizer]:
    """The network with its initial weights, the loss and the optimizer, from which either engine starts."""
    net = nn.MLP(
        sizes(args),
        args.activation,
        batch_norm=args.batch_norm,
        dropout=args.dropout,
        input_dropout=args.input_dropout,
        rng=args.seed,
        dtype=args.dtype,
    )
    if args.weights_std:
        rng = np.random.default_rng(args.seed)
        for p in net.parameters():
            p.data[...] = 0.0 if p.data.ndim == 1 else rng.normal(0.0, args.weights_std, p.shape)
    settings = {} if args.weight_decay is None else {"weight_decay": args.weight_decay}
    optimizer = OPTIMIZERS[args.optimizer](net.parameters(), args.lr, **settings)
    return net, nn.CrossEntropyLoss(label_smoothing=args.label_smoothing), optimizer


def one_cycle(args: argparse.Namespace, data: nn.MNIST) -> dict[str, Any]:
    """What either engine's OneCycleLR is made with: a line up, a line down, the momentum left alone."""
    return {
        "max_lr": args.lr,
        "total_steps": args.epochs * len(make_loader(args, data)),
        "pct_start": args.warm_up,
        "anneal_strategy": "linear",
        "cycle_momentum": False,
    }


def make_loader(
    args: argparse.Namespace, data: nn.MNIST, transform: Callable[[NDArray[Any]], NDArray[Any]] | None = None
) -> nn.DataLoader:
    """The batches: one seed gives both engines the same order, and each of several processes its share of a batch."""
    if args.batch_norm and len(data.x_train) % args.batch_size == 1:
        raise ValueError(
            f"--batch-size: {args.batch_size} leaves one of {len(data.x_train)} images for the last batch, "
            "which has no variance for batch norm; use another"
        )
    loader = nn.DataLoader(data.x_train, data.y_train, args.batch_size, rng=args.seed, transform=transform)
    return machines.share_batches(loader)


def distortion(args: argparse.Namespace, data: nn.MNIST) -> dict[str, Any] | None:
    """What either engine's Distortion is made with, but its random numbers; None if the images stay as they are."""
    settings = {name: getattr(args, name) for name in DISTORTIONS}
    if not any(settings.values()):
        return None
    # The background is the least number there is, whatever has been done to the pixels.
    return {**settings, "sigma": args.sigma, "fill": float(data.x_train.min())}


def numpy_distortion(args: argparse.Namespace, data: nn.MNIST) -> Distortion | None:
    """numpy_nn's, with random numbers of its own, so that the order of the images is that of a run without it."""
    settings = distortion(args, data)
    return None if settings is None else Distortion(**settings, rng=np.random.default_rng((args.seed, 1)))
