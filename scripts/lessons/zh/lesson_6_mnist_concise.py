# %% [markdown]
# # 第 6 课：简洁的写法
#
# **上一课思考题的答案。** 权重小一百倍，$z_1$ 的标准差是 $0.01 \cdot 9.2 = 0.092$，logits 的标准差是 $0.01 \cdot 0.092 \cdot \sqrt{32} \approx 0.005$（torch 默认的偏置最多再加 0.125）。十个都接近 0，每个类别得到大约 $1/10$，损失就是 $\log 10 \approx 2.303$。
#
# 还是那个网络，这次用层来搭。权重取自 $N(0, 0.01^2)$，偏置用 torch 的默认值，学习率 0.1，仍然在一批 64 张图片上走 1000 步，与教程（这几课所依照的那门中文课程里讲感知机、异或和多层感知机的一章）相同。然后是整个 MNIST，到那时它才开始学习。

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-6-mnist-concise")
mnist = lesson.load_mnist()
torch = lesson.torch()  # None where torch is not installed: then its part is left out


def make(seed):
    """784-64-10 with ReLU and small normal weights."""
    rng = np.random.default_rng(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 64, rng=rng), nn.ReLU(), nn.Linear(64, 10, rng=rng))
    for layer in (net[1], net[3]):
        nn.initializers.normal_(layer.weight, std=0.01, rng=rng)
    return net


net = make(0)
print(net.summary((1, 28, 28)))

# %%
x, y = next(iter(nn.DataLoader(mnist.x_train.reshape(-1, 1, 28, 28), mnist.y_train, batch_size=64, rng=0)))
loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(net.parameters(), lr=0.1)

if torch:
    from torch_ref import loss_to_torch, optimizer_to_torch, to_torch

    twin = to_torch(net)  # the same weights
    torch_loss, torch_optimizer = loss_to_torch(loss), optimizer_to_torch(optimizer, twin)
    x_torch, y_torch = torch.tensor(x), torch.tensor(y)

ours, theirs = [], []
for _ in range(1000):
    ours.append(loss(net(x), y))
    net.backward(loss.backward())
    optimizer.step()

    if torch:
        value = torch_loss(twin(x_torch), y_torch)
        torch_optimizer.zero_grad()
        value.backward()
        torch_optimizer.step()
        theirs.append(value.item())

tutorial = [2.2972, 0.5922, 0.0787, 0.0288, 0.0162, 0.0109, 0.0081, 0.0063, 0.0052, 0.0044]
columns = {"ours": ours[::100], **({"torch": theirs[::100]} if torch else {}), "tutorial": tutorial}
print(" step", *(f"{name:>9}" for name in columns))
for number, row in zip(range(0, 1000, 100), zip(*columns.values(), strict=True), strict=True):
    print(f"{number:5d}", *(f"{value:9.4f}" for value in row))
if torch:
    print(f"largest relative difference from torch: {np.abs(np.array(ours) / theirs - 1).max():.0e}, in float32")

# %% [markdown]
# 虽然批次和权重不同，这一列却与教程的很接近：权重小，各个起点就几乎是同一个起点；而第 5 课的各次运行彼此相差百倍。
#
# 但它学到了什么？这 64 张图片而已。对没有见过的图片：

# %%
test_loss, accuracy = nn.evaluate(net, loss, mnist.x_test, mnist.y_test)
print(f"after 1000 steps on one batch: {accuracy:.2%} of the test images, test loss {test_loss:.3f}")

# %% [markdown]
# ## 整个 MNIST
#
# 从同样的起点出发，把全部 60,000 张图片分成 64 张一批，看五遍；每看一遍，就在测试集的 10,000 张图片上检验一次，它从不在这些图片上训练。

# %%
net = make(0)
batches = nn.DataLoader(mnist.x_train, mnist.y_train, batch_size=64, rng=0)
optimizer = nn.SGD(net.parameters(), lr=0.1)
history = nn.fit(net, loss, optimizer, batches, epochs=5, test=(mnist.x_test, mnist.y_test))
print("epoch  train loss  test loss  test images right")
for epoch in history.epochs:
    print(f"{epoch.epoch:5d}{epoch.train_loss:12.4f}{epoch.test_loss:11.4f}{epoch.test_accuracy:19.2%}")

# %% [markdown]
# ## 它认错了什么
#
# 混淆矩阵：一行是一个数字，一列是一种回答。对角线上是答对的。

# %%
logits = net.predict(mnist.x_test)
probability = nn.activations.softmax(logits)
answer = logits.argmax(axis=1)
confusion = np.zeros((10, 10), int)
np.add.at(confusion, (mnist.y_test, answer), 1)
print(confusion)
off_diagonal = confusion - np.diag(np.diag(confusion))
for flat in np.argsort(off_diagonal, axis=None)[:-4:-1]:
    digit, taken_for = divmod(int(flat), 10)
    print(f"{digit} taken for {taken_for}: {off_diagonal[digit, taken_for]} times")

# %% [markdown]
# 下面是它错得最自信的几个。

# %%
wrong = np.flatnonzero(answer != mnist.y_test)
surest = wrong[np.argsort(probability[wrong, answer[wrong]])[::-1][:16]]
print(f"{len(wrong)} of {len(answer)} wrong; surest of these:")
for row in surest[:5]:
    print(f"image {row}: a {mnist.y_test[row]}, taken for {answer[row]} with {probability[row, answer[row]]:.2%}")

# %% [markdown]
# ## 第一层看见了什么
#
# 每个隐藏单元有 784 个权重，每个像素一个：画成图片，就能看出这个单元在寻找什么（亮处），又排斥什么（暗处）。第 5 课的第一层始终是噪声；这里却能看到笔画和空隙。在边缘，所有图片都是空白，从来没有梯度到达，权重还是开始时那些小的随机数。

# %%
weights = net[1].weight.data.T
rim = (mnist.x_train > 0).any(axis=0) == 0
print(f"pixels that are 0 in every training image: {rim.sum()}; their weights moved by exactly", end=" ")
print(np.abs(weights - make(0)[1].weight.data.T)[:, rim].max())

# %%
figure, (panels,) = plotting.panels(1, 3, 4.2, 4.0)
steps = np.arange(1000)
panels[0].semilogy(steps, ours, color=plotting.SKY, linewidth=4.5, label="ours")
if torch:
    panels[0].semilogy(steps, theirs, color=plotting.BLACK, linewidth=1.2, linestyle="--", label="torch, same batch")
panels[0].semilogy(steps[::100], tutorial, "D", color=plotting.ORANGE, markeredgecolor="black", label="tutorial")
panels[0].set(title="1000 steps on one batch, lr 0.1", xlabel="step", ylabel="cross-entropy, log scale")
panels[0].legend()
epochs = [epoch.epoch for epoch in history.epochs]
panels[1].plot(epochs, [epoch.train_loss for epoch in history.epochs], marker="o", label="train", **plotting.CURVES[0])
panels[1].plot(epochs, [epoch.test_loss for epoch in history.epochs], marker="s", label="test", **plotting.CURVES[1])
panels[1].set(title="all of MNIST", xlabel="epoch", ylabel="cross-entropy", xticks=epochs, ylim=(0, None))
panels[1].legend()
plotting.table(panels[2], confusion, f"test images, {np.mean(answer == mnist.y_test):.1%} right", ("answer", "digit"))
lesson.show(figure)

# %%
figure, axes = plotting.panels(2, 8, 1.25, 1.6)
titles = [f"{mnist.y_test[row]}, taken for {answer[row]}" for row in surest]
plotting.images(axes, mnist.x_test[surest], titles)
lesson.show(figure, "wrong-digits")

# %%
figure, ((panel,),) = plotting.panels(1, 1, 11.0, 3.0)
plotting.weights(panel, weights, columns=16)
panel.set_title("the first layer's weights, one image a hidden unit")
lesson.show(figure, "first-layer")

# %% [markdown]
# ## 练习
#
# - **6.1** 784-32-10 的网络有多少个参数？
# - **6.2** 写 confusion(y, answer, classes)：计数矩阵，每行是一个真实类别，每列是一个回答。
# - **6.3** 写 accuracy(z, y)：z 的各行中最大元素正好在标签处的比例，从 0 到 1。
#
# 把答案写进一个文件，`numpy-nn exercise 6.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# 这一切都建立在几个梯度公式上。假如其中一个错了：差一个因子 2，碰巧是方阵的矩阵忘了转置，该取平均的地方取了和。训练也许仍能进行，只是变差一些。如果手边没有 torch，你怎样发现？
