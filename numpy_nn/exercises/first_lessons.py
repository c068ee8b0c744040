"""The exercises of lessons 1 to 4: the perceptron, XOR, activations, the multilayer perceptron."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numpy_nn.exercises.kinds import Answer, Exercise, backward, function, number

Array = Any


def update(w: Array, b: float, x: Array, y: float) -> tuple[Array, float]:
    """1.2: Rosenblatt's rule."""
    return (w + y * x, b + y) if y * (w @ x + b) <= 0 else (w.copy(), b)


def novikoff(x: Array, y: Array, w: Array, b: float, appended: bool = True, power: int = 2) -> float:
    """1.3: (R / gamma)^2, with a 1 appended to every point."""
    radius = np.sqrt((x**2).sum(axis=1).max() + appended)
    return float((radius / ((y * (x @ w + b)).min() / np.sqrt(w @ w + b * b))) ** power)


def hidden(x: Array) -> Array:
    """2.2: the two hidden units of the network by hand."""
    s = x.sum(axis=1, keepdims=True)
    return np.maximum(np.hstack([s, -s]), 0.0)


def probabilities(z: Array) -> Array:
    """Softmax by row."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def grad_logits(z: Array, y: Array) -> Array:
    """4.2: (P - Y) / n."""
    return (probabilities(z) - np.eye(z.shape[1])[y]) / len(z)


def linear(answer: Answer) -> Any:
    """4.3: the reader's layer, with a bias that is not 0, as it would hide whether it is added."""
    made = answer["Linear"]()
    made.b = made.b + np.arange(1.0, 4.0)
    return made


W, X = np.array([1.0, -0.5]), np.array([[2.0, 1.0], [-1.0, 3.0], [1.0, 2.0], [0.5, 0.25]])
UPDATES = [
    (W, 0.5, X[0], -1.0),
    (W, 0.5, X[0], 1.0),
    (W, 0.0, X[2], 1.0),
    (W, 0.0, X[2], -1.0),
    (0.0 * W, 0.0, X[1], 1.0),
]
BOUNDS = [(X[:2], np.array([1.0, -1.0]), W, 0.25), (X[[0, 1, 3]], np.array([1.0, -1.0, 1.0]), 2 * W, 0.1)]
REAL = np.array([-3.0, -0.75, -0.1, 0.2, 1.0, 4.0])
LOGITS = [(np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]]), np.array([0, 2])), (np.array([[0.1, 0.4]]), np.array([1]))]

EXERCISES = {
    "1.1": Exercise(
        (
            "The point x = (2, 1) has the label y = -1; the weights are w = (1, -1), the bias is b = 0.5. Visit "
            "it once by Rosenblatt's rule. What is f(x) = w . x + b afterwards?",
            "点 x = (2, 1) 的标签是 y = -1；权重 w = (1, -1)，偏置 b = 0.5。按 Rosenblatt 的规则看它一次。之后的 "
            "f(x) = w . x + b 是多少？",
        ),
        number(
            -4.5,
            (
                1.5,
                (
                    "that is f before the visit; the point is wrong, so the rule moves w and b",
                    "这是更新之前的 f；这个点分错了，所以要更新 w 和 b",
                ),
            ),
            (
                7.5,
                (
                    "you moved the wrong way: the update is y x, with the label's sign",
                    "方向反了：更新量是 y x，要带上标签的符号",
                ),
            ),
            (-3.5, ("w has moved, but b has not", "w 更新了，b 却没有更新")),
        ),
    ),
    "1.2": Exercise(
        (
            "Write update(w, b, x, y): the weights and the bias after one visit of the point x with the label y, "
            "+1 or -1.",
            "写 update(w, b, x, y)：看一次标签为 y（+1 或 -1）的点 x 之后的权重和偏置。",
        ),
        function(
            "update",
            update,
            UPDATES,
            (
                lambda w, b, x, y: (w + y * x, b + y),
                ("a point that is right must change nothing", "分对的点不应当引起任何改变"),
            ),
            (
                lambda w, b, x, y: (w + y * x, b + y) if y * (w @ x + b) < 0 else (w, b),
                ("where f is exactly 0 the point counts as wrong", "f 恰好为 0 时也算分错"),
            ),
            (
                lambda w, b, x, y: (w + x, b + 1) if y * (w @ x + b) <= 0 else (w, b),
                ("the label's sign is left out", "漏掉了标签的符号"),
            ),
            (
                lambda w, b, x, y: (w + y * x, b) if y * (w @ x + b) <= 0 else (w, b),
                ("the bias does not move", "偏置没有更新"),
            ),
        ),
    ),
    "1.3": Exercise(
        (
            "Write novikoff(x, y, w, b): the bound (R / gamma)^2 for the rows x, their labels y and a separating line.",
            "写 novikoff(x, y, w, b)：对于各行 x、标签 y 和一条能分开它们的直线，求上界 (R / gamma)^2。",
        ),
        function(
            "novikoff",
            novikoff,
            BOUNDS,
            (lambda x, y, w, b: novikoff(x, y, w, b, power=1), ("the quotient is not squared", "商没有平方")),
            (
                lambda x, y, w, b: novikoff(x, y, w, b, appended=False),
                ("R is the largest length with a 1 appended to the point", "R 是点添上 1 之后的最大长度"),
            ),
        ),
    ),
    "2.1": Exercise(
        (
            "What does the network by hand, f = h1 + h2 - 1, say at the point (2, -0.5)?",
            "手工构造的网络 f = h1 + h2 - 1 在点 (2, -0.5) 处给出多少？",
        ),
        number(
            0.5,
            (1.5, ("the output's bias, -1, is left out", "漏掉了输出的偏置 -1")),
            (-1.0, ("h1 is on here: x1 + x2 is above 0", "这里 h1 是开着的：x1 + x2 大于 0")),
            (-2.5, ("a unit is never below 0", "单元的输出不会小于 0")),
        ),
    ),
    "2.2": Exercise(
        (
            "Write hidden(x): what the two hidden units of the network by hand say of each row of x, of shape (n, 2).",
            "写 hidden(x)：手工构造的网络的两个隐藏单元对 x 的每一行的输出，形状为 (n, 2)。",
        ),
        function(
            "hidden",
            hidden,
            [(X,), (np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]),)],
            (
                lambda x: np.hstack([x.sum(axis=1, keepdims=True), -x.sum(axis=1, keepdims=True)]),
                ("the max with 0 is left out", "漏掉了与 0 取最大值"),
            ),
            (lambda x: hidden(x)[:, ::-1], ("the two units are exchanged", "两个单元的次序颠倒了")),
        ),
    ),
    "2.3": Exercise(
        (
            "There are 16 ways to give the four corners of the square the classes +1 and -1. How many can one "
            "line tell apart?",
            "给正方形的四个角标上 +1 或 -1，共有 16 种标法。其中有多少种可以用一条直线分开？",
        ),
        number(
            14,
            (
                16,
                (
                    "one of them you have just seen in lesson 2, and it has a twin",
                    "其中一种你在第 2 课刚见过，与它恰好相反的那一种也一样",
                ),
            ),
            (15, ("exchange the classes of the one that you found", "把你找到的那一种的两个类别对调一下再看")),
            (12, ("where all corners are of one class, a line outside does it", "四个角同属一类时，直线放在外面就行")),
        ),
    ),
    "3.1": Exercise(
        ("What is the derivative of the sigmoid at x = log 3?", "sigmoid 在 x = log 3 处的导数是多少？"),
        number(
            3 / 16,
            (0.75, ("that is the value; the derivative is made from it", "这是函数值；导数由它得出")),
            (0.25, ("that is the derivative at 0", "这是在 0 处的导数")),
        ),
    ),
    "3.2": Exercise(
        (
            "Write softsign_derivative(x) for an array x, where softsign(x) = x / (1 + |x|).",
            "写 softsign_derivative(x)，x 是数组，softsign(x) = x / (1 + |x|)。",
        ),
        function(
            "softsign_derivative",
            lambda x: 1.0 / (1.0 + np.abs(x)) ** 2,
            [(REAL,)],
            (
                lambda x: 1.0 / (1.0 + np.abs(x)),
                ("|x| in the denominator has a derivative too", "分母里的 |x| 也有导数"),
            ),
            (lambda x: 1.0 / (1.0 + x) ** 2, ("right for x > 0 only", "只在 x > 0 时正确")),
            (lambda x: x / (1.0 + np.abs(x)), ("that is softsign itself", "这是 softsign 本身")),
        ),
    ),
    "3.3": Exercise(
        ("Write elu_derivative(x, alpha) for an array x.", "写 elu_derivative(x, alpha)，x 是数组。"),
        function(
            "elu_derivative",
            lambda x, alpha: np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0))),
            [(REAL, 1.0), (REAL, 0.3)],
            (
                lambda x, _: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0.0))),
                ("right for alpha = 1 only", "只在 alpha = 1 时正确"),
            ),
            (
                lambda x, alpha: np.where(x > 0, 1.0, alpha * np.expm1(np.minimum(x, 0.0))),
                ("for x < 0 that is the value, not its derivative", "x < 0 时这是函数值，不是导数"),
            ),
        ),
    ),
    "4.1": Exercise(
        (
            "One sample has the logits (log 2, 0, 0) and the label 0. What is its cross-entropy?",
            "一个样本的 logits 是 (log 2, 0, 0)，标签是 0。它的交叉熵是多少？",
        ),
        number(
            math.log(2.0),
            (0.5, ("that is the probability; the loss is minus its logarithm", "这是概率；损失是它的对数的相反数")),
            (math.log10(2.0), ("the logarithm is the natural one", "对数应取自然对数")),
            (
                math.log(3.0),
                ("that would be the loss if the three logits were equal", "三个 logits 相等时才是这个损失"),
            ),
        ),
    ),
    "4.2": Exercise(
        (
            "Write grad_logits(z, y): the gradient of the mean cross-entropy with respect to the logits z, of "
            "shape (n, classes).",
            "写 grad_logits(z, y)：平均交叉熵对 logits z（形状为 (n, 类别数)）的梯度。",
        ),
        function(
            "grad_logits",
            grad_logits,
            LOGITS,
            (
                lambda z, y: grad_logits(z, y) * len(z),
                ("the loss is a mean: 1/n is left out", "损失是平均值：漏掉了 1/n"),
            ),
            (lambda z, y: probabilities(z) / len(z) + 0 * y[0], ("the labels are left out", "漏掉了标签")),
        ),
    ),
    "4.3": Exercise(
        (
            "Write a class Linear with W of shape (4, 3) and b, made by Linear(); forward(x) returns x W + b, "
            "backward(grad_output) the gradient with respect to x, and sets dW and db.",
            "写类 Linear，用 Linear() 构造，W 的形状为 (4, 3)，另有 b；forward(x) 返回 x W + b，"
            "backward(grad_output) 返回对 x 的梯度，并设置 dW 和 db。",
        ),
        backward(
            "Linear",
            linear,
            lambda: (np.random.default_rng(0).normal(size=(5, 4)),),
            lambda made, x: x @ made.W + made.b,
        ),
    ),
}
