"""The tutorial's models in PyTorch: the perceptron by autograd, the MLP from bare parameters, the MLP in short form."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def perceptron_loss(f: Tensor, y: Tensor) -> Tensor:
    """max(0, -y f) entry by entry, with derivative -y where f = 0; relu and clamp take 0 there."""
    return torch.where(y * f > 0, torch.zeros_like(f), -y * f)


class TorchPerceptron(nn.Module):
    """f(x) = w . x + b with zero initial values, trained by autograd on max(0, -y f(x)).

    A point with f(x) = 0 counts as a mistake, as in Rosenblatt's rule: :func:`perceptron_loss` sees to it.
    """

    def __init__(self, n_features: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_features, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros((), dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum of max(0, -y f(x)) over the rows of ``x``, with ``y`` in {-1, +1}."""
        return perceptron_loss(self(x), y).sum()

    def fit(self, x: Tensor, y: Tensor, max_epochs: int = 1000, lr: float = 1.0) -> list[int]:
        """SGD with batch size 1, row by row, until an epoch has no mistake; returns the mistakes of each epoch."""
        optimizer = torch.optim.SGD(self.parameters(), lr=lr)
        mistakes: list[int] = []
        while len(mistakes) < max_epochs and (not mistakes or mistakes[-1]):
            mistakes.append(0)
            for row, label in zip(x, y, strict=True):
                mistakes[-1] += bool(label * self(row) <= 0)
                optimizer.zero_grad()
                self.loss(row, label).backward()
                optimizer.step()
        return mistakes


class ScratchMLP(nn.Module):
    """in_features - hidden - out_features from bare parameters: H = relu(X W1 + b1), output H W2 + b2.

    Weights from N(0, std^2), biases 0; a weight is (inputs, outputs), as in numpy_nn.
    """

    def __init__(
        self,
        in_features: int = 784,
        hidden: int = 64,
        out_features: int = 10,
        *,
        std: float = 1.0,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()

        def normal(*shape: int) -> nn.Parameter:
            return nn.Parameter(std * torch.randn(*shape, generator=generator, dtype=dtype))

        self.W1, self.b1 = normal(in_features, hidden), nn.Parameter(torch.zeros(hidden, dtype=dtype))
        self.W2, self.b2 = normal(hidden, out_features), nn.Parameter(torch.zeros(out_features, dtype=dtype))

    @staticmethod
    def relu(x: Tensor) -> Tensor:
        """max(x, 0), as a maximum with zeros; autograd halves its derivative at a tie, where nn.ReLU takes 0."""
        return torch.max(x, torch.zeros_like(x))

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(len(x), -1)
        return self.relu(x @ self.W1 + self.b1) @ self.W2 + self.b2


def concise_mlp(
    in_features: int = 784,
    hidden: int = 64,
    out_features: int = 10,
    *,
    std: float = 0.01,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Flatten, Linear, ReLU, Linear: weights from N(0, std^2), torch's default biases, all from ``generator``."""
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(in_features, hidden, dtype=dtype),
        nn.ReLU(),
        nn.Linear(hidden, out_features, dtype=dtype),
    )
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=std, generator=generator)
            bound = layer.in_features**-0.5
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return model
