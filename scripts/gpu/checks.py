"""A check of ``scripts/gpu_check.py``: what it is, how it is done, and what came of it."""

from __future__ import annotations

import os
import subprocess
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# In seconds: a process that takes longer hangs.
LIMIT = 300.0


class Failed(Exception):
    """What a check found, in words."""


class Check(NamedTuple):
    """``run`` returns the figure of the check, or raises; ``needs`` says what it lacks here, if anything."""

    name: str
    run: Callable[[], str]
    needs: str = ""


class Outcome(NamedTuple):
    """One row of the table; ``details`` is what a failed check has to say."""

    name: str
    result: str
    seconds: float
    figure: str
    details: str = ""

    @property
    def failed(self) -> bool:
        """Whether the check was done and did not come out as it should."""
        return self.result == "FAILED"


def perform(check: Check) -> Outcome:
    """Do the check. Whatever it raises is its outcome, and stops no other one."""
    if check.needs:
        return Outcome(check.name, check.needs, 0.0, "")
    started = time.perf_counter()
    try:
        result, figure, details = "ok", check.run(), ""
    except Failed as error:
        result, details = "FAILED", str(error)
    except Exception as error:
        result, details = "FAILED", "".join(traceback.format_exception(error))
    seconds = time.perf_counter() - started
    if result == "FAILED":
        figure = details.strip().splitlines()[-1] if details.strip() else "no word"
    return Outcome(check.name, result, seconds, figure, details)


def run_process(command: Sequence[str], **environment: str) -> str:
    """What the command prints, run at the top of the repository. Failed if it fails, or hangs."""
    options: dict[str, Any] = {"cwd": ROOT, "env": {**os.environ, **environment}, "capture_output": True, "text": True}
    try:
        done = subprocess.run(command, timeout=LIMIT, check=False, **options)
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(command)}\nstill running after {LIMIT:.0f} s, and ended") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-4000:]
        raise Failed(f"{' '.join(command)}\n{said}\nexit status {done.returncode}")
    return done.stdout
