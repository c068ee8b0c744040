"""What a test needs that not every machine has, as marks that leave it out elsewhere."""

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

HAS_TORCH = importlib.util.find_spec("torch") is not None

torch = pytest.mark.skipif(not HAS_TORCH, reason="needs torch")
posix = pytest.mark.skipif(os.name != "posix", reason="needs the signals, limits and commands of POSIX")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")


def files_that_import_torch() -> list[str]:
    """The files of tests that compare with torch from their first line to their last."""
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    return [f.name for f in files if re.search(r"^(import|from) torch", f.read_text(encoding="utf-8"), re.MULTILINE)]


# What pytest does not collect; conftest.py hands it on.
collect_ignore = [] if HAS_TORCH else files_that_import_torch()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One line about what was left out for the want of torch."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if collect_ignore and reporter is not None:
        reporter.ensure_newline()
        files = f"{len(collect_ignore)} files of tests that compare with it"
        reporter.write_line(f"torch is not installed: {files} are left out", yellow=True)
