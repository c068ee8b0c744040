"""What the site makes of docstrings and of links, piece by piece."""

import pytest

from scripts.book.docstrings import as_rest
from scripts.book.formulas import displayed, tex
from scripts.book.pages import CHINESE, ENGLISH, with_links_of_the_site


@pytest.mark.parametrize(
    ("plain", "formula"),
    [
        ("x^T G", r"x^{\top}\, G"),
        ("dL/dW_ij = sum_n x_ni G_nj", r"\frac{\partial L}{\partial W_{ij}} = \sum_{n} x_{ni}\, G_{nj}"),
        ("dL/dweight = sum G x^", r"\frac{\partial L}{\partial \mathrm{weight}} = \sum G\, \hat{x}"),
        ("d x^_i / dx_j", r"\frac{\partial \hat{x}_i}{\partial x_{j}}"),
        ("g^2 / (sqrt(v - m^2) + eps)", r"g^{2} / (\sqrt{v - m^{2}} + \varepsilon)"),
        ("p <- p - lr m^ / 2", r"p \leftarrow p - \mathrm{lr}\, \hat{m} / 2"),
        ("1 - beta1^t", r"1 - \beta_1^{t}"),
        ("w . x", r"w \cdot x"),
        ("H     in training mode", r"H\quad\text{ in training mode}"),
        ("1 / D   as the entries of c sum to 0", r"1 / D\quad\text{ as the entries of }c\text{ sum to }0"),
        ("label_smoothing / classes", r"\mathrm{label\_smoothing} / \mathrm{classes}"),
        ("g if ``maximize``", r"g\text{ if }\texttt{maximize}"),
    ],
)
def test_a_plain_formula_is_set(plain, formula):
    assert " ".join((tex(plain) or "").split()) == formula


@pytest.mark.parametrize("plain", ["d[k] = {v}", "f(x", "sqrt(x", 'a = "b"', "x @ y"])
def test_what_is_no_formula_is_left_alone(plain):
    assert tex(plain) is None
    assert displayed([plain]) is None


def test_words_are_no_formula_where_none_is_wanted():
    assert tex("x if x > 0", words=False) is None
    assert tex("max(x, 0)", words=False) == r"\max(x,\; 0)"


def test_a_docstring_is_set_and_its_plain_text_left():
    lines = [
        "y = x W + b, with x (batch, in_features).",
        "",
        "The *largest* |x~| and x_ of :class:`Linear` and ``a_``; backward::",
        "",
        "    dL/dW = x^T G",
        "",
        "    dL/db = sum_n G_n",
        "",
        "Used so:",
        "",
        "    f(**options)",
    ]
    assert as_rest(lines) == [
        r":math:`y = x\, W + b`, with x (batch, in_features).",
        "",
        r"The \*largest\* \|x~\| and x\_ of :class:`Linear` and ``a_``; backward:",
        "",
        ".. math::",
        "",
        r"    \begin{aligned}",
        r"    \frac{\partial L}{\partial W} & = x^{\top}\, G \\",
        r"    \\[-0.5em]",
        r"    \frac{\partial L}{\partial b} & = \sum_{n}  G_{n} \\",
        r"    \end{aligned}",
        "",
        "Used so:",
        "",
        ".. code-block:: python",
        "",
        "    f(**options)",
        "",
    ]


@pytest.mark.parametrize(
    ("first", "text"),
    [
        ("Train for ``epochs`` epochs.", "Train for ``epochs`` epochs."),
        ("x.", r"\x."),
        ("1.", r"\1."),
        ("a) b", r"\a) b"),
    ],
)
def test_a_first_line_without_a_formula_stays_text_and_is_no_list(first, text):
    assert as_rest([first]) == [text]


@pytest.mark.parametrize(
    ("language", "source", "page", "link", "changed"),
    [
        (ENGLISH, "README.md", "index", "[a](docs/gradcheck.md#your-own)", "[a](gradcheck.md#your-own)"),
        (ENGLISH, "README.md", "index", "[a](README.zh-CN.md)", '<a href="./zh/index.html">a</a>'),
        (ENGLISH, "README.md", "index", "![a](docs/figures/b.png)", "![a](figures/b.png)"),
        (ENGLISH, "README.md", "index", "[a](docs/trace-4-5-3.html)", "[a](backward-pass.md)"),
        (ENGLISH, "docs/lessons.md", "lessons", "[`a`](notebooks/l.ipynb)", "[`a`](lessons/l.ipynb)"),
        (ENGLISH, "docs/lessons.md", "lessons", "[the forms](../scripts/proof/forms/)", "the forms"),
        (ENGLISH, "docs/setup.md", "setup", "[a](https://b.org/c.md)", "[a](https://b.org/c.md)"),
        (ENGLISH, "docs/setup.md", "setup", "`[a](../README.md)`", "`[a](../README.md)`"),
        (CHINESE, "docs/zh/lessons.md", "lessons", "[a](../notebooks/zh/l.ipynb)", "[a](lessons/l.ipynb)"),
        (CHINESE, "docs/zh/setup.md", "setup", "[a](../gpu.md#b)", '<a href="./../gpu.html#b">a</a>'),
        (CHINESE, "docs/zh/setup.md", "setup", "[a](../../README.zh-CN.md)", "[a](index.md)"),
    ],
)
def test_a_link_of_the_repository_becomes_one_of_the_site(language, source, page, link, changed):
    assert with_links_of_the_site(link, source, page, language) == changed
