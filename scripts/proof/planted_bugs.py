"""A bank of wrong gradients: the backward pass of some layer or loss, each with one mistake that people make, or two.

Each bug is a subclass of a right layer or loss that overrides one formula of its backward pass; ``bank`` holds them.
Where a mistake is on public record, a comment there says where, as repository and number of the issue or pull request
("after" where it is only the like of it).
"""

from __future__ import annotations

from scripts.proof.bank import (  # noqa: F401 - each puts its bugs into PLANTED
    columns,
    wrong_activations,
    wrong_images,
    wrong_layers,
    wrong_linear,
    wrong_losses,
    wrong_models,
    wrong_sequences,
)
from scripts.proof.bank.planting import OTHER, PLANTED, Make, PlantedBug
from scripts.proof.bank.right_images import IMAGE_LAYERS
from scripts.proof.bank.right_layers import LAYERS, Case
from scripts.proof.bank.right_losses import LOSSES
from scripts.proof.bank.right_sequences import SEQUENCE_LAYERS
from scripts.proof.bank.variants import VARIANTS

columns.plant()

CORRECT: list[tuple[str, Make]] = [
    *((layer.__name__, layer.draw) for layer in (*LAYERS, *IMAGE_LAYERS, *SEQUENCE_LAYERS)),
    *((loss.__name__, loss.draw) for loss in LOSSES),
    ("Ridge", wrong_models.Ridge.draw),
    ("DeepNet", wrong_models.DeepNet.draw),
    ("Residual", wrong_models.Residual.draw),
    *columns.right(),
]
"""The right ones, as negative controls: pairs of a name and its ``make``."""

__all__ = ["CORRECT", "OTHER", "PLANTED", "VARIANTS", "Case", "Make", "PlantedBug"]
