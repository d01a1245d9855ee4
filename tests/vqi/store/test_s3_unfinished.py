"""Uploads in parts that did not end: what is made of a server's pages, and of one that ends meanwhile."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from minio import Minio
from minio.error import S3Error

from vqi.store import s3, s3_unfinished
from vqi.store.interface import Unfinished
from vqi.store.s3_errors import NotS3Error
from vqi.store.s3_unfinished import abort, list_unfinished

BEGAN = datetime(2026, 1, 2, tzinfo=UTC)
Page = tuple[list[str], bool]


def refusal(code: str) -> S3Error:
    return S3Error(code=code, message=code, resource="", request_id="", host_id="", response=cast(Any, None))


class Server:
    """Answers as the client hands them on: an upload per name, with the id ``id-<name>`` and parts of 3 and 4 bytes."""

    def __init__(self, *pages: Page, parts: str = "", aborted: str = "", number: object = None) -> None:
        self.pages, self.asked = [*pages], list[tuple[object, object]]()
        self.parts, self.aborted, self.number = parts, aborted, number

    def _list_multipart_uploads(self, bucket: str, *, prefix: str, key_marker: Any, upload_id_marker: Any) -> Any:
        self.asked.append((key_marker, upload_id_marker))
        names, more = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        uploads = [
            SimpleNamespace(
                object_name=name, upload_id=f"id-{name}" if self.number is None else self.number, initiated_time=BEGAN
            )
            for name in names
        ]
        marks = {"next_key_marker": names[-1] if names else None, "next_upload_id_marker": "mark"}
        return SimpleNamespace(uploads=uploads, is_truncated=more, **marks)

    def _list_parts(self, bucket: str, name: str, number: str) -> Any:
        if self.parts:
            raise refusal(self.parts)
        return SimpleNamespace(parts=[SimpleNamespace(size=3), SimpleNamespace(size=4), SimpleNamespace(size=None)])

    def _abort_multipart_upload(self, bucket: str, key: str, number: str) -> None:
        if self.aborted:
            raise refusal(self.aborted)


def listed(server: Server) -> list[Unfinished]:
    return list_unfinished(cast(Minio, server), "bucket", "ours/")


def test_page_by_page() -> None:
    server = Server((["ours/b", "theirs/x"], True), (["ours/a"], False))
    expected = [Unfinished(name, f"id-{name}", 7, BEGAN) for name in ("ours/a", "ours/b")]
    assert listed(server) == expected
    assert server.asked == [(None, None), ("theirs/x", "mark")]


def test_one_that_ends_meanwhile_has_no_parts_left() -> None:
    assert [one.size for one in listed(Server((["ours/a"], False), parts="NoSuchUpload"))] == [0]
    with pytest.raises(S3Error, match="AccessDenied"):
        listed(Server((["ours/a"], False), parts="AccessDenied"))


def test_answers_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotS3Error, match="without an id"):
        listed(Server((["ours/a"], False), number=""))
    monkeypatch.setattr(s3_unfinished, "MOST_PAGES", 3)
    with pytest.raises(NotS3Error, match="without an end: 3 so far"):
        listed(Server((["ours/a"], True)))


def test_abort_of_one_that_ended() -> None:
    left = Unfinished("ours/a", "id", 7, BEGAN)
    abort(cast(Minio, Server(([], False), aborted="NoSuchUpload")), "bucket", left)
    with pytest.raises(S3Error, match="AccessDenied"):
        abort(cast(Minio, Server(([], False), aborted="AccessDenied")), "bucket", left)


@pytest.mark.parametrize(
    ("code", "expected"), [("NotImplemented", None), ("MethodNotAllowed", None), ("NoSuchBucket", [])]
)
def test_a_store_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, code: str, expected: object) -> None:
    def refuses(*_: object) -> None:
        raise refusal(code)

    monkeypatch.setattr(s3, "list_unfinished", refuses)
    store = object.__new__(s3.S3Store)
    store._client, store.bucket, store.prefix = cast(Any, None), "bucket", ""
    store.uri, store.endpoint = "s3://bucket", "http://localhost:1"
    assert store.unfinished() == expected
