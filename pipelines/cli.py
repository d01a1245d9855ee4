"""The ``vqi`` command. What needs torch or kfp is imported by the commands that use it."""

from __future__ import annotations

import csv
import json
import logging
import os
import sys
from pathlib import Path

import click

from vqi import __version__
from vqi.errors import VqiError
from vqi.system.processor import granted_cpus
from vqi_pipelines.command_line import known_errors, kubeflow_options, parameter_options
from vqi_pipelines.kubeflow import KubeflowSettings
from vqi_pipelines.submit import submit

MOST_PARALLEL = 4  # steps at once unless --parallelism says otherwise


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="vqi")
def main() -> None:
    """Visual quality inspection: learn what good parts look like, flag what is not.

    \b
    Start here:
      vqi run                                  the whole pipeline on the embedded dataset
      vqi run -p source=folder:/data/parts     on your own photographs
      vqi predict store/models/elpv/mono IMAGE... score new images with the newest model
    """


main.add_command(submit)


@main.command()
@parameter_options
@click.option(
    "--runs-dir", default="runs", show_default=True, type=click.Path(path_type=Path), help="Where runs are written."
)
@click.option(
    "--store", "store", metavar="URI", help="Datasets and models: a folder or s3://bucket. [$VQI_STORE or ./store]"
)
@click.option(
    "--artifacts", metavar="URI", help="Pass every artifact through this object store, as s3://bucket/prefix."
)
@click.option("--parallelism", type=click.IntRange(1), help=f"Steps at once. [cores, at most {MOST_PARALLEL}]")
@click.option(
    "--no-cache", is_flag=True, help="Run every step, also those whose inputs, parameters and code did not change."
)
@click.option(
    "--launcher",
    type=click.Choice(["subprocess", "podman", "docker"]),
    default="subprocess",
    show_default=True,
    help="How each step is started: as a subprocess, or as a container of the images that 'make images' builds.",
)
@known_errors
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
    The results come to stand in runs/latest: table.md, table.csv, table.html, and a folder a
    category with its report.html. The same command again goes on where a run stopped.
    Parameters: 'vqi parameters' lists them with their defaults.
    """
    from vqi_pipelines.compiled import pipeline_to_run
    from vqi_pipelines.ir import read_ir
    from vqi_pipelines.local import run_pipeline
    from vqi_pipelines.local.containers import Containers
    from vqi_pipelines.local.launch import Subprocesses
    from vqi_pipelines.local.progress import observer_for
    from vqi_pipelines.parameters import absolute_paths, check_parameters, check_ranges, read_parameters

    pipeline = read_ir(pipeline_to_run())
    parameters = check_parameters(pipeline, read_parameters(files, assignments))
    check_ranges(parameters)
    parameters = absolute_paths(parameters)
    result = run_pipeline(
        pipeline,
        parameters,
        runs_dir=runs_dir,
        parallelism=parallelism or min(granted_cpus(), MOST_PARALLEL),
        use_cache=not no_cache,
        artifacts=artifacts,
        environment={"VQI_STORE": store_uri(store)},
        observer=observer_for(sys.stdout),
        launcher=Subprocesses() if launcher == "subprocess" else Containers(launcher),
    )
    sys.exit(result.exit_code)


def store_uri(given: str | None) -> str:
    """The store of datasets and models: what is given, ``$VQI_STORE``, or ``store``; a path becomes absolute."""
    uri = given or os.environ.get("VQI_STORE") or "store"
    return uri if "://" in uri else f"file://{Path(uri).absolute()}"


@main.command()
@known_errors
def parameters() -> None:
    """List the pipeline's parameters: name, default, meaning; and the keys of 'finetune'."""
    from vqi_pipelines.compiled import pipeline_to_run
    from vqi_pipelines.ir import read_ir
    from vqi_pipelines.parameters import describe_finetune, describe_parameters

    for name, default, meaning in describe_parameters(read_ir(pipeline_to_run())):
        click.echo(f"{click.style(name, bold=True)} = {default}\n    {meaning}")
    for method, keys in describe_finetune():
        click.echo(
            f"\nkeys of finetune for method {click.style(method, bold=True)}, as -p finetune='{{\"patience\": 3}}'"
        )
        for name, default, meaning in keys:
            click.echo(f"  {click.style(name, bold=True)} = {default}\n      {meaning}")


@main.command("compile")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--output", default="manifests", show_default=True, type=click.Path(path_type=Path), help="Folder to write to."
)
@click.option("--target", "targets", multiple=True, type=click.Choice(["argo", "kubeflow"]), help="Repeatable. [both]")
@kubeflow_options
@known_errors
def compile_command(file: Path | None, output: Path, targets: tuple[str, ...], settings: KubeflowSettings) -> None:
    """Compile the training pipeline, or the pipelines that a Python FILE defines.

    \b
    kubeflow   IR YAML, for Kubeflow Pipelines
    argo       plain Argo Workflows YAML, of pipelines of container components; what has no
               equivalent there is refused by name

    The options from --registry on are for the training pipeline on Kubeflow; for Argo the chart has them.
    """
    try:
        from vqi_pipelines.manifests import TARGETS, write_manifests, write_other
    except ModuleNotFoundError as error:
        raise VqiError(f"compiling needs the package '{error.name}': pip install 'vqi[pipelines]'") from error

    chosen = targets or TARGETS
    if file and settings != KubeflowSettings():
        raise VqiError(f"{file}: --registry and the options after it are for the training pipeline: leave them out")
    for path in write_other(file, output, chosen) if file else write_manifests(output, chosen, settings):
        click.echo(path)


@main.command()
@click.argument("backbone")
@click.option("--image-size", default=224, show_default=True, type=click.IntRange(32, 2048), help="Pixels a side.")
@known_errors
def layers(backbone: str, image_size: int) -> None:
    """List the layers of a BACKBONE with the shape of their output (channels, height, width)."""
    from vqi.network.backbones import build, layer_shapes

    for name, kind, shape in layer_shapes(build(backbone, "random", image_size=image_size), image_size):
        click.echo(f"{name:40} {kind:24} {' x '.join(map(str, shape))}")


@main.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True, help="Of the output."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; standard output when not given.")
@click.option(
    "--maps",
    type=click.Path(path_type=Path),
    help="Folder that receives a PNG a picture, with the anomaly map over it.",
)
@known_errors
def predict(model: str, images: tuple[Path, ...], form: str, output: Path | None, maps: Path | None) -> None:
    """Score IMAGES (files or folders) with a published MODEL.

    MODEL is the folder or uri of a version (store/models/elpv/mono/v1), or of a category for its newest version.
    """
    from vqi.models.model import Model, image_files, write_overlays

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    predictions = Model(model).predict(image_files(images))
    rows = [{"path": p.path, "score": p.score, "threshold": p.threshold, "decision": p.decision} for p in predictions]
    if maps is not None:
        write_overlays(maps, predictions)
    with click.open_file(str(output or "-"), "w", encoding="utf-8") as file:
        if form == "json":
            file.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        else:
            table = csv.DictWriter(file, ["path", "score", "threshold", "decision"], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
