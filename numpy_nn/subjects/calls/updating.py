"""Code that learns: the step of training that an object makes by itself, and what it predicts beside its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.agreement import factor_of
from numpy_nn.subjects.arrays.gradients import Leaf, same_but_ones
from numpy_nn.subjects.arrays.places import Place, places
from numpy_nn.subjects.calls.calling import CACHE, OUTPUT, RATE, CalledCode, result_role
from numpy_nn.subjects.calls.costs import LossOfOutput
from numpy_nn.subjects.calls.rates import rate_of, rates_in, rates_of, times
from numpy_nn.subjects.source.roles import is_data
from numpy_nn.subjects.state import Snapshot, equal
from numpy_nn.subjects.subject import Array, SubjectError

# By such a share of its rate a step hardly moves what it is made of, and is not yet lost in rounding.
TINY = 2.0**-20
# Two steps whose cosine is nearer to 1 than this lie along one line, but for the rounding of a subtraction.
_PARALLEL = 1.0 - 1e-6


def _are_parallel(step: Array, gradient: Array) -> bool:
    lengths = float(np.linalg.norm(step) * np.linalg.norm(gradient))
    return step.shape == gradient.shape and abs(float(np.sum(step * gradient))) > _PARALLEL * lengths > 0.0


class UpdatingCode(CalledCode):
    """Called code, with the updates of its object."""

    predictor: Callable[..., Any] | None = None  # of a loss: what makes the output of the input alone

    def prediction(self) -> Array | None:
        """For a loss whose object has a forward pass beside it: what that makes of the input; else None."""
        if self.predictor is None:
            return None
        self.restore_generators()
        self._install()
        with self.running():
            given = [self._argument(name, {}) for name in self._inputs]
            if self.chain is not None:
                self.chain.run(*given)
                result = self.chain.output
            else:
                result = self.predictor(*given)
        first = result[0] if isinstance(result, tuple) and result else result
        # Whole numbers are the classes that it decides for.
        return None if first is None or np.asarray(first).dtype.kind != "f" else np.array(first, np.float64)

    @property
    def updates_in_backward(self) -> float | None:
        """The learning rate with which backward itself updates the parameters; None if it does not."""
        return next(iter(self._updates.values()), None)

    @property
    def moved(self) -> list[str]:
        """The arrays that the latest backward pass has changed."""
        return list(self._moved)

    @property
    def own_update(self) -> str:
        """The name of the object's method that makes a step of training, such as ``update(lr)``; "" if it has none."""
        required, _ = self._arguments_of_update()
        untold = self._targets_name is None and any(names.role_in_loss(name) == names.TARGET for name in required)
        return "" if self._updater_method is None or untold else str(getattr(self._updater_method, "__name__", "step"))

    @property
    def own_rate(self) -> float | None:
        """The learning rate of the object's own update, where that is not given one; None if it is, or has none."""
        is_given = bool(self._rates_of_update) or self._updater_method is None
        return None if is_given else rate_of(self._owner, self._updater_method) or None

    def update(self, lr: float) -> None:
        """A step of the object's own update, after :meth:`gradients`: ``arrays`` then hold what it has made of them.

        Its arguments go by their names: a learning rate gets ``lr``, a gradient what backward returned, or as many
        gradients as that has parts one each, targets and input themselves. TypeError if there is none, SubjectError if
        it raises.
        """
        if self._updater_method is None:
            raise TypeError(f"{self.label}: expected a method such as update(lr) or step(), got none")
        required, optional = self._arguments_of_update()
        meant = {name: self._meant(name, lr) for name in required} | self._parts(required)
        meant |= {name: lr for name in optional if name in self._rates_of_update}
        with self.running():
            self._updater_method(**meant)
            values = {name: np.array(place.read(), np.float64) for name, place in self._places.items()}
        for name, value in values.items():
            self.arrays[name][...] = value
        self._install()

    def _find_transposed(self, grad_output: Array) -> None:
        """Take what has the shape of W^T for the gradient of W where the object's own update turns it."""
        matrices = {
            name: leaf
            for name, leaf in self._leaves.items()
            if name in self._places
            and isinstance(leaf, Leaf)
            and self.arrays[name].ndim == 2
            and leaf.value.shape == self.arrays[name].shape[::-1]
        }
        misshapen = [n for n, leaf in matrices.items() if not same_but_ones(leaf.value.shape, self.arrays[n].shape)]
        if not misshapen or not self.own_update:
            return
        before, values = self.snapshot(), {name: array.copy() for name, array in self.arrays.items()}
        try:
            kept = {name: gradient for name, gradient in self.gradients(grad_output).items() if name in matrices}
            self.update(1.0)
            for name, gradient in kept.items():
                step = self.arrays[name] - values[name]
                if gradient is not None and _are_parallel(step, gradient.T) and not _are_parallel(step, gradient):
                    self._transposed.add(name)
        except (SubjectError, TypeError):
            return  # it takes what nothing tells
        finally:
            before.restore()
            for name, value in values.items():
                self.arrays[name][...] = value
            self._install()
        if self._transposed:
            turned_names = ", ".join(sorted(self._transposed))
            self.notes.append(f"the gradients of {turned_names} are kept transposed, and {self.own_update} turns them")

    @property
    def steps_grow(self) -> bool:
        """Whether backward makes other steps the second time, as an optimizer does that keeps a velocity."""
        if not self._updates:
            return False
        grad_output = self.random_grad_output(np.random.default_rng(0), self.output().shape)
        first, second = self.gradients(grad_output), self.gradients(grad_output)
        return not all(equal(first[name], second[name]) for name in self._updates)

    @property
    def a_step_is_a_gradient(self) -> bool:
        """Whether the step of at least one parameter, over the rate, is the function's gradient.

        Or twice as long, half as long, or its negative, as by a mistake; a step of Adam is no multiple of it at all.
        """
        grad_output = self.random_grad_output(np.random.default_rng(0), self.output().shape)
        claimed = self.gradients(grad_output)
        steps = ((name, claimed[name]) for name in self._updates)
        factors = [abs(factor_of(self, name, g, grad_output)) for name, g in steps if g is not None]
        return any(abs(factor - one) <= 1e-3 * one for factor in factors for one in (1.0, 2.0, 0.5))

    def _note_added_up(self, grad_output: Array) -> None:
        """Say of which parameters gradients are added up for as long as nobody has them be None again."""
        if not self._emptied:
            return
        first, lengths = self.gradients(grad_output), [slot.length for slot in self._emptied]
        resets, self._resets = self._resets, []
        second = self.gradients(grad_output)
        pairs = zip(self._emptied, lengths, strict=True)
        longer = {str(slot.key): None for slot, length in pairs if slot.length > length}
        if all(equal(one, second[name]) for name, one in first.items()) and not longer:
            return  # they are assigned: nothing has to be set before a step, which would take time in a training
        self._resets = resets
        if longer:
            self.notes.append(
                f"backward appends to {', '.join(longer)}: here that is empty again before each step, as whoever "
                "trains has to see to"
            )
        both = {name: (one, second[name]) for name, one in first.items() if one is not None}
        added = [n for n, (one, other) in both.items() if other is not None and one.any() and _is_twice(other, one)]
        if added:
            self.notes.append(
                f"backward adds to what is left of an earlier gradient, of {', '.join(added)}: here that is None or 0 "
                "again before each step, as whoever trains has to see to"
            )

    @property
    def parameter_places(self) -> Mapping[str, Sequence[Place]]:
        """Where the code keeps each of its parameters: in all places that hold the array."""
        everywhere = list(places(self._owner, repeated=True))
        arrays = {name: place.read() for name, place in self._places.items()}
        return {
            name: [self._places[name], *(one for one in everywhere if one.read() is array)]
            for name, array in arrays.items()
        }

    def upstream(self, of: Sequence[str], grad_output: Array) -> set[str]:
        """The arrays that forward uses before these: whose claimed gradients are made with what these hold.

        They are made nan between the two passes. Those of which backward needs nothing, as of a bias, show nothing.
        """
        before, home = Snapshot(*self._roots), self._home
        try:
            self.output()
            for name in of:
                for place in [self._places[name]] if name in self._places else []:
                    place.put_array(np.full(np.shape(place.read()), np.nan))
            with self.running():
                claimed = self._claim(self._split(grad_output))
        except (SubjectError, TypeError, ValueError):
            return set()
        finally:
            self._home = home
            before.restore()
        return {name for name, g in claimed.items() if g is not None and name not in of and np.isnan(g).any()}

    def train(self, x: Any, targets: Any, lr: float) -> None:
        """A step as a training loop makes it: forward, backward and update, with nothing copied, watched or undone.

        The parameters are those that the code holds in :attr:`parameter_places`. Where it has no update of its own,
        each of them has ``lr`` times its gradient taken off. The code must not be given the gradient of its output.
        """
        self._reset()
        given = {self._inputs[0]: x, self._targets_name: targets}
        if self.chain is not None and self._backward is not None:
            rest, output = self.chain.run(x), self.chain.output
        else:
            result = self._forward(*(given[name] for name in self.convention.inputs))
            rest = list(result) if isinstance(result, tuple) else [result]
            output = rest.pop(self.convention.place)
        self.latest = self._backward_raw(given, output, rest, lr)
        if self.updates_in_backward is not None:
            return
        if self.own_update and self._updater_method is not None:
            required, optional = self._arguments_of_update()
            meant: dict[str, Any] = self._parts(required)
            rates = self._rates_of_update
            for name in [n for n in required if n not in meant] + [n for n in optional if n in rates]:
                if name in rates or names.role(name) == names.GRAD:
                    meant[name] = lr if name in rates else self.latest
                else:
                    meant[name] = targets if names.role_in_loss(name) == names.TARGET else x
            self._updater_method(**meant)
            return
        for name, place in self._places.items():
            gradient = self._leaves[name].read(self.latest, self._owner)
            array = np.asarray(place.read())
            array -= lr * np.reshape(gradient, array.shape)

    def _backward_raw(self, given: Mapping[Any, Any], output: Any, rest: Sequence[Any], lr: float) -> Any:
        roles = self.convention.arguments
        if roles is None or self._backward is None:
            return rest[0] if len(rest) == 1 else tuple(rest)
        one = 0 if len(rest) == 1 else self.convention.cache
        known = {RATE: lr, OUTPUT: output, CACHE: tuple(rest) if one is None or not rest else rest[one]}
        place = self.convention.place
        known |= {result_role(i): result for i, result in enumerate((*rest[:place], output, *rest[place:]))}
        return self._backward(*(known[role] if role in known else given[role] for role in roles))

    def is_known_by_steps(self, name: str) -> bool:
        return name in self._updates

    def gradients_without_update(self, grad_output: Array) -> Mapping[str, Any]:
        self.gradients(grad_output)
        if not self._moved:
            return {}
        try:
            self._rate = 0.0
            with times(0.0, rates_of(self._owner, *self._stepping)):
                return self.gradients(grad_output)
        finally:
            self._rate = 1.0

    def gradients_of_tiny_steps(self, grad_output: Array) -> Mapping[str, Any]:
        """What is claimed of arrays that the code moves by a rate, by all but none of it: a step over that."""
        self.gradients(grad_output)
        rates = rates_of(self._owner, *self._stepping)
        if not self._moved or not rates:
            return {}
        try:
            self._rate = TINY
            with times(TINY, rates):
                found = self.gradients(grad_output)
        finally:
            self._rate = 1.0
        steps = {name: step for name, step in found.items() if name in self._moved_to and step is not None}
        return {name: step / TINY for name, step in steps.items()}

    @property
    def _stepping(self) -> list[Callable[..., Any] | None]:
        """What may make the steps of a backward pass."""
        return [self._backward or self._forward, self._completes and self._completes.method]

    @property
    def chain(self) -> LossOfOutput | None:
        """The network and the loss, where the loss is of what the network returns."""
        chain = getattr(self._forward, "__self__", None)
        return chain if isinstance(chain, LossOfOutput) else None

    @property
    def _inputs(self) -> list[str]:
        return [name for name in self.convention.inputs if name != self._targets_name]

    @property
    def _updater_method(self) -> Callable[..., Any] | None:
        return names.method(self._owner, names.UPDATES)

    def _arguments_of_update(self) -> tuple[list[str], list[str]]:
        return (None if self._updater_method is None else signatures.positional(self._updater_method)) or ([], [])

    @property
    def _rates_of_update(self) -> list[str]:
        required, optional = self._arguments_of_update()
        return rates_in([*required, *optional])

    def _parts(self, required: Sequence[str]) -> dict[str, Any]:
        """What backward returned, one part for each of several arguments that are gradients: by name, else in order."""
        others = (is_data, lambda name: names.role_in_loss(name) == names.TARGET)
        rates = self._rates_of_update
        wanted = [n for n in required if n not in rates and not any(is_other(n) for is_other in others)]
        given = self.latest
        if len(wanted) < 2 or not isinstance(given, (tuple, list, dict)) or len(given) != len(wanted):
            return {}
        if isinstance(given, dict):
            return {name: given[name] for name in wanted} if set(wanted) == set(given) else {}
        return dict(zip(wanted, given, strict=True))

    def _meant(self, name: str, lr: float) -> Any:
        if name in self._rates_of_update:
            return lr
        if self._targets_name is not None and names.role_in_loss(name) == names.TARGET:
            return self.targets
        return self.latest if names.role(name) == names.GRAD else self._argument(self._inputs[0], {})


def _is_twice(other: Array, one: Array) -> bool:
    return bool(np.allclose(other, 2.0 * one, rtol=1e-6, atol=1e-9 * float(np.abs(one).max())))
