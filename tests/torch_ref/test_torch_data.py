"""MNIST through torchvision: the same numbers as the dataset's own images, as batches and as tensors."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from idx_files import write_mnist

import numpy_nn as nn
from torch_ref.data import mnist_dataset, mnist_loader, mnist_tensors

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2] / "data"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder with 10 training and 4 test images, in which every value of a pixel occurs."""
    write_mnist(tmp_path, monkeypatch, {"train": 10, "t10k": 4})
    return tmp_path


def test_tensors_are_the_dataset_s_own_images_and_labels(small):
    x_train, y_train, x_test, y_test = mnist_tensors(small)
    for train, x, y in ((True, x_train, y_train), (False, x_test, y_test)):
        dataset = mnist_dataset(small, train=train)
        assert len(x) == len(y) == len(dataset) == (10 if train else 4)
        assert (x.shape[1:], x.dtype, y.dtype) == ((784,), torch.float32, torch.int64)
        for row, label, (image, its_label) in zip(x, y, dataset, strict=True):
            assert image.shape == (1, 28, 28)
            assert torch.equal(row, image.reshape(784))
            assert label == its_label


def test_in_float64_a_pixel_is_its_255th_rounded_once(small):
    x = mnist_tensors(small, dtype=torch.float64)[0]
    np.testing.assert_array_equal(x.numpy().ravel()[:256], np.arange(256) / 255)


def test_both_engines_load_the_same_numbers(mnist):
    for theirs, ours in zip(mnist_tensors(ROOT), mnist, strict=True):
        assert theirs.numpy().dtype == ours.dtype
        np.testing.assert_array_equal(theirs.numpy(), ours)


@pytest.mark.usefixtures("mnist")
def test_some_of_mnist_s_images_are_the_dataset_s_own():
    x_train, y_train, x_test, y_test = mnist_tensors(ROOT)
    for train, x, y in ((True, x_train, y_train), (False, x_test, y_test)):
        dataset = mnist_dataset(ROOT, train=train)
        assert len(dataset) == len(x) == (60_000 if train else 10_000)
        for i in range(0, len(x), 997):
            image, label = dataset[i]
            assert torch.equal(x[i], image.reshape(784))
            assert y[i] == label


@pytest.mark.parametrize("train", [True, False])
def test_the_loader_yields_every_row_in_order_or_shuffled_by_its_generator(small, train):
    x, y = mnist_tensors(small)[:2] if train else mnist_tensors(small)[2:]
    n = len(x)

    def epoch(**options):
        batches = list(mnist_loader(small, train=train, batch_size=3, **options))
        sizes = [min(3, n - start) for start in range(0, n, 3)]
        assert [images.shape for images, _ in batches] == [(size, 1, 28, 28) for size in sizes]
        assert [labels.shape for _, labels in batches] == [(size,) for size in sizes]
        return torch.cat([images for images, _ in batches]).reshape(n, 784), torch.cat(
            [labels for _, labels in batches]
        )

    images, labels = epoch(shuffle=False)
    assert torch.equal(images, x)
    assert torch.equal(labels, y)
    shuffled = [epoch(generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    for images, labels in shuffled:
        # The labels count down, one for each image.
        assert torch.equal(images, x[n - 1 - labels])
        assert sorted(labels.tolist()) == list(range(n))
    assert torch.equal(shuffled[0][1], shuffled[1][1])
    assert any(not torch.equal(labels, y) for _, labels in shuffled)


def test_the_loader_takes_the_rows_of_numpy_nn_s_batches(small):
    x, y = (tensor.numpy() for tensor in mnist_tensors(small)[:2])
    rows, ours = (nn.DataLoader(x, y, 4, rng=3) for _ in range(2))
    batches = mnist_loader(small, batches=rows.indices())
    for (images, labels), (our_images, our_labels) in zip(batches, ours, strict=True):
        np.testing.assert_array_equal(images.reshape(len(images), -1).numpy(), our_images)
        np.testing.assert_array_equal(labels.numpy(), our_labels)


@pytest.mark.parametrize("load", [mnist_dataset, mnist_loader, mnist_tensors])
def test_missing_files_are_said_with_the_command_that_gets_them(load, tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"'python -m numpy_nn fetch-mnist --root {tmp_path}'")):
        load(tmp_path)
