"""Predict before you see: blank numbers, what is said of a wrong one, and the worksheet."""

import pytest
from contrasts import CONTRASTS
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from trace_page import cell, last_step, press

from numpy_nn.gradcheck.explain.causes import WORDS

pytestmark = pytest.mark.slow

# Every blank number: what is said of it right, to three digits, and wrong; and of the known slips.
EVERY_BLANK = """
    const { predict, model } = page;
    const panel = document.getElementById("answer");
    const say3 = (x) => String(x === 0 ? 0 : Number(x.toPrecision(3)));
    return predict.blanks().map(({ array, i, j }) => {
      page.asking.ask([array.name, i, j], true);
      const result = resultText(model.values[array.name][i][j]);
      const same = ([name, k, l]) => model.values[name][k][l] === model.values[array.name][i][j];
      const known = result.length < 5 || model.sources(array.name, i, j).some(same);
      const shownBefore = !known && panel.textContent.includes(result);
      const type = (text) => {
        panel.querySelector(".field input").value = text;
        panel.querySelector(".field button").click();
        return panel.querySelector(".field .verdict")?.textContent ?? "";
      };
      const wrong = type("123456");
      type(say3(model.values[array.name][i][j]));
      return [array.name, wrong, predict.isBlank(array.name, i, j), shownBefore];
    });
"""


# Ask every number; those in whose answer five digits of a blank stand that are no other number's.
LEAKS = """
    const { predict, model } = page;
    const digits = (x) => formulaText(Math.abs(x));
    const open = predict.blanks().map(({ array, i, j }) => [array.name, i, j]).filter((b) => predict.isBlank(...b));
    const isOpen = new Set(open.map(String));
    const shown = new Set(allThat("td[data-name]").values().map(({ dataset: { name, row, col } }) => [name, row, col])
      .filter((c) => !isOpen.has(String(c))).map(([name, i, j]) => digits(model.values[name][i][j])));
    const secrets = open.map(([name, i, j]) => digits(model.values[name][i][j]))
      .filter((text) => text.length > 5 && !shown.has(text));
    const leaks = [];
    for (const { dataset: { name, row, col } } of allThat("td[data-name]")) {
      page.asking.ask([name, Number(row), Number(col)], true);
      for (const details of allThat("#answer details")) details.open = true;
      const text = document.body.innerText;
      for (const secret of secrets) if (text.includes(secret)) leaks.push([name, row, col, secret]);
    }
    return [secrets.length, leaks];
"""


def press_predict(page):
    page.execute_script("document.getElementById('predict').click()")


def ask(page, name, i=0, j=0):
    page.execute_script("page.asking.ask(arguments[0], true)", [name, i, j])


def verdict_on(page, number):
    field = page.find_element(By.CSS_SELECTOR, "#answer .field input")
    field.clear()
    field.send_keys(str(number), Keys.ENTER)
    return page.find_element(By.CSS_SELECTOR, "#answer .field .verdict").text


def test_every_array_has_blanks_and_three_digits_are_enough(browse, page_file):
    page = browse(page_file, step=16)
    press_predict(page)
    told = page.execute_script(EVERY_BLANK)
    assert {name for name, *_ in told} == set(page.execute_script("return page.model.makers().map(({ name }) => name)"))
    for name, wrong, still_blank, shown in told:
        assert wrong == "✗ Not that number. Put the numbers above into the formula.", name
        assert not still_blank, name
        assert not shown, name
    assert page.find_element(By.ID, "predicted").text.endswith(f"{len(told)} of {len(told)} so far.")
    assert page.find_elements(By.CSS_SELECTOR, "td.blank") == []
    assert page.get_log("browser") == []


def test_a_wrong_number_is_told_which_rule_was_missed(browse, page_file):
    page = browse(page_file, step=16)
    press_predict(page)
    found = page.execute_script("return page.predict.blanks().map(({ array, i, j }) => [array.name, i, j])")
    blanks = {name: (i, j) for name, i, j in reversed(found)}
    values = page.execute_script("return page.model.values")

    def value(name):
        i, j = blanks[name]
        return values[name][i][j]

    def said(name, wrong):
        ask(page, name, *blanks[name])
        return verdict_on(page, wrong)

    (i, j), (_, k), (m, n) = (blanks[name] for name in ("0.output", "2.bias.after", "2.weight.after"))
    assert "bias is missing" in said("0.output", values["0.output"][i][j] - values["0.bias"][0][j])
    assert "That is the sum" in said("loss", 2 * value("loss"))
    assert "minus the logarithm" in said("loss.terms", -value("loss.terms"))
    without_rate = values["2.bias"][0][k] - values["2.bias.grad"][0][k]
    assert "multiplied by the learning rate" in said("2.bias.after", without_rate)
    assert "uphill" in said("2.weight.after", 2 * values["2.weight"][m][n] - value("2.weight.after"))
    # In the backward pass the words are the checker's.
    assert WORDS["bias_averaged"][0] in said("2.bias.grad", value("2.bias.grad") / 2)
    assert WORDS["batch_mean_missing"][0] in said("2.output.grad", 2 * value("2.output.grad"))


def test_what_is_blank_stands_nowhere_and_can_be_shown(browse, show, page_file):
    page = browse(page_file, step=16)
    press_predict(page)
    assert page.find_element(By.ID, "loss").text == ""
    assert cell(page, "loss").text == "?"
    secrets, leaks = page.execute_script(LEAKS)
    assert secrets > 20
    assert leaks == []
    for scheme in ("light", "dark"):
        show(scheme=scheme)
        assert [c for c in page.execute_script(CONTRASTS) if c[0] < 4.5] == [], scheme
    i, j = page.execute_script(
        "const b = page.predict.blanks().find(({ array }) => array.name === '0.output'); return [b.i, b.j]"
    )
    ask(page, "1.output", i, j)
    assert page.find_element(By.CSS_SELECTOR, ".copy span").text == "?"
    ask(page, "loss")
    page.execute_script("document.querySelectorAll('#answer .field button')[1].click()")
    assert cell(page, "loss").text == "0.973"
    press_predict(page)
    assert page.find_elements(By.CSS_SELECTOR, "td.blank") == []


def test_on_paper_the_answers_stand_on_a_sheet_of_their_own(browse, page_file):
    page = browse(page_file, step=16)
    press_predict(page)
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    sheet = page.find_element(By.ID, "answers")
    assert sheet.is_displayed()
    assert page.execute_script("return getComputedStyle(arguments[0]).breakBefore", sheet) == "page"
    answers = sheet.find_elements(By.TAG_NAME, "p")
    assert len(answers) == len(page.find_elements(By.CSS_SELECTOR, "td.blank")) > 30
    assert (
        answers[0]
        .text.replace("\n", "")
        .endswith(
            page.execute_script(
                "const b = page.predict.blanks()[0]; return cellText(page.model.values[b.array.name][b.i][b.j])"
            )
        )
    )
    assert not page.find_element(By.ID, "asked").is_displayed()
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_worksheet_goes_as_far_as_the_step_and_from_the_first_one_to_the_end(browse, page_file):
    page = browse(page_file)
    press_predict(page)
    on_paper = (
        "return [page.step, document.querySelectorAll('td.blank').length, page.predict.answers.children.length - 1]"
    )
    sheets = {}
    for step in (0, 5):
        page.execute_script("page.goTo(arguments[0]); dispatchEvent(new Event('beforeprint'))", step)
        sheets[step] = page.execute_script(on_paper)
        page.execute_script("dispatchEvent(new Event('afterprint'))")
        assert page.execute_script("return page.step") == step
    assert sheets[0][0] == last_step(page)
    assert sheets[5][0] == 5
    assert sheets[0][1] == sheets[0][2] > sheets[5][1] == sheets[5][2] > 3


def test_the_keyboard_alone_predicts(browse, page_file):
    page = browse(page_file, step=16)
    page.execute_script("document.getElementById('predict').focus()")
    press(page, " ")
    cell(page, "loss").send_keys(Keys.ENTER)
    press(page, "0.973", Keys.ENTER)
    assert cell(page, "loss").text == "0.973"
