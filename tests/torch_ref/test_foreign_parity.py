"""Networks that anybody wrote, compared with another: the same where they are, found where they differ by little."""

import functools
from typing import Any

import numpy as np
import pytest
import strategies as our
import torch
from foreign_networks import HIDDEN, IN, OUT, ROWS, STYLES, Off, batch, drawn, torch_net
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from torch_ref import Comparison, NetworkReport, compare_networks, parity, to_torch
from torch_ref.foreign_parity.report import CANNOT_BE_TOLD, DIFFER, SAME, compared
from torch_ref.foreign_parity.safety import CHANCE, safety_factor, tail

every_style = pytest.mark.parametrize("name", STYLES)


def compared_in(name, seed=0, off=None, **settings) -> NetworkReport:
    compare: Any = compare_networks
    arguments, named, _ = STYLES[name](np.random.default_rng(seed), Off(off or {}))
    report: NetworkReport = compare(*arguments, **named, **settings)
    return report


@functools.cache
def as_it_is(name) -> NetworkReport:
    """The report on a network that is right, for all the tests that read it."""
    return compared_in(name)


# Each takes a second: every style with one of its gradients, and in one of them the output, the input and the step.
WHATS = {name: make(np.random.default_rng(0), Off())[2] for name, make in STYLES.items()}
MISTAKES = {(name, whats[index % len(whats)]) for index, (name, whats) in enumerate(WHATS.items())}
MISTAKES |= {(next(n for n in STYLES if what in WHATS[n]), what) for what in ("output", "x", "step")}


@pytest.mark.slow
@pytest.mark.numerical
@every_style
def test_right_networks_are_not_called_different(name):
    assert_right(name, as_it_is(name))


@pytest.mark.slow
@pytest.mark.numerical
@given(st.sampled_from(sorted(STYLES)), our.seeds)
@our.fewer(0.2)
def test_right_networks_with_any_weights_are_never_called_different(name, seed):
    assert_right(name, compared_in(name, seed))


def assert_right(name, report):
    # In float32 a unit that stands on ReLU's kink leaves the precision open, and with it what can be told.
    assert report.verdict == SAME or (name == "in_float32" and report.verdict == CANNOT_BE_TOLD), report
    assert not report.first
    assert any(" after 3 steps" in row.quantity for row in report.rows)


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(("name", "what"), sorted(MISTAKES))
def test_a_mistake_of_a_millionth_is_found_where_it_is_first(name, what):
    off = 1e-4 if name == "in_float32" else 1e-6
    # Only of the steps is it asked whether a mistake is found in several; what else parts comes before the first.
    report = compared_in(name, off={what: 1 + off}, steps=3 if what == "step" else 1)
    assert report.verdict == DIFFER, report
    first = {"output": "output", "step": " after 3 steps", "loss": "loss"}.get(what, "gradient with respect to ")
    assert first in report.first
    assert report[report.first].digits < 9
    assert report.cause
    assert f"the two part first at the {report.first}" in str(report)
    with pytest.raises(AssertionError, match="differ"):
        report.raise_if_failed()


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    ("factor", "hint"),
    [
        (ROWS, f"mine is {ROWS} times theirs, and {ROWS} is the number of rows: a sum where the other takes the mean"),
        (1 / ROWS, f"mine is 1/{ROWS} times theirs, and {ROWS} is the number of rows: a mean where the other"),
        (-1, "mine is the negative of theirs"),
        (0.5, "mine is 1/2 times theirs"),
    ],
)
def test_a_factor_is_said(factor, hint):
    report = compared_in("attributes_with_rows_of_biases", off={"W1": factor}, steps=1)
    assert report["gradient with respect to W1"].hint.startswith(hint)
    assert f"gradient with respect to W1: {hint}" in str(report)


@pytest.mark.slow
@pytest.mark.numerical
def test_the_table_says_how_weights_were_copied_and_which_steps_were_taken():
    text = str(as_it_is("attributes_with_rows_of_biases"))
    assert "note: weights: W1 is 0.weight transposed; b1 is 0.bias; W2 is 2.weight transposed; b2 is 2.bias\n" in text
    assert "note: the steps: mine by its own step(), theirs by SGD with lr 0.05\n" in text
    assert text.endswith("12 quantities: 12 same")
    assert "samples in rows where mine has them in columns" in str(as_it_is("lists_with_samples_in_columns"))
    assert "mine by its backward pass, which updates" in str(as_it_is("backward_that_updates"))


@pytest.mark.slow
@pytest.mark.numerical
def test_a_gradient_that_is_0_is_the_same_and_hides_no_other():
    report = as_it_is("beside_another_in_numpy")
    assert report["gradient with respect to b1"].hint == "both are 0 but for rounding"
    for row in report.rows:
        assert row.resolution < 1e-12, row


@pytest.mark.slow
@pytest.mark.numerical
def test_what_rounding_decides_cannot_be_told():
    # Without its epsilon Adam makes steps of one size of a gradient that is 0 but for rounding.
    report = compared_in("beside_another_in_numpy", optimizer=lambda ps: torch.optim.Adam(ps, eps=1e-30), steps=1)
    assert report["b1 after 1 step"].verdict == CANNOT_BE_TOLD
    assert report["W2 after 1 step"].verdict == SAME
    assert report.verdict == CANNOT_BE_TOLD
    assert not report


@pytest.mark.slow
@pytest.mark.numerical
@every_style
def test_the_precision_of_the_code_is_found(name):
    for row in as_it_is(name).rows:
        # Two units of the last operation at the least, where anything before was in float32.
        single = row.resolution >= 2.0**-23 * abs(row.mine)
        assert single == (name == "in_float32") or row.hint, row


@pytest.mark.slow
@pytest.mark.numerical
def test_units_that_saturate_are_not_called_different():
    # 1 - tanh(z)^2 near 0: moves of last bits leave tanh as it is, and two libraries differ in its last bit.
    report = compared_in("attributes_with_rows_of_biases", seed=211)
    row = report["gradient with respect to x"]
    assert row.verdict == SAME
    assert row.difference < 0.5 * row.resolution


def two_layers(rng):
    p = drawn(rng)

    class Plain:
        def __init__(self):
            self.W1, self.b1, self.W2, self.b2 = (v.copy() for v in p.values())

        def forward(self, x):
            self.x, self.h = x, np.tanh(x @ self.W1 + self.b1)
            return self.h @ self.W2 + self.b2

        def backward(self, g):
            self.dW2, self.db2 = self.h.T @ g, g.sum(axis=0)
            d = g @ self.W2.T * (1 - self.h**2)
            self.dW1, self.db1 = self.x.T @ d, d.sum(axis=0)
            return d @ self.W1.T

    return Plain()


def ours(dtype=np.float64):
    return nn.Sequential(nn.Linear(IN, HIDDEN, dtype=dtype), nn.Tanh(), nn.Linear(HIDDEN, OUT, dtype=dtype))


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    ("theirs", "loss"),
    [
        pytest.param(lambda: torch_net(torch.nn.Tanh), nn.MSELoss(), id="module, our loss"),
        pytest.param(ours, torch.nn.MSELoss(), id="sequential, torch's loss"),
        pytest.param(lambda: two_layers(np.random.default_rng(5)), None, id="numpy, no loss"),
        pytest.param(lambda: two_layers(np.random.default_rng(5)), torch.nn.MSELoss(), id="numpy, torch's loss"),
        pytest.param(
            lambda: lambda x, W1, b1, W2, b2: torch.tanh(x @ W1 + b1) @ W2 + b2, nn.MSELoss(), id="function, our loss"
        ),
    ],
)
def test_theirs_may_be_of_any_kind_and_stays_as_it_is(theirs, loss):
    rng = np.random.default_rng(0)
    mine, other, x = two_layers(rng), theirs(), rng.standard_normal((ROWS, IN))
    before = {name: value.copy() for name, value in vars(mine).items()}
    weights = [p.data.copy() for p in other.parameters()] if isinstance(other, nn.Sequential) else []
    y = None if loss is None else rng.standard_normal((ROWS, OUT))
    report = parity(mine, other, x, y, loss, steps=1)
    assert report.verdict == SAME, report
    assert len(report.rows) == (10 if loss is None else 12)
    assert all(np.array_equal(vars(mine)[name], value) for name, value in before.items())
    for p, value in zip(other.parameters() if weights else (), weights, strict=True):
        np.testing.assert_array_equal(p.data, value)


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    "optimizer",
    [
        nn.Adam([nn.Parameter(np.zeros(1))], 0.01),
        torch.optim.Adam,
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1, momentum=0.9),
    ],
    ids=["ours", "a class", "torch's"],
)
def test_steps_are_those_of_the_optimizer_that_is_given(optimizer):
    rng = np.random.default_rng(0)
    x, y = batch(rng)
    report = parity(two_layers(rng), torch_net(torch.nn.Tanh), x, y, nn.CrossEntropyLoss(), optimizer, steps=2)
    assert report.verdict == SAME, report
    assert f"note: the steps: {getattr(optimizer, '__name__', type(optimizer).__name__)}\n" in str(report)
    moved = report["W1 after 2 steps"]
    plain = parity(two_layers(np.random.default_rng(0)), torch_net(torch.nn.Tanh), x, y, nn.CrossEntropyLoss(), steps=2)
    assert moved.mine != plain["W1 after 2 steps"].mine


@pytest.mark.slow
@pytest.mark.numerical
def test_networks_of_our_layers_are_held_to_the_derived_bounds():
    rng = np.random.default_rng(0)
    net = ours(np.float32)
    x, y = batch(rng)
    report = parity(net, to_torch(ours(np.float32)), x, y, nn.CrossEntropyLoss())
    assert report.verdict == SAME, report
    assert [row.quantity for row in report.rows if row.derived] == [
        "output",
        "loss",
        "gradient with respect to the output",
        "gradient with respect to input",
        *(f"gradient with respect to {n}" for n, _ in net.named_parameters()),
    ]
    assert "same (bound)" in str(report)


@pytest.mark.slow
@pytest.mark.numerical
def test_names_say_whose_weight_is_whose():
    square = nn.Sequential(
        nn.Linear(4, 4, rng=0, dtype=np.float64), nn.Tanh(), nn.Linear(4, 4, rng=1, dtype=np.float64)
    )
    theirs = nn.Sequential(
        nn.Linear(4, 4, rng=2, dtype=np.float64), nn.Tanh(), nn.Linear(4, 4, rng=3, dtype=np.float64)
    )
    x = np.random.default_rng(0).standard_normal((6, 4))
    assert parity(square, theirs, x, x, nn.MSELoss()).verdict == SAME
    crossed = {"0.weight": "2.weight", "2.weight": "0.weight"}
    report = parity(square, theirs, x, x, nn.MSELoss(), names=crossed)
    assert report.first == "output"
    assert "0.weight is 2.weight" in str(report)
    with pytest.raises(ValueError, match=r"names: there is no third; there are 0.weight, 0.bias"):
        parity(square, theirs, x, x, nn.MSELoss(), names={"third": "0.weight"})


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (torch.nn.Linear(IN, OUT).double(), "the weights do not fit one to one: mine are W1 5x7, b1 7"),
        (torch.nn.Linear(IN + 1, OUT).double(), r"mat1 and mat2 shapes|shapes"),
    ],
)
def test_what_does_not_fit_is_said(theirs, words):
    rng = np.random.default_rng(0)
    x, y = batch(rng)
    with pytest.raises((ValueError, TypeError, RuntimeError), match=words):
        parity(two_layers(rng), theirs, x, y, nn.CrossEntropyLoss())


def test_what_is_no_network_is_refused():
    rng = np.random.default_rng(0)
    x, y = batch(rng)
    with pytest.raises(TypeError, match="target: expected forward and backward, got int"):
        parity(mine=two_layers(rng), theirs=3, x=x, y=y, loss=nn.CrossEntropyLoss())


def test_an_optimizer_that_is_none_is_refused():
    rng = np.random.default_rng(0)
    x, y = batch(rng)
    with pytest.raises(TypeError, match="optimizer: expected one of numpy_nn's or torch's, got float"):
        parity(two_layers(rng), torch_net(torch.nn.Tanh), x, y, nn.CrossEntropyLoss(), 0.1)


@pytest.mark.parametrize("freedom", [1, 2, 15])
def test_the_tail_is_that_of_students_distribution(freedom):
    t = np.array([0.5, 1.0, 3.0, 8.0])
    exact = {1: 1 - 2 / np.pi * np.arctan(t), 2: 1 - t / np.sqrt(2 + t**2)}.get(freedom)
    drawn_ = np.random.default_rng(0).standard_t(freedom, 400_000)
    for i, value in enumerate(t):
        if exact is not None:
            assert abs(tail(value, freedom) - exact[i]) < 1e-6
        share = np.mean(np.abs(drawn_) > value)
        assert abs(tail(value, freedom) - share) < 5 * np.sqrt(share / drawn_.size + 1e-12)


def test_the_safety_factor_is_passed_with_the_stated_chance():
    assert abs(tail(safety_factor(16, 1), 15) / CHANCE - 1) < 1e-6
    assert safety_factor(16, 1000) > safety_factor(16, 1) > safety_factor(64, 1)
    with pytest.raises(ValueError, match="runs: expected at least 2"):
        safety_factor(1, 1)


def row(mine, theirs, resolution, scale=0.0) -> Comparison:
    a, b, allowed = (np.asarray(values, float) for values in (mine, theirs, resolution))
    return compared("y", a, b, allowed, 2.0**-53, False, scale)


def test_verdicts_follow_from_the_resolution_alone():
    assert row([1.0], [1.0 + 1e-12], [2e-12]).verdict == SAME
    assert row([1.0], [1.0 + 1e-12], [0.5e-12]).verdict == DIFFER
    assert row([1.0], [1.1], [0.2]).verdict == CANNOT_BE_TOLD
    assert row([1e-18], [-1e-18], [1e-17]).verdict == CANNOT_BE_TOLD
    assert row([1e-18], [-1e-18], [1e-17], scale=1.0).verdict == SAME
    assert row([1e-18], [-1e-18], [1e-19], scale=1.0).verdict == DIFFER
    assert row([np.inf, np.nan], [np.inf, np.nan], [1.0, 1.0]).verdict == SAME
    assert row([np.inf], [1.0], [np.inf]).verdict == DIFFER
    assert row([np.nan], [1.0], [1.0]).verdict == DIFFER
