"""Interprets a lowered WorkflowTemplate as Argo 4 does, with a function instead of the pods. For tests only.

It is strict where Argo is lenient: an argument that a template does not take, a reference that nothing fills and a
duplicate key are errors.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

WORKFLOW, UID, STARTED = "wf-1", "uid-1", "2026-01-01T00:00:00Z"
TAG = re.compile(r"\{\{(.*?)\}\}")
COLLECTED = r"tasks\['(?P<task>[^']+)'\]\.outputs\.parameters\['(?P<output>[^']+)'\]"
TEXTS = re.compile(rf"toJson\(map\(fromJSON\({COLLECTED}\), \{{type\(#\) == 'string' \? # : toJson\(#\)\}}\)\)")
NUMBERS = re.compile(rf"toJson\(map\(fromJSON\({COLLECTED}\), \{{fromJSON\(#\)\}}\)\)")
WHOLE = re.compile(COLLECTED)
QUOTED = re.compile(r"toJson\(inputs\.parameters\['([^']+)'\]\)")
ITEM = re.compile(r"item matches '\^(?P<plain>[^']+)\$' \? item : '_' \+ sprig\.sha256sum\(item\)")


# Conditions, and the choice of the branch that ran.
PARAMETER = re.compile(
    r"(workflow|inputs)\.parameters\['([^']+)'\]|tasks\['([^']+)'\]\.outputs\.parameters\['([^']+)'\]"
)
COMPARISON = re.compile(r"(.+?) (==|!=|<=|>=|<|>) (.+)")
CHOICE = re.compile(r"tasks\['([^']+)'\]\.status == 'Succeeded' \? tasks\['\1'\]\.outputs\.(\w+)\['([^']+)'\]")
LAST = re.compile(r"tasks\['([^']+)'\]\.outputs\.(\w+)\['([^']+)'\]")


class StepFailedError(Exception):
    """A pod ended with an error, or a graph contains one that did."""


@dataclass(frozen=True)
class Call:
    """The inputs that a pod is started with."""

    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    artifacts: Mapping[str, str]  # path -> content


@dataclass
class Outputs:
    parameters: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)


# Given the call, the names of the output parameters and those of the output artifacts.
Step = Callable[[Call, list[str], list[str]], Outputs]


class Walker:
    """One run of a workflow: ``calls`` are the pods, ``keys`` where their artifacts are stored."""

    def __init__(self, document: Mapping[str, Any], step: Step) -> None:
        self.spec = document["spec"]
        names = [template["name"] for template in self.spec["templates"]]
        assert len(names) == len(set(names)), "two templates of one name"
        self.templates = {template["name"]: template for template in self.spec["templates"]}
        self.step = step
        self.calls: list[Call] = []
        self.keys: set[str] = set()
        self.at_once: list[int] = []
        self.longest_arguments: list[tuple[str, int]] = []  # of each call of a template

    def run(self, given: Mapping[str, str]) -> Outputs | None:
        """Run it; None when something failed."""
        declared = {p["name"]: p.get("value") for p in self.spec["arguments"].get("parameters", [])}
        assert given.keys() <= declared.keys()
        values = {**declared, **given}
        assert None not in values.values(), values
        scope = {f"workflow.parameters.{name}": value for name, value in values.items()}
        scope |= {"workflow.name": WORKFLOW, "workflow.uid": UID, "workflow.creationTimestamp.RFC3339": STARTED}
        self.globals = scope
        try:
            outputs = self.call(self.spec["entrypoint"], {}, {})
        except StepFailedError:
            outputs = None
        if "onExit" in self.spec:
            try:
                self.call(self.spec["onExit"], {}, {})
            except StepFailedError:
                outputs = None
        return outputs

    def call(self, name: str, parameters: Mapping[str, str], artifacts: Mapping[str, str]) -> Outputs:
        template = self.templates[name]
        inputs = template.get("inputs", {})
        declared = {p["name"]: p.get("value") for p in inputs.get("parameters", [])}
        assert parameters.keys() <= declared.keys(), (name, parameters.keys() - declared.keys())
        values = {**declared, **parameters}
        assert None not in values.values(), (name, values)
        wanted = {a["name"] for a in inputs.get("artifacts", [])}
        assert wanted == artifacts.keys(), (name, wanted, artifacts)
        scope = {**self.globals, **{f"inputs.parameters.{key}": value for key, value in values.items()}}
        if "container" in template:
            return self.pod(template, scope, artifacts)
        return self.graph(template, scope, {f"inputs.artifacts.{key}": value for key, value in artifacts.items()})

    # ------------------------------------------------------------------------------------------------------- a pod

    def pod(self, template: Mapping[str, Any], scope: Mapping[str, str], artifacts: Mapping[str, str]) -> Outputs:
        container = template["container"]
        paths = {a["name"]: a["path"] for a in template.get("inputs", {}).get("artifacts", [])}
        command = [expanded(resolve(part, scope)) for part in (*container["command"], *container.get("args", []))]
        env = tuple((pair["name"], expanded(pair["value"])) for pair in container["env"] if "value" in pair)
        call = Call(tuple(command), env, {paths[name]: content for name, content in artifacts.items()})
        outputs = template.get("outputs", {})
        for artifact in outputs.get("artifacts", []):
            key = resolve(artifact["s3"]["key"], scope)
            assert key.startswith(f"{WORKFLOW}/")
            assert ".." not in key.split("/")
            assert key not in self.keys, f"{key} is written twice"
            self.keys.add(key)
            assert artifact["path"].startswith("/outputs/")
        self.calls.append(call)
        names = [p["name"] for p in outputs.get("parameters", [])]
        return self.step(call, names, [a["name"] for a in outputs.get("artifacts", [])])

    # ----------------------------------------------------------------------------------------------------- a graph

    def graph(self, template: Mapping[str, Any], scope: dict[str, str], artifacts: dict[str, str]) -> Outputs:
        assert template["dag"]["failFast"] is False
        tasks = {task["name"]: task for task in template["dag"]["tasks"]}
        done: set[str] = set()
        failed: set[str] = set()
        while len(done) + len(failed) < len(tasks):
            ready = [
                task
                for name, task in tasks.items()
                if name not in done | failed and waited_for(task, tasks) <= done | failed
            ]
            assert ready, "the tasks wait for each other"
            for task in ready:
                try:
                    if not all(is_met(condition, done, failed) for condition in conditions(task)):
                        raise StepFailedError
                    self.task(task, scope, artifacts)
                    done.add(task["name"])
                except StepFailedError:
                    failed.add(task["name"])
        if failed & targets(template["dag"], tasks):
            raise StepFailedError
        outputs = template.get("outputs", {})
        return Outputs(
            {p["name"]: output_value(p["valueFrom"], scope) for p in outputs.get("parameters", [])},
            {a["name"]: artifacts[output_artifact(a, scope)] for a in outputs.get("artifacts", [])},
        )

    def task(self, task: Mapping[str, Any], scope: dict[str, str], artifacts: dict[str, str]) -> None:
        """Run a task, and put its outputs into the scopes of its graph."""
        prefix = f"tasks.{task['name']}.outputs"
        if "when" in task and not holds(task["when"], scope):
            scope[f"tasks.{task['name']}.status"] = "Skipped"
            return
        scope[f"tasks.{task['name']}.status"] = "Succeeded"  # otherwise the graph has no outputs
        if "withItems" in task or "withParam" in task:
            items = task["withItems"] if "withItems" in task else json.loads(resolve(task["withParam"], scope))
            assert "withItems" not in task or items
            outcomes = [self.iteration(task, scope, artifacts, item) for item in items]
            whole = [outcome for outcome in outcomes if outcome is not None]
            names = whole[0].parameters if whole else {}
            for name in names:
                scope[f"{prefix}.parameters.{name}"] = aggregate([outcome.parameters[name] for outcome in whole])
            if None in outcomes:
                raise StepFailedError
            self.at_once.append(len(items))
            return
        outputs = self.once(task, scope, artifacts)
        scope.update({f"{prefix}.parameters.{name}": value for name, value in outputs.parameters.items()})
        artifacts.update({f"{prefix}.artifacts.{name}": value for name, value in outputs.artifacts.items()})

    def iteration(self, task: Any, scope: dict[str, str], artifacts: dict[str, str], item: Any) -> Outputs | None:
        text = item if isinstance(item, str) else json.dumps(item, separators=(",", ":"), ensure_ascii=False)
        try:
            return self.once(task, {**scope, "item": text}, artifacts)
        except StepFailedError:
            return None

    def once(self, task: Mapping[str, Any], scope: dict[str, str], artifacts: dict[str, str]) -> Outputs:
        arguments = task.get("arguments", {})
        parameters = {p["name"]: resolve(p["value"], scope) for p in arguments.get("parameters", [])}
        given = {a["name"]: artifacts[reference(a["from"])] for a in arguments.get("artifacts", [])}
        self.longest_arguments.append((task["template"], max(map(len, parameters.values()), default=0)))
        return self.call(task["template"], parameters, given)


def expanded(text: str) -> str:
    """A text of a container as Kubernetes hands it to the program; ``HOME`` is a variable that each step has."""
    return re.sub(r"\$(\$|\(HOME\))", lambda match: "$" if match[1] == "$" else "/tmp", text)


def conditions(task: Mapping[str, Any]) -> list[list[tuple[str, str]]]:
    """What a task waits for: of each condition the alternatives, a task and what it must have become."""
    parts = task["depends"].split("&&") if "depends" in task else []
    alternatives = [part.strip().removeprefix("(").removesuffix(")").split("||") for part in parts]
    return [[one.strip().partition(".")[::2] for one in part] for part in alternatives]  # type: ignore[misc]


def waited_for(task: Mapping[str, Any], tasks: Mapping[str, Any]) -> set[str]:
    names = {name for condition in conditions(task) for name, _ in condition}
    assert names <= tasks.keys(), names
    return names


def holds(when: str, scope: Mapping[str, str]) -> bool:
    """Whether a condition holds; its comparisons are those that the lowering writes."""
    match = TAG.fullmatch(when)
    assert match, when
    assert match[1].startswith("="), when
    return all(compare(part, scope) for part in match[1][1:].split(" && "))


def compare(text: str, scope: Mapping[str, str]) -> bool:
    if text.startswith("!("):
        return not compare(text[2:-1], scope)
    match = COMPARISON.fullmatch(text)
    assert match, text
    left, right = operand(match[1], scope), operand(match[3], scope)
    assert type(left) is type(right), text
    found = {"==": left == right, "!=": left != right}
    if match[2] not in found:
        found = {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}  # type: ignore[operator]
    return found[match[2]]


def operand(text: str, scope: Mapping[str, str]) -> str | float:
    if text.startswith("asFloat("):
        return float(operand(text[len("asFloat(") : -1], scope))
    if text.startswith("lower("):
        return str(operand(text[len("lower(") : -1], scope)).lower()
    if match := PARAMETER.fullmatch(text):
        name = f"{match[1]}.parameters.{match[2]}" if match[1] else f"tasks.{match[3]}.outputs.parameters.{match[4]}"
        return scope[name]
    if text.startswith("'"):
        return text[1:-1]
    value: str | float = json.loads(text)
    return value if isinstance(value, str) else float(value)


def branch(text: str, scope: Mapping[str, str]) -> str | None:
    """The reference that a choice among branches stands for; None if it is another expression."""
    *tests, last = text.split(" : ")
    matches = [*(CHOICE.fullmatch(part) for part in tests), LAST.fullmatch(last)]
    if not tests or None in matches:
        return None
    for match in matches:
        if match and scope[f"tasks.{match[1]}.status"] == "Succeeded":
            return f"tasks.{match[1]}.outputs.{match[2]}.{match[3]}"
    raise AssertionError(f"no branch ran: {text}")


def output_artifact(artifact: Mapping[str, str], scope: Mapping[str, str]) -> str:
    if "fromExpression" in artifact:
        found = branch(artifact["fromExpression"], scope)
        assert found, artifact
        return found
    return reference(artifact["from"])


def is_met(condition: list[tuple[str, str]], done: set[str], failed: set[str]) -> bool:
    known = {"": done, "Succeeded": done, "Skipped": done, "Failed": failed, "Errored": failed, "Omitted": failed}
    return any(name in known[state] for name, state in condition)


def targets(dag: Mapping[str, Any], tasks: Mapping[str, Any]) -> set[str]:
    """The tasks that decide whether a graph succeeded: those that it names, or those that no other waits for."""
    if "target" in dag:
        names = set(dag["target"].split(" "))
        assert names <= tasks.keys(), names
        return names
    return tasks.keys() - {name for task in tasks.values() for name in waited_for(task, tasks)}


def reference(text: str) -> str:
    match = TAG.fullmatch(text)
    assert match, text
    return match[1]


def resolve(text: str, scope: Mapping[str, str]) -> str:
    """A text with its references filled in, each once."""
    return TAG.sub(lambda match: evaluate(match[1], scope), text)


def evaluate(tag: str, scope: Mapping[str, str]) -> str:
    return expression(tag[1:], scope) if tag.startswith("=") else scope[tag]


def output_value(source: Mapping[str, str], scope: Mapping[str, str]) -> str:
    if "expression" in source:
        return expression(source["expression"], scope)
    return resolve(source["parameter"], scope)


def expression(text: str, scope: Mapping[str, str]) -> str:
    """The expressions that the lowering writes, and no others."""
    if chosen := branch(text, scope):
        return scope[chosen]
    if match := QUOTED.fullmatch(text):
        return json.dumps(scope[f"inputs.parameters.{match[1]}"], ensure_ascii=False)
    if match := ITEM.fullmatch(text):
        item = scope["item"]
        return item if re.fullmatch(match["plain"], item) else "_" + hashlib.sha256(item.encode()).hexdigest()
    for pattern, convert in ((TEXTS, as_text), (NUMBERS, json.loads)):
        if match := pattern.fullmatch(text):
            whole = scope[f"tasks.{match['task']}.outputs.parameters.{match['output']}"]
            return json.dumps([convert(value) for value in json.loads(whole)], ensure_ascii=False)
    match = WHOLE.fullmatch(text)
    assert match, f"an expression that the walker does not know: {text}"
    return scope[f"tasks.{match['task']}.outputs.parameters.{match['output']}"]


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def aggregate(values: list[str]) -> str:
    """What Argo makes of the outputs of a loop: objects and lists if all are such, otherwise texts."""
    try:
        parsed = [json.loads(value) for value in values]
    except ValueError:
        return json.dumps(values)
    return json.dumps(parsed if all(isinstance(value, list | dict) for value in parsed) else values)
