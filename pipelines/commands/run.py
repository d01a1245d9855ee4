"""``vqi run``: the pipeline on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqi.errors import VqiError
from vqi_pipelines.commands.options import parameter_options, runs_dir_option

if TYPE_CHECKING:
    from vqi_pipelines.ir.graph import Pipeline
    from vqi_pipelines.local.state import RunState

MOST_PARALLEL = 4  # steps at the same time unless --parallelism is given
_MOST_IMAGES = 3  # in one line


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--pipeline", "name", metavar="NAME", help="Which pipeline of FILE, if it defines several.")
@parameter_options
@runs_dir_option
@click.option(
    "--store", "store", metavar="URI", help="Datasets and models: a folder or s3://bucket. [$VQI_STORE or ./store]"
)
@click.option(
    "--artifacts", metavar="URI", help="Pass every artifact through this object store, such as s3://bucket/prefix."
)
@click.option("--parallelism", type=click.IntRange(1), help=f"Steps at a time. [cores, at most {MOST_PARALLEL}]")
@click.option(
    "--no-cache",
    is_flag=True,
    help="Run every step, even if its inputs, parameters and code did not change; of the training pipeline, also for "
    "unchanged categories, as with -p retrain_if=always.",
)
@click.option(
    "--note",
    default="",
    metavar="TEXT",
    help="What this run is for: 'vqi runs' shows it, 'vqi gc' leaves the run alone.",
)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="NAME",
    help="For 'vqi runs --tag'; repeatable. 'vqi gc' leaves a run with the tag keep alone.",
)
@click.option(
    "--launcher",
    type=click.Choice(["subprocess", "podman", "docker"]),
    default="subprocess",
    show_default=True,
    help="How each step is started: as a subprocess, or as a container of the images that 'make images' builds.",
)
def run(
    file: Path | None,
    name: str | None,
    files: tuple[Path, ...],
    assignments: tuple[str, ...],
    runs_dir: Path,
    store: str | None,
    artifacts: str | None,
    parallelism: int | None,
    no_cache: bool,
    note: str,
    tags: tuple[str, ...],
    launcher: str,
) -> None:
    """Run the training pipeline on this machine, or that of a FILE: Python with @dsl.pipeline, or compiled YAML.

    \b
    The results are written to runs/latest: table.md, table.csv, table.html, and one folder per
    category with its report.html. The same command again continues where a run stopped.
    Parameters: 'vqi parameters' lists them with their defaults.

    \b
    A step of a FILE runs its command with the programs and packages of this machine, not with those of
    its image: one whose program is not installed fails. With --launcher podman or docker it runs in its
    image, which must be on this machine, with an image of its own user, without a network. A Python
    component (@dsl.component) gets the packages that are installed here.
    """
    from vqi.store.opening import STORE, absolute_places, check_places, check_store, open_store, store_uri
    from vqi.system.processor import granted_cpus
    from vqi_pipelines.local import run_pipeline
    from vqi_pipelines.local.launchers import launcher_of
    from vqi_pipelines.local.progress import observer_for
    from vqi_pipelines.local.run_record import note_of
    from vqi_pipelines.parameters import read_parameters
    from vqi_pipelines.runs.durations import expected_of

    if name and file is None:
        raise VqiError("--pipeline: it names a pipeline of a FILE: add the file, or leave it out")
    said = note_of(note, tags)
    given = read_parameters(files, assignments)
    pipeline, parameters = _training(given, no_cache) if file is None else _of_file(file, name, given)
    if file is not None and launcher == "subprocess":
        click.echo(f"note: steps run with the programs of this machine, not in {_images(pipeline)}", err=True)
    kept = store_uri({STORE: store or os.environ.get(STORE) or "store"})
    for uri in (kept, *([artifacts] if artifacts else [])):
        check_store(uri)
    open_store(kept).check()
    check_places([artifacts or "", *map(str, parameters.values())])
    result = run_pipeline(
        pipeline,
        parameters,
        runs_dir=runs_dir,
        parallelism=parallelism or min(granted_cpus(), MOST_PARALLEL),
        use_cache=not no_cache,
        artifacts=artifacts,
        environment={STORE: kept, **absolute_places(os.environ)},
        observer=observer_for(sys.stdout, _results(file)),
        launcher=launcher_of(launcher),
        note=said,
        expected=expected_of(runs_dir, pipeline.name, parameters),
    )
    from vqi_pipelines.runs.index import renew_index  # after the run: it takes long to import

    if index := renew_index(result.folder.parent):
        result.note(f"all runs: {index}")
    sys.exit(result.exit_code)


def _training(given: Mapping[str, Any], everything: bool) -> tuple[Pipeline, dict[str, Any]]:
    """The training pipeline with its parameters, checked against the steps' own models; ``everything``: whether
    unchanged categories are trained, too, where the parameters say nothing of it."""
    from vqi_pipelines.compiled import pipeline_to_run
    from vqi_pipelines.ir import read_ir
    from vqi_pipelines.parameters import absolute_paths, check_parameters, check_ranges

    pipeline = read_ir(pipeline_to_run())
    parameters = check_parameters(pipeline, {"retrain_if": "always", **given} if everything else given)
    check_ranges(parameters)
    return pipeline, absolute_paths(parameters)


def _of_file(file: Path, name: str | None, given: Mapping[str, Any]) -> tuple[Pipeline, dict[str, Any]]:
    from vqi_pipelines.definition import chosen_of
    from vqi_pipelines.ir import read_ir
    from vqi_pipelines.parameters import check_parameters

    pipeline = read_ir(chosen_of(file, name).ir)
    return pipeline, check_parameters(pipeline, given)


def _images(pipeline: Pipeline) -> str:
    names = sorted({part.container.image for part in pipeline.components.values() if part.container})
    more = " ..." if len(names) > _MOST_IMAGES else ""
    return f"the image {names[0]}" if len(names) == 1 else f"the images {', '.join(names[:_MOST_IMAGES])}{more}"


def _results(file: Path | None) -> Callable[[RunState], list[str]]:
    from vqi_pipelines.results import outputs_of, results_of

    return results_of if file is None else outputs_of
