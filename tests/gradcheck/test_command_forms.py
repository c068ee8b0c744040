"""The checker's command line on forms of its own: partial functions, and partners under other names."""

import numpy as np
import pytest

from numpy_nn.commands.gradcheck.command import main
from numpy_nn.gradcheck.inputs import drawn

FILE = """
from functools import partial

import numpy as np


def elu(x, alpha, scale=1.0):
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(dout, x, alpha, scale=1.0):
    return scale * dout * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def elu_wrong(dout, x, alpha, scale=1.0):
    return scale * dout * np.where(x > 0, 1, np.exp(np.minimum(x, 0)))


def hard_backward(dout, x, alpha):
    return elu_wrong(dout, x, alpha)


def square(x):
    return x**2


def fun(w, X, y):
    return np.sum((X @ w - y) ** 2)


def jac(w, X, y):
    return 2 * X.T @ (X @ w - y)


def loss(w, X, y):
    return np.sum((X @ w - y) ** 2)


def grad(w, X, y):
    return X.T @ (X @ w - y)


def cost(w, X):
    return np.sum(X @ w)


def gated(x, state, W):
    h, c = state
    gate = 1 / (1 + np.exp(-(x @ W + h)))
    return gate * c, (x, W, gate, c)


def gated_backward(dout, cache, factor=1):
    x, W, gate, c = cache
    dz = dout * c * gate * (1 - gate)
    return dz @ W.T, (factor * dz, dout * gate), x.T @ dz


def leaking(x, state, W):
    return gated(x, state, W)


def leaking_backward(dout, cache):
    return gated_backward(dout, cache, 2)


class Cell:
    def __init__(self, n):
        self.W = np.random.default_rng(0).standard_normal((n, n))

    def forward(self, x, state):
        out, self.cache = gated(x, state, self.W)
        return out

    def backward(self, grad_output):
        dx, dstate, self.dW = gated_backward(grad_output, self.cache)
        return dx, dstate


class Graph:
    def __init__(self, A, n, m, bias=True):
        self.A, self.W = A, np.random.default_rng(0).standard_normal((n, m))

    def forward(self, x):
        self.x = x
        return self.A @ x @ self.W

    def backward(self, d):
        self.dW = (self.A @ self.x).T @ d
        return self.A.T @ d @ self.W.T


def scaled(parts):
    return parts[0] * parts[1][:, None]


def scaled_backward(dout, parts):
    return [dout * parts[1][:, None], (dout * parts[0]).sum(1)]


soft, hard = partial(elu, alpha=0.3, scale=2.0), partial(elu, alpha=0.1)
"""


@pytest.fixture
def theirs(tmp_path):
    path = tmp_path / "some_functions.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("given", ["5x4", "x=5x4"])
@pytest.mark.parametrize(
    ("name", "status"), [("soft", 0), ("soft,elu_backward", 0), ("soft,elu_wrong", 1), ("hard", 1)]
)
def test_a_partial_function_goes_with_the_partner_of_its_name_or_of_its_function(theirs, capsys, name, status, given):
    assert main([f"{theirs}:{name}", "--input", given]) == status
    partner = {"soft": "elu_backward", "hard": "hard_backward"}.get(name)
    assert partner is None or f"checked with {partner}, by its name" in capsys.readouterr().out


ENDINGS = ["backward", "bwd", "grad", "grads", "gradient", "gradients", "prime", "derivative", "vjp", "jac", "jacobian"]


@pytest.mark.parametrize(("factor", "status"), [(2, 0), (3, 1)])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_partner_is_known_by_any_of_the_usual_endings(tmp_path, capsys, ending, factor, status):
    path = tmp_path / f"ending_in_{ending}_{factor}.py"
    arguments = "dout, x" if ending in ("backward", "bwd", "vjp") else "x"
    body = f"{factor} * x" if arguments == "x" else f"{factor} * x * dout"
    path.write_text(f"def square(x):\n    return x**2\n\n\ndef square_{ending}({arguments}):\n    return {body}\n")
    assert main([f"{path}:square", "--input", "4"]) == status
    assert f"checked with square_{ending}, by its name" in capsys.readouterr().out


PAIR = "def square(x):\n    return x**2\n\n\ndef cube(x):\n    return x**3\n\n\ndef slope(x):\n    return {} * x\n\n\n"
TABLES = ["T = {'square': (square, slope)}", "T = [[square, slope]]", "T = {0: {'f': square, 'df': slope}}"]


@pytest.mark.parametrize(("factor", "status"), [(2, 0), (3, 1)])
@pytest.mark.parametrize("table", [*TABLES, "T = square, slope"])
def test_a_pair_in_a_table_of_the_file_tells_the_partner(tmp_path, capsys, table, factor, status):
    path = tmp_path / f"in_tables_{factor}.py"
    path.write_text(PAIR.format(factor) + table)
    assert main([f"{path}:square", "--input", "4"]) == status
    assert "checked with slope: a pair in the file" in capsys.readouterr().out


@pytest.mark.parametrize("table", ["", "T = [(square, slope), (square, cube)]", "T = (square, slope, cube)"])
def test_where_no_pair_tells_the_others_of_the_file_are_offered(tmp_path, capsys, table):
    path = tmp_path / "in_no_table.py"
    path.write_text(PAIR.format(2) + table)
    assert main([f"{path}:square", "--input", "4"]) == 2
    said = capsys.readouterr().err
    assert f"if its backward pass is one of cube, slope: {path}:square,cube" in said


@pytest.mark.parametrize(("name", "partner", "status"), [("fun", "jac", 0), ("loss", "jac", 1)])
def test_a_function_by_a_name_of_any_goes_with_a_gradient_of_the_same_arguments(theirs, capsys, name, partner, status):
    text = FILE if name == "fun" else FILE.replace("def jac", "def _jac").replace("def grad(", "def jac(")
    theirs.write_text(text)
    given = ["--input", "w=4", "--input", "X=5x4", "--input", "y=5"]
    assert main([f"{theirs}:{name}", *given]) == status
    assert f"checked with {partner}, by its name" in capsys.readouterr().out


def test_residuals_are_checked_with_the_jacobian_of_the_same_arguments(tmp_path, capsys):
    text = "def residuals(p, t):\n    return np.exp(-p[0] * t) * p[1]\n\n\ndef jac(p, t):\n"
    text += "    e = np.exp(-p[0] * t)\n    return np.stack([-t * p[1] * e, e], axis=1)\n"
    file = tmp_path / "fits.py"
    file.write_text(f"import numpy as np\n\n\n{text}")
    assert main([f"{file}:residuals", "--input", "2", "--input", "t=6:unit"]) == 0
    assert "checked with jac, by its name" in capsys.readouterr().out


def test_a_gradient_of_other_arguments_is_not_taken_for_it(theirs, capsys):
    assert main([f"{theirs}:cost", "--input", "w=4", "--input", "X=5x4"]) == 2
    assert "expected a backward pass, or (value, gradients)" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["state=2x3,2x3", "state=(2x3,2x3)", "state=2x3:unit,2x3", "2x3,2x3"])
def test_a_tuple_of_arrays_is_given_as_its_shapes(theirs, capsys, state):
    first, last = ("2x4", "4x3") if state[0] == "2" else ("x=2x4", "W=4x3")
    given = ["--input", first, "--input", state, "--input", last]
    assert main([f"{theirs}:gated", *given]) == 0
    assert "state[0]     right" in capsys.readouterr().out
    assert main([f"{theirs}:leaking", *given]) == 1
    shown = capsys.readouterr().out
    assert "state[0]     wrong" in shown
    assert "state[1]     right" in shown


def test_a_tuple_of_arrays_is_given_to_a_layer_too(theirs, capsys):
    assert main([f"{theirs}:Cell", "--init", "3", "--input", "2x3", "--input", "2x3,2x3"]) == 0
    assert "state[1]     right" in capsys.readouterr().out


def test_a_list_of_arrays_has_brackets_and_may_be_the_only_argument(theirs, capsys):
    assert main([f"{theirs}:scaled", "--input", "[2x3,2:positive]"]) == 0
    assert "parts[1]     right" in capsys.readouterr().out
    assert main([f"{theirs}:scaled", "--input", "2x3,2:positive", "--labels", "3"]) == 2  # it takes no targets


def test_the_parts_of_a_tuple_have_kinds_and_are_scaled_and_numbers_alone_are_no_shapes():
    rng = np.random.default_rng(0)
    first, second = drawn("p=20x3:unit,5:int4").draw(rng, 100.0)
    assert first.shape == (20, 3)
    assert first.max() > 50.0
    assert second.dtype.kind == "i"
    assert isinstance(drawn("[2x3,2x3]").draw(rng), list)
    assert drawn("size=3,4").made(None, {}) == (3, 4)


def test_what_was_given_as_a_dict_is_told_how_to_be_a_tuple(theirs, capsys):
    given = [f"{name}={shape}" for name, shape in (("x", "2x4"), ("h", "2x3"), ("c", "2x3"), ("W", "4x3"))]
    assert main([f"{theirs}:gated", *(word for one in given for word in ("--input", one))]) == 2
    shown = capsys.readouterr().err
    assert "state was given as a dict with h, c; a tuple of them is --input state=2x3,2x3" in shown


def test_a_number_that_was_given_as_a_shape_is_told_how_to_be_one(tmp_path, capsys):
    file = tmp_path / "costs.py"
    file.write_text(
        "def cost(theta, num_classes, X):\n    W = theta.reshape(num_classes, -1)\n"
        "    return 0.5 * ((X @ W.T) ** 2).sum(), ((X @ W.T).T @ X).ravel()\n"
    )
    given = ["--input", "theta=6", "--input", "X=4x3", "--input"]
    assert main([f"{file}:cost", *given, "num_classes=2"]) == 2
    hint = "num_classes was given as an array of shape (2,); the number is --input num_classes=int(2)"
    assert hint in capsys.readouterr().err
    assert main([f"{file}:cost", *given, "num_classes=int(2)"]) == 0


def test_a_file_of_a_package_imports_from_its_neighbours(tmp_path, capsys):
    package = tmp_path / "outer" / "inner"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package.parent / "helpers.py").write_text("def square(x):\n    return x**2\n")
    (package / "ops.py").write_text(
        "from ..helpers import square\n\n\ndef cube(x):\n    return x * square(x)\n\n\n"
        "def cube_grad(x, g):\n    return 3 * square(x) * g\n"
    )
    assert main([f"{package / 'ops.py'}:cube", "--input", "4"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("words", ["A=5x5 3 2", "3 2 A=5x5", "A=5x5 n=3 2", "5x5 3 2", "m=2 A=5x5 3"])
def test_words_for_a_class_without_a_name_go_to_the_arguments_that_none_names(theirs, capsys, words):
    assert main([f"{theirs}:Graph", "--init", *words.split(), "--input", "5x3", "--constant", "A"]) == 0
    shown = capsys.readouterr().out
    named = ["A=5x5", "n=3", "m=2"]
    assert main([f"{theirs}:Graph", "--init", *named, "--input", "5x3", "--constant", "A"]) == 0
    assert capsys.readouterr().out.splitlines()[:4] == shown.splitlines()[:4]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("3 2", "Graph(A, n, m, bias=True): give --init A=3 n=2 m=..., with a shape such as 4x3 for an array"),
        ("n=3 m=2", "give --init A=... n=3 m=2,"),
        ("A=5x5 n=3 m=2 B=4", "no argument for B=4; give --init A=5x5 n=3 m=2,"),
        ("A=5x5 3 2 no 1", "no argument for 1; give --init A=5x5 n=3 m=2 bias=no,"),
    ],
)
def test_words_that_fit_no_argument_are_told_with_the_line_that_does(theirs, capsys, words, told):
    assert main([f"{theirs}:Graph", "--init", *words.split(), "--input", "5x3"]) == 2
    assert told in capsys.readouterr().err


def test_an_error_of_the_class_itself_comes_through_though_its_arguments_fit(theirs, capsys):
    assert main([f"{theirs}:Graph", "--init", "5x5", "3", "two", "--input", "5x3"]) == 2
    assert "cannot be interpreted as an integer" in capsys.readouterr().err


def test_a_constant_array_is_told_with_the_words_that_make_it_one_and_these_do(theirs, capsys):
    given = [f"{theirs}:Graph", "--init", "5x5", "3", "2", "--input", "5x3"]
    assert main(given) == 2
    shown = capsys.readouterr().out
    assert 'no gradient was found of A; if it is not learned, constants=["A"] or --constant A;' in shown
    assert main([*given, "--constant", "A"]) == 0
    wrong = theirs.read_text().replace("self.dW = (self.A @ self.x).T @ d", "self.dW = self.x.T @ d")
    theirs.write_text(wrong)
    assert main([*given, "--constant", "A"]) == 1


LENGTHS = """
import numpy as np


class Spread:
    def __init__(self, centre, log_width):
        self.centre, self.log_width = centre, log_width

    def forward(self, x):
        self.x = x
        self.out = (x - self.centre) * np.exp(self.log_width)
        return self.out.sum(axis=1)

    def backward(self, d):
        d = d[:, None]
        self.dcentre = -(d * np.exp(self.log_width) * np.ones_like(self.x)).sum(axis=0)
        self.dlog_width = (d * self.out).sum(axis=0)
        return d * np.exp(self.log_width)


class Rows:
    def __init__(self, table, size=1):
        self.table, self.size = table, len(table)

    def forward(self, x):
        self.x = x
        return x * self.table

    def backward(self, d):
        self.dtable = (d * self.x).sum(axis=0)
        return d * self.table
"""


@pytest.mark.parametrize(
    ("target", "wrong"),
    [
        ("Spread --init centre=3 log_width=3", "self.dlog_width = "),
        ("Spread --init 3 3", "self.dcentre = -"),
        ("Rows --init table=3", "self.dtable = "),
    ],
)
def test_a_whole_number_that_only_an_array_can_be_is_its_length(tmp_path, capsys, target, wrong):
    file = tmp_path / "lengths.py"
    name, *words = target.split()
    for old, new, status in (("", "", 0), (wrong, wrong + "2 * ", 1)):
        file.write_text(LENGTHS.replace(old, new) if old else LENGTHS)
        assert main([f"{file}:{name}", *words, "--input", "5x3"]) == status
        assert "taken for the length of an array" in capsys.readouterr().out


def test_an_argument_that_got_the_targets_is_told_how_to_be_given(tmp_path, capsys):
    path = tmp_path / "of_parameters.py"
    path.write_text(
        "def forward(X, parameters):\n    return X @ parameters['W']\n\n\n"
        "def backward(X, parameters, Y):\n    return {'dW': X.T @ (forward(X, parameters) - Y)}\n"
    )
    assert main([f"{path}:forward,backward", "--input", "5x4", "--targets", "5x3"]) == 2
    told = (
        "parameters was given the targets; an array for it is --input parameters=4x3, and what a function of the file"
    )
    assert told in capsys.readouterr().err
