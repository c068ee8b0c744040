"""Training over time in the page: its steps are NumPy's, and any of them can be gone to."""

import json

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from trace_page import EVERY_NUMBER, answer, last_step, loss_of, marked, recording_in

import numpy_nn as nn
from numpy_nn.commands.trace import command as trace_backprop
from numpy_nn.commands.trace.recording import LOSSES, OPTIMIZERS, settings, with_options
from numpy_nn.commands.trace.same_mask import with_same_masks

pytestmark = pytest.mark.slow

STEPS = 1000
ELEMENTWISE = sorted(name for name, a in nn.ACTIVATIONS.items() if a.elementwise)
PARITY = """
    const model = new Model(arguments[0]);
    const training = new Training(model);
    training.goTo(arguments[1]);
    return [training.losses, Object.fromEntries(training.parameters.map((name) => [name, model.values[name]]))];
"""


def trained(net, optimizer, loss, x, y, steps):
    """The losses of ``steps`` steps and of the parameters after them."""
    losses = []
    for _ in range(steps):
        losses.append(loss(net(x), y))
        net.backward(loss.backward())
        optimizer.step()
    return [*losses, loss(net(x), y)]


def relative_error(ours, theirs):
    ours = np.array(ours).reshape(np.shape(theirs))
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def batch(loss, n=2, width=2):
    """A batch with targets such as the loss takes."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((n, width))
    if loss == "mse":
        return x, rng.standard_normal((n, width))
    return x, rng.integers(0, 2, n) if loss == "cross-entropy" else rng.integers(0, 2, (n, width)).astype(float)


def thousand_steps(page, activation, loss="cross-entropy", optimizer="sgd", lr=0.1, hidden=2, n=2, **extras):
    """The worst error of a parameter after a thousand steps in the page, by the largest of its array."""
    net = with_same_masks(nn.MLP([2, hidden, 2], activation, rng=4, dtype=np.float64, **extras))
    x, y = batch(loss, n)
    net(x)  # draws the masks
    start = net.state_dict()
    stepping = OPTIMIZERS[optimizer](net.parameters(), lr)
    trace = nn.trace.record(net, LOSSES[loss](), stepping, x, y)
    recording = {**json.loads(trace.to_json()), "checks": {}, "update": settings(optimizer, stepping)}
    recording = with_options(recording, net)
    net.load_state_dict(start)
    expected = trained(net, OPTIMIZERS[optimizer](net.parameters(), lr), LOSSES[loss](), x, y, STEPS)
    losses, parameters = page.execute_script(PARITY, recording, STEPS)
    assert expected[-1] < expected[0]
    # A loss that falls to 1e-30 has no digits left, squared as it is.
    np.testing.assert_allclose(losses, expected, rtol=1e-10, atol=1e-12 * expected[0], err_msg=activation)
    return max(relative_error(parameters[name], p.data) for name, p in net.named_parameters())


def test_after_a_thousand_steps_of_each_activation_the_parameters_are_numpys(functions):
    """A step adds some units in the last place; a thousand of them, were they all of one sign, some 1e-13."""
    errors = {name: thousand_steps(functions, name) for name in ELEMENTWISE}
    assert max(errors.values()) <= 1e-12, errors


def test_after_a_thousand_steps_of_each_optimizer_on_each_loss_too(functions):
    kinds = [("mse", "momentum"), ("bce", "adam")]
    errors = {kind: thousand_steps(functions, "tanh", *kind, lr=0.02) for kind in kinds}
    assert max(errors.values()) <= 1e-12, errors


def test_after_a_thousand_steps_with_batch_norm_and_dropout_too(page):
    """What a bias before a batch norm adds is taken away again: its gradient is rounding alone, and it stays put."""
    for extras in ({"batch_norm": True}, {"dropout": 0.3}, {"batch_norm": True, "dropout": 0.3}):
        error = thousand_steps(page, "tanh", lr=0.02, hidden=4, n=6, **extras)
        assert error <= 1e-12, (extras, error)


def click(page, name):
    page.execute_script("document.getElementById(arguments[0]).click()", name)


def settled(page):
    """Where training stands, once nothing is computed any more."""
    return page.execute_async_script(
        "const done = arguments[0];"
        "const look = () => (page.running.frame ? setTimeout(look, 5) : done(page.training.at)); look()"
    )


def test_training_goes_on_and_back_and_the_address_follows(page):
    for name, expected in (("next-step", 1), ("ten-steps", 11), ("hundred-steps", 111)):
        click(page, name)
        assert settled(page) == expected
        assert page.find_element(By.ID, "training-at").text.startswith(f"training step {expected}, L = ")
    assert page.current_url.endswith("#step=0&training=111")
    there = page.execute_script("return structuredClone(page.model.values)")
    page.execute_script("page.running.goTo(43)")
    page.execute_script("page.running.goTo(111)")
    assert page.execute_script("return structuredClone(page.model.values)") == there
    page.refresh()
    assert settled(page) == 111
    assert page.execute_script("return structuredClone(page.model.values)") == there
    click(page, "training-first")
    assert page.execute_script("return [page.training.at, page.model.isEdited()]") == [0, False]
    assert page.execute_script("return page.training.latest") == 111
    assert page.get_log("browser") == []


def test_the_last_step_offers_to_take_it(page):
    assert not page.find_element(By.ID, "take").is_displayed()
    page.execute_script("page.goTo(arguments[0])", last_step(page))
    after = page.execute_script("return page.model.values['loss.after'][0][0]")
    page.find_element(By.ID, "take").click()
    assert settled(page) == 1
    assert page.execute_script("return page.model.values.loss[0][0]") == pytest.approx(after, rel=1e-12)
    assert page.execute_script("return page.step") == last_step(page)


# The cells in which another number stands than the model has, or another is said.
STALE = """
    return [...allThat("td[data-name]")].filter(({ ariaLabel, textContent, dataset: { name, row, col } }) => {
      const text = cellText(page.model.values[name][row][col]);
      return textContent !== text || !ariaLabel.endsWith(`: ${text}`);
    }).length;
"""


def test_running_can_be_paused_and_goes_on_from_there(page):
    page.execute_script("page.goTo(99); page.asking.ask(['2.weight.grad', 0, 0], true)")
    page.execute_script("window.requestAnimationFrame = (f) => { window.next = f; return 1 }")
    click(page, "run")
    for _ in range(4):
        page.execute_script("next()")
    assert page.find_element(By.ID, "run").text == "Pause"
    click(page, "run")
    assert page.find_element(By.ID, "run").text == "Run"
    assert page.execute_script("return page.training.at") == 5
    # What could wait while it ran is there: each number, what a screen reader hears, and the answer.
    assert page.execute_script(STALE) == 0
    gradient = page.execute_script("return resultText(page.model.values['2.weight.grad'][0][0])")
    assert gradient in page.find_element(By.CSS_SELECTOR, "#answer .result").text
    click(page, "run")
    assert page.execute_script("return page.training.at") == 6


def test_a_click_on_the_curve_goes_there_and_every_number_can_be_asked(page):
    page.execute_script("page.goTo(arguments[0])", last_step(page))
    page.execute_script("page.training.goTo(40); page.refresh()")
    page.execute_script(
        "const [root, { curve }] = [document.getElementById('curve'), page.running];"
        "const { left, top } = root.getBoundingClientRect();"
        "const at = { clientX: left + curve.x(23), clientY: top + 30, bubbles: true };"
        "root.dispatchEvent(new MouseEvent('click', at))"
    )
    assert page.execute_script("return page.training.at") == 23
    assert page.execute_script("return page.training.latest") == 40
    assert len(page.find_elements(By.CSS_SELECTOR, "#curve circle.now")) == 1
    assert marked(page, "moved") == set()
    gradients = page.execute_script("return [...page.model.arrays.keys()].filter((name) => name.endsWith('.grad'))")
    assert len(gradients) == 8
    for name in gradients:
        page.execute_script("page.asking.ask([arguments[0], 0, 1], true)", name)
        assert "Both values agree" in answer(page), name
        assert "torch" not in page.find_element(By.CSS_SELECTOR, "#answer .comparison").text


def test_a_change_on_the_way_keeps_what_was_before_and_forgets_what_came_after(page):
    page.execute_script("page.training.goTo(30); page.training.goTo(12)")
    before = page.execute_script("return structuredClone(page.training.losses.slice(0, 12))")
    given = page.execute_script(
        "page.editing.change(() => { page.model.values['0.weight'][1][1] = 2; page.model.lr = 0.25 });"
        "return [page.training.latest, structuredClone(page.model.values)]"
    )
    assert given[0] == 12
    assert ("0.weight", 1, 1) in marked(page, "moved")
    page.execute_script("page.training.goTo(13); page.training.goTo(3); page.training.goTo(13)")
    assert page.execute_script("return page.training.losses.slice(0, 12)") == before
    recording = recording_in(page)
    edits = {
        (name, i, j): value
        for name in ("0.weight", "0.bias", "2.weight", "2.bias")
        for i, line in enumerate(given[1][name])
        for j, value in enumerate(line)
    }
    expected = loss_of(recording, edits, lr=0.25)
    ours = page.execute_script("return page.model.values['0.weight']")
    np.testing.assert_allclose(ours, expected.arrays["0.weight.after"], rtol=1e-12)


def test_a_loss_that_diverges_is_said_to_and_there_is_a_way_back(page):
    recorded = page.execute_script("return structuredClone(page.model.values)")
    page.execute_script("page.editing.change(() => (page.model.lr = 20))")
    page.execute_script("page.running.runTo(1)")
    settled(page)
    assert "more than twice" in page.find_element(By.ID, "diverged").text
    page.execute_script("page.editing.change(() => (page.model.lr = 1e300)); page.running.runTo(50)")
    at = settled(page)
    assert 1 < at < 50
    assert f"Diverged: at training step {at} " in page.find_element(By.ID, "diverged").text
    assert not page.find_element(By.ID, "next-step").is_enabled()
    page.execute_script("page.asking.ask(['0.weight.grad', 0, 0], true)")
    click(page, "reset")
    assert page.execute_script("return structuredClone(page.model.values)") == recorded
    assert page.find_element(By.ID, "diverged").text == ""
    assert page.find_element(By.ID, "next-step").is_enabled()
    assert page.get_log("browser") == []


@pytest.mark.parametrize(("loss", "optimizer"), [("mse", "momentum"), ("bce", "adam")])
def test_with_another_loss_and_optimizer_every_number_can_be_asked(browse, tmp_path, loss, optimizer):
    path = tmp_path / "trace.html"
    options = ["--sizes", "2,2,1", "--loss", loss, "--optimizer", optimizer, "--lr", "0.05"]
    assert trace_backprop.main([*options, "--out", str(path)]) == 0
    page = browse(path, step=99)
    page.execute_script("page.running.goTo(3)")
    assert page.execute_script(EVERY_NUMBER) == []
    assert page.get_log("browser") == []
