"""Write one HTML page on which the backward pass of a small network can be stepped through, and every number asked.

The page is a recording of one real training step (numpy_nn.trace), with numerical derivatives and, where torch is
installed, torch's gradients beside ours. It needs no network and no server. What is larger than 4 weight layers, 16
units and 4 rows is drawn in a short form if it takes MNIST's 784 pixels, and refused if not.

Nothing here loads NumPy, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from numpy_nn.commands.command_line import Parser, number, program, sizes
from numpy_nn.commands.names import ACTIVATIONS, NOT_ON_THE_PAGE

MAX_LINEAR_LAYERS, MAX_UNITS, MAX_ROWS, MAX_POINTS = 10, 16, 4, 400
POINTS = ("xor", "moons", "spirals", "circles")
PIXELS = 784
# Causes of the gradient checker that the page can hide: page/mistakes.js has their wrong formulas.
MISTAKES = (
    "bias_averaged",
    "elements_mean",
    "batch_mean_twice",
    "updated_too_early",
    "weight_decay",
    "derivative_missing",
    "batch_norm_constant_statistics",
    "batch_norm_mean_constant",
    "batch_norm_variance_constant",
    "dropout_mask",
    "dropout_scale",
    "one_example",
    "derivative_twice",
    "derivative_at_output",
    "batch_mean_missing",
    "learning_rate",
    "softmax_elementwise",
    "mask_wrong_tensor",
    "transposed",
    "derivative_at_input",
    "grad_output_ignored",
    "mask_inverted",
    "target_missing",
    "softmax_missing",
    "sign",
    "target_minus_prediction",
)
LOSSES, OPTIMIZERS = ("cross-entropy", "mse", "bce"), ("sgd", "momentum", "adam")
EXAMPLES = (
    "",
    "--sizes 2,3,2 --activation tanh --out step.html",
    "--data moons --activation tanh",
    "--sizes 784,64,10 --checkpoint net.npz",
    "--mine my_mlp.py:TwoLayerNet --init 4 5 3",
)


def check_limits(weight_layers: int, widths: Sequence[int], rows: int, most_rows: int = MAX_ROWS) -> None:
    """Refuse, by ValueError, what is too large to be drawn number by number."""
    if not 1 <= weight_layers <= MAX_LINEAR_LAYERS:
        raise ValueError(f"expected 1 to {MAX_LINEAR_LAYERS} weight layers, got {weight_layers}")
    if max(widths) > MAX_UNITS:
        limit = f"at most {MAX_UNITS} units, or an input of {PIXELS} (MNIST)"
        raise ValueError(f"expected layers of {limit}, got {max(widths)}")
    if rows > most_rows:
        raise ValueError(f"expected a batch of at most {most_rows} rows, got {rows}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = Parser("trace", __doc__, prog=program("trace"), examples=EXAMPLES)
    parser.add_argument(
        "--sizes",
        type=sizes("4,5,3"),
        metavar="N,N[,N...]",
        help="of input, layers, output; 4,5,3, or 2,8,8,2 on points",
    )
    names = [name for name in ACTIVATIONS if name not in NOT_ON_THE_PAGE]
    parser.add_argument("--activation", choices=names, default="relu", help="after each hidden layer")
    parser.add_argument("--batch-norm", action="store_true", help="a BatchNorm1d before each activation")
    dropout_help = "leave out each hidden unit's output with this probability, by one mask at every step"
    parser.add_argument("--dropout", type=number(float, 0, 0.9), default=0.0, metavar="P", help=dropout_help)
    batch_help = "rows; 2 by default, 64 on MNIST, 200 points in the plane"
    parser.add_argument("--batch", type=number(int, 1), metavar="N", help=batch_help)
    parser.add_argument("--lr", type=number(float, 0), default=0.5, metavar="X", help="learning rate")
    parser.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="of the weights and the batch")
    data_help = (
        "points in the plane: xor, moons, spirals, circles or FILE.csv (x,y,class); for 784 inputs, where MNIST is"
    )
    parser.add_argument("--data", metavar="DATA", help=data_help)
    checkpoint_help = "weights of an MNIST network, as scripts/train_mnist.py writes them (numpy.npz)"
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help=checkpoint_help)
    parser.add_argument("--loss", choices=LOSSES, default="cross-entropy", help="what is minimized")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="sgd", help="how; momentum is SGD with 0.9 of it")
    mistake_help = "hide a mistake in the page's backward pass, for the reader to find"
    parser.add_argument("--mistake", choices=MISTAKES, help=mistake_help)
    parser.add_argument("--lang", choices=("en", "zh"), default="en", help="the page's language at first")
    parser.add_argument("--out", type=Path, default=Path("trace.html"), metavar="FILE", help="the page")
    mine = parser.add_argument_group("a network of your own, if torch is installed")
    mine.add_argument("--mine", metavar="FILE:CLASS", help="its numbers, beside ours, torch's and the numerical ones")
    mine.add_argument("--init", nargs="*", default=[], metavar="ARG", help="of the class, such as 4 5 3 or W=4x3")
    args = parser.parse_args(arguments)
    if args.init and args.mine is None:
        parser.error("argument --init: goes with --mine FILE:CLASS")
    usual = {"mistake": None, "batch_norm": False, "dropout": 0.0, "loss": "cross-entropy", "optimizer": "sgd"}
    chosen = [name for name, value in usual.items() if getattr(args, name) != value]
    option = chosen[0].replace("_", "-") if chosen else ""
    if args.mine is not None:
        if chosen:
            parser.error(f"argument --{option}: goes with a network of ours, not with --mine")
        return args
    args.on_points = args.data is not None and (args.data in POINTS or args.data.endswith(".csv"))
    outputs = 2 if args.loss == "cross-entropy" else 1
    args.outputs_by_classes = args.sizes is None and args.on_points and args.loss == "cross-entropy"
    args.sizes = args.sizes or ([2, 8, 8, outputs] if args.on_points else [4, 5, 3])
    mnist = args.sizes[0] == PIXELS
    if args.on_points and args.sizes[0] != 2:
        parser.error(f"argument --data: {args.data} goes with two inputs, got --sizes with {args.sizes[0]}")
    if args.data is not None and not args.on_points and not mnist:
        wanted = f"{', '.join(POINTS)} or FILE.csv, or a folder with MNIST for {PIXELS} inputs"
        parser.error(f"argument --data: expected {wanted}, got {args.data!r}")
    if args.checkpoint is not None and not mnist:
        parser.error(f"argument --checkpoint: goes with MNIST's {PIXELS} inputs, got --sizes with {args.sizes[0]}")
    if mnist and chosen:
        parser.error(f"argument --{option}: goes with a small network, not with MNIST's {PIXELS} inputs")
    if mnist and args.sizes[-1] != 10:
        parser.error(f"argument --sizes: expected 10 outputs for MNIST's digits, got {args.sizes[-1]}")
    args.batch = args.batch or (64 if mnist else 200 if args.on_points else 2)
    args.data = args.data or "data"
    return args
