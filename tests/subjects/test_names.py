"""What names tell: roles of arguments, gradients of parameters, methods by their usual names."""

from types import SimpleNamespace

import pytest

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.calls import costs
from numpy_nn.subjects.names import is_gradient_of, method, plain, role, role_in_loss, tells_gradients
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.roles import is_buffer, is_learned, is_learned_beside


@pytest.mark.parametrize(("name", "shown"), [("_W_", "w"), ("__dW", "dw"), ("d_W", "d_w"), ("", ""), (3, "3")])
def test_a_plain_name_has_no_case_and_no_underscores_at_its_ends(name, shown):
    assert plain(name) == shown


ROLES = {
    names.GRAD: "g dout dZ dA dL_dy grad grad_output gradOutput output_gradient delta d_out dnext_h dprev_h _dy DOUT "
    "y_grad h_gradient error upstream dh1",
    names.CACHE: "cache caches ctx linear_cache my_cache _cache saved residuals",
    names.RATE: "lr learning_rate eta step_size _lr LR",
    names.UNKNOWN: "x w W b ids table stride data done dim depth dropout training conv_param mean y t cached_x",
}


@pytest.mark.parametrize(
    ("expected", "name"), [(found, name) for found, text in ROLES.items() for name in text.split()]
)
def test_the_role_of_an_argument_of_backward(expected, name):
    assert role(name) == expected


LOSS_ROLES = {
    names.TARGET: "y t target targets y_true labels y_true_onehot target_ids label_ids true_y _y Y gt one_hot",
    names.PREDICTION: "y_pred yhat y_hat pred predictions out p x z logits scores pred_y a y_pred_probs",
    names.RATE: "lr learning_rate",
    names.UNKNOWN: "w reg weight alpha axis eps reduction",
}


@pytest.mark.parametrize(
    ("expected", "name"), [(found, name) for found, text in LOSS_ROLES.items() for name in text.split()]
)
def test_the_role_of_an_argument_of_a_loss(expected, name):
    assert role_in_loss(name) == expected


@pytest.mark.parametrize(
    ("name", "of", "sure"),
    [
        ("dW", "W", 1.0), ("d_W", "W", 1.0), ("grad_W", "W", 1.0), ("W_grad", "W", 1.0), ("W_gradient", "W", 1.0),
        ("gW", "W", 1.0), ("nabla_b", "b", 1.0), ("dL_dW".lower(), "w", 1.0), ("dweights", "weights", 1.0),
        ("dw", "W", 0.95), ("dL_dW", "W", 0.95), ("dJdW1", "W1", 0.95), ("_dw", "_w", 0.95), ("Grad_W", "W", 0.95),
        ("grad_weight", "W", 0.85), ("dW", "weights", 0.85), ("db", "bias", 0.85), ("kernel_grad", "w", 0.85),
        ("delta_W", "W", 0.5), ("W_delta", "W", 0.5), ("update_w", "W", 0.5), ("delta_w", "weight", 0.4),
        ("dW", "b", 0.0), ("db", "W", 0.0), ("dW1", "W2", 0.0), ("W", "W", 0.0), ("dWx", "W", 0.0),
        ("velocity", "W", 0.0),
        ("W_momentum", "W", 0.0), ("m_W", "W", 0.0), ("dW", "", 0.0), (0, "W", 0.0), ("dW", 0, 0.0), (1, 1, 0.0),
        (("dW", 1), ("W", 1), 1.0), (("dW", 1), ("W", 2), 0.0), (("dW", 1), "W", 0.0), ("dW", ("W", 1), 0.0),
        (("dW", 1), ("W", 1, 2), 0.0), (("W", 1), ("W", 1), 0.0), ((1, "db"), (1, "b"), 1.0),
        ("d0", 0, 0.0), (0, "0", 0.0),
    ],
)  # fmt: skip
def test_how_surely_a_name_is_that_of_a_gradient(name, of, sure):
    assert is_gradient_of(name, of) == pytest.approx(sure)


BUFFERS = "running_mean moving_var mean_running running Running_Var r_moving hidden cell.state lstm_hidden_state W_mask"


@pytest.mark.parametrize("name", [*BUFFERS.split(), "state['hidden']"])
def test_statistics_states_and_masks_are_known_by_their_names(name):
    assert is_buffer(name)


LEARNED = "mean W run gamma var W_hidden weights_hidden b_hidden bias_hidden net.w_state kernel_hidden"


@pytest.mark.parametrize("name", [*LEARNED.split(), "params['W_hidden']"])
def test_what_may_be_learned_is_no_buffer(name):
    assert not is_buffer(name)


GRADIENTS = "dW dW1 db db1 dgamma dbeta0 d_w grads weight_gradients nabla_w derivs deltas delta W_grad dZ g diff"


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        *((name, True) for name in GRADIENTS.split()),
        *((name, False) for name in ("W", "data", "depth", "z", "model", 0)),
    ],
)
def test_names_that_say_that_gradients_are_there(name, tells):
    assert tells_gradients(name) == tells


def test_of_a_wrapper_the_one_function_that_it_holds_is_meant():
    def one(x, w):
        raise NotImplementedError

    def wraps(f):
        def wrapper(*args, **kwargs):
            return f(*args, **kwargs)

        return wrapper

    assert signatures.unwrapped(wraps(one)) is one
    assert positional(wraps(one)) == (["x", "w"], [])
    method = type("Net", (), {"forward": wraps(one)})().forward
    assert signatures.unwrapped(method) is one
    assert positional(method) == (["w"], [])
    assert signatures.unwrapped(one) is one
    for builtin in (len, max):  # of the second nobody knows the arguments
        assert signatures.unwrapped(builtin) is builtin

    def of_two(f, g):
        def wrapper(*args, **kwargs):
            return f(*args, **kwargs), g(*args, **kwargs)

        return wrapper

    def of_none(*args, **kwargs):
        raise NotImplementedError

    def named(f):
        def wrapper(x, *args, **kwargs):
            return f(x, *args, **kwargs)

        return wrapper

    for other in (of_two(one, wraps(one)), of_none, named(one)):
        assert signatures.unwrapped(other) is other
        assert positional(other) is None


def test_positional_arguments_without_and_with_a_default():
    def f(a, /, b, c=1, *, d=2):
        return a, b, c, d

    assert positional(f) == (["a", "b"], ["c"])
    assert positional(lambda: 0) == ([], [])
    assert positional(lambda *args: args) is None
    assert positional(lambda a, **named: (a, named)) == (["a"], [])
    assert positional(3) is None


def test_a_method_by_the_first_of_its_names_as_it_is_written_else_without_case():
    thing = SimpleNamespace(Forward_=lambda: 1, predict=lambda: 2, call=3)
    found = method(thing, names.FORWARDS)
    assert found is thing.predict  # as it is written, before what is the same but for case
    del thing.predict
    assert method(thing, names.FORWARDS) is thing.Forward_
    del thing.Forward_
    assert method(thing, ["call", "forward"]) is None  # a number cannot be called


def test_what_is_kept_goes_by_the_first_of_its_names_that_there_is():
    thing = SimpleNamespace(Output_=1, y=2)
    assert names.kept(thing, ["a", "output", "y"]) == 1
    assert names.kept(thing, ["y", "output"]) == 2
    with pytest.raises(AttributeError, match="SimpleNamespace returns nothing and has no a"):
        names.kept(thing, ["a", "b"])


def test_no_name_is_of_two_roles_and_none_is_written_with_capitals():
    groups = [names._GRADS, names._CACHES, names._RATES]
    for i, group in enumerate(groups):
        assert all(plain(name) == name for name in group)
        assert not set(group) & {name for other in groups[i + 1 :] for name in other}
    assert not set(names._TARGETS) & set(names._PREDICTIONS)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        ("forwardPropagation", "backPropagation"),
        ("forward_propagate", "back_propagate"),
        ("compute_forward", "compute_backward"),
        ("forward_cpu", "backward_cpu"),
        ("layerForward", "layerBackward"),
        ("forward_all", "backprop_all"),
        ("f", "df"),
    ],
)
def test_two_passes_are_known_by_what_sets_their_names_apart(forward, backward):
    thing = type("Thing", (), {forward: lambda _: 1, backward: lambda _: 2, "forward_hook": lambda _: 3})()
    assert [found() for found in names.passes(thing) if found is not None] == [1, 2]


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("loss", True), ("compute_cost", True), ("costFunction", True), ("mse_loss", True), ("L2_Loss", True),
        ("total_cost", True), ("objective", True), ("forward", False), ("loss_weight", False), ("gloss", False),
        ("predict", False), ("logloss", True),
    ],
)  # fmt: skip
def test_a_loss_is_known_by_its_name(name, loss):
    assert names.is_loss(name) == loss


def test_a_function_and_its_derivative_are_passes_where_there_is_no_forward_pass():
    both = {"activation": abs, "activation_prime": len}
    assert names.passes(SimpleNamespace(**both)) == (abs, len)
    assert names.passes(SimpleNamespace(**both, backward=max)) == (abs, len)
    assert names.passes(SimpleNamespace(**both, forward=max)) == (max, None)
    assert names.passes(SimpleNamespace(**both, cost=min, cost_prime=max)) == (None, None)


def test_one_pass_alone_is_no_pair():
    thing = type("Thing", (), {"linear_forward": lambda _: 1, "activation_backward": lambda _: 2})()
    assert names.passes(thing) == (None, None)


def test_one_method_of_two_arguments_may_be_called_as_a_loss():
    class Network:
        def cross_entropy_loss(self, y, output):
            return -(y * output)

        def _other_loss(self, y, output):
            return y - output

        def penalty_loss(self):
            return 0.0

    class Two(Network):
        def mse_loss(self, y, output):
            return (y - output) ** 2

    net = Network()
    assert costs.method_of_loss(net) == net.cross_entropy_loss
    assert costs.method_of_loss(Two()) is None
    assert costs.method_of_loss(object()) is None


def test_what_is_learned_is_known_by_its_name_or_by_the_other_of_its_pair():
    assert all(map(is_learned, ("W", "b1", "bias_2", "theta", "coef_", "intercept_")))
    assert not any(map(is_learned, ("eps", "lr", "gamma", "slope", "alpha")))
    assert is_learned_beside("beta", ["W", "gamma"])
    assert is_learned_beside("slope_", ["intercept"])
    assert is_learned_beside("b", ["W"])
    assert is_learned_beside("w0", ["w1"])
    assert not any(is_learned_beside(name, ["W", "b"]) for name in ("beta", "w0", "eps"))
    assert not is_learned_beside("w0", ["W1", "W2"])
    assert not is_learned_beside("beta", ["beta", "W"])
    assert not is_learned_beside("gamma", ["slope"])
    assert not is_learned_beside("b", [])


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("mse", True),
        ("mean_squared_error", True),
        ("sum_squared_error", True),
        ("root_mean_squared_error", False),
        ("rmse", False),
        ("accuracy", False),
    ],
)
def test_usual_losses_have_names_of_their_own(name, is_one):
    assert names.is_usual_loss(name) == is_one


@pytest.mark.parametrize("name", ["lr", "eta0", "learning_rate", "learningRate", "learning_rate_init", "lrate0"])
def test_a_rate_may_be_called_as_the_first_of_a_schedule(name):
    assert names.role(name) == names.RATE


@pytest.mark.parametrize("name", ["learning", "rates", "later", "error_rate_init", "leak"])
def test_what_is_called_otherwise_is_no_rate(name):
    assert names.role(name) != names.RATE
