"""The exercises of lessons 9 and 10: initialization and normalization, optimizers."""

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


def momentum(p: Array, v: Array, g: Array, lr: float, mu: float) -> tuple[Array, Array]:
    """10.2: a step of gradient descent with momentum."""
    v = mu * v + g
    return p - lr * v, v


def adam(p: Array, m: Array, s: Array, g: Array, t: int, lr: float, correct: tuple[bool, bool] = (True, True)) -> Any:
    """10.3: Adam's step t."""
    m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
    first = 1.0 - 0.9**t if correct[0] else 1.0
    second = 1.0 - 0.999**t if correct[1] else 1.0
    return p - lr * (m / first) / (np.sqrt(s / second) + 1e-8), m, s


_RNG = np.random.default_rng(0)
# An eps as large as 0.1 shows where it was added.
_P, _M, _G = _RNG.normal(size=(3, 4))
MOMENTUM = [(_P, _M, _G, 0.1, 0.9), (_P, 0.0 * _P, _G, 0.01, 0.5)]
# A gradient next to 0 shows where eps was added.
ADAM = [(_P, 0.0 * _P, 0.0 * _P, 1e-8 * _G, 1, 0.1), (_P, _M, _M**2, _G, 7, 0.01)]
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
    "10.1": Exercise(
        (
            "A weight is 1, its first gradient is -4. What is the weight after Adam's first step with lr = 0.1?",
            "一个权重是 1，它的第一个梯度是 -4。用 lr = 0.1 的 Adam 走第一步之后，这个权重是多少？",
        ),
        number(
            1.1,
            (
                1.4,
                (
                    "that is gradient descent; Adam divides by the gradient's size",
                    "这是梯度下降；Adam 要除以梯度的大小",
                ),
            ),
            (0.9, ("a step goes against the gradient", "一步要逆着梯度走")),
            (1.0 + 0.1 * 0.1 / math.sqrt(0.001), ("the correction is left out", "漏掉了修正")),
            (1.01, ("m is corrected as well as s", "m 与 s 一样要修正")),
        ),
    ),
    "10.2": Exercise(
        (
            "Write momentum(p, v, g, lr, mu): the new p and the new v.",
            "写 momentum(p, v, g, lr, mu)：返回新的 p 和新的 v。",
        ),
        function(
            "momentum",
            momentum,
            MOMENTUM,
            (
                lambda p, v, g, lr, mu: (p - lr * v, mu * v + g),
                ("p is moved by the old v; it should be the new one", "p 用的是旧的 v，应当用新的"),
            ),
            (
                lambda p, v, g, lr, mu: momentum(p, v, (1.0 - mu) * g, lr, mu),
                ("v is no mean here: g is added whole", "这里的 v 不是平均：g 要整个加上去"),
            ),
            (
                lambda p, v, g, lr, mu: (p - lr * g, mu * v + g),
                ("p is moved by the gradient alone", "p 只按梯度移动了，没有用 v"),
            ),
            (lambda p, v, g, lr, mu: momentum(p, v, g, lr, mu)[::-1], ("p comes first, then v", "先返回 p，再返回 v")),
        ),
    ),
    "10.3": Exercise(
        (
            "Write adam(p, m, s, g, t, lr): the new p, m and s after step t (1 is the first), with betas 0.9 and 0.999 "
            "and eps = 1e-8.",
            "写 adam(p, m, s, g, t, lr)：返回第 t 步（第一步 t = 1）之后的新的 p、m 和 s，两个 beta 是 0.9 和 0.999，"
            "eps = 1e-8。",
        ),
        function(
            "adam",
            adam,
            ADAM,
            (
                lambda p, m, s, g, t, lr: adam(p, m, s, g, t, lr, (False, False)),
                ("the correction is left out", "漏掉了修正"),
            ),
            (lambda p, m, s, g, t, lr: adam(p, m, s, g, t, lr, (True, False)), ("s is not corrected", "s 没有修正")),
            (lambda p, m, s, g, t, lr: adam(p, m, s, g, t, lr, (False, True)), ("m is not corrected", "m 没有修正")),
            (
                lambda p, m, s, g, t, lr: adam(p, m, s, g, t + 1, lr),
                ("the first step has t = 1 already", "第一步就已经是 t = 1"),
            ),
            (
                lambda p, m, s, g, t, lr: (
                    p
                    - lr
                    * adam(p, m, s, g, t, lr)[1]
                    / (1 - 0.9**t)
                    / np.sqrt((0.999 * s + 0.001 * g**2) / (1 - 0.999**t) + 1e-8),
                    *adam(p, m, s, g, t, lr)[1:],
                ),
                ("eps is added behind the root", "eps 要在开方之后再加"),
            ),
        ),
    ),
}
