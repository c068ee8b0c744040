"""The page without a mouse, on a phone, in the dark, and for a network on MNIST."""

import re
from itertools import product
from pathlib import Path

import pytest
from contrasts import CONTRASTS
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from trace_page import actions, answer, cell, change, go_to, hover, last_step, press, recording_in, until

from numpy_nn.commands.trace import command as trace_backprop

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def test_the_keyboard_alone_asks_and_changes(page):
    cell(page, "0.weight").send_keys(Keys.ARROW_RIGHT)
    press(page, Keys.ARROW_DOWN)
    assert page.execute_script("return document.activeElement.ariaLabel").startswith("W 1, row 1, column 1: ")
    assert page.execute_script("return page.step") == 0
    press(page, Keys.ENTER)
    actions(page).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).send_keys("2").perform()
    assert page.execute_script("return page.model.values['0.weight'][1][1]") == 2
    press(page, Keys.ESCAPE)
    assert page.execute_script("return document.activeElement.ariaLabel") == "W 1, row 1, column 1: 2"
    press(page, Keys.ESCAPE, Keys.ARROW_RIGHT)
    assert page.execute_script("return page.step") == 1


def test_the_page_stays_where_it_is_while_a_number_is_typed(browse, page_file):
    page = browse(page_file, width=1366, height=657, step=16)
    cell(page, "2.weight", 1, 1).send_keys("")
    place = "return arguments[0].getBoundingClientRect().top"
    before = page.execute_script(place, cell(page, "2.weight", 1, 1))
    press(page, Keys.ENTER)
    actions(page).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).send_keys("0.75").perform()
    assert page.execute_script("return page.model.values['2.weight'][1][1]") == 0.75
    assert page.execute_script(place, cell(page, "2.weight", 1, 1)) == pytest.approx(before, abs=1)
    assert 0 < before < page.execute_script("return document.getElementById('asked').getBoundingClientRect().top")


def test_a_tap_asks(browse, page_file):
    page = browse(page_file, width=375, height=800, step=16)
    target = cell(page, "1.output.grad", 0, 1)
    page.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", target)
    place = target.rect
    offset = page.execute_script("return [scrollX, scrollY]")
    at = {"x": place["x"] - offset[0] + 9, "y": place["y"] - offset[1] + 9}
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    until(page, "document.getElementById('answer').textContent.includes('gradient')")
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert "gradient of the loss by A 1, row 0, column 1" in answer(page)


def test_a_screen_reader_finds_a_name_and_a_role_for_everything(page):
    nameless = page.execute_script("""
        const name = (e) => e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim() || "";
        return [...document.querySelectorAll("button, input, td[data-name], table[role=grid], svg[role=img]")]
          .filter((e) => !name(e)).map((e) => e.outerHTML);
    """)
    assert nameless == []
    roles = page.execute_script("return [...document.querySelectorAll('td[data-name]')].map((td) => td.role)")
    assert set(roles) == {"gridcell"}
    assert cell(page, "0.weight", 1, 2).get_attribute("aria-label").startswith("W 1, row 1, column 2: 0.")
    assert cell(page, "2.output", 0, 1).get_attribute("aria-label") == "Z 2, row 0, column 1: not computed yet"
    # One cell of each array is reached by the tab key, the others by arrows.
    in_order = page.find_elements(By.CSS_SELECTOR, ".array td[tabindex='0']")
    assert len(in_order) == len(page.find_elements(By.CSS_SELECTOR, ".array"))


def test_contrast_is_aa_everywhere(browse, show, page_file):
    page = browse(page_file, step=16)
    change(page, "0.weight", 0, 0, 2)
    for width, scheme in product((1280, 375), ("light", "dark")):
        show(width=width, scheme=scheme)
        for asked in (["0.output", 1, 2], ["0.weight.grad", 1, 4], ["input", 0, 0]):
            page.execute_script("page.asking.ask(arguments[0], true)", asked)
            contrasts = page.execute_script(CONTRASTS)
            assert len(contrasts) > 250
            # WCAG 2.2, 1.4.3: 4.5 for text of this size.
            assert [c for c in contrasts if c[0] < 4.5] == [], (width, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_button_turns_light_into_dark_and_back(browse, page_file, scheme):
    page = browse(page_file, scheme=scheme)

    def brightness():
        colour = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    assert (brightness() > 128) == (scheme == "light")
    page.find_element(By.ID, "theme").click()
    assert (brightness() > 128) == (scheme == "dark")
    page.find_element(By.ID, "theme").click()
    assert (brightness() > 128) == (scheme == "light")


def test_nothing_but_the_strip_scrolls_sideways(page, show):
    for width in (1280, 768, 375, 320):
        show(width, height=800)
        # What was laid out for a wider window may widen a narrower one until the next frame.
        until(page, f"innerWidth === {width}")
        for step in (0, 7, 16):
            go_to(page, step)
            page.execute_script("page.asking.ask(['0.weight.grad', 1, 4], true)")
            wide, window = page.execute_script(
                "const d = document.documentElement; return [d.scrollWidth, d.clientWidth]"
            )
            assert wide <= window, (width, step)


def test_the_active_array_is_brought_into_view(page, show):
    for width, height in ((1280, 1000), (1440, 800), (1366, 657), (1280, 720), (1024, 768), (375, 667)):
        show(width, height)
        until(page, f"innerWidth === {width} && innerHeight === {height}")
        boxes = page.execute_script("""
            const boxOf = (selector) => document.querySelector(selector).getBoundingClientRect();
            return page.model.steps.slice(1).map((_, k) => {
              page.goTo(k + 1);
              const [box, panel, bar, stage] = [".array.active", "#asked", "#controls", "#stage"].map(boxOf);
              const all = [...document.querySelectorAll(".array.active")].map((e) => e.getBoundingClientRect().bottom);
              const fixed = Math.max(bar.bottom, document.body.classList.contains("stays") ? stage.bottom : 0);
              return [box.left, box.right, box.top, bar.top, fixed, panel.top, box.bottom, Math.max(...all)];
            });
        """)
        assert len(boxes) == 16
        for left, right, top, start, first, last, low, lowest in boxes:
            assert left >= 0
            assert right <= width
            assert 0 <= start < first <= top
            assert low <= last
            # All arrays of the step, if there is room for them.
            assert lowest <= last or lowest - top > last - first - 16


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1366, 657), (375, 667)])
def test_copies_of_what_a_number_is_made_from_are_in_view_and_lead_there(browse, page_file, width, height):
    page = browse(page_file, width=width, height=height, step=16)
    page.execute_script("page.asking.ask(['0.output', 1, 2], true)")
    copies = page.find_elements(By.CSS_SELECTOR, "#answer .copy")
    assert len(copies) == 9
    boxes = page.execute_script("return arguments[0].map((copy) => copy.getBoundingClientRect().toJSON())", copies)
    panel = page.execute_script("return document.getElementById('asked').getBoundingClientRect().toJSON()")
    assert all(panel["top"] <= box["top"] and box["bottom"] <= height and box["right"] <= width for box in boxes)
    # Where there is room for it, the answer stands beside the computation.
    lanes = page.execute_script("return document.querySelector('.lanes').getBoundingClientRect().right")
    assert (panel["left"] >= lanes) == (width == 1920)
    label = copies[1].get_attribute("aria-label")
    assert label == "W 1, row 0, column 2: −0.460"
    copies[1].click()
    assert answer(page).startswith("W 1, row 0, column 2")


def test_magnified_four_times_the_computation_can_be_seen(browse, page_file):
    """1280 by 1024 at 400 % is a window of 320 by 256."""
    page = browse(page_file, width=320, height=256)
    for step in (4, 9, 16):
        go_to(page, step)
        top, panel = page.execute_script(
            "return [document.querySelector('.array.active').getBoundingClientRect().top,"
            "document.getElementById('asked').getBoundingClientRect().top]"
        )
        assert 0 <= top < panel - 20
    page.execute_script("page.asking.ask(['0.weight.grad', 1, 4], true)")
    wide, window = page.execute_script("const d = document.documentElement; return [d.scrollWidth, d.clientWidth]")
    assert wide <= window


def test_the_captions_of_four_layers_do_not_overlap_on_a_phone(browse, page_file):
    page = browse(page_file, width=375, height=667)
    page.execute_script("history.replaceState(null, '', '#step=9&net=3,relu,kaiming')")
    page.refresh()
    boxes = page.execute_script(
        "return [...document.querySelectorAll('#drawing .caption math')].map((m) => m.getBoundingClientRect().toJSON())"
    )
    assert len(boxes) >= 9
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            apart = (
                a["left"] >= b["right"] or b["left"] >= a["right"] or a["top"] >= b["bottom"] or b["top"] >= a["bottom"]
            )
            assert apart, (a, b)


def test_the_network_shows_the_asked_number_its_bias_and_the_loss(browse, page_file):
    page = browse(page_file, step=16)
    page.execute_script("page.asking.ask(['0.output', 1, 2], true)")

    def shown(place):
        node = page.find_element(By.CSS_SELECTOR, f"[data-place='{place}']")
        return [node.get_attribute(f"data-{key}") for key in ("name", "row", "col")], node.get_attribute("class")

    # In the last step the units would show their gradients.
    assert shown("unit 1 2") == (["0.output", "1", "2"], "unit positive asked")
    assert shown("unit 0 3")[0] == ["input", "1", "3"]
    assert "source" in shown("bias 1 2")[1]
    page.execute_script("page.asking.ask(['loss.terms', 0, 0], true)")
    assert "dependent" in shown("loss")[1]
    page.execute_script("page.asking.clear()")
    assert shown("loss")[0] == ["loss.after", "0", "0"]
    assert shown("unit 1 2")[0][0] == "0.output.grad"


@pytest.mark.usefixtures("mnist")
def test_mnist_gets_the_short_form(browse, tmp_path):
    path = tmp_path / "mnist.html"
    sizes = ["--sizes", "784,32,10", "--data", str(ROOT / "data"), "--lr", "0.1"]
    assert trace_backprop.main([*sizes, "--out", str(path)]) == 0
    assert path.stat().st_size < 2_000_000
    page = browse(path)
    for _ in range(last_step(page)):
        press(page, Keys.ARROW_RIGHT)
    assert page.get_log("browser") == []
    summary = recording_in(page)["summary"]
    boxes = page.find_elements(By.CSS_SELECTOR, ".histogram")
    assert len(boxes) == len(summary)
    texts = dict(zip(summary, (box.text for box in boxes), strict=False))
    assert sum("RMS" in text for text in texts.values()) == len(summary) - 3  # not of the labels, nor of the two losses
    assert "64 labels" in {box.text.splitlines()[-1] for box in boxes}
    assert "label 5, taken for" in page.find_element(By.CSS_SELECTOR, ".digits .verdict").text
    for canvas in page.find_elements(By.CSS_SELECTOR, "#drawing .images:not(.digits) canvas"):
        assert canvas.is_displayed()
        painted = "return new Set(arguments[0].getContext('2d').getImageData(0, 0, 28, 28).data).size"
        assert page.execute_script(painted, canvas) > 20
    page.execute_script("document.querySelector('[data-array=\"0.weight.grad\"] .histogram').focus()")
    assert "25088 numbers" in answer(page)
    page.execute_script("document.querySelector('[data-array=\"target\"] .histogram').focus()")
    assert "How often each label occurs: 0: 7, 1: 8" in answer(page)
    assert [c for c in page.execute_script(CONTRASTS) if c[0] < 4.5] == []


def test_after_a_click_on_a_number_the_arrow_keys_still_step(page):
    cell(page, "0.weight", 1, 1).click()
    assert "W 1, row 1, column 1" in answer(page)
    press(page, Keys.ARROW_RIGHT)
    assert page.execute_script("return page.step") == 1
    press(page, Keys.ENTER)
    assert page.execute_script("return document.activeElement.ariaLabel") == "W 1, row 1, column 1"
    hover(page, cell(page, "0.weight", 2, 2))
    cell(page, "0.weight", 2, 2).click()
    assert "W 1, row 2, column 2" in answer(page)


def media(page, kind="", **features):
    listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind, "features": listed})


def test_on_paper_the_whole_computation_stands_and_no_buttons(browse, page_file):
    page = browse(page_file, step=16)
    media(page, "print")
    wide = page.execute_script("return document.querySelector('.lanes').getBoundingClientRect().width")
    assert wide <= 961
    assert not page.find_element(By.ID, "controls").is_displayed()
    assert not page.find_element(By.ID, "language").is_displayed()
    assert page.find_element(By.CSS_SELECTOR, "[data-array='loss.after']").is_displayed()
    # The pictures are not wider than the paper: the browser would make everything smaller for them.
    widths = page.execute_script("""
        document.body.style.width = "900px";
        const wide = ["#drawing svg", "#curve svg"].map((s) => document.querySelector(s).getBoundingClientRect().width);
        document.body.style.width = "";
        return wide;
    """)
    assert all(300 < width <= 900 for width in widths)
    media(page)


def test_forced_colours_keep_the_marks(browse, page_file):
    page = browse(page_file, step=16)
    media(page, forced_colors="active")
    page.execute_script("page.asking.ask(['0.weight.grad', 1, 4], true)")
    for mark, style in (("asked", "solid"), ("source", "double"), ("dependent", "dashed")):
        shown = page.execute_script(
            f"return [...document.querySelectorAll('td.{mark}')].map((td) => getComputedStyle(td).outlineStyle)"
        )
        assert set(shown) == {style}, mark
    borders = page.execute_script(
        "return [...document.querySelectorAll('.copy span')].map((copy) => getComputedStyle(copy).borderStyle)"
    )
    assert set(borders) == {"double"}
    above, below = page.execute_script(
        "return [...document.querySelectorAll('.legend .key')].map((key) => getComputedStyle(key).backgroundColor)"
    )
    assert above != below
    media(page)
