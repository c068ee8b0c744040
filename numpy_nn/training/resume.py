"""Going on with a run of :func:`~numpy_nn.training.fit`: all that its next step depends on, as named arrays in a file.

    state = TrainingState(net, optimizer, loader, schedule=schedule, history=History())
    if os.path.exists(path):
        state.load(path)
    fit(net, loss, optimizer, loader, 100, schedule=schedule, history=state.history,
        callbacks=[SaveTrainingState(state, path)])

Killed at any moment and started again, these lines end with the parameters of a run that was never stopped, to the
last bit, on the same machine with the same number of threads.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support import checkpoint
from numpy_nn.data.batches import DataLoader
from numpy_nn.layers import Layer
from numpy_nn.optim import Optimizer, ReduceLROnPlateau, Schedule, SequentialLR
from numpy_nn.training.averaging import AveragedModel
from numpy_nn.training.loop import Callback, Epoch, History, Progress
from numpy_nn.training.stopping import EarlyStopping

# The entry for what is no array: settings and counters, generators, history.
VALUES = "values"


class TrainingState:
    """The state of a run, taken between two epochs.

    It holds references to what the run is made of, and reads or changes these in place: the network's parameters and
    buffers; the optimizer's arrays, step count and settings of each group, which a schedule may have changed; the
    schedule; the averaged weights; the best ones of an :class:`~numpy_nn.EarlyStopping`; the history; and every
    generator of random numbers that is an attribute of a layer, of ``batches`` or of its ``transform``. A generator
    that lives elsewhere goes into ``rngs`` under a name.
    """

    def __init__(
        self,
        net: Layer,
        optimizer: Optimizer,
        batches: DataLoader | None = None,
        *,
        schedule: Schedule | ReduceLROnPlateau | None = None,
        average: AveragedModel | None = None,
        stopping: EarlyStopping | None = None,
        history: History | None = None,
        rngs: Mapping[str, np.random.Generator] | None = None,
    ) -> None:
        self.net, self.optimizer, self.batches = net, optimizer, batches
        self.schedule, self.average, self.stopping = schedule, average, stopping
        if stopping is not None:
            stopping.watch(net)
        self.history = History() if history is None else history
        self.rngs = dict(rngs or {})

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of all arrays by name, and under "values" all else as JSON in an array of text."""
        # Where several processes have the numbers, the arrays bring all else here.
        arrays = {name: array.copy() for name, array in self._arrays()}
        values = {
            "settings": {name: _settings(part) for name, part in self._parts().items()},
            "rng": {name: rng.bit_generator.state for name, rng in self._generators()},
            "history": asdict(self.history)["epochs"],
        }
        text = json.dumps(values, default=np.ndarray.tolist)  # some generators keep arrays in their state
        return arrays | {VALUES: np.array(text)}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put everything back as :meth:`state_dict` found it; as in torch, settings too are those of then.

        ValueError, naming what differs, if ``state`` is not that of a run built alike; nothing is changed then.
        """
        own = dict(self._arrays())
        values = _read_values(state)
        checkpoint.check_matches({name: array for name, array in state.items() if name != VALUES}, own)
        try:
            settings, rngs = values["settings"], values["rng"]
            epochs = [Epoch(**epoch) for epoch in values["history"]]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{VALUES}: not those of a training state: {error!r}") from None
        parts, generators = self._parts(), dict(self._generators())
        _check_names("settings", settings, parts)
        for name, part in parts.items():
            _check_names(name, settings[name], _settings(part))
            if settings[name]["type"] != type(part).__name__:
                raise ValueError(f"{name}: expected that of {type(part).__name__}, got {settings[name]['type']}")
        _check_names("rng", rngs, generators)
        for name, rng in generators.items():
            _check_generator(name, rng, rngs[name])

        for name, array in own.items():
            array[...] = state[name]
        for name, part in parts.items():
            attributes = part if isinstance(part, dict) else vars(part)
            for setting, value in settings[name].items():
                if setting != "type":
                    attributes[setting] = tuple(value) if isinstance(value, list) else value
        for name, rng in generators.items():
            rng.bit_generator.state = rngs[name]
        self.history.epochs[:] = epochs

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`state_dict` to an npz file, in one move; OSError if that fails."""
        checkpoint.write(path, self.state_dict())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read what :meth:`save` wrote. ValueError, naming the file, if it is damaged or of another run."""
        state = checkpoint.read(path)
        try:
            self.load_state_dict(state)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None

    def _parts(self) -> dict[str, Any]:
        """What has settings and counters: an object with attributes, or the dict of a group."""
        parts: dict[str, Any] = {"optimizer": self.optimizer}
        parts |= {f"group {index}": group for index, group in enumerate(self.optimizer.param_groups)}
        parts |= {"schedule": self.schedule, "average": self.average, "stopping": self.stopping}
        parts |= dict(_inner_schedules("schedule", self.schedule))
        return {name: part for name, part in parts.items() if part is not None}

    def _arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield from ((f"net.{name}", array) for name, array in self.net.named_state())
        for index, arrays in enumerate(self.optimizer.state):
            yield from ((f"optimizer.{index}.{name}", array) for name, array in arrays.items())
        if self.average is not None:
            yield from ((f"average.{name}", array) for name, array in self.average.module.named_state())
        if self.stopping is not None:
            yield from ((f"stopping.{name}", array) for name, array in self.stopping.best_state.items())

    def _generators(self) -> Iterator[tuple[str, np.random.Generator]]:
        """Each with a name; one that several share comes under the name of each."""
        holders: dict[str, object] = {f"net.{path}": layer for path, layer in self.net.named_modules()}
        if self.batches is not None:
            holders |= {"batches": self.batches, "batches.transform": self.batches.transform}
        for holder, thing in holders.items():
            for name, value in getattr(thing, "__dict__", {}).items():
                if isinstance(value, np.random.Generator):
                    yield f"{holder}.{name}", value
        yield from self.rngs.items()


class SaveTrainingState(Callback):
    """Save the state to ``path`` after every epoch; stands after the callbacks whose work it is to hold."""

    def __init__(self, state: TrainingState, path: str | os.PathLike[str]) -> None:
        self.state, self.path = state, path

    def on_epoch_end(self, progress: Progress) -> None:
        """Write the file. ValueError if the state's history is not the one that fit adds to."""
        if self.state.history is not progress.history:
            raise ValueError("SaveTrainingState: expected fit to be called with history=state.history")
        self.state.save(self.path)


def _inner_schedules(name: str, schedule: object) -> Iterator[tuple[str, Schedule]]:
    """The schedules that a SequentialLR is made of, at any depth."""
    for index, inner in enumerate(schedule.schedulers if isinstance(schedule, SequentialLR) else ()):
        yield f"{name}.{index}", inner
        yield from _inner_schedules(f"{name}.{index}", inner)


def _settings(part: Any) -> dict[str, Any]:
    """The numbers, words and tuples of a part: rate, momentum, steps so far."""
    attributes = part if isinstance(part, dict) else vars(part)
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in attributes.items()}
    plain = {name: value for name, value in values.items() if isinstance(value, (bool, int, float, str, tuple))}
    public = {name: value for name, value in plain.items() if not name.startswith("_")}
    return {"type": type(part).__name__, **public}


def _read_values(state: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    text = np.asarray(state.get(VALUES, 0))
    if text.dtype.kind != "U" or text.shape != ():
        raise ValueError(f"{VALUES}: expected a text, got {'none' if VALUES not in state else text.dtype}")
    values = json.loads(str(text))
    if not isinstance(values, dict):
        raise ValueError(f"{VALUES}: expected an object, got {type(values).__name__}")
    return values


def _check_names(what: str, given: Any, own: Mapping[str, object]) -> None:
    if not isinstance(given, dict) or given.keys() != own.keys():
        shown = ", ".join(sorted(given)) if isinstance(given, dict) else repr(given)
        raise ValueError(f"{what}: expected {', '.join(sorted(own)) or 'none'}, got {shown or 'none'}")


def _check_generator(name: str, rng: np.random.Generator, given: Any) -> None:
    """ValueError unless a generator of this kind takes the state."""
    trial = type(rng.bit_generator)(0)
    try:
        trial.state = given
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise ValueError(f"rng {name}: expected a state of {type(trial).__name__}: {error}") from None
