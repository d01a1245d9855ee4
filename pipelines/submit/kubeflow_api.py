"""Kubeflow Pipelines' API (v2beta1) through its own client library, with errors as one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import kfp_server_api as server
import urllib3
from requests.utils import get_environ_proxies, select_proxy

from vqi.errors import VqiError
from vqi_pipelines.submit.refusals import refused

TIMEOUT_SECONDS = 60
_HINTS = {
    401: ": log in: set KF_PIPELINES_TOKEN, or KF_PIPELINES_COOKIE to what your browser sends",
    403: ": your account is not allowed to do that there: is the namespace (-n) that of your profile?",
    404: ": is that the address of Kubeflow Pipelines? Often it ends with /pipeline",
}


class KubeflowApi:
    """One installation of Kubeflow Pipelines."""

    def __init__(self, host: str, *, token: str = "", cookie: str = "", ca_cert: str | None = None) -> None:
        self.host = (host if "://" in host else f"https://{host}").rstrip("/")
        configuration = server.Configuration(host=self.host)
        configuration.proxy = select_proxy(self.host, get_environ_proxies(self.host))
        configuration.ssl_ca_cert = ca_cert
        if token:
            configuration.api_key["authorization"] = token
            configuration.api_key_prefix["authorization"] = "Bearer"
        self._client = server.ApiClient(configuration, cookie=cookie or None)
        self._runs = server.RunServiceApi(self._client)
        self._recurring = server.RecurringRunServiceApi(self._client)
        self._experiments = server.ExperimentServiceApi(self._client)

    def has_users(self) -> bool:
        """Whether runs belong to namespaces of users.

        Raises:
            VqiError: There is no Kubeflow Pipelines at the address, or it refuses the login.
        """
        text = self._text("/apis/v2beta1/healthz")
        try:
            return bool(json.loads(text).get("multi_user"))
        except (ValueError, AttributeError) as error:
            raise VqiError(
                f"{self.host}: expected Kubeflow Pipelines' API, got '{' '.join(text.split())[:80]}': is that its "
                "address? A page to log in means that KF_PIPELINES_TOKEN or KF_PIPELINES_COOKIE is missing"
            ) from error

    def experiment(self, name: str, namespace: str | None) -> str:
        """The id of the experiment with a name, which is created if it does not exist."""
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        of = {"namespace": namespace} if namespace else {}
        listed = self._experiments.experiment_service_list_experiments
        found = self._call(f"experiment '{name}'", listed, filter=json.dumps({"predicates": [predicate]}), **of)
        if found.experiments:
            return str(found.experiments[0].experiment_id)
        made = server.V2beta1Experiment(display_name=name, namespace=namespace)
        create = self._experiments.experiment_service_create_experiment
        return str(self._call(f"experiment '{name}'", create, experiment=made).experiment_id)

    def create_run(self, **fields: Any) -> Any:
        """Start a run; fields of ``V2beta1Run``."""
        run = server.V2beta1Run(**fields)
        return self._call("the run", self._runs.run_service_create_run, run=run)

    def create_recurring_run(self, cron: str, **fields: Any) -> Any:
        """Start a run at each time of ``cron`` (the first of six fields are seconds); fields of a recurring run."""
        trigger = server.V2beta1Trigger(cron_schedule=server.V2beta1CronSchedule(cron=cron))
        run = server.V2beta1RecurringRun(trigger=trigger, mode=server.RecurringRunMode.ENABLE, **fields)
        create = self._recurring.recurring_run_service_create_recurring_run
        return self._call("the recurring run", create, recurring_run=run)

    def run(self, run_id: str) -> Any:
        """A run, ``V2beta1Run``."""
        return self._call(f"run {run_id}", self._runs.run_service_get_run, run_id=run_id)

    def workflow(self, run_id: str) -> dict[str, Any]:
        """The Argo Workflow of a run. Its nodes have messages, unlike the tasks of the newer API.

        Raises:
            VqiError: The answer is not that of Kubeflow Pipelines 2.17.
        """
        text = self._text(f"/apis/v1beta1/runs/{run_id}")
        try:
            return dict(json.loads(json.loads(text)["pipeline_runtime"]["workflow_manifest"]))
        except (ValueError, KeyError, TypeError) as error:
            raise VqiError(f"run {run_id}: expected its workflow, got '{' '.join(text.split())[:80]}'") from error

    def _text(self, path: str) -> str:
        """The text at a path for which the client library has no method, or none that keeps unexpected content."""
        answer = self._call(
            f"{self.host}{path}", self._client.call_api, path, "GET",
            auth_settings=["Bearer"], _preload_content=False, _return_http_data_only=True,
        )  # fmt: skip
        return bytes(answer.data).decode("utf-8", errors="replace")

    def _call(self, what: str, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        try:
            return function(*values, **named, _request_timeout=TIMEOUT_SECONDS)
        except server.ApiException as error:
            if not error.status:  # the connection: certificates
                raise VqiError(f"{self.host} did not respond: {' '.join(str(error.reason).split())}") from error
            raise refused(what, error.status, _text_of(error), _HINTS) from error
        except urllib3.exceptions.HTTPError as error:
            raise VqiError(
                f"{self.host} did not respond: {getattr(error, 'reason', error)}: is that Kubeflow Pipelines' address?"
            ) from error


def _text_of(error: server.ApiException) -> str:
    body = error.body or error.reason or ""
    return body.decode("utf-8", errors="replace") if isinstance(body, bytes) else str(body)


def package_of(documents: list[Mapping[str, Any]]) -> dict[str, Any]:
    """A compiled pipeline as the API expects it."""
    return dict(documents[0]) if len(documents) == 1 else {"pipeline_spec": documents[0], "platform_spec": documents[1]}
