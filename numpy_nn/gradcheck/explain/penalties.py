"""The penalty of a loss, such as 0.5 reg sum(W^2): its gradient is off by a factor, left out, or of no penalty."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.explain.factors import samples_beside
from numpy_nn.gradcheck.explain.lengths import lengths_within
from numpy_nn.gradcheck.explain.predictions import DROPPED, Found
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import COARSEST_FIT, FIT, Evidence, common_ratio
from numpy_nn.subjects.parameters.code import CodeSubject

# A setting is raised until the penalty is so many times as large as the rest of the gradient.
LARGER = 16.0

# To such a share of the larger one, two factors before the parameter are the same, or one of them is 0.
SAME = 1e-4


# So seldom numbers that have nothing to do with a parameter may be taken for a multiple of it, and the cause be sure.
CHANCE = 1e-4


def penalties(e: Evidence) -> Iterator[Found]:
    """What is left of the difference is a multiple of the parameter, and grows with a setting of the code."""
    for shown, values, rate, _ in multiples(e):
        for name, value in e.subject.settings().items() if isinstance(e.subject, CodeSubject) else ():
            found = _of_setting(e, name, value, values)
            if found is None:
                continue
            own, claimed = found
            if abs((claimed - own) * value - rate) > 1e-3 * abs(rate):
                continue  # it does not explain what is wrong
            what = f"{name} times {shown}"
            if own and claimed:
                text = f"the gradient of the loss has {own:.6g} {what}, the claimed one {claimed:.6g} {what}"
                yield Found("penalty_factor", f"{text}: {claimed / own:.6g} times as much")
            elif own:
                yield Found("penalty_missing", f"the gradient of the loss has {own:.6g} {what}, the claimed one none")
            else:
                text = f"the claimed gradient has {claimed:.6g} {what}, which the loss knows nothing of"
                yield Found("weight_decay", text)
            return


def regularised(e: Evidence) -> Iterator[Found]:
    """A multiple of the parameter that is left in, or out, and of which no setting is known."""
    if found := list(lengths_within(e)):
        yield from found
        return
    for shown, _, rate, chance in multiples(e):
        text = f"claimed minus numerical is {rate:.6g} times {shown} at all coordinates looked at"
        cause = "weight_decay" if rate > 0.0 else "penalty_missing"
        yield Found(cause, text, sure=rate > 0.0 and chance <= CHANCE)


def summed_beside(e: Evidence) -> Iterator[Found]:
    """All but the penalty is multiplied, or divided, by the number of rows: a sum for a mean, or a mean twice."""
    rows = samples_beside(e) or e.batch
    if not (e.subject.is_loss or e.output.size == 1) or rows < 2:
        return
    for cause, times, words in (
        ("batch_mean_missing", float(rows), f"{rows}, the number of rows,"),
        ("batch_mean_twice", 1.0 / rows, f"1 / {rows}, the number of rows,"),
    ):
        for shown, _, rate, chance in multiples(e, times):
            strength = rate / (1.0 - times)
            if strength > 0.0 and chance <= CHANCE:
                text = f"without {strength:.6g} times {shown}, as of a penalty, claimed / numerical = {words}"
                yield Found(cause, f"{text} at all coordinates looked at")


def multiples(e: Evidence, times: float = 1.0) -> Iterator[tuple[str, Array, float, float]]:
    """The parameter, or its sign, in words and numbers, if claimed minus numerical is a multiple of it; and which.

    Or claimed minus so many ``times`` the numerical one.
    The last number says how likely that is by chance: that a number fits, to a share of its size, to the power of how
    many there are beside the one that sets the multiple.
    """
    if not _is_learned(e):
        return
    assert e.gradient is not None
    extra = (e.gradient - times * e.truth)[e.looked_at]
    # What is left of a difference is off by as much as the numbers that it is of.
    largest = float(np.abs(extra).max())
    fit = e.fit if e.fit == FIT or not largest else min(COARSEST_FIT, e.fit * max(1.0, e.size / largest))
    for shown, values in (("the parameter", e.array), ("its sign", np.sign(e.array))):
        rate = common_ratio(extra, values[e.looked_at], fit)
        # Next to numbers that are all the same, whatever is added everywhere looks like a multiple of them.
        if rate is not None and np.ptp(values[e.looked_at]) > 0.0:
            yield shown, values, rate, fit ** (np.count_nonzero(e.looked_at) - 1)


def _is_learned(e: Evidence) -> bool:
    """Whether it is a parameter: also as the first argument of a loss, where another one is the data."""
    return not e.is_input or any(kind == "data" for _, kind, _ in e.subject.unchecked)


def _of_setting(e: Evidence, name: str, value: float, values: Array) -> tuple[float, float] | None:
    """How often numerical and claimed gradient have this setting times these values; None if either has it otherwise.

    Also None if they have it equally often.
    """
    assert isinstance(e.subject, CodeSubject)
    assert e.gradient is not None
    look, size = e.looked_at, float(np.sqrt(np.mean(np.square(values))))
    raised = value + max(1.0, abs(value), LARGER * e.size / size)
    try:
        with e.subject.with_setting(name, raised):
            claimed = e.subject.gradients(e.grad_output)[e.name]
            own = e.vjp(e.grad_output, e.x)
    except DROPPED:
        return None
    if claimed is None or claimed.size != e.array.size or not np.isfinite(own[look]).all():
        return None
    claimed = claimed.reshape(e.array.shape)
    changes = [(after - before)[look] / (raised - value) for after, before in ((own, e.truth), (claimed, e.gradient))]
    largest = max(float(np.abs(change).max()) for change in changes)
    rates = [
        0.0 if np.abs(change).max() <= SAME * largest else common_ratio(change, values[look], max(SAME, e.fit))
        for change in changes
    ]
    first, second = rates
    if largest == 0.0 or first is None or second is None or abs(first - second) <= SAME * max(abs(first), abs(second)):
        return None
    return first, second
