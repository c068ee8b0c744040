"""Processes in a ring: what they are given and give back, and that an error is told and nobody left waiting."""

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.lessons import processes


def double(array):
    return 2 * array


def round_the_ring(ring, array, word):
    """What each process has and gets; longer than what lies between two processes, and written about on stdout."""
    print("this must not come between")
    arrived = ring.exchange(double(array) + ring.rank)
    net = nn.Linear(2, 2, rng=0)
    return ring.rank, ring.size, arrived, ring.sent, word, net.weight.data[0, 0].item()


def fails_in_the_last(ring):
    if ring.rank == ring.size - 1:
        raise ValueError("not this one")
    while True:
        ring.exchange(np.zeros(1))


def fails_in_the_first(ring):
    if ring.rank == 0:
        raise KeyError("here")
    ring.exchange(np.zeros(1))


def ends_without_a_word(ring):
    import os

    if ring.rank == 1:
        os._exit(3)
    ring.exchange(np.zeros(1))


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_an_array_goes_to_the_next_and_comes_from_the_one_before(size):
    array = np.arange(1_000_000.0)
    ends = processes.together(size, [double, round_the_ring], array, "given")
    for rank, (own_rank, own_size, arrived, sent, word, weight) in enumerate(ends):
        assert (own_rank, own_size, sent, word) == (rank, size, array.nbytes, "given")
        assert np.array_equal(arrived, 2 * array + (rank - 1) % size)
        assert weight == ends[0][-1]


def test_one_alone_starts_nobody(monkeypatch, capsys):
    monkeypatch.setattr(processes.subprocess, "Popen", pytest.fail)
    ((rank, size, arrived, sent, _, _),) = processes.together(1, [double, round_the_ring], np.ones(2), "")
    assert (rank, size, arrived.tolist(), sent) == (0, 1, [2, 2], 0)
    assert "must not come" in capsys.readouterr().out


@pytest.mark.slow
def test_an_error_is_told_and_the_others_end():
    with pytest.raises(RuntimeError, match="ValueError: not this one"):
        processes.together(3, [fails_in_the_last])
    with pytest.raises(KeyError, match="here"):
        processes.together(2, [fails_in_the_first])
    with pytest.raises(RuntimeError, match="a process ended with status 3"):
        processes.together(2, [ends_without_a_word])
