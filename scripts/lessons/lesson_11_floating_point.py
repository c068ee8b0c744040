# %% [markdown]
# # Lesson 11: floating point in backprop
#
# **Answer to the last question.** From rounding. Of every sum and every product a machine keeps the nearest number that
# it has, and torch adds in another order than we do. And yes: where a rounding decides on which side of 0 a number
# lies, the next thing that asks for its sign gives another answer altogether.
#
# ## One operation
#
# A float32 has 24 binary digits, a float64 has 53. Between $2^k$ and $2^{k+1}$ neighbours are $2^{k-23}$ apart (or
# $2^{k-52}$), so the nearest one is off by at most half of that, and relatively by at most the *unit roundoff*
# $u = 2^{-24}$ (or $2^{-53}$). That is all that a machine promises (IEEE 754), and all that we need. For each of
# $+ - \times \div$ it computes
#
# $$ \mathrm{fl}(a \circ b) = (a \circ b)(1 + \delta), \qquad |\delta| \le u , $$
#
# as long as the result neither overflows nor comes next to 0, where the digits end. One operation is as good as it can
# be. What is lost is lost between two of them, and $a + b + c$ depends on where one begins:

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
# The second line is for later. The three numbers are rounded before anything is added, so that their exact sum is not 0
# but $-2.2 \cdot 10^{-8}$. One order finds it, the other says 0.
#
# ## A bound for one dot product, by hand
#
# Add $x_1 y_1 + \dots + x_n y_n$ in any order. Each product is rounded once, and then it is part of at most $n - 1$
# sums, each rounded once, so in the end it carries at most $n$ factors:
#
# $$ \mathrm{fl}(x \cdot y) = \sum_i x_i y_i \, (1 + \delta_{i1}) \cdots (1 + \delta_{in}) . $$
#
# How far can $n$ such factors be from 1? Downwards $(1 - u)^n \ge 1 - n u$. Upwards
# $(1 + u)^n \le 1 / (1 - u)^n \le 1 / (1 - n u)$, which is $1 + \gamma_n$ with
#
# $$ \gamma_n = \frac{n u}{1 - n u}, \qquad
# \bigl| \mathrm{fl}(x \cdot y) - x \cdot y \bigr| \le \gamma_n \sum_i |x_i|\, |y_i| . $$
#
# Nothing was chosen here, and no order was asked for: the bound holds for ours, for torch's and for that of any machine
# (Higham, *Accuracy and Stability of Numerical Algorithms*, chapter 3). Let us see what is really lost, in
# $\sum |x_i y_i|$: with numbers of both signs added from left to right, with positive ones, and with positive ones that
# are added in pairs, pairs of pairs and so on, where each product is part of $\log_2 n$ sums only.

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
# The bound is never left, and seldom reached: roundings go up and down, and much of it cancels. Where all sums grow in
# one direction, it shows: the longer the sum already is, the more of each new product is cut off.
#
# ## A layer, and torch's
#
# A linear layer is made of dot products: $Z = X W + b$ has $n + 1$ terms, one for each input and the bias (times 1),
# $\bar W = X^\top \bar Z$ one for each row of the batch, $\bar X = \bar Z W^\top$ one for each output. So the bound can
# be written down for each entry. Both engines have to keep it, and to be no further apart than twice the bound. What is
# exact is computed in float64, whose own $u$ is $2^{-29}$ times ours. For a whole network, in which the operands have
# errors as well, `torch_ref/bounds/` does the same: every array carries its bound along, and each operation makes the
# bound of its result from those of its operands and from its own rounding.

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
# ## Where a rounding decides on a sign
#
# ReLU's derivative is 1 or 0. Between $z = 10^{-9}$ and $z = -10^{-9}$ there is nothing to see in the output, but the
# gradient has a whole path more in the one than in the other. Now take a sample that lies next to the kink of one unit,
# so near that $|z|$ is smaller than the bound of the dot product. Then nobody can say on which side it lies. Two orders
# of summation may give two signs, and both are right as far as float32 can tell.
#
# We move 2000 samples next to the kink of the first of 256 units, some nearer, some less near, and add each $z$ twice:
# from left to right and from right to left. Nothing else differs.

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
# That is the jump that everybody meets who compares two engines: from the seventh digit to the second, in one row of a
# batch and nowhere else. It is no mistake of either. Nor is it a matter of a tolerance, as no tolerance that lets it
# pass would find a mistake: who compares has to know the bound of $z$, and let an entry whose sign it leaves open be
# either of the two. With our layers against torch's, on the same samples:

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
# ## What float32 cannot tell: cancellation
#
# The bound is relative to $\sum |x_i y_i|$, not to $|x \cdot y|$. Where the terms cancel, the first may be a million
# times the second, and then six digits are gone. Nothing bad happens in the subtraction; it shows what was lost before.
# So a formula may be right and useless. For the variance of a column, which batch normalization divides by, one can
# write $\mathrm{E} x^2 - \mu^2$ or $\mathrm{E} (x - \mu)^2$. Here is a column of 1000 numbers with standard deviation 1
# and a mean that grows:

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
# The first formula subtracts two numbers of $10^8$ to find 1, of which float32 has no digit left. The second subtracts
# first, exactly or nearly so, and squares what is small. (What is left of a column with mean 10,000 was rounded before
# anybody computed: its exact variance is another one.)
#
# ## Softmax's largest logit
#
# $e^{88.8}$ is larger than any float32, $e^{709.8}$ than any float64. A logit of 100 is nothing special, and the
# softmax is NaN: inf divided by inf. But softmax does not ask how large the logits are, only how far they are apart.
# With $m = \max_k z_k$,
#
# $$ p_c = \frac{e^{z_c}}{\sum_k e^{z_k}} = \frac{e^{z_c - m}}{\sum_k e^{z_k - m}} , $$
#
# in which the largest exponential is 1, none overflows, and the sum lies between 1 and the number of classes. That
# mends the probabilities, and it does not yet mend the loss: where $p_y$ is below the smallest float32, some
# $10^{-45}$, it becomes 0 and $-\log 0$ is inf. So do not take the logarithm of what was exponentiated:
#
# $$ -\log p_y = \operatorname{LSE}(z) - z_y, \qquad
# \operatorname{LSE}(z) = \log \sum_k e^{z_k} = m + \log \sum_k e^{z_k - m} . $$
#
# Its derivative is what it was, $P - Y$, and needs no logarithm at all. Both engines compute the loss in this way. Two
# classes show it all: with the logits $(d, 0)$ and the first class, the loss is $\log(1 + e^{-d})$.


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
# The largest logit makes the definition NaN, a small probability makes it inf with the shift as well, log-sum-exp gives
# neither. What is left is the other end. A network that is sure and right has the loss $e^{-20}$, and float32 has no
# number between 1 and $1 + 1.2 \cdot 10^{-7}$: the sum is 1, the loss 0. Yet its gradient with respect to the other
# logit is there with all its digits, so a loss of 0 does not mean that nothing is learned. With two classes `log1p`
# keeps the loss too, and `nn.BCEWithLogitsLoss` does.
#
# ## The best step of a difference quotient
#
# Lesson 7 drew a V and said where its lowest point is. Now it can be derived. If $f$ is right to $u |f|$, two values
# divided by $2h$ are off by $u |f| / h$ at most, and what the formula leaves out is $h^2 |f'''| / 6$:
#
# $$ E(h) = \frac{h^2}{6} |f'''| + \frac{u |f|}{h}, \qquad E'(h) = 0 \ \text{ at } \
# h = \sqrt[3]{\frac{3 u |f|}{|f'''|}}, \qquad E = \frac{h^2}{2} |f'''| . $$
#
# For $e^x$, which is its own third derivative, that is $h = \sqrt[3]{3u}$: $0.006$ in float32, with nearly five right
# digits left, and $7 \cdot 10^{-6}$ in float64, with ten. No other $h$ is better by much. We take powers of 2 for $h$
# so that $1 \pm h$ is exact.

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
# ## Exercises
#
# - **11.1** In float32 a sum begins at 0, and 1 is added to it twenty million times. What does it say in the end?
# - **11.2** Write dot_bound(x, y, u): the bound with gamma_n of the rounding error of the dot product of two vectors x
#   and y, added in any order with unit roundoff u.
# - **11.3** Write bce(z, y): for arrays of logits z and labels y, 0 or 1, the losses -log p, with p = sigmoid(z) where
#   y is 1 and 1 - sigmoid(z) where it is 0; right for z = 1000 and z = -1000 too, and with all digits where it is tiny.
#
# Write an answer into a file, and `numpy-nn exercise 11.1 my_answer.py` says what is wrong with it; `--solution` shows
# one.

# %% [markdown]
# ## A question
#
# A sum in another order may be another sum. When several processes share the rows of a batch, each adds up its own
# gradient, and theirs are added last: another order for every number of processes. Is there any training at all that
# ends with the same bits, however many take part?
