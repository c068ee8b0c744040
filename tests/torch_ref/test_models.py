"""The tutorial's models in PyTorch: the perceptron, the MLP from bare parameters, the MLP in short form."""

import math

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import numpy_nn as nn
from torch_ref import ScratchMLP, TorchPerceptron, concise_mlp
from torch_ref.parity import compare
from torch_ref.rounding import as_rounded

TORCH_DTYPES = [torch.float32, torch.float64]


@st.composite
def points(draw):
    """Whole points and labels, separable or not: small whole numbers, with which neither engine rounds."""
    n, features = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    x = draw(hnp.arrays(np.float64, (n, features), elements=st.integers(-3, 3).map(float)))
    return x, draw(hnp.arrays(np.int64, n, elements=st.sampled_from([-1, 1])))


@given(data=points(), max_epochs=st.integers(1, 8), lr=st.sampled_from([1.0, 0.5]))
def test_the_perceptron_by_autograd_makes_rosenblatt_s_mistakes_and_weights(data, max_epochs, lr):
    x, y = data
    ours = nn.Perceptron(x.shape[1], lr, dtype=np.float64)
    theirs = TorchPerceptron(x.shape[1], torch.float64)
    mistakes = theirs.fit(torch.from_numpy(x), torch.from_numpy(y), max_epochs, lr)
    assert mistakes == ours.fit(x, y, max_epochs).mistakes
    np.testing.assert_array_equal(theirs.weight.detach().numpy(), ours.weight)
    assert theirs.bias.item() == ours.bias
    np.testing.assert_array_equal(theirs(torch.from_numpy(x)).detach().numpy(), ours.decision_function(x))
    assert theirs.loss(torch.from_numpy(x), torch.from_numpy(y)).item() == ours.loss(x, y).sum()


@pytest.mark.parametrize("label", [-1.0, 1.0])
def test_a_point_on_the_line_counts_as_a_mistake(label):
    model = TorchPerceptron(2)
    x = torch.tensor([3.0, -2.0])
    loss = model.loss(x, torch.tensor(label))
    assert loss.item() == 0.0
    # With the weights 0, f is 0; the loss's derivative by f is -y there.
    weight_gradient, bias_gradient = torch.autograd.grad(loss, [model.weight, model.bias])
    assert torch.equal(weight_gradient, -label * x)
    assert bias_gradient.item() == -label


def test_the_perceptron_separates_the_four_points_and_then_stops():
    x, y = nn.datasets.four_points()
    model = TorchPerceptron(2)
    signs = torch.from_numpy(2 * y - 1)
    mistakes = model.fit(torch.from_numpy(x), signs)
    assert mistakes[-1] == 0
    assert all(mistakes[:-1])
    assert torch.equal(torch.sign(model(torch.from_numpy(x))), signs.float())


def assert_normal(weights, std):
    """Mean and standard deviation are those of N(0, std^2), to within six of their own standard errors."""
    n = weights.numel()
    values = weights.detach().double()
    assert abs(values.mean().item()) <= 6 * std / math.sqrt(n)
    assert abs(values.std().item() - std) <= 6 * std / math.sqrt(2 * n)


@given(seed=our.seeds, std=st.sampled_from([0.01, 1.0]))
def test_the_scratch_mlp_begins_with_normal_weights_and_biases_0(seed, std):
    model = ScratchMLP(100, 40, 50, std=std, generator=torch.Generator().manual_seed(seed))
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == {
        "W1": (100, 40),
        "b1": (40,),
        "W2": (40, 50),
        "b2": (50,),
    }
    assert_normal(model.W1, std)
    assert_normal(model.W2, std)
    assert not model.b1.any()
    assert not model.b2.any()


def test_the_scratch_mlp_is_the_tutorial_s_by_default():
    model = ScratchMLP()
    assert [tuple(p.shape) for p in model.parameters()] == [(784, 64), (64,), (64, 10), (10,)]
    assert_normal(model.W1, 1.0)


@given(data=st.data(), dtype=our.dtypes, n=st.integers(1, 8))
def test_the_scratch_mlp_is_relu_of_x_w1_b1_times_w2_and_b2(data, dtype, n):
    sizes = data.draw(st.tuples(*[st.integers(1, 20)] * 3))
    generator = torch.Generator().manual_seed(data.draw(our.seeds))
    model = ScratchMLP(*sizes, generator=generator, dtype=torch.float32 if dtype is np.float32 else torch.float64)
    with torch.no_grad():
        for bias in (model.b1, model.b2):
            bias.normal_(generator=generator)
    w1, b1, w2, b2 = (p.detach().numpy() for p in model.parameters())
    x = data.draw(our.float_arrays((n, sizes[0]), dtype, limit=100.0))
    bound = (as_rounded(x) @ w1 + b1).maximum(0.0) @ w2 + b2
    output = model(torch.tensor(np.ascontiguousarray(x)))
    assert compare("output", np.maximum(x @ w1 + b1, 0) @ w2 + b2, output, bound).ok


def test_the_scratch_relu_is_a_maximum_whose_derivative_at_a_tie_is_a_half():
    x = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    y = ScratchMLP.relu(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert y.tolist() == [0.0, 0.0, 2.0]
    assert gradient.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("make", [ScratchMLP, concise_mlp])
def test_images_are_taken_as_rows(make):
    model = make()
    images = torch.rand(5, 1, 28, 28)
    assert model(images).shape == (5, 10)
    assert torch.equal(model(images), model(images.reshape(5, 784)))


@given(seed=our.seeds, std=st.sampled_from([0.01, 1.0]), dtype=st.sampled_from(TORCH_DTYPES))
def test_the_concise_mlp_has_normal_weights_and_torch_s_default_biases(seed, std, dtype):
    model = concise_mlp(100, 40, 50, std=std, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    assert [type(layer).__name__ for layer in model] == ["Flatten", "Linear", "ReLU", "Linear"]
    for linear, fan_in, fan_out in ((model[1], 100, 40), (model[3], 40, 50)):
        assert linear.weight.shape == (fan_out, fan_in)
        assert linear.weight.dtype is linear.bias.dtype is dtype
        assert_normal(linear.weight, std)
        # Uniform on +- 1 / sqrt(fan_in), which may be rounded up: all of 40 or 50 in its inner half are 1 in 2^40.
        largest = torch.abs(linear.bias).max().item() * math.sqrt(fan_in)
        assert 0.5 <= largest <= 1.0 + 2.0**-23
    assert concise_mlp()[1].weight.shape == (64, 784)


@pytest.mark.parametrize("make", [ScratchMLP, concise_mlp])
def test_one_seed_gives_one_model(make):
    first, again, other = (make(generator=torch.Generator().manual_seed(seed)).state_dict() for seed in (0, 0, 1))
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name]), name
    assert not torch.equal(next(iter(first.values())), next(iter(other.values())))
