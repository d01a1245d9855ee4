"""The command ``vqi serve``: what it is given, and what it says before it serves."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result as Done

from tests.vqi.made_export import write
from tests.vqi.models.packages import package
from tests.vqi.serving.made import MadeUp
from vqi.errors import VqiError
from vqi.models.registry import publish
from vqi.serving import server
from vqi.store.opening import open_store
from vqi_pipelines.commands.group import vqi

TOKEN = "0123456789abcdef"


class Model(MadeUp):
    """In the place of the model, which would import torch."""

    def __init__(self, uri: str, engine: str, precision: str) -> None:
        if engine == "ipex":
            raise VqiError("the engine ipex is not installed")
        super().__init__(int(uri.rpartition("v")[2]))


@pytest.fixture(autouse=True)
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What was served: the application and its limits."""
    found: list[Any] = []
    module = ModuleType("vqi.models.model")
    module.Model = Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(server, "run", lambda app, _, limits: found.append((app.state.service, limits)))
    monkeypatch.delenv("VQI_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    store = open_store("store")
    for number, category in enumerate(("bracket", "bracket", "gear"), start=1):
        publish(store, **package(tmp_path / "packages", number, category))
    return found


def serve(*arguments: str, **environment: str) -> Done:
    return CliRunner().invoke(vqi, ["serve", "--port", "0", *arguments], env=environment)


def test_all_categories_of_a_store(ran: list[Any]) -> None:
    done = serve("store", "--queue", "5", "--max-bytes", "1000", "--timeout", "2.5")
    assert done.exit_code == 0, done.output
    ((service, limits),) = ran
    assert {one.name: one.now.version for one in service.models} == {"bracket": 2, "gear": 1}
    assert done.stderr.startswith("serving bracket v2, gear v1 at http://127.0.0.1:")
    assert done.stderr.count("\n") == 1
    assert (limits.queue, limits.body, limits.bodies, limits.seconds) == (5, 1000, 8000, 2.5)


def test_an_exported_file(ran: list[Any], tmp_path: Path) -> None:
    write(tmp_path / "file", category="lid")
    done = serve("file", "store/models/parts/gear")
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("serving gear v1, lid v3 at http://127.0.0.1:")
    assert ran[0][0].models.named("lid").now.score(np.full((4, 6, 3), 160, np.uint8)).score == 160
    assert serve("file/model.xml", "--engine", "eager").stderr.startswith("error: ")


def test_one_version(ran: list[Any]) -> None:
    assert serve("store/models/parts/bracket/v1", "store/models/parts/gear").exit_code == 0
    assert [one.now.version for one in ran[0][0].models] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no model at 'nowhere'"),
        (["store", "--engine", "ipex"], "the engine ipex is not installed"),
        (["store/models/parts/bracket/v1", "store/models/parts/bracket/v2"], "two models are called 'bracket'"),
        (["store", "--host", "192.0.2.1"], "cannot listen at 192.0.2.1 port 0"),
        (["store", "--token-file", "gone"], "gone: No such file or directory"),
    ],
)
def test_what_cannot_be_served_is_one_line(ran: list[Any], arguments: list[str], said: str) -> None:
    done = serve(*arguments)
    assert (done.exit_code, done.stdout, ran) == (2, "", [])
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last


def test_where_verdicts_are_kept(ran: list[Any], tmp_path: Path) -> None:
    write(tmp_path / "file", category="lid")
    assert serve("store").exit_code == 0
    assert serve("store", "file", "--verdicts", "answers").exit_code == 0
    assert serve("store/models/parts/gear/v1", "--verdicts", "answers", "--digest-only").exit_code == 0
    nothing, all_of_it, digests = (service.keeping for service, _ in ran)
    assert nothing is None
    books = {name: (book.dataset, book.category) for name, book in all_of_it.books.items()}
    assert books == {"bracket": ("parts", "bracket"), "gear": ("parts", "gear"), "lid": ("parts", "lid")}
    assert all_of_it.books["gear"].store.uri == f"file://{tmp_path}/answers"
    assert (all_of_it.photographs, digests.photographs) == (True, False)
    assert not (tmp_path / "answers").exists()  # until somebody answers


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("file", "file is a file: name a folder"),
        ("s3://me:secret@bucket", "a login in its address"),
        ("ftp://host/x", "unknown kind of store 'ftp://'"),
    ],
)
def test_where_no_verdicts_can_be_kept(ran: list[Any], tmp_path: Path, place: str, said: str) -> None:
    (tmp_path / "file").write_text("x")
    done = serve("store", "--verdicts", place)
    assert (done.exit_code, done.stdout, ran) == (2, "", [])
    assert said in done.stderr.splitlines()[-1]
    assert "secret" not in done.stderr


def test_digests_of_nothing(ran: list[Any]) -> None:
    done = serve("store", "--digest-only")
    assert done.exit_code == 2
    assert "--digest-only: expected with --verdicts STORE" in done.stderr


def test_the_token(ran: list[Any], tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert serve("store", "--token-file", "token").exit_code == 0
    assert serve("store", VQI_TOKEN=TOKEN).exit_code == 0
    for done in (serve("store", VQI_TOKEN="short"), serve("store", VQI_TOKEN="")):
        assert done.exit_code == 2
        assert done.stderr.startswith("error: VQI_TOKEN: expected a token of at least 16 letters and digits")
    assert len(ran) == 2


def test_who_opens_it_to_others_without_a_token_is_warned() -> None:
    warning = "warning: whoever reaches 0.0.0.0 port 0 can use this service: set VQI_TOKEN or --token-file\n"
    assert serve("store", "--host", "0.0.0.0").stderr.startswith(warning)  # noqa: S104 - nothing listens there
    assert "warning" not in serve("store", "--host", "0.0.0.0", VQI_TOKEN=TOKEN).stderr  # noqa: S104
    assert "warning" not in serve("store", "--host", "localhost").stderr
    answers = serve("store", "--host", "0.0.0.0", "--verdicts", "store").stderr  # noqa: S104
    assert answers.startswith(warning.replace(": set", ", and give answers that may train: set"))
