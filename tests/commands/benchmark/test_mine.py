"""A class of the user's in the benchmark: right ones are timed, wrong ones refused in a line."""

import json
import re
from functools import partial
from pathlib import Path

import my_clocked_mlp as theirs
import numpy as np
import pytest

from numpy_nn.commands.benchmark import command as benchmark
from numpy_nn.commands.benchmark import engines as registry
from numpy_nn.commands.benchmark import memory
from numpy_nn.commands.benchmark.cases import Case
from numpy_nn.commands.benchmark.making import make_engines
from numpy_nn.commands.benchmark.mine import Mine, left_out, maker, registered
from numpy_nn.commands.benchmark.workload import Workload

FILE = str(Path(theirs.__file__))
OPTIONS = ["--batch", "8", "--rounds", "1", "--sample-ms", "0.1", "--threads", "1", "--engines", "by hand,numpy_nn"]
KINDS = ["step", "epoch", "forward", "backward", "inference"]


def case(kind="step", **settings):
    rows = 30 if kind in ("epoch", "inference") else 0
    return Case(kind, **{"sizes": (6, 5, 4), "batch": 8, "rows": rows, **settings})


def made(name, one, *init):
    with registered(f"{FILE}:{name}", init):
        return make_engines(Workload(one), ["by hand", name])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["MyMLP", "Packed"])
def test_a_right_class_is_timed_in_every_kind(name, kind, dtype):
    both = made(name, case(kind, dtype=dtype))
    both[name].seconds(2)
    assert both[name].notes == []
    by_hand = both["by hand"]
    by_hand.seconds(2)
    # Every epoch is in the same order, and prepare() has made one step more.
    if kind == "step":
        for p, q in zip(both[name].parameters(), by_hand.parameters(), strict=True):
            np.testing.assert_allclose(p, q, rtol=0, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("sizes", [(6, 5, 4), (6, 6, 6, 3), (7, 2)])
@pytest.mark.parametrize("kind", ["step", "epoch"])
def test_without_set_weights_the_arrays_are_found_by_their_shapes(sizes, kind):
    one = case(kind, sizes=sizes)  # of a square weight, the others say which way round it is
    engine = made("StepOnly", one)["StepOnly"]
    engine.seconds(1)
    assert [array.shape for array in engine.parameters()] == [a.shape for layer in Workload(one).weights for a in layer]


def test_a_square_weight_that_nothing_turns_is_refused_if_it_was_meant_so():
    with pytest.raises(ValueError, match="StepOnly, after a step: W1 is"):
        made("StepOnly", case(sizes=(5, 5, 5)))


def test_what_is_timed_is_the_user_s_own_call():
    calls = []

    class Counted(theirs.MyMLP):
        def step(self, x, y, lr):
            calls.append((len(x), len(y), lr))

    engine = Mine(Workload(case()), "Counted", lambda _: Counted())
    engine.seconds(3)
    assert calls == [(8, 8, 1e-3)] * 3
    assert isinstance(engine.work, partial)
    assert engine.work.func == engine.net.step


def test_the_batch_is_a_copy():
    workload = Workload(case())
    engine = Mine(workload, "MyMLP", lambda _: theirs.MyMLP())
    engine.x[...] = 0.0
    assert np.any(workload.x)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("BiasOver64", "step", "BiasOver64, after a step: b1 is"),
        ("BiasOver64", "epoch", "BiasOver64, after a step: b1 is"),
        ("BackwardOnlyWrong", "backward", "BackwardOnlyWrong, backward: b1 is"),
        ("Transposed", "step", "Transposed has loss"),
        ("TransposedInStep", "step", "TransposedInStep, after a step: W1 is"),
        ("NoUpdate", "step", "NoUpdate, after a step: W1 is"),
        ("Forgetful", "step", r"after set_weights\(weights\), W1 is in none of its arrays; a method weights\(\)"),
    ],
)
def test_a_wrong_class_is_refused_with_its_name_and_the_array(name, kind, message):
    with pytest.raises(ValueError, match=message) as raised:
        made(name, case(kind, sizes=(5, 5, 5)))
    assert "\n" not in str(raised.value)


def test_weights_of_the_wrong_shape_are_said_to_raise():
    with pytest.raises(ValueError, match=r"step 6-5-4.*: Transposed, loss\(x, y\): ValueError: .*; nothing was timed"):
        made("Transposed", case())


def test_a_smaller_last_batch_is_tried_before_an_epoch_is_timed():
    with pytest.raises(ValueError, match=r"WholeBatchesOnly, step\(x, y, lr\) on 6 rows: ValueError"):
        made("WholeBatchesOnly", case("epoch"))
    assert made("WholeBatchesOnly", case("epoch", rows=32))


def test_another_precision_is_said():
    engine = made("InFloat64", case())["InFloat64"]
    assert engine.notes == ["InFloat64 keeps its parameters in float64"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nobody.py:MyMLP", "no such file: nobody.py"),
        (f"{FILE}:Nobody", "has no Nobody; it has MyMLP, StepOnly"),
        (FILE, "say which"),
        (f"{FILE}:THING", "expected a class, got THING, int"),
        (f"{FILE}:WithoutStep", r"expected WithoutStep with a method step\(x, y, lr\)"),
        (f"{FILE}:AnotherStep", r"expected AnotherStep with a method step\(x, y, lr\), has step\(self, lr\)"),
    ],
)
def test_bad_files_and_names_give_one_line(text, message, capsys):
    assert benchmark.main(["--mine", text, "--sizes", "6,5,4", *OPTIONS]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    with pytest.raises(ValueError, match=message) as raised:
        maker(text, [])
    assert error == f"benchmark: {raised.value}\n"


def test_a_file_that_breaks_gives_one_line(tmp_path, capsys):
    (tmp_path / "broken_net.py").write_text("class Net:\n    x = 1 / 0\n")
    assert benchmark.main(["--mine", f"{tmp_path / 'broken_net.py'}:Net"]) == 2
    assert capsys.readouterr().err.endswith("broken_net.py:Net: ZeroDivisionError: division by zero\n")


def test_arguments_of_the_class_are_given_or_asked_for():
    assert "ManyArguments" in made("ManyArguments", case(), "6", "5", "4", "relu")
    with pytest.raises(
        ValueError, match=r"ManyArguments\(inputs, hidden, outputs, activation\): give its arguments wi"
    ):
        made("ManyArguments", case())


@pytest.mark.slow
def test_what_is_missing_is_said_in_a_line_and_left_out(tmp_path, capsys):
    path = tmp_path / "json"
    options = ["--kind", "step,forward,optimizer", "--optimizer", "sgd,adam", "--json", str(path)]
    assert benchmark.main(["--mine", f"{FILE}:StepOnly", "--sizes", "6,5,4", *options, *OPTIONS]) == 0
    output = capsys.readouterr().out
    assert "StepOnly has no loss(x, y): left out of forward, logits and loss of one batch\n" in output
    assert "StepOnly: left out of optimizer, which is part of its step\n" in output
    assert "StepOnly.step(x, y, lr) is SGD's: left out where the optimizer is adam\n" in output
    results = {one["label"]: one["engines"] for one in json.loads(path.read_text())["results"]}
    timed = [label for label, engines in results.items() if "StepOnly" in engines]
    assert timed == ["step 6-5-4, batch 8, sgd, float32"]
    assert results[timed[0]]["StepOnly"]["bytes_allocated"] > 8 * 5 * 4
    assert "StepOnly" not in registry.ENGINES


def test_every_reason_is_said_once():
    with registered(f"{FILE}:StepOnly", []) as (name, _):
        assert len(left_out(name, [case("forward"), case("forward", batch=4), case()])) == 1


def test_init_without_a_class_is_refused(capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["--init", "3"])
    assert "argument --init: expected --mine with it" in capsys.readouterr().err


@pytest.mark.parametrize("page", ["docs/benchmark.md", "docs/zh/benchmark.md"])
def test_the_class_on_the_page_is_timed_and_its_wrong_form_refused_in_those_words(page, tmp_path):
    text = (Path(__file__).parents[3] / page).read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(# my_mlp\.py\n.*?)```", text, re.DOTALL)
    (message,) = re.findall(r"```text\nbenchmark: (.*)\n```", text)
    one = Case("step", (784, 64, 10))
    for right, source in ((True, code), (False, code.replace("* d.sum(axis=0)", "* d.sum(axis=0) / len(y)"))):
        (tmp_path / f"my_{right}.py").write_text(source, encoding="utf-8")
        with registered(f"{tmp_path / f'my_{right}.py'}:MyMLP", []):
            if right:
                make_engines(Workload(one), ["MyMLP"])["MyMLP"].seconds(1)
                continue
            with pytest.raises(ValueError, match="MyMLP, after a step: b2 is") as raised:
                make_engines(Workload(one), ["MyMLP"])
            # The numbers are this machine's in their last digits.
            said = re.compile(r"\d\.\d+e[+-]\d+")
            assert said.sub("", str(raised.value)) == said.sub("", message)


@pytest.mark.slow
def test_peak_memory_is_that_of_a_process_with_the_class():
    small, large = (
        memory.peak_memory("MyMLP", case(sizes=(1000, width, 10)), [f"{FILE}:MyMLP"]) for width in (1, 9000)
    )
    # Initial values, the workload's copy, the class's own and a gradient: 36 MB each.
    assert large - small > 2 * 36_000_000
