"""The IR reader on the whole of a compiled file: no key is overlooked, and no malformed file ends in a traceback."""

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, List  # noqa: UP035 - what kfp reads

import pytest
import yaml
from kfp import compiler, dsl, kubernetes

from tests.pipelines.argo import examples
from vqi.errors import VqiError
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import documents as documents_module
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import FromConstant, FromTask

pytestmark = pytest.mark.slow


def compile_text(pipeline: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.yaml"
        compiler.Compiler().compile(pipeline, str(path))
        return path.read_text()


@dsl.container_component
def say(n: int, out: dsl.OutputPath(str), word: str = "hello"):
    return dsl.ContainerSpec(image="i", command=["sh", "-c", "x"], args=["{{$}}", word, n, out])


@dsl.pipeline(name="full")
def full(who: str = "x", n: int = 4):
    first = say(n=3, word="lit").set_retry(1, backoff_duration="1s", backoff_factor=3, backoff_max_duration="9s")
    first.set_env_variable("A", "b").set_cpu_limit("1").set_memory_request("1G")
    first.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
    with dsl.ParallelFor([1, 2], parallelism=2) as item:
        say(n=item, word=f"to {who} and {first.outputs['out']}").set_caching_options(False)
    say(n=n).after(first)


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    return [next(yaml.load_all(text, yaml.CSafeLoader)) for text in (compile_text(full), training_ir())]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value below."""
    if path:
        yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(part, (*path, key))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def copied(document: dict[str, Any]) -> dict[str, Any]:
    """A copy to change; JSON is quicker than ``copy``, and than writing YAML, of which it is a part."""
    return json.loads(json.dumps(document))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is changed many times is JSON, which Python reads in a twentieth of the time that YAML takes."""
    monkeypatch.setattr(documents_module.yaml, "load_all", lambda text, loader: [json.loads(text)])  # type: ignore[attr-defined]


def test_values_have_the_types_of_their_parameters() -> None:
    pipeline = read_ir(compile_text(full))
    first = pipeline.root.tasks["say"]
    constant = first.parameters["n"].value
    assert (constant, type(constant)) == (3, int)  # the file says 3.0
    assert (first.retry.backoff_seconds, first.retry.backoff_factor, first.retry.backoff_max_seconds) == (1, 3, 9)
    assert pipeline.components["comp-say"].container.resources["accelerator"]["type"] == "nvidia.com/gpu"
    (loop,) = [task for task in pipeline.root.tasks.values() if task.loop]
    (inner,) = pipeline.components[loop.component].dag.tasks.values()
    assert "{{$.inputs.parameters['pipelinechannel--who']}}" in inner.parameters["word"].value
    assert not inner.cache


@pytest.mark.no_cover
@pytest.mark.usefixtures("quick")
def test_no_key_is_overlooked(documents: list[dict[str, Any]]) -> None:
    """A key that the reader does not know is refused in every mapping of a compiled file."""
    free = ("constant", "defaultValue")  # values of parameters may hold any key
    seen = set()
    for document in documents:
        mappings = [p for p in places(document) if isinstance(at(document, p), dict) and not set(p) & set(free)]
        for path in [(), *mappings]:
            alike = (path[:1], path[-1:], frozenset(at(document, path)))
            if alike in seen:
                continue
            seen.add(alike)
            changed = copied(document)
            at(changed, path)["surprise"] = 1
            with pytest.raises(VqiError, match="surprise"):
                read_ir(json.dumps(changed))
    assert len(seen) > 60


@pytest.mark.no_cover
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("odd", [None, -1.5, "odd", [], {}, [{"odd": [1]}], {"odd": 1}, True])
def test_nothing_malformed_ends_in_a_traceback(documents: list[dict[str, Any]], odd: Any) -> None:
    document = documents[0]
    for path in places(document):
        changed = copied(document)
        at(changed, path[:-1])[path[-1]] = odd
        try:
            read_ir(json.dumps(changed))
        except VqiError as error:
            assert "\n" not in str(error)  # noqa: PT017 - not every change is an error, but no other error may occur


@pytest.mark.no_cover
@pytest.mark.usefixtures("quick")
def test_nothing_missing_ends_in_a_traceback(documents: list[dict[str, Any]]) -> None:
    for path in places(documents[0]):
        changed = copied(documents[0])
        del at(changed, path[:-1])[path[-1]]
        try:
            read_ir(json.dumps(changed))
        except VqiError as error:
            assert str(error)  # noqa: PT017


TASK = ("root", "dag", "tasks", "say")
CONTAINER = ("deploymentSpec", "executors", "exec-say", "container")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((*TASK, "inputs", "parameters", "n"), {"runtimeValue": {"constant": "x"}}, r"parameters\.n: expected a whole number, got 'x'"),
        ((*TASK, "inputs", "parameters", "wrod"), {"runtimeValue": {"constant": "x"}}, "did you mean 'word'"),
        ((*TASK, "inputs", "parameters", "word"), {"runtimeValue": {"constant": "{{$.inputs.parameters['a']}}"}}, "names the input 'a'"),
        ((*TASK, "inputs", "parameters", "word"), {"runtimeValue": {"constant": "{{$.job}}"}}, r"'\{\{\$\.job\}\}' is not supported"),
        ((*TASK, "retryPolicy", "backoffDuration"), "soon", "expected a duration such as '5s', up to 315360000 s, got 'soon'"),
        ((*TASK, "retryPolicy", "maxRetryCount"), -1, "expected a whole number from 0 to 1000, got -1"),
        ((*TASK, "dependentTasks"), [["x"]], r"dependentTasks\[0\]: expected a text"),
        ((*TASK, "parameterIterator"), {"itemInput": "n", "items": {"raw": "[1"}}, "raw: expected JSON, got"),
        ((*TASK, "parameterIterator"), {"itemInput": "n", "items": {"raw": "[1]"}}, "a loop over a single container"),
        ((*CONTAINER, "env"), [{"name": "A"}], r"env\[0\]: expected the key 'value'"),
        ((*CONTAINER, "resources", "tpu"), 1, r"resources\.tpu: this construct is not supported"),
        ((*CONTAINER, "command"), [], "expected a container with a command, got no command"),
        ((*CONTAINER, "args"), ["{{$.pipeline_root}}"], r"comp-say\.container\.args\[0\]: the placeholder '.*pipeline_root\}\}' is not"),
        ((*CONTAINER, "args"), ["{{$.inputs.parameters['x']}}"], "names 'x', which the component does not have"),
        ((*CONTAINER, "args"), ['{"Concat": ["a"'], "expected JSON, got"),
        ((*CONTAINER, "args"), ['{"IfPresent": {"Then": "a"}}'], "expected a Concat or IfPresent with"),
        ((*CONTAINER, "args"), ['{"IfPresent": {"InputName": "x", "Then": "a"}}'], "IfPresent names 'x'"),
        (("pipelineInfo", "name"), "../../elsewhere", r"pipelineInfo\.name: expected a name"),
        (("root", "dag", "tasks", "../x"), {"componentRef": {"name": "comp-say"}}, "expected a name of letters"),
        (("components", "comp-say", "outputDefinitions", "parameters", "../x"), {"parameterType": "STRING"}, "expected a name"),
        (("components", "comp-ring"), {"dag": {"tasks": {"r": {"componentRef": {"name": "comp-ring"}}}}}, "contains itself: comp-ring"),
    ],
)  # fmt: skip
def test_refused(documents: list[dict[str, Any]], path: tuple[str, ...], value: Any, message: str) -> None:
    changed = copy.deepcopy(documents[0])
    at(changed, path[:-1])[path[-1]] = value
    with pytest.raises(VqiError, match=message):
        read_ir(yaml.dump(changed, Dumper=yaml.CSafeDumper))


@dsl.container_component
def give(made: dsl.Output[dsl.Dataset], n: str):
    return dsl.ContainerSpec(image="i", command=["sh"], args=[made.path, n])


@dsl.container_component
def take(made: dsl.Input[dsl.Dataset]):
    return dsl.ContainerSpec(image="i", command=["sh"], args=[made.path])


def test_python_components_are_containers_too() -> None:
    @dsl.component
    def add(a: int) -> int:
        return a + 1

    @dsl.pipeline(name="adds")
    def adds() -> int:
        return add(a=2).output

    pipeline = read_ir(compile_text(adds))
    assert pipeline.root.outputs == {"Output": (FromTask("add", "Output"),)}
    assert pipeline.root.tasks["add"].parameters["a"] == FromConstant(2)


def test_real_constructs_that_are_refused_by_name() -> None:
    @dsl.component
    def many(made: dsl.Input[List[dsl.Dataset]]):  # noqa: UP006
        pass

    @dsl.pipeline(name="collected")
    def collected():
        with dsl.ParallelFor(["a", "b"]) as item:
            one = give(n=item)
        many(made=dsl.Collected(one.outputs["made"]))

    @dsl.pipeline(name="imported")
    def imported():
        take(made=dsl.importer(artifact_uri="file:///x", artifact_class=dsl.Dataset).output)

    @dsl.pipeline(name="platform")
    def platform():
        kubernetes.empty_dir_mount(say(n=1), "scratch", "/scratch")

    @dsl.pipeline(name="ignoring")
    def ignoring():
        examples.hello(who=examples.say(word="x").outputs["out"]).ignore_upstream_failure()

    for pipeline, message in (
        (ignoring, r"root\.dag\.tasks\.hello: .*it cannot take an output of each of them"),
        (collected, r"isArtifactList: a list of artifacts"),
        (imported, r"exec-importer\.importer: an importer is not supported"),
        (platform, r"platforms\.kubernetes\.deploymentSpec\.executors\.exec-say\.emptyDirMounts"),
    ):
        with pytest.raises(VqiError, match=message):
            read_ir(compile_text(pipeline))


def test_an_empty_second_document_says_nothing() -> None:
    text = compile_text(full)
    empty = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-say": {}}}}}}
    assert read_ir(f"{text}\n---\n{yaml.dump(empty, Dumper=yaml.CSafeDumper)}").name == "full"
    with pytest.raises(VqiError, match=r"platforms\.aws"):
        read_ir(f"{text}\n---\n{yaml.safe_dump({'platforms': {'kubernetes': {}, 'aws': {}}})}")
    with pytest.raises(VqiError, match="got 3"):
        read_ir(f"{text}\n---\na: 1\n---\nb: 1")


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"runAsNonRoot": False}, r"exec-say\.securityContext\.runAsNonRoot: a step that may be root"),
        ({"runAsUser": "1000"}, r"exec-say\.securityContext\.runAsUser: a user id of a step"),
    ],
)
def test_the_user_of_a_step(context: dict[str, Any], message: str) -> None:
    def with_context(context: dict[str, Any]) -> str:
        executors = {"exec-say": {"securityContext": context}}
        document = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
        return f"{compile_text(full)}\n---\n{yaml.dump(document, Dumper=yaml.CSafeDumper)}"

    assert read_ir(with_context({"runAsNonRoot": True})) == read_ir(compile_text(full))
    with pytest.raises(VqiError, match=message):
        read_ir(with_context(context))
