"""The numbers that stand in code are found where code of the user's leads."""

from functools import partial, wraps

import numpy as np
import pytest

from numpy_nn.subjects.source.written import numbers_written

LIMIT, UNUSED = 17.0, 19.0
HUGE, NAN = 10**400, float("nan")
SETTINGS = {"top": 23.0, "other": 29.0}


def inner(x):
    return np.minimum(x, 31.0)


def twice(function):
    @wraps(function)
    def run(*arguments):
        return function(*arguments) * 37.0

    return run


class Layer:
    slope = 41.0
    unread = 43.0

    def __init__(self, threshold=47.0):
        self.threshold, self.forgotten = threshold, 53.0

    @property
    def limit(self):
        return 59.0

    @staticmethod
    def cut(x):
        return np.minimum(x, 61)

    def forward(self, x):
        return self._step(x) + self.slope + self.cut(x)

    def _step(self, x):
        return np.minimum(x, self.threshold) + self.limit

    def train(self):
        return 67.0


class Net:
    def __init__(self):
        self.layers = [Layer()]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x


def closed(number):
    return lambda x: np.minimum(x, number)


@pytest.mark.parametrize(
    ("thing", "found"),
    [
        (lambda x: np.clip(x, -15.0, 20), {15.0, 20.0}),
        (lambda x: [y for y in x if y > 71.0], {71.0}),
        (lambda x: x in (73.0, 79), {73.0, 79.0}),
        (lambda x: inner(x) + LIMIT, {31.0, 17.0}),
        (lambda x: x + SETTINGS["top"], {23.0}),
        (lambda x, top=83.0: x + top, {83.0}),
        (closed(89.0), {89.0}),
        (partial(closed(97.0), x=101.0), {97.0, 101.0}),
        (twice(inner), {37.0, 31.0}),
        (Layer().forward, {41.0, 47.0, 59.0, 61.0}),
        (Net().forward, {41.0, 47.0, 59.0, 61.0}),
        (lambda x: Layer.cut(x), {61.0}),
        (lambda x: x + HUGE + NAN, set()),
        (np.tanh, set()),
        (lambda x: np.random.default_rng(0).random() + x, {0.0}),
        (lambda _: True, set()),
    ],
)
def test_the_numbers_of_code_and_of_what_it_names(thing, found):
    written = numbers_written(thing)
    assert {abs(number) for number in written} == found
    assert len(written) == len(set(written))


def test_floats_come_first_and_small_ones_before_large_ones():
    assert numbers_written(lambda x: x + 5 + 9.0 + 7.0 + 3) == [7.0, 9.0, 3.0, 5.0]


def test_what_holds_itself_ends():
    layer = Layer()
    vars(layer).update(itself=layer, many=[layer, None, "text", np.ones(3)])
    assert 47.0 in numbers_written(layer.forward)
