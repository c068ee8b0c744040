"""The batches of a loader as several processes train on them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any

from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.data.batches import DataLoader
from numpy_nn.owners.places import gathered


class OwnedLoader(DataLoader):
    """The batches of a loader, gathered where all processes see them."""

    # All else is the loader's own: what is set in one of them is set in both.
    __slots__ = ("loader", "owned")

    def __init__(self, loader: DataLoader, owned: Any) -> None:
        self.loader, self.owned, self.__dict__ = loader, owned, vars(loader)

    def __len__(self) -> int:
        return len(self.loader)

    def indices(self) -> Iterator[Any]:
        """Those of the loader."""
        return self.loader.indices()

    def __iter__(self) -> Iterator[tuple[FloatArray, NDArray[Any]]]:
        owned = self.owned
        try:
            owned.renew()
            yield from self._gathered() if _walks_rows(self.loader) else self.loader
        finally:
            if owned.whole and owned.began_here():
                owned.collect()

    def _gathered(self) -> Iterator[tuple[FloatArray, NDArray[Any]]]:
        owned, loader = self.owned, self.loader
        for rows, following in pairwise(chain(loader.indices(), [None])):
            x, y = owned.gather(loader, rows, following) if owned.active else gathered(loader, rows)
            if loader.transform is not None:
                x = loader.transform(x)  # by the same name, so that nobody has what it was made of
            yield x, y


def _walks_rows(loader: DataLoader) -> bool:
    """Whether it walks as every DataLoader does: a subclass may index with what is not gathered here."""
    indices = getattr(loader.indices, "__func__", None)
    return type(loader).__iter__ is DataLoader.__iter__ and indices is DataLoader.indices
