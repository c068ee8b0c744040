"""``python -m numpy_nn`` is ``numpy-nn``."""

import sys

from numpy_nn.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
