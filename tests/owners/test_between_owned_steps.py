"""Somebody looks at a network, sets layers and goes other ways between two steps of the processes that own it."""

import copy
import json
import os
import sys

import needs
import numpy as np
import pytest
from owned_runs import BATCH, begun, everything, exact, fit, rounded

import numpy_nn as nn
from numpy_nn.owners import OwnedTraining, OwnerLost
from numpy_nn.training import planned as planning
from numpy_nn.training.planned import plans

# Each starts processes.
pytestmark = [pytest.mark.slow, needs.posix]


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
