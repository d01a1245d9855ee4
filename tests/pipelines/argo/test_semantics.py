"""What the lowered YAML does is what the local backend does: the same steps with the same inputs, the same outputs."""

import json
from collections import Counter
from typing import Any

import pytest
import yaml

from tests.pipelines.argo import examples, walker
from tests.pipelines.argo.flows import Fakes, argo_flow, identity, local_flow
from vqi_pipelines.argo import lower, to_yaml
from vqi_pipelines.argo.notes import left_out
from vqi_pipelines.compiled import ir_of, training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import Pipeline

GIVEN: dict[str, dict[str, Any]] = {
    "numbers": {"names": ["a", "b", "c"]},
    "structures": {"names": ["a", "b"]},
    "nested": {"names": ["../x", "y/z", "plain"]},
}
PIPELINES = [pipeline for pipeline in examples.VALID if pipeline.name != "python"]  # its command names no component


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: pipeline.name)
def test_examples(pipeline: Any) -> None:
    read = read_ir(ir_of(pipeline))
    given = GIVEN.get(read.name, {})
    local = local_flow(read, given, Fakes(read))
    assert local[1] is not None
    assert argo_flow(read, given, Fakes(read)) == local


@pytest.mark.parametrize("given", [{}, {"face": "tails"}, {"face": "tails", "limit": 1e4, "on": False}], ids=str)
def test_branches(given: dict[str, Any]) -> None:
    read = read_ir(ir_of(examples.branches))
    local = local_flow(read, given, Fakes(read))
    assert argo_flow(read, given, Fakes(read)) == local
    ran = [json.loads(call)[0] for call in local[0]]
    branch = {0: "first", 2: "second", 3: "third"}[2 * bool(given) + (given.get("limit") == 1e4)]
    assert [call[3] for call in ran if call[1] == "use"] == [branch]
    assert [call[3] for call in ran if call[1] == "hello"] == ([] if given.get("on") is False else ["a"])


@pytest.mark.parametrize(
    ("pipeline", "failing"),
    [(examples.fan, "use"), (examples.chain, "make"), (examples.guarded, "use"), (examples.limited, "join"), (examples.guarded, "clean"), (examples.branches, "use")],
    ids=lambda value: value if isinstance(value, str) else value.name,
)  # fmt: skip
def test_a_failure_leaves_out_what_depends_on_it_and_nothing_else(pipeline: Any, failing: str) -> None:
    read = read_ir(ir_of(pipeline))
    flow, outputs = local_flow(read, {}, Fakes(read, {failing}))
    assert outputs is None
    assert argo_flow(read, {}, Fakes(read, {failing})) == (flow, None)


def test_the_exit_handler_runs_after_a_failure() -> None:
    read = read_ir(ir_of(examples.guarded))
    flow, _ = argo_flow(read, {"note": "swept"}, Fakes(read, {"make"}))
    assert sum("swept" in call for call in flow) == 1
    assert len(flow) == 2


class OneFails(Fakes):
    """A step fails for one item of a loop."""

    def __init__(self, pipeline: Pipeline, name: str, item: str) -> None:
        super().__init__(pipeline)
        self.name, self.item = name, item

    def fails(self, name: str, identity: str) -> bool:
        return name == self.name and f'"{self.item}"' in identity


def test_what_collects_from_a_loop_runs_with_what_did_not_fail_and_the_graph_still_fails() -> None:
    read = read_ir(ir_of(examples.tolerant))
    given = {"names": ["a", "b", "c"]}
    flow, outputs = local_flow(read, given, OneFails(read, "say", "word=b!"))
    assert outputs is None
    joined = [call for call in flow if '"join"' in call]
    assert len(joined) == 1, "it ran"
    on_argo = argo_flow(read, given, OneFails(read, "say", "word=b!"))
    assert on_argo == (flow - Counter(joined), None), "Argo needs the whole loop"
    whole = local_flow(read, given, Fakes(read))
    assert whole[1] is not None
    assert argo_flow(read, given, Fakes(read)) == whole
    assert not {*joined} & {*whole[0]}, "with fewer words"


def test_that_argo_needs_what_a_task_takes_is_said() -> None:
    (note,) = left_out(read_ir(ir_of(examples.tolerant)))
    assert ".tasks.collect: ignore_upstream_failure does not hold for 'for-loop-1'" in note
    (note,) = left_out(read_ir(ir_of(examples.after_all)))
    assert ".tasks.hello: ignore_upstream_failure does not hold for 'say'" in note
    assert left_out(read_ir(ir_of(examples.fan))) == []


@pytest.mark.parametrize(("failing", "runs"), [("use", 1), ("make", 1), ("say", 0), ("hello", 1)])
def test_what_runs_whatever_became_of_others_runs_and_the_run_fails(failing: str, runs: int) -> None:
    read = read_ir(ir_of(examples.after_all))
    flow, outputs = local_flow(read, {}, Fakes(read, {failing}))
    assert outputs is None
    assert sum('"hello"' in call for call in flow) == runs
    assert argo_flow(read, {}, Fakes(read, {failing})) == (flow, None)


@pytest.mark.parametrize("failing", ["../1/11", "mono"], ids=["one", "all"])
def test_the_training_pipeline_without_some_categories(failing: str) -> None:
    read = read_ir(training_ir().replace("- python\n        - -m\n", "- run\n"))
    fakes = OneFails(read, "vqi_components.preprocess", failing)
    categories = ["mono", "../1/11"] if failing != "mono" else ["mono"]
    fakes.parameters = lambda component, seen: (
        Fakes.parameters(fakes, component, seen)
        | (  # type: ignore[method-assign]
            {"categories": json.dumps(categories)} if "categories" in component.outputs else {}
        )
    )
    flow, outputs = local_flow(read, {}, fakes)
    assert outputs is None
    assert sum("vqi_components.summarize" in call for call in flow) == 1
    assert sum("vqi_components.publish" in call for call in flow) == len(categories) - 1
    assert argo_flow(read, {}, fakes) == (flow, None)


def test_a_run_in_which_nothing_changed_starts_two_steps() -> None:
    read = read_ir(training_ir().replace("- python\n        - -m\n", "- run\n"))
    fakes = Fakes(read)
    fakes.parameters = lambda component, seen: (  # type: ignore[method-assign]
        Fakes.parameters(fakes, component, seen) | ({"categories": "[]"} if "categories" in component.outputs else {})
    )
    flow, outputs = local_flow(read, {}, fakes)
    assert sorted(json.loads(call)[0][1] for call in flow.elements()) == [
        "vqi_components.dataset_download", "vqi_components.summarize"
    ]  # fmt: skip
    assert outputs is not None
    assert argo_flow(read, {}, fakes) == (flow, outputs)


@pytest.mark.slow
def test_no_argument_grows_with_the_categories() -> None:
    read = read_ir(training_ir().replace("- python\n        - -m\n", "- run\n"))
    names = [f"category {number}" for number in range(2000)]
    fakes = Fakes(read)
    fakes.parameters = lambda component, seen: (  # type: ignore[method-assign]
        Fakes.parameters(fakes, component, seen)
        | ({"categories": json.dumps(names)} if "categories" in component.outputs else {})
    )
    document, longest = yaml.load(to_yaml(lower(read), comment="a test"), yaml.CSafeLoader), [0]

    def step(call: walker.Call, parameters: list[str], artifacts: list[str]) -> walker.Outputs:
        longest.append(max(map(len, call.command)))
        component, seen = fakes.components[call.command[1]], identity(call.command, call.artifacts)
        return walker.Outputs(fakes.parameters(component, seen), fakes.artifacts(component, seen))

    run = walker.Walker(document, step)
    assert run.run({}) is not None
    assert run.at_once == [2000]
    assert max(longest) < 2000
    grown = [name for name, length in run.longest_arguments if length >= 200]
    assert grown == ["for-loop-1-whole"], (
        "Argo keeps arguments of templates, too: the list once, not for each iteration"
    )


def test_the_training_pipeline() -> None:
    read = read_ir(training_ir().replace("- python\n        - -m\n", "- run\n"))
    given = {"categories": ["mono"], "target_fpr": 0.01, "finetune": {"lr": 0.5}}
    local = local_flow(read, given, Fakes(read))
    assert len(local[0]) >= 8
    assert argo_flow(read, given, Fakes(read)) == local
