"""What is compared with torch outside of ``parity`` is compared sharply: a small error planted in it fails the test.

Each entry of PLANTED names a function, and a test elsewhere that compares what it makes. Here the function makes it
with a relative error of one part in a million (in float32, of one in ten thousand), and that test must fail.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import distortions
import numpy as np
import pytest
import torch
from hypothesis import Phase, settings

import numpy_nn as nn
from numpy_nn.data import augment
from numpy_nn.training import divergence
from tests import test_perceptron
from tests.data import test_augment
from tests.optim import test_clipping, test_constraints, test_groups, test_more_schedules, test_schedules
from tests.torch_ref import test_torch_augment, test_torch_averaging, test_torch_divergence
from tests.training import test_accumulation, test_adversarial, test_averaging, test_divergence
from torch_ref import averaging as their_averaging
from torch_ref import training as their_training

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

ERRORS = {"float32": 1e-4, "float64": 1e-6}


def grown(value, dtype):
    """The number, array or tensor with the error, if it is of the dtype; a Python float is one of float64."""
    own = "float64" if isinstance(value, float) else str(value.dtype).removeprefix("torch.")
    return value * (1 + ERRORS[dtype]) if own == dtype else value


# Where the error goes: each of these gets the dtype, what the function returned and its arguments, and returns what the
# spoiled function returns.


def result(dtype, value, *_, **__):
    return grown(value, dtype)


def norm(dtype, value, parameters, *_):
    """A Python float, whose digits are those of the gradients' dtype."""
    return float(grown(np.asarray(value, next(iter(parameters)).dtype), dtype))


def gradients(dtype, value, parameters, *_):
    for p in parameters:
        p.grad[...] = grown(p.grad, dtype)
    return value


def cycled_momentum(dtype, _, schedule, __):
    optimizer = schedule.optimizer
    if isinstance(optimizer, nn.SGD):
        optimizer.momentum = grown(optimizer.momentum, dtype)
    else:
        optimizer.betas = grown(optimizer.betas[0], dtype), optimizer.betas[1]


def accumulated(dtype, value, _, net, *__):
    return gradients(dtype, value, net.parameters())


def rates(dtype, _, schedule, *__):
    for group in schedule.optimizer.param_groups:
        group["lr"] = grown(group["lr"], dtype)


def states(dtype, _, optimizer, __):
    for state in optimizer.state:
        for array in state.values():
            array[...] = grown(array, dtype)


def weight(dtype, _, array, *__):
    with torch.no_grad():
        data = array.data if isinstance(array, nn.Parameter) else array
        data[...] = grown(data, dtype)


def average(dtype, _, __, array, *___):
    array[...] = grown(array, dtype)


def their_average(dtype, _, follower, __):
    with torch.no_grad():
        for tensor in follower.module.state_dict().values():
            tensor.copy_(grown(tensor, dtype))


def perceptron_weight(dtype, value, perceptron, *_):
    perceptron.weight[...] = grown(perceptron.weight, dtype)
    return value


class Plant(NamedTuple):
    """Where the function is found, its name there, where the error goes, the test that must fail, for which dtypes."""

    where: Any
    name: str
    spoil: Callable[..., Any]
    test: Callable[..., None]
    dtypes: tuple[str, ...] = tuple(ERRORS)


DOUBLE, SINGLE = ("float64",), ("float32",)

PLANTED = {
    # Rates are numbers of float64 whatever the parameters are.
    "StepLR": Plant(nn.StepLR, "_lr", result, test_schedules.test_step_lr_is_torch_s, DOUBLE),
    "CosineAnnealingLR": Plant(
        *(nn.CosineAnnealingLR, "_lr", result),
        *(test_schedules.test_cosine_annealing_is_torch_s_down_to_the_minimum, DOUBLE),
    ),
    "CosineAnnealingLR, its formula": Plant(
        *(nn.CosineAnnealingLR, "_lr", result),
        *(test_schedules.test_cosine_annealing_is_its_formula_down_and_up_again, DOUBLE),
    ),
    "OneCycleLR": Plant(nn.OneCycleLR, "_lr", result, test_schedules.test_one_cycle_is_torch_s, DOUBLE),
    "OneCycleLR's momentum": Plant(
        nn.OneCycleLR, "_set", cycled_momentum, test_schedules.test_one_cycle_is_torch_s, DOUBLE
    ),
    "LinearLR": Plant(nn.LinearLR, "_lr", result, test_more_schedules.test_linear_lr_is_torch_s, DOUBLE),
    "CosineAnnealingWarmRestarts": Plant(
        nn.CosineAnnealingWarmRestarts, "_lr", result, test_more_schedules.test_warm_restarts_are_torch_s, DOUBLE
    ),
    "SequentialLR": Plant(
        nn.SequentialLR, "_set", rates, test_more_schedules.test_one_schedule_after_the_other_is_torch_s, DOUBLE
    ),
    "ReduceLROnPlateau": Plant(
        nn.ReduceLROnPlateau, "step", rates, test_more_schedules.test_a_plateau_is_torch_s_to_the_bit, DOUBLE
    ),
    "a schedule of groups": Plant(
        nn.StepLR, "_lr", result, test_more_schedules.test_every_schedule_scales_each_group_from_its_own_rate, DOUBLE
    ),
    "sums under other betas": Plant(
        nn.Adam, "_rescale", states, test_groups.test_amsgrad_s_maximum_is_torchs_when_betas_change, DOUBLE
    ),
    "the norm": Plant(test_clipping, "clip_grad_norm_", norm, test_clipping.test_clipping_matches_torch),
    "clipped gradients": Plant(test_clipping, "clip_grad_norm_", gradients, test_clipping.test_clipping_matches_torch),
    "max_norm_": Plant(test_constraints, "max_norm_", weight, test_constraints.test_max_norm_is_torchs_renorm),
    "max_norm_, beside a twin": Plant(
        test_constraints, "max_norm_", weight, test_constraints.test_a_twin_s_units_are_constrained_alike
    ),
    "max_norm_ of the twin": Plant(
        test_constraints, "their_max_norm_", weight, test_constraints.test_a_twin_s_units_are_constrained_alike
    ),
    "AveragedModel": Plant(nn.AveragedModel, "_follow", average, test_averaging.test_the_average_is_torchs),
    "AveragedModel, beside the twin's": Plant(
        nn.AveragedModel, "_follow", average, test_torch_averaging.test_the_average_is_numpy_nns
    ),
    "AveragedModel of the twin": Plant(
        *(their_averaging.AveragedModel, "update_parameters", their_average),
        test_torch_averaging.test_the_average_is_numpy_nns,
    ),
    "resample": Plant(distortions, "resample", result, test_augment.test_resampling_is_torchs_grid_sample),
    "a field": Plant(
        *(test_augment, "affine_coordinates", result),
        test_augment.test_elastic_distortion_is_torchvisions_on_the_same_displacements,
    ),
    "an affine map": Plant(
        test_augment, "affine_matrices", result, test_augment.test_affine_distortion_is_torchvisions, DOUBLE
    ),
    "smooth": Plant(
        test_augment, "smooth", result, test_augment.test_smoothing_is_a_convolution_with_a_gaussian_of_sum_one
    ),
    "a Gaussian": Plant(
        *(augment, "gaussian_matrix", result), test_augment.test_smoothing_is_a_convolution_with_a_gaussian_of_sum_one
    ),
    "a Gaussian's sums": Plant(
        *(test_augment, "gaussian_matrix", result),
        *(test_augment.test_the_gaussian_matrix_is_symmetric_banded_and_of_row_sum_one_away_from_the_ends, DOUBLE),
    ),
    "displacements": Plant(
        nn.Distortion, "_displacements", result, test_augment.test_a_distortion_is_the_sum_of_its_parts
    ),
    "drawn maps": Plant(
        nn.Distortion, "draw_matrices", result, test_augment.test_a_distortion_is_the_sum_of_its_parts, DOUBLE
    ),
    "distorted images": Plant(
        nn.Distortion, "__call__", result, test_augment.test_a_distortion_is_the_sum_of_its_parts
    ),
    "resample of the twin": Plant(
        test_torch_augment, "resample", result, test_torch_augment.test_resampling_is_numpy_nns
    ),
    "an affine map of the twin": Plant(
        test_torch_augment, "affine_matrices", result, test_torch_augment.test_affine_maps_are_numpy_nns, DOUBLE
    ),
    "smooth of the twin": Plant(test_torch_augment, "smooth", result, test_torch_augment.test_smoothing_is_numpy_nns),
    "distorted images of the twin": Plant(
        test_torch_augment.Distortion,
        "__call__",
        result,
        test_torch_augment.test_a_distortion_is_numpy_nns_of_the_same_numbers,
    ),
    "the norm of a gradient that diverges": Plant(
        *(divergence, "grad_norm", norm),
        *(test_divergence.test_too_high_a_rate_is_told_before_the_update_with_the_norm_of_the_gradient, SINGLE),
    ),
    "the norm of a gradient that diverges, of the twin": Plant(
        *(torch.nn.utils, "get_total_norm", result),
        *(test_torch_divergence.test_a_norm_that_is_finite_is_the_gradients, SINGLE),
    ),
    "accumulated gradients": Plant(
        *(nn.GradientAccumulation, "__call__", accumulated),
        *(test_accumulation.test_they_are_those_that_torch_adds_up_and_those_of_the_batch, DOUBLE),
    ),
    "moved rows": Plant(test_adversarial, "perturb", result, test_adversarial.test_moved_rows_match_torch),
    "moved rows of the twin": Plant(their_training, "perturb", result, test_adversarial.test_moved_rows_match_torch),
    "the perceptron": Plant(
        *(nn.Perceptron, "_update", perceptron_weight), test_perceptron.test_an_update_is_the_rule_and_torchs_sgd_step
    ),
}

# No shrinking, and nothing remembered: that a failing example is found is all there is to know.
SEARCH = settings(
    deadline=None,
    max_examples=50,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
    print_blob=False,
)


def needs_of(test):
    """What a test needs, wherever it is called."""
    return [mark for mark in getattr(test, "pytestmark", []) if mark.name == "skipif"]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        pytest.param(name, dtype, marks=needs_of(plant.test))
        for name, plant in PLANTED.items()
        for dtype in plant.dtypes
    ],
)
def test_a_small_error_planted_in_a_value_is_found(name, dtype, monkeypatch):
    plant = PLANTED[name]
    right = getattr(plant.where, plant.name)

    def spoiled(*arguments, **options):
        return plant.spoil(dtype, right(*arguments, **options), *arguments, **options)

    monkeypatch.setattr(plant.where, plant.name, spoiled)
    if hasattr(plant.test, "hypothesis"):
        monkeypatch.setattr(plant.test, "_hypothesis_internal_use_settings", SEARCH)
    # This test runs on every device that there is; the others take nothing.
    device = {"device": "cpu"} if plant.where is test_torch_augment.Distortion else {}
    with pytest.raises(AssertionError):
        plant.test(**device)
