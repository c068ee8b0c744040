# %% [markdown]
# # 第 2 课：异或
#
# **上一课思考题的答案。** 都不是：它在兜圈子。本课把这个圈子画出来，证明没有一条直线能做到，然后加上一个隐藏层。
#
# 正方形的四个角：两个坐标同号为 $+1$ 类，异号为 $-1$ 类（即写成 $-1/+1$ 形式的异或）。

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-2-xor")

x, y = nn.datasets.xor(dtype=np.float64)
for point, label in zip(x, y, strict=True):
    print(f"point ({point[0]:+.0f}, {point[1]:+.0f})   label {label:+d}")

# %% [markdown]
# ## 为什么没有直线能做到
#
# 假设 $f(x) = w_1 x_1 + w_2 x_2 + b$ 在四个角上的符号都对。那么
#
# $$
# \begin{aligned}
# (+1, +1):& \quad & w_1 + w_2 + b &> 0 \\
# (-1, -1):& \quad & -w_1 - w_2 + b &> 0 \\
# (-1, +1):& \quad & -w_1 + w_2 + b &< 0 \\
# (+1, -1):& \quad & w_1 - w_2 + b &< 0
# \end{aligned}
# $$
#
# 前两式相加：$2b > 0$。后两式相加：$2b < 0$。没有一个 $b$ 能同时满足，所以这样的直线不存在。让机器试试也无妨：随机的 100,000 条直线里，最好的也还错一个角。

# %%
rng = np.random.default_rng(0)
tries = rng.normal(size=(100_000, 3))
right = (y * (tries[:, :2] @ x.T + tries[:, 2:]) > 0).sum(axis=1)
print("corners that a random line gets right:", {int(n): int((right == n).sum()) for n in range(5)})

# %% [markdown]
# ## 感知机的循环
#
# 第 1 课的规则不知道这一点，会永远试下去。

# %%
perceptron = nn.Perceptron(2, dtype=np.float64)
states = []  # (w_1, w_2, b) after each visit
for epoch in range(1, 4):
    for point, label in zip(x, y, strict=True):
        wrong = perceptron.update(point, label)
        w, b = perceptron.weight, float(perceptron.bias)
        states.append((*w, b))
        verdict = "wrong" if wrong else "right"
        visit = f"epoch {epoch}  ({point[0]:+.0f}, {point[1]:+.0f})  {verdict}"
        print(f"{visit}: w = ({w[0]:+.0f}, {w[1]:+.0f}), b = {b:+.0f}")
states = np.array(states)
period = next(n for n in range(1, len(states)) if np.array_equal(states[n:], states[:-n]))
print(f"the weights repeat after {period} visits: they are back at 0 at the end of every epoch")

# %% [markdown]
# 无论什么时候去看，每个角都是分错的；而四次更新 $y\,(x_1, x_2, 1)$ 加起来恰好是 0。于是权重永远绕着同一个正方形走。一般地，如果没有直线能把点分开，感知机的权重始终有界，但永远不会稳定下来（感知机循环定理）。
#
# ## 一个隐藏层，手工构造
#
# 先把平面折弯，再画直线。两个隐藏单元就够了：
#
# $$ h_1 = \max(0,\; x_1 + x_2), \qquad h_2 = \max(0,\; -x_1 - x_2), \qquad f = h_1 + h_2 - 1 . $$
#
# 一个单元只看见角 $(+1, +1)$，另一个只看见 $(-1, -1)$，对其余的角都视而不见；合起来 $f = |x_1 + x_2| - 1$。

# %%
by_hand = nn.MLP([2, 2, 1], "relu", dtype=np.float64)
by_hand[0].weight.data[...] = [[1.0, -1.0], [1.0, -1.0]]  # one column for each hidden unit
by_hand[0].bias.data[...] = 0.0
by_hand[2].weight.data[...] = [[1.0], [1.0]]
by_hand[2].bias.data[...] = -1.0
for point, label, f in zip(x, y, by_hand.predict(x)[:, 0], strict=True):
    print(f"by hand: f({point[0]:+.0f}, {point[1]:+.0f}) = {f:+.0f}   label {label:+d}")

# %% [markdown]
# ## 一个隐藏层，自己学会
#
# 现在让网络自己找权重。隐藏单元用 $\tanh$；输出 $z$ 经过 sigmoid，损失是二元交叉熵，$+1$ 类的目标是 1，$-1$ 类的目标是 0。梯度从哪里来，是第 4 课的内容；这里先让它工作，每种宽度从二十个随机起点开始。

# %%
target = (y[:, None] > 0).astype(np.float64)


def train(hidden, seed, steps=250):
    """A 2 - hidden - 1 network after so many steps on all four corners, and whether all are right."""
    net = nn.MLP([2, hidden, 1], "tanh", rng=seed, dtype=np.float64)
    loss, optimizer = nn.BCEWithLogitsLoss(), nn.SGD(net.parameters(), lr=2.0)
    for _ in range(steps):
        nn.train_step(net, loss, optimizer, x, target)
    return net, nn.evaluate(net, loss, x, target).accuracy == 1.0


for hidden in (1, 2, 4):
    solved = [seed for seed in range(20) if train(hidden, seed)[1]]
    print(f"{hidden} hidden unit(s): {len(solved):2d} of 20 starts end with all four corners right")

# %% [markdown]
# 只有一个隐藏单元，画出来的仍然是一条直线：输出是弯的，边界却不弯。两个就够了，但大约有一半的起点在 250 步之后还卡在半路。再多几个就容易了：人们把网络做得比需要的更宽，这是原因之一。
#
# 隐藏单元看见了什么？每个单元在输入平面里有自己的一条直线（图中的虚线），它的回答是：这个点在哪一侧、离得多远。在它们的回答 $(h_1, h_2)$ 构成的平面里，四个角换了位置，在那里一条直线就够了，那就是输出单元的直线。

# %%
net, _ = train(2, seed=1)
hidden = np.tanh(x @ net[0].weight.data + net[0].bias.data)
for point, h, f in zip(x, hidden, net.predict(x)[:, 0], strict=True):
    print(f"({point[0]:+.0f}, {point[1]:+.0f})  the hidden units say ({h[0]:+.3f}, {h[1]:+.3f})  output {f:+.2f}")

# %% [markdown]
# 上面一行是感知机前三次更新之后的样子，往后每转一圈都是同样的几条直线。下面一行先是它的权重，然后是那两个隐藏单元：它们在输入平面里的直线，以及它们眼中的四个角。

# %%
figure, axes = plotting.panels(2, 3, 3.5, 3.6)
for number, (ax, (*w, b)) in enumerate(zip(axes[0], states, strict=False), start=1):
    plotting.plane(ax, -2, 2, f"after updates {number}, {number + 4}, {number + 8}, ...")
    plotting.classifier(ax, lambda p, w=w, b=b: p @ w + b, x, y)

circle, learned, seen = axes[1]
plotting.plane(circle, -2, 2, "its weights walk in a circle", ("$w_1$", "$w_2$"))
circle.set_xlim(-1, 3)
plotting.walk(circle, states[:period])

plotting.plane(learned, -2, 2, "two hidden units: the inputs")
plotting.classifier(learned, lambda p: net.predict(p)[:, 0], x, y)
for unit, style in enumerate(plotting.CURVES[3:5]):
    weight, bias = net[0].weight.data[:, unit], net[0].bias.data[unit]
    plotting.line(learned, weight, bias, **style, label=f"hidden unit {unit + 1} says 0")

plotting.plane(seen, -1.3, 1.3, "what the hidden units see", ("$h_1$", "$h_2$"))
plotting.classifier(seen, lambda h: h @ net[2].weight.data[:, 0] + net[2].bias.data[0], hidden, y)
corners = [hidden[0], hidden[1:4:2].mean(axis=0), hidden[2]]
plotting.names_beside(seen, corners, ["(1, 1)", "(-1, 1)\n(1, -1)", "(-1, -1)"])
figure.legend(*learned.get_legend_handles_labels(), loc="outside lower center", ncols=4)
lesson.show(figure)

# %% [markdown]
# ## 练习
#
# - **2.1** 手工构造的网络 f = h1 + h2 - 1 在点 (2, -0.5) 处给出多少？
# - **2.2** 写 hidden(x)：手工构造的网络的两个隐藏单元对 x 的每一行的输出，形状为 (n, 2)。
# - **2.3** 给正方形的四个角标上 +1 或 -1，共有 16 种标法。其中有多少种可以用一条直线分开？
#
# 把答案写进一个文件，`numpy-nn exercise 2.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# 训练时我们用了 $\tanh$，手工构造时用了 $\max(0, \cdot)$。长期以来人们认为，用 $\tanh$ 和 sigmoid 这样的函数几乎没有希望训练深的网络，而用 $\max(0, \cdot)$ 就容易。它们都能把平面折弯，那么是它们的*导数*中的什么造成了这种差别？
