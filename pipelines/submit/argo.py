"""A run on Argo Workflows: a Workflow that refers to the installed WorkflowTemplate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vqi.errors import VqiError, unknown
from vqi.redaction import shown_line
from vqi_pipelines.argo.arguments import literal
from vqi_pipelines.ir.values import to_text

ENDED = ("Succeeded", "Failed", "Error")
PAUSE_SECONDS = 2.0  # between two requests for the state of a run


class Api(Protocol):
    """What talks to the cluster: the Kubernetes API or an Argo server."""

    namespace: str  # where it runs when no other one is given

    def template(self, namespace: str, name: str) -> dict[str, Any]:
        """A WorkflowTemplate."""

    def create(self, namespace: str, workflow: dict[str, Any]) -> dict[str, Any]:
        """Create a Workflow; returns it with its name."""

    def workflow(self, namespace: str, name: str) -> dict[str, Any]:
        """A Workflow."""

    def follow(self, namespace: str, name: str) -> str:
        """The link or the command that shows a run."""


@dataclass(frozen=True)
class Run:
    """A run on a cluster."""

    namespace: str
    name: str
    follow: str


def start(api: Api, namespace: str, template: str, parameters: Mapping[str, Any]) -> Run:
    """Start a run of a WorkflowTemplate.

    Args:
        api: From ``connect``.
        namespace: Of the template and the run.
        template: Name of the WorkflowTemplate.
        parameters: Those that differ from the template's, in their types.

    Raises:
        VqiError: The template does not exist or does not have a parameter, or the cluster refuses.
    """
    spec = api.template(namespace, template)["spec"]
    declared = [parameter["name"] for parameter in spec.get("arguments", {}).get("parameters", [])]
    for name in parameters:
        if name not in declared:
            raise VqiError(f"WorkflowTemplate {namespace}/{template}: {unknown('parameter', name, declared)}")
    made = api.create(namespace, workflow_of(template, parameters))
    name = made["metadata"]["name"]
    return Run(namespace, name, api.follow(namespace, name))


def workflow_of(template: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The Workflow that ``argo submit --from workflowtemplate/<template>`` would create."""
    texts = [{"name": n, "value": _as_it_is(to_text(v), f"parameter '{n}'")} for n, v in parameters.items()]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "generateName": f"{template}-",
            "labels": {"workflows.argoproj.io/workflow-template": template},
        },
        "spec": {"workflowTemplateRef": {"name": template}, "arguments": {"parameters": texts}},
    }


def _as_it_is(text: str, place: str) -> str:
    """A value that neither Argo nor Kubernetes would fill in, on whose command lines it comes to stand.

    Raises:
        VqiError: They would.
    """
    if found := next((mark for mark in ("$(", "$$") if mark in text), ""):
        shown = shown_line(text)[:80]
        raise VqiError(f"{place}: '{shown}' contains '{found}', which Kubernetes would fill in: leave it out")
    return literal(text, place)


def until_ended(api: Api, run: Run) -> tuple[str, str]:
    """Wait until a run has ended; returns its phase and message."""
    while True:
        status = api.workflow(run.namespace, run.name).get("status", {})
        if status.get("phase") in ENDED:
            return status["phase"], status.get("message", "")
        time.sleep(PAUSE_SECONDS)
