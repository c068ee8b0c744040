"""JAX's own gradient checker on anything that is a ``GradientCase``."""

from __future__ import annotations

import jax.test_util
import numpy as np

from scripts.proof.gradient_cases import Array, GradientCase


def jax_check_vjp(case: GradientCase, rng: np.random.Generator) -> bool:
    """``jax.test_util.check_vjp``, as check_grads calls it: one random direction, eps 1e-4, tolerances of 1e-5.

    It takes the function and its gradient as functions of NumPy arrays, too. The direction is its own.
    """
    names = list(case.arrays)

    def f(*arrays: Array) -> Array:
        for name, array in zip(names, arrays, strict=True):
            case.arrays[name][...] = array
        return case.forward()

    def f_vjp(*arrays: Array) -> tuple[Array, object]:
        def vjp(grad_output: Array) -> tuple[Array, ...]:
            f(*arrays)
            return tuple(case.backward(np.asarray(grad_output, np.float64)).values())

        return f(*arrays), vjp

    del rng
    claimed = case.backward(np.ones_like(case.forward()))
    if any(gradient.shape != case.arrays[name].shape for name, gradient in claimed.items()):
        return True  # its inner product would raise, or broadcast
    try:
        jax.test_util.check_vjp(f, f_vjp, tuple(array.copy() for array in case.arrays.values()))
    except AssertionError:
        return True
    return False
