"""Slopes made by hand, and what is known of a pair of functions, for what follows from them."""

import numpy as np

from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.slopes import Slopes
from numpy_nn.subjects import Hints, as_subject


def known(value, bound=1e-12, *, flat=False, kink=False, low=None, high=None, side_bound=np.inf):
    """Slopes with these numbers, or one of them everywhere."""
    value = np.asarray(value, np.float64)

    def spread(given, dtype=np.float64):
        return np.array(np.broadcast_to(np.asarray(given, dtype), value.shape))

    low, high = (value if given is None else given for given in (low, high))
    return Slopes(
        value, spread(bound), spread(flat, bool), spread(kink, bool), spread(low), spread(high), spread(side_bound)
    )


def evidence(f, vjp, x, targets=None):
    """What is known of the gradient with respect to x that vjp claims of f."""
    rng = np.random.default_rng(0)
    subject = as_subject((f, vjp), (np.array(x),), targets, Hints())
    output = subject.output()
    g = subject.random_grad_output(rng, output.shape)
    return Evidence(subject, subject.input, subject.gradients(g)[subject.input], g, output, {}, 0.5 * x, g, rng)
