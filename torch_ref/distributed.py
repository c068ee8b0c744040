"""Data parallelism: one network trained by several processes, each on its share of every batch, in either engine.

Every process, called a rank, holds all the parameters and draws the same batches from the same seed. Of a batch of n
rows, rank r of p takes the n_r rows from floor(r n / p) up to floor((r + 1) n / p). The gradient of a loss that is a
mean over the batch is then

    g = sum_r (n_r / n) g_r,     g_r the gradient on the share alone,

one sum over the processes (an all-reduce), after which all of them make the same step. It is the gradient of the whole
batch up to rounding, also where p does not divide n. Two layers see more than a row at a time, or draw numbers:

- BatchNorm1d normalises with the statistics of the rank's own share, and rank 0's running statistics are everybody's
  after each epoch, as DistributedDataParallel does by default.
- Dropout draws from streams that differ by rank: at the start of an epoch rank r takes rank 0's generator, advanced by
  r jumps (``PCG64.jumped``, about 2^127 draws each). Rank 0's own stream is that of a single process, and is all that
  a checkpoint needs to hold, whatever the number of ranks that resume from it.

Processes find each other through the environment that ``torchrun`` sets. torch's gloo carries arrays of NumPy without a
copy; NCCL carries gradients between GPUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch.nn.parallel import DistributedDataParallel

import numpy_nn as nn
from numpy_nn.training import Metrics, Progress

# A process that ended is noticed at once, by its closed connections; this is for one that hangs. It has to be longer
# than what a rank may do alone between two steps, such as writing a checkpoint to a slow disk.
TIMEOUT = timedelta(minutes=5)


class Share(NamedTuple):
    """How many rows of a batch are this rank's, and how many the batch has."""

    rows: int
    of: int


@dataclass(frozen=True)
class Group:
    """The processes of a run, as one of them sees it: its rank among ``size``."""

    rank: int
    size: int

    def slice_of(self, n: int) -> slice:
        """The rows, out of ``n``, that are this rank's."""
        return slice(self.rank * n // self.size, (self.rank + 1) * n // self.size)

    def sum_(self, array: NDArray[Any]) -> None:
        """Replace the array, in place, by the sum of all ranks' arrays; torch works on NumPy's own memory."""
        dist.all_reduce(torch.from_numpy(array))

    def broadcast_(self, array: NDArray[Any]) -> None:
        """Replace the array, in place, by rank 0's."""
        dist.broadcast(torch.from_numpy(array), src=0)

    def share_buffers(self, net: nn.Sequential) -> None:
        """Give all ranks rank 0's running statistics."""
        for _, buffer in net.named_buffers():
            self.broadcast_(buffer)

    def mean(self, metrics: Metrics, rows: int) -> Metrics:
        """The metrics over all ranks' rows, from each rank's own and the number of rows that they are means over."""
        accuracy = 0.0 if metrics.accuracy is None else metrics.accuracy
        sums = np.array([metrics.loss * rows, accuracy * rows, rows])
        self.sum_(sums)
        loss, accuracy = sums[:2] / sums[2]
        return Metrics(float(loss), None if metrics.accuracy is None else float(accuracy))

    def part_streams(self, generators: Iterable[np.random.Generator]) -> None:
        """Give rank r rank 0's generators, each r jumps ahead; rank 0's stay as they are.

        TypeError for generators that cannot jump, such as SFC64; NumPy's default, PCG64, can.
        """
        own = list({id(generator): generator for generator in generators}.values())
        if not own:
            return
        states = [generator.bit_generator.state for generator in own]
        dist.broadcast_object_list(states, src=0, device=torch.device("cpu"))
        for generator, state in zip(own, states, strict=True):
            bits: Any = generator.bit_generator
            if not hasattr(bits, "jumped"):
                raise TypeError(f"generator: expected one whose bit generator can jump, got {type(bits).__name__}")
            bits.state = state
            if self.rank > 0:
                bits.state = bits.jumped(self.rank).state

    def part_torch_streams(self, generators: Sequence[torch.Generator] = ()) -> None:
        """Seed torch, and these, on every rank from a number that rank 0's torch draws, and the rank."""
        drawn = torch.randint(2**63 - 1, (1,))
        dist.broadcast(drawn, src=0)
        seeds = np.random.SeedSequence([int(drawn), self.rank]).generate_state(1 + len(generators), np.uint64)
        torch.manual_seed(int(seeds[0]))
        for generator, seed in zip(generators, seeds[1:], strict=True):
            generator.manual_seed(int(seed))


def join(
    store: dist.Store, rank: int, size: int, *, device: torch.device | None = None, timeout: timedelta | None = None
) -> Group:
    """Become one of the ``size`` processes that meet at ``store``; ``device`` is where torch computes.

    Tensors in the host's memory travel by gloo, those on a GPU by NCCL. Who waits for longer than ``timeout``
    (``TIMEOUT`` by default) gives up: see :func:`is_loss_of_a_process`.
    """
    cuda = device is not None and device.type == "cuda"
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", None, timeout or TIMEOUT, size, rank, store)
    return Group(rank, size)


def leave() -> None:
    """Close the connections, when all processes are done."""
    dist.destroy_process_group()


def is_loss_of_a_process(error: RuntimeError) -> bool:
    """Whether the error says that another process ended, or did not answer in time."""
    # gloo's errors have no type of their own, but all name a file of gloo's.
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()


class ShardedLoader(nn.DataLoader):
    """The batches of a loader, of each of which this rank gets its share; the order is that of the loader.

    ValueError if a batch would leave a rank without a row.
    """

    def __init__(self, loader: nn.DataLoader, group: Group) -> None:
        super().__init__(
            loader.x,
            loader.y,
            loader.batch_size,
            shuffle=loader.shuffle,
            drop_last=loader.drop_last,
            rng=loader.rng,
            transform=loader.transform,
        )
        self.group = group
        smallest = self.share(len(self)).of
        if smallest < group.size:
            raise ValueError(
                f"batch_size: expected batches of at least a row for each of {group.size} processes, "
                f"got one of {smallest} ({len(self.x)} rows in batches of {self.batch_size})"
            )

    def share(self, batch: int) -> Share:
        """How much of a batch is this rank's; ``batch`` counts from 1, as in :class:`~numpy_nn.training.Progress`."""
        of = min(self.batch_size, len(self.x) - (batch - 1) * self.batch_size)
        rows = self.group.slice_of(of)
        return Share(rows.stop - rows.start, of)

    def rows(self) -> int:
        """How many rows of an epoch are this rank's."""
        return sum(self.share(batch).rows for batch in range(1, len(self) + 1))

    def indices(self) -> Iterator[NDArray[np.intp] | slice]:
        """The rows of each batch of one epoch that are this rank's."""
        for batch, rows in enumerate(super().indices(), start=1):
            own = self.group.slice_of(self.share(batch).of)
            yield slice(rows.start + own.start, rows.start + own.stop) if isinstance(rows, slice) else rows[own]


class AllReduce(nn.Callback):
    """Data parallelism for :func:`numpy_nn.fit`: the gradient of the whole batch in place of that of the share.

    To be made by every rank at the start of an epoch, after whatever a checkpoint puts in place: parameters, buffers
    and the streams of dropout begin as rank 0's. Stands before callbacks that look at the gradient, such as
    :class:`~numpy_nn.training.callbacks.ClipGradNorm`. The loss and the accuracy of the epoch become those over all
    ranks; who calls :func:`numpy_nn.training.train_epoch` itself has them from :meth:`end_epoch`.
    """

    def __init__(self, net: nn.Sequential, loss: nn.Loss, loader: ShardedLoader) -> None:
        self.net, self.loader, self.group = net, loader, loader.group
        self.averages = loss.reduction == "mean"
        self.rows = 0
        self.group.broadcast_(net.parameters().data)
        self.group.share_buffers(net)
        streams = [layer.rng for layer in net.modules() if isinstance(layer, nn.Dropout)]
        transforms = getattr(loader.transform, "rng", None)
        self.group.part_streams([*streams, *([transforms] if isinstance(transforms, np.random.Generator) else [])])

    def on_backward_end(self, progress: Progress) -> None:
        """g = sum_r (n_r / n) g_r; without the weights if the loss is a sum."""
        grad = self.net.parameters().grad
        share = self.loader.share(progress.batch)
        if self.averages:
            grad *= share.rows / share.of
        self.group.sum_(grad)
        self.rows += share.rows

    def on_epoch_end(self, progress: Progress) -> None:
        """Put the metrics over all ranks into the history."""
        epoch = progress.history.epochs[-1]
        epoch.train_loss, epoch.train_accuracy = self.end_epoch(Metrics(epoch.train_loss, epoch.train_accuracy))

    def end_epoch(self, metrics: Metrics) -> Metrics:
        """The metrics over all ranks; running statistics become rank 0's."""
        metrics, self.rows = self.group.mean(metrics, self.rows), 0
        self.group.share_buffers(self.net)
        return metrics


class DataParallel:
    """Data parallelism for :func:`torch_ref.training.train_epoch`: DistributedDataParallel with the weights n_r / n.

    DistributedDataParallel's own mean over the ranks is right for equal shares only. ``model`` is to be trained; it has
    the parameters of the module that it was made from, which begin as rank 0's.
    """

    def __init__(self, module: torch.nn.Module, loader: ShardedLoader) -> None:
        self.module, self.loader, self.group = module, loader, loader.group
        self.model = DistributedDataParallel(module)
        # The lambda, because torch compares annotations with types, not with the strings that they are in this file.
        self.model.register_comm_hook(None, lambda _, bucket: self._sum_bucket(bucket))
        self._weight = 1.0
        self.generators: list[torch.Generator] = []  # what else draws, and must differ by rank

    def begin_epoch(self, batches: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        """The same batches, of each of which the gradient's weight is set as it is handed out; parts the streams."""
        self.group.part_torch_streams(self.generators)
        for batch, (x, y) in enumerate(batches, start=1):
            share = self.loader.share(batch)
            self._weight = share.rows / share.of
            yield x, y

    def end_epoch(self, metrics: Metrics) -> Metrics:
        """The metrics over all ranks; running statistics become rank 0's."""
        self.share_buffers(self.module)
        return self.group.mean(metrics, self.loader.rows())

    @staticmethod
    def share_buffers(module: torch.nn.Module) -> None:
        """Give all ranks rank 0's running statistics."""
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)

    def _sum_bucket(self, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
        work = dist.all_reduce(bucket.buffer().mul_(self._weight), async_op=True)
        assert work is not None  # every rank belongs to the default group
        return work.get_future().then(lambda future: future.value()[0])
