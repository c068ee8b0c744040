"""Training in PyTorch: the loop by hand, the same order of batches as numpy_nn, and the same weights after epochs."""

import logging
from functools import partial
from pathlib import Path

import needs
import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st
from run_bound import RunBound
from torch.utils.data import DataLoader, Subset
from torch_steps import CROSS_ENTROPY, bound_of_steps, networks_for_steps

import numpy_nn as nn
from torch_ref import concise_mlp, loss_to_torch, optimizer_to_torch, parameters_as_numpy, to_torch
from torch_ref.averaging import AveragedModel
from torch_ref.constraints import max_norm_
from torch_ref.training import (
    device_name,
    evaluate,
    make_step,
    resident_batches,
    resolve_device,
    synchronize,
    train_epoch,
)

ROOT = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize("available", [True, False])
def test_auto_is_cuda_where_there_is_one(available, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert resolve_device() == resolve_device("auto") == torch.device("cuda" if available else "cpu")
    assert resolve_device("cpu") == torch.device("cpu")


def test_cuda_by_name_is_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_cuda_where_there_is_none_is_refused(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"device: expected a machine with CUDA for '{name}'; .* 'cpu' or 'auto'"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", ""])
def test_no_device_is_named_like_that(name):
    # torch's own words, which list the devices there are.
    with pytest.raises(RuntimeError, match=r"[Dd]evice (type|string)"):
        resolve_device(name)


def test_only_cuda_has_a_name_of_its_own_and_is_waited_for(monkeypatch):
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"the card {device.index}")
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    cpu, cuda = torch.device("cpu"), torch.device("cuda", 3)
    assert (device_name(cpu), device_name(cuda)) == ("cpu", "the card 3")
    synchronize(cpu)
    synchronize(cuda)
    assert waited == [cuda]


@given(n=st.integers(1, 30), batch_size=st.integers(1, 12), shuffle=st.booleans(), seed=our.seeds)
def test_resident_batches_are_numpy_nn_s_in_the_same_order(n, batch_size, shuffle, seed):
    x, y = np.random.default_rng(0).standard_normal((n, 2)), np.arange(n)
    rows, ours = (nn.DataLoader(x, y, batch_size, shuffle=shuffle, rng=seed) for _ in range(2))
    for _ in range(2):
        theirs = resident_batches(torch.from_numpy(x), torch.from_numpy(y), rows.indices())
        for (their_x, their_y), (our_x, our_y) in zip(theirs, ours, strict=True):
            np.testing.assert_array_equal(their_x.numpy(), our_x)
            np.testing.assert_array_equal(their_y.numpy(), our_y)


def toy(n=30):
    """A network, and a data set, in float64."""
    x, y = nn.datasets.spirals(n, rng=0, dtype=np.float64)
    return nn.MLP([2, 16, 3], "tanh", dropout=0.1, rng=1, dtype=np.float64), x, y


def test_an_epoch_is_the_loop_by_hand():
    net, x, y = toy()
    model, by_hand = to_torch(net).eval(), to_torch(net)
    batches = [(torch.from_numpy(x[i : i + 8]), torch.from_numpy(y[i : i + 8])) for i in range(0, len(x), 8)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    calls = []

    with torch.random.fork_rng():
        torch.manual_seed(0)
        metrics = train_epoch(model, CROSS_ENTROPY, optimizer, batches, lambda: calls.append(1))
        torch.manual_seed(0)
        total, correct = 0.0, 0
        velocity = [torch.zeros_like(p) for p in by_hand.parameters()]
        for images, labels in batches:
            output = by_hand(images)
            loss = CROSS_ENTROPY(output, labels)
            gradients = torch.autograd.grad(loss, list(by_hand.parameters()))
            with torch.no_grad():
                for p, v, g in zip(by_hand.parameters(), velocity, gradients, strict=True):
                    v.mul_(0.9).add_(g)
                    p.sub_(v, alpha=0.5)
            total += loss.item() * len(labels)
            correct += int((output.argmax(dim=1) == labels).sum())

    # The same operations in the same order, dropout's draws included: equal to the bit.
    assert metrics == (total / len(x), correct / len(x))
    for p, expected in zip(model.parameters(), by_hand.parameters(), strict=True):
        assert torch.equal(p, expected)
    assert len(calls) == len(batches)
    assert model.training


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_both_engines_have_the_same_weights_after_epochs(activation, momentum):
    x, y = nn.datasets.spirals(90, rng=0, dtype=np.float64)
    net, loss = nn.MLP([2, 16, 3], activation, rng=1, dtype=np.float64), nn.CrossEntropyLoss()
    optimizer = nn.SGD(net.parameters(), lr=0.1, momentum=momentum)
    model = to_torch(net)
    their_optimizer = optimizer_to_torch(optimizer, model)
    ours, theirs = (nn.DataLoader(x, y, 16, rng=2) for _ in range(2))
    tensors = torch.from_numpy(x), torch.from_numpy(y)

    # Worst cases multiply from step to step: two epochs have a bound that tells one formula from another.
    held = RunBound(net, loss, ours, 1)
    with np.errstate(all="ignore"):
        history = nn.fit(net, loss, optimizer, ours, epochs=2, callbacks=[held]).epochs
    metrics = [
        train_epoch(model, loss_to_torch(loss), their_optimizer, resident_batches(*tensors, theirs.indices()))
        for _ in range(2)
    ]

    held.check(dict(parameters_as_numpy(model)), [epoch.loss for epoch in metrics], 1e-9)
    held.check({n: p.data for n, p in net.named_parameters()}, [epoch.train_loss for epoch in history], 1e-9)
    assert [epoch.accuracy for epoch in metrics] == [epoch.train_accuracy for epoch in history]
    tested, their_test, bound = (
        nn.evaluate(net, loss, x, y),
        evaluate(model, loss_to_torch(loss), *tensors),
        held.loss_of(x, y),
    )
    for value in (tested.loss, their_test.loss):
        assert abs(value - bound.value) <= bound.reach < 1e-9
    assert their_test.accuracy == tested.accuracy


@pytest.mark.parametrize("use_buffers", [False, True])
def test_both_engines_clip_constrain_and_average_alike(use_buffers):
    x, y = nn.datasets.spirals(48, rng=0, dtype=np.float64)
    net, loss = nn.MLP([2, 16, 3], "tanh", batch_norm=True, rng=1, dtype=np.float64), nn.CrossEntropyLoss()
    model = to_torch(net)
    ours, theirs = (nn.DataLoader(x, y, 16, rng=2) for _ in range(2))
    # Both are in force at some steps, and not at others; the last assertion says so.
    clip, longest = 0.5, 0.6
    average = nn.AveragedModel(net, 0.9, use_buffers=use_buffers)
    held = RunBound(net, loss, ours, 1, clip=clip, longest=longest, average=average)
    callbacks = [held, nn.ClipGradNorm(clip), nn.MaxNorm(longest), nn.UpdateAverage(average)]
    optimizer = nn.SGD(net.parameters(), lr=0.5, momentum=0.9)
    their_optimizer = optimizer_to_torch(optimizer, model)
    their_average = AveragedModel(model, 0.9, use_buffers=use_buffers)
    step = make_step(model, CROSS_ENTROPY, their_optimizer, clip_grad_norm=clip)
    norms, lengths = [], []

    def after_batch():
        norms.append(float(torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])))
        for layer in model:
            if isinstance(layer, torch.nn.Linear):
                lengths.extend(layer.weight.detach().norm(dim=1).tolist())
                max_norm_(layer.weight, longest)
        their_average.update_parameters(model)

    with np.errstate(all="ignore"):
        nn.fit(net, loss, optimizer, ours, epochs=1, callbacks=callbacks)
    batches = resident_batches(torch.from_numpy(x), torch.from_numpy(y), theirs.indices())
    train_epoch(model, CROSS_ENTROPY, their_optimizer, batches, after_batch, step=step)

    for twin, expected, bound in (
        (model, net, held.parameters() | held.buffers),
        (their_average.module, average.module, held.averaged),
    ):
        counts = {name for name in expected.state_dict() if name.endswith("num_batches_tracked")}
        assert expected.state_dict().keys() == bound.keys() | counts
        for name, array in expected.state_dict().items():
            other = twin.state_dict()[name].numpy().T
            if name in counts:
                assert other == array == 3
                continue
            # Batch norm makes the worst case some hundred times as large at each step. Still it is less than the 1e-7
            # that keeps a length from being divided by 0.
            assert bound[name].error.max() < 5e-8, (name, bound[name].error.max())
            for engine in (array, other):
                assert (np.abs(engine - bound[name].value) <= bound[name].reach).all(), name
    assert min(norms) < clip * (1 - 1e-5) < max(norms) <= clip * (1 + 1e-12)
    assert min(lengths) < longest < max(lengths)


@pytest.mark.parametrize("clip", [-1.0, np.inf])
def test_a_length_that_nothing_can_be_clipped_to_is_refused(clip):
    model = to_torch(toy()[0])
    with pytest.raises(ValueError, match="clip_grad_norm: expected a finite number >= 0"):
        make_step(model, CROSS_ENTROPY, torch.optim.SGD(model.parameters()), clip_grad_norm=clip)


@needs.torchvision
@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.usefixtures("mnist")
def test_the_tutorial_s_loader_trains_as_the_resident_tensors_do():
    from torch_ref.data import mnist_loader, mnist_tensors

    # With weights 0 the logits are 0 in any order of summation, so that only the sums of the gradient can differ.
    models = [torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10)) for _ in range(2)]
    images = Subset(mnist_loader(ROOT, train=False).dataset, range(64))
    x, y = (tensor[:64] for tensor in mnist_tensors(ROOT)[2:])
    results = []
    for model, batches in zip(models, (DataLoader(images, batch_size=64), [(x, y)]), strict=True):
        torch.nn.init.zeros_(model[1].weight)
        torch.nn.init.zeros_(model[1].bias)
        results.append(train_epoch(model, CROSS_ENTROPY, torch.optim.SGD(model.parameters(), lr=1.0), batches))
    assert results[0] == results[1]
    assert results[0].loss == pytest.approx(np.log(10), rel=2**-22)
    # An entry of the gradient is a sum of 64 products of at most 1/64: two orders are at most 2 gamma_64 apart.
    for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert (p - q).abs().max() <= 2 * 64 * 2**-24 * (1 + 2**-10)
        assert p.any()


@needs.torchvision
@pytest.mark.slow
@pytest.mark.usefixtures("mnist")
def test_an_epoch_of_the_tutorial_s_loader_learns():
    from torch_ref.data import mnist_loader

    model = concise_mlp(generator=torch.Generator().manual_seed(0))
    loader = mnist_loader(ROOT, batches=np.arange(640).reshape(40, 16))
    first = train_epoch(model, CROSS_ENTROPY, torch.optim.SGD(model.parameters(), lr=0.1), loader)
    second = train_epoch(model, CROSS_ENTROPY, torch.optim.SGD(model.parameters(), lr=0.1), loader)
    assert second.loss < first.loss < np.log(10)


def sure_answers(n):
    """A model without a doubt: its logits are 1000 apart, so that losses are 0 or 1000, exactly."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False, dtype=torch.float64))
    torch.nn.init.eye_(model[0].weight)
    x = torch.zeros(n, 2, dtype=torch.float64)
    x[:, 0] = 1000.0
    y = torch.zeros(n, dtype=torch.int64)
    y[::4] = 1
    return model, x, y


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch_size", [1, 8, 16, 32, 1000])
def test_evaluation_is_the_mean_over_rows_whatever_the_batches(batch_size, training):
    # 20 rows: the last batch is smaller, and the mean of batch means would be another number.
    model, x, y = sure_answers(20)
    y[16:] = 1
    model.train(training)

    def loss(output, target):
        assert not output.requires_grad
        return CROSS_ENTROPY(output, target)

    assert evaluate(model, loss, x, y, batch_size) == (400.0, 0.6)
    assert model.training is training


def test_evaluation_is_in_evaluation_mode_and_puts_every_mode_back():
    model, x, y = sure_answers(4)
    model = torch.nn.Sequential(model, torch.nn.Dropout(1.0), torch.nn.Dropout(0.5).eval())
    modes = [module.training for module in model.modules()]
    assert evaluate(model, CROSS_ENTROPY, x, y) == (250.0, 0.75)
    assert [module.training for module in model.modules()] == modes


def test_no_rows_are_refused():
    model, x, y = sure_answers(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="batches: expected at least one, got none"):
        train_epoch(model, CROSS_ENTROPY, optimizer, [])
    with pytest.raises(ValueError, match="at least one"):
        evaluate(model, CROSS_ENTROPY, x[:0], y[:0])


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
def test_fused_optimizers_take_the_same_steps(optimizer):
    ours, models, batches = networks_for_steps(optimizer)
    metrics = []
    for model, fused in zip(models, (False, True), strict=True):
        theirs = optimizer_to_torch(ours, model, fused=fused)
        assert theirs.param_groups[0]["fused"] is (True if fused else None)
        metrics.append([train_epoch(model, CROSS_ENTROPY, theirs, batches) for _ in range(2)])
    # Adam divides by roots, whose errors grow the faster.
    held, tightness = bound_of_steps(optimizer), 1e-7 if optimizer.startswith("adam") else 1e-10
    for model, seen in zip(models, metrics, strict=True):
        held.check(dict(parameters_as_numpy(model)), [epoch.loss for epoch in seen], tightness)
    assert [epoch.accuracy for epoch in metrics[0]] == [epoch.accuracy for epoch in metrics[1]]


@pytest.mark.slow
def test_on_the_cpu_the_compiler_does_not_warn_that_there_is_no_cuda():
    logger = logging.getLogger("torch.utils.cpp_extension")
    before = logger.level
    try:
        logger.setLevel(logging.NOTSET)
        assert logger.isEnabledFor(logging.WARNING)
        ours, (model, _), _ = networks_for_steps("sgd")
        make_step(model, CROSS_ENTROPY, optimizer_to_torch(ours, model), compile=True)
        assert not logger.isEnabledFor(logging.WARNING)
        assert logger.isEnabledFor(logging.ERROR)
    finally:
        logger.setLevel(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "adversarial"),
    [pytest.param("inductor", None, marks=needs.compiler), pytest.param("aot_eager", 0.3, marks=pytest.mark.numerical)],
)
def test_a_compiled_step_takes_the_same_steps(backend, adversarial, monkeypatch):
    # aot_eager goes without the compiler of machine code, which takes half a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    ours, models, batches = networks_for_steps("momentum")
    batches = batches[:2]  # one shape: the compiler is slow
    metrics = []
    for model, compile in zip(models, (False, True), strict=True):
        theirs = optimizer_to_torch(ours, model)
        step = make_step(model, CROSS_ENTROPY, theirs, compile=compile, adversarial=adversarial)
        metrics.append([train_epoch(model, CROSS_ENTROPY, theirs, batches, step=step) for _ in range(2)])
    held = bound_of_steps("momentum", batches=2, epsilon=adversarial or 0.0)
    for model, seen in zip(models, metrics, strict=True):
        held.check(dict(parameters_as_numpy(model)), [epoch.loss for epoch in seen], 1e-10)
    assert [epoch.accuracy for epoch in metrics[0]] == [epoch.accuracy for epoch in metrics[1]]
