"""Two networks, whoever wrote them, compared number by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from numpy_nn.subjects import Hints, SubjectError, several
from torch_ref.foreign_parity.building import first_that_runs, side_of
from torch_ref.foreign_parity.derived import derived_bounds
from torch_ref.foreign_parity.pairing import Pair, pair
from torch_ref.foreign_parity.partings import cause_of, first_parting, relation
from torch_ref.foreign_parity.report import DIFFER, Comparison, NetworkReport, compared
from torch_ref.foreign_parity.resolution import RUNS, Measured, measure, resolution
from torch_ref.foreign_parity.sides import GRAD_OUTPUT, LOSS, OUTPUT, Array, Side, after, gradient_of, gradients_in
from torch_ref.foreign_parity.updates import updates_of


def compare_networks(
    mine: Any,
    theirs: Any,
    x: Any,
    y: Any = None,
    loss: Any = None,
    optimizer: Any = None,
    *,
    names: Mapping[str, str] | None = None,
    steps: int = 3,
    lr: float = 0.1,
    parameters: Mapping[str, str] | None = None,
    constants: Sequence[str] = (),
    runs: int = RUNS,
    seed: int = 0,
) -> NetworkReport:
    """Compare my network with theirs, number by number, on the batch ``(x, y)``, with my weights in both.

    ``mine`` is whatever :func:`numpy_nn.gradcheck.check_gradients` takes: an object with a forward and a backward pass,
    a pair of functions, a layer, a Subject. ``theirs`` is a module or a function of torch, or any of those. ``loss`` is
    one of numpy_nn's or torch's, or a function of output and targets that works on tensors; a network that computes a
    loss by itself keeps its own. Without targets, backward gets a random gradient of the output.

    My weights are written into theirs, by ``names`` (such as ``{"params['W1']": "0.weight"}``), else by shape and
    order, transposed where that is needed; a note says which went where. Then ``steps`` steps follow: by my own code's
    update, if its object has one, else by SGD with ``lr``; on their side by torch's SGD, or by ``optimizer``: one of
    numpy_nn's, one of torch's, or a function that makes one of torch's from a list of parameters.

    Everything is computed in float64, on copies. Rows are the same, differ, or cannot be told, by how far rounding
    moves them (:mod:`torch_ref.foreign_parity.resolution`, from ``runs`` runs of each with last bits moved); where both
    are made of numpy_nn's layers and torch's counterparts, by the derived bounds. At the first row that differs the
    gradient checker is asked for the cause. ``parameters`` and ``constants`` are the checker's, for my code.

    TypeError for what is no network, ValueError where weights do not fit; what either code raises comes through.
    """
    inputs = tuple(np.asarray(v) if isinstance(v, list) else v for v in several(x))
    inputs = tuple(v.astype(np.float64) if _is_floats(v) else v for v in inputs)
    targets = y.astype(np.float64) if _is_floats(y) else y
    try:
        own = side_of(mine, inputs, targets, loss, Hints(parameters, constants), ())
        others = their_side(theirs, own, inputs, targets, loss)
        pairs, words = pair(own, others, names)
        return _compared(own, others, pairs, words, (mine, theirs, loss), optimizer, steps, lr, runs, seed)
    except SubjectError as error:
        raise error.__cause__ or error from None


def _is_floats(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def their_side(theirs: Any, own: Side, inputs: Sequence[Any], targets: Any, loss: Any) -> Side:
    """Their side; with samples in rows where mine has them in columns, and the other way round, if it wants that."""
    more = [own.network.arrays[name] for name in own.parameters]
    turned = (_turned(inputs[0]), *inputs[1:])

    def in_columns() -> Side:
        side = side_of(theirs, turned, _turned(targets), loss, Hints(), more)
        side.turned = True
        side.notes.append("theirs has the samples in rows where mine has them in columns, or the other way round")
        return _at_the_same(side, own)

    def alike() -> Side:
        return _at_the_same(side_of(theirs, inputs, targets, loss, Hints(), more), own)

    return alike() if turned[0] is inputs[0] else first_that_runs(alike, in_columns)


def _turned(value: Any) -> Any:
    return value.T.copy() if isinstance(value, np.ndarray) and value.ndim == 2 else value


def _at_the_same(side: Side, own: Side) -> Side:
    """The side with the gradient of the output that mine gets, where there is no loss."""
    if side.grad_output is not None and own.grad_output is not None:
        mine, theirs = own.grad_output, side.grad_output
        if theirs.shape != mine.shape and theirs.shape != mine.shape[::-1]:
            raise ValueError(f"the outputs have other shapes: {mine.shape} is mine, {theirs.shape} is theirs")
        side.grad_output = mine.T.copy() if side.turned or theirs.shape != mine.shape else mine
    return side


def _compared(
    own: Side,
    others: Side,
    pairs: Sequence[Pair],
    words: str,
    given: tuple[Any, Any, Any],
    optimizer: Any,
    steps: int,
    lr: float,
    runs: int,
    seed: int,
) -> NetworkReport:
    title = f"{own.network.label} beside {others.network.label}, computed in float64"
    report = NetworkReport(title, notes=[words] if words else [])
    my_update, their_update, how = updates_of(own, others, optimizer, lr)
    steps = steps if pairs and _learns(own) and _learns(others) else 0
    if steps:
        report.notes.append(f"the steps: {how}")
    a = measure(own, my_update, steps, seed, runs)
    b = measure(others, their_update, steps, seed + 1, runs)
    bounds = derived_bounds(given, own, a.values)
    rows = next((v.shape[-1 if own.columns else 0] for n, v in own.network.arrays.items() if n == own.network.input), 1)
    names = _their_names(own, others, pairs, steps)
    for name, (their_name, one) in names.items():
        if name in a.values and their_name in b.values:
            report.rows.append(_row(name, their_name, one, a, b, bounds, rows, runs, others.turned))
    for whose, alone in (
        ("mine", names.keys() & a.values),
        ("theirs", {n for n, (t, _) in names.items() if t in b.values}),
    ):
        if lone := [name for name in names if name in alone and not any(row.quantity == name for row in report.rows)]:
            report.notes.append(f"only {whose} gives the {', the '.join(lone)}")
    report.notes += [f"{side.network.label}: {text}" for side in (own, others) for text in _said(side)]
    if report.rows:
        report.notes.append(
            f"rounding is measured from {runs} runs of each with last bits moved, and {a.orders} of mine and "
            f"{b.orders} of theirs in another order"
        )
    report.first = first_parting(report.rows, own)
    if report.first:
        report.cause = cause_of(report.first, own, others, {one.mine: one.theirs for one in pairs})
    return report


def _said(side: Side) -> list[str]:
    return [*side.notes, *side.network.notes, *side.network.warnings]


def _learns(side: Side) -> bool:
    gradients = side.run()
    return all(gradient_of(name) in gradients for name in side.parameters)


def _their_names(own: Side, others: Side, pairs: Sequence[Pair], steps: int) -> dict[str, tuple[str, Pair | None]]:
    """What each of my results is called on their side, and how the two lie, in the order of the table."""
    found: dict[str, tuple[str, Pair | None]] = {name: (name, None) for name in (OUTPUT, LOSS, GRAD_OUTPUT)}
    found[gradient_of(own.network.input)] = gradient_of(others.network.input), None
    found |= {gradient_of(one.mine): (gradient_of(one.theirs), one) for one in pairs}
    if steps:
        found |= {after(one.mine, steps): (after(one.theirs, steps), one) for one in pairs}
    return found


def _row(
    name: str,
    their_name: str,
    one: Pair | None,
    a: Measured,
    b: Measured,
    bounds: Mapping[str, Array],
    rows: int,
    runs: int,
    turned: bool,
) -> Comparison:
    """The two results, theirs as mine lies, and how they compare."""
    mine = a.values[name]
    gradients = gradients_in(a.values)
    scale = max(float(np.max(np.abs(a.values[key]))) for key in gradients) if name in gradients else 0.0
    zero = np.zeros(b.values[their_name].shape)
    found = (b.values[their_name], b.variances[their_name], b.floors.get(their_name, zero))
    theirs, spread, floor = (_as_mine(array, mine.shape, one, turned) for array in found)
    if theirs is None or spread is None or floor is None:
        raise ValueError(f"{name}: mine has shape {mine.shape}, theirs {b.values[their_name].shape}")
    unit = max(a.units[name], b.units[their_name])
    allowed = bounds.get(name)
    derived = allowed is not None and bool(np.isfinite(allowed).all())
    if allowed is None or not derived:
        allowed = resolution(a, theirs, spread, b.units[their_name], floor, name, runs)
    row = compared(name, mine, theirs, allowed, unit, derived, scale)
    return replace(row, hint=relation(mine, theirs, allowed, rows)) if row.verdict == DIFFER else row


def _as_mine(array: Array, shape: tuple[int, ...], one: Pair | None, turned: bool) -> Array | None:
    if one is not None:
        return one.to_mine(array, shape)
    # A square array has the shape of its transpose: only who turned the batch knows.
    if array.ndim == 2 and array.shape[::-1] == shape and (turned or array.shape != shape):
        return array.T
    if array.shape == shape:
        return array
    return array.reshape(shape) if [n for n in array.shape if n != 1] == [n for n in shape if n != 1] else None
