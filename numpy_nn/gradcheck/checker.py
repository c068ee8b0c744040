"""The check itself: every coordinate of every array is right, wrong, or undecided with a reason."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numpy_nn._support.checks import Seed, generator
from numpy_nn.gradcheck.explain.diagnosis import diagnose
from numpy_nn.gradcheck.measure.derivatives import UNIT_ROUNDOFF, Array
from numpy_nn.gradcheck.measure.differences import Differences, Mask, Slopes
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.targets import ObjectProblem, Problem, as_problem, in_float64
from numpy_nn.gradcheck.measure.verdicts import AGREES, COARSE, ELSEWHERE, FLAT, KINK, LOST, OFF, UNRESOLVED, examine
from numpy_nn.gradcheck.progress import Progress
from numpy_nn.gradcheck.report import RIGHT, UNDECIDED, WRONG, Entry, GradientReport
from numpy_nn.network import Sequential

# Up to so many evaluations' worth of coordinates all are checked by default, beyond so many of them, drawn by chance.
ALL_UP_TO, SAMPLES = 200_000, 2_000

# Along so many random directions, in which all coordinates move, what a sample has left out is looked at as a whole.
DIRECTIONS = 3


_WEAKER = {
    COARSE: "rounding hides all but two digits, which agree",
    FLAT: "the output does not move beyond its rounding, nor would it by the claimed gradient",
    LOST: "the claimed gradient, or the function, has lost digits to cancellation; another formula could keep them",
    ELSEWHERE: "rounding hides the derivative here; the formula is right at a multiple of this input",
}


def check_gradients(
    target: Any,
    x: ArrayLike,
    targets: Any = None,
    *,
    loss: Any = None,
    parameters: Mapping[str, str] | None = None,
    samples: int | str | None = None,
    rng: Any = None,
    seed: Seed = 0,
) -> GradientReport:
    """Compare every gradient that ``target`` computes with numerical derivatives, and say what is wrong.

    ``target`` is one of

    - a layer or Sequential of numpy_nn, or your own subclass. A Sequential is checked layer by layer, each at the
      input that it really gets, then as a chain; ``loss=`` and ``targets`` add the loss at the end of it;
    - any object with ``forward(x)`` and ``backward(grad_output)``. Its parameters are found as ``named_parameters()``,
      as dicts or lists ``params`` and ``grads``, or as attributes with their gradients (``W`` and ``dW``, ``grad_W``,
      ``W_grad``); else name them: ``parameters={"W": "my_gradient_of_W"}``;
    - a pair ``(f, vjp)`` of functions ``f(x)`` and ``vjp(x, grad_output)``;
    - with ``targets``: a loss, ``loss(x, targets)`` and ``backward()``, or a pair ``f(x, targets)``,
      ``gradient(x, targets)``.

    ``x`` is an array of floats (or a list); everything is computed in float64, on a deep copy of the target. What is
    differentiated is sum(grad_output * output) for a random grad_output, which is also what ``backward`` is given; for
    a loss, the loss.
    ``samples`` limits the coordinates of each array that are checked: a number drawn by chance, "all", or by default
    all up to 200,000 evaluations and 2,000 beyond; the others are then checked together, along random directions.
    ``rng`` is the generator, if any, that a function draws from, ``seed`` sets the check's own random numbers.

    Raises TypeError for a target of no such form and ValueError for an ``x`` that is empty or not finite; what the
    target's own code raises comes through.
    """
    started = time.perf_counter()
    if not (samples is None or samples == "all" or (isinstance(samples, int) and samples > 0)):
        raise ValueError(f'samples: expected a number >= 1, "all" or None, got {samples!r}')
    point = _point(x)
    draws = generator(seed)
    generators = [] if rng is None else [rng]
    if loss is not None and targets is None:
        raise ValueError("loss: expected targets with it, got None")
    report = GradientReport("", [], [], [], 0, 0.0)
    if type(target) is Sequential:
        problems = _chain(target, point, loss, targets, report)
    elif loss is not None:
        raise TypeError(f"loss: expected a Sequential with it, got {type(target).__name__}; check the two apart")
    else:
        problems = iter([("", as_problem(target, point, targets, parameters, generators))])
    for prefix, problem in problems:
        _check(problem, prefix, report, draws, samples)
        report.evaluations += problem.evaluations
    if not report.target:
        report.target = problem.label if target is not None else ""
    report.seconds = time.perf_counter() - started
    return report


def _point(x: ArrayLike) -> Array:
    array = np.asarray(x)
    if array.dtype.kind not in "fiu" or (array.dtype.kind in "iu" and isinstance(x, np.ndarray)):
        raise TypeError(f"x: expected an array of floats, got an array of {array.dtype}")
    array = np.array(array, np.float64)
    if array.size == 0:
        raise ValueError(f"x: expected at least one number, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("x: expected finite numbers, got nan or inf")
    return array


def _chain(net: Sequential, x: Array, loss: Any, targets: Any, report: GradientReport) -> Iterator[tuple[str, Problem]]:
    """Every layer with the input that it gets in the network, the loss, and the composition."""
    report.target = net.label
    net = in_float64(net)
    problem = ObjectProblem(net, x)
    if not problem.make_repeatable():
        report.problems += problem.problems
        return
    whole = problem.output()
    inputs, output = _forward_step_by_step(net, x, problem)
    grad_output = problem.random_grad_output(np.random.default_rng(0), whole.shape)
    end_to_end: dict[str, Any] = problem.gradients(grad_output)
    steps = _backward_step_by_step(net, grad_output)
    same = np.array_equal(whole, output, equal_nan=True)
    same &= all(np.array_equal(end_to_end[name], steps[name], equal_nan=True) for name in steps)
    if not same:
        report.problems.append("the network's forward or backward is not that of its layers one after the other")
    report.evaluations += problem.evaluations
    for layer, layer_input in zip(net.leaves(), inputs, strict=True):
        yield layer.name, ObjectProblem(layer, layer_input)
    if loss is not None:
        yield "loss", as_problem(loss, np.array(whole), targets, None, ())


def _forward_step_by_step(net: Sequential, x: Array, problem: Problem) -> tuple[list[Array], Array]:
    """The input of every layer, and the output of the last, with the random numbers that ``problem`` has."""
    problem.output()  # leaves every layer with its input
    problem.restore_generators()
    inputs: list[Array] = []
    value: Any = x
    for layer in net.leaves():
        inputs.append(np.array(value))
        with np.errstate(all="ignore"):
            value = layer.forward(value)
    return inputs, value


def _backward_step_by_step(net: Sequential, grad_output: Array) -> dict[str, Array]:
    """The gradients with respect to all parameters and the input, by the layers' own backward passes."""
    gradient: Any = grad_output
    for layer in reversed(net.leaves()):
        with np.errstate(all="ignore"):
            gradient = layer.backward(gradient)
    return {name: p.grad for name, p in net.named_parameters()} | {"input": gradient}


def _check(problem: Problem, prefix: str, report: GradientReport, rng: np.random.Generator, samples: Any) -> None:
    """Add the problem's entries to the report."""
    first = not report.entries
    if problem.make_repeatable():
        output = problem.output()
        if np.isfinite(output).all():
            report.entries += _entries(problem, prefix, first, output, rng, samples)
        else:
            where = np.argwhere(~np.isfinite(output))[0].tolist()
            problem.problems.append(f"the output is not finite: {output[tuple(where)]} at {where}")
    label = f"{problem.label}: " if prefix else ""
    report.problems += [label + text for text in problem.problems]
    report.notes += [label + text for text in problem.notes]


def _entries(
    problem: Problem, prefix: str, first: bool, output: Array, rng: np.random.Generator, samples: Any
) -> Iterator[Entry]:
    x = problem.arrays["input"]
    home = x.copy()
    # A batch before the one that counts: what is kept or added up from call to call then shows.
    x[...] = 0.75 * (np.roll(home, 1, axis=0) if home.ndim else home)
    previous_x, previous_grad_output = x.copy(), problem.random_grad_output(rng, output.shape)
    previous = problem.gradients(previous_grad_output)
    x[...] = home
    grad_output = problem.random_grad_output(rng, output.shape)
    claimed = problem.gradients(grad_output)
    again = problem.gradients(grad_output)
    for name, gradient in claimed.items():
        shown = name if not prefix else f"{prefix}.{name}" if name != "input" or not first else name
        if gradient is None and name == "input":
            problem.notes.append("backward returns no gradient of the input: it is not checked")
            continue
        evidence = Evidence(
            problem, name, gradient, grad_output, output, previous, previous_x, previous_grad_output, rng
        )
        if gradient is not None and not _equal(gradient, again[name]):
            # A gradient that hangs on the calls before is wrong, one that varies by itself cannot be judged.
            x[...] = previous_x
            problem.gradients(previous_grad_output)
            x[...] = home
            if not _equal(problem.gradients(grad_output)[name], gradient) and not _adds_up(
                gradient, again[name], previous[name]
            ):
                problem.problems.append(f"{shown}: two backward passes on the same input give different gradients")
                continue
        yield _entry(evidence, shown, samples)


def _equal(first: Array | None, second: Array | None) -> bool:
    return first is not None and second is not None and np.array_equal(first, second, equal_nan=True)


def _adds_up(first: Array, second: Array | None, previous: Array | None) -> bool:
    """Whether each call adds its gradient to that of the call before."""
    if second is None or previous is None or not first.shape == second.shape == previous.shape:
        return False
    return bool(np.allclose(second - first, first - previous, rtol=1e-6, atol=1e-9 * np.abs(second).max()))


def _entry(evidence: Evidence, name: str, samples: Any) -> Entry:
    """Check one array."""
    array = evidence.problem.arrays[evidence.name]
    entry = Entry(name, RIGHT, array.shape, array.size, 0, 0, 0, 0, 0.0, None, np.nan, np.nan, np.nan)
    if not _has_shape_of(array, evidence):
        shape = None if evidence.gradient is None else evidence.gradient.shape
        entry.verdict = WRONG
        entry.reason = f"expected a gradient of shape {array.shape}, got {shape}"
        entry.diagnosis = diagnose(evidence)
        return entry
    mask = _sample(evidence.differences, samples, evidence.rng)
    progress = Progress(f"{evidence.problem.label}, {name}", 6 * evidence.differences.groups)
    evidence.problem.watch = progress.advance
    slopes, status = examine(evidence, mask)
    progress.close()
    _judge_entry(entry, evidence, slopes, status)
    for kind, text in _WEAKER.items():
        if number := int((status == kind).sum()):
            evidence.problem.notes.append(f"{name}, {number:,} coordinates: {text}")
    _name_worst(entry, evidence, slopes, status)
    return entry


def _has_shape_of(array: Array, evidence: Evidence) -> bool:
    """Whether the gradient has the array's shape, which one that differs by axes of length 1 is given."""
    gradient = evidence.gradient
    if gradient is None or gradient.shape == array.shape:
        return gradient is not None
    if _squeezed(gradient.shape) != _squeezed(array.shape):
        return False
    evidence.gradient = gradient.reshape(array.shape)
    return True


def _judge_entry(entry: Entry, evidence: Evidence, slopes: Slopes, status: NDArray[Any]) -> None:
    """The verdict on an array from those on its coordinates, and the diagnosis if it is wrong."""
    entry.checked = int((status != "").sum())
    entry.wrong, entry.undecided, entry.kinks = (int((status == kind).sum()) for kind in (OFF, UNRESOLVED, KINK))
    if entry.wrong:
        entry.verdict = WRONG
        evidence.slopes, evidence.status = slopes, status
        entry.diagnosis = diagnose(evidence)
        if entry.wrong < entry.checked:
            entry.reason = f"wrong at {entry.wrong:,} of {entry.checked:,} coordinates"
    elif entry.undecided:
        entry.verdict = UNDECIDED
        entry.reason = evidence.reason
    elif entry.checked < entry.size and not _right_along(evidence):
        entry.verdict = WRONG
        entry.reason = "right where it was looked at, but not along a random direction: look at more samples"


def _name_worst(entry: Entry, evidence: Evidence, slopes: Slopes, status: NDArray[Any]) -> None:
    """Of the coordinates of the kind that the verdict is about, the one with the largest error."""
    gradient = evidence.gradient
    assert gradient is not None
    error = np.abs(gradient - slopes.value)
    kind = OFF if entry.wrong else UNRESOLVED if entry.undecided else AGREES
    worst = np.where(status == kind, np.nan_to_num(error, nan=np.inf), -1.0)
    if not np.any(worst > 0.0):
        worst = np.where(status != "", np.abs(gradient), -1.0)
    index = tuple(int(i) for i in np.unravel_index(int(worst.argmax()), gradient.shape))
    entry.index, entry.error, entry.bound = index, float(error[index]), float(slopes.bound[index])
    entry.analytic, entry.numerical = float(gradient[index]), float(slopes.value[index])


def _right_along(evidence: Evidence) -> bool:
    """Whether the slope along a few random directions is the claimed one; what has a kink there is not counted."""
    gradient, scale = evidence.gradient, evidence.differences.scales["wide"]
    assert gradient is not None
    for _ in range(DIRECTIONS):
        direction = scale * evidence.rng.uniform(-1.0, 1.0, gradient.shape)
        slope, bound, kink = evidence.differences.along(direction, evidence.grad_output)
        terms = gradient * direction
        rounding = gradient.size * UNIT_ROUNDOFF * float(np.abs(terms).sum())
        if not kink and abs(float(terms.sum()) - slope) > bound + rounding:
            return False
    return True


def _squeezed(shape: Iterable[int]) -> tuple[int, ...]:
    return tuple(length for length in shape if length != 1)


def _sample(differences: Differences, samples: Any, rng: np.random.Generator) -> Mask:
    """Which coordinates to check."""
    size = differences.array.size
    if samples is None:
        samples = "all" if 6 * differences.groups <= ALL_UP_TO else SAMPLES
    mask = np.ones(size, np.bool_)
    if samples != "all" and samples < size:
        mask[:] = False
        mask[rng.choice(size, samples, replace=False)] = True
    return mask.reshape(differences.array.shape)
