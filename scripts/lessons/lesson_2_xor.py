# %% [markdown]
# # Lesson 2: XOR
#
# **Answer to the last question.** Neither: it runs in a circle. This lesson shows the circle, proves that no line would
# do, and then adds one hidden layer.
#
# The four corners of a square, and the class is $+1$ where the signs of the coordinates are equal, $-1$ where they
# differ (exclusive or, in the $-1/+1$ form).

# %%
import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting

lesson = command_line.start("lesson-2-xor")

x, y = nn.datasets.xor(dtype=np.float64)
for point, label in zip(x, y, strict=True):
    print(f"point ({point[0]:+.0f}, {point[1]:+.0f})   label {label:+d}")

# %% [markdown]
# ## Why no line does it
#
# Suppose $f(x) = w_1 x_1 + w_2 x_2 + b$ had the right sign at all four corners. Then
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
# Add the first two: $2b > 0$. Add the last two: $2b < 0$. No $b$ is both, so there is no such line. A machine may
# try all the same: the best of 100,000 random lines still has one corner wrong.

# %%
rng = np.random.default_rng(0)
tries = rng.normal(size=(100_000, 3))
right = (y * (tries[:, :2] @ x.T + tries[:, 2:]) > 0).sum(axis=1)
print("corners that a random line gets right:", {int(n): int((right == n).sum()) for n in range(5)})

# %% [markdown]
# ## The perceptron's cycle
#
# The rule of lesson 1 does not know this and tries for ever.

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
# Every corner is a mistake at every visit, and the four updates $y\,(x_1, x_2, 1)$ add up to 0. So the weights walk
# round the same square for ever. In general, on points that no line separates, the perceptron's weights stay bounded
# but never settle (the perceptron cycling theorem).
#
# ## One hidden layer, by hand
#
# Bend the plane first, then draw the line. Two hidden units are enough:
#
# $$ h_1 = \max(0,\; x_1 + x_2), \qquad h_2 = \max(0,\; -x_1 - x_2), \qquad f = h_1 + h_2 - 1 . $$
#
# One unit sees the corner $(+1, +1)$, the other $(-1, -1)$, both are blind to the rest, and $f = |x_1 + x_2| - 1$.

# %%
by_hand = nn.MLP([2, 2, 1], "relu", dtype=np.float64)
by_hand[0].weight.data[...] = [[1.0, -1.0], [1.0, -1.0]]  # one column for each hidden unit
by_hand[0].bias.data[...] = 0.0
by_hand[2].weight.data[...] = [[1.0], [1.0]]
by_hand[2].bias.data[...] = -1.0
for point, label, f in zip(x, y, by_hand.predict(x)[:, 0], strict=True):
    print(f"by hand: f({point[0]:+.0f}, {point[1]:+.0f}) = {f:+.0f}   label {label:+d}")

# %% [markdown]
# ## One hidden layer, learned
#
# Now the network finds its own weights. The hidden units are $\tanh$; the output $z$ goes through the sigmoid, and the
# loss is binary cross-entropy, with target 1 for class $+1$ and 0 for class $-1$. How the gradient comes about is the
# matter of lesson 4; here we only let it work, from twenty random starts for each width.

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
# One hidden unit draws one line again: its answer bends, its border does not. Two are enough, but from about every
# second start they are still stuck after 250 steps. A few more than enough makes it easy: that is one reason why
# networks are made wider than they need to be.
#
# What do the hidden units see? Each is a line of its own in the plane of the inputs (dashed in the picture), and
# answers with how far on which side a point lies. In the plane of their answers $(h_1, h_2)$ the corners have moved,
# and there one line is enough: the output unit's.

# %%
net, _ = train(2, seed=1)
hidden = np.tanh(x @ net[0].weight.data + net[0].bias.data)
for point, h, f in zip(x, hidden, net.predict(x)[:, 0], strict=True):
    print(f"({point[0]:+.0f}, {point[1]:+.0f})  the hidden units say ({h[0]:+.3f}, {h[1]:+.3f})  output {f:+.2f}")

# %% [markdown]
# Above, the perceptron after each of its first three updates: the next circles bring the same lines again. Below, its
# weights, then the two hidden units: their lines among the inputs, and the corners as these units see them.

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
# ## Exercises
#
# - **2.1** What does the network by hand, f = h1 + h2 - 1, say at the point (2, -0.5)?
# - **2.2** Write hidden(x): what the two hidden units of the network by hand say of each row of x, of shape (n, 2).
# - **2.3** There are 16 ways to give the four corners of the square the classes +1 and -1. How many can one line tell
#   apart?
#
# Write an answer into a file, and `numpy-nn exercise 2.1 my_answer.py` says what is wrong with it; `--solution` shows
# one.

# %% [markdown]
# ## A question
#
# We trained with $\tanh$ and built by hand with $\max(0, \cdot)$. Deep networks were long thought hopeless to train
# with functions like $\tanh$ and the sigmoid, and easy with $\max(0, \cdot)$. All of them bend the plane; what about
# their *derivatives* makes the difference?
