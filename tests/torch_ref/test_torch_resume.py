"""The state of a run in torch, as bytes and back; whole runs are in test_mnist_resume.py."""

import io
import pickle

import numpy as np
import pytest
import torch

from torch_ref.resume import TrainingState


class Run:
    """A small run with everything that has a state."""

    def __init__(self, optimizer=torch.optim.AdamW, width=5, schedule=True):
        torch.manual_seed(3)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(4, width), torch.nn.BatchNorm1d(width), torch.nn.Dropout(0.4), torch.nn.Linear(width, 3)
        )
        self.optimizer = optimizer(self.model.parameters(), lr=0.01)
        one_cycle = torch.optim.lr_scheduler.OneCycleLR
        self.schedule = one_cycle(self.optimizer, 0.1, 12, cycle_momentum=optimizer is torch.optim.AdamW)
        ema = torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
        self.average = torch.optim.swa_utils.AveragedModel(self.model, multi_avg_fn=ema)
        self.order, self.noise = np.random.default_rng(1), torch.Generator().manual_seed(2)
        self.state = TrainingState(
            self.model,
            self.optimizer,
            schedule=self.schedule if schedule else None,
            average=self.average,
            rngs={"order": self.order, "noise": self.noise},
        )

    def step(self, times):
        for _ in range(times):
            x = torch.from_numpy(self.order.random((6, 4), np.float32)) + torch.rand(6, 4, generator=self.noise)
            loss = self.model(x).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            self.average.update_parameters(self.model)
        return self

    def tensors(self):
        return {**self.model.state_dict(), **{f"average {n}": t for n, t in self.average.state_dict().items()}}


def assert_same(one, other):
    ours, theirs = one.tensors(), other.tensors()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_what_goes_on_is_what_never_stopped(optimizer):
    whole, first = Run(optimizer).step(12), Run(optimizer).step(5)
    content = first.state.to_bytes()
    second = Run(optimizer)
    second.state.load_bytes(content)
    assert_same(first, second)
    assert_same(second.step(7), whole)


@pytest.mark.parametrize(
    "other", [{"width": 6}, {"optimizer": torch.optim.SGD}, {"optimizer": torch.optim.Adam}, {"schedule": False}]
)
def test_a_state_of_another_run_is_refused(other):
    with pytest.raises(ValueError, match="not a state of this run"):
        Run().state.load_bytes(Run(**other).step(1).state.to_bytes())


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return print, ("code has run",)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"model": 1}), "evil"])
def test_other_bytes_are_refused_and_no_code_is_run(content, capsys):
    if content == "evil":
        buffer = io.BytesIO()
        torch.save({"model": Evil()}, buffer)
        content = buffer.getvalue()
    with pytest.raises(ValueError, match="not a state of this run"):
        Run().state.load_bytes(content)
    assert "code has run" not in capsys.readouterr().out


@pytest.mark.parametrize(("saved", "goes_on"), [(True, True), (False, True), (True, False), (False, False)])
def test_a_learning_rate_stays_the_tensor_or_the_number_that_it_is(saved, goes_on):
    def run(tensor):
        made = Run()
        if tensor:
            made.optimizer.param_groups[0]["lr"] = torch.tensor(made.optimizer.param_groups[0]["lr"])
        return made

    first, second = run(saved).step(3), run(goes_on)
    held = second.optimizer.param_groups[0]["lr"]
    second.state.load_bytes(first.state.to_bytes())
    rate, expected = second.optimizer.param_groups[0]["lr"], first.optimizer.param_groups[0]["lr"]
    assert isinstance(rate, torch.Tensor) is goes_on
    assert rate is held or not goes_on
    # A tensor is of float32.
    assert float(rate) == pytest.approx(float(expected), rel=2.0**-23, abs=0)
    second.step(9)


def test_a_generator_of_another_kind_of_device_stays_as_it_is():
    first, second = Run().step(2), Run()
    content = torch.load(io.BytesIO(first.state.to_bytes()), weights_only=True)
    content["rng"]["noise"] = torch.zeros(16, dtype=torch.uint8)  # as long as CUDA's
    buffer = io.BytesIO()
    torch.save(content, buffer)
    before = second.noise.get_state()
    second.state.load_bytes(buffer.getvalue())
    assert torch.equal(second.noise.get_state(), before)
    assert second.order.bit_generator.state == first.order.bit_generator.state
