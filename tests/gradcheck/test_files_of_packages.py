"""The checker's command line on files that import from beside themselves, as those of packages do."""

import pytest

from numpy_nn.commands.gradcheck.command import main

BASE = "class Base:\n    scale = {scale}\n"
LAYER = """
import numpy as np

from {dots}base import Base


class Double(Base):
    def forward(self, x):
        return 2.0 * x

    def backward(self, grad_output):
        return self.scale * grad_output
"""


def written(folder, name, scale, *, dots=".", with_init=True):
    """A package in a package, with a layer in its file, whose base is beside it or above."""
    outer = folder / name
    inner = outer / f"parts_of_{name}"
    inner.mkdir(parents=True)
    (inner if dots == "." else outer).joinpath("base.py").write_text(BASE.format(scale=scale))
    (inner / "layer.py").write_text(LAYER.format(dots=dots))
    if with_init:
        (outer / "__init__.py").write_text("")
        (inner / "__init__.py").write_text("from .layer import Double\n")
    return inner / "layer.py"


@pytest.mark.parametrize(("scale", "status"), [(2.0, 0), (3.0, 1)])
@pytest.mark.parametrize("dots", [".", ".."])
@pytest.mark.parametrize("with_init", [True, False])
def test_a_file_of_a_package_is_run_as_a_part_of_it(tmp_path, capsys, scale, status, dots, with_init):
    name = f"package_{int(scale)}_{len(dots)}_{int(with_init)}"
    path = written(tmp_path, name, scale, dots=dots, with_init=with_init)
    assert main([f"{path}:Double", "--input", "3x2"]) == status
    assert "Double" in capsys.readouterr().out
