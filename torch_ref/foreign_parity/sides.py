"""One of two networks that are compared: a subject with the loss at its end, run at any values of its arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import Subject
from numpy_nn.subjects.calls.updating import UpdatingCode

Array = NDArray[np.float64]

# What is compared beside the arrays' gradients and the arrays after some steps, in the order of computation.
OUTPUT, LOSS, GRAD_OUTPUT = "output", "loss", "gradient with respect to the output"


class Update(Protocol):
    """Steps of training on the arrays of a side."""

    def begin(self) -> None:
        """Forget the steps so far."""

    def __call__(self, gradients: Mapping[str, Array], /) -> None:
        """Write to the arrays what a step makes of them, given their gradients by name."""


def gradient_of(name: str) -> str:
    """What the gradient with respect to an array is called."""
    return f"gradient with respect to {name}"


def gradients_in(results: Iterable[str]) -> set[str]:
    """Of what results are called, the names of gradients of the network's own arrays."""
    return {name for name in results if name.startswith(gradient_of("")) and name != GRAD_OUTPUT}


@dataclass
class Side:
    """A network, and how it is run.

    ``network`` gives the output, or the loss itself if it ``computes_loss``; ``loss`` that of the output, else
    ``grad_output`` is the gradient that backward gets. ``columns`` says that the samples stand in columns, ``turned``
    that they lie the other way round than on the side that this one is compared with.
    """

    network: Subject
    loss: Subject | None = None
    grad_output: Array | None = None
    computes_loss: bool = False
    columns: bool = False
    turned: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all arrays but the input, by name."""
        own = self.network
        return {name: array.shape for name, array in own.arrays.items() if name != own.input}

    def of_parameters(self, names: Iterable[str]) -> set[str]:
        """Of what results are called, the names of those that have the shape of a parameter and belong to it."""
        own = self.parameters
        gradients = {gradient_of(name) for name in own}
        return {one for one in names if one in gradients or one.rpartition(" after ")[0] in own}

    @property
    def targets(self) -> Any:
        """The targets of the loss, None without any."""
        return (self.loss or self.network).targets

    @targets.setter
    def targets(self, values: Any) -> None:
        (self.loss or self.network).targets = values

    def run(self) -> dict[str, Array]:
        """Output, loss and gradients at the present values of the arrays, by what they are called."""
        found: dict[str, Array] = {}
        network = self.network
        if self.computes_loss:
            prediction = network.prediction() if isinstance(network, UpdatingCode) else None
            if prediction is not None:
                found[OUTPUT] = prediction
            value = network.output()
            found[LOSS], grad_output = value.reshape(()), np.ones(value.shape)
        else:
            found[OUTPUT] = output = network.output()
            if self.loss is not None:
                self.loss.arrays[self.loss.input] = output.copy()
                value = self.loss.output()
                grad = self.loss.gradients(np.ones(value.shape))[self.loss.input]
                if grad is None:
                    raise TypeError(f"{self.loss.label}: expected a gradient with respect to the output, got none")
                found[LOSS], found[GRAD_OUTPUT] = value, grad
                grad_output = grad.reshape(output.shape)
            elif self.grad_output is not None:
                grad_output = self.grad_output
            else:
                raise ValueError("expected a loss, or a gradient of the output")
        for name, gradient in network.gradients(grad_output).items():
            if gradient is not None:
                shape = network.arrays[name].shape
                found[gradient_of(name)] = gradient.reshape(shape) if gradient.size == np.prod(shape) else gradient
        return found

    def train(self, update: Update | None, steps: int) -> dict[str, Array]:
        """What :meth:`run` gives, and the parameters ``after N steps`` of ``update``; then all is as before."""
        found = self.run()
        if update is None or not steps:
            return found
        homes = {name: array.copy() for name, array in self.network.arrays.items()}
        kept = self.network.snapshot()
        update.begin()
        try:
            latest = found
            for step in range(steps):
                if step:
                    latest = self.run()
                update({name: latest[gradient_of(name)] for name in self.parameters if gradient_of(name) in latest})
            found |= {after(name, steps): self.network.arrays[name].copy() for name in self.parameters}
        finally:
            kept.restore()
            for name, values in homes.items():
                self.network.arrays[name][...] = values
        return found


def after(name: str, steps: int) -> str:
    """What a parameter after so many steps is called."""
    return f"{name} after {steps} step{'s' * (steps > 1)}"
