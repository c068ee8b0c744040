"""The picture of a derivative as a slope: the loss over the asked number, its tangent, its update, and the drag."""

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from trace_page import actions, answer, last_step, loss_of, recording_in

pytestmark = pytest.mark.slow

PICTURE = """
    page.asking.ask(arguments[0], true);
    const { points, after, size } = page.slope;
    return { points, after, tangents: page.slope.tangents() };
"""


def test_the_curve_is_the_loss_and_its_tangent_the_gradient(page):
    page.execute_script("page.goTo(arguments[0])", last_step(page))
    picture, *others = (
        page.execute_script(PICTURE, [asked, 1, 4]) for asked in ("0.weight", "0.weight.grad", "0.weight.after")
    )
    assert others == [picture, picture]
    recording = recording_in(page)
    assert len(picture["points"]) == 61
    for x, loss in picture["points"][::15]:
        expected = loss_of(recording, {("0.weight", 1, 4): x}).arrays["loss"]
        assert loss == pytest.approx(float(expected), rel=1e-12)
    gradient = recording["arrays"]["0.weight.grad"]["values"][1][4]
    assert [slope for slope, _ in picture["tangents"]] == pytest.approx([gradient, gradient], rel=1e-12)
    assert picture["after"] == recording["arrays"]["0.weight.after"]["values"][1][4]
    for part in (".losses", ".tangent", "polygon.arrow", ".point"):
        assert page.find_elements(By.CSS_SELECTOR, f".slope {part}"), part


def test_before_its_gradient_is_computed_a_number_has_no_tangent(page):
    picture = page.execute_script(PICTURE, ["0.weight", 1, 4])
    assert len(picture["points"]) == 61
    assert picture["tangents"] == []
    page.execute_script("page.asking.ask(['target', 0, 0], true)")
    assert page.find_elements(By.CSS_SELECTOR, ".slope") == []


def test_dragging_the_point_changes_the_number(page):
    page.execute_script("page.goTo(arguments[0])", last_step(page))
    before = page.execute_script(PICTURE, ["0.weight", 1, 4])["points"]
    point = page.find_element(By.CSS_SELECTOR, ".slope .movable")
    actions(page).click_and_hold(point).move_by_offset(33, -7).perform()
    moved = page.execute_script("return page.model.values['0.weight'][1][4]")
    # 33 of the picture's 220 pixels.
    assert moved == pytest.approx(before[30][0] + (before[-1][0] - before[0][0]) * 33 / 220, abs=0.011)
    assert page.execute_script("return page.slope.points") == before
    actions(page).release().perform()
    assert float(page.find_element(By.CSS_SELECTOR, "#answer input").get_attribute("value")) == moved
    assert page.execute_script("return page.slope.points")[30][0] == pytest.approx(moved, rel=1e-12)
    actions(page).move_by_offset(-20, 0).perform()
    assert page.execute_script("return page.model.values['0.weight'][1][4]") == moved
    assert page.get_log("browser") == []


def test_at_a_kink_each_side_has_its_slope(page):
    page.execute_script("page.goTo(arguments[0])", last_step(page))
    page.execute_script(
        "page.editing.change(() => {"
        "for (const line of page.model.values['0.weight']) line[0] = 0; page.model.values['0.bias'][0][0] = 0 })"
    )
    picture = page.execute_script(PICTURE, ["0.bias", 0, 0])
    left, right = (slope for slope, _ in picture["tangents"])
    # On one side ReLU lets nothing pass.
    assert np.abs([left, right]).min() < 1e-9 < 1e-2 < np.abs([left, right]).max()
    assert "Slope on the left" in answer(page)


def test_of_a_network_that_diverged_nothing_is_drawn_and_nothing_breaks(page):
    page.execute_script("page.editing.change(() => { page.model.lr = 1e200 }); page.running.goTo(2)")
    page.execute_script("page.goTo(arguments[0])", last_step(page))
    assert not page.execute_script("return Number.isFinite(page.model.values.loss[0][0])")
    for asked in ("0.weight", "0.weight.grad", "0.weight.after", "2.bias"):
        page.execute_script("page.asking.ask([arguments[0], 0, 1], true)", asked)
        assert page.find_elements(By.CSS_SELECTOR, ".slope .tangent") == []
        assert not page.find_element(By.CSS_SELECTOR, ".slope .point").is_displayed()
    assert page.get_log("browser") == []
