"""Several outputs as one array, and their gradients apart again."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.subject import ClaimingSubject

X = np.random.default_rng(0).standard_normal((3, 4))


class Several(ClaimingSubject):
    """Has these outputs, and keeps the gradients that they are given."""

    def __init__(self, parts):
        super().__init__("several", (), {"input": X})
        self.parts = parts
        self.given: Sequence[Any] = ()

    def _run(self, _):
        return self.parts

    def _claim(self, grad_outputs):
        self.given = grad_outputs
        return {}


@pytest.mark.parametrize(
    ("shapes", "joined"),
    [
        ([(3, 2), (3, 4)], (3, 6)),
        ([(3, 2), (3, 2, 2), (3, 1)], (3, 7)),
        ([(3, 2), (2, 3)], (12,)),
        ([(2, 3), (3, 2)], (12,)),
        ([(3,), (3,)], (6,)),
        ([(3, 2), (3,)], (9,)),
        ([(3, 2), ()], (7,)),
    ],
)
def test_outputs_with_the_same_rows_lie_side_by_side_and_others_end_to_end(shapes, joined):
    parts = [(i + 1.0) * np.resize(X, shape) for i, shape in enumerate(shapes)]
    subject = Several(parts)
    output = subject.output()
    assert output.shape == joined
    rows = len(joined) == 2
    flat = [part.reshape(len(part), -1) if rows else part.ravel() for part in parts]
    np.testing.assert_array_equal(output, np.concatenate(flat, axis=1 if rows else 0))
    # Given the outputs themselves for their gradients, each gets its own.
    subject.gradients(output)
    for given, part in zip(subject.given, parts, strict=True):
        np.testing.assert_array_equal(given, part)


class Squares(ClaimingSubject):
    """x^2 and its gradient, at wherever x is."""

    def _run(self, _):
        return [self.arrays["input"] ** 2]

    def _claim(self, grad_outputs):
        return {"input": 2.0 * self.arrays["input"] * grad_outputs[0]}


def test_an_output_comes_with_its_gradients_from_one_run_wherever_the_subject_is():
    subject = Squares("squares", (), {"input": X.copy()})
    for x in (X, 2.0 * X):
        before = subject.evaluations
        with subject.at({"input": x}):
            output, claimed = subject.output_and_gradients(np.ones(X.shape))
        assert subject.evaluations == before + 1
        np.testing.assert_array_equal(output, x**2)
        np.testing.assert_array_equal(claimed["input"], 2.0 * x)


def test_an_output_may_be_written_as_nested_lists():
    report = check_gradients((lambda x: (2.0 * x).tolist(), lambda _, g: 2.0 * g), X)
    assert report.ok, report
    assert report["x"].checked == X.size


def test_arguments_without_a_gradient_are_named_and_taken_for_data_only_where_they_are_called_so():
    def loss(w, size, x):
        return size[0] * np.sum((x @ w) ** 2)

    def gradient(w, size, x):
        return 2.0 * size[0] * x.T @ (x @ w)

    report = check_gradients((loss, gradient), (np.ones(4), np.array([3.0, 1.0]), X))
    assert [entry.name for entry in report.entries] == ["w"]
    assert report.notes == [
        "used by the functions, and no gradient is claimed of size: not checked",
        "no gradient is returned of x: taken for data, and not checked",
    ]


def test_whoever_watches_is_told_of_each_evaluation():
    subject = Several([X])
    told: list[int] = []
    subject.watch = told.append
    subject.output()
    subject.gradients(X)
    assert told == [1, 1]
    assert subject.evaluations == 2
