"""The page of the reader's own network: whose numbers stand where, which is marked as wrong, what is refused."""

import json
import re
from pathlib import Path

import needs
import numpy as np
import pytest
from selenium.webdriver.common.by import By
from trace_page import answer, cell, change, go_to, hover, last_step, marked

from numpy_nn.commands.trace.command import main

FILE = Path(__file__).parents[2] / "helpers" / "my_mlp.py"
pytestmark = [pytest.mark.slow, needs.torch]


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """A function from the name of a class to its page, made once."""
    folder = tmp_path_factory.mktemp("mine")

    def page_of(name, *init):
        path = folder / f"{name}.html"
        if not path.exists():
            assert main(["--mine", f"{FILE}:{name}", "--out", str(path), "--init", *init]) == 0
        return path

    return page_of


def recorded(path):
    (text,) = re.findall(r'id="recording"[^>]*>(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(text)


@pytest.mark.parametrize(
    ("name", "init", "given"),
    [
        ("TwoLayerNet", ["4", "5", "3"], {"loss"}),
        ("Probabilities", ["4", "5", "3"], {"loss", "loss.softmax"}),
        ("ColumnsOfProbabilities", ["[4, 5, 3]"], {"loss", "loss.softmax"}),
    ],
)
def test_every_number_of_right_code_is_where_ours_is(name, init, given, page_of):
    recording = recorded(page_of(name, *init))
    mine = recording["mine"]
    parameters = {f"{layer}.{p}.grad" for layer in "02" for p in ("weight", "bias")}
    assert mine["values"].keys() == mine["names"].keys() == given | parameters
    assert mine["wrong"] == {}
    assert mine["first"] == ""
    for array, values in mine["values"].items():
        ours = np.array(recording["arrays"][array]["values"])
        assert np.shape(values) == ours.shape
        np.testing.assert_allclose(values, ours, rtol=1e-12, atol=1e-15)  # the same quantity, not another


def test_the_first_number_that_is_wrong_is_named_with_the_checker_s_words(page_of):
    mine = recorded(page_of("Forgets", "4", "5", "3"))["mine"]
    assert mine["first"] == "2.weight.grad"
    assert mine["words"] == "the gradient is not divided by the batch size"
    assert mine["wrong"].keys() == {"2.weight.grad"}
    values = np.array(mine["values"]["2.weight.grad"])
    assert {tuple(entry) for entry in mine["wrong"]["2.weight.grad"]} == {tuple(i) for i in np.argwhere(values != 0)}


def test_the_page_shows_them(browse, page_of):
    page = browse(page_of("Forgets", "4", "5", "3"))
    told = page.find_element(By.ID, "mine")
    said = " ".join(told.text.split())
    assert said.startswith("✗ Forgets: the first that is wrong is the gradient with respect to ")
    assert told.text.endswith("the gradient is not divided by the batch size")
    told.find_element(By.TAG_NAME, "button").click()
    assert "weights of layer 2" in page.find_element(By.ID, "title").text
    wrong = sorted(marked(page, "wrong"))
    assert {name for name, _, _ in wrong} == {"2.weight.grad"}
    name, i, j = wrong[0]
    hover(page, cell(page, name, i, j))
    assert "yours" in answer(page)
    assert "✗ Yours is wrong: the others agree." in answer(page)
    go_to(page, last_step(page))
    hover(page, cell(page, "0.bias.grad", 0, 1))
    assert "The four values agree" in answer(page)
    hover(page, cell(page, "loss"))
    assert "yours" in answer(page)
    change(page, "0.bias", 0, 0, 0.25)  # his code cannot be run here
    assert marked(page, "wrong") == set()
    hover(page, cell(page, "0.bias.grad", 0, 1))
    assert "yours" not in answer(page)


def test_of_right_code_it_says_that_all_is_right(browse, page_of):
    page = browse(page_of("TwoLayerNet", "4", "5", "3"))
    assert page.find_element(By.ID, "mine").text.startswith("✓ Every number that TwoLayerNet gives is right:")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Nothing", "--init", "4", "5", "3"], f"{FILE} has no Nothing; it has TwoLayerNet, "),
        (["TwoLayerNet", "--init", "4", "50", "3"], "--mine: expected layers of at most 16 units"),
        (["Columns", "--init", "[4, 5, 3]"], "--mine: Columns has the output of no network that the page draws: "),
        (["NoBackward", "--init", "4", "5"], "--mine: target: expected forward and backward"),
        (["Breaks", "--init", "4", "5"], "--mine: RuntimeError: no such thing as 2 rows"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(arguments, message, capsys, tmp_path):
    name, *options = arguments
    assert main(["--mine", f"{FILE}:{name}", *options, "--out", str(tmp_path / "x.html")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"trace: {message}")
    assert error.count("\n") == 1
    assert not (tmp_path / "x.html").exists()


def test_arguments_of_a_class_go_with_one(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--init", "4", "5", "3"])
    assert end.value.code == 2
    assert capsys.readouterr().err == "trace: argument --init: goes with --mine FILE:CLASS\n"
