"""Every link within the repository leads somewhere."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def prose(path):
    """The page without its code, in which brackets mean other things."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: re.sub(r"[\[\]()]", "", code[0]), text)


def anchors(path):
    """What the headings of a page are called in links, as GitHub does it: words in lower case, with hyphens between."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.*?) *$", prose(path), re.MULTILINE):
        text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        again = found.count(name)
        found.append(f"{name}-{again}" if again else name)
    return found


def links(path):
    """The targets of all links and images that are no addresses."""
    found = re.findall(r"\]\(\s*<?([^)\s>]+)", prose(path))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def broken(path):
    """The links of a page that lead nowhere."""
    missing = []
    for target in links(path):
        name, _, anchor = unquote(target).partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or ROOT not in (file, *file.parents):
            missing.append(f"{target}: no such file")
        elif anchor and (file.suffix != ".md" or anchor not in anchors(file)):
            missing.append(f"{target}: no such heading")
    return missing


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    assert broken(path) == []


def test_pages_with_links_are_found():
    assert {"README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {path.name for path in PAGES}
    assert len(links(ROOT / "README.md")) > 10


def test_a_link_to_nothing_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` c, d\n## 标题\n[x](#a-b-c-d) [y](page.md#标题) [z](#e) ![i](no.png) `[k](no)` <!-- -->\n", "utf-8"
    )
    assert broken(page) == ["#e: no such heading", "no.png: no such file"]


@pytest.mark.parametrize("path", [ROOT / "docs" / "zh", ROOT / "docs"], ids=lambda path: path.name)
def test_a_page_is_linked_from_the_readme_or_from_one_that_is(path):
    reached, waiting = set(), [ROOT / "README.md", ROOT / "README.zh-CN.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [(page.parent / unquote(target).partition("#")[0]).resolve() for target in links(page)]
    assert set(path.glob("*.md")) <= reached
