"""A step as a CUDA graph, with a stand-in where there is no CUDA; and a learning rate that a graph reads anew."""

import gc

import numpy as np
import pytest
import torch
from torch_steps import CROSS_ENTROPY, Captures, networks_for_steps

from torch_ref import optimizer_to_torch
from torch_ref.resume import TrainingState
from torch_ref.training import WARM_UP_STEPS, GraphedStep, make_step, train_epoch

KINDS = ["sgd", "momentum", "adam", "adamw"]


def test_a_graph_needs_cuda():
    _, (model, _), _ = networks_for_steps("sgd")
    with pytest.raises(ValueError, match="graph: expected a model on CUDA, got one on cpu"):
        make_step(model, CROSS_ENTROPY, torch.optim.SGD(model.parameters()), graph=True)


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("adversarial", [None, 0.3])
@pytest.mark.parametrize("optimizer", KINDS)
def test_a_captured_step_takes_the_same_steps(optimizer, adversarial, monkeypatch):
    ours, (eager_model, model), batches = networks_for_steps(optimizer)
    eager = optimizer_to_torch(ours, eager_model)
    theirs = optimizer_to_torch(ours, model)
    eager_step = make_step(eager_model, CROSS_ENTROPY, eager, adversarial=adversarial)
    captured_step = make_step(model, CROSS_ENTROPY, theirs, adversarial=adversarial)
    captures = Captures(monkeypatch, captured_step, model, theirs)
    step = GraphedStep(captures.recorded_step, model, theirs)
    for _ in range(2):
        # The smaller batch is captured in the middle of training, when the optimizer has a state to keep.
        expected = train_epoch(eager_model, CROSS_ENTROPY, eager, batches, step=eager_step)
        assert train_epoch(model, CROSS_ENTROPY, theirs, batches, step=step) == expected
    for p, q in zip(model.parameters(), eager_model.parameters(), strict=True):
        assert torch.equal(p, q)
    assert captures.captured == 2


def test_capturing_draws_nothing_that_dropout_would_have_drawn(monkeypatch):
    ours, models, batches = networks_for_steps("momentum")
    eager_model, model = (torch.nn.Sequential(torch.nn.Dropout(0.5), m) for m in models)
    eager, theirs = (optimizer_to_torch(ours, m) for m in (eager_model, model))
    captures = Captures(monkeypatch, make_step(model, CROSS_ENTROPY, theirs), model, theirs)
    step = GraphedStep(captures.recorded_step, model, theirs)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        expected = train_epoch(eager_model, CROSS_ENTROPY, eager, batches)
        torch.manual_seed(0)
        assert train_epoch(model, CROSS_ENTROPY, theirs, batches, step=step) == expected
    assert captures.captured == 2


def test_no_tensor_with_a_history_is_alive_when_a_step_is_captured(monkeypatch):
    # On CUDA its backward pass would go on accumulating where that history was made, which is not the graph's stream.
    ours, (model, _), batches = networks_for_steps("adam")
    theirs = optimizer_to_torch(ours, model, fused=True)
    take = make_step(model, CROSS_ENTROPY, theirs)
    alive = []

    def step(x, y):
        mine = [p for p in model.parameters() if p.requires_grad]
        nodes = {torch.autograd.graph.get_gradient_edge(p).node for p in mine}
        functions = [t.grad_fn for t in gc.get_objects() if type(t) is torch.Tensor]
        edges = [edge for function in functions if function is not None for edge, _ in function.next_functions]
        alive.append(len(nodes.intersection(edges)))
        return take(x, y)

    GraphedStep(Captures(monkeypatch, step, model, theirs).recorded_step, model, theirs)(*batches[0])
    assert alive == [0] * (WARM_UP_STEPS + 2)  # the last is the replay


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
@pytest.mark.parametrize("steps", [0, 3])
def test_a_state_that_is_put_back_reaches_a_captured_step(optimizer, steps, monkeypatch):
    ours, (eager_model, model), batches = networks_for_steps(optimizer)
    batches = batches[:1]
    eager, theirs = (optimizer_to_torch(ours, m, fused=True) for m in (eager_model, model))
    for _ in range(steps):
        train_epoch(eager_model, CROSS_ENTROPY, eager, batches)
    content = TrainingState(eager_model, eager).to_bytes()
    captures = Captures(monkeypatch, make_step(model, CROSS_ENTROPY, theirs), model, theirs)
    step = GraphedStep(captures.recorded_step, model, theirs)
    train_epoch(model, CROSS_ENTROPY, theirs, batches, step=step)
    held = [t for state in theirs.state.values() for t in state.values()]
    TrainingState(model, theirs).load_bytes(content)
    assert all(a is b for a, b in zip(held, (t for s in theirs.state.values() for t in s.values()), strict=True))
    for _ in range(2):
        expected = train_epoch(eager_model, CROSS_ENTROPY, eager, batches)
        assert train_epoch(model, CROSS_ENTROPY, theirs, batches, step=step) == expected
    for p, q in zip(model.parameters(), eager_model.parameters(), strict=True):
        assert torch.equal(p, q)


def one_cycle(optimizer):
    """The schedule of the recipes, over ten steps."""
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.3, total_steps=10, pct_start=0.3, anneal_strategy="linear", cycle_momentum=False
    )


def train_by_schedule(model, optimizer, batches, step=None, after_schedule=lambda: None):
    """Ten steps of two epochs; the metrics, and the learning rate of each step."""
    schedule, rates = one_cycle(optimizer), []
    after_schedule()

    def after_batch():
        rates.append(float(optimizer.param_groups[0]["lr"]))
        if len(rates) < 10:
            schedule.step()
            after_schedule()

    return [train_epoch(model, CROSS_ENTROPY, optimizer, batches, after_batch, step=step) for _ in range(2)], rates


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("optimizer", KINDS)
def test_a_schedule_writes_to_the_tensor_and_every_step_reads_it(optimizer, captured, monkeypatch):
    ours, (plain_model, model), batches = networks_for_steps(optimizer)
    plain = optimizer_to_torch(ours, plain_model, fused=True)
    theirs = optimizer_to_torch(ours, model, fused=True, tensor_lr=True)
    held = theirs.param_groups[0]["lr"]
    assert (held.shape, held.dtype, held.item()) == ((), torch.float32, float(np.float32(0.1)))

    def to_float32():
        plain.param_groups[0]["lr"] = float(np.float32(plain.param_groups[0]["lr"]))

    step = make_step(model, CROSS_ENTROPY, theirs)
    if captured:
        step = GraphedStep(Captures(monkeypatch, step, model, theirs).recorded_step, model, theirs)
    expected = train_by_schedule(plain_model, plain, batches, after_schedule=to_float32)
    assert train_by_schedule(model, theirs, batches, step) == expected
    assert len(set(expected[1])) == 10
    assert theirs.param_groups[0]["lr"] is held
    # The rates are the same to the bit, and so is what is made with them.
    for p, q in zip(model.parameters(), plain_model.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_captured_number_would_stay_what_it_was(monkeypatch):
    ours, (plain_model, model), batches = networks_for_steps("sgd")
    plain, theirs = (optimizer_to_torch(ours, m, fused=True) for m in (plain_model, model))
    captures = Captures(monkeypatch, make_step(model, CROSS_ENTROPY, theirs), model, theirs)
    metrics, rates = train_by_schedule(model, theirs, batches, GraphedStep(captures.recorded_step, model, theirs))
    expected, expected_rates = train_by_schedule(plain_model, plain, batches)
    assert rates == expected_rates
    assert metrics != expected


def test_a_tensor_for_the_rate_needs_a_fused_kernel():
    ours, (model, _), _ = networks_for_steps("sgd")
    with pytest.raises(ValueError, match=r"tensor_lr: .* expected fused=True"):
        optimizer_to_torch(ours, model, tensor_lr=True)
