"""The scripts as one would start them, each run a process of its own, so that none can spoil another."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from numpy_nn.commands.benchmark.report import duration
from scripts.gpu.checks import Check, Failed, run_process
from scripts.kill_and_resume import differences

# Guessing is right at one image of ten, and the worst of these runs, of 64 images, at more than four.
LEARNED = 0.25
# Presets by name, and what leaves enough of each to see it learn.
SHORTENED = {
    "seed": ["--epochs", "301", "--every", "100"],
    "demo": ["--epochs", "1"],
    "fast": [],
    **{name: ["--epochs", "3", "--images", "6000"] for name in ("plain", "distort", "record")},
}
# All that has a state: masks and distortions drawn on the device, momentum, averages, running statistics.
STATEFUL = (
    *("--images", "6000", "--batch-norm", "--dropout", "0.2", "--optimizer", "nesterov", "--lr", "0.05"),
    *("--rotation", "10", "--alpha", "20", "--average", "0.9"),
)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@dataclass(frozen=True)
class Runs:
    """Where runs compute, read MNIST and write, and with how many threads."""

    device: str
    data: Path
    out: Path
    threads: int

    def train(self, folder: str, *options: str, launcher: tuple[str, ...] = ()) -> str:
        """Run train_mnist.py, with torch if the options name no engine. Failed if it learns nothing."""
        where = ["--device", self.device, "--data", str(self.data), "--out", str(self.out / folder)]
        how = ["--engine", "torch", "--threads", str(self.threads), *options]
        run_process([sys.executable, *launcher, "scripts/train_mnist.py", *where, *how])
        history = json.loads((self.out / folder / "history.json").read_text(encoding="utf-8"))
        return "; ".join(
            _learned(engine, history["epochs"]) for engine in ("numpy", "torch") if engine in history["epochs"][0]
        )

    def resume(self, folder: str, *options: str) -> str:
        """Stop a run after the first of two epochs, resume it, and hold it to one that was not stopped."""
        whole, parts = f"{folder}-whole", f"{folder}-parts"
        self.train(whole, *STATEFUL, *options, "--epochs", "2")
        self.train(parts, *STATEFUL, *options, "--epochs", "1")
        self.train(parts, *STATEFUL, *options, "--epochs", "2", "--resume")
        if problems := differences(self.out / whole, self.out / parts):
            raise Failed("\n".join(problems))
        return "equal to the run that was not stopped, to the last bit"

    def resume_on_the_cpu(self) -> str:
        """Go on on the CPU with a run that was begun on the device."""
        self.train("to-the-cpu", *STATEFUL, "--epochs", "1")
        return self.train("to-the-cpu", *STATEFUL, "--epochs", "2", "--resume", "--device", "cpu")

    def benchmark(self) -> str:
        """Run benchmark.py; the times of a step of its widest network."""
        endings = {"json": "json", "markdown": "md", "png": "png"}
        files = {kind: self.out / f"benchmark.{ending}" for kind, ending in endings.items()}
        options = [f"--{kind}={path}" for kind, path in files.items()]
        how = ["--gpu", "--rounds", "3", "--threads", str(self.threads), "--data", str(self.data)]
        run_process([sys.executable, "scripts/benchmark.py", *how, *options])
        results = json.loads(files["json"].read_text(encoding="utf-8"))["results"]
        widest = max((r for r in results if r["case"]["kind"] == "step"), key=lambda r: r["operations"])
        times = [f"{name} {duration(engine['median'])}" for name, engine in widest["engines"].items()]
        return f"{widest['label']}: {', '.join(times)}"


def _learned(engine: str, epochs: list[dict[str, Any]]) -> str:
    """Accuracy and time of an engine's epochs. Failed if it has learnt nothing."""
    accuracy = epochs[-1][engine]["test_accuracy"]
    seconds = min(epoch[engine]["seconds"] for epoch in epochs)
    figure = f"{engine} {accuracy:.2%} of the test images, {duration(seconds)} an epoch"
    if not accuracy >= LEARNED:
        raise Failed(f"{figure}; expected {LEARNED:.0%} at least")
    return figure


def run_checks(runs: Runs, only_on_cuda: str) -> list[Check]:
    """The demo, every preset, every way to take a step, runs that are resumed, two processes, and the benchmark."""
    fused_adam = ("--fused", "--optimizer", "adam", "--lr", "0.001")
    made = [Check("demo, both engines", partial(runs.train, "demo-both", "--engine", "both", "--epochs", "2"))]
    for captured, more in (("", ()), (", captured, mixed precision", ("--graph", "--amp"))):
        for name, shorter in SHORTENED.items():
            train = partial(runs.train, f"{name}{'-captured' * bool(captured)}", "--preset", name, *shorter, *more)
            made.append(Check(f"preset {name}{captured}", train, only_on_cuda if captured else ""))
    for name, options, needs in (
        ("fused", ("--fused",), ""),
        ("compiled", ("--compile",), ""),
        ("mixed precision", ("--amp",), ""),
        ("Adam, fused", fused_adam, ""),
        ("image by image", ("--loader", "plain"), ""),
        ("captured", ("--graph",), only_on_cuda),
        ("captured, compiled", ("--graph", "--compile"), only_on_cuda),
        ("captured, Adam", ("--graph", *fused_adam), only_on_cuda),
    ):
        folder = f"epoch-{name.replace(', ', '-').replace(' ', '-').lower()}"
        made.append(Check(f"epoch, {name}", partial(runs.train, folder, "--epochs", "1", *options), needs))
    two_gpus = "" if only_on_cuda or torch.cuda.device_count() > 1 else "needs two GPUs"
    two = partial(runs.train, "two-processes", "--epochs", "1", launcher=TORCHRUN)
    return [
        *made,
        Check("resume", partial(runs.resume, "resume")),
        Check("resume, captured", partial(runs.resume, "resume-captured", "--graph"), only_on_cuda),
        Check("resume on the CPU", runs.resume_on_the_cpu, only_on_cuda),
        Check("two processes", two, two_gpus),
        Check("benchmark.py --gpu", runs.benchmark),
    ]


def distortion_check() -> Check:
    """The tests of distortion, which do on CUDA, where there is a device to be seen, what they do on the CPU."""
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/torch_ref/test_torch_augment.py"]
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    run = partial(run_process, tests, CUDA_VISIBLE_DEVICES=seen)
    return Check("distortion as in numpy_nn", lambda: run().strip().splitlines()[-1])
