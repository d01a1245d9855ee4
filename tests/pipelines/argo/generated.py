"""Generated pipelines of the subset, as PipelineSpec: every construct, in any combination that the reader accepts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

SCALARS = ("STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN")
TYPES = (*SCALARS, "LIST", "STRUCT")
# What the generator distinguishes: an item of a loop, and a list that a loop collected.
DECLARED = {"ITEM": "STRING", "COLLECTED": "LIST"}
SCHEMAS = ("system.Dataset", "system.Model", "system.HTML", "system.Markdown", "system.Metrics", "system.Artifact")
WORDS = ("", "plain", "two words", 'quo\'te "s"', "größer", "a}}b", "line\nbreak", "[1, 2]", "5", "$HOME", "\\n \\x")
ITEMS = ("a", "b-1", "C.d", "x y", "0")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "STRING": st.sampled_from(WORDS),
    "NUMBER_INTEGER": st.integers(-5, 5),
    "NUMBER_DOUBLE": st.sampled_from([0.5, -2.0, 3.25]),
    "BOOLEAN": st.booleans(),
    "LIST": st.lists(st.sampled_from(WORDS), max_size=3),
    "STRUCT": st.dictionaries(st.sampled_from(["k", "l m"]), st.sampled_from(WORDS), max_size=2),
}


@dataclass
class Sources:
    """What a task of a graph may be given: pairs of a source and its type."""

    parameters: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    artifacts: list[tuple[dict[str, Any], str]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The sources that fit an input of a type; a text may be anything."""
        return [source for source, given in self.parameters if kind in (DECLARED.get(given, given), "STRING")]


@dataclass
class Outputs:
    parameters: list[tuple[str, str, str]] = field(default_factory=list)  # task, output, type
    artifacts: list[tuple[str, str, str]] = field(default_factory=list)  # task, output, schema


class Maker:
    """Draws one pipeline; components and executors are collected while its graphs are made."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.components: dict[str, Any] = {}
        self.executors: dict[str, Any] = {}
        self.number = 0

    def pick(self, options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def chance(self) -> bool:
        return bool(self.draw(st.booleans()))

    def fresh(self, stem: str) -> str:
        self.number += 1
        return f"{stem}-{self.number}"

    def pipeline(self) -> dict[str, Any]:
        kinds = self.draw(st.lists(st.sampled_from(TYPES), max_size=4))
        inputs = {
            f"p{n}": {"parameterType": kind, "defaultValue": self.draw(VALUES[kind]), "isOptional": True}
            for n, kind in enumerate(kinds)
        }
        sources = Sources([({"componentInputParameter": f"p{n}"}, kind) for n, kind in enumerate(kinds)])
        roots = list(sources.parameters)
        dag, outputs = self.graph(sources, depth=0)
        if self.chance():
            self.exit_handler(dag, Sources(roots))
        root: dict[str, Any] = {"dag": dag, "inputDefinitions": {"parameters": inputs}}
        self.publish(dag, outputs)
        return {
            "pipelineInfo": {"name": "made-up"},
            "components": self.components,
            "deploymentSpec": {"executors": self.executors},
            "root": root,
        }

    def graph(self, sources: Sources, depth: int) -> tuple[dict[str, Any], Outputs]:
        tasks: dict[str, Any] = {}
        outputs = Outputs()
        for _ in range(self.draw(st.integers(1, 3))):
            kind = self.pick(("step", "step", "graph", "loop", "loop", "branches") if depth < 2 else ("step",))
            name = self.fresh(kind)
            make = {"step": self.step, "graph": self.subgraph, "loop": self.loop, "branches": self.branches}[kind]
            task, gives = make(name, sources, depth)
            if tasks and self.chance():
                task["dependentTasks"] = [self.pick(list(tasks))]
            tasks[name] = task
            outputs.parameters += [(name, output, given) for output, given in gives.parameters]
            outputs.artifacts += [(name, output, schema) for output, schema in gives.artifacts]
            sources.parameters += [
                ({"taskOutputParameter": {"producerTask": name, "outputParameterKey": output}}, given)
                for output, given in gives.parameters
            ]
            sources.artifacts += [
                ({"taskOutputArtifact": {"producerTask": name, "outputArtifactKey": output}}, schema)
                for output, schema in gives.artifacts
            ]
        return {"tasks": tasks}, outputs

    # ------------------------------------------------------------------------------------------------------- a step

    def step(self, name: str, sources: Sources, depth: int) -> tuple[dict[str, Any], Sources]:
        definitions, given, args = self.parameters(sources)
        artifacts: dict[str, Any] = {}
        taken: dict[str, Any] = {}
        for n in range(self.draw(st.integers(0, 2)) if sources.artifacts else 0):
            taken[f"a{n}"], schema = self.pick(sources.artifacts)
            artifacts[f"a{n}"] = {"artifactType": {"schemaTitle": schema}}
            args.append(f"{{{{$.inputs.artifacts['a{n}'].path}}}}")
        outputs = {f"o{n}": self.pick((*TYPES, "LIST", "LIST")) for n in range(self.draw(st.integers(0, 2)))}
        made = {f"m{n}": self.pick(SCHEMAS) for n in range(self.draw(st.integers(0, 2)))}
        args += [f"--{output}={{{{$.outputs.parameters['{output}'].output_file}}}}" for output in outputs]
        args += [f"{{{{$.outputs.artifacts['{output}'].path}}}}" for output in made]
        if self.chance():
            args += self.pick((["{{$}}"], ["--executor-input", "{{$}}"]))
        self.components[f"comp-{name}"] = {
            "executorLabel": f"exec-{name}",
            "inputDefinitions": {"parameters": definitions, "artifacts": artifacts},
            "outputDefinitions": {
                "parameters": {output: {"parameterType": kind} for output, kind in outputs.items()},
                "artifacts": {output: {"artifactType": {"schemaTitle": schema}} for output, schema in made.items()},
            },
        }
        self.executors[f"exec-{name}"] = {"container": {"image": "i", "command": ["run", name], "args": args}}
        task: dict[str, Any] = {
            "componentRef": {"name": f"comp-{name}"},
            "inputs": {"parameters": given, "artifacts": taken},
        }
        if self.chance():
            task["retryPolicy"] = {"maxRetryCount": self.draw(st.integers(0, 2)), "backoffDuration": "1s"}
        return task, Sources(list(outputs.items()), list(made.items()))  # type: ignore[arg-type]

    def parameters(self, sources: Sources) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        """Inputs of a step: how they are declared, where they come from, and how they are written in its command."""
        definitions: dict[str, Any] = {}
        given: dict[str, Any] = {}
        args: list[str] = []
        for n in range(self.draw(st.integers(0, 3))):
            kind, name = self.pick(TYPES), f"i{n}"
            declared: dict[str, Any] = {"parameterType": kind}
            placeholder = f"{{{{$.inputs.parameters['{name}']}}}}"
            way = self.pick(("constant", "source", "text", "default", "absent"))
            fitting = sources.of(kind)
            scalars = [source for source, other in sources.parameters if other in SCALARS]
            if way == "source" and fitting:
                given[name] = self.pick(fitting)
            elif way == "text" and scalars:
                declared["parameterType"] = "STRING"
                given[f"pipelinechannel--{name}"] = self.pick(scalars)
                inside = f"{{{{$.inputs.parameters['pipelinechannel--{name}']}}}}"
                given[name] = {"runtimeValue": {"constant": f"{self.pick(WORDS)}{inside}{self.pick(WORDS)}"}}
            elif way == "default":
                declared |= {"defaultValue": self.draw(VALUES[kind]), "isOptional": True}
            elif way == "absent":
                declared["isOptional"] = True
            else:
                given[name] = {"runtimeValue": {"constant": self.draw(VALUES[kind])}}
            definitions[name] = declared
            args.append(placeholder if way != "absent" and self.chance() else self.structure(name, placeholder))
            if way == "absent":
                args[-1] = '{"IfPresent": {"InputName": "%s", "Then": ["%s"], "Else": ["none"]}}' % (name, placeholder)  # noqa: UP031
        return definitions, given, args

    def structure(self, name: str, placeholder: str) -> str:
        return self.pick(
            (
                '{"Concat": ["<", "%s", ">"]}' % placeholder,  # noqa: UP031
                '{"IfPresent": {"InputName": "%s", "Then": ["--given", "%s"], "Else": "no"}}' % (name, placeholder),  # noqa: UP031
            )
        )

    # ----------------------------------------------------------------------------------------------------- a graph

    def subgraph(self, name: str, sources: Sources, depth: int) -> tuple[dict[str, Any], Sources]:
        task, inside, definitions = self.passed(sources)
        dag, outputs = self.graph(inside, depth + 1)
        published = self.publish(dag, outputs)
        self.components[f"comp-{name}"] = {
            "dag": dag,
            "inputDefinitions": definitions,
            "outputDefinitions": {
                "parameters": {key: {"parameterType": DECLARED.get(kind, kind)} for key, kind in published.parameters},
                "artifacts": {key: {"artifactType": {"schemaTitle": schema}} for key, schema in published.artifacts},
            },
        }
        return {"componentRef": {"name": f"comp-{name}"}, **task}, published

    def branches(self, name: str, sources: Sources, depth: int) -> tuple[dict[str, Any], Sources]:
        """A graph of two graphs, one of which runs, with the outputs of that one."""
        task, inside, definitions = self.passed(sources)
        dag, outputs = self.graph(Sources(list(inside.parameters), list(inside.artifacts)), depth + 1)
        published = self.publish(dag, Outputs(outputs.parameters, outputs.artifacts))
        declared = {
            "parameters": {key: {"parameterType": DECLARED.get(kind, kind)} for key, kind in published.parameters},
            "artifacts": {key: {"artifactType": {"schemaTitle": schema}} for key, schema in published.artifacts},
        }
        # Both branches are the same component with the same inputs, and its outputs are those of either.
        whole = {
            "parameters": {name: {"componentInputParameter": name} for name in definitions["parameters"]},
            "artifacts": {name: {"componentInputArtifact": name} for name in definitions["artifacts"]},
        }
        test = self.condition({key: part["parameterType"] for key, part in definitions["parameters"].items()})
        self.components[f"comp-{name}-one"] = {
            "dag": dag,
            "inputDefinitions": definitions,
            "outputDefinitions": declared,
        }
        names = {f"{name}-if": test, f"{name}-else": f"!({test})"}
        self.components[f"comp-{name}"] = {
            "dag": {
                "tasks": {
                    branch: {"componentRef": {"name": f"comp-{name}-one"}, "inputs": whole, "triggerPolicy": {"condition": text}}
                    for branch, text in names.items()
                },
                "outputs": {
                    "parameters": {
                        key: {"valueFromOneof": {"parameterSelectors": [{"producerSubtask": branch, "outputParameterKey": key} for branch in names]}}
                        for key, _ in published.parameters
                    },
                    "artifacts": {
                        key: {"artifactSelectors": [{"producerSubtask": branch, "outputArtifactKey": key} for branch in names]}
                        for key, _ in published.artifacts
                    },
                },
            },
            "inputDefinitions": definitions,
            "outputDefinitions": declared,
        }  # fmt: skip
        return {"componentRef": {"name": f"comp-{name}"}, **task}, published

    def condition(self, inputs: dict[str, str]) -> str:
        """A comparison as dsl.If writes it."""
        known = {name: kind for name, kind in inputs.items() if kind in SCALARS}
        if not known:
            return "'a' == 'b'"
        name = self.pick(sorted(known))
        value = f"inputs.parameter_values['{name}']"
        return {
            "STRING": f"{value} == 'plain'",
            "NUMBER_INTEGER": f"int({value}) > 1",
            "NUMBER_DOUBLE": f"{value} <= 0.5",
            "BOOLEAN": f"{value} == true",
        }[known[name]]

    def loop(self, name: str, sources: Sources, depth: int) -> tuple[dict[str, Any], Sources]:
        task, inside, definitions = self.passed(sources)
        # Lists of the pipeline's parameters may be empty, which Argo does not collect from.
        lists = [source for source, kind in sources.parameters if kind == "LIST" and "taskOutputParameter" in source]
        iterator: dict[str, Any] = {"itemInput": "item"}
        if lists and self.pick((True, True, False)):
            task["inputs"]["parameters"]["items"] = self.pick(lists)
            definitions["parameters"]["items"] = {"parameterType": "LIST"}
            iterator["items"] = {"inputParameter": "items"}
        else:
            chosen = self.draw(st.lists(st.sampled_from(ITEMS), min_size=1, max_size=3, unique=True))
            iterator["items"] = {"raw": str(chosen).replace("'", '"')}
        inside.parameters.append(({"componentInputParameter": "item"}, "ITEM"))
        definitions["parameters"]["item"] = {"parameterType": "STRING"}
        dag, outputs = self.graph(inside, depth + 1)
        published = self.publish(dag, Outputs(outputs.parameters))
        self.components[f"comp-{name}"] = {
            "dag": dag,
            "inputDefinitions": definitions,
            "outputDefinitions": {"parameters": {key: {"parameterType": "LIST"} for key, _ in published.parameters}},
        }
        task |= {"componentRef": {"name": f"comp-{name}"}, "parameterIterator": iterator}
        if self.chance():
            task["iteratorPolicy"] = {"parallelismLimit": self.draw(st.integers(0, 2))}
        return task, Sources([(key, "COLLECTED") for key, _ in published.parameters])  # type: ignore[list-item]

    def passed(self, sources: Sources) -> tuple[dict[str, Any], Sources, dict[str, Any]]:
        """Some sources passed on into a graph: the task's inputs, what the graph sees, its definitions."""
        parameters = [source for source in sources.parameters if self.chance()][:4]
        artifacts = [source for source in sources.artifacts if self.chance()][:2]
        inputs = {
            "parameters": {f"q{n}": source for n, (source, _) in enumerate(parameters)},
            "artifacts": {f"b{n}": source for n, (source, _) in enumerate(artifacts)},
        }
        inside = Sources(
            [({"componentInputParameter": f"q{n}"}, kind) for n, (_, kind) in enumerate(parameters)],
            [({"componentInputArtifact": f"b{n}"}, schema) for n, (_, schema) in enumerate(artifacts)],
        )
        definitions = {
            "parameters": {
                f"q{n}": {"parameterType": DECLARED.get(kind, kind)} for n, (_, kind) in enumerate(parameters)
            },
            "artifacts": {f"b{n}": {"artifactType": {"schemaTitle": s}} for n, (_, s) in enumerate(artifacts)},
        }
        return {"inputs": inputs}, inside, definitions

    def publish(self, dag: dict[str, Any], outputs: Outputs) -> Sources:
        """Some outputs of a graph's tasks as its own."""
        parameters = {f"r{n}": one for n, one in enumerate(outputs.parameters) if one[2] != "ITEM" and self.chance()}
        artifacts = {f"s{n}": one for n, one in enumerate(outputs.artifacts) if self.chance()}
        dag["outputs"] = {
            "parameters": {
                key: {"valueFromParameter": {"producerSubtask": task, "outputParameterKey": output}}
                for key, (task, output, _) in parameters.items()
            },
            "artifacts": {
                key: {"artifactSelectors": [{"producerSubtask": task, "outputArtifactKey": output}]}
                for key, (task, output, _) in artifacts.items()
            },
        }
        return Sources(
            [(key, one[2]) for key, one in parameters.items()],  # type: ignore[misc]
            [(key, one[2]) for key, one in artifacts.items()],  # type: ignore[misc]
        )

    def exit_handler(self, dag: dict[str, Any], sources: Sources) -> None:
        name = self.fresh("exit")
        task, _ = self.step(name, sources, 0)
        task["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
        task["dependentTasks"] = list(dag["tasks"])
        dag["tasks"][name] = task


@st.composite
def pipelines(draw: Any) -> dict[str, Any]:
    """A compiled pipeline as the mapping that is written to YAML."""
    return Maker(draw).pipeline()
