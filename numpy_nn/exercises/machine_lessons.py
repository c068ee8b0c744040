"""The exercises of lessons 11 and 12: floating point, several processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numpy_nn.exercises.kinds import Exercise, function, number

Array = Any


def dot_bound(x: Array, y: Array, u: float, n: int | None = None) -> float:
    """11.2: gamma_n sum |x_i y_i|."""
    n = len(x) if n is None else n
    return float(n * u / (1.0 - n * u) * (np.abs(x) @ np.abs(y)))


def bce(z: Array, y: Array) -> Array:
    """11.3: log(1 + e^-d), with d the logit of what is right."""
    d = np.where(y == 1, z, -z)
    return np.maximum(-d, 0.0) + np.log1p(np.exp(-np.abs(d)))


def _bce(z: Array, y: Array, log: Any = np.log1p, one: float = 0.0, far: bool = True) -> Array:
    """The same with one of its parts left out."""
    d = np.where(y == 1, z, -z)
    return np.maximum(-d, 0.0) + log(one + np.exp(-np.abs(d))) if far else log(one + np.exp(-d))


def combined(gradients: Sequence[Array], rows: Sequence[int]) -> Array:
    """12.2: the gradient of the mean over all rows."""
    return np.average(gradients, axis=0, weights=rows)


def reduce_scatter(pieces: Array, exchanges: int | None = None, shift: int = 1) -> Array:
    """12.3: the first half of a ring's all-reduce."""
    p, held = len(pieces), pieces.copy()
    for s in range(p - 1 if exchanges is None else exchanges):
        for r in range(p):
            held[r, (r - s - shift) % p] += held[r - 1, (r - s - shift) % p]
    return held


_RNG = np.random.default_rng(0)
# An u of 0.01 shows the denominator.
DOTS = [(*_RNG.normal(size=(2, 10)), 2.0**-24), (*_RNG.normal(size=(2, 7)), 0.01)]
LOGITS = [
    (np.array([1000.0, -1000.0, 2.0, -0.5]), np.array([0, 1, 1, 0])),
    (np.array([40.0, -38.0]), np.array([1, 0])),  # tiny losses by themselves, as large ones would hide their digits
]
PARTS = [(list(_RNG.normal(size=(3, 4))), [2, 3, 3]), (list(_RNG.normal(size=(2, 5))), [5, 1])]
PIECES = [(_RNG.normal(size=(4, 4)),), (_RNG.normal(size=(3, 3)),)]

EXERCISES = {
    "11.1": Exercise(
        (
            "In float32 a sum begins at 0, and 1 is added to it twenty million times. What does it say in the end?",
            "在 float32 里，和从 0 开始，加 1 加了两千万次。最后它是多少？",
        ),
        number(
            2.0**24,
            (
                2e7,
                (
                    "that is what it should be; above some number neighbours are 2 apart, and half of that is lost",
                    "这是本来应有的值；超过某个数之后，相邻两数的间隔是 2，加 1 就被舍掉了",
                ),
            ),
            (2.0**23, ("neighbours are 1 apart there, and 1 can still be added", "那里相邻两数的间隔是 1，还能加 1")),
            (2.0**25, ("neighbours are 4 apart there already; it stops earlier", "那里间隔已经是 4，和早就不动了")),
        ),
    ),
    "11.2": Exercise(
        (
            "Write dot_bound(x, y, u): the bound with gamma_n of the rounding error of the dot product of two vectors "
            "x and y, added in any order with unit roundoff u.",
            "写 dot_bound(x, y, u)：用 gamma_n 写出的、两个向量 x 与 y 的点积的舍入误差的界，求和次序任意，"
            "单位舍入误差为 u。",
        ),
        function(
            "dot_bound",
            dot_bound,
            DOTS,
            (
                lambda x, y, u: len(x) * u * (np.abs(x) @ np.abs(y)),
                ("n u is the first term only: divide by 1 - n u", "n u 只是第一项：还要除以 1 - n u"),
            ),
            (
                lambda x, y, u: len(x) * u / (1.0 - len(x) * u) * abs(x @ y),
                (
                    "terms may cancel and their errors do not: sum the sizes of the products",
                    "各项会相消，误差却不会：应当把各个乘积的绝对值相加",
                ),
            ),
            (
                lambda x, y, u: len(x) * u / (1.0 - len(x) * u) * (x @ y),
                ("a bound is not negative: sum the sizes of the products", "界不会是负的：应当把各个乘积的绝对值相加"),
            ),
            (
                lambda x, y, u: dot_bound(x, y, u, len(x) - 1),
                ("n - 1 roundings of sums, and one of the product", "求和舍入 n - 1 次，乘积还要舍入一次"),
            ),
            (
                lambda x, y, u: dot_bound(x, y, u, 2 * len(x)),
                ("each term is rounded n times, not 2 n", "每一项舍入 n 次，不是 2 n 次"),
            ),
            (
                lambda x, y, u: np.expm1(len(x) * np.log1p(u)) * (np.abs(x) @ np.abs(y)),
                ("that is a bound too, and a sharper one; gamma_n is asked", "这也是界，而且更紧；题目要的是 gamma_n"),
            ),
            (
                lambda x, y, u: (1.0 + u) ** len(x) * (np.abs(x) @ np.abs(y)),
                ("how far from 1 the factors are is asked: take the 1 away", "问的是因子离 1 多远：要减去 1"),
            ),
        ),
    ),
    "11.3": Exercise(
        (
            "Write bce(z, y): for arrays of logits z and labels y, 0 or 1, the losses -log p, with p = sigmoid(z) "
            "where y is 1 and 1 - sigmoid(z) where it is 0; right for z = 1000 and z = -1000 too, and with all digits "
            "where it is tiny.",
            "写 bce(z, y)：z 是 logits 的数组，y 是取 0 或 1 的标签，返回各个损失 -log p；y 为 1 时 p = sigmoid(z)，"
            "y 为 0 时 p = 1 - sigmoid(z)。z = 1000 和 z = -1000 时也要对，损失极小时也要保住全部位数。",
        ),
        function(
            "bce",
            bce,
            LOGITS,
            (
                lambda z, y: _bce(z, y, np.log, 1.0, far=False),
                ("e^1000 overflows, and a tiny loss becomes 0", "e^1000 溢出了，极小的损失变成了 0"),
            ),
            (lambda z, y: _bce(z, y, far=False), ("e^1000 overflows", "e^1000 溢出了")),
            (
                lambda z, y: _bce(z, y, np.log, 1.0),
                (
                    "a tiny loss becomes 0: log(1 + e) loses what is small beside 1",
                    "极小的损失变成了 0：log(1 + e) 丢掉了比 1 小得多的部分",
                ),
            ),
            (lambda z, y: bce(z, 1 - y), ("the labels are the wrong way round", "标签弄反了")),
        ),
    ),
    "12.1": Exercise(
        (
            "A gradient of one million float32 numbers is summed in a ring of 5 processes. How many bytes does each of "
            "them send?",
            "一百万个 float32 数组成的梯度，在 5 个进程的环里求和。每个进程发送多少字节？",
        ),
        number(
            2 * 4 / 5 * 4e6,
            (2 * 4 / 5 * 1e6, ("those are numbers, not bytes", "这是数的个数，不是字节数")),
            (
                4 / 5 * 4e6,
                (
                    "that is one half: after it each process has one piece of the sum, and the others are to go round",
                    "这只是一半：之后每个进程只有和的一段，其余各段还要绕环传递",
                ),
            ),
            (
                2 * 4 * 4e6,
                (
                    "that is what all of them together send; one process passes on one piece in each exchange",
                    "这是所有进程合起来发送的；每次交换，一个进程只传一段",
                ),
            ),
        ),
    ),
    "12.2": Exercise(
        (
            "Write combined(gradients, rows): the gradient of the mean over a whole batch, from a list with the "
            "gradient of the mean over each part, and a list with how many rows each part has.",
            "写 combined(gradients, rows)：gradients 是一个列表，其中是各部分的平均损失的梯度，rows 是各部分行数的"
            "列表，返回整批的平均损失的梯度。",
        ),
        function(
            "combined",
            combined,
            PARTS,
            (
                lambda gradients, _: np.mean(gradients, axis=0),
                ("the mean of the means: right for equal parts only", "这是平均的平均：只有各部分一样大时才对"),
            ),
            (
                lambda gradients, _: np.sum(gradients, axis=0),
                ("each part counts as if it were the whole batch", "每个部分都被当成了整批"),
            ),
            (
                lambda gradients, rows: sum(rows) * combined(gradients, rows),
                ("that is the gradient of the sum; divide by the rows of all parts", "这是和的梯度；还要除以总行数"),
            ),
            (
                lambda gradients, rows: np.average(gradients, axis=0, weights=1.0 / np.array(rows)),
                ("a part with more rows should count more, not less", "行数多的部分应当占得更多，而不是更少"),
            ),
        ),
    ),
    "12.3": Exercise(
        (
            "Write reduce_scatter(pieces): row r of the array, of shape (p, p), holds the p pieces of process r. "
            "Return them after the first p - 1 exchanges: in exchange s = 0, 1, ... process r adds to its piece "
            "r - s - 1 what process r - 1 has of that piece, all indices mod p.",
            "写 reduce_scatter(pieces)：数组的形状是 (p, p)，第 r 行是进程 r 的 p 段。返回前 p - 1 次交换之后的数组："
            "在第 s = 0, 1, ... 次交换中，进程 r 把进程 r - 1 的第 r - s - 1 段加到自己的同一段上，"
            "所有下标都对 p 取模。",
        ),
        function(
            "reduce_scatter",
            reduce_scatter,
            PIECES,
            (
                lambda pieces: np.tile(pieces.sum(axis=0), (len(pieces), 1)),
                (
                    "that is the end of the second half; here each process has one whole piece of the sum",
                    "那是后一半结束时的样子；这时每个进程只有和的一段是完整的",
                ),
            ),
            (lambda pieces: reduce_scatter(pieces, len(pieces)), ("one exchange too many", "多交换了一次")),
            (lambda pieces: reduce_scatter(pieces, len(pieces) - 2), ("one exchange is missing", "少交换了一次")),
            (
                lambda pieces: reduce_scatter(pieces, shift=0),
                ("another piece is passed on: process r adds to r - s - 1", "传错了段：进程 r 加的是第 r - s - 1 段"),
            ),
            (
                lambda pieces: reduce_scatter(pieces[::-1])[::-1],
                ("what comes from process r + 1 should come from r - 1", "应当从进程 r - 1 得到，而不是 r + 1"),
            ),
        ),
    ),
}
