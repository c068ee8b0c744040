"""Batch norm and dropout in the page: every number questioned, paths through the batch, the plane without a mask."""

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from trace_page import EVERY_NUMBER, recording_in

import numpy_nn as nn
from numpy_nn.commands.trace import command as trace_backprop
from numpy_nn.commands.trace.same_mask import SameMask

pytestmark = pytest.mark.slow

SUMS = """
    const { arrays, values } = page.model;
    const paths = new Paths(page.model);
    return [...arrays.keys()].filter((name) => arrays.has(`${name}.grad`)).map((name) => {
      const all = paths.all(name, 0, 1);
      const total = sum(all.map(({ product }) => product));
      return [name, all.length - paths.count(name, 0, 1), total, values[`${name}.grad`][0][1]];
    });
"""
TWICE = """
    const { model } = page;
    const get = (name, i, j) => model.values[name][i][j];
    return model.makers().filter(({ maker }) => maker.whole && maker.value).filter(({ name, rows, cols, maker }) => {
      const whole = maker.whole(model.values);
      return range(rows).some((i) => range(cols).some((j) => !Object.is(whole[i][j], maker.value(i, j, get))));
    }).map(({ name }) => name);
"""


@pytest.fixture(scope="module")
def kinds_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "kinds.html"
    options = ["--sizes", "2,3,2", "--batch-norm", "--dropout", "0.4", "--batch", "4", "--activation", "tanh"]
    assert trace_backprop.main([*options, "--out", str(path)]) == 0
    return path


def test_every_number_can_be_asked_and_a_gradient_is_the_sum_over_paths_through_the_batch(browse, kinds_file):
    page = browse(kinds_file, step=99)
    for at in (0, 3):
        page.execute_script("page.running.goTo(arguments[0])", at)
        assert page.execute_script(EVERY_NUMBER) == []
        assert page.execute_script(TWICE) == []
        for name, missing, total, gradient in page.execute_script(SUMS):
            assert missing == 0, name
            assert total == pytest.approx(gradient, rel=1e-10, abs=1e-14), name
    arrays = recording_in(page)["arrays"]
    masks = [np.array(array["values"]) for name, array in arrays.items() if name.endswith(".mask")]
    assert len(masks) == 1
    assert set(np.unique(masks[0])) <= {0, 1 / 0.6}
    assert page.get_log("browser") == []


def test_a_letter_with_a_hat_or_a_square_is_a_letter_as_the_others_are(browse, kinds_file):
    page = browse(kinds_file, step=2)
    long = page.execute_script(
        "return [...document.querySelectorAll('mi')].map((mi) => [mi.textContent, mi.getAttribute('mathvariant')])"
        ".filter(([text]) => [...text].length > 1)"
    )
    # A single letter is set in italics, a text of more upright: these are names of functions.
    assert {variant for _, variant in long} <= {"normal"}
    caption = page.find_element(By.CSS_SELECTOR, "[data-array='1.normalized'] figcaption mover")
    assert caption.get_property("textContent") == "X^"


def test_the_plane_is_normalized_by_the_batch_and_nothing_is_left_out_of_it(browse, kinds_file):
    page = browse(kinds_file, step=99)
    places = [[0.3, -0.2], [-1.0, 0.5]]
    ours = page.execute_script("return page.model.outputsFor(arguments[0])[page.model.logits]", places)
    arrays = {
        name: np.array(array["values"]) for name, array in recording_in(page)["arrays"].items() if "values" in array
    }
    z = arrays["0.output"]
    h = (np.array(places) @ arrays["0.weight"] + arrays["0.bias"] - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)
    expected = np.tanh(h * arrays["1.weight"] + arrays["1.bias"]) @ arrays["4.weight"] + arrays["4.bias"]
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_the_mask_stays_over_calls_and_copies():
    layer = SameMask(0.5, rng=0)
    x = np.ones((4, 6))
    first = layer(x).copy()
    np.testing.assert_array_equal(layer(2 * x), 2 * first)
    np.testing.assert_array_equal(layer.backward(3 * x), 3 * first)
    assert set(np.unique(first)) == {0, 2}
    np.testing.assert_array_equal(SameMask(0.0)(x), x)
    # What is drawn is what a Dropout of the same generator draws.
    np.testing.assert_array_equal(nn.Dropout(0.5, rng=0)(x), first)
