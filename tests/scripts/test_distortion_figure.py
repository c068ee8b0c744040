"""The figure of distorted digits."""

import pytest
from matplotlib import image
from mnist_runs import DATA

from scripts import distortion_figure

pytestmark = pytest.mark.slow


def test_the_figure_is_drawn(tmp_path):
    path = tmp_path / "made" / "distortion.png"
    assert distortion_figure.main(["--data", DATA, "--out", str(path)]) == 0
    pixels = image.imread(path)
    assert pixels.shape[0] > 300
    assert pixels.shape[1] > 600
    assert pixels[..., :3].min() == 0.0


def test_every_kind_is_drawn_anew_from_another_seed(monkeypatch, mnist):
    drawn = []
    digit = mnist.x_train[:1].reshape(1, 28, 28)
    monkeypatch.setattr(distortion_figure.nn, "load_mnist", lambda _: mnist)
    monkeypatch.setattr(
        distortion_figure, "draw", lambda _, kinds, __: drawn.append([distort(digit).copy() for _, distort in kinds])
    )
    for seed in ("0", "0", "1"):
        assert distortion_figure.main(["--seed", seed]) == 0
    one, again, other = drawn
    assert len(one) == 3
    for mine, same, different in zip(one, again, other, strict=True):
        assert (mine == same).all()
        assert (mine != different).any()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--sigma", "1e9"], "sigma: expected a finite number <= 1e+06 and > 0, got 1000000000.0"),
        (["--sigma", "0"], "sigma: expected a finite number <= 1e+06 and > 0, got 0.0"),
        (["--scale", "1"], "scale: expected a finite number >= 0 and < 1, got 1.0"),
        (["--data", "nowhere"], "fetch-mnist"),
        (["--out", "file/x.png"], "exists"),
    ],
)
def test_bad_input_is_one_line(arguments, complaint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert distortion_figure.main(["--data", DATA, *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("distortion_figure: ")
    assert complaint in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("out", ["", "folder", "picture.foo"])
def test_another_name_than_a_png_s_is_refused(out, capsys):
    with pytest.raises(SystemExit) as stopped:
        distortion_figure.main(["--data", DATA, "--out", out])
    assert stopped.value.code == 2
    assert "argument --out: expected a name that ends in .png, got " in capsys.readouterr().err.splitlines()[-1]
