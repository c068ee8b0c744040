"""Reading IDX files, MNIST's format, and MNIST as arrays. ``numpy-nn fetch-mnist`` gets the files."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numpy_nn._support.checks import float_dtype
from numpy_nn._support.workspace import FloatArray

# MNIST's files: the shape of the array in each, and the CRC-32 of its entries, since an IDX file holds no checksum.
FILES = {
    "train-images-idx3-ubyte": ((60_000, 28, 28), 0xF3639B56),
    "train-labels-idx1-ubyte": ((60_000,), 0xBA07E8EF),
    "t10k-images-idx3-ubyte": ((10_000, 28, 28), 0xE4CA5F57),
    "t10k-labels-idx1-ubyte": ((10_000,), 0xEE8604D9),
}
IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class MNIST(NamedTuple):
    """Images of shape (N, 784) with pixels in [0, 1], and labels of shape (N,) and int64."""

    x_train: FloatArray
    y_train: NDArray[np.int64]
    x_test: FloatArray
    y_test: NDArray[np.int64]


def load_mnist(root: str | os.PathLike[str] = "data", *, dtype: DTypeLike = np.float32) -> MNIST:
    """MNIST from the four files under ``root/MNIST/raw/``, torchvision's layout, each raw or with ``.gz``.

    Pixels are divided by 255, as torchvision's ToTensor does. FileNotFoundError if a file is missing, ValueError if
    one is not MNIST's to the last pixel, both naming the file and the command that gets it. For other images of
    MNIST's shape there are :func:`load_data_set` and :func:`read_idx`.
    """
    dtype = float_dtype(dtype)
    x_train, y_train = _split(root, "train", dtype)
    x_test, y_test = _split(root, "t10k", dtype)
    return MNIST(x_train, y_train, x_test, y_test)


def _split(root: str | os.PathLike[str], split: str, dtype: np.dtype[Any]) -> tuple[FloatArray, NDArray[np.int64]]:
    images, labels = read_split(root, split)
    return scaled(images, dtype), labels.astype(np.int64)


def scaled(images: NDArray[np.uint8], dtype: np.dtype[Any]) -> FloatArray:
    """Images as rows of pixels in [0, 1]."""
    pixels: FloatArray = np.divide(images.reshape(-1, 784), 255, dtype=dtype)
    return pixels


def read_split(root: str | os.PathLike[str], split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and labels of "train" or "t10k" as they are in the files; raises what :func:`load_mnist` does."""
    return _read(root, f"{split}-images-idx3-ubyte"), _read(root, f"{split}-labels-idx1-ubyte")


def _read(root: str | os.PathLike[str], name: str) -> NDArray[np.uint8]:
    folder = Path(root) / "MNIST" / "raw"
    remedy = f"'python -m numpy_nn fetch-mnist --root {os.fspath(root)}' gets MNIST"
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            try:
                array = read_idx(path)
            except ValueError as error:
                raise ValueError(f"{error}; {remedy}") from None
            shape, crc32 = FILES[name]
            if array.dtype != np.uint8 or array.shape != shape:
                found = f"{array.dtype} of shape {array.shape}"
                raise ValueError(f"{path}: expected uint8 of shape {shape}, got {found}; {remedy}")
            if zlib.crc32(array.data) != crc32:
                raise ValueError(f"{path} is damaged, or not MNIST's: its entries have another CRC-32; {remedy}")
            return array
    raise FileNotFoundError(f"{folder / name} is missing; {remedy}")


def read_idx(path: str | bytes | os.PathLike[str]) -> NDArray[Any]:
    """The array in an IDX file, gzipped if its name ends in ``.gz``, in native byte order.

    The format: two zero bytes, a code for the type of the entries, the number of dimensions, each dimension as a
    big-endian unsigned 32-bit integer, and the entries in C order, big-endian. ValueError, naming the file, for
    another beginning, an unknown code, no dimensions, a file shorter or longer than its dimensions say, or damaged
    gzip. A file that is not gzipped holds no checksum: a changed entry is read as it is, and so are all entries if
    the code has become that of another type of the same size.
    """
    name = os.fsdecode(path)
    try:
        if name.endswith(".gz"):
            with gzip.open(name, "rb") as unzipped:
                return _read_idx(cast(BinaryIO, unzipped))
        with open(name, "rb") as file:
            return _read_idx(file)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{name}: {error}") from None


def _read_idx(file: BinaryIO) -> NDArray[Any]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise ValueError(f"not an IDX file: expected two zero bytes, a type and a rank, got {magic.hex(' ')!r}")
    code, rank = magic[2], magic[3]
    if code not in IDX_DTYPES:
        raise ValueError(f"unknown IDX type 0x{code:02x}")
    if rank == 0:
        raise ValueError("expected at least one dimension, got none")
    header = file.read(4 * rank)
    if len(header) < 4 * rank:
        raise ValueError(f"cut short: expected {rank} dimensions, got {len(header) // 4}")
    shape = tuple(int.from_bytes(header[i : i + 4], "big") for i in range(0, 4 * rank, 4))
    dtype = np.dtype(IDX_DTYPES[code])
    expected = math.prod(shape) * dtype.itemsize
    body = _read_at_most(file, expected + 1)
    if len(body) != expected:
        size = f"{len(body):,}" if len(body) < expected else "more"
        raise ValueError(f"expected {expected:,} bytes for dimensions {shape}, got {size}")
    return np.frombuffer(body, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _read_at_most(file: BinaryIO, limit: int, chunk: int = 1 << 24) -> bytearray:
    """Up to ``limit`` bytes, piece by piece, so that a header which lies about its size cannot claim the memory."""
    body = bytearray()
    while len(body) < limit and (piece := file.read(min(chunk, limit - len(body)))):
        body += piece
    return body
