"""Draw digits of MNIST and their distortions: by an affine map, by an elastic field, by both."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import numpy_nn as nn
from scripts.mnist.presets import PRESETS

DIGITS = 5
DRAWS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    recipe = PRESETS["distort"].settings
    for name in ("rotation", "scale", "shear", "shift", "alpha"):
        parser.add_argument(f"--{name}", type=float, default=recipe[name], metavar="X", help="as of train_mnist.py")
    parser.add_argument("--sigma", type=float, default=4.0, metavar="X", help="as of train_mnist.py")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the distortions")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="DIR", help="where MNIST is")
    parser.add_argument("--out", type=Path, default=Path("docs/figures/distortion.png"), metavar="FILE", help="a PNG")
    args = parser.parse_args(arguments)
    if args.out.suffix != ".png":
        parser.error(f"argument --out: expected a name that ends in .png, got {str(args.out)!r}")
    affine = {name: getattr(args, name) for name in ("rotation", "scale", "shear", "shift")}
    elastic = {"alpha": args.alpha, "sigma": args.sigma}
    try:
        kinds = [
            (title, nn.Distortion(**settings, rng=args.seed))
            for title, settings in (("affine", affine), ("elastic", elastic), ("both", affine | elastic))
        ]
        draw(nn.load_mnist(args.data), kinds, args.out)
    except (OSError, ValueError) as error:
        print(f"distortion_figure: {error}", file=sys.stderr)
        return 2
    print(f"written: {args.out}")
    return 0


def draw(data: nn.MNIST, kinds: Sequence[tuple[str, nn.Distortion]], path: Path) -> None:
    """A row for each of the first digits: the image, then some draws of each kind of distortion."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    images = data.x_train[:DIGITS].reshape(DIGITS, 28, 28)
    columns: list[tuple[str, Any]] = [("MNIST", images)]
    for title, distort in kinds:
        columns += [(title if k == DRAWS // 2 else "", distort(images).copy()) for k in range(DRAWS)]
    # A narrow gap before each kind.
    widths = [1.0] + [0.25, *[1.0] * DRAWS] * len(kinds)
    places = [i for i, width in enumerate(widths) if width == 1.0]
    figure = plt.figure(figsize=(0.75 * sum(widths), 0.75 * DIGITS + 0.3), layout="constrained")
    grid = figure.add_gridspec(DIGITS, len(widths), width_ratios=widths)
    for place, (title, column) in zip(places, columns, strict=True):
        for row in range(DIGITS):
            axis = figure.add_subplot(grid[row, place])
            axis.imshow(np.clip(column[row], 0.0, 1.0), cmap="gray_r", vmin=0.0, vmax=1.0)
            axis.set(xticks=[], yticks=[])
            if row == 0 and title:
                axis.set_title(title, fontweight="bold")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
