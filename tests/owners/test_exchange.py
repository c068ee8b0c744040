"""Owners in threads of one process: by plans or by formulas, together or each by itself, they compute the same."""

import copy
import os
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import needs
import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.owners.division import DividedLinear, divide
from numpy_nn.owners.exchange import Exchange
from numpy_nn.owners.owner import Owner, make_memory, specs_for
from numpy_nn.owners.places import PLACES
from numpy_nn.training import planned as planning
from numpy_nn.training.planned import BEFORE, loss_and_gradients, plans
from numpy_nn.training.recording import Deviation

pytestmark = needs.posix

# Those at which a plan is in use, and some.
STEPS = BEFORE + 4
ROWS = 8


class NobodyCame(Exception):
    """There is nobody left to wait for."""


@pytest.fixture(autouse=True)
def _not_debugged(monkeypatch):
    """Coverage looks as a debugger does, and formulas would be all that is tested."""
    monkeypatch.setattr(sys, "gettrace", lambda: None)
    monkeypatch.setattr(planning, "MONITORING", None)


def batches(sizes):
    rng = np.random.default_rng(1)
    made = [(rng.standard_normal((ROWS, sizes[0])), rng.integers(0, sizes[-1], ROWS)) for _ in range(STEPS)]
    made[-2][1][3] = -100  # a row that is left out, of which a plan knows nothing
    return made


def trained(sizes, size, given, step=loss_and_gradients, activation="gelu"):
    """Owners after a step on each of these batches, the losses of each, and what ended its steps before."""
    net = nn.MLP(sizes, activation, rng=0, dtype=np.float64)
    loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.5)
    x, y = given[0]
    specs = specs_for(net, x, y, size)
    descriptor, limit = make_memory(specs), time.monotonic() + needs.HANGS
    losses: list[list[float]] = [[] for _ in range(size)]
    ended: dict[int, Exception] = {}

    def check():
        if ended or time.monotonic() > limit:
            raise NobodyCame

    owners = [Owner(rank, size, descriptor, specs, check) for rank in range(size)]
    os.close(descriptor)

    def work(owner):
        try:
            for number, (x, y) in enumerate(given):
                place = number % PLACES
                for name, whole in (("x", x), ("y", y)):
                    owner.arrays[name][place, : len(x)] = whole  # everybody writes the same
                losses[owner.rank].append(owner.gradients(len(x) * PLACES + place, step))
                owner.update()
        except Exception as error:
            ended[owner.rank] = error

    threads = [threading.Thread(target=work, args=(owner,), name=f"owner {owner.rank}") for owner in owners]
    for owner in owners:
        owner.take(divide(net, optimizer, owner.rank, size), copy.deepcopy(loss))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return owners, losses, ended


def numbers(owners):
    return [p.data.tobytes() + p.grad.tobytes() for owner in owners for p in owner.part.net.parameters()]


def by_formulas(net, loss, x, y):
    return planning._by_formulas(net, loss, x, y)


def first_by_formulas(net, loss, x, y):
    """One side never has a plan, as while somebody steps through its code."""
    alone = threading.current_thread().name == "owner 0"
    return (by_formulas if alone else loss_and_gradients)(net, loss, x, y)


@pytest.mark.parametrize(("sizes", "size"), [([6, 8, 3], 2), ([6, 8, 7, 3], 2), ([6, 9, 7, 8, 3], 3)])
@pytest.mark.parametrize("step", [loss_and_gradients, first_by_formulas])
def test_by_plans_every_bit_is_that_of_the_formulas_and_meetings_are_as_many(sizes, size, step):
    given = batches(sizes)
    expected, losses, ended = trained(sizes, size, given, by_formulas)
    assert ended == {}
    assert not any(plans(owner.part.net) for owner in expected)
    owners, others, ended = trained(sizes, size, given, step)
    assert ended == {}
    assert others == losses
    assert losses == [losses[0]] * size
    assert numbers(owners) == numbers(expected)
    with_plans = [len(plans(owner.part.net)) for owner in owners]
    assert with_plans == [int(step is loss_and_gradients), *[1] * (size - 1)]
    hidden = len(sizes) - 2
    assert {owner.meetings._meetings for owner in owners} == {STEPS * (2 * hidden - 1)}


def test_a_plan_has_the_exchange_among_its_operations():
    owners, _, _ = trained([6, 8, 7, 3], 2, batches([6, 8, 7, 3]))
    words = str(plans(owners[1].part.net)[0])
    assert words.count("summed(") == 2
    assert words.count("gathered(") == 1
    assert "summed(units 3 to 6, 2.own) -> 2.y" in words


def test_an_error_that_numpy_raises_in_one_process_ends_its_step_and_no_meeting_is_held_twice():
    given = batches([6, 8, 3])[:-2]
    given[-1] = (given[-1][0] * 1e5, given[-1][1])  # exp() of the distance between logits is 0

    def step(net, loss, x, y):
        with np.errstate(under="raise" if threading.current_thread().name == "owner 0" else "ignore"):
            return loss_and_gradients(net, loss, x, y)

    owners, losses, ended = trained([6, 8, 3], 2, given, step, "relu")
    assert isinstance(ended[0], FloatingPointError)
    assert ended.keys() == {0}
    assert len(losses[1]) == len(given)
    assert {owner.meetings._meetings for owner in owners} == {len(given)}


def test_a_formula_of_the_divided_layer_that_is_given_later_is_called_at_each_batch(monkeypatch):
    given, calls = batches([6, 8, 3]), []
    forward = DividedLinear.forward

    def counted(layer, x):
        calls.append(threading.current_thread().name)
        return forward(layer, x)

    monkeypatch.setattr(DividedLinear, "forward", counted)
    trained([6, 8, 3], 2, given)
    assert calls.count("owner 0") == calls.count("owner 1") == STEPS


def exchange(last=False):
    """That of process 1 of 2, with what process 0 wrote, and how often it met that."""
    met: list[int] = []
    meetings: Any = SimpleNamespace(batch=1, meet=lambda: met.append(1))
    products, whole = np.zeros((2, 2, 3, 4)), np.zeros((3, 4))
    products[1, 0], products[0, 0], whole[:, :1] = 10.0, 20.0, 5.0
    return Exchange(meetings, 1, products, whole, slice(1, 4), last), meetings, products, met


@pytest.mark.parametrize("last", [False, True])
def test_the_sum_has_the_own_product_and_what_others_need_of_it_is_there_for_them(last):
    one, meetings, products, met = exchange(last)
    own = np.arange(1.0, 9.0).reshape(2, 4)
    out = np.empty((2, 4 if last else 3))
    assert one.summed(own, out=out) is out
    np.testing.assert_array_equal(out, (own + 10.0)[:, 0 if last else 1 :])
    np.testing.assert_array_equal(products[1, 1, :2], own if last else own * [1, 0, 0, 0])
    assert not products[0, 1].any()
    one.summed(own + 1, out=out)  # of the same batch: nobody is met, and nothing written that others may read now
    np.testing.assert_array_equal(out, (own + 11.0)[:, 0 if last else 1 :])
    np.testing.assert_array_equal(products[1, 1, :2], own if last else own * [1, 0, 0, 0])
    assert len(met) == 1
    meetings.batch = 2
    one.summed(own, out=out)
    np.testing.assert_array_equal(out, (own + 20.0)[:, 0 if last else 1 :])
    assert len(met) == 2


def test_columns_are_gathered_once_and_others_afterwards_are_a_deviation():
    one, meetings, _, met = exchange()
    own, out = np.array([[1.0, -0.0, np.nan]]), one.whole[:1]
    for _ in range(2):
        assert one.gathered(own, out=out) is out
        np.testing.assert_array_equal(out, [[5.0, 1.0, -0.0, np.nan]])
    assert len(met) == 1
    with pytest.raises(Deviation):
        one.gathered(np.array([[1.0, 0.0, np.nan]]), out=out)
    np.testing.assert_array_equal(out, [[5.0, 1.0, -0.0, np.nan]])
    meetings.batch = 2
    one.gathered(own + 1, out=out)
    np.testing.assert_array_equal(out, [[5.0, 2.0, 1.0, np.nan]])
    assert len(met) == 2
