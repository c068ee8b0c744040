"""Every public name of the two packages, and the pages that describe them."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

# The modules whose names are public, each with the page on which they stand, in reading order. A name that is found by
# two ways stands at the first.
MODULES = (
    "numpy_nn",
    "numpy_nn.activations",
    "numpy_nn.initializers",
    "numpy_nn.data.datasets",
    "numpy_nn.owners",
    "numpy_nn.gradcheck",
    "numpy_nn.trace",
    "numpy_nn.testing",
    "torch_ref",
)
# What the rooms are called on their pages.
TITLES = {
    "layers": ("Layers", "层"),
    "activations": ("Activations", "激活函数"),
    "losses": ("Losses", "损失函数"),
    "network": ("Networks", "网络"),
    "optim": ("Optimizers and schedules", "优化器与学习率调度"),
    "training": ("Training", "训练"),
    "owners": ("Several processes", "多个进程"),
    "data": ("Data", "数据"),
    "initializers": ("Initial values", "初始化"),
    "parameter": ("Parameters", "参数"),
    "perceptron": ("The perceptron", "感知机"),
    "gradcheck": ("The gradient checker", "梯度检验"),
    "subjects": ("Code of any form", "各种形式的代码"),
    "trace": ("Recorded steps", "记录下来的一步"),
    "testing": ("For tests", "用于测试"),
    "torch_ref": ("The reference in PyTorch", "PyTorch 参照"),
}


@dataclass(frozen=True)
class Name:
    """A public name: where it is found, what it is, and the room that defines it."""

    module: str
    name: str
    kind: str
    room: str

    @property
    def path(self) -> str:
        """The name as it is imported; also its anchor."""
        return f"{self.module}.{self.name}"


def _found(module: ModuleType) -> Iterator[tuple[str, object, str]]:
    """The names of a module, what they are and where that is defined.

    A package hands on what its rooms define, and a table of its own; a module has what it defines itself.
    """
    package = hasattr(module, "__path__")
    # A package that loads its rooms late says in __all__ which names it has.
    for name in getattr(module, "__all__", None) or list(vars(module)):
        value = getattr(module, name)
        home = getattr(value, "__module__", "")
        if name.startswith("_") or isinstance(value, ModuleType):
            continue
        if package and isinstance(value, dict):
            yield name, value, "numpy_nn.layers" if "LAYER" in name else module.__name__
        elif home == module.__name__ or (package and home.startswith(("numpy_nn.", "torch_ref."))):
            yield name, value, home


def public_names() -> list[Name]:
    """Every public name, once. Without torch those of numpy_nn alone."""
    found: dict[int, Name] = {}
    for path in MODULES:
        if path.startswith("torch_ref") and importlib.util.find_spec("torch") is None:
            continue
        for name, value, home in _found(importlib.import_module(path)):
            package, _, rest = home.partition(".")
            room = package if package == "torch_ref" else rest.partition(".")[0]
            kind = "data" if isinstance(value, dict) else "class" if inspect.isclass(value) else "function"
            found.setdefault(id(value), Name(path, name, kind, "activations" if room == "" else room))
    return list(found.values())
