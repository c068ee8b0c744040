"""``python -m numpy_nn.exercises``."""

import sys

from numpy_nn.exercises.command import main

if __name__ == "__main__":
    sys.exit(main())
