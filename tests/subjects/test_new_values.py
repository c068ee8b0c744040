"""Functions that return what they learn moved, in dicts, in lists or one by one."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(7)
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2))
STEP_SIZE = 0.05
FACTOR = {"": 1.0}


def parameters():
    rng = np.random.default_rng(8)
    return {"w": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}


def predict(params, x):
    return x @ params["w"] + params["b"]


def loss(params, x, y):
    return np.sum((predict(params, x) - y) ** 2)


def gradients(params, x, y):
    difference = 2.0 * (predict(params, x) - y)
    return {"w": FACTOR[""] * x.T @ difference, "b": difference.sum(axis=0)}


def moved(params, grads, lr):
    return {name: params[name] - lr * grads[name] for name in params}


def train_step(params, x, y, lr=0.1):
    return moved(params, gradients(params, x, y), lr), loss(params, x, y)


def loss_first(params, x, y, lr):
    return loss(params, x, y), moved(params, gradients(params, x, y), lr)


def update(params, x, y, lr=0.1):
    return moved(params, gradients(params, x, y), lr)


def in_place(params, x, y, lr=0.1):
    value, grads = loss(params, x, y), gradients(params, x, y)
    for name in params:
        params[name] -= lr * grads[name]
    return value


def by_a_name_around(params, x, y):
    return moved(params, gradients(params, x, y), STEP_SIZE), loss(params, x, y)


def by_a_number(params, x, y):
    grads, value = gradients(params, x, y), loss(params, x, y)
    return {name: params[name] - 0.1 * grads[name] for name in params}, value


def of_a_list(params, x, y, lr=0.1):
    own = dict(zip("wb", params, strict=True))
    return list(update(own, x, y, lr).values()), loss(own, x, y)


def one_by_one(w, b, x, y, lr=0.1):
    new, value = train_step({"w": w, "b": b}, x, y, lr)
    return new["w"], new["b"], value


def with_its_gradients(params, x, y):
    return loss(params, x, y), gradients(params, x, y)


@pytest.fixture
def twice(monkeypatch):
    monkeypatch.setitem(FACTOR, "", 2.0)


DICTS = [train_step, loss_first, update, in_place, by_a_name_around, by_a_number, with_its_gradients]
GIVEN = [
    *((step, (parameters(), X, Y)) for step in [*DICTS, (loss, update), (loss, in_place)]),
    (of_a_list, (list(parameters().values()), X, Y)),
    (one_by_one, (*parameters().values(), X, Y)),
    (one_by_one, (*parameters().values(), X, Y, 0.2)),
]


@pytest.mark.parametrize(("step", "given"), GIVEN)
def test_the_gradient_is_the_step_over_the_rate(step, given):
    report = check_gradients(step, given)
    assert [entry.verdict for entry in report.entries] == ["right", "right"], report


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize("step", [update, by_a_number, (loss, update)])
def test_a_wrong_gradient_is_wrong_by_its_factor(step):
    report = check_gradients(step, (parameters(), X, Y))
    assert [entry.verdict for entry in report.entries] == ["wrong", "right"]
    assert report.entries[0].diagnosis is not None
    assert report.entries[0].diagnosis.cause == "factor"


def test_a_prediction_beside_its_step_is_judged_by_a_usual_loss():
    report = check_gradients((predict, update), (parameters(), X), Y)
    assert report.verdict == "right"
    assert [entry.name for entry in report.entries] == ["params['w']", "params['b']"]


def test_what_is_given_is_as_it_was():
    given = parameters()
    check_gradients(in_place, (given, X, Y))
    assert all(np.array_equal(given[name], array) for name, array in parameters().items())


def test_without_a_loss_it_is_said_what_is_missing():
    def step(v, x, lr=0.1):
        return v - lr * x.T @ (x @ v)

    with pytest.raises(TypeError, match="returns v moved, and no loss of which the steps would be gradients"):
        check_gradients(step, (np.ones(3), X))
