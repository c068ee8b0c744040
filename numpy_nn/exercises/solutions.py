"""A solution to each exercise, as the file that answers it."""

from __future__ import annotations

_NUMPY = "import numpy as np\n\n\n"

SOLUTIONS = {
    "1.1": "w, b = (1 - 2, -1 - 1), 0.5 - 1  # f was 1.5 and y is -1: wrong, so w + y x and b + y\n"
    "answer = w[0] * 2 + w[1] * 1 + b\n",
    "1.2": "def update(w, b, x, y):\n    if y * (w @ x + b) <= 0:\n        return w + y * x, b + y\n    return w, b\n",
    "1.3": _NUMPY + "def novikoff(x, y, w, b):\n    x = np.hstack([x, np.ones((len(x), 1))])\n    w = np.append(w, b)\n"
    "    radius = np.linalg.norm(x, axis=1).max()\n    gamma = (y * (x @ w)).min() / np.linalg.norm(w)\n"
    "    return (radius / gamma) ** 2\n",
    "2.1": "answer = max(0, 2 - 0.5) + max(0, -2 + 0.5) - 1\n",
    "2.2": _NUMPY + "def hidden(x):\n    return np.maximum(x @ np.array([[1.0, -1.0], [1.0, -1.0]]), 0.0)\n",
    "2.3": "answer = 16 - 2  # all but XOR and its opposite\n",
    "3.1": "s = 3 / (1 + 3)  # 1 / (1 + exp(-log 3))\nanswer = s * (1 - s)\n",
    "3.2": _NUMPY + "def softsign_derivative(x):\n    return 1 / (1 + np.abs(x)) ** 2\n",
    "3.3": _NUMPY
    + "def elu_derivative(x, alpha):\n    return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0)))\n",
    "4.1": "import math\n\nanswer = -math.log(2 / (2 + 1 + 1))\n",
    "4.2": _NUMPY + "def grad_logits(z, y):\n    e = np.exp(z - z.max(axis=1, keepdims=True))\n"
    "    p = e / e.sum(axis=1, keepdims=True)\n    p[np.arange(len(z)), y] -= 1\n    return p / len(z)\n",
    "4.3": _NUMPY
    + "class Linear:\n    def __init__(self):\n        self.W = np.random.default_rng(1).normal(size=(4, 3))\n"
    "        self.b = np.zeros(3)\n\n    def forward(self, x):\n        self.x = x\n"
    "        return x @ self.W + self.b\n\n"
    "    def backward(self, grad_output):\n        self.dW = self.x.T @ grad_output\n"
    "        self.db = grad_output.sum(axis=0)\n        return grad_output @ self.W.T\n",
    "5.1": "import math\n\nz = 0.1 * 6  # standard deviation of a hidden z; ReLU keeps half of its square\n"
    "answer = 0.1 * math.sqrt(128 * z**2 / 2)\n",
    "5.2": _NUMPY + "def stable_loss(z, y):\n    shifted = z - z.max(axis=1, keepdims=True)\n"
    "    total = np.exp(shifted).sum(axis=1)\n    return (np.log(total) - shifted[np.arange(len(z)), y]).mean()\n",
    "5.3": "def dead_units(x, w, b):\n    return (x @ w + b <= 0).all(axis=0).sum()\n",
    "6.1": "answer = 784 * 32 + 32 + 32 * 10 + 10\n",
    "6.2": _NUMPY + "def confusion(y, answer, classes):\n    counts = np.zeros((classes, classes), int)\n"
    "    for true, said in zip(y, answer):\n        counts[true, said] += 1\n    return counts\n",
    "6.3": "def accuracy(z, y):\n    return (z.argmax(axis=1) == y).mean()\n",
    "7.1": "answer = (2.1**3 - 1.9**3) / 0.2\n",
    "7.2": "def central(f, x, h):\n    return (f(x + h) - f(x - h)) / (2 * h)\n",
    "7.3": _NUMPY + "def tanh_forward(x):\n    out = np.tanh(x)\n    return out, out\n\n\n"
    "def tanh_backward(grad_output, out):\n    return grad_output * (1 - out**2)\n",
    "8.1": "answer = 0.5 * 0.2 + -2 * 0.1\n",
    "8.2": _NUMPY + "def backward_pass(x, w1, b1, w2, grad_output):\n    z = x @ w1 + b1\n    h = np.maximum(z, 0)\n"
    "    grad_z = np.where(z > 0, grad_output @ w2.T, 0)\n"
    "    return x.T @ grad_z, grad_z.sum(axis=0), h.T @ grad_output, grad_output.sum(axis=0)\n",
    "8.3": "answer = 2 * (2 * 3 + 3 + 3 * 1 + 1)  # two for each parameter\n",
    "9.1": "import math\n\nz = 300 * 0.05**2 * 3**2  # mean square before ReLU, which keeps half of it\n"
    "answer = math.sqrt(z / 2)\n",
    "9.2": _NUMPY + "def batch_norm(x, eps):\n    centered = x - x.mean(axis=0)\n"
    "    return centered / np.sqrt((centered**2).mean(axis=0) + eps)\n",
    "9.3": _NUMPY + "class LayerNorm:\n    def __init__(self):\n        self.g, self.b = np.ones(4), np.zeros(4)\n\n"
    "    def forward(self, x):\n        centered = x - x.mean(axis=1, keepdims=True)\n"
    "        self.r = 1 / np.sqrt((centered**2).mean(axis=1, keepdims=True) + 1e-5)\n"
    "        self.x_hat = centered * self.r\n        return self.x_hat * self.g + self.b\n\n"
    "    def backward(self, grad_output):\n        self.dg = (grad_output * self.x_hat).sum(axis=0)\n"
    "        self.db = grad_output.sum(axis=0)\n        h = grad_output * self.g\n"
    "        slope = (h * self.x_hat).mean(axis=1, keepdims=True)\n"
    "        return self.r * (h - h.mean(axis=1, keepdims=True) - self.x_hat * slope)\n",
    "10.1": "answer = 1 + 0.1 * 4 / abs(-4)  # corrected, m is g and s is g squared\n",
    "10.2": "def momentum(p, v, g, lr, mu):\n    v = mu * v + g\n    return p - lr * v, v\n",
    "10.3": _NUMPY + "def adam(p, m, s, g, t, lr):\n    m = 0.9 * m + 0.1 * g\n    s = 0.999 * s + 0.001 * g**2\n"
    "    m_hat, s_hat = m / (1 - 0.9**t), s / (1 - 0.999**t)\n"
    "    return p - lr * m_hat / (np.sqrt(s_hat) + 1e-8), m, s\n",
    "11.1": "answer = 2**24  # above it neighbours are 2 apart, and 2**24 + 1, half way, goes to the even one\n",
    "11.2": _NUMPY + "def dot_bound(x, y, u):\n    n = len(x)\n"
    "    return n * u / (1 - n * u) * np.sum(np.abs(x) * np.abs(y))\n",
    "11.3": _NUMPY + "def bce(z, y):\n    d = np.where(y == 1, z, -z)  # the loss is log(1 + e^-d)\n"
    "    return np.maximum(-d, 0) + np.log1p(np.exp(-np.abs(d)))\n",
    "12.1": "answer = 2 * (5 - 1) * 4 * 1_000_000 / 5  # 2 (p - 1) exchanges of a piece of a fifth\n",
    "12.2": "def combined(gradients, rows):\n    n = sum(rows)\n"
    "    return sum(rows_of_one / n * one for rows_of_one, one in zip(rows, gradients))\n",
    "12.3": "def reduce_scatter(pieces):\n    p, held = len(pieces), pieces.copy()\n    for s in range(p - 1):\n"
    "        for r in range(p):  # no piece is read in the exchange in which it is changed\n"
    "            held[r, (r - s - 1) % p] += held[r - 1, (r - s - 1) % p]\n    return held\n",
}
