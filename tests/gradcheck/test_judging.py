"""From coordinates to an entry: which of them is shown."""

import numpy as np
import pytest

from numpy_nn.gradcheck.judging import name_worst
from numpy_nn.gradcheck.measure.kinds import AGREES, NEARLY, OFF, UNRESOLVED
from numpy_nn.gradcheck.measure.slopes import Slopes
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG, Entry


class Known:
    """A claimed gradient."""

    gradient = np.array([[0.25, -0.5, 0.125], [9.0, 8.0, 7.0]])


@pytest.mark.parametrize(
    ("verdict", "kinds", "off", "shown"),
    [
        # Where all is exact, the largest of those that were checked.
        (RIGHT, [[AGREES, AGREES, AGREES], ["", "", ""]], 0.0, (0, 1)),
        (RIGHT, [[AGREES, AGREES, AGREES], ["", AGREES, ""]], 0.0, (1, 1)),
        # Else the one that is off by most, of those that the verdict is about.
        (RIGHT, [[AGREES, AGREES, AGREES], [AGREES, AGREES, AGREES]], [[1, 2, 3], [4, 6, 5]], (1, 1)),
        (WRONG, [[OFF, OFF, AGREES], [AGREES, AGREES, UNRESOLVED]], [[1, 2, 3], [4, 6, 5]], (0, 1)),
        (UNDECIDED, [[UNRESOLVED, AGREES, UNRESOLVED], [AGREES, AGREES, AGREES]], [[1, 2, 3], [4, 6, 5]], (0, 2)),
        (CLOSE, [[NEARLY, AGREES, AGREES], [NEARLY, AGREES, AGREES]], [[5, 2, 3], [4, 6, 5]], (0, 0)),
    ],
)
def test_the_coordinate_that_is_shown_is_the_worst_of_those_that_the_verdict_is_about(verdict, kinds, off, shown):
    status, zeros, no = np.array(kinds), np.zeros((2, 3)), np.zeros((2, 3), np.bool_)
    value = Known.gradient - np.multiply(0.0625, off)
    wrong, undecided = (int((status == kind).sum()) for kind in (OFF, UNRESOLVED))
    entry = Entry("x", verdict, (2, 3), 6, 6, wrong, undecided, 0, 0.0, None, np.nan, np.nan, np.nan)
    name_worst(entry, Known, Slopes(value, zeros + 1e-9, no, no, value, value, zeros), status)
    assert entry.index == shown
    assert (entry.analytic, entry.numerical, entry.bound) == (Known.gradient[shown], value[shown], 1e-9)
