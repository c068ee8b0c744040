"""JAX's functions and rules of their own, told from others, judged in float64 where they take it."""

from functools import partial
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects import running
from numpy_nn.subjects.libraries import jax_functions

X = np.random.default_rng(0).standard_normal((3, 4))
W = np.random.default_rng(1).standard_normal((4, 2))


def dense(x, w):
    return jnp.tanh(x @ w)


def dense_fwd(x, w):
    return dense(x, w), (x, w)


def dense_bwd(residuals, g):
    x, w = residuals
    g = g * (1 - jnp.tanh(x @ w) ** 2)
    return g @ w.T, x.T @ g


def wrong_bwd(residuals, g):
    x, w = residuals
    g = g * (1 - jnp.tanh(jnp.tanh(x @ w)) ** 2)
    return g @ w.T, x.T @ g


def ruled(fwd, bwd):
    function = jax.custom_vjp(dense)
    function.defvjp(fwd, bwd)
    return function


@pytest.fixture(autouse=True)
def default():
    """JAX as it is by default, whatever another test of this process has set."""
    with jax.enable_x64(False):
        yield


@pytest.fixture(params=["as JAX is by default", "jax_enable_x64"])
def precision(request):
    """Both settings; the one in force is left as it was."""
    with jax.enable_x64(request.param == "jax_enable_x64"):
        yield request.param


@pytest.mark.parametrize("form", ["custom_vjp", "jit", "pair", "list", "partial"])
def test_a_rule_of_its_own_in_every_form(form, precision):
    def made(bwd):
        forms = {
            "custom_vjp": lambda: ruled(dense_fwd, bwd),
            "jit": lambda: jax.jit(ruled(dense_fwd, bwd)),
            "pair": lambda: (dense_fwd, bwd),
            "list": lambda: [dense_fwd, lambda residuals, g: list(bwd(residuals, g))],
            "partial": lambda: partial(ruled(dense_fwd, bwd)),
        }
        return forms[form]()

    report = check_gradients(made(dense_bwd), (X, W))
    assert report, report
    assert [entry.name for entry in report.entries] == ["x", "w"]
    # The digits of the verdict are those of float64, whatever JAX is set to.
    assert report["w"].bound < 1e-9
    assert any("computed in float64" in note for note in report.notes) == (precision == "as JAX is by default")
    report = check_gradients(made(wrong_bwd), (X[:2, :2], W[:2]))
    assert {entry.cause for entry in report.entries} == {"derivative_at_output"}


def test_the_setting_is_left_as_it_was():
    assert jnp.ones(1).dtype == jnp.float32
    check_gradients(dense, (X, W))
    assert jnp.ones(1).dtype == jnp.float32


def test_custom_jvp():
    @jax.custom_jvp
    def cube(x):
        return x**3

    cube.defjvp(lambda primals, tangents: (primals[0] ** 3, 3 * primals[0] ** 2 * tangents[0]))
    assert check_gradients(cube, X)
    cube.defjvp(lambda primals, tangents: (primals[0] ** 3, 2 * primals[0] ** 2 * tangents[0]))
    assert check_gradients(cube, X).verdict == "wrong"


@pytest.mark.parametrize("arrays", [np.asarray, jnp.asarray])
def test_a_plain_function_of_trees_with_several_outputs(arrays):
    def network(x, params, power):
        hidden = jax.nn.relu(x @ params["w"] + params["b"])
        return {"sum": hidden.sum(), "power": [hidden**power], "largest": jnp.argmax(hidden)}

    report = check_gradients(network, (arrays(X), {"w": arrays(W), "b": arrays([0.5, -0.5])}, 2))
    assert report, report
    assert sorted(entry.name for entry in report.entries) == ["params['b']", "params['w']", "x"]


def test_a_function_that_says_nothing_of_jax_is_told_by_its_arrays():
    report = check_gradients(lambda a, b: a * b, (jnp.asarray(X), jnp.asarray(X) + 1.0))
    assert report
    assert [entry.name for entry in report.entries] == ["a", "b"]


def test_a_loss_with_labels_in_either_order():
    labels = jnp.array([0, 3, 1])

    def loss(logits, labels):
        return -jax.nn.log_softmax(logits)[jnp.arange(3), labels].mean()

    assert check_gradients(loss, X, labels)
    report = check_gradients(lambda labels, logits: loss(logits, labels), X, labels)
    assert report
    assert [entry.name for entry in report.entries] == ["logits"]


def test_what_is_given_as_targets_is_an_input_if_it_has_a_gradient_and_another_name():
    report = check_gradients(ruled(dense_fwd, lambda residuals, g: (dense_bwd(residuals, g)[0], 2.0 * W)), X, W)
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "w": "wrong"}
    report = check_gradients(lambda p, target: jnp.mean((p - target) ** 2), X, X + 1.0)
    assert [entry.name for entry in report.entries] == ["p"]
    report = check_gradients(lambda p, other: jnp.mean((p - jax.lax.stop_gradient(other)) ** 2), X, X + 1.0)
    assert [entry.name for entry in report.entries] == ["p"]


def test_a_pair_of_function_and_vjp():
    assert check_gradients((jnp.tanh, lambda x, g: g * (1 - jnp.tanh(x) ** 2)), X)
    assert check_gradients((jnp.tanh, lambda x, g: g * (1 - jnp.tanh(x))), X).verdict == "wrong"


def test_a_forward_pass_of_the_rule_that_is_another_function_is_a_problem():
    def other_fwd(x, w):
        return dense(x, w) + 0.01 * x.sum(), (x, w)

    report = check_gradients(ruled(other_fwd, dense_bwd), (X, W))
    assert report.verdict == "undecided"
    assert any("fwd, returns something else" in problem for problem in report.problems)


def test_what_takes_float32_only_is_checked_in_float32():
    def narrow(x):
        if x.dtype != jnp.float32:
            raise TypeError("expected float32")
        return jnp.exp(x)

    report = check_gradients(narrow, X)
    assert report
    assert (report["x"].digits or 0.0) >= 2.0
    assert any("does not take float64 (expected float32)" in note for note in report.notes)
    function = jax.custom_vjp(narrow)
    function.defvjp(lambda x: (narrow(x), narrow(x)), lambda y, g: (2 * g * y,))
    assert check_gradients(function, X).verdict == "wrong"


def test_a_declared_surrogate():
    sign = jax.custom_vjp(jnp.sign)
    sign.defvjp(lambda x: (jnp.sign(x), None), lambda _, g: (g,))
    assert check_gradients(sign, X).verdict == "wrong"
    assert check_gradients(sign, X, surrogate=lambda x: x)


@pytest.mark.parametrize(
    ("function", "x", "error", "text"),
    [
        (jnp.abs, jnp.array([1j]), TypeError, "real numbers, got complex64"),
        (jnp.fft.rfft, X, TypeError, "output of real numbers"),
        (jnp.argmax, X, TypeError, "output of floats"),
        (jnp.abs, jnp.array([1, 2]), TypeError, "array of floats among the arguments"),
        (jnp.abs, jnp.array([1.0, jnp.nan]), ValueError, "finite numbers"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_a_line(function, x, error, text):
    with pytest.raises(error, match=text):
        check_gradients(function, x)


def test_an_error_in_the_rule_comes_through():
    function = jax.custom_vjp(jnp.exp)

    def raises(*_):
        raise ZeroDivisionError("of my own")

    function.defvjp(lambda x: (jnp.exp(x), None), raises)
    with pytest.raises(ZeroDivisionError, match="of my own"):
        check_gradients(function, X)


def test_numpy_s_functions_stay_numpy_s():
    report = check_gradients((np.tanh, lambda x, g: g * (1 - np.tanh(x) ** 2)), X)
    assert report
    assert not report.notes


def test_the_rule_of_a_function_of_jax_is_looked_at_beyond_its_numbers():
    @jax.custom_vjp
    def softplus(x):
        return jnp.where(x > 20, x, jnp.logaddexp(jnp.minimum(x, 20), 0.0))

    def forward(x):
        return softplus(x), x

    def backward(x, grad):
        return (grad * jnp.where(x > 20, 0.5, jax.nn.sigmoid(x)),)

    softplus.defvjp(forward, backward)
    report = check_gradients(softplus, 0.1 * X)
    assert "beyond 20" in report["x"].reason


def test_the_rows_of_a_function_of_jax_are_those_of_its_data():
    @jax.custom_vjp
    def layer(params, x):
        return jnp.tanh(x @ params["w"] + params["b"])

    def forward(params, x):
        return layer(params, x), (params, x)

    def backward(kept, grad):
        params, x = kept
        grad = grad * (1 - layer(params, x) ** 2)
        return {"w": x.T @ grad, "b": grad.mean(axis=0)}, grad @ params["w"].T

    layer.defvjp(forward, backward)
    arguments = {"w": W[:, :2], "b": np.zeros(2)}, X
    assert check_gradients(layer, arguments)["params['b']"].cause == "bias_averaged"


class Exp:
    """Called, as the transforms of a library are."""

    def __call__(self, x):
        return jnp.exp(x)


class WrongExp:
    def __call__(self, x):
        return jax.lax.stop_gradient(jnp.exp(x)) + x


def test_an_object_that_is_called_is_a_function():
    assert check_gradients(Exp(), X)
    assert check_gradients(WrongExp(), X)["x"].verdict == "wrong"


def test_a_function_that_asks_a_library_built_on_jax_is_one_of_jax(monkeypatch):
    library, losses = ModuleType("library"), ModuleType("library.losses")
    monkeypatch.setattr(losses, "huber", ruled_huber, raising=False)
    monkeypatch.setattr(library, "losses", losses, raising=False)
    namespace = {"library": library}
    exec("def loss(x):\n    return library.losses.huber(x)\n", namespace)
    assert check_gradients(namespace["loss"], X)


def ruled_huber(x):
    return jnp.where(jnp.abs(x) < 1.0, 0.5 * x**2, jnp.abs(x) - 0.5)


@pytest.mark.parametrize(("of_b", "verdict"), [(1.0, "right"), (0.0, "wrong"), (2.0, "wrong")])
def test_a_number_in_a_tree_is_learned_where_it_has_a_gradient_or_is_called_so(of_b, verdict):
    @jax.custom_jvp
    def energy(params):
        return jnp.log1p(params["slope"] * jnp.sum(params["w"] ** 2)) + params["b"]

    @energy.defjvp
    def _(primals, tangents):
        (params,), (moved,) = primals, tangents
        total = 2 * params["slope"] * jnp.sum(params["w"] * moved["w"])
        return energy(params), total / (1 + params["slope"] * jnp.sum(params["w"] ** 2)) + of_b * moved["b"]

    report = check_gradients(energy, {"w": X[0], "b": 0.5, "slope": 0.3})
    assert report.verdict == verdict
    assert {entry.name: entry.verdict for entry in report.entries} == {"params['w']": "right", "params['b']": verdict}
    assert "numbers without a gradient, taken for settings: params['slope']" in report.notes


def test_a_number_in_a_tree_that_must_be_one_is_a_setting():
    def power(x, settings):
        return x ** len(range(int(np.ceil(np.float64(settings["power"])))))

    report = check_gradients(power, (jnp.asarray(X), {"power": 2.0}))
    assert (report.verdict, [entry.name for entry in report.entries]) == ("right", ["x"])


def test_a_number_of_python_with_a_gradient_is_checked():
    """Of a pair as of a function: that of a temperature may be what is wrong."""

    def rule(factor):
        def fwd(x, beta):
            return jnp.sin(beta * x), (x, beta)

        def bwd(res, g):
            x, beta = res
            slope = g * jnp.cos(beta * x)
            return beta * slope, factor * jnp.sum(x * slope)

        return fwd, bwd

    x = np.linspace(-1.0, 2.0, 4)
    report = check_gradients(rule(1.0), (x, 1.7))
    assert report
    assert [entry.name for entry in report.entries] == ["x", "beta"]
    assert check_gradients(rule(-1.0), (x, 1.7))["beta"].verdict == "wrong"


def test_a_loop_that_has_no_end_at_a_point_of_the_check_is_stopped(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.5)
    monkeypatch.setattr(running, "TIMES", 5.0)  # of the first call, which also loads JAX's operations

    @jax.custom_vjp
    def root(a):
        """Heron's loop, which ends at the root alone: of a negative number there is none."""

        def step(x):
            return x[1], 0.5 * (x[1] + a / x[1])

        return jax.lax.while_loop(lambda x: jnp.any(jnp.abs(x[0] - x[1]) > 1e-6), step, (a + 1.0, a))[1]

    root.defvjp(lambda a: (root(a), root(a)), lambda residuals, g: (0.5 * g / residuals,))
    assert check_gradients(root, np.array([2.0]))["a"].verdict == "right"


def test_what_does_not_run_without_being_compiled_is_left_as_it_is():
    def looped(x):
        if jax.config.jax_disable_jit:
            raise RuntimeError("to be compiled")
        return jax.lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, jnp.sin(s[1])), (0, x))[1]

    function = jax.custom_vjp(looped)
    function.defvjp(lambda x: (looped(x), x), lambda x, g: (g * jax.jvp(looped, (x,), (jnp.ones_like(x),))[1],))
    assert check_gradients(function, np.array([0.4, 0.9]))


@pytest.mark.parametrize("looks", [False, True], ids=["traced", "looks at values in Python"])
def test_compiled_or_as_it_is_the_verdict_is_the_same(looks, monkeypatch):
    monkeypatch.setattr(jax_functions, "MANY", 0.0)
    for factor, verdict in [(1.0, "right"), (2.0, "wrong")]:
        function = jax.custom_vjp(lambda x: jnp.sin(x) if not looks or float(x[0]) < 0.3 else 1.5 * jnp.sin(x))
        function.defvjp(
            lambda x, f=function: (f(x), x), lambda x, g, k=factor, f=function: (k * g * f(x) / jnp.tan(x),)
        )
        assert check_gradients(function, np.array([0.4, 0.9])).verdict == verdict


def test_numbers_that_are_drawn_are_those_of_the_run_before():
    drawing = np.random.default_rng(0)
    assert check_gradients(lambda x: jnp.sin(x) * drawing.standard_normal(2), np.array([0.4, 0.9]))


def test_a_backward_pass_that_draws_by_itself_is_told_so():
    drawing = np.random.default_rng(0)

    def masked(x):
        return x * drawing.standard_normal(2)

    function = jax.custom_vjp(masked)
    function.defvjp(lambda x: (masked(x), None), lambda _, g: (g * drawing.standard_normal(2),))
    report = check_gradients(function, np.array([0.4, 0.9]))
    assert not report
    assert "backward draws random numbers of its own" in str(report)
