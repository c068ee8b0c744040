"""Which number of threads is chosen, on a clock that only the steps move."""

import math
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from numpy_nn.commands.machine import threads
from numpy_nn.commands.machine.threads import REST, SHARE, Threads, counts_up_to

QUIET, BUSY = {1: 1.0, 2: 0.7, 4: 0.5}, {1: 1.0, 2: 20.0, 4: 60.0}


class Machine:
    """A machine on which a step takes ``step`` seconds times what ``factors`` has for the number of threads."""

    def __init__(self, step, factors, counts=(1, 2, 4), cores=math.inf):
        self.step, self.factors = step, factors
        self.now, self.readings = 0.0, 0
        self.set: list[int] = []
        self.threads = Threads(counts, self.set.append, self.clock, cores)

    def clock(self):
        self.readings += 1
        return self.now

    def train(self, seconds, steps=1000):
        """Train at least so long, in epochs of so many steps; the time that it took for each step."""
        begun, done = self.now, 0
        while self.now < begun + seconds:
            with self.threads.epoch():
                for _ in range(steps):
                    self.step_once()
            self.now += 5.0  # judged, written and printed, which is nobody's step
            begun += 5.0
            done += steps
        taken = (self.now - begun) / done
        while not self.threads.settled:
            with self.threads.epoch():
                self.step_once()
        return taken

    def step_once(self):
        """A step, which takes its time."""
        self.now += self.step * self.factors[self.threads.count]
        self.threads.step()


class Container(Machine):
    """One that gives ``cores`` seconds of processors' time a second, a tenth of them in each tenth of a second."""

    def __init__(self, step, factors, cores):
        super().__init__(step, factors, tuple(factors), cores)
        self.cores, self.period, self.used = cores, 0, 0.0

    def step_once(self):
        seconds = self.step * self.factors[self.threads.count]
        if self.used + self.threads.count * seconds > self.cores / 10:  # it stands still until the next period
            self.now = max(self.now, (self.period + 1) / 10)
        if int(self.now * 10 + 1e-9) > self.period:
            self.period, self.used = int(self.now * 10 + 1e-9), 0.0
        self.used += self.threads.count * seconds
        super().step_once()


# Two threads are 1.6 times as fast as one as long as they run: 0.8 times with one core's time, 1.2 with one and a half.
@pytest.mark.parametrize(("cores", "best"), [(1.0, 1), (1.5, 2), (4.0, 2)])
@pytest.mark.parametrize("step", [1e-4, 2e-3])
def test_threads_beyond_a_containers_quota_are_timed_over_its_periods(step, cores, best):
    machine = Container(step, {1: 1.0, 2: 1 / 1.6}, cores)
    machine.train(10.0)
    assert machine.threads.count == best


@pytest.mark.slow
@pytest.mark.parametrize("step", [5e-5, 2e-3, 0.2])
@pytest.mark.parametrize(
    ("factors", "best"), [(QUIET, 4), (BUSY, 1), ({1: 1.0, 2: 0.7, 4: 0.9}, 2), ({1: 1.0, 2: 0.99, 4: 0.99}, 1)]
)
def test_the_fastest_is_kept_and_of_equals_the_least(step, factors, best):
    machine = Machine(step, factors)
    taken = machine.train(max(15.0, 500 * step))
    assert machine.threads.count == best
    assert taken <= 1.05 * step * factors[best]


@pytest.mark.slow
@pytest.mark.parametrize("step", [5e-5, 2e-3])
def test_others_come_and_go(step):
    machine = Machine(step, QUIET)
    machine.train(20.0)
    assert machine.threads.count == 4
    machine.factors = BUSY
    assert machine.train(30.0) <= 1.1 * step
    assert machine.threads.count == 1
    machine.factors = QUIET
    machine.train(30.0)
    assert machine.threads.count == 4


class Spinning(Machine):
    """One with other work on its cores, from which threads that still wait for work take the time of steps as well."""

    spin, slower = 0.11, 1.55
    last = -math.inf

    def step_once(self):
        if self.threads.count > 1:
            self.last = self.now
        elif self.now < self.last + self.spin:
            self.now += self.step * (self.slower - 1.0)
        super().step_once()


# As it was measured beside one busy process, at 784-1024-1024-1024-10.
@pytest.mark.parametrize("step", [5e-5, 2e-3, 0.046])
def test_threads_that_still_wait_for_work_do_not_make_fewer_look_slow(step):
    machine = Spinning(step, {1: 1.0, 2: 1.35}, counts=(1, 2))
    assert machine.train(20.0) <= 1.05 * step
    assert machine.threads.count == 1


def test_a_step_that_became_slow_is_noticed_at_once():
    machine = Machine(1e-3, QUIET)
    machine.train(1.0)
    assert machine.threads.count == 4
    before = machine.now
    machine.factors = BUSY
    with machine.threads.epoch():
        while machine.threads.count != 1:
            machine.step_once()
    assert machine.now - before < 1.0  # far less than the time to the next trial


def test_steps_that_are_slow_on_any_number_do_not_make_it_flap():
    machine = Machine(1e-3, QUIET)
    machine.train(10.0)
    trials = machine.threads.trials
    # Half as fast again and again: each time it is worth a look, and less and less often.
    for turn in range(40):
        machine.factors = {count: factor * (2 if turn % 2 else 1) for count, factor in QUIET.items()}
        machine.train(1.0)
        assert machine.threads.count == 4
    assert machine.threads.trials - trials <= 40.0 / REST + 5
    assert machine.threads.used[4] > 0.8 * machine.threads.used.total()


def test_trials_lose_a_small_share_of_the_time():
    machine = Machine(1e-3, BUSY)
    machine.train(5.0)
    assert machine.train(100.0) <= (1.0 + 1.5 * SHARE) * machine.step
    assert machine.threads.trials > 5


def test_a_single_odd_moment_changes_nothing():
    machine = Machine(1e-3, QUIET)
    machine.train(10.0)
    with machine.threads.epoch():
        for index in range(1000):
            machine.now += 0.2 * (index == 500)
            machine.step_once()
    assert machine.threads.count == 4


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_moment_of_others_does_not_give_up_a_number_for_good(number):
    machine, disturbed = Machine(1e-3, QUIET), False
    while not machine.threads.settled:
        with machine.threads.epoch():
            # Not the first step of the trial with this number, which would not be timed.
            is_in_its_stretch = machine.threads.count == number and machine.threads.used[number] > 3
            machine.now += 0.06 * (is_in_its_stretch and not disturbed)
            disturbed = disturbed or is_in_its_stretch
            machine.step_once()
    assert disturbed
    assert machine.threads.count == 4


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 0.02]), st.sampled_from([(1, 2), (1, 2, 4)]))
@example(seed=0, step=0.02, counts=(1, 2))  # every number was given up: min() of nothing
def test_moments_of_others_during_the_trials_leave_a_number(seed, step, counts):
    rng = np.random.default_rng(seed)
    machine = Machine(step, {1: 1.0, 2: 0.9, 4: 0.9}, counts)
    for odd in rng.choice([0.0, 0.05, 0.4], size=200, p=[0.7, 0.2, 0.1]):
        with machine.threads.epoch():
            machine.now += odd
            machine.step_once()
    assert machine.threads.count in counts
    assert machine.threads.used.total() == 200


def test_the_clock_is_not_read_at_every_small_step():
    machine = Machine(5e-5, QUIET)
    machine.train(10.0, steps=10_000)
    # A reading and what follows take some microseconds: less than one per cent.
    assert machine.readings < machine.threads.used.total() / 20


@pytest.mark.parametrize("steps", [1, 3])
def test_epochs_shorter_than_a_stretch_are_put_together(steps):
    machine = Machine(1e-3, QUIET)
    machine.train(4.0, steps=steps)
    assert machine.threads.count == 4


def test_more_threads_than_are_too_many_are_not_tried():
    machine = Machine(0.05, {1: 1.0, 2: 20.0, 4: 60.0, 8: 200.0}, counts=(1, 2, 4, 8))
    machine.train(100.0)
    assert machine.threads.count == 1
    assert not machine.threads.used[4]
    assert not machine.threads.used[8]


def test_one_number_is_set_and_kept_and_its_steps_counted():
    machine = Machine(1e-3, QUIET, counts=(2,))
    assert machine.threads.settled
    machine.train(3.0)
    assert set(machine.set) == {2}
    assert machine.threads.used == Counter({2: 5000})
    assert machine.readings == 2 * 5


def test_what_cannot_be_set_is_not_tried():
    kept = Threads((1, 2), None)
    with kept.epoch():
        kept.step()
    assert kept.settled
    assert kept.used == Counter({2: 1})


def test_every_step_is_counted():
    machine = Machine(1e-3, QUIET)
    machine.train(3.0, steps=7)
    assert machine.threads.used.total() % 7 == 0
    assert set(machine.threads.used) == {1, 2, 4}


def test_numbers_to_try():
    assert [counts_up_to(most) for most in (1, 2, 3, 4, 12)] == [(1,), (1, 2), (1, 2, 3), (1, 2, 4), (1, 2, 4, 8, 12)]
    with pytest.raises(ValueError, match="counts: expected at least one"):
        Threads((), None)


def test_how_often_each_was_used_in_words():
    assert threads.describe(Counter({2: 2, 1: 98})) == "1 in 98%, 2 in 2% of the steps"
    assert threads.describe(Counter({-2: 5, 1: 3, 2: 2})) == "1 in 30%, 2 in 20%, 2 processes in 50% of the steps"


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_the_blas_has_as_many_threads_as_it_is_told_and_gets_them_back():
    before = blas_threads()
    with threads.given_back():
        set_threads = threads.blas_setter()
        assert set_threads is not None
        set_threads(2)
        assert blas_threads() == {2}
        set_threads(1)
        assert blas_threads() == {1}
    assert blas_threads() == before


def test_without_threadpoolctl_nothing_can_be_set(monkeypatch):
    monkeypatch.setattr(threads.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert threads.blas_setter() is None
    with threads.given_back():
        pass


def test_several_processes_are_timed_after_their_first_steps_by_the_formulas():
    now, count, taken = 0.0, 1, 0

    def set_threads(number):
        nonlocal count, taken
        count, taken = number, 0

    threads = Threads((1, -2), set_threads, lambda: now, cores=2.0)
    with threads.epoch():
        for _ in range(3000):
            taken += 1
            now += 1e-3 if count > 0 else 0.03 if taken <= 4 else 6e-4
            threads.step()
    assert threads.count == -2


@pytest.mark.parametrize(("busy", "slices"), [(0, 1), (7, 8), (10**9, 20)])
def test_settling_waits_until_the_threads_are_idle_or_the_limit(busy, slices):
    slept, used = [], [0.0]

    def sleep(seconds):
        slept.append(seconds)
        used[0] += seconds if len(slept) <= busy else 0.0

    threads.settle(lambda: used[0], sleep, limit=20 * threads.SETTLE_SLICE)
    assert len(slept) == slices
