"""One of the processes, with the memory that all of them share; and what a worker does."""

from __future__ import annotations

import math
import mmap
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import LINE, FloatArray
from numpy_nn.layers import Layer, Linear
from numpy_nn.losses import Loss
from numpy_nn.network import Sequential
from numpy_nn.owners.division import DividedLinear, Part
from numpy_nn.owners.meeting import Meetings, words_for
from numpy_nn.owners.places import PLACES
from numpy_nn.training.planned import loss_and_gradients

# What process 0 orders; a positive number is a batch: how many rows, times PLACES, and the place.
UPDATE, SET, TAKE, GIVE = -1, -2, -3, -4
T = TypeVar("T")
# Shapes and dtypes of arrays by their names.
Specs = Mapping[str, tuple[tuple[int, ...], Any]]


def specs_for(net: Sequential, x: FloatArray, y: NDArray[Any], size: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """What ``size`` processes have in common that train ``net`` on batches like ``x`` and ``y``, or with fewer rows."""
    specs: dict[str, tuple[tuple[int, ...], Any]] = {
        "words": ((words_for(size),), np.int64),
        "x": ((PLACES, *x.shape), x.dtype),
        "y": ((PLACES, *y.shape), y.dtype),
    }
    dtype, rows = net.parameters().dtype, len(x)
    for index, leaf in enumerate(net.leaves()):
        if isinstance(leaf, Linear):
            specs[f"products {index}"] = ((2, size, rows, leaf.out_features), dtype)
            specs[f"whole {index}"] = ((rows, leaf.out_features), dtype)
    return specs


def _sizes(specs: Specs) -> list[int]:
    """The bytes of each array, up to a cache line's end."""
    return [-(-math.prod(shape) * np.dtype(dtype).itemsize // LINE) * LINE for shape, dtype in specs.values()]


def make_memory(specs: Specs) -> int:
    """The descriptor of a file, filled with 0, in which these arrays have room.

    It has no name, so that it is gone with the last process that has it open.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("numpy_nn")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, sum(_sizes(specs)))
    return descriptor


def arrays_in(descriptor: int, specs: Specs) -> dict[str, NDArray[Any]]:
    """The arrays in such a file, the same in every process."""
    memory = np.frombuffer(mmap.mmap(descriptor, sum(_sizes(specs))), np.uint8)
    arrays, start = {}, 0
    for (name, (shape, dtype)), size in zip(specs.items(), _sizes(specs), strict=True):
        used = math.prod(shape) * np.dtype(dtype).itemsize
        arrays[name] = memory[start : start + used].view(dtype).reshape(shape)
        start += size
    return arrays


class Owner:
    """Process ``rank`` of ``size``: it computes gradients and updates what it owns, and meets the others on the way.

    ``descriptor`` is that of the shared memory, ``check`` what :class:`Meetings` asks while it waits.
    """

    def __init__(self, rank: int, size: int, descriptor: int, specs: Specs, check: Callable[[], None]) -> None:
        self.rank = rank
        self.arrays = arrays_in(descriptor, specs)
        self.meetings = Meetings(self.arrays["words"], rank, size, check)

    def take(self, part: Part, loss: Loss) -> None:
        """Own this from now on, and compute this loss."""
        self.part, self.loss = part, loss
        for index, leaf in enumerate(part.net):
            if isinstance(leaf, DividedLinear):
                products, whole = self.arrays[f"products {index}"], self.arrays[f"whole {index}"]
                leaf.attach(self.meetings, self.rank, products, whole)

    def gradients(self, order: int, compute: Callable[[Layer, Loss, FloatArray, NDArray[Any]], T]) -> T:
        """What ``compute`` returns of the batch that is ordered: its loss, after forward and backward."""
        rows, place = divmod(order, PLACES)
        self.meetings.batch += 1
        return compute(self.part.net, self.loss, self.arrays["x"][place, :rows], self.arrays["y"][place, :rows])

    def update(self) -> None:
        """The optimizer's step, on what this process owns."""
        self.part.optimizer.step()

    def set(self, groups: list[dict[str, Any]]) -> None:
        """Give the groups of the optimizer these settings."""
        for group, settings in zip(self.part.optimizer.param_groups, groups, strict=True):
            group.update(settings)


def work() -> None:
    """A worker: what it needs comes by the standard input, and orders from process 0 as long as that is there."""
    receive, send = sys.stdin.buffer, sys.stdout.buffer
    parent, rank, size, descriptor, specs = pickle.load(receive)

    def check() -> None:
        if os.getppid() != parent:
            os._exit(1)

    owner = Owner(rank, size, descriptor, specs, check)

    def take() -> None:
        owner.meetings.meet()
        owner.take(*pickle.load(receive))

    def give() -> None:
        pickle.dump(owner.part, send, pickle.HIGHEST_PROTOCOL)
        send.flush()

    orders: dict[int, Callable[[], object]] = {
        UPDATE: owner.update,
        SET: lambda: owner.set(pickle.load(receive)),
        TAKE: take,
        GIVE: give,
    }
    # A run that diverges is told by process 0.
    with np.errstate(all="ignore"):
        while True:
            order = owner.meetings.next_order()
            if order > 0:
                owner.gradients(order, loss_and_gradients)
            else:
                orders[order]()
