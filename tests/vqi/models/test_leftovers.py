"""What is removed of a store because nobody needs it, and what never is; in a folder and on a real S3 server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.vqi.models.packages import package, publish_until_manifest
from vqi.datasets.in_use import note_use
from vqi.errors import VqiError
from vqi.models import leftovers
from vqi.models.category import Category
from vqi.models.champion import move, seen
from vqi.models.leftovers import Found, collect, look
from vqi.models.manifest import BACKBONE, MANIFEST
from vqi.models.pruning import plan, prune
from vqi.models.registry import fetch_model, publish
from vqi.models.trained import Trained, note_trained
from vqi.outcomes import forget_old
from vqi.store.interface import Store
from vqi.store.opening import open_store
from vqi.store.s3_clients import connect

LATER = timedelta(days=30)
OLD, NEW = "parts@000000000000", "parts@111111111111"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on a month has passed since all that was written before."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + LATER

    return lambda: monkeypatch.setattr(leftovers, "datetime", Clock)


def made(store: Store, folder: Path, number: int, dataset: str = NEW, category: str = "mono") -> Category:
    """A version with a network of its own, and what it was made of."""
    files = package(folder, number, category)
    files["backbone"].write_bytes(f"weights {number}".encode() * 1000)
    found = publish(store, **files)
    note_trained(found.category, found.version, Trained(data="0" * 64, recipe="a.b", dataset=dataset, used=0))
    return found.category


def dataset(store: Store, folder: str) -> None:
    for name in ("mono.zip", "catalog.json"):
        store.put_bytes(f"datasets/{folder}/{name}", b"photographs")


def keys_of(found: Found, kind: str = "") -> list[str]:
    return [one.key for one in found.removed if kind in ("", one.kind)]


def network(category: Category, number: int) -> str:
    return category.backbones.key(category.manifest(number).files[BACKBONE])


def test_what_is_young_stays(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    category = made(store, tmp_path, 1)
    prune(category, plan(category, 1))
    publish_until_manifest(store, package(tmp_path, 2), monkeypatch)
    dataset(store, OLD)
    store.put_bytes(f"{category.backbones.prefix}{'a' * 64}.safetensors", b"network")
    note_use(store, "run", OLD)
    before = [*store.list()]
    found = look(store)
    assert found.removed == ()
    assert {"models/parts/mono/v2/", f"datasets/{OLD}/", "runs/run/"} <= found.kept.keys()
    collect(found)
    assert [one for one in store.list() if "conditions" not in one.key] == before


def test_what_nobody_needs(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: Callable[[], None]
) -> None:
    for number in (1, 2, 3):
        category = made(store, tmp_path, number, OLD if number == 1 else NEW)
    for version in (2, 3):
        move(category, seen(category), version, "me", "")
    unneeded = network(category, 1)
    prune(category, plan(category, 1))
    publish_until_manifest(store, package(tmp_path, 4), monkeypatch)
    for folder in (OLD, NEW):
        dataset(store, folder)
    for run in ("killed", "ended"):
        note_use(store, run, OLD)
    forget_old(store, "ended")
    store.put_bytes("verdicts/parts/mono/photographs/1.png", b"photograph")
    store.put_bytes("checkpoints/0123.safetensors", b"state")
    store.put_bytes("others/0123.safetensors", b"not ours")
    later()
    found = look(store)
    shared = sorted(network(category, number) for number in (2, 3))
    upload = category.backbones.key(category.reservation(4)[0].backbone)  # type: ignore[index]
    assert keys_of(found, "upload") == ["models/parts/mono/v4/"]
    assert keys_of(found, "run") == ["runs/killed/"]
    assert keys_of(found, "checkpoint") == ["checkpoints/0123.safetensors"]
    assert keys_of(found, "dataset") == [f"datasets/{OLD}/"]
    assert keys_of(found, "network") == sorted([unneeded, upload])
    assert [found.kept[one] for one in shared] == ["a version has it"] * 2
    assert found.kept[f"datasets/{NEW}/"].endswith("was made of it")
    assert found.kept["runs/ended/"] == "one of the last runs"
    before = {one.key: one.size for one in store.list()}
    done = collect(found)
    assert done.removed == found.removed
    after = {one.key for one in store.list()}
    gone = before.keys() - after
    assert sum(before[key] for key in gone) == sum(one.bytes for one in done.removed)
    assert {*keys_of(done)} <= {key[: key.rindex("/") + 1] for key in gone} | gone
    assert {
        "verdicts/parts/mono/photographs/1.png",
        f"datasets/{NEW}/mono.zip",
        "others/0123.safetensors",
        *shared,
    } <= after
    assert [fetch_model(category.uri_of(number), tmp_path / "got").version for number in (2, 3)] == [2, 3]
    assert look(store).removed == ()


def test_a_run_under_way_keeps_its_old_dataset(store: Store, later: Callable[[], None]) -> None:
    dataset(store, OLD)
    later()
    assert keys_of(look(store)) == [f"datasets/{OLD}/"]
    store.put_bytes("runs/new/dataset.json", b"")
    record = store.list

    def listed(prefix: str = "") -> Any:  # what the run writes now is as young as the clock of the test
        return (
            one._replace(modified=datetime.now(UTC) + LATER) if "runs" in one.key else one for one in record(prefix)
        )

    store.delete("runs/new/dataset.json")
    note_use(store, "new", OLD)
    store.list = listed  # type: ignore[method-assign]
    assert look(store).kept[f"datasets/{OLD}/"] == "runs/new uses it"


def test_what_is_not_known_to_be_needed_stays(store: Store, tmp_path: Path, later: Callable[[], None]) -> None:
    category = made(store, tmp_path, 1)
    made(store, tmp_path, 2)
    for folder in (OLD, NEW, "others@000000000000"):
        dataset(store, folder)
    store.put_bytes(category.key(f"v1/{MANIFEST}"), b"{")
    store.delete(category.key("v2/trained.json"))
    store.put_bytes(f"{category.backbones.prefix}{'a' * 64}.safetensors", b"network")
    later()
    found = look(store)
    assert keys_of(found) == ["datasets/others@000000000000/"]
    assert "it is not known of which one" in found.kept[f"datasets/{OLD}/"]
    assert "it is not known what" in found.kept[f"{category.backbones.prefix}{'a' * 64}.safetensors"]


def test_what_is_needed_by_now_stays(store: Store, tmp_path: Path, later: Callable[[], None]) -> None:
    """A version is published between the look and the removal."""
    category = made(store, tmp_path, 1)
    for number in (1, 2):
        made(store, tmp_path, number, OLD, "poly")
    poly = Category(store, "models/parts/poly/")
    prune(poly, plan(poly, 1))
    for version in (1, 2):
        poly.store.delete(poly.key(f"v{version}/{MANIFEST}"))
        poly.store.delete(poly.key(f"v{version}/reserved.json"))
        poly.store.delete(poly.key(f"v{version}/trained.json"))
    dataset(store, OLD)
    later()
    found = look(store)
    assert f"datasets/{OLD}/" in keys_of(found)
    assert len(keys_of(found, "network")) == 1
    made(store, tmp_path, 2, OLD)
    assert category.manifest(2).by_digest == (BACKBONE,)
    done = collect(found)
    assert keys_of(done) == []
    assert done.kept[network(category, 2)] == done.kept[f"datasets/{OLD}/"] == "needed by now"
    assert store.get_bytes(f"datasets/{OLD}/catalog.json") == b"photographs"
    fetch_model(category.uri_of(2), tmp_path / "got")


def remove(category: Category, digest: str) -> set[str]:
    """Remove a network that nobody needed before."""
    pool, now = category.backbones, datetime.now(UTC)

    def needed() -> set[str]:
        return leftovers._needed(category.store, [category], now).networks.get(pool.prefix, set())

    return pool.remove([digest], needed, now - timedelta(days=1))


@pytest.mark.parametrize("moment", range(1, 7))
def test_a_version_that_is_published_while_its_network_is_removed_is_whole(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """At any moment of the removal: before each of its requests."""
    category = made(store, tmp_path, 1)
    digest = category.manifest(1).files[BACKBONE]
    for name in (MANIFEST, "reserved.json"):
        store.delete(category.key(f"v1/{name}"))
    whole = {name: getattr(store, name) for name in ("list", "put_if_absent", "delete")}
    requests = []

    def publishes(name: str) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            requests.append(name)
            if len(requests) == moment:
                with monkeypatch.context() as inner:
                    for each, method in whole.items():
                        inner.setattr(store, each, method)
                    made(store, tmp_path / "again", 1)
            return whole[name](*given)

        return call

    with monkeypatch.context() as patched:
        for name in whole:
            patched.setattr(store, name, publishes(name))
        remove(category, digest)
    assert requests == ["put_if_absent", "list", "list", "delete", "delete"][: len(requests)]
    if moment > len(requests):
        made(store, tmp_path / "again", 1)
    fetch_model(category.uri_of(category.complete()[-1]), tmp_path / "got")


def test_a_network_is_not_removed_between_the_number_of_a_version_and_its_manifest(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    category = made(store, tmp_path, 1)
    digest = category.manifest(1).files[BACKBONE]
    for name in (MANIFEST, "reserved.json"):
        store.delete(category.key(f"v1/{name}"))
    put, removed = store.put_file, []

    def removes(key: str, path: Path) -> None:
        removed.append(remove(category, digest))
        put(key, path)

    monkeypatch.setattr(store, "put_file", removes)
    made(store, tmp_path / "again", 1)
    assert removed == [set()] * 3
    fetch_model(category.uri_of(2), tmp_path / "got")


def test_a_mark_that_was_left_is_cleared(store: Store, tmp_path: Path, later: Callable[[], None]) -> None:
    category = made(store, tmp_path, 1)
    digest = category.manifest(1).files[BACKBONE]
    mark = category.backbones.key(digest).replace(".safetensors", ".removal")
    store.put_bytes(mark, b'{"at": "2020-01-01T00:00:00Z"}')
    later()
    found = look(store)
    assert keys_of(found) == [mark]
    assert keys_of(collect(found)) == [mark]
    assert category.backbones.has(digest), "a version has it"


@pytest.mark.parametrize("version", [1, 2])
def test_a_champion_whose_removal_was_killed_stays(
    store: Store, tmp_path: Path, later: Callable[[], None], version: int
) -> None:
    for number in (1, 2):
        category = made(store, tmp_path, number)
        move(category, seen(category), number, "me", "")
    needed = network(category, version)
    store.delete(category.key(f"v{version}/{MANIFEST}"))
    later()
    found = look(store)
    assert found.removed == ()
    assert found.kept[f"models/parts/mono/v{version}/"] == "it was, or is, the champion"
    assert found.kept[needed] == "a version has it"
    store.put_bytes(category.key("champion.json"), b"{")
    assert "it is not known whether it is the champion" in look(store).kept[f"models/parts/mono/v{version}/"]


def test_writes_that_did_not_end(store: Store, tmp_path: Path, later: Callable[[], None]) -> None:
    store.put_bytes("models/parts/there", b"")
    store.put_bytes("others/there", b"")
    if store.uri.startswith("file"):
        for folder in ("models/parts", "others"):
            (tmp_path / "store" / folder / ".tmp-1234").write_bytes(b"part")
        expected = ("models/parts/.tmp-1234", 4)
    else:
        client = connect().minio
        for name in (f"{tmp_path.name}/models/parts/large", f"{tmp_path.name}/others/large"):
            upload = client._create_multipart_upload("models-tests", name, {})
            client._upload_part("models-tests", name, b"part" * 1000, {}, upload, 1)
        expected = ("models/parts/large", 4000)
    found = look(store)
    assert found.tells_writes
    assert (found.removed, [*found.kept]) == ((), [expected[0]])
    later()
    found = look(store)
    assert [(one.kind, one.key, one.bytes) for one in found.removed] == [("write", *expected)]
    assert collect(found).removed == found.removed
    assert [one.key.split("/")[0] for one in store.unfinished() or ()] == ["others"], "whose that is, is not known"
    for one in found.writes:
        store.discard(one)  # once more


def test_a_part_of_a_store(store: Store, tmp_path: Path) -> None:
    made(store, tmp_path, 1)
    with pytest.raises(VqiError, match="expected a whole store"):
        look(open_store(store.uri_of("models/parts")))
    with pytest.raises(VqiError, match="nothing of vqi is there"):
        look(open_store(f"file://{tmp_path}/nothing"))
