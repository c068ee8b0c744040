"""A forward pass that returns None for its cache, as many do outside of training."""

from __future__ import annotations

from typing import Any

from numpy_nn.subjects.calls.calling import CACHE, Convention
from numpy_nn.subjects.given_code import Code
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.subject import SubjectError


def has_no_cache(convention: Convention, result: Any) -> bool:
    """Whether backward would be given forward's cache, and that is None."""
    rest = result[convention.outputs :] if isinstance(result, (tuple, list)) else ()
    return CACHE in (convention.arguments or ()) and len(rest) > 0 and all(part is None for part in rest)


def without_cache(code: Code, convention: Convention, error: Exception) -> CodeSubject:
    """A subject with nothing to check: a forward pass that keeps nothing, as in test mode, has no backward pass."""
    subject = CodeSubject(
        code.label, code.forward, code.backward, code.given, convention, owner=code.owner, target=code.target
    )
    reason = error.reason if isinstance(error, SubjectError) else error
    subject.refuse(
        f"{', '.join(subject.arrays)}: not checked: forward returns None for its cache, as many do outside of training,"
        f" and backward cannot do without it ({reason}); check it as it is called in training"
    )
    return subject
