"""The progress bar of train_mnist: the epoch, and the time left of the whole run."""

import io
import re
import time

from rich.console import Console

from numpy_nn.training import Metrics
from scripts.mnist import run


class Slow:
    """A trainer whose epoch is over when the bar shows it, if there is one."""

    name = "slow"
    set_threads = None

    def __init__(self, shown=None):
        self.shown = shown

    def counts(self, threads):
        return threads

    def train_epoch(self, epoch, after_batch):
        for _ in range(run.BATCHES_PER_TICK):
            after_batch()
        bar = re.compile(rf"epoch {epoch} of 3 slow[^\r]*{epoch * run.BATCHES_PER_TICK}/150")
        while self.shown is not None and not bar.search(self.shown.getvalue()):
            time.sleep(0.01)
        return Metrics(1.0, 0.5)

    def evaluate(self):
        return Metrics(1.0, 0.5)


def test_the_bar_shows_the_epoch_and_the_time_left_of_the_whole_run():
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    assert [row["epoch"] for row in run.train([Slow(shown)], 2, 3, 1, run.BATCHES_PER_TICK, (1,), console)] == [2, 3]
    assert "0:00:00" in shown.getvalue()


def test_no_bar_where_there_is_no_terminal():
    shown = io.StringIO()
    list(run.train([Slow()], 1, 1, 1, run.BATCHES_PER_TICK, (1,), Console(file=shown)))
    assert shown.getvalue() == ""
