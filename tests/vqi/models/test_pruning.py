"""What is removed of old versions, and what never is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.vqi.models.packages import KilledError, package, publish_until_manifest
from vqi.models import pruning
from vqi.models.category import RESERVED, Category, Reservation
from vqi.models.champion import champion_of, move, seen
from vqi.models.manifest import MANIFEST
from vqi.models.promotion import rollback
from vqi.models.registry import fetch_model, publish
from vqi.store.interface import Store

VERSIONS = 6
LATER = timedelta(days=2)


@pytest.fixture
def category(store: Store, tmp_path: Path) -> Category:
    """With six versions."""
    for number in range(VERSIONS):
        publish(store, **package(tmp_path / "packages", number))
    return Category(store, "models/parts/mono/")


def promote(category: Category, *versions: int) -> None:
    for version in versions:
        move(category, seen(category), version, "me", "")


def test_the_champion_and_the_one_before_it_stay(category: Category, tmp_path: Path) -> None:
    promote(category, 2, 1, 3)
    found = pruning.plan(category, 1)
    assert [*found.removed] == [2, 4, 5]
    assert found.kept == {1: "the champion before", 3: "the champion", 6: "one of the newest 1"}
    assert category.complete() == [1, 2, 3, 4, 5, 6], "a plan changes nothing"
    assert min(found.removed.values()) > 3000, "bytes"
    assert pruning.prune(category, found) == found
    assert [*category.files()] == [1, 3, 6]
    assert fetch_model(category.uri, tmp_path / "fetched").version == 3
    rollback(category.uri, "me", "")
    assert fetch_model(category.uri, tmp_path / "fetched").version == 1
    assert pruning.plan(category, 1).removed.keys() == {3}, "what was rolled back from is one of many"


def test_without_a_champion_the_newest_stays(category: Category) -> None:
    found = pruning.prune(category, pruning.plan(category, 2))
    assert found.kept == {5: "one of the newest 2", 6: "in use: there is no champion"}
    assert category.complete() == [5, 6]
    assert pruning.plan(category, 10).removed == {}


def test_a_number_is_not_used_again(category: Category, tmp_path: Path) -> None:
    promote(category, 2)
    pruning.prune(category, pruning.plan(category, 1))
    assert publish(category.store, **package(tmp_path, 100)).version == 7


def test_an_upload_that_may_go_on_stays_for_a_day(
    category: Category, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = package(tmp_path, 100)
    publish_until_manifest(category.store, files, monkeypatch)
    assert pruning.plan(category, VERSIONS).kept[7] == "an upload of the last day"
    later = datetime.now(UTC) + LATER
    old = pruning.plan(category, VERSIONS, later)
    assert old.removed.keys() == {7}
    assert publish(category.store, **files).version == 7
    done = pruning.prune(category, old)  # planned before
    assert (done.removed, done.kept[7]) == ({}, "its upload goes on")
    fetch_model(category.uri_of(7), tmp_path / "fetched")


def test_an_old_upload_is_removed_and_is_not_taken_up_then(
    category: Category, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = package(tmp_path, 100)
    publish_until_manifest(category.store, files, monkeypatch)
    old = pruning.plan(category, VERSIONS, datetime.now(UTC) + LATER)
    delete = category.store.delete

    def publishes(key: str) -> None:
        with monkeypatch.context() as inner:
            inner.setattr(category.store, "delete", delete)
            assert publish(category.store, **files).version == 8
        delete(key)
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(category.store, "delete", publishes)
        with pytest.raises(KilledError):
            pruning.prune(category, old)
    fetch_model(category.uri_of(8), tmp_path / "fetched")
    assert pruning.plan(category, VERSIONS + 1, datetime.now(UTC) + LATER).removed.keys() == {7}, "the next one goes on"
    pruning.prune(category, pruning.plan(category, VERSIONS + 1, datetime.now(UTC) + LATER))
    assert 7 not in category.files()


def test_an_upload_that_is_taken_up_while_it_is_removed_stays(
    category: Category, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = package(tmp_path, 100)
    publish_until_manifest(category.store, files, monkeypatch)
    old = pruning.plan(category, VERSIONS, datetime.now(UTC) + LATER)
    replace = category.store.replace

    def taken_up(key: str, data: bytes, tag: str) -> bool:
        with monkeypatch.context() as inner:
            inner.setattr(category.store, "replace", replace)
            publish_until_manifest(category.store, files, monkeypatch)
        return replace(key, data, tag)

    with monkeypatch.context() as patched:
        patched.setattr(category.store, "replace", taken_up)
        assert pruning.prune(category, old).kept[7] == "its upload goes on"
    assert publish(category.store, **files).version == 7


def test_an_upload_of_unknown_age_stays(category: Category) -> None:
    record = Reservation(digest="0" * 64).model_dump_json(exclude={"at"}).encode()
    category.store.put_bytes(category.key(f"v7/{RESERVED}"), record)
    category.store.put_bytes(category.key("v8/report.html"), b"")
    kept = pruning.plan(category, 6, datetime.now(UTC) + LATER).kept
    assert {kept[7], kept[8]} == {"an incomplete upload, and not known how old"}


def test_a_version_that_becomes_the_champion_while_it_is_removed_is_put_back(
    category: Category, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pruning.plan(category, 1)
    delete = category.store.delete

    def promotes(key: str) -> None:
        if re.search(f"/v3/{MANIFEST}$", key):
            with monkeypatch.context() as inner:
                inner.setattr(category.store, "delete", delete)
                promote(category, 3)
        delete(key)

    monkeypatch.setattr(category.store, "delete", promotes)
    done = pruning.prune(category, found)
    assert done.kept[3] == "it became the champion now"
    assert category.complete() == [3, 6]
    champion = champion_of(category)
    assert champion is not None
    assert fetch_model(category.uri, tmp_path / "fetched").version == champion.version == 3
