"""What a run keeps on the disk and shows: no secrets, nothing for other users, nothing of what was killed."""

import io
import json
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kfp import dsl

from vqi_components.dataset_download.component import dataset_download
from vqi_pipelines.commands.group import vqi
from vqi_pipelines.compiled import ir_of
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import Pipeline
from vqi_pipelines.local import run_pipeline
from vqi_pipelines.local.progress import PlainLines
from vqi_pipelines.local.state import RunState
from vqi_pipelines.parameters import check_parameters

SECRETS = ("planted-password", "planted-signature", "planted-token", "planted-key")


@dsl.pipeline(name="fetch")
def fetch(source: str):
    dataset_download(source=source)


@dsl.container_component
def echo(text: str, out: dsl.OutputPath(str), code: int = 0):
    script = 'echo "got $1"; echo "${TOLD-}"; printf %s "$1" > "$2"; echo 99 %; exit "$3"'
    return dsl.ContainerSpec(image="i", command=["sh", "-uc", script, "step"], args=[text, out, code])


@dsl.pipeline(name="echoes")
def echoes(text: str, code: int = 0):
    echo(text=text, code=code)


@dsl.component(base_image="python:3.11")
def function(address: str, others: list) -> str:
    import pathlib

    lists = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            lists.append((process / "cmdline").read_bytes())
        except OSError:  # it has ended
            continue
    shown = [one for one in lists if b"-".join([b"planted", b"password"]) in one]
    return f"{len(address) + len(others[0])} {len(shown)}"


@dsl.pipeline(name="functions")
def functions(address: str, others: list) -> str:
    return function(address=address, others=others).output


def run(pipeline: Any, base: Path, output: io.StringIO, environment: Mapping[str, str] = {}, **given: Any) -> RunState:
    read: Pipeline = read_ir(ir_of(pipeline))
    return run_pipeline(
        read, check_parameters(read, given), runs_dir=base / "runs", parallelism=1, use_cache=True, artifacts=None,
        environment=environment, observer=PlainLines(output),
    )  # fmt: skip


def planted(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if any(secret.encode() in path.read_bytes() for secret in SECRETS)]


@contextmanager
def refusing_server() -> Iterator[tuple[str, list[bytes], list[str]]]:
    """A server that has nothing; what all processes were called and what it was asked while it was asked."""
    commands: list[bytes] = []
    asked: list[str] = []

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    commands.append((process / "cmdline").read_bytes())
                except OSError:  # it has ended
                    continue
            asked.append(f"{self.path} {self.headers.get('Authorization', '')}")
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", commands, asked
        server.shutdown()


@pytest.mark.slow
def test_the_secrets_of_an_address_are_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-key")
    output = io.StringIO()
    with refusing_server() as (host, commands, asked):
        source = f"archive:http://me:planted-password@{host}/a.zip?X-Amz-Signature=planted-signature"
        done = run(fetch, tmp_path, output, {"VQI_STORE": f"file://{tmp_path}/store"}, source=source)
        assert asked, "the step used the whole address"
        assert "planted-signature" in asked[0]
        assert "Basic " in asked[0]
        assert any(b"vqi_components.dataset_download" in command for command in commands)
        ours = [command for command in commands if b"vqi_components.dataset_download" in command]
        assert not [command for command in ours if any(secret.encode() in command for secret in SECRETS)]
        assert "404" in done.tasks["dataset-download"].message
        assert planted(tmp_path) == []
        assert not [secret for secret in SECRETS if secret in output.getvalue()]
        step = str(done.folder / "dataset-download")
        missing = CliRunner().invoke(vqi, ["step", step])
        assert (missing.exit_code, missing.output.count("\n")) == (2, 1)
        assert "which a run does not keep: add -p source=..." in missing.output
        asked.clear()
        again = CliRunner().invoke(vqi, ["step", step, "-p", f"source={source}"])
        assert again.exit_code == 2
        assert "planted-signature" in asked[0], "the advice was followed"
        assert not [secret for secret in SECRETS if secret in again.output]
        wrong = CliRunner().invoke(vqi, ["step", step, "-p", "source=elpv"])
        assert "as in the run" in wrong.output
        assert planted(tmp_path) == []


def test_what_another_program_prints_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-key")
    output = io.StringIO()
    text = "https://me:planted-password@h/a?sig=planted-signature"
    monkeypatch.setenv("TOLD", "planted-password planted-signature planted-key")
    done = run(echoes, tmp_path, output, text=text, code=3)
    assert planted(tmp_path) == []
    log = (done.folder / "echo" / "log.txt").read_text()
    assert "got https://***@h/a?***" in log
    assert "*** *** ***" in log
    good = run(echoes, tmp_path, output, text=text)
    assert good.exit_code == 0
    assert run(echoes, tmp_path, output, text=text).tasks["echo"].state == "done", "a secret output is no kept result"
    assert planted(tmp_path) == []


def test_a_python_component_gets_its_secrets_where_nobody_sees_them(tmp_path: Path) -> None:
    output = io.StringIO()
    address = "https://me:planted-password@h/a?sig=planted-signature"
    done = run(functions, tmp_path, output, address=address, others=[address])
    assert done.exit_code == 0, output.getvalue()
    record = json.loads((done.folder / "function" / "task.json").read_text())
    assert record["output_parameters"]["Output"] == f"{2 * len(address)} 0", "whole, and in no list of processes"
    assert planted(tmp_path) == []
    assert "command line" not in output.getvalue()
    step = str(done.folder / "function")
    again = CliRunner().invoke(vqi, ["step", step, "-p", f"address={address}", "-p", f"others={json.dumps([address])}"])
    assert again.exit_code == 0, again.output


def test_where_a_program_shows_a_secret_to_all_users_the_run_says_so(tmp_path: Path) -> None:
    output = io.StringIO()
    run(echoes, tmp_path, output, text="https://me:planted-password@h/a")
    notes = [line for line in output.getvalue().splitlines() if "command line" in line]
    assert len(notes) == 1
    assert "echo: the secret part of text is on the command line of its program" in notes[0]
    assert "use_secret_as_env" in notes[0]
    run(echoes, tmp_path, output, text="https://h/a")
    assert output.getvalue().count("command line") == 1


def test_files_of_a_run_are_private(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        run(echoes, tmp_path, io.StringIO(), text="a")
        done = run(echoes, tmp_path, io.StringIO(), text="a")
    finally:
        os.umask(before)
    assert done.tasks["echo"].state == "cached"
    found = [path for path in (tmp_path / "runs").rglob("*") if not path.is_symlink()]
    assert len(found) > 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o700, 0o600}


def test_the_reason_is_what_the_step_left_for_it_and_not_the_logs_end(tmp_path: Path) -> None:
    @dsl.container_component
    def fail():
        script = 'printf "it is broken: mend it" > "$VQI_TERMINATION_LOG"; echo 100 %; exit 2'
        return dsl.ContainerSpec(image="i", command=["sh", "-uc", script])

    @dsl.pipeline(name="fails")
    def fails():
        fail()

    done = run(fails, tmp_path, io.StringIO())
    assert done.tasks["fail"].message == "it is broken: mend it"
    assert json.loads((done.folder / "fail" / "task.json").read_text())["message"] == "it is broken: mend it"


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b'{"folder": 1}', b"\xff", b'{"folder": "../..", "parameters": {}, "artifacts": {}}', None]
)
def test_a_damaged_result_is_not_used_said_once_and_replaced(damage: bytes | None, tmp_path: Path) -> None:
    output = io.StringIO()
    run(echoes, tmp_path, output, text="a")
    (entry,) = (tmp_path / "runs" / ".cache").glob("*.json")
    entry.unlink()
    if damage is None:
        (entry / "x").mkdir(parents=True)
    else:
        entry.write_bytes(damage)
    done = run(echoes, tmp_path, output, text="a")
    assert (done.exit_code, done.tasks["echo"].state) == (0, "done")
    assert output.getvalue().count("a damaged result of an earlier run is not used, and replaced") == 1
    assert run(echoes, tmp_path, output, text="a").tasks["echo"].state == "cached"


def test_latest_that_is_a_folder_or_a_file_gets_another_name(tmp_path: Path) -> None:
    latest = tmp_path / "runs" / "latest"
    (latest / "mine").mkdir(parents=True)
    output = io.StringIO()
    done = run(echoes, tmp_path, output, text="a")
    assert latest.resolve() == done.folder
    assert (tmp_path / "runs" / f"latest-before-{done.run_id}" / "mine").is_dir()
    assert f"is now {tmp_path}/runs/latest-before-{done.run_id}" in output.getvalue()


def test_links_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*unused: object, **others: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    output = io.StringIO()
    done = run(echoes, tmp_path, output, text="a")
    assert done.exit_code == 0
    assert f"latest cannot be made (Operation not permitted): this run is in {done.folder}" in output.getvalue()


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    from vqi.system.locks import held_folder

    runs = tmp_path / "runs"
    dead, alive = (
        run(echoes, tmp_path, io.StringIO(), text="a").folder,
        run(echoes, tmp_path, io.StringIO(), text="b").folder,
    )
    mine = runs / "mine"
    for folder in (dead / "echo", alive / "echo", mine):
        (folder / ".partial" / "outputs").mkdir(parents=True)
        (folder / ".tmp-1").write_text("x")
    (runs / ".cache" / ".tmp-2").write_text("x")
    with held_folder(alive):
        run(echoes, tmp_path, io.StringIO(), text="c")
    assert sorted(path.name for path in (dead / "echo").iterdir()) == ["log.txt", "task.json"]
    assert (alive / "echo" / ".partial").is_dir()
    assert (mine / ".partial" / "outputs").is_dir()
    assert (mine / ".tmp-1").is_file()
    assert not list((runs / ".cache").glob(".tmp-*"))
