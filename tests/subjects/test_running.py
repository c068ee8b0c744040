"""The user's code runs with its errors as one kind, and is stopped where it takes many times as long as before."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import RIGHT, WRONG
from numpy_nn.subjects import running
from numpy_nn.subjects.running import Patience, Running, SubjectError


def spin(seconds):
    """Python code that takes so much of its thread's processor time."""
    end = running._time_of(threading.get_ident()) + seconds
    while running._time_of(threading.get_ident()) < end:
        pass


def known_to_be_fast():
    """The patience with code that has run once, in no time."""
    patience = Patience()
    patience.ended(0.0)
    return patience


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.1)
    monkeypatch.setattr(running, "SECONDS_ONCE_STOPPED", 0.05)
    monkeypatch.setattr(running, "PERIOD", 0.01)


def test_what_code_raises_is_an_error_of_the_subject():
    with pytest.raises(SubjectError, match="mine: KeyError: 'x'") as caught, Running("mine", Patience()):
        raise KeyError("x")
    assert isinstance(caught.value.__cause__, KeyError)


class OfMyOwn(BaseException):
    pass


@pytest.mark.parametrize("error", [SystemExit(3), OfMyOwn("why")])
def test_so_is_what_would_end_the_program(error):
    with pytest.raises(SubjectError) as caught, Running("mine", Patience()):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit])
def test_what_the_user_or_python_ends_comes_through(kind):
    with pytest.raises(kind), Running("mine", Patience()):
        raise kind


def test_a_reason_is_the_error_s_text_or_else_its_kind():
    for error, reason in ((KeyError(), "KeyError"), (ValueError("why"), "why")):
        with pytest.raises(SubjectError) as caught, Running("mine", Patience()):
            raise error
        assert caught.value.reason == reason
    assert SubjectError("mine: stopped").reason == "mine: stopped"


def test_numpy_warns_of_nothing_inside():
    with Running("mine", Patience()):
        assert np.isinf(np.float64(1.0) / np.float64(0.0))


@pytest.mark.usefixtures("hurried")
def test_a_first_call_may_take_as_long_as_it_likes():
    with Running("mine", Patience()):
        spin(0.3)


@pytest.mark.usefixtures("hurried")
def test_a_later_call_is_stopped():
    patience = known_to_be_fast()
    for limit in (0.1, 0.05):
        assert patience.limit == limit
        start = time.perf_counter()
        with (
            pytest.raises(SubjectError, match=r"mine: stopped after \d+\.\d s, many times as long"),
            Running("mine", patience),
        ):
            spin(30.0)
        assert time.perf_counter() - start < 20.0
    with Running("mine", patience):  # nothing of it is left
        spin(0.01)


@pytest.mark.usefixtures("hurried")
def test_code_that_catches_every_exception_is_stopped_too():
    caught = []

    def tries_again():
        try:
            spin(30.0)
        except Exception as error:
            caught.append(error)

    with pytest.raises(SubjectError, match="stopped after"), Running("mine", known_to_be_fast()):
        tries_again()
    assert caught == []


@pytest.mark.usefixtures("hurried")
def test_a_call_goes_on_being_watched_after_one_inside_it():
    patience = known_to_be_fast()

    def has_others_inside():
        for one in (Patience(), patience):
            with Running("mine", one):
                pass
        spin(30.0)

    with pytest.raises(SubjectError, match="stopped after"), Running("mine", patience):
        has_others_inside()
    assert not running._running


@pytest.mark.usefixtures("hurried")
def test_slow_code_may_take_a_hundred_times_as_long_as_it_did():
    patience = Patience()
    with Running("mine", patience):
        spin(0.01)
    assert patience.limit >= 1.0
    with Running("mine", patience):
        spin(0.2)
    assert patience.limit >= 20.0


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no clock of another thread's processor time")
@pytest.mark.usefixtures("hurried")
def test_code_that_waits_is_not_stopped():
    # A machine that is busy with something else lets it wait just so.
    with Running("mine", known_to_be_fast()):
        time.sleep(0.5)


@pytest.mark.usefixtures("hurried")
def test_a_call_that_has_ended_meanwhile_is_not_stopped():
    ended = Running("mine", Patience())
    with ended:
        pass
    ended.limit = -1.0
    ended.stop_if_over_time()
    spin(0.05)


@pytest.fixture
def raised(monkeypatch):
    """What was to be raised, and where: the first is not, as if the call ended before its next instruction."""
    asked: list[tuple[int, type[BaseException]]] = []
    really = running._raise_in

    def noted(thread, error):
        asked.append((thread, error))
        if len(asked) > 1:
            really(thread, error)

    monkeypatch.setattr(running, "_raise_in", noted)
    return asked


def test_what_was_to_be_raised_and_has_not_been_is_raised_at_the_end_and_goes_no_further(raised):
    call = Running("mine", Patience())
    with call:
        running._running[threading.get_ident()] = call
        call.limit = -1.0
        call.stop_if_over_time()
    assert raised == 2 * [(threading.get_ident(), running._Stopped)]


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_a_profiler_gets_on_after_a_call_was_stopped():
    # In Python 3.11 what is only taken back makes each function that is looked at begin for ever.
    with pytest.raises(SubjectError, match="mine: stopped"), Running("mine", known_to_be_fast()):
        spin(30.0)
    calls = []
    script = (
        "import sys, threading, time\nfrom numpy_nn.subjects import running\nfrom numpy_nn.subjects.running import *\n"
        "call = Running('mine', Patience())\nfirst, really = [], running._raise_in\n"
        "running._raise_in = lambda *a: really(*a) if first else first.append(a)\n"
        "with call:\n    running._running[threading.get_ident()] = call\n    call.limit = -1.0\n"
        "    call.stop_if_over_time()\n"
        "sys.setprofile(lambda *_: None)\n(lambda: 1)()\nprint('got on')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("got on\n", "")
    sys.setprofile(lambda *_: calls.append(1))
    try:
        spin(0.0)
    finally:
        sys.setprofile(None)
    assert calls


@pytest.mark.usefixtures("hurried")
def test_a_first_call_within_another_is_stopped_with_that():
    with (
        pytest.raises(SubjectError, match="mine: stopped after") as caught,
        Running("mine", known_to_be_fast()),
        Running("slow", Patience()),
    ):
        spin(30.0)
    assert caught.value.__cause__ is None
    assert not running._running


def test_a_call_is_looked_at_while_another_runs_within(raised):
    outer = Running("mine", known_to_be_fast())
    with outer, Running("quick", known_to_be_fast()):
        outer.limit = -1.0
        outer.stop_if_over_time()
        assert raised[:1] == [(threading.get_ident(), running._Stopped)]


@pytest.mark.usefixtures("hurried")
def test_a_call_within_is_stopped_alone():
    outer = Patience()
    outer.ended(1.0)
    with Running("mine", outer):
        with pytest.raises(SubjectError, match="inner: stopped"), Running("inner", known_to_be_fast()):
            spin(30.0)
        spin(0.01)


@pytest.mark.usefixtures("hurried")
def test_nobody_watches_when_nothing_runs():
    with Running("mine", known_to_be_fast()):
        assert running._watching
    deadline = time.perf_counter() + 20.0
    while running._watching and time.perf_counter() < deadline:
        time.sleep(0.01)
    assert not running._watching


def endless_beyond_its_domain(x):
    y = np.ones_like(x)
    while np.any(np.abs(y * y - x) > 1e-10):
        y = 0.5 * (y + x / y)
    return y


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
@pytest.mark.usefixtures("hurried")
def test_a_loop_that_does_not_end_at_a_point_of_the_check_does_not_hang_it(factor, verdict):
    def vjp(g, x):
        return factor * g / (2 * endless_beyond_its_domain(x))

    assert check_gradients((endless_beyond_its_domain, vjp), np.array([0.5, 1.7, 3.0])).verdict == verdict


@pytest.mark.usefixtures("hurried")
def test_a_way_to_call_it_that_was_not_meant_does_not_hang_it():
    def vjp(p, q):  # whose names do not tell which of the two is the gradient
        return q / (2 * endless_beyond_its_domain(p))

    assert check_gradients((endless_beyond_its_domain, vjp), np.array([0.5, 1.7, 3.0])).verdict == RIGHT


class Losses:
    @staticmethod
    def absolute_loss(a, y):
        while np.abs(a - y).sum() > 0.0:
            pass


class WithAnotherLoss:
    def __init__(self):
        self.w = np.array([0.3, -1.0, 0.7])

    def predict(self, x):
        return x @ self.w

    def gradient(self, x, y):
        return 2.0 * x.T @ (self.predict(x) - y) / len(y)

    def history(self, x, y):
        return [Losses.absolute_loss(self.predict(x), y)]


@pytest.mark.usefixtures("hurried")
def test_a_function_that_may_be_the_loss_does_not_hang_it():
    rng = np.random.default_rng(0)
    assert check_gradients(WithAnotherLoss(), rng.standard_normal((6, 3)), rng.standard_normal(6)).verdict == RIGHT


class EvenBatches:
    """A layer that ends the program where the batch is odd, as that of the user is not."""

    def __init__(self, factor, error):
        self.W, self.factor, self.error = np.random.default_rng(0).standard_normal((4, 3)), factor, error

    def forward(self, x):
        if len(x) % 2:
            raise self.error
        self.x = x
        return x @ self.W

    def backward(self, g):
        self.dW = self.factor * self.x.T @ g
        return g @ self.W.T


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
@pytest.mark.parametrize("error", [SystemExit(1), OfMyOwn()])
def test_what_would_end_the_program_at_a_point_of_the_check_does_not(factor, verdict, error):
    x = np.random.default_rng(1).standard_normal((6, 4))
    report = check_gradients(EvenBatches(factor, error), x)
    assert (report["x"].verdict, report["W"].verdict) == (RIGHT, verdict)
    with pytest.raises(type(error)) as caught:
        check_gradients(EvenBatches(factor, error), x[:5])
    assert type(caught.value) is type(error)
