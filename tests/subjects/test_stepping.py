"""Steps of training in the place of gradients: by which rate they are, and what is wrong with them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_ins import stand_in

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.calls.calling import RATE, Convention
from numpy_nn.subjects.parameters import stepping
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.parameters.stepping import rate_in_common

ONE = np.ones(3)
RNG = np.random.default_rng(1)
X, Y = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 3))
LEARNING_RATE = 0.05


class Net:
    """Two layers and half the sum of squares, without a step."""

    def __init__(self, off=1.0):
        rng = np.random.default_rng(0)
        self.W1, self.b1 = rng.standard_normal((4, 5)), rng.standard_normal(5)
        self.W2, self.b2 = rng.standard_normal((5, 3)), rng.standard_normal(3)
        self.off = np.array([off, 1.0])  # an array, so that the factor is no number in the code

    def forward(self, x):
        self.h = np.tanh(x @ self.W1 + self.b1)
        return self.h @ self.W2 + self.b2

    def loss(self, x, y):
        return 0.5 * np.sum((self.forward(x) - y) ** 2)

    def slope(self):
        return 1.0 - self.h**2

    def descend_by(self, x, y, rate):
        d = (self.forward(x) - y) * self.off[0]
        dh = (d @ self.W2.T) * self.slope()
        self.W2 -= rate * self.h.T @ d
        self.b2 -= rate * d.sum(axis=0)
        self.W1 -= rate * x.T @ dh
        self.b1 -= rate * dh.sum(axis=0)


class Written(Net):
    def train_step(self, x, y):
        self.descend_by(x, y, 0.01)


class WrittenBesideDropout(Written):
    """Its own steps have nothing to do with how much is dropped in training."""

    def __init__(self, off=1.0):
        super().__init__(off)
        self.rate = 0.5


class Kept(Net):
    def __init__(self, off=1.0):
        super().__init__(off)
        self.lr = 0.1

    def train_step(self, x, y):
        self.descend_by(x, y, self.lr)


class Decays(Kept):
    def __init__(self, off=1.0):
        super().__init__(off)
        self.decay, self.t = 0.01, 3

    def train_step(self, x, y):
        self.descend_by(x, y, self.lr / (1.0 + self.decay * self.t))


class Anneals(Decays):
    """Its rate has another name, and falls along a cosine."""

    def __init__(self, off=1.0):
        super().__init__(off)
        del self.lr, self.decay
        self.base_lr, self.epoch = 0.1, 7

    def train_step(self, x, y):
        self.descend_by(x, y, self.base_lr * 0.5 * (1.0 + np.cos(np.pi * self.epoch / 50)))


class OfTheClass(Net):
    lr = 0.1

    def train_step(self, x, y):
        self.descend_by(x, y, self.lr)


class Around(Net):
    def train_step(self, x, y):
        self.descend_by(x, y, LEARNING_RATE)


class ByDefault(Net):
    def train_step(self, x, y, lr=0.02):
        self.descend_by(x, y, lr)


KINDS = [Written, WrittenBesideDropout, Kept, Decays, Anneals, OfTheClass, Around, ByDefault]


def verdicts(net):
    report = check_gradients(net, X, Y)
    return {entry.name: entry.verdict for entry in report.entries}, report


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_step_is_right(kind):
    found, report = verdicts(kind())
    assert found == dict.fromkeys(("W1", "b1", "W2", "b2"), "right")
    assert report.verdict == "right"
    assert not any("not written" in note for note in report.notes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_in_the_layer_before_is_found_there_alone(kind):
    found, _ = verdicts(type("Wrong", (kind,), {"slope": lambda self: 1.0 - self.h})())
    assert found == {"W1": "wrong", "b1": "wrong", "W2": "right", "b2": "right"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_up_is_wrong(kind):
    found, _ = verdicts(kind(off=-1.0))
    assert found == dict.fromkeys(("W1", "b1", "W2", "b2"), "wrong")


@pytest.mark.parametrize("off", [2.0, 0.5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_is_twice_too_long_or_too_short_is_not_right(kind, off):
    _, report = verdicts(kind(off=off))
    told, changes = kind in (Kept, OfTheClass, Around, ByDefault), kind in (Decays, Anneals)
    assert report.verdict == ("wrong" if told else "right" if changes and off < 1.0 else "undecided")


@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.9, "right"), (0.15, "right"), (0.1, "undecided"), (0.7, "undecided"), (1.4, "undecided")]
)
def test_steps_by_another_part_of_the_rate_are_right_where_the_code_tells_why(factor, verdict):
    class Part(Kept):
        other = np.array([factor])

        def train_step(self, x, y):
            parts = [0.9, 1.0 - 0.85, 0.1, self.other[0]]  # 0.1 of 5 columns is also half of a mean
            self.descend_by(x, y, self.lr * next(part for part in parts if abs(part - factor) < 1e-12))

    _, report = verdicts(Part())
    assert report.verdict == verdict
    if verdict == "undecided":
        said = f"if that is the rate, they are off by a factor of {factor:g}; if it is not, they are right"
        assert f"and not by 0.1, the learning rate that was found: {said}" in report.problems[0]


def test_steps_along_a_normalised_gradient_do_not_tell_it():
    class Normalised(Kept):
        def train_step(self, x, y):
            error = self.forward(x) - y
            of_W2, of_b2 = self.h.T @ error, error.sum(axis=0)
            length = np.sqrt(np.sum(of_W2**2) + np.sum(of_b2**2))
            self.W2 -= self.lr * of_W2 / length
            self.b2 -= self.lr * of_b2 / length

    report = check_gradients(Normalised(), X, Y)
    assert report.verdict == "undecided"
    assert "another multiple of the gradient at another input" in report.problems[0]


def test_steps_of_which_nothing_tells_the_rate_are_refused_with_what_they_move():
    class Lost(Net):
        loss: Any = None

        def train_step(self, x, y):
            error = np.sum(self.forward(x) - y)
            self.W1 += error * np.sign(self.W1)
            self.W2 += error * np.sign(self.W2)

    with pytest.raises(TypeError, match="changes W1, W2 by steps of which no learning rate is found: give it one"):
        check_gradients(Lost(), X, Y)


@pytest.mark.parametrize(
    ("arguments", "kept", "default", "common", "rate"),
    [
        ((RATE,), 0.5, 0.125, 7.0, 1.0),
        (None, 0.5, 0.125, 0.0, 0.125),
        ((), 0.5, 0.0, 0.0, 0.5),
        ((), 0.0, 0.0, 0.25, 0.25),
        ((), 0.0, 0.0, 0.0, None),
    ],
)
def test_a_step_over_the_rate_is_the_gradient_of_what_is_updated(arguments, kept, default, common, rate, monkeypatch):
    owner = SimpleNamespace(lr=kept) if kept else SimpleNamespace()
    subject = stand_in(convention=Convention(("x",), arguments=arguments), _owner=owner, _stepping=[], doubt_of_rate="")
    subject._rate_by_default = lambda: default
    subject._kept_rate = lambda: CodeSubject._kept_rate(subject)
    subject._moved, subject._places, subject._leaves = ["W", "b", "c"], {"W": 1, "b": 1}, {"b": 1}
    looked_at = []
    subject.find_decays = lambda *given: looked_at.append(given)
    subject._steps_made, subject._numbers_written = lambda moved: dict.fromkeys(moved, ONE), list
    monkeypatch.setattr(stepping, "rate_in_common", lambda _, steps, *_given: common if [*steps] == ["W"] else 7.0)
    subject._rate_meant = lambda kept, common, *_: kept or common
    subject._moved_beside_zeros = lambda _: []
    CodeSubject._find_updates(subject, ONE)
    assert subject._updates == ({} if rate is None else {"W": rate})
    assert looked_at == ([] if not rate else [(["W"], rate, ONE, [])])


@pytest.mark.parametrize(
    ("backward", "rate"),
    [
        (lambda g, lr=0.5: lr * g, 0.5),
        (lambda g, learning_rate=1: learning_rate * g, 1.0),
        (lambda g, lr: lr * g, 0.0),
        (lambda g, lr=None: lr * g, 0.0),
        (lambda g, scale=0.5: scale * g, 0.0),
        (lambda g, lr=0.5, eta=0.25: lr * eta * g, 0.0),
        (max, 0.0),
    ],
)
def test_a_rate_that_is_not_given_is_the_default_of_what_steps(backward, rate):
    assert CodeSubject._rate_by_default(stand_in(_backward=backward, _forward=max, _given={}, _owner=None)) == rate
    assert (
        CodeSubject._rate_by_default(stand_in(_backward=None, _forward=backward, _given={"g": 1.0}, _owner=None))
        == rate
    )


@pytest.mark.parametrize(
    ("factors", "rate"),
    [
        ([0.1, 0.1], 0.1),
        ([0.10000002], 0.1),  # as it is written
        ([0.0200001, 0.02], 0.02),
        ([0.1000001 / 3, 0.1 / 3, 5.0], 0.1 / 3),  # over the number of samples; one is wrong
        ([0.123456], 0.123456),
        ([0.1, 0.2], 0.0),  # which is wrong?
        ([0.1, 0.1, 0.2, 0.2], 0.0),
        ([0.0, 0.1, 0.0], 0.0),
        ([0.0, 0.1, 0.1, 0.0], 0.1),  # the others are no multiples
        ([0.0, 0.04, 0.0], 0.04),  # it stands in the code
        ([0.0, 0.04 / 3, 0.0], 0.04 / 3),
        ([0.0, 1.0, 0.3], 1.0),  # without a rate
        ([-0.1, -0.1], -0.1),  # it goes up
        ([], 0.0),
    ],
)
def test_without_a_rate_steps_are_held_against_each_other(factors, rate, monkeypatch):
    names = [f"W{i}" for i in range(len(factors))]
    subject = stand_in(arrays={"x": np.ones((3, 2))}, input="x")
    monkeypatch.setattr(
        stepping, "factor_of", lambda _, name, *given: factors[names.index(name)] if len(given) == 2 else None
    )
    monkeypatch.setattr(stepping, "factor_to_more_digits", lambda *given: given[-1])
    found = rate_in_common(subject, dict.fromkeys(names, ONE), ONE, [0.04])
    assert found == pytest.approx(rate, rel=1e-15)


def test_a_rate_is_found_also_where_the_input_is_not_checked(monkeypatch):
    subject = stand_in(input="x")
    monkeypatch.setattr(stepping, "factor_of", lambda *_: 0.1)

    assert rate_in_common(subject, {"W": ONE}, ONE, []) == 0.1


class StepAlone:
    """One layer, with nothing but a step that returns its loss."""

    def __init__(self, returned=float, wrong=1.0):
        rng = np.random.default_rng(0)
        self.W, self.b = rng.standard_normal((4, 3)), rng.standard_normal(3)
        self.returned, self.off = returned, np.array([wrong, 1.0])

    def fit_batch(self, x, y):
        error = x @ self.W + self.b - y
        self.W -= 0.1 * 2 * self.off[0] * x.T @ error / len(x)
        self.b -= 0.1 * 2 * error.mean(axis=0)
        return self.returned(np.sum(error**2) / len(x))


@pytest.mark.parametrize("of", [lambda net: net, lambda net: net.fit_batch])
@pytest.mark.parametrize("returned", [float, lambda loss: np.array([loss]), lambda loss: np.array([[loss]])])
def test_a_step_alone_is_judged_by_the_loss_that_it_returns(of, returned):
    report = check_gradients(of(StepAlone(returned)), X, Y)
    assert {entry.name: entry.verdict for entry in report.entries} == {"W": "right", "b": "right"}
    assert "no learning rate was found: what steps and gradients have in common is, 0.1" in report.notes


@pytest.mark.parametrize("of", [lambda net: net, lambda net: net.fit_batch])
@pytest.mark.parametrize("wrong", [2.0, -1.0])
def test_what_is_wrong_in_a_step_alone_is_found(of, wrong):
    report = check_gradients(of(StepAlone(wrong=wrong)), X, Y)
    assert {entry.name: entry.verdict for entry in report.entries} == {"W": "wrong", "b": "right"}


@pytest.mark.parametrize("kind", [Net, Kept])
def test_a_method_that_moves_nothing_is_no_step(kind):
    with pytest.raises(TypeError, match="expected a backward pass"):
        check_gradients(kind().loss, X, Y)


class Thinks:
    """The network of many first lessons: no rate, no biases, and a forward pass of its own name."""

    def __init__(self, slope):
        rng = np.random.default_rng(0)
        self.w1, self.w2, self.slope = rng.standard_normal((4, 5)), rng.standard_normal((5, 3)), slope

    def think(self, inputs):
        self.l1 = 1.0 / (1.0 + np.exp(-inputs @ self.w1))
        return 1.0 / (1.0 + np.exp(-self.l1 @ self.w2))

    def train(self, inputs, outputs):
        l2 = self.think(inputs)
        l2_delta = (outputs - l2) * l2 * (1.0 - l2)
        l1_delta = l2_delta @ self.w2.T * self.slope(self.l1)
        self.w2 += self.l1.T @ l2_delta
        self.w1 += inputs.T @ l1_delta


@pytest.mark.parametrize(("slope", "verdict"), [(lambda a: a * (1.0 - a), "right"), (lambda a: a, "wrong")])
def test_a_network_that_thinks(slope, verdict):
    found, _ = verdicts(Thinks(slope))
    assert found == {"w1": verdict, "w2": "right"}


@pytest.mark.parametrize("default", [False, True])
def test_of_a_method_that_makes_many_steps_one_is_judged(default):
    class Trained(Thinks):
        def train_on_batch(self, inputs, outputs, number_of_training_iterations):
            for _ in range(number_of_training_iterations):
                self.train(inputs, outputs)

    class TrainedByDefault(Thinks):
        def train_on_batch(self, inputs, outputs, epochs=1000):
            for _ in range(epochs):
                self.train(inputs, outputs)

    found, _ = verdicts((TrainedByDefault if default else Trained)(lambda a: a * (1.0 - a)))
    assert found == {"w1": "right", "w2": "right"}


def test_a_step_that_returns_nothing_is_not_asked_for_a_loss():
    class Silent(StepAlone):
        def fit_batch(self, x, y):
            super().fit_batch(x, y)

    with pytest.raises(TypeError, match="expected a loss with forward and backward, or loss and grad, got Silent"):
        check_gradients(Silent(), X, Y)
