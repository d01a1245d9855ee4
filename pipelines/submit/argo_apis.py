"""The two ways to Argo Workflows: the Kubernetes API by the user's kubeconfig, and an Argo server."""

from __future__ import annotations

import os
from typing import Any

import requests
import urllib3
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from vqi.errors import VqiError
from vqi_pipelines.submit.argo import Api
from vqi_pipelines.submit.refusals import refused

GROUP, VERSION = "argoproj.io", "v1alpha1"
TIMEOUT_SECONDS = 30
_HINTS = {
    401: ": log in, or set ARGO_TOKEN",
    403: ": your account is not allowed to do that there",
    404: ": 'helm install' or 'kubectl apply -f manifests/argo' installs the template; --template names it",
}


def connect(server: str | None, context: str | None, *, verify: bool = True) -> Api:
    """The Argo server if one is given, otherwise the Kubernetes API.

    Raises:
        VqiError: There is no kubeconfig, or it cannot be read.
    """
    return ArgoServer(server, os.environ.get("ARGO_TOKEN", ""), verify=verify) if server else KubernetesApi(context)


class KubernetesApi:
    """Argo's objects through the Kubernetes API."""

    def __init__(self, context: str | None) -> None:
        try:
            contexts, current = config.list_kube_config_contexts()
            chosen = next((c for c in contexts if c["name"] == context), None) if context else current
            if chosen is None:
                known = ", ".join(c["name"] for c in contexts)
                raise VqiError(f"unknown context '{context}' of the kubeconfig: known: {known}")
            self.namespace = chosen["context"].get("namespace", "default")
            self._api = client.CustomObjectsApi(config.new_client_from_config(context=context))
        except config.ConfigException as error:
            raise VqiError(
                f"no cluster: {error}: set KUBECONFIG, or name an Argo server with --server or ARGO_SERVER"
            ) from error
        except (TypeError, KeyError, AttributeError, ValueError, yaml.YAMLError) as error:
            # the client reads the file without a check of its content
            file = config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION  # KUBECONFIG where it is set
            raise VqiError(
                f"{file}: expected a kubeconfig, got another file or a damaged one: set KUBECONFIG to a kubeconfig, "
                "or name an Argo server with --server or ARGO_SERVER"
            ) from error

    def template(self, namespace: str, name: str) -> dict[str, Any]:
        """See ``Api``."""
        return self._get(namespace, "workflowtemplates", name)

    def workflow(self, namespace: str, name: str) -> dict[str, Any]:
        """See ``Api``."""
        return self._get(namespace, "workflows", name)

    def create(self, namespace: str, workflow: dict[str, Any]) -> dict[str, Any]:
        """See ``Api``."""
        what = f"a Workflow in namespace '{namespace}'"
        return self._call(what, self._api.create_namespaced_custom_object, namespace, "workflows", workflow)

    def follow(self, namespace: str, name: str) -> str:
        """See ``Api``."""
        return f"argo watch -n {namespace} {name}"

    def _get(self, namespace: str, plural: str, name: str) -> dict[str, Any]:
        return self._call(
            f"{plural} {namespace}/{name}", self._api.get_namespaced_custom_object, namespace, plural, name
        )

    def _call(self, what: str, method: Any, namespace: str, plural: str, subject: Any) -> dict[str, Any]:
        try:
            found = method(GROUP, VERSION, namespace, plural, subject, _request_timeout=TIMEOUT_SECONDS)
        except ApiException as error:
            raise refused(what, error.status, error.body or error.reason, _HINTS) from error
        except urllib3.exceptions.HTTPError as error:
            raise VqiError(f"{what}: the cluster did not respond: {error}") from error
        return dict(found)


class ArgoServer:
    """Argo's objects through an Argo server."""

    namespace = "default"

    def __init__(self, address: str, token: str, *, verify: bool = True) -> None:
        scheme = "http" if os.environ.get("ARGO_SECURE") == "false" else "https"
        self._url = (address if "://" in address else f"{scheme}://{address}").rstrip("/")
        self._session = requests.Session()
        self._session.verify = verify
        if token:
            self._session.headers["Authorization"] = token if " " in token else f"Bearer {token}"

    def template(self, namespace: str, name: str) -> dict[str, Any]:
        """See ``Api``."""
        return self._call("GET", f"workflow-templates/{namespace}/{name}")

    def workflow(self, namespace: str, name: str) -> dict[str, Any]:
        """See ``Api``."""
        return self._call("GET", f"workflows/{namespace}/{name}")

    def create(self, namespace: str, workflow: dict[str, Any]) -> dict[str, Any]:
        """See ``Api``."""
        return self._call("POST", f"workflows/{namespace}", {"workflow": workflow})

    def follow(self, namespace: str, name: str) -> str:
        """See ``Api``."""
        return f"{self._url}/workflows/{namespace}/{name}"

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        url = f"{self._url}/api/v1/{path}"
        try:
            answer = self._session.request(method, url, json=body, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise VqiError(f"the Argo server {self._url} did not respond: {error}") from error
        if not answer.ok:
            raise refused(f"{method} {url}", answer.status_code, answer.text, _HINTS)
        try:
            return dict(answer.json())
        except ValueError as error:
            raise VqiError(f"{method} {url}: expected JSON from an Argo server, got '{answer.text[:80]}'") from error
