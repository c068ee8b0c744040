"""Check the backward pass of a layer, a network, a loss or functions in a file of yours.

Says of each gradient whether it is right, and of one that is wrong what is wrong with it.

Nothing here loads NumPy, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from numpy_nn.commands.command_line import Parser, drawn, program

EXAMPLES = (
    "my_layers.py:MyLinear --init 4 3 --input 5x4",
    "my_layers.py:MyLinear --init W=4x3 b=3 --input 5x4",
    "my_layers.py:MyLoss --input 5x3 --labels 3",
    "my_functions.py:affine_forward,affine_backward --input 5x4 --input 4x3 --input 3",
    "my_functions.py:embed --input ids=6:int10 --input table=10x4",
    "my_functions.py:lstm_step --input x=2x4 --input state=2x3,2x3 --input 4x12",
    "my_functions.py:MyFunction --torch --input 5x4",
    "my_networks.py:MyNetwork --init x=6x3 y=6x1",
)
EPILOG = """Kinds of inputs: normal: from N(0, 1); positive: their absolute values; unit: uniform in [0, 1];
probabilities: rows that sum to 1; onehot: rows with one 1; binary: 0 or 1; definite: symmetric, positive definite;
int10: whole numbers 0 .. 9; Tensor: what that class of the file makes of normal ones. An argument that is a tuple of
arrays is 2x3,2x3; a list is [2x3,2x3].

Exit status: 0 if every gradient is right, or right to the digits that are told; 1 if one is wrong, 2 if the check is
undecided or could not be made."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = Parser("gradcheck", __doc__, prog=program("gradcheck"), epilog=EPILOG, examples=EXAMPLES)
    add = parser.add_argument
    add("target", help="file.py:Class, file.py:object, file.py:function, file.py:f,vjp; or a module instead of a file")
    add("--init", nargs="*", default=[], metavar="ARG", help="arguments of the class: 4 0.5 activation=relu W=4x3 b=3")
    input_help = (
        "shape of an argument of forward; repeatable, with a name and a kind as in ids=6:int10; not needed for an "
        "object that holds its data, or a list of nodes"
    )
    add("--input", type=drawn, action="append", default=[], metavar="5x4", help=input_help)
    add("--scale", type=float, default=1.0, help="multiply the inputs of floats by this")
    add("--positive", action="store_true", help="take the absolute values of the first input, as log wants them")
    targets = parser.add_mutually_exclusive_group()
    targets.add_argument("--labels", type=int, metavar="C", help="for a loss: random labels 0 .. C - 1, one a row")
    targets.add_argument("--targets", type=drawn, metavar="5x4", help="for a loss: targets in [0, 1], or of a kind")
    add("--parameter", action="append", type=_pair, metavar="W:dW", help="a parameter and its gradient; repeatable")
    add("--constant", action="append", default=[], metavar="NAME", help="an array that is not learned; repeatable")
    add("--samples", type=_samples, help="how many coordinates of each array to check, or 'all'")
    add("--torch", action="store_true", help="an autograd.Function, a module or a function of torch's tensors")
    add("--second", action="store_true", help="with --torch: the gradients of the gradients")
    add("--json", default="", metavar="FILE", help="write the report as JSON too; - is stdout")
    add("--html", default="", metavar="FILE", help="write the report as an HTML page too; - is stdout")
    add("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def _pair(text: str) -> tuple[str, str]:
    name, colon, gradient = text.partition(":")
    if not (name and colon and gradient):
        raise argparse.ArgumentTypeError(f"expected a pair such as W:dW, got {text!r}")
    return name, gradient


def _samples(text: str) -> int | str:
    if text == "all":
        return text
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number >= 1 or 'all', got {text!r}")
    return int(text)
