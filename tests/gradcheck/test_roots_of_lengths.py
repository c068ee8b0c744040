"""A factor that is the square root of a length, as of attention whose scores are divided by it: told as that."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attention(q, k, v):
    p = softmax(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]))
    return p @ v, (q, k, v, p)


def backward_with(power):
    def backward(dout, cache):
        q, k, v, p = cache
        dp = dout @ np.swapaxes(v, -1, -2)
        ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) * float(q.shape[-1]) ** power
        return ds @ k, np.swapaxes(ds, -1, -2) @ q, np.swapaxes(p, -1, -2) @ dout

    return backward


def checked(power, depth, *before):
    rng = np.random.default_rng(0)
    arrays = (rng.standard_normal((*before, rows, n)) for rows, n in ((5, depth), (6, depth), (6, 3)))
    return check_gradients((attention, backward_with(power)), tuple(arrays))


@pytest.mark.parametrize("before", [(), (2, 3), (2,)])
@pytest.mark.parametrize("depth", [4, 7, 9])
def test_attention_that_is_divided_by_the_root_is_right(depth, before):
    assert checked(-0.5, depth, *before).verdict == "right"


@pytest.mark.parametrize("before", [(), (2, 3), (2,), (3,)])
@pytest.mark.parametrize("depth", [4, 7, 9])
@pytest.mark.parametrize("power", [0.0, -1.0])
def test_a_root_that_is_missing_or_doubled_is_told_as_the_root_of_its_length(power, depth, before):
    report = checked(power, depth, *before)
    assert [entry.verdict for entry in report.entries] == ["wrong", "wrong", "right"]
    for name in "qk":
        diagnosis = report[name].diagnosis
        assert diagnosis is not None
        assert diagnosis.cause == "factor"
        assert f"is the square root of {depth}, of the shape" in diagnosis.evidence


def evidence_of(forward, backward):
    x = np.random.default_rng(0).standard_normal((5, 4))
    diagnosis = check_gradients((forward, backward), x)["x"].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == "factor"
    return diagnosis.evidence


def test_a_factor_of_2_is_no_root_in_code_that_takes_none():
    assert "square root" not in evidence_of(lambda x: x**2 / 3.0, lambda x, g: 4.0 * x * g / 3.0)


def test_a_factor_that_is_the_root_of_no_length_is_not_told_as_one():
    def backward(x, g):
        return 11.0**0.5 * x * g / np.sqrt(1.0 + x**2)

    assert "square root" not in evidence_of(lambda x: np.sqrt(1.0 + x**2), backward)


def test_a_root_may_be_written_as_a_power():
    told = evidence_of(lambda x: np.tanh(x) * x.shape[1] ** 0.5, lambda x, g: g * (1 - np.tanh(x) ** 2))
    assert "2 is the square root of 4, of the shape (5, 4) of x" in told
    told = evidence_of(lambda x: np.tanh(x) * x.shape[1] ** -0.5, lambda x, g: g * (1 - np.tanh(x) ** 2))
    assert "2 is the square root of 4, of the shape (5, 4) of x" in told
