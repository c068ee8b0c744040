"""Kill train_mnist.py at random moments, resume it, and compare the end with that of a run that was never stopped.

A run is killed (SIGKILL) and resumed until it is over, and then held against the uninterrupted one: parameters,
buffers and history, but for the seconds, must be the same to the last bit. If kills are left, the next run begins.
Kills come, in turn, a moment after a checkpoint was written, while one is being written, and whenever it may be.
"""

from __future__ import annotations

import argparse
import io
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from numpy_nn._support import checked_json, checkpoint
from numpy_nn.commands.command_line import Parser, positive

COMMAND = [sys.executable, str(Path(__file__).resolve().with_name("train_mnist.py"))]
# Seconds between two looks at whether the process has begun to write or has ended.
GLANCE = 0.0005
# When to kill, in turn: so long after the start, at the first write from then on, or after the next checkpoint.
MOMENTS = ("after a checkpoint", "at a write", "after the start")


def parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """The command line: our own options, and those of train_mnist.py."""
    parser = Parser(
        "kill_and_resume",
        __doc__,
        epilog="All other options go to train_mnist.py. The exit status is 0 if all runs end alike, 1 if not, 2 if a "
        "run fails.",
    )
    parser.add_argument("--kills", type=positive(int), default=10, metavar="N", help="how many kills in all")
    parser.add_argument("--moments", type=int, default=None, metavar="SEED", help="seed of the random moments")
    return parser.parse_known_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments``; return the exit status."""
    args, training = parse(arguments)
    # On a number of threads that is chosen as it trains, no two runs are alike; a number of one's own comes later. Of
    # several threads, one that has to wait for its processor would stop all.
    training = ["--threads", "1", *training]
    moments = random.Random(args.moments)
    print(f"train_mnist.py {shlex.join(training)}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return prove(Path(folder), training, args.kills, moments)
        except subprocess.CalledProcessError as error:
            print(f"kill_and_resume: train_mnist.py ended with status {error.returncode}", file=sys.stderr)
            return 2


def prove(folder: Path, training: Sequence[str], kills: int, moments: random.Random) -> int:
    """The uninterrupted run, then killed ones until all kills are done; prints what happens, returns the status."""
    whole = folder / "whole"
    seconds = train_whole(training, whole)
    print(f"uninterrupted: {seconds:.2f} s", flush=True)
    done, resumable, writing, runs, wrong = 0, 0, 0, 0, 0
    while done < kills:
        runs += 1
        out = folder / f"run-{runs}"
        while done < kills:
            # Some moments lie before the first epoch; several kills fit into a run.
            moment = MOMENTS[done % len(MOMENTS)]
            low, high = (0.0, 0.1) if moment == "after a checkpoint" else (0.2, 0.6)
            before, after = half_written(out), moments.uniform(low, high) * seconds
            if not train_and_kill(training, out, after, moment):
                break
            done += 1
            resumable += newest(out) > 0
            at_write = bool(half_written(out) - before)
            writing += at_write
            print(f"kill {done}: {describe(out)}" + ", while a file was being written" * at_write, flush=True)
        subprocess.run([*COMMAND, *training, "--out", str(out), "--resume"], stdout=subprocess.PIPE, check=True)
        problems = differences(whole, out)
        wrong += bool(problems)
        print(f"run {runs}: {'; '.join(problems) or 'equal to the uninterrupted one, bit for bit'}", flush=True)
    kinds = f"{resumable} of them with a checkpoint to go on from, {writing} while a file was being written"
    print(f"{done} kills, {kinds}; {runs - wrong} of {runs} runs end alike")
    return 1 if wrong else 0


def train_whole(training: Sequence[str], out: Path) -> float:
    """Train without interruption; the seconds that it took. CalledProcessError if it fails."""
    started = time.perf_counter()
    subprocess.run([*COMMAND, *training, "--out", str(out)], stdout=subprocess.PIPE, check=True)
    return time.perf_counter() - started


def train_and_kill(training: Sequence[str], out: Path, after: float, moment: str) -> bool:
    """Train, or go on, and kill it ``after`` so many seconds, counted as the moment says.

    False if it ended before; CalledProcessError if it failed.
    """
    command = [*COMMAND, *training, "--out", str(out), "--resume"]
    started, last, killed = time.perf_counter(), newest(out), False
    waits = moment == "after a checkpoint"
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            if waits and newest(out) > last:
                started, waits = time.perf_counter(), False
            due = not waits and time.perf_counter() - started >= after
            if due and (moment != "at a write" or any(out.glob(".checkpoint-*.tmp"))):
                process.kill()
                killed = True
                break
            time.sleep(GLANCE)
        process.communicate()
    # On Windows a process that was killed ends with 1, like one that failed.
    if process.returncode > 0 and not killed:
        raise subprocess.CalledProcessError(process.returncode, command)
    return process.returncode != 0


def half_written(out: Path) -> set[Path]:
    """The files that a killed process has left behind; the next one removes them."""
    return set(out.glob(".*.tmp"))


def describe(out: Path) -> str:
    """How far the run has come, by its newest checkpoint."""
    return f"after epoch {newest(out)}" if newest(out) else "before the first checkpoint"


def newest(out: Path) -> int:
    """The epoch of the newest checkpoint; 0 if there is none."""
    return max((int(path.stem.removeprefix("checkpoint-")) for path in out.glob("checkpoint-*.npz")), default=0)


def differences(whole: Path, out: Path) -> list[str]:
    """What is not the same at the end of two runs, or cannot be read."""
    try:
        return _differences(whole, out)
    except (OSError, ValueError) as error:
        return [str(error)]


def _differences(whole: Path, out: Path) -> list[str]:
    problems = []
    if (whole / "numpy.npz").exists():
        ours, theirs = checkpoint.read(whole / "numpy.npz"), checkpoint.read(out / "numpy.npz")
        problems += [f"numpy's {name} differs" for name in ours if ours[name].tobytes() != theirs[name].tobytes()]
    if (whole / "torch.pt").exists():
        import torch

        one, other = (torch_state(path / "torch.pt") for path in (whole, out))
        problems += [f"torch's {name} differs" for name in one if not torch.equal(one[name], other[name])]
    if history(whole) != history(out):
        problems.append("the history differs")
    return problems


def torch_state(path: Path) -> dict[str, Any]:
    """What torch.save wrote there; ValueError, naming it, if it is damaged, which torch.load would not see."""
    import torch

    file = io.BytesIO(path.read_bytes())
    try:
        checkpoint.check_zip(file)
        return dict(torch.load(file, weights_only=True, map_location="cpu"))
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None


def history(out: Path) -> list[Any]:
    """The rows of a run, less the seconds."""
    rows: list[dict[str, Any]] = checked_json.read(out / "history.json")["epochs"]
    for row in rows:
        for cell in row.values():
            if isinstance(cell, dict):
                del cell["seconds"]
    return rows


if __name__ == "__main__":
    sys.exit(main())
