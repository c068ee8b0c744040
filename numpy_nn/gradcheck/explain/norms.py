"""Mistakes in normalizations: y = gamma x^ + beta, with mean and variance over any axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from numpy_nn.gradcheck.explain.losses import EPSILONS
from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence

Axes = tuple[int, ...]

# Where eps is not known, a prediction may be off by this share of what is wrong: the room that eps / var needs.
ROOM = 0.02
# A straight line through (x^, y) with eps left out of x^ is off by about eps / var of y, at most by this share.
STRAIGHT = 1e-3
# What is taken for gamma there is off by as much: one that differs by more than this is no 1.
GAMMA = 0.05
# An eps found from one deviation is that from another up to this share; larger ones than this there are not.
SAME, EPS = 0.05, 0.02
# And to rounding, where eps is known.
EXACT = 1e-10


@dataclass
class Norm:
    """A normalization that explains the output: over which axes, x^, the scale of each entry, and the deviation."""

    axes: Axes
    normal: Array
    gamma: Array
    std: Array

    def mean(self, values: Array, axes: Axes | None = None) -> Array:
        """The mean over the axes, or over others."""
        return np.asarray(values.mean(axis=self.axes if axes is None else axes, keepdims=True))

    def shrinks(self) -> bool:
        """Whether gamma is no more than what an eps leaves of 1: sqrt(var / (var + eps)), with one eps everywhere."""
        with np.errstate(divide="ignore", over="ignore"):
            eps = np.square(self.std) * (1.0 / np.square(self.gamma) - 1.0)
        least, most = float(eps.min()), float(eps.max())
        return bool((self.gamma > 0.0).all()) and 0.0 < least <= most < (1.0 + SAME) * least and most <= EPS


def normalisation(e: Evidence) -> Iterator[Found | Prediction]:
    """What is taken as a constant, the means over wrong axes, and the place of eps."""
    x, g = e.x, e.grad_output
    if not e.is_input or not 2 <= x.ndim <= 4 or e.output.shape != x.shape or e.differences.elementwise:
        return
    for norm in filter(lambda norm: _is_centred(e, norm), _norms(e)):
        h, normal = g * norm.gamma, norm.normal
        mean, spread = norm.mean(h), normal * norm.mean(h * normal)
        over = in_words(norm.axes, x.ndim)
        guesses = [
            ("batch_norm_constant_statistics", f"that for statistics over {over} held fixed", h),
            ("batch_norm_variance_constant", f"that for a variance over {over} held fixed", h - mean),
            ("batch_norm_mean_constant", f"that for a mean over {over} held fixed", h - spread),
        ]
        without = g - norm.mean(g) - normal * norm.mean(g * normal)
        if np.ptp(norm.gamma) > GAMMA and not norm.shrinks():
            guesses.append(("gamma_outside", "gamma times that for gamma = 1", norm.gamma * without))
        if np.abs(norm.gamma - 1.0).max() > GAMMA and not norm.shrinks():
            guesses.append(("gamma_missing", "that for gamma = 1", without))
        for other in subsets(x.ndim):
            if other == norm.axes:
                continue
            formula = f"that with means over {in_words(other, x.ndim)} where {over} should be"
            other_mean, other_spread = norm.mean(h, other), normal * norm.mean(h * normal, other)
            for values in (h - other_mean - other_spread, h - other_mean - spread, h - mean - other_spread):
                guesses.append(("wrong_axis_mean", formula, values))
        found = False
        for cause, formula, values in guesses:
            if _roughly(e, values / norm.std):
                yield Found(cause, e.everywhere(formula))
                found = True
            elif cause != "wrong_axis_mean":
                yield Prediction(cause, formula, values / norm.std)
        if not found:
            yield from _epsilon(e, norm)


def _is_centred(e: Evidence, norm: Norm) -> bool:
    """Whether nothing changes where all that has one mean is shifted: what is x times any other factor is no norm."""
    if not e.looked_at.all():
        return True
    sums, sizes = norm.mean(e.truth), norm.mean(np.abs(e.truth))
    return bool(np.abs(sums).max() <= max(STRAIGHT, 10.0 * e.fit) * sizes.max())


def _norms(e: Evidence) -> Iterator[Norm]:
    """The normalizations that explain the output, but for eps."""
    x, y = e.x, e.output
    for axes in subsets(x.ndim):
        if int(np.prod([x.shape[axis] for axis in axes])) < 3:
            continue
        std = x.std(axis=axes, keepdims=True)
        if not (std > 0).all():
            continue
        normal = (x - x.mean(axis=axes, keepdims=True)) / std
        for shared in subsets(x.ndim, most=x.ndim):
            line = _line(normal, y, shared)
            # eps makes y a little smaller than gamma x^; the line takes that into gamma.
            if line is not None and np.abs(normal * line[0] + line[1] - y).max() <= STRAIGHT * np.abs(y).max():
                yield Norm(axes, normal, line[0], std)
                break


def _line(normal: Array, y: Array, shared: Axes) -> tuple[Array, Array] | None:
    """gamma and beta with y = gamma x^ + beta by least squares, each the same along the axes ``shared``."""
    if int(np.prod([y.shape[axis] for axis in shared])) < 3:
        return None
    centred = normal - normal.mean(axis=shared, keepdims=True)
    power = np.square(centred).sum(axis=shared, keepdims=True)
    if not (power > 1e-12).all():
        return None
    gamma = (centred * y).sum(axis=shared, keepdims=True) / power
    return gamma, (y - gamma * normal).mean(axis=shared, keepdims=True)


def subsets(ndim: int, most: int | None = None) -> Iterator[Axes]:
    """Every choice of some axes, and of all where ``most`` allows that many, in the order of their number."""
    for number in range(1, (ndim - 1 if most is None else most) + 1):
        yield from combinations(range(ndim), number)


def in_words(axes: Axes, ndim: int) -> str:
    """The axes in words."""
    if ndim == 2:
        return "the batch" if axes == (0,) else "each row"
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


def _roughly(e: Evidence, prediction: Array) -> bool:
    """As ``fits``, but with room for the eps in sqrt(var + eps), which is not known."""
    assert e.gradient is not None
    off, wrong = np.abs(e.gradient - prediction), np.abs(e.gradient - e.truth)
    return bool(off[e.looked_at].max() < ROOM * wrong[e.looked_at].max())


def _epsilon(e: Evidence, norm: Norm) -> Iterator[Prediction]:
    """eps inside the root in forward and outside in backward, the other way round, or in one of them alone."""
    x, y = e.x, e.output
    centred = x - norm.mean(x)
    for gamma in gammas(e):

        def is_forward(std: Array, gamma: Array = gamma) -> bool:
            rest = y - gamma * centred / std
            rest = rest - norm.mean(rest) if gamma.ndim == 0 else rest - _parallel(rest, gamma)
            return bool(np.abs(rest).max() <= max(EXACT, e.grain) * np.abs(y).max())

        for root in roots(norm.mean(centred**2), "var", is_forward):
            h, normal = e.grad_output * gamma, centred / root.used
            values = (h - norm.mean(h) - normal * norm.mean(h * normal)) / root.used
            yield Prediction("epsilon", f"the usual formula with {root}", values)


@dataclass
class Root:
    """What backward may divide by, where forward divides by a root of its own; both in words."""

    backward: str
    forward: str
    eps: float
    used: Array

    def __str__(self) -> str:
        return f"{self.backward}, where forward has {self.forward}, eps = {self.eps:.0e}"


def roots(squares: Array, name: str, is_forward: Callable[[Array], bool]) -> Iterator[Root]:
    """Each root with eps inside, outside and without, for the one that forward has."""
    plain = np.sqrt(squares)
    without = is_forward(plain)
    for eps in EPSILONS:
        made = {f"sqrt({name} + eps)": np.sqrt(squares + eps), f"sqrt({name}) + eps": plain + eps}
        made[f"sqrt({name})"] = plain
        for forward, root in made.items():
            if (root is plain) == without and (without or is_forward(root)):
                yield from (Root(backward, forward, eps, used) for backward, used in made.items())


def _parallel(rest: Array, gamma: Array) -> Array:
    """The part of what is left that is as constant as gamma is: beta."""
    along = tuple(axis for axis in range(rest.ndim) if axis >= gamma.ndim or gamma.shape[axis] == 1)
    return np.asarray(rest.mean(axis=along, keepdims=True))


def gammas(e: Evidence) -> Iterator[Array]:
    """What x^ may be multiplied by: 1, and the subject's other arrays in the shapes that broadcast to x."""
    scales = [np.ones(())]
    for name, array in e.subject.arrays.items():
        if name != e.subject.input and array.ndim <= e.x.ndim and array.size > 1:
            scales.append(array)
    for scale in scales:
        yield from spread(scale, e.x.shape)


def spread(array: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """An array in the shapes that broadcast to ``shape``: as it is, or along each axis of its length."""
    if array.ndim == 0:
        yield array
    elif array.ndim == len(shape):
        if all(own in (1, length) for own, length in zip(array.shape, shape, strict=True)):
            yield array
    elif array.ndim == 1:
        for axis, length in enumerate(shape):
            if length == array.size:
                yield array.reshape([-1 if other == axis else 1 for other in range(len(shape))])
