"""The page as one HTML file, from its parts in page/ and a recording."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy_nn.commands.trace.arguments import MISTAKES
from numpy_nn.gradcheck.explain.causes import WORDS

TEMPLATE = Path(__file__).parent / "page"


def render(recording: dict[str, Any], about: dict[str, Any], language: str = "en") -> str:
    """The page as one file: the template with its styles, its scripts and the recording put in.

    ``about`` is what the line below the heading says of the network; ``language`` is "en" or "zh". The recording's
    CRC-32 stands beside it, and the page shows no numbers if they do not belong together.
    """

    def inline(tag: str) -> Callable[[re.Match[str]], str]:
        return lambda match: f"<{tag}>\n{(TEMPLATE / match[1]).read_text(encoding='utf-8')}</{tag}>"

    html = (TEMPLATE / "page.html").read_text(encoding="utf-8")
    html = re.sub(r'<link rel="stylesheet" href="([^"]*)">', inline("style"), html)
    html = re.sub(r'<script src="([^"]*)"></script>', inline("script"), html)
    html = html.replace('data-lang="en"', f'data-lang="{language}"')
    causes = '<script type="application/json" id="causes">'
    html = html.replace(causes, causes + json.dumps({name: WORDS[name] for name in MISTAKES}))
    # Inside a script element "</script" would end it, and "<!--" begin a comment.
    content = json.dumps({**recording, "about": about}, allow_nan=False).replace("<", "\\u003c")
    holder = '<script type="application/json" id="recording">'
    return html.replace(holder, f'{holder[:-1]} data-crc32="{zlib.crc32(content.encode()):08x}">{content}')
