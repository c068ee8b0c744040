"""Forms in which people call their own code that were refused, or misjudged, once."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.given_code import is_ragged
from scripts.proof.forms.tensors import Value

rng = np.random.default_rng(3)
X, Y = rng.standard_normal((6, 4)), rng.standard_normal((6, 2))


class KeepsGradients:
    """A network with a step that returns its loss; gradients and velocities are made with the weights."""

    def __init__(self, off=1.0):
        draw = np.random.default_rng(0)
        self.weights = {"kernel": draw.standard_normal((4, 2)), "bias": draw.standard_normal(2)}
        self.gradients = {name: np.zeros_like(one) for name, one in self.weights.items()}
        self.v = {name: np.zeros_like(one) for name, one in self.weights.items()}
        self.off, self.lr = off, 0.1

    def train_on_batch(self, x, y):
        out = x @ self.weights["kernel"] + self.weights["bias"]
        d = 2.0 * (out - y) / out.size
        self.gradients["kernel"], self.gradients["bias"] = self.off * x.T @ d, d.sum(axis=0)
        for name, weight in self.weights.items():
            self.v[name] = 0.9 * self.v[name] - self.lr * self.gradients[name]
            weight += self.v[name]
        return np.mean((out - y) ** 2)


@pytest.mark.parametrize(("off", "verdict"), [(1.0, "right"), (1.5, "wrong")])
def test_what_a_step_keeps_beside_its_weights_is_no_parameter(off, verdict):
    report = check_gradients(KeepsGradients(off).train_on_batch, X, Y)
    assert [row.name for row in report.entries] == ["weights['kernel']", "weights['bias']"]
    assert [row.verdict for row in report.entries] == [verdict, "right"]
    assert any("gradients['kernel']" in note and "v['bias']" in note for note in report.notes)


class WithWeights:
    """A loss that is called with fewer arguments than what it calls is given."""

    def __init__(self, off=1.0):
        self.off = off

    def __call__(self, z, y, *, weight=None):
        return self.compute(z, y, weight)

    def compute(self, z, y, weight):
        self.d = z - y
        return 0.5 * np.mean(self.d**2 if weight is None else weight * self.d**2)

    def backward(self):
        return self.off * self.d / self.d.size


@pytest.mark.parametrize(("off", "verdict"), [(1.0, "right"), (3.0, "wrong")])
def test_what_a_loss_does_when_it_is_called_may_be_given_less(off, verdict):
    assert check_gradients(WithWeights(off), Y, 0.5 * Y).verdict == verdict


class Neuron:
    def __init__(self, kind):
        self.w, self.b = [kind(0.5), kind(-1.5)], kind(0.25)

    def __call__(self, x):
        return self.w[0] * type(self.b)(x[0]) + self.w[1] * type(self.b)(x[1]) + self.b


class Forgets(Value):
    def __mul__(self, other):
        out = Value(self.data * other.data, (self, other))

        def pass_on():
            self.grad += 2.0 * other.data * out.grad

        out.pass_on = pass_on
        return out


def loss_of(net, x):
    out = net(x)
    return out * out


@pytest.mark.parametrize(("kind", "verdict"), [(Value, "right"), (Forgets, "wrong")])
def test_tensors_of_an_object_are_checked_where_it_is_given_numbers(kind, verdict):
    report = check_gradients(Neuron(kind), [2.0, 3.0])
    assert report.verdict == verdict
    assert [row.name for row in report.entries] == ["w[0]", "w[1]", "b"]
    report = check_gradients(loss_of, (Neuron(kind), [2.0, 3.0]))
    assert report.verdict == verdict
    assert [row.name for row in report.entries] == ["net.w[0]", "net.w[1]", "net.b"]


def test_a_list_of_unlike_arrays_is_no_number_and_the_way_to_check_it_is_shown():
    assert is_ragged([np.zeros(2), np.zeros((2, 3))])
    assert not any(map(is_ragged, ([1.0, 2.0], 1.0, (), np.zeros(3))))

    def nabla(x):
        return [x, x[:1]], [x]

    with pytest.raises(TypeError, match="it becomes checkable as a pair"):
        check_gradients(nabla, X)
    with pytest.raises(TypeError, match=r"(?s)got nothing.*it becomes checkable as a pair"):
        check_gradients((lambda _: None, lambda g: g), X)


class Quarter:
    """A tensor of an engine with * alone, which passes on a quarter of what it should."""

    def __init__(self, data, parents=(), requires_grad=True):
        self.data, self.parents, self.requires_grad, self.grad = data, parents, requires_grad, None

    def __mul__(self, other):
        return Quarter(self.data * other.data, (self, other))

    def backward(self, grad):
        self.grad = grad
        for one, other in zip(self.parents, self.parents[::-1], strict=True):
            one.backward(0.25 * grad * other.data)


def scaled(w, x):
    return w * x


def test_the_rows_of_a_weight_that_stands_first_are_no_samples():
    w, x = Quarter(rng.standard_normal((4, 3))), Quarter(rng.standard_normal((4, 3)), requires_grad=False)
    found = check_gradients(scaled, (w, x))["w"].diagnosis
    assert found is not None
    assert found.cause == "factor"
    assert "batch" not in found.evidence
