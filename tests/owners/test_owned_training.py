"""Several processes that own a network together train it as one process does, and leave nothing behind."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import needs
import numpy as np
import pytest
from owned_runs import BATCH, ROWS, begun, exact, fit, rounded

import numpy_nn as nn
from numpy_nn.owners import OwnedTraining, OwnerLost
from numpy_nn.training import planned as planning
from numpy_nn.training.planned import plans

# Each starts processes.
pytestmark = [pytest.mark.slow, needs.posix]


def everything(made):
    """All that the next step depends on: arrays, counters and generators."""
    net, _, optimizer, loader = made
    return nn.TrainingState(net, optimizer, loader).state_dict()


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


def test_what_is_changed_after_an_epoch_stays():
    alone, together = (exact([3, 4, 2], lambda net: nn.SGD(net.parameters(), 0.25)) for _ in range(2))

    class Halve(nn.Callback):
        def on_epoch_end(self, progress):
            progress.net.parameters().data *= 0.5

    # Between two epochs the others are told; after the last one nothing is collected that would undo it.
    fit(alone, 2, callbacks=[Halve()])
    fit(together, 2, 2, callbacks=[Halve()])
    one, other = alone[0].parameters().data, together[0].parameters().data
    np.testing.assert_allclose(other, one, rtol=0, atol=1e-12)  # after six steps they are rounded


@pytest.mark.parametrize("steps", ["b", "bb", "ob", "bo", "obob", "oob"])
def test_a_batch_may_be_used_twice_and_others_between(steps):
    alone, together = (exact([3, 4, 2], lambda net: nn.SGD(net.parameters(), 2.0**-6)) for _ in range(2))
    net, loss, optimizer, loader = alone
    other = loader.x[:5] + 1.0, loader.y[:5]
    for batch in loader:
        for which in steps:
            nn.train_step(net, loss, optimizer, *(batch if which == "b" else other))
    with OwnedTraining(*together[:3]) as owned:
        for batch in owned.batches(together[3]):
            for which in steps:
                owned.step(*(batch if which == "b" else other))
    np.testing.assert_allclose(together[0].parameters().data, net.parameters().data, rtol=0, atol=1e-12)


def test_processes_keep_what_nobody_has_changed_and_their_plans_with_it(monkeypatch):
    monkeypatch.setattr(sys, "gettrace", lambda: None)  # coverage looks as a debugger does, at which there are no plans
    monkeypatch.setattr(planning, "MONITORING", None)
    made = rounded([6, 8, 3], lambda net: nn.SGD(net.parameters(), 0.1, momentum=0.5))
    net, loss, optimizer, loader = made
    had: list[tuple[object, int]] = []
    with OwnedTraining(net, loss, optimizer) as owned:

        class Halve(nn.Callback):
            def on_epoch_end(self, progress):
                assert owned._owner is not None
                part = owned._owner.part.net
                had.append((part, len(plans(part))))
                if progress.history.epochs[-1].epoch == 3:
                    net.parameters().data *= 0.5

        test = loader.x, loader.y
        nn.fit(
            net, loss, optimizer, owned.batches(loader), 5, test=test, callbacks=[Halve()], gradients=owned.gradients
        )
    assert had[0][0] is had[1][0] is had[2][0]
    assert [made for _, made in had[:3]] == [0, 1, 2]  # of whole batches, then of the last ones, with fewer rows
    assert had[3][0] is not had[2][0]
    assert had[4][0] is had[3][0]


def test_processes_import_nothing_that_lies_where_they_are_started(tmp_path, monkeypatch):
    (tmp_path / "pickle.py").write_text("raise ImportError('this is somebody else')")
    monkeypatch.chdir(tmp_path)
    _, owned, batch = begun()
    with owned:
        assert np.isfinite(owned.step(*batch))


def test_batches_of_two_loaders_may_be_walked_at_once_and_kept():
    alone, together = (exact([3, 4, 2], lambda net: nn.SGD(net.parameters(), 2.0**-6)) for _ in range(2))
    net, loss, optimizer, loader = alone
    for batches in zip(loader, nn.DataLoader(loader.x[::-1], loader.y[::-1], BATCH, rng=1), strict=True):
        for batch in batches:
            nn.train_step(net, loss, optimizer, *batch)
    loader = together[3]
    with OwnedTraining(*together[:3]) as owned:
        other = owned.batches(nn.DataLoader(loader.x[::-1], loader.y[::-1], BATCH, rng=1))
        for batches in zip(owned.batches(loader), other, strict=True):
            for batch in batches:
                owned.step(*batch)
    np.testing.assert_allclose(together[0].parameters().data, net.parameters().data, rtol=0, atol=1e-12)


SET = {
    "a setting of the loss": lambda of: setattr(of[1], "label_smoothing", 0.5),
    "an array of the loss": lambda of: of[1].weight.__setitem__(0, 4.0),
    "a setting of a layer": lambda of: setattr(of[0][2], "p", 0.75),
    "another layer": lambda of: of[0].__setitem__(1, nn.Tanh()),
    "another layer that learns": lambda of: of[0].__setitem__(0, nn.Linear(6, 8, rng=7, dtype=np.float64)),
    "evaluation": lambda of: of[0].eval(),
    "a frozen layer": lambda of: of[0][0].requires_grad_(False),
}


@pytest.mark.parametrize("what", SET)
def test_what_is_set_between_two_steps_counts_from_the_next(what):
    made = [
        rounded(
            [6, 8, 3], lambda net: nn.SGD(net.parameters(), 0.5), dropout=0.25, loss=nn.CrossEntropyLoss(np.ones(3))
        )
        for _ in range(2)
    ]
    x, y = made[0][3].x[:BATCH], made[0][3].y[:BATCH]
    net, loss, optimizer, _ = made[0]
    nn.train_step(net, loss, optimizer, x, y)
    SET[what](made[0])
    nn.train_step(net, loss, optimizer, x, y)
    with OwnedTraining(*made[1][:3]) as owned:
        owned.step(x, y)
        SET[what](made[1])
        owned.step(x, y)
    np.testing.assert_allclose(made[1][0].parameters().data, net.parameters().data, rtol=0, atol=1e-12)


def test_a_layer_that_cannot_be_divided_is_refused_between_two_steps_too():
    made, owned, batch = begun()
    with owned:
        activation, made[0][1] = made[0][1], nn.Softmax()
        for _ in range(2):
            with pytest.raises(ValueError, match=r"^processes: .*Softmax.* needs whole rows"):
                owned.step(*batch)
        made[0][1] = activation
        owned.step(*batch)  # the processes are together still
    assert made[2].steps == 2


def test_layers_of_another_width_may_come_between_two_steps():
    alone, together = (exact([3, 4, 2], lambda net: nn.SGD(net.parameters(), 2.0**-6)) for _ in range(2))
    x, t = alone[3].x[:BATCH], alone[3].y[:BATCH]

    def train(made, step):
        step(x, t)
        made[0][0], made[0][2] = (nn.Linear(*sizes, rng=0, dtype=np.float64) for sizes in ((3, 6), (6, 5)))
        step(x, t[:, :1].repeat(5, axis=1))
        step(x, t[:, :1].repeat(5, axis=1))

    train(alone, lambda *batch: nn.train_step(*alone[:3], *batch))
    with OwnedTraining(*together[:3]) as owned:
        train(together, owned.step)
    np.testing.assert_allclose(together[0].parameters().data, alone[0].parameters().data, rtol=0, atol=1e-12)


def test_a_copy_of_the_optimizer_is_of_now_and_steps_alone():
    made, owned, batch = begun()
    with owned:
        owned.step(*batch)
        net, optimizer = copy.deepcopy((made[0], made[2]))
        assert optimizer.steps == 2
        np.testing.assert_array_equal(net.parameters().data, made[0].parameters().data)
        optimizer.step()
        assert (net.parameters().data != made[0].parameters().data).any()
        with pytest.raises(ValueError, match=r"^processes: the optimizer has another step than its class"):
            OwnedTraining(*made[:3])


def test_a_state_that_is_taken_between_two_steps_is_all_of_one_time():
    made, owned, batch = begun()
    with owned:
        owned.step(*batch)
        assert json.loads(everything(made)["values"][()])["settings"]["optimizer"]["steps"] == 2


def test_gradients_of_one_process_in_between_are_of_the_parameters_of_now():
    net, loss, optimizer, loader = made = exact([3, 4, 2], lambda net: nn.SGD(net.parameters(), 2.0**-6))
    x, t = loader.x[:BATCH], loader.y[:BATCH]
    alone = [nn.training.compute_gradients(net, loss, x, t).loss for _ in range(4)]  # by a plan at the end
    with OwnedTraining(*made[:3]) as owned:
        assert owned.gradients(net, loss, x, t).loss == alone[0]  # whose gradients are the very same
        assert nn.training.compute_gradients(net, loss, x, t).loss == alone[0]
        optimizer.step()
        assert nn.training.compute_gradients(net, loss, x, t).loss != alone[0]


@needs.linux
def test_a_forked_process_cannot_look_at_what_is_elsewhere_and_disturbs_nobody():
    made, owned, batch = begun()
    with owned:
        owned.step(*batch)
        child = os.fork()
        if child == 0:
            try:
                with owned:
                    made[0].parameters()
                status = 1
            except OwnerLost:
                status = 7
            except BaseException:
                status = 2
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        owned.step(*batch)
    assert made[2].steps == 3
