"""Seeds as independent runs, several at a time: ``--seeds N --jobs M`` starts the command once for each seed."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from numpy_nn._support import checked_json
from scripts.mnist.options import Options
from scripts.mnist.table import images, over_seeds

SCRIPT = Path(__file__).resolve().parent.parent / "train_mnist.py"
INTERRUPTED = 128 + signal.SIGINT
# Seconds between two looks at which processes are over. Waiting for a message from them instead, which Ctrl-C does not
# end on Windows, could lose the message.
GLANCE = 0.02


class _Job:
    """One seed's process, whose lines are passed on whole as they come."""

    def __init__(self, command: Sequence[str], seed: int, console: Console) -> None:
        self.seed = seed
        self.complaint = ""
        errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115, the thread closes it
        # A process group of its own, so that the terminal's Ctrl-C reaches this process alone, which passes it on. On
        # Windows there is none, and Ctrl-C reaches all.
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, process_group=0
        )
        self._reader = threading.Thread(target=self._pass_on, args=(errors, console), daemon=True)
        self._reader.start()

    def is_over(self) -> bool:
        """Whether the process has ended and all that it said is known."""
        return not self._reader.is_alive()

    def end(self) -> str:
        """How the process ended, which is over."""
        status = self.process.returncode
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return f"seed {self.seed} {how}, without a word"

    def _pass_on(self, errors: IO[str], console: Console) -> None:
        assert self.process.stdout is not None
        with errors, self.process.stdout as lines:
            for line in lines:
                console.print(f"seed {self.seed}  {line.rstrip()}")
            self.process.wait()
            errors.seek(0)
            self.complaint = errors.read()


def sweep(arguments: Sequence[str], options: Options, console: Console) -> int:
    """Train ``options.seeds`` seeds, ``options.jobs`` at a time; returns the exit status.

    Each is the command with the same ``arguments`` and its results in a folder ``seed-N`` of its own. What came out is
    told in the order of the seeds. The first one that fails ends the others and tells its error; after Ctrl-C each
    writes what it has.
    """
    seeds = range(options.recipe.seed, options.recipe.seed + options.seeds)
    waiting, running = list(seeds), set[_Job]()
    status = 0
    try:
        while waiting or running:
            try:
                while waiting and len(running) < options.jobs:
                    seed = waiting.pop(0)
                    running.add(_Job(_command(arguments, options, seed), seed, console))
                time.sleep(GLANCE)
                for job in [job for job in running if job.is_over()]:
                    running.discard(job)
                    if job.process.returncode and status == 0:
                        status = max(job.process.returncode, 1)
                        print(job.complaint or f"train_mnist: {job.end()}\n", end="", file=sys.stderr)
                        waiting.clear()
                        for other in running:
                            other.process.terminate()
            except KeyboardInterrupt:
                if status == INTERRUPTED:
                    raise  # the second time, without waiting
                status = INTERRUPTED
                waiting.clear()
                if sys.platform != "win32":
                    for job in running:
                        job.process.send_signal(signal.SIGINT)
    finally:
        for job in running:
            job.process.kill()
    if status == 0:
        _tell(seeds, options.place.out, images(options.recipe), console)
    return status


def _command(arguments: Sequence[str], options: Options, seed: int) -> list[str]:
    """The same command for one seed; the last of two equal options counts."""
    place = options.of_seed(seed).place
    threads = f"auto:{place.threads}" if place.auto_threads else place.threads
    own = {"--seed": seed, "--seeds": 1, "--jobs": 1, "--threads": threads, "--out": place.out}
    return [sys.executable, "-u", str(SCRIPT), *arguments, *(str(part) for pair in own.items() for part in pair)]


def _tell(seeds: range, folder: Path, judged_by: str, console: Console) -> None:
    runs: list[list[dict[str, Any]]] = []
    for seed in seeds:
        runs.append(checked_json.read(folder / f"seed-{seed}" / "history.json")["epochs"])
        console.print(f"seed {seed}: {over_seeds(runs[-1:], judged_by)}")
    console.print(over_seeds(runs, judged_by))
