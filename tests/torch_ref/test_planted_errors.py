"""Both sides of every bound: an error of one part in a million, in float32 in ten thousand, fails its parity test.

Each layer, loss and optimizer gets it in one quantity after the other, in numpy_nn; the comparison must point to it.
"""

import importlib
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import strategies as our

import numpy_nn as nn
from scripts.accuracy.exact_activations import CASES
from torch_ref import loss_to_torch, parity

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

PLANTED = {np.float32: 1e-4, np.float64: 1e-6}
# 784 additions in any order may be off by 785 u |x||W|, in float32 some ten thousandths of an output of this layer.
WIDE, PLANTED_IN_WIDE = "a wide Linear", 1e-3
ROWS, WIDTH = 8, 6
RNG = np.random.default_rng(0)
X = 1.5 * RNG.standard_normal((ROWS, WIDTH))

LAYERS = {
    "Linear": lambda dtype: nn.Linear(WIDTH, WIDTH, rng=0, dtype=dtype),
    "Linear without bias": lambda dtype: nn.Linear(WIDTH, WIDTH, bias=False, rng=0, dtype=dtype),
    WIDE: lambda dtype: nn.Linear(784, WIDTH, rng=0, dtype=dtype),
    "Flatten": lambda _: nn.Flatten(),
    "Dropout": lambda _: nn.Dropout(0.3, rng=0),
    "BatchNorm1d": lambda dtype: nn.BatchNorm1d(WIDTH, dtype=dtype),
    "BatchNorm1d in evaluation": lambda dtype: nn.BatchNorm1d(WIDTH, dtype=dtype).eval(),
    "LayerNorm": lambda dtype: nn.LayerNorm(WIDTH, dtype=dtype),
    "LayerNorm without bias": lambda dtype: nn.LayerNorm(WIDTH, bias=False, dtype=dtype),
    "bare LayerNorm": lambda dtype: nn.LayerNorm(WIDTH, elementwise_affine=False, dtype=dtype),
    "PReLU by column": lambda dtype: nn.PReLU(WIDTH, dtype=dtype),
} | {name: case.layer for name, case in CASES.items()}

LOSSES: dict[str, tuple[Callable[..., nn.Loss], np.ndarray]] = {
    "cross-entropy": (nn.CrossEntropyLoss, np.arange(ROWS) % WIDTH),
    "smoothed cross-entropy": (partial(nn.CrossEntropyLoss, label_smoothing=0.1), np.arange(ROWS) % WIDTH),
    "cross-entropy of probabilities": (nn.CrossEntropyLoss, np.abs(np.cos(X))),
    "labels that do not count": (partial(nn.CrossEntropyLoss, ignore_index=3), np.arange(ROWS) % WIDTH),
    "nll": (nn.NLLLoss, np.arange(ROWS) % WIDTH),
    "mse": (nn.MSELoss, np.cos(X)),
    "l1": (nn.L1Loss, np.cos(X)),
    "huber": (nn.HuberLoss, np.cos(X)),
    "bce": (nn.BCEWithLogitsLoss, np.abs(np.sin(X))),
    "perceptron": (nn.PerceptronLoss, np.sign(np.cos(3 * X))),
}

# With weights, which have the dtype of the output.
WEIGHTED: dict[str, tuple[Callable[..., nn.Loss], np.ndarray]] = {
    "weighted cross-entropy": (nn.CrossEntropyLoss, np.arange(ROWS) % WIDTH),
    "weighted, smoothed": (partial(nn.CrossEntropyLoss, label_smoothing=0.1, ignore_index=3), np.arange(ROWS) % WIDTH),
    "weighted probabilities": (nn.CrossEntropyLoss, np.abs(np.cos(X))),
    "weighted nll": (partial(nn.NLLLoss, ignore_index=3), np.arange(ROWS) % WIDTH),
    "weighted bce": (nn.BCEWithLogitsLoss, np.abs(np.sin(X))),
}
WEIGHT = np.linspace(0.25, 2.0, WIDTH)

OPTIMIZERS = {
    "sgd": lambda p: nn.SGD(p, 0.1),
    "momentum": lambda p: nn.SGD(p, 0.1, 0.9, weight_decay=0.01),
    "nesterov": lambda p: nn.SGD(p, 0.1, 0.9, nesterov=True),
    "adam": lambda p: nn.Adam(p, 0.1, weight_decay=0.01),
    "adamw": lambda p: nn.AdamW(p, 0.1),
    "dampening": lambda p: nn.SGD(p, 0.1, 0.9, 0.3, maximize=True),
    "amsgrad": lambda p: nn.Adam(p, 0.1, amsgrad=True),
    "rmsprop": lambda p: nn.RMSprop(p, 0.1, weight_decay=0.01),
    "centered": lambda p: nn.RMSprop(p, 0.1, momentum=0.9, centered=True),
    "groups": lambda p: nn.SGD([{"params": p[:1], "momentum": 0.9}, {"params": p[1:]}], 0.1),
}


def failed(net, loss, target, dtype, optimizer=None, rows=X):
    """The quantities that are out of their bounds."""
    if target.dtype.kind == "f":
        target = target.astype(dtype)
    report = parity(net, rows.astype(dtype), target, loss, optimizer)
    return [row.quantity for row in report.rows if not row.ok]


def plant(monkeypatch, kind, method, change):
    """Have ``change`` applied to what a method of the class returns."""
    right = getattr(kind, method)
    monkeypatch.setattr(kind, method, lambda self, *args: change(self, right(self, *args)))


def quantities_of(layer):
    """What a comparison has of a layer."""
    names = ["output", "input gradient", *(f"{name} gradient" for name, _ in layer.named_parameters())]
    return [*names, "running_mean", "running_var"] if isinstance(layer, nn.BatchNorm1d) and layer.training else names


def plant_in_layer(monkeypatch, layer, quantity, error):
    """Make one quantity of the layer's class too large by ``error``, relatively."""
    kind = type(layer)
    if quantity == "output":
        plant(monkeypatch, kind, "forward", lambda _, output: output * output.dtype.type(1 + error))
    elif quantity == "input gradient":
        plant(monkeypatch, kind, "backward", lambda _, gradient: gradient * gradient.dtype.type(1 + error))
    else:
        name = quantity.removesuffix(" gradient")

        def change(self, result):
            array = getattr(self, name)
            array = array.grad if isinstance(array, nn.Parameter) else array
            array *= array.dtype.type(1 + error)
            return result

        plant(monkeypatch, kind, "forward" if name.startswith("running") else "backward", change)


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_a_small_error_in_a_layer_fails(name, dtype, monkeypatch):
    error = PLANTED_IN_WIDE if name == WIDE and dtype is np.float32 else PLANTED[dtype]
    rows = RNG.standard_normal((ROWS, 784)) if name == WIDE else X

    def wrong(layer):
        net = nn.Sequential(layer)
        net.training = layer.training
        return failed(net, nn.MSELoss(), np.cos(X), dtype, rows=rows)

    assert wrong(LAYERS[name](dtype)) == []
    for quantity in quantities_of(LAYERS[name](dtype)):
        layer = LAYERS[name](dtype)
        with monkeypatch.context() as planted:
            plant_in_layer(planted, layer, quantity, error)
            assert f"0 {type(layer).__name__} {quantity}" in wrong(layer)


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", [*LOSSES, *WEIGHTED])
def test_a_small_error_in_a_loss_fails(name, reduction, dtype, monkeypatch):
    kind, target = (LOSSES | WEIGHTED)[name]
    loss = kind(reduction=reduction, **({"weight": WEIGHT.astype(dtype)} if name in WEIGHTED else {}))
    net = nn.Sequential(nn.Identity())
    assert failed(net, loss, target, dtype) == []
    for quantity, method in (("loss", "forward"), ("loss gradient", "backward")):
        with monkeypatch.context() as planted:
            plant(planted, type(loss), method, lambda _, result: result * dtype(1 + PLANTED[dtype]))
            assert quantity in failed(net, loss, target, dtype)


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("which", [0, -1])
def test_a_small_error_in_pos_weight_fails(which, reduction, dtype, monkeypatch):
    pos_weight, target = WEIGHT.astype(dtype), np.full((ROWS, WIDTH), 0.5)
    loss, net = nn.BCEWithLogitsLoss(reduction=reduction, pos_weight=pos_weight), nn.Sequential(nn.Identity())
    assert failed(net, loss, target, dtype) == []
    terms = nn.BCEWithLogitsLoss.terms

    def wrong(self, z, t):
        right, self.pos_weight = self.pos_weight, self.pos_weight.copy()
        self.pos_weight[which] *= dtype(1 + 100 * PLANTED[dtype])
        result = terms(self, z, t)
        self.pos_weight = right
        return result

    monkeypatch.setattr(nn.BCEWithLogitsLoss, "terms", wrong)
    assert {"loss", "loss gradient"} <= set(failed(net, loss, target, dtype))


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_small_error_in_an_optimizer_fails(name, dtype, monkeypatch):
    net = nn.Sequential(nn.Linear(WIDTH, WIDTH, rng=0, dtype=dtype))
    optimizer = OPTIMIZERS[name](net.parameters())
    assert failed(net, nn.MSELoss(), np.cos(X), dtype, optimizer) == []
    update = type(optimizer)._update

    def wrong(self, group, p, *arrays):
        before = p.copy()
        update(self, group, p, *arrays)
        p += (p - before) * dtype(PLANTED[dtype] * 10)  # of the step, which is a tenth of a parameter or so

    monkeypatch.setattr(type(optimizer), "_update", wrong)
    after = f"after 3 steps of {type(optimizer).__name__}"
    assert {f"0.weight {after}", f"0.bias {after}"} <= set(failed(net, nn.MSELoss(), np.cos(X), dtype, optimizer))


def wrong_loss(monkeypatch, whose, error):
    """The row of the loss, after an error in numpy_nn's or torch's mean squared error or in both."""
    ours, theirs = nn.MSELoss.forward, loss_to_torch(nn.MSELoss())
    if "torch" in whose:
        module = importlib.import_module("torch_ref.parity")
        monkeypatch.setattr(module, "loss_to_torch", lambda *_: lambda o, t: theirs(o, t) * (1 + error))
    if "numpy_nn" in whose:
        monkeypatch.setattr(nn.MSELoss, "forward", lambda self, *args: ours(self, *args) * (1 + error))
    report = parity(nn.Sequential(nn.Identity()), X, np.cos(X), nn.MSELoss())
    return next(row for row in report.rows if row.quantity == "loss")


@pytest.mark.parametrize("whose", ["numpy_nn", "torch"])
def test_which_engine_is_out_of_bounds_is_said(whose, monkeypatch):
    row = wrong_loss(monkeypatch, [whose], 1e-6)
    assert row.verdict == f"FAILED: difference, {whose}"
    assert (row.ours_share > 1) == (whose == "numpy_nn")
    assert (row.torch_share > 1) == (whose == "torch")


def test_engines_that_are_wrong_alike_are_found(monkeypatch):
    row = wrong_loss(monkeypatch, ["numpy_nn", "torch"], 1e-6)
    assert row.share <= 1.0
    assert row.verdict == "FAILED: numpy_nn, torch"
    assert not row.ok
