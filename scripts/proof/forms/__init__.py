"""The forms in which people write forward and backward passes, right or with a gradient that is wrong by a factor.

Every form is a function of the shapes and numbers, ``Draws``, and of a factor by which one gradient is multiplied, 1
for right code. It returns the arguments of ``check_gradients``, and the name of the gradient that is wrong for any
other factor: "" where it is behind all of them.
"""

from scripts.proof.forms import (
    around,
    estimators,
    functions,
    keeping,
    layers,
    losses,
    networks,
    others,
    returns,
    tensors,
    ways,
    without_input,
)
from scripts.proof.forms.draws import FORMS, Draws, Form

__all__ = ["FORMS", "Draws", "Form"]
