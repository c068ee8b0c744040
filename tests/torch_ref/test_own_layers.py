"""Layers of one's own that hold layers: their torch twins, and parity with derived bounds."""

import copy
from typing import Any

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st
from own_layers import Residual
from run_bound import RunBound

import numpy_nn as nn
from torch_ref import from_torch, loss_to_torch, optimizer_to_torch, parameters_as_numpy, parity, to_torch
from torch_ref.bounds import own_layers
from torch_ref.bounds.own_layers import Traced
from torch_ref.rounding import as_rounded

WIDTH = 4


class Gated(nn.Layer):
    """Arithmetic between layers: slices, a product, a mean, parameters in a list, a buffer, in-place sums."""

    buffers = ("shift",)

    def __init__(self, dtype, wrong=()):
        self.fc = nn.Linear(WIDTH, 2 * WIDTH, rng=0, dtype=dtype)
        self.gate = nn.Sequential(nn.LayerNorm(WIDTH, dtype=dtype), nn.Sigmoid())
        self.scales = [nn.Parameter(np.linspace(0.5, 1.5, WIDTH, dtype=dtype)), nn.Parameter(np.full(1, 0.7, dtype))]
        self.shift = np.linspace(-1, 1, WIDTH, dtype=dtype)
        self.wrong = dict(wrong)

    def forward(self, x):
        h = self.fc(x)
        self.a, self.b = h[:, :WIDTH], self.gate(h[:, WIDTH:])
        self.c = self.a * self.b
        y = self.c * self.scales[0].data / 2 + x.mean(axis=1, keepdims=True) * self.scales[1].data
        y += x - self.shift
        return y

    def backward(self, grad_output):
        x, g, wrong = self.saved, grad_output, self.wrong
        self.scales[0].grad = (g * self.c / 2).sum(axis=0) * wrong.get("scales.0", 1)
        rows = g.sum(axis=1, keepdims=True)
        self.scales[1].grad[...] = np.sum(rows * x.mean(axis=1, keepdims=True)).reshape(1)
        g_c = g * (self.scales[0].data / 2)
        # The gradients of slices, put together by the two parts of the product that they come from.
        left, right = g_c * self.b, self.gate.backward(g_c * self.a)
        w = self.fc.weight.data
        self.fc.backward(together(left, right))
        self.fc.weight.grad = self.fc.weight.grad * wrong.get("fc.weight", 1)
        through = left @ w[:, :WIDTH].T + right @ w[:, WIDTH:].T
        return (g + rows * (self.scales[1].data / WIDTH) + through) * wrong.get("input", 1)


def test_an_array_with_a_bound_is_as_long_as_its_first_axis():
    traced = Traced(as_rounded(np.zeros((5, 3))))
    assert len(traced) == 5
    assert (traced.shape, traced.ndim) == ((5, 3), 2)
    assert traced.dtype == np.float64


MATRIX = np.arange(1.0, 13.0).reshape(3, 4) / 8.0
FORMULAS = {
    "2 + x": lambda x, _: 2.0 + x,
    "3 - x": lambda x, _: 3.0 - x,
    "x - y": lambda x, y: x - y,
    "2 x": lambda x, _: 2.0 * x,
    "1 / x": lambda x, _: 1.0 / x,
    "x / y": lambda x, y: x / y,
    "-x": lambda x, _: -x,
    "y x twice": lambda x, y: x * y + x,
    "x / sum of rows": lambda x, _: x / x.sum(1, True),
    "x - mean": lambda x, _: x - x.mean(0),
    "x y^T": lambda x, y: x @ y.T,
    "a column": lambda x, _: x[:, 1:2] * x,
    "reshaped": lambda x, y: x.reshape(4, 3) @ y,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_arrays_with_bounds_have_values_and_gradients_as_torchs_arrays_have(name):
    theirs = [torch.tensor(array, requires_grad=True) for array in (MATRIX, MATRIX + 1.0)]
    ours = [Traced(as_rounded(array.detach().numpy())) for array in theirs]
    output, made = FORMULAS[name](*theirs), FORMULAS[name](*ours)
    np.testing.assert_allclose(made.rounded.value, output.detach().numpy(), rtol=1e-14)
    g = np.cos(np.arange(made.rounded.value.size)).reshape(made.shape)
    gradients = own_layers._chain_rule(made, as_rounded(g))
    for leaf, one in zip(theirs, ours, strict=True):
        (gradient,) = torch.autograd.grad(output, leaf, torch.tensor(g), allow_unused=True, retain_graph=True)
        assert (id(one) in gradients) == (gradient is not None)
        if gradient is not None:
            np.testing.assert_allclose(gradients[id(one)].value, gradient.numpy(), rtol=1e-13, atol=1e-15)


def test_a_number_array_before_one_with_a_bound_is_multiplied_with_it():
    made: Any = MATRIX.T @ Traced(as_rounded(MATRIX))
    np.testing.assert_allclose(made.rounded.value, MATRIX.T @ MATRIX, rtol=1e-15)


def together(left, right):
    """[left right], by products with parts of the identity, which round nothing and which Rounded arrays have."""
    eye = np.eye(2 * WIDTH, dtype=left.dtype)
    return left @ eye[:WIDTH] + right @ eye[WIDTH:]


class Shared(nn.Layer):
    """One activation in two places, run forward again before its first use goes back; blocks within the block."""

    def __init__(self, dtype, right=True):
        self.act = nn.Tanh()
        self.first = [nn.Linear(WIDTH, WIDTH, rng=0, dtype=dtype), self.act]
        self.second = {"block": Residual(WIDTH, dtype), "act": self.act, "gated": Gated(dtype)}
        self.right = right

    def forward(self, x):
        self.z = self.first[0](x)
        return self.second["gated"](self.act(self.second["block"](self.act(self.z))))

    def backward(self, grad_output):
        g = self.second["block"].backward(self.act.backward(self.second["gated"].backward(grad_output)))
        if self.right:
            self.act(self.z)
        return self.first[0].backward(self.act.backward(g))


BLOCKS: dict[str, Any] = {"residual": lambda dtype: Residual(WIDTH, dtype), "gated": Gated, "shared": Shared}
every_block = pytest.mark.parametrize("name", BLOCKS)


def network(name, dtype):
    return nn.Sequential(
        nn.Linear(3, WIDTH, rng=1, dtype=dtype), BLOCKS[name](dtype), nn.Linear(WIDTH, 2, rng=2, dtype=dtype)
    )


def drawn(rng, dtype, rows=6):
    return rng.standard_normal((rows, 3)).astype(dtype), np.arange(rows) % 2


@pytest.mark.slow
@pytest.mark.numerical
@every_block
@given(seed=our.seeds, dtype=our.dtypes, rows=st.integers(2, 12))
@our.fewer(0.1)
def test_blocks_agree_with_their_twins_within_the_derived_bounds(name, seed, dtype, rows):
    rng = np.random.default_rng(seed)
    net = network(name, dtype)
    for p in net.parameters():
        p.data += rng.standard_normal(p.data.shape).astype(dtype)
    rest = [*net[2].parameters(), *net[0].parameters()]
    optimizer = nn.Adam([{"params": net[1].parameters(), "lr": 0.03}, {"params": rest}], 0.1)
    x, y = drawn(rng, dtype, rows)
    report = parity(net, x, y, nn.CrossEntropyLoss(), optimizer)
    report.raise_if_failed()
    # A batch norm of two rows may find them so near to each other that float32 leaves nothing of their variance.
    if dtype is np.float64:
        assert all(np.isfinite(row.bound) for row in report.rows if not row.quantity.startswith("network"))
    names = {row.quantity for row in report.rows}
    assert {f"1 {type(net[1]).__name__} {n} gradient" for n, _ in net[1].named_parameters()} <= names
    assert (f"1 {type(net[1]).__name__} norm.running_var" in names) == (name == "residual")
    parity(net.eval(), x, y, nn.CrossEntropyLoss()).raise_if_failed()


@every_block
def test_a_twin_has_the_names_the_state_and_the_modes(name):
    net = network(name, np.float32)
    net[1].eval()
    twin = to_torch(net)
    state, theirs = net.state_dict(), twin.state_dict()
    assert set(state) == set(theirs)
    assert {name for name, _ in net.named_parameters()} == {name for name, _ in twin.named_parameters()}
    arrays = dict(parameters_as_numpy(twin))
    for key, p in net.named_parameters():
        np.testing.assert_array_equal(arrays[key], p.data)
    assert not any(module.training for module in twin[1].modules() if type(module) is not torch.nn.Module)
    assert twin.training
    before = net.state_dict()
    with torch.no_grad():
        for tensor in theirs.values():
            tensor.fill_(7)
    for key, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


@pytest.mark.slow
@pytest.mark.numerical
@every_block
def test_blocks_end_some_steps_of_training_where_their_twins_do(name):
    net = network(name, np.float64)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # torch would draw other masks
    twin = to_torch(net)
    x, y = drawn(np.random.default_rng(0), np.float64, 36)
    loader = nn.DataLoader(x, y, 12, shuffle=False)
    loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.01, momentum=0.9)
    theirs, their_loss = optimizer_to_torch(optimizer, twin), loss_to_torch(loss)
    held = RunBound(net, loss, loader, 1)
    with np.errstate(all="ignore"):
        nn.fit(net, loss, optimizer, loader, 1, callbacks=[held])
    for rows in np.split(np.arange(36), 3):
        theirs.zero_grad()
        their_loss(twin(torch.tensor(x[rows])), torch.tensor(y[rows])).backward()
        theirs.step()
    for engine in (net.state_dict(), dict(parameters_as_numpy(twin))):
        for key, rounded in held.parameters().items():
            assert rounded.error.max() < 1e-6, key
            assert (np.abs(engine[key] - rounded.value) <= rounded.reach).all(), key


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("what", ["scales.0", "fc.weight", "input"])
def test_a_gradient_that_is_off_by_little_is_found(what, dtype):
    off = {np.float64: 1e-6, np.float32: 1e-4}[dtype]
    net = nn.Sequential(Gated(dtype, [(what, 1 + off)]), nn.Linear(WIDTH, 2, rng=2, dtype=dtype))
    x = np.random.default_rng(0).standard_normal((6, WIDTH)).astype(dtype)
    report = parity(net, x, np.arange(6) % 2, nn.CrossEntropyLoss())
    assert next(row.quantity for row in report.rows if not row.ok) == f"0 Gated {what} gradient"


def test_an_activation_that_is_used_twice_and_goes_back_once_is_found():
    net = nn.Sequential(Shared(np.float64, right=False))
    x = np.random.default_rng(0).standard_normal((6, WIDTH))
    report = parity(net, x, x, nn.MSELoss())
    failed = [row.quantity for row in report.rows if not row.ok]
    assert failed[:2] == ["0 Shared input gradient", "0 Shared first.0.weight gradient"]


class WithNumPy(nn.Layer):
    """A function of NumPy's."""

    def forward(self, x):
        return np.tanh(x)

    def backward(self, grad_output):
        return grad_output * (1 - np.tanh(self.saved) ** 2)


class BackWithNumPy(nn.Layer):
    """The same in backward alone."""

    def __init__(self):
        self.act = nn.Tanh()

    def forward(self, x):
        return self.act(x)

    def backward(self, grad_output):
        return grad_output * (1 - np.tanh(self.saved) ** 2)


class Inherits(Residual):
    """A formula that calls its parent's."""

    def forward(self, x):
        return super().forward(x)


class Twice(nn.Layer):
    """A Dropout that draws two masks and keeps one."""

    def __init__(self):
        self.drop = nn.Dropout(0.5, rng=0)

    def forward(self, x):
        return self.drop(self.drop(x))

    def backward(self, grad_output):
        return self.drop.backward(grad_output)


class Noise(nn.Layer):
    """Random numbers of its own."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        return x * self.rng.standard_normal()

    def backward(self, grad_output):
        return grad_output  # of the wrong size, too


class Holds(nn.Layer):
    """A layer of numpy_nn's class without a counterpart, inside one that has one."""

    class Strange(nn.ReLU):
        pass

    def __init__(self):
        self.inner = [self.Strange()]

    def forward(self, x):
        return self.inner[0](x)

    def backward(self, grad_output):
        return self.inner[0].backward(grad_output)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (WithNumPy(), r"^layer 0, WithNumPy\(\): 'return np.tanh\(x\)' cannot be run on .*; expected forward written"),
        (BackWithNumPy(), r"'return grad_output \* \(1 .*' cannot be run on arrays with bounds.*; expected backward"),
        (Inherits(WIDTH), r"'return super\(\).forward\(x\)' cannot be run on tensors"),
        (Twice(), r"Dropout\(p=0.5\) is called twice and keeps one mask; expected a Dropout a place"),
        (Noise(), r"draws random numbers, of which torch draws others; expected eval\(\)"),
        (Holds(), r"Strange\(\): Strange has no counterpart in torch.nn"),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_what_cannot_be_compared_is_refused_in_a_line_that_says_what_to_do(layer, words):
    x = np.random.default_rng(0).standard_normal((6, WIDTH))
    with pytest.raises(TypeError, match=words) as raised:
        parity(nn.Sequential(layer), x, x, nn.MSELoss())
    assert len(str(raised.value).splitlines()) == 1


def test_a_twin_of_a_block_says_that_it_has_no_way_back():
    with pytest.raises(TypeError, match="OwnLayer has no counterpart in numpy_nn"):
        from_torch(to_torch(Residual(WIDTH)))


def test_a_copy_of_a_twin_learns_apart_from_it():
    twin = to_torch(Gated(np.float32))
    other = copy.deepcopy(twin)
    x = torch.ones(2, WIDTH)
    before = twin(x)
    with torch.no_grad():
        for p in other.parameters():
            p.fill_(0)
    assert torch.equal(twin(x), before)
    assert torch.equal(other(x), x - other.shift)


def test_a_twin_follows_train_and_eval():
    layer = Residual(WIDTH, np.float32)
    twin = to_torch(layer)
    x = np.random.default_rng(0).standard_normal((6, WIDTH)).astype(np.float32)
    torch.testing.assert_close(twin.eval()(torch.tensor(x)), torch.tensor(layer.predict(x)))
    assert not torch.equal(twin.train()(torch.tensor(x)), twin(torch.tensor(x)))  # masks of its own
