"""Measure training by 1, 2 and 4 processes with one thread each, and predict it for 8, 64 and 512 machines.

Steps of numpy_nn with data parallelism (torch_ref.distributed) are timed, and the all-reduce by itself for several
sizes. A model with four numbers (scripts/scale/model.py) is fitted to one process's steps and to the all-reduces of two
processes; it is compared with all the other measurements, and predicts what was not measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from numpy_nn.commands.machine.blas_kernels import choose

    choose()  # for this process and its children

from numpy_nn.commands.command_line import Parser, positive, sizes
from numpy_nn.commands.machine.description import describe, in_words
from numpy_nn.commands.machine.processors import usable_cores
from scripts.scale.model import fit_machine, fit_network, operations, parameters

WORKER = Path(__file__).resolve().parent / "scale" / "worker.py"
BEGIN, END = "<!-- begin: written by scripts/scaling.py -->", "<!-- end -->"


def measure(processes: int, task: dict[str, Any]) -> dict[str, Any]:
    """What a process, or some under torchrun, found; OSError, with its last line, if it failed."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), str(WORKER), json.dumps(task)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{processes} processes failed: {(done.stderr.strip().splitlines() or ['no word why'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(args: argparse.Namespace) -> dict[str, Any]:
    """All measurements, the fitted numbers, and the predictions."""
    from scripts.scale.report import predictions

    gradient = 4 * parameters(args.sizes)
    # From a message that is all latency to one that is all bandwidth; multiples of the size of a float32.
    messages = sorted({4**k for k in range(5, 13)} | {gradient})
    task = {"sizes": args.sizes, "steps": args.steps, "rounds": args.rounds, "messages": messages, "gradient": gradient}
    settings = {name: value for name, value in vars(args).items() if not isinstance(value, Path | None)}
    result: dict[str, Any] = {"settings": settings, "cores": usable_cores(), "steps": [], "all_reduce": []}
    result["description"] = in_words(describe(threads=1))
    for p in (1, *args.processes):
        fractions = [args.batch // k for k in (8, 4, 2, 1)]
        batches = fractions if p == 1 else [args.batch, p * args.batch]
        found = measure(p, task | {"batches": batches})
        for batch, seconds in found["steps"].items():
            row = {"processes": p, "batch": int(batch), "seconds": seconds, "quartiles": found["quartiles"][batch]}
            result["steps"].append(row | {"apart": found["apart"][batch] if p > 1 else seconds})
        if p > 1:
            seconds_by_size = [(int(size), seconds) for size, seconds in found["all_reduce"].items()]
            result["all_reduce"].append({"processes": p, "seconds": seconds_by_size, "bytes": found["bytes"]})
    alone = [row for row in result["steps"] if row["processes"] == 1]
    samples = [(operations(args.sizes, row["batch"]), row["seconds"]) for row in alone]
    result["machine"] = fit_machine(samples)._asdict()
    first = result["all_reduce"][0]
    result["network"] = fit_network("this machine's", [(first["processes"], *s) for s in first["seconds"]])._asdict()
    result["predictions"] = predictions(result)
    return result


def write_page(page: Path, text: str) -> None:
    """Put the text between the two marks of the page; ValueError if it lacks them."""
    content = page.read_text(encoding="utf-8")
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page}: expected the lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser("scaling", __doc__)
    network = "784,512,512,10"
    parser.add_argument(
        "--sizes", type=sizes(network), default=network, metavar="N,N[,...]", help="of the network's layers"
    )
    parser.add_argument("--batch", type=positive(int), default=512, metavar="N", help="rows that are measured")
    parser.add_argument("--global-batch", type=positive(int), default=8192, metavar="N", help="rows of the prediction")
    parser.add_argument(
        "--processes", type=sizes("2,4", 1), default="2,4", metavar="N[,...]", help="beside one; the first is 2"
    )
    parser.add_argument("--steps", type=positive(int), default=60, metavar="N", help="timed at each batch size")
    parser.add_argument("--rounds", type=positive(int), default=50, metavar="N", help="timed all-reduces of each size")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw the figure there")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the tables into this page, between its marks")
    args = parser.parse_args(arguments)
    if args.processes[0] != 2:
        parser.error(f"argument --processes: expected 2 first, to which the network is fitted, got {args.processes[0]}")
    if args.batch < 8 * max(args.processes):
        parser.error(f"argument --batch: expected at least 8 rows for each process, got {args.batch}")
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    args = parse(arguments)
    if importlib.util.find_spec("torch") is None:
        print("scaling: torch is not installed, and it is what carries gradients between processes", file=sys.stderr)
        return 2
    try:
        result = run(args)
        from scripts.scale.report import draw, markdown

        text = markdown(result)
        print(text)
        if args.json is not None:
            args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        if args.png is not None:
            draw(result, args.png)
        if args.page is not None:
            write_page(args.page, text)
    except (OSError, ValueError) as error:
        print(f"scaling: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
