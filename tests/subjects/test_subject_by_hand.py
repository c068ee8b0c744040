"""How a subject is made to repeat itself, where it starts from, how it is resized, and whose unsaid loss is meant."""

import random
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_ins import stand_in

from numpy_nn.subjects.agreement import Agreement
from numpy_nn.subjects.calls.calling import GRADS, Convention
from numpy_nn.subjects.given_code import Hints
from numpy_nn.subjects.losses import unsaid
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.subject import ClaimingSubject, SubjectError

X = np.arange(1.0, 13.0).reshape(4, 3)


class Run(ClaimingSubject):
    """Runs a function of its root and its input, and claims what another gives."""

    def __init__(self, f, root=None, claim=lambda *_: {}, generators=(), targets=None):
        super().__init__("run", [] if root is None else [root], {"x": X.copy(), "w": np.ones(2)}, generators)
        self.f, self.root, self.claim, self.targets = f, root, claim, targets

    def _run(self, replaced):
        return [np.asarray(self.f(self.root, replaced.get("x", self.arrays["x"])))]

    def _claim(self, grad_outputs):
        return self.claim(self.root, grad_outputs)


DRAWS = "the target draws random numbers: every evaluation gets the same draws"
STATE = "the output hangs on the calls before: every evaluation starts from the same state"


def test_at_first_a_subject_is_no_loss_and_nothing_is_said_of_it():
    subject = Run(lambda _, x: x)
    assert subject.input == "x"
    assert subject.is_loss is False
    assert subject.evaluations == 0
    for found in (subject.problems, subject.warnings, subject.notes, subject.unchecked):
        assert found == []


class Counts:
    """Adds up what it is called with, up to so many times."""

    def __init__(self, most):
        self.calls, self.most = np.zeros(1), most

    def __call__(self, x):
        self.calls = np.minimum(self.calls + 1.0, self.most)
        return x * self.calls


@pytest.mark.parametrize(
    ("f", "root", "note"),
    [
        (lambda _, x: 2.0 * x, None, None),
        (lambda _, x: x + np.random.random(), None, DRAWS),  # noqa: NPY002, the global generator is what is meant
        (lambda _, x: x + random.random(), None, DRAWS),
        (lambda root, x: x + root.rng.random(), SimpleNamespace(rng=np.random.default_rng(0)), DRAWS),
        (lambda root, x: root(x), Counts(100.0), STATE),
        (lambda root, x: root(x), Counts(2.0), STATE),
    ],
)
def test_two_runs_are_made_to_agree(f, root, note):
    subject = Run(f, root)
    assert subject.make_repeatable() is True
    assert subject.notes == ([] if note is None else [note])
    assert subject.problems == []
    first = subject.output()
    for _ in range(3):
        np.testing.assert_array_equal(subject.output(), first)
    assert subject.make_repeatable() is True
    assert len(subject.notes) <= 1


def test_what_draws_from_a_generator_that_is_named_repeats_itself_and_what_cannot_be_made_to_is_a_problem():
    hidden = np.random.default_rng(0)
    draws = Run(lambda _, x: x + hidden.random(), generators=[hidden])
    assert draws.make_repeatable()
    assert draws.notes == [DRAWS]
    never = iter(range(1000))
    subject = Run(lambda _, x: x + next(never))
    assert subject.make_repeatable() is False
    assert subject.notes == []
    assert len(subject.problems) == 1
    assert "not repeatable" in subject.problems[0]
    assert subject.make_repeatable() is False


class Lazy:
    """Makes its weights at the first call, and counts its calls in a list or an array."""

    def __init__(self, in_list):
        self.W, self.in_list = None, in_list
        self.calls: Any = [] if in_list else np.zeros(1)

    def __call__(self, x):
        if self.W is None:
            self.W = np.full(3, 2.0)
        if self.in_list:
            self.calls.append(np.ones(1))
        else:
            self.calls = self.calls + 1.0
        return x * self.W + len(self.calls) * self.in_list + np.sum(self.calls)


@pytest.mark.parametrize("in_list", [True, False])
def test_what_is_made_once_is_there_at_the_start_of_every_evaluation(in_list):
    lazy = Lazy(in_list)
    subject = Run(lambda root, x: root(x), lazy)
    assert subject.make_repeatable()
    assert subject.notes == [STATE]
    subject.output()
    made = lazy.W
    subject.output()
    assert lazy.W is made


def test_what_every_call_makes_anew_is_not_there_at_the_start():
    class Makes:
        def __init__(self):
            self.calls: Any = np.zeros(1)
            self.seen = None

        def __call__(self, x):
            known, self.seen = self.seen is not None, x.copy()
            self.calls = self.calls + 1.0
            return x * self.calls + known

    subject = Run(lambda root, x: root(x), Makes())
    assert subject.make_repeatable()
    # As a first call has it: nothing was seen before.
    np.testing.assert_array_equal(subject.output(), X)


def test_a_state_from_which_every_evaluation_starts():
    root = Counts(100.0)
    subject = Run(lambda root, x: root(x), root)
    subject.start_from(Snapshot(root))
    subject.arrays["w"][...] = 7.0
    for _ in range(3):
        np.testing.assert_array_equal(subject.output(), X)
    np.testing.assert_array_equal(subject.arrays["w"], [7.0, 7.0])
    before = Snapshot(root)
    root.calls = np.full(1, 50.0)
    subject.close()
    assert root.calls == 50.0
    subject.restored_in_the_end(before)
    subject.close()
    assert root.calls == 1.0


@pytest.mark.parametrize(
    ("targets", "rows", "chosen", "resized"),
    [
        (np.arange(4.0), 3, [0, 1, 2], True),
        (np.arange(4.0), 6, [0, 1, 2, 3, 0, 1], True),
        (np.arange(3.0), 2, [0, 1], False),
        (np.array(5.0), 2, [0, 1], False),
        (None, 2, [0, 1], False),
        ([1, 2, 3, 4], 2, [0, 1], False),
    ],
)
def test_a_batch_of_another_number_of_rows(targets, rows, chosen, resized):
    subject = Run(lambda _, x: x, targets=targets)
    x = subject.arrays["x"]
    with subject.resized(rows) as possible:
        assert possible is True
        np.testing.assert_array_equal(subject.arrays["x"], X[chosen])
        if resized:
            np.testing.assert_array_equal(subject.targets, targets[chosen])
        else:
            assert subject.targets is targets
    assert subject.arrays["x"] is x
    assert subject.targets is targets


def test_a_target_for_one_number_of_rows_is_not_resized():
    def f(_, x):
        if len(x) != 4:
            raise ValueError("four rows")
        return x

    with Run(f).resized(3) as possible:
        assert possible is False


def test_a_number_has_no_rows():
    subject = Run(lambda _, x: x)
    subject.arrays["x"] = number = np.array(2.0)
    with subject.resized(3) as possible:
        assert possible is False
    assert subject.arrays["x"] is number


def test_complaints_and_warnings_are_told_once():
    subject = Run(lambda _, x: x)
    for _ in range(2):
        subject.complain("a")
        subject.warn("b")
    subject.complain("c")
    assert (subject.problems, subject.warnings) == (["a", "c"], ["b"])


def test_an_output_is_of_floats_and_what_is_raised_names_the_target():
    with pytest.raises(TypeError, match="run: expected an output of floats, got an array of int64"):
        Run(lambda _, x: x.astype(np.int64)).output()
    with pytest.raises(SubjectError, match="run: ZeroDivisionError"):
        Run(lambda *_: 1 // 0).output()
    assert Run(lambda _, x: x.astype(np.float32)).output().dtype == np.float64


def test_a_complex_input_has_a_complex_output_or_none_and_leaves_no_trace():
    root = Counts(100.0)
    subject = Run(lambda root, x: root(x) ** 2, root)
    found = subject.complex_output(X + 1e-3j)
    np.testing.assert_allclose(found, (X + 1e-3j) ** 2)
    assert root.calls == 0.0
    assert Run(lambda _, x: np.abs(x)).complex_output(X + 1j) is None
    assert Run(lambda _, x: np.asarray(x, np.float64)).complex_output(X + 1j) is None
    assert Run(lambda *_: 1 // 0).complex_output(X + 1j) is None


def test_gradients_are_copies_and_a_backward_pass_that_changes_what_it_is_given_is_warned_of():
    kept = np.ones(3)
    subject = Run(lambda _, x: x, claim=lambda *_: {"x": kept, "w": None})
    found = subject.gradients(X)
    assert found["w"] is None
    assert found["x"] is not kept
    assert subject.warnings == []

    def changes(_, given):
        given[0][0] = 0.0
        return {}

    subject = Run(lambda _, x: x, claim=changes)
    grad_output = X.copy()
    subject.gradients(grad_output)
    np.testing.assert_array_equal(grad_output, X)
    assert subject.warnings == ["backward changes the gradient that it is given in place"]


def test_other_draws_are_others():
    root = SimpleNamespace(rng=np.random.default_rng(0))
    subject = Run(
        lambda root, x: x * root.rng.random(), root, claim=lambda root, _: {"x": np.full(1, root.rng.random())}
    )
    assert subject.make_repeatable()
    first, again = (subject.gradients(X)["x"] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert subject.gradients(X, other_draws=True)["x"] != first


# Losses that are not written.


def judged_by(monkeypatch, *costs, cost=None, beside=None, wants=False, several=False):
    """Whose gradients those of a network are judged to be: of each loss how many agree of two, or an error."""
    tried = []

    class Chain:
        def __init__(self, *given, takes_last, penalty):
            _, self.own, self.named = given
            self.takes_last, self.penalty, self.may_be_the_last = takes_last, penalty, several
            self.gives_error = False

        def loss(self):
            return self.own

        def given_output(self, _):
            return self

    def chosen(code):
        chain = code.backward
        tried.append((chain.own, chain.takes_last))
        assert chain.named == ["x"]
        if isinstance(chain.own, Exception):
            raise chain.own
        takes = isinstance(chain.own, str)
        return stand_in(
            problems=[],
            own=chain.own,
            is_by_another_rate=False,
            parameter_places={},
            at=lambda _: nullcontext(),
            chain=None,
            notes=[],
            updates_in_backward=None,
            convention=Convention(("x",), arguments=(GRADS,) if takes else ("x",)),
        )

    for name, value in {
        "LossOfOutput": Chain,
        "chosen": chosen,
        "agreement": lambda subject: Agreement(int(subject.own), 2, 0),
        "_agreeing_closely": lambda subject, _: int(subject.own),
        "may_be_of_a_multiple": lambda _: True,
        "_zeros": lambda _: 0,
        "usual_costs": lambda _: [(f"formula / {k}", own) for k, own in enumerate(costs)],
        "cost_beside": lambda _: beside,
        "wants_gradient": lambda _: wants,
    }.items():
        monkeypatch.setattr(unsaid, name, value)
    hints = Hints() if cost is None else Hints(cost=cost)
    try:
        subject = unsaid.with_unsaid_cost("net", lambda x: x, lambda g: g, (X,), np.ones(4), None, hints)
    except TypeError as error:
        return str(error).split(";")[0].split(":")[1].split(",")[0].strip(), tried
    except ValueError as error:
        return error, tried
    return (vars(subject)["own"], *subject.notes), tried


JUDGED = "the loss is not written in the code; the gradients are judged as those of formula /"
NONE_OF_THE_USUAL = "net has gradients of a loss that it does not compute"
NO, NO_LABELS = ValueError("no"), ValueError("no labels")


@pytest.mark.parametrize(
    ("costs", "given", "found", "tried"),
    [
        ([0, 1, 2, 1], {}, (2, f"{JUDGED} 2"), [0, 1, 2, 1]),
        ([0, 1, 1], {}, (1, f"{JUDGED} 1"), [0, 1, 1]),
        ([NO, 2], {}, (2, f"{JUDGED} 1"), [NO, 2]),
        ([0, 0], {}, NONE_OF_THE_USUAL, [0, 0]),
        # What fails whatever the loss is has another reason, which most of the errors tell.
        ([NO, NO], {}, NO, [NO, NO]),
        ([NO_LABELS, NO, NO], {}, NO, [NO_LABELS, NO, NO]),
        # The user's own, right or wrong, and the one beside the code, which is tried first.
        ([2], {"cost": 0}, (0,), [0]),
        ([2], {"cost": 1, "beside": ("loss", 2)}, (1,), [1]),
        ([1], {"beside": ("loss", 2)}, (2, "judged as the gradients of loss, the one loss in the same file"), [2, 1]),
        ([2], {"beside": ("loss", 1)}, (2, f"{JUDGED} 0"), [1, 2]),
        # A backward pass that wants the gradient of the loss.
        (["1"], {"wants": True}, "net's backward pass wants the gradient of the loss by the output", ["1"]),
        (["1"], {}, NONE_OF_THE_USUAL, ["1"]),
        ([1], {"wants": True}, "net's backward pass wants the gradient of the loss by the output", [1]),
        ([2], {"wants": True}, (2, f"{JUDGED} 0"), [2]),
        (["1", 1], {}, (1, f"{JUDGED} 1"), ["1", 1]),
    ],
)
def test_a_loss_that_is_not_written_is_the_one_whose_gradients_agree(monkeypatch, costs, given, found, tried):
    assert judged_by(monkeypatch, *costs, **given) == (found, [(own, False) for own in tried])


def test_of_several_arrays_the_last_may_be_the_output_if_the_first_does_not_agree(monkeypatch):
    assert judged_by(monkeypatch, 1, 2, several=True)[1] == [(1, False), (2, False)]
    assert judged_by(monkeypatch, 0, 1, several=True)[1] == [(0, False), (1, False), (0, True), (1, True)]


def test_rows_that_are_alike_stay_so_wherever_they_are_moved():
    subject = Run(lambda _, x: x)
    subject.rows_alike = frozenset({"x"})
    with subject.at({"x": -X, "w": np.array([3.0, 4.0])}):
        np.testing.assert_array_equal(subject.output(), np.repeat(-X[:1], 4, axis=0))
        np.testing.assert_array_equal(subject.arrays["w"], [3.0, 4.0])
    np.testing.assert_array_equal(subject.output(), X)
