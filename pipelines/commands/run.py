"""``vqi run``: the pipeline on this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqi.errors import VqiError
from vqi_pipelines.commands.options import parameter_options
from vqi_pipelines.commands.running import Running, run_options

if TYPE_CHECKING:
    from vqi_pipelines.ir.graph import Pipeline

_MOST_IMAGES = 3  # in one line


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--pipeline", "name", metavar="NAME", help="Which pipeline of FILE, if it defines several.")
@parameter_options
@run_options
def run(
    file: Path | None,
    name: str | None,
    files: tuple[Path, ...],
    assignments: tuple[str, ...],
    running: Running,
) -> None:
    """Run the training pipeline on this machine, or that of a FILE: Python with @dsl.pipeline, or compiled YAML.

    \b
    The results are written to runs/latest: table.md, table.csv, table.html, and one folder per
    category with its decided_report.html. The same command again continues where a run stopped.
    Parameters: 'vqi parameters' lists them with their defaults.

    \b
    A step of a FILE runs its command with the programs and packages of this machine, not with those of
    its image: one whose program is not installed fails. With --launcher podman or docker it runs in its
    image, which must be on this machine, with an image of its own user, without a network. A Python
    component (@dsl.component) gets the packages that are installed here.
    """
    from vqi_pipelines.parameters import read_parameters

    if name and file is None:
        raise VqiError("--pipeline: it names a pipeline of a FILE: add the file, or leave it out")
    given = read_parameters(files, assignments)
    sys.exit(running.train(given) if file is None else _run_file(file, name, given, running))


def _run_file(file: Path, name: str | None, given: Mapping[str, Any], running: Running) -> int:
    from vqi_pipelines.definition import chosen_of
    from vqi_pipelines.ir import read_ir
    from vqi_pipelines.parameters import check_parameters
    from vqi_pipelines.results import outputs_of

    pipeline = read_ir(chosen_of(file, name).ir)
    parameters = check_parameters(pipeline, given)
    if running.launcher == "subprocess":
        click.echo(f"note: steps run with the programs of this machine, not in {_images(pipeline)}", err=True)
    return running.start(pipeline, parameters, outputs_of)


def _images(pipeline: Pipeline) -> str:
    names = sorted({part.container.image for part in pipeline.components.values() if part.container})
    more = " ..." if len(names) > _MOST_IMAGES else ""
    return f"the image {names[0]}" if len(names) == 1 else f"the images {', '.join(names[:_MOST_IMAGES])}{more}"
