"""Which versions are shown beside the one of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vqi.made import metrics
from tests.vqi.models.packages import package
from vqi.artifacts.metrics import write_metrics
from vqi.models.category import Category
from vqi.models.earlier import beside_earlier
from vqi.models.manifest import METRICS
from vqi.models.promotion import promote
from vqi.models.registry import publish
from vqi.store.folder import FolderStore


@pytest.fixture
def category(tmp_path: Path) -> Category:
    """With four versions."""
    store = FolderStore(tmp_path / "store")
    for number in (1, 2, 3, 4):
        files = package(tmp_path / "packages", number)
        write_metrics(files["metrics"], metrics(category="mono", image_auroc=0.9 + number / 100))
        publish(store, **files)
    return Category(store, "models/parts/mono/")


def shown(category: Category, number: int) -> list[tuple[int, str]]:
    found = beside_earlier(category.uri_of(number))
    assert all(one.metrics.image_auroc == 0.9 + one.version / 100 for one in found)
    return [(one.version, one.role) for one in found]


def test_the_one_before_and_the_champion_before(category: Category) -> None:
    assert shown(category, 1) == [(1, "this model")]
    assert shown(category, 4) == [(4, "this model"), (3, "the one before")]
    promote(category.uri_of(2), "me", "")
    both = [(4, "this model"), (3, "the one before"), (2, "the champion before")]
    assert shown(category, 4) == both
    promote(category.uri_of(4), "me", "")
    assert shown(category, 4) == both, "it is the champion itself now"
    assert shown(category, 3)[2] == (4, "the champion since")
    promote(category.uri_of(3), "me", "")
    assert shown(category, 4) == [(4, "this model"), (3, "the one before, and the champion then")]


def test_what_cannot_be_read_is_left_out(category: Category) -> None:
    promote(category.uri_of(2), "me", "")
    category.store.put_bytes(category.key(f"v3/{METRICS}"), b"{}")
    assert shown(category, 4) == [(4, "this model"), (2, "the champion before")]
    category.store.put_bytes(category.key("champion.json"), b"{")
    assert shown(category, 4) == [(4, "this model")]
