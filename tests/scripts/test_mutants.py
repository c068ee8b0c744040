"""The mutants of the numerical core: what is changed, that trials see the change, and what the command says of it."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import needs
import pytest

from scripts import mutants as command
from scripts.mutation import mutants, reach, trials
from scripts.mutation.mutants import mutants_of, statement_lines
from scripts.mutation.trials import KILLED, SURVIVED, TIMED_OUT, Trial

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCE = '''"""A module."""

LIMIT = 2


class Box:
    @property
    def full(self) -> int | None:
        return (
            self.size < LIMIT
            and not self.open
        )


def fill(box, by: float = 0.5):
    """Not - this + text."""
    if by:
        raise ValueError("more than 1")
    box.size += by
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A core of one file."""
    (tmp_path / "module.py").write_text(SOURCE)
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    return "module.py"


def test_constants_conditions_defaults_and_properties_change_but_no_text_and_no_annotation(module):
    changes = [(m.function, m.line, m.was, m.becomes) for m in mutants_of(module)]
    assert changes == [
        ("", 3, "LIMIT = 2", "LIMIT = 3"),
        ("Box.full", 10, "self.size < LIMIT\nand not self.open", "self.size < LIMIT or not self.open"),
        ("Box.full", 10, "self.size < LIMIT", "self.size <= LIMIT"),
        ("Box.full", 11, "and not self.open", "and self.open"),
        ("fill", 15, "def fill(box, by: float = 0.5):", "def fill(box, by: float = 1.5):"),
        ("fill", 19, "box.size += by", "box.size = by"),
        ("fill", 19, "box.size += by", "box.size -= by"),
    ]


def test_a_length_that_is_left_to_a_reshape_is_none_of_another_negative_number(tmp_path, monkeypatch):
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    (tmp_path / "module.py").write_text("a = x.reshape(-1, y.shape[-1])\nb = x.reshape([-1 if i else 2 for i in z])\n")
    changed = {m.becomes for m in mutants_of("module.py")}
    assert {"a = x.reshape(-1, y.shape[-2])", "a = x.reshape(+1, y.shape[-1])"} < changed
    assert "b = x.reshape([-1 if i else 3 for i in z])" in changed
    assert not any("reshape(-2" in line or "[-2 if" in line for line in changed)


def test_the_core_is_the_engine_and_what_the_comparison_rests_on():
    parts = {"/".join(file.split("/")[:2]) if file.startswith("torch_ref") else "numpy_nn" for file in mutants.CORE}
    assert parts == {"numpy_nn", *(f"torch_ref/{name}" for name in ("bounds", "parity.py", "rounding.py", "twin.py"))}
    assert {"numpy_nn/losses/mse.py", "numpy_nn/gradcheck/measure/verdicts.py", "torch_ref/bounds/layers.py"} <= set(
        mutants.CORE
    )
    assert not any(file.startswith(("numpy_nn/commands/", "numpy_nn/lessons/")) for file in mutants.CORE)


def test_the_nearest_tests_of_a_module_are_those_of_its_name_in_its_room_or_else_the_room_s():
    near = {file: reach.nearest(file) for file in mutants.CORE}
    assert {*near.values()} <= {path.relative_to(ROOT).as_posix() for path in reach.TESTS}
    assert near["numpy_nn/optim/clipping.py"] == "tests/optim/test_clipping.py"
    assert near["numpy_nn/losses/perceptron.py"] == "tests/losses/test_losses.py"
    assert near["numpy_nn/perceptron.py"] == "tests/test_perceptron.py"
    assert near["torch_ref/bounds/losses.py"] == "tests/torch_ref/test_bounds.py"


def test_a_mutant_is_its_file_with_only_those_lines_changed(module):
    for mutant in mutants_of(module):
        compile(mutant.source, module, "exec")
        first, was, becomes = mutant.line - 1, mutant.was.split("\n"), mutant.becomes.split("\n")
        lines = SOURCE.splitlines()
        assert [line.strip() for line in lines[first : first + len(was)]] == was
        lines[first : first + len(was)] = mutant.source.splitlines()[first : first + len(becomes)]
        assert lines == mutant.source.splitlines()


def test_the_tests_of_a_change_are_those_that_reach_its_statement(module):
    lines = {mutant.line: statement_lines(mutant) for mutant in mutants_of(module)}
    assert lines == {3: range(3, 4), 10: range(9, 11), 11: range(9, 12), 15: range(15, 16), 19: range(19, 20)}


@pytest.fixture
def measured(module, monkeypatch):
    """Which tests reach which line of the core of one file: near ones, and others."""
    lines = {3: {"", "near::imports first"}, 10: {"near::quick", "near::slow", "other::quick", "other::slow"}}
    known = object.__new__(reach.Reach)
    known._lines = {module: lines | {19: {"near::fill"}}}
    known.seconds = {test: 50.0 if "slow" in test else 0.1 for tests in known._lines[module].values() for test in tests}
    known.seconds["defaults::alike"] = 0.1
    monkeypatch.setattr(reach, "SIGNATURES", ("defaults",))
    monkeypatch.setattr(reach, "nearest", lambda _: "near")
    return lambda line: known.batches(next(mutant for mutant in mutants_of(module) if mutant.line == line))


def test_a_change_is_tried_by_the_quick_tests_that_are_near_and_then_by_the_slower_and_the_others(measured):
    first, rest = measured(10)
    assert list(first) == ["near::quick"]
    # Of either kind as many as take a minute.
    assert set(rest) == {"near::slow", "other::quick", "other::slow"}
    assert [*measured(19)] == [{"near::fill": 0.1}, {}]


def test_a_constant_is_tried_by_all_tests_of_its_module_not_by_the_one_that_imports_it_first(measured):
    first, rest = measured(3)
    # Those that look at defaults run no line of the module.
    assert set(first) == {"near::imports first", "near::quick", "near::fill", "defaults::alike"}
    assert set(rest) == {"near::slow", "other::quick", "other::slow"}


def test_the_tests_of_defaults_are_there():
    assert all((ROOT / path).exists() for path in reach.SIGNATURES)


def test_every_listed_mutant_changes_a_line_that_is_there_and_says_why_nobody_could_tell():
    for patch, reason in command.listed().items():
        head, *lines = patch.split("\n")
        source = (ROOT / head.split()[0]).read_text(encoding="utf-8")
        for line in lines:
            assert line[0] == "+" or line[1:] in source, patch
        assert len(reason.split()) >= 3, patch


TRIALS = """
import sys
import numpy_nn.optim.constraints
from functools import partial
from pathlib import Path
from scripts.mutation.mutants import mutants_of
from scripts.mutation.trials import Trial, import_libraries, results, run_tests

import_libraries()
tests = {"tests/optim/test_constraints.py::test_a_network_s_own_memory_is_constrained": 1.0}
by_change = {mutant.becomes: mutant for mutant in mutants_of("numpy_nn/optim/constraints.py")}
for change in (None, "if data.ndim == 2:", "long = norms >= max_norm"):
    trial = Trial(partial(run_tests, tests, by_change.get(change), Path(sys.argv[1]) / "tests"), 600.0, change)
    print(*results([trial], 1))
"""


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="a trial is a fork of the process")


@forks
@needs.torch
def test_a_trial_runs_the_tests_that_it_is_given_against_the_mutant(tmp_path):
    """In a process that has imported numpy_nn, as the command has for its options."""
    command = [sys.executable, "-c", TRIALS, str(tmp_path)]
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    assert lines == [
        "(None, 'survived')",
        "('if data.ndim == 2:', 'killed')",
        "('long = norms >= max_norm', 'survived')",
    ]


def waits():
    signal.pause()
    return 0


@forks
def test_a_trial_that_waits_is_ended_and_the_others_go_on():
    patient = needs.HANGS
    run = [Trial(lambda: 0, patient, "passes"), Trial(waits, 0.5, "waits"), Trial(lambda: 1, patient, "fails")]
    assert dict(trials.results(run, 2)) == {"passes": SURVIVED, "waits": TIMED_OUT, "fails": KILLED}


@pytest.fixture
def survivors(monkeypatch, tmp_path):
    """The command, in which a mutant survives if its change is one of these."""
    some: set[str] = set()
    monkeypatch.setattr(command, "import_libraries", lambda: None)
    monkeypatch.setattr(command, "measure", lambda *_: SimpleNamespace(failed=[]))
    monkeypatch.setattr(command, "listed", dict)

    def try_out(chosen, *_):
        return ((mutant, SURVIVED if mutant.becomes in some else KILLED) for mutant in chosen)

    monkeypatch.setattr(command, "try_out", try_out)
    numbers = itertools.count()
    monkeypatch.setattr(command, "Outcomes", lambda: reach.Outcomes(tmp_path / f"outcomes-{next(numbers)}"))
    return some


CONSTRAINTS = "numpy_nn/optim/constraints.py"


@pytest.mark.usefixtures("survivors")
def test_the_table_counts_by_file_and_all_noticed_is_success(capsys):
    assert command.main([CONSTRAINTS, "numpy_nn/training/callbacks.py", "--sample", "0"]) == 0
    *_, constraints, callbacks, total = capsys.readouterr().out.splitlines()
    assert callbacks.split() == ["numpy_nn/training/callbacks.py", "3", "3", "3", "100.0%"]
    assert constraints.split() == [CONSTRAINTS, "12", "12", "12", "100.0%"]
    assert total.split() == ["all", "15", "15", "15", "100.0%"]


def test_fewer_than_95_in_100_fail_and_each_survivor_is_shown(survivors, capsys):
    survivors.add("long = norms >= max_norm")
    assert command.main([CONSTRAINTS]) == 1
    output = capsys.readouterr().out
    patch = f"survived, line 29:\n{CONSTRAINTS} max_norm_\n-long = norms > max_norm\n+long = norms >= max_norm\n"
    assert output.startswith(patch)
    assert output.splitlines()[-1].split() == ["all", "12", "12", "11", "1", "91.7%"]


def test_what_is_listed_is_not_tried_and_must_exist(survivors, monkeypatch, capsys):
    patch = f"{CONSTRAINTS} max_norm_\n-long = norms > max_norm\n+long = norms >= max_norm"
    monkeypatch.setattr(command, "listed", lambda: {patch: "a reason"})
    survivors.add("long = norms >= max_norm")
    assert command.main([CONSTRAINTS]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["all", "12", "1", "11", "11", "100.0%"]
    assert command.main([CONSTRAINTS, "--listed"]) == 0
    survivors.clear()
    assert command.main([CONSTRAINTS, "--listed"]) == 1
    assert "killed, line 29" in capsys.readouterr().out
    monkeypatch.setattr(command, "listed", lambda: {patch.replace(">=", "!="): "a reason"})
    assert command.main([CONSTRAINTS]) == 1
    assert "listed, but not a mutant" in capsys.readouterr().out


def test_what_was_tried_is_not_tried_again(survivors, monkeypatch, tmp_path, capsys):
    asked, kept = [], tmp_path / "kept"

    def interrupted(chosen, *_):
        asked.append(len(chosen))
        yield from ((mutant, KILLED) for mutant in chosen[:5])
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "Outcomes", lambda: reach.Outcomes(kept))
    with monkeypatch.context() as patched:
        patched.setattr(command, "try_out", interrupted)
        assert [command.main([CONSTRAINTS]) for _ in range(2)] == [130, 130]
    assert asked == [12, 7]
    with kept.open("a") as file:
        file.write('["half a li')
    for _ in range(2):
        capsys.readouterr()
        assert command.main([CONSTRAINTS]) == 0
        assert capsys.readouterr().out.splitlines()[-1].split() == ["all", "12", "12", "12", "100.0%"]
        survivors.update(mutant.becomes for mutant in mutants_of(CONSTRAINTS))  # if they were asked once more


@pytest.mark.usefixtures("survivors")
def test_a_sample_is_the_same_for_the_same_seed(monkeypatch):
    drawn = []

    def try_out(chosen, *_):
        drawn.append(chosen)
        return iter(())

    monkeypatch.setattr(command, "try_out", try_out)
    for seed in ("1", "1", "2"):
        command.main([CONSTRAINTS, "--sample", "5", "--seed", seed])
    assert drawn[0] == drawn[1] != drawn[2]
    assert [len(set(chosen)) for chosen in drawn] == [5, 5, 5]


@pytest.mark.usefixtures("survivors")
def test_tests_that_fail_without_a_change_are_left_out_and_named(monkeypatch, capsys):
    monkeypatch.setattr(command, "measure", lambda *_: SimpleNamespace(failed=["tests/test_a.py::test_b"]))
    assert command.main([CONSTRAINTS]) == 0
    errors = capsys.readouterr().err
    assert errors == "mutants: left out, failing without a change, too: tests/test_a.py::test_b\n"


@pytest.mark.usefixtures("survivors")
def test_what_has_no_tests_here_is_left_out_and_said_to_be(monkeypatch, capsys):
    monkeypatch.setattr(command, "OPTIONAL", {CONSTRAINTS: "a_library_that_nobody_has"})
    assert command.main([CONSTRAINTS, "numpy_nn/training/callbacks.py"]) == 0
    output, errors = capsys.readouterr()
    assert (
        errors
        == f"mutants: {CONSTRAINTS} is left out: a_library_that_nobody_has, which its tests need, is not installed\n"
    )
    assert CONSTRAINTS not in output


def test_a_file_that_is_not_of_the_core_is_refused_in_a_line(capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["numpy_nn/constraint.py"])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.usefixtures("survivors")
def test_outcomes_that_could_not_be_kept_are_one_line_before_anything_is_tried(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr(command, "Outcomes", lambda: reach.Outcomes(tmp_path / "file" / "outcomes"))
    assert command.main([CONSTRAINTS]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"mutants: {tmp_path / 'file'}: File exists\n")
