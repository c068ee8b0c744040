# %% [markdown]
# # 第 3 课：激活函数
#
# **上一课思考题的答案。** 是导数的大小。sigmoid 的导数最大是 $1/4$，离 0 稍远就几乎等于 0。反向经过许多层时，每一层都要给梯度乘上这样一个因子，到第十层已所剩无几。而 ReLU 只要单元是开着的，导数就是 1。本课先画出 `numpy_nn` 认识的每一个激活函数，再在一个十层的网络里测量这意味着什么。
#
# 这几课的顺序来自一门用 PyTorch 讲深度学习的中文课程里的一章：感知机、异或、多层感知机，最后用在 MNIST 上。下文把它称作“教程”，它的数字与我们的并列。先看教程里的三个激活函数：
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
# ReLU 在 0 处没有导数；我们和 torch 一样在那里取 0，实践中这无关紧要。
#
# ## 每一个激活函数：我们的与 torch 的画在一起
#
# 每个激活函数都是一个层，有我们自己写的 `forward` 和 `backward`；torch 里与它对应的层则用自动求导算出导数。记 $s$ 为 sigmoid，$\Phi$ 和 $\varphi$ 为正态分布的分布函数和密度，$[\,\cdot\,]$ 在条件成立时为 1、否则为 0，各选项取默认值：
#
# $$
# \begin{aligned}
# &\text{恒等} & f(x) &= x & f'(x) &= 1 \\
# &\text{LeakyReLU} & f(x) &= \max(x, 0) + 0.01 \min(x, 0) & f'(x) &= 1 \text{ 或 } 0.01 \\
# &\text{PReLU} & f(x) &= \max(x, 0) + a \min(x, 0), \; a \text{ 由学习得到} & f'(x) &= 1 \text{ 或 } a \\
# &\text{ELU} & f(x) &= \max(x, 0) + e^{\min(x, 0)} - 1 & f'(x) &= 1 \text{ 或 } e^x \\
# &\text{SELU} & f(x) &= \lambda\,\bigl(\max(x, 0) + \alpha\,(e^{\min(x, 0)} - 1)\bigr)
#   & f'(x) &= \lambda \text{ 或 } \lambda\,\alpha\, e^x \\
# &\text{GELU} & f(x) &= x\, \Phi(x) & f'(x) &= \Phi(x) + x\, \varphi(x) \\
# &\text{SiLU} & f(x) &= x\, s(x) & f'(x) &= s(x)\,(1 + x\, s(-x)) \\
# &\text{Mish} & f(x) &= x \tanh(\log(1 + e^x)), \; t = f(x) / x & f'(x) &= t + x\,(1 - t^2)\, s(x) \\
# &\text{Softplus} & f(x) &= \log(1 + e^x) & f'(x) &= s(x) \\
# &\text{LogSigmoid} & f(x) &= -\log(1 + e^{-x}) & f'(x) &= s(-x) \\
# &\text{Softsign} & f(x) &= x / (1 + |x|) & f'(x) &= 1 / (1 + |x|)^2 \\
# &\text{Hardtanh} & f(x) &= \min(\max(x, -1), 1) & f'(x) &= [-1 < x < 1] \\
# &\text{ReLU6} & f(x) &= \min(\max(x, 0), 6) & f'(x) &= [0 < x < 6] \\
# &\text{Hardsigmoid} & f(x) &= \min(\max(x + 3, 0), 6) / 6 & f'(x) &= [-3 < x < 3] / 6 \\
# &\text{Hardswish} & f(x) &= x \min(\max(x + 3, 0), 6) / 6 & f'(x) &= 0, \; (2x + 3) / 6 \text{ 或 } 1 \\
# &\text{softmax} & p_i &= e^{x_i} / \textstyle\sum_k e^{x_k} & \partial p_i / \partial x_j &= p_i\,([i = j] - p_j) \\
# &\text{log-softmax} & l_i &= x_i - \log \textstyle\sum_k e^{x_k} & \partial l_i / \partial x_j &= [i = j] - p_j
# \end{aligned}
# $$
#
# 写出两个导数的，前一个用于 $x > 0$，后一个用于 $x < 0$；Hardswish 的三个依次用于 $-3$ 以下、中间和 $3$ 以上。SELU 的 $\lambda \approx 1.0507$ 和 $\alpha \approx 1.6733$ 取得恰好能让均值 0、方差 1 逐层保持下去。
#
# softmax 和 log-softmax 不是逐个元素计算的，它们要看整行。对这两个，我们画的是对于行 $(x, 0, 0)$ 的输出的第一个元素，以及它对 $x$ 的导数。下面有一个差别远大于其余的：无论数是什么类型，torch 在 Hardsigmoid 的导数里用的 1/6 总是单精度的。


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
# ## 饱和
#
# 曲线平坦的地方导数接近 0，走到那里的单元几乎学不到东西：它饱和了。以 sigmoid 为例：

# %%
for x in (0.0, 2.0, 4.0, 8.0, 16.0):
    slope = nn.activations.sigmoid_derivative(np.array([x]))[0]
    print(f"sigmoid'({x:4.0f}) = {slope:.2e}   through ten layers like this: {slope**10:.1e}")

# %% [markdown]
# 即使在最好的情况，也就是 0 处，十个 sigmoid 之后也只剩百万分之一：$(1/4)^{10} \approx 10^{-6}$。
#
# ## 测量梯度消失
#
# 一个有十个权重层的网络，每层宽 100，十个类别，一批 64 行正态噪声。前向算一次，然后手工做反向传播：它是一个循环，从最后一层到第一层，依次请每一层把对其输出的梯度变成对其输入的梯度。途中我们记下到达每个 `Linear` 层输出 $z_k$ 的梯度 $\partial L / \partial z_k$ 的长度。torch 的自动求导得到同样的结果。

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
# 在 sigmoid 网络里，第一层得到的只有最后一层的百万分之几：最后一层在学习时，第一层几乎不动。$\tanh$ 在 0 处的斜率是 1，几乎全部传了过去；ReLU 损失了一位数字多一点，但这不能怪它，要怪权重：
#
# ## 初始化方法的比较
#
# 权重和激活函数一样重要：反向时每一层还要乘上 $W^\top$。权重的标准差为 $s$、有 100 个输入、其中一半的 ReLU 开着时，每过一层，平方的期望就乘上 $100\, s^2 / 2$。Kaiming 取 $s = \sqrt{2 / 100}$，正好使它等于 1。权重再小，梯度就消失；再大，就爆炸，无论是不是 ReLU。

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
# torch 的 `Linear` 的默认初始化是照顾各种用途的折中；在深的 ReLU 网络里，它一路上损失了三位以上的数字。第 5 课从 $N(0, 1)$ 的权重开始，第 6 课从 $N(0, 0.01^2)$ 开始：只有两层时两种都行，若是十层会怎样，上面已经看到了。

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
# ## 练习
#
# - **3.1** sigmoid 在 x = log 3 处的导数是多少？
# - **3.2** 写 softsign_derivative(x)，x 是数组，softsign(x) = x / (1 + |x|)。
# - **3.3** 写 elu_derivative(x, alpha)，x 是数组。
#
# 把答案写进一个文件，`numpy-nn exercise 3.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# 如果干脆不要激活函数呢？那就没有饱和，也没有什么会消失。比如一个有三个线性层 $W_1$、$W_2$、$W_3$ 的网络：它能学会什么单独一层学不会的东西？
