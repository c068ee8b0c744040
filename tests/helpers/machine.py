"""A machine that draws how it computes: the order of every sum, what is fused, how good its library is.

A formula written for :class:`~torch_ref.rounding.Rounded` runs on it as it stands. :class:`Machine` computes in the
dtype, as some processor might: sums permuted, one by one, in blocks or as a tree, the bias anywhere among the terms,
products rounded or fused into sums, library functions up to 4 units in the last place off, subnormal numbers kept or
flushed to 0, and of two formulas either. :class:`Worst` is no processor but the model of them all, fl(a op b) =
(a op b)(1 + d): each d is u or -u, and sums are taken in the order in which their partial sums grow largest.
"""

import math

import numpy as np

# Of a library function that is rounded rightly and then moved by so many units: 3.5 in all.
LIBRARY_STEPS = 3

# A formula of numpy_nn's own may be 8 units off: what tests/activations/test_accuracy.py allows the activations, and no
# more.
OURS_STEPS = 8


class Arithmetic:
    """The choices of one machine, drawn from ``rng``."""

    def __init__(self, rng, dtype):
        self.rng, self.dtype = rng, np.dtype(dtype)
        info = np.finfo(dtype)
        self.u, self.tiny = float(info.eps) / 2, float(info.tiny)
        self.fuses, self.flushes = rng.random() < 0.5, rng.random() < 0.3
        self.order = rng.choice(["one by one", "blocks", "tree"])

    def coin(self):
        return self.rng.random() < 0.5


class Machine:
    """An array of such a machine, with the operations of ``Rounded``."""

    __array_ufunc__ = None

    def __init__(self, value, how, factors=None):
        self.value, self.how, self.dtype = np.asarray(value), how, how.dtype
        self.factors = factors  # of a product, which a sum may take unrounded

    def _new(self, value, factors=None):
        """A result: rounded to the dtype, where it is not in it, and flushed."""
        value = np.asarray(value, self.dtype)
        return type(self)(self._flush(value), self.how, factors)

    def _flush(self, value):
        return np.where(np.abs(value) < self.how.tiny, 0, value) if self.how.flushes else value

    @property
    def read(self):
        """The numbers as an operation reads them, in float64 where that makes an operation exact before it rounds."""
        return self._flush(self.value).astype(np.float64)

    @property
    def shape(self):
        return self.value.shape

    def lift(self, other):
        return other if isinstance(other, Machine) else type(self)(np.asarray(other).astype(self.dtype), self.how)

    def __neg__(self):
        return type(self)(-self.value, self.how, self.factors and (-self.factors[0], self.factors[1]))

    def __add__(self, other):
        b = self.lift(other)
        for product, term in ((self, b), (b, self)):
            if product.factors and self.how.fuses and self.how.coin():
                return self._new(fused(product.factors, term.read, self.dtype))
        return self._new(self.read + b.read)

    def __sub__(self, other):
        return self + -self.lift(other)

    def __mul__(self, other):
        a, b = self.read, self.lift(other).read
        return self._new(a * b, np.broadcast_arrays(a, b))

    def __truediv__(self, other):
        return self._new(self.read / self.lift(other).read)

    def __radd__(self, other):
        return self + other

    def __rsub__(self, other):
        return self.lift(other) - self

    def __rmul__(self, other):
        return self * other

    def __rtruediv__(self, other):
        return self.lift(other) / self

    def __matmul__(self, other):
        return self.linear(other)

    def linear(self, weight, bias=None):
        w = self.lift(weight)
        terms = [self[:, [k]] * w[[k]] for k in range(w.shape[0])]
        return self._total(terms if bias is None else [*terms, self.lift(bias)])

    def __getitem__(self, key):
        return type(self)(self.value[key], self.how)

    def _total(self, terms):
        """The sum of some arrays in an order that is drawn."""
        rng = self.how.rng
        terms = [terms[i] for i in rng.permutation(len(terms))]
        if self.how.order == "tree":
            while len(terms) > 1:
                a, b = (terms.pop(rng.integers(len(terms))) for _ in range(2))
                terms.append(a + b)
            return terms[0]
        size = len(terms) if self.how.order == "one by one" else int(rng.integers(1, len(terms) + 1))
        return one_by_one([one_by_one(terms[i : i + size]) for i in range(0, len(terms), size)])

    def sum(self, axis=None, keepdims=False):
        flat = self.reshape(-1) if axis is None else self
        total = self._total([flat[(slice(None),) * (axis or 0) + (k,)] for k in range(flat.shape[axis or 0])])
        return type(self)(np.expand_dims(total.value, axis), self.how) if keepdims else total

    def mean(self, axis=None, keepdims=False):
        total = self.sum(axis, keepdims)
        if self.how.coin():
            return total / (self.value.size / total.value.size)
        return total * (total.value.size / self.value.size)

    def max(self, axis):
        return self._new(self.read.max(axis=axis, keepdims=True))

    def pick(self, columns):
        return self._new(self.read[np.arange(len(columns)), columns])

    def _library(self, function):
        exact = np.frompyfunc(function, 1, 1)(self.read).astype(np.float64)
        return self._off(self._new(exact), LIBRARY_STEPS)

    def _off(self, right, steps):
        """Up to so many units beside the right result; an exact 0, and what is below the normal numbers, stays."""
        moved = right.value + self.how.rng.integers(-steps, steps, right.shape, endpoint=True) * np.spacing(right.value)
        normal = np.isfinite(right.value) & (np.abs(right.value) >= self.how.tiny * 2)
        return right._new(np.where(normal, moved, right.value))

    def exp(self):
        return self._library(lambda v: math.inf if v > 709.7 else math.exp(v))

    def log(self):
        return self._library(lambda v: math.log(v) if v > 0 else -math.inf)

    def log1p(self):
        return self._library(lambda v: math.log1p(v) if v > -1 else -math.inf)

    def tanh(self):
        return self._library(math.tanh)

    def erf(self):
        return self._library(math.erf)

    def sqrt(self):
        return self._new(np.sqrt(np.maximum(self.read, 0.0)))

    def maximum(self, bound):
        return self._new(np.maximum(self.read, self.lift(bound).read))

    def minimum(self, bound):
        return -(-self).maximum(-bound)

    def step(self, at=0.0):
        return self._new(self.read > self.lift(at).read)

    def select(self, above, below):
        return type(self)(np.where(self.read > 0, above.value, below.value), self.how)

    def either(self, other):
        return self if self.how.coin() else other

    def or_off_by(self, room):
        sign = self.how.rng.choice([-1.0, 1.0], self.shape)
        return self._new((1.0 - 2.0**-20) * sign * room + self.value) if self.how.coin() else self

    def or_within(self, roundings):
        return self._off(self, min(int(roundings) // 2, OURS_STEPS)) if self.how.coin() else self

    @property
    def T(self):
        return type(self)(self.value.T, self.how)

    def reshape(self, *shape):
        return type(self)(self.value.reshape(shape), self.how)


def one_by_one(terms):
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def fused(factors, c, dtype):
    """a b + c with one rounding, in float64 up to one in 2^50 more (two-product and two-sum, Dekker and Knuth)."""
    a, b = factors
    product = a * b
    if dtype == np.float32:
        return product + c
    split = 2.0**27 + 1
    (a_head, b_head) = (split * v - (split * v - v) for v in (a, b))
    a_tail, b_tail = a - a_head, b - b_head
    lost = a_tail * b_tail - (((product - a_head * b_head) - a_tail * b_head) - a_head * b_tail)
    total = product + c
    back = total - product
    lost = lost + (product - (total - back)) + (c - back)
    return np.where(np.isfinite(lost), total + lost, total)


class Worst(Machine):
    """As far off as the model lets a machine be; its numbers are float64, whatever dtype they stand for."""

    def _new(self, value, _factors=None):
        value = np.asarray(value, np.float64)
        return Worst(value * (1.0 + self._sign() * self.how.u), self.how)

    def _sign(self):
        return 1.0 if self.how.coin() else -1.0

    @property
    def read(self):
        return self.value.astype(np.float64)

    def lift(self, other):
        return other if isinstance(other, Machine) else Worst(np.asarray(other).astype(self.dtype), self.how)

    def _total(self, terms):
        """In each entry first the terms of one sign, then the others, each sum off in the same direction."""
        stacked = np.sort(np.stack(np.broadcast_arrays(*(term.read for term in terms))), axis=0)
        if self.how.coin():
            stacked = stacked[::-1]
        total, push = stacked[0], self._sign() * self.how.u
        for term in stacked[1:]:
            total = total + term
            total = total + push * np.abs(total)
        return Worst(total, self.how)

    def max(self, axis):
        return Worst(self.value.max(axis=axis, keepdims=True), self.how)

    def pick(self, columns):
        return Worst(self.value[np.arange(len(columns)), columns], self.how)

    def maximum(self, bound):
        return Worst(np.maximum(self.value, self.lift(bound).value), self.how)

    def step(self, at=0.0):
        return Worst((self.value > self.lift(at).value).astype(np.float64), self.how)

    def _library(self, function):
        exact = np.frompyfunc(function, 1, 1)(self.read).astype(np.float64)
        return self._off(Worst(exact, self.how), 4)

    def _off(self, right, steps):
        return Worst(right.value * (1.0 + self._sign() * 2 * steps * self.how.u), self.how)
