"""Train a multilayer perceptron on MNIST or a data set of its shape, in NumPy, in PyTorch, or in both side by side.

With ``--engine both`` the two start from the same weights and see the same batches in the same order, epoch by epoch
in turn; the table shows how far apart they are. ``--engine numpy`` never imports torch, unless ``torchrun`` starts
several processes, which then train one network together.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from scripts.blas_kernels import choose

    choose()  # before NumPy loads its BLAS

import argparse
from collections.abc import Sequence

from rich.console import Console
from threadpoolctl import threadpool_limits

import numpy_nn as nn
from scripts.mnist import machines
from scripts.mnist.arguments import parse
from scripts.mnist.recipe import prepare
from scripts.mnist.run import make_engines, run
from scripts.mnist.sweep import sweep
from scripts.mnist.table import images, over_seeds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); the exit status, if it returns."""
    if machines.launched():
        machines.together(lambda: train(arguments))
    return train(arguments)


def train(arguments: Sequence[str] | None) -> int:
    """The same as the only process or, once they have met, as one of several."""
    args = machines.told_once(lambda: parse(arguments, __doc__.split("\n\n")[0] if __doc__ else ""))
    console = Console(highlight=False, soft_wrap=True, quiet=not machines.is_first())
    try:
        machines.join(args)
        args.out.mkdir(parents=True, exist_ok=True)
        if args.jobs > 1:
            return sweep(sys.argv[1:] if arguments is None else arguments, args, console)
        data = prepare(load(args), args)
        status, runs, out = 0, [], args.out
        with threadpool_limits(args.threads):
            for seed in range(args.seed, args.seed + args.seeds):
                args.seed = seed
                if args.seeds > 1:
                    args.out = out / f"seed-{seed}"
                    args.out.mkdir(exist_ok=True)
                status, rows = run(make_engines(args, data), args, console, len(data.x_train))
                if status:
                    break
                runs.append(rows)
        if (args.seeds > 1 or args.preset == "fast") and runs:
            console.print(over_seeds(runs, images(args)))
        return status
    except (OSError, ValueError, MemoryError) as error:
        machines.complain(str(error) or "not enough memory")
        return 2
    except RuntimeError as error:
        # A GPU's, which is torch's own; by its name, as there may be no torch to compare it with.
        if type(error).__name__ != "OutOfMemoryError":
            raise
        machines.complain(
            f"{str(error).splitlines()[0].rstrip('.')}; use a smaller --batch-size or network, or --device cpu"
        )
        return 2
    except ModuleNotFoundError as error:
        without = {"torch": "--engine numpy does without torch", "torchvision": "--loader resident does without it"}
        package = str(error.name).partition(".")[0]
        if package not in without:
            raise
        machines.complain(f"{package} is not installed; {without[package]}")
        return 2
    except KeyboardInterrupt:
        machines.complain("interrupted; nothing more is written")
        return 130


def load(args: argparse.Namespace) -> nn.MNIST:
    """The data set of the options."""
    if args.data_set == "mnist":
        return nn.load_mnist(args.data, dtype=args.dtype)
    return nn.load_data_set(args.data_set, args.data, dtype=args.dtype)


if __name__ == "__main__":
    sys.exit(main())
