"""Products of which one factor is held, or turned round; and what is made of a gradient before it is returned."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.derivatives import Array, scale_of
from numpy_nn.gradcheck.measure.differences import Differences
from numpy_nn.gradcheck.measure.evidence import Evidence

# A second derivative is taken with such a step, and is good to such a share.
STEP, FIT_OF_SECOND = 2.0**-12, 1e-4

# A change along a direction is taken with such a step.
STEP_ALONG = 2.0**-13

# So many numbers that differ by one constant do so by no chance.
FEWEST = 3


def products(e: Evidence) -> Iterator[Prediction]:
    """Of y = x h(x) either factor held; of a product of matrices one that should be transposed; J g for J^T g."""
    assert e.gradient is not None
    x, y, n = e.array, e.output, e.truth
    if e.is_input and x.shape == y.shape and np.all(x != 0.0):
        held = e.grad_output * y / x
        yield Prediction("factor_constant", "that of x h with h = f(x) / x held fixed", held)
        yield Prediction("factor_constant", "that of x h with the x before h = f(x) / x held fixed", n - held)
    turned = list(_turned(e)) if n.ndim > 1 and e.looked_at.all() else []
    yield from turned
    is_turned = any(e.common_ratio(e.gradient, guess.values) is not None for guess in turned)
    if x.shape == y.shape and x.size >= FEWEST and not is_turned:
        along = _along(e)
        if along is not None:
            words = "what the function makes of a change of its argument by grad_output"
            yield Prediction("not_transposed", words, along)


def _turned(e: Evidence) -> Iterator[Prediction]:
    """A product of matrices, of which one should be transposed."""
    n = e.truth
    others = [(name, array) for name, array in e.subject.arrays.items() if name != e.name]
    for name, other in (("grad_output", e.grad_output), *others):
        # n = S^T b, as of the keys that scores are made of: S is found if b has more columns than rows.
        if other.shape[:-1] == n.shape[:-1] and other.shape[-1] == n.shape[-1] and n.shape[-2] > 1:
            left = n @ np.linalg.pinv(other)
            if e.recognises(left @ other, n):
                text = f"the numerical one with what multiplies {name} transposed"
                yield Prediction("transposed", text, np.swapaxes(left, -1, -2) @ other)
        if other.ndim == 2 and other.shape[0] == other.shape[1] > 1 and np.linalg.cond(other) < 1e6:
            if n.shape[-1] == len(other):
                yield Prediction("transposed", f"that with {name} for {name}^T", n @ np.linalg.inv(other.T) @ other)
            if n.shape[-2] == len(other):
                yield Prediction("transposed", f"that with {name} for {name}^T", other @ np.linalg.inv(other.T) @ n)


def _along(e: Evidence) -> Array | None:
    """The change of the output along grad_output, the Jacobian times it; None where the output moves in steps."""
    largest = float(np.abs(e.grad_output).max(initial=0.0))
    if e.differences.elementwise or e.differences.seen_coarseness or largest == 0.0:
        return None
    step, sides = STEP_ALONG * float(np.max(scale_of(e.array))) / largest, []
    home = e.array.copy()
    for times in (1.0, -1.0, 0.5, -0.5):
        with e.subject.at({e.name: home + times * step * e.grad_output}):
            sides.append(e.subject.output())
    whole, half = (sides[0] - sides[1]) / (2.0 * step), (sides[2] - sides[3]) / step
    return np.asarray(half + (half - whole) / 3.0)


def afterwards(e: Evidence) -> Iterator[Found]:
    """What an optimizer makes of a gradient, returned in its place; and a number that is added to it."""
    assert e.gradient is not None
    look = e.looked_at
    a, n = e.gradient[look], e.truth[look]
    if a.size < FEWEST or np.abs(n).max() <= e.fit * np.abs(a).max():
        return
    off = a - n
    wrong = np.abs(off) > e.fit * max(float(np.abs(n).max()), float(np.abs(a).max()))
    if wrong.sum() >= FEWEST and np.ptp(off[wrong]) <= e.fit * np.abs(off[wrong]).max() and np.ptp(a) > 0.0:
        number = float(np.median(off[wrong]))
        if np.ptp(n[wrong]) > e.fit * np.abs(n).max():
            where = "all" if wrong.all() else f"{int(wrong.sum())} of the"
            text = f"claimed - numerical = {number:.7g} at {where} {a.size} coordinates looked at"
            # Of an array that is one number a multiple of it is constant as well.
            yield Found("constant_added", text, sure=e.is_input or bool(np.ptp(e.array) > 0.0))
            return
    turned = None if _is_difference(e) else _by_second_derivatives(e)
    if turned is not None and np.abs(turned[look] - n).max() <= FIT_OF_SECOND * np.abs(n).max():
        yield Found("newton", e.everywhere("what second derivatives turn into the numerical one"))


def _is_difference(e: Evidence) -> bool:
    """Whether a multiple of output - targets is claimed, which leads to the least of any squares of that as well."""
    targets = getattr(e.subject, "targets", None)
    if not isinstance(targets, np.ndarray) or targets.shape != e.array.shape or targets.dtype.kind not in "fiub":
        return False
    assert e.gradient is not None
    claimed, off = e.gradient[e.looked_at], (e.array - targets)[e.looked_at]
    factor = float(claimed @ off) / float(off @ off) if np.any(off) else 0.0
    return bool(np.abs(claimed - factor * off).max() <= e.fit * np.abs(claimed).max())


def _by_second_derivatives(e: Evidence) -> Array | None:
    """The matrix of second derivatives times the claimed gradient: how the slopes change along it."""
    assert e.gradient is not None
    largest = float(np.abs(e.gradient).max(initial=0.0))
    if not np.isfinite(largest) or largest == 0.0 or e.differences.seen_coarseness:
        return None
    home, sides = e.array.copy(), []
    step = STEP * float(np.max(scale_of(home))) / largest
    for sign in (1.0, -1.0):
        with e.subject.at({e.name: home + sign * step * e.gradient}):
            differences = Differences(e.subject, e.name, e.rng)
            if differences.center.shape != e.output.shape:
                return None
            sides.append(differences.few(e.grad_output, e.looked_at).value)
    return np.asarray((sides[0] - sides[1]) / (2.0 * step))
