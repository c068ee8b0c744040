"""While the processes train, whoever looks at the network between two steps sees what it is, and may change it."""

import copy
import pickle

import needs
import numpy as np
import pytest
from owned_runs import begun, exact, fit

import numpy_nn as nn
from numpy_nn.owners import OwnerLost
from numpy_nn.owners.elsewhere import Elsewhere


def test_numbers_are_fetched_when_they_are_looked_at_and_not_before():
    net = nn.MLP([2, 3, 1], rng=0)
    inner, vector = nn.Sequential(*net[:2]), net[0].weight
    calls = []

    def fetch():
        calls.append(1)
        elsewhere.end()
        vector._data[...] = len(calls)

    elsewhere = Elsewhere(fetch)
    looks = {
        "data": lambda: net[0].weight.data,
        "grad": lambda: net[2].bias.grad,
        "a part": lambda: inner.parameters().data,
        "an array": lambda: np.asarray(net[0].weight),
        "forward": lambda: net(np.ones((1, 2), np.float32)),
        "copy": lambda: copy.deepcopy(net),
        "pickle": lambda: pickle.dumps(net[0].weight),
        "set": lambda: setattr(net[0].bias, "data", np.zeros(3, np.float32)),
        "set grad": lambda: setattr(net[0].bias, "grad", np.zeros(3, np.float32)),
        "convert": lambda: net[2].weight.to(np.float64),
    }
    for number, (name, look) in enumerate(looks.items(), start=1):
        elsewhere.begin(net.parameters() if name != "convert" else [net[2].weight])
        assert isinstance(net[0].weight, nn.Parameter)
        assert len(calls) == number - 1, name
        look()
        assert len(calls) == number, name
        assert net[0].weight.data[0, 0] == number
        assert {type(p) for p in (net[0].weight, net[2].bias)} == {nn.Parameter}
    elsewhere.begin([net[0].weight])
    assert net[0].weight.requires_grad
    assert len(calls) == len(looks)


class Look(nn.Callback):
    """Keeps every parameter as it is after each batch, changes a gradient and a value at one of them."""

    def __init__(self):
        self.seen = []

    def on_backward_end(self, progress):
        if progress.batch == 2:
            progress.net.parameters().grad *= 0.5

    def on_batch_end(self, progress):
        self.seen.append(progress.net[0].weight.data.copy())
        if progress.batch == 1:
            progress.net[2].bias.data += 1.0


@pytest.mark.slow
@needs.posix
def test_a_callback_sees_and_changes_what_it_would_of_one_process():
    alone, together = (exact([3, 4, 2], lambda net: nn.SGD(net.parameters(), 0.25, momentum=0.5)) for _ in range(2))
    one, other = Look(), Look()
    fit(alone, callbacks=[one])
    fit(together, 1, 2, callbacks=[other])
    assert len(one.seen) == 3
    for made, look in ((alone, one), (together, other)):
        look.seen += [made[0].parameters().data, made[2].state[0]["momentum_buffer"]]
    for theirs, ours in zip(other.seen, one.seen, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-12)  # after three steps they are rounded


@pytest.mark.slow
@needs.posix
def test_after_a_step_that_ended_early_the_network_is_as_it_was_collected_last():
    made, owned, (x, t) = begun()
    collected = made[0].parameters().data.copy()
    owned.step(x, t)
    owned._workers[0].kill()
    with pytest.raises(OwnerLost):
        owned.step(x, t)
    np.testing.assert_array_equal(made[0].parameters().data, collected)
    owned.close()
