"""A real Kubeflow Pipelines 2.17: the store and the photographs that its runs use, and runs that proceed in parallel.

In addition to what ``tests/cluster/conftest.py`` takes, from the environment:

    KF_PIPELINES_ENDPOINT  the address of its API; where it is not set, as in CI, these tests are skipped
    VQI_TEST_MLMD_PYTHON   a Python with ml-metadata, which cannot be installed together with kfp

The addresses of its services (``minio-service`` and ``metadata-grpc-service`` in the namespace ``kubeflow``) must be
reachable from here. The steps' credentials are a Secret ``vqi-store`` that is made for the time of the tests.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import kfp
import pytest
import yaml

from tests.cluster.kubeflow.pipelines_api import Run, ended
from tests.cluster.programs import apply, kubectl, read
from tests.cluster.settings import FAST, REGISTRY, TAG
from tests.cluster.stores import ObjectStore

NAMESPACE = "kubeflow"
VQI = Path(sys.executable).with_name("vqi")
PLACE = ["--tag", TAG, *(["--registry", REGISTRY] if REGISTRY else ["--pull-policy", "IfNotPresent"])]


@dataclass(frozen=True)
class Submitted:
    """What a command did."""

    code: int
    output: str

    @property
    def id(self) -> str:
        """Of the run, or the recurring run."""
        match = re.search(r"/details/(\S+)", self.output)
        assert match, self.output
        return match[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where no Kubeflow is named these tests are skipped, also in CI, which has none."""
    if os.environ.get("KF_PIPELINES_ENDPOINT"):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip("no Kubeflow Pipelines: KF_PIPELINES_ENDPOINT is not set"))


Started = subprocess.Popen[str]


@contextmanager
def vqi(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Started]:
    """The command ``vqi`` while it runs; what is left of it ends with the context."""
    env = {**os.environ, **(environment or {})}
    command = [str(VQI), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as process:
        try:
            yield process
        finally:
            process.terminate()


def ended_process(process: Started) -> Submitted:
    """What it did, once it has ended."""
    output, _ = process.communicate(timeout=1200)
    return Submitted(process.returncode, output)


def submit(*arguments: str) -> Submitted:
    """``vqi submit kubeflow`` with the images of the tests."""
    with vqi("submit", "kubeflow", *PLACE, *arguments) as process:
        return ended_process(process)


def service(name: str, port: int) -> str:
    """The address of a service of Kubeflow."""
    found = read("service", NAMESPACE, name)
    assert found, f"Kubeflow has no service {name}"
    return f"{found['spec']['clusterIP']}:{port}"


@pytest.fixture(scope="session")
def client(cluster: str) -> kfp.Client:
    """Kubeflow's own client."""
    if not os.environ.get("VQI_TEST_MLMD_PYTHON"):
        pytest.fail("VQI_TEST_MLMD_PYTHON is not set: a Python with ml-metadata, which reads what Kubeflow wrote")
    return kfp.Client(host=os.environ["KF_PIPELINES_ENDPOINT"])


@pytest.fixture(scope="session")
def metadata_address() -> str:
    """The address of ML Metadata."""
    return service("metadata-grpc-service", 8080)


@pytest.fixture(scope="session")
def kept(client: kfp.Client) -> ObjectStore:
    """Kubeflow's own object store, as it is reached from here."""
    secret = read("secret", NAMESPACE, "mlpipeline-minio-artifact")
    assert secret
    key, word = (base64.b64decode(secret["data"][name]).decode() for name in ("accesskey", "secretkey"))
    return ObjectStore(f"http://{service('minio-service', 9000)}", key, word)


@pytest.fixture(scope="session")
def bucket(cluster: str, kept: ObjectStore, photographs: Path) -> Iterator[str]:
    """A bucket with photographs, in which the steps also keep datasets and models."""
    if read("secret", NAMESPACE, "vqi-store"):
        pytest.fail("Kubeflow has a Secret vqi-store already: the tests would change it")
    name = f"{cluster}-kubeflow"
    kept.upload(name, photographs)
    inside = kept.environment | {"VQI_S3_ENDPOINT": "http://minio-service.kubeflow:9000", "VQI_STORE": f"s3://{name}"}
    metadata = {"name": "vqi-store", "labels": {"vqi-test": cluster}}
    apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": inside}, namespace=NAMESPACE)
    yield name
    kubectl("delete", "secret", "-n", NAMESPACE, "vqi-store")


@pytest.fixture(scope="session")
def file(cluster: str, bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parameter file of all runs here, on Kubeflow and on this machine."""
    path = tmp_path_factory.mktemp("parameters") / "parameters.yaml"
    # A number of its own, so that Kubeflow's cache has no equal step of an earlier session.
    target_fpr = round(FAST["target_fpr"] + int(cluster[-6:], 16) / 16**6 / 1000, 9)
    given = {"source": f"folder:s3://{bucket}/parts", "categories": ["bracket", "fabric"], "finetune": {}}
    given["retrain_if"] = "always"  # equal runs show what is taken from the cache
    path.write_text(yaml.safe_dump({**given, **FAST, "target_fpr": target_fpr}))
    return path


@pytest.fixture(scope="session")
def bad_input(client: kfp.Client, bucket: str, file: Path) -> Iterator[Started]:
    """A run on a dataset that does not exist; it runs in parallel with the others."""
    source = f"source=folder:s3://{bucket}/nowhere"
    options = ("-f", str(file), "-p", source, "--retries", "0", "--wait")
    with vqi("submit", "kubeflow", *PLACE, *options) as process:
        yield process


@pytest.fixture(scope="session")
def whole(client: kfp.Client, metadata_address: str, file: Path, bad_input: object, here: object) -> Run:
    """The whole pipeline, in parallel with what else takes long."""
    done = submit("-f", str(file), "--wait")
    assert done.code == 0, done.output
    return ended(client, done.id, metadata_address)


@pytest.fixture(scope="session")
def again(whole: Run, client: kfp.Client, file: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same once more, as a user of Kubeflow's own client starts it from what ``vqi compile`` wrote: its id."""
    folder = tmp_path_factory.mktemp("compiled")
    subprocess.run([str(VQI), "compile", "--target", "kubeflow", "--output", str(folder), *PLACE], check=True)
    package, parameters = folder / "kubeflow" / "training.yaml", yaml.safe_load(file.read_text())
    return str(client.create_run_from_pipeline_package(str(package), parameters, run_name="again").run_id)


@pytest.fixture(scope="session")
def every_minute(whole: Run, again: str, client: kfp.Client, file: Path) -> Iterator[str]:
    """A run at each full minute: the id of the recurring run."""
    done = submit("-f", str(file), "--cron", "* * * * *", "--name", "every minute")
    assert done.code == 0, done.output
    yield done.id
    client.delete_recurring_run(done.id)


@pytest.fixture(scope="session")
def here(file: Path, kept: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Started]]:
    """The same run on this machine, and its folder; it proceeds in parallel with the others."""
    folder = tmp_path_factory.mktemp("local")
    options = ("--runs-dir", str(folder / "runs"), "--store", str(folder / "store"))
    with vqi("run", "-f", str(file), *options, environment=kept.environment) as process:
        yield folder / "runs" / "latest", process


@pytest.fixture(scope="session")
def local(here: tuple[Path, Started]) -> Path:
    """The folder of the same run on this machine."""
    folder, process = here
    done = ended_process(process)
    assert done.code == 0, done.output
    return folder


@pytest.fixture(scope="session")
def artifact_bytes(kept: ObjectStore) -> Callable[[str], bytes]:
    """What is stored at the address of an artifact, ``minio://bucket/key``."""

    def get(uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("minio://").partition("/")
        return kept.get(bucket, key)

    return get
