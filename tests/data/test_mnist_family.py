"""Fashion-MNIST, KMNIST and EMNIST, from small files in their places; and what is said of files that are wrong."""

import gzip

import needs
import numpy as np
import pytest
from idx_files import idx, write_data_set
from mnist_runs import run, undrawn

import numpy_nn as nn
from numpy_nn.data.mnist_family import CLASSES
from scripts import train_mnist

PLACES = {
    "fashion-mnist": ("FashionMNIST", ("train", "t10k")),
    "kmnist": ("KMNIST", ("train", "t10k")),
    **{name: ("EMNIST", (f"{name}-train", f"{name}-test")) for name in CLASSES if name.startswith("emnist-")},
}


def test_every_data_set_but_mnist_has_its_place():
    assert {"mnist", *PLACES} == set(CLASSES)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", PLACES)
def test_a_data_set_is_read_from_its_folder(name, zipped, tmp_path):
    folder, names = PLACES[name]
    arrays = list(write_data_set(tmp_path, folder, names, CLASSES[name], (70, 20), zipped).values())
    data = nn.load_data_set(name, tmp_path, dtype=np.float64)
    np.testing.assert_array_equal(data.x_train, arrays[0].reshape(-1, 784) / 255)
    np.testing.assert_array_equal(data.x_test, arrays[2].reshape(-1, 784) / 255)
    for labels, expected in ((data.y_train, arrays[1]), (data.y_test, arrays[3])):
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, expected)
    assert nn.load_data_set(name, tmp_path).x_train.dtype == np.float32


@needs.torchvision
@pytest.mark.slow
@pytest.mark.parametrize("name", ["fashion-mnist", "kmnist", "emnist-letters", "emnist-balanced"])
def test_a_data_set_is_torchvisions(name, tmp_path):
    from torchvision import datasets
    from torchvision.transforms import ToTensor

    folder, names = PLACES[name]
    write_data_set(tmp_path, folder, names, CLASSES[name])
    data = nn.load_data_set(name, tmp_path)
    split = {"split": name.removeprefix("emnist-")} if folder == "EMNIST" else {}
    for train, x, y in ((True, data.x_train, data.y_train), (False, data.x_test, data.y_test)):
        theirs = getattr(datasets, folder)(str(tmp_path), train=train, transform=ToTensor(), **split)
        assert len(theirs.classes) == CLASSES[name]
        assert len(theirs) == len(x)
        for i, (image, label) in enumerate(theirs):
            np.testing.assert_array_equal(x[i], image.numpy().reshape(-1))
            assert y[i] == label


def test_mnist_is_load_mnists(tmp_path):
    with pytest.raises(FileNotFoundError, match="fetch-mnist"):
        nn.load_data_set("mnist", tmp_path)


def test_a_file_that_is_missing_is_named_with_its_place(tmp_path):
    message = r"KMNIST.raw.train-images-idx3-ubyte is missing; the files of kmnist are expected there"
    with pytest.raises(FileNotFoundError, match=message):
        nn.load_data_set("kmnist", tmp_path)


def test_another_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"name: expected one of 'mnist', 'fashion-mnist', .*, got 'cifar'"):
        nn.load_data_set("cifar", tmp_path)
    with pytest.raises(TypeError, match="dtype"):
        nn.load_data_set("kmnist", tmp_path, dtype=int)


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        ("train-images-idx3-ubyte", np.zeros((60, 27, 28)), r"expected uint8 of shape \(n, 28, 28\), got uint8"),
        ("train-images-idx3-ubyte", np.zeros((0, 28, 28)), r"expected uint8 of shape \(n, 28, 28\), got uint8 \(0,"),
        ("train-labels-idx1-ubyte", np.zeros(59), r"expected uint8 of shape \(60,\), got uint8 \(59,\)"),
        ("t10k-labels-idx1-ubyte", np.full(20, 10), "expected labels below 10, got 10"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named(file, array, message, tmp_path):
    write_data_set(tmp_path, "KMNIST", ("train", "t10k"), 10)
    (tmp_path / "KMNIST" / "raw" / file).write_bytes(idx(array.astype(np.uint8)))
    with pytest.raises(ValueError, match=f"{file}: {message}"):
        nn.load_data_set("kmnist", tmp_path)


def test_a_path_may_be_bytes(tmp_path):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for name, content in (("a", idx(array)), ("a.gz", gzip.compress(idx(array)))):
        path = tmp_path / name
        path.write_bytes(content)
        np.testing.assert_array_equal(nn.read_idx(bytes(path)), array)
        path.write_bytes(content[:-9])
        with pytest.raises(ValueError, match=f"{name}: "):
            nn.read_idx(bytes(path))


@needs.torchvision
@pytest.mark.slow
@pytest.mark.parametrize("name", ["fashion-mnist", "emnist-letters"])
def test_both_engines_train_on_it_alike(name, tmp_path):
    folder, names = PLACES[name]
    write_data_set(tmp_path, folder, names, CLASSES[name])
    options = ("--hidden", "8", "--epochs", "2", "--dtype", "float64", "--data-set", name, "--data", str(tmp_path))
    status, history = run(tmp_path, *options)
    assert status == 0
    assert history["settings"]["data_set"] == name
    assert max(row["largest_difference"] for row in history["epochs"]) < 1e-10
    assert np.load(tmp_path / "numpy.npz")["2.weight"].shape == (8, CLASSES[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data-set", "kmnist"], "KMNIST/raw/train-images-idx3-ubyte is missing; the files of kmnist are expected"),
        (["--data-set", "fashion-mnist", "--held-out", "60"], "--held-out: 60 of 60 training images leave none"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(options, message, tmp_path, capsys):
    write_data_set(tmp_path, "FashionMNIST", ("train", "t10k"), 10)
    with undrawn():
        arguments = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--engine", "numpy", *options]
        assert train_mnist.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
