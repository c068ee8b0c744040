"""Every lesson, run as its reader runs it, without a display: what it prints, what it draws, what it refuses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import needs
import numpy as np
import pytest

import numpy_nn as nn

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

ROOT = Path(__file__).parents[2]
LESSONS = {int(path.name.split("_")[1]): path for path in sorted((ROOT / "scripts" / "lessons").glob("lesson_*.py"))}


def run(number, *arguments, cwd=ROOT, path=ROOT):
    """The finished process of a lesson."""
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(path)}
    command = [sys.executable, str(LESSONS[number]), *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=needs.HANGS
    )


def printed(number, here, path=None):
    """What a lesson prints, after the checks that hold for all: status, nothing on stderr, its figures written.

    Without a path of its own it is forked from a process that has torch: to import it takes longer than most lessons.
    """
    folder = here / "figures"
    options = ("--data", str(ROOT / "data"), "--out", f"{folder}/")
    if path is None and needs.HAS_TORCH:
        from ranks import finished

        status, output, complaints = finished(LESSONS[number], *options, cwd=here)
    else:
        done = run(number, *options, cwd=here, path=path or ROOT)
        status, output, complaints = done.returncode, done.stdout, done.stderr
    assert status == 0, complaints
    assert complaints == ""
    named = {Path(name) for name in re.findall(r"^figure: (\S+)$", output, re.MULTILINE)}
    assert named == {path for path in folder.iterdir() if path.name != "trace.html"}
    assert LESSONS[number].stem.replace("_", "-") + ".png" in {path.name for path in named}
    for path in named:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 250_000
    return output


def numbers(text, pattern):
    """The numbers in the groups of every match, a row each."""
    matches = re.finditer(pattern, text, re.MULTILINE)
    return np.array([[float(group) for group in match.groups()] for match in matches])


@needs.torch
def test_1_the_perceptron(tmp_path):
    output = printed(1, tmp_path)
    assert "mistakes by epoch: [2, 2, 1, 0], 5 in all" in output
    assert output.count("  wrong: w = (") == 5
    assert "torch's SGD over 16 steps: 0.0\n" in output
    bounds = numbers(output, r"at most +([\d.]+) mistakes")
    least, most = numbers(output, r"(\d+) to (\d+) in 1000 random orders")[0]
    assert len(bounds) == 3
    assert 5 <= least <= most <= bounds.min()


def test_2_xor(tmp_path):
    output = printed(2, tmp_path, needs.path_without_torch(tmp_path / "without_torch"))
    assert "torch" not in output
    assert re.search(r"random line gets right: \{0: 0, .*, 4: 0\}", output)
    assert output.count(" wrong: w = (") == 12
    assert "the weights repeat after 4 visits" in output
    for f, label in numbers(output, r"by hand: .* = (\S+) +label (\S+)"):
        assert f == label
    assert numbers(output, r"^(\d) hidden unit\(s\): +(\d+) of 20")[[0, -1]].tolist() == [[1, 0], [4, 20]]


@needs.torch
def test_3_activations(tmp_path):
    output = printed(3, tmp_path)
    for name in nn.ACTIVATIONS:
        # A few units in the last place of 8, the largest value of any of them on -8 .. 8.
        value, slope = numbers(output, rf"^{name} +(\S+e\S+) +(\S+e\S+)$")[0]
        # torch has 1 / 6 as a float32.
        single = np.spacing(np.float32(1 / 6)) / 2 if name == "hardsigmoid" else 0.0
        assert value <= 4 * np.spacing(8.0)
        assert slope <= 4 * np.spacing(8.0) + single
    norms = {
        name: numbers(output, rf"^{re.escape(name)} +(\S+)  +(\S+)  +(\S+)  +(\S+)  +relatively")[0]
        for name in ("sigmoid", "tanh", "relu", "N(0, 1)", "Kaiming", "N(0, 0.01²)")
    }
    assert norms["sigmoid"][0] < 1e-5 * norms["sigmoid"][-1]
    assert norms["tanh"][0] > 0.1 * norms["tanh"][-1]
    assert norms["N(0, 0.01²)"][0] < 1e-6 * norms["Kaiming"][0] < 1e-6 * norms["N(0, 1)"][0]
    assert numbers(output, r"relatively from torch: (\S+)").max() < 1e-13


@needs.torch
def test_4_the_multilayer_perceptron(tmp_path):
    output = printed(4, tmp_path)
    (losses,) = numbers(output, r"loss: by hand ([\d.]+), layers ([\d.]+), torch ([\d.]+)")
    np.testing.assert_allclose(losses, losses[0], rtol=1e-14)
    rows = numbers(output, r"^(?:W1|b1|W2|b2|X) .*  ([-+]\d\S+)  ([-+]\d\S+)  ([-+]\d\S+)  (\S+)$")
    assert rows.shape == (5, 4)
    assert (rows[:, :3] == rows[:, :1]).all()
    assert rows[:, 3].max() < 1e-15
    assert numbers(output, r"against one layer .* difference (\S+)").item() < 1e-14
    shapes = dict(re.findall(r"^gradient of (\w+) (\(.*?\))$", output, re.MULTILINE))
    assert shapes == {
        **{"Z2": "(2, 3)", "W2": "(5, 3)", "b2": "(3,)", "H": "(2, 5)"},
        **{"Z1": "(2, 5)", "W1": "(4, 5)", "b1": "(5,)", "X": "(2, 4)"},
    }
    assert "lesson-4-mlp-backward.png" in output


@needs.torch
def test_5_mnist_from_scratch(tmp_path):
    output = printed(5, tmp_path)
    table = numbers(output, r"^ *(\d+) +([\d.]+) +([\d.]+) +([\d.]+)   +[\d.]+ \.\. [\d.]+$")
    assert table[:, 0].tolist() == list(range(0, 1000, 100))
    assert table[:, 1].tolist() == table[:, 2].tolist()
    assert table[0, 3] == 79.9906
    assert "predicted 80.2" in output
    assert 75 < numbers(output, r"random starts: mean ([\d.]+)").item() < 85
    # What the text says of them: the run with most living units is the lowest at step 100.
    living = numbers(output, r"^ *(\d) +(\d+) of 64 +(\S+) +(\S+)$")
    assert living[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert living[:, 1].argmax() == living[:, 2].argmin() == 0
    np.testing.assert_allclose(living[0, 2:], table[[1, 9], 1])


@needs.torch
def test_6_mnist_in_the_concise_form(tmp_path):
    output = printed(6, tmp_path)
    table = numbers(output, r"^ *(\d+) +([\d.]+) +([\d.]+) +([\d.]+)$")
    assert table[:, 0].tolist() == list(range(0, 1000, 100))
    np.testing.assert_allclose(table[:, 1], table[:, 2], atol=1.01e-4)
    # The tutorial's own range over 16 seeds, a tenth wider.
    for step, low, high in ((0, 2.28, 2.33), (1, 0.42, 0.76), (9, 0.0038, 0.0048)):
        assert low * 0.9 < table[step, 1] < high * 1.1
    accuracy = numbers(output, r"^    5 .* ([\d.]+)%$").item()
    assert accuracy > 95.0
    wrong = numbers(output, r"^(\d+) of 10000 wrong").item()
    assert wrong == pytest.approx(10_000 - 100 * accuracy)
    confusion = numbers(output, r"^[ \[]\[" + r" *(\d+)" * 10)
    assert confusion.sum() == 10_000
    assert np.trace(confusion) == 10_000 - wrong


def test_7_is_my_gradient_right_and_without_a_display_it_saves_and_says_where(tmp_path):
    done = run(7, cwd=tmp_path, path=needs.path_without_torch(tmp_path / "without_torch"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    output = done.stdout
    figure = Path("runs", "lessons", "lesson-7-is-my-gradient-right.png")
    assert f"figure: {figure} (no display here" in output
    assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")
    assert 10_000 < (tmp_path / figure).stat().st_size < 250_000
    assert "torch" not in output
    best = {
        name: numbers(output, rf"^{name} +best at h = (\S+): relative error (\S+);")[0]
        for name in ("forward", "central", "complex step")
    }
    assert 1e-9 < best["forward"][0] < 1e-6
    assert 1e-7 < best["central"][0] < 1e-4
    assert best["complex step"][1] < 1e-15 < best["central"][1] < 1e-10 < best["forward"][1] < 1e-7
    bound, error = numbers(output, r"^derivative .* bound (\S+), error (\S+)$")[0]
    assert error <= bound < 1e-10
    assert numbers(output, r"^float64: .* relative error (\S+)$") < 1e-8 < numbers(output, r"^float32: .* error (\S+)$")
    assert "ReLU(): RIGHT" in output
    assert output.count("WRONG") == 4
    assert output.count("the gradient is made with a matrix that should be transposed") == 2
    _, own = output.split("\nDense: WRONG\n")
    own, pair = own.split("\nhidden: WRONG\n")
    pair, right = pair.split("\nhidden: RIGHT\n")
    assert re.findall(r"^  (\w+) +wrong ", pair, re.MULTILINE) == ["x", "w", "b"]
    assert pair.count("the derivative of the function (of the activation, say) is left out") == 3
    assert re.findall(r"^  (\w+) +right ", right, re.MULTILINE) == ["x", "w", "b"]
    assert "the gradient of the bias is averaged over the batch, not summed" in own
    assert re.findall(r"^  (\w+) +(right|wrong) ", own, re.MULTILINE) == [
        ("x", "right"),
        ("W", "right"),
        ("b", "wrong"),
    ]
    for loss in numbers(output, r"^trained with the .*: loss (\S+) after")[:, 0]:
        assert loss < 0.1


def test_8_the_backward_pass_step_by_step(tmp_path):
    output = printed(8, tmp_path)
    assert "they agree\n" in output
    before, after = numbers(output, r"loss (\S+) before the step, (\S+) after it")[0]
    assert after < before
    assert f"page: {tmp_path / 'figures' / 'trace.html'}" in output
    page = (tmp_path / "figures" / "trace.html").read_text(encoding="utf-8")
    assert "</html>" in page
    assert f"{before:.6f}"[:-1] in page  # the same network, to the digit before the rounded one


@needs.torch
def test_9_initialization_and_normalization(tmp_path):
    output = printed(9, tmp_path)
    # At layers 1, 10 and 20: values, gradients at z, gradients of the weights.
    sizes = {
        (name, c): numbers(output, rf"^{name}, {c} times the right s" + r" +(\S+)" * 9 + "$")[0].reshape(3, 3)
        for name in ("relu", "tanh")
        for c in ("0.5", "1", "2")
    }
    for c in ("0.5", "2"):
        quotient = sizes["relu", c] / sizes["relu", "1"]
        powers = np.array([[1, 10, 20], [19, 10, 0], [19, 19, 19]])
        # ReLU commutes with a factor: the powers are exact. Two printed digits are right to a twentieth.
        np.testing.assert_allclose(quotient, float(c) ** powers, rtol=0.11)
    saturated = sizes["tanh", "2"]
    assert saturated[0].min() > 0.7
    assert saturated[1, 0] > 10 * saturated[1, 2]
    # A chain of twenty layers multiplies the rounding of each by some units in the last place.
    assert numbers(output, r"from by hand: layers (\S+), torch (\S+)$").max() < 1e-13
    rows = numbers(output, r"^  (?:y|gradient of \w+) +([-+]\S+)  ([-+]\S+)  ([-+]\S+)  (\S+)$")
    assert rows.shape == (8, 4)
    assert (rows[:, :3] == rows[:, :1]).all()
    assert rows[:, 3].max() < 1e-14
    for name in ("batch norm", "layer norm"):
        scaled = numbers(output, rf"^{name}, \S+ times He's s" + r" +(\S+)" * 3 + "$")
        # One network, where without it they are a factor of 2^19 apart: to multiply by powers of 2 rounds nothing.
        assert (scaled == scaled[1]).all()
        assert (scaled[:, 0] > 10 * scaled[:, 2]).all() == (name == "batch norm")
    ends = dict(re.findall(r"^(with\w*) batch norm, 1 times He's s .* last (\S+)$", output, re.MULTILINE))
    assert re.search(r"^without batch norm, 0.5 times .* last 0\.693$", output, re.MULTILINE)
    assert re.search(r"^without batch norm, 2 times .* last not a number at step \d$", output, re.MULTILINE)
    last = numbers(output, r"^with batch norm, .* last (\S+)$")[:, 0]
    assert last.shape == (3,)
    assert last.max() < 0.1 < float(ends["without"]) < 0.69


@needs.torch
def test_10_optimizers(tmp_path):
    output = printed(10, tmp_path)
    factors = numbers(output, r"multiplies by (\S+) and (\S+);")
    assert factors[0].max() < 1 < factors[1].max()
    rows = numbers(output, r"lr \S+ +loss 33 -> (\S+) +off by hand: ours (\S+), torch (\S+)$")
    assert rows.shape == (4, 3)
    # Sixty steps from numbers of at most 4, in which nothing grows, some units in the last place each.
    assert rows[:, 1:].max() < 1e-12
    assert rows[0, 0] == rows[:, 0].max() < 0.1
    excess = dict(re.findall(r"^step +(\d+): without the correction (\S+) times", output, re.MULTILINE))
    assert float(excess["1"]) == pytest.approx(0.1 / 0.001**0.5, abs=0.005)
    assert max(excess, key=lambda step: float(excess[step])) == "12"


@needs.torch
def test_11_floating_point(tmp_path):
    output = printed(11, tmp_path)
    assert "(1 + u) + u - 1: 0.0   1 + (u + u) - 1: 1.19" in output
    sums = numbers(output, r"^(?:both signs|positive|the bound)\D* +([\d.]+) +([\d.]+) +([\d.]+)$")
    assert sums.shape == (4, 3)
    assert (sums[:3] <= sums[3]).all()
    shares = numbers(output, r"of what is allowed: ours (\S+), torch (\S+), apart (\S+)$")
    assert shares.shape == (3, 3)
    assert shares.max() <= 1
    assert shares[:, :2].min() > 0
    jumps, high, low = numbers(output, r"^two orders: another sign in (\d+) .* median (\S+) .* most (\S+) in all")[0]
    assert jumps > 10
    assert high > 1e3 * low
    nearest, possible = numbers(output, r"^jumps at \|z\| of up to (\S+) .* possible up to (\S+)$")[0]
    assert nearest <= possible
    variances = numbers(output, r"^ +(\d+) +([\d.]+) +([-\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$")
    assert variances.shape == (5, 6)
    mean, exact = variances[:, :2].T
    # A mean of 1000 numbers is off by gamma_1001 times their size, and the variance by its square and by some
    # gamma_1003 of itself; 5 decimals are printed.
    gamma = 1003 * 2.0**-24 / (1 - 1003 * 2.0**-24)
    allowed = (gamma * (mean + 5)) ** 2 + gamma + 1e-5
    assert (np.abs(variances[:, 3:] - exact[:, None]) <= allowed[:, None]).all()
    assert abs(variances[-1, 2] - exact[-1]) > 1
    assert re.search(r"^-120 +inf +inf +120 +120 +120 +120$", output, re.MULTILINE)
    assert re.search(r"^  95 +nan +-?0 +0 +\S+ +0 +0$", output, re.MULTILINE)
    quotients = numbers(output, r"derived h = (\S+), error (\S+); found h = (\S+), error (\S+)$")
    assert quotients.shape == (2, 4)
    # NumPy's exp is good to 4 units in the last place, which are 8 u at most.
    assert (quotients[:, 3] <= 8 * quotients[:, 1]).all()


@needs.torch
def test_12_one_network_on_several_processes(tmp_path):
    output = printed(12, tmp_path)
    off = numbers(output, r"^parts of .* means is off by (\S+), the weighted sum by (\S+)$")
    assert off.shape == (3, 2)
    assert off[1, 0] > 1e10 * off.max(axis=0)[1]
    exact = numbers(output, r"^after step (\d): up to +(\d+) digits, (\d+) of 21 parameters in float64 are exact$")
    assert exact.shape == (4, 3)
    np.testing.assert_array_equal(exact[:, 2] == 21, exact[:, 1] <= 53)
    assert exact[1, 2] == 21
    ends = dict(re.findall(r"^(\d) process(?:es|  ): all alike: True; on halves: (.+); on other", output, re.MULTILINE))
    # Equal parts divide by powers of 2 alone.
    assert [ends[size] for size in "124"] == ["the bits of the fractions"] * 3
    assert output.count(" with gloo: the bits of the fractions in both processes\n") == 2
    sent = re.findall(r"operations each, (\S+) bytes sent by each \(by the formula (\S+)\); a step: ", output)
    assert [bytes_sent for bytes_sent, _ in sent] == [formula for _, formula in sent]
    assert len(sent) == 3


def fails_in_one_line(done, *words):
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("number", [5, 6])
def test_without_mnist_it_names_the_command_that_gets_it(number, tmp_path):
    fails_in_one_line(run(number, "--data", str(tmp_path)), str(tmp_path), "fetch-mnist")


def test_a_figure_that_cannot_be_written_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file" / "figure.png")
    fails_in_one_line(run(2, "--out", path), "--out", path)
    fails_in_one_line(run(2, "--out", str(tmp_path / "figure.docx")), "--out", "figure.docx", ".png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("number", LESSONS)
def test_it_opens_as_a_notebook_and_asks_and_answers(number):
    text = LESSONS[number].read_text(encoding="utf-8")
    kinds = re.findall(r"^# %%( \[markdown\])?$", text, re.MULTILINE)
    assert text.startswith(f"# %% [markdown]\n# # Lesson {number}: ")
    assert kinds[0] == kinds[-1] == " [markdown]"
    assert "" in kinds
    assert ("**Answer to the last question.**" in text) == (number > 1)
    assert "# ## A question\n" in text.split("# %% [markdown]\n")[-1]
