"""Random networks, end to end: every number of a forward pass, a backward pass and some steps equals torch's."""

from dataclasses import replace

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from torch_ref import ParityReport, parity
from torch_ref.bounds import loss_terms
from torch_ref.parity import Row, compare, in_columns
from torch_ref.rounding import Rounded, as_rounded

NAMES = {"share": "difference", "ours_share": "numpy_nn", "torch_share": "torch"}


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_in_bounds_up_to_the_bound_itself(name):
    row = Row("y", (1,), (0,), 1.0, 1.0, 0.0, 1.0, 0.0, **dict.fromkeys(NAMES, 0.5) | {name: 1.0})
    assert (row.ok, row.verdict, row.room) == (True, "ok", 1.0)
    row = replace(row, **{name: np.nextafter(1.0, 2.0)})
    assert (row.ok, row.verdict) == (False, f"FAILED: {NAMES[name]}")


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_engines_may_be_twice_the_error_apart_and_each_the_error_and_that_of_the_value_from_it(dtype):
    held = Rounded([1.0, 1.0], [0.125, 0.25], dtype=dtype)
    # In float64 the value has the error of that arithmetic itself, once more.
    of_value = 2.0 if dtype is np.float64 else 1.0 + 2.0**-29

    def row(*, ours, theirs):
        return compare("y", np.array([1.0, ours], dtype), torch.tensor([1.0, theirs], dtype=torch.float64), held)

    apart = row(ours=0.75, theirs=1.25)
    assert (apart.index, apart.difference, apart.bound, apart.share) == ((1,), 0.5, 0.5, 1.0)
    assert apart.ours_share == apart.torch_share == 1.0 / of_value
    assert apart.verdict == "ok"
    assert row(ours=0.75, theirs=1.2501).verdict.startswith("FAILED: difference")
    assert row(ours=1.75, theirs=1.75).verdict == "FAILED: numpy_nn, torch"


@our.fewer(0.5)
@given(data=st.data(), n=our.rows, dtype=our.dtypes)
def test_random_networks_agree_with_torch_within_the_derived_bounds(data, n, dtype):
    net = data.draw(our.networks(dtype, n))
    width = our.in_features(net)
    x = data.draw(our.float_arrays((n, width), dtype, limit=100.0))
    shape = (n, net.output_shape((width,))[0])
    loss, target = data.draw(our.losses_with_targets(shape, dtype))
    optimizer = data.draw(our.optimizers(net.parameters()))
    before = net.state_dict()
    report = parity(net, x, target, loss, optimizer, steps=data.draw(st.integers(1, 5)))
    report.raise_if_failed()
    # An infinite bound says nothing. Only chained ones may give up, and those of steps that diverge.
    held = [row for row in report.rows if not row.quantity.startswith("network") and " after " not in row.quantity]
    assert all(np.isfinite(row.bound) for row in held)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("fan_in", [784, 4096])
@given(data=st.data(), n=our.rows, dtype=our.dtypes)
@our.fewer(0.1)
def test_wide_layers_agree_with_torch_however_large_their_biases(fan_in, data, n, dtype):
    net = nn.Sequential(data.draw(our.linears(fan_in, data.draw(st.integers(1, 32)), dtype)), nn.Tanh())
    x = data.draw(our.float_arrays((n, fan_in), dtype, limit=100.0))
    loss, target = data.draw(our.losses_with_targets((n, net[0].out_features), dtype))
    parity(net, x, target, loss).raise_if_failed()


def test_the_gradient_of_bce_with_logits_stays_within_its_bound_also_where_the_sigmoid_is_far_below_the_target():
    z = np.linspace(-60.0, 60.0, 4001, dtype=np.float32)
    t = np.random.default_rng(0).random(z.size, dtype=np.float32)
    t[::3] = 0.0027385  # what a random network found
    loss = nn.BCEWithLogitsLoss(reduction="sum")
    loss(z[None], t[None])
    theirs = torch.tensor(z, requires_grad=True)
    torch.nn.functional.binary_cross_entropy_with_logits(theirs, torch.tensor(t), reduction="sum").backward()
    assert theirs.grad is not None
    bound = loss_terms(loss, as_rounded(z), t)[1]
    for gradient in (loss.backward()[0], theirs.grad.numpy()):
        assert np.all(np.abs(gradient - bound.value) <= bound.error)


def small_report() -> ParityReport:
    net = nn.MLP([4, 5, 3], rng=0)
    x = np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32)
    return parity(net, x, np.arange(6) % 3, nn.CrossEntropyLoss(), steps=2)


def test_the_report_names_every_quantity():
    report = small_report()
    names = [row.quantity for row in report.rows]
    assert names == [
        "0 Linear output",
        "1 ReLU output",
        "2 Linear output",
        "loss",
        "loss gradient",
        "2 Linear input gradient",
        "2 Linear weight gradient",
        "2 Linear bias gradient",
        "1 ReLU input gradient",
        "0 Linear input gradient",
        "0 Linear weight gradient",
        "0 Linear bias gradient",
        "network output",
        "network loss",
        "network input gradient",
        "0.weight after 2 steps of SGD",
        "0.bias after 2 steps of SGD",
        "2.weight after 2 steps of SGD",
        "2.bias after 2 steps of SGD",
    ]
    assert report.ok
    assert "\n19 quantities: all within their bounds, which could be " in str(report)
    assert report.worst.worst_share == max(row.worst_share for row in report.rows)


def test_a_quantity_out_of_bounds_is_said():
    report = small_report()
    for changes, said in (
        ({"share": 1.5}, "FAILED: difference"),
        ({"ours_share": 1.5}, "FAILED: numpy_nn"),
        ({"torch_share": np.nan}, "FAILED: torch"),
    ):
        report = small_report()
        report.rows[3] = replace(report.rows[3], **changes)
        assert not report.ok
        with pytest.raises(AssertionError, match=rf"(?s)\nloss [^\n]* {said}\n.*: 1 out of bounds"):
            report.raise_if_failed()


def test_the_report_says_how_sharp_its_bounds_are():
    report = small_report()
    report.rows = [
        replace(report.rows[0], share=0.25, ours_share=0.5, torch_share=0.125),
        replace(report.rows[0], share=0.0, ours_share=0.0, torch_share=0.0),
        *(replace(report.rows[0], share=0.0, ours_share=s, torch_share=0.0) for s in (0.125, 0.01)),
    ]
    assert [row.room for row in report.rows] == [2.0, np.inf, 8.0, 100.0]
    assert report.median_room == 8.0
    assert str(report).splitlines()[2].split()[-2:] == ["2", "ok"]
    assert str(report).endswith("which could be 8 times smaller (median)")


class WrongReLU(nn.ReLU):
    """Derivative 1 everywhere: off by far more than rounding."""

    def backward(self, grad_output):
        super().backward(grad_output)
        return grad_output


class HalfAUnitOff(nn.Linear):
    """A weight gradient that is 1e-6 too large, relatively: beyond rounding in float64."""

    def backward(self, grad_output):
        grad = super().backward(grad_output)
        self.weight.grad *= 1 + 1e-6
        return grad


@pytest.mark.parametrize("wrong", [WrongReLU(), HalfAUnitOff(4, 4, rng=0, dtype=np.float64)])
def test_a_wrong_backward_is_found(wrong, monkeypatch):
    kind = type(wrong).__mro__[1]
    monkeypatch.setitem(__import__("torch_ref.twin", fromlist=["x"]).TO_TORCH, type(wrong), _counterpart(kind))
    monkeypatch.setitem(nn.ACTIVATION_LAYERS, "relu", type(wrong) if kind is nn.ReLU else nn.ReLU)
    net = nn.Sequential(nn.Linear(4, 4, rng=0, dtype=np.float64), wrong, nn.Linear(4, 2, rng=0, dtype=np.float64))
    x = np.random.default_rng(1).standard_normal((6, 4))
    report = parity(net, x, np.arange(6) % 2, nn.CrossEntropyLoss())
    failed = [row.quantity for row in report.rows if not row.ok]
    expected = "1 WrongReLU input gradient" if kind is nn.ReLU else "1 HalfAUnitOff weight gradient"
    assert failed[0] == expected


def _counterpart(kind):
    from torch_ref.twin import TO_TORCH

    return TO_TORCH[kind]


def test_a_layer_without_a_counterpart_is_refused_by_name():
    class Strange(nn.ReLU):
        pass

    with pytest.raises(TypeError, match="Strange has no counterpart"):
        parity(nn.Sequential(nn.Linear(2, 2), Strange()), np.ones((2, 2), np.float32), np.zeros(2, int), nn.MSELoss())


def test_a_network_without_parameters_has_no_steps_to_compare():
    report = parity(nn.Sequential(nn.Tanh()), np.ones((2, 2)), np.zeros((2, 2)), nn.MSELoss())
    assert report.ok
    assert not any("steps" in row.quantity for row in report.rows)


def test_equal_infinities_and_nans_agree_but_not_one_alone():
    x = np.array([[np.inf, -np.inf, np.nan, 1.0]])
    report = parity(nn.Sequential(nn.ReLU()), x, np.zeros((1, 4)), nn.MSELoss("none"))
    assert report.rows[0].ok


def test_a_table_has_its_words_to_the_left_its_numbers_to_the_right_and_its_verdict_last():
    head, row = ("a", "bb", "c", "1", "22", "ok"), ("aa", "b", "cc", "333", "4", "FAILED: numpy_nn")
    assert in_columns([head, row]) == ["a   bb  c     1  22  ok", "aa  b   cc  333   4  FAILED: numpy_nn"]
    # A report may have no rows.
    assert in_columns([head]) == ["a  bb  c  1  22  ok"]


def test_a_report_whose_values_are_all_equal_or_that_has_no_rows_has_any_room():
    report = ParityReport("nothing compared")
    assert report.ok
    assert report.median_room == np.inf
    equal = compare("x", np.ones(2), torch.ones(2, dtype=torch.float64), as_rounded(np.ones(2)))
    report.rows.append(equal)
    assert report.median_room == np.inf
    assert str(report).endswith("1 quantities: all within their bounds, which could be inf times smaller (median)")
