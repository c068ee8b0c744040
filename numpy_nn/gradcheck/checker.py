"""The front of the checker: any target, taken to pieces, and each of them checked."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numpy_nn._support.checks import Seed, generator
from numpy_nn.gradcheck.entry import check
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.report import GradientReport
from numpy_nn.network import Sequential
from numpy_nn.subjects.subject import ObjectSubject, Subject, SubjectError, as_subject, in_float64


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
        subjects = _chain(target, point, loss, targets, report)
    elif loss is not None:
        raise TypeError(f"loss: expected a Sequential with it, got {type(target).__name__}; check the two apart")
    else:
        subjects = iter([("", as_subject(target, point, targets, parameters, generators))])
    try:
        for prefix, subject in subjects:
            check(subject, prefix, report, draws, samples)
            report.evaluations += subject.evaluations
    except SubjectError as error:
        raise error.__cause__ or error from None
    if not report.target:
        report.target = subject.label if target is not None else ""
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


def _chain(net: Sequential, x: Array, loss: Any, targets: Any, report: GradientReport) -> Iterator[tuple[str, Subject]]:
    """Every layer with the input that it gets in the network, the loss, and the composition."""
    report.target = net.label
    net = in_float64(net)
    subject = ObjectSubject(net, x)
    if not subject.make_repeatable():
        report.problems += subject.problems
        return
    whole = subject.output()
    inputs, output = _forward_step_by_step(net, x, subject)
    grad_output = subject.random_grad_output(np.random.default_rng(0), whole.shape)
    end_to_end: dict[str, Any] = subject.gradients(grad_output)
    steps = _backward_step_by_step(net, grad_output)
    same = np.array_equal(whole, output, equal_nan=True)
    same &= all(np.array_equal(end_to_end[name], steps[name], equal_nan=True) for name in steps)
    if not same:
        report.problems.append("the network's forward or backward is not that of its layers one after the other")
    report.evaluations += subject.evaluations
    for layer, layer_input in zip(net.leaves(), inputs, strict=True):
        yield layer.name, ObjectSubject(layer, layer_input)
    if loss is not None:
        yield "loss", as_subject(loss, np.array(whole), targets, None, ())


def _forward_step_by_step(net: Sequential, x: Array, subject: Subject) -> tuple[list[Array], Array]:
    """The input of every layer, and the output of the last, with the random numbers that ``subject`` has."""
    subject.output()  # leaves every layer with its input
    subject.restore_generators()
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
