"""``train_mnist.py`` as one of several processes that ``torchrun`` started; alone, everything here does nothing.

Rank 0 prints and writes. An error is told once, by the rank that comes first with it. torch is imported under torchrun
only.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy_nn as nn
from numpy_nn.training import Metrics

if TYPE_CHECKING:
    import torch

    from torch_ref.distributed import DataParallel, Group, ShardedLoader

# What torchrun sets for each process, among others.
RANK, SIZE, LOCAL_RANK, LOCAL_SIZE = "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"


class Ended(BaseException):
    """torchrun ends this process, as it does when another one has died."""


class _Run:
    """Where the processes of this run meet, and the group that they form."""

    store: Any = None
    group: Group | None = None


def launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return RANK in os.environ and int(os.environ.get(SIZE, "1")) > 1


def is_first() -> bool:
    """Whether this process prints and writes: the only one, or rank 0."""
    return not launched() or os.environ[RANK] == "0"


def processes_here() -> int:
    """How many processes of the run share this machine's cores."""
    return int(os.environ.get(LOCAL_SIZE, "1")) if launched() else 1


def complain(message: str) -> None:
    """One line on stderr, unless another process of the run has written one."""
    if _comes_first():
        print(f"train_mnist: {message}", file=sys.stderr, flush=True)


def _comes_first() -> bool:
    if _Run.store is None:
        return True
    try:
        return bool(_Run.store.add("complaints", 1) == 1)
    except RuntimeError:  # the process that keeps the store is gone
        return True


def together(job: Callable[[], int]) -> NoReturn:
    """End with the exit status of ``job``, which calls :func:`join`; a lost process ends it with one line and 1."""
    status = _status(job)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by sys.exit: DistributedDataParallel keeps the process group, and with it gloo's threads, alive beyond
    # destroy_process_group, and a thread that needs the interpreter while it shuts down aborts a run that was well.
    os._exit(status)


def _status(job: Callable[[], int]) -> int:
    import torch.distributed as dist

    from torch_ref.distributed import is_loss_of_a_process, leave

    handlers = {signal.SIGTERM: signal.signal(signal.SIGTERM, _end)}
    if not is_first():
        # Ctrl-C is rank 0's: it writes what there is and ends, and with it the others.
        handlers[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    rank = os.environ[RANK]
    try:
        _Run.store, _, _ = next(dist.rendezvous("env://"))
        status = job()
        if status == 0 and _Run.group is not None:
            leave()
        elif status == signal.SIGINT + 128:
            _comes_first()  # so that the others end in silence
        return status
    except RuntimeError as error:
        if not is_loss_of_a_process(error):
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun may have noticed too, and one line is enough
        complain(f"rank {rank}: lost another process of this run, which ended or hangs; ending too")
        return 1
    except Ended:
        complain(f"rank {rank}: told to end by torchrun, as when another process of the run has died")
        return 128 + signal.SIGTERM
    finally:
        _Run.store = _Run.group = None
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(_signal: int, _frame: object) -> None:
    raise Ended


def told_once(parse: Callable[[], argparse.Namespace]) -> argparse.Namespace:
    """What ``parse`` returns; the help or the error with which it exits is printed by one process."""
    if not launched():
        return parse()
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            return parse()
    except SystemExit:
        if _comes_first():
            print(out.getvalue(), end="", flush=True)
            print(err.getvalue(), end="", file=sys.stderr, flush=True)
        raise


def join(args: argparse.Namespace) -> None:
    """Form the group of processes for a run with these options; ValueError for what several processes cannot do."""
    if not launched():
        return
    if args.engine == "both":
        raise ValueError("--engine: several processes train one engine, expected numpy or torch, got both")
    if args.graph:
        raise ValueError("--graph: a captured step is one process's, use it without torchrun")
    if args.jobs > 1:
        raise ValueError("--jobs: seeds at a time and processes for each seed exclude each other, use one of the two")
    from torch_ref.distributed import join

    rank, size = int(os.environ[RANK]), int(os.environ[SIZE])
    _Run.group = join(_Run.store, rank, size, device=_device(args) if args.engine == "torch" else None)


def _device(args: argparse.Namespace) -> torch.device:
    """Where torch computes: on a machine's GPUs, each process has one of its own."""
    import torch

    from torch_ref.training import resolve_device

    device = resolve_device(args.device)
    if device.type == "cuda":
        if processes_here() > torch.cuda.device_count():
            raise ValueError(
                f"--nproc-per-node: expected at most {torch.cuda.device_count()} processes, one for each GPU, "
                f"got {processes_here()}; or use --device cpu"
            )
        torch.cuda.set_device(int(os.environ[LOCAL_RANK]))
    return device


def share_batches(loader: nn.DataLoader) -> nn.DataLoader:
    """The loader's batches, or this process's share of each."""
    if _Run.group is None:
        return loader
    from torch_ref.distributed import ShardedLoader

    return ShardedLoader(loader, _Run.group)


def callbacks(net: nn.Sequential, loss: nn.Loss, loader: nn.DataLoader) -> list[nn.Callback]:
    """What ``fit`` must do first in one epoch so that all processes train one network; nothing alone."""
    if _Run.group is None:
        return []
    from torch_ref.distributed import AllReduce

    return [AllReduce(net, loss, _sharded(loader))]


def _sharded(loader: nn.DataLoader) -> ShardedLoader:
    from torch_ref.distributed import ShardedLoader

    assert isinstance(loader, ShardedLoader)  # by share_batches
    return loader


def data_parallel(model: torch.nn.Module, loader: nn.DataLoader) -> DataParallel | None:
    """The same for torch, which trains the ``model`` in what is returned; None alone."""
    if _Run.group is None:
        return None
    from torch_ref.distributed import DataParallel

    return DataParallel(model, _sharded(loader))


def share_rows(x: Any, y: Any) -> tuple[Any, Any]:
    """The rows, or this process's share, that :func:`mean` is told of."""
    if _Run.group is None:
        return x, y
    rows = _Run.group.slice_of(len(x))
    return x[rows], y[rows]


def share_buffers(net: nn.Sequential) -> None:
    """Give all processes the first one's running statistics."""
    if _Run.group is not None:
        _Run.group.share_buffers(net)


def mean(metrics: Metrics, rows: int) -> Metrics:
    """The metrics over all processes' rows, from those of this one's."""
    return metrics if _Run.group is None else _Run.group.mean(metrics, rows)
