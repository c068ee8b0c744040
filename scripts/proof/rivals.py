"""Other gradient checkers, at their default settings, on anything that is a ``GradientCase``.

Each is a function that gets a case and a generator, and returns whether it calls the gradient wrong. The recipes
are stated anew here from their sources; torch's, JAX's and autograd's are called, where they are installed.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
from collections.abc import Callable

import numpy as np

from scripts.proof.gradient_cases import Array, GradientCase, differences

Checker = Callable[[GradientCase, np.random.Generator], bool]
HAS_TORCH = importlib.util.find_spec("torch") is not None
HAS_JAX = importlib.util.find_spec("jax") is not None
HAS_AUTOGRAD = importlib.util.find_spec("autograd") is not None


def hips_autograd(case: GradientCase, rng: np.random.Generator) -> bool:
    """``check_vjp`` of HIPS autograd's test_util.py: one random direction for all arguments together.

    For random v and u, <u, (f(x + v eps/2) - f(x - v eps/2)) / eps> against <v, vjp(u)>, with eps = 1e-6; they agree if
    |a - b| < 1e-6 or |a - b| / |a + b| < 1e-6. A gradient of another shape is wrong.
    """
    eps, tolerance = 1e-6, 1e-6
    home = {name: array.copy() for name, array in case.arrays.items()}
    direction = {name: rng.standard_normal(array.shape) for name, array in home.items()}
    grad_output = rng.standard_normal(case.forward().shape)
    claimed = case.backward(grad_output)
    if any(claimed[name].shape != array.shape for name, array in home.items()):
        return True
    exact = sum(float(np.sum(direction[name] * gradient)) for name, gradient in claimed.items())

    def at(t: float) -> Array:
        for name, array in case.arrays.items():
            array[...] = home[name] + t * direction[name]
        return case.forward()

    numeric = float(np.sum(grad_output * ((at(eps / 2) - at(-eps / 2)) / eps)))
    at(0.0)
    difference = abs(numeric - exact)
    return not (difference < tolerance or difference < tolerance * abs(numeric + exact))


def cs231n(threshold: float) -> Checker:
    """The recipe of Stanford's CS231n: central differences with h = 1e-5, entry by entry, for one random grad_output.

    The relative error is max |a - b| / max(1e-8, |a| + |b|), as in its assignments' ``rel_error``. Its notes call 1e-4
    "usually okay for objectives with kinks" and 1e-7 what smooth ones should reach: the two thresholds to choose from.
    """
    h = 1e-5

    def check(case: GradientCase, rng: np.random.Generator) -> bool:
        grad_output = rng.standard_normal(case.forward().shape)
        for name, claimed in case.backward(grad_output).items():
            numeric = differences(case, name, lambda at: np.sum((at(h) - at(-h)) * grad_output) / (2.0 * h))
            if claimed.shape != numeric.shape:
                return True
            error = np.abs(claimed - numeric) / np.maximum(1e-8, np.abs(claimed) + np.abs(numeric))
            if not error.max() <= threshold:
                return True
        return False

    return check


RIVALS: dict[str, Checker] = {
    "HIPS autograd's recipe": hips_autograd,
    "CS231n's recipe, 1e-4": cs231n(1e-4),
    "CS231n's recipe, 1e-7": cs231n(1e-7),
}
if HAS_AUTOGRAD:
    from scripts.proof.hips_rival import hips_check_grads

    RIVALS = {"autograd.test_util.check_grads": hips_check_grads} | RIVALS
if HAS_JAX:
    from scripts.proof.jax_rival import jax_check_vjp

    RIVALS = {"jax.test_util.check_vjp": jax_check_vjp} | RIVALS
if HAS_TORCH:
    from scripts.proof.torch_rival import torch_gradcheck

    RIVALS = {"torch.autograd.gradcheck": torch_gradcheck} | RIVALS


def lines_of_set_up(checker: str) -> int:
    """How many lines were written so that it could be called: code, in its file and in that of ``GradientCase``."""
    modules = [inspect.getmodule(thing) for thing in (RIVALS[checker], GradientCase)]
    return sum(_lines(inspect.getsource(module)) for module in modules if module is not None)


def _lines(source: str) -> int:
    """The lines of code in a file, without docstrings, comments and blank ones."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return len(ast.unparse(tree).splitlines())
