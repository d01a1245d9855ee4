"""``vqi compile``: the pipeline for the other backends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vqi.errors import VqiError
from vqi_pipelines.commands.options import LocalPath, kubeflow_options

if TYPE_CHECKING:
    from vqi_pipelines.kubeflow import KubeflowSettings


@click.command("compile")
@click.argument("file", required=False, type=LocalPath())
@click.option("--output", default="manifests", show_default=True, type=LocalPath(), help="Folder to write to.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    type=click.Choice(["argo", "kubeflow", "local"]),
    help="Repeatable. [argo and kubeflow; all of them without a FILE]",
)
@kubeflow_options
def compile_command(file: Path | None, output: Path, targets: tuple[str, ...], settings: KubeflowSettings) -> None:
    """Compile the training pipeline, or those of a FILE: Python with @dsl.pipeline, or YAML that kfp compiled.

    \b
    kubeflow   IR YAML, for Kubeflow Pipelines
    argo       plain Argo Workflows YAML; what has no equivalent there is refused by name, and what
               changes nothing there is left out with a note
    local      the IR as kfp writes it, for 'vqi run' and the container images

    Steps are container components (@dsl.container_component) or Python components (@dsl.component). A pod of the
    latter installs kfp from a package index when it starts, unless its image has it (install_kfp_package=False).

    The options from --registry on are for the training pipeline on Kubeflow; for Argo use the chart's values.
    """
    from vqi_pipelines.kubeflow import KubeflowSettings
    from vqi_pipelines.manifests import TARGETS, TRAINING_TARGETS, write_manifests, write_other

    chosen = targets or (TARGETS if file else TRAINING_TARGETS)
    if file and settings != KubeflowSettings():
        raise VqiError(f"{file}: --registry and the options after it are for the training pipeline: leave them out")
    if "kubeflow" not in chosen and settings != KubeflowSettings():
        raise VqiError(
            "--registry and the options after it are for Kubeflow: add --target kubeflow, or leave them out "
            "(for Argo use the chart's values)"
        )
    if file is None:
        paths = write_manifests(output, chosen, settings)
    else:
        written = write_other(file, output, chosen)
        paths = written.paths
        for note in written.notes:
            click.echo(f"note: {note}", err=True)
    for path in paths:
        click.echo(path)
