"""Build the site from the pages of docs/, the notebooks of the lessons and the docstrings, in English and Chinese.

It can be read from its folder, without a server and without a network: formulas, fonts and the search come from files.
Sphinx makes it, with MyST-NB, which reads the pages and the notebooks as they are. Formulas are set by KaTeX, which npm
gets, once, in the version of scripts/book/package-lock.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "scripts" / "book"
WORK = ROOT / "build" / "book"
STEP_PAGE = "trace-4-5-3.html"

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))


def katex() -> Path:
    """The folder of KaTeX, which npm gets where it is not there."""
    folder = WORK / "npm"
    found = folder / "node_modules" / "katex" / "dist"
    lock = (BOOK / "package-lock.json").read_text(encoding="utf-8")
    if found.is_dir() and (folder / "package-lock.json").read_text(encoding="utf-8") == lock:
        return found
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(BOOK / name, folder / name)
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("make_site: npm is not installed; it gets KaTeX, which sets the formulas")
    done = subprocess.run([npm, "ci", "--ignore-scripts"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"make_site: npm could not get KaTeX: {done.stderr.strip().splitlines()[-1:]}")
    return found


def add_katex(out: Path) -> None:
    """Put the parts of KaTeX that a page loads beside the other files of a site."""
    source, target = katex(), out / "_static" / "katex"
    (target / "fonts").mkdir(parents=True, exist_ok=True)
    for name in ("katex.min.js", "katex.min.css"):
        shutil.copyfile(source / name, target / name)
    for font in (source / "fonts").glob("*.woff2"):
        shutil.copyfile(font, target / "fonts" / font.name)


def build(out: Path, work: Path = WORK) -> None:
    """Both languages: English into the folder, Chinese into its folder zh/. A warning of Sphinx is an error.

    ``work`` is where the pages are gathered on the way.
    """
    from scripts.book.pages import CHINESE, LANGUAGES, gather

    shutil.rmtree(work / "pages", ignore_errors=True)
    names = {language.code: gather(language, work / "pages" / language.code) for language in LANGUAGES}
    shutil.rmtree(out, ignore_errors=True)
    for language in LANGUAGES:
        target = out / "zh" if language is CHINESE else out
        others = names["en" if language is CHINESE else "zh"]
        environment = {"BOOK_LANGUAGE": language.code, "BOOK_OTHER_PAGES": json.dumps(others)}
        pages, doctrees = work / "pages" / language.code, work / "doctrees" / language.code
        _sphinx(pages, target, doctrees, environment)
        add_katex(target)
        # What no page leads to; MyST-NB puts its part beside the folder that it is given.
        for left in (target / "_sources", target.parent / "jupyter_execute"):
            shutil.rmtree(left, ignore_errors=True)
        shutil.copyfile(pages / STEP_PAGE, target / STEP_PAGE)


def _sphinx(pages: Path, target: Path, doctrees: Path, environment: dict[str, str]) -> None:
    """Run Sphinx in this process: where torch is loaded already it need not be once more."""
    from sphinx.cmd.build import main as sphinx_build

    before = dict(os.environ)
    os.environ.update(environment)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what packages say of each other is theirs
            options = ["-q", "-W", "--keep-going", "-E", "-b", "html", "-c", str(BOOK), "-d", str(doctrees)]
            status = sphinx_build([*options, str(pages), str(target)])
    finally:
        for name in environment:
            os.environ.pop(name)
        os.environ.update({name: before[name] for name in environment if name in before})
    if status != 0:
        raise SystemExit(f"make_site: Sphinx ended with status {status}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    from numpy_nn.commands.command_line import in_a_line

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", metavar="DIR", help="where it goes")
    out = parser.parse_args(arguments).out
    began = time.monotonic()
    try:
        build(out)
    except OSError as error:
        raise SystemExit(f"make_site: {in_a_line(error)}") from None
    files = [path for path in out.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    pages = sum(path.suffix == ".html" for path in files)
    print(f"site: {out / 'index.html'}; {pages} pages, {size:.1f} MB, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
