"""A run can be deleted when the store of its artifacts is gone.

Argo's own pod tries to remove them for some minutes: other tests go on meanwhile (see ``conftest.py``).
"""

import pytest

from tests.cluster.programs import Object, Workflow, argo, objects, until
from tests.cluster.stores import Release

FINALIZER = "workflows.argoproj.io/artifact-gc"


@pytest.fixture(scope="session")
def orphan(faulty_run: Workflow, chart_schedule: Release) -> Workflow:
    """A run that was deleted after its store went."""
    faulty_run.ended(600)
    assert FINALIZER in described(faulty_run)["finalizers"]
    chart_schedule.scale_store(0)
    argo("delete", "-n", faulty_run.namespace, faulty_run.name)
    return faulty_run


def test_a_deleted_run_waits_for_its_artifacts(orphan: Workflow) -> None:
    left = described(orphan)
    assert "deletionTimestamp" in left
    assert FINALIZER in left["finalizers"]


def test_and_is_gone_when_they_cannot_be_removed(orphan: Workflow) -> None:
    until(f"{orphan.name} deleted", orphan.is_gone, 400)


def described(run: Workflow) -> Object:
    """The metadata of a run, as the cluster has it."""
    (found,) = [one for one in objects("workflows", run.namespace) if one["metadata"]["name"] == run.name]
    return dict(found["metadata"])
