"""vqi.progress: what a log and a terminal see."""

from __future__ import annotations

import sys

import pytest

from vqi import progress
from vqi.progress import bar, clock, line, track


def test_a_log_gets_plain_lines_and_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(track(range(3), 3, "decode")) == [0, 1, 2]
    assert capsys.readouterr().err.startswith("decode: 3/3 (100 %), ")
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    list(track(range(3), 3, "decode"))
    lines = capsys.readouterr().err.splitlines()
    assert [text.split(",")[0] for text in lines] == [
        "decode: 1/3 (33 %)",
        "decode: 2/3 (66 %)",
        "decode: 3/3 (100 %)",
        "decode: 3/3 (100 %)",
    ]


def test_where_it_broke_off_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        list(track((1 // n for n in (1, 0)), 2, "divide"))
    assert "divide: 1/2 (50 %)" in capsys.readouterr().err


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    list(track(range(2), 2, "decode"))
    err = capsys.readouterr().err
    assert f"\r\x1b[K{bar(2, 2)} decode: 2/2 (100 %)" in err
    assert err.endswith("\n")


def test_items_that_count_for_more_than_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track([[1, 2], [3]], 3, "epoch 1", unit="images", size=len)) == [[1, 2], [3]]
    assert capsys.readouterr().err.startswith("epoch 1: 3/3 (100 %), ")


def test_line_and_bar_by_hand() -> None:
    assert line("x", 3, 4, 2.0) == "x: 3/4 (75 %), 1.5/s, 0:01 left"
    assert line("x", 4, 4, 2.0, "images") == "x: 4/4 (100 %), 2.0 images/s"
    assert line("x", 1, 721, 5.0) == "x: 1/721 (0 %), 0.2/s, 1:00:00 left"
    assert [clock(s) for s in (0, 7.4, 750, 3605)] == ["0:00", "0:07", "12:30", "1:00:05"]
    assert line("x", 0, 0, 0.0) == "x: 0/0"
    assert bar(1, 2) == "[" + "#" * 15 + "-" * 15 + "]"
    assert bar(0, 0) == "[" + "#" * 30 + "]"
