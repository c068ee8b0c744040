# %% [markdown]
# # Lesson 12: one network on several processes
#
# **Answer to the last question.** There is one: a training in which nothing is rounded. Where every sum is exact, its
# order does not matter, and then one process and four must end with the same bits. That makes a sharp test of what this
# lesson builds: a network that is trained by several processes at a time, each of which has all the parameters and sees
# a part of every batch. It is called *data parallelism*.
#
# ## The gradient of a mean, in parts
#
# A batch has $n$ rows and the loss is the mean of theirs, $L = \frac1n \sum_i \ell_i$. Give process $r$ the $n_r$ rows
# of the set $R_r$, and let it compute the gradient of the mean over *its* rows, as if there were no others:
#
# $$ g_r = \frac{1}{n_r} \sum_{i \in R_r} \nabla \ell_i , \qquad
# g = \frac1n \sum_i \nabla \ell_i = \sum_r \frac{n_r}{n}\, g_r . $$
#
# Nothing else is needed: the gradients of the parts, weighted by their rows, add up to that of the whole batch. If all
# $p$ parts are equal, $n_r / n = 1 / p$, and the sum is the mean of the means. If they are not, the mean of the means
# is another gradient: it gives each row of $R_r$ a weight of $1 / (p\, n_r)$ instead of $1 / n$, so that a row counts
# more in a small part than in a large one. This is easily overlooked, as it is often only the last batch of an epoch
# that cannot be divided equally.
#
# By hand, for a small network with ReLU and the squared error:

# %%
from fractions import Fraction
from itertools import pairwise

import numpy as np

import numpy_nn as nn
from numpy_nn.lessons import command_line, plotting, processes

lesson = command_line.start("lesson-12-several-processes")
torch = lesson.torch()  # None where torch is not installed: then its part is left out
SHAPES = (3, 4), (4,), (4, 1), (1,)


def gradient(x, t, parameters):
    """Of the mean squared error of a network 3-4-1, with respect to all parameters in one vector."""
    w1, b1, w2, b2 = (p.reshape(s) for p, s in zip(np.split(parameters, [12, 16, 20]), SHAPES, strict=True))
    z = x @ w1 + b1
    h = np.maximum(z, 0)
    grad_out = 2 * (h @ w2 + b2 - t) / len(x)
    grad_z = grad_out @ w2.T * (z > 0)
    return np.concatenate([g.ravel() for g in (x.T @ grad_z, grad_z.sum(axis=0), h.T @ grad_out, grad_out.sum(axis=0))])


def parts(n, size):
    """The rows of each of so many processes."""
    return [slice(rank * n // size, (rank + 1) * n // size) for rank in range(size)]


rng = np.random.default_rng(0)
x, t, start = rng.normal(size=(8, 3)), rng.normal(size=(8, 1)), rng.normal(size=21)
whole = gradient(x, t, start)
for size in (2, 3, 4):
    rows = [len(x[part]) for part in parts(8, size)]
    each = [gradient(x[part], t[part], start) for part in parts(8, size)]
    weighted = sum(n / 8 * g for n, g in zip(rows, each, strict=True))
    off = [np.abs(g - whole).max() for g in (np.mean(each, axis=0), weighted)]
    print(f"parts of {rows} rows: the mean of the means is off by {off[0]:.0e}, the weighted sum by {off[1]:.0e}")

# %% [markdown]
# ## A sum that everybody has
#
# Now the processes need the sum, all of them, and each has one term of it; this is called an *all-reduce*. The plain
# way is that all send theirs to one process, which adds and sends the sum back. It works, and that one process has
# $p - 1$ times as much to send as each of the others. The usual way is a ring, in which each process talks to its two
# neighbours only. Cut the gradient into $p$ pieces. In each of $p - 1$ exchanges every process passes one piece on and
# adds the one that arrives to its own; after them each piece is complete in one place. In $p - 1$ more, the complete
# ones go round.


# %%
def all_reduce(ring, array, watch=lambda: None):
    """Replace the array by the sum of all processes' arrays, in place."""
    pieces = np.array_split(array, ring.size)
    for step in range(ring.size - 1):
        pieces[(ring.rank - step - 1) % ring.size] += ring.exchange(pieces[(ring.rank - step) % ring.size])
        watch()
    for step in range(ring.size - 1):
        pieces[(ring.rank - step) % ring.size][...] = ring.exchange(pieces[(ring.rank - step + 1) % ring.size])
        watch()


# %% [markdown]
# `processes.together` starts processes beside this one and hands each a `ring`, which knows the process's rank and
# exchanges arrays with its neighbours. These are real processes, each with a Python of its own. They cannot import what
# stands in a notebook, so they are given the source of our functions. Four of them, each with a gradient of four ones,
# after each exchange: a 3 is a sum in which three processes have taken part.


# %%
def stages(ring):
    """What this process has at first and after each exchange."""
    ones = np.ones(ring.size)
    seen = [ones.copy()]
    all_reduce(ring, ones, lambda: seen.append(ones.copy()))
    return np.array(seen)


found = np.array(processes.together(4, [all_reduce, stages])).swapaxes(0, 1)
figure, axes = plotting.panels(1, len(found), 1.75, 2.0)
for step, (ax, held) in enumerate(zip(axes.flat, found, strict=True)):
    ax.imshow(held, cmap="Blues", vmin=0, vmax=6)
    for (rank, piece), count in np.ndenumerate(held):
        ax.text(piece, rank, f"{count:.0f}", ha="center", va="center", fontweight="bold" if count == 4 else "normal")
    ax.set(xticks=[], yticks=range(4), title=f"exchange {step}" if step else "before", xlabel="piece")
    ax.set_yticklabels([f"process {rank}" for rank in range(4)] if step == 0 else [])
    ax.tick_params(length=0)
    ax.grid(False)
lesson.show(figure)

# %% [markdown]
# ## Numbers that nothing rounds
#
# Floating point holds every integer of up to 53 binary digits times a power of 2, and sums and products of such numbers
# exactly, as long as their digits fit. So begin with halves, take ReLU, which is exact, and the squared error, whose
# derivative is; take 8 rows, so that the mean divides by a power of 2, and such a learning rate. How long does it last?
# Beside float64, the same steps in fractions:

# %%
exact_x, exact_t = rng.integers(-2, 3, (8, 3)) / 2, rng.integers(-2, 3, (8, 1)) / 2
exact_start, LR = rng.integers(-2, 3, 21) / 2, 1 / 8
fractions = np.vectorize(lambda value: Fraction(float(value)), otypes=[object])


def digits(number):
    """How many binary digits a fraction has, from the first that is 1 to the last."""
    n = abs(number.numerator)
    return n.bit_length() - (n & -n).bit_length() + 1 if n else 0


floats, truth = exact_start, fractions(exact_start)
after = []
for step in range(1, 5):
    floats = floats - LR * gradient(exact_x, exact_t, floats)
    truth = truth - Fraction(LR) * gradient(fractions(exact_x), fractions(exact_t), truth)
    same = (fractions(floats) == truth).sum()
    print(f"after step {step}: up to {max(map(digits, truth)):3} digits, {same} of 21 parameters in float64 are exact")
    after.append(truth.astype(np.float64))

# %% [markdown]
# The new parameters have products of three old ones in them, so that a step makes three times as many digits. Two steps
# are exact, and that is enough: a mistake in the parts, the weights or the sum would show in the first.
#
# ## Training, by our layers
#
# Each process has the whole network and its part of the rows. All gradients of a network of ours are one vector, so
# the exchange is one call between the backward pass and the step. As all processes get the same sum, they make the same
# step, and remain equal without ever comparing.


# %%
def train(ring, x, t, start, lr, steps):
    """The parameters that this process has in the end, in one vector."""
    net, loss = nn.MLP([3, 4, 1], "relu", dtype=np.float64), nn.MSELoss()
    parameters = net.parameters()
    optimizer = nn.SGD(parameters, lr)
    parameters.data[...] = start
    rows = slice(ring.rank * len(x) // ring.size, (ring.rank + 1) * len(x) // ring.size)
    for _ in range(steps):
        loss(net(x[rows]), t[rows])
        net.backward(loss.backward())
        parameters.grad[...] *= len(x[rows]) / len(x)
        all_reduce(ring, parameters.grad)
        optimizer.step()
    return parameters.data.copy()


def both(ring, exact, rounded):
    """Two trainings, one after the other."""
    return train(ring, *exact), train(ring, *rounded)


exact, rounded = (exact_x, exact_t, exact_start, LR, 2), (x, t, start, LR, 20)
alone = None
for size in (1, 2, 3, 4):
    ends = processes.together(size, [all_reduce, train, both], exact, rounded)
    equal = all(np.array_equal(one, other) for end in ends for one, other in zip(end, ends[0], strict=True))
    on_halves, on_others = ends[0]
    alone = on_others if alone is None else alone
    bits = "the bits of the fractions" if np.array_equal(on_halves, after[1]) else "not exact"
    print(f"{size} process{'es' if size > 1 else '  '}: all alike: {equal}; on halves: {bits}; ", end="")
    print(f"on other numbers off one process by {np.abs(on_others - alone).max():.0e}")

# %% [markdown]
# On halves one, two and four processes end with the same bits, those of the fractions. Three do not: their parts have
# 2, 3 and 3 rows, each divides by its own $n_r$, and $1/3$ has no end in binary. On other numbers they are apart by
# some units in the last place, as lesson 11 would have it. In every case all processes of a run have the same bits:
# each piece of the sum is added in one place and copied to the others.
#
# ## The same with torch
#
# torch's own exchange is called gloo (between processors) or NCCL (between GPUs); `DistributedDataParallel` calls it
# layer by layer while the backward pass still runs, and takes the mean over the processes, which is right for equal
# parts. `torch_ref.distributed` lends gloo to our engine: a loader that gives each process its part, and an all-reduce
# with the weights $n_r / n$, as a callback of `nn.fit`. Below it is torch's network, with the exchange written out.
# Both in two processes, on halves:


# %%
def by_torch(ring, x, t, start, lr, steps):
    """The parameters in the end: our network with torch's exchange, and torch's network."""
    import torch
    import torch.distributed as dist

    from torch_ref import distributed, to_torch

    port = np.zeros(1)  # where the first process can be met
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False) if ring.rank == 0 else None
    port[0] = store.port if store else 0
    all_reduce(ring, port)
    group = distributed.join(store or dist.TCPStore("127.0.0.1", int(port[0])), ring.rank, ring.size)

    net, loss = nn.MLP([3, 4, 1], "relu", dtype=np.float64), nn.MSELoss()
    net.parameters().data[...] = start
    model = to_torch(net)
    loader = distributed.ShardedLoader(nn.DataLoader(x, t, len(x), shuffle=False), group)
    exchange = distributed.AllReduce(net, loss, loader)
    nn.fit(net, loss, nn.SGD(net.parameters(), lr), loader, steps, callbacks=[exchange])

    rows = group.slice_of(len(x))
    for _ in range(steps):
        model.zero_grad()
        torch.nn.functional.mse_loss(model(torch.tensor(x[rows])), torch.tensor(t[rows])).backward()
        for p in model.parameters():
            dist.all_reduce(p.grad)
            p.data -= lr * (p.grad / ring.size)  # of equal parts, the mean
    theirs = [p.detach().numpy().T.ravel() for p in model.parameters()]  # torch keeps W transposed
    distributed.leave()
    return net.parameters().data.copy(), np.concatenate(theirs)


if torch:
    ends = processes.together(2, [all_reduce, by_torch], *exact)
    for name, vectors in zip(("nn.fit with gloo", "torch with gloo"), zip(*ends, strict=True), strict=True):
        same = all(np.array_equal(vector, after[1]) for vector in vectors)
        print(f"{name}: {'the bits of the fractions in both processes' if same else 'not exact'}")

# %% [markdown]
# ## What it costs
#
# The computing is divided: a row costs a multilayer perceptron some 6 operations for each weight (a product and a sum
# forward, and twice that backward; the first layer does without the gradient of its input), and each process has
# $n / p$ rows. The sending is not. Of a gradient of $N$ bytes, a process sends in each of $2 (p - 1)$ exchanges one
# piece of $N / p$:
#
# $$ \text{operations each} \approx \frac{n}{p} \cdot 6 \cdot \text{weights}, \qquad
# \text{bytes sent by each} = \frac{2 (p - 1)}{p}\, N < 2 N . $$
#
# The second hardly grows with $p$, and no method sends less. Yet it does not shrink either, and the $2 (p - 1)$
# messages come one after the other, each of which takes its time however short it is. Counted, and timed on your
# machine, for a network 784-256-10 in float32 and batches of 512:


# %%
def timed(ring, sizes, batch, steps):
    """The bytes that this process sent in a step, and the seconds that a step took."""
    import time

    net, loss, rng = nn.MLP(sizes, "relu", rng=0), nn.CrossEntropyLoss(), np.random.default_rng(ring.rank)
    optimizer = nn.SGD(net.parameters(), 0.1)
    x, y = rng.random((batch // ring.size, sizes[0]), np.float32), rng.integers(0, sizes[-1], batch // ring.size)
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        loss(net(x), y)
        net.backward(loss.backward())
        net.parameters().grad[...] /= ring.size  # of equal parts, the mean
        all_reduce(ring, net.parameters().grad)
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return ring.sent / steps, float(np.median(seconds))


NETWORK, BATCH = [784, 256, 10], 512
weights = [m * n for m, n in pairwise(NETWORK)]
size_in_bytes = 4 * (sum(weights) + sum(NETWORK[1:]))


def operations(rows):
    """Additions and multiplications of the matrix products of a step."""
    return rows * (6 * sum(weights) - 2 * weights[0])


for size in (1, 2, 4):
    sent, seconds = zip(*processes.together(size, [all_reduce, timed], NETWORK, BATCH, 10), strict=True)
    formula = 2 * (size - 1) / size * size_in_bytes
    print(f"{size} process{'es' if size > 1 else '  '}: ", end="")
    print(f"{operations(BATCH / size) / 1e6:.0f} million operations each, {np.mean(sent):,.0f} bytes ", end="")
    print(f"sent by each (by the formula {formula:,.0f}); a step: {1000 * max(seconds):.1f} ms")

# %% [markdown]
# On a machine with few cores several processes are seldom faster than one: they have the same cores between them, and
# exchange on top. On several machines it depends on the share. Here is what the two formulas say for a batch of 8192
# rows, if a machine does $10^{11}$ operations a second and a network carries $10$ Gb a second with $50$ microseconds a
# message. These three numbers are assumed; `docs/scaling.md` has what was measured, and where it differs.

# %%
RATE, BANDWIDTH, LATENCY, ROWS = 1e11, 10e9 / 8, 50e-6, 8192
p = 2 ** np.arange(10)
computing = operations(ROWS) / p / RATE
ring_sends = 2 * (p - 1) / p * size_in_bytes / BANDWIDTH + 2 * (p - 1) * LATENCY
one_sends = 2 * (p - 1) * (size_in_bytes / BANDWIDTH + LATENCY)
best = int(p[(computing + ring_sends).argmin()])
print(f"fastest with {best} machines: {computing[0] / (computing + ring_sends).min():.1f} times as fast as one")

figure, (panels,) = plotting.panels(1, 2, 5.0, 3.9)
for sent, label, style in (
    (p[1:] - 1, "one for all: what that one sends", plotting.CURVES[1]),
    (2 * (p[1:] - 1) / p[1:], "ring: what each sends", plotting.CURVES[0]),
):
    panels[0].loglog(p[1:], sent, label=label, marker="o", markersize=4, **style)
panels[0].set(title="sent in a step", ylabel="in gradients", ylim=(0.5, 2000))
for values, label, style in (
    (computing, "computing", plotting.CURVES[2]),
    (ring_sends, "the ring's exchanges", plotting.CURVES[3]),
    (computing + ring_sends, "computing and ring", plotting.CURVES[0]),
    (computing + one_sends, "computing and one for all", plotting.CURVES[1]),
):
    panels[1].loglog(p[values > 0], 1000 * values[values > 0], label=label, **style)
panels[1].set(title="a step on assumed machines, 8192 rows", ylabel="milliseconds", ylim=(0.01, 2000))
for ax, place in zip(panels, ("upper left", "lower left"), strict=True):
    ax.set(xlabel="processes $p$", xticks=p[::3], xticklabels=p[::3])
    ax.legend(loc=place, fontsize=9)
lesson.show(figure, "costs")

# %% [markdown]
# ## Exercises
#
# - **12.1** A gradient of one million float32 numbers is summed in a ring of 5 processes. How many bytes does each of
#   them send?
# - **12.2** Write combined(gradients, rows): the gradient of the mean over a whole batch, from a list with the gradient
#   of the mean over each part, and a list with how many rows each part has.
# - **12.3** Write reduce_scatter(pieces): row r of the array, of shape (p, p), holds the p pieces of process r. Return
#   them after the first p - 1 exchanges: in exchange s = 0, 1, ... process r adds to its piece r - s - 1 what process
#   r - 1 has of that piece, all indices mod p.
#
# Write an answer into a file, and `numpy-nn exercise 12.1 my_answer.py` says what is wrong with it; `--solution` shows
# one.

# %% [markdown]
# ## A question
#
# Twice as many processes on the same batch leave each with half the rows, and soon they mostly wait. With a batch twice
# as large all stay busy, but an epoch has half the steps. Each step's gradient is a better one, though: a mean over
# twice as many rows. What would you do to the learning rate, and what would you measure to know whether you were right?
