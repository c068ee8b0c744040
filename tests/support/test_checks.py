"""The checks that every module makes: what they let through, and the words in which they refuse the rest."""

import math

import numpy as np
import pytest

from numpy_nn._support import checks


@pytest.mark.parametrize(
    ("limits", "value"),
    [
        ({}, 1e300),
        ({}, np.float32(-2.5)),
        ({}, np.int8(3)),
        ({"low": 0.0}, 0.0),
        ({"high": 1.0}, 1),
        ({"low": 0.0, "high": 0.0}, -0.0),
        ({"above": 0.0}, 5e-324),
        ({"below": 1.0}, math.nextafter(1.0, 0.0)),
        ({"above": 0.0, "high": 1e6}, 1e6),
    ],
)
def test_a_number_within_its_limits_becomes_a_float(limits, value):
    checked = checks.number(value, "x", **limits)
    assert type(checked) is float
    assert checked == value


@pytest.mark.parametrize(
    ("limits", "value", "words"),
    [
        ({}, math.inf, "x: expected a finite number, got inf"),
        ({}, math.nan, "x: expected a finite number, got nan"),
        ({"low": 0.0}, -5e-324, "x: expected a finite number >= 0, got -5e-324"),
        ({"high": 1.0}, 1.5, "x: expected a finite number <= 1, got 1.5"),
        ({"above": 0.0}, 0.0, "x: expected a finite number > 0, got 0.0"),
        ({"below": 1.0}, 1.0, "x: expected a finite number < 1, got 1.0"),
        ({"low": 0.0, "high": 1.0}, 2, "x: expected a finite number >= 0 and <= 1, got 2"),
        ({"low": 0.0, "below": 1.0}, 1, "x: expected a finite number >= 0 and < 1, got 1"),
        ({"above": 0.0, "high": 1e6}, math.inf, "x: expected a finite number <= 1e+06 and > 0, got inf"),
        ({"above": -1.0, "below": 1.0}, math.nan, "x: expected a finite number > -1 and < 1, got nan"),
    ],
)
def test_any_other_number_is_refused_with_its_limits(limits, value, words):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011, the words are compared whole
        checks.number(value, "x", **limits)
    assert str(refusal.value) == words


@pytest.mark.parametrize("value", [True, np.bool_(False), "1", None, 1j, [1.0], np.ones(1)])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError) as refusal:
        checks.number(value, "x")
    assert str(refusal.value) == f"x: expected a number, got {type(value).__name__} {value!r}"


@pytest.mark.parametrize(("value", "limits"), [(1, {}), (np.uint8(7), {}), (0, {"low": 0}), (-3, {"low": -3})])
def test_a_count_within_its_limit_becomes_an_int(value, limits):
    checked = checks.count(value, "n", **limits)
    assert type(checked) is int
    assert checked == value


@pytest.mark.parametrize(
    ("value", "limits", "error", "words"),
    [
        (0, {}, ValueError, "n: expected an integer >= 1, got 0"),
        (-1, {"low": 0}, ValueError, "n: expected an integer >= 0, got -1"),
        (2.0, {}, TypeError, "n: expected an integer, got float 2.0"),
        (True, {}, TypeError, "n: expected an integer, got bool True"),
        (np.True_, {}, TypeError, f"n: expected an integer, got bool {np.True_!r}"),
    ],
)
def test_any_other_count_is_refused(value, limits, error, words):
    with pytest.raises(error) as refusal:
        checks.count(value, "n", **limits)
    assert str(refusal.value) == words


AS_FLOAT = "; .astype(numpy.float32) makes one"


@pytest.mark.parametrize(
    ("check", "x", "words"),
    [
        (checks.float_array, np.arange(3), f"an array of float32 or float64, got an array of int64{AS_FLOAT}"),
        (checks.float_array, [1, 2], "an array of float32 or float64, got list of int64"),
        (checks.float_array, np.ones(2, ">f4"), f"an array of float32 or float64, got an array of >f4{AS_FLOAT}"),
        (checks.float_array, np.ones(2, object), "an array of float32 or float64, got an array of object"),
        (checks.label_array, np.ones(2), "an array of integers, got an array of float64"),
        (checks.label_array, [True], "an array of integers, got list of bool"),
    ],
)
def test_arrays_of_another_dtype_are_refused_with_what_came(check, x, words):
    with pytest.raises(TypeError) as refusal:
        check(x, "x")
    assert str(refusal.value) == f"x: expected {words}"


def test_nothing_is_converted_in_silence():
    single, double = np.ones(2, np.float32), np.ones(2)
    assert checks.same_dtype(single, single.dtype, "x") is single
    with pytest.raises(TypeError) as refusal:
        checks.same_dtype(double, single.dtype, "x")
    assert str(refusal.value) == "x: expected float32, got float64; convert it with .astype(numpy.float32)"


@pytest.mark.parametrize("dtype", [np.float32, "float64", float, np.dtype("d")])
def test_the_two_dtypes_by_any_of_their_names(dtype):
    assert checks.float_dtype(dtype) == np.dtype(dtype)


@pytest.mark.parametrize("dtype", [None, int, "float16", ">f8", "no dtype"])
def test_any_other_dtype_is_refused(dtype):
    with pytest.raises(TypeError) as refusal:
        checks.float_dtype(dtype)
    assert str(refusal.value) == f"dtype: expected float32 or float64, got {dtype!r}"


def test_a_choice_is_one_of_its_options():
    assert checks.choice("b", "letter", ("a", "b")) == "b"
    for value in ("c", None, ["a"]):
        with pytest.raises(ValueError) as refusal:  # noqa: PT011, the words are compared whole
            checks.choice(value, "letter", ("a", "b"))
        assert str(refusal.value) == f"letter: expected one of 'a', 'b', got {value!r}"


def test_a_generator_is_taken_as_it_is_and_a_seed_makes_one():
    rng = np.random.default_rng(3)
    assert checks.generator(rng) is rng
    for seed in (0, 1):
        assert checks.generator(seed).random() == np.random.default_rng(seed).random()
    assert checks.generator(None).random() != checks.generator(None).random()
    with pytest.raises(ValueError, match="rng: expected an integer >= 0, got -1"):
        checks.generator(-1)
