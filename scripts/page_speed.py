"""What the page of `numpy-nn trace` costs: a frame while a network trains on 200 points, and a keystroke.

The first figures are time of the CPU on the browser's main thread, of which 16 ms are a frame at 60 a second. The
others are time that passed: from one frame to the next, as the browser asks for them, and from a key to the end of the
frame that shows what came of it. Of several rounds the least is told: what else the machine does can only add to it.
Chromium and its driver are needed.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from selenium import webdriver

from numpy_nn.commands.trace.command import main as trace

# Let it train for so many frames, with the plane in view.
FRAMES = """
    const [frames, done] = arguments;
    document.getElementById("plane").scrollIntoView({ block: "end" });
    const times = [];
    const next = (time) => {
      times.push(time);
      if (times.length <= frames) return requestAnimationFrame(next);
      page.running.pause();
      return done(times.slice(1).map((later, k) => later - times[k]));
    };
    page.running.run();
    requestAnimationFrame(next);
"""
# Type so many numbers into the asked weight's field, each shown before the next one.
KEYS = """
    const [keys, done] = arguments;
    page.asking.ask(["0.weight", 3, 3], true);
    const field = document.querySelector("#answer .field input");
    const took = [];
    const next = () => {
      if (took.length === keys) return done(took);
      const before = performance.now();
      field.value = (0.1 + 0.01 * (took.length % 8)).toFixed(2);
      field.dispatchEvent(new Event("input", { bubbles: true }));
      const painted = () => {
        took.push(performance.now() - before);
        next();
      };
      return requestAnimationFrame(() => setTimeout(painted, 0));
    };
    next();
"""


class Cost(NamedTuple):
    """Milliseconds of one frame or keystroke: all of them, and those of scripts, of styles and of layout."""

    whole: float
    script: float
    style: float
    layout: float


def spent(driver: webdriver.Chrome) -> Cost:
    """Seconds of the main thread so far, by what they went into."""
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    by_name = {metric["name"]: metric["value"] for metric in metrics}
    return Cost(*(by_name[f"{of}Duration"] for of in ("Task", "Script", "RecalcStyle", "Layout")))


class Passed(NamedTuple):
    """Milliseconds that passed: of the frame or key in the middle, and of the 95th of a hundred."""

    median: float
    late: float


def least(driver: webdriver.Chrome, script: str, times: int, rounds: int) -> tuple[Cost, Passed]:
    """The cheapest and the quickest of several rounds of ``script``, each of so many ``times``; one more warms up."""

    def one_round() -> tuple[Cost, Passed]:
        before = spent(driver)
        took = sorted(driver.execute_async_script(script, times))
        cost = Cost(*(1000 * (b - a) / times for a, b in zip(before, spent(driver), strict=True)))
        return cost, Passed(took[len(took) // 2], took[math.ceil(0.95 * len(took)) - 1])

    one_round()
    costs, passed = zip(*(one_round() for _ in range(rounds)), strict=True)
    return min(costs), min(passed)


def measure(driver: webdriver.Chrome, folder: Path, times: int, rounds: int, tell: Callable[[str], object]) -> None:
    """Write both pages into ``folder``, open them, and ``tell`` what a frame and a keystroke cost."""
    pages = {
        "a frame, while 2-8-8-2 trains on 200 points": (["--data", "moons", "--activation", "tanh"], FRAMES),
        "a keystroke, on 16-16-16-16-16": (["--sizes", "16,16,16,16,16", "--batch", "4"], KEYS),
    }
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    for what, (options, script) in pages.items():
        path = folder / "page.html"
        if trace([*options, "--out", str(path)]) != 0:
            raise RuntimeError(f"no page was written with {' '.join(options)}")
        driver.get("about:blank")
        driver.get(f"{path.as_uri()}#step=99")
        cost, passed = least(driver, script, times, rounds)
        parts = f"scripts {cost.script:.1f}, styles {cost.style:.1f}, layout {cost.layout:.1f}"
        tell(f"{what}: {cost.whole:.1f} ms of CPU ({parts})")
        tell(f"  passed: {passed.median:.1f} ms in the middle, {passed.late:.1f} ms of the 95th of a hundred")
    driver.execute_cdp_cmd("Performance.disable", {})


def main() -> int:
    """Open a browser of 1366 by 768 and measure; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=60, metavar="N", help="frames or keystrokes a round")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of which the cheapest counts")
    args = parser.parse_args()
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver_path = shutil.which("chromedriver")
    if browser is None or driver_path is None:
        print("page_speed: expected Chromium and chromedriver on the PATH", file=sys.stderr)
        return 2
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1366,768",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        driver.set_script_timeout(600)
        with tempfile.TemporaryDirectory() as folder:
            measure(driver, Path(folder), args.times, args.rounds, print)
    finally:
        driver.quit()
    return 0


if __name__ == "__main__":
    sys.exit(main())
