"""What a process that owns a part does, by itself: memory in lines, settings, and orders in the place of a worker."""

import io
import os
import pickle
import sys
from types import SimpleNamespace
from typing import Any

import needs
import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.owners import OwnedTraining, OwnerLost, owner
from numpy_nn.owners.owner import GIVE, SET, TAKE, UPDATE, Owner, arrays_in, make_memory
from numpy_nn.owners.places import PLACES

pytestmark = needs.posix

SPECS: dict[str, Any] = {
    "words": ((64,), np.int64),
    "x": ((2, 3, 5), np.float32),
    "one": ((), np.float64),
    "none": ((0, 4), np.int8),
}


def test_arrays_begin_at_cache_lines_hold_0_and_are_the_same_for_all_who_look():
    descriptor = make_memory(SPECS)
    try:
        first, second = arrays_in(descriptor, SPECS), arrays_in(descriptor, SPECS)
        assert os.fstat(descriptor).st_size == 512 + 128 + 64
    finally:
        os.close(descriptor)
    assert {name: (array.shape, array.dtype) for name, array in first.items()} == SPECS
    start = first["words"].__array_interface__["data"][0]
    places = [array.__array_interface__["data"][0] - start for array in first.values()]
    assert places[:3] == [0, 512, 640]
    for name, array in first.items():
        assert not array.any()
        array[...] = 3
        np.testing.assert_array_equal(second[name], array)
    np.testing.assert_array_equal(second["words"], np.full(64, 3))


def test_settings_go_to_the_groups_in_their_order():
    groups: list[dict[str, Any]] = [{"lr": 0.1, "momentum": 0.5}, {"lr": 0.2}]
    subject: Any = SimpleNamespace(part=SimpleNamespace(optimizer=SimpleNamespace(param_groups=groups)))
    Owner.set(subject, [{"lr": 1.0}, {"lr": 2.0, "momentum": 0.25}])
    assert groups == [{"lr": 1.0, "momentum": 0.5}, {"lr": 2.0, "momentum": 0.25}]


def test_an_order_says_how_many_rows_lie_in_which_place():
    arrays = {"x": np.arange(18.0).reshape(3, 3, 2), "y": np.arange(9).reshape(3, 3)}
    subject: Any = SimpleNamespace(arrays=arrays, part=SimpleNamespace(net="net"), loss="loss")
    subject.meetings = SimpleNamespace(batch=0)
    for rows, place in ((3, 1), (2, 0), (1, 2)):
        net, loss, x, y = Owner.gradients(subject, rows * PLACES + place, lambda *given: given)
        assert (net, loss) == ("net", "loss")
        np.testing.assert_array_equal(x, arrays["x"][place, :rows])
        np.testing.assert_array_equal(y, arrays["y"][place, :rows])
    assert subject.meetings.batch == 3


def test_who_pauses_has_collected_and_who_resumes_distributes():
    told: list[str] = []
    owned: Any = SimpleNamespace(active=True, collect=lambda: told.append("collect"))
    owned.distribute = lambda: told.append("distribute")
    OwnedTraining.pause(owned)
    assert (told, owned.active) == (["collect"], False)
    OwnedTraining.resume(owned)
    assert (told, owned.active) == (["collect", "distribute"], True)


def test_a_step_before_the_first_batch_is_refused_and_leaves_nothing_to_collect():
    net = nn.MLP([2, 3, 1], rng=0)
    optimizer = nn.SGD(net.parameters(), 0.1)
    # At the end nothing is asked of processes that have not begun.
    with OwnedTraining(net, nn.MSELoss(), optimizer), pytest.raises(OwnerLost, match="expected a batch before"):
        optimizer.step()
    assert "step" not in vars(optimizer)


class Stopped(Exception):
    """Nothing more is ordered."""


class Worker:
    """In the place of an Owner: writes down what it is told, and takes these orders."""

    orders: tuple[int, ...] = ()
    made: "Worker"

    def __init__(self, *given):
        *self.given, self.check = given
        self.told: list[Any] = []
        self.part = "my part"
        self.left, self.meetings = iter(self.orders), self
        Worker.made = self

    def next_order(self):
        # Where a run diverges, it is told by process 0.
        assert np.geterr()["over"] == "ignore"
        for order in self.left:
            return order
        raise Stopped

    def meet(self):
        self.told.append("meet")

    def take(self, part, loss):
        self.told.append((part, loss))

    def gradients(self, order, _compute):
        self.told.append(order)

    def update(self):
        self.told.append("update")

    def set(self, groups):
        self.told.append(groups)


def worked(monkeypatch, *orders, sent=(), parent=None):
    """A worker after these orders, what it was sent beside them, and what it has sent back."""
    parent = os.getppid() if parent is None else parent
    receive = io.BytesIO(b"".join(map(pickle.dumps, [(parent, 1, 2, 7, "specs"), *sent])))
    send = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=receive))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=send))
    monkeypatch.setattr(owner, "Owner", Worker)
    monkeypatch.setattr(Worker, "orders", orders)
    with pytest.raises(Stopped):
        owner.work()
    return Worker.made, send.getvalue()


def test_a_worker_does_what_it_is_ordered_in_turn(monkeypatch):
    groups = [{"lr": 0.5}]
    worker, sent = worked(monkeypatch, TAKE, 5, UPDATE, 1, SET, GIVE, UPDATE, sent=[("a part", "a loss"), groups])
    assert worker.given == [1, 2, 7, "specs"]
    assert worker.told == ["meet", ("a part", "a loss"), 5, "update", 1, groups, "update"]
    assert pickle.loads(sent) == "my part"
    assert len({UPDATE, SET, TAKE, GIVE}) == 4
    assert max(UPDATE, SET, TAKE, GIVE) < 0


def test_a_worker_ends_if_the_process_that_gives_orders_is_gone(monkeypatch):
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    worker, _ = worked(monkeypatch)
    worker.check()
    assert codes == []
    worker, _ = worked(monkeypatch, parent=os.getppid() + 1)
    worker.check()
    assert codes == [1]
