"""What explanations stand on: when a prediction fits, what a common factor is, and what is measured once more."""

from types import SimpleNamespace

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.entry import REORDERED, REORDERED_IN_FLOAT32, _equal_but_for_rounding, _stays_wrong
from numpy_nn.gradcheck.measure.derivatives import extrapolate
from numpy_nn.gradcheck.measure.differences import Differences
from numpy_nn.gradcheck.measure.evidence import FIT, Evidence, common_ratio
from numpy_nn.gradcheck.measure.kinds import AGREES, KINK, OFF
from numpy_nn.gradcheck.measure.slopes import Slopes
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG, Entry, GradientReport
from numpy_nn.subjects import Hints, as_subject

X = np.random.default_rng(0).uniform(0.5, 1.5, (4, 3))


def evidence(f=np.sin, vjp=lambda x, g: 2.0 * g * np.cos(x), x=X):
    rng = np.random.default_rng(0)
    subject = as_subject((f, vjp), (x.copy(),), None, Hints())
    output = subject.output()
    g = subject.random_grad_output(rng, output.shape)
    return Evidence(subject, subject.input, subject.gradients(g)[subject.input], g, output, {}, 0.5 * x, g, rng)


@pytest.mark.parametrize("share", [0.0, 2.0**-10])
def test_what_was_seen_of_the_outputs_steps_holds_for_the_other_arrays_too(share):
    def product(x, w):
        return x @ w

    def vjp(g, x, w):
        return g @ w.T, x.T @ g

    rng = np.random.default_rng(0)
    subject = as_subject((product, vjp), (X.copy(), rng.standard_normal((X.shape[1], 2))), None, Hints())
    output = subject.output()
    g = subject.random_grad_output(rng, output.shape)
    e = Evidence(subject, "x", subject.gradients(g)["x"], g, output, {}, 0.5 * X, g, rng)
    if share:
        e.differences.assume(share, unmeasured=True)
    assert e.differences_by("w").seen_coarseness == share
    assert e.differences_by("x").seen_coarseness == share


def test_a_prediction_fits_if_it_is_off_by_no_more_than_a_share_of_the_largest_number():
    e = evidence()
    largest = np.abs(e.gradient).max()
    nudge = np.zeros(X.shape)
    for index in ((0, 0), (3, 2)):
        nudge[...] = 0.0
        nudge[index] = largest
        assert e.fits(e.gradient + 0.99 * FIT * nudge)
        assert not e.fits(e.gradient + 1.1 * FIT * nudge)
    assert not e.fits(e.gradient[0])
    assert not e.fits(np.full(X.shape, np.nan))


def test_a_prediction_must_explain_most_of_what_is_wrong():
    # Off by 1e-4 at one coordinate: the truth itself is within FIT of nothing then, and half of the way is no reason.
    def vjp(x, g):
        gradient = g * np.cos(x)
        gradient[0, 0] += 1e-4
        return gradient

    e = evidence(vjp=vjp)
    off = e.gradient - e.truth
    assert e.fits(e.gradient - 0.04 * off)
    assert not e.fits(e.gradient - 0.06 * off)
    assert not e.fits(e.truth)


@pytest.mark.parametrize(("spread", "found"), [(0.9 * FIT, True), (2.5 * FIT, False)])
def test_a_common_ratio_may_spread_by_so_much(spread, found):
    n = np.array([1.0, 2.0, -3.0, 4.0, 5.0])
    ratio = common_ratio(3.0 * n * (1.0 + spread * np.array([0.0, 0.0, 0.0, 0.0, 1.0])), n)
    assert (ratio is not None) == found
    if ratio is not None:
        assert ratio == pytest.approx(3.0, rel=1e-12)


@pytest.mark.parametrize(("spread", "found"), [(1.9, True), (2.1, False)])
@pytest.mark.parametrize("fit", [1e-4, 1e-3])
def test_of_a_coarse_output_a_common_ratio_may_spread_by_twice_the_share_that_numbers_are_off_by(spread, found, fit):
    n = np.array([1.0, 2.0, -3.0, 4.0, 5.0])
    off = spread * fit * np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    assert (common_ratio(3.0 * n * (1.0 + off), n, fit) is not None) == found


def test_small_numbers_need_not_have_the_ratio_to_all_digits_but_must_be_as_small():
    n = np.array([1.0, 2.0, 3.0, 1e-3, 0.0])
    assert common_ratio(np.array([2.0, 4.0, 6.0, 2.02e-3, 2e-5]), n) == pytest.approx(2.0)
    assert common_ratio(np.array([2.0, 4.0, 6.0, 2.2e-3, 0.0]), n) is None
    assert common_ratio(np.array([2.0, 4.0, np.inf, 2e-3, 0.0]), n) is None
    assert common_ratio(np.ones(3), np.zeros(3)) is None


def test_the_ratio_is_that_between_claimed_and_numerical():
    assert evidence().ratio() == pytest.approx(2.0, abs=1e-9)
    assert evidence(vjp=lambda x, g: g * np.sin(x)).ratio() is None
    # 1 + 1e-7 is a ratio too, but one that leaves the other error unexplained is none.
    crooked = evidence(vjp=lambda x, g: g * np.cos(x) * (1.0 + 4e-6 * np.sign(x - 1.0)))
    assert crooked.ratio() is None


def test_the_ratio_at_another_batch():
    e = evidence(lambda x: (x**2).sum() / 2, lambda x, g: g * x / len(x))
    assert e.ratio() == pytest.approx(0.25)
    rows, ratio = e.ratio_at_another_batch()
    assert (rows, ratio) == (3, pytest.approx(1.0 / 3.0))
    rows, ratio = evidence(lambda x: (x**2).sum() / 2, lambda x, g: g * x / len(x), X[:2]).ratio_at_another_batch()
    assert (rows, ratio) == (4, pytest.approx(0.25))

    def only_four(x):
        if len(x) != 4:
            raise ValueError("four rows")
        return np.sin(x)

    assert evidence(only_four).ratio_at_another_batch() is None


def test_slopes_are_natural_in_proportion_to_output_and_argument():
    e = evidence()
    e.grad_output = np.full(X.shape, 2.0)
    e.array[...] = 0.5
    assert e.slope_of(np.full(X.shape, 3.0)) == pytest.approx(6.0)  # over 1, as the argument is smaller
    e.array[...] = 4.0
    assert e.slope_of(np.full(X.shape, 3.0)) == pytest.approx(1.5)
    e.output = np.full(X.shape, 8.0)
    assert e.natural_slope == pytest.approx(4.0)


def test_multiples_are_of_size_one_and_smaller_and_one_is_random():
    e = evidence(x=40.0 * X)
    *parts, random = e.multiples()
    sizes = [np.abs(part).max() for part in parts]
    largest = 40.0 * X.max()
    np.testing.assert_allclose(sizes, [1.0, largest / 4, largest / 16, largest / 64, largest / 256])
    assert random.shape == X.shape
    assert np.abs(random).max() < 5.0


def test_the_working_size_is_the_largest_slope_at_other_inputs_and_a_refusal_is_skipped():
    def f(x):
        if np.abs(x).max() > 1.6:
            raise ValueError("too large")
        return np.sin(x)

    e = evidence(f, lambda x, g: np.where(np.abs(x) < 0.02, 500.0, 1.0) * g)
    assert 250 < e.working_size < 1000
    assert evidence(f, lambda _, g: 3.0 * g).working_size == pytest.approx(3.0 * np.abs(e.grad_output).max())


def test_beside_a_pole_and_in_chaos_no_formula_has_its_working_size():
    pole = evidence(lambda x: 1 / x**12, lambda x, g: -12 * g / x**13, x=1.0 + np.abs(X))
    assert pole.working_size < 1e4 * 12
    chaos = evidence(lambda x: np.sin(1 / x**9), lambda x, g: -9 * g * np.cos(1 / x**9) / x**10, x=1.0 + np.abs(X))
    assert chaos.working_size < 1e4


@pytest.mark.parametrize("size", [1e-12, 1e-7])
def test_the_noise_of_the_claimed_gradient_is_measured(size):
    e = evidence(vjp=lambda x, g: g * np.cos(x) + size * np.sin(1e15 * x))
    # A sine of what is as good as random has the deviation 1 / sqrt(2).
    assert 0.3 * size < np.median(e.gradient_noise) < 1.5 * size
    assert evidence().gradient_noise.max() < 1e-15


def test_a_gradient_that_is_refused_beside_the_input_is_taken_to_have_no_noise():
    def vjp(x, g):
        if not np.array_equal(x, X):
            raise ValueError("not the batch of this step")
        return 2.0 * g * np.cos(x)

    assert not evidence(vjp=vjp).gradient_noise.any()


def test_what_is_looked_at_has_no_kink_and_narrows_to_what_is_wrong():
    e = evidence()
    assert e.looked_at.all()
    e = evidence()
    e.status = np.array([[OFF] * 3, [OFF, AGREES, KINK], [KINK] * 3, [AGREES] * 3])
    assert e.looked_at.sum() == 8
    assert e.narrow()
    assert e.narrowed
    np.testing.assert_array_equal(e.looked_at, e.status == OFF)
    assert e.narrow(undo=True)
    assert not e.narrowed
    assert e.looked_at.sum() == 8
    e.status[0, 0] = AGREES
    assert not e.narrow()  # three are too few
    assert not e.narrowed


def test_no_more_than_2000_coordinates_are_looked_at():
    e = evidence(x=np.ones((23, 87)))
    e.status = np.full((23, 87), OFF)
    assert e.looked_at.sum() == 2000


class Remembers:
    """Keeps what it was given first, or last."""

    def __init__(self, stale):
        self.stale, self.kept = stale, None

    def forward(self, x):
        if self.kept is None or not self.stale:
            self.kept = x.copy()
        return np.sin(x)

    def backward(self, g):
        kept, self.kept = self.kept, None if self.stale == "until used" else self.kept
        return g * np.cos(kept)


class Swaps(Remembers):
    """Its gradient is that of the input before."""

    def forward(self, x):
        self.last, self.now = getattr(self, "now", x), x.copy()
        self.kept = self.last
        return np.sin(x)


@pytest.mark.parametrize(
    ("layer", "hangs"), [(Remembers(True), False), (Remembers(False), False), (Swaps(False), True)]
)
def test_a_gradient_that_hangs_on_the_call_before_is_told(layer, hangs):
    subject = as_subject(layer, (X.copy(),), None, Hints())
    g, rng = np.ones(X.shape), np.random.default_rng(0)
    claimed = subject.gradients(g)[subject.input]
    e = Evidence(subject, subject.input, claimed, g, subject.output(), {}, X, g, rng)
    assert e.hangs_on_previous() == hangs


def test_at_an_input_that_the_target_refuses_the_numerical_gradient_is_not_known():
    def f(x):
        if x.max() > 2.0:
            raise ValueError("too large")
        return np.sin(x)

    e = evidence(f)
    assert np.isnan(e.vjp(e.grad_output, 10.0 * X)).all()
    np.testing.assert_allclose(e.vjp(e.grad_output, 0.5 * X), e.grad_output * np.cos(0.5 * X), rtol=1e-9)
    np.testing.assert_array_equal(e.x, X)


# Differences.


@pytest.mark.parametrize(
    ("f", "shape", "aligned", "groups"),
    [
        (np.sin, (3, 4), [(0, 0), (1, 1)], 1),
        (lambda x: x @ np.ones((4, 2)), (3, 4), [(0, 0)], 4),
        (lambda x: x.T.copy(), (3, 4), [(0, 1), (1, 0)], 1),
        (lambda x: x.sum(), (3, 4), [], 12),
        (lambda x: np.roll(x, 1, axis=0), (3, 4), [(1, 1)], 3),
        (lambda x: x + 1e-6 * np.maximum(x[:1], 0), (5, 2), [(1, 1)], 5),
    ],
)
def test_what_moves_alone_is_found(f, shape, aligned, groups):
    x = np.random.default_rng(0).standard_normal(shape)
    subject = as_subject((f, lambda _, g: g), (x,), None, Hints())
    differences = Differences(subject, subject.input, np.random.default_rng(0))
    assert differences.aligned == aligned
    assert differences.groups == groups


def test_a_close_look_believes_the_finer_steps_where_the_function_bends_in_between():
    # A step of height 2^-30 and of that width: at distances from 2^-24 on it is not seen.
    subject = as_subject(
        (lambda x: x + 2.0**-30 * np.tanh(2.0**30 * (x - 1.0)), lambda _, g: g), (np.array([1.0, 2.0]),), None, Hints()
    )
    differences = Differences(subject, subject.input, np.random.default_rng(0))
    slopes = differences.close(np.ones(2), np.ones(2, np.bool_))
    np.testing.assert_allclose(slopes.value, [2.0, 1.0], rtol=1e-4)


def test_a_slope_along_a_direction_and_its_kink():
    subject = as_subject((lambda x: np.abs(x) + x**2, lambda _, g: g), (np.array([0.0, 2.0]),), None, Hints())
    differences = Differences(subject, subject.input, np.random.default_rng(0))
    slope, bound, kink = differences.along(np.array([0.0, 1.0]), np.array([1.0, 3.0]))
    assert abs(slope - 15.0) <= bound < 1e-8
    assert not kink
    assert differences.along(np.array([1.0, 0.0]), np.array([1.0, 3.0]))[2]
    quotient = differences.quotient_along(np.array([0.0, 1.0]), np.array([1.0, 3.0]), 2.0**-10)
    assert quotient == pytest.approx(15.0)


def test_where_coarse_steps_leave_the_domain_the_finer_ones_still_tell():
    steps = 4.0 ** -np.arange(6.0)
    table = extrapolate(np.array([np.nan, np.nan, 3.0, 3.0, 3.0, 3.0]), np.zeros(6), steps, 2)
    assert np.nanmin(table.errors) == 0.0
    assert np.isnan(table.errors[np.isnan(table.values)]).all()


# Verdicts, just on both sides of where they change.


@pytest.mark.parametrize(
    ("error", "verdict"), [(1e-12, RIGHT), (1e-9, CLOSE), (9e-6, CLOSE), (1.1e-5, WRONG), (1e-2, WRONG)]
)
def test_what_is_off_by_up_to_1e5th_of_every_coordinate_is_close(error, verdict):
    report = check_gradients((np.exp, lambda x, g: g * np.exp(x) * (1.0 + error)), X)
    assert report.verdict == verdict, report
    assert report.ok == (verdict == RIGHT)


@pytest.mark.parametrize(
    ("verdicts", "problems", "verdict"),
    [
        ([RIGHT, RIGHT], [], RIGHT),
        ([RIGHT, CLOSE], [], CLOSE),
        ([CLOSE, UNDECIDED], [], UNDECIDED),
        ([CLOSE, UNDECIDED, WRONG], [], WRONG),
        ([CLOSE], ["a problem"], UNDECIDED),
        ([WRONG], ["a problem"], WRONG),
        ([], [], UNDECIDED),
    ],
)
def test_the_worst_entry_is_the_verdict(verdicts, problems, verdict):
    entries = [Entry(str(i), v, (1,), 1, 1, 0, 0, 0, 0.0, None, 0.0, 0.0, 0.0) for i, v in enumerate(verdicts)]
    assert GradientReport("target", entries, problems, [], 1, 0.0).verdict == verdict


def test_the_report_says_to_how_many_digits():
    entry = Entry("W", CLOSE, (1,), 1, 1, 0, 0, 0, 0.0, None, 0.0, 0.0, 0.0, digits=6.9)
    assert entry.verdict_in_words == "right to 6 digits"
    report = GradientReport("target", [entry], [], [], 1, 0.0)
    assert str(report).startswith("target: RIGHT TO 6 DIGITS")
    assert "right to 6 digits" in report._repr_html_()
    report.raise_if_failed()


def test_gradients_that_differ_as_sums_in_another_order_do_are_the_same_and_what_is_missing_is_not():
    near, off = X * (1.0 + 0.9 * REORDERED), X * (1.0 + 1.1 * REORDERED)
    assert _equal_but_for_rounding(X, X.copy())
    assert _equal_but_for_rounding(X, near)
    assert not _equal_but_for_rounding(X, off)
    for first, second in ((None, X), (X, None), (None, None), (X, X[:1]), (X, np.full(X.shape, np.nan))):
        assert not _equal_but_for_rounding(first, second)


@pytest.mark.parametrize(("growth", "wrong"), [(1.0, True), (90.0, True), (110.0, False)])
def test_a_coordinate_stays_wrong_unless_bounds_that_grow_as_the_steps_do_hold_it(growth, wrong):
    no, ones = np.zeros(3, np.bool_), np.ones(3)
    slopes = Slopes(ones, 1e-6 * ones, no, no, ones, ones, 1e-7 * ones)
    status = np.array([AGREES, OFF, AGREES])
    differences = SimpleNamespace(coarseness=1e-8)
    known = SimpleNamespace(slopes=slopes, status=status, differences=differences)
    known.gradient = ones + np.array([1e-2, 1e-4, 0.0])  # also off, but not looked at, is the first
    assert _stays_wrong(known, growth * 1e-8) == wrong
    known.slopes = None
    assert not _stays_wrong(known, growth * 1e-8)


@pytest.mark.parametrize(("share", "same"), [(0.9, True), (1.1, False)])
def test_sums_in_float32_may_differ_by_the_rounding_of_float32(share, same):
    first = np.array([1.0, 0.5, -0.25])
    second = first - np.array([share * REORDERED_IN_FLOAT32, 0.0, 0.0])
    wide = second + np.array([0.0, 1e-12, 0.0])
    assert _equal_but_for_rounding(first, second.astype(np.float32).astype(np.float64)) == same
    assert not _equal_but_for_rounding(first, wide)
    assert not _equal_but_for_rounding(wide, first)
