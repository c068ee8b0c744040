"""``train_mnist.py`` as one of several processes that ``torchrun`` started, or alone.

Whoever has to know is given the object that says so: :class:`Alone`, :class:`Launched` until the processes have met, or
:class:`Joined`. Rank 0 prints and writes. An error is told once, by the rank that comes first with it. torch is
imported under torchrun only.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy_nn as nn
from numpy_nn.training import Metrics
from scripts.mnist.options import Options

if TYPE_CHECKING:
    import torch

    from torch_ref.distributed import AllReduce, DataParallel, Group

# What torchrun sets for each process, among others.
RANK, SIZE, LOCAL_RANK, LOCAL_SIZE = "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"

T = TypeVar("T")


class Ended(BaseException):
    """torchrun ends this process, as it does when another one has died."""


class Alone:
    """The only process of a run: it prints and writes, and has nobody to share with."""

    is_first = True  # prints and writes

    def complain(self, message: str) -> None:
        """One line on stderr, unless another process of the run has written one."""
        if self.comes_first():
            print(f"train_mnist: {message}", file=sys.stderr, flush=True)

    def comes_first(self) -> bool:
        """Whether no other process of the run has asked this before."""
        return True

    def told_once(self, parse: Callable[[], T]) -> T:
        """What ``parse`` returns; the help or the error with which it exits is printed by one process."""
        return parse()

    def join(self, _options: Options, /) -> Alone:
        """The process in its group, for a run with these options; ValueError for what several cannot do."""
        return self

    def share_batches(self, loader: nn.DataLoader) -> nn.DataLoader:
        """The loader's batches, or this process's share of each."""
        return loader

    def all_reduce(self, _net: nn.Sequential, _loss: nn.Loss, _loader: nn.DataLoader, /) -> AllReduce | None:
        """The callback by which all processes train one network for an epoch that begins; None alone."""
        return None

    def data_parallel(self, _model: torch.nn.Module, _loader: nn.DataLoader, /) -> DataParallel | None:
        """The same for torch, which trains the model in what is returned; None alone."""
        return None

    def share_rows(self, x: Any, y: Any) -> tuple[Any, Any]:
        """The rows, or this process's share, that :meth:`mean` is told of."""
        return x, y

    def share_buffers(self, net: nn.Sequential) -> None:
        """Give all processes the first one's running statistics."""

    def mean(self, metrics: Metrics, _rows: int, /) -> Metrics:
        """The metrics over all processes' rows, from those of this one's."""
        return metrics


class Launched(Alone):
    """One of several processes that torchrun started, before they have met; they share the ``store``."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.is_first = os.environ[RANK] == "0"

    def comes_first(self) -> bool:
        try:
            return bool(self.store.add("complaints", 1) == 1)
        except RuntimeError:  # the process that keeps the store is gone
            return True

    def told_once(self, parse: Callable[[], T]) -> T:
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                return parse()
        except SystemExit:
            if self.comes_first():
                print(out.getvalue(), end="", flush=True)
                print(err.getvalue(), end="", file=sys.stderr, flush=True)
            raise

    def join(self, options: Options, /) -> Joined:
        if options.recipe.engine == "both":
            raise ValueError("--engine: several processes train one engine, expected numpy or torch, got both")
        if options.recipe.graph:
            raise ValueError("--graph: a captured step is one process's, use it without torchrun")
        if options.jobs > 1:
            raise ValueError(
                "--jobs: seeds at a time and processes for each seed exclude each other, use one of the two"
            )
        from torch_ref.distributed import join

        rank, size = int(os.environ[RANK]), int(os.environ[SIZE])
        device = own_device(options.place.device) if options.recipe.engine == "torch" else None
        return Joined(self.store, join(self.store, rank, size, device=device))


class Joined(Launched):
    """One of several processes that train one network, as a ``group``."""

    def __init__(self, store: Any, group: Group) -> None:
        super().__init__(store)
        self.group = group

    def share_batches(self, loader: nn.DataLoader) -> nn.DataLoader:
        from torch_ref.distributed import ShardedLoader

        return ShardedLoader(loader, self.group)

    def all_reduce(self, net: nn.Sequential, loss: nn.Loss, loader: nn.DataLoader, /) -> AllReduce:
        from torch_ref.distributed import AllReduce, ShardedLoader

        assert isinstance(loader, ShardedLoader)  # by share_batches
        return AllReduce(net, loss, loader)

    def data_parallel(self, model: torch.nn.Module, loader: nn.DataLoader, /) -> DataParallel:
        from torch_ref.distributed import DataParallel, ShardedLoader

        assert isinstance(loader, ShardedLoader)  # by share_batches
        return DataParallel(model, loader)

    def share_rows(self, x: Any, y: Any) -> tuple[Any, Any]:
        rows = self.group.slice_of(len(x))
        return x[rows], y[rows]

    def share_buffers(self, net: nn.Sequential) -> None:
        self.group.share_buffers(net)

    def mean(self, metrics: Metrics, rows: int, /) -> Metrics:
        return self.group.mean(metrics, rows)


def launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return RANK in os.environ and int(os.environ.get(SIZE, "1")) > 1


def processes_here() -> int:
    """How many processes of the run share this machine's cores."""
    return int(os.environ.get(LOCAL_SIZE, "1")) if launched() else 1


def own_device(name: str) -> torch.device:
    """The device of that name where torch computes: on a machine's GPUs, each process has one of its own."""
    import torch

    from torch_ref.training import resolve_device

    device = resolve_device(name)
    if device.type == "cuda":
        if processes_here() > torch.cuda.device_count():
            raise ValueError(
                f"--nproc-per-node: expected at most {torch.cuda.device_count()} processes, one for each GPU, "
                f"got {processes_here()}; or use --device cpu"
            )
        torch.cuda.set_device(int(os.environ[LOCAL_RANK]))
    return device


def together(job: Callable[[Launched], int]) -> NoReturn:
    """End with the exit status of ``job``, which joins the others; a lost process ends it with one line and 1."""
    status = _status(job)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by sys.exit: DistributedDataParallel keeps the process group, and with it gloo's threads, alive beyond
    # destroy_process_group, and a thread that needs the interpreter while it shuts down aborts a run that was well.
    os._exit(status)


def _status(job: Callable[[Launched], int]) -> int:
    import torch.distributed as dist

    from torch_ref.distributed import is_loss_of_a_process, leave

    rank = os.environ[RANK]
    handlers = {signal.SIGTERM: signal.signal(signal.SIGTERM, _end)}
    if rank != "0":
        # Ctrl-C is rank 0's: it writes what there is and ends, and with it the others.
        handlers[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = Alone()
    try:
        store, _, _ = next(dist.rendezvous("env://"))
        process = started = Launched(store)
        status = job(started)
        if status == 0 and dist.is_initialized():
            leave()
        elif status == signal.SIGINT + 128:
            process.comes_first()  # so that the others end in silence
        return status
    except RuntimeError as error:
        if not is_loss_of_a_process(error):
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun may have noticed too, and one line is enough
        process.complain(f"rank {rank}: lost another process of this run, which ended or hangs; ending too")
        return 1
    except Ended:
        # Before the processes have met, nobody knows whether another one has said why: torchrun names it in any case.
        if isinstance(process, Launched):
            process.complain(f"rank {rank}: told to end by torchrun, as when another process of the run has died")
        return 128 + signal.SIGTERM
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(_signal: int, _frame: object) -> None:
    raise Ended
