"""Training by owners, as the process that starts it sees it: one network, one optimizer, and steps on whole batches."""

from __future__ import annotations

import math
import operator
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from numpy_nn._support.checks import count
from numpy_nn._support.threads import VARIABLES, one_thread
from numpy_nn._support.workspace import FloatArray
from numpy_nn.data.batches import DataLoader
from numpy_nn.layers import Layer
from numpy_nn.losses import Loss, Score
from numpy_nn.network import Sequential
from numpy_nn.optim import Optimizer
from numpy_nn.optim.base import Group
from numpy_nn.owners.division import Part, agrees, check, divide, form, join, settings_in
from numpy_nn.owners.elsewhere import Elsewhere
from numpy_nn.owners.loader import OwnedLoader
from numpy_nn.owners.owner import GIVE, SET, TAKE, UPDATE, Owner, make_memory, specs_for
from numpy_nn.owners.places import PLACES, Places, gathered
from numpy_nn.parameter import structure
from numpy_nn.training.loop import compute_gradients, train_step
from numpy_nn.training.planned import loss_and_gradients

COMMAND = "from numpy_nn.owners.owner import work; work()"
APART = "processes: expected a batch before, and no step that ended early"
FORKED = "processes: this one was forked from the one that has them, where the numbers are to be collected first"
# Bytes that a pipe holds, so that a part is sent in few pieces.
PIPE = 1 << 20


class OwnerLost(RuntimeError):
    """The processes are not together any more: one has ended, with what it said last, or a step ended early."""


class OwnedTraining:
    """Trains ``net`` with ``loss`` and ``optimizer`` in several processes, of which this one is the first.

    ::

        with OwnedTraining(net, loss, optimizer, processes=2) as owned:
            nn.fit(net, loss, optimizer, owned.batches(loader), 5, test=test, gradients=owned.gradients)

    or, step by step, ``owned.step(x, y)``. While it lasts, ``optimizer.step()`` has every process update what it owns.
    ``net`` and ``optimizer`` are what the processes have made of them after each epoch of :meth:`batches`, at the end
    of the ``with``, when :meth:`collect` is called, and when a parameter's ``data`` or ``grad`` is looked at between
    two steps, say by a callback. What was looked at may have been changed, and is distributed anew at the next step:
    right, but slower than one process if it happens at each. Running statistics, generators and the optimizer's arrays,
    looked at alone, are as they were collected last; who changes those in between calls :meth:`collect` before and
    :meth:`distribute` after. What is set in a layer, a parameter or the loss is distributed before the next step.

    The processes begin at the first batch, each with one thread of the BLAS; this one too, if threadpoolctl is
    installed. ValueError, in one line, for what cannot be divided; :class:`OwnerLost` if a process ends. Whatever ends
    a step early leaves ``net`` as it was collected last. Nothing stays behind, whichever process is killed.
    """

    def __init__(self, net: Sequential, loss: Loss, optimizer: Optimizer, processes: int = 2) -> None:
        self.size = count(processes, "processes", low=2)
        for thing, room in ((loss, "losses"), (optimizer, "optim")):
            if not type(thing).__module__.startswith(f"numpy_nn.{room}."):
                raise ValueError(f"processes: {type(thing).__name__} is not of numpy_nn.{room}, which is all they have")
        check(net, optimizer, self.size)
        if "step" in vars(optimizer):
            raise ValueError("processes: the optimizer has another step than its class, as while others update with it")
        self.net, self.loss, self.optimizer = net, loss, optimizer
        self.active = True  # else this process trains alone, and the others sleep
        self.whole = True  # no step ended early
        self._ahead = False  # the processes have computed something that was not collected yet
        self._seen = False  # somebody has looked at the parameters, and may have changed them
        self._elsewhere = Elsewhere(self._fetch)
        self._owner: Owner | None = None
        self._workers: list[subprocess.Popen[bytes]] = []
        self._told: list[Group] = []
        self._form: list[Any] = []  # of what was divided last,
        self._leaves: list[Layer] = []  # its layers,
        self._parts: list[Part] = []  # and the parts, as they were distributed or collected last
        self._of_loss: dict[str, Any] = {}
        self._counts = structure.counts()  # when all was as it was divided
        self._threads = ExitStack()
        self._pid = os.getpid()
        # Of this optimizer alone, until close(): fit and the reader's own loop call optimizer.step() as ever.
        vars(optimizer)["step"] = self._update

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
        if not self.active:
            return train_step(self.net, self.loss, self.optimizer, x, y)
        with self._begun(x, y) as (owner, order):
            self._tell_settings(owner)
            owner.meetings.order(UPDATE)  # after the gradients, without waiting for another order
            loss = owner.gradients(order, loss_and_gradients)
            owner.update()
        return loss

    def gradients(self, net: Layer, loss: Loss, x: FloatArray, y: NDArray[Any]) -> Score:
        """The ``gradients`` of :func:`~numpy_nn.fit`: forward and backward on a batch, by all processes."""
        if net is not self.net or loss is not self.loss:
            raise ValueError("gradients: expected the network and the loss that the processes have")
        if not self.active:
            return compute_gradients(net, loss, x, y)
        with self._begun(x, y) as (owner, order):
            score = owner.gradients(order, compute_gradients)
        if not math.isfinite(score.loss):
            self.collect()  # for whoever says where it went wrong
        return score

    @contextmanager
    def _begun(self, x: FloatArray, y: NDArray[Any]) -> Iterator[tuple[Owner, int]]:
        """The order, which the others have, to compute the gradients of this batch, and who computes them here."""
        self.start(x, y)
        self._go_ahead()
        with self._together() as owner:
            order = len(x) * PLACES + self._places.take(x, y)
            owner.meetings.order(order)
            yield owner, order

    def _update(self) -> None:
        """The optimizer's step, by all processes."""
        if not self.active:
            type(self.optimizer).step(self.optimizer)
            return
        self._go_ahead()
        with self._together() as owner:
            self._tell_settings(owner)
            owner.meetings.order(UPDATE)
            owner.update()

    def _tell_settings(self, owner: Owner) -> None:
        """Tell the others what is set in the groups of the optimizer, unless they know."""
        groups = self.optimizer.param_groups
        if all(group[n] == value for group, told in zip(groups, self._told, strict=True) for n, value in told.items()):
            return
        owner.meetings.order(SET)
        self._told = self._settings()
        self._send([self._told] * len(self._workers))
        owner.set(self._told)

    def _go_ahead(self) -> None:
        """From here on the processes have what ``net`` has not."""
        if self._seen or self._set_anew():
            self.renew()
        if not self._ahead:
            self._ahead = True
            self._elsewhere.begin(self.net.parameters())
            self._counts = structure.counts()

    def _set_anew(self) -> bool:
        """Whether a layer, a parameter or the loss is set otherwise than when it was distributed."""
        if self._of_loss != settings_in(self.loss):
            return True
        counts = structure.counts()
        if counts != self._counts:
            if not self._as_distributed():
                return True  # also when it is asked again, after an error
            self._counts = counts
        return False

    def _as_distributed(self) -> bool:
        """Whether each layer and its settings are what they were."""
        now = form(self.net)
        return len(now) == len(self._form) and all(map(operator.is_, now, self._form))

    def _fetch(self) -> None:
        """Somebody looks at the parameters. After a step that ended early they are as they were collected last."""
        if self.whole:
            self.collect()
        self._elsewhere.end()
        self._seen = True

    @contextmanager
    def _together(self) -> Iterator[Owner]:
        """What the processes do together: if it ends early, they are not together any more."""
        if self._owner is None or not self.whole:
            raise OwnerLost(APART)
        if not self.began_here():
            raise OwnerLost(FORKED)
        self.whole = False
        yield self._owner
        self.whole = True

    def began_here(self) -> bool:
        """Whether this process has begun the others, and is no copy of the one that has."""
        return self._pid == os.getpid()

    def start(self, x: FloatArray, y: NDArray[Any]) -> None:
        """Begin the processes, unless they have room for a batch like this one already."""
        if not self.whole:
            raise OwnerLost(APART)
        if self._workers and not self.began_here():
            raise OwnerLost(FORKED)
        if len(x) != len(y):
            raise ValueError(f"batch: expected x and y with equally many rows, got {x.shape} and {y.shape}")
        if self._owner is not None and self._has_room(x, y):
            return
        self._end()  # also what a start that was broken off has left
        self._specs = specs = specs_for(self.net, x, y, self.size)
        descriptor = make_memory(specs)
        self._pid = os.getpid()
        try:
            for _ in range(1, self.size):
                self._workers.append(_started(descriptor))
            jobs = [(rank, self.size, descriptor, specs) for rank in range(self.size)]
            self._send([(self._pid, *job) for job in jobs[1:]])
            self._owner = Owner(*jobs[0], self._check_workers)
            self._places = Places(self._owner.arrays["x"], self._owner.arrays["y"])
        finally:
            os.close(descriptor)
        self._threads.enter_context(one_thread())
        self.distribute()

    def _has_room(self, x: FloatArray, y: NDArray[Any]) -> bool:
        """Whether there are places for batches like this one."""
        assert self._owner is not None
        room = zip((self._owner.arrays["x"], self._owner.arrays["y"]), (x, y), strict=True)
        return all(a.dtype == b.dtype and a.shape[2:] == b.shape[1:] and len(b) <= a.shape[1] for a, b in room)

    def distribute(self) -> None:
        """Give the processes what ``net`` and ``optimizer`` are now; nothing if they have not begun.

        ValueError, before anything is sent, if there is a layer now that cannot be divided.
        """
        if self._owner is None or not self.active:
            return
        self.collect()
        check(self.net, self.optimizer, self.size)
        x, y = (self._owner.arrays[name][0] for name in "xy")
        if specs_for(self.net, x, y, self.size) != self._specs:  # a layer has another width, for which is no room
            self._end()
            self.start(x, y)
            return
        with self._together() as owner:
            owner.meetings.order(TAKE)
            own, *others = [divide(self.net, self.optimizer, rank, self.size) for rank in range(self.size)]
            owner.meetings.meet()
            self._send([(part, self.loss) for part in others])
            owner.take(own, self.loss)
            self._told, self._form, self._parts = self._settings(), form(self.net), [own, *others]
            self._of_loss, self._counts, self._leaves = settings_in(self.loss), structure.counts(), self.net.leaves()
        self._ahead = self._seen = False

    def renew(self) -> None:
        """:meth:`distribute`, if anything was changed since what the processes have was collected or distributed last.

        What the optimizer's groups are set to, they are told at each step.
        """
        if self._owner is None or not self.active:
            return
        self.collect()
        alike = self._as_distributed() and self._of_loss == settings_in(self.loss)
        if alike and all(agrees(part, self._leaves, self.optimizer) for part in self._parts):
            self._seen = False
        else:
            self.distribute()

    def collect(self) -> None:
        """Bring ``net`` and ``optimizer`` to where the processes are, if these did anything since they were last."""
        if self._owner is None or not self.active or not self._ahead:
            return
        with self._together() as owner:
            owner.meetings.order(GIVE)
            self._parts = [owner.part, *map(self._received, self._workers)]
            self._elsewhere.end()
            try:
                self._join()
            except BaseException:  # Ctrl-C: no network that is made of two steps
                self._join()
                raise
        self._ahead = False

    def _join(self) -> None:
        """Put the parts together in the layers that were divided, of which some may be of ``net`` no more."""
        for part in self._parts:
            join(part, self._leaves, self.optimizer)

    def _send(self, things: Sequence[Any]) -> None:
        """To each worker one."""
        for worker, thing in zip(self._workers, things, strict=True):
            assert worker.stdin is not None
            with self._loss_explained(worker):
                pickle.dump(thing, worker.stdin, pickle.HIGHEST_PROTOCOL)
                worker.stdin.flush()

    def _received(self, worker: subprocess.Popen[bytes]) -> Any:
        """What a worker sends."""
        assert worker.stdout is not None
        with self._loss_explained(worker):
            return pickle.load(worker.stdout)

    @contextmanager
    def _loss_explained(self, worker: subprocess.Popen[bytes]) -> Iterator[None]:
        """A pipe is closed where its process ends."""
        try:
            yield
        except (BrokenPipeError, EOFError, pickle.UnpicklingError):
            worker.wait()
        self._check_workers()

    def _check_workers(self) -> None:
        for rank, worker in enumerate(self._workers, start=1):
            if worker.poll() is not None and worker.stderr is not None:
                last = (worker.stderr.read().decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
                raise OwnerLost(f"process {rank} of {self.size} has ended with status {worker.returncode}: {last}")

    def _settings(self) -> list[Group]:
        """Of each group of the optimizer, what may be set: not what it keeps there for itself."""
        kind = type(self.optimizer)
        return [{n: value for n, value in g.items() if hasattr(kind, n)} for g in self.optimizer.param_groups]

    def batches(self, loader: DataLoader) -> DataLoader:
        """The loader's batches, gathered where all processes see them; each epoch ends with :meth:`collect`.

        A batch may be kept, and changed until it is trained on: then others read it, and NumPy refuses to write to it.
        While one is trained on the next is gathered: what is changed in the data meanwhile, counts from the next but
        one on.
        """
        return OwnedLoader(loader, self)

    def gather(self, loader: DataLoader, rows: Any, following: Any = None) -> tuple[FloatArray, NDArray[Any]]:
        """These rows of a loader, where all processes see them, if batches like these are trained on.

        The ``following`` ones are gathered during the next step, while this process waits for the others.
        """
        like = loader.x[: loader.batch_size], loader.y[: loader.batch_size]
        if self._owner is None and loader.transform is None:
            self.start(*like)
        if self._owner is None or not self._has_room(*like):  # a transform may make other arrays of these
            return gathered(loader, rows)
        batch = self._places.gather(loader, rows)
        ahead = partial(self._places.gather_ahead, loader, following)
        self._owner.meetings.meanwhile = None if following is None else ahead
        return batch

    def pause(self) -> None:
        """Collect, and train alone from now on, until :meth:`resume`; the other processes sleep."""
        self.collect()
        self.active = False

    def resume(self) -> None:
        """Train together again."""
        self.active = True
        self.distribute()

    def _end(self) -> None:
        """Collect, unless a step ended early, and end the processes; in a process forked from this one, neither."""
        try:
            if self.whole and self.began_here():
                self.collect()
        finally:
            self._elsewhere.end()
            if self.began_here():
                for worker in self._workers:
                    worker.kill()
                for worker in self._workers:
                    with worker:  # closes its pipes, and waits
                        pass
            self._workers, self._owner, self._parts = [], None, []
            self._threads.close()


def _started(descriptor: int) -> subprocess.Popen[bytes]:
    """A worker that has the memory of this descriptor."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", "-c", COMMAND],  # of what lies in this folder it imports nothing
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # for the words with which it ends, if it fails
        pipesize=PIPE,
        pass_fds=(descriptor,),
        env={**os.environ, **dict.fromkeys(VARIABLES, "1"), "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is the first process's
    )
