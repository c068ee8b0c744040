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


def test_of_a_function_that_reads_all_of_it_a_symmetric_gradient_has_to_be_the_gradient():
    w = np.arange(9.0).reshape(3, 3)
    assert check_gradients((lambda a: np.sum(w * a), lambda _: w), A).verdict == "right"
    assert check_gradients((lambda a: np.sum(w * a), lambda _: (w + w.T) / 2), A).verdict == "wrong"
