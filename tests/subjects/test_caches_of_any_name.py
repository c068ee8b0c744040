"""What forward returns beside its output is what backward wants, whatever it calls that, also where both are wrong."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(3)
X = RNG.standard_normal((3, 4, 5))
AXES = (1, 2)


def centred(z):
    return z - z.mean(axis=AXES, keepdims=True)


def norm(x, gamma, beta):
    deviation = np.sqrt(x.var(axis=AXES, keepdims=True) + 1e-5)
    xhat = centred(x) / deviation
    return gamma * xhat + beta, (xhat, deviation, gamma)


def without_variance(dout, c):
    xhat, deviation, gamma = c  # as many as x has rows, which may be unpacked as well
    return centred(gamma * dout) / deviation, (dout * xhat).sum(axis=(0, 1)), dout.sum(axis=(0, 1))


def test_an_input_that_can_be_unpacked_is_not_taken_for_the_cache():
    report = check_gradients((norm, without_variance), (X, np.ones(5), np.zeros(5)))
    # Once gamma was wrong too, and x not finite.
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == ["x"]
    assert report["x"].cause == "batch_norm_variance_constant"


def dropout(x):
    mask = (RNG.random(x.shape) < 0.6) / 0.6
    return x * mask, mask


def test_a_mask_is_handed_on_under_any_name():
    report = check_gradients((dropout, lambda grad, kept: grad * (kept > 0)), RNG.standard_normal((6, 4)))
    # Once "the derivative of another activation", for the mask was thought to be x.
    assert report["x"].cause == "dropout_scale"


def pooled(x, w, *, temperature=1.0):
    s = np.exp(x @ w / temperature)
    a = s / s.sum(axis=1, keepdims=True)
    return np.einsum("bt,btd->bd", a, x), {"x": x, "a": a, "w": w, "temperature": temperature}


def pooled_backward(factor):
    def backward(dpooled, *, x, a, w, temperature):
        da = np.einsum("bd,btd->bt", dpooled, x)
        ds = a * (da - (a * da).sum(axis=1, keepdims=True)) / temperature
        dx = a[:, :, None] * dpooled[:, None] + ds[:, :, None] * w
        return {"x": dx, "w": factor * np.einsum("bt,btd->d", ds, x)}

    return backward


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_what_a_cache_holds_may_be_handed_on_by_its_keys(factor, verdict):
    # Once the code's own error: it was given whatever it has under other names.
    rng = np.random.default_rng(0)
    report = check_gradients(
        (pooled, pooled_backward(factor)), (rng.standard_normal((2, 4, 3)), rng.standard_normal(3))
    )
    assert (report["x"].verdict, report["w"].verdict) == ("right", verdict)
