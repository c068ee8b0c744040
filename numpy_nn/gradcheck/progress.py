"""A progress line on a terminal for checks that take long."""

from __future__ import annotations

import sys
import time


class Progress:
    """Shows ``label`` and the share done on stderr, if that is a terminal, once two seconds have passed."""

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total, self._done = label, max(1, total), 0
        self._started = self._shown = time.monotonic()
        self._visible = False

    def advance(self, steps: int) -> None:
        """``steps`` more are done."""
        self._done += steps
        now = time.monotonic()
        if now - self._started > 2.0 and now - self._shown > 0.1 and sys.stderr.isatty():
            share = min(1.0, self._done / self._total)
            sys.stderr.write(f"\r{self._label}: {share:4.0%}")
            sys.stderr.flush()
            self._shown, self._visible = now, True

    def close(self) -> None:
        """Wipe the line."""
        if self._visible:
            # Blanks, since not every console of Windows knows the sequence that erases a line.
            sys.stderr.write(f"\r{'':<{len(self._label) + 6}}\r")
            sys.stderr.flush()
