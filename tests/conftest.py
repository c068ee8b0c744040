"""What the whole suite shares: how hypothesis runs, and MNIST."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

import numpy_nn as nn

# No deadline: the machine's speed is not what is tested. In CI the examples are the same at every run, so that a red
# build means a change; elsewhere they are new each time. HYPOTHESIS_PROFILE=thorough looks ten times as long.
settings.register_profile("default", deadline=None, max_examples=50, print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


@pytest.fixture(scope="session")
def mnist() -> nn.MNIST:
    """MNIST in float32; if it is missing, the error names the command that gets it."""
    return nn.load_mnist(Path(__file__).parent.parent / "data")
