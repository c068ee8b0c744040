"""Samples in columns: the view in which they are rows, and when that is taken."""

from types import SimpleNamespace

import numpy as np
import pytest
from claims import evidence

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain import columns
from numpy_nn.subjects.subject import Subject, SubjectError


class Columns(Subject):
    """W x of samples in columns, with targets in whatever shape, that insists on at least two samples."""

    def __init__(self, targets):
        super().__init__("columns", (), {"x": np.arange(6.0).reshape(2, 3), "W": np.ones((4, 2))})
        self.input, self.targets, self.asked = "x", targets, []

    def output(self):
        self.asked.append((self.arrays["x"].shape, np.shape(self.targets)))
        if self.arrays["x"].shape[1] < 2:
            raise SubjectError("too few")
        return self.arrays["W"] @ self.arrays["x"]

    def gradients(self, grad_output, **_):
        return {"x": self.arrays["W"].T @ grad_output, "W": None}

    def kept_arrays(self):
        return [("self.x", self.arrays["x"]), ("self.n", np.arange(3))]


@pytest.mark.parametrize(
    ("targets", "there"),
    [(np.arange(3), (4,)), (np.arange(6).reshape(2, 3), (2, 4)), (np.arange(2), (2,)), (np.asarray(1), ()), (None, ())],
)
def test_another_number_of_samples_is_one_of_columns(targets, there):
    own = Columns(targets)
    view = columns.ColumnsAsRows(own)
    home = own.arrays["x"]
    with view.resized(4) as possible:
        assert possible
        np.testing.assert_array_equal(own.arrays["x"], home[:, [0, 1, 2, 0]])
        assert view.arrays["x"].shape == (4, 2)
        assert np.shares_memory(view.arrays["x"], own.arrays["x"])
        if isinstance(targets, np.ndarray) and there == (4,):
            np.testing.assert_array_equal(own.targets, [0, 1, 2, 0])
        assert view.output().shape == (4, 4)
        assert np.shape(view.targets) == there[::-1]
    assert own.asked[-1] == ((2, 4), there)
    assert own.arrays["x"] is home
    assert view.arrays["x"].shape == (3, 2)
    assert own.targets is targets
    assert np.shape(view.targets) == np.shape(targets)[::-1]
    with view.resized(1) as possible:
        assert not possible
    assert own.arrays["x"] is home


def test_what_is_seen_of_columns_is_turned_round():
    own = Columns(None)
    view = columns.ColumnsAsRows(own)
    assert (view.label, view.input, view.is_loss) == ("columns", "x", own.is_loss)
    g = np.arange(12.0).reshape(3, 4)
    claimed = view.gradients(g)
    assert claimed["W"] is None
    np.testing.assert_array_equal(claimed["x"], (np.ones((2, 4)) @ g.T).T)
    assert [(name, array.shape) for name, array in view.kept_arrays()] == [("self.x", (3, 2)), ("self.n", (3,))]


def loss_of(f, x, targets):
    return columns.in_columns(evidence(f, lambda n: n, np.asarray(x, np.float64), targets))


@pytest.mark.slow
@pytest.mark.numerical
def test_a_loss_is_of_columns_if_it_adds_up_over_them_and_not_over_rows():
    x = np.random.default_rng(0).uniform(0.5, 1.0, (3, 4))

    def of_columns(x, _):
        return np.prod(x, axis=0).sum()

    def of_rows(x, _):
        return np.prod(x, axis=1).sum()

    assert loss_of(of_columns, x, np.zeros((3, 4))) is True
    assert loss_of(of_rows, x, np.zeros((3, 4))) is False
    assert loss_of(lambda x, _: np.square(x).sum(), x, np.zeros((3, 4))) is False
    # A target for each row tells that samples are in rows; not in a square.
    assert loss_of(of_columns, x, np.zeros(3)) is False
    assert loss_of(of_columns, x[:, :3], np.zeros(3)) is True
    assert loss_of(of_columns, x, np.zeros(4)) is True
    # One row is one of samples if it has a target for each.
    assert loss_of(lambda x, _: np.square(x).sum(), x[:1], np.zeros((1, 4))) is True
    assert loss_of(lambda x, _: np.square(x).sum(), x[:1, :2], np.zeros((1, 2))) is True
    assert loss_of(lambda x, _: np.square(x).sum(), x[:1], np.zeros((1, 3))) is False
    assert loss_of(lambda x, _: np.square(x).sum(), x[:1, :1], np.zeros((1, 1))) is False
    assert loss_of(lambda x, _: np.prod(x), x[:, :1], np.zeros(2)) is False
    # Without targets it is no loss.
    assert columns.in_columns(evidence(lambda x: np.prod(x, axis=0).sum(), np.zeros((3, 4)), x)) is False


def test_columns_that_are_moved_to_look_are_put_back_and_zeros_move_too():
    x = np.array([[0.0, 1.0, -2.0, 0.25], [3.0, 0.0, 0.5, -1.0]])
    seen = []
    e = evidence(lambda x, _: np.square(x).sum(), lambda n: n, x, np.zeros((2, 4)))
    output = e.subject.output

    def watched():
        seen.append(e.x.copy())
        return output()

    e.subject.output = watched
    assert columns._act_apart(e, axis=1)
    np.testing.assert_array_equal(e.x, x)
    one, other, both, none = (np.abs(moved - x) for moved in seen[-4:])
    assert (one[:, :2] > 0).all()
    assert not one[:, 2:].any()
    assert not other[:, :2].any()
    assert (other[:, 2:] > 0).all()
    np.testing.assert_array_equal(both, one + other)
    assert not none.any()
    size = np.where(x == 0.0, 1.0, np.abs(x))
    assert (both >= 0.0499 * size).all()
    assert (both <= 0.1001 * size).all()


def test_a_family_of_evidence_that_is_no_matrix_is_in_no_columns():
    e = SimpleNamespace(x=np.zeros(3), output=np.zeros(3))
    assert columns.in_columns(e) is False


@pytest.mark.parametrize(
    ("output", "of_input", "of_parameters", "in_columns"),
    [
        # An axis of a parameter goes with one of the output only if that is one of features.
        ((4, 3), [], [[(0, 0)]], True),
        ((4, 3), [], [[(1, 1)]], False),
        ((4, 3), [], [[(0, 0)], [(0, 1)]], False),
        ((4, 5), [(1, 1)], [[(0, 0)]], False),
        # Else each column hangs on its own, and rows are mixed: without parameters that may be softmax or batch norm.
        ((4, 3), [(1, 1)], [[]], True),
        ((4, 3), [(1, 1)], [], None),
        ((4, 3), [(0, 0), (1, 1)], [[]], False),
        ((4, 3), [(0, 0)], [[]], False),
        ((4, 3), [], [], False),
        # What is no loss and no matrix is in no columns.
        ((4,), [(1, 1)], [[]], False),
    ],
)
def test_parameters_tell_whether_samples_are_in_columns_or_else_what_moves_alone(
    output, of_input, of_parameters, in_columns
):
    aligned = {"x": of_input} | {f"W{k}": own for k, own in enumerate(of_parameters)}
    e = SimpleNamespace(x=np.zeros((2, 3)), output=np.zeros(output))
    e.subject = SimpleNamespace(arrays=dict.fromkeys(aligned), input="x", targets=None)
    e.differences_by = lambda name: SimpleNamespace(nearly_aligned=aligned[name])
    assert columns.in_columns(e) is in_columns


class WithoutTheSum:
    """Keeps twice the gradient of each sample for its bias, as code does that was written for a single one."""

    def __init__(self):
        self.W, self.b = np.linspace(-1.0, 1.0, 6).reshape(3, 2), np.zeros((1, 2))

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, dZ):
        self.dW, self.db = 2 * self.X.T @ dZ, 2 * dZ
        return 2 * dZ @ self.W.T


def test_of_a_gradient_of_another_shape_the_columns_are_not_asked():
    report = check_gradients(WithoutTheSum(), np.random.default_rng(0).standard_normal((5, 3)))
    assert {entry.name: entry.cause for entry in report.entries} == {
        "X": "factor",
        "W": "factor",
        "b": "bias_not_summed+factor",
    }
