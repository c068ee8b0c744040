"""Saving and loading: what goes in comes out, and any other file is refused with the network left as it was."""

import copy
import os
import pickle
import stat
import zipfile

import needs
import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn._support import checkpoint


def small():
    """A network with parameters and buffers."""
    return nn.Sequential(nn.Linear(2, 3, rng=0), nn.BatchNorm1d(3), nn.PReLU(), nn.Linear(3, 1, rng=1))


def assert_same(state, other):
    assert list(state) == list(other)
    for name, array in state.items():
        np.testing.assert_array_equal(array, other[name])


@given(data=st.data(), dtype=our.dtypes)
def test_what_is_saved_is_loaded(data, dtype, tmp_path_factory):
    net = data.draw(our.networks(dtype, 4, max_width=8))
    path = tmp_path_factory.mktemp("round") / "net.npz"
    net.save(path)
    other = copy.deepcopy(net)
    other.parameters().data.fill(7)
    other.load(path)
    assert_same(net.state_dict(), other.state_dict())


@pytest.fixture
def saved(tmp_path):
    """The bytes of a good file, where they lie, and what they hold."""
    net, path = small(), tmp_path / "net.npz"
    net(np.random.default_rng(0).standard_normal((8, 2)).astype(np.float32))
    net.save(path)
    return net, path, path.read_bytes()


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def foreign_files(folder):
    """Files that are no checkpoint of ours."""
    (folder / "text").write_text("weights")
    (folder / "empty").write_bytes(b"")
    with zipfile.ZipFile(folder / "zip", "w") as archive:
        archive.writestr("a.txt", "a")
    np.save(folder / "array.npy", np.zeros(3))
    np.savez(folder / "unmarked.npz", a=np.zeros(3))
    np.savez(folder / "newer.npz", **{checkpoint.MARK: np.int64(99)})
    np.savez(folder / "object.npz", allow_pickle=True, **{checkpoint.MARK: np.array([{}], dtype=object)})
    (folder / "pickle").write_bytes(pickle.dumps({"0.weight": np.zeros(3)}))
    return sorted(path for path in folder.iterdir())


def test_foreign_files_are_refused_by_name(tmp_path):
    net = small()
    before = net.state_dict()
    for path in foreign_files(tmp_path):
        with pytest.raises(ValueError, match=path.name):
            net.load(path)
    assert_same(net.state_dict(), before)
    with pytest.raises(FileNotFoundError):
        net.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "version",
    [np.int64(2), np.int64(0), np.float64(1.5), np.array([1]), np.array([1, 1]), np.array([]), np.array("1")],
    ids=repr,
)
def test_another_version_or_none_that_is_one_number_is_refused(version, tmp_path):
    path = npz(tmp_path / "net.npz", **small().state_dict(), **{checkpoint.MARK: version})
    with pytest.raises(ValueError, match=r"net\.npz: expected format version 1, got "):
        small().load(path)


def test_a_version_that_is_no_array_is_refused(tmp_path):
    path = tmp_path / "net.npz"
    small().save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    del parts[f"{checkpoint.MARK}.npy"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in (*parts.items(), (checkpoint.MARK, b"1")):
            archive.writestr(name, part)
    with pytest.raises(ValueError, match=r"net\.npz: expected format version 1, got b'1'"):
        small().load(path)


def test_every_difference_is_named_and_nothing_is_changed():
    net = small()
    before, state = net.state_dict(), net.state_dict()
    del state["0.bias"]
    state["9.weight"] = np.zeros(1, np.float32)
    state["0.weight"] = np.zeros((3, 2), np.float32)
    state["3.weight"] = state["3.weight"].astype(np.float64)
    with pytest.raises(ValueError, match=r"0\.bias is missing") as info:
        net.load_state_dict(state)
    message = str(info.value)
    assert "9.weight is unexpected" in message
    assert "0.weight: expected shape (2, 3), got (3, 2)" in message
    assert "3.weight: expected float32, got float64" in message
    assert_same(net.state_dict(), before)


def test_a_file_of_another_network_is_refused_with_what_differs(saved):
    _, path, _ = saved
    with pytest.raises(ValueError, match=r"net\.npz: 0.weight: expected shape \(2, 4\), got \(2, 3\)"):
        nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.PReLU(), nn.Linear(4, 1)).load(path)


def test_a_failed_write_leaves_the_old_file_and_no_other(saved, monkeypatch):
    net, path, content = saved

    def disk_full(file, **_):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", disk_full)
    with pytest.raises(OSError, match="No space left"):
        net.save(path)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]


@needs.posix
def test_permissions_follow_the_umask(tmp_path):
    mask = os.umask(0o027)
    try:
        small().save(tmp_path / "net.npz")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "net.npz").stat().st_mode) == 0o640


def test_an_unwritable_folder_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        small().save(tmp_path / "nowhere" / "net.npz")


def test_a_state_dict_is_a_copy():
    net = small()
    state = net.state_dict()
    state["0.weight"].fill(9)
    assert not np.any(net[0].weight.data == 9)


@given(data=st.data(), dtype=our.dtypes)
def test_copies_are_whole_and_independent(data, dtype):
    net = data.draw(our.networks(dtype, 4, max_width=8))
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert repr(other) == repr(net)
        assert_same(other.state_dict(), net.state_dict())
        assert not np.shares_memory(other.parameters().data, net.parameters().data)
        for p in other.parameters():
            assert np.shares_memory(p.data, other.parameters().data)
            assert np.shares_memory(p.grad, other.parameters().grad)
        for layer in other.modules():
            if isinstance(layer, nn.Sequential) and layer.parameters().size:
                assert np.shares_memory(layer.parameters().data, other.parameters().data)


class Bomb:
    """What runs when somebody unpickles it."""

    def __reduce__(self):
        return pytest.fail, ("an entry was unpickled",)


def test_an_entry_that_would_have_to_be_unpickled_is_refused_and_nothing_in_it_runs(tmp_path):
    net, path = small(), tmp_path / "net.npz"
    np.savez(path, allow_pickle=True, **{checkpoint.MARK: np.int64(1), "0.weight": np.array([Bomb()], dtype=object)})
    with pytest.raises(ValueError, match=r"net.npz: Object arrays cannot be loaded"):
        net.load(path)


def test_the_format_has_a_number_that_files_keep(tmp_path):
    checkpoint.write(tmp_path / "ours.npz", {"a": np.arange(3)})
    with np.load(tmp_path / "ours.npz") as archive:
        assert archive["numpy_nn.format"] == 1
    np.savez(tmp_path / "by-hand.npz", **{"numpy_nn.format": np.int64(1), "a": np.arange(3)})
    np.testing.assert_array_equal(checkpoint.read(tmp_path / "by-hand.npz")["a"], np.arange(3))


def test_a_path_may_be_bytes(tmp_path):
    net = nn.MLP([2, 3], rng=0)
    path = os.fsencode(tmp_path / "net.npz")
    net.save(path)
    other = nn.MLP([2, 3], rng=1)
    other.load(path)
    np.testing.assert_array_equal(other.parameters().data, net.parameters().data)
