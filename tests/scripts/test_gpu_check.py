"""What ``make gpu-check`` does with its checks, and the checks themselves as far as a CPU can do them."""

import json
import sys
from functools import partial

import numpy as np
import pytest
import torch
from mnist_runs import DATA, ROOT
from ranks import run_forked
from torch_steps import Captures

import numpy_nn as nn
from scripts import gpu_check
from scripts.gpu import checks, run_checks, step_checks
from scripts.gpu.checks import Check, Failed, perform, run_process
from scripts.gpu.parity_checks import parity_checks
from scripts.gpu.run_checks import SHORTENED, Runs
from scripts.gpu.step_checks import EXACT_RUNS, IN_BFLOAT16, OPTIMIZERS, numpy_steps
from scripts.mnist.arguments import parse
from scripts.mnist.presets import PRESETS
from torch_ref.training import GraphedStep
from torch_ref.twin import COUNTERPARTS

ONLY = "only on CUDA"
machine_facts = gpu_check.machine.describe


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    """What the command changes for itself and the processes that it starts."""
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.setenv("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1")
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    yield
    torch.set_float32_matmul_precision(precision)
    torch.set_num_threads(threads)


def check_cpu(monkeypatch, folder, made, *options):
    """The command with these checks in place of its own: its exit status."""
    monkeypatch.setattr(gpu_check, "all_checks", lambda _: made)
    return gpu_check.main(["--device", "cpu", "--threads", "1", "--out", str(folder), *options])


def test_a_check_that_fails_stops_no_other_one_and_is_told(monkeypatch, tmp_path, capsys):
    def fails():
        raise Failed("a long story\nits end | here")

    def breaks():
        return str(1 / 0)

    made = [
        Check("first", lambda: "0.3 of it"),
        Check("second", fails),
        Check("third", breaks),
        Check("fourth", breaks, ONLY),
        Check("last", lambda: "fine"),
    ]
    assert check_cpu(monkeypatch, tmp_path, made) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["ok", "FAILED", "FAILED", "only", "ok"]
    assert "5 checks in 0 s: 2 ok, 2 FAILED, 1 only on CUDA" in lines
    page = (tmp_path / "gpu-check-cpu.md").read_text()
    assert page.startswith("# GPU check, tried on the CPU: no GPU was used\n")
    assert "| first | ok | 0.0 | 0.3 of it |" in page
    assert "| second | FAILED | 0.0 | its end \\| here |" in page
    assert "## second\n\n```\na long story\nits end | here\n```" in page
    assert "ZeroDivisionError: division by zero" in page
    assert "Traceback" in page


def test_where_nothing_fails_the_status_is_0(monkeypatch, tmp_path, capsys):
    assert check_cpu(monkeypatch, tmp_path, [Check("one", str), Check("another", str, ONLY)]) == 0
    assert "1 ok, 0 FAILED, 1 only on CUDA" in capsys.readouterr().out


def test_ctrl_c_leaves_a_page_of_what_was_done(monkeypatch, tmp_path, capsys):
    def interrupt():
        raise KeyboardInterrupt

    assert check_cpu(monkeypatch, tmp_path, [Check("done", str), Check("stopped", interrupt)]) == 130
    page = (tmp_path / "gpu-check-cpu.md").read_text()
    assert "| done | ok |" in page
    assert "| stopped |" not in page
    assert "interrupted" in capsys.readouterr().out


def test_the_page_is_named_after_the_device(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100 80GB HBM3")
    facts = {"cuda": {"device": "NVIDIA H100 80GB HBM3", "memory": 79 * 2**30, "runtime": "13.2"}}
    monkeypatch.setattr(gpu_check.machine, "describe", lambda threads, **_: {**machine_facts(threads), **facts})
    monkeypatch.setattr(gpu_check, "all_checks", lambda _: [])
    assert gpu_check.main(["--out", str(tmp_path)]) == 0
    page = (tmp_path / "gpu-check-nvidia-h100-80gb-hbm3.md").read_text()
    assert page.startswith("# GPU check: NVIDIA H100 80GB HBM3\n")
    assert "NVIDIA H100 80GB HBM3, 79 GiB; CUDA 13.2; TF32 off." in page


def test_a_trial_without_a_gpu_is_on_one_thread_and_a_check_of_one_on_all_cores(monkeypatch):
    monkeypatch.setattr(gpu_check, "usable_cores", lambda: 16)
    for arguments, threads in {"": 16, "--device cpu": 1, "--device cpu --threads 3": 3, "--threads 2": 2}.items():
        assert gpu_check.parse(arguments.split()).threads == threads


def test_no_gpu_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main(["--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gpu_check: device: expected a machine with CUDA for 'cuda'")
    assert error.count("\n") == 1


def test_a_page_that_could_not_be_written_is_one_line_before_anything_is_checked(monkeypatch, tmp_path, capsys):
    # The superuser may write anywhere, but not over a folder.
    (tmp_path / "gpu-check-cpu.md").mkdir()
    assert check_cpu(monkeypatch, tmp_path, [Check("one", str)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"gpu_check: {tmp_path / 'gpu-check-cpu.md'}: Is a directory\n")


@pytest.mark.slow
def test_products_are_in_float32_here_and_in_every_process_that_is_started():
    torch.set_float32_matmul_precision("high")
    gpu_check.without_tf32()
    assert torch.get_float32_matmul_precision() == "highest"
    ask = "import os, torch; print(torch.get_float32_matmul_precision(), os.environ['NVIDIA_TF32_OVERRIDE'])"
    assert run_process([sys.executable, "-c", ask]) == "highest 0\n"


def all_of(device, folder):
    args = gpu_check.parse(["--device", device, "--out", str(folder), "--data", DATA])
    return gpu_check.all_checks(args)


def test_only_what_cuda_alone_has_is_left_out_on_a_cpu(tmp_path):
    on_cpu, on_cuda = ({check.name: check.needs for check in all_of(device, tmp_path)} for device in ("cpu", "cuda"))
    assert on_cpu.keys() == on_cuda.keys()
    left_out = {name for name, needs in on_cpu.items() if needs}
    assert left_out == {name for name in on_cpu if "captured" in name} | {"resume on the CPU"}
    # And on a machine with one GPU, or none, what needs two.
    assert {name for name, needs in on_cuda.items() if needs} <= {"two processes"}
    args = gpu_check.parse(["--device", "cpu", "--only", "resume, seed"])
    chosen = [
        "preset seed",
        "preset seed, captured, mixed precision",
        "resume",
        "resume, captured",
        "resume on the CPU",
    ]
    assert [check.name for check in gpu_check.all_checks(args)] == chosen


def named(made, name):
    return next(check for check in made if check.name == name)


def test_parity_has_a_row_for_every_layer_loss_and_optimizer():
    names = [check.name for check in parity_checks("cpu")]
    apart = {nn.Linear, nn.Flatten, nn.BatchNorm1d, nn.LayerNorm, nn.Dropout}
    assert {ours for ours, _, _ in COUNTERPARTS} == apart | set(nn.ACTIVATION_LAYERS.values())
    assert set(names) >= {
        f"parity: layer {name}" for name in (*nn.ACTIVATION_LAYERS, "batch norm", "layer norm", "dropout")
    }
    assert set(names) >= {"parity: layers linear and flatten", "parity: loss bce", "parity: optimizer adamw"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "about"), [("layer gelu", "GELU"), ("loss mse", "loss"), ("optimizer nesterov", "steps of SGD")]
)
def test_parity_tells_the_share_of_the_bound_that_was_reached(name, about):
    done = perform(named(parity_checks("cpu"), f"parity: {name}"))
    assert done.result == "ok", done.details
    share, quantity = done.figure.split(" of the bound at most: ")
    assert 0.0 < float(share) <= 1.0
    assert about in quantity


def test_what_both_engines_do_without_rounding_is_equal():
    done = perform(named(parity_checks("cpu"), "parity: layer dropout"))
    assert (done.result, done.figure) == ("ok", "equal, to the last bit")


def test_a_number_beyond_its_bound_fails_with_its_table(monkeypatch):
    backward = nn.ReLU.backward
    monkeypatch.setattr(nn.ReLU, "backward", lambda self, g: 1.001 * backward(self, g))
    done = perform(named(parity_checks("cpu"), "parity: layer relu"))
    assert done.failed
    assert any("ReLU input gradient" in line and "FAILED" in line for line in done.details.splitlines())


@pytest.mark.parametrize(
    ("run", "dtype", "bits"), [*((p, "float64", 40) for p in EXACT_RUNS), (IN_BFLOAT16, "float32", 8)]
)
def test_no_step_rounds_and_every_parameter_moves(run, dtype, bits):
    before = [p.data for p in step_checks.whole_numbers(run, dtype)[0].parameters()]
    for scheduled in (False, True):
        for make in OPTIMIZERS.values():
            after = numpy_steps(run, make, dtype=dtype, scheduled=scheduled)
            for old, new in zip(before, after, strict=True):
                assert (old != new).any()
                # A sum that had been rounded would fill all the digits there are.
                assert (new * 2.0**bits == np.round(new * 2.0**bits)).all()
                assert np.abs(new).max() < 32


STEPS = ("eager", "fused", "fused, rates read from the device", "mixed precision")


@pytest.mark.parametrize("kind", STEPS)
def test_steps_are_numpys_to_the_last_bit(kind):
    done = perform(named(step_checks.step_checks("cpu", ONLY), f"steps: {kind}"))
    assert done.result == "ok", done.details
    assert done.figure.endswith("steps equal to numpy_nn's, to the last bit")


@pytest.fixture
def graphs(monkeypatch):
    """A stand-in for CUDA's graphs in the checks of steps."""

    def captured(step, model, optimizer):
        return GraphedStep(Captures(monkeypatch, step, model, optimizer).recorded_step, model, optimizer)

    monkeypatch.setattr(step_checks, "GraphedStep", captured)


@pytest.mark.slow
@pytest.mark.usefixtures("graphs")
@pytest.mark.parametrize(
    "kind", ["captured", "captured, rates read from the device", "captured as eager, with dropout"]
)
def test_captured_steps_too_with_a_stand_in_for_the_graph(kind):
    done = perform(named(step_checks.step_checks("cpu", ""), f"steps: {kind}"))
    assert done.result == "ok", done.details
    assert done.figure.endswith("to the last bit")


@pytest.mark.usefixtures("graphs")
def test_a_graph_that_does_not_read_the_rate_is_found(monkeypatch):
    monkeypatch.setattr(step_checks, "torch_steps", partial(frozen_rate, step_checks.torch_steps))
    done = perform(named(step_checks.step_checks("cpu", ""), "steps: captured, rates read from the device"))
    assert done.failed
    assert "from numpy_nn's parameters, expected 0" in done.figure


def frozen_rate(torch_steps, *args, **options):
    return torch_steps(*args, **{**options, "scheduled": False})


def test_one_unit_in_the_last_place_is_found(monkeypatch):
    step = nn.SGD.step

    def inexact(self):
        step(self)
        p = self._data[0]
        p[...] = np.nextafter(p, np.inf)

    monkeypatch.setattr(nn.SGD, "step", inexact)
    assert perform(named(step_checks.step_checks("cpu", ONLY), "steps: eager")).failed


class Started:
    """In place of processes: keeps the commands, and writes the histories of runs that end with this accuracy."""

    def __init__(self, monkeypatch, accuracy):
        self.commands, self.accuracy = [], accuracy
        monkeypatch.setattr(run_checks, "run_process", self.run)
        monkeypatch.setattr(run_checks, "differences", lambda *_: [])

    def run(self, command, **_):
        script = next((i for i, part in enumerate(command) if part.startswith("scripts/")), None)
        if script is None or command[script] != "scripts/train_mnist.py":
            return "all passed"
        options = parse(command[script + 1 :], "")  # refuses what the command would refuse
        self.commands.append(options)
        recipe, out = options.recipe, options.place.out
        row = {"test_accuracy": self.accuracy, "seconds": 0.1}
        names = ["numpy", "torch"] if recipe.engine == "both" else [recipe.engine]
        out.mkdir(parents=True, exist_ok=True)
        (out / "history.json").write_text(json.dumps({"epochs": [dict.fromkeys(names, row)]}))
        return ""


def test_every_run_is_one_that_the_command_takes(monkeypatch, tmp_path):
    started = Started(monkeypatch, 0.9)
    for check in all_of("cuda", tmp_path):
        if check.name.startswith(("parity", "steps", "bench")):
            continue
        done = perform(check._replace(needs=""))
        assert not done.failed, done.details
    assert {options.preset for options in started.commands if options.preset} == PRESETS.keys() == SHORTENED.keys()
    assert {options.place.device for options in started.commands} == {"cuda", "cpu"}
    assert [options.recipe.epochs for options in started.commands if options.place.resume] == [2, 2, 2]
    for option in ("graph", "compile", "fused", "amp"):
        assert any(getattr(options.recipe, option) for options in started.commands), option


def test_a_run_that_learns_nothing_fails(monkeypatch, tmp_path):
    Started(monkeypatch, 0.1)
    done = perform(named(all_of("cpu", tmp_path), "epoch, fused"))
    assert done.failed
    assert "torch 10.00% of the test images" in done.figure


def test_a_run_that_does_not_go_on_as_it_was_fails(monkeypatch, tmp_path):
    Started(monkeypatch, 0.9)
    monkeypatch.setattr(run_checks, "differences", lambda *_: ["torch's 0.weight differs"])
    done = perform(named(all_of("cpu", tmp_path), "resume"))
    assert (done.failed, done.figure) == (True, "torch's 0.weight differs")


@pytest.mark.usefixtures("mnist")
@pytest.mark.slow
def test_a_run_tells_accuracy_and_time(tmp_path, monkeypatch):
    # Forked from a process that has torch: to import it takes longer than all of the run.
    monkeypatch.setattr(
        run_checks, "run_process", lambda command: run_forked([command[0], ROOT / command[1], *command[2:]])
    )
    runs = Runs("cpu", gpu_check.Path(DATA), tmp_path, 1)
    figure = runs.train("small", "--images", "1000", "--hidden", "16", "--epochs", "1", "--batch-size", "16")
    assert figure.startswith("torch ")
    assert "of the test images" in figure


@pytest.mark.slow
def test_a_process_that_fails_or_hangs_is_told(monkeypatch):
    with pytest.raises(Failed, match=r"(?s)import sys.*what is wrong.*exit status 3"):
        run_process([sys.executable, "-c", "import sys; print('what is wrong', file=sys.stderr); sys.exit(3)"])
    monkeypatch.setattr(checks, "LIMIT", 0.5)
    with pytest.raises(Failed, match="still running after 0 s"):
        run_process([sys.executable, "-c", "import time; time.sleep(60)"])
