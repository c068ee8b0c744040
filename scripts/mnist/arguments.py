"""The command line of ``train_mnist.py``."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy_nn as nn
from numpy_nn.data.mnist_family import CLASSES
from scripts.bench.machine import usable_cores
from scripts.command_line import number, positive, sizes
from scripts.mnist.machines import processes_here
from scripts.mnist.presets import PRESETS
from scripts.mnist.recipe import DISTORTIONS, OPTIMIZERS

EPILOG = """
A checkpoint is written to --out after every epoch, and the one before is kept. A run that was stopped, by whatever,
ends with --resume as if it never was, to the last bit on the same machine with the same number of threads. More
--epochs than it had are possible with --schedule constant. The exit status is 0 for a run that ends, 2 for bad
options, data or checkpoints and for a file that cannot be written, 3 for training that diverges, 130 after Ctrl-C.
"""


def regularizers(parser: argparse.ArgumentParser) -> None:
    """What keeps a network from learning its images by heart."""
    parser.add_argument(
        "--batch-norm", action=argparse.BooleanOptionalAction, default=False, help="before each activation"
    )
    parser.add_argument("--dropout", type=number(float, 0, 1), default=0.0, metavar="P", help="after each activation")
    parser.add_argument("--input-dropout", type=number(float, 0, 1), default=0.0, metavar="P", help="of the pixels")
    decay_help = "of the optimizer (default: its own, 0 but for adamw's 0.01)"
    parser.add_argument(
        "--weight-decay", type=number(float, 0), default=argparse.SUPPRESS, metavar="X", help=decay_help
    )
    adversarial_help = "learn each image also where its loss grows fastest, X of the input's units away; 0 for no"
    parser.add_argument("--adversarial", type=number(float, 0), default=0.0, metavar="X", help=adversarial_help)
    max_norm_help = "longest that the weights of one unit may be, 0 for no limit"
    parser.add_argument("--max-norm", type=number(float, 0), default=0.0, metavar="X", help=max_norm_help)
    clip_help = "longest that the gradient of the network may be, 0 for no limit"
    parser.add_argument("--clip-norm", type=number(float, 0), default=0.0, metavar="X", help=clip_help)
    average_help = "decay of an exponential moving average of the weights, which is then what is judged; 0 for none"
    parser.add_argument("--average", type=number(float, 0, 1), default=0.0, metavar="X", help=average_help)


def distortions(parser: argparse.ArgumentParser) -> None:
    """How far numpy_nn.data.augment.Distortion may move the pixels of an image; new at each step."""
    for name, unit in (
        ("rotation", "degrees"),
        ("scale", "share of its size"),
        ("shear", "pixels a row"),
        ("shift", "pixels"),
        ("alpha", "pixels, the factor of elastic displacements"),
    ):
        text = f"distort the images: {unit}"
        parser.add_argument(f"--{name}", type=number(float, 0), default=0.0, metavar="X", help=text)
    sigma_help = "of the Gaussian that smooths elastic displacements, in pixels"
    parser.add_argument("--sigma", type=positive(float), default=4.0, metavar="X", help=sigma_help)


def parse(arguments: Sequence[str] | None, summary: str) -> argparse.Namespace:
    """The command line; ``summary`` says what the command does."""
    parser = argparse.ArgumentParser(
        description=summary, epilog=EPILOG, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    presets = "; ".join(f"{name}: {preset.purpose}" for name, preset in PRESETS.items())
    parser.add_argument(
        "--preset", choices=tuple(PRESETS), help=f"settings by name, which other options change ({presets})"
    )
    engine_help = "what trains (default: both; numpy where torch is not installed)"
    parser.add_argument("--engine", choices=("both", "numpy", "torch"), default=argparse.SUPPRESS, help=engine_help)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where torch computes")
    parser.add_argument(
        "--hidden", type=sizes("64 or 512,256", 1), default="64", metavar="N[,N...]", help="sizes of the hidden layers"
    )
    activations = sorted(nn.ACTIVATION_LAYERS)
    parser.add_argument("--activation", choices=activations, default="relu", help="after each hidden layer")
    parser.add_argument("--epochs", type=positive(int), default=5, metavar="N", help="passes over the training images")
    every_help = "show, judge and keep every N-th epoch, counted from the first, and the last"
    parser.add_argument("--every", type=positive(int), default=1, metavar="N", help=every_help)
    parser.add_argument("--batch-size", type=positive(int), default=64, metavar="N", help="images a step")
    parser.add_argument("--lr", type=positive(float), default=0.1, metavar="X", help="learning rate")
    parser.add_argument(
        "--optimizer", choices=tuple(OPTIMIZERS), default="sgd", help="momentum is 0.9 where it is used"
    )
    parser.add_argument(
        "--schedule", choices=("constant", "one-cycle"), default="constant", help="of the learning rate"
    )
    warm_up_help = "share of the steps in which the rate of one-cycle rises"
    parser.add_argument("--warm-up", type=number(float, 0, 1), default=0.1, metavar="X", help=warm_up_help)
    parser.add_argument(
        "--label-smoothing", type=number(float, 0, 1), default=0.0, metavar="X", help="of the cross-entropy"
    )
    regularizers(parser)
    distortions(parser)
    held_out_help = "train on all but the last N training images and judge by those: how settings are chosen"
    parser.add_argument("--held-out", type=number(int, 0, 59_000), default=0, metavar="N", help=held_out_help)
    images_help = "train on the first N images only; 0 for all"
    parser.add_argument("--images", type=number(int, 0, 60_000), default=0, metavar="N", help=images_help)
    crop_help = "leave N pixels out on every side; digits hardly reach beyond the inner 20 x 20"
    parser.add_argument("--crop", type=number(int, 0, 13), default=0, metavar="N", help=crop_help)
    standardize_help = "shift and scale all pixels to mean 0 and variance 1 over the training images"
    parser.add_argument("--standardize", action=argparse.BooleanOptionalAction, default=False, help=standardize_help)
    seeds_help = "train N times, from seed on, each with a folder of its own in DIR"
    parser.add_argument("--seeds", type=positive(int), default=1, metavar="N", help=seeds_help)
    std_help = "draw weights from N(0, X^2), with biases 0; 0 for torch's default"
    parser.add_argument("--weights-std", type=number(float, 0), default=0.0, metavar="X", help=std_help)
    jobs_help = "so many seeds at a time, each in a process of its own"
    parser.add_argument("--jobs", type=positive(int), default=1, metavar="N", help=jobs_help)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the weights and the order of the images")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of both engines")
    loader_help = "torch's batches: out of one tensor on the device, or image by image as in the tutorial"
    parser.add_argument("--loader", choices=("resident", "plain"), default="resident", help=loader_help)
    graph_help = "torch replays its step as a captured CUDA graph (with --fused)"
    parser.add_argument("--graph", action="store_true", help=graph_help)
    parser.add_argument("--compile", action="store_true", help="torch compiles forward, loss and backward")
    parser.add_argument("--fused", action="store_true", help="torch updates all parameters in one kernel")
    amp_help = "torch's products of matrices in bfloat16 while it trains, the updates in --dtype"
    parser.add_argument("--amp", action="store_true", help=amp_help)
    threads_help = "of each process (default: the cores that it may use divided among the processes that share them)"
    parser.add_argument("--threads", type=positive(int), default=argparse.SUPPRESS, metavar="N", help=threads_help)
    parser.add_argument("--data-set", choices=tuple(CLASSES), default="mnist", help="what is learned")
    data_help = "where the data sets are, in torchvision's layout"
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help=data_help)
    parser.add_argument("--out", type=Path, default=Path("runs/mnist"), metavar="DIR", help="where results go")
    resume_help = "go on with the run in --out after its last whole epoch, with the same options"
    parser.add_argument("--resume", action="store_true", help=resume_help)
    # A parser of its own, as --help would print the defaults before they are the preset's.
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--preset")
    preset = first.parse_known_args(arguments)[0].preset
    if preset in PRESETS:
        parser.set_defaults(**PRESETS[preset].settings)
    args = parser.parse_args(arguments)
    if args.seed < 0:
        parser.error(f"argument --seed: expected a whole number >= 0, got {args.seed}")
    if args.resume and args.seeds > 1:
        parser.error("argument --resume: goes on with one run, use it with --seeds 1")
    if args.loader == "plain" and args.standardize:
        parser.error("argument --loader: plain gives the images as they are, use it without --standardize")
    if args.loader == "plain" and args.data_set != "mnist":
        parser.error("argument --loader: plain gives MNIST's images, use it without another data set")
    if args.amp and args.dtype == "float64":
        parser.error("argument --amp: computes in bfloat16 and float32, use it with --dtype float32")
    if args.loader == "plain" and args.dtype == "float64":
        parser.error("argument --loader: plain gives float32 images, use it with --dtype float32")
    if args.crop and any(getattr(args, name) for name in DISTORTIONS):
        parser.error("argument --crop: distorted images need their border, use it without distortions")
    if args.loader == "plain" and (args.crop or args.held_out or args.images):
        parser.error("argument --loader: plain gives all images as they are, use it without crop, held-out and images")
    if args.loader == "plain" and any(getattr(args, name) for name in DISTORTIONS):
        parser.error("argument --loader: plain gives the images as they are, use it without distortions")
    if args.weights_std and args.batch_norm:
        parser.error(
            "argument --weights-std: biases would be 0, and batch norm's factors too, use it without batch norm"
        )
    if args.images and args.held_out:
        parser.error("argument --images: are the first of all, use it without --held-out")
    if "engine" not in args:
        args.engine = "both" if importlib.util.find_spec("torch") else "numpy"
        if args.engine == "numpy":
            print("torch is not installed: numpy_nn trains alone")
    if "weight_decay" not in args:
        args.weight_decay = None
    if "threads" not in args:
        args.threads = max(1, usable_cores() // (processes_here() * min(args.jobs, args.seeds)))
    return args
