"""Engines of the benchmark on as many threads as are the fastest for each, on a clock that only they move."""

import pytest
import torch

from numpy_nn.commands.benchmark.cases import Case
from numpy_nn.commands.benchmark.engines import ENGINES
from numpy_nn.commands.benchmark.threads import APART, DISTURBED, FAR, OPINIONS, OnThreads
from numpy_nn.commands.benchmark.workload import Workload


class Fake:
    """An engine whose work and step take these seconds times what ``factors`` has for the number of threads."""

    pool = "fake"

    def __init__(self, factors, kind="step", adapts=True):
        self.case = Case(kind, (784, 64, 10))
        self.factors, self.adapts = factors, adapts
        self.now, self.count, self.steps, self.worked = 0.0, 0, 0, 0

    def set_threads(self, number):
        self.count = number

    def work(self):
        self.worked += 1
        self.now += 0.001 * self.factors[self.count] * (100 if self.case.kind == "epoch" else 1)

    def step(self):
        self.steps += 1
        self.now += 0.001 * self.factors[self.count]

    def seconds(self, n):
        before = self.now
        for _ in range(n):
            self.work()
        return self.now - before


def on_threads(engine, counts=(1, 2)):
    return OnThreads(engine, counts, lambda: engine.now)


@pytest.mark.parametrize(("factors", "best"), [({1: 1.0, 2: 0.6}, 2), ({1: 1.0, 2: 30.0}, 1)])
def test_the_fastest_is_found_before_anything_is_timed(factors, best):
    engine = Fake(factors)
    way = on_threads(engine)
    assert way.pool == "fake"
    assert [way.seconds(n) for n in (1, 10)] == pytest.approx([0.001 * factors[best], 0.01 * factors[best]])
    assert way.used == {best: 2}


def test_an_epoch_is_not_tried_out_but_its_steps():
    engine = Fake({1: 1.0, 2: 0.6}, "epoch")
    assert on_threads(engine).seconds(1) == pytest.approx(0.06)
    assert engine.steps > 0
    assert engine.worked == 1


def test_after_a_disturbed_turn_it_is_found_anew():
    engine = Fake({1: 1.0, 2: 0.6})
    way = on_threads(engine)
    way.seconds(10)
    engine.factors = {1: 1.0, 2: 0.6 * 2 * DISTURBED}
    assert way.seconds(10) == pytest.approx(0.01 * engine.factors[2])
    assert way.seconds(10) == pytest.approx(0.01)
    assert way.used == {2: 2, 1: 1}


@pytest.mark.parametrize("waits", [0.5, 1.5])
def test_a_second_thread_that_gained_nothing_for_a_while_is_tried_again(waits):
    engine = Fake({1: 1.0, 2: 1.0})
    way = on_threads(engine)
    way.seconds(10)
    engine.factors = {1: 1.0, 2: 0.6}
    engine.now += waits
    assert way.seconds(10) == pytest.approx(0.006 if waits >= APART else 0.01)


def test_fewer_threads_are_found_so_often_and_the_best_time_counts():
    engine = Fake({1: 1.0, 2: 1.4})
    way = on_threads(engine)
    tried = []
    for seconds_of_one in (1.0, 1.2, 1.1, 1.0, 1.0):
        engine.factors = {1: seconds_of_one, 2: 1.4}
        before = engine.worked
        way.seconds(10)
        tried.append(engine.worked > before + 10)
        engine.now += 10.0
    assert tried == [True] * OPINIONS + [False] * 2
    assert way.used == {1: 5}


def test_where_a_second_thread_costs_much_it_is_not_tried_again():
    engine = Fake({1: 1.0, 2: 1.1 * FAR})
    way = on_threads(engine)
    way.seconds(10)
    engine.factors = {1: 1.0, 2: 0.6}
    engine.now += 10.0
    assert way.seconds(10) == pytest.approx(0.01)


def test_what_does_not_adapt_has_the_most_and_is_not_tried():
    engine = Fake({2: 1.0}, adapts=False)
    way = on_threads(engine)
    assert way.seconds(3) == pytest.approx(0.003)
    assert engine.worked == 3
    assert way.used == {2: 1}
    assert way.seconds(0) == 0.0


def test_a_fixed_number_is_set_and_nothing_tried():
    engine = Fake({2: 1.0})
    way = on_threads(engine, (2,))
    assert way.seconds(3) == pytest.approx(0.003)
    assert engine.worked == 3
    assert way.used == {2: 1}


@pytest.mark.parametrize("name", ["floor", "by hand", "numpy_nn", "torch"])
def test_the_engines_on_the_cpu_take_another_number(name):
    engine = ENGINES[name](Workload(Case("step", (6, 4, 3), batch=4)))
    assert engine.adapts
    assert engine.set_threads is not None
    before = torch.get_num_threads()
    engine.set_threads(1)
    assert torch.get_num_threads() == (1 if name == "torch" else before)
