"""The comparison from the command line: its table, its exit status, and what it refuses."""

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
import torch_ref
from numpy_nn.commands.parity.arguments import LOSSES
from numpy_nn.commands.parity.command import OPTIMIZERS, main

SMALL = ["--sizes", "4,5,3", "--batch", "6"]


def test_without_arguments_it_compares_the_tutorial_s_network(capsys):
    assert main([]) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[0] == f"numpy_nn beside torch {torch.__version__} on {device()}, float32"
    assert output[2].startswith("0 Linear output                64 x 64 ")
    assert "2.bias after 3 steps of SGD" in output[-2]
    assert output[-1].startswith("19 quantities: all within their bounds, which could be ")


def device():
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.slow
@pytest.mark.numerical
@given(
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=4),
    batch=st.integers(2, 20),
    options=st.fixed_dictionaries(
        {
            "--activation": st.sampled_from(sorted(nn.ACTIVATION_LAYERS)),
            "--dropout": st.sampled_from([0, 0.1, 1]),
            "--optimizer": st.sampled_from(sorted(OPTIMIZERS)),
            "--lr": st.sampled_from([0, 1e-3, 0.1]),
            "--steps": st.integers(1, 4),
            "--dtype": st.sampled_from(["float32", "float64"]),
            "--seed": st.integers(0, 2**64),
        }
    ),
    loss=st.sampled_from([["--loss", loss] for loss in LOSSES] + [["--label-smoothing", "0.1"]]),
    batch_norm=st.sampled_from([[], ["--batch-norm"]]),
)
def test_any_network_is_within_its_bounds(sizes, batch, options, loss, batch_norm):
    pairs = [text for name, value in options.items() for text in (name, str(value))]
    arguments = ["--sizes", ",".join(map(str, sizes)), "--batch", str(batch), *pairs, *loss, *batch_norm]
    assert main(arguments) == 0


def test_the_table_shows_the_network_that_was_asked_for(capsys):
    assert main([*SMALL, "--activation", "gelu", "--batch-norm", "--dropout", "0.1", "--optimizer", "adamw"]) == 0
    output = capsys.readouterr().out
    for quantity in ("0 Linear output", "1 BatchNorm1d running_var", "2 GELU input gradient", "3 Dropout output"):
        assert f"\n{quantity}  " in output
    assert "4.weight after 3 steps of AdamW" in output


def test_one_seed_gives_one_table(capsys):
    tables = []
    for seed in ("1", "1", "2"):
        main([*SMALL, "--seed", seed])
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] != tables[2]


def test_a_wrong_gradient_is_shown_and_the_status_is_1(monkeypatch, capsys):
    monkeypatch.setattr(nn.ReLU, "backward", lambda _, grad_output: 2 * grad_output)
    assert main(SMALL) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if "FAILED" in line]
    assert failed[0].startswith("1 ReLU input gradient")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--sizes", "4,x,3"],
            "argument --sizes: expected two or more whole numbers > 0 such as 784,64,10, got '4,x,3'",
        ),
        (["--sizes", "4"], "argument --sizes: expected two or more"),
        (["--sizes", "4,0,3"], "argument --sizes: expected two or more"),
        (["--sizes", ""], "argument --sizes: expected two or more"),
        (["--activation", "swish"], "argument --activation: invalid choice: 'swish'"),
        (["--loss", "hinge"], "argument --loss: invalid choice: 'hinge'"),
        (["--optimizer", "lbfgs"], "argument --optimizer: invalid choice: 'lbfgs'"),
        (["--dropout", "1.5"], "argument --dropout: expected a number from 0 to 1, got '1.5'"),
        (["--dropout", "nan"], "argument --dropout: expected a number"),
        (["--lr", "-1"], "argument --lr: expected a number >= 0, got '-1'"),
        (["--lr", "inf"], "argument --lr: expected a number >= 0, got 'inf'"),
        (["--lr", "fast"], "argument --lr: expected a number >= 0, got 'fast'"),
        (["--steps", "0"], "argument --steps: expected a whole number >= 1, got '0'"),
        (["--batch", "0"], "argument --batch: expected a whole number >= 1, got '0'"),
        (["--batch", "2.5"], "argument --batch: expected a whole number >= 1, got '2.5'"),
        (["--batch", "1", "--batch-norm"], "argument --batch: expected at least 2 rows with --batch-norm"),
        (["--seed", "-1"], "argument --seed: expected a whole number >= 0, got '-1'"),
        (["--dtype", "float16"], "argument --dtype: invalid choice: 'float16'"),
        (["--label-smoothing", "2"], "argument --label-smoothing: expected a number from 0 to 1, got '2'"),
        (["--label-smoothing", "0.1", "--loss", "mse"], "argument --label-smoothing: goes with --loss cross-entropy"),
        (["--device", "gpu"], "argument --device: invalid choice: 'gpu'"),
        (["--depth", "3"], "unrecognized arguments: --depth 3"),
    ],
)
def test_bad_arguments_give_one_line_that_names_them(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith(f"parity: {message}")
    assert streams.err.count("\n") == 1


def test_cuda_where_there_is_none_is_said(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as exit_:
        main(["--device", "cuda"])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("parity: argument --device: expected a machine with CUDA for 'cuda'")
    assert error.count("\n") == 1


def test_one_row_is_enough_where_batch_norm_has_no_hidden_layer_to_stand_in():
    assert main(["--sizes", "4,3", "--batch", "1", "--batch-norm"]) == 0


def test_ctrl_c_ends_it_in_one_line(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch_ref, "parity", interrupt)
    assert main(SMALL) == 130
    assert capsys.readouterr().err == "parity: interrupted\n"


@pytest.mark.slow
@pytest.mark.numerical
def test_random_networks_give_a_row_for_each_kind_of_quantity(capsys):
    assert main(["--networks", "12", "--dtype", "float64", "--seed", "3"]) == 0
    head, *rows, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["quantity", "compared", "out", "of", "bounds", "least", "room", "median"]
    table = {line[:44].strip(): line[44:].split() for line in rows}
    assert {"Linear output", "Linear weight gradient", "network loss", "weight after 3 steps of SGD"} <= table.keys()
    assert all(failed == "0" for _, failed, *_ in table.values())
    assert all(room == "equal" or float(room) >= 1.0 for *_, room, _ in table.values())
    # The finding that would be one: bounds a thousand times too wide at the median kind.
    assert float(last.split()[-1]) < 1e3


def test_a_failure_among_random_networks_is_counted_and_the_status_is_1(monkeypatch, capsys):
    backward = nn.Linear.backward
    monkeypatch.setattr(nn.Linear, "backward", lambda self, g: 1.001 * backward(self, g))
    assert main(["--networks", "3", "--dtype", "float64"]) == 1
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Linear input gradient")]
    compared, failed, room, _ = row[44:].split()
    assert 0 < int(failed) <= int(compared)
    assert float(room) < 1.0


MINE = str(Path(__file__).parents[2] / "helpers" / "my_mlp.py")
SIZES = ["--init", "5", "4", "3"]
# What is said is said of any number.
ONE_STEP = ["--steps", "1"]


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("TwoLayerNet", [*SIZES, *ONE_STEP], "params['W1'] is 0.weight transposed"),
        ("Columns", ["--init", "[5,4,3]", *ONE_STEP], "samples in rows where mine has them in columns"),
        # As many samples as outputs: the shapes do not tell the rows from the columns.
        ("Columns", ["--init", "[5,4,3]", "--batch", "3", *ONE_STEP], "samples in rows where mine has them in columns"),
        ("ColumnsOfProbabilities", ["--init", "[5,4,3]", *ONE_STEP], "Softmax(dim=1)"),
        ("Probabilities", [*SIZES, *ONE_STEP], "theirs: Linear(in_features=5, out_features=4, bias=True), Tanh(), "),
        (
            "Probabilities",
            [*SIZES, "--steps", "2", "--lr", "0.5"],
            "mine by its own update(), theirs by SGD with lr 0.5",
        ),
        ("TwoLayerNet", [*SIZES, "--optimizer", "adam", *ONE_STEP], "the steps: Adam"),
        ("affine", ["--input", "6x4", "--input", "w=4x3", "--theirs", f"{MINE}:other"], "checked with affine_backward"),
    ],
)
def test_a_network_of_one_s_own_needs_no_line_of_code(name, options, said, capsys):
    assert main(["--mine", f"{MINE}:{name}", "--batch", "8", *options]) == 0
    output = capsys.readouterr().out
    assert said in output
    count = re.search(r"\n(\d+) quantities: (\d+) same\n$", output)
    assert count
    assert count[1] == count[2]


@pytest.mark.slow
@pytest.mark.numerical
def test_a_wrong_network_of_one_s_own_is_shown_with_its_cause_and_the_status_is_1(capsys):
    assert main(["--mine", f"{MINE}:Forgets", *SIZES, "--batch", "8"]) == 1
    output = capsys.readouterr().out
    assert "gradient with respect to params['W2']: mine is 8 times theirs, and 8 is the number of rows" in output
    assert "the two part first at the gradient with respect to params['W2']: the checker finds mine wrong: " in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([f"{MINE}:Nothing"], f"{MINE} has no Nothing; it has TwoLayerNet, Forgets"),
        (["nowhere.py:Net"], "no such file: nowhere.py"),
        ([MINE], f"{MINE} has TwoLayerNet, "),
        ([f"{MINE}:TwoLayerNet", "--init", "5"], "missing a required argument: 'hidden_size'; TwoLayerNet(input"),
        ([f"{MINE}:NoBackward", "--init", "5", "3"], "--mine: target: expected forward and backward, got NoBackward"),
        ([f"{MINE}:Breaks", "--init", "5", "3"], "--mine: RuntimeError: no such thing"),
        ([f"{MINE}:TwoLayerNet", *SIZES, "--sizes", "6,4,3"], "--mine: matmul: "),
        ([f"{MINE}:TwoLayerNet", *SIZES, "--sizes", "5,3"], "--mine: the weights do not fit one to one: mine are "),
        ([f"{MINE}:affine"], "--sizes: expected those of the layers, which --init does not tell"),
        ([f"{MINE}:affine", "--init", "5"], "--init: affine is no class, and takes no arguments here; functions"),
        ([f"{MINE}:TwoLayerNet", *SIZES, "--theirs", f"{MINE}:Nothing"], f"{MINE} has no Nothing"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(arguments, message, capsys):
    assert main(["--mine", *arguments, "--batch", "8"]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith(f"parity: {message}")
    assert streams.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--init", "5"], "argument --init: goes with --mine FILE:NAME"),
        (["--theirs", "a.py:B"], "argument --theirs: goes with --mine FILE:NAME"),
        (["--mine", "a.py:B", "--dropout", "0.1"], "argument --dropout: is of networks of ours"),
        (["--mine", "a.py:B", "--dtype", "float32"], "argument --dtype: is of networks of ours"),
        (["--mine", "a.py:B", "--loss", "perceptron"], "argument --loss: expected cross-entropy, mse or bce"),
        (["--mine", "a.py:B", "--input", "5x"], "argument --input: expected a shape such as 5x4"),
        (["--mine", "a.py:B", "--input", "5x4"], "argument --input: expected --theirs FILE:NAME with it, got none"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, message, capsys):
    test_bad_arguments_give_one_line_that_names_them(arguments, message, capsys)
