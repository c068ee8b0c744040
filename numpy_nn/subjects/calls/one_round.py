"""Methods that train for as many steps as they like, as ``fit(X, y)`` of an estimator: one round of their loop."""

from __future__ import annotations

import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from functools import lru_cache, partial, wraps
from io import StringIO
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.arrays.nested import copied
from numpy_nn.subjects.arrays.places import places, random_parameters
from numpy_nn.subjects.attributes import attributes, set_attribute
from numpy_nn.subjects.calls.costs import number_of_samples
from numpy_nn.subjects.calls.decisions import Key, ways_to_watch
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.calls.losses_kept import lists_in, loss_kept
from numpy_nn.subjects.calls.rates import at_rest
from numpy_nn.subjects.output_alone import is_alone
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.source.loops import OF_STEPS, Loop, steps_to_make
from numpy_nn.subjects.source.recompiled import with_code
from numpy_nn.subjects.source.returned import names_by_place
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.undone import undone

# Steps that differ by less are of one length: Adam's by its epsilon over the gradient.
_AS_FAR = 1.001
# With so many other data it is looked whether they are.
_DRAWS, _ENOUGH = 4, 2


def quiet(train: Callable[..., Any]) -> Callable[..., Any]:
    """What prints how far it is after each epoch, without that: the check calls it hundreds of times."""

    @wraps(train)
    def silent(*arguments: Any, **named: Any) -> Any:
        with redirect_stdout(StringIO()):
            return train(*arguments, **named)

    return silent


class GradientNotFound(TypeError):
    """A step does not tell the gradient, and it is nowhere else."""


class OneRound(Dressed):
    """A method with the first round of its loop alone, from the parameters that its object has, and without prints.

    What it sets anew before the loop is what the object had before, but for what it makes of the data and the loop does
    not change, as their mean. All samples are one batch, where a number is called its size. It returns the loss that it
    has appended to a list, or the last of a list that it returns; what else it returns is no gradient.
    """

    def __init__(self, train: Callable[..., Any], loop: Loop) -> None:
        own = signatures.signature(train)
        self._sizes = [name for name in own.parameters if _is_size_of_batch(name)]
        rest = [one for name, one in own.parameters.items() if name not in self._sizes]
        super().__init__(self._step, own.replace(parameters=rest))
        self.func, self.__name__ = train, getattr(train, "__name__", "fit")
        self.owner, self._loop = getattr(train, "__self__", None), loop
        told = names_by_place(train).items()
        self._returned = {path[-1].key if path else 0: name for path, name in told}
        self._made_anew: set[str] | None = None
        self._summed_up: set[str] = set()
        self._adapted: set[str] = set()
        self.kept: set[str] = set()
        self._tells_loss = True  # until it is seen not to

    def _step(self, *arguments: Any, **named: Any) -> Any:
        owner = self.owner
        bound = self.__signature__.bind(*arguments, **named)
        named = {**bound.arguments, **dict.fromkeys(self._sizes, _samples_in(bound.args))}
        self._look_at(named)
        before = set(_floats(owner)) if self._adapted else set()
        lengths = [(one, len(one)) for one in lists_in(attributes(owner)).values()]
        standing = self._loss_where_it_stands(named, bound.args) if self._tells_loss else None
        if standing is not None and is_alone() and not self._adapted:
            return standing  # where steps are adapted the gradients are those that the step leaves
        with _cut_short(self._loop, self._puts_back()) as rounds, _in_one_batch(owner, bound.args):
            result = quiet(self.func)(**named)
        if rounds and self._adapted and before.issuperset(self._adapted):
            self._keep_gradients(rounds[-1].names_of_its_own())
        loss = self._loss_in(result, _samples_in(bound.args))
        for one, length in lengths:
            del one[length:]  # what is kept of each round would grow by every evaluation
        self._tells_loss = loss is not None
        return loss if standing is None else standing

    def _loss_where_it_stands(self, named: Mapping[str, Any], arguments: Sequence[Any]) -> Any:
        """The loss of a round by a rate of 0, that of the weights before the step, which a loop may compute after it.

        None where there is no rate, or no loss, or a round moves its weights all the same.
        """
        before, made = _floats(self.owner), self._made_anew or set()
        with undone(self.owner, drawing=self.func):
            with (
                at_rest(self.owner, self.func, named) as still,
                _cut_short(self._loop, self._puts_back()),
                _in_one_batch(self.owner, arguments),
            ):
                if still is None:
                    return None
                loss = self._loss_in(quiet(self.func)(**still), _samples_in(arguments))
            after = _floats(self.owner)
        return loss if all(equal(one, after.get(name)) for name, one in before.items() if name in made) else None

    def _loss_in(self, result: Any, samples: int) -> Any:
        return loss_kept(attributes(self.owner), result, self._returned, samples)

    def _keep_gradients(self, within: Mapping[str, Any]) -> None:
        """Put what is called as a gradient in the function into the object, where that has nothing else of the name."""
        held = attributes(self.owner).keys() - self.kept
        found = {name for name in within.keys() - held if _is_called_gradient(name, frozenset(held))}
        for name in found:
            set_attribute(self.owner, name, copied(within[name]))
        self.kept |= found
        now = attributes(self.owner)
        gradients = [one for name in now if _is_called_gradient(name, frozenset(held)) for one in _shapes(now[name])]
        arrays = _floats(self.owner)
        lacking = Counter(arrays[name].shape for name in self._adapted) - Counter(gradients)
        if lacking:
            moved = ", ".join(name for name in arrays if name in self._adapted and arrays[name].shape in lacking)
            raise GradientNotFound(
                f"target: {self.__name__} moves {moved} by as much whatever the gradient, as the first step of Adam or "
                "RMSprop does, and has the gradient under no name that is known as one: keep it before the step, as in "
                "self.dW"
            )

    def adapts(self, given: Sequence[Any]) -> bool:
        """Whether its steps are as long whatever the gradients: those are then what the object keeps."""
        bound = self._bound(given)
        if bound is not None:
            self._look_at({**bound.arguments, **dict.fromkeys(self._sizes, _samples_in(bound.args))})
        return bool(self._adapted)

    def _look_at(self, named: Mapping[str, Any]) -> None:
        """See once what it does to its object with these data."""
        if self._made_anew is None:
            self._made_anew = self._made_whatever_the_data(named)
            self._summed_up = self._summed_up_over_rounds(named)
            self._adapted = self._moved_as_far_everywhere(named)

    def prepares(self, given: Sequence[Any]) -> bool:
        """Whether it makes anything of the data before its loop that is not the data themselves."""
        bound = self._bound(given)
        if bound is None:
            return False
        named = {**bound.arguments, **dict.fromkeys(self._sizes, _samples_in(bound.args))}
        try:
            here, anew = self._at_its_beginning(named), self._made_whatever_the_data(named)
        except SubjectError:
            return False
        arrays = [one for one in given if isinstance(one, np.ndarray)]
        return any(name not in anew and not any(equal(here[name], one) for one in arrays) for name in here)

    def prepare(self, *arguments: Any) -> None:
        """Do what comes before the loop, with the parameters that the object has."""
        bound = self._bound(arguments)
        assert bound is not None  # as it does prepare
        sizes = dict.fromkeys(self._sizes, _samples_in(bound.args))
        self._look_at({**bound.arguments, **sizes})
        put_back = self._puts_back()

        def begin() -> None:
            put_back()
            raise _Begun

        with suppress(_Begun), _cut_short(self._loop, begin):
            quiet(self.func)(**bound.arguments, **sizes)

    def _bound(self, given: Sequence[Any]) -> inspect.BoundArguments | None:
        """The data by their names, and numbers of steps; None where it wants more."""
        bound, own = self.__signature__.bind_partial(*given), self.__signature__.parameters
        lacking = [name for name in own if name not in bound.arguments and own[name].default is own[name].empty]
        bound.arguments |= steps_to_make(lacking)
        return bound if all(map(OF_STEPS.search, lacking)) else None

    def _puts_back(self) -> Callable[[], None]:
        made, before = (self._made_anew or set()) - self._summed_up, _floats(self.owner)
        return partial(_put_back, self.owner, {name: had for name, had in before.items() if name in made})

    def _made_whatever_the_data(self, given: Mapping[str, Any]) -> set[str]:
        """Which numbers are the same where the loop begins with other data, are drawn anew, or are moved by a round."""
        here, again = self._at_its_beginning(given), self._at_its_beginning(given)
        try:
            there = self._at_its_beginning({name: _otherwise(one) for name, one in given.items()})
        except SubjectError:
            there = here  # it does not take what is made up, which tells nothing
        after = self._at_its_beginning(given, rounds=1)

        def is_made_of_data(name: str) -> bool:
            is_moved = name in after and not equal(here[name], after[name])
            return equal(here[name], again.get(name)) and not equal(here[name], there.get(name)) and not is_moved

        return {name for name in here if not is_made_of_data(name)}

    def _summed_up_over_rounds(self, given: Mapping[str, Any]) -> set[str]:
        """The arrays that are 0 where the loop begins, and that the forward pass does not use: velocities, moments."""
        forward = names.passes(self.owner)[0]
        if forward is None:
            return set()
        ways, inputs = (
            ways_to_watch(forward),
            list(given.values())[: len((signatures.positional(forward) or ([], []))[0])],
        )
        found: set[str] = set()

        def computed() -> dict[tuple[int, Key], NDArray[Any]]:
            return {(i, key): one for i, way in enumerate(ways) for key, one in way.computed(inputs).items()}

        def look() -> None:
            zeros = [one for one in places(self.owner, whole=True, kinds="f") if not np.any(one.read())]
            with suppress(SubjectError):
                before = computed()
                for place in zeros:
                    place.put_array(random_parameters().standard_normal(np.shape(place.read())))
                    after = computed()
                    place.put_array(np.zeros(np.shape(place.read())))
                    if before and all(equal(one, after.get(key)) for key, one in before.items()):
                        found.add(str(place))

        self._at_its_beginning(given, look=look)
        return found

    def _moved_as_far_everywhere(self, given: Mapping[str, Any]) -> set[str]:
        """The arrays that a round moves, if by one length in each entry that it moves, whatever the data; else none.

        So does the first step of Adam, RMSprop and Adagrad, that of signs: m / sqrt(v) is g / abs(g) there.
        """
        rng, seen = random_parameters(), 0
        for _ in range(_DRAWS):  # a gradient may be as small as an epsilon by chance
            varied = {name: _varied(one, rng) for name, one in given.items()}
            try:
                here, after = self._at_its_beginning(varied), self._at_its_beginning(varied, rounds=1)
            except SubjectError:
                return set()  # it does not take what is made up
            steps = {
                name: np.abs(after[name] - array)
                for name, array in here.items()
                if array.dtype.kind == "f"
                and name in after.keys() - self._summed_up
                and after[name].shape == array.shape
            }
            lengths = [step for array in steps.values() for step in array[array > 0.0]]
            seen += len(lengths) > 1 and max(lengths) <= min(lengths) * _AS_FAR
            if seen == _ENOUGH:  # once two gradients may be of one size by chance
                return {name for name, array in steps.items() if array.any()}
        return set()

    def _at_its_beginning(
        self, given: Mapping[str, Any], rounds: int = 0, look: Callable[[], None] = lambda: None
    ) -> dict[str, NDArray[Any]]:
        """What the object holds where the loop begins, or after a round of it; ``look`` is called where it begins."""
        found: dict[str, NDArray[Any]] = {}

        def begin() -> None:
            look()
            if not rounds:
                found.update(_floats(self.owner))
                raise _Begun

        with (
            undone(self.owner, drawing=self.func),
            _cut_short(self._loop, begin),
            Running(self.__name__, Patience()),
            suppress(_Begun),
        ):
            quiet(self.func)(**{name: copied(one) for name, one in given.items()})
            found.update(_floats(self.owner))
        return found


@contextmanager
def _in_one_batch(owner: Any, arguments: Sequence[Any]) -> Iterator[None]:
    """In the block the size of a batch that the object has is the number of samples."""
    samples = _samples_in(arguments)
    sizes = {name: size for name, size in attributes(owner).items() if type(size) is int and _is_size_of_batch(name)}
    try:
        for name in sizes:
            set_attribute(owner, name, samples)
        yield
    finally:
        for name, size in sizes.items():
            set_attribute(owner, name, size)


def _samples_in(arguments: Sequence[Any]) -> int:
    arrays = [one for one in arguments if isinstance(one, np.ndarray)] or [np.zeros(1)]
    return number_of_samples(arrays[0], arrays[-1])


def _is_size_of_batch(name: str) -> bool:
    """Whether a number of this name tells how many samples a step takes."""
    return re.search(r"batch_?(size|len)|^(mini_?)?batch$", name.lower()) is not None


class _Begun(BaseException):
    """Raised where the loop begins, if it is to go no further."""


def _otherwise(argument: Any) -> Any:
    """Other data: the samples turned round, and longer."""
    if not (isinstance(argument, np.ndarray) and argument.ndim):
        return argument
    return argument[::-1] * 1.5 if argument.dtype.kind == "f" else argument[::-1].copy()


def _varied(argument: Any, rng: np.random.Generator) -> Any:
    """Data of size 1, beside whose gradients an epsilon is small, without entries of one size, as of zeros and ones."""
    if not (isinstance(argument, np.ndarray) and argument.dtype.kind == "f" and np.any(argument)):
        return argument
    return argument / np.abs(argument).max() * rng.uniform(0.5, 1.5, argument.shape)


def _floats(owner: Any) -> dict[str, NDArray[Any]]:
    found = {str(place): np.array(place.read()) for place in places(owner, whole=True)}
    return {name: array for name, array in found.items() if array.dtype.kind in "fi"}


def _shapes(value: Any) -> Iterator[tuple[int, ...]]:
    """The shapes of the arrays in what may be a list or a dict of them."""
    if isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _shapes(part)
    elif isinstance(value, (np.ndarray, float)):
        yield np.shape(value)


@lru_cache(maxsize=2**10)
def _is_called_gradient(name: str, held: frozenset[str]) -> bool:
    return names.tells_gradients(name) or any(names.is_gradient_of(name, one) for one in held)


class _Round(NamedTuple):
    """A round that is made: the function's frame, and which names it had before."""

    frame: FrameType
    before: set[str]

    def names_of_its_own(self) -> dict[str, Any]:
        """What has a name in the round alone: a sum over rounds, as of squares, begins before the first."""
        return {name: value for name, value in self.frame.f_locals.items() if name not in self.before}


@contextmanager
def _cut_short(loop: Loop, begin: Callable[[], None]) -> Iterator[list[_Round]]:
    """In the block the loop has one round, before which ``begin`` is called: ``range`` is another in its module.

    The list has each such round that is made, the latest last.
    """
    within = inspect.unwrap(loop.within)
    code, around = loop.of_range or within.__code__, within.__globals__
    made: list[_Round] = []

    def first_of(*arguments: Any) -> range:
        rounds, caller = range(*arguments), sys._getframe(1)
        if caller.f_code is not code or caller.f_lineno not in loop.lines:
            return rounds
        if not made:
            begin()  # for each class, say, there may be a loop
        made.append(_Round(caller, set(caller.f_locals)))
        return rounds[:1]

    if "range" in around:
        raise TypeError(f"{code.co_name}: its module has a range of its own")
    around["range"] = first_of
    try:
        with with_code(within, code):
            yield made
    finally:
        del around["range"]


def _put_back(owner: Any, before: Mapping[str, NDArray[Any]]) -> None:
    for place in places(owner, whole=True):
        held, had = place.read(), before.get(str(place))
        if had is None or had.dtype.kind != "f":
            continue
        if np.size(held) != had.size:
            raise ValueError(f"{place} was of shape {had.shape}, and is made anew of shape {np.shape(held)}")
        if isinstance(held, np.ndarray) and (held.dtype, held.shape) == (had.dtype, had.shape):
            held[...] = had  # which a name in the method may hold as well
        else:
            place.put(had if isinstance(held, np.ndarray) else had.item())
