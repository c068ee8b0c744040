"""What a test needs that not every machine has, as marks that leave it out elsewhere."""

import importlib.util
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

HAS_TORCH, HAS_TORCHVISION = (importlib.util.find_spec(name) is not None for name in ("torch", "torchvision"))

torch = pytest.mark.skipif(not HAS_TORCH, reason="needs torch")
# The packages that make notebooks and the site, and npm, which gets what sets its formulas. In CI they are promised.
HAS_BOOK = shutil.which("npm") is not None and all(
    importlib.util.find_spec(name) is not None for name in ("jupytext", "nbclient", "ipykernel", "sphinx", "myst_nb")
)
SITE_PROMISED = "site" in os.environ.get("TESTS_PROMISED", "site" if os.environ.get("CI") else "").split()
book = pytest.mark.skipif(
    not HAS_BOOK and not SITE_PROMISED, reason="needs npm and the packages that make notebooks and the site"
)
torchvision = pytest.mark.skipif(not HAS_TORCHVISION, reason="needs torchvision")
# What torch.compile writes is compiled for Python by this; what torch tells it of its own path is not quoted.
COMPILER = os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
compiler = pytest.mark.skipif(
    shutil.which(COMPILER) is None or not Path(sysconfig.get_path("include"), "Python.h").exists() or " " in sys.prefix,
    reason=f"needs {COMPILER}, the headers of Python, and torch in a path without spaces",
)
posix = pytest.mark.skipif(os.name != "posix", reason="needs the signals, limits and commands of POSIX")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")

# In seconds: a process that takes longer hangs, however busy the machine is.
HANGS = 1800.0


def path_without_torch(folder: Path) -> str:
    """A PYTHONPATH by way of this folder, with which a process finds no torch, nor do those that it starts."""
    folder.mkdir()
    # What is None in sys.modules cannot be imported, nor found.
    lines = "import sys\nsys.modules.update(dict.fromkeys(['torch', 'torchvision']))\n"
    (folder / "sitecustomize.py").write_text(lines, encoding="utf-8")
    return os.pathsep.join([str(folder), str(Path(__file__).parent.parent)])


def files_that_import(*modules: str) -> list[str]:
    """The files of tests that do so in their first lines, or import one of the suite's own that does."""
    folder = Path(__file__).parents[1]
    paths = {path.stem: path for path in folder.rglob("*.py")}
    texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    found: set[str] = set()
    while True:
        names = "|".join(map(re.escape, [*modules, *found]))
        imports = re.compile(rf"^(from tests\.\w+ )?(import|from) ({names})\b", re.MULTILINE)
        more = {name for name, text in texts.items() if imports.search(text)}
        if more == found:
            return sorted(str(paths[name].relative_to(folder)) for name in found if name.startswith("test_"))
        found = more


# What pytest does not collect, and why; conftest.py hands it on.
left_out: dict[str, list[str]] = {}
if not HAS_TORCH:
    left_out["torch"] = files_that_import("torch", "torch_ref", "scripts.scale.worker")
elif not HAS_TORCHVISION:
    left_out["torchvision"] = files_that_import("torchvision", "torch_ref.data")
for package in ("jax", "autograd"):
    if importlib.util.find_spec(package) is None:
        left_out[package] = files_that_import(package)
collect_ignore = sorted({file for files in left_out.values() for file in files})


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leave out what is tested with torch as one of several engines."""
    callspec = getattr(item, "callspec", None)
    values = callspec.params.values() if callspec is not None else ()
    # A value may be an array, which compares entry by entry.
    if not HAS_TORCH and any(isinstance(value, str) and value == "torch" for value in values):
        item.add_marker(torch)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A line for each package about the files that are left out without it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if left_out and reporter is not None:
        reporter.write_line("")
        for package, files in left_out.items():
            text = f"{package} is not installed: {len(files)} files of tests that compare with it are left out"
            reporter.write_line(text, yellow=True)
