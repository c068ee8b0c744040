"""When jumps explain a gradient: sides of lines whose numbers are made up, on both sides of every threshold."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from known_slopes import known

from numpy_nn.gradcheck.measure import jumps
from numpy_nn.gradcheck.measure.jumps import Sample

ONLY_FIRST = np.array([True, False])
RISE = jumps.UNITS * 2.0**-53


def side(left, *, error=1.0, end=1.0, jump=1.0, nearest=0.0):
    """A side to ``end`` with these numbers; the second coordinate, which is right, moves, too."""
    samples = [Sample(0.0, 0.0, 0.0), Sample(end / 16, 0.0, 0.0), Sample(end, 0.0, 0.0)]
    return SimpleNamespace(
        direction=np.array([2.0, 1.0]),
        samples=samples,
        unexplained=left,
        jump=jump,
        nearest=nearest,
        error=lambda *_: error,
    )


def claim(**given):
    """A claim of 3 where the slope is 1, of a number of size 1."""
    coarseness = given.pop("coarseness", 0.0)
    differences = SimpleNamespace(seen_coarseness=coarseness, scales={"wide": np.array([0.5, 2.0])})
    e = SimpleNamespace(
        gradient=np.array([3.0, 100.0]),
        output=np.array([given.pop("output", 1.0)]),
        grad_output=np.array([-1.0]),
        at_point_given=True,
        in_float32=False,
        differences=differences,
    )
    vars(e).update(given)
    return e


@pytest.fixture
def follow(monkeypatch):
    """Have these sides found, each with its jump."""

    def given(*sides, slope=1.0):
        scales = []

        def found(_, wrong, scale):
            np.testing.assert_array_equal(wrong, ONLY_FIRST)
            scales.append(scale)
            return iter(sides)

        def jump(_, side, own, error):
            assert (own, error) == (2.0 * slope, 2.0 * (3.0 - slope))
            return side.jump

        monkeypatch.setattr(jumps, "_sides", found)
        monkeypatch.setattr(jumps, "_jump", jump)
        monkeypatch.setattr(jumps, "_nearest", lambda _, side: side.nearest)
        return scales

    return given


def explained(*, value=1.0, bound=1e-9, **given):
    slopes = known([value, 50.0 if value else np.nan], [bound, 1e-9])
    return jumps._explained_along(claim(**given), slopes, ONLY_FIRST, np.ones(2))


@pytest.mark.parametrize(
    ("sides", "found"),
    [
        # The integral of the claimed slope leaves no more than a quarter of the error, as a median.
        ([side(0.25)] * 8, (True, 8)),
        ([side(-0.25)] * 8, (True, 8)),
        ([side(0.26)] * 8, (False, 3)),
        ([side(-0.26)] * 8, (False, 3)),
        ([side(0.3)] * 2 + [side(0.1)] * 6, (True, 8)),
        ([side(0.3, error=2.0)] * 8, (True, 8)),
        # Of two sides at least.
        ([side(0.0)], (False, 1)),
        ([side(0.0)] * 2, (True, 2)),
        ([side(0.3)] * 3, (False, 3)),
        ([], (False, 0)),
        # On half of which there are jumps.
        ([side(0.0, jump=0.0)] * 4 + [side(0.0)] * 4, (True, 4)),
        ([side(0.0)] * 4 + [side(0.0, jump=0.0)] * 4, (True, 4)),
        ([side(0.0, jump=0.0)] * 5 + [side(0.0)] * 5, (False, 0)),
        ([side(0.0, jump=0.0)] * 2 + [side(0.0)], (False, 1)),
        ([side(0.0, jump=0.0), side(0.0)], (True, 1)),
        # Where the domain ends soon, a side that is unexplained does not count.
        ([side(1.0, end=0.5)] * 2 + [side(0.0)] * 2, (True, 2)),
        ([side(-1.0, end=-0.5)] * 2 + [side(0.0)] * 2, (True, 2)),
        ([side(1.0)] * 2 + [side(0.0)] * 2, (False, 3)),
        ([side(0.25, end=0.5)] * 2, (True, 2)),
    ],
)
def test_sides_explain_a_gradient(follow, sides, found):
    follow(*sides)
    assert explained() == found


@pytest.mark.parametrize(
    ("jump", "given", "counts"),
    [
        (RISE, {}, False),
        (1.01 * RISE, {}, True),
        (1024 * RISE, {"output": 1024.0}, False),
        (1025 * RISE, {"output": 1024.0}, True),
        # As high as a difference across steps needs them at least.
        (0.25, {"coarseness": 2.0**-6}, False),
        (0.251, {"coarseness": 2.0**-6}, True),
    ],
)
def test_a_jump_counts_from_some_units_in_the_last_place(follow, jump, given, counts):
    follow(*[side(0.0, jump=jump, error=2.0)] * 4)
    assert explained(**given) == (counts, 4 * counts)


@pytest.mark.parametrize(
    ("left", "bound", "found"),
    [(0.5, 2.0 / 32.0, (True, 8)), (0.51, 2.0 / 32.0, (False, 3)), (0.25, 1.9 / 32.0, (False, 0))],
)
def test_what_is_off_by_some_bounds_may_be_so_by_steps_that_are_seen_as_no_jumps(follow, left, bound, found):
    follow(*[side(left, jump=0.0)] * 8)
    assert explained(bound=bound) == found


@pytest.mark.parametrize(
    ("given", "nearest", "found"),
    [
        ({}, jumps.MEANT, (True, 4)),
        ({}, 1.01 * jumps.MEANT, (False, 0)),
        ({"output": 4.0}, 4.0 * jumps.MEANT, (True, 4)),
        ({"at_point_given": False}, 1.0, (True, 4)),
        ({"output": 1.0, "grad_output": np.ones(2)}, 0.0, (True, 4)),
    ],
)
def test_a_function_that_is_flat_between_its_jumps_is_meant_so_if_they_are_large(follow, given, nearest, found):
    follow(*[side(0.0, nearest=nearest)] * 4, slope=0.0)
    assert explained(value=0.0, **given) == found


def test_of_many_entries_that_are_flat_each_may_jump_by_itself(follow):
    follow(*[side(0.0)] * 4, slope=0.0)
    e = claim(output=1.0)
    e.output = np.ones(2)
    assert jumps._explained_along(e, known([0.0, np.nan]), ONLY_FIRST, np.ones(2)) == (False, 0)
    e.at_point_given = False
    assert jumps._explained_along(e, known([0.0, np.nan]), ONLY_FIRST, np.ones(2)) == (True, 4)


@pytest.mark.parametrize(
    ("sides", "within"),
    [
        ([], False),
        ([side(0.0, jump=33.0)], True),
        ([side(0.0, jump=32.0)], False),
        ([side(33.0, jump=33.0)], True),
        ([side(34.0, jump=33.0)], False),
        ([side(-34.0, jump=33.0)], False),
        ([side(66.0, jump=33.0, end=-0.5)], True),
        ([side(68.0, jump=33.0, end=-0.5)], False),
        ([side(0.0, jump=33.0), side(0.0, jump=0.0)], True),
        ([side(0.0, jump=33.0), *[side(0.0, jump=0.0)] * 2], False),
        ([side(0.0, jump=0.0)] * 2, False),
    ],
)
def test_between_jumps_a_point_lies_if_half_of_the_sides_have_high_ones(follow, sides, within):
    follow(*sides)
    # Steps of a millionth, of an output of a million: a jump counts that is higher than 32.
    e = claim(coarseness=2.0**-20, output=2.0**20)
    assert jumps._is_within_jumps(e, known([1.0, 50.0]), ONLY_FIRST, np.ones(2)) == within


@pytest.mark.parametrize(
    ("given", "value", "jump", "found"),
    [
        ({"coarseness": 2.0**-20}, 1.0, 33.0, True),
        ({"coarseness": 2.0**-20}, 1.0, 32.0, False),
        ({}, 0.0, 1e9, False),
        ({"in_float32": True}, 1.0, 1e9, False),
        # Where it is flat no steps are seen, but in float32 there are some.
        ({"in_float32": True}, 0.0, 129.0, True),
        ({"in_float32": True}, 0.0, 128.0, False),
        ({"in_float32": True, "coarseness": 2.0**-20}, 0.0, 33.0, True),
    ],
)
def test_jumps_that_are_more_than_rounding(follow, given, value, jump, found):
    scales = follow(side(0.0, jump=0.0), side(0.0, jump=jump), slope=value)
    e = claim(output=2.0**20, **given)
    assert jumps.jumps_more_than_rounding(e, known([value, 50.0]), ONLY_FIRST) == found
    if found:
        np.testing.assert_array_equal(scales, [[1.0, 2.0]])
    elif jump < 1e9:
        np.testing.assert_array_equal(scales, [[1.0, 2.0], [4.0, 8.0]])
    else:
        assert scales == []


@pytest.mark.parametrize(
    ("along", "coarseness", "value", "within", "found"),
    [
        ([(True, 0)], 0.0, 1.0, False, True),
        ([(False, 0)], 0.0, 1.0, True, False),
        ([(False, 1), (True, 0)], 0.0, 1.0, False, True),
        ([(False, 1), (False, 0)], 0.0, 1.0, True, False),
        ([(False, 1), (False, 2), (False, 1)], 0.0, 1.0, True, False),
        # Where steps were seen, or nothing moves, longer lines are followed in any case.
        ([(False, 0)] * 3, 0.25, 1.0, True, True),
        ([(False, 0)] * 3, 0.25, 1.0, False, False),
        ([(False, 0)] * 3, 0.0, 0.0, True, False),
        ([(False, 0), (False, 0), (True, 0)], 0.0, 0.0, False, True),
    ],
)
def test_longer_lines_are_followed_where_the_shorter_show_jumps(monkeypatch, along, coarseness, value, within, found):
    scales, answers = [], iter(along)

    def explained_along(*given):
        scales.append(given[3].tolist())
        return next(answers)

    monkeypatch.setattr(jumps, "_explained_along", explained_along)
    monkeypatch.setattr(jumps, "_is_within_jumps", lambda *given: within and given[3].tolist() == [1.0, 2.0])
    e = claim(coarseness=coarseness)
    assert jumps.jumps_explain(e, known([value, 50.0]), ONLY_FIRST) == found
    assert scales == [[0.5, 2.0], [1.0, 2.0], [4.0, 8.0]][: len(along)]


# A single side.


def valued(f):
    """What is known of a number that is f(t) along a side, which ends at 1."""
    samples = [Sample(t, f(t), 0.0) for t in jumps._points(0.0, 1.0)]
    e = SimpleNamespace(differences=SimpleNamespace(value_along=lambda *_: f))
    e.grad_output = None
    return e, jumps.Side(np.ones(1), samples)


@pytest.mark.parametrize(("rise", "jumps_there"), [(100.0, False), (200.0, True)])
def test_what_is_left_of_a_steep_piece_is_its_slope_and_of_a_jump_its_height(rise, jumps_there):
    # A jump is 64 times as steep as the slopes and the error: 64 (2 + 0.1).
    e, side = valued(lambda t: 2.0 * t + rise * max(t - 0.3, 0.0))
    assert (jumps._jump(e, side, 2.0, 0.1) > 0.0) == jumps_there


def test_a_jump_is_seen_up_to_the_end_of_a_side():
    e, side = valued(lambda t: 5.0 + 2.0 * t + 0.5 * (t > 0.97))
    assert jumps._jump(e, side, 2.0, 0.1) == pytest.approx(0.5, rel=1e-6)
    assert side.unexplained == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("chords", "error", "dense"),
    [
        ((1.0, 1.0), 4.0, False),
        ((1.0, 2.0), 4.0, False),
        ((1.0, 2.1), 4.0, True),
        ((0.0, 0.0), 4.0, True),
        ((1.0, 1.3), 1.0, True),
        ((1.0, 1.2), 1.0, False),
    ],
)
def test_no_line_is_followed_where_chords_differ_or_nothing_moves(chords, error, dense):
    e, side = valued(lambda t: t * chords[int(np.log2(abs(t) or 1.0)) % 2])
    assert jumps._is_dense(e, side, error) == dense


def test_four_lines_are_followed_to_both_sides_over_their_whole_length():
    home = np.zeros(2)
    e = SimpleNamespace(rng=np.random.default_rng(0), name="x", grad_output=np.ones(()))
    e.differences = SimpleNamespace(home=home)

    class Anywhere:
        def at(self, _):
            return nullcontext()

        def output_and_gradients(self, _):
            return np.ones(()), {"x": np.ones(2)}

    e.subject = Anywhere()
    sides = list(jumps._sides(e, ONLY_FIRST, np.ones(2)))
    assert [side.samples[-1].t for side in sides] == [1.0, -1.0] * 4
    assert [side.samples[1].t for side in sides] == [1 / 16, -1 / 16] * 4
    directions = [side.direction[0] for side in sides]
    assert directions[::2] == directions[1::2]
    assert len(set(directions)) == 4
