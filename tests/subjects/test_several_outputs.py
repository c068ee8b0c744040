"""Code that returns several outputs: which argument of its backward pass is the gradient of which."""

from collections import namedtuple

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

ONES = np.ones((2, 3))


class TwoHeads:
    """Scores and a value of each row; ``wrong`` leaves the gradient of the value out of that of the input."""

    def __init__(self, wrong):
        self.W, self.v, self.wrong = np.eye(3)[:, :2] + 0.1, np.array([0.3, -0.2, 0.5]), wrong

    def forward(self, x):
        self.x = x
        return x @ self.W, x @ self.v

    def backward(self, dlogits, dvalue):
        self.dW, self.dv = self.x.T @ dlogits, self.x.T @ dvalue
        return dlogits @ self.W.T + np.outer(0.0 * dvalue if self.wrong else dvalue, self.v)


class ValueLeftOut(TwoHeads):
    def backward(self, dlogits, dvalue):
        self.dW = self.x.T @ dlogits
        return dlogits @ self.W.T + 0.0 * dvalue[:, None]


def test_the_gradient_of_a_second_output_is_no_cache_because_the_code_leaves_it_out():
    x = np.random.default_rng(0).standard_normal((4, 3))
    assert check_gradients(TwoHeads(wrong=False), x).verdict == "right"
    report = check_gradients(TwoHeads(wrong=True), x)
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "wrong", "W": "right", "v": "right"}
    assert check_gradients(ValueLeftOut(wrong=True), x)["x"].verdict == "wrong"


class KeepsItsOutput:
    def forward(self, x):
        s = 1 / (1 + np.exp(-x))
        return s, s

    def backward(self, d, s):
        return d * s * (1 - s)


def test_a_gradient_called_d_beside_what_forward_returned_is_no_target():
    assert check_gradients(KeepsItsOutput(), ONES / 3).verdict == "right"


class TwoOutputs:
    """Names of backward's arguments tell nothing; ``left_out`` is the gradient of the second output."""

    def __init__(self, left_out):
        self.left_out = left_out

    def forward(self, x):
        self.x = x
        return x**2, x.sum(axis=1)

    def backward(self, p, q):
        return 2 * self.x * p + (0.0 if self.left_out else q[:, None])


def test_what_may_be_the_gradient_of_an_output_and_is_left_out_leaves_nothing_right():
    assert check_gradients(TwoOutputs(left_out=False), ONES).verdict == "right"
    report = check_gradients(TwoOutputs(left_out=True), ONES)
    assert report.verdict == "undecided"
    assert "forward returns 2 things, and backward leaves out q" in report.problems[0]


Pair = namedtuple("Pair", "squares sums")


class TakesOneTuple:
    """Two outputs, and a backward pass that takes the gradients of both in one tuple, by place or by name."""

    def __init__(self, kind, times=2.0):
        self.kind, self.times = kind, times

    def forward(self, x):
        self.x = x
        return self.kind(x**2, x.sum(axis=1))

    def backward(self, dout):
        a, b = (dout.squares, dout.sums) if self.kind is Pair else dout
        return self.times * self.x * a + b[:, None]


@pytest.mark.parametrize("kind", [Pair, lambda *parts: parts], ids=["named", "plain"])
@pytest.mark.parametrize("rows", [2, 4])  # of two rows the gradient of one output can be taken apart as well
def test_a_backward_pass_may_take_the_gradients_of_all_outputs_in_one_tuple(kind, rows):
    x = np.random.default_rng(0).standard_normal((rows, 3))
    assert check_gradients(TakesOneTuple(kind), x).verdict == "right"
    assert check_gradients(TakesOneTuple(kind, times=1.0), x).verdict == "wrong"


class KeepsItsSecond:
    def forward(self, x):
        self.x = x
        return x**2, np.abs(x)

    def backward(self, dout):
        return 2.0 * self.x * dout


def test_a_second_array_that_is_returned_need_have_no_gradient():
    x = np.random.default_rng(0).standard_normal((2, 3))
    assert check_gradients(KeepsItsSecond(), x).verdict == "right"


def halves(x):
    n = x.shape[1] // 2
    return x[:, :n] ** 2, np.sin(x[:, n:])


def halves_backward(douts, x):
    n = x.shape[1] // 2
    return np.hstack([2.0 * x[:, :n] * douts[0], np.cos(x[:, n:]) * douts[1]])


def halves_backward_unpacked(x, dout):
    left, right = dout
    return halves_backward((left, right), x)


def halves_backward_of_the_left(douts, x):
    return halves_backward((douts[0], 2.0 * douts[1]), x)


@pytest.mark.parametrize(
    ("backward", "verdict"),
    [(halves_backward, "right"), (halves_backward_unpacked, "right"), (halves_backward_of_the_left, "wrong")],
)
def test_the_tuple_may_stand_beside_the_inputs(backward, verdict):
    assert check_gradients((halves, backward), np.random.default_rng(0).standard_normal((5, 4))).verdict == verdict


def test_where_the_gradients_of_all_outputs_come_in_one_argument_wrong_ones_are_judged_so_too():
    class Halves:
        def forward(self, x):
            return x[:, :2] ** 2, np.sin(x[:, 2:])

        def backward(self, grads):
            return np.hstack([2 * grads[0], grads[1]])

    entry = check_gradients(Halves(), np.random.default_rng(0).standard_normal((5, 4)))["x"]
    assert (entry.verdict, entry.checked) == ("wrong", 20)


class ActivationAfterItsInput:
    """Forward returns what goes into the activation first, and then the output, whose gradient backward takes."""

    def __init__(self, wrong=1.0):
        self.w, self.wrong = np.random.default_rng(4).standard_normal((3, 2)), wrong

    def forward(self, x):
        z = x @ self.w
        return z, np.tanh(z)

    def backward(self, x, z, da):
        dz = da * (1 - self.wrong * np.tanh(z) ** 2)
        return dz @ self.w.T, x.T @ dz


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (0.0, "wrong")])
def test_the_output_is_that_of_two_results_whose_gradient_backward_takes_by_name(wrong, verdict):
    report = check_gradients(ActivationAfterItsInput(wrong), np.random.default_rng(5).standard_normal((4, 3)))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", verdict), ("w", verdict)]


class Cell:
    """A recurrent cell that returns nothing, and leaves its next state and the gradients."""

    def __init__(self, off=1.0):
        own = np.random.default_rng(0)
        self.W, self.U, self.off = own.standard_normal((4, 3)), own.standard_normal((3, 3)), off

    def forward(self, x, h_prev):
        self.x, self.h_prev = x, h_prev
        self.h_next = np.tanh(x @ self.W + h_prev @ self.U)

    def backward(self, dh_next):
        dz = dh_next * (1 - self.h_next**2)
        self.dW, self.dU = self.x.T @ dz, self.off * self.h_prev.T @ dz
        self.dx, self.dh_prev = dz @ self.W.T, dz @ self.U.T


def test_the_next_state_that_a_cell_leaves_is_its_output():
    own = np.random.default_rng(1)
    given = own.standard_normal((2, 4)), own.standard_normal((2, 3))
    report = check_gradients(Cell(), given)
    assert {entry.name: entry.verdict for entry in report.entries} == dict.fromkeys(["x", "h_prev", "W", "U"], "right")
    assert check_gradients(Cell(0.5), given)["U"].verdict == "wrong"


class Generator:
    """Learns from what a second network says of its output, whose logit and output its backward pass takes."""

    def __init__(self):
        own = np.random.default_rng(0)
        self.W, self.V = own.standard_normal((3, 4)), own.standard_normal((4, 1))

    def judge(self, z):
        self.z = z
        self.logit = z @ self.W @ self.V
        self.output = 1 / (1 + np.exp(-self.logit))
        return self.logit, self.output

    def backward(self, fake_logit, fake_output):
        slope = 1 / (2 + np.exp(fake_logit) + np.exp(-fake_logit))
        self.dW = self.z.T @ (-slope / fake_output) @ self.V.T


def test_a_backward_pass_of_outputs_alone_is_not_wrong_by_a_loss_that_nobody_tells():
    net, z = Generator(), np.random.default_rng(1).standard_normal((5, 3))
    report = check_gradients((net.judge, net.backward), z)
    assert report.verdict == "undecided"
    assert "takes fake_logit, fake_output, and neither a gradient nor targets" in str(report)

    def loss(z):
        return -np.log(net.judge(z)[1]).sum()

    assert check_gradients((loss, lambda: net.backward(net.logit, net.output)), z)
