"""Losses: value and gradient against torch within derived bounds, reductions, and everything that is refused."""

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import numpy_nn as nn
from torch_ref import bounds, loss_to_torch
from torch_ref.parity import compare
from torch_ref.rounding import as_rounded

sizes = st.tuples(st.integers(1, 64), st.integers(1, 16))


@given(data=st.data(), shape=sizes, dtype=our.dtypes)
def test_value_and_gradient_equal_torch_within_the_derived_bound(data, shape, dtype):
    output = data.draw(our.float_arrays(shape, dtype))
    loss, target = data.draw(our.losses_with_targets(shape, dtype))
    before = output.copy(), target.copy()
    leaf = torch.tensor(np.ascontiguousarray(output), requires_grad=True)
    theirs = loss_to_torch(loss)(leaf, torch.tensor(target.astype(np.int64) if target.dtype.kind in "iu" else target))
    with np.errstate(all="ignore"):
        held = bounds.reduced_loss(loss, as_rounded(output), target)
    value = loss(output, target)
    assert compare("value", np.asarray(value, dtype), theirs, held[0]).ok
    gradient = loss.backward()
    assert gradient.dtype == dtype
    (their_gradient,) = torch.autograd.grad(theirs.sum(), leaf)
    assert compare("gradient", gradient, their_gradient, held[1]).ok
    np.testing.assert_array_equal(output, before[0])
    np.testing.assert_array_equal(target, before[1])


@given(data=st.data(), shape=sizes, dtype=our.dtypes)
def test_the_gradient_of_the_terms_multiplies_each(data, shape, dtype):
    output = data.draw(our.float_arrays(shape, dtype, limit=10.0, laid_out=False))
    loss, target = data.draw(our.losses_with_targets(shape, dtype))
    loss.reduction = "none"
    terms = loss(output, target).copy()
    plain = loss.backward().copy()
    grad_output = np.random.default_rng(0).standard_normal(terms.shape).astype(dtype)
    expected = plain * grad_output.reshape(grad_output.shape + (1,) * (plain.ndim - grad_output.ndim))
    np.testing.assert_array_equal(loss.backward(grad_output), expected)


@given(data=st.data(), shape=sizes)
def test_sum_and_mean_are_those_of_the_terms(data, shape):
    output = data.draw(our.float_arrays(shape, np.float64, limit=100.0))
    loss, target = data.draw(our.losses_with_targets(shape, np.float64))
    loss.reduction = "none"
    terms = loss(output, target).copy()
    gradient = loss.backward().copy()
    for reduction, divisor in (
        ("sum", 1),
        ("mean", terms.size if loss.row_weights is None else loss.row_weights.sum()),
    ):
        loss.reduction = reduction
        # The same numbers are added in the same order: only the division rounds, value and gradient once or twice;
        # among subnormal numbers by half of the smallest one each.
        np.testing.assert_allclose(loss(output, target), terms.sum() / divisor, rtol=2**-51, atol=2**-1073)
        np.testing.assert_allclose(loss.backward(), gradient / divisor, rtol=2**-51, atol=2**-1073)


@given(data=st.data(), parts=st.integers(1, 8), size=st.integers(1, 8), classes=st.integers(2, 10))
def test_the_gradient_of_a_batch_is_the_mean_of_its_parts(data, parts, size, classes):
    """For a whole network: all parts have the same number of rows, so the batch's mean is the mean of their means."""
    net = nn.MLP([5, 7, classes], "tanh", rng=data.draw(our.seeds), dtype=np.float64)
    rng = np.random.default_rng(data.draw(our.seeds))
    x, y = rng.standard_normal((parts * size, 5)), rng.integers(0, classes, parts * size)
    loss = nn.CrossEntropyLoss()

    def gradient(rows):
        loss(net(x[rows]), y[rows])
        net.backward(loss.backward())
        return net.parameters().grad.copy()

    whole = gradient(slice(None))
    terms = np.array([gradient(slice(i * size, (i + 1) * size)) for i in range(parts)])
    # Every entry sums one product for each row, of size at most |x| |delta| <= 1 * max|x|; each row passes some 20
    # roundings on its way through two layers, the loss and back.
    n, u = parts * size, 2.0**-53
    scale = np.abs(x).max() + 1.0
    assert np.all(np.abs(whole - terms.mean(axis=0)) <= 2 * (n + 64) * u * scale * 7)


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_large_logits_do_not_overflow(dtype):
    big = dtype(1e30)
    z = np.array([[big, -big, 0], [-big, big, 0]], dtype)
    loss = nn.CrossEntropyLoss(reduction="none")
    np.testing.assert_array_equal(loss(z, np.array([0, 0])), np.array([0, 2 * big], dtype))
    np.testing.assert_array_equal(loss.backward(), np.array([[0, 0, 0], [-1, 1, 0]], dtype))
    binary = nn.BCEWithLogitsLoss(reduction="none")
    np.testing.assert_array_equal(binary(z, (z > 0).astype(dtype)), np.array([[0, 0, np.log(dtype(2))]] * 2, dtype))


@given(logits=our.float_arrays(st.tuples(st.integers(1, 20), st.integers(1, 10)), np.float32), seed=our.seeds)
@example(logits=np.zeros((20, 3), np.float32), seed=0)
@example(logits=np.array([[1.0, np.nan], [np.nan, 1.0]], np.float32), seed=0)
def test_cross_entropy_counts_the_rows_whose_first_largest_logit_is_the_label_s(logits, seed):
    labels = np.random.default_rng(seed).integers(0, logits.shape[1], len(logits))
    loss = nn.CrossEntropyLoss()
    assert loss.score(logits, labels).correct == np.count_nonzero(logits.argmax(axis=1) == labels)


def test_the_other_losses_count_the_right_side_or_nothing():
    f = np.array([[2.0], [-1.0], [0.0], [3.0]])
    binary, perceptron, squared = nn.BCEWithLogitsLoss(), nn.PerceptronLoss(), nn.MSELoss()
    assert binary.score(f, np.array([[1.0], [0.0], [1.0], [0.0]])).correct == 2
    # The side of a half is that of no.
    assert binary.score(f, np.array([[0.5], [0.25], [0.75], [0.25]])).correct == 1
    assert perceptron.score(f, np.array([[1], [-1], [1], [-1]])).correct == 2
    assert squared.score(f, f).correct is None


@given(f=st.floats(-10, 10), y=st.sampled_from([-1, 1]))
@example(f=0.0, y=1)
@example(f=-0.0, y=-1)
def test_the_perceptron_loss_takes_its_kink_for_a_mistake(f, y):
    loss = nn.PerceptronLoss()
    assert loss(np.array([f]), np.array([y])) == max(0.0, -y * f)
    assert loss.backward() == (-y if y * f <= 0 else 0.0)


def ones(*shape):
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.CrossEntropyLoss(reduction="avg"),
            ValueError,
            "CrossEntropyLoss: reduction: expected one of 'mean'",
        ),
        (lambda: nn.MSELoss(reduction=None), ValueError, "MSELoss: reduction"),
        (
            lambda: nn.CrossEntropyLoss(label_smoothing=1.5),
            ValueError,
            "label_smoothing: expected a finite number >= 0 and <= 1",
        ),
        (lambda: nn.CrossEntropyLoss(label_smoothing=np.nan), ValueError, "label_smoothing"),
        (lambda: nn.CrossEntropyLoss(label_smoothing="mean"), TypeError, "label_smoothing: expected a number"),
        (
            lambda: nn.CrossEntropyLoss()(ones(2, 3), np.array([0, 3])),
            ValueError,
            r"labels in 0 .. 2, or .*, got 3 in row 1",
        ),
        (
            lambda: nn.CrossEntropyLoss()(ones(2, 3), np.array([-1, 0])),
            ValueError,
            r"labels in 0 .. 2, or ignore_index=-100 .*, got -1 in row 0",
        ),
        (lambda: nn.CrossEntropyLoss()(ones(2, 3), np.array([0])), ValueError, r"target of shape \(2,\), got \(1,\)"),
        (lambda: nn.CrossEntropyLoss()(ones(2, 3), ones(2)), TypeError, "target: expected an array of integers"),
        (
            lambda: nn.CrossEntropyLoss()(ones(2, 3), np.array([True, False])),
            TypeError,
            "expected an array of integers",
        ),
        (lambda: nn.CrossEntropyLoss()(ones(6), np.zeros(6, int)), ValueError, r"shape \(batch, classes\)"),
        (lambda: nn.CrossEntropyLoss()(ones(0, 3), np.zeros(0, int)), ValueError, "at least one row"),
        (lambda: nn.CrossEntropyLoss()(ones(2, 0), np.zeros(2, int)), ValueError, "at least one row"),
        (
            lambda: nn.CrossEntropyLoss()(np.ones((2, 3), int), np.zeros(2, int)),
            TypeError,
            "output: expected an array of",
        ),
        (lambda: nn.MSELoss()(np.array([None]), ones(1)), TypeError, "output: expected an array of float32"),
        (lambda: nn.MSELoss()(ones(2, 1), ones(2)), ValueError, r"target of the output's shape \(2, 1\), got \(2,\)"),
        (lambda: nn.MSELoss()(ones(2), np.ones(2)), TypeError, "target: expected float32, got float64"),
        (lambda: nn.MSELoss()(ones(2), np.ones(2, int)), TypeError, "target: expected an array of float32"),
        (lambda: nn.BCEWithLogitsLoss()(ones(2), 2 * ones(2)), ValueError, r"targets in \[0, 1\], got 2 .. 2"),
        (lambda: nn.BCEWithLogitsLoss()(ones(1), np.array([np.nan], "f")), ValueError, r"targets in \[0, 1\], got nan"),
        (lambda: nn.PerceptronLoss()(ones(2), np.array([0, 1])), ValueError, r"targets -1 and \+1"),
        (lambda: nn.PerceptronLoss()(ones(2), np.array([1.0, 0.5], "f")), ValueError, r"targets -1 and \+1"),
        (lambda: nn.MSELoss().backward(), ValueError, "MSELoss: backward needs a forward call"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_gradient_of_the_terms_that_does_not_fit_is_refused():
    loss = nn.MSELoss()
    loss(ones(2), ones(2))
    with pytest.raises(ValueError, match='"none" only, not "mean"'):
        loss.backward(ones(2))
    loss = nn.MSELoss("none")
    loss(ones(2), ones(2))
    with pytest.raises(ValueError, match=r"grad_output of shape \(2,\), got \(3,\)"):
        loss.backward(ones(3))
    with pytest.raises(TypeError, match="grad_output: expected float32, got float64"):
        loss.backward(np.ones(2))


def test_a_refused_call_leaves_nothing_to_go_back_through():
    loss = nn.MSELoss()
    loss(ones(2), ones(2))
    with pytest.raises(ValueError, match="shape"):
        loss(ones(2), ones(3))
    with pytest.raises(ValueError, match="backward needs a forward call"):
        loss.backward()


def test_a_smaller_batch_after_a_larger_one_is_seen_alone():
    loss, rng = nn.CrossEntropyLoss(), np.random.default_rng(0)
    z, y = rng.standard_normal((8, 3)), rng.integers(0, 3, 8)
    loss(z, y)
    value = loss(z[:3], y[:3])
    gradient = loss.backward().copy()
    fresh = nn.CrossEntropyLoss()
    assert value == fresh(z[:3], y[:3])
    np.testing.assert_array_equal(gradient, fresh.backward())
