"""The loss of a round of training: the number that it returns, or the latest in a list that goes by such a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from numpy_nn.subjects import names

# How a list is called in which the loss of each round is kept; one of errors may have those of classes.
_OF_LOSSES = re.compile(r"loss|cost|(^|_)j(_|$)|(^|_)(mse|bce|nll)(_|$)|objective")
# What may be that of whatever is counted as well, such as of correct predictions.
_OF_ROUNDS = re.compile(r"hist|curve|trace|progress|convergence")
_OF_GAINS = re.compile(r"likelihood|log_?lik|(^|_)lls?(_|$)|elbo|log_?prob|posterior|reward|utility")


def loss_kept(held: Mapping[str, Any], result: Any, returned: Mapping[int | str, str], samples: int) -> Any:
    """The loss of a round, or minus what is called a likelihood, which the steps are to go up; None without one.

    It is in what an object has ``held``, or in the ``result``, whose parts have the names by which they are returned.
    """
    if isinstance(result, (float, np.floating)):
        return result
    lists = {name: one for name, one in lists_in(held).items() if _is_of_floats(one)}
    found = {name: one for name, one in lists.items() if _OF_LOSSES.search(names.plain(name)) or is_gain(name)}
    if not found:
        kept = {name: one for name, one in lists.items() if _OF_ROUNDS.search(names.plain(name))}
        found = {name: one for name, one in kept.items() if not float(one[-1] * samples).is_integer()}
    if not found:
        parts = enumerate(result if isinstance(result, tuple) else (result,))
        found = {returned.get(i, str(i)): one for i, one in parts if _is_of_floats(one)}
    if len(found) != 1:
        return None
    name, values = found.popitem()
    return -values[-1] if is_gain(name) else values[-1]


def lists_in(held: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The lists that an object has, and those in its dicts, as ``history["loss"]``."""
    inner = {str(key): one for part in held.values() if isinstance(part, dict) for key, one in part.items()}
    return {name: one for name, one in (inner | dict(held)).items() if isinstance(one, list)}


def is_gain(name: str) -> bool:
    """Whether what is called so is to grow, as a likelihood."""
    word = names.plain(name)
    return _OF_GAINS.search(word) is not None and not re.search(r"neg|nll|minus|loss|cost", word)


def _is_of_floats(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, float) for one in value)
