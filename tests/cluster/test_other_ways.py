"""Without Helm, with an object store outside of the release, with a dataset on a volume, and ``vqi submit``."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser import Browser
from tests.cluster.programs import Workflow, argo, kubectl, run, until
from tests.cluster.runs import BUCKET
from tests.cluster.settings import vqi
from tests.cluster.stores import Outside, Release

# ----------------------------------------------------------------------------------------------------------- manifests


def test_without_helm(plain: str, plain_run: Workflow, external: Release | Outside) -> None:
    assert plain_run.ended(600) == "Succeeded"
    with external.reached() as store:
        assert f"{plain_run.name}/summarize/table/table.csv" in store.keys(BUCKET, f"{plain_run.name}/")
        assert "models/parts/bracket/v1/detector.safetensors" in store.keys("plain", "models/")
    suspended = json.loads(kubectl("get", "cronworkflow", "retraining", "-n", plain, "-o", "json"))
    assert suspended["spec"]["suspend"] is True, "a schedule starts when somebody says so"


def test_a_run_in_which_nothing_changed_is_two_pods(
    plain_run: Workflow, unchanged_run: Workflow, external: Release | Outside
) -> None:
    assert unchanged_run.ended() == "Succeeded"
    assert [node.step for node in unchanged_run.nodes()] == ["dataset-download", "summarize"]
    assert "decisions: unchanged: 1 category" in " ".join(unchanged_run.shown().split())
    with external.reached() as store:
        first, again = (
            store.get(BUCKET, f"{run.name}/summarize/table/table.csv") for run in (plain_run, unchanged_run)
        )
    assert first == again


# ----------------------------------------------------------------------------------- a volume, an external object store


def test_a_dataset_on_a_volume_and_an_external_store(
    claim_run: Workflow, second: Release, external: Release | Outside
) -> None:
    assert claim_run.ended(600) == "Succeeded"
    with external.reached() as store:
        assert "quality/models/data/bracket/v1/detector.safetensors" in store.keys("second")


def test_a_deleted_run_leaves_its_artifacts_to_the_bucket(claim_run: Workflow, external: Release | Outside) -> None:
    assert claim_run.ended(600) == "Succeeded"
    before = artifacts(external, claim_run)
    assert {"feature-extract/bracket/features", "evaluate/bracket/report.html", "summarize/table/table.csv"} <= before
    argo("delete", "-n", claim_run.namespace, claim_run.name)
    until(f"{claim_run.name} deleted", claim_run.is_gone, 60)
    assert artifacts(external, claim_run) == before


def artifacts(external: Release | Outside, workflow: Workflow) -> set[str]:
    with external.reached() as store:
        return {key.split("/", 1)[1] for key in store.keys(BUCKET, f"{workflow.name}/")}


# ------------------------------------------------------------------------------------------------------- vqi submit


@contextmanager
def argo_server() -> Iterator[str]:
    """An Argo server on this machine."""
    port = 12746
    where = os.environ.get("VQI_TEST_ARGO_NAMESPACE", "argo")  # of the controller and its settings
    command = ["argo", "server", "-n", where, "--auth-mode", "server", "--secure=false", "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until("the Argo server", lambda: run("curl", "-sf", f"{address}/api/v1/version", check=False), 60)
            yield address
        finally:
            process.kill()  # it reads nothing else


def test_through_an_argo_server(stocked: Release) -> None:
    where: tuple[Any, ...] = ("-n", stocked.namespace, "--template", stocked.template)
    with argo_server() as address:
        done = vqi("submit", "argo", "--server", address, *where, "-p", "source=folder:s3://none/x", "--wait")
    submitted, link, end = done.stdout.splitlines()
    name = submitted.rsplit("/", 1)[1]
    assert link == f"follow it: {address}/workflows/{stocked.namespace}/{name}"
    assert (end, done.returncode) == ("Failed", 1)
    assert Workflow(stocked.namespace, name).ended().startswith("Failed")


def test_argos_page_shows_the_pictures_of_report_and_data_page(plain_run: Workflow, tmp_path: Path) -> None:
    assert plain_run.ended(600) == "Succeeded"
    node = {one.step: one.id for one in plain_run.nodes()}
    with argo_server() as address, Browser(tmp_path) as browser:
        artifacts = f"{address}/artifact-files/{plain_run.namespace}/workflows/{plain_run.name}"
        report, data = (
            browser.pictures(f"{artifacts}/{node[step]}/outputs/{name}")
            for step, name in (("publish", "decided_report_folder"), ("preprocess", "data_page_folder"))
        )
    assert report[0] == report[1] > 0, "those of photographs, and all of them are shown"
    assert data[0] == data[1]


def test_what_is_not_there(stocked: Release) -> None:
    done = vqi("submit", "argo", "-n", stocked.namespace, "--template", "nothing")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert '"nothing" not found' in done.stderr
