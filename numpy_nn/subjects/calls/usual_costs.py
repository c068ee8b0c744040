"""The losses of courses and books, by which networks are judged whose loss is not written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cost = Callable[[NDArray[Any], NDArray[Any]], Any]


def usual_costs(samples: Sequence[int]) -> Iterator[tuple[str, Cost]]:
    """Squared errors, cross-entropies of probabilities a and of scores a, absolute errors, hinges, and of counts.

    Each has its formula. ``samples`` are the numbers that n may be: samples are in rows, or in columns. TypeError of
    what is no array.
    """
    sums: list[tuple[str, Cost]] = [
        ("sum((a - y)^2) / 2", lambda a, y: 0.5 * np.sum((a - _of_classes(a, y)) ** 2)),
        ("sum((a - y)^2)", lambda a, y: np.sum((a - _of_classes(a, y)) ** 2)),
        ("-sum(y log a + (1 - y) log(1 - a))", lambda a, y: _binary(a, _of_classes(a, y))),
        ("-sum(y log a)", lambda a, y: -np.sum(y * np.log(a))),
        ("sum(a - y log a)", lambda a, y: np.sum(a - _counts(a, y) * np.log(a))),
        ("-sum(log a[label])", lambda a, y: -np.sum(np.log(_of_labels(a, y)))),
    ]
    of_scores: list[tuple[str, Cost]] = [
        ("sum(log(1 + exp a) - y a)", lambda a, y: np.sum(np.logaddexp(0.0, a) - _of_classes(a, y) * a)),
        ("sum(exp a - y a)", lambda a, y: np.sum(np.exp(a) - _counts(a, y) * a)),
        ("-sum(y log softmax(a))", _softmax_cross_entropy),
        ("sum(log(1 + exp(-y a)))", lambda a, y: np.sum(np.logaddexp(0.0, -_of_signs(a, y) * a))),
        ("sum(|a - y|)", lambda a, y: np.sum(np.abs(a - _of_classes(a, y)))),
        ("sum(max(0, 1 - y a))", lambda a, y: np.sum(np.maximum(0.0, 1.0 - _of_two(a, y) * a))),
        ("sum(max(0, -y a))", lambda a, y: np.sum(np.maximum(0.0, -_of_two(a, y) * a))),
        ("sum((sign(a) - y) a)", lambda a, y: np.sum((np.sign(a) - _of_two(a, y)) * a)),
    ]
    for costs in (sums, of_scores):
        yield from ((formula, _of_arrays(cost)) for formula, cost in costs)
        for n in dict.fromkeys(samples):
            for formula, cost in costs:
                yield f"{formula} / n, with n = {n}", _of_arrays(_divided(cost, n))
        if costs is sums:
            yield "mean((a - y)^2)", _of_arrays(lambda a, y: np.mean((a - _of_classes(a, y)) ** 2))


def has_kinks(formula: str) -> bool:
    """Whether one of these losses is made of pieces, of which one alone may be another's too."""
    return any(piece in formula for piece in ("max(0", "sign(", "|"))


def _of_arrays(cost: Cost) -> Cost:
    def checked(a: Any, y: Any) -> Any:
        if not _is_of_numbers(a):
            raise TypeError(
                f"target: its forward pass returns a {type(a).__name__} first, of which no usual loss is known; pass "
                "loss=, a function loss(output, targets) that returns a number"
            )
        return cost(a, np.asarray(y) if isinstance(y, (list, tuple)) else y)

    return checked


def _is_of_numbers(a: Any) -> bool:
    """Whether it is an array of numbers, or a list that would be one: none of what is kept for a backward pass."""
    if not isinstance(a, (list, tuple)):
        return isinstance(a, (np.ndarray, np.generic, float, int))
    try:
        return np.asarray(a).dtype.kind in "biuf"
    except ValueError:
        return False  # what is ragged is no array


def _binary(a: NDArray[Any], y: NDArray[Any]) -> Any:
    return -np.sum(y * np.log(a) + (1.0 - y) * np.log(1.0 - a))


def _softmax_cross_entropy(a: NDArray[Any], y: NDArray[Any]) -> Any:
    """Of scores in rows, or in columns: as the labels or the ones in the targets lie."""
    y = _of_classes(a, y)
    axis = next((axis for axis in (-1, 0) if np.ndim(y) and np.allclose(np.sum(y, axis=axis), 1.0)), None)
    if axis is None or np.shape(y) != np.shape(a):
        raise ValueError("expected one 1 for each sample, or labels")
    return np.sum(np.logaddexp.reduce(a, axis=axis)) - np.sum(y * a)


def _of_two(a: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Targets of two classes, -1 and 1 or 0 and 1, as -1 and 1 in the shape of the output. ValueError of others."""
    if not set(np.unique(y)) <= {-1, 0, 1} or (np.min(y) < 0 and np.any(np.equal(y, 0))):
        raise ValueError("expected targets of two classes")
    return np.where(np.reshape(y, np.shape(a)) > 0, 1.0, -1.0)


def _of_signs(a: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Targets of two classes, -1 and 1. ValueError of others: of 0 and 1 there is a loss of the same formula."""
    if np.min(y) >= 0:
        raise ValueError("expected -1 and 1")
    return _of_two(a, y)


def _of_classes(a: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """The targets; of one output or one sample in its shape; of labels, with an output for each class.

    Samples are in rows, or in columns, or one alone.
    """
    if np.ndim(a) == 1 and np.size(a) > 1 and _is_label(y):
        return np.eye(len(a))[y]
    if np.ndim(a) == 2 and 1 in np.shape(a) and np.size(a) == np.size(y):
        return np.reshape(y, np.shape(a))
    if np.ndim(a) == 2 and _are_labels(y) and len(y) in np.shape(a):
        return np.eye(np.shape(a)[1])[y] if len(y) == len(a) else np.eye(len(a))[:, y]
    return y


def _counts(a: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Targets that are counts, in the shape of the outputs; ValueError for others, as those of two classes."""
    if np.size(a) != np.size(y) or np.any(y < 0) or np.any(y != np.floor(y)) or np.max(y) <= 1:
        raise ValueError("expected counts")
    return np.reshape(y, np.shape(a))


def _divided(cost: Cost, by: int) -> Cost:
    return lambda a, y: cost(a, y) / by


def _of_labels(a: NDArray[Any], y: NDArray[Any]) -> Any:
    if np.ndim(a) == 1 and _is_label(y):
        return a[y]
    if np.ndim(a) != 2 or not _are_labels(y) or len(y) not in np.shape(a):
        raise ValueError("expected a label for each row, or for each column")
    return a[np.arange(len(y)), y] if len(y) == len(a) else a[y, np.arange(len(y))]


def _is_label(y: Any) -> bool:
    return np.ndim(y) == 0 and np.asarray(y).dtype.kind in "iu"


def _are_labels(y: Any) -> bool:
    return np.ndim(y) == 1 and np.asarray(y).dtype.kind in "iu"
