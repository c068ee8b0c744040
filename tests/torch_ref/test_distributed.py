"""Several processes train the network that one process trains; what they refuse; how they end."""

import json
import os
import signal
from pathlib import Path
from unittest import mock

import mnist_worker
import needs
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from ranks import Ranks, Torchrun
from run_bound import RunBound

import numpy_nn as nn
from numpy_nn.commands.machine.processors import usable_cores
from scripts.mnist.machines import Alone
from torch_ref.distributed import Group, ShardedLoader, Share

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "tests" / "helpers" / "mnist_worker.py"
ENVIRONMENT = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'helpers'}", "OMP_NUM_THREADS": "1"}

# Rows and options: shares that are equal, shares that are not, and a last batch that is smaller. Smooth activations,
# as rounding decides on which side of a kink a number lies; few steps, as worst cases multiply from step to step.
COMMON = ["--dtype", "float64", "--activation", "tanh", "--hidden", "16"]
ADVERSARIAL = "0.5"
CASES = {
    "equal": (64, ["--batch-size", "32", "--lr", "0.2"]),
    "uneven": (67, ["--batch-size", "30", "--optimizer", "nesterov", "--schedule", "one-cycle"]),
    "adversarial": (40, ["--batch-size", "20", "--lr", "0.2", "--adversarial", ADVERSARIAL]),
    "last": (45, ["--batch-size", "19", "--optimizer", "adam", "--lr", "0.01", "--label-smoothing", "0.1"]),
}
ENGINES = ("numpy", "torch")


def options_of(name, engine):
    """The options of a case for an engine."""
    return ["--engine", engine, *COMMON, *CASES[name][1]]


def bound_of(name, processes):
    """What rounding leaves open of a case's parameters, in so many processes."""
    trainer = mnist_worker.trainer(CASES[name][0], options_of(name, "numpy"), Alone())
    epsilon = float(ADVERSARIAL) if name == "adversarial" else 0.0
    held = RunBound(trainer.net, trainer.loss, trainer.loader, processes, epsilon)
    trainer.each_step.append(held)
    with np.errstate(all="ignore"):
        trainer.train_epoch(1, lambda: None)
    return held.parameters()


@pytest.fixture(scope="module")
def alone():
    """The cases in one process."""
    return {
        (name, engine): mnist_worker.train(CASES[name][0], options_of(name, engine), Alone())
        for name in CASES
        for engine in ENGINES
    }


@pytest.fixture(scope="module", params=[2, 4], ids="{} processes".format)
def together(request, tmp_path_factory):
    """How many processes there are, the folder in which they leave the cases' parameters, and what else they found."""
    folder = tmp_path_factory.mktemp("together")
    cases = {f"{name}-{engine}": (CASES[name][0], options_of(name, engine)) for name in CASES for engine in ENGINES}
    script = ROOT / "tests" / "helpers" / "distributed_worker.py"
    statuses, _, err = Ranks(request.param, folder / "printed", script, folder, json.dumps(cases)).wait()
    assert statuses == [0] * request.param, err
    return request.param, folder, json.loads((folder / "results.json").read_text())


@pytest.mark.slow
@pytest.mark.numerical
def test_several_processes_train_exactly_what_one_trains_on_numbers_that_need_no_rounding(together):
    assert together[2]["exact"] == {"numpy": True, "torch": True}


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("name", CASES)
def test_several_processes_train_what_one_trains_up_to_rounding(name, alone, together):
    processes, folder, results = together
    for held, runs in (
        (bound_of(name, 1), {engine: alone[name, engine][0].parameters() for engine in ENGINES}),
        (bound_of(name, processes), {engine: np.load(folder / f"{name}-{engine}.npz") for engine in ENGINES}),
    ):
        for engine, parameters in runs.items():
            assert parameters.keys() == held.keys()
            for parameter, rounded in held.items():
                # A wrong weight of a share is an error of some percent: a bound that could hide it would be none.
                assert rounded.error.max() < 1e-6
                assert (np.abs(parameters[parameter] - rounded.value) <= rounded.reach).all(), (engine, parameter)
    for engine in ENGINES:
        result, metrics = results[f"{name}-{engine}"], alone[name, engine][1]
        assert result["same"]
        for (loss, right, *test), (expected_loss, expected_right, *expected_test) in zip(
            result["metrics"], metrics, strict=True
        ):
            # Losses of networks that are as near as that, some 12,700 parameters with gradients of at most 0.01: with a
            # wrong weight among the means the second digit differs. Shares of right rows are means of counts.
            assert (loss, test[0]) == pytest.approx((expected_loss, expected_test[0]), abs=1e-4)
            assert (right, test[1]) == pytest.approx((expected_right, expected_test[1]), rel=1e-15)


def test_a_share_with_a_wrong_weight_is_out_of_bounds():
    held = bound_of("uneven", 2)
    with mock.patch.object(Group, "slice_of", lambda self, n: slice(self.rank * n // 2, (self.rank + 1) * n // 2 - 1)):
        wrong = bound_of("uneven", 2)
    for name, rounded in held.items():
        assert (np.abs(wrong[name].value - rounded.value) > 100 * rounded.reach).any(), name


@pytest.mark.slow
def test_streams_differ_by_rank_and_begin_with_rank_0s(together):
    drawn = together[2]["streams"]
    for rank, (dropout, running_mean) in enumerate(zip(drawn["dropout"], drawn["running_mean"], strict=True)):
        assert dropout == np.random.Generator(np.random.PCG64(7).jumped(rank)).random(4).tolist()
        assert running_mean == [0.0] * 4
    assert drawn["dropout"][0] == np.random.default_rng(7).random(4).tolist()
    torch.manual_seed(5)
    base = int(torch.randint(2**63 - 1, (1,)))
    for rank, numbers in enumerate(drawn["torch"]):
        torch.manual_seed(int(np.random.SeedSequence([base, rank]).generate_state(1, np.uint64)[0]))
        assert numbers == torch.rand(4).tolist()
    both = [*drawn["torch"], *drawn["own"]]
    assert len(set(map(tuple, both))) == len(both)


@pytest.mark.slow
def test_batch_norm_and_dropout_leave_one_network_on_all_ranks(together):
    assert together[2]["batch_norm"]


@pytest.mark.slow
def test_the_average_that_is_judged_is_one_network_too(together):
    assert together[2]["average"] == [True, True]


@needs.posix
@pytest.mark.slow
def test_a_process_that_is_done_ends_without_the_interpreters_shutdown(tmp_path):
    # What threads of torch's do to a shutdown by chance, this does always. What was printed is not lost.
    (tmp_path / "ends.py").write_text(
        "import os; from scripts.mnist import machines\n"
        "for status in (0, 2):\n"
        "    if os.fork() == 0:\n"
        "        try: machines.together(lambda _: print('done, ', end='') or status)\n"
        "        finally: os.abort()\n"
        "    print(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    assert Ranks(1, tmp_path, tmp_path / "ends.py").wait() == ([0], "done, 0\ndone, 2\n", "")


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 8), st.booleans(), st.booleans(), st.integers(0, 99))
def test_shares_are_the_batch_in_order(rows, batch_size, size, shuffle, drop_last, seed):
    x, y = np.arange(2.0 * rows).reshape(rows, 2), np.arange(rows)
    assume(not drop_last or rows >= batch_size)

    def make():
        return nn.DataLoader(x, y, batch_size, shuffle=shuffle, drop_last=drop_last, rng=seed)

    smallest = batch_size if drop_last or rows % batch_size == 0 else rows % batch_size
    if min(smallest, rows) < size:
        with pytest.raises(ValueError, match=f"at least a row for each of {size} processes"):
            ShardedLoader(make(), Group(0, size))
        return
    shards = [ShardedLoader(make(), Group(rank, size)) for rank in range(size)]
    whole, *parts = (two_epochs(loader) for loader in (make(), *shards))
    for batch, (x_batch, y_batch) in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[batch][0] for part in parts]), x_batch)
        np.testing.assert_array_equal(np.concatenate([part[batch][1] for part in parts]), y_batch)
        for shard, part in zip(shards, parts, strict=True):
            assert shard.share(batch % len(shard) + 1) == Share(len(part[batch][1]), len(y_batch))
            assert abs(len(part[batch][1]) - len(y_batch) / size) < 1
    assert 2 * sum(shard.rows() for shard in shards) == sum(len(y_batch) for _, y_batch in whole)


def two_epochs(loader):
    """Copies of the batches, which lie in arrays of the loader's own until the next one."""
    return [(x.copy(), y.copy()) for _ in range(2) for x, y in loader]


def start(processes, folder, *options, **environment):
    """The command on 150 rows in so many processes, without torchrun and the seconds that it takes."""
    return Ranks(processes, folder, WORKER, 150, "--device", "cpu", *options, **environment)


def complaints(stderr):
    """The lines that are ours, among torchrun's own."""
    return [line for line in stderr.splitlines() if line.startswith("train_mnist:")]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_one_process_prints_and_writes(engine, tmp_path):
    written = tmp_path / "out"
    options = ("--engine", engine, "--hidden", "8", "--epochs", "1", "--out", str(written))
    statuses, out, err = start(2, tmp_path / "printed", *options).wait()
    assert statuses == [0, 0], err
    assert out.count("MNIST, 784-8-10") == 1
    assert out.count("written: ") == 1
    history = json.loads((written / "history.json").read_text())
    # The cores are divided among the processes of a machine.
    assert history["settings"]["threads"] == ("auto" if usable_cores() // 2 > 1 else 1)
    saved = {"numpy": "numpy.npz", "torch": "torch.pt"}[engine]
    assert sorted(os.listdir(written)) == sorted(["checkpoint-1.npz", "curves.png", "history.json", saved])
    assert complaints(err) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "both"], "--engine: several processes train one engine, expected numpy or torch, got both"),
        (["--engine", "numpy", "--batch-size", "149"], "expected batches of at least a row for each of 2 processes"),
        (["--engine", "numpy", "--lr", "fast"], "argument --lr"),
    ],
)
def test_what_is_refused_is_said_once(options, said, tmp_path):
    statuses, _, err = start(2, tmp_path, *options, "--out", str(tmp_path / "out")).wait()
    assert statuses == [2, 2]
    assert err.count(said) == 1
    assert err.count("error: ") == ("argument" in said)
    assert len(complaints(err)) == ("argument" not in said)
    assert not (tmp_path / "out" / "history.json").exists()


FOREVER = ["--hidden", "8", "--epochs", "100000"]


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "victim"), [("numpy", 1), ("numpy", 0), ("torch", 1)])
def test_a_killed_rank_ends_the_run_with_one_line(engine, victim, tmp_path):
    # A closed connection is noticed without waiting for an answer, which would take longer than this test may.
    both = start(
        2, tmp_path, "--engine", engine, *FOREVER, "--out", str(tmp_path / "out"), TEST_TIMEOUT=str(2 * needs.HANGS)
    )
    both.lines(3)
    both.processes[victim].kill()
    statuses, out, err = both.wait()
    assert (statuses[victim], statuses[1 - victim]) == (-signal.SIGKILL, 1)
    assert_one_line_of_the_survivor(1 - victim, out, err)


@pytest.mark.slow
def test_a_rank_that_is_told_to_end_as_another_dies_says_one_line(tmp_path):
    # torchrun, which notices the death as well, does so.
    both = start(2, tmp_path, "--engine", "numpy", *FOREVER, "--out", str(tmp_path / "out"))
    both.lines(3)
    both.processes[1].kill()
    os.kill(both.processes[0].pid, signal.SIGTERM)
    statuses, out, err = both.wait()
    assert statuses[0] in (1, 128 + signal.SIGTERM, -signal.SIGTERM)
    assert_one_line_of_the_survivor(0, out, err)


def assert_one_line_of_the_survivor(rank, out, err):
    (line,) = complaints(err)
    assert line.startswith(f"train_mnist: rank {rank}: ")
    assert "process of th" in line
    assert "written: " not in out


@pytest.mark.slow
def test_a_rank_that_hangs_ends_the_run_too(tmp_path):
    options = ["--engine", "numpy", *FOREVER, "--out", str(tmp_path / "out")]
    both = start(2, tmp_path, *options, TEST_HANG="20")
    both.processes[0].join(needs.HANGS)
    both.processes[1].kill()
    statuses, _, err = both.wait()
    assert statuses == [1, -signal.SIGKILL]
    (line,) = complaints(err)
    assert "rank 0: lost another process of this run, which ended or hangs" in line


@pytest.mark.slow
def test_under_torchrun_one_process_prints_and_writes_and_ctrl_c_leaves_what_there_is(tmp_path):
    options = ("--engine", "numpy", *FOREVER, "--out", str(tmp_path))
    launcher = Torchrun(2, tmp_path / "printed", WORKER, 150, "--device", "cpu", *options, **ENVIRONMENT)
    launcher.lines(4)  # two epochs
    os.kill(launcher.processes[0].pid, signal.SIGINT)
    (status,), out, err = launcher.wait()
    assert status not in (0, None)
    assert out.count("MNIST, 784-8-10") == 1
    assert out.count("interrupted after") == 1, (status, err)
    assert complaints(err) == []
    history = json.loads((tmp_path / "history.json").read_text())
    assert len(history["epochs"]) >= 2
    assert history["settings"]["threads"] == ("auto" if usable_cores() // 2 > 1 else 1)
    nn.MLP([784, 8, 10]).load(tmp_path / "numpy.npz")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_run_goes_on_with_another_number_of_processes(engine, tmp_path):
    settings = ("--engine", engine, "--hidden", "8", "--dtype", "float64", "--optimizer", "momentum", "--threads", "1")
    for folder, legs in (("whole", ((1, 2),)), ("resumed", ((2, 1), (1, 2)))):
        for processes, epochs in legs:
            arguments = (*settings, "--epochs", str(epochs), "--out", str(tmp_path / folder), "--resume")
            printed = tmp_path / f"{folder} {processes}"
            statuses, _, err = start(processes, printed, *arguments).wait()
            assert statuses == [0] * processes, err
    whole, resumed = (json.loads((tmp_path / f / "history.json").read_text())["epochs"] for f in ("whole", "resumed"))
    assert [row["epoch"] for row in resumed] == [1, 2]
    # Six steps of float64, whose parameters are bounded as above; without its velocities the second digit differs.
    assert resumed[-1][engine]["test_loss"] == pytest.approx(whole[-1][engine]["test_loss"], rel=1e-4)
    assert resumed[-1][engine]["train_loss"] != resumed[0][engine]["train_loss"]
