"""The site, built as a whole: links, formulas, public names, and what a browser makes of it without a network.

Every page has its links followed. Of those that a browser opens a few stand for the rest, since each takes a good part
of a second; ``BOOK_PAGES=all`` has it open them all.
"""

import importlib
import inspect
import json
import os
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import needs
import pytest
from contrasts import CONTRASTS

from scripts import make_site
from scripts.book.reference import public_names

pytestmark = [pytest.mark.slow, needs.book]

# One of each kind: a page of docs, a lesson, formulas from docstrings, the page in a frame, both languages.
PAGES = (
    "index.html",
    "gradcheck.html",
    "lessons/lesson_3_activations.html",
    "reference/layers.html",
    "reference/optim.html",
    "reference/index.html",
    "backward-pass.html",
    "zh/index.html",
    "zh/lessons/lesson_4_mlp.html",
)


BUILD = "import sys, pathlib as p; from scripts.make_site import build; build(*map(p.Path, sys.argv[1:]))"


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the site, built once for all processes that test.

    In a process of its own: Sphinx leaves functions with defaults as they are written, for all that ask later.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out, begun, done = shared / "site", shared / "site-begun", shared / "site-done"
    try:
        begun.mkdir()
    except FileExistsError:
        while not done.exists():
            time.sleep(0.5)
    else:
        try:
            folders = map(str, (out, shared / "site-work"))
            subprocess.run([sys.executable, "-c", BUILD, *folders], cwd=make_site.ROOT, check=True)
        finally:
            done.write_text("")
    return out


class Page(HTMLParser):
    """What a page links to and loads, and the anchors that it has."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors.update(filter(None, (attributes.get("id"), attributes.get("name"))))
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        elif tag in ("link", "script", "img", "iframe"):
            self.loaded += filter(None, (attributes.get("href"), attributes.get("src")))


@pytest.fixture(scope="session")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def broken(path, page, pages, site):
    """The links of a page that lead nowhere, and what it would load from elsewhere."""
    found = [address for address in page.loaded if urlsplit(address).scheme not in ("", "data")]
    for link in page.links + page.loaded:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        target = target / "index.html" if target.is_dir() else target
        lost = not target.is_file() or site not in target.parents
        # Of the page of the recorded step, its own script reads what follows the sign.
        if lost or (parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors):
            found.append(link)
    return found


def test_no_link_leads_nowhere_and_nothing_is_loaded_from_elsewhere(site, pages):
    lost = {
        path.relative_to(site).as_posix(): broken(path, page, pages, site.resolve()) for path, page in pages.items()
    }
    assert {name: links for name, links in lost.items() if links} == {}
    assert sum(len(page.links) for page in pages.values()) > 1000


def test_a_link_that_leads_nowhere_is_noticed(tmp_path):
    path = tmp_path / "page.html"
    path.write_text('<p id="a"><a href="#a"><a href="#b"><a href="c.html"><script src="https://d.org/e.js"></script>')
    page = Page(path)
    assert broken(path, page, {path: page}, tmp_path) == ["https://d.org/e.js", "#b", "c.html"]


def test_every_page_is_there_in_both_languages(site, pages):
    names = {path.relative_to(site).as_posix() for path in pages}
    root = Path(make_site.ROOT)
    for folder, prefix in ((root / "docs", ""), (root / "docs" / "zh", "zh/")):
        assert {f"{prefix}{path.stem}.html" for path in folder.glob("*.md")} <= names
    for folder, prefix in ((root / "docs" / "notebooks", ""), (root / "docs" / "notebooks" / "zh", "zh/")):
        lessons = {f"{prefix}lessons/{path.stem}.html" for path in folder.glob("*.ipynb")}
        assert len(lessons) >= 8
        assert lessons <= names
    for name in {name for name in names if Path(name).name not in ("genindex.html", "search.html")}:
        other = name.removeprefix("zh/") if name.startswith("zh/") else f"zh/{name}"
        if other in names and not name.endswith(make_site.STEP_PAGE):
            path = site / name
            links = {(path.parent / urlsplit(link).path).resolve() for link in pages[path].links}
            assert (site / other).resolve() in links, name


def test_what_stands_around_a_page_and_the_page_of_a_step_are_in_the_language_of_the_site(site):
    for folder, code, words in (("", "en", ("Next", "On this page")), ("zh", "zh", ("下一页", "本页内容"))):
        step = (site / folder / make_site.STEP_PAGE).read_text(encoding="utf-8")
        assert f'data-lang="{code}"' in step.split("<head>")[0]
        page = (site / folder / "lessons" / "lesson_2_xor.html").read_text(encoding="utf-8")
        assert all(word in page for word in words)


def test_every_public_name_is_documented(site, pages):
    names = public_names()
    # What a reader finds after import, whatever the rule of the reference is.
    for module in ("numpy_nn", *["torch_ref"] * needs.HAS_TORCH):
        package = importlib.import_module(module)
        there = {name for name in dir(package) if not name.startswith("_")}
        assert {name for name in there if not inspect.ismodule(getattr(package, name))} <= {n.name for n in names}
    assert len(names) == 154 + 17 * needs.HAS_TORCH
    anchors = set().union(*(page.anchors for path, page in pages.items() if path.parent.name == "reference"))
    assert {name.path for name in names} <= anchors
    for index in (site / "reference" / "index.html", site / "zh" / "reference" / "index.html"):
        assert f" {len(names)} " in index.read_text(encoding="utf-8")
        assert sum("#" in link and "reference" not in urlsplit(link).fragment for link in pages[index].links) >= len(
            names
        )
    for name in names:
        documented = getattr(importlib.import_module(name.module), name.name)
        assert name.kind == "data" or documented.__doc__, name.path


def test_nothing_of_the_machine_is_in_it(pages):
    for path in pages:
        assert str(make_site.ROOT) not in path.read_text(encoding="utf-8"), path


def opened(site):
    everything = os.environ.get("BOOK_PAGES") == "all"
    # The page of the recorded step has tests of its own.
    found = sorted(path for path in site.rglob("*.html") if path.name != make_site.STEP_PAGE)
    return found if everything else [site / name for name in PAGES]


# What is not as it should be, a line each.
FAULTS = """
    const text = document.body.cloneNode(true);
    for (const e of text.querySelectorAll("pre, code, script, style, .formula")) e.remove();
    const faults = [...document.querySelectorAll(".formula")].filter((e) => !e.querySelector(".katex"));
    return [
      ...(document.querySelector("article, main") ? [] : ["no page"]),
      ...faults.map((e) => `not set: ${e.textContent}`),
      ...(text.textContent.match(/.{0,20}\\$.{0,20}/g) ?? []).map((found) => `raw: ${found}`),
      ...[...document.querySelectorAll("span.formula")]
        .filter((e) => e.querySelectorAll(".katex-base").length === 1 && /^[，。、）]/.test(e.nextSibling?.data ?? ""))
        .filter((e) => getComputedStyle(e.parentNode).whiteSpace !== "nowrap")
        .map((e) => `a mark may begin a line: ${e.textContent}`),
      ...[...document.images].filter((e) => e.complete && !e.naturalWidth).map((e) => `no image: ${e.src}`),
    ];
"""
WIDER = """
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll("article *")].filter((e) => e.getBoundingClientRect().right > width + 1)
      .map((e) => `${e.tagName}.${e.className} ${e.getBoundingClientRect().right}`);
"""


def test_a_browser_finds_no_fault_and_asks_for_nothing_from_elsewhere(site, browse):
    faults = {}
    for path in opened(site):
        chrome = browse(path)
        found = chrome.execute_script(FAULTS)
        found += [entry["message"] for entry in chrome.get_log("browser")]
        events = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        assert asked
        found += [url for url in asked if not url.startswith(("file:", "data:", "about:"))]
        chrome.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": 375, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        )
        assert chrome.execute_script("return innerWidth") == 375
        found += chrome.execute_script(WIDER)
        faults[path.relative_to(site).as_posix()] = found
    assert {name: found for name, found in faults.items() if found} == {}


def test_a_fault_is_noticed(tmp_path, browse):
    path = tmp_path / "page.html"
    path.write_text(
        '<body style="margin: 0"><article><p>costs $5\n<p><code>$HOME</code><span class="formula">x^2</span>'
        '<div style="width: 3000px">wide</div><script>no.such()</script>',
        encoding="utf-8",
    )
    chrome = browse(path)
    assert chrome.execute_script(FAULTS) == ["not set: x^2", "raw: costs $5"]
    assert chrome.execute_script(WIDER) == ["DIV. 3000"]
    assert len(chrome.get_log("browser")) == 1


def test_every_text_has_the_contrast_that_can_be_read(site, browse, show):
    for name in ("lessons/lesson_3_activations.html", "reference/layers.html"):
        chrome = browse(site / name)
        behind = set()
        for scheme in ("light", "dark"):
            show(scheme=scheme)
            behind.add(chrome.execute_script("return getComputedStyle(document.body).backgroundColor"))
            contrasts = chrome.execute_script(CONTRASTS)
            assert len(contrasts) > 100
            assert [c for c in contrasts if c[0] < 4.5] == [], (name, scheme)
        assert len(behind) == 2


@pytest.mark.parametrize(("page", "words"), [("search.html", "novikoff"), ("zh/search.html", "反向传播")])
def test_the_search_finds_what_is_there(site, browse, page, words):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    chrome = browse(site / page)
    chrome.execute_script("location.search = arguments[0]", f"?q={words}")
    results = (By.CSS_SELECTOR, "#search-results li a")
    WebDriverWait(chrome, 60).until(lambda chrome: chrome.find_elements(*results))
    assert all(found.get_attribute("href").startswith("file:") for found in chrome.find_elements(*results))
    assert chrome.get_log("browser") == []


def test_a_folder_that_cannot_be_made_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(make_site, "build", lambda out: out.mkdir())
    with pytest.raises(SystemExit, match=r"^make_site: \S+file: File exists$"):
        make_site.main(["--out", str(tmp_path / "file")])
