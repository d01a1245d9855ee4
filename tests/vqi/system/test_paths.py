"""Paths as people write them."""

from pathlib import Path

import pytest

from vqi.errors import VqiError
from vqi.system.paths import local_path


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/a/b") == tmp_path / "a" / "b"
    assert local_path("a/~") == Path("a/~")


@pytest.mark.parametrize(
    ("text", "said"),
    [("~no-such-user/a", "no home folder of '~no-such-user'"), ("a\0b", "'a\\\\x00b' is not a path"), ("", "empty")],
)
def test_what_is_no_path_is_one_line(text: str, said: str) -> None:
    with pytest.raises(VqiError, match=said):
        local_path(text)


def test_the_advice_works_when_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VqiError, match=r"write \./~no-such-user/a") as caught:
        local_path("~no-such-user/a")
    assert local_path(str(caught.value).partition("write ")[2].partition(" for")[0]) == tmp_path / "~no-such-user" / "a"
