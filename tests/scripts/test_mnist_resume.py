"""Runs of train_mnist that are stopped and go on, cannot be written, or diverge; on few images, for speed."""

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import needs
import numpy as np
import pytest
from mnist_runs import undrawn

import numpy_nn as nn
from numpy_nn._support import checkpoint
from numpy_nn.training import Epoch
from scripts import kill_and_resume, train_mnist
from scripts.mnist import checkpoints, machines, numpy_trainer, recipe, run, torch_trainer

ROOT = Path(__file__).parents[2]
EPOCHS = 4
SMALL = ("--hidden", "8,6", "--device", "cpu", "--threads", "1", "--data", str(ROOT / "data"))
RUN = ("--engine", "numpy", "--epochs", str(EPOCHS))


@pytest.fixture(autouse=True)
def tiny(mnist, monkeypatch):
    """200 training and 50 test images: three batches of 64 and one of 8."""

    def load(_root, *, dtype):
        x, y, x_test, y_test = mnist
        return nn.MNIST(x[:200].astype(dtype), y[:200], x_test[:50].astype(dtype), y_test[:50])

    monkeypatch.setattr(train_mnist.nn, "load_mnist", load)
    with undrawn():
        yield


@pytest.fixture
def keep_all(monkeypatch):
    """Every epoch's checkpoint stays."""
    monkeypatch.setattr(checkpoints.Checkpoints, "_remove_all_but", lambda *_: None)


def main(out, *arguments):
    return train_mnist.main([*SMALL, "--out", str(out), *arguments])


def stop_after(epoch, whole, out):
    """A folder as a run leaves it that is killed after this epoch."""
    out.mkdir()
    for done in range(1, epoch + 1):
        shutil.copy(whole / f"checkpoint-{done}.npz", out)
    return out


def numbers(path):
    """The arrays of a checkpoint that NumPy wrote, which hold neither seconds nor words."""
    return {name: array.tobytes() for name, array in checkpoint.read(path).items() if array.dtype.kind == "f"}


def assert_same_run(whole, out):
    assert kill_and_resume.differences(whole, out) == []
    assert numbers(whole / f"checkpoint-{EPOCHS}.npz") == numbers(out / f"checkpoint-{EPOCHS}.npz")


def with_batch_norm_and_dropout(monkeypatch):
    def build(made):
        net = nn.MLP([784, *made.hidden, 10], "prelu", batch_norm=True, dropout=0.3, rng=made.seed, dtype=made.dtype)
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)
        return net, loss, recipe.OPTIMIZERS[made.optimizer](net.parameters(), made.lr)

    for trainer in (numpy_trainer, torch_trainer):
        monkeypatch.setattr(trainer, "build", build)


@pytest.mark.usefixtures("keep_all")
@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize(("optimizer", "schedule"), [("momentum", "one-cycle"), ("adam", "constant")])
@pytest.mark.parametrize("layers", ["plain", "batch norm and dropout"])
def test_a_resumed_run_is_one_that_was_never_stopped(tmp_path, monkeypatch, engine, optimizer, schedule, layers):
    if layers != "plain":
        with_batch_norm_and_dropout(monkeypatch)
    arguments = ["--engine", engine, "--epochs", str(EPOCHS), "--optimizer", optimizer, "--lr", "0.01"]
    arguments += ["--schedule", schedule]
    whole = tmp_path / "whole"
    assert main(whole, *arguments) == 0
    for epoch in (1, 3):
        out = stop_after(epoch, whole, tmp_path / f"stopped after {epoch}")
        assert main(out, *arguments, "--resume") == 0
        assert_same_run(whole, out)


@pytest.mark.usefixtures("keep_all")
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_whatever_a_recipe_does_goes_on(tmp_path, engine):
    arguments = ["--engine", engine, "--epochs", str(EPOCHS), "--optimizer", "nesterov", "--batch-norm"]
    arguments += ["--rotation", "10", "--alpha", "9", "--adversarial", "0.5", "--average", "0.9"]
    arguments += ["--max-norm", "1", "--clip-norm", "1", "--label-smoothing", "0.1", "--input-dropout", "0.1"]
    whole = tmp_path / "whole"
    assert main(whole, *arguments) == 0
    out = stop_after(2, whole, tmp_path / "stopped")
    assert main(out, *arguments, "--resume") == 0
    assert_same_run(whole, out)


@needs.torch
@pytest.mark.usefixtures("keep_all")
def test_both_engines_go_on_from_one_file(tmp_path):
    arguments = ["--engine", "both", "--epochs", str(EPOCHS), "--dtype", "float64"]
    assert main(tmp_path / "whole", *arguments) == 0
    out = stop_after(2, tmp_path / "whole", tmp_path / "out")
    assert main(out, *arguments, "--resume") == 0
    assert_same_run(tmp_path / "whole", out)


@pytest.mark.usefixtures("keep_all")
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_checkpoint_in_which_the_engines_count_the_epochs_too_goes_on(tmp_path, engine):
    arguments = ["--engine", engine, "--epochs", str(EPOCHS)]
    assert main(tmp_path / "whole", *arguments) == 0
    out = stop_after(2, tmp_path / "whole", tmp_path / "out")
    # As they were before the loop counted alone.
    state = checkpoint.read(out / "checkpoint-2.npz")
    if engine == "torch":
        state["torch.epochs"] = np.array(2)
    else:
        values = json.loads(str(state["numpy.values"]))
        assert values["history"] == []
        values["history"] = [asdict(Epoch(epoch, 1.0, 0.5, None, None, 0.1, 0.1)) for epoch in (1, 2)]
        state["numpy.values"] = np.array(json.dumps(values))
    checkpoint.write(out / "checkpoint-2.npz", state)
    assert main(out, *arguments, "--resume") == 0
    assert_same_run(tmp_path / "whole", out)


def test_the_last_two_checkpoints_are_kept_and_those_of_an_earlier_run_are_not(tmp_path, capsys):
    assert main(tmp_path, *RUN) == 0
    assert "checkpoint-3.npz, checkpoint-4.npz" in ", ".join(sorted(os.listdir(tmp_path)))
    assert main(tmp_path, "--engine", "numpy", "--epochs", "1") == 0
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-1.npz"]
    assert "is replaced" not in capsys.readouterr().out


def test_a_new_run_says_that_it_replaces_one_that_was_not_over(tmp_path, capsys):
    assert main(tmp_path, *RUN) == 0
    (tmp_path / "checkpoint-4.npz").unlink()
    capsys.readouterr()
    assert main(tmp_path, *RUN) == 0
    assert "a run that --resume goes on with; it is replaced after the first epoch" in capsys.readouterr().out


def test_a_finished_run_says_so_and_writes_its_results_again(tmp_path, capsys):
    assert main(tmp_path, *RUN) == 0
    before = (tmp_path / "history.json").read_text(), (tmp_path / "numpy.npz").read_bytes()
    (tmp_path / "history.json").unlink()
    (tmp_path / "numpy.npz").unlink()
    capsys.readouterr()
    assert main(tmp_path, *RUN, "--resume") == 0
    assert "checkpoint-4.npz: the run is finished, 4 of 4 epochs" in capsys.readouterr().out
    assert json.loads(before[0])["epochs"] == json.loads((tmp_path / "history.json").read_text())["epochs"]
    assert before[1] == (tmp_path / "numpy.npz").read_bytes()


def test_without_a_checkpoint_it_starts_at_the_beginning(tmp_path, capsys):
    assert main(tmp_path / "whole", *RUN) == 0
    assert main(tmp_path / "out", *RUN, "--resume") == 0
    assert "no checkpoint in" in capsys.readouterr().out
    assert_same_run(tmp_path / "whole", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hidden", "9"], "with --hidden 8,6, this is one with 9"),
        (["--batch-size", "32"], "with --batch-size 64, this is one with 32"),
        (["--seed", "1"], "with --seed 0, this is one with 1"),
        (["--lr", "0.2"], "with --lr 0.1, this is one with 0.2"),
        (["--optimizer", "adam"], "with --optimizer sgd, this is one with adam"),
        (["--dtype", "float64"], "with --dtype float32, this is one with float64"),
        pytest.param(["--engine", "torch"], "with --engine numpy, this is one with torch", marks=needs.torch),
        (["--standardize"], "with --standardize False, this is one with True"),
        (["--epochs", "3"], "with --epochs 4, this is one with 3"),
    ],
)
def test_a_run_with_other_settings_is_refused_by_their_name(tmp_path, capsys, options, message):
    assert main(tmp_path, *RUN) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()
    assert main(tmp_path, *RUN, *options, "--resume") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"checkpoint-4.npz is of a run {message}" in error
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_with_a_constant_rate_can_have_more_epochs(tmp_path):
    arguments = ["--engine", "numpy", "--optimizer", "momentum", "--lr", "0.01"]
    assert main(tmp_path / "whole", *arguments, "--epochs", "4") == 0
    assert main(tmp_path / "out", *arguments, "--epochs", "2") == 0
    assert main(tmp_path / "out", *arguments, "--epochs", "4", "--resume") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "out")


def test_a_one_cycle_run_cannot(tmp_path, capsys):
    assert main(tmp_path, *RUN, "--schedule", "one-cycle") == 0
    assert main(tmp_path, *RUN, "--schedule", "one-cycle", "--epochs", "5", "--resume") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "its schedule, one-cycle, is made for 4 epochs and can have no more" in error


def test_another_number_of_threads_is_allowed_and_told(tmp_path, capsys):
    assert main(tmp_path, *RUN) == 0
    assert main(tmp_path, *RUN, "--threads", "2", "--resume") == 0
    assert "--threads was 1, is 2: the run goes on to rounding" in capsys.readouterr().out


def test_seeds_are_runs_of_their_own(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(tmp_path, "--seeds", "2", "--resume")
    assert exit_.value.code == 2
    assert "argument --resume" in capsys.readouterr().err


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def foreign(path):
    path.write_text("not a checkpoint")


def of_a_network_alone(path):
    nn.MLP([784, 8, 6, 10], rng=0).save(path)


def without_settings(path):
    checkpoint.write(path, {checkpoints.RUN: np.array("[]")})


@pytest.mark.parametrize("damage", [truncated, foreign, of_a_network_alone, without_settings])
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(tmp_path, capsys, damage):
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert main(whole, *RUN) == 0
    shutil.copytree(whole, out)
    damage(out / "checkpoint-4.npz")
    capsys.readouterr()
    assert main(out, *RUN, "--resume") == 0
    output = capsys.readouterr().out
    assert "checkpoint-4.npz: " in output
    assert "falling back on the one before" in output
    assert "going on after epoch 3 of 4" in output
    assert_same_run(whole, out)


def test_two_damaged_checkpoints_are_refused_and_left_alone(tmp_path, capsys):
    assert main(tmp_path, *RUN) == 0
    for epoch in (3, 4):
        truncated(tmp_path / f"checkpoint-{epoch}.npz")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(tmp_path, *RUN, "--resume") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no good checkpoint left" in error
    assert "checkpoint-3.npz: " in error
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_killed_writer_left_is_removed(tmp_path):
    (tmp_path / ".checkpoint-3.npz.abc.tmp").write_bytes(b"half")
    (tmp_path / ".other.tmp").write_bytes(b"not ours")
    assert main(tmp_path, *RUN) == 0
    assert [path.name for path in tmp_path.glob(".*")] == [".other.tmp"]


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_disk_that_is_full_in_the_middle_ends_the_run_with_one_line(tmp_path, capsys, monkeypatch, engine):
    arguments = ["--engine", engine, "--epochs", str(EPOCHS)]
    assert main(tmp_path / "whole", *arguments) == 0
    out, flush = tmp_path / "out", os.fsync

    def full(descriptor):
        if (out / "checkpoint-2.npz").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert main(out, *arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"No space left on device: {str(out / 'checkpoint-3.npz')!r}; the last good" in error
    assert f"the last good checkpoint is {out / 'checkpoint-2'}" in error
    assert sorted(os.listdir(out)) == ["checkpoint-1.npz", "checkpoint-2.npz"]
    assert main(out, *arguments, "--resume") == 0
    assert_same_run(tmp_path / "whole", out)


def test_a_new_run_that_finds_the_disk_full_leaves_the_checkpoints_of_the_one_before(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert main(tmp_path, *RUN) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(os, "fsync", full)
    assert main(tmp_path, *RUN, "--seed", "1") == 2
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@needs.posix
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_write_that_the_system_refuses_half_way_is_one_line(tmp_path, engine):
    code = (
        "import resource, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))\n"
        "from scripts.train_mnist import main\nsys.exit(main(sys.argv[1:]))"
    )
    arguments = [*SMALL, "--engine", engine, "--epochs", "1", "--batch-size", "5000", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"{str(tmp_path / 'checkpoint-1.npz')!r}; there is no checkpoint yet" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_told_before_training(tmp_path, capsys, monkeypatch):
    def refuse(dir):
        raise PermissionError(errno.EACCES, "Permission denied", str(dir))

    # The superuser may write anywhere, so the system's refusal is played.
    monkeypatch.setattr(run.tempfile, "TemporaryFile", refuse)
    assert main(tmp_path, *RUN) == 2
    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    assert f"Permission denied: {str(tmp_path)!r}" in output.err
    assert "epoch" not in output.out


def test_after_ctrl_c_it_goes_on_from_the_last_whole_epoch(tmp_path, capsys, monkeypatch):
    assert main(tmp_path / "whole", *RUN) == 0
    out, train_epoch = tmp_path / "out", numpy_trainer.NumpyTrainer.train_epoch

    def interrupted(self, epoch, after_batch):
        if epoch == 3:
            self.net.parameters().data[...] = 7.0  # half an epoch that must not count
            raise KeyboardInterrupt
        return train_epoch(self, epoch, after_batch)

    with monkeypatch.context() as patched:
        patched.setattr(numpy_trainer.NumpyTrainer, "train_epoch", interrupted)
        assert main(out, *RUN) == 130
    output = capsys.readouterr().out
    assert "interrupted after 2 whole epochs; writing what there is, weights between two epochs; " in output
    assert f"; --resume goes on from {out / 'checkpoint-2'}" in output
    assert main(out, *RUN, "--resume") == 0
    assert_same_run(tmp_path / "whole", out)


@pytest.mark.parametrize(("engine", "steps"), [("numpy", "step 2"), ("torch", "steps 1 to 4")])
def test_a_rate_that_is_too_high_is_one_line_with_the_place(tmp_path, capsys, engine, steps):
    assert main(tmp_path, "--engine", engine, "--lr", "1e30") == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"train_mnist: {engine}: epoch 1, {steps}: the " in error
    assert "layer " in error
    assert "gradient is " in error
    assert "there is no checkpoint yet" in error


def test_a_process_that_does_not_write_knows_the_last_good_checkpoint_too(tmp_path, capsys, monkeypatch):
    train_epoch = numpy_trainer.NumpyTrainer.train_epoch

    def diverge_in_the_third(self, epoch, after_batch):
        if epoch == 3:
            self.net.parameters().data[...] = np.nan
        return train_epoch(self, epoch, after_batch)

    monkeypatch.setattr(numpy_trainer.NumpyTrainer, "train_epoch", diverge_in_the_third)
    monkeypatch.setattr(machines.Alone, "is_first", False)
    assert main(tmp_path, *RUN) == 3
    assert f"the last good checkpoint is {tmp_path / 'checkpoint-2.npz'}" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_divergence_later_names_the_epoch_and_the_last_good_checkpoint(tmp_path, capsys, monkeypatch, engine):
    write = checkpoints.Checkpoints.write

    def write_then_poison(self, trainers, rows):
        write(self, trainers, rows)
        if len(rows) == 2:
            net = trainers[0].net if engine == "numpy" else trainers[0].model
            weight = net[2].weight
            weight.data[0, 0] = float("inf")

    monkeypatch.setattr(checkpoints.Checkpoints, "write", write_then_poison)
    assert main(tmp_path, "--engine", engine, "--epochs", str(EPOCHS)) == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{engine}: epoch 3, step" in error
    assert f"the last good checkpoint is {tmp_path / 'checkpoint-2.npz'}" in error
    for _, array in nn_arrays(tmp_path / "checkpoint-2.npz", engine):
        assert np.isfinite(array).all()


def nn_arrays(path, engine):
    """The parameters in a checkpoint."""
    state = checkpoint.read(path)
    if engine == "numpy":
        return [(name, array) for name, array in state.items() if name.startswith("numpy.net.")]
    import torch

    content = io.BytesIO(state["torch.state"].tobytes())
    return [(name, tensor.numpy()) for name, tensor in torch.load(content, weights_only=True)["model"].items()]
