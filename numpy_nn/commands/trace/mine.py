"""The user's own network on the page: its numbers in the place of ours, and which of them is wrong first."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.commands.trace.recording import record
from numpy_nn.gradcheck.files import UsageError

if TYPE_CHECKING:
    from torch_ref.foreign_parity.pairing import Pair
    from torch_ref.foreign_parity.report import NetworkReport
    from torch_ref.foreign_parity.sides import Side

Array = NDArray[np.float64]
LOSS = "cross-entropy"


def record_mine(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recording of a step of the network of ours that is the user's, with his numbers in it, and what to say of it.

    Under ``mine`` the recording has the ``name`` of his code; by the names of its arrays the ``values`` that his code
    gives, what they are called there (``names``) and which entries are ``wrong``; the array that is wrong ``first``,
    "" if none is, and the checker's ``words`` on it.

    UsageError, in a line, for code that cannot be run, that the page cannot draw, or that has another loss;
    ModuleNotFoundError without torch, which finds the network.
    """
    from torch_ref import from_torch
    from torch_ref.foreign_parity.command import Request, fitted
    from torch_ref.foreign_parity.sides import OUTPUT, gradient_of

    batch = args.batch or (2, 3, 4)
    found = fitted(Request(args.mine, args.init, loss=LOSS, batch=batch, lr=args.lr, steps=1, seed=args.seed))
    own, others, pairs = found.sides()
    if found.setting.fits < 1.0:
        known = "Linear layers with ReLU, tanh or sigmoid between them, and the cross-entropy of their softmax"
        raise UsageError(f"--mine: {own.network.label} has the output of no network that the page draws: {known}")
    layers = [*found.setting.theirs]
    probabilities = type(layers[-1]).__name__ == "Softmax"  # which in our network is a part of the loss
    net = nn.Sequential(*(from_torch(layer) for layer in (layers[:-1] if probabilities else layers)))
    for one in pairs:
        parameter = dict(net.named_parameters())[one.theirs]
        parameter.data[...] = _as_ours(own.network.arrays[one.mine], one, parameter.data.shape)
    x, y = (_in_rows(np.asarray(array), own, others) for array in (found.setting.x[0], found.setting.y))
    try:
        recording = record(net, x, y if y.ndim == 1 else y.argmax(axis=1), args.lr)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--mine: {error}") from None
    places = dict(_places(own, pairs, probabilities, net))
    turned = {OUTPUT, gradient_of(own.network.input)}
    results = {name: _in_rows(v, own, others) if name in turned else v for name, v in own.run().items()}
    recording["mine"] = {"name": own.network.label, **_numbers(results, pairs, places, recording, found.compare())}
    widths = [x.shape[1], *(layer.out_features for layer in net if isinstance(layer, nn.Linear))]
    sizes = "-".join(map(str, widths))
    about = {"network": f"{own.network.label}: {sizes}", "loss": LOSS, "optimizer": "SGD", "batch": len(x)}
    return recording, about | {"lr": args.lr, "seed": args.seed}


def _places(own: Side, pairs: list[Pair], probabilities: bool, net: nn.Sequential) -> Iterator[tuple[str, str]]:
    """What the results of the user's code are called on the page, by what the comparison calls them."""
    from torch_ref.foreign_parity.sides import LOSS as THE_LOSS
    from torch_ref.foreign_parity.sides import OUTPUT, gradient_of

    yield OUTPUT, "loss.softmax" if probabilities else f"{[*net][-1].name}.output"
    if own.computes_loss:
        yield THE_LOSS, "loss"
    for one in pairs:
        yield gradient_of(one.mine), f"{one.theirs}.grad"
    yield gradient_of(own.network.input), "input.grad"


def _in_rows(array: Array, own: Side, others: Side) -> Array:
    """A batch, or what is made of one, with its samples in rows, as the page has them."""
    return array.T.copy() if (others.turned or own.columns) and array.ndim == 2 else array


def _numbers(
    results: Mapping[str, Array],
    pairs: list[Pair],
    places: Mapping[str, str],
    recording: dict[str, Any],
    report: NetworkReport,
) -> dict[str, Any]:
    from torch_ref.foreign_parity.sides import gradient_of

    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    wrong: dict[str, list[list[int]]] = {}
    across = {gradient_of(one.mine): one for one in pairs}
    for quantity, result in results.items():
        if quantity not in places:
            continue
        name = places[quantity]
        shape = tuple(recording["arrays"][name]["shape"])
        array = _as_ours(result, across[quantity], shape) if quantity in across else result.reshape(shape)
        values[name], names[name] = array.tolist(), quantity
        row = next((row for row in report.rows if row.quantity == quantity), None)
        entries = _wrong(array, recording, name, None if row is None or row.ok else row.resolution)
        if entries:
            wrong[name] = entries
    first = places.get(report.first, "")
    words = re.sub(r"^the checker finds mine wrong: \w+, ", "", report.cause)
    return {"values": values, "names": names, "wrong": wrong, "first": first, "words": words}


def _as_ours(array: Array, one: Pair, shape: tuple[int, ...]) -> Array:
    """A parameter of the user's, or its gradient, as it lies in our layers, whose weights are torch's transposed."""
    return one.to_theirs(array, shape[::-1]).T if len(shape) == 2 else one.to_theirs(array, shape)


def _wrong(array: Array, recording: dict[str, Any], name: str, resolution: float | None) -> list[list[int]]:
    """Row and column of each entry that is wrong: beyond the bound of the numerical derivative, or else of rounding."""
    ours = np.asarray(recording["arrays"][name]["values"])
    checks = recording["checks"].get(name)
    if checks is not None:
        beyond = np.abs(array - np.asarray(checks["numerical"])) > np.asarray(checks["bound"])
        for place, (left, right, bound) in checks["sides"].items():
            index = tuple(map(int, place.split(",")))[2 - array.ndim :]
            beyond[index] = not min(left, right) - bound <= array[index] <= max(left, right) + bound
    elif resolution is not None:
        beyond = ~(np.abs(array - ours) <= resolution)
    else:
        return []
    return [[int(i) for i in (0, 0, *index)[-2:]] for index in np.argwhere(beyond)]
