"""Every planted mistake, and every right layer, to which it makes a difference once more with samples in columns."""

from __future__ import annotations

import numpy as np

from scripts.proof.bank.planting import PLANTED, Make, PlantedBug
from scripts.proof.bank.right_layers import MLP, BatchNorm, Case, LayerNorm, Linear, LogSoftmax, Softmax
from scripts.proof.bank.right_losses import CrossEntropy
from scripts.proof.bank.variants import in_columns
from scripts.proof.bank.wrong_models import DeepNet

MADE_FOR_COLUMNS = (Linear, MLP, DeepNet, Softmax, LogSoftmax, BatchNorm, LayerNorm, CrossEntropy)


def _turned(make: Make) -> Make:
    def turned(rng: np.random.Generator) -> Case:
        return in_columns(make(rng))

    return turned


def plant() -> None:
    """Put the mistakes of the layers in :data:`MADE_FOR_COLUMNS` into the bank, in columns."""
    for bug in list(PLANTED):
        target = bug.make(np.random.default_rng(0))[0]
        if isinstance(target, MADE_FOR_COLUMNS):
            PLANTED.append(
                PlantedBug(f"{bug.name}InColumns", bug.cause, _turned(bug.make), bug.wrong, bug.also, bug.known)
            )


def right() -> list[tuple[str, Make]]:
    """The right ones."""
    return [(f"{cls.__name__}InColumns", _turned(cls.draw)) for cls in MADE_FOR_COLUMNS]
