"""The commands ``vqi submit ...``. What talks to a cluster is imported by the command that uses it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pipelines.command_line import known_errors, parameter_options


@click.group()
def submit() -> None:
    """Start a run on a cluster, with the parameters that 'vqi run' takes."""


def given_parameters(files: Sequence[Path], assignments: Sequence[str]) -> dict[str, Any]:
    """The parameters that files and assignments give, by their type, held against the training pipeline.

    Those that are not given keep the defaults of what is installed on the cluster.

    Raises:
        VqiError: An unknown name, or a value that does not fit.
    """
    from pipelines.compiled import training_ir
    from pipelines.ir import read_ir
    from pipelines.parameters import check_parameters, check_ranges, read_parameters

    given = read_parameters(files, assignments)
    values = check_parameters(read_ir(training_ir()), given)
    check_ranges(values)
    return {name: values[name] for name in given}


@submit.command("argo")
@parameter_options
@click.option("-n", "--namespace", metavar="NAME", help="Where it runs. [the kubeconfig's, or default]")
@click.option("--template", default="training", show_default=True, metavar="NAME", help="The WorkflowTemplate.")
@click.option("--context", metavar="NAME", help="Of the kubeconfig. [the current one]")
@click.option("--server", envvar="ARGO_SERVER", metavar="URL", help="An Argo server, in place of the Kubernetes API.")
@click.option(
    "--insecure-skip-verify",
    envvar="ARGO_INSECURE_SKIP_VERIFY",
    is_flag=True,
    help="Take whatever certificate the Argo server shows.",
)
@click.option("--wait", is_flag=True, help="Wait for its end; exit code 1 when it did not succeed.")
@known_errors
def argo_command(
    files: tuple[Path, ...],
    assignments: tuple[str, ...],
    namespace: str | None,
    template: str,
    context: str | None,
    server: str | None,
    insecure_skip_verify: bool,
    wait: bool,
) -> None:
    """Start a run on Argo Workflows and print how to follow it.

    \b
    The WorkflowTemplate has to be there: 'helm install' names it <release>-training,
    'kubectl apply -f manifests/argo' names it training.
    The kubeconfig and its context say which cluster; or --server does, with ARGO_TOKEN.
    """
    from pipelines.submit.argo import start, until_ended
    from pipelines.submit.argo_apis import connect

    parameters = given_parameters(files, assignments)
    api = connect(server, context, verify=not insecure_skip_verify)
    run = start(api, namespace or api.namespace, template, parameters)
    click.echo(f"submitted {run.namespace}/{run.name}\nfollow it: {run.follow}")
    if wait:
        phase, message = until_ended(api, run)
        click.echo(f"{phase}{': ' if message else ''}{message}")
        sys.exit(0 if phase == "Succeeded" else 1)
