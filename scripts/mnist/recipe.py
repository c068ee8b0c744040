"""What a run is made of, from its options: network, loss, optimizer, schedule, data and batches, for either engine."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy_nn as nn
from scripts.mnist import machines

OPTIMIZERS: dict[str, Callable[[Any, float], nn.Optimizer]] = {
    "sgd": lambda parameters, lr: nn.SGD(parameters, lr),
    "momentum": lambda parameters, lr: nn.SGD(parameters, lr, momentum=0.9),
    "nesterov": lambda parameters, lr: nn.SGD(parameters, lr, momentum=0.9, nesterov=True),
    "adam": lambda parameters, lr: nn.Adam(parameters, lr),
    "adamw": lambda parameters, lr: nn.AdamW(parameters, lr),
}


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
    """The batches: one seed gives both engines the same order, and each of several processes its share of a batch."""
    return machines.share_batches(nn.DataLoader(data.x_train, data.y_train, args.batch_size, rng=args.seed))


def standardized(data: nn.MNIST) -> nn.MNIST:
    """The images with mean 0 and variance 1 over all pixels of the training images."""
    mean, std = data.x_train.mean(), data.x_train.std()
    return data._replace(x_train=(data.x_train - mean) / std, x_test=(data.x_test - mean) / std)
