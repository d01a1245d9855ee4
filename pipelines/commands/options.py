"""Options of several commands: the pipeline's parameters, what runs a model, and how it runs on Kubeflow."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])

# As in vqi.config, which takes a third of a second to import; a test compares them with it.
ENGINES = ("auto", "ipex", "openvino", "eager")
PRECISIONS = ("auto", "fp32", "bf16")


class LocalPath(click.ParamType[Path]):
    """A path on this machine; ``~`` is the home folder."""

    name = "path"

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """See ``click.ParamType``."""
        if isinstance(value, Path):  # a default
            return value
        from vqi.system.paths import local_path

        return local_path(value)


def parameter_options(command: Command) -> Command:
    """The options ``-f`` and ``-p``, as ``files`` and ``assignments``: the same for every backend."""
    one = click.option(
        "-p",
        "--parameter",
        "assignments",
        multiple=True,
        metavar="NAME=VALUE",
        help="One parameter; repeatable.",
        shell_complete=_complete_parameter,
    )
    file = click.option(
        "-f", "--file", "files", multiple=True, type=LocalPath(), help="YAML parameter file; repeatable."
    )
    return file(one(command))


def runs_dir_option(command: Command) -> Command:
    """The option ``--runs-dir``, as ``runs_dir``: the same for all that write or read runs."""
    return click.option(
        "--runs-dir",
        "--runs",
        "runs_dir",
        default=Path("runs"),
        show_default=True,
        type=LocalPath(),
        help="The folder of all runs.",
    )(command)


def run_argument(name: str) -> Callable[[Command], Command]:
    """An argument that is a run: its name, its folder, or ``latest``."""
    return click.argument(name, shell_complete=_complete_run)


def _complete_run(context: click.Context, argument: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    from vqi_pipelines.commands.completing import run

    return run(context, incomplete)


def _complete_parameter(context: click.Context, option: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    from vqi_pipelines.commands.completing import parameter

    return parameter(context, incomplete)


def engine_options(command: Command) -> Command:
    """The options ``--engine`` and ``--precision``: what runs the network of a model."""
    precision = click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default="auto",
        show_default=True,
        help="Precision of the network; auto as for --engine.",
    )
    engine = click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="auto",
        show_default=True,
        help="What runs the network; auto = what the model was made with, if this machine has it.",
    )
    return engine(precision(command))


def kubeflow_options(command: Command) -> Command:
    """The options for how the pipeline runs on Kubeflow, as ``settings``."""

    @wraps(command)
    def wrapped(
        *args: Any,
        registry: str,
        tag: str,
        pull_secrets: tuple[str, ...],
        pull_policy: str,
        node_labels: tuple[str, ...],
        taints: tuple[str, ...],
        retries: int,
        **kwargs: Any,
    ) -> Any:
        from vqi_pipelines.kubeflow import KubeflowSettings, node_label, toleration

        settings = KubeflowSettings(
            registry=registry,
            tag=tag,
            pull_secrets=pull_secrets,
            pull_policy=pull_policy,
            node_selector=dict(node_label(text) for text in node_labels),
            tolerations=tuple(toleration(text) for text in taints),
            retries=retries,
        )
        return command(*args, settings=settings, **kwargs)

    found: Any = wrapped
    for option in reversed(_KUBEFLOW):
        found = option(found)
    return cast(Command, found)


_KUBEFLOW = (
    click.option("--registry", default="", metavar="NAME", help="The images' registry, such as r.example.com/quality."),
    click.option("--tag", default="", metavar="TAG", help="Tag of the images. [that of this release]"),
    click.option("--pull-secret", "pull_secrets", multiple=True, metavar="NAME", help="Registry's Secret; repeatable."),
    click.option(
        "--pull-policy",
        default="",
        type=click.Choice(["", "Always", "IfNotPresent", "Never"]),
        metavar="POLICY",
        help="IfNotPresent for images that were loaded into the nodes. [Kubernetes' default]",
    ),
    click.option(
        "--node-selector", "node_labels", multiple=True, metavar="KEY=VALUE", help="Label of the nodes; repeatable."
    ),
    click.option(
        "--toleration", "taints", multiple=True, metavar="KEY[=VALUE]:EFFECT", help="Tolerated taint; repeatable."
    ),
    click.option(
        "--retries", default=2, show_default=True, type=click.IntRange(0), help="How often to retry a failed step."
    ),
)
