"""Code of any form made alike: named live arrays, an output that depends on them, gradients that somebody claims."""

from numpy_nn.subjects.subject import Subject, SubjectError, as_subject

__all__ = ["Subject", "SubjectError", "as_subject"]
