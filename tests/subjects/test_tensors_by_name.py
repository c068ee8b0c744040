"""Engines of one's own, by the names of what their tensors hold; under others they are refused."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.own_tensors import is_tensor, tensor_subject
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


@pytest.mark.parametrize("thing", [Value("a"), Value(True)])
def test_what_holds_no_numbers_is_none_and_refused(thing):
    assert not is_tensor(thing)
    with pytest.raises(TypeError, match="got Value without"):
        tensor_subject(np.tanh, thing, None)
