"""The same pipeline on the local backend and on the walker, with one fake step: the same steps must run with the same inputs.

The fake's outputs depend on all inputs of a step, so that one wrong input changes everything after it.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.pipelines.argo import walker
from vqi_pipelines.argo import lower, to_yaml
from vqi_pipelines.ir.graph import Component, Pipeline
from vqi_pipelines.ir.names import file_name
from vqi_pipelines.ir.node import StrictLoader
from vqi_pipelines.ir.placeholders import StepValues, of_run
from vqi_pipelines.ir.values import parse_output, to_text
from vqi_pipelines.local.execution import Scope, _Execution
from vqi_pipelines.local.progress import PlainLines
from vqi_pipelines.local.state import RunState
from vqi_pipelines.local.steps import Outputs, Step, command_of, with_executor_input
from vqi_pipelines.local.transfer import ArtifactRef, RunFolder
from vqi_pipelines.parameters import check_parameters

Flow = Counter[str]


def digest(*parts: Any) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()[:4], "big")


def fake_text(kind: str, seed: int) -> str:
    """An output parameter of a type; including texts that look like JSON, and items that could lead elsewhere."""
    if kind == "STRING":
        return (f"text {seed}", json.dumps({"n": seed, "x": [1.5]}), str(seed % 10), "[1, 2]")[seed % 4]
    if kind == "LIST":
        return json.dumps(
            [f"i{n}-{seed % 97}" if (seed + n) % 3 else f"../{n}/{seed % 97}" for n in range(seed % 3 + 1)]
        )
    values = {"NUMBER_INTEGER": seed % 1000, "NUMBER_DOUBLE": seed % 1000 / 8, "BOOLEAN": bool(seed % 2)}
    return json.dumps(values.get(kind, {"k": seed, "l": [None, True]}))


def canonical(text: str) -> Any:
    """A text of a command; JSON is compared by its value, because spaces in it mean nothing."""
    try:
        return json.loads(
            text, parse_float=lambda number: int(value) if (value := float(number)).is_integer() else value
        )
    except ValueError:
        return text


def identity(command: list[str] | tuple[str, ...], artifacts: Mapping[str, str]) -> str:
    """The inputs that a step was run with."""
    kept = list(command)
    for index in range(len(kept) - 1, -1, -1):
        if kept[index] == "--executor-input":
            del kept[index : index + 2]
    return json.dumps([[canonical(text) for text in kept], dict(artifacts)], sort_keys=True)


class Fakes:
    """Fake outputs for the steps of a pipeline, by the name in their command; those in ``failing`` fail."""

    def __init__(self, pipeline: Pipeline, failing: Collection[str] = ()) -> None:
        self.components = {c.container.command[1]: c for c in pipeline.components.values() if c.container}
        self.failing = failing

    def fails(self, name: str, identity: str) -> bool:
        return name in self.failing

    def parameters(self, component: Component, identity: str) -> dict[str, str]:
        return {name: fake_text(p.type, digest(identity, name)) for name, p in component.outputs.items()}

    def artifacts(self, component: Component, identity: str) -> dict[str, str]:
        return {name: f"{name}:{digest(identity, name)}" for name in component.output_artifacts}


class FakeRunner:
    """Replaces the local backend's runner of steps."""

    def __init__(self, fakes: Fakes) -> None:
        self.fakes, self.flow = fakes, Flow()

    async def run(self, step: Step) -> Outputs | None:
        component = step.component
        paths = {name: f"/inputs/{file_name(name, a.schema)}" for name, a in component.input_artifacts.items()}
        outputs = component.output_artifacts.items()
        values = StepValues(
            parameters=step.given.parameters,
            input_artifacts={name: paths[name] for name in step.given.artifacts},
            output_artifacts={name: f"/outputs/{file_name(name, a.schema)}" for name, a in outputs},
            output_parameters={name: f"/outputs/{name}" for name in component.outputs},
            executor_input=None,
            run=of_run(walker.WORKFLOW, walker.UID, walker.STARTED, step.task.name),
        )
        values = with_executor_input(values, component, Path("/outputs/executor_output.json"))
        artifacts = {paths[name]: ref.location for name, ref in step.given.artifacts.items()}
        seen = identity(command_of(step.container, values), artifacts)
        self.flow[seen] += 1
        if self.fakes.fails(step.container.command[1], seen):
            return None
        texts = self.fakes.parameters(component, seen)
        return Outputs(
            {name: parse_output(text, component.outputs[name].type, name) for name, text in texts.items()},
            {name: ArtifactRef(content, "") for name, content in self.fakes.artifacts(component, seen).items()},
        )


def local_flow(pipeline: Pipeline, given: Mapping[str, Any], fakes: Fakes) -> tuple[Flow, Any]:
    """What the local backend runs, and the pipeline's outputs; None when it failed."""
    runner = FakeRunner(fakes)
    values = check_parameters(pipeline, given)
    run = RunState(walker.WORKFLOW, Path("/nowhere"), pipeline.name, values, PlainLines(io.StringIO()), uid=walker.UID)
    run.started_at = walker.STARTED
    execution = _Execution(pipeline, run, runner, RunFolder())
    outputs = asyncio.run(execution._graph(pipeline.root, Scope(Outputs(values))))
    if not outputs.complete:
        return runner.flow, None
    artifacts = {name: ref.location for name, ref in outputs.artifacts.items()}
    return runner.flow, ({name: canonical(to_text(v)) for name, v in outputs.parameters.items()}, artifacts)


def argo_flow(pipeline: Pipeline, given: Mapping[str, Any], fakes: Fakes) -> tuple[Flow, Any]:
    """What Argo would run, from the YAML as it is written."""
    document = yaml.load(to_yaml(lower(pipeline), comment="a test"), StrictLoader)  # noqa: S506 - it is a safe one
    flow = Flow()

    def step(call: walker.Call, parameters: list[str], artifacts: list[str]) -> walker.Outputs:
        component = fakes.components[call.command[1]]
        assert parameters == list(component.outputs)
        assert artifacts == list(component.output_artifacts)
        seen = identity(call.command, call.artifacts)
        flow[seen] += 1
        if fakes.fails(call.command[1], seen):
            raise walker.StepFailedError
        return walker.Outputs(fakes.parameters(component, seen), fakes.artifacts(component, seen))

    run = walker.Walker(document, step)
    outputs = run.run({name: to_text(value) for name, value in given.items()})
    if outputs is None:
        return flow, None
    return flow, ({name: canonical(text) for name, text in outputs.parameters.items()}, outputs.artifacts)
