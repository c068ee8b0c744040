"""Functions of a symmetric matrix that read one triangle of it, as Cholesky's does, and their symmetric gradients.

Some read one triangle here and the whole matrix there, as a log-likelihood does that has its determinant from Cholesky
and solves for the rest: they mean a symmetric matrix as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.source.written import names_written
from numpy_nn.subjects.subject import Array, Subject, SubjectError

# Of a matrix that is read whole and in one triangle: its lower triangle is given for the upper one too.
MIRRORED = "mirrored"

# What reads one triangle alone, of NumPy, SciPy and others.
_OF_ONE_TRIANGLE = re.compile("cholesky|cho_factor|eigh|eigvalsh|potrf")


def triangles_read(subject: Subject, forward: Any) -> dict[str, str]:
    """Of symmetric matrices with a gradient by both triangles, ``lower`` or ``upper``, which is read; and say so.

    There a[i, j] stands for a[j, i] too, so that the derivative by it is the sum of both entries of the gradient, which
    is not symmetric in all formulas. Where the code calls what reads one triangle, also those with a symmetric gradient
    that are read whole beside that, as ``MIRRORED``.
    """
    alike = [name for name, array in subject.arrays.items() if _is_symmetric(array)]
    if not alike or not subject.make_repeatable():
        return {}
    both = MIRRORED if any(map(_OF_ONE_TRIANGLE.search, names_written(forward))) else ""
    try:
        output = subject.output()
        claimed = subject.gradients(subject.random_grad_output(np.random.default_rng(0), output.shape))
        kinds = {name: both if _is_symmetric(claimed[name]) else "" for name in alike if _is_of_both(claimed[name])}
        found = {name: _triangle_of(subject, name, output, kind) for name, kind in kinds.items()}
    except SubjectError:
        return {}
    found = {name: triangle for name, triangle in found.items() if triangle}
    subject.notes += [
        f"of {name}, a symmetric matrix, {_SAID.format(triangle) if triangle != MIRRORED else _SAID_OF_BOTH}: its "
        "gradient is taken for that of changes that leave it symmetric"
        for name, triangle in found.items()
    ]
    return found


_SAID, _SAID_OF_BOTH = "the {} triangle alone is read", "one triangle is read more than the other"


def mirrored(matrix: NDArray[Any]) -> NDArray[Any]:
    """The symmetric matrix with this lower triangle."""
    return np.tril(matrix) + np.tril(matrix, -1).T


def folded(claimed: Mapping[str, NDArray[Any] | None], triangles: Mapping[str, str]) -> dict[str, NDArray[Any] | None]:
    """The claimed gradients, of which those by both triangles are given as those by the entries of the one alone."""
    made = dict(claimed)
    for name, triangle in triangles.items():
        gradient = made[name]
        if gradient is not None and _is_of_both(gradient):
            both = gradient + gradient.T - np.diag(np.diag(gradient))
            made[name] = np.triu(both) if triangle == "upper" else np.tril(both)
    return made


def _is_symmetric(array: NDArray[Any] | None) -> bool:
    """Whether it is a symmetric matrix that is not diagonal, to the digits that a computed one has."""
    if array is None or array.ndim != 2 or array.shape[0] != array.shape[1] or not np.any(np.tril(array, -1)):
        return False
    return bool(np.allclose(array, array.T, rtol=1e-9, atol=1e-12 * np.abs(array).max()))


def _is_of_both(array: NDArray[Any] | None) -> bool:
    """Whether it is a square matrix with something in both of its triangles."""
    if array is None or array.ndim != 2 or array.shape[0] != array.shape[1]:
        return False
    return bool(np.any(np.tril(array, -1)) and np.any(np.triu(array, 1)))


def _triangle_of(subject: Subject, name: str, output: Array, both: str) -> str:
    """The triangle that alone the output depends on; ``both`` if more on one than on the other, "" if it is alike."""
    array = subject.arrays[name]
    step = 2.0**-10 * float(np.abs(array).max())
    others = {"lower": np.triu(np.ones_like(array), 1), "upper": np.tril(np.ones_like(array), -1)}
    there = {t: _output_at(subject, {name: array + step * other}) for t, other in others.items()}
    stays = [t for t, found in there.items() if np.array_equal(found, output)]
    if len(stays) == 1 or not both:
        return stays[0] if len(stays) == 1 else ""
    return "" if np.allclose(there["lower"], there["upper"], rtol=1e-9, atol=0.0) else both


def _output_at(subject: Subject, moved: dict[str, Array]) -> Array:
    with subject.at(moved):
        return subject.output()
