"""Generated pipelines do the same on Argo as on the local backend, whatever fails."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.pipelines.argo import schema
from tests.pipelines.argo.flows import Fakes, argo_flow, local_flow
from tests.pipelines.argo.generated import pipelines
from vqi_pipelines.argo import lower, to_yaml
from vqi_pipelines.ir import read_ir

RELAXED = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)  # fmt: skip


GENERATE = settings(RELAXED, phases=[Phase.generate])  # nothing to shrink: all of them are checked together


@pytest.mark.no_cover
@pytest.mark.slow
@RELAXED
@given(document=pipelines(), data=st.data())
def test_the_same_flows(document: dict[str, Any], data: Any) -> None:
    pipeline = read_ir(yaml.dump(document, Dumper=yaml.CSafeDumper))
    steps = sorted(c.container.command[1] for c in pipeline.components.values() if c.container)
    failing = data.draw(st.sets(st.sampled_from(steps), max_size=1))
    local = local_flow(pipeline, {}, Fakes(pipeline, failing))
    assert argo_flow(pipeline, {}, Fakes(pipeline, failing)) == local
    assert not schema.problems(yaml.load(to_yaml(lower(pipeline), comment="x"), yaml.CSafeLoader))


CONSTRUCTS = (
    "parameterIterator", "parallelismLimit", "triggerPolicy", "pipelinechannel--", "IfPresent", "Concat", "retryPolicy",
    "taskOutputArtifact", "componentInputArtifact", "'{{$}}'", "inputParameter: items", "artifactSelectors",
    "condition: inputs.parameter_values", "valueFromOneof",
)  # fmt: skip


@pytest.mark.no_cover
def test_the_generator_makes_every_construct() -> None:
    """Otherwise the property above would prove less than it seems to."""
    made: list[str] = []

    @settings(GENERATE, max_examples=100)
    @given(document=pipelines())
    def gather(document: dict[str, Any]) -> None:
        made.append(yaml.dump(document, Dumper=yaml.CSafeDumper))

    gather()
    missing = [wanted for wanted in CONSTRUCTS if sum(wanted in text for text in made) < 2]
    assert not missing


@pytest.mark.no_cover
def test_argo_takes_what_is_generated(lint: Callable[..., str], tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    @settings(GENERATE, max_examples=25)
    @given(document=pipelines())
    def check(document: dict[str, Any]) -> None:
        seen["made"] += 1
        path = tmp_path / f"{seen['made']}.yaml"
        template = lower(read_ir(yaml.dump(document, Dumper=yaml.CSafeDumper)))
        path.write_text(
            to_yaml(template, comment="x").replace("name: made-up\nspec", f"name: made-up-{seen['made']}\nspec")
        )

    check()
    assert lint(*sorted(tmp_path.iterdir())) == ""


@pytest.mark.no_cover
def test_a_fault_in_an_argument_is_seen() -> None:
    """The comparison notices one wrong constant that a step receives, wherever it is."""
    seen: Counter[str] = Counter()

    @GENERATE
    @given(document=pipelines())
    def check(document: dict[str, Any]) -> None:
        text = yaml.dump(document, Dumper=yaml.CSafeDumper)
        if "constant: plain" in text:
            good, bad = read_ir(text), read_ir(text.replace("constant: plain", "constant: faulty", 1))
            seen["noticed" if argo_flow(bad, {}, Fakes(bad)) != local_flow(good, {}, Fakes(good)) else "missed"] += 1

    check()
    assert seen["noticed"] >= 5
    assert not seen["missed"]
