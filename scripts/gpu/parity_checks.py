"""Every layer, loss and optimizer on the device, each number held to the bound that it has on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import numpy_nn as nn
from numpy_nn.commands.parity.arguments import LOSSES, OPTIMIZERS, parse
from numpy_nn.commands.parity.command import compare_many, compare_one, table
from scripts.gpu.checks import Check, Failed
from torch_ref import ParityReport, parity

DTYPES = ("float32", "float64")
RANDOM_NETWORKS = 60


def parity_checks(device: str) -> list[Check]:
    """A row for each, both types of numbers in it; at last whole networks of all of them."""
    # What is compared, its options, and what its own quantities have in their names.
    rows = [(f"layer {name}", ["--activation", name], layer.__name__) for name, layer in nn.ACTIVATION_LAYERS.items()]
    rows += [("layer batch norm", ["--batch-norm"], "BatchNorm1d"), ("layer dropout", ["--dropout", "0.5"], "Dropout")]
    rows += [(f"loss {name}", ["--loss", name], "loss") for name in LOSSES]
    rows += [("loss cross-entropy, labels smoothed", ["--label-smoothing", "0.1"], "loss")]
    rows += [(f"optimizer {name}", ["--optimizer", name], "steps") for name in OPTIMIZERS]
    return [
        Check("parity: layers linear and flatten", lambda: _within_bounds(_flattened(device), "")),
        Check("parity: layer layer norm", lambda: _within_bounds(_normalized(device), "LayerNorm")),
        *(Check(f"parity: {name}", _compare(device, options, about)) for name, options, about in rows),
        Check(f"parity: {RANDOM_NETWORKS} random networks", lambda: _random_networks(device)),
    ]


def _compare(device: str, options: list[str], about: str) -> Callable[[], str]:
    def run() -> str:
        arguments = ["--device", device, *options]
        parsed = [parse([*arguments, "--dtype", dtype]) for dtype in DTYPES]
        return _within_bounds([compare_one(args) for args in parsed], about)

    return run


def _flattened(device: str) -> list[ParityReport]:
    """Images as they are, and one layer."""
    rng, reports = np.random.default_rng(0), []
    for dtype in DTYPES:
        net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10, rng=rng, dtype=dtype))
        x = rng.standard_normal((64, 28, 28)).astype(dtype)
        reports.append(parity(net, x, rng.integers(0, 10, 64), nn.CrossEntropyLoss(), device=device))
    return reports


def _normalized(device: str) -> list[ParityReport]:
    """Images, normalized over both axes, and what one layer makes of them, over its columns."""
    rng, reports = np.random.default_rng(0), []
    for dtype in DTYPES:
        layers = nn.LayerNorm((28, 28), dtype=dtype), nn.Flatten(), nn.Linear(784, 10, rng=rng, dtype=dtype)
        net = nn.Sequential(*layers, nn.LayerNorm(10, dtype=dtype))
        x = rng.standard_normal((64, 28, 28)).astype(dtype)
        reports.append(parity(net, x, rng.integers(0, 10, 64), nn.CrossEntropyLoss(), device=device))
    return reports


def _within_bounds(reports: list[ParityReport], about: str) -> str:
    """The largest share of a bound, among what the row is about. Failed, with the tables, if anything is beyond its."""
    if not all(report.ok for report in reports):
        raise Failed("\n\n".join(str(report) for report in reports if not report.ok))
    rows = [row for report in reports for row in report.rows if about in row.quantity]
    worst = max(rows, key=lambda row: row.worst_share)
    if worst.worst_share == 0.0:
        return "equal, to the last bit"
    return f"{worst.worst_share:.2f} of the bound at most: {worst.quantity}"


def _random_networks(device: str) -> str:
    shares = []
    for dtype in DTYPES:
        arguments = ["--device", device, "--networks", str(RANDOM_NETWORKS), "--dtype", dtype]
        kinds = compare_many(parse(arguments))
        shares += [row.worst_share for rows in kinds.values() for row in rows]
        if not all(row.ok for rows in kinds.values() for row in rows):
            raise Failed(table(kinds))
    return f"{max(shares):.2f} of the bound at most, {len(shares)} quantities"
