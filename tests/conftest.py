"""What the whole suite shares: how hypothesis runs, MNIST, and a browser with the page of one training step."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

import numpy_nn as nn

# The suite promises what a CPU computes. Where there is a GPU, make gpu-check is for it, and sets this.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

# A shell that runs the suite in the background has it ignore Ctrl-C, as would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: the machine's speed is not what is tested. In CI the examples are the same at every run, so that a red
# build means a change; elsewhere they are new each time. HYPOTHESIS_PROFILE=thorough looks ten times as long.
settings.register_profile("default", deadline=None, max_examples=50, print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


@pytest.fixture(scope="session")
def mnist() -> nn.MNIST:
    """MNIST in float32; if it is missing, the error names the command that gets it."""
    return nn.load_mnist(Path(__file__).parent.parent / "data")


@pytest.fixture
def few(mnist):
    """MNIST's first images, in place of all of them, for train_mnist."""
    from mnist_runs import only_few

    with only_few(mnist):
        yield


@pytest.fixture(scope="session")
def page_file(tmp_path_factory):
    """The page of the README."""
    from scripts import trace_backprop

    path = tmp_path_factory.mktemp("trace") / "trace.html"
    assert trace_backprop.main(["--sizes", "4,5,3", "--batch", "2", "--seed", "0", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium, which keeps a log of the console and of every request."""
    from selenium import webdriver
    from trace_page import find_browser

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
