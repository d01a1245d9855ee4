"""The IR reader on what kfp compiles, and on what the reader must refuse."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from vqi.errors import VqiError
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import FromConstant, FromInput, FromTask, Pipeline


@dsl.container_component
def make(names: dsl.OutputPath(list), folder: dsl.Output[dsl.Dataset], count: int = 3):
    return dsl.ContainerSpec(image="i", command=["sh", "-c"], args=[count, names, folder.path])


@dsl.container_component
def use(folder: dsl.Input[dsl.Dataset], name: str, result: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="i", command=["cat"], args=[folder.path, name, result])


@dsl.container_component
def join(results: list, page: dsl.Output[dsl.HTML], loud: bool = False):
    return dsl.ContainerSpec(image="i", command=["cat"], args=[results, page.path, loud])


def compile_text(pipeline: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.yaml"
        compiler.Compiler().compile(pipeline, str(path))
        return path.read_text()


@dsl.pipeline(name="small", description="A small one.")
def small(count: int = 2, scale: float = 1.0) -> dsl.HTML:
    made = make(count=count)
    made.set_caching_options(False).set_env_variable("A", "1").set_retry(2, backoff_duration="5s")
    made.set_cpu_limit("1").set_memory_limit("1G")
    with dsl.ParallelFor(made.outputs["names"], parallelism=2) as name:
        used = use(folder=made.outputs["folder"], name=name)
    joined = join(results=dsl.Collected(used.outputs["result"]))
    join(results=["a"], loud=True).after(joined)
    return joined.outputs["page"]


def test_a_small_pipeline() -> None:
    pipeline = read_ir(compile_text(small))
    assert (pipeline.name, pipeline.description) == ("small", "A small one.")
    assert pipeline.inputs["count"].default == 2
    assert isinstance(pipeline.inputs["count"].default, int)
    assert pipeline.inputs["scale"].default == 1.0
    make_task = pipeline.root.tasks["make"]
    assert not make_task.cache
    assert make_task.retry.max_retries == 2
    assert make_task.retry.backoff_seconds == 5
    container = pipeline.components["comp-make"].container
    assert container.env == (("A", "1"),)
    assert container.resources
    loop = (
        pipeline.root.tasks["for-loop-2"] if "for-loop-2" in pipeline.root.tasks else pipeline.root.tasks["for-loop-1"]
    )
    assert loop.loop.parallelism == 2
    assert isinstance(loop.loop.items, FromInput)
    inner = pipeline.components[loop.component].dag.tasks["use"]
    assert inner.parameters["name"] == FromInput(loop.loop.item_input)
    assert isinstance(inner.artifacts["folder"], FromInput)
    joined = pipeline.root.tasks["join"]
    assert isinstance(joined.parameters["results"], FromTask)
    assert joined.after == (loop.name,)
    assert pipeline.root.tasks["join-2"].parameters["results"] == FromConstant(["a"])
    assert pipeline.root.tasks["join-2"].after == ("join",)
    assert next(iter(pipeline.root.tasks)) == "make"
    assert pipeline.root.artifact_outputs == {"Output": (FromTask("join", "page"),)}
    assert pipeline.components["comp-join"].output_artifacts["page"].schema == "system.HTML"


def test_the_training_pipeline() -> None:
    pipeline = read_ir(training_ir())
    assert {"source", "categories", "target_fpr", "layer"} <= set(pipeline.inputs)
    assert pipeline.inputs["image_size"].default == "fit"
    assert set(pipeline.root.tasks) == {"dataset-download", "for-loop-1", "summarize"}


def edited(change: Callable[[dict[str, Any]], None]) -> str:
    document = yaml.load(compile_text(small), yaml.CSafeLoader)
    change(document)
    return yaml.dump(document, Dumper=yaml.CSafeDumper)


def put(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for key in parents:
            document = document.setdefault(key, {})
        document[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("root/dag/tasks/make/triggerPolicy", {"condition": "x"}, r"root\.dag\.tasks\.make\.triggerPolicy\.condition: expected comparisons"),
        ("root/dag/tasks/make/colour", 1, r"root\.dag\.tasks\.make\.colour: this construct is not supported"),
        ("root/dag/tasks/make/componentRef/name", "comp-nope", "there is no component 'comp-nope'"),
        ("root/dag/tasks/make/dependentTasks", ["join"], "wait for each other"),
        ("root/dag/tasks/make/dependentTasks", ["nope"], "waits for 'nope', which does not exist"),
        ("root/dag/tasks/make/inputs/parameters/count", {"componentInputParameter": "nope"}, "there is no input 'nope'"),
        ("root/dag/tasks/make/inputs/parameters/count", {}, "expected where the parameter comes from"),
        ("components/comp-make/executorLabel", "exec-nope", "there is no executor 'exec-nope'"),
        ("components/comp-make/inputDefinitions/parameters/count/parameterType", "TASK_FINAL_STATUS", "not supported"),
        ("components/comp-make/inputDefinitions/parameters/count/defaultValue", 2.5, "expected a whole number, got 2.5"),
        ("deploymentSpec/executors/exec-make/importer", {}, r"exec-make\.importer: an importer is not supported"),
        ("deploymentSpec/executors/exec-make/container/lifecycle", {}, "container.lifecycle"),
        ("components/comp-make/outputDefinitions/artifacts/folder/isArtifactList", True, "list of artifacts"),
        ("components/comp-for-loop-1/dag/tasks/use/retryPolicy", {"maxRetryCount": 1001}, "expected a whole number from 0 to 1000"),
        ("root/dag/tasks/for-loop-1/retryPolicy", {"maxRetryCount": 1}, r"for-loop-1\.retryPolicy: retries of a whole pipeline"),
        ("extra", 1, "extra: this construct is not supported"),
        ("root/dag/tasks/join/inputs/parameters/results/taskOutputParameter/outputParameterKey", "nope", "no output 'nope'"),
        ("root/dag/tasks/join/inputs/parameters", {}, "the parameter 'results' is missing"),
        ("root", {}, "root: expected the key 'dag'"),
        ("components/comp-use/outputDefinitions/parameters/result/isOptional", True, r"parameters\.result\.isOptional: this construct is not supported"),
        ("components/comp-use/outputDefinitions/parameters/result/defaultValue", "x", r"parameters\.result\.defaultValue: this construct is not"),
        ("components/comp-make/outputDefinitions/artifacts/folder/isOptional", True, r"artifacts\.folder\.isOptional: this construct is not"),
    ],
)  # fmt: skip
def test_refused_with_its_place(path: str, value: object, message: str) -> None:
    with pytest.raises(VqiError, match=message):
        read_ir(edited(put(path, value)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a: [", "not YAML"),
        ("- 1", "expected a mapping"),
        ("a: 1\na: 2", "line 2: the key 'a' is a duplicate"),
        ("a: 1\n---\nplatforms: {}", r"platforms\.kubernetes"),
        ("pipelineInfo: {name: 3}", "pipelineInfo.name: got int"),
    ],
)
def test_no_pipeline(text: str, message: str) -> None:
    with pytest.raises(VqiError, match=message):
        read_ir(text)


@dsl.pipeline(name="mappings")
def mappings():
    made = make()
    with dsl.ParallelFor([{"a": "1"}, {"a": "2"}]) as item:
        use(folder=made.outputs["folder"], name=item.a)


def test_a_loop_over_mappings_is_refused() -> None:
    with pytest.raises(VqiError, match="parameterExpressionSelector"):
        read_ir(compile_text(mappings))


def test_a_literal_loop() -> None:
    @dsl.pipeline(name="literal")
    def literal():
        made = make()
        with dsl.ParallelFor(["a", "b"]) as item:
            use(folder=made.outputs["folder"], name=item)

    pipeline: Pipeline = read_ir(compile_text(literal))
    loops = [task for task in pipeline.root.tasks.values() if task.loop]
    assert [loop.loop.items for loop in loops] == [FromConstant(["a", "b"])]
