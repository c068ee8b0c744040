"""The exercises of lesson 9: initialization and normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numpy_nn.exercises.kinds import Answer, Exercise, backward, function, number

Array = Any


def batch_norm(x: Array, eps: float, axis: int = 0, ddof: int = 0) -> Array:
    """9.2: each column brought to mean 0 and variance 1."""
    centered = x - x.mean(axis=axis, keepdims=True)
    return centered / np.sqrt(x.var(axis=axis, ddof=ddof, keepdims=True) + eps)


def layer_norm(answer: Answer) -> Any:
    """9.3: the reader's layer, with parameters that are not 1 and 0, which would hide whether they are used."""
    made = answer["LayerNorm"]()
    made.g, made.b = np.array([1.5, -0.5, 2.0, 0.75]), np.arange(1.0, 5.0)
    return made


_RNG = np.random.default_rng(0)
# An eps as large as 0.1 shows where it was added.
COLUMNS = [(_RNG.normal(2.0, 3.0, size=(6, 4)), 0.1), (_RNG.normal(-1.0, 0.5, size=(3, 5)), 1e-5)]

EXERCISES = {
    "9.1": Exercise(
        (
            "A layer has 300 inputs with RMS 3 and weights with mean 0 and standard deviation 0.05. What is the "
            "RMS of its output after ReLU?",
            "一层有 300 个输入，均方根（RMS）是 3；权重的均值是 0，标准差是 0.05。经过 ReLU 之后，输出的 RMS 是多少？",
        ),
        number(
            math.sqrt(300 * 0.05**2 * 3**2 / 2),
            (math.sqrt(300 * 0.05**2 * 3**2), ("that is the RMS before ReLU", "这是 ReLU 之前的 RMS")),
            (300 * 0.05**2 * 3**2 / 2, ("that is the mean square; take its root", "这是均方，还要开方")),
            (
                math.sqrt(300 * 0.05**2 * 3 / 2),
                ("the mean square of the inputs is the square of their RMS", "输入的均方是其 RMS 的平方"),
            ),
            (
                math.sqrt(300 * 0.05**2 * 3**2) / 2,
                ("ReLU halves the mean square, not the RMS", "ReLU 减半的是均方，不是 RMS"),
            ),
        ),
    ),
    "9.2": Exercise(
        (
            "Write batch_norm(x, eps): x of shape (n, columns) with each column brought to mean 0 and variance 1, "
            "eps added to the variance, without gamma and beta.",
            "写 batch_norm(x, eps)：x 的形状为 (n, 列数)，把每一列变成均值 0、方差 1，eps 加在方差上，"
            "不带 gamma 和 beta。",
        ),
        function(
            "batch_norm",
            batch_norm,
            COLUMNS,
            (
                lambda x, eps: batch_norm(x, eps, axis=1),
                ("those are the rows: that is layer normalization", "这是按行做的：那是层归一化"),
            ),
            (
                lambda x, eps: batch_norm(x, eps, ddof=1),
                ("the variance divides by n, not by n - 1", "方差要除以 n，而不是 n - 1"),
            ),
            (
                lambda x, eps: (x - x.mean(axis=0)) / (x.std(axis=0) + eps),
                ("eps is added to the variance, inside the root", "eps 加在方差上，在根号里面"),
            ),
            (
                lambda x, eps: (x - x.mean(axis=0)) / (x.var(axis=0) + eps),
                ("divide by the root of the variance", "要除以方差的平方根"),
            ),
            (lambda x, eps: x / np.sqrt(x.var(axis=0) + eps), ("the mean is not taken away", "没有减去均值")),
        ),
    ),
    "9.3": Exercise(
        (
            "Write a class LayerNorm with g and b of shape (4,), made by LayerNorm(), and eps = 1e-5; forward(x) "
            "normalizes each row of x and returns it times g plus b, backward(grad_output) returns the gradient with "
            "respect to x, and sets dg and db.",
            "写类 LayerNorm，用 LayerNorm() 构造，g 和 b 的形状为 (4,)，eps = 1e-5；forward(x) 把 x 的每一行归一化，"
            "乘以 g 再加 b 后返回；backward(grad_output) 返回对 x 的梯度，并设置 dg 和 db。",
        ),
        backward(
            "LayerNorm",
            layer_norm,
            lambda: (np.random.default_rng(0).normal(2.0, 3.0, size=(5, 4)),),
            lambda made, x: batch_norm(x, 1e-5, axis=1) * made.g + made.b,
        ),
    ),
}
