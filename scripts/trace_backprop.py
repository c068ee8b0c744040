"""Write one HTML page on which the backward pass of a small network can be stepped through, and every number asked.

The page is a recording of one real training step (numpy_nn.trace), with numerical derivatives and, where torch is
installed, torch's gradients beside ours. It needs no network and no server. What is larger than 4 weight layers, 16
units and 4 rows is drawn in a short form if it takes MNIST's 784 pixels, and refused if not.
"""

from __future__ import annotations

import argparse
import base64
import copy
import importlib.util
import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.gradcheck import derivative, one_sided
from scripts.command_line import Parser, number, sizes

TEMPLATE = Path(__file__).parent / "trace_page"
MAX_LINEAR_LAYERS, MAX_UNITS, MAX_ROWS = 4, 16, 4
PIXELS, MAX_IMAGES = 784, 64

Array = NDArray[Any]


# In float64 torch's derivative of it has a sixth of float32, which the page would call a disagreement.
NOT_SHOWN = {"hardsigmoid"}


class Numerical(NamedTuple):
    """The numerical derivative by each entry of an array, and its bound.

    Where ours is another, as at a kink, ``sides`` maps row and column, as "0,3", to the derivatives on the left and on
    the right and their bound.
    """

    numerical: Array
    bound: Array
    sides: dict[str, tuple[float, float, float]]

    def to_json(self) -> dict[str, Any]:
        return {"numerical": self.numerical.tolist(), "bound": self.bound.tolist(), "sides": self.sides}


def numerical_gradients(net: nn.Sequential, x: Array, y: Array, ours: dict[str, Array]) -> dict[str, Numerical]:
    """The numerical derivative of the loss by every entry of every array that has a gradient, ``ours`` by "NAME.grad".

    An output is varied by itself: the layers after it are run again, those before it are not asked.
    """
    loss, layers = nn.CrossEntropyLoss(), list(net)

    def by(name: str, array: Array, run: Callable[[], Array]) -> Numerical:
        """The derivative of the loss of what ``run`` returns by each entry of ``array``, which it reads."""
        values, bounds, sides = np.empty(array.shape), np.empty(array.shape), {}
        for index in np.ndindex(array.shape):
            kept = float(array[index])

            def f(value: float, index: tuple[int, ...] = index) -> float:
                array[index] = value
                return float(loss(run(), y))

            values[index], bounds[index] = derivative(f, kept)
            if abs(ours[f"{name}.grad"][index] - values[index]) > bounds[index]:
                left, right = one_sided(f, kept)
                bound = float(left.bound + right.bound)
                if abs(right.value - left.value) > bound:
                    row, column = (0, *index)[-2:]
                    sides[f"{row},{column}"] = float(left.value), float(right.value), bound
            array[index] = kept
        return Numerical(values, bounds, sides)

    def from_layer(k: int, array: Array) -> Array:
        for layer in layers[k:]:
            array = layer(array)
        return array

    entry = x.copy()
    result = {"input": by("input", entry, lambda: net(entry))}
    for name, p in net.named_parameters():
        result[name] = by(name, p.data, lambda: net(x))
    output = x
    for k, layer in enumerate(layers):
        output = layer(output).copy()
        name, run = f"{layer.name}.output", partial(from_layer, k + 1, output)
        result[name] = by(name, output, run)
    return {f"{name}.grad": numerical for name, numerical in result.items()}


def has_torch() -> bool:
    """Whether torch is installed, and its gradients stand on the page."""
    return importlib.util.find_spec("torch") is not None


def torch_gradients(net: nn.Sequential, x: Array, y: Array) -> dict[str, Array]:
    """The same gradients by torch's autograd, on the network's twin."""
    import torch

    from torch_ref import to_torch

    value = torch.tensor(x, requires_grad=True)
    tensors = {"input": value}
    twin = to_torch(net)
    for name, module in twin.named_children():
        value = module(value)
        value.retain_grad()
        tensors[f"{name}.output"] = value
    torch.nn.functional.cross_entropy(value, torch.tensor(y)).backward()
    tensors |= dict(twin.named_parameters())
    # A weight is the other way round in torch; a batch is not.
    return {
        f"{name}.grad": tensor.grad.numpy().T if name.endswith(".weight") else tensor.grad.numpy()
        for name, tensor in tensors.items()
        if tensor.grad is not None
    }


def record(net: nn.Sequential, x: Array, y: Array, lr: float) -> dict[str, Any]:
    """What the page shows of one step of SGD on the cross-entropy: the recording, and both checks of its gradients."""
    check_size(net, x)
    before = copy.deepcopy(net)
    trace = nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), lr), x, y)
    checks = {name: found.to_json() for name, found in numerical_gradients(before, x, y, trace.arrays).items()}
    if has_torch():
        for name, gradient in torch_gradients(before, x, y).items():
            checks[name]["torch"] = gradient.tolist()
    return {**json.loads(trace.to_json()), "checks": checks}


def check_size(net: nn.Sequential, x: Array) -> None:
    """Refuse, by ValueError or TypeError, a network that the page cannot draw number by number."""
    widths = []
    for layer in net:
        activation = getattr(layer, "activation", None)
        if not (isinstance(layer, nn.Linear) or (activation is not None and activation.elementwise)):
            raise TypeError(f"expected layers that are Linear or elementwise activations, got {layer!r}")
        if isinstance(layer, nn.Linear):
            widths += [layer.in_features, layer.out_features]
    check_limits(len(widths) // 2, widths, len(x))
    if x.dtype != np.float64 or any(p.dtype != np.float64 for p in net.parameters()):
        raise TypeError("expected float64: build the network with dtype=numpy.float64")


def shorten(net: nn.Sequential, x: Array, y: Array, lr: float) -> dict[str, Any]:
    """What the shortened page shows: of each array its norm and histogram, of the first layer's weights the images."""
    trace = nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), lr), x, y)
    trace.to_json()  # refuses numbers that are not finite
    first = next(layer for layer in trace.layers if layer.type == "Linear")
    weights = {"weight": trace.arrays[f"{first.name}.weight"], "gradient": trace.arrays[f"{first.name}.weight.grad"]}
    units = min(MAX_IMAGES, weights["weight"].shape[1])
    return {
        "layers": [vars(layer) for layer in trace.layers],
        "lr": trace.lr,
        "arrays": {name: {"shape": list(array.shape)} for name, array in trace.arrays.items()},
        "summary": {name: summarize(array) for name, array in trace.arrays.items()},
        "images": {"side": 28, "units": units, "total": weights["weight"].shape[1]}
        | {name: as_bytes(array[:, :units]) for name, array in weights.items()},
    }


def summarize(array: Array) -> dict[str, Any]:
    """Size, norm, mean, zeros and histogram of an array's numbers."""
    counts, edges = np.histogram(array, bins=31)
    return {
        "size": array.size,
        "norm": float(np.linalg.norm(array)),
        "mean": float(array.mean()),
        "zeros": int(array.size - np.count_nonzero(array)),
        "low": float(edges[0]),
        "high": float(edges[-1]),
        "counts": counts.tolist(),
    }


def as_bytes(weight: Array) -> str:
    """The columns of a weight in base64, a byte an entry: 127 for 0, 0 and 254 for the column's largest size."""
    largest = np.abs(weight).max(axis=0)
    scaled = np.rint(127 + 127 * weight / np.where(largest > 0, largest, 1)).astype(np.uint8)
    return base64.b64encode(scaled.T.tobytes()).decode()


def check_limits(weight_layers: int, widths: Sequence[int], rows: int) -> None:
    """Refuse, by ValueError, what is too large to be drawn number by number."""
    if not 1 <= weight_layers <= MAX_LINEAR_LAYERS:
        raise ValueError(f"expected 1 to {MAX_LINEAR_LAYERS} weight layers, got {weight_layers}")
    if max(widths) > MAX_UNITS:
        limit = f"at most {MAX_UNITS} units, or an input of {PIXELS} (MNIST)"
        raise ValueError(f"expected layers of {limit}, got {max(widths)}")
    if rows > MAX_ROWS:
        raise ValueError(f"expected a batch of at most {MAX_ROWS} rows, got {rows}")


def render(recording: dict[str, Any], subtitle: str) -> str:
    """The page as one file: the template with its styles, its scripts and the recording put in.

    The recording's CRC-32 stands beside it, and the page shows no numbers if they do not belong together.
    """

    def inline(tag: str) -> Callable[[re.Match[str]], str]:
        return lambda match: f"<{tag}>\n{(TEMPLATE / match[1]).read_text(encoding='utf-8')}</{tag}>"

    html = (TEMPLATE / "page.html").read_text(encoding="utf-8")
    html = re.sub(r'<link rel="stylesheet" href="([^"]*)">', inline("style"), html)
    html = re.sub(r'<script src="([^"]*)"></script>', inline("script"), html)
    # Inside a script element "</script" would end it, and "<!--" begin a comment.
    content = json.dumps({**recording, "subtitle": subtitle}, allow_nan=False).replace("<", "\\u003c")
    holder = '<script type="application/json" id="recording">'
    return html.replace(holder, f'{holder[:-1]} data-crc32="{zlib.crc32(content.encode()):08x}">{content}')


def small_problem(args: argparse.Namespace) -> tuple[nn.Sequential, Array, Array]:
    """A network and a batch whose numbers have two decimals, so that a reader can redo a product by hand."""
    check_limits(len(args.sizes) - 1, args.sizes, args.batch)  # before anything large is made
    rng = np.random.default_rng(args.seed)
    net = nn.MLP(args.sizes, args.activation, rng=rng, dtype=np.float64)
    for p in net.parameters():
        np.round(p.data, 2, out=p.data)
    x = rng.standard_normal((args.batch, args.sizes[0])).round(2)
    return net, x, np.resize(rng.permutation(args.sizes[-1]), args.batch)


def mnist_problem(args: argparse.Namespace) -> tuple[nn.Sequential, Array, Array]:
    """A network for MNIST, with the weights of a checkpoint if one is given, and the first images."""
    net = nn.MLP(args.sizes, args.activation, rng=args.seed)
    if args.checkpoint is not None:
        net.load(args.checkpoint)
    data = nn.load_mnist(args.data)
    return net, data.x_train[: args.batch], data.y_train[: args.batch]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser("trace_backprop", __doc__)
    parser.add_argument(
        "--sizes", type=sizes("4,5,3"), default="4,5,3", metavar="N,N[,N...]", help="of input, layers, output"
    )
    names = sorted(name for name, a in nn.ACTIVATIONS.items() if a.elementwise and name not in NOT_SHOWN)
    parser.add_argument("--activation", choices=names, default="relu", help="after each hidden layer")
    parser.add_argument("--batch", type=number(int, 1), metavar="N", help="rows; 2 by default, 64 on MNIST")
    parser.add_argument("--lr", type=number(float, 0), default=0.5, metavar="X", help="learning rate")
    parser.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="of the weights and the batch")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="where MNIST is, for 784 inputs")
    checkpoint_help = "weights of an MNIST network, as scripts/train_mnist.py writes them (numpy.npz)"
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help=checkpoint_help)
    parser.add_argument("--out", type=Path, default=Path("trace.html"), metavar="FILE", help="the page")
    args = parser.parse_args(arguments)
    mnist = args.sizes[0] == PIXELS
    if args.checkpoint is not None and not mnist:
        parser.error(f"argument --checkpoint: goes with MNIST's {PIXELS} inputs, got --sizes with {args.sizes[0]}")
    if mnist and args.sizes[-1] != 10:
        parser.error(f"argument --sizes: expected 10 outputs for MNIST's digits, got {args.sizes[-1]}")
    args.batch = args.batch or (64 if mnist else 2)
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    args = parse(arguments)
    network = f"{'-'.join(map(str, args.sizes))}, {args.activation}"
    subtitle = f"{network}, cross-entropy, batch {args.batch}, learning rate {args.lr:g}, seed {args.seed}"
    try:
        # What overflows is refused, with its name, when it is written down.
        with np.errstate(all="ignore"):
            if args.sizes[0] == PIXELS:
                recording = shorten(*mnist_problem(args), args.lr)
            else:
                recording = record(*small_problem(args), args.lr)
        html = render(recording, subtitle)
        args.out.write_text(html, encoding="utf-8", newline="\n")
    except (OSError, ValueError, MemoryError) as error:
        print(f"trace_backprop: {error}", file=sys.stderr)
        return 2
    print(f"written: {args.out} ({os.path.getsize(args.out) / 1000:.0f} kB)")
    if "checks" in recording and not has_torch():
        print("torch is not installed: its gradients are left out of the page")
    return 0


if __name__ == "__main__":
    sys.exit(main())
