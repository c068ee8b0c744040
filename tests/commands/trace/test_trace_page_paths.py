"""The paths from a number to the loss: their products sum to its gradient, and what they cost is counted."""

import json

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from trace_page import answer, last_step, recording_in, until

import numpy_nn as nn

pytestmark = pytest.mark.slow

SUMS = """
    const model = new Model(arguments[0]);
    const paths = new Paths(model);
    const entries = [...model.arrays.values()].filter(({ name }) => model.arrays.has(`${name}.grad`))
      .flatMap(({ name, rows, cols }) => range(rows).flatMap((i) => range(cols).map((j) => [name, i, j])));
    return entries.map(([name, i, j]) => {
      const all = paths.all(name, i, j);
      const together = paths.collapsed(name, i, j).reduce((total, [a, b]) => total + a * b, 0);
      return [name, all.length, paths.count(name, i, j), sum(all.map((path) => path.product)), together,
        model.values[`${name}.grad`][i][j]];
    });
"""


@pytest.mark.parametrize(
    "activations",
    [[nn.ReLU(), nn.Tanh()], [nn.PReLU(4, dtype=np.float64), nn.PReLU(dtype=np.float64)], [nn.SiLU(), nn.GELU()]],
    ids=repr,
)
def test_the_products_of_all_paths_sum_to_the_gradient(functions, activations):
    first, second = activations
    layers = [nn.Linear(3, 4, rng=0, dtype=np.float64), first, nn.Linear(4, 3, rng=1, dtype=np.float64), second]
    net = nn.Sequential(*layers, nn.Linear(3, 2, rng=2, dtype=np.float64))
    x = np.random.default_rng(3).standard_normal((2, 3))
    trace = nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.1), x, np.array([0, 1]))
    found = functions.execute_script(SUMS, {**json.loads(trace.to_json()), "checks": {}})
    counts = {name: count for name, count, *_ in found}
    # A weight of the first layer: two samples, three units and two outputs after its unit; an input has four more.
    assert counts["0.weight"] == 2 * 3 * 2
    assert counts["input"] == 4 * 3 * 2
    assert counts["2.bias"] == 2 * 2
    assert counts["4.output"] == 1
    for name, count, counted, total, together, gradient in found:
        assert count == counted, name
        assert total == pytest.approx(gradient, rel=1e-12, abs=1e-15), name
        assert together == pytest.approx(gradient, rel=1e-12, abs=1e-15), name


def test_an_asked_weight_opens_its_paths_and_lights_the_one_pointed_at(page):
    page.execute_script("page.goTo(arguments[0]); page.asking.ask(['0.weight', 1, 4], true)", last_step(page))
    summary = page.find_element(By.CSS_SELECTOR, ".paths summary")
    assert summary.text == "A sum over 6 paths to the loss"
    summary.click()
    until(page, "document.querySelector('.paths tr')")  # a browser tells that it has opened a little later
    text = answer(page)
    gradient = recording_in(page)["arrays"]["0.weight.grad"]["values"][1][4]
    assert "The sum of them all is the gradient" in text
    assert f"{abs(gradient):.6f}"[:7] in text
    # 4 5 + 5 3 weights, twice for each of two rows; as many for one evaluation, of which there is one a parameter.
    assert "all 43 parameters" in text
    assert "backward 140." in text
    assert "for each parameter 3,010;" in text
    # 20 weights before the hidden units have 6 paths of 3 products, 15 behind them 2 of 1; a bias saves a product.
    assert f"path by path {20 * 6 * 3 + 5 * 6 * 2 + 15 * 2 * 1};" in text
    lines = page.find_elements(By.CSS_SELECTOR, ".paths tr")
    assert len(lines) == 6
    page.execute_script("arguments[0].focus()", lines[0])
    lit = page.execute_script(
        "return [...document.querySelectorAll('#drawing .source')].map((node) => node.dataset.place)"
    )
    assert "unit 1 4" in lit
    assert len([place for place in lit if place.startswith("edge 2 4 ")]) == 1
    page.execute_script("arguments[0].blur()", lines[0])
    assert page.find_elements(By.CSS_SELECTOR, "#drawing .source") == []
    # It stays open for the next number.
    page.execute_script("page.asking.ask(['2.bias', 0, 1], true)")
    assert len(page.find_elements(By.CSS_SELECTOR, ".paths tr")) == 2
    assert page.get_log("browser") == []
