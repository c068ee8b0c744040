"""The bounds, away from any library: each formula on machines that draw how they compute, and on the worst of them.

No machine may leave a bound, in whatever order it sums, with or without fused steps, with as bad a library as is
allowed. And no bound may be much wider than what the worst machine reaches: wider, it would hide mistakes.
"""

from functools import partial
from unittest.mock import patch

import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st
from machine import Arithmetic, Machine, Worst

import numpy_nn as nn
from scripts.accuracy.exact_activations import CASES
from torch_ref import bounds
from torch_ref.bounds import layers
from torch_ref.rounding import Rounded, as_rounded


def assert_within(machine, rounded):
    """Every entry, but for those where the machine overflows, which no bound is about."""
    assert machine.shape == rounded.shape
    with np.errstate(all="ignore"):
        distance = np.abs(machine.value.astype(np.float64) - rounded.value)
    outside = np.isfinite(machine.value) & ~(distance <= rounded.reach)
    assert not outside.any(), (machine.value[outside], rounded.value[outside], rounded.error[outside])


def hold(formula, arrays, how):
    """Whatever the formula yields, by name, lies on the machine within its bound."""
    with np.errstate(all="ignore"):
        held, computed = formula(*map(as_rounded, arrays)), formula(*(Machine(a, how) for a in arrays))
    for name, rounded in held.items():
        assert_within(computed[name], rounded)


def of_layer(layer):
    """Output, input gradient and parameter gradients of a layer, from x, G and its parameters."""
    names = [name for name, _ in layer.named_parameters()]

    def formula(x, g, *parameters):
        p = dict(zip(names, parameters, strict=True))
        gradient, gradients = bounds.backward(layer, x, g, p)
        results = {"output": bounds.forward(layer, x, p), "input gradient": gradient}
        if isinstance(layer, nn.BatchNorm1d) and layer.training:
            results |= bounds.running_statistics(layer, x, dict(layer.named_buffers()))
        return results | {f"{name} gradient": gradient for name, gradient in gradients.items()}

    return formula


def of_loss(loss, target):
    return lambda o: dict(zip(("value", "gradient"), bounds.reduced_loss(loss, o, target), strict=True))


def of_steps(optimizer):
    def formula(p, *gradients):
        steps = bounds.OptimizerBound(optimizer, p)
        return {f"step {i}": steps.step(g) for i, g in enumerate(gradients)}

    return formula


machines = our.seeds.map(np.random.default_rng)


@pytest.mark.parametrize("dtype", our.DTYPES)
@given(data=st.data(), n=st.integers(1, 6), width=st.integers(1, 12))
def test_no_machine_leaves_the_bounds_of_a_layer(dtype, data, n, width):
    layer = data.draw(our.layers(width, dtype, n))
    x = data.draw(our.float_arrays((n, width), dtype, laid_out=False))
    g = data.draw(our.float_arrays((n, *layer.output_shape((width,))), dtype, laid_out=False))
    how = Arithmetic(data.draw(machines), dtype)
    hold(of_layer(layer), [x, g, *(p.data for p in layer.parameters())], how)


@pytest.mark.parametrize("dtype", our.DTYPES)
@given(data=st.data(), lead=our.shapes, own=st.lists(st.integers(1, 4), min_size=1, max_size=2), machine=machines)
def test_no_machine_leaves_the_bounds_of_layer_norm_over_any_axes(dtype, data, lead, own, machine):
    layer = data.draw(our.layer_norms(tuple(own), dtype))
    x, g = (data.draw(our.float_arrays((*lead[:2], *own), dtype, laid_out=False)) for _ in range(2))
    hold(of_layer(layer), [x, g, *(p.data for p in layer.parameters())], Arithmetic(machine, dtype))


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("fan_in", [784, 4096])
@given(machine=machines, seed=our.seeds, reach=st.sampled_from([1e-3, 1.0, 1e3]))
@our.fewer(0.1)
def test_no_machine_leaves_the_bounds_of_a_wide_layer_with_a_large_bias(dtype, fan_in, machine, seed, reach):
    layer, rng = nn.Linear(fan_in, 3, rng=seed, dtype=dtype), np.random.default_rng(seed)
    x, g = (rng.standard_normal((2, columns)).astype(dtype) for columns in (fan_in, 3))
    weight, bias = (p.data for p in layer.parameters())
    hold(of_layer(layer), [x, g, weight, bias * dtype(reach * fan_in**0.5)], Arithmetic(machine, dtype))


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.activation.elementwise])
@given(data=st.data(), machine=machines)
def test_no_machine_leaves_the_bounds_of_an_activation(name, dtype, data, machine):
    case = CASES[name]
    value, derivative = bounds.ACTIVATIONS[case.activation.name]
    options = case.arguments(dtype)
    x = data.draw(our.float_arrays(st.just((16,)), dtype, laid_out=False))
    hold(
        lambda x: {"value": value(x, **options), "derivative": derivative(x, **options)},
        [x],
        Arithmetic(machine, dtype),
    )


@pytest.mark.parametrize("dtype", our.DTYPES)
@given(data=st.data(), shape=st.tuples(st.integers(1, 12), st.integers(1, 8)), machine=machines)
def test_no_machine_leaves_the_bounds_of_a_loss(dtype, data, shape, machine):
    loss, target = data.draw(our.losses_with_targets(shape, dtype))
    o = data.draw(our.float_arrays(shape, dtype, laid_out=False))
    hold(of_loss(loss, target), [o], Arithmetic(machine, dtype))


@pytest.mark.parametrize("dtype", our.DTYPES)
@given(data=st.data(), shape=our.shapes, steps=st.integers(1, 6), machine=machines, seed=our.seeds)
def test_no_machine_leaves_the_bounds_of_an_optimizer(dtype, data, shape, steps, machine, seed):
    p = data.draw(our.float_arrays(shape, dtype, limit=10.0, laid_out=False))
    optimizer = data.draw(our.optimizers([nn.Parameter(p.copy())]))
    rng, scale = np.random.default_rng(seed), 10.0 ** data.draw(st.integers(-4, 2))
    gradients = [(rng.standard_normal(shape) * scale).astype(dtype) for _ in range(steps)]
    hold(of_steps(optimizer), [p, *gradients], Arithmetic(machine, dtype))


# How many times wider than what the worst machine reaches a bound may be, at the median entry. A sum has a rounding
# fewer than terms, and a machine cannot have all its roundings in the direction that does the most harm. Layer norm and
# batch norm in training take means away, in which errors that the rules count twice cancel.
CEILING, CEILING_OF_STATISTICS = 4.0, 16.0
DRAWS = 40


# How far formula 7.1.26 of Abramowitz and Stegun is from erf, the largest difference between two ways to one number;
# half as much again, as GELU multiplies it with x.
ONE_NUMBER = 1.5 * 1.5e-7
either = Rounded.either


def either_of_one_number(self, other):
    """As ``either``, for two formulas of the same number: a wrong one would only make the bound wide."""
    gap = np.abs(self.value - other.value).max(initial=0.0)
    assert gap <= ONE_NUMBER * np.abs(self.value).max(initial=1.0), gap
    return either(self, other)


def assert_not_wide(formula, arrays, ceiling=CEILING, dtype=np.float32):
    """At most so many times what the worst machine reaches; a bound that none can reach is 0."""
    with np.errstate(all="ignore"), patch.object(Rounded, "either", either_of_one_number):
        held = formula(*map(as_rounded, arrays))
        reached = {name: np.zeros(rounded.shape) for name, rounded in held.items()}
        for seed in range(DRAWS):
            how = Arithmetic(np.random.default_rng(seed), dtype)
            for name, machine in formula(*(Worst(a, how) for a in arrays)).items():
                reached[name] = np.maximum(reached[name], np.abs(machine.value - held[name].value))
    for name, rounded in held.items():
        # The allowance for underflow is not what this is about.
        relevant = rounded.error > 100.0 * np.finfo(dtype).tiny
        if relevant.any():
            share = np.median(reached[name][relevant] / rounded.error[relevant])
            assert share >= 1.0 / ceiling, (name, share)


RNG = np.random.default_rng(0)
X, G = RNG.standard_normal((2, 8, 6)).astype(np.float32)
WEIGHT = np.linspace(0.25, 2.0, 6, dtype=np.float32)


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(6, 5, rng=0),
        nn.Linear(6, 5, bias=False, rng=0),
        nn.Softmax(),
        nn.LogSoftmax(),
        nn.PReLU(6),
        nn.PReLU(),
        nn.BatchNorm1d(6).eval(),
        nn.BatchNorm1d(6),
        nn.BatchNorm1d(6, affine=False),
        nn.BatchNorm1d(6, affine=False).eval(),
        nn.LayerNorm(6),
        nn.LayerNorm(6, elementwise_affine=False),
    ],
    ids=repr,
)
def test_the_bounds_of_a_layer_are_not_much_wider_than_what_the_worst_machine_reaches(layer):
    by_statistics = isinstance(layer, nn.LayerNorm) or (isinstance(layer, nn.BatchNorm1d) and layer.training)
    g = G[:, : layer.output_shape((6,))[0]]
    arrays = [X, g, *(p.data for p in layer.parameters())]
    assert_not_wide(of_layer(layer), arrays, CEILING_OF_STATISTICS if by_statistics else CEILING)


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("fan_in", [784, 4096])
def test_the_bound_of_a_wide_layer_is_not_much_wider_either(fan_in, monkeypatch):
    monkeypatch.setitem(globals(), "DRAWS", 4)
    layer, rng = nn.Linear(fan_in, 2, rng=0), np.random.default_rng(0)
    x = rng.standard_normal((2, fan_in)).astype(np.float32)
    assert_not_wide(lambda x, w, b: {"output": x.linear(w, b)}, [x, *(p.data for p in layer.parameters())])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.activation.elementwise])
def test_the_bounds_of_an_activation_are_not_much_wider_than_what_the_worst_machine_reaches(name):
    case = CASES[name]
    value, derivative = bounds.ACTIVATIONS[case.activation.name]
    options = case.arguments(np.float32)
    x = np.concatenate([np.linspace(-8, 8, 33), RNG.standard_normal(31)]).astype(np.float32)
    assert_not_wide(lambda x: {"value": value(x, **options), "derivative": derivative(x, **options)}, [x])


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_the_bound_of_a_mean_loss_has_room_for_a_division_by_the_number_and_for_a_product_with_its_inverse(dtype):
    output, target = np.random.default_rng(0).standard_normal((2, 3, 1)).astype(dtype)
    o = as_rounded(output)
    value, _ = bounds.reduced_loss(nn.MSELoss(), o, target)
    terms = (o - target) * (o - target)
    for mean in (terms.sum() / 3.0, terms.sum() * (1.0 / 3.0)):
        assert abs(value.value - mean.value) <= 4.0 * np.finfo(np.float64).eps * mean.value
        assert value.error >= (1.0 - 1e-12) * mean.error


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_the_inverse_deviation_has_room_for_two_units_in_the_last_place_of_a_gpu_s_and_no_more(dtype):
    layer = nn.BatchNorm1d(3, dtype=dtype).eval()
    layer.running_var = np.array([0.3, 1.0, 20.0], dtype)
    x = as_rounded(np.zeros((2, 3), dtype))
    _, _, inverse = layers._statistics(layer, x)
    in_two_steps = 1.0 / (x.lift(layer.running_var) + layer.eps).sqrt()
    rows = as_rounded(np.array([[0.0, 0.1, 0.7], [2.0, -1.0, 0.3]], dtype))
    own = nn.LayerNorm(3, dtype=dtype)
    _, _, centered, of_rows = layers._rows(own, rows)
    rows_in_two_steps = 1.0 / ((centered * centered).mean(axis=1, keepdims=True) + own.eps).sqrt()
    for found, without in ((inverse, in_two_steps), (of_rows, rows_in_two_steps)):
        room = (found.error - without.error) / np.abs(found.value)
        np.testing.assert_allclose(room, 2.0 * np.finfo(dtype).eps, rtol=1e-9)


def test_gelus_bound_in_float64_knows_nothing_of_the_polynomial_behind_float32():
    x = np.linspace(-8, 8, 33)
    for formula in bounds.ACTIVATIONS["gelu"]:
        double, single = (
            formula(as_rounded(x.astype(dtype)), approximate="none") for dtype in (np.float64, np.float32)
        )
        assert double.error.max() < 1e-6 * single.error.max()


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (nn.CrossEntropyLoss, np.arange(8) % 6),
        (partial(nn.CrossEntropyLoss, label_smoothing=0.1), np.arange(8) % 6),
        (partial(nn.CrossEntropyLoss, WEIGHT, 3), np.arange(8) % 6),
        (partial(nn.CrossEntropyLoss, WEIGHT, 3, label_smoothing=0.1), np.arange(8) % 6),
        (partial(nn.CrossEntropyLoss, WEIGHT), np.abs(G)),
        (partial(nn.NLLLoss, WEIGHT, 3), np.arange(8) % 6),
        (nn.MSELoss, G),
        (nn.L1Loss, G),
        (nn.HuberLoss, G),
        (partial(nn.BCEWithLogitsLoss, WEIGHT, pos_weight=WEIGHT), np.abs(np.sin(G))),
        (nn.BCEWithLogitsLoss, (G > 0).astype(np.float32)),
        (nn.BCEWithLogitsLoss, np.abs(np.sin(G))),
        (nn.PerceptronLoss, np.sign(G)),
    ],
    ids=[
        *(
            "cross-entropy",
            "smoothed",
            "weighted",
            "weighted and smoothed",
            "probabilities",
            "nll",
            "mse",
            "l1",
            "huber",
        ),
        *("weighted bce", "bce", "bce of probabilities", "perceptron"),
    ],
)
def test_the_bounds_of_a_loss_are_not_much_wider_than_what_the_worst_machine_reaches(kind, target, reduction):
    assert_not_wide(of_loss(kind(reduction=reduction), target), [2 * X])


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    "make",
    [
        lambda p: nn.SGD(p, 0.1),
        lambda p: nn.SGD(p, 0.1, 0.9, weight_decay=0.01),
        lambda p: nn.SGD(p, 0.1, 0.9, nesterov=True),
        lambda p: nn.Adam(p, 0.1),
        lambda p: nn.Adam(p, 0.1, betas=(0.3, 0.9), weight_decay=0.1),
        lambda p: nn.AdamW(p, 0.1),
        lambda p: nn.SGD(p, 0.1, 0.9, 0.3, maximize=True),
        lambda p: nn.Adam(p, 0.1, amsgrad=True),
        lambda p: nn.RMSprop(p, 0.1, weight_decay=0.01),
        lambda p: nn.RMSprop(p, 0.1, momentum=0.9, centered=True),
        lambda p: nn.RMSprop(p, 0.1, 0.3, centered=True),
    ],
    ids=[
        *("sgd", "momentum", "nesterov", "adam", "adam's other lerp", "adamw", "dampening", "amsgrad", "rmsprop"),
        *("centered", "rmsprop's other lerp"),
    ],
)
def test_the_bounds_of_an_optimizer_are_not_much_wider_than_what_the_worst_machine_reaches(make):
    assert_not_wide(of_steps(make([nn.Parameter(X[0].copy())])), [X[0], *G[:4]])


@pytest.mark.parametrize("what", ["layer", "loss", "optimizer"])
def test_what_has_no_bound_is_refused_by_name(what):
    class Strange(nn.ReLU):
        pass

    class StrangeLoss(nn.Loss):
        def terms(self, output, _):
            return output

        def gradient(self):
            return np.ones(2)

    class StrangeOptimizer(nn.Optimizer):
        def _states(self, _):
            return ()

        def _prepare(self, _):
            """Nothing is the same for a whole step."""

        def _update(self, *_):
            """It moves nothing."""

    parameter, x = nn.Parameter(X[0].copy()), as_rounded(X)
    calls = {
        "layer": lambda: bounds.forward(Strange(), x),
        "loss": lambda: bounds.loss_terms(StrangeLoss(), x, X),
        "optimizer": lambda: bounds.OptimizerBound(StrangeOptimizer([parameter], 0.1, 0.0), parameter.data),
    }
    with pytest.raises(
        TypeError, match=rf"torch_ref has no error bound for Strange{what.title().replace('Layer', '')}$"
    ):
        calls[what]()
