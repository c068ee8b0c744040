"""One network, tanh(x W1 + b1) W2 + b2, in the ways in which people keep parameters and gradients and call its passes.

A class is any of ``KEPT`` with any of ``CLAIMED`` and ``METHODS``, functions are any of ``GIVEN`` with any of
``RETURNED`` and ``FUNCTIONS``: ``STYLES`` has them all. Each is written out as source and then run, because the checker
reads the source too: what an argument is called, and what is returned. All gradients are right, or that of one
parameter is multiplied by a factor.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from itertools import product
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NAMES = ("W1", "b1", "W2", "b2")
WRONG = (("", 1.0), ("W1", 1.5), ("W2", -1.0), ("b1", 2.0))
"""The parameters whose gradient may be wrong, none first, and the factors."""

# How a class sets its parameters, and the expressions by which it finds W1, b1, W2, b2 again.
KEPT: dict[str, tuple[str, str]] = {
    "attributes": ("self.W1, self.b1, self.W2, self.b2 = W1, b1, W2, b2", "self.W1 self.b1 self.W2 self.b2"),
    "private": ("self._W1, self._b1, self._W2, self._b2 = W1, b1, W2, b2", "self._W1 self._b1 self._W2 self._b2"),
    "words": (
        "self.weights_1, self.bias_1, self.weights_2, self.bias_2 = W1, b1, W2, b2",
        "self.weights_1 self.bias_1 self.weights_2 self.bias_2",
    ),
    "hidden": (
        "self.W_hidden, self.b_hidden, self.W_output, self.b_output = W1, b1, W2, b2",
        "self.W_hidden self.b_hidden self.W_output self.b_output",
    ),
    "wih": ("self.wih, self.bh, self.who, self.bo = W1, b1, W2, b2", "self.wih self.bh self.who self.bo"),
    "two lists": (
        "self.weights, self.biases = [W1, W2], [b1, b2]",
        "self.weights[0] self.biases[0] self.weights[1] self.biases[1]",
    ),
    "W and b": ("self.W, self.b = [W1, W2], [b1, b2]", "self.W[0] self.b[0] self.W[1] self.b[1]"),
    "by number": ("self.w, self.b = {1: W1, 2: W2}, {1: b1, 2: b2}", "self.w[1] self.b[1] self.w[2] self.b[2]"),
    "dict": (
        "self.params = {'W1': W1, 'b1': b1, 'W2': W2, 'b2': b2}",
        "self.params['W1'] self.params['b1'] self.params['W2'] self.params['b2']",
    ),
    "list": ("self.params = [W1, b1, W2, b2]", "self.params[0] self.params[1] self.params[2] self.params[3]"),
    "pairs": (
        "self.params = [[W1, b1], [W2, b2]]",
        "self.params[0][0] self.params[0][1] self.params[1][0] self.params[1][1]",
    ),
    "tuples": (
        "self.params = [(W1, b1), (W2, b2)]",
        "self.params[0][0] self.params[0][1] self.params[1][0] self.params[1][1]",
    ),
    "dicts": (
        "self.layers = [{'W': W1, 'b': b1}, {'W': W2, 'b': b2}]",
        "self.layers[0]['W'] self.layers[0]['b'] self.layers[1]['W'] self.layers[1]['b']",
    ),
    "layers": (
        "self.layers = [Layer(W=W1, b=b1), Layer(W=W2, b=b2)]",
        "self.layers[0].W self.layers[0].b self.layers[1].W self.layers[1].b",
    ),
    "named layers": (
        "self.fc1, self.fc2 = Layer(weight=W1, bias=b1), Layer(weight=W2, bias=b2)",
        "self.fc1.weight self.fc1.bias self.fc2.weight self.fc2.bias",
    ),
    "dict and layers": (
        "self.params = {'W1': W1, 'b1': b1, 'W2': W2, 'b2': b2}; self.layers = [Layer(W=W1, b=b1), Layer(W=W2, b=b2)]",
        "self.layers[0].W self.layers[0].b self.layers[1].W self.layers[1].b",
    ),
}

# What is returned of the gradients dx, dW1, db1, dW2, db2.
RETURNED: dict[str, str] = {
    "in order": "dW1, db1, dW2, db2",
    "last first": "dW2, db2, dW1, db1",
    "list": "[dW1, db1, dW2, db2]",
    "pairs": "[(dW1, db1), (dW2, db2)]",
    "weights, biases": "[dW1, dW2], [db1, db2]",
    "dict": "{'W1': dW1, 'b1': db1, 'W2': dW2, 'b2': db2}",
    "dict of d": "{'dW1': dW1, 'db1': db1, 'dW2': dW2, 'db2': db2}",
    "dicts": "{'l1': {'W': dW1, 'b': db1}, 'l2': {'W': dW2, 'b': db2}}",
    "vector": "np.concatenate([dW1.ravel(), db1, dW2.ravel(), db2])",
    "with dx": "dx, dW1, db1, dW2, db2",
    "dx and dict": "dx, {'W1': dW1, 'b1': db1, 'W2': dW2, 'b2': db2}",
}

# What a class does with them beside that: a statement, and what it returns.
CLAIMED: dict[str, tuple[str, str]] = {
    "dW1": ("self.dW1, self.db1, self.dW2, self.db2 = dW1, db1, dW2, db2", "dx"),
    "W1_grad": ("self.W1_grad, self.b1_grad, self.W2_grad, self.b2_grad = dW1, db1, dW2, db2", "dx"),
    "grads": ("self.grads = {'W1': dW1, 'b1': db1, 'W2': dW2, 'b2': db2}", "dx"),
    "grads of d": ("self.grads = {'dW1': dW1, 'db1': db1, 'dW2': dW2, 'db2': db2}", "dx"),
    "gradients": ("self.gradients = {'W1': dW1, 'b1': db1, 'W2': dW2, 'b2': db2}", "None"),
    "grads in a list": ("self.grads = [dW1, db1, dW2, db2]", "dx"),
    "grads in pairs": ("self.grads = [(dW1, db1), (dW2, db2)]", "dx"),
    "dW and db": ("self.dW, self.db = [dW1, dW2], [db1, db2]", "dx"),
    "weight_gradients": ("self.weight_gradients, self.bias_gradients = [dW1, dW2], [db1, db2]", "dx"),
    "updates": ("W1 -= self.lr * dW1; b1 -= self.lr * db1; W2 -= self.lr * dW2; b2 -= self.lr * db2", "dx"),
    **{f"returns {name}": ("pass", returned) for name, returned in RETURNED.items()},
}

# The passes as a class has them: in the place of OUTPUT stand the formulas of h and out, of GRADIENTS those of the
# gradients from dL/d(out) = g and then the statement, of RETURNED what is returned.
METHODS: dict[str, str] = {
    "forward, backward": """
    def forward(self, x):
        OUTPUT
        self.x, self.h = x, h
        return out

    def backward(self, grad):
        x, h, g = self.x, self.h, grad
        GRADIENTS
        return RETURNED""",
    "feed_forward, backprop": """
    def feed_forward(self, X):
        x = self.inputs = X
        OUTPUT
        self.hidden_values = h
        return out

    def backprop(self, grad_output):
        x, h, g = self.inputs, self.hidden_values, grad_output
        GRADIENTS
        return RETURNED""",
    "backward(x, g)": """
    def forward(self, x):
        OUTPUT
        return out

    def backward(self, x, g):
        OUTPUT
        GRADIENTS
        return RETURNED""",
    "__call__": """
    def __call__(self, x):
        OUTPUT
        self.cache = x, h
        return out

    def backward(self, dout):
        (x, h), g = self.cache, dout
        GRADIENTS
        return RETURNED""",
    "backward(x, y)": """
    def forward(self, x):
        OUTPUT
        return out

    def backward(self, x, y):
        OUTPUT
        g = 2 * (out - y) / y.size
        GRADIENTS
        return RETURNED""",
    "loss, gradient": """
    def loss(self, x, y):
        OUTPUT
        return np.mean((out - y) ** 2)

    def gradient(self, x, y):
        OUTPUT
        g = 2 * (out - y) / y.size
        GRADIENTS
        return RETURNED""",
    "loss with gradients": """
    def loss(self, x, y):
        OUTPUT
        g = 2 * (out - y) / y.size
        GRADIENTS
        return np.mean((out - y) ** 2), (RETURNED)""",
    "loss alone": """
    def loss(self, x, y):
        OUTPUT
        g = 2 * (out - y) / y.size
        GRADIENTS
        return np.mean((out - y) ** 2)""",
}

# How functions are given their parameters: the arguments, how they are read, and how they are made of W1, b1, W2, b2.
GIVEN: dict[str, tuple[str, str, Callable[..., tuple[Any, ...]]]] = {
    "one by one": ("W1, b1, W2, b2", "pass", lambda *v: v),
    "dict": (
        "params",
        "W1, b1, W2, b2 = params['W1'], params['b1'], params['W2'], params['b2']",
        lambda *v: (dict(zip(NAMES, v, strict=True)),),
    ),
    "parameters": (
        "parameters",
        "W1, b1, W2, b2 = (parameters[name] for name in ('W1', 'b1', 'W2', 'b2'))",
        lambda *v: (dict(zip(NAMES, v, strict=True)),),
    ),
    "list": ("params", "W1, b1, W2, b2 = params", lambda *v: (list(v),)),
    "pairs": ("layers", "(W1, b1), (W2, b2) = layers", lambda *v: ([v[:2], v[2:]],)),
    "weights, biases": (
        "weights, biases",
        "(W1, W2), (b1, b2) = weights, biases",
        lambda *v: (list(v[::2]), list(v[1::2])),
    ),
    "dicts": (
        "theta",
        "(W1, b1), (W2, b2) = (layer.values() for layer in theta.values())",
        lambda *v: ({f"l{i // 2 + 1}": {"W": v[i], "b": v[i + 1]} for i in (0, 2)},),
    ),
}

# Functions, in the same way; PARAMS stands for the arguments, and READ for how they are read. Which are called, and
# with what.
FUNCTIONS: dict[str, tuple[str, str, str]] = {
    "out, cache": ("forward backward", "x PARAMS", """
def forward(x, PARAMS):
    READ
    OUTPUT
    return out, (x, W1, b1, W2, b2, h)

def backward(dout, cache):
    (x, W1, b1, W2, b2, h), g = cache, dout
    GRADIENTS
    return RETURNED"""),
    "parameters first": ("forward backward", "PARAMS x", """
def forward(PARAMS, x):
    READ
    OUTPUT
    return out, {'x': x, 'W1': W1, 'W2': W2, 'h': h}

def backward(cache, grad):
    x, W1, W2, h = cache['x'], cache['W1'], cache['W2'], cache['h']
    g = grad
    GRADIENTS
    return RETURNED"""),
    "inputs again": ("forward backward", "PARAMS x", """
def forward(PARAMS, x):
    READ
    OUTPUT
    return out

def backward(PARAMS, x, g):
    READ
    OUTPUT
    GRADIENTS
    return RETURNED"""),
    "loss with gradients": ("loss", "x y PARAMS", """
def loss(x, y, PARAMS):
    READ
    OUTPUT
    g = 2 * (out - y) / y.size
    GRADIENTS
    return np.mean((out - y) ** 2), (RETURNED)"""),
    "loss, gradient": ("loss gradient", "PARAMS x y", """
def loss(PARAMS, x, y):
    READ
    OUTPUT
    return np.mean((out - y) ** 2)

def gradient(PARAMS, x, y):
    READ
    OUTPUT
    g = 2 * (out - y) / y.size
    GRADIENTS
    return RETURNED"""),
    "backward_propagation": ("forward_propagation backward_propagation", "x PARAMS", """
def forward_propagation(X, PARAMS):
    READ
    x = X
    OUTPUT
    return out, {'h': h, 'out': out}

def backward_propagation(PARAMS, cache, X, Y):
    READ
    x, h = X, cache['h']
    g = 2 * (cache['out'] - Y) / Y.size
    GRADIENTS
    return RETURNED"""),
}  # fmt: skip

OUTPUT = "h = np.tanh(x @ W1 + b1); out = h @ W2 + b2"
GRADIENTS = (
    "dW2, db2, dh = h.T @ g, g.sum(axis=0), g @ W2.T * (1 - h**2)",
    "dW1, db1, dx = x.T @ dh, dh.sum(axis=0), dh @ W1.T",
)


class Style(NamedTuple):
    """A class (``passes`` in ``METHODS``) or functions (in ``FUNCTIONS``), where parameters and where gradients are."""

    passes: str
    parameters: str
    gradients: str

    def __str__(self) -> str:
        kind = "class" if self.is_class else "functions"
        return f"{kind} {self.passes}; parameters: {self.parameters}; gradients: {self.gradients}"

    def source(self, wrong: str, factor: float) -> str:
        """The class ``Net``, or the functions, as people write them, with that gradient times that factor."""
        lines = [*GRADIENTS, f"d{wrong} = {factor} * d{wrong}"] if wrong else [*GRADIENTS]
        read = "W1, b1, W2, b2 = " + ", ".join(KEPT[self.parameters][1].split()) if self.is_class else ""
        if self.is_class:
            statement, returned = CLAIMED[self.gradients]
            lines.append(statement)
            text = _CLASS.replace("PUT", KEPT[self.parameters][0]) + METHODS[self.passes].replace(
                "        OUTPUT", f"        {read}\n        OUTPUT"
            )
            if "OUTPUT\n        GRADIENTS" not in METHODS[self.passes]:
                lines.insert(0, read)  # a backward pass that does not go forward again
        else:
            arguments, unpacked, _ = GIVEN[self.parameters]
            returned = RETURNED[self.gradients]
            text = FUNCTIONS[self.passes][2].replace("PARAMS", arguments).replace("READ", unpacked)
        indent = " " * (8 if self.is_class else 4)
        text = text.replace("RETURNED", returned).replace("OUTPUT", OUTPUT)
        return "import numpy as np\n" + text.replace(
            f"{indent}GRADIENTS", "".join(f"{indent}{line}\n" for line in lines)
        )

    @property
    def is_class(self) -> bool:
        """Whether it is one, or else functions."""
        return self.gradients in CLAIMED

    @property
    def has_targets(self) -> bool:
        """Whether the targets are given apart."""
        return (
            self.passes in ("backward(x, y)", "loss, gradient", "loss with gradients", "loss alone") and self.is_class
        )

    def make(self, rng: np.random.Generator, wrong: str = "", factor: float = 1.0) -> tuple[Any, ...]:
        """The arguments of ``check_gradients``: the network with random parameters, of random shapes or square ones."""
        square = bool(rng.integers(0, 2))
        batch, *widths = (int(n) for n in rng.permutation(np.arange(3, 9))[:4])
        fan_in, hidden, out = [widths[0]] * 3 if square else widths
        shapes = ((fan_in, hidden), (hidden,), (hidden, out), (out,))
        values = [rng.standard_normal(shape) / 1.5 for shape in shapes]
        x, y = rng.standard_normal((batch, fan_in)), rng.standard_normal((batch, out))
        names = _run(self.source(wrong, factor), f"<{self}, {wrong}>")
        if self.is_class:
            return names["Net"](*values), x, y if self.has_targets else None
        called, given, _ = FUNCTIONS[self.passes]
        by_name = dict(zip(GIVEN[self.parameters][0].split(", "), GIVEN[self.parameters][2](*values), strict=True))
        arguments: list[Any] = []
        for name in given.split():
            arguments += by_name.values() if name == "PARAMS" else [x if name == "x" else y]
        functions = tuple(names[name] for name in called.split())
        targets = y if self.passes == "backward_propagation" else None
        return functions if len(functions) > 1 else functions[0], tuple(arguments), targets


_CLASS = """
class Net:
    def __init__(self, W1, b1, W2, b2):
        PUT
        self.lr = 0.1
"""


def _run(source: str, name: str) -> dict[str, Any]:
    """The names that a source defines; it can be read by ``inspect`` as that of a file can."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    names: dict[str, Any] = {"Layer": SimpleNamespace, "__name__": "a_style"}
    exec(compile(source, name, "exec"), names)
    return names


def _fit(passes: str, gradients: str) -> bool:
    """Whether a class may have both: a loss that returns its value alone leaves the gradients, another returns them."""
    returns = gradients.startswith("returns")
    return {"loss alone": not returns and gradients != "updates", "loss with gradients": returns}.get(passes, True)


STYLES = [
    *(Style(*style) for style in product(METHODS, KEPT, CLAIMED) if _fit(style[0], style[2])),
    *(Style(*style) for style in product(FUNCTIONS, GIVEN, RETURNED)),
]
