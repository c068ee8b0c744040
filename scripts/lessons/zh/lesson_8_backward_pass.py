# %% [markdown]
# # 第 8 课：一步一步看反向传播
#
# **上一课思考题的答案。** 50,890 个权重，每个要两次前向，每次前向是半步的时间：一步就要用反向传播 50,890 步的时间。我们量一量，五轮训练会是多久：

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
# 反向传播大约只用再多一次前向的代价，就得到全部 50,890 个导数。这就是它的全部意义所在；之所以可能，是因为同样的乘积被反复使用：到达一层的梯度，供这一层的每个权重使用，也供它前面的一切使用。
#
# 这一课只用一个小网络：带 ReLU 的 4-5-3，两个样本，训练一步。先把它写成沿着各层的两个循环，并留下每一个数组。输入和权重都取两位小数，好让你亲手重算一个乘积。

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
# ## 问一个数它从哪里来
#
# 取损失对第一层某一个权重的导数。它的公式是 $\sum_n X_{ni}\, \bar Z_{1,nj}$；下面先代入数字，再给出三个互相独立的答案：我们的公式、torch 的自动求导，以及第 7 课的数值导数和它的误差上界。

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
# ## 图
#
# 第一行是各个值，从左到右依次产生。第二行是梯度，从右到左依次到来，每个梯度的形状与它所属的数组相同；它们从 $(P - Y) / n$ 开始，所以标签放在回答的正下方。$\partial L / \partial Z_1$ 中为 0 的一列属于对两个样本都关着的单元：没有什么流过它，$\partial L / \partial W_1$ 和 $\partial L / \partial b_1$ 的同一列也是 0。最后三行是参数、参数的梯度，以及走完 $\theta - 0.5\, \partial L / \partial \theta$ 这一步之后的参数。不带小数的 0 是精确的 0。

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
# ## 网页
#
# 同一个网络、同一步训练，做成一张可以逐步演示的网页：用按钮、方向键或滑块前进和后退。把鼠标悬停在任何一个数上，或者点它，或者把焦点移到它上面，它就会说出自己的公式、代入数字后的公式；如果是梯度，还有那三个答案。改变一个输入、标签、权重或学习率，一切都会重新计算。最后一步之后还可以接着训练，或者藏一处错误来找。页首的按钮把网页切换到中文；打开 `trace.html#lang=zh` 则直接是中文。

# %%
page = lesson.beside("trace.html")
options = ["--sizes", "4,5,3", "--activation", "relu", "--batch", "2", "--seed", "0", "--out", str(page)]
if numpy_nn_command("trace", options) != 0:
    lesson.fail("the page could not be made")
print(f"page: {page}; open it in a browser")

# %% [markdown]
# ## 练习
#
# - **8.1** 两个样本在输入 i 处是 0.5 和 -2；在隐藏单元 j 处，对 z 的梯度是 0.2 和 0.1。从 i 到 j 的权重的梯度是多少？
# - **8.2** 对网络 relu(x w1 + b1) w2 + b2 写 backward_pass(x, w1, b1, w2, grad_output)：依次返回对 w1、b1、w2、b2 的梯度。
# - **8.3** 用中心差分求 2-3-1 网络全部参数的梯度，需要多少次前向？
#
# 把答案写进一个文件，`numpy-nn exercise 8.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# 走到那一步之前先想一想：$\partial L / \partial W_1$ 的哪些元素恰好是 0？然后把学习率放大十倍，走到最后一步，那里损失又算了一遍：它降得更低吗？放大一百倍呢？
#
# 这些问题的答案就在网页上。还有一个留给下一课：这里的梯度只往回走了两层；走过二十层，还剩下多少？
