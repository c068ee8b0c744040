"""Small runs of one process or of several that own the network together, the same at every call."""

import numpy as np

import numpy_nn as nn
from numpy_nn.owners import OwnedTraining

ROWS, BATCH = 20, 8  # batches of 8, 8 and 4


def exact(sizes, optimizer, rows=ROWS, **options):
    """A run in which float64 holds every number: halves, ReLU, squared errors, powers of 2.

    It does for a few steps: the number of digits is multiplied by each.
    """
    rng = np.random.default_rng(11)
    net = nn.MLP(sizes, rng=0, dtype=np.float64, **options)
    for p in net.parameters():
        p.data[...] = rng.integers(-2, 3, p.shape) / 2
    x = rng.integers(-1, 2, (rows, sizes[0])).astype(np.float64)
    t = rng.integers(-2, 3, (rows, sizes[-1])).astype(np.float64)
    return net, nn.MSELoss(), optimizer(net), nn.DataLoader(x, t, BATCH, rng=5)


def rounded(sizes, optimizer, *, loss=None, **options):
    """A run of the usual numbers, in three classes."""
    rng = np.random.default_rng(3)
    net = nn.MLP(sizes, rng=0, dtype=np.float64, **options)
    x, y = rng.normal(size=(ROWS, sizes[0])), rng.integers(0, sizes[-1], ROWS)
    return net, loss or nn.CrossEntropyLoss(), optimizer(net), nn.DataLoader(x, y, BATCH, rng=5)


def fit(made, epochs=1, processes=None, **options):
    """The history of ``fit``, in so many processes."""
    net, loss, optimizer, loader = made
    if processes is None:
        return nn.fit(net, loss, optimizer, loader, epochs, **options)
    with OwnedTraining(net, loss, optimizer, processes) as owned:
        return nn.fit(net, loss, optimizer, owned.batches(loader), epochs, gradients=owned.gradients, **options)


def begun(processes=2):
    net, loss, optimizer, loader = made = exact([3, 4, 2], lambda net: nn.SGD(net.parameters(), 0.25))
    owned = OwnedTraining(net, loss, optimizer, processes)
    x, t = loader.x, loader.y
    owned.step(x[:8], t[:8])
    owned.collect()
    return made, owned, (x[:8], t[:8])


def everything(made):
    """All that the next step depends on: arrays, counters and generators."""
    net, _, optimizer, loader = made
    return nn.TrainingState(net, optimizer, loader).state_dict()
