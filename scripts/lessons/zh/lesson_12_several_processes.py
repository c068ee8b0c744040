# %% [markdown]
# # 第 12 课：几个进程训练一个网络
#
# **上一课思考题的答案。** 有一种：什么也不舍入的训练。如果每个和都是精确的，次序就无关紧要，一个进程和四个进程必定得到每一位都相同的结果。这正好用来严格检验本课要搭的东西：几个进程同时训练一个网络，每个进程都有全部参数，但只看每一批的一部分。这叫做*数据并行*。
#
# ## 分成几部分求平均的梯度
#
# 一批有 $n$ 行，损失是各行损失的平均，$L = \frac1n \sum_i \ell_i$。把集合 $R_r$ 中的 $n_r$ 行交给进程 $r$，让它就*自己*的行计算平均的梯度，仿佛没有别的行一样：
#
# $$ g_r = \frac{1}{n_r} \sum_{i \in R_r} \nabla \ell_i , \qquad
# g = \frac1n \sum_i \nabla \ell_i = \sum_r \frac{n_r}{n}\, g_r . $$
#
# 这就够了：各部分的梯度按行数加权，加起来就是整批的梯度。如果 $p$ 个部分一样大，则 $n_r / n = 1 / p$，这个和就是平均的平均。如果不一样大，平均的平均就是另一个梯度：它给 $R_r$ 中每一行的权是 $1 / (p\, n_r)$，而不是 $1 / n$，所以在小的部分里，一行的分量比在大的部分里重。这一点很容易忽略，因为往往只有一轮的最后一批不能等分。
#
# 下面手工计算一个小网络，激活函数用 ReLU，损失用平方误差：

# %%
from fractions import Fraction
from itertools import pairwise

import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting, processes

lesson = command_line.start("lesson-12-several-processes")
torch = lesson.torch()  # None where torch is not installed: then its part is left out
SHAPES = (3, 4), (4,), (4, 1), (1,)


def gradient(x, t, parameters):
    """Of the mean squared error of a network 3-4-1, with respect to all parameters in one vector."""
    w1, b1, w2, b2 = (p.reshape(s) for p, s in zip(np.split(parameters, [12, 16, 20]), SHAPES, strict=True))
    z = x @ w1 + b1
    h = np.maximum(z, 0)
    grad_out = 2 * (h @ w2 + b2 - t) / len(x)
    grad_z = grad_out @ w2.T * (z > 0)
    return np.concatenate([g.ravel() for g in (x.T @ grad_z, grad_z.sum(axis=0), h.T @ grad_out, grad_out.sum(axis=0))])


def parts(n, size):
    """The rows of each of so many processes."""
    return [slice(rank * n // size, (rank + 1) * n // size) for rank in range(size)]


rng = np.random.default_rng(0)
x, t, start = rng.normal(size=(8, 3)), rng.normal(size=(8, 1)), rng.normal(size=21)
whole = gradient(x, t, start)
for size in (2, 3, 4):
    rows = [len(x[part]) for part in parts(8, size)]
    each = [gradient(x[part], t[part], start) for part in parts(8, size)]
    weighted = sum(n / 8 * g for n, g in zip(rows, each, strict=True))
    off = [np.abs(g - whole).max() for g in (np.mean(each, axis=0), weighted)]
    print(f"parts of {rows} rows: the mean of the means is off by {off[0]:.0e}, the weighted sum by {off[1]:.0e}")

# %% [markdown]
# ## 人人都有的和
#
# 现在每个进程都需要这个和，而各自只有其中一项；这样的运算叫做*全归约*（all-reduce）。最直接的办法是大家都把自己的一项交给某一个进程，由它相加，再把和发回去。这行得通，但这个进程要发送的数据是其他进程的 $p - 1$ 倍。通常的办法是排成一个环，每个进程只与左右两个邻居通信。把梯度切成 $p$ 段。在 $p - 1$ 次交换的每一次里，每个进程都传出一段，再把收到的一段加到自己的上面；这之后，每一段都在某一个进程那里加齐了。再交换 $p - 1$ 次，让加齐了的各段绕环一周。


# %%
def all_reduce(ring, array, watch=lambda: None):
    """Replace the array by the sum of all processes' arrays, in place."""
    pieces = np.array_split(array, ring.size)
    for step in range(ring.size - 1):
        pieces[(ring.rank - step - 1) % ring.size] += ring.exchange(pieces[(ring.rank - step) % ring.size])
        watch()
    for step in range(ring.size - 1):
        pieces[(ring.rank - step) % ring.size][...] = ring.exchange(pieces[(ring.rank - step + 1) % ring.size])
        watch()


# %% [markdown]
# `processes.together` 在当前进程之外再启动几个进程，并交给每个进程一个 `ring`，它知道该进程的编号，并与邻居交换数组。它们是真正的进程，各有自己的 Python。笔记本里写的东西它们无法导入，所以交给它们的是函数的源代码。下面是四个进程，各自的梯度是四个 1；每次交换之后，3 表示有三个进程参与的和。


# %%
def stages(ring):
    """What this process has at first and after each exchange."""
    ones = np.ones(ring.size)
    seen = [ones.copy()]
    all_reduce(ring, ones, lambda: seen.append(ones.copy()))
    return np.array(seen)


found = np.array(processes.together(4, [all_reduce, stages])).swapaxes(0, 1)
figure, axes = plotting.panels(1, len(found), 1.75, 2.0)
for step, (ax, held) in enumerate(zip(axes.flat, found, strict=True)):
    ax.imshow(held, cmap="Blues", vmin=0, vmax=6)
    for (rank, piece), count in np.ndenumerate(held):
        ax.text(piece, rank, f"{count:.0f}", ha="center", va="center", fontweight="bold" if count == 4 else "normal")
    ax.set(xticks=[], yticks=range(4), title=f"exchange {step}" if step else "before", xlabel="piece")
    ax.set_yticklabels([f"process {rank}" for rank in range(4)] if step == 0 else [])
    ax.tick_params(length=0)
    ax.grid(False)
lesson.show(figure)

# %% [markdown]
# ## 不会舍入的数
#
# 浮点数能精确表示任何不超过 53 位的二进制整数乘以 2 的幂；这样的数的和与积，只要位数放得下，也都是精确的。所以从二分之一的整数倍开始；ReLU 是精确的，平方误差的导数也是；取 8 行，使平均时除以 2 的幂，学习率也取 2 的幂。这样能维持多久？在 float64 旁边，用分数把同样的几步再做一遍：

# %%
exact_x, exact_t = rng.integers(-2, 3, (8, 3)) / 2, rng.integers(-2, 3, (8, 1)) / 2
exact_start, LR = rng.integers(-2, 3, 21) / 2, 1 / 8
fractions = np.vectorize(lambda value: Fraction(float(value)), otypes=[object])


def digits(number):
    """How many binary digits a fraction has, from the first that is 1 to the last."""
    n = abs(number.numerator)
    return n.bit_length() - (n & -n).bit_length() + 1 if n else 0


floats, truth = exact_start, fractions(exact_start)
after = []
for step in range(1, 5):
    floats = floats - LR * gradient(exact_x, exact_t, floats)
    truth = truth - Fraction(LR) * gradient(fractions(exact_x), fractions(exact_t), truth)
    same = (fractions(floats) == truth).sum()
    print(f"after step {step}: up to {max(map(digits, truth)):3} digits, {same} of 21 parameters in float64 are exact")
    after.append(truth.astype(np.float64))

# %% [markdown]
# 新的参数里含有三个旧参数的乘积，所以每走一步，位数大约变成三倍。前两步是精确的，而这已经够了：分法、权重或求和只要有错，第一步就会露出来。
#
# ## 用我们的层训练
#
# 每个进程都有整个网络，以及属于自己的那些行。我们的网络把全部梯度放在一个向量里，所以交换只需在反向传播与更新之间调用一次。所有进程得到的和相同，更新也就相同，不必比较就始终一致。


# %%
def train(ring, x, t, start, lr, steps):
    """The parameters that this process has in the end, in one vector."""
    net, loss = nn.MLP([3, 4, 1], "relu", dtype=np.float64), nn.MSELoss()
    parameters = net.parameters()
    optimizer = nn.SGD(parameters, lr)
    parameters.data[...] = start
    rows = slice(ring.rank * len(x) // ring.size, (ring.rank + 1) * len(x) // ring.size)
    for _ in range(steps):
        loss(net(x[rows]), t[rows])
        net.backward(loss.backward())
        parameters.grad[...] *= len(x[rows]) / len(x)
        all_reduce(ring, parameters.grad)
        optimizer.step()
    return parameters.data.copy()


def both(ring, exact, rounded):
    """Two trainings, one after the other."""
    return train(ring, *exact), train(ring, *rounded)


exact, rounded = (exact_x, exact_t, exact_start, LR, 2), (x, t, start, LR, 20)
alone = None
for size in (1, 2, 3, 4):
    ends = processes.together(size, [all_reduce, train, both], exact, rounded)
    equal = all(np.array_equal(one, other) for end in ends for one, other in zip(end, ends[0], strict=True))
    on_halves, on_others = ends[0]
    alone = on_others if alone is None else alone
    bits = "the bits of the fractions" if np.array_equal(on_halves, after[1]) else "not exact"
    print(f"{size} process{'es' if size > 1 else '  '}: all alike: {equal}; on halves: {bits}; ", end="")
    print(f"on other numbers off one process by {np.abs(on_others - alone).max():.0e}")

# %% [markdown]
# 在二分之一的整数倍上，一个、两个和四个进程的结果每一位都相同，与分数算出的一样。三个进程则不然：它们的各部分有 2 行、3 行和 3 行，各自除以自己的 $n_r$，而 $1/3$ 在二进制里是无限的。换成别的数，几种结果在最后一位上差几个单位，正如第 11 课所说。无论哪种情形，同一次训练的所有进程，每一位都相同：和的每一段都在一个地方加好，再复制给其他进程。
#
# ## 用 torch 做同样的事
#
# torch 自己的交换，在处理器之间叫 gloo，在 GPU 之间叫 NCCL；`DistributedDataParallel` 在反向传播还在进行时就逐层调用它，并对各进程取平均，在等分时这是对的。`torch_ref.distributed` 把 gloo 借给我们的引擎用：一个数据加载器，把每个进程该得的部分交给它；一个全归约，权重是 $n_r / n$，作为 `nn.fit` 的回调。其后是 torch 的网络，交换的过程写了出来。两者都用两个进程，数都是二分之一的整数倍：


# %%
def by_torch(ring, x, t, start, lr, steps):
    """The parameters in the end: our network with torch's exchange, and torch's network."""
    import torch
    import torch.distributed as dist

    from torch_ref import distributed, to_torch

    port = np.zeros(1)  # where the first process can be met
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False) if ring.rank == 0 else None
    port[0] = store.port if store else 0
    all_reduce(ring, port)
    group = distributed.join(store or dist.TCPStore("127.0.0.1", int(port[0])), ring.rank, ring.size)

    net, loss = nn.MLP([3, 4, 1], "relu", dtype=np.float64), nn.MSELoss()
    net.parameters().data[...] = start
    model = to_torch(net)
    loader = distributed.ShardedLoader(nn.DataLoader(x, t, len(x), shuffle=False), group)
    exchange = distributed.AllReduce(net, loss, loader)
    nn.fit(net, loss, nn.SGD(net.parameters(), lr), loader, steps, callbacks=[exchange])

    rows = group.slice_of(len(x))
    for _ in range(steps):
        model.zero_grad()
        torch.nn.functional.mse_loss(model(torch.tensor(x[rows])), torch.tensor(t[rows])).backward()
        for p in model.parameters():
            dist.all_reduce(p.grad)
            p.data -= lr * (p.grad / ring.size)  # of equal parts, the mean
    theirs = [p.detach().numpy().T.ravel() for p in model.parameters()]  # torch keeps W transposed
    distributed.leave()
    return net.parameters().data.copy(), np.concatenate(theirs)


if torch:
    ends = processes.together(2, [all_reduce, by_torch], *exact)
    for name, vectors in zip(("nn.fit with gloo", "torch with gloo"), zip(*ends, strict=True), strict=True):
        same = all(np.array_equal(vector, after[1]) for vector in vectors)
        print(f"{name}: {'the bits of the fractions in both processes' if same else 'not exact'}")

# %% [markdown]
# ## 代价有多大
#
# 计算是分摊的：对多层感知机来说，一行大约要为每个权重做 6 次运算（前向一次乘法和一次加法，反向是它的两倍；第一层不必求输入的梯度），而每个进程有 $n / p$ 行。通信却不是分摊的。设梯度有 $N$ 个字节，每个进程在 $2 (p - 1)$ 次交换中每次发送 $N / p$ 大小的一段：
#
# $$ \text{每个进程的运算次数} \approx \frac{n}{p} \cdot 6 \cdot \text{权重数}, \qquad
# \text{每个进程发送的字节数} = \frac{2 (p - 1)}{p}\, N < 2 N . $$
#
# 后者几乎不随 $p$ 增长，也没有哪种方法能发送得更少。但它也不会减少，而且 $2 (p - 1)$ 条消息是一条接一条的，无论多短，每条都要花时间。下面对 float32 的 784-256-10 网络和 512 行的批次，数一数字节，并在你的机器上计时：


# %%
def timed(ring, sizes, batch, steps):
    """The bytes that this process sent in a step, and the seconds that a step took."""
    import time

    net, loss, rng = nn.MLP(sizes, "relu", rng=0), nn.CrossEntropyLoss(), np.random.default_rng(ring.rank)
    optimizer = nn.SGD(net.parameters(), 0.1)
    x, y = rng.random((batch // ring.size, sizes[0]), np.float32), rng.integers(0, sizes[-1], batch // ring.size)
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        loss(net(x), y)
        net.backward(loss.backward())
        net.parameters().grad[...] /= ring.size  # of equal parts, the mean
        all_reduce(ring, net.parameters().grad)
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return ring.sent / steps, float(np.median(seconds))


NETWORK, BATCH = [784, 256, 10], 512
weights = [m * n for m, n in pairwise(NETWORK)]
size_in_bytes = 4 * (sum(weights) + sum(NETWORK[1:]))


def operations(rows):
    """Additions and multiplications of the matrix products of a step."""
    return rows * (6 * sum(weights) - 2 * weights[0])


for size in (1, 2, 4):
    sent, seconds = zip(*processes.together(size, [all_reduce, timed], NETWORK, BATCH, 10), strict=True)
    formula = 2 * (size - 1) / size * size_in_bytes
    print(f"{size} process{'es' if size > 1 else '  '}: ", end="")
    print(f"{operations(BATCH / size) / 1e6:.0f} million operations each, {np.mean(sent):,.0f} bytes ", end="")
    print(f"sent by each (by the formula {formula:,.0f}); a step: {1000 * max(seconds):.1f} ms")

# %% [markdown]
# 在核心不多的机器上，几个进程很少比一个快：核心还是那么几个，交换却是额外的。在几台机器上，就要看每台分到多少。设一批有 8192 行，每台机器每秒做 $10^{11}$ 次运算，网络每秒传 $10$ Gb，每条消息另需 $50$ 微秒，下面是上面两个公式给出的结果。这三个数是假设的；实测的结果，以及它与公式在哪里不同，见 `docs/scaling.md`。

# %%
RATE, BANDWIDTH, LATENCY, ROWS = 1e11, 10e9 / 8, 50e-6, 8192
p = 2 ** np.arange(10)
computing = operations(ROWS) / p / RATE
ring_sends = 2 * (p - 1) / p * size_in_bytes / BANDWIDTH + 2 * (p - 1) * LATENCY
one_sends = 2 * (p - 1) * (size_in_bytes / BANDWIDTH + LATENCY)
best = int(p[(computing + ring_sends).argmin()])
print(f"fastest with {best} machines: {computing[0] / (computing + ring_sends).min():.1f} times as fast as one")

figure, (panels,) = plotting.panels(1, 2, 5.0, 3.9)
for sent, label, style in (
    (p[1:] - 1, "one for all: what that one sends", plotting.CURVES[1]),
    (2 * (p[1:] - 1) / p[1:], "ring: what each sends", plotting.CURVES[0]),
):
    panels[0].loglog(p[1:], sent, label=label, marker="o", markersize=4, **style)
panels[0].set(title="sent in a step", ylabel="in gradients", ylim=(0.5, 2000))
for values, label, style in (
    (computing, "computing", plotting.CURVES[2]),
    (ring_sends, "the ring's exchanges", plotting.CURVES[3]),
    (computing + ring_sends, "computing and ring", plotting.CURVES[0]),
    (computing + one_sends, "computing and one for all", plotting.CURVES[1]),
):
    panels[1].loglog(p[values > 0], 1000 * values[values > 0], label=label, **style)
panels[1].set(title="a step on assumed machines, 8192 rows", ylabel="milliseconds", ylim=(0.01, 2000))
for ax, place in zip(panels, ("upper left", "lower left"), strict=True):
    ax.set(xlabel="processes $p$", xticks=p[::3], xticklabels=p[::3])
    ax.legend(loc=place, fontsize=9)
lesson.show(figure, "costs")

# %% [markdown]
# ## 练习
#
# - **12.1** 一百万个 float32 数组成的梯度，在 5 个进程的环里求和。每个进程发送多少字节？
# - **12.2** 写 combined(gradients, rows)：gradients 是一个列表，其中是各部分的平均损失的梯度，rows 是各部分行数的列表，返回整批的平均损失的梯度。
# - **12.3** 写 reduce_scatter(pieces)：数组的形状是 (p, p)，第 r 行是进程 r 的 p 段。返回前 p - 1 次交换之后的数组：在第 s = 0, 1, ... 次交换中，进程 r 把进程 r - 1 的第 r - s - 1 段加到自己的同一段上，所有下标都对 p 取模。
#
# 把答案写进一个文件，`numpy-nn exercise 12.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# 批次不变而进程加倍，每个进程的行数就减半，不久大家多半都在等待。把批次也加倍，所有进程就都有事做，但一轮的步数只剩一半。不过每一步的梯度更准了：它是两倍行数的平均。你会怎样改学习率？又会测量什么，来判断自己改得对不对？
