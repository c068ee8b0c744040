"""The plain formulas of docstrings, ``dL/dW = x^T G``, as TeX.

A formula there is written to be read where it stands, in a source: products by a blank, subscripts by ``_``, a hat or
a power by ``^``, words beside it. What is not understood is None, and stays as it was written.
"""

from __future__ import annotations

import re

GREEK = {"mu", "alpha", "beta", "delta", "gamma", "lambda", "pi"}
SYMBOLS = {"eps": r"\varepsilon", "Phi": r"\Phi", "phi": r"\varphi", "<-": r"\leftarrow", "<=": r"\le", ">=": r"\ge"}
SYMBOLS |= {"~": r"\sim", "+-": r"\pm"}
FUNCTIONS = {"exp", "log", "max", "min", "tanh"}
# Names of more than one letter that stand for a number or an array, beside those with an underscore.
NAMES = {"weight", "bias", "running", "momentum", "batch", "lr", "var", "term", "decay", "classes", "scale", "softmax"}
NAMES |= {"mean", "slope", "erf", "softplus", "hardsigmoid", "log1p", "expm1", "elu"}

TOKEN = re.compile(
    r"(?P<code>``[^`]+``)"
    r"|(?P<gap> {2,})"
    r"|(?P<dot> \. )"
    r"|(?P<partial>d ?(?P<of>L|term|mean|var|x\^_i|x) ?/ ?d ?(?P<by>[A-Za-z]+(?:_\w+)?)(?![A-Za-z(]))"
    r"|(?P<word>[A-Za-z]+'s\b|sum(?= to\b))"
    r"|(?P<name>[A-Za-z]+\d?(?:_(?:[a-z]{3,}\w*|[a-z]{1,2}\b|val\b))*_?\d?(?P<prime>'(?!\w))?)"
    r"|(?P<hat>\^(?=[ _),/]|$))"
    r"|(?P<power>\^(?:T\b|\w|\([^()]*\)))"
    r"|(?P<subscript>_\w+)"
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<symbol><-|<=|>=|\+-|[-+=<>/,;:~])"
    r"|(?P<open>[(\[])|(?P<close>[)\]])|(?P<bar>\|)"
    r"|(?P<blank> )"
)


def _name(name: str) -> str | None:
    """A name as TeX; None for a word of English."""
    name, prime = name.rstrip("'"), "'" * name.endswith("'")
    if name in SYMBOLS:
        return SYMBOLS[name] + prime
    if name in FUNCTIONS:
        return "\\" + name
    greek = re.fullmatch(r"([A-Za-z]+?)(\d?)", name)
    if greek and greek[1] in GREEK:
        return f"\\{greek[1]}" + (f"_{greek[2]}" if greek[2] else "") + prime
    base, _, index = name.partition("_")
    if len(base) == 1 and len(index) <= 2 and base.isalpha():
        return base + prime + (f"_{{{index}}}" if index else "")
    if base == "sum" and len(index) <= 1:
        return r"\sum" + (f"_{{{index}}}" if index else "") + " "
    if len(base) == 2 and base[1].isdigit() and not index:
        return f"{base[0]}_{base[1]}" + prime
    if base in NAMES and len(index) <= 1 and name not in ("label_smoothing",):
        return rf"\mathrm{{{base}}}" + (f"_{{{index}}}" if index else "") + prime
    if "_" in name or name in NAMES:
        return r"\mathrm{" + name.replace("_", r"\_") + "}" + prime
    return None


def tex(text: str, words: bool = True) -> str | None:
    """A line of formulas as TeX; None if part of it is not understood, or is a word where none is wanted."""
    parts: list[str] = []
    roots: list[int] = []  # how deep in brackets each root began
    depth = place = 0
    root_next = False
    while place < len(text):
        token = TOKEN.match(text, place)
        if token is None:
            return None
        place, kind, found = token.end(), token.lastgroup, token[0]
        if token["partial"]:
            of = r"\hat{x}_i" if token["of"] == "x^_i" else _name(token["of"]) or token["of"]
            by = _name(token["by"]) or rf"\mathrm{{{token['by']}}}"
            parts.append(rf"\frac{{\partial {of}}}{{\partial {by}}}")
        elif kind == "word":
            parts.append(rf"\text{{{found}}}")
        elif token["name"]:
            if found == "sqrt" and text[place : place + 1] == "(":
                root_next = True
                continue
            known = _name(found)
            if known is None and not words:
                return None
            parts.append(known if known is not None else rf"\text{{{found}}}")
        elif kind == "code":
            parts.append(r"\texttt{" + found.strip("`").replace("_", r"\_") + "}")
        elif kind == "dot":
            parts.append(r" \cdot ")
        elif kind == "gap":
            parts.append(r"\quad ")
        elif kind == "hat":
            parts[-1] = rf"\hat{{{parts[-1]}}}"
        elif kind == "power":
            inner = r"\top" if found == "^T" else tex(found[1:].strip("()"), words)
            if inner is None:
                return None
            parts.append(f"^{{{inner}}}")
        elif kind == "subscript":
            parts.append(f"_{{{found[1:]}}}")
        elif kind == "open":
            depth += 1
            if root_next:
                roots.append(depth)
                parts.append(r"\sqrt{")
            else:
                parts.append(found)
            root_next = False
        elif kind == "close":
            parts.append("}" if roots and roots[-1] == depth else found)
            if roots and roots[-1] == depth:
                roots.pop()
            depth -= 1
        elif kind == "blank":
            parts.append(" " if _apart(parts, text, place) else r"\, ")
        else:
            parts.append(SYMBOLS.get(found, found))
    return _with_words("".join(parts)) if depth == 0 and not roots else None


def _with_words(formula: str) -> str:
    """The formula with its words in one piece, and the blanks around them that a formula would swallow."""
    while (joined := re.sub(r"\\text\{([^{}]*)\}(?:\\, | )\\text\{", r"\\text{\1 ", formula)) != formula:
        formula = joined
    formula = re.sub(r"(?:\\, | )\\text\{", r"\\text{ ", formula)
    formula = re.sub(r"(\\text\{[^{}]*)\}(?:\\, | )", r"\1 }", formula)
    return formula.replace(", ", r",\; ").replace(r"\,\; ", r"\, ")


def _apart(parts: list[str], text: str, place: int) -> bool:
    """Whether a blank only sets a sign apart; between two factors it is a product, between words it shows."""
    before, after = parts[-1][-1:] if parts else "", text[place : place + 1]
    return before in "+-=<>/,;:" or after in "+-=<>/,;:|" or parts[-1].startswith(("\\le", "\\ge", "\\sum"))


def displayed(lines: list[str]) -> list[str] | None:
    """Lines of formulas one below the other, with their first sign of a relation aligned; None as for :func:`tex`."""
    rows = []
    for line in lines:
        if not line.strip():
            rows.append("")
            continue
        relation = re.search(r" (<-|=) ", line)
        cut = relation.start() if relation else 0
        halves = [tex(half.strip()) for half in (line[:cut], line[cut:])]
        if None in halves:
            return None
        rows.append(" & ".join(map(str, halves)) + r" \\")
    return [r"\begin{aligned}", *(row if row else r"\\[-0.5em]" for row in rows), r"\end{aligned}"]
