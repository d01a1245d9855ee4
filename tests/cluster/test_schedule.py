"""Schedules fire, hold back what would run twice, and keep no more history than they should."""

import json
from datetime import datetime, timedelta

from tests.cluster.programs import Object, Workflow, kubectl, objects, until
from tests.cluster.runs import EVERY_MINUTE
from tests.cluster.settings import one_category
from tests.cluster.stores import Release


def runs_of(namespace: str, schedule: str) -> list[Object]:
    """The runs that a schedule started, in order."""
    found = objects("workflows", namespace, "-l", f"workflows.argoproj.io/cron-workflow={schedule}")
    return sorted(found, key=lambda one: str(one["metadata"]["creationTimestamp"]))


def ended(found: list[Object], phase: str) -> list[Object]:
    return [one for one in found if one.get("status", {}).get("phase") == phase]


def test_a_run_is_held_while_another_goes_on_and_the_past_is_let_go(nap_schedule: str) -> None:
    """A run takes longer than the minute after which the next one is due."""
    seen: dict[str, Object] = {}

    def look() -> bool:
        found = runs_of(nap_schedule, "naps")
        assert len(ended(found, "Running")) <= 1, "never two at once"
        seen.update({one["metadata"]["name"]: one for one in found})
        return len(ended([*seen.values()], "Succeeded")) >= 2 and len(ended(found, "Succeeded")) == 1

    until("two runs, and the first one let go", look, 360)
    first, second = sorted(seen.values(), key=lambda one: str(one["metadata"]["creationTimestamp"]))[:2]
    assert first["status"]["finishedAt"] <= second["metadata"]["creationTimestamp"]
    began, over = (moment(first["status"][name]) for name in ("startedAt", "finishedAt"))
    assert over - began > timedelta(seconds=60), "another one was due meanwhile"
    kubectl("delete", "cronworkflow", "naps", "-n", nap_schedule)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_the_charts_schedule_fires_with_its_own_parameters(chart_schedule: Release) -> None:
    seen: set[str] = set()

    def look() -> Object | None:
        found = ended(runs_of(chart_schedule.namespace, "one-retraining"), "Failed")
        seen.update(one["metadata"]["name"] for one in found)
        return found[0] if len(seen) >= 2 and len(found) == 1 else None

    left = until("two runs, and one of them let go", look, 240)
    given = {p["name"]: p["value"] for p in left["spec"]["arguments"]["parameters"]}
    assert (given["source"], given["target_fpr"]) == ("folder:/nowhere", "0.05")
    nodes = left["status"]["nodes"].values()
    assert any("/nowhere" in node.get("message", "") for node in nodes)
    kubectl("delete", "cronworkflow", "one-retraining", "-n", chart_schedule.namespace)


def test_a_schedule_that_finds_nothing_changed_trains_nothing(plain: str, unchanged_run: Workflow) -> None:
    assert unchanged_run.ended() == "Succeeded"
    pairs = [flag.split("=", 1) for flag in one_category(seed=7) if flag != "-p"]
    given = [{"name": name, "value": value} for name, value in pairs]
    spec = {"suspend": False, "schedules": EVERY_MINUTE, "workflowSpec": {"arguments": {"parameters": given}}}
    kubectl("patch", "cronworkflow", "retraining", "-n", plain, "--type", "merge", "-p", json.dumps({"spec": spec}))
    left = until(
        "a run of the schedule", lambda: next(iter(ended(runs_of(plain, "retraining"), "Succeeded")), None), 240
    )
    kubectl("patch", "cronworkflow", "retraining", "-n", plain, "--type", "merge", "-p", '{"spec": {"suspend": true}}')
    run = Workflow(plain, left["metadata"]["name"])
    assert [node.step for node in run.nodes()] == ["dataset-download", "summarize"]
    assert "decisions: unchanged: 1 category" in " ".join(run.shown().split())
