"""Mistakes between the layers of a network: the first that is wrong is named, with what it took from another."""

from contextlib import contextmanager, nullcontext
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain import networks as module
from numpy_nn.gradcheck.explain.elementwise import skip
from numpy_nn.gradcheck.explain.networks import Chain, dense_layers
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.subjects import LiveSubject
from scripts.proof.bank import wrong_models
from scripts.proof.bank.wrong_models import DeepNet

X = np.random.default_rng(1).standard_normal((6, 4))
WRONG = {
    "DeepNetDerivativeOfNextLayer": ("W2", "other_layer", "the activation's derivative of layer 3"),
    "DeepNetOwnOutput": ("W2", "other_layer", "with the input of layer 3"),
    "DeepNetBeforeActivation": ("W2", "before_activation", "with what params['W1'] and params['b1'] give"),
    "DeepNetWeightsOfOtherLayer": ("b2", "other_layer", "with params['W2'] for params['W3']"),
    "DeepNetWithoutWeights": ("b2", "weights_missing", "without the weights params['W3']"),
    "DeepNetLayerSkipped": ("W1", "layer_skipped", "what layer 2 is handed, not of what it hands on"),
}


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("name", WRONG)
def test_what_is_taken_from_another_layer_is_named_at_the_first_wrong_one_from_the_loss_back(name):
    where, cause, words = WRONG[name]
    report = check_gradients(getattr(wrong_models, name)(np.random.default_rng(0), [4, 5, 5, 5, 2]), X)
    found = report[f"params['{where}']"].diagnosis
    assert found is not None
    assert (found.cause, found.confident) == (cause, True)
    assert words in found.evidence
    (note,) = (note for note in report.notes if note.startswith("from the loss back"))
    assert f"params['{where}']" in note.split(";")[0]


def test_what_is_wrong_by_a_factor_in_a_network_keeps_its_name():
    class Twice(DeepNet):
        def taken(self, layer):
            return super().taken(layer) * (1.0 + (layer == 2))

    found = check_gradients(Twice(np.random.default_rng(0), [4, 5, 5, 5, 2]), X)["params['W2']"].diagnosis
    assert found is not None
    assert found.cause == "factor"


class Relus:
    """Layers of ReLU, with weights of (outputs, inputs) if ``turned``; some of their derivatives are 1 everywhere."""

    def __init__(self, turned, without, sizes=(4, 6, 5, 3)):
        rng = np.random.default_rng(2)
        self.turned, self.without = turned, without
        self.W = [rng.standard_normal((b, a) if turned else (a, b)) for a, b in pairwise(sizes)]
        self.b = [0.1 * rng.standard_normal(b) for b in sizes[1:]]

    def weights(self, k):
        return self.W[k].T if self.turned else self.W[k]

    def forward(self, x):
        self.a = [x]
        for k, b in enumerate(self.b):
            z = self.a[-1] @ self.weights(k) + b
            self.a.append(np.maximum(z, 0.0) if k + 1 < len(self.b) else z)
        return self.a[-1]

    def backward(self, grad):
        self.dW, self.db = [np.empty(0)] * len(self.b), [np.empty(0)] * len(self.b)
        for k in reversed(range(len(self.b))):
            if k + 1 < len(self.b) and k not in self.without:
                grad = grad * (self.a[k + 1] > 0)
            dW = self.a[k].T @ grad
            self.dW[k], self.db[k] = dW.T if self.turned else dW, grad.sum(axis=0)
            grad = grad @ self.weights(k).T
        return grad


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("without", "words"),
    [
        ((), {}),
        ((0,), {0: "its activation"}),
        ((1,), {1: "its activation", 0: "the activation of layer 2"}),
        ((0, 1), {1: "its activation", 0: "the activation of layer 1 and of layer 2"}),
    ],
)
def test_derivatives_that_are_left_out_are_named_in_every_layer_before(turned, without, words):
    report = check_gradients(Relus(turned, without), X)
    for k in range(3):
        for name in ("W", "b"):
            entry = report[f"{name}[{k}]"]
            assert entry.verdict == ("wrong" if k in words else "right"), report
            if k in words:
                assert entry.diagnosis is not None
                assert entry.cause == "derivative_missing"
                text = f"gradient of layer {k + 1} is that without the derivative of {words[k]}, for a single sample"
                assert text in entry.diagnosis.evidence


def layers(*names_and_shapes, x=(6, 4), turned=False):
    arrays = {"x": np.ones(x)} | {name: np.ones(shape) for name, shape in names_and_shapes}
    subject = LiveSubject(lambda: np.zeros(3), lambda g: {name: a * g[0] for name, a in arrays.items()}, arrays)
    g = np.ones(3)
    e = Evidence(subject, "x", arrays["x"], g, g, {}, arrays["x"], g, np.random.default_rng(0))
    return dense_layers(e, turned=turned)


def test_dense_layers_are_recognised_by_their_shapes():
    assert layers(("W1", (4, 5)), ("b1", (5,)), ("W2", (5, 3)), ("b2", (1, 3))) == [("W1", "b1"), ("W2", "b2")]
    assert layers(("W1", (4, 5)), ("W2", (5, 3)), ("b1", (5,)), ("b2", (3,))) == [("W1", "b1"), ("W2", "b2")]
    assert layers(("W1", (4, 5)), ("b1", (5,)), ("W2", (4, 3)), ("b2", (3,))) == []
    assert layers(("W1", (4, 5)), ("b1", (5,)), ("W2", (5, 3))) == []
    assert layers(("W1", (4, 5)), ("b1", (4,))) == []
    assert layers(("W1", (3, 5)), ("b1", (5,))) == []


def test_weights_may_have_their_outputs_first():
    turned = ("W1", (5, 4)), ("b1", (5, 1)), ("W2", (3, 5)), ("b2", (3, 1))
    assert layers(*turned, turned=True) == [("W1", "b1"), ("W2", "b2")]
    assert layers(*turned) == []
    assert layers(("W1", (4, 5)), ("b1", (5,)), turned=True) == []


@pytest.mark.parametrize(("share", "assumed"), [(0.0, []), (1e-5, [("x", 1e-5, True), ("W1", 1e-5, True)])])
@pytest.mark.parametrize("name", ["W1", "b1"])
def test_what_is_taken_from_another_layer_is_found_for_a_single_sample(monkeypatch, share, assumed, name):
    rng, seen = np.random.default_rng(0), []
    weights = [rng.standard_normal((3, 3)) for _ in range(3)]
    chain = Chain([(f"W{k}", f"b{k}") for k in range(3)], weights, *rng.standard_normal((3, 3, 3)))
    if name == "W1":
        cause, words, guess = (
            "other_layer",
            "that with the input of layer 3",
            np.outer(chain.inputs[2], chain.deltas[1]),
        )
    else:
        cause, words, guess = next(iter(chain.other_deltas(1)))
    one: Any = SimpleNamespace(gradient=np.zeros(guess.shape), array=guess, rng=rng)
    one.subject = SimpleNamespace(arrays={"x": 1, "W1": 2})
    one.differences_by = lambda of: SimpleNamespace(
        assume=lambda share, *, unmeasured: seen.append((of, share, unmeasured))
    )
    one.fits = lambda made: np.array_equal(made, guess)

    @contextmanager
    def at_another_batch(_, rows):
        assert rows == 1
        yield one

    monkeypatch.setattr(module, "dense_layers", lambda _, turned: [] if turned else chain.layers)
    monkeypatch.setattr(module, "at_another_batch", at_another_batch)
    monkeypatch.setattr(module, "_chain", lambda *_: chain)
    e: Any = SimpleNamespace(name=name, differences=SimpleNamespace(seen_coarseness=share))
    text = f"the claimed gradient of layer 2 is {words}, for a single sample"
    assert list(module.networks(e)) == [(cause, text, True)]
    assert seen == assumed
    one.gradient = None
    assert list(module.networks(e)) == []


@pytest.mark.parametrize(("filled", "sure"), [(3, True), (2, False)])
def test_so_few_numbers_that_are_not_0_tell_nothing(monkeypatch, filled, sure):
    guess = np.zeros((4, 3))
    guess.flat[:filled] = 1.0
    chain = SimpleNamespace(inputs=[np.ones(4)] * 2, other_deltas=lambda _: [("cause", "words", guess)])
    chain.deltas = [np.zeros((4, 3))]
    one: Any = SimpleNamespace(gradient=guess, array=guess, rng=np.random.default_rng(0), fits=np.any)
    monkeypatch.setattr(module, "dense_layers", lambda _, turned: [] if turned else [("W1", "b1"), ("W2", "b2")])
    monkeypatch.setattr(module, "at_another_batch", lambda *_: nullcontext(one))
    monkeypatch.setattr(module, "_chain", lambda *_: chain)
    e: Any = SimpleNamespace(name="b1", differences=SimpleNamespace(seen_coarseness=0.0))
    assert [told for *_, told in module.networks(e)] == [sure]


@pytest.mark.parametrize(("size", "looked_at"), [(200, 200), (201, 200), (7, 7)])
def test_of_a_large_gradient_some_coordinates_are_looked_at(size, looked_at):
    one: Any = SimpleNamespace(array=np.zeros((size, 1)), rng=np.random.default_rng(0))
    module._look_at_some(one)
    assert (one.looked_at.shape, one.looked_at.sum()) == ((size, 1), looked_at)


def test_of_a_chain_all_that_a_layer_may_take_for_its_delta_has_the_shape_of_it():
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape) for shape in ((4, 3), (3, 3), (3, 3), (3, 2))]
    deltas = [rng.standard_normal(w.shape[1]) for w in weights]
    chain = Chain([(f"W{k}", f"b{k}") for k in range(4)], weights, deltas, [], [])
    found = list(chain.other_deltas(1))
    assert {delta.shape for _, _, delta in found} == {(3,)}
    assert {cause for cause, _, _ in found} == {
        "derivative_missing",
        "weights_missing",
        "transposed",
        "other_layer",
        "layer_skipped",
    }
    np.testing.assert_allclose(found[0][2], deltas[2] @ weights[2].T)
    # What is true is no mistake: with its own derivative it is the delta itself.
    np.testing.assert_allclose(chain.handed[1] * chain.slopes[1], deltas[1])
    assert list(chain.other_deltas(3)) == []


def test_of_a_chain_what_a_layer_may_take_for_its_delta_is_its_formula():
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape) for shape in ((4, 3), (3, 3), (3, 3), (3, 2))]
    deltas: list[Array] = [np.array([0.5, 0.0, -2.0]), *(rng.standard_normal(w.shape[1]) for w in weights[1:])]
    chain = Chain([(f"W{k}", f"b{k}") for k in range(4)], weights, deltas, [], [])
    handed = [deltas[k + 1] @ weights[k + 1].T for k in range(3)]
    slopes = [deltas[k] / handed[k] for k in range(3)]
    assert slopes[0][1] == 0.0
    expected = {
        "without the derivative of its activation": ("derivative_missing", handed[1]),
        "without the derivative of the activation of layer 3": (
            "derivative_missing",
            (handed[2] @ weights[2].T) * slopes[1],
        ),
        "without the derivative of the activation of layer 2 and of layer 3": (
            "derivative_missing",
            handed[2] @ weights[2].T,
        ),
        "without the weights W2": ("weights_missing", deltas[2] * slopes[1]),
        "with W2 instead of its transpose": ("transposed", (deltas[2] @ weights[2]) * slopes[1]),
        "with the activation's derivative of layer 1": ("other_layer", handed[1] * slopes[0]),
        "with the activation's derivative of layer 3": ("other_layer", handed[1] * slopes[2]),
        "with W1 for W2": ("other_layer", (deltas[2] @ weights[1].T) * slopes[1]),
        "of what layer 3 is handed, not of what it hands on": ("layer_skipped", handed[2] * slopes[1]),
    }
    found = {formula.removeprefix("that "): (cause, delta) for cause, formula, delta in chain.other_deltas(1)}
    assert list(found) == list(expected)
    for formula, (cause, delta) in expected.items():
        assert found[formula][0] == cause
        np.testing.assert_allclose(found[formula][1], delta, rtol=1e-13, err_msg=formula)


def test_of_a_chain_what_a_layer_may_take_for_its_input_is_another_or_what_the_activation_got():
    rng = np.random.default_rng(0)
    widths = (3, 3, 2, 3)
    weights = [rng.standard_normal((a, b)) for a, b in pairwise(widths)]
    inputs, biases = [rng.standard_normal(a) for a in widths[:-1]], [rng.standard_normal(b) for b in widths[1:]]
    chain = Chain([(f"W{k}", f"b{k}") for k in range(3)], weights, biases, inputs, biases)
    other, before = chain.other_inputs(1)
    assert other[:2] == ("other_layer", "that with the input of layer 1")
    assert other[2] is inputs[0]
    assert before[:2] == ("before_activation", "that with what W0 and b0 give, before the activation")
    np.testing.assert_allclose(before[2], inputs[0] @ weights[0] + biases[0], rtol=1e-14)
    assert [cause for cause, _, _ in chain.other_inputs(0)] == ["other_layer"]


@pytest.mark.parametrize(("layers", "sets"), [(2, 1), (3, 3), (6, 31), (7, 0)])
def test_of_at_most_five_hidden_layers_all_sets_of_derivatives_may_be_left_out(layers, sets):
    chain = Chain([("W", "b")] * layers, [np.eye(2)] * layers, [np.ones(2)] * layers, [], [])
    assert [cause for cause, *_ in chain.other_deltas(0)].count("derivative_missing") == sets


def test_what_has_another_array_or_input_or_is_too_wide_is_no_network_of_dense_layers():
    two = ("W1", (4, 5)), ("b1", (5,)), ("W2", (5, 3)), ("b2", (3,))
    assert layers(*two) == [("W1", "b1"), ("W2", "b2")]
    assert layers(*two, x=(6, 4, 1)) == []
    assert layers(*two, ("V", (2, 2, 2))) == []
    assert layers(("W1", (4, 1)), ("b1", (1,))) == [("W1", "b1")]  # of a single unit
    assert layers(("W1", (1, 4)), ("b1", (1, 1)), turned=True) == [("W1", "b1")]
    assert layers() == []
    assert layers(("W1", (4, 1996)), ("b1", (1996,))) == [("W1", "b1")]
    assert layers(("W1", (4, 1997)), ("b1", (1997,))) == []


@pytest.mark.parametrize(("is_input", "shape", "found"), [(True, (2, 3), 1), (False, (2, 3), 0), (True, (2, 4), 0)])
def test_of_an_input_that_is_added_to_the_output_the_skip_may_be_left_out(is_input, shape, found):
    e: Any = SimpleNamespace(is_input=is_input, x=np.zeros((2, 3)), output=np.zeros(shape))
    e.truth, e.grad_output = np.full((2, 3), 5.0), np.full((2, 3), 2.0)
    guesses = list(skip(e))
    assert [guess.cause for guess in guesses] == ["skip_missing"] * found
    assert all(np.array_equal(guess.values, np.full((2, 3), 3.0)) for guess in guesses)


class Centred:
    """Two layers of data whose mean over the batch is taken off, so that a single sample is 0; clipped at ``most``."""

    def __init__(self, most):
        rng = np.random.default_rng(3)
        self.W1, self.W2, self.most = rng.standard_normal((3, 4)), rng.standard_normal((4, 2)), most
        self.b1, self.b2 = np.zeros(4), np.zeros(2)

    def forward(self, x):
        self.x = x - x.mean(axis=0)
        self.a = np.maximum(self.x @ self.W1 + self.b1, 0.0)
        return self.a @ self.W2 + self.b2

    def backward(self, d):
        dz = d @ self.W2.T * (self.a > 0)
        found = {"dW1": self.x.T @ dz, "db1": dz.sum(axis=0), "dW2": self.a.T @ d, "db2": d.sum(axis=0)}
        for name, gradient in found.items():
            setattr(self, name, np.sign(gradient) * np.abs(gradient) ** self.most)


def test_what_is_right_of_a_single_sample_tells_no_mistake():
    report = check_gradients(Centred(0.5), np.random.default_rng(4).standard_normal((6, 3)))
    assert report["W1"].verdict == "wrong"
    assert report["W1"].cause not in ("derivative_missing", "before_activation", "other_layer"), report
