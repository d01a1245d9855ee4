"""A whole run whose dataset is at an address with a login and a signature, and whose outputs are in an object store.

It is stopped and continued, both secrets are nowhere, and the scores are those of a run in folders.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.end_to_end.whole_runs import FAST, scores_csv, table
from vqi.store.opening import open_store
from vqi_pipelines.commands.group import vqi

LOGIN, SIGNATURE = "me:planted-password", "planted-signature"
SECRETS = ("planted-password", SIGNATURE, base64.b64encode(LOGIN.encode()).decode())
STEPS = (
    "dataset_download", "preprocess", "ssl_finetune", "feature_extract", "pca_fit", "evaluate", "publish", "summarize",
)  # fmt: skip


@contextmanager
def closed_server(file: Path) -> Iterator[tuple[str, list[str]]]:
    """A server that gives a file to who has the login and the signature; its address with them, and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            login = base64.b64encode(LOGIN.encode()).decode()
            if self.headers.get("Authorization") != f"Basic {login}" or SIGNATURE not in self.path:
                self.send_error(403)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(file.stat().st_size))
            self.end_headers()
            self.wfile.write(file.read_bytes())

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://{LOGIN}@127.0.0.1:{server.server_address[1]}/{file.name}?X-Amz-Signature={SIGNATURE}", asked
        server.shutdown()


@contextmanager
def list_of_processes() -> Iterator[set[bytes]]:
    """The command lines of all processes that were there meanwhile."""
    found: set[bytes] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    found.add((process / "cmdline").read_bytes())
                except OSError:  # it has ended
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def archive(tmp_path: Path, parts: Path) -> Path:
    """The category that has test images."""
    shutil.copytree(parts / "bracket", tmp_path / "made" / "parts" / "bracket")
    return Path(shutil.make_archive(str(tmp_path / "made" / "parts"), "zip", tmp_path / "made", "parts"))


def test_a_stopped_run_continues_in_the_object_store_to_the_same_scores_and_shows_no_secret(
    tmp_path: Path, archive: Path, trained: Path, s3_environment: Any
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    given = tmp_path / "given.yaml"  # a command line would show it
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VQI_", "AWS_"))}
    environment = kept | {"VQI_CACHE": str(folder / "cache")} | s3_environment.environment
    command = [str(Path(sys.executable).with_name("vqi")), "run", "-f", str(given)]
    command += ["--artifacts", "s3://passing/some/prefix", "--store", "s3://lasting"]

    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    with closed_server(archive) as (address, asked), list_of_processes() as processes:
        parameters = {"source": f"archive:{address}", **FAST}
        given.write_text(json.dumps(parameters))
        shown = []
        with start() as first:
            assert first.stdout is not None
            for line in first.stdout:
                shown.append(line)
                if "preprocess" in line and "done" in line:
                    first.send_signal(signal.SIGINT)
        assert first.returncode != 0
        with start() as second:
            output, _ = second.communicate()
        assert second.returncode == 0, "".join(shown) + output
        shown.append(output)

    latest = folder / "runs" / "latest"
    tasks = json.loads((latest / "run.json").read_text())["tasks"]
    assert tasks["bracket/preprocess"]["state"] == "cached", "it continued"
    assert tasks["bracket/evaluate"]["state"] == "done"
    assert table(folder) == [row for row in table(trained) if row["category"] == "bracket"]
    assert not (folder / "store").exists()
    stored = {
        f"{store.uri}/{entry.key}": store.get_bytes(entry.key)
        for store in map(open_store, ("s3://passing/some/prefix", "s3://lasting"))
        for entry in store.list()
    }
    (scores,) = [content for key, content in stored.items() if key.endswith("/bracket/evaluate/scores/scores.csv")]
    assert scores == scores_csv(trained, "bracket").read_bytes()
    assert asked
    assert all(SIGNATURE in path for path in asked), "the whole address was used"

    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {"run.json", "task.json", "log.txt", "table.csv"} <= {path.name for path in files}
    assert {"report.html", "manifest.json"} <= {key.rpartition("/")[2] for key in stored}
    everything = stored | {str(path): path.read_bytes() for path in files}
    assert not [name for name, content in everything.items() if any(one.encode() in content for one in SECRETS)]
    assert not [name for name in everything if any(secret in name for secret in SECRETS)]
    assert not [secret for secret in SECRETS if secret in "".join(shown)]
    for step in STEPS:
        assert any(f"vqi_components.{step}".encode() in one for one in processes), step
    assert not [one for one in processes if any(secret.encode() in one for secret in SECRETS)]

    image = next((trained / "parts" / "bracket" / "test" / "spot").iterdir())
    predicted = CliRunner().invoke(vqi, ["predict", "s3://lasting/models/parts/bracket", str(image)])
    assert predicted.exit_code == 0, predicted.stderr
    assert predicted.stdout.startswith("path,score,threshold,decision,p_value,boxes,map,error\n")
