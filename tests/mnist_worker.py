"""``train_mnist.py`` on a few images, for tests that start it as a process: ``mnist_worker.py ROWS [options]``."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import numpy_nn as nn
from scripts import train_mnist


def few(rows):
    """Made-up images, the same at every call, that a small network learns something from."""
    rng = np.random.default_rng(rows)
    y = rng.integers(0, 10, rows + 50)
    x = 0.5 * rng.random((rows + 50, 784)) + 0.5 * rng.random((10, 784))[y]
    return x, y, rows


def load(rows):
    """What takes the place of load_mnist."""
    x, y, _ = few(rows)

    def load_mnist(_root, *, dtype):
        return nn.MNIST(x[:rows].astype(dtype), y[:rows], x[rows:].astype(dtype), y[rows:])

    return load_mnist


if __name__ == "__main__":
    train_mnist.nn.load_mnist = load(int(sys.argv[1]))
    sys.exit(train_mnist.main(sys.argv[2:]))
