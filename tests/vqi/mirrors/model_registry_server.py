"""A small Kubeflow Model Registry on loopback: what its OpenAPI (v1alpha3) and its server say of registered models,
versions and model artifacts.

As the real one: unknown fields and states are refused (400), names are unique below their owner (409), what is required
is (422), a list comes in pages, an update leaves alone what it does not name and replaces all custom properties, a name
below an owner ends at a colon. Its texts are those of the server v0.2.22.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

API = "/api/model_registry/v1alpha3/"
_ALL = {"customProperties", "description", "externalId", "state"}
_UPDATED = {
    "registered_models": _ALL | {"owner", "readme", "maturity", "language", "tasks", "provider", "logo", "license"},
    "model_versions": _ALL | {"author"},
    "model_artifacts": _ALL
    | {"artifactType", "uri", "modelFormatName", "modelFormatVersion", "storageKey", "storagePath"},
}
_CREATED = {"registered_models": {"name"}, "model_versions": {"name", "registeredModelId"}, "model_artifacts": {"name"}}
_REQUIRED = {"model_versions": ("name", "registeredModelId"), "registered_models": ("name",), "model_artifacts": ()}
_OWNER = {"model_versions": "registeredModelId", "model_artifacts": "versionId"}
_STATES = {"LIVE", "ARCHIVED"}
_ARTIFACT_STATES = {"UNKNOWN", "PENDING", "LIVE", "MARKED_FOR_DELETION", "DELETED", "ABANDONED", "REFERENCE"}
_VALUES = {"MetadataStringValue": ("string_value", str), "MetadataDoubleValue": ("double_value", (int, float))}


class RefusedError(Exception):
    """A status and its JSON value, or the bytes in its place."""


def refused(status: HTTPStatus, text: str) -> RefusedError:
    return RefusedError(status, {"code": status.phrase, "message": text})


class ModelRegistry(ThreadingHTTPServer):
    """``asked`` has each request; ``largest`` bounds the pages; ``before`` and
    ``after`` are called with each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _UPDATED}
        self.asked: list[tuple[str, str, str]] = []  # method, path, token
        self.largest = 1
        self.before: Any = lambda *_: None
        self.after: Any = lambda *_: None
        self._lock, self._last = threading.Lock(), 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def writes(self) -> list[str]:
        """The requests that change something; they are forgotten then."""
        found = [f"{method} {path}" for method, path, _ in self.asked if method != "GET"]
        self.asked.clear()
        return found

    def handled(self, method: str, path: str, query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        with self._lock:
            self.before(method, path)
            done = self._done(method, path, query, body)
            self.after(method, path)
            return done

    def _done(self, method: str, path: str, query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        parts = path.split("/")
        if method == "GET" and len(parts) == 1 and f"{path}s" in self.kept:
            return 200, self._found(f"{path}s", query)
        if len(parts) == 3:
            owner = self._by_id(parts[0], parts[1])
            kind = {"versions": "model_versions", "artifacts": "model_artifacts"}[parts[2]]
            if method == "GET":
                return 200, self._page([one for one in self.kept[kind] if one.get(_OWNER[kind]) == parts[1]], query)
            return 201, self._created(kind, body, owner["id"])
        if method == "POST" and path in ("registered_models", "model_versions"):
            return 201, self._created(path, body, str(body.get("registeredModelId", "")))
        if method == "PATCH" and len(parts) == 2:
            _check(parts[0], body, _UPDATED[parts[0]])
            found = self._by_id(*parts)
            found.update(body)
            return 200, found
        raise RefusedError(404, b"404 page not found")

    def _by_id(self, kind: str, number: str) -> dict[str, Any]:
        for one in self.kept[kind]:
            if one["id"] == number:
                return one
        raise refused(HTTPStatus.NOT_FOUND, f"no {_words(kind)} found for id {number}: not found")

    def _found(self, kind: str, query: Mapping[str, str]) -> dict[str, Any]:
        owner = query.get("parentResourceId", "")
        for one in self.kept[kind]:
            if one["name"] == query["name"] and one.get(_OWNER.get(kind, ""), "") == owner:
                return one
        raise RefusedError(
            404, {"code": "404", "message": f"no {_words(kind)}s found for name={query['name']}: not found"}
        )

    def _page(self, found: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
        start, size = int(query.get("nextPageToken", 0)), min(int(query.get("pageSize", 20)), self.largest)
        end = start + size
        items = found[start:end]
        token = str(end) if end < len(found) else ""
        return {"items": items, "nextPageToken": token, "pageSize": size, "size": len(items)}

    def _created(self, kind: str, body: dict[str, Any], owner: str) -> dict[str, Any]:
        _check(kind, body, _UPDATED[kind] | _CREATED[kind])
        for field in _REQUIRED[kind]:
            if not body.get(field):
                raise refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"required field '{field}' is zero value.")
        key = _OWNER.get(kind)
        name = body["name"] if key is None else body["name"].partition(":")[0]
        if any(one["name"] == name and (key is None or one[key] == owner) for one in self.kept[kind]):
            raise refused(HTTPStatus.CONFLICT, f"{_words(kind)} with name {name} already exists: conflict")
        if kind == "model_artifacts" and body.get("artifactType") != "model-artifact":
            raise refused(HTTPStatus.BAD_REQUEST, "data failed to match schemas in oneOf(Artifact)")
        self._last += 1
        made = {"state": "LIVE", **body, "name": name, "id": str(self._last), "createTimeSinceEpoch": "1764500000000"}
        if key is not None:
            made[key] = owner
        self.kept[kind].append(made)
        return made


def _words(kind: str) -> str:
    return kind.rstrip("s").replace("_", " ")


def _check(kind: str, body: Mapping[str, Any], fields: set[str]) -> None:
    for field in body:
        if field not in fields:
            raise refused(HTTPStatus.BAD_REQUEST, f'json: unknown field "{field}"')
    states = _ARTIFACT_STATES if kind == "model_artifacts" else _STATES
    if body.get("state", "LIVE") not in states:
        raise refused(
            HTTPStatus.BAD_REQUEST, f"{body['state']} is not a valid {_words(kind).title().replace(' ', '')}State"
        )
    for key, value in body.get("customProperties", {}).items():
        field, type_ = _VALUES.get(value.get("metadataType"), ("", object))
        if value.keys() != {"metadataType", field} or not isinstance(value[field], type_):
            raise refused(HTTPStatus.BAD_REQUEST, f"data failed to match schemas in oneOf(MetadataValue): {key}")


class _Handler(BaseHTTPRequestHandler):
    server: ModelRegistry
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # which holds back an answer's body for 40 ms

    def log_message(self, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        path = address.path.removeprefix(API)
        self.server.asked.append((self.command, path, self.headers.get("Authorization", "")))
        try:
            if not address.path.startswith(API):
                raise RefusedError(404, b"404 page not found")
            status, content = self.server.handled(self.command, path, query, body)
        except RefusedError as error:
            status, content = error.args
        answer = json.dumps(content).encode() if not isinstance(content, bytes) else content
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/dex/auth")
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()


@contextmanager
def running() -> Iterator[ModelRegistry]:
    with ModelRegistry() as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.01))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
