"""The exercises of lessons 5 to 8: MNIST twice, gradient checking, the backward pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numpy_nn.exercises.kinds import Exercise, backward, function, number

Array = Any


def stable_loss(z: Array, y: Array) -> float:
    """5.2: mean cross-entropy, with the largest logit of each row taken out."""
    shifted = z - z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(z)), y]).mean())


def dead_units(x: Array, w: Array, b: Array) -> int:
    """5.3: how many hidden units are off for every row."""
    return int((x @ w + b <= 0).all(axis=0).sum())


def confusion(y: Array, answer: Array, classes: int) -> Array:
    """6.2: a row for each class, a column for each answer."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (y, answer), 1)
    return counts


def backward_pass(x: Array, w1: Array, b1: Array, w2: Array, grad_output: Array, mask: bool = True) -> Any:
    """8.2: the gradients with respect to w1, b1, w2 and b2 of a network with ReLU."""
    z = x @ w1 + b1
    grad = grad_output @ w2.T * (z > 0 if mask else 1.0)
    return x.T @ grad, grad.sum(axis=0), np.maximum(z, 0.0).T @ grad_output, grad_output.sum(axis=0)


class Pair:
    """7.3: two functions as a layer, so that the second gets what the first kept and nothing else."""

    def __init__(self, forward: Any, backward: Any) -> None:
        self._functions = forward, backward

    def forward(self, x: Array) -> Array:
        """The output alone."""
        output, self.cache = self._functions[0](x)
        return output

    def backward(self, grad_output: Array) -> Array:
        """The gradient with respect to x."""
        return self._functions[1](grad_output, self.cache)


_RNG = np.random.default_rng(0)
LOGITS = [
    (np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]]), np.array([0, 2])),
    (np.array([[1000.0, 0.0], [-800.0, 900.0]]), np.array([0, 0])),
]
UNITS = [(_RNG.normal(size=(3, 4)), _RNG.normal(size=(4, 12)), np.linspace(-3.0, 1.0, 12)) for _ in range(2)]
ANSWERS = [(np.array([0, 2, 1, 1, 0]), np.array([0, 1, 1, 2, 2]), 3), (np.array([1, 1]), np.array([0, 0]), 2)]
SCORES = [(np.array([[1.0, 2.0], [0.5, 0.1], [3.0, 4.0]]), np.array([1, 0, 0])), (np.eye(3), np.array([0, 1, 1]))]
NETWORKS = [
    (
        _RNG.normal(size=(n, 4)),
        _RNG.normal(size=(4, 5)),
        _RNG.normal(size=5),
        _RNG.normal(size=(5, 3)),
        _RNG.normal(size=(n, 3)),
    )
    for n in (2, 6)
]

EXERCISES = {
    "5.1": Exercise(
        (
            "An image x with |x| = 6, 128 hidden units with ReLU, all weights from N(0, 0.1^2), biases 0. What "
            "is the standard deviation of a logit?",
            "一张图片 x 满足 |x| = 6，128 个 ReLU 隐藏单元，所有权重取自 N(0, 0.1^2)，偏置为 0。一个 logit "
            "的标准差是多少？",
        ),
        number(
            0.1 * math.sqrt(128 * 0.36 / 2),
            (
                math.sqrt(128 * 0.36 / 2),
                ("the second layer's weights have a standard deviation too", "第二层的权重也有标准差"),
            ),
            (0.1 * math.sqrt(128 * 0.36), ("ReLU keeps half of the square only", "ReLU 只保留一半的平方")),
            (0.1**2 * 128 * 0.36 / 2, ("that is the variance", "这是方差")),
        ),
    ),
    "5.2": Exercise(
        (
            "Write stable_loss(z, y): the mean cross-entropy of the logits z with the labels y. Logits may be 1000.",
            "写 stable_loss(z, y)：logits z 与标签 y 的平均交叉熵。logits 可以大到 1000。",
        ),
        function(
            "stable_loss",
            stable_loss,
            LOGITS,
            (
                lambda z, y: stable_loss(z, y) * len(z),
                ("that is the sum; the mean is asked for", "这是总和；要求的是平均值"),
            ),
            (
                lambda z, y: float(-np.log((np.exp(z).T / np.exp(z).sum(axis=1)).T[np.arange(len(z)), y]).mean()),
                (
                    "right for small logits; e^1000 overflows: take the largest out of each row",
                    "logits 小时是对的；e^1000 会溢出：先从每一行减去最大的",
                ),
            ),
        ),
    ),
    "5.3": Exercise(
        (
            "Write dead_units(x, w, b): how many hidden units, ReLU of x w + b, are off for every row of x.",
            "写 dead_units(x, w, b)：隐藏单元是 x w + b 的 ReLU，其中有多少个对 x 的每一行都关着。",
        ),
        function(
            "dead_units",
            dead_units,
            UNITS,
            (lambda x, w, b: w.shape[1] - dead_units(x, w, b), ("those are the units that live", "这是活着的单元数")),
            (
                lambda x, w, b: int((x @ w + b <= 0).any(axis=0).sum()),
                ("a unit is dead if it is off for all rows, not for some", "对所有行都关着才算死，只对某些行关着不算"),
            ),
            (lambda x, w, b: int((x @ w <= 0).all(axis=0).sum()) + 0 * len(b), ("the bias is left out", "漏掉了偏置")),
        ),
    ),
    "6.1": Exercise(
        ("How many parameters has a network of 784, 32 and 10 units?", "784-32-10 的网络有多少个参数？"),
        number(
            784 * 32 + 32 + 32 * 10 + 10,
            (784 * 32 + 32 * 10, ("the biases are parameters too", "偏置也是参数")),
            (
                784 * 32 + 784 + 32 * 10 + 32,
                ("a layer has a bias for each of its outputs", "每一层对每个输出有一个偏置"),
            ),
        ),
    ),
    "6.2": Exercise(
        (
            "Write confusion(y, answer, classes): a matrix of counts with a row for each true class and a column "
            "for each answer.",
            "写 confusion(y, answer, classes)：计数矩阵，每行是一个真实类别，每列是一个回答。",
        ),
        function(
            "confusion",
            confusion,
            ANSWERS,
            (
                lambda y, answer, classes: (confusion(y, answer, classes) > 0).astype(int),
                ("the same pair may come several times: count it each time", "同一对可能出现几次，每次都要计数"),
            ),
        ),
    ),
    "6.3": Exercise(
        (
            "Write accuracy(z, y): which part, from 0 to 1, of the rows of z has its largest entry at the label.",
            "写 accuracy(z, y)：z 的各行中最大元素正好在标签处的比例，从 0 到 1。",
        ),
        function(
            "accuracy",
            lambda z, y: float((z.argmax(axis=1) == y).mean()),
            SCORES,
            (
                lambda z, y: int((z.argmax(axis=1) == y).sum()),
                ("that is a count; the part is asked for", "这是个数；要求的是比例"),
            ),
            (lambda z, y: float((z.argmax(axis=1) != y).mean()), ("that is the part that is wrong", "这是错误的比例")),
        ),
    ),
    "7.1": Exercise(
        (
            "What does the central difference of x^3 at x = 2 with h = 0.1 say?",
            "x^3 在 x = 2 处、h = 0.1 的中心差分是多少？",
        ),
        number(
            12.01,
            (12.0, ("that is the derivative; the difference is a little off it", "这是导数；差分与它略有差别")),
            (12.61, ("that is the forward difference", "这是前向差分")),
            (24.02, ("the two points are 2 h apart", "两个点相距 2 h")),
        ),
    ),
    "7.2": Exercise(
        ("Write central(f, x, h): the central difference of f at x.", "写 central(f, x, h)：f 在 x 处的中心差分。"),
        function(
            "central",
            lambda f, x, h: (f(x + h) - f(x - h)) / (2.0 * h),
            [(np.exp, 0.5, 0.1), (np.sin, 2.0, 0.01)],
            (lambda f, x, h: (f(x + h) - f(x)) / h, ("that is the forward difference", "这是前向差分")),
            (lambda f, x, h: (f(x + h) - f(x - h)) / h, ("the two points are 2 h apart", "两个点相距 2 h")),
        ),
    ),
    "7.3": Exercise(
        (
            "Write tanh_forward(x), which returns tanh(x) and a cache, and tanh_backward(grad_output, cache), "
            "the gradient with respect to x.",
            "写 tanh_forward(x)，返回 tanh(x) 和缓存；再写 tanh_backward(grad_output, cache)，返回对 x 的梯度。",
        ),
        backward(
            "tanh_forward",
            lambda answer: Pair(answer["tanh_forward"], answer["tanh_backward"]),
            lambda: (np.random.default_rng(0).normal(size=(4, 3)),),
            lambda _, x: np.tanh(x),
        ),
    ),
    "8.1": Exercise(
        (
            "Two samples have 0.5 and -2 at input i; at hidden unit j the gradients with respect to z are 0.2 "
            "and 0.1. What is the gradient with respect to the weight from i to j?",
            "两个样本在输入 i 处是 0.5 和 -2；在隐藏单元 j 处，对 z 的梯度是 0.2 和 0.1。从 i 到 j "
            "的权重的梯度是多少？",
        ),
        number(
            -0.1,
            (
                -0.05,
                ("the samples are summed: the mean is in the gradients already", "对样本求和：平均已经包含在梯度里了"),
            ),
            (0.3, ("that is the bias's gradient; the inputs are left out", "这是偏置的梯度；漏掉了输入")),
            (
                0.3 * -1.5,
                ("each sample has its own product; only then are they added", "每个样本先各自相乘，然后再相加"),
            ),
        ),
    ),
    "8.2": Exercise(
        (
            "Write backward_pass(x, w1, b1, w2, grad_output) for the network relu(x w1 + b1) w2 + b2: the "
            "gradients with respect to w1, b1, w2 and b2, in this order.",
            "对网络 relu(x w1 + b1) w2 + b2 写 backward_pass(x, w1, b1, w2, grad_output)：依次返回对 "
            "w1、b1、w2、b2 的梯度。",
        ),
        function(
            "backward_pass",
            backward_pass,
            NETWORKS,
            (
                lambda x, w1, b1, w2, g: backward_pass(x, w1, b1, w2, g, mask=False),
                ("the ReLU is left out on the way back", "反向时漏掉了 ReLU"),
            ),
            (
                lambda *given: tuple(g / len(given[0]) for g in backward_pass(*given)),
                (
                    "divided by the batch once too often: grad_output has that already",
                    "多除了一次批量：grad_output 里已经除过了",
                ),
            ),
        ),
    ),
    "8.3": Exercise(
        (
            "How many forward passes do central differences need for the gradient of all parameters of a network "
            "of 2, 3 and 1 units?",
            "用中心差分求 2-3-1 网络全部参数的梯度，需要多少次前向？",
        ),
        number(
            2 * (2 * 3 + 3 + 3 + 1),
            (2 * 3 + 3 + 3 + 1, ("a central difference looks at two points", "中心差分要看两个点")),
            (2 * (2 * 3 + 3), ("the biases are parameters too", "偏置也是参数")),
            (
                2 * 3 + 3 + 3 + 2,
                ("that is one for each and one more: forward differences", "每个参数一次再加一次：那是前向差分"),
            ),
        ),
    ),
}
