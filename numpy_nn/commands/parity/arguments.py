"""Compare a multilayer perceptron with its PyTorch twin, number by number, on random data.

Prints a row for each output, each gradient and each parameter after some steps: the two values that are farthest
apart, the bound that rounding allows them, and how many times smaller it could be before it failed. With --networks
it compares as many random networks, and prints a row for each kind of quantity. Exits with 0 if all are within their
bounds, with 1 if one is not.

With --mine it compares a network in a file of yours with one of torch's, or with another in --theirs. A row then is
"same", "differ" or "cannot be told", by how far rounding was seen to move the result; exits with 0 if all are the same,
with 1 if not, with 2 where it cannot be done.

Nothing here loads NumPy, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from numpy_nn.commands.command_line import Parser, drawn, number, program, sizes
from numpy_nn.commands.names import ACTIVATIONS

LOSSES = ("cross-entropy", "mse", "l1", "huber", "bce", "perceptron")
LOSSES_OF_MINE = ("cross-entropy", "mse", "bce")
EXAMPLES = (
    "",
    "--sizes 784,512,10 --optimizer adam --dtype float64",
    "--networks 100",
    "--mine my_mlp.py:TwoLayerNet --init 784 64 10",
)
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = _options()
    args = parser.parse_args(arguments)
    # What stands there already is not overwritten by defaults.
    args.given = vars(parser.parse_args(arguments, argparse.Namespace(**dict.fromkeys(vars(args)))))
    _refuse_what_does_not_go_together(parser, args)
    try:
        from torch_ref.training import resolve_device

        args.device = resolve_device(args.device)
    except ModuleNotFoundError as error:
        parser.error(
            f"{error.name} is not installed, and it is what numpy_nn is compared with; pip install {error.name}"
        )
    except ValueError as error:
        parser.error(f"argument --{error}")
    return args


def _options() -> Parser:
    parser = Parser("parity", __doc__, prog=program("parity"), examples=EXAMPLES)
    mine = parser.add_argument_group("a network of your own, beside torch; what is not said is what fits it")
    mine.add_argument("--mine", metavar="FILE:NAME", help="a class, an object, or two functions FILE:f,g")
    mine.add_argument("--init", nargs="*", default=[], metavar="ARG", help="of the class, such as 784 64 10 or W=4x3")
    mine.add_argument("--theirs", metavar="FILE:NAME", help="another network, in the place of torch's")
    mine.add_argument("--input", type=drawn, action="append", default=[], metavar="5x4", help="arrays for functions")
    parser.add_argument(
        "--sizes", type=sizes("784,64,10"), default="784,64,10", metavar="N,N[,N...]", help="of input, layers, output"
    )
    parser.add_argument("--activation", choices=ACTIVATIONS, default="relu", help="after each hidden layer")
    parser.add_argument("--batch-norm", action="store_true", help="before each activation")
    parser.add_argument("--dropout", type=number(float, 0, 1), default=0.0, metavar="P", help="after each activation")
    parser.add_argument("--loss", choices=LOSSES, default="cross-entropy", help="to the mean over the batch")
    parser.add_argument(
        "--label-smoothing", type=number(float, 0, 1), default=0.0, metavar="X", help="of cross-entropy"
    )
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="sgd", help="momentum is 0.9 where it is used")
    parser.add_argument("--lr", type=number(float, 0), default=0.1, metavar="X", help="learning rate")
    parser.add_argument("--steps", type=number(int, 1), default=3, metavar="N", help="of the optimizer")
    parser.add_argument("--batch", type=number(int, 1), default=64, metavar="N", help="rows of random data")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of both engines")
    parser.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="of weights, data and dropout")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where torch computes")
    parser.add_argument(
        "--networks", type=number(int, 1), metavar="N", help="random ones, with all layers, losses and optimizers"
    )
    return parser


def _refuse_what_does_not_go_together(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """The options of one's own network need it, and those of ours do not go with it; nor do some of ours together."""
    if args.label_smoothing and args.loss != "cross-entropy":
        parser.error(f"argument --label-smoothing: goes with --loss cross-entropy, not {args.loss}")
    if args.batch == 1 and args.batch_norm and len(args.sizes) > 2:
        parser.error("argument --batch: expected at least 2 rows with --batch-norm, which takes their variance")
    if args.mine is None:
        if name := next((name for name in ("init", "theirs", "input") if getattr(args, name)), None):
            parser.error(f"argument --{name}: goes with --mine FILE:NAME")
        return
    for name in ("batch_norm", "dropout", "label_smoothing", "networks", "dtype", "device"):
        if args.given[name] is not None:
            parser.error(f"argument --{name.replace('_', '-')}: is of networks of ours, and does not go with --mine")
    if args.given["loss"] not in (None, *LOSSES_OF_MINE):
        parser.error(f"argument --loss: expected cross-entropy, mse or bce with --mine, got {args.loss}")
    if args.input and args.theirs is None:
        parser.error("argument --input: expected --theirs FILE:NAME with it, got none")
