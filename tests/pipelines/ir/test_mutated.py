"""Compiled pipelines with something changed anywhere: read and lowered, or refused in one line; never a traceback."""

import copy
import random
from typing import Any

import pytest
import yaml

from tests.fuzz import fuzz_cases
from tests.pipelines.argo import examples
from tests.pipelines.ir.test_strictness import at, places
from vqi.errors import VqiError
from vqi_pipelines.argo import lower, to_yaml
from vqi_pipelines.compiled import ir_of
from vqi_pipelines.ir import read_ir

PIPELINES = (examples.branches, examples.guarded, examples.limited, examples.placed, examples.python, examples.choices)
ODD = (
    None, True, False, 0, -1, 2.5, 1e308, float("nan"), float("inf"), 2**53, 10**30, "", " ", "x", "a\0b", "ü" * 300, "../x",
    "{{", "}}", "{{$}}", "{{$.inputs.parameters['who']}}", "{{$.pipeline_job_name}}", "{{=1}}", "-1", "NaN", "1e400", "null",
    '{"Concat": ["a"]}', '{"IfPresent": 1}', '{"Concat": [[1]]}', '{"Concat": ' + "[" * 3000, "[" * 3000, [], {}, [None], [[]],
    {"x": 1}, [{"a": [1]}], {"componentInputParameter": "who"}, {"runtimeValue": {"constant": [1, {"a": 2}]}},
    "inputs.parameter_values['who'] == 'x'", "ALL_UPSTREAM_TASKS_COMPLETED",
)  # fmt: skip


def mutated(document: Any, chance: random.Random) -> Any:
    """A copy with one to three changes: a value replaced, removed, renamed, or put from one place to another."""
    copied = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 2, 3))):
        found = list(places(copied))
        if not found:  # all of it was removed
            break
        path = chance.choice(found)
        whole = at(copied, path[:-1])
        how = chance.choice(("odd", "odd", "remove", "rename", "move"))
        if how == "odd":
            whole[path[-1]] = copy.deepcopy(chance.choice(ODD))
        elif how == "move":
            whole[path[-1]] = copy.deepcopy(at(copied, chance.choice(list(places(copied)))))
        else:
            value = whole.pop(path[-1])
            if how == "rename" and isinstance(whole, dict):
                whole[chance.choice(("x", "{{x}}", "a b", "../up", *whole, path[-1]))] = value
    return copied


def outcome(text: str) -> str:
    """``lowered``, or the line with which it is refused."""
    try:
        to_yaml(lower(read_ir(text)), comment="x")
    except VqiError as error:
        return str(error)
    return "lowered"


@pytest.mark.no_cover
@pytest.mark.slow
def test_no_mutated_pipeline_ends_in_a_traceback() -> None:
    documents = [list(yaml.load_all(ir_of(pipeline), yaml.CSafeLoader)) for pipeline in PIPELINES]
    chance = random.Random(7)
    seen = set()
    for number in range(fuzz_cases(60, 3000)):
        changed = mutated(documents[number % len(documents)], chance)
        said = outcome(yaml.dump_all(changed, Dumper=yaml.CSafeDumper))
        assert "\n" not in said
        assert len(said) < 1500, said
        seen.add(said)
    assert "lowered" in seen
    assert len(seen) > 20


NESTED = "[" * 5000 + "]" * 5000
PREFIX = "pipelineInfo: {name: p}\nroot: {dag: {tasks: {t: {componentRef: {name: c}}}}}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a: {NESTED}", "levels|not YAML"),
        (f"a: {'[' * 150}{']' * 150}", "levels"),
        ("a: &a [1, 2]\nb: [*a, *a]", "pipelineInfo"),  # an alias is its value
        ("a: &a [*a]", "not YAML|levels"),
        (
            "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]),
            "500000 values",
        ),
        ("a: 2024-01-01", "pipelineInfo"),  # a date is a text
        ("a: !!python/object:os.system {}", "not YAML"),
        ("a: !!binary aGk=", "got bytes"),
        ("a: !!set {b}", "got set"),
        ("1: a", "expected texts as keys"),
        ("a: .nan", "expected a number that JSON has"),
        ('a: "\\0"', "no command line can have"),
        ("<<: {a: 1}", "not YAML|construct"),
        (f"a: {'9' * 5000}", "not YAML"),
        ("kind: WorkflowTemplate", "expected a pipeline that kfp 2 compiled, with 'pipelineInfo'"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_yaml_and_no_pipeline(text: str, message: str) -> None:
    with pytest.raises(VqiError, match=message) as caught:
        read_ir(text)
    assert len(str(caught.value)) < 600


def chained(levels: int, width: int) -> dict[str, Any]:
    """Pipelines in pipelines: ``width`` of each in the one above."""
    inner = {f"c{n}": {"dag": {"tasks": tasks(f"c{n + 1}", width)}} for n in range(levels)}
    executors = {"e": {"container": {"image": "i", "command": ["x"]}}}
    return {
        "pipelineInfo": {"name": "p"},
        "root": {"dag": {"tasks": tasks("c0", 1)}},
        "components": {**inner, f"c{levels}": {"executorLabel": "e"}},
        "deploymentSpec": {"executors": executors},
    }


def tasks(component: str, count: int) -> dict[str, Any]:
    return {f"t{n}": {"componentRef": {"name": component}} for n in range(count)}


@pytest.mark.no_cover
@pytest.mark.parametrize(("levels", "width"), [(30, 2), (60, 1), (2000, 1)])
def test_pipelines_that_unfold_without_end(levels: int, width: int) -> None:
    assert "expected at most 10000 tasks in 50 levels" in outcome(
        yaml.dump(chained(levels, width), Dumper=yaml.CSafeDumper)
    )


def test_more_templates_than_argo_takes() -> None:
    document = chained(2, 150)
    document["components"]["c1"]["dag"]["tasks"] = {
        f"t{n}": {"componentRef": {"name": "c2"}, "retryPolicy": {"maxRetryCount": n}} for n in range(199)
    }
    document["components"]["c0"]["dag"]["tasks"] = tasks("c1", 1)
    assert "Argo 4 takes 200 templates in one workflow, got 202" in outcome(
        yaml.dump(document, Dumper=yaml.CSafeDumper)
    )
    document["root"]["dag"]["tasks"] = tasks("c2", 201)
    assert outcome(yaml.dump(document, Dumper=yaml.CSafeDumper)).startswith(
        "root.dag.tasks: Argo 4 takes 200 tasks in one graph, got 201"
    )


def test_a_value_that_names_itself() -> None:
    document = yaml.load(ir_of(examples.one_step), yaml.CSafeLoader)
    given = document["root"]["dag"]["tasks"]["hello"]["inputs"]["parameters"]
    given["who"] = {"runtimeValue": {"constant": "x {{$.inputs.parameters['who']}}"}}
    assert "names the input 'who', which names others itself" in outcome(yaml.dump(document, Dumper=yaml.CSafeDumper))
