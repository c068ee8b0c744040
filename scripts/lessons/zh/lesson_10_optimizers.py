# %% [markdown]
# # 第 10 课：优化器
#
# **上一课思考题的答案。** 能。对每个权重记住它的梯度的均方，再除以它的平方根，于是每个权重每一步的大小都与学习率相当。这就是 RMSprop；再加一个平均，就是 Adam。我们各用几行把它们写出来，看它们怎样走过一道山谷。
#
# ## 山谷
#
# 各个方向不一样的损失，最简单的是
#
# $$ L(p) = \tfrac12 \left( p_1^2 + 50\, p_2^2 \right), \qquad \nabla L = (p_1,\; 50\, p_2) . $$
#
# 梯度下降 $p \leftarrow p - \eta\, \nabla L$ 每一步把 $p_1$ 乘以 $1 - \eta$，把 $p_2$ 乘以 $1 - 50 \eta$。陡的方向要求 $\eta < 2 / 50$，否则 $p_2$ 会越来越大；而这样一来，平的方向每步缩小不到 4%。两个方向共用一个学习率，在这里嫌大，在那里又嫌小。

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-10-optimizers")
torch = lesson.torch()  # None where torch is not installed: then its part is left out
CURVATURE, START, STEPS = np.array([1.0, 50.0]), np.array([-4.0, 1.0]), 60


def gradient(p):
    """Of the valley, at p."""
    return CURVATURE * p


for lr in (0.036, 0.041):
    flat, steep = np.abs(1.0 - lr * CURVATURE)
    print(f"lr {lr}: a step multiplies by {flat:.3f} and {steep:.2f}; ", end="")
    print(f"{STEPS} steps by {flat**STEPS:.1e} and {steep**STEPS:.1e}")

# %% [markdown]
# ## 动量
#
# 滚动的球不会每到一点才问该往哪里走，它保留着一部分速度：
#
# $$ v \leftarrow \mu v + g, \qquad p \leftarrow p - \eta v . $$
#
# 逐次代入，得 $v_t = g_t + \mu g_{t-1} + \mu^2 g_{t-2} + \dots$ 沿着山谷，所有的 $g$ 符号相同；如果 $g$ 不变，和趋于 $g / (1 - \mu)$：$\mu = 0.9$ 时，一步是原来的十倍。横穿山谷时 $g$ 的符号可能交替，$g - \mu g + \mu^2 g - \dots$ 只剩下 $g / (1 + \mu)$，大约一半。纵向走得更快，横向走得更慢。

# %%
MU, ALPHA, BETAS, EPS = 0.9, 0.99, (0.9, 0.999), 1e-8


def momentum(lr):
    """The path from START, a row for each step."""
    p, v, path = START, 0.0, [START]
    for _ in range(STEPS):
        v = MU * v + gradient(p)
        p = p - lr * v
        path.append(p)
    return np.array(path)


# %% [markdown]
# ## RMSprop
#
# 用动量时，所有方向仍然共用一个学习率。设 $s$ 是 $g^2$ 的滑动平均，每个元素各有一个：
#
# $$ s \leftarrow \alpha s + (1 - \alpha)\, g^2, \qquad p \leftarrow p - \eta\, \frac{g}{\sqrt{s} + \varepsilon} . $$
#
# 如果把某个方向上的损失放大一千倍，$g$ 和 $\sqrt s$ 都放大一千倍，这一步却不变（除了 $\varepsilon$ 的影响，它只是为了避免除以 0）。在它看来，山谷的两个方向是一样的。由于 $s$ 从 0 开始，第一步是 $\eta$ 的 $1 / \sqrt{1 - \alpha}$ 倍，$\alpha = 0.99$ 时是十倍。


# %%
def rmsprop(lr):
    """The path from START, a row for each step."""
    p, s, path = START, 0.0, [START]
    for _ in range(STEPS):
        g = gradient(p)
        s = ALPHA * s + (1.0 - ALPHA) * g**2
        p = p - lr * g / (np.sqrt(s) + EPS)
        path.append(p)
    return np.array(path)


# %% [markdown]
# ## Adam，以及它为什么要修正
#
# Adam 两样都用：分子是 $g$ 的滑动平均 $m$，分母里是 $s$。两者都从 0 开始，而这一次要把由此产生的偏差补回来。逐次代入，得
#
# $$ m_t = (1 - \beta_1) \sum_{i=1}^{t} \beta_1^{t-i} g_i, \qquad
# (1 - \beta_1) \sum_{i=1}^{t} \beta_1^{t-i} = 1 - \beta_1^t . $$
#
# 求平均时各个权加起来应当等于 1，这里加起来却是 $1 - \beta_1^t$。所以要除以它；对 $s$ 则除以 $1 - \beta_2^t$：
#
# $$ p \leftarrow p - \eta\, \frac{m_t / (1 - \beta_1^t)}{\sqrt{s_t / (1 - \beta_2^t)} + \varepsilon} . $$
#
# 第一步时 $m = 0.1\, g$，$s = 0.001\, g^2$。修正之后，这一步是 $\eta\, g / |g|$，长度就是学习率。不修正则是它的 $0.1 / \sqrt{0.001}$ 倍，三倍还多；而且先变得更糟，然后才好转：$m$ 大约十步就忘掉了开头的 0，$s$ 却要大约一千步。


# %%
def adam(lr, correct=True):
    """The path from START, a row for each step."""
    p, m, s, path = START, 0.0, 0.0, [START]
    for t in range(1, STEPS + 1):
        g = gradient(p)
        m = BETAS[0] * m + (1.0 - BETAS[0]) * g
        s = BETAS[1] * s + (1.0 - BETAS[1]) * g**2
        first, second = (1.0 - BETAS[0] ** t, 1.0 - BETAS[1] ** t) if correct else (1.0, 1.0)
        p = p - lr * (m / first) / (np.sqrt(s / second) + EPS)
        path.append(p)
    return np.array(path)


steps = np.arange(1, 3001)
excess = (1.0 - BETAS[0] ** steps) / np.sqrt(1.0 - BETAS[1] ** steps)
for t in (1, int(steps[excess.argmax()]), 100, 1000):
    print(f"step {t:4}: without the correction {excess[t - 1]:.2f} times as long, for a constant gradient")

# %% [markdown]
# ## 在山谷里：手工、我们的优化器、torch
#
# 从 $(-4, 1)$ 出发走六十步，各用适合自己的学习率。`nn.SGD`、`nn.RMSprop` 和 `nn.Adam` 的梯度由我们给出；torch 的优化器用自动求导得到的梯度。

# %%
RATES = {"gradient descent": 0.036, "momentum": 0.01, "RMSprop": 0.05, "Adam": 0.4}
settings = {
    "gradient descent": ("SGD", {}),
    "momentum": ("SGD", {"momentum": MU}),
    "RMSprop": ("RMSprop", {"alpha": ALPHA, "eps": EPS}),
    "Adam": ("Adam", {"betas": BETAS, "eps": EPS}),
}
paths = {
    "gradient descent": START * (1.0 - RATES["gradient descent"] * CURVATURE) ** np.arange(STEPS + 1)[:, None],
    "momentum": momentum(RATES["momentum"]),
    "RMSprop": rmsprop(RATES["RMSprop"]),
    "Adam": adam(RATES["Adam"]),
}


def ours(name):
    """The same path by an optimizer of numpy_nn."""
    kind, options = settings[name]
    p = nn.Parameter(START.copy())
    optimizer, path = getattr(nn, kind)([p], lr=RATES[name], **options), [START]
    for _ in range(STEPS):
        p.grad[...] = gradient(p.data)
        optimizer.step()
        path.append(p.data.copy())
    return np.array(path)


def by_torch(name):
    """The same path by torch, with its autograd."""
    kind, options = settings[name]
    p, curvature = torch.tensor(START, requires_grad=True), torch.tensor(CURVATURE)
    optimizer, path = getattr(torch.optim, kind)([p], lr=RATES[name], **options), [START]
    for _ in range(STEPS):
        optimizer.zero_grad()
        (0.5 * (curvature * p**2).sum()).backward()
        optimizer.step()
        path.append(p.detach().numpy().copy())
    return np.array(path)


losses = {name: 0.5 * (CURVATURE * path**2).sum(axis=1) for name, path in paths.items()}
for name, path in paths.items():
    off = f"off by hand: ours {np.abs(ours(name) - path).max():.0e}"
    off += f", torch {np.abs(by_torch(name) - path).max():.0e}" if torch else ""
    print(f"{name:17} lr {RATES[name]:<6} loss {losses[name][0]:.0f} -> {losses[name][-1]:.1e}   {off}")

# %% [markdown]
# 梯度下降在两侧谷壁之间跳来跳去，沿谷底只能慢慢爬。动量左右摆动，但走得更远。RMSprop 的开头仿佛没有山谷，第一步在两个方向上一样长。Adam 的开头也是如此，只是步子短一些；但它的 $m$ 就是动量，所以会冲过中点再折回来；而它的 $s$ 由于 $\beta_2 = 0.999$，还记得出发时的大梯度。

# %%
figure, axes = plotting.panels(2, 3, 3.9, 3.1)
u, w = np.meshgrid(np.linspace(-4.6, 4.6, 120), np.linspace(-1.25, 1.25, 120))
for ax, (name, path), style in zip(axes.flat, paths.items(), plotting.CURVES, strict=False):
    ax.contour(u, w, 0.5 * (u**2 + 50.0 * w**2), levels=[0.3, 1, 3, 8, 16, 30], colors="#BBBBBB", linewidths=0.8)
    ax.plot(*path.T, marker="o", markersize=3, **(style | {"linestyle": "-", "linewidth": 1.0}))
    ax.plot(0.0, 0.0, "*", color=plotting.BLACK, markersize=10)
    ax.set(title=f"{name}, lr {RATES[name]}", xlabel="$p_1$", ylabel="$p_2$", xlim=(-4.6, 4.6), ylim=(-1.25, 1.25))
    ax.grid(False)
for (name, values), style in zip(losses.items(), plotting.CURVES, strict=False):
    axes[1, 1].semilogy(values, label=name, **style)
axes[1, 1].set(title="the loss", xlabel="step", ylim=(1e-5, 1e2))
axes[1, 1].legend(loc="lower left", fontsize=9)
axes[1, 2].semilogx(steps, excess, label="not corrected", **plotting.CURVES[0])
axes[1, 2].semilogx(steps, np.ones(len(steps)), label="corrected", **plotting.CURVES[1])
axes[1, 2].set(title="Adam's step, constant gradient", xlabel="step", ylabel="length / lr", ylim=(0, None))
axes[1, 2].legend(loc="upper right", fontsize=9)
lesson.show(figure)

# %% [markdown]
# ## 练习
#
# - **10.1** 一个权重是 1，它的第一个梯度是 -4。用 lr = 0.1 的 Adam 走第一步之后，这个权重是多少？
# - **10.2** 写 momentum(p, v, g, lr, mu)：返回新的 p 和新的 v。
# - **10.3** 写 adam(p, m, s, g, t, lr)：返回第 t 步（第一步 t = 1）之后的新的 p、m 和 s，两个 beta 是 0.9 和 0.999，eps = 1e-8。
#
# 把答案写进一个文件，`numpy-nn exercise 10.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# 公式相同，我们的路径与 torch 的却只有十几位数字一致，最后一位对不上。这点差别从哪里来？这么小的差别，会不会有一天变成大的？
