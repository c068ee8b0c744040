"""Mistakes that do not show at the point given are found at others, and what is right there stays right."""

import numpy as np
import pytest
from foreign import Foreign

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure.points import far_points, median, other_points
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG
from numpy_nn.subjects import Hints, as_subject

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

X = np.random.default_rng(0).standard_normal((3, 4))
# No entry between -0.2 and 0.2, and none beyond 1 in size.
INSIDE = np.sign(X) * (0.2 + 0.6 * np.random.default_rng(1).random(X.shape))


def leaky_near_0(x, g):
    return g * np.where(x > 0.0, 1.0, np.where(x > -0.1, 0.3, 0.0))


def too_wide_a_clip(x, g):
    return g * (np.abs(x) <= 1.04)


@pytest.mark.parametrize(
    ("f", "vjp", "words"),
    [
        (lambda x: np.maximum(x, 0.0), leaky_near_0, "at a tenth of this input"),
        (lambda x: np.clip(x, -1.0, 1.0), lambda _, g: g, "times this input"),
        (lambda x: np.clip(x, -1.0, 1.0), too_wide_a_clip, "beside a bend of the function, as at "),
        (
            lambda x: np.where(np.abs(x) < 1, x**2, 2 * np.abs(x) - 1).mean(),
            lambda x, g: 2 * g * x / x.size,
            "at 2 times",
        ),
        (lambda x: np.maximum(x - 5.0, 0.0), lambda _, g: 0.0 * g, "times this input"),
    ],
)
def test_a_branch_that_no_entry_of_the_input_enters_is_checked(f, vjp, words):
    report = check_gradients((f, vjp), INSIDE)
    assert report.verdict == WRONG, report
    assert "right at the point given, but wrong" in report["input"].reason
    assert words in report["input"].reason
    assert report["input"].diagnosis is not None
    assert report["input"].error > report["input"].bound


class Scaled:
    """Normalizes rows, times gamma plus beta; ``forget`` leaves a parameter out where it belongs."""

    def __init__(self, forget):
        self.forget = forget
        self.gamma, self.beta, self.slope = np.ones(4), np.zeros(4), np.full(4, 0.25)

    def forward(self, x):
        self.x = x
        self.y = self.gamma * x + self.beta
        return np.where(self.y > 0.0, self.y, self.slope * self.y)

    def backward(self, g):
        slope = 0.25 if self.forget == "slope" else self.slope
        y = self.gamma * self.x if self.forget == "beta" else self.y
        h = g * np.where(y > 0.0, 1.0, slope)
        self.dgamma, self.dbeta = (h * self.x).sum(axis=0), h.sum(axis=0)
        self.dslope = (g * np.minimum(self.y, 0.0)).sum(axis=0)
        return h if self.forget == "gamma" else h * self.gamma


@pytest.mark.parametrize("forget", ["gamma", "beta", "slope"])
def test_a_mistake_that_an_initial_value_hides_is_found_and_the_parameter_named(forget):
    report = check_gradients(Scaled(forget), np.linspace(-2.0, 2.0, 40).reshape(10, 4))
    assert report["input"].verdict == WRONG, report
    assert f"where {forget} is not" in report["input"].reason
    assert check_gradients(Scaled(""), np.linspace(-2.0, 2.0, 40).reshape(10, 4)).verdict == RIGHT


@pytest.mark.parametrize(
    ("f", "vjp", "x"),
    [
        (np.log, lambda x, g: g / x, np.abs(X) + 0.1),
        (np.sqrt, lambda x, g: g * 0.5 / np.sqrt(x), np.abs(X) + 0.1),
        (lambda x: np.exp(100.0 * x), lambda x, g: 100.0 * g * np.exp(100.0 * x), X),
        (lambda x: np.maximum(x, 0.0), lambda x, g: g * (x > 0.0), np.round(X)),
        (lambda x: np.linalg.norm(x), lambda x, g: g * x / np.linalg.norm(x), X),
        (np.arcsin, lambda x, g: g / np.sqrt(1.0 - x**2), X / 4.0),
        (
            lambda x: x[:, ::2] * np.sign(x[:, 1::2]),
            lambda x, g: np.stack(
                [g[:, :1] * np.sign(x[:, 1:2]), 0 * g[:, :1], g[:, 1:] * np.sign(x[:, 3:]), 0 * g[:, 1:]], 1
            )[..., 0],
            X,
        ),
    ],
)
def test_what_is_right_stays_right_where_numbers_are_large_small_or_have_no_value(f, vjp, x):
    assert check_gradients((f, vjp), x).verdict == RIGHT


def test_an_epsilon_that_shows_at_a_smaller_input_is_no_mistake():
    def norm(x):
        return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6)

    def vjp(x, g):
        s = 1.0 / np.sqrt((x**2).mean(axis=1, keepdims=True))
        return s * g - s**3 * x * (g * x).mean(axis=1, keepdims=True)

    assert check_gradients((norm, vjp), X + 3.0).verdict in (CLOSE, RIGHT)


# A target may refuse any point but the one given.


class Picky:
    """A pair whose function takes one point and what is near it, and raises elsewhere."""

    def __init__(self, home, reach, error):
        self.home, self.reach, self.error = home, reach, error

    def f(self, x):
        if np.abs(x - self.home).max() > self.reach:
            raise self.error("not here")
        return np.tanh(x)

    def right(self, x, g):
        return g * (1.0 - np.tanh(x) ** 2)

    def wrong(self, x, g):
        return 1.7 * self.right(x, g)


@pytest.mark.parametrize("error", [AssertionError, ValueError, ZeroDivisionError, np.linalg.LinAlgError, KeyError])
@pytest.mark.parametrize("reach", [1.0, 2.0**-5, 2.0**-9])
def test_no_point_that_the_check_makes_up_ends_it(reach, error):
    picky = Picky(X, reach, error)
    assert check_gradients((picky.f, picky.right), X).verdict == RIGHT
    report = check_gradients((picky.f, picky.wrong), X)
    assert report.verdict == WRONG
    assert report["input"].diagnosis is not None


def test_what_the_target_raises_at_the_point_given_comes_through():
    with pytest.raises(KeyError, match="not here"):
        check_gradients((Picky(X + 9.0, 1.0, KeyError).f, lambda _, g: g), X)


def test_a_loss_of_probabilities_that_insists_on_them_is_checked():
    class CrossEntropy:
        def forward(self, p, t):
            assert np.all(p > 0.0)
            assert np.all(p < 1.0)
            self.p, self.t = p, t
            return -np.mean(np.sum(t * np.log(p), axis=1))

        def backward(self):
            return -self.t / self.p / len(self.p)

    p = np.random.default_rng(0).dirichlet(np.ones(4), 5)
    assert check_gradients(CrossEntropy(), p, np.eye(4)[[0, 1, 2, 3, 0]]).verdict == RIGHT


def log_det(a):
    return 2.0 * np.log(np.diag(np.linalg.cholesky(a))).sum()


def log_det_vjp(a, g):
    inverse = np.linalg.inv(np.tril(a) + np.tril(a, -1).T)
    return g * np.tril(2.0 * inverse - np.diag(np.diag(inverse)))


def test_a_matrix_that_must_be_positive_definite_is_checked():
    a = np.diag([1.0, 2.0, 3.0]) + 0.1
    assert check_gradients((log_det, log_det_vjp), a).verdict == RIGHT
    assert check_gradients((log_det, lambda a, g: 2.0 * log_det_vjp(a, g)), a).verdict == WRONG


def test_what_is_raised_for_complex_numbers_ends_nothing():
    def f(x):
        if np.iscomplexobj(x):
            raise IndexError("real numbers only")
        return 1e5 + 1e-7 * np.sin(x)

    report = check_gradients((f, lambda x, g: 1e-7 * g * np.cos(x)), X)
    assert report.verdict in (RIGHT, UNDECIDED)


@pytest.mark.parametrize("x", [0.0, 5e-324, 1e-310, 1e-300])
def test_at_a_subnormal_input_a_wrong_gradient_is_explained_without_a_warning(x):
    class Wrong(nn.Linear):
        def backward(self, grad_output):
            return super().backward(grad_output) * 1.5

    report = check_gradients(Wrong(1, 1, rng=0, dtype=np.float64), np.full((2, 1), x))
    assert report["input"].verdict == WRONG
    assert report["input"].cause == "factor"


# Where the gradient is 0 everywhere.


def test_a_gradient_of_0_everywhere_is_not_passed_unseen():
    report = check_gradients((lambda x: np.maximum(x - 10.0, 0.0), lambda x, g: g * (x > 10.0)), X)
    assert report.verdict == RIGHT
    assert any("0 at every coordinate here; judged by other inputs" in note for note in report.notes)
    report = check_gradients((lambda x: np.maximum(x - 10.0, 0.0), lambda _, g: 0.0 * g), X)
    assert report.verdict == WRONG


def test_where_no_other_point_can_be_had_a_gradient_of_0_everywhere_is_undecided():
    picky = Picky(X, 1.0, ValueError)

    def f(x):
        picky.f(x)
        return np.maximum(x - 10.0, 0.0)

    report = check_gradients((f, lambda _, g: 0.0 * g), X)
    assert report.verdict == UNDECIDED
    assert "nothing was tested" in report["input"].reason


@pytest.mark.parametrize("f", [np.sign, np.round, lambda x: np.where(x > 0.5, 3.0, -1.0)])
def test_steps_have_the_gradient_0_and_the_report_says_so(f):
    report = check_gradients((f, lambda _, g: 0.0 * g), X)
    assert report.verdict == RIGHT
    assert any("0 here and wherever else it was looked at" in note for note in report.notes)


def test_what_the_output_was_never_seen_to_depend_on_is_undecided():
    report = check_gradients((lambda x: np.full(x.shape, 2.0), lambda _, g: 0.0 * g), X)
    assert report.verdict == UNDECIDED
    assert "never seen to depend on it" in report["input"].reason


def test_an_argument_that_the_output_does_not_depend_on_is_undecided_unless_it_is_listed_in_constants():
    pair = (lambda x, w: np.sin(x) + 0.0 * w), (lambda x, _, g: (g * np.cos(x), 0.0 * g))
    report = check_gradients(pair, (X, 0.5 * X))
    assert (report["x"].verdict, report["w"].verdict) == (RIGHT, UNDECIDED)
    assert check_gradients(pair, (X, 0.5 * X), constants=["w"]).verdict == RIGHT


def test_an_input_that_a_network_ignores_while_its_weights_are_0_is_right():
    class Zero(Foreign):
        def __init__(self):
            super().__init__("d{}")
            self.W = np.zeros((4, 3))

    assert check_gradients(Zero(), X).verdict == RIGHT


def test_a_bias_whose_mean_is_taken_away_again_has_the_gradient_0():
    class Centered(Foreign):
        """The bias is taken away again with the mean."""

        def forward(self, x):
            y = super().forward(x)
            return y - y.mean(axis=0)

        def backward(self, grad):
            result = super().backward(grad - grad.mean(axis=0))
            vars(self)["db"] = np.zeros(3)
            return result

    report = check_gradients(Centered("d{}"), X)
    assert report["b"].verdict == RIGHT, report


def test_the_layers_of_this_package_are_right_everywhere():
    x = np.random.default_rng(0).standard_normal((6, 4))
    for layer in (nn.BatchNorm1d(4), nn.LayerNorm(4), nn.PReLU(4), nn.Hardtanh(), nn.ReLU6(), nn.Linear(4, 3, rng=0)):
        report = check_gradients(layer, x)
        assert report.ok, report


# The points themselves.


def points_of(f, x, elementwise=True):
    subject = as_subject((f, lambda _, g: g), (x.copy(),), None, Hints())
    return list(other_points(subject, subject.output(), elementwise, np.random.default_rng(0)))


def test_other_inputs_keep_signs_and_rows_that_sum_to_one():
    p = np.random.default_rng(0).dirichlet(np.ones(4), 5)
    moved = {point.words: next(iter(point.moved.values())) for point in points_of(np.sin, p)}
    np.testing.assert_allclose(moved["at a tenth of this input"], 0.1 * p)
    np.testing.assert_allclose(moved["at 10 times this input"], 10.0 * p)
    np.testing.assert_allclose(moved["at the means of neighbouring rows of this input"].sum(axis=1), 1.0)
    apart = moved["where this input has size 1 and no small entries"]
    assert apart.min() >= 1.0
    assert (np.argsort(apart, axis=None) == np.argsort(p, axis=None)).all()
    assert len(moved) == 4  # no bend in a sine


@pytest.mark.parametrize("kink", [0.03, 0.5, 1.0, 6.0])
def test_both_sides_of_a_kink_are_among_the_points(kink):
    x = np.array([[1.0, 2.0, -1.0]])
    found = [
        next(iter(point.moved.values()))
        for point in points_of(lambda x: np.minimum(x, kink) + 0.1 * x**2, x)
        if "bend" in point.words
    ]
    assert len(found) == 4
    beside = sorted(values[0, 0] / kink - 1.0 for values in found)
    np.testing.assert_allclose(beside, [-(2.0**-5), -(2.0**-9), 2.0**-9, 2.0**-5], atol=2e-4)
    assert all(values[0, 2] == -1.0 for values in found)


def test_of_what_is_no_function_of_single_entries_the_whole_input_goes_beside_a_kink():
    points = points_of(lambda x: np.maximum(x.sum(axis=1) - 2.0, 0.0), np.array([[0.5, 0.5]]), elementwise=False)
    sums = [next(iter(point.moved.values())).sum() for point in points if "bend" in point.words]
    np.testing.assert_allclose(sums, [2.0 * (1 + 2.0**-9), 2.0 * (1 - 2.0**-9)], rtol=2e-4)


def test_parameters_that_are_one_number_move_and_keep_their_sign():
    layer = Scaled("")
    subject = as_subject(layer, (X.copy(),), None, Hints())
    (moved,) = (
        p.moved for p in other_points(subject, subject.output(), False, np.random.default_rng(0)) if not p.words
    )
    assert sorted(moved) == ["beta", "gamma", "slope"]
    assert (moved["gamma"] > 0.5).all()
    assert (moved["slope"] > 0.1).all()
    assert np.ptp(moved["gamma"]) > 0.0
    assert (moved["beta"] < 0.0).any() or (moved["beta"] > 0.0).any()
    subject.arrays["gamma"][...] = [1.0, 2.0, 3.0, 4.0]
    (moved,) = (
        p.moved for p in other_points(subject, subject.output(), False, np.random.default_rng(0)) if not p.words
    )
    assert sorted(moved) == ["beta", "slope"]


def test_for_a_function_that_does_not_move_there_are_inputs_of_every_size():
    subject = as_subject((np.sin, lambda _, g: g), (X.copy(),), None, Hints())
    sizes = [np.abs(next(iter(p.moved.values()))).max() for p in far_points(subject, np.random.default_rng(0))]
    assert min(sizes) < 5.0
    assert max(sizes) == 1000.0 * np.abs(X).max()


def test_the_median_is_numpys_also_of_nan_and_infinities():
    windows = np.random.default_rng(0).choice(
        [-np.inf, -1.0, 0.5, 2.0, np.inf, np.nan], (400, 3, 5), p=[0.18] * 5 + [0.1]
    )
    np.testing.assert_array_equal(median(windows), np.median(windows, axis=-1))


def polynomial(term):
    """x^9 - 3 x^4 + x, whose terms are of one size around 1 alone, and its gradient with another first term."""
    return (lambda x: np.sum(x**9 - 3 * x**4 + x), lambda x: 9 * x**8 - 12 * x**3 + 1 + term(x))


@pytest.mark.parametrize("size", [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0])
@pytest.mark.parametrize(
    ("term", "verdict"),
    [(np.zeros_like, RIGHT), (np.ones_like, WRONG), (lambda x: -(x**8), WRONG), (lambda x: 12 * x**3, WRONG)],
)
def test_a_term_that_is_lost_in_others_at_this_size_is_looked_at_in_another(size, term, verdict):
    x = size * np.random.default_rng(5).standard_normal(5)
    assert check_gradients(polynomial(term), x).verdict == verdict


@pytest.mark.parametrize(("term", "verdict"), [(0.0, RIGHT), (1.0, WRONG)])
def test_entries_beside_one_that_is_far_larger_are_looked_at_where_it_is_not(term, verdict):
    x = np.array([0.5, -0.7, 3e7, 1.2])
    assert check_gradients(polynomial(lambda x: term * (np.abs(x) < 100.0)), x).verdict == verdict


def test_sizes_are_changed_only_where_they_are_not_about_1():
    x = np.array([[0.5, -1.0], [2.0, 0.2], [0.3, 0.2]])
    words = {point.words for point in points_of(np.sin, x)}
    assert not any("size 1" in one or "smaller" in one for one in words)
    moved = {point.words: point.moved["x"] for point in points_of(np.sin, 20.0 * x)}
    np.testing.assert_allclose(moved["at this input scaled to size 1"], 0.5 * x)
    small = {point.words: point.moved["x"] for point in points_of(np.sin, np.array([[0.5, -1.0], [2.0, 0.1]]))}
    assert small["where this input has size 1 and no small entries"].min() == pytest.approx(-np.sqrt(2.0))
    uneven = np.array([[0.5, -1.0], [2e5, 0.0], [0.3, 0.2]])
    moved = {point.words: point.moved["x"] for point in points_of(np.sin, uneven)}
    np.testing.assert_array_equal(
        moved["where the largest entries of this input are smaller"], np.clip(uneven, -0.5, 0.5)
    )


@pytest.mark.parametrize(
    ("factors", "verdict"), [((2.0, 1.0), RIGHT), ((2.0, 0.0), WRONG), ((2.0, 2.0), WRONG), ((2.0, -1.0), WRONG)]
)
@pytest.mark.parametrize("seed", range(6))
def test_a_term_that_another_one_drowns_beside_a_pole_is_looked_at_away_from_it(factors, verdict, seed):
    # The potential of Lennard and Jones: of distances near 0 its repulsion is larger than its attraction by (1/r)^6.
    def energy(r):
        return np.sum(4.0 * (r**-12 - r**-6))

    def derivative(r):
        return -24.0 * (factors[0] * r**-12 - factors[1] * r**-6) / r

    r = np.abs(np.random.default_rng(seed).standard_normal(6))
    r[0] = 0.01 * (1 + seed)
    assert check_gradients((energy, derivative), r).verdict == verdict
