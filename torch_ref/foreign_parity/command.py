"""A class in somebody's file beside torch, from the words of a command line."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.gradcheck.files import UsageError, arguments, find, load
from numpy_nn.gradcheck.inputs import Drawn
from numpy_nn.subjects import Hints, SubjectError
from torch_ref.foreign_parity.building import share_of_right, side_of
from torch_ref.foreign_parity.comparing import compare_networks, their_side
from torch_ref.foreign_parity.pairing import Pair, alike, pair
from torch_ref.foreign_parity.report import NetworkReport
from torch_ref.foreign_parity.sides import Side
from torch_ref.twin import TO_TORCH

Array = NDArray[Any]

# What a network raises that does not fit: its code, or what is said of it here.
RAISED = (SubjectError, TypeError, ValueError, IndexError, ArithmeticError, RuntimeError, AttributeError, LookupError)


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


class SquaresOfRows(torch.nn.Module):
    """The squared errors of a row, averaged over the rows; labels stand for rows with one 1."""

    def forward(self, a: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """sum((a - y)^2) over the number of rows."""
        targets = y if y.is_floating_point() else torch.nn.functional.one_hot(y, a.shape[1]).to(a.dtype)
        return ((a - targets) ** 2).sum() / len(a)


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
    ("mse", True, torch.nn.Sigmoid, SquaresOfRows),
    ("mse", False, torch.nn.Sigmoid, SquaresOfRows),
)
ACTIVATIONS = ("relu", "tanh", "sigmoid")


@dataclass(frozen=True)
class Request:
    """What was asked for; None for what is to be found. ``inputs`` are those of functions, in the place of a batch.

    ``batch`` is a number of rows, or several, of which the first is taken that is no size of the network: a square
    batch does not tell whether its samples are its rows or its columns.
    """

    mine: str
    init: list[str]
    theirs: str | None = None
    sizes: list[int] | None = None
    activation: str | None = None
    loss: str | None = None
    inputs: tuple[Drawn, ...] = ()
    optimizer: nn.Optimizer | None = None
    batch: int | Sequence[int] = (64, 65, 66)
    lr: float = 0.1
    steps: int = 3
    seed: int = 0


@dataclass(frozen=True)
class Setting:
    """What mine is compared with and on what: their network, the batch, the targets, the loss, and words on them.

    ``ending`` is the name of the loss.
    """

    theirs: Any
    x: tuple[Any, ...]
    y: Any
    loss: torch.nn.Module
    ending: str
    words: list[str]
    fits: float = 0.0


@dataclass(frozen=True)
class Fitted:
    """Mine, as it was made from the file, and the setting that fits it best."""

    mine: Any
    setting: Setting
    request: Request

    def compare(self) -> NetworkReport:
        """The comparison. UsageError, in a line, for what cannot be carried out."""
        found, asked = self.setting, self.request
        x = found.x if len(found.x) > 1 else found.x[0]
        settings: Any = {"lr": asked.lr, "steps": asked.steps, "seed": asked.seed}
        try:
            report = compare_networks(self.mine, found.theirs, x, found.y, found.loss, asked.optimizer, **settings)
        except RAISED as error:
            raise UsageError(_line(error)) from None
        report.notes[:0] = found.words
        return report

    def sides(self) -> tuple[Side, Side, list[Pair]]:
        """Both sides with my weights in both, and whose weight is whose."""
        found = self.setting
        own = side_of(self.mine, found.x, found.y, found.loss, Hints(), ())
        others = their_side(found.theirs, own, found.x, found.y, found.loss)
        return own, others, pair(own, others, None)[0]


def fitted(request: Request) -> Fitted:
    """The class, object or functions in a file, and another network for them.

    That is ``theirs``, from a file as well, or the Sequential of torch, of the usual ones, whose output is that of
    mine for the same weights. UsageError, in a line, for what cannot be carried out.
    """
    rng = np.random.default_rng(request.seed)
    mine, notes = load(request.mine, request.init, rng)
    try:
        found = _fitting(request, mine, rng)
    except UsageError:
        if isinstance(request.batch, int) or request.inputs:
            raise
        one = replace(request, batch=1)
        with suppress(UsageError):  # code may be written for one sample at a time, as of a book
            found = _fitting(one, mine, rng)
            found.words[:0] = [*notes, "one sample: mine cannot be run on more at a time"]
            return Fitted(mine, found, one)
        raise
    found.words[:0] = notes
    return Fitted(mine, found, request)


def _fitting(request: Request, mine: Any, rng: np.random.Generator) -> Setting:
    """The setting in which outputs and gradients fit best: the first in which they do, if there is one."""
    best: Setting | None = None
    for setting in _settings(request, mine, rng):
        if best is None or setting.fits > best.fits:
            best = setting
        if setting.fits == 2.0:
            break
    if best is None:
        raise UsageError(f"--mine: {request.mine} could be run with no loss that was tried; name another with --loss")
    if best.fits < 1.0 and request.theirs is None:
        best.words.append("no network of the usual activations and losses has the output of mine; this is one of them")
    return best


def _settings(request: Request, mine: Any, rng: np.random.Generator) -> Iterator[Setting]:
    """Every setting that can be run; its ``fits`` is 1 for the same output, and what share of my gradients is right."""
    sizes = _sizes(request, rng) if not request.inputs else []
    batch: tuple[Any, ...] = tuple(one.draw(rng) for one in request.inputs)
    rows = request.batch if isinstance(request.batch, int) else _first_free(request.batch, sizes)
    batch = batch or (rng.standard_normal((rows, sizes[0])),)
    classes = sizes[-1] if sizes else 2
    labels, failed, ran = rng.integers(0, classes, rows), None, False
    for (name, takes_labels, last, loss), columns in itertools.product(ENDINGS, (False, True)):
        if (columns and not sizes) or request.loss not in (None, name):
            continue
        y: Any = (labels if takes_labels else _targets(labels, classes)) if sizes else None
        x = tuple(np.ascontiguousarray(part.T) for part in batch) if columns else batch
        y = np.ascontiguousarray(y.T) if columns and y is not None else y
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Using a target size")  # of a loss that is only tried
                own = side_of(mine, x, y, loss(), Hints(), ())
                right = share_of_right(own)
        except RAISED as error:
            failed = failed or error
            continue
        for theirs, words in _networks(request, sizes, last):
            try:
                others = their_side(theirs, own, x, y, loss())
                pair(own, others, None)
            except RAISED as error:
                failed = failed or error
                continue
            ran = True
            yield Setting(theirs, x, y, loss(), name, words, float(alike(own, others)) + right)
    if failed is not None and not ran:
        raise UsageError(f"--mine: {_line(failed)}")


def _first_free(rows: Sequence[int], sizes: Sequence[int]) -> int:
    return next((one for one in rows if one not in (sizes[0], sizes[-1])), rows[0]) if sizes else rows[0]


def _line(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, SubjectError) and error.__cause__ else error
    text = str(cause).splitlines() or [""]
    return text[0] if isinstance(cause, (TypeError, ValueError)) else f"{type(cause).__name__}: {text[0]}"


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
