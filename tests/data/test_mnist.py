"""IDX files: read back as written, refused when anything about them is off; and MNIST against torchvision."""

import gzip

import needs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from idx_files import idx

import numpy_nn as nn
from numpy_nn.data.mnist import IDX_DTYPES


@given(data=st.data(), code=st.sampled_from(sorted(IDX_DTYPES)), zipped=st.booleans())
def test_every_type_and_shape_is_read_back(data, code, zipped, tmp_path_factory):
    dtype = np.dtype(IDX_DTYPES[code]).newbyteorder("=")
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)))
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if zipped else "a")
    path.write_bytes(gzip.compress(idx(array, code)) if zipped else idx(array, code))
    read = nn.read_idx(path)
    assert read.dtype == dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


GOOD = idx(np.arange(12, dtype=np.uint8).reshape(3, 4))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("00000801 00000002 00ff", np.array([0, 255], np.uint8)),
        ("00000901 00000002 00ff", np.array([0, -1], np.int8)),
        ("00000b01 00000002 0100 fffe", np.array([256, -2], np.int16)),
        ("00000c02 00000001 00000002 00010000 ffffffff", np.array([[65536, -1]], np.int32)),
        ("00000d01 00000001 3fc00000", np.array([1.5], np.float32)),
        ("00000e01 00000001 bff8000000000000", np.array([-1.5])),
    ],
)
def test_files_written_out_by_hand_are_read(content, expected, tmp_path):
    """The codes of the types as the description of the format has them."""
    (tmp_path / "file").write_bytes(bytes.fromhex(content))
    read = nn.read_idx(tmp_path / "file")
    assert read.dtype == expected.dtype
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + b"\0", "expected 12 bytes .* got more"),
        (b"\1" + GOOD[1:], "expected two zero bytes"),
        (GOOD[:2] + b"\x07" + GOOD[3:], "unknown IDX type 0x07"),
        (GOOD[:3] + b"\0", "expected at least one dimension"),
        (GOOD[:4], "cut short: expected 2 dimensions, got 0$"),
        (GOOD[:8], "cut short: expected 2 dimensions, got 1$"),
        (GOOD[:11], "cut short: expected 2 dimensions, got 1$"),
        (GOOD[:-1], r"expected 12 bytes for dimensions \(3, 4\), got 11$"),
        (b"\0\0\x08\3" + b"\xff" * 12 + bytes(100), "expected 79,.* bytes .* got 100"),
        (b"PK\3\4 something else", "not an IDX file"),
    ],
)
def test_a_wrong_file_is_refused_by_name(content, message, tmp_path):
    path = tmp_path / "wrong"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"wrong: .*{message}"):
        nn.read_idx(path)
    path = tmp_path / "wrong.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=message):
        nn.read_idx(path)


def test_a_missing_file_names_the_command_that_gets_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte is missing; 'python -m numpy_nn fetch-mnist"):
        nn.load_mnist(tmp_path)


def test_files_that_do_not_hold_what_they_should_are_refused_by_name(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(GOOD)
    with pytest.raises(
        ValueError, match=r"train-images-idx3-ubyte: expected uint8 of shape \(60000, 28, 28\), got uint8"
    ):
        nn.load_mnist(tmp_path)


@needs.torchvision
@pytest.mark.slow
def test_mnist_is_torchvisions(mnist):
    from torch_ref.data import mnist_tensors

    for ours, theirs in zip(mnist, mnist_tensors("data"), strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())
    assert [array.shape for array in mnist] == [(60000, 784), (60000,), (10000, 784), (10000,)]
    assert mnist.x_train.dtype == np.float32
    assert (mnist.x_train.min(), mnist.x_train.max()) == (0.0, 1.0)


@pytest.mark.slow
def test_the_dtypes_are_the_same_pixels(mnist):
    double = nn.load_mnist("data", dtype=np.float64)
    assert double.x_test.dtype == np.float64
    np.testing.assert_array_equal(double.x_test.astype(np.float32), mnist.x_test)
    with pytest.raises(TypeError, match="dtype"):
        nn.load_mnist("data", dtype=np.uint8)
