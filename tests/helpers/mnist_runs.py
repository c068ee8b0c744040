"""Runs of ``train_mnist.py``, for the tests of what it does."""

import json
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

import numpy_nn as nn
from numpy_nn._support import checkpoint
from scripts import kill_and_resume, train_mnist
from scripts.mnist import curves

ROOT = Path(__file__).parents[2]
DATA = str(ROOT / "data")


@contextmanager
def only_few(mnist, number=1500, tested=500):
    """``load_mnist`` gives train_mnist the first so many training and test images."""

    def load(_root, *, dtype):
        x, y, x_test, y_test = mnist
        return nn.MNIST(x[:number].astype(dtype), y[:number], x_test[:tested].astype(dtype), y_test[:tested])

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


EPOCHS = 4
SMALL = ("--hidden", "8,6", "--device", "cpu", "--threads", "1", "--data", DATA)
RUN = ("--engine", "numpy", "--epochs", str(EPOCHS))


def train(out, *arguments):
    """The exit status of train_mnist with a small network, on one thread."""
    return train_mnist.main([*SMALL, "--out", str(out), *arguments])


def numbers(path):
    """The arrays of a checkpoint that NumPy wrote, which hold neither seconds nor words."""
    return {name: array.tobytes() for name, array in checkpoint.read(path).items() if array.dtype.kind == "f"}


def assert_same_run(whole, out):
    """Both folders are those of one run, to the last bit."""
    assert kill_and_resume.differences(whole, out) == []
    assert numbers(whole / f"checkpoint-{EPOCHS}.npz") == numbers(out / f"checkpoint-{EPOCHS}.npz")
