"""The page of one training step: what the script records and refuses, and the page itself in a real browser."""

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import numpy_nn as nn
from scripts import trace_backprop

ROOT = Path(__file__).parent.parent
ELEMENTWISE = sorted(name for name, a in nn.ACTIVATIONS.items() if a.elementwise)


# ---------------------------------------------------------------------------------------------------------------------
# what is recorded


def problem(layers, n=2, seed=1):
    """A float64 network of these layers with a batch."""
    net = nn.Sequential(*layers)
    rng = np.random.default_rng(seed)
    width = next(layer.in_features for layer in layers if isinstance(layer, nn.Linear))
    (classes,) = net.output_shape((width,))
    return net, rng.standard_normal((n, width)), rng.integers(0, classes, n)


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_torch_and_the_numerical_derivative_agree_with_every_gradient(activation):
    net = nn.MLP([3, 4, 4, 3], activation, rng=2, dtype=np.float64)
    rng = np.random.default_rng(3)
    recording = trace_backprop.record(net, rng.standard_normal((2, 3)), np.array([2, 0]), 0.1)
    gradients = {name for name in recording["arrays"] if name.endswith(".grad")}
    assert set(recording["checks"]) == gradients
    for name in gradients:
        ours = np.array(recording["arrays"][name]["values"])
        torch, numerical, bound = (np.array(recording["checks"][name][k]) for k in ("torch", "numerical", "bound"))
        assert ours.shape == torch.shape == numerical.shape == bound.shape
        assert (np.abs(ours - numerical) <= bound).all(), name
        assert (np.abs(torch - numerical) <= bound).all(), name
        # A bound that lets everything pass would agree with any gradient.
        assert bound.max() < 1e-8, name


def test_the_step_that_is_recorded_is_the_networks_own():
    net, x, y = problem([nn.Linear(3, 4, rng=0, dtype=np.float64), nn.Tanh(), nn.Linear(4, 2, rng=1, dtype=np.float64)])
    before = net.state_dict()
    recording = trace_backprop.record(net, x, y, 0.25)
    for name, p in net.named_parameters():
        np.testing.assert_array_equal(recording["arrays"][name]["values"], before[name])
        np.testing.assert_array_equal(recording["arrays"][f"{name}.after"]["values"], p.data)


@pytest.mark.parametrize(
    ("f", "x0", "exact"),
    [(math.sin, 0.7, math.cos(0.7)), (math.exp, 3.0, math.exp(3.0)), (lambda x: x**3 - x, -2.0, 11.0)],
)
def test_the_bound_of_the_numerical_derivative_holds(f, x0, exact):
    value, bound = trace_backprop.derivative(f, x0)
    assert abs(value - exact) <= bound < 1e-9


@pytest.mark.parametrize(
    ("layers", "n", "message"),
    [
        ([nn.Linear(17, 2, dtype=np.float64)], 2, "at most 16 units.*got 17"),
        ([nn.Linear(2, 2, dtype=np.float64) for _ in range(5)], 2, "1 to 4 weight layers, got 5"),
        ([nn.Linear(2, 2, dtype=np.float64)], 5, "at most 4 rows, got 5"),
        ([nn.Linear(2, 2, dtype=np.float64), nn.Softmax()], 2, "elementwise activations, got Softmax"),
        ([nn.Linear(2, 2, dtype=np.float64), nn.Dropout(0.5)], 2, "elementwise activations, got Dropout"),
        ([nn.Linear(2, 2)], 2, "expected float64"),
    ],
)
def test_what_the_page_cannot_draw_is_refused(layers, n, message):
    net, x, y = problem(layers, n)
    with pytest.raises((ValueError, TypeError), match=message):
        trace_backprop.record(net, x, y, 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "4,x,3"], "--sizes: expected two or more whole numbers > 0 such as 4,5,3, got '4,x,3'"),
        (["--sizes", "4"], "--sizes: expected two or more"),
        (["--sizes", "4,0,3"], "--sizes: expected two or more"),
        (["--sizes", "4,17,3"], "at most 16 units"),
        (["--sizes", "4,4,4,4,4,3"], "1 to 4 weight layers, got 5"),
        (["--sizes", "784,64,3"], "expected 10 outputs for MNIST's digits, got 3"),
        (["--batch", "5"], "at most 4 rows, got 5"),
        (["--batch", "0"], "--batch: expected a whole number >= 1, got '0'"),
        (["--activation", "rely"], "--activation: invalid choice: 'rely'"),
        (["--activation", "softmax"], "--activation: invalid choice: 'softmax'"),
        (["--lr", "-1"], "--lr: expected a number >= 0, got '-1'"),
        (["--lr", "nan"], "--lr: expected a number >= 0, got 'nan'"),
        (["--seed", "1.5"], "--seed: expected a whole number >= 0, got '1.5'"),
        (["--out", "no/such/folder/trace.html"], "no/such/folder/trace.html"),
        (["--checkpoint", "weights.npz"], "--checkpoint: goes with MNIST's 784 inputs"),
        (["--sizes", "784,64,10", "--data", "nowhere"], "fetch_mnist.py"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        sys.exit(trace_backprop.main(arguments))
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("trace_backprop: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert list(tmp_path.iterdir()) == []


def test_it_runs_as_a_command(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "trace_backprop.py"), "--sizes", "3,2", "--out", "page.html"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("written: page.html (")


def test_the_committed_page_is_what_the_script_writes(page_file):
    """The template to the letter, the recorded numbers to what another processor's sums may differ by."""
    recording = re.compile(r'(?<=<script type="application/json" id="recording">).*?(?=</script>)', re.DOTALL)
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "trace-4-5-3.html", page_file)]
    committed, fresh = (recording.sub("", text) for text in texts)
    assert committed == fresh
    ours, theirs = (json.loads("".join(recording.findall(text))) for text in texts)
    for name, array in theirs["arrays"].items():
        np.testing.assert_allclose(ours["arrays"][name]["values"], array["values"], atol=1e-13)


# ---------------------------------------------------------------------------------------------------------------------
# the browser


@pytest.fixture(scope="session")
def page_file(tmp_path_factory):
    """The page of the README."""
    path = tmp_path_factory.mktemp("trace") / "trace.html"
    assert trace_backprop.main(["--sizes", "4,5,3", "--batch", "2", "--seed", "0", "--out", str(path)]) == 0
    return path


def find_browser():
    """Where Chromium and its driver are; without them the tests fail, and say in one line what they need."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.fail(
            "needs Chromium and its driver; on Debian: apt-get install -y chromium chromium-driver", pytrace=False
        )
    return browser, driver


def test_without_chromium_the_tests_say_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match="apt-get install -y chromium chromium-driver"):
        find_browser()


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium, which keeps a log of the console and of every request."""
    browser, driver = find_browser()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def browse(chromium):
    """Opens a page in a window of some size, light or dark, without scrolling that takes time."""

    def open_page(path, width=1280, height=1000, scheme="light", step=None):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in media.items()]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        chromium.get("about:blank")
        for kind in ("browser", "performance"):
            chromium.get_log(kind)
        chromium.get(f"{path.as_uri()}#step={step or 0}")
        return chromium

    return open_page


@pytest.fixture
def page(browse, page_file):
    """The page of the README, at its first step."""
    return browse(page_file)


def recording_in(page):
    return page.execute_script("return JSON.parse(document.getElementById('recording').textContent)")


def cell(page, name, i=0, j=0):
    return page.find_element(By.CSS_SELECTOR, f'td[data-name="{name}"][data-row="{i}"][data-col="{j}"]')


def hover(page, element):
    page.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", element)
    ActionChains(page).move_to_element(element).perform()


def answer(page):
    return page.find_element(By.ID, "answer").text


def press(page, *keys):
    ActionChains(page).send_keys(*keys).perform()


def number_in(text):
    return float(text.replace("−", "-"))


def go_to(page, step):
    page.execute_script("page.goTo(arguments[0])", step)


def last_step(page):
    return page.execute_script("return page.model.steps.length - 1")


def test_it_loads_and_steps_to_the_end_without_an_error_or_a_request(page, page_file):
    assert page_file.stat().st_size < 2_000_000
    last = last_step(page)
    assert last == 15
    for _ in range(last):
        page.find_element(By.ID, "forward").click()
    assert page.find_element(By.ID, "position").text == "15 / 15"
    assert not page.find_element(By.ID, "forward").is_enabled()
    assert page.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith("data:")} == {page_file.as_uri()}


def test_each_step_lights_its_arrays_in_both_views_and_shows_what_is_computed(page):
    assert page.find_elements(By.CSS_SELECTOR, ".array.active") == []
    for step in range(1, last_step(page) + 1):
        press(page, Keys.ARROW_RIGHT)
        outputs = page.execute_script("return page.model.steps[page.step].outputs")
        lit = [a.get_attribute("data-array") for a in page.find_elements(By.CSS_SELECTOR, ".array.active")]
        assert lit == outputs
        assert page.find_elements(By.CSS_SELECTOR, "#drawing .lit"), f"nothing is lit in the network at step {step}"
        shown, hidden = page.execute_script(
            "const of = (waiting) => [...document.querySelectorAll('.array td')]"
            ".filter((td) => Boolean(td.closest('.waiting')) === waiting).map((td) => td.textContent);"
            "return [of(false), of(true)]"
        )
        assert all(shown)
        assert not any(hidden)
        computed = page.execute_script("return page.model.steps.slice(0, page.step + 1).flatMap((s) => s.outputs)")
        # The batch, the labels and four parameters are there from the start.
        assert len(page.find_elements(By.CSS_SELECTOR, ".array:not(.waiting)")) == 6 + len(computed)


def test_buttons_keys_slider_and_play_all_step(page):
    def step():
        return page.execute_script("return page.step")

    press(page, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert step() == 1
    press(page, Keys.END)
    assert step() == 15
    press(page, Keys.HOME)
    assert step() == 0
    for name, expected in (("last", 15), ("back", 14), ("first", 0), ("forward", 1)):
        page.find_element(By.ID, name).click()
        assert step() == expected
    slider = page.find_element(By.ID, "slider")
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert step() == 3
    page.execute_script("const wait = setInterval; window.setInterval = (f) => wait(f, 5)")
    page.find_element(By.ID, "play").click()
    assert page.find_element(By.ID, "play").text in ("Pause", "Play")
    page.execute_async_script("setTimeout(arguments[0], 400)")
    assert step() == 15
    assert page.find_element(By.ID, "play").text == "Play"


ARCHITECTURES = [[3, 2], [4, 5, 3], [2, 3, 1, 4], [16, 16, 16, 16, 16]]


def layered(*layers):
    """Layers in float64: a tuple holds the arguments of a Linear, an activation stands for itself."""
    return [nn.Linear(*e, rng=k, dtype=np.float64) if isinstance(e, tuple) else e for k, e in enumerate(layers)]


def step_of(net, n=4, scale=2.0):
    rng = np.random.default_rng(7)
    width = next(layer.in_features for layer in net if isinstance(layer, nn.Linear))
    (classes,) = net.output_shape((width,))
    x, y = scale * rng.standard_normal((n, width)), rng.integers(0, classes, n)
    trace = nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.3), x, y)
    return {**json.loads(trace.to_json()), "checks": {}}


def recomputed(page, recording):
    """Every array as the page computes it, beside the recorded one."""
    return page.execute_script(
        "const model = new Model(arguments[0]); model.compute();"
        "return [...model.arrays.keys()].map((name) => [name, model.values[name], model.recorded[name]])",
        recording,
    )


def assert_recomputed(page, recording):
    arrays = recomputed(page, recording)
    assert {name for name, *_ in arrays} == set(recording["arrays"])
    for name, ours, recorded in arrays:
        np.testing.assert_allclose(ours, recorded, rtol=1e-6, atol=1e-6, err_msg=name)
        # What is asked for is 1e-6; the formulas being the same, only the order of the sums differs.
        np.testing.assert_allclose(ours, recorded, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_the_page_computes_what_numpy_does(page, activation):
    for sizes in ARCHITECTURES:
        assert_recomputed(page, step_of(nn.MLP(sizes, activation, rng=5, dtype=np.float64)))


@pytest.mark.parametrize(
    "layers",
    [
        [(3, 4), nn.LeakyReLU(0.3), (4, 2)],
        [(3, 4), nn.PReLU(4, dtype=np.float64), (4, 2)],
        [(3, 4), nn.ELU(0.5), (4, 2)],
        [(3, 4), nn.GELU("tanh"), (4, 2)],
        [(3, 4), nn.Softplus(3.0), (4, 2)],
        [(3, 4), nn.Hardtanh(-0.5, 2.0), (4, 2)],
        [(3, 4, False), nn.ReLU(), (4, 2, False)],
        [(3, 4), (4, 4), (4, 2)],
        [(3, 4), nn.Tanh(), nn.SiLU(), nn.ReLU(), (4, 2)],
        [nn.Tanh(), (3, 4), nn.ReLU(), (4, 2), nn.Sigmoid()],
    ],
    ids=lambda layers: " ".join(str(e) if isinstance(e, tuple) else repr(e) for e in layers),
)
def test_the_page_computes_any_small_sequential(page, layers):
    assert_recomputed(page, step_of(nn.Sequential(*layered(*layers))))


def test_the_pages_arithmetic_survives_large_numbers(page):
    """Logits near 1000 overflow a softmax that forgets to subtract the largest."""
    assert_recomputed(page, step_of(nn.Sequential(*layered((3, 4), nn.Softplus(), (4, 2))), scale=1e3))


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
    checks = {kind: np.array(v)[1, 4] for kind, v in recording["checks"]["0.weight.grad"].items()}
    rows = page.find_elements(By.CSS_SELECTOR, "#answer .comparison tr")
    shown = [number_in(r.find_elements(By.TAG_NAME, "td")[0].text) for r in rows]
    np.testing.assert_allclose(shown, [ours, checks["torch"], checks["numerical"]], rtol=1e-9)
    assert "±" in rows[2].text
    assert "The three values agree" in text
    result = page.find_element(By.CSS_SELECTOR, "#answer .result").text
    assert number_in(result.replace("=", "").strip()) == pytest.approx(ours, rel=1e-9)


def test_a_gradient_that_is_wrong_is_said_to_disagree(page):
    go_to(page, last_step(page))
    page.execute_script("page.model.recording.checks['0.weight.grad'].torch[1][4] += 1e-6")
    hover(page, cell(page, "0.weight.grad", 1, 4))
    assert "do not agree" in answer(page)


def test_every_number_can_be_asked(page):
    """Every cell has a formula with at least the numbers put in, and a result that is the cell's value."""
    go_to(page, last_step(page))
    wrong = page.execute_script("""
        const wrong = [];
        for (const td of document.querySelectorAll("td[data-name]")) {
          const [name, i, j] = [td.dataset.name, Number(td.dataset.row), Number(td.dataset.col)];
          page.asking.ask([name, i, j], true);
          const panel = document.getElementById("answer");
          const given = Boolean(page.model.arrays.get(name).editable);
          const result = panel.querySelector(".result math")?.textContent.replace("=", "");
          const fine = given ? panel.querySelector("input") : panel.querySelectorAll("math").length >= 3
            && result === resultText(page.model.values[name][i][j]);
          const verdict = !name.endsWith(".grad") || panel.querySelector(".verdict.agree");
          if (!fine || !verdict || /undefined|NaN/.test(panel.textContent)) wrong.push(`${name} ${i} ${j}`);
        }
        return wrong;
    """)
    assert wrong == []


def marked(page, mark):
    return {
        (c.get_attribute("data-name"), int(c.get_attribute("data-row")), int(c.get_attribute("data-col")))
        for c in page.find_elements(By.CSS_SELECTOR, f"td.{mark}")
    }


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


@pytest.mark.parametrize(
    "edits",
    [
        {("0.weight", 2, 1): 1.75},
        {("2.bias", 0, 1): -0.5},
        {("input", 1, 3): -2.25},
        {("target", 0, 0): 0},
        {("0.weight", 0, 0): 3, ("2.weight", 4, 2): -1.5, ("target", 1, 0): 2},
    ],
    ids=str,
)
def test_an_edit_changes_everything_to_what_numpy_computes(page, edits):
    go_to(page, last_step(page))
    recording = recording_in(page)
    for (name, i, j), value in edits.items():
        change(page, name, i, j, value)
    expected = loss_of(recording, edits)
    for name, array in expected.arrays.items():
        ours = np.array(page.execute_script("return page.model.values[arguments[0]]", name)).reshape(array.shape)
        np.testing.assert_allclose(ours, array, rtol=1e-6, atol=1e-6, err_msg=name)
    (shown,) = re.findall(r"L\s*=\s*([\d.]+)", page.find_element(By.ID, "loss").text)
    assert float(shown) == pytest.approx(float(expected.arrays["loss"]), abs=1e-6)
    assert marked(page, "moved") >= set(edits)
    # The page's own numerical derivative now takes the place of the recorded values.
    hover(page, page.find_element(By.TAG_NAME, "h1"))
    press(page, Keys.ESCAPE)
    hover(page, cell(page, "2.weight.grad", 1, 1))
    assert "torch, which was asked when this was recorded" in answer(page)
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


def test_what_is_no_number_or_no_class_is_not_taken(page):
    for name, wrong in (("target", 3), ("target", -1), ("target", ".5"), ("0.bias", "e")):
        before = page.execute_script("return JSON.stringify(page.model.values)")
        change(page, name, 0, 0, wrong)
        invalid = page.execute_script("return document.querySelector('#answer input').validationMessage")
        assert "expected a" in invalid
        assert page.execute_script("return JSON.stringify(page.model.values)") == before
        press(page, Keys.ESCAPE)


# ---------------------------------------------------------------------------------------------------------------------
# without a mouse, on a phone, in the dark


def test_the_keyboard_alone_asks_and_changes(page):
    cell(page, "0.weight").send_keys(Keys.ARROW_RIGHT)
    press(page, Keys.ARROW_DOWN)
    assert page.execute_script("return document.activeElement.ariaLabel").startswith("W 1, row 1, column 1: ")
    assert page.execute_script("return page.step") == 0
    press(page, Keys.ENTER)
    ActionChains(page).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).send_keys("2").perform()
    assert page.execute_script("return page.model.values['0.weight'][1][1]") == 2
    press(page, Keys.ESCAPE, Keys.ARROW_RIGHT)
    assert page.execute_script("return page.step") == 1


def test_a_tap_asks(browse, page_file):
    page = browse(page_file, width=375, height=800, step=15)
    target = cell(page, "1.output.grad", 0, 1)
    page.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", target)
    place = target.rect
    offset = page.execute_script("return [scrollX, scrollY]")
    at = {"x": place["x"] - offset[0] + 9, "y": place["y"] - offset[1] + 9}
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.execute_async_script("setTimeout(arguments[0], 300)")
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert "gradient of the loss by A 1, row 0, column 1" in answer(page)


def test_a_screen_reader_finds_a_name_and_a_role_for_everything(page):
    nameless = page.execute_script("""
        const name = (e) => e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim() || "";
        return [...document.querySelectorAll("button, input, td[data-name], table[role=grid], svg[role=img]")]
          .filter((e) => !name(e)).map((e) => e.outerHTML);
    """)
    assert nameless == []
    cells = page.find_elements(By.CSS_SELECTOR, "td[data-name]")
    assert all(c.get_attribute("role") == "gridcell" for c in cells)
    assert cell(page, "0.weight", 1, 2).get_attribute("aria-label").startswith("W 1, row 1, column 2: 0.")
    assert cell(page, "2.output", 0, 1).get_attribute("aria-label") == "Z 2, row 0, column 1: not computed yet"
    # One cell of each array is reached by the tab key, the others by arrows.
    in_order = page.find_elements(By.CSS_SELECTOR, ".array td[tabindex='0']")
    assert len(in_order) == len(page.find_elements(By.CSS_SELECTOR, ".array"))


CONTRASTS = """
    const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
      .getContext("2d", {willReadFrequently: true});
    const paint = (colours) => {
      pen.clearRect(0, 0, 1, 1);
      for (const c of colours) { pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); }
      return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (rgb) => {
      const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (e) => {
      const layers = [];
      for (let node = e; node; node = node.parentElement) layers.unshift(getComputedStyle(node).backgroundColor);
      if (e.matches(".unit text")) layers.push(getComputedStyle(e.previousElementSibling).fill);
      return layers;
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      const e = text.parentElement;
      const seen = text.textContent.trim() && !e.matches("script") && e.getClientRects().length;
      if (!seen || e.closest(":disabled")) continue;
      const style = getComputedStyle(e);
      const ink = e.matches("svg text") ? style.fill : style.color;
      const layers = behind(e);
      const [a, b] = [light(paint([...layers, ink])), light(paint(layers))].sort((p, q) => q - p);
      found.push([(a + 0.05) / (b + 0.05), text.textContent.trim().slice(0, 30), e.className?.baseVal ?? e.className]);
    }
    return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_contrast_is_aa_everywhere(browse, page_file, scheme, width):
    page = browse(page_file, width=width, scheme=scheme, step=15)
    change(page, "0.weight", 0, 0, 2)
    for asked in (["0.output", 1, 2], ["0.weight.grad", 1, 4], ["input", 0, 0]):
        page.execute_script("page.asking.ask(arguments[0], true)", asked)
        contrasts = page.execute_script(CONTRASTS)
        assert len(contrasts) > 250
        # WCAG 2.2, 1.4.3: 4.5 for text of this size.
        assert [c for c in contrasts if c[0] < 4.5] == []


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


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_nothing_but_the_strip_scrolls_sideways(browse, page_file, width):
    page = browse(page_file, width=width, height=800)
    for step in (0, 7, 15):
        go_to(page, step)
        page.execute_script("page.asking.ask(['0.weight.grad', 1, 4], true)")
        wide, window = page.execute_script("const d = document.documentElement; return [d.scrollWidth, d.clientWidth]")
        assert wide <= window


@pytest.mark.parametrize(("width", "height"), [(1280, 1000), (1440, 800), (375, 800)])
def test_the_active_array_is_brought_into_view(browse, page_file, width, height):
    page = browse(page_file, width=width, height=height)
    page.execute_script("document.getElementById('strip').scrollIntoView()")
    for step in range(1, 16):
        go_to(page, step)
        left, right, top, first, last, low = page.execute_script(
            "const box = document.querySelector('.array.active').getBoundingClientRect();"
            "const panel = document.getElementById('asked').getBoundingClientRect();"
            "const bar = document.getElementById('controls').getBoundingClientRect();"
            "return [box.left, box.right, box.top, bar.bottom, panel.top, box.bottom]"
        )
        assert left >= 0
        assert right <= width
        assert first <= top
        assert low <= last


# ---------------------------------------------------------------------------------------------------------------------
# MNIST


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
    assert all("norm" in box.text for box in boxes)
    for canvas in page.find_elements(By.CSS_SELECTOR, "#drawing canvas"):
        assert canvas.is_displayed()
        painted = "return new Set(arguments[0].getContext('2d').getImageData(0, 0, 28, 28).data).size"
        assert page.execute_script(painted, canvas) > 20
    page.execute_script("document.querySelector('[data-array=\"0.weight.grad\"] .histogram').focus()")
    assert "25088 numbers" in answer(page)


@pytest.mark.usefixtures("mnist")
def test_the_short_form_summarizes_the_step(mnist):
    net = nn.MLP([784, 8, 10], rng=0)
    x, y = mnist.x_train[:16], mnist.y_train[:16]
    recording = trace_backprop.shorten(net, x, y, 0.1)
    loss = nn.CrossEntropyLoss()
    net = nn.MLP([784, 8, 10], rng=0)
    assert recording["summary"]["loss"]["mean"] == pytest.approx(loss(net(x), y), rel=1e-6)
    net.backward(loss.backward())
    gradient = net[0].weight.grad
    summary = recording["summary"]["0.weight.grad"]
    assert summary["norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    assert sum(summary["counts"]) == summary["size"] == 784 * 8
    assert summary["zeros"] == np.count_nonzero(gradient == 0)
