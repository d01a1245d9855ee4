"""What is added to the compiled pipeline for Kubeflow: images, nodes, retries, caching."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from kfp import dsl, kubernetes

from tests.pipelines.argo import examples, walker
from tests.pipelines.argo.flows import Fakes, local_flow
from vqi.errors import VqiError
from vqi.store.opening import VARIABLES
from vqi_pipelines.compiled import ir_of, training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import Pipeline, Retry, Task, Toleration
from vqi_pipelines.kubeflow import KubeflowSettings, for_kubeflow, image_name, node_label, toleration
from vqi_pipelines.training import SOURCES_VARIABLES, training

SETTINGS = KubeflowSettings(
    registry="registry.example.com:5000/quality/",
    tag="2.1",
    pull_secrets=("pull",),
    pull_policy="IfNotPresent",
    node_selector={"feature.node.kubernetes.io/cpu-cpuid.AMXBF16": "true"},
    tolerations=(toleration("dedicated=ml:NoSchedule"), toleration("spot:NoExecute")),
)


def steps(text: str) -> dict[str, Task]:
    """The tasks of a pipeline that run a container."""
    return {task.name: task for task in steps_of(read_ir(text))}


def steps_of(pipeline: Pipeline) -> list[Task]:
    graphs = [pipeline.root, *(part.dag for part in pipeline.components.values() if part.dag)]
    return [task for dag in graphs for task in dag.tasks.values() if pipeline.components[task.component].container]


GIVEN: dict[str, dict[str, Any]] = {"numbers": {"names": ["a"]}, "structures": {"names": ["a"]}}
# Not compared by what runs: the command of one names no component, and an exit task of the other takes nothing.
CHANGED = ("python", "after-all")
each = pytest.mark.parametrize("pipeline", examples.VALID, ids=lambda pipeline: pipeline.name)


@each
def test_nothing_said_is_nothing_changed(pipeline: Any) -> None:
    """The same steps with the same inputs; the same text, if no input relies on a default."""
    ir, text = ir_of(pipeline), for_kubeflow(ir_of(pipeline), KubeflowSettings(retries=0, non_root=False))
    given = GIVEN.get(pipeline.name, {})
    if pipeline.name not in CHANGED:
        before, after = read_ir(ir), read_ir(text)
        assert local_flow(after, given, Fakes(after)) == local_flow(before, given, Fakes(before))
    assert (text == ir) == (pipeline.name in ("one-step", "chain", "limited", "numbers", "constants", "python"))


@each
def test_the_local_backend_runs_what_is_made_for_kubeflow(pipeline: Any) -> None:
    """With settings, too: the same calls and the same outputs as the plain pipeline."""
    if pipeline.name not in CHANGED:
        check_same_flow(ir_of(pipeline))


def test_the_local_backend_runs_the_training_pipeline_that_is_made_for_kubeflow() -> None:
    ir = training_ir().replace("- python\n        - -m\n", "- run\n")
    before, after = read_ir(ir), read_ir(for_kubeflow(ir, replace(SETTINGS, pull_secrets=())))
    (flow, _), (same, outputs) = local_flow(before, {}, Fakes(before)), local_flow(after, {}, Fakes(after))
    assert outputs is not None
    assert len(flow) >= 8
    changed = [call for call in [*(flow - same), *(same - flow)] if "vqi_components.summarize" not in call]
    assert not changed
    assert flow.total() == same.total()
    (last,) = [call for call in same if "vqi_components.summarize" in call]
    assert '"--dataset", ""' in last, "an exit task takes nothing from others"
    assert f'"--run", "{walker.UID}"' in last


def check_same_flow(ir: str) -> None:
    settings = replace(SETTINGS, pull_secrets=(), retries=3, cache=False)  # only Kubeflow has pull secrets
    before, after = read_ir(ir), read_ir(for_kubeflow(ir, settings))
    given = GIVEN.get(before.name, {})
    assert local_flow(after, given, Fakes(after)) == local_flow(before, given, Fakes(before))


def test_the_last_step_is_the_exit_task_of_a_graph_with_the_loop() -> None:
    """The form in which kfp compiles dsl.ExitHandler, whose task Kubeflow runs whatever became of the rest."""
    root = next(yaml.load_all(for_kubeflow(training_ir(), KubeflowSettings()), yaml.CSafeLoader))["root"]["dag"][
        "tasks"
    ]
    guarded = next(yaml.load_all(ir_of(examples.guarded), yaml.CSafeLoader))["root"]["dag"]["tasks"]
    assert root["summarize"]["triggerPolicy"] == guarded["clean"]["triggerPolicy"]
    assert (root["summarize"]["dependentTasks"], guarded["clean"]["dependentTasks"]) == (
        ["for-loop-1-whole"], ["exit-handler-1"],
    )  # fmt: skip
    assert root["summarize"]["inputs"]["parameters"].keys() == {"dataset", "run"}
    assert not any("taskOutputParameter" in source for source in root["summarize"]["inputs"]["parameters"].values())
    whole = root["for-loop-1-whole"]
    assert "parameterIterator" not in whole, "Kubeflow 2.17 forgets the hook of a loop"
    assert (whole["dependentTasks"], whole["taskInfo"]) == (["dataset-download"], {"name": "category"})


@pytest.mark.parametrize("pipeline", [examples.after_all, training], ids=lambda pipeline: pipeline.name)
def test_an_exit_task_runs_whatever_became_of_the_loop(pipeline: Any) -> None:
    read = read_ir(for_kubeflow(ir_of(pipeline).replace("- python\n        - -m\n", "- run\n"), KubeflowSettings()))
    failing, last = {"training": ("vqi_components.preprocess", "vqi_components.summarize")}.get(
        pipeline.name, ("use", '"hello"')
    )
    flow, outputs = local_flow(read, {}, Fakes(read, {failing}))
    assert outputs is None
    assert sum(last in call for call in flow) == 1


def test_what_cannot_be_an_exit_task_needs_what_it_waits_for() -> None:
    for pipeline in (examples.tolerant, two_before):
        spec = next(yaml.load_all(for_kubeflow(ir_of(pipeline), KubeflowSettings()), yaml.CSafeLoader))
        assert not any("triggerPolicy" in task for task in spec["root"]["dag"]["tasks"].values()), pipeline.name
    spec = next(yaml.load_all(for_kubeflow(ir_of(examples.guarded), KubeflowSettings()), yaml.CSafeLoader))
    assert "triggerPolicy" in spec["root"]["dag"]["tasks"]["clean"], "an exit handler stays one"


@dsl.pipeline(name="two-before")
def two_before():
    with dsl.ParallelFor(["a"]) as name:
        said = examples.say(word=name)
    examples.hello(who="all").after(said, examples.make()).ignore_upstream_failure()


@pytest.mark.parametrize("pipeline", [*examples.VALID, training], ids=lambda pipeline: pipeline.name)
def test_every_input_that_an_argument_names_is_given(pipeline: Any) -> None:
    """Kubeflow 2.17 does not fill in a component's defaults there: "parameter not found in executor input"."""
    read = read_ir(for_kubeflow(ir_of(pipeline), KubeflowSettings()))
    for task in steps_of(read):
        defaults = {name for name, p in read.components[task.component].inputs.items() if p.default is not None}
        assert defaults <= task.parameters.keys()


def test_every_step_is_tried_again() -> None:
    found = steps(for_kubeflow(training_ir(), KubeflowSettings(retries=3)))
    assert len(found) == 8
    assert {task.retry for task in found.values()} == {Retry(3, 10.0, 2.0, 300.0)}
    assert {task.retry for task in steps(training_ir()).values()} == {None}


def test_what_a_pipeline_says_itself_is_kept() -> None:
    @dsl.pipeline(name="own")
    def own():
        task = examples.hello().set_retry(1)
        kubernetes.add_node_selector(task, "disk", "ssd")
        kubernetes.add_toleration(task, key="own", operator="Exists", effect="NoSchedule")
        examples.clean(note="x")

    settings = KubeflowSettings(retries=3, node_selector={"disk": "any", "zone": "a"}, tolerations=SETTINGS.tolerations)
    text = for_kubeflow(ir_of(own), settings)
    assert {name: task.retry.max_retries for name, task in steps(text).items() if task.retry} == {
        "hello": 1,
        "clean": 3,
    }
    containers = {name: part.container for name, part in read_ir(text).components.items() if part.container}
    assert containers["comp-hello"].pod.node_selector == {"disk": "ssd", "zone": "a"}
    assert [one.key for one in containers["comp-hello"].pod.tolerations] == ["own", "dedicated", "spot"]
    assert containers["comp-clean"].pod.node_selector == {"disk": "any", "zone": "a"}


def test_images_and_nodes() -> None:
    text = for_kubeflow(training_ir(), SETTINGS)
    spec, platform = yaml.load_all(text, yaml.CSafeLoader)
    images = {executor["container"]["image"] for executor in spec["deploymentSpec"]["executors"].values()}
    assert images == {f"registry.example.com:5000/quality/{name}:2.1" for name in ("vqi", "vqi-torch")}
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods.keys() == spec["deploymentSpec"]["executors"].keys()
    for pod in pods.values():
        assert pod["nodeSelector"] == {"labels": dict(SETTINGS.node_selector)}
        assert pod["tolerations"] == [
            {"key": "dedicated", "operator": "Equal", "value": "ml", "effect": "NoSchedule"},
            {"key": "spot", "operator": "Exists", "effect": "NoExecute"},
        ]
        assert pod["securityContext"] == {"runAsNonRoot": True}
        assert pod["imagePullPolicy"] == "IfNotPresent"
        assert pod["imagePullSecret"] == [
            {"secretName": "pull", "secretNameParameter": {"runtimeValue": {"constant": "pull"}}}
        ]


def test_kubernetes_own_library_writes_the_same() -> None:
    """What is added is what kfp-kubernetes would have compiled."""

    @dsl.pipeline(name="placed")
    def placed():
        task = examples.clean(note="x")
        kubernetes.add_node_selector(task, "feature.node.kubernetes.io/cpu-cpuid.AMXBF16", "true")
        kubernetes.add_toleration(task, key="dedicated", operator="Equal", value="ml", effect="NoSchedule")
        kubernetes.add_toleration(task, key="spot", operator="Exists", effect="NoExecute")
        kubernetes.set_image_pull_secrets(task, ["pull"])
        kubernetes.set_image_pull_policy(task, "IfNotPresent")
        kubernetes.set_security_context(task, run_as_non_root=True)

    @dsl.pipeline(name="placed")
    def bare():
        examples.clean(note="x")

    assert for_kubeflow(ir_of(bare), replace(SETTINGS, registry="", tag="", retries=0)) == ir_of(placed)


def test_no_caching() -> None:
    assert {name for name, task in steps(training_ir()).items() if not task.cache} == {
        "dataset-download", "publish", "summarize",
    }  # fmt: skip
    assert not any(task.cache for task in steps(for_kubeflow(training_ir(), KubeflowSettings(cache=False))).values())


def test_secrets_and_resources_of_the_training_pipeline() -> None:
    containers = {name: part.container for name, part in read_ir(training_ir()).components.items() if part.container}
    with_store = {name for name, container in containers.items() if container.pod.env}
    assert with_store == {
        f"comp-{name}" for name in ("dataset-download", "preprocess", "ssl-finetune", "publish", "summarize")
    }
    for name, container in containers.items():
        assert container.resources.keys() >= {
            "resourceCpuLimit", "resourceCpuRequest", "resourceMemoryLimit", "resourceMemoryRequest",
        }  # fmt: skip
        if container.pod.env:
            also = SOURCES_VARIABLES if name == "comp-dataset-download" else ()
            assert {value.variable for value in container.pod.env} == {*VARIABLES, *also}
            assert {(value.kind, value.object) for value in container.pod.env} == {("Secret", "vqi-store")}


def test_image_names() -> None:
    assert image_name("vqi:1.0", KubeflowSettings()) == "vqi:1.0"
    assert image_name("vqi:1.0", KubeflowSettings(registry="r:5000/q")) == "r:5000/q/vqi:1.0"
    assert image_name("r:5000/vqi:1", KubeflowSettings(tag="2")) == "r:5000/vqi:2"


def test_labels_and_taints() -> None:
    assert node_label("a/b=c=d") == ("a/b", "c=d")
    assert toleration("a/b=c:NoExecute") == Toleration("a/b", "Equal", "c", "NoExecute")
    assert toleration("a:PreferNoSchedule") == Toleration("a", "Exists", "", "PreferNoSchedule")
    for text in ("a", "=b", ""):
        with pytest.raises(VqiError, match=r"--node-selector .*: expected key=value"):
            node_label(text)
    for text in ("a=b", "a=b:Never", ":NoSchedule", "=b:NoSchedule"):
        with pytest.raises(VqiError, match=r"--toleration .*: expected key=value:effect"):
            toleration(text)
