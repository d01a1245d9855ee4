"""A category at MLflow's own server, which the tests start; and what a server that is away costs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vqi.artifacts.decision import GateVerdict
from vqi.errors import UnavailableError
from vqi.mirrors import mlflow_mirror
from vqi.mirrors.__main__ import main
from vqi.mirrors.feeding import feed
from vqi.mirrors.mirroring import mirror
from vqi.mirrors.registry import MIRRORS
from vqi.models.category import VERDICT, Category
from vqi.models.promotion import promote
from vqi_pipelines.commands.group import vqi

MLFLOW = MIRRORS["mlflow"].variable
PYTHON = "VQI_MLFLOW_PYTHON"  # a Python that has the package mlflow, which is not among vqi's
SERVER = Path(__file__).with_name("mlflow_server.py")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of MLflow's server."""
    python = os.environ.get(PYTHON)
    if not python:
        reason = f"{PYTHON} names no Python with the package mlflow, whose server this needs"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("mlflow")
    with (folder / "log").open("wb") as log:
        command = [python, str(SERVER), str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder) as process:
            try:
                assert process.stdout is not None
                port = process.stdout.readline().strip()
                assert port, (folder / "log").read_text()[-2000:]
                yield f"http://127.0.0.1:{port}"
            finally:
                process.kill()


def client_of(server: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=server, registry_uri=server)


def versions_of(server: str, name: str) -> dict[str, Any]:
    found = client_of(server).search_model_versions(f"name = '{name}'")
    return {one.tags["vqi.version"]: one for one in found}


def test_versions_runs_and_the_champion(server: str, category: Category) -> None:
    promote(category.uri_of(1), "me", "")
    done = mirror("mlflow", category, server)
    assert (len(done.versions), done.champion) == (2, 1)
    found = versions_of(server, done.name)
    assert {*found} == {"1", "2"}
    assert found["2"].tags["vqi.verdict"] == "rejected"
    assert found["2"].tags["vqi.reasons"] == "AUROC is lower; recall, too"
    assert found["2"].tags["vqi.uri"] == category.uri_of(2)
    client = client_of(server)
    run = client.get_run(found["2"].run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["image_auroc"] == 0.92
    assert "pixel_auroc" not in run.data.metrics, "it was not measured"
    assert run.data.params["image_size"] == "64x64"
    assert client.get_model_version_by_alias(done.name, "champion").tags["vqi.version"] == "1"
    promote(category.uri_of(2), "me", "")
    category.store.delete(category.key(f"v2/{VERDICT}"))
    said = GateVerdict(verdict="promoted", reasons=("a person said so",))
    category.store.put_bytes(category.key(f"v2/{VERDICT}"), said.model_dump_json().encode())
    assert mirror("mlflow", category, server).champion == 2
    again = versions_of(server, done.name)
    assert {one.version for one in again.values()} == {one.version for one in found.values()}, "no second copy"
    assert again["2"].tags["vqi.verdict"] == "promoted"
    assert client.get_model_version_by_alias(done.name, "champion").tags["vqi.version"] == "2"


def test_an_interrupted_one_is_made_up_for(server: str, category: Category, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def refuses(*_: Any, **__: Any) -> None:
        raise MlflowException("the server went away")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "create_model_version", refuses)
        with pytest.raises(UnavailableError, match=r"MLflow at http://127\.0\.0\.1:\d+: the server went away"):
            mirror("mlflow", category, server)
    monkeypatch.setenv(MLFLOW, server)
    done = CliRunner().invoke(vqi, ["models", "mirror", category.uri])
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("versions: 2, champion: none\n")
    client = client_of(server)
    (experiment,) = [one for one in client.search_experiments() if one.name == "vqi.parts"]
    runs = [one for one in client.search_runs([experiment.experiment_id]) if category.uri in one.data.tags["vqi.uri"]]
    assert len(runs) == 2, "the run that was there was taken"


def test_a_decision_feeds_it(server: str, category: Category, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MLFLOW, server)
    done = CliRunner().invoke(vqi, ["models", "promote", category.uri_of(2)])
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    (name,) = [
        one.name for one in client_of(server).search_registered_models() if one.tags.get("vqi.uri") == category.uri
    ]
    assert {*versions_of(server, name)} == {"1", "2"}
    assert client_of(server).get_model_version_by_alias(name, "champion").tags["vqi.version"] == "2"


def test_a_champion_that_is_no_more(server: str, category: Category) -> None:
    promote(category.uri_of(1), "me", "")
    name = mirror("mlflow", category, server).name
    category.store.delete(category.key("champion.json"))
    for one in [*category.store.list(category.key("history/"))]:
        category.store.delete(one.key)
    assert mirror("mlflow", category, server).champion == 0
    assert client_of(server).get_registered_model(name).aliases == {}
    search = partial(client_of(server).search_model_versions, max_results=1)
    assert len([*mlflow_mirror._all(search, f"name = '{name}'")]) == 2, "page by page"


def test_the_process_that_feeds(
    server: str, category: Category, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(MLFLOW, server)
    assert main("mlflow", category.uri) == 0
    assert main("mlflow", f"{category.uri}/") == 0, "once more"
    capsys.readouterr()
    category.store.put_bytes(category.key("champion.json"), b"{")
    assert main("mlflow", category.uri) == 2
    assert "champion.json: Invalid JSON" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "mlflow", None)
    category.store.delete(category.key("champion.json"))
    assert main("mlflow", category.uri) == 2
    assert "needs the package 'mlflow', which is not installed: pip install 'vqi[mlflow]'" in capsys.readouterr().err


def test_a_server_that_is_away_fails_nothing(category: Category, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, MLFLOW: f"http://127.0.0.1:{port}", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    feed(category.uri, environment)
    told = capsys.readouterr().err
    assert f"note: {category.uri} is not mirrored to MLflow: " in told
    assert f"MLflow at http://127.0.0.1:{port}: " in told
    assert "; 'vqi models mirror' makes up for it" in told
