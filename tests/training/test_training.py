"""The loop over epochs: it learns, counts rightly, leaves modes and seeds alone, and tells its callbacks."""

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn._support import checked_json
from numpy_nn.training import Epoch, Progress, loop, train_epoch


def problem(seed=0, dtype=np.float32, n=60):
    """A network with dropout and batch norm, spirals, and what is needed to train on them."""
    x, y = nn.datasets.spirals(n, rng=seed, dtype=dtype)
    net = nn.MLP([2, 8, 3], "tanh", batch_norm=True, dropout=0.2, rng=seed, dtype=dtype)
    return net, nn.SGD(net.parameters(), 0.1, 0.9), nn.DataLoader(x, y, 16, rng=seed), (x, y)


@pytest.mark.parametrize("seed", range(5))
def test_an_mlp_learns_xor(seed):
    x, y = nn.datasets.xor(signed=False)
    net = nn.MLP([2, 8, 2], "tanh", rng=seed)
    history = nn.fit(net, nn.CrossEntropyLoss(), nn.Adam(net.parameters(), 0.05), nn.DataLoader(x, y, 4, rng=seed), 300)
    np.testing.assert_array_equal(net.predict(x).argmax(axis=1), y)
    assert history.epochs[-1].train_accuracy == 1.0
    assert history.epochs[-1].train_loss < 0.05 < history.epochs[0].train_loss


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), nn.PerceptronLoss(), nn.MSELoss()])
def test_every_loss_learns_the_moons(loss):
    x, labels = nn.datasets.moons(200, 0.1, rng=0)
    sign = (2 * labels - 1).astype(np.float32)[:, None]
    y = (sign + 1) / 2 if isinstance(loss, nn.BCEWithLogitsLoss) else sign
    net = nn.MLP([2, 16, 1], "relu", rng=0)
    loader = nn.DataLoader(x, y, 20, rng=0)
    history = nn.fit(net, loss, nn.Adam(net.parameters(), 0.01), loader, 150, test=(x, y))
    assert np.mean((net.predict(x) > 0) == (sign > 0)) > 0.97
    accuracy = history.epochs[-1].test_accuracy
    assert accuracy is None if isinstance(loss, nn.MSELoss) else accuracy is not None and accuracy > 0.97


@given(seed=our.seeds, reduction=st.sampled_from(["mean", "sum"]))
def test_training_figures_are_the_means_over_the_epochs_rows(seed, reduction):
    net, _, loader, _ = problem(seed, np.float64)
    loss, optimizer = nn.CrossEntropyLoss(reduction=reduction), nn.SGD(net.parameters(), 1e-3)
    by_hand, again = copy.deepcopy(net), copy.deepcopy(loader)
    epoch = nn.fit(net, loss, optimizer, loader, 1).epochs[0]

    terms, correct, single = [], [], nn.CrossEntropyLoss(reduction="none")
    optimizer = nn.SGD(by_hand.parameters(), 1e-3)
    for x, y in again:
        output = by_hand(x)
        terms += single(output, y).tolist()
        correct += (output.argmax(axis=1) == y).tolist()
        loss(output, y)
        by_hand.backward(loss.backward())
        optimizer.step()
    # Sixty terms, added in two orders.
    assert epoch.train_loss == pytest.approx(np.mean(terms), rel=120 * 2**-53)
    assert epoch.train_accuracy == np.mean(correct)
    np.testing.assert_array_equal(net.parameters().data, by_hand.parameters().data)


@given(seed=our.seeds, batch_size=st.integers(1, 80))
def test_evaluate_is_evaluation_mode_on_all_rows_and_disturbs_nothing(seed, batch_size):
    net, _, _, (x, y) = problem(seed, np.float64)
    net(x)
    modes, state = [layer.training for layer in net.modules()], net.state_dict()
    loss = nn.CrossEntropyLoss()
    metrics = nn.evaluate(net, loss, x, y, batch_size)
    assert [layer.training for layer in net.modules()] == modes
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    # The same rows in batches of another size: a few roundings in each of the layers, then a sum of sixty terms.
    assert metrics.loss == pytest.approx(loss(net.predict(x), y), rel=1e-12)
    assert metrics.accuracy == np.mean(net.predict(x).argmax(axis=1) == y)


@pytest.mark.parametrize("shape", [(1,), (5,), (1, 2), (3, 2), (2, 2, 2)])
def test_evaluate_takes_rows_of_any_shape_and_one_row_too(shape):
    rng, loss = np.random.default_rng(0), nn.MSELoss()
    x, y = rng.standard_normal((2, *shape))
    metrics = nn.evaluate(nn.Sequential(nn.ReLU()), loss, x, y, 2)
    assert metrics.loss == pytest.approx(np.mean((np.maximum(x, 0) - y) ** 2), rel=1e-14)
    assert metrics.accuracy is None


def test_the_seconds_of_an_epoch_are_those_of_its_steps(monkeypatch):
    class Slow(nn.Callback):
        """Each step takes a second, and what is done after an epoch a hundred."""

        now = 10.0

        def on_batch_end(self, _):
            self.now += 1.0

        def on_epoch_end(self, _):
            self.now += 100.0

    (net, optimizer, loader, test), slow = problem(), Slow()
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: slow.now))
    history = nn.fit(net, nn.CrossEntropyLoss(), optimizer, loader, 3, test=test, callbacks=[slow])
    assert [epoch.seconds for epoch in history.epochs] == [float(len(loader))] * 3


@given(seed=our.seeds)
def test_testing_after_each_epoch_changes_no_bit_of_the_training(seed):
    results = []
    for test in (None, problem(seed)[3]):
        net, optimizer, loader, _ = problem(seed)
        history = nn.fit(net, nn.CrossEntropyLoss(), optimizer, loader, 2, test=test)
        assert all((epoch.test_loss is None) == (test is None) for epoch in history.epochs)
        results.append(net.state_dict())
    for name, array in results[0].items():
        np.testing.assert_array_equal(array, results[1][name])


@pytest.mark.parametrize(("each", "steps"), [("epoch", 1), ("batch", 4)])
def test_a_schedule_is_stepped_each_epoch_or_each_batch(each, steps):
    net, optimizer, loader, _ = problem()
    schedule = nn.StepLR(optimizer, 1, 0.5)
    history = nn.fit(net, nn.CrossEntropyLoss(), optimizer, loader, 3, schedule=schedule, schedule_each=each)
    assert [epoch.lr for epoch in history.epochs] == [0.1 * 0.5 ** (steps * i) for i in range(3)]
    assert schedule.t == 3 * steps


class Recorder(nn.Callback):
    """Writes down what it is told, and stops at a given batch."""

    def __init__(self, stop_at=None):
        self.seen, self.stop_at = [], stop_at

    def on_batch_end(self, progress: Progress, /) -> None:
        self.seen.append((progress.epoch, progress.batch))
        assert np.isfinite(progress.loss)
        assert (progress.epochs, progress.batches) == (3, 4)
        progress.stop = self.seen[-1] == self.stop_at

    def on_epoch_end(self, progress: Progress, /) -> None:
        self.seen.append(progress.epoch)
        assert len(progress.history.epochs) == progress.epoch


def test_callbacks_are_told_each_batch_and_each_epoch_in_order():
    net, optimizer, loader, _ = problem()
    recorder = Recorder()
    nn.fit(net, nn.CrossEntropyLoss(), optimizer, loader, 3, callbacks=[nn.Callback(), recorder])
    assert recorder.seen == [seen for e in (1, 2, 3) for seen in [*((e, b) for b in (1, 2, 3, 4)), e]]


def test_epochs_one_by_one_are_those_of_fit_to_the_last_bit():
    def made():
        net, optimizer, loader, _ = problem()
        return net, nn.CrossEntropyLoss(), loader, optimizer, nn.StepLR(optimizer, 3)

    net, loss, loader, optimizer, schedule = made()
    history = nn.fit(net, loss, optimizer, loader, 3, schedule=schedule, schedule_each="batch", callbacks=[Recorder()])
    other, loss, loader, optimizer, schedule = made()
    recorder, progress = Recorder(), Progress(other, optimizer, nn.History(), 3, len(loader))
    for progress.epoch in (1, 2, 3):
        metrics = train_epoch(progress, loss, loader, schedule, [recorder])
        fitted = history.epochs[progress.epoch - 1]
        assert metrics == (fitted.train_loss, fitted.train_accuracy)
    np.testing.assert_array_equal(other.parameters().data, net.parameters().data)
    assert recorder.seen == [(epoch, batch) for epoch in (1, 2, 3) for batch in (1, 2, 3, 4)]


def test_a_callback_can_stop_the_training():
    net, optimizer, loader, _ = problem()
    recorder = Recorder(stop_at=(2, 3))
    history = nn.fit(net, nn.CrossEntropyLoss(), optimizer, loader, 3, callbacks=[recorder])
    assert recorder.seen[-2:] == [(2, 3), 2]
    assert [epoch.epoch for epoch in history.epochs] == [1, 2]


def test_checkpoints_are_saved_each_epoch(tmp_path):
    net, optimizer, loader, _ = problem()
    nn.fit(net, nn.CrossEntropyLoss(), optimizer, loader, 2, callbacks=[nn.SaveCheckpoint(tmp_path / "net.npz")])
    other = problem(1)[0]
    other.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(other.parameters().data, net.parameters().data)


@our.fewer(0.4)
@given(rows=st.lists(st.builds(Epoch, *[st.integers(1, 9)] + [st.floats(allow_nan=False)] * 6), max_size=4))
def test_a_history_is_read_back_as_written(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("history") / "history.json"
    nn.History(rows).save(path)
    assert nn.History.load(path) == nn.History(rows)
    assert len(json.loads(path.read_text())["epochs"]) == len(rows)


@pytest.mark.parametrize("content", [{}, {"epochs": [{"epoch": 1}]}, {"epochs": [1]}, {"epochs": None}])
def test_what_is_no_history_is_refused_by_name(content, tmp_path):
    checked_json.write(tmp_path / "odd.json", content)
    with pytest.raises(ValueError, match=r"odd\.json: not a history"):
        nn.History.load(tmp_path / "odd.json")


def fit(**changes):
    net, optimizer, loader, _ = problem()
    arguments = {"net": net, "loss": nn.CrossEntropyLoss(), "optimizer": optimizer, "batches": loader, "epochs": 1}
    return nn.fit(**(arguments | changes))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fit(loss=nn.CrossEntropyLoss(reduction="none")), ValueError, "training needs one number"),
        (lambda: fit(epochs=0), ValueError, "epochs: expected an integer >= 1"),
        (lambda: fit(epochs=1.5), TypeError, "epochs: expected an integer"),
        (lambda: fit(schedule_each="step"), ValueError, "schedule_each: expected one of 'epoch', 'batch'"),
        (lambda: nn.evaluate(problem()[0], nn.MSELoss("none"), [], []), ValueError, "training needs one number"),
        (lambda: nn.evaluate(problem()[0], nn.MSELoss(), np.ones((2, 2)), np.ones(3)), ValueError, "equally many rows"),
        (lambda: nn.evaluate(problem()[0], nn.MSELoss(), np.ones((0, 2)), np.ones(0)), ValueError, "at least one"),
        (lambda: nn.evaluate(problem()[0], nn.MSELoss(), np.ones(()), np.ones(2)), ValueError, "equally many rows"),
        (lambda: nn.evaluate(problem()[0], nn.MSELoss(), np.ones((2, 2)), np.ones(())), ValueError, "equally many"),
        (lambda: nn.evaluate(problem()[0], nn.MSELoss(), np.ones((2, 2)), np.ones(2), 0), ValueError, "batch_size"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("with_test", [False, True])
def test_a_plateau_gets_the_loss_of_each_epoch(with_test):
    x, y = nn.datasets.spirals(30, rng=0)
    net = nn.MLP([2, 4, 3], rng=0)
    optimizer = nn.SGD(net.parameters(), 0.1)
    seen = []

    class Watched(nn.ReduceLROnPlateau):
        def step(self, metrics):
            seen.append(metrics)
            super().step(metrics)

    # No loss gets so small: the first epoch is the best, and each one after it halves the rate for the next.
    schedule = Watched(optimizer, factor=0.5, patience=0, threshold=10.0, threshold_mode="abs")
    test = (x, y) if with_test else None
    batches = nn.DataLoader(x, y, 16, rng=0)
    history = nn.fit(net, nn.CrossEntropyLoss(), optimizer, batches, 3, test=test, schedule=schedule)
    assert seen == [epoch.test_loss if with_test else epoch.train_loss for epoch in history.epochs]
    assert [epoch.lr for epoch in history.epochs] == [0.1, 0.1, 0.05]
    with pytest.raises(ValueError, match='schedule_each: expected "epoch" with ReduceLROnPlateau'):
        nn.fit(net, nn.CrossEntropyLoss(), optimizer, batches, 3, schedule=schedule, schedule_each="batch")


@pytest.mark.parametrize("batch_size", [7, 40])
def test_a_mean_over_batches_is_that_over_all_rows_also_where_rows_are_weighed_or_left_out(batch_size):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 3)), rng.integers(0, 3, 40)
    net = nn.MLP([3, 3], rng=0, dtype=np.float64)
    loss = nn.CrossEntropyLoss(np.array([0.2, 1.0, 3.0]), ignore_index=1)
    found = nn.evaluate(net, loss, x, y, batch_size)
    # Of 40 rows the sums are another order of the same terms.
    assert found.loss == pytest.approx(loss(net(x), y), rel=200 * 2**-53)
    counts = y != 1
    assert found.accuracy == np.mean(net(x).argmax(axis=1)[counts] == y[counts])
    score = nn.GradientAccumulation(40 // batch_size)(net, loss, x, y)
    assert score.loss == pytest.approx(found.loss, rel=200 * 2**-53)
    summed = net.parameters().grad.copy()
    loss(net(x), y)
    net.backward(loss.backward())
    np.testing.assert_allclose(summed, net.parameters().grad, rtol=0, atol=1e3 * 2**-53)


def test_batches_of_which_no_row_counts_change_nothing():
    x, y = np.random.default_rng(0).standard_normal((6, 3)), np.array([0, 1, -100, -100, 2, 0])
    net, loss = nn.MLP([3, 3], rng=0, dtype=np.float64), nn.CrossEntropyLoss()
    found = [nn.evaluate(net, loss, x, y, n) for n in (1, 2, 6)]
    assert [metrics.loss for metrics in found] == pytest.approx([found[2].loss] * 3, rel=50 * 2**-53)
    assert len({metrics.accuracy for metrics in found}) == 1
    score = nn.GradientAccumulation(6)(net, loss, x, y)
    assert score.loss == pytest.approx(found[2].loss, rel=50 * 2**-53)
    assert np.isfinite(net.parameters().grad).all()
    nn.fit(net, loss, nn.SGD(net.parameters(), 0.1), nn.DataLoader(x, y, 1, rng=0), 1)
    assert np.isnan(nn.evaluate(net, loss, x[2:4], y[2:4]).loss)


def test_accuracy_is_a_share_of_the_entries_where_each_is_classified_by_itself():
    x = np.random.default_rng(0).standard_normal((6, 4))
    net, y = nn.MLP([4, 3], rng=0, dtype=np.float64), np.ones((6, 3))
    accuracy = nn.evaluate(net, nn.BCEWithLogitsLoss(), x, y).accuracy
    assert accuracy == np.mean(net(x) > 0)


def test_no_batches_are_refused():
    net = nn.MLP([3, 2], rng=0)
    with pytest.raises(ValueError, match="batches: expected at least one, got none"):
        nn.fit(net, nn.MSELoss(), nn.SGD(net.parameters(), 0.1), [], 1)


class Scored(nn.MSELoss):
    """Regression that counts what is near enough as right."""

    def score(self, output, target):
        near = int(np.count_nonzero(np.abs(output - target) < 1e9))
        return super().score(output, target)._replace(correct=near)


def test_a_score_of_ones_own_counts_in_training_too():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 2)).astype(np.float32), np.zeros((6, 1), np.float32)
    net = nn.MLP([2, 1], rng=0)
    history = nn.fit(net, Scored(), nn.SGD(net.parameters(), lr=0.01), nn.DataLoader(x, y, 3), 1, test=(x, y))
    assert (history.epochs[0].train_accuracy, history.epochs[0].test_accuracy) == (1.0, 1.0)
