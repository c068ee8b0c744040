"""A GPU that is none: fake CUDA tensors, which have a shape, a type and a device but no numbers, and need no driver.

torch's own fake tensors refuse most operations on tensors of two devices, as CUDA does. What they let pass although
CUDA would refuse it, or would have to copy or to wait for it, is refused or counted here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import numpy_nn as nn
from torch_ref import augment

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
aten = torch.ops.aten
# Fake tensors do not know all of these; they work in place.
FUSED = (aten._fused_sgd_, aten._fused_adam_, aten._fused_adamw_)
# A torch for the CPU alone refuses to index or to overwrite them before the fakes are asked.
needs_cuda_build = pytest.mark.skipif(
    not torch.backends.cuda.is_built(), reason="needs a torch that was built with CUDA; a GPU it does not need"
)


class MixedDevices(RuntimeError):
    """What CUDA would refuse, or would copy to the device each time, and fake tensors let pass."""


class FakeGPU(TorchDispatchMode):
    """Sees every operation. Counts what the host waits for, and answers what it asks the device for.

    ``waits`` counts numbers that were asked for and tensors that were copied to the CPU, ``copies`` tensors that were
    copied to the device. A number that is asked for is ``number``; all numbers are finite if it is, and none is below
    another.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits = self.copies = 0
        self.number = 1.0
        self._below: Any = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is aten._local_scalar_dense.default:
            self.waits += args[0].is_cuda
            if args[0].dtype == torch.bool:
                return args[0] is not self._below and bool(np.isfinite(self.number))
            return self.number if args[0].is_floating_point() else 1
        if func.overloadpacket in (aten.index, *FUSED):
            _refuse_mixed(func, args, kwargs)
        result: Any = None if func.overloadpacket in FUSED else func(*args, **kwargs)
        if func is aten.lt.Scalar:
            self._below = result
        if func is aten._to_copy.default:
            self._count(result.device, args[0].device)
        if func is aten.copy_.default:
            self._count(args[0].device, args[1].device)
        return result

    def _count(self, to: torch.device, source: torch.device) -> None:
        self.waits += to.type == "cpu" and source.type == "cuda"
        self.copies += to.type == "cuda" and source.type == "cpu"


class _Generators(TorchFunctionMode):
    """Refuses a generator of another kind of device than the numbers that it draws."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if kwargs and kwargs.get("generator") is not None:
            _refuse_mixed(func, result, kwargs)
        return result


class _FakeTensors(FakeTensorMode):
    """Never asks a real device for anything, although there seems to be one."""

    avoid_device_init = True


def _refuse_mixed(func: Any, *arguments: Any) -> None:
    """MixedDevices for tensors and generators on more than one kind of device."""
    kinds = {leaf.device.type for leaf in tree_leaves(arguments) if isinstance(leaf, (Tensor, torch.Generator))}
    if len(kinds) > 1:
        raise MixedDevices(f"{func}: {', '.join(sorted(kinds))}")


class Generator(torch.Generator):
    """As one of CUDA's: without an index if it was made without one, with a state of sixteen bytes on the CPU."""

    def __new__(cls, *_: Any) -> Any:
        return super().__new__(cls)

    def __init__(self, device: Any = "cpu") -> None:
        self.made_on, self.states = torch.device(device), list[Tensor]()

    # torch declares an attribute, which is the CPU's for every generator that can be made without a driver.
    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.made_on

    def get_state(self) -> Tensor:
        return torch.zeros(16, dtype=torch.uint8)

    def set_state(self, state: Tensor) -> Any:
        if (state.device, state.dtype) != (CPU, torch.uint8):
            raise TypeError("RNG state must be a torch.ByteTensor")
        self.states.append(state)
        return self


def _backward(self: Tensor, *, retain_graph: bool = False) -> None:  # noqa: ARG001
    """In place of autograd's engine, which wants a driver: a gradient at every leaf, added to the one that is there."""
    todo, seen = [self.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        todo += [following for following, _ in node.next_functions]
        if hasattr(node, "variable"):
            leaf = node.variable
            leaf.grad = torch.empty_like(leaf) if leaf.grad is None else leaf.grad + torch.empty_like(leaf)


def _grad(outputs: Any, inputs: Any, grad_outputs: Any = None) -> tuple[Tensor, ...]:
    """torch.autograd.grad, as :func:`_backward`."""
    _refuse_mixed(_grad, outputs, grad_outputs)
    return tuple(torch.empty_like(x) for x in tree_leaves(inputs))


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Any:
    """Without a look at the memory, of which a fake tensor has none: torch's own crashes some time later."""
    if id(self) not in memo:
        copied = self.detach().clone()
        parameter = isinstance(self, torch.nn.Parameter)
        memo[id(self)] = torch.nn.Parameter(copied, self.requires_grad) if parameter else copied
    return memo[id(self)]


def _numpy(self: Tensor) -> Any:
    if self.device != CPU:
        raise TypeError(f"can't convert {self.device} device type tensor to numpy")
    return np.zeros(self.shape, str(self.dtype).removeprefix("torch."))


@contextlib.contextmanager
def fake_gpu() -> Iterator[FakeGPU]:
    """Two CUDA devices in this process, on which nothing is computed; the first is the current one."""
    gpu, generators = FakeGPU(), (Generator("cuda:0"), Generator("cuda:1"))
    with _FakeTensors(allow_non_fake_inputs=True), gpu, _Generators(), pytest.MonkeyPatch.context() as patch:
        # The first fake tensor of a device would look for a real one.
        patch.setattr(fake_tensor, "init_gpu_context", lambda _: None)
        on_tensors: dict[str, Any] = {"numpy": _numpy, "backward": _backward, "__deepcopy__": _deepcopy}
        for name, value in on_tensors.items():
            patch.setattr(Tensor, name, value)
        for name, value in {
            "is_available": lambda: True,
            "is_bf16_supported": lambda: True,
            "device_count": lambda: 2,
            "current_device": lambda: 0,
            "is_current_stream_capturing": lambda: False,
            "synchronize": lambda _: None,
            "get_device_name": lambda _: "no GPU",
            "default_generators": generators,
            "get_rng_state": lambda device: generators[device.index].get_state(),
            "set_rng_state": lambda state, device: generators[device.index].set_state(state),
        }.items():
            patch.setattr(torch.cuda, name, value)
        patch.setattr(torch.autograd, "grad", _grad)
        patch.setattr(torch, "Generator", Generator)
        patch.setattr(torch, "default_generator", Generator())
        for cached in (augment._pixels, augment.gaussian_matrix):
            cached.cache_clear()
        try:
            yield gpu
        finally:
            for cached in (augment._pixels, augment.gaussian_matrix):
                cached.cache_clear()


def images(rows):
    """Few and meaningless images, as train_mnist has them: so many to train on, and 40."""
    rng = np.random.default_rng(0)
    x, y = rng.random((rows + 40, 784), np.float32), rng.integers(0, 10, rows + 40)
    return nn.MNIST(x[:rows], y[:rows], x[rows:], y[rows:])


def devices(*things: Tensor | torch.nn.Module) -> set[torch.device]:
    """The devices of tensors, and of the parameters and buffers of modules."""
    found: set[torch.device] = set()
    for thing in things:
        tensors = [thing] if isinstance(thing, Tensor) else [*thing.parameters(), *thing.buffers()]
        found |= {tensor.device for tensor in tensors}
    return found
