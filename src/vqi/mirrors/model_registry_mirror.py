"""A category at a Kubeflow Model Registry: a registered model, with a version for each of ours, whose model artifact
has the uri of the package in the store.

Which version is used, the property ``vqi.champion`` of the registered model says: its name, or ``none``. A version that
the store does not have any more is archived. Names have the number and the beginning of the digest, so that nothing
doubles. A version's properties are written last: one without them is taken up again.

Its REST API is used, not its client: docs/decisions/0035.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, Field, ValidationError

from vqi.errors import UnavailableError, VqiError
from vqi.mirrors.mirroring import CHAMPION, DIGEST, URI, Model, Version
from vqi.redaction import shown, shown_line
from vqi.transfer import web

API = "/api/model_registry/v1alpha3"
LIVE, ARCHIVED = "LIVE", "ARCHIVED"
NONE = "none"
_CHAMPION = f"vqi.{CHAMPION}"
_DIGITS = 12  # of a digest in a name
_PAGE = 100  # resources that are asked for at once
_TIMEOUT = (5.0, 20.0)  # seconds to connect, and for an answer
_NOT_FOUND, _CONFLICT = 404, 409


def bring(model: Model, server: str) -> None:
    """See ``vqi.mirrors.mirroring``.

    Raises:
        UnavailableError: The server does not respond, or has no time.
        VqiError: It refuses, or is none.
    """
    with web.session() as session:
        _bring(_Server(session, server), model)


def _bring(server: _Server, model: Model) -> None:
    found_by = {"name": model.name}
    registered = server.find("registered_model", found_by)
    if registered is None:
        registered = server.create("registered_model", found_by, {"name": model.name, "state": LIVE})
    there = {one.name: one for one in server.all(f"registered_models/{registered.id}/versions")}
    names = {version.entry.version: _name(version) for version in model.versions}
    for version in model.versions:
        name = names[version.entry.version]
        _bring_version(server, registered, name, version, there.pop(name, None))
    for gone in there.values():
        if DIGEST in gone.properties and gone.state != ARCHIVED:
            server.ask("PATCH", f"model_versions/{gone.id}", body={"state": ARCHIVED})
    used = {URI: shown(model.category.uri), _CHAMPION: names.get(model.champion, NONE)}
    server.put_right("registered_models", registered, _properties(used))


def _bring_version(
    server: _Server, registered: _Resource, name: str, version: Version, found: _Resource | None
) -> None:
    properties = _properties({**version.tags, **version.decided, **version.settings, **version.figures})
    if found is None:
        found_by = {"name": name, "parentResourceId": registered.id}
        body = {"name": name, "registeredModelId": registered.id, "state": LIVE}
        found = server.create("model_version", found_by, body)
    if not found.has(properties):
        _bring_artifact(server, f"model_versions/{found.id}/artifacts", name, version)
        server.put_right("model_versions", found, properties)


def _bring_artifact(server: _Server, path: str, name: str, version: Version) -> None:
    uri = version.tags[URI]
    found = next((one for one in server.all(path) if one.name == name), None)
    if found is None:
        kind, _, number = version.manifest.format.partition("/")
        about = {"modelFormatName": kind, "modelFormatVersion": number}
        body = {"artifactType": "model-artifact", "name": name, "uri": uri, "state": LIVE, **about}
        server.ask("POST", path, body=body)
    elif found.uri != uri:
        server.ask("PATCH", f"model_artifacts/{found.id}", body={"uri": uri})


def _name(version: Version) -> str:
    return f"v{version.entry.version}-{version.manifest.digest[:_DIGITS]}"


def _properties(values: Mapping[str, str | float]) -> dict[str, Any]:
    """Custom properties, each with its type."""
    return {
        key: {"metadataType": "MetadataStringValue", "string_value": value}
        if isinstance(value, str)
        else {"metadataType": "MetadataDoubleValue", "double_value": value}
        for key, value in values.items()
    }


class _Resource(BaseModel):
    """What is read of a registered model, a version or an artifact; there is more."""

    id: str
    name: str = ""
    state: str = ""
    uri: str = ""  # of an artifact
    properties: dict[str, Any] = Field(default_factory=dict, alias="customProperties")

    def has(self, properties: Mapping[str, Any]) -> bool:
        """Whether it is as it should be."""
        return self.state == LIVE and all(self.properties.get(key) == value for key, value in properties.items())


class _Page(BaseModel):
    items: tuple[_Resource, ...]
    token: str = Field(default="", alias="nextPageToken")


_Answer = TypeVar("_Answer", _Resource, _Page)


class _Server:
    """The REST API of a server."""

    def __init__(self, session: requests.Session, address: str) -> None:
        self._session = session
        self._told = f"Model Registry at {shown(address)}"
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise VqiError(f"{self._told}: expected an address like http://host:8080")
        self._root = address.rstrip("/") + API
        self._token = web.bearer_of(parts)

    def find(self, kind: str, found_by: Mapping[str, str]) -> _Resource | None:
        """The resource of a name; None where there is none."""
        answer = self.ask("GET", kind, query=found_by, but=_NOT_FOUND)
        return None if answer is None else self._read(_Resource, answer)

    def create(self, kind: str, found_by: Mapping[str, str], body: Mapping[str, Any]) -> _Resource:
        """The resource that is made now, or that somebody else made meanwhile."""
        answer = self.ask("POST", f"{kind}s", body=body, but=_CONFLICT)
        if answer is None:
            answer = self.ask("GET", kind, query=found_by)
        return self._read(_Resource, answer)

    def put_right(self, kind: str, found: _Resource, properties: Mapping[str, Any]) -> None:
        """Give a resource its properties, and leave those that others gave it: an update replaces all of them."""
        if not found.has(properties):
            body = {"state": LIVE, "customProperties": {**found.properties, **properties}}
            self.ask("PATCH", f"{kind}/{found.id}", body=body)

    def all(self, path: str) -> Iterator[_Resource]:
        """The resources of a list, page by page."""
        query = {"pageSize": str(_PAGE)}
        while True:
            page = self._read(_Page, self.ask("GET", path, query=query))
            yield from page.items
            if not page.token:
                return
            query["nextPageToken"] = page.token

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        but: int = 0,
    ) -> bytes | None:
        """What the server answers; None for the status ``but``. A redirection is not followed: it leads to a login."""
        try:
            answer = self._session.request(
                method, f"{self._root}/{path}", params=query, json=body, auth=self._token, timeout=_TIMEOUT,
                allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException as error:
            raise UnavailableError(f"{self._told}: {web.network_reason(error)}") from error
        status = answer.status_code
        if status == but:
            return None
        if 200 <= status < 300:
            return answer.content
        kind = UnavailableError if status in web.BUSY else VqiError
        raise kind(f"{self._told}: {method} {path} answers {status}: {_reason(answer)}")

    def _read(self, kind: type[_Answer], answer: bytes | None) -> _Answer:
        try:
            return kind.model_validate_json(answer or b"")
        except ValidationError as error:
            expected = f"expected an answer of {API}, got another one"
            raise VqiError(f"{self._told}: {expected}: name the address of a Model Registry") from error


def _reason(answer: requests.Response) -> str:
    """Why the server refuses, and what to do where it wants a login."""
    if answer.is_redirect or answer.status_code == 401:
        return web.ADVICE[401]
    try:
        content = answer.json()
    except ValueError:
        content = answer.text
    told = content.get("message", "") if isinstance(content, dict) else content
    return shown_line(str(told))[:400] or "it does not say why"
