"""Upgrade, rollback and uninstall of a release: what is kept, what is removed, and that others are left alone."""

import json
import re
from collections.abc import Callable
from io import BytesIO

import pytest

from tests.cluster.programs import Object, helm, kubectl, objects, read, until
from tests.cluster.settings import CHART, own_store, values_of
from tests.cluster.stores import Release

KINDS = (
    "statefulset,service,secret,configmap,serviceaccount,role,rolebinding,workflowtemplate,cronworkflow,networkpolicy"
)


@pytest.fixture(scope="module")
def label(new_volume: Callable[[str], str]) -> str:
    return new_volume("short")


@pytest.fixture(scope="module")
def short(first: Release, install: Callable[..., Release], label: str) -> Release:
    """A release of its own to change, in the namespace of another; with an object in its store."""
    release = install("short", first.namespace, **own_store(label))
    with release.reached() as store:
        store.client.make_bucket("kept")
    put(release, "before")
    return release


def put(release: Release, key: str) -> None:
    with release.reached() as store:
        store.client.put_object("kept", key, BytesIO(b"here"), 4)


def kept(release: Release) -> list[str]:
    with release.reached() as store:
        return store.keys("kept")


def upgrade(release: Release, label: str, resources: Object | None = None, **values: object) -> None:
    """With values of its own, and resources of its store."""
    store = own_store(label)
    if resources:
        store["seaweedfs"]["resources"] = resources
    text = json.dumps(values_of(**store, **values))
    helm("upgrade", release.name, str(CHART), "-n", release.namespace, "-f", "-", "--wait", given=text)


def owned_by(release: Release) -> dict[str, str]:
    """The objects of a release, with the version of each."""
    found = objects(KINDS, release.namespace, "-l", f"app.kubernetes.io/instance={release.name}")
    return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in found}


def parameter(release: Release, name: str) -> str:
    template = read("workflowtemplate", release.namespace, release.template)
    assert template
    return str(next(p["value"] for p in template["spec"]["arguments"]["parameters"] if p["name"] == name))


def test_everything_is_ready_and_restricted(first: Release) -> None:
    (pod,) = objects(
        "pods", first.namespace, "-l", f"app.kubernetes.io/instance={first.name},statefulset.kubernetes.io/pod-name"
    )
    assert all(status["ready"] for status in pod["status"]["containerStatuses"])
    namespace: Object = json.loads(kubectl("get", "namespace", first.namespace, "-o", "json"))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_an_upgrade_keeps_keys_and_data_and_a_rollback_too(short: Release, label: str) -> None:
    keys, uid = short.store(), pod_uid(short)
    upgrade(short, label, parameters={"target_fpr": 0.01}, schedule={"enabled": True, "suspend": True})
    assert (parameter(short, "target_fpr"), short.store()) == ("0.01", keys)
    assert read("cronworkflow", short.namespace, "short-retraining")
    assert pod_uid(short) == uid, "the store does not restart for a parameter"
    upgrade(short, label, resources={"limits": {"cpu": "1", "memory": "1Gi"}})
    assert pod_uid(short) != uid
    assert kept(short) == ["before"]
    put(short, "after")
    helm("rollback", short.name, "1", "-n", short.namespace, "--wait")
    until("the store is back", lambda: ready(short), 60)
    assert (parameter(short, "target_fpr"), short.store()) == ("0.05", keys)
    assert read("cronworkflow", short.namespace, "short-retraining") is None
    assert kept(short) == ["after", "before"]


def pod_uid(release: Release) -> str:
    pod = read("pod", release.namespace, f"{release.seaweedfs}-0")
    assert pod
    return str(pod["metadata"]["uid"])


def ready(release: Release) -> bool:
    pod = read("pod", release.namespace, f"{release.seaweedfs}-0")
    return bool(pod and all(status["ready"] for status in pod["status"].get("containerStatuses", [{"ready": False}])))


def test_uninstalling_leaves_the_data_and_the_neighbours(
    short: Release, label: str, first: Release, install: Callable[..., Release]
) -> None:
    before = owned_by(first)
    helm("uninstall", short.name, "-n", short.namespace, "--wait")
    assert owned_by(short) == {}
    claims = [one["metadata"]["name"] for one in objects("persistentvolumeclaims", short.namespace)]
    assert f"data-{short.seaweedfs}-0" in claims
    assert owned_by(first) == before
    again = install("short", first.namespace, **own_store(label))
    assert "before" in kept(again), "installed again, it finds its data"
    helm("uninstall", again.name, "-n", again.namespace, "--wait")


def test_what_runs_leave_in_the_releases_own_store_expires(first: Release) -> None:
    """Argo removes nothing of it, a rule of the bucket does; its server sets that some minutes after its start."""
    until("the rule", lambda: '"30d"' in first.weed_shell("fs.configure"), 360)
    with first.reached() as store:
        for bucket in ("vqi-artifacts", "vqi"):
            if not store.client.bucket_exists(bucket):
                store.client.make_bucket(bucket)
            store.client.put_object(bucket, "written-now", BytesIO(b"here"), 4)
    days = 30 * 24 * 3600
    assert seconds_to_live(first, "vqi-artifacts/written-now") == days
    assert seconds_to_live(first, "vqi/written-now") == 0, "models stay"


def seconds_to_live(release: Release, path: str) -> int:
    entry = release.weed_shell(f"fs.meta.cat /buckets/{path}")
    match = re.search(r'"ttlSec":\s*(\d+)', entry)
    assert match, entry
    return int(match[1])
