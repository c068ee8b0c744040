# %% [markdown]
# # 第 4 课：多层感知机
#
# **上一课思考题的答案。** 什么也没有：它*就是*一层。线性映射接着线性映射还是一个线性映射，我们先把矩阵乘起来看。然后在中间放上激活函数，亲手把这样的网络算一遍，先前向，再反向。
#
# 我们的网络有 4 个输入、5 个隐藏单元、3 个输出。$X$ 的一行是一个样本。一批有 $n$ 行时，
#
# $$ Z_1 = X W_1 + b_1, \qquad H = \varphi(Z_1), \qquad Z_2 = H W_2 + b_2 . $$
#
# 权重的行数等于该层的输入数，列数等于该层的单元数；偏置对每个单元有一个元素。

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-4-mlp")
torch = lesson.torch()  # None where torch is not installed: then its part is left out
np.set_printoptions(precision=4, suppress=True)

net = nn.MLP([4, 5, 3], "relu", rng=0, dtype=np.float64)
print(net.summary())
for name, p in net.named_parameters():
    print(f"{name:9} {p.data.shape}")

# %% [markdown]
# ## 没有激活函数就会塌缩
#
# 去掉 $\varphi$，那么
#
# $$ (X W_1 + b_1) W_2 + b_2 = X\,(W_1 W_2) + (b_1 W_2 + b_2) , $$
#
# 这就是一层，权重是形状为 $(4, 3)$ 的 $W_1 W_2$。无论有多少层，都会同样地塌缩成一层。

# %%
rng = np.random.default_rng(0)
linear = nn.MLP([4, 5, 6, 3], "identity", rng=0, dtype=np.float64)
weight, bias = np.eye(4), np.zeros(4)
for layer in linear:
    if isinstance(layer, nn.Linear):
        weight, bias = weight @ layer.weight.data, bias @ layer.weight.data + layer.bias.data
many = rng.normal(size=(1000, 4))
collapsed = np.abs(linear.predict(many) - (many @ weight + bias)).max()
print(f"4-5-6-3 without activation against one layer of shape {weight.shape}: largest difference {collapsed:.1e}")

best, *_ = np.linalg.lstsq(np.hstack([many, np.ones((1000, 1))]), net.predict(many), rcond=None)
bent = np.abs(net.predict(many) - (np.hstack([many, np.ones((1000, 1))]) @ best)).max()
print(f"4-5-3 with ReLU against the one layer that fits it best: largest difference {bent:.1e}")

# %% [markdown]
# ## 手工计算：前向传播
#
# 两个样本，类别是 0 和 2。最后一步把输出 $Z_2$（logits）变成概率，再取交叉熵：
#
# $$ P_{nc} = \frac{e^{Z_{nc}}}{\sum_k e^{Z_{nk}}}, \qquad L = -\frac1n \sum_n \log P_{n, y_n} . $$

# %%
x = np.array([[1.0, 0.5, -1.0, 2.0], [-0.5, 1.5, 1.0, 0.0]])
y = np.array([0, 2])
w1, b1, w2, b2 = (p.data for p in net.parameters())

z1 = x @ w1 + b1
h = np.maximum(z1, 0.0)
z2 = h @ w2 + b2
p = np.exp(z2) / np.exp(z2).sum(axis=1, keepdims=True)
value = -np.log(p[np.arange(2), y]).mean()
for name, array in (("Z1", z1), ("H", h), ("Z2", z2), ("P", p)):
    print(f"{name} {array.shape}\n{array}")
print(f"L = {value:.10f}")

# %% [markdown]
# ## 手工计算：反向传播
#
# 用 $\bar A$ 表示 $\partial L / \partial A$，它与 $A$ 形状相同。我们从 $L$ 走到 $X$，每一步都只用链式法则：输入变动一点，输出变动多少，再乘以损失随输出变化的快慢。
#
# 1. softmax 之后的交叉熵。$\log P_{n, y_n} = Z_{n, y_n} - \log \sum_k e^{Z_{nk}}$，第二部分的导数就是 $P$。把标签的 one-hot 行写成 $Y$，则 $\bar Z_2 = (P - Y) / n$。
# 2. $Z_2 = H W_2 + b_2$。元素 $W_{ij}$ 通过 $H_{ni}$ 影响每一行 $n$，所以 $\bar W_2 = H^\top \bar Z_2$；偏置以系数 1 影响每一行，所以 $\bar b_2$ 是 $\bar Z_2$ 的列和；而 $H_{ni}$ 通过 $W_{ij}$ 影响每个输出 $j$，所以 $\bar H = \bar Z_2 W_2^\top$。
# 3. $H = \mathrm{ReLU}(Z_1)$，逐个元素：$\bar Z_1 = \bar H \odot [Z_1 > 0]$。关着的单元什么也得不到。
# 4. $Z_1 = X W_1 + b_1$：同第 2 步，把 $H$ 换成 $X$。
#
# 形状是很好的检查：能把这些数组乘起来而形状又合适的方式，只有一种。

# %%
one_hot = np.eye(3)[y]
grad_z2 = (p - one_hot) / len(x)
grad_w2 = h.T @ grad_z2
grad_b2 = grad_z2.sum(axis=0)
grad_h = grad_z2 @ w2.T
grad_z1 = np.where(z1 > 0, grad_h, 0.0)
grad_w1 = x.T @ grad_z1
grad_b1 = grad_z1.sum(axis=0)
grad_x = grad_z1 @ w1.T
walked = ("Z2", "W2", "b2", "H", "Z1", "W1", "b1", "X")
arrays = (grad_z2, grad_w2, grad_b2, grad_h, grad_z1, grad_w1, grad_b1, grad_x)
for name, array in zip(walked, arrays, strict=True):
    print(f"gradient of {name} {array.shape}\n{array}")

# %% [markdown]
# 画成图就是：值向右走，梯度向左走回来。每个数组的梯度都由它右边那个数组的梯度得出；在每个 $\bar Z$ 处，还分出一个权重和一个偏置的梯度。

# %%
figure, ((panel,),) = plotting.panels(1, 1, 10.4, 3.6)
plotting.chain(
    panel,
    ["$X$", "$Z_1$", "$H$", "$Z_2$", "$L$"],
    ["$X W_1 + b_1$", "ReLU", "$H W_2 + b_2$", "softmax,\ncross-entropy"],
    [r"$\bar Z_1 W_1^\top$", r"$\bar H \odot [Z_1 > 0]$", r"$\bar Z_2 W_2^\top$", "$(P - Y) / n$"],
    [
        r"$\bar W_1 = X^\top \bar Z_1$" + "\n" + r"$\bar b_1 = \sum_n \bar Z_{1, n}$",
        "",
        r"$\bar W_2 = H^\top \bar Z_2$" + "\n" + r"$\bar b_2 = \sum_n \bar Z_{2, n}$",
        "",
    ],
)
panel.set_title("forward (solid) and backward (dashed)")
lesson.show(figure, "backward")

# %% [markdown]
# ## 写成代码的链式法则
#
# 在 `numpy_nn` 里，每一层就有这样两个公式，而 `Sequential` 是两个循环。反向传播的全部内容就是：

# %%
loss = nn.CrossEntropyLoss()
output = x
for layer in net:
    output = layer.forward(output)
loss_value = loss.forward(output, y)

gradient = loss.backward()
for layer in reversed(net.layers):
    gradient = layer.backward(gradient)

# %% [markdown]
# torch 也得到同样的结果：它的自动求导记录了前向传播，自己推出反向传播。下面依次是手工、我们的层、torch：

# %%
losses = {"by hand": value, "layers": loss_value}
gradients = {
    "by hand": [grad_w1, grad_b1, grad_w2, grad_b2, grad_x],
    "layers": [parameter.grad for parameter in net.parameters()] + [gradient],
}
if torch:
    from torch_ref import loss_to_torch, to_torch

    twin = to_torch(net)
    x_torch = torch.tensor(x, requires_grad=True)
    torch_loss = loss_to_torch(loss)(twin(x_torch), torch.tensor(y))
    torch_loss.backward()
    losses["torch"] = torch_loss.item()
    gradients["torch"] = [parameter.grad.numpy().T for parameter in twin.parameters()] + [x_torch.grad.numpy()]

print("loss:", ", ".join(f"{way} {number:.15f}" for way, number in losses.items()))
print("gradient of  shape    first entry", "".join(f"{way:12}" for way in gradients) + "largest difference")
for name, *arrays in zip(("W1", "b1", "W2", "b2", "X"), *gradients.values(), strict=True):
    firsts = "  ".join(f"{array.flat[0]:+.7f}" for array in arrays)
    print(f"{name:12} {arrays[0].shape!s:8} {'':11} {firsts}  {np.ptp(arrays, axis=0).max():.1e}")

# %% [markdown]
# ## 图
#
# 左边是网络和每个数组的形状，右边说明激活函数有什么用：沿着输入空间里的一条直线走，没有激活函数的网络无论多深，给出的都是一条直线。ReLU 在有单元打开或关上的地方把它折弯，$\tanh$ 则处处使它弯曲。

# %%
figure, (panels,) = plotting.panels(1, 2, 5.2, 4.4)
plotting.network(
    panels[0],
    [4, 5, 3],
    ["inputs\n$X$: (batch, 4)", "hidden units\n$H$: (batch, 5)", "outputs\n$Z_2$: (batch, 3)"],
    ["$W_1$: (4, 5)\n$b_1$: (5,)", "$W_2$: (5, 3)\n$b_2$: (3,)"],
)
panels[0].set_title("4-5-3 and the shapes of its arrays")
t = np.linspace(-4.0, 4.0, 801)
path = x[0] + t[:, None] * (x[1] - x[0])
for activation, style in zip(("identity", "relu", "tanh"), plotting.CURVES, strict=False):
    outputs = nn.MLP([4, 5, 3], activation, rng=0, dtype=np.float64).predict(path)
    name = "no activation" if activation == "identity" else activation
    panels[1].plot(t, outputs[:, 0], label=name, **style)
panels[1].set(
    title="the first output along a straight path", xlabel="$t$, the input is $x_0 + t\\,(x_1 - x_0)$", ylabel="output"
)
panels[1].legend()
lesson.show(figure)

# %% [markdown]
# ## 练习
#
# - **4.1** 一个样本的 logits 是 (log 2, 0, 0)，标签是 0。它的交叉熵是多少？
# - **4.2** 写 grad_logits(z, y)：平均交叉熵对 logits z（形状为 (n, 类别数)）的梯度。
# - **4.3** 写类 Linear，用 Linear() 构造，W 的形状为 (4, 3)，另有 b；forward(x) 返回 x W + b，backward(grad_output) 返回对 x 的梯度，并设置 dW 和 db。
#
# 把答案写进一个文件，`numpy-nn exercise 4.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# $P$ 的每一行加起来是 1，$Y$ 的每一行也是，所以 $\bar Z_2$ 的每一行加起来是 0。假设一个网络一无所知，对十个类别都说 $P = 1/10$：它的损失是多少？如果一个没有训练过的网络，损失不是大约这个数，而是 80，那一定发生了什么？
