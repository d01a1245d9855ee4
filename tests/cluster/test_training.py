"""The whole pipeline on a cluster, from ``helm install`` to the results, which are those of ``vqi run``."""

import csv
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.programs import Workflow, objects
from tests.cluster.settings import PARAMETERS
from tests.cluster.stores import Release

ARTIFACTS = "vqi-artifacts"
IN_LOOP = ("preprocess", "ssl-finetune", "feature-extract", "pca-fit", "evaluate", "publish")
CATEGORIES = {"parts": ["bracket", "fabric"], "elpv": ["mono", "poly"]}


@pytest.fixture(scope="module", params=["parts", "elpv"])
def dataset(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def run(dataset: str, parts_run: Workflow, elpv_run: Workflow) -> Workflow:
    """The run on a dataset, when it has succeeded."""
    workflow = parts_run if dataset == "parts" else elpv_run
    assert workflow.ended(600) == "Succeeded"
    return workflow


@pytest.fixture(scope="module")
def locally(
    dataset: str, stocked: Release, parameter_file: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The results of ``vqi run`` with the same parameter file, on the same photographs in the store."""
    folder = tmp_path_factory.mktemp("local")
    changes = {} if dataset == "parts" else {"source": "folder:s3://photographs/elpv", "categories": []}
    with stocked.reached() as store:
        done = subprocess.run(
            [Path(sys.executable).with_name("vqi"), "run", "-f", parameter_file(**changes), "--store", "store"],
            cwd=folder, env=os.environ | store.environment, capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "latest"


def fetched(run: Workflow, stocked: Release, path: str) -> str:
    """An artifact of a run, from the object store."""
    with stocked.reached() as store:
        return store.get(ARTIFACTS, f"{run.name}/{path}").decode()


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def same_numbers(here: dict[str, str], there: dict[str, str]) -> None:
    """Equal texts, and numbers equal up to rounding of another build of the libraries."""
    assert here.keys() == there.keys()
    for name, value in here.items():
        try:
            number = float(value)
        except ValueError:
            assert there[name] == value, name
        else:
            assert float(there[name]) == pytest.approx(number, rel=1e-4, abs=1e-6), name


# ------------------------------------------------------------------------------------------------------ what it makes


def test_the_table_is_that_of_a_local_run(run: Workflow, stocked: Release, locally: Path, dataset: str) -> None:
    here, there = rows((locally / "table.csv").read_text()), rows(fetched(run, stocked, "summarize/table/table.csv"))
    assert [row["category"] for row in here] == CATEGORIES[dataset]
    for one, other in zip(here, there, strict=True):
        same_numbers(one, other)


def test_the_scores_are_those_of_a_local_run(run: Workflow, stocked: Release, locally: Path, dataset: str) -> None:
    for category in CATEGORIES[dataset]:
        (local,) = (locally / category).rglob("scores.csv")
        here, there = rows(local.read_text()), rows(fetched(run, stocked, f"evaluate/{category}/scores/scores.csv"))
        assert len(here) >= 10
        for one, other in zip(here, there, strict=True):
            same_numbers(one, other)


def test_the_report_says_what_a_local_one_says(run: Workflow, stocked: Release, locally: Path, dataset: str) -> None:
    """Word for word, except for pictures and digests."""

    def words(page: str) -> list[str]:
        return re.sub(r"<svg.*?</svg>|<style.*?</style>|<[^>]*>|\b[0-9a-f]{12,64}\b", " ", page, flags=re.S).split()

    for category in CATEGORIES[dataset]:
        (local,) = (locally / category).rglob("report.html")
        there = fetched(run, stocked, f"evaluate/{category}/report.html")
        assert words(there) == words(local.read_text())
        assert len(words(there)) > 100


def test_models_are_published(run: Workflow, stocked: Release, dataset: str) -> None:
    with stocked.reached() as store:
        keys = store.keys("vqi", f"models/{dataset}/")
    for category in CATEGORIES[dataset]:
        assert f"models/{dataset}/{category}/v1/detector.safetensors" in keys


# ----------------------------------------------------------------------------------------------------------- how it ran


def test_one_pod_a_step(run: Workflow, dataset: str) -> None:
    nodes = run.nodes()
    assert len(nodes) == 2 + len(IN_LOOP) * len(CATEGORIES[dataset]), run.shown()
    assert len({node.pod for node in nodes}) == len(nodes)
    assert {node.phase for node in nodes} == {"Succeeded"}


def test_the_categories_ran_side_by_side(run: Workflow) -> None:
    for step in ("preprocess", "ssl-finetune"):
        nodes = run.nodes(step)
        assert len(nodes) == 2
        ends = [node.finished for node in nodes]
        assert all(end and end > node.started for end in ends for node in nodes), "each began before the other ended"


def test_what_has_served_its_purpose_is_gone(run: Workflow, stocked: Release) -> None:
    """The pods of successful steps are removed; the results stay."""
    selector = f"workflows.argoproj.io/workflow={run.name}"
    assert objects("pods", stocked.namespace, "-l", selector) == []


def test_the_parameter_file_came_through(run: Workflow, dataset: str) -> None:
    found = {p["name"]: p.get("value") for p in run.status()["storedWorkflowTemplateSpec"]["arguments"]["parameters"]}
    assert found["image_size"] == str(PARAMETERS["image_size"])
    assert found["target_fpr"] == "0.1"
    assert found["finetune"] == "{}"
    assert found["categories"] == ('["bracket","fabric"]' if dataset == "parts" else "[]")


def test_notes_say_what_to_type(stocked: Release) -> None:
    assert f"argo submit -n {stocked.namespace} --from workflowtemplate/one-training" in stocked.notes
