"""The data sets that come in MNIST's files and shape, as arrays: Fashion-MNIST, KMNIST and EMNIST."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numpy_nn._support.checks import choice, float_dtype
from numpy_nn.data.mnist import MNIST, load_mnist, read_idx, scaled

# How many classes each has. torchvision counts EMNIST's letters from 1, and so 27 classes, of which 0 never occurs.
CLASSES = {
    "mnist": 10,
    "fashion-mnist": 10,
    "kmnist": 10,
    "emnist-byclass": 62,
    "emnist-bymerge": 47,
    "emnist-balanced": 47,
    "emnist-letters": 27,
    "emnist-digits": 10,
    "emnist-mnist": 10,
}
FOLDERS = {"fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}


def load_data_set(name: str, root: str | os.PathLike[str] = "data", *, dtype: DTypeLike = np.float32) -> MNIST:
    """The data set of that name, one of :data:`CLASSES`, from torchvision's layout, each file raw or with ``.gz``.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same with ``t10k``, under
    ``root/FashionMNIST/raw/`` and ``root/KMNIST/raw/``. EMNIST's are under ``root/EMNIST/raw/`` and begin with, say,
    ``emnist-balanced-``, with ``test`` in the place of ``t10k``. "mnist" is :func:`load_mnist`.

    All is as torchvision gives it: pixels are divided by 255; EMNIST's images lie transposed, as in the files; its
    letters have the labels 1 to 26. Nobody's checksums are known here but MNIST's, so that only shapes and labels are
    checked. ValueError for another name, or if a file is not what it should be, FileNotFoundError if one is missing,
    both naming it.
    """
    if choice(name, "name", CLASSES) == "mnist":
        return load_mnist(root, dtype=dtype)
    dtype = float_dtype(dtype)
    folder, prefix, test = Path(root) / FOLDERS.get(name, "EMNIST") / "raw", "", "t10k"
    if name not in FOLDERS:
        prefix, test = f"{name}-", "test"
    arrays: list[NDArray[np.uint8]] = []
    for split in (f"{prefix}train", f"{prefix}{test}"):
        images_file, images = _read(folder, f"{split}-images-idx3-ubyte", name)
        labels_file, labels = _read(folder, f"{split}-labels-idx1-ubyte", name)
        if images.dtype != np.uint8 or images.shape[1:] != (28, 28) or not len(images):
            raise ValueError(f"{images_file}: expected uint8 of shape (n, 28, 28), got {images.dtype} {images.shape}")
        if labels.dtype != np.uint8 or labels.shape != (len(images),):
            raise ValueError(
                f"{labels_file}: expected uint8 of shape ({len(images)},), got {labels.dtype} {labels.shape}"
            )
        if labels.max() >= CLASSES[name]:
            raise ValueError(f"{labels_file}: expected labels below {CLASSES[name]}, got {labels.max()}")
        arrays += [images, labels]
    x_train, y_train, x_test, y_test = arrays
    return MNIST(scaled(x_train, dtype), y_train.astype(np.int64), scaled(x_test, dtype), y_test.astype(np.int64))


def _read(folder: Path, file: str, name: str) -> tuple[Path, NDArray[np.uint8]]:
    for path in (folder / file, folder / f"{file}.gz"):
        if path.is_file():
            return path, read_idx(path)
    raise FileNotFoundError(f"{folder / file} is missing; the files of {name} are expected there, each raw or with .gz")
