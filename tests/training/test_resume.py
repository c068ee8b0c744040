"""A run that goes on from its saved state ends with the very bits of one that was never stopped."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn._support import checkpoint
from numpy_nn.training import resume
from numpy_nn.training.resume import VALUES

EPOCHS = 4
BATCH = 8
STEPS = 4  # 28 rows: the last batch is smaller


class Run:
    """A small run with everything that has a state; two made from the same arguments are alike."""

    def __init__(self, optimizer="momentum", schedule="one-cycle", batch_norm=True, seed=0, dtype=np.float32):
        rng = np.random.default_rng(seed)
        x, y = rng.random((28, 36)).astype(dtype), rng.integers(0, 3, 28)
        self.net = nn.MLP([36, 6, 5, 3], "prelu", batch_norm=batch_norm, dropout=0.3, rng=seed, dtype=dtype)
        self.optimizer = {
            "sgd": lambda p: nn.SGD(p, 0.1),
            "momentum": lambda p: nn.SGD(p, 0.1, momentum=0.9, nesterov=True),
            "adam": lambda p: nn.Adam(p, 0.01),
            "adamw": lambda p: nn.AdamW(list(p), 0.01),
            "dampened": lambda p: nn.SGD(p, 0.1, 0.9, 0.5),
            "amsgrad": lambda p: nn.Adam([{"params": p[:3], "lr": 0.02}, {"params": p[3:]}], 0.01, amsgrad=True),
            "rmsprop": lambda p: nn.RMSprop(p, 0.01, momentum=0.5),
        }[optimizer](self.net.parameters())
        cycle_momentum = optimizer != "sgd"
        self.schedule = {
            "none": lambda _: None,
            "one-cycle": lambda o: nn.OneCycleLR(o, 0.1, EPOCHS * STEPS, cycle_momentum=cycle_momentum),
            "cosine": lambda o: nn.CosineAnnealingLR(o, EPOCHS * STEPS),
            "step": lambda o: nn.StepLR(o, 5),
            "warm-up": lambda o: nn.SequentialLR(
                o, [nn.LinearLR(o, 0.1), nn.CosineAnnealingWarmRestarts(o, 3, 2), nn.StepLR(o, 2)], [3, 11]
            ),
            "plateau": lambda o: nn.ReduceLROnPlateau(o, patience=0, threshold=0.1, cooldown=1),
        }[schedule](self.optimizer)
        distortion = nn.Distortion(rotation=10.0, alpha=3.0, sigma=1.5, rng=seed + 1)
        self.loader = nn.DataLoader(x, y, BATCH, rng=seed + 2, transform=distortion)
        self.average = nn.AveragedModel(self.net, 0.9)
        self.state = nn.TrainingState(
            self.net, self.optimizer, self.loader, schedule=self.schedule, average=self.average
        )

    def fit(self, epochs, *callbacks):
        if epochs == 0:
            return self
        nn.fit(
            self.net,
            nn.CrossEntropyLoss(),
            self.optimizer,
            self.loader,
            epochs,
            schedule=self.schedule,
            schedule_each="epoch" if isinstance(self.schedule, nn.ReduceLROnPlateau) else "batch",
            history=self.state.history,
            callbacks=[nn.UpdateAverage(self.average), *callbacks],
        )
        return self


def without_seconds(state):
    """The values of a state, less the time that its epochs took."""
    values = json.loads(str(state[VALUES]))
    for epoch in values["history"]:
        del epoch["seconds"]
    return values


def assert_same_run(one, other):
    a, b = one.state.state_dict(), other.state.state_dict()
    assert a.keys() == b.keys()
    assert without_seconds(a) == without_seconds(b)
    for name in a.keys() - {VALUES}:
        assert a[name].tobytes() == b[name].tobytes(), name


@pytest.mark.slow
@pytest.mark.numerical
@given(
    optimizer=st.sampled_from(["sgd", "momentum", "adam", "adamw", "dampened", "amsgrad", "rmsprop"]),
    schedule=st.sampled_from(["none", "one-cycle", "cosine", "step", "warm-up", "plateau"]),
    batch_norm=st.booleans(),
    seed=st.integers(0, 1000),
    dtype=our.dtypes,
    stops=st.lists(st.integers(0, EPOCHS), max_size=3).map(sorted),
)
def test_stopped_and_resumed_is_never_stopped(tmp_path_factory, stops, **arguments):
    path = tmp_path_factory.mktemp("run") / "state.npz"
    whole, run = Run(**arguments).fit(EPOCHS), Run(**arguments)
    for stop in stops:
        run.fit(stop).state.save(path)
        run = Run(**arguments)
        run.state.load(path)
    run.fit(EPOCHS)
    assert [epoch.epoch for epoch in run.state.history.epochs] == [1, 2, 3, 4]
    assert_same_run(run, whole)


def test_the_callback_saves_after_every_epoch(tmp_path):
    class Stop(Exception):
        """Takes the place of a signal."""

    class StopIn(nn.Callback):
        def on_batch_end(self, progress):
            if (progress.epoch, progress.batch) == (3, 2):
                raise Stop

    path, run = tmp_path / "state.npz", Run()
    with pytest.raises(Stop):
        run.fit(EPOCHS, nn.SaveTrainingState(run.state, path), StopIn())
    resumed = Run()
    resumed.state.load(path)
    assert len(resumed.state.history.epochs) == 2
    assert_same_run(resumed.fit(EPOCHS), Run().fit(EPOCHS))


def test_the_callback_wants_the_history_that_it_saves(tmp_path):
    run = Run(schedule="none")
    save = nn.SaveTrainingState(run.state, tmp_path / "state.npz")
    with pytest.raises(ValueError, match=r"history=state\.history"):
        nn.fit(run.net, nn.CrossEntropyLoss(), run.optimizer, run.loader, 1, callbacks=[save])


@pytest.mark.parametrize("kind", ["PCG64", "MT19937", "Philox", "SFC64", "PCG64DXSM"])
def test_every_generator_of_numpy_goes_on_where_it_was(kind):
    def make(seed):
        rng = np.random.Generator(getattr(np.random, kind)(seed))
        net = nn.MLP([2, 2], rng=0)
        return rng, nn.TrainingState(net, nn.SGD(net.parameters(), 0.1), rngs={"mine": rng})

    rng, state = make(1)
    rng.random(5, dtype=np.float32)  # an odd number: half of a draw is kept for the next
    saved = state.state_dict()
    expected = rng.random(9, dtype=np.float32)
    other, other_state = make(2)
    other_state.load_state_dict(saved)
    np.testing.assert_array_equal(other.random(9, dtype=np.float32), expected)


def changed(state, **values):
    return state | {VALUES: np.array(json.dumps(json.loads(str(state[VALUES])) | values))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {n: a for n, a in s.items() if n != "net.0.weight"}, r"net\.0\.weight is missing"),
        (lambda s: s | {"net.9.weight": np.zeros(2)}, r"net\.9\.weight is unexpected"),
        (lambda s: {n: a for n, a in s.items() if n != VALUES}, "values: expected a text, got none"),
        (lambda s: s | {VALUES: np.zeros(2)}, "values: expected a text, got float64"),
        (lambda s: s | {VALUES: np.array("{")}, "Expecting"),
        (lambda s: s | {VALUES: np.array("[]")}, "expected an object, got list"),
        (lambda s: s | {VALUES: np.array("{}")}, "not those of a training state"),
        (lambda s: changed(s, history=[{"epoch": 1}]), "not those of a training state"),
        (lambda s: changed(s, rng={}), r"rng: expected batches\.rng, .* got none"),
        (lambda s: changed(s, settings=3), "settings: expected average, group 0, optimizer, schedule, got 3"),
        (
            lambda s: changed(s, rng={name: {} for name in json.loads(str(s[VALUES]))["rng"]}),
            "expected a state of PCG64",
        ),
    ],
)
def test_a_foreign_state_is_refused_and_nothing_is_changed(change, message):
    run = Run().fit(1)
    before = run.state.state_dict()
    with pytest.raises(ValueError, match=message):
        run.state.load_state_dict(change(Run().fit(2).state.state_dict()))
    assert without_seconds(run.state.state_dict()) == without_seconds(before)
    for name in before.keys() - {VALUES}:
        np.testing.assert_array_equal(run.state.state_dict()[name], before[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adam"}, "sum is unexpected"),
        ({"schedule": "cosine"}, "schedule: expected "),
        (
            {"schedule": "none"},
            "settings: expected average, group 0, optimizer, schedule, got average, group 0, optimizer",
        ),
        ({"batch_norm": False}, "missing"),
        ({"dtype": np.float64}, "expected float32, got float64"),
    ],
)
def test_a_state_of_another_run_is_refused(arguments, message, tmp_path):
    path = tmp_path / "state.npz"
    Run(**arguments).state.save(path)
    with pytest.raises(ValueError, match=rf"state\.npz: .*{message}"):
        Run().state.load(path)


def test_an_optimizer_of_another_kind_with_the_same_settings_is_refused():
    net = nn.MLP([2, 2], rng=0)
    saved = nn.TrainingState(net, nn.AdamW(net.parameters())).state_dict()
    with pytest.raises(ValueError, match="optimizer: expected that of Adam, got AdamW"):
        nn.TrainingState(net, nn.Adam(net.parameters())).load_state_dict(saved)


def test_settings_are_those_of_then():
    run = Run(schedule="none")
    run.optimizer.lr = 0.5
    saved, other = run.state.state_dict(), Run(schedule="none")
    other.state.load_state_dict(saved)
    assert other.optimizer.lr == 0.5


def test_the_file_is_a_checkpoint_without_pickle(tmp_path):
    run = Run()
    run.state.save(tmp_path / "state.npz")
    state = checkpoint.read(tmp_path / "state.npz")
    assert state["net.0.weight"].shape == (36, 6)
    assert state["optimizer.0.momentum_buffer"].shape == (run.net.parameters().size,)
    assert json.loads(str(state[VALUES]))["rng"]["batches.rng"]["bit_generator"] == "PCG64"


def test_the_schedules_in_a_schedule_have_names_at_any_depth_and_settings_are_plain_numbers():
    optimizer = nn.SGD(nn.MLP([2, 1], rng=0).parameters(), 0.1)
    inner = nn.SequentialLR(optimizer, [nn.StepLR(optimizer, 1), nn.StepLR(optimizer, 2)], [2])
    outer = nn.SequentialLR(optimizer, [nn.StepLR(optimizer, 3), inner], [5])
    found = dict(resume._inner_schedules("schedule", outer))
    assert list(found) == ["schedule.0", "schedule.1", "schedule.1.0", "schedule.1.1"]
    assert found["schedule.1"] is inner
    assert list(resume._inner_schedules("schedule", inner.schedulers[0])) == []
    part = SimpleNamespace(lr=np.float32(0.5), n=np.int64(3), name="a", _own=1, array=np.ones(2))
    settings = resume._settings(part)
    assert settings == {"type": "SimpleNamespace", "lr": 0.5, "n": 3, "name": "a"}
    assert (type(settings["lr"]), type(settings["n"])) == (float, int)
