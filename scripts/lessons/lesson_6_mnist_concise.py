# %% [markdown]
# # Lesson 6: the concise form
#
# **Answer to the last question.** With weights a hundred times smaller, $z_1$ has standard deviation
# $0.01 \cdot 9.2 = 0.092$, and the logits $0.01 \cdot 0.092 \cdot \sqrt{32} \approx 0.005$ (torch's default biases add
# at most 0.125 to that). All ten are next to 0, every class gets about $1/10$, and the loss is $\log 10 \approx 2.303$.
#
# The same network again, from layers this time. Weights from $N(0, 0.01^2)$, biases torch's default, learning rate
# 0.1, again 1000 steps on one batch of 64 images, as the tutorial has it: the Chinese course's chapter on the
# perceptron, XOR and the multilayer perceptron that these lessons follow. Then all of MNIST, which is when it begins to
# learn.

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
# This column is close to the tutorial's though batch and weights differ: small weights make every start nearly the
# same start, where lesson 5's runs went apart by a factor of a hundred.
#
# But what has it learned? These 64 images. On images it has not seen:

# %%
test_loss, accuracy = nn.evaluate(net, loss, mnist.x_test, mnist.y_test)
print(f"after 1000 steps on one batch: {accuracy:.2%} of the test images, test loss {test_loss:.3f}")

# %% [markdown]
# ## All of MNIST
#
# From the same start, five passes over all 60,000 images in batches of 64, and after each a look at the 10,000 images
# of the test set, which it never trains on.

# %%
net = make(0)
batches = nn.DataLoader(mnist.x_train, mnist.y_train, batch_size=64, rng=0)
optimizer = nn.SGD(net.parameters(), lr=0.1)
history = nn.fit(net, loss, optimizer, batches, epochs=5, test=(mnist.x_test, mnist.y_test))
print("epoch  train loss  test loss  test images right")
for epoch in history.epochs:
    print(f"{epoch.epoch:5d}{epoch.train_loss:12.4f}{epoch.test_loss:11.4f}{epoch.test_accuracy:19.2%}")

# %% [markdown]
# ## What it gets wrong
#
# The confusion matrix: a row for each digit, a column for each answer. On the diagonal it is right.

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
# And these are the mistakes that it was surest of.

# %%
wrong = np.flatnonzero(answer != mnist.y_test)
surest = wrong[np.argsort(probability[wrong, answer[wrong]])[::-1][:16]]
print(f"{len(wrong)} of {len(answer)} wrong; surest of these:")
for row in surest[:5]:
    print(f"image {row}: a {mnist.y_test[row]}, taken for {answer[row]} with {probability[row, answer[row]]:.2%}")

# %% [markdown]
# ## What the first layer sees
#
# Each hidden unit has 784 weights, one a pixel: drawn as an image, they show what the unit looks for (light) and what
# it looks against (dark). Lesson 5's first layer stayed noise. This one shows strokes and gaps. At the rim, where every
# image is empty, no gradient ever comes and the weights are the small random ones of the start.

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
# ## Exercises
#
# - **6.1** How many parameters has a network of 784, 32 and 10 units?
# - **6.2** Write confusion(y, answer, classes): a matrix of counts with a row for each true class and a column for each
#   answer.
# - **6.3** Write accuracy(z, y): which part, from 0 to 1, of the rows of z has its largest entry at the label.
#
# Write an answer into a file, and `numpy-nn exercise 6.1 my_answer.py` says what is wrong with it; `--solution` shows
# one.

# %% [markdown]
# ## A question
#
# All this rests on a handful of formulas for the gradient. Suppose one of them had a mistake: a factor of 2, a
# transposed matrix that happens to be square, a sum where a mean should be. Training might still work, only worse. How
# would you find out, without torch at hand?
