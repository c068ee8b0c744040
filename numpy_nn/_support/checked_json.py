"""JSON files that are read as they were written or not at all: each holds a checksum of its content."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy_nn._support.atomic import atomic_write

# The entry for the CRC-32 of all others, as JSON writes them in one line.
CHECKSUM = "crc32"


def write(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write ``content`` in one move (:func:`~numpy_nn._support.atomic.atomic_write`); OSError if that fails."""
    text = json.dumps({**content, CHECKSUM: _checksum(content)}, indent=2)
    with atomic_write(path) as file:
        file.write(f"{text}\n".encode())


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What :func:`write` wrote to ``path``. ValueError, naming the file, if it holds anything else.

    The checksum is that of the values: a file whose blanks have changed is still the same.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict) or CHECKSUM not in content:
            raise ValueError(f"expected an object with an entry {CHECKSUM}")
        if content.pop(CHECKSUM) != _checksum(content):
            raise ValueError(f"damaged or edited: {CHECKSUM} is not that of the content")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None
    return content


def _checksum(content: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(content).encode()):08x}"
