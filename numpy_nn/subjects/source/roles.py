"""What arrays and numbers are, by their names: learned, data, states; and data of a kind, by its numbers."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.names import SYNONYMS, plain, words

_STATE = re.compile(
    r"(h|c|s|hidden|cell|state|memory)_?(prev|0|init|initial|state|in|old|last)"
    r"|(prev|init|initial|last)_?(h|c|s|hidden|cell|state|memory)(_?state)?"
)
# Arguments that hold the data: of a function that returns a loss and its gradients they may have none.
_DATA = words(
    "x inp input inputs pattern patterns data image images img feature features batch samples x_batch x_train xs"
)
_LEARNED_WORDS = words("theta intercept coef coefs filter filters")
_PAIRS = tuple(map(words, ("gamma beta", "scale shift", "slope intercept", "gain bias", "gain offset")))
# Statistics, states and masks: arrays that the output depends on and that are not learned.
_BUFFER = re.compile(
    r"(running|moving)_?|_?(running|moving)$|(^|[._'])(hidden|hidden_state|state|mask)'?\]?$", re.IGNORECASE
)
# W_hidden is what a hidden layer learns.
_LEARNED = re.compile(r"(^|[._'])(w|u|v|b|weights?|bias(es)?|kernels?|theta)_?(hidden|state)'?\]?$", re.IGNORECASE)


def is_data(name: str) -> bool:
    """Whether an argument of this name is likely to be the data that a network is applied to."""
    return plain(name) in _DATA


def is_state(name: str) -> bool:
    """Whether an argument of this name is likely to be the state from which a sequence begins."""
    return _STATE.fullmatch(plain(name)) is not None


def is_learned(name: str) -> bool:
    """Whether an argument of this name is likely to be a weight or a bias, with whatever number."""
    return _is_learned_word(_stem(name))


def may_be_learned(name: str) -> bool:
    """Whether it is called so, or as what a layer learns beside its weights: a scale, a shift, a gain."""
    return is_learned(name) or any(_stem(name) in pair for pair in _PAIRS)


def is_learned_beside(name: str, others: Collection[str]) -> bool:
    """Whether a number of this name is likely to be learned, where these are: a bias, or beta where gamma is.

    With a number at its end it is one of several: w0 alone, or beside W1, may be the frequency of a SIREN.
    """
    if _stem(name) != plain(name):
        bare = name.rstrip("0123456789")
        alike = (other for other in others if other != other.rstrip("0123456789") == bare)
        return _is_learned_word(_stem(name)) and any(alike)
    pairs = {b for pair in _PAIRS if plain(name) in pair for b in pair} - {plain(name)}
    return (bool(others) and _is_learned_word(plain(name))) or any(plain(other) in pairs for other in others)


def _stem(name: str) -> str:
    """The name without the number at its end."""
    return plain(name).rstrip("0123456789").rstrip("_")


def _is_learned_word(stem: str) -> bool:
    return stem in _LEARNED_WORDS or any(stem in group for group in SYNONYMS)


def is_buffer(name: str) -> bool:
    """Whether an array of this name is likely to be a statistic, a state or a mask, which is not learned."""
    return _BUFFER.search(name) is not None and _LEARNED.search(name) is None


def is_of_two_numbers(data: NDArray[Any]) -> bool:
    """Whether it is a mask, a graph, one-hot rows, or signs: of ones and zeros, or of both signs, not of one alone."""
    return len(np.unique(data)) == 2 and bool(np.isin(data, (0.0, 1.0)).all() or np.isin(data, (-1.0, 1.0)).all())


def is_given(data: NDArray[Any], x: NDArray[Any] | None) -> bool:
    """Whether its numbers are none that are learned: two of them, or a symmetric matrix that joins the rows of x.

    So is the normalised matrix of a graph. As many rows as features would leave open what it joins.
    """
    if is_of_two_numbers(data) or x is None or x.ndim < 2 or data.shape != (len(x), len(x)):
        return is_of_two_numbers(data)
    joins = bool(np.any(data - np.diag(np.diag(data)))) and np.ptp(data) > 0.0
    return joins and len(x) > 2 and len(x) not in x.shape[1:] and np.allclose(data, data.T, 1e-12, 1e-12)


def is_of_a_kind(data: NDArray[Any]) -> bool:
    """Whether its numbers are bound: of two, as those of a mask, or probabilities that sum to 1, or rows of length 1.

    Code may count on it, as on a mask that is its own square, and is wrong elsewhere for no mistake.
    """
    if data.size < 2 or not np.ptp(data):
        return False
    axes = range(data.ndim)
    sums_to_1 = [np.allclose(data.sum(), 1.0), *(np.allclose(data.sum(axis=k), 1.0) for k in axes)]
    of_length_1 = any(np.allclose(np.square(data).sum(axis=k), 1.0) for k in axes)
    return is_of_two_numbers(data) or of_length_1 or bool((data >= 0.0).all() and any(sums_to_1))


def is_of_validation(name: str) -> bool:
    """Whether an argument are data by which it is seen how well a network does."""
    return re.search(r"(^|_)[xy]?(val|valid|validation|dev|test)(_|[xy]?$)", name.lower()) is not None
