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
            # Argo 4.0.2 never starts a task that takes what a loop collects where all of the loop failed
            found += [
                f"{where}: ignore_upstream_failure does not hold for '{name}', whose output it takes: on Argo it runs "
                "only where all of that succeeded"
                for name in (sorted(task.producers) if task.always else ())
            ]
    return found
