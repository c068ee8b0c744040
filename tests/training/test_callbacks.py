"""What recipes do at every step, inside fit: each callback at its moment, and nothing else changed."""

import copy

import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn.optim.clipping import grad_norm


def problem(seed=0):
    """A network with dropout and batch norm, its optimizer, and spirals."""
    x, y = nn.datasets.spirals(60, rng=seed, dtype=np.float64)
    net = nn.MLP([2, 8, 3], "tanh", batch_norm=True, dropout=0.2, rng=seed, dtype=np.float64)
    return net, nn.SGD(net.parameters(), 0.1, 0.9), nn.DataLoader(x, y, 16, rng=seed)


def train(net, optimizer, loader, *callbacks):
    return nn.fit(net, nn.CrossEntropyLoss(), optimizer, loader, 2, callbacks=callbacks)


@given(seed=our.seeds, max_norm=st.floats(0.01, 1.0), longest=st.floats(0.1, 2.0))
def test_a_recipe_is_its_steps_by_hand(seed, max_norm, longest):
    net, optimizer, loader = problem(seed)
    by_hand, other_optimizer, other_loader = copy.deepcopy((net, optimizer, loader))
    average, by_hand_average = nn.AveragedModel(net, 0.9), nn.AveragedModel(net, 0.9)
    train(net, optimizer, loader, nn.ClipGradNorm(max_norm), nn.MaxNorm(longest), nn.UpdateAverage(average))

    other_optimizer, loss = nn.SGD(by_hand.parameters(), 0.1, 0.9), nn.CrossEntropyLoss()
    for _ in range(2):
        for x, y in other_loader:
            loss(by_hand(x), y)
            by_hand.backward(loss.backward())
            nn.clip_grad_norm_(by_hand.parameters(), max_norm)
            other_optimizer.step()
            for layer in (by_hand[0], by_hand[4]):
                nn.max_norm_(layer.weight, longest)
            by_hand_average.update_parameters(by_hand)
    for ours, theirs in ((net, by_hand), (average.module, by_hand_average.module)):
        for name, array in ours.state_dict().items():
            np.testing.assert_array_equal(array, theirs.state_dict()[name])


class Watch(nn.Callback):
    """Writes down the norms that the updates and the callbacks after them see."""

    def __init__(self):
        self.gradients, self.columns = [], []

    def on_backward_end(self, progress):
        self.gradients.append(grad_norm(progress.net.parameters()))

    def on_batch_end(self, progress):
        self.columns.append(np.linalg.norm(progress.net[0].weight.data, axis=0).max())


def test_gradients_are_clipped_before_and_weights_constrained_after_the_update():
    watch = Watch()
    train(*problem(), nn.ClipGradNorm(1e-3), nn.MaxNorm(0.5), watch)
    assert len(watch.gradients) == len(watch.columns) == 8
    # A few roundings of float64.
    assert max(watch.gradients) <= 1e-3
    assert max(watch.columns) <= 0.5 * (1 + 1e-14)


@pytest.mark.parametrize("kind", [nn.ClipGradNorm, nn.MaxNorm])
def test_bad_settings_are_named(kind):
    with pytest.raises(ValueError, match="max_norm: expected a finite number >= 0, got -1"):
        kind(-1.0)
