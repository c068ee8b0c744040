"""Code of any form made alike: named live arrays, an output that depends on them, gradients that somebody claims."""

from numpy_nn.subjects.given_code import Hints
from numpy_nn.subjects.libraries.live import LiveSubject
from numpy_nn.subjects.calls.arguments import several
from numpy_nn.subjects.recognise import as_subject
from numpy_nn.subjects.subject import Subject, SubjectError
from numpy_nn.subjects.surrogate import SurrogateSubject

__all__ = ["Hints", "LiveSubject", "Subject", "SubjectError", "SurrogateSubject", "as_subject", "several"]
