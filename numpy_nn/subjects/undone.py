"""Code that is run to see what it does: what it changes is undone, and what it draws is drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numpy_nn.subjects.state import Snapshot, generators_from, restorer


@contextmanager
def undone(*things: Any, drawing: Any) -> Iterator[None]:
    """After the block the things are as they were, and the function ``drawing`` draws what it would have drawn."""
    before = Snapshot(*things)
    restorers = [restorer(one) for one in generators_from(drawing)]
    try:
        yield
    finally:
        before.restore()
        for restore in restorers:
            restore()
