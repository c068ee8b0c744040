"""Objects with an objective and its gradient: as scipy's optimizers take them, log-likelihoods, energies."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((5, 4)), RNG.standard_normal(4)
Y = np.array([1.0, 0.0, 0.0, 1.0, 1.0])


def value_of(w, x, y):
    z = x @ w
    return np.sum(y * z - np.logaddexp(0.0, z))


def gradient_of(w, x, y, factor):
    return factor * x.T @ (y - 1 / (1 + np.exp(-x @ w)))


def object_with(value, gradient, factor, *, held):
    """An object with two methods of these names, which keeps its parameters, or is given them."""
    if held:
        source = f"""
class Model:
    def __init__(self):
        self.w = W.copy()

    def {value}(self, X, y):
        return value_of(self.w, X, y)

    def {gradient}(self, X, y):
        return gradient_of(self.w, X, y, factor)
"""
    else:
        source = f"""
class Model:
    def {value}(self, w, X, y):
        return value_of(w, X, y)

    def {gradient}(self, w, X, y):
        return gradient_of(w, X, y, factor)
"""
    names = {"W": W, "value_of": value_of, "gradient_of": gradient_of, "factor": factor}
    exec(source, names)
    return names["Model"]()


def checked(value, gradient, factor, held):
    model = object_with(value, gradient, factor, held=held)
    return check_gradients(model, X, Y) if held else check_gradients(model, (W, X, Y))


PAIRS = [
    ("fun", "jac"),
    ("f", "jac"),
    ("f", "fprime"),
    ("nll", "grad"),
    ("objective", "jacobian"),
    ("log_likelihood", "gradient"),
    ("log_likelihood", "grad"),
    ("log_likelihood", "score"),
    ("compute_log_likelihood", "compute_gradient"),
    ("logp", "dlogp"),
    ("log_prob", "grad_log_prob"),
    ("energy", "energy_grad"),
]


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize(("value", "gradient"), PAIRS)
def test_an_objective_and_its_gradient_are_known_by_their_names(value, gradient, held, factor, verdict):
    report = checked(value, gradient, factor, held)
    assert (report["w"].verdict, report.verdict) == (verdict, verdict)


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize(("value", "gradient"), [("log_likelihood", "gradient"), ("log_prob", "grad_log_prob")])
def test_the_gradient_of_the_negative_is_undecided_as_a_descent_takes_it(value, gradient, held):
    report = checked(value, gradient, -1.0, held)
    assert report.verdict == "undecided"
    assert f"{gradient} is minus the gradient of {value}: right if a descent takes it" in report.problems[0]
    assert f"(lambda *a: -it.{value}(*a), it.{gradient})" in report.problems[0]


def test_the_sign_of_a_loss_is_not_doubted():
    assert checked("nll", "gradient", -1.0, held=True).verdict == "wrong"


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_data_may_be_held_by_the_object(factor, verdict):
    class Data:
        def __init__(self):
            self.X, self.y = X, Y

        def cost_of(self, w):
            return value_of(w, self.X, self.y)

        def slope_of(self, w):
            return gradient_of(w, self.X, self.y, factor)

    class Model(Data):
        log_likelihood, score = Data.cost_of, Data.slope_of

    class Problem(Data):
        fun, jac = Data.cost_of, Data.slope_of

    assert check_gradients(Problem(), W).verdict == verdict
    assert check_gradients((Problem().fun, Problem().jac), W).verdict == verdict
    assert check_gradients(Model(), W).verdict == verdict


def test_the_matrix_of_a_quadratic_that_has_a_gradient_by_its_argument_is_data():
    class Quadratic:
        def __init__(self):
            self.Q = np.array([[2.0, 1.0], [0.0, 3.0]])

        def fun(self, x):
            return 0.5 * x @ self.Q @ x

        def jac(self, x):
            return 0.5 * (self.Q + self.Q.T) @ x

    quadratic, x = Quadratic(), np.array([0.3, -1.0])
    for target in (quadratic, (quadratic.fun, quadratic.jac)):
        report = check_gradients(target, x)
        assert report.verdict == "right"
        assert any("Q: not checked" in note or "Q: taken for data" in note for note in report.notes)


def test_data_among_the_arguments_need_no_gradient_and_parameters_of_the_object_do():
    counts = np.array([0.0, 2.0, 1.0, 0.0, 3.0])
    assert checked("log_likelihood", "score", 1.0, held=False).verdict == "right"
    assert check_gradients(object_with("log_likelihood", "score", 1.0, held=False), (W, X, counts)).verdict == "right"

    class Model:
        def __init__(self):
            self.w, self.b = W.copy(), np.array([0.3])

        def log_likelihood(self, X, y):
            return value_of(np.append(self.w, self.b), np.hstack([X, np.ones((len(X), 1))]), y)

        def score(self, X, y):
            return gradient_of(np.append(self.w, self.b), np.hstack([X, np.ones((len(X), 1))]), y, 1.0)[:-1]

    report = check_gradients(Model(), X, Y)
    assert (report["w"].verdict, report.verdict) == ("right", "undecided")
    assert "no gradient was found of b" in report.problems[0]


def test_gradients_in_a_dict_are_turned_round_as_well():
    class Model:
        def log_likelihood(self, w, b, X, y):
            return value_of(w, X, y - b)

        def gradient(self, w, b, X, y):
            return {"w": -gradient_of(w, X, y - b, 1.0), "b": (X @ w).sum()}

    assert check_gradients(Model(), (W, np.array(0.3), X, Y)).verdict == "undecided"


def test_an_object_with_usual_passes_or_a_loss_is_called_by_these():
    class Layer:
        def forward(self, x):
            return 2.0 * x

        def backward(self, grad_output):
            return 2.0 * grad_output

        def log_likelihood(self, x):
            return x.sum()

        def score(self, x):
            return 0.0 * x

    assert check_gradients(Layer(), X).verdict == "right"


LEFT: dict[str, np.ndarray] = {}


def cost_of(params, *args):
    counts, width = args
    LEFT["gradient"] = np.sinh(params) - counts + params / width
    return np.sum(np.cosh(params)) - counts @ params + params @ params / (2 * width)


def with_twice_the_penalty(params, *args):
    counts, width = args
    return np.sinh(params) - counts + 2 * params / width


def jac_that_was_left(_params, *_args):
    return LEFT["gradient"]


def minus_what_was_left(_params, *_args):
    return -LEFT["gradient"]


@pytest.mark.parametrize(
    ("jac", "verdict", "cause"),
    [
        (jac_that_was_left, "right", ""),
        (minus_what_was_left, "wrong", "sign"),
        (with_twice_the_penalty, "wrong", "unknown"),
    ],
)
def test_of_a_function_of_parameters_and_any_number_of_others_the_gradient_is_by_the_parameters(jac, verdict, cause):
    r = np.random.default_rng(0)
    report = check_gradients((cost_of, jac), (r.standard_normal(4), r.standard_normal(4), 3.0))
    assert [entry.name for entry in report.entries] == ["params"]
    assert (report["params"].verdict, report["params"].cause) == (verdict, cause)
