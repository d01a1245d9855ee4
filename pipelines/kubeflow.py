"""The compiled pipeline as Kubeflow runs it: with which images, on which nodes, how many retries, cached or not.

Kubeflow has no place outside the pipeline for these settings. The format is that of kfp 2.17 and kfp-kubernetes 2.17.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from vqi.errors import VqiError
from vqi_pipelines.image_names import check_registry, check_tag
from vqi_pipelines.ir.graph import Toleration

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# Waits 10, 20, 40 s ...
_BACKOFF = {"backoffDuration": "10s", "backoffFactor": 2.0, "backoffMaxDuration": "300s"}
_ALWAYS, _TAKEN = "ALL_UPSTREAM_TASKS_COMPLETED", "taskOutputParameter"

Document = dict[str, Any]


@dataclass(frozen=True)
class KubeflowSettings:
    """How the training pipeline runs on Kubeflow, which the pipeline itself does not contain."""

    registry: str = ""  # before the images' names, such as registry.example.com/quality
    tag: str = ""  # instead of the images' own
    pull_secrets: tuple[str, ...] = ()
    pull_policy: str = ""  # Always | IfNotPresent | Never; Kubernetes' default when empty
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    # For every step and every failure: Kubeflow cannot tell bad input (exit code 2) from a node that disappeared.
    retries: int = 2
    non_root: bool = True  # a container with the user root is not started
    cache: bool = True

    def __post_init__(self) -> None:
        check_registry(self.registry)
        check_tag(self.tag)


def for_kubeflow(ir: str, settings: KubeflowSettings) -> str:
    """A compiled pipeline with settings and defaults filled in; its own retries and placement are kept.

    Args:
        ir: YAML as kfp writes it, one or two documents.
        settings: What to fill in.
    """
    spec, *others = [document for document in yaml.safe_load_all(ir) if document]
    platform: Document = others[0] if others else {"platforms": {}}
    executors: Document = spec["deploymentSpec"]["executors"]
    for executor in executors.values():
        executor["container"]["image"] = image_name(executor["container"]["image"], settings)
    _make_exit_tasks(spec)
    for task, component in _steps(spec):
        _give_defaults(task, component)
        if settings.retries:
            task.setdefault("retryPolicy", {"maxRetryCount": settings.retries, **_BACKOFF})
        if not settings.cache:
            task["cachingOptions"] = {}
    _place(platform, executors, settings)
    comment = "".join(line for line in ir.splitlines(keepends=True) if line.startswith("#"))
    documents = [spec, *([platform] if platform["platforms"] else [])]
    return comment + "---\n".join(yaml.safe_dump(one, sort_keys=True) for one in documents)


def image_name(image: str, settings: KubeflowSettings) -> str:
    """The name of a container image in the registry, with the tag."""
    name, _, tag = image.rpartition(":")
    folder = f"{settings.registry.rstrip('/')}/" if settings.registry else ""
    return f"{folder}{name}:{settings.tag or tag}"


def _steps(spec: Document) -> Iterator[tuple[Document, Document]]:
    """All tasks that run a container, in whichever graph, with their components."""
    components = spec["components"]
    for graph in [spec["root"], *components.values()]:
        for task in graph.get("dag", {}).get("tasks", {}).values():
            component = components[task["componentRef"]["name"]]
            if "executorLabel" in component:
                yield task, component


def _make_exit_tasks(spec: Document) -> None:
    """Make what runs although others failed an exit task of one graph, which is all that Kubeflow 2.17 runs then.

    It makes of such a task a hook of each task that it waits for or takes something from, and forgets that of a loop.
    So the loop goes into a graph of its own, and the task takes nothing: kfp asks for defaults for that. One that waits
    for several others, or for a step, needs all of them.
    """
    tasks: Document = spec["root"]["dag"]["tasks"]
    for name, task in [*tasks.items()]:
        if task.get("triggerPolicy", {}).get("strategy") != _ALWAYS:
            continue
        inputs: Document = task.get("inputs", {}).get("parameters", {})
        taken = {key: one[_TAKEN]["producerTask"] for key, one in inputs.items() if _TAKEN in one}
        graph, *others = sorted({*task["dependentTasks"]} - {*taken.values()}) or [""]
        waiting = [key for key, one in tasks.items() if graph in one.get("dependentTasks", [])]
        if others or waiting != [name] or "dag" not in spec["components"][tasks[graph]["componentRef"]["name"]]:
            del task["triggerPolicy"]
            continue
        for key in taken:
            del inputs[key]
        if "parameterIterator" in tasks[graph]:
            graph = _put_into_a_graph(graph, tasks, spec["components"])
        task["dependentTasks"] = [graph]


def _put_into_a_graph(name: str, tasks: Document, components: Document) -> str:
    """Put a loop into a task of its own, which only contains it; returns that task's name."""
    loop, whole = tasks.pop(name), f"{name}-whole"
    key = f"{loop['componentRef']['name']}-whole"
    inside = components[loop["componentRef"]["name"]]["inputDefinitions"]
    declared: Document = {}
    passed: Document = {}
    for kind, source in (("parameters", "componentInputParameter"), ("artifacts", "componentInputArtifact")):
        if given := loop.get("inputs", {}).get(kind):
            declared[kind] = {one: inside[kind][one] for one in given}
            passed[kind] = {one: {source: one} for one in given}
    outer = {part: loop[part] for part in ("inputs", "dependentTasks", "taskInfo") if part in loop}
    tasks[whole] = {"componentRef": {"name": key}, **outer}
    inner = {part: value for part, value in loop.items() if part != "dependentTasks"} | {"inputs": passed}
    components[key] = {"dag": {"tasks": {name: inner}}, "inputDefinitions": declared}
    return whole


def _give_defaults(task: Document, component: Document) -> None:
    """Give a task the defaults it relies on: Kubeflow 2.17 fails when a container's argument names such an input."""
    for name, parameter in component.get("inputDefinitions", {}).get("parameters", {}).items():
        if "defaultValue" in parameter:
            given = task.setdefault("inputs", {}).setdefault("parameters", {})
            given.setdefault(name, {"runtimeValue": {"constant": parameter["defaultValue"]}})


def _place(platform: Document, executors: Document, settings: KubeflowSettings) -> None:
    """Set on which nodes the pods of all executors run and how their images are pulled."""
    tolerations = [_toleration(one) for one in settings.tolerations]
    secrets = [_pull_secret(name) for name in settings.pull_secrets]
    if not (settings.node_selector or tolerations or secrets or settings.pull_policy or settings.non_root):
        return
    kubernetes = platform["platforms"].setdefault("kubernetes", {}).setdefault("deploymentSpec", {})
    for label in executors:
        pod = kubernetes.setdefault("executors", {}).setdefault(label, {})
        if settings.node_selector:
            labels = pod.setdefault("nodeSelector", {}).setdefault("labels", {})
            labels |= {**settings.node_selector, **labels}
        if tolerations:
            pod["tolerations"] = [*pod.get("tolerations", []), *tolerations]
        if secrets:
            pod["imagePullSecret"] = [*pod.get("imagePullSecret", []), *secrets]
        if settings.non_root:
            pod.setdefault("securityContext", {}).setdefault("runAsNonRoot", True)
        if settings.pull_policy:
            pod.setdefault("imagePullPolicy", settings.pull_policy)


def _toleration(one: Toleration) -> Document:
    found = {"key": one.key, "operator": one.operator, "value": one.value, "effect": one.effect}
    return {name: value for name, value in found.items() if value}


def _pull_secret(name: str) -> Document:
    return {"secretName": name, "secretNameParameter": {"runtimeValue": {"constant": name}}}


# ------------------------------------------------------------------------------------------------- from a command line


def node_label(text: str) -> tuple[str, str]:
    """A label that nodes must have, ``key=value``.

    Raises:
        VqiError: The text has another form.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise VqiError(f"--node-selector '{text}': expected key=value")
    return key, value


def toleration(text: str) -> Toleration:
    """A taint that the steps tolerate, as ``kubectl taint`` writes it: ``key=value:NoSchedule`` or ``key:NoSchedule``.

    Raises:
        VqiError: The text has another form.
    """
    taint, separator, effect = text.rpartition(":")
    key, equals, value = taint.partition("=")
    if not separator or not key or effect not in _EFFECTS:
        raise VqiError(f"--toleration '{text}': expected key=value:effect or key:effect with {' or '.join(_EFFECTS)}")
    return Toleration(key=key, operator="Equal" if equals else "Exists", value=value, effect=effect)
