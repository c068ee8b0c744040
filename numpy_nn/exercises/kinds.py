"""What an exercise is, and the three ways to check an answer: a number, a function, a backward pass.

An answer is what a file of the reader's defines. What is said about it is in English and Chinese, and never the answer
itself.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import RIGHT

# English and Chinese.
Words = tuple[str, str]
Answer = Mapping[str, Any]
Check = Callable[[Answer], "list[Words]"]
# How far a number that was computed by hand or in another order may be off, relatively.
BY_HAND, IN_FLOAT64 = 5e-4, 1e-9


@dataclass(frozen=True)
class Exercise:
    """An exercise: what is asked, and a check that returns what is wrong with an answer, nothing where it is right."""

    text: Words
    check: Check


def number(expected: float, *mistakes: tuple[float, Words]) -> Check:
    """The file defines ``answer``, a number to four digits or so; ``mistakes`` are wrong ones, with what to say."""

    def check(answer: Answer) -> list[Words]:
        found = answer.get("answer")
        if isinstance(found, bool) or not isinstance(found, (int, float, np.number)):
            return [
                (
                    f"the file should set answer to a number, as in answer = 1.5; it is {_kind(found)}",
                    f"文件里应当给 answer 赋一个数，例如 answer = 1.5；现在它是 {_kind(found)}",
                )
            ]
        value = float(found)
        if math.isclose(value, expected, rel_tol=BY_HAND):
            return []
        for wrong, words in mistakes:
            if math.isclose(value, wrong, rel_tol=BY_HAND):
                return [words]
        if math.isclose(value, -expected, rel_tol=BY_HAND):
            return [("the sign is wrong", "符号错了")]
        return [("too large", "太大了") if value > expected else ("too small", "太小了")]

    return check


def function(name: str, right: Callable[..., Any], cases: Sequence[tuple[Any, ...]], *mistakes: Any) -> Check:
    """The file defines a function ``name``, which is called with each case.

    ``mistakes`` are pairs of a wrong function and what to say of it. Other mistakes are looked for in every function:
    another shape, the sign, a factor, a transposed result, arguments that were changed.
    """

    def check(answer: Answer) -> list[Words]:
        found = answer.get(name)
        if not callable(found):
            return [(f"the file should define a function {name}", f"文件里应当定义函数 {name}")]
        results = []
        for case in cases:
            arguments = copy.deepcopy(case)
            try:
                with np.errstate(all="ignore"):
                    results.append(_arrays(found(*arguments)))
            except Exception as error:  # whatever the reader's code raises is what the reader is told
                said = f"{type(error).__name__}: {error}"
                return [(f"{name} ended with {said}", f"{name} 出错：{said}")]
            if not all(map(_same, _arrays(arguments), _arrays(case))):
                return [(f"{name} changes its arguments; make new arrays", f"{name} 改动了自己的参数；请生成新的数组")]
        wanted = [_arrays(right(*copy.deepcopy(case))) for case in cases]
        if _agree(results, wanted):
            return []
        for wrong, words in mistakes:
            with np.errstate(all="ignore"):
                if _agree(results, [_arrays(wrong(*copy.deepcopy(case))) for case in cases]):
                    return [words]
        return [_difference(results, wanted)]

    return check


def backward(
    name: str, subject: Callable[[Answer], Any], inputs: Callable[[], Any], right: Callable[..., Any]
) -> Check:
    """The file defines a forward and a backward pass, ``name``, which the gradient checker looks at.

    ``subject`` makes what is checked from the file; ``right`` has the output that its forward pass should have, given
    the subject and the inputs.
    """

    def check(answer: Answer) -> list[Words]:
        try:
            made, given = subject(answer), inputs()
            wanted = right(made, *given)
            output = made.forward(*copy.deepcopy(given))
            if not _same(np.asarray(output), wanted):
                return [("the forward pass is wrong already", "前向传播就已经不对了")]
            report = check_gradients(made, given)
        except KeyError as error:
            return [(f"the file should define {error.args[0]}", f"文件里应当定义 {error.args[0]}")]
        except Exception as error:  # as above
            said = f"{type(error).__name__}: {error}"
            return [(f"{name} ended with {said}", f"{name} 出错：{said}")]
        if report.ok:
            return []
        found = []
        for entry in report.entries:
            if entry.verdict != RIGHT:
                why = entry.diagnosis.in_words if entry.diagnosis else "it differs from the numerical derivative"
                found.append(
                    (f"the gradient with respect to {entry.name}: {why}", f"对 {entry.name} 的梯度不对：{why}")
                )
        return found or [(f"the gradients are {report.verdict}", f"梯度的结论是 {report.verdict}")]

    return check


def _kind(value: Any) -> str:
    return "missing" if value is None else type(value).__name__


def _arrays(result: Any) -> list[Any]:
    """A result, or arguments, as arrays; several stay several. A function among arguments counts for nothing."""
    several = result if isinstance(result, tuple) else (result,)
    return [np.zeros(0) if callable(one) else np.asarray(one) for one in several]


def _same(one: Any, other: Any) -> bool:
    if one.shape != other.shape or one.dtype.kind not in "biuf":
        return False
    scale = float(np.abs(other).max(initial=0.0))
    with np.errstate(all="ignore"):
        return bool(np.allclose(one, other, rtol=IN_FLOAT64, atol=IN_FLOAT64 * scale, equal_nan=True))


def _agree(results: Sequence[Sequence[Any]], wanted: Sequence[Sequence[Any]]) -> bool:
    return all(len(a) == len(b) and all(map(_same, a, b)) for a, b in zip(results, wanted, strict=True))


def _difference(results: Sequence[Sequence[Any]], wanted: Sequence[Sequence[Any]]) -> Words:
    """The first thing that is wrong, in words."""
    for result, right in zip(results, wanted, strict=True):
        if len(result) != len(right):
            return (
                f"{len(right)} results are expected, {len(result)} came",
                f"应当返回 {len(right)} 个结果，实际返回了 {len(result)} 个",
            )
        for index, (a, b) in enumerate(zip(result, right, strict=True)):
            which = (f"result {index}: ", f"第 {index} 个结果：") if len(right) > 1 else ("", "")
            if _same(a, b):
                continue
            if a.dtype.kind not in "biuf":
                return f"{which[0]}it is not a number or an array of numbers", f"{which[1]}不是数，也不是数的数组"
            if a.ndim == 2 and _same(a.T, b):
                return f"{which[0]}right, but transposed", f"{which[1]}数值对，但转置了"
            if a.shape != b.shape:
                return f"{which[0]}the shape should be {b.shape}, it is {a.shape}", (
                    f"{which[1]}形状应当是 {b.shape}，现在是 {a.shape}"
                )
            if not np.isfinite(a).all() and np.isfinite(b).all():
                return f"{which[0]}it overflows: there is an inf or a NaN", f"{which[1]}溢出了：出现了 inf 或 NaN"
            if _same(-a, b):
                return f"{which[0]}the sign is wrong", f"{which[1]}符号错了"
            off = b != 0
            if off.sum() > 1 and not np.any(a[~off]):
                factors = a[off] / b[off]
                if factors.any() and np.ptp(factors) <= IN_FLOAT64 * np.abs(factors).max():
                    return f"{which[0]}right but for a constant factor", f"{which[1]}只差一个常数因子"
            return f"{which[0]}{int(np.sum(~np.isclose(a, b)))} of {a.size} numbers are wrong", (
                f"{which[1]}{a.size} 个数中有 {int(np.sum(~np.isclose(a, b)))} 个不对"
            )
    return "", ""
