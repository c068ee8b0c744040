"""Runs of train_mnist whose checkpoints are damaged, that cannot be written, are interrupted, or diverge."""

import errno
import io
import os
import shutil
from pathlib import Path

import needs
import numpy as np
import pytest
from mnist_runs import EPOCHS, RUN, assert_same_run, only_few, train, undrawn

import numpy_nn as nn
from numpy_nn._support import checkpoint
from scripts.mnist import checkpoints, machines, numpy_trainer, run

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def tiny(mnist):
    # Three batches of 64 and one of 8.
    with only_few(mnist, 200, 50), undrawn():
        yield


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def foreign(path):
    path.write_text("not a checkpoint")


def of_a_network_alone(path):
    nn.MLP([784, 8, 6, 10], rng=0).save(path)


def without_settings(path):
    checkpoint.write(path, {checkpoints.RUN: np.array("[]")})


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncated, foreign, of_a_network_alone, without_settings])
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(tmp_path, capsys, damage):
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert train(whole, *RUN) == 0
    shutil.copytree(whole, out)
    damage(out / "checkpoint-4.npz")
    capsys.readouterr()
    assert train(out, *RUN, "--resume") == 0
    output = capsys.readouterr().out
    assert "checkpoint-4.npz: " in output
    assert "falling back on the one before" in output
    assert "going on after epoch 3 of 4" in output
    assert_same_run(whole, out)


def test_two_damaged_checkpoints_are_refused_and_left_alone(tmp_path, capsys):
    assert train(tmp_path, *RUN) == 0
    for epoch in (3, 4):
        truncated(tmp_path / f"checkpoint-{epoch}.npz")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert train(tmp_path, *RUN, "--resume") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no good checkpoint left" in error
    assert "checkpoint-3.npz: " in error
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_killed_writer_left_is_removed(tmp_path):
    (tmp_path / ".checkpoint-3.npz.abc.tmp").write_bytes(b"half")
    (tmp_path / ".other.tmp").write_bytes(b"not ours")
    assert train(tmp_path, *RUN) == 0
    assert [path.name for path in tmp_path.glob(".*")] == [".other.tmp"]


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_disk_that_is_full_in_the_middle_ends_the_run_with_one_line(tmp_path, capsys, monkeypatch, engine):
    arguments = ["--engine", engine, "--epochs", str(EPOCHS)]
    assert train(tmp_path / "whole", *arguments) == 0
    out, flush = tmp_path / "out", os.fsync

    def full(descriptor):
        if (out / "checkpoint-2.npz").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert train(out, *arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"No space left on device: {str(out / 'checkpoint-3.npz')!r}; the last good" in error
    assert f"the last good checkpoint is {out / 'checkpoint-2'}" in error
    assert sorted(os.listdir(out)) == ["checkpoint-1.npz", "checkpoint-2.npz"]
    assert train(out, *arguments, "--resume") == 0
    assert_same_run(tmp_path / "whole", out)


def test_a_new_run_that_finds_the_disk_full_leaves_the_checkpoints_of_the_one_before(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert train(tmp_path, *RUN) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(os, "fsync", full)
    assert train(tmp_path, *RUN, "--seed", "1") == 2
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@needs.posix
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_write_that_the_system_refuses_half_way_is_one_line(tmp_path, capsys, engine):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        status = train(tmp_path, "--engine", engine, "--epochs", "1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert f"{str(tmp_path / 'checkpoint-1.npz')!r}; there is no checkpoint yet" in error
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_told_before_training(tmp_path, capsys, monkeypatch):
    def refuse(dir):
        raise PermissionError(errno.EACCES, "Permission denied", str(dir))

    # The superuser may write anywhere, so the system's refusal is played.
    monkeypatch.setattr(run.tempfile, "TemporaryFile", refuse)
    assert train(tmp_path, *RUN) == 2
    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    assert f"Permission denied: {str(tmp_path)!r}" in output.err
    assert "epoch" not in output.out


def test_after_ctrl_c_it_goes_on_from_the_last_whole_epoch(tmp_path, capsys, monkeypatch):
    assert train(tmp_path / "whole", *RUN) == 0
    out, train_epoch = tmp_path / "out", numpy_trainer.NumpyTrainer.train_epoch

    def interrupted(self, epoch, after_batch):
        if epoch == 3:
            self.net.parameters().data[...] = 7.0  # half an epoch that must not count
            raise KeyboardInterrupt
        return train_epoch(self, epoch, after_batch)

    with monkeypatch.context() as patched:
        patched.setattr(numpy_trainer.NumpyTrainer, "train_epoch", interrupted)
        assert train(out, *RUN) == 130
    output = capsys.readouterr().out
    assert "interrupted after 2 whole epochs; writing what there is, weights between two epochs; " in output
    assert f"; --resume goes on from {out / 'checkpoint-2'}" in output
    assert train(out, *RUN, "--resume") == 0
    assert_same_run(tmp_path / "whole", out)


@pytest.mark.parametrize(("engine", "steps"), [("numpy", "step 2"), ("torch", "steps 1 to 4")])
def test_a_rate_that_is_too_high_is_one_line_with_the_place(tmp_path, capsys, engine, steps):
    assert train(tmp_path, "--engine", engine, "--lr", "1e30") == 3
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
    assert train(tmp_path, *RUN) == 3
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
    assert train(tmp_path, "--engine", engine, "--epochs", str(EPOCHS)) == 3
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
