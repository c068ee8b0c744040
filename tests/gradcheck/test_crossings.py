"""Branches that another array than the input enters: on one side its gradient is right, on the other it is not."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure import crossings
from numpy_nn.subjects import Hints, as_subject

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

RNG = np.random.default_rng(3)
X, W, B = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)


def bounded(x, w, b):
    return x @ np.clip(w, -6.0, 6.0) + b


def bounded_backward(grad, x, w, b, mask=True):
    inside = np.abs(w) < 6.0 if mask else 1.0
    return grad @ np.clip(w, -6.0, 6.0).T, (x.T @ grad) * inside, grad.sum(axis=0).reshape(b.shape)


def bounded_backward_without_mask(grad, x, w, b):
    return bounded_backward(grad, x, w, b, mask=False)


class Bounded:
    """The same with parameters; ``masks`` in backward."""

    def __init__(self, masks):
        self.W, self.b, self.masks = W.copy(), B.copy(), masks

    def forward(self, x):
        self.x = x
        return bounded(x, self.W, self.b)

    def backward(self, grad):
        dx, self.dW, self.db = bounded_backward(grad, self.x, self.W, self.b, self.masks)
        return dx


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (((bounded, bounded_backward_without_mask), (X, W, B)), ((bounded, bounded_backward), (X, W, B))),
        ((Bounded(masks=False), X), (Bounded(masks=True), X)),
    ],
)
def test_weights_that_are_clipped_far_out_are_wrong_without_the_mask(wrong, right):
    report = check_gradients(*wrong)
    assert [entry.name.lower() for entry in report.entries if entry.verdict == "wrong"] == ["w"]
    assert "right at the point given, but wrong where " in str(report)
    assert "as in the code" in str(report)
    assert check_gradients(*right).verdict == "right"


def huber(target, prediction, delta=5.0):
    r = np.abs(prediction - target)
    return np.sum(np.where(r <= delta, 0.5 * r * r, delta * (r - 0.5 * delta)))


@pytest.mark.parametrize(("limit", "verdict"), [(5.0, "right"), (1e9, "wrong")])
def test_both_arguments_of_a_loss_are_moved_far_apart(limit, verdict):
    def backward(target, prediction):
        r = np.clip(prediction - target, -limit, limit)
        return -r, r

    assert check_gradients((huber, backward), (X, RNG.standard_normal(X.shape))).verdict == verdict


@pytest.mark.parametrize(("leak", "verdict"), [(0.0, "right"), (0.5, "wrong")])
def test_a_kink_that_only_the_second_argument_reaches(leak, verdict):
    def f(x, gate):
        return np.tanh(x) * np.where((gate < 0.0) & (gate > -0.01), leak * gate, np.maximum(gate, 0.0))

    def df(grad, x, gate):
        return grad * f(x, gate) / np.tanh(x) * (1.0 - np.tanh(x) ** 2), grad * np.tanh(x) * (gate > 0.0)

    assert check_gradients((f, df), (X, np.linspace(-0.6, 0.5, X.size).reshape(X.shape))).verdict == verdict


def test_weights_that_forward_holds_within_bounds_are_not_meant_to_be_beyond():
    class Holds(Bounded):
        def forward(self, x):
            np.clip(self.W, -6.0, 6.0, out=self.W)
            return super().forward(x)

    report = check_gradients(Holds(masks=False), X)
    assert (report.verdict, report.warnings) == ("right", [])


def test_an_iteration_that_large_weights_do_not_let_converge_stays_right():
    def fixed_point(x, w):
        z = np.zeros_like(x)
        for _ in range(60):
            z = np.tanh(x + z @ (0.1 * w))
        return z

    def gradient(grad, x, w):
        z = fixed_point(x, w)
        slope = 1.0 - z**2
        rows = [np.linalg.solve(np.eye(3) - s[:, None] * 0.1 * w, s * g) for s, g in zip(slope, grad, strict=True)]
        of_sum = np.array(rows)
        return of_sum, 0.1 * z.T @ of_sum

    assert check_gradients((fixed_point, gradient), (X, RNG.standard_normal((3, 3)))).verdict == "right"


def test_a_mask_and_a_definite_matrix_stay_where_they_are_and_so_do_very_many():
    class Evidence:
        def __init__(self, name, array):
            self.name, self.array = name, array

    mask, definite = Evidence("m", np.array([0.0, 1.0])), Evidence("s", np.array([[2.0, 1.0], [1.0, 2.0]]))
    assert not any(map(crossings._may_move, (mask, definite, Evidence("z", np.zeros(3)))))
    assert crossings._may_move(Evidence("w", W))
    subject = as_subject((bounded, bounded_backward), (X, W, B), None, Hints())
    many = [Evidence(f"w{k}", W) for k in range(crossings.MOST + 1)]
    assert list(crossings.crossings(subject, many)) == []
