"""What the reader makes of a compiled pipeline: its graph of tasks, typed and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """An input or output parameter."""

    name: str
    type: str  # NUMBER_INTEGER | NUMBER_DOUBLE | STRING | BOOLEAN | LIST | STRUCT
    default: Any = None
    optional: bool = False
    description: str = ""


@dataclass(frozen=True)
class Artifact:
    """An input or output artifact."""

    name: str
    schema: str  # such as system.HTML
    optional: bool = False


@dataclass(frozen=True)
class FromConstant:
    """A value that is written in the pipeline."""

    value: Any


@dataclass(frozen=True)
class FromInput:
    """An input of the graph that the task is in."""

    name: str


@dataclass(frozen=True)
class FromTask:
    """An output of another task of the same graph."""

    task: str
    output: str


@dataclass(frozen=True)
class Comparison:
    """A comparison of two values of one type, or its opposite."""

    left: FromConstant | FromInput  # an input of the task's own component
    operator: str  # == != < <= > >=
    right: FromConstant | FromInput
    type: str  # STRING | NUMBER_DOUBLE | BOOLEAN
    negated: bool = False


Source = FromConstant | FromInput | FromTask
ArtifactSource = FromInput | FromTask


@dataclass(frozen=True)
class Loop:
    """A task that runs once for each item of a list."""

    items: FromConstant | FromInput  # an input of the task's own component
    item_input: str
    parallelism: int | None = None


@dataclass(frozen=True)
class Retry:
    """How often a failed step is tried again, and how long to wait."""

    max_retries: int
    backoff_seconds: float = 0.0
    backoff_factor: float = 2.0
    backoff_max_seconds: float = 3600.0


@dataclass(frozen=True)
class Task:
    """A component at its place in a graph."""

    name: str
    component: str
    after: tuple[str, ...] = ()  # all tasks that it waits for
    parameters: Mapping[str, Source] = field(default_factory=dict)
    artifacts: Mapping[str, ArtifactSource] = field(default_factory=dict)
    loop: Loop | None = None
    cache: bool = False
    cache_key: str = ""  # chosen by the author; no backend but Kubeflow has it
    retry: Retry | None = None
    condition: tuple[Comparison, ...] = ()  # it runs if all of them hold, otherwise it is skipped
    always: bool = False  # runs even if tasks that it waits for failed

    @property
    def is_exit_handler(self) -> bool:
        """Whether it runs at the end of all others, and takes nothing from them."""
        return self.always and not self.producers

    @property
    def producers(self) -> frozenset[str]:
        """The tasks whose outputs it takes."""
        sources = [*self.parameters.values(), *self.artifacts.values()]
        return frozenset(source.task for source in sources if isinstance(source, FromTask))

    def tolerates(self, name: str) -> bool:
        """Whether it runs whatever became of a task before it; what it takes from others has to be there."""
        return self.always and not self.is_exit_handler and name not in self.producers


Choices = tuple[FromTask, ...]  # the first of them whose task was not skipped; one, if it cannot be


@dataclass(frozen=True)
class Dag:
    """A graph of tasks, each after those that it waits for."""

    tasks: Mapping[str, Task]
    outputs: Mapping[str, Choices] = field(default_factory=dict)
    artifact_outputs: Mapping[str, Choices] = field(default_factory=dict)


@dataclass(frozen=True)
class KeptValue:
    """An environment variable whose value a Secret or ConfigMap of the cluster holds."""

    variable: str
    kind: str  # Secret | ConfigMap
    object: str
    key: str
    optional: bool = False


@dataclass(frozen=True)
class Toleration:
    """A taint of nodes that a step may run on nevertheless."""

    key: str = ""
    operator: str = "Equal"  # Equal | Exists
    value: str = ""
    effect: str = ""
    seconds: int | None = None


@dataclass(frozen=True)
class Claim:
    """A PersistentVolumeClaim that is mounted into a step at a path."""

    name: str
    path: str


@dataclass(frozen=True)
class PodSettings:
    """The settings of a step's pod from kfp-kubernetes. They matter only on a cluster."""

    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    env: tuple[KeptValue, ...] = ()
    claims: tuple[Claim, ...] = ()
    pull_policy: str | None = None  # Always | IfNotPresent | Never
    deadline_seconds: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """What a step runs."""

    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    resources: Mapping[str, Any] = field(default_factory=dict)
    pod: PodSettings = field(default_factory=PodSettings)


@dataclass(frozen=True)
class Component:
    """A container step or a graph, with its inputs and outputs."""

    name: str
    inputs: Mapping[str, Parameter]
    input_artifacts: Mapping[str, Artifact]
    outputs: Mapping[str, Parameter]
    output_artifacts: Mapping[str, Artifact]
    container: Container | None = None
    dag: Dag | None = None


@dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline."""

    name: str
    description: str
    inputs: Mapping[str, Parameter]
    root: Dag
    components: Mapping[str, Component]
    display_name: str = ""
    storage_root: str = ""  # where Kubeflow stores artifacts

    @property
    def graphs(self) -> dict[str, Dag]:
        """All graphs by their place in the IR, its own first."""
        inner = {f"components.{key}.dag": part.dag for key, part in self.components.items() if part.dag}
        return {"root.dag": self.root, **inner}
