"""What is timed: a piece of work on a network of some size, the suites of such cases, and their operations.

Nothing here loads NumPy, so that ``--help`` is quick.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

KINDS = {
    "forward": "logits and loss of one batch",
    "backward": "the gradient of every parameter, after the forward pass",
    "optimizer": "the update of every parameter from its gradient",
    "step": "forward, backward and update on one batch",
    "epoch": "a step on each batch of all rows, in a new random order",
    "inference": "the logits of all rows, batch by batch",
}
DTYPES = ("float32", "float64")

# Small, so that the many steps on one batch in a measurement do not drive its probabilities into denormal numbers,
# which are slow. No engine's time depends on the rate otherwise.
LEARNING_RATES = {"sgd": 1e-3, "momentum": 1e-3, "adam": 1e-5}
MOMENTUM = 0.9

IMAGES = 60_000
TEST_IMAGES = 10_000
PIXELS, CLASSES = 784, 10


@dataclass(frozen=True)
class Case:
    """One piece of work: ``kind`` on a perceptron of these ``sizes`` with ReLU and cross-entropy.

    ``rows`` counts for "epoch" and "inference" only; the other kinds work on one batch. ``rate`` is the learning rate,
    0 for that of ``LEARNING_RATES``. ValueError for a setting that does not exist.
    """

    kind: str
    sizes: tuple[int, ...]
    batch: int = 64
    dtype: str = "float32"
    optimizer: str = "sgd"
    rows: int = 0
    rate: float = 0.0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("kind", self.kind, KINDS),
            ("dtype", self.dtype, DTYPES),
            ("optimizer", self.optimizer, LEARNING_RATES),
        ):
            if value not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise ValueError(f"sizes: expected an input and an output of at least 1, got {self.sizes}")
        if self.batch < 1:
            raise ValueError(f"batch: expected at least 1, got {self.batch}")
        if self.rows < 0:
            raise ValueError(f"rows: expected at least 0, got {self.rows}")
        if self.kind not in ("epoch", "inference"):
            object.__setattr__(self, "rows", self.batch)
        elif self.rows == 0:
            object.__setattr__(self, "rows", IMAGES if self.kind == "epoch" else TEST_IMAGES)

    @property
    def label(self) -> str:
        """Such as "step 784-64-10, batch 64, sgd, float32"."""
        parts = [f"{self.kind} {'-'.join(map(str, self.sizes))}", f"batch {self.batch}"]
        if self.kind in ("optimizer", "step", "epoch"):
            parts.append(self.optimizer)
        if self.kind in ("epoch", "inference"):
            parts.append(f"{self.rows:,} rows")
        return ", ".join([*parts, self.dtype])

    @property
    def learning_rate(self) -> float:
        """The optimizer's."""
        return self.rate or LEARNING_RATES[self.optimizer]

    @property
    def batches(self) -> list[int]:
        """The rows of each batch; the last may be smaller."""
        whole, rest = divmod(self.rows, self.batch)
        return [self.batch] * whole + [rest] * (rest > 0)

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum(fan_in * fan_out + fan_out for fan_in, fan_out in pairwise(self.sizes))

    @property
    def operations(self) -> int:
        """Floating-point operations of the matrix products, a multiplication and an addition counted as two.

        A product of (n, i) and (i, o) takes 2 n i o. Forward has one for each layer; backward has two, for the
        gradients of the weight and of the input, less one for the first layer, whose input is the data.
        """
        layers = [fan_in * fan_out for fan_in, fan_out in pairwise(self.sizes)]
        forward, backward = sum(layers), 2 * sum(layers) - layers[0]
        each_row = {"forward": forward, "inference": forward, "backward": backward, "optimizer": 0}
        return 2 * self.rows * each_row.get(self.kind, forward + backward)


@dataclass(frozen=True)
class Suite:
    """Cases that belong together; ``x`` is what varies, for the plot's axis and the slope."""

    name: str
    about: str
    x: str
    cases: tuple[Case, ...]


def x_value(case: Case, x: str) -> int:
    """The value of a case on the axis ``x``: "width", "batch", "depth" or "parameters"."""
    if x == "width":
        return max(case.sizes[1:-1], default=case.sizes[-1])
    if x == "batch":
        return case.batch
    if x == "depth":
        return len(case.sizes) - 1
    if x == "parameters":
        return case.parameters
    raise ValueError(f"x: expected width, batch, depth or parameters, got {x!r}")


def two_layers(width: int) -> tuple[int, ...]:
    """784, the width, 10."""
    return PIXELS, width, CLASSES


def suite(name: str) -> Suite:
    """The suite of that name; ValueError for another one."""
    if name not in SUITES:
        raise ValueError(f"suite: expected one of {', '.join(SUITES)}, got {name!r}")
    return SUITES[name]


def adapted(
    cases: tuple[Case, ...], *, dtypes: list[str] | None, optimizers: list[str] | None, rows: int | None
) -> list[Case]:
    """The cases with each of these dtypes and optimizers in place of their own, without repetitions."""
    out: dict[Case, None] = {}
    for case in cases:
        for dtype in dtypes or [case.dtype]:
            for optimizer in optimizers or [case.optimizer]:
                out[replace(case, dtype=dtype, optimizer=optimizer, rows=rows or case.rows)] = None
    return list(out)


WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
DEPTHS = tuple(range(1, 9))

SUITES = {
    one.name: one
    for one in (
        Suite(
            "quick",
            "a look at everything but epochs, under a minute",
            "width",
            (
                *(Case("step", two_layers(width)) for width in (16, 64, 256, 1024)),
                Case("step", two_layers(64), optimizer="adam"),
                *(Case(kind, two_layers(64)) for kind in ("forward", "backward", "optimizer")),
                Case("inference", two_layers(64), batch=1000),
            ),
        ),
        Suite(
            "widths",
            "784-w-10 for w of 16 to 2048, batch 64",
            "width",
            tuple(Case(kind, two_layers(width)) for kind in ("forward", "backward", "step") for width in WIDTHS),
        ),
        Suite(
            "batches",
            "784-64-10 and 784-512-10, batch 1 to 4096",
            "batch",
            tuple(Case("step", two_layers(width), batch=batch) for width in (64, 512) for batch in BATCHES),
        ),
        Suite(
            "depths",
            "1 to 8 layers of width 256, batch 64",
            "depth",
            tuple(Case("step", (PIXELS, *[256] * (depth - 1), CLASSES)) for depth in DEPTHS),
        ),
        Suite(
            "mnist",
            "epochs of MNIST, its test images, and steps on single images",
            "parameters",
            (
                Case("epoch", two_layers(64)),
                Case("epoch", two_layers(512)),
                Case("epoch", (PIXELS, 2048, 2048, CLASSES), batch=256),
                Case("epoch", two_layers(64), optimizer="adam"),
                Case("epoch", two_layers(512), optimizer="adam"),
                Case("inference", two_layers(64), batch=1000),
                Case("inference", two_layers(512), batch=1000),
                Case("step", two_layers(64), batch=1),
            ),
        ),
    )
}
