"""Several processes that own a network together train it as one process does, and leave nothing behind."""

import copy
import signal
import subprocess
import sys
import time
from pathlib import Path

import needs
import numpy as np
import pytest
from owned_runs import BATCH, ROWS, begun, everything, exact, fit, rounded

import numpy_nn as nn
from numpy_nn.owners import OwnedTraining, OwnerLost

# Each starts processes.
pytestmark = [pytest.mark.slow, needs.posix]


def groups(net):
    return nn.SGD([{"params": net[0].parameters(), "lr": 0.5}, {"params": net[2].parameters()}], 0.25, momentum=0.5)


EXACT = {
    "one hidden layer": ([3, 4, 1], lambda net: nn.SGD(net.parameters(), 0.25, momentum=0.5), {}),
    "units that do not divide evenly": ([3, 5, 1], lambda net: nn.SGD(net.parameters(), 0.5), {}),
    "three hidden layers": ([3, 4, 3, 4, 2], lambda net: nn.SGD(net.parameters(), 0.125), {"rows": BATCH}),
    "dropout": ([3, 4, 4, 1], lambda net: nn.SGD(net.parameters(), 0.25), {"dropout": 0.5, "input_dropout": 0.5}),
    "without biases": ([3, 4, 2], lambda net: nn.SGD(net.parameters(), 0.25, weight_decay=0.5), {"bias": False}),
    "groups": ([3, 4, 2], groups, {}),
}


@pytest.mark.parametrize("case", EXACT)
def test_where_nothing_rounds_every_bit_is_that_of_one_process(case):
    sizes, optimizer, options = EXACT[case]
    alone, together = exact(sizes, optimizer, **options), exact(sizes, optimizer, **options)
    before = everything(together)
    expected = fit(alone)
    history = fit(together, processes=3 if "evenly" in case else 2)
    assert history.epochs[0].train_loss == expected.epochs[0].train_loss
    one, other = everything(alone), everything(together)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(other[name], one[name], err_msg=name)
    assert any((before[name] != one[name]).any() for name in one if name.endswith("weight"))


CLOSE = {
    "batch norm": ([6, 8, 7, 3], lambda net: nn.SGD(net.parameters(), 0.1), {"batch_norm": True, "activation": "tanh"}),
    "Adam": (
        [6, 8, 3],
        lambda net: nn.Adam(net.parameters(), 0.01, amsgrad=True),
        {"activation": "gelu", "dropout": 0.25},
    ),
    "RMSprop": (
        [6, 8, 3],
        lambda net: nn.RMSprop(net.parameters(), 0.01, eps=1.0, momentum=0.5, centered=True),
        {"activation": lambda: nn.PReLU(8, dtype=np.float64)},
    ),
}


@pytest.mark.parametrize("case", CLOSE)
def test_the_state_of_every_layer_and_optimizer_is_that_of_one_process(case):
    sizes, optimizer, options = CLOSE[case]
    alone, together = rounded(sizes, optimizer, **options), rounded(sizes, optimizer, **options)
    fit(alone, 2, schedule=nn.StepLR(alone[2], 1), schedule_each="batch")
    fit(together, 2, 2, schedule=nn.StepLR(together[2], 1), schedule_each="batch")
    one, other = everything(alone), everything(together)
    assert one.keys() == other.keys()
    assert one.pop("values")[()].split('"history"')[0] == other.pop("values")[()].split('"history"')[0]
    for name in one:
        # The bounds are those of tests/owners/test_bounds.py; here it is that nothing is forgotten.
        np.testing.assert_allclose(other[name], one[name], rtol=0, atol=1e-6, err_msg=name)


def test_a_run_goes_on_alone_or_together_from_what_the_other_left():
    sizes, optimizer, options = EXACT["dropout"]
    alone, together = exact(sizes, optimizer, **options), exact(sizes, optimizer, **options)
    fit(alone)
    net, loss, optimizer, loader = together
    batches = list(nn.DataLoader.__iter__(copy.deepcopy(loader)))
    loader.rng.permutation(ROWS)
    with OwnedTraining(net, loss, optimizer) as owned:
        owned.step(*batches[0])
        owned.pause()
        owned.step(*batches[1])
        owned.resume()
        owned.step(*batches[2])
    one, other = everything(alone), everything(together)
    for name in one.keys() - {"values"}:
        np.testing.assert_array_equal(other[name], one[name], err_msg=name)


def test_a_larger_batch_and_other_settings_may_come_later():
    alone, together = (exact([3, 4, 2], lambda net: nn.SGD(net.parameters(), 0.25)) for _ in range(2))
    net, loss, optimizer, loader = together
    x, t = loader.x, loader.y
    with OwnedTraining(net, loss, optimizer) as owned:
        for step in (lambda *batch: nn.training.train_step(*alone[:3], *batch), owned.step):
            step(x[:2], t[:2])
            (alone if step != owned.step else together)[2].momentum = 0.5
            step(x[2:10], t[2:10])
            step(x[2:3], t[2:3])
    np.testing.assert_array_equal(net.parameters().data, alone[0].parameters().data)
    assert optimizer.state[0].keys() == {"momentum_buffer"}
    np.testing.assert_array_equal(optimizer.state[0]["momentum_buffer"], alone[2].state[0]["momentum_buffer"])


def test_divergence_is_told_as_of_one_process():
    said = []
    for processes in (None, 2):
        made = rounded([6, 8, 3], lambda net: nn.SGD(net.parameters(), 1e200))
        with np.errstate(all="ignore"), pytest.raises(nn.Divergence) as caught:
            fit(made, 2, processes)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: nn.MLP([3, 2]), "hidden layer"),
        (lambda: nn.MLP([3, 1, 2]), "fewer units than the 2 processes"),
        (lambda: nn.MLP([3, 4, 2], "prelu"), "one slope for all units"),
        (lambda: nn.MLP([3, 4, 2], "softmax"), "needs whole rows"),
        (lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)), "needs whole rows"),
        (lambda: nn.Sequential(nn.BatchNorm1d(3), *nn.MLP([3, 4, 2])), "nobody would own it"),
        (lambda: nn.Sequential(*nn.MLP([3, 4, 2]), nn.PReLU()), "nobody would own it"),
        (lambda: nn.Sequential(nn.Linear(3, 4), Own(), nn.Linear(4, 2)), "no layer of numpy_nn"),
    ],
)
def test_what_cannot_be_divided_is_refused_in_a_line_that_says_why(make, why):
    net = make()
    with pytest.raises(ValueError, match=f"^processes: .*{why}.*$"):
        OwnedTraining(net, nn.MSELoss(), nn.SGD(net.parameters()))


class Own(nn.Layer):
    def forward(self, x):
        return x


class OwnLoss(nn.MSELoss):
    pass


def test_losses_of_one_s_own_and_parameters_of_others_are_refused():
    net, other = nn.MLP([3, 4, 2]), nn.MLP([3, 4, 2])
    with pytest.raises(ValueError, match="OwnLoss"):
        OwnedTraining(net, OwnLoss(), nn.SGD(net.parameters()))
    with pytest.raises(ValueError, match="not of this network"):
        OwnedTraining(net, nn.MSELoss(), nn.SGD(other.parameters()))


def test_a_process_that_is_killed_is_told_and_leaves_the_network_as_it_was_collected_last():
    made, owned, batch = begun(3)
    workers = list(owned._workers)
    collected = made[0].parameters().data.copy()
    workers[0].kill()
    with pytest.raises(OwnerLost, match="process 1 of 3 has ended with status -9"):
        owned.step(*batch)
    owned.close()
    assert all(worker.returncode is not None for worker in workers)
    np.testing.assert_array_equal(made[0].parameters().data, collected)
    before = made[0].parameters().data.copy()
    made[2].step()  # the optimizer's own again
    assert (made[0].parameters().data != before).any()


def test_an_error_in_a_process_is_told_with_its_last_line():
    _, owned, batch = begun()
    owned._owner.meetings.order(-99)
    with pytest.raises(OwnerLost, match="process 1 of 2 has ended with status 1: KeyError: -99"):
        owned.step(*batch)
    owned.close()


def test_an_error_in_a_step_ends_the_others():
    made, owned, (x, t) = begun()
    collected = made[0].parameters().data.copy()
    (worker,) = owned._workers
    with pytest.raises(ValueError, match="target"):
        owned.step(x, t[:, :1])
    with pytest.raises(OwnerLost, match="no step that ended early"):
        owned.step(x, t)
    owned.close()
    assert worker.returncode is not None
    np.testing.assert_array_equal(made[0].parameters().data, collected)


PARENT = """
import sys, time
sys.path[:0] = {path!r}
from owned_runs import begun
made, owned, batch = begun(3)
print(*[worker.pid for worker in owned._workers], flush=True)
while True:
    owned.step(*batch)
"""


@needs.linux
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_the_others_end_when_the_first_process_does(end):
    paths = [str(Path(__file__).parents[1] / "helpers"), str(Path(__file__).parents[2])]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.format(path=paths)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        workers = [Path("/proc", pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.send_signal(end)
        parent.wait(timeout=needs.HANGS)
    assert parent.returncode != 0
    limit = time.monotonic() + needs.HANGS
    while any(worker.exists() for worker in workers):
        assert time.monotonic() < limit
        time.sleep(0.01)
