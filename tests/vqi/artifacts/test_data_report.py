"""What a data report says of its images in words."""

from __future__ import annotations

from vqi.artifacts.data_report import told_sizes


def test_many_sizes_are_told_by_their_ends() -> None:
    few = {f"{width}x200": 1000 + width for width in (100, 90, 110)}
    assert told_sizes(few) == {"100x200": "1,100", "90x200": "1,090", "110x200": "1,110"}
    many = {f"{900 + 10 * number}x{1300 - number}": 200 for number in range(12)}
    assert told_sizes(many) == {"900x1289 to 1010x1300": "2,400, of 12 sizes"}
    assert told_sizes({}) == {}
