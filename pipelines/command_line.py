"""What the commands share: how a known error is shown, and how parameters are given."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from vqi.errors import BAD_INPUT, VqiError
from vqi_pipelines.kubeflow import KubeflowSettings, node_label, toleration

Command = TypeVar("Command", bound=Callable[..., Any])


def known_errors(command: Command) -> Command:
    """Show a known error as one line on stderr, with exit code 2."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except VqiError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(BAD_INPUT)

    return wrapped  # type: ignore[return-value]


def parameter_options(command: Command) -> Command:
    """The options ``-f`` and ``-p``, as ``files`` and ``assignments``: the same for every backend."""
    one = click.option(
        "-p", "--parameter", "assignments", multiple=True, metavar="NAME=VALUE", help="One parameter; repeatable."
    )
    file = click.option(
        "-f", "--file", "files", multiple=True, type=click.Path(path_type=Path), help="YAML parameter file; repeatable."
    )
    return file(one(command))


def kubeflow_options(command: Command) -> Command:
    """The options of how the pipeline runs on a Kubeflow, as ``settings``."""

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

    found = known_errors(wrapped)
    for option in reversed(_KUBEFLOW):
        found = option(found)
    return found  # type: ignore[return-value]


_KUBEFLOW = (
    click.option("--registry", default="", metavar="NAME", help="Of the images, as registry.example.com/quality."),
    click.option("--tag", default="", metavar="TAG", help="Of the images. [latest]"),
    click.option("--pull-secret", "pull_secrets", multiple=True, metavar="NAME", help="For the registry; repeatable."),
    click.option(
        "--pull-policy",
        default="",
        type=click.Choice(["", "Always", "IfNotPresent", "Never"]),
        metavar="POLICY",
        help="IfNotPresent for images that were loaded into the nodes. [Kubernetes' own: Always for latest]",
    ),
    click.option(
        "--node-selector", "node_labels", multiple=True, metavar="KEY=VALUE", help="Label of the nodes; repeatable."
    ),
    click.option(
        "--toleration", "taints", multiple=True, metavar="KEY[=VALUE]:EFFECT", help="Tolerated taint; repeatable."
    ),
    click.option(
        "--retries", default=2, show_default=True, type=click.IntRange(0), help="Tries more of a step that failed."
    ),
)
