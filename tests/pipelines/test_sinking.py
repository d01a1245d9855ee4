"""``--sink`` of ``vqi predict --watch``: a process that is killed loses no row, and doubles have the same id."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.pipelines.test_watching import Watching, draw
from tests.vqi.sinks.receiver import receiving
from vqi_pipelines.commands.group import vqi


@pytest.mark.slow
def test_rows_of_a_watched_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "no.png").write_bytes(b"no photograph")
    with receiving() as receiver:
        receiver.status = 503
        sink = ("--sink", receiver.url, "--sink-queue", "queue")
        killed = Watching(tmp_path, *sink)
        for number in range(2):
            draw(tmp_path / "in" / f"{number}.png", 120 + number)
        assert len(killed.wait_for(3)) == 3
        receiver.until(lambda: receiver.asked)
        killed.stop(signal.SIGKILL)
        (tmp_path / "out.csv.state").unlink()  # so that all of them are scored again
        receiver.status = 200
        again = Watching(tmp_path, *sink)
        draw(tmp_path / "in" / "2.png", 122)
        assert len(again.wait_for(7)) == 7
        receiver.until(lambda: len(receiver.paths()) == 4)
        code, said = again.stop()
    assert code == 3, "one could not be read"
    assert "messages left by an earlier run" in said
    messages = {one["id"]: one for one in receiver.taken}
    assert sorted(Path(one["path"]).name for one in messages.values()) == ["0.png", "1.png", "2.png", "no.png"]
    scores = {Path(one["path"]).name: one["score"] for one in messages.values()}
    assert scores == {"0.png": 120.0, "1.png": 121.0, "2.png": 122.0, "no.png": None}
    assert {(one["model"], one["version"]) for one in messages.values()} == {("model", 7)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "model", "a.png", "--sink", "https://host", "--sink-queue", "q"], "--sink is for --watch FOLDER"),
        (["predict", "model", "--watch", ".", "--sink", "https://host"], "name a folder with --sink-queue"),
        (["serve", "store", "--sink-queue", "q"], "--sink-queue: expected with --sink ADDRESS"),
        (["serve", "store", "--port", "0", "--sink", "gopher://host", "--sink-queue", "q"], "unknown kind of sink"),
    ],
)
def test_what_does_not_go_together(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(vqi, arguments)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert not Path("q").exists()
