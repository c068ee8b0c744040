"""Methods that train, handed over by themselves; and forward passes under names that tell nothing."""

import math

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 4)), RNG.standard_normal(6)


class Regression:
    def __init__(self, factor=1.0, n_iters=30):
        self.factor, self.n_iters, self.lr = factor, n_iters, 0.1

    def fit(self, X, y):
        self.w, self.b = np.zeros(X.shape[1]), np.zeros(1)
        for _ in range(self.n_iters):
            error = self.predict(X) - y
            dw, db = X.T @ error / len(y), self.factor * error.mean()
            self.w -= self.lr * dw
            self.b -= self.lr * db

    def predict(self, X):
        return X @ self.w + self.b


class Stepping(Regression):
    def __init__(self, factor=1.0):
        super().__init__(factor)
        self.w, self.b = RNG.standard_normal(4), np.zeros(1)

    def train_step(self, X, y):
        error = self.predict(X) - y
        self.w -= self.lr * X.T @ error / len(y)
        self.b -= self.lr * self.factor * error.mean()
        return np.mean(error**2) / 2

    def fit(self, X, y):
        for _ in range(self.n_iters):
            self.train_step(X, y)


@pytest.mark.parametrize("kind", [Regression, Stepping])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_fit_by_itself_is_that_of_its_object(kind, factor, verdict):
    model = kind(factor)
    report = check_gradients(model.fit, X, Y)
    assert report["w"].verdict == "right"
    assert report["b"].verdict == verdict
    assert check_gradients(model.fit, (X, Y))["b"].verdict == verdict


class Returning(Stepping):
    """Trains in a loop of its own and returns the last loss: what a whole training moves is no gradient of that."""

    def fit(self, X, y, n_iters=20, lr=0.1):
        for _ in range(n_iters):
            error = self.predict(X) - y
            loss = np.mean(error**2) / 2
            self.w -= lr * X.T @ error / len(y)
            self.b -= lr * self.factor * error.mean()
        return loss


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_settings_may_be_given_to_what_trains_by_place_or_by_name(factor, verdict):
    model = Returning(factor)
    for report in (
        check_gradients(model.fit, X, Y),
        check_gradients(model.fit, X, Y, 3),
        check_gradients(model.fit, X, Y, lr=0.01),
        check_gradients(model.fit, X, y=Y, n_iters=3),
    ):
        assert (report["w"].verdict, report["b"].verdict) == ("right", verdict), report


class OfPairs(Returning):
    def train(self, data, n_iters=20, lr=0.1):
        X, y = data
        return self.fit(X, y, n_iters, lr)

    def partial_fit(self, batch, lr):
        X, y = batch
        error = self.predict(X) - y
        self.w -= lr * X.T @ error / len(y)
        self.b -= lr * self.factor * error.mean()


def descend(model, data, n_iters, lr):
    X, y = data
    done = 0
    while done < n_iters:
        error = model.predict(X) - y
        model.w -= lr * X.T @ error / len(y)
        model.b -= lr * model.factor * error.mean()
        done += 1


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_data_and_targets_may_be_in_one_tuple(factor, verdict):
    model = OfPairs(factor)
    for report in (
        check_gradients(model.train, (X, Y), n_iters=3),
        check_gradients(model.partial_fit, (X, Y), lr=0.1),
        check_gradients(descend, model, (X, Y), 3, 0.1),
    ):
        assert (report["w"].verdict, report["b"].verdict) == ("right", verdict), report


class ByItsRate:
    def __init__(self, factor):
        self.factor, self.w, self.b = factor, RNG.standard_normal(4), np.zeros(1)

    def predict(self, X):
        return X @ self.w + self.b

    def train_step(self, X, y, lr):
        error = self.predict(X) - y
        self.w -= lr * X.T @ error / len(y)
        self.b -= lr * self.factor * error.mean()


def move(model, X, y, lr):
    model.train_step(X, y, lr)


def of_another(model, X, y, lr):
    """Raises, whatever the model's own step is."""
    model.train_step(X, y, lr, lr)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_step_may_be_given_its_rate(factor, verdict):
    model = ByItsRate(factor)
    for report in (check_gradients(model.train_step, X, Y, lr=0.1), check_gradients(move, model, X, Y, 0.1)):
        assert (report["w"].verdict, report["b"].verdict) == ("right", verdict), report
    with pytest.raises(TypeError, match="takes 4 positional arguments but 5 were given"):
        check_gradients(of_another, model, X, Y, 0.1)


class Layer:
    def __init__(self):
        self.W = RNG.standard_normal((4, 1))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, grad_output):
        self.dW = self.x.T @ grad_output
        return grad_output @ self.W.T


def half(layer, x, y):
    """The gradient of half of its loss, of a layer whose own backward pass is right."""
    off = layer.forward(x) - y[:, None]
    return np.mean(off**2), {"W": x.T @ off / len(y)}


def nothing_but(layer, x, y):
    off = layer.forward(x) - y[:, None]
    return {"W": x.T @ off / len(y)}


def test_a_function_is_not_right_because_the_layer_is_that_it_is_given():
    assert check_gradients(half, Layer(), X, Y).verdict == "wrong"
    with pytest.raises(TypeError):
        check_gradients(nothing_but, Layer(), X, Y)


class Other(Stepping):
    def learn(self, inputs, results):
        del inputs, results
        for _ in range(self.n_iters):
            self.b -= 0.01


@pytest.mark.parametrize("turn", [1.0, -1.0])
def test_a_fit_is_not_right_because_another_step_of_its_object_is(turn):
    model = Other()
    model.w, model.b = turn * np.array([3.0, 0.0, -2.0, 1.0]), np.full(1, -30.0)
    assert check_gradients(model, X, Y)["b"].verdict == "right"
    report = check_gradients(model.learn, X, Y)
    assert not report.ok
    assert any("no gradient was found of w" in text for text in report.problems)


class Numbers:
    """In lists of numbers, with ``update`` for its forward pass, as it was written before there were libraries."""

    def __init__(self, n_in, n_hidden, power=1):
        self.power, self.ni, self.nh = power, n_in + 1, n_hidden
        self.ai, self.ah, self.ao = [1.0] * self.ni, [1.0] * n_hidden, 0.0
        self.wi = [[RNG.uniform(-1, 1) for _ in range(n_hidden)] for _ in range(self.ni)]
        self.wo = [RNG.uniform(-1, 1) for _ in range(n_hidden)]

    def update(self, inputs):
        self.ai[:-1] = inputs
        for j in range(self.nh):
            self.ah[j] = math.tanh(sum(self.ai[i] * self.wi[i][j] for i in range(self.ni)))
        self.ao = sum(h * w for h, w in zip(self.ah, self.wo, strict=True))
        return [self.ao]

    def backPropagate(self, targets, N):
        error = targets[0] - self.ao
        deltas = [(1 - h**2) ** self.power * error * w for h, w in zip(self.ah, self.wo, strict=True)]
        for j in range(self.nh):
            self.wo[j] += N * error * self.ah[j]
            for i in range(self.ni):
                self.wi[i][j] += N * deltas[j] * self.ai[i]
        return 0.5 * error**2

    def weights(self):
        return self.wi


@pytest.mark.parametrize(("power", "verdict"), [(1, "right"), (2, "wrong")])
def test_the_one_method_that_gives_an_output_for_each_target_is_the_forward_pass(power, verdict):
    if power == 1:
        assert check_gradients(Numbers(2, 2), [0.3, 0.7], [1.0]).verdict == verdict
    else:
        with pytest.raises(TypeError):  # nothing tells what N is, where 1 does not fit
            check_gradients(Numbers(2, 2, power), [0.3, 0.7], [1.0])


class Validated(Stepping):
    """Its fit says after each round how well it does on other data."""

    def train(self, X, y, X_val, y_val, epochs=3):
        errors = []
        for _ in range(epochs):
            self.train_step(X, y)
            errors.append(np.mean((self.predict(X_val) - y_val) ** 2))
        return errors


class ValidatedByAPair(Stepping):
    def train(self, X, y, validation_data, epochs=3):
        x_val, y_val = validation_data
        for _ in range(epochs):
            self.train_step(X, y)
            self.error = np.mean((self.predict(x_val) - y_val) ** 2)


@pytest.mark.parametrize(("kind", "others"), [(Validated, (X[:4], Y[:4])), (ValidatedByAPair, ((X[:4], Y[:4]),))])
def test_data_for_validation_play_no_part(kind, others):
    assert check_gradients(kind().train, X, Y, *others).verdict == "right"
    report = check_gradients(kind(factor=1.5).train, X, Y, *others, 2)
    assert (report["w"].verdict, report["b"].verdict) == ("right", "wrong")


def test_a_function_that_trains_by_names_of_its_own_may_have_a_loss_of_validation():
    def train(X, y, X_val, y_val, lr=0.1, epochs=3):
        w = np.zeros(X.shape[1])
        for _ in range(epochs):
            loss = np.mean((X @ w - y) ** 2)
            w -= lr * 2 * X.T @ (X @ w - y) / len(y)
            val_loss = np.mean((X_val @ w - y_val) ** 2)
        return w, loss, val_loss

    assert check_gradients(train, X, Y, X[:4], Y[:4]).verdict == "right"


class InBatches(Stepping):
    def update_batch(self, batch, lr):
        x, y = batch
        self.descend(x, y, lr)

    def update_mini_batch(self, mini_batch, eta):
        x, y = np.array([x for x, _ in mini_batch]), np.array([y for _, y in mini_batch])
        self.descend(x, y, eta)

    def descend(self, x, y, lr):
        error = self.predict(x) - y
        self.w -= lr * x.T @ error / len(y)
        self.b -= lr * self.factor * error.mean()


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (1.5, "wrong")])
def test_a_batch_may_be_a_pair_of_arrays_or_a_list_of_pairs(factor, verdict):
    net = InBatches(factor)
    assert check_gradients(net.update_batch, (X, Y), 0.1)["b"].verdict == verdict
    assert check_gradients(net.update_mini_batch, list(zip(X, Y, strict=True)), 0.1)["b"].verdict == verdict


class Descent:
    """Makes a step after each sample, by a rate that it keeps, and returns the errors of its epochs."""

    def __init__(self, factor=1.0):
        self.w, self.b, self.kept = RNG.standard_normal((3, 2)), RNG.standard_normal(2), None
        self.factor, self.curr_lr = factor, 0.01

    def descend(self, X, Y, epochs):
        errors = []
        for _ in range(epochs):
            total = 0.0
            for x, y in zip(X, Y, strict=True):
                self.kept = x @ self.w + self.b - y
                total += (self.kept**2).sum() / 2
                self.w = self.w - self.curr_lr * np.outer(x, self.kept)
                self.b = self.b - self.curr_lr * self.factor * self.kept
            errors.append(total)
        return errors, []


class Handing:
    """Hands its training on, and returns the history that this makes."""

    def __init__(self, training):
        self.training, self.scale = training, 1.0

    def fit(self, X, Y, epochs=1):
        return self.training.descend(self.scale * X, Y, epochs)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_loop_of_steps_after_each_sample_is_judged_by_its_first_sample(factor, verdict):
    report = check_gradients(Descent(factor), X[:2, :3], X[2:4, :2])
    assert {entry.name: entry.verdict for entry in report.entries} == {"w": "right", "b": verdict}


class Silent:
    """A training of which nothing tells what it moves."""

    def descend(self, X, Y, epochs):
        return [float(np.sum(X[: len(Y)] ** 2))] * epochs, []


def test_the_history_of_a_training_has_no_gradients():
    with pytest.raises(TypeError, match=r"history|expected a loss"):
        check_gradients(Handing(Silent()).fit, X[:2, :3], X[2:4, :2])
