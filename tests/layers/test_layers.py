"""Layers one by one: forward and backward against torch, the contract that all keep, and what each refuses."""

import re

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients
from torch_ref import bounds, parity, to_torch
from torch_ref.parity import compare
from torch_ref.rounding import as_rounded


@given(data=st.data(), n=our.rows, width=our.widths, dtype=our.dtypes)
def test_output_and_gradients_equal_torch_within_the_derived_bound(data, n, width, dtype):
    layer = data.draw(our.layers(width, dtype, n))
    x = data.draw(our.float_arrays((n, width), dtype))
    twin, before = to_torch(layer), x.copy()
    leaf = torch.tensor(np.ascontiguousarray(x), requires_grad=True)
    with np.errstate(all="ignore"):
        held = bounds.forward(layer, as_rounded(x))
        output = layer(x).copy()
        theirs = twin(leaf)
        assert compare("output", output, theirs, held).ok

        g = data.draw(our.float_arrays(output.shape, dtype))
        wanted = [leaf, *twin.parameters()]
        their_gradients = torch.autograd.grad(theirs, wanted, torch.tensor(np.ascontiguousarray(g)))
        input_bound, parameter_bounds = bounds.backward(layer, as_rounded(x), as_rounded(g))
        gradient = layer.backward(g)
    assert compare("input gradient", gradient, their_gradients[0], input_bound).ok
    for (name, p), their_gradient in zip(layer.named_parameters(), their_gradients[1:], strict=True):
        assert compare(name, p.grad, their_gradient, parameter_bounds[name], transpose=True).ok
    np.testing.assert_array_equal(x, before)


@given(data=st.data(), n=our.rows, width=our.widths, dtype=our.dtypes)
def test_a_smaller_batch_after_a_larger_one_is_seen_alone(data, n, width, dtype):
    layer = data.draw(our.layers(width, dtype, n)).eval()
    if isinstance(layer, nn.BatchNorm1d):
        layer = our.tracked(layer)
    rng = np.random.default_rng(data.draw(our.seeds))
    x, rows = rng.standard_normal((n, width)).astype(dtype), data.draw(st.integers(1, n))
    fresh = to_torch_and_back(layer)
    layer.backward(np.ones_like(layer(x)))
    output = layer(x[:rows]).copy()
    g = rng.standard_normal(output.shape).astype(dtype)
    # The same rows in a fresh layer: the same shapes, so the same arithmetic, bit for bit.
    np.testing.assert_array_equal(output, fresh(x[:rows]))
    np.testing.assert_array_equal(layer.backward(g), fresh.backward(g))


def to_torch_and_back(layer):
    from torch_ref import from_torch

    return from_torch(to_torch(layer))


@given(data=st.data(), n=our.rows, width=our.widths, dtype=our.dtypes)
def test_backward_parameters_writes_what_backward_writes(data, n, width, dtype):
    layer = data.draw(our.layers(width, dtype, n))
    x = np.random.default_rng(data.draw(our.seeds)).standard_normal((n, width)).astype(dtype)
    g = np.cos(layer(x))
    layer.backward(g)
    full = [p.grad.copy() for p in layer.parameters()]
    for p in layer.parameters():
        p.grad.fill(np.nan)
    layer.backward_parameters(g)
    for p, grad in zip(layer.parameters(), full, strict=True):
        np.testing.assert_array_equal(p.grad, grad)


@given(data=st.data(), momentum=st.sampled_from([None, 0.1, 1.0]), batches=st.integers(1, 6), dtype=our.dtypes)
def test_running_statistics_follow_torch_batch_by_batch(data, momentum, batches, dtype):
    layer = nn.BatchNorm1d(3, momentum=momentum, dtype=dtype)
    twin = to_torch(layer)
    rng = np.random.default_rng(data.draw(our.seeds))
    for _ in range(batches):
        x = (rng.standard_normal((int(rng.integers(2, 20)), 3)) * 3 + 1).astype(dtype)
        held = bounds.running_statistics(layer, as_rounded(x), dict(layer.named_buffers()))
        layer(x)
        twin(torch.tensor(x))
        for name, bound in held.items():
            assert (np.abs(getattr(layer, name) - bound.value) <= bound.reach).all()
            # From one batch to the next torch starts where it stands; its distance from us only shrinks by 1 - rate.
            row = compare(name, getattr(layer, name), getattr(twin, name), bound)
            assert row.share <= batches
        assert layer.num_batches_tracked == twin.num_batches_tracked.item()


@given(p=st.sampled_from([0.1, 0.5, 0.9]), seed=our.seeds, dtype=our.dtypes)
def test_dropout_keeps_each_entry_with_its_probability_and_scales_it(p, seed, dtype):
    layer, n = nn.Dropout(p, rng=seed), 4000
    x = np.full((n, 1), 3.0, dtype)
    output = layer(x)
    kept = output != 0
    np.testing.assert_array_equal(output[kept], np.multiply(x[kept], dtype(1.0 / (1.0 - p))))
    # Six standard deviations of a binomial share.
    assert abs(kept.mean() - (1 - p)) <= 6 * np.sqrt(p * (1 - p) / n)
    np.testing.assert_array_equal(layer.backward(np.ones_like(x)) != 0, kept)


@pytest.mark.parametrize(("p", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_dropout_of_nothing_and_of_everything(p, expected):
    layer = nn.Dropout(p)
    np.testing.assert_array_equal(layer(np.ones((3, 2))), np.full((3, 2), expected))
    np.testing.assert_array_equal(layer.backward(np.ones((3, 2))), np.full((3, 2), expected))


def test_dropout_is_seeded_and_off_in_evaluation_mode():
    x = np.ones((5, 7), np.float32)
    np.testing.assert_array_equal(nn.Dropout(0.5, rng=3)(x), nn.Dropout(0.5, rng=3)(x))
    np.testing.assert_array_equal(nn.Dropout(0.5, rng=3).eval()(x), x)


@given(data=st.data(), n=our.rows, dtype=our.dtypes)
def test_flatten_is_a_reshape_in_c_order_there_and_back(data, n, dtype):
    shape = (n, *data.draw(st.lists(st.integers(1, 5), max_size=3)))
    x = data.draw(our.float_arrays(shape, dtype))
    layer = nn.Flatten()
    output = layer(x)
    np.testing.assert_array_equal(output, x.reshape(n, -1))
    np.testing.assert_array_equal(layer.backward(output.copy()), x)


def test_prelu_takes_any_shape_with_one_slope():
    layer = nn.PReLU(dtype=np.float64)
    x = np.linspace(-2, 2, 24).reshape(2, 3, 4)
    np.testing.assert_array_equal(layer(x), np.where(x > 0, x, 0.25 * x))
    layer.backward(np.ones_like(x))
    # Twelve terms of a sum in another order.
    assert layer.weight.grad[0] == pytest.approx(np.minimum(x, 0).sum(), rel=12 * 2**-53)


@given(data=st.data(), lead=our.shapes, own=st.lists(st.integers(1, 5), min_size=1, max_size=3), dtype=our.dtypes)
def test_layer_norm_over_any_axes_of_any_array_equals_torch_within_the_derived_bound(data, lead, own, dtype):
    layer = data.draw(our.layer_norms(tuple(own), dtype))
    x = data.draw(our.float_arrays((*lead[:2], *own), dtype)) + dtype(data.draw(st.sampled_from([0, 1, -1e4])))
    twin = to_torch(layer)
    leaf = torch.tensor(np.ascontiguousarray(x), requires_grad=True)
    g = data.draw(our.float_arrays(x.shape, dtype))
    with np.errstate(all="ignore"):
        held = bounds.forward(layer, as_rounded(x)), *bounds.backward(layer, as_rounded(x), as_rounded(g))
        output = layer(x)
        gradient = layer.backward(g)
    theirs = twin(leaf)
    their_gradients = torch.autograd.grad(theirs, [leaf, *twin.parameters()], torch.tensor(np.ascontiguousarray(g)))
    assert compare("output", output, theirs, held[0]).ok
    assert compare("input gradient", gradient, their_gradients[0], held[1]).ok
    for (name, p), their_gradient in zip(layer.named_parameters(), their_gradients[1:], strict=True):
        assert compare(name, p.grad, their_gradient, held[2][name]).ok


def test_layer_norm_is_the_same_in_evaluation_and_sees_each_row_alone():
    layer, x = nn.LayerNorm(4, dtype=np.float64), np.random.default_rng(0).standard_normal((3, 5, 4))
    output = layer(x)
    np.testing.assert_array_equal(layer.eval()(x), output)
    np.testing.assert_array_equal(layer(x[1:2]), output[1:2])


def test_parity_holds_for_layer_norm_of_images_in_a_network():
    rng = np.random.default_rng(0)
    layers = nn.LayerNorm((4, 3)), nn.Flatten(), nn.Linear(12, 6, rng=0), nn.LayerNorm(6, bias=False), nn.ReLU()
    x = rng.standard_normal((8, 4, 3)).astype(np.float32)
    parity(nn.Sequential(*layers), x, rng.integers(0, 6, 8), nn.CrossEntropyLoss(), steps=2).raise_if_failed()


@pytest.mark.parametrize("shape", [4, (3, 4), (2, 3, 4)])
def test_the_gradients_of_layer_norm_are_right(shape):
    layer, rng = nn.LayerNorm(shape, dtype=np.float64), np.random.default_rng(1)
    for p in layer.parameters():
        p.data[...] = rng.normal(1.0, 0.5, p.shape)
    assert check_gradients(layer, rng.standard_normal((5, 2, 3, 4))).ok


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(784, 64),
        nn.Linear(3, 2, bias=False),
        nn.ReLU(),
        nn.LeakyReLU(0.2),
        nn.PReLU(3),
        nn.ELU(2.0),
        nn.GELU("tanh"),
        nn.Hardtanh(-2.0, 2.0),
        nn.LayerNorm(3),
        nn.LayerNorm((3, 4), eps=0.001, bias=False),
        nn.LayerNorm(3, elementwise_affine=False),
        nn.Softmax(1),
        nn.LogSoftmax(1),
        nn.Identity(),
    ],
)
def test_repr_is_torchs(layer):
    ours, theirs = repr(layer), repr(to_torch(layer))
    if isinstance(layer, nn.LayerNorm) and "bias" not in theirs:  # older versions of torch did not show it
        ours = re.sub(r", bias=\w+", "", ours)
    assert ours == theirs


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("Linear", (3, 2)), ("BatchNorm1d", (3,)), ("LayerNorm", (3,)), ("Dropout", ()), ("LeakyReLU", ()), ("ELU", ()),
        ("GELU", ()), ("Hardtanh", ()), ("PReLU", ()),
    ],
)  # fmt: skip
def test_what_is_not_said_of_a_layer_is_as_in_torch(name, sizes):
    ours, theirs = to_torch(getattr(nn, name)(*sizes)), getattr(torch.nn, name)(*sizes)
    assert repr(ours) == repr(theirs)
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    if name == "PReLU":
        assert ours.weight.item() == theirs.weight.item() == 0.25


def test_softmax_is_of_the_last_axis_and_softplus_of_beta_1_if_nothing_else_is_said():
    assert nn.Softmax().dim == nn.LogSoftmax().dim == -1
    assert to_torch(nn.Softplus()).beta == torch.nn.Softplus().beta == 1.0


def test_repr_of_dropout_and_batch_norm_begins_as_torchs():
    # torch shows a further setting of its own behind these.
    assert repr(nn.Dropout(0.25)) == "Dropout(p=0.25)"
    assert repr(to_torch(nn.Dropout(0.25))).startswith("Dropout(p=0.25")
    layer = nn.BatchNorm1d(7, momentum=None, affine=False)
    assert repr(layer) == "BatchNorm1d(7, eps=1e-05, momentum=None, affine=False, track_running_stats=True)"
    assert repr(to_torch(layer)).startswith("BatchNorm1d(7, eps=1e-05, momentum=None, affine=False")


BATCH = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Linear(784, 64)(np.ones((64, 28, 28), "f")), ValueError,
         r"^Linear\(784, 64\): expected input of shape \(batch, 784\), got \(64, 28, 28\); put Flatten\(\) before it$"),
        (lambda: nn.Linear(3, 2)(np.ones(3, "f")), ValueError, r"got \(3,\); a single row is x\[None, :\]"),
        (lambda: nn.Linear(3, 2)(np.ones((2, 4), "f")), ValueError, r"input of shape \(batch, 3\), got \(2, 4\)$"),
        (lambda: nn.Linear(3, 2)(np.ones((0, 3), "f")), ValueError, "at least one row"),
        (lambda: nn.Linear(3, 2)(np.ones((2, 3))), TypeError, r"expected float32 input, got float64; use x.astype"),
        (lambda: nn.Linear(3, 2)(np.ones((2, 3), int)), TypeError, r"Linear\(3, 2\): input: expected an array"),
        (lambda: nn.Linear(3, 2)(np.array([[None] * 3])), TypeError, "got an array of object"),
        (lambda: nn.Linear(3, 2)([[1.0, 2.0, 3.0]]), TypeError, "expected float32 input, got float64"),
        (lambda: nn.Linear(0, 2), ValueError, "in_features: expected an integer >= 1, got 0"),
        (lambda: nn.Linear(3, 2.5), TypeError, "out_features: expected an integer, got float 2.5"),
        (lambda: nn.Linear(3, True), TypeError, "out_features: expected an integer, got bool"),
        (lambda: nn.Linear(3, 2, dtype=np.float16), TypeError, "dtype: expected float32 or float64"),
        (lambda: nn.Linear(3, 2, dtype="nonsense"), TypeError, "dtype: expected float32 or float64, got 'nonsense'"),
        (lambda: nn.Linear(3, 2, dtype=None), TypeError, "dtype: expected float32 or float64, got None"),
        (lambda: nn.Linear(3, 2, rng="seed"), TypeError, "rng: expected an integer, got str"),
        (lambda: nn.Linear(3, 2, rng=-1), ValueError, "rng: expected an integer >= 0"),
        (lambda: nn.ReLU()(np.ones((2, 2), int)), TypeError, r"ReLU\(\): input: expected an array of float32"),
        (lambda: nn.ReLU()(np.ones((0, 2))), ValueError, "at least one row"),
        (lambda: nn.ReLU()(np.array(1.0)), ValueError, "at least one row"),
        (lambda: nn.Flatten()(np.ones((0, 2))), ValueError, "at least one row"),
        (lambda: nn.Dropout(1.5), ValueError, "p: expected a finite number >= 0 and <= 1, got 1.5"),
        (lambda: nn.Dropout(np.nan), ValueError, "p: expected"),
        (lambda: nn.Dropout()(np.ones((0, 2))), ValueError, "at least one row"),
        (lambda: nn.BatchNorm1d(3)(BATCH[:1]), ValueError, r"more than one row to take a variance of, got"),
        (lambda: nn.BatchNorm1d(4)(BATCH), ValueError, r"expected input of shape \(batch, 4\), got \(2, 3\)"),
        (lambda: nn.BatchNorm1d(3, eps=-1.0), ValueError, "eps"),
        (lambda: nn.BatchNorm1d(3, momentum=2.0), ValueError, "momentum"),
        (lambda: nn.LayerNorm(())(BATCH), ValueError, r"normalized_shape: expected at least one axis, got \(\)"),
        (lambda: nn.LayerNorm((3, 0)), ValueError, "normalized_shape: expected an integer >= 1, got 0"),
        (lambda: nn.LayerNorm(2.0), TypeError, "normalized_shape: expected an integer, got float 2.0"),
        (lambda: nn.LayerNorm(3, eps=-1.0), ValueError, "eps"),
        (lambda: nn.LayerNorm(4)(BATCH), ValueError, r"expected input of shape \(batch, ..., 4\), got \(2, 3\)$"),
        (lambda: nn.LayerNorm((2, 3))(BATCH), ValueError, r"got \(2, 3\); a single row is x\[None, :\]"),
        (lambda: nn.LayerNorm(3)(BATCH.astype(float)), TypeError, "expected float32 input, got float64"),
        (lambda: nn.LayerNorm(3)(BATCH[:0]), ValueError, "at least one row"),
        (lambda: nn.LayerNorm(3, elementwise_affine=False)(BATCH.astype(int)), TypeError, "expected an array of float"),
        (lambda: nn.LeakyReLU(np.inf), ValueError, "negative_slope"),
        (lambda: nn.ELU("a"), TypeError, "alpha: expected a number"),
        (lambda: nn.GELU("exact"), ValueError, "approximate: expected one of 'none', 'tanh', got 'exact'"),
        (lambda: nn.Softplus(0.0), ValueError, "beta: expected a finite number > 0, got 0.0"),
        (lambda: nn.Hardtanh(1.0, 1.0), ValueError, "min_val: expected a finite number < 1, got 1.0"),
        (lambda: nn.PReLU(0), ValueError, "num_parameters"),
        (lambda: nn.PReLU(3)(np.ones((2, 4), "f")), ValueError, r"expected input of shape \(batch, 3\)"),
        (lambda: nn.PReLU()(np.ones((2, 4))), TypeError, "expected float32 input, got float64"),
        (lambda: nn.Softmax(0), ValueError, "dim: expected -1 or 1"),
        (lambda: nn.Softmax()(np.ones(3)), ValueError, r"expected input of shape \(batch, classes\), got \(3,\)"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


EVERY_LAYER = [
    nn.Linear(3, 3),
    nn.Flatten(),
    nn.Dropout(),
    nn.Dropout().eval(),
    nn.BatchNorm1d(3),
    nn.LayerNorm(3),
    *(kind() for kind in nn.ACTIVATION_LAYERS.values()),
]


@pytest.mark.parametrize("layer", EVERY_LAYER, ids=repr)
def test_backward_checks_that_there_was_a_forward_and_that_the_gradient_fits(layer):
    layer.forget()
    with pytest.raises(ValueError, match="backward needs a forward call before it"):
        layer.backward(BATCH)
    layer(BATCH)
    with pytest.raises(ValueError, match=r"expected grad_output of shape \(2, 3\), got \(3, 2\)"):
        layer.backward(BATCH.reshape(3, 2))
    with pytest.raises(TypeError, match="expected float32 grad_output, got float64"):
        layer.backward(BATCH.astype(np.float64))
    layer.backward(BATCH)


def test_a_layer_of_ones_own_needs_forward_and_backward():
    class Nothing(nn.Layer):
        pass

    with pytest.raises(NotImplementedError, match="Nothing has no forward"):
        Nothing()(BATCH)
    with pytest.raises(NotImplementedError, match="Nothing has no backward"):
        Nothing().backward(BATCH)


def test_flatten_is_advised_only_where_it_would_help():
    layer = nn.Linear(12, 5, rng=0)
    with pytest.raises(ValueError, match="put Flatten"):
        layer(np.zeros((2, 3, 4), np.float32))
    with pytest.raises(ValueError, match=r"got \(2, 3, 5\)$"):
        layer(np.zeros((2, 3, 5), np.float32))
    assert layer.output_shape((7, 12)) == (7, 5)
