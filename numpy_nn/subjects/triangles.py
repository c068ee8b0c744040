"""Functions of a symmetric matrix that read one triangle of it, as Cholesky's does, and their symmetric gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.subject import Array, Subject, SubjectError


def triangles_read(subject: Subject) -> dict[str, str]:
    """Of symmetric matrices with a symmetric gradient the triangle, ``lower`` or ``upper``, that is read; and say so.

    There a[i, j] stands for a[j, i] too, so that the derivative by it is the sum of both entries of the gradient.
    """
    alike = [name for name, array in subject.arrays.items() if _is_symmetric(array)]
    if not alike or not subject.make_repeatable():
        return {}
    try:
        output = subject.output()
        claimed = subject.gradients(subject.random_grad_output(np.random.default_rng(0), output.shape))
        found = {name: _triangle_of(subject, name, output) for name in alike if _is_symmetric(claimed[name])}
    except SubjectError:
        return {}
    found = {name: triangle for name, triangle in found.items() if triangle}
    subject.notes += [
        f"of {name}, a symmetric matrix, the {triangle} triangle alone is read: its gradient is taken for that of "
        "changes that leave it symmetric"
        for name, triangle in found.items()
    ]
    return found


def folded(claimed: Mapping[str, NDArray[Any] | None], triangles: Mapping[str, str]) -> dict[str, NDArray[Any] | None]:
    """The claimed gradients, of which symmetric ones are given as those by the entries of the triangles alone."""
    made = dict(claimed)
    for name, triangle in triangles.items():
        gradient = made[name]
        if gradient is not None and _is_symmetric(gradient):
            both = gradient + gradient.T - np.diag(np.diag(gradient))
            made[name] = np.tril(both) if triangle == "lower" else np.triu(both)
    return made


def _is_symmetric(array: NDArray[Any] | None) -> bool:
    """Whether it is a symmetric matrix that is not diagonal, to the digits that a computed one has."""
    if array is None or array.ndim != 2 or array.shape[0] != array.shape[1] or not np.any(np.tril(array, -1)):
        return False
    return bool(np.allclose(array, array.T, rtol=1e-9, atol=1e-12 * np.abs(array).max()))


def _triangle_of(subject: Subject, name: str, output: Array) -> str:
    """The triangle that alone the output depends on; nothing if it depends on both, or on none."""
    array = subject.arrays[name]
    step = 2.0**-10 * float(np.abs(array).max())
    others = {"lower": np.triu(np.ones_like(array), 1), "upper": np.tril(np.ones_like(array), -1)}
    stays = [t for t, other in others.items() if _gives(subject, {name: array + step * other}, output)]
    return stays[0] if len(stays) == 1 else ""


def _gives(subject: Subject, moved: dict[str, Array], output: Array) -> bool:
    with subject.at(moved):
        return np.array_equal(subject.output(), output)
