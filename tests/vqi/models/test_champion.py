"""The champion: who wins a race, what a killed promotion leaves, what is refused; in a folder and on a real server."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.fuzz import fuzz_cases
from tests.vqi.made import metrics
from tests.vqi.models.packages import package
from tests.vqi.store.faulty_server import FaultyServer, Request, answer, etag, serving
from vqi.artifacts.metrics import write_metrics
from vqi.config import Publish
from vqi.errors import VqiError
from vqi.models import champion as champions
from vqi.models.category import Category
from vqi.models.champion import MovedMeanwhileError, Seen, champion_of, history, line, move, seen, whoami
from vqi.models.deciding import publish_and_decide
from vqi.models.manifest import MANIFEST
from vqi.models.promotion import promote, rollback
from vqi.models.registry import fetch_model, publish
from vqi.store.interface import ConditionsError, Store
from vqi.store.opening import open_store

RACERS, ROUNDS, VERSIONS = 20, fuzz_cases(4, 200), 3
KILLS, KILLED_PUBLICATIONS = fuzz_cases(8, 100), fuzz_cases(5, 100)


@pytest.fixture
def category(store: Store, tmp_path: Path) -> Category:
    """With three versions."""
    for number in range(VERSIONS):
        publish(store, **package(tmp_path / "packages", number))
    return Category(store, "models/parts/mono/")


def test_moves_are_counted_and_kept(category: Category) -> None:
    assert seen(category) == Seen(None, "")
    assert history(category) == []
    first = move(category, seen(category), 1, "me@here", "the first one")
    assert (first.number, first.version, first.by, first.why) == (1, 1, "me@here", "the first one")
    second = move(category, seen(category), 3, "me@here", "better\nby far")
    assert champion_of(category) == second
    assert history(category) == [first, second]
    assert second.why == "better\\nby far", "one line of a table"
    assert first.since <= second.since


def test_whoever_saw_another_champion_is_told_which_it_is_now(category: Category) -> None:
    early = seen(category)
    move(category, early, 1, "me", "first")
    for late in (early, seen(category)._replace(tag="0" * 32)):
        with pytest.raises(MovedMeanwhileError, match="meanwhile, now it is move 1 to v1 by me: look again"):
            move(category, late, 2, "you", "late")
    assert [one.version for one in history(category)] == [1]


@pytest.mark.parametrize("kind", ["first", "next"])
def test_one_of_many_wins_each_round(category: Category, kind: str) -> None:
    """Each saw the same champion, then all move it at once."""
    if kind == "next":
        move(category, seen(category), 1, "start", "start")
    before = history(category)
    for turn in range(ROUNDS):
        barrier, since = threading.Barrier(RACERS), seen(category)
        if kind == "first":
            category = Category(category.store, f"models/parts/race-{turn}/")
            category.store.put_bytes(category.key(f"v1/{MANIFEST}"), b"{}")
            before, since = [], seen(category)

        def race(number: int, barrier: threading.Barrier = barrier, since: Seen = since, where: Category = category,
                 turn: int = turn) -> bool:  # fmt: skip
            barrier.wait()
            try:
                move(where, since, 1, f"racer {number}", f"round {turn}")
            except MovedMeanwhileError:
                return False
            return True

        with ThreadPoolExecutor(RACERS) as pool:
            won = list(pool.map(race, range(RACERS)))
        assert won.count(True) == 1
        moves = history(category)
        assert [one.number for one in moves] == list(range(1, len(before) + 2))
        assert (moves[-1].by, moves[-1].why) == (f"racer {won.index(True)}", f"round {turn}")
        assert moves[:-1] == before
        before = moves


def promoted(uri: str, version: int, rounds: int) -> None:
    """In a process of its own: go on until so many promotions were made."""
    for number in range(rounds):
        while True:
            with suppress(MovedMeanwhileError):
                where = Category(open_store(uri))
                move(where, seen(where), version, f"process {version}", str(number))
                break


def test_processes_that_promote_at_once_lose_nothing(category: Category) -> None:
    """Each tries again until it was the one: every promotion is in the history, once."""
    context, rounds = multiprocessing.get_context("spawn"), 5
    processes = [
        context.Process(target=promoted, args=(category.uri, number, rounds)) for number in range(1, VERSIONS + 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * VERSIONS
    moves = history(category)
    assert [one.number for one in moves] == list(range(1, VERSIONS * rounds + 1))
    expected = {(f"process {version}", str(number)) for version in range(1, VERSIONS + 1) for number in range(rounds)}
    assert {(one.by, one.why) for one in moves} == expected
    assert champion_of(category) == moves[-1]


class KilledError(Exception):
    """In place of SIGKILL."""


def test_the_next_move_adds_what_an_interrupted_one_left_out(
    category: Category, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    move(category, seen(category), 1, "me", "first")
    put, name = category.store.put_if_absent, "history/2.json"

    def interrupted(key: str, data: bytes) -> bool:
        if key.endswith(name):
            raise KilledError
        return put(key, data)

    with monkeypatch.context() as patched:
        patched.setattr(category.store, "put_if_absent", interrupted)
        with pytest.raises(KilledError):
            move(category, seen(category), 2, "me", "second")
    assert not category.store.exists(category.key(name))
    assert [one.version for one in history(category)] == [1, 2], "it is the champion"
    capsys.readouterr()
    move(category, seen(category), 3, "me", "third")
    said = capsys.readouterr().err
    assert "note: " in said
    assert "move 2 to v2 by me was not in the history: whoever moved the champion was interrupted; it is added" in said
    assert category.store.exists(category.key(name))
    assert [(one.number, one.version) for one in history(category)] == [(1, 1), (2, 2), (3, 3)]
    move(category, seen(category), 1, "me", "fourth")
    assert capsys.readouterr().err == ""


def test_a_lost_answer_is_no_lost_race(category: Category, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write was made, the answer lost, and somebody moved the champion on before it was asked again."""
    move(category, seen(category), 1, "me", "first")
    replace = category.store.replace

    def lost(key: str, data: bytes, tag: str) -> bool:
        with monkeypatch.context() as inner:
            inner.setattr(category.store, "replace", replace)
            assert replace(key, data, tag)
            move(category, seen(category), 3, "you", "on top")
        return False

    with monkeypatch.context() as patched:
        patched.setattr(category.store, "replace", lost)
        assert move(category, seen(category), 2, "me", "second").number == 2
    assert [one.version for one in history(category)] == [1, 2, 3]


def test_a_champion_that_was_removed_by_hand_goes_on_counting(category: Category) -> None:
    for version in (1, 2):
        move(category, seen(category), version, "me", "")
    category.store.delete(category.key(champions.CHAMPION))
    assert champion_of(category) is None
    assert move(category, seen(category), 3, "me", "").number == 3
    assert [one.version for one in history(category)] == [1, 2, 3]


def test_a_history_that_says_something_else_is_refused(category: Category) -> None:
    made = move(category, seen(category), 1, "me", "first")
    other = made.model_copy(update={"version": 2})
    category.store.put_bytes(category.key("history/1.json"), other.model_dump_json().encode())
    with pytest.raises(VqiError, match=r"history/1\.json: expected move 1 to v1 .*, got move 1 to v2 .*by hand"):
        move(category, seen(category), 3, "me", "")
    assert champion_of(category) == made


@pytest.mark.parametrize("content", [b"", b"{", b"other"])
def test_a_damaged_entry_of_the_last_move_is_written_again(category: Category, content: bytes) -> None:
    for number in (1, 2):
        promote(category.uri_of(number), "me", "")
    category.store.put_bytes(category.key("history/2.json"), content)
    assert [one.version for one in history(category)] == [1, 2], "the last move is in champion.json"
    promote(category.uri_of(3), "me", "")
    assert [one.version for one in history(category)] == [1, 2, 3]
    assert category.store.get_bytes(category.key("history/2.json")).startswith(b"{")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 1}', b'{"format": "vqi.champion/9"}', b"\xff"])
def test_a_damaged_champion_is_named(category: Category, content: bytes) -> None:
    category.store.put_bytes(category.key(champions.CHAMPION), content)
    with pytest.raises(VqiError, match=r"mono/champion\.json: .*remove it and promote a version") as error:
        seen(category)
    assert str(error.value).isprintable()


def test_a_version_that_is_none_and_texts_that_are_too_long(category: Category) -> None:
    with pytest.raises(VqiError, match=r"no model at '.*mono/v9': it cannot be the champion"):
        move(category, seen(category), 9, "me", "")
    for texts, name in ((("x" * 201, ""), "by"), (("me", "x" * 2001), "why")):
        with pytest.raises(VqiError, match=f"{name}: expected at most"):
            move(category, seen(category), 1, *texts)
    assert champion_of(category) is None


def test_a_version_that_is_removed_while_it_is_promoted(category: Category, monkeypatch: pytest.MonkeyPatch) -> None:
    move(category, seen(category), 1, "me", "first")
    replace = category.store.replace

    def removed(key: str, data: bytes, tag: str) -> bool:
        category.store.delete(category.key(f"v2/{MANIFEST}"))
        return replace(key, data, tag)

    with monkeypatch.context() as patched:
        patched.setattr(category.store, "replace", removed)
        with pytest.raises(VqiError, match="mono/v2 was removed while it was promoted"):
            move(category, seen(category), 2, "me", "second")
    assert [one.version for one in history(category)] == [1, 2, 1]
    first = Category(category.store, "models/parts/first/")
    first.store.put_bytes(first.key(f"v1/{MANIFEST}"), b"{}")
    absent = first.store.put_if_absent

    def removed_first(key: str, data: bytes) -> bool:
        first.store.delete(first.key(f"v1/{MANIFEST}"))
        return absent(key, data)

    monkeypatch.setattr(first.store, "put_if_absent", removed_first)
    with pytest.raises(VqiError, match="first/v1 was removed while it was promoted"):
        move(first, seen(first), 1, "me", "first")


# ------------------------------------------------------------------------------------------- what a person does


def test_promote_and_roll_back_again_and_again(category: Category, store: Store) -> None:
    for version in (1, 2, 3):
        moved = promote(category.uri_of(version), "me", "")
        assert (moved.before, moved.champion.version) == (version - 1, version)
    again = promote(category.uri_of(3), "me", "")
    assert (again.before, again.champion.version, again.champion.number) == (3, 3, 3)
    assert [rollback(category.uri, "me", "").champion.version for _ in range(2)] == [2, 1]
    with pytest.raises(VqiError, match="there was no champion before: promote a version"):
        rollback(category.uri, "me", "")
    promote(category.uri_of(3), "me", "")
    assert rollback(category.uri, "me", "no").champion.version == 1
    moves = history(category)
    assert [one.version for one in moves] == [1, 2, 3, 2, 1, 3, 1]
    assert [one.why for one in moves[3:]] == ["back from v3", "back from v2", "promoted by a person", "no"]
    assert line(moves) == [1]


def test_what_is_not_promoted(category: Category, store: Store, tmp_path: Path) -> None:
    with pytest.raises(VqiError, match=r"mono: expected a version to promote, such as .*mono/v3"):
        promote(category.uri, "me", "")
    with pytest.raises(VqiError, match=r"no model at '.*mono/v7'"):
        promote(category.uri_of(7), "me", "")
    with pytest.raises(VqiError, match=r"no model at '.*moon': did you mean '.*mono'"):
        rollback(store.uri_of("models/parts/moon"), "me", "")
    with pytest.raises(VqiError, match="there was no champion before"):
        rollback(category.uri, "me", "")
    for key in category.store.list(category.key("v1/")):
        name = key.key.rpartition("/")[2]
        category.store.put_bytes(category.key(f"v4/{name}"), category.store.get_bytes(key.key))
    with pytest.raises(VqiError, match=r"v4: expected version 4 of parts/mono, got version 1 of parts/mono: somebody"):
        promote(category.uri_of(4), "me", "")
    detector = category.key("v2/detector.safetensors")
    whole = category.store.get_bytes(detector)
    for damaged in (whole[:-100], b"", b"other"):
        category.store.put_bytes(detector, damaged)
        with pytest.raises(VqiError, match=r"v2/detector\.safetensors: not the file that the manifest names"):
            promote(category.uri_of(2), "me", "")
    category.store.delete(detector)
    with pytest.raises(VqiError, match=r"v2/detector\.safetensors"):
        promote(category.uri_of(2), "me", "")
    assert champion_of(category) is None
    promote(category.uri_of(1), "me", "")
    promote(category.uri_of(3), "me", "")
    category.store.delete(category.key(f"v1/{MANIFEST}"))
    with pytest.raises(VqiError, match="v1"):
        rollback(category.uri, "me", "")
    assert [one.version for one in history(category)] == [1, 3]


def test_a_copy_outside_of_a_store_is_not_promoted(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/store")
    publish(store, **package(tmp_path, 1))
    shutil.copytree(tmp_path / "store/models/parts/mono/v1", tmp_path / "carried")
    with pytest.raises(VqiError, match=r"expected a version in a store, such as .*, got a copy of one"):
        promote(str(tmp_path / "carried"), "me", "")


def test_a_store_that_can_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"file://{tmp_path}/store")
    publish(store, **package(tmp_path, 1))
    category = Category(store, "models/parts/mono/")

    def read_only(folder: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    with monkeypatch.context() as patched:
        patched.setattr("vqi.store.folder.held_folder", read_only)
        with pytest.raises(VqiError, match=r"cannot write file://.*champion\.json: .*the disk is read-only"):
            promote(category.uri_of(1), "me", "")
        assert fetch_model(category.uri, tmp_path / "fetched").version == 1, "reading goes on"
    assert champion_of(category) is None


# --------------------------------------------------------------------------------- servers without conditions


def without_conditions(server: FaultyServer, request: Request) -> list[bytes] | None:
    if not request.is_put:
        return None
    server.objects[request.key] = request.body
    return answer(200, ETag=f'"{etag(request.body)}"')


def not_implemented(server: FaultyServer, request: Request) -> list[bytes] | None:
    from tests.vqi.store.faulty_server import error

    refused = request.is_put and {"if-match", "if-none-match"} & request.headers.keys()
    return error(501, "NotImplemented") if refused else None


@pytest.mark.parametrize("fault", [without_conditions, not_implemented])
def test_a_server_that_ignores_conditions_promotes_nothing(
    s3_environment: object, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., list[bytes] | None]
) -> None:
    with serving(fault) as server:
        monkeypatch.setenv("VQI_S3_ENDPOINT", server.endpoint)
        monkeypatch.setattr("vqi.store.s3_connections.RETRIES", 0)
        category = Category(open_store("s3://bucket/p"), "models/parts/mono/")
        category.store.put_bytes(category.key(f"v1/{MANIFEST}"), b"{}")
        with pytest.raises(ConditionsError, match="ignores the conditions If-None-Match and If-Match of a put") as said:
            move(category, seen(category), 1, "me", "")
        assert str(said.value).isprintable()
        assert champion_of(category) is None
        assert [key for key in server.objects if "history" in key] == []


# ------------------------------------------------------------------------------------------------------ SIGKILL

Work = Callable[..., None]


def promote_one(store: str, number: int) -> None:
    promote(f"{store}/models/parts/mono/v{number % VERSIONS + 1}", "me", "")


def publish_one(store: str, number: int, folder: str) -> None:
    files = package(Path(folder), number)
    write_metrics(files["metrics"], metrics())
    publish_and_decide(open_store(store), **files, settings=Publish(gate="off"))


def again_and_again(
    work: Work, first: int, arguments: Sequence[str], environment: Mapping[str, str], ready: Connection
) -> None:
    """In a process of its own, until it is killed."""
    os.environ.update(environment)  # the processes come from a server that was started in another test
    store, *others = arguments
    for turn in count():
        if turn == 2:
            ready.send("ready")
        work(store, first + turn, *others)


def killed(times: int, work: Work, *arguments: str, seconds: float) -> Iterator[None]:
    """Processes that do something again and again, each killed at a random moment within so many seconds."""
    draw, context = random.Random(0), multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imports once, for all of them
    for number in range(times):
        here, there = context.Pipe(duplex=False)
        process = context.Process(
            target=again_and_again, args=(work, 1000 * number, arguments, dict(os.environ), there)
        )
        process.start()
        there.close()
        assert here.recv() == "ready"
        process.join(draw.uniform(0, seconds))
        assert process.exitcode is None, "it goes on until it is killed"
        process.kill()
        process.join()
        yield


def check_whole(category: Category, folder: Path) -> None:
    """The champion is the last move of a history without gaps, and can be loaded."""
    champion, moves = champion_of(category), history(category)
    assert [one.number for one in moves] == list(range(1, len(moves) + 1))
    assert moves[-1] == champion
    assert fetch_model(category.uri, folder).version == champion.version


@pytest.mark.slow
def test_a_promotion_killed_at_any_moment_leaves_a_whole_champion(category: Category, tmp_path: Path) -> None:
    for version in (1, 2):  # the second one imports nothing
        began = time.monotonic()
        promote(category.uri_of(version), "me", "")
        promotion = time.monotonic() - began
    for turn, _ in enumerate(killed(KILLS, promote_one, category.store.uri, seconds=3 * promotion)):
        check_whole(category, tmp_path / f"fetched{turn % 2}")
    assert len(history(category)) > KILLS


@pytest.mark.slow
def test_a_publication_killed_at_any_moment_leaves_a_whole_champion(category: Category, tmp_path: Path) -> None:
    for turn, _ in enumerate(
        killed(KILLED_PUBLICATIONS, publish_one, category.store.uri, str(tmp_path / "made"), seconds=0.5)
    ):
        check_whole(category, tmp_path / f"fetched{turn % 2}")
    assert len(history(category)) > KILLED_PUBLICATIONS
    complete = category.complete()
    assert len({category.digest_of(number) for number in complete}) == len(complete), "no package twice"


def test_a_clock_that_jumps_back(category: Category, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is that of the moves' numbers; nothing is decided by what a clock says."""
    now = datetime(2026, 5, 1, tzinfo=UTC)
    for version, days in ((1, 0), (2, -400), (3, 9000)):
        monkeypatch.setattr(champions, "_now", lambda days=days: now + timedelta(days=days))
        promote(category.uri_of(version), "me", "")
    monkeypatch.setattr(champions, "_now", lambda: now - timedelta(days=9999))
    assert [one.version for one in history(category)] == [1, 2, 3]
    for expected in (2, 1):
        rollback(category.uri, "me", "")
        champion = champion_of(category)
        assert champion is not None
        assert champion.version == expected
    assert champion.number == 5


def test_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "@" in whoami()
    monkeypatch.setattr("getpass.getuser", lambda: {}["no such user"])
    assert whoami().startswith(f"uid {os.getuid()}@")
