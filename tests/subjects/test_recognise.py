"""Every form in which people write a backward pass is taken as it is, right or wrong."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.calls.arguments import named_arguments, several
from scripts.proof.forms import FORMS, Draws


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("name", FORMS)
def test_right_code_of_every_form_is_right(name):
    arguments, named, _ = FORMS[name](Draws(), 1.0)
    report = check_gradients(*arguments, **named)
    assert report.ok, report


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("name", FORMS)
def test_wrong_code_of_every_form_is_wrong_in_that_gradient_alone(name):
    arguments, named, wrong = FORMS[name](Draws(), 3.0)
    report = check_gradients(*arguments, **named)
    assert report.verdict == "wrong", report
    if not wrong:
        return  # a mistake behind all of them makes all of them wrong
    assert report[wrong].verdict == "wrong", report
    assert [entry.verdict for entry in report.entries].count("wrong") == 1, report


@pytest.mark.parametrize(
    "vjp",
    [
        lambda x, g: g * (np.abs(x) < 1),  # taken with the output and the gradient it would be 0, as sign's slope is
        lambda g, _: 0.5 * g,
        lambda dout, x: dout * x,
    ],
)
def test_wrong_code_is_not_right_because_another_order_of_its_arguments_is(vjp):
    x = np.array([[0.3, -0.7, 1.3, 0.4], [0.6, -1.2, 0.2, -0.1]])
    assert check_gradients((np.sign, vjp), x).verdict == "wrong"


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_forward_pass_that_changes_its_parameters_is_judged_at_those_before(wrong, verdict):
    class Clips:
        def __init__(self):
            self.W = 0.3 * np.random.default_rng(0).standard_normal((4, 3))
            self.W[0, 0] = 3.0

        def forward(self, x):
            np.clip(self.W, -1.0, 1.0, out=self.W)
            self.x = x
            return x @ self.W

        def backward(self, g):
            self.dW = wrong * self.x.T @ g
            self.dW[0, 0] = 0.0  # beyond 1 the weight that is given does not matter
            return g @ self.W.T

    report = check_gradients(Clips(), np.random.default_rng(1).standard_normal((5, 4)))
    assert report.verdict == verdict, report
    assert any("forward changes W" in text for text in report.warnings)
    assert not any("backward changes" in text for text in report.warnings)


def test_arguments_that_have_no_names_to_be_read_are_called_inputs():
    assert named_arguments(max, (1.0, 2.0), None) == {"input": 1.0, "input 1": 2.0}
    assert named_arguments(max, (1.0,), 2.0) == {"input": 1.0, "targets": 2.0}


def test_a_gradient_that_the_loss_returns_is_handed_on_also_where_every_unit_is_off():
    class Model:
        def __init__(self):
            self.W = np.array([[0.5, -1.0], [1.0, 0.25]])

        def forward(self, x):
            self.x, self.z = x, x @ self.W
            return np.maximum(self.z, 0.0)

        def compute_loss(self, y, t):
            return ((y - t) ** 2).mean(), 2 * (y - t) / y.size

        def backward(self, grad):
            self.dW = self.x.T @ (grad * (self.z > 0))

    x, t = np.array([[-1.0, -0.4]]) @ np.linalg.inv([[0.5, -1.0], [1.0, 0.25]]), np.array([[0.3, -0.7]])
    assert check_gradients(Model(), x, t).ok


def test_a_tuple_is_several_arguments_if_arrays_are_among_them_and_else_one_array():
    x = np.ones(3)
    for arguments in ((x, 2.0), (2.0, x), ({"W": x}, 1.0), ([x, x],), (None, 1.0)):
        assert several(arguments) is arguments
    for one in ((1.0, 2.0), (), x, [x, x], {"W": x}):
        (only,) = several(one)
        assert only is one
    assert several(((x, x),)) == ((x, x),)


def test_a_tuple_is_one_argument_of_what_takes_no_more():
    pair = np.ones(3), np.ones(2)
    assert several(pair, lambda params: params) == (pair,)
    assert several(pair, lambda params, y: (params, y), with_targets=True) == (pair,)
    assert several(pair, lambda w, b: (w, b), with_targets=True) is pair
    for takes_two in (lambda w, b: (w, b), lambda w, b=None: (w, b), lambda *both: both):
        assert several(pair, takes_two) is pair


@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_data_in_one_argument_need_no_gradient(times, verdict):
    class Line:
        def __init__(self):
            self.w = np.array([0.5, -1.0])

        def loss(self, data):
            x, y = data
            return np.mean((x @ self.w - y) ** 2)

        def gradient(self, data):
            x, y = data
            return times * 2.0 * x.T @ (x @ self.w - y) / len(y)

    line, rng = Line(), np.random.default_rng(0)
    report = check_gradients((line.loss, line.gradient), (rng.standard_normal((5, 2)), rng.standard_normal(5)))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("w", verdict)]
    assert report.verdict == verdict


def test_a_backward_pass_that_does_nothing_is_told_so():
    class Idle:
        def __init__(self):
            self.W = np.ones((4, 2))

        def forward(self, x):
            return np.tanh(x @ self.W)

        def backward(self, x, y):
            self.W += 0.0 * (x.T @ y)

    with pytest.raises(
        TypeError, match="Idle's backward pass leaves no gradient that is found, and changes no parameter"
    ):
        check_gradients(Idle(), np.ones((3, 4)), np.ones((3, 2)))


@pytest.mark.parametrize("wrong", [None, 0, 1])
def test_ways_of_calling_that_are_tried_leave_no_updates_behind(wrong):
    # Each loss that may be meant is tried, each time with steps of rate 1: added up, they would take weights to 1e38.
    class Updates:
        def __init__(self):
            rng = np.random.default_rng(0)
            self.weights = [rng.standard_normal((4, 6)), rng.standard_normal((6, 3))]

        def forward(self, x):
            self.h = np.tanh(x @ self.weights[0])
            self.out = self.h @ self.weights[1]
            return self.out

        def backward(self, x, y, lr):
            g = (self.out - y) * 2 / y.size
            grads = [x.T @ (g @ self.weights[1].T * (1 - self.h**2)), self.h.T @ g]
            for layer, (weight, grad) in enumerate(zip(self.weights, grads, strict=True)):
                weight -= lr * (-grad if layer == wrong else grad)

    rng = np.random.default_rng(1)
    report = check_gradients(Updates(), rng.standard_normal((7, 4)), rng.standard_normal((7, 3)))
    verdicts = [report[f"weights[{layer}]"].verdict for layer in (0, 1)]
    assert verdicts == ["wrong" if layer == wrong else "right" for layer in (0, 1)], report


def product_error(x, y, t):
    return np.mean((x * y - t) ** 2)


def product_error_gradient(x, y, t):
    d = 2.0 * (x * y - t) / t.size
    return d * y, d * x


class Siamese:
    def __init__(self):
        self.w = np.arange(6.0).reshape(3, 2) - 2.0

    def predict(self, x):
        return x @ self.w

    def loss(self, x1, x2, t):
        self.x1, self.x2, self.d = x1, x2, (x1 - x2) @ self.w - t
        return np.sum(self.d**2)

    def backward(self):
        self.dw = 2.0 * (self.x1 - self.x2).T @ self.d


def test_several_inputs_of_a_loss_are_several():
    x, y, t = np.random.default_rng(0).standard_normal((3, 5, 3))
    assert check_gradients((product_error, product_error_gradient), (x, y), t).verdict == "right"
    report = check_gradients(Siamese(), (x, y), t[:, :2])
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("w", "right")]


def test_what_is_called_data_needs_its_gradient_where_it_is_no_loss():
    pair = (lambda inputs: inputs[0] * inputs[1]), (lambda inputs, g: [g * inputs[1]])
    assert check_gradients(pair, ([np.ones(3) * 2.0, np.arange(3.0)],)).verdict == "undecided"


class Quadratic:
    def __init__(self):
        self.Q = np.array([[2.0, 1.0], [0.0, 3.0]])

    def bowl(self, x):
        return 0.5 * x @ self.Q @ x

    def adjoint(self, x):
        return 0.5 * (self.Q + self.Q.T) @ x


def test_an_object_of_other_names_is_told_its_own_two_methods():
    quadratic = Quadratic()
    with pytest.raises(TypeError, match=r"check_gradients\(\(quadratic\.bowl, quadratic\.adjoint\), x\)"):
        check_gradients(quadratic, np.array([0.3, -1.0]))
    assert check_gradients((quadratic.bowl, quadratic.adjoint), np.array([0.3, -1.0])).verdict == "right"
