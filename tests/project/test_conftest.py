"""The suite's own promises: one thread each, a quick part without processes, a word on what was left out."""

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
from threadpoolctl import threadpool_info

from tests import conftest

ROOT = Path(__file__).parents[2]


def test_every_library_has_as_many_threads_as_the_environment_says():
    expected = int(os.environ["OMP_NUM_THREADS"])
    assert {pool["num_threads"] for pool in threadpool_info()} == {expected}
    assert torch.get_num_threads() == expected


@pytest.mark.parametrize("turn", ["takes more", "finds as many as before"])
def test_threads_that_a_test_takes_are_given_back(turn):
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])
    if turn == "takes more":
        torch.set_num_threads(3)


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


def pages(folder, *options, **environment):
    """Tests of pages without a browser: status, and the output's lines."""
    (folder / "test_pages.py").write_text(PAGES)
    inherited = {name: value for name, value in os.environ.items() if name not in ("CI", "TESTS_PROMISED")}
    inherited["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "helpers")])
    plugins = ["-p", "conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            str(ROOT / "setup.cfg"),
            *plugins,
            str(folder / "test_pages.py"),
            *options,
        ],
        cwd=folder,
        env=inherited | {"PATH": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.slow
def test_without_a_browser_the_last_lines_count_what_was_left_out_and_say_what_to_install(tmp_path):
    status, lines = pages(tmp_path, "-n", "1")
    assert status == 0
    said = re.fullmatch(r"tests of pages left out: (\d+); (.*)", lines[-2])
    assert said is not None
    assert f"= {said[1]} skipped in " in lines[-1]
    assert said[1] == "4"
    assert said[2] == conftest.NO_BROWSER
    assert "apt-get install -y chromium chromium-driver" in conftest.NO_BROWSER


@pytest.mark.slow
@pytest.mark.parametrize("promise", [{"CI": "true"}, {"TESTS_PROMISED": "browser"}], ids=str)
def test_where_a_browser_is_promised_its_absence_fails(tmp_path, promise):
    status, lines = pages(tmp_path, "-k", "window", **promise)
    assert status == 1
    assert conftest.NO_BROWSER in lines
    assert "deselected, 1 error in " in lines[-1]


@pytest.mark.slow
def test_a_variable_takes_the_promise_of_ci_back(tmp_path):
    status, lines = pages(tmp_path, "-k", "window", CI="true", TESTS_PROMISED="")
    assert status == 0
    assert lines[-2].startswith("tests of pages left out: 1; ")
