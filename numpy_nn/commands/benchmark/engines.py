"""Who is timed: the registry of all engines. Nothing here loads NumPy, so that ``--help`` is quick."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from numpy_nn.commands.benchmark.cases import KINDS, Case
from numpy_nn.commands.machine.processors import usable_cores

if TYPE_CHECKING:
    from numpy_nn.commands.benchmark.engine import Engine
    from numpy_nn.commands.benchmark.workload import Workload

OURS, FLOOR, PROCESSES = "numpy_nn", "floor", "processes"


def _engine(module: str, name: str, **options: Any) -> Callable[[Workload], Engine]:
    """A maker that loads the module, and what it needs, when it is called."""

    def make(workload: Workload) -> Engine:
        engine: Engine = getattr(import_module(f"numpy_nn.commands.benchmark.{module}"), name)(workload, **options)
        return engine

    return make


ENGINES: dict[str, Callable[[Workload], Engine]] = {
    FLOOR: _engine("numpy_engines", "Floor"),
    "by hand": _engine("numpy_engines", "ByHand"),
    OURS: _engine("numpy_engines", "Ours"),
    PROCESSES: _engine("owned_engine", "InProcesses"),
    "torch": _engine("torch_engines", "TorchEngine"),
    "torch.compile": _engine("torch_engines", "TorchEngine", compile=True),
    "scikit-learn": _engine("peer_engines", "ScikitLearn"),
    "jax": _engine("peer_engines", "Jax"),
    "torch cuda": _engine("torch_engines", "TorchEngine", device="cuda"),
    "torch cuda graph": _engine("torch_engines", "TorchEngine", device="cuda", graph=True),
}
ON_CUDA = ("torch cuda", "torch cuda graph")
MODULES = dict.fromkeys(("torch", "torch.compile", *ON_CUDA), "torch") | {"scikit-learn": "sklearn", "jax": "jax"}
KIND_LIMITS: dict[str, frozenset[str]] = {
    PROCESSES: frozenset({"step", "epoch"}),
    # Their backward pass is part of a compiled or captured step, or not reachable from outside.
    "torch.compile": frozenset(KINDS) - {"backward", "optimizer"},
    "torch cuda graph": frozenset({"step", "epoch"}),
    "scikit-learn": frozenset({"step", "epoch", "inference"}),
    "jax": frozenset(KINDS) - {"backward"},
}
# What steps by SGD alone.
SGD_ONLY: set[str] = set()


def missing(name: str) -> str | None:
    """What that engine needs and this machine lacks; None if it can run here."""
    module = MODULES.get(name)
    if module is not None and importlib.util.find_spec(module) is None:
        return f"{name} is not installed here (module {module})"
    if name == PROCESSES and os.name != "posix":
        return f"{name} needs what POSIX has: memory that is handed to another process"
    if name in ON_CUDA and not has_cuda():
        return f"{name} needs CUDA, and torch finds none here"
    return None


def has_cuda() -> bool:
    """Whether torch is installed and finds a CUDA device."""
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


def does(name: str, case: Case) -> bool:
    """Whether that engine can do the case.

    The optimizer has no floor; scikit-learn has one output for two classes; hidden layers are divided by processes.
    """
    if name == FLOOR:
        return case.kind != "optimizer"
    if name == "scikit-learn" and case.sizes[-1] < 3:
        return False
    if name == PROCESSES and not (1 < usable_cores() <= min(case.sizes[1:-1], default=0)):
        return False  # nothing to share, or nobody to share it with
    if name in SGD_ONLY and case.kind in ("step", "epoch") and case.optimizer != "sgd":
        return False
    return case.kind in KIND_LIMITS.get(name, KINDS)
