"""The benchmark's command: what it prints, writes and refuses. Nothing here depends on the clock."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from rich.console import Console

from numpy_nn.commands.benchmark import command as benchmark
from numpy_nn.commands.benchmark import engines as registry
from numpy_nn.commands.benchmark import products, report
from numpy_nn.commands.benchmark.cases import Case
from numpy_nn.commands.benchmark.engines import ENGINES
from numpy_nn.commands.benchmark.workload import Workload
from numpy_nn.commands.machine import description as machine

ROOT = Path(__file__).parents[3]

ARGUMENTS = ("--sizes", "6,4,3", "--batch", "4", "--rounds", "3", "--sample-ms", "0.1", "--threads", "1")
NUMPY = ("--engines", "floor,by hand,numpy_nn")


@pytest.mark.slow
def test_results_are_printed_and_written(tmp_path, capsys):
    files = [f"--{kind}={tmp_path / 'new' / kind}" for kind in ("json", "markdown", "png")]
    assert benchmark.main([*ARGUMENTS, *NUMPY, "--kind", "step,optimizer", "--dtype", "float32,float64", *files]) == 0
    output = capsys.readouterr().out
    for heading in report.HEADINGS:
        assert heading in output
    content = json.loads((tmp_path / "new" / "json").read_text())
    assert [result["label"] for result in content["results"]] == [
        "step 6-4-3, batch 4, sgd, float32",
        "step 6-4-3, batch 4, sgd, float64",
        "optimizer 6-4-3, batch 4, sgd, float32",
        "optimizer 6-4-3, batch 4, sgd, float64",
    ]
    assert content["machine"]["threads"] == 1
    assert content["machine"]["versions"]["numpy"] == np.__version__
    assert content["machine"]["blas"]["threads"] == 1
    step, optimizer = content["results"][0]["engines"], content["results"][2]["engines"]
    assert list(step) == ["floor", "by hand", "numpy_nn"]
    assert list(optimizer) == ["by hand", "numpy_nn"]
    for engine in step.values():
        assert engine["threads"] == [1]
        assert len(engine["seconds"]) == 3
        assert engine["median"] == np.median(engine["seconds"])
        assert engine["flop_per_second"] == pytest.approx(content["results"][0]["operations"] / engine["median"])
        assert engine["share_of_peak"] == pytest.approx(engine["flop_per_second"] / content["peak"]["float32"])
        assert engine["over_numpy_nn"]["low"] <= engine["over_numpy_nn"]["median"] <= engine["over_numpy_nn"]["high"]
    assert optimizer["numpy_nn"]["flop_per_second"] is None
    markdown = (tmp_path / "new" / "markdown").read_text()
    assert markdown.count("| numpy_nn |") == 4
    assert (tmp_path / "new" / "png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_each_engine_finds_its_number_of_threads_and_the_table_has_it(tmp_path, capsys):
    options = [*ARGUMENTS[:-2], "--threads", "auto:2", *NUMPY, f"--json={tmp_path / 'json'}"]
    assert benchmark.main(options) == 0
    assert ", 1 to 2 threads on " in capsys.readouterr().out
    content = json.loads((tmp_path / "json").read_text())
    for engine in content["results"][0]["engines"].values():
        assert engine["threads"]
        assert set(engine["threads"]) <= {1, 2}


def test_the_bar_counts_the_turns_and_says_what_is_left():
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    cases = [Case("step", (6, 4, 3)), Case("optimizer", (6, 4, 3))]  # the floor has no optimizer
    with benchmark.turns(cases, ["floor", "numpy_nn"], 3, console) as after_turn:
        for _ in range(9):
            after_turn()
    assert "9/9" in shown.getvalue()
    assert "0:00:00" in shown.getvalue()


def test_there_is_no_bar_in_a_file():
    shown = io.StringIO()
    with benchmark.turns([Case("step", (6, 4, 3))], ["numpy_nn"], 1, Console(file=shown)) as after_turn:
        after_turn()
    assert shown.getvalue() == ""


def fixed_result(case, **seconds):
    """A result with these times in every round."""
    return report.Result(case, {name: [value] * 3 for name, value in seconds.items()})


@pytest.mark.slow
def test_slopes_and_plot_have_a_line_for_each_engine(tmp_path, monkeypatch):
    cases = [Case("step", (784, width, 10)) for width in (64, 16, 256)]
    results = [
        fixed_result(case, floor=1e-6 * case.sizes[1] ** 0.9, numpy_nn=2e-6 * case.sizes[1] ** 1.2) for case in cases
    ]
    found = report.slopes(results, "width")
    assert [(row["engine"], round(row["all"], 6), round(row["last"], 6)) for row in found] == [
        ("floor", 0.9, 0.9),
        ("numpy_nn", 1.2, 1.2),
    ]
    # 2 w (2 x 784 + 3 x 10) operations for each row: a power of exactly 1.
    assert found[0]["operations_last"] == pytest.approx(1.0)
    assert found[0]["operations_all"] == pytest.approx(1.0)
    import matplotlib.pyplot as plt

    figures: list[Any] = []
    monkeypatch.setattr(plt, "close", figures.append)
    report.draw(results, "width", "a title", tmp_path / "figure.png")
    (axis,) = figures[0].axes
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    assert {line.get_label(): list(line.get_xdata()) for line in axis.lines} == {
        "floor": [16, 64, 256],
        "numpy_nn": [16, 64, 256],
    }
    monkeypatch.undo()
    plt.close("all")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (12.34, "12.3 s"),
        (1234.0, "1234 s"),
        (0.01234, "12.3 ms"),
        (12.34e-6, "12.3 µs"),
        (999.4e-6, "999 µs"),
        (999.6e-6, "1 ms"),
    ],
)
def test_durations_have_three_digits_and_a_unit(seconds, text):
    assert report.duration(seconds) == text


@pytest.mark.parametrize(
    "arguments",
    [
        ["--suite", "huge"],
        ["--sizes", "784"],
        ["--sizes", "784,0,10"],
        ["--sizes", "784,x"],
        ["--kind", "sleep"],
        ["--kind", "step"],
        ["--batch", "64"],
        ["--batch", "0", "--sizes", "3,2"],
        ["--dtype", "float16"],
        ["--optimizer", "lbfgs"],
        ["--engines", "tensorflow"],
        ["--rounds", "0"],
        ["--rounds", "1.5"],
        ["--sample-ms", "0"],
        ["--sample-ms", "nan"],
        ["--threads", "-1"],
        ["--threads", "auto:0"],
        ["--rows", "none"],
    ],
)
def test_bad_arguments_give_one_line_that_names_them(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        benchmark.main(arguments)
    assert exit_.value.code == 2
    assert f"argument {arguments[0]}" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_without_cuda_a_line_says_so_and_the_cpu_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benchmark, "has_cuda", lambda: False)
    monkeypatch.setattr(registry, "has_cuda", lambda: False)
    monkeypatch.setattr(benchmark, "ENGINES", {name: ENGINES[name] for name in ("numpy_nn", "torch cuda")})
    assert benchmark.main([*ARGUMENTS, "--gpu"]) == 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no CUDA device here; the engines on the CPU run alone" in error
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["benchmark-custom-cpu.json", "benchmark-custom-cpu.md", "benchmark-custom-cpu.png"]
    content = json.loads((tmp_path / "runs" / names[0]).read_text())
    assert list(content["results"][0]["engines"]) == ["numpy_nn"]


@needs.torch
def test_an_engine_on_cuda_where_there_is_none_is_refused(capsys, monkeypatch):
    monkeypatch.setattr(registry, "has_cuda", lambda: False)
    assert benchmark.main([*ARGUMENTS, "--engines", "torch cuda"]) == 2
    assert capsys.readouterr().err == "benchmark: --engines: torch cuda needs CUDA, and torch finds none here\n"


@needs.torch
def test_a_machine_on_which_torch_cannot_compile_is_one_line(capsys, monkeypatch):
    from torch._inductor.exc import InductorError

    def compiled(*_):
        raise InductorError(ValueError("no compiler"), None)

    monkeypatch.setattr("torch.compile", lambda *_, **__: compiled)
    assert benchmark.main([*ARGUMENTS, "--engines", "torch.compile"]) == 2
    assert capsys.readouterr().err == (
        "benchmark: torch cannot compile here (ValueError: no compiler): it needs a C++ compiler, "
        "and to lie in a path without spaces; leave torch.compile out of --engines\n"
    )
    monkeypatch.setattr("torch.compile", lambda *_, **__: lambda *_: (_ for _ in ()).throw(RuntimeError("another")))
    with pytest.raises(RuntimeError, match="another"):
        benchmark.main([*ARGUMENTS, "--engines", "torch.compile"])


def test_a_peer_that_is_installed_and_broken_is_refused_in_a_line(capsys, monkeypatch, tmp_path):
    (tmp_path / "jax.py").write_text("import a_module_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    assert benchmark.main([*ARGUMENTS, "--engines", "numpy_nn,jax"]) == 2
    assert capsys.readouterr().err == (
        "benchmark: a peer is installed, but not to be imported: No module named 'a_module_that_nobody_has'; "
        "name others by --engines\n"
    )


def test_an_engine_that_is_not_installed_is_refused(capsys, monkeypatch):
    monkeypatch.setitem(registry.MODULES, "jax", "a_module_that_nobody_has")
    assert benchmark.main([*ARGUMENTS, "--engines", "jax"]) == 2
    assert "jax is not installed here (module a_module_that_nobody_has)" in capsys.readouterr().err


def test_missing_data_names_the_command_that_gets_it(tmp_path, capsys):
    assert benchmark.main(["--suite", "mnist", *NUMPY, "--data", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "fetch-mnist" in error


@pytest.mark.slow
def test_an_epoch_runs_over_mnist(mnist):
    workload = Workload(Case("epoch", (784, 4, 10), rows=100), mnist)
    np.testing.assert_array_equal(workload.x, mnist.x_train[:100])
    np.testing.assert_array_equal(Workload(replace(workload.case, kind="inference"), mnist).y, mnist.y_test[:100])
    assert benchmark.uses_mnist(workload.case)
    assert not benchmark.uses_mnist(Case("epoch", (784, 4, 3)))
    with pytest.raises(ValueError, match="at most MNIST's"):
        Workload(Case("epoch", (784, 4, 10), rows=60_001), mnist)


@pytest.mark.slow
def test_ctrl_c_writes_the_cases_that_are_done(tmp_path, capsys, monkeypatch):
    measure = benchmark.measure
    done: list[report.Result] = []

    def interrupted(*arguments):
        if done:
            raise KeyboardInterrupt
        done.append(measure(*arguments))
        return done[-1]

    monkeypatch.setattr(benchmark, "measure", interrupted)
    path = tmp_path / "results.json"
    assert benchmark.main([*ARGUMENTS, *NUMPY, "--kind", "step,forward", "--json", str(path)]) == 130
    assert "interrupted after 1 of 2 cases" in capsys.readouterr().out
    assert len(json.loads(path.read_text())["results"]) == 1


@pytest.mark.slow
def test_numpy_alone_is_enough():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'sklearn', 'jax']))\n"
        "from numpy_nn.commands.main import start\n"
        f"sys.exit(start('benchmark', {list(ARGUMENTS)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "numpy_nn" in done.stdout
    timed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("│")]
    assert timed == ["floor", "by", "numpy_nn"]


def test_blas_shows_what_was_found_and_what_each_set_gives(capsys, monkeypatch):
    rates = {dtype: {"64x784x64": 5e9} for dtype in ("float32", "float64")}
    monkeypatch.setattr(machine, "_rates_in_a_process", lambda kernels, _: {"kernels": kernels, "rates": rates})
    monkeypatch.setattr(machine, "bundled_openblas", lambda: "libopenblas.so")
    monkeypatch.setattr(machine, "probe", lambda _, kernels: "Haswell" if kernels == "Zen" else kernels)
    assert benchmark.main(["--blas", "--sizes", "6,5,4,3", "--batch", "7", "--rounds", "2", "--sample-ms", "0.01"]) == 0
    output = capsys.readouterr().out
    of_a_step = [
        line.split("│")[1].strip() for line in output.split("products of a step")[1].splitlines() if "│" in line
    ]
    assert of_a_step == [
        *("y1 = x1 W1", "y2 = x2 W2", "y3 = x3 W3"),
        *("dW3 = x3^T G3", "dx3 = G3 W3^T", "dW2 = x2^T G2", "dx2 = G2 W2^T", "dW1 = x1^T G1"),
        "all of them",
    ]
    assert "found: not asked; chosen: nothing (NumPy was loaded already)" in output
    assert "SkylakeX" in output
    assert "Zen" not in output.split("GFLOP/s", 1)[1]


def test_the_products_of_a_step_are_its_operations_and_without_torch_those_of_numpy_alone(monkeypatch):
    case = Case("step", (6, 5, 4, 3), batch=7)
    assert sum(time.operations for time in products.product_times(case, 1, 1, 1e-6)) == case.operations
    monkeypatch.setattr(products.importlib.util, "find_spec", lambda _: None)
    assert {tuple(time.seconds) for time in products.product_times(case, 1, 1, 1e-6)} == {("NumPy",)}
    assert all(time.over is None for time in products.product_times(case, 1, 1, 1e-6))


def test_kernels_that_the_processor_cannot_run_are_left_out_and_another_end_is_told(monkeypatch):
    ends = {"Haswell": (0, '{"kernels": "Haswell", "rates": {}}'), "SkylakeX": (-4, ""), "Zen": (-9, "")}

    def run(command, env, **_):
        status, output = ends[env.get("OPENBLAS_CORETYPE", "Haswell")]
        return subprocess.CompletedProcess(command, status, output, "")

    monkeypatch.setattr(machine.subprocess, "run", run)
    monkeypatch.setattr(machine, "bundled_openblas", lambda: "libopenblas.so")
    monkeypatch.setattr(machine, "probe", lambda _, kernels: kernels if kernels == "SkylakeX" else None)
    assert [row["asked"] for row in machine.rates_of_kernels(1)] == [None]
    monkeypatch.setattr(machine, "probe", lambda _, kernels: kernels if kernels == "Zen" else None)
    with pytest.raises(OSError, match=r"^measuring the Zen kernels failed: it ended with status -9$"):
        machine.rates_of_kernels(1)


def test_rates_of_kernels_are_the_best_of_their_turns(monkeypatch):
    turns = iter(range(100))

    def rate(kernels, _):
        return {"kernels": kernels or "Haswell", "rates": {"float32": {"shape": float(next(turns))}}}

    monkeypatch.setattr(machine, "_rates_in_a_process", rate)
    monkeypatch.setattr(machine, "probe", lambda _, kernels: kernels if kernels == "Haswell" else None)
    monkeypatch.setattr(machine, "bundled_openblas", lambda: "libopenblas.so")
    found = [(row["asked"], row["rates"]["float32"]["shape"]) for row in machine.rates_of_kernels(1, rounds=3)]
    assert found == [(None, 4.0), ("Haswell", 5.0)]


def test_the_share_of_busy_time_is_known(tmp_path, monkeypatch):
    #                       user nice system idle iowait irq softirq steal guest
    before = "cpu  100 0 50 1000 10 0 0 5 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    after = "cpu  130 0 60 1050 20 0 0 5 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert machine.busy_share(before, after) == pytest.approx(40 / 100)
    assert machine.busy_share(before, before) == 0.0
    assert machine.busy_cores(stat=tmp_path / "missing") is None
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    assert machine.busy_warning(None, 2) is None
    assert machine.busy_warning(0.05, 2) is None
    assert machine.busy_warning(0.9, 1) is None
    warning = machine.busy_warning(0.9, 2)
    assert warning is not None
    assert "keep 0.9 of 2 cores busy: 2 threads" in warning
    assert warning.endswith("wait, or use fewer --threads")
    alone = machine.busy_warning(1.6, 1) or ""
    assert "busy: one thread cannot" in alone
    assert alone.endswith("wait")


def test_by_default_processes_are_timed_where_more_than_one_thread_is_and_not_in_the_quick_suite(monkeypatch):
    monkeypatch.setattr(benchmark, "missing", lambda name: None if name in ("numpy_nn", "processes") else "missing")
    for arguments, timed in {
        "": ["numpy_nn"],
        "--sizes 4,3,2 --threads 1": ["numpy_nn"],
        "--sizes 4,3,2 --threads 2": ["numpy_nn", "processes"],
        "--threads 1 --engines processes": ["processes"],
    }.items():
        assert benchmark.choose_engines(benchmark.parse(arguments.split())) == timed


@pytest.mark.slow
def test_a_process_that_fails_to_measure_says_why():
    with pytest.raises(OSError, match=r"measuring the default kernels failed: ValueError: invalid literal"):
        machine._rates_in_a_process(None, "many")


def test_a_blas_that_threadpoolctl_does_not_know_has_the_name_that_numpy_was_built_with(monkeypatch):
    monkeypatch.setattr(machine, "threadpool_info", list)
    found = machine.blas()
    assert found["name"] == np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    assert f"; {found['name']} {found['version']}; python " in machine.in_words(machine.describe(1))
