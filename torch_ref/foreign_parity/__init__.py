"""Parity of anybody's code: two networks compared, with a resolution that is measured where no bound is derived."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.subjects import Subject
from torch_ref.foreign_parity.comparing import compare_networks
from torch_ref.foreign_parity.report import Comparison, NetworkReport
from torch_ref.parity import ParityReport
from torch_ref.parity import parity as layer_by_layer
from torch_ref.twin import Device

__all__ = ["Comparison", "NetworkReport", "compare_networks", "parity"]

Array = NDArray[Any]


@overload
def parity(
    net: nn.Sequential,
    x: Array,
    target: Array,
    loss: nn.Loss,
    optimizer: nn.Optimizer | None = None,
    *,
    steps: int = 3,
    device: Device = None,
) -> ParityReport: ...


@overload
def parity(mine: Any, theirs: Any, x: Any, y: Any = None, loss: Any = None, **settings: Any) -> NetworkReport: ...


@overload
def parity(mine: Any, theirs: Any, x: Any, y: Any, loss: Any, optimizer: Any, **settings: Any) -> NetworkReport: ...


def parity(*networks_and_data: Any, **settings: Any) -> ParityReport | NetworkReport:
    """Compare a network with another, number by number: with its torch twin, or with a network that is given.

    ``parity(net, x, target, loss, optimizer)`` holds a network of numpy_nn and the twin made from it to derived bounds,
    layer by layer: see :func:`torch_ref.parity.parity`. ``parity(mine, theirs, x, y, loss, optimizer)`` compares any
    two networks: see :func:`compare_networks`.
    """
    given = networks_and_data
    if "theirs" in settings or (len(given) > 1 and _is_network(given[1])):
        return compare_networks(*given, **settings)
    return layer_by_layer(*given, **settings)


def _is_network(thing: Any) -> bool:
    """Whether the second argument is a network, not a batch."""
    if isinstance(thing, (Subject, nn.Layer, torch.nn.Module)) or callable(thing):
        return True
    if isinstance(thing, (tuple, list)):
        return bool(thing) and all(map(callable, thing))
    return not isinstance(thing, (torch.Tensor, np.generic, float, int)) and not hasattr(thing, "__array__")
