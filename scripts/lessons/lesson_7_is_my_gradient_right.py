# %% [markdown]
# # Lesson 7: is my gradient right?
#
# **Answer to the last question.** Ask the loss itself. Move one weight by a little, see how much the loss moves, and
# compare with what the formula says. It needs the forward pass only, which is much harder to get wrong unnoticed. The
# catch is "a little": this lesson is about how little.
#
# ## Too far and too near
#
# The derivative is a limit, and we stop on the way. The central difference is
#
# $$ \frac{f(x + h) - f(x - h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots $$
#
# so halving $h$ divides the error by 4. But a computer knows $f$ only to a relative error of about
# $u = 2^{-53} \approx 10^{-16}$, and that error is divided by $2h$. The smaller $h$, the more it counts. The sum of the
# two, drawn over $h$ with both axes logarithmic, has the shape of a V, and its lowest point lies where both are equal:
# $h \approx u^{1/3} \approx 10^{-5}$, with about ten right digits left. For the forward difference
# $(f(x + h) - f(x)) / h$, whose first error is of order $h$, only eight are.
#
# There is a third way, if $f$ takes complex numbers. Step in the imaginary direction:
#
# $$ f(x + ih) = f(x) + i h f'(x) - \frac{h^2}{2} f''(x) - \dots \quad\Rightarrow\quad
# f'(x) \approx \frac{\operatorname{Im} f(x + ih)}{h} . $$
#
# Nothing is subtracted, so nothing cancels, and $h$ may be as small as $10^{-200}$ (Squire and Trapp, 1998).

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
# Which $h$ is best depends on the function, and on $x$. `derivative` finds out by itself: it takes central differences
# at a dozen steps, combines them so that the first powers of $h$ cancel (Richardson), watches how far the combinations
# differ (Ridders), adds the rounding that it measures in $f$, and returns the value with a *bound* on its error. Then
# there is no tolerance to choose: the difference from a formula is either within the bound or it is not.

# %%
estimate = derivative(f, x0)
print(f"exact           {exact:.15f}")
print(f"derivative      {estimate.value:.15f}  bound {estimate.bound:.0e}, error {abs(estimate.value - exact):.0e}")
print(f"complex_step    {complex_step(f, x0):.15f}  error {abs(complex_step(f, x0) - exact):.0e}")

# %% [markdown]
# ## The same on a network
#
# One weight of a small network with $\tanh$, moved by $h$, and the loss before and after, in float64 and in float32.
# Compare with our backward pass. In float32 rounding sets in so early that no step gives more than four or five right
# digits: **check gradients in float64**, whatever you train in.

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
# ## A kink
#
# ReLU has no derivative at 0, but a central difference there is not troubled: it says $1/2$, half way between the
# slopes 0 and 1 on the two sides. A checker that compares this with the formula's 0 cries wolf. The honest answer is
# that any number from 0 to 1 is right there, and `check_gradients` counts such an entry as a kink.

# %%
relu = nn.activations.relu
print("central difference of ReLU at 0:", (relu(np.array([1e-6])) - relu(np.array([-1e-6])))[0] / 2e-6)
print(check_gradients(nn.ReLU(), np.array([[-1.0, 0.0, 2.0]])))

# %% [markdown]
# ## A planted mistake
#
# Here is a linear layer with a backward pass by somebody in a hurry. The weight is square, so that the product fits
# although the transpose is missing.


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
# The loss falls in both, and nobody would find the mistake by looking at the curve. The gradients of this layer's own
# weights and of the layer behind it are right, and these two make up for a first layer that is pushed in a wrong
# direction. So ask the checker. On the layer alone:

# %%
rng = np.random.default_rng(0)
report = check_gradients(Careless(8, 8, rng=1, dtype=np.float64), rng.normal(size=(5, 8)))
print(report)

# %% [markdown]
# And on the whole network, as it came out of the training: it is checked layer by layer, so that the first wrong one is
# named rather than everything in front of it.

# %%
print(check_gradients(net, x[:5], y[:5], loss=nn.CrossEntropyLoss()))

# %% [markdown]
# ## The same for your own code
#
# Nothing here asks for our layers. This is a layer as one writes it in a first course, with nothing but NumPy, and its
# mistake is as easy to make: a gradient is summed over the batch, and the loss alone divides by its size. The checker
# moves every array of the object to see on which of them the output depends, here `W` and `b`, and finds `dW` and `db`
# by their names.


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
# Two functions are as good as a class: the first computes and keeps what the second will need, the second gets
# `grad_output` and what was kept. This pair has a mistake as well, and a single one, though all three gradients are
# wrong: the walk back begins behind the ReLU, as if it were not there.


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
# And put right:


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
# ## Exercises
#
# - **7.1** What does the central difference of x^3 at x = 2 with h = 0.1 say?
# - **7.2** Write central(f, x, h): the central difference of f at x.
# - **7.3** Write tanh_forward(x), which returns tanh(x) and a cache, and tanh_backward(grad_output, cache), the
#   gradient with respect to x.
#
# Write an answer into a file, and `numpy-nn exercise 7.1 my_answer.py` says what is wrong with it; `--solution` shows
# one.

# %% [markdown]
# ## A question
#
# For one weight we needed two forward passes. How many for all 50,890 weights of lesson 6's network, and how long would
# its 4,690 steps have taken that way, if one forward pass takes as long as half a step by backpropagation?
