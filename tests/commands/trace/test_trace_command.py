"""The script that writes the page of one training step: what it records, what it refuses, what is committed."""

import base64
import json
import math
import re
import sys
from pathlib import Path

import needs
import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.commands.names import ACTIVATIONS, NOT_ON_THE_PAGE
from numpy_nn.commands.trace.command import main
from numpy_nn.commands.trace.recording import record
from numpy_nn.commands.trace.shortened import shorten
from numpy_nn.gradcheck import derivative

ROOT = Path(__file__).parents[3]

SHOWN = sorted({*ACTIVATIONS} - NOT_ON_THE_PAGE)


def problem(layers, n=2, seed=1):
    """A float64 network of these layers with a batch."""
    net = nn.Sequential(*layers)
    rng = np.random.default_rng(seed)
    width = next(layer.in_features for layer in layers if isinstance(layer, nn.Linear))
    (classes,) = net.output_shape((width,))
    return net, rng.standard_normal((n, width)), rng.integers(0, classes, n)


@pytest.mark.slow
@pytest.mark.numerical
@needs.torch
@pytest.mark.parametrize("activation", SHOWN)
def test_torch_and_the_numerical_derivative_agree_with_every_gradient(activation):
    # Two hidden layers of one activation; of the others, whose derivatives are compared elsewhere, one.
    sizes = [2, 3, 2, 3] if activation == "gelu" else [2, 2, 3]
    net = nn.MLP(sizes, activation, rng=2, dtype=np.float64)
    rng = np.random.default_rng(3)
    recording = record(net, rng.standard_normal((2, 2)), np.array([2, 0]), 0.1)
    gradients = {name for name in recording["arrays"] if name.endswith(".grad")}
    assert set(recording["checks"]) == gradients
    for name in gradients:
        ours = np.array(recording["arrays"][name]["values"])
        torch, numerical, bound = (np.array(recording["checks"][name][k]) for k in ("torch", "numerical", "bound"))
        assert ours.shape == torch.shape == numerical.shape == bound.shape
        assert (np.abs(ours - numerical) <= bound).all(), name
        assert (np.abs(torch - numerical) <= bound).all(), name
        # A bound that lets everything pass would agree with any gradient.
        assert bound.max() < 1e-8, name


@pytest.mark.slow
@needs.torch
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_so_they_do_for_the_other_losses(loss):
    net = nn.MLP([3, 2, 2], "tanh", rng=2, dtype=np.float64)
    rng = np.random.default_rng(3)
    recording = record(net, rng.standard_normal((2, 3)), rng.integers(0, 2, (2, 2)).astype(float), 0.1, loss, "adam")
    assert recording["update"] == {"kind": "adam", "betas": (0.9, 0.999), "eps": 1e-8}
    for name, check in recording["checks"].items():
        ours = np.array(recording["arrays"][name]["values"])
        torch, numerical, bound = (np.array(check[k]) for k in ("torch", "numerical", "bound"))
        assert (np.abs(ours - numerical) <= bound).all(), name
        assert (np.abs(torch - numerical) <= bound).all(), name


def test_the_step_that_is_recorded_is_the_networks_own():
    net, x, y = problem([nn.Linear(3, 4, rng=0, dtype=np.float64), nn.Tanh(), nn.Linear(4, 2, rng=1, dtype=np.float64)])
    before = net.state_dict()
    recording = record(net, x, y, 0.25)
    for name, p in net.named_parameters():
        np.testing.assert_array_equal(recording["arrays"][name]["values"], before[name])
        np.testing.assert_array_equal(recording["arrays"][f"{name}.after"]["values"], p.data)


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(("activation", "kinked"), [(nn.ReLU, True), (nn.Tanh, False)])
def test_at_a_kink_both_sides_are_recorded_and_nowhere_else(activation, kinked):
    net, x, y = problem(
        [nn.Linear(3, 4, rng=0, dtype=np.float64), activation(), nn.Linear(4, 2, rng=1, dtype=np.float64)]
    )
    net[0].weight.data[:, 1] = 0.0
    net[0].bias.data[1] = 0.0
    recording = record(net, x, y, 0.25)
    checks, ours = recording["checks"], recording["arrays"]["0.bias.grad"]["values"]
    sides = checks["0.bias.grad"]["sides"]
    assert sides.keys() == ({"0,1"} if kinked else set())
    assert checks["2.bias.grad"]["sides"] == {}
    if kinked:
        left, right, bound = sides["0,1"]
        assert min(left, right) - bound <= ours[1] <= max(left, right) + bound
        assert bound < 1e-6 < abs(right - left)


@pytest.mark.parametrize(
    ("f", "x0", "exact"),
    [(math.sin, 0.7, math.cos(0.7)), (math.exp, 3.0, math.exp(3.0)), (lambda x: x**3 - x, -2.0, 11.0)],
)
def test_the_bound_of_the_numerical_derivative_holds(f, x0, exact):
    value, bound = derivative(f, x0)
    assert abs(value - exact) <= bound < 1e-9


@pytest.mark.parametrize(
    ("layers", "n", "message"),
    [
        ([nn.Linear(17, 2, dtype=np.float64)], 2, "at most 16 units.*got 17"),
        ([nn.Linear(2, 2, dtype=np.float64) for _ in range(11)], 2, "1 to 10 weight layers, got 11"),
        ([nn.Linear(2, 2, dtype=np.float64)], 5, "at most 4 rows, got 5"),
        ([nn.Linear(2, 2, dtype=np.float64), nn.Softmax()], 2, "BatchNorm1d with weights, got Softmax"),
        ([nn.Linear(2, 2, dtype=np.float64), nn.LayerNorm(2, dtype=np.float64)], 2, "with weights, got LayerNorm"),
        ([nn.Linear(2, 2)], 2, "expected float64"),
    ],
)
def test_what_the_page_cannot_draw_is_refused(layers, n, message):
    net, x, y = problem(layers, n)
    with pytest.raises((ValueError, TypeError), match=message):
        record(net, x, y, 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "4,x,3"], "--sizes: expected two or more whole numbers > 0 such as 4,5,3, got '4,x,3'"),
        (["--sizes", "4"], "--sizes: expected two or more"),
        (["--sizes", "4,0,3"], "--sizes: expected two or more"),
        (["--sizes", "4,17,3"], "at most 16 units"),
        (["--sizes", "4,99999999999,3"], "at most 16 units"),
        (["--sizes", "4,4,4,4,4,4,4,4,4,4,4,3"], "1 to 10 weight layers, got 11"),
        (["--data", "moon"], "--data: expected xor, moons, spirals, circles or FILE.csv"),
        (["--data", "moons", "--sizes", "3,2"], "--data: moons goes with two inputs, got --sizes with 3"),
        (["--data", "moons", "--sizes", "2,3,1"], "expected an output for each of the 2 classes of moons, got 1"),
        (["--data", "xor", "--loss", "bce", "--sizes", "2,3,2"], "expected two classes and one output, got 2 and 2"),
        (["--data", "xor", "--batch", "401"], "at most 400 rows, got 401"),
        (["--data", "none.csv"], "none.csv"),
        (["--sizes", "784,64,3"], "expected 10 outputs for MNIST's digits, got 3"),
        (["--batch", "5"], "at most 4 rows, got 5"),
        (["--batch", "0"], "--batch: expected a whole number >= 1, got '0'"),
        (["--activation", "rely"], "--activation: invalid choice: 'rely'"),
        (["--activation", "softmax"], "--activation: invalid choice: 'softmax'"),
        (["--lr", "-1"], "--lr: expected a number >= 0, got '-1'"),
        (["--lr", "nan"], "--lr: expected a number >= 0, got 'nan'"),
        (["--mistake", "typo"], "--mistake: invalid choice: 'typo'"),
        (["--sizes", "784,64,10", "--mistake", "sign"], "--mistake: goes with a small network"),
        (["--loss", "hinge"], "--loss: invalid choice: 'hinge'"),
        (["--sizes", "784,64,10", "--optimizer", "adam"], "--optimizer: goes with a small network"),
        (["--seed", "1.5"], "--seed: expected a whole number >= 0, got '1.5'"),
        (["--out", "no/such/folder/trace.html"], "no/such/folder/trace.html"),
        (["--checkpoint", "weights.npz"], "--checkpoint: goes with MNIST's 784 inputs"),
        (["--sizes", "784,64,10", "--data", "nowhere"], "numpy_nn fetch-mnist"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        sys.exit(main(arguments))
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("trace: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_committed_page_is_what_the_script_writes(page_file):
    """The template to the letter, the recorded numbers to what another processor's sums may differ by."""
    recording = re.compile(r'(?<= id="recording") data-crc32="[0-9a-f]{8}">(.*?)(?=</script>)', re.DOTALL)
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "trace-4-5-3.html", page_file)]
    committed, fresh = (recording.sub("", text) for text in texts)
    assert committed == fresh
    ours, theirs = (json.loads("".join(recording.findall(text))) for text in texts)
    for name, array in theirs["arrays"].items():
        np.testing.assert_allclose(ours["arrays"][name]["values"], array["values"], atol=1e-13)


@pytest.mark.usefixtures("mnist")
def test_the_short_form_summarizes_the_step(mnist):
    net = nn.MLP([784, 8, 10], rng=0)
    x, y = mnist.x_train[:16], mnist.y_train[:16]
    recording = shorten(net, x, y, 0.1)
    loss = nn.CrossEntropyLoss()
    net = nn.MLP([784, 8, 10], rng=0)
    assert recording["summary"]["loss"]["mean"] == pytest.approx(loss(net(x), y), rel=1e-6)
    net.backward(loss.backward())
    gradient = net[0].weight.grad
    summary = recording["summary"]["0.weight.grad"]
    assert summary["rms"] == pytest.approx(np.sqrt(np.mean(gradient**2)), rel=1e-5)
    assert sum(summary["counts"]) == summary["size"] == 784 * 8
    assert summary["zeros"] == np.count_nonzero(gradient == 0)
    assert recording["summary"]["target"] == {"size": 16, "labels": np.bincount(y, minlength=10).tolist()}
    logits = net(x)
    digits = recording["digits"]
    assert [digit["label"] for digit in digits] == y[:8].tolist()
    assert [digit["prediction"] for digit in digits] == logits[:8].argmax(axis=1).tolist()
    pixels = np.frombuffer(base64.b64decode(digits[2]["pixels"]), np.uint8)
    np.testing.assert_array_equal(pixels, np.rint(255 * x[2] / x[2].max()))
