"""Networks as lists of layers of dicts, in which passes leave what they compute: refused, with the lines that work."""

import math

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

EXPECTED = [0.0, 1.0]


def network_of(as_arrays=False):
    rng = np.random.default_rng(0)
    layers = [rng.standard_normal((3, 3)), rng.standard_normal((2, 4))]
    return [[{"weights": row.copy() if as_arrays else row.tolist()} for row in layer] for layer in layers]


def forward_propagate(network, row):
    inputs = row
    for layer in network:
        for neuron in layer:
            *weights, bias = neuron["weights"]
            total = bias + sum(w * x for w, x in zip(weights, inputs, strict=False))
            neuron["output"] = 1.0 / (1.0 + math.exp(-total))
        inputs = [neuron["output"] for neuron in layer]
    return inputs


def backward_of(factor):
    def backward_propagate_error(network, expected):
        following = None
        for layer in reversed(network):
            for j, neuron in enumerate(layer):
                if following is None:
                    error = neuron["output"] - expected[j]
                else:
                    error = factor * sum(n["weights"][j] * n["delta"] for n in following)
                neuron["delta"] = error * neuron["output"] * (1.0 - neuron["output"])
            following = layer

    return backward_propagate_error


def message_of(backward, network, row, targets=EXPECTED):
    with pytest.raises(TypeError) as caught:
        check_gradients((forward_propagate, backward), (network, row), targets)
    return str(caught.value)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
@pytest.mark.parametrize("as_arrays", [False, True])
@pytest.mark.parametrize("row", [[0.5, -1.2], [0.5, -1.2, 1]])  # the label may stand at its end
def test_the_lines_that_are_shown_check_it(row, as_arrays, factor, verdict):
    network, backward = network_of(as_arrays), backward_of(factor)
    told, _, lines = message_of(backward, network, row).partition("\n")
    assert "it keeps its 'output' in network, where backward_propagate_error looks for it" in told
    names = {"np": np, "forward_propagate": forward_propagate, "backward_propagate_error": backward, "row": row}
    names |= {"network": network, "expected": EXPECTED, "check_gradients": check_gradients}
    names["check_gradients"] = lambda *given, **named: names.update(report=check_gradients(*given, **named))
    exec("\n".join(line.removeprefix("    ") for line in lines.splitlines()), names)
    report = names["report"]
    assert report.verdict == verdict
    assert len(report.entries) == 5
    assert report["network[1][0]"].verdict == "right"
    assert report["network[0][0]"].verdict == verdict


def test_of_a_backward_pass_of_another_kind_the_lines_name_the_arrays():
    def backward(network, row, expected):
        return [[row[0] * n["output"] * n["nothing"] * expected[0] for n in layer] for layer in network]

    shown = message_of(backward, network_of(), [0.5, -1.2])
    assert "def run():  # the loss, of forward_propagate(network, ...)" in shown
    assert "(network, f\"[{i}][{j}]['weights']\")" in shown


def test_without_targets_these_are_asked_for_first():
    assert "pass the targets too" in message_of(backward_of(1.0), network_of(), [0.5, -1.2], None)


def test_a_list_of_such_layers_as_the_only_input_is_told_to_be_none():
    with pytest.raises(TypeError, match="give several arguments, of which each may be anything, as a tuple of all"):
        check_gradients((forward_propagate, backward_of(1.0)), network_of(), [0.5, -1.2])
