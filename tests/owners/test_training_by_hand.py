"""What the first process orders and sends, step by step: with owners in the place of processes."""

import os
from types import SimpleNamespace
from typing import Any

import needs
import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.owners import OwnedTraining, OwnerLost, training
from numpy_nn.owners.loader import OwnedLoader
from numpy_nn.owners.owner import GIVE, SET, TAKE, UPDATE
from numpy_nn.owners.places import PLACES
from numpy_nn.parameter import structure

pytestmark = needs.posix

X, Y = np.arange(12.0).reshape(4, 3), np.arange(4)


LAYER = object()


class Began(Exception):
    """The processes would begin."""


class Sgd:
    """An optimizer that writes down its steps, and has one setting."""

    lr = 0.1

    def __init__(self, told):
        self.told, self.param_groups = told, [{"lr": 0.5, "kept": 3}]

    def step(self):
        self.told.append("a step of its own")


def begun(**given):
    """Training that has begun, with stand-ins for three processes; ``told`` has what it does, in order."""
    told: list[Any] = []
    meetings = SimpleNamespace(order=told.append, meet=lambda: told.append("meet"))
    owner = SimpleNamespace(meetings=meetings, part="mine", update=lambda: told.append("update"))
    owner.arrays = {"x": X[None], "y": Y[None]}
    owner.set = owner.take = lambda *given: told.append(("take", *given))
    owned: Any = OwnedTraining.__new__(OwnedTraining)
    owned._owner, owned.active, owned.whole, owned._ahead, owned._seen, owned.size = owner, True, True, True, False, 3
    owned.loss, owned._of_loss, owned._counts = SimpleNamespace(margin=1.0), {"margin": 1.0}, structure.counts()
    owned.told, owned._pid, owned._threads = told, os.getpid(), SimpleNamespace(close=lambda: None)
    owned.net, owned.optimizer, owned._leaves = SimpleNamespace(width=0.5, leaves=list), Sgd(told), []
    owned._workers, owned._told, owned._specs = ["a", "b"], [{"lr": 0.25}], "sizes"
    owned._form, owned._parts = [LAYER, 1000.0], ["mine", "from a", "from b"]
    owned._elsewhere = SimpleNamespace(end=lambda: told.append("end"), begin=lambda _: told.append("begin"))
    owned._send = lambda things: told.append(("send", things))
    owned._received = lambda worker: f"from {worker}"
    vars(owned).update(given)
    return owned


@pytest.fixture(autouse=True)
def _parts_are_words(monkeypatch):
    monkeypatch.setattr(training, "divide", lambda _, __, rank, size: f"part {rank} of {size}")
    monkeypatch.setattr(training, "join", lambda part, _, optimizer: optimizer.told.append(("join", part)))
    monkeypatch.setattr(training, "check", lambda *_: None)
    monkeypatch.setattr(training, "specs_for", lambda *_: "sizes")
    monkeypatch.setattr(training, "form", lambda net: [LAYER, net.width])


def test_what_the_processes_have_is_collected_once():
    owned = begun()
    owned.collect()
    assert owned.told == [GIVE, "end", ("join", "mine"), ("join", "from a"), ("join", "from b")]
    assert owned._parts == ["mine", "from a", "from b"]
    assert not owned._ahead
    owned.collect()
    assert len(owned.told) == 5


@pytest.mark.parametrize("given", [{"_owner": None}, {"active": False}, {"_ahead": False}])
def test_nothing_is_collected_before_they_begin_while_they_sleep_or_where_they_did_nothing(given):
    owned = begun(**given)
    owned.collect()
    assert owned.told == []


def test_each_process_is_given_its_part_and_has_it_then():
    owned: Any = begun(_seen=True, collect=lambda: owned.told.append("collect"))
    owned.distribute()
    sent = ("send", [("part 1 of 3", owned.loss), ("part 2 of 3", owned.loss)])
    assert owned.told == ["collect", TAKE, "meet", sent, ("take", "part 0 of 3", owned.loss)]
    assert (owned._ahead, owned._seen) == (False, False)
    assert (owned._told, owned._form) == ([{"lr": 0.5}], [LAYER, 0.5])
    assert owned._parts == ["part 0 of 3", "part 1 of 3", "part 2 of 3"]
    for given in ({"_owner": None}, {"active": False}):
        asleep = begun(**given)
        asleep.distribute()
        assert (asleep.told, asleep._ahead) == ([], True)


def test_settings_are_sent_before_a_step_where_they_have_changed():
    owned: Any = begun(_go_ahead=lambda: owned.told.append("ahead"))
    owned._update()
    settings = [{"lr": 0.5}]  # what an optimizer keeps in its groups for itself is each process's own
    assert owned.told == ["ahead", SET, ("send", [settings] * 2), ("take", settings), UPDATE, "update"]
    assert owned._told == settings
    owned.told.clear()
    owned._update()
    assert owned.told == ["ahead", UPDATE, "update"]
    owned.active = False
    owned.told.clear()
    owned._update()
    assert owned.told == ["a step of its own"]


def test_the_update_of_a_step_is_ordered_before_its_gradients_are_there():
    owned: Any = begun(_told=[{"lr": 0.5}], _go_ahead=lambda: owned.told.append("ahead"))
    owned.start = lambda *_: owned.told.append("start")
    owned._places = SimpleNamespace(take=lambda x, y: 2 if x is X and y is Y else None)
    owned._owner.gradients = lambda order, _: owned.told.append(f"gradients of {order}") or 0.25
    assert owned.step(X, Y) == 0.25
    order = 4 * PLACES + 2
    assert owned.told == ["start", "ahead", order, UPDATE, f"gradients of {order}", "update"]


@pytest.mark.parametrize(
    ("seen", "ahead", "told"),
    [(False, False, ["begin"]), (False, True, []), (True, True, ["renew"]), (True, False, ["renew", "begin"])],
)
def test_what_was_looked_at_is_distributed_anew_before_the_processes_go_ahead(seen, ahead, told):
    owned: Any = begun(_seen=seen, _ahead=ahead, renew=lambda: owned.told.append("renew"))
    owned.net.parameters = list
    owned._go_ahead()
    assert owned.told == told
    assert owned._ahead


@pytest.mark.parametrize(
    ("form", "agreeing", "told"),
    [
        ([LAYER, 0.5], True, ["collect"]),
        ([LAYER], True, ["collect", "distribute"]),
        ([object(), 0.5], True, ["collect", "distribute"]),
        ([LAYER, 0.5], False, ["collect", "distribute"]),
    ],
)
def test_nothing_is_distributed_that_the_processes_have_already(monkeypatch, form, agreeing, told):
    owned: Any = begun(_form=form, _seen=True)
    owned.collect, owned.distribute = (lambda: owned.told.append("collect")), (lambda: owned.told.append("distribute"))
    owned.net.width = form[-1]
    monkeypatch.setattr(training, "agrees", lambda part, *_: agreeing or part != "from b")
    owned.renew()
    assert owned.told == told
    assert owned._seen is ("distribute" in told)  # which is put back by what distributes
    for given in ({"_owner": None}, {"active": False}):
        asleep = begun(**given)
        asleep.renew()
        assert asleep.told == []


@pytest.mark.parametrize(("whole", "told"), [(True, ["collect", "end"]), (False, ["end"])])
def test_who_looks_at_the_network_sees_what_the_processes_have_unless_a_step_ended_early(whole, told):
    owned: Any = begun(whole=whole, collect=lambda: owned.told.append("collect"))
    owned._fetch()
    assert owned.told == told
    assert owned._seen


def test_a_step_that_ends_early_leaves_the_processes_apart():
    owned = begun()
    with owned._together() as owner:
        assert not owned.whole
    assert owner is owned._owner
    assert owned.whole
    with pytest.raises(KeyError), owned._together():
        raise KeyError
    assert not owned.whole
    for apart in (owned, begun(_owner=None)):
        with pytest.raises(OwnerLost, match="expected a batch before, and no step that ended early"), apart._together():
            raise AssertionError("nothing is done together")


@pytest.mark.parametrize(
    ("x", "y", "has_room"),
    [
        (X, Y, True),
        (X[:1], Y[:1], True),
        (np.vstack([X, X]), np.tile(Y, 2), False),
        (X[:, :2], Y, False),
        (X.astype(np.float32), Y, False),
        (X, Y.astype(np.float64), False),
        (X, X, False),
    ],
)
def test_processes_that_have_room_for_a_batch_go_on(x, y, has_room):
    ended = KeyError("the ones that had no room are ended")

    def end():
        raise ended

    owned = begun(_end=end)
    owned._owner.arrays = {"x": np.stack([X, X]), "y": np.stack([Y, Y])}
    if has_room:
        owned.start(x, y)
    else:
        with pytest.raises(KeyError) as caught:
            owned.start(x, y)
        assert caught.value is ended


def test_what_a_start_that_was_broken_off_has_left_is_ended_before_the_next():
    def end():
        raise Began

    with pytest.raises(Began):
        begun(_owner=None, _end=end).start(X, Y)


def test_no_batch_begins_with_other_numbers_of_rows_or_after_a_step_that_ended_early():
    with pytest.raises(ValueError, match=r"batch: expected x and y with equally many rows, got \(4, 3\) and \(3,\)"):
        begun().start(X, Y[:3])
    with pytest.raises(OwnerLost, match="no step that ended early"):
        begun(whole=False).start(X, Y)


def test_rows_are_gathered_and_the_following_ones_at_the_next_meeting():
    owned, loader = begun(), nn.DataLoader(X, Y, 3)
    owned._owner.arrays = {"x": np.stack([X, X]), "y": np.stack([Y, Y])}
    owned._places = SimpleNamespace(gather=lambda _, rows: (f"x {rows}", f"y {rows}"))
    owned._places.gather_ahead = lambda *given: owned.told.append(given)
    made: Any = owned.gather(loader, 1, 2)
    assert made == ("x 1", "y 1")
    owned._owner.meetings.meanwhile()
    assert owned.told == [(loader, 2)]
    owned.gather(loader, 2)
    assert owned._owner.meetings.meanwhile is None


def test_processes_begin_at_the_first_batch_that_no_transform_makes_another_of():
    def start(x, y):
        raise Began(len(x), len(y))

    owned = begun(_owner=None, start=start)
    with pytest.raises(Began) as caught:
        owned.gather(nn.DataLoader(X, Y, 3), slice(0, 3))
    assert caught.value.args == (3, 3)
    x, y = owned.gather(nn.DataLoader(X, Y, 3, transform=np.sqrt), slice(0, 3))
    assert (x.tolist(), y.tolist()) == (X[:3].tolist(), Y[:3].tolist())


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_rows_of_another_type_than_what_is_trained_on_are_gathered_elsewhere(dtype):
    owned = begun(_places=None)
    owned._owner.arrays = {"x": np.stack([X, X]), "y": np.stack([Y, Y])}
    x, y = owned.gather(nn.DataLoader(X.astype(dtype), Y, 3), np.array([2, 1]))
    assert (x.dtype, x.tolist(), y.tolist()) == (dtype, X[[2, 1]].tolist(), [2, 1])


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_the_reader_s_also_where_this_process_trains_alone(shuffle):
    owned: Any = begun(active=False, renew=lambda: None, collect=lambda: None)
    loader = nn.DataLoader(X.copy(), Y.copy(), 3, shuffle=shuffle)
    for x, y in OwnedLoader(loader, owned):
        x[...] = y[...] = 99
    assert (loader.x.tolist(), loader.y.tolist()) == (X.tolist(), Y.tolist())


class Pairs(nn.DataLoader):
    def indices(self):
        yield from (np.array([0, -1]), np.array([True, True, False, True]), [2], slice(0, 4))

    def __len__(self):
        return 4


class Doubled(nn.DataLoader):
    def __iter__(self):
        for x, y in super().__iter__():
            yield 2.0 * x, y


@pytest.mark.parametrize("active", [False, True])
@pytest.mark.parametrize("kind", [Pairs, Doubled])
def test_batches_are_those_of_the_loader_s_own_class(kind, active):
    owned: Any = begun(active=active, renew=lambda: None, collect=lambda: None)
    loader = kind(X, Y, 3, shuffle=False)
    batches = OwnedLoader(loader, owned)
    loader.transform = np.negative  # what is set later counts
    assert batches.rng is loader.rng
    assert vars(batches) is vars(loader)  # where a training state finds the generator
    assert len(batches) == len(loader)
    assert [(x.tolist(), y.tolist()) for x, y in batches] == [(x.tolist(), y.tolist()) for x, y in loader]


def test_what_is_set_in_a_layer_or_the_loss_is_distributed_before_the_next_step():
    owned: Any = begun(renew=lambda: owned.told.append("renew"))
    owned._go_ahead()
    assert owned.told == []
    owned.loss.margin = 2.0
    owned._go_ahead()
    assert owned.told == ["renew"]
    owned.loss.margin = 1.0
    owned.net.width = 0.25
    structure.settings += 1
    owned._go_ahead()
    assert owned.told == ["renew"] * 2


def test_a_process_that_was_forked_neither_orders_nor_ends_anything():
    owned: Any = begun(_pid=os.getpid() + 1)
    with pytest.raises(OwnerLost, match="forked"), owned._together():
        raise AssertionError("nothing is done together")
    assert owned.whole
    with pytest.raises(OwnerLost, match="forked"):
        owned.start(X, Y)
    owned._end()  # there are two words in the place of processes, which nobody kills
    assert owned.told == ["end"]


def test_ctrl_c_while_parts_are_joined_leaves_no_network_of_two_steps(monkeypatch):
    owned: Any = begun()

    def join(part, *_):
        owned.told.append(part)
        if owned.told[-2:] == ["mine", "from a"] and len(owned.told) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "join", join)
    with pytest.raises(KeyboardInterrupt):
        owned.collect()
    assert owned.told == [GIVE, "end", "mine", "from a", "mine", "from a", "from b"]


@pytest.mark.parametrize(("active", "whole"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("transform", [None, lambda x: ("turned", x)])
def test_an_epoch_of_batches_begins_with_what_was_changed_and_ends_with_what_was_made_of_it(active, whole, transform):
    owned: Any = begun(active=active, whole=whole, gather=lambda _, *rows: gathered(*rows))
    owned.renew, owned.collect = (lambda: owned.told.append("renew")), (lambda: owned.told.append("collect"))
    followed: list[Any] = []

    def gathered(rows, following):
        followed.append(following)
        return f"x {len(X[rows])}", f"y {len(Y[rows])}"

    loader = nn.DataLoader(X, Y, 3, shuffle=False, transform=transform)
    batches = list(OwnedLoader(loader, owned))
    assert owned.told == ["renew"] + ["collect"] * whole
    assert followed == ([slice(3, 6), None] if active else [])
    assert len(batches) == 2
    for (x, y), rows in zip(batches, (slice(0, 3), slice(3, 4)), strict=True):
        if transform is not None:
            word, x = x
            assert word == "turned"
        given = (f"x {len(X[rows])}", f"y {len(Y[rows])}") if active else (X[rows].tolist(), Y[rows].tolist())
        assert (np.asarray(x).tolist(), np.asarray(y).tolist()) == given
