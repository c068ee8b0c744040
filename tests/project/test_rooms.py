"""The package's rooms: what lies lower imports nothing that lies higher, and no two modules import each other."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "numpy_nn").rglob("*.py"))
}

# From the lowest to the highest; rooms on one line know nothing of each other.
ORDER = [
    {"_support"},
    {"parameter", "perceptron", "data"},
    {"initializers", "activations"},
    {"layers"},
    {"losses", "optim"},
    {"network"},
    {"training", "trace", "subjects"},
    {"gradcheck", "owners"},
    {"testing"},
    {"numpy_nn"},
    {"commands"},
    {"lessons", "exercises"},
    {"__main__"},
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
IN_GRADCHECK = [
    "report",
    "page",
    "progress",
    "measure",
    "explain",
    "elsewhere",
    "judging",
    "visits",
    "entry",
    "sums_to_one",
    "checker",
    "gradcheck",
    "inputs",
    "builders",
    "script",
    "files",
]
# Beside its own files, which are both what these stand on and what is made of them.
IN_SUBJECTS = [{"arrays"}, {"source"}, {"calls"}, {"parameters", "libraries"}, {"losses"}]


@cache
def imports_in(path: Path) -> list[ast.Import | ast.ImportFrom]:
    """What stands for an import in a source, wherever in it."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]


def imported(path: Path) -> Iterator[str]:
    """The modules of the package that a source imports."""
    for node in imports_in(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        else:
            assert node.level == 0, "an import from a place relative to the file"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                if found := submodule if submodule in FILES else node.module if node.module in FILES else None:
                    yield found


@pytest.fixture(scope="module")
def imports():
    """What each module imports, by its name: not read before a test asks for it."""
    return {name: set(imported(path)) for name, path in FILES.items()}


def roots(path: Path) -> set[str]:
    """The first names of all modules that a source imports."""
    nodes = imports_in(path)
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in plain | named}


@pytest.mark.parametrize("package", ["numpy_nn", "torch_ref"])
def test_what_is_installed_imports_nothing_that_is_not(package):
    left_behind = {"scripts", "tests", *(path.stem for path in (ROOT / "tests" / "helpers").glob("*.py"))}
    for path in (ROOT / package).rglob("*.py"):
        assert not roots(path) & left_behind, path


def part(module: str, depth: int) -> str:
    """The name of a module's room, or of the module itself where it is the front of the rooms."""
    parts = module.split(".")
    if depth == 1 and parts[-1] == "__main__":  # a door to the commands, whichever room it stands in
        return "__main__"
    return parts[depth] if len(parts) > depth else parts[-1]


def test_every_room_has_its_place():
    assert {part(module, 1) for module in FILES} == RANK.keys()
    assert {part(module, 2) for module in FILES if part(module, 1) == "gradcheck"} == {*IN_GRADCHECK}


def test_nothing_lower_imports_something_higher(imports):
    for module in FILES:
        room = part(module, 1)
        allowed = {room} | {other for other, rank in RANK.items() if rank < RANK[room]}
        assert {part(other, 1) for other in imports[module]} <= allowed, module


def test_what_measures_a_gradient_knows_nothing_of_what_explains_it(imports):
    inside = [module for module in FILES if part(module, 1) == "gradcheck"]
    assert len(inside) > 30
    for module in inside:
        rank = IN_GRADCHECK.index(part(module, 2))
        within = {part(other, 2) for other in imports[module] if part(other, 1) == "gradcheck"}
        assert within <= {*IN_GRADCHECK[: rank + 1]}, module


def test_no_room_of_subjects_imports_from_a_higher_one(imports):
    rank = {room: rank for rank, rooms in enumerate(IN_SUBJECTS) for room in rooms}
    inside = [module.split(".") for module in FILES if module.startswith("numpy_nn.subjects.")]
    assert rank.keys() <= {path[2] for path in inside}
    for path in inside:
        for other in (name.split(".") for name in imports[".".join(path)]):
            if path[2] in rank and other[1] == "subjects" and other[2] in rank:
                assert path[2] == other[2] or rank[other[2]] < rank[path[2]], path


def test_no_modules_import_each_other_in_a_circle(imports):
    order = list(TopologicalSorter(imports).static_order())  # CycleError names a circle
    assert set(order) == FILES.keys()


def test_a_room_s_front_says_in_a_sentence_what_it_is():
    fronts = [module for module, path in FILES.items() if path.name == "__init__.py"][1:]
    assert len(fronts) > 20
    for module in fronts:
        doc = ast.get_docstring(ast.parse(FILES[module].read_text(encoding="utf-8")))
        assert doc is not None, module
        first = doc.split("\n\n")[0]
        assert first.endswith("."), module
        assert module == "numpy_nn.gradcheck" or doc == first, module
