"""A real cluster: namespaces, releases of the chart, photographs in the object store, and runs in parallel.

``make test-cluster`` runs this against the cluster of ``KUBECONFIG``, with ``kubectl``, ``helm`` and ``argo`` on the
path and the images on its nodes. From the environment:

    VQI_TEST_REGISTRY  prefix of the images' names; nothing for images that were loaded into the nodes
    VQI_TEST_TAG       their tag; that of the release when it is not set
    VQI_TEST_S3        an S3 server outside of the cluster, as http://AK:SK@10.0.0.1:8333; the store of a release
                       is used when it is not set
    VQI_TEST_ARGO_NAMESPACE  where Argo's controller has its settings; argo when it is not set
    VQI_TEST_KEEP      leaves everything as it is at the end, for inspection

A cluster without a default storage class has to be this machine: volumes are folders of it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.photographs import write_elpv
from tests.cluster.programs import apply, helm, kubectl
from tests.cluster.runs import (
    chart_schedule,
    claim,
    claim_run,
    elpv_run,
    faulty_run,
    nap_schedule,
    parts_run,
    plain,
    plain_run,
    second,
    spoiled_run,
    stopped_run,
    unchanged_run,
)
from tests.cluster.settings import CHART, PARAMETERS, missing, own_store, values_of
from tests.cluster.stores import ObjectStore, Outside, Release
from tests.conftest import write_defect_dataset

__all__ = [
    "chart_schedule", "claim", "claim_run", "elpv_run", "faulty_run", "nap_schedule", "parts_run", "plain", "plain_run",
    "second", "spoiled_run", "stopped_run", "unchanged_run",
]  # fmt: skip

# What takes long is started first, where a chosen test needs it, and runs in parallel with the others.
EARLY = ("parts_run", "plain_run", "nap_schedule", "chart_schedule", "faulty_run", "elpv_run", "claim_run")
FIRST = "test_faults.py"  # they reach a run that has only begun
LAST = "test_deletion.py"  # takes away what the others need


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``FIRST`` first, ``LAST`` last."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    return {FIRST: -1, LAST: 1}.get(item.path.name, 0)


@pytest.fixture(scope="session")
def cluster() -> str:
    """A name for what this session makes; skips where there is no cluster, and fails there when it was asked for."""
    if reason := missing():
        asked = os.environ.get("VQI_TEST_CLUSTER") and os.environ.get("CI") == "true"
        (pytest.fail if asked else pytest.skip)(reason)
    return f"vqi-{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="session", autouse=True)
def started(request: pytest.FixtureRequest) -> None:
    """What the chosen tests wait for, started in the order of ``EARLY``."""
    if not missing():
        wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
        for name in (name for name in EARLY if name in wanted):
            request.getfixturevalue(name)


# ------------------------------------------------------------------------------------------- namespaces and volumes


@pytest.fixture(scope="session")
def new_namespace(cluster: str) -> Iterator[Callable[[str], str]]:
    """Makes a namespace that enforces Pod Security "restricted"; all are removed at the end, with what is in them."""
    made: list[str] = []

    def make(name: str) -> str:
        namespace = f"{cluster}-{name}"
        kubectl("create", "namespace", namespace)
        kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        made.append(namespace)
        return namespace

    yield make
    if os.environ.get("VQI_TEST_KEEP"):
        return
    if made:
        kubectl("delete", "namespace", "--wait=false", "--ignore-not-found", *made)


@pytest.fixture(scope="session")
def new_volume(cluster: str) -> Iterator[Callable[[str], str]]:
    """Makes a volume where the cluster has no storage class that would; gives the label that chooses it, or nothing."""
    classes = json.loads(kubectl("get", "storageclasses", "-o", "json"))["items"]
    default = "storageclass.kubernetes.io/is-default-class"
    by_itself = any(c["metadata"].get("annotations", {}).get(default) == "true" for c in classes)
    made: list[str] = []

    def make(name: str) -> str:
        if by_itself:
            return ""
        folder = Path(tempfile.mkdtemp(prefix=f"{cluster}-{name}-"))
        folder.chmod(0o777)  # a folder of a node does not follow a pod's fsGroup
        volume = f"{cluster}-{name}"
        spec = {
            "capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": str(folder)},
            "persistentVolumeReclaimPolicy": "Retain",
        }  # fmt: skip
        metadata = {"name": volume, "labels": {"vqi-test": volume}}
        apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}, namespace="default")
        made.append(volume)
        folders.append(folder)
        return volume

    folders: list[Path] = []
    yield make
    if made and not os.environ.get("VQI_TEST_KEEP"):
        kubectl("delete", "persistentvolume", "--wait=false", *made)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)  # the store's last files may still appear and disappear


# ----------------------------------------------------------------------------------------------------------- releases


@pytest.fixture(scope="session")
def install() -> Callable[..., Release]:
    """``install(name, namespace, **values)``: ``helm install``, everything ready."""

    def make(name: str, namespace: str, **values: Any) -> Release:
        flags = ("-n", namespace, "-f", "-", "--wait", "--timeout", "180s")
        notes = helm("install", name, str(CHART), *flags, given=json.dumps(values_of(**values)))
        return Release(name, namespace, notes)

    return make


@pytest.fixture(scope="session")
def first(
    install: Callable[..., Release], new_namespace: Callable[[str], str], new_volume: Callable[[str], str]
) -> Release:
    """A release with an object store of its own."""
    return install("one", new_namespace("a"), **own_store(new_volume("one")))


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets as folders: ``parts``, made up, with masks; ``spoiled``, one category of which is no photographs; and
    ``elpv``, a few cells."""
    folder = tmp_path_factory.mktemp("photographs")
    write_defect_dataset(folder / "parts", size=64, train=16)
    write_defect_dataset(folder / "spoiled", size=64, train=16)
    for image in (folder / "spoiled" / "fabric" / "train" / "good").iterdir():
        image.write_bytes(b"no photograph")
    write_elpv(folder / "elpv", train=12, test=6)
    return folder


@pytest.fixture(scope="session")
def stocked(first: Release, photographs: Path) -> Release:
    """The first release, with the photographs in its store."""
    with first.reached() as store:
        store.upload("photographs", photographs)
    return first


@pytest.fixture(scope="session")
def external(stocked: Release, photographs: Path) -> Release | Outside:
    """An object store that does not belong to the release that uses it, with the photographs."""
    if not (given := os.environ.get("VQI_TEST_S3")):
        return stocked
    outside = Outside(ObjectStore.from_url(given))
    outside.given.upload("photographs", photographs)
    return outside


# --------------------------------------------------------------------------------------------------------------- runs


@pytest.fixture(scope="session")
def parameter_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``parameter_file(**changes)``: a YAML file that is the same for ``vqi run`` and ``argo submit``."""

    def write(**changes: Any) -> Path:
        path = tmp_path_factory.mktemp("parameters") / "parameters.yaml"
        path.write_text(yaml.safe_dump(PARAMETERS | changes))
        return path

    return write
