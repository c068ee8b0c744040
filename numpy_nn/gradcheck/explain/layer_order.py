"""In which order a network's forward pass uses its layers, where the order in which it keeps them need not tell it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cmp_to_key
from itertools import zip_longest

import numpy as np

from numpy_nn.gradcheck.explain.first_wrong import layer_of
from numpy_nn.gradcheck.report import WRONG, Entry, GradientReport
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.subject import Subject, SubjectError


def in_order(report: GradientReport, subjects: Sequence[Subject]) -> list[Entry]:
    """The entries in the order in which forward uses the arrays; none if it is not known which wrong one is last.

    Numbers in names tell it, as of ``layers[0].W`` and ``W1``. Objects keep ``attention`` and ``norm`` in any order:
    of these it is found out, by which gradients are made with the weights of which layer.
    """
    entries = report.entries
    inputs = [entry for entry in entries if entry.name == report.input]
    others = [entry for entry in entries if entry.name != report.input]
    layers = list(dict.fromkeys(layer_of(entry.name) for entry in others))
    wrong = list(dict.fromkeys(layer_of(entry.name) for entry in others if entry.verdict == WRONG))
    told = all(_numbered(one, other) is not None for one in layers for other in layers if one != other)
    if not wrong or len(subjects) != 1 or not isinstance(subjects[0], CodeSubject):
        return entries
    if told:  # an object may keep W1, W2 and then b1
        return inputs + sorted(others, key=cmp_to_key(_by_number))
    members = {layer: [entry.name for entry in others if layer_of(entry.name) == layer] for layer in layers}
    before = _before(subjects[0], members)

    def is_before(one: str, other: str) -> bool:
        return one in before[other] or (other not in before[one] and bool(_numbered(one, other)))

    ordered: list[str] = []
    while left := [layer for layer in layers if layer not in ordered]:
        free = (layer for layer in left if not any(is_before(other, layer) for other in left if other != layer))
        ordered.append(next(free, left[0]))
    wrong.sort(key=ordered.index)
    if not all(is_before(layer, wrong[-1]) for layer in wrong[:-1]):
        return []
    return inputs + sorted(others, key=lambda entry: ordered.index(layer_of(entry.name)))


def _before(subject: CodeSubject, members: dict[str, list[str]]) -> dict[str, set[str]]:
    """Of each layer those that are known to be used before it."""
    try:
        grad_output = subject.random_grad_output(np.random.default_rng(0), subject.output().shape)
    except SubjectError:
        return {layer: set() for layer in members}
    reached = {layer: subject.upstream(names, grad_output) for layer, names in members.items()}
    return {
        layer: {other for other, names in members.items() if other != layer and reached[layer] & set(names)}
        for layer in members
    }


def _by_number(one: Entry, other: Entry) -> int:
    first, second = layer_of(one.name), layer_of(other.name)
    return 0 if first == second else -1 if _numbered(first, second) else 1


def _numbered(one: str, other: str) -> bool | None:
    """Whether the first stands before the second by the first number in which they differ; None if that is a word."""
    for mine, its in zip_longest(re.findall(r"\d+|\D+", one), re.findall(r"\d+|\D+", other)):
        if mine != its:
            return int(mine) < int(its) if mine and its and mine.isdigit() and its.isdigit() else None
    return None
