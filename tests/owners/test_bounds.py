"""Several owners of a network end within the bounds that rounding leaves to one process."""

import numpy as np
import pytest
from owned_runs import fit, rounded
from run_bound import RunBound

import numpy_nn as nn

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("sizes", "processes", "options", "epochs"),
    [
        ([6, 8, 7, 3], 3, {"dropout": 0.25, "activation": "tanh"}, 1),
        ([6, 8, 3], 2, {"batch_norm": True, "activation": "gelu"}, 1),
        ([6, 8, 7, 3], 2, {"activation": "gelu"}, 3),  # in the second and third by lists of operations
    ],
    ids=["dropout", "batch norm", "plans"],
)
def test_the_parameters_are_within_the_bound_of_one_process(sizes, processes, options, epochs):
    made = rounded(sizes, lambda net: nn.SGD(net.parameters(), 0.1, momentum=0.5), **options)
    held = RunBound(made[0], made[1], made[3], 1)
    with np.errstate(all="ignore"):
        fit(made, epochs, callbacks=[held])
    made = rounded(sizes, lambda net: nn.SGD(net.parameters(), 0.1, momentum=0.5), **options)
    history = fit(made, epochs, processes)
    held.check({n: p.data for n, p in made[0].named_parameters()}, [e.train_loss for e in history.epochs], 1e-6)
