"""The check of a subject: what is told, what is sampled, and where else a gradient is looked at."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from numpy_nn.gradcheck import elsewhere, entry
from numpy_nn.gradcheck.measure import points
from numpy_nn.gradcheck.report import GradientReport
from numpy_nn.subjects import Hints, SubjectError, as_subject

ONE = np.array([1.0, 2.0, -2.0, 0.5])


# The check of a subject.


def subject_of(f=np.sin, vjp=lambda x, g: g * np.cos(x), x=ONE):
    return as_subject((f, vjp), (np.array(x),), None, Hints())


@pytest.mark.parametrize(
    ("kinds", "texts"),
    [
        (
            [("a", "unchecked"), ("b", "unchecked")],
            "net: 1 of 3 arrays that the output depends on were checked: no gradient was found of a, b; "
            'if they are not learned, constants=["a", "b"] or --constant a --constant b; '
            "if learned, name the gradient in parameters=",
        ),
        (
            [("params['W']", "unchecked")],
            "net: 1 of 2 arrays that the output depends on were checked: no gradient was found of params['W']; "
            "if it is not learned, constants=[\"params['W']\"] or --constant \"params['W']\"; "
            "if learned, name the gradient in parameters=",
        ),
        ([("a", "buffer"), ("b", "buffer")], "net: not learned, and not checked: a, b"),
        ([("a", "granted")], "net: used by the functions, and no gradient is claimed of a: not checked"),
        ([("a", "data")], "net: no gradient is returned of a: taken for data, and not checked"),
        ([("a", "unclaimed")], "net: backward returns None for a: not checked"),
    ],
)
def test_what_was_not_checked_is_told(kinds, texts):
    report = GradientReport("net", [], [], [], 0, 0.0)
    subject = SimpleNamespace(arrays={"x": ONE}, unchecked=[(name, kind, 4) for name, kind in kinds])
    entry._count_unchecked(subject, "net: ", report)
    assert report.problems + report.notes == [texts]
    assert bool(report.problems) == (kinds[0][1] == "unchecked")


def test_an_output_that_is_not_finite_is_named_with_its_place():
    subject = subject_of(lambda x: np.where(x > 1.5, np.inf, x))
    report = GradientReport("", [], [], [], 0, 0.0)
    entry.check(subject, "", report, np.random.default_rng(0), None)
    assert report.problems == ["the output is not finite: inf at [1]"]
    assert (report.entries, report.input) == ([], subject.input)
    report, subject = GradientReport("", [], [], [], 0, 0.0), subject_of(lambda x: np.where(x > 1.5, np.inf, x))
    entry.check(subject, "0", report, np.random.default_rng(0), None)
    assert report.problems == [f"{subject.label}: the output is not finite: inf at [1]"]


@pytest.mark.parametrize(
    ("gradient", "array", "taken"),
    [
        ((2, 3), (2, 3), True),
        ((2, 3, 1), (2, 3), True),
        ((1, 3), (3,), True),
        ((1,), (), True),
        ((3, 2), (2, 3), False),
        ((6,), (2, 3), False),
        (None, (2, 3), False),
    ],
)
def test_a_gradient_has_the_shape_of_its_array_but_for_axes_of_length_1(gradient, array, taken):
    evidence = SimpleNamespace(gradient=None if gradient is None else np.zeros(gradient))
    assert entry._has_shape_of(np.zeros(array), evidence) == taken
    if taken:
        assert evidence.gradient.shape == array


def sampled(size, groups, samples, others=0):
    """How many coordinates are checked, and how many groups were asked for."""
    asked = []

    def some_groups(number):
        asked.append(number)
        return np.ones(1, np.bool_)

    differences = SimpleNamespace(array=np.zeros(size), groups=groups, some_groups=some_groups, numbers=size + others)
    mask = entry._sample(differences, samples, np.random.default_rng(0))
    return (asked[0] if asked else None), int(mask.sum()), mask.shape


@pytest.mark.parametrize(
    ("size", "groups", "samples", "groups_asked", "checked"),
    [
        (10, 10, "all", None, 10),
        (10, 10, 10, None, 10),
        (10, 10, 11, None, 10),
        (10, 10, 3, None, 3),
        (10, 10, None, None, 10),
        # All up to 200,000 evaluations, of which each group takes 6.
        (11_000, 33_333, None, 2_272, 1),
        (11_000, 33_334, None, None, 2_000),
        # And up to 150 million numbers read.
        (20_000, 1_250, None, None, 20_000),
        (20_000, 1_251, None, 1_250, 1),
        (1_000_000, 1_000, None, 25, 1),
        (1_000_000, 1_000_000, None, None, 25),
        (10_000_000, 1_000, None, 20, 1),
    ],
)
def test_large_arrays_are_sampled(size, groups, samples, groups_asked, checked):
    asked, number, shape = sampled(size, groups, samples)
    if size > 10 and groups_asked:
        # Small ones too, where others are read with them.
        assert sampled(10, groups, samples, others=size - 10)[0] == groups_asked
    assert (asked, number) == (groups_asked, checked)
    assert groups_asked is not None or shape == (size,)


@pytest.mark.parametrize(
    ("first", "second", "previous", "adds"),
    [
        (2.0, 3.0, 1.0, True),
        (2.0, 3.0, 1.0 + 0.9e-6, True),
        (2.0, 3.0, 1.0 + 1.2e-6, False),
        (2.0, 4.0, 1.0, False),
        (2.0, 3.0, None, False),
        (2.0, None, 1.0, False),
    ],
)
def test_calls_add_up_where_each_adds_as_much(first, second, previous, adds):
    given = (None if number is None else number * np.ones(3) for number in (first, second, previous))
    assert entry._adds_up(*given) == adds
    assert not entry._adds_up(np.ones(3), np.ones(2), np.ones(3))
    assert not entry._adds_up(np.ones(3), np.ones(3), np.ones(2))


def test_the_batch_before_is_another_one_that_the_target_takes():
    x = np.arange(1.0, 7.0).reshape(3, 2)

    def batch(*, refuses=()):
        subject, seen = subject_of(x=x), []
        home, gradients = subject.arrays[subject.input], subject.gradients

        def claimed(grad_output, **given):
            seen.append(home.copy())
            if any(np.array_equal(home, one) for one in refuses):
                raise SubjectError("no")
            return gradients(grad_output, **given)

        subject.gradients = claimed
        moved, found = entry._call_before(subject, np.ones(x.shape))
        np.testing.assert_array_equal(home, x)
        np.testing.assert_allclose(found[subject.input], np.cos(moved))
        np.testing.assert_array_equal(seen[-1], moved)
        return moved

    rolled = np.roll(x, 1, axis=0)
    np.testing.assert_array_equal(batch(), 0.75 * rolled)
    np.testing.assert_array_equal(batch(refuses=[0.75 * rolled]), rolled)
    np.testing.assert_array_equal(batch(refuses=[0.75 * rolled, rolled]), 0.75 * x)
    np.testing.assert_array_equal(batch(refuses=[0.75 * rolled, rolled, 0.75 * x]), x)


def test_of_a_single_number_the_batch_before_is_another_number():
    moved, _ = entry._call_before(subject_of(x=2.0), np.ones(()))
    assert moved == 1.5


# At other points.


@pytest.mark.parametrize(
    ("number", "usable"), [(1.0, True), (-0.99e100, True), (1e100, False), (-1e100, False), (np.nan, False)]
)
def test_numbers_whose_squares_overflow_are_not_looked_at(number, usable):
    assert elsewhere._are_usable(np.array([1.0, number])) == usable


@pytest.mark.parametrize(
    ("size", "groups", "checked"), [(64, 33, 64), (65, 32, 65), (65, 33, 64), (100, 100, 64), (100, 1, 100)]
)
def test_elsewhere_64_coordinates_are_enough(size, groups, checked):
    array = np.zeros((size, 1))
    e = SimpleNamespace(array=array, differences=SimpleNamespace(groups=groups), rng=np.random.default_rng(0))
    mask = elsewhere._sample(e)
    assert mask.shape == array.shape
    assert mask.sum() == checked


def looked(vjp, *, f=np.sin, x=ONE, grad_output=None, share=0.0):
    subject = subject_of(f, vjp, x)
    g = np.ones(np.shape(x)) if grad_output is None else grad_output
    found = elsewhere.look(subject, [subject.input], g, share, np.random.default_rng(0))
    return found[subject.input][0] if found else None


@pytest.mark.parametrize(
    ("factor", "kind"),
    [
        (1.0, elsewhere.Found.RIGHT),
        (1.0 + 1e-5, elsewhere.Found.RIGHT),
        (1.003, elsewhere.Found.UNKNOWN),
        (1.004, elsewhere.Found.WRONG),
        (-1.0, elsewhere.Found.WRONG),
    ],
)
def test_elsewhere_only_a_blunder_is_wrong(factor, kind):
    assert looked(lambda x, g: factor * g * np.cos(x)) is kind


def test_elsewhere_what_is_0_everywhere_says_nothing_and_what_cannot_be_had_is_left_out():
    assert looked(lambda _, g: 0.0 * g, f=lambda x: 0.0 * x) is elsewhere.Found.NOTHING
    assert looked(lambda _, g: 0.0 * g) is elsewhere.Found.WRONG
    assert looked(lambda x, g: g * np.cos(x), grad_output=np.ones(3)) is None
    assert looked(lambda x, g: 1e101 * g * np.cos(x)) is None
    assert looked(lambda x, g: g[:2] * np.cos(x)[:2]) is None
    assert looked(lambda x, g: (g * np.cos(x))[None]) is elsewhere.Found.RIGHT


# Where other points are.


@pytest.mark.parametrize(
    ("numbers", "constant"),
    [([2.0, 2.0], True), ([2.0, 2.1], False), ([[1.0], [2.0]], False), (5.0, True), ([], False)],
)
def test_an_array_is_constant_if_all_its_numbers_are_the_same(numbers, constant):
    assert points._is_constant(np.array(numbers)) == constant


def test_a_constant_is_spread_to_numbers_of_its_sign_and_size_and_zeros_around_0():
    rng = np.random.default_rng(0)
    for size in (2.0, -2.0):
        made = points._spread(np.full(1000, size), rng) / size
        assert made.min() >= 0.6
        assert made.max() <= 1.8
        assert np.ptp(made) > 1.1
    zeros = points._spread(np.zeros(1000), rng)
    assert -0.5 <= zeros.min() < -0.45 < 0.45 < zeros.max() <= 0.5


def test_where_a_parameter_was_moved_is_told_in_words():
    subject = SimpleNamespace(arrays={"gamma": np.ones(3), "alpha": np.array(0.25)})
    shown = "where gamma is not 1 throughout: moved to 0.5 .. 1.5"
    assert points.where_moved(subject, "gamma", np.array([0.5, 1.5, 1.0])) == shown
    assert points.where_moved(subject, "alpha", np.array(0.3333333)) == "where alpha is 0.333, not 0.25"


@pytest.mark.parametrize(
    ("x", "targets", "are"),
    [
        ([[0.2, 0.8]], [[0.0, 1.0]], True),
        ([[0.0, 1.0]], [[False, True]], True),
        ([[0.2, 0.8]], [1], True),
        ([[0.2, 0.8]], [7], True),
        ([[0.2, 0.8]], [[0, 7]], False),
        ([[0.2, 1.1]], [1], False),
        ([[-0.1, 0.8]], [1], False),
        ([[0.2, 0.8]], [[0.0, 1.1]], False),
        ([[0.2, 0.8]], [[-0.1, 1.0]], False),
        ([[0.2, 0.8]], ["a"], False),
        ([[0.2, 0.8]], [1.5], False),
        ([[0.2, 0.8]], None, False),
    ],
)
def test_probabilities_lie_between_0_and_1_and_their_targets_too(x, targets, are):
    subject = SimpleNamespace(targets=targets, compared_with=targets, input="x", arrays={"x": np.array(x)})
    assert points.are_probabilities(subject) == are


def test_by_how_much_a_slope_changes():
    at = np.array([[0.0], [1.0], [3.0], [4.0]])
    np.testing.assert_allclose(points._changes(np.array([[0.0], [1.0], [5.0], [4.0]]), at), [[1.0], [3.0]])


@pytest.mark.parametrize(
    ("f", "targets", "large"),
    [(np.sum, None, 2), (lambda x: x[:1], None, 2), (lambda x: x[:2], None, 10), (lambda x, _: np.sin(x), ONE, 2)],
)
def test_the_larger_input_is_not_so_large_for_a_loss(f, targets, large):
    subject = as_subject((f, lambda x, *_: x), (ONE,), targets, Hints())
    found = list(points._other_points(subject, subject.output(), False, np.random.default_rng(0)))
    assert [point.words for point in found[:3]] == [
        "at a tenth of this input",
        f"at {large} times this input",
        "at the means of neighbouring rows of this input",
    ]
    moved = [point.moved[subject.input] for point in found[:3]]
    for values, expected in zip(moved, (0.1 * ONE, large * ONE, (ONE + ONE[[3, 0, 1, 2]]) / 2), strict=True):
        np.testing.assert_allclose(values, expected, rtol=1e-15)


def test_far_points_are_tiny_random_or_far_larger():
    subject = subject_of()
    found = list(points.far_points(subject, np.random.default_rng(0)))
    rng, largest = np.random.default_rng(0), np.abs(ONE).max()
    expected = [2.0**-6 / largest * ONE, 2.0**-12 / largest * ONE]
    expected += [1.0 * rng.standard_normal(4), 30.0 * rng.standard_normal(4), 100.0 * ONE, 1000.0 * ONE]
    words = ["this input scaled to size 0.016", "this input scaled to size 0.00024"]
    words += ["a random input of size 1", "a random input of size 30", "100 times this input", "1000 times this input"]
    assert [point.words for point in found] == [f"at {one}" for one in words]
    for point, values in zip(found, expected, strict=True):
        np.testing.assert_array_equal(point.moved[subject.input], values)


def test_zeros_are_not_made_tiny():
    far = points.far_points(subject_of(x=np.zeros(4)), np.random.default_rng(0))
    assert [point.words for point in far][:1] == ["at a random input of size 1"]


def test_a_single_row_has_no_neighbours():
    subject = subject_of(x=ONE[None])
    found = points._other_points(subject, subject.output(), True, np.random.default_rng(0))
    assert not any("neighbouring" in point.words for point in found)


def test_a_parameter_that_is_blamed_is_one_that_alone_makes_it_wrong(monkeypatch):
    subject = SimpleNamespace(arrays={"a": np.ones(2), "b": np.ones(2)}, at_point=lambda _: nullcontext())
    both = points.Point("", {"a": np.array([2.0, 3.0]), "b": np.array([4.0, 5.0])})

    def blamed(*kinds):
        answers = iter(kinds)
        monkeypatch.setattr(elsewhere, "look", lambda *_: {"x": (found, None)} if (found := next(answers)) else {})
        return elsewhere.blame(subject, "x", both, ONE, 0.0, None)

    wrong, right = elsewhere.Found.WRONG, elsewhere.Found.RIGHT
    a, b = "where a is not 1 throughout: moved to 2 .. 3", "where b is not 1 throughout: moved to 4 .. 5"
    assert blamed(wrong) == (a, {"a": both.moved["a"]})
    assert blamed(right, wrong) == (b, {"b": both.moved["b"]})
    assert blamed(None, wrong) == (b, {"b": both.moved["b"]})
    assert blamed(right, None) == (f"{a}, {b}", both.moved)
    told = points.Point("at a tenth of this input", {"a": ONE})
    assert elsewhere.blame(subject, "x", told, ONE, 0.0, None) == (told.words, told.moved)
