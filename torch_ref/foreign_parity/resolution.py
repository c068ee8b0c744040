"""How far rounding alone moves what a network computes: measured, by computing it again with its last bits moved.

Each of ``RUNS`` runs has every number of the input and the weights multiplied by 1 + e or 1 - e, by chance, where e is
the distance of 1 to the next number of the precision in which the code works. To their variance comes what rounding
leaves of third differences (:func:`_noise`). Some more runs have the rows of the batch, or the units of a hidden layer,
in another order, where the code allows it: it does if the result, put back in order, is the same to half of its digits.
Their mean square is added.

The resolution of a number is the standard deviation of both networks together times the factor of
:func:`~torch_ref.foreign_parity.safety.safety_factor`, and two units of roundoff of either value for its own last
operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from torch_ref.foreign_parity.safety import safety_factor
from torch_ref.foreign_parity.sides import GRAD_OUTPUT, LOSS, OUTPUT, Array, Side, Update, gradient_of, gradients_in

RUNS, ORDERS, LINES, DIRECTIONS = 16, 2, 5, 6

# Unit roundoff of what code may work in: float64, float32, float16.
UNITS = (2.0**-53, 2.0**-24, 2.0**-11)

# Code that works in a coarser precision does not answer in proportion to moves in between: by so much of the move, and
# of the result. A move of float64's is seen to 2^-17 of it, and bends the result by 2^-36 of it.
MOVES = ((2.0**-36, 2.0**-6, 2.0**-32), (2.0**-12, 2.0**-4, 2.0**-16))

Results = dict[str, Array]


Run = Callable[[Mapping[str, Array]], Results]


@dataclass
class Measured:
    """The results of one network, the unit roundoff of each, and its variance over the runs.

    ``floors`` are errors that come on top: those of gradients which are told from what an update made of a parameter.
    """

    values: Results
    units: dict[str, float]
    variances: Results
    floors: Results
    orders: int = 0


def measure(side: Side, update: Update | None, steps: int, seed: int, runs: int = RUNS) -> Measured:
    """Run a side as it is, and again with its last bits moved and in other orders."""
    rng = np.random.default_rng(seed)

    def run(moved: Mapping[str, Array]) -> Results:
        with side.network.at(moved):
            return side.train(update, steps)

    def without_steps(moved: Mapping[str, Array]) -> Results:
        with side.network.at(moved):
            return side.run()

    values = run({})
    units = _units(side, without_steps, values, rng)
    variances: Results = {}
    for unit in set(units.values()):
        rows = [run(moved_by(2.0 * unit, side, rng)) for _ in range(runs)]
        for name in (name for name, own in units.items() if own == unit):
            with np.errstate(all="ignore"):
                variances[name] = np.var(np.stack([row[name] for row in rows]), axis=0, ddof=1)
        for name, noise in _noise(side, run, values, unit, rng).items():
            if units[name] == unit:
                variances[name] = variances[name] + noise
    others = [*_rows_in_other_orders(side, values, rng, lambda: side.train(update, steps))]
    others += _units_in_other_orders(side, values, rng, run)
    kept = [other for other in others if _is_the_same(other, values, units)]
    for name in values if kept else ():
        with np.errstate(all="ignore"):
            variances[name] = variances[name] + np.mean([(o[name] - values[name]) ** 2 for o in kept], axis=0)
    return Measured(values, units, variances, _floors(side, values, units), len(kept))


def _floors(side: Side, values: Results, units: Mapping[str, float]) -> Results:
    """The rounding of (W - W') / lr, where backward leaves W' = W - lr dW and no dW."""
    rate = getattr(side.network, "updates_in_backward", None)
    if rate is None:
        return {}
    arrays = {gradient_of(name): side.network.arrays[name] for name in side.parameters}
    return {
        name: 2.0 * units[name] * (np.abs(array) / abs(rate) + np.abs(values[name]))
        for name, array in arrays.items()
        if name in values
    }


def _noise(side: Side, run: Run, home: Results, unit: float, rng: np.random.Generator) -> Results:
    """The variance of each result's own roundings, from third differences along lines through where it stands.

    Moves of a last bit do not draw them anew where something saturates, as tanh near 1 does. Steps of 2 sqrt(unit) do,
    and what is smooth leaves no more of a third difference than its third power. Errors of variance v leave 20 v: 1, 9,
    9 and 1 times v. The median over the lines, 0.455 of that for normal errors, leaves out those that cross a kink.
    """
    arrays = side.network.arrays
    squares: dict[str, list[Array]] = {name: [] for name in home}
    for _ in range(LINES):
        signs = {name: rng.choice([-1.0, 1.0], array.shape) for name, array in arrays.items()}
        step = 2.0 * np.sqrt(unit)
        at = [run({n: a * (1.0 + k * step * signs[n]) for n, a in arrays.items()}) for k in (1, 2, 3)]
        for name, center in home.items():
            with np.errstate(all="ignore"):
                third = (at[2][name] - center) - 3.0 * (at[1][name] - at[0][name])
                squares[name].append(third**2 / 20.0)
    with np.errstate(all="ignore"):
        return {name: np.median(found, axis=0) / 0.455 for name, found in squares.items()}


def resolution(
    mine: Measured, theirs: Array, spread: Array, unit: float, floor: Array | float, name: str, runs: int = RUNS
) -> Array:
    """How far apart rounding may put my result and ``theirs``, of that unit, variance (``spread``) and floor."""
    own = mine.values[name]
    with np.errstate(all="ignore"):
        deviation = np.sqrt(mine.variances[name] + spread)
        last = 2.0 * (mine.units[name] * np.abs(own) + unit * np.abs(theirs)) + mine.floors.get(name, 0.0) + floor
        found = safety_factor(runs, own.size) * deviation + last
    return np.asarray(np.where(np.isfinite(found), found, np.inf))


def moved_by(share: float, side: Side, rng: np.random.Generator) -> Results:
    """The side's arrays with every number larger or smaller by this share of it."""
    arrays = side.network.arrays.items()
    return {name: array * (1.0 + share * rng.choice([-1.0, 1.0], array.shape)) for name, array in arrays}


def _units(side: Side, run: Run, home: Results, rng: np.random.Generator) -> dict[str, float]:
    """The unit roundoff of each result: that of the coarsest precision in which it, or what it is made of, is computed.

    How far a result bends is seen beside the largest of its kind, since one that is 0 but for rounding answers to
    nothing. Each is at least as coarse as what it is made of: the loss as the output, gradients as both, steps as all.
    """
    drawn = [_units_along(side, run, home, rng) for _ in range(DIRECTIONS)]
    units = {name: min(one[name] for one in drawn) for name in drawn[0]}
    gradients = gradients_in(home)
    coarsest = UNITS[0]
    for name in (OUTPUT, LOSS, GRAD_OUTPUT, *gradients):
        if name in units:
            units[name] = max(units[name], coarsest)
            coarsest = coarsest if name in gradients else units[name]
    stepped = side.of_parameters(home) - gradients
    return units | dict.fromkeys(stepped, max(units.values(), default=UNITS[0]))


def _units_along(side: Side, run: Run, home: Results, rng: np.random.Generator) -> dict[str, float]:
    """The same of each result by itself, along one direction; one that crosses a kink makes it seem coarser."""
    units: dict[str, float] = {}
    signs = {name: rng.choice([-1.0, 1.0], array.shape) for name, array in side.network.arrays.items()}
    at = [_along(side, run, signs, move) for move, _, _ in MOVES]
    far = at[-1][0]
    gradients, sizes = gradients_in(home), _sizes(home)
    stepped = side.of_parameters(home) - gradients
    for name in home.keys() - stepped:
        center, size, units[name] = home[name], sizes[name], UNITS[-1]
        for (_, of_move, of_result), (once, twice), unit in zip(MOVES, at, UNITS, strict=False):
            with np.errstate(all="ignore"):
                first, bend = _norm(once[name] - center), _norm(twice[name] - 2.0 * once[name] + center)
                stays = first == 0.0 and _norm(far[name] - center) > of_result * size
            if not stays and not (bend > of_move * first and bend > of_result * size):
                units[name] = unit
                break
    return units


def _sizes(home: Results) -> dict[str, float]:
    """The norm of each result; of a gradient that of the largest one."""
    gradients = gradients_in(home)
    largest = max((_norm(home[name]) for name in gradients), default=0.0)
    return {name: largest if name in gradients else _norm(value) for name, value in home.items()}


def _norm(values: Array) -> float:
    return float(np.linalg.norm(values))


def _along(side: Side, run: Run, signs: Results, move: float) -> tuple[Results, Results]:
    arrays = {name: array.copy() for name, array in side.network.arrays.items()}
    once, twice = ({name: a * (1.0 + k * move * signs[name]) for name, a in arrays.items()} for k in (1, 2))
    return run(once), run(twice)


def _rows_in_other_orders(
    side: Side, home: Results, rng: np.random.Generator, run: Callable[[], Results]
) -> list[Results]:
    """The results with the batch in other orders, put back in order."""
    network, found = side.network, []
    x = network.arrays.get(network.input)
    if x is None or x.ndim < 2:
        return []
    axis = -1 if side.columns else 0
    rows, targets, grad_output = x.shape[axis], side.targets, side.grad_output
    if isinstance(targets, np.ndarray) and (targets.ndim == 0 or rows not in targets.shape):
        return []
    for _ in range(ORDERS):
        order = rng.permutation(rows)
        back = np.argsort(order)
        try:
            if isinstance(targets, np.ndarray):
                side.targets = np.take(targets, order, axis if targets.shape[axis] == rows else 0)
            if grad_output is not None:
                side.grad_output = np.take(grad_output, order, axis)
            with network.at({network.input: np.take(x, order, axis)}):
                moved = run()
        finally:
            side.targets, side.grad_output = targets, grad_output
        own = {name for name, array in home.items() if array.ndim and name != LOSS and array.shape[axis] == rows}
        of_batch = own - side.of_parameters(home)
        found.append({n: np.take(v, back, axis) if n in of_batch else v for n, v in moved.items()})
    return found


def _units_in_other_orders(side: Side, home: Results, rng: np.random.Generator, run: Run) -> list[Results]:
    """The results with the units of each hidden layer in another order, put back in order."""
    network = side.network
    of_parameters = side.of_parameters(home)
    seen = {n for name, v in home.items() if name not in of_parameters for n in v.shape}
    seen |= {n for name in (network.input,) if name in network.arrays for n in network.arrays[name].shape}
    sizes = {n for shape in side.parameters.values() for n in shape} - seen - {1}
    found = []
    for size in sorted(sizes):
        order = rng.permutation(size)
        moved = {n: _permuted(network.arrays[n], size, order) for n in side.parameters}
        results, back = run(moved), np.argsort(order)
        found.append({n: _permuted(v, size, back) if n in of_parameters else v for n, v in results.items()})
    return found


def _permuted(array: Array, size: int, order: NDArray[np.intp]) -> Array:
    for axis, n in enumerate(array.shape):
        if n == size:
            array = np.take(array, order, axis)
    return array


def _is_the_same(results: Results, home: Results, units: Mapping[str, float]) -> bool:
    """Whether all results have half of their digits in common."""
    sizes = _sizes(home)
    with np.errstate(all="ignore"):
        return all(_norm(results[name] - value) <= np.sqrt(units[name]) * sizes[name] for name, value in home.items())
