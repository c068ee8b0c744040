"""Mistakes in convolution and pooling of images: the place of the windows, and what is written where they overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from numpy_nn.gradcheck.explain.predictions import Prediction
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence

# The largest windows, and the steps between them, that are tried.
LARGEST = 7

Part = Callable[[Array, Array], Array]
"""The gradient of a window (N, C, size, size), from it and the gradient of its outputs (N, channels)."""


@dataclass
class Windows:
    """Square windows over images (N, C, H, W): their size, the step between them and the zeros around the image."""

    x: Array
    size: int
    stride: int
    padding: int

    @property
    def padded(self) -> Array:
        """The images with their frames."""
        p = self.padding
        return np.pad(self.x, ((0, 0), (0, 0), (p, p), (p, p)))

    def views(self) -> Array:
        """Every window: (N, C, rows, columns, size, size)."""
        s = self.stride
        return sliding_window_view(self.padded, (self.size, self.size), axis=(2, 3))[:, :, ::s, ::s]


class Layout(NamedTuple):
    """How arrays are read as images (N, C, H, W): by the order of their axes, and where one of length 1 is put in."""

    axes: tuple[int, ...]
    added: tuple[int, ...] = ()

    @property
    def channels_last(self) -> bool:
        return self.axes != tuple(range(len(self.axes)))

    def images(self, array: Array) -> Array:
        return np.asarray(np.expand_dims(array.transpose(self.axes), self.added))

    def back(self, images: Array) -> Array:
        return np.asarray(images.squeeze(self.added).transpose(np.argsort(self.axes)))

    def kernels(self, weight: Array, one_channel: bool) -> Array | None:
        """As (out, in, size, size); None of what is no weight of a convolution."""
        if weight.ndim == 4:
            return weight.transpose(3, 2, 0, 1) if self.channels_last else weight
        return weight[None, None] if weight.ndim == 2 and one_channel else None

    def as_weight(self, kernels: Array, ndim: int) -> Array:
        """The opposite of :meth:`kernels`, for a weight of so many dimensions."""
        if ndim == 2:
            return np.asarray(kernels[0, 0])
        return kernels.transpose(2, 3, 1, 0) if self.channels_last else kernels


# A batch, one image, a batch of images with one channel, and one such image.
LAYOUTS = {
    4: (Layout((0, 1, 2, 3)), Layout((0, 3, 1, 2))),
    3: (Layout((0, 1, 2), (0,)), Layout((2, 0, 1), (0,)), Layout((0, 1, 2), (1,))),
    2: (Layout((0, 1), (0, 1)),),
}


def windows(e: Evidence) -> Iterator[Prediction]:
    """For images with channels first or last, or with none, the function recognized by its output."""
    if e.x.ndim != e.output.ndim:
        return
    for layout in LAYOUTS.get(e.x.ndim, ()):
        x, y, g = map(layout.images, (e.x, e.output, e.grad_output))
        for cause, formula, values in (*_pooling(e, x, y, g), *_convolution(e, x, y, g, layout)):
            yield Prediction(cause, formula, layout.back(values) if e.is_input else values)


def _shapes(x: Array, y: Array, padded: bool) -> Iterator[Windows]:
    """Every size, step and frame with which the windows over x are as many as y has."""
    for size in range(1, min(LARGEST, *x.shape[2:]) + 1):
        for stride in range(1, LARGEST + 1):
            for padding in range(size if padded else 1):
                counts = [(length + 2 * padding - size) // stride + 1 for length in x.shape[2:]]
                if tuple(counts) == y.shape[2:]:
                    yield Windows(x, size, stride, padding)


def _pooling(e: Evidence, x: Array, y: Array, g: Array) -> Iterator[tuple[str, str, Array]]:
    if not e.is_input or x.shape[:2] != y.shape[:2]:
        return
    for w in _shapes(x, y, padded=False):
        for kind, pooled in (("max", w.views().max(axis=(4, 5))), ("mean", w.views().mean(axis=(4, 5)))):
            if w.size < 2 or not e.recognises(pooled, y):
                continue
            name = f"{kind} pooling with windows of {w.size} x {w.size} and stride {w.stride}"

            def part(window: Array, grad: Array, kind: str = kind) -> Array:
                share = window == window.max(axis=(2, 3), keepdims=True) if kind == "max" else 1.0 / window[0, 0].size
                return np.asarray(share * grad[:, :, None, None] * np.ones_like(window))

            yield from _written(w, g, part, name)
            yield from _exchanged(w, g, part, name)
            if kind == "mean":
                undivided = w.size**2 * _scatter(w, g, part, w.stride)
                yield "factor", f"that for {name}, not divided by the {w.size**2} entries of a window", undivided


def _convolution(e: Evidence, x: Array, y: Array, g: Array, layout: Layout) -> Iterator[tuple[str, str, Array]]:
    for weight_name, weight in e.subject.arrays.items():
        if weight_name == e.subject.input or e.name not in (weight_name, e.subject.input):
            continue
        kernel = layout.kernels(weight, x.shape[1] == y.shape[1] == 1)
        if kernel is None or kernel.shape[:2] != (y.shape[1], x.shape[1]) or kernel.shape[2] != kernel.shape[3]:
            continue
        for w in _shapes(x, y, padded=True):
            if w.size != kernel.shape[2]:
                continue
            rest = y - np.einsum("nchwij,ocij->nohw", w.views(), kernel)
            if not np.allclose(rest, rest[:1, :, :1, :1], rtol=0.0, atol=e.grain * float(np.abs(y).max())):
                continue
            name = f"the convolution with windows of {w.size} x {w.size} and stride {w.stride}"
            if e.is_input:

                def part(_: Array, grad: Array, kernel: Array = kernel) -> Array:
                    return np.einsum("no,ocij->ncij", grad, kernel)

                def flipped(_: Array, grad: Array, kernel: Array = kernel) -> Array:
                    return np.einsum("no,ocij->ncij", grad, kernel[:, :, ::-1, ::-1])

                yield from _written(w, g, part, name)
                yield "kernel_flipped", f"that for {name} with the kernel flipped", _scatter(w, g, flipped, w.stride)
            elif w.stride > 1:
                near = Windows(x, w.size, 1, w.padding).views()[:, :, : g.shape[2], : g.shape[3]]
                made = np.einsum("nchwij,nohw->ocij", near, g)
                yield "stride_missing", f"that for {name} taken with stride 1", layout.as_weight(made, weight.ndim)


def _written(w: Windows, g: Array, part: Part, name: str) -> Iterator[tuple[str, str, Array]]:
    if w.stride > 1:
        yield "stride_missing", f"that for {name} taken with stride 1", _scatter(w, g, part, 1)
    if w.stride < w.size:
        overwritten = _scatter(w, g, part, w.stride, add=False)
        yield "overwritten_windows", f"that for {name} with = where windows overlap", overwritten


def _exchanged(w: Windows, g: Array, part: Part, name: str) -> Iterator[tuple[str, str, Array]]:
    """Height and width exchanged by a reshape: in what is read of grad_output, in the result, or where the windows are.

    Square images let some of it through unseen.
    """
    (n, c, rows, columns), (height, width) = g.shape, w.x.shape[2:]
    turned = g.reshape(n, c, columns, rows).swapaxes(2, 3)
    yield (
        "axes_exchanged",
        f"that for {name} with grad_output read as width times height",
        _scatter(w, turned, part, w.stride),
    )
    right = _scatter(w, g, part, w.stride)
    for formula, values in (
        ("made as width times height", right.reshape(n, c, width, height).swapaxes(2, 3)),
        ("turned and then made height times width", right.swapaxes(2, 3).reshape(right.shape)),
    ):
        yield "axes_exchanged", f"that for {name}, {formula}", values
    if w.stride == w.size and (height, width) == (rows * w.size, columns * w.size):
        # Windows in a row, of which there are as many in a column of the image as the image has in a row.
        tiles = right.reshape(n, c, rows, w.size, columns, w.size).swapaxes(3, 4)
        for formula, order in (
            ("the windows laid out as width times height", tiles.reshape(n, c, columns, rows, w.size, w.size)),
            (
                "the windows laid out down the columns",
                tiles.reshape(n, c, columns, rows, w.size, w.size).swapaxes(2, 3),
            ),
        ):
            laid = order.swapaxes(3, 4).reshape(right.shape)
            yield "axes_exchanged", f"that for {name}, {formula}", laid
        within = tiles.swapaxes(4, 5).swapaxes(3, 4).reshape(right.shape)
        yield "axes_exchanged", f"that for {name}, each window turned", within


def _scatter(w: Windows, g: Array, part: Part, stride: int, *, add: bool = True) -> Array:
    """Every window's gradient added to its place, or written over what is there."""
    padded, p = w.padded, w.padding
    made = np.zeros_like(padded)
    for row in range(g.shape[2]):
        for column in range(g.shape[3]):
            place = (..., slice(row * stride, row * stride + w.size), slice(column * stride, column * stride + w.size))
            values = part(padded[place], g[:, :, row, column])
            made[place] = made[place] + values if add else values
    return made[:, :, p : made.shape[2] - p, p : made.shape[3] - p]
