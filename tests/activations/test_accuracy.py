"""Every activation within its limits of the exact value, the ulp arithmetic that says so, and the report's command."""

from functools import cache

import mpmath
import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numpy_nn._support.workspace import Workspace
from numpy_nn.activations import ACTIVATIONS
from numpy_nn.activations.gelu import TANH_CUBIC_HEAD, TANH_CUBIC_TAIL, TANH_LINEAR_HEAD, TANH_LINEAR_TAIL
from scripts import accuracy_report
from scripts.accuracy.exact_activations import CASES
from scripts.accuracy.ulp import DIGITS, truth
from scripts.accuracy_report import SWITCHES, main


def near(dtype):
    """Numbers within some units of a switch point, a kink or an end of the range."""
    info = np.finfo(dtype)
    centres = np.array([0.0, *SWITCHES, info.eps, info.tiny, info.max], dtype)

    def shift(centre, steps, sign):
        with np.errstate(over="ignore"):
            moved = centre + dtype(steps) * np.spacing(np.minimum(centre, info.max / 2))
        return sign * (moved if np.isfinite(moved) else centre)

    return st.builds(shift, st.sampled_from(list(centres)), st.integers(-3, 3), st.sampled_from([-1, 1])).map(dtype)


# Made once for each dtype: hypothesis validates a strategy when it is first drawn from.
@cache
def entries(dtype):
    """Finite numbers: of any size, hypothesis's own, of the size at which exponentials matter, near a switch point."""
    width = 32 if dtype is np.float32 else 64
    any_size = st.floats(allow_nan=False, allow_infinity=False, width=width)
    reach = float(dtype(-1.1 * np.log(np.finfo(dtype).tiny)))
    moderate = st.floats(-reach, reach, width=width)
    small = st.floats(-10, 10, width=width)
    scales = st.sampled_from([1, 40, reach])
    scattered = st.builds(lambda seed, scale: np.random.default_rng(seed).uniform(-scale, scale), our.seeds, scales)
    return st.one_of(any_size, moderate, small, scattered, near(dtype)).map(dtype)


# Next to where a factor of a result is subnormal: x Phi(x) of GELU is not yet.
SUBNORMAL_FACTORS = np.array([-37.609375, -37.5, -37.0, -36.99, -38.0, -39.5, -41.0, -1e300])


@cache
def samples(elementwise, dtype):
    """Eight numbers, or two rows of up to ten."""
    if elementwise:
        return hnp.arrays(dtype, 8, elements=entries(dtype), fill=st.nothing())
    shape = st.tuples(st.just(2), st.integers(1, 10))
    return hnp.arrays(dtype, shape, elements=entries(dtype), fill=st.nothing())


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_value_and_derivative_are_within_their_limits(name, dtype, data):
    case = CASES[name]
    x = data.draw(samples(case.activation.elementwise, dtype))
    exact, options = case.truth(x), case.arguments(dtype)
    computed = case.activation.function(x, **options), case.activation.derivative(x, **options)
    for limit, error, result in zip(case.limits(dtype), case.errors(x, exact, computed), exact, strict=True):
        held = case.held(x, result)
        assert np.all(error[held] <= limit), (x, error, limit)


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.activation.derivative_after])
@given(data=st.data())
def test_the_derivative_after_the_value_is_within_its_limits(name, dtype, data):
    case, work = CASES[name], Workspace()
    derivative_after = case.activation.derivative_after
    assert derivative_after is not None
    x = data.draw(samples(case.activation.elementwise, dtype))
    exact, options = case.truth(x), case.arguments(dtype)
    value = case.activation.function(x, **options, out=np.empty_like(x), work=work).copy()
    after = derivative_after(x, **options, out=np.empty_like(x), work=work)
    limit, error = case.limits(dtype)[1], case.errors(x, exact, (value, after))[1]
    assert np.all(error[case.held(x, exact[1])] <= limit), (x, error, limit)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.activation.elementwise])
def test_a_result_is_within_its_limits_where_its_factors_are_subnormal(name):
    case, x = CASES[name], SUBNORMAL_FACTORS
    exact, options = case.truth(x), case.arguments(np.float64)
    computed = case.activation.function(x, **options), case.activation.derivative(x, **options)
    for limit, error, result in zip(case.limits(np.float64), case.errors(x, exact, computed), exact, strict=True):
        assert np.all(error[case.held(x, result)] <= limit), (x, error, limit)


def test_every_activation_has_a_case():
    assert {case.activation.name for case in CASES.values()} == set(ACTIVATIONS)


@pytest.mark.parametrize("dtype", our.DTYPES)
@given(data=st.data())
def test_an_error_of_n_units_is_measured_as_n(dtype, data):
    info = np.finfo(dtype)
    limit = float(info.max) / 4
    x = dtype(data.draw(st.floats(-limit, limit, width=32 if dtype is np.float32 else 64)))
    quarters, steps = data.draw(st.integers(-1, 1)), data.draw(st.integers(-4, 4))
    unit = np.spacing(np.abs(x))
    with mpmath.workdps(DIGITS):
        exact = truth([mpmath.mpf(float(x)) + quarters * mpmath.mpf(float(unit)) / 4], dtype)
    assert exact.rounded[0] == x
    # Across a power of two a step below is half a unit.
    if np.spacing(np.abs(x + 4 * unit)) == np.spacing(np.abs(x - 4 * unit)) == unit:
        assert exact.error(np.array([x + steps * unit], dtype))[0] == abs(steps - quarters / 4)


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_overflow_and_nan_have_an_infinite_error_unless_the_exact_result_overflows_too(dtype):
    largest = np.finfo(dtype).max
    with mpmath.workdps(DIGITS):
        exact = truth([mpmath.mpf(1), mpmath.mpf(1), mpmath.mpf(10) ** 400, mpmath.mpf(10) ** 400], dtype)
    computed = np.array([np.nan, np.inf, np.inf, largest], dtype)
    np.testing.assert_array_equal(exact.error(computed), [np.inf, np.inf, 0.0, np.inf])


def test_another_dtype_is_refused():
    with pytest.raises(TypeError, match="computed: expected float32"):
        truth([mpmath.mpf(1)], np.float32).error(np.ones(1))


def test_the_coefficients_of_gelus_tanh_form_are_split_exactly():
    with mpmath.workdps(DIGITS):
        linear = 2 * mpmath.sqrt(2 / mpmath.pi)
        for exact, head, tail in (
            (linear, TANH_LINEAR_HEAD, TANH_LINEAR_TAIL),
            (linear * mpmath.mpf("0.044715"), TANH_CUBIC_HEAD, TANH_CUBIC_TAIL),
        ):
            assert head == float(mpmath.nint(exact * 2**16)) / 2**16
            assert tail == float(exact - head)


@pytest.mark.slow
@pytest.mark.numerical
def test_the_report_has_a_line_for_value_and_derivative_in_both_dtypes_and_draws(tmp_path, capsys):
    picture = tmp_path / "accuracy.png"
    assert main(["--points", "64", "--only", "sigmoid", "softmax", "--out", str(picture)]) == 0
    lines = [line.split()[:3] for line in capsys.readouterr().out.splitlines()[1:9]]
    for activation, limits in (("sigmoid", "4644"), ("softmax", "4448")):
        names = [activation, f"{activation}'"] * 2
        dtypes = ["float32", "float32", "float64", "float64"]
        assert lines[:4] == [list(line) for line in zip(names, dtypes, limits, strict=True)]
        del lines[:4]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_report_shows_what_is_beyond_its_limit_with_the_worst_x(monkeypatch, capsys):
    case = CASES["tanh"]

    def crude(x):
        return 1 - np.tanh(x) ** 2

    broken = type(case)(type(case.activation)("tanh", case.activation.function, crude))
    monkeypatch.setitem(accuracy_report.CASES, "tanh", broken)
    assert main(["--points", "200", "--only", "tanh", "--markdown"]) == 1
    output = capsys.readouterr().out
    assert output.startswith("|  | dtype | limit |")
    assert "\ntanh' in float32: " in output
    assert "ours 2 beyond their limits" in output


def test_speed_is_given_for_each_activation(capsys):
    assert main(["--points", "64", "--only", "relu", "--speed"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == "relu"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--points", "3"], "argument --points: expected a whole number >= 64, got '3'"),
        (["--points", "many"], "argument --points: expected a whole number >= 64, got 'many'"),
        (["--only", "swish"], "argument --only: invalid choice: 'swish'"),
        (["--out", "figure.pdf"], "argument --out: expected the name of a .png file in a folder that exists"),
        (["--out", "nowhere/figure.png"], "argument --out: expected the name of a .png file in a folder that exists"),
        (["--depth", "3"], "unrecognized arguments: --depth 3"),
    ],
)
def test_bad_arguments_give_one_line_that_names_them(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith(f"accuracy_report: {message}")
    assert streams.err.count("\n") == 1
