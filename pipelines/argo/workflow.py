"""The whole pipeline as a WorkflowTemplate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hera.workflows import models

from vqi.errors import VqiError
from vqi_pipelines.argo.arguments import literal
from vqi_pipelines.argo.containers import SCRATCH, container_template
from vqi_pipelines.argo.graphs import MOST_TEMPLATES, Graph, component_graph, graph_template, wrapper_template
from vqi_pipelines.argo.keys import check_keys
from vqi_pipelines.argo.names import dns_label, field_name, free_label
from vqi_pipelines.argo.security import pod_security, pod_spec_patch
from vqi_pipelines.argo.settings import Settings
from vqi_pipelines.argo.variants import Variant, named_variants, root_variant, wrapper_variant
from vqi_pipelines.ir.graph import Parameter, Pipeline, Task
from vqi_pipelines.ir.values import to_text

API_VERSION = "argoproj.io/v1alpha1"
DEFAULT_SETTINGS = Settings()


def lower(pipeline: Pipeline, settings: Settings = DEFAULT_SETTINGS) -> models.WorkflowTemplate:
    """A pipeline as a WorkflowTemplate that needs Argo Workflows 3.7 or 4 and nothing of Kubeflow.

    Args:
        pipeline: From ``read_ir``.
        settings: Settings for the cluster.

    Raises:
        VqiError: A construct without an equivalent, a name or text that Argo cannot accept; with its place in the IR.
    """
    check_keys(pipeline)
    _check_always(pipeline)
    names = named_variants(pipeline)
    entry = names[root_variant(pipeline)]
    root = Graph(pipeline, pipeline.root, root_variant(pipeline), "root.dag", names)
    ordinary = [task for task in pipeline.root.tasks.values() if not task.is_exit_handler]
    templates = [graph_template(entry, root, ordinary), *_component_templates(pipeline, names, settings)]
    exit_name = None
    if final := [task for task in pipeline.root.tasks.values() if task.is_exit_handler]:
        exit_name = free_label(f"{entry[:58]}-exit", {*names.values()})
        templates.insert(1, _exit_template(exit_name, root, final))
    if len(templates) > MOST_TEMPLATES:
        raise VqiError(
            f"components: Argo 4 takes {MOST_TEMPLATES} templates in one workflow, got {len(templates)}: one for each "
            "component with each choice of inputs and retries: use fewer, or compile parts as pipelines of their own"
        )
    return models.WorkflowTemplate(
        api_version=API_VERSION,
        kind="WorkflowTemplate",
        metadata=models.ObjectMeta(
            name=dns_label(settings.name or pipeline.name, "name" if settings.name else "pipelineInfo.name"),
            annotations=_annotations(pipeline) or None,
        ),
        spec=_spec(pipeline, settings, entry, exit_name, templates),
    )


def _annotations(pipeline: Pipeline) -> dict[str, str]:
    """What Argo's pages show of a template."""
    shown = {"title": pipeline.display_name, "description": pipeline.description}
    return {f"workflows.argoproj.io/{name}": text for name, text in shown.items() if text}


def _spec(
    pipeline: Pipeline, settings: Settings, entry: str, exit_name: str | None, templates: list[models.Template]
) -> models.WorkflowSpec:
    return models.WorkflowSpec(
        entrypoint=entry,
        on_exit=exit_name,
        arguments=models.Arguments(parameters=[_parameter(p) for p in pipeline.inputs.values()] or None),
        parallelism=settings.parallelism,
        active_deadline_seconds=settings.deadline_seconds,
        ttl_strategy=models.TTLStrategy(seconds_after_completion=settings.keep_seconds),
        pod_gc=models.PodGC(strategy="OnPodSuccess"),  # the pods of failed steps stay for inspection
        archive_logs=True,
        # The bucket's own rule removes artifacts. Argo would do it before a run is deleted, and if that fails the run
        # stays forever. Set explicitly, because a controller's defaults could turn it on again.
        artifact_gc=models.WorkflowLevelArtifactGC(strategy="Never"),
        service_account_name=settings.service_account,
        automount_service_account_token=False,  # the steps do not talk to Kubernetes
        executor=models.ExecutorConfig(service_account_name=settings.service_account),  # but Argo's container does
        security_context=pod_security(settings.user),
        pod_spec_patch=pod_spec_patch(),
        volumes=[_scratch(name, settings) for name, _ in SCRATCH],
        templates=templates,
    )


def _scratch(name: str, settings: Settings) -> models.Volume:
    size = models.EmptyDirVolumeSource(size_limit=models.Quantity(settings.scratch))
    return models.Volume(name=name, empty_dir=size)


def _parameter(parameter: Parameter) -> models.Parameter:
    """A parameter of the workflow, with its default."""
    place = f"root.inputDefinitions.parameters.{parameter.name}"
    if parameter.default is None and parameter.optional:
        raise VqiError(f"{place}: an optional parameter without a default is not supported on Argo: give it one")
    return models.Parameter(
        name=field_name(parameter.name, place),
        value=None if parameter.default is None else literal(to_text(parameter.default), f"{place}.defaultValue"),
        description=parameter.description or None,
    )


def _component_templates(
    pipeline: Pipeline, names: Mapping[Variant, str], settings: Settings
) -> Iterator[models.Template]:
    """One template per variant of a component, in the order in which the pipeline names them."""
    for variant, name in names.items():
        if not variant.component:
            continue
        component = pipeline.components[variant.component]
        graph = component_graph(pipeline, component, variant, names)
        if graph and variant.loop:
            yield wrapper_template(name, variant.loop, graph, _inner_of(variant, names))
        elif graph:
            yield graph_template(name, graph, graph.dag.tasks.values())
        elif component.container:
            shown = _shown(pipeline, component.name)
            yield container_template(name, component, component.container, variant, settings, shown)


def _shown(pipeline: Pipeline, component: str) -> dict[str, str]:
    """The output parameters of a step that are the pipeline's own, with their names there: ``argo get`` prints those.

    None of a step that the pipeline uses in several places: each would write over the other's.
    """
    users = [task for dag in pipeline.graphs.values() for task in dag.tasks.values() if task.component == component]
    root = pipeline.root.tasks
    if len(users) != 1 or users[0] is not root.get(users[0].name) or users[0].loop:
        return {}
    found = {}
    for name, choices in pipeline.root.outputs.items():
        source, *others = choices
        if not others and source.task == users[0].name:
            found[source.output] = field_name(name, f"root.dag.outputs.{name}")
    return found


def _inner_of(wrapper: Variant, names: Mapping[Variant, str]) -> Variant:
    """The variant that a wrapper runs for each item."""
    loop = wrapper.loop
    return next(
        v
        for v in names
        if loop and v.component == wrapper.component and wrapper_variant(v, loop) == wrapper and not v.loop
    )


# ------------------------------------------------------------------------------------------------------ exit handlers


def _check_always(pipeline: Pipeline) -> None:
    """A task that runs whether or not the others succeed can only be the workflow's exit handler."""
    for key, component in pipeline.components.items():
        for task in component.dag.tasks.values() if component.dag else ():
            if task.is_exit_handler:
                raise VqiError(
                    f"components.{key}.dag.tasks.{task.name}.triggerPolicy.strategy: "
                    "an exit handler is supported only at the top of the pipeline"
                )
    final = {task.name for task in pipeline.root.tasks.values() if task.is_exit_handler}
    for task in pipeline.root.tasks.values():
        for name in final & {*task.after}:
            raise VqiError(f"root.dag.tasks.{task.name}.dependentTasks: nothing can wait for the exit handler '{name}'")
    for name, choices in {**pipeline.root.outputs, **pipeline.root.artifact_outputs}.items():
        for source in choices:
            if source.task in final:
                raise VqiError(
                    f"root.dag.outputs.{name}: an output of the exit handler '{source.task}' is not supported"
                )


def _exit_template(name: str, root: Graph, tasks: list[Task]) -> models.Template:
    """What runs at the end, whether or not the tasks succeeded."""
    template = graph_template(name, root, tasks)
    template.outputs = None  # the entry template has them
    for task in template.dag.tasks if template.dag and template.dag.tasks else ():
        task.depends = None  # all that it waits for has ended
    return template
