"""Every form of placeholder that a compiled command can contain."""

import json
from dataclasses import replace

import pytest

from vqi.errors import VqiError
from vqi_pipelines.ir.placeholders import StepValues, executor_input, fill_constant, fill_run, names_in, of_run, resolve

VALUES = StepValues(
    parameters={"n": 5, "x": 0.5, "b": True, "l": ["a", 1], "d": {"k": "ü"}, "s": "a b", "trap": "{{$.inputs.parameters['n']}}"},
    input_artifacts={"images": "/in/images"},
    output_artifacts={"page": "/out/page.html"},
    output_parameters={"summary": "/out/summary"},
    executor_input='{"all": 1}',
)  # fmt: skip


def parameter(name: str) -> str:
    return f"{{{{$.inputs.parameters['{name}']}}}}"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("plain", ["plain"]),
        (parameter("n"), ["5"]),
        (parameter("x"), ["0.5"]),
        (parameter("b"), ["true"]),
        (parameter("l"), ['["a", 1]']),
        (parameter("d"), ['{"k": "ü"}']),
        (f"--s={parameter('s')}/{parameter('n')}", ["--s=a b/5"]),
        (parameter("trap"), [parameter("n")]),  # a value is not read as a placeholder again
        ("{{$.inputs.artifacts['images'].path}}", ["/in/images"]),
        ("{{$.outputs.artifacts['page'].path}}", ["/out/page.html"]),
        ("{{$.outputs.parameters['summary'].output_file}}", ["/out/summary"]),
        ("{{$}}", ['{"all": 1}']),
        (json.dumps({"Concat": ["--n=", parameter("n"), {"IfPresent": {"InputName": "s", "Then": "!"}}]}), ["--n=5!"]),
        (json.dumps({"IfPresent": {"InputName": "s", "Then": ["--s", parameter("s")]}}), ["--s", "a b"]),
        (json.dumps({"IfPresent": {"InputName": "no", "Then": "x", "Else": {"Concat": ["a", "b"]}}}), ["ab"]),
        (json.dumps({"IfPresent": {"InputName": "no", "Then": "x"}}), []),
        (json.dumps({"IfPresent": {"InputName": "images", "Then": "has"}}), ["has"]),
        ('{"n": 1}', ['{"n": 1}']),  # JSON that is only a text
    ],
)
def test_resolve(part: str, expected: list[str]) -> None:
    assert resolve(part, VALUES) == expected


@pytest.mark.parametrize("part", ["{{$.outputs.artifacts['page'].uri}}", "{{$.pipeline_root}}", parameter("none")])
def test_unknown_ones_are_errors(part: str) -> None:
    with pytest.raises(VqiError, match="the placeholder"):
        resolve(part, VALUES)


def test_names_of_the_run_and_the_task() -> None:
    run = of_run("run-7", "run-7-a1", "2026-01-01T00:00:00+00:00", "first")
    values = replace(VALUES, run=run)
    assert resolve("{{$.pipeline_job_name}}/{{$.pipeline_job_uuid}}", values) == ["run-7/run-7-a1"]
    assert resolve("{{$.pipeline_task_name}} {{$.pipeline_job_create_time_utc}}", values) == [
        "first 2026-01-01T00:00:00+00:00"
    ]
    constant = ["{{$.pipeline_job_resource_name}}", {"k": f"{parameter('n')} {{{{$.pipeline_task_name}}}}"}, 2]
    assert fill_run(constant, run) == ["run-7", {"k": f"{parameter('n')} first"}, 2]
    assert names_in(constant, "x") == ["n"]
    with pytest.raises(VqiError, match="give it as an argument"):
        resolve("{{$.pipeline_task_name}}", VALUES)


def test_executor_input() -> None:
    text = executor_input(VALUES, {"page": "system.HTML"}, {"images": "system.Dataset"}, "/out/executor.json")
    content = json.loads(text)
    assert content["inputs"]["parameterValues"]["n"] == 5
    assert content["inputs"]["artifacts"]["images"] == {
        "artifacts": [
            {"name": "images", "type": {"schemaTitle": "system.Dataset"}, "uri": "/in/images", "metadata": {}}
        ]
    }
    assert content["outputs"]["parameters"] == {"summary": {"outputFile": "/out/summary"}}
    assert content["outputs"]["artifacts"]["page"]["artifacts"][0]["uri"] == "/out/page.html"
    assert content["outputs"]["outputFile"] == "/out/executor.json"


def test_constants_that_hold_other_inputs() -> None:
    known = {"a": [1, 2], "b": "x"}
    assert fill_constant(f"to {parameter('b')}", known) == "to x"
    assert fill_constant(parameter("a"), known) == [1, 2]
    assert fill_constant(["q", parameter("b"), {"k": parameter("a")}, 3], known) == ["q", "x", {"k": [1, 2]}, 3]
