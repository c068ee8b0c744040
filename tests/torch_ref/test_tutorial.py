"""The tutorial's two experiments on one batch of MNIST: numpy_nn beside torch, step for step, in float64."""

import numpy as np
import pytest
import torch

import numpy_nn as nn
from torch_ref import ScratchMLP, concise_mlp, from_torch

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

STEPS, EVERY = 1000, 100

# Losses at step 0, 100 and 900 over 16 seeds and batches, least and largest, from the outline of the tutorial.
SCRATCH = {0: (49, 102), 100: (0.018, 0.50), 900: (0.0002, 0.42)}
CONCISE = {0: (2.28, 2.33), 100: (0.42, 0.76), 900: (0.0038, 0.0048)}


def torch_curve(model, x, y, lr):
    """The loss at every hundredth step, by autograd."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    inputs, labels, curve = torch.from_numpy(x), torch.from_numpy(y), []
    for step in range(STEPS):
        loss = torch.nn.functional.cross_entropy(model(inputs), labels)
        if step % EVERY == 0:
            curve.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.array(curve)


def numpy_curve(net, x, y, lr):
    """The loss at every hundredth step, by our formulas."""
    loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(net.parameters(), lr)
    values = [nn.train_step(net, loss, optimizer, x, y) for _ in range(STEPS)]
    return np.array(values[::EVERY])


# About one run in eight of this experiment (seed 0 among them) is chaotic: torch's own curve moves by 5e-8 if every
# weight moves by one unit in the last place, so that no two engines can agree any better. The others agree to 1e-12.
@pytest.mark.parametrize("seed", [1, 2])
def test_from_bare_parameters(mnist, seed):
    rows = slice(64 * seed, 64 * seed + 64)
    x, y = mnist.x_train[rows].astype(np.float64), mnist.y_train[rows]
    model = ScratchMLP(generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    net = nn.MLP([784, 64, 10], dtype=np.float64)
    for p, theirs in zip(net.parameters(), (model.W1, model.b1, model.W2, model.b2), strict=True):
        p.data[...] = theirs.detach().numpy()
    ours, theirs = numpy_curve(net, x, y, 1.0), torch_curve(model, x, y, 1.0)
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    for step, (low, high) in SCRATCH.items():
        assert low / 2 < ours[step // EVERY] < high * 2


def test_in_the_concise_form(mnist):
    x, y = mnist.x_train[:64].astype(np.float64), mnist.y_train[:64]
    torch.manual_seed(0)
    model = concise_mlp(dtype=torch.float64)
    net = from_torch(model)
    ours, theirs = numpy_curve(net, x, y, 0.1), torch_curve(model, x, y, 0.1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    for step, (low, high) in CONCISE.items():
        assert low * 0.9 < ours[step // EVERY] < high * 1.1
