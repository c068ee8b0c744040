"""``python -m numpy_nn.gradcheck`` is ``numpy-nn gradcheck``."""

import sys

from numpy_nn.commands.main import start

if __name__ == "__main__":
    sys.exit(start("gradcheck"))
