"""Engines of one's own, by the names of what their tensors hold; under others they are refused."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.libraries.own_tensors import tensor_subject
from numpy_nn.subjects.libraries.tensors_found import is_tensor
from scripts.proof.forms.tensors import Value

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def engine(values, gradients):
    """The engine without operators, with its numbers and gradients under these names."""

    class Renamed:
        def __init__(self, numbers, back=None):
            setattr(self, values, np.asarray(numbers, np.float64))
            setattr(self, gradients, np.zeros(np.shape(numbers)))
            self.back = back

        def backward(self):
            self.back(np.ones_like(getattr(self, values)))

    def scaled(x, factor=2.0):
        def back(grad):
            setattr(x, gradients, getattr(x, gradients) + factor * grad)

        return Renamed(2.0 * getattr(x, values), back)

    return Renamed, scaled


@pytest.mark.parametrize("gradients", ["grad", "_grad", "g", "gradient", "adjoint"])
def test_a_gradient_is_found_under_usual_names(gradients):
    kind, scaled = engine("value", gradients)
    assert check_gradients(scaled, kind(X)).ok
    assert check_gradients(lambda x: scaled(x, 3.0), kind(X)).verdict == "wrong"


@pytest.mark.parametrize(("values", "gradients"), [("payload", "grad"), ("data", "slope")])
def test_tensors_under_other_names_are_refused_with_the_lines_that_check_them(values, gradients):
    kind, scaled = engine(values, gradients)
    with pytest.raises(TypeError, match=r"(?s)data, grad and backward\(\), got Renamed without.*check_gradients\(run"):
        check_gradients(scaled, (kind(X),))


def test_a_layer_among_the_arguments_is_no_tensor():
    class Layer:
        def forward(self, x):
            return x

        def backward(self, grad):
            return grad

    assert tensor_subject(np.sum, (X, Layer()), None) is None


class Attributes(dict[str, np.ndarray]):
    __getattr__ = dict.__getitem__


def test_a_dict_whose_keys_are_its_attributes_is_none():
    def forward(x, p):
        return x @ p.W

    def backward(grad, x, p):
        return grad @ p.W.T, {"W": x.T @ grad}

    report = check_gradients((forward, backward), (X, Attributes(W=np.arange(6.0).reshape(3, 2))))
    assert [entry.verdict for entry in report.entries] == ["right", "right"]


def test_a_tensor_that_is_false_is_refused_as_any_other():
    class Falsy:
        def __init__(self, numbers):
            self.payload = numbers

        def __len__(self):
            return 0

        def backward(self):
            """Nothing to run."""

    with pytest.raises(TypeError, match="got Falsy without"):
        check_gradients(lambda x: x, (Falsy(X),))


@pytest.mark.parametrize("thing", [Value("a"), Value(True)])
def test_what_holds_no_numbers_is_none_and_refused(thing):
    assert not is_tensor(thing)
    with pytest.raises(TypeError, match="got Value without"):
        tensor_subject(np.tanh, thing, None)


class Shown:
    """A tensor that keeps its numbers and its gradient to itself, and shows copies of them."""

    def __init__(self, value, parents=(), pull=None):
        self._value, self._grad, self._parents, self._pull = np.asarray(value, float), None, parents, pull

    @property
    def data(self):
        return self._value.copy()

    @property
    def grad(self):
        return None if self._grad is None else self._grad.copy()

    def __mul__(self, other):
        return Shown(self._value * other._value, (self, other), lambda g: (g * other._value, g * self._value))

    def backward(self, grad):
        self._grad = grad if self._grad is None else self._grad + grad
        if self._pull is not None:
            for parent, one in zip(self._parents, self._pull(grad), strict=True):
                parent.backward(one)


class Doubled(Shown):
    def backward(self, grad):
        super().backward(2 * grad)


@pytest.mark.parametrize(("kind", "verdict"), [(Shown, "right"), (Doubled, "wrong")])
def test_what_a_tensor_only_shows_is_not_where_it_keeps_its_numbers(kind, verdict):
    x, y = (np.random.default_rng(seed).standard_normal((2, 3)) for seed in (0, 1))
    report = check_gradients(lambda a, b: a * b * b, (kind(x), Shown(y)))
    assert report["a"].verdict == verdict
    assert report["b"].verdict == "right"
