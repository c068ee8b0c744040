"""Automatic mixed precision: as near to float32 as bfloat16's rounding lets it be, and updates in float32."""

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import one_hot

from torch_ref.training import make_step, make_update

CROSS_ENTROPY = torch.nn.CrossEntropyLoss()
CLASSES = 3
# Of bfloat16: eight binary digits.
ROUNDOFF = 2.0**-8


def gamma(n):
    """The relative error of a sum of products with n roundings, in float32 too, one after the other."""
    return n * (ROUNDOFF + 2.0**-24) / (1 - n * (ROUNDOFF + 2.0**-24))


def linear(features, rng):
    """A linear classifier in float32."""
    model = torch.nn.Linear(features, CLASSES)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(rng.uniform(-1, 1, p.shape)))
    return model


@given(
    n=st.integers(1, 8), features=st.integers(1, 4), steps=st.integers(1, 4), lr=st.floats(0.01, 0.5), seed=our.seeds
)
def test_a_few_steps_are_those_of_float32_to_the_rounding_of_bfloat16(n, features, steps, lr, seed):
    rng = np.random.default_rng(seed)
    full = linear(features, rng)
    mixed = linear(features, rng)
    mixed.load_state_dict(full.state_dict())
    updates = [
        make_update(model, CROSS_ENTROPY, torch.optim.SGD(model.parameters(), lr=lr), amp=model is mixed)
        for model in (full, mixed)
    ]
    error = 0.0  # of the weights and biases in mixed precision, each
    for _ in range(steps):
        x = torch.from_numpy(rng.uniform(-1, 1, (n, features)).astype(np.float32))
        y = torch.from_numpy(rng.integers(0, CLASSES, n))
        with torch.no_grad():
            magnitude = x.abs() @ (full.weight.abs().T + error) + full.bias.abs() + error
            inherited = error * (x.abs().sum(dim=1, keepdim=True) + 1)
            # Input and weight are rounded, products summed in any order and precision, the bias and the sum rounded.
            logits = inherited + gamma(features + 4) * magnitude
            worst = float(logits.max())
            # |dp_j| <= p_j (1 - p_j) (|dz_j| + max |dz|) <= max |dz| / 2, and float32's exponentials and quotient.
            slope = (full(x).softmax(dim=1) - one_hot(y, CLASSES)) / n
            slope_error = (logits.max(dim=1, keepdim=True).values / 2 + 32 * 2.0**-24) / n
            # Rounded to bfloat16 with the input again, in products summed over rows; a column of ones for the bias.
            rows = torch.cat([x.abs(), torch.ones(n, 1)], dim=1)
            gradient_error = rows.T @ (slope_error + gamma(n + 4) * (slope.abs() + slope_error))
        (loss, output), (mixed_loss, mixed_output) = (update(x, y) for update in updates)
        assert loss.dtype == mixed_loss.dtype == output.dtype == mixed_output.dtype == torch.float32
        assert (output - mixed_output).abs().max() <= 1.01 * worst
        # A loss is log(sum exp z) - z_y: its slopes are at most 1 in sum, twice.
        assert abs(float(loss - mixed_loss)) <= 1.01 * 2 * worst + 32 * 2.0**-24 * (1 + float(loss))
        # Rates, products and differences of float32 below 4.
        error = error + 1.01 * lr * float(gradient_error.max()) + 8 * 4 * 2.0**-24
        for p, q in zip(full.parameters(), mixed.parameters(), strict=True):
            assert (p - q).abs().max() <= error


def test_products_are_in_bfloat16_and_parameters_gradients_and_updates_in_float32():
    seen = []
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, CLASSES))
    for layer in model:
        layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0**-14)
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
    x, y = torch.ones(5, 4), torch.zeros(5, dtype=torch.int64)
    value, right = make_step(model, CROSS_ENTROPY, optimizer, amp=True)(x, y)
    assert seen == 3 * [torch.bfloat16]
    assert (value.dtype, int(right)) == (torch.float32, 5)
    for p in model.parameters():
        assert p.grad is not None
        assert p.dtype == p.grad.dtype == torch.float32
    # A change that float32 keeps, and that bfloat16, whose next number below 1 is 1 - 2^-8, would lose.
    change = (dict(model.named_parameters())["2.bias"] - 1).abs()
    assert ((change > 0) & (change < 2.0**-14)).all()
    model(x)
    assert seen[3:] == 3 * [torch.float32]  # nothing of it is left behind


def test_within_another_autocast_every_step_still_sees_the_weights_that_it_has():
    x, y = torch.rand(6, 4), torch.arange(6) % CLASSES
    results = []
    for outer in (nullcontext(), torch.autocast("cpu", torch.bfloat16)):
        model = linear(4, np.random.default_rng(0))
        update = make_update(model, CROSS_ENTROPY, torch.optim.SGD(model.parameters(), lr=0.5), amp=True)
        with outer:
            results.append([update(x, y)[0].item() for _ in range(3)])
    assert results[0] == results[1]
    assert len(set(results[0])) == 3


@pytest.mark.slow
@pytest.mark.numerical
def test_a_compiled_step_has_it_too(monkeypatch):
    # Without the compiler of machine code behind it, which takes half a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    models = [linear(4, np.random.default_rng(0)) for _ in range(2)]
    x, y = torch.rand(6, 4), torch.arange(6) % CLASSES
    results = []
    for model, compile in zip(models, (False, True), strict=True):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        results.append(make_update(model, CROSS_ENTROPY, optimizer, compile=compile, amp=True)(x, y))
    (loss, output), (compiled_loss, compiled_output) = results
    # Both have the logits in bfloat16: sums of five terms below 1, each off by its roundings.
    assert torch.equal(compiled_output.bfloat16().float(), compiled_output)
    assert (output - compiled_output).abs().max() <= 2 * gamma(4 + 4) * 5
    assert abs(float(loss - compiled_loss)) <= 2 * 2 * gamma(4 + 4) * 5


def test_other_numbers_than_float32_are_refused():
    model = torch.nn.Linear(2, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"amp: expected a model in float32, got one in torch\.float64"):
        make_step(model, CROSS_ENTROPY, torch.optim.SGD(model.parameters()), amp=True)
