"""A run that diverges stops at once and says where."""

import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn


def run(net, loader, lr=0.1, epochs=5, loss=None, **arguments):
    with np.errstate(all="ignore"):
        return nn.fit(net, loss or nn.CrossEntropyLoss(), nn.SGD(net.parameters(), lr), loader, epochs, **arguments)


def loader(batch_size=16):
    x, y = nn.datasets.spirals(60, rng=0)
    return nn.DataLoader(x, y, batch_size, rng=0)


class Break(nn.Callback):
    """Puts a value into a parameter after the update of one step."""

    def __init__(self, epoch, batch, layer, value):
        self.at, self.layer, self.value = (epoch, batch), layer, value

    def on_batch_end(self, progress):
        if (progress.epoch, progress.batch) == self.at:
            progress.net[self.layer].weight.data[0, 0] = self.value


@given(step=st.integers(0, 6), layer=st.sampled_from([0, 2, 4]), seed=our.seeds)
def test_the_epoch_the_step_and_the_layer_are_named(step, layer, seed):
    net = nn.MLP([2, 6, 5, 3], "tanh", rng=seed)
    epoch, batch = divmod(step, 4)
    with pytest.raises(nn.Divergence) as caught:
        run(net, loader(), callbacks=[Break(epoch + 1, batch + 1, layer, np.nan)])
    error, label = caught.value, net[layer].label
    assert error.layer == str(layer)
    # The next loss tells; after the last step of an epoch, the look at the parameters.
    assert (error.epoch, error.batch) == (epoch + 1, min(batch + 2, 4))
    assert f"epoch {error.epoch}, step {error.batch}: " in str(error)
    assert label in str(error)
    assert f"the norm of the gradient is {error.gradient_norm:.3g}" in str(error)


@given(layer=st.sampled_from([0, 2, 4]), value=st.sampled_from([np.inf, -np.inf]), seed=our.seeds)
def test_an_infinity_that_the_loss_does_not_show_is_found_in_the_same_epoch(layer, value, seed):
    # tanh of an infinity is a number, and so may the loss be.
    with pytest.raises(nn.Divergence, match=r"epoch 1, step [2-4]: .*layer [024], Linear"):
        run(nn.MLP([2, 6, 5, 3], "tanh", rng=seed), loader(), callbacks=[Break(1, 1, layer, value)])


def test_too_high_a_rate_is_told_before_the_update_with_the_norm_of_the_gradient():
    x = np.array([[3.0], [-3.0]], np.float32)
    net = nn.Sequential(nn.Linear(1, 1, bias=False, rng=0))
    net[0].weight.data[...] = 1e20  # its square is too large for float32
    with pytest.raises(nn.Divergence, match=r"epoch 1, step 1: the loss is inf; every layer's output is finite; ") as e:
        run(net, nn.DataLoader(x, np.zeros((2, 1), np.float32), 2, rng=0), loss=nn.MSELoss())
    assert net[0].weight.data[0, 0] == np.float32(1e20)
    # d/dw mean((w x)^2) = 2 mean(x^2) w, in some six roundings.
    assert e.value.gradient_norm == pytest.approx(18e20, rel=6 * 2.0**-24, abs=0)
    assert e.value.layer == ""


def test_an_output_that_overflows_names_its_layer():
    net = nn.MLP([2, 6, 3], "relu", rng=0)
    net[2].weight.data[...] = np.finfo(np.float32).max
    with pytest.raises(nn.Divergence, match=r"layer 2, Linear\(6, 3\) is the first whose output holds") as caught:
        run(net, loader())
    assert caught.value.layer == "2"


def test_a_batch_that_holds_nan_is_told():
    data = loader()
    data.x[:] = np.nan
    with pytest.raises(nn.Divergence, match="the loss is nan; the batch itself holds an infinite number or NaN"):
        run(nn.MLP([2, 6, 3], rng=0), data)


def test_inner_networks_are_named_by_their_places():
    inner = nn.MLP([6, 5, 3], rng=1)
    net = nn.Sequential(nn.Linear(2, 6, rng=0), inner)
    inner[0].weight.data[1, 1] = np.nan
    with pytest.raises(nn.Divergence, match=r"layer 1.0, Linear\(6, 5\) is the first with a parameter") as caught:
        run(net, loader())
    assert caught.value.layer == "1.0"


def test_the_parameters_after_the_last_step_of_an_epoch_are_looked_at_before_it_counts():
    net, history = nn.MLP([2, 6, 3], rng=0), nn.History()
    with pytest.raises(nn.Divergence, match=r"epoch 2, step 4: layer 0, .* has a parameter .* after the update"):
        run(net, loader(), history=history, callbacks=[Break(2, 4, 0, np.nan)])
    assert [epoch.epoch for epoch in history.epochs] == [1]
