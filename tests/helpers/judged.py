"""An array of a report, and what is known of its gradient, for the check of a subject step by step."""

from types import SimpleNamespace

import numpy as np

from numpy_nn.gradcheck.measure.kinds import Reason
from numpy_nn.gradcheck.report import RIGHT, Entry

ONE = np.array([1.0, 2.0, -2.0, 0.5])
NAN = np.nan


def made(name="x", verdict=RIGHT, **given):
    """What is said of an array."""
    found = Entry(name, verdict, (4,), 4, 4, 0, 0, 0, 0.0, None, NAN, NAN, NAN)
    vars(found).update(given)
    return found


def diagnosed(entry):
    """The diagnosis of an entry, which must be wrong."""
    assert entry.verdict == "wrong", entry
    assert entry.diagnosis is not None
    return entry.diagnosis


def claim(gradient=ONE, *, coarseness=0.0, name="x", **given):
    """What is known of a claimed gradient."""
    differences = SimpleNamespace(coarseness=coarseness, seen_coarseness=coarseness, groups=4, elementwise=True)
    subject = SimpleNamespace(arrays={name: ONE.copy()}, label="net", notes=[], watch=None, input="x")
    e = SimpleNamespace(
        gradient=gradient, subject=subject, name=name, rng=None, independent=False, is_input=name == "x"
    )
    e.grad_output, e.differences, e.reason = np.ones(2), differences, Reason.NONE
    vars(e).update(given)
    return e


def coordinates(gradient, **given):
    """A claimed gradient of a function of which these things are known."""
    gradient = np.array(gradient, np.float64)
    coarseness = given.pop("coarseness", 0.0)
    e = SimpleNamespace(
        gradient=gradient,
        array=np.full(gradient.shape, given.pop("array", 1.0)),
        output=np.array([given.pop("output", 1 / 3)]),
        gradient_noise=np.full(gradient.shape, given.pop("noise", 0.0)),
        natural_slope=given.pop("natural", 1.0),
        working_size=given.pop("working", 1.0),
        at_point_given=given.pop("here", True),
        in_float32=given.pop("in_float32", False),
        differences=SimpleNamespace(coarseness=coarseness, seen_coarseness=coarseness),
        reason=None,
        grad_output="of the output",
    )
    assert not given
    return e
