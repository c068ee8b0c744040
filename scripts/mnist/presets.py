"""The presets of ``train_mnist.py``: recipes by name, each a line of options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple


class Preset(NamedTuple):
    """What a recipe is for, the options that it sets, and the losses by epoch that the tutorial has for it."""

    purpose: str
    settings: dict[str, Any]
    tutorial: Mapping[int, float] = MappingProxyType({})


# The tutorial prints the loss before its steps 0, 100, ..., 900, which are the preset's epochs 1, 101, ..., 901.
TUTORIAL = dict(
    zip(
        range(1, 1000, 100),
        (79.9906, 0.4516, 0.3094, 0.2515, 0.2047, 0.1898, 0.1861, 0.1446, 0.1345, 0.0993),
        strict=True,
    )
)

# What the recipes share that take minutes.
LONG: dict[str, Any] = {
    "batch_norm": True,
    "batch_size": 256,
    "optimizer": "nesterov",
    "lr": 0.1,
    "weight_decay": 1e-4,
    "schedule": "one-cycle",
    "warm_up": 0.1,
    "label_smoothing": 0.1,
    "standardize": True,
}
DISTORTED = {"rotation": 12.0, "scale": 0.12, "shear": 0.15, "shift": 1.5, "alpha": 26.0}

# Chosen on the last 5,000 training images; the test images decided nothing.
PRESETS = {
    "seed": Preset(
        "the tutorial's one batch, 1000 times",
        {"images": 64, "epochs": 1000, "every": 100, "lr": 1.0, "weights_std": 1.0, "out": Path("runs/seed")},
        TUTORIAL,
    ),
    "demo": Preset("seconds, plain SGD", {}),
    "fast": Preset(
        "98%% of the test images as fast as can be",
        {
            "hidden": [192],
            "epochs": 2,
            "batch_size": 96,
            "optimizer": "nesterov",
            "lr": 0.12,
            "schedule": "one-cycle",
            "warm_up": 0.1,
            "label_smoothing": 0.05,
            "standardize": True,
            "crop": 4,
            "out": Path("runs/fast"),
        },
    ),
    "plain": Preset(
        "no distortion, the pixels in any order",
        {
            **LONG,
            "hidden": [1024, 1024],
            "epochs": 30,
            "label_smoothing": 0.0,
            "adversarial": 4.0,
            "out": Path("runs/plain"),
        },
    ),
    "distort": Preset(
        "images distorted anew at each step",
        {**LONG, **DISTORTED, "hidden": [1024, 1024, 1024], "epochs": 60, "out": Path("runs/distort")},
    ),
    # The widths are those of the largest network of Ciresan et al., 2010.
    "record": Preset(
        "as few errors as within two hours",
        {**LONG, **DISTORTED, "hidden": [2500, 2000, 1500, 1000, 500], "epochs": 130, "out": Path("runs/record")},
    ),
}
