# %% [markdown]
# # Lesson 8: the backward pass, step by step
#
# **Answer to the last question.** Two forward passes for each of 50,890 weights, each half a step long: one step takes
# as long as 50,890 steps by backpropagation. We measure what that comes to for five epochs:

# %%
import copy
import time

import numpy as np

import numpy_nn as nn
from numpy_nn.commands.main import start as numpy_nn_command
from numpy_nn.gradcheck import derivative
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-8-backward-pass")
torch = lesson.torch()  # None where torch is not installed: then its part is left out
rng = np.random.default_rng(0)

digits = nn.MLP([784, 64, 10], rng=0)
loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(digits.parameters(), lr=0.1)
images, labels = rng.random((64, 784), np.float32), rng.integers(0, 10, 64)
began = time.perf_counter()
for _ in range(200):
    nn.train_step(digits, loss, optimizer, images, labels)
seconds = (time.perf_counter() - began) / 200 * 4690
print(f"4690 steps by backpropagation: {seconds:.1f} s")
print(f"4690 steps by numerical derivatives: {seconds * digits.parameters().size / 3600:.0f} hours")

# %% [markdown]
# Backpropagation gets all 50,890 derivatives for about the price of one forward pass more. That is its whole point, and
# it is possible because the same products are used again and again: the gradient that arrives at a layer serves every
# weight in it, and everything in front of it.
#
# This lesson has one small network, 4-5-3 with ReLU, two samples, and one step of training. First as two loops
# over its layers, in which we keep every array. The inputs and the weights are rounded to two decimals, so that you can
# redo a product by hand.

# %%
np.set_printoptions(precision=4, suppress=True)
rng = np.random.default_rng(0)
net = nn.MLP([4, 5, 3], "relu", rng=rng, dtype=np.float64)
for p in net.parameters():
    np.round(p.data, 2, out=p.data)
x, y = rng.standard_normal((2, 4)).round(2), np.resize(rng.permutation(3), 2)
start = copy.deepcopy(net)  # the network before the step
loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(net.parameters(), lr=0.5)

arrays, value = {"X": x}, x
for name, layer in zip(("Z1", "H", "Z2"), net, strict=True):
    value = layer.forward(value)
    arrays[name] = value.copy()
before = loss(value, y)

gradient = loss.backward()
gradients = {"Z2": gradient.copy()}
for name, layer in zip(("H", "Z1", "X"), reversed(net.layers), strict=True):
    gradient = layer.backward(gradient)
    gradients[name] = gradient.copy()

named = dict(zip(("W1", "b1", "W2", "b2"), net.parameters(), strict=True))
arrays |= {name: p.data.copy() for name, p in named.items()}
gradients |= {name: p.grad.copy() for name, p in named.items()}
optimizer.step()
after = loss(net(x), y)
print(f"loss {before:.6f} before the step, {after:.6f} after it")

# %% [markdown]
# ## Asking one number where it comes from
#
# Take the derivative of the loss by one weight of the first layer. Its formula is $\sum_n X_{ni}\, \bar Z_{1,nj}$; here
# it is with the numbers put in, and then three independent answers: our formula, torch's autograd, and the numerical
# derivative of lesson 7 with its bound.

# %%
i, j = 3, int(np.argmax(np.abs(gradients["Z1"]).min(axis=0)))  # a unit that is on for both samples
terms = [f"{a:+.2f} * {b:+.6f}" for a, b in zip(x[:, i], gradients["Z1"][:, j], strict=True)]
ours = gradients["W1"][i, j]
print(f"dL/dW1[{i}, {j}] = {'  '.join(terms)} = {ours:+.9f}")

if torch:
    from torch_ref import loss_to_torch, to_torch

    twin = to_torch(start)
    loss_to_torch(loss)(twin(torch.tensor(x)), torch.tensor(y)).backward()
    theirs = twin[0].weight.grad[j, i].item()


def loss_with(weight):
    """The loss if this one weight were another."""
    start[0].weight.data[i, j] = weight
    return loss(start(x), y)


numerical = derivative(loss_with, arrays["W1"][i, j])
print(f"ours       {ours:+.15f}")
if torch:
    print(f"torch      {theirs:+.15f}")
print(f"numerical  {numerical.value:+.15f}, right to {numerical.bound:.0e}")
agree = abs(ours - numerical.value) <= numerical.bound and (not torch or abs(ours - theirs) <= 1e-15)
print("they agree" if agree else "they DISAGREE")

# %% [markdown]
# ## The picture
#
# Above, the values as they come, from left to right. Below them the gradients, which come from right to left, each in
# the shape of what it belongs to; they begin with $(P - Y) / n$, so that the labels stand where the answer stood. A
# column of $\partial L / \partial Z_1$ that is 0 belongs to a unit that was off for both samples: nothing flows through
# it, and the same column of $\partial L / \partial W_1$ and $\partial L / \partial b_1$ is 0 too. The last rows are the
# parameters, their gradients, and what is left after $\theta - 0.5\, \partial L / \partial \theta$. A 0 without
# decimals is exact.

# %%
figure, axes = plotting.panels(5, 5, 2.6, 1.5)
figure.get_layout_engine().set(wspace=0.14)  # room for arrows


def symbol(name):
    """The name of an array as a formula."""
    return name if len(name) == 1 else f"{name[0]}_{name[1]}"


def heat_map(ax, name, array, rows):
    plotting.cells(ax, array, f"${name}$", rows)


walked = ("X", "Z1", "H", "Z2")
for column, name in enumerate(walked):
    sample = "" if column else "sample"
    heat_map(axes[0, column], symbol(name), arrays[name], sample)
    heat_map(axes[1, column], rf"\partial L / \partial {symbol(name)}", gradients[name], sample)
plotting.cells(axes[0, 4], nn.activations.softmax(arrays["Z2"]), "$P$, the answer")
plotting.cells(axes[1, 4], np.eye(3)[y], "$Y$, the labels")
for column, (name, p) in enumerate(named.items()):
    unit = {"W1": "input", "W2": "hidden"}.get(name, "")
    heat_map(axes[2, column], symbol(name), arrays[name], unit)
    heat_map(axes[3, column], rf"\partial L / \partial {symbol(name)}", gradients[name], unit)
    heat_map(axes[4, column], f"{symbol(name)}^{{\\mathrm{{new}}}}", p.data, unit)
for ax in axes[2:, 4]:
    ax.set_axis_off()
for left, right in zip(range(4), range(1, 5), strict=True):
    plotting.arrow_between(axes[0, left], axes[0, right], **plotting.FORWARD)
    plotting.arrow_between(axes[1, right], axes[1, left], **plotting.BACKWARD)
for ax, label in zip(axes[:, 0], ("values", "gradients", "parameters", "gradients", "after the step"), strict=True):
    ax.set_ylabel(label, fontweight="bold")
lesson.show(figure)

# %% [markdown]
# ## The page
#
# The same network and the same step, as a page on which you can walk: forward and back with the buttons, the arrow keys
# or the slider. Hover over any number, tap it or move the focus to it, and it tells its formula, the formula with the
# numbers put in, and for a gradient the three answers. Change an input, a label, a weight or the learning rate, and
# everything is computed anew. After the last step you can train on, or have a mistake hidden and find it.

# %%
page = lesson.beside("trace.html")
options = ["--sizes", "4,5,3", "--activation", "relu", "--batch", "2", "--seed", "0", "--out", str(page)]
if numpy_nn_command("trace", options) != 0:
    lesson.fail("the page could not be made")
print(f"page: {page}; open it in a browser")

# %% [markdown]
# ## Exercises
#
# - **8.1** Two samples have 0.5 and -2 at input i; at hidden unit j the gradients with respect to z are 0.2 and 0.1.
#   What is the gradient with respect to the weight from i to j?
# - **8.2** Write backward_pass(x, w1, b1, w2, grad_output) for the network relu(x w1 + b1) w2 + b2: the gradients with
#   respect to w1, b1, w2 and b2, in this order.
# - **8.3** How many forward passes do central differences need for the gradient of all parameters of a network of 2, 3
#   and 1 units?
#
# Write an answer into a file, and `numpy-nn exercise 8.1 my_answer.py` says what is wrong with it; `--solution` shows
# one.

# %% [markdown]
# ## A question
#
# Before you step there: which entries of $\partial L / \partial W_1$ are exactly 0? Then make the learning rate ten
# times as large and go to the last step, which computes the loss again: does it fall further? And at a hundred times?
#
# The page has the answers. One question is left for the next lesson: here the gradient came back through two layers.
# What is left of it after twenty?
