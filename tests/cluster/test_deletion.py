"""A run can be deleted whatever happened to its pods, its store and its account: nothing has to be done before.

Comes last, because it ends by deleting a namespace with all that is in it (see ``conftest.py``).
"""

from collections.abc import Callable

from tests.cluster.programs import RUN, Workflow, argo, kubectl, objects, read, submit, until
from tests.cluster.stores import Release

SECONDS = 60


def delete(run: Workflow) -> None:
    argo("delete", "-n", run.namespace, run.name)
    until(f"{run.name} deleted", run.is_gone, SECONDS)


def test_a_run_of_which_no_pod_ever_ran(chart_schedule: Release, install: Callable[..., Release]) -> None:
    nowhere = {"registry": "nowhere.invalid"}
    absent = install("absent", chart_schedule.namespace, image=nowhere, **chart_schedule.for_another())
    run = submit(absent.namespace, absent.template)
    until("its image cannot be pulled", lambda: waits_for_its_image(run), 120)
    delete(run)


def waits_for_its_image(run: Workflow) -> bool:
    pods = objects("pods", run.namespace, "-l", f"{RUN}={run.name}")
    states = [state["state"] for pod in pods for state in pod["status"].get("containerStatuses", [])]
    return any(state.get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff") for state in states)


def test_a_run_whose_store_is_gone(faulty_run: Workflow, chart_schedule: Release) -> None:
    faulty_run.ended(600)
    chart_schedule.scale_store(0)
    delete(faulty_run)


def test_a_namespace_goes_with_its_runs_and_their_account(chart_schedule: Release) -> None:
    namespace = chart_schedule.namespace
    assert objects("workflows", namespace)
    kubectl("delete", "serviceaccount", "--all", "-n", namespace)
    kubectl("delete", "namespace", "--wait=false", namespace)
    until(f"{namespace} deleted", lambda: read("namespace", "default", namespace) is None, 2 * SECONDS)
