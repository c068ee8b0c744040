"""What gelu's approximation by tanh keeps beside its argument, in exact fractions."""

from fractions import Fraction

import numpy as np

from numpy_nn._support.workspace import Workspace
from numpy_nn.activations.gelu import (
    TANH_CUBIC_HEAD,
    TANH_CUBIC_TAIL,
    TANH_LINEAR_HEAD,
    TANH_LINEAR_TAIL,
    _tanh_argument,
    _tanh_tail,
)

LINEAR = Fraction(TANH_LINEAR_HEAD) + Fraction(TANH_LINEAR_TAIL)
CUBIC = Fraction(TANH_CUBIC_HEAD) + Fraction(TANH_CUBIC_TAIL)


def test_the_tail_is_what_the_argument_lacks_but_for_the_rounding_of_what_a_512th_of_it_is():
    x = np.concatenate([np.linspace(-8.0, 8.0, 97), [1e-3, 1 / 512, 3 / 512, -39.9, 12.3]])
    work = Workspace()
    w, _ = _tanh_argument(x, work)
    tail = _tanh_tail(x, w.copy(), work)
    for one, argument, found in zip(x.tolist(), w.tolist(), tail.tolist(), strict=True):
        lacking = LINEAR * Fraction(one) + CUBIC * Fraction(one) ** 3 - Fraction(argument)
        # What is left of x is 1/512 at most; times it stands the slope of w, added up of a dozen numbers.
        rest = (1.6 + 3.0 * 0.0714 * (one**2 + 1 / 512)) / 512
        small = abs(float(lacking))
        assert abs(float(lacking - Fraction(found))) <= 16 * 2.0**-53 * (rest + small), one
