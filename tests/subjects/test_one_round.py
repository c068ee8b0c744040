"""The loop in which a method trains, its first round alone, and what a prediction computes before it decides."""

import cProfile
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.calls.decisions import before_deciding, decides
from numpy_nn.subjects.calls.one_round import OneRound
from numpy_nn.subjects.source.loops import loop_of_training

X, Y = np.random.default_rng(5).standard_normal((4, 3)), np.array([0.0, 1.0, 2.0, 3.0])


class Model:
    """With loops of many kinds."""

    n_iter, layers, epochs = 50, (1, 2), 7

    def __init__(self):
        self.w, self.rounds, self.batch_size = None, 0, 3

    def by_attribute(self, x):
        for _ in range(self.n_iter):
            self.rounds += 1
        return x

    def by_argument(self, x, n_epochs=10):
        for i in range(1, n_epochs + 1):
            self.rounds += i
        return x

    def by_local(self, x):
        epochs = 1000
        if x is not None:
            for _ in list(range(epochs)):
                self.rounds += 1

    def by_number(self):
        for _ in range(100):
            self.rounds += 1

    def by_variable(self):
        for epoch in range(5):
            self.rounds += epoch

    def by_the_last(self, n):
        for _ in range(n):
            self.rounds -= 1
        for _ in range(self.epochs):
            self.rounds += 1

    def over_layers(self):
        for _ in range(len(self.layers)):
            self.rounds += 1

    def over_few(self):
        for _ in range(3):
            self.rounds += 1

    def within_another(self, x):
        for row in x:
            for _ in range(self.epochs):
                self.rounds += row

    def through_a_method(self):
        return self.by_number()

    def until_it_is_small(self):
        self.__error = 1.0
        while self.__error > 1e-3:
            if self.rounds % 2:
                self.rounds += 2
                continue
            self.__error /= 2
            self.rounds += 1

    def up_to_a_number(self):
        while self.rounds < 1000:
            self.rounds += 1

    def for_each_batch(self, x):
        start = 0
        while start < len(x):
            start += 2
            self.rounds += 1

    def straight(self):
        self.rounds += 1


@pytest.mark.parametrize(
    "name",
    [
        "by_attribute",
        "by_argument",
        "by_local",
        "by_number",
        "by_variable",
        "by_the_last",
        "through_a_method",
        "within_another",
        "until_it_is_small",
        "up_to_a_number",
    ],
)
def test_a_loop_of_steps_is_found(name):
    assert loop_of_training(getattr(Model(), name)) is not None


@pytest.mark.parametrize("name", ["over_layers", "over_few", "for_each_batch", "straight"])
def test_any_other_loop_is_none(name):
    assert loop_of_training(getattr(Model(), name)) is None
    assert loop_of_training(len) is None
    assert loop_of_training(lambda: [0 for _ in range(100)]) is None


@pytest.mark.parametrize(
    ("name", "rounds"), [("by_attribute", 1), ("by_the_last", -1), ("through_a_method", 1), ("until_it_is_small", 1)]
)
def test_its_first_round_is_made_alone_and_range_and_its_code_are_as_before(name, rounds):
    model = Model()
    train = getattr(model, name)
    own = train.__func__.__code__
    loop = loop_of_training(train)
    assert loop is not None
    OneRound(train, loop)(*([2] if name == "by_the_last" else [X] if name == "by_attribute" else []))
    assert model.rounds == rounds
    assert "range" not in globals()
    assert train.__func__.__code__ is own


class Fits:
    """Sets everything anew before its loop."""

    def __init__(self, number=float, seeded=True):
        self.number, self.seeded, self.epochs, self.batch_size, self.losses = number, seeded, 3, 2, [9.0]

    def fit(self, x, y):
        rng = np.random.default_rng(1 if self.seeded else None)
        self.x, self.mean = x, x.mean(axis=0)
        self.w, self.b, self.losses = rng.standard_normal(x.shape[1]), self.number(0), []
        print("begins")
        for _ in range(self.epochs):
            for start in range(0, len(x), self.batch_size):
                rows = slice(start, start + self.batch_size)
                errors = x[rows] @ self.w + self.b - y[rows]
                self.w = self.w - 0.1 * x[rows].T @ errors
                self.b = self.b - 0.1 * errors.sum()
            self.losses.append(float(np.sum(errors**2)))
        return self


@pytest.mark.parametrize("number", [float, int])
@pytest.mark.parametrize("seeded", [True, False])
def test_it_goes_on_from_the_parameters_that_the_object_has_with_the_data_that_it_is_given(number, seeded, capsys):
    model = Fits(number, seeded)
    loop = loop_of_training(model.fit)
    assert loop is not None
    train = OneRound(model.fit, loop)
    train(X, Y)
    model.w, model.b = np.array([1.0, -2.0, 0.5]), 0.25
    w, b, x = model.w.copy(), model.b, 2.0 * X
    errors = x @ w + b - Y
    loss = train(x, Y)
    np.testing.assert_allclose(model.w, w - 0.1 * x.T @ errors, rtol=1e-13)
    assert model.b == pytest.approx(b - 0.1 * errors.sum(), rel=1e-13)
    assert loss == model.losses[-1] == pytest.approx(np.sum(errors**2), rel=1e-13)
    np.testing.assert_array_equal(model.x, x)
    np.testing.assert_allclose(model.mean, x.mean(axis=0), rtol=1e-15)
    assert model.batch_size == 2
    assert capsys.readouterr().out == ""


def test_parameters_that_other_data_make_of_another_size_are_an_error():
    model = Fits()
    loop = loop_of_training(model.fit)
    assert loop is not None
    train = OneRound(model.fit, loop)
    train(X, Y)
    with pytest.raises(ValueError, match=r"w was of shape \(3,\), and is made anew of shape \(2,\)"):
        train(X[:, :2], Y)


def test_a_module_with_a_range_of_its_own_is_left_alone(monkeypatch):
    model = Fits()
    loop = loop_of_training(model.fit)
    assert loop is not None
    monkeypatch.setitem(globals(), "range", range)
    with pytest.raises(TypeError, match="its module has a range of its own"):
        OneRound(model.fit, loop)(X, Y)


def link(z):
    return 1 / (1 + np.exp(-z))


class Predicts:
    def __init__(self):
        self.w, self.limit = np.zeros(3), 0.5

    def predict(self, x):
        doubled = 2 * x
        scores = doubled @ self.w
        return np.where(link(scores) > self.limit, 1, 0)

    def sign(self, x):
        return np.sign(x @ self.w)

    def names(self, x):
        return ["yes" if score > 0 else "no" for score in x @ self.w]

    def scores(self, x):
        return x @ self.w


@pytest.mark.parametrize(("name", "classes"), [("predict", True), ("sign", True), ("names", True), ("scores", False)])
def test_classes_are_known_also_where_all_weights_are_0(name, classes):
    model = Predicts()
    assert decides(model, getattr(model, name), (X,)) is classes
    assert not model.w.any()


def test_what_is_computed_before_is_found_the_latest_first():
    model = Predicts()
    found = dict(before_deciding(model, model.predict, (X,)))
    # 2 x is none, as nothing in it is learned.
    assert list(found) == ["what link returns", "scores"]
    model.w = np.array([1.0, -1.0, 0.5])
    np.testing.assert_array_equal(found["what link returns"](X), link(2 * X @ model.w))
    np.testing.assert_array_equal(found["scores"](X), 2 * X @ model.w)
    assert list(before_deciding(model, lambda _: [][0], (X,))) == []


def test_a_profiler_goes_on():
    model = Predicts()
    calls = []
    computes = dict(before_deciding(model, model.predict, (X,)))["scores"]
    sys.setprofile(lambda *_: calls.append(1))
    try:
        computes(X)
        profiler = sys.getprofile()
    finally:
        sys.setprofile(None)
    assert profiler is not None
    with cProfile.Profile() as profile:
        np.testing.assert_array_equal(computes(X), 2 * X @ model.w)
    assert profile.getstats()


def test_what_raises_in_it_is_raised():
    model = SimpleNamespace(w=np.ones(3))

    def predict(x):
        scores = x @ model.w
        if not np.isfinite(scores).all():
            raise ArithmeticError("no number")
        return scores > 0

    computes = dict(before_deciding(model, predict, (X,)))["scores"]
    with pytest.raises(Exception, match="no number"):
        computes(np.nan * X)


class TakesSmallNumbers:
    """In batches of which it has to be told the size; ``factor`` multiplies the gradient of its bias."""

    def __init__(self, factor):
        self.factor, self.lr, self.n_iter = factor, 0.1, 50

    def fit(self, x, y, batch_size):
        if np.abs(x).max() > 3.0:
            raise ValueError("expected small numbers")
        self.mean, self.w, self.b = x.mean(axis=0), np.zeros(x.shape[1]), 0.0
        for _ in range(self.n_iter):
            for start in range(0, len(x), batch_size):
                rows = slice(start, start + batch_size)
                errors = x[rows] @ self.w + self.b - y[rows]
                self.w = self.w - self.lr * x[rows].T @ errors / len(errors)
                self.b = self.b - self.lr * self.factor * np.mean(errors)

    def predict(self, x):
        return x @ self.w + self.b


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (-1.0, "wrong")])
def test_data_that_are_made_up_and_not_taken_end_nothing(factor, verdict):
    report = check_gradients(TakesSmallNumbers(factor), 2.5 * X / np.abs(X).max(), Y)
    assert {entry.name: entry.verdict for entry in report.entries} == {"w": "right", "b": verdict}, report


class HuberRegression:
    """Keeps its loss under the name of a history, which may be one of right answers, and has a loss of residuals."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def _loss(self, r):
        return np.where(np.abs(r) <= 1.0, 0.5 * r**2, np.abs(r) - 0.5)

    def fit(self, X, y, lr=0.05, n_iter=200):
        self.coef_, self.intercept_, self.history_ = np.zeros(X.shape[1]), 0.0, []
        for _ in range(n_iter):
            r = self.predict(X) - y
            self.coef_ -= lr * X.T @ np.clip(r, -1.0, 1.0) / len(y)
            self.intercept_ -= lr * self.factor * np.clip(r, -1.0, 1.0).mean()
            self.history_.append(self._loss(r).mean())
        return self

    def predict(self, X):
        return X @ self.coef_ + self.intercept_


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_loss_that_is_kept_as_a_history_is_the_loss(factor, verdict):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 3)), 3 * rng.standard_normal(8)
    report = check_gradients(HuberRegression(factor), X, y)
    assert (report["coef_"].verdict, report["intercept_"].verdict) == ("right", verdict)


class Drawn:
    """Its weights are drawn, by a seed of its own."""

    def fit(self, X, y):
        self.w, self.b = np.random.default_rng(1).normal(scale=0.01, size=X.shape[1]), 0.0
        for _ in range(100):
            errors = y - self.predict_proba(X)
            self.w += 0.1 * X.T @ errors / len(y)
            self.b += 0.1 * errors.mean()

    def predict_proba(self, X):
        return 1 / (1 + np.exp(-X @ self.w - self.b))


def test_two_steps_of_one_length_by_chance_are_none_of_adam():
    # With these data some that are made up have gradients of w and b that differ by less than 0.1%.
    x = np.array([[0.00999967], [-0.00287245]])
    assert check_gradients(Drawn(), x, np.ones(2)).verdict == "right"
