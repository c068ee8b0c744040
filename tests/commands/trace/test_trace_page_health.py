"""The health of the layers, and the networks of up to ten layers that can be chosen to see it."""

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select
from trace_page import answer, go_to, last_step, number_in, until

import numpy_nn as nn

pytestmark = pytest.mark.slow


def rms(array):
    return np.sqrt(np.mean(np.square(array)))


def remade(browse, page_file, net, step=99):
    """The README's page with the network that the address asks for."""
    page = browse(page_file, step=step)
    page.execute_script("history.replaceState(null, '', arguments[0])", f"#step={step}&net={net}")
    page.refresh()
    return page


def rows(page):
    lines = page.find_elements(By.CSS_SELECTOR, "#health-layers tr")
    return [[cell.text for cell in line.find_elements(By.CSS_SELECTOR, "th, td")] for line in lines]


def test_each_layer_has_the_size_of_its_gradient_and_of_its_update(page):
    assert all(row[2:4] == ["", ""] for row in rows(page))
    go_to(page, last_step(page))
    values = page.execute_script("return page.model.values")
    for layer, (_, _, size, update, *_) in zip(("0", "2"), rows(page), strict=True):
        weight, after = (np.array(values[f"{layer}.weight{end}"]) for end in ("", ".after"))
        assert number_in(size) == pytest.approx(rms(values[f"{layer}.weight.grad"]), rel=0.06)
        assert number_in(update) == pytest.approx(rms(after - weight) / rms(weight), rel=0.06)
    z = np.array(values["0.output"])
    assert rows(page)[0][4:] == [f"{(z <= 0).all(axis=0).sum()} of 5", f"{100 * (z <= 0).mean():.0f} %"]


def test_sigmoids_let_the_gradient_vanish_and_relu_with_kaiming_does_not(browse, page_file):
    shares = {}
    for net in ("9,sigmoid,xavier", "9,relu,kaiming"):
        page = remade(browse, page_file, net)
        assert len(rows(page)) == 10
        sizes = [number_in(row[2]) for row in rows(page)]
        shares[net] = sizes[0] / sizes[-1]
        assert page.get_log("browser") == []
    assert shares["9,sigmoid,xavier"] < 1e-4 < 1e-3 < shares["9,relu,kaiming"]
    assert "net=9,relu,kaiming" in page.current_url


def test_such_a_network_is_numpys_too(browse, page_file):
    page = remade(browse, page_file, "3,tanh,xavier")
    values = page.execute_script("return page.model.values")
    net = nn.MLP([4, 5, 5, 5, 3], "tanh", dtype=np.float64)
    for name, p in net.named_parameters():
        p.data[...] = np.array(values[name]).reshape(p.shape)
    loss, target = nn.CrossEntropyLoss(), np.array(values["target"])[:, 0]
    assert page.execute_script("return page.model.values.loss[0][0]") == pytest.approx(
        float(loss(net(np.array(values["input"])), target)), rel=1e-12
    )
    net.backward(loss.backward())
    for name, p in net.named_parameters():
        np.testing.assert_allclose(np.array(values[f"{name}.grad"]).reshape(p.shape), p.grad, atol=1e-14)
    page.execute_script("page.asking.ask(['2.weight.grad', 0, 1], true)")
    assert "Both values agree" in answer(page)
    assert "made by the page" in answer(page)


def test_what_comes_of_a_chosen_network_is_seen_at_once(browse, page_file):
    page = browse(page_file, width=1366, height=768)
    page.execute_script("history.replaceState(null, '', '#step=0&training=7')")
    for menu, name in (("net-depth", "9"), ("net-activation", "sigmoid")):
        Select(page.find_element(By.ID, menu)).select_by_value(name)
    assert page.execute_script("return page.step") == last_step(page)
    assert page.execute_script("return page.trained") == 0
    first, last = (number_in(rows(page)[k][2]) for k in (0, 9))
    assert first < 1e-4 * last
    above = "byId('health').getBoundingClientRect().bottom <= byId('asked').getBoundingClientRect().top + 1"
    until(page, above)
    table, stage = page.execute_script(
        "return ['health-layers', 'stage'].map((id) => byId(id).getBoundingClientRect().toJSON())"
    )
    # Between the stage and the answer there is room for eight of ten rows and the menus.
    assert stage["bottom"] - table["top"] <= 0.4 * table["height"]


def test_the_menus_choose_one_and_lead_back(page):
    Select(page.find_element(By.ID, "net-initial")).select_by_value("zeros")
    assert "net=1,relu,zeros" in page.current_url
    assert page.execute_script("return page.model.values['0.weight'].flat().every((x) => x === 0)")
    Select(page.find_element(By.ID, "net-depth")).select_by_value("4")
    assert "net=4,relu,zeros" in page.current_url
    assert len(rows(page)) == 5
    Select(page.find_element(By.ID, "net-initial")).select_by_value("")
    assert "net=" not in page.current_url
    assert len(rows(page)) == 2
    assert page.get_log("browser") == []
