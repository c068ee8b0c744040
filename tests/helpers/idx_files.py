"""IDX files to be read, and an MNIST of a few images."""

import gzip
import zlib

import numpy as np

from numpy_nn.data import mnist
from numpy_nn.data.mnist import IDX_DTYPES


def idx(array, code=0x08):
    """The array as the bytes of an IDX file."""
    head = bytes([0, 0, code, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.astype(IDX_DTYPES[code]).tobytes()


def write_mnist(root, monkeypatch, sizes):
    """Files with so many images of "train" and "t10k", which count as MNIST for a while; the folder that they are in.

    The pixels take every value in turn, the labels count down.
    """
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for split, n in sizes.items():
        images = np.resize(np.arange(256, dtype=np.uint8), (n, 28, 28))
        labels = np.arange(n, dtype=np.uint8)[::-1].copy()
        for name, array in ((f"{split}-images-idx3-ubyte", images), (f"{split}-labels-idx1-ubyte", labels)):
            (folder / name).write_bytes(idx(array))
            monkeypatch.setitem(mnist.FILES, name, (array.shape, zlib.crc32(array)))
    return folder


def write_data_set(root, folder, names, classes, sizes=(60, 20), zipped=False):
    """Four files of random images, as many as ``sizes`` says, with every label below ``classes``; arrays by name.

    ``names`` are the two beginnings of the files' names, of training and test.
    """
    raw, rng, arrays = root / folder / "raw", np.random.default_rng(0), {}
    raw.mkdir(parents=True)
    for split, n in zip(names, sizes, strict=True):
        arrays[f"{split}-images-idx3-ubyte"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
        arrays[f"{split}-labels-idx1-ubyte"] = np.resize(np.arange(classes, dtype=np.uint8)[::-1], n)
    for name, array in arrays.items():
        path, content = raw / (f"{name}.gz" if zipped else name), idx(array)
        path.write_bytes(gzip.compress(content) if zipped else content)
    return arrays
