"""A container step as a template: its inputs and outputs, its command with Argo's references, its pod."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from hera.workflows import models

from vqi.errors import VqiError
from vqi_pipelines.argo.arguments import OF_RUN, input_parameter, json_value, literal, unexpanded
from vqi_pipelines.argo.executor_output import with_outputs_as_files
from vqi_pipelines.argo.keys import KEY_PREFIX, artifact_key
from vqi_pipelines.argo.names import field_name
from vqi_pipelines.argo.retries import retry_strategy
from vqi_pipelines.argo.security import container_security
from vqi_pipelines.argo.settings import Settings
from vqi_pipelines.argo.variants import Variant
from vqi_pipelines.ir.graph import Artifact, Component, Container, Parameter
from vqi_pipelines.ir.names import file_name
from vqi_pipelines.ir.placeholders import StepValues, executor_input, resolve
from vqi_pipelines.ir.values import to_text
from vqi_pipelines.pod_annotations import PAGE_FOLDER

INPUTS, OUTPUTS = "/inputs", "/outputs"
SCRATCH = (("tmp", "/tmp"), ("outputs", OUTPUTS))  # noqa: S108 - a volume of the pod's own
# What people read, or what shows how good a model is: Argo's page shows only bare files.
_SHOWN = ("system.HTML", "system.Markdown", "system.Metrics", "system.ClassificationMetrics", "system.Artifact")
_EXECUTOR_INPUT, _EXECUTOR_OUTPUT = "{{$}}", f"{OUTPUTS}/executor_output.json"
_PAGE_ENDING = ".html"
_OWN_STEPS = "vqi_components."
_MOST_PARAMETERS = 500  # of a template's inputs, in the custom resources of Argo 4
_MARK = "\0"  # no YAML contains it, so a text between two of them is ours


def container_template(
    name: str,
    component: Component,
    container: Container,
    variant: Variant,
    settings: Settings,
    shown: Mapping[str, str] = MappingProxyType({}),
) -> models.Template:
    """A template that runs a step.

    Args:
        name: Of the template.
        component: The step.
        container: What runs.
        variant: With which inputs.
        settings: For the cluster.
        shown: Its output parameters that are outputs of the whole workflow, with their names there.

    Raises:
        VqiError: A name or a text that Argo cannot accept; with its place in the IR.
    """
    place = f"components.{component.name}"
    pod = container.pod
    return models.Template(
        name=name,
        inputs=_inputs(component, variant, place),
        outputs=_outputs(component, settings, place, shown, pod.annotations.get(PAGE_FOLDER, "")),
        container=_container(component, container, variant, settings),
        retry_strategy=retry_strategy(variant.retry, settings.infrastructure_retries, place),
        active_deadline_seconds=models.IntOrString(pod.deadline_seconds) if pod.deadline_seconds else None,
        metadata=_metadata(pod.labels, pod.annotations),
        node_selector=dict(pod.node_selector) or None,
        tolerations=[
            models.Toleration(
                key=t.key or None,
                operator=t.operator,
                value=t.value or None,
                effect=t.effect or None,
                toleration_seconds=t.seconds,
            )
            for t in pod.tolerations
        ]
        or None,
        volumes=[_claim_volume(index, claim.name) for index, claim in enumerate(pod.claims)] or None,
    )


def _metadata(labels: Mapping[str, str], annotations: Mapping[str, str]) -> models.Metadata | None:
    if not labels and not annotations:
        return None
    return models.Metadata(labels=dict(labels) or None, annotations=dict(annotations) or None)


# ------------------------------------------------------------------------------------------------- inputs and outputs


def _inputs(component: Component, variant: Variant, place: str) -> models.Inputs | None:
    parameters = [input_declaration(p, place) for name, p in component.inputs.items() if name in variant.parameters]
    for parameter in parameters:
        parameter.value = parameter.value and unexpanded(parameter.value)
    if component.output_artifacts:
        parameters.append(models.Parameter(name=KEY_PREFIX))
    check_parameter_count(parameters, place)
    artifacts = [
        models.Artifact(
            name=field_name(name, f"{place}.inputDefinitions.artifacts"), path=f"{INPUTS}/{file_name(name, a.schema)}"
        )
        for name, a in component.input_artifacts.items()
        if name in variant.artifacts
    ]
    return (
        models.Inputs(parameters=parameters or None, artifacts=artifacts or None) if parameters or artifacts else None
    )


def input_declaration(parameter: Parameter, place: str) -> models.Parameter:
    """An input of a template, with its default."""
    place = f"{place}.inputDefinitions.parameters"
    if parameter.name in (KEY_PREFIX, "loop-path"):
        raise VqiError(f"{place}.{parameter.name}: the lowering to Argo uses this name itself: rename it")
    default = parameter.default
    return models.Parameter(
        name=field_name(parameter.name, place),
        value=None if default is None else literal(to_text(default), f"{place}.{parameter.name}.defaultValue"),
    )


def check_parameter_count(parameters: Sequence[models.Parameter], place: str) -> None:
    """Check how many input parameters a template has."""
    if len(parameters) > _MOST_PARAMETERS:
        raise VqiError(
            f"{place}.inputDefinitions.parameters: Argo 4 takes {_MOST_PARAMETERS} of a template, got "
            f"{len(parameters)}: pass some of them as one mapping"
        )


def _outputs(
    component: Component, settings: Settings, place: str, shown: Mapping[str, str], page_folder: str
) -> models.Outputs | None:
    parameters = [
        models.Parameter(
            name=field_name(name, f"{place}.outputDefinitions.parameters"),
            value_from=models.ValueFrom(path=_parameter_path(name)),
            global_name=shown.get(name),
        )
        for name in component.outputs
    ]
    artifacts = [
        _output_artifact(a, settings, place, is_page=a.name == page_folder) for a in component.output_artifacts.values()
    ]
    if not parameters and not artifacts:
        return None
    both = component.outputs.keys() & component.output_artifacts.keys()
    if both:
        raise VqiError(f"{place}.outputDefinitions: '{min(both)}' is a parameter and an artifact: rename one")
    return models.Outputs(parameters=parameters or None, artifacts=artifacts or None)


def _output_artifact(artifact: Artifact, settings: Settings, place: str, *, is_page: bool) -> models.Artifact:
    """An artifact: bare files if people look at it; otherwise one object, so that an empty folder arrives, too.

    A folder with a page is stored under the name of a file with one: that is what Argo's page shows, and its server
    then finds the ``index.html`` in it.
    """
    file = file_name(field_name(artifact.name, f"{place}.outputDefinitions.artifacts"), artifact.schema)
    shown = artifact.schema in _SHOWN
    packed = models.ArchiveStrategy(tar=models.TarStrategy(compression_level=0))
    return models.Artifact(
        name=artifact.name,
        path=f"{OUTPUTS}/{file}",
        archive=models.ArchiveStrategy(none=models.NoneStrategy()) if shown else packed,
        s3=models.S3Artifact(key=artifact_key(settings.key_prefix, file + (_PAGE_ENDING if is_page else ""))),
    )


def _parameter_path(name: str) -> str:
    return f"{OUTPUTS}/{name}"


# -------------------------------------------------------------------------------------------------------- the command


def _container(component: Component, container: Container, variant: Variant, settings: Settings) -> models.Container:
    place = f"components.{component.name}.container"
    values = _marked_values(component, variant)
    return models.Container(
        image=literal(container.image, f"{place}.image"),
        image_pull_policy=container.pod.pull_policy or settings.pull_policy,
        command=with_outputs_as_files(
            _texts(container.command, values, component, f"{place}.command"), _EXECUTOR_OUTPUT
        ),
        args=_texts(_without_executor_input(container), values, component, f"{place}.args") or None,
        env=_environment(container, place),
        resources=_resources(container.resources, settings, place),
        security_context=container_security(),
        termination_message_policy="FallbackToLogsOnError",  # so that Argo shows a failed step's own last lines
        volume_mounts=[models.VolumeMount(name=name, mount_path=path) for name, path in SCRATCH]
        + [
            models.VolumeMount(name=f"claim-{index}", mount_path=claim.path)
            for index, claim in enumerate(container.pod.claims)
        ],
    )


def _without_executor_input(container: Container) -> tuple[str, ...]:
    """The arguments; those of the project's own steps without ``--executor-input {{$}}``.

    What they write there is read only by Kubeflow. Another step may read its inputs from it.
    """
    args = container.args
    if not (container.command[:2] == ("python", "-m") and "".join(container.command[2:3]).startswith(_OWN_STEPS)):
        return args
    drop = {index for index, pair in enumerate(pairwise(args)) if pair == ("--executor-input", _EXECUTOR_INPUT)}
    return tuple(text for index, text in enumerate(args) if index not in drop and index - 1 not in drop)


def _marked_values(component: Component, variant: Variant) -> StepValues:
    """The values of placeholders, with marks in the places of Argo's references."""
    values = StepValues(
        parameters={name: f"{_MARK}{name}{_MARK}" for name in component.inputs if name in variant.parameters},
        input_artifacts={
            name: f"{INPUTS}/{file_name(name, a.schema)}"
            for name, a in component.input_artifacts.items()
            if name in variant.artifacts
        },
        output_artifacts={
            name: f"{OUTPUTS}/{file_name(name, a.schema)}" for name, a in component.output_artifacts.items()
        },
        output_parameters={name: _parameter_path(name) for name in component.outputs},
        executor_input=None,
        run={name: f"{_MARK}run {name}{_MARK}" for name in OF_RUN},
    )
    text = executor_input(
        values,
        {name: a.schema for name, a in component.output_artifacts.items()},
        {name: a.schema for name, a in component.input_artifacts.items()},
        _EXECUTOR_OUTPUT,
    )
    for name, mark in values.parameters.items():  # a text in quotes becomes a value that brings its own quotes
        text = text.replace(json.dumps(mark), f"{_MARK}json {name}{_MARK}")
    return replace(values, executor_input=text)


def _texts(parts: tuple[str, ...], values: StepValues, component: Component, place: str) -> list[str]:
    return [
        text for index, part in enumerate(parts) for text in _resolved(part, values, component, f"{place}[{index}]")
    ]


def _resolved(part: str, values: StepValues, component: Component, place: str) -> list[str]:
    """One element of a command with Argo's references in place of its placeholders."""
    try:
        texts = resolve(part, values)
    except VqiError as error:
        raise VqiError(f"{place}: {error}") from error
    for text in texts:
        literal(text, place)
    return [_unmarked(unexpanded(text, _MARK), component) for text in texts]


def _unmarked(text: str, component: Component) -> str:
    for name, reference in OF_RUN.items():
        text = text.replace(f"{_MARK}run {name}{_MARK}", reference)
    for name, parameter in component.inputs.items():
        text = text.replace(f"{_MARK}{name}{_MARK}", input_parameter(name))
        text = text.replace(f"{_MARK}json {name}{_MARK}", json_value(name, parameter.type))
    return text


# ------------------------------------------------------------------------------------------------------------ the pod


def _environment(container: Container, place: str) -> list[models.EnvVar]:
    """The variables of a step; its home is writable, and its user has a name, which libraries may ask for."""
    plain = {"HOME": "/tmp", "USER": "step", **dict(container.env)}  # noqa: S108 - a volume of the pod's own
    variables = [
        models.EnvVar(name=name, value=unexpanded(literal(value, f"{place}.env.{name}")))
        for name, value in plain.items()
    ]
    for kept in container.pod.env:
        chosen: dict[str, Any] = {"name": kept.object, "key": kept.key, "optional": kept.optional or None}
        source = (
            models.EnvVarSource(secret_key_ref=models.SecretKeySelector(**chosen))
            if kept.kind == "Secret"
            else models.EnvVarSource(config_map_key_ref=models.ConfigMapKeySelector(**chosen))
        )
        variables.append(models.EnvVar(name=kept.variable, value_from=source))
    return variables


def _resources(found: Mapping[str, Any], settings: Settings, place: str) -> models.ResourceRequirements:
    """The resources of a step: as it declares, at least what it requests, and the defaults of the settings."""
    cpu = _request_and_limit(_cpu(found, "Request"), _cpu(found, "Limit"), settings.default_cpu)
    memory = _request_and_limit(_memory(found, "Request"), _memory(found, "Limit"), settings.default_memory)
    requests, limits = ({"cpu": cpu[end], "memory": memory[end]} for end in (0, 1))
    accelerator = found.get("accelerator", {})
    if accelerator:
        kind = accelerator.get("resourceType") or accelerator.get("type", "")
        limits[kind] = accelerator.get("resourceCount") or accelerator.get("count", "")
    for name, amount in [*limits.items(), *requests.items()]:
        literal(f"{name} {amount}", f"{place}.resources")
    return models.ResourceRequirements(limits=_quantities(limits), requests=_quantities(requests) or None)


def _request_and_limit(
    request: str | None, limit: str | None, default: tuple[str, str]
) -> tuple[str | None, str | None]:
    """The request and the limit of a step; the defaults if it declares neither."""
    return (request, limit or request) if request or limit else default


def _quantities(amounts: Mapping[str, str | None]) -> dict[str, models.Quantity]:
    return {name: models.Quantity(amount) for name, amount in amounts.items() if amount}


def _cpu(found: Mapping[str, Any], end: str) -> str | None:
    """Cores, as the text that the pipeline's author wrote, if there is one."""
    text = found.get(f"resourceCpu{end}")
    return str(text) if text else f"{found[f'cpu{end}']:g}" if f"cpu{end}" in found else None


def _memory(found: Mapping[str, Any], end: str) -> str | None:
    """Bytes; older files have them as a number of 10^9 bytes."""
    text = found.get(f"resourceMemory{end}")
    return str(text) if text else str(round(found[f"memory{end}"] * 1e9)) if f"memory{end}" in found else None


def _claim_volume(index: int, claim: str) -> models.Volume:
    source = models.PersistentVolumeClaimVolumeSource(claim_name=claim)
    return models.Volume(name=f"claim-{index}", persistent_volume_claim=source)
