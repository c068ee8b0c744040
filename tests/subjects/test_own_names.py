"""Functions that train weights which are names of their own, as ``build_model(3)``: one round of their loop."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, Y, LABELS = RNG.standard_normal((6, 3)), RNG.standard_normal((6, 1)), np.array([0, 1, 1, 0, 1, 0])
reg_lambda, epsilon = 0.1, 0.01
off = 1.0  # by how much one gradient is wrong


def verdicts(report):
    return {entry.name: entry.verdict for entry in report.entries}


@pytest.fixture(params=[1.0, 2.0], ids=["right", "wrong"])
def of_one(request, monkeypatch):
    """The verdict on the gradient that is off, or is not."""
    monkeypatch.setitem(globals(), "off", request.param)
    return "right" if request.param == 1.0 else "wrong"


def calculate_loss(model):
    h = np.tanh(X @ model["W1"] + model["b1"])
    e = np.exp(h @ model["W2"] + model["b2"])
    loss = -np.sum(np.log((e / e.sum(axis=1, keepdims=True))[range(6), LABELS]))
    return (loss + reg_lambda / 2 * (np.sum(model["W1"] ** 2) + np.sum(model["W2"] ** 2))) / 6


def build_model(hidden, num_passes=1000):
    rng = np.random.default_rng(3)
    W1, b1 = rng.standard_normal((3, hidden)), np.zeros((1, hidden))
    W2, b2 = rng.standard_normal((hidden, 2)), np.zeros((1, 2))
    model = {}
    for _ in range(num_passes):
        h = np.tanh(X @ W1 + b1)
        delta = np.exp(h @ W2 + b2)
        delta /= delta.sum(axis=1, keepdims=True)
        delta[range(6), LABELS] -= 1
        dW2, db2 = h.T @ delta + reg_lambda * W2, delta.sum(axis=0, keepdims=True)
        delta = delta @ W2.T * (1 - h**2)
        dW1, db1 = X.T @ delta + reg_lambda * W1, delta.sum(axis=0)
        W1 += -epsilon * dW1
        b1 += -epsilon * off * db1
        W2 += -epsilon * dW2
        b2 += -epsilon * db2
        model = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
    return model


@pytest.mark.parametrize("target", [build_model, (calculate_loss, build_model)], ids=["alone", "a pair"])
def test_the_loss_in_the_module_is_asked_for_the_weights_before_the_step(target, of_one):
    report = check_gradients(target, 4)
    assert verdicts(report) == {"W1": "right", "b1": of_one, "W2": "right", "b2": "right"}
    assert any("the weights of build_model are names of its own" in note for note in report.notes)


def compute_cost(X, y, theta):
    return np.sum((X @ theta - y) ** 2) / (2 * len(y))


def gradient_descent(X, y, theta, alpha=0.05, num_iters=100):
    history = []
    for _ in range(num_iters):
        theta = theta - off * alpha / len(y) * X.T @ (X @ theta - y)
        J = compute_cost(X, y, theta)
        history.append(J)
    return theta, history


@pytest.mark.parametrize("target", [gradient_descent, (compute_cost, gradient_descent)], ids=["alone", "a pair"])
def test_weights_that_are_given_are_moved_by_a_rate_and_the_cost_is_of_the_new_ones(target, of_one):
    assert verdicts(check_gradients(target, (X, Y, np.zeros((3, 1))))) == {"theta": of_one}


def of_each_sample(X, y, lr=0.1, epochs=5):
    w, b = np.zeros(X.shape[1]), 0
    for _ in range(epochs):
        total_loss = 0
        for x, t in zip(X, y, strict=True):
            a = 1 / (1 + np.exp(-(x @ w + b)))
            loss = -(t * np.log(a) + (1 - t) * np.log(1 - a))
            total_loss += loss
            w = w - lr * (a - t) * x
            b -= lr * off * (a - t)
    return w, b


def of_batches(X, y, lr=0.1, epochs=5, batch_size=4):
    w, b = np.zeros((X.shape[1], 1)), 0.0
    for _ in range(epochs):
        order = np.random.default_rng(0).permutation(len(X))
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            errors = X[rows] @ w + b - y[rows]
            loss = (errors**2).mean()
            w -= lr * 2 * X[rows].T @ errors / len(rows)
            b -= lr * 2 * off * errors.mean()
    return w, b, loss


@pytest.mark.parametrize(("train", "y"), [(of_each_sample, LABELS), (of_batches, Y)])
def test_of_several_steps_in_a_round_the_first_is_judged(train, y, of_one):
    report = check_gradients(train, X, y)
    assert verdicts(report) == {"w": "right", "b": of_one}
    assert any("the loop in its loop which moves them" in note for note in report.notes)


def of_layers(X, Y, sizes=(3, 4, 1), learning_rate=0.1, iterations=300):
    rng = np.random.default_rng(1)
    p, costs = {}, []
    for k in (1, 2):
        p[f"W{k}"], p[f"b{k}"] = rng.standard_normal((sizes[k - 1], sizes[k])), np.zeros(sizes[k])
    for i in range(iterations):
        kept = [X]
        for k in (1, 2):
            kept.append(np.tanh(kept[-1] @ p[f"W{k}"] + p[f"b{k}"]))
        if i % 100 == 0:
            costs.append(float(np.mean((kept[-1] - Y) ** 2)))
        d = 2 * (kept[-1] - Y) / len(Y)
        for k in (2, 1):
            d = d * (1 - kept[k] ** 2)
            dW, db = kept[k - 1].T @ d, d.sum(axis=0)
            d = d @ p[f"W{k}"].T
            p[f"W{k}"] -= learning_rate * dW
            p[f"b{k}"] -= learning_rate * (off if k == 1 else 1) * db
    return p, costs


def test_a_loop_over_layers_makes_one_step(of_one):
    expected = {"p['W1']": "right", "p['b1']": of_one, "p['W2']": "right", "p['b2']": "right"}
    assert verdicts(check_gradients(of_layers, X, Y)) == expected


def of_margins(X, y, lam=0.1, lr=0.1, n_iters=50):
    w, b, hprev = np.zeros(X.shape[1]), 0.0, np.zeros(3)
    for _ in range(n_iters):
        order = np.random.default_rng(0).permutation(len(X))
        X, y = X[order], y[order]
        mask = (1 - y * (X @ w + b + hprev.sum())) > 0
        loss = np.maximum(0, 1 - y * (X @ w + b + hprev.sum())).mean() + lam * w @ w
        hprev = np.tanh(X[0] + hprev)
        w = w - lr * (2 * lam * w - (X * (y * mask)[:, None]).mean(axis=0))
        b = b + lr * (y * mask).mean() if off == 1 else b + lr * y.mean()
    return w, b, loss


def test_a_bias_counts_that_happens_to_have_no_step_and_shuffled_data_and_states_do_not(of_one):
    report = check_gradients(of_margins, X, np.array([1.0, -1, 1, 1, -1, -1]))
    assert verdicts(report) == {"w": "right", "b": of_one}


def update(parameters, gradients, learning_rate=1.2):
    return {name: parameters[name] - learning_rate * gradients["d" + name] for name in parameters}


def of_helpers(X, Y, n_iterations=1000):
    parameters = {"W": np.ones((X.shape[1], 1)), "b": np.zeros(1)}
    for _ in range(n_iterations):
        d = X @ parameters["W"] + parameters["b"] - Y
        cost = np.mean(d**2)
        parameters = update(parameters, {"dW": 2 * X.T @ d / len(X), "db": 2 * off * d.mean(axis=0)})
    return parameters, cost


def test_the_rate_may_be_the_default_of_what_is_called(of_one):
    assert verdicts(check_gradients(of_helpers, X, Y)) == {"parameters['W']": "right", "parameters['b']": of_one}


def of_moments(X, y, lr=0.1, epochs=50):
    w, m, v = np.ones((X.shape[1], 1)), np.zeros((X.shape[1], 1)), np.zeros((X.shape[1], 1))
    for t in range(1, epochs + 1):
        errors = X @ w - y
        loss = np.mean(errors**2)
        dw = off * 2 * X.T @ errors / len(X)
        m, v = 0.9 * m + 0.1 * dw, 0.999 * v + 0.001 * dw**2
        w -= lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w, loss


def test_where_steps_hang_on_those_before_the_gradients_are_judged(of_one):
    report = check_gradients(of_moments, X, Y)
    assert verdicts(report) == {"w": of_one}
    assert "steps hang on those before: judged are the gradients that they are made of" in report.notes


def without_loss(X, y, epochs=50):
    w = np.ones((X.shape[1], 1))
    for j in range(epochs):
        errors = y - X @ w
        if j % 10 == 0:
            print("Error:", np.mean(np.abs(errors)))
        w += 0.1 * X.T @ errors
    return w


def test_without_a_loss_it_is_refused_with_lines_that_work():
    with pytest.raises(TypeError, match="bind it to a name in the loop, before they are moved, as loss = "):
        check_gradients(without_loss, X, Y)
    assert check_gradients((lambda X, y, w: np.sum((X @ w - y) ** 2) / 2, without_loss), X, Y)


def through_time(x, h, w, num_steps):
    states, loss, dh, dw = [h], 0.0, np.zeros_like(h), np.zeros_like(w)
    for t in range(num_steps):
        h = np.tanh(h @ w + x[t])
        loss += np.sum(h**2)
        states.append(h)
    for t in reversed(range(num_steps)):
        dz = (2 * states[t + 1] + dh) * (1 - states[t + 1] ** 2)
        dw, dh = dw + off * np.outer(states[t], dz), dz @ w.T
    return loss, dw, dh


def test_a_loss_that_goes_through_steps_of_time_trains_nothing(of_one):
    report = check_gradients(through_time, (RNG.standard_normal((4, 2)), np.ones(2), RNG.standard_normal((2, 2)), 4))
    assert verdicts(report) == {"h": "right", "w": of_one}


def until_it_is_small(X, y, lr=0.1, tol=1e-6):
    w, b, change = np.zeros(X.shape[1]), 0.0, np.inf
    while change > tol:
        p = 1 / (1 + np.exp(-(X @ w + b)))
        loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
        step = lr * X.T @ (p - y) / len(y)
        w, b, change = w - step, b - lr * off * np.mean(p - y), abs(step).max()
    return w, b, loss


def so_many_times(X, y, lr=0.1, n=100):
    w, b = np.zeros(X.shape[1]), 0.0
    for _ in range(n):
        p = 1 / (1 + np.exp(-(X @ w + b)))
        loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
        w = w - lr * X.T @ (p - y) / len(y)
        b = b - lr * off * np.mean(p - y)
    assert np.isfinite(loss)
    return w, b


def in_a_way_that_is_not_known(X, y, lr=0.1, m=100):
    w, b = np.zeros(X.shape[1]), 0.0
    for _ in range(m):
        errors = X @ w + b - y
        w = w - lr * X.T @ errors / len(y)
        b = b - lr * off * errors.mean()
    return w, b


@pytest.mark.parametrize("train", [until_it_is_small, so_many_times])
def test_it_may_go_on_while_something_changes_or_for_a_number_of_times(train, of_one):
    assert verdicts(check_gradients(train, X, LABELS)) == {"w": "right", "b": of_one}


def test_weights_that_are_returned_are_no_gradient_and_value():
    with pytest.raises(TypeError, match=r"expected a backward pass, or \(value, gradients\) from one function"):
        check_gradients(in_a_way_that_is_not_known, X, LABELS)
