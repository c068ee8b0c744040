"""Causes that are named only where the numbers hold them up: small fractions, scores and targets of a loss."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain.factors import as_fraction
from numpy_nn.gradcheck.measure.evidence import FIT

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal(6), RNG.standard_normal(6)


@pytest.mark.parametrize(
    ("ratio", "fraction"),
    [
        (1 / 784, "1/784"),
        (27.0, "27"),
        (25 / 36, "25/36"),
        (0.999, "999/1000"),
        (0.99, "99/100"),
        (599 / 330, None),  # one in 16 numbers is as near to a fraction of such
        (1.8151519, None),
        (np.sqrt(2), None),
    ],
)
def test_a_fraction_is_named_if_it_is_no_chance_hit(ratio, fraction):
    found = as_fraction(ratio, FIT)
    assert (found and str(found)) == fraction


def huber(pred: Any, target: Any) -> Any:
    e = np.abs(pred - target)
    return np.where(e <= 0.5, 0.5 * e**2, 0.5 * (e - 0.25)).mean()


def squared(pred: Any, target: Any) -> Any:
    return (pred - target) / pred.size


def test_a_loss_that_is_no_cross_entropy_misses_no_softmax():
    for prediction in (X, 10 * X):
        report = check_gradients((huber, squared), prediction, Y)
        assert report["pred"].verdict == "wrong"
        assert getattr(report["pred"].diagnosis, "cause", "") != "softmax_missing"


def weighted(scores: Any, target: Any) -> Any:
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return -(WEIGHTS * target * np.log(p)).sum()


WEIGHTS = np.array([[0.5], [1.0], [3.0], [2.0]])


def test_one_of_weighted_samples_does():
    target = np.eye(3)[[0, 2, 1, 1]]
    report = check_gradients((weighted, lambda scores, target: scores - target), RNG.standard_normal((4, 3)), target)
    assert getattr(report["scores"].diagnosis, "cause", "") == "softmax_missing"


def test_a_term_of_a_dice_loss_that_is_off_by_a_factor_is_no_missing_target():
    target = (X > 0).astype(float)

    def dice(pred: Any, target: Any) -> Any:
        return 1 - (2 * (pred * target).sum() + 1) / (pred.sum() + target.sum() + 1)

    def dice_gradient(pred: Any, target: Any) -> Any:
        top, bottom = 2 * (pred * target).sum() + 1, pred.sum() + target.sum() + 1
        return -(target * bottom - top) / bottom**2

    report = check_gradients((dice, dice_gradient), np.abs(Y), target)
    assert getattr(report["pred"].diagnosis, "cause", "") != "target_missing"
