"""Rounded: whatever a machine computes with the same formula lies within the bound, and the bound is no larger than due.

The machine is NumPy in the bound's dtype; the truth is mpmath with 300 bits, whose own errors are 2^-240 of the bound.
"""

import mpmath
import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from torch_ref.rounding import LIBRARY, Rounded, as_rounded

PRECISION = 300
# Numbers of one array.
N = 5

exactly = np.frompyfunc(lambda v: mpmath.mpf(float(v)), 1, 1)


@st.composite
def numbers(draw, dtype, shape=N):
    """Positive and negative floats, zeros and subnormal ones among them, from the whole range of the dtype or a part."""
    if draw(st.booleans()):
        return draw(hnp.arrays(dtype, shape, elements=hnp.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)))
    info = np.finfo(dtype)
    rng, reach = np.random.default_rng(draw(our.seeds)), draw(st.sampled_from([0, 4, 20, info.maxexp]))
    exponents = rng.integers(max(-reach, info.minexp), reach, shape, endpoint=True) - 1
    return np.ldexp(rng.uniform(1, 2, shape) * rng.choice([-1, 1], shape), exponents).astype(dtype)


class Number:
    """One array three times: the bound, what the machine computes, and the truth; ``known`` where all of it is finite.

    An operation is a formula that means the same for all three. Where the machine overflows, which no bound is about,
    the entry is given up.
    """

    def __init__(self, rounded, machine, truth, known=True):
        self.rounded, self.machine = rounded, machine
        self.known = known & np.isfinite(machine)
        self.truth = np.where(self.known, truth, mpmath.mpf(0))

    @classmethod
    def exact(cls, array):
        return cls(as_rounded(array), array, exactly(array))

    def check(self):
        assert self.machine.dtype == self.rounded.dtype
        error = self.rounded.error[self.known]
        assert not np.isnan(error).any()
        assert (error >= 0).all()
        distance = np.abs(exactly(self.machine) - self.truth)[self.known]
        assert (distance <= exactly(error)).all(), (distance, error)


def apply(operation, *numbers):
    """The operation on the bound, on the machine and on the truth."""
    with np.errstate(all="ignore"), mpmath.workprec(PRECISION):
        results = [operation(*(getattr(a, kind) for a in numbers)) for kind in ("rounded", "machine", "truth")]
        result = Number(*results, np.logical_and.reduce([a.known for a in numbers]))
        result.check()
    return result


def call(name, x):
    """A library function of a Rounded, of an array of floats, of an array of mpmath's numbers."""
    if isinstance(x, Rounded):
        return getattr(x, name)()
    return np.frompyfunc(getattr(mpmath, name), 1, 1)(x) if x.dtype == object else getattr(np, name)(x)


def at_least(x, bound):
    return x.maximum(bound) if isinstance(x, Rounded) else np.maximum(x, bound)


def at_most(x, bound):
    return x.minimum(bound) if isinstance(x, Rounded) else np.minimum(x, bound)


def where_positive(x, above, below):
    return x.select(above, below) if isinstance(x, Rounded) else np.where(x > 0, above, below)


OPERATIONS = {
    "-a": lambda a, _: -a,
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    # At 0 a quotient and a logarithm have no bound; they come as near to it as the error of b allows.
    "a / max(b, 1/4)": lambda a, b: a / at_least(b, 0.25),
    "log max(b, 1/4)": lambda _, b: call("log", at_least(b, 0.25)),
    "sqrt max(a, 0)": lambda a, _: call("sqrt", at_least(a, 0.0)),
    "log1p max(a, -1/2)": lambda a, _: call("log1p", at_least(a, -0.5)),
    "exp a": lambda a, _: call("exp", a),
    "tanh a": lambda a, _: call("tanh", a),
    "min(a, 2)": lambda a, _: at_most(a, 2.0),
    "a > 0 ? b : -b / 2": lambda a, b: where_positive(a, b, b * -0.5),
    "0.1 a - 0.3": lambda a, _: a * 0.1 - 0.3,
    "0.1 - 0.3 / max(b, 1/4)": lambda _, b: 0.1 - 0.3 / at_least(b, 0.25),
}


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data())
def test_each_operation_keeps_the_machine_within_its_bound(operation, dtype, data):
    apply(OPERATIONS[operation], *(Number.exact(data.draw(numbers(dtype))) for _ in range(2)))


@pytest.mark.parametrize("dtype", our.DTYPES)
@given(data=st.data())
def test_compositions_keep_the_machine_within_their_bound(dtype, data):
    made = [Number.exact(data.draw(numbers(dtype))) for _ in range(3)]
    for name in data.draw(st.lists(st.sampled_from(list(OPERATIONS)), min_size=2, max_size=8)):
        operands = [made[data.draw(st.integers(0, len(made) - 1))] for _ in range(2)]
        made.append(apply(OPERATIONS[name], *operands))
