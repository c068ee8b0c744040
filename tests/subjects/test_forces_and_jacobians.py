"""Functions of physics and of least squares: an energy and its forces, residuals and their Jacobian."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects import Hints
from numpy_nn.subjects.forces import are_forces
from numpy_nn.subjects.given_code import Code

X = np.random.default_rng(0).standard_normal((4, 3))


def energy(x: Any) -> Any:
    return 0.5 * (np.diff(x, axis=0) ** 2).sum()


def pull(x: Any) -> Any:
    forces = np.zeros_like(x)
    forces[:-1] += np.diff(x, axis=0)
    forces[1:] -= np.diff(x, axis=0)
    return forces


def of_name(name: str, function: Any) -> Any:
    function.__name__ = name
    return function


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (1.5, "wrong"), (-1.0, "undecided")])
def test_forces_are_minus_the_gradient(factor, verdict):
    def get_forces(x: Any) -> Any:
        return factor * pull(x)

    def energy_and_forces(x: Any) -> Any:
        return energy(x), factor * pull(x)

    def compute(x: Any) -> Any:
        forces = factor * pull(x)
        return energy(x), {"x": forces}

    def told_by_what_is_returned(x: Any) -> Any:
        forces = factor * pull(x)
        return energy(x), forces

    for target in ((energy, get_forces), energy_and_forces, told_by_what_is_returned):
        report = check_gradients(target, X)
        assert report.verdict == verdict, report
        assert "called forces" in str(report)
    report = check_gradients((energy, of_name("forces", lambda x: {"x": factor * pull(x)})), X)
    assert report.verdict == verdict
    assert check_gradients(compute, X).ok == (factor == -1.0)  # nothing tells that it is called so


def test_what_is_called_internal_forces_is_the_gradient_itself():
    report = check_gradients((energy, of_name("internal_forces", lambda x: -pull(x))), X)
    assert report
    assert "called forces" not in str(report)
    report = check_gradients((energy, of_name("internal_forces", pull)), X)
    assert getattr(report["x"].diagnosis, "cause", "") == "sign", report


def test_a_layer_that_computes_forces_keeps_its_sign():
    def forces(x: Any) -> Any:
        return pull(x)  # linear, and symmetric

    def forces_backward(grad_output: Any) -> Any:
        return pull(grad_output)

    assert check_gradients((forces, forces_backward), X)
    assert check_gradients((forces, of_name("back_to_forces", forces_backward)), X)
    assert check_gradients((forces, of_name("force", forces_backward)), X)


@pytest.mark.parametrize(
    ("name", "are"),
    [
        ("energy_and_forces", True),
        ("force", True),
        ("getForces", True),
        ("forces_numpy", True),
        ("reinforce", False),
        ("teacher_forcing", False),
        ("enforce", False),
        ("internal_force", False),
        ("force_gradient", False),
        ("forces_backward", False),
    ],
)
def test_which_names_are_those_of_forces(name, are):
    code = Code("f", energy, of_name(name, lambda x: pull(x)), {"x": X}, Hints())
    assert are_forces(code) == are


T = np.linspace(0.1, 2.0, 7)
Y = np.random.default_rng(1).standard_normal(7)


def residuals(p: Any) -> Any:
    return p[0] * np.exp(-p[1] * T) - Y


def their_jacobian(p: Any) -> Any:
    return np.stack([np.exp(-p[1] * T), -p[0] * T * np.exp(-p[1] * T)], axis=1)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (0.5, "wrong")])
def test_residuals_with_their_jacobian_are_taken_by_what_they_are_called(factor, verdict):
    def fit(p: Any) -> Any:
        r, J = residuals(p), factor * their_jacobian(p)
        return r, J

    def residuals_and_jac(p: Any) -> Any:
        return residuals(p), [factor * their_jacobian(p)]

    for function in (fit, residuals_and_jac):
        report = check_gradients(function, np.array([1.2, 0.7]))
        assert report.verdict == verdict
        assert report["p"].verdict == verdict


def test_an_output_and_something_else_of_that_shape_are_no_jacobian():
    def forward(x: Any) -> Any:
        kept = np.outer(np.ones(7), x)
        return residuals(x), kept

    with pytest.raises(TypeError, match="expected a backward pass"):
        check_gradients(forward, np.array([1.2, 0.7]))

    def residuals_and_jacobian(x: Any) -> Any:
        return residuals(x), np.ones((3, 2))

    with pytest.raises(TypeError, match="expected a backward pass"):
        check_gradients(residuals_and_jacobian, np.array([1.2, 0.7]))


def test_each_argument_may_have_a_jacobian_of_its_own():
    def project_with_jacobians(pose: Any, point: Any) -> Any:
        u = np.array([pose[0] * point[0] + pose[1], pose[0] * point[1] - pose[1]])
        J_pose = np.array([[point[0], 1.0], [point[1], -1.0]])
        J_point = np.array([[pose[0], 0.0, 0.0], [0.0, pose[0], 0.0]])
        return u, (J_pose, J_point)

    report = check_gradients(project_with_jacobians, (np.array([1.5, -0.4]), np.array([0.3, 0.8, -1.1])))
    assert report, report
    assert {entry.name for entry in report.entries} == {"pose", "point"}


def moved(x: Any, u: Any) -> Any:
    turn = np.array([[np.cos(x[2, 0]), 0.0], [np.sin(x[2, 0]), 0.0], [0.0, 1.0]])
    return x + turn @ u


def jacobian_of_state(x: Any, u: Any) -> Any:
    J = np.eye(3)
    J[:2, 2] = -u[0, 0] * np.sin(x[2, 0]), u[0, 0] * np.cos(x[2, 0])
    return J


def with_a_selection(x: Any, u: Any) -> Any:
    J, selected = jacobian_of_state(x, u), np.eye(3)
    return J, selected


def with_twice_that(x: Any, u: Any) -> Any:
    J, selected = 2 * jacobian_of_state(x, u), np.eye(3)
    return J, selected


def with_a_gradient_of_another_shape(x: Any, u: Any) -> Any:
    J, du = jacobian_of_state(x, u), np.eye(3)
    return J, du


@pytest.mark.parametrize(
    ("jacobians", "verdict", "checked"),
    [
        (with_a_selection, "right", ["x"]),
        (with_twice_that, "wrong", ["x"]),
        (with_a_gradient_of_another_shape, "wrong", ["x", "u"]),
    ],
)
def test_what_stands_beside_a_jacobian_is_one_if_it_has_the_shape_or_a_name(jacobians, verdict, checked):
    rng = np.random.default_rng(0)
    report = check_gradients((moved, jacobians), (rng.standard_normal((3, 1)), rng.standard_normal((2, 1))))
    assert report.verdict == verdict
    assert [entry.name for entry in report.entries] == checked
