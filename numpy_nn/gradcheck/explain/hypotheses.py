"""All that may be wrong with a gradient, in the order in which it is asked: from the special to the general.

Each hypothesis is a prediction of the wrong numbers. Where two predictions coincide, the first is the better name.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.explain.calls import calls, of_others_returned, updates
from numpy_nn.gradcheck.explain.dense import dense
from numpy_nn.gradcheck.explain.elementwise import added, elementwise, skip, staircase
from numpy_nn.gradcheck.explain.factors import WHICH_IS, WHOLE, factor_causes, factors
from numpy_nn.gradcheck.explain.indices import indices, loops_over_indices
from numpy_nn.gradcheck.explain.lengths import lengths
from numpy_nn.gradcheck.explain.losses import losses
from numpy_nn.gradcheck.explain.matrices import exchanged_axes, matrices, other_arguments, sums
from numpy_nn.gradcheck.explain.networks import networks
from numpy_nn.gradcheck.explain.norms import normalisation
from numpy_nn.gradcheck.explain.other_loss import other_losses
from numpy_nn.gradcheck.explain.parts import clipped, partly_filled, without_an_output
from numpy_nn.gradcheck.explain.penalties import penalties, regularised, summed_beside
from numpy_nn.gradcheck.explain.predictions import Family, Found, Prediction, ask, at_another_batch
from numpy_nn.gradcheck.explain.products import afterwards, products
from numpy_nn.gradcheck.explain.sequences import sequences
from numpy_nn.gradcheck.explain.softmax import dropout, softmax
from numpy_nn.gradcheck.explain.windows import windows
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence

# These know the function; a general name for the same numbers would say less. What divides each row by its length is
# also a normalization with a gamma and a beta of the row's own.
SPECIAL: tuple[Family, ...] = (
    *(penalties, losses, dropout, lengths, normalisation, softmax, dense, windows, staircase, sequences),
)
GENERAL: tuple[Family, ...] = (
    *(
        factors,
        elementwise,
        matrices,
        sums,
        other_arguments,
        exchanged_axes,
        updates,
        calls,
        regularised,
        summed_beside,
        partly_filled,
        clipped,
        without_an_output,
        skip,
    ),
)
# These need many evaluations; and of a single sample, as networks looks at, a second mistake in the batch is not seen.
COSTLY: tuple[Family, ...] = (
    added,
    products,
    indices,
    loops_over_indices,
    afterwards,
    other_losses,
    of_others_returned,
)
LAST: tuple[Family, ...] = (networks,)

# So many numbers must keep one proportion to a prediction before a second mistake is named beside it.
FEWEST = 3


def hypotheses(e: Evidence) -> list[Found]:
    """Every cause whose prediction fits, the most special first."""
    assert e.gradient is not None
    if not np.any(e.gradient):
        return [_zero(e)] if e.is_zero_elsewhere() else _zero_here(e)
    predictions: list[tuple[Family, Prediction]] = []
    for families in (SPECIAL, GENERAL, COSTLY):
        asked = ask(e, families)
        if asked.found:
            return asked.found
        predictions += asked.predictions
    two = list(_two_mistakes(e, predictions))
    if two:
        fewest = min(found.cause.count("+") for found in two)
        return [found for found in two if found.cause.count("+") == fewest]
    if last := ask(e, LAST).found:
        return last
    if not e.narrow():
        return []
    found = [
        Found(cause, f"{text}; the others are right: what sets these apart?", sure)
        for cause, text, sure in ask(e, GENERAL).found
    ]
    e.narrow(undo=True)
    e.partial = bool(found)
    return found


def _zero(e: Evidence) -> Found:
    text = f"0 at all {e.array.size} coordinates; the numerical one is up to {np.nanmax(np.abs(e.truth)):.3g}"
    if e.is_input and e.output.shape == e.x.shape and e.differences.elementwise:
        slope = np.round(e.truth / e.grad_output, e.decimals)
        if len(np.unique(slope)) == 2 and np.any(slope == 0.0):
            text += "; the function passes some entries on and blocks the others: is the mask 0 everywhere?"
    return Found("zero", text)


def _zero_here(e: Evidence) -> list[Found]:
    """A gradient that is 0 here and not elsewhere; one or two numbers may be so by chance."""
    if e.array.size < FEWEST:
        return []
    text = f"0 at all {e.array.size} coordinates here, and not at larger numbers: does it begin where forward does?"
    return [Found("branch", text, sure=False)]


def _two_mistakes(e: Evidence, predictions: list[tuple[Family, Prediction]]) -> Iterator[Found]:
    """A prediction that fits but for one constant factor: two mistakes at once."""
    assert e.gradient is not None
    for family, guess in predictions:
        ratio = _ratio(e, guess.values)
        if ratio is None:
            continue
        other = _at_another_batch(e, family, guess)
        text = f"the claimed gradient is {ratio:.7g} times {guess.formula} at all {int(e.looked_at.sum())} coordinates"
        for more, words, sure in factor_causes(e, ratio, other):
            # Any number can come about in many ways; one that has a name hardly does.
            named = more != "factor" or (bool(words) and (WHICH_IS in words or WHOLE in words))
            yield Found(f"{guess.cause}+{more}", f"{text}{words}", sure and named)
            break


def _ratio(e: Evidence, prediction: Array) -> float | None:
    """The factor between the claimed gradient and a prediction that is not the truth itself."""
    assert e.gradient is not None
    if prediction.shape != e.gradient.shape:
        return None
    a, p = e.gradient[e.looked_at], prediction[e.looked_at]
    if not np.isfinite(p).all() or np.count_nonzero(np.abs(p) > 1e-9 * np.abs(p).max(initial=0.0)) < FEWEST:
        return None
    if np.ptp(np.abs(p)) <= e.fit * np.abs(p).max():
        return None  # numbers of one size have a factor to any others of one size
    ratio = e.common_ratio(a, p)
    return ratio if ratio is not None and e.fits(ratio * prediction) else None


def _at_another_batch(e: Evidence, family: Family, guess: Prediction) -> tuple[int, float] | None:
    """The same factor for another number of rows, with that number."""
    with at_another_batch(e) as other:
        if other is None:
            return None
        for _, same in ask(other, (family,)).predictions:
            if (same.cause, same.formula) == (guess.cause, guess.formula):
                ratio = _ratio(other, same.values)
                return None if ratio is None else (other.batch, ratio)
    return None
