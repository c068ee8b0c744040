"""A run without a rounding, in both engines: equal to the same run in fractions, to the last bit."""

from fractions import Fraction

import exact_run
import numpy as np
import pytest

import numpy_nn as nn


@pytest.mark.parametrize(
    "train",
    [exact_run.numpys, exact_run.torchs, lambda: exact_run.torchs(clip_grad_norm=1e30)],
    ids=["numpy_nn", "torch", "torch, with a clip that never bites"],
)
def test_both_engines_train_exactly_on_numbers_that_need_no_rounding(train):
    assert exact_run.is_exact(train())


def test_the_exact_run_is_no_trivial_one():
    net, *_ = exact_run.make()
    exact = exact_run.truth()
    for name, p in net.named_parameters():
        moved = exact[name] != np.vectorize(Fraction, otypes=[object])(p.data)
        assert moved.any(), name
    # Numbers that need many bits, and hidden units on both sides of the kink.
    bits = [int(f.denominator).bit_length() - 1 for array in exact.values() for f in array.ravel()]
    assert 20 <= max(bits) <= 50


def test_one_unit_in_the_last_place_is_seen(monkeypatch):
    step = nn.SGD.step

    def inexact(self):
        step(self)
        data = self.param_groups[0]["params"].data
        data[0] = np.nextafter(data[0], np.inf)

    monkeypatch.setattr(nn.SGD, "step", inexact)
    assert not exact_run.is_exact(exact_run.numpys())
