"""A run on Kubeflow Pipelines: the compiled pipeline with settings and parameters, once or on a schedule."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import yaml

from vqi.errors import VqiError
from vqi_pipelines.argo.cron_lines import check_cron_line
from vqi_pipelines.submit.kubeflow_api import KubeflowApi, package_of

SUCCEEDED = "SUCCEEDED"
ENDED = (SUCCEEDED, "FAILED", "CANCELED", "SKIPPED")
PAUSE_SECONDS = 2.0  # between two requests for the state of a run
# Argo's prefix to a step's own message; Kubeflow's launcher replaces the step's exit code by 1.
_EXIT = re.compile(r"^main: Error \(exit code \d+\)(: )?")


@dataclass(frozen=True)
class Request:
    """What to run, and where it is shown."""

    package: str  # YAML as kfp writes it
    parameters: Mapping[str, Any]  # those that differ from the pipeline's defaults, in their types
    experiment: str
    name: str | None = None  # of the run; when None, the pipeline's with the time
    namespace: str | None = None  # of the user, where Kubeflow has users
    service_account: str | None = None


@dataclass(frozen=True)
class Started:
    """A run or a recurring run on Kubeflow."""

    id: str
    name: str
    link: str


def start(api: KubeflowApi, request: Request, page: str) -> Started:
    """Start a run.

    Args:
        api: API of Kubeflow Pipelines.
        request: What to run.
        page: Address of its web pages.

    Raises:
        VqiError: There is no response, or the response is a refusal.
    """
    fields = _fields(api, request)
    made = api.create_run(**fields)
    return Started(made.run_id, fields["display_name"], f"{page.rstrip('/')}/#/runs/details/{made.run_id}")


def schedule(api: KubeflowApi, request: Request, page: str, cron: str) -> Started:
    """Start a run at each time of a cron line of five fields, one at a time; missed runs are not made up for.

    Raises:
        VqiError: As ``start``, or the cron line is invalid.
    """
    line = kubeflow_cron(cron)
    fields = _fields(api, request)
    made = api.create_recurring_run(line, max_concurrency="1", no_catchup=True, **fields)
    link = f"{page.rstrip('/')}/#/recurringrun/details/{made.recurring_run_id}"
    return Started(made.recurring_run_id, fields["display_name"], link)


def kubeflow_cron(line: str) -> str:
    """A cron line for Kubeflow, whose first field is seconds: in five fields it would read the minutes as seconds.

    Raises:
        VqiError: It is not a cron line of five fields.
    """
    line = check_cron_line(line, "--cron")
    return line if line.startswith("@") else f"0 {line}"


def _fields(api: KubeflowApi, request: Request) -> dict[str, Any]:
    """What a run and a recurring run have in common."""
    if api.has_users() and not request.namespace:
        raise VqiError(f"{api.host} has users: name the namespace of your profile with -n")
    documents = [document for document in yaml.safe_load_all(request.package) if document]
    made_up = f"{documents[0]['pipelineInfo']['name']} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    return {
        "display_name": request.name or made_up,
        "experiment_id": api.experiment(request.experiment, request.namespace),
        "pipeline_spec": package_of(documents),
        "runtime_config": {"parameters": dict(request.parameters)},
        "service_account": request.service_account,
    }


def until_ended(api: KubeflowApi, run_id: str) -> tuple[str, list[str]]:
    """Wait until a run has ended; returns its state, and the message of each failed step."""
    while (run := api.run(run_id)).state not in ENDED:
        time.sleep(PAUSE_SECONDS)
    return str(run.state), [] if run.state == SUCCEEDED else failures(api.workflow(run_id))


def failures(workflow: Mapping[str, Any]) -> list[str]:
    """The messages of a workflow's failed steps, each once; for a step without one, how to see its log."""
    nodes = workflow.get("status", {}).get("nodes", {})
    failed = [node for node in nodes.values() if node["type"] == "Pod" and node["phase"] in ("Failed", "Error")]
    return list(dict.fromkeys(_failure(node, nodes, workflow["metadata"]) for node in failed))


def _failure(node: Mapping[str, Any], nodes: Mapping[str, Any], workflow: Mapping[str, str]) -> str:
    name, message = str(node["displayName"]), str(node.get("message", ""))
    if name.startswith("executor"):  # one per step and per attempt
        name = nodes.get(node.get("boundaryID", ""), node)["displayName"]
    said = _EXIT.sub("", message)
    if said:
        return f"{name}: {said}"
    pod = f"{workflow['name']}-{node['templateName']}-{node['id'].rpartition('-')[2]}"
    return f"{name}: {message}: kubectl logs -n {workflow['namespace']} {pod} -c main"
