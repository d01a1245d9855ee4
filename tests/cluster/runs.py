"""The runs that the tests look at, each started once per session."""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.programs import Workflow, apply, kubectl, submit
from tests.cluster.settings import CHART, image, one_category, own_store, vqi
from tests.cluster.stores import Outside, Release
from vqi import __version__
from vqi_pipelines.argo import Schedule, cron_workflow, lower, to_yaml
from vqi_pipelines.compiled import ir_of
from vqi_pipelines.definition import pipelines_of
from vqi_pipelines.ir import read_ir

MANIFESTS = CHART.parent / "manifests" / "argo"
BUCKET = "passing"  # of the artifacts of runs with an external object store
EVERY_MINUTE = ["* * * * *"]
NAP_SECONDS = 65  # over the next minute, whose run is then held back
LONG_EPOCHS = 60  # long enough to be interrupted
FILE = """
    from kfp import dsl

    @dsl.container_component
    def nap(seconds: int):
        return dsl.ContainerSpec(image="{image}", command=["sleep"], args=[seconds])

    @dsl.pipeline(name="nap")
    def pipeline(seconds: int):
        nap(seconds=seconds).set_caching_options(False)
"""


@pytest.fixture(scope="session")
def parts_run(stocked: Release, parameter_file: Callable[..., Path]) -> Workflow:
    """The whole pipeline on the made-up parts."""
    return submit(stocked.namespace, stocked.template, "--parameter-file", str(parameter_file()))


@pytest.fixture(scope="session")
def elpv_run(stocked: Release, parameter_file: Callable[..., Path]) -> Workflow:
    """The whole pipeline on some solar cells."""
    file = parameter_file(source="folder:s3://photographs/elpv", categories=[])
    return submit(stocked.namespace, stocked.template, "--parameter-file", str(file))


@pytest.fixture(scope="session")
def plain(new_namespace: Callable[[str], str], external: Release | Outside) -> str:
    """A namespace with ``manifests/argo`` applied, and the two objects that the README asks for in addition."""
    namespace, store = new_namespace("b"), external.store()
    with external.reached() as reached:
        if not reached.client.bucket_exists(BUCKET):
            reached.client.make_bucket(BUCKET)
    keys = {"name": "vqi-store"}
    repository = {
        "bucket": BUCKET, "endpoint": store.endpoint.removeprefix("http://"), "insecure": True,
        "accessKeySecret": {**keys, "key": "AWS_ACCESS_KEY_ID"},
        "secretKeySecret": {**keys, "key": "AWS_SECRET_ACCESS_KEY"},
    }  # fmt: skip
    data = {"VQI_STORE": "s3://plain", **store.environment}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    default = {"workflows.argoproj.io/default-artifact-repository": "store"}
    apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": keys, "data": encoded},
        {
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"store": json.dumps({"s3": repository})},
            "metadata": {"name": "artifact-repositories", "annotations": default},
        },
        namespace=namespace,
    )  # fmt: skip
    for file in sorted(MANIFESTS.glob("*.yaml")):
        ours = rf"image: (vqi[a-z-]*):{re.escape(__version__)}"
        text = re.sub(ours, lambda found: f"image: {image(found[1])}", file.read_text())
        kubectl("apply", "-n", namespace, "-f", "-", given=text)
    return namespace


@pytest.fixture(scope="session")
def plain_run(plain: str) -> Workflow:
    return submit(plain, "training", *one_category(seed=7))


@pytest.fixture(scope="session")
def unchanged_run(plain: str, plain_run: Workflow) -> Workflow:
    """The same once more, when that has succeeded; no other run writes to its store."""
    assert plain_run.ended(600) == "Succeeded"
    return submit(plain, "training", *one_category(seed=7))


@pytest.fixture(scope="session")
def claim(first: Release, photographs: Path, new_volume: Callable[[str], str]) -> str:
    """A PersistentVolumeClaim with the made-up parts."""
    label = new_volume("photographs")
    volume = {"selector": {"matchLabels": {"vqi-test": label}}} if label else {}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "filler", "image": image("vqi"), "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"],
        "securityContext": security,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }  # fmt: skip
    pod = {
        "securityContext": {"runAsNonRoot": True, "fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container], "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "photographs"}}],
    }  # fmt: skip
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {**size, **volume}}
    apply(
        {**claim, "metadata": {"name": "photographs"}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "filler"}, "spec": pod},
        namespace=first.namespace,
    )
    kubectl("wait", "-n", first.namespace, "pod/filler", "--for=condition=Ready", "--timeout=120s")
    unpack = "import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall('/data')"
    command = ("exec", "-i", "-n", first.namespace, "filler", "--", "python", "-c", unpack)
    kubectl(*command, given=packed(photographs / "parts"))
    kubectl("delete", "pod", "filler", "-n", first.namespace)
    return "photographs"


def packed(folder: Path) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(folder, ".")
    return archive.getvalue()


@pytest.fixture(scope="session")
def second(first: Release, external: Release | Outside, claim: str, install: Callable[..., Release]) -> Release:
    """A second release in the namespace of the first, with a volume of photographs and an external object store."""
    store = external.store()
    with external.reached() as reached:
        if not reached.client.bucket_exists(BUCKET):
            reached.client.make_bucket(BUCKET)
    address = store.endpoint.removeprefix("http://")
    keys = {"accessKey": store.access_key, "secretKey": store.secret_key}
    return install(
        "two", first.namespace,
        store={"uri": "s3://second/quality", "endpoint": store.endpoint, **keys},
        artifactRepository={"bucket": BUCKET, "endpoint": address, "insecure": True},
        dataset={"claim": claim}, parameters={"source": "folder:/data"}, networkPolicy={"enabled": True},
    )  # fmt: skip


@pytest.fixture(scope="session")
def claim_run(second: Release, parameter_file: Callable[..., Path]) -> Workflow:
    """Started by ``vqi submit``; a file and a parameter over it."""
    file = parameter_file(source="folder:/data")
    where = ("-n", second.namespace, "--template", second.template)
    done = vqi("submit", "argo", *where, "-f", file, "-p", "categories=bracket")
    assert done.returncode == 0, done.stderr
    match = re.fullmatch(r"submitted (\S+)/(\S+)\nfollow it: argo watch -n \1 \2\n", done.stdout)
    assert match, done.stdout
    return Workflow(match[1], match[2])


@pytest.fixture(scope="session")
def nap_schedule(plain: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pipeline of somebody's own, compiled and scheduled; the namespace that it runs in."""
    file = tmp_path_factory.mktemp("nap") / "nap.py"
    file.write_text(textwrap.dedent(FILE).format(image=image("vqi")))
    (found,) = pipelines_of(file)
    pipeline = read_ir(ir_of(found))
    schedule = Schedule("naps", EVERY_MINUTE, parameters={"seconds": NAP_SECONDS}, successful_kept=1)
    text = to_yaml(lower(pipeline), cron_workflow(pipeline, "nap", schedule), comment="made by a test")
    kubectl("apply", "-n", plain, "-f", "-", given=text)
    return plain


@pytest.fixture(scope="session")
def chart_schedule(
    install: Callable[..., Release], new_namespace: Callable[[str], str], new_volume: Callable[[str], str]
) -> Release:
    """A release that trains every minute, on photographs that do not exist; with the same name as the first one."""
    schedule = {
        "enabled": True, "schedules": EVERY_MINUTE, "failedJobsHistoryLimit": 1,
        "parameters": {"source": "folder:/nowhere"},
    }  # fmt: skip
    return install("one", new_namespace("c"), schedule=schedule, **own_store(new_volume("faults")))


@pytest.fixture(scope="session")
def stopped_run(stocked: Release) -> Workflow:
    """A run that a test stops."""
    return submit(stocked.namespace, stocked.template, *one_category(seed=1))


@pytest.fixture(scope="session")
def spoiled_run(stocked: Release) -> Workflow:
    """A run of two categories, one of which fails."""
    flags = one_category(source="folder:s3://photographs/spoiled", categories=["bracket", "fabric"])
    return submit(stocked.namespace, stocked.template, *flags)


@pytest.fixture(scope="session")
def faulty_run(chart_schedule: Release, photographs: Path) -> Workflow:
    """A run to which things happen while it trains, with an object store that no other run uses."""
    with chart_schedule.reached() as store:
        store.upload("photographs", photographs)
    finetune = {"projection_width": 64, "prediction_width": 16, "precision": "fp32"}
    flags = one_category(method="simsiam", epochs=LONG_EPOCHS, finetune=finetune)
    return submit(chart_schedule.namespace, chart_schedule.template, *flags)
