"""Seeds as independent processes: what is printed and written, and how they end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import needs
import pytest
from mnist_runs import undrawn

from scripts import train_mnist

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SMALL = ["--engine", "numpy", "--hidden", "8", "--batch-size", "1000", "--data", str(ROOT / "data")]


def test_seeds_at_a_time_are_the_seeds_one_by_one(tmp_path, capsys):
    # On a number of threads that is found while it trains, runs are alike to rounding only.
    short = [*SMALL, "--images", "3000", "--epochs", "1", "--threads", "1"]
    assert train_mnist.main([*short, "--seeds", "3", "--seed", "5", "--jobs", "2", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed-5", "seed-6", "seed-7"]
    losses = []
    for seed in (5, 6, 7):
        history = json.loads((tmp_path / f"seed-{seed}" / "history.json").read_text())
        assert history["settings"]["threads"] == 1
        assert history["settings"]["seed"] == seed
        losses.append(history["epochs"][0]["numpy"]["train_loss"])
        assert sum(line.startswith(f"seed {seed}  MNIST, 784-8-10") for line in lines) == 1
        # The same as alone, to the last bit: with as many threads the sums have the same order.
        with undrawn():
            assert train_mnist.main([*short, "--seed", str(seed), "--out", str(tmp_path / "one")]) == 0
        one = json.loads((tmp_path / "one" / "history.json").read_text())
        assert losses[-1] == one["epochs"][0]["numpy"]["train_loss"]
    assert len(set(losses)) == 3
    assert all(line.startswith(("seed ", "numpy, 3 seeds")) for line in lines)
    assert [line.split(":")[0] for line in lines[-4:]] == ["seed 5", "seed 6", "seed 7", "numpy, 3 seeds"]


def test_the_first_that_fails_ends_the_others_and_says_why(tmp_path, capfd):
    options = ["--engine", "numpy", "--seeds", "4", "--jobs", "2", "--data", str(tmp_path), "--out", str(tmp_path)]
    assert train_mnist.main(options) == 2
    out, err = capfd.readouterr()
    assert err.count("\n") == 1
    assert "fetch-mnist" in err
    assert out == ""


@needs.linux
def test_one_that_is_killed_ends_the_others_and_is_named(tmp_path):
    command = [sys.executable, "-u", "scripts/train_mnist.py", *SMALL, "--epochs", "10000", "--seeds", "2"]
    process = subprocess.Popen(
        [*command, "--jobs", "2", "--out", str(tmp_path)], cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True
    )
    assert process.stdout is not None
    while (line := process.stdout.readline()).split()[:3] != ["seed", "1", "1"]:  # until seed 1 is in its table
        assert line, "the seeds have ended"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (victim,) = (int(child) for child in children if b"seed-1" in Path(f"/proc/{child}/cmdline").read_bytes())
    os.kill(victim, signal.SIGKILL)
    _, err = process.communicate(timeout=needs.HANGS)
    assert process.returncode == 1
    assert err == "train_mnist: seed 1 was killed by SIGKILL, without a word\n"


@needs.linux
def test_ctrl_c_ends_all_with_what_they_have(tmp_path):
    command = [sys.executable, "-u", "scripts/train_mnist.py", *SMALL, "--epochs", "10000", "--seeds", "3"]
    process = subprocess.Popen(
        [*command, "--jobs", "2", "--out", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    seen: set[str] = set()
    while len(seen) < 2:  # until both are in their table
        words = process.stdout.readline().split()
        if words[2] == "1":
            seen.add(words[1])
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=needs.HANGS)
    assert process.returncode == 130
    assert out.count("interrupted after") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed-0", "seed-1"]
    for seed in (0, 1):
        assert (tmp_path / f"seed-{seed}" / "history.json").exists()
    assert not any(Path(f"/proc/{child}").exists() for child in children)
