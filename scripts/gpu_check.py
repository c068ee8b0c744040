"""Check on a GPU, in some minutes, all that this project does on one, and write a page about it.

Layers, losses and optimizers are held to the bounds that they have on a CPU; steps of every kind, on numbers that need
no rounding, to numpy_nn's parameters; training, resumed runs and the benchmark are run as one would run them. A check
that fails stops no other one. ``--device cpu`` does all of it without a GPU, but for what only CUDA has.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from numpy_nn.commands.machine.blas_kernels import choose

    choose()  # before NumPy loads its BLAS

import argparse
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from threadpoolctl import threadpool_limits

from numpy_nn.commands.benchmark.report import table_line
from numpy_nn.commands.command_line import Parser, in_a_line, positive
from numpy_nn.commands.machine import description as machine
from numpy_nn.commands.machine.processors import usable_cores
from scripts.gpu.checks import Check, Outcome, perform

HEADINGS = ("check", "result", "seconds", "figure")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(
        "gpu_check",
        __doc__,
        epilog="The exit status is 0 if no check fails, 1 if one does, 2 if there is no such device.",
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="what is checked")
    only_help = "only checks whose names hold one of these, such as parity, resume or captured"
    parser.add_argument("--only", default="", metavar="WORDS", help=only_help)
    threads_help = "of NumPy and of torch (default: all cores, but 1 with --device cpu, which only tries the command)"
    parser.add_argument("--threads", type=positive(int), default=None, metavar="N", help=threads_help)
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="where MNIST is")
    out_help = "where the page and all runs go"
    parser.add_argument("--out", type=Path, default=Path("runs/gpu-check"), metavar="DIR", help=out_help)
    args = parser.parse_args(arguments)
    if args.threads is None:
        args.threads = usable_cores() if args.device == "cuda" else 1
    return args


def without_tf32() -> None:
    """Products of float32 in float32, here and in every process from here on, whatever the environment says."""
    import torch

    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    os.environ.pop("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", None)
    torch.set_float32_matmul_precision("highest")


def all_checks(args: argparse.Namespace) -> list[Check]:
    """Every check, in the order in which they are done: first what explains the failure of others."""
    from scripts.gpu.parity_checks import parity_checks
    from scripts.gpu.run_checks import Runs, distortion_check, run_checks
    from scripts.gpu.step_checks import step_checks

    only_on_cuda = "" if args.device == "cuda" else "only on CUDA"
    runs = Runs(args.device, args.data.resolve(), args.out.resolve(), args.threads)
    made = [*parity_checks(args.device), *step_checks(args.device, only_on_cuda)]
    made += [distortion_check(), *run_checks(runs, only_on_cuda)]
    words = [word.strip() for word in args.only.split(",")]
    return [check for check in made if any(word in check.name for word in words)]


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """How many checks came out how."""
    counts = Counter({"ok": 0, "FAILED": 0})
    counts.update(outcome.result for outcome in outcomes)
    results = ", ".join(f"{n} {result}" for result, n in counts.items())
    return f"{len(outcomes)} checks in {seconds:.0f} s: {results}"


def page(title: str, words: str, outcomes: Sequence[Outcome], last_line: str) -> str:
    """The page, as Markdown."""
    lines = [f"# {title}", "", f"{words}; TF32 off.", "", f"{last_line}.", ""]
    lines += [table_line(HEADINGS), table_line(["---", "---", "---:", "---"])]
    lines += [table_line([o.name, o.result, f"{o.seconds:.1f}", o.figure.replace("|", "\\|")]) for o in outcomes]
    for outcome in outcomes:
        if outcome.failed:
            lines += ["", f"## {outcome.name}", "", "```", outcome.details.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def in_words(facts: dict[str, Any]) -> str:
    """The machine, and the device, in one line."""
    words = machine.in_words(facts)
    if cuda := facts.get("cuda"):
        words += f", {cuda['memory'] / 2**30:.0f} GiB; CUDA {cuda['runtime']}"
    return words


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    args = parse(arguments)
    try:
        import torch

        from torch_ref.training import device_name, resolve_device

        device = device_name(resolve_device(args.device))
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / f"gpu-check-{file_name(device)}.md"
        path.open("a").close()  # else the page could not be written when all is done
    except ModuleNotFoundError as error:
        print(f"gpu_check: {error.name} is not installed, and it is what runs on a GPU", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"gpu_check: {in_a_line(error)}", file=sys.stderr)
        return 2
    without_tf32()
    torch.set_num_threads(args.threads)
    words = in_words(machine.describe(args.threads, cuda=args.device == "cuda"))
    print(words, flush=True)
    started, outcomes, status = time.perf_counter(), list[Outcome](), 0
    try:
        with threadpool_limits(args.threads):
            for check in all_checks(args):
                outcomes.append(perform(check))
                o = outcomes[-1]
                print(f"{o.result:14}{o.seconds:7.1f} s  {o.name:45}  {o.figure}".rstrip(), flush=True)
        status = int(any(o.failed for o in outcomes))
    except KeyboardInterrupt:
        print("interrupted; writing what there is")
        status = 130
    last_line = summary(outcomes, time.perf_counter() - started)
    title = f"GPU check: {device}" if args.device == "cuda" else "GPU check, tried on the CPU: no GPU was used"
    path.write_text(page(title, words, outcomes, last_line), encoding="utf-8")
    print(f"{last_line}\nwritten: {path}")
    return status


def file_name(device: str) -> str:
    """The device's name as part of a file's."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


if __name__ == "__main__":
    sys.exit(main())
