"""Checkpoints: named arrays in an npz file, without pickle, written in one move and checked when read."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.atomic import atomic_write
from numpy_nn._support.checks import no_tensor

MARK = "numpy_nn.format"
VERSION = 1
# The bit among a zip member's attributes that makes it a folder.
FOLDER = 0x10


def write(path: str | os.PathLike[str], state: Mapping[str, NDArray[Any]]) -> None:
    """Write ``state`` to ``path``.

    In one move (:func:`~numpy_nn._support.atomic.atomic_write`). OSError if the folder cannot be written to.
    """
    arrays: dict[str, Any] = {MARK: np.int64(VERSION), **state}
    with atomic_write(path) as file:
        np.savez(file, **arrays)


def read(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """The arrays in ``path``.

    ValueError, naming the file, if it is no whole file that :func:`write` made; OSError if it cannot be read.
    """
    content = io.BytesIO(Path(os.fsdecode(path)).read_bytes())
    try:
        check_zip(content)
        with np.load(content, allow_pickle=False) as archive:
            state = {name: archive[name] for name in archive.files}
        version = state.pop(MARK, None)
        if version is None:
            raise ValueError(f"not a checkpoint of numpy_nn (no entry {MARK})")
        if not isinstance(version, np.ndarray) or version.shape != () or version != VERSION:
            raise ValueError(f"expected format version {VERSION}, got {version}")
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {' '.join(str(error).split())}") from None
    return state


def check_zip(file: BinaryIO) -> None:
    """ValueError unless ``file`` is a whole zip file, as NumPy and torch write them, whose every byte of data is right.

    Each member has a CRC-32, but ``numpy.load`` compares it only if the array is as long as the member, and
    ``torch.load`` never. It would take a folder for a tensor of any numbers. How many members there are stands at the
    end of the file, where neither looks.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            for member in members:
                if member.compress_type != zipfile.ZIP_STORED or member.external_attr & FOLDER:
                    raise zipfile.BadZipFile(f"{member.filename!r} is compressed, or a folder")
                archive.read(member)  # compares the CRC-32
    except (zipfile.BadZipFile, EOFError, OverflowError, RuntimeError) as error:
        raise ValueError(f"not a whole zip file: {error}") from None
    file.seek(-12, io.SEEK_END)
    if min(len(members), 0xFFFF) != int.from_bytes(file.read(2), "little"):
        raise ValueError("not a whole zip file: a member is missing")
    file.seek(0)


def check_matches(state: Mapping[str, NDArray[Any]], own: Mapping[str, NDArray[Any]]) -> None:
    """ValueError, naming all that differs, unless ``state`` has the names, shapes and dtypes of ``own``.

    TypeError for a tensor of torch's: in square layers nothing else would tell that its weights are transposed.
    """
    for name, array in state.items():
        no_tensor(array, name)
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
