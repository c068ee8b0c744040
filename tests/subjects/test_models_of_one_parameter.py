"""Methods of a model with one parameter, of the shape of its input; and what keeps results by the numbers asked for."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

REWARDS = np.array([0.3, -1.2, 0.8, 2.0])


class Bandit:
    def __init__(self, factor: float = 1.0) -> None:
        self.preferences, self.factor = np.linspace(-1.0, 1.0, 4), factor

    def policy(self) -> Any:
        p = np.exp(self.preferences)
        return p / p.sum()

    def expected_reward(self, rewards: Any) -> Any:
        return self.policy() @ rewards

    def gradient(self, rewards: Any) -> Any:
        """By the preferences, not by the rewards."""
        p = self.policy()
        return self.factor * p * (rewards - p @ rewards)

    def by_the_rewards(self, rewards: Any) -> Any:
        assert len(rewards) == len(self.preferences)
        return self.factor * self.policy()


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_the_one_gradient_is_that_of_the_parameter_if_the_numbers_say_so(factor, verdict):
    bandit = Bandit(factor)
    report = check_gradients((bandit.expected_reward, bandit.gradient), REWARDS)
    assert report.verdict == verdict, report
    if factor == 1.0:
        assert [entry.name for entry in report.entries] == ["preferences"]


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_else_it_is_that_of_the_input(factor, verdict):
    bandit = Bandit(factor)
    report = check_gradients((bandit.expected_reward, bandit.by_the_rewards), REWARDS, constants=["preferences"])
    assert report["rewards"].verdict == verdict, report


class Remembering:
    def __init__(self, key: Any, factor: float) -> None:
        self.w, self.key, self.factor = np.linspace(0.5, 1.5, 3), key, factor
        self.results: dict[Any, Any] = {}

    def forward(self, x: Any) -> Any:
        self.x, key = x, self.key(x, self.w)
        if key not in self.results:
            self.results[key] = np.sin(x * self.w)
        return self.results[key]

    def backward(self, grad_output: Any) -> Any:
        dz = grad_output * np.cos(self.x * self.w)
        self.dw = self.factor * (dz * self.x).sum(axis=0)
        return dz * self.w


@pytest.mark.parametrize("key", [lambda x, w: x.tobytes() + w.tobytes(), lambda x, w: (x.tobytes(), w.tobytes())])
def test_results_that_are_kept_for_the_very_numbers_are_no_parameters(key):
    x = np.random.default_rng(0).standard_normal((4, 3))
    assert check_gradients(Remembering(key, 1.0), x)
    report = check_gradients(Remembering(key, 2.0), x)
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "w": "wrong"}
