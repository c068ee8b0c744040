"""The gradient checker for torch: called as torch.autograd.gradcheck is, without tolerances to choose.

import torch_ref
print(torch_ref.gradcheck(MyFunction, (x, weight)))
torch_ref.gradcheck(my_module, x).raise_if_failed()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from numpy_nn._support.checks import Seed
from numpy_nn.gradcheck import GradientReport, check_gradients
from numpy_nn.gradcheck.report import WRONG
from numpy_nn.subjects import SubjectError
from numpy_nn.subjects.subject import Array
from torch_ref.tensor_function import TensorFunction
from torch_ref.torch_subject import TorchGenerator, TorchSubject, torch_subject


def gradcheck(
    fn: Any,
    inputs: Any,
    *,
    dtype: torch.dtype | None = None,
    surrogate: Callable[..., Any] | None = None,
    samples: int | str | None = None,
    seed: Seed = 0,
) -> GradientReport:
    """Compare the gradients that autograd gives for ``fn`` with numerical derivatives, and say what is wrong.

    ``fn`` is a class derived from ``autograd.Function``, a module, or any function of tensors; ``inputs`` is a tensor
    or a tuple of arguments. As in torch, the tensors of floats that require grad are differentiated, and all else is
    passed on. Of a module also the parameters that require grad are, by their names; it is copied, and the copy is
    run. Entries have the names of forward's arguments.

    Where numbers are narrower than float64 the code is run in float64 if it takes that, which gives the sharpest
    verdict on its formulas, and else as the inputs are; a note says which. ``dtype`` settles it. Random functions get
    the same draws at every run, and torch's generators are put back afterwards.

    ``surrogate`` is a function of the same inputs whose gradient backward is meant to give instead of that of ``fn``;
    ``samples`` and ``seed`` are those of :func:`numpy_nn.gradcheck.check_gradients`. The report counts as true if all
    is right.

    Raises ValueError if nothing requires grad, TypeError for complex or sparse tensors; what ``fn`` raises comes
    through.
    """
    arguments = _arguments(inputs)
    with _as_before():
        subject = torch_subject(lambda kind: TensorFunction.of(fn, len(arguments), kind), arguments, dtype)
        subject.leave_out_unused()
        _warn_of_a_second_backward(subject)
        declared = None if surrogate is None else _surrogate(surrogate, subject)
        try:
            return check_gradients(subject, surrogate=declared, samples=samples, seed=seed)
        finally:
            subject.put_state_back()


def gradgradcheck(
    fn: Any,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    dtype: torch.dtype | None = None,
    samples: int | str | None = None,
    seed: Seed = 0,
) -> GradientReport:
    """The same of the second derivatives: whether backward itself is differentiated rightly.

    Checked is the function of the inputs and of ``grad_outputs`` that backward is; they are drawn at random where they
    are not given. Each output of that function is a gradient of ``fn``. Where one is wrong, a note names the Functions
    that keep what forward has computed.
    """
    arguments = _arguments(inputs)
    with _as_before():
        first = torch_subject(lambda kind: TensorFunction.of(fn, len(arguments), kind), arguments, dtype)
        if grad_outputs is None:
            rng = np.random.default_rng(0)
            grads = [
                _drawn_like(output, first.random_grad_output(rng, output.shape)) for output in first.output_tensors
            ]
        else:
            grads = [grad.detach().requires_grad_() for grad in _arguments(grad_outputs)]
        second = torch_subject(
            lambda kind: TensorFunction.of(fn, len(arguments), kind).differentiated(len(grads)),
            (*arguments, *grads),
            first.dtype,
        )
        second.leave_out_unused()
        second.notes[:0] = first.notes
        try:
            report = check_gradients(second, samples=samples, seed=seed)
        finally:
            second.put_state_back()
        if report.verdict == WRONG:
            report.notes += [f"{name}: {_KEPT}" for name in _keep_what_they_computed(first)]
        return report


_KEPT = (
    "forward keeps what it has computed, which to a second derivative is a constant; keep what it is given or returns, "
    "and compute the rest again in backward"
)


def _keep_what_they_computed(subject: TorchSubject) -> list[str]:
    """The Functions that the code applies and in which tensors are kept by which nothing is differentiated further.

    What they keep of their inputs and outputs leads back to the inputs; what forward computes has no graph.
    """
    subject.output()
    given = [value for value in subject.inputs if isinstance(value, Tensor) and not value.requires_grad]
    found: dict[str, None] = {}
    nodes: list[Any] = [output.grad_fn for output in subject.output_tensors]
    seen: set[Any] = set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes += [other for other, _ in node.next_functions]
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            kept = [one for one in (*node.saved_tensors, *vars(node).values()) if isinstance(one, Tensor)]
            constants = [one for one in kept if one.is_floating_point() and not one.requires_grad]
            if any(not any(torch.equal(one, value.to(one.dtype)) for value in given) for one in constants):
                found[type(node).__name__.removesuffix("Backward")] = None
    return list(found)


def from_command_line(
    target: Any,
    inputs: Sequence[Any],
    *,
    init: Sequence[Any] = (),
    settings: Mapping[str, Any] | None = None,
    second: bool = False,
    dtype: torch.dtype | None = None,
    samples: int | str | None = None,
    seed: int = 0,
) -> GradientReport:
    """The check of what a user has named on a command line, with inputs that were drawn as arrays.

    A class of modules is called with ``init`` and ``settings`` under torch's ``seed``. Arrays of floats become tensors
    that require grad, of float32 where the code takes no float64; arrays of integers tensors that do not. With
    ``second``, :func:`gradgradcheck`.
    """
    if isinstance(target, type) and issubclass(target, nn.Module):
        with _as_before():
            torch.manual_seed(seed)
            target = target(*init, **(settings or {}))
    elif init or settings:
        raise TypeError(f"--init: {getattr(target, '__name__', target)} is no class of modules, and takes no arguments")
    check = gradgradcheck if second else gradcheck
    try:
        return check(target, _drawn(inputs, torch.float64), dtype=dtype, samples=samples, seed=seed)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's code raises
        try:
            return check(target, _drawn(inputs, torch.float32), dtype=dtype, samples=samples, seed=seed)
        except KeyboardInterrupt:
            raise
        except BaseException:
            raise error from None


def _drawn(inputs: Sequence[Any], dtype: torch.dtype) -> tuple[Any, ...]:
    """Arrays as tensors, those of floats in ``dtype`` and to be differentiated; all else as it is."""
    tensors = [torch.from_numpy(value) if isinstance(value, np.ndarray) else value for value in inputs]
    floating = [isinstance(tensor, Tensor) and tensor.is_floating_point() for tensor in tensors]
    return tuple(t.to(dtype).requires_grad_() if f else t for t, f in zip(tensors, floating, strict=True))


def _arguments(inputs: Any) -> tuple[Any, ...]:
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def _warn_of_a_second_backward(subject: TorchSubject) -> None:
    """Say if backward gives something else a second time through one graph, as one that overwrites what it has kept."""
    subject.output()
    outputs, leaves = [one for one in subject.output_tensors if one.requires_grad], list(subject.leaves.values())
    if not (outputs and leaves):
        return
    found, generator = [], TorchGenerator()
    draws = generator.getstate()
    for _ in range(2):
        generator.setstate(draws)
        grad_outputs = [torch.full_like(output, 0.75) for output in outputs]
        try:
            grads = torch.autograd.grad(outputs, leaves, grad_outputs, retain_graph=True, allow_unused=True)
        except RuntimeError:
            return  # it says itself that there is no second time
        found.append([None if grad is None else grad.clone() for grad in grads])
    for first, second in zip(*found, strict=True):
        if first is not None and not torch.allclose(first, second, rtol=1e-3, equal_nan=True):
            subject.warn("backward gives something else the second time through one graph: it changes what it has kept")


def _surrogate(surrogate: Callable[..., Any], like: TorchSubject) -> TorchSubject:
    """The surrogate as a function of the same arguments, by the same names, in the same dtype."""
    function = TensorFunction.of(surrogate, len(like.inputs), like.dtype)
    return TorchSubject(replace(function, names=like.function.names, all_outputs=True), like.inputs, like.dtype)


def _drawn_like(output: Tensor, values: Array) -> Tensor:
    return torch.from_numpy(values).to(output.device, output.dtype).requires_grad_()


@contextmanager
def _as_before() -> Iterator[None]:
    """Leave torch's generators as they were, and let what the user's code raises come through as itself."""
    generator = TorchGenerator()
    state = generator.getstate()
    try:
        yield
    except SubjectError as error:
        raise error.__cause__ or error from None
    finally:
        generator.setstate(state)
