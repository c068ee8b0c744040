"""A file is replaced whole or not at all."""

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from numpy_nn._support.atomic import atomic_write


def test_the_file_is_there_when_the_block_ends(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), OSError("without a number")])
def test_after_an_exception_the_old_file_is_there_and_no_other(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write():
        with atomic_write(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)) as raised:
        write()
    assert raised.value is error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*file'"), atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_written_to_names_the_file(tmp_path):
    (tmp_path / "no folder").write_text("")
    path = tmp_path / "no folder" / "file"
    # Windows calls it missing.
    with pytest.raises((NotADirectoryError, FileNotFoundError), match=r"no folder.+file'"), atomic_write(path):
        pass


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077])
def test_the_file_gets_the_permissions_that_open_gives_and_the_mask_stays(tmp_path, mask):
    before = os.umask(mask)
    try:
        with atomic_write(tmp_path / "ours") as file:
            file.write(b"new")
        (tmp_path / "theirs").write_bytes(b"new")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    ours, theirs = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "theirs"))
    assert ours == theirs


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = (
        "import os, signal\nfrom numpy_nn._support.atomic import atomic_write\n"
        f"with atomic_write({str(path)!r}) as file:\n"
        "    file.write(b'new')\n    file.flush()\n    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    # Python does not catch this signal, and on Windows it ends a process as SIGKILL does elsewhere.
    done = subprocess.run([sys.executable, "-c", code], cwd=os.getcwd(), check=False)
    assert abs(done.returncode) == signal.SIGTERM
    assert path.read_bytes() == b"old"
    assert [name for name in os.listdir(tmp_path) if name != "file" and not name.startswith(".file.")] == []
