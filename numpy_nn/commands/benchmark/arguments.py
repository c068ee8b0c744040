"""Time numpy_nn against the matrix products alone, a hand-written loop, PyTorch and others, on this machine.

All engines start from the same weights and batches in one process; they must agree on the loss before anything is
timed, and then take turns, round by round. Ratios are what to compare: they are taken within each round. Of the
``floor``, only the matrix products, no engine on the same BLAS can be below. ``--blas`` shows which kernels NumPy's
OpenBLAS has chosen and what each set of them gives.

Nothing here loads NumPy, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from numpy_nn.commands.benchmark.cases import DTYPES, KINDS, LEARNING_RATES, SUITES
from numpy_nn.commands.benchmark.engines import ENGINES
from numpy_nn.commands.command_line import Parser, listed, number, positive, program, sizes, threads
from numpy_nn.commands.machine.processors import usable_cores
from numpy_nn.commands.machine.threads import counts_up_to

# The compiler takes half a minute for a case, more than all the rest of the quick suite; processes take a second to
# begin, and are for networks larger than most of it.
NOT_QUICK = ("torch.compile", "processes")
EXAMPLES = (
    "",
    "--sizes 784,512,10 --kind step,epoch --engines numpy_nn,torch",
    "--mine my_mlp.py:MyMLP --init 784 64 10 --sizes 784,64,10",
    "--mine my_mlp.py:MyMLP --sizes 784,64,10 --profile",
    "--layers --threads 1",
    "--blas",
)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    made = _options()
    args = made.parse_args(arguments)
    most = args.threads.most or usable_cores()
    args.counts = counts_up_to(most) if args.threads.auto else (most,)
    if args.sizes is None and (args.kind or (args.batch and not (args.layers or args.blas))):
        made.error(f"argument --{'kind' if args.kind else 'batch'}: expected --sizes with it")
    if args.layers and args.sizes and len(args.sizes) < 3:
        made.error("argument --layers: expected --sizes with a hidden width, as in 784,64,10")
    if args.init and not args.mine:
        made.error("argument --init: expected --mine with it")
    if args.profile and not args.mine:
        made.error("argument --profile: expected --mine with it")
    args.mine_name, args.mine_words = None, [args.mine, *args.init]
    return args


def _options() -> Parser:
    about = "; ".join(f"{suite.name}: {suite.about}" for suite in SUITES.values())
    made = Parser("benchmark", __doc__, prog=program("benchmark"), epilog=f"Suites: {about}.", examples=EXAMPLES)
    made.add_argument("--suite", choices=tuple(SUITES), default="quick", help="which cases (default: quick)")
    _say_what_is_timed(made)
    _say_how(made)
    return made


def _say_what_is_timed(made: Parser) -> None:
    own = "one network of your own instead of a suite"
    made.add_argument("--sizes", type=sizes("784,64,10"), metavar="N,N[,N...]", help=own)
    kinds = f"with --sizes: what to time, out of {', '.join(KINDS)} (default: step)"
    made.add_argument("--kind", type=listed(tuple(KINDS)), metavar="NAMES", help=kinds)
    made.add_argument("--batch", type=number(int, 1), metavar="N", help="with --sizes: rows of a batch (default: 64)")
    made.add_argument("--dtype", type=listed(DTYPES), metavar="NAMES", help=f"out of {', '.join(DTYPES)}")
    optimizers = tuple(LEARNING_RATES)
    made.add_argument("--optimizer", type=listed(optimizers), metavar="NAMES", help=f"out of {', '.join(optimizers)}")
    made.add_argument(
        "--rows", type=number(int, 1), metavar="N", help="of an epoch and of inference (default: all of MNIST)"
    )
    names = tuple(ENGINES)
    engines = f"out of {', '.join(names)} (default: all that are installed; quick goes without {', '.join(NOT_QUICK)})"
    made.add_argument("--engines", type=listed(names), metavar="NAMES", help=engines)
    mine = "a class of your own beside them, with step(x, y, lr), set_weights(weights), loss(x, y)"
    made.add_argument("--mine", metavar="FILE:CLASS", help=mine)
    made.add_argument(
        "--init", nargs="+", default=[], metavar="WORD", help="with --mine: what the class is called with"
    )
    profile = "with --mine: what its step is made of, beside ours, and what to change first; nothing else is timed"
    made.add_argument("--profile", action="store_true", help=profile)


def _say_how(made: Parser) -> None:
    made.add_argument("--gpu", action="store_true", help="torch on CUDA too; all results go into runs/")
    made.add_argument("--rounds", type=number(int, 1), default=7, metavar="N", help="turns of each engine (default: 7)")
    sample = "least length of a turn in milliseconds (default: 20)"
    made.add_argument("--sample-ms", type=positive(float), default=20.0, metavar="X", help=sample)
    threads_help = (
        "N of every engine, or auto: as many as are fastest for each, auto:N at most N (default: auto, at most "
        f"{usable_cores()})"
    )
    made.add_argument("--threads", type=threads, default="auto", metavar="auto[:N]|N", help=threads_help)
    made.add_argument("--peak-memory", action="store_true", help="of each engine, in a process of its own")
    made.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="where MNIST is (default: data)")
    for kind in ("json", "markdown", "png"):
        made.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"write the results as {kind}")
    layers = "only show what every layer costs beside its floor, at --sizes' hidden widths (default: 64 and 512)"
    made.add_argument("--layers", action="store_true", help=layers)
    blas = (
        "only show OpenBLAS's kernels and what each set gives, and the products of a step of --sizes beside torch's "
        "(default: 784,2048,2048,10 with --batch 256)"
    )
    made.add_argument("--blas", action="store_true", help=blas)
