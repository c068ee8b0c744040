"""Classes that train themselves, as students write them: the loss returned, kept in a list, or beside an accuracy."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

rng = np.random.default_rng(5)
X, Y = rng.standard_normal((6, 4)), np.eye(3)[[0, 1, 2, 0, 1, 2]]
T = rng.standard_normal((6, 3))


def verdict_of(thing, x=X, targets=Y):
    return check_gradients(thing, x, targets).verdict


class WithAccuracy:
    off = 1.0

    def __init__(self, lr=0.2):
        self.W, self.lr = np.random.default_rng(0).standard_normal((4, 3)), lr

    def train_on_batch(self, X, Y):
        z = X @ self.W
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        loss, accuracy = -(Y * np.log(p)).sum(axis=1).mean(), (p.argmax(axis=1) == Y.argmax(axis=1)).mean()
        self.W -= self.lr * self.off * X.T @ (p - Y) / len(X)
        return loss, accuracy


class KeepsItsLosses(WithAccuracy):
    def __init__(self):
        super().__init__()
        self.losses = []

    def train_on_batch(self, X, Y):
        self.losses.append(super().train_on_batch(X, Y)[0])


class ReturnsItself(KeepsItsLosses):
    def train_on_batch(self, X, Y):
        super().train_on_batch(X, Y)
        return self


@pytest.mark.parametrize("kind", [WithAccuracy, KeepsItsLosses, ReturnsItself])
@pytest.mark.parametrize(("off", "verdict"), [(1.0, "right"), (6.0, "wrong"), (-1.0, "wrong")])
def test_a_step_is_judged_by_the_loss_that_it_gives_in_any_way(kind, off, verdict):
    net = kind()
    net.off = off
    assert verdict_of(net) == verdict


class Momentum:
    over = 1

    def __init__(self):
        self.W, self.V = np.random.default_rng(0).standard_normal((4, 3)), 0

    def step(self, x, t, eta=0.1, alpha=0.9):
        y = x @ self.W
        self.V = alpha * self.V + eta * x.T @ (t - y) / self.over
        self.W = self.W + self.V
        return 0.5 * ((t - y) ** 2).sum()


@pytest.mark.parametrize(("over", "verdict"), [(1, "right"), (6, "wrong"), (-1, "wrong")])
def test_the_rate_of_a_step_alone_may_be_the_default_of_its_argument(over, verdict):
    net = Momentum()
    net.over = over
    assert verdict_of(net, targets=T) == verdict


class Decaying:
    off = 1.0

    def __init__(self):
        self.W, self.lr, self.decay, self.t = np.random.default_rng(0).standard_normal((4, 3)), 0.1, 0.01, 4

    def step(self, x, t):
        e = x @ self.W - t
        self.W = self.W - self.off * self.lr / (1 + self.decay * self.t) * x.T @ e
        self.t += 1
        return 0.5 * (e**2).sum()


@pytest.mark.parametrize(("off", "verdict"), [(1.0, "right"), (2.0, "undecided")])
def test_the_rate_of_a_step_alone_may_decay(off, verdict):
    net = Decaying()
    net.off = off
    assert verdict_of(net, targets=T) == verdict


class Gamma:
    def __init__(self, off=1.0):
        self.w, self.lr, self.off = np.linspace(-1, 1, 4), 0.1, off

    def forward(self, X):
        return np.exp(X @ self.w)

    def step(self, X, y):
        mu = self.forward(X)
        self.w = self.w - self.lr * self.off * X.T @ (1 - y / mu) / len(X)
        return np.mean(y / mu + np.log(mu))


@pytest.mark.parametrize(("off", "verdict"), [(1.0, "right"), (6.0, "wrong")])
def test_a_step_beside_forward_is_judged_by_its_own_loss_where_none_that_is_usual_fits(off, verdict):
    assert verdict_of(Gamma(off), targets=np.array([0.25, 1.5, 2.0, 3.0, 0.5, 1.0])) == verdict


class Leaky:
    """Means of squares are returned, and so are the steps, by a rate that has no name for one."""

    def __init__(self, slope=0.01, alpha=0.01, factor=2.0):
        r = np.random.default_rng(0)
        self.W, self.U = r.standard_normal((4, 5)), r.standard_normal((5, 3))
        self.alpha, self.slope, self.factor = alpha, slope, factor

    def forward(self, x):
        self.z = x @ self.W
        self.a = np.where(self.z > 0, self.z, 0.01 * self.z)
        return self.a @ self.U

    def train_on_batch(self, x, t):
        e = self.forward(x) - t
        d = self.factor * e / e.size
        dz = d @ self.U.T * np.where(self.z > 0, 1, self.slope)
        self.U -= self.alpha * self.a.T @ d
        self.W -= self.alpha * x.T @ dz
        return (e**2).mean()


def test_the_loss_that_a_step_returns_counts_where_a_number_of_the_code_is_then_the_rate():
    assert verdict_of(Leaky(), targets=T) == "right"


def test_by_a_rate_that_stands_nowhere_the_returned_loss_decides_nothing():
    assert verdict_of(Leaky(factor=7.3), targets=T) == "undecided"


def test_what_is_nearly_a_gradient_does_not_make_the_right_ones_wrong():
    report = check_gradients(Leaky(slope=0.0), X, T)
    assert (report["W"].verdict, report["U"].verdict) == ("wrong", "right")


class Ridge:
    """Its step returns the cost, which is none of the gradient of the strength of the penalty."""

    def __init__(self, off=1.0):
        self.W, self.b = np.random.default_rng(0).standard_normal((4, 3)), np.zeros(3)
        self.lam, self.alpha, self.off = 0.1, 0.05, off

    def forward(self, x):
        return x @ self.W + self.b

    def cost(self, x, t):
        return np.sum((self.forward(x) - t) ** 2) / 2 + self.lam / 2 * np.sum(self.W**2)

    def step(self, x, t):
        e = self.forward(x) - t
        self.W -= self.alpha * (x.T @ e + self.off * self.lam * self.W)
        self.b -= self.alpha * e.sum(axis=0)
        return self.cost(x, t)


@pytest.mark.parametrize(("off", "verdict"), [(1.0, "right"), (0.5, "wrong"), (2.0, "undecided")])
def test_a_cost_that_a_step_returns_is_no_gradient_of_a_setting(off, verdict):
    report = check_gradients(Ridge(off), X, T)
    assert (report.verdict, [entry.name for entry in report.entries]) == (verdict, ["W", "b"])


def test_a_penalty_that_a_step_counts_twice_is_no_weight_decay_that_is_told():
    assert any("counted twice" in problem for problem in check_gradients(Ridge(2.0), X, T).problems)


class Decayed:
    weight_decay, learning_rate = 5e-3, 0.05

    def __init__(self, over=1):
        self.W, self.b, self.over = np.random.default_rng(0).standard_normal((4, 3)), np.zeros(3), over

    def forward(self, x):
        return x @ self.W + self.b

    def train_step(self, x, t):
        d = 2 * (self.forward(x) - t) / len(x)
        self.W -= self.learning_rate * (x.T @ d + self.weight_decay * self.W)
        self.b -= self.learning_rate * d.sum(axis=0) / self.over


@pytest.mark.parametrize(("over", "verdict"), [(1, "right"), (6, "wrong")])
def test_weight_decay_by_a_number_of_the_class_is_told_and_not_counted(over, verdict):
    report = check_gradients(Decayed(over), X, T)
    assert (report["W"].verdict, report["b"].verdict) == ("right", verdict)
    assert any("weight decay is in each step" in note for note in report.notes)


class Autoencoder:
    def __init__(self, tied=True):
        self.W, self.c, self.eta, self.tied = np.random.default_rng(0).standard_normal((4, 2)), np.zeros(4), 0.1, tied

    def train_step(self, x):
        h = np.tanh(x @ self.W)
        e = h @ self.W.T + self.c - x
        self.W -= self.eta * (x.T @ (e @ self.W * (1 - h**2)) + self.tied * e.T @ h)
        self.c -= self.eta * e.sum(axis=0)
        return 0.5 * np.sum(e**2)


@pytest.mark.parametrize(("tied", "verdict"), [(True, "right"), (False, "wrong")])
def test_a_step_may_need_no_targets(tied, verdict):
    assert verdict_of(Autoencoder(tied), targets=None) == verdict


class AfterItsStep:
    """A step that returns the loss that it leads to."""

    def __init__(self, wrong=1.0):
        rng = np.random.default_rng(1)
        self.w, self.b, self.lr, self.off = rng.standard_normal(3), 0.2, 0.1, np.array([wrong, 1.0])

    def probabilities(self, X):
        return 1.0 / (1.0 + np.exp(-X @ self.w - self.b))

    def step(self, X, y):
        error = self.probabilities(X) - y
        self.w -= self.lr * self.off[0] * X.T @ error / len(y)
        self.b -= self.lr * np.mean(error)
        p = self.probabilities(X)
        return -np.mean(y * np.log(p) + (1.0 - y) * np.log(1.0 - p))


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "undecided"), (9.0, "wrong")])
def test_a_loss_of_the_new_values_is_not_that_of_the_gradients_and_no_mistake_in_them(wrong, verdict):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((9, 3)), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    report = check_gradients(AfterItsStep(wrong), X, y)
    assert report.verdict == verdict
    assert any("the loss that its step leads to" in problem for problem in report.problems) == (wrong == 1.0)


class Regression:
    """As statisticians have it: a log-likelihood, and the score, which is its gradient by the coefficients."""

    def __init__(self, wrong=1.0):
        self.coef, self.intercept, self.off = np.array([0.5, -0.25, 1.0]), 0.3, np.array([wrong, 1.0])

    def mean(self, X):
        return 1.0 / (1.0 + np.exp(-X @ self.coef - self.intercept))

    def loglik(self, X, y):
        return np.sum(y * np.log(self.mean(X)) + (1.0 - y) * np.log(1.0 - self.mean(X)))

    def score(self, X, y):
        residuals = y - self.mean(X)
        return self.off[0] * X.T @ residuals, np.sum(residuals)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_the_score_of_a_log_likelihood_is_by_the_coefficients_whether_y_is_an_input_or_not(together, wrong):
    rng, made = np.random.default_rng(0), Regression(wrong)
    X, y = rng.standard_normal((6, 3)), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    given = ((X, y),) if together else (X, y)
    report = check_gradients((made.loglik, made.score), *given)
    assert {e.name: e.verdict for e in report.entries} == {
        "coef": "right" if wrong == 1.0 else "wrong",
        "intercept": "right",
    }
