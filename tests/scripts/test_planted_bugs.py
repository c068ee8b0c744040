"""The bank of wrong gradients is what it says: each wrong where it says so, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest

from scripts.proof.gradient_cases import GradientCase, differences
from scripts.proof.planted_bugs import CORRECT, OTHER, PLANTED

SEEDS = range(3)
STEP = 2.0**-9
UNIT_ROUNDOFF = 2.0**-53

# Every cause that the bank must hold; OTHER is for mistakes that no cause names.
CAUSES = {
    *("before_activation", "skip_missing"),
    "alpha_missing",
    "factor_constant",
    "gamma_missing",
    "gamma_outside",
    "length_constant",
    "not_finite",
    "zero",
    "sign",
    "factor",
    "batch_mean_missing",
    "batch_mean_twice",
    "elements_mean",
    "wrong_axis_mean",
    "transposed",
    "derivative_missing",
    "derivative_at_output",
    "derivative_at_input",
    "other_activation",
    "mask_inverted",
    "mask_wrong_tensor",
    "bias_not_summed",
    "bias_averaged",
    "stale_input",
    "accumulated",
    "softmax_elementwise",
    "log_softmax_row_sum",
    "target_minus_prediction",
    "target_missing",
    "softmax_missing",
    "weight_decay",
    "dropout_scale",
    "dropout_mask",
    "batch_norm_constant_statistics",
    "batch_norm_mean_constant",
    "batch_norm_variance_constant",
    "branch",
    "partly_filled",
    "one_example",
    "grad_output_ignored",
    "derivative_twice",
    "learning_rate",
    "wrong_axis_sum",
    "fused_activation",
    "target_broadcast",
    "epsilon",
    "repeated_index",
    "picked",
    "axes_exchanged",
    "stride_missing",
    "overwritten_windows",
    "kernel_flipped",
    "clipped",
    "norm_clipped",
    "truncated",
    "broadcast_not_summed",
    "straight_through",
    "argument_order",
    "derivative_in_part",
    "product_exchanged",
    "wrong_shape",
    "penalty_factor",
    "penalty_missing",
    "updated_too_early",
    "other_layer",
    "weights_missing",
    "layer_skipped",
}


def numerical(case, name, grad_output):
    """The derivative of sum(grad_output * output) by every entry of an array, and a bound on the error of each.

    Central quotients with steps h, h/2, h/4 have the error a h^2 + b h^4 + ...; two combinations without the first
    power differ by nearly the error of the worse one, which is that of the better one, without the second, many times
    over (Romberg). To this comes rounding: each output is the result of some operations, taken to be at most 200, on
    numbers not larger than itself and 1; the quotients divide it by the step, and their combination grows it by less
    than 4.
    """

    def quotient(at):
        outputs = [(at(t), at(-t)) for t in (STEP, STEP / 2, STEP / 4)]
        d1, d2, d4 = (
            (plus - minus) / (2 * t) for (plus, minus), t in zip(outputs, (STEP, STEP / 2, STEP / 4), strict=True)
        )
        coarse, fine = d2 + (d2 - d1) / 3, d4 + (d4 - d2) / 3
        best = fine + (fine - coarse) / 15
        size = np.sum(np.abs(grad_output) * (1.0 + np.abs(outputs[0][0])))
        rounding = 4 * 200 * UNIT_ROUNDOFF * size / (STEP / 4)
        return np.sum(grad_output * best), np.sum(np.abs(grad_output * (fine - coarse))) + rounding

    both = differences(case, name, quotient)
    return both[..., 0], both[..., 1]


def excess(case, rng):
    """For every array by name, how many times the bound its worst entry is off; inf for a gradient of another shape."""
    home = case.x.copy()
    case.x *= 0.75  # another batch before, as in training: what is kept from call to call shows only then
    grad_output = rng.standard_normal(case.forward().shape)
    case.x[...] = home
    claimed = case.backward(grad_output)
    assert list(claimed) == list(case.arrays)
    found = {}
    for name, gradient in claimed.items():
        value, bound = numerical(case, name, grad_output)
        # A bound that would let anything pass proves nothing.
        assert np.median(bound) < 1e-7 * max(1.0, np.abs(value).max())
        same_shape = gradient.shape == value.shape
        found[name] = float(np.max(np.abs(gradient - value) / bound)) if same_shape else np.inf
    return found


@pytest.mark.parametrize(("name", "make"), CORRECT, ids=[name for name, _ in CORRECT])
def test_right_layers_and_losses_are_right(name, make):
    for seed in SEEDS:
        rng = np.random.default_rng([seed, 0])
        for entry, times in excess(GradientCase(*make(rng)), rng).items():
            assert times <= 1.0, (name, seed, entry)


# In one draw, as tests/scripts/test_planted_causes.py looks at each in others.
@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_every_bug_is_wrong_where_it_says_and_nowhere_else(bug):
    rng = np.random.default_rng([PLANTED.index(bug) % len(SEEDS), 1])
    for entry, times in excess(GradientCase(*bug.make(rng)), rng).items():
        if entry in bug.wrong:
            assert not times <= 10.0, entry  # NaN where the gradient is
        else:
            assert times <= 1.0, entry


def test_the_bank_holds_every_cause_and_names_each_bug_once():
    assert len(PLANTED) >= 48
    assert {bug.cause for bug in PLANTED if "+" not in bug.cause} == CAUSES | {OTHER}
    assert len({bug.name for bug in PLANTED}) == len(PLANTED)
    # Of every cause at least one bug is diagnosed; and these are all that are not.
    assert {bug.cause for bug in PLANTED if bug.known and "+" not in bug.cause} == CAUSES | {OTHER}
    assert sum(not bug.known for bug in PLANTED) == 0
    # Of two mistakes at once both are such causes.
    assert {part for bug in PLANTED for part in bug.cause.split("+")} == CAUSES | {OTHER}


@pytest.mark.slow
def test_shapes_differ_from_draw_to_draw_and_one_seed_gives_one_case():
    for bug in PLANTED:
        shapes = {bug.make(np.random.default_rng(seed))[1].shape for seed in range(20)}
        assert len(shapes) > 3, bug.name
        assert all(1 <= length <= 9 for shape in shapes for length in shape), bug.name
        one, other = (bug.make(np.random.default_rng(3))[1] for _ in range(2))
        np.testing.assert_array_equal(one, other, err_msg=bug.name)


def test_the_docs_say_how_many_there_are():
    docs = Path(__file__).parents[2] / "docs"
    for path, words in ((docs / "gradcheck.md", "planted mistakes"), (docs / "zh" / "gradcheck.md", "个埋下的错误")):
        assert f"{len(PLANTED)} {words}" in path.read_text(encoding="utf-8")
