"""Rounded: what a machine computes with the same formula lies within the bound, and the bound is no larger than due.

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
    """Floats of either sign from the whole range of the dtype or a part of it, zeros and subnormal ones among them."""
    if draw(st.booleans()):
        return draw(
            hnp.arrays(dtype, shape, elements=hnp.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False))
        )
    info = np.finfo(dtype)
    rng, reach = np.random.default_rng(draw(our.seeds)), draw(st.sampled_from([0, 4, 20, info.maxexp]))
    exponents = rng.integers(max(-reach, info.minexp), reach, shape, endpoint=True) - 1
    return np.ldexp(rng.uniform(1, 2, shape) * rng.choice([-1, 1], shape), exponents).astype(dtype)


class Number:
    """One array three times: the bound, what the machine computes, and the truth; ``known`` where all of it is finite.

    Where the machine overflows, which no bound is about, the entry is given up.
    """

    def __init__(self, rounded, machine, truth, known=True):
        assert np.shape(machine) == rounded.value.shape
        assert machine.dtype == rounded.dtype
        self.rounded, self.machine = rounded, machine
        self.known = known & np.isfinite(machine)
        self.truth = np.where(self.known, truth, mpmath.mpf(0))

    @classmethod
    def exact(cls, array):
        return cls(as_rounded(array), array, exactly(array))

    def distance(self):
        """Between machine and truth, where both are known; at least one-dimensional."""
        return np.abs(np.atleast_1d(exactly(self.machine) - self.truth)[np.atleast_1d(self.known)])

    def check(self):
        error = np.atleast_1d(self.rounded.error)[np.atleast_1d(self.known)]
        assert not np.isnan(error).any()
        assert (error >= 0).all()
        assert (self.distance() <= exactly(error)).all(), f"{self.distance()} is not within {error}"


def apply(operation, *numbers, machine=None):
    """The formula with the bounds, on the machine (which may have another order, ``machine``) and with the truth."""
    with np.errstate(all="ignore"), mpmath.workprec(PRECISION):
        rounded = operation(*(a.rounded for a in numbers))
        computed = (machine or operation)(*(a.machine for a in numbers))
        truth = operation(*(a.truth for a in numbers))
        entrywise = all(np.shape(a.machine) == np.shape(computed) for a in numbers)
        known = np.logical_and.reduce([a.known if entrywise else a.known.all() for a in numbers])
        result = Number(rounded, computed, truth, known)
        result.check()
    return result


def call(name, x):
    """A library function of a Rounded, of an array of floats, of an array of mpmath's numbers."""
    if isinstance(x, Rounded):
        return getattr(x, name)()
    return np.frompyfunc(getattr(mpmath, name), 1, 1)(x) if x.dtype == object else getattr(np, name)(x)


def linear(x, weight, bias):
    return x.linear(weight, bias) if isinstance(x, Rounded) else x @ weight + bias


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


@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data(), dtype=our.dtypes)
def test_each_operation_keeps_the_machine_within_its_bound(operation, data, dtype):
    apply(OPERATIONS[operation], *(Number.exact(data.draw(numbers(dtype))) for _ in range(2)))


@pytest.mark.parametrize("dtype", our.DTYPES)
@given(data=st.data())
def test_compositions_keep_the_machine_within_their_bound(dtype, data):
    made = [Number.exact(data.draw(numbers(dtype))) for _ in range(3)]
    for name in data.draw(st.lists(st.sampled_from(list(OPERATIONS)), min_size=2, max_size=8)):
        operands = [made[data.draw(st.integers(0, len(made) - 1))] for _ in range(2)]
        made.append(apply(OPERATIONS[name], *operands))


@given(data=st.data(), dtype=our.dtypes, operation=st.sampled_from(list(OPERATIONS)))
def test_operands_as_far_off_as_their_bound_allows_keep_the_result_within_its_own(data, dtype, operation):
    operands = []
    for _ in range(2):
        value, machine = (data.draw(our.float_arrays(N, dtype, laid_out=False)) for _ in range(2))
        distance = np.abs(value.astype(np.float64) - machine)
        off = Rounded(value, np.nextafter(distance, np.inf), dtype=dtype)
        operands.append(Number(off, machine, exactly(value)))
    apply(OPERATIONS[operation], *operands)


@given(reach=st.floats(1.0, 350.0), seed=our.seeds)
def test_a_steep_function_of_an_inexact_operand_keeps_its_bound_in_float64(reach, seed):
    # exp magnifies the two roundings before it up to 700 times, far beyond its own.
    rng = np.random.default_rng(seed)
    arrays = rng.uniform(0.7, 1, 200) * reach, rng.uniform(1, 1.4, 200), rng.uniform(1, 1.4, 200)
    apply(lambda a, b, c: call("exp", a * b * c), *map(Number.exact, arrays))


@given(data=st.data(), dtype=our.dtypes, constant=st.floats(-2.0, 2.0, allow_subnormal=False))
@pytest.mark.parametrize(
    "operation",
    [
        lambda x, c: x + c,
        lambda x, c: c - x,
        lambda x, c: x * c,
        lambda x, c: at_least(x, c),
        lambda x, c: at_most(x, c),
        lambda x, c: x.step(c) if isinstance(x, Rounded) else (x > c).astype(x.dtype),
    ],
    ids=["x + c", "c - x", "x c", "max(x, c)", "min(x, c)", "x > c"],
)
def test_a_python_number_is_rounded_once_wherever_it_stands(operation, data, dtype, constant):
    x = data.draw(numbers(dtype))
    x[0] = constant  # rounded: the entry for which max, min and > depend on it
    apply(lambda x: operation(x, constant), Number.exact(x))


@given(data=st.data(), dtype=our.dtypes, inner=st.integers(1, 12))
def test_a_product_of_matrices_is_within_its_bound_in_any_order_of_summation(data, dtype, inner):
    a, b = (Number.exact(data.draw(numbers(dtype, shape))) for shape in ((3, inner), (inner, 2)))
    a = apply(lambda a: a * 0.1, a)  # with an error to begin with
    order = np.random.default_rng(data.draw(our.seeds)).permutation(inner)
    cut = data.draw(st.integers(0, inner))

    orders = (
        lambda a, b: a @ b,
        lambda a, b: a[:, order] @ b[order],
        lambda a, b: a[:, :cut] @ b[:cut] + a[:, cut:] @ b[cut:],
        lambda a, b: np.cumsum(a[:, :, None] * b, axis=1)[:, -1],  # one by one
    )
    for machine in orders:
        apply(lambda a, b: a @ b, a, b, machine=machine)


@given(data=st.data(), dtype=our.dtypes, inner=st.integers(1, 12))
def test_a_product_with_a_bias_is_within_its_bound_wherever_the_bias_stands(data, dtype, inner):
    a, b, bias = (Number.exact(data.draw(numbers(dtype, shape))) for shape in ((3, inner), (inner, 2), (2,)))

    def bias_first(a, b, bias):
        return np.cumsum([bias + 0 * a[:, :1], *np.moveaxis(a[:, :, None] * b, 1, 0)], axis=0)[-1]

    for machine in (lambda a, b, bias: a @ b + bias, bias_first):
        apply(linear, a, b, bias, machine=machine)


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_each_addition_to_a_large_bias_rounds_at_its_size(dtype):
    u, n = np.finfo(dtype).eps / 2, 100
    x, w, bias = (Number.exact(np.full(shape, v, dtype)) for shape, v in (((1, n), u), ((n, 1), 1.0), ((1,), 1.0)))
    # Added one by one to the bias, 1, none of a hundred u makes a difference; added to each other first they do.
    lost = apply(linear, x, w, bias, machine=lambda x, _, bias: np.cumsum([*bias, *x[0]], dtype=dtype)[-1:, None])
    assert lost.distance() == n * u
    assert lost.rounded.error <= 1.02 * (n + 1) * u


@given(data=st.data(), dtype=our.dtypes, axis=st.sampled_from([0, 1, None]))
def test_sum_and_mean_are_within_their_bounds_in_any_order_of_summation(data, dtype, axis):
    shape = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    a = apply(lambda a: a * 0.1, Number.exact(data.draw(numbers(dtype, shape))))  # with an error to begin with
    rng = np.random.default_rng(data.draw(our.seeds))
    terms = shape[axis] if axis is not None else shape[0] * shape[1]
    orders = (
        lambda x: x.sum(axis=axis),
        lambda x: rng.permuted(x, axis=axis).sum(axis=axis),
        lambda x: np.cumsum(x, axis=axis).take(-1, axis=axis),  # one by one
    )
    for machine in orders:
        apply(lambda x: x.sum(axis=axis), a, machine=machine)
        apply(lambda x: x.mean(axis=axis), a, machine=lambda x, add=machine: add(x) / terms)


@given(data=st.data(), dtype=our.dtypes)
def test_arrays_are_exact_and_so_is_all_that_only_moves_them(data, dtype):
    x = data.draw(numbers(dtype, (3, 4)))
    r = as_rounded(x)
    assert as_rounded(r) is r
    for moved, expected in ((r, x), (-r, -x), (r.T, x.T), (r.reshape(2, 6), x.reshape(2, 6))):
        np.testing.assert_array_equal(moved.value, expected)
        np.testing.assert_array_equal(moved.error, 0)
        assert moved.dtype == dtype


@given(data=st.data(), dtype=our.dtypes)
def test_picking_is_exact_but_for_subnormal_numbers_which_a_machine_may_take_for_0(data, dtype):
    x = data.draw(numbers(dtype, (3, 4)))
    r, tiny = as_rounded(x), float(np.finfo(dtype).tiny)
    columns = np.array([2, 0, 3])
    for picked, expected in (
        (r.maximum(0.0), np.maximum(x, 0)),
        (r.minimum(0.0), np.minimum(x, 0)),
        (r.max(axis=1), x.max(axis=1, keepdims=True)),
        (r.pick(columns), x[range(3), columns]),
    ):
        np.testing.assert_array_equal(picked.value, expected)
        assert (picked.error <= tiny).all()
        assert picked.dtype == dtype
    lost = np.where(np.abs(x) < tiny, np.abs(x.astype(np.float64)), 0.0)
    np.testing.assert_array_equal(r.maximum(0.0).error, lost)
    np.testing.assert_array_equal(r.pick(columns).error, lost[range(3), columns])


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_a_subnormal_number_may_be_0_wherever_it_is_read(dtype):
    tiny, big = np.finfo(dtype).tiny, dtype(1e30)
    x = as_rounded(np.array([tiny / 4, tiny, 0.0], dtype))
    # Flushed, tiny / 4 is 0, and so are its products and sums; a normal number and 0 stay what they are.
    for result, factor in ((x * big, 1e30), (x / (1 / big), 1e30), (x + dtype(0.0), 1.0), (x.sum(), 1.0)):
        assert np.ravel(result.error)[0] >= factor * float(tiny) / 4
    assert ((x * big).error[1:] < 1e30 * tiny * 1e-6).all()
    weight = as_rounded(np.array([[big], [0.0], [0.0]], dtype))
    assert x.reshape(1, 3).linear(weight).error >= float(big) * float(tiny) / 4
    np.testing.assert_array_equal(x.step().error, [1, 0, 0])
    assert x.sqrt().error[0] >= np.sqrt(float(tiny) / 4)


@given(data=st.data(), dtype=our.dtypes)
def test_of_two_formulas_either_is_within_the_bound_of_both(data, dtype):
    eighths = hnp.arrays(np.float64, (2, N), elements=st.integers(0, 80).map(lambda i: i / 8))  # sums are exact
    values, errors = (data.draw(eighths) for _ in range(2))
    one, other = (Rounded(v, e, dtype=dtype) for v, e in zip(values, errors, strict=True))
    both = one.either(other)
    np.testing.assert_array_equal(both.value, one.value)
    for formula in (one, other):
        assert (both.value - both.error <= formula.value - formula.error).all()
        assert (both.value + both.error >= formula.value + formula.error).all()
    np.testing.assert_array_equal(both.error, np.maximum(errors[0], errors[1] + np.abs(values[0] - values[1])))


@given(data=st.data(), dtype=our.dtypes)
def test_or_within_leaves_room_for_roundings_of_the_value(data, dtype):
    x = Rounded(data.draw(numbers(dtype)), 0.25, dtype=dtype)
    room = x.or_within(16.0)
    np.testing.assert_array_equal(room.value, x.value)
    np.testing.assert_array_equal(room.error, 0.25 + 16.0 * x.u * np.abs(x.value))


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_the_bound_of_one_operation_is_u_times_the_result_and_the_smallest_normal_number(dtype):
    x, y = np.random.default_rng(0).standard_normal((2, 100)).astype(dtype)
    a, b, u, tiny = as_rounded(x), as_rounded(y), np.finfo(dtype).eps / 2, float(np.finfo(dtype).tiny)
    constant = abs(float(dtype(0.1)) - 0.1) / 0.1  # what a number that the dtype lacks adds, and 0.5 does not
    for r, roundings in (
        *((a + b, u), (a - b, u), (a * b, u), (a / b, u), (a * 0.5, u), (a * 0.1, u + constant)),
        *((call(name, a), LIBRARY * u) for name in ("exp", "tanh")),
    ):
        np.testing.assert_allclose(r.error, roundings * np.abs(r.value) + tiny, rtol=1e-6)  # but for the second order


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_the_bounds_are_reached(dtype):
    p = 24 if dtype is np.float32 else 53
    u = 2.0**-p
    one, x, y = (Number.exact(np.array(v, dtype)) for v in (1.0, 1 + 2.0 ** -(p // 2), 1 + 2.0 ** -(p - p // 2)))
    # Ties to even: 1 + u and x y = 1 + (x - 1) + (y - 1) + u both lose their last term.
    for n in (apply(lambda a: a + np.array(u, dtype), one), apply(lambda a, b: a * b, x, y)):
        assert n.distance() == u
        assert n.rounded.error <= 1.001 * u
    # Added one by one to 1, none of a hundred u makes a difference.
    terms = Number.exact(np.array([1.0] + [u] * 100, dtype))
    total = apply(lambda x: x.sum(axis=None), terms, machine=lambda x: x.cumsum()[-1])
    assert total.distance() == 100 * u
    assert total.rounded.error <= 101.1 * u


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_what_underflows_loses_digits_and_the_bound_knows(dtype):
    tiny = float(np.finfo(dtype).tiny)
    x = Number.exact((np.random.default_rng(0).uniform(0.1, 0.2, (3, 3)) * np.sqrt(tiny)).astype(dtype))
    for operation in (lambda x: x * x, lambda x: x @ x, lambda x: x * x / 3.0, lambda x: (x * x).mean(axis=0)):
        apply(operation, x)


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_a_subnormal_constant_loses_digits_and_the_bound_knows(dtype):
    x = np.array([1.0, np.finfo(dtype).max / 4], dtype)
    apply(lambda x: x * (float(np.finfo(dtype).smallest_subnormal) * 1.3), Number.exact(x))
