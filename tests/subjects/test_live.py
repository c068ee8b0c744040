"""Arrays that live anywhere: moved by the check, read by the code, and put back whatever happens."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.libraries.live import LiveSubject
from numpy_nn.subjects.subject import SubjectError

G = np.full((2, 3), 2.0)


class Code:
    """y = x W, in arrays of its own."""

    def __init__(self, dtype=np.float64):
        rng = np.random.default_rng(0)
        self.x, self.W = rng.standard_normal((2, 4)).astype(dtype), rng.standard_normal((4, 3)).astype(dtype)
        self.calls = 0

    def run(self):
        self.calls += 1
        return self.x @ self.W

    def gradients(self, grad_output):
        return {"x": grad_output @ self.W.T, "W": self.x.T @ grad_output}

    def live(self):
        return {"x": self.x, "W": self.W}


@pytest.mark.parametrize(
    "shape",
    [
        lambda found: found,
        lambda found: dict(reversed(found.items())),
        lambda found: tuple(found.values()),
        lambda found: list(found.values()),
    ],
    ids=["dict", "dict in another order", "tuple", "list"],
)
def test_gradients_in_any_container_are_those_of_their_arrays(shape):
    code = Code()
    subject = LiveSubject(code.run, lambda g: shape(code.gradients(g)), code.live())
    claimed = subject.gradients(G)
    assert list(claimed) == ["x", "W"]
    assert all(np.array_equal(claimed[name], g) for name, g in code.gradients(G).items())


def test_a_single_array_and_a_gradient_that_is_left_out():
    code = Code()
    assert np.array_equal(LiveSubject(code.run, lambda g: code.x.T @ g, {"W": code.W}).gradients(G)["W"], code.x.T @ G)
    assert LiveSubject(code.run, lambda g: {"W": code.x.T @ g}, code.live()).gradients(G)["x"] is None


def test_the_code_reads_what_the_check_has_moved_and_the_array_is_the_user_s_own():
    code = Code()
    subject = LiveSubject(code.run, code.gradients, code.live())
    own = code.W
    with subject.at({"W": np.zeros((4, 3))}):
        assert not subject.output().any()
    assert subject.output().any()
    assert code.W is own


def test_an_array_that_the_code_binds_anew_is_found_in_its_place():
    code = Code()
    before = code.W
    subject = LiveSubject(code.run, code.gradients, {"W": (code, "W")})
    code.W = code.W * 1.0
    with subject.at({"W": np.zeros((4, 3))}):
        assert not subject.output().any()
    subject.close()
    assert np.array_equal(code.W, before)


def test_a_place_may_be_deep_inside():
    net = SimpleNamespace(layers=[SimpleNamespace(params={"W": np.ones((4, 3))})])
    x = np.ones((2, 4))
    report = check_gradients(
        lambda: x @ net.layers[0].params["W"], lambda g: x.T @ g, arrays={"W": (net, "layers[0].params['W']")}
    )
    assert report.ok


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_at_the_end_everything_holds_what_it_held(dtype):
    code = Code(dtype)
    before = {name: value.copy() for name, value in code.live().items()}
    check_gradients(code.run, code.gradients, **code.live())
    assert all(np.array_equal(value, before[name]) for name, value in code.live().items())
    assert code.calls == 0


@pytest.mark.slow
@pytest.mark.numerical
def test_also_where_the_code_raises_in_the_middle():
    code = Code()
    before = code.W.copy()

    def run():
        if not np.array_equal(code.W, before):
            raise KeyError("no other point")
        return code.run()

    assert check_gradients(run, code.gradients, **code.live())["W"].verdict == "undecided"
    assert np.array_equal(code.W, before)

    def fails(_):
        code.W[...] = 7.0
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        check_gradients(code.run, fails, **code.live())
    assert np.array_equal(code.W, before)


def test_changes_by_run_and_by_grads_are_said_and_undone():
    code = Code()

    def run():
        output = code.run()
        code.x *= 2.0
        return output

    def grads(g):
        found = code.gradients(g)
        code.W[...] = 0.0
        return found

    home = {name: value.copy() for name, value in code.live().items()}
    subject = LiveSubject(run, grads, code.live())
    first = subject.output()
    assert np.array_equal(subject.output(), first)
    assert subject.warnings == ["run changes x in place"]
    subject.gradients(G)
    assert subject.warnings[1:] == ["grads changes W: the gradients are judged at the values before"]
    assert np.array_equal(code.W, home["W"])
    subject.close()
    assert np.array_equal(code.x, home["x"])


def test_code_that_changes_nothing_is_not_warned_of():
    code = Code()
    code.x[0, 0] = code.W[0, 0] = np.nan  # which is not equal to itself
    subject = LiveSubject(code.run, code.gradients, {"x": code.x, "W": (code, "W")})
    subject.gradients(G)
    assert subject.warnings == []


def test_several_outputs_have_a_gradient_each():
    code = Code()
    given: list[Any] = []

    def grads(*grad_outputs):
        given.extend(grad_outputs)
        return {"W": None}

    subject = LiveSubject(lambda: (code.run(), 3.0 * code.x.sum()), grads, code.live())
    assert subject.output().shape == (7,)
    subject.gradients(np.arange(7.0))
    assert np.array_equal(given[0], np.arange(6.0).reshape(2, 3))
    assert given[1] == 6.0
    assert isinstance(given[1], float)


def test_what_cannot_be_checked_is_said():
    code = Code()
    frozen = np.ones(2)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="expected at least one array by name"):
        LiveSubject(code.run, code.gradients, {})
    with pytest.raises(TypeError, match=r"W: expected an array of floats, or \(object, 'attribute'\), got list"):
        LiveSubject(code.run, code.gradients, {"W": [1.0]})
    with pytest.raises(TypeError, match="W: expected an array of floats"):
        LiveSubject(code.run, code.gradients, {"W": np.arange(3)})
    with pytest.raises(ValueError, match="W: expected an array that can be written to"):
        LiveSubject(code.run, code.gradients, {"W": frozen})


@pytest.mark.parametrize(
    ("claimed", "message"),
    [
        ({"V": 1.0}, "grads: expected gradients of x, W, got one of V"),
        ((1.0,), "grads: expected 2 gradients, of x, W, got 1"),
        (np.ones(3), "grads: expected 2 gradients, of x, W, got 1"),
    ],
)
def test_gradients_of_something_else_are_refused(claimed, message):
    code = Code()
    with pytest.raises(SubjectError, match=message):
        LiveSubject(code.run, lambda _: claimed, code.live()).gradients(G)


ASIDE = "grads leaves its grad_output aside: judged as the gradients of a loss"


@pytest.mark.parametrize(
    ("gradients", "alone", "notes"),
    [
        (lambda _: {"x": np.ones((2, 4)), "W": None}, True, [ASIDE]),
        (lambda g: {"x": np.full((2, 4), g), "W": np.ones((4, 3))}, False, []),
        (lambda g: {"x": np.full((2, 4), g), "W": None}, False, []),
        (lambda _: {"x": np.zeros((2, 4)), "W": None}, True, []),
        (lambda _: {"x": None, "W": None}, False, []),
    ],
)
def test_gradients_are_those_of_a_loss_if_they_are_the_same_whatever_they_are_given(gradients, alone, notes):
    code, asked = Code(), []

    def grads(g):
        asked.append(g)
        return gradients(g)

    subject = LiveSubject(lambda: code.run().sum(), grads, code.live())
    rng = np.random.default_rng(0)
    for shape in ((), (1,), (1, 1)):
        given = subject.random_grad_output(rng, shape)
        assert given.shape == shape
        assert np.all(given == 1.0) == alone
    # It is asked once, and not at all for an output of several numbers.
    assert asked == [1.0, 2.0]
    assert subject.notes == notes
    other = LiveSubject(code.run, grads, code.live())
    assert not np.any(other.random_grad_output(rng, (2, 3)) == 1.0)
    assert len(asked) == 2


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_gradients_of_a_loss_may_leave_grad_output_aside(wrong, verdict):
    w = np.array([0.5, -1.0, 2.0])
    report = check_gradients(lambda: float(np.sum(w**3)), lambda _: wrong * 3 * w**2, w=w)
    assert report["w"].verdict == verdict
    assert any("leaves its grad_output aside" in note for note in report.notes)
    several = check_gradients(lambda: w**3, lambda _: 3 * w**2, w=w)
    assert several["w"].verdict == "wrong"
