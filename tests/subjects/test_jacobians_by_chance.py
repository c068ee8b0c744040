"""A Jacobian that happens to have the shape of the data: of log-likelihoods of samples, and their scores."""

import numpy as np

from numpy_nn.gradcheck import check_gradients

PARAMS = np.array([0.3, -0.2, 0.5])


class Logit:
    """Data of 7 rows of 3: the score of each row has the shape of the data."""

    power = 1

    def __init__(self):
        rng = np.random.default_rng(0)
        self.X, self.y = rng.standard_normal((7, 3)), rng.integers(0, 2, 7)

    def loglikeobs(self, params):
        z = self.X @ params
        return self.y * z - np.log1p(np.exp(z))

    def score_obs(self, params):
        return (self.y - 1.0 / (1.0 + np.exp(-self.X @ params)))[:, None] * self.X**self.power


class Squared(Logit):
    power = 2


def verdicts(report):
    return {entry.name: entry.verdict for entry in report.entries}


def test_the_score_of_each_sample_is_a_jacobian_by_the_parameters():
    model = Logit()
    assert verdicts(check_gradients((model.loglikeobs, model.score_obs), PARAMS)) == {"params": "right"}


def test_a_mistake_in_it_is_wrong():
    model = Squared()
    assert verdicts(check_gradients((model.loglikeobs, model.score_obs), PARAMS)) == {"params": "wrong"}


def test_so_is_that_of_functions_that_are_given_the_data():
    model = Logit()

    def loglike(params, X, y):
        z = X @ params
        return y * z - np.log1p(np.exp(z))

    def score(params, X, y):
        return (y - 1.0 / (1.0 + np.exp(-X @ params)))[:, None] * X

    report = check_gradients((loglike, score), (PARAMS, model.X, model.y))
    assert verdicts(report) == {"params": "right"}


class OfWeights:
    """A product whose backward pass takes no gradient, and returns that of its weights alone."""

    def __init__(self):
        self.W = np.random.default_rng(1).standard_normal((4, 3))

    def forward(self, x):
        self.x = x
        return self.W @ x

    def backward(self):
        return np.outer(np.ones(4), self.x)


def test_a_gradient_of_weights_that_agrees_is_that_of_the_weights():
    assert verdicts(check_gradients(OfWeights(), PARAMS)) == {"W": "right"}
