"""The front of the checker: any target, taken to pieces, and each of them checked."""

from __future__ import annotations

import dataclasses
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.checks import Seed, generator
from numpy_nn._support.threads import one_thread
from numpy_nn.gradcheck.entry import check
from numpy_nn.gradcheck.explain.first_wrong import first_wrong
from numpy_nn.gradcheck.explain.layer_order import in_order
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.report import GradientReport
from numpy_nn.gradcheck.sums_to_one import unless_targets_do_not_sum_to_one
from numpy_nn.layers import Layer
from numpy_nn.network import Sequential
from numpy_nn.subjects import Hints, LiveSubject, Subject, SubjectError, SurrogateSubject, as_subject, names, several
from numpy_nn.subjects.agreement import claimed_in_shape
from numpy_nn.subjects.arrays.nested import arrays_of
from numpy_nn.subjects.calls.arguments import are_apart, labels_come_first, with_named_in_place, with_targets_apart
from numpy_nn.subjects.calls.contexts import with_context
from numpy_nn.subjects.calls.costs import as_cost, method_of_loss
from numpy_nn.subjects.calls.owners import is_object_with_arrays
from numpy_nn.subjects.calls.tuples import with_data_apart
from numpy_nn.subjects.libraries.foreign_arrays import as_arrays, is_torch, of_arrays, wants_tensors
from numpy_nn.subjects.libraries.jax_functions import jax_subject
from numpy_nn.subjects.libraries.nodes import nodes_subject
from numpy_nn.subjects.libraries.own_tensors import tensor_subject
from numpy_nn.subjects.libraries.tensors_found import is_tensor
from numpy_nn.subjects.losses.held_data import held
from numpy_nn.subjects.losses.training import steps_of_training
from numpy_nn.subjects.repeated import which_are_one
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.state import equal, in_float64, is_generator


def check_gradients(
    target: Any,
    x: Any = None,
    targets: Any = None,
    /,
    *others: Any,
    loss: Any = None,
    arrays: Mapping[str, Any] | None = None,
    parameters: Mapping[str, str] | None = None,
    constants: Sequence[str] = (),
    samples: int | str | None = None,
    surrogate: Callable[..., Any] | Subject | None = None,
    rng: Any = None,
    seed: Seed = 0,
    **named: Any,
) -> GradientReport:
    """Compare every gradient that ``target`` computes with numerical derivatives, and say what is wrong.

    ``target`` is one of

    - a layer or Sequential of numpy_nn, or your own subclass. A Sequential is checked layer by layer, each at the
      input that it really gets, then as a chain; ``loss=`` and ``targets`` add the loss at the end of it;
    - an object with a forward and a backward pass under any of their usual names. What they want and return is found
      from the names of their arguments, else by trying. Its parameters are the arrays that the output depends on,
      wherever it keeps them; their gradients are what backward returns, or leaves under a name that says so. Where it
      does not, name them: ``parameters={"W": "my_gradient_of_W"}``, and in ``constants`` arrays that have none;
    - a pair ``(f, vjp)`` of functions, such as ``f(x)`` and ``vjp(x, grad_output)``, or ``f(x, w) -> (out, cache)`` and
      ``vjp(grad_output, cache) -> (dx, dw)``; or one function that returns ``(value, gradients)``;
    - with ``targets``: a loss, ``loss(x, targets)`` and ``backward()``, a pair ``f(x, targets)``,
      ``gradient(x, targets)``, or a network with ``loss(x, targets)``;
    - a function ``run()`` that reads arrays which live anywhere, with ``grads(*grad_outputs)`` in the place of ``x``,
      which gives their gradients, and the arrays by name: ``check_gradients(run, grads, W=net.W, b=net.b)``, or in
      ``arrays={...}``, as ``(object, "attribute")`` where the code binds them anew.

    ``x`` is the argument of the forward pass, or a tuple of several, which may also follow each other: arrays of floats
    are differentiated, everything else (integers, settings) is passed on; integers alone are taken for floats, unless
    the code needs them as indices. A loss may follow ``targets``; what a function takes may be given by name.
    ``targets`` are not differentiated, unless backward returns their gradient and they are not called so: the state in
    ``forward(x, h)`` is an input. All is computed in float64, on a deep copy of the target. What is differentiated is
    sum(grad_output * output) for a random grad_output, which is also what backward is given; for a loss, the loss.
    ``samples`` limits the coordinates of each array that are checked: a number drawn by chance, "all", or by default
    all up to 200,000 evaluations, fewer where each reads tens of thousands of numbers, and 2,000 beyond; the others
    are then checked together, along random directions.
    ``surrogate`` is the function whose gradient backward is meant to give, if that is not forward's own, as for a
    straight-through estimator: ``check_gradients(target, x, surrogate=lambda x: x)``.
    ``rng`` is the generator, if any, that a function draws from, ``seed`` sets the check's own random numbers.

    Raises TypeError for a target of no such form or an ``rng`` that is no generator, and ValueError for an ``x`` that
    is empty or not finite; what the target's own code raises comes through.
    """
    started = time.perf_counter()
    if others and callable(x):
        raise TypeError("x: expected the arrays of run() and grads() by name, check_gradients(run, grads, W=net.W)")
    of_a_call = x is not None and arrays is None and (not callable(x) or is_tensor(x))
    given = (x, *(() if targets is None else (targets,)), *others)
    if of_a_call and (called := with_named_in_place(target, given, named)) is not None:
        x, targets, others, named, given = called, None, (), {}, called
    if of_a_call and not named and (apart := with_data_apart(target, given)) is not None:
        (target, x), targets, others = apart, None, ()
    wants_all = inspect.isroutine(target) and len((positional(target) or ([],))[0]) > 2  # train(X, y, net)
    if len(others) == 1 and loss is None and not wants_all and callable(as_cost(others[0])):
        loss = others[0]
    elif others:
        x, targets = (x, targets, *others), None
    if not (samples is None or samples == "all" or (isinstance(samples, int) and samples > 0)):
        raise ValueError(f'samples: expected a number >= 1, "all" or None, got {samples!r}')
    if rng is not None and not is_generator(rng):
        raise TypeError(
            f"rng: expected the generator that the function draws from, got {rng!r}; seed= sets the check's"
        )
    draws = generator(seed)
    report = GradientReport("", [], [], [], 0, 0.0)
    opened: list[Subject] = []
    try:
        with one_thread():
            if named.keys() <= {"x", "targets"} and arrays is None and (not callable(x) or is_tensor(x)):
                x, targets = named.get("x", x), named.get("targets", targets)
                if targets is None:
                    x, targets = with_targets_apart(target, x)
                elif said := labels_come_first(_loss_of(target, x) or _forward_of(target), x, targets):
                    x, targets = targets, x
                    report.notes.append(said)
                hints = Hints(parameters, constants, () if rng is None else (rng,), loss)
                subjects = _subjects(target, x, targets, hints, report)
            else:
                subjects = iter([("", _live(target, x, {**named, **(arrays or {})}, () if rng is None else (rng,)))])
            for prefix, subject in subjects if surrogate is None else _declared(subjects, surrogate):
                opened.append(subject)
                check(subject, prefix, report, draws, samples)
                report.evaluations += subject.evaluations
                report.target = report.target or subject.label
    except SubjectError as error:
        raise error.__cause__ or error from None
    finally:
        for subject in opened:
            subject.close()
    report.notes += _without_repeats(x, report)
    if sentence := first_wrong(in_order(report, opened), (report.input,)):
        report.notes.insert(0, sentence)
    report.seconds = time.perf_counter() - started
    if targets is None or surrogate is not None:
        return report

    def again(others: Any) -> GradientReport:
        options = {"loss": loss, "parameters": parameters, "constants": constants, "rng": rng, "seed": seed}
        return check_gradients(target, x, others, samples=samples, **options)

    return unless_targets_do_not_sum_to_one(report, targets, again)


def _without_repeats(x: Any, report: GradientReport) -> Iterator[str]:
    """A line on integers that may be indices of the rows of an array, of which none comes twice, or in no column."""
    alone = isinstance(x, np.ndarray) and not any(entry.shape == x.shape for entry in report.entries)
    for place, value in enumerate(x if isinstance(x, tuple) else (x,) if alone else ()):
        indices = value if isinstance(value, np.ndarray) and value.dtype.kind in "iu" else np.zeros(0, int)
        rows = max((entry.shape[0] for entry in report.entries if len(entry.shape) > 1), default=0)
        if indices.size < 2 or indices.min() < 0 or indices.max() >= rows:
            continue
        once = indices.size == np.unique(indices).size
        columns = list(indices.T) if indices.ndim == 2 and len(indices) > 1 else []
        if once or (columns and all(len(column) == np.unique(column).size for column in columns)):
            where, when = ("", "") if once else (" in any column", "in a loop over these ")
            which = f"argument {place + 1}: no index comes twice{where}"
            yield f"{which}, so that {when}= in the place of += would not show"


def _subjects(target: Any, x: Any, targets: Any, hints: Hints, report: GradientReport) -> Iterator[tuple[str, Subject]]:
    """What there is to check of a target that is called with ``x``."""
    if isinstance(target, Subject):
        return iter([("", target)])
    if (of_jax := jax_subject(target, x, targets)) is not None:
        return iter([("", of_jax)])
    if (of_tensors := tensor_subject(target, x, targets)) is not None:
        return iter([("", of_tensors)])
    if (any(map(is_torch, x if isinstance(x, tuple) else (x,))) or wants_tensors(target, x)) and (
        inspect.isroutine(target) or (isinstance(target, tuple) and len(target) == 2 and all(map(callable, target)))
    ):
        target = tuple(map(of_arrays, target)) if isinstance(target, tuple) else of_arrays(target)
        x, targets = as_arrays(x), as_arrays(targets)
    if x is None:
        if (of_nodes := nodes_subject(target)) is not None:
            return iter([("", of_nodes)])
        x, of_data = held(target)
        targets = of_data if targets is None else targets
    if hints.cost is not None and targets is None:
        raise ValueError("loss: expected targets with it, got None")
    if isinstance(x, dict) or (not isinstance(x, tuple) and is_object_with_arrays(x)):
        x = (x,)  # all parameters in a dict, or an object with the data, such as a graph
    forward = _forward_of(target)
    if isinstance(x, tuple) and are_apart(x, with_context(forward), int(targets is not None)):
        if set(map(type, x)) == {int} and targets is not None:
            return iter([("", _of_indices(target, x, targets, hints))])
        inputs = tuple(map(_point, x))
    elif isinstance(x, tuple) and len(x) == 1 and type(x[0]) is float:
        inputs = (_point(x[0]),)
    elif isinstance(x, tuple) and {float} <= set(map(type, x)) <= {int, float}:
        inputs = (_point(x),)
    elif isinstance(x, tuple) and len(x) > 1 and {*map(type, x)} == {int}:
        x = list(x)
        inputs = (_point(x),)
    elif _is_of_several(x):
        trained = _steps_alone(target, x) if targets is None else _steps_of(target, len(x) + 1)
        takers = [forward, None if targets is None else _loss_of(target, x), *trained]
        each = [several(x, taker, with_targets=targets is not None) for taker in takers if taker is not None]
        inputs = tuple(map(_argument, sorted(each or [several(x)], key=len)[-1]))
    else:
        inputs = (_point(x),)
    if type(target) is Sequential:
        return _chain(target, inputs[0], hints.cost, targets, report)
    if hints.cost is not None and isinstance(target, Layer):
        raise TypeError(f"loss: expected a Sequential with it, got {type(target).__name__}; check the two apart")
    if (whole := _whole_numbers(x)) is not None:
        return iter([("", _of_whole_numbers(target, whole, targets, hints))])
    if isinstance(x, tuple) and len(x) == len(inputs):
        hints = dataclasses.replace(hints, which=which_are_one(x))
    return iter([("", as_subject(target, inputs, targets, hints))])


def _whole_numbers(x: Any) -> NDArray[Any] | None:
    """The array, number or list of whole numbers as an array; None if it is something else."""
    listed = isinstance(x, list) and bool(x) and all(type(one) is int for one in x)
    whole = np.asarray(x) if listed or type(x) is int or isinstance(x, np.ndarray) else np.zeros(0)
    return whole if whole.dtype.kind in "iu" else None


def _of_whole_numbers(target: Any, x: NDArray[Any], targets: Any, hints: Hints) -> Subject:
    """The subject of floats; of indices, as an embedding takes, where it takes no floats or has no gradient of them."""
    try:
        of_floats = as_subject(target, (_point(x),), targets, hints)
        if _has_another_shape(of_floats):
            raise TypeError("x: expected a gradient of its shape")
    except (SubjectError, IndexError, TypeError, ValueError) as error:
        failed = error
    else:
        return of_floats
    try:
        return as_subject(target, (x.copy(),), targets, hints)
    except (SubjectError, IndexError, TypeError, ValueError):
        # What takes no floats for indices has failed for another reason where it was given whole numbers.
        if isinstance(failed.__cause__ or failed, IndexError):
            raise
    raise failed


def _of_indices(target: Any, x: tuple[int, ...], targets: Any, hints: Hints) -> Subject:
    """The subject of whole numbers that are an argument each; of floats where it takes no indices."""
    try:
        return as_subject(target, x, targets, hints)
    except (SubjectError, IndexError, TypeError, ValueError) as error:
        with suppress(SubjectError, IndexError, TypeError, ValueError):
            return as_subject(target, tuple(map(_point, x)), targets, hints)
        raise error from None


def _has_another_shape(subject: Subject) -> bool:
    """Whether the gradient that is claimed of the input is of another shape."""
    claims = subject.input in subject.arrays and subject.make_repeatable()
    return claims and subject.input not in claimed_in_shape(subject)[1]


def _steps_of(target: Any, number: int) -> list[Any]:
    """The steps of training that an object makes with so many arguments, as ``update(states, actions, targets)``."""
    if callable(target) or isinstance(target, (tuple, list)):
        return []
    return list(steps_of_training(target, number))


def _steps_alone(target: Any, x: Any) -> list[Any]:
    """The steps of training of an object without a backward pass that are given all that is in a tuple."""
    has_backward = isinstance(target, type) or names.passes(target)[1] is not None
    return [] if has_backward or not isinstance(x, tuple) else _steps_of(target, len(x))


def _loss_of(target: Any, x: Any) -> Any:
    """The method of an object that is called as a loss, of what is given and targets; None of functions."""
    if isinstance(target, tuple) or inspect.isroutine(target):
        return None
    number = len(x) + 1 if isinstance(x, tuple) else 2
    return names.method(target, names.LOSSES) or method_of_loss(target, number)


def _forward_of(target: Any) -> Any:
    """The function that is called with x: of a pair the first, of an object its forward pass."""
    if isinstance(target, tuple):
        return target[0] if target and callable(target[0]) else None
    return target if inspect.isroutine(target) else names.passes(target)[0]


def _is_of_several(x: Any) -> bool:
    """Whether it is a tuple of arguments, or an argument that is a list of arrays."""
    return isinstance(x, tuple) or (isinstance(x, list) and bool(arrays_of(x)))


def _declared(subjects: Iterator[tuple[str, Subject]], surrogate: Any) -> Iterator[tuple[str, Subject]]:
    """The subject as one whose gradients are those of the surrogate."""
    for prefix, subject in subjects:
        if prefix:
            raise ValueError("surrogate: expected a single layer or function with it, got a Sequential")
        yield prefix, SurrogateSubject(subject, surrogate)


def _live(run: Any, grads: Any, arrays: Mapping[str, Any], generators: Sequence[Any]) -> LiveSubject:
    if not callable(run) or not callable(grads):
        raise TypeError(
            "arrays by name go with two functions: check_gradients(run, grads, W=net.W), where run() returns the "
            "output and grads(grad_output) the gradients"
        )
    return LiveSubject(run, grads, arrays, generators=generators)


def _argument(value: Any) -> Any:
    """One of several arguments: a list of floats is an array; whatever holds no floats is passed on as it is."""
    if isinstance(value, list) and value and not arrays_of(value):
        try:
            array = np.asarray(value)
        except ValueError:
            return value  # lists of different lengths, as of the members of groups
        value = array if array.dtype.kind == "f" else value
    elif isinstance(value, tuple) and {float} <= set(map(type, value)) <= {int, float}:
        value = np.asarray(value)
    return _point(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


_BY_PARTS = """
a function of complex numbers becomes checkable by their real and imaginary parts, if its output is real:
    def vjp(grad_output, a, b):         # gradients by a and by b, as torch's grad of z = a + bi holds them
        grad = f_vjp(grad_output, a + 1j * b)
        return grad.real, grad.imag

    check_gradients((lambda a, b: f(a + 1j * b), vjp), (z.real, z.imag))"""


def _point(x: Any) -> Array:
    try:
        array = np.asarray(x)
    except ValueError:
        raise TypeError(
            "x: expected an array, got a list with parts of different lengths; give several arguments, of which each "
            "may be anything, as a tuple of all"
        ) from None
    if array.dtype.kind not in "fiu":
        way_out = _BY_PARTS if array.dtype.kind == "c" else ""
        raise TypeError(f"x: expected an array of floats, got an array of {array.dtype}{way_out}")
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
    subject = as_subject(net, (x,), None, Hints())
    if not subject.make_repeatable():
        report.problems += subject.problems
        return
    whole = subject.output()
    inputs, output = _forward_step_by_step(net, x, subject)
    grad_output = subject.random_grad_output(np.random.default_rng(0), whole.shape)
    end_to_end: dict[str, Any] = subject.gradients(grad_output)
    steps = _backward_step_by_step(net, grad_output)
    same = equal(whole, output)
    same &= all(equal(end_to_end[name], steps[name]) for name in steps)
    if not same:
        report.problems.append("the network's forward or backward is not that of its layers one after the other")
    report.evaluations += subject.evaluations
    for layer, layer_input in zip(net.leaves(), inputs, strict=True):
        yield layer.name, as_subject(layer, (layer_input,), None, Hints())
    if loss is not None:
        yield "loss", as_subject(loss, (np.array(whole),), targets, Hints())


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
