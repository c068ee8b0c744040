# %% [markdown]
# # 第 1 课：感知机
#
# （各课的程序与英文版逐字相同，因此打印的结果和图中的文字是英文；说明文字是中文。）
#
# 感知机用一条直线把平面分成两半。对于点 $x$，它计算 $f(x) = w \cdot x + b$，再看符号作答：$f(x) > 0$ 就答 $+1$ 类，否则答 $-1$ 类。标签 $y$ 写成 $+1$ 或 $-1$，那么一个点被分对，当且仅当
#
# $$ y \, f(x) > 0 . $$
#
# Rosenblatt 的规则（1958）从 $w = 0$、$b = 0$ 出发，一个点一个点地看。分对了，什么也不做；分错了，就更新
#
# $$ w \leftarrow w + y\,x, \qquad b \leftarrow b + y . $$
#
# 更新之后，$f(x)$ 改变了 $y\,(|x|^2 + 1)$：总是朝着正确的符号走。这个点可能仍然是错的，别的点也可能因此被弄错。于是一轮（epoch）一轮地看下去，直到某一轮一个错也没有。

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-1-perceptron")
torch = lesson.torch()  # None where torch is not installed: then its part is left out

x, y = nn.datasets.four_points(dtype=np.float64)
sign = 2 * y - 1
for point, label in zip(x, sign, strict=True):
    print(f"point ({point[0]}, {point[1]})   label {label:+d}")

# %% [markdown]
# 四个点，每类两个。下面看规则如何运作，每一行记录看一个点的经过。

# %%
perceptron = nn.Perceptron(2, dtype=np.float64)
updates = []  # (epoch, point, weight, bias) after each update
mistakes = []
while not mistakes or mistakes[-1] > 0:
    mistakes.append(0)
    print(f"\nepoch {len(mistakes)}")
    for point, label in zip(x, sign, strict=True):
        f = perceptron.decision_function(point[None])[0]
        visit = f"  ({point[0]:.1f}, {point[1]:.2f})  y f = {label * f:+.4f}"
        if perceptron.update(point, label):
            mistakes[-1] += 1
            w, b = perceptron.weight, perceptron.bias
            updates.append((len(mistakes), point, w.copy(), float(b)))
            print(f"{visit}  wrong: w = ({w[0]:+.2f}, {w[1]:+.2f}), b = {b:+.0f}")
        else:
            print(f"{visit}  right")
print(f"\nmistakes by epoch: {mistakes}, {sum(mistakes)} in all; the last epoch has none, so the rule stops")

# %% [markdown]
# 看第一个点时 $f = 0$，并不大于 0，所以算作分错；否则这条规则永远不会动起来。`Perceptron.fit` 就是这个循环：

# %%
again = nn.Perceptron(2, dtype=np.float64)
history = again.fit(x, y)
print("fit:", history, "the same weights:", np.array_equal(again.weight, perceptron.weight))

# %% [markdown]
# ## 这条规则就是梯度下降
#
# 让每个分错的点都有损失，离正确的一侧越远损失越大；分对的点没有损失：
#
# $$ L(w, b) = \max(0, \; -y\,(w \cdot x + b)) . $$
#
# 点分错时，$\partial L / \partial w = -y\,x$，$\partial L / \partial b = -y$；分对时两者都是 0。学习率为 1 的一步梯度下降减去的正是它们，所以这*就是*上面的规则。我们让三者同步走：规则本身；我们自己的层加上损失 `PerceptronLoss` 和优化器 `SGD`；以及 torch，它的自动求导并不知道什么规则。（在 $f = 0$ 处损失有一个折点，三者都取分错那一侧的斜率。）

# %%
rule = nn.Perceptron(2, dtype=np.float64)
net = nn.Sequential(nn.Linear(2, 1, dtype=np.float64))
net.parameters().data[...] = 0.0
loss, sgd = nn.PerceptronLoss(), nn.SGD(net.parameters(), lr=1.0)
if torch:
    from torch_ref import TorchPerceptron

    model = TorchPerceptron(2, dtype=torch.float64)
    torch_sgd = torch.optim.SGD(model.parameters(), lr=1.0)

largest = 0.0
for _ in mistakes:
    for point, label in zip(x, sign, strict=True):
        rule.update(point, label)
        by_rule = np.append(rule.weight, rule.bias)

        nn.train_step(net, loss, sgd, point[None], np.array([[float(label)]]))
        largest = max(largest, *np.abs(net.parameters().data - by_rule))

        if torch:
            torch_sgd.zero_grad()
            model.loss(torch.from_numpy(point), torch.tensor(float(label))).backward()
            torch_sgd.step()
            by_torch = np.append(model.weight.detach().numpy(), model.bias.item())
            largest = max(largest, *np.abs(by_torch - by_rule))
three = "the rule, our SGD and torch's SGD" if torch else "the rule and our SGD"
print(f"largest difference between {three} over {4 * len(mistakes)} steps: {largest}")

# %% [markdown]
# ## 它最多会犯多少次错？
#
# Novikoff（1962）证明了一个与点的先后顺序无关的上界。给每个点添上一个 1，$\tilde x = (x, 1)$，设 $R$ 是最大的 $|\tilde x|$。如果某个 $\tilde w$ 能把点分开，并且 $\gamma = \min_i y_i\, \tilde w \cdot \tilde x_i / |\tilde w|$，那么
#
# $$ \text{错误次数} \le (R / \gamma)^2 . $$
#
# 证明只要两行。每犯一次错，$\tilde w_t \cdot \tilde w / |\tilde w|$ 至少增加 $\gamma$，所以 $k$ 次之后 $|\tilde w_t| \ge k \gamma$。每犯一次错，$|\tilde w_t|^2$ 至多增加 $R^2$（交叉项不会是正的：那个点是分错的），所以 $|\tilde w_t| \le \sqrt k R$。合起来就是 $k \gamma \le \sqrt k R$。
#
# 任何一个能分开的 $\tilde w$ 都给出一个上界，$\gamma$ 最大的那个给出的最好。它就是各个 $y_i \tilde x_i$ 的凸包里最短的向量；每次朝着当前最差的点走一小步，就能找到它。

# %%
signed = sign[:, None] * np.hstack([x, np.ones((4, 1))])
best = signed[0]
for _ in range(20_000):
    step = best - signed[np.argmin(signed @ best)]
    if step @ step == 0.0:
        break
    best = best - np.clip(best @ step / (step @ step), 0.0, 1.0) * step

for name, weight, bias in (
    ("the line that the rule found", perceptron.weight, float(perceptron.bias)),
    ("the line from (0, 1) to (1, 0)", np.array([-1.0, -1.0]), 1.0),
    ("the line with the largest gamma", best[:2], float(best[2])),
):
    print(f"with {name}: at most {nn.novikoff_bound(x, y, weight, bias):6.2f} mistakes")

rng = np.random.default_rng(0)
counts = []
for _ in range(1000):
    order = rng.permutation(4)
    counts.append(nn.Perceptron(2, dtype=np.float64).fit(x[order], y[order], shuffle=True, rng=rng).total_mistakes)
print(f"made: {sum(mistakes)} in the order above; {min(counts)} to {max(counts)} in 1000 random orders")

# %% [markdown]
# 上界成立，而且很宽松：它要适用于有同样间隔的任何点集、任何顺序，只能如此。
#
# ## 图
#
# 从 (0, 1) 到 (1, 0) 的虚线是我们用眼睛就能看出来的一条分界线。感知机找到的是另一条：它停在第一条能分开的直线上，而不是最好的那条。

# %%
figure, axes = plotting.panels(2, 3, 3.4, 3.4)
for number, (ax, (epoch, point, w, b)) in enumerate(zip(axes.flat, updates, strict=False), start=1):
    plotting.plane(ax, -0.3, 1.6, f"update {number}, epoch {epoch}")
    plotting.classifier(ax, lambda p, w=w, b=b: p @ w + b, x, y)
    ax.scatter(*point, s=260, facecolor="none", edgecolor=plotting.BLACK, linewidths=1.2, label="point that was wrong")
last = axes.flat[len(updates)]
plotting.plane(last, -0.3, 1.6, f"mistakes by epoch: {', '.join(map(str, mistakes))}")
plotting.points(last, x, y)
plotting.line(last, perceptron.weight, float(perceptron.bias), label="the perceptron's line")
plotting.line(last, np.array([-1.0, -1.0]), 1.0, linestyle=":", label="from (0, 1) to (1, 0)")
handles = dict(zip(*reversed(axes.flat[0].get_legend_handles_labels()), strict=True))
handles |= dict(zip(*reversed(last.get_legend_handles_labels()), strict=True))
figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5)
lesson.show(figure)

# %% [markdown]
# ## 练习
#
# - **1.1** 点 x = (2, 1) 的标签是 y = -1；权重 w = (1, -1)，偏置 b = 0.5。按 Rosenblatt 的规则看它一次。之后的 f(x) = w . x + b 是多少？
# - **1.2** 写 update(w, b, x, y)：看一次标签为 y（+1 或 -1）的点 x 之后的权重和偏置。
# - **1.3** 写 novikoff(x, y, w, b)：对于各行 x、标签 y 和一条能分开它们的直线，求上界 (R / gamma)^2。
#
# 把答案写进一个文件，`numpy-nn exercise 1.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# 有直线能分开这些点时，规则会停下来。如果没有这样的直线，它会怎样：停在一条错得不多的直线上，越走越远，还是别的什么？第 2 课用最小的这样一组点来回答。
