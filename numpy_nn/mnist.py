"""Reading IDX files, MNIST's format, and MNIST as arrays. ``scripts/fetch_mnist.py`` gets the files."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numpy_nn.checks import float_dtype
from numpy_nn.workspace import FloatArray

IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class MNIST(NamedTuple):
    """Images of shape (N, 784) with pixels in [0, 1], and labels of shape (N,) and int64."""

    x_train: FloatArray
    y_train: NDArray[np.int64]
    x_test: FloatArray
    y_test: NDArray[np.int64]


def load_mnist(root: str | os.PathLike[str] = "data", *, dtype: DTypeLike = np.float32) -> MNIST:
    """MNIST from the four files under ``root/MNIST/raw/``, torchvision's layout, each raw or with ``.gz``.

    Pixels are divided by 255, as torchvision's ToTensor does. FileNotFoundError, naming the command that gets them,
    if a file is missing; ValueError if one is damaged or does not hold what its name says.
    """
    dtype = float_dtype(dtype)
    x_train, y_train = _split(root, "train", 60_000, dtype)
    x_test, y_test = _split(root, "t10k", 10_000, dtype)
    return MNIST(x_train, y_train, x_test, y_test)


def _split(
    root: str | os.PathLike[str], split: str, n: int, dtype: np.dtype[Any]
) -> tuple[FloatArray, NDArray[np.int64]]:
    images = _read(root, f"{split}-images-idx3-ubyte", (n, 28, 28))
    labels = _read(root, f"{split}-labels-idx1-ubyte", (n,))
    if labels.max() > 9:
        raise ValueError(f"{split}-labels-idx1-ubyte: expected labels in 0 .. 9, got {labels.max()}")
    pixels: FloatArray = np.divide(images.reshape(n, 784), 255, dtype=dtype)
    return pixels, labels.astype(np.int64)


def _read(root: str | os.PathLike[str], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    folder = Path(root) / "MNIST" / "raw"
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            array = read_idx(path)
            if array.dtype != np.uint8 or array.shape != shape:
                raise ValueError(f"{path}: expected uint8 of shape {shape}, got {array.dtype} of shape {array.shape}")
            return array
    raise FileNotFoundError(
        f"{folder / name} is missing; 'python scripts/fetch_mnist.py --root {os.fspath(root)}' gets MNIST"
    )


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array in an IDX file, gzipped if its name ends in ``.gz``, in native byte order.

    The format: two zero bytes, a code for the type of the entries, the number of dimensions, each dimension as a
    big-endian unsigned 32-bit integer, and the entries in C order, big-endian. ValueError, naming the file, for
    another beginning, an unknown code, no dimensions, a file shorter or longer than its dimensions say, or damaged
    gzip.
    """
    try:
        if os.fspath(path).endswith(".gz"):
            with gzip.open(path, "rb") as unzipped:
                return _read_idx(cast(BinaryIO, unzipped))
        with open(path, "rb") as file:
            return _read_idx(file)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from None


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
