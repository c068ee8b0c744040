"""Backpropagation through time that stops, and entries that are used more than once."""

from types import SimpleNamespace

import numpy as np
import pytest
from claims import evidence, found, predicted

from numpy_nn.gradcheck.explain import indices, sequences

STEPS = 4
X = np.random.default_rng(0).standard_normal((STEPS, 3))
DECAY = np.array([[0.5 ** (t - s) if s <= t else 0.0 for s in range(STEPS)] for t in range(STEPS)])


def memory(x):
    """y_t = x_t + y_t-1 / 2."""
    return DECAY @ x


@pytest.mark.parametrize("axis", [0, 1])
def test_each_output_may_see_so_many_steps_back_and_no_further(axis):
    x = X if axis == 0 else X.T.copy()
    e = evidence((memory if axis == 0 else lambda x: memory(x.T).T), np.cos(x), x)
    g = e.grad_output if axis == 0 else e.grad_output.T
    guesses = predicted(sequences.sequences, e)
    expected = {}
    for back in range(1, STEPS):
        kept = np.array([[t - s < back for s in range(STEPS)] for t in range(STEPS)])
        made = (DECAY * kept).T @ g
        formula = f"that of each output with respect to its last {back} of 4 steps (axis {axis}), 0 before"
        expected[formula] = made if axis == 0 else made.T
    assert guesses.keys() == expected.keys()
    for formula, values in expected.items():
        assert guesses[formula].cause == "truncated"
        np.testing.assert_allclose(guesses[formula].values, values, rtol=1e-7, atol=1e-9, err_msg=formula)


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    ("shape", "f", "axis"),
    [
        ((2, 5, 3), lambda x: x.sum(axis=1), 1),
        ((5, 2, 3), lambda x: x.sum(axis=0), 0),
        ((2, 5, 3), lambda x: x.sum(axis=(1, 2)), 1),
        ((5, 2, 3), lambda x: x.sum(axis=(0, 2)), 0),
    ],
)
@pytest.mark.parametrize("first", [1, 3, 4])
def test_of_one_output_after_all_steps_the_first_steps_may_get_nothing(shape, f, axis, first):
    x = np.random.default_rng(0).standard_normal(shape)
    kept = (slice(None),) * axis + (slice(first, None),)

    def truncated(n):
        made = np.zeros_like(n)
        made[kept] = n[kept]
        return made

    text = f"right for the last {5 - first} of 5 steps (axis {axis}), 0 before"
    e = evidence(f, truncated, x)
    assert list(sequences._of_the_last_output(e)) == [("truncated", text, True)]
    # Not if it is wrong in what is left, or 0 in between or nowhere.
    e.gradient = 1.1 * truncated(e.truth)
    assert list(sequences._of_the_last_output(e)) == []
    e.gradient = e.truth.copy()
    assert list(sequences._of_the_last_output(e)) == []
    if first < 3:
        e.gradient = truncated(e.truth)
        e.gradient[(slice(None),) * axis + (3,)] = 0.0
        assert list(sequences._of_the_last_output(e)) == []


def test_an_output_for_each_step_is_not_that_after_all():
    x = np.random.default_rng(0).standard_normal((2, 5, 3))

    def half(n):
        made = n.copy()
        made[:, :2] = 0.0
        return made

    assert list(sequences._of_the_last_output(evidence(np.sin, half, x))) == []
    assert list(sequences._of_the_last_output(evidence(lambda x: x.sum(axis=2), half, x))) == []
    flat = np.random.default_rng(0).standard_normal((5, 3))
    e = evidence(lambda x: x.sum(axis=0), lambda n: n * (np.arange(5)[:, None] > 1), flat)
    assert list(sequences._of_the_last_output(e)) == []


def test_an_input_of_one_axis_and_an_output_of_none_are_no_sequence():
    e = evidence(np.cumsum, lambda n: n, X[:, 0].copy())
    assert list(sequences.sequences(e)) == []
    e = evidence(np.sum, lambda n: n, X)
    assert list(sequences.sequences(e)) == []


class Recurrent:
    """h_t = tanh(x_t + w h_t-1), an output for each step, as a subject; its gradients go so many steps back."""

    def __init__(self, x, w):
        self.x, self.w = x, w

    def states(self):
        h = np.zeros((STEPS + 1, 3))
        for t in range(STEPS):
            h[t + 1] = np.tanh(self.x[t] + h[t] @ self.w)
        return h

    def gradients(self, g, back, *, wrong=False):
        h, dx, dw = self.states(), np.zeros_like(self.x), np.zeros_like(self.w)
        for t in range(STEPS):
            delta = g[t]
            for s in range(t, max(t - back, -1), -1):
                delta = delta * (1.0 - h[s + 1] ** 2)
                dx[s] += delta
                dw += np.outer(h[s], delta)
                delta = delta @ self.w.T
        return dx, dw + 1.0 * wrong


def recurrent(back, *, wrong=False, inward=None, size=1.0):
    """What is known of the gradient of w, for a backward pass that goes so many steps back; states times ``size``."""
    w = np.random.default_rng(1).standard_normal((3, 3))

    def f(x, w):
        return size * Recurrent(x, w).states()[1:]

    e = evidence(f, np.zeros_like(X), X, others=(w,))
    arrays = e.subject.arrays

    def claimed(g):
        dx, dw = Recurrent(arrays[e.subject.input], arrays["w"]).gradients(size * g, back, wrong=wrong)
        return {e.subject.input: dx if inward is None else inward(dx), "w": dw}

    e.subject.gradients = claimed
    gradient = claimed(e.grad_output)["w"]
    return type(e)(e.subject, "w", gradient, e.grad_output, e.output, {}, X, e.grad_output, e.rng)


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("back", [1, 2])
def test_a_parameter_s_gradient_is_right_for_the_outputs_that_its_steps_reach(back, size):
    # The state before the first step is 0, so that the step which would meet it adds nothing.
    text = (
        f"right for the outputs of the first {back + 1} of 4 steps (axis 0) and wrong for the later "
        f"ones, whose gradients go back {back} steps in the input too"
    )
    assert found(sequences.sequences, recurrent(back, size=size)) == [("truncated", text)]


@pytest.mark.parametrize("wrong", [False, True])
def test_so_it_is_where_no_gradient_of_the_input_is_given(wrong):
    text = "right for the outputs of the first 2 of 4 steps (axis 0) and wrong for the later ones"
    e = recurrent(1, wrong=wrong, inward=lambda _: None)
    assert found(sequences.sequences, e) == ([] if wrong else [("truncated", text)])


@pytest.mark.parametrize("own", [None, np.zeros(2)])
def test_a_parameter_s_gradient_that_is_not_given_for_each_output_tells_nothing(own):
    e = recurrent(1)
    claimed = e.subject.gradients
    e.subject.gradients = lambda g: claimed(g) | {"w": own}
    assert found(sequences.sequences, e) == []


def test_what_is_right_for_each_output_alone_is_not_truncated():
    # Three steps back are all that a gradient of w has here, and so each output's is right.
    e = recurrent(3)
    e.gradient = 2.0 * e.gradient
    assert found(sequences.sequences, e) == []


def test_an_axis_along_which_nothing_goes_back_hides_no_other(monkeypatch):
    monkeypatch.setattr(sequences, "_axes_of_time", lambda _: [(1, 1), (0, 0)])
    # From column to column all goes back to the first.
    ((cause, text),) = found(sequences.sequences, recurrent(2))
    assert cause == "truncated"
    assert "of 4 steps (axis 0)" in text


@pytest.mark.slow
@pytest.mark.numerical
def test_a_parameter_s_gradient_that_is_whole_wrong_or_has_zeros_beside_it_is_not_truncated():
    assert found(sequences.sequences, recurrent(STEPS)) == []
    assert found(sequences.sequences, recurrent(1, wrong=True)) == []
    assert found(sequences.sequences, recurrent(1, inward=lambda dx: dx[:2])) == []
    assert found(sequences.sequences, recurrent(1, inward=np.zeros_like)) == []


@pytest.mark.parametrize(
    ("x", "output", "axes"),
    [
        ((3, 4), (3, 4), [0, 1]),
        ((2, 5), (2, 5), [1]),
        ((40, 2), (40,), [0]),
        ((41, 3), (41, 3), [1]),
        ((5, 3), (4, 3), [1]),
        ((3, 3, 3), (3, 3, 3), [0, 1]),
        ((3,), (3,), [0]),
    ],
)
def test_axes_of_time_are_the_first_two_of_three_to_forty_steps(monkeypatch, x, output, axes):
    monkeypatch.setattr(sequences, "_causal", lambda *_: True)
    e = SimpleNamespace(x=np.zeros(x), output=np.zeros(output))
    assert list(sequences._axes_of_time(e)) == [(axis, axis) for axis in axes]
    monkeypatch.setattr(sequences, "_causal", lambda *_: False)
    assert list(sequences._axes_of_time(e)) == []


def test_what_moves_no_later_step_or_changes_its_length_is_no_sequence():
    assert not sequences._causal(evidence(np.sin, np.cos(X), X), 0)
    assert sequences._causal(evidence(memory, np.cos(X), X), 0)
    assert not sequences._causal(evidence(memory, np.cos(X), X), 1)
    assert not sequences._causal(evidence(lambda x: x[: int(np.sum(x) > X.sum()) + 1], np.cos(X), X), 0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_step_alone_is_what_is_left_of_grad_output(axis):
    g = np.random.default_rng(1).standard_normal((3, 4, 5))
    for step in (0, 2):
        only = sequences._only(g, axis, step)
        np.testing.assert_array_equal(only.take(step, axis), g.take(step, axis))
        assert np.count_nonzero(only) == g.take(step, axis).size


# Entries that are used more than once.

INDEX = np.array([0, 2, 2, 4, 4, 4])


def test_the_terms_are_grad_output_times_the_derivative_of_each_output():
    x = np.random.default_rng(0).standard_normal((2, 3))
    w = np.random.default_rng(1).standard_normal((3, 2))
    e = evidence(lambda x: np.sin(x @ w), np.cos(x), x)
    home = e.array.copy()
    terms = indices.terms_of(e)
    jacobian = np.einsum("ij,ik,lj->ijkl", np.cos(x @ w), np.eye(2), w).reshape(4, 6)
    np.testing.assert_allclose(terms, e.grad_output.reshape(4, 1) * jacobian, rtol=1e-7, atol=1e-8)
    np.testing.assert_array_equal(e.array, home)


def test_of_uses_that_are_not_equally_many_the_last_the_first_and_the_mean_are_predicted():
    x = np.random.default_rng(0).standard_normal(6)
    e = evidence(lambda x: x[INDEX], np.cos(x), x)
    g = e.grad_output
    expected = {
        "what the last use of each entry gives": ("repeated_index", [g[0], 0, g[2], 0, g[5], 0]),
        "what use 1 of each entry's uses gives alone": ("picked", [g[0], 0, g[1], 0, g[3], 0]),
        "the mean over each entry's uses": ("repeated_index", [g[0], 0, (g[1] + g[2]) / 2, 0, g[3:].mean(), 0]),
    }
    guesses = list(indices.indices(e))
    assert [guess.formula for guess in guesses] == list(expected)
    for guess in guesses:
        assert guess.cause == expected[guess.formula][0]
        np.testing.assert_allclose(guess.values, expected[guess.formula][1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("index", "varies"), [([0, 1, 1], True), ([0, 0, 1, 1], False), ([1, 1, 2, 2, 2], True)])
def test_what_is_used_once_is_used_another_number_of_times_and_what_is_not_used_is_not(index, varies):
    x = np.random.default_rng(0).standard_normal(3)
    guesses = [guess.formula for guess in indices.indices(evidence(lambda x: x[index], np.cos(x), x))]
    assert ("the mean over each entry's uses" in guesses) == varies
    assert (guesses[0] == "what the last use of each entry gives") == varies


def test_of_equally_many_uses_each_is_predicted_and_the_last_is_said_last():
    x = np.random.default_rng(0).standard_normal((1, 3))
    e = evidence(lambda x: np.concatenate([x, x, x]), np.cos(x), x)
    g = e.grad_output
    guesses = list(indices.indices(e))
    assert [(guess.cause, guess.formula) for guess in guesses] == [
        ("picked", "what use 1 of each entry's uses gives alone"),
        ("picked", "what use 2 of each entry's uses gives alone"),
        ("picked", "what use 3 of each entry's uses gives alone"),
        ("repeated_index", "what the last use of each entry gives"),
    ]
    for guess, values in zip(guesses, (g[:1], g[1:2], g[2:], g[2:]), strict=True):
        np.testing.assert_allclose(guess.values, values, rtol=1e-9)


@pytest.mark.parametrize(
    ("index", "picked"),
    [([0] * 16, 16), ([0] * 17, 0), ([0] * 17 + [1] * 2, 2), ([0] * 18 + [1] * 17, 16), ([0, 0, 2, 2], 2)],
)
def test_of_more_than_sixteen_uses_nobody_picks_one(index, picked):
    x = np.random.default_rng(0).standard_normal(max(index) + 1)
    guesses = list(indices.indices(evidence(lambda x: x[index], np.cos(x), x)))
    assert [guess.cause for guess in guesses].count("picked") == picked


@pytest.mark.parametrize(
    ("f", "size"), [(np.sum, 3), (lambda x: x[:1], 3), (np.sin, 3)], ids=["a number", "one entry", "each once"]
)
def test_where_no_entry_has_two_uses_nothing_is_predicted(f, size):
    e = evidence(f, np.zeros(size), np.random.default_rng(0).standard_normal(size))
    assert list(indices.indices(e)) == []


@pytest.mark.parametrize(("outputs", "made"), [(1, False), (2, True), (10_000, True), (10_001, False)])
def test_a_jacobian_has_a_million_numbers_at_most(monkeypatch, outputs, made):
    asked = []

    def terms(e):
        asked.append(e)
        return np.zeros((outputs, 2))

    monkeypatch.setattr(indices, "terms_of", terms)
    e = SimpleNamespace(array=np.zeros(100), output=np.zeros(outputs), is_input=True)
    assert list(indices.indices(e)) == []
    assert bool(asked) == made


def test_an_output_that_changes_its_shape_has_no_terms():
    x = np.array([0.5, -0.5])
    e = evidence(lambda x: np.concatenate([x, x])[: 4 if x[0] <= 0.5 else 3], np.cos(x), x)
    assert not indices.terms_of(e).any()
    e = evidence(lambda x: np.concatenate([x, x])[: 4 if x[0] == 0.5 else 3], np.cos(x), x)
    assert not indices.terms_of(e).any()


def test_a_matrix_is_a_sequence_where_its_rows_hang_together_in_an_order():
    x = np.random.default_rng(0).standard_normal((5, 3))

    def last_state(x):
        h = np.zeros(3)
        for row in x:
            h = np.tanh(row + 0.7 * h)
        return h

    def found(f):
        e = evidence(f, lambda n: n * (np.arange(5)[:, None] > 1), x)
        return list(sequences._of_the_last_output(e))

    assert found(last_state) == [("truncated", "right for the last 3 of 5 steps (axis 0), 0 before", True)]
    # In any order, as the rows of a batch, or each by itself.
    assert found(lambda x: np.tanh(x.sum(axis=0))) == []
    assert found(lambda x: (np.arange(5)[:, None] * np.sin(x)).sum(axis=0)) == []
