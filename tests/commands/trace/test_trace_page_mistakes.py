"""Find the mistake: every mistake of the menu is found at its step and nowhere else, with the checker's words."""

import json

import numpy as np
import pytest
from contrasts import CONTRASTS
from selenium.webdriver.common.by import By
from trace_page import answer

import numpy_nn as nn
from numpy_nn.commands.trace import command as trace_backprop
from numpy_nn.commands.trace.arguments import MISTAKES
from numpy_nn.commands.trace.recording import record
from numpy_nn.gradcheck.explain.causes import WORDS

pytestmark = pytest.mark.slow

# What is said of every step of the backward pass, for every mistake of the menu; and the loss before and after a while.
JUDGED = """
    const { hunt, model, training } = page;
    return hunt.known.map((name) => {
      hunt.hide(name);
      const steps = model.steps.flatMap(({ outputs }, k) => (outputs.some((o) => o.endsWith(".grad")) ? [k] : []));
      const said = steps.map((step) => {
        page.step = step;
        hunt.judge();
        return hunt.message.textContent;
      });
      const guilty = steps.indexOf(hunt.guilty.array.step);
      training.goTo(arguments[0]);
      return [name, said, guilty, training.losses[0], training.losses[arguments[0]]];
    });
"""
IN_NORM_AND_DROPOUT = {
    *("batch_norm_constant_statistics", "batch_norm_mean_constant", "batch_norm_variance_constant"),
    *("dropout_mask", "dropout_scale", "mask_inverted"),
}
LEARNS_STILL = MISTAKES[: MISTAKES.index("learning_rate") + 1]


NORM_AND_DROPOUT = ["--batch-norm", "--dropout", "0.25", "--batch", "4", "--activation", "tanh", "--lr", "0.1"]


@pytest.mark.parametrize("network", [["--lr", "0.1"], ["--sizes", "2,3,3,2", "--activation", "tanh"], NORM_AND_DROPOUT])
def test_every_mistake_is_found_at_its_step_and_nowhere_else(browse, tmp_path, network):
    path = tmp_path / "trace.html"
    assert trace_backprop.main([*network, "--out", str(path)]) == 0
    page = browse(path)
    judged = page.execute_script(JUDGED, 60)
    assert len(judged) >= 14
    if network is NORM_AND_DROPOUT:
        assert {name for name, *_ in judged} >= IN_NORM_AND_DROPOUT
    for name, said, guilty, before, after in judged:
        what, remedy = WORDS[name]
        assert said[guilty] == f"Yes, this step is the guilty one: {what}. The remedy: {remedy}."
        others = said[:guilty] + said[guilty + 1 :]
        assert all(text.startswith("No. The numbers of this step are ") for text in others)
        # Nearer to the loss than the mistake all is right.
        assert all("are right" in text for text in said[:guilty])
        if name in LEARNS_STILL:
            assert after < before, name
    handed = {name for name, said, *_ in judged if any("handed wrong ones" in text for text in said)}
    assert {"elements_mean", "batch_mean_missing", "derivative_missing", "target_missing"} <= handed
    assert page.get_log("browser") == []


def test_every_mistake_shows_in_some_network(functions):
    recordings = []
    for sizes, activation in (([4, 5, 3], "relu"), ([3, 4, 4, 2], "tanh")):
        net = nn.MLP(sizes, activation, rng=3, dtype=np.float64)
        x = np.random.default_rng(1).standard_normal((3, sizes[0]))
        trace = nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.1), x, np.array([0, 1, 1]))
        recordings.append({**json.loads(trace.to_json()), "checks": {}})
    # The arrays of a batch norm and of a dropout are not in the trace alone.
    linear = nn.Linear(3, 4, rng=3, dtype=np.float64), nn.Linear(4, 2, rng=3, dtype=np.float64)
    norm = nn.BatchNorm1d(4, dtype=np.float64)
    net = nn.Sequential(linear[0], norm, nn.Tanh(), nn.Dropout(0.4, rng=1), linear[1])
    recordings.append(record(net, np.random.default_rng(1).standard_normal((4, 3)), np.array([0, 1, 1, 0]), 0.1))
    names, shown = functions.execute_script(
        "const models = arguments[0].map((recording) => new Model(recording));"
        "const names = Object.keys(MISTAKES);"
        "return [names, names.filter((name) => models.some((model) => whereItShows(name, model)))]",
        recordings,
    )
    assert tuple(names) == MISTAKES
    assert tuple(shown) == MISTAKES


def test_the_guilty_gradient_disagrees_and_the_student_marks_its_step(browse, show, tmp_path):
    path = tmp_path / "trace.html"
    assert trace_backprop.main(["--mistake", "derivative_missing", "--out", str(path)]) == 0
    page = browse(path, step=16)
    assert "One formula of the backward pass is wrong" in page.find_element(By.ID, "mistake-message").text
    verdicts = page.execute_script(
        "return page.model.gradients.map(({ name }) => {"
        "return [name, range(page.model.arrays.get(name).cols).every((j) => {"
        "page.asking.ask([name, 0, j], true);"
        "return document.querySelector('#answer .verdict.agree') })] })"
    )
    agreeing = {name for name, agree in verdicts if agree}
    assert agreeing == {"2.output.grad", "2.weight.grad", "2.bias.grad", "1.output.grad"}
    assert "the program has" in answer(page)
    for step, expected in (
        (8, "The numbers of this step are right"),
        (12, "look"),
        (10, "Yes, this step is the guilty"),
    ):
        page.execute_script("page.goTo(arguments[0])", step)
        page.find_element(By.ID, "accuse").click()
        assert expected.lower() in answer(page).lower()
        for scheme in ("light", "dark"):
            show(scheme=scheme)
            assert [c for c in page.execute_script(CONTRASTS) if c[0] < 4.5] == [], (scheme, step)
    assert WORDS["derivative_missing"][1] in answer(page)
    page.execute_script("page.goTo(3)")
    assert not page.find_element(By.ID, "accuse").is_displayed()
    page.execute_script("page.hunt.hide(''); page.goTo(16); page.asking.ask(['0.weight.grad', 1, 4], true)")
    assert "do not agree" not in answer(page)
    assert page.execute_script("return page.model.values") == page.execute_script("return page.model.recorded")


def test_a_mistake_that_changes_nothing_is_said_not_to_be_there(browse, tmp_path):
    path = tmp_path / "trace.html"
    assert trace_backprop.main(["--sizes", "3,2", "--mistake", "derivative_missing", "--out", str(path)]) == 0
    page = browse(path)
    assert "changes no number of this network" in page.find_element(By.ID, "mistake-message").text
    assert page.execute_script("return [page.hunt.guilty ?? null, page.model.wrong ?? false]") == [None, False]
