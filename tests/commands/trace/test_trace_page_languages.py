"""The page in its languages: the same keys in each, and no text of one in the other."""

import re

import pytest
from contrasts import CONTRASTS
from selenium.webdriver.common.by import By
from trace_page import change, go_to, last_step

from numpy_nn.commands.trace import command as trace_backprop
from numpy_nn.commands.trace.arguments import MISTAKES

pytestmark = pytest.mark.slow

# Every text on the page that is seen or read aloud.
TEXTS = """
    const shown = document.body.innerText.split(/\\n/);
    const said = [...document.querySelectorAll("[aria-label], [title]")]
      .flatMap((node) => [node.getAttribute("aria-label"), node.title]);
    return [...shown, ...said].filter(Boolean);
"""
# Names, symbols and what the keyboard calls its keys are in Latin letters in Chinese too.
LATIN = """
    torch autograd softmax logits ReLU NumPy Home End Enter Esc Escape relu English e W b X x y Y Z z A a P p L N n c k
    i j f new SGD max min ln scripts trace_backprop py leaky_relu tanh sigmoid gelu silu elu softsign identity Xavier
    Kaiming He
"""


def keys_of(page, language):
    return page.execute_script(
        "const keys = (table, path) => Object.entries(table).flatMap(([key, value]) =>"
        "typeof value === 'object' && !Array.isArray(value) ? keys(value, `${path}${key}.`)"
        ": [`${path}${key} ${typeof value} ${value.length > 3 || typeof value === 'string' ? '' : value.length}`]);"
        "return keys(LANGUAGES[arguments[0]], '').sort()",
        language,
    )


def test_each_language_has_the_same_keys(functions):
    english = keys_of(functions, "en")
    assert len(english) > 150
    assert keys_of(functions, "zh") == english
    assert {key.split()[0] for key in english if key.startswith("causes.")} == {f"causes.{name}" for name in MISTAKES}


def test_in_chinese_nothing_is_left_in_english(browse, tmp_path):
    path = tmp_path / "trace.html"
    assert trace_backprop.main(["--lang", "zh", "--out", str(path)]) == 0
    page = browse(path)
    assert page.execute_script("return [document.documentElement.lang, document.title]") == [
        "zh-CN",
        "一步一步看反向传播",
    ]
    texts = set()
    for step in range(last_step(page) + 1):
        go_to(page, step)
        texts |= set(page.execute_script(TEXTS))
    page.execute_script("page.pathsView.opened = true")
    for asked in (
        ["0.weight", 1, 4],
        ["0.weight.grad", 1, 4],
        ["2.weight.after", 0, 0],
        ["target", 0, 0],
        ["loss", 0, 0],
    ):
        page.execute_script("page.asking.ask(arguments[0], true)", asked)
        texts |= set(page.execute_script(TEXTS))
    change(page, "0.weight", 0, 0, 2)
    page.execute_script("page.running.runTo(1); page.hunt.hide('sign'); page.goTo(12); page.hunt.judge()")
    texts |= set(page.execute_script(TEXTS))
    page.execute_script(
        "page.hunt.hide(''); page.goTo(16); page.predict.turn(true); page.asking.ask(['loss', 0, 0], true)"
    )
    texts |= set(page.execute_script(TEXTS))
    english = {text for text in texts if set(re.findall(r"[A-Za-z_]+", text)) - {*LATIN.split()}}
    assert english == set()
    assert page.get_log("browser") == []


def test_the_button_changes_the_language_and_keeps_the_place(browse, page_file):
    page = browse(page_file, step=7, width=375)
    page.find_element(By.ID, "language").click()
    assert page.find_element(By.ID, "play").text == "播放"
    assert page.current_url.endswith("#step=7&lang=zh")
    page.execute_script("page.asking.ask(['2.weight', 1, 1], true)")
    assert [c for c in page.execute_script(CONTRASTS) if c[0] < 4.5] == []
    wide, window = page.execute_script("const d = document.documentElement; return [d.scrollWidth, d.clientWidth]")
    assert wide <= window
    page.find_element(By.ID, "language").click()
    assert page.find_element(By.ID, "play").text == "Play"
    assert page.current_url.endswith("#step=7&lang=en")
