"""What the tests of the benchmark share: how fast and how busy this machine is, is not asked here."""

from functools import partial

import pytest

from numpy_nn.commands.machine import description as machine


@pytest.fixture(autouse=True)
def quick_look(monkeypatch):
    """Multiply small matrices for the peak, and look twice at what others keep busy without the half second between."""
    monkeypatch.setattr(machine, "PEAK_SIZE", 64)
    monkeypatch.setattr(machine, "busy_cores", partial(machine.busy_cores, 0.0))
