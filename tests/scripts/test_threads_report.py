"""The report on ``--threads auto``, made short; nothing here depends on the clock."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import threads_report

ROOT = Path(__file__).parents[2]

SHORT = ("--rounds", "1", "--seconds", "0.001", "--most", "2")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_row_for_each_number_of_busy_processes(engine, capsys):
    options = [*SHORT, "--engines", engine, "--networks", "784-64-10", "--beside", "0,1"]
    assert threads_report.main(options) == 0
    machine, head, _, *rows = capsys.readouterr().out.splitlines()
    assert "usable" in machine
    assert "| 1 thread | 2 threads | auto | auto / best |" in head
    assert [row.split(" | ")[:3] for row in rows] == [[f"| {engine}", "784-64-10", beside] for beside in "01"]
    assert all(row.endswith(("| same |", "| differ |")) for row in rows)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_training_is_the_same_each_time_on_one_thread(engine):
    assert threads_report.same_bits(engine, "784-64-10", [1, 1])


def test_the_two_engines_train_the_same_network():
    ways = [threads_report.make(engine, "784-64-10", (1,)) for engine in ("numpy", "torch")]
    before = ways[0].parameters()
    assert before == ways[1].parameters()
    for way in ways:
        next(way.steps())
        assert way.parameters() != before


def test_a_turn_takes_a_step_however_short_it_is():
    way = threads_report.make("numpy", "784-64-10", (1,))
    before = way.parameters()
    assert threads_report.turn(way, way.steps(), 0.0) > 0.0
    assert way.parameters() != before


def test_without_control_groups_a_quota_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(threads_report, "GROUPS", (tmp_path,))
    assert threads_report.main([*SHORT, "--quota", "1"]) == 2
    assert capsys.readouterr().err == "threads_report: --quota: no control groups are mounted here\n"


@pytest.mark.parametrize("option", ["--networks", "--engines", "--beside", "--rounds", "--quota"])
def test_other_words_are_refused(option, capsys):
    with pytest.raises(SystemExit):
        threads_report.main([option, "none"])
    assert option in capsys.readouterr().err


@pytest.mark.slow
def test_what_keeps_a_core_busy_ends_with_the_process_that_wants_it():
    script = "import scripts.threads_report as r, os\nwith r.busy(1): print('busy', flush=True); os._exit(1)"
    # The pipe is closed when the last process that has it has ended.
    ended = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (1, b"busy\n")
