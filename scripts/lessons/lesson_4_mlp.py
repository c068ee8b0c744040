# %% [markdown]
# # Lesson 4: the multilayer perceptron
#
# **Answer to the last question.** Nothing: it *is* one layer. Linear maps after one another are one linear map, and we
# begin by multiplying the matrices. Then an activation comes between them, and we go through such a network by hand,
# forwards and backwards.
#
# Our network has 4 inputs, 5 hidden units and 3 outputs. A row of $X$ is one sample. With a batch of $n$ rows,
#
# $$ Z_1 = X W_1 + b_1, \qquad H = \varphi(Z_1), \qquad Z_2 = H W_2 + b_2 . $$
#
# A weight has as many rows as the layer has inputs and as many columns as it has units; a bias has one entry a unit.

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
# ## Without an activation it collapses
#
# Leave out $\varphi$. Then
#
# $$ (X W_1 + b_1) W_2 + b_2 = X\,(W_1 W_2) + (b_1 W_2 + b_2) , $$
#
# one layer with the weight $W_1 W_2$ of shape $(4, 3)$. However many layers there are, they collapse in the same way.

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
# ## Forward, by hand
#
# Two samples, with the classes 0 and 2. The last step turns the outputs $Z_2$ (the logits) into probabilities and takes
# the cross-entropy:
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
# ## Backward, by hand
#
# Write $\bar A$ for $\partial L / \partial A$; it has the shape of $A$. We walk from $L$ to $X$, and at each step use
# nothing but the chain rule: how does the output move if the input moves, times how much that matters.
#
# 1. Cross-entropy after softmax. $\log P_{n, y_n} = Z_{n, y_n} - \log \sum_k e^{Z_{nk}}$, and the derivative of the
#    second part is $P$. With $Y$ for the one-hot rows of the labels, $\bar Z_2 = (P - Y) / n$.
# 2. $Z_2 = H W_2 + b_2$. The entry $W_{ij}$ touches every row $n$ through $H_{ni}$, so
#    $\bar W_2 = H^\top \bar Z_2$; the bias touches every row with 1, so $\bar b_2$ is the column sum of $\bar Z_2$;
#    and $H_{ni}$ touches every output $j$ through $W_{ij}$, so $\bar H = \bar Z_2 W_2^\top$.
# 3. $H = \mathrm{ReLU}(Z_1)$, entry by entry: $\bar Z_1 = \bar H \odot [Z_1 > 0]$. A unit that was off gets nothing.
# 4. $Z_1 = X W_1 + b_1$: as in step 2, with $X$ for $H$.
#
# Shapes are a good check: there is only one way to multiply these arrays that fits.

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
# The same as a picture: values go to the right, gradients come back to the left. Each array's gradient is made from the
# one on its right, and at every $\bar Z$ those of a weight and a bias branch off.

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
# ## The chain rule as code
#
# In `numpy_nn` each layer has these two formulas, and `Sequential` is two loops. This is all there is to
# backpropagation:

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
# And the same from torch, whose autograd has recorded the forward pass and works out the backward pass itself. By hand,
# by our layers, by torch:

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
# ## The pictures
#
# The network with the shape of every array, and what the activation is for: along a straight path through the space of
# inputs, a network without activation gives a straight line, whatever its depth. ReLU bends it where a unit turns on or
# off, $\tanh$ everywhere.

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
# ## Exercises
#
# - **4.1** One sample has the logits (log 2, 0, 0) and the label 0. What is its cross-entropy?
# - **4.2** Write grad_logits(z, y): the gradient of the mean cross-entropy with respect to the logits z, of shape (n,
#   classes).
# - **4.3** Write a class Linear with W of shape (4, 3) and b, made by Linear(); forward(x) returns x W + b,
#   backward(grad_output) the gradient with respect to x, and sets dW and db.
#
# Write an answer into a file, and `numpy-nn exercise 4.1 my_answer.py` says what is wrong with it; `--solution` shows
# one.

# %% [markdown]
# ## A question
#
# The rows of $P$ add up to 1 and so do the rows of $Y$. So the rows of $\bar Z_2$ add up to 0. Suppose a network knows
# nothing and says $P = 1/10$ for each of ten classes: what is its loss? And what must have happened if the loss of an
# untrained network is not about that, but 80?
