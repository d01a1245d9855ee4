"""How a pipeline is run on this machine: the options of ``vqi run`` and ``vqi train``, and what they do."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from vqi_pipelines.commands.options import runs_dir_option

if TYPE_CHECKING:
    from vqi_pipelines.ir.graph import Pipeline
    from vqi_pipelines.local.state import RunState

Command = TypeVar("Command", bound=Callable[..., Any])

MOST_PARALLEL = 4  # steps at the same time unless --parallelism is given

_OPTIONS = (
    runs_dir_option,
    click.option(
        "--store", "store", metavar="URI", help="Datasets and models: a folder or s3://bucket. [$VQI_STORE or ./store]"
    ),
    click.option(
        "--artifacts", metavar="URI", help="Pass every artifact through this object store, such as s3://bucket/prefix."
    ),
    click.option("--parallelism", type=click.IntRange(1), help=f"Steps at a time. [cores, at most {MOST_PARALLEL}]"),
    click.option(
        "--no-cache",
        is_flag=True,
        help="Run every step, even if its inputs, parameters and code did not change; of the training pipeline, also "
        "for unchanged categories, as with -p retrain_if=always.",
    ),
    click.option(
        "--note",
        default="",
        metavar="TEXT",
        help="What this run is for: 'vqi runs' shows it, 'vqi gc' leaves the run alone.",
    ),
    click.option(
        "--tag",
        "tags",
        multiple=True,
        metavar="NAME",
        help="For 'vqi runs --tag'; repeatable. 'vqi gc' leaves a run with the tag keep alone.",
    ),
    click.option(
        "--launcher",
        type=click.Choice(["subprocess", "podman", "docker"]),
        default="subprocess",
        show_default=True,
        help="How each step is started: as a subprocess, or as a container of the images that 'make images' builds.",
    ),
)


@dataclass(frozen=True)
class Running:
    """What ``run_options`` gives."""

    runs_dir: Path
    store: str | None
    artifacts: str | None
    parallelism: int | None
    no_cache: bool
    note: str
    tags: tuple[str, ...]
    launcher: str

    def start(
        self,
        pipeline: Pipeline,
        parameters: Mapping[str, Any],
        results: Callable[[RunState], list[str]],
        told: Mapping[str, str] = MappingProxyType({}),
    ) -> int:
        """Run a pipeline to its end; returns the exit code.

        Args:
            pipeline: From ``read_ir``.
            parameters: All of its parameters, checked.
            results: What to print at the end.
            told: Environment variables for the steps.

        Raises:
            VqiError: A place cannot be used, or the pipeline cannot run here.
        """
        from vqi.store.opening import STORE, absolute_places, check_places, check_store, open_store, store_uri
        from vqi.system.processor import granted_cpus
        from vqi_pipelines.local import run_pipeline
        from vqi_pipelines.local.launchers import launcher_of
        from vqi_pipelines.local.progress import observer_for
        from vqi_pipelines.local.run_record import note_of
        from vqi_pipelines.runs.durations import expected_of

        said = note_of(self.note, self.tags)
        kept = store_uri({STORE: self.store or os.environ.get(STORE) or "store"})
        for uri in (kept, *([self.artifacts] if self.artifacts else [])):
            check_store(uri)
        open_store(kept).check()
        check_places([self.artifacts or "", *map(str, parameters.values())])
        result = run_pipeline(
            pipeline,
            parameters,
            runs_dir=self.runs_dir,
            parallelism=self.parallelism or min(granted_cpus(), MOST_PARALLEL),
            use_cache=not self.no_cache,
            artifacts=self.artifacts,
            environment={STORE: kept, **absolute_places(os.environ), **told},
            observer=observer_for(sys.stdout, results),
            launcher=launcher_of(self.launcher),
            note=said,
            expected=expected_of(self.runs_dir, pipeline.name, parameters),
        )
        from vqi_pipelines.runs.index import renew_index  # after the run: they take long to import
        from vqi_pipelines.runs.links import complete_pages

        complete_pages(result.folder)
        if index := renew_index(result.folder.parent):
            result.note(f"all runs: {index}")
        return result.exit_code

    def train(self, given: Mapping[str, Any]) -> int:
        """Run the training pipeline, its parameters checked before anything starts; returns the exit code.

        Raises:
            VqiError: A parameter does not fit, or nothing can be trained; or as for ``start``.
        """
        from vqi_components.environment import LINKS
        from vqi_pipelines.compiled import pipeline_to_run
        from vqi_pipelines.ir import read_ir
        from vqi_pipelines.layers import check_built_layers
        from vqi_pipelines.parameters import absolute_paths, check_parameters, settings_of
        from vqi_pipelines.photographs import check_photographs
        from vqi_pipelines.results import results_of
        from vqi_pipelines.runs.links import links_of

        pipeline = read_ir(pipeline_to_run())
        # all categories are trained, where the parameters say nothing of that
        parameters = check_parameters(pipeline, {"retrain_if": "always", **given} if self.no_cache else given)
        check_photographs(settings_of(parameters))
        check_built_layers(parameters)
        # reports in an object store are not beside the other pages of their run
        told = {} if self.artifacts else {LINKS: json.dumps(links_of(self.runs_dir))}
        return self.start(pipeline, absolute_paths(parameters), results_of, told)


def run_options(command: Command) -> Command:
    """The options of how a pipeline is run on this machine, as ``running``."""

    @wraps(command)
    def wrapped(
        *args: Any,
        runs_dir: Path,
        store: str | None,
        artifacts: str | None,
        parallelism: int | None,
        no_cache: bool,
        note: str,
        tags: tuple[str, ...],
        launcher: str,
        **kwargs: Any,
    ) -> Any:
        running = Running(runs_dir, store, artifacts, parallelism, no_cache, note, tags, launcher)
        return command(*args, running=running, **kwargs)

    found: Any = wrapped
    for option in reversed(_OPTIONS):
        found = option(found)
    return cast(Command, found)
