"""A category at a server of MLflow: a registered model, whose versions have a run with parameters and metrics each, and
whose alias ``champion`` is the version that is used.

MLflow numbers versions itself: which one it is, the tag ``vqi.version`` says. The files stay in the store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vqi.errors import UnavailableError, not_installed
from vqi.mirrors.mirroring import CHAMPION, DIGEST, URI, Model, Version
from vqi.redaction import shown, shown_line
from vqi.store.names import key_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Of its client: it waits minutes otherwise, and tells its makers of each use.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def bring(model: Model, server: str) -> None:
    """See ``vqi.mirrors.mirroring``.

    Raises:
        UnavailableError: The server does not respond, or refuses.
        VqiError: MLflow's client is not installed.
    """
    client = _client(server)
    with _errors(server):
        _bring(client, model)


def _bring(client: MlflowClient, model: Model) -> None:
    name = model.name
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, tags={URI: model.category.uri})
    there = {one.tags.get(DIGEST): one for one in _all(client.search_model_versions, f"name = '{name}'")}
    number = {}
    for version in model.versions:
        found = there.get(version.manifest.digest) or _add(client, name, version)
        for key, value in version.decided.items():
            if found.tags.get(key) != value:
                client.set_model_version_tag(name, found.version, key, value)
        number[version.entry.version] = str(found.version)
    now = client.get_registered_model(name).aliases.get(CHAMPION)
    if model.champion and number[model.champion] != str(now):
        client.set_registered_model_alias(name, CHAMPION, number[model.champion])
    elif now and not model.champion:
        client.delete_registered_model_alias(name, CHAMPION)


def _add(client: MlflowClient, name: str, version: Version) -> Any:
    """A version at the server; a run of it that is there already, because somebody was interrupted, is taken."""
    entry, tags = version.entry, version.tags
    experiment = f"vqi.{key_of(entry.dataset)}"
    found = client.get_experiment_by_name(experiment)
    number = found.experiment_id if found else client.create_experiment(experiment)
    runs = client.search_runs([number], f"tags.`{DIGEST}` = '{tags[DIGEST]}'")
    run = runs[0] if runs else client.create_run(number, run_name=f"{entry.category} v{entry.version}", tags=tags)
    if run.info.status != "FINISHED":
        for key, value in version.settings.items():
            client.log_param(run.info.run_id, key, value)
        for key, figure in version.figures.items():
            client.log_metric(run.info.run_id, key, figure)
        client.set_terminated(run.info.run_id)
    return client.create_model_version(name, run.info.artifact_uri, run.info.run_id, tags=tags)


def _all(search: Callable[..., Any], wanted: str) -> Iterator[Any]:
    """What a search finds, page by page."""
    token = None
    while True:
        page = search(wanted, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _client(server: str) -> MlflowClient:
    for key, value in _SETTINGS.items():
        os.environ.setdefault(key, value)  # read when it is imported
    try:
        from mlflow import MlflowClient
    except ModuleNotFoundError as error:
        raise not_installed(error.name) or error from error
    return MlflowClient(tracking_uri=server, registry_uri=server)


@contextmanager
def _errors(server: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        reason = shown_line(" ".join(str(error).split()))[:400]
        raise UnavailableError(f"MLflow at {shown(server)}: {reason}") from error
