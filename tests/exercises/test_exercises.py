"""Every exercise: its solution is right, wrong answers are answered in words, and neither gives the answer away."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_nn.commands.main import COMMANDS
from numpy_nn.commands.main import main as numpy_nn_command
from numpy_nn.exercises import first_lessons, last_lessons
from numpy_nn.exercises.command import main
from numpy_nn.exercises.listed import EXERCISES
from numpy_nn.exercises.solutions import SOLUTIONS


def answered(number, code):
    """What an exercise says of a file with this code, in English."""
    names = {"np": np}
    exec(compile(code, "answer", "exec"), names)
    return [english for english, _ in EXERCISES[number].check(names)]


@pytest.mark.parametrize("number", EXERCISES)
def test_the_solution_is_right_and_is_asked_in_both_languages(number):
    assert answered(number, SOLUTIONS[number]) == []
    english, chinese = EXERCISES[number].text
    assert not re.search("[\u4e00-\u9fff]", english)
    assert re.search("[\u4e00-\u9fff]", chinese)
    # Every name that a file should define is named in both.
    names = re.findall(r"^(?:def|class) (\w+)", SOLUTIONS[number], re.MULTILINE)
    assert all(name in english and name in chinese for name in names if name != "answer")


def test_there_are_three_for_each_lesson_and_a_solution_for_each():
    assert [*EXERCISES] == [f"{lesson}.{exercise}" for lesson in range(1, 13) for exercise in range(1, 4)]
    assert EXERCISES.keys() == SOLUTIONS.keys()


@pytest.mark.parametrize("folder", ["", "zh"])
def test_each_lesson_asks_its_own(folder):
    for path in sorted((Path(__file__).parents[2] / "scripts" / "lessons" / folder).glob("lesson_*.py")):
        (cell,) = re.findall(r"^# ## (?:Exercises|练习)\n((?:#.*\n)+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        asked = re.findall(r"^- \*\*(\S+)\*\* (.*?)$", re.sub(r"\n#  +", " ", cell).replace("# ", ""), re.MULTILINE)
        lesson = path.name.split("_")[1]
        texts = [(number, e.text[bool(folder)]) for number, e in EXERCISES.items() if number.startswith(f"{lesson}.")]
        assert asked == texts


# An answer as people give it, and words of what is said of it.
WRONG = [
    ("1.1", "answer = 1.5", "that is f before the visit"),
    ("1.1", "answer = 7.5", "you moved the wrong way"),
    ("1.1", "answer = -3.5", "w has moved, but b has not"),
    ("1.1", "answer = 4.5", "the sign is wrong"),
    ("1.1", "answer = 100", "too large"),
    ("1.1", "answer = -100", "too small"),
    ("1.1", "answer = '3'", "it is str"),
    ("1.1", "reply = 3", "it is missing"),
    ("1.1", "answer = True", "it is bool"),
    ("1.2", "def update(w, b, x, y): return w + y * x, b + y", "must change nothing"),
    ("1.2", "def update(w, b, x, y): return (w + y * x, b + y) if y * (w @ x + b) < 0 else (w, b)", "exactly 0"),
    ("1.2", "def update(w, b, x, y): return (w + x, b + 1) if y * (w @ x + b) <= 0 else (w, b)", "label's sign"),
    ("1.2", "def update(w, b, x, y): return (w + y * x, b) if y * (w @ x + b) <= 0 else (w, b)", "does not move"),
    ("1.2", "def update(w, b, x, y):\n    w += y * x\n    return w, b", "update changes its arguments"),
    ("1.2", "def update(w, b, x, y): return w", "2 results are expected, 1 came"),
    ("1.2", "def update(w, b, x): return w, b", "update ended with TypeError"),
    ("1.3", "def novikoff(x, y, w, b): return 1.0", "1 of 1 numbers are wrong"),
    (
        "1.3",
        "def novikoff(x, y, w, b):\n    g = (y * (x @ w + b)).min() / np.linalg.norm([*w, b])\n"
        "    return (np.linalg.norm(x, axis=1).max() / g) ** 2",
        "with a 1 appended",
    ),
    ("2.1", "answer = 1.5", "the output's bias"),
    ("2.2", "def hidden(x): return np.maximum([x.sum(axis=1), -x.sum(axis=1)], 0)", "transposed"),
    ("2.2", "def hidden(x): return np.stack([x.sum(axis=1), -x.sum(axis=1)], axis=1)", "the max with 0 is left out"),
    ("2.3", "answer = 15", "exchange the classes"),
    ("3.1", "answer = 0.75", "that is the value"),
    ("3.2", "def softsign_derivative(x): return 1 / (1 + x) ** 2", "right for x > 0 only"),
    ("3.2", "def softsign_derivative(x): return -1 / (1 + abs(x)) ** 2", "the sign is wrong"),
    ("3.2", "def softsign_derivative(x): return 2 / (1 + abs(x)) ** 2", "right but for a constant factor"),
    ("3.3", "def elu_derivative(x, alpha): return np.where(x > 0, 1, np.exp(x))", "right for alpha = 1 only"),
    ("4.1", "answer = 0.30103", "the natural one"),
    (
        "4.2",
        "def grad_logits(z, y):\n    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)\n"
        "    p[np.arange(len(z)), y] -= 1\n    return p",
        "1/n is left out",
    ),
    ("4.3", SOLUTIONS["4.3"].replace("grad_output.sum(axis=0)", "grad_output.mean(axis=0)"), "averaged over the batch"),
    ("4.3", SOLUTIONS["4.3"].replace("x @ self.W + self.b", "x @ self.W"), "the forward pass is wrong already"),
    ("4.3", "def linear(): pass", "the file should define Linear"),
    ("5.1", "answer = 4.8", "second layer's weights"),
    (
        "5.2",
        "def stable_loss(z, y):\n    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)\n"
        "    return -np.log(p[np.arange(len(z)), y]).mean()",
        "e^1000 overflows",
    ),
    ("5.3", "def dead_units(x, w, b): return (x @ w + b > 0).any(axis=0).sum()", "those are the units that live"),
    ("6.1", "answer = 25408", "the biases are parameters too"),
    ("6.2", SOLUTIONS["6.2"].replace("[true, said]", "[said, true]"), "right, but transposed"),
    ("6.3", "def accuracy(z, y): return (z.argmax(axis=1) == y).sum()", "that is a count"),
    ("7.1", "answer = 12", "that is the derivative"),
    ("7.2", "def central(f, x, h): return (f(x + h) - f(x)) / h", "forward difference"),
    ("7.3", SOLUTIONS["7.3"].replace("1 - out**2", "1 - np.tanh(out) ** 2"), "taken at the output"),
    ("8.1", "answer = -0.05", "the samples are summed"),
    (
        "8.2",
        SOLUTIONS["8.2"].replace("np.where(z > 0, grad_output @ w2.T, 0)", "grad_output @ w2.T"),
        "ReLU is left out",
    ),
    ("8.2", "def backward_pass(*given): return 1, 2, 3, 'four'", "result 0: the shape should be (4, 5)"),
    ("8.3", "answer = 13", "looks at two points"),
    ("9.1", "answer = 6.75**0.5", "before ReLU"),
    ("9.1", "answer = 3.375", "mean square; take its root"),
    ("9.1", "answer = 1.299", "not the RMS"),
    ("9.2", "def batch_norm(x, eps): return (x - x.mean(0)) / (x.std(0) + eps)", "inside the root"),
    ("9.2", "def batch_norm(x, eps): return (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + eps)", "not by n - 1"),
    ("9.2", SOLUTIONS["9.2"].replace("axis=0", "axis=1, keepdims=True"), "that is layer normalization"),
    ("9.3", SOLUTIONS["9.3"].replace(" - self.x_hat * slope", ""), "the gradient with respect to x"),
    ("9.3", SOLUTIONS["9.3"].replace("+ 1e-5", ""), "the forward pass is wrong already"),
    ("10.1", "answer = 1.4", "that is gradient descent"),
    ("10.1", "answer = 1.3162", "the correction is left out"),
    ("10.2", "def momentum(p, v, g, lr, mu): return p - lr * v, mu * v + g", "the old v"),
    ("10.2", SOLUTIONS["10.2"].replace("+ g", "+ (1 - mu) * g"), "g is added whole"),
    ("10.3", SOLUTIONS["10.3"].replace(" / (1 - 0.999**t)", ""), "s is not corrected"),
    ("10.3", SOLUTIONS["10.3"].replace("np.sqrt(s_hat) + 1e-8", "np.sqrt(s_hat + 1e-8)"), "behind the root"),
    ("10.3", SOLUTIONS["10.3"].replace("m = 0.9 * m", "m *= 0.9; m = m"), "adam changes its arguments"),
    ("11.1", "answer = 20_000_000", "that is what it should be"),
    ("11.1", "answer = 2**23", "1 can still be added"),
    ("11.1", "answer = 2**25", "it stops earlier"),
    ("11.1", "answer = 2**53", "too large"),
    ("11.2", SOLUTIONS["11.2"].replace(" / (1 - n * u)", ""), "the first term only"),
    ("11.2", "def dot_bound(x, y, u): return len(x) * u / (1 - len(x) * u) * abs(x @ y)", "terms may cancel"),
    ("11.2", "def dot_bound(x, y, u): return ((1 + u) ** len(x) - 1) * (abs(x) @ abs(y))", "a sharper one"),
    ("11.2", SOLUTIONS["11.2"].replace("n = len(x)", "n = len(x) - 1"), "and one of the product"),
    ("11.2", SOLUTIONS["11.2"].replace("n = len(x)", "n = 2 * len(x)"), "not 2 n"),
    ("11.2", "def dot_bound(x, y, u): return len(x) * u / (1 - len(x) * u) * (x @ y)", "a bound is not negative"),
    ("11.2", "def dot_bound(x, y, u): return (1 + u) ** len(x) * (abs(x) @ abs(y))", "take the 1 away"),
    ("11.3", "def bce(z, y): return np.log(1 + np.exp(np.where(y == 1, -z, z)))", "e^1000 overflows, and a tiny"),
    ("11.3", "def bce(z, y): return np.log1p(np.exp(np.where(y == 1, -z, z)))", "e^1000 overflows"),
    ("11.3", SOLUTIONS["11.3"].replace("np.log1p(", "np.log(1 + "), "a tiny loss becomes 0"),
    ("11.3", "def bce(z, y): return np.logaddexp(0, np.where(y == 1, z, -z))", "the wrong way round"),
    ("12.1", "answer = 1.6e6", "numbers, not bytes"),
    ("12.1", "answer = 3.2e6", "one half"),
    ("12.1", "answer = 32e6", "what all of them together send"),
    ("12.1", "answer = 8e6", "too large"),
    ("12.2", "def combined(gradients, rows): return sum(gradients)", "as if it were the whole batch"),
    ("12.2", "def combined(gradients, rows): return np.mean(gradients, axis=0)", "the mean of the means"),
    ("12.2", "def combined(gradients, rows): return sum(n * g for n, g in zip(rows, gradients))", "by the rows of all"),
    ("12.2", "def combined(gradients, rows): return np.average(gradients, axis=0, weights=1 / np.array(rows))", "more"),
    ("12.3", "def reduce_scatter(pieces): return np.tile(pieces.sum(axis=0), (len(pieces), 1))", "second half"),
    ("12.3", SOLUTIONS["12.3"].replace("range(p - 1)", "range(p)"), "one exchange too many"),
    ("12.3", SOLUTIONS["12.3"].replace("range(p - 1)", "range(p - 2)"), "one exchange is missing"),
    ("12.3", SOLUTIONS["12.3"].replace("(r - s - 1) % p", "(r - s) % p"), "another piece"),
    (
        "12.3",
        f"{SOLUTIONS['12.3']}\n\nright = reduce_scatter\ndef reduce_scatter(p): return right(p[::-1])[::-1]",
        "r + 1",
    ),
    ("12.3", SOLUTIONS["12.3"].replace("pieces.copy()", "pieces"), "reduce_scatter changes its arguments"),
]


@pytest.mark.parametrize(("number", "code", "words"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong_with_it(number, code, words):
    (said,) = answered(number, code)
    assert words in said


def test_every_exercise_has_had_a_wrong_answer():
    assert {number for number, _, _ in WRONG} == EXERCISES.keys()


@pytest.mark.parametrize("number", [number for number, code in SOLUTIONS.items() if "answer =" in code])
def test_what_is_said_of_a_number_does_not_give_it_away(number):
    names: dict[str, Any] = {}
    exec(SOLUTIONS[number], names)
    for value in (-1e6, 1e6, -names["answer"]):
        for words in EXERCISES[number].check({"answer": value}):
            assert not any(f"{names['answer']:.{digits}g}" in said for said in words for digits in (2, 3, 4, 6))


def test_what_is_checked_with_is_not_changed_by_an_answer():
    before = [case[0].copy() for case in (*first_lessons.LOGITS, *last_lessons.LOGITS)]
    for number in ("4.2", "5.2"):
        (said,) = answered(
            number, f"def {'grad_logits' if number == '4.2' else 'stable_loss'}(z, y): z[:] = 0; return 0"
        )
        assert "changes its arguments" in said
    after = [case[0] for case in (*first_lessons.LOGITS, *last_lessons.LOGITS)]
    assert all(map(np.array_equal, before, after))


@pytest.mark.parametrize(("language", "right", "wrong"), [("en", "Right.", "Not yet:"), ("zh", "对。", "还不对：")])
def test_the_command_asks_checks_and_shows_a_solution_when_asked(tmp_path, capsys, language, right, wrong):
    options = ["--language", language]
    assert main(options) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == [*EXERCISES]
    assert main(["4.1", *options]) == 0
    assert capsys.readouterr().out.strip() == listed[9].split(maxsplit=1)[1]
    file = tmp_path / "mine.py"
    file.write_text("answer = 0.5\n", encoding="utf-8")
    assert main(["4.1", str(file), *options]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == wrong
    assert second.startswith("  ")
    assert "0.69" not in second
    assert main(["4.1", "--solution"]) == 0
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert main(["4.1", str(file), *options]) == 0
    assert capsys.readouterr().out == f"{right}\n"


def test_a_file_that_cannot_be_run_is_one_line(tmp_path, capsys):
    file = tmp_path / "mine.py"
    for code, words in (("1 / 0", "ZeroDivisionError"), ("answer =", "SyntaxError")):
        file.write_text(code, encoding="utf-8")
        assert main(["1.1", str(file)]) == 2
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
    assert main(["1.1", str(tmp_path / "none.py")]) == 2
    capsys.readouterr()
    assert main(["9.9"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("exercise: argument N.M: expected one of 1.1, 1.2, ")
    assert said.count("\n") == 1


def test_numpy_nn_has_the_command(capsys):
    assert "exercise" in COMMANDS
    assert numpy_nn_command(["exercise", "2.3"]) == 0
    assert capsys.readouterr().out.startswith("There are 16 ways")
