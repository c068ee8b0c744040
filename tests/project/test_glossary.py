"""The glossary: the same terms in both languages, in the same order."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def terms(path):
    """The first two columns of each row."""
    return re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", path.read_text(encoding="utf-8"), re.MULTILINE)[1:]


def test_both_pages_have_the_same_terms_by_the_english_alphabet():
    english = terms(DOCS / "glossary.md")
    assert len(english) >= 40
    assert [(chinese, name) for name, chinese in english] == terms(DOCS / "zh" / "glossary.md")
    names = [name.lower() for name, _ in english]
    assert names == sorted(set(names))
    assert len({chinese for _, chinese in english}) == len(english)


def test_the_lessons_use_the_terms():
    text = "".join(
        path.read_text(encoding="utf-8") for path in (DOCS.parent / "scripts" / "lessons" / "zh").glob("*.py")
    )
    for term in ("反向传播", "前向传播", "链式法则", "学习率", "激活函数", "隐藏单元", "交叉熵", "梯度下降", "偏置"):
        assert term in text
        assert term in "".join(chinese for _, chinese in terms(DOCS / "glossary.md"))
