"""Ways in which functions take what they are given: by keywords, with a generator, a tangent; and a number alone."""

import math

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

rng = np.random.default_rng(0)
W, X, Y = rng.standard_normal(3), rng.standard_normal((6, 3)), rng.standard_normal(6)


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, "right"), (1.0, "wrong")])
def test_arguments_that_have_to_be_given_by_their_names_are(factor, verdict):
    def ridge(w, *, X, y, lam=0.1):
        return np.sum((X @ w - y) ** 2) + lam * w @ w

    def ridge_grad(w, *, X, y, lam=0.1):
        return factor * X.T @ (X @ w - y) + 2 * lam * w

    assert check_gradients((ridge, ridge_grad), (W, X, Y)).verdict == verdict


@pytest.mark.parametrize("kept", [True, False])
def test_a_generator_among_the_arguments_draws_the_same_at_every_evaluation(kept):
    def noisy(w, X, rng):
        mask = rng.random(X.shape) > 0.5
        r = (X * mask) @ w
        return r @ r, 2 * (X * mask if kept else X).T @ r

    report = check_gradients(noisy, (W, X, np.random.default_rng(1)))
    assert report.verdict == ("right" if kept else "wrong")


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_product_with_tangents_is_checked_as_that(factor, verdict):
    A = rng.standard_normal((4, 3))

    def f(x):
        return np.sin(A @ x)

    def f_jvp(x, v):
        return factor * np.cos(A @ x) * (A @ v)

    assert check_gradients((f, f_jvp), W).verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_tuple_of_one_number_is_that_number(factor, verdict):
    assert check_gradients((lambda x: math.sin(x), lambda x: factor * math.cos(x)), (0.7,)).verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, "right"), (1.0, "wrong")])
def test_a_tuple_of_numbers_is_the_gradient_of_one_array_of_as_many(factor, verdict):
    def f(x):
        return x[0] ** 2 * x[1]

    def grad_f(x):
        return factor * x[0] * x[1], x[0] ** 2

    for x in ([0.5, 1.0], np.array([0.5, 1.0])):
        assert check_gradients((f, grad_f), x).verdict == verdict


def test_a_dict_of_a_value_and_gradients_is_refused_with_the_line_that_makes_it_checkable():
    def loss(w, X, y):
        r = X @ w - y
        return {"loss": r @ r, "dw": 2 * X.T @ r}

    with pytest.raises(TypeError, match="have it return its value") as refusal:
        check_gradients(loss, (W, X, Y))
    line = str(refusal.value).splitlines()[1].strip()
    called = line.replace(loss.__qualname__, "loss").removeprefix("check_gradients(").removesuffix(", x)")
    assert check_gradients(eval(called, {"loss": loss}), (W, X, Y)).verdict == "right"


def test_a_pair_with_something_beside_it_is_refused_with_what_to_pass():
    def forward(x):
        return x

    with pytest.raises(TypeError, match=r"got \(forward, forward, dict\)\nit becomes checkable"):
        check_gradients((forward, forward, {}), X)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (-1.0, "wrong")])
def test_a_step_that_returns_new_values_is_checked_by_the_step(factor, verdict):
    def step(w, X, y, lr=0.1):
        r = X @ w - y
        return 0.5 * r @ r, w - factor * lr * X.T @ r

    report = check_gradients(step, (W, X, Y))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("w", verdict)]


def huber(r, delta=1.0):
    return np.where(np.abs(r) <= delta, 0.5 * r**2, delta * (np.abs(r) - 0.5 * delta))


def huber_prime(r, delta=1.0):
    return np.where(np.abs(r) <= delta, r, delta * np.sign(r))


def huber_prime_without_default(r, delta):
    return huber_prime(r, delta)


def huber_prime_halved(r, delta=1.0):
    return np.where(np.abs(r) <= delta, r, 0.5 * delta * np.sign(r))


def huber_prime_of_another_default(r, delta=1.5):
    return huber_prime(r, delta)


@pytest.mark.parametrize(
    ("derivative", "verdict"),
    [
        (huber_prime, "right"),
        (huber_prime_without_default, "right"),
        (huber_prime_halved, "wrong"),
        (huber_prime_of_another_default, "wrong"),
    ],
)
def test_a_number_called_delta_that_forward_has_too_is_no_gradient(derivative, verdict):
    r = 2.0 * np.random.default_rng(0).standard_normal(9)
    assert check_gradients((huber, derivative), r).verdict == verdict
    assert check_gradients((huber, derivative), (r, 0.7)).verdict == (
        "right" if "another" in str(derivative) else verdict
    )


def fall(t, g=9.81):
    return 0.5 * g * t**2


def fall_backward(dout, t, g=9.81):
    return dout * g * t


def test_so_is_one_called_g():
    assert check_gradients((fall, fall_backward), np.linspace(0.1, 1.0, 5)).verdict == "right"


def spread(Y, P):
    return np.sum(P * np.square(Y[:, None] - Y[None]).sum(axis=-1))


def spread_and_grad(Y, P):
    return spread(Y, P), 2.0 * ((P + P.T)[:, :, None] * (Y[:, None] - Y[None])).sum(axis=1)


def spread_and_wrong_grad(Y, P):
    return spread(Y, P), 2.0 * (P[:, :, None] * (Y[:, None] - Y[None])).sum(axis=1)


def test_points_called_Y_are_no_targets_where_the_function_fails_with_them_as_such():
    rng = np.random.default_rng(0)
    points, weights = rng.standard_normal((5, 2)), rng.uniform(size=(5, 5))
    assert check_gradients(spread_and_grad, points, weights).verdict == "right"
    assert check_gradients(spread_and_wrong_grad, points, weights).verdict == "wrong"
    with pytest.raises(ValueError, match="broadcast"):
        check_gradients(spread_and_grad, points, weights[:4])


@pytest.mark.parametrize("turned", [False, True])
def test_an_order_of_the_gradients_that_their_names_tell_is_said(turned):
    def of_pairs(a, b):
        da, db = a - b, b - a
        return 0.5 * np.sum((a - b) ** 2), (da, db)

    def of_pairs_turned(a, b):
        da, db = a - b, b - a
        return 0.5 * np.sum((a - b) ** 2), (db, da)

    report = check_gradients(of_pairs_turned if turned else of_pairs, (W, rng.standard_normal(3)))
    assert report.verdict == "right"
    assert ("backward returns the gradients of b, a, in this order" in report.notes) == turned
