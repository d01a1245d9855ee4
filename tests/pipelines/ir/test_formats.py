"""Compiled pipelines fit kfp's own messages, and every field of those is read, or refused by its name."""

import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given
from kfp import dsl, kubernetes
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec, PlatformSpec

from tests.pipelines.argo import examples
from tests.pipelines.argo.generated import pipelines
from tests.pipelines.argo.test_generated import RELAXED
from tests.pipelines.ir import formats
from vqi.errors import VqiError
from vqi_pipelines.argo import lower
from vqi_pipelines.argo.document import to_dict
from vqi_pipelines.compiled import ir_of, training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.node import Node
from vqi_pipelines.kubeflow import KubeflowSettings, for_kubeflow, toleration

SETTINGS = KubeflowSettings(
    registry="registry.example.com:5000/quality",
    tag="2.1",
    pull_secrets=("pull",),
    pull_policy="IfNotPresent",
    node_selector={"disk": "ssd"},
    tolerations=(toleration("dedicated=ml:NoSchedule"), toleration("spot:NoExecute")),
    retries=3,
    cache=False,
)


@pytest.fixture(scope="module")
def compiled() -> dict[str, str]:
    return {pipeline.name: ir_of(pipeline) for pipeline in examples.VALID} | {"training": training_ir()}


def check_nothing_is_lost(text: str) -> int:
    messages = formats.messages_of(text)
    for document, message in messages:
        assert formats.lost(document, message) == []
        assert formats.parse(json_format.MessageToDict(message), type(message)) == message
    return len(messages)


# ------------------------------------------------------------------------------------------- what is compiled and made


def test_what_kfp_compiles_is_of_its_format(compiled: dict[str, str]) -> None:
    """Parsed without an unknown field, and equal when written back: pipeline, executors, pods."""
    seen = {name: check_nothing_is_lost(text) for name, text in compiled.items()}
    assert seen["one-step"] == 2  # pipeline and executors
    assert seen["placed"] == 4  # the platforms, and one pod
    assert seen["training"] >= 4 + 3  # the steps with a Secret


@pytest.mark.parametrize("settings", [KubeflowSettings(), SETTINGS], ids=["defaults", "settings"])
def test_what_is_made_for_kubeflow_is_of_its_format(compiled: dict[str, str], settings: KubeflowSettings) -> None:
    for text in compiled.values():
        made = for_kubeflow(text, settings)
        steps = len(yaml.load(text.split("\n---\n")[0], yaml.CSafeLoader)["deploymentSpec"]["executors"])
        assert check_nothing_is_lost(made) == 3 + steps  # every step has a pod


@pytest.mark.no_cover
@RELAXED
@given(document=pipelines())
def test_what_is_generated_is_of_the_format(document: dict[str, Any]) -> None:
    """Otherwise the properties of generated pipelines would prove nothing about what kfp writes."""
    check_nothing_is_lost(yaml.dump(document, Dumper=yaml.CSafeDumper))


TASK = ("root", "dag", "tasks", "hello")
POD = ("platforms", "kubernetes", "deploymentSpec", "executors", "exec-hello")


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        (0, ("colour",), "red"),
        (0, (*TASK, "retries"), 2),
        (0, (*TASK, "cachingOptions", "enableCache"), "often"),
        (0, (*TASK, "dependentTasks"), "hello"),
        (0, ("components", "comp-hello", "inputDefinitions", "parameters", "who", "parameterType"), "NUMBER"),
        (0, ("deploymentSpec", "executors", "exec-hello", "container", "imagee"), "i"),
        (0, ("deploymentSpec", "executors", "exec-hello", "container", "args"), "one"),
        (1, ("platforms", "kubernetes", "executors"), {}),
        (1, (*POD, "nodeSelectors"), {}),
        (1, (*POD, "tolerations"), [{"tolerationSeconds": "soon"}]),
    ],
)
def test_a_planted_fault_is_seen(compiled: dict[str, str], document: int, path: formats.Path, value: Any) -> None:
    documents = list(yaml.load_all(compiled["placed"], yaml.CSafeLoader))
    documents[document] = formats.with_value(documents[document], path, value)
    with pytest.raises(json_format.ParseError):
        formats.messages_of(yaml.dump_all(documents, Dumper=yaml.CSafeDumper))


def test_what_is_lost_is_seen(compiled: dict[str, str]) -> None:
    document, message = formats.messages_of(compiled["stubborn"])[0]
    for name, component in (("comp-hello", "x"), ("comp-nope", {"executorLabel": "x"})):
        assert formats.lost({**document, "components": {name: component}}, message)
    assert formats.lost({**document, "sdkVersion": True}, message) == [".sdkVersion"]


# ---------------------------------------------------------------------------------------------- what the reader follows

KINDS = (PipelineSpec, PlatformSpec)

WITHOUT_EFFECT = {
    "ml_pipelines.ArtifactTypeSchema.schema_version": "kfp has one version of each schema",
    "ml_pipelines.ComponentInputsSpec.ArtifactSpec.description": "for the reader of the file",
    "ml_pipelines.ComponentOutputsSpec.ArtifactSpec.description": "for the reader of the file",
    "ml_pipelines.PipelineSpec.schema_version": "an unknown field of a later version is refused by its name",
    "ml_pipelines.PipelineSpec.sdk_version": "which kfp compiled it",
    "ml_pipelines.PipelineTaskInfo.name": "the task's name on Kubeflow's page",
    "ml_pipelines.PipelineTaskSpec.task_info": "as its only field",
    "kfp_kubernetes.SecurityContext.run_as_non_root": "on a cluster no step is root",
    "kfp_kubernetes.KubernetesExecutorConfig.security_context": "as its only field that is not refused",
}
AS_WITHOUT = ("ALL_UPSTREAM_TASKS_SUCCEEDED",)  # values that mean the same as none
# The outputs of the pipeline are those of its graph; of their second declaration only the form is checked.
DECLARED_AGAIN = ("root", "outputDefinitions")


@dsl.pipeline(
    name="everything", description="Each construct that is read.", display_name="All", pipeline_root="s3://bucket/runs"
)
def everything(count: int = 2, note: str = "done") -> dsl.Markdown:
    with dsl.ExitHandler(examples.clean(note=note)):
        examples.hello()
    made = examples.make(count=count).set_retry(1, backoff_duration="5s", backoff_max_duration="60s")
    made.set_cpu_limit("1").set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
    made.set_env_variable("LEVEL", "3")
    with dsl.ParallelFor(made.outputs["names"], parallelism=2) as name:
        used = examples.use(folder=made.outputs["folder"], name=name)
    with dsl.ParallelFor(["a", "b"]) as word:
        examples.say(word=word).set_caching_options(True, cache_key="words")
    with dsl.If(count == 2):
        one = examples.use(folder=made.outputs["folder"], name="x")
    with dsl.Else():
        two = examples.use(folder=made.outputs["folder"], name="y")
    examples.say(word=dsl.OneOf(one.outputs["word"], two.outputs["word"]))
    examples.page(seen=dsl.OneOf(one.outputs["page"], two.outputs["page"]))
    kubernetes.add_node_selector(made, "disk", "ssd")
    kubernetes.add_toleration(made, key="dedicated", operator="Equal", value="ml", effect="NoSchedule")
    kubernetes.use_secret_as_env(made, "keys", {"token": "API_TOKEN"}, optional=True)
    kubernetes.use_config_map_as_env(made, "places", {"proxy": "HTTPS_PROXY"})
    kubernetes.mount_pvc(made, "data", "/data")
    kubernetes.set_image_pull_policy(made, "IfNotPresent")
    kubernetes.set_timeout(made, 600)
    kubernetes.add_pod_label(made, "team", "quality")
    kubernetes.set_security_context(made, run_as_non_root=True)
    return examples.join(words=dsl.Collected(used.outputs["word"])).outputs["table"]


def without_second_names(text: str) -> str:
    """kfp-kubernetes writes the name of a Secret, ConfigMap or claim in two fields; only the newer one remains."""
    spec, platforms = yaml.load_all(text, yaml.CSafeLoader)
    for pod in platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        for key, name in (("secretAsEnv", "secretName"), ("configMapAsEnv", "configMapName"), ("pvcMount", "constant")):
            for part in pod.get(key, []):
                del part[name]
    return yaml.dump_all([spec, platforms], Dumper=yaml.CSafeDumper)


class Walk:
    """Every field of every message of a pipeline: changed if it is set, given a value if not."""

    def __init__(
        self, text: str, backend: Callable[[str], Any] = read_ir, without_effect: Collection[str] = ()
    ) -> None:
        self.documents = list(yaml.load_all(text, yaml.CSafeLoader))
        self.backend, self.plain = backend, backend(text)
        self.without_effect = {*WITHOUT_EFFECT, *without_effect}
        self.seen: set[tuple[str, bool]] = set()  # fields, and whether they were set
        self.walked: set[str] = set()  # messages
        self.read: set[str] = set()  # fields that make a difference
        self.refused: set[str] = set()  # fields that are refused, some of them only where they have no meaning

    def dropped(self, only: Collection[str] = ()) -> Iterator[str]:
        """The fields that neither make a difference nor are refused by their name; of all messages or of some."""
        for number, kind in enumerate(KINDS):
            for place in formats.places(self.documents[number], kind.DESCRIPTOR):
                wanted = not only or place.message.name in only
                if wanted and place.path[: len(DECLARED_AGAIN)] != DECLARED_AGAIN:
                    self.walked.add(place.message.full_name)
                    for field in place.message.fields:
                        yield from self.field(number, place, field)

    def field(self, number: int, place: formats.Place, field: FieldDescriptor) -> Iterator[str]:
        mapping, path = formats.at(self.documents[number], place.path), (*place.path, field.json_name)
        given = mapping.get(field.json_name)
        if (field.full_name, given is not None) in self.seen:
            return
        self.seen.add((field.full_name, given is not None))
        values = [formats.changed(given)] if given is not None else []
        values += formats.samples(field) if given is None or field.enum_type else []
        for value in values:
            documents = list(self.documents)
            documents[number] = formats.with_value(documents[number], path, value, formats.alternatives(field))
            if value == given or value in AS_WITHOUT:
                continue
            said = self.outcome(documents)
            named = given is not None or any(name in said for name in (field.json_name, formats.SAMPLE))
            if not said or (said != "other" and not named):
                if field.full_name not in self.without_effect:
                    yield f"{'.'.join(map(str, path))} = {value!r}: {said or 'no difference'}"
            elif given is None and re.search(rf"\b{field.json_name}: .* is not supported$", said):
                self.refused.add(field.full_name)
            else:
                self.read.add(field.full_name)

    def outcome(self, documents: list[Any]) -> str:
        """Empty if the same was read as before, ``other``, or the error."""
        try:
            return "" if self.backend("\n---\n".join(map(json.dumps, documents))) == self.plain else "other"
        except VqiError as error:
            return str(error)


@pytest.mark.no_cover
@pytest.mark.slow
def test_every_field_of_the_formats_is_read_or_refused_by_its_name() -> None:
    walk = Walk(without_second_names(ir_of(everything)))
    assert list(walk.dropped()) == []
    assert {field for field, _ in walk.seen} >= WITHOUT_EFFECT.keys()
    # No message was missed except those in refused fields.
    assert formats.messages_below([kind.DESCRIPTOR for kind in KINDS], but=walk.refused - walk.read) == walk.walked


# Of what the reader reads, what changes nothing in a workflow of Argo; vqi compile says it where it matters.
WITHOUT_EFFECT_ON_ARGO = {
    "ml_pipelines.PipelineSpec.default_pipeline_root": "said: artifacts are in Argo's own repository",
    "ml_pipelines.PipelineTaskSpec.CachingOptions.cache_key": "said: every step runs",
    "ml_pipelines.PipelineTaskSpec.CachingOptions.enable_cache": "every step runs",
    "ml_pipelines.PipelineTaskSpec.caching_options": "as its only fields",
    "ml_pipelines.ComponentInputsSpec.ParameterSpec.description": "a template's inputs have none",
    "ml_pipelines.ComponentOutputsSpec.ParameterSpec.description": "a template's outputs have none",
    "ml_pipelines.ComponentOutputsSpec.ParameterSpec.parameter_type": "all are texts",
    "ml_pipelines.ComponentInputsSpec.ParameterSpec.is_optional": "what is not given has no input",
    "ml_pipelines.ComponentInputsSpec.ArtifactSpec.is_optional": "what is not given has no input",
    "ml_pipelines.ComponentInputsSpec.ParameterSpec.parameter_type": "all are texts",
    "ml_pipelines.ComponentOutputsSpec.artifacts": "of a graph, one that no task makes",
    "ml_pipelines.ArtifactTypeSchema.schema_title": "of what a graph is given",
    "ml_pipelines.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec.cpu_limit": "resource_cpu_limit counts",
    "ml_pipelines.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec.AcceleratorConfig.type": "resource_type counts",
}


def lowered(text: str) -> dict[str, Any]:
    return to_dict(lower(read_ir(text)))


@pytest.mark.no_cover
@pytest.mark.slow
def test_every_field_that_is_read_changes_the_workflow_or_is_known_not_to() -> None:
    walk = Walk(without_second_names(ir_of(everything)), lowered, WITHOUT_EFFECT_ON_ARGO)
    assert list(walk.dropped()) == []


@pytest.mark.no_cover
def test_a_field_that_is_dropped_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk notices a reader that takes a field and does nothing with it."""
    end = Node.end

    def forgetful(node: Node, **why: str) -> None:
        for key in {"artifactIterator", "emptyDirMounts"} & set(node.keys()):
            node.take(key)
        end(node, **why)

    monkeypatch.setattr(Node, "end", forgetful)
    messages = ("PipelineTaskSpec", "KubernetesExecutorConfig")
    dropped = list(Walk(without_second_names(ir_of(everything))).dropped(only=messages))
    assert [line.partition(" ")[0].rpartition(".")[2] for line in dropped] == ["artifactIterator", "emptyDirMounts"]
    assert all(line.endswith(": no difference") for line in dropped)
