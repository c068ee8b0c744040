"""Counters in shared memory, by two sides of one process: what one orders the other takes, in turn."""

import os
import time
from importlib.util import module_from_spec

import numpy as np
import pytest

from numpy_nn.owners import meeting
from numpy_nn.owners.meeting import APART, RING, Meetings, words_for


class NobodyCame(Exception):
    """There is nobody left to wait for."""


def nobody():
    raise NobodyCame


def sides(size=2):
    words = np.zeros(words_for(size), np.int64)
    return words, [Meetings(words, rank, size, nobody) for rank in range(size)]


def test_who_waits_offers_the_processor_to_others(monkeypatch):
    offered: list[object] = []
    monkeypatch.setattr(time, "sleep", offered.append)
    for has_yield in (True, False):
        if has_yield:
            monkeypatch.setattr(os, "sched_yield", lambda: offered.append("yield"), raising=False)
        else:
            monkeypatch.delattr(os, "sched_yield")
        assert meeting.__spec__ is not None
        anew = module_from_spec(meeting.__spec__)
        assert meeting.__spec__.loader is not None
        meeting.__spec__.loader.exec_module(anew)
        anew._offer()
    assert offered == ["yield", 0.0]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_each_process_has_two_counters_beside_those_of_all(size):
    assert words_for(size) == 16 * (2 + 2 * size)
    assert APART == RING == 16


def test_orders_are_taken_in_turn_and_touch_no_counter_of_others():
    words, (first, second) = sides()
    for what in range(100, 140):
        first.order(what)
        assert second.next_order() == what
    # Of those of processes, the second's alone has moved: that of the orders that it has begun to take.
    assert words[32] == words[48] == words[64] == 0
    assert words[80] == 39


def test_as_many_orders_may_be_ahead_as_there_is_room_for():
    _, (first, second) = sides()
    for what in range(RING):
        first.order(what)
    with pytest.raises(NobodyCame):
        first.order(RING)
    assert [second.next_order() for _ in range(RING)] == list(range(RING))
    with pytest.raises(NobodyCame):
        second.next_order()


def test_an_order_waits_for_the_slowest():
    _, (first, second, third) = sides(3)
    for what in range(RING):
        first.order(what)
        assert second.next_order() == what
    with pytest.raises(NobodyCame):
        first.order(RING)
    assert third.next_order() == 0


def test_a_meeting_is_over_when_all_are_there_and_not_before():
    words, (first, second) = sides()
    with pytest.raises(NobodyCame):
        first.meet()
    second.meet()
    assert (words[32], words[64]) == (1, 1)
    with pytest.raises(NobodyCame):
        second.meet()
    first.meet()
    assert (words[32], words[64]) == (2, 2)


def test_what_is_to_be_done_meanwhile_is_done_once_after_the_others_know_and_before_they_are_waited_for():
    words, (first, second) = sides()
    known: list[int] = []

    def come():
        known.append(words[32])
        second.meet()

    first.meanwhile = come
    first.meet()
    assert known == [1]
    assert first.meanwhile is None
    second._wait(32, 1)
    with pytest.raises(NobodyCame):
        first.meet()
    assert known == [1]
