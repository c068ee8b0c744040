"""Gradients that are claimed of what the output does not depend on, and arrays that the code does not read."""

from types import SimpleNamespace

import numpy as np

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, W, B = RNG.standard_normal((5, 4)), RNG.standard_normal((4, 3)), RNG.standard_normal(3)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_a_number_that_softmax_takes_away_again_is_said_to_have_no_influence():
    def forward(x, c):
        return softmax(x + c)

    def backward(grad_output, x, c):
        p = forward(x, c)
        dz = p * (grad_output - (grad_output * p).sum(axis=1, keepdims=True))
        return dz, (grad_output * p).sum(axis=1)[:1]

    report = check_gradients((forward, backward), (X, RNG.standard_normal(1)))
    assert report["x"].verdict == "right"
    assert report["c"].diagnosis is not None
    assert (report["c"].verdict, report["c"].diagnosis.cause) == ("wrong", "no_influence")
    assert "wherever it is moved to" in report["c"].diagnosis.evidence


def test_a_bias_that_forward_leaves_out_is_wrong_and_not_called_added_up():
    def run():
        return X @ W

    report = check_gradients(run, lambda g: {"W": X.T @ g, "b": g.sum(axis=0)}, W=W, b=B)
    assert report["W"].verdict == "right"
    assert report["b"].diagnosis is not None
    assert (report["b"].verdict, report["b"].diagnosis.cause) == ("wrong", "no_influence")


def test_where_the_code_reads_none_of_the_arrays_nothing_is_decided():
    net = SimpleNamespace(W=W.copy(), b=B.copy())

    def run():
        return np.tanh(X @ net.W + net.b)

    def grads(grad_output):
        dz = grad_output * (1 - run() ** 2)
        return X.T @ dz, dz.sum(axis=0)

    report = check_gradients(run, grads, W=W, b=B)
    assert report.verdict == "undecided"
    assert not report.entries
    assert 'arrays={"W": (net, "W")}' in report.problems[0]
    assert check_gradients(run, grads, arrays={"W": (net, "W"), "b": (net, "b")})


def test_an_array_given_by_its_place_is_there_again_in_the_end():
    array = W.copy()
    net = SimpleNamespace(W=array)
    others = [array]
    assert check_gradients(lambda: X @ net.W, lambda g: X.T @ g, arrays={"W": (net, "W")})
    assert net.W is array is others[0]
    np.testing.assert_array_equal(array, W)


def test_units_that_are_all_off_are_read_all_the_same():
    b = np.full(3, -8.0)

    def run():
        return np.where(b > 0.0, b, 0.0)

    report = check_gradients(run, lambda g: g, b=b)
    assert report["b"].verdict == "wrong"
