"""What steps in torch are taken on, and a stand-in for CUDA's graphs that captures them."""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import torch
from run_bound import RunBound

import numpy_nn as nn
from torch_ref import to_torch

CROSS_ENTROPY = torch.nn.CrossEntropyLoss()


def _network(optimizer):
    x, y = nn.datasets.spirals(36, rng=0, dtype=np.float64)
    net = nn.MLP([2, 8, 3], "tanh", rng=1, dtype=np.float64)
    settings = {"sgd": nn.SGD, "adam": nn.Adam, "adamw": nn.AdamW}
    ours = nn.SGD(net.parameters(), 0.1, 0.9) if optimizer == "momentum" else settings[optimizer](net.parameters(), 0.1)
    return net, ours, x, y


def bound_of_steps(optimizer, batches=5, epsilon=0.0, epochs=2):
    """The bound on what each of :func:`networks_for_steps` may end with after epochs of so many of the batches."""
    net, ours, x, y = _network(optimizer)
    loader = nn.DataLoader(x[: 8 * batches], y[: 8 * batches], 8, shuffle=False)
    held = RunBound(net, nn.CrossEntropyLoss(), loader, 1, epsilon)
    gradients = {"gradients": nn.AdversarialTraining(epsilon)} if epsilon else {}
    with np.errstate(all="ignore"):
        nn.fit(net, nn.CrossEntropyLoss(), ours, loader, epochs, callbacks=[held], **gradients)
    return held


def networks_for_steps(optimizer):
    """Two twins of one network in float64 with optimizers of that kind, and five batches, the last one smaller."""
    net, ours, x, y = _network(optimizer)
    models = [to_torch(net) for _ in range(2)]
    batches = [(torch.from_numpy(x[i : i + 8]), torch.from_numpy(y[i : i + 8])) for i in range(0, len(x), 8)]
    return ours, models, batches


class Captures:
    """A stand-in for CUDA's graphs on the CPU: capturing leaves no trace, replaying works on the captured tensors.

    Neither does it draw from a generator that a replay draws from.

    As in a graph, a learning rate that was a number stays what it was.
    """

    def __init__(self, monkeypatch, step, model, optimizer):
        self.step, self.model, self.optimizer, self.calls, self.captured = step, model, optimizer, [], 0
        stream = SimpleNamespace(wait_stream=lambda _: None)
        monkeypatch.setattr(torch.cuda, "Stream", lambda _: stream)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda _: stream)
        monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", SimpleNamespace)
        monkeypatch.setattr(torch.cuda, "graph", self.capture)

    def recorded_step(self, x, y):
        results = self.step(x, y)
        self.calls.append(((x, y), results))
        return results

    def tensors(self):
        states = [value for state in self.optimizer.state.values() for value in state.values()]
        held = [*self.model.parameters(), *self.model.buffers()]
        return [*held, *(value for value in states if isinstance(value, torch.Tensor))]

    @contextmanager
    def capture(self, graph, stream):  # noqa: ARG002
        (group,) = self.optimizer.param_groups
        lr = group["lr"]
        before = [(tensor, tensor.detach().clone()) for tensor in self.tensors()]
        with torch.random.fork_rng([]):
            yield
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
        arguments, results = self.calls[-1]
        self.captured += 1

        def replay():
            now, group["lr"] = group["lr"], lr
            for tensor, value in zip(results, self.step(*arguments), strict=True):
                tensor.copy_(value)
            group["lr"] = now

        graph.replay = replay
