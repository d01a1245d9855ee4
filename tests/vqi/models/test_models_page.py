"""``models.html`` in the store: written anew when the champion moves, and never a reason to fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.vqi.made import metrics
from tests.vqi.models.packages import package
from vqi.artifacts.decision import GateVerdict
from vqi.artifacts.metrics import write_metrics
from vqi.errors import VqiError
from vqi.models.category import VERDICT, Category
from vqi.models.manifest import MANIFEST
from vqi.models.models_page import PAGE, page_of, renew_page, write_models
from vqi.models.promotion import promote, rollback
from vqi.models.registry import publish
from vqi.store.interface import Store

KEY = f"models/parts/{PAGE}"


@pytest.fixture
def category(store: Store, tmp_path: Path) -> Category:
    """With three versions, of which the gate rejected the third."""
    for number in (1, 2, 3):
        files = package(tmp_path / "packages", number)
        write_metrics(files["metrics"], metrics(category="mono", image_auroc=0.9 + number / 100))
        publish(store, **files)
    said = GateVerdict(verdict="rejected", reasons=("AUROC is lower",))
    store.put_bytes(f"models/parts/mono/v3/{VERDICT}", said.model_dump_json().encode())
    return Category(store, "models/parts/mono/")


def states(store: Store) -> list[tuple[str, str]]:
    found = store.get_bytes(KEY).decode()
    return re.findall(r'report\.html">(v\d)</a></th>\n<td class="said"><span class="badge (\w+)', found)


def test_it_is_renewed_when_the_champion_moves(store: Store, category: Category) -> None:
    assert not store.exists(KEY)
    promote(category.uri_of(1), "me", "")
    assert states(store) == [("v3", "rejected"), ("v2", "none"), ("v1", "champion")]
    promote(category.uri_of(2), "me", "")
    assert states(store) == [("v3", "rejected"), ("v2", "champion"), ("v1", "before")]
    rollback(category.uri, "me", "a dirty lens")
    assert states(store) == [("v3", "rejected"), ("v2", "before"), ("v1", "champion")]
    found = store.get_bytes(KEY).decode()
    assert "a dirty lens" in found
    assert "rejected: AUROC is lower" in found
    assert "parts: models" in found


def test_what_is_damaged_is_on_the_page(store: Store, category: Category) -> None:
    promote(category.uri_of(2), "me", "")
    store.put_bytes(category.key(f"v1/{MANIFEST}"), b"{")
    store.delete(category.key(f"v2/{MANIFEST}"))
    renew_page(store, "models/parts/")
    found = store.get_bytes(KEY).decode()
    assert "the champion is v2, which is gone" in found
    assert re.search("v1/manifest.json: .*; train the category again", found)
    store.put_bytes(category.key("champion.json"), b"{")
    renew_page(store, "models/parts/")
    assert "champion.json: " in store.get_bytes(KEY).decode()


def test_what_cannot_be_written_is_said(
    store: Store,
    category: Category,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put = type(store).put_bytes

    def refuses(self: Store, key: str, data: bytes) -> None:
        if key.endswith(PAGE):
            raise VqiError("the disk is full")
        put(self, key, data)

    monkeypatch.setattr(type(store), "put_bytes", refuses)
    assert promote(category.uri_of(1), "me", "").champion.version == 1
    assert "models.html is not up to date: the disk is full; 'vqi models page' writes it" in capsys.readouterr().err
    write_models(store, store.uri_of("datasets/parts@0123456789ab#left-out=0123456789ab"), tmp_path / PAGE)
    assert "v1 is the champion" in (tmp_path / PAGE).read_text()


def test_a_run_without_models(store: Store, tmp_path: Path) -> None:
    for dataset in ("", store.uri_of("datasets/parts@0123456789ab")):
        write_models(store, dataset, tmp_path / PAGE)
    assert not (tmp_path / PAGE).exists()
    assert list(store.list()) == []
    with pytest.raises(VqiError, match="no models in"):
        page_of(store, "models/parts/", links=True)
