"""The checker's command line on files as people write them: inputs, partners by name, exits, what is asked for."""

import inspect
import json
import runpy
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.commands.gradcheck import command
from numpy_nn.commands.gradcheck.command import main
from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.inputs import KINDS, classes, drawn

FILE = """
import numpy as np

rng = np.random.default_rng(0)


class TwoLayerNet:
    def __init__(self, n_in, hidden, n_out):
        self.params = {"W1": rng.standard_normal((n_in, hidden)), "W2": rng.standard_normal((hidden, n_out))}

    def loss(self, X, y):
        h = np.tanh(X @ self.params["W1"])
        s = h @ self.params["W2"]
        p = np.exp(s - s.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        p[np.arange(len(y)), y] -= 1
        p /= len(y)
        return loss, {"W1": X.T @ (p @ self.params["W2"].T * (1 - h**2)), "W2": h.T @ p}


class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, g):
        self.dW, self.db = self.x.T @ g, g.sum(0)
        return g @ self.W.T


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(0)


def embed(ids, table):
    return table[ids]


def embed_backward(dout, ids, table):
    d = np.zeros_like(table)
    np.add.at(d, ids, dout)
    return d


def cross_entropy(p, t):
    return -np.sum(t * np.log(p))


def cross_entropy_grad(p, t):
    return -t / p


def initialize_parameters(n_x, n_y):
    return {"W": np.ones((n_y, n_x)), "b": np.zeros((n_y, 1))}


def forward_propagation(X, parameters):
    A = 1 / (1 + np.exp(-(parameters["W"] @ X + parameters["b"])))
    return A, {"A": A}


def compute_cost(A, Y, parameters):
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def backward_propagation(parameters, cache, X, Y):
    dZ = cache["A"] - Y
    return {"dW": dZ @ X.T / X.shape[1], "db": dZ.mean(axis=1, keepdims=True)}


class Logistic:
    def __init__(self, n):
        self.w = rng.standard_normal(n)

    def forward(self, x):
        return 1 / (1 + np.exp(-x @ self.w))

    def gradient(self, X, y):
        return {"w": X.T @ (self.forward(X) - y)}


def fun(theta, *args):
    A, c = args
    return c * np.sum((A @ theta) ** 2)


def jac(theta, *args):
    A, c = args
    return 2 * c * A.T @ (A @ theta)
"""


@pytest.fixture
def theirs(tmp_path):
    path = tmp_path / "theirs.py"
    path.write_text(FILE)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("TwoLayerNet --init 4 5 3 --input 5x4 --labels 3", "params['W1']"),
        ("TwoLayerNet --init n_in=4 hidden=5 n_out=3 --input 5x4 --labels 3", "params['W2']"),
        ("Affine --init W=4x3 b=3 --input 5x4", "b "),
        ("affine_forward,affine_backward --input 5x4 --input 4x3 --input 3", "w "),
        ("affine_forward --input 5x4 --input 4x3 --input 3", "checked with affine_backward, by its name"),
        ("affine_forward --input b=3 --input w=4x3 --input x=5x4", "x "),
        ("embed --input ids=6:int4 --input table=4x3", "table"),
        ("cross_entropy --input p=5x3:probabilities --targets 5x3:onehot", "p "),
        (
            "forward_propagation --input X=3x5 --input parameters=initialize_parameters(3,1) --targets 1x5:binary",
            "judged as the gradients of compute_cost",
        ),
        ("forward_propagation --input 3x5 --input W=1x3 --input b=1x1 --targets 1x5:binary", "parameters['b']"),
        ("Logistic --init 4 --input 5x4 --targets 5:binary", "the loss is not written in the code"),
        ("fun,jac --input 4 --input A=5x4 --input c=float(.7)", "input "),
    ],
)
def test_natural_commands_give_a_verdict(theirs, capsys, command, shown):
    target, *rest = command.split()
    assert main([f"{theirs}:{target}", *rest]) == 0
    out = capsys.readouterr().out
    assert "RIGHT" in out
    assert shown in out


@pytest.mark.parametrize("call", ["made(n)", "made(", "os.system('ls')", "[f(1)](2)", "made(f(2))"])
def test_an_input_that_is_made_is_a_call_with_numbers(theirs, capsys, call):
    with pytest.raises(SystemExit, match="2"):
        main([f"{theirs}:embed", "--input", f"table={call}"])
    assert "expected a " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("Affine --input 5x4", "Affine(W, b): give its arguments, such as --init 4 3 or --init W=4x3 b=3"),
        ("TwoLayerNet --init 4 5 3 --input 5x4", "TwoLayerNet has loss: pass the targets too"),
        ("Logistic --init 4 --input 5x4", "gradient takes y: pass the targets too"),
        ("affine_forward --input 5x4", "expected x, w, b, got 1 of them"),
        ("affine_forward --input y=5x4 --input w=4x3 --input b=3", "affine_forward takes x, w, b, not y"),
        ("embed --input ids=6:int4 --input table=made(3)", "there is no function made in the file"),
        ("embed --input ids=6:int4 --input 4x3 --input 2x2", "embed takes ids, table"),
        ("cross_entropy_grad --input 5x3 --targets 5x3", "expected a backward pass, or (value, gradients)"),
    ],
)
def test_what_is_missing_is_asked_for(theirs, capsys, command, message):
    target, *rest = command.split()
    assert main([f"{theirs}:{target}", *rest]) == 2
    assert message in capsys.readouterr().err


def test_without_a_name_the_file_s_names_are_listed(theirs, capsys):
    assert main([theirs, "--input", "2"]) == 2
    assert "has TwoLayerNet, Affine, affine_forward," in capsys.readouterr().err


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 4)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input_is_what_it_is_called(kind, shape):
    array = drawn(f"a={'x'.join(map(str, shape))}:{kind}").draw(np.random.default_rng(0))
    assert array.shape == shape
    holds = {
        "positive": (array > 0).all(),
        "unit": ((array >= 0) & (array < 1)).all(),
        "probabilities": np.allclose(array.sum(axis=-1), 1.0) and (array > 0).all(),
        "onehot": (np.sort(array, axis=-1)[..., -2:] == [0, 1]).all(),
        "binary": set(np.unique(array)) == {0.0, 1.0},
        "definite": np.array_equal(array, np.swapaxes(array, -1, -2)) and (np.linalg.eigvalsh(array) > 0).all(),
    }
    assert holds.get(kind, array.std() > 0)


def test_integers_stay_below_their_limit_and_nonsense_is_refused():
    ids = drawn("ids=1000:int7").draw(np.random.default_rng(0))
    assert ids.dtype.kind == "i"
    assert set(np.unique(ids)) == set(range(7))
    for text in ("", "0x2", "a=", "4:int0", "4:strange", "x"):
        with pytest.raises(ValueError, match="expected a shape such as"):
            drawn(text)


def test_rows_are_those_of_the_last_axis_in_arrays_of_any_shape():
    rng = np.random.default_rng(0)
    for kind in ("probabilities", "onehot"):
        rows = drawn(f"30x2x5:{kind}").draw(rng)
        assert rows.shape == (30, 2, 5)
        np.testing.assert_allclose(rows.sum(axis=-1), np.ones((30, 2)))
        # No column is left out.
        assert rows.max(axis=(0, 1)).min() > 0.5
    squares = drawn("2x3x4x4:definite").draw(rng)
    assert squares.shape == (2, 3, 4, 4)
    assert np.linalg.eigvalsh(squares).min() > 1.0
    integers = drawn("500:int3").draw(rng)
    assert set(integers.tolist()) == {0, 1, 2}
    assert drawn("5:int1").draw(rng).tolist() == [0] * 5
    assert all(len(set(drawn("3:int1000").draw(rng).tolist())) < 3 for _ in range(9))  # as indices come in use
    assert all(set(drawn("6:int5").draw(rng).tolist()) == set(range(5)) for _ in range(9))  # as the labels of a loss
    assert drawn("1:int5").draw(rng).shape == (1,)
    assert set(drawn("500:binary").draw(rng).tolist()) == {0.0, 1.0}


def test_each_class_is_among_the_targets_where_there_is_place_for_all():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        assert set(drawn("2:binary").draw(rng).tolist()) == {0.0, 1.0}
        assert drawn("4x3:onehot").draw(rng).max(axis=0).tolist() == [1.0, 1.0, 1.0]
        assert set(classes(rng, 5, (5,)).tolist()) == set(range(5))
        assert classes(rng, 9, (2, 2)).max() < 9


ONE_CLASS_WRONG = """
import numpy as np

def loss(p, y):
    return -np.sum(y * np.log(p) + 3 * (1 - y) * np.log(1 - p))

def loss_grad(p, y):
    return (1 - y) / (1 - p) - y / p
"""


def test_what_is_wrong_for_one_class_alone_is_wrong_with_every_seed(tmp_path, capsys):
    (tmp_path / "weighted.py").write_text(ONE_CLASS_WRONG)
    for seed in range(8):
        words = f"{tmp_path / 'weighted.py'}:loss --input 3:unit --targets 3:binary --seed {seed}"
        assert main(words.split()) == 1
        assert "WRONG" in capsys.readouterr().out


def test_a_value_or_a_call_is_an_argument_of_that_name():
    assert (drawn("rate=0.5").name, drawn("rate=0.5").code) == ("rate", "0.5")
    assert (drawn("0.5").name, drawn("0.5").code) == ("", "0.5")
    assert (drawn("w=3x4").name, drawn("w=3x4").code, drawn("w=3x4").shape) == ("w", "", (3, 4))
    given = drawn("p=make(2, n=3)")
    assert given.name == "p"
    assert given.made(None, {"make": lambda a, n: (a, n)}) == (2, 3)
    assert drawn("[1, 2]").made(None, {}) == [1, 2]
    with pytest.raises(ValueError, match="there is no function make in the file"):
        given.made(None, {"make": 3})


def test_a_class_of_the_file_is_made_of_what_is_drawn():
    given = drawn("x=3x2:Tensor")
    assert (given.name, given.shape, given.kind) == ("x", (3, 2), "normal")
    assert given.made(7.0, {"Tensor": lambda value: ("Tensor", value)}) == ("Tensor", 7.0)
    assert drawn("3").made(7.0, {}) == 7.0
    with pytest.raises(ValueError, match="--input Tensor: there is no function Tensor in the file"):
        given.made(7.0, {})


THROUGH_A_LIBRARY = """
import json


def forward(x):
    return json.loads("no")


def backward(x, grad_output):
    return grad_output
"""


def test_a_traceback_begins_in_the_user_s_own_code(tmp_path, capsys):
    path = tmp_path / "theirs.py"
    path.write_text(THROUGH_A_LIBRARY)
    assert main([f"{path}:forward,backward", "--input", "3"]) == 2
    first, where, *rest = capsys.readouterr().err.splitlines()
    assert first == "gradcheck: the check stopped in your code:"
    assert where.strip() == f'File "{path}", line 6, in forward'
    assert any("json" in line and "line" in line for line in rest[1:])
    assert rest[-1].startswith("json.decoder.JSONDecodeError: ")


RAISES = """
import sys


class OfMyOwn(BaseException):
    pass


class Layer:
    def __init__(self, how):
        self.how = how

    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, grad_output):
        if self.how == "exit":
            sys.exit("not so")
        raise {"own": OfMyOwn, "common": OSError}[self.how]("not so")
"""


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("exit", "your code ended the program with sys.exit(not so): nothing was checked"),
        ("own", "raises.OfMyOwn: not so"),
        ("common", "OSError: not so"),
    ],
)
def test_what_the_code_raises_at_the_user_s_inputs_is_told_in_the_report_too(tmp_path, capsys, how, told):
    path, report = tmp_path / "raises.py", tmp_path / "report.json"
    path.write_text(RAISES)
    assert main([f"{path}:Layer", "--init", how, "--input", "3", "--json", str(report)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].removeprefix("gradcheck: ") == told
    read = json.loads(report.read_text())
    assert (read["target"], read["verdict"], read["entries"], read["problems"]) == ("Layer", "undecided", [], [told])


def test_ctrl_c_ends_the_command(monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_report", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main(["any.py:f", "--input", "3"])


@pytest.mark.parametrize(
    ("filename", "whose"),
    [
        (command.__file__, "ours"),
        (check_gradients.__code__.co_filename, "ours"),
        (str(Path(nn.__file__).parents[1] / "torch_ref" / "gradcheck.py"), "ours"),
        ("<frozen runpy>", "ours"),
        (inspect.getsourcefile(runpy), "ours"),
        (str(Path(sysconfig.get_path("purelib")) / "any.py"), "installed"),
        (nn.Linear.forward.__code__.co_filename, "theirs"),
        ("theirs.py", "theirs"),
        ("<string>", "theirs"),
    ],
)
def test_whose_a_file_is(filename, whose):
    assert command._whose(filename) == whose


def test_what_fails_before_the_user_s_code_is_told_without_a_traceback(monkeypatch):
    def fails():
        raise ValueError("expected another")

    monkeypatch.setattr(command, "_whose", lambda _: "ours")
    with pytest.raises(ValueError, match="another") as caught:
        fails()
    assert command._told(caught.value) == ("ValueError: expected another",) * 2


def test_what_is_drawn_is_as_large_as_it_is_asked_to_be():
    one, four = (drawn("1000").draw(np.random.default_rng(0), *scale) for scale in ((), (4.0,)))
    assert 0.9 < one.std() < 1.1
    np.testing.assert_array_equal(four, 4.0 * one)


def test_the_package_runs_as_a_program_and_is_imported_without_running(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gradcheck", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("numpy_nn.gradcheck", run_name="__main__")
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out
    assert "start" in runpy.run_module("numpy_nn.gradcheck.__main__", run_name="imported")
    assert capsys.readouterr().out == ""
