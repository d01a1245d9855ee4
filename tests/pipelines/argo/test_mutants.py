"""Planted faults: each is refused by Argo's validator, or else by the strict schema or the compiler."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipelines.argo import examples, schema
from vqi.errors import VqiError
from vqi_pipelines.argo import Schedule, cron_workflow, lower
from vqi_pipelines.compiled import ir_of
from vqi_pipelines.ir import read_ir

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    """A workflow with a fan-out in a graph of its own, and its schedule."""
    pipeline = read_ir(ir_of(examples.fan))
    cron = cron_workflow(pipeline, "fan", Schedule("fan-daily", ["0 3 * * *"], "Europe/Berlin", {"count": 2}))
    dumped = [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in (lower(pipeline), cron)]
    return dict(zip(("template", "cron"), dumped, strict=True))


def template(objects: dict[str, Any], name: str) -> Any:
    return next(one for one in objects["template"]["spec"]["templates"] if one["name"] == name)


def task(objects: dict[str, Any], name: str) -> Any:
    return next(one for one in template(objects, "fan")["dag"]["tasks"] if one["name"] == name)


def spec(objects: dict[str, Any], **values: Any) -> None:
    objects["template"]["spec"].update(values)


def cron(objects: dict[str, Any], **values: Any) -> None:
    objects["cron"]["spec"].update(values)


def argument(objects: dict[str, Any], name: str, value: str) -> None:
    task(objects, name)["arguments"]["parameters"][0]["value"] = value


def second_of_one_name(objects: dict[str, Any]) -> None:
    templates = objects["template"]["spec"]["templates"]
    templates.append(copy.deepcopy(templates[-1]))


def use(objects: dict[str, Any]) -> Any:
    return template(objects, "for-loop-1")["dag"]["tasks"][0]


TYPOS: dict[str, Change] = {
    "unknown field in a container": lambda o: template(o, "make")["container"].update(imagee="x"),
    "unknown field in the spec": lambda o: spec(o, entrypointt="fan"),
    "wrong type": lambda o: spec(o, parallelism="four"),
}
FAULTS: dict[str, Change] = TYPOS | {
    "retry policy": lambda o: template(o, "make")["retryStrategy"].update(retryPolicy="Sometimes"),
    "concurrency policy": lambda o: cron(o, concurrencyPolicy="Maybe"),
    "schedule": lambda o: cron(o, schedules=["not a cron"]),
    "no such template": lambda o: task(o, "make").update(template="nope"),
    "no such entrypoint": lambda o: spec(o, entrypoint="nope"),
    "no such exit handler": lambda o: spec(o, onExit="nope"),
    "two templates of one name": second_of_one_name,
    "container and script": lambda o: template(o, "make").update(script={"image": "i", "source": "x"}),
    "a required artifact left out": lambda o: use(o)["arguments"].pop("artifacts"),
    "a required parameter left out": lambda o: task(o, "join")["arguments"]["parameters"].pop(0),
    "an output that is not there": lambda o: task(o, "for-loop-1")["arguments"]["artifacts"][0].update(
        {"from": "{{tasks.make.outputs.artifacts.nope}}"}
    ),
    "depends on a task that is not there": lambda o: task(o, "join").update(depends="nope"),
    "a cycle": lambda o: task(o, "make").update(depends="join"),
    "an input that is not there": lambda o: argument(o, "make", "{{inputs.parameters.nope}}"),
    "an output without a path": lambda o: template(o, "make")["outputs"]["artifacts"][0].pop("path"),
}


def changed(objects: dict[str, Any], fault: str) -> dict[str, Any]:
    copied = copy.deepcopy(objects)
    FAULTS[fault](copied)
    assert copied != objects
    return copied


def write(objects: dict[str, Any], folder: Path) -> list[Path]:
    for name, document in objects.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
    return [folder / f"{name}.yaml" for name in objects]


def test_without_a_fault_nothing_is_found(objects: dict[str, Any], lint: Callable[..., str], tmp_path: Path) -> None:
    assert lint(*write(objects, tmp_path)) == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_argo_refuses(objects: dict[str, Any], fault: str, lint: Callable[..., str], tmp_path: Path) -> None:
    assert lint(*write(changed(objects, fault), tmp_path)) != ""


@pytest.mark.parametrize("fault", TYPOS)
def test_the_schema_refuses(objects: dict[str, Any], fault: str) -> None:
    assert schema.problems(objects["template"]) == []
    assert schema.problems(changed(objects, fault)["template"])


def test_what_argo_lets_pass_the_compiler_refuses() -> None:
    """A name that is not a DNS label, an unknown time zone, an undeclared workflow parameter."""
    pipeline = read_ir(ir_of(examples.fan))
    assert lower(read_ir(ir_of(examples.fan).replace("name: fan", "name: Bad_Name"))).metadata.name == "bad-name"
    with pytest.raises(VqiError, match="unknown time zone 'Mars/Base'"):
        cron_workflow(pipeline, "fan", Schedule("daily", ["@daily"], "Mars/Base"))
    with pytest.raises(VqiError, match="unknown parameter 'nope'"):
        cron_workflow(pipeline, "fan", Schedule("daily", ["@daily"], parameters={"nope": 1}))
    with pytest.raises(VqiError, match="there is no input 'nope'"):
        read_ir(ir_of(examples.fan).replace("componentInputParameter: count", "componentInputParameter: nope"))
