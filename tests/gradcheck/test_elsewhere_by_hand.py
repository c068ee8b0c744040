"""A look at another point, at first along one direction, and then at coordinates."""

from types import SimpleNamespace

import numpy as np
import pytest
from known_slopes import known

from numpy_nn.gradcheck import elsewhere
from numpy_nn.gradcheck.elsewhere import Found
from numpy_nn.gradcheck.measure.differences import ShapeError
from numpy_nn.gradcheck.measure.kinds import AGREES, COARSE, OFF
from numpy_nn.subjects import SubjectError

ONE = np.array([1.0, 2.0, -2.0, 0.5])
R, N, W, U = Found.RIGHT, Found.NOTHING, Found.WRONG, Found.UNKNOWN


def screened(
    monkeypatch,
    quotients,
    *,
    share=0.0,
    gradient=ONE,
    across=False,
    slopes=None,
    status=None,
    jumps=False,
    branch=False,
):
    """What is found where the quotients along a random direction are these multiples of the claimed slope."""
    answers = iter(quotients)
    assumed: list[float] = []

    def quotient_along(direction, _, step):
        assert step in (2.0**-11, 2.0**-7)
        terms = gradient * direction
        return next(answers) * float(np.sqrt(np.square(terms).sum())) + float(terms.sum())

    differences = SimpleNamespace(
        scales={"wide": np.full(4, 2.0)}, quotient_along=quotient_along, assume=assumed.append
    )
    e = SimpleNamespace(gradient=gradient, differences=differences, rng=np.random.default_rng(0), grad_output=ONE)
    e.slopes = e.status = None
    monkeypatch.setattr(elsewhere, "_right_across_steps", lambda *_: across)
    monkeypatch.setattr(elsewhere, "_sample", lambda _: np.array([True, True, True, False]))
    monkeypatch.setattr(elsewhere, "examine", lambda *_: (slopes, np.array(status)))
    monkeypatch.setattr(elsewhere, "jumps_more_than_rounding", lambda *_: jumps)
    monkeypatch.setattr(elsewhere, "is_beside_a_branch", lambda *_: branch)
    found = elsewhere._look_at(e, share)
    assert (e.slopes is not None) == (found is W)
    assert assumed == ([share] if slopes is not None and share else [])
    return found


@pytest.mark.parametrize(
    ("quotients", "found"),
    [((1.9e-5, 9.0), R), ((-1.9e-5, 9.0), R), ((9.0, 0.9e-4), R), ((9.0, -0.9e-4), R), ((2.1e-5, 1.1e-4), U)],
)
def test_a_quotient_along_a_direction_shows_no_blunder(monkeypatch, quotients, found):
    # Otherwise all is looked at: here nothing is known of it.
    slopes, status = known(ONE, np.inf), ["u"] * 4
    given = {} if found is R else {"slopes": slopes, "status": status}
    assert screened(monkeypatch, quotients, **given) is found


def test_with_no_claim_and_no_quotient_there_is_nothing(monkeypatch):
    assert screened(monkeypatch, (0.0, 0.0), gradient=np.zeros(4)) is N
    assert screened(monkeypatch, (9.0, 9.0), share=1e-6, across=True) is R
    off = {"slopes": known(ONE, 1e-9), "status": [AGREES] * 3 + [""]}
    assert screened(monkeypatch, (9.0, 9.0), share=1e-6, **off) is R
    assert screened(monkeypatch, (9.0, 9.0), across=True, **off) is R


@pytest.mark.parametrize(
    ("off", "bound", "given", "found"),
    [
        # A blunder is off by half a percent of the root mean square beyond the bound, or four where there are steps.
        (0.0049 * np.sqrt(3.0), 0.0, {}, U),
        (0.0052 * np.sqrt(3.0), 0.0, {}, W),
        (-0.0052 * np.sqrt(3.0), 0.0, {}, W),
        (0.0052 * np.sqrt(3.0), 0.001, {}, U),
        (1.0, 0.2, {"share": 1e-6}, W),
        (1.0, 0.26, {"share": 1e-6}, U),
        (1.0, 0.26, {}, W),
        (1.0, 0.0, {"jumps": True}, U),
        (1.0, 0.0, {"jumps": True, "branch": True}, W),
        (1.0, 0.0, {"status": [AGREES, AGREES, AGREES, OFF]}, R),
        (1.0, 0.0, {"status": [AGREES, "k", "n", ""]}, R),
        (1.0, 0.0, {"status": [AGREES, COARSE, "u", ""]}, U),
    ],
)
def test_elsewhere_a_blunder_is_what_is_off_by_more_than_its_bound(monkeypatch, off, bound, given, found):
    value = ONE.copy()
    value[0] -= off
    given = {"status": [OFF, AGREES, AGREES, ""]} | given
    assert screened(monkeypatch, (9.0, 9.0), slopes=known(value, bound), **given) is found


def test_a_point_that_is_refused_or_says_nothing_new():
    def refuses(_):
        raise SubjectError("no")

    subject = SimpleNamespace(output_and_gradients=refuses)
    assert elsewhere.look(subject, ["x"], ONE, 0.0, None) == {}


def looked_at(monkeypatch, *, output=ONE, claimed=ONE, raises=()):
    """What is found of the gradients a, b, c and d, where that of b is this, and a look at some of them raises."""

    def look_at(evidence, share):
        assert (share, evidence.at_point_given, evidence.gradient.shape) == (1e-6, False, (4,))
        if evidence.name in raises:
            raise raises[evidence.name]
        return R

    monkeypatch.setattr(elsewhere, "_look_at", look_at)
    gradients = dict.fromkeys("acd", ONE) | {"b": claimed}
    subject = SimpleNamespace(output_and_gradients=lambda _: (output, gradients), input="a")
    subject.arrays = dict.fromkeys("abcd", ONE)
    return list(elsewhere.look(subject, "abc", ONE, 1e-6, np.random.default_rng(0)))


def test_of_several_gradients_those_are_looked_at_that_can_be_had(monkeypatch):
    assert looked_at(monkeypatch) == ["a", "b", "c"]
    assert looked_at(monkeypatch, claimed=ONE.reshape(2, 2)) == ["a", "b", "c"]
    for claimed in (None, ONE[:3], np.array([np.inf, 1.0, 1.0, 1.0]), np.array([np.nan, 1.0, 1.0, 1.0]), 1e100 * ONE):
        assert looked_at(monkeypatch, claimed=claimed) == ["a", "c"]
    for error in (SubjectError("no"), ShapeError("no")):
        assert looked_at(monkeypatch, raises={"a": error}) == ["b", "c"]
    for output in (ONE[:3], np.array([np.nan, 1.0, 1.0, 1.0]), 1e100 * ONE):
        assert looked_at(monkeypatch, output=output) == []
    assert looked_at(monkeypatch, output=0.9e100 * np.ones(4), claimed=-0.9e100 * np.ones(4)) == ["a", "b", "c"]


@pytest.mark.parametrize(("groups", "size", "most"), [(33, 65, 64), (32, 65, 65), (33, 64, 64), (100, 1000, 64)])
def test_of_what_takes_many_evaluations_some_coordinates_are_drawn(groups, size, most):
    e = SimpleNamespace(array=np.zeros((size, 1)), differences=SimpleNamespace(groups=groups))
    e.rng = np.random.default_rng(0)
    mask = elsewhere._sample(e)
    assert (mask.shape, mask.sum()) == ((size, 1), most)


@pytest.mark.parametrize(
    ("share", "off", "asked", "right"),
    [
        # Without steps a ten thousandth of the size, which is 2 and then 0.5, and a thousandth at the widest step.
        (0.0, [1.9e-4], 1, True),
        (0.0, [-1.9e-4], 1, True),
        (0.0, [2.1e-4, 4.9e-5], 2, True),
        (0.0, [2.1e-4, 5.1e-5, 4.9e-4], 3, True),
        (0.0, [2.1e-4, 5.1e-5, 5.1e-4], 3, False),
        # Steps may add 128 times, or 32 times their height, where that is no more than a part of a blunder.
        (1e-5, [1.47e-3], 1, True),
        (1e-5, [1.49e-3, 0.81e-3], 2, True),
        (1e-5, [1.49e-3, 0.83e-3], 2, False),
        (3.2e-5, [0.0], 0, False),
        (3.1e-5, [4.1e-3], 1, True),
        (5e-5, [0.0], 0, False),
    ],
)
def test_across_steps_wider_quotients_show_no_blunder(share, off, asked, right):
    seen: list[tuple[float, float]] = []

    def quotient_along(along, grad_output, step):
        assert grad_output is e.grad_output
        seen.append((float(along[0]), step))
        return 2.0 * float(along[0]) + off[len(seen) - 1]

    scales = {"wide": np.array([4.0]), "unit": np.array([1.0])}
    e = SimpleNamespace(gradient=np.array([2.0]), output=np.array([1.0, -2.0]), grad_output=np.array([-0.5, 0.25]))
    e.differences = SimpleNamespace(scales=scales, quotient_along=quotient_along)
    assert elsewhere._right_across_steps(e, np.array([1.0]), share) == right
    every = [(1.0, 2.0**-7), (0.25, 2.0**-7), (0.25, 2.0**-5)]
    assert seen == (every[:asked] if share == 0.0 else [every[0], every[2]][:asked])


FAR, NEAR = [[0.9995, 0.2], [0.1, 0.8]], [[0.998, 0.2], [0.1, 0.8]]


@pytest.mark.parametrize(
    ("prediction", "targets", "beyond"),
    [
        (FAR, [[0, 1], [0, 1]], True),
        (NEAR, [[0, 1], [0, 1]], False),
        (FAR, [[1, 0], [0, 1]], False),
        ([[0.0005, 0.2]], [[1.0, 0.0]], True),
        (FAR, [1, 1], True),  # labels
        (FAR, [0, 1], False),
        (FAR, [2, 1], False),
        ([[0.9995], [0.5]], [0, 1], True),  # a column, and numbers in a row
        ([[0.9995], [0.5]], [0, 1, 1], False),
        ([[7.0], [0.5]], [0, 1], False),  # not probabilities
        ([[0.9995], [0.5]], [-3.0, 1.0], False),
        ([], [], False),
        (None, [0, 1], False),
        (FAR, None, False),
        (SubjectError("no"), [0, 1], False),
    ],
)
def test_a_loss_is_beyond_logarithms_where_it_asks_for_a_probability_of_all_but_0(prediction, targets, beyond):
    def predicted():
        if isinstance(prediction, SubjectError):
            raise prediction
        return None if prediction is None else np.array(prediction)

    assert elsewhere.is_beyond_logarithms(SimpleNamespace(prediction=predicted, targets=targets)) == beyond
