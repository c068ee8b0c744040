"""How a lesson starts in a notebook, where there is no command line; at the command line tests/scripts starts them."""

import builtins
import sys
from pathlib import Path

import pytest

from numpy_nn.commands.fetch_mnist import command as fetch_mnist
from numpy_nn.lessons import command_line


@pytest.fixture
def notebook(monkeypatch, tmp_path):
    monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)
    monkeypatch.setattr(sys, "argv", ["kernel", "-f", "connection.json"])
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("notebook")
def test_the_kernel_s_arguments_are_not_the_lesson_s():
    lesson = command_line.start("a-lesson")
    assert lesson.name == "a-lesson"
    assert lesson.beside("page.html") == Path("runs", "lessons", "page.html")
    assert Path("runs", "lessons").is_dir()


@pytest.mark.usefixtures("notebook")
def test_mnist_is_fetched_once_where_it_is_missing(monkeypatch, tmp_path, mnist):
    fetched = []

    def fetch(folder):
        fetched.append(folder)
        (folder / "MNIST").mkdir(parents=True)

    monkeypatch.setattr(fetch_mnist, "fetch", fetch)
    monkeypatch.setattr("numpy_nn.load_mnist", lambda _: mnist)
    lesson = command_line.Lesson("a-lesson", data=tmp_path / "data")
    for _ in range(2):
        assert lesson.load_mnist() is mnist
    assert fetched == [tmp_path / "data"]


@pytest.mark.usefixtures("notebook")
def test_where_it_cannot_be_fetched_one_line_says_so(monkeypatch, tmp_path, capsys):
    def fetch(_):
        raise fetch_mnist.FetchError("no source is left")

    monkeypatch.setattr(fetch_mnist, "fetch", fetch)
    with pytest.raises(SystemExit) as ended:
        command_line.Lesson("a-lesson", data=tmp_path / "data").load_mnist()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "a-lesson: no source is left\n"


def test_at_the_command_line_nothing_is_fetched(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(fetch_mnist, "fetch", pytest.fail)
    with pytest.raises(SystemExit):
        command_line.Lesson("a-lesson", data=tmp_path / "data").load_mnist()
    assert "fetch-mnist" in capsys.readouterr().err
