"""Sphinx's settings for the site, the same for both languages; scripts/make_site.py calls it with what differs."""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.book import extension  # noqa: E402, Sphinx runs this file with no path to the project: the lines above make one

OTHER_PAGES = json.loads(os.environ.get("BOOK_OTHER_PAGES", "[]"))
CHINESE = os.environ.get("BOOK_LANGUAGE") == "zh"

project = "numpy-nn"
author = "The numpy-nn authors"
project_copyright = "the numpy-nn authors, MIT licence"
language = "zh_CN" if CHINESE else "en"
html_search_language = "zh" if CHINESE else "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "scripts.book.extension"]
# A lesson was run when its notebook was made.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
python_maximum_signature_line_length = 100
default_role = "code"

html_theme = "furo"
html_title = "numpy-nn"
html_static_path = ["static"]
templates_path = [str(ROOT / "scripts" / "book" / "templates")]
html_css_files = ["katex/katex.min.css", "style.css"]
html_js_files = ["katex/katex.min.js", "formulas.js"]
html_math_renderer = extension.MATH
html_show_sphinx = False
html_copy_source = False
# The excerpts beside what was found would be fetched, which a page in a folder may not.
html_show_search_summary = False
html_show_sourcelink = False
html_domain_indices = False
html_permalinks_icon = "#"
html_context = {"other_pages": OTHER_PAGES, "chinese": CHINESE}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/language.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
