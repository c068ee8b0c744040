"""Runs of ``train_mnist.py``, for the tests of what it does."""

import json
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

import numpy_nn as nn
from scripts import train_mnist
from scripts.mnist import curves

ROOT = Path(__file__).parents[2]
DATA = str(ROOT / "data")


@contextmanager
def only_few(mnist):
    """``load_mnist`` gives train_mnist the first 1,500 training and 500 test images."""

    def load(_root, *, dtype):
        x, y, x_test, y_test = mnist
        return nn.MNIST(x[:1500].astype(dtype), y[:1500], x_test[:500].astype(dtype), y_test[:500])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_mnist.nn, "load_mnist", load)
        yield


@contextmanager
def undrawn():
    """Instead of the figure of a run there is an empty file: to draw it takes ten times as long as a short run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "draw", lambda _rows, _names, _title, path, _tutorial: path.touch())
        yield


def run(folder, *arguments, draws=False):
    """Run the command into the folder; its status and its history."""
    with nullcontext() if draws else undrawn():
        status = train_mnist.main(["--data", DATA, "--out", str(folder), "--threads", "1", *arguments])
    return status, json.loads((folder / "history.json").read_text())
