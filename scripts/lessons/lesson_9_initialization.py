# %% [markdown]
# # Lesson 9: initialization and normalization
#
# **Answer to the last question.** What one layer leaves of it, to the power of twenty. If a layer halves the gradient,
# a millionth arrives; if it doubles it, a million times as much. Only a factor next to 1 lets a deep network learn, and
# before the first step that factor is decided by one number: the standard deviation $s$ of the weights.
#
# ## One layer, on average
#
# Let $z_j = \sum_i x_i W_{ij}$, with $n$ inputs and weights that are independent of $x$ and of each other, with mean 0
# and variance $s^2$. Of the square of the sum only the squares are left, as the mean of $W_{ij} W_{kj}$ is 0 for
# $i \ne k$; and the way back, $\bar x_i = \sum_j \bar z_j W_{ij}$ over $m$ outputs, is a sum of the same kind:
#
# $$ \mathrm{E}\, z_j^2 = n s^2\, \mathrm{E}\, x_i^2 , \qquad
# \mathrm{E}\, \bar x_i^2 = m s^2\, \mathrm{E}\, \bar z_j^2 . $$
#
# Then the activation. ReLU puts half of the $z$ to 0, which halves the mean square, and on the way back it puts the
# same half of the gradient to 0. $\tanh$ is next to the identity where $z$ is small, and halves nothing. For layers
# with as many outputs as inputs, both directions ask for the same:
#
# $$ \text{ReLU: } \frac{n s^2}{2} = 1, \quad s = \sqrt{2 / n} \ \text{(He)} ; \qquad
# \tanh\text{: } n s^2 = 1, \quad s = \sqrt{1 / n} \ \text{(Xavier)} . $$
#
# Where $n \ne m$ one cannot have both: Xavier takes the mean, $s^2 = 2 / (n + m)$, and He looks at one direction only.
# Take weights $c$ times as large, and the root mean square (RMS) of the values is multiplied by $c$ a layer, and so is
# that of the gradient.

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-9-initialization")
torch = lesson.torch()  # None where torch is not installed: then its part is left out
DEPTH, WIDTH, ROWS = 20, 100, 64
print("the factor of 20 layers:", ", ".join(f"{c}^20 = {float(c) ** 20:.1e}" for c in (0.5, 1, 2)))

# %% [markdown]
# ## Twenty layers, by hand
#
# A batch of normal noise goes forward and is noted after each activation; a gradient of normal noise comes back and is
# noted where it arrives at each $z$. There is a third thing to note, which the step is made of: the gradient of the
# weights, $\bar W = X^\top \bar Z$.

# %%
rng = np.random.default_rng(0)
batch, grad_output = rng.normal(size=(2, ROWS, WIDTH))
noise = rng.normal(size=(DEPTH, WIDTH, WIDTH))  # times s, the weights
DEVIATIONS = {"relu": np.sqrt(2 / WIDTH), "tanh": np.sqrt(1 / WIDTH)}


def rms(array):
    """The root mean square of all entries."""
    return np.sqrt(np.mean(array**2))


def by_hand(activation, s):
    """Three rows with a number for each layer: the RMS of its output, of the gradient at its z, of its weights'."""
    inputs, outputs = [], [batch]
    for w in s * noise:
        inputs.append(outputs[-1] @ w)
        outputs.append(np.maximum(inputs[-1], 0.0) if activation == "relu" else np.tanh(inputs[-1]))
    gradient, found = grad_output, []
    for layer in reversed(range(DEPTH)):
        slope = inputs[layer] > 0 if activation == "relu" else 1.0 - outputs[layer + 1] ** 2
        grad_z = gradient * slope
        found.insert(0, (rms(outputs[layer + 1]), rms(grad_z), rms(outputs[layer].T @ grad_z)))
        gradient = grad_z @ (s * noise[layer]).T
    return np.array(found).T


sizes = {(name, c): by_hand(name, c * s) for name, s in DEVIATIONS.items() for c in (0.5, 1, 2)}
heading = "".join(what.ljust(30) for what in ("RMS in layers 1, 10, 20", "activations", "gradient at z"))
print(f"{heading}gradient of the weights")
for (name, c), rows in sizes.items():
    numbers = ["  ".join(f"{v:.1e}" for v in row[[0, 9, 19]]).ljust(30) for row in rows]
    print(f"{name}, {c} times the right s".ljust(30) + "".join(numbers).rstrip())

# %% [markdown]
# The ReLU networks do what the formula says, to the twentieth power. Look at the last three columns: $\bar W$ is made
# of what comes from the left and what comes from the right, and where one has shrunk nineteen times the other has not
# shrunk yet. So in a ReLU network the weights of *all* layers get a gradient that is $c^{19}$ times what it should be:
# with half the right $s$ none of them moves, with twice the right $s$ every one is thrown out at the first step. (A
# bias gets $\bar z$ alone. With half the right $s$ the last one learns, and no other.)
#
# $\tanh$ is another story. With twice the right $s$ its values do not explode, since it cannot say more than 1; it
# saturates instead, the gradient grows on the way back, and the first layers get the most. Even with the right $s$ its
# values shrink slowly, because it is next to the identity and still below it.
#
# ## The same with the layers, and by torch


# %%
def network(s, norm=None, activation=nn.ReLU):
    """The same weights in layers, with a normalization between each of them and its activation."""
    layers = []
    for w in s * noise:
        linear = nn.Linear(WIDTH, WIDTH, bias=False, dtype=np.float64)
        linear.weight.data[...] = w
        layers += [linear, norm(WIDTH, eps=0.0, dtype=np.float64), activation()] if norm else [linear, activation()]
    return nn.Sequential(*layers)


def by_layers(net):
    """The three rows of before."""
    values, gradients, value, gradient = [], [], batch, grad_output
    for layer in net:
        value = layer.forward(value)
        if isinstance(layer, (nn.ReLU, nn.Tanh)):
            values.append(rms(value))
    for layer in reversed(net.layers):
        if isinstance(layer, nn.Linear):
            gradients.insert(0, rms(gradient))
        gradient = layer.backward(gradient)
    return np.array([values, gradients, [rms(layer.weight.grad) for layer in net if isinstance(layer, nn.Linear)]])


def by_torch(net):
    """The last row of them, by autograd."""
    from torch_ref import to_torch

    twin = to_torch(net)
    twin(torch.tensor(batch)).backward(torch.tensor(grad_output))
    return np.array([rms(layer.weight.grad.numpy()) for layer in twin if isinstance(layer, torch.nn.Linear)])


for name, activation in (("relu", nn.ReLU), ("tanh", nn.Tanh)):
    net, rows = network(DEVIATIONS[name], activation=activation), sizes[name, 1]
    print(f"{name}, relatively from by hand: layers {np.abs(by_layers(net) / rows - 1).max():.0e}", end="")
    print(f", torch {np.abs(by_torch(net) / rows[2] - 1).max():.0e}" if torch else "")

# %% [markdown]
# As a picture, with the $c^k$ of the formula as thin grey lines behind. Every step on these axes is a factor of a
# hundred.

# %%
TIMES = {2: "twice the right $s$", 1: "the right $s$", 0.5: "half the right $s$"}
figure, axes = plotting.panels(2, 2, 4.8, 3.1)
layers = np.arange(1, DEPTH + 1)
for column, name in enumerate(DEVIATIONS):
    for (c, times), style, mark in zip(TIMES.items(), plotting.CURVES, "^os", strict=False):
        for ax, powers, rows in zip(axes[:, column], (layers, DEPTH - layers), sizes[name, c], strict=False):
            ax.semilogy(layers, float(c) ** powers, color=plotting.GREY, linewidth=0.9)
            ax.semilogy(layers, rows, label=times, marker=mark, markersize=4, **style)
    for ax, direction in zip(axes[:, column], ("forward", "backward"), strict=True):
        ax.set(ylim=(1e-7, 1e7), xticks=[1, 5, 10, 15, 20], yticks=10.0 ** np.arange(-6, 7, 2))
        ax.set_title(f"{'ReLU' if name == 'relu' else 'tanh'}, {direction}")
    axes[1, column].set_xlabel("layer (1 is next to the input)")
axes[0, 0].set_ylabel("RMS of the values")
axes[1, 0].set_ylabel("RMS of the gradient at $z$")
axes[0, 0].legend(loc="upper left")
lesson.show(figure)

# %% [markdown]
# ## Normalization: measured, not hoped for
#
# The right $s$ is right on average and before the first step; afterwards the weights go where they like. Batch
# normalization puts things right at every step: of each column of $X$ it takes the mean $\mu$ away and divides by the
# standard deviation. Layer normalization does this with each row. Both then have a factor and a summand for each column
# that are learned, $\gamma$ and $\beta$. For one column (or row) of $n$ numbers,
#
# $$ \mu = \frac1n \sum_i x_i, \quad \sigma^2 = \frac1n \sum_i (x_i - \mu)^2, \quad
# r = \frac{1}{\sqrt{\sigma^2 + \varepsilon}}, \quad \hat x_i = r\,(x_i - \mu), \quad y_i = \gamma \hat x_i + \beta . $$
#
# Backward, $\bar y_i$ arrives, and with $h_i = \gamma\, \bar y_i$ for $\partial L / \partial \hat x_i$ there are three
# ways from $x_j$ to the loss: straight through $\hat x_j$, and through $\mu$ and $\sigma^2$, which see every $x_j$ and
# are seen by every $\hat x_i$. The derivatives are $\partial \mu / \partial x_j = 1 / n$ and
# $\partial \sigma^2 / \partial x_j = 2 (x_j - \mu) / n$, so $\partial r / \partial x_j = -r^3 (x_j - \mu) / n$ and
#
# $$ \frac{\partial \hat x_i}{\partial x_j} = r\,[i = j] - \frac{r}{n} - \frac{r}{n}\, \hat x_i \hat x_j . $$
#
# Times $h_i$ and summed over $i$, the three terms are $h_j$ and two means:
#
# $$ \bar x_j = r \left( h_j - \frac1n \sum_i h_i - \hat x_j\, \frac1n \sum_i h_i \hat x_i \right) . $$
#
# What is subtracted is the part of $h$ that would shift all $x$ alike and the part that would stretch them. Neither
# changes $\hat x$, so neither may come back. $\gamma$ and $\beta$ are shared by all rows, hence sums over the rows:
# $\bar\gamma = \sum \bar y\, \hat x$, $\bar\beta = \sum \bar y$.


# %%
def normalize(x, gamma, beta, axis, eps=1e-5):
    """Batch normalization with axis 0, layer normalization with axis 1."""
    centered = x - x.mean(axis, keepdims=True)
    r = 1.0 / np.sqrt((centered**2).mean(axis, keepdims=True) + eps)
    return gamma * (centered * r) + beta, (centered * r, r, gamma, axis)


def normalize_backward(grad_y, cache):
    """The gradients with respect to x, gamma and beta."""
    x_hat, r, gamma, axis = cache
    h = grad_y * gamma
    grad_x = r * (h - h.mean(axis, keepdims=True) - x_hat * (h * x_hat).mean(axis, keepdims=True))
    return grad_x, (grad_y * x_hat).sum(axis=0), grad_y.sum(axis=0)


# %% [markdown]
# By hand, by our layers and by torch, on six rows of four columns:

# %%
x, grad_y = rng.normal(3.0, 2.0, size=(6, 4)), rng.normal(size=(6, 4))
gamma, beta = rng.normal(size=(2, 4))
for name, axis, layer in (
    ("batch norm", 0, nn.BatchNorm1d(4, dtype=np.float64)),
    ("layer norm", 1, nn.LayerNorm(4, dtype=np.float64)),
):
    y, cache = normalize(x, gamma, beta, axis)
    ways = {"by hand": [y, *normalize_backward(grad_y, cache)]}
    layer.weight.data[...], layer.bias.data[...] = gamma, beta
    y = layer(x).copy()
    ways["layers"] = [y, layer.backward(grad_y), layer.weight.grad, layer.bias.grad]
    if torch:
        module = (torch.nn.LayerNorm if axis else torch.nn.BatchNorm1d)(4, dtype=torch.float64)
        module.weight.data, module.bias.data = torch.tensor(gamma), torch.tensor(beta)
        x_torch = torch.tensor(x, requires_grad=True)
        y_torch = module(x_torch)
        y_torch.backward(torch.tensor(grad_y))
        arrays = y_torch.detach(), x_torch.grad, module.weight.grad, module.bias.grad
        ways["torch"] = [array.numpy() for array in arrays]
    print(f"{name}: first entry".ljust(27), "".join(f"{way:12}" for way in ways) + "largest difference")
    for what, *arrays in zip(
        ("y", "gradient of x", "gradient of gamma", "gradient of beta"), *ways.values(), strict=True
    ):
        firsts = "  ".join(f"{array.flat[0]:+.7f}" for array in arrays)
        print(f"  {what:24} {firsts}  {np.ptp(arrays, axis=0).max():.1e}")

# %% [markdown]
# ## Twenty layers again
#
# A normalization takes out whatever factor the weights had: with $c W$ in place of $W$, $\hat x$ stays (but for
# $\varepsilon$, which is 0 here). So the three networks of before become one, and its gradient with respect to $z$ is
# $1 / c$ times as large: to the last bit, as a factor of 2 rounds nothing. But is it of the same size in every layer?

# %%
normalized = {}
print("RMS of the gradient at z, times c, in layers 1, 10, 20")
for name, norm in (("batch norm", nn.BatchNorm1d), ("layer norm", nn.LayerNorm)):
    for c in (0.5, 1, 2):
        rows = by_layers(network(c * DEVIATIONS["relu"], norm))
        normalized[name, c] = rows
        print(f"{name}, {c} times He's s".ljust(30), "  ".join(f"{c * v:.3f}" for v in rows[1][[0, 9, 19]]))
factor = np.sqrt(np.pi / (np.pi - 1.0))
print(f"a layer with batch norm, by the formula below: {factor:.3f}; 19 of them: {factor**19:.1f}")

# %% [markdown]
# With layer normalization it keeps its order of magnitude, though not more: what is left in layer 1 depends on the
# weights that were drawn. With batch normalization it grows on its way back, and that has a reason: behind ReLU every
# column has a mean above 0, and batch normalization takes it away. Of normal noise with variance 1, ReLU leaves the
# mean square $1/2$ but only the variance $\frac12 (1 - \frac1\pi)$, and it is by this smaller number that is divided.
# So the gradient is multiplied by $\sqrt{\pi / (\pi - 1)} \approx 1.211$ a layer: not much, and no $s$ changes it. In
# twenty layers one can live with it, in a hundred one cannot; residual networks, which add each layer's input to its
# output, are the way out.
#
# ## Does it learn?
#
# The moons of lesson 7, a network of twenty layers 32 wide, plain gradient descent with one learning rate for all.


# %%
x, y = nn.datasets.moons(200, rng=0, dtype=np.float64)


def losses_of(c, batch_norm, steps=100):
    """The loss at each step, up to the first that is not finite."""

    def init(weight, rng):
        nn.initializers.kaiming_normal_(weight, nonlinearity="relu", rng=rng)
        weight.data *= c

    net = nn.MLP([2, *[32] * 19, 2], batch_norm=batch_norm, init=init, rng=0, dtype=np.float64)
    loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(net.parameters(), lr=0.03)
    losses = []
    with np.errstate(over="ignore", invalid="ignore"):  # where it explodes
        while len(losses) < steps and (not losses or np.isfinite(losses[-1])):
            losses.append(nn.train_step(net, loss, optimizer, x, y))
    return np.array(losses)


curves = {(batch_norm, c): losses_of(c, batch_norm) for batch_norm in (False, True) for c in (0.5, 1, 2)}
for (batch_norm, c), losses in curves.items():
    name = f"{'with' if batch_norm else 'without'} batch norm, {c} times He's s"
    end = f"{losses[-1]:.3g}" if np.isfinite(losses[-1]) else f"not a number at step {len(losses) - 1}"
    print(f"{name:36} first loss {losses[0]:<10.3g} last {end}")

# %% [markdown]
# Without normalization one of three networks learns. With it all three do, and each of them better than that one. The
# network with half the right $s$ does not crash, it says 0.693 for ever: that is $\log 2$, the loss of one who knows
# nothing, and it is what a bad initialization looks like most of the time.

# %%
figure, (panels,) = plotting.panels(1, 2, 5.0, 3.9)
found = [
    ("no normalization", sizes["relu", 1]),
    *((name, normalized[name, 1]) for name in ("batch norm", "layer norm")),
]
for (name, rows), style, mark in zip(found, plotting.CURVES, "os^", strict=False):
    panels[0].semilogy(layers, rows[1], label=name, marker=mark, markersize=4, **style)
panels[0].set(title="the gradient by layer, He's $s$", ylabel="RMS of the gradient at $z$", xticks=[1, 5, 10, 15, 20])
panels[0].set_xlabel("layer (1 is next to the input)")
for ((batch_norm, c), losses), style in zip(curves.items(), plotting.CURVES, strict=True):
    shown = losses[np.isfinite(losses)]
    if len(shown) > 5:
        panels[1].semilogy(shown, label=f"{'batch norm' if batch_norm else 'none'}, {c} $s$", **style)
panels[1].set(title="training on the moons", xlabel="step", ylabel="cross-entropy")
panels[0].legend(loc="upper right")
panels[1].legend(loc="lower left")
lesson.show(figure, "training")

# %% [markdown]
# ## Exercises
#
# - **9.1** A layer has 300 inputs with RMS 3 and weights with mean 0 and standard deviation 0.05. What is the RMS of
#   its output after ReLU?
# - **9.2** Write batch_norm(x, eps): x of shape (n, columns) with each column brought to mean 0 and variance 1, eps
#   added to the variance, without gamma and beta.
# - **9.3** Write a class LayerNorm with g and b of shape (4,), made by LayerNorm(), and eps = 1e-5; forward(x)
#   normalizes each row of x and returns it times g plus b, backward(grad_output) returns the gradient with respect to
#   x, and sets dg and db.
#
# Write an answer into a file, and `numpy-nn exercise 9.1 my_answer.py` says what is wrong with it; `--solution` shows
# one.

# %% [markdown]
# ## A question
#
# Even with normalization the gradient of one layer is not as large as that of another, and neither is that of one
# weight beside the next. Yet one learning rate multiplies them all. Could each weight have one of its own, found from
# nothing but the gradients that it has seen?
