"""The vocabulary of the suite: hypothesis strategies for arrays, layers, networks, batches, losses and optimizers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

import numpy_nn as nn


def fewer(share: float) -> settings:
    """This share of the profile's examples, for a test whose examples each take long."""
    return settings(max_examples=max(1, round(share * settings().max_examples)))


DTYPES = (np.float32, np.float64)

# Entries of an array that hypothesis draws one by one.
FEW = 8

dtypes = st.sampled_from(DTYPES)
seeds = st.integers(0, 2**32 - 1)
reductions = st.sampled_from(["mean", "sum", "none"])


def special_values(dtype: Any) -> list[float]:
    """Where a formula for floats breaks first: zeros, kinks, subnormals, both ends, NaN."""
    info = np.finfo(dtype)
    finite = [0.0, 1.0, float(info.eps), float(info.tiny), float(info.smallest_subnormal), float(info.max), 20.0, 88.8]
    finite += [0.5, 3.0, 100.0, 709.0, 1e-5, 1e4, float(info.max) / 2]
    return [*finite, *(-v for v in finite), np.inf, -np.inf, np.nan]


# Made once: hypothesis validates a strategy when it is first drawn from.
SPECIAL = {dtype: st.sampled_from(special_values(dtype)) for dtype in DTYPES}
LAYOUTS = st.sampled_from(["C", "F", "strided", "reversed", "read-only"])


@st.composite
def layouts(draw: st.DrawFn, array: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in another memory layout: C or Fortran order, every other element, reversed, read-only."""
    layout = draw(LAYOUTS)
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "strided":
        wide = np.repeat(array, 2, axis=-1)
        wide[..., 1::2] = np.nan
        return wide[..., ::2]
    if layout == "reversed":
        return np.ascontiguousarray(array[::-1])[::-1]
    if layout == "read-only":
        array = array.copy()
        array.setflags(write=False)
    return array


@st.composite
def float_arrays(
    draw: st.DrawFn, shape: Any, dtype: Any, *, special: bool = False, limit: float = 1e3, laid_out: bool = True
) -> NDArray[Any]:
    """Arrays of ``dtype``: hypothesis's own floats up to ``limit``, normal ones of any scale, or special values."""
    size = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    if special and draw(st.booleans()):
        array = _of_few(draw, size, dtype, SPECIAL[dtype])
    elif draw(st.booleans()):
        bound = float(dtype(limit))
        array = _of_few(draw, size, dtype, st.floats(-bound, bound, width=32 if dtype is np.float32 else 64))
    else:
        scale = 10.0 ** draw(st.integers(-6, int(np.log10(limit)) - 1))
        array = (np.random.default_rng(draw(seeds)).standard_normal(size) * scale).astype(dtype)
    return draw(layouts(array)) if laid_out and array.ndim else array


def _of_few(draw: st.DrawFn, size: Any, dtype: Any, elements: st.SearchStrategy[float]) -> NDArray[Any]:
    """An array of some drawn numbers, each here and there: to draw every entry takes longer than most tests."""
    count = int(np.prod(size))
    few = draw(st.lists(elements, min_size=min(count, FEW), max_size=min(count, FEW)))
    entries = np.resize(np.array(few, dtype), count)
    return (np.random.default_rng(draw(seeds)).permutation(entries) if count > FEW else entries).reshape(size)


shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=8)
rows = st.integers(1, 64)
widths = st.integers(1, 64)


@st.composite
def linears(draw: st.DrawFn, fan_in: int, fan_out: int, dtype: Any) -> nn.Linear:
    """A Linear layer, now and then with a bias far larger than the product."""
    layer = nn.Linear(fan_in, fan_out, draw(st.booleans()), rng=draw(seeds), dtype=dtype)
    if layer.bias is not None:
        layer.bias.data *= dtype(draw(st.sampled_from([1.0, 1.0, 1e3])) * fan_in**0.5)
    return layer


@st.composite
def elementwise_layers(draw: st.DrawFn, width: int, dtype: Any) -> nn.Layer:
    """Any activation of the registry that works entry by entry, with random options."""
    slope = st.floats(0.0, 0.9)
    name = draw(st.sampled_from([name for name, a in nn.ACTIVATIONS.items() if a.elementwise]))
    if name == "leaky_relu":
        return nn.LeakyReLU(draw(slope))
    if name == "prelu":
        layer = nn.PReLU(draw(st.sampled_from([1, width])), draw(slope), dtype=dtype)
        layer.weight.data += np.linspace(0, 0.1, layer.num_parameters, dtype=dtype)
        return layer
    if name == "elu":
        return nn.ELU(draw(st.floats(0.1, 3.0)))
    if name == "gelu":
        return nn.GELU(draw(st.sampled_from(["none", "tanh"])))
    if name == "softplus":
        return nn.Softplus(draw(st.floats(0.25, 4.0)))
    if name == "hardtanh":
        return nn.Hardtanh(draw(st.floats(-3.0, 0.0)), draw(st.floats(0.5, 3.0)))
    return nn.ACTIVATION_LAYERS[name]()


@st.composite
def batch_norms(draw: st.DrawFn, width: int, dtype: Any) -> nn.BatchNorm1d:
    """BatchNorm1d with random settings, affine parameters and running statistics."""
    layer = nn.BatchNorm1d(
        width,
        eps=draw(st.sampled_from([1e-5, 1e-3])),
        momentum=draw(st.sampled_from([None, 0.1, 0.7])),
        affine=draw(st.booleans()),
        track_running_stats=draw(st.booleans()),
        dtype=dtype,
    )
    rng = np.random.default_rng(draw(seeds))
    for p in layer.parameters():
        p.data[...] = rng.normal(1.0, 0.5, p.shape)
    if layer.running_mean is not None and layer.running_var is not None:
        layer.running_mean[...] = rng.normal(0.0, 1.0, width)
        layer.running_var[...] = rng.uniform(0.1, 2.0, width)
    return layer


@st.composite
def layer_norms(draw: st.DrawFn, shape: int | tuple[int, ...], dtype: Any) -> nn.LayerNorm:
    """LayerNorm over that many entries, or over axes of those sizes, with random settings and parameters."""
    layer = nn.LayerNorm(
        shape,
        eps=draw(st.sampled_from([1e-5, 1e-3])),
        elementwise_affine=draw(st.booleans()),
        bias=draw(st.booleans()),
        dtype=dtype,
    )
    rng = np.random.default_rng(draw(seeds))
    for p in layer.parameters():
        p.data[...] = rng.normal(1.0, 0.5, p.shape)
    return layer


@st.composite
def layers(draw: st.DrawFn, width: int, dtype: Any, n: int) -> nn.Layer:
    """Any layer that takes (n, width), in training or evaluation mode."""
    kind = draw(st.sampled_from(["linear", "elementwise", "softmax", "flatten", "layer_norm", "batch_norm"]))
    layer: nn.Layer
    if kind == "linear":
        layer = draw(linears(width, draw(widths), dtype))
    elif kind == "elementwise":
        layer = draw(elementwise_layers(width, dtype))
    elif kind == "softmax":
        layer = draw(st.sampled_from([nn.Softmax, nn.LogSoftmax]))()
    elif kind == "flatten":
        layer = nn.Flatten()
    elif kind == "layer_norm":
        layer = draw(layer_norms(width, dtype))
    else:
        layer = draw(batch_norms(width, dtype))
        if n == 1:
            return tracked(layer.eval())
    return layer.train(n > 1 and draw(st.booleans()))


def tracked(layer: nn.BatchNorm1d) -> nn.BatchNorm1d:
    """A BatchNorm1d that can take one row: with running statistics, in evaluation mode."""
    return layer if layer.running_mean is not None else nn.BatchNorm1d(layer.num_features, dtype=layer.dtype).eval()


@st.composite
def hidden_layers(draw: st.DrawFn, width: int, dtype: Any, n: int) -> list[nn.Layer]:
    """What may follow a Linear layer of that width for a batch of ``n`` rows: any mix of up to two layers."""
    kinds = ["activation", "activation", "dropout", "softmax", "inner", "layer_norm"] + ["batch_norm"] * (n > 1)
    layers: list[nn.Layer] = []
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=2)):
        if kind == "activation":
            layers.append(draw(elementwise_layers(width, dtype)))
        elif kind == "dropout":
            layers.append(nn.Dropout(draw(st.sampled_from([0.0, 0.2, 0.5])), rng=draw(seeds)))
        elif kind == "softmax":
            layers.append(draw(st.sampled_from([nn.Softmax, nn.LogSoftmax]))())
        elif kind == "batch_norm":
            layers.append(draw(batch_norms(width, dtype)))
        elif kind == "layer_norm":
            layers.append(draw(layer_norms(width, dtype)))
        else:
            inner = draw(linears(width, width, dtype))
            layers.append(nn.Sequential(inner, draw(elementwise_layers(width, dtype))))
    return layers


@st.composite
def networks(draw: st.DrawFn, dtype: Any, n: int, *, outputs: int | None = None, max_width: int = 64) -> nn.Sequential:
    """Depth 1 to 6 Linear layers, width 1 to 64, any mix of layers between; in training or evaluation mode."""
    sizes = draw(st.lists(st.integers(1, max_width), min_size=2, max_size=7))
    sizes[-1] = outputs or sizes[-1]
    layers: list[nn.Layer] = [nn.Flatten()] if draw(st.booleans()) else []
    for index, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        layers.append(draw(linears(fan_in, fan_out, dtype)))
        if index < len(sizes) - 2:
            layers += draw(hidden_layers(fan_out, dtype, n))
    return nn.Sequential(*layers).train(draw(st.booleans()))


def in_features(net: nn.Sequential) -> int:
    """The width that a network of :func:`networks` takes."""
    return next(layer.in_features for layer in net if isinstance(layer, nn.Linear))


@st.composite
def label_losses(draw: st.DrawFn, classes: int, dtype: Any, rng: np.random.Generator) -> dict[str, Any]:
    """Random options of a loss of labels: weights, one of them now and then 0, and the label that does not count."""
    weight = rng.uniform(0.1, 3.0, classes).astype(dtype)
    if classes > 1 and draw(st.booleans()):
        weight[-1] = 0.0
    return {
        "reduction": draw(reductions),
        "weight": draw(st.sampled_from([None, weight])),
        "ignore_index": draw(st.sampled_from([-100, -1, classes - 1, classes + 7])),
    }


@st.composite
def labels(draw: st.DrawFn, shape: tuple[int, int], ignore_index: int, rng: np.random.Generator) -> NDArray[Any]:
    """Labels in any type of integers, some of which are ``ignore_index``; one at least counts, and weighs something."""
    y = rng.integers(0, shape[1], shape[0])
    ignored = rng.random(shape[0]) < draw(st.sampled_from([0.0, 0.3, 0.9]))
    y[ignored] = ignore_index
    y[0] = 0
    kinds: list[Any] = [np.int64, np.int32, ">i4", ">i8", np.uint8]
    return y.astype(draw(st.sampled_from(kinds if y.min() >= 0 else kinds[:-1])))


@st.composite
def losses_with_targets(draw: st.DrawFn, shape: tuple[int, int], dtype: Any) -> tuple[nn.Loss, NDArray[Any]]:
    """Any loss with any reduction and options, and targets for outputs of that shape."""
    kind = draw(st.sampled_from(["cross_entropy", "nll", "mse", "l1", "huber", "bce", "perceptron"]))
    rng = np.random.default_rng(draw(seeds))
    if kind in ("cross_entropy", "nll"):
        options = draw(label_losses(shape[1], dtype, rng))
        if shape[1] == 1 and options["ignore_index"] == 0:
            options["ignore_index"] = -1  # else no label is left
        if kind == "nll":
            return nn.NLLLoss(**options), draw(labels(shape, options["ignore_index"], rng))
        options["label_smoothing"] = draw(st.sampled_from([0.0, 0.1, 1.0]))
        if draw(st.booleans()):
            return nn.CrossEntropyLoss(**options), draw(labels(shape, options["ignore_index"], rng))
        p = rng.dirichlet(np.ones(shape[1]), shape[0]).astype(dtype)
        return nn.CrossEntropyLoss(**options | {"ignore_index": -100}), p
    reduction = draw(reductions)
    if kind in ("mse", "l1"):
        return (nn.MSELoss if kind == "mse" else nn.L1Loss)(reduction), rng.standard_normal(shape).astype(dtype)
    if kind == "huber":
        return nn.HuberLoss(reduction, draw(st.floats(1e-3, 1e2))), rng.standard_normal(shape).astype(dtype)
    if kind == "bce":
        t = (rng.random(shape) if draw(st.booleans()) else rng.integers(0, 2, shape)).astype(dtype)
        sides = [None, shape, shape[1:], (shape[0], 1), ()]
        weight, pos_weight = (
            None if side is None else rng.uniform(0.0, 3.0, side).astype(dtype)
            for side in (draw(st.sampled_from(sides)), draw(st.sampled_from(sides[:3])))
        )
        return nn.BCEWithLogitsLoss(weight, reduction, pos_weight), t
    return nn.PerceptronLoss(reduction), (2 * rng.integers(0, 2, shape) - 1).astype(dtype)


@st.composite
def optimizer_options(draw: st.DrawFn, kind: type[nn.Optimizer]) -> dict[str, Any]:
    """Random settings of SGD, Adam, AdamW or RMSprop."""
    options: dict[str, Any] = {
        "lr": draw(st.floats(1e-4, 1.0)),
        "weight_decay": draw(st.sampled_from([0.0, 1e-4, 0.1])),
        "maximize": draw(st.booleans()),
    }
    if kind is nn.SGD:
        momentum = draw(st.sampled_from([0.0, 0.5, 0.9]))
        nesterov = momentum > 0 and draw(st.booleans())
        dampening = 0.0 if nesterov else draw(st.sampled_from([0.0, 0.3, 1.0]))
        return options | {"momentum": momentum, "nesterov": nesterov, "dampening": dampening}
    options["eps"] = draw(st.sampled_from([1e-8, 1e-3]))
    if kind is nn.RMSprop:
        own = {"alpha": draw(st.sampled_from([0.99, 0.9, 0.5])), "momentum": draw(st.sampled_from([0.0, 0.9]))}
        return options | own | {"centered": draw(st.booleans())}
    return options | {
        "betas": draw(st.sampled_from([(0.9, 0.999), (0.5, 0.9), (0.0, 0.0)])),
        "amsgrad": draw(st.booleans()),
    }


OPTIMIZERS: tuple[Any, ...] = (nn.SGD, nn.Adam, nn.AdamW, nn.RMSprop)


@st.composite
def optimizers(draw: st.DrawFn, parameters: Any) -> nn.Optimizer:
    """SGD, Adam, AdamW or RMSprop for these parameters with random settings."""
    kind = draw(st.sampled_from(OPTIMIZERS))
    optimizer: nn.Optimizer = kind(parameters, **draw(optimizer_options(kind)))
    return optimizer


@st.composite
def grouped_optimizers(draw: st.DrawFn, parameters: Any) -> nn.Optimizer:
    """One with the parameters in up to three groups, each with settings of its own."""
    kind = draw(st.sampled_from(OPTIMIZERS))
    where = [draw(st.integers(0, 2)) for _ in parameters]
    groups = [[p for p, place in zip(parameters, where, strict=True) if place == i] for i in range(3)]
    given = [{"params": group} | draw(optimizer_options(kind)) for group in groups if group]
    optimizer: nn.Optimizer = kind(given, **draw(optimizer_options(kind)))
    return optimizer
