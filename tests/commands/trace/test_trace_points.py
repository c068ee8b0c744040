"""Points in the plane: those that are made, those of a file, and the recording of a step on them."""

import re

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.commands.trace.arguments import MAX_POINTS, POINTS
from numpy_nn.commands.trace.command import main
from numpy_nn.commands.trace.points import MADE, points, read
from numpy_nn.commands.trace.recording import has_torch, record_points


def test_the_command_line_names_what_can_be_made():
    assert tuple(MADE) == POINTS


@pytest.mark.parametrize("name", POINTS)
def test_points_have_two_decimals_and_both_classes(name):
    x, y = points(name, 60, seed=1)
    assert x.shape == (60, 2)
    np.testing.assert_array_equal(x, x.round(2))
    assert set(y.tolist()) == {0, 1}
    np.testing.assert_array_equal(x, points(name, 60, seed=1)[0])


def test_xor_and_circles_are_what_they_are_called():
    x, y = points("xor", 100, seed=3)
    sides = x.prod(axis=1)
    assert ((sides < 0) == (y == 1))[np.abs(sides) > 1e-3].all()
    x, y = points("circles", 100, seed=3)
    assert np.hypot(*x[y == 1].T).max() < 0.6 < np.hypot(*x[y == 0].T).min()


def test_a_file_has_its_points_and_may_begin_with_names(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("x,y,class\n0.5,-1,0\n\n2,3,2\n", encoding="utf-8")
    x, y = read(path)
    np.testing.assert_array_equal(x, [[0.5, -1], [2, 3]])
    np.testing.assert_array_equal(y, [0, 2])
    path.write_text("0.5,-1,0\n2,3,1\n", encoding="utf-8")
    assert len(read(path)[0]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,0,0\n1,2\n", "line 2: expected x, y and a class, got '1,2'"),
        (
            "0,0,0\n1,nan,0\n",
            "line 2: expected two numbers, at most 1,000,000, and a class from 0 to 15, got '1,nan,0'",
        ),
        ("1e308,0,0\n1,1,0\n", "line 1: expected two numbers, at most 1,000,000"),
        ("0,0,a\n1,1,1\n2,2,0\n", "line 1: expected x, y and a class, got '0,0,a'"),
        ("x;y;class\n0;0;0\n", "line 2: expected x, y and a class, got '0;0;0'"),
        ("0,0,16\n1,1,0\n", "line 1: expected two numbers"),
        ("0,0,0\n1,1,0.5\n", "line 2: expected two numbers"),
        ("0,0,-1\n1,1,0\n", "line 1: expected two numbers"),
        ("0,0,0\n", f"expected 2 to {MAX_POINTS} points, got 1"),
        ("0,0,0\n" * (MAX_POINTS + 1), f"got {MAX_POINTS + 1}"),
    ],
)
def test_what_is_no_file_of_points_is_refused_with_its_line(tmp_path, capsys, text, message):
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(message)):
        read(path)
    assert main(["--data", str(path), "--out", str(tmp_path / "page.html")]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "mine.csv"
    for content in (b"\xff\xfe0,0", b'0,0,"' + b"1" * 200_000):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"mine\.csv: expected text in UTF-8"):
            read(path)


def test_a_byte_order_mark_is_no_name(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(b"\xef\xbb\xbf0,0,0\r\n1,1,1\r\n")
    np.testing.assert_array_equal(read(path)[0], [[0, 0], [1, 1]])


def test_of_one_point_nothing_is_made():
    with pytest.raises(ValueError, match=r"--batch: expected 2 to 400 points of moons, got 1"):
        points("moons", 1, seed=0)


def test_a_network_that_is_not_chosen_has_an_output_for_each_class_of_a_file(tmp_path):
    path, page = tmp_path / "mine.csv", tmp_path / "page.html"
    path.write_text("0,0,0\n0,1,1\n1,0,2\n1,1,0\n", encoding="utf-8")
    assert main(["--data", str(path), "--out", str(page)]) == 0
    assert '"network": "2-8-8-3, relu, mine.csv"' in page.read_text(encoding="utf-8")


def test_a_step_on_points_keeps_what_is_given_and_the_checks_of_the_parameters():
    net = nn.MLP([2, 3, 2], "tanh", rng=2, dtype=np.float64)
    x, y = points("moons", 12, seed=0)
    recording = record_points(net, x, y, 0.5)
    kept = {name for name, array in recording["arrays"].items() if "values" in array}
    assert kept == {"input", "target", "0.weight", "0.bias", "2.weight", "2.bias"}
    assert set(recording["checks"]) == {"0.weight.grad", "0.bias.grad", "2.weight.grad", "2.bias.grad"}
    for check in recording["checks"].values():
        assert np.max(check["bound"]) < 1e-8
        if has_torch():
            np.testing.assert_allclose(check["torch"], check["numerical"], atol=1e-8)
