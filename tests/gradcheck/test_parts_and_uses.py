"""What is left out of a gradient: that of an output; uses of an index; and what is 0 by chance."""

import numpy as np

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(1)


def cell(x, c, w):
    kept = c * np.tanh(x @ w)
    return np.tanh(kept), kept, (x, c, w, kept)


def cell_backward(dh, dc, cache):
    x, c, w, kept = cache
    t = np.tanh(x @ w)
    total = dc + dh * (1 - np.tanh(kept) ** 2)
    da = total * c * (1 - t**2)
    return da @ w.T, total * t, x.T @ da


def without_the_state(dh, dc, cache):
    return cell_backward(dh, 0 * dc, cache)


def test_what_comes_from_one_of_several_outputs_is_missed_and_named():
    given = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 2)), RNG.standard_normal((4, 2))
    assert check_gradients((cell, cell_backward), given).verdict == "right"
    report = check_gradients((cell, without_the_state), given)
    assert [entry.cause for entry in report.entries] == ["output_left_out"] * 3
    assert "with nothing from output 2" in str(report)


def embed(ids, table):
    return table[ids]


def overwriting(dout, ids, table):
    made = np.zeros_like(table)
    made[ids] += dout
    return made


def test_indices_that_all_come_as_often_are_still_overwritten():
    report = check_gradients(
        (embed, overwriting), (np.array([[0, 3, 1, 2], [2, 1, 0, 3]]), RNG.standard_normal((5, 3)))
    )
    assert report["table"].cause == "repeated_index"


def test_a_number_that_is_0_at_one_point_is_not_0_everywhere():
    def f(x):
        return x**4 - 3 * x**3

    assert check_gradients((f, lambda x: 3 * x**3 - 9 * x**2), 3)["x"].cause == "unknown"
    assert check_gradients((f, lambda x: 0 * x), 2.0)["x"].cause == "zero"


def test_whole_numbers_are_one_point_of_a_function_of_one_argument():
    def valley(p):
        x, y = p
        return (x**2 + y - 11) ** 2 + y**2

    def slope(p):
        x, y = p
        return np.array([4 * x * (x**2 + y - 11), 2 * (x**2 + y - 11) + 2 * y])

    for given in ((1, 2), [1, 2], (1.0, 2)):
        assert check_gradients((valley, slope), given).verdict == "right"
        assert check_gradients((valley, lambda p: 2 * slope(p)), given).verdict == "wrong"


def root_by_steps(a):
    x = a
    for _ in range(8):
        x = 0.5 * (x + a / x)
    return x


def test_where_an_iteration_has_no_limit_its_gradient_is_not_asked_for():
    def slope(a):
        return 0.5 / root_by_steps(a)

    for given in (np.array([1.0, 2.0, 3.0]), 2.0):
        assert check_gradients((root_by_steps, slope), given).verdict == "right"
        assert check_gradients((root_by_steps, lambda a: 2 * slope(a)), given).verdict == "wrong"


def test_of_a_single_number_a_formula_that_fits_is_a_guess():
    report = check_gradients((np.sqrt, lambda a: 0.5 * np.sqrt(a)), 2.0)
    assert report.verdict == "wrong"
    assert not any(entry.diagnosis.confident for entry in report.entries if entry.diagnosis is not None)


def test_a_mask_that_lets_nothing_through_here_is_not_0_everywhere():
    # Its own numbers: where few of them are near 1, "0 everywhere" is all that is seen.
    x = -np.abs(np.random.default_rng(0).standard_normal((3, 2))) + 0.9

    def relu(x):
        return np.maximum(x, 0)

    report = check_gradients((relu, lambda x: (x > 1).astype(float)), x)
    assert (report["x"].verdict, report["x"].cause == "zero") == ("wrong", False)
