"""Parameters whose numbers are with the processes: whoever looks at one has them brought back first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from numpy_nn.parameter import Parameter, structure


class Elsewhere:
    """Between :meth:`begin` and :meth:`end`, what reads or writes ``data`` or ``grad`` calls ``fetch`` first.

    The parameters get a class in which these are properties, and so cost nothing unless they are looked at. ``fetch``
    is to call :meth:`end`: then they are what they were.
    """

    def __init__(self, fetch: Callable[[], None]) -> None:
        self._away: list[Parameter] = []

        def after_fetch(name: str) -> property:
            def get(p: Parameter) -> Any:
                fetch()
                return getattr(p, name)

            def put(p: Parameter, value: Any) -> None:
                fetch()
                setattr(p, name, value)

            return property(get, put)

        def reduce(p: Parameter, protocol: Any) -> Any:
            fetch()
            return p.__reduce_ex__(protocol)  # of the class that it has now

        members = {name: after_fetch(name) for name in ("_data", "_grad")}
        self._kind = type("Parameter", (Parameter,), {"__slots__": (), **members, "__reduce_ex__": reduce})

    def begin(self, parameters: Iterable[Parameter]) -> None:
        """Their numbers are elsewhere from now on."""
        self._away = list(parameters)
        structure.settings += 1  # whoever has their arrays has to ask anew, and not to write there meanwhile
        for p in self._away:
            p.__class__ = self._kind

    def end(self) -> None:
        """Their numbers are here again, or as good as they get."""
        for p in self._away:
            p.__class__ = Parameter
        self._away = []
