"""Gradients that are right in part, of another shape, or of another call: what is said of them."""

from types import SimpleNamespace

import numpy as np
import pytest
from claims import evidence, found, predicted

from numpy_nn.gradcheck.explain import calls, parts, shapes

ROWS, COLUMNS = 5, 4
X = np.random.default_rng(0).standard_normal((ROWS, COLUMNS))


# Partly 0.


def part(shape, empty):
    """What is said of a gradient that is right, but for 0 at these places."""
    e = evidence(np.sin, lambda n: n, np.random.default_rng(0).standard_normal(shape))
    e.gradient[empty] = 0.0
    return found(parts.partly_filled, e)


@pytest.mark.parametrize(
    ("shape", "empty", "text"),
    [
        ((5, 4), np.s_[1:3], "0 at 8 of 20 coordinates, in rows 1, 2, right at the others"),
        ((5, 4), np.s_[:, 3], "0 at 5 of 20 coordinates, in columns 3, right at the others"),
        ((5, 4), np.s_[1:3, 2], "0 at 2 of 20 coordinates, in columns 2, right at the others"),
        ((5, 4), ([0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 0, 1]), "0 at 6 of 20 coordinates, right at the others"),
        ((12, 2), np.s_[:8], "0 at 16 of 24 coordinates, in rows 0, 1, 2, 3, 4, 5, 6, 7, right at the others"),
        ((12, 2), np.s_[:9], "0 at 18 of 24 coordinates, in rows 0, 1, 2, 3, 4, 5, 6, 7 ..., right at the others"),
        ((7,), np.s_[2:4], "0 at 2 of 7 coordinates, in entries 2, 3, right at the others"),
        ((2, 2, 3), np.s_[:, :, 1], "0 at 4 of 12 coordinates, in entries 1, right at the others"),
    ],
)
def test_where_a_gradient_is_0_is_told(shape, empty, text):
    assert part(shape, empty) == [("partly_filled", text)]


def test_a_gradient_that_is_0_nowhere_or_everywhere_or_wrong_elsewhere_is_not_partly_filled():
    assert part((3, 2), np.s_[:0]) == []
    assert part((3, 2), np.s_[:]) == []
    e = evidence(np.sin, lambda n: n + 0.1, X)
    e.gradient[0] = 0.0
    assert found(parts.partly_filled, e) == []
    # Where the right one is 0, too, that is no gap.
    e = evidence(lambda x: np.maximum(x, 0.0), lambda n: n, X)
    assert found(parts.partly_filled, e) == []


def test_one_entry_may_have_got_what_belongs_to_all():
    e = evidence(np.sin, lambda n: 4.0 * n, np.random.default_rng(0).standard_normal((6, 4)))
    e.gradient[np.arange(6) % 2 == 1] = 0.0
    text = "0 at 12 of 24 coordinates, in rows 1, 3, 5, 4 times the numerical one at the others"
    assert found(parts.partly_filled, e) == [("partly_filled", text)]


# Clipped.


def clip(claimed, right):
    e = SimpleNamespace(gradient=np.array(claimed), truth=np.array(right), fit=1e-5)
    e.looked_at = np.ones(len(claimed), np.bool_)
    e.fits = lambda prediction: np.allclose(prediction, e.gradient, 1e-5, 0.0)
    return list(parts.clipped(e))


def test_a_clipped_gradient_is_told_with_its_limit():
    ((cause, text, sure),) = clip([0.5, -0.5, 0.25, 0.125], [0.75, -2.0, 0.25, 0.125])
    assert (cause, sure) == ("clipped", True)
    assert text == "2 of 4 entries are exactly 0.5 in size, and none is larger; the others are right"


@pytest.mark.parametrize(
    ("claimed", "right", "told"),
    [
        # Of three of one size and either sign, where the numerical ones differ, that is no chance.
        ([0.5, -0.5, 0.5, 0.125], [0.75, -2.0, 1.0, 0.5], True),
        ([0.5, -0.5, 0.4, 0.125], [0.75, -2.0, 1.0, 0.5], False),
        ([0.5, 0.5, 0.5, 0.125], [0.75, 2.0, 1.0, 0.5], False),
        ([-0.5, -0.5, -0.5, 0.125], [0.75, 2.0, 1.0, 0.5], False),
        ([0.5, -0.5, 0.5, 0.125], [1.0, -1.0, 1.0, 0.5], False),
        ([0.5, -0.5, 0.5, 0.125], [1.0, -1.0, 1.0 + 0.9e-5, 0.5], False),
        ([0.5, -0.5, 0.5, 0.125], [1.0, -1.0, 1.0 + 1.1e-5, 0.5], True),
        # A size that right ones fall below is no limit.
        ([0.5, -0.5, 0.5, 0.125], [0.25, -2.0, 1.0, 0.125], True),
    ],
)
def test_what_was_clipped_before_another_mistake_is_not_sure(claimed, right, told):
    text = "3 of 4 entries are exactly 0.5 in size, and none is larger; the others are not the numerical ones"
    assert clip(claimed, right) == ([("clipped", text, False)] if told else [])


def test_where_the_signs_alone_are_left_that_is_said():
    ((cause, text, sure),) = clip([0.5, -0.5 * (1.0 - 1e-13), 0.5, -0.5], [0.75, -0.25, 1.0, -0.125])
    assert (cause, sure) == ("sign_alone", True)
    assert text.endswith("of the numerical ones the signs alone are left, as where a step is by these")
    ((_, text, _),) = clip([0.5, -0.5, 0.5, -0.5], [0.75, -0.25, 1.0, 0.125])
    assert text == "4 of 4 entries are exactly 0.5 in size, and none is larger"


def test_a_number_by_itself_is_not_clipped():
    assert clip([0.5], [0.75]) == []


def test_one_entry_that_is_the_largest_is_at_a_limit_only_if_somebody_wrote_it():
    assert clip([1.1514, -0.25], [1.3057, -0.25]) == []
    ((cause, _, sure),) = clip([0.5, -0.25], [0.75, -0.25])
    assert (cause, sure) == ("clipped", False)


@pytest.mark.parametrize(("last", "told"), [(0.0, []), (0.125, ["clipped"])])
def test_what_should_be_0_is_within_every_limit(last, told):
    claimed, right = np.tile([0.5, -0.5, 0.5], 4), [*np.linspace(0.25, 0.75, 11), last]
    assert [cause for cause, *_ in clip(claimed, right)] == told


def test_nothing_is_clipped_to_0():
    assert clip([0.0, 0.0, 0.0], [1.0, -2.0, 3.0]) == []


@pytest.mark.parametrize(("share", "sure"), [(1.0 + 0.9e-5, False), (1.0 + 1.1e-5, True)])
def test_a_size_that_a_right_entry_has_by_itself_is_no_sure_limit(share, sure):
    ((_, _, told),) = clip([0.5, -0.5, 0.5, 0.25], [0.5 * share, -2.0, 1.0, 0.25])
    assert told == sure


# Of another shape.


def shaped(gradient, array, g, *, is_input=False, targets=None, batch=ROWS, others=()):
    """A gradient of W for an array of another shape, the numerical one being ``array``."""
    arrays = {"W": np.zeros(np.shape(array)), **{name: np.zeros(n.shape) for name, n in others}}
    by_name = {name: SimpleNamespace(few=lambda _, n=n: SimpleNamespace(value=n)) for name, n in others}
    e = SimpleNamespace(
        gradient=np.asarray(gradient), truth=np.asarray(array), array=arrays["W"], name="W", batch=batch
    )
    e.subject = SimpleNamespace(targets=targets, arrays=arrays, is_loss=False, input="x", own_code=tuple)
    e.grad_output, e.output, e.is_input, e.fit, e.grain, e.x = g, np.zeros(g.shape), is_input, 1e-5, 1e-9, X
    e.differences_by = by_name.get

    def common_ratio(a, n):
        ratio = np.median(np.ravel(a)[np.ravel(n) != 0] / np.ravel(n)[np.ravel(n) != 0])
        return ratio if np.allclose(a, ratio * n, 1e-7, 0.0) else None

    e.common_ratio = common_ratio
    return found(shapes.of_wrong_shape, e)


G = np.random.default_rng(1).standard_normal((ROWS, 3))


@pytest.mark.parametrize(("wanted", "shape"), [((3,), "(5, 3) instead of (3,)"), ((1, 3), "(5, 3) instead of (1, 3)")])
def test_a_bias_that_was_not_summed_has_a_row_for_each_sample(wanted, shape):
    words = f"shape {shape}, which has a row for each of the 5 of the batch"
    assert shaped(G, G.sum(0).reshape(wanted), G) == [("bias_not_summed", words)]
    ((cause, text),) = shaped(G, G.sum(0).reshape(wanted) / 2.0, G)
    assert (cause, text) == (
        "bias_not_summed+factor",
        f"{words}; and the numbers are 2 times the right ones, a whole number",
    )
    unsure = shaped(G, np.square(G.sum(0)).reshape(wanted), G)
    assert unsure == [("bias_not_summed", f"{words}; the numbers are not right either")]


def test_a_weight_that_was_not_summed_has_one_for_each_sample():
    each = np.random.default_rng(1).standard_normal((ROWS, 2, 3))
    ((cause, text),) = shaped(each, each.sum(0), G)
    assert (cause, text) == (
        "broadcast_not_summed",
        "shape (5, 2, 3) instead of (2, 3), which has a row for each of the 5 of the batch",
    )
    # Of another number of rows it is something else: a sum that is not taken.
    assert shaped(each[:4], each[:4].sum(0), G) == [
        ("broadcast_not_summed", "shape (4, 2, 3) instead of (2, 3); summed to that shape")
    ]


def test_the_rows_of_another_number_are_no_batch():
    four = G[:4]
    assert shaped(four, four.sum(0), G) == [
        ("broadcast_not_summed", "shape (4, 3) instead of (3,); summed to that shape")
    ]
    assert shaped(G.T, G, G) == [("transposed", "shape (3, 5) instead of (5, 3)")]


def test_numbers_that_are_not_finite_have_no_cause_but_their_shape():
    assert shaped(np.full((5, 3), np.nan), np.ones(3), G) == [("wrong_shape", "shape (5, 3) instead of (3,)")]


@pytest.mark.parametrize(
    ("targets", "is_input", "cause"),
    [
        (np.zeros(5), True, "target_broadcast"),
        (np.zeros(5), False, "bias_not_summed"),
        (np.zeros((5, 1)), True, "bias_not_summed"),
        (np.zeros(4), True, "bias_not_summed"),
        (None, True, "bias_not_summed"),
    ],
)
def test_a_square_of_outputs_and_targets_comes_of_broadcasting(targets, is_input, cause):
    square = np.random.default_rng(1).standard_normal((5, 5))
    ((told, text),) = shaped(square, square.sum(0)[:, None], G, targets=targets, is_input=is_input)
    if cause == "target_broadcast":
        assert text == "shape (5, 5) instead of (5, 1): the output has shape (5, 1) and the targets (5,)"
    assert told == (cause if targets is not None and targets.shape == (5,) and is_input else told)
    assert (told == "target_broadcast") == (cause == "target_broadcast")


def test_without_targets_a_column_of_as_many_numbers_comes_of_no_broadcasting():
    told = shaped(np.arange(4.0)[:, None], np.eye(2), G, is_input=True)
    assert told == [("wrong_shape", "shape (4, 1) instead of (2, 2)")]


def test_a_sum_over_other_axes_is_told_by_its_numbers():
    g = np.random.default_rng(1).standard_normal((5, 3, 2))
    n = np.random.default_rng(2).standard_normal((2, 2))
    text = "shape {} instead of (2, 2); the numbers are the sum of grad_output over axes {}"
    assert shaped(g.sum(0), n, g) == [("wrong_axis_sum", text.format("(3, 2)", "(0,)"))]
    assert shaped(g.sum((0, 2)), n, g) == [("wrong_axis_sum", text.format("(3,)", "(0, 2)"))]
    assert shaped(g.sum(), n, g) == [("wrong_axis_sum", text.format("()", "(0, 1, 2)"))]
    assert shaped(g.sum(0), n, g, is_input=True) == [("wrong_shape", "shape (3, 2) instead of (2, 2)")]
    for off, cause in ((0.9e-9, "wrong_axis_sum"), (1.1e-9, "wrong_shape")):
        moved = g.sum(0)
        moved[1, 1] += off * np.abs(g).sum(0)[1, 1]
        assert shaped(moved, n, g)[0][0] == cause


def test_right_numbers_that_are_summed_over_too_much_are_told():
    n = np.random.default_rng(2).standard_normal((4, 3))
    text = "shape {} instead of (4, 3); the numbers are the right ones, summed over {} too"
    assert shaped(n.sum(), n, G) == [("wrong_axis_sum", text.format("()", "all of it"))]
    assert shaped(n.sum(1), n, G) == [("wrong_axis_sum", text.format("(4,)", "axes (1,)"))]
    assert shaped(n.sum(1), n, G, is_input=True) == [("wrong_shape", "shape (4,) instead of (4, 3)")]
    for off, cause in ((0.9e-5, "wrong_axis_sum"), (1.1e-5, "wrong_shape")):
        assert shaped(n.sum() + off * np.abs(n).sum(), n, G)[0][0] == cause
    # Of a column no more is summed.
    assert shaped(G.sum(0) / 2, G.sum(0)[:, None] / 2, G)[0][0] == "wrong_shape"


def test_the_gradient_of_another_array_is_told_by_its_numbers():
    n, other = np.random.default_rng(2).standard_normal((2, 2)), np.random.default_rng(3).standard_normal(7)
    text = "shape (7,) instead of (2, 2)"
    told = [("argument_order", f"{text}; the numbers are those of the gradient with respect to V")]
    assert shaped(other, n, G, others=[("U", np.ones(6)), ("V", other)]) == told
    assert shaped(3.0 * other, n, G, others=[("V", other)]) == told
    assert shaped(other**2, n, G, others=[("V", other)]) == [("wrong_shape", text)]


@pytest.mark.parametrize(
    ("shape", "wanted", "axes"),
    [
        ((5, 3), (3,), (0,)),
        ((5, 3), (5, 1), (1,)),
        ((5, 3), (1, 1), (0, 1)),
        ((5, 3), (), (0, 1)),
        ((2, 5, 3), (5, 3), (0,)),
        ((5, 3), (5,), None),
        ((3,), (5, 3), None),
        ((5, 3), (5, 3), ()),
    ],
)
def test_a_gradient_is_summed_to_a_shape_that_would_be_repeated(shape, wanted, axes):
    gradient = np.random.default_rng(1).standard_normal(shape)
    made = shapes._summed_to(gradient, wanted)
    if axes is None:
        assert made is None
    else:
        assert made is not None
        assert made.shape == wanted
        np.testing.assert_allclose(made.ravel(), gradient.sum(axis=axes).ravel(), rtol=1e-14)


@pytest.mark.parametrize("ratio", [1.0 - 0.9e-6, 1.0 + 0.9e-6, 1.0 - 1.1e-6, 1.0 + 1.1e-6])
def test_a_mended_gradient_is_right_to_a_tenth_of_a_fit(ratio):
    ((cause, _),) = shaped(ratio * G.T, G, G)
    assert cause == ("transposed" if abs(ratio - 1.0) < 1e-6 else "transposed+factor")


def test_there_is_no_ratio_of_nothing():
    e = SimpleNamespace(common_ratio=lambda *_: 1.0)
    assert shapes._ratio(e, np.zeros((0, 3)), np.zeros((0, 3))) is None
    assert shapes._ratio(e, np.zeros((1, 3)), np.zeros((3, 1))) is None
    assert shapes._ratio(e, np.zeros((1, 3)), np.zeros((1, 3))) == 1.0


# From call to call.


def called(gradient, *, previous=None, kept=(), hangs=False, after=None, f=np.sin):
    """What is said of a gradient, given that of the call before and the arrays that the subject keeps."""
    e = evidence(f, gradient if callable(gradient) else lambda _: gradient, X)
    e.previous = previous
    at, output = {"home": True}, e.subject.output
    e.subject.kept_arrays = lambda: list(dict(kept if after is None or at["home"] else after).items())
    e.hangs_on_previous = lambda: hangs

    def called_again():
        at["home"] = not np.array_equal(e.x, -X)
        return output()

    e.subject.output = called_again
    return e, found(calls.calls, e), predicted(calls.calls, e)


def test_what_is_added_up_is_the_numerical_one_and_that_of_the_call_before():
    previous = np.random.default_rng(5).standard_normal(X.size)
    e, _, guesses = called(np.cos, previous=previous)
    ((formula, guess),) = guesses.items()
    assert (guess.cause, formula) == ("accumulated", "the numerical one plus the claimed one of the call before")
    np.testing.assert_array_equal(guess.values, e.truth + previous.reshape(X.shape))
    for absent in (None, previous[:-1]):
        assert called(np.cos, previous=absent)[2] == {}


@pytest.mark.parametrize("hangs", [True, False])
def test_a_gradient_of_the_call_before_is_one_that_hangs_on_it(hangs):
    previous = np.random.default_rng(5).standard_normal(X.shape)
    words = "the claimed gradient is that of the call before at all 20 coordinates looked at"
    assert called(previous, previous=previous, hangs=hangs)[1] == ([("stale_input", words)] if hangs else [])


def test_a_gradient_at_the_input_of_the_call_before_is_one_that_hangs_on_it():
    def at_previous(e):
        return e.grad_output * np.cos(e.previous_x)

    e, *_ = called(np.cos)
    words = "the claimed gradient is the one at the input of the call before at all 20 coordinates looked at"
    for hangs in (True, False):
        assert called(at_previous(e), hangs=hangs)[1] == ([("stale_input", words)] if hangs else [])


def test_an_input_that_is_kept_is_named():
    e, *_ = called(np.cos)
    old = X + 1.0
    stale = e.grad_output * np.cos(old)
    words = "the claimed gradient is the one at the input that is kept in self.x, which is not the present one"
    told = called(stale, kept=[("self.y", old + 1.0), ("self.z", old[0]), ("self.x", old)])[1]
    assert told == [("stale_input", f"{words} at all 20 coordinates looked at")]


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("dtype", [np.bool_, np.float64])
@pytest.mark.parametrize("renewed", [True, False])
def test_a_mask_that_no_call_renews_is_named(dtype, renewed):
    e, *_ = called(np.cos)
    mask = (X > 0.3).astype(dtype)
    words = "the claimed gradient is grad_output times the mask self.mask, which no call renews"
    told = called(e.grad_output * mask, kept=[("self.mask", mask)], after={"self.mask": 1 - mask if renewed else mask})
    assert told[1] == ([] if renewed else [("stale_input", f"{words} at all 20 coordinates looked at")])
    assert called(e.grad_output * mask, kept=[("self.mask", mask)], after={})[1] == []
    assert called(e.grad_output * mask, kept=[("self.mask", mask[0])], after={"self.mask": mask[0]})[1] == []
    assert called(2.0 * e.grad_output * mask, kept=[("self.mask", mask)], after={"self.mask": mask})[1] == []
    half = np.where(mask, 1.0, 0.5)
    assert called(e.grad_output * half, kept=[("self.mask", mask)], after={"self.mask": mask})[1] == []


@pytest.mark.parametrize(
    ("kept", "is_one"),
    [
        (np.array([True, False]), True),
        (np.array([0.0, 1.0]), True),
        (np.array([0, 1]), True),
        (np.array([0.0, 2.0]), False),
        (np.array([-1, 1]), False),
        (np.array([0.0, 0.5]), False),
    ],
)
def test_a_mask_is_true_or_false_or_1_or_0(kept, is_one):
    assert calls._is_mask(kept) == is_one


def updated(still):
    e = evidence(np.sin, lambda n: 2.0 * n, X)
    e.subject.gradients_without_update = lambda _: {} if still is None else {e.name: still(e.truth, e.fit * e.size)}
    return found(calls.updates, e)


def test_an_update_is_too_early_if_without_it_the_gradient_is_right():
    one = np.zeros(X.shape)
    one[2, 1] = 1.0
    told = [("updated_too_early", "with a learning rate of 0 the claimed gradient is the numerical one")]
    assert updated(lambda n, _: n) == told
    assert updated(lambda n, room: n + 0.9 * room * one) == told
    assert updated(lambda n, room: n - 1.1 * room * one) == []
    assert updated(lambda n, _: n[0]) == []
    assert updated(None) == []
