"""The script that measures the page: both figures, of a browser that is there already."""

import re

import pytest

from scripts.page_speed import measure

pytestmark = pytest.mark.slow


def test_a_frame_and_a_keystroke_are_measured_with_their_parts(chromium, tmp_path):
    told: list[str] = []
    measure(chromium, tmp_path, 2, 1, told.append)
    assert [line.split(",")[0] for line in told[::2]] == ["a frame", "a keystroke"]
    for line in told[1::2]:
        median, late = map(float, re.findall(r"[\d.]+(?= ms)", line))
        assert 0 < median <= late, line
    for line in told[::2]:
        whole, *parts = map(float, re.findall(r"[\d.]+(?= ms| *[,)])", line.partition(": ")[2]))
        assert len(parts) == 3, line
        assert 0 < sum(parts) <= whole + 0.2, line
    assert chromium.execute_script("return page.training.at") == 0
