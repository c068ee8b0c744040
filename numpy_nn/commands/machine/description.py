"""What the figures depend on: processor, BLAS and its kernels, threads, versions, the peak of the BLAS."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from numpy_nn.commands.machine.blas_kernels import (
    AVX512_FLAGS,
    AVX512_KERNELS,
    VARIABLE,
    Choice,
    bundled_openblas,
    cpu_flags,
    probe,
)
from numpy_nn.commands.machine.processors import usable_cores

PACKAGES = ("numpy", "torch", "scikit-learn", "jax", "jaxlib")

# Large enough that packing and calls do not count, small enough for a fraction of a second.
PEAK_SIZE = 1024

# In cores: an idle system does a little of something all the time.
BUSY_LIMIT = 0.1

# Rows, inner length, columns: the products of an MNIST network at batch 64, and a large one.
BLAS_SHAPES = ((64, 784, 64), (64, 784, 512), (784, 64, 512), (1024, 1024, 1024))
# AVX2 kernels and the sets for AVX-512, named as OPENBLAS_CORETYPE takes them.
# With which status a process ends that meets one: minus the signal's number, or Windows' own.
ILLEGAL_INSTRUCTION = (-signal.SIGILL, 0xC000001D)
KERNELS = ("Haswell", "Zen", AVX512_KERNELS, "Cooperlake", "SapphireRapids")


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def busy_cores(seconds: float = 0.5, stat: str | os.PathLike[str] = "/proc/stat") -> float | None:
    """How many cores others keep busy while this process sleeps; None on a system that does not say.

    Time stolen by other virtual machines counts too. To be called when this process's threads are idle.
    """
    try:
        before = Path(stat).read_text(encoding="utf-8")
        time.sleep(seconds)
        after = Path(stat).read_text(encoding="utf-8")
    except OSError:
        return None
    return (os.cpu_count() or 1) * busy_share(before, after)


def busy_share(before: str, after: str) -> float:
    """The share of all processors' time between two readings of Linux's /proc/stat that was not idle.

    Its first line has the ticks spent in user, nice, system, idle, iowait, irq, softirq and steal (proc(5)).
    """
    ticks = [[int(field) for field in text.splitlines()[0].split()[1:9]] for text in (before, after)]
    spent = np.subtract(ticks[1], ticks[0])
    total = int(spent.sum())
    return float(1.0 - (spent[3] + spent[4]) / total) if total else 0.0


def busy_warning(busy: float | None, threads: int) -> str | None:
    """A line if what others do leaves too little: threads that wait for each other then wait for the scheduler."""
    cores = usable_cores()
    if busy is None or busy < BUSY_LIMIT or cores - busy >= threads:
        return None
    what, fewer = ("one thread", "") if threads == 1 else (f"{threads} threads", ", or use fewer --threads")
    return (
        f"other processes keep {busy:.1f} of {cores} cores busy: {what} cannot run undisturbed, and neither times nor "
        f"ratios mean much; wait{fewer}"
    )


def describe(threads: int, cuda: bool = False, auto: bool = False) -> dict[str, Any]:
    """The facts, as they stand in the JSON. ``cuda`` adds the device's; with ``auto`` fewer threads are tried too."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    facts: dict[str, Any] = {
        "processor": processor(),
        "cores": usable_cores(),
        "threads": threads,
        "auto_threads": auto,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "versions": versions,
        "blas": blas(),
        VARIABLE: os.environ.get(VARIABLE),
    }
    if cuda:
        import torch

        properties = torch.cuda.get_device_properties(0)
        facts["cuda"] = {
            "device": properties.name,
            "memory": properties.total_memory,
            "runtime": torch.version.cuda,
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
        }
    return facts


def blas() -> dict[str, Any]:
    """Which BLAS NumPy multiplies with: its name, version, kernels and threads.

    Of one that threadpoolctl does not know, such as macOS's Accelerate, what NumPy was built with.
    """
    known = [library for library in threadpool_info() if library["user_api"] == "blas"]
    for library in known:
        if "numpy" in library["filepath"]:
            return _blas_facts(library)
    if known:
        return _blas_facts(known[0])
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {"name": built["name"], "version": built["version"], "kernels": None, "threads": None}


def _blas_facts(library: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": library["internal_api"],
        "version": library["version"],
        "kernels": library.get("architecture"),
        "threads": library["num_threads"],
    }


def in_words(facts: dict[str, Any]) -> str:
    """The facts in one line."""
    library = facts["blas"]
    kernels = f", {library['kernels']} kernels" if library.get("kernels") else ""
    threads = f"{facts['threads']} thread{'s' * (facts['threads'] != 1)} on {facts['cores']} cores"
    threads = "1 to " * facts["auto_threads"] + threads
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if name != "jaxlib")
    words = f"{facts['processor']}, {threads}; {library.get('name')} {library.get('version')}{kernels}; {versions}"
    return words + (f"; {facts['cuda']['device']}" if "cuda" in facts else "")


def gemm_rate(m: int, k: int, n: int, dtype: str, seconds: float = 0.3) -> float:
    """The best rate of NumPy's product of (m, k) and (k, n) in this time, in floating-point operations a second."""
    rng = np.random.default_rng(0)
    a, b = rng.random((m, k)).astype(dtype), rng.random((k, n)).astype(dtype)
    out = np.empty((m, n), dtype)
    repeat = max(1, int(2e7 / (m * k * n)))
    best = float("inf")
    stop, samples = time.perf_counter() + seconds, 0
    while time.perf_counter() < stop or samples < 5:
        started = time.perf_counter()
        for _ in range(repeat):
            np.matmul(a, b, out=out)
        taken = time.perf_counter() - started
        if taken <= 0.0:  # the clock has not moved
            repeat *= 2
            continue
        samples += 1
        best = min(best, taken / repeat)
    return 2.0 * m * k * n / best


def peak_rate(dtype: str) -> float:
    """The peak of the BLAS as measured: the best rate of a product of two large square matrices."""
    return gemm_rate(PEAK_SIZE, PEAK_SIZE, PEAK_SIZE, dtype, seconds=0.15)


def rates_of_kernels(threads: int, rounds: int = 3) -> list[dict[str, Any]]:
    """What each set of kernels gives, measured in processes of their own: OpenBLAS's own choice first, then the others.

    A set that OpenBLAS does not have, for which it takes another one, is left out, and so is one with instructions that
    this processor has not. The sets take turns, and the best rate of ``rounds`` turns counts. OSError, in one line, if
    a process fails in another way.
    """
    library = bundled_openblas()
    others = [kernels for kernels in KERNELS if library is not None and probe(library, kernels) == kernels]
    best: dict[str | None, dict[str, Any]] = {}
    for _ in range(rounds):
        for kernels in (None, *others):
            row = _rates_in_a_process(kernels, threads)
            if row is None:
                continue
            before = best.setdefault(kernels, {"asked": kernels, **row})["rates"]
            for dtype, rates in row["rates"].items():
                before[dtype] = {shape: max(rate, before[dtype][shape]) for shape, rate in rates.items()}
    return list(best.values())


def _rates_in_a_process(kernels: str | None, threads: int) -> dict[str, Any] | None:
    """None if the process was ended for an instruction that this processor has not."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if kernels is not None:
        environment[VARIABLE] = kernels
    root = Path(__file__).resolve().parents[3]
    environment["PYTHONPATH"] = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "numpy_nn.commands.machine.description", str(threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if kernels is not None and done.returncode in ILLEGAL_INSTRUCTION:
        return None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        raise OSError(f"measuring the {kernels or 'default'} kernels failed: {last}")
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def explain(choice: Choice) -> list[str]:
    """What was found and chosen, in words."""
    has = "has" if cpu_flags() >= AVX512_FLAGS else "is not known to have"
    library = bundled_openblas()
    return [
        f"processor: {processor()}, which {has} AVX-512",
        f"OpenBLAS: {Path(library).name if library else 'not the one of a NumPy wheel'}",
        f"found: {choice.found or 'not asked'}; chosen: {choice.chosen or 'nothing'} ({choice.reason})",
        f"in use: {blas().get('kernels') or 'unknown'} kernels",
    ]


def main() -> None:
    """Print, as JSON, the kernels in use in this process and the rates that they give."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(int(sys.argv[1])):
        rates = {
            dtype: {"x".join(map(str, shape)): gemm_rate(*shape, dtype, seconds=0.1) for shape in BLAS_SHAPES}
            for dtype in ("float32", "float64")
        }
    print(json.dumps({"kernels": blas().get("kernels"), "rates": rates}))


if __name__ == "__main__":
    main()
