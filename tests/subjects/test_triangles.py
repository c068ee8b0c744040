"""Functions of a symmetric matrix that read one triangle of it."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

ROOT = np.random.default_rng(0).standard_normal((3, 3))
A = ROOT @ ROOT.T + np.eye(3)


def largest(a):
    return np.linalg.eigh(a, UPLO="U")[0][-1]


def of_largest(a):
    v = np.linalg.eigh(a, UPLO="U")[1][:, -1]
    return np.outer(v, v)


def cholesky_backward(grad, lower):
    inverse = np.linalg.inv(lower)
    middle = np.tril(lower.T @ grad)
    middle[np.diag_indices(3)] /= 2
    made = inverse.T @ middle @ inverse
    return (made + made.T) / 2


@pytest.mark.parametrize(
    ("f", "gradient"), [(largest, of_largest), (lambda a: np.linalg.cholesky(a), cholesky_backward)]
)
def test_a_symmetric_gradient_is_that_of_changes_that_leave_the_matrix_symmetric(f, gradient):
    report = check_gradients((f, gradient), A)
    assert report.verdict == "right"
    assert "triangle alone is read" in report.notes[0]
    assert check_gradients((f, lambda *given: 2 * gradient(*given)), A).verdict == "wrong"


def test_a_gradient_by_the_entries_of_the_triangle_is_right_too_and_half_of_one_wrong():
    def by_entries(a):
        both = of_largest(a)
        return np.triu(2 * both, 1) + np.diag(np.diag(both))

    assert check_gradients((largest, by_entries), A).verdict == "right"
    assert check_gradients((largest, lambda a: np.triu(of_largest(a))), A).verdict == "wrong"


def eigh_backward(grad_values, grad_vectors, a):
    """As formulas for it have it: symmetric only if what comes in is that of a symmetric matrix."""
    values, vectors = np.linalg.eigh(a)
    gaps = values - values[:, None] + np.diag(np.full(3, np.inf))
    return vectors @ (np.diag(grad_values) + vectors.T @ grad_vectors / gaps) @ vectors.T


def test_a_gradient_by_both_triangles_that_is_not_symmetric_is_that_of_such_changes_as_well():
    report = check_gradients((lambda a: tuple(np.linalg.eigh(a)), eigh_backward), A)
    assert report.verdict == "right"
    assert "the lower triangle alone is read" in report.notes[0]
    slipped = check_gradients((lambda a: tuple(np.linalg.eigh(a)), lambda *given: 2 * eigh_backward(*given)), A)
    assert slipped.verdict == "wrong"


def test_of_a_function_that_reads_all_of_it_a_symmetric_gradient_has_to_be_the_gradient():
    w = np.arange(9.0).reshape(3, 3)
    assert check_gradients((lambda a: np.sum(w * a), lambda _: w), A).verdict == "right"
    assert check_gradients((lambda a: np.sum(w * a), lambda _: (w + w.T) / 2), A).verdict == "wrong"


B = np.array([0.5, -1.0, 2.0])


def likelihood(a):
    """Of B under a normal distribution: the determinant from Cholesky, the rest from all of the matrix."""
    return 0.5 * B @ np.linalg.solve(a, B) + np.sum(np.log(np.diag(np.linalg.cholesky(a))))


def of_likelihood(a, sign=-1.0):
    inverse = np.linalg.inv(a)
    return 0.5 * (inverse + sign * np.outer(inverse @ B, inverse @ B))


def by_what_is_read(a):
    inverse = np.linalg.inv(a)
    of_determinant = np.tril(inverse) - 0.5 * np.diag(np.diag(inverse))
    return of_determinant - 0.5 * np.outer(inverse @ B, inverse @ B)


def test_so_it_is_where_one_triangle_is_read_for_one_term_and_both_for_another():
    report = check_gradients((likelihood, of_likelihood), A)
    assert (report.verdict, report.warnings) == ("right", [])
    assert "one triangle is read more than the other" in report.notes[0]
    assert check_gradients((likelihood, lambda a: of_likelihood(a, 1.0)), A).verdict == "wrong"
    assert check_gradients((likelihood, by_what_is_read), A).verdict == "right"
    assert check_gradients((likelihood, lambda a: 2 * by_what_is_read(a)), A).verdict == "wrong"


def test_a_matrix_of_which_both_triangles_count_alike_is_given_as_it_is():
    def f(a):
        return likelihood((a + a.T) / 2)

    report = check_gradients((f, of_likelihood), A)
    assert report.verdict == "right"
    assert not any("triangle" in note for note in report.notes)
