"""The gradient checker of HIPS autograd on anything that is a ``GradientCase``."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import defvjp, primitive
from autograd.test_util import check_grads

from scripts.proof.gradient_cases import Array, GradientCase


def hips_check_grads(case: GradientCase, rng: np.random.Generator) -> bool:
    """``autograd.test_util.check_grads`` in reverse mode, first order: one random direction, tolerances of 1e-6."""
    names = list(case.arrays)

    def write(arrays: tuple[Any, ...]) -> None:
        for name, array in zip(names, arrays, strict=True):
            case.arrays[name][...] = array

    def f(*arrays: Any) -> Array:
        write(arrays)
        return case.forward()

    def vjp_of(name: str) -> Any:
        def vjp(_: Any, *arrays: Any) -> Any:
            def of(grad_output: Any) -> Array:
                write(arrays)
                return case.backward(np.asarray(grad_output, np.float64))[name]

            return of

        return vjp

    wrapped = primitive(f)
    defvjp(wrapped, *map(vjp_of, names))
    np.random.seed(int(rng.integers(1 << 31)))  # noqa: NPY002 - autograd draws its directions from it
    try:
        check_grads(wrapped, tuple(range(len(names))), modes=["rev"], order=1)(
            *(array.copy() for array in case.arrays.values())
        )
    except (AssertionError, ValueError):  # it is as far as a ValueError where a gradient has another shape
        return True
    return False
