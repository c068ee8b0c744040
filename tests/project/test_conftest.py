"""The suite's own promises: one thread each, a quick part without processes, a word on what was left out."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock, call

import needs
import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from tests import conftest

ROOT = Path(__file__).parents[2]


def test_every_library_has_as_many_threads_as_the_environment_says():
    expected = int(os.environ["OMP_NUM_THREADS"])
    assert {pool["num_threads"] for pool in threadpool_info()} == {expected}
    assert torch.get_num_threads() == expected


@pytest.mark.parametrize("turn", ["takes more", "finds as many as before"])
def test_threads_that_a_test_takes_are_given_back(turn):
    expected = int(os.environ["OMP_NUM_THREADS"])
    assert torch.get_num_threads() == expected
    assert {pool["num_threads"] for pool in threadpool_info()} == {expected}
    if turn == "takes more":
        torch.set_num_threads(3)
        threadpool_limits(3, user_api="blas")


def test_a_process_in_a_test_that_is_not_marked_slow_is_refused():
    with pytest.raises(RuntimeError, match=r"test_a_process_in_a_test_.*_is_refused starts a process; mark it"):
        subprocess.run([sys.executable, "-c", ""], check=True)


def test_without_torch_only_its_own_parameters_are_left_out(monkeypatch):
    monkeypatch.setattr(needs, "HAS_TORCH", False)
    for values, left_out in (({"engine": "torch"}, True), ({"engine": "numpy", "x": np.zeros(2)}, False)):
        item = Mock(callspec=Mock(params=values))
        needs.pytest_itemcollected(item)
        assert item.add_marker.call_args_list == [call(needs.torch)] * left_out


# As those of the page, but imported in no time.
PAGES = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_on_a_page(number, page):
    raise AssertionError("there is no browser")

def test_on_a_window(chromium):
    raise AssertionError("there is no browser")
"""


# Runs pytest in processes of their own, but forked from one that has imported what takes longer than these tests.
FORKS = """
import json, os, sys
import _pytest.config, hypothesis, numpy, pytest

for name, options, environment in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        for stream in (1, 2):
            os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
        os.environ.update(environment)
        status = pytest.main(options)
        sys.stdout.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

# What pytest is told, and what the environment promises.
RUNS = {
    "nothing promised": (["-n", "1"], {}),
    "CI": (["-k", "window"], {"CI": "true"}),
    "a browser promised": (["-k", "window"], {"TESTS_PROMISED": "browser"}),
    "the promise of CI taken back": (["-k", "window"], {"CI": "true", "TESTS_PROMISED": ""}),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Tests of pages without a browser: status, and the output's lines, of each run."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "test_pages.py").write_text(PAGES)
    inherited = {name: value for name, value in os.environ.items() if name not in ("CI", "TESTS_PROMISED")}
    inherited["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "helpers")])
    # Nothing is rewritten, as pytest would have it that nothing of that is imported before.
    common = [
        "--assert=plain",
        "-c",
        str(ROOT / "setup.cfg"),
        "-p",
        "conftest",
        "-p",
        "no:cacheprovider",
        str(folder / "test_pages.py"),
    ]
    runs = [(name, [*common, *options], environment) for name, (options, environment) in RUNS.items()]
    done = subprocess.run(
        [sys.executable, "-c", FORKS, json.dumps(runs)],
        cwd=folder,
        env=inherited | {"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    statuses = map(int, done.stdout.split())
    return {
        name: (status, (folder / name).read_text(encoding="utf-8").splitlines())
        for name, status in zip(RUNS, statuses, strict=True)
    }


@needs.posix
@pytest.mark.slow
def test_without_a_browser_the_last_lines_count_what_was_left_out_and_say_what_to_install(pages):
    status, lines = pages["nothing promised"]
    assert status == 0
    said = re.fullmatch(r"tests of pages left out: (\d+); (.*)", lines[-2])
    assert said is not None
    assert f"= {said[1]} skipped in " in lines[-1]
    assert said[1] == "4"
    assert said[2] == conftest.NO_BROWSER
    assert "apt-get install -y chromium chromium-driver" in conftest.NO_BROWSER


@needs.posix
@pytest.mark.slow
@pytest.mark.parametrize("promised", ["CI", "a browser promised"])
def test_where_a_browser_is_promised_its_absence_fails(pages, promised):
    status, lines = pages[promised]
    assert status == 1
    assert conftest.NO_BROWSER in lines
    assert "deselected, 1 error in " in lines[-1]


@needs.posix
@pytest.mark.slow
def test_a_variable_takes_the_promise_of_ci_back(pages):
    status, lines = pages["the promise of CI taken back"]
    assert status == 0
    assert lines[-2].startswith("tests of pages left out: 1; ")
