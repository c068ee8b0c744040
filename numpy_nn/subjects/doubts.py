"""What stays in doubt of a way to call code that was found by trying, though its gradients agree."""

from __future__ import annotations

import re
from typing import Any

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.arrays.nested import is_differentiated
from numpy_nn.subjects.calls.calling import CACHE, GRADS, OUTPUT, result_role
from numpy_nn.subjects.given_code import Code
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.source.returned import returned_names

# What backward may be given of what forward returned beside its first output.
_REST = (CACHE, *map(result_role, range(1, 9)))

# What an output is called, or a part of it; the gradient of one is called by none of these.
_OF_OUTPUT = re.compile(
    r"out|res|ans|val|pred|hat|act|prob|score|soft|sigm|tanh|relu|exp|root|norm|loss|cost|^f?[xyzahspof]\d*$"
)


def unless_in_doubt(code: Code, subject: CodeSubject, result: Any) -> CodeSubject:
    """The subject, which says what is not decided by gradients that agree."""
    _doubt_the_output(code, subject)
    return _unless_it_leaves_out_an_output(code, subject, result)


def _doubt_the_output(code: Code, subject: CodeSubject) -> None:
    """Say that backward is right with the output in the place of what may as well be the gradient of it.

    So is ``vjp(t, seed)`` that returns ``seed / t`` of a product: right if ``seed`` is the product, as no name tells.
    """
    arguments = subject.convention.arguments or ()
    wanted = ([] if code.backward is None else (signatures.positional(code.backward) or ([], []))[0])[: len(arguments)]
    if code.target is not None or GRADS in arguments or OUTPUT not in arguments or len(wanted) != len(arguments):
        return
    name, label = wanted[arguments.index(OUTPUT)], getattr(code.backward, "__name__", "")
    if len(wanted) == 1 and not names.is_backward(label):
        return  # a derivative, at the output
    of_forward = names.plain(getattr(code.forward, "__name__", "")) or "f"
    if _OF_OUTPUT.search(names.plain(name)) or of_forward in names.plain(name):
        return
    if name not in returned_names(getattr(code.forward, "func", code.forward)):
        subject.complain(
            f"{label} is right if {name} is what {of_forward} returns, and wrong if it is the gradient of that: a name "
            f"such as out, or grad_{name}, tells which"
        )


def _unless_it_leaves_out_an_output(code: Code, subject: CodeSubject, result: Any) -> CodeSubject:
    """The subject; refused where backward takes, and leaves out, what may be the gradient of another output.

    Of code that uses it, the gradients tell whether it is that or something else.
    """
    if not (isinstance(result, tuple) and any(map(is_differentiated, result[1:]))):
        return subject
    arguments = subject.convention.arguments or ()
    wanted = (signatures.positional(code.backward) if code.backward is not None else None) or ([], [])
    told = (names.CACHE, names.RATE)
    roles = list(zip(wanted[0], arguments, strict=False))
    guessed = [i for i, (name, role) in enumerate(roles) if role not in (name, GRADS) and names.role(name) not in told]
    uses_the_rest = any(role in _REST and subject.uses(place) for place, role in enumerate(arguments))
    if arguments.count(GRADS) != 1 or subject.convention.outputs != 1 or uses_the_rest:
        return subject
    for place in guessed:
        if not subject.uses(place):
            name = wanted[0][place]
            subject.refuse(
                f"{', '.join(subject.arrays)}: not checked: forward returns {len(result)} things, and backward leaves "
                f"out {name}: if that is the gradient of an output, its part is missing, and it is known as one by a "
                f"name such as grad_{name}; if it is none, as what forward keeps it is known by the name cache"
            )
            break
    return subject
