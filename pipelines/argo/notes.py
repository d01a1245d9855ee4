"""What a pipeline says that Argo has no equal for and can do without: left out, and said."""

from __future__ import annotations

from vqi_pipelines.ir.graph import Pipeline


def left_out(pipeline: Pipeline) -> list[str]:
    """One line for each."""
    found = []
    if pipeline.storage_root:
        found.append(
            f"{pipeline.name}: pipeline_root '{pipeline.storage_root}' is left out: artifacts are stored in Argo's own "
            "artifact repository"
        )
    for place, dag in pipeline.graphs.items():
        for task in dag.tasks.values():
            where = f"{place}.tasks.{task.name}"
            if task.cache_key:
                found.append(f"{where}: cache_key '{task.cache_key}' is left out: on Argo every step runs")
            if task.always and task.producers:
                # Argo 4.0.2 never starts a task that takes what a loop collects where all of the loop failed
                found.append(f"{where}: ignore_upstream_failure is left out: on Argo it needs all of the loop")
    return found
