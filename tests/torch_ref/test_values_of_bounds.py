"""What the bounds are around: in float64 each formula gives the number that the engine gives, for every setting."""

import itertools

import numpy as np
import pytest

import numpy_nn as nn
from torch_ref import bounds
from torch_ref.bounds import activations, label_losses, layers
from torch_ref.bounds.optimizers import ENGINES
from torch_ref.rounding import as_rounded

RNG = np.random.default_rng(0)
START, GRADIENTS = RNG.standard_normal(4), RNG.standard_normal((4, 4))


def settings(**choices):
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


FOR_ADAM = settings(amsgrad=[False, True], weight_decay=[0.0, 0.1], betas=[(0.9, 0.99), (0.4, 0.5)])
OPTIMIZERS = [
    *((nn.SGD, given) for given in settings(momentum=[0.0, 0.9], weight_decay=[0.0, 0.1], maximize=[False, True])),
    (nn.SGD, {"momentum": 0.9, "nesterov": True}),
    (nn.SGD, {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    *(
        (nn.Adam, given)
        for given in settings(amsgrad=[False, True], weight_decay=[0.0, 0.1], betas=[(0.9, 0.99), (0.4, 0.5)])
    ),
    (nn.Adam, {"eps": 0.1, "maximize": True}),
    *((nn.AdamW, given) for given in settings(amsgrad=[False, True], weight_decay=[0.0, 0.3])),
    *((nn.RMSprop, given) for given in settings(centered=[False, True], momentum=[0.0, 0.9], alpha=[0.9, 0.4])),
    (nn.RMSprop, {"eps": 0.1, "weight_decay": 0.1, "maximize": True}),
]


@pytest.mark.parametrize(("kind", "given"), OPTIMIZERS)
def test_both_ways_to_write_a_step_are_the_step(kind, given):
    p = nn.Parameter(START.copy())
    optimizer = kind([p], lr=0.05, **given)
    steps = bounds.OptimizerBound(optimizer, START)
    assert len(steps._engines) == 2
    for gradient in GRADIENTS:
        p.grad = gradient.copy()
        optimizer.step()
        found = steps.step(gradient)
        for engine in steps._engines:
            np.testing.assert_allclose(engine.p.value, p.data, rtol=1e-12)
        assert np.abs(found.value - p.data).max() <= 1e-14
        # A bound on a few roundings of numbers of size 1.
        assert 0.0 < found.error.max() < 1e-13
    assert any(isinstance(optimizer, one) for one in ENGINES)


def test_a_step_with_another_rate_is_taken_with_it():
    p = nn.Parameter(START.copy())
    optimizer = nn.SGD([p], lr=0.05)
    steps = bounds.OptimizerBound(optimizer, START)
    optimizer.param_groups[0]["lr"] = 0.5
    np.testing.assert_allclose(steps.step(GRADIENTS[0]).value, START - 0.5 * GRADIENTS[0], rtol=1e-14)


WEIGHTS, SHARES = np.array([0.5, 3.0]), np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
OF_LABELS = {"weight": [None, WEIGHTS], "ignore_index": [-100, 0], "reduction": ["mean", "sum", "none"]}
LOSSES = [
    *(
        (kind(reduction=how), RNG.standard_normal((3, 2)))
        for kind in (nn.MSELoss, nn.L1Loss)
        for how in ("mean", "sum", "none")
    ),
    *((nn.HuberLoss(delta=delta), 3.0 * RNG.standard_normal((3, 2))) for delta in (0.5, 2.0)),
    *((nn.BCEWithLogitsLoss(reduction=how), RNG.random((3, 2))) for how in ("mean", "sum")),
    *(
        (nn.PerceptronLoss(reduction=how), np.where(RNG.random((3, 2)) > 0.5, 1.0, -1.0))
        for how in ("mean", "sum", "none")
    ),
    *((nn.CrossEntropyLoss(reduction=how), np.array([0, 1, 1])) for how in ("mean", "sum", "none")),
    (nn.CrossEntropyLoss(label_smoothing=0.1), np.array([0, 1, 1])),
    *((nn.NLLLoss(reduction=how), np.array([0, 1, 1])) for how in ("mean", "sum")),
    *(
        (nn.CrossEntropyLoss(**given), np.array([0, 1, 1]))
        for given in settings(**OF_LABELS, label_smoothing=[0.0, 0.1])
    ),
    *((nn.CrossEntropyLoss(**given), SHARES) for given in settings(weight=[None, WEIGHTS], label_smoothing=[0.0, 0.1])),
    *((nn.NLLLoss(**given), np.array([0, 1, 1])) for given in settings(**OF_LABELS)),
    *(
        (nn.BCEWithLogitsLoss(**given), SHARES)
        for given in settings(weight=[None, WEIGHTS], pos_weight=[None, WEIGHTS])
    ),
]


@pytest.mark.parametrize(("loss", "target"), LOSSES)
def test_a_loss_and_its_gradient_are_the_engine_s(loss, target):
    output = RNG.standard_normal((3, 2))
    value, gradient = bounds.reduced_loss(loss, as_rounded(output), target)
    exact = loss(output, target)
    np.testing.assert_allclose(value.value, exact, rtol=1e-12, atol=1e-14)
    grad = loss.backward(np.ones(np.shape(exact))) if loss.reduction == "none" else loss.backward()
    np.testing.assert_allclose(gradient.value, grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("loss", "target", "is_written_down"),
    [
        (nn.CrossEntropyLoss(), np.array([0, 1]), False),
        (nn.CrossEntropyLoss(label_smoothing=0.1), np.array([0, 1]), True),
        (nn.CrossEntropyLoss(), SHARES, True),
    ],
)
def test_the_shares_of_classes_are_written_down_where_there_are_several_in_a_row(loss, target, is_written_down):
    assert label_losses.is_written_down(loss, target) == is_written_down


@pytest.mark.parametrize("layer", [nn.Linear(3, 2, rng=0, dtype=np.float64), nn.LayerNorm(3, dtype=np.float64)])
def test_a_layer_has_the_parameters_that_it_is_given_or_else_its_own(layer):
    x = RNG.standard_normal((4, 3))
    np.testing.assert_allclose(layers.forward(layer, as_rounded(x)).value, layer.forward(x), rtol=1e-12)
    given = {name: as_rounded(2.0 * p.data + 0.25) for name, p in layer.named_parameters()}
    found = layers.forward(layer, as_rounded(x), given).value
    for name, p in layer.named_parameters():
        p.data[...] = given[name].value
    np.testing.assert_allclose(found, layer.forward(x), rtol=1e-12)


def test_in_float32_the_error_function_may_be_another_polynomial():
    x = np.linspace(-2.0, 2.0, 9)
    for dtype, is_wider in ((np.float32, True), (np.float64, False)):
        given = as_rounded(x.astype(dtype))
        assert (activations._erf(given).error > given.erf().error).any() == is_wider
