"""All that a GPU reaches, on fake CUDA tensors: nothing on two devices meets, and no step waits or copies.

These run where there is no GPU, and say nothing about numbers: ``make gpu-check`` does, where there is one.
"""

import io
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import needs
import numpy as np
import pytest
import torch
from fake_gpu import CUDA, Generator, MixedDevices, devices, fake_gpu, images, needs_cuda_build
from torch._subclasses.fake_tensor import FakeTensorMode

import numpy_nn as nn
from scripts.mnist.arguments import parse
from scripts.mnist.machines import Alone
from scripts.mnist.presets import PRESETS
from scripts.mnist.recipe import prepare
from scripts.mnist.torch_trainer import TorchTrainer
from torch_ref import (
    ScratchMLP,
    TorchPerceptron,
    concise_mlp,
    from_torch,
    loss_to_torch,
    optimizer_to_torch,
    parity,
    to_torch,
)
from torch_ref.augment import Distortion
from torch_ref.resume import TrainingState
from torch_ref.training import GraphedStep, evaluate, make_step, resident_batches, train_epoch
from torch_ref.twin import COUNTERPARTS

pytestmark = needs_cuda_build

ROWS, BATCH = 70, 32  # the last batch is smaller


MIXTURES = {
    "a sum": lambda: torch.ones(3, device=CUDA) + torch.ones(3),
    "a sum with an array": lambda: torch.ones(3, device=CUDA) + torch.from_numpy(np.ones(3)),
    "two GPUs": lambda: torch.ones(3, device=CUDA) + torch.ones(3, device="cuda:1"),
    "a layer": lambda: torch.nn.Linear(2, 2)(torch.ones(1, 2, device=CUDA)),
    "an index on the CPU": lambda: torch.ones(3, device=CUDA)[torch.tensor([0, 1])],
    "an index on the GPU": lambda: torch.ones(3)[torch.tensor([0, 1], device=CUDA)],
    "a generator on the CPU": lambda: torch.rand(3, device=CUDA, generator=torch.Generator()),
    "a generator on the GPU": lambda: torch.empty(3).uniform_(generator=torch.Generator("cuda")),
}


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("mixture", MIXTURES)
def test_a_mixture_of_devices_is_refused(mixture):
    with pytest.raises((MixedDevices, RuntimeError), match=r"cpu|cuda:1"):
        MIXTURES[mixture]()


def test_what_the_host_waits_for_and_what_is_copied_is_counted(gpu):
    x = torch.ones(3, device=CUDA)
    assert (gpu.waits, gpu.copies) == (0, 0)
    x.sum().item()
    bool(x.sum() > 0)
    x.cpu()
    assert (gpu.waits, gpu.copies) == (3, 0)
    torch.from_numpy(np.ones(3)).to(CUDA)
    x.copy_(torch.ones(3))
    assert (gpu.waits, gpu.copies) == (3, 2)


def examples():
    """A layer of every kind that has a counterpart."""
    made = {
        nn.Linear: nn.Linear(4, 4, rng=0),
        nn.BatchNorm1d: nn.BatchNorm1d(4),
        nn.LayerNorm: nn.LayerNorm(4),
        nn.PReLU: nn.PReLU(4),
        nn.Dropout: nn.Dropout(0.5, rng=0),
    }
    return [made[ours] if ours in made else ours() for ours, _, _ in COUNTERPARTS]


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("layer", examples(), ids=lambda layer: type(layer).__name__)
def test_the_twin_of_every_layer_is_made_on_the_device(layer):
    twin = to_torch(layer, "cuda")
    output = twin(torch.ones(3, 4, device=CUDA))
    assert devices(output, twin) == {CUDA}
    assert type(from_torch(twin)) is type(layer)


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss, nn.PerceptronLoss])
def test_a_loss_takes_output_and_target_on_the_device(loss, reduction):
    output = torch.zeros(3, 4, device=CUDA)
    target = torch.zeros(3, dtype=torch.int64) if loss is nn.CrossEntropyLoss else torch.zeros(3, 4)
    theirs = loss_to_torch(loss(reduction=reduction))
    assert theirs(output, target.to(CUDA)).device == CUDA
    with pytest.raises(RuntimeError, match="cpu"):
        theirs(output, target)


@pytest.mark.slow
@pytest.mark.usefixtures("gpu")
def test_the_tutorials_models_train_on_the_device():
    with torch.device(CUDA):
        x, labels, signs = torch.ones(3, 4), torch.zeros(3, dtype=torch.int64), torch.ones(3)
        perceptron, models = TorchPerceptron(4), (ScratchMLP(4, 5, 3), concise_mlp(4, 5, 3))
    perceptron.fit(x, signs, max_epochs=2)
    for model in models:
        train_epoch(model, torch.nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.1), [(x, labels)])
    assert devices(perceptron, *models) == {CUDA}


@pytest.mark.slow
@pytest.mark.usefixtures("gpu")
def test_parity_compares_on_the_device():
    net, rng = nn.MLP([4, 5, 3], "prelu", batch_norm=True, dropout=0.5, rng=0), np.random.default_rng(0)
    x, labels = rng.random((6, 4), np.float32), rng.integers(0, 3, 6)
    for optimizer in (nn.SGD(net.parameters(), 0.1, 0.9), nn.Adam(net.parameters(), 0.1)):
        report = parity(net, x, labels, nn.CrossEntropyLoss(), optimizer, device="cuda")
        assert {"loss", "network input gradient"} <= {row.quantity for row in report.rows}


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam, nn.AdamW])
@pytest.mark.parametrize("options", [{}, {"fused": True}, {"fused": True, "tensor_lr": True}])
def test_an_optimizer_keeps_its_state_and_its_rate_on_the_device(kind, options, gpu):
    net = nn.MLP([4, 3], rng=0)
    ours = nn.SGD(net.parameters(), 0.1, 0.9) if kind is nn.SGD else kind(net.parameters(), 0.1)
    twin = to_torch(net, "cuda")
    theirs = optimizer_to_torch(ours, twin, **options)
    schedule = torch.optim.lr_scheduler.OneCycleLR(theirs, 0.1, 10, cycle_momentum=False)
    before = gpu.waits, gpu.copies
    for _ in range(3):
        torch.nn.functional.cross_entropy(twin(torch.ones(2, 4, device=CUDA)), labels_on_the_device()).backward()
        theirs.step()
        schedule.step()
    # The rate of a fused kernel, and the count of steps of Adam's, are read from the device; others know the numbers.
    assert (gpu.waits, gpu.copies) == before
    rate = theirs.param_groups[0]["lr"]
    assert isinstance(rate, torch.Tensor) is ("tensor_lr" in options)
    state = {name: t for s in theirs.state.values() for name, t in s.items() if isinstance(t, torch.Tensor)}
    counted = state.pop("step", None)
    assert devices(*state.values(), *([rate] if "tensor_lr" in options else [])) <= {CUDA}
    assert counted is None or counted.device.type == ("cuda" if options else "cpu")


def labels_on_the_device(n=2):
    return torch.zeros(n, dtype=torch.int64, device=CUDA)


def trainer(*options):
    """PyTorch as train_mnist has it on a GPU, with a small network."""
    small = ["--device", "cuda", "--engine", "torch", "--batch-size", str(BATCH), "--threads", "1", "--epochs", "9"]
    parsed = parse([*options, *small, "--hidden", "8,8"], "")
    return TorchTrainer(parsed.recipe, parsed.place, prepare(images(ROWS), parsed.recipe), Alone())


OPTIONS = [
    *(f"--preset {name}" for name in PRESETS),
    "--fused --optimizer nesterov --schedule one-cycle --warm-up 0.4",
    "--fused --optimizer adamw",
    "--optimizer adam --weight-decay 0.1",
    "--amp --adversarial 1 --batch-norm",
    "--dropout 0.5 --input-dropout 0.2 --activation prelu",
    "--clip-norm 1 --max-norm 1 --average 0.9 --batch-norm",
    "--rotation 10 --standardize --held-out 20",
    "--dtype float64 --alpha 20",
]


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS)
def test_a_run_stays_on_the_device_and_waits_only_at_the_end_of_an_epoch(options, gpu):
    made = trainer(*options.split())
    assert devices(made.model, made.judged, *made.test) == {CUDA}
    made.train_epoch(1, lambda: None)
    gpu.waits = gpu.copies = 0
    made.train_epoch(1, lambda: None)
    # The loss, twice, the accuracy and whether the parameters are finite; the order of the rows.
    assert (gpu.waits, gpu.copies) == (4, 1)
    gpu.waits = gpu.copies = 0
    made.evaluate()
    assert (gpu.waits, gpu.copies) == (2, 0)
    assert devices(made.model, made.judged) == {CUDA}
    assert all(array.dtype in (np.float32, np.float64) for array in made.parameters().values())


@needs.torchvision
@pytest.mark.slow
@pytest.mark.usefixtures("mnist")
def test_the_tutorials_loader_feeds_the_device(gpu):
    from torch_ref.data import mnist_loader, mnist_tensors

    x, y, x_test, y_test = mnist_tensors(device="cuda")
    assert devices(x, y, x_test, y_test) == {CUDA}
    model = concise_mlp_on_the_device()
    gpu.copies = 0
    train_epoch(
        model,
        torch.nn.CrossEntropyLoss(),
        torch.optim.SGD(model.parameters(), lr=0.1),
        mnist_loader(batches=[[0, 1], [2]]),
    )
    assert gpu.copies == 4  # images and labels of each batch, which is what the tutorial's way costs


def concise_mlp_on_the_device():
    with torch.device(CUDA):
        return concise_mlp(784, 5, 10)


@pytest.mark.slow
def test_more_batches_are_no_more_waiting(gpu):
    model = concise_mlp_on_the_device()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.zeros(64, 784, device=CUDA), labels_on_the_device(64)
    counts = []
    for size in (64, 16, 4):
        rows = nn.DataLoader(np.zeros((64, 1)), np.zeros(64), size, rng=0).indices()
        gpu.waits = gpu.copies = 0
        train_epoch(model, torch.nn.CrossEntropyLoss(), optimizer, resident_batches(x, y, rows))
        evaluate(model, torch.nn.CrossEntropyLoss(), x, y, size)
        counts.append((gpu.waits, gpu.copies))
    assert len(set(counts)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_divergence_is_told_from_the_device(number, gpu):
    made = trainer("--batch-norm", "--dropout", "0.5")
    gpu.number = number
    with pytest.raises(nn.Divergence, match="epoch 1, steps 1 to 3"):
        made.train_epoch(1, lambda: None)


@pytest.mark.slow
@pytest.mark.parametrize("rng", [0, None, "cuda", "cuda:0"])
def test_images_are_distorted_on_the_generators_device_with_or_without_an_index(rng, gpu):
    made = Generator(rng) if isinstance(rng, str) else rng
    distort = Distortion(rotation=5.0, alpha=20.0, fill=-0.4, rng=made, device="cuda")
    gpu.waits = gpu.copies = 0
    for _ in range(2):
        assert distort(torch.zeros(4, 784, device=CUDA)).device == CUDA
    # The coordinates of the pixels, what is added to them and the Gaussian, once.
    assert (gpu.waits, gpu.copies) == (0, 3)
    for elsewhere in ("cpu", "cuda:1"):
        with pytest.raises(ValueError, match=f"images: expected a tensor on cuda:0, .* got one on {elsewhere}"):
            distort(torch.zeros(4, 784, device=elsewhere))


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(("rng", "device"), [("cuda:1", "cuda:0"), ("cpu", "cuda"), ("cuda", "cpu")])
def test_another_device_than_the_generators_is_refused(rng, device):
    with pytest.raises(ValueError, match=f"device: expected that of rng, {rng}, got {device}"):
        Distortion(rng=Generator(rng), device=device)


def state_of(model, optimizer):
    """The state of a run with what else it is made of."""
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 10, cycle_momentum=False)
    noise = torch.Generator(next(model.parameters()).device.type)
    return TrainingState(model, optimizer, schedule=schedule, rngs={"noise": noise}), noise


def net_and_optimizer():
    net = nn.MLP([4, 5, 3], batch_norm=True, rng=0)
    return net, nn.Adam(net.parameters(), 0.1)


def with_generators_of_cuda(content):
    """The same state, as a run on CUDA would have saved it."""
    state = torch.load(io.BytesIO(content), weights_only=True)
    state["rng"] = dict.fromkeys(("noise", "torch", "cuda"), torch.zeros(16, dtype=torch.uint8))
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("saved_on", ["cpu", "cuda"])
def test_a_saved_state_goes_on_on_the_device(saved_on):
    net, ours = net_and_optimizer()
    model = to_torch(net)
    theirs = optimizer_to_torch(ours, model, fused=True)
    torch.nn.functional.cross_entropy(model(torch.zeros(2, 4)), torch.tensor([0, 1])).backward()
    theirs.step()
    content = state_of(model, theirs)[0].to_bytes()
    if saved_on == "cuda":
        content = with_generators_of_cuda(content)
    with fake_gpu():
        model = to_torch(net, "cuda")
        theirs = optimizer_to_torch(ours, model, fused=True, tensor_lr=True)
        rate = theirs.param_groups[0]["lr"]
        state, noise = state_of(model, theirs)
        state.load_bytes(content)
        tensors = [t for s in theirs.state.values() for t in s.values()]
        assert theirs.param_groups[0]["lr"] is rate
        assert devices(model, rate, *tensors) == {CUDA}
        # A state of the CPU's is longer than one of CUDA's, and of no use there; CUDA's comes as bytes on the CPU.
        generators: Any = torch.cuda.default_generators
        assert [len(generator.states) for generator in (noise, generators[0])] == 2 * [saved_on == "cuda"]


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("name", ["cuda:0", "cuda:1"])
def test_the_generators_of_the_models_own_device_are_saved_as_bytes_on_the_cpu(name):
    net, ours = net_and_optimizer()
    model = to_torch(net, name)
    state, noise = state_of(model, optimizer_to_torch(ours, model))
    # torch.save does not write fake tensors; what the host keeps of the generators is no fake.
    saved = {key: rng.get_state() for key, rng in state._rngs.items()}
    assert saved.keys() == {"noise", "torch", "cuda"}
    assert state._rngs["cuda"] is torch.cuda.default_generators[int(name[-1])]
    assert devices(*saved.values()) == {torch.device("cpu")}
    assert noise.device.index is None


class Captures:
    """Stands for CUDA's graphs: keeps the devices of the streams, and replays nothing."""

    def __init__(self, monkeypatch):
        self.streams, self.captured_on = [], []
        monkeypatch.setattr(torch.cuda, "Stream", self.stream)
        monkeypatch.setattr(torch.cuda, "current_stream", self.stream)
        monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: None))
        monkeypatch.setattr(torch.cuda, "graph", self.graph)

    def stream(self, device=None):
        self.streams.append(device)
        return SimpleNamespace(device=device, wait_stream=lambda _: None)

    def graph(self, _, stream):
        self.captured_on.append(stream.device)
        return nullcontext()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cuda:0", "cuda:1"])
@pytest.mark.parametrize("options", [{}, {"amp": True}, {"adversarial": 1.0}, {"clip_grad_norm": 1.0}])
def test_a_step_is_captured_on_the_models_device_and_asks_the_host_for_nothing(name, options, gpu, monkeypatch):
    captures, device = Captures(monkeypatch), torch.device(name)
    net = nn.MLP([4, 5, 3], dropout=0.5, rng=0)
    model = to_torch(net, device)
    optimizer = optimizer_to_torch(nn.SGD(net.parameters(), 0.1, 0.9), model, fused=True, tensor_lr=True)
    step = make_step(model, torch.nn.CrossEntropyLoss(label_smoothing=0.1), optimizer, graph=True, **options)
    assert isinstance(step, GraphedStep)
    gpu.waits = gpu.copies = 0
    for n in (4, 4, 2):
        value, right = step(torch.zeros(n, 4, device=device), torch.zeros(n, dtype=torch.int64, device=device))
        assert devices(value, right) == {device}
    assert (gpu.waits, gpu.copies) == (0, 0)
    assert set(captures.streams) == {device}
    assert captures.captured_on == [device, device]  # once for each shape
    generators: Any = torch.cuda.default_generators
    # What dropout drew in the warm-up is forgotten, on this device alone.
    assert [len(generator.states) for generator in generators] == [2 * (i == device.index) for i in range(2)]


def test_nothing_of_the_fakes_is_left_behind():
    assert not torch.cuda.is_available() or torch.cuda.device_count()
    assert type(torch.ones(1)) is torch.Tensor
    assert not isinstance(torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE), FakeTensorMode)
    assert torch.ones(1).numpy() == 1.0
    assert not isinstance(torch.Generator(), Generator)
