"""What operators said becomes data: confirmed good ones train, confirmed defects test, never twice, never by halves."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.step_outputs import output_flags
from tests.vqi.datasets.test_splits import again, part, png
from vqi.config import DatasetDownload
from vqi.datasets.catalogs import dataset_uri
from vqi.datasets.download import DatasetHandle, download
from vqi.datasets.shards import open_shard
from vqi.digests import sha256_bytes
from vqi.errors import VqiError
from vqi.store.folder import FolderStore
from vqi.verdicts.answering import answer, take_back
from vqi.verdicts.book import Book
from vqi.verdicts.records import Scored, said_of

TRAIN, TEST = 30, 8


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    root = tmp_path / "parts"
    for split, seeds in (
        ("train/good", range(TRAIN)),
        ("test/good", range(100, 100 + TEST)),
        ("test/crack", range(200, 204)),
    ):
        folder = root / "bracket" / split
        folder.mkdir(parents=True)
        for seed in seeds:
            (folder / f"{seed}.png").write_bytes(png(part(seed)))
    return root


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def say(
    store: FolderStore, data: bytes, text: str, by: str = "anna", name: str = "p.png", *, keep: bool = True
) -> None:
    scored = Scored(sha256_bytes(data), name, 1, 2.0, 1.0)
    answer(Book(store, "parts", "bracket"), scored, said_of(text), by, data if keep else None)


def load(store: FolderStore, parts: Path, **changes: object) -> DatasetHandle:
    settings = {"source": f"folder:{parts}", "with_verdicts": True} | changes
    return download(DatasetDownload.model_validate(settings), store)


def added(handle: DatasetHandle, tmp_path: Path) -> dict[str, bytes]:
    """The images that verdicts brought: path -> bytes."""
    folder = tmp_path / "opened"
    folder.mkdir(exist_ok=True)
    shard = open_shard(handle.address, "bracket", folder)
    with zipfile.ZipFile(shard.path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if "/verdict-" in name}


def reasons(handle: DatasetHandle) -> dict[str, int]:
    return {one.reason: one.files for one in handle.catalog.left_out}


def test_confirmed_ones_join_and_the_digest_changes(store: FolderStore, parts: Path, tmp_path: Path) -> None:
    before = load(store, parts)
    good, crack, unnamed = (png(part(seed)) for seed in (300, 301, 302))
    say(store, good, "good")
    say(store, crack, "defect:crack")
    say(store, unnamed, "defect")
    after = load(store, parts)
    assert added(after, tmp_path) == {
        f"train/good/verdict-{sha256_bytes(good)[:32]}.png": good,
        f"test/crack/verdict-{sha256_bytes(crack)[:32]}.png": crack,
        f"test/defect/verdict-{sha256_bytes(unnamed)[:32]}.png": unnamed,
    }
    assert after.catalog.categories["bracket"].files == {
        "train/good": TRAIN + 1, "test/good": TEST, "test/crack": 5, "test/defect": 1,
    }  # fmt: skip
    assert dataset_uri(before.uri) != dataset_uri(after.uri)
    assert load(store, parts).uri == after.uri  # nothing is written twice
    assert load(store, parts, with_verdicts=False).uri == before.uri
    take_back(Book(store, "parts", "bracket"), sha256_bytes(good), "anna", "p.png")
    assert len(added(load(store, parts), tmp_path)) == 2


def test_what_is_not_clear_or_not_kept_stays_out_and_is_counted(
    store: FolderStore, parts: Path, tmp_path: Path
) -> None:
    disputed, unclear, digest, removed = (png(part(seed)) for seed in (310, 311, 312, 313))
    say(store, disputed, "good", name="disputed.png")
    say(store, disputed, "defect", "bob", name="disputed.png")
    say(store, unclear, "unclear")
    say(store, digest, "good", keep=False)
    say(store, removed, "good")
    store.delete(Book(store, "parts", "bracket").key(f"photographs/{sha256_bytes(removed)}.png"))
    found = load(store, parts)
    assert added(found, tmp_path) == {}
    assert reasons(found) == {"disagree": 1, "unclear": 1, "digest": 2}
    (text,) = [one.text for one in found.catalog.left_out if one.reason == "disagree"]
    assert text == (
        "1 photograph on which people disagree, for example disputed.png; 'vqi verdict MODEL --list' says who; one of "
        "them takes the verdict back"
    )
    assert "#left-out=" in found.address


def test_good_ones_of_parts_that_are_in_the_test_never_train(store: FolderStore, parts: Path, tmp_path: Path) -> None:
    cracked = png(part(400))
    say(store, png(again(part(100), 1)), "good")  # a good test image
    say(store, png(again(part(201), 2)), "good")  # a defective one
    say(store, cracked, "defect:crack")
    say(store, png(again(part(400), 3)), "good")  # one that a verdict brings into the test
    say(store, png(again(part(3), 4)), "good")  # a training image: it may train
    found = load(store, parts)
    assert reasons(found) == {"tested": 3}
    assert [name.rpartition("/")[0] for name in sorted(added(found, tmp_path))] == ["test/crack", "train/good"]


def test_the_same_image_is_there_once(store: FolderStore, parts: Path, tmp_path: Path) -> None:
    there = {
        name: (parts / "bracket" / name).read_bytes()
        for name in ("train/good/1.png", "test/good/101.png", "test/crack/200.png")
    }
    say(store, there["train/good/1.png"], "good")
    say(store, there["test/good/101.png"], "good", "bob")
    say(store, there["test/crack/200.png"], "good")
    twice = png(part(320))
    say(store, twice, "good")
    say(store, twice, "good", "bob")
    found = load(store, parts)
    assert list(added(found, tmp_path).values()) == [twice]
    assert reasons(found) == {"known": 2, "contradicted": 1}


def test_of_another_category_or_dataset_nothing_is_taken(store: FolderStore, parts: Path, tmp_path: Path) -> None:
    data = png(part(330))
    scored = Scored(sha256_bytes(data), "p.png", 1, 2.0, 1.0)
    for dataset, category in (("parts", "gear"), ("others", "bracket")):
        answer(Book(store, dataset, category), scored, said_of("good"), "anna", data)
    found = load(store, parts)
    assert added(found, tmp_path) == {}
    assert found.catalog.left_out == ()


def test_a_photograph_that_was_changed_is_an_error(store: FolderStore, parts: Path) -> None:
    say(store, png(part(340)), "good")
    book = Book(store, "parts", "bracket")
    (kept,) = book.photographs()
    store.put_bytes(book.key(f"photographs/{kept}"), png(part(341)))
    with pytest.raises(VqiError, match="not the photograph whose digest is its name: remove it"):
        load(store, parts)


def test_a_damaged_entry_is_an_error(store: FolderStore, parts: Path) -> None:
    store.put_bytes(Book(store, "parts", "bracket").key(f"imports/{datetime.now(UTC):%Y}.jsonl"), b"{}\n")
    with pytest.raises(VqiError, match=r"\.jsonl, line 1: .*remove that line, or the file"):
        load(store, parts)


def test_many_verdicts_of_one_part_are_few_left_out_texts(store: FolderStore, parts: Path) -> None:
    for seed in range(5):
        say(store, png(part(350 + seed)), "unclear", name=f"p{seed}.png")
    (one,) = load(store, parts).catalog.left_out
    assert (one.category, one.files, one.endings, len(one.examples)) == ("bracket", 5, {".png": 5}, 3)
    assert one.text.startswith("5 photographs whose verdicts are unclear, for example p")


def test_the_step_takes_it(store: FolderStore, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vqi_components.dataset_download.__main__ import main

    say(store, png(part(360)), "good")
    monkeypatch.setenv("VQI_STORE", store.uri)
    outputs = output_flags("dataset_download", tmp_path / "out")
    assert main([f"--source=folder:{parts}", "--with-verdicts=true", *outputs]) == 0
    text = (tmp_path / "out/catalog").read_text()
    assert f'"train/good": {TRAIN + 1}' in text
