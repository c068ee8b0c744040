"""JSON files with a checksum; that no change to one goes unnoticed is in test_faults.py."""

import json
import re

import pytest

from numpy_nn._support import checked_json


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[1]", b'{"epochs": []}', b"1" * 5000, b"\xff", b""])
def test_what_is_no_file_of_ours_is_refused_by_name(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: .*$"):
        checked_json.read(path)


def test_the_same_values_in_other_blanks_are_the_same(tmp_path):
    path, content = tmp_path / "file.json", {"numbers": [1, 0.1, float("nan"), None], "text": "é"}
    checked_json.write(path, content)
    path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=False), encoding="utf-8")
    assert repr(checked_json.read(path)) == repr(content)


def test_a_value_that_was_edited_is_refused(tmp_path):
    path = tmp_path / "file.json"
    checked_json.write(path, {"accuracy": 0.98})
    path.write_text(path.read_text().replace("0.98", "0.99"))
    with pytest.raises(ValueError, match="damaged or edited"):
        checked_json.read(path)
