"""Numbers that saturate: where log(1 - p) jumps, right code is not called wrong, and wrong code is not spared."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.jumps import STEPS, Sample, Side, jumps_explain
from numpy_nn.gradcheck.measure.slopes import Slopes
from numpy_nn.subjects import Hints, as_subject

pytestmark = [pytest.mark.slow, pytest.mark.numerical]


class Logistic:
    """A logistic regression whose loss is written with log(1 - p), as in textbooks; its gradient times ``wrong``."""

    def __init__(self, w, wrong=1.0, dtype=np.float64):
        self.w, self.wrong, self.dtype = w, wrong, dtype

    def predict(self, x):
        return 1 / (1 + np.exp(-(x.astype(self.dtype) @ self.w.astype(self.dtype))))

    def loss(self, x, y):
        p = self.predict(x)
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    def gradient(self, x, y):
        return self.wrong * x.T @ (self.predict(x) - y) / len(y)


def saturated(logit, **given):
    """A model, samples and targets of which the first is as far off as ``logit`` says."""
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((6, 5)), rng.standard_normal(5)
    x[0] *= logit / (x[0] @ w)
    return Logistic(w, **given), x, np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])


@pytest.mark.parametrize("logit", [17.0, 18.12, 30.0, 36.24])
def test_a_right_gradient_is_not_wrong_where_the_loss_jumps(logit):
    assert check_gradients(*saturated(logit)).verdict in ("right", "undecided")


@pytest.mark.parametrize("logit", [9.0, 10.6])
def test_nor_where_it_jumps_in_float32(logit):
    assert check_gradients(*saturated(logit, dtype=np.float32)).verdict in ("right", "undecided")


def test_at_a_point_where_half_of_the_loss_has_no_digits_the_reason_is_told():
    found = check_gradients(*saturated(36.24))["w"]
    assert found.verdict == "undecided"
    assert "jumps" in found.reason


@pytest.mark.parametrize("wrong", [1.5, -1.0])
@pytest.mark.parametrize("logit", [17.0, 36.24])
def test_a_wrong_gradient_stays_wrong(wrong, logit):
    assert check_gradients(*saturated(logit, wrong=wrong)).verdict == "wrong"


def test_a_function_that_is_meant_to_jump_has_the_gradient_0():
    x = np.random.default_rng(0).standard_normal((4, 3))
    assert check_gradients((np.round, lambda grad_output: grad_output), x).verdict == "wrong"


def in_steps(height, f):
    """Whether the gradient of f is explained where its output, flat in between, moves in steps of this height."""
    rng = np.random.default_rng(0)
    x, no, zeros = rng.uniform(0.5, 1.5, 4), np.zeros(4, np.bool_), np.zeros(4)
    pair = lambda x: height * np.round(f(x) / height), lambda _, g: g * np.ones(4)
    subject = as_subject(pair, (x,), None, Hints())
    g = np.ones(subject.output().shape)
    e = Evidence(subject, subject.input, np.ones(4), g, subject.output(), {}, x, g, rng)
    return jumps_explain(e, Slopes(zeros, zeros, ~no, no, zeros, zeros, zeros), ~no)


def test_a_number_that_is_flat_between_steps_as_small_as_rounding_has_the_slope_across_them():
    assert in_steps(2.0**-14, np.sum)
    # Larger steps are meant, and of many entries each has its own.
    assert not in_steps(2.0**-4, np.sum)
    assert not in_steps(2.0**-14, np.asarray)


def test_a_gradient_that_is_the_slope_across_steps_on_one_side_alone_is_not_explained():
    start = np.random.default_rng(0).uniform(0.5, 1.5, 4).sum()
    assert not in_steps(2.0**-14, lambda x: x.sum() + 2.0 * min(x.sum() - start, 0.0))


@pytest.mark.parametrize("end", [1.0, -0.25])
@pytest.mark.parametrize("jump", [0.0, 0.375])
def test_what_the_integral_of_the_slope_leaves_of_a_change_is_its_jump(end, jump):
    # Simpson's rule is exact for a cubic.
    samples = [
        Sample(t, 2.0 * t**3 - t**2 + 3.0 * t + jump * (abs(t) > 0.1), 6.0 * t**2 - 2.0 * t + 3.0)
        for t in np.linspace(0.0, end, STEPS + 1).tolist()
    ]
    assert Side(np.ones(1), samples).unexplained == pytest.approx(jump / end, abs=1e-14)


def test_a_jump_near_by_does_not_excuse_a_sign():
    def hard_shrink(x):
        return np.where(np.abs(x) > 0.5, x, 0.0)

    x = np.random.default_rng(0).standard_normal((4, 3))
    assert check_gradients((hard_shrink, lambda x, g: g * (np.abs(x) > 0.5)), x).ok
    assert check_gradients((hard_shrink, lambda x, g: -g * (np.abs(x) > 0.5)), x).verdict == "wrong"


class Saturated:
    """A model that computes in float32, whose loss is that of probabilities; with an epsilon, or without."""

    def __init__(self, w, b, eps, wrong=1.0):
        self.w, self.b, self.eps, self.wrong = w, np.array([b]), eps, wrong

    def predict(self, x):
        z = (x.astype(np.float32) @ self.w.astype(np.float32) + self.b.astype(np.float32)).astype(np.float32)
        return 1 / (1 + np.exp(-z))

    def loss(self, x, y):
        p, y, eps = self.predict(x), y.astype(np.float32), np.float32(self.eps)
        return -np.sum(y * np.log(p + eps) + (1 - y) * np.log(1 - p + eps))

    def gradient(self, x, y):
        p, y, eps = self.predict(x), y.astype(np.float32), np.float32(self.eps)
        dz = (-y / (p + eps) + (1 - y) / (1 - p + eps)) * p * (1 - p)
        return {"w": self.wrong * x.astype(np.float32).T @ dz, "b": dz.sum(keepdims=True)}


def saturated_in_float32(seed, **given):
    rng = np.random.default_rng(seed)
    size, eps = 10.0 ** rng.uniform(0.5, 1.8), float(rng.choice([1e-7, 1e-8]))
    x, y = rng.standard_normal((4, 3)), rng.integers(0, 2, 4).astype(np.float64)
    return Saturated(size * rng.standard_normal(3), 0.1 * rng.standard_normal(), eps, **given), x, y


@pytest.mark.parametrize("seed", [2, 4])
def test_a_right_gradient_is_not_wrong_where_the_last_jumps_of_float32_are_near(seed):
    assert check_gradients(*saturated_in_float32(seed)).verdict in ("right", "undecided")
    assert check_gradients(*saturated_in_float32(seed, wrong=1.5)).verdict in ("wrong", "undecided")


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_where_the_loss_of_float32_is_0_and_stays_so_smaller_inputs_tell(factor, verdict):
    class Certain(Saturated):
        def loss(self, x, _):
            return -np.sum(np.log(self.predict(x)))

        def gradient(self, x, _):
            p = (factor / (1.0 + np.exp(x @ self.w + self.b))).astype(np.float32)  # 1 - p, with all its digits
            return {"w": x.astype(np.float32).T @ -p, "b": -p.sum(keepdims=True)}

    report = check_gradients(Certain(np.array([9.0, 5.0]), 1.0, 0.0), np.full((3, 2), 1.5), np.ones(3))
    assert report.verdict == verdict
