"""Rosenblatt's perceptron: the rule, its equality with torch's SGD step, Novikoff's bound, and XOR."""

import math

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import numpy_nn as nn
from torch_ref import TorchPerceptron

signs = st.sampled_from([-1, 1])


@st.composite
def separable(draw):
    """Points of two classes, and a unit separator of the augmented points (x, 1) with its margin."""
    rng = np.random.default_rng(draw(our.seeds))
    n, d = draw(st.integers(1, 40)), draw(st.integers(1, 5))
    separator = rng.standard_normal(d + 1)
    separator /= np.linalg.norm(separator)
    x = rng.standard_normal((n, d))
    distance = x @ separator[:-1] + separator[-1]
    y = np.where(distance > 0, 1, -1)
    # Points near the plane are pushed away from it, along it if the plane is (nearly) all bias.
    x += np.outer(y * 0.1 / max(float(np.linalg.norm(separator[:-1])), 0.1), separator[:-1])
    return x, y, separator


@given(data=st.data(), d=st.integers(1, 6), y=signs, lr=st.floats(0.01, 4), dtype=our.dtypes)
def test_an_update_is_the_rule_and_torchs_sgd_step(data, d, y, lr, dtype):
    rng = np.random.default_rng(data.draw(our.seeds))
    x = rng.standard_normal(d).astype(dtype)
    perceptron, theirs = nn.Perceptron(d, lr, dtype=dtype), TorchPerceptron(d, torch.from_numpy(x).dtype)
    if data.draw(st.booleans()):  # otherwise f(x) = 0, which is a mistake
        perceptron.weight[:] = rng.standard_normal(d)
        perceptron.bias[...] = rng.standard_normal()
        with torch.no_grad():
            theirs.weight.copy_(torch.from_numpy(perceptron.weight))
            theirs.bias.copy_(torch.from_numpy(perceptron.bias))
    before, f = (perceptron.weight.copy(), perceptron.bias.copy()), perceptron.decision_function(x[None])[0]

    mistake = perceptron.update(x, y)
    assert mistake == (y * f <= 0)
    step = dtype(lr * y) if mistake else dtype(0)
    np.testing.assert_array_equal(perceptron.weight, before[0] + step * x)
    np.testing.assert_array_equal(perceptron.bias, before[1] + step)

    optimizer = torch.optim.SGD(theirs.parameters(), lr=lr)
    theirs.loss(torch.from_numpy(x), torch.tensor(y)).backward()
    optimizer.step()
    # Both add lr y x; torch may fuse the product and the sum. Each rounds at most twice, to within u of its size.
    size = np.abs(before[0]) + 2 * np.abs(step * x)
    assert np.all(np.abs(perceptron.weight - theirs.weight.detach().numpy()) <= 4 * np.finfo(dtype).eps / 2 * size)
    assert abs(perceptron.bias - theirs.bias.item()) <= 4 * np.finfo(dtype).eps / 2 * (abs(before[1]) + 2 * abs(step))


@given(problem=separable(), lr=st.sampled_from([1.0, 0.5, 0.25]))
def test_fit_makes_the_mistakes_that_torch_makes_epoch_by_epoch(problem, lr):
    x, y, _ = problem
    history = nn.Perceptron(x.shape[1], lr, dtype=np.float64).fit(x, y, max_epochs=20)
    theirs = TorchPerceptron(x.shape[1], torch.float64).fit(torch.from_numpy(x), torch.from_numpy(y), 20, lr)
    assert history.mistakes == theirs


@given(problem=separable(), lr=st.floats(0.01, 10), shuffle=st.booleans(), seed=our.seeds)
def test_it_converges_on_separable_points_within_novikoffs_bound(problem, lr, shuffle, seed):
    x, y, separator = problem
    bound = nn.novikoff_bound(x, y, separator[:-1], separator[-1])
    if bound > 3000:  # a plane through the points: convergence is certain, and slow
        return
    perceptron = nn.Perceptron(x.shape[1], lr, dtype=np.float64)
    history = perceptron.fit(x, y, max_epochs=3001, shuffle=shuffle, rng=seed)
    assert history.converged
    assert history.mistakes[-1] == 0
    # The bound itself is computed with a few roundings, and can be attained.
    assert history.total_mistakes <= bound * (1 + 1e-12)
    np.testing.assert_array_equal(perceptron.predict(x), y)
    assert not perceptron.loss(x, y).any()
    if perceptron.weight.any():  # with one class, the bias alone may do
        assert perceptron.margin(x, y) > 0
    assert history.total_mistakes <= perceptron.novikoff_bound(x, y) * (1 + 1e-12)


@pytest.mark.parametrize("signed", [True, False])
@given(lr=st.floats(0.01, 10), shuffle=st.booleans(), seed=our.seeds)
def test_it_never_converges_on_xor(signed, lr, shuffle, seed):
    x, y = nn.datasets.xor(signed=signed)
    history = nn.Perceptron(2, lr).fit(x, y, max_epochs=50, shuffle=shuffle, rng=seed)
    assert not history.converged
    assert len(history.mistakes) == 50
    assert min(history.mistakes) > 0


@given(problem=separable(), seed=our.seeds)
def test_shuffled_each_epoch_takes_the_points_in_an_order_of_its_own(problem, seed):
    x, y, _ = problem
    perceptron, by_hand = (nn.Perceptron(x.shape[1], dtype=np.float64) for _ in range(2))
    mistakes = perceptron.fit(x, y, 5, shuffle=True, rng=seed).mistakes
    rng = np.random.default_rng(seed)
    for made in mistakes:
        assert sum(by_hand.update(x[i], y[i]) for i in rng.permutation(len(x))) == made
    np.testing.assert_array_equal(perceptron.weight, by_hand.weight)


def test_by_default_it_gives_up_after_a_thousand_epochs():
    x, y = nn.datasets.xor()
    history = nn.Perceptron(2).fit(x, y)
    assert len(history.mistakes) == 1000
    assert not history.converged


def test_a_point_on_the_line_is_of_the_negative_class():
    x, y = nn.datasets.four_points()
    perceptron = nn.Perceptron(2)
    perceptron.fit(x, y)
    perceptron.weight[:], perceptron.bias[...] = [1.0, -1.0], 0.0
    np.testing.assert_array_equal(perceptron.predict(np.array([[3, 3], [3, 2.5]], np.float32)), [0, 1])


def test_the_four_labelled_points_of_the_tutorial_are_learned():
    x, y = nn.datasets.four_points()
    perceptron = nn.Perceptron(2)
    assert perceptron.fit(x, y).converged
    # Labels 0 and 1 went in, so they come out.
    np.testing.assert_array_equal(perceptron.predict(x), [1, 1, 0, 0])


@given(problem=separable())
def test_labels_zero_and_one_mean_minus_and_plus_one(problem):
    x, y, _ = problem
    signed, binary = (nn.Perceptron(x.shape[1], dtype=np.float64) for _ in range(2))
    mistakes = signed.fit(x, y, 20).mistakes, binary.fit(x, (y + 1) // 2, 20).mistakes
    assert mistakes[0] == mistakes[1]
    np.testing.assert_array_equal(signed.weight, binary.weight)
    np.testing.assert_array_equal(signed.loss(x, y), binary.loss(x, (y + 1) // 2))


@given(problem=separable(), scale=st.floats(1e-3, 1e3))
def test_loss_margin_and_bound_by_their_definitions(problem, scale):
    x, y, separator = problem
    perceptron = nn.Perceptron(x.shape[1], dtype=np.float64)
    perceptron.weight[:], perceptron.bias[...] = scale * separator[:-1], scale * separator[-1]
    f = x @ perceptron.weight + perceptron.bias
    np.testing.assert_array_equal(perceptron.decision_function(x), f)
    np.testing.assert_array_equal(perceptron.loss(x, y), np.maximum(0, -y * f))
    # A handful of roundings in each of the two ways to compute it.
    margin = (y * f).min() / np.linalg.norm(perceptron.weight)
    assert perceptron.margin(x, y) == pytest.approx(margin, rel=1e-13)
    augmented = np.hstack([x, np.ones((len(x), 1))])
    gamma = (y * (augmented @ separator)).min() / np.linalg.norm(separator)
    bound = (np.linalg.norm(augmented, axis=1).max() / gamma) ** 2
    assert nn.novikoff_bound(x, y, separator[:-1], separator[-1]) == pytest.approx(bound, rel=1e-12)
    assert perceptron.novikoff_bound(x, y) == pytest.approx(bound, rel=1e-10)


def test_what_does_not_separate_has_no_bound():
    x, y = nn.datasets.xor()
    assert nn.novikoff_bound(x, y, [1.0, 1.0], 0.0) == math.inf
    assert nn.novikoff_bound(x, y, [0.0, 0.0], 0.0) == math.inf
    assert nn.novikoff_bound([[1.0], [0.0]], [1, -1], [1.0], 0.0) == math.inf  # a point on the line


@given(x=st.lists(st.floats(-5, 5), min_size=2, max_size=2), y=signs, lr=st.floats(0.1, 2))
@example(x=[0.0, 0.0], y=1, lr=1.0)
def test_one_step_of_sgd_on_the_perceptron_loss_is_the_rule(x, y, lr):
    row = np.array([x])
    net = nn.Sequential(nn.Linear(2, 1, rng=0, dtype=np.float64))
    net.parameters().data[:] = 0.0 if x[0] > 2 else 0.5
    perceptron = nn.Perceptron(2, lr, dtype=np.float64)
    perceptron.weight[:], perceptron.bias[...] = net[0].weight.data[:, 0], net[0].bias.data[0]
    nn.train_step(net, nn.PerceptronLoss(), nn.SGD(net.parameters(), lr), row, np.array([[y]]))
    perceptron.update(row[0], y)
    np.testing.assert_allclose(net[0].weight.data[:, 0], perceptron.weight, rtol=0, atol=2**-50 * (1 + lr * 5))
    np.testing.assert_allclose(net[0].bias.data[0], perceptron.bias, rtol=0, atol=2**-50 * (1 + lr))


X, Y = nn.datasets.xor()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Perceptron(0), ValueError, "n_features: expected an integer >= 1"),
        (lambda: nn.Perceptron(2, lr=0.0), ValueError, "lr: expected a finite number > 0"),
        (lambda: nn.Perceptron(2, lr=np.nan), ValueError, "lr"),
        (lambda: nn.Perceptron(2, dtype=int), TypeError, "dtype"),
        (lambda: nn.Perceptron(3).fit(X, Y), ValueError, r"expected x of shape \(batch, 3\)"),
        (lambda: nn.Perceptron(2).fit(X[0], Y), ValueError, r"expected x of shape \(batch, 2\)"),
        (lambda: nn.Perceptron(2).fit(X[:0], Y[:0]), ValueError, "at least one row"),
        (lambda: nn.Perceptron(2).fit(X.astype(np.float64), Y), TypeError, "x: expected float32, got float64"),
        (lambda: nn.Perceptron(2).fit(X.astype(int), Y), TypeError, "x: expected an array of float32"),
        (lambda: nn.Perceptron(2).fit(X * np.float32(np.nan), Y), ValueError, "finite points"),
        (lambda: nn.Perceptron(2).fit(X, Y[:2]), ValueError, r"y: expected shape \(4,\), got \(2,\)"),
        (
            lambda: nn.Perceptron(2).fit(X, Y * 2),
            ValueError,
            r"y: expected labels -1 and \+1 or 0 and 1, got \[-2, 2\]",
        ),
        (lambda: nn.Perceptron(2).fit(X, np.array([-1, 0, 1, 1])), ValueError, "y: expected labels"),
        (lambda: nn.Perceptron(2).fit(X, np.array(list("abcd"))), TypeError, "y: expected labels"),
        (lambda: nn.Perceptron(2).fit(X, Y, 0), ValueError, "max_epochs: expected an integer >= 1"),
        (lambda: nn.Perceptron(2).update(X, 1), ValueError, r"expected x of shape \(batch, 2\)"),
        (lambda: nn.Perceptron(2).update(X[0], 3), ValueError, "y: expected labels"),
        (lambda: nn.Perceptron(2).margin(X, Y), ValueError, "weight other than 0"),
        (lambda: nn.novikoff_bound(X, Y, [1.0], 0.0), ValueError, r"x: expected shape \(batch, 1\)"),
        (
            lambda: nn.novikoff_bound(X[0], Y, [1.0, 1.0], 0.0),
            ValueError,
            r"x: expected shape \(batch, 2\).*got \(2,\)",
        ),
        (lambda: nn.novikoff_bound(X[:0], Y[:0], [1.0, 1.0], 0.0), ValueError, "at least one row"),
        (
            lambda: nn.Perceptron(1).fit(np.ones((7, 1), np.float32), np.arange(7)),
            ValueError,
            r"y: expected labels .*, got \[0, 1, 2, 3, 4\]$",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_repr():
    assert repr(nn.Perceptron(2, 0.5)) == "Perceptron(n_features=2, lr=0.5, dtype=float32)"
    assert repr(nn.Perceptron(3)) == "Perceptron(n_features=3, lr=1, dtype=float32)"
