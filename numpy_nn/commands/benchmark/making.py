"""The engines of a case, made and checked to compute the same before anything is timed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from numpy_nn.commands.benchmark.agreement import check_steps
from numpy_nn.commands.benchmark.engine import Engine, NetworkEngine
from numpy_nn.commands.benchmark.engines import ENGINES, does
from numpy_nn.commands.benchmark.numpy_engines import ByHand
from numpy_nn.commands.benchmark.workload import Workload


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
    (:meth:`Workload.loss_bound`). Where the case has gradients, each engine, made anew, takes a step of SGD that must
    be the reference's to within rounding, array by array (:mod:`~numpy_nn.commands.benchmark.agreement`). Where it
    trains, the loss must, after two steps with its own optimizer and rate, have changed by the same to one per cent.
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
