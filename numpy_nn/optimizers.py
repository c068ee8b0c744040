"""Optimizers: SGD, Adam and AdamW, spelled and defined as in torch.optim.

An optimizer takes ``net.parameters()`` or any list of parameters. ``step()`` reads every ``grad`` and updates every
``data`` in place. A backward pass overwrites gradients, it does not add to them, so there is no ``zero_grad``.
Settings are plain attributes (``optimizer.lr = 0.01``), which schedules change between steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from numpy_nn.checks import number
from numpy_nn.parameter import Parameter, ParameterVector
from numpy_nn.workspace import FloatArray, aligned_empty, aligned_zeros

# A step makes several passes over its arrays. In blocks of this many numbers, all passes but the first find their
# operands in the level-2 cache; shorter blocks would cost more in calls than they save.
BLOCK = 32768


class Optimizer:
    """The base class: walks the parameters in blocks; a subclass updates one block."""

    def __init__(
        self,
        parameters: Iterable[Parameter] | ParameterVector,
        lr: float,
        weight_decay: float,
        states: Sequence[str] = (),
    ) -> None:
        """``states`` names the arrays of the parameters' size that the method keeps; they begin at 0."""
        self.lr = number(lr, "lr", low=0.0)
        self.weight_decay = number(weight_decay, "weight_decay", low=0.0)
        self.steps = 0
        holders: list[Parameter | ParameterVector]
        holders = [parameters] if isinstance(parameters, ParameterVector) else list(parameters)
        for holder in holders:
            if not isinstance(holder, (Parameter, ParameterVector)):
                raise TypeError(f"parameters: expected Parameter objects, got {type(holder).__name__}")
        if sum(holder.size for holder in holders) == 0:
            raise ValueError("parameters: expected at least one, got none")
        self.state: list[dict[str, FloatArray]] = [
            {name: aligned_zeros(holder.data.shape, holder.dtype) for name in states} for holder in holders
        ]
        self._holders = holders
        self._lay_out()

    def _lay_out(self) -> None:
        """Cut every parameter, its gradient and its states into blocks."""
        self._data = [holder.data for holder in self._holders]
        self._blocks: list[tuple[FloatArray, ...]] = []
        for holder, state in zip(self._holders, self.state, strict=True):
            scratch = aligned_empty((2, min(BLOCK, holder.size)), holder.dtype)
            flat = [array.reshape(-1) for array in (holder.data, holder.grad, *state.values())]
            for start in range(0, holder.size, BLOCK):
                views = [array[start : start + BLOCK] for array in flat]
                self._blocks.append((*views, *scratch[:, : views[0].size]))

    def step(self) -> None:
        """Update every parameter from its gradient."""
        for holder, data in zip(self._holders, self._data, strict=True):
            if holder.data is not data:
                self._lay_out()  # a network that was put into another one lives in that one's vector
                break
        self.steps += 1
        self._prepare()
        for block in self._blocks:
            self._update(*block)

    def _prepare(self) -> None:
        """Compute what is the same for every block of a step."""

    def _update(self, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> None:
        """Update one block: views of data, grad and each state, and two scratch rows of their length."""
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent on parameters p with gradients g, learning rate lr, momentum mu, weight decay w.

        g <- g + w p
        v <- mu v + g                          if mu > 0
        p <- p - lr g            if mu = 0
        p <- p - lr v            if mu > 0
        p <- p - lr (g + mu v)   with Nesterov's momentum

    as torch.optim.SGD with its dampening 0 (Sutskever et al., "On the importance of initialization and momentum in
    deep learning", 2013, have the rate inside v). ValueError for a negative or non-finite setting, and for
    ``nesterov`` without momentum.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | ParameterVector,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.momentum = number(momentum, "momentum", low=0.0)
        self.nesterov = nesterov
        if nesterov and momentum == 0.0:
            raise ValueError("nesterov: expected momentum > 0 with it, got momentum 0")
        super().__init__(parameters, lr, weight_decay, ("momentum_buffer",) if momentum else ())

    def _update(self, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> None:
        *state, scratch, _ = arrays
        if self.weight_decay:
            np.multiply(p, self.weight_decay, out=scratch)
            scratch += g
            g = scratch
        if state:
            (v,) = state
            v *= self.momentum
            v += g
            if self.nesterov:
                p -= np.multiply(g, self.lr, out=scratch)
                p -= np.multiply(v, self.lr * self.momentum, out=scratch)
                return
            g = v
        p -= np.multiply(g, self.lr, out=scratch)


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, algorithm 1), with weight decay added to the gradient as torch.optim.Adam does.

        g <- g + w p
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr m^ / (sqrt(v^) + eps),    m^ = m / (1 - beta1^t), v^ = v / (1 - beta2^t)

    To save passes over memory, what is kept is M = m / (1 - beta1) and V = v / (1 - beta2), and the corrections
    c1 = 1 - beta1^t and c2 = sqrt(1 - beta2^t) go into lr and eps (the note after algorithm 1)::

        M <- beta1 M + g
        V <- beta2 V + g^2
        p <- p - lr' M / (sqrt(V) + eps')
        eps' = eps r,  lr' = lr r (1 - beta1) / c1,  r = c2 / sqrt(1 - beta2)

    ValueError for a negative or non-finite setting or a beta outside [0, 1).
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | ParameterVector,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not isinstance(betas, Sequence):
            raise TypeError(f"betas: expected two numbers, got {betas!r}")
        if len(betas) != 2:
            raise ValueError(f"betas: expected two numbers, got {betas!r}")
        beta1, beta2 = betas
        self.betas = (number(beta1, "betas[0]", low=0.0, below=1.0), number(beta2, "betas[1]", low=0.0, below=1.0))
        self.eps = number(eps, "eps", low=0.0)
        super().__init__(parameters, lr, weight_decay, ("sum", "sum_sq"))

    def _prepare(self) -> None:
        beta1, beta2 = self.betas
        correction = math.sqrt((1.0 - beta2**self.steps) / (1.0 - beta2))
        self._corrected_lr = self.lr * (1.0 - beta1) / (1.0 - beta1**self.steps) * correction
        self._corrected_eps = self.eps * correction

    def _update(self, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> None:
        m_sum, v_sum, decayed, scratch = arrays
        beta1, beta2 = self.betas
        g = self._decay(p, g, decayed)
        m_sum *= beta1
        m_sum += g
        v_sum *= beta2
        v_sum += np.square(g, out=scratch)
        np.sqrt(v_sum, out=scratch)
        scratch += self._corrected_eps
        np.divide(m_sum, scratch, out=scratch)
        scratch *= self._corrected_lr
        p -= scratch

    def _decay(self, p: FloatArray, g: FloatArray, out: FloatArray) -> FloatArray:
        """Apply the weight decay to p, or return the gradient with it."""
        if self.weight_decay == 0.0:
            return g
        np.multiply(p, self.weight_decay, out=out)
        out += g
        return out


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient: p <- p (1 - lr w) before Adam's step with w = 0.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, as torch.optim.AdamW has it.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | ParameterVector,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def _decay(self, p: FloatArray, g: FloatArray, _: FloatArray) -> FloatArray:
        p *= 1.0 - self.lr * self.weight_decay
        return g
