"""The page of one training step in a real browser: stepping, asking, changing."""

import json
import re

import needs
import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from trace_page import (
    EVERY_NUMBER,
    answer,
    cell,
    change,
    go_to,
    hover,
    last_step,
    loss_of,
    marked,
    number_in,
    press,
    recording_in,
    until,
)

from numpy_nn.commands.trace import command as trace_backprop
from numpy_nn.commands.trace import recording

pytestmark = pytest.mark.slow


def test_it_loads_and_steps_to_the_end_without_an_error_or_a_request(page, page_file):
    assert page_file.stat().st_size < 2_000_000
    last = last_step(page)
    assert last == 16
    for _ in range(last):
        page.find_element(By.ID, "forward").click()
    assert page.find_element(By.ID, "position").text == "16 / 16"
    assert not page.find_element(By.ID, "forward").is_enabled()
    assert page.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert {url.partition("?")[0] for url in asked if not url.startswith("data:")} == {page_file.as_uri()}


def test_each_step_lights_its_arrays_in_both_views_and_shows_what_is_computed(page):
    assert page.find_elements(By.CSS_SELECTOR, ".array.active") == []
    for step in range(1, last_step(page) + 1):
        press(page, Keys.ARROW_RIGHT)
        outputs, lit, drawn, shown, hidden, computed, there = page.execute_script(
            "const all = (selector) => [...document.querySelectorAll(selector)];"
            "const of = (waiting) => all('.array td').filter((td) => Boolean(td.closest('.waiting')) === waiting)"
            ".map((td) => td.textContent);"
            "return [page.model.steps[page.step].outputs, all('.array.active').map((a) => a.dataset.array),"
            " all('#drawing .lit').length, of(false), of(true),"
            " page.model.steps.slice(0, page.step + 1).flatMap((s) => s.outputs), all('.array:not(.waiting)').length]"
        )
        assert lit == outputs
        assert drawn > 0, f"nothing is lit in the network at step {step}"
        assert all(shown)
        assert not any(hidden)
        # The batch, the labels and four parameters are there from the start.
        assert there == 6 + len(computed)


def test_buttons_keys_slider_and_play_all_step(page):
    def step():
        return page.execute_script("return page.step")

    press(page, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert step() == 1
    press(page, Keys.END)
    assert step() == 16
    press(page, Keys.HOME)
    assert step() == 0
    for name, expected in (("last", 16), ("back", 15), ("first", 0), ("forward", 1)):
        page.find_element(By.ID, name).click()
        assert step() == expected
    slider = page.find_element(By.ID, "slider")
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert step() == 3
    page.execute_script("const wait = setInterval; window.setInterval = (f) => wait(f, 5)")
    page.find_element(By.ID, "play").click()
    assert page.find_element(By.ID, "play").text in ("Pause", "Play")
    until(page, "page.step === 16 && document.getElementById('play').textContent === 'Play'")


@needs.torch
def test_a_hovered_gradient_shows_its_formula_and_three_values_that_agree(page):
    go_to(page, last_step(page))
    recording = recording_in(page)
    hover(page, cell(page, "0.weight.grad", 1, 4))
    text = answer(page)
    assert "gradient of the loss by W 1, row 1, column 4" in text
    maths = page.find_elements(By.CSS_SELECTOR, "#answer math")
    assert len(maths) >= 4
    assert all(m.size["height"] > 0 for m in maths)
    ours = recording["arrays"]["0.weight.grad"]["values"][1][4]
    checks = {kind: recording["checks"]["0.weight.grad"][kind][1][4] for kind in ("torch", "numerical")}
    rows = page.find_elements(By.CSS_SELECTOR, "#answer .comparison tr")
    shown = [number_in(r.find_elements(By.TAG_NAME, "td")[0].text) for r in rows]
    np.testing.assert_allclose(shown, [ours, checks["torch"], checks["numerical"]], rtol=1e-9)
    assert "±" in rows[2].text
    assert "The three values agree" in text
    result = page.find_element(By.CSS_SELECTOR, "#answer .result").text
    assert number_in(result.replace("=", "").strip()) == pytest.approx(ours, rel=1e-9)


@pytest.mark.parametrize("asked", ["torch", "numerical"])
def test_a_gradient_that_is_wrong_is_said_to_disagree(page, asked):
    go_to(page, last_step(page))
    page.execute_script(f"page.model.recording.checks['0.weight.grad'].{asked}[1][4] += 1e-6")
    hover(page, cell(page, "0.weight.grad", 1, 4))
    assert "do not agree" in answer(page)


def test_a_page_recorded_without_torch_compares_two_values_and_says_why(browse, tmp_path, monkeypatch):
    for module in (trace_backprop, recording):
        monkeypatch.setattr(module, "has_torch", lambda: False)
    path = tmp_path / "trace.html"
    assert trace_backprop.main(["--out", str(path)]) == 0
    page = browse(path)
    go_to(page, last_step(page))
    hover(page, cell(page, "0.weight.grad", 1, 4))
    text = answer(page)
    assert "Both values agree" in text
    assert "torch was not installed where this was recorded" in text
    assert "autograd" not in text
    change(page, "0.weight", 0, 0, 0.5)
    press(page, Keys.ESCAPE, Keys.ESCAPE)
    hover(page, cell(page, "2.weight.grad", 1, 1))
    assert "Both values agree" in answer(page)
    assert "You changed a number" not in answer(page)


def test_every_number_can_be_asked(page):
    """Every cell has a formula with at least the numbers put in, and a result that is the cell's value."""
    go_to(page, last_step(page))
    wrong = page.execute_script(EVERY_NUMBER)
    assert wrong == []


def test_cells_that_go_in_and_cells_gone_into_light_up(page):
    go_to(page, last_step(page))
    hover(page, cell(page, "0.output", 1, 2))
    weights = {("0.weight", i, 2) for i in range(4)}
    assert marked(page, "source") == {("input", 1, i) for i in range(4)} | weights | {("0.bias", 0, 2)}
    # The activation, and its derivative in the backward pass.
    assert marked(page, "dependent") == {("1.output", 1, 2), ("0.output.grad", 1, 2)}
    assert marked(page, "asked") == {("0.output", 1, 2)}
    assert page.find_elements(By.CSS_SELECTOR, "#drawing line.source")
    hover(page, page.find_element(By.TAG_NAME, "h1"))
    assert marked(page, "source") == set()


def test_a_number_that_is_not_computed_yet_says_which_step_does(page):
    hover(page, cell(page, "2.bias.grad", 0, 1))
    assert "Step 8 computes it" in answer(page)
    assert page.find_elements(By.CSS_SELECTOR, "#answer .result") == []
    cell(page, "2.bias.grad", 0, 1).click()
    page.find_element(By.CSS_SELECTOR, "#answer p button").click()
    assert page.execute_script("return page.step") == 8
    assert "agree" in answer(page)


@pytest.mark.parametrize(
    "edits",
    [
        {("input", 1, 3): -2.25},
        {("target", 0, 0): 0},
        {("0.weight", 2, 1): 1.75, ("2.weight", 4, 2): -1.5, ("2.bias", 0, 1): -0.5, ("target", 1, 0): 2},
    ],
    ids=str,
)
def test_an_edit_changes_everything_to_what_numpy_computes(page, edits):
    go_to(page, last_step(page))
    recording = recording_in(page)
    for (name, i, j), value in edits.items():
        change(page, name, i, j, value)
    expected = loss_of(recording, edits)
    values = page.execute_script("return page.model.values")
    for name, array in expected.arrays.items():
        ours = np.array(values[name]).reshape(array.shape)
        np.testing.assert_allclose(ours, array, rtol=1e-6, atol=1e-6, err_msg=name)
    (shown,) = re.findall(r"L\s*=\s*([\d.]+)", page.find_element(By.ID, "loss").text)
    assert float(shown) == pytest.approx(float(expected.arrays["loss"]), abs=1e-6)
    assert marked(page, "moved") >= set(edits)
    # The page's own numerical derivative now takes the place of the recorded values.
    hover(page, page.find_element(By.TAG_NAME, "h1"))
    press(page, Keys.ESCAPE, Keys.ESCAPE)
    hover(page, cell(page, "2.weight.grad", 1, 1))
    assert ("torch, which was asked when this was recorded" in answer(page)) == needs.HAS_TORCH
    assert "Both values agree" in answer(page)
    page.find_element(By.ID, "reset").click()
    assert marked(page, "moved") == set()
    assert not page.find_element(By.ID, "reset").is_displayed()


def test_the_learning_rate_can_be_changed(page):
    go_to(page, last_step(page))
    recording = recording_in(page)
    field = page.find_element(By.ID, "lr")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("2.5")
    expected = loss_of(recording, {}, lr=2.5)
    ours = page.execute_script("return page.model.values['0.weight.after']")
    np.testing.assert_allclose(ours, expected.arrays["0.weight.after"], atol=1e-12)
    assert page.find_element(By.ID, "title").text == "The loss again"
    (shown,) = re.findall(r"after the step\s*([\d.]+)", page.find_element(By.ID, "loss").text)
    assert float(shown) == pytest.approx(float(expected.arrays["loss.after"]), rel=1e-6)


def test_the_loss_falls_at_the_given_rate_and_not_at_every_larger_one(page):
    recording = recording_in(page)
    before = recording["arrays"]["loss"]["values"]
    after = {}
    for rate in (0.5, 5.0, 50.0):
        page.execute_script("page.model.lr = arguments[0]; page.model.compute(); page.refresh()", rate)
        after[rate] = page.execute_script("return page.model.values['loss.after'][0][0]")
        expected = float(loss_of(recording, {}, lr=rate).arrays["loss.after"])
        assert after[rate] == pytest.approx(expected, rel=1e-12)
    assert after[0.5] < before < after[50.0]
    go_to(page, last_step(page))
    hover(page, cell(page, "loss.after"))
    assert "made from 53 numbers" in answer(page)


def test_at_a_kink_a_gradient_may_be_any_between_the_two_sides(page):
    go_to(page, last_step(page))
    # The first unit is at 0 for both samples: ReLU's kink.
    page.execute_script(
        "for (const line of page.model.values['0.weight']) line[0] = 0;"
        "page.model.values['0.bias'][0][0] = 0; page.model.compute(); page.refresh()"
    )
    for name in ("0.bias.grad", "0.weight.grad", "0.output.grad"):
        hover(page, cell(page, name))
        text = answer(page)
        assert "Between the two sides" in text, name
        assert "on the left" in text
    page.execute_script("page.model.values['0.bias.grad'][0][0] = 9")
    hover(page, cell(page, "0.bias.grad"))
    assert "Not between the two sides" in answer(page)
    hover(page, cell(page, "2.bias.grad"))
    assert "Both values agree" in answer(page)


def test_what_is_no_number_or_no_class_is_not_taken(page):
    for name, wrong in (("target", 3), ("target", -1), ("target", ".5"), ("0.bias", "e")):
        before = page.execute_script("return JSON.stringify(page.model.values)")
        change(page, name, 0, 0, wrong)
        invalid = page.execute_script("return document.querySelector('#answer input').validationMessage")
        assert "expected a" in invalid
        assert page.execute_script("return JSON.stringify(page.model.values)") == before
        press(page, Keys.ESCAPE)


@pytest.mark.parametrize("typed", ["1e7", "1e400", "12345678"])
def test_what_a_number_too_large_begins_with_does_not_stay(page, typed):
    before = page.execute_script("return page.model.values['0.weight'][0][0]")
    change(page, "0.weight", 0, 0, typed)
    field = page.find_element(By.CSS_SELECTOR, "#answer input")
    assert "−1,000,000 to 1,000,000" in page.execute_script("return arguments[0].validationMessage", field)
    assert page.execute_script("return page.model.values['0.weight'][0][0]") == before
    page.execute_script("arguments[0].blur()", field)
    assert float(field.get_attribute("value")) == before
    assert page.execute_script("return arguments[0].validity.valid", field)


def test_the_address_follows_the_steps_and_opens_there(browse, page_file):
    page = browse(page_file, step=3)
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert page.current_url.endswith("#step=5")
    page.refresh()
    assert page.execute_script("return page.step") == 5
    title = page.find_element(By.ID, "title").text
    assert page.execute_script("return document.querySelector('.told strong').textContent") == title


def test_the_pace_of_playing_can_be_changed_while_it_plays(page):
    page.execute_script(
        "const wait = setInterval; window.paces = []; window.setInterval = (f, ms) => (paces.push(ms), wait(f, ms))"
    )
    page.find_element(By.ID, "play").click()
    for name in ("slow", "quick"):
        page.execute_script(
            "const pace = document.getElementById('pace'); pace.value = arguments[0];"
            "pace.dispatchEvent(new Event('change'))",
            name,
        )
    page.find_element(By.ID, "play").click()
    assert page.execute_script("return paces") == [4000, 8000, 1500]
    assert page.find_element(By.ID, "play").text == "Play"


def test_a_damaged_recording_is_refused_in_one_line_and_no_number_is_shown(browse, tmp_path):
    path = tmp_path / "page.html"
    assert trace_backprop.main(["--sizes", "2,2", "--batch", "1", "--out", str(path)]) == 0
    page = browse(path)
    accepted = page.execute_script(
        "const { textContent: text, dataset } = document.getElementById('recording');"
        "const isRead = (textContent) => isIntact({ textContent, dataset });"
        "const other = (c) => String.fromCharCode(c.charCodeAt(0) ^ 1);"
        "const changed = [...text].map((c, i) => text.slice(0, i) + other(c) + text.slice(i + 1));"
        "const cut = [...text].map((_, i) => text.slice(0, i));"
        "return [text, ...changed, ...cut].filter(isRead).length"
    )
    assert accepted == 1
    html = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'(?<="values": \[\[)(-?\d)', lambda digit: digit[0][:-1] + "7", html, count=1), "utf-8")
    assert path.read_text(encoding="utf-8") != html
    page = browse(path)
    assert page.find_element(By.ID, "subtitle").text.startswith("This file is damaged, and shows no numbers; ")
    assert page.find_elements(By.CSS_SELECTOR, "td") == []
    assert page.get_log("browser") == []
