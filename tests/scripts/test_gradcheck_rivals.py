"""What the proof of the gradient checker stands on: cases of every form, the other checkers, random networks."""

import needs
import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.commands.parity.random_networks import random_network
from scripts.proof.bank.right_layers import Linear
from scripts.proof.bank.right_losses import MSE
from scripts.proof.bank.wrong_linear import LinearBiasUnsummed, LinearOneMillionth
from scripts.proof.gradient_cases import GradientCase, differences
from scripts.proof.kinks import kinks
from scripts.proof.planted_bugs import CORRECT, PLANTED
from scripts.proof.rivals import RIVALS

STEP = 2.0**-20


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_clears_right_layers_and_finds_a_flipped_sign(name):
    def says(make, seed):
        return RIVALS[name](GradientCase(*make(np.random.default_rng(seed))), np.random.default_rng(0))

    # Normalization, and 1 / p, bend so sharply that the strict threshold of a fixed step does not hold there.
    sharp = ("Norm", "OfProbabilities") if "1e-7" in name else ()
    kept = [make for _, make in CORRECT if not any(part in make.__qualname__ for part in sharp)]
    assert not any(says(make, index % 3) for index, make in enumerate(kept))
    flipped = next(bug.make for bug in PLANTED if bug.cause == "sign")
    assert all(says(flipped, seed) for seed in range(3))


@needs.torch
def test_rivals_see_what_their_tolerance_lets_them_see():
    def says(name, cls):
        return RIVALS[name](GradientCase(*cls.draw(np.random.default_rng(0))), np.random.default_rng(0))

    # One part in a million is far below torch's rtol of 1e-3, and far above the strict threshold of CS231n.
    assert not says("torch.autograd.gradcheck", LinearOneMillionth)
    assert says("CS231n's recipe, 1e-7", LinearOneMillionth)
    # Autograd in torch sums a gradient of shape (batch, n) for a bias of shape (n,) by itself.
    assert not says("torch.autograd.gradcheck", LinearBiasUnsummed)
    assert says("CS231n's recipe, 1e-4", LinearBiasUnsummed)


def test_a_case_gives_outputs_gradients_and_differences_of_every_form():
    rng = np.random.default_rng(0)
    x, grad_output = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    ours = nn.Linear(3, 2, rng=0, dtype=np.float64)
    assert ours.bias is not None
    student = Linear(ours.weight.data.copy(), ours.bias.data.copy())
    pair = (ours.forward, lambda _, g: ours.backward(g))
    cases = [GradientCase(target, x, None) for target in (ours, student, pair)]
    for case in cases:
        np.testing.assert_array_equal(case.forward(), x @ student.params["W"] + student.params["b"])
        np.testing.assert_array_equal(case.backward(grad_output)["input"], grad_output @ student.params["W"].T)
    assert [list(case.arrays) for case in cases] == [["input", "weight", "bias"], ["input", "W", "b"], ["input"]]
    slopes = differences(cases[1], "b", lambda at: (at(0.5) - at(-0.5)).sum())
    np.testing.assert_allclose(slopes, [4.0, 4.0])
    loss = GradientCase(MSE(), x, np.zeros_like(x))
    assert loss.forward().shape == ()
    np.testing.assert_allclose(loss.backward(np.array(3.0))["input"], 6.0 * x / 4)


def test_dropout_of_ours_draws_one_mask():
    case = GradientCase(nn.Sequential(nn.Dropout(0.5, rng=0)), np.ones((5, 6)), None)
    first = case.forward()
    assert set(np.unique(first)) == {0.0, 2.0}
    np.testing.assert_array_equal(case.forward(), first)


@pytest.mark.slow
@pytest.mark.numerical
def test_random_networks_hold_every_layer_and_every_loss_and_are_finite():
    layers, losses, depths = set(), set(), set()
    for seed in range(400):
        network = random_network(np.random.default_rng(seed))
        layers |= {type(layer) for layer in network.net.modules()}
        losses.add(type(network.loss))
        depths.add(sum(isinstance(layer, nn.Linear) for layer in network.net.modules()))
        assert np.isfinite(network.output).all()
        assert np.isfinite(network.loss(network.output, network.targets))
    assert layers == {
        *(nn.Linear, nn.Flatten, nn.Dropout, nn.BatchNorm1d, nn.LayerNorm, nn.Sequential),
        *nn.ACTIVATION_LAYERS.values(),
    }
    assert losses == {
        *(nn.CrossEntropyLoss, nn.NLLLoss, nn.MSELoss, nn.L1Loss, nn.HuberLoss),
        *(nn.BCEWithLogitsLoss, nn.PerceptronLoss),
    }
    assert depths == set(range(1, 7))


def test_one_seed_gives_one_network():
    one, other = (random_network(np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.net.parameters().data, other.net.parameters().data)
    np.testing.assert_array_equal(one.net(one.x), other.net(other.x))


def one_sided(case, grad_output, step):
    return differences(case, "input", lambda at: np.sum(grad_output * (at(step) - at(0.0))) / step)


def test_the_kinks_are_kinks():
    """Quotients to the left and to the right differ somewhere, and the claimed gradient lies between them."""
    rng = np.random.default_rng(0)
    *functions, (_, network, zeros, _) = kinks(rng)
    for name, *parts in functions:
        case = GradientCase(*parts)
        grad_output = rng.standard_normal(case.forward().shape)
        claimed = case.backward(grad_output)["input"]
        left, right = (one_sided(case, grad_output, side) for side in (-STEP, STEP))
        assert np.abs(right - left).max() > 0.01, name
        # Quotients are off by STEP f'' / 2 where f is curved, and by rounding, 2^-53 / STEP times the sum's size.
        assert np.all(claimed >= np.minimum(left, right) - 10.0 * STEP), name
        assert np.all(claimed <= np.maximum(left, right) + 10.0 * STEP), name
    # In the network each ReLU is at its kink, and backpropagation goes on from the 0 that each one gives.
    assert not np.any(network[0].forward(zeros))
    assert not np.any(GradientCase(network, zeros, None).backward(np.ones((4, 3)))["input"])
