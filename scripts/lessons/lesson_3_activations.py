# %% [markdown]
# # Lesson 3: activations
#
# **Answer to the last question.** The size of their derivatives. The sigmoid's is at most $1/4$, and next to nothing
# away from 0. Going backwards through many layers, the gradient is multiplied by one such factor a layer, and by the
# tenth little is left. ReLU's derivative is 1 wherever the unit is on. This lesson first draws every activation that
# `numpy_nn` knows, then measures what this means in a network of ten layers.
#
# These lessons follow, in their order, a chapter of a Chinese course in deep learning with PyTorch: the perceptron,
# XOR, and the multilayer perceptron, at the end on MNIST. We call it the tutorial, and its numbers stand beside ours.
# Its three activations first:
#
# $$
# \begin{aligned}
# \sigma(x) &= \frac{1}{1 + e^{-x}} & \sigma'(x) &= \sigma(x)\,(1 - \sigma(x)) \\
# \mathrm{ReLU}(x) &= \max(x, 0) & \mathrm{ReLU}'(x) &= [x > 0] \\
# \tanh(x) &= \frac{e^x - e^{-x}}{e^x + e^{-x}} & \tanh'(x) &= 1 - \tanh^2(x)
# \end{aligned}
# $$

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-3-activations")
torch = lesson.torch()  # None where torch is not installed: then its part is left out
if torch:
    from torch_ref import loss_to_torch, to_torch

for name in ("sigmoid", "relu", "tanh"):
    entry = nn.ACTIVATIONS[name]
    at = np.array([-8.0, -2.0, 0.0, 2.0, 8.0])
    print(f"{name:8}  x          ", "  ".join(f"{v:10.4g}" for v in at))
    print(f"{'':8}  value      ", "  ".join(f"{v:10.4g}" for v in entry.function(at)))
    print(f"{'':8}  derivative ", "  ".join(f"{v:10.4g}" for v in entry.derivative(at)))

# %% [markdown]
# ReLU has no derivative at 0; like torch we take 0 there, and it does not matter in practice.
#
# ## Every one of them, ours over torch's
#
# Each activation is a layer, with a `forward` and a `backward` of our own. Its twin in torch computes the derivative by
# autograd. With $s$ for the sigmoid, $\Phi$ and $\varphi$ for the distribution function and the density of the normal
# distribution, $[\,\cdot\,]$ for 1 where the condition holds and 0 where not, and the options at their defaults:
#
# $$
# \begin{aligned}
# &\text{identity} & f(x) &= x & f'(x) &= 1 \\
# &\text{LeakyReLU} & f(x) &= \max(x, 0) + 0.01 \min(x, 0) & f'(x) &= 1 \text{ or } 0.01 \\
# &\text{PReLU} & f(x) &= \max(x, 0) + a \min(x, 0), \; a \text{ learned} & f'(x) &= 1 \text{ or } a \\
# &\text{ELU} & f(x) &= \max(x, 0) + e^{\min(x, 0)} - 1 & f'(x) &= 1 \text{ or } e^x \\
# &\text{SELU} & f(x) &= \lambda\,\bigl(\max(x, 0) + \alpha\,(e^{\min(x, 0)} - 1)\bigr)
#   & f'(x) &= \lambda \text{ or } \lambda\,\alpha\, e^x \\
# &\text{GELU} & f(x) &= x\, \Phi(x) & f'(x) &= \Phi(x) + x\, \varphi(x) \\
# &\text{SiLU} & f(x) &= x\, s(x) & f'(x) &= s(x)\,(1 + x\, s(-x)) \\
# &\text{Mish} & f(x) &= x \tanh(\log(1 + e^x)), \; t = f(x) / x & f'(x) &= t + x\,(1 - t^2)\, s(x) \\
# &\text{Softplus} & f(x) &= \log(1 + e^x) & f'(x) &= s(x) \\
# &\text{LogSigmoid} & f(x) &= -\log(1 + e^{-x}) & f'(x) &= s(-x) \\
# &\text{Softsign} & f(x) &= x / (1 + |x|) & f'(x) &= 1 / (1 + |x|)^2 \\
# &\text{Hardtanh} & f(x) &= \min(\max(x, -1), 1) & f'(x) &= [-1 < x < 1] \\
# &\text{ReLU6} & f(x) &= \min(\max(x, 0), 6) & f'(x) &= [0 < x < 6] \\
# &\text{Hardsigmoid} & f(x) &= \min(\max(x + 3, 0), 6) / 6 & f'(x) &= [-3 < x < 3] / 6 \\
# &\text{Hardswish} & f(x) &= x \min(\max(x + 3, 0), 6) / 6 & f'(x) &= 0, \; (2x + 3) / 6 \text{ or } 1 \\
# &\text{softmax} & p_i &= e^{x_i} / \textstyle\sum_k e^{x_k} & \partial p_i / \partial x_j &= p_i\,([i = j] - p_j) \\
# &\text{log-softmax} & l_i &= x_i - \log \textstyle\sum_k e^{x_k} & \partial l_i / \partial x_j &= [i = j] - p_j
# \end{aligned}
# $$
#
# Where two derivatives are given, the first holds for $x > 0$, the second for $x < 0$; Hardswish's three hold below
# $-3$, between, and above $3$. SELU's $\lambda \approx 1.0507$ and $\alpha \approx 1.6733$ are such that mean 0 and
# variance 1 stay from layer to layer.
#
# Softmax and log-softmax do not work entry by entry: they take a whole row. For these we draw the first entry
# of the answer for the rows $(x, 0, 0)$, and its derivative by $x$. One difference below is far above the others: torch
# has the 1/6 of Hardsigmoid's derivative in single precision, whatever the type of the numbers.


# %%
def by_torch(layer, rows, grad_output):
    """Value and derivative of the layer's twin."""
    x = torch.tensor(rows, requires_grad=True)
    value = to_torch(layer)(x)
    value.backward(torch.tensor(grad_output))
    return value.detach().numpy()[:, 0], x.grad.numpy()[:, 0]


t = np.linspace(-8.0, 8.0, 1601)
names = ["sigmoid", "relu", "tanh"]
names += [name for name in nn.ACTIVATIONS if name not in names]
ours, theirs = {}, {}
if torch:
    print(f"{'':12}{'largest difference from torch, -8 .. 8':>42}\n{'':12}{'value':>21}{'derivative':>21}")
for name in names:
    layer = nn.ACTIVATION_LAYERS[name](**({"dtype": np.float64} if name == "prelu" else {}))
    rows = np.zeros((len(t), 1 if nn.ACTIVATIONS[name].elementwise else 3))
    grad_output = np.zeros_like(rows)
    rows[:, 0], grad_output[:, 0] = t, 1.0

    ours[name] = layer(rows)[:, 0].copy(), layer.backward(grad_output)[:, 0].copy()
    if torch:
        theirs[name] = by_torch(layer, rows, grad_output)
        off = [np.abs(one - other).max() for one, other in zip(ours[name], theirs[name], strict=True)]
        print(f"{name:12}{off[0]:21.1e}{off[1]:21.1e}")

# %%
figure, axes = plotting.panels(7, 3, 2.8, 1.7)
for ax, name in zip(axes.flat, names, strict=False):
    for k, (what, color, dashes) in enumerate((("value", plotting.SKY, "-"), ("derivative", "#F3B48B", "--"))):
        ax.plot(t, ours[name][k], color=color, linewidth=4.5, label=f"{what}, ours")
        if torch:
            ax.plot(t, theirs[name][k], color=plotting.BLACK, linewidth=1.2, linestyle=dashes, label=f"{what}, torch")
    low, high = np.min(ours[name]), np.max(ours[name])
    ax.set(title=name, xlabel="$x$", xlim=(-8, 8), xticks=range(-8, 9, 4))
    ax.set_ylim(max(low, -2.0) - 0.15, min(high, 2.5) + 0.15)
for ax in axes[:, 0]:
    ax.set_ylabel("value, derivative")
axes.flat[-1].set_axis_off()
axes.flat[-1].legend(*axes.flat[0].get_legend_handles_labels(), loc="center")
lesson.show(figure)

# %% [markdown]
# ## Saturation
#
# Where the curve is flat, the derivative is next to 0, and a unit that got there hardly learns: it is saturated. For
# the sigmoid:

# %%
for x in (0.0, 2.0, 4.0, 8.0, 16.0):
    slope = nn.activations.sigmoid_derivative(np.array([x]))[0]
    print(f"sigmoid'({x:4.0f}) = {slope:.2e}   through ten layers like this: {slope**10:.1e}")

# %% [markdown]
# Even in the best case, at 0, ten sigmoids leave a millionth: $(1/4)^{10} \approx 10^{-6}$.
#
# ## The vanishing gradient, measured
#
# A network of ten weight layers, each 100 wide, ten classes, a batch of 64 rows of normal noise. One forward pass;
# then the backward pass, by hand: it is a loop that asks one layer after the other, from the last to the first, to turn
# the gradient of its output into that of its input. On the way we note the length of the gradient
# $\partial L / \partial z_k$ that arrives at each `Linear` layer's output $z_k$. torch's autograd gets the same.

# %%
rng = np.random.default_rng(0)
batch, labels = rng.normal(size=(64, 100)), rng.integers(0, 10, 64)


def norms_by_torch(net, loss):
    """The same norms, by autograd."""
    outputs, z = [], torch.tensor(batch)
    for module in to_torch(net):
        z = module(z)
        if isinstance(module, torch.nn.Linear):
            z.retain_grad()
            outputs.append(z)
    loss_to_torch(loss)(z, torch.tensor(labels)).backward()
    return np.array([output.grad.norm().item() for output in outputs])


def gradient_norms(activation, init=None):
    """The norm of the gradient that arrives at each of ten layers; and how far torch's are, relatively."""
    net = nn.MLP([100] * 10 + [10], activation, init=init, rng=0, dtype=np.float64)
    loss = nn.CrossEntropyLoss()
    loss(net(batch), labels)
    norms, gradient = [], loss.backward()
    for layer in reversed(net.layers):
        if isinstance(layer, nn.Linear):
            norms.insert(0, np.linalg.norm(gradient))
        gradient = layer.backward(gradient)
    return np.array(norms), np.abs(norms / norms_by_torch(net, loss) - 1).max() if torch else None


def show(found):
    """A line for each network."""
    for name, (norms, off) in found.items():
        beside = f"  relatively from torch: {off:.0e}" if torch else ""
        print(f"{name:18}", "  ".join(f"{v:8.1e}" for v in norms[::3]), beside)


by_activation = {name: gradient_norms(name, nn.initializers.xavier_normal_) for name in ("sigmoid", "tanh", "relu")}
print("weights from Xavier's normal; the norm of the gradient in layers 1, 4, 7, 10")
show(by_activation)

# %% [markdown]
# In the sigmoid network the first layer gets a few millionths of what the last one gets: while the last layer learns,
# the first stands still. $\tanh$, whose slope at 0 is 1, passes nearly all of it on; ReLU loses a little more than one
# digit, and that is not its own fault but that of the weights:
#
# ## Initializers against each other
#
# The weights matter as much as the activation: going backwards, each layer multiplies by $W^\top$ too. With weights of
# standard deviation $s$ and 100 inputs, half of whose ReLUs are on, the expected square is multiplied by
# $100\, s^2 / 2$ a layer. Kaiming's $s = \sqrt{2 / 100}$ makes this 1. Smaller weights make the gradient vanish, larger
# ones make it explode, ReLU or not.

# %%
initializers = {
    "N(0, 1)": lambda weight, rng: nn.initializers.normal_(weight, std=1.0, rng=rng),
    "Kaiming": nn.initializers.kaiming_normal_,
    "Xavier": nn.initializers.xavier_normal_,
    "torch's default": None,
    "N(0, 0.01²)": lambda weight, rng: nn.initializers.normal_(weight, std=0.01, rng=rng),
}
by_initializer = {name: gradient_norms("relu", init) for name, init in initializers.items()}
print("ReLU; the norm of the gradient in layers 1, 4, 7, 10")
show(by_initializer)

# %% [markdown]
# torch's default for `Linear` is a compromise for every use; in a deep ReLU network it loses more than three digits on
# the way. Weights from $N(0, 1)$ are what lesson 5 starts with, weights from $N(0, 0.01^2)$ what lesson 6 starts with:
# with two layers both work, with ten you see above what would become of them.

# %%
figure, (panels,) = plotting.panels(1, 2, 5.0, 3.8)
depth = np.arange(1, 11)
for ax, found, title in zip(
    panels, (by_activation, by_initializer), ("activations, Xavier's weights", "initializers, ReLU"), strict=True
):
    for (name, (norms, _)), style, mark in zip(found.items(), plotting.CURVES, "osD^v", strict=False):
        ax.semilogy(depth, norms, label=name, marker=mark, markersize=5, **style)
    ax.set(title=title, xlabel="layer (1 is next to the input)", xticks=depth)
    ax.set_ylabel(r"norm of the gradient, $\|\partial L / \partial z_k\|$")
panels[0].legend(loc="lower right")
panels[1].legend(loc="lower right")
lesson.show(figure, "gradients")

# %% [markdown]
# ## Exercises
#
# - **3.1** What is the derivative of the sigmoid at x = log 3?
# - **3.2** Write softsign_derivative(x) for an array x, where softsign(x) = x / (1 + |x|).
# - **3.3** Write elu_derivative(x, alpha) for an array x.
#
# Write an answer into a file, and `numpy-nn exercise 3.1 my_answer.py` says what is wrong with it; `--solution` shows
# one.

# %% [markdown]
# ## A question
#
# What if we leave the activation out altogether? Then nothing saturates and nothing dies: a network of, say, three
# linear layers, $W_1$, $W_2$, $W_3$. What can it learn that one layer cannot?
