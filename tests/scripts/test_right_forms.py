"""Right code in every form, drawn by chance: what once was not called right stays as an example."""

import warnings

import pytest

from scripts.proof import trials
from scripts.proof.trials import CLOSE, FORMS, RIGHT


# A step of an update forgotten; steps of float32 seen with one array only (twice); a loss that saturates far away.
@pytest.mark.parametrize("case", [561, 601, 987, 941])
def test_what_was_once_not_called_right_is(case):
    outcome = trials.check_form((0, case)).outcome
    assert outcome.verdict == RIGHT, outcome


@pytest.mark.parametrize("case", range(len(FORMS)))
def test_each_form_is_right_in_float64(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = trials.check_form((1, case))
    assert found.outcome.verdict in (RIGHT, CLOSE), (found.form, found.outcome)
