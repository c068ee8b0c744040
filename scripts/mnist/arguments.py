"""The command line of ``train_mnist.py``."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy_nn as nn
from numpy_nn.commands.command_line import number, positive, sizes, threads
from numpy_nn.commands.machine.processors import usable_cores
from numpy_nn.data.mnist_family import CLASSES
from scripts.mnist.machines import processes_here
from scripts.mnist.options import Options, Place
from scripts.mnist.presets import PRESETS
from scripts.mnist.recipe import DISTORTIONS, OPTIMIZERS, Recipe

EPILOG = """
A checkpoint is written to --out after every epoch, and the one before is kept. A run that was stopped, by whatever,
ends with --resume as if it never was: with --threads N to the last bit on the same machine, with --threads auto to
rounding. More --epochs than it had are possible with --schedule constant. The exit status is 0 for a run that ends, 2
for bad options, data or checkpoints and for a file that cannot be written, 3 for training that diverges, 130 after
Ctrl-C.
"""


def parse(arguments: Sequence[str] | None, summary: str) -> Options:
    """The options of the command line; ``summary`` says what the command does."""
    parser = make_parser(summary)
    _set_defaults_of_preset(parser, arguments)
    args = parser.parse_args(arguments)
    for refusal in REFUSALS:
        if refusal.applies(args):
            parser.error(f"argument {refusal.option}: {refusal.reason.format_map(vars(args))}")
    values = _left_out(args) | vars(args) | {"hidden": tuple(args.hidden)} | _threads(args)
    recipe, place = ({field.name: values.pop(field.name) for field in fields(part)} for part in (Recipe, Place))
    return Options(Recipe(**recipe), Place(**place), **values)


def make_parser(summary: str) -> argparse.ArgumentParser:
    """The parser of all options."""
    parser = argparse.ArgumentParser(
        description=summary, epilog=EPILOG, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    presets = "; ".join(f"{name}: {preset.purpose}" for name, preset in PRESETS.items())
    parser.add_argument(
        "--preset", choices=tuple(PRESETS), help=f"settings by name, which other options change ({presets})"
    )
    engine_help = "what trains (default: both; numpy where torch is not installed)"
    parser.add_argument("--engine", choices=("both", "numpy", "torch"), default=argparse.SUPPRESS, help=engine_help)
    add_network(parser.add_argument_group("the network"))
    add_training(parser.add_argument_group("how it is trained"))
    add_regularizers(parser.add_argument_group("what keeps it from learning its images by heart"))
    add_distortions(parser.add_argument_group("how far images are distorted, anew at each step"))
    add_data(parser.add_argument_group("what it learns"))
    add_torch_steps(parser.add_argument_group("how torch computes"))
    add_place(parser.add_argument_group("where, and how much at a time"))
    return parser


def add_network(group: argparse._ArgumentGroup) -> None:
    """Its layers, and the numbers that it begins with and is made of."""
    group.add_argument(
        "--hidden", type=sizes("64 or 512,256", 1), default="64", metavar="N[,N...]", help="sizes of the hidden layers"
    )
    activations = sorted(nn.ACTIVATION_LAYERS)
    group.add_argument("--activation", choices=activations, default="relu", help="after each hidden layer")
    std_help = "draw weights from N(0, X^2), with biases 0; 0 for torch's default"
    group.add_argument("--weights-std", type=number(float, 0), default=0.0, metavar="X", help=std_help)
    group.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of both engines")


def add_training(group: argparse._ArgumentGroup) -> None:
    """Epochs, batches, optimizer, schedule, loss and seed."""
    group.add_argument("--epochs", type=positive(int), default=5, metavar="N", help="passes over the training images")
    every_help = "show, judge and keep every N-th epoch, counted from the first, and the last"
    group.add_argument("--every", type=positive(int), default=1, metavar="N", help=every_help)
    group.add_argument("--batch-size", type=positive(int), default=64, metavar="N", help="images a step")
    group.add_argument("--lr", type=positive(float), default=0.1, metavar="X", help="learning rate")
    group.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default="sgd", help="momentum is 0.9 where it is used")
    group.add_argument("--schedule", choices=("constant", "one-cycle"), default="constant", help="of the learning rate")
    warm_up_help = "share of the steps in which the rate of one-cycle rises"
    group.add_argument("--warm-up", type=number(float, 0, 1), default=0.1, metavar="X", help=warm_up_help)
    group.add_argument(
        "--label-smoothing", type=number(float, 0, 1), default=0.0, metavar="X", help="of the cross-entropy"
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the weights and the order of the images")


def add_regularizers(group: argparse._ArgumentGroup) -> None:
    """What keeps a network from learning its images by heart."""
    group.add_argument(
        "--batch-norm", action=argparse.BooleanOptionalAction, default=False, help="before each activation"
    )
    group.add_argument("--dropout", type=number(float, 0, 1), default=0.0, metavar="P", help="after each activation")
    group.add_argument("--input-dropout", type=number(float, 0, 1), default=0.0, metavar="P", help="of the pixels")
    decay_help = "of the optimizer (default: its own, 0 but for adamw's 0.01)"
    group.add_argument("--weight-decay", type=number(float, 0), default=argparse.SUPPRESS, metavar="X", help=decay_help)
    adversarial_help = "learn each image also where its loss grows fastest, X of the input's units away; 0 for no"
    group.add_argument("--adversarial", type=number(float, 0), default=0.0, metavar="X", help=adversarial_help)
    max_norm_help = "longest that the weights of one unit may be, 0 for no limit"
    group.add_argument("--max-norm", type=number(float, 0), default=0.0, metavar="X", help=max_norm_help)
    clip_help = "longest that the gradient of the network may be, 0 for no limit"
    group.add_argument("--clip-norm", type=number(float, 0), default=0.0, metavar="X", help=clip_help)
    average_help = "decay of an exponential moving average of the weights, which is then what is judged; 0 for none"
    group.add_argument("--average", type=number(float, 0, 1), default=0.0, metavar="X", help=average_help)


def add_distortions(group: argparse._ArgumentGroup) -> None:
    """How far numpy_nn.data.augment.Distortion may move the pixels of an image; new at each step."""
    for name, unit in (
        ("rotation", "degrees"),
        ("scale", "share of its size"),
        ("shear", "pixels a row"),
        ("shift", "pixels"),
        ("alpha", "pixels, the factor of elastic displacements"),
    ):
        text = f"distort the images: {unit}"
        group.add_argument(f"--{name}", type=number(float, 0), default=0.0, metavar="X", help=text)
    sigma_help = "of the Gaussian that smooths elastic displacements, in pixels"
    group.add_argument("--sigma", type=positive(float), default=4.0, metavar="X", help=sigma_help)


def add_data(group: argparse._ArgumentGroup) -> None:
    """The images to train on and to be judged by."""
    group.add_argument("--data-set", choices=tuple(CLASSES), default="mnist", help="what is learned")
    held_out_help = "train on all but the last N training images and judge by those: how settings are chosen"
    group.add_argument("--held-out", type=number(int, 0, 59_000), default=0, metavar="N", help=held_out_help)
    images_help = "train on the first N images only; 0 for all"
    group.add_argument("--images", type=number(int, 0, 60_000), default=0, metavar="N", help=images_help)
    crop_help = "leave N pixels out on every side; digits hardly reach beyond the inner 20 x 20"
    group.add_argument("--crop", type=number(int, 0, 13), default=0, metavar="N", help=crop_help)
    standardize_help = "shift and scale all pixels to mean 0 and variance 1 over the training images"
    group.add_argument("--standardize", action=argparse.BooleanOptionalAction, default=False, help=standardize_help)


def add_torch_steps(group: argparse._ArgumentGroup) -> None:
    """The device, the kind of torch's step and where its batches come from."""
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where torch computes")
    loader_help = "torch's batches: out of one tensor on the device, or image by image as in the tutorial"
    group.add_argument("--loader", choices=("resident", "plain"), default="resident", help=loader_help)
    graph_help = "torch replays its step as a captured CUDA graph (with --fused)"
    group.add_argument("--graph", action="store_true", help=graph_help)
    group.add_argument("--compile", action="store_true", help="torch compiles forward, loss and backward")
    group.add_argument("--fused", action="store_true", help="torch updates all parameters in one kernel")
    amp_help = "torch's products of matrices in bfloat16 while it trains, the updates in --dtype"
    group.add_argument("--amp", action="store_true", help=amp_help)


def add_place(group: argparse._ArgumentGroup) -> None:
    """Folders, threads, seeds at a time, and going on."""
    seeds_help = "train N times, from seed on, each with a folder of its own in DIR"
    group.add_argument("--seeds", type=positive(int), default=1, metavar="N", help=seeds_help)
    jobs_help = "so many seeds at a time, each in a process of its own"
    group.add_argument("--jobs", type=positive(int), default=1, metavar="N", help=jobs_help)
    threads_help = (
        "of each process: N, or auto for as many as are found to be fastest while it trains, auto:N for at most N "
        "(by default the cores that the process may use, divided among the processes that share them)"
    )
    group.add_argument("--threads", type=threads, default="auto", metavar="auto[:N]|N", help=threads_help)
    processes_help = (
        "train numpy_nn's network in N processes, each of which owns some units of every layer, with one thread each; "
        "auto for as many as there are cores if that is found to be fastest while it trains"
    )
    group.add_argument("--processes", type=threads, default="1", metavar="auto[:N]|N", help=processes_help)
    data_help = "where the data sets are, in torchvision's layout"
    group.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help=data_help)
    group.add_argument("--out", type=Path, default=Path("runs/mnist"), metavar="DIR", help="where results go")
    resume_help = "go on with the run in --out after its last whole epoch, with the same options"
    group.add_argument("--resume", action="store_true", help=resume_help)


def distorts(args: argparse.Namespace) -> bool:
    """Whether images are distorted at all."""
    return any(getattr(args, name) for name in DISTORTIONS)


def several(args: argparse.Namespace) -> bool:
    """Whether several processes own the network, or may."""
    return bool(args.processes.auto or args.processes.most > 1)


class Refusal(NamedTuple):
    """What one option does not go with."""

    option: str
    applies: Callable[[argparse.Namespace], Any]
    reason: str


REFUSALS = (
    Refusal("--seed", lambda args: args.seed < 0, "expected a whole number >= 0, got {seed}"),
    Refusal("--resume", lambda args: args.resume and args.seeds > 1, "goes on with one run, use it with --seeds 1"),
    Refusal(
        "--loader",
        lambda args: args.loader == "plain" and args.standardize,
        "plain gives the images as they are, use it without --standardize",
    ),
    Refusal(
        "--loader",
        lambda args: args.loader == "plain" and args.data_set != "mnist",
        "plain gives MNIST's images, use it without another data set",
    ),
    Refusal(
        "--amp",
        lambda args: args.amp and args.dtype == "float64",
        "computes in bfloat16 and float32, use it with --dtype float32",
    ),
    Refusal(
        "--loader",
        lambda args: args.loader == "plain" and args.dtype == "float64",
        "plain gives float32 images, use it with --dtype float32",
    ),
    Refusal(
        "--crop",
        lambda args: args.crop and distorts(args),
        "distorted images need their border, use it without distortions",
    ),
    Refusal(
        "--loader",
        lambda args: args.loader == "plain" and (args.crop or args.held_out or args.images),
        "plain gives all images as they are, use it without crop, held-out and images",
    ),
    Refusal(
        "--loader",
        lambda args: args.loader == "plain" and distorts(args),
        "plain gives the images as they are, use it without distortions",
    ),
    Refusal(
        "--weights-std",
        lambda args: args.weights_std and args.batch_norm,
        "biases would be 0, and batch norm's factors too, use it without batch norm",
    ),
    Refusal(
        "--processes",
        lambda args: several(args) and vars(args).get("engine") != "numpy",
        "divide numpy_nn's network, use it with --engine numpy",
    ),
    Refusal(
        "--processes",
        lambda args: several(args) and (args.adversarial or args.average or args.clip_norm or args.max_norm),
        "own a part of the network each, use it without adversarial, average, clip-norm and max-norm",
    ),
    Refusal("--processes", lambda args: several(args) and processes_here() > 1, "and torchrun's exclude each other"),
    Refusal("--images", lambda args: args.images and args.held_out, "are the first of all, use it without --held-out"),
)


def _set_defaults_of_preset(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> None:
    """By a parser of its own, as --help would print the defaults before they are the preset's."""
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--preset")
    preset = first.parse_known_args(arguments)[0].preset
    if preset in PRESETS:
        parser.set_defaults(**PRESETS[preset].settings)


def _left_out(args: argparse.Namespace) -> dict[str, Any]:
    """Of the options that were left out, those whose defaults depend on this machine or on others."""
    values: dict[str, Any] = {"weight_decay": None}
    if "engine" not in args:
        values["engine"] = "both" if importlib.util.find_spec("torch") else "numpy"
        if values["engine"] == "numpy":
            print("torch is not installed: numpy_nn trains alone")
    return values


def _threads(args: argparse.Namespace) -> dict[str, Any]:
    """How many threads, and whether fewer are tried; of a single one there is nothing to try."""
    share = max(1, usable_cores() // (processes_here() * min(args.jobs, args.seeds)))
    most = share if args.threads.most is None else args.threads.most
    processes = share if args.processes.most is None else args.processes.most
    return {
        "threads": most,
        "auto_threads": args.threads.auto and most > 1,
        "processes": processes,
        "auto_processes": args.processes.auto and processes > 1,
    }
