"""What a check counts and in which order it tells what it has found."""

import random
from itertools import count
from typing import Any

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients, checker

X = np.random.default_rng(0).standard_normal((3, 2))


def test_where_a_network_goes_wrong_first_is_told_first(monkeypatch):
    monkeypatch.setattr(checker, "first_wrong", lambda entries, names: f"first of {len(entries)}, {names}")
    rng = np.random.default_rng(0)
    report = check_gradients((lambda x: x + rng.random(), lambda _, g: g), X)
    assert report.notes[0] == "first of 1, ('x',)"
    assert len(report.notes) == 2
    monkeypatch.setattr(checker, "first_wrong", lambda *_: "")
    assert check_gradients((np.sin, lambda x, g: g * np.cos(x)), X).notes == []


def test_evaluations_are_those_of_all_layers_and_of_the_chain():
    net = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh())
    alone = [check_gradients(layer, x).evaluations for layer, x in ((net[0], X), (net[1], X @ np.ones((2, 3))))]
    together = check_gradients(net, X)
    assert together.target == net.label
    # Of the chain itself two runs and more, to see that it repeats itself, and one for its gradients.
    assert together.evaluations > sum(alone)
    assert together.entries[0].name == "input"


@pytest.mark.parametrize(
    ("samples", "taken"),
    [(None, True), ("all", True), (1, True), (0, False), (-1, False), ("some", False), (1.5, False)],
)
def test_so_many_samples(samples, taken):
    if taken:
        assert check_gradients((np.sin, lambda x, g: g * np.cos(x)), X, samples=samples).ok
    else:
        with pytest.raises(ValueError, match='samples: expected a number >= 1, "all" or None'):
            check_gradients((np.sin, lambda x, g: g * np.cos(x)), X, samples=samples)


def test_a_report_begins_with_nothing():
    report = check_gradients((np.sin, lambda x, g: g * np.cos(x)), X)
    assert (report.problems, report.warnings, report.notes) == ([], [], [])
    assert report.evaluations > 10


def test_a_network_that_no_two_runs_repeat_is_a_problem_and_not_checked_layer_by_layer():
    class Draws(nn.Tanh):
        def forward(self, x):
            return super().forward(x + np.random.default_rng().random())

    report = check_gradients(nn.Sequential(nn.Linear(2, 3, rng=0), Draws()), X)
    assert len(report.problems) == 1
    assert "not repeatable" in report.problems[0]
    assert report.entries == []
    assert report.target.startswith("Sequential")


def test_input_and_targets_may_be_named():
    loss = (lambda x, y: np.sum((x - y) ** 2), lambda x, y: 2.0 * (x - y))
    assert check_gradients((np.sin, lambda x, g: g * np.cos(x)), x=X).ok
    assert check_gradients(loss, X, targets=np.ones((3, 2))).ok
    report = check_gradients(loss, x=X, targets=np.ones((3, 2)))
    assert report.ok
    assert [entry.name for entry in report.entries] == ["x"]


@pytest.mark.parametrize(("run", "grads"), [(X, X), (X, np.sin), (lambda: X, X), (lambda: X, None)])
def test_arrays_by_name_go_with_two_functions(run, grads):
    with pytest.raises(TypeError, match="arrays by name go with two functions"):
        check_gradients(run, grads, w=X.copy())


@pytest.mark.parametrize(
    ("x", "several"), [((X,), True), ([X, X], True), ([1.0, 2.0], False), (X, False), ([[1.0], X], True), ([], False)]
)
def test_what_is_several_arguments(x, several):
    assert checker._is_of_several(x) == several


def test_arguments_are_arrays_of_float64_where_they_hold_floats():
    assert checker._argument(X.astype(np.float32)).dtype == np.float64
    assert checker._argument(np.arange(3)).dtype.kind == "i"
    assert isinstance(checker._argument([1.0, 2.0]), np.ndarray)
    assert checker._argument([1, 2]) == [1, 2]
    assert checker._argument([]) == []
    assert checker._argument(3) == 3
    for wrong, error in ((np.zeros(0), ValueError), (np.array([np.nan]), ValueError), (np.array(["a"]), TypeError)):
        with pytest.raises(error, match="x: expected"):
            checker._point(wrong)
    assert checker._point([1, 2]).dtype == checker._point(np.arange(3)).dtype == np.float64
    np.testing.assert_array_equal(checker._point(3), 3.0)


def test_a_generator_that_nobody_can_find_is_given_beside_arrays_by_name():
    rng, w, held = np.random.default_rng(0), np.array([0.5, -1.0, 2.0]), dict[str, Any]()
    masks = (rng.uniform(0.5, 1.5, 3) for _ in count())  # into which nobody can look

    def run():
        held["mask"] = next(masks)
        return w * held["mask"]

    def grads(grad_output):
        return grad_output * held["mask"]

    assert check_gradients(run, grads, w=w).verdict == "undecided"
    assert check_gradients(run, grads, w=w, rng=rng).verdict == "right"


@pytest.mark.parametrize("given", [np.random.default_rng(0), np.random.RandomState(0), random.Random(0), random])
def test_what_draws_may_be_given_as_a_generator(given):
    assert check_gradients(nn.Tanh(), X, rng=given).verdict == "right"


@pytest.mark.parametrize("given", [0, "seed", np.random.default_rng])
def test_a_seed_is_no_generator(given):
    with pytest.raises(TypeError, match="rng: expected the generator that the function draws from"):
        check_gradients(nn.Tanh(), X, rng=given)


@pytest.mark.parametrize(
    ("ids", "said"), [([0, 2, 1], 1), ([0, 2, 0], 0), ([0], 0), ([0, 4, 1], 0), ([-1, 2, 1], 0), ([0.0, 2.0, 1.0], 0)]
)
def test_indices_of_which_none_comes_twice_do_not_show_that_gradients_are_added_up(ids, said):
    table = np.random.default_rng(0).standard_normal((4, 2))

    def backward(grad_output, ids, table):
        gradient = np.zeros_like(table)
        np.add.at(gradient, np.asarray(ids, int) % 4, grad_output)
        return gradient

    pair = (lambda ids, table: table[np.asarray(ids, int) % 4], backward)
    report = check_gradients(pair, (np.array(ids), table), constants=["ids"])
    lines = [note for note in report.notes if note.startswith("argument 1: no index comes twice")]
    assert len(lines) == said


class Bag:
    """Sums of rows, with = for += where an index comes twice in a column."""

    def __init__(self):
        self.E = np.random.default_rng(0).standard_normal((10, 3))

    def forward(self, ids):
        self.ids = ids
        return self.E[ids].sum(axis=1)

    def backward(self, g):
        self.dE = np.zeros_like(self.E)
        for column in self.ids.T:
            self.dE[column] += g


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([[0, 1], [2, 3], [4, 0]], "argument 1: no index comes twice in any column, so that in a loop over these ="),
        ([[0, 1], [2, 3], [4, 5]], "argument 1: no index comes twice, so that ="),
        ([[0, 1], [0, 3], [4, 5]], ""),
    ],
)
def test_so_it_is_said_of_indices_alone(ids, said):
    report = check_gradients(Bag(), np.array(ids))
    assert report.verdict == ("right" if said else "wrong")
    assert [note[: len(said)] for note in report.notes if "comes twice" in note] == [said] * bool(said)
