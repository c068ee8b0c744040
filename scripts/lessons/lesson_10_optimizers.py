# %% [markdown]
# # Lesson 10: optimizers
#
# **Answer to the last question.** Yes. Keep for each weight the mean square of its gradients and divide by the root:
# then the step of every weight is of the size of the learning rate. This is RMSprop, and with one more mean it is Adam.
# We write them down in a few lines each, and watch them in a valley.
#
# ## The valley
#
# The simplest loss with directions that are not alike is
#
# $$ L(p) = \tfrac12 \left( p_1^2 + 50\, p_2^2 \right), \qquad \nabla L = (p_1,\; 50\, p_2) . $$
#
# Gradient descent, $p \leftarrow p - \eta\, \nabla L$, multiplies $p_1$ by $1 - \eta$ and $p_2$ by $1 - 50 \eta$ at
# each step. The steep direction allows no more than $\eta < 2 / 50$, or $p_2$ grows; the flat one then shrinks by less
# than 4% a step. One learning rate for both is too large here and too small there.

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-10-optimizers")
torch = lesson.torch()  # None where torch is not installed: then its part is left out
CURVATURE, START, STEPS = np.array([1.0, 50.0]), np.array([-4.0, 1.0]), 60


def gradient(p):
    """Of the valley, at p."""
    return CURVATURE * p


for lr in (0.036, 0.041):
    flat, steep = np.abs(1.0 - lr * CURVATURE)
    print(f"lr {lr}: a step multiplies by {flat:.3f} and {steep:.2f}; ", end="")
    print(f"{STEPS} steps by {flat**STEPS:.1e} and {steep**STEPS:.1e}")

# %% [markdown]
# ## Momentum
#
# A ball does not ask at each point where to go, it keeps some of its speed:
#
# $$ v \leftarrow \mu v + g, \qquad p \leftarrow p - \eta v . $$
#
# Put in one after the other, $v_t = g_t + \mu g_{t-1} + \mu^2 g_{t-2} + \dots$ Along the valley all $g$ have one sign,
# and for a constant $g$ the sum tends to $g / (1 - \mu)$: with $\mu = 0.9$, ten times the step. Across it they may
# alternate, and what is left of $g - \mu g + \mu^2 g - \dots$ is $g / (1 + \mu)$, about half. Faster along, slower
# across.

# %%
MU, ALPHA, BETAS, EPS = 0.9, 0.99, (0.9, 0.999), 1e-8


def momentum(lr):
    """The path from START, a row for each step."""
    p, v, path = START, 0.0, [START]
    for _ in range(STEPS):
        v = MU * v + gradient(p)
        p = p - lr * v
        path.append(p)
    return np.array(path)


# %% [markdown]
# ## RMSprop
#
# Momentum still has one rate for all. Let $s$ be a running mean of $g^2$, for each entry its own:
#
# $$ s \leftarrow \alpha s + (1 - \alpha)\, g^2, \qquad p \leftarrow p - \eta\, \frac{g}{\sqrt{s} + \varepsilon} . $$
#
# Multiply the loss in one direction by a thousand: $g$ and $\sqrt s$ get a thousand times as large, and the step stays
# (but for $\varepsilon$, which only keeps from dividing by 0). The valley's two directions look alike to it. As $s$
# begins at 0, the first step is $1 / \sqrt{1 - \alpha}$ times $\eta$, ten times with $\alpha = 0.99$.


# %%
def rmsprop(lr):
    """The path from START, a row for each step."""
    p, s, path = START, 0.0, [START]
    for _ in range(STEPS):
        g = gradient(p)
        s = ALPHA * s + (1.0 - ALPHA) * g**2
        p = p - lr * g / (np.sqrt(s) + EPS)
        path.append(p)
    return np.array(path)


# %% [markdown]
# ## Adam, and why it corrects
#
# Adam takes both: a running mean $m$ of $g$ above, and $s$ below. Both begin at 0, and this time it is made good. Put
# in one after the other,
#
# $$ m_t = (1 - \beta_1) \sum_{i=1}^{t} \beta_1^{t-i} g_i, \qquad
# (1 - \beta_1) \sum_{i=1}^{t} \beta_1^{t-i} = 1 - \beta_1^t . $$
#
# The weights of a mean should add up to 1, and these add up to $1 - \beta_1^t$. So divide by it, and for $s$ by
# $1 - \beta_2^t$:
#
# $$ p \leftarrow p - \eta\, \frac{m_t / (1 - \beta_1^t)}{\sqrt{s_t / (1 - \beta_2^t)} + \varepsilon} . $$
#
# In the first step $m = 0.1\, g$ and $s = 0.001\, g^2$. Corrected, the step is $\eta\, g / |g|$, as long as the
# learning rate. Not corrected it is $0.1 / \sqrt{0.001}$ times as long, more than three times, and it gets worse
# before it gets better: $m$ forgets its 0 in some ten steps, $s$ in some thousand.


# %%
def adam(lr, correct=True):
    """The path from START, a row for each step."""
    p, m, s, path = START, 0.0, 0.0, [START]
    for t in range(1, STEPS + 1):
        g = gradient(p)
        m = BETAS[0] * m + (1.0 - BETAS[0]) * g
        s = BETAS[1] * s + (1.0 - BETAS[1]) * g**2
        first, second = (1.0 - BETAS[0] ** t, 1.0 - BETAS[1] ** t) if correct else (1.0, 1.0)
        p = p - lr * (m / first) / (np.sqrt(s / second) + EPS)
        path.append(p)
    return np.array(path)


steps = np.arange(1, 3001)
excess = (1.0 - BETAS[0] ** steps) / np.sqrt(1.0 - BETAS[1] ** steps)
for t in (1, int(steps[excess.argmax()]), 100, 1000):
    print(f"step {t:4}: without the correction {excess[t - 1]:.2f} times as long, for a constant gradient")

# %% [markdown]
# ## In the valley: by hand, by our optimizers, by torch
#
# Sixty steps from $(-4, 1)$, each with a learning rate that suits it. `nn.SGD`, `nn.RMSprop` and `nn.Adam` are given
# the gradient; for torch's, autograd finds it.

# %%
RATES = {"gradient descent": 0.036, "momentum": 0.01, "RMSprop": 0.05, "Adam": 0.4}
settings = {
    "gradient descent": ("SGD", {}),
    "momentum": ("SGD", {"momentum": MU}),
    "RMSprop": ("RMSprop", {"alpha": ALPHA, "eps": EPS}),
    "Adam": ("Adam", {"betas": BETAS, "eps": EPS}),
}
paths = {
    "gradient descent": START * (1.0 - RATES["gradient descent"] * CURVATURE) ** np.arange(STEPS + 1)[:, None],
    "momentum": momentum(RATES["momentum"]),
    "RMSprop": rmsprop(RATES["RMSprop"]),
    "Adam": adam(RATES["Adam"]),
}


def ours(name):
    """The same path by an optimizer of numpy_nn."""
    kind, options = settings[name]
    p = nn.Parameter(START.copy())
    optimizer, path = getattr(nn, kind)([p], lr=RATES[name], **options), [START]
    for _ in range(STEPS):
        p.grad[...] = gradient(p.data)
        optimizer.step()
        path.append(p.data.copy())
    return np.array(path)


def by_torch(name):
    """The same path by torch, with its autograd."""
    kind, options = settings[name]
    p, curvature = torch.tensor(START, requires_grad=True), torch.tensor(CURVATURE)
    optimizer, path = getattr(torch.optim, kind)([p], lr=RATES[name], **options), [START]
    for _ in range(STEPS):
        optimizer.zero_grad()
        (0.5 * (curvature * p**2).sum()).backward()
        optimizer.step()
        path.append(p.detach().numpy().copy())
    return np.array(path)


losses = {name: 0.5 * (CURVATURE * path**2).sum(axis=1) for name, path in paths.items()}
for name, path in paths.items():
    off = f"off by hand: ours {np.abs(ours(name) - path).max():.0e}"
    off += f", torch {np.abs(by_torch(name) - path).max():.0e}" if torch else ""
    print(f"{name:17} lr {RATES[name]:<6} loss {losses[name][0]:.0f} -> {losses[name][-1]:.1e}   {off}")

# %% [markdown]
# Gradient descent leaps from wall to wall and creeps along the floor. Momentum swings, and gets further. RMSprop
# begins as if there were no valley, with a step that is as long in both directions. Adam begins in the same way, with
# a shorter one, but its $m$ is momentum, so that it runs past the middle and comes back; and its $s$, with $\beta_2 =
# 0.999$, still remembers the large gradients of the start.

# %%
figure, axes = plotting.panels(2, 3, 3.9, 3.1)
u, w = np.meshgrid(np.linspace(-4.6, 4.6, 120), np.linspace(-1.25, 1.25, 120))
for ax, (name, path), style in zip(axes.flat, paths.items(), plotting.CURVES, strict=False):
    ax.contour(u, w, 0.5 * (u**2 + 50.0 * w**2), levels=[0.3, 1, 3, 8, 16, 30], colors="#BBBBBB", linewidths=0.8)
    ax.plot(*path.T, marker="o", markersize=3, **(style | {"linestyle": "-", "linewidth": 1.0}))
    ax.plot(0.0, 0.0, "*", color=plotting.BLACK, markersize=10)
    ax.set(title=f"{name}, lr {RATES[name]}", xlabel="$p_1$", ylabel="$p_2$", xlim=(-4.6, 4.6), ylim=(-1.25, 1.25))
    ax.grid(False)
for (name, values), style in zip(losses.items(), plotting.CURVES, strict=False):
    axes[1, 1].semilogy(values, label=name, **style)
axes[1, 1].set(title="the loss", xlabel="step", ylim=(1e-5, 1e2))
axes[1, 1].legend(loc="lower left", fontsize=9)
axes[1, 2].semilogx(steps, excess, label="not corrected", **plotting.CURVES[0])
axes[1, 2].semilogx(steps, np.ones(len(steps)), label="corrected", **plotting.CURVES[1])
axes[1, 2].set(title="Adam's step, constant gradient", xlabel="step", ylabel="length / lr", ylim=(0, None))
axes[1, 2].legend(loc="upper right", fontsize=9)
lesson.show(figure)

# %% [markdown]
# ## Exercises
#
# - **10.1** A weight is 1, its first gradient is -4. What is the weight after Adam's first step with lr = 0.1?
# - **10.2** Write momentum(p, v, g, lr, mu): the new p and the new v.
# - **10.3** Write adam(p, m, s, g, t, lr): the new p, m and s after step t (1 is the first), with betas 0.9 and 0.999
#   and eps = 1e-8.
#
# Write an answer into a file, and `numpy-nn exercise 10.1 my_answer.py` says what is wrong with it; `--solution` shows
# one.

# %% [markdown]
# ## A question
#
# Our paths and torch's agree to a dozen digits or more, and not to the last one, though the formulas are the same.
# Where does the rest come from? And can so small a difference ever become a large one?
