"""A category to mirror."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vqi.made import metrics
from tests.vqi.models.packages import package
from vqi.artifacts.decision import GateVerdict
from vqi.artifacts.metrics import write_metrics
from vqi.models.category import VERDICT, Category
from vqi.models.registry import publish
from vqi.store.opening import open_store


@pytest.fixture
def category(tmp_path: Path) -> Category:
    """With two versions, of which the gate rejected the second."""
    store = open_store(f"file://{tmp_path}/store")
    name = f"it's {tmp_path.name}: 1/2"  # another one in each test, and one that no other registry takes as it is
    for number in (1, 2):
        files = package(tmp_path / "packages", number, name)
        figures = {"image_auroc": 0.9 + number / 100, "pixel_auroc": None, "recall": 0.5, "category": name}
        write_metrics(files["metrics"], metrics(**figures))
        found = publish(store, **files).category
    said = GateVerdict(verdict="rejected", reasons=("AUROC is lower", "recall, too"))
    store.put_bytes(found.key(f"v2/{VERDICT}"), said.model_dump_json().encode())
    return found
