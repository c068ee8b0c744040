"""What a step of the user's is made of: every operation seen, none changed, and the change that would gain most."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from numpy_nn.commands.benchmark import engines, profile
from numpy_nn.commands.benchmark.cases import Case
from numpy_nn.commands.benchmark.command import main
from numpy_nn.commands.benchmark.mine import registered
from numpy_nn.commands.benchmark.profile import Profile, changes
from numpy_nn.commands.benchmark.watched import Operation, Watched, watching

CASE = Case("step", (6, 5, 3), batch=5)  # as many rows as units: shapes alone do not tell the data

SOURCE = """
import numpy as np

class Net:
    dtype = np.float32
    def __init__(self, sizes):
        a, b, c = sizes
        self.W1, self.b1 = np.zeros((a, b), self.dtype), np.zeros(b, self.dtype)
        self.W2, self.b2 = np.zeros((b, c), self.dtype), np.zeros(c, self.dtype)
    def gradients(self, x, y):
        h = np.maximum(x @ self.W1 + self.b1, 0)
        e = np.exp(h @ self.W2 + self.b2)
        d = e / e.sum(axis=1, keepdims=True)
        d[np.arange(len(y)), y] -= 1
        d /= len(y)
        dh = d @ self.W2.T * (h > 0)
        return x.T @ dh, dh.sum(axis=0), h.T @ d, d.sum(axis=0), dh
    def step(self, x, y, lr):
        *found, self.dh = self.gradients(x, y)
        for p, g in zip((self.W1, self.b1, self.W2, self.b2), found):
            p -= lr * g

class OfTheData(Net):
    def step(self, x, y, lr):
        W1 = self.W1.copy()
        super().step(x, y, lr)
        self.dx = self.dh @ W1.T

class Rows(Net):
    def step(self, x, y, lr):
        total = [0.0] * 4
        for i in range(len(x)):
            found = self.gradients(x[i : i + 1], y[i : i + 1])[:4]
            total = [t + g / len(x) for t, g in zip(total, found)]
        for p, g in zip((self.W1, self.b1, self.W2, self.b2), total):
            p -= (lr * g).astype(p.dtype)

class Wide(Net):
    def gradients(self, x, y):
        return super().gradients(x.astype(np.float64), y)

class Refuses(Net):
    def step(self, x, y, lr):
        if type(x) is not np.ndarray:
            raise TypeError("expected a plain array")
        super().step(x, y, lr)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("profile") / "theirs.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def of(file, name, case=CASE):
    with registered(f"{file}:{name}", []) as (made, _):
        return profile.profile(case, made)


def named(found, *names):
    return [one for one in found.operations if one.name in names]


@pytest.mark.parametrize("engine", ["by hand", engines.OURS])
def test_our_engines_are_seen_whole(engine):
    found = profile.profile(CASE, engine)
    weights = {(6, 5), (5, 3)}
    assert {one.result for one in named(found, "matmul") if len(one.result) == 2} >= weights | {(5, 5)}
    assert len(named(found, "exp")) == 1
    assert found.of_the_data == ()


def test_a_step_of_the_user_s_is_seen_whole(file):
    found = of(file, "Net")
    assert [one.result for one in named(found, "matmul")] == [(5, 5), (5, 3), (5, 5), (6, 5), (5, 3)]
    assert found.products.calls == 5
    assert {"maximum", "exp", "greater", "add.reduce", "divide", "getitem", "setitem"} <= {
        one.name for one in found.operations
    }
    assert len(named(found, "subtract")) == 5  # the labels and the four updates
    assert found.of_the_data == ()
    assert found.products.seconds > 0.0
    assert found.python.seconds >= 0.0


def test_the_gradient_of_the_data_is_found_among_products_of_its_shape(file):
    found = of(file, "OfTheData")
    (one,) = found.of_the_data
    assert one.result == (5, 6)
    ours = profile.profile(CASE, engines.OURS)
    words = [change.words for change in changes(found, ours, CASE)]
    assert "leaving out the gradient of the data, a product of shape 5 x 6" in words


def operation(name, result, seconds, dtype="float32"):
    return Operation(name, ((4, 4), (4, 4)), result, dtype, 128, seconds)


def test_the_largest_gain_comes_first():
    case = Case("step", (6, 5, 3), batch=4)
    ours = Profile(10.0, (operation("matmul", (4, 4), 2.0), operation("add", (4, 4), 1.0)))
    slow = Profile(20.0, (operation("dot", (4, 4), 5.0, "float64"), operation("exp", (4, 4), 3.0)))
    found = changes(slow, ours, case)
    assert [round(one.seconds, 6) for one in found] == [5.0, 3.0, 2.5, 2.0]  # of Python, products, types, passes
    assert found[0].words.startswith("less between the calls of NumPy")
    assert found[1].words == "products in the time of ours: dot 4 x 4 @ 4 x 4 takes 5 s in float64"
    assert found[2].words == "float32 in the 1 operations that compute in float64, which takes twice the time"
    assert found[3].words == "fewer passes: 1, ours has 1; the longest are exp of 4 x 4 (3 s)"
    assert changes(ours, ours, case) == []
    assert changes(ours, slow, case) == []


@pytest.mark.slow
def test_a_loop_over_rows_is_named(file):
    case = Case("step", (6, 5, 3), batch=40)
    found = changes(of(file, "Rows", case), profile.profile(case, engines.OURS), case)
    assert any(one.words.startswith("whole batches in place of a loop over rows: ") for one in found)


def test_float64_is_named(file):
    found = of(file, "Wide")
    words = [one.words for one in changes(found, profile.profile(CASE, engines.OURS), CASE)]
    assert any("operations that compute in float64" in one for one in words)


def test_what_cannot_be_watched_is_said_in_a_line(file, capsys):
    options = ["--mine", f"{file}:Refuses", "--sizes", "6,5,3", "--batch", "5", "--profile", "--threads", "1"]
    assert main(options) == 2
    error = capsys.readouterr().err
    assert error == "benchmark: --profile: Refuses cannot be watched: TypeError: expected a plain array\n"


def test_the_command_prints_parts_of_both_and_a_step_alone_has_any(file, capsys):
    options = ["--mine", f"{file}:Net", "--sizes", "6,5,3", "--batch", "5", "--profile", "--threads", "1"]
    assert main(options) == 0
    printed = capsys.readouterr().out
    for part in ("matrix products", "passes over memory", "Python", "step"):
        assert part in printed
    assert "numpy_nn" in printed
    assert main([*options, "--kind", "epoch"]) == 2
    assert capsys.readouterr().err == "benchmark: --profile: expected --kind step, of which it tells the parts\n"
    with pytest.raises(SystemExit):
        main(["--profile"])
    assert capsys.readouterr().err == "benchmark: argument --profile: expected --mine with it\n"


def test_where_nothing_would_gain_it_says_so(monkeypatch):
    same = Profile(1.0, (operation("matmul", (4, 4), 0.5),))
    monkeypatch.setattr(profile, "profile", lambda *_: same)
    shown = io.StringIO()
    profile.show(CASE, "Net", Console(file=shown, width=120))
    assert "nothing was found that would gain 5% of the step" in shown.getvalue()


ARRAYS = st.integers(1, 4)


@given(n=ARRAYS, m=ARRAYS, seed=st.integers(0, 99))
def test_watched_arrays_compute_what_plain_ones_do(n, m, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, m)), rng.standard_normal((n, m))

    def computed(a, b):
        c = np.concatenate([a @ b.T, a.dot(b.T)])
        c[c > 0] *= 2.0
        c[0] -= a.mean() + b.sum(axis=0).max()
        d = np.where(c > 0, c, np.exp(-np.abs(c))).copy()
        np.add(d, 1.0, out=d)
        e = np.einsum("ij,kj->ik", a, b).reshape(-1)
        return [d, d.argmax(axis=1), e, np.take(e, [0]), a.T.astype(np.float32), np.linalg.norm(a), np.stack([a, b]).T]

    with watching() as log:
        for plain, found in zip(computed(a, b), computed(a.view(Watched), b.view(Watched)), strict=True):
            assert type(found) in (Watched, np.float64)
            np.testing.assert_array_equal(np.asarray(found), plain)
    assert {"matmul", "dot", "concatenate", "exp", "add", "einsum", "where"} <= {one.name for one in log}
    assert all(one.seconds >= 0.0 for one in log)


def test_outside_nothing_is_watched():
    with watching():
        assert type(np.empty(3)) is Watched
        assert type(np.asarray([1.0])) is np.ndarray
    assert type(np.empty(3)) is np.ndarray
