"""What the site needs of Sphinx beyond its own extensions: formulas by KaTeX, docstrings, Chinese words to search."""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.search import languages
from sphinx.search.en import SearchEnglish
from sphinx.search.zh import SearchChinese

from scripts.book.docstrings import as_rest

MATH = "katex"

# The page that searches splits a query in the same way, which makes these two one rule in two languages. A "var", as
# Sphinx's script has one of this name where there is none yet.
CHINESE = re.compile(r"[\u4e00-\u9fff]+")
SPLITTER = r"""
var splitQuery = (query) => (query.match(/[\u4e00-\u9fff]+|[\p{L}\p{N}_]+/gu) || []).flatMap((term) =>
  /[\u4e00-\u9fff]/.test(term) && term.length > 1
    ? Array.from({ length: term.length - 1 }, (_, start) => term.slice(start, start + 2))
    : [term]
);
"""


class English(SearchEnglish):
    """A word stands on many pages: its stem is looked for once."""

    stem = cache(SearchEnglish.stem)


class ChineseInPairs(SearchChinese):
    """Chinese text is found by its pairs of neighbouring characters: no dictionary, and every query finds its words."""

    js_splitter_code = SPLITTER
    # The stemmer that Sphinx writes into the page of the search is the English one; it looks for it by this name.
    language_name = "English"
    stem = cache(SearchChinese.stem)

    def split(self, input: str) -> list[str]:
        pairs = [run[start : start + 2] for run in CHINESE.findall(input) for start in range(max(len(run) - 1, 1))]
        latin = self.latin1_letters.findall(input)
        self.latin_terms.update(latin)
        return pairs + latin


def formula(self: Any, node: nodes.math) -> None:
    """A formula within a line, as text that the page's script sets."""
    self.body.append(f'<span class="formula">{html.escape(node.astext())}</span>')
    raise nodes.SkipNode


def displayed_formula(self: Any, node: nodes.math_block) -> None:
    """A formula by itself."""
    self.body.append(self.starttag(node, "div", CLASS="formula"))
    self.body.append(f"{html.escape(node.astext().strip())}</div>\n")
    raise nodes.SkipNode


def docstring(_app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """A docstring, in place, before autodoc parses it."""
    lines[:] = as_rest(list(lines))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register all of it."""
    app.add_html_math_renderer(MATH, (formula, None), (displayed_formula, None))
    app.connect("autodoc-process-docstring", docstring)
    languages.update(en=English, zh=ChineseInPairs)
    return {"parallel_read_safe": True}
