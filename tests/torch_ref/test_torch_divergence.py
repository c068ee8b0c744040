"""Training in torch that diverges stops and says where, though it looks at the loss only now and then."""

import pytest
import torch

import numpy_nn as nn
from torch_ref import divergence
from torch_ref.training import train_epoch


def train(model, batches, after_batch=lambda: None, lr=0.1, epoch=1):
    return train_epoch(model, torch.nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr), batches,
                       after_batch, epoch=epoch)  # fmt: skip


def make(depth=3):
    """A network of tanh, and ten batches."""
    torch.manual_seed(0)
    layers = [layer for _ in range(depth) for layer in (torch.nn.Linear(4, 4), torch.nn.Tanh())]
    return torch.nn.Sequential(*layers), [(torch.randn(6, 4), torch.randint(0, 4, (6,))) for _ in range(10)]


class PoisonAfter:
    """Puts a value into a parameter after the update of one step."""

    def __init__(self, step, weight, value):
        self.left, self.weight, self.value = step, weight, value

    def __call__(self):
        self.left -= 1
        if self.left == 0:
            self.weight.data[0, 0] = self.value


@pytest.mark.parametrize(
    ("step", "steps", "batch"), [(1, "1 to 4", 4), (4, "5 to 8", 8), (7, "5 to 8", 8), (9, "9 to 10", 10)]
)
def test_the_steps_since_the_last_look_are_named(monkeypatch, step, steps, batch):
    monkeypatch.setattr(divergence, "CHECK_EVERY", 4)
    model, batches = make()
    with pytest.raises(nn.Divergence, match=rf"epoch 3, steps {steps}: the sum of the losses is nan; ") as caught:
        train(model, batches, PoisonAfter(step, model[0].weight, float("nan")), epoch=3)
    assert (caught.value.epoch, caught.value.batch, caught.value.layer) == (3, batch, "0")
    assert "layer 0, Linear(in_features=4, out_features=4, bias=True) is the first with a parameter" in str(
        caught.value
    )


def test_a_parameter_that_the_last_update_spoiled_is_found():
    model, batches = make()
    with pytest.raises(nn.Divergence, match=r"layer 2, .* infinite or NaN after the update") as caught:
        train(model, batches, PoisonAfter(10, model[2].weight, float("inf")))
    assert caught.value.layer == "2"


def test_an_output_that_overflows_names_its_layer():
    model, batches = make()
    model = model[:5]
    for p in model[4].parameters():
        p.data.fill_(3e38)
    with pytest.raises(nn.Divergence, match=r"layer 4, .* is the first whose output holds") as caught:
        divergence.check(model, batches[0][0], torch.tensor(float("inf")), 1, 1)
    assert caught.value.layer == "4"


def test_a_batch_that_holds_nan_is_told():
    model, batches = make()
    batches[-1][0][0, 0] = float("nan")
    with pytest.raises(nn.Divergence, match="the batch itself holds an infinite number or NaN"):
        train(model, batches)


def test_a_norm_that_is_finite_is_the_gradients():
    model, batches = make(depth=1)
    for p in model.parameters():
        p.grad = torch.full_like(p, 0.5)
    with pytest.raises(
        nn.Divergence, match=r"every layer.s output is finite; the norm of the last gradient is 2\.24;"
    ) as e:
        divergence.check(model, batches[0][0], torch.tensor(float("inf")), 1, 1)
    # Twenty squares of 1/2, added without rounding, and a root.
    assert e.value.gradient_norm == pytest.approx(5**0.5, rel=2.0**-23, abs=0)


def test_training_that_does_well_is_left_alone(monkeypatch):
    monkeypatch.setattr(divergence, "CHECK_EVERY", 1)
    model, batches = make()
    looked, (other, same) = train(model, batches), make()
    monkeypatch.undo()
    assert looked == train(other, same)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)
