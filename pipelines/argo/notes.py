"""What a pipeline says that changes nothing on Argo: left out, and said."""

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
    found += [
        f"{place}.tasks.{task.name}: cache_key '{task.cache_key}' is left out: on Argo every step runs"
        for place, dag in pipeline.graphs.items()
        for task in dag.tasks.values()
        if task.cache_key
    ]
    return found
