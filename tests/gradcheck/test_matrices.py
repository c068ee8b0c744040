"""Products of matrices with * for @, and the other way round: only those that a backward pass may have."""

import numpy as np
import pytest
from claims import evidence, predicted

from numpy_nn.gradcheck.explain.matrices import _entry_by_entry, exchanged_axes

X, W, V = np.random.default_rng(0).standard_normal((3, 3, 3))
PLACES = ("grad_output", "grad_output^T")


@pytest.mark.parametrize(
    ("f", "sign", "product"),
    [(lambda x, w, v: x * w * v, "@", np.matmul), (lambda x, w, v: x @ w @ v, "*", np.multiply)],
    ids=["*", "@"],
)
def test_a_product_that_is_exchanged_is_one_of_grad_output_and_another_array(f, sign, product):
    e = evidence(f, np.cos(X), X, others=(W, V))
    arrays = {f"{name}{turn}": a.T if turn else a for name, a in (("w", W), ("v", V)) for turn in ("", "^T")}
    arrays |= {"grad_output": e.grad_output, "grad_output^T": e.grad_output.T}
    pairs = [(g, other) for g in PLACES for other in arrays if other not in PLACES]
    if sign == "@":
        pairs += [(other, g) for g, other in pairs]
    expected = {f"{one} {sign} {other}": product(arrays[one], arrays[other]) for one, other in pairs}
    guesses = predicted(_entry_by_entry, e)
    found = {formula.removesuffix(", entry by entry"): guess for formula, guess in guesses.items()}
    assert found.keys() == expected.keys()
    for formula, values in expected.items():
        assert found[formula].cause == "product_exchanged"
        np.testing.assert_allclose(found[formula].values, values, rtol=1e-14)


def test_axes_are_exchanged_only_where_both_are_longer_than_1():
    x = np.random.default_rng(1).standard_normal((2, 3, 1))
    e = evidence(lambda x: np.sin(x) * x[:1], np.cos(x), x)
    guesses = {formula: guess.values for formula, guess in predicted(exchanged_axes, e).items()}
    turned = "that for grad_output with axes 0 and 1 exchanged"
    swapped = e.vjp(e.grad_output.swapaxes(0, 1).reshape(x.shape))
    expected = {
        "the numerical one with axes 0 and 1 exchanged": e.truth.swapaxes(0, 1).reshape(x.shape),
        turned: swapped,
        f"{turned}, and exchanged itself": swapped.swapaxes(0, 1).reshape(x.shape),
    }
    assert guesses.keys() == expected.keys()
    for formula, values in expected.items():
        np.testing.assert_allclose(guesses[formula], values, rtol=1e-8, atol=1e-10, err_msg=formula)
