"""What ``numpy-nn parity`` does: networks of ours beside their twins, or one of the user's beside another."""

from __future__ import annotations

import argparse
import math
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.commands.parity.arguments import parse
from numpy_nn.commands.parity.random_networks import random_network, random_optimizer
from numpy_nn.gradcheck.files import UsageError

if TYPE_CHECKING:
    from torch_ref import NetworkReport, ParityReport, Row

OPTIMIZERS: dict[str, Callable[[Any, float], nn.Optimizer]] = {
    "sgd": lambda parameters, lr: nn.SGD(parameters, lr),
    "momentum": lambda parameters, lr: nn.SGD(parameters, lr, momentum=0.9),
    "nesterov": lambda parameters, lr: nn.SGD(parameters, lr, momentum=0.9, nesterov=True),
    "adam": lambda parameters, lr: nn.Adam(parameters, lr),
    "adamw": lambda parameters, lr: nn.AdamW(parameters, lr),
    "rmsprop": lambda parameters, lr: nn.RMSprop(parameters, lr),
}
# Of outputs and targets of one shape, each a real number.
REAL_LOSSES: dict[str, Callable[[], nn.Loss]] = {"mse": nn.MSELoss, "l1": nn.L1Loss, "huber": nn.HuberLoss}


def loss_and_target(
    args: argparse.Namespace, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[nn.Loss, NDArray[Any]]:
    """The loss, and random targets for outputs of that shape."""
    if args.loss == "cross-entropy":
        return nn.CrossEntropyLoss(label_smoothing=args.label_smoothing), rng.integers(0, shape[1], shape[0])
    if args.loss in REAL_LOSSES:
        return REAL_LOSSES[args.loss](), rng.standard_normal(shape).astype(args.dtype)
    bits = rng.integers(0, 2, shape).astype(args.dtype)
    return (nn.BCEWithLogitsLoss(), bits) if args.loss == "bce" else (nn.PerceptronLoss(), 2 * bits - 1)


def compare_mine(args: argparse.Namespace) -> NetworkReport:
    """The reader's own network beside another one."""
    from torch_ref.foreign_parity.command import Request, fitted

    given = {name: args.given[name] for name in ("sizes", "activation", "loss")}
    optimizer = OPTIMIZERS[args.optimizer]([nn.Parameter(np.zeros(1))], args.lr) if args.given["optimizer"] else None
    same = {name: getattr(args, name) for name in ("mine", "init", "theirs", "lr", "steps", "seed")}
    if args.given["batch"] is not None:
        same["batch"] = args.batch
    return fitted(Request(**same, **given, inputs=tuple(args.input), optimizer=optimizer)).compare()


def compare_one(args: argparse.Namespace) -> ParityReport:
    """The network that the options describe."""
    from torch_ref import parity

    rng = np.random.default_rng(args.seed)
    net = nn.MLP(
        args.sizes, args.activation, batch_norm=args.batch_norm, dropout=args.dropout, rng=rng, dtype=args.dtype
    )
    x = rng.standard_normal((args.batch, args.sizes[0])).astype(args.dtype)
    loss, target = loss_and_target(args, (args.batch, args.sizes[-1]), rng)
    optimizer = OPTIMIZERS[args.optimizer](net.parameters(), args.lr)
    return parity(net, x, target, loss, optimizer, steps=args.steps, device=args.device)


def compare_many(args: argparse.Namespace) -> dict[str, list[Row]]:
    """The rows of random networks, by the kind of their quantity."""
    from torch_ref import parity

    kinds = defaultdict(list)
    for i in range(args.networks):
        drawn = random_network(np.random.default_rng([args.seed, i]), args.dtype)
        optimizer = None
        if drawn.net.parameters().size:
            optimizer = random_optimizer(np.random.default_rng([args.seed, i, 1]), drawn.net.parameters(), args.lr)
        report = parity(drawn.net, drawn.x, drawn.targets, drawn.loss, optimizer, steps=args.steps, device=args.device)
        for row in report.rows:
            kind = re.sub(r"^[\d.]+[ .]", "", row.quantity)
            kinds[f"{type(drawn.loss).__name__} {kind[5:]}".strip() if kind.startswith("loss") else kind].append(row)
    return dict(sorted(kinds.items()))


def table(kinds: dict[str, list[Row]]) -> str:
    """A line for each kind of quantity: how often it was compared, how often it failed, how sharp its bounds were."""
    lines = [f"{'quantity':44}{'compared':>10}{'out of bounds':>15}{'least room':>12}{'median':>10}"]
    medians = []
    for kind, rows in kinds.items():
        failed, rooms = sum(not row.ok for row in rows), [row.room for row in rows if row.room < math.inf]
        least, median = (f"{f(rooms):.3g}" if rooms else "equal" for f in (min, statistics.median))
        lines.append(f"{kind:44}{len(rows):10}{failed:15}{least:>12}{median:>10}")
        medians += [statistics.median(rooms)] if rooms else []
    lines.append(
        f"room: how many times smaller the bound could be; at the median kind {statistics.median(medians):.3g}"
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    return run(parse(arguments))


def run(args: argparse.Namespace) -> int:
    """Compare and print; return the exit status."""
    try:
        if args.networks:
            kinds = compare_many(args)
            print(table(kinds))
            return 0 if all(row.ok for rows in kinds.values() for row in rows) else 1
        report: ParityReport | NetworkReport = compare_mine(args) if args.mine else compare_one(args)
    except UsageError as error:
        print(f"parity: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("parity: interrupted", file=sys.stderr)
        return 130
    print(report)
    return 0 if report.ok else 1
