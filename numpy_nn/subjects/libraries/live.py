"""Arrays that live anywhere: a function that reads them, and one that claims their gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.arrays.places import Place, parsed
from numpy_nn.subjects.names import GRAD, role
from numpy_nn.subjects.signatures import positional, signature
from numpy_nn.subjects.state import Snapshot, equal
from numpy_nn.subjects.subject import Array, ClaimingSubject, SubjectError


class LiveSubject(ClaimingSubject):
    """``run()`` reads ``live`` arrays and returns the output or outputs; ``grads(*grad_outputs)`` their gradients.

    ``live`` has by name an array, in which the check writes, or ``(object, "attribute")`` for one that the code binds
    anew. The gradients are an array, or a tuple or list in the order of ``live``, or a dict by its names. What the
    arrays hold is put back after each call, and :meth:`close` puts back all that the code keeps.
    """

    def __init__(
        self,
        run: Callable[[], Any],
        grads: Callable[..., Any],
        live: Mapping[str, Any],
        *,
        label: str = "",
        generators: Iterable[Any] = (),
    ) -> None:
        if not live:
            raise ValueError("arrays: expected at least one array by name")
        self._live = {name: _place(name, value) for name, value in live.items()}
        before = Snapshot(run, grads, [value[0] for value in live.values() if isinstance(value, tuple)])
        self._first = {name: np.array(place.read()) for name, place in self._live.items()}
        arrays = {name: values.astype(np.float64) for name, values in self._first.items()}
        super().__init__(label or getattr(run, "__name__", type(run).__name__), [run, grads], arrays, generators)
        self.restored_in_the_end(before)
        self._run_code, self._grads = run, grads
        self._ignores: bool | None = None
        self._takes_none = _takes_no_gradient(grads)

    def close(self) -> None:
        """Put back what the arrays held, and what else the code keeps."""
        super().close()
        for name, place in self._live.items():
            place.put_back(self._first[name])

    def _make_repeatable(self) -> bool:
        if not super()._make_repeatable():
            return False
        self._refuse_other_arrays()
        if self._takes_none and self.output().size != 1:
            f, g = self.label if self.label.isidentifier() else "forward", getattr(self._grads, "__name__", "grads")
            self.refuse(
                f"{g} takes no gradient of the output, and {f} returns an array of shape {self.output().shape}, not a "
                "loss: of what the gradients are is not told; have the first function return the loss that they are "
                f"of: check_gradients(lambda: loss({f}(), y), {g if g.isidentifier() else 'grads'}, "
                f"{', '.join(f'{name}={name}' for name in self._live if name.isidentifier())})"
            )
        return not self.problems

    def _refuse_other_arrays(self) -> None:
        """Decide nothing where the output depends on none of the arrays, and gradients are claimed: it reads others."""
        home = self.output()
        claimed = self.gradients(self.random_grad_output(np.random.default_rng(0), home.shape))
        if any(g is not None and np.any(g) for g in claimed.values()) and not any(map(self._reads, self.arrays)):
            first, names = next(iter(self.arrays)), ", ".join(self.arrays)
            self.refuse(
                f"{self.label} gives the same whatever {names} hold{'s' * (len(self.arrays) == 1)}: its code reads "
                f'other arrays, as copies of them; give their places, such as arrays={{"{first}": (net, "{first}")}}'
            )

    def _reads(self, name: str) -> bool:
        """Whether the output is another, or none, where an array holds others: of both signs, or nan."""
        home, array = self.output(), self.arrays[name]
        rng = np.random.default_rng(0)
        others = [array * 1.125 + 0.0625, *(size * rng.standard_normal(array.shape) for size in (1.0, 1.0, 30.0))]
        for values in (*others, np.full(array.shape, np.nan)):
            with self.at({name: values}):
                try:
                    if not equal(home, self.output()):
                        return True
                except SubjectError:
                    return True
        return False

    def own_code(self) -> Sequence[Any]:
        return self._run_code, self._grads

    def random_grad_output(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        # Of a loss, gradients are often given as they are where its own gradient is 1.
        if math.prod(shape) == 1 and self._is_loss_alone(shape):
            return np.ones(shape)
        return super().random_grad_output(rng, shape)

    def _is_loss_alone(self, shape: tuple[int, ...]) -> bool:
        """Whether the gradients of a single number are the same whatever grad_output they are given."""
        if self._ignores is None:
            first, second = (self.gradients(np.full(shape, value)) for value in (1.0, 2.0))
            given = [name for name, gradient in first.items() if gradient is not None]
            self._ignores = bool(given) and all(equal(first[name], second[name]) for name in given)
            if self._ignores and any(np.any(first[name]) for name in given):
                self.notes.append("grads leaves its grad_output aside: judged as the gradients of a loss")
        return self._ignores

    def complex_output(self, x: NDArray[np.complexfloating[Any]]) -> None:
        """None: arrays of floats hold no complex numbers."""

    def _run(self, _: Mapping[str, NDArray[Any]]) -> Sequence[Any]:
        for name, place in self._live.items():
            place.write(self.arrays[name])
        result = self._run_code()
        # Copies, as an output may be the array that is put back.
        outputs = [np.array(output) for output in (result if isinstance(result, (tuple, list)) else [result])]
        for name, place in self._live.items():
            if not place.holds(self.arrays[name]):
                self.warn(f"run changes {name} in place")
                place.write(self.arrays[name])
        return outputs

    def _claim(self, grad_outputs: Sequence[Array]) -> Mapping[str, Any]:
        given = [] if self._takes_none else [g if g.ndim else float(g) for g in grad_outputs]
        claimed = self._grads(*given)
        for name, place in self._live.items():
            if not place.holds(self.arrays[name]):
                self.warn(f"grads changes {name}: the gradients are judged at the values before")
                place.write(self.arrays[name])
        if isinstance(claimed, Mapping):
            if unknown := [name for name in claimed if name not in self._first]:
                raise ValueError(f"grads: expected gradients of {', '.join(self.arrays)}, got one of {unknown[0]}")
            return {name: claimed.get(name) for name in self.arrays}
        parts = list(claimed) if isinstance(claimed, (tuple, list)) else [claimed]
        if len(parts) != len(self.arrays):
            raise ValueError(
                f"grads: expected {len(self.arrays)} gradients, of {', '.join(self.arrays)}, got {len(parts)}"
            )
        return dict(zip(self.arrays, parts, strict=True))


def _takes_no_gradient(grads: Callable[..., Any]) -> bool:
    """Whether it takes nothing, or what it may be given is data: an array by default, as in ``backward(X=X, y=y)``."""
    required, optional = positional(grads) or ([""], [])
    defaults = signature(grads).parameters if optional else {}
    return not required and all(
        isinstance(defaults[name].default, np.ndarray) and role(name) != GRAD for name in optional[:1]
    )


class _InPlace:
    """An array of the user's, written in place."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array

    def read(self) -> NDArray[Any]:
        return self._array

    def write(self, values: Array) -> None:
        self._array[...] = values

    def holds(self, values: Array) -> bool:
        return equal(self._array, values.astype(self._array.dtype))

    def put_back(self, values: NDArray[Any]) -> None:
        self._array[...] = values


class _Bound:
    """An array that is bound to a name somewhere: an array of our own is put there."""

    def __init__(self, place: Place) -> None:
        self._place, self._own = place, place.read()

    def read(self) -> NDArray[Any]:
        return np.asarray(self._place.read())

    def write(self, values: Array) -> None:
        is_number = isinstance(self._place.read(), (float, int))
        self._place.put(values.item() if is_number else values.copy())

    def holds(self, values: Array) -> bool:
        return equal(self.read(), values)

    def put_back(self, values: NDArray[Any]) -> None:
        """The array that was there, which others may hold too, with what it held."""
        if isinstance(self._own, np.ndarray) and self._own.flags.writeable:
            self._own[...] = values
        self._place.put(self._own)


def _place(name: str, value: Any) -> _InPlace | _Bound:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str):
        return _Bound(Place(value[0], parsed(value[1])))
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise TypeError(f"{name}: expected an array of floats, or (object, 'attribute'), got {type(value).__name__}")
    if not value.flags.writeable:
        raise ValueError(f"{name}: expected an array that can be written to; pass (object, 'attribute'), or a copy")
    return _InPlace(value)
