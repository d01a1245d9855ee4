"""``vqi submit``: a run of the pipeline on a cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqi.errors import VqiError
from vqi_pipelines.commands.options import kubeflow_options, parameter_options

if TYPE_CHECKING:
    from vqi_pipelines.kubeflow import KubeflowSettings


@click.group()
def submit() -> None:
    """Start a run on a cluster, with the parameters that 'vqi run' takes."""


def given_parameters(files: Sequence[Path], assignments: Sequence[str]) -> dict[str, Any]:
    """The parameters from files and assignments, in their types, checked against the training pipeline.

    Those that are not given keep the defaults installed on the cluster.

    Raises:
        VqiError: An unknown name, or a value that does not fit.
    """
    from vqi_pipelines.compiled import training_ir
    from vqi_pipelines.ir import read_ir
    from vqi_pipelines.parameters import check_parameters, check_ranges, read_parameters

    given = read_parameters(files, assignments)
    values = check_parameters(read_ir(training_ir()), given)
    check_ranges(values)
    return {name: values[name] for name in given}


@submit.command("argo")
@parameter_options
@click.option("-n", "--namespace", metavar="NAME", help="Namespace of the run. [the kubeconfig's, or default]")
@click.option("--template", default="training", show_default=True, metavar="NAME", help="Name of the WorkflowTemplate.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig. [the current one]")
@click.option("--server", envvar="ARGO_SERVER", metavar="URL", help="An Argo server, instead of the Kubernetes API.")
@click.option(
    "--insecure-skip-verify",
    envvar="ARGO_INSECURE_SKIP_VERIFY",
    is_flag=True,
    help="Accept any certificate of the Argo server.",
)
@click.option("--wait", is_flag=True, help="Wait for the end; exit code 1 if the run did not succeed.")
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
    The WorkflowTemplate must be installed: 'helm install' names it <release>-training,
    'kubectl apply -f manifests/argo' names it training.
    The kubeconfig and its context select the cluster; or --server does, with ARGO_TOKEN.
    """
    from vqi_pipelines.submit.argo import start, until_ended
    from vqi_pipelines.submit.argo_apis import connect

    parameters = given_parameters(files, assignments)
    api = connect(server, context, verify=not insecure_skip_verify)
    run = start(api, namespace or api.namespace, template, parameters)
    click.echo(f"submitted {run.namespace}/{run.name}\nfollow it: {run.follow}")
    if wait:
        phase, message = until_ended(api, run)
        click.echo(f"{phase}{': ' if message else ''}{message}")
        sys.exit(0 if phase == "Succeeded" else 1)


@submit.command("kubeflow")
@parameter_options
@kubeflow_options
@click.option(
    "--host", envvar="KF_PIPELINES_ENDPOINT", metavar="URL", help="URL of Kubeflow Pipelines. [$KF_PIPELINES_ENDPOINT]"
)
@click.option("--page", envvar="KF_PIPELINES_UI_ENDPOINT", metavar="URL", help="URL of its web pages. [--host]")
@click.option("--ca-cert", type=click.Path(exists=True, dir_okay=False), help="Certificates to trust, a PEM file.")
@click.option("-n", "--namespace", metavar="NAME", help="Namespace of your profile, if Kubeflow has users.")
@click.option("--experiment", default="vqi", show_default=True, metavar="NAME", help="Experiment of the run.")
@click.option("--name", metavar="TEXT", help="Name of the run. [training, and the time]")
@click.option("--service-account", metavar="NAME", help="Account that the steps run as. [Kubeflow's own]")
@click.option("--no-cache", is_flag=True, help="Run every step, even if an earlier run has an equal result.")
@click.option("--cron", metavar="LINE", help="Run at these times, such as '0 3 * * 1', in Kubeflow's time zone.")
@click.option("--wait", is_flag=True, help="Wait for the end; exit code 1 if the run did not succeed.")
def kubeflow_command(
    files: tuple[Path, ...],
    assignments: tuple[str, ...],
    settings: KubeflowSettings,
    host: str | None,
    page: str | None,
    ca_cert: str | None,
    namespace: str | None,
    experiment: str,
    name: str | None,
    service_account: str | None,
    no_cache: bool,
    cron: str | None,
    wait: bool,
) -> None:
    """Start a run on Kubeflow Pipelines, or schedule runs, and print how to follow it.

    \b
    --host is the address of its web pages, or of its API:
      kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80   and --host http://localhost:8080
    KF_PIPELINES_TOKEN holds a bearer token, KF_PIPELINES_COOKIE the cookie of a logged-in browser.
    """
    from vqi_pipelines.compiled import training_ir
    from vqi_pipelines.kubeflow import for_kubeflow
    from vqi_pipelines.submit import kubeflow
    from vqi_pipelines.submit.kubeflow_api import KubeflowApi

    if not host:
        raise VqiError("where is Kubeflow Pipelines? Set --host or KF_PIPELINES_ENDPOINT")
    if cron and wait:
        raise VqiError("--wait: a schedule has no end to wait for: leave out --cron or --wait")
    package = for_kubeflow(training_ir(), replace(settings, cache=not no_cache))
    parameters = given_parameters(files, assignments)
    request = kubeflow.Request(package, parameters, experiment, name, namespace, service_account)
    token, cookie = (os.environ.get(f"KF_PIPELINES_{name}", "") for name in ("TOKEN", "COOKIE"))
    api = KubeflowApi(host, token=token, cookie=cookie, ca_cert=ca_cert)
    if cron:
        made = kubeflow.schedule(api, request, page or api.host, cron)
        click.echo(f"submitted '{made.name}' at '{cron}'\nfollow it: {made.link}")
        return
    made = kubeflow.start(api, request, page or api.host)
    click.echo(f"submitted '{made.name}', run {made.id}\nfollow it: {made.link}")
    if wait:
        state, failures = kubeflow.until_ended(api, made.id)
        click.echo("\n".join([state, *failures]))
        sys.exit(0 if state == kubeflow.SUCCEEDED else 1)
