"""Every layer, by name, on rows of three numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np

import numpy_nn as nn

WIDTH = 3


def without_dtype(layer):
    return lambda _: layer()


def network(dtype):
    inner = nn.Sequential(nn.BatchNorm1d(4, dtype=dtype), nn.PReLU(4, dtype=dtype))
    return nn.Sequential(
        nn.Linear(WIDTH, 4, rng=0, dtype=dtype),
        nn.Tanh(),
        inner,
        nn.Dropout(rng=1),
        nn.Linear(4, 2, rng=2, dtype=dtype),
    )


LAYERS: dict[str, Callable[[Any], Any]] = {
    "Linear": lambda dtype: nn.Linear(WIDTH, 4, rng=0, dtype=dtype),
    "Linear without bias": lambda dtype: nn.Linear(WIDTH, 4, bias=False, rng=0, dtype=dtype),
    "Flatten": lambda _: nn.Flatten(),
    "Dropout": lambda _: nn.Dropout(0.4, rng=0),
    "BatchNorm1d": lambda dtype: nn.BatchNorm1d(WIDTH, dtype=dtype),
    "BatchNorm1d, bare": lambda dtype: nn.BatchNorm1d(WIDTH, affine=False, track_running_stats=False, dtype=dtype),
    "LayerNorm": lambda dtype: nn.LayerNorm(WIDTH, dtype=dtype),
    "LayerNorm without bias": lambda dtype: nn.LayerNorm((WIDTH,), bias=False, dtype=dtype),
    "LayerNorm without parameters": lambda _: nn.LayerNorm(WIDTH, elementwise_affine=False),
    **{layer.__name__: without_dtype(layer) for layer in nn.ACTIVATION_LAYERS.values()},
    "PReLU": lambda dtype: nn.PReLU(WIDTH, dtype=dtype),
    "PReLU of one slope": lambda dtype: nn.PReLU(dtype=dtype),
    "Sequential": network,
}


def batch(dtype, rows=5):
    return np.random.default_rng(0).standard_normal((rows, WIDTH)).astype(dtype)
