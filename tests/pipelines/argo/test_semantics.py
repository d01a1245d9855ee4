"""What the lowered YAML does is what the local backend does: the same steps with the same inputs, the same outputs."""

import json
from typing import Any

import pytest

from tests.pipelines.argo import examples
from tests.pipelines.argo.flows import Fakes, argo_flow, local_flow
from vqi_pipelines.compiled import ir_of, training_ir
from vqi_pipelines.ir import read_ir

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


def test_the_training_pipeline() -> None:
    read = read_ir(training_ir().replace("- python\n        - -m\n", "- run\n"))
    given = {"categories": ["mono"], "target_fpr": 0.01, "finetune": {"lr": 0.5}}
    local = local_flow(read, given, Fakes(read))
    assert len(local[0]) >= 8
    assert argo_flow(read, given, Fakes(read)) == local
