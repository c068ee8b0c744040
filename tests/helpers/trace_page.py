"""What a reader does with the page of one training step: points, presses, changes a number, reads the answer."""

import numpy as np
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import numpy_nn as nn

# Ask every number; those whose answer lacks a formula, the value, or a verdict that agrees.
EVERY_NUMBER = """
    const wrong = [];
    for (const td of document.querySelectorAll("td[data-name]")) {
      const [name, i, j] = [td.dataset.name, Number(td.dataset.row), Number(td.dataset.col)];
      page.asking.ask([name, i, j], true);
      const panel = document.getElementById("answer");
      const { editable, maker } = page.model.arrays.get(name);
      const result = panel.querySelector(".result math")?.textContent.replace("=", "");
      const computed = () => panel.querySelectorAll("math").length >= 3
        && result === resultText(page.model.values[name][i][j]);
      const fine = editable ? panel.querySelector("input") : maker ? computed() : panel.querySelector(".hint");
      const verdict = !name.endsWith(".grad") || panel.querySelector(".verdict.agree");
      if (!fine || !verdict || /undefined|NaN/.test(panel.textContent)) wrong.push(`${name} ${i} ${j}`);
    }
    return wrong;
"""


def recording_in(page):
    return page.execute_script("return JSON.parse(document.getElementById('recording').textContent)")


def cell(page, name, i=0, j=0):
    return page.find_element(By.CSS_SELECTOR, f'td[data-name="{name}"][data-row="{i}"][data-col="{j}"]')


def actions(page):
    """What a hand does, at once: by itself each move of the pointer would take a quarter of a second."""
    return ActionChains(page, duration=0)


def hover(page, element):
    page.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", element)
    actions(page).move_to_element(element).perform()


def until(page, condition):
    """Wait until this is true in the page, however long it takes."""
    look = f"const done = arguments[0], look = () => {condition} ? done() : setTimeout(look, 5); look()"
    page.execute_async_script(look)


def answer(page):
    return page.find_element(By.ID, "answer").text


def press(page, *keys):
    actions(page).send_keys(*keys).perform()


def number_in(text):
    return float(text.replace("−", "-"))


def go_to(page, step):
    page.execute_script("page.goTo(arguments[0])", step)


def last_step(page):
    return page.execute_script("return page.model.steps.length - 1")


def marked(page, mark):
    cells = page.execute_script(
        "return [...document.querySelectorAll(`td.${arguments[0]}`)].map(({ dataset }) => ({ ...dataset }))", mark
    )
    return {(c["name"], int(c["row"]), int(c["col"])) for c in cells}


def change(page, name, i, j, value):
    page.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", cell(page, name, i, j))
    cell(page, name, i, j).click()
    field = page.find_element(By.CSS_SELECTOR, "#answer input")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(str(value))


def loss_of(recording, edits, lr=None):
    """NumPy's own recording of the same step after the edits."""
    arrays = {name: np.array(a["values"]) for name, a in recording["arrays"].items()}
    for (name, i, j), value in edits.items():
        index = i if name == "target" else j if arrays[name].ndim == 1 else (i, j)
        arrays[name][index] = value
    net = nn.MLP([4, 5, 3], "relu", dtype=np.float64)
    for name, p in net.named_parameters():
        p.data[...] = arrays[name]
    optimizer = nn.SGD(net.parameters(), recording["lr"] if lr is None else lr)
    return nn.trace.record(net, nn.CrossEntropyLoss(), optimizer, arrays["input"], arrays["target"])
