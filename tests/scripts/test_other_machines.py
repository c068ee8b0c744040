"""The tests as on other machines: a setting counts if the processes that ran the tests saw it, and only then."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scripts import other_machines
from scripts.machines import settings, versions, witness
from scripts.machines.settings import Setting
from scripts.other_machines import Runner

RESULTS = """<testsuites><testsuite>
<testcase classname="a" name="right"/>
<testcase classname="a" name="left_out"><skipped/></testcase>{}
</testsuite></testsuites>"""
FAILURE = '<testcase classname="a" name="wrong"><failure/></testcase>'
DEFAULT = {"torch": "2", "openblas": "Haswell", "numpy_features": ["X86_V3"], "bits": {"product": "1", "exp": "1"}}


@pytest.fixture
def played(monkeypatch, tmp_path):
    """A runner whose processes are played: each says the next of these facts, and the tests end as told."""
    told: list[Any] = [DEFAULT]
    ends: dict[str, Any] = {"status": 0, "results": RESULTS.format(""), "processes": 4}

    def pytest_played(_self, _setting, environment, folder, options, _log):
        seen.append(dict(environment))
        facts = told.pop(0)
        if facts is None:
            return -4
        asks = "--collect-only" in options
        several = facts if isinstance(facts, list) else [facts] * (1 if asks else ends["processes"])
        for index, one in enumerate(several):
            (folder / f"{index}.json").write_text(json.dumps(one))
        if asks:
            return 0
        (folder / "results.xml").write_text(ends["results"])
        return ends["status"]

    seen: list[dict[str, str]] = []
    monkeypatch.setattr(Runner, "_pytest", pytest_played)
    runner = Runner(["tests"], 2, tmp_path / "logs")
    return runner, told, ends, seen


PRESCOTT = Setting("Prescott", (settings.openblas("Prescott"),))
IN_FORCE = DEFAULT | {"openblas": "Katmai", "bits": {"product": "2", "exp": "1"}}


def test_what_all_processes_saw_counts_with_its_evidence(played):
    runner, told, _, seen = played
    told += [IN_FORCE, IN_FORCE]
    row = runner.run(PRESCOTT)
    assert (row.in_force, row.passed, row.failed) == (True, 1, ())
    assert row.said == "OpenBLAS: Katmai; other bits in product"
    assert seen[1:] == [{"OPENBLAS_CORETYPE": "Prescott"}] * 2


def test_what_the_library_does_not_take_is_said_and_no_test_is_run(played):
    runner, told, _, seen = played
    told += [DEFAULT]
    row = runner.run(PRESCOTT)
    assert (row.in_force, row.passed, row.said) == (False, 0, "not here: OpenBLAS: Haswell")
    assert len(seen) == 2


def test_a_processor_without_the_instructions_is_said(played):
    runner, told, _, _ = played
    told += [None]
    row = runner.run(PRESCOTT)
    assert not row.in_force
    assert "was killed by signal 4 (an instruction that it does not have)" in row.said


@pytest.mark.parametrize("facts", [[IN_FORCE] * 3, [*[IN_FORCE] * 3, DEFAULT]], ids=["one is silent", "one differs"])
def test_a_process_that_did_not_see_it_to_the_end_is_a_failure(played, facts):
    runner, told, _, _ = played
    told += [IN_FORCE, facts]
    (failure,) = runner.run(PRESCOTT).failed
    assert failure == "the processes that ran the tests did not say that it was in force to the end"


@pytest.mark.parametrize(
    ("results", "status", "failed"),
    [
        (RESULTS.format(FAILURE), 1, ["a::wrong"]),
        (
            RESULTS.format("").replace("right", "left").replace("/>", "><skipped/></testcase>", 1),
            0,
            ["pytest ended wi"],
        ),
        ("<testsuites/>", 5, ["pytest ended with status 5"]),
        (RESULTS.format(""), 3, ["pytest ended with status 3"]),
    ],
    ids=["a failure", "all left out", "no tests", "an internal error"],
)
def test_tests_that_fail_or_do_not_run_are_failures(played, results, status, failed):
    runner, told, ends, _ = played
    told += [IN_FORCE, IN_FORCE]
    ends |= {"results": results, "status": status}
    found = runner.run(PRESCOTT).failed
    assert len(found) == len(failed)
    assert all(one.startswith(start) for one, start in zip(found, failed, strict=True))


@pytest.mark.parametrize(
    ("facts", "status", "said"),
    [
        ([IN_FORCE, IN_FORCE], 0, "│ Prescott"),
        ([DEFAULT], 2, "no setting is in force here, nothing was tried"),
        ([IN_FORCE, [IN_FORCE]], 1, "failed, Prescott: the processes"),
    ],
)
def test_the_exit_status_tells_whether_anything_failed_or_was_tried(played, facts, status, said, monkeypatch, capsys):
    runner, told, _, _ = played
    told += facts
    monkeypatch.setattr(other_machines, "Runner", lambda *_: runner)
    monkeypatch.setattr(settings, "all_settings", lambda _: [PRESCOTT])
    markdown = runner.logs / "new" / "table.md"
    assert other_machines.main(["--markdown", str(markdown)]) == status
    printed = capsys.readouterr()
    assert said in printed.out + printed.err
    assert markdown.read_text().startswith("| setting | in force | passed | failed | seconds |\n|---|")


def test_an_environment_that_cannot_be_made_is_one_line(played, monkeypatch, capsys):
    monkeypatch.setattr(other_machines, "Runner", lambda *_: played[0])
    assert other_machines.main(["--only", "no setting", "--python", "/nowhere/python3"]) == 2
    assert capsys.readouterr().err == "other_machines: cannot run /nowhere/python3: No such file or directory\n"


def test_numpy_gives_up_all_that_this_processor_has():
    assert settings.OLD.environment(DEFAULT)["NPY_DISABLE_CPU_FEATURES"] == "X86_V3"


def test_each_claim_of_a_setting_must_hold():
    facts = {"openblas": "Katmai", "mkl": "COMPATIBLE", "onednn": "jit:sse41", "aten": "DEFAULT", "numpy_features": []}
    assert settings.OLD.missing(facts) == []
    for name in facts:
        assert len(settings.OLD.missing(facts | {name: "other"})) == 1


def test_the_quick_run_is_an_old_processor_with_a_seed_of_its_own():
    args = other_machines.parse(["--quick", "--seeds", "5"])
    (setting,) = other_machines.chosen(args, DEFAULT)
    assert setting.name == "an old processor, seed 5"
    assert "--hypothesis-seed=5" in setting.options
    # CI's own profile has the same examples at every run, whatever the seed.
    assert setting.environment(DEFAULT)["HYPOTHESIS_PROFILE"] == "quick"
    assert setting.missing({"seed": None})[-1] == "hypothesis's seed: nothing"
    # A name that is gone leaves nothing aside.
    left_out = *other_machines.ASIDE, *other_machines.LITTLE
    assert all((other_machines.ROOT / "tests" / path).exists() for path in left_out)


def test_every_folder_and_file_of_tests_is_run_or_named_as_left_aside():
    tests = other_machines.ROOT / "tests"
    known = {Path(path).name for path in other_machines.TESTS} | {*other_machines.ASIDE}
    assert {path.relative_to(tests).parts[0] for path in tests.rglob("test_*.py")} == known


def test_where_torch_is_not_installed_a_setting_claims_nothing_of_it():
    alone = {name: value for name, value in DEFAULT.items() if name != "torch"}
    assert settings.OLD.for_installed(DEFAULT) is settings.OLD
    assert [claim.teller for claim in settings.OLD.for_installed(alone).claims] == [
        "OpenBLAS",
        "NumPy's instructions beyond its baseline",
    ]
    (threads,) = Setting("one thread", (settings.threads(1),)).for_installed(alone).claims
    assert threads.shown_by == ("numpy_threads",)
    # What is about torch alone says that it is not here, instead of proving nothing under its name.
    of_torch = Setting("MKL", (settings.mkl("AVX"),))
    assert of_torch.for_installed(alone).missing(alone) == ["MKL's CNR: nothing"]


@pytest.mark.slow
def test_the_witness_tells_what_is_in_force_twice_alike():
    facts = witness.facts()
    assert facts == witness.facts()
    assert (facts["numpy"], facts["torch"]) == (np.__version__, torch.__version__)
    threads = int(os.environ["OMP_NUM_THREADS"])
    assert facts["torch_threads"] == threads
    assert facts["numpy_threads"] in (None, threads)  # which a BLAS that is no OpenBLAS does not tell
    assert facts["aten"] == torch.backends.cpu.get_cpu_capability()
    if not os.environ.get(witness.FLUSH):
        with witness.flushing(True):
            flushed = witness.facts()
        assert (facts["numpy_flushes"], facts["torch_flushes"]) == (False, False)
        assert (flushed["numpy_flushes"], flushed["torch_flushes"]) == (True, True)


@pytest.mark.slow
def test_a_setting_that_exists_nowhere_is_refused_by_what_the_libraries_say(tmp_path, monkeypatch):
    with monkeypatch.context() as here:
        # What is in force without a setting, this process says as well as another.
        here.setattr(Runner, "ask", lambda *_: witness.facts())
        runner = Runner(["tests/support/test_atomic.py"], 1, tmp_path)
    fake = Setting("fake", (replace(settings.openblas("Haswell"), expected="Imaginary"), settings.mkl("IMAGINARY")))
    row = runner.run(fake)
    assert not row.in_force
    assert row.said.startswith("not here: OpenBLAS: ")
    assert "; MKL's CNR: " in row.said


def test_the_oldest_numpy_is_the_one_that_is_allowed():
    assert versions.oldest_numpy() == "2.0.0"


@pytest.mark.slow
def test_an_environment_has_its_own_numpy_first_and_all_else(tmp_path, monkeypatch):
    def install(_requirements, python, _folder):
        (versions._site(python) / "numpy").mkdir()
        (versions._site(python) / "numpy" / "__init__.py").write_text("__version__ = '1.2.3'")

    monkeypatch.setattr(versions, "_install", install)
    for _ in range(2):  # the second time it is there
        python = versions.with_numpy("numpy==1.2.3", tmp_path / "older")
        assert versions.version_of("numpy", python) == "1.2.3"
    assert versions.version_of("python", python) == ".".join(map(str, sys.version_info[:3]))
    code = "import pytest, hypothesis, os, scripts.machines; print(os.path.dirname(pytest.__file__))"
    assert Path(versions._run([str(python), "-c", code]).strip()).parent == versions.SITE
