"""Get MNIST into data/: ``numpy-nn fetch-mnist``, in a checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from numpy_nn.commands.main import start

if __name__ == "__main__":
    sys.exit(start("fetch-mnist"))
