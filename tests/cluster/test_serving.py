"""A release that serves its models: a promotion, a rollback and another pod cost no request; a store may be away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vqi as library
from tests.cluster.programs import Object, apply, helm, kubectl, objects, until
from tests.cluster.settings import CHART, SMALL, image, own_store, values_of, vqi
from tests.cluster.stores import Release
from vqi.models.manifest import FILES
from vqi.models.registry import publish
from vqi.store.opening import open_store

PLACE = "models/images/images"  # where the store has a model of photographs without names
ASKS = """
import io, json, sys, threading, time
import requests
from PIL import Image

file = io.BytesIO()
Image.linear_gradient("L").convert("RGB").resize((90, 70)).save(file, "PNG")
state = {"answered": 0, "version": 0, "failures": []}

def ask():
    while True:
        try:
            answer = requests.post(sys.argv[1] + "/score", data=file.getvalue(), timeout=20)
            answer.raise_for_status()
            state["version"] = answer.json()["version"]
            state["answered"] += 1
        except Exception as error:
            state["failures"].append(str(error))
        time.sleep(0.02)

for _ in range(3):
    threading.Thread(target=ask, daemon=True).start()
while True:
    print(json.dumps(state), flush=True)
    time.sleep(0.5)
"""


@pytest.fixture(scope="module")
def store_of_models(
    install: Callable[..., Release],
    new_namespace: Callable[[str], str],
    new_volume: Callable[[str], str],
    photographs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Release, dict[str, Any]]:
    """A release whose store has two versions of a model, the first of which is the champion; and its values."""
    values = own_store(new_volume("served"))
    release = install("served", new_namespace("s"), **values)
    good = sorted((photographs / "parts" / "bracket" / "train" / "good").iterdir())
    with release.reached() as reached:
        reached.client.make_bucket("vqi")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in reached.environment.items():
                patch.setenv(name, value)
            model = library.fit(
                good, image_size=64, detector="pca", layer="blocks.3", engine="eager", precision="fp32", folds=4
            )
            folder = model.save(tmp_path_factory.mktemp("models") / "model")
            for number in (1, 2):
                (folder / "report.html").write_text(f"<p>{number}</p>")  # another version of the same model
                place = publish(open_store("s3://vqi"), *(folder / name for name in FILES))
                assert (place.model, place.published) == (f"s3://vqi/{PLACE}/v{number}", True)
                if number == 1:
                    decided("promote", f"s3://vqi/{PLACE}/v1")
    return release, values


def decided(*arguments: str) -> None:
    """``vqi models``, as a person types it."""
    done = vqi("models", *arguments)
    assert done.returncode == 0, done.stderr


def change(release: Release, *arguments: str) -> None:
    """The same, on the store of a release."""
    with release.reached() as reached, pytest.MonkeyPatch.context() as patch:
        for name, value in reached.environment.items():
            patch.setenv(name, value)
        decided(*arguments)


@pytest.fixture(scope="module")
def served(store_of_models: tuple[Release, dict[str, Any]]) -> Release:
    """The release, now with serving; and with somebody who asks without a pause."""
    release, values = store_of_models
    serving = {"enabled": True, "reload": 1, "replicas": {"min": 1, "max": 1}, "resources": SMALL}
    text = json.dumps(values_of(**values, serving=serving, networkPolicy={"enabled": True}))
    helm(
        "upgrade", release.name, str(CHART), "-n", release.namespace, "-f", "-", "--wait", "--timeout=180s", given=text
    )
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "asks", "image": image("vqi"), "imagePullPolicy": "IfNotPresent", "securityContext": security,
        "command": ["python", "-c", ASKS, "http://served-serving"],
    }  # fmt: skip
    pod = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container], "terminationGracePeriodSeconds": 0,
    }  # fmt: skip
    metadata = {"name": "asks"}
    apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod}, namespace=release.namespace)
    return release


def asked(release: Release) -> Object:
    """What who asks has seen so far."""
    lines = kubectl("logs", "-n", release.namespace, "asks", "--tail=1", check=False).splitlines()
    return dict(json.loads(lines[-1])) if lines and lines[-1].startswith("{") else {}


def sees(release: Release, version: int, seconds: float = 60) -> Object:
    """Wait until answers come from a version; what was seen until then."""
    return until(
        f"answers of version {version}", lambda: found if (found := asked(release)).get("version") == version else None,
        seconds,
    )  # fmt: skip


def ready(release: Release) -> Object:
    """What the service says of itself."""
    place = f"/api/v1/namespaces/{release.namespace}/services/{release.name}-serving:http/proxy/readyz"
    return dict(json.loads(kubectl("get", "--raw", place)))


def note(release: Release) -> str:
    """What is wrong although it is ready."""
    said = ready(release)
    assert said["ready"] is True
    (model,) = said["models"].values()
    return str(model["note"])


def pods(release: Release) -> list[Object]:
    selector = f"app.kubernetes.io/name=vqi-serving,app.kubernetes.io/instance={release.name}"
    return objects("pods", release.namespace, "-l", selector)


def test_a_champion_is_served_and_replaced_without_a_failed_request(served: Release) -> None:
    sees(served, 1)
    change(served, "promote", f"s3://vqi/{PLACE}/v2")
    after = sees(served, 2)
    change(served, "rollback", f"s3://vqi/{PLACE}")
    back = sees(served, 1)
    assert back["failures"] == []
    assert back["answered"] > after["answered"] > 0


def test_another_pod_takes_over_without_a_failed_request(served: Release) -> None:
    (before,) = pods(served)
    kubectl("rollout", "restart", "-n", served.namespace, "deployment/served-serving")
    kubectl("rollout", "status", "-n", served.namespace, "deployment/served-serving", "--timeout=180s")
    name = before["metadata"]["name"]
    kubectl("wait", "-n", served.namespace, f"pod/{name}", "--for=delete", "--timeout=120s")
    answered = asked(served)["answered"]
    until("answers of the new pod", lambda: asked(served)["answered"] > answered + 10, 30)
    assert asked(served)["failures"] == []


def test_a_store_that_is_away_is_said_and_costs_no_request(served: Release) -> None:
    served.scale_store(0)
    said = until("the note", lambda: note(served), 120)
    assert said.startswith("version 1 is kept: no look for another one: "), said
    answered = asked(served)["answered"]
    until("answers without a store", lambda: asked(served)["answered"] > answered + 10, 30)
    served.scale_store(1)
    until("no note", lambda: not note(served), 120)
    seen = sees(served, 1)
    assert seen["failures"] == []
    (pod,) = pods(served)
    assert [status["restartCount"] for status in pod["status"]["containerStatuses"]] == [0]
