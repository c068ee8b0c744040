"""Compare a multilayer perceptron with its PyTorch twin, number by number, on random data.

Prints a row for each output, each gradient and each parameter after some steps: the two values that are farthest
apart, the bound that rounding allows them, and how many times smaller it could be before it failed. With --networks
it compares as many random networks, and prints a row for each kind of quantity. Exits with 0 if all are within their
bounds, with 1 if one is not.

With --mine it compares a network in a file of yours with one of torch's, or with another in --theirs. A row then is
"same", "differ" or "cannot be told", by how far rounding was seen to move the result; exits with 0 if all are the same,
with 1 if not, with 2 where it cannot be done.
"""

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
from numpy_nn.gradcheck.files import UsageError
from numpy_nn.gradcheck.inputs import Drawn, drawn
from scripts.command_line import Parser, number, sizes
from scripts.proof.random_networks import random_network

if TYPE_CHECKING:
    from torch_ref import NetworkReport, ParityReport, Row

LOSSES = ("cross-entropy", "mse", "bce", "perceptron")

OPTIMIZERS: dict[str, Callable[[Any, float], nn.Optimizer]] = {
    "sgd": lambda parameters, lr: nn.SGD(parameters, lr),
    "momentum": lambda parameters, lr: nn.SGD(parameters, lr, momentum=0.9),
    "nesterov": lambda parameters, lr: nn.SGD(parameters, lr, momentum=0.9, nesterov=True),
    "adam": lambda parameters, lr: nn.Adam(parameters, lr),
    "adamw": lambda parameters, lr: nn.AdamW(parameters, lr),
}


def loss_and_target(
    args: argparse.Namespace, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[nn.Loss, NDArray[Any]]:
    """The loss, and random targets for outputs of that shape."""
    if args.loss == "cross-entropy":
        return nn.CrossEntropyLoss(label_smoothing=args.label_smoothing), rng.integers(0, shape[1], shape[0])
    if args.loss == "mse":
        return nn.MSELoss(), rng.standard_normal(shape).astype(args.dtype)
    bits = rng.integers(0, 2, shape).astype(args.dtype)
    return (nn.BCEWithLogitsLoss(), bits) if args.loss == "bce" else (nn.PerceptronLoss(), 2 * bits - 1)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser("parity_report", __doc__)
    mine = parser.add_argument_group("a network of your own, beside torch; what is not said is what fits it")
    mine.add_argument("--mine", metavar="FILE:NAME", help="a class, an object, or two functions FILE:f,g")
    mine.add_argument("--init", nargs="*", default=[], metavar="ARG", help="of the class, such as 784 64 10 or W=4x3")
    mine.add_argument("--theirs", metavar="FILE:NAME", help="another network, in the place of torch's")
    mine.add_argument("--input", type=_drawn, action="append", default=[], metavar="5x4", help="arrays for functions")
    parser.add_argument(
        "--sizes", type=sizes("784,64,10"), default="784,64,10", metavar="N,N[,N...]", help="of input, layers, output"
    )
    activations = sorted(nn.ACTIVATION_LAYERS)
    parser.add_argument("--activation", choices=activations, default="relu", help="after each hidden layer")
    parser.add_argument("--batch-norm", action="store_true", help="before each activation")
    parser.add_argument("--dropout", type=number(float, 0, 1), default=0.0, metavar="P", help="after each activation")
    parser.add_argument("--loss", choices=LOSSES, default="cross-entropy", help="to the mean over the batch")
    parser.add_argument(
        "--label-smoothing", type=number(float, 0, 1), default=0.0, metavar="X", help="of cross-entropy"
    )
    parser.add_argument(
        "--optimizer", choices=tuple(OPTIMIZERS), default="sgd", help="momentum is 0.9 where it is used"
    )
    parser.add_argument("--lr", type=number(float, 0), default=0.1, metavar="X", help="learning rate")
    parser.add_argument("--steps", type=number(int, 1), default=3, metavar="N", help="of the optimizer")
    parser.add_argument("--batch", type=number(int, 1), default=64, metavar="N", help="rows of random data")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of both engines")
    parser.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="of weights, data and dropout")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where torch computes")
    parser.add_argument(
        "--networks", type=number(int, 1), metavar="N", help="random ones, with all layers, losses and optimizers"
    )
    args = parser.parse_args(arguments)
    # What stands there already is not overwritten by defaults.
    args.given = vars(parser.parse_args(arguments, argparse.Namespace(**dict.fromkeys(vars(args)))))
    _refuse_what_does_not_go_together(parser, args)
    if args.label_smoothing and args.loss != "cross-entropy":
        parser.error(f"argument --label-smoothing: goes with --loss cross-entropy, not {args.loss}")
    if args.batch == 1 and args.batch_norm and len(args.sizes) > 2:
        parser.error("argument --batch: expected at least 2 rows with --batch-norm, which takes their variance")
    try:
        from torch_ref.training import resolve_device

        args.device = resolve_device(args.device)
    except ModuleNotFoundError as error:
        parser.error(f"{error.name} is not installed, and it is what numpy_nn is compared with")
    except ValueError as error:
        parser.error(f"argument --{error}")
    return args


def _drawn(text: str) -> Drawn:
    try:
        return drawn(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _refuse_what_does_not_go_together(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """The options of one's own network need it, and those of ours do not go with it."""
    if args.mine is None:
        if name := next((name for name in ("init", "theirs", "input") if getattr(args, name)), None):
            parser.error(f"argument --{name}: goes with --mine FILE:NAME")
        return
    for name in ("batch_norm", "dropout", "label_smoothing", "networks", "dtype", "device"):
        if args.given[name] is not None:
            parser.error(f"argument --{name.replace('_', '-')}: is of networks of ours, and does not go with --mine")
    if args.given["loss"] == "perceptron":
        parser.error("argument --loss: expected cross-entropy, mse or bce with --mine, got perceptron")
    if args.input and args.theirs is None:
        parser.error("argument --input: expected --theirs FILE:NAME with it, got none")


def compare_mine(args: argparse.Namespace) -> NetworkReport:
    """The reader's own network beside another one."""
    from torch_ref.foreign_parity.command import Request, compare_file

    given = {name: args.given[name] for name in ("sizes", "activation", "loss")}
    optimizer = OPTIMIZERS[args.optimizer]([nn.Parameter(np.zeros(1))], args.lr) if args.given["optimizer"] else None
    same = {name: getattr(args, name) for name in ("mine", "init", "theirs", "batch", "lr", "steps", "seed")}
    return compare_file(Request(**same, **given, inputs=tuple(args.input), optimizer=optimizer))


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
        target = drawn.targets.astype(args.dtype) if drawn.targets.dtype.kind == "f" else drawn.targets
        optimizer = None
        if drawn.net.parameters().size:
            optimizer = list(OPTIMIZERS.values())[i % len(OPTIMIZERS)](drawn.net.parameters(), args.lr)
        report = parity(drawn.net, drawn.x, target, drawn.loss, optimizer, steps=args.steps, device=args.device)
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
    args = parse(arguments)
    try:
        if args.networks:
            kinds = compare_many(args)
            print(table(kinds))
            return 0 if all(row.ok for rows in kinds.values() for row in rows) else 1
        report: ParityReport | NetworkReport = compare_mine(args) if args.mine else compare_one(args)
    except UsageError as error:
        print(f"parity_report: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("parity_report: interrupted", file=sys.stderr)
        return 130
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
