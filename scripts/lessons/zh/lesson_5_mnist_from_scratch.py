# %% [markdown]
# # 第 5 课：从零开始做 MNIST
#
# **上一课思考题的答案。** 如果对每个类别都是 $P = 1/10$，损失就是 $-\log(1/10) = \log 10 \approx 2.3$。损失为 80，说明网络给正确类别的概率在 $e^{-80}$ 左右：它不是一无所知，而是非常自信，并且错了。本课训练这样一个网络，再说明 80 从何而来。
#
# 没有层，没有优化器，只有数组。形状为 (784, 64) 的 $W_1$ 和形状为 (64, 10) 的 $W_2$ 取自 $N(0, 1)$，偏置为 0。一批 64 张图片，只在这一批上做 1000 步学习率为 1 的梯度下降：这还不是学习认数字，只是把这 64 张背下来。

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-5-mnist-from-scratch")
mnist = lesson.load_mnist()
torch = lesson.torch()  # None where torch is not installed: then its part is left out
if torch:
    from torch_ref import ScratchMLP


def first_batch(seed):
    """Sixty-four images as rows of 784 pixels in 0 .. 1, and their labels."""
    x, y = next(iter(nn.DataLoader(mnist.x_train, mnist.y_train, batch_size=64, rng=seed)))
    return x.astype(np.float64), y


def initial_weights(seed):
    """W1, b1, W2, b2."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(784, 64)), np.zeros(64), rng.normal(size=(64, 10)), np.zeros(10)]


# %% [markdown]
# 前向传播与第 4 课相同，只有一处不同。$e^{80}$ 还是个数，$e^{800}$ 就不是了（float64 的尽头在 $e^{709}$ 附近，float32 在 $e^{88}$ 附近）。一行的 logits 同时加减一个数，softmax 不变，所以我们从每一行减去其中最大的：这样指数就不会大于 0。
#
# 反向传播与第 4 课逐行相同，更新是 $\theta \leftarrow \theta - \eta\,\bar\theta$，其中 $\eta = 1$。


# %%
def step(weights, x, y, lr):
    """One step of gradient descent on the batch, in place; the loss before it."""
    w1, b1, w2, b2 = weights
    rows = np.arange(len(x))

    z1 = x @ w1 + b1
    h = np.maximum(z1, 0.0)
    z2 = h @ w2 + b2
    shifted = z2 - z2.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    loss = (np.log(total[:, 0]) - shifted[rows, y]).mean()

    grad_z2 = np.exp(shifted) / total
    grad_z2[rows, y] -= 1.0
    grad_z2 /= len(x)
    grad_z1 = np.where(z1 > 0.0, grad_z2 @ w2.T, 0.0)

    w2 -= lr * (h.T @ grad_z2)
    b2 -= lr * grad_z2.sum(axis=0)
    w1 -= lr * (x.T @ grad_z1)
    b1 -= lr * grad_z1.sum(axis=0)
    return loss


def train(seed):
    """The loss before each of 1000 steps, and the weights after them."""
    (x, y), weights = first_batch(seed), initial_weights(seed)
    return np.array([step(weights, x, y, lr=1.0) for _ in range(1000)]), weights


def train_torch(seed):
    """The same batch from the same weights, with torch's autograd and SGD."""
    model = ScratchMLP(dtype=torch.float64)
    with torch.no_grad():
        for parameter, start in zip((model.W1, model.b1, model.W2, model.b2), initial_weights(seed), strict=True):
            parameter.copy_(torch.from_numpy(start))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    x, y = map(torch.from_numpy, first_batch(seed))
    losses = []
    for _ in range(1000):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.array(losses)


# %% [markdown]
# 每一百步打印一次损失，旁边是 torch 在同一批上的损失，以及教程里打印的那一列（教程指的是一门中文课程里讲感知机、异或和多层感知机的那一章，这几课就是按它的顺序来的）。教程的权重和批次都是另外的，由另外的随机数发生器产生，所以数字也不同；多大的差别算平常，看看我们自己的六次运行就知道了。

# %%
tutorial = [79.9906, 0.4516, 0.3094, 0.2515, 0.2047, 0.1898, 0.1861, 0.1446, 0.1345, 0.0993]
(ours, trained), theirs = train(0), train_torch(0) if torch else None
columns = {"ours": ours[::100], **({"torch": theirs[::100]} if torch else {}), "tutorial": tutorial}
runs = [(ours, trained), *map(train, range(1, 6))]
every = np.vstack([losses for losses, _ in runs])
print(" step", *(f"{name:>9}" for name in columns), "  least and largest of 6 runs")
for number, row in zip(range(0, 1000, 100), zip(*columns.values(), strict=True), strict=True):
    low, high = every[:, number].min(), every[:, number].max()
    print(f"{number:5d}", *(f"{loss:9.4f}" for loss in row), f"  {low:10.4f} .. {high:.4f}")
if torch:
    print(f"largest relative difference from torch over all 1000 steps: {np.abs(ours / theirs - 1).max():.0e}")

# %% [markdown]
# 我们的这一次（种子 0）从第 100 步起是六次里最低的，在第 100 步只有教程的二十分之一。两边都没有错。损失是 80、学习率是 1，开头几步非常猛烈：许多隐藏单元被一下子推得很低，对 64 张图片全都关着。这样的单元得不到梯度，再也回不来，它“死”了。能活下来多少个，全凭运气；活下来的少，要分清最后几张图片就要很久：

# %%
print("seed  hidden units that live  loss at step 100  at step 900")
for seed, (losses, (w1, b1, _, _)) in enumerate(runs):
    alive = (first_batch(seed)[0] @ w1 + b1 > 0.0).any(axis=0).sum()
    print(f"{seed:4d}{alive:18d} of 64{losses[100]:18.4f}{losses[900]:13.4f}")

# %% [markdown]
# 我们的这一次活下来的最多。结果是什么样，就原样留着：换一个种子同样正确，只是离教程更近些。
#
# ## 为什么从 80 附近开始
#
# 取一张图片 $x$。每个隐藏的 $z_1$ 是像素乘以 $N(0, 1)$ 权重的和，所以服从正态分布，方差是 $|x|^2$；对一张 MNIST 图片来说，它的平方根大约是 9.2。ReLU 平均保留一半的平方：$\mathrm{E}\,h^2 = |x|^2 / 2$。每个 logit 是 64 个这样的 $h$ 乘以 $N(0, 1)$ 权重的和，标准差为
#
# $$ s = \sqrt{64 \cdot |x|^2 / 2} \approx 9.2 \cdot \sqrt{32} \approx 52 . $$
#
# logits 相差这么远，softmax 就把全部概率放在最大的那个上，损失不过是正确类别的 logit 比最大的低多少。正确类别的那个平均是 0，因为网络一无所知；十个正态随机数中最大的，平均高出 1.54 个标准差。所以损失大约是 $1.54 \cdot 52 \approx 80$。

# %%
largest_of_ten = np.random.default_rng(0).normal(size=(200_000, 10)).max(axis=1).mean()
lengths = np.linalg.norm(mnist.x_train, axis=1)
predicted = largest_of_ten * np.sqrt(32.0) * lengths.mean()
print(f"mean |x| = {lengths.mean():.3f}, largest of ten normal numbers = {largest_of_ten:.3f}")
first = np.array([step(initial_weights(seed), *first_batch(seed), lr=0.0) for seed in range(200)])
print(f"predicted {predicted:.1f}")
print(f"200 random starts: mean {first.mean():.1f}, from {first.min():.1f} to {first.max():.1f}")

# %% [markdown]
# 单独一次运行会落在它周围很宽的范围里，因为 64 张图片共用同一个 $W_2$。要从那里走到几乎为零，哪些权重必须移动？

# %%
for name, before, after in zip(("W1", "W2"), initial_weights(0)[::2], trained[::2], strict=True):
    print(f"{name} moved by {np.linalg.norm(after - before) / np.linalg.norm(before):.1%} of its length")

# %% [markdown]
# 主要是第二层的。第一层几乎还是开始时的噪声：要分清 64 张图片，64 个随机特征就够了。要认出没有见过的数字，网络需要更好的特征；第 6 课会看到一些。

# %%
figure, (panels,) = plotting.panels(1, 2, 5.4, 4.0)
curve, histogram = panels
steps = np.arange(1000)
for number, other in enumerate(every[1:]):
    curve.semilogy(steps, other, color="#8C8C8C", linewidth=0.8, label="" if number else "5 other runs")
curve.semilogy(steps, ours, color=plotting.SKY, linewidth=4.5, label="ours")
if torch:
    curve.semilogy(steps, theirs, color=plotting.BLACK, linewidth=1.2, linestyle="--", label="torch, same batch")
curve.semilogy(steps[::100], tutorial, "D", color=plotting.ORANGE, markeredgecolor="black", label="tutorial")
curve.set(title="1000 steps on one batch, lr 1", xlabel="step", ylabel="cross-entropy, log scale")
curve.legend()
histogram.hist(first, bins=20, color=plotting.SKY, edgecolor="white")
histogram.axvline(predicted, color=plotting.BLACK, linestyle="--", label=f"predicted mean, {predicted:.1f}")
histogram.axvline(tutorial[0], color=plotting.ORANGE, linestyle=":", label=f"tutorial, {tutorial[0]:.1f}")
histogram.set(title="the first loss of 200 random starts", xlabel="cross-entropy at step 0", ylabel="runs")
histogram.legend()
lesson.show(figure)

# %% [markdown]
# ## 练习
#
# - **5.1** 一张图片 x 满足 |x| = 6，128 个 ReLU 隐藏单元，所有权重取自 N(0, 0.1^2)，偏置为 0。一个 logit 的标准差是多少？
# - **5.2** 写 stable_loss(z, y)：logits z 与标签 y 的平均交叉熵。logits 可以大到 1000。
# - **5.3** 写 dead_units(x, w, b)：隐藏单元是 x w + b 的 ReLU，其中有多少个对 x 的每一行都关着。
#
# 把答案写进一个文件，`numpy-nn exercise 5.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# 如果权重小一百倍，取自 $N(0, 0.01^2)$，第一个损失会是多少？先算出来再看：这时 $s$ 是多少？
