"""Training whose loss is computed after the step, printed beside it, or a likelihood; and steps of other arguments."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(1)
X, Y = RNG.standard_normal((8, 3)), RNG.standard_normal(8)


class Ridge:
    """Its loss takes the data with a column of ones, and is kept after the step; ``by`` is what its gradient has."""

    def __init__(self, by=0.1, lr=0.01, n_iter=50):
        self.by, self.lr, self.n_iter, self.costs = by, lr, n_iter, []

    def _cost(self, Xb, y):
        r = Xb @ self.theta - y
        return (r @ r + 0.1 * self.theta[1:] @ self.theta[1:]) / (2 * len(y))

    def fit(self, X, y):
        Xb = np.c_[np.ones(len(X)), X]
        self.theta = np.zeros(Xb.shape[1])
        for _ in range(self.n_iter):
            grad = (Xb.T @ (Xb @ self.theta - y) + np.r_[0, self.by * self.theta[1:]]) / len(y)
            self.theta -= self.lr * grad
            self.costs.append(self._cost(Xb, y))
        return self

    def predict(self, X):
        return np.c_[np.ones(len(X)), X] @ self.theta


def test_a_loss_that_is_kept_after_the_step_is_that_of_a_step_of_length_0():
    assert check_gradients(Ridge(), X, Y)
    assert check_gradients(Ridge(by=0.2), X, Y).verdict == "wrong"


class RidgeOfAll(Ridge):
    def fit(self, X, y):
        Xb = np.c_[np.ones(len(X)), X]
        self.theta = np.zeros(Xb.shape[1])
        for _ in range(self.n_iter):
            grad = (Xb.T @ (Xb @ self.theta - y) + 0.1 * self.theta) / len(y)
            self.theta -= self.lr * grad
            self.costs.append(self._cost(Xb, y))


def test_a_penalty_that_the_loss_kept_after_the_step_has_not_is_told():
    report = check_gradients(RidgeOfAll(), X, Y)
    assert report.verdict == "undecided"
    assert any("weight decay" in problem for problem in report.problems)


def loglik(beta, X, y):
    return np.sum(y * (X @ beta) - np.exp(X @ beta))


def score(beta, X, y):
    return X.T @ (y - np.exp(X @ beta))


def fit_poisson(X, y, lr=1e-3, n_steps=100):
    beta = np.zeros(X.shape[1])
    for step in range(n_steps):
        beta = beta + lr * score(beta, X, y)
        if step % 10 == 0:
            print(step, loglik(beta, X, y))
    return beta


def fit_downhill(X, y, lr=1e-3, n_steps=100):
    beta = np.zeros(X.shape[1])
    for step in range(n_steps):
        beta = beta - lr * score(beta, X, y)
        if step % 10 == 0:
            print(step, loglik(beta, X, y))
    return beta


COUNTS = RNG.poisson(1.5, 8)


def test_steps_up_a_likelihood_of_the_module():
    assert check_gradients(fit_poisson, X, COUNTS)
    assert check_gradients((loglik, fit_poisson), X, COUNTS)
    assert check_gradients(fit_downhill, X, COUNTS).verdict == "wrong"


class QNetwork:
    """A step of three arguments beside a forward pass of one; ``slope`` is that of its loss."""

    def __init__(self, slope=2.0):
        self.W, self.slope, self.lr = np.random.default_rng(0).standard_normal((3, 2)), slope, 0.01

    def forward(self, states):
        return np.tanh(states @ self.W)

    def train_on_batch(self, states, actions, targets):
        q, rows = self.forward(states), np.arange(len(actions))
        off = q[rows, actions] - targets
        dq = np.zeros_like(q)
        dq[rows, actions] = self.slope * off / len(actions)
        self.W -= self.lr * states.T @ (dq * (1 - q**2))
        return np.mean(off**2)


ACTIONS = np.array([0, 1, 1, 0, 1, 0, 0, 1])


def test_a_step_that_takes_all_that_is_in_a_tuple():
    assert check_gradients(QNetwork(), (X, ACTIONS, Y))
    assert check_gradients(QNetwork(1.0), (X, ACTIONS, Y)).verdict == "wrong"


class Factors:
    """``predict`` takes a user and an item, ``loss`` and ``gradients`` all ratings."""

    def __init__(self, adds=True):
        rng = np.random.default_rng(0)
        self.P, self.Q, self.adds = rng.standard_normal((4, 2)), rng.standard_normal((4, 2)), adds

    def predict(self, u, i):
        return self.P[u] @ self.Q[i]

    def loss(self, ratings):
        return 0.5 * sum((self.predict(int(u), int(i)) - r) ** 2 for u, i, r in ratings)

    def gradients(self, ratings):
        dP, dQ = np.zeros_like(self.P), np.zeros_like(self.Q)
        for u, i, r in ratings:
            u, i = int(u), int(i)
            off = self.predict(u, i) - r
            dP[u] += off * self.Q[i]
            dQ[i] = off * self.P[u] + (dQ[i] if self.adds else 0.0)
        return dP, dQ


RATINGS = [(0, 1, 4.0), (0, 2, 3.0), (1, 1, 5.0), (2, 0, 1.0), (3, 3, 2.0), (2, 2, 2.5)]


def test_a_loss_of_all_data_beside_a_prediction_of_one():
    assert check_gradients(Factors(), RATINGS)
    assert check_gradients(Factors(adds=False), RATINGS)["Q"].verdict == "wrong"


class Tied:
    """An autoencoder whose step has its data by default."""

    def __init__(self, both=1.0):
        self.W, self.b, self.both = np.random.default_rng(0).standard_normal((3, 2)), np.zeros(2), both

    def get_cost(self, x):
        return 0.5 * np.mean(np.sum((np.tanh(x @ self.W + self.b) @ self.W.T - x) ** 2, axis=1))

    def train(self, lr=0.1, input=None):
        h = np.tanh(input @ self.W + self.b)
        off = (h @ self.W.T - input) / len(input)
        dz = off @ self.W * (1 - h**2)
        self.W -= lr * (input.T @ dz + self.both * off.T @ h)
        self.b -= lr * dz.sum(axis=0)


def test_a_step_that_has_its_data_by_default():
    assert check_gradients(Tied(), X)
    report = check_gradients(Tied(both=0.0), X)
    assert (report["W"].verdict, report["b"].verdict) == ("wrong", "right")


def mean_score(beta, X, y):
    return score(beta, X, y) / len(y)


@pytest.mark.parametrize("rows", [8, 5])
def test_a_mean_over_samples_of_a_sum_is_told_as_that(rows):
    given = RNG.standard_normal(3), X[:rows], COUNTS[:rows]
    entry = check_gradients((loglik, mean_score), given)["beta"]
    assert entry.cause == "batch_mean_twice"


class Adversaries:
    """Two dicts of the same keys; each loss is of one of them. ``slope`` is that of the discriminator's loss."""

    def __init__(self, slope=1.0):
        rng = np.random.default_rng(0)
        self.G = {"W": rng.standard_normal((3, 4)), "b": np.zeros(4)}
        self.D = {"W": rng.standard_normal((4, 4)), "b": np.full(4, 0.1)}
        self.slope = slope

    def generator(self, z):
        return np.tanh(z @ self.G["W"] + self.G["b"])

    def d_loss(self, z):
        return 0.5 * np.sum((self.generator(z) @ self.D["W"] + self.D["b"]) ** 2)

    def d_grads(self, z):
        h = self.generator(z)
        d = self.slope * (h @ self.D["W"] + self.D["b"])
        return {"W": h.T @ d, "b": d.sum(axis=0)}

    def g_loss(self, z):
        return -np.sum(self.generator(z) @ self.D["W"])

    def g_grads(self, z):
        d = -self.D["W"].sum(axis=1) * (1 - self.generator(z) ** 2)
        return {"W": z.T @ d, "b": d.sum(axis=0)}


def test_gradients_of_one_of_several_dicts_of_the_same_keys():
    net = Adversaries()
    assert check_gradients((net.d_loss, net.d_grads), X)
    assert check_gradients((net.g_loss, net.g_grads), X)
    other = Adversaries(slope=2.0)
    report = check_gradients((other.d_loss, other.d_grads), X)
    assert {entry.name: entry.verdict for entry in report.entries} == {"D['W']": "wrong", "D['b']": "wrong"}


class Chain:
    """A hidden Markov model, whose forward and backward algorithms are no passes."""

    def __init__(self):
        self.means, self.A = np.array([-1.0, 1.5]), np.array([[0.7, 0.3], [0.2, 0.8]])

    def _b(self, obs):
        return np.exp(-0.5 * (obs[:, None] - self.means) ** 2)

    def forward_algorithm(self, obs):
        alpha = [0.5 * self._b(obs)[0]]
        for b in self._b(obs)[1:]:
            alpha.append(alpha[-1] @ self.A * b)
        return np.array(alpha)

    def backward_algorithm(self, obs):
        beta = [np.ones(2)]
        for b in self._b(obs)[:0:-1]:
            beta.append(self.A @ (b * beta[-1]))
        return np.array(beta[::-1])

    def log_likelihood(self, obs):
        return np.log(self.forward_algorithm(obs)[-1].sum())

    def grad_means(self, obs):
        gamma = self.forward_algorithm(obs) * self.backward_algorithm(obs)
        gamma /= gamma.sum(axis=1, keepdims=True)
        return np.sum(gamma * (obs[:, None] - self.means), axis=0)


def test_the_two_algorithms_of_a_chain_are_no_passes():
    chain = Chain()
    with pytest.raises(TypeError, match=r"\(chain.log_likelihood, chain.grad_means\)"):
        check_gradients(chain, Y)
    assert check_gradients((chain.log_likelihood, chain.grad_means), Y)["means"].verdict == "right"


MODEL = {"W": RNG.standard_normal(3)}


def surrogate(states, actions, advantages):
    p = 1 / (1 + np.exp(-states @ MODEL["W"]))
    return np.sum(advantages * np.log(np.where(actions, p, 1 - p)))


def surrogate_grad(states, actions, advantages):
    return {"W": states.T @ ((actions - 1 / (1 + np.exp(-states @ MODEL["W"]))) * advantages)}


def test_advantages_beside_weights_of_the_module_are_data():
    assert check_gradients((surrogate, surrogate_grad), (X, ACTIONS, Y))
