"""What a service scores is sent on, and counted."""

from __future__ import annotations

from pathlib import Path

from tests.vqi.serving.made import base64_of, photograph, serving
from tests.vqi.sinks.receiver import outbox_to, receiving
from vqi.models.rows import COLUMNS


def test_each_photograph_that_has_a_score_is_sent(tmp_path: Path) -> None:
    with receiving() as receiver, serving(outbox=(outbox := outbox_to(receiver.url, tmp_path))) as service:
        with outbox:  # its end waits for the thread that counts
            assert service.client.post("/score", content=photograph(150)).status_code == 200
            assert service.client.post("/score", content=b"no photograph").status_code == 422
            image = {"name": "image", "shape": [2], "datatype": "BYTES", "data": [base64_of(photograph(90))] * 2}
            assert service.client.post("/v2/models/bracket/infer", json={"inputs": [image]}).status_code == 200
            receiver.until(lambda: len(receiver.taken) == 3)
        first, second, third = receiver.taken
        assert {"id", "time", "model", "version", *COLUMNS} == set(first)
        assert {name: first[name] for name in ("model", "version", "path", "score", "decision", "boxes", "error")} == {
            "model": "bracket", "version": 7, "path": None, "score": 150.0, "decision": 1, "boxes": [[1, 2, 3, 4]],
            "error": None,
        }  # fmt: skip
        assert (second["score"], third["decision"]) == (90.0, 0)
        assert service.metric('vqi_sink_messages_total{outcome="delivered"}') == 3
        assert service.metric('vqi_sink_messages_total{outcome="dropped"}') == 0
        assert service.metric("vqi_sink_waiting") == 0


def test_a_sink_that_is_away_costs_no_answer(tmp_path: Path) -> None:
    with receiving() as receiver, outbox_to(receiver.url, tmp_path) as outbox, serving(outbox=outbox) as service:
        receiver.status = 0
        for _ in range(5):
            assert service.client.post("/score", content=photograph()).status_code == 200
        receiver.until(lambda: receiver.asked)
        assert service.metric("vqi_sink_waiting") == 5
        assert service.metric('vqi_sink_messages_total{outcome="delivered"}') == 0
        receiver.status = 200
        receiver.released.set()
        receiver.until(lambda: len(receiver.taken) == 5)
