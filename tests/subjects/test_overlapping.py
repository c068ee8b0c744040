"""Parameters that share their memory, as views of one flat vector: copied together, and checked where a claim is."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.state import in_float64

X = np.random.default_rng(0).standard_normal((5, 4))


class Flat:
    """x W + b with W and b in one vector; ``claims`` says of what the gradients are kept."""

    def __init__(self, claims, wrong=1.0, dtype="float64", bound_anew=False):
        self.theta = np.random.default_rng(1).standard_normal(15).astype(dtype)
        self.claims, self.wrong, self.bound_anew = claims, wrong, bound_anew
        self._bind()

    def _bind(self):
        self.W, self.b = self.theta[:12].reshape(4, 3), self.theta[12:]

    def forward(self, x):
        if self.bound_anew:
            self._bind()
        self.x = x
        return x @ self.W + self.b

    def backward(self, g):
        dW, db = self.wrong * self.x.T @ g, g.sum(axis=0)
        flat = np.concatenate([dW.ravel(), db])
        if "flat" in self.claims:
            self.dtheta = flat
        if "views" in self.claims:
            self.dW, self.db = dW, db
        if "weight" in self.claims:
            self.dW = dW
        dx = g @ self.W.T
        return (dx, flat) if "returned" in self.claims else dx


CLAIMS = {"flat": ["theta"], "returned": ["theta"], "views": ["W", "b"], "flat and views": ["theta", "W", "b"]}


@pytest.mark.parametrize("bound_anew", [False, True])
@pytest.mark.parametrize("claims", CLAIMS)
def test_a_flat_vector_and_its_views_are_checked_where_a_gradient_is_claimed(claims, bound_anew):
    right = check_gradients(Flat(claims, bound_anew=bound_anew), X)
    assert sorted(entry.name for entry in right.entries) == sorted(["x", *CLAIMS[claims]])
    assert right.ok, right
    wrong = check_gradients(Flat(claims, 2.0, bound_anew=bound_anew), X)
    assert [entry.verdict for entry in wrong.entries if entry.name in ("theta", "W")] == ["wrong"] * (
        len(CLAIMS[claims]) - ("views" in claims)
    )
    assert wrong["x"].verdict == "right"


def test_a_part_of_a_flat_vector_that_has_no_gradient_is_counted():
    report = check_gradients(Flat("weight"), X)
    assert not report.ok
    assert [entry.name for entry in report.entries] == ["x", "W"]
    assert "theta" in report.problems[0]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_views_are_views_of_the_copy_also_where_that_is_wider(dtype):
    given = Flat("flat", dtype=dtype)
    every_other, turned = given.theta[::2], given.W.T[::-1]
    copy, copied, turned_copy = in_float64([given, every_other, turned])
    assert copy.theta.dtype == np.float64
    np.testing.assert_array_equal(turned_copy, turned)
    copy.theta[...] = np.arange(15)
    np.testing.assert_array_equal(copy.W, np.arange(12.0).reshape(4, 3))
    np.testing.assert_array_equal(copy.b, [12, 13, 14])
    np.testing.assert_array_equal(copied, np.arange(0.0, 15.0, 2.0))
    np.testing.assert_array_equal(turned_copy, np.arange(12.0).reshape(4, 3).T[::-1])
    assert given.theta.dtype == dtype
    assert not np.shares_memory(copy.theta, given.theta)


def test_a_transposed_gradient_is_not_right_because_a_transpose_is_kept():
    class Transposing:
        def __init__(self):
            self.W = np.random.default_rng(1).standard_normal((4, 3))
            self.turned = self.W.T

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, g):
            return g @ self.W.T, (self.x.T @ g).T

    assert not check_gradients(Transposing(), X).ok


@pytest.mark.parametrize("claims", ["whole", "both"])
def test_the_same_numbers_in_another_shape_are_checked_once(claims):
    class Whole:
        def __init__(self):
            self.theta = np.random.default_rng(1).standard_normal(12)
            self.W = self.theta.reshape(4, 3)

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, g):
            self.dW = 2.0 * self.x.T @ g
            if claims == "both":
                self.dtheta = self.dW.ravel()
            return g @ self.W.T

    report = check_gradients(Whole(), X)
    assert [entry.name for entry in report.entries] == ["x", "theta" if claims == "both" else "W"]
    assert [entry.verdict for entry in report.entries] == ["right", "wrong"]
