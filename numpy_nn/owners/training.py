"""Training by owners, as the process that starts it sees it: one network, one optimizer, and steps on whole batches."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.checks import count
from numpy_nn._support.workspace import LINE, FloatArray
from numpy_nn.data.batches import DataLoader
from numpy_nn.layers import Layer
from numpy_nn.losses import Loss, Score
from numpy_nn.network import Sequential
from numpy_nn.optim import Optimizer
from numpy_nn.optim.base import Group
from numpy_nn.owners.division import DividedLinear, by_parameter, check, divide
from numpy_nn.owners.meeting import words_for
from numpy_nn.owners.owner import MEET, READ, UPDATE, Job, Owner, Specs, layer_settings, make_memory, set_layer
from numpy_nn.parameter import Parameter, holders
from numpy_nn.training.loop import compute_gradients

MAIL = 1 << 16
COMMAND = "from numpy_nn.owners.owner import work; work()"
# What tells a BLAS, before NumPy loads it, on how many threads it computes.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class OwnerLost(RuntimeError):
    """A process that owned a part of the network has ended; what it said last is in the message."""


class OwnedTraining:
    """Trains ``net`` with ``loss`` and ``optimizer`` in several processes, of which this one is the first::

        with OwnedTraining(net, loss, optimizer, processes=2) as owned:
            nn.fit(net, loss, optimizer, owned.batches(loader), 5, test=test, gradients=owned.gradients)

    or, step by step, ``owned.step(x, y)``. While it lasts, ``optimizer.step()`` has every process update what it owns.
    ``net`` and ``optimizer`` are what the processes have made of them after each epoch of :meth:`batches`, at the end
    of the ``with``, and when :meth:`collect` is called; in between they are as they were. Who changes them in between
    calls :meth:`distribute`.

    The processes begin at the first batch, each with one thread of the BLAS; this one too, if threadpoolctl is
    installed. ValueError, in one line, for what cannot be divided; :class:`OwnerLost` if a process ends. Whatever ends
    a step early ends the others, and leaves ``net`` as it was collected last. Nothing is left behind, whichever process
    is killed.
    """

    def __init__(self, net: Sequential, loss: Loss, optimizer: Optimizer, processes: int = 2) -> None:
        self.size = count(processes, "processes", low=2)
        check(net, self.size)
        for thing, room in ((loss, "losses"), (optimizer, "optim")):
            if not type(thing).__module__.startswith(f"numpy_nn.{room}."):
                raise ValueError(f"processes: {type(thing).__name__} is not of numpy_nn.{room}, which is all they have")
        ours = {id(p) for p in net.parameters()}
        if any(id(p) not in ours for p, _ in by_parameter(optimizer)):
            raise ValueError("processes: the optimizer has parameters that are not of this network")
        self.net, self.loss, self.optimizer = net, loss, optimizer
        self.active = True  # else this process trains alone, and the others sleep
        self._owner: Owner | None = None
        self._workers: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
        self._whole = True  # no step is half done
        self._told: list[Group] = []
        self._ready: tuple[Any, Any] = (None, None)  # the batch that lies in shared memory
        self._threads = ExitStack()
        optimizer.step = self._update  # type: ignore[method-assign]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Collect, unless a step ended early; end the processes, and leave the optimizer its own step."""
        try:
            self._end()
        finally:
            vars(self.optimizer).pop("step", None)

    def step(self, x: FloatArray, y: NDArray[Any]) -> float:
        """Forward, backward, update on one batch; returns its loss."""
        loss = self.gradients(self.net, self.loss, x, y).loss
        self._update()
        return loss

    def gradients(self, net: Layer, loss: Loss, x: FloatArray, y: NDArray[Any]) -> Score:
        """The ``gradients`` of :func:`~numpy_nn.fit`: forward and backward on a batch, by all processes."""
        if net is not self.net or loss is not self.loss:
            raise ValueError("gradients: expected the network and the loss that the processes have")
        if not self.active:
            return compute_gradients(net, loss, x, y)
        self.start(x, y)
        with self._together() as owner:
            for name, given, ready in zip("xy", (x, y), self._ready, strict=True):
                if given is not ready:
                    owner.arrays[name][1 - owner.turn, : len(x)] = given
            owner.meetings.order(len(x))
            score = owner.gradients(len(x))
        if not np.isfinite(score.loss):
            self.collect()  # for whoever says where it went wrong
        return score

    def _update(self) -> None:
        """The optimizer's step, by all processes."""
        if not self.active:
            return type(self.optimizer).step(self.optimizer)
        told = self._settings()
        if told != self._told:
            if self._states() != self._names:  # arrays for which there is no room yet
                self._end()
                self.start(*self._largest)
            self._tell(told, {})
        with self._together() as owner:
            owner.meetings.order(UPDATE)
            owner.update()

    @contextmanager
    def _together(self) -> Iterator[Owner]:
        """What the processes do together: if it ends early, they are not together any more."""
        if self._owner is None or not self._whole:
            raise OwnerLost("processes: expected a batch before, and no step that ended early")
        self._whole = False
        yield self._owner
        self._whole = True

    def start(self, x: FloatArray, y: NDArray[Any]) -> None:
        """Begin the processes, unless they have room for a batch like this one already."""
        if self._owner is not None:
            room = zip((self._owner.arrays["x"], self._owner.arrays["y"]), (x, y), strict=True)
            if all(a.dtype == b.dtype and a.shape[2:] == b.shape[1:] and len(b) <= a.shape[1] for a, b in room):
                return
            self._end()
        self._largest, self._names = (x, y), self._states()
        self._parts = [divide(self.net, rank, self.size) for rank in range(self.size)]
        self._starts, specs = self._lay_out(x, y)
        descriptor = make_memory(specs)
        places = {id(p): place for place, p in enumerate(self.net.parameters())}
        groups = [
            [places[id(p)] for holder in holders(group["params"]) for p in holder.members()]
            for group in self.optimizer.param_groups
        ]
        own = (self.loss, type(self.optimizer), groups, self._names)
        jobs = [
            Job(rank, self.size, os.getpid(), descriptor, specs, part.net, *own, start)
            for rank, (part, start) in enumerate(zip(self._parts, self._starts, strict=True))
        ]
        try:
            self._workers += [_started(job) for job in jobs[1:]]
            self._owner = Owner(jobs[0], self._check_workers)
        finally:
            os.close(descriptor)
        if importlib.util.find_spec("threadpoolctl"):
            from threadpoolctl import threadpool_limits

            self._threads.enter_context(threadpool_limits(1, "blas"))
        self._whole = True
        self.distribute()

    def _lay_out(self, x: FloatArray, y: NDArray[Any]) -> tuple[list[int], Specs]:
        """Where each process's own numbers begin in the shared vectors, and all arrays in shared memory."""
        dtype, starts, stop = self.net.parameters().dtype, [], 0
        for part in self._parts:
            starts.append(stop)
            own = part.net.parameters().size + sum(b.size for _, b in part.net.named_buffers())
            stop += -(-own // LINE) * LINE
        specs: dict[str, tuple[tuple[int, ...], Any]] = {
            "words": ((words_for(self.size),), np.int64),
            "mail": ((MAIL,), np.uint8),
            "x": ((2, *x.shape), x.dtype),
            "y": ((2, *y.shape), y.dtype),
            "vectors": ((2 + len(self._names), stop), dtype),
        }
        for index, leaf in enumerate(self._parts[0].net):
            if isinstance(leaf, DividedLinear):
                specs[f"parts {index}"] = ((2, self.size, len(x), leaf.out_features), dtype)
                specs[f"whole {index}"] = ((len(x), leaf.out_features), dtype)
        return starts, specs

    def _owned(self, owner: Owner) -> Iterator[tuple[FloatArray, FloatArray]]:
        """What each process owns of each array of network and optimizer, and where it lies in shared memory."""
        if not self.optimizer._laid_out():
            self.optimizer._lay_out()
        vectors, leaves = owner.arrays["vectors"], self.net.leaves()
        states = {id(p): arrays for p, arrays in by_parameter(self.optimizer)}
        for part, stop in zip(self._parts, self._starts, strict=True):
            for leaf, name, index in part.pieces:
                array = getattr(leaves[leaf], name)
                rows = [array]
                if isinstance(array, Parameter):
                    kept = states.get(id(array), {})
                    rows = [array.data, array.grad, *(kept.get(state) for state in self._names)]
                size = rows[0][index].size
                for row, whole in enumerate(rows):
                    if whole is not None:
                        yield whole[index], vectors[row, stop : stop + size].reshape(whole[index].shape)
                stop += size

    def collect(self) -> None:
        """Bring ``net`` and ``optimizer`` to where the processes are; nothing if they have not begun."""
        if self._owner is None or not self.active:
            return
        self._meet()
        for own, shared in self._owned(self._owner):
            own[...] = shared
        for layer, part in zip(self.net.leaves(), self._owner.net, strict=True):
            set_layer(layer, *layer_settings(part))
        if self._owner.optimizer is not None:
            self.optimizer.steps = self._owner.optimizer.steps
            for index, group in zip(self._owner.groups, self._owner.optimizer.param_groups, strict=True):
                self.optimizer.param_groups[index].update(_without_params(group))

    def distribute(self) -> None:
        """Give the processes what ``net`` and ``optimizer`` are now; nothing if they have not begun."""
        if self._owner is None or not self.active:
            return
        self._meet()
        for own, shared in self._owned(self._owner):
            shared[...] = own
        layers = [layer_settings(layer) for layer in self.net.leaves()]
        learning = [p.requires_grad for p in self.net.parameters()]
        groups = [_without_params(group) for group in self.optimizer.param_groups]
        self._tell(groups, {"steps": self.optimizer.steps, "layers": layers, "learning": learning})

    def _tell(self, groups: list[Group], message: dict[str, Any]) -> None:
        """Have all take these settings of the groups, and what else the message says."""
        self._meet()  # so that the message before has been read
        self._told = self._settings()
        with self._together() as owner:
            text = pickle.dumps({"groups": groups, **message})
            if len(text) > MAIL:
                raise ValueError(f"processes: settings of {len(text)} bytes do not fit into {MAIL}")
            owner.arrays["mail"][: len(text)] = np.frombuffer(text, np.uint8)
            owner.meetings.order(READ)
            owner.take(pickle.loads(text))

    def _meet(self) -> None:
        """Wait until all have done what was ordered."""
        with self._together() as owner:
            owner.meetings.order(MEET)
            owner.meetings.meet()

    def _settings(self) -> list[Group]:
        """Of each group of the optimizer, what may be set: not what it keeps there for itself."""
        kind = type(self.optimizer)
        return [{n: value for n, value in g.items() if hasattr(kind, n)} for g in self.optimizer.param_groups]

    def _states(self) -> list[str]:
        """The names of the arrays that the optimizer keeps with its settings of now."""
        groups = self.optimizer.param_groups
        return list(dict.fromkeys(name for group in groups for name in self.optimizer._states(group)))

    def batches(self, loader: DataLoader) -> DataLoader:
        """The loader's batches, in memory that the next but one takes again; each epoch ends with :meth:`collect`."""
        return _OwnedLoader(loader, self)

    def _gather(self, loader: DataLoader, rows: Any) -> tuple[FloatArray, NDArray[Any]]:
        """The rows of a loader, where all processes see them."""
        if self._owner is None:
            self.start(loader.x[: loader.batch_size], loader.y[: loader.batch_size])
        assert self._owner is not None
        gathered = []
        for name, source in (("x", loader.x), ("y", loader.y)):
            if isinstance(rows, slice):
                rows = np.arange(*rows.indices(len(source)))
            room = self._owner.arrays[name][1 - self._owner.turn, : len(rows)]
            # Every row exists; the mode spares NumPy a copy made in case one does not.
            gathered.append(source.take(rows, axis=0, out=room, mode="clip"))
        self._ready = gathered[0], gathered[1]
        return self._ready

    def pause(self) -> None:
        """Train alone from now on, until :meth:`resume`; the others sleep."""
        self.collect()
        self.active = False

    def resume(self) -> None:
        """Train together again."""
        self.active = True
        self.distribute()

    def _check_workers(self) -> None:
        for rank, (worker, words) in enumerate(self._workers, start=1):
            if worker.poll() is not None:
                words.seek(0)
                last = (words.read().decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
                raise OwnerLost(f"process {rank} of {self.size} has ended with status {worker.returncode}: {last}")

    def _end(self) -> None:
        """Collect, unless a step ended early, and end the processes."""
        try:
            if self._whole:
                self.collect()
        finally:
            for worker, words in self._workers:
                worker.kill()
                worker.wait()
                words.close()
            self._workers.clear()
            self._owner = None
            self._threads.close()


class _OwnedLoader(DataLoader):
    """The batches of a loader, gathered where all processes see them."""

    def __init__(self, loader: DataLoader, owned: OwnedTraining) -> None:
        vars(self).update(vars(loader))
        self.owned = owned

    def __iter__(self) -> Iterator[tuple[FloatArray, NDArray[Any]]]:
        owned = self.owned
        try:
            for number, rows in enumerate(self.indices()):
                if number == 0:
                    owned.distribute()  # what was changed since the last epoch
                x, y = owned._gather(self, rows) if owned.active else (self.x[rows], self.y[rows])
                yield x if self.transform is None else self.transform(x), y
        finally:
            if owned._whole:
                owned.collect()


def _without_params(group: Group) -> Group:
    return {name: value for name, value in group.items() if name != "params"}


def _started(job: Job) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """A worker with its job, and the file of what it says when it fails."""
    words = tempfile.TemporaryFile()
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile() as given:
        pickle.dump(job, given)
        given.seek(0)
        worker = subprocess.Popen(
            [sys.executable, "-c", COMMAND],
            stdin=given,
            stdout=words,
            stderr=words,
            pass_fds=(job.descriptor,),
            env={**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is the first process's
        )
    return worker, words
