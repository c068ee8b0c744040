"""Partial functions: what is bound in forward is backward's under the same name, unless that has it bound too."""

from functools import partial

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.calls.partials import arguments_bound, with_bound

X = np.random.default_rng(0).standard_normal((5, 4))
W = np.random.default_rng(1).standard_normal((4, 3))


def leaky(x, alpha):
    return np.where(x > 0, x, alpha * x)


def leaky_cached(x, alpha):
    return np.where(x > 0, x, alpha * x), x


def leaky_of_keywords(x, *, alpha, beta):
    return beta * np.where(x > 0, x, alpha * x)


def alpha_first(alpha, x):
    return leaky(x, alpha)


def slopes(x, alpha):
    return np.where(x > 0, 1.0, alpha)


BACKWARDS = {
    "last": lambda power: lambda dout, x, alpha: dout * slopes(x, alpha**power),
    "first": lambda power: lambda alpha, dout, x: dout * slopes(x, alpha**power),
    "by default": lambda power: _with_default(power),
    "by name": lambda power: _by_name(power),
}


def _with_default(power):
    def backward(dout, x, alpha=0.01):
        return dout * slopes(x, alpha**power)

    return backward


def _by_name(power):
    def backward(dout, x, *, alpha):
        return dout * slopes(x, alpha**power)

    return backward


@pytest.mark.parametrize(("power", "verdict"), [(1, "right"), (2, "wrong")])
@pytest.mark.parametrize("where", BACKWARDS)
@pytest.mark.parametrize(
    "forward", [partial(leaky, alpha=0.3), partial(alpha_first, 0.3), partial(alpha_first, alpha=0.3)]
)
def test_what_is_bound_in_forward_is_given_to_backward_wherever_it_stands_there(forward, where, power, verdict):
    report = check_gradients((forward, BACKWARDS[where](power)), X)
    assert (report["x"].verdict, report.problems) == (verdict, [])
    assert report.target in ("leaky", "alpha_first")


@pytest.mark.parametrize(("power", "verdict"), [(1, "right"), (2, "wrong")])
def test_a_cache_does_not_hinder_it(power, verdict):
    pair = partial(leaky_cached, alpha=0.3), lambda dout, cache, alpha: dout * slopes(cache, alpha**power)
    assert check_gradients(pair, X).verdict == verdict


@pytest.mark.parametrize(("power", "verdict"), [(1, "right"), (2, "wrong")])
def test_arguments_by_name_alone_may_be_bound_all_or_some(power, verdict):
    def backward(dout, x, *, alpha, beta):
        return beta * dout * slopes(x, alpha**power)

    assert check_gradients((partial(leaky_of_keywords, alpha=0.3, beta=2.0), backward), X).verdict == verdict
    assert check_gradients((partial(leaky_of_keywords, alpha=0.3), backward), (X, 2.0))["x"].verdict == verdict


def test_what_backward_has_bound_itself_stays():
    backward = BACKWARDS["last"](1)
    assert check_gradients((partial(leaky, alpha=0.3), partial(backward, alpha=0.3)), X).verdict == "right"
    assert check_gradients((partial(leaky, alpha=0.3), partial(backward, alpha=0.2)), X).verdict == "wrong"


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, "right"), (1.0, "wrong")])
def test_a_loss_with_its_weight_or_its_targets_bound(factor, verdict):
    def loss(p, t, weight):
        return weight * np.sum((p - t) ** 2)

    def gradient(p, t, weight):
        return factor * weight * (p - t)

    assert check_gradients((partial(loss, weight=3.0), gradient), X, X + 1.0).verdict == verdict
    assert check_gradients((partial(loss, t=X + 1.0, weight=3.0), gradient), X)["p"].verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_an_array_that_is_bound_is_data_of_both(factor, verdict):
    pair = partial(lambda x, w: x @ w, w=W), lambda dout, w: factor * dout @ w.T
    report = check_gradients(pair, X)
    assert report["x"].verdict == verdict
    assert report.notes == ["used by the functions, and no gradient is claimed of w: not checked"]


def test_a_gradient_of_a_bound_array_that_is_returned_is_not_passed_over():
    pair = partial(lambda x, w: x @ w, w=W), lambda dout, x, w: (dout @ w.T, 2.0 * x.T @ dout)
    report = check_gradients(pair, X)
    assert (report["x"].verdict, report["w"].verdict) == ("right", "wrong")


def test_the_only_gradient_of_backward_is_not_what_forward_has_bound_under_that_name():
    forward = partial(lambda x, g: (g * x, g), g=9.81)
    assert check_gradients((forward, lambda g, cache: g * cache), X).verdict == "right"
    assert check_gradients((forward, lambda g, cache: g * cache**2), X).verdict == "wrong"


def test_what_is_bound_without_a_name_is_left_as_it_is():
    any_number = partial(lambda *xs: sum(xs), X)
    assert arguments_bound(any_number) == {}
    assert arguments_bound(partial(np.add, X)) == {}
    assert arguments_bound(leaky) == {}
    assert with_bound(any_number, leaky) == (any_number, leaky)
    assert with_bound(partial(leaky, alpha=0.3), None)[1] is None
    ufunc = np.exp
    assert with_bound(partial(leaky, alpha=0.3), ufunc)[1] is ufunc


def times(x, d):
    return d * x, (x, d)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_what_stands_alone_before_the_cache_is_the_gradient_though_forward_has_a_setting_of_that_name(factor, verdict):
    def backward(d, cache):
        return factor * d * cache[1]

    for target, given in (((times, backward), (X, 3)), ((partial(times, d=3), backward), X)):
        report = check_gradients(target, given)
        assert report.verdict == verdict
        found = report["x"].diagnosis
        assert verdict == "right" or (found is not None and found.evidence.startswith("claimed / numerical = 2 "))


def test_what_stands_before_the_cache_may_be_what_forward_was_given():
    def derivative(x, cache):
        assert cache == "nothing"
        return 2.0 * x

    assert check_gradients((lambda x: (x**2, "nothing"), derivative), X).verdict == "right"


def scaled(x, *, gamma, beta, power=1):
    return x**power * gamma + beta, (x, gamma, power)


def scaled_backward(factor):
    def backward(dout, cache):
        x, gamma, power = cache
        dx = dout * gamma * power * x ** (power - 1)
        return {"dx": dx, "dgamma": factor * (dout * x**power).sum(axis=0), "dbeta": dout.sum(axis=0)}

    return backward


@pytest.mark.parametrize("as_tuple", [False, True])
@pytest.mark.parametrize(("factor", "verdict"), [(1, "right"), (2, "wrong")])
def test_arrays_that_are_bound_are_checked_where_backward_has_their_gradients(factor, verdict, as_tuple):
    forward, backward = partial(scaled, gamma=W[:, 0], beta=W[:, 1], power=2), scaled_backward(factor)
    passes = forward, (lambda dout, cache: tuple(backward(dout, cache).values())) if as_tuple else backward
    report = check_gradients(passes, X)
    assert {e.name: e.verdict for e in report.entries} == {"x": "right", "gamma": verdict, "beta": "right"}
    assert report.problems == []


def test_an_array_that_is_bound_and_has_no_gradient_is_none_of_the_inputs():
    report = check_gradients((partial(leaky, alpha=np.full(4, 0.3)), lambda d, x, alpha: d * slopes(x, alpha)), X)
    assert [e.name for e in report.entries] == ["x"]
    assert report.ok
