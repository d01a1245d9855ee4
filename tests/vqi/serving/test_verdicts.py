"""``POST /verdicts``: what is kept, what is refused, and that nothing is kept unless the service was told where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vqi.models.packages import package
from tests.vqi.serving.made import THRESHOLD, Serving, in_threads, keeping, photograph, serving, small
from vqi.digests import sha256_bytes
from vqi.errors import UnavailableError, VqiError
from vqi.models.registry import publish
from vqi.serving.keeping import Keeping, Recent, Recents, keeping_at
from vqi.store.folder import FolderStore
from vqi.verdicts import book as books
from vqi.verdicts.records import Scored, Verdict

ALARM, PASSED = photograph(150), photograph(50)
DIGEST = sha256_bytes(ALARM)


@pytest.fixture
def kept(tmp_path: Path) -> Keeping:
    return keeping(tmp_path / "store")


@pytest.fixture
def service(kept: Keeping) -> Iterator[Serving]:
    with serving(limits=small(), keeping=kept) as one:
        yield one


def say(service: Serving, verdict: str = "good", data: bytes = ALARM, **more: Any) -> Any:
    body = {"sha256": sha256_bytes(data), "verdict": verdict, "by": "anna", "name": "line 4/p17.png"} | more
    return service.client.post("/verdicts", json=body)


def test_an_alarm_is_answered(service: Serving, kept: Keeping) -> None:
    scored = service.client.post("/score", content=ALARM).json()
    assert scored["sha256"] == DIGEST
    done = say(service, "defect", defect_type="scratch")
    assert done.status_code == 200
    assert done.json() | {"opinions": []} == {
        "model": "bracket", "sha256": DIGEST, "new": True, "disagree": False, "opinions": [],
    }  # fmt: skip
    (opinion,) = done.json()["opinions"]
    assert (opinion["verdict"], opinion["defect_type"], opinion["outcome"], opinion["by"]) == (
        "defect", "scratch", "true defect", "anna",
    )  # fmt: skip
    book = kept.books["bracket"]
    (entry,) = book.entries()
    assert isinstance(entry, Verdict)
    assert (entry.version, entry.score, entry.threshold, entry.name) == (7, 150.0, THRESHOLD, "p17.png")
    assert book.photograph(entry.photograph) == ALARM
    line = service.lines[-1]
    assert (line["path"], line["status"], line["model"]) == ("/verdicts", 200, "bracket")
    assert "anna" not in json.dumps(line)
    assert service.metric('vqi_verdicts_total{model="bracket",outcome="true defect"}') == 1


def test_it_is_taken_back_and_people_disagree(service: Serving) -> None:
    service.client.post("/score", content=PASSED)
    assert say(service, "defect", PASSED).json()["opinions"][0]["outcome"] == "missed defect"
    assert say(service, "defect", PASSED).json()["new"] is False
    both = say(service, "good", PASSED, by="bob").json()
    assert both["disagree"]
    assert [one["by"] for one in both["opinions"]] == ["anna", "bob"]
    left = say(service, "taken back", PASSED, by="bob").json()
    assert ([one["by"] for one in left["opinions"]], left["disagree"]) == (["anna"], False)
    service.app.state.service.recents = Recents(1, 1)  # forgotten
    assert say(service, "taken back", PASSED).json()["opinions"] == []
    nothing = say(service, "taken back", PASSED)
    assert (nothing.status_code, nothing.json()["error"]) == (
        409, "p17.png: no verdict by anna to take back: there is none at all",
    )  # fmt: skip


def test_of_a_form_and_of_an_answer_as_a_picture(service: Serving) -> None:
    service.client.post("/score", files={"image": ("a.png", ALARM)})
    assert say(service).status_code == 200
    service.client.post("/score?format=png", content=PASSED)
    assert say(service, "good", PASSED).status_code == 200


def test_a_long_path_is_cut(service: Serving, kept: Keeping) -> None:
    service.client.post("/score", content=ALARM)
    assert say(service, name="/data/" + "x" * 300 + ".png").status_code == 200
    (entry,) = kept.books["bracket"].entries()
    assert isinstance(entry, Verdict)
    assert (len(entry.name), entry.name[-5:]) == (200, "x.png")


def test_without_a_store_nothing_is_kept_or_remembered() -> None:
    with serving(limits=small()) as service:
        assert "sha256" not in service.client.post("/score", content=ALARM).json()
        refused = say(service)
        assert refused.status_code == 403
        assert refused.json()["error"] == "this service keeps no verdicts: it is started with 'vqi serve --verdicts'"
        assert service.client.get("/models").json()["verdicts"] == "off"


def test_digests_alone(tmp_path: Path) -> None:
    where = keeping(tmp_path / "store", photographs=False)
    with serving(limits=small(), keeping=where) as service:
        service.client.post("/score", content=ALARM)
        assert say(service).status_code == 200
        assert service.client.get("/models").json()["verdicts"] == "digest"
    assert [one.photograph for one in where.books["bracket"].entries() if isinstance(one, Verdict)] == [""]
    assert not [one for one in where.books["bracket"].store.list() if "photographs/" in one.key]


REFUSED = {
    "another digest": ({"sha256": "0" * 64}, 404, "POST /score it, then answer"),
    "no digest": ({"sha256": "../../etc/passwd"}, 400, "sha256: String should match pattern"),
    "another word": ({"verdict": "fine"}, 400, "verdict: Input should be "),
    "a type of a good part": ({"defect_type": "scratch"}, 400, "a type of defect, 'scratch', with the verdict 'good'"),
    "a type that is no folder": ({"verdict": "defect", "defect_type": "a/b"}, 400, "without slashes"),
    "a type taken back": ({"verdict": "taken back", "defect_type": "a"}, 400, "'a', with the verdict 'taken back'"),
    "nobody": ({"by": ""}, 400, "by: String should have at least 1 character"),
    "a name of two lines": ({"by": "a\nb"}, 400, "by: expected printable characters"),
    "a long name": ({"by": "x" * 201}, 400, "by: String should have at most 200 characters"),
    "another model": ({"model": "brackett"}, 404, "did you mean 'bracket'?"),
    "a key that nobody knows": ({"score": 0}, 400, "score: Extra inputs are not permitted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(service: Serving, kept: Keeping, name: str) -> None:
    service.client.post("/score", content=ALARM)
    more, status, text = REFUSED[name]
    refused = say(service, **more)
    assert refused.status_code == status
    assert text in refused.json()["error"]
    assert refused.json()["error"].count("; ") <= 1  # one reason, and what to do
    assert kept.books["bracket"].entries() == []


@pytest.mark.parametrize(
    ("body", "kind", "status", "text"),
    [
        (b"{}", "text/plain", 415, "expected the header 'Content-Type: application/json'"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "Content-Type: application/json"),
        (b"{}", None, 415, "Content-Type: application/json"),
        (b"{", "application/json", 400, "Invalid JSON"),
        (b'{"sha256": NaN}', "application/json", 400, "Invalid JSON"),
        (b"[]", "application/json; charset=utf-8", 400, "the verdict: "),
        (b" " * 17_000, "application/json", 413, "at most 16,384 bytes"),
        (b"", "application/json", 400, "the body is empty"),
    ],
)
def test_what_is_no_verdict(service: Serving, body: bytes, kind: str | None, status: int, text: str) -> None:
    refused = service.client.post("/verdicts", content=body, headers={"content-type": kind} if kind else {})
    assert refused.status_code == status
    assert text in refused.json()["error"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (VqiError("cannot write file://store: the disk is read-only"), 500),
        (UnavailableError("the store does not respond"), 503),
    ],
)
def test_a_store_that_fails(service: Serving, monkeypatch: pytest.MonkeyPatch, error: VqiError, status: int) -> None:
    def fails(*_: object) -> None:
        raise error

    service.client.post("/score", content=ALARM)
    monkeypatch.setattr(books.Book, "add", fails)
    refused = say(service)
    assert (refused.status_code, refused.json()["error"]) == (status, str(error))
    assert service.metric('vqi_refused_total{reason="store"}') == 1
    assert service.client.post("/score", content=ALARM).status_code == 200  # scoring goes on
    monkeypatch.undo()
    assert say(service).json()["new"]


def test_a_read_only_folder_is_said_before_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path / "store")
    publish(store, **package(tmp_path / "packages", 1))
    place = str(tmp_path / "store/models/parts/mono")
    found = keeping_at(str(tmp_path / "store"), {"mono": place}, photographs=True)
    assert (found.books["mono"].dataset, found.books["mono"].category) == ("parts", "mono")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(VqiError, match="this user cannot write to"):
        keeping_at(str(tmp_path / "store"), {"mono": place}, photographs=True)


def test_many_people_at_a_time(service: Serving, kept: Keeping) -> None:
    service.client.post("/score", content=ALARM)

    def one(number: int) -> int:
        status = 503
        while status == 503:  # the line is bounded, here by two
            status = say(service, by=f"person {number}").status_code
        return status

    assert in_threads(8, one) == [200] * 8
    assert len(kept.books["bracket"].entries()) == 8


def test_the_last_photographs_are_remembered_and_no_more() -> None:
    recents = Recents(3, 100)

    def add(number: int, size: int, model: str = "m") -> None:
        recents.add(model, Recent(Scored(str(number), "", 1, 2.0, 1.0), b"x" * size))

    def known() -> list[int]:
        return [number for number in range(20) if recents.of("m", str(number))]

    for number in range(5):
        add(number, 10)
    assert known() == [2, 3, 4]
    assert recents.of("other", "4") is None
    add(2, 10)  # again: it is the newest now
    add(5, 10)
    assert known() == [2, 4, 5]
    add(6, 85)
    assert known() == [5, 6]
    add(7, 500)  # larger than all together may be: it is the one that can be answered
    assert known() == [7]
    add(8, 100)
    assert known() == [8]


def test_the_good_parts(service: Serving) -> None:
    found = service.client.get("/good-parts").json()
    assert (found["model"], found["version"], found["threshold"], found["images"]) == ("bracket", 7, THRESHOLD, 50)
    assert len(found["edges"]) == len(found["counts"]) + 1 == 25
    assert (found["edges"][0], found["edges"][-1], sum(found["counts"])) == (20.0, 120.0, 50)
    service.scorer.good_scores = service.scorer.good_scores[:0]
    assert service.client.get("/good-parts?model=bracket").json()["counts"] == []
    assert service.client.get("/good-parts?model=x").status_code == 404


def test_its_description_names_the_form(service: Serving) -> None:
    path = service.client.get("/openapi.json").json()["paths"]["/verdicts"]["post"]
    form = path["requestBody"]["content"]["application/json"]["schema"]
    assert {"sha256", "verdict", "by"} == set(form["required"])
    assert "$ref" not in json.dumps(form)
