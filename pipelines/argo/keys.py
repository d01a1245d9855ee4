"""Where artifacts are stored in the object store: ``<workflow>/<step>/<items of the loops around it>/<artifact>``.

A template does not know its caller, so the caller passes its place: a step gets ``key-prefix``, a graph ``loop-path``,
each either empty or ending with ``/``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vqi.errors import VqiError
from vqi_pipelines.argo.arguments import ITEM_FOLDER, input_parameter
from vqi_pipelines.ir.graph import Component, Dag, FromConstant, Pipeline, Task
from vqi_pipelines.ir.names import item_labels

KEY_PREFIX, LOOP_PATH = "key-prefix", "loop-path"
WORKFLOW = "{{workflow.name}}"


def makes_artifacts(pipeline: Pipeline, component: Component) -> bool:
    """Whether a component, or a step somewhere in its graph, has an output artifact."""
    if component.dag is None:
        return bool(component.output_artifacts)
    return any(makes_artifacts(pipeline, pipeline.components[task.component]) for task in component.dag.tasks.values())


def artifact_key(prefix: str, file: str) -> str:
    """The key of an output of a step."""
    return f"{prefix}{WORKFLOW}/{input_parameter(KEY_PREFIX)}{file}"


def path_argument(component: Component, task: Task, label: str, *, is_root: bool) -> tuple[str, str]:
    """The name and value of the argument with the place from which a template is called."""
    path = "" if is_root else input_parameter(LOOP_PATH)
    if component.container:
        return KEY_PREFIX, f"{label}/{path}"
    return LOOP_PATH, path + (f"{ITEM_FOLDER}/" if task.loop else f"{label}/")


@dataclass(frozen=True)
class _Place:
    """Where a step's artifacts are stored; None for the items of a loop, which are known only at run time."""

    step: str
    path: tuple[str | None, ...]
    ir: str

    def may_meet(self, other: _Place) -> bool:
        """Whether the two can be the same place."""
        return (
            self.step == other.step
            and len(self.path) == len(other.path)
            and all(a is None or b is None or a == b for a, b in zip(self.path, other.path, strict=True))
        )


def check_keys(pipeline: Pipeline) -> None:
    """Check that no two steps write to the same place and no item leads out of its folder.

    Raises:
        VqiError: They could; with both places in the IR.
    """
    seen: dict[str, list[_Place]] = {}
    for place in _places(pipeline, pipeline.root, (), "root.dag"):
        for other in seen.setdefault(place.step, []):
            if place.may_meet(other):
                raise VqiError(
                    f"{place.ir}: its artifacts and those of {other.ir} would have the same keys: rename one"
                )
        seen[place.step].append(place)


def _places(pipeline: Pipeline, dag: Dag, path: tuple[str | None, ...], ir: str) -> Iterator[_Place]:
    for task in dag.tasks.values():
        component = pipeline.components[task.component]
        if not makes_artifacts(pipeline, component):
            continue
        place = f"{ir}.tasks.{task.name}"
        if component.dag is None:
            yield _Place(task.name, path, place)
            continue
        _check_items(task, place)
        inside = (*path, None if task.loop else task.name)
        yield from _places(pipeline, component.dag, inside, f"{place}.{task.component}.dag")


def _check_items(task: Task, place: str) -> None:
    """Constant items must be valid and different folder names."""
    if task.loop is None or not isinstance(task.loop.items, FromConstant):
        return
    items = task.loop.items.value
    for index, label in enumerate(item_labels(items)):
        if label == f"item-{index}":
            raise VqiError(
                f"{place}.parameterIterator.items[{index}]: {items[index]!r} cannot be part of an artifact's key: "
                "expected different items of letters, digits and '._- '"
            )
