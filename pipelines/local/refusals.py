"""What a pipeline may ask of a step's pod that one machine cannot give."""

from __future__ import annotations

from collections.abc import Mapping

from vqi.errors import VqiError
from vqi_pipelines.ir.graph import Component, Pipeline


def check_runs_here(pipeline: Pipeline, environment: Mapping[str, str]) -> None:
    """Check the settings of the steps' pods against this machine.

    Where a pod runs, its labels and how its image is pulled have no meaning here. A variable that a Secret would hold
    comes from the environment.

    Args:
        pipeline: From ``read_ir``.
        environment: The whole environment of a step.

    Raises:
        VqiError: A step needs a variable that is not set, or a PersistentVolumeClaim.
    """
    for component in pipeline.components.values():
        _check(component, environment)


def _check(component: Component, environment: Mapping[str, str]) -> None:
    if component.container is None:
        return
    pod = component.container.pod
    for value in pod.env:
        if not value.optional and value.variable not in environment:
            raise VqiError(
                f"{component.name}: {value.variable} is not set: set it to what the {value.kind} '{value.object}' holds"
            )
    for claim in pod.claims:
        raise VqiError(f"{component.name}: the PersistentVolumeClaim '{claim.name}' is available only on a cluster")
