"""Names, defaults and places of arguments are torch's, but for the differences that are listed here with a reason."""

import inspect

import pytest
import torch

import numpy_nn as nn
from numpy_nn import activations, initializers
from torch_ref.augment import Distortion as TheirDistortion
from torch_ref.averaging import AveragedModel as TheirAverage
from torch_ref.constraints import max_norm_ as their_max_norm_
from torch_ref.twin import COUNTERPARTS, LOSSES, OPTIMIZERS

PAIRS = {
    **{ours.__name__: (ours, theirs) for ours, theirs, _ in COUNTERPARTS},
    **{ours.__name__: (ours, theirs) for ours, (theirs, _) in LOSSES.items()},
    **{ours.__name__: (ours, theirs) for ours, theirs in OPTIMIZERS.items()},
    **{
        name: (getattr(nn, name), getattr(torch.optim.lr_scheduler, name))
        for name in (
            *("StepLR", "LinearLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "OneCycleLR", "SequentialLR"),
            "ReduceLROnPlateau",
        )
    },
    "clip_grad_norm_": (nn.clip_grad_norm_, torch.nn.utils.clip_grad_norm_),
    "AveragedModel": (nn.AveragedModel, torch.optim.swa_utils.AveragedModel),
    "DataLoader": (nn.DataLoader, torch.utils.data.DataLoader),
    **{
        name: (getattr(initializers, name), getattr(torch.nn.init, name))
        for name in (
            *("normal_", "uniform_", "zeros_", "xavier_uniform_", "xavier_normal_"),
            *("kaiming_uniform_", "kaiming_normal_", "calculate_gain"),
        )
    },
}

# What an argument is called in torch.
RENAMED = {
    "parameters": "params",  # of an optimizer; of clip_grad_norm_ it is spelled so in torch too
    "net": "model",
    "target": "tensor",
    "low": "a",
    "high": "b",
    "rng": "generator",
}

# Arguments that torch has not, or with another default, and why.
DELIBERATE = {
    "dtype": "float32, where torch asks set_default_dtype: no global state decides",
    "rng": "randomness is passed in, where torch's layers draw from a global generator",
    "Softmax.dim": "the last axis: torch's None is deprecated, and guesses",
    "LogSoftmax.dim": "the same",
    "OneCycleLR.total_steps": "asked for: torch would multiply epochs by steps_per_epoch instead",
    "AveragedModel.decay": "an argument of its own: torch wants get_ema_multi_avg_fn(decay)",
    "DataLoader.x": "arrays, not a Dataset",
    "DataLoader.y": "arrays, not a Dataset",
    "DataLoader.batch_size": "64: an epoch of single rows is nobody's wish",
    "DataLoader.shuffle": "on, as training wants it",
    "DataLoader.transform": "of whole batches; torch's are of the Dataset, row by row",
    "calculate_gain.a": "what torch calls param, which means this only for leaky_relu; and 0, where torch has 0.01",
}

# Arguments that stand elsewhere than in torch: give them by name.
ELSEWHERE = {
    "CrossEntropyLoss.ignore_index": "no size_average before it, which torch deprecates",
    "CrossEntropyLoss.reduction": "nor reduce, which it deprecates too",
    "CrossEntropyLoss.label_smoothing": "the same",
    "NLLLoss.ignore_index": "no size_average before it",
    "NLLLoss.reduction": "no size_average and reduce before it",
    "MSELoss.reduction": "the same",
    "L1Loss.reduction": "the same",
    "BCEWithLogitsLoss.reduction": "the same",
    "BCEWithLogitsLoss.pos_weight": "the same",
    "OneCycleLR.pct_start": "no epochs and steps_per_epoch before it",
    "OneCycleLR.anneal_strategy": "the same",
    "OneCycleLR.cycle_momentum": "the same",
    "OneCycleLR.base_momentum": "the same",
    "OneCycleLR.max_momentum": "the same",
    "OneCycleLR.div_factor": "the same",
    "OneCycleLR.final_div_factor": "the same",
}


def arguments(function):
    return inspect.signature(function).parameters


def found(name):
    """The arguments of ours that differ in name or default, and those that differ in place."""
    ours, theirs = map(arguments, PAIRS[name])
    differ, moved = set(), set()
    for place, (argument, parameter) in enumerate(ours.items()):
        known = argument if argument in theirs else RENAMED.get(argument, "")
        if known not in theirs or parameter.default != theirs[known].default:
            differ.add(argument)
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD and list(theirs)[place] != known:
            moved.add(f"{name}.{argument}")
    return {argument if argument in DELIBERATE else f"{name}.{argument}" for argument in differ}, moved


@pytest.mark.parametrize("name", PAIRS)
def test_arguments_are_torchs_or_differ_for_a_reason(name):
    differ, moved = found(name)
    assert differ <= DELIBERATE.keys()
    assert moved <= ELSEWHERE.keys()


def test_every_difference_that_is_listed_is_there():
    differ, moved = (set().union(*sets) for sets in zip(*map(found, PAIRS), strict=True))
    assert differ == DELIBERATE.keys()
    assert moved == ELSEWHERE.keys()


@pytest.mark.parametrize("name", PAIRS)
def test_no_argument_is_taken_under_any_name(name):
    kinds = {parameter.kind for parameter in arguments(PAIRS[name][0]).values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    assert inspect.Parameter.VAR_POSITIONAL not in kinds


def test_the_average_is_as_slow_as_torchs():
    decay = arguments(torch.optim.swa_utils.get_ema_multi_avg_fn)["decay"].default
    assert arguments(nn.AveragedModel)["decay"].default == arguments(TheirAverage)["decay"].default == decay


def test_all_that_torch_has_by_the_same_name_is_compared():
    theirs = {
        name for module in (torch.nn, torch.optim, torch.optim.lr_scheduler, torch.nn.init) for name in dir(module)
    }
    ours = {name for module in (nn, initializers) for name in dir(module) if callable(getattr(module, name))}
    # A base class, and what is given layers or an array.
    assert ours & theirs - PAIRS.keys() == {"Optimizer", "Parameter", "Sequential"}


@pytest.mark.parametrize(
    ("ours", "theirs", "own"),
    [
        (nn.AveragedModel, TheirAverage, {"net", "model"}),
        (nn.Distortion, TheirDistortion, {"device"}),
        (nn.max_norm_, their_max_norm_, set()),
    ],
)
def test_the_reference_takes_what_numpy_nn_takes(ours, theirs, own):
    ours, theirs = (
        {name: (p.default, p.kind) for name, p in arguments(function).items() if name not in own}
        for function in (ours, theirs)
    )
    assert ours == theirs


@pytest.mark.parametrize("name", [name for name, layer in nn.ACTIVATION_LAYERS.items() if layer not in (nn.PReLU,)])
def test_a_function_has_the_defaults_of_its_layer(name):
    plumbing = {"x", "out", "work"}
    layer = {argument: p.default for argument, p in arguments(nn.ACTIVATION_LAYERS[name]).items() if argument != "dim"}
    for function in (getattr(activations, name), getattr(activations, f"{name}_derivative")):
        own = {argument: p.default for argument, p in arguments(function).items() if argument not in plumbing}
        assert own == layer
