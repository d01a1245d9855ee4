"""Feeding all mirrors after a decision: off by default, in processes of their own, at once."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from typing import Any

import pytest

from vqi.mirrors import feeding
from vqi.mirrors.feeding import feed
from vqi.mirrors.registry import MIRRORS
from vqi.models.category import Category

NAMED = {kind.variable: "http://127.0.0.1:1" for kind in MIRRORS.values()}


def test_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    feed("store/models/parts/bracket", dict.fromkeys(NAMED, ""))


def test_all_of_them_have_one_bound_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each process waits for the others, so one after another would never end."""
    started, bounds = threading.Barrier(len(NAMED)), []

    def run(command: list[str], *, env: object, timeout: float, **_: object) -> Any:
        assert env == NAMED
        started.wait(60)
        bounds.append(timeout)
        if command[-2] == "mlflow":
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, 2, "", "a warning\nit refuses\n")

    monkeypatch.setattr(subprocess, "run", run)
    feed("store/models/parts/bracket", NAMED)
    assert bounds == [feeding.BOUND] * len(NAMED)
    assert capsys.readouterr().err == (
        "note: store/models/parts/bracket is not mirrored to MLflow: it took more than 60 s; "
        "'vqi models mirror' makes up for it\n"
        "note: store/models/parts/bracket is not mirrored to Model Registry: it refuses; "
        "'vqi models mirror' makes up for it\n"
    )


def test_a_process_that_does_not_start_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    feed("store/models/parts/bracket", {"VQI_MODEL_REGISTRY": "http://127.0.0.1:1"})
    assert "not mirrored to Model Registry: [Errno 2] No such file" in capsys.readouterr().err


def test_a_server_that_never_answers_is_given_up(
    category: Category, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(feeding, "BOUND", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        feed(category.uri, {**os.environ, "VQI_MODEL_REGISTRY": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        assert time.monotonic() - began < 20, "its own timeout is 20 s"
    assert "is not mirrored to Model Registry: it took more than 0.3 s" in capsys.readouterr().err
