"""The engines on PyTorch: eager, compiled, on CUDA, and on CUDA as a captured graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from numpy_nn.commands.benchmark.engine import TwoPassEngine, rows_of
from numpy_nn.commands.benchmark.workload import Workload
from torch_ref import loss_to_torch, optimizer_to_torch, parameters_as_numpy, to_torch
from torch_ref.training import GraphedStep, make_update, resolve_device, synchronize


class TorchEngine(TwoPassEngine):
    """torch as fast as it goes: data resident on the device, fused optimizers, no waiting for the device in a loop."""

    pool: ClassVar[str] = "openmp"
    python_memory: ClassVar[bool] = False

    def __init__(self, workload: Workload, *, device: str = "cpu", compile: bool = False, graph: bool = False) -> None:
        super().__init__(workload)
        if compile:
            # What was compiled for other cases counts against a limit, beyond which torch quietly compiles no more.
            torch.compiler.reset()
        self.device = resolve_device(device)
        # What is compiled is compiled for a number of threads.
        self.adapts = self.device.type == "cpu" and not compile
        net, loss, optimizer = workload.network()
        self.model, self.criterion = to_torch(net, self.device), loss_to_torch(loss)
        # On the CPU, torch's fused kernel is the slower one for plain SGD, and only for it.
        fused = self.device.type == "cuda" or self.case.optimizer != "sgd"
        self._optimizer = optimizer_to_torch(optimizer, self.model, fused=fused)
        self.x_all, self.y_all = (torch.from_numpy(array).to(self.device) for array in (workload.x, workload.y))
        self.x, self.y = self.x_all[: self.case.batch], self.y_all[: self.case.batch]
        self.rng = workload.orders()
        step = make_update(self.model, self.criterion, self._optimizer, compile=compile)
        # What is captured also fetches the rows: each step is told no more than which.
        self._step: Any = lambda rows: step(self.x_all[rows], self.y_all[rows])
        self._step_on_batch: Any = step
        if graph:
            self._step = GraphedStep(self._step, self.model, self._optimizer)
            self._step_on_batch = GraphedStep(step, self.model, self._optimizer)
        self._infer = torch.compile(self.model, dynamic=False) if compile else self.model
        self._evaluate = torch.compile(self._forward, dynamic=False) if compile else self._forward

    def thread_setter(self) -> Callable[[int], object]:
        return torch.set_num_threads

    def seconds(self, n: int) -> float:
        if self.device.type != "cuda":
            return super().seconds(n)
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        synchronize(self.device)
        start.record()
        for _ in range(n):
            self.work()
        stop.record()
        synchronize(self.device)
        return float(start.elapsed_time(stop)) / 1000.0

    def _forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.criterion(self.model(x), y)

    def loss(self) -> float:
        with torch.no_grad():
            return self._forward(self.x, self.y).item()

    def parameters(self) -> list[NDArray[Any]]:
        return [array for _, array in parameters_as_numpy(self.model)]

    def forward(self) -> None:
        self.value = self._evaluate(self.x, self.y)

    def backward(self) -> None:
        self._optimizer.zero_grad()
        self.value.backward(retain_graph=True)

    def optimizer(self) -> None:
        self._optimizer.step()

    def step(self) -> None:
        self._step_on_batch(self.x, self.y)

    def epoch(self) -> None:
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        order = self.rng.permutation(self.case.rows)
        for rows in rows_of(torch.from_numpy(order).to(self.device), self.case.batch):
            value, _ = self._step(rows)
            total += value * len(rows)
        self.mean_loss = total / self.case.rows

    def inference(self) -> None:
        with torch.inference_mode():
            torch.cat([self._infer(x) for x in self.x_all.split(self.case.batch)])
