"""A training run in which no operation rounds: halves, ReLU, squared errors, rates that are powers of 2.

Whatever the order of summation, on any number of threads or processes, float64 holds every number of it. So both
engines must end with the same bits, those of the same run in fractions, which is here as well, by hand.
"""

from fractions import Fraction

import numpy as np
import torch

import numpy_nn as nn
from torch_ref import distributed, loss_to_torch, optimizer_to_torch, parameters_as_numpy, to_torch
from torch_ref.training import make_step, resident_batches, train_epoch

LR, MOMENTUM = 0.25, 0.5
# Batches of 8, 8 and 4: in 2 or 4 processes each share's mean divides by a power of 2, too.
ROWS, BATCH = 20, 8


def make():
    """Network, loss, optimizer and loader, the same at every call."""
    rng = np.random.default_rng(11)
    net = nn.MLP([3, 4, 1], rng=0, dtype=np.float64)
    for p in net.parameters():
        p.data[...] = rng.integers(-2, 3, p.shape) / 2
    x = rng.integers(-1, 2, (ROWS, 3)).astype(np.float64)
    t = rng.integers(-2, 3, (ROWS, 1)).astype(np.float64)
    loader = nn.DataLoader(x, t, BATCH, shuffle=False)
    return net, nn.MSELoss(), nn.SGD(net.parameters(), LR, MOMENTUM), loader


def numpys(group=None):
    """The parameters after an epoch of numpy_nn's ``fit``, alone or as one of several processes."""
    net, loss, optimizer, loader = make()
    callbacks = []
    if group is not None:
        loader = distributed.ShardedLoader(loader, group)
        callbacks = [distributed.AllReduce(net, loss, loader)]
    nn.fit(net, loss, optimizer, loader, 1, callbacks=callbacks)
    return {name: p.data for name, p in net.named_parameters()}


def torchs(group=None, **options):
    """The same of torch's."""
    net, loss, optimizer, loader = make()
    model = to_torch(net)
    x, t = torch.from_numpy(loader.x), torch.from_numpy(loader.y)
    trained = model
    if group is not None:
        loader = distributed.ShardedLoader(loader, group)
        parallel = distributed.DataParallel(model, loader)
        trained = parallel.model
    batches = resident_batches(x, t, loader.indices())
    theirs = optimizer_to_torch(optimizer, model)
    # The number of rows that are right, which a regression has not, is nobody's concern here.
    step = make_step(trained, loss_to_torch(loss), theirs, **options)
    train_epoch(
        model, loss_to_torch(loss), theirs, batches if group is None else parallel.begin_epoch(batches), step=step
    )
    return dict(parameters_as_numpy(model))


def truth():
    """The same run in fractions."""
    net, _, _, loader = make()
    fraction = np.vectorize(lambda v: Fraction(float(v)), otypes=[object])
    w1, b1, w2, b2 = parameters = [fraction(p.data) for p in net.parameters()]
    velocities = [0 * p for p in parameters]
    for rows in (slice(0, 8), slice(8, 16), slice(16, 20)):
        x, t = fraction(loader.x[rows]), fraction(loader.y[rows])
        z = x @ w1 + b1
        h = np.maximum(z, 0)
        g = 2 * (h @ w2 + b2 - t) / len(x)
        hidden = (g @ w2.T) * (z > 0)
        gradients = x.T @ hidden, hidden.sum(axis=0), h.T @ g, g.sum(axis=0)
        for p, v, gradient in zip(parameters, velocities, gradients, strict=True):
            v[...] = Fraction(MOMENTUM) * v + gradient
            p[...] = p - Fraction(LR) * v
    return dict(zip((name for name, _ in net.named_parameters()), parameters, strict=True))


def is_exact(parameters):
    """Whether every parameter is the fraction that it should be."""
    exact = truth()
    return parameters.keys() == exact.keys() and all(
        Fraction(float(ours)) == expected
        for name, array in parameters.items()
        for ours, expected in zip(array.ravel(), exact[name].ravel(), strict=True)
    )
