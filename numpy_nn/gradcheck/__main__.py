"""``python -m numpy_nn.gradcheck`` is ``numpy-nn gradcheck``."""

import sys

from numpy_nn.commands.gradcheck.command import main

if __name__ == "__main__":
    sys.exit(main())
