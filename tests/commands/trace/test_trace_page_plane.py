"""Points in the plane: decision regions, hidden units, the sample in the tables, points that are added."""

import numpy as np
import pytest
from contrasts import CONTRASTS
from selenium.webdriver.common.by import By
from trace_page import answer, cell, press, recording_in

import numpy_nn as nn
from numpy_nn.commands.trace import command as trace_backprop

pytestmark = pytest.mark.slow

WHOLE = """
    page.training.goTo(2);
    const { model } = page;
    const get = (name, i, j) => model.values[name][i][j];
    const twice = model.makers().filter(({ maker }) => maker.whole && maker.value);
    const differ = ({ name, rows, cols, maker }) => {
      const whole = maker.whole(model.values);
      return range(rows).some((i) => range(cols).some((j) => !Object.is(whole[i][j], maker.value(i, j, get))));
    };
    return [twice.length, twice.filter(differ).map(({ name }) => name)];
"""


@pytest.fixture(scope="module")
def moons_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "moons.html"
    options = ["--data", "moons", "--sizes", "2,3,2,2", "--activation", "tanh", "--batch", "30"]
    assert trace_backprop.main([*options, "--out", str(path)]) == 0
    return path


def network_of(page):
    """NumPy's network with the page's present parameters, and its points."""
    values = page.execute_script("return page.model.values")
    net = nn.MLP([2, 3, 2, 2], "tanh", dtype=np.float64)
    for name, p in net.named_parameters():
        p.data[...] = np.array(values[name]).reshape(p.shape)
    return net, np.array(values["input"]), np.array(values["target"])[:, 0]


def test_an_array_at_once_is_what_its_entries_are_one_by_one(browse, moons_file, page_file):
    for path in (page_file, moons_file):
        count, wrong = browse(path).execute_script(WHOLE)
        assert count >= 8
        assert wrong == []


def test_the_plane_is_coloured_as_the_network_tells_the_classes(browse, moons_file):
    page = browse(moons_file, step=99)
    page.execute_script("page.running.goTo(40)")
    net, x, y = network_of(page)
    right = int((net(x).argmax(axis=1) == y).sum())
    assert page.find_element(By.ID, "plane-message").text == f"{right} of 30 points are in the colour of their class."
    places, shares = page.execute_script(
        "const { places } = page.plane.view; const out = page.model.outputsFor(places)[page.model.logits];"
        "return [places, out.map((z) => page.model.loss.shares(z))]"
    )
    e = np.exp(net(np.array(places)))
    np.testing.assert_allclose(shares, e / e.sum(axis=1, keepdims=True), atol=1e-12)
    # A small plane for each hidden unit, and the plane of the two of the second layer.
    assert len(page.find_elements(By.CSS_SELECTOR, "#plane canvas.plane-unit")) == 5
    assert len(page.find_elements(By.CSS_SELECTOR, "#plane canvas.plane-space")) == 1
    for canvas in page.find_elements(By.CSS_SELECTOR, "#plane canvas"):
        painted = "const { width, height } = arguments[0];"
        painted += "return new Set(arguments[0].getContext('2d').getImageData(0, 0, width, height).data).size"
        assert page.execute_script(painted, canvas) > 20
    assert [c for c in page.execute_script(CONTRASTS) if c[0] < 4.5] == []
    assert page.get_log("browser") == []


def test_training_on_points_is_numpys(browse, moons_file):
    page = browse(moons_file)
    recording = recording_in(page)
    net, x, y = network_of(page)
    loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(net.parameters(), recording["lr"])
    for _ in range(100):
        loss(net(x), y)
        net.backward(loss.backward())
        optimizer.step()
    values = page.execute_script("page.training.goTo(100); return page.model.values")
    for name, p in net.named_parameters():
        np.testing.assert_allclose(np.array(values[name]).reshape(p.shape), p.data, atol=1e-12 * np.abs(p.data).max())


def click_at(page, x, y):
    """A click on the plane, by the share of its width and height."""
    page.execute_script(
        "const { canvas } = page.plane; const box = canvas.getBoundingClientRect();"
        "canvas.dispatchEvent(new MouseEvent('click', { bubbles: true,"
        "clientX: box.left + arguments[0] * box.width, clientY: box.top + arguments[1] * box.height }))",
        x,
        y,
    )


def test_a_click_on_a_point_has_its_sample_in_the_tables_and_one_elsewhere_adds_a_point(browse, moons_file):
    page = browse(moons_file, step=99)
    place = page.execute_script("return page.plane.view.toCanvas(page.model.values.input[17], 1)")
    click_at(page, *place)
    assert page.find_element(By.ID, "sample").get_attribute("value") == "17"
    point = page.execute_script("return page.model.values.input[17]")
    shown = [float(cell(page, "input", 17, j).text.replace("−", "-")) for j in (0, 1)]
    assert shown == pytest.approx(point, abs=1e-3)
    page.execute_script("page.plane.brush.value = '1'")
    click_at(page, 0.02, 0.97)
    net, x, y = network_of(page)
    assert (len(x), y[30]) == (31, 1)
    loss = float(nn.CrossEntropyLoss()(net(x), y.astype(int)))
    assert page.execute_script("return page.model.values.loss[0][0]") == pytest.approx(loss, rel=1e-12)
    page.execute_script("page.asking.ask(['1.output', 30, 2], true)")
    assert "row 30, column 2" in answer(page)
    assert page.execute_script("return page.training.at") == 0
    page.execute_script("page.training.goTo(12); page.training.goTo(0); page.refresh()")
    assert page.execute_script("return page.model.samples") == 31
    page.find_element(By.ID, "reset").click()
    assert page.execute_script("return [page.model.samples, page.model.isEdited()]") == [30, False]
    assert page.get_log("browser") == []


def test_every_gradient_of_a_sample_and_of_the_parameters_agrees(browse, moons_file):
    page = browse(moons_file, step=99)
    page.execute_script("page.showSample(4)")
    for name, i in (("2.weight", 1), ("0.bias", 0), ("2.output", 4), ("input", 4)):
        page.execute_script("page.asking.ask([arguments[0], arguments[1], 1], true)", f"{name}.grad", i)
        assert "values agree" in answer(page), name
    # Hundreds of terms are not all written.
    page.execute_script("page.asking.ask(['2.weight.grad', 0, 0], true)")
    assert "…" in page.find_element(By.CSS_SELECTOR, "#answer .numbers").text
    assert "and 24 more" in answer(page)


def test_by_the_keyboard_alone_a_point_is_chosen_and_added(browse, moons_file):
    page = browse(moons_file)
    page.execute_script("document.getElementById('sample').focus()")
    page.execute_script("document.getElementById('sample').select()")
    press(page, "9")
    assert page.execute_script("return page.sample") == 9
    page.execute_script("document.getElementById('add-point').focus()")
    press(page, " ")
    assert page.execute_script("return [page.model.samples, page.sample]") == [31, 30]


def test_a_net_of_other_inputs_has_no_plane(page):
    assert not page.find_element(By.ID, "plane").is_displayed()


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_one_output_tells_two_classes(browse, tmp_path, loss):
    path = tmp_path / "trace.html"
    options = ["--data", "xor", "--sizes", "2,4,1", "--loss", loss, "--batch", "12", "--lr", "0.3", "--lang", "zh"]
    assert trace_backprop.main([*options, "--out", str(path)]) == 0
    page = browse(path, step=99)
    page.execute_script("page.running.goTo(5)")
    guesses = page.execute_script("return page.model.values[page.model.logits].map((z) => page.plane.guess(z))")
    outputs = np.array(page.execute_script("return page.model.values[page.model.logits]"))[:, 0]
    assert guesses == (outputs > (0 if loss == "bce" else 0.5)).astype(int).tolist()
    assert page.get_log("browser") == []
