"""The arithmetic of the page, in the browser: every array to what NumPy recorded."""

import json

import numpy as np
import pytest

import numpy_nn as nn

pytestmark = pytest.mark.slow

ELEMENTWISE = sorted(name for name, a in nn.ACTIVATIONS.items() if a.elementwise)
ARCHITECTURES = [[3, 2], [4, 5, 3], [2, 3, 1, 4], [16, 16, 16, 16, 16]]


def layered(*layers):
    """Layers in float64: a tuple holds the arguments of a Linear, an activation stands for itself."""
    return [nn.Linear(*e, rng=k, dtype=np.float64) if isinstance(e, tuple) else e for k, e in enumerate(layers)]


def step_of(net, n=4, scale=2.0):
    rng = np.random.default_rng(7)
    width = next(layer.in_features for layer in net if isinstance(layer, nn.Linear))
    (classes,) = net.output_shape((width,))
    x, y = scale * rng.standard_normal((n, width)), rng.integers(0, classes, n)
    trace = nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.3), x, y)
    return {**json.loads(trace.to_json()), "checks": {}}


def recomputed(page, recording):
    """Every array as the page computes it, beside the recorded one."""
    return page.execute_script(
        "const model = new Model(arguments[0]); model.compute();"
        "return [...model.arrays.keys()].map((name) => [name, model.values[name], model.recorded[name]])",
        recording,
    )


def assert_recomputed(page, recording):
    arrays = recomputed(page, recording)
    assert {name for name, *_ in arrays} == set(recording["arrays"])
    for name, ours, recorded in arrays:
        np.testing.assert_allclose(ours, recorded, rtol=1e-6, atol=1e-6, err_msg=name)
        # What is asked for is 1e-6; the formulas being the same, only the order of the sums differs.
        np.testing.assert_allclose(ours, recorded, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_the_page_computes_what_numpy_does(functions, activation):
    for sizes in ARCHITECTURES:
        assert_recomputed(functions, step_of(nn.MLP(sizes, activation, rng=5, dtype=np.float64)))


@pytest.mark.parametrize(
    "layers",
    [
        [(3, 4), nn.LeakyReLU(0.3), (4, 2)],
        [(3, 4), nn.PReLU(4, dtype=np.float64), (4, 2)],
        [(3, 4), nn.ELU(0.5), (4, 2)],
        [(3, 4), nn.GELU("tanh"), (4, 2)],
        [(3, 4), nn.Softplus(3.0), (4, 2)],
        [(3, 4), nn.Hardtanh(-0.5, 2.0), (4, 2)],
        [(3, 4, False), nn.ReLU(), (4, 2, False)],
        [(3, 4), (4, 4), (4, 2)],
        [(3, 4), nn.Tanh(), nn.SiLU(), nn.ReLU(), (4, 2)],
        [nn.Tanh(), (3, 4), nn.ReLU(), (4, 2), nn.Sigmoid()],
    ],
    ids=lambda layers: " ".join(str(e) if isinstance(e, tuple) else repr(e) for e in layers),
)
def test_the_page_computes_any_small_sequential(functions, layers):
    assert_recomputed(functions, step_of(nn.Sequential(*layered(*layers))))


def test_the_pages_arithmetic_survives_large_numbers(functions):
    """Logits near 1000 overflow a softmax that forgets to subtract the largest."""
    assert_recomputed(functions, step_of(nn.Sequential(*layered((3, 4), nn.Softplus(), (4, 2))), scale=1e3))
