"""The diagnosis and the command line: what a student would see. The bank of planted bugs has tests of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from claims import evidence
from hypothesis import given
from hypothesis import strategies as st

from numpy_nn.commands.gradcheck.command import main
from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain import diagnosis
from numpy_nn.gradcheck.explain.causes import WORDS
from numpy_nn.gradcheck.explain.predictions import Found
from numpy_nn.gradcheck.measure.evidence import common_ratio
from numpy_nn.testing import assert_gradients, batches, labels

STUDENT = '''
import numpy as np

class Dense:
    """relu(x W + b)."""

    def __init__(self, n_in, n_out, right=False):
        self.W = np.random.default_rng(0).standard_normal((n_in, n_out))
        self.b = np.zeros(n_out)
        self.right = right

    def forward(self, x):
        self.x, self.z = x, x @ self.W + self.b
        return np.maximum(self.z, 0)

    def backward(self, dy):
        dz = dy * (self.z > 0)
        self.dW = self.x.T @ dz / (1 if self.right else len(self.x))
        self.db = dz.sum(axis=0)
        return dz @ self.W.T

class Crashes(Dense):
    def backward(self, dy):
        return self.nonsense(dy)

class CrossEntropy:
    def forward(self, z, y):
        p = np.exp(z - z.max(axis=1, keepdims=True))
        self.p, self.y = p / p.sum(axis=1, keepdims=True), y
        return -np.log(self.p[np.arange(len(y)), y]).mean()

    def backward(self):
        g = self.p.copy()
        g[np.arange(len(g)), self.y] -= 1
        return g

def f(x):
    return np.log(x)

def f_vjp(x, g):
    return g / x

dense = Dense(2, 3, right=True)

class Noisy(Dense):
    def forward(self, x):
        return super().forward(x * np.random.default_rng().random(x.shape))
'''


@pytest.fixture
def student(tmp_path):
    """A student's file."""
    path = tmp_path / "wrong_layers.py"
    path.write_text(STUDENT)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "status", "shown"),
    [
        (["Dense", "--init", "4", "3", "--input", "5x4"], 1, "divided by the batch size once too often"),
        (["Dense", "--init", "4", "3", "right=True", "--input", "5x4"], 0, "Dense: RIGHT"),
        (["Dense", "--init", "4", "3", "--input", "5x4", "--parameter", "b:db"], 0, "Dense: RIGHT"),
        (["Dense", "--init", "40", "30", "--input", "5x40", "--samples", "9"], 1, "9 of 1,200"),
        (["dense", "--input", "6x2", "--samples", "all", "--seed", "3"], 0, "RIGHT"),
        (["CrossEntropy", "--input", "5x3", "--labels", "3"], 1, "not divided by the batch size"),
        (["f,f_vjp", "--input", "7", "--positive", "--scale", "2"], 0, "RIGHT"),
        (["f,f_vjp", "--input", "7"], 2, "not finite"),
        (["Noisy", "--init", "2", "3", "--input", "5x2"], 2, "not repeatable"),
    ],
)
def test_the_command_line(student, capsys, arguments, status, shown):
    assert main([f"{student}:{arguments[0]}", *arguments[1:]]) == status
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "arguments", "message"),
    [
        ("Nothing", [], "has no Nothing; it has Dense, Crashes, CrossEntropy, f, f_vjp, Noisy"),
        ("dense", ["--init", "3"], "--init: dense is no class"),
        ("CrossEntropy", ["--labels", "0"], "--labels: expected a number of classes >= 1, got 0"),
        ("Dense", ["--init", "4", "3"], "matmul"),
    ],
)
def test_what_cannot_be_checked_is_said_in_a_line(student, capsys, target, arguments, message):
    assert main([f"{student}:{target}", "--input", "2x2", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("target", ["missing.py:f", "no_such_module_of_mine:f", "file.py", ":f"])
def test_a_missing_file_is_named(capsys, target):
    assert main([target, "--input", "2"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("arguments", ["5x", "0x2", "2 --samples 0", "2 --parameter W", "2 --labels two"])
def test_malformed_options_are_refused(student, capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        main([f"{student}:Dense", "--input", *arguments.split()])
    assert "argument --" in capsys.readouterr().err


@pytest.mark.slow
def test_a_crash_shows_the_user_s_own_lines_only(student):
    run = subprocess.run(
        [sys.executable, "-m", "numpy_nn.gradcheck", f"{student}:Crashes", "--init", "4", "3", "--input", "5x4"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert run.returncode == 2
    assert "return self.nonsense(dy)" in run.stderr
    assert run.stderr.count("File ") == 1
    assert "AttributeError" in run.stderr


def test_a_cause_that_nobody_foresaw_is_called_unknown_with_its_pattern():
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.5, 2.0, (6, 5))
    report = check_gradients((np.sin, lambda x, g: g * np.cos(x) * noise[: len(x)]), rng.standard_normal((6, 5)))
    diagnosis = report["input"].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == "unknown"
    assert not diagnosis.confident
    assert "claimed / numerical is" in diagnosis.evidence


def test_the_rows_that_are_wrong_are_named():
    def vjp(x, g):
        gradient = g * np.cos(x)
        gradient[2] *= np.linspace(2, 3, x.shape[1])
        return gradient

    report = check_gradients((np.sin, vjp), np.random.default_rng(0).standard_normal((6, 5)))
    assert "wrong only in rows 2" in str(report)


def test_every_cause_has_words():
    for statement, remedy in WORDS.values():
        assert len(statement) > 10
        assert len(remedy) > 10


@given(r=st.floats(-10, 10).filter(lambda r: abs(r) > 1e-3 and abs(r - 1) > 1e-5), seed=st.integers(0, 99))
def test_a_common_ratio_is_found_and_only_that(r, seed):
    n = np.random.default_rng(seed).standard_normal(20)
    assert common_ratio(r * n, n) == pytest.approx(r, rel=1e-12)
    # One entry that differs is enough to refuse it.
    a = r * n
    largest = np.abs(n).argmax()
    a[largest] *= 1.1
    assert common_ratio(a, n) is None


@pytest.mark.parametrize(
    ("found", "partial", "confident", "others"),
    [
        ([("sign", True)], False, True, []),
        ([("sign", False)], False, False, []),
        ([("sign", True)], True, False, []),
        ([("sign", True), ("sign", False)], False, True, []),
        ([("sign", True), ("transposed", True)], False, False, ["transposed"]),
        (
            [("sign", False), ("transposed", True), ("clipped", True), ("transposed", False)],
            False,
            False,
            ["transposed", "clipped"],
        ),
        ([], False, False, []),
    ],
)
def test_a_cause_is_named_with_confidence_if_it_is_sure_and_the_only_one_and_explains_all(
    found, partial, confident, others, monkeypatch
):
    e = evidence(np.sin, lambda n: -n, np.ones((3, 4)))
    e.partial = partial
    monkeypatch.setattr(diagnosis, "hypotheses", lambda _: [Found(cause, "words", sure) for cause, sure in found])
    told = diagnosis.diagnose(e)
    assert (told.cause, told.confident, told.alternatives) == (found[0][0] if found else "unknown", confident, others)


@pytest.mark.parametrize(
    ("in_columns", "turned"), [(True, [True, False]), (False, [False]), (None, [False, True])], ids=str
)
def test_what_may_be_in_columns_is_looked_at_as_rows_too_the_likelier_first(in_columns, turned, monkeypatch):
    e = evidence(np.sin, lambda n: -n, np.ones((3, 4)))
    monkeypatch.setattr(diagnosis, "in_columns", lambda _: in_columns)
    assert [view.x.shape == (4, 3) for view in diagnosis._views(e)] == turned


def test_the_pattern_of_a_wrong_gradient_is_how_claimed_and_numerical_compare():
    x = np.arange(1.0, 6.0)
    e = evidence(lambda x: x**2, lambda n: n * [1.0, 1.5, -2.0, 2.5, 3.0], x)
    correlation = np.corrcoef(e.gradient, e.truth)[0, 1]
    assert diagnosis.pattern(e) == (
        "claimed / numerical is -2 .. 3, half of it in 1 .. 2.5, median 1.5; the sign agrees at 80%; "
        f"correlation {correlation:.3f}"
    )


@given(x=batches(features=3), y=st.data())
def test_the_assertion_and_the_strategies_for_other_people_s_tests(x, y):
    assert x.shape[1] == 3
    assert_gradients((np.abs, lambda x, g: g * np.sign(x)), x)
    targets = y.draw(labels(len(x), 4))
    assert targets.shape == (len(x),)
    assert ((targets >= 0) & (targets < 4)).all()


def test_the_assertion_raises_with_the_report():
    with pytest.raises(AssertionError, match="the sign is flipped"):
        assert_gradients((np.sin, lambda x, g: -g * np.cos(x)), np.ones((2, 3)))


@given(x=batches(kinks=False, dtype=np.float32, limit=1.0, min_rows=2))
def test_batches_without_kinks(x):
    assert x.dtype == np.float32
    assert (np.abs(x) <= 1.0).all()
    assert len(x) >= 2
    # In float32 two draws may round to one number, but hardly ever do.
    assert len(np.unique(x)) >= x.size - 1


@pytest.mark.parametrize("arguments", [{"features": 0}, {"max_rows": 0}, {"dtype": int}])
def test_bad_arguments_of_a_strategy_are_refused_at_once(arguments):
    with pytest.raises((TypeError, ValueError)):
        batches(**arguments)


# What the subject's own code raises when it is asked for a cause.


class Doubled:
    """tanh with twice its gradient, and a subclass's reason to refuse other inputs than it was made for."""

    def forward(self, x):
        self.refuse(x)
        self.y = np.tanh(x)
        return self.y

    def refuse(self, x):
        pass

    def backward(self, grad):
        self.refuse_gradient(grad)
        return 2 * grad * (1 - self.y**2)

    def refuse_gradient(self, grad):
        pass


def raising(error):
    def refuse(_, array):
        if len(array) != 5:
            raise error

    return refuse


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    "error", [ValueError("rows"), KeyError(5), ZeroDivisionError(), RuntimeError("no"), np.linalg.LinAlgError()]
)
@pytest.mark.parametrize("where", ["refuse", "refuse_gradient"])
def test_code_that_raises_for_another_number_of_rows_is_diagnosed_all_the_same(error, where):
    layer = type("Refusing", (Doubled,), {where: raising(error)})()
    entry = check_gradients(layer, np.random.default_rng(0).standard_normal((5, 3)))["input"]
    assert (entry.verdict, entry.cause) == ("wrong", "factor")


def test_a_product_whose_shapes_fit_no_formula_is_left_to_the_others():
    class Columns:
        """W x for samples in columns, as many as inputs, which fits the formulas for rows in part."""

        def __init__(self):
            self.W = np.random.default_rng(0).standard_normal((3, 4))

        def forward(self, x):
            self.x = x
            return self.W @ x

        def backward(self, grad):
            self.dW = grad @ self.x.T / grad.shape[1]
            return self.W.T @ grad

    report = check_gradients(Columns(), np.random.default_rng(1).standard_normal((4, 6)))
    assert [entry.verdict for entry in report.entries] == ["right", "wrong"]
    assert report["W"].cause == "batch_mean_twice"
    assert "courses" in str(report)
    assert "samples in rows, where this code has them in columns" in str(report)


def test_a_factor_that_goes_with_the_columns_is_told_with_their_number():
    rng = np.random.default_rng(0)

    def cost(y_pred, y):
        return np.sum((y_pred - y) ** 2) / (2 * y.shape[1])

    report = check_gradients((cost, lambda y_pred, y: y_pred - y), rng.standard_normal((3, 5)), np.ones((3, 5)))
    assert report["y_pred"].cause == "factor"
    assert "4 with 4 columns instead of 5: the batch size, if samples are in columns" in str(report)
