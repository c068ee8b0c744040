"""The gradient checker: no false alarm, nothing missed, no target that is left changed or misread."""

import copy
import json

import numpy as np
import pytest
import strategies as our
from foreign import Foreign
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn.gradcheck import GradientError, check_gradients


@st.composite
def cases(draw):
    """A random network with a loss, at an input that may lie on kinks, with weights of any size."""
    n = draw(st.integers(1, 6))
    net = draw(our.networks(np.float64, n, max_width=8))
    for p in net.parameters():
        p.data *= draw(st.sampled_from([1.0, 1.0, 0.01, 10.0, 100.0]))
    rng = np.random.default_rng(draw(our.seeds))
    x = rng.standard_normal((n, our.in_features(net))) * draw(st.sampled_from([1.0, 1e-3, 30.0]))
    x = draw(st.sampled_from([x, np.round(x), np.zeros_like(x)]))
    loss, targets = draw(our.losses_with_targets((n, net.output_shape(x.shape[1:])[0]), np.float64))
    return net, x, loss, targets


@our.fewer(0.15)
@given(case=cases(), seed=our.seeds)
def test_a_right_network_is_never_called_wrong(case, seed):
    net, x, loss, targets = case
    report = check_gradients(net, x, targets, loss=loss, seed=seed)
    assert report.verdict != "wrong", report
    assert not report.problems


KINKS = np.array([[-1.0, 0.0, 1.0, 0.5], [0.0, 0.0, 2.0, -3.0], [-0.0, 1.0, 1.0, 1e-12]])


@pytest.mark.parametrize("name", nn.ACTIVATION_LAYERS)
def test_no_activation_raises_an_alarm_on_its_kinks(name):
    report = check_gradients(nn.ACTIVATION_LAYERS[name](), KINKS)
    assert report.ok, report
    if nn.ACTIVATIONS[name].kinks:
        assert report["input"].kinks > 0


def argmax_vjp(x, g):
    """The gradient of the row's maximum goes to the first of those that tie."""
    return g[:, None] * np.eye(x.shape[1])[x.argmax(axis=1)]


@pytest.mark.parametrize(
    ("f", "vjp"),
    [
        (np.abs, lambda x, g: g * np.sign(x)),
        (lambda x: x.max(axis=1), argmax_vjp),
        (lambda x: np.minimum(x, 0.0).sum(), lambda x: (x < 0).astype(float)),
        (lambda x: np.linalg.norm(x, axis=1, ord=1), lambda x, g: g[:, None] * np.sign(x)),
    ],
)
def test_no_kink_of_a_function_raises_an_alarm(f, vjp):
    report = check_gradients((f, vjp), KINKS)
    assert report.ok, report


@pytest.mark.parametrize(
    ("f", "slope", "x"),
    [
        (lambda x: np.maximum(x, 0), lambda x: np.where(x == 0, 5.0, x > 0), KINKS),
        (np.abs, lambda x: np.where(x == 0, 1.5, np.sign(x)), np.array([0.0, 1.0, -2.0])),
    ],
)
def test_a_value_outside_the_two_one_sided_derivatives_is_undecided_as_sums_of_kinks_give_such_too(f, slope, x):
    report = check_gradients((f, lambda x, g: g * slope(x)), x)
    assert report.verdict == "undecided"
    assert report["input"].undecided == np.count_nonzero(x == 0)
    assert "a kink, or a bend" in report["input"].reason


def test_where_two_kinks_meet_the_answer_is_undecided_and_says_why():
    # relu(t) - relu(-t) = t has the derivative 1 at 0, but with relu'(0) = 0 the chain rule gives 0.
    def vjp(x, g):
        return g * ((x > 0).astype(float) + (x < 0))

    report = check_gradients((lambda x: np.maximum(x, 0) - np.maximum(-x, 0), vjp), np.array([0.0, 1.0]))
    assert report.verdict == "undecided"
    assert "a kink, or a bend" in report["input"].reason


def test_a_bend_narrower_than_rounding_is_not_a_wrong_gradient():
    # Rows that agree: batch norm's output turns from -1 to 1 within sqrt(eps) = 0.003, and next to 2.6e11 no
    # difference of numbers is fine enough to see more than the two flat ends, where the gradient is 0.
    layer = nn.BatchNorm1d(1, dtype=np.float64)
    report = check_gradients(layer, np.full((2, 1), 2.6441414952060480e11))
    assert report.verdict == "undecided", report
    assert "too sharp for numbers of this size" in report["input"].reason


def scaled(layer, factor, entry):
    """The layer with one of its gradients multiplied by ``factor``."""

    right = type(layer).backward

    def backward(self, grad_output):
        grad = right(self, grad_output)
        if entry == "input":
            return grad * factor
        getattr(self, entry).grad *= factor
        return grad

    layer.__class__ = type("Scaled", (type(layer),), {"backward": backward})
    return layer


@our.fewer(0.2)
@given(data=st.data(), error=st.sampled_from([1e-6, -1e-6, 1e-4, 1e-3, 1.0]), seed=our.seeds)
def test_an_error_of_one_part_in_a_million_is_told_and_a_hundred_of_them_are_wrong(data, error, seed):
    width = data.draw(st.integers(1, 6))
    layer = data.draw(
        st.one_of(
            st.builds(nn.Linear, st.just(width), st.integers(1, 6), rng=our.seeds, dtype=st.just(np.float64)),
            our.elementwise_layers(width, np.float64),
            our.batch_norms(width, np.float64),
            our.layer_norms(width, np.float64),
            st.sampled_from([nn.Softmax(), nn.LogSoftmax()]) if width > 1 else st.just(nn.Tanh()),
        )
    )
    entry = data.draw(st.sampled_from(["input", *(name for name, _ in layer.named_parameters())]))
    x = np.random.default_rng(seed).standard_normal((5, width))
    layer(x)
    before = layer.backward(np.ones_like(layer(x)))
    gradient = before if entry == "input" else getattr(layer, entry).grad
    if np.abs(gradient).max() < 1e-30:
        return  # nothing, or so little next to the input that undecided is an answer
    report = check_gradients(scaled(layer, 1.0 + error, entry), x, seed=seed)
    if abs(error) < 1e-5:
        assert report[entry].verdict == "close", report
        assert report[entry].digits == pytest.approx(6.0, abs=0.01)
        assert "a constant with few digits" in report[entry].reason or gradient.size == 1
        return
    assert report[entry].verdict == "wrong", report
    if error != 1.0:  # twice a slope of 1/2 is also a derivative left out
        assert report[entry].cause == "factor"
    unseen = [e for e in report.entries if width == 1 and "never seen to depend" in e.reason]  # of a norm all but bias
    assert all(e.verdict == "right" for e in report.entries if e.name != entry and e not in unseen)


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("weight", [0.0, 5e-324, 1e-320, 2e-308, 1e-250, 1e-199])
def test_next_to_a_subnormal_parameter_a_wrong_gradient_is_found_without_a_warning(weight):
    layer = nn.PReLU(1, dtype=np.float64)
    layer.weight.data[...] = weight
    x = np.random.default_rng(0).standard_normal((5, 1))
    assert check_gradients(layer, x).ok
    assert check_gradients(scaled(layer, 1.0 + 1e-6, "weight"), x)["weight"].verdict == "close"
    assert check_gradients(scaled(layer, 1.0 + 1e-4, "weight"), x)["weight"].verdict == "wrong"


@given(data=st.data(), dtype=our.dtypes)
@our.fewer(0.1)
def test_the_target_is_left_as_it_was(data, dtype):
    net = data.draw(our.networks(dtype, 4, max_width=6))
    x = np.random.default_rng(0).standard_normal((4, our.in_features(net))).astype(dtype)
    net(x)
    net.backward(np.ones_like(net(x)))
    before = copy.deepcopy(net)
    kept = x.copy()
    check_gradients(net, x)
    np.testing.assert_array_equal(x, kept)
    for mine, theirs in (
        (net.parameters().data, before.parameters().data),
        (net.parameters().grad, before.parameters().grad),
    ):
        assert mine.dtype == dtype
        np.testing.assert_array_equal(mine, theirs)
    for (_, mine), (_, theirs) in zip(net.named_buffers(), before.named_buffers(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(net.modules(), before.modules(), strict=True):
        assert mine.training == theirs.training
        if isinstance(mine, nn.Dropout):
            assert mine.rng.bit_generator.state == theirs.rng.bit_generator.state


def test_the_target_is_left_as_it_was_when_its_code_raises():
    class Raises(Foreign):
        calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 20:
                raise ZeroDivisionError("theirs")
            return super().forward(x)

    layer = Raises("d{}")
    before = copy.deepcopy(vars(layer))
    with pytest.raises(ZeroDivisionError, match="theirs"):
        check_gradients(layer, ROW)
    assert vars(layer).keys() == before.keys()
    np.testing.assert_array_equal(layer.W, before["W"])


def test_an_input_changed_in_place_is_no_wrong_gradient():
    def f(x):
        x *= 2
        return x

    report = check_gradients((f, lambda _, g: 2 * g), np.ones((2, 3)))
    assert report.ok
    assert any("changes its input in place" in text for text in report.warnings)
    assert "problem: forward changes its input in place" in str(report)


def test_a_grad_output_changed_in_place_is_found():
    def vjp(_, g):
        g *= 2
        return g

    report = check_gradients((lambda x: 2 * x, vjp), np.ones(3))
    assert report.ok
    assert any("gradient that it is given in place" in problem for problem in report.warnings)


def test_outputs_in_a_reused_buffer_are_no_trouble():
    buffer = np.empty((2, 3))
    f, vjp = lambda x: np.multiply(x, x, out=buffer), lambda x, g: np.multiply(2 * x, g, out=buffer)
    report = check_gradients((f, vjp), np.ones((2, 3)))
    assert report.ok, report


def test_random_targets_get_the_same_draws_or_are_called_not_repeatable():
    rng = np.random.default_rng(0)

    class Noisy:
        """Draws from NumPy's global generator, as old code does."""

        more = 0.0

        def forward(self, x):
            # ruff is right, and such code is what this is about.
            self.mask = (np.random.random(x.shape) > 0.5) + np.random.default_rng().random() * self.more  # noqa: NPY002
            return x * self.mask

        def backward(self, grad):
            return grad * self.mask

    noisy = Noisy()
    report = check_gradients(noisy, np.arange(1.0, 9.0).reshape(2, 4))
    assert report.ok, report
    assert any("same draws" in note for note in report.notes)
    noisy.more = 1.0
    report = check_gradients(noisy, np.arange(1.0, 9.0).reshape(2, 4))
    assert report.verdict == "undecided"
    assert any("not repeatable" in problem for problem in report.problems)

    state = rng.bit_generator.state

    def vjp(x, g):
        kept, rng.bit_generator.state = rng.bit_generator.state, state
        mask = rng.random(x.shape)
        rng.bit_generator.state = kept
        return g * mask

    pair = (lambda x: x * rng.random(x.shape), vjp)
    assert check_gradients(pair, np.ones((2, 3)), rng=rng).ok
    rng.bit_generator.state = state
    assert check_gradients(pair, np.ones((2, 3))).ok  # the closure's generator is found


def test_a_backward_pass_that_varies_is_found():
    rng = np.random.default_rng(0)
    report = check_gradients((lambda x: x, lambda _, g: g * rng.random(g.shape)), np.ones(3))
    assert report.verdict == "undecided"
    assert any("two backward passes" in problem for problem in report.problems)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_named(bad):
    with pytest.raises(ValueError, match="x: expected finite numbers"):
        check_gradients(nn.ReLU(), np.array([[1.0, bad]]))
    report = check_gradients((lambda x: x * bad, lambda _, g: g), np.ones(2))
    assert report.verdict == "undecided"
    assert any("the output is not finite" in problem for problem in report.problems)
    report = check_gradients((lambda x: x, lambda x, g: np.where(x > 1, bad, g)), np.array([1.0, 2.0]))
    assert report["input"].verdict == "wrong"
    assert report["input"].cause == "not_finite"


@pytest.mark.slow
@pytest.mark.numerical
def test_the_composition_of_a_network_is_checked():
    class Twice(nn.Sequential):
        def backward(self, grad_output):
            return super().backward(2 * grad_output)

    twice = Twice(nn.Linear(2, 3, rng=0), nn.Tanh())
    report = check_gradients(twice, np.random.default_rng(0).standard_normal((4, 2)))
    assert report.verdict == "wrong"
    net = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh())
    net.layers = (*net.layers, nn.Tanh())
    assert check_gradients(net, np.ones((4, 2))).ok


def test_a_wrong_layer_is_found_inside_a_network():
    class Wrong(nn.Tanh):
        def backward(self, grad_output):
            return grad_output * 1.0

    net = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Sequential(Wrong(), nn.Linear(4, 4, rng=1)), nn.ReLU())
    report = check_gradients(net, np.random.default_rng(0).standard_normal((5, 3)))
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == ["1.0.input"]
    assert report["1.0.input"].cause == "derivative_missing"


def test_samples_limit_the_coordinates():
    layer = Foreign("d{}")
    x = np.random.default_rng(0).standard_normal((5, 4))
    assert [e.checked for e in check_gradients(layer, x, samples=7).entries] == [7, 7, 3]
    assert [e.checked for e in check_gradients(layer, x, samples="all").entries] == [20, 12, 3]
    assert check_gradients(layer, x, samples=7, seed=3).to_dict().keys() == check_gradients(layer, x).to_dict().keys()


@pytest.mark.slow
@pytest.mark.numerical
def test_a_sample_is_completed_by_random_directions():
    class OneWrong(Foreign):
        def backward(self, grad):
            result = super().backward(grad)
            vars(self)["dW"][2, 1] *= 1.01
            return result

    x = np.random.default_rng(0).standard_normal((5, 4))
    for seed in range(5):
        report = check_gradients(OneWrong("d{}"), x, samples=1, seed=seed)
        assert report["W"].verdict == "wrong"
        assert [entry.verdict for entry in report.entries if entry.name != "W"] == ["right", "right"]
        assert check_gradients(Foreign("d{}"), x, samples=1, seed=seed).ok


def test_the_report_can_be_read_by_people_notebooks_and_programs():
    x = np.random.default_rng(0).standard_normal((5, 4))
    good, bad = check_gradients(Foreign("d{}"), x), check_gradients(Foreign("d{}", wrong=True), x)
    assert good.verdict == "right"
    assert bad.verdict == "wrong"
    good.raise_if_failed()
    with pytest.raises(GradientError, match="off by a constant factor") as error:
        bad.raise_if_failed()
    assert isinstance(error.value, AssertionError)
    assert json.loads(json.dumps(bad.to_dict()))["entries"][1]["diagnosis"]["cause"] == "factor"
    assert "<table>" in bad._repr_html_()
    assert "claimed / numerical = 2" in str(bad)
    with pytest.raises(KeyError, match="nonsense; there are x, W, b"):
        bad["nonsense"]


RELU, ROW = nn.ReLU(), np.ones((1, 4))


def changing(x):
    """As many numbers as the first entry says."""
    return np.resize(x, int(2 + (x[0] > 1)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: check_gradients(RELU, np.array([["a"]])), TypeError, "x: expected an array of floats"),
        (lambda: check_gradients(RELU, np.ones((0, 2))), ValueError, "x: expected at least one number"),
        (lambda: check_gradients(3, ROW), TypeError, "target: expected forward and backward, got int"),
        (lambda: check_gradients((np.sin,), ROW), TypeError, r"expected a pair of functions \(f, vjp\)"),
        (lambda: check_gradients(np.sin, ROW), TypeError, "sin: expected a backward pass, or .value, gradients."),
        (lambda: check_gradients(object(), ROW, ROW), TypeError, "target: expected a loss"),
        (lambda: check_gradients(RELU, ROW, samples=0), ValueError, "samples: expected a number >= 1"),
        (lambda: check_gradients(RELU, ROW, samples="some"), ValueError, "samples"),
        (lambda: check_gradients(nn.MLP([4, 2]), ROW, loss=nn.MSELoss()), ValueError, "loss: expected targets"),
        (lambda: check_gradients(RELU, ROW, ROW, loss=nn.MSELoss()), TypeError, "loss: expected a Sequential"),
        (lambda: check_gradients(Foreign("d{}"), ROW, parameters={"Q": "dQ"}), ValueError, "Foreign has no Q"),
        (lambda: check_gradients(Foreign("d{}"), ROW, parameters={"form": "dW"}), TypeError, "expected form to be"),
        (lambda: check_gradients(Foreign("d{}"), ROW, parameters={"W": "nope"}), ValueError, "Foreign has no nope"),
        (lambda: check_gradients((lambda x: x > 0, lambda _, g: g), ROW), TypeError, "expected an output of floats"),
        (lambda: check_gradients((changing, lambda _, g: g), np.ones(2)), ValueError, "output's shape changes"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_target_that_cannot_be_copied_is_named():
    class Open(Foreign):
        def __init__(self):
            super().__init__("d{}")
            self.items = (n for n in range(3))

    with pytest.raises(TypeError, match="Open cannot be copied"):
        check_gradients(Open(), ROW)
