"""Options and presets of ``train_mnist.py``: each changes both engines alike, and says what it does not take."""

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import needs
import numpy as np
import pytest
from mnist_runs import DATA, only_few, run

import numpy_nn as nn
from scripts import train_mnist
from scripts.mnist.arguments import parse
from scripts.mnist.numpy_trainer import NumpyTrainer
from scripts.mnist.presets import PRESETS
from scripts.mnist.recipe import build, numpy_distortion, one_cycle, prepare
from scripts.mnist.table import over_seeds

TINY = ("--hidden", "8", "--epochs", "1")


def alike(folder, *arguments):
    """Run both engines in float64 and return the history, having seen that they agree."""
    status, history = run(folder, *TINY, "--dtype", "float64", *arguments)
    assert status == 0
    for row in history["epochs"]:
        # Some dozens of steps of float64, whose rounding errors grow by a little more than their number.
        assert row["largest_difference"] < 1e-10
        assert row["numpy"]["train_loss"] == pytest.approx(row["torch"]["train_loss"], rel=1e-10)
        assert row["numpy"]["test_accuracy"] == row["torch"]["test_accuracy"]
    return history


@pytest.fixture(scope="module")
def plain(mnist, tmp_path_factory):
    """The run without any option, in each engine."""
    with only_few(mnist):
        return alike(tmp_path_factory.mktemp("plain"))["epochs"][0]


@pytest.mark.slow
@needs.torch
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "options",
    [
        ("--schedule", "one-cycle", "--warm-up", "0.3"),
        ("--label-smoothing", "0.1"),
        ("--standardize",),
        ("--batch-norm",),
        ("--weight-decay", "0.01"),
        ("--optimizer", "adamw", "--lr", "0.001", "--weight-decay", "0.1"),
        ("--max-norm", "0.3"),
        ("--clip-norm", "0.2"),
        ("--adversarial", "0.5"),
        ("--average", "0.9"),
        ("--average", "0.9", "--batch-norm", "--optimizer", "momentum"),
        ("--crop", "4"),
        ("--held-out", "100"),
        ("--weights-std", "0.1"),
        ("--images", "64", "--epochs", "5", "--every", "2"),
    ],
    ids=" ".join,
)
def test_an_option_means_the_same_in_both_engines_and_changes_the_run(tmp_path, options, plain):
    changed = alike(tmp_path, *options)
    assert changed["epochs"][0]["numpy"]["test_loss"] != plain["numpy"]["test_loss"]


@pytest.mark.slow
@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize(
    "options", [("--dropout", "0.5"), ("--input-dropout", "0.2"), ("--rotation", "20", "--alpha", "9")]
)
def test_what_is_random_in_each_engine_is_set_by_the_seed_and_changes_the_run(tmp_path, engine, options):
    losses = []
    for name, extra in (("one", options), ("again", options), ("plain", ())):
        status, history = run(tmp_path / name, *TINY, "--engine", engine, *extra)
        assert status == 0
        losses.append(history["epochs"][0][engine]["train_loss"])
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.slow
@pytest.mark.numerical
@needs.torch
@pytest.mark.usefixtures("few")
def test_the_preset_seed_is_the_tutorials_curve(tmp_path, capsys):
    status, history = run(tmp_path, "--preset", "seed", "--epochs", "201", "--dtype", "float64", draws=True)
    assert status == 0
    rows = history["epochs"]
    assert len(rows) == 201
    assert 40.0 < rows[0]["numpy"]["train_loss"] < 160.0
    assert rows[-1]["numpy"]["train_loss"] < 0.5
    assert [row["epoch"] for row in rows if row["numpy"]["test_loss"] is not None] == [1, 101, 201]
    for row in rows:
        # As in test_tutorial.py.
        assert row["numpy"]["train_loss"] == pytest.approx(row["torch"]["train_loss"], rel=1e-8)
    shown = [line.split() for line in capsys.readouterr().out.splitlines() if line[:12].strip().isdigit()]
    assert [(cells[0], cells[3]) for cells in shown] == [("1", "79.9906"), ("101", "0.4516"), ("201", "0.3094")]
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-101.npz", "checkpoint-201.npz"]


@pytest.mark.usefixtures("few")
def test_ctrl_c_after_an_epoch_that_was_not_judged_tells_the_last_that_was(tmp_path, capsys, monkeypatch):
    train_epoch = NumpyTrainer.train_epoch

    def interrupted(self, epoch, after_batch):
        if epoch == 6:
            raise KeyboardInterrupt
        return train_epoch(self, epoch, after_batch)

    monkeypatch.setattr(NumpyTrainer, "train_epoch", interrupted)
    status, history = run(tmp_path, "--preset", "seed", "--every", "3", "--engine", "numpy")
    assert status == 130
    assert len(history["epochs"]) == 5
    assert f"numpy: {history['epochs'][3]['numpy']['test_accuracy']:.2%} of the test images" in capsys.readouterr().out


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_options_that_an_explicit_one_changes(name):
    options = parse(["--preset", name], "")
    settings = options.settings()
    for option, value in PRESETS[name].settings.items():
        assert settings[option] == (str(value) if isinstance(value, Path) else value)
    assert parse(["--preset", name, "--lr", "0.25"], "").recipe.lr == 0.25
    build(options.recipe)


def test_the_options_stay_what_they_are_and_each_seed_has_its_own():
    options = parse(["--seeds", "2", "--seed", "5", "--out", "there", "--hidden", "8,9"], "")
    with pytest.raises(FrozenInstanceError):
        options.recipe.seed = 6  # type: ignore[misc]
    assert [(one.recipe.seed, one.place.out) for one in map(options.of_seed, (5, 6))] == [
        (5, Path("there/seed-5")),
        (6, Path("there/seed-6")),
    ]
    assert replace(options.of_seed(6).recipe, seed=5) == options.recipe
    assert parse(["--out", "there"], "").of_seed(3).place.out == Path("there")
    settings = options.settings()
    assert (settings["seed"], settings["out"], settings["hidden"]) == (5, "there", [8, 9])


@pytest.mark.slow
def test_what_a_recipe_is_made_of(mnist):
    recipe = parse(["--preset", "fast", "--held-out", "5000"], "").recipe
    data = prepare(mnist, recipe)
    assert [array.shape for array in data] == [(55_000, 400), (55_000,), (5_000, 400), (5_000,)]
    np.testing.assert_array_equal(data.y_test, mnist.y_train[-5000:])
    whole = prepare(mnist, parse(["--standardize"], "").recipe)
    # The mean of 47 million float32 numbers, summed by pairs.
    assert whole.x_train.mean(dtype=np.float64) == pytest.approx(0.0, abs=1e-5)
    assert whole.x_train.std(dtype=np.float64) == pytest.approx(1.0, abs=1e-5)
    cropped = prepare(mnist, parse(["--crop", "4"], "").recipe).x_test[3].reshape(20, 20)
    np.testing.assert_array_equal(cropped, mnist.x_test[3].reshape(28, 28)[4:24, 4:24])
    assert numpy_distortion(recipe, data) is None
    distort = numpy_distortion(parse(["--preset", "distort"], "").recipe, whole)
    assert repr(distort).startswith("Distortion(rotation=12, scale=0.12, shear=0.15, shift=1.5")
    assert distort is not None
    assert distort.fill == whole.x_train.min() < 0.0


def test_one_cycle_ends_at_nearly_nothing():
    recipe = parse(["--schedule", "one-cycle", "--epochs", "2", "--lr", "0.5"], "").recipe
    _, _, optimizer = build(recipe)
    schedule = nn.OneCycleLR(optimizer, **one_cycle(recipe, 30))
    rates = [optimizer.lr]
    for _ in range(59):
        schedule.step()
        rates.append(optimizer.lr)
    assert max(rates) == 0.5
    assert rates.index(0.5) == 5
    assert rates[-1] < 1e-5


def test_several_seeds_are_summed_up():
    runs = [
        [{"epoch": 1, "numpy": {"test_accuracy": a, "seconds": s}}] for a, s in ((0.97, 1.0), (0.98, 2.0), (0.99, 9.0))
    ]
    assert over_seeds(runs, "test images") == (
        "numpy, 3 seeds: 98.00% of the test images, spread 1.00% (97.00% .. 99.00%, 2 of 3 at 98% or more) "
        "in 2.000 s of training (median)"
    )


def test_help_shows_the_preset_s_defaults(capsys):
    with pytest.raises(SystemExit):
        parse(["--preset", "distort", "--help"], "")
    shown = " ".join(capsys.readouterr().out.split())
    assert "distort the images: degrees (default: 12.0)" in shown
    assert "sizes of the hidden layers (default: [1024, 1024, 1024])" in shown


@pytest.mark.usefixtures("few")
def test_a_last_batch_of_one_is_refused_before_it_comes(tmp_path, capsys):
    options = ["--batch-norm", "--batch-size", "1499", "--engine", "numpy", "--data", DATA, "--out", str(tmp_path)]
    assert train_mnist.main(options) == 2
    assert "--batch-size: 1499 leaves one of 1500 images for the last batch" in capsys.readouterr().err


@needs.torch
@pytest.mark.usefixtures("few")
def test_a_rise_of_one_step_which_torch_cannot_do_is_one_line(tmp_path, capsys):
    options = ["--schedule", "one-cycle", "--warm-up", "0.1", "--batch-size", "150", "--engine", "torch"]
    assert train_mnist.main(["--data", DATA, "--out", str(tmp_path), *TINY, *options]) == 2
    assert capsys.readouterr().err == (
        "train_mnist: --warm-up: 0.1 of the steps is exactly one, which torch's OneCycleLR cannot do; use another\n"
    )


@pytest.mark.usefixtures("few")
def test_too_little_memory_is_one_line(tmp_path, capsys, monkeypatch):
    def too_large(*_):
        raise MemoryError

    monkeypatch.setattr(train_mnist, "make_trainers", too_large)
    assert train_mnist.main(["--data", DATA, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "train_mnist: not enough memory\n"


@needs.torch
@pytest.mark.usefixtures("few")
def test_a_machine_on_which_torch_cannot_compile_is_one_line(tmp_path, capsys, monkeypatch):
    import torch
    from torch._inductor.exc import InductorError

    def compiled(*_):
        raise InductorError(ValueError("no compiler.\nmore"), None)

    monkeypatch.setattr(torch, "compile", lambda *_, **__: compiled)
    arguments = ["--engine", "torch", "--compile", "--epochs", "1", "--device", "cpu", "--threads", "1"]
    assert train_mnist.main(["--data", DATA, "--out", str(tmp_path), *arguments]) == 2
    assert capsys.readouterr().err == (
        "train_mnist: torch cannot compile here (ValueError: no compiler): it needs a C++ compiler, "
        "and to lie in a path without spaces; leave --compile out\n"
    )


@needs.torch
@pytest.mark.usefixtures("few")
def test_too_little_memory_on_a_gpu_is_one_line(tmp_path, capsys, monkeypatch):
    import torch

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee documentation.")

    monkeypatch.setattr(train_mnist, "make_trainers", full)
    assert train_mnist.main(["--data", DATA, "--out", str(tmp_path), "--engine", "torch"]) == 2
    assert capsys.readouterr().err == (
        "train_mnist: CUDA out of memory. Tried to allocate 2 GiB; use a smaller --batch-size or network, "
        "or --device cpu\n"
    )
    monkeypatch.setattr(train_mnist, "make_trainers", lambda *_: (_ for _ in ()).throw(RuntimeError("another")))
    with pytest.raises(RuntimeError, match="another"):
        train_mnist.main(["--data", DATA, "--out", str(tmp_path), "--engine", "torch"])


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_the_preset_fast_is_judged_over_its_seeds(tmp_path, capsys):
    status = train_mnist.main(
        [
            "--preset",
            "fast",
            "--seeds",
            "2",
            "--engine",
            "numpy",
            "--threads",
            "1",
            "--data",
            DATA,
            "--out",
            str(tmp_path),
        ]
    )
    assert status == 0
    assert "numpy, 2 seeds: " in capsys.readouterr().out
    for seed in (0, 1):
        history = json.loads((tmp_path / f"seed-{seed}" / "history.json").read_text())
        assert history["settings"]["seed"] == seed


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--hidden", "8,0"), "--hidden: expected one or more whole numbers > 0 such as 64 or 512,256, got '8,0'"),
        (("--epochs", "0"), "--epochs: expected a whole number > 0, got '0'"),
        (("--lr", "nan"), "--lr: expected a number > 0, got 'nan'"),
        (("--warm-up", "1.5"), "--warm-up: expected a number from 0 to 1, got '1.5'"),
        (("--dropout", "x"), "--dropout: expected a number from 0 to 1, got 'x'"),
        (("--average", "-1"), "--average: expected a number from 0 to 1, got '-1'"),
        (("--weight-decay", "-1"), "--weight-decay: expected a number >= 0, got '-1'"),
        (("--rotation", "inf"), "--rotation: expected a number >= 0, got 'inf'"),
        (("--held-out", "60000"), "--held-out: expected a whole number from 0 to 59000, got '60000'"),
        (("--crop", "14"), "--crop: expected a whole number from 0 to 13, got '14'"),
        (("--crop", "2", "--shift", "1"), "--crop: distorted images need their border"),
        (("--images", "9", "--held-out", "5"), "--images: are the first of all, use it without --held-out"),
        (("--weights-std", "1", "--batch-norm"), "--weights-std: biases would be 0"),
        (("--loader", "plain", "--rotation", "1"), "--loader: plain gives the images as they are, use it without dist"),
        (("--loader", "plain", "--crop", "1"), "--loader: plain gives all images as they are"),
        (("--preset", "slow"), "--preset: invalid choice: 'slow'"),
    ],
)
def test_what_an_option_does_not_take_is_said_in_one_line(arguments, complaint, capsys):
    with pytest.raises(SystemExit) as stopped:
        train_mnist.main(list(arguments))
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err.splitlines()[-1]
