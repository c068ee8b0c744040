"""Programs of losses by other names, of single numbers, of samples one at a time, and of rewards."""

import math

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.losses.estimators import of_rows

rng = np.random.default_rng(0)
X, labels = rng.standard_normal((6, 4)), np.array([0, 1, 2, 2, 1, 0])


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class SoftmaxRegression:
    def __init__(self, share=2.0):
        self.W, self.b, self.reg, self.share = 0.1 * rng.standard_normal((4, 3)), np.zeros(3), 0.01, share

    def predict_proba(self, X):
        return softmax(X @ self.W + self.b)

    def cross_entropy(self, X, y):
        p = self.predict_proba(X)
        return -np.mean(np.log(p[np.arange(len(y)), y])) + self.reg * np.sum(self.W**2)

    def gradient(self, X, y):
        d = (self.predict_proba(X) - np.eye(3)[y]) / len(X)
        return X.T @ d + self.share * self.reg * self.W, d.sum(axis=0)


def test_a_loss_by_the_name_of_a_usual_one_counts_with_its_penalty():
    assert check_gradients(SoftmaxRegression(), X, labels)
    for share, cause in ((1.0, "penalty_factor"), (0.0, "penalty_missing")):
        report = check_gradients(SoftmaxRegression(share), X, labels)
        assert (report["W"].cause, report["b"].verdict) == (cause, "right")


class OfNumbers:
    def __init__(self, mixed=False):
        self.mixed, self.lr = mixed, 0.5
        self.w_hidden = [[0.3, -0.6], [0.8, 0.2]]
        self.b_hidden, self.w_out, self.b_out = [0.1, -0.2], [0.7, -0.4], 0.05

    def forward(self, x):
        sums = [self.b_hidden[j] + sum(x[i] * self.w_hidden[i][j] for i in range(2)) for j in range(2)]
        self.hidden = [1 / (1 + math.exp(-s)) for s in sums]
        self.out = 1 / (1 + math.exp(-sum(h * w for h, w in zip(self.hidden, self.w_out, strict=True)) - self.b_out))
        return self.out

    def backward(self, x, target):
        d_out = (self.out - target[0]) * self.out * (1 - self.out)
        d = [d_out * self.w_out[j] * self.hidden[j] * (1 - self.hidden[j]) for j in range(2)]
        for j in range(2):
            self.w_out[j] -= self.lr * d_out * self.hidden[j]
            for i in range(2):
                self.w_hidden[i][j] -= self.lr * d[i if self.mixed else j] * x[i]
            self.b_hidden[j] -= self.lr * d[j]
        self.b_out -= self.lr * d_out


@pytest.mark.parametrize("x", [[0.0, 0.0], [0.0, 1.0], [[0.0, 0.0], [1.0, 0.0]]])
def test_zeros_in_a_sample_hide_no_weights(x):
    targets = [[0.0], [1.0]] if isinstance(x[0], list) else [0.0]
    right = check_gradients(OfNumbers(), x, targets)
    assert right
    assert len(right.entries) == 9
    assert check_gradients(OfNumbers(mixed=True), x, targets).verdict == "wrong"


class Factors:
    def __init__(self, R, sign=1.0, decay=0.02):
        self.R, self.sign, self.beta = R, sign, decay
        self.P, self.Q = rng.standard_normal((len(R), 2)), rng.standard_normal((R.shape[1], 2))

    def loss(self):
        return 0.5 * np.sum((self.R > 0) * (self.R - self.P @ self.Q.T) ** 2) + 0.5 * self.beta * np.sum(self.P**2)

    def gradient(self):
        E = (self.R > 0) * (self.R - self.P @ self.Q.T)
        return -E @ self.Q + self.sign * self.beta * self.P, -E.T @ self.P


def test_what_an_object_of_factors_holds_beside_them_is_its_data():
    R = np.array([[5.0, 3.0, 0.0, 1.0], [4.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 5.0]])
    assert [entry.name for entry in check_gradients(Factors(R)).entries] == ["P", "Q"]
    assert check_gradients(Factors(R)).ok
    assert check_gradients(Factors(R, sign=-1.0))["P"].verdict == "wrong"


class Ratings:
    def __init__(self, sign=1.0):
        self.P, self.Q = rng.standard_normal((5, 2)), rng.standard_normal((4, 2))
        self.b_u, self.b_i, self.lr, self.sign = np.zeros(5), np.zeros(4), 0.01, sign

    def predict(self, u, i):
        return self.b_u[u] + self.b_i[i] + self.P[u] @ self.Q[i]

    def sgd_step(self, u, i, r):
        e, before = r - self.predict(u, i), self.P[u].copy()
        self.b_u[u] += self.lr * e
        self.b_i[i] += self.lr * e
        self.P[u] += self.lr * e * self.Q[i]
        self.Q[i] += self.sign * self.lr * e * before


def test_a_step_of_a_user_an_item_and_a_rating():
    assert check_gradients(Ratings(), (1, 2), 4.0)
    wrong = check_gradients(Ratings(-1.0), (1, 2), 4.0)
    assert (wrong["Q"].verdict, wrong["P"].verdict) == ("wrong", "right")


class Thinks:
    def __init__(self, sign=1.0):
        self.w, self.sign = rng.standard_normal((4, 1)), sign

    def think(self, inputs):
        return 1 / (1 + np.exp(-inputs @ self.w))

    def train(self, training_inputs, training_outputs, iterations):
        for _ in range(iterations):
            a = self.think(training_inputs)
            self.w += self.sign * training_inputs.T @ ((training_outputs - a) * a * (1 - a))


def test_a_step_whose_arguments_are_called_as_none_is_judged_by_the_loss_given():
    y = rng.integers(0, 2, (6, 1)).astype(float)
    half_squares = {"loss": lambda output, targets: ((output - targets) ** 2).sum() / 2}
    assert check_gradients(Thinks(), X, y)
    assert check_gradients(Thinks(-1.0), X, y)["w"].cause == "target_minus_prediction"  # up, where nobody wants to go
    assert check_gradients(Thinks(-1.0), X, y, **half_squares)["w"].verdict == "wrong"


class Policy:
    def __init__(self, sign=1.0):
        self.model, self.sign = {"W1": rng.standard_normal((3, 4)), "W2": rng.standard_normal((2, 3))}, sign

    def probabilities(self, s):
        self.h = np.maximum(0.0, self.model["W1"] @ s)
        e = np.exp(self.model["W2"] @ self.h)
        return e / e.sum()

    def td_loss(self, states, actions, returns):
        steps = zip(states, actions, returns, strict=True)
        return -sum(R * np.log(self.probabilities(s)[a]) for s, a, R in steps)

    def td_grad(self, states, actions, returns):
        g = {name: np.zeros_like(w) for name, w in self.model.items()}
        for s, a, R in zip(states, actions, returns, strict=True):
            d = self.probabilities(s)
            d[a] -= 1
            g["W2"] += np.outer(self.sign * R * d, self.h)
            g["W1"] += np.outer(R * (self.model["W2"].T @ d) * (self.h > 0), s)
        return g

    def loss_and_grads(self, states, actions, returns):
        return self.td_loss(states, actions, returns), self.td_grad(states, actions, returns)


def test_rewards_are_data_whatever_they_are_called():
    states, actions, returns = rng.standard_normal((5, 4)), np.array([0, 1, 1, 0, 1]), rng.standard_normal(5)
    assert check_gradients(Policy().loss_and_grads, (states, actions, returns))
    assert check_gradients(Policy(), (states, actions), returns)
    wrong = check_gradients(Policy(-1.0), (states, actions), returns)
    assert (wrong["W2"].verdict, wrong["W1"].verdict) == ("wrong", "right")


class CrossEntropy:
    def forward(self, y_pred, y_true):
        return np.mean(-np.log(y_pred[np.arange(len(y_true)), y_true]))


class SoftmaxLoss:
    def __init__(self, divides=True):
        self.loss, self.divides = CrossEntropy(), divides

    def forward(self, inputs, y_true):
        self.output = softmax(inputs)
        return self.loss.forward(self.output, y_true)

    def backward(self, dvalues, y_true):
        self.dinputs = dvalues.copy()
        self.dinputs[range(len(dvalues)), y_true] -= 1
        self.dinputs = self.dinputs / len(dvalues) if self.divides else self.dinputs


def test_a_softmax_and_its_loss_in_one_is_given_its_output():
    scores = rng.standard_normal((6, 3))
    assert check_gradients(SoftmaxLoss(), scores, labels)
    assert check_gradients(SoftmaxLoss(divides=False), scores, labels)["inputs"].cause == "batch_mean_missing"


class DeltaRule:
    def __init__(self, sign=1.0, share=1.0):
        self.weights, self.lr, self.sign, self.share = rng.uniform(-1, 1, 3), 0.5, sign, share

    def output(self, x):
        return 1 / (1 + np.exp(-(self.weights[0] + np.dot(self.weights[1:], x))))

    def train(self, x, d):
        y = self.output(x)
        delta = self.sign * (d - y) * y * (1 - y)
        self.weights[0] += self.lr * delta
        self.weights[1:] += self.lr * self.share * delta * x


@pytest.mark.parametrize("d", [1.0, np.array([1.0])])
def test_the_one_target_of_one_pattern_may_be_a_number(d):
    x = np.array([0.5, -1.0])
    assert check_gradients(DeltaRule(), x, d)
    assert check_gradients(DeltaRule(-1.0), x, d)["weights"].verdict == "wrong"
    with pytest.raises(TypeError, match=r"pass loss=.*, such as loss=lambda output, targets"):
        check_gradients(DeltaRule(share=3.0), x, d)


def forward(params, context):
    h = params["w1"][context].mean(axis=0)
    e = np.exp(h @ params["w2"])
    return e / e.sum(), (h, context)


def backward(params, cache, y_pred, target):
    (h, context), e = cache, y_pred.copy()
    e[target] -= 1
    dw1 = np.zeros_like(params["w1"])
    np.add.at(dw1, context, params["w2"] @ e / len(context))
    return {"w1": dw1, "w2": np.outer(h, e)}


def test_the_label_of_one_sample_is_a_number():
    params = {"w1": rng.standard_normal((6, 4)), "w2": rng.standard_normal((4, 6))}
    given = params, np.array([1, 3, 1, 5])
    assert check_gradients((forward, backward), given, 2)

    def summed(params, cache, y_pred, target):
        found = backward(params, cache, y_pred, target)
        return {"w1": 4 * found["w1"], "w2": found["w2"]}

    assert check_gradients((forward, summed), given, 2)["w1"].verdict == "wrong"


class Unfitted:
    def __init__(self):
        self.weights, self.bias, self.lr = None, None, 0.1

    def feed_forward(self, X):
        return 1 / (1 + np.exp(-(np.dot(X, self.weights) + self.bias)))

    def compute_loss(self, y_true, y_pred):
        return -np.mean(y_true * np.log(y_pred) + (1 - y_true) * np.log(1 - y_pred))

    def compute_gradients(self, X, y_true, y_pred):
        return X.T @ (y_pred - y_true) / len(X), np.mean(y_pred - y_true)


def test_what_fails_for_another_reason_is_not_judged_with_one_sample():
    with pytest.raises(TypeError, match="NoneType"):
        check_gradients(Unfitted(), X, (labels > 0).astype(float))


class OfOneSample:
    """A network whose step takes a sample that is drawn, and ``predict`` one, of which it makes an array of one."""

    def __init__(self):
        self.rng = np.random.default_rng(5)
        self.w, self.v = self.rng.standard_normal((3, 2)), self.rng.standard_normal((2, 1))

    def fit(self, X, y, learning_rate=0.2, epochs=100):
        X = np.concatenate((np.ones((len(X), 1)), X), axis=1)
        for _ in range(epochs):
            i = self.rng.integers(len(X))
            h = np.tanh(X[i] @ self.w)
            d = y[i] - h @ self.v
            e = (d @ self.v.T) * (1 - h**2)
            self.v += learning_rate * np.outer(h, d)
            self.w += learning_rate * np.outer(X[i], e)

    def predict(self, x):
        return np.tanh(np.concatenate((np.ones(1), x)) @ self.w) @ self.v


def test_an_output_of_one_number_for_each_sample_is_that_number():
    X, y = np.random.default_rng(6).standard_normal((4, 2)), np.array([0.0, 1.0, 1.0, 0.0])
    net = OfOneSample()
    outputs = of_rows(net, net.predict, (X,), y)(X)
    assert outputs.tolist() == [net.predict(x).item() for x in X]
    assert of_rows(net, net.predict, (X,), y[:3]) == net.predict
