"""Strict, typed reader of the subset of the kfp PipelineSpec (IR) that all backends run.

An unknown construct is an error that names it and its place; nothing is skipped. Format: ``pipeline_spec.proto`` of
kfp-pipeline-spec 2.17. ``graph`` holds the types, ``tasks`` reads the graphs, ``platforms`` what kfp-kubernetes adds,
``references`` checks what they name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vqi.errors import VqiError
from vqi_pipelines.ir import admission
from vqi_pipelines.ir.documents import load_documents
from vqi_pipelines.ir.graph import Artifact, Component, Container, Parameter, Pipeline, PodSettings
from vqi_pipelines.ir.node import Node
from vqi_pipelines.ir.placeholders import check_template
from vqi_pipelines.ir.platforms import read_pod_settings
from vqi_pipelines.ir.references import check_references
from vqi_pipelines.ir.tasks import read_dag
from vqi_pipelines.ir.values import KINDS, from_ir

_AMOUNTS = ("cpuLimit", "memoryLimit", "cpuRequest", "memoryRequest")
_AMOUNT_TEXTS = ("resourceCpuLimit", "resourceMemoryLimit", "resourceCpuRequest", "resourceMemoryRequest")
_MOST_AMOUNT = 1e9
_MOST_CHARACTERS = 1000  # of an error


def read_ir(text: str) -> Pipeline:
    """Read a compiled pipeline.

    Args:
        text: YAML as kfp 2 writes it.

    Raises:
        VqiError: It is not such a file, or it contains something that the backends cannot run; the message says where.
    """
    try:
        documents = _documents(text)
        pods = read_pod_settings(Node(documents[1], "")) if len(documents) > 1 else {}
        return _pipeline(Node(documents[0], ""), pods)
    except VqiError as error:  # some of them show a value of the file, which may have lines, and any length
        said = " ".join(str(error).split())
        raise VqiError(said if len(said) <= _MOST_CHARACTERS else f"{said[:_MOST_CHARACTERS]}...") from error


def pipeline_name(text: str) -> str:
    """The name of a compiled pipeline, of which nothing else is read.

    Raises:
        VqiError: It is no such file, or its name could not be that of a file.
    """
    info = _info(Node(_documents(text)[0], ""))
    return info.name(info.take("name", str), "name")


def _documents(text: str) -> list[Any]:
    documents = load_documents(text)
    if not documents:
        raise VqiError("the compiled pipeline is empty: compile it with kfp 2")
    if len(documents) > 2:
        raise VqiError(f"the compiled pipeline: expected one or two YAML documents, got {len(documents)}")
    return documents


def _info(node: Node) -> Node:
    if not node.has("pipelineInfo"):
        raise VqiError(f"expected a pipeline that kfp 2 compiled, with 'pipelineInfo', got {node.keys()[:5]}")
    return node.node("pipelineInfo")


def _pipeline(node: Node, pods: Mapping[str, PodSettings]) -> Pipeline:
    info = _info(node)
    name, description = info.name(info.take("name", str), "name"), info.maybe("description", str, "")
    display_name = info.maybe("displayName", str, "")
    info.end()
    executors = _executors(node.node("deploymentSpec"), pods)
    components = {key: _component(key, part, executors) for key, part in node.node("components").nodes()}
    root = node.node("root")
    inputs, input_artifacts = _definitions(root.node("inputDefinitions"), of_inputs=True)
    if input_artifacts:
        raise VqiError(f"root.inputDefinitions.artifacts.{next(iter(input_artifacts))}: an artifact is not supported")
    _definitions(root.node("outputDefinitions"))
    dag = read_dag(Node(root.take("dag"), root.at("dag")))
    root.end()
    for key, kind in (("schemaVersion", str), ("sdkVersion", str)):
        node.maybe(key, kind, "")
    storage_root = node.maybe("defaultPipelineRoot", str, "")
    node.end()
    return check_references(Pipeline(name, description, inputs, dag, components, display_name, storage_root))


# ------------------------------------------------------------------------------------------------------- components


def _executors(node: Node, pods: Mapping[str, PodSettings]) -> dict[str, Container]:
    found = {}
    for key, executor in node.node("executors").nodes():
        if executor.has("container"):
            found[key] = replace(_container(executor.node("container")), pod=pods.get(key, PodSettings()))
        executor.end(importer="an importer")
    node.end()
    for key in pods:
        if key not in found:
            raise VqiError(f"platforms.kubernetes.deploymentSpec.executors.{key}: there is no such container")
    return found


def _container(node: Node) -> Container:
    pairs = [Node(pair, f"{node.at('env')}[{place}]") for place, pair in enumerate(node.maybe("env", list, []))]
    env = tuple((pair.take("name", str), pair.take("value", str)) for pair in pairs)
    for pair, (name, value) in zip(pairs, env, strict=True):
        pair.end()
        admission.check_variable(name, value, pair.at("name"))
    image = node.take("image", str)
    admission.check_image(image, node.at("image"))
    container = Container(
        image=image,
        command=node.texts("command"),
        args=node.texts("args"),
        env=env,
        resources=_resources(node.node("resources")),
    )
    node.end()
    return container


def _resources(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {key: _amount(node, key) for key in _AMOUNTS if node.has(key)}
    for key in (key for key in _AMOUNT_TEXTS if node.has(key)):
        found[key] = node.take(key, str)
        admission.check_amount(found[key], node.at(key))
    for request, limit in zip(_AMOUNT_TEXTS[2:], _AMOUNT_TEXTS[:2], strict=True):
        _check_request(found, request, limit, node.at(request))
    if node.has("accelerator"):
        found["accelerator"] = _accelerator(node.node("accelerator"))
    node.end()
    return found


def _amount(node: Node, key: str) -> float:
    """A number of cores or of 10^9 bytes, as older files have it."""
    amount = node.take(key, (int, float))
    if not 0 < amount < _MOST_AMOUNT:
        raise VqiError(f"{node.at(key)}: expected a number above 0, got {amount}")
    return float(amount)


def _check_request(found: Mapping[str, Any], request: str, limit: str, place: str) -> None:
    if request in found and limit in found:
        least, most = (admission.quantity(found[key], place) for key in (request, limit))
        if least > most:
            raise VqiError(f"{place}: expected at most the limit of {found[limit]}, got {found[request]}")


def _accelerator(node: Node) -> dict[str, str]:
    """The device and how many; kfp writes each in two fields, of which the newer one may name a parameter."""
    found: dict[str, str] = {}
    checks = {"resourceType": admission.check_resource, "resourceCount": admission.check_count}
    for key, check in checks.items():
        old = key.removeprefix("resource").lower()
        for name in (old, key):
            text = str(node.maybe(name, (str, int), ""))  # protobuf writes 64-bit numbers as texts
            if text and text != "0":
                check(text, node.at(name))
                found[name] = text
        if old not in found and key not in found:
            raise VqiError(f"{node.at(key)}: expected a device and how many, got {found or 'nothing'}")
    node.end()
    return found


def _component(name: str, node: Node, executors: Mapping[str, Container]) -> Component:
    inputs, input_artifacts = _definitions(node.node("inputDefinitions"), of_inputs=True)
    outputs, output_artifacts = _definitions(node.node("outputDefinitions"))
    container, dag = None, None
    if node.has("dag"):
        dag = read_dag(node.node("dag"))
    else:
        label = node.take("executorLabel", str)
        if label not in executors:
            raise VqiError(f"components.{name}.executorLabel: there is no executor '{label}'")
        container = executors[label]
    node.end()
    component = Component(name, inputs, input_artifacts, outputs, output_artifacts, container, dag)
    if container:
        _check_templates(component, container)
    return component


def _check_templates(component: Component, container: Container) -> None:
    """Check before anything runs that every placeholder of a command is known."""
    if not container.command:
        raise VqiError(f"components.{component.name}: expected a container with a command, got no command")
    for key, parts in (("command", container.command), ("args", container.args)):
        for place, part in enumerate(parts):
            _check_template(component, part, f"components.{component.name}.container.{key}[{place}]")


def _check_template(component: Component, part: str, place: str) -> None:
    paths = (component.input_artifacts, component.output_artifacts, component.outputs)
    try:
        check_template(part, component.inputs, *paths)
    except VqiError as error:
        raise VqiError(f"{place}: {error}") from error


def _definitions(node: Node, of_inputs: bool = False) -> tuple[dict[str, Parameter], dict[str, Artifact]]:
    """Parameters and artifacts; only inputs can have defaults or be left out."""
    parameters = {key: _parameter(key, part, of_inputs) for key, part in node.node("parameters").nodes()}
    artifacts = {key: _artifact(key, part, of_inputs) for key, part in node.node("artifacts").nodes()}
    node.end()
    return parameters, artifacts


def _parameter(name: str, node: Node, of_input: bool) -> Parameter:
    node.name(name)
    kind = node.take("parameterType", str)
    if kind not in KINDS:
        raise VqiError(f"{node.at('parameterType')}: {kind} is not supported")
    default = None
    if of_input and node.has("defaultValue"):
        default = from_ir(node.take("defaultValue"), kind, node.at("defaultValue"))
    optional = of_input and node.maybe("isOptional", bool, False)
    parameter = Parameter(name, kind, default, optional, node.maybe("description", str, ""))
    node.end(literals="a list of literals")
    return parameter


def _artifact(name: str, node: Node, of_input: bool) -> Artifact:
    node.name(name)
    kind = node.node("artifactType")
    schema = kind.take("schemaTitle", str)
    kind.maybe("schemaVersion", str, "")
    kind.end()
    node.maybe("description", str, "")
    artifact = Artifact(name, schema, of_input and node.maybe("isOptional", bool, False))
    node.end(isArtifactList="a list of artifacts (dsl.Collected of an artifact)")
    return artifact
