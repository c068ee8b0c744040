"""The main job, from the command line: what it prints, writes and refuses. On the first images of MNIST, for speed."""

import json
import os
import signal
import subprocess
import sys
from functools import partial

import needs
import numpy as np
import pytest
from mnist_runs import DATA, ROOT, run

import numpy_nn as nn
from scripts import train_mnist


@pytest.mark.slow
@needs.torch
@pytest.mark.usefixtures("few")
def test_both_engines_agree_and_everything_is_written(tmp_path, capsys):
    status, history = run(
        tmp_path, "--epochs", "3", "--dtype", "float64", "--hidden", "32,16", "--optimizer", "nesterov", draws=True
    )
    assert status == 0
    assert [row["epoch"] for row in history["epochs"]] == [1, 2, 3]
    for row in history["epochs"]:
        # Seventy steps of float64, whose rounding errors grow by a little more than their number.
        assert row["largest_difference"] < 1e-10
        assert row["numpy"]["train_loss"] == pytest.approx(row["torch"]["train_loss"], rel=1e-10)
        assert row["numpy"]["test_accuracy"] == row["torch"]["test_accuracy"]
        assert row["numpy"]["seconds"] >= 0.0
    written = ["checkpoint-2.npz", "checkpoint-3.npz", "curves.png", "history.json", "numpy.npz", "torch.pt"]
    assert sorted(os.listdir(tmp_path)) == written
    net = nn.MLP([784, 32, 16, 10], dtype=np.float64)
    net.load(tmp_path / "numpy.npz")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    output = capsys.readouterr().out
    assert "largest difference" in output
    assert "torch takes" in output
    assert history["settings"]["hidden"] == [32, 16]
    assert history["machine"]["numpy"] == np.__version__


@needs.torch
@pytest.mark.usefixtures("few")
def test_one_seed_gives_one_run_whatever_the_engines(tmp_path):
    both = run(tmp_path / "both", "--epochs", "1")[1]["epochs"][0]
    for engine in ("numpy", "torch"):
        alone = run(tmp_path / engine, "--epochs", "1", "--engine", engine)[1]["epochs"][0]
        assert alone[engine]["test_accuracy"] == both[engine]["test_accuracy"]
        assert alone[engine]["train_loss"] == both[engine]["train_loss"]
        assert "largest_difference" not in alone


@needs.torchvision
@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_the_tutorials_loader_gives_the_same_batches(tmp_path):
    runs = {
        loader: run(tmp_path / loader, "--epochs", "1", "--engine", "torch", "--device", "cpu", "--loader", loader)[1]
        for loader in ("plain", "resident")
    }
    plain, resident = (runs[loader]["epochs"][0]["torch"] for loader in ("plain", "resident"))
    # The pixels are the same to the bit, and so is what is made of them.
    assert plain["train_loss"] == resident["train_loss"]


@pytest.mark.slow
@pytest.mark.numerical
@needs.torch
@pytest.mark.usefixtures("few")
def test_compiled_and_fused_is_the_same_training(tmp_path, monkeypatch):
    import torch

    # Without the compiler of machine code behind it, which takes half a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    arguments = ["--epochs", "1", "--engine", "torch", "--device", "cpu", "--dtype", "float64", "--activation", "tanh"]
    runs = {
        options: run(tmp_path / "-".join(["run", *options]), *arguments, *options)[1]["epochs"]
        for options in ((), ("--compile", "--fused"))
    }
    for epochs in runs.values():
        for epoch, expected in zip(epochs, runs[()], strict=True):
            # Twenty-four steps of float64, as in the test of both engines.
            assert epoch["torch"]["train_loss"] == pytest.approx(expected["torch"]["train_loss"], rel=1e-10)
            assert epoch["torch"]["test_accuracy"] == expected["torch"]["test_accuracy"]


@pytest.mark.slow
@needs.torch
@pytest.mark.usefixtures("few")
def test_mixed_precision_learns_and_is_in_the_settings(tmp_path):
    arguments = ["--epochs", "2", "--engine", "torch", "--device", "cpu"]
    plain, mixed = (run(tmp_path / name, *arguments, *more)[1] for name, more in (("plain", []), ("amp", ["--amp"])))
    assert (plain["settings"]["amp"], mixed["settings"]["amp"]) == (False, True)
    expected, losses = ([epoch["torch"]["train_loss"] for epoch in history["epochs"]] for history in (plain, mixed))
    assert losses != expected
    assert losses[1] < losses[0] < np.log(10)


@needs.torch
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
def test_a_graph_without_cuda_is_said(tmp_path, capsys, schedule):
    arguments = ["--engine", "torch", "--device", "cpu", "--graph", "--schedule", schedule, "--threads", "1"]
    assert train_mnist.main([*arguments, "--data", DATA, "--out", str(tmp_path)]) == 2
    assert "graph: expected a model on CUDA" in capsys.readouterr().err


@pytest.mark.slow
def test_the_numpy_engine_never_imports_torch(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = sys.modules['torchvision'] = None\n"
        "from scripts.train_mnist import main\n"
        "options = ['--engine', 'numpy', '--epochs', '1', '--threads', '1']\n"
        f"sys.exit(main([*options, '--data', {DATA!r}, '--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "numpy: 9" in done.stdout


@pytest.mark.slow
def test_without_torch_one_line_says_so(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from scripts.train_mnist import main\n"
        f"sys.exit(main(['--engine', 'both', '--data', {DATA!r}, '--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--engine numpy does without torch" in done.stderr


@needs.posix
@pytest.mark.slow
def test_ctrl_c_ends_it_cleanly_with_what_it_has(tmp_path):
    options = ["--engine", "numpy", "--epochs", "1000", "--hidden", "8", "--threads", "1", "--data", DATA]
    command = [sys.executable, "-u", "scripts/train_mnist.py", *options]
    process = subprocess.Popen([*command, "--out", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=needs.HANGS)
    assert process.returncode == 130, rest
    assert lines[2].split()[0] == "1"
    assert "interrupted after" in rest
    assert "--resume goes on from" in rest
    history = json.loads((tmp_path / "history.json").read_text())
    assert 2 <= len(history["epochs"]) < 1000
    nn.MLP([784, 8, 10]).load(tmp_path / "numpy.npz")
    assert (tmp_path / "curves.png").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--hidden", "64,x"],
        ["--hidden", ""],
        ["--hidden", "0"],
        ["--epochs", "0"],
        ["--epochs", "1.5"],
        ["--batch-size", "-1"],
        ["--lr", "nan"],
        ["--lr", "0"],
        ["--lr", "fast"],
        ["--optimizer", "lbfgs"],
        ["--activation", "swish"],
        ["--seed", "-1"],
        ["--dtype", "float16"],
        ["--loader", "plain", "--dtype", "float64"],
        ["--amp", "--dtype", "float64"],
        ["--engine", "jax"],
    ],
)
def test_bad_arguments_give_one_line_that_names_them(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        train_mnist.main(arguments)
    assert exit_.value.code == 2
    assert f"argument {arguments[0]}" in capsys.readouterr().err.splitlines()[-1]


def test_missing_data_names_the_command_that_gets_it(tmp_path, capsys):
    assert train_mnist.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "fetch-mnist" in error


def test_an_unwritable_folder_is_said_before_training(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert train_mnist.main(["--data", DATA, "--out", str(tmp_path / "file" / "out")]) == 2
    assert "file" in capsys.readouterr().err


@needs.torch
@pytest.mark.usefixtures("few")
def test_cuda_where_there_is_none_is_said(tmp_path, capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert train_mnist.main(["--device", "cuda", "--threads", "1", "--data", DATA, "--out", str(tmp_path)]) == 2
    assert "CUDA" in capsys.readouterr().err
