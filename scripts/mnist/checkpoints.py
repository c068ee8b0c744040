"""The checkpoints of a run of ``train_mnist.py``: one file an epoch, the last two kept; and who may go on from them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support import checkpoint
from scripts.mnist.options import Options
from scripts.mnist.table import threads_used
from scripts.mnist.trainer import Trainer

# The entry of a checkpoint that is none of a trainer's: settings and history, as JSON in an array of text.
RUN = "run"


class Checkpoints:
    """The files ``checkpoint-EPOCH.npz`` of one run in its folder.

    A file holds the states of all trainers, so that no two of them can be at different epochs, the options, and the
    rows of the table so far.
    """

    def __init__(self, options: Options) -> None:
        self._folder = options.place.out
        self._settings = options.settings()
        # Those that say where and how a run is computed, not what: it may go on with others.
        self._free = self._settings.keys() - asdict(options.recipe).keys()
        self.last: Path | None = None  # the last good one of this run

    def write(self, trainers: Sequence[Trainer], rows: Sequence[dict[str, Any]]) -> None:
        """Write the checkpoint of the epoch that is over, and remove all but it and the one before.

        What lies there of an earlier run goes with the first. OSError, with all as it was, if it cannot be written.
        """
        run = json.dumps({"settings": self._settings, "epochs": list(rows)})
        state = {f"{trainer.name}.{name}": array for trainer in trainers for name, array in trainer.state().items()}
        path = self._path(len(rows))
        checkpoint.write(path, {RUN: np.array(run), **state})
        self._remove_all_but(path, self.last)
        self.last = path

    def note(self, epoch: int) -> None:
        """That another process of this run writes the checkpoint of this epoch."""
        self.last = self._path(epoch)

    def _path(self, epoch: int) -> Path:
        return self._folder / f"checkpoint-{epoch}.npz"

    def _remove_all_but(self, *kept: Path | None) -> None:
        for path in self._files():
            if path not in kept:
                path.unlink()

    def resume(self, trainers: Sequence[Trainer]) -> tuple[list[dict[str, Any]], list[str]]:
        """Bring the trainers to where the newest good checkpoint has them; the rows so far, and what there is to say.

        ValueError, in one line, if no checkpoint is good, or if it is that of a run with other settings.
        """
        problems, found = self._newest()
        if found is None and problems:
            raise ValueError(f"no good checkpoint left: {'; '.join(problems)}; without --resume the run starts anew")
        if found is None:
            return [], [f"no checkpoint in {self._folder}: starting at the beginning"]
        path, run, state = found
        self._refuse_other_settings(path, run["settings"])
        try:
            for trainer in trainers:
                prefix = f"{trainer.name}."
                own = {name.removeprefix(prefix): a for name, a in state.items() if name.startswith(prefix)}
                trainer.load_state(own)
        except ValueError as error:
            raise ValueError(f"{path}: {trainer.name}: {error}") from None
        self.last = path
        notes = [f"{problem}; falling back on the one before" for problem in problems]
        before = {"processes": 1} | run["settings"]  # what there was before it was an option
        for name in ("device", "threads", "processes"):
            then, now = before.get(name), self._settings[name]
            if then != now:
                notes.append(f"--{name} was {then}, is {now}: the run goes on to rounding, not to the last bit")
        if self._settings["threads"] == "auto" == run["settings"].get("threads"):
            used = {n for trainer in trainers for n in threads_used(run["epochs"], trainer.name)}
            if used:  # not on CUDA, where they make no difference
                had = ", ".join(map(str, sorted(used)))
                notes.append(f"--threads auto had {had} so far: the run goes on to rounding, not to the last bit")
        return run["epochs"], notes

    def unfinished(self) -> str | None:
        """What a new run in this folder is about to replace, if that is a run that was not over."""
        _, found = self._newest()
        if found is None or len(found[1]["epochs"]) >= found[1]["settings"]["epochs"]:
            return None
        return f"{self._folder} holds a run that --resume goes on with; it is replaced after the first epoch"

    def clear_temporaries(self) -> None:
        """Remove what a process that was killed while it wrote has left."""
        for name in ("checkpoint-*.npz", "history.json", "numpy.npz", "torch.pt"):
            for path in self._folder.glob(f".{name}.*.tmp"):
                path.unlink()

    def _files(self) -> list[Path]:
        """The checkpoints, newest first."""
        numbered = [
            (int(match[1]), path)
            for path in self._folder.glob("checkpoint-*.npz")
            if (match := re.fullmatch(r"checkpoint-(\d+)\.npz", path.name))
        ]
        return [path for _, path in sorted(numbered, reverse=True)]

    def _newest(self) -> tuple[list[str], tuple[Path, dict[str, Any], dict[str, NDArray[Any]]] | None]:
        """The newest checkpoint that can be read, and what is wrong with each newer one."""
        problems: list[str] = []
        for path in self._files():
            try:
                return problems, (path, *_read(path))
            except (OSError, ValueError) as error:
                problems.append(str(error))
        return problems, None

    def _refuse_other_settings(self, path: Path, before: dict[str, Any]) -> None:
        """ValueError if a setting that the result depends on is not what it was."""
        before = {"data_set": "mnist"} | before  # what there was before it was an option
        for name in sorted((self._settings.keys() | before.keys()) - self._free):
            then, now = before.get(name), self._settings.get(name)
            if then == now:
                continue
            option = f"--{name.replace('_', '-')}"
            reason = ""
            if name == "epochs" and then is not None and now > then:
                if self._settings["schedule"] == "constant" == before.get("schedule"):
                    continue
                reason = f"; its schedule, {before.get('schedule')}, is made for {then} epochs and can have no more"
            raise ValueError(f"{path} is of a run with {option} {_shown(then)}, this is one with {_shown(now)}{reason}")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Settings and rows, and the trainers' arrays. ValueError, naming the file, if it is damaged or of another kind."""
    state = checkpoint.read(path)
    text = state.pop(RUN, None)
    if text is None or text.dtype.kind != "U":
        raise ValueError(f"{path}: not a checkpoint of train_mnist")
    run = json.loads(str(text))
    if not isinstance(run, dict) or "epochs" not in run.get("settings", ()) or "epochs" not in run:
        raise ValueError(f"{path}: {RUN}: expected settings and epochs")
    return run, state


def _shown(value: Any) -> str:
    """The value as the command line has it."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
