"""A class in somebody's file beside torch, from the words of a command line."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.gradcheck.files import UsageError, arguments, find, load
from numpy_nn.gradcheck.inputs import Drawn
from numpy_nn.subjects import Hints, SubjectError
from torch_ref.foreign_parity.building import side_of
from torch_ref.foreign_parity.comparing import compare_networks, their_side
from torch_ref.foreign_parity.pairing import alike, pair
from torch_ref.foreign_parity.report import NetworkReport
from torch_ref.twin import TO_TORCH

Array = NDArray[Any]


class Picked(torch.nn.Module):
    """Cross-entropy of probabilities with labels."""

    def forward(self, p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The mean of -log p[label]."""
        return -torch.log(p.gather(1, y[:, None])).mean()


class OfOneHot(torch.nn.Module):
    """Cross-entropy of probabilities with rows that have one 1."""

    def forward(self, p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """-sum(y log p) over the number of rows."""
        return -(y * torch.log(p)).sum() / len(p)


class HalfSquares(torch.nn.Module):
    """The squared error of Nielsen's book."""

    def forward(self, a: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """sum((a - y)^2) / 2."""
        return ((a - y) ** 2).sum() / 2


def _softmax() -> torch.nn.Module:
    return torch.nn.Softmax(dim=1)


# What may stand at the end of a network of somebody's, the likeliest first: the name of the loss, whether it wants
# labels, the last activation, and the loss.
Ending = tuple[str, bool, Callable[[], torch.nn.Module] | None, Callable[[], torch.nn.Module]]
ENDINGS: tuple[Ending, ...] = (
    ("cross-entropy", True, None, torch.nn.CrossEntropyLoss),
    ("cross-entropy", True, _softmax, Picked),
    ("cross-entropy", False, None, torch.nn.CrossEntropyLoss),
    ("cross-entropy", False, _softmax, OfOneHot),
    ("bce", False, torch.nn.Sigmoid, torch.nn.BCELoss),
    ("bce", False, None, torch.nn.BCEWithLogitsLoss),
    ("mse", False, None, torch.nn.MSELoss),
    ("mse", False, torch.nn.Sigmoid, torch.nn.MSELoss),
    ("mse", False, torch.nn.Sigmoid, HalfSquares),
    ("mse", False, None, HalfSquares),
)
ACTIVATIONS = ("relu", "tanh", "sigmoid")


@dataclass(frozen=True)
class Request:
    """What was asked for; None for what is to be found. ``inputs`` are those of functions, in the place of a batch."""

    mine: str
    init: list[str]
    theirs: str | None = None
    sizes: list[int] | None = None
    activation: str | None = None
    loss: str | None = None
    inputs: tuple[Drawn, ...] = ()
    batch: int = 64
    lr: float = 0.1
    steps: int = 3
    seed: int = 0


def compare_file(request: Request) -> NetworkReport:
    """The comparison of the class, object or functions in a file with another network.

    That is ``theirs``, from a file as well, or the Sequential of torch, of the usual ones, whose output is that of
    mine for the same weights. UsageError, in a line, for what cannot be carried out.
    """
    rng = np.random.default_rng(request.seed)
    mine, notes = load(request.mine, request.init, rng)
    try:
        found = list(itertools.islice(_attempts(request, mine, rng), 1))
    except SubjectError as error:
        raise UsageError(f"--mine: {error}") from None
    if not found:
        raise UsageError(f"--mine: {request.mine} fits no network that was tried; name one with --theirs FILE:NAME")
    theirs, x, y, loss, words = found[0]
    try:
        report = compare_networks(mine, theirs, x, y, loss, lr=request.lr, steps=request.steps, seed=request.seed)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error).splitlines()[0]) from None
    report.notes[:0] = [*notes, *words]
    return report


def _attempts(request: Request, mine: Any, rng: np.random.Generator) -> Iterator[tuple[Any, Any, Any, Any, list[str]]]:
    """Their network, the batch, the targets, the loss and words on them: first what fits, then the first that runs."""
    sizes = _sizes(request, rng) if not request.inputs else []
    x: Any = rng.standard_normal((request.batch, sizes[0])) if sizes else tuple(d.draw(rng) for d in request.inputs)
    classes = sizes[-1] if sizes else 2
    labels = rng.integers(0, classes, request.batch)
    error: Exception | None = None
    running: list[tuple[Any, Any, Any, Any, list[str]]] = []
    for ending, columns in itertools.product(ENDINGS, (False, True)):
        name, takes_labels, last, loss = ending
        if (columns and not sizes) or (request.loss not in (None, name)):
            continue
        y = labels if takes_labels else _targets(labels, classes)
        batch, targets = (x.T.copy(), y.T.copy() if y.ndim == 2 else y) if columns else (x, y)
        if not sizes:
            targets = None
        try:
            own = side_of(mine, batch if isinstance(batch, tuple) else (batch,), targets, loss(), Hints(), ())
        except (SubjectError, TypeError, ValueError, IndexError) as failed:
            error = error or failed
            continue
        for theirs, words in _networks(request, sizes, last):
            try:
                others = their_side(theirs, own, batch if isinstance(batch, tuple) else (batch,), targets, loss())
                pair(own, others, None)
            except (SubjectError, TypeError, ValueError, IndexError) as failed:
                error = error or failed
                continue
            found = theirs, batch, targets, loss(), words
            if alike(own, others):
                yield found
            running.append(found)
    if running:
        *first, words = running[0]
        yield (*first, [*words, "no network of the usual activations and losses has the output of mine; this is one"])
    if error is not None:
        raise UsageError(f"--mine: {str(error).splitlines()[0]}") from None


def _targets(labels: Array, classes: int) -> Array:
    """Rows with one 1; a column of 0 and 1 where there is one output."""
    return np.eye(classes)[labels] if classes > 1 else (np.arange(len(labels)) % 2).astype(np.float64)[:, None]


def _networks(request: Request, sizes: list[int], last: Any) -> Iterator[tuple[Any, list[str]]]:
    if request.theirs is not None:
        init = request.init if isinstance(find(request.theirs)[0], type) else []
        yield load(request.theirs, init, np.random.default_rng(request.seed))
        return
    if not sizes:
        raise UsageError("--theirs: expected FILE:NAME with --input, got none")
    for name in [request.activation] if request.activation else ACTIVATIONS:
        activation = TO_TORCH[nn.ACTIVATION_LAYERS[name]][0]
        layers: list[torch.nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(fan_in, fan_out, dtype=torch.float64), activation()]
        layers = layers[:-1] if last is None else [*layers[:-1], last()]
        yield torch.nn.Sequential(*layers), [f"theirs: {', '.join(map(str, layers))}"]


def _sizes(request: Request, rng: np.random.Generator) -> list[int]:
    """The sizes of the layers: those given, else the whole numbers among the words for the class."""
    if request.sizes is not None:
        return request.sizes
    positional, named = arguments(request.init, rng)
    found: list[int] = []
    for value in [*positional, *named.values()]:
        parts = value if isinstance(value, (list, tuple)) else [value]
        found += [part for part in parts if isinstance(part, int) and not isinstance(part, bool) and part > 0]
    if len(found) < 2:
        raise UsageError("--sizes: expected those of the layers, which --init does not tell; such as --sizes 784,64,10")
    return found
