"""What the command line of ``train_mnist.py`` decides: made once, by ``arguments.parse``, and never changed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scripts.mnist.recipe import Recipe


@dataclass(frozen=True)
class Place:
    """Where a run is computed and kept; a run that goes on may do so in another place."""

    device: str
    threads: int  # or the most of them to try
    auto_threads: bool
    processes: int  # that train one network in numpy_nn, or may if they are faster
    auto_processes: bool
    data: Path
    out: Path
    resume: bool


@dataclass(frozen=True)
class Options:
    """A recipe and a place for it; the preset that it began with, if any; and seeds to train, some at a time."""

    recipe: Recipe
    place: Place
    preset: str | None
    seeds: int
    jobs: int

    def of_seed(self, seed: int) -> Options:
        """The same for one of the seeds, in a folder of its own if there are several."""
        out = self.place.out / f"seed-{seed}" if self.seeds > 1 else self.place.out
        return replace(self, recipe=replace(self.recipe, seed=seed), place=replace(self.place, out=out))

    def settings(self) -> dict[str, Any]:
        """All of them by the names that the command line has, as JSON gives them back."""
        parts = asdict(self)
        if parts["place"].pop("auto_threads"):
            parts["place"]["threads"] = "auto"
        if parts["place"].pop("auto_processes"):
            parts["place"]["processes"] = "auto"
        return dict(json.loads(json.dumps(parts.pop("recipe") | parts.pop("place") | parts, default=str)))
