"""What families of hypotheses are asked: of a batch of another number of rows, and each by itself."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from numpy_nn.gradcheck.explain import predictions
from numpy_nn.gradcheck.explain.penalties import _of_setting
from numpy_nn.gradcheck.explain.predictions import Found, Prediction, ask, at_another_batch, is_parameter_row
from numpy_nn.gradcheck.measure.evidence import FIT, Evidence
from numpy_nn.subjects import SubjectError
from numpy_nn.subjects.parameters.code import CodeSubject

ONE = np.array([1.0, -2.0, 4.0])


def another(rows=4, *, asked=None, possible=True, gradient=None, shape=(3,), error=None):
    """How many rows were asked for, and what is known there."""
    seen, x = [], np.ones((rows, 2)) if rows else np.ones(())

    class Subject:
        input, arrays = "x", {"x": x, "W": np.zeros(shape)}

        @contextmanager
        def resized(self, number):
            seen.append(number)
            yield possible

        def output(self):
            return np.zeros(2)

        def random_grad_output(self, _, size):
            return np.ones(size)

        def gradients(self, _):
            if error is not None:
                raise error
            return {"W": gradient}

    e = SimpleNamespace(subject=Subject(), batch=rows, x=x, name="W", rng=None)
    with at_another_batch(e, asked) as other:
        return seen, other


@pytest.mark.parametrize(
    ("rows", "asked", "other"), [(1, None, 2), (2, None, 4), (3, None, 2), (5, None, 4), (5, 1, 1)]
)
def test_another_batch_has_a_row_less_or_twice_as_many_or_as_many_as_are_asked_for(rows, asked, other):
    seen, found = another(rows, asked=asked, gradient=ONE)
    assert seen == [other]
    assert isinstance(found, Evidence)
    np.testing.assert_array_equal(found.gradient, ONE)


@pytest.mark.parametrize(
    "given",
    [
        {"possible": False, "gradient": ONE},
        {"gradient": None},
        {"gradient": np.ones(2)},
        {"gradient": ONE, "error": SubjectError("no")},
        {"gradient": ONE, "error": ValueError("no")},
        {"gradient": ONE, "error": ZeroDivisionError("no")},
    ],
)
def test_what_cannot_be_had_of_another_batch_is_none(given):
    assert another(**given)[1] is None


def test_of_another_batch_the_gradient_has_the_shape_of_its_array():
    assert another(gradient=ONE, shape=(3, 1))[1].gradient.shape == (3, 1)
    assert another(0, gradient=ONE) == ([], None)


@pytest.mark.parametrize(
    ("shape", "is_input", "row"),
    [
        ((3,), False, True),
        ((1, 3), False, True),
        ((3, 1), False, True),
        ((2, 3), False, False),
        ((), False, True),
        ((3,), True, False),
    ],
)
def test_a_row_of_parameters(shape, is_input, row):
    assert is_parameter_row(SimpleNamespace(array=np.zeros(shape), is_input=is_input)) == row


def test_a_ratio_at_another_batch_that_is_refused_is_none():
    def refuses():
        raise SubjectError("no")

    assert predictions.ratio_at_another_batch(SimpleNamespace(ratio_at_another_batch=refuses)) is None
    assert predictions.ratio_at_another_batch(SimpleNamespace(ratio_at_another_batch=lambda: (3, 2.0))) == (3, 2.0)


@pytest.mark.parametrize(("looked_at", "sure"), [([True, True], True), ([True, False], False)])
def test_each_family_is_asked_by_itself_and_one_that_breaks_off_leaves_no_trace(looked_at, sure):
    array = np.ones(2)
    e = SimpleNamespace(subject=SimpleNamespace(arrays={"x": array}), looked_at=np.array(looked_at))
    e.fits, e.everywhere = (lambda values: values[0] > 0.0), (lambda formula: f"all of {formula}")
    right, wrong = Prediction("a", "fa", np.ones(1)), Prediction("b", "fb", -np.ones(1))

    def first(_):
        yield right
        array[...] = 7.0
        raise SubjectError("no")

    def second(_):
        np.testing.assert_array_equal(array, np.ones(2))
        yield Found("c", "text")
        yield wrong

    found, guesses = ask(e, [first, second])
    assert found == [Found("a", "all of fa", sure), Found("c", "text")]
    assert guesses == [(first, right), (second, wrong)]


# A setting that is raised.


def of_setting(own, claimed, *, value=0.5, size=1.0, gradient=(ONE, ONE), fit=FIT, error=None):
    """How often either gradient has the setting, where these are the multiples it has; and what it was raised to."""
    raised = []
    e = SimpleNamespace(
        array=ONE, looked_at=np.array([True] * 3), size=size, fit=fit, grad_output=None, x=None, name="W"
    )
    e.truth, e.gradient = gradient

    class Subject(CodeSubject):
        def __init__(self):
            pass

        @contextmanager
        def with_setting(self, name, number):
            assert name == "reg"
            raised.append(number)
            if error is not None:
                raise error
            yield

        def gradients(self, *_, **__):
            change = (raised[-1] - value) * ONE * claimed if not callable(claimed) else claimed(raised[-1] - value)
            return {"W": None if change is None else e.gradient + change}

    e.subject = Subject()
    e.vjp = lambda *_: e.truth + (raised[-1] - value) * (ONE * own if not callable(own) else own(1.0))
    found = _of_setting(e, "reg", value, ONE)
    return (None if found is None else tuple(round(one, 6) for one in found)), raised


@pytest.mark.parametrize(
    ("own", "claimed", "found"),
    [
        (1.0, 2.0, (1.0, 2.0)),
        (1.0, 0.0, (1.0, 0.0)),
        (0.0, 3.0, (0.0, 3.0)),
        (-1.0, 1.0, (-1.0, 1.0)),
        (1.0, 1.0, None),
        (1.0, 1.0 + 0.9e-4, None),
        (1.0, 1.0 + 1.2e-4, (1.0, 1.00012)),
        (1.0, 0.9e-4, (1.0, 0.0)),
        (0.0, 0.0, None),
        (lambda _: np.array([1.0, 1.0, 0.0]), 1.0, None),
        (1.0, lambda _: np.array([1.0, 1.0, 0.0]), None),
        (1.0, lambda _: None, None),
        (lambda _: np.full(3, np.nan), 1.0, None),
    ],
)
def test_how_often_a_gradient_has_a_setting(own, claimed, found):
    assert of_setting(own, claimed)[0] == found


@pytest.mark.parametrize(
    ("value", "size", "raised"),
    [(0.5, 1e-3, 1.5), (8.0, 1e-3, 16.0), (-8.0, 1e-3, 0.0), (0.5, 7.0, 0.5 + 16.0 * 7.0 / np.sqrt(7.0))],
)
def test_a_setting_is_raised_by_1_itself_or_until_it_is_all_that_counts(value, size, raised):
    assert of_setting(1.0, 2.0, value=value, size=size)[1] == [pytest.approx(raised)]


def test_a_setting_that_cannot_be_raised_is_none():
    assert of_setting(1.0, 2.0, error=SubjectError("no"))[0] is None
