"""Groups of parameters with settings of their own, and settings that change between steps, beside torch."""

import copy
import pickle

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from torch_ref import bounds, optimizer_settings, optimizer_to_torch, parity, to_torch
from torch_ref.parity import compare


@given(data=st.data(), dtype=our.dtypes, shapes=st.lists(our.shapes, min_size=1, max_size=4), k=st.integers(1, 8))
def test_each_group_is_stepped_as_torch_steps_it_also_when_a_setting_changes(data, dtype, shapes, k):
    parameters = [nn.Parameter(data.draw(our.float_arrays(s, dtype, limit=10.0))) for s in shapes]
    optimizer = data.draw(our.grouped_optimizers(parameters))
    groups = optimizer.param_groups
    order = [(p, i) for i, group in enumerate(groups) for p in group["params"]]
    theirs = [torch.tensor(p.data.copy()) for p, _ in order]
    given = [
        {"params": [t for t, (_, i) in zip(theirs, order, strict=True) if i == index]}
        | optimizer_settings(optimizer, index)
        for index in range(len(groups))
    ]
    their_optimizer = getattr(torch.optim, type(optimizer).__name__)(given)
    held = [bounds.OptimizerBound(optimizer, p.data, i) for p, i in order]
    rng = np.random.default_rng(data.draw(our.seeds))
    for _ in range(k):
        for (p, _), t, h in zip(order, theirs, held, strict=True):
            p.grad[...] = rng.standard_normal(p.shape)
            t.grad = torch.tensor(p.grad.copy())
            with np.errstate(all="ignore"):
                h.step(p.grad)
        optimizer.step()
        their_optimizer.step()
        for (p, _), t, h in zip(order, theirs, held, strict=True):
            assert compare("parameter", p.data, t, h.p).ok
        which = data.draw(st.integers(0, len(groups) - 1))
        changed = {"lr": data.draw(st.floats(1e-4, 1.0)), "maximize": data.draw(st.booleans())}
        groups[which].update(changed)
        their_optimizer.param_groups[which].update(changed)


def network(dtype=np.float64):
    return nn.MLP([4, 5, 3], rng=0, dtype=dtype)


@our.fewer(0.3)
@given(data=st.data(), dtype=our.dtypes)
def test_the_groups_of_a_network_pass_parity(data, dtype):
    net = network(dtype)
    optimizer = data.draw(our.grouped_optimizers(net.parameters()))
    x = np.random.default_rng(data.draw(our.seeds)).standard_normal((6, 4)).astype(dtype)
    parity(net, x, np.arange(6) % 3, nn.CrossEntropyLoss(), optimizer).raise_if_failed()


def train(net, optimizer, steps=3):
    x = np.random.default_rng(0).standard_normal((12, 4)).astype(net.parameters().dtype)
    for _ in range(steps):
        nn.train_step(net, nn.CrossEntropyLoss(), optimizer, x, np.arange(12) % 3)
    return net.parameters().data


def two_groups(net, kind=nn.SGD, **options):
    return kind([{"params": net[0].parameters(), "lr": 0.1}, {"params": net[2].parameters()}], lr=0.01, **options)


def test_the_settings_of_a_group_override_the_defaults():
    net = network()
    optimizer = two_groups(net, momentum=0.9)
    first, second = optimizer.param_groups
    assert (first["lr"], second["lr"]) == (0.1, 0.01)
    assert first["momentum"] == second["momentum"] == 0.9
    assert list(first["params"]) == list(net[0].parameters())
    apart = copy.deepcopy(net)
    train(net, optimizer, 1)
    for layer, lr in ((0, 0.1), (2, 0.01)):
        for ours, before in zip(net[layer].parameters(), apart[layer].parameters(), strict=True):
            np.testing.assert_array_equal(ours.data, before.data - lr * ours.grad)


def test_an_attribute_reads_the_first_group_and_is_set_in_all():
    optimizer = two_groups(network())
    assert optimizer.lr == 0.1
    optimizer.lr = 0.5
    optimizer.weight_decay = 0.25
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(0.5, 0.25)] * 2
    optimizer.param_groups[1]["lr"] = 0.75
    assert optimizer.lr == 0.5


@pytest.mark.parametrize("kind", our.OPTIMIZERS)
def test_groups_of_equal_settings_are_one_group(kind):
    net, other = network(), network()
    one = kind(net.parameters(), 0.05)
    several = kind([{"params": other[0].parameters()}, {"params": list(other[2].parameters())}], 0.05)
    np.testing.assert_array_equal(train(net, one), train(other, several))


@pytest.mark.parametrize("how", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_groups_are_copied_with_their_network(how):
    net = network()
    optimizer = two_groups(net, nn.Adam)
    train(net, optimizer)
    other, theirs = how((net, optimizer))
    theirs.param_groups[1]["lr"] *= 2
    before = train(other, theirs)
    assert optimizer.param_groups[1]["lr"] == 0.01
    assert not np.array_equal(train(net, optimizer), before)


def test_one_parameter_and_a_frozen_one_may_be_in_groups():
    p, q = nn.Parameter(np.zeros(2)), nn.Parameter(np.zeros(2))
    optimizer = nn.SGD([{"params": p}, {"params": [q], "lr": 0.5}], lr=1.0)
    p.grad = q.grad = np.ones(2)
    q.requires_grad = False
    optimizer.step()
    q.requires_grad = True
    optimizer.step()
    np.testing.assert_array_equal([p.data, q.data], [[-2.0, -2.0], [-0.5, -0.5]])


P = nn.Parameter(np.ones(2))


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (
            [{"params": P, "rate": 1.0}],
            ValueError,
            "group 0: expected params, lr, weight_decay, momentum, .*, got rate$",
        ),
        ([{"params": P}, {"params": []}], ValueError, "group 1: expected at least one, got none"),
        ([{"lr": 1.0}], ValueError, 'group 0: expected "params" in it'),
        ([{"params": P}, {"params": [P]}], ValueError, "one of them is given twice"),
        ([{"params": P}, P], TypeError, "expected Parameter objects, got dict"),
        ([{"params": np.ones(2)}], TypeError, "expected Parameter objects, got"),
        ([{"params": P, "lr": -1.0}], ValueError, "lr: expected a finite number >= 0, got -1"),
        ([{"params": P, "nesterov": True}], ValueError, "nesterov: expected momentum > 0"),
    ],
)
def test_wrong_groups_are_refused(groups, error, message):
    with pytest.raises(error, match=message):
        nn.SGD(groups)


def test_groups_need_their_network_for_a_twin():
    net = network()
    twin, optimizer = to_torch(net), two_groups(net)
    with pytest.raises(ValueError, match="expected net= with it"):
        optimizer_to_torch(optimizer, twin)
    theirs = optimizer_to_torch(optimizer, twin, net=net)
    assert [group["lr"] for group in theirs.param_groups] == [0.1, 0.01]
    assert [len(group["params"]) for group in theirs.param_groups] == [2, 2]
    with pytest.raises(ValueError, match=r"none of 2\.weight, 2\.bias"):
        optimizer_to_torch(nn.SGD([{"params": [p]} for p in net[0].parameters()]), twin, net=net)
    with pytest.raises(ValueError, match="one group"):
        optimizer_to_torch(optimizer, twin, net=net, fused=True, tensor_lr=True)
    with pytest.raises(ValueError, match="no fused RMSprop"):
        optimizer_to_torch(nn.RMSprop(net.parameters()), twin, fused=True)


@pytest.mark.parametrize("after", [0, 2])
def test_the_first_step_with_momentum_is_not_dampened(after):
    p, t = nn.Parameter(np.zeros(3)), torch.zeros(3, dtype=torch.float64)
    ours, theirs = nn.SGD([p], 0.5, dampening=0.5), torch.optim.SGD([t], 0.5, dampening=0.5)
    for step in range(5):
        if step == after:
            ours.momentum = theirs.param_groups[0]["momentum"] = 0.5
        p.grad = np.arange(3.0) + step
        t.grad = torch.tensor(p.grad)
        ours.step()
        theirs.step()
        np.testing.assert_array_equal(p.data, t.numpy())  # halves of small numbers: nothing rounds


@given(betas=st.lists(st.tuples(st.floats(0.0, 0.95), st.floats(0.0, 0.999)), min_size=2, max_size=8), seed=our.seeds)
def test_amsgrad_s_maximum_is_torchs_when_betas_change(betas, seed):
    p, t = nn.Parameter(np.ones(4)), torch.ones(4, dtype=torch.float64)
    ours, theirs = nn.Adam([p], 0.1, betas[0], amsgrad=True), torch.optim.Adam([t], 0.1, betas[0], amsgrad=True)
    rng = np.random.default_rng(seed)
    for pair in betas:
        ours.betas = pair
        theirs.param_groups[0]["betas"] = pair
        # Gradients that shrink let the maximum matter.
        p.grad = rng.standard_normal(4) / ours.steps if ours.steps else rng.standard_normal(4)
        t.grad = torch.tensor(p.grad)
        ours.step()
        theirs.step()
        v, largest = (theirs.state[t][name].numpy() for name in ("exp_avg_sq", "max_exp_avg_sq"))
        for name, array in (("sum_sq", v), ("max_sum_sq", largest)):
            # A rounding or two for each of the factors and sums so far.
            relative = 16 * len(betas) * 2.0**-53
            np.testing.assert_allclose(ours.state[0][name] * (1.0 - pair[1]), array, rtol=relative, atol=0)


def test_amsgrad_may_be_switched_on_between_steps():
    p = nn.Parameter(np.ones(2))
    optimizer = nn.Adam([p])
    p.grad = np.ones(2)
    optimizer.step()
    optimizer.amsgrad = True
    optimizer.step()
    np.testing.assert_array_equal(optimizer.state[0]["max_sum_sq"], optimizer.state[0]["sum_sq"])
    p.grad = np.zeros(2)
    optimizer.step()
    assert (optimizer.state[0]["max_sum_sq"] > optimizer.state[0]["sum_sq"]).all()


def test_rmsprop_may_be_centered_and_get_momentum_in_any_order():
    results = []
    for names in (("centered", "momentum"), ("momentum", "centered")):
        p = nn.Parameter(np.ones(3))
        optimizer = nn.RMSprop([p])
        for step, name in enumerate(("", *names)):
            if name:
                setattr(optimizer, name, 0.5 if name == "momentum" else True)
            optimizer._lay_out()
            if step == 2:
                for value in range(3):
                    p.grad = np.arange(3.0) + value
                    optimizer.step()
        results.append(p.data)
    np.testing.assert_array_equal(*results)


def test_maximizing_is_minimizing_the_negative():
    for kind in our.OPTIMIZERS:
        p, q = nn.Parameter(np.ones(3)), nn.Parameter(np.ones(3))
        ours, theirs = kind([p], maximize=True, weight_decay=0.1), kind([q], weight_decay=0.1)
        for step in range(3):
            p.grad = np.arange(3.0) + step
            q.grad = -p.grad
            ours.step()
            theirs.step()
        np.testing.assert_array_equal(p.data, q.data)


@pytest.mark.parametrize("as_list", [False, True])
def test_gradients_can_be_set_to_zero(as_list):
    net = network()
    optimizer = nn.SGD(list(net.parameters()) if as_list else net.parameters())
    net.parameters().grad[...] = 1.0
    optimizer.zero_grad()
    assert not net.parameters().grad.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.RMSprop([P], alpha=-0.1), "alpha"),
        (lambda: nn.RMSprop([P], eps=np.inf), "eps"),
        (lambda: nn.RMSprop([P], momentum=-1.0), "momentum"),
        (lambda: nn.SGD([P], momentum=0.9, dampening=0.1, nesterov=True), "nesterov: expected dampening 0"),
        (lambda: nn.SGD([P], dampening=np.nan), "dampening"),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
