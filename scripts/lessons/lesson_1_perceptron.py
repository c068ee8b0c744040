# %% [markdown]
# # Lesson 1: the perceptron
#
# A perceptron splits the plane with a line. For a point $x$ it computes $f(x) = w \cdot x + b$ and answers with the
# sign: class $+1$ where $f(x) > 0$, class $-1$ elsewhere. We write the label $y$ as $+1$ or $-1$, so that a point is
# right exactly if
#
# $$ y \, f(x) > 0 . $$
#
# Rosenblatt's rule (1958) starts with $w = 0$, $b = 0$ and looks at one point after the other. If the point is right,
# nothing happens. If not,
#
# $$ w \leftarrow w + y\,x, \qquad b \leftarrow b + y . $$
#
# After the update $f(x)$ has moved by $y\,(|x|^2 + 1)$: towards the right sign, always. It may still be wrong, and it
# may have spoiled another point. Rounds over all points (epochs) are repeated until one passes without a mistake.

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
# Four points, two of each class. Watch the rule at work: each line is one visit.

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
# At the first visit $f = 0$, which is not $> 0$, so it counts as a mistake; otherwise the rule would never start.
# `Perceptron.fit` is this loop:

# %%
again = nn.Perceptron(2, dtype=np.float64)
history = again.fit(x, y)
print("fit:", history, "the same weights:", np.array_equal(again.weight, perceptron.weight))

# %% [markdown]
# ## The rule is gradient descent
#
# Give every wrong point a loss that grows with its distance from the right side, and every right point none:
#
# $$ L(w, b) = \max(0, \; -y\,(w \cdot x + b)) . $$
#
# Where the point is wrong, $\partial L / \partial w = -y\,x$ and $\partial L / \partial b = -y$; where it is right,
# both are 0. One step of gradient descent with learning rate 1 subtracts this, and that *is* the rule. So we let three
# walk in step: the rule, our layers with the loss `PerceptronLoss` and `SGD`, and torch, whose autograd knows nothing
# of any rule. (At $f = 0$ the loss has a kink; all three take the slope of the wrong side.)

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
# ## How many mistakes can it make?
#
# Novikoff (1962) proved a bound that knows nothing of the order of the points. Append a 1 to every point,
# $\tilde x = (x, 1)$, and let $R$ be the largest $|\tilde x|$. If some $\tilde w$ separates the points, and
# $\gamma = \min_i y_i\, \tilde w \cdot \tilde x_i / |\tilde w|$, then
#
# $$ \text{mistakes} \le (R / \gamma)^2 . $$
#
# Two lines of proof. Every mistake adds at least $\gamma$ to $\tilde w_t \cdot \tilde w / |\tilde w|$, so after $k$ of
# them $|\tilde w_t| \ge k \gamma$. Every mistake adds at most $R^2$ to $|\tilde w_t|^2$ (the cross term is not
# positive: the point was wrong), so $|\tilde w_t| \le \sqrt k R$. Together $k \gamma \le \sqrt k R$.
#
# Any separator gives a bound; the one with the largest $\gamma$ gives the best. That one is the shortest vector in the
# convex hull of the $y_i \tilde x_i$, and a few steps towards the worst point after the other find it.

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
# The bound holds and is generous, as a bound must be that fits every order of every set of points with this margin.
#
# ## The picture
#
# The dotted line from (0, 1) to (1, 0) is one that we can see by eye. The perceptron finds another: it stops at the
# first line that separates, not at the best one.

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
# ## Exercises
#
# - **1.1** The point x = (2, 1) has the label y = -1; the weights are w = (1, -1), the bias is b = 0.5. Visit it once
#   by Rosenblatt's rule. What is f(x) = w . x + b afterwards?
# - **1.2** Write update(w, b, x, y): the weights and the bias after one visit of the point x with the label y, +1 or
#   -1.
# - **1.3** Write novikoff(x, y, w, b): the bound (R / gamma)^2 for the rows x, their labels y and a separating line.
#
# Write an answer into a file, and `numpy-nn exercise 1.1 my_answer.py` says what is wrong with it; `--solution` shows
# one.

# %% [markdown]
# ## A question
#
# The rule stops when a line separates the points. What does it do if no line does: does it settle on a line with few
# mistakes, does it run away, or does it do something else? Lesson 2 answers with the smallest such set of points.
