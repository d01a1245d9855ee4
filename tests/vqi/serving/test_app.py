"""What the service answers: scores, pictures, refusals of every kind of bad input, what it counts and logs."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.vqi.serving.made import BROKEN, THRESHOLD, MadeUp, Serving, photograph, serving, small
from vqi.errors import VqiError
from vqi.models.pictures import picture
from vqi.serving.guard import check_token

TOKEN = "0123456789abcdef"


@pytest.fixture
def service() -> Iterator[Serving]:
    with serving(limits=small()) as one:
        yield one


def test_a_photograph_has_its_verdict(service: Serving) -> None:
    answer = service.client.post("/score", content=photograph(150))
    assert answer.status_code == 200
    assert answer.json() == {
        "model": "bracket", "version": 7, "score": 150.0, "threshold": THRESHOLD, "flagged": True, "p_value": 0.25,
        "boxes": [{"x": 1, "y": 2, "width": 3, "height": 4}], "width": 20, "height": 10, "seconds": 0.5,
    }  # fmt: skip
    assert service.client.post("/score", content=photograph(50)).json()["flagged"] is False


def test_a_score_is_that_of_the_library_to_the_last_bit(service: Serving) -> None:
    pixels = np.random.default_rng(3).integers(0, 200, (33, 41, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    expected = MadeUp(7).score(file.getvalue())
    got = service.client.post("/score", content=file.getvalue()).json()
    assert (got["score"], got["p_value"]) == (expected.score, expected.p_value)
    assert expected.score != round(expected.score, 2)  # else it proves little


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "application/octet-stream", "nonsense", None])
def test_the_type_that_a_client_names_does_not_matter(service: Serving, kind: str | None) -> None:
    answer = service.client.post("/score", content=photograph(), headers={"content-type": kind} if kind else {})
    assert answer.json()["score"] == 150


def test_a_form_with_a_file(service: Serving) -> None:
    answer = service.client.post("/score", files={"image": ("a.png", photograph(60))}, data={"note": "x"})
    assert answer.json()["score"] == 60


@pytest.mark.parametrize(
    ("query", "accept", "is_png"),
    [
        ("", "image/png", True),
        ("", "image/png, application/json", False),
        ("", "*/*", False),
        ("?format=png", "application/json", True),
        ("?format=json", "image/png", False),
    ],
)
def test_a_picture_in_place_of_json(service: Serving, query: str, accept: str, is_png: bool) -> None:
    answer = service.client.post(f"/score{query}", content=photograph(), headers={"accept": accept})
    assert answer.headers["content-type"] == ("image/png" if is_png else "application/json")
    if is_png:
        with Image.open(io.BytesIO(answer.content)) as image:
            expected = picture(MadeUp(7).score(photograph(), keep=True))
            np.testing.assert_array_equal(np.asarray(image), expected)


def test_a_small_picture_within_json(service: Serving) -> None:
    uri = service.client.post("/score?picture=16", content=photograph(width=40, height=20)).json()["picture"]
    kind, _, data = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert (image.format, image.size) == ("JPEG", (16, 8))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (500, 1)])
def test_a_picture_of_any_size(service: Serving, width: int, height: int) -> None:
    answer = service.client.post("/score?format=png", content=photograph(150, width, height))
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (width, height)


PNG = photograph()
FORM = {"content-type": "multipart/form-data; boundary=x"}
HUGE = photograph(width=500, height=500)
REFUSED = {
    "nothing": (b"", {}, "", 400, "body", "the body is empty"),
    "a text": (b"not an image", {}, "", 422, "unreadable", "the photograph: not an image of a known format"),
    "half an image": (PNG[: len(PNG) // 2], {}, "", 422, "unreadable", "a PNG file that is damaged"),
    "too many pixels": (HUGE, {}, "", 413, "pixels", "too large: 500 x 500 = 250000 pixels"),
    "too many bytes": (b"x" * 20_001, {}, "", 413, "size", "at most 20,000 bytes"),
    "a length beyond all": (PNG, {"content-length": "9" * 5000}, "", 413, "size", "at most 20,000 bytes"),
    "too many bytes, announced": (
        b"x" * 20_001, {"expect": "100-continue"}, "", 413, "size", "at most 20,000 bytes",
    ),
    "compressed": (PNG, {"content-encoding": "gzip"}, "", 415, "encoding", "content-encoding 'gzip'"),
    "another model": (PNG, {}, "?model=brackett", 404, "model", "did you mean 'bracket'?"),
    "another folder": (PNG, {}, "?model=../../etc/passwd", 404, "model", "unknown model '../../etc/passwd'"),
    "another format": (PNG, {}, "?format=gif", 400, "request", "format: Input should be 'json' or 'png'"),
    "a huge picture": (PNG, {}, "?picture=99999", 400, "request", "picture: "),
    "a picture of NaN": (PNG, {}, "?picture=NaN", 400, "request", "picture: "),
    "no form": (PNG, FORM, "", 400, "body", "the form cannot be read"),
    "a form without a boundary": (PNG, {"content-type": "multipart/form-data"}, "", 400, "body", "the form cannot"),
    "a form without a file": (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n', FORM, "", 400, "body", "with 0 files",
    ),
    "a form with an empty file": (
        b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n\r\n--x--\r\n', FORM, "", 400, "body",
        "the file in the form is empty",
    ),
    "a form of very many parts": (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' * 101 + b"--x--\r\n", FORM, "", 400, "body",
        "more than 100 parts",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_photograph_is_refused_in_one_line(service: Serving, case: str) -> None:
    body, headers, query, status, reason, text = REFUSED[case]
    answer = service.client.post(f"/score{query}", content=body, headers=headers)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert text in answer.json()["error"]
    assert service.metric(f'vqi_refused_total{{reason="{reason}"}}') == 1
    assert service.metric('vqi_requests_total{endpoint="score",outcome="refused"}') == 1
    (line,) = service.lines
    assert (line["status"], line["reason"], line["error"]) == (status, reason, answer.json()["error"])
    assert service.client.post("/score", content=PNG).status_code == 200  # it goes on


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/page.css/../../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/score", 405),
        ("DELETE", "/models", 405),
        ("GET", "/docs", 404),  # FastAPI's would load scripts from elsewhere
    ],
)
def test_addresses_and_methods_that_are_not_served(service: Serving, method: str, path: str, status: int) -> None:
    answer = service.client.request(method, path)
    assert answer.status_code == status
    assert "error" in answer.json()


def test_a_model_that_has_no_score_is_an_error_of_the_service(service: Serving) -> None:
    answer = service.client.post("/score", content=photograph(int(BROKEN)))
    assert (answer.status_code, answer.json()) == (
        500, {"error": "the score is not finite: train the model again"},
    )  # fmt: skip
    assert service.metric('vqi_requests_total{endpoint="score",outcome="failed"}') == 1


def test_a_defect_says_nothing_of_itself_to_the_client(service: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(service.scorer, "score", broken)
    answer = service.client.post("/score", content=PNG)
    assert (answer.status_code, answer.json()) == (500, {"error": "an error of the service: its log says where"})
    assert service.lines[0]["status"] == 500


def test_several_models_are_told_apart_by_name() -> None:
    with serving("bracket", "gear") as service:
        assert service.client.post("/score?model=gear", content=PNG).json()["model"] == "gear"
        refused = service.client.post("/score", content=PNG)
        assert (refused.status_code, refused.json()["error"]) == (
            400, "several models are served: name one with ?model=NAME: bracket, gear",
        )  # fmt: skip
        listed = service.client.get("/models").json()["models"]
        assert listed == [{"name": name, "version": 7, "threshold": THRESHOLD} for name in ("bracket", "gear")]


def test_when_the_line_is_full_it_says_so_and_when_to_come_again(service: Serving) -> None:
    service.scorer.gate.clear()
    answers: list[int] = []

    def post() -> None:
        answers.append(service.client.post("/score", content=PNG).status_code)

    threads = [threading.Thread(target=post) for _ in range(2)]
    for thread in threads:
        thread.start()
        service.scorer.entered.acquire()
    busy = service.client.post("/score", content=PNG)
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    assert busy.json()["error"] == "busy: 2 photographs wait already: try again"
    assert service.client.get("/readyz").json()["queue"] == {"depth": 2, "limit": 2}
    assert (service.metric("vqi_queue_depth"), service.metric("vqi_queue_limit")) == (2, 2)
    service.scorer.gate.set()
    for thread in threads:
        thread.join()
    assert answers == [200, 200]  # what was accepted is answered
    assert service.metric("vqi_queue_depth") == 0
    assert service.metric('vqi_requests_total{endpoint="score",outcome="busy"}') == 1


def test_bodies_are_bounded_together() -> None:
    with serving(limits=small(bodies=10)) as service:
        busy = service.client.post("/score", content=PNG)
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
        assert "too many bytes" in busy.json()["error"]
        assert service.client.post("/score", content=b"123456789").status_code == 422  # what was held is given back


def test_what_is_counted(service: Serving) -> None:
    for value in (50, 60, 150):
        service.client.post("/score", content=photograph(value))
    for line, value in {
        'vqi_scored_total{model="bracket",verdict="passed"}': 2,
        'vqi_scored_total{model="bracket",verdict="flagged"}': 1,
        'vqi_score_to_threshold_bucket{le="0.5",model="bracket"}': 1,
        'vqi_score_to_threshold_bucket{le="1.0",model="bracket"}': 2,
        'vqi_score_to_threshold_sum{model="bracket"}': 2.6,
        'vqi_p_value_bucket{le="0.3",model="bracket"}': 3,
        'vqi_scoring_seconds_count{model="bracket"}': 3,
        'vqi_request_seconds_count{endpoint="score"}': 3,
        'vqi_requests_total{endpoint="score",outcome="answered"}': 3,
        'vqi_model_version{model="bracket"}': 7,
        'vqi_reloads_total{model="bracket",outcome="failed"}': 0,
    }.items():
        assert service.metric(line) == pytest.approx(value), line
    assert service.client.get("/metrics").headers["content-type"].startswith("text/plain; version=")
    assert service.metric("process_resident_memory_bytes") > 1e6


def test_nothing_that_a_client_sends_becomes_a_label(service: Serving) -> None:
    for number in range(5):
        service.client.get(f"/nowhere/{number}")
        service.client.post(f"/score?model=m{number}", content=PNG)
        service.client.post(f"/v2/models/m{number}/infer", content=PNG)
    text = service.client.get("/metrics").text
    assert "m1" not in text
    assert "nowhere" not in text


def test_one_line_for_each_request(service: Serving) -> None:
    service.client.post("/score?secret=1", content=PNG, headers={"authorization": "Bearer secret"})
    (line,) = service.lines
    assert json.loads(json.dumps(line)) == line
    assert {name: line[name] for name in line if name not in ("time", "seconds")} == {
        "event": "request", "client": "testclient", "method": "POST", "path": "/score", "status": 200,
        "bytes": len(PNG), "model": "bracket", "version": 7, "photographs": 1, "flagged": 1, "score": 150.0,
        "threshold": THRESHOLD, "p_value": 0.25,
    }  # fmt: skip
    for probe in ("/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"):
        assert service.client.get(probe).status_code == 200
    service.client.get("/" + "x" * 1000)
    assert [len(one["path"]) for one in service.lines] == [6, 200]


def test_it_lives_before_it_is_ready() -> None:
    service = Serving()  # not entered: it has not started
    assert service.client.get("/healthz").status_code == 200
    assert [service.client.get(path).status_code for path in ("/readyz", "/v2/health/ready")] == [503, 503]
    assert service.client.get("/readyz").json()["ready"] is False
    with service.client:
        ready = service.client.get("/readyz")
        assert (ready.status_code, ready.json()["models"]) == (200, {"bracket": {"version": 7, "note": ""}})


def test_with_a_token_only_who_has_it_is_served() -> None:
    with serving(token=TOKEN) as service:
        for given in (
            "",
            "Bearer",
            "Bearer wrong",
            f"Basic {TOKEN}",
            TOKEN,
            f"Bearer {TOKEN}x",
            "Bearer \u00e9".encode(),
        ):
            refused = service.client.post("/score", content=PNG, headers={"authorization": given})
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        for path in (
            "/metrics",
            "/models",
            "/openapi.json",
            "/v2",
            "/v2/models/bracket",
            "/nowhere",
            "/score/",
            "http://testserver//metrics",
        ):
            assert service.client.get(path).status_code == 401, path
        for path in ("/", "/page.js", "/page.css", "/healthz", "/v2/health/live", "/v2/health/ready"):
            assert service.client.get(path).status_code == 200, path
        assert service.client.get("/readyz").json() == {"ready": True}  # nothing of the models
        assert service.scorer.scored == 0
        admitted = {"authorization": f"bearer {TOKEN}"}
        assert service.client.post("/score", content=PNG, headers=admitted).status_code == 200
        assert "models" in service.client.get("/readyz", headers=admitted).json()
        metrics = service.client.get("/metrics", headers=admitted).text
        assert 'vqi_refused_total{reason="token"} 15.0' in metrics
        assert TOKEN not in json.dumps(service.lines)


@pytest.mark.parametrize(
    "token", ["", " ", "short", "with a blank in it and long", "x" * 20 + "\n" + "y", "\u00e9" * 20]
)
def test_a_token_that_keeps_nobody_out_is_refused(token: str) -> None:
    with pytest.raises(VqiError, match="at least 16 letters and digits"):
        check_token(token, "VQI_TOKEN")
    assert check_token(f"{TOKEN}\n", "VQI_TOKEN") == TOKEN


def test_the_description_for_programs_names_all_that_is_served(service: Serving) -> None:
    described = service.client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/score", "/verdicts", "/models", "/good-parts", "/healthz", "/readyz", "/metrics", "/v2",
        "/v2/health/live", "/v2/health/ready",
        "/v2/models/{name}", "/v2/models/{name}/ready", "/v2/models/{name}/infer",
    }  # fmt: skip
    assert "image/*" in described["paths"]["/score"]["post"]["requestBody"]["content"]
