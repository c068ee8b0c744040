# %% [markdown]
# # 第 11 课：反向传播中的浮点数
#
# **上一课思考题的答案。** 来自舍入。每做一次加法或乘法，机器只留下它能表示的、离结果最近的那个数，而 torch 求和的次序与我们的不同。至于后一问：会的。如果一个数在 0 的哪一侧是由舍入决定的，那么下一个要看它符号的运算，就会给出完全不同的结果。
#
# ## 一次运算
#
# float32 有 24 位二进制数字，float64 有 53 位。在 $2^k$ 与 $2^{k+1}$ 之间，相邻两数的间隔是 $2^{k-23}$（或 $2^{k-52}$），所以取最近的数，误差至多是间隔的一半，相对误差至多是*单位舍入误差* $u = 2^{-24}$（或 $2^{-53}$）。机器保证的只有这一点（IEEE 754），我们需要的也只有这一点。对 $+ - \times \div$ 中的每一种，它算出的是
#
# $$ \mathrm{fl}(a \circ b) = (a \circ b)(1 + \delta), \qquad |\delta| \le u , $$
#
# 条件是结果既不上溢，也不小到接近 0 而没有位数可用。单独一次运算已经好得不能再好；东西是在两次运算之间丢掉的，$a + b + c$ 等于多少，要看从哪里加起：

# %%
import math

import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-11-floating-point")
torch = lesson.torch()  # None where torch is not installed: then its part is left out
U = 2.0**-24  # of float32

one, small = np.float32(1), np.float32(U)
print("(1 + u) + u - 1:", (one + small) + small - one, "  1 + (u + u) - 1:", one + (small + small) - one)
a, b, c = np.float32([0.1, 0.7, -0.8])
print(f"(0.1 + 0.7) - 0.8: {(a + b) + c}   0.1 + (0.7 - 0.8): {a + (b + c):.3e}")

# %% [markdown]
# 第二行留待后面使用。这三个数在相加之前就已经舍入过，所以它们精确的和不是 0，而是 $-2.2 \cdot 10^{-8}$。一种次序求出了它，另一种却得 0。
#
# ## 一个点积的误差界，手工推导
#
# 按任意次序计算 $x_1 y_1 + \dots + x_n y_n$。每个乘积舍入一次，然后至多参与 $n - 1$ 次加法，每次加法又舍入一次，所以最后它至多带有 $n$ 个因子：
#
# $$ \mathrm{fl}(x \cdot y) = \sum_i x_i y_i \, (1 + \delta_{i1}) \cdots (1 + \delta_{in}) . $$
#
# $n$ 个这样的因子之积离 1 能有多远？向下，$(1 - u)^n \ge 1 - n u$。向上，$(1 + u)^n \le 1 / (1 - u)^n \le 1 / (1 - n u)$，也就是 $1 + \gamma_n$，其中
#
# $$ \gamma_n = \frac{n u}{1 - n u}, \qquad
# \bigl| \mathrm{fl}(x \cdot y) - x \cdot y \bigr| \le \gamma_n \sum_i |x_i|\, |y_i| . $$
#
# 这里没有任何东西是选定的，也没有规定次序：这个界对我们的引擎、对 torch、对任何机器都成立（Higham，*Accuracy and Stability of Numerical Algorithms*，第 3 章）。下面看实际丢掉了多少，以 $\sum |x_i y_i|$ 为单位：有正有负的数从左到右相加；全是正数，从左到右相加；同样是正数，但两两相加，再把所得的和两两相加，如此下去，这时每个乘积只参与 $\log_2 n$ 次加法。

# %%
rng = np.random.default_rng(0)
LENGTHS = 4 ** np.arange(1, 9)


def gamma(n, u=U):
    """How far a product of n factors between 1 - u and 1 + u can be from 1."""
    return n * u / (1 - n * u)


def left_to_right(products):
    """Their sum along the last axis, one after the other."""
    return np.cumsum(products, axis=-1)[..., -1]


def in_pairs(products):
    """Their sum, the second half added to the first until one is left."""
    while products.shape[-1] > 1:
        first, second = np.split(products, 2, axis=-1)
        products = first + second
    return products[..., 0]


def worst(draw, add):
    """The largest error of twenty dot products for each length, in units of the sum of sizes."""
    found = []
    for n in LENGTHS:
        x, y = draw(size=(2, 20, n)).astype(np.float32)
        exact = np.array([math.fsum(row) for row in x.astype(np.float64) * y])  # 24 times 24 digits fit into 53
        found.append(np.max(np.abs(add(x * y) - exact) / np.abs(x.astype(np.float64) * y).sum(axis=1)))
    return np.array(found)


sums = {
    "both signs, left to right": worst(rng.normal, left_to_right),
    "positive, left to right": worst(rng.random, left_to_right),
    "positive, in pairs": worst(rng.random, in_pairs),
}
print("error / u".ljust(28), "".join(f"n = {n}".rjust(11) for n in LENGTHS[[0, 3, 7]]))
for name, errors in sums.items():
    print(name.ljust(28), "".join(f"{error / U:11.1f}" for error in errors[[0, 3, 7]]))
print("the bound".ljust(28), "".join(f"{gamma(n) / U:11.1f}" for n in LENGTHS[[0, 3, 7]]))

# %% [markdown]
# 误差从不越过这个界，也很少接近它：舍入有时偏大，有时偏小，大部分互相抵消。如果和一直朝一个方向增长，误差就显出来了：和已经越大，每个新乘积被截去的就越多。
#
# ## 一个层，以及 torch 的层
#
# 线性层由点积组成：$Z = X W + b$ 有 $n + 1$ 项，每个输入一项，再加上偏置（乘以 1）；$\bar W = X^\top \bar Z$ 对批次中的每一行有一项；$\bar X = \bar Z W^\top$ 对每个输出有一项。所以对每个元素都能写出误差界。两个引擎都必须守住它，彼此之差不得超过它的两倍。精确值用 float64 计算，它的 $u$ 只有这里的 $2^{-29}$ 倍。对整个网络，连运算数本身也带有误差，`torch_ref/bounds/` 的做法是一样的：每个数组都带着自己的界，每次运算由运算数的界和自己的舍入得出结果的界。

# %%
x, grad_z = rng.normal(size=(128, 300)).astype(np.float32), rng.normal(size=(128, 50)).astype(np.float32)
layer = nn.Linear(300, 50, rng=0)
w, bias = layer.weight.data, layer.bias.data
x_one, w_bias = np.hstack([x, np.ones((128, 1), np.float32)]), np.vstack([w, bias])
factors = {"Z": (x_one, w_bias), "gradient of W": (x.T, grad_z), "gradient of X": (grad_z, w.T)}
ours = {"Z": layer(x).copy(), "gradient of X": layer.backward(grad_z), "gradient of W": layer.weight.grad}
if torch:
    from torch_ref import to_torch

    twin, x_torch = to_torch(layer), torch.tensor(x, requires_grad=True)
    z_torch = twin(x_torch)
    z_torch.backward(torch.tensor(grad_z))
    arrays = z_torch.detach().numpy(), x_torch.grad.numpy(), twin.weight.grad.numpy().T
    theirs = dict(zip(ours, arrays, strict=True))
for name, (left, right) in factors.items():
    left, right = left.astype(np.float64), right.astype(np.float64)
    bound = gamma(left.shape[1]) * (np.abs(left) @ np.abs(right))
    shares = {"ours": (np.abs(ours[name] - left @ right) / bound).max()}
    if torch:
        shares["torch"] = (np.abs(theirs[name] - left @ right) / bound).max()
        shares["apart"] = (np.abs(ours[name].astype(np.float64) - theirs[name]) / (2 * bound)).max()
    print(f"{name:14} {left.shape[1]:3} terms, of what is allowed: ", end="")
    print(", ".join(f"{what} {share:.4f}" for what, share in shares.items()))

# %% [markdown]
# ## 由舍入决定的符号
#
# ReLU 的导数是 1 或 0。$z = 10^{-9}$ 与 $z = -10^{-9}$ 的区别在输出里看不出来，但是前一种情形的梯度比后一种多出一整条路径。现在取一个样本，它离某个单元的折点非常近，近到 $|z|$ 小于点积的误差界。这时谁也说不出它在哪一侧。两种求和次序可能得出两种符号，而就 float32 所能分辨的来说，两种都对。
#
# 我们把 2000 个样本移到 256 个单元中第一个单元的折点附近，有的近些，有的远些，每个 $z$ 各算两遍：一遍从左加到右，一遍从右加到左。其余完全相同。

# %%
ROWS, INPUTS, UNITS = 2000, 64, 256
w1, w2 = (rng.normal(size=s).astype(np.float32) for s in ((INPUTS, UNITS), (UNITS, 10)))
w1, w2 = w1 * np.float32(np.sqrt(2 / INPUTS)), w2 * np.float32(np.sqrt(2 / UNITS))
labels = rng.integers(0, 10, ROWS)
normal = w1[:, 0].astype(np.float64)
near = rng.normal(size=(ROWS, INPUTS))
wanted = rng.choice([-1, 1], ROWS) * 10.0 ** rng.uniform(-9, 0, ROWS)
near = (near + np.outer((wanted - near @ normal) / (normal @ normal), normal)).astype(np.float32)


def added(order):
    """Z, a term at a time in this order."""
    z = np.zeros((ROWS, UNITS), np.float32)
    for i in order:
        z = z + near[:, i : i + 1] * w1[i]
    return z


def gradient_of_x(z):
    """From the softmax and the cross-entropy back to the samples."""
    exponentials = np.exp(np.maximum(z, 0) @ w2)
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    return (((p - np.eye(10, dtype=np.float32)[labels]) @ w2.T) * (z > 0)) @ w1.T


def compare(who, z, other, gradient, other_gradient):
    """How many rows have another sign somewhere, and how far apart the gradients of those and of the others are."""
    jumped = ((z > 0) != (other > 0)).any(axis=1)
    apart = np.linalg.norm(gradient - other_gradient, axis=1) / np.linalg.norm(gradient, axis=1)
    print(f"{who}: another sign in {jumped.sum()} of {ROWS} rows; gradients apart, relatively: ", end="")
    print(f"median {np.median(apart[jumped]):.0e} in these, " if jumped.any() else "", end="")
    print(f"at most {apart[~jumped].max():.0e} in all others")
    return jumped, apart


forwards, backwards = added(range(INPUTS)), added(reversed(range(INPUTS)))
jumped, apart = compare("two orders", forwards, backwards, gradient_of_x(forwards), gradient_of_x(backwards))
z_exact, size = near.astype(np.float64) @ normal, np.abs(near.astype(np.float64)) @ np.abs(normal)
nearness = np.abs(z_exact) / size / U
print(f"jumps at |z| of up to {nearness[jumped].max():.1f} u |x| |w|; possible up to {gamma(INPUTS) / U:.1f}")

# %% [markdown]
# 凡是比较过两个引擎的人，都会遇到这样的跳变：差别从第七位数字一下子跑到第二位，只在批次的某一行里，别处没有。这不是哪一方的错误，也不能靠放宽容差来解决，因为放得过它的容差，也就查不出错误。正确的比较必须知道 $z$ 的误差界；凡是符号定不下来的元素，两种结果都应当承认。下面用同样的样本，比较我们的层与 torch 的层：

# %%
if torch:
    net = nn.Sequential(nn.Linear(INPUTS, UNITS, bias=False), nn.ReLU(), nn.Linear(UNITS, 10, bias=False))
    net[0].weight.data[...], net[2].weight.data[...] = w1, w2
    loss = nn.CrossEntropyLoss(reduction="sum")
    z = net[0](near).copy()
    loss(net(near), labels)
    gradient = net.backward(loss.backward())
    twin, near_torch = to_torch(net), torch.tensor(near, requires_grad=True)
    torch.nn.functional.cross_entropy(twin(near_torch), torch.tensor(labels), reduction="sum").backward()
    z_torch = twin[0](near_torch).detach().numpy()
    compare("ours and torch", z, z_torch, gradient, near_torch.grad.numpy())

# %%
figure, (panels,) = plotting.panels(1, 2, 5.0, 3.9)
for (name, errors), style, mark in zip(sums.items(), plotting.CURVES, "os^", strict=False):
    panels[0].loglog(LENGTHS, errors, label=name, marker=mark, markersize=4, **style)
panels[0].loglog(LENGTHS, gamma(LENGTHS), color=plotting.GREY, label=r"the bound $\gamma_n$")
panels[0].set(title="one dot product in float32", xlabel="terms $n$", ylim=(1e-9, 1e-1))
panels[0].set_ylabel(r"error / $\sum |x_i|\,|y_i|$")
shown = np.maximum(apart, 1e-9)
panels[1].loglog(nearness[~jumped], shown[~jumped], ".", color=plotting.BLUE, markersize=3, label="the same signs")
panels[1].loglog(nearness[jumped], shown[jumped], "x", color=plotting.ORANGE, markersize=5, label="another sign")
panels[1].axvline(gamma(INPUTS) / U, color=plotting.GREY, label=r"$\gamma_n / u$")
panels[1].set(title="gradients by two orders of a sum", xlabel=r"$|z|\; /\; u \sum |x_i|\,|w_i|$", ylim=(3e-10, 1e2))
panels[1].set_ylabel("apart, relatively")
panels[0].legend(loc="upper left", fontsize=9)
panels[1].legend(loc="upper right", fontsize=9)
lesson.show(figure)

# %% [markdown]
# ## float32 分辨不了什么：相消
#
# 误差界是相对于 $\sum |x_i y_i|$，而不是相对于 $|x \cdot y|$ 来说的。各项相消时，前者可能是后者的一百万倍，这样就少了六位数字。减法本身并没有做坏什么，它只是让先前丢掉的东西显露出来。所以一个公式可以正确而无用。批量归一化要除以一列数的标准差，方差既可以写成 $\mathrm{E} x^2 - \mu^2$，也可以写成 $\mathrm{E} (x - \mu)^2$。下面的一列有 1000 个数，标准差为 1，均值越来越大：

# %%
column = rng.normal(size=(1000, 1))
print("  mean      exact   E x^2 - mu^2   E (x - mu)^2   BatchNorm1d", "   torch" if torch else "")
for mean in (0, 10, 100, 1000, 10_000):
    x = (column + mean).astype(np.float32)
    mu, norm = x.mean(), nn.BatchNorm1d(1, momentum=1.0)  # which then keeps the variance of this batch
    norm(x)
    share = 999 / 1000  # what is kept is divided by n - 1
    values = [x.var(dtype=np.float64), (x**2).mean() - mu**2, ((x - mu) ** 2).mean(), norm.running_var[0] * share]
    if torch:
        module = torch.nn.BatchNorm1d(1, momentum=1.0)
        module(torch.tensor(x))
        values.append(module.running_var.item() * share)
    print(f"{mean:6}", "".join(f"{v:{n}.5f}" for v, n in zip(values, (10, 15, 15, 14, 9), strict=False)))

# %% [markdown]
# 第一个公式要从两个 $10^8$ 大小的数相减得出 1，而 float32 在那里连一位数字也没有剩下。第二个公式先相减，这一步是精确的，或者几乎精确，然后把小的数平方。（均值为 10,000 的那一列在计算之前就已经舍入过，所以它精确的方差本来就是另一个数。）
#
# ## softmax 里最大的 logit
#
# $e^{88.8}$ 比任何 float32 都大，$e^{709.8}$ 比任何 float64 都大。logit 等于 100 并不稀奇，softmax 却成了 NaN，即 inf 除以 inf。但是 softmax 并不关心各个 logit 有多大，只关心它们相差多少。设 $m = \max_k z_k$，则
#
# $$ p_c = \frac{e^{z_c}}{\sum_k e^{z_k}} = \frac{e^{z_c - m}}{\sum_k e^{z_k - m}} , $$
#
# 其中最大的指数项是 1，哪一项都不会溢出，分母介于 1 和类别数之间。概率就这样修好了，损失却还没有：如果 $p_y$ 小于最小的 float32，即大约 $10^{-45}$，它就变成 0，而 $-\log 0$ 是 inf。所以不要先取指数再取对数：
#
# $$ -\log p_y = \operatorname{LSE}(z) - z_y, \qquad
# \operatorname{LSE}(z) = \log \sum_k e^{z_k} = m + \log \sum_k e^{z_k - m} . $$
#
# 它的导数与原来一样，是 $P - Y$，根本用不着对数。两个引擎都是这样计算损失的。只用两个类别就能看清一切：设 logits 为 $(d, 0)$，正确的是第一类，损失就是 $\log(1 + e^{-d})$。


# %%
def definition(z):
    """The loss of the first class, by softmax and logarithm."""
    e = np.exp(z)
    return -np.log(e[..., 0] / e.sum(axis=-1))


def shifted(z):
    """The same with the largest logit taken away first."""
    return definition(z - z.max(axis=-1, keepdims=True))


def log_sum_exp(z):
    """LSE(z) - z_y."""
    m = z.max(axis=-1)
    return np.log(np.exp(z - m[..., None]).sum(axis=-1)) - (z[..., 0] - m)


def by_log1p(z):
    """log(1 + e^-d) with log1p, which keeps what is small beside the 1; for two classes."""
    d = z[..., 0] - z[..., 1]
    return np.maximum(-d, 0) + np.log1p(np.exp(-np.abs(d)))


distances = np.arange(-150, 150.5, 0.5, dtype=np.float32)
WAYS = {"definition": definition, "shifted": shifted, "log-sum-exp": log_sum_exp, "log1p": by_log1p}
with np.errstate(all="ignore"):
    losses = {name: way(np.stack([distances, 0 * distances], axis=1)) for name, way in WAYS.items()}
print("d".rjust(4), *(name.rjust(12) for name in (*losses, "layer", *["torch"] * bool(torch))))
for d in (-120, -95, 1, 20, 95):
    logits = np.float32([[d, 0]])
    values = [found[distances == d].item() for found in losses.values()]
    values.append(nn.CrossEntropyLoss()(logits, np.array([0])))
    if torch:
        values.append(torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor([0])).item())
    print(f"{d:4}", *(f"{value:12.6g}" for value in values))
loss = nn.CrossEntropyLoss()
print("d = 20: the loss is", loss(np.float32([[20, 0]]), np.array([0])), "and its gradient", loss.backward()[0])

# %% [markdown]
# 按定义计算，logit 太大就得 NaN；概率太小时，即使减去最大值也得 inf；log-sum-exp 则两者都不会。剩下的是另一头。网络答对了而且十分肯定，损失是 $e^{-20}$，而 float32 在 1 与 $1 + 1.2 \cdot 10^{-7}$ 之间没有别的数：和成了 1，损失成了 0。可是对另一个 logit 的梯度仍然在，各位数字一个不少，所以损失为 0 并不表示什么也没有学。只有两个类别时，用 `log1p` 连损失也能保住，`nn.BCEWithLogitsLoss` 就是这样做的。
#
# ## 差商的最佳步长
#
# 第 7 课画出了一个 V 形，并说了最低点在哪里。现在可以把它推导出来。如果 $f$ 的误差至多是 $u |f|$，那么两个值之差除以 $2h$，误差至多是 $u |f| / h$；而公式舍去的部分是 $h^2 |f'''| / 6$：
#
# $$ E(h) = \frac{h^2}{6} |f'''| + \frac{u |f|}{h}, \qquad E'(h) = 0 \ \text{ 当 } \
# h = \sqrt[3]{\frac{3 u |f|}{|f'''|}}, \qquad E = \frac{h^2}{2} |f'''| . $$
#
# $e^x$ 的三阶导数就是它自己，所以 $h = \sqrt[3]{3u}$：在 float32 里是 $0.006$，剩下将近五位正确的数字；在 float64 里是 $7 \cdot 10^{-6}$，剩下十位。换别的 $h$ 也好不了多少。我们让 $h$ 取 2 的幂，使 $1 \pm h$ 没有误差。

# %%
quotients = {}
for dtype, u in ((np.float32, U), (np.float64, 2.0**-53)):
    steps = 2.0 ** -np.arange(0, -int(np.log2(u)))
    x_h = [(dtype(1 + h), dtype(1 - h)) for h in steps]
    values = np.array([(float(np.exp(p)) - float(np.exp(m))) / (2 * h) for (p, m), h in zip(x_h, steps, strict=True)])
    errors, line = np.abs(values / np.e - 1), steps**2 / 6 + u / steps
    quotients[dtype.__name__] = steps, errors, line
    best, derived = steps[errors.argmin()], np.cbrt(3 * u)
    print(f"{dtype.__name__}: derived h = {derived:.1e}, error {derived**2 / 2:.0e}; ", end="")
    print(f"found h = {best:.1e}, error {errors.min():.0e}")

# %%
figure, (panels,) = plotting.panels(1, 2, 5.0, 3.9)
exact = np.logaddexp(0.0, -distances.astype(np.float64))
for (name, found), style in zip(losses.items(), plotting.CURVES, strict=False):
    with np.errstate(invalid="ignore"):
        panels[0].semilogy(distances, np.maximum(np.abs(found / exact - 1), 1e-9), label=name, **style)
panels[0].set(title="the loss of logits $(d, 0)$ in float32", xlabel="$d$", ylabel="relative error", ylim=(3e-10, 30))
panels[0].legend(loc="upper left", fontsize=9)
for (name, (steps, errors, line)), style in zip(quotients.items(), plotting.CURVES, strict=False):
    panels[1].loglog(steps, line, color=plotting.GREY, linewidth=0.9)
    panels[1].loglog(steps, np.maximum(errors, 1e-13), label=name, **style)
panels[1].set(title="central difference of $e^x$ at 1", xlabel="step $h$", ylabel="relative error", ylim=(1e-13, 1e1))
panels[1].legend(loc="lower left")
lesson.show(figure, "losses")

# %% [markdown]
# ## 练习
#
# - **11.1** 在 float32 里，和从 0 开始，加 1 加了两千万次。最后它是多少？
# - **11.2** 写 dot_bound(x, y, u)：用 gamma_n 写出的、两个向量 x 与 y 的点积的舍入误差的界，求和次序任意，单位舍入误差为 u。
# - **11.3** 写 bce(z, y)：z 是 logits 的数组，y 是取 0 或 1 的标签，返回各个损失 -log p；y 为 1 时 p = sigmoid(z)，y 为 0 时 p = 1 - sigmoid(z)。z = 1000 和 z = -1000 时也要对，损失极小时也要保住全部位数。
#
# 把答案写进一个文件，`numpy-nn exercise 11.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# 换一种次序求和，和就可能不同。几个进程分担一批样本时，各自先把自己的梯度加起来，最后再把各进程的梯度相加：进程数不同，次序也就不同。有没有一种训练，不管多少进程参加，结果的每一位都相同？
