"""Objects whose passes take nothing: they hold their data, or are told which lines check them."""

from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from numpy_nn.commands.gradcheck.command import main
from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.losses.held_data import held, with_data_held
from numpy_nn.subjects.signatures import positional

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((5, 4)), RNG.standard_normal((5, 3))


class Network:
    """Keeps its output, and has no loss: ``factor`` multiplies one gradient."""

    def __init__(self, x=X, y=Y, factor=1.0):
        self.x, self.y, self.factor = x, y, factor
        self.W, self.b = np.random.default_rng(1).standard_normal((4, 3)), np.zeros(3)

    def forward(self):
        self.output = np.tanh(self.x @ self.W + self.b)

    def backward(self):
        dz = (self.output - self.y) * (1 - self.output**2)
        self.dW, self.db = self.factor * self.x.T @ dz, dz.sum(axis=0)


class WithLoss(Network):
    def loss(self):
        return 0.5 * np.sum((self.output - self.y) ** 2)


class LossAlone:
    def __init__(self, factor):
        self.net = WithLoss(factor=factor)
        self.x, self.y, self.W, self.b = X, Y, self.net.W, self.net.b

    def loss(self):
        self.net.x, self.net.y, self.net.W, self.net.b = self.x, self.y, self.W, self.b
        self.net.forward()
        return self.net.loss()

    def backward(self):
        self.net.backward()
        self.dW, self.db = self.net.dW, self.net.db


class ReturnsLoss(Network):
    def forward(self):
        super().forward()
        return 0.5 * np.sum((self.output - self.y) ** 2)


class Updates(Network):
    def backward(self):
        super().backward()
        self.W -= 0.1 * self.dW
        self.b -= 0.1 * self.db
        del self.dW, self.db


class Layer:
    """Takes the gradient of its output; its data alone are held."""

    def __init__(self, factor=1.0):
        self.inputs, self.W, self.factor = X.copy(), np.random.default_rng(1).standard_normal((4, 3)), factor

    def forward(self):
        return np.tanh(self.inputs @ self.W)

    def backward(self, grad_output):
        dz = grad_output * (1 - np.tanh(self.inputs @ self.W) ** 2)
        self.dW = self.factor * self.inputs.T @ dz
        return dz @ self.W.T


class Nothing:
    """Parameters alone, of which nothing is called as data are."""

    def __init__(self):
        self.theta, self.scale = np.arange(3.0), np.ones(3)

    def forward(self):
        self.cost = np.sum(self.scale * self.theta**2)
        return self.cost

    def backward(self):
        self.dtheta, self.dscale = 2 * self.scale * self.theta, self.theta**2


@pytest.mark.parametrize("kind", [Network, WithLoss, LossAlone, ReturnsLoss, Updates])
@pytest.mark.parametrize("given", [(), (X,), (2 * X[:3], Y[:3]), (X, 3 * Y)])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (-1.5, "wrong")])
def test_what_it_holds_or_is_given_is_its_data(kind, given, factor, verdict):
    net = kind(factor=factor)
    report = check_gradients(net, *given)
    assert {name: report[name].verdict for name in ("W", "b")} == {"W": verdict, "b": "right"}
    np.testing.assert_array_equal(net.x, X)
    np.testing.assert_array_equal(net.y, Y)


def test_one_output_of_one_sample_is_no_loss():
    net = Network(X[:1], Y[:1, :1])
    net.W, net.b = net.W[:, :1], net.b[:1]
    report = check_gradients(net)
    assert report.verdict == "right"
    assert "the loss is not written in the code" in str(report)


@pytest.mark.parametrize("given", [(), (X,), (2 * X[:3],)])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_of_a_layer_that_holds_its_input_both_gradients_are_checked(given, factor, verdict):
    report = check_gradients(Layer(factor), *given)
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "W": verdict}


def test_the_lines_that_are_shown_check_it():
    with pytest.raises(TypeError, match="Nothing: its passes take no input") as refused:
        check_gradients(Nothing())
    lines = str(refused.value).partition(":\n")[2]
    names: dict[str, Any] = {"net": Nothing(), "check_gradients": check_gradients}
    exec(dedent(lines.replace("    check_gradients", "    report = check_gradients")), names)
    report = names["report"]
    assert {entry.name: entry.verdict for entry in report.entries} == {"theta": "right", "scale": "right"}
    with pytest.raises(TypeError, match="its passes take no input"):
        check_gradients(Nothing(), X)


def test_gradients_that_nothing_is_called_after_are_left_out_of_the_lines():
    with pytest.raises(TypeError, match=r"return \[\.\.\.\]"):
        check_gradients(SimpleNamespace(theta=X, forward=lambda: 1.0, backward=lambda: np.log("a")))


@pytest.mark.parametrize(
    "target", [np.sin, (np.sin, np.cos), [np.sin], SimpleNamespace, SimpleNamespace(), Layer.forward]
)
def test_of_anything_else_the_argument_is_missing(target):
    with pytest.raises(TypeError, match="x: expected the argument of the forward pass, got None"):
        held(target)


@pytest.mark.parametrize(
    ("forward", "x"), [(None, X), (lambda: 1.0, [1.0]), (lambda: 1.0, 2 * X), (lambda x: x, X), (lambda x=1: x, X)]
)
def test_a_forward_pass_that_is_given_its_data_or_does_not_hold_it_is_called_as_it_is(forward, x):
    assert with_data_held(SimpleNamespace(inner=[X.copy()]), forward, x) is forward


def test_data_are_put_where_they_are_held():
    net = SimpleNamespace(inner=[X.copy()], x=2 * X)
    forward = with_data_held(net, lambda: 2 * net.inner[0], X)
    assert positional(forward) == (["x"], [])
    np.testing.assert_array_equal(forward(3 * X), 6 * X)
    np.testing.assert_array_equal(with_data_held(net, lambda: net.x, 5 * X)(4 * X), 4 * X)


FILE = """
import numpy as np

class Network:
    def __init__(self, x, y):
        self.x, self.y, self.W = x, y, np.ones((4, 3))

    def forward(self):
        self.output = np.tanh(self.x @ self.W)

    def backprop(self):
        self.dW = self.x.T @ ((self.output - self.y) * (1 - self.output**2))
"""


def test_on_the_command_line_no_input_is_needed(tmp_path, capsys):
    (tmp_path / "held_here.py").write_text(FILE)
    target = f"{tmp_path / 'held_here.py'}:Network"
    assert main([target, "--init", "x=5x4", "y=5x3"]) == 0
    assert "W            right" in capsys.readouterr().out
    for more in (["--labels", "3"], ["--targets", "5x3"], ["--torch"]):
        assert main([target, "--init", "x=5x4", "y=5x3", *more]) == 2
        assert "the following arguments are required: --input" in capsys.readouterr().err
    (tmp_path / "takes_one.py").write_text("def f(x):\n    return x\n\n\ndef f_prime(x):\n    return 1.0\n")
    assert main([f"{tmp_path / 'takes_one.py'}:f"]) == 2
    assert "the following arguments are required: --input" in capsys.readouterr().err
