"""MNIST through torchvision, from the files that numpy_nn reads: as a DataLoader, and resident on a device."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

from numpy_nn.data.mnist import read_split
from torch_ref.twin import Device


def mnist_dataset(root: str | os.PathLike[str] = "data", *, train: bool = True) -> MNIST:
    """torchvision's MNIST with ToTensor: images of shape (1, 28, 28) in [0, 1].

    FileNotFoundError if the files are not there, ValueError if one is damaged, which torchvision would not see; both
    name the command that gets them.
    """
    read_split(root, "train" if train else "t10k")
    try:
        return MNIST(os.fspath(root), train=train, transform=ToTensor(), download=False)
    except RuntimeError as error:
        command = f"'python -m numpy_nn fetch-mnist --root {os.fspath(root)}' gets MNIST"
        raise FileNotFoundError(f"no MNIST under {os.fspath(root)}; {command} ({error})") from None


def mnist_loader(
    root: str | os.PathLike[str] = "data",
    *,
    train: bool = True,
    batch_size: int = 64,
    shuffle: bool = True,
    generator: torch.Generator | None = None,
    batches: Iterable[Any] | None = None,
) -> DataLoader[Any]:
    """The tutorial's way: batches of (images of shape (batch, 1, 28, 28), labels), made one image at a time.

    ``batches``, if given, says the rows of each batch instead of size and order (a torch batch sampler).
    """
    dataset = mnist_dataset(root, train=train)
    if batches is not None:
        return DataLoader(dataset, batch_sampler=batches)
    return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle, generator=generator)


def mnist_tensors(
    root: str | os.PathLike[str] = "data", *, device: Device = None, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x_train, y_train, x_test, y_test on ``device``: images of shape (N, 784) with pixels in [0, 1], labels int64."""
    tensors: list[Tensor] = []
    for train in (True, False):
        split = mnist_dataset(root, train=train)
        tensors.append(split.data.reshape(-1, 784).to(device).to(dtype) / 255)
        tensors.append(split.targets.to(device))
    return tensors[0], tensors[1], tensors[2], tensors[3]
