"""Runs of ``train_mnist.py``, for the tests of what it does."""

import json
from pathlib import Path

from scripts import train_mnist

ROOT = Path(__file__).parent.parent
DATA = str(ROOT / "data")


def run(folder, *arguments):
    """Run the command into the folder; its status and its history."""
    status = train_mnist.main(["--data", DATA, "--out", str(folder), "--threads", "2", *arguments])
    return status, json.loads((folder / "history.json").read_text())
