"""What goes wrong on clusters, and what happens to a run then."""

import csv
import io
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.cluster.programs import RUN, Object, Workflow, argo, kubectl, objects, submit, until
from tests.cluster.settings import SMALL, STEPS, one_category
from tests.cluster.stores import Release

NOTHING_THERE = ("-p", "source=folder:s3://photographs/nothing")


# ---------------------------------------------------------------------------------------------------- infrastructure


@pytest.fixture(scope="module")
def survivor(faulty_run: Workflow, chart_schedule: Release) -> tuple[Workflow, list[str]]:
    """A run whose pod was deleted while it trained, and whose store restarted while it trained again; the two pods."""
    deleted = training_pod(faulty_run, "")
    kubectl("delete", "pod", "-n", faulty_run.namespace, "-l", f"{RUN}={faulty_run.name}", "--wait=false")
    again = training_pod(faulty_run, deleted)
    chart_schedule.scale_store(0)
    chart_schedule.scale_store(1)
    faulty_run.ended(600)
    return faulty_run, [deleted, again]


def training_pod(run: Workflow, other_than: str) -> str:
    """The uid of the pod that trains, once it does."""

    def look() -> str | None:
        pods = objects("pods", run.namespace, "-l", f"{RUN}={run.name}")
        return next((uid(pod) for pod in pods if trains(pod) and uid(pod) != other_than), None)

    return until(f"{run.name} trains", look, 300)


def uid(pod: Object) -> str:
    return str(pod["metadata"]["uid"])


def trains(pod: Object) -> bool:
    states = pod["status"].get("containerStatuses", [])
    runs = any(state["name"] == "main" and "running" in state["state"] for state in states)
    return runs and "ssl-finetune" in pod["metadata"]["name"]


def test_a_deleted_pod_is_tried_again(survivor: tuple[Workflow, list[str]]) -> None:
    run, (deleted, again) = survivor
    assert deleted != again
    assert run.nodes("ssl-finetune")[-1].phase == "Succeeded"


def test_a_store_that_starts_anew_costs_a_run_no_more_than_time(survivor: tuple[Workflow, list[str]]) -> None:
    run, _ = survivor
    assert run.ended() == "Succeeded"


# ------------------------------------------------------------------------------------------------- a step's own faults


def test_bad_input_is_final_and_says_why(stocked: Release) -> None:
    run = submit(stocked.namespace, stocked.template, *NOTHING_THERE)
    assert run.ended().startswith("Failed")
    (node,) = run.nodes()  # not retried
    assert node.message.startswith("main: Error (exit code 2): ")
    assert "expected photographs of good parts (" in node.message
    assert "got no files at all (is the place right?)" in run.shown()


def test_a_bad_value_is_named(stocked: Release) -> None:
    run = submit(stocked.namespace, stocked.template, *one_category(train_fraction=3))
    assert run.ended().startswith("Failed")
    (node,) = run.nodes()
    assert "train_fraction: Input should be less than or equal to 1, got '3'" in node.message


@pytest.fixture(scope="module")
def tight(chart_schedule: Release, install: Callable[..., Release]) -> Release:
    """A release next to another, whose store it uses; a step of it has too little memory for large images."""
    little = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "800Mi"}}
    steps = {name: {"resources": little if name == "feature-extract" else SMALL} for name in STEPS}
    return install("tight", chart_schedule.namespace, steps=steps, **chart_schedule.for_another())


def test_a_step_over_its_memory_limit(tight: Release, survivor: tuple[Workflow, list[str]]) -> None:
    """After the store's restart, which would be another fault. Activations are no file pages: it is killed."""
    run = submit(tight.namespace, tight.template, *one_category(image_size=768))
    assert run.ended().startswith("Failed")
    (node,) = run.nodes("feature-extract")  # it would not fit the next time either
    assert node.message.startswith("main: OOMKilled (exit code 137)")


# ------------------------------------------------------------------------------------------------ a category that fails


def table_of(run: Workflow, stocked: Release, name: str) -> str:
    with stocked.reached() as store:
        return store.get("vqi-artifacts", f"{run.name}/summarize/table/{name}").decode()


def test_a_failed_category_leaves_the_table_of_the_others(spoiled_run: Workflow, stocked: Release) -> None:
    assert spoiled_run.ended().startswith("Failed")
    assert [node.step for node in spoiled_run.nodes() if node.phase == "Failed"] == ["preprocess", "summarize"]
    (last,) = spoiled_run.nodes("summarize")
    assert last.message.startswith("main: Error (exit code 2): 1 of 2 categories failed: fabric (did not finish: ")
    first, second = csv.DictReader(io.StringIO(table_of(spoiled_run, stocked, "table.csv")))
    assert (first["category"], second["category"]) == ("bracket", "fabric")
    assert float(first["image_auroc"]) > 0
    assert {value for name, value in second.items() if name != "category"} == {""}
    assert "- fabric failed: did not finish" in table_of(spoiled_run, stocked, "table.md")


def test_a_retry_makes_the_table_again(spoiled_run: Workflow) -> None:
    """Otherwise it would go on naming a category that did not fail the second time."""
    spoiled_run.ended()
    before = last_starts(spoiled_run)
    argo("retry", "-n", spoiled_run.namespace, spoiled_run.name)
    until(
        "the table again",
        lambda: last_starts(spoiled_run).get("summarize", before["summarize"]) > before["summarize"],
        180,
    )
    assert spoiled_run.ended().startswith("Failed"), "nobody changed the photographs"
    again = last_starts(spoiled_run)
    assert again["evaluate"] == before["evaluate"], "what had succeeded was not run again"
    assert again["preprocess"] > before["evaluate"], "what had failed was"


def test_a_run_of_which_all_failed_ends_and_names_them(stocked: Release) -> None:
    flags = one_category(source="folder:s3://photographs/spoiled", categories=["fabric"])
    run = submit(stocked.namespace, stocked.template, *flags)
    assert run.ended().startswith("Failed")
    (last,) = run.nodes("summarize")
    assert last.message.startswith("main: Error (exit code 2): 1 of 1 category failed: fabric (did not finish: ")
    assert "- fabric failed: " in table_of(run, stocked, "table.md"), "what a failed step wrote is kept"


# ----------------------------------------------------------------------------------------------------- stop and retry


def test_a_stopped_run_goes_on_where_it_was(stopped_run: Workflow) -> None:
    stopped_run.succeeded("preprocess")
    argo("stop", "-n", stopped_run.namespace, stopped_run.name)
    assert stopped_run.ended().startswith("Failed")
    done = {node.step: node.started for node in stopped_run.nodes() if node.phase == "Succeeded"}
    assert {"dataset-download", "preprocess"} <= done.keys()
    assert "evaluate" not in done
    argo("retry", "-n", stopped_run.namespace, stopped_run.name)
    until("it continues", lambda: stopped_run.status().get("phase") == "Running", 60)
    assert stopped_run.ended() == "Succeeded"
    again = last_starts(stopped_run)
    assert {step: again[step] for step in done} == done, "what had succeeded was not run again"
    assert again["evaluate"] > max(done.values())


def last_starts(run: Workflow) -> dict[str, datetime]:
    return {node.step: node.started for node in run.nodes()}
