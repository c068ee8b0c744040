"""What makes one machine behave like others, and how to see that it does.

A claim is one thing that is set in the environment, with the library's own word for it being in force. A library that
does not know a value may pick another in silence, and on the processors of another maker some are not heeded at all:
so a setting counts only if the processes that ran the tests said what was expected of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from scripts.machines.witness import FLUSH, Facts

# What only torch can say.
OF_TORCH = {"aten", "mkl", "onednn", "torch_threads", "torch_flushes"}

# The tests that are properties, as pytest's options.
PROPERTIES = ("-m", "hypothesis")

# Those of what two engines may differ by. The others measure with subnormals, in NumPy and mpmath.
BOUNDED = ("-m", "not slow", "-k", "test_parity.py or test_layers.py or test_losses.py or test_optimizers.py")

# What numpy and torch say under no setting at all, to what the environment must hold.
Environment = Callable[[Facts], Mapping[str, str]]


@dataclass(frozen=True)
class Claim:
    """One thing that is set: the environment for it, the facts that show it, what they must be, in whose words."""

    environment: Environment
    shown_by: tuple[str, ...]
    expected: object
    teller: str

    def seen(self, facts: Facts) -> str:
        """What the library says."""
        said = [facts.get(name) for name in self.shown_by]
        unique = [value for index, value in enumerate(said) if value not in said[:index]]
        return f"{self.teller}: {', '.join(map(_in_words, unique))}"

    def holds(self, facts: Facts) -> bool:
        """Whether the library says what is expected."""
        return all(facts.get(name) == self.expected for name in self.shown_by)


@dataclass(frozen=True)
class Setting:
    """Claims that hold together; where they are not the command's own, the workers, the tests, the Python."""

    name: str
    claims: tuple[Claim, ...] = ()
    workers: int | None = None
    options: tuple[str, ...] = ()
    python: str = sys.executable

    def for_installed(self, default: Facts) -> Setting:
        """The setting less its claims about torch where that is not installed; itself if they are all it has."""
        if "torch" in default:
            return self
        shown = [(claim, tuple(name for name in claim.shown_by if name not in OF_TORCH)) for claim in self.claims]
        left = tuple(replace(claim, shown_by=names) for claim, names in shown if names)
        return replace(self, claims=left) if left else self

    def environment(self, default: Facts) -> dict[str, str]:
        """The environment of the tests."""
        return {name: value for claim in self.claims for name, value in claim.environment(default).items()}

    def missing(self, facts: Facts) -> list[str]:
        """What is not in force, in the libraries' words; empty if all is."""
        return [claim.seen(facts) for claim in self.claims if not claim.holds(facts)]

    def evidence(self, facts: Facts, default: Facts) -> str:
        """What shows that it is in force, and what it changes in results of the default."""
        bits, others = facts["bits"], default["bits"]
        changed = [name for name in bits if name in others and bits[name] != others[name]]
        if len(changed) > 4:
            effect = f"other bits in {len(changed)} of {len(bits)} results"
        else:
            effect = f"other bits in {', '.join(changed)}" if changed else "the same bits as by default"
        return "; ".join([*(claim.seen(facts) for claim in self.claims), effect])


def _in_words(value: object) -> str:
    return "nothing" if value in (None, []) else " ".join(map(str, value)) if isinstance(value, list) else str(value)


def variable(name: str, value: str) -> Environment:
    """An environment of one variable."""
    return lambda _: {name: value}


# OpenBLAS's own name for the kernels that it shares among several processors.
_OPENBLAS_SAYS = {"Prescott": "Katmai"}


def openblas(kernels: str) -> Claim:
    """NumPy's products by the kernels for that processor."""
    expected = _OPENBLAS_SAYS.get(kernels, kernels)
    return Claim(variable("OPENBLAS_CORETYPE", kernels), ("openblas",), expected, "OpenBLAS")


def mkl(mode: str) -> Claim:
    """torch's products by MKL's code path of that name."""
    return Claim(variable("MKL_CBWR", mode), ("mkl",), mode, "MKL's CNR")


def onednn(limit: str, implementation: str) -> Claim:
    """torch's float32 GELU by oneDNN with instructions up to that limit."""
    return Claim(variable("ONEDNN_MAX_CPU_ISA", limit), ("onednn",), implementation, "oneDNN")


def threads(number: int) -> Claim:
    """As many threads in each library."""
    return Claim(variable("OMP_NUM_THREADS", str(number)), ("numpy_threads", "torch_threads"), number, "threads")


ATEN_DEFAULT = Claim(variable("ATEN_CPU_CAPABILITY", "default"), ("aten",), "DEFAULT", "torch's own kernels")
NUMPY_BASELINE = Claim(
    lambda default: {"NPY_DISABLE_CPU_FEATURES": " ".join(default["numpy_features"])},
    ("numpy_features",),
    [],
    "NumPy's instructions beyond its baseline",
)
FLUSHED = Claim(variable(FLUSH, "1"), ("numpy_flushes", "torch_flushes"), True, "subnormals become 0")

# Half of the processors that these libraries were ever built for, at once.
OLD = Setting(
    "an old processor",
    (openblas("Prescott"), mkl("COMPATIBLE"), onednn("SSE41", "jit:sse41"), ATEN_DEFAULT, NUMPY_BASELINE),
)


def seeded(setting: Setting, seed: int, profile: str = "default") -> Setting:
    """The setting with examples of its own: those of CI are the same at every run."""
    seed_claim = Claim(variable("HYPOTHESIS_PROFILE", profile), ("seed",), str(seed), "hypothesis's seed")
    options = (*setting.options, f"--hypothesis-seed={seed}")
    return replace(setting, name=f"{setting.name}, seed {seed}", claims=(*setting.claims, seed_claim), options=options)


def version(name: str, number: str, python: str) -> Setting:
    """Another version of Python or NumPy."""
    teller = {"numpy": "NumPy", "python": "Python"}[name]
    claim = Claim(lambda _: {}, (name,), number, teller)
    return Setting(f"{teller} {number}", (claim,), python=python)


def all_settings(seeds: Sequence[int]) -> list[Setting]:
    """Every setting of the Python and the packages that run; the first is none at all."""
    kernels = ("Haswell", "Zen", "Sandybridge", "Nehalem", "Prescott", "SkylakeX")
    modes = ("COMPATIBLE", "AUTO", "SSE4_2", "AVX", "AVX2", "AVX512")
    thorough = Setting("500 examples", (Claim(lambda _: {}, ("examples",), 500, "examples"),), options=PROPERTIES)
    return [
        Setting("as it is"),
        *(Setting(f"OPENBLAS_CORETYPE={name}", (openblas(name),)) for name in kernels),
        *(Setting(f"MKL_CBWR={name}", (mkl(name),)) for name in modes),
        Setting("ONEDNN_MAX_CPU_ISA=SSE41", (onednn("SSE41", "jit:sse41"),)),
        Setting("ONEDNN_MAX_CPU_ISA=AVX", (onednn("AVX", "jit:avx"),)),
        Setting("ATEN_CPU_CAPABILITY=default", (ATEN_DEFAULT,)),
        Setting("NPY_DISABLE_CPU_FEATURES", (NUMPY_BASELINE,)),
        OLD,
        Setting("one thread", (threads(1),)),
        Setting("two threads", (threads(2),), workers=1),
        Setting("subnormals flushed", (FLUSHED,), options=BOUNDED),
        *(seeded(thorough, seed, "thorough") for seed in seeds),
    ]
