"""What one of several processes decides by itself, without starting any; test_distributed.py starts them."""

import numpy as np
import pytest
import torch

import numpy_nn as nn
from numpy_nn.commands.machine.processors import usable_cores
from numpy_nn.training import Metrics
from scripts.mnist import arguments, machines, sweep
from scripts.mnist.arguments import parse
from torch_ref.distributed import is_loss_of_a_process


@pytest.fixture
def second_of_two(monkeypatch):
    """The environment that torchrun gives to rank 1 of 2 on one machine."""
    for name, value in {"RANK": 1, "WORLD_SIZE": 2, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))


def test_alone_nothing_is_shared():
    assert not machines.launched()
    assert machines.processes_here() == 1
    alone = machines.Alone()
    assert alone.is_first
    assert alone.join(parse(["--engine", "both"], "")) is alone
    loader, metrics = nn.DataLoader(np.zeros((3, 1)), np.zeros(3), 3), Metrics(1.0, 0.5)
    assert alone.share_batches(loader) is loader
    assert alone.share_rows(loader.x, loader.y) == (loader.x, loader.y)
    assert alone.mean(metrics, 3) is metrics
    net = nn.MLP([1, 2], rng=0)
    assert alone.all_reduce(net, nn.CrossEntropyLoss(), loader) is None
    assert alone.data_parallel(torch.nn.Linear(1, 2), loader) is None


def test_one_process_under_torchrun_is_alone(monkeypatch):
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_WORLD_SIZE": 1}.items():
        monkeypatch.setenv(name, str(value))
    assert not machines.launched()


@pytest.mark.usefixtures("second_of_two")
def test_rank_1_neither_prints_nor_takes_all_cores():
    assert machines.launched()
    assert not machines.Launched(None).is_first
    assert parse([], "").place.threads == max(1, usable_cores() // 2)
    assert parse(["--threads", "7"], "").place.threads == 7


@pytest.mark.parametrize(
    ("options", "threads", "auto"),
    [([], 8, True), (["auto"], 8, True), (["auto:3"], 3, True), (["auto:1"], 1, False), (["5"], 5, False)],
)
def test_as_many_threads_as_are_asked_for_or_at_most_as_many_as_there_are_processors(
    monkeypatch, options, threads, auto
):
    monkeypatch.setattr(arguments, "usable_cores", lambda: 8)
    place = parse(["--threads", *options] if options else [], "").place
    assert (place.threads, place.auto_threads) == (threads, auto)


def test_seeds_at_a_time_divide_the_processors(monkeypatch):
    monkeypatch.setattr(arguments, "usable_cores", lambda: 8)
    options = parse(["--seeds", "4", "--jobs", "2"], "")
    command = sweep._command([], options, 1)
    assert command[command.index("--threads") + 1] == "auto:4"


@pytest.mark.parametrize("text", ["0", "-1", "auto:0", "auto:", "few", "auto:few", "fixed:2", "1.5"])
def test_other_words_for_threads_are_refused(capsys, text):
    with pytest.raises(SystemExit):
        parse(["--threads", text], "")
    assert f"expected auto, auto:N or a whole number > 0, got '{text}'" in capsys.readouterr().err


@pytest.mark.usefixtures("second_of_two")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "both"], "--engine: several processes train one engine, expected numpy or torch, got both"),
        (["--engine", "torch", "--graph"], "--graph: a captured step"),
        (["--engine", "numpy", "--jobs", "2", "--seeds", "2"], "--jobs: seeds at a time"),
    ],
)
def test_what_several_processes_cannot_do_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        machines.Launched(None).join(parse(options, ""))


@pytest.mark.usefixtures("second_of_two")
def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch):
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="at most 1 processes, one for each GPU, got 2; or use --device cpu"):
        machines.own_device("auto")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert machines.own_device("auto").type == "cuda"
    assert chosen == [1]


def test_only_a_lost_process_is_called_one():
    gloo = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:538] Connection closed by peer [127.0.0.1]:1234"
    assert is_loss_of_a_process(RuntimeError(gloo))
    assert is_loss_of_a_process(torch.distributed.DistBackendError("NCCL timeout"))
    assert not is_loss_of_a_process(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
