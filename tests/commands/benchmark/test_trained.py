"""Classes of the user's without a step of their own in the benchmark: the step is made of what they have."""

from pathlib import Path

import my_courses as theirs
import numpy as np
import pytest

from numpy_nn.commands.benchmark.cases import Case
from numpy_nn.commands.benchmark.making import make_engines
from numpy_nn.commands.benchmark.mine import registered
from numpy_nn.commands.benchmark.workload import Workload

pytestmark = pytest.mark.slow

FILE = str(Path(theirs.__file__))


def made(name, kind="step"):
    one = Case(kind, sizes=(6, 5, 4), batch=8, rows=30 if kind == "epoch" else 0)
    with registered(f"{FILE}:{name}", ()):
        return make_engines(Workload(one), ["by hand", name])


@pytest.mark.parametrize(
    ("name", "words", "kind"),
    [
        ("LossAndGradients", ["taking lr times the gradient off each array"], "step"),
        ("LossAndGradients", ["taking lr times the gradient off each array"], "epoch"),
        ("InColumns", ["its own update_parameters()"], "step"),
        ("SumsAndUpdates", ["its backward pass, which updates", "lr over their number is its rate"], "step"),
        ("SumsAndUpdates", ["its backward pass, which updates", "lr over their number is its rate"], "epoch"),
    ],
)
def test_a_step_is_made_of_what_the_class_has(name, words, kind):
    both = made(name, kind)
    both[name].seconds(1)
    assert len(both[name].notes) == len(words)
    assert all(note.endswith(word) for note, word in zip(both[name].notes, words, strict=True)), both[name].notes
    if kind == "step":
        both["by hand"].seconds(1)
        for p, q in zip(both[name].parameters(), both["by hand"].parameters(), strict=True):
            np.testing.assert_allclose(p, q, rtol=0, atol=20 * float(np.finfo(np.float32).eps))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("WrongBias", "WrongBias, after a step: b1 is .* nothing was timed"),
        ("OnlyALoss", r"OnlyALoss: found no way to train it: expected a method step\(x, y, lr\), or a forward and"),
    ],
)
def test_what_is_wrong_or_cannot_be_trained_is_refused_in_a_line(name, message):
    with pytest.raises(ValueError, match=message) as raised:
        made(name)
    assert "\n" not in str(raised.value)
