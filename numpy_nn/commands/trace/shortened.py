"""The recording of one training step of a larger network, in the short form: sizes, histograms and images."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn

Array = NDArray[Any]
MAX_IMAGES = 64
SIDE, DIGITS = 28, 8


def shorten(net: nn.Sequential, x: Array, y: Array, lr: float) -> dict[str, Any]:
    """What the shortened page shows.

    Of each array its root mean square and histogram, of the first layer's weights the images, and of the first digits
    the picture, the label and what the network takes them for.
    """
    trace = nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), lr), x, y)
    trace.to_json()  # refuses numbers that are not finite
    first = next(layer for layer in trace.layers if layer.type == "Linear")
    weights = {"weight": trace.arrays[f"{first.name}.weight"], "gradient": trace.arrays[f"{first.name}.weight.grad"]}
    probabilities = trace.arrays["loss.softmax"]
    units = min(MAX_IMAGES, weights["weight"].shape[1])
    return {
        "layers": [vars(layer) for layer in trace.layers],
        "lr": trace.lr,
        "arrays": {name: {"shape": list(array.shape)} for name, array in trace.arrays.items()},
        "summary": {name: summarize(array) for name, array in trace.arrays.items() if name != "target"}
        | {"target": {"size": y.size, "labels": np.bincount(y, minlength=probabilities.shape[1]).tolist()}},
        "digits": [
            {
                "pixels": base64.b64encode(np.rint(255 * pixels / max(pixels.max(), 1e-12)).astype(np.uint8)).decode(),
                "label": int(label),
                "prediction": int(p.argmax()),
                "probability": float(p.max()),
            }
            for pixels, label, p in zip(x[:DIGITS], y[:DIGITS], probabilities[:DIGITS], strict=True)
        ],
        "images": {"side": SIDE, "units": units, "total": weights["weight"].shape[1]}
        | {name: as_bytes(array[:, :units]) for name, array in weights.items()},
    }


def summarize(array: Array) -> dict[str, Any]:
    """Size, root mean square, mean, zeros and histogram of an array's numbers."""
    counts, edges = np.histogram(array, bins=31)
    return {
        "size": array.size,
        "rms": float(np.linalg.norm(array) / np.sqrt(array.size)),
        "mean": float(array.mean()),
        "zeros": int(array.size - np.count_nonzero(array)),
        "low": float(edges[0]),
        "high": float(edges[-1]),
        "counts": counts.tolist(),
    }


def as_bytes(weight: Array) -> str:
    """The columns of a weight in base64, a byte an entry: 127 for 0, 0 and 254 for the column's largest size."""
    largest = np.abs(weight).max(axis=0)
    scaled = np.rint(127 + 127 * weight / np.where(largest > 0, largest, 1)).astype(np.uint8)
    return base64.b64encode(scaled.T.tobytes()).decode()
