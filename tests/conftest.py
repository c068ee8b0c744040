"""What the whole suite shares: threads, hypothesis, MNIST, and a browser with the page of one training step."""

import gc
import importlib.util
import itertools
import os
import re
import shutil
import signal
import sys
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

# One thread for every library, here and in each process that a test starts: two workers with two threads each on two
# cores wait for each other. Libraries read it when they are loaded, and this is before NumPy is. Yours wins.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VECLIB_MAXIMUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, Phase, settings
from needs import HANGS, collect_ignore, pytest_itemcollected, pytest_sessionfinish  # noqa: F401, for pytest to find

import numpy_nn as nn

# The suite promises what a CPU computes. Where there is a GPU, make gpu-check is for it, and sets this.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

# A shell that runs the suite in the background has it ignore Ctrl-C, as would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline, and examples may be drawn slowly: the machine's speed is not what is tested. In CI the examples are the
# same at every run, so that a red build means a change; elsewhere they are new each time. HYPOTHESIS_PROFILE=thorough
# looks 25 times as long, quick a quarter as long. (Where CI is set hypothesis begins with settings of its own,
# which would not heed a seed.)
settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow,),
    max_examples=20,
    print_blob=True,
    derandomize=False,
)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.register_profile("quick", parent=settings.get_profile("default"), max_examples=5)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=500)
# For a mutant it counts whether a test fails, not how small the example is.
settings.register_profile("mutants", parent=settings.get_profile("ci"), phases=(Phase.explicit, Phase.generate))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))

# What a test must not be left out for the want of, by name: in CI all that a test may want.
PROMISED = os.environ.get("TESTS_PROMISED", "browser site" if os.environ.get("CI") else "").split()
NO_BROWSER = (
    "no Chromium with its driver on the PATH; on Debian: apt-get install -y chromium chromium-driver, on Ubuntu: "
    "apt-get install -y chromium-browser chromium-chromedriver, on macOS: brew install --cask chromium chromedriver"
)


# How a file says that all of its tests are slow.
SLOW_FILE = re.compile(r"^pytestmark = .*\bpytest\.mark\.slow\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """``make check`` does not even import a file that is slow as a whole, nor what that file imports."""
    if collection_path.suffix != ".py" or config.option.markexpr != "not slow":
        return None
    return True if SLOW_FILE.search(collection_path.read_text(encoding="utf-8")) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of pages are slow; without a browser they are left out, unless one is promised."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
            if "browser" not in PROMISED and find_browser() is None:
                item.add_marker(pytest.mark.skip(reason=NO_BROWSER))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays: until the end the collector would look for what does not, and find none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """What is there before the first test stays, and the collector need not look at its millions of objects again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Nothing is kept from being taken down at the end."""
    gc.unfreeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """At the very end, what was left out and what it needs."""
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    if count := sum(NO_BROWSER in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(f"tests of pages left out: {count}; {NO_BROWSER}", yellow=True)


# The test that runs, if it is not marked slow.
quick: list[pytest.Item] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let :func:`refuse_processes` know what runs; give back the threads that a command may have taken."""
    quick[:] = [] if item.get_closest_marker("slow") else [item]
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    numbers = [(library, library.get_num_threads()) for library in products()]
    result = yield
    quick.clear()
    if torch:
        torch.set_num_threads(threads)
    for library, number in numbers:
        if library.get_num_threads() != number:
            library.set_num_threads(number)
    return result


# Each of them brings a library of products, which is there from its import on.
WITH_A_BLAS = ("numpy", "scipy", "torch", "jax")


def products() -> list[Any]:
    """The libraries of NumPy's products, as threadpoolctl knows them; none where it is not installed."""
    return _products(tuple(name in sys.modules for name in WITH_A_BLAS))


@cache
def _products(_: tuple[bool, ...]) -> list[Any]:
    if importlib.util.find_spec("threadpoolctl") is None:
        return []
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def refuse_processes(event: str, arguments: tuple[object, ...]) -> None:
    """Nothing that starts Python slips into ``make check``: seconds pass before it has imported what it tests."""
    if event == "subprocess.Popen" and quick and sys.executable in str(arguments[:2]):
        raise RuntimeError(f"{quick[0].name} starts a process; mark it @pytest.mark.slow")


sys.addaudithook(refuse_processes)


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


@pytest.fixture
def gpu():
    """A GPU that is none, which counts what the host waits for and copies."""
    from fake_gpu import fake_gpu

    with fake_gpu() as made:
        yield made


@pytest.fixture(scope="session")
def page_file(tmp_path_factory):
    """The page of the README."""
    from numpy_nn.commands.trace import command as trace_backprop

    path = tmp_path_factory.mktemp("trace") / "trace.html"
    assert trace_backprop.main(["--sizes", "4,5,3", "--batch", "2", "--seed", "0", "--out", str(path)]) == 0
    return path


def find_browser() -> tuple[str, str] | None:
    """Where Chromium and its driver are."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium, which keeps a log of the console and of every request."""
    from selenium import webdriver

    found = find_browser()
    if found is None:
        pytest.fail(NO_BROWSER, pytrace=False)
    browser, driver = found
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    chrome.set_script_timeout(HANGS)
    chrome.set_page_load_timeout(HANGS)
    yield chrome
    chrome.quit()


@pytest.fixture
def show(chromium):
    """Makes the window one of some size, light or dark, without scrolling that takes time; the page stays as it is."""

    def show(width=1280, height=1000, scheme="light"):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in media.items()]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    return show


# How often a page was opened: an address that was not gone to before is loaded, of another step only that is shown.
visits = itertools.count()
OPENED = "return location.search === arguments[0] && document.readyState === 'complete'"


@pytest.fixture
def browse(chromium, show):
    """Opens a page, in a window as :func:`show` makes it."""
    from selenium.webdriver.support.ui import WebDriverWait

    def open_page(path, width=1280, height=1000, scheme="light", step=None):
        show(width, height, scheme)
        for kind in ("browser", "performance"):
            chromium.get_log(kind)
        visit = next(visits)
        chromium.get(f"{path.as_uri()}?{visit}#step={step or 0}")
        # On a busy machine the driver may come back while the page before, or none, is still there.
        WebDriverWait(chromium, HANGS).until(lambda chrome: chrome.execute_script(OPENED, f"?{visit}"))
        return chromium

    return open_page


@pytest.fixture
def page(browse, page_file):
    """The page of the README, at its first step."""
    return browse(page_file)


@pytest.fixture
def functions(browse, page_file, chromium):
    """The page as a place to call its functions, where nothing that it shows is looked at: it may be open already."""
    return chromium if chromium.current_url.startswith(page_file.as_uri()) else browse(page_file)
