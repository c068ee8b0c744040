"""Which of the arrays that an object keeps its output depends on: each is moved a little."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.layers.composition import Composition
from numpy_nn.subjects.arrays.gradients import SURE, Leaf, ParameterGradient, leaves, likeness, same_but_ones
from numpy_nn.subjects.arrays.places import Place, Step, last_name, places, places_by_own_names, written
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.names import is_gradient_of
from numpy_nn.subjects.parameters.overlapping import is_part_or_vector
from numpy_nn.subjects.parameters.remaining import RemainingCode
from numpy_nn.subjects.source.roles import is_learned
from numpy_nn.subjects.state import Snapshot, equal, reachable
from numpy_nn.subjects.subject import Array, SubjectError


class DependingCode(RemainingCode):
    """Called code, of which the parameters are the arrays that the output depends on."""

    def _undo_forward_updates(self, start: Mapping[str, tuple[Any, NDArray[Any]]]) -> None:
        """Put back what forward has made of parameters, as one that clips its weights does, now and after each call."""
        for name, place in self._places.items():
            given = start.get(written(place.path), (None, self.arrays[name]))[1]
            if given.shape == self.arrays[name].shape and not equal(given, self.arrays[name]):
                self._forward_updates = True
                self.arrays[name][...] = given

    def _make_learned_numbers_floats(self) -> None:
        """Have a parameter that begins as a whole number, gamma = 1, be a float: it is one after the first update.

        A number is learned if a gradient of it has a name for that, or if backward makes another kind of thing of it;
        or else if it is called as a bias is, and does as well as a float.
        """
        found = [(place, place.read()) for place in places(self._owner, whole=True)]
        # One in a tuple, such as a height in a cache, is never another.
        whole = [(place, n) for place, n in found if type(n) is int and not isinstance(place.owner, tuple)]
        if not whole:
            return
        before = Snapshot(self._owner)
        try:
            home = self.output()
            grad_output = self.random_grad_output(np.random.default_rng(0), home.shape)
            kept = leaves(self._claimed(grad_output), self._owner, {})
        except SubjectError:
            before.restore()
            return
        learned = [
            (place, value)
            for place, value in whole
            if (place.exists() and type(place.read()) is not int)
            or any(likeness(place.path, leaf, ()) >= SURE for leaf in kept)
        ]
        before.restore()
        for place, value in learned:
            place.put(float(value))
        for place, value in whole:
            if is_learned(str(last_name(place.path))) and place.exists() and type(place.read()) is int:
                place.put(float(value))
                if not self._gives(home):
                    place.put(value)

    def _begin_before_lists_grow(self) -> None:
        """Have every evaluation start from the beginning where lists that the owner keeps grow by each of them.

        What is read from the front of such a list is of the first call. One of gradients is emptied before each step.
        """
        if self._home is not None or not self._lengths():
            return
        here, lengths = Snapshot(*self._roots), [self._lengths()]
        try:
            grad_output = self.random_grad_output(np.random.default_rng(0), self.output().shape)
            for _ in range(2):
                self._claimed(grad_output)
                lengths.append(self._lengths())
                if not (growing := [n for n in lengths[-1] if lengths[-1][n] > lengths[-2].get(n, lengths[-1][n])]):
                    return
        except (SubjectError, TypeError, ValueError):
            return  # what backward wants is not known yet
        finally:
            here.restore()
        self.start_from(self._beginning)
        told = dict.fromkeys(name for _, name in growing)
        self.warn(
            f"{', '.join(told)}: longer after every call, as nothing there empties "
            f"{'it' if len(told) == 1 else 'them'}: the gradients are judged as those of the first call, and a "
            "later one may read what an earlier one left"
        )

    def _lengths(self) -> dict[tuple[int, str], int]:
        """How long the lists are that objects keep, by the object and the name that it has for one."""
        objects = [(id(thing), attributes(thing)) for thing in reachable(self._owner)]
        return {(of, name): len(one) for of, held in objects for name, one in held.items() if isinstance(one, list)}

    def _gives(self, output: Array) -> bool:
        """Whether the code runs as it is now, and gives this output."""
        try:
            return equal(self.output(), output)
        except SubjectError:
            return False

    def _find_dependent(self, constants: Sequence[str]) -> None:
        if isinstance(self._owner, Composition):
            for name, p in self._owner.named_parameters():
                self.arrays[name], self._places[name] = p.data, Place(p, (Step("data", False),))
                self._leaves[name] = ParameterGradient(p)
            if all(type(module).__module__.startswith("numpy_nn.") for module in self._owner.modules()):
                return
            constants = [*constants, *(name for module in self._owner.modules() for name in module.buffers)]
        home = self.output()
        given = [value for value in self._given.values() if isinstance(value, np.ndarray)]
        for place in places_by_own_names(self._owner):
            if not place.exists():
                continue  # made by a forward pass, and gone where every one starts from the state at the beginning
            name, value = str(place), place.read()
            if isinstance(value, np.ndarray) and any(np.shares_memory(value, other) for other in given):
                continue
            if ours := [
                a for a in self.arrays.values() if isinstance(value, np.ndarray) and np.shares_memory(value, a)
            ]:
                if value.dtype == np.float64 and all(is_part_or_vector(value, other) for other in ours):
                    self._overlapping[name] = place
                continue
            if name in self.arrays:
                name = f"{type(self._owner).__name__}.{name}"
            if name in constants:
                continue
            if self._depends(place, home) or self._depends_beside_zeros(place):
                is_state = self._home is not None and (not self._stays(place) or self._is_rewritten(place))
                if is_state or self._is_filled(place):
                    # Kept from call to call, and another array after each: a state, not what is learned.
                    self.unchecked.append((name, "buffer", int(np.size(value))))
                    continue
                self._add(name, place)
                home = self.output()  # which in float64 may have other last digits than it had
            elif self._may_do_nothing_here(place):
                self._silent[name] = place

    def _may_do_nothing_here(self, place: Place) -> bool:
        """Whether it may be a parameter, as a bias of dead units is: floats, or one with a name for what is learned."""
        value = place.read()
        if isinstance(value, np.ndarray):
            return value.dtype.kind == "f" and self._is_left_alone(place)
        return isinstance(value, float) and is_learned(str(last_name(place.path))) and self._stays(place)

    def _depends_beside_zeros(self, place: Place) -> bool:
        """Whether the output hangs on it where the input has no zeros, which hide the weights that they meet."""
        if not self.without_zeros():
            return False
        try:
            with self.at(self.without_zeros()):
                return self._depends(place, self.output())
        except (SubjectError, TypeError, ValueError):
            return False

    def without_zeros(self) -> dict[str, Array]:
        """Another input where this one is 0 everywhere, or is one sample that is so in places; else nothing."""
        x = self.arrays.get(self.input)
        if x is None or x.all() or (x.ndim > 1 and x.any()):
            return {}
        return {self.input: np.where(x == 0.0, np.linspace(0.5, 1.0, x.size).reshape(x.shape), x)}

    def _is_filled(self, place: Place) -> bool:
        """Whether forward writes what it is given into an array, of which it leaves the rest, as a 1 for the bias."""
        array, x = place.read(), self.arrays.get(self.input)
        if x is None or not isinstance(array, np.ndarray):
            return False
        before = Snapshot(*self._roots)
        try:
            for input_ in (x.copy(), 0.75 * x + 0.0625):
                with self.at({self.input: input_}):
                    self.output()
                    if not (place.exists() and place.read() is array and np.isin(input_, array).all()):
                        return False
            return True
        except SubjectError:
            return False
        finally:
            before.restore()

    def _stays(self, place: Place) -> bool:
        """Whether forward leaves what is in this place as it is: a gradient of it, if one is claimed, must be 0."""
        before = place.held() if place.exists() else None
        home, self._home = self._home, None  # one call after the other, as a training has them
        try:
            self.output()
        except SubjectError:  # without what the training does in between
            if home is None:
                raise
            home.restore()
            self.output()
        finally:
            self._home = home
        return place.exists() and before is not None and place.held() == before

    def _is_left_alone(self, place: Place) -> bool:
        """Whether forward binds no other array in this place, nor writes what it computes into this one."""
        return self._stays(place) and not self._is_overwritten(place)

    def _is_overwritten(self, place: Place) -> bool:
        """Whether forward writes into this very array, whatever it held."""
        array = place.read()
        if not array.flags.writeable:
            return False
        kept = array.copy()
        home, self._home = self._home, None
        try:
            array[...] = moved = kept + 1.0
            self.output()
            return not equal(array, moved)
        except SubjectError:
            return False
        finally:
            self._home = home
            array[...] = kept

    def _is_rewritten(self, place: Place) -> bool:
        """Whether forward writes other numbers into what is in this place at each call, as units that keep a state.

        What is called a weight is moved by a step.
        """
        if any(is_learned(str(step.key)) for step in place.path):
            return False
        before = np.array(place.read())
        home, self._home = self._home, None
        self.output()
        self._home = home
        return place.exists() and not equal(before, np.asarray(place.read()))

    def _is_of_silent(self, leaf: Leaf, likely: Mapping[str, Callable[[Leaf], float]]) -> bool:
        """Whether its name says that it is the gradient of an array on which the output does not depend here.

        And not as much that of one on which it does: ``grads["W"]`` is that of ``params["W"]``, not of ``m["W"]``.
        """
        silent = [place for place in self._silent.values() if place.exists()]
        most = max((self._likeness(place, leaf) for place in silent), default=0.0)
        return most >= SURE and not any(like(leaf) >= most for like in likely.values())

    def _likeness(self, place: Place, leaf: Leaf) -> float:
        """How likely a leaf is the gradient of what is there: by its name, there or in the source, or as it is 0."""
        shape, name = np.shape(place.read()), last_name(place.path)
        if not same_but_ones(leaf.value.shape, shape):
            return 0.0
        told = self._told.get(leaf.path) if leaf.returned else None
        zeros = leaf.returned and leaf.is_new and not leaf.value.any() and is_learned(str(name))
        return max(likeness(place.path, leaf, shape), is_gradient_of(told, name), SURE * zeros)

    def _depends(self, place: Place, home: Array) -> bool:
        """Whether the output hangs on what is in this place, as it does not on what forward itself puts there."""
        old = place.read()
        kept: Any = old.copy() if isinstance(old, np.ndarray) else old
        uneven = np.linspace(1.0, 2.0, np.size(old)).reshape(np.shape(old))  # a softmax does not see an even shift
        moved: Any = np.asarray(old, np.float64) * 1.125 + 0.0625 * uneven * np.sign(np.asarray(old) + 0.5)
        in_place = isinstance(old, np.ndarray) and old.dtype.kind == "f" and old.flags.writeable

        def move() -> None:
            if in_place:
                old[...] = moved
            elif place.exists():  # else it is made by the forward pass that comes, and nothing hangs on it
                place.put(moved.item() if np.ndim(old) == 0 else moved)

        try:
            move()
            self._tried = move
            output = self.output()
            return output.shape == home.shape and not equal(output, home)
        except (SubjectError, TypeError, ValueError, AttributeError):
            # An integer that is an index, a size, or a setting is no parameter; floats that cannot be moved may be one.
            return in_place
        finally:
            self._tried = None
            if in_place:
                old[...] = kept
            if place.exists() and place.read() is not old:
                place.put(old)

    def _return_home(self, home: Snapshot) -> None:
        super()._return_home(home)
        if self._tried is not None:
            self._tried()
