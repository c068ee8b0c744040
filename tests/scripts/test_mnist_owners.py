"""``train_mnist.py --processes``: several processes own the network, and the run is that of one process."""

import json

import numpy as np
import pytest
from mnist_runs import RUN, assert_same_run, only_few, run, train, undrawn

from scripts.mnist.run import NumpyTrainer

# Each starts processes.
pytestmark = pytest.mark.slow

TOGETHER = (*RUN, "--processes", "2", "--dtype", "float64", "--batch-norm", "--dropout", "0.2")


@pytest.fixture(autouse=True)
def tiny(mnist):
    # Three batches of 64 and one of 8.
    with only_few(mnist, 200, 50), undrawn():
        yield


def test_a_run_is_that_of_one_process_and_goes_on_as_if_it_never_stopped(tmp_path, capsys):
    alone, whole, out = (tmp_path / name for name in ("alone", "whole", "out"))
    assert train(whole, *TOGETHER) == 0
    assert "2 processes" in capsys.readouterr().out
    assert train(alone, *TOGETHER, "--processes", "1") == 0
    assert train(out, *TOGETHER, "--epochs", "2") == 0
    assert train(out, *TOGETHER, "--resume") == 0
    assert_same_run(whole, out)
    with np.load(alone / "numpy.npz") as one, np.load(whole / "numpy.npz") as other:
        assert one.files == other.files
        for name in one.files:
            if one[name].dtype.kind == "f":
                # Sixteen steps, whose rounding errors in float64 are far below what a forgotten part would change.
                np.testing.assert_allclose(other[name], one[name], rtol=0, atol=1e-9, err_msg=name)
    assert train(out, *TOGETHER, "--processes", "1", "--epochs", "5", "--resume") == 0
    assert "--processes was 2, is 1: the run goes on to rounding" in capsys.readouterr().out


def test_auto_tries_both_and_says_how_often_it_took_which(tmp_path, capsys):
    options = ("--engine", "numpy", "--hidden", "8", "--batch-size", "2", "--epochs", "4", "--processes", "auto:2")
    status, history = run(tmp_path, *options, "--threads", "1")
    assert status == 0
    assert history["settings"]["processes"] == "auto"
    used = [row["numpy"]["threads"] for row in history["epochs"]]
    assert set().union(*used) == {"1", "-2"}
    assert sum(steps for row in used for steps in row.values()) == 4 * 100
    assert "2 processes in" in capsys.readouterr().out


def test_auto_trains_in_one_process_what_cannot_be_divided_and_says_why(tmp_path, capsys):
    options = ("--engine", "numpy", "--activation", "prelu", "--epochs", "1", "--processes", "auto:2")
    status, history = run(tmp_path, *options, "--threads", "1")
    assert (status, len(history["epochs"])) == (0, 1)
    said = capsys.readouterr().out
    assert "one process trains: processes: layer 1, PReLU" in said
    assert "one slope for all units" in said


def test_divergence_and_a_lost_process_are_a_line_each(tmp_path, capsys, monkeypatch):
    assert train(tmp_path / "diverges", *RUN, "--processes", "2", "--lr", "1e30") == 3
    assert "the loss is" in capsys.readouterr().err

    trained = NumpyTrainer.train_epoch

    def lose(self, epoch, after_batch):
        if epoch == 2:
            self.owned._workers[0].kill()
        return trained(self, epoch, after_batch)

    monkeypatch.setattr(NumpyTrainer, "train_epoch", lose)
    assert train(tmp_path / "loses", *RUN, "--processes", "2") == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("train_mnist: process 1 of 2 has ended")
    assert said.endswith("checkpoint-1.npz")
    assert "\n" not in said


def test_ctrl_c_leaves_the_weights_of_a_whole_step(tmp_path, monkeypatch):
    trained = NumpyTrainer.train_epoch

    def interrupted(self, epoch, after_batch):
        def tick():
            if epoch == 2:
                raise KeyboardInterrupt
            after_batch()

        return trained(self, epoch, tick)

    monkeypatch.setattr(NumpyTrainer, "train_epoch", interrupted)
    assert train(tmp_path, *RUN, "--processes", "2") == 130
    assert len(json.loads((tmp_path / "history.json").read_text())["epochs"]) == 1
    # One step beyond the checkpoint.
    with np.load(tmp_path / "numpy.npz") as now, np.load(tmp_path / "checkpoint-1.npz") as then:
        assert any((now[name] != then[f"numpy.net.{name}"]).any() for name in now.files if name.endswith("weight"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--engine", "both", "--processes", "2"), "--engine numpy"),
        (("--engine", "numpy", "--processes", "auto", "--clip-norm", "1"), "clip-norm"),
        (("--engine", "numpy", "--processes", "2", "--activation", "prelu"), "one slope for all units"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(tmp_path, capsys, options, reason):
    try:
        status = train(tmp_path, *options)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert reason in capsys.readouterr().err.strip().splitlines()[-1]
