"""``train_mnist.py`` on a few made-up images, for tests that start processes.

``mnist_worker.py ROWS [options]`` is the command; :func:`train` trains with one engine, alone or as one of several.
"""

import itertools
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import numpy_nn as nn
from scripts import train_mnist
from scripts.mnist import curves
from scripts.mnist.arguments import parse
from scripts.mnist.run import make_trainers

TEST_ROWS = 50


def images(rows, dtype):
    """Made-up images, the same at every call, that a small network learns something from."""
    rng = np.random.default_rng(rows)
    y = rng.integers(0, 10, rows + TEST_ROWS)
    x = (0.5 * rng.random((rows + TEST_ROWS, 784)) + 0.5 * rng.random((10, 784))[y]).astype(dtype)
    return nn.MNIST(x[:rows], y[:rows], x[rows:], y[rows:])


def trainer(rows, options, process):
    """One before its first step."""
    parsed = parse(["--device", "cpu", "--threads", "1", *options], "")
    (made,) = make_trainers(parsed, images(rows, parsed.recipe.dtype), process)
    return made


def train(rows, options, process):
    """A trainer after an epoch, and its metrics on training and test images."""
    trained = trainer(rows, options, process)
    return trained, [(*trained.train_epoch(1, lambda: None), *trained.evaluate())]


def hang_at(call):
    """Rank 1 stops for good in place of so many-th all-reduce, and only then does rank 0 lose patience."""
    from torch import distributed

    from torch_ref.distributed import Group

    calls, sum_ = itertools.count(1), Group.sum_

    def sum_or_hang(group, array):
        if next(calls) == call:
            if group.rank == 1:
                os.kill(os.getpid(), signal.SIGSTOP)
            distributed.distributed_c10d._set_pg_timeout(timedelta(seconds=0.5))
        sum_(group, array)

    mock.patch.object(Group, "sum_", sum_or_hang).start()


if __name__ == "__main__":
    if "TEST_TIMEOUT" in os.environ:
        from torch_ref import distributed

        distributed.TIMEOUT = timedelta(seconds=float(os.environ["TEST_TIMEOUT"]))
    if "TEST_HANG" in os.environ:
        hang_at(int(os.environ["TEST_HANG"]))

    def load_mnist(_root, *, dtype):
        return images(int(sys.argv[1]), dtype)

    # The figure is an empty file: to draw it takes ten times as long as a short run.
    undrawn = mock.patch.object(curves, "draw", lambda _rows, _names, _title, path, _tutorial: path.touch())
    with mock.patch.object(train_mnist.nn, "load_mnist", load_mnist), undrawn:
        sys.exit(train_mnist.main(sys.argv[2:]))
