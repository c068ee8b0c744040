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
    from numpy_nn.commands.machine.blas_kernels import choose

    choose()  # before NumPy loads its BLAS

from collections.abc import Sequence

from rich.console import Console

import numpy_nn as nn
from numpy_nn.commands.command_line import not_compiled
from numpy_nn.commands.machine.threads import given_back
from scripts.mnist import machines
from scripts.mnist.arguments import parse
from scripts.mnist.machines import Alone
from scripts.mnist.options import Options
from scripts.mnist.recipe import prepare
from scripts.mnist.run import make_trainers, run
from scripts.mnist.sweep import sweep
from scripts.mnist.table import images, over_seeds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); the exit status, if it returns."""
    if machines.launched():
        machines.together(lambda process: train(arguments, process))
    return train(arguments, Alone())


def train(arguments: Sequence[str] | None, process: Alone) -> int:
    """The same as the only process or as one of several."""
    options = process.told_once(lambda: parse(arguments, __doc__.split("\n\n")[0] if __doc__ else ""))
    recipe, place = options.recipe, options.place
    console = Console(highlight=False, soft_wrap=True, quiet=not process.is_first)
    try:
        process = process.join(options)
        place.out.mkdir(parents=True, exist_ok=True)
        if options.jobs > 1:
            return sweep(sys.argv[1:] if arguments is None else arguments, options, console)
        data = prepare(load(options), recipe)
        status, runs = 0, []
        with given_back():
            for seed in range(recipe.seed, recipe.seed + options.seeds):
                one = options.of_seed(seed)
                one.place.out.mkdir(exist_ok=True)
                status, rows = run(make_trainers(one, data, process), one, console, len(data.x_train), process)
                if status:
                    break
                runs.append(rows)
        if (options.seeds > 1 or options.preset == "fast") and runs:
            console.print(over_seeds(runs, images(recipe)))
        return status
    except (OSError, ValueError, MemoryError) as error:
        process.complain(str(error) or "not enough memory")
        return 2
    except RuntimeError as error:
        if why := not_compiled(error):
            process.complain(f"{why}; leave --compile out")
            return 2
        # A GPU's, which is torch's own; by its name, as there may be no torch to compare it with.
        if type(error).__name__ != "OutOfMemoryError":
            raise
        process.complain(
            f"{str(error).splitlines()[0].rstrip('.')}; use a smaller --batch-size or network, or --device cpu"
        )
        return 2
    except ModuleNotFoundError as error:
        without = {"torch": "--engine numpy does without torch", "torchvision": "--loader resident does without it"}
        package = str(error.name).partition(".")[0]
        if package not in without:
            raise
        process.complain(f"{package} is not installed; {without[package]}")
        return 2
    except KeyboardInterrupt:
        process.complain("interrupted; nothing more is written")
        return 130


def load(options: Options) -> nn.MNIST:
    """The data set of the options."""
    recipe, root = options.recipe, options.place.data
    if recipe.data_set == "mnist":
        return nn.load_mnist(root, dtype=recipe.dtype)
    return nn.load_data_set(recipe.data_set, root, dtype=recipe.dtype)


if __name__ == "__main__":
    sys.exit(main())
