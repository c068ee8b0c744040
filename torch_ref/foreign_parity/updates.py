"""The step by which each of two networks learns: its own, where its object has one, or that of an optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

import numpy_nn as nn
from numpy_nn.subjects.parameters.code import CodeSubject
from torch_ref.foreign_parity.sides import Array, Side, Update
from torch_ref.torch_subject import TorchSubject
from torch_ref.twin import OPTIMIZERS, optimizer_settings

Maker = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]


class OfTorch:
    """A fresh optimizer of torch's at each beginning, for tensors with the values of a side's arrays."""

    def __init__(self, side: Side, make: Maker) -> None:
        self._side, self._make = side, make
        self.begin()

    def begin(self) -> None:
        """Forget the steps so far."""
        self._tensors: dict[str, torch.nn.Parameter] = {}

    def __call__(self, gradients: Mapping[str, Array]) -> None:
        """One step."""
        arrays = self._side.network.arrays
        if not self._tensors:
            self._tensors = {name: torch.nn.Parameter(torch.tensor(arrays[name])) for name in gradients}
            self._optimizer = self._make(list(self._tensors.values()))
        for name, tensor in self._tensors.items():
            tensor.grad = torch.tensor(gradients[name])
        self._optimizer.step()
        for name, tensor in self._tensors.items():
            arrays[name][...] = tensor.detach().numpy()


class OfOurs:
    """The same with an optimizer of numpy_nn's."""

    def __init__(self, side: Side, make: Callable[[list[nn.Parameter]], nn.Optimizer]) -> None:
        self._side, self._make = side, make
        self.begin()

    def begin(self) -> None:
        """Forget the steps so far."""
        self._parameters: dict[str, nn.Parameter] = {}

    def __call__(self, gradients: Mapping[str, Array]) -> None:
        """One step."""
        arrays = self._side.network.arrays
        if not self._parameters:
            self._parameters = {name: nn.Parameter(np.array(arrays[name], np.float64)) for name in gradients}
            self._optimizer = self._make(list(self._parameters.values()))
        for name, parameter in self._parameters.items():
            parameter.grad = gradients[name]
        self._optimizer.step()
        for name, parameter in self._parameters.items():
            arrays[name][...] = parameter.data


class OfItsOwn:
    """The method of the user's object that makes a step."""

    def __init__(self, network: CodeSubject, lr: float) -> None:
        self._network, self._lr = network, lr

    def begin(self) -> None:
        """Nothing: what the object keeps is put back by whoever runs it."""

    def __call__(self, _: Mapping[str, Array]) -> None:
        """One step."""
        self._network.update(self._lr)


def updates_of(mine: Side, theirs: Side, optimizer: Any, lr: float) -> tuple[Update, Update, str]:
    """A step for each side, and in words what they are.

    TypeError for what is no optimizer. ``optimizer`` is one of numpy_nn's, of torch's, or a function that makes one of
    torch's of a list of parameters; None is SGD with ``lr``, or with the rate that my own code has.
    """
    own, name, lr = _own(mine, lr)
    if optimizer is None:
        make: Maker = lambda parameters: torch.optim.SGD(parameters, lr)  # noqa: E731
        label = f"SGD with lr {lr:g}"
    elif isinstance(optimizer, nn.Optimizer):
        if type(optimizer) not in OPTIMIZERS:
            raise TypeError(f"optimizer: {type(optimizer).__name__} has no counterpart in torch.optim")
        settings = optimizer_settings(optimizer)
        kind, twin = type(optimizer), OPTIMIZERS[type(optimizer)]
        ours: Any = lambda parameters: kind(parameters, **settings)  # noqa: E731
        return OfOurs(mine, ours), _either(theirs, ours, lambda ps: twin(ps, **settings)), kind.__name__
    elif isinstance(optimizer, torch.optim.Optimizer):
        defaults, of_torch = dict(optimizer.defaults), type(optimizer)
        make, label = (lambda parameters: of_torch(parameters, **defaults)), of_torch.__name__
    elif callable(optimizer):
        make, label = optimizer, getattr(optimizer, "__name__", "the optimizer given")
    else:
        raise TypeError(f"optimizer: expected one of numpy_nn's or torch's, got {type(optimizer).__name__}")
    sgd: Any = lambda parameters: nn.SGD(parameters, lr)  # noqa: E731
    plain = optimizer is None
    my_step = own or (OfOurs(mine, sgd) if plain else OfTorch(mine, make))
    theirs_own, their_name, _ = _own(theirs, lr)
    their_step = theirs_own or (_either(theirs, sgd, make) if plain else OfTorch(theirs, make))
    words = f"mine by {name or label}, theirs by {their_name or label}"
    return my_step, their_step, words if name or their_name else label


def _own(side: Side, lr: float) -> tuple[OfItsOwn | None, str, float]:
    """The update of an object's own, its name, and the learning rate that goes with it."""
    network = side.network
    if not isinstance(network, CodeSubject):
        return None, "", lr
    if network.updates_in_backward is not None:
        return None, "its backward pass, which updates", network.updates_in_backward
    if not network.own_update:
        return None, "", lr
    rate = network.own_rate
    return OfItsOwn(network, lr), f"its own {network.own_update}()", lr if rate is None else rate


def _either(side: Side, ours: Any, make: Maker) -> Update:
    return OfTorch(side, make) if isinstance(side.network, TorchSubject) else OfOurs(side, ours)
