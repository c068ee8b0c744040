"""Runs of train_mnist that are stopped and go on; on few images, for speed."""

import json
import os
import shutil
from dataclasses import asdict

import needs
import numpy as np
import pytest
from mnist_runs import EPOCHS, RUN, assert_same_run, only_few, train, undrawn

import numpy_nn as nn
from numpy_nn._support import checkpoint
from numpy_nn.training import Epoch
from scripts.mnist import checkpoints, numpy_trainer, recipe, torch_trainer


@pytest.fixture(autouse=True)
def tiny(mnist):
    # Three batches of 64 and one of 8.
    with only_few(mnist, 200, 50), undrawn():
        yield


@pytest.fixture
def keep_all(monkeypatch):
    """Every epoch's checkpoint stays."""
    monkeypatch.setattr(checkpoints.Checkpoints, "_remove_all_but", lambda *_: None)


def stop_after(epoch, whole, out):
    """A folder as a run leaves it that is killed after this epoch."""
    out.mkdir()
    for done in range(1, epoch + 1):
        shutil.copy(whole / f"checkpoint-{done}.npz", out)
    return out


def with_batch_norm_and_dropout(monkeypatch):
    def build(made):
        net = nn.MLP([784, *made.hidden, 10], "prelu", batch_norm=True, dropout=0.3, rng=made.seed, dtype=made.dtype)
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)
        return net, loss, recipe.OPTIMIZERS[made.optimizer](net.parameters(), made.lr)

    for trainer in (numpy_trainer, torch_trainer):
        monkeypatch.setattr(trainer, "build", build)


@pytest.mark.slow
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
    assert train(whole, *arguments) == 0
    for epoch in (1, 3):
        out = stop_after(epoch, whole, tmp_path / f"stopped after {epoch}")
        assert train(out, *arguments, "--resume") == 0
        assert_same_run(whole, out)


@pytest.mark.slow
@pytest.mark.usefixtures("keep_all")
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_whatever_a_recipe_does_goes_on(tmp_path, engine):
    arguments = ["--engine", engine, "--epochs", str(EPOCHS), "--optimizer", "nesterov", "--batch-norm"]
    arguments += ["--rotation", "10", "--alpha", "9", "--adversarial", "0.5", "--average", "0.9"]
    arguments += ["--max-norm", "1", "--clip-norm", "1", "--label-smoothing", "0.1", "--input-dropout", "0.1"]
    whole = tmp_path / "whole"
    assert train(whole, *arguments) == 0
    out = stop_after(2, whole, tmp_path / "stopped")
    assert train(out, *arguments, "--resume") == 0
    assert_same_run(whole, out)


@needs.torch
@pytest.mark.usefixtures("keep_all")
def test_both_engines_go_on_from_one_file(tmp_path):
    arguments = ["--engine", "both", "--epochs", str(EPOCHS), "--dtype", "float64"]
    assert train(tmp_path / "whole", *arguments) == 0
    out = stop_after(2, tmp_path / "whole", tmp_path / "out")
    assert train(out, *arguments, "--resume") == 0
    assert_same_run(tmp_path / "whole", out)


@pytest.mark.usefixtures("keep_all")
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_checkpoint_in_which_the_engines_count_the_epochs_too_goes_on(tmp_path, engine):
    arguments = ["--engine", engine, "--epochs", str(EPOCHS)]
    assert train(tmp_path / "whole", *arguments) == 0
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
    assert train(out, *arguments, "--resume") == 0
    assert_same_run(tmp_path / "whole", out)


def test_the_last_two_checkpoints_are_kept_and_those_of_an_earlier_run_are_not(tmp_path, capsys):
    assert train(tmp_path, *RUN) == 0
    assert "checkpoint-3.npz, checkpoint-4.npz" in ", ".join(sorted(os.listdir(tmp_path)))
    assert train(tmp_path, "--engine", "numpy", "--epochs", "1") == 0
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-1.npz"]
    assert "is replaced" not in capsys.readouterr().out


def test_a_new_run_says_that_it_replaces_one_that_was_not_over(tmp_path, capsys):
    assert train(tmp_path, *RUN) == 0
    (tmp_path / "checkpoint-4.npz").unlink()
    capsys.readouterr()
    assert train(tmp_path, *RUN) == 0
    assert "a run that --resume goes on with; it is replaced after the first epoch" in capsys.readouterr().out


def test_a_finished_run_says_so_and_writes_its_results_again(tmp_path, capsys):
    assert train(tmp_path, *RUN) == 0
    before = (tmp_path / "history.json").read_text(), (tmp_path / "numpy.npz").read_bytes()
    (tmp_path / "history.json").unlink()
    (tmp_path / "numpy.npz").unlink()
    capsys.readouterr()
    assert train(tmp_path, *RUN, "--resume") == 0
    assert "checkpoint-4.npz: the run is finished, 4 of 4 epochs" in capsys.readouterr().out
    assert json.loads(before[0])["epochs"] == json.loads((tmp_path / "history.json").read_text())["epochs"]
    assert before[1] == (tmp_path / "numpy.npz").read_bytes()


def test_without_a_checkpoint_it_starts_at_the_beginning(tmp_path, capsys):
    assert train(tmp_path / "whole", *RUN) == 0
    assert train(tmp_path / "out", *RUN, "--resume") == 0
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
    assert train(tmp_path, *RUN) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()
    assert train(tmp_path, *RUN, *options, "--resume") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"checkpoint-4.npz is of a run {message}" in error
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_with_a_constant_rate_can_have_more_epochs(tmp_path):
    arguments = ["--engine", "numpy", "--optimizer", "momentum", "--lr", "0.01"]
    assert train(tmp_path / "whole", *arguments, "--epochs", "4") == 0
    assert train(tmp_path / "out", *arguments, "--epochs", "2") == 0
    assert train(tmp_path / "out", *arguments, "--epochs", "4", "--resume") == 0
    assert_same_run(tmp_path / "whole", tmp_path / "out")


def test_a_one_cycle_run_cannot(tmp_path, capsys):
    assert train(tmp_path, *RUN, "--schedule", "one-cycle") == 0
    assert train(tmp_path, *RUN, "--schedule", "one-cycle", "--epochs", "5", "--resume") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "its schedule, one-cycle, is made for 4 epochs and can have no more" in error


def test_another_number_of_threads_is_allowed_and_told(tmp_path, capsys):
    assert train(tmp_path, *RUN) == 0
    assert train(tmp_path, *RUN, "--threads", "2", "--resume") == 0
    assert "--threads was 1, is 2: the run goes on to rounding" in capsys.readouterr().out


def test_a_run_that_finds_its_number_of_threads_says_which_it_had_and_that_it_goes_on_to_rounding(tmp_path, capsys):
    assert train(tmp_path, *RUN, "--threads", "auto:2", "--epochs", "2") == 0
    assert "1 to 2 threads" in capsys.readouterr().out
    assert train(tmp_path, *RUN, "--threads", "auto:2", "--resume") == 0
    said = capsys.readouterr().out
    history = json.loads((tmp_path / "history.json").read_text())
    assert history["settings"]["threads"] == "auto"
    steps = [row["numpy"]["threads"] for row in history["epochs"]]
    assert [sum(counts.values()) for counts in steps] == [4] * EPOCHS
    had = ", ".join(sorted({number for counts in steps[:2] for number in counts}))
    assert f"--threads auto had {had} so far: the run goes on to rounding, not to the last bit\n" in said
    assert train(tmp_path, *RUN, "--threads", "1", "--resume") == 0
    assert "--threads was auto, is 1: the run goes on to rounding" in capsys.readouterr().out


def test_of_one_thread_there_is_nothing_to_find(tmp_path, capsys):
    assert train(tmp_path, *RUN, "--threads", "auto:1") == 0
    assert train(tmp_path, *RUN, "--threads", "1", "--resume") == 0
    assert "rounding" not in capsys.readouterr().out
    history = json.loads((tmp_path / "history.json").read_text())
    assert history["settings"]["threads"] == 1
    assert all("threads" not in row["numpy"] for row in history["epochs"])


def test_without_threadpoolctl_the_threads_are_the_environments(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(numpy_trainer, "blas_setter", lambda: None)
    assert train(tmp_path, *RUN, "--threads", "auto:2") == 0
    assert "its threads are the environment's\n" in capsys.readouterr().out
    history = json.loads((tmp_path / "history.json").read_text())
    assert all("threads" not in row["numpy"] for row in history["epochs"])


def test_seeds_are_runs_of_their_own(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        train(tmp_path, "--seeds", "2", "--resume")
    assert exit_.value.code == 2
    assert "argument --resume" in capsys.readouterr().err
