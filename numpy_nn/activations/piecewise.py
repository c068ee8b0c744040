"""ReLU6, Hardsigmoid and Hardswish, each beside its derivative; arguments and errors as in ``elementwise``.

At a kink the derivative is the outer one, as in PyTorch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from numpy_nn._support.workspace import FloatArray
from numpy_nn.activations.elementwise import Out, Work, hardtanh, hardtanh_derivative, prepare, step


def relu6(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """min(max(x, 0), 6), after Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10" (2010)."""
    return hardtanh(x, 0.0, 6.0, out=out, work=work)


def relu6_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """[0 < x < 6]."""
    return hardtanh_derivative(x, 0.0, 6.0, out=out, work=work)


def hardsigmoid(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """min(max(x + 3, 0), 6) / 6. Near -3 the sum is exact, so that the quotient keeps its digits there too."""
    x, out, _ = prepare(x, out, work)
    np.add(x, 3.0, out=out)
    np.clip(out, 0.0, 6.0, out=out)
    out /= 6.0
    return out


def hardsigmoid_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """[-3 < x < 3] / 6."""
    out = hardtanh_derivative(x, -3.0, 3.0, out=out, work=work)
    out /= 6.0
    return out


def hardswish(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """x hardsigmoid(x), after Howard et al., "Searching for MobileNetV3" (2019), section 5.2."""
    x, out, work = prepare(x, out, work)
    hardsigmoid(x, out=out)
    out *= np.maximum(x, np.finfo(x.dtype).min, out=work.like("hardswish.x", x))  # -inf would make the product -inf 0
    return out


def hardswish_derivative(x: ArrayLike, out: Out = None, work: Work = None) -> FloatArray:
    """0 for x <= -3, (2 x + 3) / 6 between, 1 for x >= 3. Near its zero at -3/2 the sum is exact.

    With c the x that is cut off at +-3, it is [x > -3] (2 c + 3) / 6 - (1 - [x < 3]) / 2.
    """
    x, out, work = prepare(x, out, work)
    end = work.like("hardswish.end", x)
    np.clip(x, -3.0, 3.0, out=out)
    out *= 2.0
    out += 3.0
    out /= 6.0
    out *= step(np.add(x, 3.0, out=end), end, work)
    step(np.subtract(3.0, x, out=end), end, work)
    end -= 1.0
    end *= 0.5
    out += end
    return out
