"""One constant times the right gradient: which constant, and what it has to do with the lengths of the arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from numpy_nn.gradcheck.explain.predictions import DROPPED, Found, is_parameter_row, ratio_at_another_batch
from numpy_nn.gradcheck.measure.evidence import FIT, Evidence
from numpy_nn.gradcheck.measure.kinds import NEARLY
from numpy_nn.subjects.agreement import ROUGHLY, digits
from numpy_nn.subjects.arrays.places import last_name, parsed
from numpy_nn.subjects.source.roles import is_learned
from numpy_nn.subjects.source.surroundings import bare

# Learning rates that people write down, and norms that gradients are clipped to.
LEARNING_RATES = (0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001, 5e-4, 3e-4, 2e-4, 1e-4, 1e-5)
NORMS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0)

# A norm after clipping is exact but for rounding, or for the 1e-6 that torch adds to the norm that it divides by.
NORM_TOLERANCE = 2e-6

# Of some coordinates alone no factor is so near to 1.
ALL_BUT_RIGHT = 1e-3

# What is added to a ratio that has a name.
WHICH_IS, WHOLE = ", which is ", ", a whole number"

Other = tuple[int, float] | None
"""Another number of rows, and the factor there."""


def factors(e: Evidence) -> Iterator[Found]:
    """The causes for one factor between the claimed and the numerical gradient."""
    ratio = e.ratio()
    if ratio is None or not np.any(np.abs(e.truth) > e.numerical.bound):
        return  # of what is 0 within its bound anything is a multiple
    some = e.narrowed or (e.status is not None and bool((e.status == NEARLY).any()))
    if some and abs(ratio - 1.0) < ALL_BUT_RIGHT:
        return  # a few coordinates that are off by an epsilon, say, beside others that are so by less
    seen = int(e.looked_at.sum())
    text = f"claimed / numerical = {ratio:.7g} at all {seen} coordinates looked at"
    if e.grad_output.size == 1 and abs(ratio * e.grad_output.item() - 1.0) <= e.fit:
        yield Found("grad_output_ignored", f"{text}, 1 / grad_output: the one for grad_output = 1")
        return
    clipped = scaled_to_norm(e, ratio)
    if clipped is not None:
        yield Found("norm_clipped", f"{text}; {clipped}")
        return
    # Of one number, or two, any other number is a multiple: is it the same one elsewhere?
    if seen < 3 and not _constant(e, ratio):
        return
    # Where most of the others could not be told, what these have in common need not be a constant.
    for cause, words, sure in factor_causes(e, ratio, ratio_at_another_batch(e)):
        yield Found(cause, text + words, sure and e.most_is_known)


def factor_causes(e: Evidence, ratio: float, other: Other) -> Iterator[tuple[str, str, bool]]:
    """The cause (two joined by + for a sign with a factor), the words and whether they are sure, for a factor."""
    flipped = "target_minus_prediction" if _has_sign_of_a_difference(e) else "sign"
    # Where the output is coarse a factor of -1 is told no better than any other.
    if abs(ratio + 1.0) < (0.1 * e.fit if e.fit == FIT else e.fit):
        yield flipped, "", True
        return
    sign = f"{flipped}+" if ratio < 0.0 else ""
    size = abs(ratio)
    at = "" if other is None else f"; {other[1]:.6g} with {other[0]} rows instead of {e.batch}"
    counted = None if e.batch == 1 else _count_of_rows_or_columns(e, size, other)
    known = _named(size, e.fit)
    root = _root_of_a_length(e, size, other is None)
    if counted is not None and other is None and root and not (e.subject.is_loss or e.output.size == 1):
        # No layer divides by the rows; attention does by the root of a length.
        yield f"{sign}factor", f"{known}{root}", True
        yield sign + counted[0], counted[1], True
        return
    if counted is not None:
        cause, words = counted
        inward = _ratio_of_input(e) if cause in ("batch_mean_twice", "bias_averaged") else None
        if cause == "bias_averaged" and inward is not None and _near(abs(inward), size, e.fit):
            cause = "batch_mean_twice"  # what reaches the bias is divided, as what reaches the input
        averages = inward is not None and _near(inward, 1.0, e.fit)
        # Of a number, without targets and with no other number of rows, the rows need be no samples.
        is_known = other is not None or e.output.size > 1 or e.subject.targets is not None
        yield sign + cause, f"{words}{at}{_CONVENTION if averages else ''}", is_known
        columns_alone = cause == "elements_mean" and _near(size * math.prod(e.x.shape[1:]), 1.0, e.fit)
        # Nothing tells it from a constant that is the same number.
        if other is None or (columns_alone and known):
            yield f"{sign}factor", f"{known}{at}", True
        return
    steady = other is None or _near(other[1], ratio, e.fit)
    length = _product_of_lengths(e, size, other is None or not steady)
    rate = next((rate for rate in LEARNING_RATES if _near(size, rate, e.fit)), None)
    if rate is not None and steady and not length:
        yield f"{sign}learning_rate", f"{WHICH_IS}{sign and '-'}{rate:g}{at}", True
        return
    yield f"{sign}factor", f"{known}{length}{root}{at}", steady


def _has_sign_of_a_difference(e: Evidence) -> bool:
    """Whether a loss has targets, and the sign of prediction minus target, or of 1/2 minus a target of 0 or 1.

    So have the squared, the absolute and the logistic loss. What is not the loss's own input has it from there.
    """
    targets = getattr(e.subject, "targets", None)
    if targets is None or _another_is_right(e):
        return False
    if not e.is_input:
        return True
    t = np.asarray(targets)
    if t.dtype.kind in "iu" and e.x.ndim == 2 and t.shape == e.x.shape[:1] and 0 <= t.min() <= t.max() < e.x.shape[1]:
        t = np.eye(e.x.shape[1])[t]
    if t.size != e.x.size or t.dtype.kind not in "fiub":
        return True
    t = t.reshape(e.x.shape)
    look = e.looked_at & (np.abs(e.truth) > e.numerical.bound)
    # Of a hinge loss all are of one size.
    logistic = np.isin(t, (0, 1)).all() and np.ptp(np.abs(e.truth[e.looked_at])) > e.fit * e.size
    differences = [e.x - t, 0.5 - t] if logistic else [e.x - t]
    signs = np.sign(np.where(look, e.truth, 0.0))[e.looked_at]
    # Where all have one sign, that of the difference tells nothing.
    tells = len({*signs.ravel()} - {0.0}) > 1
    return tells and any(np.array_equal(np.sign(difference)[e.looked_at], signs) for difference in differences)


def _another_is_right(e: Evidence) -> bool:
    """Whether another gradient is right, which one of target minus prediction would flip as well."""
    others = {name: g for name, g in e.subject.gradients(e.grad_output).items() if name != e.name}
    return any(
        g is not None
        and np.any(g)
        and g.shape == e.subject.arrays[name].shape
        and digits(e.subject, name, g, e.grad_output) >= ROUGHLY
        for name, g in others.items()
    )


def scaled_to_norm(e: Evidence, ratio: float) -> str | None:
    """What norm the gradient, or all of them together, is scaled down to, in words; None if none of the usual ones."""
    assert e.gradient is not None
    if not 0.0 < ratio < 1.0 or e.gradient.size < 2:
        return None
    norm = float(np.sqrt(np.sum(np.square(e.gradient))))
    others = [g for g in e.subject.gradients(e.grad_output).values() if g is not None]
    together = float(np.sqrt(sum(np.sum(np.square(g)) for g in others)))
    parameters = math.sqrt(max(0.0, together**2 - _square_of_input(e)))
    kinds = ((norm, "its norm"), (together, "the norm of all together"), (parameters, "the parameters' norm together"))
    for size, whose in kinds:
        for usual in NORMS:
            if abs(size - usual) <= NORM_TOLERANCE * usual:
                return f"{whose} is {usual:g}, that of the right one larger"
    return None


def _square_of_input(e: Evidence) -> float:
    own = e.subject.gradients(e.grad_output).get(e.subject.input)
    return 0.0 if own is None else float(np.sum(np.square(own)))


def _constant(e: Evidence, ratio: float) -> bool:
    """Whether the factor is the same, or goes with the number of rows, at another input and grad_output.

    And, in a program of single numbers, with the others of these at other values.
    """
    others = [(n, a) for n, a in e.subject.arrays.items() if a.size == 1 and n not in (e.name, e.subject.input)]
    moved = {name: 0.8125 * array + 0.0625 for name, array in others}
    home = e.x.copy()
    for at in ({}, moved) if moved else ({},):
        try:
            with e.subject.at(at):
                e.x[...] = e.previous_x
                grad_output = e.subject.random_grad_output(e.rng, e.output.shape)
                gradient = e.subject.gradients(grad_output)[e.name]
                if gradient is None or gradient.size != e.array.size:
                    return False
                again = e.common_ratio(gradient.reshape(e.array.shape), e.vjp(grad_output, e.previous_x))
        except DROPPED:
            return False
        finally:
            e.x[...] = home
        if again is None or not _near(again, ratio, e.fit):
            return False
    return True


def _count_of_rows_or_columns(e: Evidence, ratio: float, other: Other) -> tuple[str, str] | None:
    """The cause and the words for a ratio that is a number of rows, columns or both, or 1 over it."""
    n, columns = e.batch, math.prod(e.x.shape[1:])
    loss = e.subject.is_loss or e.output.size == 1

    def goes_as(power: int, factor: float) -> bool:
        """Whether the ratio is factor * rows^power, also at another number of rows."""
        here = _near(ratio, factor * n**power, e.fit)
        return here and (other is None or _near(abs(other[1]), factor * other[0] ** power, e.fit))

    if (number := samples_beside(e)) is not None:
        if _near(ratio, number, e.fit):
            return "batch_mean_missing", ", the number of targets"
        if number > 1 and _near(ratio, 1.0 / number, e.fit):
            return "batch_mean_twice", ", 1 / the number of targets"
    path = parsed(e.subject.input)
    if other is None and path and is_learned(str(last_name(path))):
        return None  # a weight that stands first has no samples as rows
    if other is None and e.x.ndim == 1 and not e.is_input:
        return None  # nor has a vector that meets a matrix: a batch of single numbers may be longer
    if goes_as(1, 1.0):
        return "batch_mean_missing", ", the batch size"
    if goes_as(-1, 1.0):
        bias = is_parameter_row(e) and not loss and _is_added(e)
        return ("bias_averaged" if bias else "batch_mean_twice"), ", 1 / the batch size"
    if columns <= 1:
        return None
    # A quotient that is a whole number is easily a constant that somebody wrote, unless it goes with the rows.
    is_whole = n % columns == 0 or columns % n == 0
    if goes_as(1, 1.0 / columns) and columns != n and not (other is None and is_whole):
        return "wrong_axis_mean", f" = {n} / {columns}, rows / columns"
    if goes_as(-1, 1.0 / columns):
        averaged = not e.is_input and not loss
        return ("averaged_not_summed" if averaged else "elements_mean"), ", 1 / the number of elements"
    if goes_as(0, 1.0 / columns) and loss:
        return "elements_mean", ", 1 / the number of columns"
    if goes_as(1, float(columns)):
        return "batch_mean_missing", ", the number of elements"
    return None


def _is_added(e: Evidence) -> bool:
    """Whether a parameter counts where the input is 0, as a bias does; a gain, or a slope, does not.

    Where that is not known it is taken for a bias.
    """
    at_zero = e.vjp(e.grad_output, np.zeros_like(e.x))[e.looked_at]
    return not np.isfinite(at_zero).all() or bool(np.abs(at_zero).max(initial=0.0) > e.fit * e.size)


def samples_beside(e: Evidence) -> int | None:
    """The number of targets of a loss, one for each sample, where the samples themselves are none of the arrays.

    Data have no gradient in code that returns those of parameters alone; a parameter then stands in the input's place.
    Where nothing is called targets, as in f(beta, X, y), it is the number of rows that two other arguments have.
    """
    if getattr(e.subject, "targets", None) is None and e.output.size == 1:
        given = getattr(e.subject, "given", {})
        arrays = [one for name, one in given.items() if name != e.name and isinstance(one, np.ndarray)]
        rows = [len(one) for one in arrays if one.ndim in (1, 2)]
        often = {number for number in rows if rows.count(number) > 1 and number > 1 and number not in e.x.shape}
        return often.pop() if len(often) == 1 else None
    targets = np.asarray(e.subject.targets) if e.subject.is_loss else np.zeros(0)
    alone = 1 < targets.size == max(targets.shape, default=0)
    return targets.size if alone and targets.size not in e.x.shape else None


# What to add where a layer averages its parameters' gradients, and not that of the input.
_CONVENTION = (
    "; the gradient of the input is not divided: so do courses in which each layer averages over the batch, which is "
    "right with a loss that sums over it, and wrong with one that averages"
)


def _ratio_of_input(e: Evidence) -> float | None:
    """Of a parameter, the claimed gradient of the input over the right one, if that is one factor everywhere."""
    if e.is_input:
        return None
    try:
        own = e.subject.gradients(e.grad_output).get(e.subject.input)
        if own is None or own.size != e.x.size:
            return None
        own = own.reshape(e.x.shape)
        inward = Evidence(e.subject, e.subject.input, own, e.grad_output, e.output, {}, e.x, e.grad_output, e.rng)
        return e.common_ratio(own, inward.truth)
    except DROPPED:
        return None


def _near(a: float, b: float, fit: float) -> bool:
    return abs(a - b) <= fit * abs(b)


def as_fraction(ratio: float, fit: float) -> Fraction | None:
    """The factor as a whole number or a fraction of small ones; None if it is none."""
    # Small numbers lie closely together where the denominators are large: a chance hit must stay unlikely. Of all
    # fractions up to 1000/1000 one in 16 numbers is so near; of those whose two numbers make no larger product, and of
    # decimals, one in 500.
    near = 1e-7 if fit == FIT else fit
    largest = round(math.sqrt(1e-1 / near))
    fraction = Fraction(ratio).limit_denominator(largest)
    if fraction.numerator == 0 or abs(ratio - fraction) > near * ratio or fraction.numerator > largest:
        return None
    is_decimal = largest % fraction.denominator == 0
    return fraction if is_decimal or fraction.numerator * fraction.denominator <= largest else None


def _named(ratio: float, fit: float) -> str:
    fraction = as_fraction(ratio, fit)
    if fraction is None:
        return ""
    return f"{WHICH_IS}{fraction}" if fraction.denominator > 1 else WHOLE


def _root_of_a_length(e: Evidence, ratio: float, rows: bool) -> str:
    """The factor, or 1 over it, as the square root of a length, as attention divides its scores by.

    A whole number is one only in code that takes roots, as 2 is easily a 2 that was forgotten.
    """
    size = max(ratio, 1.0 / ratio)
    wanted = round(size**2)
    if wanted < 2 or not _near(size, math.sqrt(wanted), e.fit):
        return ""
    if math.isqrt(wanted) ** 2 == wanted and not _takes_roots(e):
        return ""
    for name, shape in ((e.name, e.array.shape), (e.subject.input, e.x.shape), ("output", e.output.shape)):
        if wanted in (shape if rows or (name == e.name and not e.is_input) else shape[1:]):
            return f"; {size:.7g} is the square root of {wanted}, of the shape {shape} of {name}"
    return ""


def _takes_roots(e: Evidence) -> bool:
    """Whether the passes take a square root, by its name or as a power."""
    for function in map(bare, e.subject.own_code()):
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        if code is not None and ("sqrt" in code.co_names or {0.5, -0.5} & {c for c in code.co_consts if c == c}):
            return True
    return False


def _product_of_lengths(e: Evidence, ratio: float, rows: bool = True) -> str:
    """The factor, or 1 over it, as a product of neighbouring lengths of an array's shape.

    Without ``rows`` that of the batch is none of them: the factor is the same for another number of rows.
    """
    wanted = round(ratio) if ratio > 1.0 else round(1.0 / ratio)
    if wanted < 2 or not (_near(ratio, wanted, e.fit) or _near(ratio * wanted, 1.0, e.fit)):
        return ""
    for name, shape in ((e.name, e.array.shape), ("output", e.output.shape), (e.subject.input, e.x.shape)):
        for length in range(1, len(shape) + 1):
            for first in range(0 if rows or (name == e.name and not e.is_input) else 1, len(shape) - length + 1):
                part = shape[first : first + length]
                if math.prod(part) == wanted and 1 not in part:
                    product = f"{wanted} = {' * '.join(map(str, part))}, " if len(part) > 1 else f"{wanted} is "
                    return f"; {product}of the shape {shape} of {name}"
    return ""
