"""Writing a file in one move."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to, which becomes ``path`` when the ``with`` ends, and vanishes if it ends in an exception.

    The file is written under another name in the same folder (``.NAME.*.tmp``), flushed to the disk, and renamed:
    after a crash there is the old file or the new one, never half of one; a process that is killed meanwhile leaves
    the ``.tmp`` behind. OSError, naming ``path``, if the folder cannot be written to or the disk is full.
    """
    shown = os.fspath(path)
    try:
        with _replacing(os.path.abspath(os.fsdecode(path))) as file:
            yield file
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), shown) from error


@contextmanager
def _replacing(path: str) -> Iterator[BinaryIO]:
    folder, name = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(suffix=".tmp", prefix=f".{name}.", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; this one gets the permissions that open() would give it.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):  # an interrupt may come after the move
            os.unlink(temporary)
        raise
    # The new name is safe from a power cut when the folder, too, is on the disk. Not every file system can do that.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
