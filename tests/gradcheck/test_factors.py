"""One constant times the right gradient: the words for it, the norms it may come from, and what else must agree."""

from types import SimpleNamespace

import numpy as np
import pytest
from claims import evidence, found

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain import factors
from numpy_nn.gradcheck.explain.factors import factor_causes, scaled_to_norm
from numpy_nn.gradcheck.measure.evidence import FIT, Evidence
from numpy_nn.subjects import Hints, SubjectError, as_subject

ROWS, COLUMNS = 5, 4


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def claims(gradient, **others):
    """A claimed gradient of W beside those of other arrays."""
    subject = SimpleNamespace(gradients=lambda _: {"W": gradient, **others}, input="x")
    return SimpleNamespace(gradient=gradient, subject=subject, grad_output=None)


@pytest.mark.parametrize("norm", [0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0])
def test_a_norm_to_clip_to_is_one_of_those_that_people_write_down(norm):
    words = f"is {norm:g}, that of the right one larger"
    own = norm * np.array([0.28, 0.96])
    x = np.array([3.0, 4.0])
    assert scaled_to_norm(claims(own, x=None), 0.5) == f"its norm {words}"
    assert scaled_to_norm(claims(own[:1] * [1, 0], b=own[1:], x=None), 0.5) == f"the norm of all together {words}"
    assert scaled_to_norm(claims(own[:1] * [1, 0], x=own[1:]), 0.5) == f"the norm of all together {words}"
    parameters = claims(own[:1] * [1, 0], b=own[1:], x=x * np.sqrt(2.0))
    assert scaled_to_norm(parameters, 0.5) == f"the parameters' norm together {words}"
    for off in (1.01, 0.99):
        assert scaled_to_norm(claims(off * own, x=None), 0.5) is None


@pytest.mark.parametrize("ratio", [-0.5, 0.0, 1.0, 1.5])
def test_what_is_clipped_is_smaller_than_it_was(ratio):
    assert scaled_to_norm(claims(np.array([0.6, 0.8]), x=None), ratio) is None


def test_one_number_has_no_norm_that_tells():
    assert scaled_to_norm(claims(np.ones(1), x=None), 0.5) is None
    assert scaled_to_norm(claims(np.sqrt([0.5, 0.5]), x=None), 0.5) is not None


def of_layer(target, x, name=None):
    """What is known of the gradient that a target claims with respect to an array of it, or to its input."""
    subject = as_subject(target, (x,), None, Hints())
    rng = np.random.default_rng(0)
    output = subject.output()
    g = subject.random_grad_output(rng, output.shape)
    name = name or subject.input
    return Evidence(subject, name, subject.gradients(g)[name], g, output, {}, 0.75 * x, g, rng)


def test_a_factor_is_told_with_its_number_and_where_it_was_seen():
    x = numbers(ROWS, COLUMNS)
    text = "claimed / numerical = 3 at all 20 coordinates looked at, a whole number; 3 with 4 rows instead of 5"
    assert found(factors.factors, of_layer((np.sin, lambda x, g: 3.0 * g * np.cos(x)), x)) == [("factor", text)]
    assert found(factors.factors, evidence(np.sin, lambda n: n**2, x)) == []


def test_a_norm_that_was_clipped_to_is_all_that_is_said_of_a_factor():
    def vjp(x, g):
        return g * np.cos(x) / np.linalg.norm(g * np.cos(x))

    ((cause, text),) = found(factors.factors, of_layer((np.sin, vjp), numbers(ROWS, COLUMNS)))
    assert cause == "norm_clipped"
    assert text.endswith(" at all 20 coordinates looked at; its norm is 1, that of the right one larger")


class Tripled:
    """x w with three times the gradient, always or at one input alone."""

    def __init__(self, w, at):
        self.w, self.at = w, at

    def forward(self, x):
        self.x = x
        return x @ self.w

    def backward(self, grad_output):
        dw = self.x.T @ grad_output
        self.dw = 3.0 * dw if self.at is None or np.array_equal(self.x, self.at) else dw + 1.0
        return grad_output @ self.w.T


@pytest.mark.parametrize(("size", "always", "causes"), [(2, True, ["factor"]), (2, False, []), (3, False, ["factor"])])
def test_of_two_numbers_a_factor_must_be_the_same_at_another_input(size, always, causes):
    x = numbers(ROWS, size)
    e = of_layer(Tripled(numbers(size, 1), None if always else x.copy()), x, "w")
    home = e.x.copy()
    assert [cause for cause, _ in found(factors.factors, e)] == causes
    np.testing.assert_array_equal(e.x, home)


@pytest.mark.parametrize("gradient", [None, np.ones(7), SubjectError("no")])
def test_a_factor_that_cannot_be_had_at_another_input_is_no_constant(gradient):
    e = evidence(np.sin, lambda n: 3.0 * n, numbers(1, 2))

    def claimed(_):
        if isinstance(gradient, SubjectError):
            raise gradient
        return {"x": gradient, "input": gradient}

    home = e.x.copy()
    e.subject.gradients = claimed
    assert not factors._constant(e, 3.0)
    np.testing.assert_array_equal(e.x, home)


def of(shape, ratio, other=None, *, is_loss=False, output=2, name="W", array=(3, 3), at_zero=1.0):
    """The first cause for a factor of an input of this shape."""
    x = np.zeros(shape)
    subject = SimpleNamespace(is_loss=is_loss, input="x", targets=None, own_code=tuple, gradients=lambda _: {"x": None})
    e = SimpleNamespace(
        x=x,
        batch=shape[0] if shape else 1,
        subject=subject,
        output=np.zeros(output),
        fit=FIT,
        is_input=name == "x",
        name=name,
        array=np.zeros(array),
        grad_output=None,
        looked_at=np.ones(array, np.bool_),
        size=1.0,
        vjp=lambda *_: np.full(array, at_zero),
    )
    return list(factor_causes(e, ratio, other))


@pytest.mark.parametrize(
    ("shape", "ratio", "other", "cause", "words", "sure"),
    [
        ((5, 4), 5.0, None, "batch_mean_missing", ", the batch size", True),
        ((5, 4), 5.0, (4, 4.0), "batch_mean_missing", ", the batch size", True),
        ((5, 4), 0.2, (4, 0.25), "batch_mean_twice", ", 1 / the batch size", True),
        ((5, 4), 1.25, (4, 1.0), "wrong_axis_mean", " = 5 / 4, rows / columns", True),
        ((5, 4), 20.0, (4, 16.0), "batch_mean_missing", ", the number of elements", True),
        ((5, 4), 0.05, (4, 0.0625), "averaged_not_summed", ", 1 / the number of elements", True),
        ((5, 2, 2), 1.25, None, "wrong_axis_mean", " = 5 / 4, rows / columns", True),
        ((5, 4), -5.0, (4, -4.0), "sign+batch_mean_missing", ", the batch size", True),
        # One row or one column is nothing to count.
        ((1, 4), 1.0001, None, "factor", "", True),
        ((1, 4), 0.25, None, "factor", ", which is 1/4; 4 is of the shape (1, 4) of x", True),
        ((5, 1), 2.0, None, "factor", ", a whole number; 2 is of the shape (2,) of output", True),
        ((4, 4), 1.0001, None, "factor", "", True),
        # Neither is a factor that goes otherwise with the rows.
        ((5, 4), 5.0, (4, 5.0), "factor", ", a whole number", True),
        ((5, 4), 5.0, (4, 3.0), "factor", ", a whole number; 5 is of the shape (5, 4) of x", False),
        ((7, 2), 0.1, (4, 0.1), "learning_rate", ", which is 0.1", True),
        ((7, 2), -0.1, None, "sign+learning_rate", ", which is -0.1", True),
        ((7, 2), 0.1, (4, 0.2), "factor", ", which is 1/10", False),
        ((7, 10), 0.1, (4, 0.1), "factor", ", which is 1/10; 10 is of the shape (7, 10) of x", True),
    ],
)
def test_a_factor_is_counted_in_rows_and_columns(shape, ratio, other, cause, words, sure):
    at = "" if other is None else f"; {other[1]:g} with 4 rows instead of {shape[0]}"
    assert of(shape, ratio, other)[0] == (cause, words + at, sure)


def test_what_nothing_tells_from_the_batch_size_may_be_a_constant_too():
    assert [cause for cause, _, _ in of((5, 4), 5.0)] == ["batch_mean_missing", "factor"]
    assert of((5, 4), 5.0)[1] == ("factor", ", a whole number", True)
    assert [cause for cause, _, _ in of((5, 4), 5.0, (4, 4.0))] == ["batch_mean_missing"]
    # Of a loss divided by its columns alone another number of rows tells nothing, if the number has a name.
    assert [cause for cause, _, _ in of((5, 4), 0.25, (4, 0.25), is_loss=True)] == ["elements_mean", "factor"]
    assert [cause for cause, _, _ in of((5, 4), 0.05, (4, 0.0625), is_loss=True)] == ["elements_mean"]
    assert [cause for cause, _, _ in of((5, 4), 0.05, (4, 0.0625), name="x")] == ["elements_mean"]
    assert of((5, 4), -0.25, (4, -0.25), is_loss=True)[1][0] == "sign+factor"


@pytest.mark.parametrize(
    ("array", "name", "is_loss", "output", "cause"),
    [
        ((3,), "b", False, 2, "bias_averaged"),
        ((1, 3), "b", False, 2, "bias_averaged"),
        ((3, 3), "W", False, 2, "batch_mean_twice"),
        ((3,), "x", False, 2, "batch_mean_twice"),
        ((3,), "b", True, 2, "batch_mean_twice"),
        ((3,), "b", False, 1, "batch_mean_twice"),
    ],
)
def test_a_row_of_parameters_of_a_layer_is_averaged_where_anything_else_is_divided_twice(
    array, name, is_loss, output, cause
):
    assert of((5, 4), 0.2, array=array, name=name, is_loss=is_loss, output=output)[0][0] == cause


@pytest.mark.parametrize(
    ("at_zero", "cause"),
    [
        (0.0, "batch_mean_twice"),
        (0.9 * FIT, "batch_mean_twice"),
        (1.1 * FIT, "bias_averaged"),
        (np.nan, "bias_averaged"),
    ],
)
def test_of_a_row_of_parameters_a_bias_is_one_that_counts_where_the_input_is_0(at_zero, cause):
    assert of((5, 4), 0.2, array=(3,), name="b", at_zero=at_zero)[0][0] == cause


def averaging(inward):
    """The cause and words for a weight whose gradient is averaged, where this is made of the input's right gradient."""
    x, w = numbers(ROWS, COLUMNS), np.random.default_rng(1).standard_normal((COLUMNS, 3))
    e = evidence(lambda x, w: x @ w, np.zeros((ROWS, COLUMNS)), x, others=(w,))
    own = {name: array.shape for name, array in e.subject.arrays.items()}
    (weight,) = (name for name, shape in own.items() if shape == w.shape)

    def claimed(g):
        return {e.subject.input: inward(g @ w.T), weight: x.T @ g / ROWS}

    e.subject.gradients = claimed
    e = Evidence(
        e.subject, weight, claimed(e.grad_output)[weight], e.grad_output, e.output, {}, x, e.grad_output, e.rng
    )
    ((cause, words, _),) = factors.factor_causes(e, 1 / ROWS, (ROWS - 1, 1 / (ROWS - 1)))
    return cause, words, factors.factor_causes(e, ROWS, (ROWS - 1, ROWS - 1))


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    ("inward", "told"),
    [
        (lambda right: right, True),
        (np.ravel, True),
        (lambda right: right / ROWS, False),
        (lambda right: right + 1.0, False),
        (lambda _: None, False),
        (lambda right: right[0], False),
    ],
)
def test_a_course_in_which_layers_average_is_told_where_the_input_s_gradient_is_right(inward, told):
    cause, words, missing = averaging(inward)
    assert cause == "batch_mean_twice"
    assert ("; the gradient of the input is not divided: so do courses" in words) == told
    ((cause, words, _),) = missing
    assert cause == "batch_mean_missing"
    assert "courses" not in words


class Divided:
    """A layer whose gradient is divided before it reaches its bias, or where the bias takes it."""

    def __init__(self, before, after):
        self.W, self.b, self.before, self.after = numbers(COLUMNS, 3), numbers(3), before, after

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad):
        rows = len(self.x)
        grad = grad / self.before(rows)
        self.dW, self.db = self.x.T @ grad, grad.sum(axis=0) / self.after(rows)
        return grad @ self.W.T


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        (lambda n: n, lambda _: 1, "batch_mean_twice"),
        (lambda n: -n, lambda _: 1, "sign+batch_mean_twice"),
        (lambda _: 1, lambda n: n, "bias_averaged"),
        (lambda _: -1, lambda n: -n, "bias_averaged"),
    ],
)
def test_a_bias_is_not_said_to_be_averaged_where_what_reaches_it_is_divided(before, after, cause):
    assert check_gradients(Divided(before, after), numbers(ROWS, COLUMNS))["b"].cause == cause


@pytest.mark.parametrize(
    ("ratio", "name", "words"),
    [
        (2.0, "input", ""),
        (10.0, "input", ""),
        (5.0, "input", "; 5 is of the shape (2, 5) of input"),
        (10.0, "W", "; 10 is of the shape (10, 3) of W"),
        (2.0, "W", ""),
    ],
)
def test_a_factor_that_stays_for_another_number_of_rows_is_no_product_with_it(ratio, name, words):
    array = np.zeros((10, 3)) if name == "W" else np.zeros((2, 5))
    e = SimpleNamespace(
        name=name, is_input=name == "input", array=array, output=np.zeros((2, 5)), x=np.zeros((2, 5)), fit=FIT
    )
    e.subject = SimpleNamespace(input="input")
    assert factors._product_of_lengths(e, ratio, rows=False) == words


def test_numbers_far_below_the_largest_have_the_factor_too_or_there_is_none():
    p, t = np.array([[1e-6, 0.3], [0.2, 1e-9], [0.5, 1e-12]]), np.array([[1.0, 0], [0, 1], [0, 1]])

    def loss(p, t):
        return -np.sum(t * np.log(p))

    def inverted(p, t):
        return -t * p

    diagnosis = check_gradients((loss, inverted), p, t)["p"].diagnosis
    assert diagnosis is not None
    assert "at all" not in diagnosis.evidence


def test_two_that_is_also_rows_over_columns_is_a_constant():
    x = np.array([[1e-6, 2e-6], [0, 0], [3, 4], [1e-3, 0]])

    def norm(x):
        n = np.sqrt((x**2).sum(-1) + 1e-10)
        return n, (x, n)

    def norm_backward(d, cache):
        return 2 * d[:, None] * cache[0] / cache[1][:, None]

    diagnosis = check_gradients((norm, norm_backward), x)["x"].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == "factor"


def test_a_vector_that_meets_a_matrix_has_no_samples():
    """1/3 may be 1 over its length, and no batch is there to be averaged over."""
    rng = np.random.default_rng(0)
    x, A, y = rng.standard_normal(3), rng.standard_normal((3, 3)), rng.standard_normal(3)

    def vjp(x, A, y, grad_output):
        return grad_output * (A @ y), grad_output * np.outer(x, y) / len(y), grad_output * (A.T @ x)

    judged = check_gradients((lambda x, A, y: x @ A @ y, vjp), (x, A, y))
    assert judged["A"].cause == "factor"


def test_without_another_number_of_rows_a_count_of_rows_is_not_sure():
    """1/8 is the width of a cell here, of which there are as many as entries, by chance but for one."""
    k = np.random.default_rng(0).random(8) + 0.5
    data = np.arange(8.0)

    def objective(k):
        return np.sum((k**3 - data) ** 2)

    report = check_gradients((objective, lambda k: 0.125 * 6.0 * k**2 * (k**3 - data)), k)
    assert report["k"].diagnosis is not None
    assert "perhaps" in str(report)


def test_of_a_single_number_that_grad_output_is_ignored_is_no_mere_factor():
    # Once "the sign is flipped, and the gradient is off by a constant factor".
    x = np.random.default_rng(5).standard_normal((4, 3))
    report = check_gradients((lambda x: np.sum(x**3), lambda _, x: 3.0 * x**2), x)
    assert (report["x"].verdict, report["x"].cause) == ("wrong", "grad_output_ignored")
