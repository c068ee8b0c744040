"""What processes exchange at a layer: products that are to be added up, and the columns of G."""

from __future__ import annotations

from typing import Any

import numpy as np

from numpy_nn._support.workspace import FloatArray
from numpy_nn.owners.meeting import Meetings
from numpy_nn.training.recording import Deviation, operation


class Exchange:
    """Where process ``rank`` puts what the others need of a layer, and finds theirs; ``units`` are its own.

    ``products[turn, process, row, column]`` are in shared memory, and so is the ``whole`` G. There are two turns, as a
    process may begin its next product while another one still adds up the last ones. Of the sum everybody needs all
    columns if this is the ``last`` layer, else those of his own units.

    One batch has one meeting of each kind, however often a process computes it: where a plan is recorded of the
    formulas, tried beside them, or given up for them, this is by itself. The others then have nothing to write that it
    reads, as they cannot get past the next meeting.
    """

    def __init__(
        self, meetings: Meetings, rank: int, products: FloatArray, whole: FloatArray, units: slice, last: bool
    ) -> None:
        self.whole = whole
        self._meetings, self._rank, self._products, self._units = meetings, rank, products, units
        self._columns = slice(None) if last else units
        self._needed = [self._columns] if last else [slice(0, units.start), slice(units.stop, whole.shape[1])]
        self._summed = self._gathered = 0  # the batches at which the last meetings were

    def __repr__(self) -> str:
        return f"units {self._units.start} to {self._units.stop - 1}"

    @operation
    def summed(self, own: FloatArray, out: FloatArray) -> FloatArray:
        """The sum of all products, of which this is the process's own.

        It is made in the order of the processes: to the last bit the same for all of them.
        """
        batch = self._meetings.batch
        products: list[Any] = list(self._products[batch % 2, :, : len(own)])
        if self._summed != batch:
            for columns in self._needed:
                products[self._rank][:, columns] = own[:, columns]
            self._meetings.meet()
            self._summed = batch
        products[self._rank] = own
        first, second, *others = (product[:, self._columns] for product in products)
        np.add(first, second, out=out)
        for other in others:
            out += other
        return out

    @operation
    def gathered(self, own: FloatArray, out: FloatArray) -> FloatArray:
        """The whole G, of which these are the columns of the own units; ``out`` is the place where it lies.

        Deviation if they are not those that the others got.
        """
        batch, mine = self._meetings.batch, out[:, self._units]
        if self._gathered != batch:
            mine[...] = own
            self._meetings.meet()
            self._gathered = batch
        elif mine.tobytes() != own.tobytes():
            raise Deviation
        return out
