"""Gradient checking: whether a backward pass is right, and if not, what is wrong with it.

    from numpy_nn.gradcheck import check_gradients
    print(check_gradients(my_layer, x))

On the command line: ``python -m numpy_nn.gradcheck my_layers.py:MyLinear --init 4 3 --input 5x4``.
"""

from numpy_nn.gradcheck.checker import check_gradients
from numpy_nn.gradcheck.measure.derivatives import Estimate, complex_step, derivative, jacobian, one_sided
from numpy_nn.gradcheck.report import Diagnosis, Entry, GradientError, GradientReport

__all__ = [
    "Diagnosis",
    "Entry",
    "Estimate",
    "GradientError",
    "GradientReport",
    "check_gradients",
    "complex_step",
    "derivative",
    "jacobian",
    "one_sided",
]
