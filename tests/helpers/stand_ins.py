"""What a method of a subject reads, in its place, so that each can be called by itself; a small net; a script."""

from types import SimpleNamespace

import numpy as np

from numpy_nn.subjects.arrays.gradients import Leaf
from numpy_nn.subjects.arrays.places import parsed

ONE = np.ones((2, 3))


class Net:
    """With an array, and both passes."""

    def __init__(self):
        self.W = np.ones(3)

    def forward(self, x):
        return x * self.W

    def backward(self, g):
        return g * self.W


NET, EMPTY = Net(), SimpleNamespace(rate=0.5)


def leaf(path="", value=((1.0,) * 3,) * 2, *, returned=True, is_new=True):
    """An array of a backward pass."""
    return Leaf(returned, parsed(path) if path else (), np.asarray(value), is_new)


class Here:
    """A place that holds a value, until it is gone."""

    def __init__(self, value, path="W", exists=True):
        self.value, self.path, self.there = value, parsed(path), exists
        self.seen = []

    def exists(self):
        return self.there

    def read(self):
        return self.value

    def put(self, value):
        self.seen.append(value)
        self.value = value

    def held(self):
        return id(self.value), np.array(self.value).tobytes()


def script(source, **around):
    """What the module of a script has by name: ``around``, and what its source defines, with all that around it."""
    around["__name__"] = "a_script"
    exec(compile(source, "a_script", "exec"), around)
    return around


def stand_in(**given):
    """What a method reads of its subject."""
    made = SimpleNamespace(
        arrays={}, _places={}, _leaves={}, _updates={}, _silent={}, _lost={}, _given={}, _sharing=[], unchecked=[]
    )
    made._is_data = lambda _: False
    vars(made).update(given)
    return made
