"""What backward is given and what is read of it, role by role."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_ins import stand_in

from numpy_nn.subjects.calls.calling import CACHE, FILLED, GRADS, OUTPUT, RATE, CalledCode, Convention, result_role
from numpy_nn.subjects.calls.completing import Completing, completing
from numpy_nn.subjects.calls.conventions import ordered_by_role
from numpy_nn.subjects.calls.costs import LossOfOutput
from numpy_nn.subjects.surrogate import SurrogateSubject

G = np.array([1.0, -2.0])
W = np.ones((2, 3))


@pytest.mark.parametrize(
    ("value", "grads", "given", "found"),
    [
        # A derivative that is one number, everywhere.
        (3.0, G, {}, [3.0, 3.0]),
        (3.0, G, {"targets": 1.0}, 3.0),
        (3.0, G, {"arguments": (GRADS,)}, 3.0),
        (3.0, np.ones(3), {}, 3.0),
        (3.0, np.array(2.0), {}, 3.0),
        (G, G, {}, G),
        # A Jacobian.
        (W, G, {"jacobian": True, "shape": (3,)}, [-1.0, -1.0, -1.0]),
        (W, G, {"shape": (3,)}, W),
        (W, G, {"jacobian": True, "shape": (2,)}, W),
        (W, np.array(2.0), {"jacobian": True, "shape": (2, 3)}, 2.0 * W),
        (W[:1], np.array(2.0), {"jacobian": True, "shape": (3,)}, 2.0 * W[:1]),
    ],
)
def test_a_jacobian_is_taken_times_the_gradient_of_the_output(value, grads, given, found):
    convention = Convention(("x",), arguments=given.get("arguments", ("x",)))
    subject = stand_in(arrays={"x": np.zeros(given.get("shape", 2))}, convention=convention)
    subject.targets, subject._is_jacobian = given.get("targets"), given.get("jacobian", False)
    result = CalledCode._times(subject, np.asarray(value), [grads], "x")
    assert result.shape == np.shape(found)
    np.testing.assert_array_equal(result, found)


def called(arguments, *, result=((W,), ()), cache=None, grads=(G,), returns=7, fill=False, **given):
    """What backward is given by this convention, and what comes back."""
    seen: list[Any] = []

    def backward(*own):
        seen.extend(own)
        if fill:
            own[-1]["W"] = W
        return returns

    convention = Convention(("x",), arguments=arguments, cache=cache)
    subject = stand_in(
        convention=convention, _result=result, _backward=backward, _forward=len, _runs_forward=False, _completes=None
    )
    subject._rate, subject._after_forward, subject._argument = 0.5, {}, lambda role, _: f"argument {role}"
    vars(subject).update(given)
    return seen, CalledCode._call_backward(subject, grads)


def test_backward_is_given_what_its_roles_say():
    seen, returned = called((GRADS, RATE, "x"))
    assert seen[0] is G
    assert seen[1:] == [0.5, "argument x"]
    assert returned == 7
    assert called((GRADS,), grads=[np.array(2.0), np.array(3.0)])[0] == [2.0, 3.0]
    assert type(called((GRADS,), grads=[np.array(2.0)])[0][0]) is float
    assert called((OUTPUT,), result=(("first", "second"), ()))[0] == ["first", "second"]
    chain = LossOfOutput(len, len)
    chain.output = "of the chain"
    assert called((OUTPUT,), _forward=chain.loss)[0] == ["of the chain"]
    assert called((result_role(1), result_role(0)), result=(("out",), ("kept",)))[0] == ["kept", "out"]


@pytest.mark.parametrize(
    ("kept", "cache", "given"),
    [(("a",), None, "a"), (("a", "b"), None, ("a", "b")), (("a", "b"), 1, "b"), (("a", "b"), 0, "a"), (("a",), 1, "a")],
)
def test_the_cache_is_all_that_was_returned_beside_the_output_or_one_thing_of_it(kept, cache, given):
    assert called((CACHE,), result=((W,), kept), cache=cache)[0] == [given]
    assert called(None, result=((W,), kept))[1] == (kept[0] if len(kept) == 1 else kept)


def test_a_dict_that_backward_fills_comes_back_beside_what_it_returns():
    seen, returned = called((GRADS, FILLED), fill=True)
    assert seen[1] == {"W": W}
    assert returned == (7, {"W": W})
    assert called((GRADS, FILLED))[1] == 7


def test_backward_gets_the_parameters_that_forward_left_and_the_draws_that_forward_had():
    lost, restored = np.zeros(1), []
    subject: dict[str, Any] = {"arrays": {"W": np.zeros(1)}, "_lost": {"eps": (None, lost)}, "_runs_forward": True}
    subject |= {
        "_after_forward": {"W": np.ones(1), "eps": np.full(1, 3.0)},
        "restore_generators": lambda: restored.append(1),
    }
    called((GRADS,), **subject)
    assert (subject["arrays"]["W"][0], lost[0], restored) == (1.0, 3.0, [1])
    subject["_runs_forward"] = False
    called((GRADS,), **subject)
    assert restored == [1]


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        (["y_pred", "y_true", "w"], ("p", "t")),
        (["y_true", "y_pred", "w"], ("t", "p")),
        (["target", "w", "thing"], ("t", "p")),
        (["target", "y_true", "thing"], None),
    ],
)
def test_what_comes_after_prediction_and_target_does_not_matter(wanted, order):
    assert ordered_by_role(wanted, "p", "t") == order


@pytest.mark.parametrize("target", [True, False])
def test_a_surrogate_repeats_itself_if_its_target_does(monkeypatch, target):
    subject = SimpleNamespace(_target=SimpleNamespace(make_repeatable=lambda: target))
    own = SurrogateSubject.__new__(SurrogateSubject)
    vars(own).update(vars(subject))
    monkeypatch.setattr(SurrogateSubject.__mro__[1], "_make_repeatable", lambda _: "its own", raising=False)
    assert own._make_repeatable() == ("its own" if target else False)


class Twice:
    def compute_grads(self, rate):
        """No: it wants something."""

    def calc_gradients(self):
        """After backward."""


def test_what_computes_gradients_after_backward_is_a_method_of_a_usual_name_that_wants_nothing():
    owner = Twice()
    assert completing(owner, len, ["x"], None, GRADS) == (owner.calc_gradients, ())
    assert completing(owner, owner.calc_gradients, ["x"], None, GRADS) is None
    assert completing(None, len, ["x"], None, GRADS) is None


def test_it_is_called_after_backward():
    seen: list[Any] = []
    called((GRADS,), _backward=lambda _: seen.append("backward"), _completes=Completing(seen.append, ("x",)))
    assert seen == ["backward", "argument x"]
