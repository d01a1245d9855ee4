"""A category at a small Model Registry, which refuses what the real one refuses; and at what is none."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.vqi.mirrors.model_registry_server import ModelRegistry, RefusedError, running
from vqi.artifacts.decision import GateVerdict
from vqi.errors import UnavailableError, VqiError
from vqi.mirrors import model_registry_mirror
from vqi.mirrors.__main__ import main
from vqi.mirrors.mirroring import mirror
from vqi.models.category import VERDICT, Category
from vqi.models.manifest import MANIFEST
from vqi.models.promotion import promote
from vqi_pipelines.commands.group import vqi

KIND, VARIABLE = "model_registry", "VQI_MODEL_REGISTRY"


@pytest.fixture
def server() -> Iterator[ModelRegistry]:
    with running() as made:
        yield made


def state_of(server: ModelRegistry) -> dict[str, Any]:
    """What it shows: the champion, and by version its state, the uris of its artifacts and its properties."""
    (model,) = server.kept["registered_models"]
    shown: dict[str, Any] = {"champion": value_of(model, "vqi.champion"), "state": model["state"]}
    for one in server.kept["model_versions"]:
        assert one["registeredModelId"] == model["id"]
        uris = [part["uri"] for part in server.kept["model_artifacts"] if part["versionId"] == one["id"]]
        shown[one["name"]] = (one["state"], uris, one.get("customProperties"))
    return deepcopy(shown)


def value_of(resource: dict[str, Any], key: str) -> Any:
    value = dict(resource["customProperties"][key])
    value.pop("metadataType")
    (only,) = value.values()
    return only


def names_of(category: Category) -> list[str]:
    return [f"v{number}-{category.digest_of(number)[:12]}" for number in category.complete()]


def test_versions_artifacts_and_the_champion(server: ModelRegistry, category: Category, tmp_path: Path) -> None:
    promote(category.uri_of(1), "me", "")
    done = mirror(KIND, category, server.url)
    assert (len(done.versions), done.champion) == (2, 1)
    (model,) = server.kept["registered_models"]
    assert model["name"] == done.name == f"parts.it%27s {tmp_path.name}%3A 1%2F2"
    first, second = names_of(category)
    assert value_of(model, "vqi.champion") == first
    versions = {one["name"]: one for one in server.kept["model_versions"]}
    assert {*versions} == {first, second}
    two = versions[second]
    assert value_of(two, "vqi.digest") == category.digest_of(2)
    assert value_of(two, "vqi.verdict") == "rejected"
    assert value_of(two, "vqi.reasons") == "AUROC is lower; recall, too"
    assert value_of(two, "image_auroc") == 0.92
    assert value_of(two, "image_size") == "64x64"
    assert "pixel_auroc" not in two["customProperties"], "it was not measured"
    (artifact,) = [one for one in server.kept["model_artifacts"] if one["versionId"] == two["id"]]
    assert artifact["uri"] == category.uri_of(2)
    assert (artifact["modelFormatName"], artifact["modelFormatVersion"]) == ("vqi.model", "3")
    server.writes()
    mirror(KIND, category, server.url)
    assert server.writes() == [], "nothing is done where it is up to date"


def test_what_changes_is_put_right(server: ModelRegistry, category: Category) -> None:
    mirror(KIND, category, server.url)
    (model,) = server.kept["registered_models"]
    first, second = server.kept["model_versions"]
    assert value_of(model, "vqi.champion") == "none"
    server.writes()
    promote(category.uri_of(2), "me", "")
    category.store.delete(category.key(f"v2/{VERDICT}"))
    said = GateVerdict(verdict="promoted", reasons=("a person said so",))
    category.store.put_bytes(category.key(f"v2/{VERDICT}"), said.model_dump_json().encode())
    model["customProperties"]["theirs"] = theirs = {"metadataType": "MetadataStringValue", "string_value": "kept"}
    model["state"] = first["state"] = "ARCHIVED"
    second["customProperties"]["theirs"] = theirs
    mirror(KIND, category, server.url)
    assert server.writes() == [
        f"PATCH model_versions/{first['id']}",
        f"PATCH model_versions/{second['id']}",
        f"PATCH registered_models/{model['id']}",
    ]
    assert (model["state"], first["state"]) == ("LIVE", "LIVE")
    assert value_of(model, "vqi.champion") == second["name"]
    assert value_of(second, "vqi.verdict") == "promoted"
    assert model["customProperties"]["theirs"] == second["customProperties"]["theirs"] == theirs


def test_a_store_that_moved(server: ModelRegistry, category: Category) -> None:
    mirror(KIND, category, server.url)
    right = state_of(server)
    server.kept["model_versions"][0]["customProperties"]["vqi.uri"]["string_value"] = "file:///before"
    server.kept["model_artifacts"][0]["uri"] = "file:///before"
    mirror(KIND, category, server.url)
    assert state_of(server) == right


def test_a_version_that_is_gone_is_archived(server: ModelRegistry, category: Category) -> None:
    mirror(KIND, category, server.url)
    first, second = names_of(category)
    (model,) = server.kept["registered_models"]
    theirs = {"id": "99", "name": "by hand", "state": "LIVE", "registeredModelId": model["id"]}
    server.kept["model_versions"].append(theirs)
    manifest = category.store.get_bytes(category.key(f"v1/{MANIFEST}"))
    category.store.delete(category.key(f"v1/{MANIFEST}"))
    assert len(mirror(KIND, category, server.url).versions) == 1
    states = {name: one[0] for name, one in state_of(server).items() if name not in ("champion", "state")}
    assert states == {first: "ARCHIVED", second: "LIVE", "by hand": "LIVE"}
    server.writes()
    mirror(KIND, category, server.url)
    assert server.writes() == []
    category.store.put_bytes(category.key(f"v1/{MANIFEST}"), manifest)
    mirror(KIND, category, server.url)
    assert state_of(server)[first][0] == "LIVE"


@pytest.mark.parametrize("when", ["before", "after"])  # the request is not done, or its answer does not come
def test_an_interrupted_one_is_taken_up_wherever_it_was(server: ModelRegistry, category: Category, when: str) -> None:
    promote(category.uri_of(2), "me", "")
    mirror(KIND, category, server.url)
    right, steps = state_of(server), len(server.writes())
    assert steps == 8
    for step in range(steps):
        for kept in server.kept.values():
            kept.clear()
        left = [step]

        def refuses(method: str, path: str, left: list[int] = left) -> None:
            if method != "GET" and not left[0]:
                raise RefusedError(503, {"code": "503", "message": f"no {path} now"})
            left[0] -= method != "GET"

        setattr(server, when, refuses)
        with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:\d+: \w+ \S+ answers 503: no \S+ now"):
            mirror(KIND, category, server.url)
        setattr(server, when, lambda *_: None)
        mirror(KIND, category, server.url)
        assert state_of(server) == right, step


@pytest.mark.parametrize("kind", ["registered_model", "model_version"])
def test_somebody_else_makes_the_same(server: ModelRegistry, category: Category, kind: str) -> None:
    def first(method: str, path: str) -> None:
        if (method, path) == ("POST", f"{kind}s"):
            server.before = lambda *_: None
            others = {} if kind == "registered_model" else {"registeredModelId": "1"}
            name = names_of(category)[0] if others else mirrored
            server.kept[f"{kind}s"].append({"id": "50", "name": name, "state": "LIVE", **others})

    mirrored = mirror(KIND, category, server.url).name
    right = state_of(server)
    for kept in server.kept.values():
        kept.clear()
    server._last, server.before = 0, first
    mirror(KIND, category, server.url)
    assert state_of(server) == right


def test_what_the_server_refuses_is_said(
    server: ModelRegistry, category: Category, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_registry_mirror, "LIVE", "NEW")
    with pytest.raises(VqiError, match="POST registered_models answers 400: NEW is not a valid RegisteredModelState"):
        mirror(KIND, category, server.url)


LOGIN = "answers {}: it wants a login: put it into ~/.netrc, or a token into VQI_HTTP_TOKENS as host=token"


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (401, {"message": "no"}, LOGIN.format(401)),
        (302, b"<html>", LOGIN.format(302)),
        (403, b"RBAC: access denied", "answers 403: RBAC: access denied"),
        (400, 'json: unknown field "x"', 'answers 400: json: unknown field "x"'),
        (400, b"", "answers 400: it does not say why"),
        (200, b"<html>", "expected an answer of /api/model_registry/v1alpha3, got another one"),
        (200, {"items": []}, "expected an answer of /api/model_registry/v1alpha3, got another one"),
    ],
)
def test_a_server_of_another_mind(
    server: ModelRegistry, category: Category, status: int, content: Any, said: str
) -> None:
    def answers(*_: str) -> None:
        raise RefusedError(status, content)

    server.before = answers
    with pytest.raises(VqiError) as error:
        mirror(KIND, category, server.url)
    assert said in str(error.value)
    assert str(error.value).startswith(f"Model Registry at {server.url}: ")


def test_no_server(category: Category) -> None:
    with pytest.raises(VqiError, match="Model Registry at registry:8080: expected an address like http://host:8080"):
        mirror(KIND, category, "registry:8080")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UnavailableError, match=f"Model Registry at {address}: .*refused"):
        mirror(KIND, category, address)


def test_a_token(server: ModelRegistry, category: Category, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQI_HTTP_TOKENS", "elsewhere=no 127.0.0.1=secret")
    mirror(KIND, category, server.url)
    assert {token for _, _, token in server.asked} == {"Bearer secret"}


def test_a_decision_feeds_it(server: ModelRegistry, category: Category, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, server.url)
    done = CliRunner().invoke(vqi, ["models", "promote", category.uri_of(2)])
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    assert state_of(server)["champion"] == names_of(category)[1]


def test_the_process_that_feeds(
    server: ModelRegistry, category: Category, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, server.url)
    assert main(KIND, category.uri) == 0
    assert state_of(server)["champion"] == "none"
    monkeypatch.setenv(VARIABLE, "nowhere")
    assert main(KIND, category.uri) == 2
    assert "expected an address like http://host:8080" in capsys.readouterr().err


def test_the_command_brings_each_one_that_is_named(
    server: ModelRegistry, category: Category, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VQI_MLFLOW", VARIABLE):
        monkeypatch.delenv(name, raising=False)
    nothing = CliRunner().invoke(vqi, ["models", "mirror", category.uri])
    assert nothing.exit_code == 2
    assert "give --mlflow (VQI_MLFLOW) or --model-registry (VQI_MODEL_REGISTRY)" in nothing.stderr
    done = CliRunner().invoke(
        vqi, ["models", "mirror", category.uri.rpartition("/")[0], "--model-registry", server.url]
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(category.uri.removeprefix("file://"))
    assert done.stdout.endswith(", versions: 2, champion: none\n")
    monkeypatch.setenv(VARIABLE, server.url)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    promote(category.uri_of(1), "me", "")
    half = CliRunner().invoke(vqi, ["models", "mirror", category.uri, "--mlflow", "http://127.0.0.1:1"])
    assert half.exit_code == 2
    assert "pip install 'vqi[mlflow]'" in half.stderr
    assert "Model Registry: " in half.stdout
    assert half.stdout.endswith(", versions: 2, champion: v1\n"), "the other one all the same"
