# %% [markdown]
# # 第 9 课：初始化与归一化
#
# **上一课思考题的答案。** 一层剩下多少，二十层就剩下它的二十次方。若每层使梯度减半，到头只剩百万分之一；若每层使它加倍，到头就是一百万倍。只有每层的倍数接近 1，深层网络才学得动；而在第一步之前，这个倍数由一个数决定：权重的标准差 $s$。
#
# ## 平均来看一层
#
# 设 $z_j = \sum_i x_i W_{ij}$，有 $n$ 个输入；权重与 $x$ 独立，彼此也独立，均值为 0，方差为 $s^2$。当 $i \ne k$ 时 $W_{ij} W_{kj}$ 的均值是 0，所以和的平方展开之后只剩下各项的平方。反向的 $\bar x_i = \sum_j \bar z_j W_{ij}$ 对 $m$ 个输出求和，也是同样的和：
#
# $$ \mathrm{E}\, z_j^2 = n s^2\, \mathrm{E}\, x_i^2 , \qquad
# \mathrm{E}\, \bar x_i^2 = m s^2\, \mathrm{E}\, \bar z_j^2 . $$
#
# 再看激活函数。ReLU 把一半的 $z$ 变成 0，均方因此减半；反向时，同样那一半的梯度也变成 0。$\tanh$ 在 $z$ 很小时近似于恒等映射，什么也不减。输出与输入一样多时，两个方向的要求相同：
#
# $$ \text{ReLU: } \frac{n s^2}{2} = 1, \quad s = \sqrt{2 / n} \ \text{(He)} ; \qquad
# \tanh\text{: } n s^2 = 1, \quad s = \sqrt{1 / n} \ \text{(Xavier)} . $$
#
# 当 $n \ne m$ 时两者不可兼得：Xavier 取折中，$s^2 = 2 / (n + m)$；He 只顾一个方向。如果把权重放大到 $c$ 倍，那么每过一层，值的均方根（RMS）就乘以 $c$，梯度的均方根也乘以 $c$。

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-9-initialization")
torch = lesson.torch()  # None where torch is not installed: then its part is left out
DEPTH, WIDTH, ROWS = 20, 100, 64
print("the factor of 20 layers:", ", ".join(f"{c}^20 = {float(c) ** 20:.1e}" for c in (0.5, 1, 2)))

# %% [markdown]
# ## 二十层，手工计算
#
# 让一批正态噪声前向通过网络，在每个激活函数之后记下它的大小；再让正态噪声作为梯度反向传回来，在它到达每个 $z$ 时记下。还要记第三样东西，即权重的梯度 $\bar W = X^\top \bar Z$，更新用的正是它。

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
# ReLU 网络与公式所说的一致，直到二十次方。请看最后三列：$\bar W$ 由左边来的值和右边来的梯度相乘而成，一个已经缩小了十九次的地方，另一个还没有开始缩小。所以在 ReLU 网络里，*所有*层的权重得到的梯度都是应有大小的 $c^{19}$ 倍：$s$ 只有一半时，哪一层都不动；$s$ 加倍时，第一步就把每一层都甩了出去。（偏置只得到 $\bar z$ 本身，所以 $s$ 只有一半时，最后一层的偏置在学，其余的都不学。）
#
# $\tanh$ 则不同。$s$ 加倍时它的值不会爆炸，因为它的绝对值不超过 1；它会饱和，而梯度在反向的路上越来越大，最前面的层得到的最多。即使 $s$ 正合适，它的值也会慢慢变小，因为它虽然近似于恒等映射，却总比恒等映射小一点。
#
# ## 用层来做，再用 torch 来做


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
# 画成图如下，后面的灰色细线是公式里的 $c^k$。纵轴上每一格是一百倍。

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
# ## 归一化：不靠运气，靠测量
#
# 合适的 $s$ 只是平均来说合适，而且只在第一步之前合适；此后权重想去哪里就去哪里。批量归一化每一步都重新摆正：对 $X$ 的每一列减去均值 $\mu$，再除以标准差。层归一化对每一行这样做。然后两者对每一列各有一个要学习的系数 $\gamma$ 和一个要学习的加数 $\beta$。对含有 $n$ 个数的一列（或一行），
#
# $$ \mu = \frac1n \sum_i x_i, \quad \sigma^2 = \frac1n \sum_i (x_i - \mu)^2, \quad
# r = \frac{1}{\sqrt{\sigma^2 + \varepsilon}}, \quad \hat x_i = r\,(x_i - \mu), \quad y_i = \gamma \hat x_i + \beta . $$
#
# 反向时传来 $\bar y_i$。记 $h_i = \gamma\, \bar y_i$，它就是 $\partial L / \partial \hat x_i$。从 $x_j$ 到损失有三条路：直接经过 $\hat x_j$，以及经过 $\mu$ 和经过 $\sigma^2$；后两者依赖于每一个 $x_j$，又影响每一个 $\hat x_i$。由 $\partial \mu / \partial x_j = 1 / n$ 和 $\partial \sigma^2 / \partial x_j = 2 (x_j - \mu) / n$ 得 $\partial r / \partial x_j = -r^3 (x_j - \mu) / n$，于是
#
# $$ \frac{\partial \hat x_i}{\partial x_j} = r\,[i = j] - \frac{r}{n} - \frac{r}{n}\, \hat x_i \hat x_j . $$
#
# 乘以 $h_i$ 再对 $i$ 求和，三项分别成为 $h_j$ 和两个平均值：
#
# $$ \bar x_j = r \left( h_j - \frac1n \sum_i h_i - \hat x_j\, \frac1n \sum_i h_i \hat x_i \right) . $$
#
# 减去的两部分，一个是使所有 $x$ 一起平移的，一个是使它们一起伸缩的。这两种变动都不改变 $\hat x$，所以都不应当传回来。$\gamma$ 和 $\beta$ 由所有行共用，所以对各行求和：$\bar\gamma = \sum \bar y\, \hat x$，$\bar\beta = \sum \bar y$。


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
# 依次用手工、我们的层和 torch，数据是六行四列：

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
# ## 再看二十层
#
# 权重带有什么倍数，归一化都会把它除掉：用 $c W$ 代替 $W$，$\hat x$ 不变（除了 $\varepsilon$ 的影响，这里取 $\varepsilon = 0$）。所以前面的三个网络变成了同一个，只是对 $z$ 的梯度变成 $1 / c$ 倍，而且每一位都不差，因为乘以 2 或除以 2 不引起舍入。但是各层的梯度一样大了吗？

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
# 用层归一化，梯度保持在同一个数量级，但也仅此而已：第 1 层还剩多少，要看抽到的是什么权重。用批量归一化，梯度在反向的路上越来越大，这是有原因的：经过 ReLU 之后，每一列的均值都大于 0，而批量归一化把均值减掉了。对方差为 1 的正态噪声，ReLU 之后的均方是 $1/2$，方差却只有 $\frac12 (1 - \frac1\pi)$，归一化除以的正是这个较小的数。所以每过一层，梯度就乘以 $\sqrt{\pi / (\pi - 1)} \approx 1.211$：并不多，但换什么 $s$ 都改变不了。二十层还能忍受，一百层就不行了；出路是残差网络，它把每一层的输入加到该层的输出上。
#
# ## 学得动吗？
#
# 用第 7 课的月牙形数据，网络有二十层，宽 32，用最简单的梯度下降，所有参数共用一个学习率。


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
# 不用归一化时，三个网络里只有一个在学；用了之后三个都在学，而且都比那一个好。$s$ 只有一半的网络不会崩溃，它只是永远给出 0.693：这就是 $\log 2$，一无所知时的损失。初始化不好，多半就是这个样子。

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
# ## 练习
#
# - **9.1** 一层有 300 个输入，均方根（RMS）是 3；权重的均值是 0，标准差是 0.05。经过 ReLU 之后，输出的 RMS 是多少？
# - **9.2** 写 batch_norm(x, eps)：x 的形状为 (n, 列数)，把每一列变成均值 0、方差 1，eps 加在方差上，不带 gamma 和 beta。
# - **9.3** 写类 LayerNorm，用 LayerNorm() 构造，g 和 b 的形状为 (4,)，eps = 1e-5；forward(x) 把 x 的每一行归一化，乘以 g 再加 b 后返回；backward(grad_output) 返回对 x 的梯度，并设置 dg 和 db。
#
# 把答案写进一个文件，`numpy-nn exercise 9.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# 即使用了归一化，这一层的梯度与那一层的也不一样大，一个权重的梯度与旁边一个的也不一样大。可是同一个学习率乘着它们全部。能不能让每个权重有自己的学习率，而且只凭它见过的那些梯度就定出来？
