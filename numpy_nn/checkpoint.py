"""Checkpoints: named arrays in an npz file, without pickle, written in one move and checked when read."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.atomic import atomic_write

MARK = "numpy_nn.format"
VERSION = 1


def write(path: str | os.PathLike[str], state: Mapping[str, NDArray[Any]]) -> None:
    """Write ``state`` to ``path``.

    In one move (:func:`~numpy_nn.atomic.atomic_write`). OSError if the folder cannot be written to.
    """
    arrays: dict[str, Any] = {MARK: np.int64(VERSION), **state}
    with atomic_write(path) as file:
        np.savez(file, **arrays)


def read(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """The arrays in ``path``. ValueError if it is no whole file that :func:`write` made; OSError if unreadable."""
    with open(path, "rb") as file:
        content = io.BytesIO(file.read())
    if not zipfile.is_zipfile(content):
        raise ValueError("not a whole npz file")
    try:
        with np.load(content, allow_pickle=False) as archive:
            state = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, MemoryError, struct.error) as error:
        raise ValueError(f"damaged file: {error}") from None
    version = state.pop(MARK, None)
    if version is None:
        raise ValueError(f"not a checkpoint of numpy_nn (no entry {MARK})")
    if not isinstance(version, np.ndarray) or version.shape != () or version != VERSION:
        raise ValueError(f"expected format version {VERSION}, got {version}")
    return state


def check_matches(state: Mapping[str, NDArray[Any]], own: Mapping[str, NDArray[Any]]) -> None:
    """ValueError, naming all that differs, unless ``state`` has the names, shapes and dtypes of ``own``."""
    problems = [f"{name} is missing" for name in own if name not in state]
    problems += [f"{name} is unexpected" for name in state if name not in own]
    for name, array in own.items():
        if name not in state:
            continue
        given = np.asarray(state[name])
        if given.shape != array.shape:
            problems.append(f"{name}: expected shape {array.shape}, got {given.shape}")
        if given.dtype != array.dtype:
            problems.append(f"{name}: expected {array.dtype}, got {given.dtype}")
    if problems:
        raise ValueError("; ".join(problems))
