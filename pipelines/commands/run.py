"""``vqi run``: the pipeline on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from vqi_pipelines.commands.options import LocalPath, parameter_options

MOST_PARALLEL = 4  # steps at the same time unless --parallelism is given


@click.command()
@parameter_options
@click.option("--runs-dir", default="runs", show_default=True, type=LocalPath(), help="Where runs are written.")
@click.option(
    "--store", "store", metavar="URI", help="Datasets and models: a folder or s3://bucket. [$VQI_STORE or ./store]"
)
@click.option(
    "--artifacts", metavar="URI", help="Pass every artifact through this object store, such as s3://bucket/prefix."
)
@click.option("--parallelism", type=click.IntRange(1), help=f"Steps at a time. [cores, at most {MOST_PARALLEL}]")
@click.option(
    "--no-cache", is_flag=True, help="Run every step, even if its inputs, parameters and code did not change."
)
@click.option(
    "--launcher",
    type=click.Choice(["subprocess", "podman", "docker"]),
    default="subprocess",
    show_default=True,
    help="How each step is started: as a subprocess, or as a container of the images that 'make images' builds.",
)
def run(
    files: tuple[Path, ...],
    assignments: tuple[str, ...],
    runs_dir: Path,
    store: str | None,
    artifacts: str | None,
    parallelism: int | None,
    no_cache: bool,
    launcher: str,
) -> None:
    """Run the training pipeline on this machine.

    \b
    The results are written to runs/latest: table.md, table.csv, table.html, and one folder per
    category with its report.html. The same command again continues where a run stopped.
    Parameters: 'vqi parameters' lists them with their defaults.
    """
    from vqi.store.opening import STORE, check_store, store_uri
    from vqi.system.processor import granted_cpus
    from vqi_pipelines.compiled import pipeline_to_run
    from vqi_pipelines.ir import read_ir
    from vqi_pipelines.local import run_pipeline
    from vqi_pipelines.local.launchers import launcher_of
    from vqi_pipelines.local.progress import observer_for
    from vqi_pipelines.parameters import absolute_paths, check_parameters, check_ranges, read_parameters
    from vqi_pipelines.results import results_of

    pipeline = read_ir(pipeline_to_run())
    parameters = check_parameters(pipeline, read_parameters(files, assignments))
    check_ranges(parameters)
    parameters = absolute_paths(parameters)
    place = store_uri({STORE: store or os.environ.get(STORE) or "store"})
    for uri in (place, *([artifacts] if artifacts else [])):
        check_store(uri)
    result = run_pipeline(
        pipeline,
        parameters,
        runs_dir=runs_dir,
        parallelism=parallelism or min(granted_cpus(), MOST_PARALLEL),
        use_cache=not no_cache,
        artifacts=artifacts,
        environment={STORE: place},
        observer=observer_for(sys.stdout, results_of),
        launcher=launcher_of(launcher),
    )
    sys.exit(result.exit_code)
