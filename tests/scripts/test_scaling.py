"""The model of scaling.py against sums done by hand and numbers that made it, the page, and one small measurement."""

import json
import math
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranks import Ranks

import numpy_nn as nn
from scripts import scaling
from scripts.scale import model
from scripts.scale.report import MACHINES, networks_of
from scripts.scale.worker import step_seconds

ROOT = Path(__file__).parents[2]
measure = scaling.measure

scales = st.floats(-9.0, -3.0).map(lambda exponent: 10.0**exponent)


def ring(size, processes):
    """What each process sends when blocks go round the ring, first to be summed, then to be handed on."""
    blocks = [size // processes] * processes
    sent = [0] * processes
    for _ in ("sum", "hand on"):
        for step in range(processes - 1):
            for rank in range(processes):
                sent[rank] += blocks[(rank - step) % processes]
    return sent


@given(st.integers(1, 64), st.integers(1, 1000))
def test_bytes_sent_are_those_of_a_ring(processes, block):
    size = block * processes
    assert set(ring(size, processes)) == {round(model.bytes_sent(size, processes))}
    network = model.Network("", 1.0, math.inf)
    assert model.all_reduce_seconds(size, processes, network) == 2 * (processes - 1)


def test_operations_and_parameters_are_counted(monkeypatch):
    sizes, rows = [7, 5, 4, 3], 11
    net = nn.MLP(sizes, rng=0)
    assert model.parameters(sizes) == net.parameters().size
    counted = []

    def counts(product):
        def call(a, b, out=None):
            if a.ndim == b.ndim == 2:  # the sums of biases' gradients are not counted
                counted.append(2 * a.shape[0] * a.shape[1] * b.shape[1])
            return product(a, b, out=out)

        return call

    monkeypatch.setattr(np, "matmul", counts(np.matmul))
    monkeypatch.setattr(np, "dot", counts(np.dot))
    net.backward_parameters(net(np.ones((rows, 7), np.float32)))
    assert model.operations(sizes, rows) == sum(counted)


@given(scales, scales, st.integers(2, 8))
def test_a_fit_finds_the_numbers_that_made_the_times(first, second, processes):
    network = model.Network("made up", first, 1.0 / second)
    sizes = [2**k for k in range(8, 26, 3)]
    samples = [(processes, size, model.all_reduce_seconds(size, processes, network)) for size in sizes]
    found = model.fit_network("made up", samples)
    for processes_, size, seconds in samples:
        # The fit solves for relative errors; its equations have a condition of some thousands at the most.
        assert model.all_reduce_seconds(size, processes_, found) == pytest.approx(seconds, rel=1e-9)


def test_a_fit_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="at least two samples"):
        model.fit_machine([(1e6, 1.0)])
    with pytest.raises(ValueError, match="the clock did not move"):
        model.fit_machine([(1e6, 0.0), (2e6, 1.0)])
    with pytest.raises(ValueError, match="do not grow"):
        model.fit_machine([(1e6, 2.0), (2e6, 1.0), (4e6, 0.1)])
    # A latency below 0, from times that bend, is 0.
    assert model.fit_machine([(1e6, 1.0), (2e6, 2.5)]).fixed == 0.0


def test_one_machine_sends_nothing_and_cores_are_shared():
    machine, network = model.Machine(0.5, 1e6), model.NETWORKS[0]
    sizes = [10, 5]
    alone = model.step_seconds(sizes, 8, 1, machine, network)
    assert alone == 0.5 + model.operations(sizes, 8) / 1e6
    exchange = model.all_reduce_seconds(4 * 55, 4, network)
    four = model.step_seconds(sizes, 32, 4, machine, network, cores=2)
    assert four == pytest.approx(2 * alone + exchange, rel=1e-15)


def on_a_quiet_machine(processes, task):
    """A small measurement, whose times are then made up: a busy machine's need not grow with the size.

    One process is started as the script does; two, whose imports of torch take longer than all else, are forked.
    """
    task = task | {"messages": task["messages"][:2]}
    if processes == 1:
        found = measure(processes, task)
    else:
        with TemporaryDirectory() as folder:
            statuses, out, err = Ranks(processes, Path(folder), scaling.WORKER, json.dumps(task)).wait()
        assert statuses == [0] * processes, err
        found = json.loads(out.splitlines()[-1])
    assert all(low <= high for low, high in found["quartiles"].values())
    found["steps"] = {batch: 1e-3 + 1e-5 * int(batch) for batch in found["steps"]}
    found["quartiles"] = {batch: [0.9 * seconds, 1.1 * seconds] for batch, seconds in found["steps"].items()}
    if processes > 1:
        assert found["all_reduce"].keys() == set(map(str, task["messages"]))
        found["all_reduce"] = {str(size): 1e-4 + 1e-9 * size for size in (1024, 65536, task["gradient"])}
    return found


@pytest.mark.slow
def test_a_measurement_writes_numbers_figure_and_page(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(scaling, "measure", on_a_quiet_machine)
    page = tmp_path / "page.md"
    shutil.copy(ROOT / "docs" / "scaling.md", page)
    options = ["--sizes", "784,16,10", "--batch", "64", "--processes", "2", "--steps", "3", "--rounds", "2"]
    files = ["--json", str(tmp_path / "a.json"), "--png", str(tmp_path / "a.png"), "--page", str(page)]
    assert scaling.main([*options, *files]) == 0
    result = json.loads((tmp_path / "a.json").read_text())
    assert [(row["processes"], row["batch"]) for row in result["steps"]] == [
        *((1, batch) for batch in (8, 16, 32, 64)),
        *((2, batch) for batch in (64, 128)),
    ]
    assert all(0.0 < low <= row["seconds"] <= high for row in result["steps"] for low, high in [row["quartiles"]])
    assert [row["machines"] for row in result["predictions"]] == list(MACHINES)
    for name in (network.name for network in networks_of(result)):
        assert result["predictions"][0][name]["strong_efficiency"] == 1.0
        assert result["predictions"][0][name]["weak_efficiency"] == 1.0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out.strip()
    original = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    before, after = original.split(scaling.BEGIN)[0], original.split(scaling.END)[1]
    assert page.read_text(encoding="utf-8") == f"{before}{scaling.BEGIN}\n\n{printed}\n\n{scaling.END}{after}"


@pytest.mark.parametrize(
    "arguments", [["--sizes", "784"], ["--processes", "4,2"], ["--batch", "31"], ["--steps", "0"], ["--rounds", "x"]]
)
def test_bad_arguments_are_named(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        scaling.main(arguments)
    assert exit_.value.code == 2
    assert f"argument {arguments[0]}" in capsys.readouterr().err.splitlines()[-1]


def test_a_page_without_marks_is_refused(tmp_path):
    (tmp_path / "page.md").write_text("# Nothing\n")
    with pytest.raises(ValueError, match="expected the lines"):
        scaling.write_page(tmp_path / "page.md", "text")


@pytest.mark.parametrize("batch", [4, 9000, 20000])
def test_steps_of_any_batch_are_timed(batch):
    assert len(step_seconds([4, 3], batch, 3, None)) >= 3
