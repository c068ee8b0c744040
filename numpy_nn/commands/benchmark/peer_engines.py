"""Other people's engines, where they are installed: scikit-learn's MLPClassifier, and JAX compiled by XLA."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from numpy_nn.commands.benchmark.cases import MOMENTUM
from numpy_nn.commands.benchmark.engine import NetworkEngine
from numpy_nn.commands.benchmark.workload import Workload


class ScikitLearn(NetworkEngine):
    """MLPClassifier.partial_fit: a step is a call with one batch, an epoch a call with all rows.

    It begins with weights of its own; they are overwritten in place, and what its optimizer remembers of the first
    call, which has to come before, is set to 0. Adam's epsilon is not corrected as in torch, which is no matter of
    time.
    """

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        from sklearn.neural_network import MLPClassifier

        case = self.case
        self.x, self.y = workload.first_batch
        self.net = MLPClassifier(
            case.sizes[1:-1],
            activation="relu",
            solver="adam" if case.optimizer == "adam" else "sgd",
            alpha=0.0,
            batch_size=min(case.batches[0], len(self.x)),
            learning_rate_init=case.learning_rate,
            momentum=MOMENTUM if case.optimizer == "momentum" else 0.0,
            nesterovs_momentum=False,
            shuffle=case.kind == "epoch",
            random_state=workload.seed,
        )
        self.net.partial_fit(self.x, self.y, classes=np.arange(case.sizes[-1]))
        for index, (weight, bias) in enumerate(workload.weights):
            self.net.coefs_[index][...] = weight
            self.net.intercepts_[index][...] = bias
        optimizer = self.net._optimizer
        for name in ("velocities", "ms", "vs"):
            for array in getattr(optimizer, name, ()):
                array[...] = 0.0
        if case.optimizer == "adam":
            optimizer.t = 0

    def prepare(self) -> None:
        """Nothing: a fit begins by itself."""

    def loss(self) -> float:
        p = self.net.predict_proba(self.x).astype(np.float64)
        return float(-np.log(p[np.arange(len(p)), self.y]).mean())

    def parameters(self) -> list[NDArray[Any]]:
        layers = zip(self.net.coefs_, self.net.intercepts_, strict=True)
        return [np.array(array) for layer in layers for array in layer]

    def step(self) -> None:
        self.net.partial_fit(self.x, self.y)

    def epoch(self) -> None:
        self.net.partial_fit(self.workload.x, self.workload.y)
        self.mean_loss = self.net.loss_

    def inference(self) -> None:
        for start in range(0, self.case.rows, self.case.batch):
            self.net.predict_proba(self.workload.x[start : start + self.case.batch])


def limit_jax_threads(threads: int) -> None:
    """Let XLA's pool on the CPU have this many threads; to be called before JAX first computes.

    XLA reads ``NPROC``, which its authors made for their own machines, and counts the processors without it.
    """
    os.environ["NPROC"] = str(threads)


class Jax(NetworkEngine):
    """JAX on the CPU: a step, and an epoch as one scan over the batches, each compiled as a whole."""

    pool: ClassVar[str] = "xla"
    python_memory: ClassVar[bool] = False

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        import jax

        self.adapts = False  # its threads are counted when it first computes
        self.result: Any = ()  # what the last call is still computing
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", True)  # or float64 would silently be float32
        self.jax = jax
        self.weights = jax.tree.map(jax.numpy.asarray, workload.weights)
        self.state = _initial_state(self.case.optimizer, self.weights)
        self.x_all = jax.numpy.asarray(workload.x)
        self.y_all = jax.numpy.asarray(workload.y.astype(np.int32))
        self.x, self.y = self.x_all[: self.case.batch], self.y_all[: self.case.batch]
        self.rng = workload.orders()
        update = partial(_update, self.case.optimizer, self.case.learning_rate)
        step, epoch = partial(_step, update), partial(_epoch, update, self.case.batch)
        self._loss = jax.jit(_loss)
        self._grad = jax.jit(jax.grad(_loss))
        self._logits = jax.jit(_logits)
        self._update = jax.jit(lambda weights, state, g: update(weights, state, g), donate_argnums=(0, 1))
        self._step, self._epoch = (jax.jit(f, donate_argnums=(0, 1)) for f in (step, epoch))

    def seconds(self, n: int) -> float:
        started = time.perf_counter()
        for _ in range(n):
            self.work()
        self.jax.block_until_ready(self.result)
        return time.perf_counter() - started

    def thread_setter(self) -> None:
        return None

    def prepare(self) -> None:
        self.gradient = self._grad(self.weights, self.x, self.y)

    def loss(self) -> float:
        return float(self._loss(self.weights, self.x, self.y))

    def parameters(self) -> list[NDArray[Any]]:
        return [np.array(array) for layer in self.weights for array in layer]

    def forward(self) -> None:
        self.result = self._loss(self.weights, self.x, self.y)

    def optimizer(self) -> None:
        self.weights, self.state = self._update(self.weights, self.state, self.gradient)
        self.result = self.weights

    def step(self) -> None:
        self.weights, self.state, self.result = self._step(self.weights, self.state, self.x, self.y)

    def epoch(self) -> None:
        order = self.rng.permutation(self.case.rows).astype(np.int32)
        data = self.x_all, self.y_all, order
        self.weights, self.state, self.result = self._epoch(self.weights, self.state, *data)
        self.mean_loss = self.result

    def inference(self) -> None:
        starts = range(0, self.case.rows, self.case.batch)
        self.result = [self._logits(self.weights, self.x_all[start : start + self.case.batch]) for start in starts]


def _logits(weights: Any, x: Any) -> Any:
    import jax

    for weight, bias in weights[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = weights[-1]
    return x @ weight + bias


def _loss(weights: Any, x: Any, y: Any) -> Any:
    import jax

    z = jax.nn.log_softmax(_logits(weights, x))
    return -jax.numpy.take_along_axis(z, y[:, None], axis=1).mean()


def _initial_state(optimizer: str, weights: Any) -> Any:
    import jax

    zeros = [
        jax.tree.map(jax.numpy.zeros_like, weights) for _ in range({"sgd": 0, "momentum": 1, "adam": 2}[optimizer])
    ]
    return (jax.numpy.zeros((), jax.numpy.int32), *zeros)


def _update(optimizer: str, rate: float, weights: Any, state: Any, g: Any) -> tuple[Any, Any]:
    import jax

    jnp, each = jax.numpy, jax.tree.map
    t = state[0] + 1
    if optimizer == "sgd":
        return each(lambda p, g: p - rate * g, weights, g), (t,)
    if optimizer == "momentum":
        velocity = each(lambda v, g: MOMENTUM * v + g, state[1], g)
        return each(lambda p, v: p - rate * v, weights, velocity), (t, velocity)
    beta1, beta2, eps = 0.9, 0.999, 1e-8
    m = each(lambda m, g: beta1 * m + (1.0 - beta1) * g, state[1], g)
    v = each(lambda v, g: beta2 * v + (1.0 - beta2) * g * g, state[2], g)

    def moved(p: Any, m: Any, v: Any) -> Any:
        power = t.astype(p.dtype)
        c1, c2 = 1.0 - beta1**power, jnp.sqrt(1.0 - beta2**power)
        return p - (rate * c2 / c1) * m / (jnp.sqrt(v) + eps * c2)

    return each(moved, weights, m, v), (t, m, v)


Update = Callable[[Any, Any, Any], tuple[Any, Any]]


def _step(update: Update, weights: Any, state: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    import jax

    value, g = jax.value_and_grad(_loss)(weights, x, y)
    return *update(weights, state, g), value


def _epoch(update: Update, batch: int, weights: Any, state: Any, x: Any, y: Any, order: Any) -> tuple[Any, Any, Any]:
    import jax

    def body(carry: Any, rows: Any) -> tuple[Any, Any]:
        weights, state, value = _step(update, carry[0], carry[1], x[rows], y[rows])
        return (weights, state), value * len(rows)

    whole = len(order) // batch * batch
    carry, values = jax.lax.scan(body, (weights, state), order[:whole].reshape(-1, batch))
    total = values.sum()
    if whole < len(order):
        carry, last = body(carry, order[whole:])
        total += last
    return *carry, total / len(order)
