"""How much memory work takes: bytes allocated by a step, and the most that a process of its own ever had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from numpy_nn.commands.benchmark.cases import Case
from numpy_nn.commands.benchmark.engines import ENGINES, ON_CUDA
from numpy_nn.commands.benchmark.mine import registered
from numpy_nn.commands.benchmark.timing import without_collector
from numpy_nn.commands.benchmark.workload import Workload
from numpy_nn.training.planned import BEFORE


def bytes_allocated(work: Callable[[], object]) -> int:
    """The most memory that one call of ``work`` held beyond what was there before, as tracemalloc counts it.

    It counts Python's objects and NumPy's arrays, not what a library allocates behind their backs. The calls before
    the counted one are for workspaces that are made once, and for a plan that is recorded and tried.
    """
    for _ in range(BEFORE + 1):
        work()
    with (
        without_collector()
    ):  # what others left is not counted, and need not be gone: of a large program that takes long
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            work()
            return max(0, tracemalloc.get_traced_memory()[1] - before)
        finally:
            tracemalloc.stop()


def peak_of_this_process() -> int:
    """The most memory, in bytes, that this process ever had in RAM. OSError on Windows, which is not asked."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        peaks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
        if peaks:
            return peaks[0]
    try:
        import resource
    except ModuleNotFoundError:  # on Windows
        raise OSError("peak memory: expected a system that tells it, as Linux and macOS do") from None

    # On Linux a child's figure would begin with its parent's; elsewhere it is what there is, in kilobytes but on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_memory(engine: str, case: Case, mine: Sequence[str] = ()) -> int:
    """The peak of a process that imports the engine and does the case's work once, on random numbers, in bytes.

    ``mine`` are the file and class of an engine of the user's, and the words for its arguments. Of an engine on CUDA,
    it is the device's memory that its tensors took.

    OSError, with what it said, if the process fails.
    """
    root = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "numpy_nn.commands.benchmark.memory", engine, json.dumps(asdict(case)), *mine]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{case.label}: the process of {engine} failed: {done.stderr.strip().splitlines()[-1]}")
    return int(done.stdout)


def main() -> None:
    """Do the work of the case in argv[2] with the engine in argv[1], which may be in argv[3]; print the peak."""
    settings = json.loads(sys.argv[2])
    workload = Workload(Case(**{**settings, "sizes": tuple(settings["sizes"])}))
    with ExitStack() as stack:
        if sys.argv[3:]:
            stack.enter_context(registered(sys.argv[3], sys.argv[4:]))
        engine = ENGINES[sys.argv[1]](workload)
    engine.prepare()
    engine.seconds(1)
    if sys.argv[1] in ON_CUDA:
        import torch

        print(torch.cuda.max_memory_allocated())
    else:
        print(peak_of_this_process())


if __name__ == "__main__":
    main()
