"""Early stopping: when it ends a run, what it gives back, and that a stopped run goes on as if it never was."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn.training.loop import Epoch, Progress


def epochs_of(stopping, values, epochs=None):
    """Show the callback a run whose weight in epoch e is e; returns the weight that it ends with, and its epochs."""
    net = nn.Sequential(nn.Linear(1, 1, bias=False, rng=0))
    history = nn.History()
    progress = Progress(net, nn.SGD(net.parameters()), history, epochs or len(values), 1)
    stopping.on_fit_begin(progress)
    for epoch, value in enumerate(values, start=1):
        net[0].weight.data[...] = epoch
        history.epochs.append(Epoch(epoch, value, value, value, value, lr=0.1, seconds=0.0))
        stopping.on_epoch_end(progress)
        if progress.stop:
            break
    return int(net[0].weight.data[0, 0]), len(history.epochs)


values = st.lists(st.one_of(st.floats(0.0, 1.0), st.just(math.nan)), min_size=1, max_size=30)


@given(values=values, patience=st.integers(1, 5), delta=st.sampled_from([0.0, 0.1]), loss=st.booleans())
def test_it_stops_after_patience_epochs_without_a_better_one_and_gives_back_the_best(values, patience, delta, loss):
    monitor = "test_loss" if loss else "test_accuracy"
    best, best_epoch, last = math.inf, 0, len(values)
    for epoch, value in enumerate(values, start=1):
        cost = value if loss else -value
        if cost < best - delta:
            best, best_epoch = cost, epoch
        if epoch - best_epoch >= patience:
            last = epoch
            break
    stopping = nn.EarlyStopping(patience, delta, monitor)
    assert epochs_of(stopping, values) == (best_epoch or last, last)
    assert stopping.best_epoch == best_epoch
    assert epochs_of(nn.EarlyStopping(patience, delta, monitor, restore_best_weights=False), values) == (last, last)


@pytest.mark.parametrize(("monitor", "sign"), [("test_loss", 1.0), ("train_loss", 1.0), ("test_accuracy", -1.0)])
def test_better_is_what_is_better_by_more_than_the_least_difference(monitor, sign):
    for values, best_epoch in (([1.0, 0.75], 1), ([1.0, 0.5], 2), ([1.0, 0.875, 0.625], 3), ([1.0, 1.125], 1)):
        stopping = nn.EarlyStopping(9, 0.25, monitor)
        epochs_of(stopping, [sign * value for value in values])
        assert stopping.best_epoch == best_epoch
    stopping = nn.EarlyStopping(9, 0.0, monitor)
    epochs_of(stopping, [sign, sign])
    assert stopping.best_epoch == 1


def test_the_first_epochs_of_a_longer_run_keep_their_weights():
    assert epochs_of(nn.EarlyStopping(5), [1.0, 2.0, 3.0], epochs=10) == (3, 3)


class Run:
    """A run that gets worse soon; two made alike are alike."""

    def __init__(self):
        x, y = nn.datasets.spirals(60, rng=0, dtype=np.float64)
        self.net = nn.MLP([2, 16, 3], "tanh", batch_norm=True, dropout=0.2, rng=0, dtype=np.float64)
        optimizer = nn.Adam(self.net.parameters(), 0.3)
        batches = nn.DataLoader(x, y, 16, rng=0)
        self.test = nn.datasets.spirals(30, rng=1, dtype=np.float64)
        self.stopping = nn.EarlyStopping(3)
        self.state = nn.TrainingState(self.net, optimizer, batches, stopping=self.stopping)

    def fit(self, path=None, kill=None):
        class Kill(nn.Callback):
            def on_epoch_end(self, progress):
                progress.stop = progress.stop or progress.epoch == kill

        save = [nn.SaveTrainingState(self.state, path)] if path else []
        nn.fit(
            *(self.net, nn.CrossEntropyLoss(), self.state.optimizer, self.state.batches, 40),
            test=self.test,
            history=self.state.history,
            callbacks=[self.stopping, *save, Kill()],
        )
        return self


@pytest.mark.slow
@pytest.mark.numerical
def test_a_run_ends_with_its_best_epoch_and_goes_on_to_the_bit(tmp_path):
    whole = Run().fit()
    losses = [epoch.test_loss for epoch in whole.state.history.epochs]
    assert len(losses) < 40
    assert whole.stopping.best == min(losses)
    assert len(losses) == whole.stopping.best_epoch + 3 == losses.index(min(losses)) + 4
    tested = nn.evaluate(whole.net, nn.CrossEntropyLoss(), *whole.test)
    assert tested.loss == min(losses)
    path = tmp_path / "state.npz"
    for kill in range(1, len(losses) + 1):
        Run().fit(path, kill)
        other = Run()
        other.state.load(path)
        # The last of them is over: it is not trained any further.
        other.fit(path)
        assert [epoch.test_loss for epoch in other.state.history.epochs] == losses
        for name, array in other.state.state_dict().items():
            if name != "values":
                np.testing.assert_array_equal(array, whole.state.state_dict()[name])


def test_a_value_that_no_epoch_has_is_refused():
    with pytest.raises(ValueError, match="EarlyStopping: epoch 1 has no test_loss; fit needs test="):
        epochs_of(nn.EarlyStopping(1), [None])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.EarlyStopping(0), "patience: expected an integer >= 1"),
        (lambda: nn.EarlyStopping(1, -0.1), "min_delta"),
        (lambda: nn.EarlyStopping(1, monitor="loss"), "monitor: expected one of 'test_loss', 'test_accuracy'"),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
