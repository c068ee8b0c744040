"""Losses of labels and of class probabilities: weights, labels that do not count, the weighted mean, bad input."""

import copy
import pickle

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients
from torch_ref import bounds, loss_to_torch
from torch_ref.parity import compare
from torch_ref.rounding import as_rounded

KINDS = [nn.CrossEntropyLoss, nn.NLLLoss]
Z = np.random.default_rng(0).standard_normal((4, 3))
Y = np.array([0, 2, -100, 1])
W = np.array([0.5, 2.0, 0.25])
sizes = st.tuples(st.integers(1, 32), st.integers(1, 12))


def value_and_gradient(loss, output, target):
    return loss(output, target), loss.backward()


def torchs(loss, output, target):
    leaf = torch.tensor(output, requires_grad=True)
    value = loss_to_torch(loss)(leaf, torch.tensor(target))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach().numpy(), gradient.numpy()


def held(loss, output, target):
    """What the value and the gradient may be on any machine."""
    with np.errstate(all="ignore"):
        return bounds.reduced_loss(loss, as_rounded(output), target)


def assert_within(found, rounded):
    """That each of several ways to compute a number ends where rounding alone can bring it."""
    for one in found:
        np.testing.assert_array_less(np.abs(one - rounded.value), np.nextafter(rounded.reach, np.inf))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, W, np.zeros(3)], ids=["unweighted", "weighted", "weightless"])
@pytest.mark.parametrize("labels", [[-100] * 4, Y], ids=["no row counts", "some count"])
@pytest.mark.parametrize(
    "make",
    [
        nn.CrossEntropyLoss,
        lambda **options: nn.CrossEntropyLoss(**options, label_smoothing=0.1),
        lambda **options: nn.CrossEntropyLoss(**options, label_smoothing=1.0),
        nn.NLLLoss,
    ],
    ids=["cross-entropy", "smoothed", "uniform", "nll"],
)
def test_where_nothing_counts_or_weighs_the_loss_is_torchs(make, labels, weight, reduction):
    loss, y = make(weight=weight, reduction=reduction), np.array(labels)
    ours, theirs, bound = value_and_gradient(loss, Z, y), torchs(loss, Z, y), held(loss, Z, y)
    if reduction == "mean" and (labels is not Y or (weight is not None and not weight.any())):
        # Divided by 0 there is no bound, and nothing that rounds: 0 or NaN.
        np.testing.assert_array_equal(ours[0], theirs[0])
        if isinstance(loss, nn.CrossEntropyLoss):  # NLLLoss has NaN all over a row here, torch at its label alone
            np.testing.assert_array_equal(ours[1], theirs[1])
        return
    assert compare("value", np.asarray(ours[0]), torch.from_numpy(theirs[0]), bound[0]).ok
    assert compare("gradient", ours[1], torch.from_numpy(theirs[1]), bound[1]).ok


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_of_no_rows_is_nan_with_a_gradient_of_0(kind):
    value, gradient = value_and_gradient(kind(), Z, np.full(4, -100))
    assert np.isnan(value)
    np.testing.assert_array_equal(gradient, np.zeros((4, 3)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("smoothing", [{}, {"label_smoothing": 0.1}])
def test_a_row_that_does_not_count_is_left_out_whatever_it_holds(kind, bad, smoothing):
    if kind is nn.NLLLoss and smoothing:
        return
    loss, z = kind(W, **smoothing), Z.copy()
    value, gradient = value_and_gradient(loss, z, Y)
    z[2, 1] = bad
    with np.errstate(invalid="ignore"):
        again = value_and_gradient(loss, z, Y)
    assert again[0] == value
    np.testing.assert_array_equal(again[1], gradient)
    loss.reduction = "none"
    with np.errstate(invalid="ignore"):
        assert loss(z, Y)[2] == 0.0
        assert not loss.backward(np.array([1.0, 1.0, np.inf, 1.0]))[2].any()


@given(data=st.data(), shape=sizes, dtype=our.dtypes)
def test_rows_that_do_not_count_may_as_well_be_missing(data, shape, dtype):
    rng = np.random.default_rng(data.draw(our.seeds))
    options = data.draw(our.label_losses(shape[1], dtype, rng))
    if options["ignore_index"] == 0:
        options["ignore_index"] = -1
    y = data.draw(our.labels(shape, options["ignore_index"], rng))
    z = rng.standard_normal(shape).astype(dtype)
    counts = y != options["ignore_index"]
    for loss in (
        nn.NLLLoss(**options),
        nn.CrossEntropyLoss(**options),
        nn.CrossEntropyLoss(**options, label_smoothing=0.3),
    ):
        value, gradient = value_and_gradient(loss, z, y)
        fewer, their_gradient = value_and_gradient(loss, z[counts], y[counts])
        rounded = held(loss, z[counts], y[counts])
        assert_within((value[counts] if loss.reduction == "none" else value, fewer), rounded[0])
        assert_within((gradient[counts], their_gradient), rounded[1])
        assert not gradient[~counts].any()


@given(data=st.data(), shape=sizes, smoothing=st.sampled_from([0.0, 0.25]), weighted=st.booleans())
def test_a_label_is_the_probability_1_of_its_class(data, shape, smoothing, weighted):
    rng = np.random.default_rng(data.draw(our.seeds))
    y, z = rng.integers(0, shape[1], shape[0]), 3 * rng.standard_normal(shape)
    weight = rng.uniform(0.1, 2.0, shape[1]) if weighted else None
    loss = nn.CrossEntropyLoss(weight, reduction="sum", label_smoothing=smoothing)
    of_labels = loss.score(z, y), loss.backward()
    one_hot = np.eye(shape[1])[y]
    of_probabilities = loss.score(z, one_hot), loss.backward()
    assert of_labels[0].correct == of_probabilities[0].correct
    value, gradient = (a.either(b) for a, b in zip(held(loss, z, y), held(loss, z, one_hot), strict=True))
    assert_within((of_labels[0].loss, of_probabilities[0].loss), value)
    assert_within((of_labels[1], of_probabilities[1]), gradient)


@given(data=st.data(), shape=sizes)
def test_nll_after_log_softmax_is_cross_entropy(data, shape):
    rng = np.random.default_rng(data.draw(our.seeds))
    options = data.draw(our.label_losses(shape[1], np.float64, rng))
    if options["ignore_index"] == 0:
        options["ignore_index"] = -1
    z, y = rng.standard_normal(shape), data.draw(our.labels(shape, options["ignore_index"], rng))
    layer, nll, whole = nn.LogSoftmax(), nn.NLLLoss(**options), nn.CrossEntropyLoss(**options)
    value, gradient = held(whole, z, y)
    logs = bounds.forward(layer, as_rounded(z))
    by_parts, grad_logs = bounds.reduced_loss(nll, logs, y)
    assert_within((nll(layer(z), y), whole(z, y)), value.either(by_parts))
    both = layer.backward(nll.backward()), whole.backward()
    assert_within(both, gradient.either(bounds.backward(layer, as_rounded(z), grad_logs)[0]))


def test_the_gradient_is_the_softmax_less_the_target_scaled_by_the_weights():
    z, y = Z[[0, 1, 3]], Y[[0, 1, 3]]
    softmax, one_hot, w = bounds.softmax(as_rounded(z)), as_rounded(np.eye(3)[y]), np.broadcast_to(W, (3, 3))
    loss = nn.CrossEntropyLoss(W, reduction="none", label_smoothing=0.1)
    q = (one_hot * 0.9 + 0.1 / 3) * w
    expected = softmax * q.sum(axis=1, keepdims=True) - q
    assert_within((value_and_gradient(loss, z, y)[1],), expected.either(held(loss, z, y)[1]))
    loss = nn.CrossEntropyLoss(W)
    expected = (softmax - one_hot) * W[y][:, None] / as_rounded(W[y]).sum()
    assert_within((value_and_gradient(loss, z, y)[1],), expected.either(held(loss, z, y)[1]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [">i2", ">i4", ">i8", ">u4", "<i4", "u1", "i1"])
def test_labels_of_any_byte_order_and_width_are_read_rightly(kind, dtype):
    y = np.array([0, 2, 1, 1])
    right, loss = value_and_gradient(kind(W), Z, y), kind(W)
    value, gradient = value_and_gradient(loss, Z, y.astype(dtype))
    assert value == right[0]
    np.testing.assert_array_equal(gradient, right[1])
    with pytest.raises(ValueError, match="got 3 in row 1"):
        loss(Z, np.array([0, 3, 1, 1]).astype(dtype))


def test_a_class_may_be_the_label_that_does_not_count():
    loss = nn.CrossEntropyLoss(ignore_index=1, reduction="sum")
    expected = nn.CrossEntropyLoss(reduction="sum")(Z[:2], np.array([0, 2]))
    # Two rows are added up, with nothing beside them but zeros.
    assert loss(Z, np.array([0, 2, 1, 1])) == expected


def test_a_class_that_is_masked_out_takes_no_part():
    z = np.array([[1.0, -np.inf, 0.0]])
    loss = nn.CrossEntropyLoss(W, reduction="sum")
    two = nn.CrossEntropyLoss(W[[0, 2]], reduction="sum")
    assert loss(z, np.array([0])) == two(z[:, [0, 2]], np.array([0]))
    assert loss.backward()[0, 1] == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_do_not_count_are_not_right(kind):
    best = Z.argmax(axis=1)
    assert kind().score(Z, best).correct == 4
    best[1] = -100
    assert kind().score(Z, best).correct == 3
    assert kind(ignore_index=int(best[0])).score(Z[:1], best[:1]).correct == 0


def test_of_probabilities_the_most_probable_class_is_the_right_one():
    p = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]])
    z = np.array([[1.0, 3.0, 2.0], [0.0, 1.0, 4.0]])
    assert nn.CrossEntropyLoss(np.array([1.0, 1.0, 0.01])).score(z, p).correct == 1


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_gradient_checker_finds_them_right(reduction, smoothing):
    p = np.random.default_rng(1).dirichlet(np.ones(3), 4)
    loss = nn.CrossEntropyLoss(W.astype(np.float32), reduction=reduction, label_smoothing=smoothing)
    assert check_gradients(loss, Z, Y).ok
    assert check_gradients(loss, Z, p).ok
    assert check_gradients(nn.NLLLoss(W, reduction=reduction), Z, Y).ok


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))])
def test_a_copy_begins_before_any_forward_call(kind, copied):
    loss = kind(W, ignore_index=2)
    expected = value_and_gradient(loss, Z, np.array([0, 2, 2, 1]))
    other = copied(loss)
    assert repr(other) == repr(loss)
    with pytest.raises(ValueError, match="backward needs a forward call"):
        other.backward()
    assert other.row_weights is None
    assert other.left_out is None
    value, gradient = value_and_gradient(other, Z, np.array([0, 2, 2, 1]))
    assert value == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])


@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_results_belong_to_whoever_holds_them(kind):
    weight = W.copy()
    loss = kind(weight, reduction="none")
    terms, gradient = value_and_gradient(loss, Z, Y)
    expected = terms.copy(), gradient.copy()
    weight.fill(7.0)
    terms.fill(np.nan)
    gradient.fill(np.nan)
    np.testing.assert_array_equal(loss.backward(), expected[1])
    np.testing.assert_array_equal(loss(Z, Y), expected[0])


def test_a_call_says_nothing_of_the_one_before():
    loss = nn.CrossEntropyLoss()
    p = np.full((4, 3), 1 / 3)
    expected = value_and_gradient(nn.CrossEntropyLoss(), Z, p)
    loss(Z, Y)
    value, gradient = value_and_gradient(loss, Z, p)
    assert value == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])
    y = np.array([0, 2, 1, 1])
    assert loss(Z, y) == nn.CrossEntropyLoss()(Z, y)


def test_a_repr_says_what_is_not_the_default():
    assert repr(nn.NLLLoss()) == "NLLLoss(reduction='mean')"
    assert repr(nn.NLLLoss(W, 1, "sum")) == "NLLLoss(weight=[0.5, 2, 0.25], ignore_index=1, reduction='sum')"
    assert repr(nn.CrossEntropyLoss(label_smoothing=0.1)) == "CrossEntropyLoss(reduction='mean', label_smoothing=0.1)"


SINGLE = Z.astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda kind: kind(-W), ValueError, r"weight: expected finite weights >= 0, got -2 .. -0.25"),
        (lambda kind: kind(W / 0.0), ValueError, "weight: expected finite weights >= 0, got inf .. inf"),
        (lambda kind: kind(W * np.nan), ValueError, "weight: expected finite weights >= 0, got nan"),
        (lambda kind: kind(np.array([1, 2])), TypeError, "weight: expected an array of float32 or float64, got"),
        (lambda kind: kind("mean"), TypeError, "weight: expected an array of float32 or float64, got str"),
        (lambda kind: kind(0.1), ValueError, r"weight: expected one number for each class, got shape \(\)"),
        (lambda kind: kind(ignore_index=0.5), TypeError, "ignore_index: expected an integer, got float 0.5"),
        (lambda kind: kind(ignore_index=None), TypeError, "ignore_index: expected an integer"),
        (lambda kind: kind(W[:2])(Z, Y), ValueError, "weight: expected 3 numbers, one for each class, got 2"),
        (lambda kind: kind(W)(SINGLE, Y), TypeError, r"weight: expected float32, got float64; convert it with .astype"),
        (lambda kind: kind(ignore_index=-1)(Z, Y), ValueError, "or ignore_index=-1 for rows to leave out, got -100 in"),
        (lambda kind: kind()(Z, np.array([0, 3, 1, 1])), ValueError, r"labels in 0 .. 2, .*, got 3 in row 1 of target"),
        (lambda kind: kind()(Z, np.array([0.0, 1.0, 2.0, 0.0])), TypeError, "target: expected an array of integers"),
        (lambda kind: kind()(Z, np.zeros((4, 3), int)), ValueError, r"target of shape \(4,\), got \(4, 3\)"),
        (lambda kind: kind()(Z[0], Y), ValueError, r"output of shape \(batch, classes\), got \(3,\)"),
    ],
)
def test_bad_input_is_named_with_what_helps(kind, call, error, message):
    with np.errstate(divide="ignore"), pytest.raises(error, match=message) as refused:
        call(kind)
    assert str(refused.value).startswith(kind.__name__)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("loss", "output", "target", "error", "message"),
    [
        (nn.CrossEntropyLoss(), Z, np.ones(4), TypeError, r"probabilities of shape \(4, 3\), .* with .astype"),
        (nn.CrossEntropyLoss(), Z, SINGLE, TypeError, "target: expected float64, got float32; convert it with"),
        (nn.CrossEntropyLoss(), SINGLE, Z, TypeError, "target: expected float32, got float64; convert it with"),
        (nn.CrossEntropyLoss(), Z, np.ones((4, 2)), ValueError, r"target of the output's shape \(4, 3\), got \(4, 2\)"),
        (nn.CrossEntropyLoss(ignore_index=1), Z, abs(Z), ValueError, "ignore_index=1 goes with labels"),
        (nn.CrossEntropyLoss(W[:2]), Z, abs(Z), ValueError, "expected 3 numbers, one for each class, got 2"),
        (nn.CrossEntropyLoss(), Z[0], Z[0], ValueError, r"output of shape \(batch, classes\), got \(3,\)"),
        (nn.NLLLoss(), Z, abs(Z), TypeError, "NLLLoss: target: expected an array of integers, got an array of float64"),
    ],
)
def test_bad_probabilities_are_named(loss, output, target, error, message):
    with pytest.raises(error, match=message):
        loss(output, target)
