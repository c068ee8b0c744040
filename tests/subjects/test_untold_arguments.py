"""Arguments of backward of which names do not tell what they are: numbers, settings of forward, a rate called alpha."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(0).standard_normal((4, 4))
Y = np.random.default_rng(2).standard_normal((4, 1))


class Dense:
    factor = 1.0

    def __init__(self):
        self.W, self.b = np.random.default_rng(1).standard_normal((4, 4)), np.zeros(4)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def gradients(self, grad, share=1.0):
        self.dW, self.db = self.factor * self.x.T @ grad * share, grad.sum(axis=0) * share
        return grad @ self.W.T


class OfMean(Dense):
    def backward(self, grad, n):
        return self.gradients(grad, 1.0 / n)


class Alpha(Dense):
    def backward(self, grad, alpha):
        grad_input = self.gradients(grad)
        self.W -= alpha * self.dW
        self.b -= alpha * self.db
        del self.dW, self.db
        return grad_input


class AlphaOfUpdate(Dense):
    def backward(self, grad):
        return self.gradients(grad)

    def update(self, alpha):
        self.W -= alpha * self.dW
        self.b -= alpha * self.db


class First(Dense):
    def backward(self, grad, is_first):
        grad_input = self.gradients(grad)
        return None if is_first else grad_input


class Decayed(Dense):
    def backward(self, grad, lambd):
        grad_input = self.gradients(grad)
        self.dW += lambd * self.W
        return grad_input


@pytest.mark.parametrize("layer", [OfMean, Alpha, AlphaOfUpdate, First])
def test_a_number_is_given_where_gradients_agree_so(layer):
    report = check_gradients(layer(), X)
    assert report.ok
    assert ("backward is given 1 for" in str(report)) == (layer in (OfMean, First))


@pytest.mark.parametrize("layer", [Alpha, AlphaOfUpdate])
def test_a_rate_called_alpha_hides_no_mistake(layer):
    wrong = layer()
    wrong.factor = 2.0
    report = check_gradients(wrong, X)
    assert [(entry.name, entry.verdict) for entry in report.entries if entry.verdict != "right"] == [("W", "wrong")]


def test_where_no_way_to_call_it_is_known_the_lines_that_work_are_told():
    with pytest.raises(TypeError, match="nothing tells what backward is to be given for lambd") as caught:
        check_gradients(Decayed(), X)
    assert str(caught.value).endswith("(net.forward, lambda grad: net.backward(grad, lambd=...)), x)")
    net = Decayed()
    assert check_gradients((net.forward, lambda grad: net.backward(grad, lambd=0.0)), X).ok
    assert not check_gradients((net.forward, lambda grad: net.backward(grad, lambd=0.1)), X).ok


class Ridge:
    def __init__(self):
        self.W = np.random.default_rng(1).standard_normal((4, 1))

    def loss(self, X, y, tau):
        return ((X @ self.W - y) ** 2).mean() + tau * (self.W**2).sum()

    def gradient(self, X, y, tau):
        self.dW = 2.0 * X.T @ (X @ self.W - y) / len(X) + 2.0 * tau * self.W


class RidgeOfOne:
    def __init__(self):
        self.W = np.random.default_rng(1).standard_normal((4, 1))

    def loss(self, X, y):
        return Ridge.loss(self, X, y, 0.25)

    def gradient(self, X, y, reg):
        Ridge.gradient(self, X, y, reg)


@pytest.mark.parametrize("net", [Ridge(), RidgeOfOne()])
def test_of_losses_too_the_lines_that_work_are_told(net):
    expected = "takes tau as well" if type(net) is Ridge else "nothing tells what gradient is to be given for reg"
    with pytest.raises(TypeError, match=expected) as caught:
        check_gradients(net, X, Y)
    line = str(caught.value).splitlines()[-1].strip().replace("...", "0.25")
    report = eval(line, {"check_gradients": check_gradients, "net": net, "X": X, "y": Y})
    assert (report.ok, [entry.name for entry in report.entries]) == (True, ["W"])


def product(x, w):
    return x @ w


def of_one_more(dout, x, w, k):
    return dout @ w.T * k["scale"], x.T @ dout


def test_of_functions_as_well_with_the_error_that_one_of_the_ways_raised():
    expected = r"of_one_more is to be given for k \(only integers, slices"
    with pytest.raises(TypeError, match=expected) as caught:
        check_gradients((product, of_one_more), (X[:3], X))
    assert str(caught.value).endswith("(product, lambda dout, x, w: of_one_more(dout, x, w, k=...)), (x, w))")


def elu(x, alpha=1.5):
    return np.where(x > 0, x, alpha * (np.exp(x) - 1.0))


def elu_backward(dout, x, alpha):
    return dout * np.where(x > 0, 1.0, alpha * np.exp(x))


def elu_backward_between(dout, alpha, x):
    return elu_backward(dout, x, alpha)


def elu_backward_without(dout, x, alpha):
    return elu_backward(dout, x, alpha / alpha)


@pytest.mark.parametrize(
    ("backward", "right"), [(elu_backward, True), (elu_backward_between, True), (elu_backward_without, False)]
)
def test_a_setting_that_forward_has_by_default_is_that_of_backward(backward, right):
    report = check_gradients((elu, backward), X)
    assert (report.ok, report.entries[0].verdict) == (right, "right" if right else "wrong")


class Letters:
    """A dense layer that calls its gradient ``d``, as others call the desired output, and takes a rate."""

    def __init__(self, wrong=1.0):
        rng = np.random.default_rng(4)
        self.W, self.b, self.wrong = rng.standard_normal((4, 3)), rng.standard_normal(3), wrong

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, d, lr):
        dx = d @ self.W.T
        self.W -= lr * self.x.T @ d
        self.b -= self.wrong * lr * d.sum(axis=0)
        return dx


@pytest.mark.parametrize("wrong", [1.0, 3.0])
def test_beside_a_rate_alone_d_is_the_gradient(wrong):
    # Once "backward takes d: pass the targets too".
    report = check_gradients(Letters(wrong), np.random.default_rng(5).standard_normal((5, 4)))
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == ([] if wrong == 1.0 else ["b"])
    assert {entry.name for entry in report.entries} == {"x", "W", "b"}
