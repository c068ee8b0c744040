"""A small share of scripts/kill_and_resume.py, whose --kills N does as much as one likes."""

import re
import sys
from pathlib import Path

import pytest
import torch
from mnist_runs import only_few, undrawn
from ranks import Forked, ready, run_forked

import numpy_nn as nn
from numpy_nn._support import checked_json
from scripts import kill_and_resume, train_mnist

pytestmark = pytest.mark.slow

SMALL = ("--hidden", "8", "--batch-size", "200", "--threads", "1", "--device", "cpu")


def forked(monkeypatch):
    """Fork what the script starts, on a few made-up images: all but the training takes ten times as long as that."""
    ready()
    worker = Path(__file__).parents[1] / "helpers" / "mnist_worker.py"
    monkeypatch.setattr(kill_and_resume, "COMMAND", [sys.executable, str(worker), "2000"])
    monkeypatch.setattr(kill_and_resume.subprocess, "Popen", Forked)
    monkeypatch.setattr(kill_and_resume.subprocess, "run", run_forked)


@pytest.mark.parametrize(("engine", "kills", "epochs"), [("numpy", 2, 8), ("torch", 1, 4)])
def test_killed_at_random_moments_it_ends_as_if_never_stopped(capsys, monkeypatch, engine, kills, epochs):
    forked(monkeypatch)
    arguments = [*SMALL, "--engine", engine, "--epochs", str(epochs), "--optimizer", "adam", "--lr", "0.003"]
    assert kill_and_resume.main(["--kills", str(kills), *arguments, "--schedule", "one-cycle"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("kill ") for line in lines) == kills
    assert re.fullmatch(
        rf"{kills} kills, [1-9] of them with a checkpoint to go on from, \d while a file was being written; "
        r"(\d+) of \1 runs end alike",
        lines[-1],
    )


def test_a_run_that_ends_otherwise_is_found(tmp_path, mnist):
    with only_few(mnist), undrawn():
        for folder, seed in (("one", "0"), ("again", "0"), ("other", "1")):
            arguments = [*SMALL, "--engine", "numpy", "--epochs", "1", "--seed", seed, "--out", str(tmp_path / folder)]
            assert train_mnist.main(arguments) == 0
    assert kill_and_resume.differences(tmp_path / "one", tmp_path / "again") == []
    names = ("0.weight", "0.bias", "2.weight", "2.bias")
    expected = [*(f"numpy's {name} differs" for name in names), "the history differs"]
    assert kill_and_resume.differences(tmp_path / "one", tmp_path / "other") == expected


def test_a_command_that_fails_is_told(capsys):
    assert kill_and_resume.main(["--kills", "1", "--engine", "numpy", "--data", "/nowhere"]) == 2
    out, err = capsys.readouterr()
    assert "kill_and_resume: train_mnist.py ended with status 2" in err
    # On a fixed number of threads, as otherwise no two runs are alike.
    assert out.startswith("train_mnist.py --threads 1 --engine numpy")


@pytest.mark.parametrize("name", ["history.json", "numpy.npz", "torch.pt"])
def test_a_damaged_end_of_a_run_is_a_difference(tmp_path, name):
    whole, out = tmp_path / "whole", tmp_path / "out"
    for folder in (whole, out):
        folder.mkdir()
        checked_json.write(folder / "history.json", {"epochs": [{"numpy": {"loss": 0.5, "seconds": len(folder.name)}}]})
        nn.MLP([1, 2], rng=0).save(folder / "numpy.npz")
        torch.save({"weight": torch.arange(3.0)}, folder / "torch.pt")
    assert kill_and_resume.differences(whole, out) == []
    content = (out / name).read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:-60] + bytes([content[-60] ^ 0xFF]) + content[-59:]):
        (out / name).write_bytes(damaged)
        (problem,) = kill_and_resume.differences(whole, out)
        assert name in problem
    (out / name).unlink()
    (problem,) = kill_and_resume.differences(whole, out)
    assert name in problem
