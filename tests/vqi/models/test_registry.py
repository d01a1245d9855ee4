"""Model versions: numbers, races, interruptions and damage, in a folder and on a real S3 server."""

import json
import random
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import fuzz_cases
from tests.vqi.made import detector_artifact, images_record
from tests.vqi.models.packages import KilledError, package, publish_until_manifest
from vqi.artifacts.detector import load_detector, save_detector
from vqi.artifacts.images import ValueRange
from vqi.digests import sha256_bytes
from vqi.errors import VqiError
from vqi.models.category import Category
from vqi.models.champion import move, seen
from vqi.models.manifest import BACKBONE, MANIFEST
from vqi.models.overview import categories_in
from vqi.models.registry import category_at, fetch_model, publish, save_model, version_at
from vqi.sizes import square
from vqi.store.interface import Store
from vqi.store.opening import open_store

RACERS = 6


def test_versions_count_up_and_an_equal_model_is_not_published_again(store: Store, tmp_path: Path) -> None:
    first = publish(store, **package(tmp_path, 1))
    assert (first.published, first.version, first.model) == (True, 1, store.uri_of("models/parts/mono/v1"))
    again = publish(store, **package(tmp_path / "again", 1))
    assert (again.published, again.version, again.model) == (False, 1, first.model)
    assert publish(store, **package(tmp_path, 2)).version == 2
    back = publish(store, **package(tmp_path, 1))
    assert (back.published, back.version) == (False, 1), "an older model came back"
    assert publish(store, **package(tmp_path, 3)).version == 3
    assert publish(store, **package(tmp_path, 1, "poly")).version == 1


def test_fetch_the_newest_and_an_explicit_version(store: Store, tmp_path: Path) -> None:
    for number in range(1, 12):  # v11 comes after v9
        publish(store, **package(tmp_path, number))
    category = store.uri_of("models/parts/mono")
    for uri, number in ((category, 11), (f"{category}/", 11), (f"{category}/v2", 2), (f"{category}/v9/", 9)):
        target = tmp_path / f"fetched{number}"
        manifest = fetch_model(uri, target)
        assert (manifest.version, manifest.dataset, manifest.image_size) == (number, "parts", square(64))
        assert (target / "report.html").read_text() == f"<p>{number}</p>"
        assert (target / "backbone.safetensors").read_bytes() == b"weights" * 1000


def test_names_never_run_together(store: Store, tmp_path: Path) -> None:
    """Neither those of datasets that share what is before an ``@``, nor those that a store takes for something else."""
    datasets = [
        "parts",
        "parts@may",
        "parts@june",
        "parts@",
        "@may",
        "..",
        "a%2Fb",
        "a/b",
        "a\\b",
        "parts ",
        "Parts",
        "v1",
    ]
    for number, name in enumerate(datasets):
        decision = publish(store, **package(tmp_path / str(number), number, category=name, dataset=name))
        assert decision.version == 1, f"{name} shares the versions of another"
        fetched = fetch_model(decision.model, tmp_path / f"fetched{number}")
        assert (fetched.dataset, fetched.category) == (name, name)
        assert (tmp_path / f"fetched{number}" / "report.html").read_text() == f"<p>{number}</p>"


def test_the_manifest_says_which_value_is_white(tmp_path: Path) -> None:
    files = package(tmp_path, 1)
    values = ValueRange(white=4095, source="data")
    images = images_record(dataset="parts@0123456789ab", category="mono", values=values)
    save_detector(files["detector"], detector_artifact(1, images=images))
    model = publish(open_store(f"file://{tmp_path}/store"), **files).model
    assert fetch_model(model, tmp_path / "fetched").values == values
    assert load_detector(tmp_path / "fetched" / "detector.safetensors").record.features.images.white == 4095


@pytest.mark.parametrize("before", [".safetensors", "report.html", MANIFEST])
def test_an_interrupted_publication_is_taken_up(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    files = package(tmp_path, 1)

    def interrupted(put: Any) -> Any:
        def wrapped(key: str, content: Any) -> None:
            if key.endswith(before):
                raise KilledError
            put(key, content)

        return wrapped

    with monkeypatch.context() as patched:
        for name in ("put_file", "put_bytes"):
            patched.setattr(store, name, interrupted(getattr(store, name)))
        with pytest.raises(KilledError):
            publish(store, **files)
    category = store.uri_of("models/parts/mono")
    with pytest.raises(VqiError, match="no model at"):
        fetch_model(category, tmp_path / "half")
    assert publish(store, **package(tmp_path, 2)).version == 2  # taken, by a publisher that may still run
    assert fetch_model(category, tmp_path / "two").version == 2


def test_the_same_publication_again_uses_its_number(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = package(tmp_path, 1)
    publish_until_manifest(store, files, monkeypatch)
    assert store.exists("models/parts/mono/v1/report.html")
    resumed = publish(store, **files)
    assert (resumed.published, resumed.version) == (True, 1)
    fetch_model(resumed.model, tmp_path / "fetched")


def test_an_upload_that_goes_on_after_a_newer_version_uses_its_number(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = package(tmp_path, 1)
    publish_until_manifest(store, files, monkeypatch)
    assert publish(store, **package(tmp_path, 2)).version == 2
    assert publish(store, **files).version == 1
    assert publish(store, **files) == publish(store, **files)
    assert [entry.key for entry in store.list("models/parts/mono/v3/")] == []


def test_racing_publishers_of_one_model_make_one_version(store: Store, tmp_path: Path) -> None:
    packages = [package(tmp_path / str(number), 1) for number in range(RACERS)]
    with ThreadPoolExecutor(RACERS) as pool:
        found = list(pool.map(lambda files: publish(store, **files), packages))
    assert {one.version for one in found} == {1}
    fetch_model(found[0].model, tmp_path / "fetched")
    assert Category(store, "models/parts/mono/").complete() == [1]


def test_racing_publishers_get_different_versions(store: Store, tmp_path: Path) -> None:
    packages = [package(tmp_path, number) for number in range(RACERS)]
    with ThreadPoolExecutor(RACERS) as pool:
        decisions = list(pool.map(lambda files: publish(store, **files), packages))
    assert sorted(decision.version for decision in decisions) == list(range(1, RACERS + 1))
    for number, decision in enumerate(decisions):
        fetch_model(decision.model, tmp_path / f"fetched{number}")
        assert (tmp_path / f"fetched{number}" / "report.html").read_text() == f"<p>{number}</p>"


def test_a_changed_file_is_refused(store: Store, tmp_path: Path) -> None:
    model = publish(store, **package(tmp_path, 1)).model
    store.put_bytes("models/parts/mono/v1/detector.safetensors", b"other")
    with pytest.raises(VqiError, match=r"v1/detector\.safetensors: not the file that the manifest names"):
        fetch_model(model, tmp_path / "fetched")


@pytest.mark.parametrize("path", ["models/parts/nono", "models/parts/mono/v7", "elsewhere/v1", ""])
def test_no_model_there(store: Store, tmp_path: Path, path: str) -> None:
    publish(store, **package(tmp_path, 1))
    with pytest.raises(VqiError, match="no model at") as error:
        fetch_model(store.uri_of(path) if path else store.uri, tmp_path / "fetched")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("uri", ["", "/", "nowhere", "/nowhere/at/all", "gs://bucket/v1"])
def test_uris_that_are_none(uri: str, tmp_path: Path) -> None:
    with pytest.raises(VqiError):
        fetch_model(uri, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no json", "Invalid JSON"),
        (b"[]", "should be an object"),
        (
            b'{"format": "vqi.model/9"}',
            r"format: Input should be 'vqi\.model/3', got 'vqi\.model/9'; train the category",
        ),
    ],
)
def test_another_manifest_is_refused_and_keeps_no_new_version_away(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    model = publish(store, **package(tmp_path, 1)).model
    store.put_bytes(f"models/parts/mono/v1/{MANIFEST}", content)
    with pytest.raises(VqiError, match=message):
        fetch_model(model, tmp_path / "fetched")
    capsys.readouterr()
    assert publish(store, **package(tmp_path, 1)).version == 2
    assert capsys.readouterr().err.count("note: ") == 1


def test_a_package_without_one_of_its_files_is_refused(store: Store, tmp_path: Path) -> None:
    model = publish(store, **package(tmp_path, 1)).model
    key = f"models/parts/mono/v1/{MANIFEST}"
    content = json.loads(store.get_bytes(key))
    del content["files"]["report.html"]
    store.put_bytes(key, json.dumps(content).encode())
    with pytest.raises(VqiError, match=r"expected a model package of .*report\.html, got backbone"):
        fetch_model(model, tmp_path / "fetched")


def test_a_copied_folder_is_a_model_too(tmp_path: Path) -> None:
    """A package that was copied out of its store, for example to a machine on the line."""
    store = open_store(f"file://{tmp_path}/store")
    model = publish(store, **package(tmp_path, 1)).model
    save_model(model, tmp_path / "saved")
    shutil.copytree(tmp_path / "saved", tmp_path / "carried")
    manifest = json.loads((tmp_path / "carried" / MANIFEST).read_text())
    assert fetch_model(str(tmp_path / "carried"), tmp_path / "fetched").model_dump(mode="json") == manifest
    shutil.copytree(tmp_path / "store/models/parts/mono/v1", tmp_path / "by hand")
    with pytest.raises(VqiError, match=r"by hand: its network, which versions share, is not at .* 'vqi models save'"):
        fetch_model(str(tmp_path / "by hand"), tmp_path / "fetched")


def earlier(store: Store, category: Category, number: int) -> None:
    """A version as an earlier vqi wrote it: its network is in its own folder, and its manifest says nothing of that."""
    manifest = category.manifest(number).model_dump(mode="json", exclude={"by_digest"})
    network = store.get_bytes(category.backbones.key(manifest["files"][BACKBONE]))
    store.put_bytes(category.key(f"v{number}/{BACKBONE}"), network)
    store.put_bytes(category.key(f"v{number}/{MANIFEST}"), json.dumps(manifest).encode())
    store.delete(category.backbones.key(manifest["files"][BACKBONE]))


def test_a_network_is_kept_once_for_all_categories(store: Store, tmp_path: Path) -> None:
    for number, name in enumerate(("mono", "poly", "backbones")):
        publish(store, **package(tmp_path, number, name))
    publish(store, **package(tmp_path, 3))
    networks = [one.key for one in store.list() if one.size == 7000]
    assert networks == [f"models/parts/backbones/{sha256_bytes(b'weights' * 1000)}.safetensors"]
    for uri in ("mono/v1", "mono/v2", "poly", "backbones"):
        target = tmp_path / uri.replace("/", "-")
        assert fetch_model(store.uri_of(f"models/parts/{uri}"), target).by_digest == (BACKBONE,)
        assert (target / BACKBONE).read_bytes() == b"weights" * 1000
    assert [one.uri.rpartition("/")[2] for one in categories_in(store.uri)] == ["backbones", "mono", "poly"]
    assert [*category_at(store.uri_of("models/parts/mono")).backbones.all()] == [networks[0][-76:-12]]


def test_a_version_of_an_earlier_vqi(store: Store, tmp_path: Path) -> None:
    category = publish(store, **package(tmp_path, 1)).category
    earlier(store, category, 1)
    assert fetch_model(category.uri, tmp_path / "fetched").by_digest == ()
    assert (tmp_path / "fetched" / BACKBONE).stat().st_size == 7000
    again = publish(store, **package(tmp_path / "again", 1))
    assert (again.version, again.published) == (1, False), "an equal package is that version"
    assert category.backbones.all() == {}
    assert category.is_whole(1, category.files())


@pytest.mark.parametrize("how", ["damaged", "removed"])
def test_a_network_that_is_not_whole_is_written_again(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    category = publish(store, **package(tmp_path, 1)).category
    key = category.backbones.key(category.manifest(1).files[BACKBONE])
    if how == "removed":
        store.delete(key)
    else:
        store.put_bytes(key, b"damaged")
    with pytest.raises(VqiError, match=r"its network, which|not the file that the manifest names"):
        fetch_model(category.uri, tmp_path / "fetched")
    assert publish(store, **package(tmp_path, 1)).version == 1
    assert fetch_model(category.uri, tmp_path / "fetched").version == 1


def test_a_network_that_is_being_removed_is_not_relied_on(store: Store, tmp_path: Path) -> None:
    """Whoever removes it looked at the versions before this one was there."""
    category = publish(store, **package(tmp_path, 1)).category
    network, later = category.manifest(1).files[BACKBONE], datetime.now(UTC) - timedelta(days=1)

    def needed() -> Collection[str]:
        assert publish(store, **package(tmp_path, 2)).version == 2
        assert not category.backbones.remove([network], lambda: (), later), "two at a time"
        return ()

    assert category.backbones.remove([network], needed, later) == {network}
    assert not category.backbones.has(network)
    assert fetch_model(category.uri_of(2), tmp_path / "fetched").by_digest == ()
    assert publish(store, **package(tmp_path, 3)).version == 3
    assert fetch_model(category.uri_of(3), tmp_path / "fetched").by_digest == (BACKBONE,), "the mark is gone"


@contextmanager
def nothing_deleted(store: Store) -> Iterator[None]:
    """A kill deletes nothing any more."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "delete", lambda key: None)
        yield


def test_a_removal_that_was_killed_is_taken_up(store: Store, tmp_path: Path) -> None:
    category = publish(store, **package(tmp_path, 1)).category
    network = category.manifest(1).files[BACKBONE]

    def killed() -> Collection[str]:
        raise KilledError

    with nothing_deleted(store), pytest.raises(KilledError):
        category.backbones.remove([network], killed, datetime.now(UTC))
    assert publish(store, **package(tmp_path, 2)).version == 2
    assert fetch_model(category.uri_of(2), tmp_path / "fetched").by_digest == ()
    assert not category.backbones.remove([network], lambda: [network], datetime.now(UTC) + timedelta(days=1))
    assert publish(store, **package(tmp_path, 3)).version == 3
    assert fetch_model(category.uri_of(3), tmp_path / "fetched").by_digest == (BACKBONE,)


def test_a_category_that_is_called_like_a_version(store: Store, tmp_path: Path) -> None:
    for number in (1, 2):
        publish(store, **package(tmp_path, number, "v1"))
    publish(store, **package(tmp_path, 3, "v2"))
    for uri, number, category in (
        ("models/parts/v1", 2, "v1"),
        ("models/parts/v1/v1", 1, "v1"),
        ("models/parts/v2", 1, "v2"),
    ):
        manifest = fetch_model(store.uri_of(uri), tmp_path / f"fetched-{category}-{number}")
        assert (manifest.category, manifest.version) == (category, number)
    with pytest.raises(VqiError, match=r"no model at '.*models/parts/v2/v7'"):
        fetch_model(store.uri_of("models/parts/v2/v7"), tmp_path / "none")


def test_a_name_that_is_nearly_right(store: Store, tmp_path: Path) -> None:
    publish(store, **package(tmp_path, 1))
    for wrong, right in (
        ("models/parts/moon", "models/parts/mono"),
        ("models/part/mono/v1", "models/parts/mono/v1"),
        ("models/parts/mno/v1", "models/parts/mono/v1"),
    ):
        with pytest.raises(VqiError, match=f"no model at '.*{wrong}': did you mean '.*{right}'"):
            fetch_model(store.uri_of(wrong), tmp_path / "fetched")


@pytest.mark.parametrize("place", ["", "models", "models/parts"])
def test_what_has_models_below_names_them(store: Store, tmp_path: Path, place: str) -> None:
    publish(store, **package(tmp_path, 1))
    with pytest.raises(VqiError, match=r"no model at .*: it has those of 1 category: '.*/models/parts/mono'; see"):
        fetch_model(store.uri_of(place) if place else store.uri, tmp_path / "fetched")


def test_the_champion_is_what_a_category_means(store: Store, tmp_path: Path) -> None:
    for number in range(3):
        publish(store, **package(tmp_path, number))
    category = Category(store, "models/parts/mono/")
    assert version_at(category.uri) == category.uri_of(3), "as in stores without a champion"
    move(category, seen(category), 2, "me", "a test")
    assert version_at(category.uri) == category.uri_of(2)
    assert fetch_model(category.uri, tmp_path / "fetched").version == 2
    assert version_at(category.uri_of(3)) == category.uri_of(3)
    store.delete(f"models/parts/mono/v2/{MANIFEST}")
    with pytest.raises(VqiError, match="the champion is v2, which is gone: promote another version"):
        fetch_model(category.uri, tmp_path / "none")


def test_a_damaged_entry_is_said_once_and_keeps_no_new_version_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bytes that are not those that were stored, as a bad disk gives them."""
    store = open_store(f"file://{tmp_path}/store")
    model = publish(store, **package(tmp_path, 1)).model
    folder = tmp_path / "store/models/parts/mono/v1"
    for name in (MANIFEST, "reserved.json"):
        (folder / name).write_bytes(b"\0" * 100)
    with pytest.raises(VqiError, match=r"v1/manifest\.json is corrupted") as error:
        fetch_model(model, tmp_path / "fetched")
    assert str(error.value).isprintable()
    assert publish(store, **package(tmp_path, 1)).version == 2
    assert capsys.readouterr().err.count("note: ") == 1
    (folder / MANIFEST).unlink()  # as if the publication had been interrupted
    (tmp_path / "store/models/parts/mono/v2" / MANIFEST).unlink()
    assert publish(store, **package(tmp_path, 5)).version == 3
    assert capsys.readouterr().err.count("note: ") == 1


def changed(draw: random.Random, manifest: dict[str, Any]) -> bytes:
    """A manifest with one thing changed."""
    manifest = json.loads(json.dumps(manifest))
    odd = draw.choice([None, -1, 0, 10**6, 2**70, 1.5, "", "x", "../x", [], {}, True, "0" * 64])
    key = draw.choice(sorted(manifest))
    match draw.randrange(6):
        case 0:
            del manifest[key]
        case 1:
            manifest[key] = odd
        case 2:
            inner = manifest[draw.choice(["files", "features", "made_with"])]
            inner[draw.choice(sorted(inner))] = odd
        case 3:
            manifest[draw.choice(["more", "formats", "\x1b"])] = odd
        case 4:
            text = json.dumps(manifest)
            return text[: draw.randrange(len(text))].encode()
        case _:
            text = json.dumps(manifest)
            return text.replace(": ", draw.choice([": NaN, ", ": [", ":: ", ': "']), draw.randrange(1, 4)).encode()
    return json.dumps(manifest).encode()


def test_a_changed_manifest_is_refused_in_one_line_or_means_the_same(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/store")
    model = publish(store, **package(tmp_path, 1)).model
    key = f"models/parts/mono/v1/{MANIFEST}"
    whole, draw = json.loads(store.get_bytes(key)), random.Random(0)
    for number in range(fuzz_cases(40, 400)):
        store.put_bytes(key, changed(draw, whole))
        try:
            found = fetch_model(model, tmp_path / f"fetched{number % 2}").model_dump(mode="json")
        except VqiError as error:
            said = str(error)
        else:
            assert {**found, "version": 1, "vqi": whole["vqi"]} == whole
            continue
        assert said.isprintable()
        assert len(said) < 1000


def test_a_manifest_that_says_what_its_files_do_not(store: Store, tmp_path: Path) -> None:
    model = publish(store, **package(tmp_path, 1)).model
    key = f"models/parts/mono/v1/{MANIFEST}"
    content = json.loads(store.get_bytes(key))
    store.put_bytes(key, json.dumps(content | {"image_size": 65}).encode())
    with pytest.raises(VqiError, match=r"image_size: expected 64x64 as in the files, got 65x65; publish"):
        fetch_model(model, tmp_path / "fetched")


def test_a_detector_that_is_none_is_not_published(store: Store, tmp_path: Path) -> None:
    files = package(tmp_path, 1)
    save_detector(files["detector"], detector_artifact(float("nan"), images=images_record(image_size=64)))
    with pytest.raises(VqiError, match="'mean' holds NaN or infinity"):
        publish(store, **files)
    assert list(store.list()) == []
