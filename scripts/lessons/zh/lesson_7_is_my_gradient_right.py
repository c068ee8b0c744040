# %% [markdown]
# # 第 7 课：我的梯度对吗？
#
# **上一课思考题的答案。** 直接问损失。把一个权重移动一点点，看损失变了多少，再与公式的说法比较。这只需要前向传播，而前向传播很难错了还不被发现。难处在于“一点点”：本课讲的就是一点点是多少。
#
# ## 太远与太近
#
# 导数是一个极限，而我们在半路上停了下来。中心差分是
#
# $$ \frac{f(x + h) - f(x - h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots $$
#
# 所以 $h$ 减半，误差就变为四分之一。但是计算机算出的 $f$ 带有大约 $u = 2^{-53} \approx 10^{-16}$ 的相对误差，这个误差还要除以 $2h$：$h$ 越小，影响越大。两者之和对 $h$ 作图，两个坐标轴都取对数，是一个 V 字形，最低点在两者相等的地方：$h \approx u^{1/3} \approx 10^{-5}$，那里还剩大约十位正确的数字。前向差分 $(f(x + h) - f(x)) / h$ 的第一项误差与 $h$ 成正比，只能剩下八位。
#
# 如果 $f$ 接受复数，还有第三种办法：沿虚数方向走一步，
#
# $$ f(x + ih) = f(x) + i h f'(x) - \frac{h^2}{2} f''(x) - \dots \quad\Rightarrow\quad
# f'(x) \approx \frac{\operatorname{Im} f(x + ih)}{h} . $$
#
# 这里没有减法，也就没有相消，$h$ 可以小到 $10^{-200}$（Squire 与 Trapp，1998）。

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients, complex_step, derivative
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-7-is-my-gradient-right")


def f(x):
    """A smooth function of a real or a complex number."""
    return np.exp(x) * np.sin(x)


x0 = 1.5
exact = np.exp(x0) * (np.sin(x0) + np.cos(x0))
steps = 10.0 ** np.arange(-16.0, 0.25, 0.25)
ways = {
    "forward": np.array([(f(x0 + h) - f(x0)) / h for h in steps]),
    "central": np.array([(f(x0 + h) - f(x0 - h)) / (2.0 * h) for h in steps]),
    "complex step": np.array([np.imag(f(x0 + 1j * h)) / h for h in steps]),
}
errors = {name: np.abs(estimates / exact - 1.0) for name, estimates in ways.items()}
for name, error in errors.items():
    best = int(np.argmin(error))
    print(f"{name:13} best at h = {steps[best]:.0e}: relative error {error[best]:.0e}; at h = 1e-12: {error[16]:.0e}")

# %% [markdown]
# 哪个 $h$ 最好，取决于函数，也取决于 $x$。`derivative` 自己去找：它取十来个步长的中心差分，把它们组合起来，使 $h$ 的前几次幂消去（Richardson），看各个组合相差多远（Ridders），加上它测得的 $f$ 的舍入误差，返回导数值以及误差的*上界*。这样就没有容差要选：与公式的差要么在上界之内，要么不在。

# %%
estimate = derivative(f, x0)
print(f"exact           {exact:.15f}")
print(f"derivative      {estimate.value:.15f}  bound {estimate.bound:.0e}, error {abs(estimate.value - exact):.0e}")
print(f"complex_step    {complex_step(f, x0):.15f}  error {abs(complex_step(f, x0) - exact):.0e}")

# %% [markdown]
# ## 在网络上做同样的事
#
# 一个用 $\tanh$ 的小网络里的一个权重，移动 $h$，看前后的损失，分别用 float64 和 float32，与我们的反向传播比较。float32 的舍入来得太早，没有哪个步长能给出四五位以上的正确数字：无论用什么精度训练，**都要用 float64 检查梯度**。

# %%
x, y = nn.datasets.moons(200, rng=0, dtype=np.float64)
network_errors = {}
for dtype in (np.float64, np.float32):
    net = nn.MLP([2, 8, 8, 2], "tanh", rng=0, dtype=np.float64)
    loss = nn.CrossEntropyLoss()
    loss(net(x), y)
    net.backward(loss.backward())
    right = net[2].weight.grad[3, 4]

    narrow = nn.MLP([2, 8, 8, 2], "tanh", rng=0, dtype=dtype)
    narrow.parameters().data[...] = net.parameters().data
    weight = narrow[2].weight.data
    start, estimates = weight[3, 4], []
    for h in steps:
        values = []
        for moved in (start + h, start - h):
            weight[3, 4] = moved
            values.append(loss(narrow(x.astype(dtype)), y))
        estimates.append((values[0] - values[1]) / (2.0 * h))
    network_errors[dtype.__name__] = np.abs(np.array(estimates) / right - 1.0)
    best = int(np.argmin(network_errors[dtype.__name__]))
    print(f"{dtype.__name__}: best at h = {steps[best]:.0e}, relative error {network_errors[dtype.__name__][best]:.0e}")

# %% [markdown]
# ## 折点
#
# ReLU 在 0 处没有导数，但中心差分在那里毫不为难：它给出 $1/2$，正好在两侧的斜率 0 和 1 之间。拿它与公式的 0 比较的检验器就会误报。诚实的回答是：在那里 0 到 1 之间的任何数都对；`check_gradients` 把这样的元素计为折点（kink）。

# %%
relu = nn.activations.relu
print("central difference of ReLU at 0:", (relu(np.array([1e-6])) - relu(np.array([-1e-6])))[0] / 2e-6)
print(check_gradients(nn.ReLU(), np.array([[-1.0, 0.0, 2.0]])))

# %% [markdown]
# ## 故意埋下的错误
#
# 下面是一个线性层，它的反向传播是有人匆忙写成的。权重是方阵，所以少了转置也乘得起来。


# %%
class Careless(nn.Linear):
    """Linear, with a mistake in its backward pass."""

    def backward(self, grad_output):
        self.backward_parameters(grad_output)
        return grad_output @ self.weight.data  # should be weight.data.T


def train(middle):
    """The loss at each of 1000 steps on the moons, and how many of the 200 points are right then."""
    net = nn.Sequential(
        nn.Linear(2, 8, rng=0, dtype=np.float64),
        nn.Tanh(),
        middle(8, 8, rng=1, dtype=np.float64),
        nn.Tanh(),
        nn.Linear(8, 2, rng=2, dtype=np.float64),
    )
    loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(net.parameters(), lr=0.1)
    losses = [nn.train_step(net, loss, optimizer, x, y) for _ in range(1000)]
    return net, np.array(losses), int((net.predict(x).argmax(axis=1) == y).sum())


curves = {}
for name, middle in (("the right gradient", nn.Linear), ("the mistake", Careless)):
    net, curves[name], hits = train(middle)
    print(f"trained with {name}: loss {curves[name][-1]:.4f} after 1000 steps, {hits} of 200 points right")

# %% [markdown]
# 两者的损失都在下降，只看曲线谁也发现不了这个错误。这一层自己的权重的梯度、它后面一层的梯度都是对的；第一层虽然被推向错误的方向，后面这两层把它弥补了过来。所以要问检验器。先单独检查这一层：

# %%
rng = np.random.default_rng(0)
report = check_gradients(Careless(8, 8, rng=1, dtype=np.float64), rng.normal(size=(5, 8)))
print(report)

# %% [markdown]
# 再检查训练完的整个网络：它是一层一层检查的，所以指出来的是真正出错的那一层，而不是它前面的一切。

# %%
print(check_gradients(net, x[:5], y[:5], loss=nn.CrossEntropyLoss()))

# %% [markdown]
# ## 检查你自己的代码
#
# 以上并不要求用我们的层。下面是入门课里常写的那种层，只用 NumPy；它的错误也很容易犯：梯度要对整批求和，只有损失才除以批的大小。检验器把对象里的每个数组移动一点点，看输出依赖于哪些（这里是 `W` 和 `b`），再凭名字找到 `dW` 和 `db`。


# %%
class Dense:
    """A layer in plain NumPy, with a mistake in its backward pass."""

    def __init__(self, in_features, out_features):
        self.W = np.random.default_rng(0).normal(size=(in_features, out_features))
        self.b = np.zeros(out_features)

    def forward(self, x):
        self.x = x
        self.out = np.tanh(x @ self.W + self.b)
        return self.out

    def backward(self, grad_output):
        grad = grad_output * (1.0 - self.out**2)
        self.dW = self.x.T @ grad
        self.db = grad.mean(axis=0)  # should be grad.sum(axis=0)
        return grad @ self.W.T


print(check_gradients(Dense(4, 3), rng.normal(size=(5, 4))))

# %% [markdown]
# 两个函数与一个类一样可以检查：第一个负责计算，并留下第二个要用的东西；第二个得到 `grad_output` 和留下的东西。这一对也有错，虽然三个梯度全都不对，错却只有一处：反向时从 ReLU 的后面直接走起，好像没有它一样。


# %%
def hidden(x, w, b):
    """A layer with ReLU, and what its backward pass will need."""
    h = np.maximum(x @ w + b, 0.0)
    return h, (x, w, h)


def hidden_backward(grad_output, cache):
    """The gradients with respect to x, w and b, with a mistake."""
    x, w, _ = cache
    grad = grad_output  # should be grad_output * (h > 0)
    return grad @ w.T, x.T @ grad, grad.sum(axis=0)


arguments = rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)
print(check_gradients((hidden, hidden_backward), arguments))

# %% [markdown]
# 改正之后：


# %%
def right_backward(grad_output, cache):
    """The gradients with respect to x, w and b."""
    x, w, h = cache
    grad = grad_output * (h > 0.0)
    return grad @ w.T, x.T @ grad, grad.sum(axis=0)


print(check_gradients((hidden, right_backward), arguments))

# %%
figure, (panels,) = plotting.panels(1, 3, 4.2, 3.9)
for (name, error), style in zip(errors.items(), plotting.CURVES, strict=False):
    panels[0].loglog(steps, np.maximum(error, 5e-17), label=name, **style)
panels[0].set(title="the V curve of $e^x \\sin x$", xlabel="step $h$", ylabel="relative error of the derivative")
panels[0].set_ylim(1e-17, 10)
for (name, error), style in zip(network_errors.items(), plotting.CURVES, strict=False):
    panels[1].loglog(steps, np.maximum(error, 5e-17), label=f"central, {name}", **style)
panels[1].set(title="one weight of a network", xlabel="step $h$", ylabel="relative error of the gradient")
panels[1].set_ylim(1e-17, 10)
for (name, losses), style in zip(curves.items(), plotting.CURVES, strict=False):
    panels[2].plot(losses, label=name, **style)
panels[2].set(title="would you have noticed?", xlabel="step", ylabel="cross-entropy", ylim=(0, None))
for ax, place in zip(panels, ("upper center", "lower left", "upper right"), strict=True):
    ax.legend(loc=place)
for ax in panels[:2]:
    ax.set_xticks(10.0 ** np.arange(-15, 1, 3))
lesson.show(figure)

# %% [markdown]
# ## 练习
#
# - **7.1** x^3 在 x = 2 处、h = 0.1 的中心差分是多少？
# - **7.2** 写 central(f, x, h)：f 在 x 处的中心差分。
# - **7.3** 写 tanh_forward(x)，返回 tanh(x) 和缓存；再写 tanh_backward(grad_output, cache)，返回对 x 的梯度。
#
# 把答案写进一个文件，`numpy-nn exercise 7.1 my_answer.py --language zh` 会告诉你哪里不对；加上 `--solution` 才显示解答。

# %% [markdown]
# ## 思考题
#
# 检查一个权重要两次前向。第 6 课的网络有 50,890 个权重，全部检查要多少次？如果一次前向的时间是反向传播一步的一半，那么它的 4,690 步都用这种办法来做，要多久？
