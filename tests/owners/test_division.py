"""Which part of each array a process owns, and that the parts make the whole again."""

import copy

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.owners.division import agrees, divide, form, join, share


@pytest.mark.parametrize(
    ("n", "size", "lead", "ends"),
    [
        (4, 2, 0, [2, 4]),
        (7, 3, 0, [2, 4, 7]),
        (3, 3, 0, [1, 2, 3]),
        (5, 1, 0, [5]),
        (1, 2, 0, [1, 1]),
        (100, 2, 10, [45, 100]),
        (100, 3, 10, [26, 63, 100]),
        (100, 2, 60, [25, 100]),
        (3, 3, 60, [1, 2, 3]),
    ],
)
def test_each_unit_is_of_one_process(n, size, lead, ends):
    shares = [share(n, rank, size, lead) for rank in range(size)]
    assert [(one.start, one.stop) for one in shares] == list(zip([0, *ends[:-1]], ends, strict=True))


def network():
    """Two hidden layers, of 4 and 6 units, with running statistics that are not those of the start."""
    net = nn.MLP([3, 4, 6, 2], "tanh", batch_norm=True, rng=0, dtype=np.float64)
    rng = np.random.default_rng(1)
    for p in net.parameters():
        p.data[...], p.grad[...] = rng.standard_normal((2, *p.shape))
    net(rng.standard_normal((5, 3)))
    return net


ALL = slice(None)


@pytest.mark.parametrize(("rank", "of_four", "of_six", "of_two"), [
    (0, slice(0, 1), slice(0, 3), slice(0, 1)), (1, slice(1, 4), slice(3, 6), slice(1, 2)),
])  # fmt: skip
def test_a_process_has_the_columns_of_the_first_weights_and_of_others_the_rows_that_meet_its_units(
    rank, of_four, of_six, of_two
):
    net = network()
    part = divide(net, nn.SGD(net.parameters(), 0.1), rank, 2).net
    whole, own = dict(net.named_state()), dict(part.named_state())
    owned = {"0.weight": (ALL, of_four), "3.weight": of_four, "6.weight": of_six}
    owned |= {"0.bias": of_four, "3.bias": of_six, "6.bias": of_two}
    for place, units in (("1", of_four), ("4", of_six)):
        owned |= {f"{place}.{name}": units for name in ("weight", "bias", "running_mean", "running_var")}
    for name, index in owned.items():
        np.testing.assert_array_equal(own[name], whole[name][index], err_msg=name)
        assert not np.shares_memory(own[name], whole[name])
    assert own.keys() - owned.keys() == {"1.num_batches_tracked", "4.num_batches_tracked"}


@pytest.mark.parametrize("size", [2, 3])
def test_what_is_divided_and_joined_is_as_it_was(size):
    net = network()
    optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.5)
    optimizer.step()
    parts = [divide(net, optimizer, rank, size) for rank in range(size)]
    before = {name: array.copy() for name, array in nn.TrainingState(net, optimizer).state_dict().items()}
    for array in (*(array for _, array in net.named_state()), net.parameters().grad):
        array[...] = 0
    for part in parts:
        join(part, net.leaves(), optimizer)
    after = nn.TrainingState(net, optimizer).state_dict()
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array, err_msg=name)


def test_parameters_of_one_group_are_one_vector_and_those_of_several_are_apart():
    net = network()
    together = divide(net, nn.SGD(net.parameters(), 0.1), 0, 2)
    assert [holder.size for holder in together.optimizer._holders] == [together.net.parameters().size]
    groups = [{"params": net[0].parameters(), "lr": 0.5}, {"params": net[6].parameters()}]
    apart = divide(net, nn.SGD(groups, 0.1), 0, 2)
    assert [holder.size for holder in apart.optimizer._holders] == [3, 1, 6, 1]
    assert [group["lr"] for group in apart.optimizer.param_groups] == [0.5, 0.1]


def test_a_part_s_optimizer_has_a_step_of_its_own():
    net = network()
    optimizer = nn.SGD(net.parameters(), 0.1)
    vars(optimizer)["step"] = lambda: None  # as while it is owned
    part = divide(net, optimizer, 0, 2)
    before = copy.deepcopy(part.net.parameters().data)
    part.optimizer.step()
    np.testing.assert_allclose(part.net.parameters().data, before - 0.1 * part.net.parameters().grad)


def changes(net, optimizer):
    """What somebody may do between two epochs that the processes have to be told."""
    bits = net[0].weight.grad.view(np.uint64)
    return {
        "a value": lambda: net[3].bias.data.__setitem__(2, 7.0),
        "the sign of a 0": lambda: bits.__setitem__((0, 0), bits[0, 0] ^ np.uint64(1 << 63)),
        "a running statistic": lambda: net[4].running_var.__setitem__(5, 7.0),
        "a count": lambda: net[1].num_batches_tracked.__setitem__(..., 9),
        "momentum": lambda: optimizer.state[0]["momentum_buffer"].__setitem__(-1, 7.0),
        "steps": lambda: setattr(optimizer, "steps", 9),
        "what the optimizer keeps": lambda: optimizer.param_groups[0].__setitem__("momentum_begun", False),
        "an array that it keeps": lambda: vars(optimizer).update(state=[{}]),
        "the next numbers": lambda: net[6].rng.random(),
    }


def with_dropout():
    """A network, its optimizer after a step, and the parts of two processes."""
    net = network()
    net[0].weight.grad[0, 0] = 0.0
    net = nn.Sequential(*net[:6], nn.Dropout(0.5, rng=1), net[6])
    optimizer = nn.SGD(net.parameters(), 0.1, momentum=0.5)
    optimizer.step()
    return net, optimizer, [divide(net, optimizer, rank, 2) for rank in range(2)]


@pytest.mark.parametrize("what", changes(*with_dropout()[:2]))
def test_a_change_is_seen_by_the_process_that_owns_it(what):
    net, optimizer, parts = with_dropout()
    before = form(net)
    assert all(agrees(part, net.leaves(), optimizer) for part in parts)
    changes(net, optimizer)[what]()
    assert not all(agrees(part, net.leaves(), optimizer) for part in parts)
    for part in parts:
        join(part, net.leaves(), optimizer)
    if "keeps" not in what:
        assert all(agrees(part, net.leaves(), optimizer) for part in parts)
    assert len(form(net)) == len(before)
    assert all(one is other for one, other in zip(form(net), before, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.eval(),
        lambda net: setattr(net[0].weight, "requires_grad", False),
        lambda net: net[2].options.__setitem__("alpha", 0.5),
        lambda net: setattr(net[6], "p", 0.25),
        lambda net: setattr(net[6], "rng", np.random.default_rng(1)),
        lambda net: net.__setitem__(5, nn.Tanh()),
    ],
)
def test_what_is_no_number_is_seen_as_another_form(change):
    net, _, _ = with_dropout()
    net[2] = nn.ELU()
    net.train()
    before = form(net)
    net.predict(np.zeros((2, 3)))  # after which all is as it was
    assert all(one is other for one, other in zip(form(net), before, strict=True))
    change(net)
    now = form(net)
    assert len(now) != len(before) or any(one is not other for one, other in zip(now, before, strict=True))


def test_numbers_of_another_type_are_seen_though_the_form_is_the_same():
    net = nn.MLP([3, 4, 2], rng=0)
    optimizer = nn.SGD(net.parameters(), 0.1)
    part, before = divide(net, optimizer, 0, 2), form(net)
    net.to(np.float64)
    assert all(one is other for one, other in zip(form(net), before, strict=True))
    assert not agrees(part, net.leaves(), optimizer)
