"""The recipe of a run, and what either engine makes of it: data, network, loss, optimizer, schedule and batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.data.augment import Distortion
from numpy_nn.data.mnist_family import CLASSES

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


@dataclass(frozen=True)
class Recipe:
    """All that decides the numbers of a run, by the names of the options: a run that goes on must have the same."""

    engine: str
    # The network.
    hidden: tuple[int, ...]
    activation: str
    batch_norm: bool
    dropout: float
    input_dropout: float
    weights_std: float
    dtype: str
    # How it is trained.
    epochs: int
    every: int
    batch_size: int
    lr: float
    optimizer: str
    weight_decay: float | None  # None for the optimizer's own
    schedule: str
    warm_up: float
    label_smoothing: float
    adversarial: float
    max_norm: float
    clip_norm: float
    average: float
    seed: int
    # What it learns.
    data_set: str
    held_out: int
    images: int
    crop: int
    standardize: bool
    rotation: float
    scale: float
    shear: float
    shift: float
    alpha: float
    sigma: float
    # The kind of torch's step, each of which rounds as it likes.
    loader: str
    graph: bool
    compile: bool
    fused: bool
    amp: bool


def prepare(data: nn.MNIST, recipe: Recipe) -> nn.MNIST:
    """The images that both engines see, and those that they are judged by: the test images, or held-out ones."""
    if recipe.held_out >= len(data.x_train):
        raise ValueError(f"--held-out: {recipe.held_out} of {len(data.x_train)} training images leave none to train on")
    if recipe.held_out:
        x, y, n = data.x_train, data.y_train, recipe.held_out
        data = nn.MNIST(x[:-n], y[:-n], x[-n:], y[-n:])
    if recipe.images:
        data = data._replace(x_train=data.x_train[: recipe.images], y_train=data.y_train[: recipe.images])
    if recipe.standardize:
        mean, std = data.x_train.mean(), data.x_train.std()
        data = data._replace(x_train=(data.x_train - mean) / std, x_test=(data.x_test - mean) / std)
    if recipe.crop:
        data = data._replace(x_train=_cropped(data.x_train, recipe.crop), x_test=_cropped(data.x_test, recipe.crop))
    return data


def _cropped(images: NDArray[Any], border: int) -> NDArray[Any]:
    """The images without ``border`` pixels on every side."""
    inside = slice(border, SIDE - border)
    return np.ascontiguousarray(images.reshape(-1, SIDE, SIDE)[:, inside, inside]).reshape(len(images), -1)


def sizes(recipe: Recipe) -> list[int]:
    """The widths of the network, from pixels to classes."""
    return [(SIDE - 2 * recipe.crop) ** 2, *recipe.hidden, CLASSES[recipe.data_set]]


def build(recipe: Recipe) -> tuple[nn.Sequential, nn.CrossEntropyLoss, nn.Optimizer]:
    """The network with its initial weights, the loss and the optimizer, from which either engine starts."""
    net = nn.MLP(
        sizes(recipe),
        recipe.activation,
        batch_norm=recipe.batch_norm,
        dropout=recipe.dropout,
        input_dropout=recipe.input_dropout,
        rng=recipe.seed,
        dtype=recipe.dtype,
    )
    if recipe.weights_std:
        rng = np.random.default_rng(recipe.seed)
        for p in net.parameters():
            p.data[...] = 0.0 if p.data.ndim == 1 else rng.normal(0.0, recipe.weights_std, p.shape)
    settings = {} if recipe.weight_decay is None else {"weight_decay": recipe.weight_decay}
    optimizer = OPTIMIZERS[recipe.optimizer](net.parameters(), recipe.lr, **settings)
    return net, nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing), optimizer


def one_cycle(recipe: Recipe, steps: int) -> dict[str, Any]:
    """What either engine's OneCycleLR is made with, of so many steps an epoch.

    A line up, a line down, the momentum left alone.
    """
    return {
        "max_lr": recipe.lr,
        "total_steps": recipe.epochs * steps,
        "pct_start": recipe.warm_up,
        "anneal_strategy": "linear",
        "cycle_momentum": False,
    }


def make_loader(
    recipe: Recipe, data: nn.MNIST, transform: Callable[[NDArray[Any]], NDArray[Any]] | None = None
) -> nn.DataLoader:
    """The batches: one seed gives both engines the same order."""
    if recipe.batch_norm and len(data.x_train) % recipe.batch_size == 1:
        raise ValueError(
            f"--batch-size: {recipe.batch_size} leaves one of {len(data.x_train)} images for the last batch, "
            "which has no variance for batch norm; use another"
        )
    return nn.DataLoader(data.x_train, data.y_train, recipe.batch_size, rng=recipe.seed, transform=transform)


def distortion(recipe: Recipe, data: nn.MNIST) -> dict[str, Any] | None:
    """What either engine's Distortion is made with, but its random numbers; None if the images stay as they are."""
    settings = {name: getattr(recipe, name) for name in DISTORTIONS}
    if not any(settings.values()):
        return None
    # The background is the least number there is, whatever has been done to the pixels.
    return {**settings, "sigma": recipe.sigma, "fill": float(data.x_train.min())}


def numpy_distortion(recipe: Recipe, data: nn.MNIST) -> Distortion | None:
    """numpy_nn's, with random numbers of its own, so that the order of the images is that of a run without it."""
    settings = distortion(recipe, data)
    return None if settings is None else Distortion(**settings, rng=np.random.default_rng((recipe.seed, 1)))
