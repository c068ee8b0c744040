"""Who is timed: the registry of all engines, and the check that they compute the same."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scripts.bench.agreement import check_steps
from scripts.bench.cases import KINDS, Case, Workload
from scripts.bench.engine import Engine, NetworkEngine
from scripts.bench.numpy_engines import ByHand, Floor, Ours

OURS, FLOOR = "numpy_nn", "floor"


def _torch_engine(**options: Any) -> Callable[[Workload], Engine]:
    def make(workload: Workload) -> Engine:
        from scripts.bench.torch_engines import TorchEngine

        return TorchEngine(workload, **options)

    return make


def _peer_engine(name: str) -> Callable[[Workload], Engine]:
    def make(workload: Workload) -> Engine:
        from scripts.bench import peer_engines

        engine: Engine = getattr(peer_engines, name)(workload)
        return engine

    return make


ENGINES: dict[str, Callable[[Workload], Engine]] = {
    FLOOR: Floor,
    "by hand": ByHand,
    OURS: Ours,
    "torch": _torch_engine(),
    "torch.compile": _torch_engine(compile=True),
    "scikit-learn": _peer_engine("ScikitLearn"),
    "jax": _peer_engine("Jax"),
    "torch cuda": _torch_engine(device="cuda"),
    "torch cuda graph": _torch_engine(device="cuda", graph=True),
}
ON_CUDA = ("torch cuda", "torch cuda graph")
MODULES = dict.fromkeys(("torch", "torch.compile", *ON_CUDA), "torch") | {"scikit-learn": "sklearn", "jax": "jax"}
KIND_LIMITS: dict[str, frozenset[str]] = {
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
    """Whether that engine can do the case. The optimizer has no floor; scikit-learn has one output for two classes."""
    if name == FLOOR:
        return case.kind != "optimizer"
    if name == "scikit-learn" and case.sizes[-1] < 3:
        return False
    if name in SGD_ONLY and case.kind in ("step", "epoch") and case.optimizer != "sgd":
        return False
    return case.kind in KIND_LIMITS.get(name, KINDS)


def make_engines(workload: Workload, names: Sequence[str]) -> dict[str, Engine]:
    """Each of these engines that can do the case, checked to agree; ValueError, naming the engine, if one does not."""
    engines = {name: ENGINES[name](workload) for name in names if does(name, workload.case)}
    check_agreement({name: engine for name, engine in engines.items() if isinstance(engine, NetworkEngine)}, workload)
    for engine in engines.values():
        engine.prepare()
    return engines


def check_agreement(engines: Mapping[str, NetworkEngine], workload: Workload) -> None:
    """ValueError unless all engines compute the same.

    Their losses on the first batch may be as far from that of the hand-written loop in float64 as rounding allows
    (:meth:`~scripts.bench.cases.Workload.loss_bound`). Where the case has gradients, each engine, made anew, takes a
    step of SGD that must be the reference's to within rounding, array by array (:mod:`scripts.bench.agreement`). Where
    it trains, the loss must, after two steps with its own optimizer and rate, have changed by the same to one per cent.
    """
    exact = ByHand(workload, dtype="float64")
    bound, before = workload.loss_bound(), exact.loss()
    for name, engine in engines.items():
        _check_loss(name, workload, engine.loss(), before, bound)
    if workload.case.kind not in ("forward", "inference"):
        check_steps({name: ENGINES[name] for name in engines}, workload)
    if workload.case.kind not in ("step", "epoch"):
        return
    for _ in range(2):
        exact.step()
    after = exact.loss()
    for name, engine in engines.items():
        for _ in range(2):
            engine.step()
        _check_loss(name, workload, engine.loss(), after, 2.0 * bound + 0.01 * abs(after - before))


def _check_loss(name: str, workload: Workload, value: float, expected: float, bound: float) -> None:
    if not math.isfinite(value) or abs(value - expected) > bound:
        raise ValueError(
            f"{workload.case.label}: {name} has loss {value:.9g}, expected {expected:.9g} within {bound:.1e}; "
            "nothing was timed"
        )
