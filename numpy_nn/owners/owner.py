"""One of the processes: its part of the network, of the optimizer and of the shared memory; and what a worker does."""

from __future__ import annotations

import math
import mmap
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import LINE
from numpy_nn.losses import Loss, Score
from numpy_nn.network import Sequential
from numpy_nn.optim import Optimizer
from numpy_nn.owners.division import DividedLinear
from numpy_nn.owners.meeting import Meetings
from numpy_nn.training.loop import compute_gradients

# What process 0 orders; a positive number is that of the rows of the next batch.
UPDATE, MEET, READ = -1, -2, -3
Specs = Mapping[str, tuple[tuple[int, ...], Any]]


def _sizes(specs: Specs) -> list[int]:
    """The bytes of each array, up to the next cache line."""
    return [-(-math.prod(shape) * np.dtype(dtype).itemsize // LINE) * LINE for shape, dtype in specs.values()]


def make_memory(specs: Specs) -> int:
    """The descriptor of a file without a name, filled with 0, in which these arrays have room.

    It has no name, so that it is gone when the last process is that has it open.
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


@dataclass
class Job:
    """What makes a process an owner: its part, and where its numbers begin in the rows of the shared vectors.

    The rows are values, gradients, and one for each of the ``states`` of the optimizer, whose ``groups`` are lists of
    the places that their parameters have among those of the network.
    """

    rank: int
    size: int
    parent: int
    descriptor: int
    specs: Specs
    net: Sequential
    loss: Loss
    kind: type[Optimizer]
    groups: list[list[int]]
    states: list[str]
    start: int


class Owner:
    """A process's part, at work: it computes gradients and updates what it owns, and meets the others on the way."""

    def __init__(self, job: Job, check: Callable[[], None]) -> None:
        self.net, self.loss, self.turn = job.net, job.loss, 0
        self.arrays = arrays_in(job.descriptor, job.specs)
        self.meetings = Meetings(self.arrays["words"], job.rank, job.size, check)
        for index, leaf in enumerate(self.net):
            if isinstance(leaf, DividedLinear):
                parts, whole = self.arrays[f"parts {index}"], self.arrays[f"whole {index}"]
                leaf.attach(job.rank, parts, whole, self.meetings.meet)
        vectors, stop = self.arrays["vectors"], job.start
        starts = {}
        for p in self.net.parameters():
            starts[id(p)], own = stop, slice(stop, stop + p.size)
            p.move_to(vectors[0, own].reshape(p.shape), vectors[1, own].reshape(p.shape))
            stop += p.size
        for layer in self.net:
            for name, buffer in layer.own_buffers():
                if buffer.ndim:
                    setattr(layer, name, vectors[0, stop : stop + buffer.size])
                    stop += buffer.size
        # An optimizer of the part alone, with its arrays in shared memory; None if there is nothing to change.
        self.optimizer, self.groups = None, []
        members = [[self.net.parameters()[place] for place in places] for places in job.groups]
        self.groups = [index for index, own in enumerate(members) if sum(p.size for p in own)]
        if self.groups:
            everything = self.net.parameters()
            given = [everything if members[i] == list(everything) else members[i] for i in self.groups]
            make: Any = job.kind
            self.optimizer = optimizer = make([{"params": params} for params in given])
            for holder, state in zip(optimizer._holders, optimizer.state, strict=True):
                start = starts[id(holder.members()[0])]
                for row, name in enumerate(job.states, start=2):
                    state[name] = vectors[row, start : start + holder.size].reshape(holder.data.shape)
            optimizer._lay_out()

    def gradients(self, rows: int) -> Score:
        """Forward and backward on the next batch."""
        self.turn = 1 - self.turn
        x, y = self.arrays["x"][self.turn, :rows], self.arrays["y"][self.turn, :rows]
        return compute_gradients(self.net, self.loss, x, y)

    def update(self) -> None:
        """The optimizer's step, on what this process owns."""
        if self.optimizer is not None:
            self.optimizer.step()

    def take(self, message: Mapping[str, Any]) -> None:
        """Be set as the message says: the groups of the optimizer, or after a change from outside all that is no array."""
        if self.optimizer is not None:
            for group, index in zip(self.optimizer.param_groups, self.groups, strict=True):
                group.update(message["groups"][index])
            self.optimizer.steps = message.get("steps", self.optimizer.steps)
        for p, learns in zip(self.net.parameters(), message.get("learning", ()), strict=False):
            p.requires_grad = learns
        for layer, settings in zip(self.net, message.get("layers", ()), strict=False):
            set_layer(layer, *settings)


def layer_settings(layer: Any) -> tuple[bool, int | None, Any]:
    """What a layer's next step depends on beside arrays of floats: its mode, a counter, the state of a generator."""
    counter, rng = getattr(layer, "num_batches_tracked", None), getattr(layer, "rng", None)
    return layer.training, None if counter is None else int(counter), None if rng is None else rng.bit_generator.state


def set_layer(layer: Any, training: bool, counter: int | None, state: Any) -> None:
    """Put back what :func:`layer_settings` found."""
    layer.training = training
    if counter is not None:
        layer.num_batches_tracked[...] = counter
    if state is not None:
        layer.rng.bit_generator.state = state


def work() -> None:
    """A worker: takes its job from the standard input, and orders from process 0 as long as that is there."""
    job: Job = pickle.load(sys.stdin.buffer)

    def check() -> None:
        if os.getppid() != job.parent:
            os._exit(1)

    owner = Owner(job, check)
    mail = owner.arrays["mail"]
    orders: dict[int, Callable[[], object]] = {
        UPDATE: owner.update,
        MEET: owner.meetings.meet,
        READ: lambda: owner.take(pickle.loads(mail.tobytes())),
    }
    # A run that diverges is told by process 0.
    with np.errstate(all="ignore"):
        while True:
            order = owner.meetings.next_order()
            if order > 0:
                owner.gradients(order)
            else:
                orders[order]()
